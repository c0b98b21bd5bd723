//! What is public about a model, and the programs that it makes.

use serde::{Deserialize, Serialize};

use super::{MAX_SAMPLES, RANGE_BITS, TEMPLATE_BITS, TEMPLATE_FRACTION_BITS};
use crate::audio::features::{Features, samples_input};
use crate::error::ModelError;
use crate::gkr::builder::{ProgramBuilder, Recipes};
use crate::gkr::program::{Program, ProgramError, TensorId};
use crate::layers::lowering::{self, Placed};
use crate::layers::{norm, replay, score};

/// What is public about a model: everything but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Name, for people.
    pub name: String,
    /// From samples to features.
    pub features: Features,
    /// From features to the embedding.
    #[serde(deserialize_with = "crate::files::short_list")]
    pub layers: Vec<Placed>,
    /// Length of the embedding; of samples in chunks, values a chunk.
    pub embedding_len: u32,
    /// Fewest samples.
    pub min_samples: u32,
    /// Most samples.
    pub max_samples: u32,
    /// The suitable threshold, in units of `1 / score::THRESHOLD_ONE`.
    pub threshold: u32,
}

/// What a program ends in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The decision at this threshold, if there is a template.
    pub threshold: Option<u32>,
    /// The score to be shown.
    pub score: Option<i32>,
    /// Whether the embedding is a public output.
    pub embedding: bool,
    /// Recordings of the same length, committed before, that this one is shown to be none of.
    pub replays: usize,
}

/// A program of a model for one length of audio.
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// How its witness is computed.
    pub recipes: Recipes,
    /// The embedding: a row. Of samples in chunks, what the network makes of each: a row a chunk.
    pub embedding: TensorId,
}

/// What a program has of a recording.
struct Embedded {
    samples: TensorId,
    features: TensorId,
    embedding: TensorId,
}

/// A template as an input, ranged.
fn template_input(p: &mut ProgramBuilder, len: usize) -> Result<TensorId, ProgramError> {
    let half = 1i128 << (TEMPLATE_BITS - 1);
    let template = p.input("template", (1, len), -half, half - 1)?;
    p.range(p.whole(template), -half, TEMPLATE_BITS)?;
    Ok(template)
}

impl Spec {
    /// The program for `num_samples` samples. Both sides call this.
    pub fn lower(&self, num_samples: usize, tail: Tail) -> Result<Lowered, ModelError> {
        self.check_length(num_samples)?;
        let mut p = ProgramBuilder::new(RANGE_BITS);
        let Embedded { samples, features, embedding } = self.embed(&mut p, num_samples)?;
        if let Some(tau) = tail.threshold {
            self.check_single()?;
            let template = template_input(&mut p, self.embedding_len as usize)?;
            score::decide(&mut p, features, embedding, template, tau)?;
            if let Some(score) = tail.score {
                score::reveal(&mut p, embedding, template, score)?;
            }
        }
        if tail.embedding {
            p.output(embedding);
        }
        for number in 1..=tail.replays {
            let name = format!("enrolled recording {number}");
            let block = p.shape(samples).1;
            let enrolled = samples_input(&mut p, &name, num_samples, block)?;
            replay::differ(&mut p, &name, samples, enrolled)?;
        }
        let (program, recipes) = p.finish()?;
        Ok(Lowered { program, recipes, embedding })
    }

