//! Enrol, prove, verify: the statement and its keys.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::audio::wav::Wav;
use crate::error::{AudioError, ModelError};
use crate::model::Model;
use crate::sumcheck::error::VerifyError;

/// What a model, template or recording is called: a prefix and 32 bytes in hex, as in `vxm1:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// `vxm1`, `vxa1` or `vxe1`.
    pub prefix: [u8; 4],
    /// SHA-256 of what is named.
    pub digest: [u8; 32],
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", String::from_utf8_lossy(&self.prefix), hex::encode(self.digest))
    }
}

/// A nonce, session or relying party that a proof is made for: at most 256 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(Vec<u8>);

impl Context {
    /// A context of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a proof reveals besides the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reveal {
    /// Nothing.
    #[default]
    Decision,
    /// The cosine, as the integer `σ` with `σ ≤ 2^15·cos < σ + 1`.
    Score,
    /// The embedding.
    Embedding,
}

/// The verdict of a valid proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The score reaches the threshold.
    Accept,
    /// It does not.
    Reject,
}

/// The public part of an enrolment (`.vxe`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {}

/// The private part of an enrolment (`.vxe.secret`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSecret {}

/// The public commitment to a recording (`.vxa`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioCommitment {}

/// The private part of an [`AudioCommitment`] (`.vxa.secret`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioSecret {}

/// What a proof claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {}

/// A proof (`.vxp`): the statement and the argument for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {}

/// What the prover needs: the model and commitments to its weights.
pub struct ProvingKey {}

/// What the verifier needs (`.vxk`): the model without its weights.
#[derive(Clone, Debug)]
pub struct VerifyingKey {}

/// What a verifier demands of a statement.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The template that the proof must be against.
    pub template: &'a Template,
    /// The context that the proof must be for.
    pub context: &'a Context,
    /// The recording that the proof must be about, if it is known.
    pub audio: Option<&'a AudioCommitment>,
    /// A threshold that the template's must reach.
    pub min_threshold: Option<f64>,
}

/// A statement other than the one demanded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the proof is about another {field}: {found} instead of {expected}")]
pub struct StatementMismatch {
    /// `model`, `template`, `context`, `threshold` or `audio`.
    pub field: &'static str,
    /// What was demanded.
    pub expected: String,
    /// What the proof names.
    pub found: String,
}

/// Why a proof could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The recording is unusable.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The model cannot be run on it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A key, template or secret does not fit.
    #[error("{0}")]
    Mismatch(String),
}

/// A file of ours that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("this is not a usable {kind} file: {reason}")]
pub struct FileError {
    /// `model`, `key`, `template`, `secret`, `proof` or `audio commitment`.
    pub kind: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// Options of [`ProvingKey::prove_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProveOptions<'a> {
    /// What to reveal.
    pub reveal: Reveal,
    /// A commitment that the recording must open.
    pub audio: Option<(&'a AudioCommitment, &'a AudioSecret)>,
}

/// Where the time of a proof went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// Running the program.
    pub execute: Duration,
    /// Committing to the witness.
    pub commit: Duration,
    /// The lookup argument.
    pub lookup: Duration,
    /// The waves of sum-checks.
    pub waves: Duration,
    /// The opening.
    pub open: Duration,
}

/// What proving found out besides the proof.
#[derive(Clone, Debug)]
pub struct Report {
    /// The decision.
    pub verdict: Verdict,
    /// The cosine of recording and template, from the exact integers (not part of the proof unless revealed).
    pub score: f64,
    /// The integer embedding.
    pub embedding: Vec<i64>,
    /// Where the time went.
    pub stages: Stages,
    /// Frames of the front end.
    pub frames: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers.
    pub committed_values: u64,
}

/// Commits to the weights and tables of a model, once for all lengths of audio.
pub fn setup(model: &Model) -> Result<(ProvingKey, VerifyingKey), ModelError> {
    let _ = model;
    todo!()
}

