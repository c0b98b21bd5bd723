//! `commit`: a recording → a public commitment and its secret.

use std::path::PathBuf;

use serde_json::json;

use super::common::{ModelArg, load_keys, read_input};
use super::console::{Console, Outcome};
use super::enrol::secret_path;
use super::error::{CliError, Result};
use super::files::{self, Access};

/// Commit to a recording before proving anything about it
///
/// `prove --audio A.vxa` proves about exactly this recording, and `verify --audio A.vxa` demands it.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// Recording: WAV, 16-bit mono at the model's rate; NumPy file of a tensor, if the model takes that; `-` is stdin
    #[arg(value_name = "WAV")]
    wav: PathBuf,
    /// Commitment to write (.vxa); the secret goes to FILE.secret, readable by its owner only
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Where the secret goes instead
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let secret_path = secret_path(&args.output, args.secret.as_ref())?;
    files::check_output(console, &args.output)?;
    files::check_output(console, &secret_path)?;
    let (pk, _, _) = load_keys(console, &args.model.model)?;
    let wav = read_input(pk.model(), &args.wav)?;
    let (result, _) = console.stage("commit", |_| pk.commit_audio(&wav));
    let (commitment, secret) = result.map_err(|error| CliError::prove(&args.wav, &error))?;
    let (public, private) = (commitment.to_bytes(), secret.to_bytes());
    let outputs = [(&*secret_path, &*private, Access::Secret), (&*args.output, &*public, Access::Public)];
    files::write_all(console, &outputs)?;
    let fields = json!({
        "audio_id": commitment.id().to_string(),
        "samples": commitment.num_samples(),
        "commitment": args.output,
        "secret": secret_path,
    });
    let text = format!(
        "Committed to {} samples as {}\n  commitment {} (public)\n  secret     {} (keep it)",
        commitment.num_samples(),
        commitment.id(),
        args.output.display(),
        secret_path.display(),
    );
    Ok(Outcome::new("commit", fields, text))
}
