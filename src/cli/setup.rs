//! `setup`: a model → its verifying key.

use std::path::PathBuf;

use serde_json::json;
use voxcheck::proof::KeySecret;
use voxcheck::{VerifyingKey, setup_private};

use super::common::{load_keys, load_model};
use super::console::{Console, Outcome, human_bytes, millis};
use super::enrol::secret_path;
use super::error::{CliError, Result};
use super::files::{self, Access, Output};

/// Write the verifying key of a model, with which proofs are verified without its weights
///
/// With --private, the key tells nothing about the weights, and nobody without its secret can prove: the owner of a
/// model gives the key away and keeps model and secret. Every such key has an id of its own.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Model file (.vxm) or built-in name
    #[arg(value_name = "M")]
    model: PathBuf,
    /// Key to write (.vxk); `-` is stdout
    #[arg(long, short, value_name = "K.vxk")]
    output: PathBuf,
    /// Hide the weights; the secret goes to FILE.secret, readable by its owner only
    #[arg(long)]
    private: bool,
    /// Where the secret goes instead
    #[arg(long, value_name = "FILE", requires = "private")]
    secret: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let secret_path = args.private.then(|| secret_path(&args.output, args.secret.as_ref())).transpose()?;
    files::check_output(console, &args.output)?;
    secret_path.as_ref().map_or(Ok(()), |path| files::check_output(console, path))?;
    let (vk, secret, elapsed): (VerifyingKey, Option<KeySecret>, _) = if args.private {
        let model = load_model(&args.model)?;
        let (keys, elapsed) = console.stage("setup", |_| setup_private(&model));
        let (_, vk, secret) = keys.map_err(|error| CliError::prove(&args.model, &error))?;
        (vk, Some(secret), elapsed)
    } else {
        let (_, vk, elapsed) = load_keys(console, &args.model)?;
        (vk, None, elapsed)
    };
    let bytes = vk.to_bytes();
    let private = secret.map(|secret| secret.to_bytes());
    let mut outputs: Vec<Output<'_>> = Vec::new();
    if let (Some(path), Some(private)) = (&secret_path, &private) {
        outputs.push((path, private, Access::Secret));
    }
    outputs.push((&args.output, &bytes, Access::Public));
    files::write_all(console, &outputs)?;
    let model_id = vk.model_id().to_string();
    let fields = json!({
        "model_id": model_id,
        "key": args.output,
        "key_bytes": bytes.len(),
        "setup_ms": millis(elapsed),
        "private": vk.hides_weights(),
        "secret": secret_path,
    });
    let size = human_bytes(bytes.len() as u64);
    let mut text = format!("Verifying key of {model_id}\n  key        {}, {size}", args.output.display());
    if let Some(path) = &secret_path {
        text += &format!(" (public; it hides the weights)\n  secret     {} (keep it)", path.display());
    }
    Ok(Outcome::new("setup", fields, text))
}
