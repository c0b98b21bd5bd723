//! What a proof says. Templates and recordings are in `template`, the files of all in `file`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files;
use crate::gkr::pcs::Commitment;
use crate::gkr::program::SHARED_WIDTH_VARS;
use crate::layers::score::THRESHOLD_ONE;
use crate::model::{Spec, Tail};
use crate::sumcheck::int::{IntTable, IntVec};

mod file;
mod template;

pub(crate) use self::file::check_label;
pub use self::template::{AudioCommitment, AudioSecret, Template, TemplateSecret};

/// Bytes of the longest context.
pub const MAX_CONTEXT: usize = 256;
/// Bytes of the longest label of a template.
pub const MAX_LABEL: usize = 64;
/// Most recordings that a template names.
pub const MAX_RECORDINGS: usize = 16;

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

/// A nonce, session or relying party that a proof is made for: at most [`MAX_CONTEXT`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The embedding, or what a network makes of every chunk.
    Embedding,
}

/// The verdict of a valid proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub enum Verdict {
    /// The score reaches the threshold; or there is no template, and what the recording says is all that is proved.
    Accept,
    /// It does not.
    Reject,
}

/// What a recording says: the class that a network of the model gives for a window of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The class, from 0.
    pub class: u32,
    /// The first sample of the window.
    pub start: u32,
}

/// A capture device's signature over a recording, a context and a time. Whether it is one is checked by
/// [`attest`](crate::attest), by those who demand it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub(crate) audio: [u8; 32],
    pub(crate) time: u64,
    /// Both halves.
    pub(crate) signature: [[u8; 32]; 2],
}

/// What is revealed, as it stands in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Revealed {
    Decision,
    Score(i32),
    Embedding(#[serde(deserialize_with = "files::short_list")] Vec<i64>),
    Activity(#[serde(deserialize_with = "files::short_list")] Vec<bool>),
}

/// Whether a proof hides what it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Messages are sent as they are: whoever has the proof can compute with what it is about. For debugging.
    Clear,
    /// Zero knowledge: the proof tells nothing but its statement.
    #[default]
    Zk,
}

impl Mode {
    /// `clear` or `zk`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Zk => "zk",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a proof claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub(crate) mode: Mode,
    pub(crate) model: [u8; 32],
    pub(crate) audio: AudioCommitment,
    /// What the voice is compared with; none where the model is about no voice.
    pub(crate) template: Option<Template>,
    pub(crate) context: Context,
    pub(crate) verdict: Verdict,
    pub(crate) revealed: Revealed,
    /// One for each network of the model that gives a class.
    #[serde(deserialize_with = "files::short_list")]
    pub(crate) readings: Vec<Reading>,
    pub(crate) attestation: Option<Attestation>,
}

/// A proof (`.vxp`): the statement and the argument for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(crate) statement: Statement,
    pub(crate) argument: Vec<u8>,
}

/// SHA-256 of a domain and an encoded value.
pub(crate) fn digest<T: Serialize>(domain: &str, value: &T) -> [u8; 32] {
    Sha256::new_with_prefix(domain).chain_update(files::encode(value)).finalize().into()
}

/// A threshold as an integer in `(0, THRESHOLD_ONE]`.
pub(crate) fn threshold_to_integer(threshold: f64) -> Option<u32> {
    let scaled = (threshold * f64::from(THRESHOLD_ONE)).round();
    (scaled >= 1.0 && scaled <= f64::from(THRESHOLD_ONE)).then_some(scaled as u32)
}

pub(crate) fn threshold_to_cosine(threshold: u32) -> f64 {
    f64::from(threshold) / f64::from(THRESHOLD_ONE)
}

impl Statement {
    /// The decision claimed.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the proof hides what it is about.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The model.
    #[must_use]
    pub fn model_id(&self) -> Id {
        Id { prefix: *b"vxm1", digest: self.model }
    }

    /// The recording.
    #[must_use]
    pub fn audio_id(&self) -> Id {
        self.audio.id()
    }

    /// The signature of a capture device over recording and context, if it has one; not checked here.
    #[must_use]
    pub fn attestation(&self) -> Option<&Attestation> {
        self.attestation.as_ref()
    }

    /// What the proof is against; none if the model is about no voice.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// The id of what the proof is against.
    #[must_use]
    pub fn template_id(&self) -> Option<Id> {
        self.template.as_ref().map(Template::id)
    }