impl ProvingKey {
    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        todo!()
    }

    /// The template of some recordings: the average of their unit embeddings, to be compared at `threshold`
    /// (a cosine in (0, 1]).
    pub fn enrol(&self, recordings: &[Wav], threshold: f64) -> Result<(Template, TemplateSecret), ProveError> {
        let _ = (recordings, threshold);
        todo!()
    }

    /// Commits to a recording.
    pub fn commit_audio(&self, wav: &Wav) -> Result<(AudioCommitment, AudioSecret), ProveError> {
        let _ = wav;
        todo!()
    }

    /// Proves the decision on a recording.
    pub fn prove(
        &self,
        wav: &Wav,
        template: &(Template, TemplateSecret),
        context: &Context,
    ) -> Result<(Statement, Proof), ProveError> {
        let (proof, _) = self.prove_with(wav, &template.0, &template.1, context, &ProveOptions::default())?;
        Ok((proof.statement().clone(), proof))
    }

    /// [`ProvingKey::prove`] with options and a report.
    pub fn prove_with(
        &self,
        wav: &Wav,
        template: &Template,
        secret: &TemplateSecret,
        context: &Context,
        options: &ProveOptions<'_>,
    ) -> Result<(Proof, Report), ProveError> {
        let _ = (wav, template, secret, context, options);
        todo!()
    }
}

impl VerifyingKey {
    /// The id of the model.
    #[must_use]
    pub fn model_id(&self) -> Id {
        todo!()
    }

    /// Compares what a proof claims with what is demanded; cheap, and says nothing about the proof.
    pub fn check_statement(&self, statement: &Statement, expected: &Expected<'_>) -> Result<(), StatementMismatch> {
        let _ = (statement, expected);
        todo!()
    }

    /// Verifies a proof of a statement. Compare the statement with what is demanded first
    /// ([`VerifyingKey::check_statement`]); the template is the one that was checked there.
    pub fn verify(&self, statement: &Statement, proof: &Proof) -> Result<Verdict, VerifyError> {
        let _ = (statement, proof);
        todo!()
    }

    /// The bytes of a `.vxk` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads a `.vxk` file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let _ = bytes;
        todo!()
    }
}

impl Statement {
    /// The decision claimed.
    pub fn verdict(&self) -> Verdict {
        todo!()
    }

    /// The model.
    #[must_use]
    pub fn model_id(&self) -> Id {
        todo!()
    }

    /// The recording.
    #[must_use]
    pub fn audio_id(&self) -> Id {
        todo!()
    }

    /// The template.
    #[must_use]
    pub fn template_id(&self) -> Id {
        todo!()
    }

    /// The context.
    #[must_use]
    pub fn context(&self) -> &Context {
        todo!()
    }

    /// The threshold, a cosine.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        todo!()
    }

    /// Number of samples.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        todo!()
    }

    /// The score, if it is revealed.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        todo!()
    }

    /// The embedding, if it is revealed.
    #[must_use]
    pub fn embedding(&self) -> Option<&[i64]> {
        todo!()
    }
}

macro_rules! file_stub {
    ($($t:ty),*) => {$(
        impl $t {
            /// The bytes of the file.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                todo!()
            }

            /// Reads the file.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
                let _ = bytes;
                todo!()
            }
        }
    )*};
}
file_stub!(Template, TemplateSecret, AudioCommitment, AudioSecret, Proof);

impl Template {
    /// The template's id.
    #[must_use]
    pub fn id(&self) -> Id {
        todo!()
    }

    /// The model that made it.
    #[must_use]
    pub fn model_id(&self) -> Id {
        todo!()
    }

    /// The threshold, a cosine.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        todo!()
    }
}

impl AudioCommitment {
    /// The recording's id.
    #[must_use]
    pub fn id(&self) -> Id {
        todo!()
    }

    /// Number of samples.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        todo!()
    }
}

impl Proof {
    /// What is claimed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        todo!()
    }

    /// Name, offset and length in bytes of every field of the file, in order.
    #[must_use]
    pub fn sections(&self) -> Vec<(String, usize, usize)> {
        todo!()
    }
}
