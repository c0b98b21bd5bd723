//! What ends a command early: a code, an exit status, a message and what to do about it.

use std::io;
use std::path::Path;

use voxcheck::error::{AudioError, ModelError};
use voxcheck::proof::{FileError, ProveError};

/// Exit statuses, as the README lists them.
pub mod exit {
    /// Success, or a valid proof of ACCEPT.
    pub const SUCCESS: u8 = 0;
    /// A valid proof of REJECT.
    pub const REJECT: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The proof is invalid.
    pub const INVALID: u8 = 3;
    /// The proof is about another statement.
    pub const MISMATCH: u8 = 4;
    /// An input file holds something unusable.
    pub const DATA: u8 = 65;
    /// An input file does not exist.
    pub const NO_INPUT: u8 = 66;
    /// A defect of this program.
    pub const INTERNAL: u8 = 70;
    /// An output cannot be written.
    pub const CANNOT_WRITE: u8 = 73;
    /// An input exists and cannot be read.
    pub const CANNOT_READ: u8 = 74;
    /// More memory would be needed than is allowed.
    pub const MEMORY: u8 = 75;
}

/// Why a command ended without a result.
#[derive(Debug)]
pub struct CliError {
    /// A stable name, `E-…`.
    pub code: &'static str,
    /// One of [`exit`].
    pub exit: u8,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// What a command returns.
pub type Result<T> = std::result::Result<T, CliError>;

impl CliError {
    fn new(code: &'static str, exit: u8, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, exit, message: message.into(), help: help.into() }
    }

    /// The command line asks for something that cannot be.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new("E-USAGE", exit::USAGE, message, help)
    }

    /// An input holds something unusable.
    pub fn data(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(code, exit::DATA, message, help)
    }

    /// This program contradicts itself.
    pub fn internal(message: impl Into<String>) -> Self {
        let help = "this is a defect of voxcheck; please report it with the command that was run";
        Self::new("E-INTERNAL", exit::INTERNAL, message, help)
    }

    /// The prover would need at least `needed` bytes where `limit` allows `allowed`.
    pub fn memory(needed: u64, allowed: u64, limit: &str) -> Self {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let message =
            format!("proving needs at least about {:.0} MiB, {limit} allows {:.0} MiB", mib(needed), mib(allowed));
        let help = "use a shorter recording, a smaller model, or a machine with more memory; --max-memory SIZE sets \
                    the limit by hand";
        Self::new("E-MEMORY", exit::MEMORY, message, help)
    }

