//! One network of a model: its front end, its layers, and what its output means.

use serde::{Deserialize, Serialize};

use crate::audio::features::Features;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::layers::lowering::{self, Placed};
use crate::layers::score::THRESHOLD_ONE;
use crate::statement::check_label;

/// Most labels of a reading.
pub const MAX_LABELS: usize = 4096;

/// What the rows that a network gives mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// An embedding: a voice is compared with a template.
    Embedding {
        /// The suitable threshold, in units of `1 / score::THRESHOLD_ONE`.
        threshold: u32,
    },
    /// Values of every chunk of a recording, a row each, or of a tensor. Nothing is decided about them.
    Values,
    /// Logits: the class is the place of the largest, of the first one if several are.
    Class {
        /// What each class is called.
        #[serde(deserialize_with = "crate::files::short_list")]
        labels: Vec<String>,
        /// Samples of the window that is read.
        samples: u32,
    },
    /// A value of every chunk of a recording, which is active where its value is at least `level`.
    Activity {
        /// In units of the last bit of the values.
        level: i32,
    },
}

/// A network of a model, from samples to a row of integers, or one a chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Name, for people.
    pub name: String,
    /// From samples to features.
    pub features: Features,
    /// From features to the output.
    #[serde(deserialize_with = "crate::files::short_list")]
    pub layers: Vec<Placed>,
    /// Entries of a row: the length of the embedding, the number of classes, or values a chunk.
    pub columns: u32,
    /// What they mean.
    pub output: Output,
    /// The number that its constant 0 has among those of the model.
    pub first_constant: u32,
}

/// A network whose output is a class.
#[derive(Clone, Copy, Debug)]
pub struct Classifier<'a> {
    /// The network.
    pub branch: &'a Branch,
    /// What each class is called.
    pub labels: &'a [String],
    /// Samples of the window that is read.
    pub samples: usize,
}

/// What a program has of a recording after a network.
#[derive(Clone, Copy)]
pub(super) struct Lowered {
    pub(super) features: TensorId,
    pub(super) output: TensorId,
}

impl Branch {
    /// Adds the network to a program that has the samples already, see [`Features::lower_on`]; its constants are numbered
    /// from 0.
    pub(super) fn lower(
        &self,
        p: &mut ProgramBuilder,
        samples: TensorId,
        num_samples: usize,
    ) -> Result<Lowered, ModelError> {
        let value = self.features.lower_on(p, samples, num_samples)?;
        let output = lowering::lower(p, &self.layers, value)?.tensor;
        let (found, _) = p.shape(output);
        // Whatever rows a network makes of a tensor are its values.
        let all = self.output == Output::Values && self.features.front_end.tensor().is_some();
        let expected = (if all { found } else { self.rows(num_samples) }, self.columns as usize);
        if p.shape(output) != expected {
            return Err(ModelError::Shape {
                layer: "output".into(),
                expected: format!("{} × {}", expected.0, expected.1),
                found: format!("{} × {}", p.shape(output).0, p.shape(output).1),
            });
        }
        Ok(Lowered { features: value.tensor, output })
    }

    /// Rows of the output: one, or one a chunk; of values of a tensor, as many as the network makes.
    #[must_use]
    pub fn rows(&self, num_samples: usize) -> usize {
        self.features.front_end.chunks().map_or(1, |chunks| chunks.count(num_samples))
    }

    /// Fraction bits of the output.
    #[must_use]
    pub fn fraction_bits(&self) -> i32 {
        self.layers.last().map_or(self.features.fraction_bits, |placed| placed.layer.as_layer().fraction_bits())
    }

    /// The network as one whose output is a class, if it is.
    #[must_use]
    pub fn classifier(&self) -> Option<Classifier<'_>> {
        match &self.output {
            Output::Class { labels, samples } => Some(Classifier { branch: self, labels, samples: *samples as usize }),
            Output::Embedding { .. } | Output::Values | Output::Activity { .. } => None,
        }
    }

    /// The level from which on a chunk is active, if that is what the network is for.
    #[must_use]
    pub fn level(&self) -> Option<i32> {
        match self.output {
            Output::Activity { level } => Some(level),
            Output::Embedding { .. } | Output::Values | Output::Class { .. } => None,
        }
    }

    /// Makes the chunks active whose value is at least `level`.
    pub(super) fn set_level(&mut self, level: f64) -> Result<(), ModelError> {
        let refuse = |reason: String| Err(ModelError::Activity { reason });
        if self.columns != 1 {
            return refuse(format!("the network makes {} values of every chunk, and activity is of one", self.columns));
        }
        let scaled = (level * f64::from(self.fraction_bits()).exp2()).ceil();
        if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&scaled) {
            return refuse(format!("no value reaches a level of {level}"));
        }
        self.output = Output::Activity { level: scaled as i32 };
        Ok(())
    }

    /// Refuses what a file may say but no network does.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let refuse =
            |reason: String| Err(ModelError::Malformed { reason: format!("network {:?} {reason}", self.name) });
        let chunks = self.features.front_end.chunks().is_some();
        let tensor = self.features.front_end.tensor();
        if tensor.is_some_and(|tensor| !tensor.is_valid()) {
            return refuse("takes a tensor of extents that no network has".into());
        }
        let tensor = tensor.is_some();
        match &self.output {
            Output::Embedding { .. } if tensor => refuse("takes a tensor, in which there is no voice".into()),
            Output::Embedding { .. } | Output::Class { .. } if chunks => {
                refuse("makes values of chunks, which are no embedding and no class".into())
            }
            Output::Embedding { threshold } if (1..=THRESHOLD_ONE).contains(threshold) => Ok(()),
            Output::Embedding { .. } => refuse("has a threshold that is not in (0, 1]".into()),
            Output::Values if chunks || tensor => Ok(()),
            Output::Activity { .. } if chunks && self.columns == 1 => Ok(()),
            Output::Activity { .. } => {
                refuse("says which chunks are active, and does not make one value of each".into())
            }
            Output::Values => refuse("makes values of chunks, and its front end has none".into()),
            Output::Class { labels, .. } => {
                check_name(&self.name)?;
                check_labels(labels, self.columns as usize)
            }
        }
    }
}

/// Refuses labels that do not name `classes` classes, each by itself.
pub(crate) fn check_labels(labels: &[String], classes: usize) -> Result<(), ModelError> {
    let refuse = |reason: String| Err(ModelError::Labels { reason });
    if labels.len() != classes || !(2..=MAX_LABELS).contains(&classes) {
        let found = labels.len();
        return refuse(format!(
            "there are {found} labels for {classes} classes, of which there may be 2 to {MAX_LABELS}"
        ));
    }
    let mut sorted: Vec<&str> = labels.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    if let Some((twice, _)) = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a == b) {
        return refuse(format!("the label {twice:?} is given twice"));
    }
    labels.iter().try_for_each(|label| check_name(label))
}

/// Refuses names that are empty, long, or cannot be printed.
pub(crate) fn check_name(name: &str) -> Result<(), ModelError> {
    let wrong = if name.is_empty() { Err("is empty".to_owned()) } else { check_label(name) };
    wrong.map_err(|reason| ModelError::Labels { reason: format!("the name {name:?} {reason}") })
}
