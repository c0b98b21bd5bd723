//! What a proof is against, and what it is about: commitments to templates and recordings, and what opens them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Id, digest, threshold_to_cosine};
use crate::files::{self, Row};
use crate::gkr::pcs::Blinds;

/// The public part of an enrolment (`.vxe`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub(crate) model: [u8; 32],
    pub(crate) threshold: u32,
    /// Whose voice it is, for people; may be empty.
    pub(crate) label: String,
    /// Commitments to the recordings that it is of, if it names them.
    #[serde(deserialize_with = "files::short_list")]
    pub(crate) recordings: Vec<AudioCommitment>,
    /// Whether proofs must show that their recording is none of these.
    pub(crate) refuse_replays: bool,
    #[serde(deserialize_with = "Row::deserialize_all")]
    pub(crate) rows: Vec<Row>,
}

/// The private part of an enrolment (`.vxe.secret`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSecret {
    pub(crate) template: [u8; 32],
    pub(crate) values: Vec<i16>,
    #[serde(with = "files::blinds")]
    pub(crate) blinds: Blinds,
    /// What opens the commitments to recordings.
    #[serde(deserialize_with = "files::short_list")]
    pub(crate) recordings: Vec<AudioSecret>,
    /// The recordings, where proofs must show that theirs is another.
    #[serde(deserialize_with = "files::short_list")]
    pub(crate) samples: Vec<Vec<i16>>,
}

impl fmt::Debug for TemplateSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TemplateSecret(…)")
    }
}

impl Drop for TemplateSecret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.values);
        zeroize::Zeroize::zeroize(&mut self.samples);
    }
}

/// The public commitment to a recording (`.vxa`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioCommitment {
    pub(crate) sample_rate: u32,
    pub(crate) num_samples: u32,
    #[serde(deserialize_with = "Row::deserialize_all")]
    pub(crate) rows: Vec<Row>,
}

/// The private part of an [`AudioCommitment`] (`.vxa.secret`): with it, the recording opens the commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioSecret {
    pub(crate) audio: [u8; 32],
    #[serde(with = "files::blinds")]
    pub(crate) blinds: Blinds,
}

impl Template {
    /// The template's id.
    #[must_use]
    pub fn id(&self) -> Id {
        Id { prefix: *b"vxe1", digest: digest("voxcheck template", self) }
    }

    /// The model that made it.
    #[must_use]
    pub fn model_id(&self) -> Id {
        Id { prefix: *b"vxm1", digest: self.model }
    }

    /// The threshold, a cosine.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        threshold_to_cosine(self.threshold)
    }

    /// Whose voice it is; may be empty. Whoever has the template may write another label on another one of theirs.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The recordings that it names; empty if it names none.
    #[must_use]
    pub fn recordings(&self) -> &[AudioCommitment] {
        &self.recordings
    }

    /// Whether a proof against it shows that its recording is none of those that were enrolled, of which it names at least
    /// one. That stops the identical samples only.
    #[must_use]
    pub fn refuses_replays(&self) -> bool {
        self.refuse_replays && !self.recordings.is_empty()
    }

    /// The recordings that one of `num_samples` samples must differ from, and their places.
    pub(crate) fn replays(&self, num_samples: u32) -> impl Iterator<Item = (usize, &AudioCommitment)> {
        let alike = move |recording: &AudioCommitment| self.refuse_replays && recording.num_samples == num_samples;
        self.recordings.iter().enumerate().filter(move |(_, recording)| alike(recording))
    }
}

impl AudioCommitment {
    /// The recording's id.
    #[must_use]
    pub fn id(&self) -> Id {
        Id { prefix: *b"vxa1", digest: digest("voxcheck audio", self) }
    }

    /// Number of samples.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        self.num_samples as usize
    }
}