    /// `path` cannot be read.
    pub fn read(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => {
                Self::new("E-NO-INPUT", exit::NO_INPUT, format!("{path} does not exist"), "check the path")
            }
            io::ErrorKind::IsADirectory => {
                Self::new("E-READ", exit::CANNOT_READ, format!("cannot read {path}: it is a folder"), "give a file")
            }
            _ => {
                Self::new("E-READ", exit::CANNOT_READ, format!("cannot read {path}: {error}"), "check its permissions")
            }
        }
    }

    /// `path` cannot be written.
    pub fn write(path: &Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::new(
                "E-EXISTS",
                exit::CANNOT_WRITE,
                format!("{path} exists already"),
                "name another file, or overwrite it with --force",
            ),
            io::ErrorKind::IsADirectory => Self::new(
                "E-WRITE",
                exit::CANNOT_WRITE,
                format!("cannot write {path}: it is a folder"),
                "name a file in it",
            ),
            _ => Self::new(
                "E-WRITE",
                exit::CANNOT_WRITE,
                format!("cannot write {path}: {error}"),
                "check that the folder exists and may be written to",
            ),
        }
    }

    /// The recording `path` cannot be used.
    pub fn audio(path: &Path, error: &AudioError) -> Self {
        let code = match error {
            AudioError::NotFound { source, .. } | AudioError::Io { source, .. } => return Self::read(path, source),
            AudioError::UnsupportedFormat { .. } => "E-WAV-FORMAT",
            AudioError::Truncated { .. } => "E-WAV-TRUNCATED",
            AudioError::Empty => "E-WAV-EMPTY",
            AudioError::Tensor { .. } => "E-TENSOR",
            AudioError::Silent => "E-WAV-SILENT",
            AudioError::TooShort { .. } => "E-WAV-TOO-SHORT",
            AudioError::TooLong { .. } => "E-WAV-TOO-LONG",
            _ => "E-WAV",
        };
        let text = error.to_string();
        let (message, help) = text.rsplit_once("; ").unwrap_or((&text, "record or convert it again"));
        let name = path.display().to_string();
        let mut help = help.replace("-i IN.wav", &format!("-i {name}")).replace("-i IN ", &format!("-i {name} "));
        if matches!(error, AudioError::UnsupportedFormat { kind, .. } if kind == "PCM" || kind == "IEEE float") {
            help = format!("{help}, or with: voxcheck wav resample {name} -o OUT.wav");
        }
        Self::new(code, exit::DATA, format!("{name}: {message}"), help)
    }

    /// The model or network `path` cannot be used, or not on this input.
    pub fn model(path: &Path, error: &ModelError) -> Self {
        let code = match error {
            ModelError::Io { source, .. } => return Self::read(path, source),
            ModelError::Audio(error) => return Self::audio(path, error),
            ModelError::UnsupportedOperator { .. }
            | ModelError::UnsupportedTflite { .. }
            | ModelError::NoIntegerForm { .. } => "E-MODEL-OPERATOR",
            ModelError::UnsupportedAttribute { .. } => "E-MODEL-ATTRIBUTE",
            ModelError::UnsupportedOpset { .. } => "E-MODEL-OPSET",
            ModelError::Shape { .. } => "E-MODEL-SHAPE",
            ModelError::Range { .. } => "E-MODEL-RANGE",
            ModelError::OutOfRange { .. } => "E-OUT-OF-RANGE",
            ModelError::Labels { .. } => "E-MODEL-LABELS",
            ModelError::Activity { .. } => "E-MODEL-ACTIVITY",
            ModelError::NoVoice { .. } => "E-MODEL-VOICE",
            ModelError::Join { .. } => "E-MODEL-JOIN",
            ModelError::Window { .. } => "E-MODEL-WINDOW",
            _ => "E-MODEL",
        };
        let text = error.to_string();
        let usual = match error {
            ModelError::Shape { layer, .. } if layer == "input" => {
                "network and front end, or network and model, do not belong together"
            }
            _ => "check the model with: voxcheck inspect",
        };
        let (message, help) = text.split_once("; ").unwrap_or((&text, usual));
        Self::new(code, exit::DATA, format!("{}: {message}", path.display()), help)
    }

    /// One of our own files, `path`, cannot be used.
    pub fn file(path: &Path, error: &FileError) -> Self {
        let (code, help) = match error.kind {
            "model" => ("E-MODEL", "import the network again with: voxcheck model import"),
            "key" => ("E-KEY", "make the key again with: voxcheck setup"),
            "template" => ("E-TEMPLATE", "enrol again with: voxcheck enrol"),
            "secret" => ("E-SECRET", "give the secret that was written beside the public file, or make both again"),
            "proof" => ("E-PROOF", "ask for the proof again"),
            "audio commitment" => ("E-AUDIO-COMMITMENT", "commit again with: voxcheck commit"),
            "attestation" => ("E-ATTESTATION", "let the device sign again: voxcheck attest sign"),
            "enrolment" => ("E-ENROLMENT", "prove the enrolment again with: voxcheck enrol --proof"),
            _ => ("E-FILE", "make the file again"),
        };
        Self::new(code, exit::DATA, format!("{}: {error}", path.display()), help)
    }

    /// The key of a capture device, `path`, cannot be used.
    #[cfg(feature = "attest")]
    pub fn device_key(path: &Path, error: &voxcheck::attest::DeviceKeyError) -> Self {
        let text = error.to_string();
        let (message, help) = text.rsplit_once("; ").unwrap_or((&text, "make another one"));
        Self::new("E-DEVICE-KEY", exit::DATA, format!("{}: {message}", path.display()), help)
    }

    /// Proving about the recording `path` failed.
    pub fn prove(path: &Path, error: &ProveError) -> Self {
        match error {
            ProveError::Audio(error) => Self::audio(path, error),
            ProveError::Model(error) => Self::model(path, error),
            other => Self::new(
                "E-MISMATCH",
                exit::DATA,
                other.to_string(),
                "use the model, template and secret that were made together",
            ),
        }
    }
}
