//! `enrol`: recordings of one voice → a template.

use std::path::{Path, PathBuf};

use serde_json::json;
use voxcheck::audio::wav::Wav;
use voxcheck::proof::{EnrolOptions, Enrolment, Template, TemplateSecret};

use super::common::{ModelArg, check_recording, parse_threshold, require_voice};
use super::console::{Console, Outcome, human_bytes};
use super::error::{CliError, Result};
use super::files::{self, Access};
use super::private_key::{self, PrivateKeyArg};

/// Enrol a voice: average the embeddings of recordings and commit to them
///
/// Writes the template, which is public, and beside it the secret that proving needs. With --refresh, an existing
/// template is committed to anew: give every relying party one of its own, and they cannot link them. With --proof, a
/// relying party need not believe that the template is of these recordings.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    private: PrivateKeyArg,
    /// Recordings of the voice: WAV, 16-bit mono at the model's rate
    #[arg(required_unless_present = "refresh", value_name = "WAV")]
    wavs: Vec<PathBuf>,
    /// Instead of recordings: a template whose voice and threshold the new one has (its secret is read too)
    #[arg(long, value_name = "T.vxe", conflicts_with_all = ["wavs", "threshold"])]
    refresh: Option<PathBuf>,
    /// Secret of the template to refresh [default: T.vxe.secret]
    #[arg(long, value_name = "FILE", requires = "refresh")]
    refresh_secret: Option<PathBuf>,
    /// Template to write (.vxe); the secret goes to FILE.secret, readable by its owner only
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Where the secret goes instead
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// Smallest cosine that is accepted [default: the model's]
    #[arg(long, value_name = "X", value_parser = parse_threshold)]
    threshold: Option<f64>,
    /// Whose voice it is: public text of at most 64 bytes
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Demand of every proof that its recording is none of those enrolled here: stops the identical samples only. The
    /// secret then has these recordings
    #[arg(long, conflicts_with = "refresh")]
    refuse_replays: bool,
    /// Prove that the template is of these recordings, and write the proof, for `verify --enrolment`
    #[arg(long, value_name = "FILE", conflicts_with = "refresh")]
    proof: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let secret_path = secret_path(&args.output, args.secret.as_ref())?;
    files::check_output(console, &args.output)?;
    files::check_output(console, &secret_path)?;
    args.proof.as_ref().map_or(Ok(()), |path| files::check_output(console, path))?;
    let Enrolled { template, secret, proof } = match &args.refresh {
        Some(path) => refresh(args, path, console)?,
        None => enrol(args, console)?,
    };
    let (public, private) = (template.to_bytes(), secret.to_bytes());
    let proof = proof.map(|proof| proof.to_bytes());
    let mut outputs = vec![(&*secret_path, &*private, Access::Secret), (&*args.output, &*public, Access::Public)];
    outputs.extend(args.proof.iter().zip(&proof).map(|(path, bytes)| (&**path, &**bytes, Access::Public)));
    files::write_all(console, &outputs)?;
    let fields = json!({
        "template_id": template.id().to_string(),
        "model_id": template.model_id().to_string(),
        "threshold": template.threshold(),
        "label": template.label(),
        "refuses_replays": template.refuses_replays(),
        "recordings": args.wavs.len(),
        "template": args.output,
        "secret": secret_path,
        "proof": args.proof,
        "proof_bytes": proof.as_ref().map(Vec::len),
    });
    let what =
        if args.refresh.is_some() { "Refreshed".into() } else { format!("Enrolled {} recording(s)", args.wavs.len()) };
    let mut text = format!(
        "{what} as {}\n  threshold  {:.4}\n  template   {} (public)\n  secret     {} (keep it)",
        template.id(),
        template.threshold(),
        args.output.display(),
        secret_path.display(),
    );
    if let (Some(path), Some(bytes)) = (&args.proof, &proof) {
        text += &format!("\n  proof      {}, {} (public)", path.display(), human_bytes(bytes.len() as u64));
    }
    Ok(Outcome::new("enrol", fields, text))
}

/// What was made.
struct Enrolled {
    template: Template,
    secret: TemplateSecret,
    proof: Option<Enrolment>,
}

/// A new commitment to the voice of the template at `path`.
fn refresh(args: &Args, path: &Path, console: &mut Console) -> Result<Enrolled> {
    let template = files::decode(path, Template::from_bytes)?;
    let secret_path = args.refresh_secret.clone().unwrap_or_else(|| files::secret_beside(path));
    let secret = files::decode(&secret_path, TemplateSecret::from_bytes)?;
    let pk = private_key::load(console, &args.model.model, &args.private, |_| Ok(()))?;
    let refreshed = pk.refresh(&template, &secret, args.label.as_deref());
    let (template, secret) = refreshed.map_err(|error| CliError::prove(path, &error))?;
    Ok(Enrolled { template, secret, proof: None })
}

fn enrol(args: &Args, console: &mut Console) -> Result<Enrolled> {
    let wavs = args.wavs.iter().map(|path| files::read_wav(path)).collect::<Result<Vec<_>>>()?;
    let pk = private_key::load(console, &args.model.model, &args.private, |model| {
        require_voice(model, &args.model.model)?;
        wavs.iter().zip(&args.wavs).try_for_each(|(wav, path)| {
            check_recording(model, path, wav)?;
            check_sound(path, wav)
        })
    })?;
    let options = EnrolOptions {
        threshold: args.threshold.unwrap_or_else(|| pk.model().default_threshold()),
        label: args.label.as_deref().unwrap_or_default(),
        name_recordings: args.proof.is_some(),
        refuse_replays: args.refuse_replays,
    };
    let (result, _) = console.stage("enrol", |_| pk.enrol_with(&wavs, &options));
    let (template, secret) = result.map_err(|error| CliError::prove(&args.wavs[0], &error))?;
    let mut proof = None;
    if args.proof.is_some() {
        let (result, _) = console.stage("prove", |_| pk.prove_enrolment(&wavs, &template, &secret));
        proof = Some(result.map_err(|error| CliError::prove(&args.wavs[0], &error))?);
    }
    Ok(Enrolled { template, secret, proof })
}

/// Refuses silence: all silent recordings have one embedding, so a template of it would accept anybody's silence.
fn check_sound(path: &Path, wav: &Wav) -> Result<()> {
    if !wav.is_constant() {
        return Ok(());
    }
    let message = format!("{}: every sample is the same, so there is no voice to enrol", path.display());
    Err(CliError::data("E-WAV-SILENT", message, "check the microphone and record again"))
}

/// Where a secret goes that belongs to `output`.
pub fn secret_path(output: &Path, secret: Option<&PathBuf>) -> Result<PathBuf> {
    match secret {
        Some(path) if path == output => {
            Err(CliError::usage("the public file and the secret cannot be the same file", "name another file"))
        }
        Some(path) => Ok(path.clone()),
        None if files::is_stream(output) => {
            Err(CliError::usage("`-o -` leaves no place for the secret", "say where it goes with --secret FILE"))
        }
        None => Ok(files::secret_beside(output)),
    }
}
