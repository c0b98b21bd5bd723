//! `attest`: what a capture device does.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use voxcheck::Context;
use voxcheck::attest::{DeviceKey, DevicePublicKey};
use voxcheck::proof::AudioCommitment;

use super::common::parse_context;
use super::console::{Console, Outcome};
use super::error::{CliError, Result};
use super::files::{self, Access};

/// What a capture device does: make a key, sign commitments to recordings
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the Ed25519 key pair of a device
    Keygen(KeygenArgs),
    /// Sign the commitment to a recording, for a context, with the time
    Sign(SignArgs),
}

/// Arguments of `attest keygen`.
#[derive(clap::Args, Debug)]
pub struct KeygenArgs {
    /// Private key to write (PKCS#8 in PEM), readable by its owner only; the public key goes to FILE.pub
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Where the public key goes instead
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
}

/// Arguments of `attest sign`.
#[derive(clap::Args, Debug)]
pub struct SignArgs {
    /// Private key of the device
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the recording was made for: the verifier's nonce, in hex, at most 256 bytes
    #[arg(long, value_name = "HEX", default_value = "", value_parser = parse_context, hide_default_value = true)]
    context: Context,
    /// Time of the recording, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Commitment to the recording (.vxa)
    #[arg(value_name = "A.vxa")]
    audio: PathBuf,
    /// Attestation to write, for `prove --attestation`; `-` is stdout
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(command: &Command, console: &mut Console) -> Result<Outcome> {
    match command {
        Command::Keygen(args) => keygen(args, console),
        Command::Sign(args) => sign(args, console),
    }
}

fn keygen(args: &KeygenArgs, console: &mut Console) -> Result<Outcome> {
    let public_path = match &args.public {
        Some(path) => path.clone(),
        None if files::is_stream(&args.output) => {
            return Err(CliError::usage("`-o -` leaves no place for the public key", "say where with --public FILE"));
        }
        None => files::beside(&args.output, ".pub"),
    };
    if public_path == args.output {
        return Err(CliError::usage("both keys cannot be the same file", "name another file"));
    }
    files::check_output(console, &args.output)?;
    files::check_output(console, &public_path)?;
    let key = DeviceKey::generate()
        .map_err(|error| CliError::internal(format!("the operating system has no randomness: {error}")))?;
    let (private, public) = (key.to_pem(), key.public());
    let pem = public.to_pem();
    let outputs =
        [(&*args.output, private.as_bytes(), Access::Secret), (&*public_path, pem.as_bytes(), Access::Public)];
    files::write_all(console, &outputs)?;
    let fields = json!({"device": public.fingerprint(), "private_key": args.output, "public_key": public_path});
    let text = format!(
        "Key of device {}\n  private    {} (keep it in the device)\n  public     {}",
        public.fingerprint(),
        args.output.display(),
        public_path.display(),
    );
    Ok(Outcome::new("attest-keygen", fields, text))
}

fn sign(args: &SignArgs, console: &mut Console) -> Result<Outcome> {
    files::check_output(console, &args.output)?;
    let key =
        DeviceKey::from_pem(&files::read_text(&args.key)?).map_err(|error| CliError::device_key(&args.key, &error))?;
    let audio = files::decode(&args.audio, AudioCommitment::from_bytes)?;
    let time = args.time.unwrap_or_else(now);
    let attestation = key.sign(&audio, &args.context, time);
    files::write(console, &args.output, &attestation.to_bytes(), Access::Public)?;
    let fields = json!({
        "device": key.public().fingerprint(),
        "audio_id": audio.id().to_string(),
        "context": hex::encode(args.context.bytes()),
        "time": time,
        "attestation": args.output,
    });
    let text = format!("Signed {} at {time}\n  attestation {}", audio.id(), args.output.display());
    Ok(Outcome::new("attest-sign", fields, text))
}

/// The public key of a device.
pub fn read_device(path: &std::path::Path) -> Result<DevicePublicKey> {
    DevicePublicKey::from_pem(&files::read_text(path)?).map_err(|error| CliError::device_key(path, &error))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