    /// The program that makes a template of recordings of these lengths, which are shown to be audible and all different.
    /// With `given`, the template is an input and shown to be the one; without, it is a public output.
    pub(crate) fn lower_enrolment(&self, lengths: &[usize], given: bool) -> Result<Lowered, ModelError> {
        self.check_single()?;
        let mut p = ProgramBuilder::new(RANGE_BITS);
        let mut recordings: Vec<Embedded> = Vec::with_capacity(lengths.len());
        for &num_samples in lengths {
            self.check_length(num_samples)?;
            let recording = self.embed(&mut p, num_samples)?;
            let audible = score::audible(&mut p, recording.features)?;
            p.output(audible);
            for (number, (other, &length)) in recordings.iter().zip(lengths).enumerate() {
                if length == num_samples {
                    let name = format!("recordings {} and {}", number + 1, recordings.len() + 1);
                    replay::differ(&mut p, &name, other.samples, recording.samples)?;
                }
            }
            recordings.push(recording);
        }
        let embeddings: Vec<TensorId> = recordings.iter().map(|recording| recording.embedding).collect();
        let template = norm::unit_average(&mut p, &embeddings, TEMPLATE_BITS, TEMPLATE_FRACTION_BITS)?;
        if given {
            let input = template_input(&mut p, self.embedding_len as usize)?;
            let terms = vec![(1, p.whole(template)), (-1, p.whole(input))];
            let difference = p.linear("enrolment/difference", terms, 0)?;
            p.zero(difference);
        } else {
            p.output(template);
        }
        let (program, recipes) = p.finish()?;
        Ok(Lowered { program, recipes, embedding: template })
    }

    /// From samples to embedding.
    fn embed(&self, p: &mut ProgramBuilder, num_samples: usize) -> Result<Embedded, ModelError> {
        let (samples, value) = self.features.lower(p, num_samples)?;
        let features = value.tensor;
        let embedding = lowering::lower(p, &self.layers, value)?.tensor;
        let expected = (self.rows(num_samples), self.embedding_len as usize);
        if p.shape(embedding) != expected {
            return Err(ModelError::Shape {
                layer: "embedding".into(),
                expected: format!("{} × {}", expected.0, expected.1),
                found: format!("{} × {}", p.shape(embedding).0, p.shape(embedding).1),
            });
        }
        Ok(Embedded { samples, features, embedding })
    }

    /// What a proof of a recording ends in: a decision at this threshold, or what the network makes of every chunk.
    pub(crate) fn usual_tail(&self, threshold: u32) -> Tail {
        let chunks = self.features.front_end.chunks().is_some();
        Tail { threshold: (!chunks).then_some(threshold), embedding: chunks, ..Tail::default() }
    }

    /// Rows of what the network makes of a recording: one, the embedding, or one a chunk.
    #[must_use]
    pub fn rows(&self, num_samples: usize) -> usize {
        self.features.front_end.chunks().map_or(1, |chunks| chunks.count(num_samples))
    }

    /// Refuses to compare what is no embedding.
    pub(super) fn check_single(&self) -> Result<(), ModelError> {
        if self.features.front_end.chunks().is_none() {
            return Ok(());
        }
        Err(ModelError::Shape {
            layer: "embedding".into(),
            expected: "a network that makes one embedding of a recording".into(),
            found: format!("one that makes {} value(s) of every chunk", self.embedding_len),
        })
    }

    fn check_length(&self, num_samples: usize) -> Result<(), ModelError> {
        if (self.min_samples as usize..=self.max_samples as usize).contains(&num_samples) {
            return Ok(());
        }
        Err(ModelError::Shape {
            layer: "samples".into(),
            expected: format!("{} to {} samples", self.min_samples, self.max_samples),
            found: format!("{num_samples} samples"),
        })
    }

    /// Refuses what a file may say but no model does, before any of it is computed with.
    pub(crate) fn check_limits(&self) -> Result<(), ModelError> {
        if self.min_samples <= self.max_samples && self.max_samples as usize <= MAX_SAMPLES {
            return Ok(());
        }
        Err(ModelError::Shape {
            layer: "samples".into(),
            expected: format!("at most {MAX_SAMPLES} samples"),
            found: format!("{} to {} samples", self.min_samples, self.max_samples),
        })
    }

    /// Fraction bits of the embedding.
    #[must_use]
    pub fn embedding_fraction_bits(&self) -> i32 {
        self.layers.last().map_or(self.features.fraction_bits, |placed| placed.layer.as_layer().fraction_bits())
    }
}