    /// What the recording says, one for each of [`Spec::readings`](crate::model::Spec::readings).
    #[must_use]
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The threshold, a cosine, if there is a template.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.template.as_ref().map(Template::threshold)
    }

    /// Number of samples.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        self.audio.num_samples as usize
    }

    /// Whether the samples are those of a recording; if not, they are the integers of an input tensor.
    #[must_use]
    pub fn is_about_audio(&self) -> bool {
        self.audio.sample_rate > 0
    }

    /// The score, if it is revealed.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        match self.revealed {
            Revealed::Score(score) => Some(f64::from(score) / f64::from(THRESHOLD_ONE)),
            Revealed::Decision | Revealed::Embedding(_) | Revealed::Activity(_) => None,
        }
    }

    /// The embedding, or what the network makes of every chunk, one after another, if it is revealed.
    #[must_use]
    pub fn embedding(&self) -> Option<&[i64]> {
        match &self.revealed {
            Revealed::Embedding(embedding) => Some(embedding),
            Revealed::Decision | Revealed::Score(_) | Revealed::Activity(_) => None,
        }
    }

    /// Which chunks are active, of a model that says so.
    #[must_use]
    pub fn activity(&self) -> Option<&[bool]> {
        match &self.revealed {
            Revealed::Activity(active) => Some(active),
            Revealed::Decision | Revealed::Score(_) | Revealed::Embedding(_) => None,
        }
    }

    /// Whether the revealed score, if there is one, is a cosine.
    pub(crate) fn score_is_cosine(&self) -> bool {
        let one = THRESHOLD_ONE as i32;
        !matches!(self.revealed, Revealed::Score(score) if !(-one..=one).contains(&score))
    }

    /// Whether the statement claims no more than a model of this specification shows, and no rejection without a template.
    pub(crate) fn is_decided(&self, spec: &Spec) -> bool {
        let revealed = match (&self.revealed, spec.values()) {
            (Revealed::Decision, values) => values.is_none(),
            (Revealed::Score(_), _) => self.template.is_some(),
            (Revealed::Embedding(_), values) => self.template.is_some() || values.is_some(),
            (Revealed::Activity(_), values) => values.is_some_and(|branch| branch.level().is_some()),
        };
        revealed && (self.template.is_some() || self.verdict == Verdict::Accept)
    }

    /// What the program ends in.
    #[must_use]
    pub fn tail(&self) -> Tail {
        let score = match self.revealed {
            Revealed::Score(score) => Some(score),
            Revealed::Decision | Revealed::Embedding(_) | Revealed::Activity(_) => None,
        };
        let embedding = matches!(self.revealed, Revealed::Embedding(_));
        let activity = matches!(self.revealed, Revealed::Activity(_));
        let threshold = self.template.as_ref().map(|template| template.threshold);
        let (replays, readings) = (self.replays().len(), self.readings.clone());
        Tail { threshold, score, embedding, activity, replays, readings }
    }

    /// The enrolled recordings that this one must be shown to be none of: those of another length are others.
    fn replays(&self) -> Vec<&AudioCommitment> {
        let template = self.template.iter();
        template.flat_map(|template| template.replays(self.audio.num_samples)).map(|(_, recording)| recording).collect()
    }

    /// The public outputs, whose shapes are those of the statement: an embedding has one row, values have one of `columns`
    /// for every chunk.
    pub(crate) fn outputs(&self, columns: usize) -> Vec<IntTable> {
        let mut outputs = Vec::new();
        if self.template.is_some() {
            outputs.push(IntTable::new(1, 1, IntVec::I8(vec![i8::from(self.verdict == Verdict::Accept)])));
        }
        match &self.revealed {
            Revealed::Decision | Revealed::Score(_) => {}
            Revealed::Embedding(values) => {
                let rows = values.len().checked_div(columns).filter(|rows| rows * columns == values.len());
                // What does not fit is a row of its own length, which no program has.
                let (rows, columns) = rows.map_or((1, values.len()), |rows| (rows, columns));
                outputs.push(IntTable::new(rows, columns, IntVec::I64(values.clone())));
            }
            Revealed::Activity(active) => {
                let bits = active.iter().map(|&active| i8::from(active)).collect();
                outputs.push(IntTable::new(active.len(), 1, IntVec::I8(bits)));
            }
        }
        outputs
    }

    /// Commitments to samples, template if there is one, and the recordings that these samples are none of.
    pub(crate) fn input_commitments(&self) -> Vec<Commitment> {
        let replays = self.replays().into_iter().map(|recording| &recording.rows);
        let template = self.template.iter().map(|template| &template.rows);
        let rows = std::iter::once(&self.audio.rows).chain(template).chain(replays);
        rows.map(|rows| files::commitment(SHARED_WIDTH_VARS, rows)).collect()
    }
}

impl Proof {
    /// What is claimed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}
