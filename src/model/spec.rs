//! What is public about a model, and the programs that it makes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::branch::{self, Branch, Classifier, Output, check_name};
use super::{MAX_READINGS, MAX_SAMPLES, RANGE_BITS, TEMPLATE_BITS, TEMPLATE_FRACTION_BITS};
use crate::audio::features::samples_input;
use crate::error::ModelError;
use crate::gkr::builder::{ProgramBuilder, Recipes};
use crate::gkr::program::{MAX_WIDTH_VARS, Program, ProgramError, SHARED_WIDTH_VARS, TensorId, best_constant_width};
use crate::gkr::view::{RowMap, View};
use crate::layers::{activity, argmax, norm, replay, score};
use crate::statement::Reading;
use crate::sumcheck::int::IntTable;

/// What is public about a model: everything but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Name, for people.
    pub name: String,
    /// The network of the model, or the first of several: only this one may be about a voice.
    pub first: Branch,
    /// More networks that read the same recording.
    #[serde(deserialize_with = "crate::files::short_list")]
    pub others: Vec<Branch>,
    /// Fewest samples.
    pub min_samples: u32,
    /// Most samples.
    pub max_samples: u32,
    /// Variables of a row of the commitments to large weights, see
    /// [`constant_width_vars`](crate::gkr::program::constant_width_vars).
    pub weight_width_vars: u32,
}

/// What a program ends in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The decision at this threshold, if there is a template.
    pub threshold: Option<u32>,
    /// The score to be shown.
    pub score: Option<i32>,
    /// Whether the embedding, or what the network makes of every chunk, is a public output.
    pub embedding: bool,
    /// Whether it is a public output which chunks are active.
    pub activity: bool,
    /// Recordings of the same length, committed before, that this one is shown to be none of.
    pub replays: usize,
    /// The classes that are shown, one for each network that gives one.
    pub readings: Vec<Reading>,
}

/// [`Spec::weight_width_vars`] for these weights.
pub(super) fn weight_width_vars(constants: &[Arc<IntTable>]) -> u32 {
    best_constant_width(constants.iter().map(|table| (table.rows(), table.cols()))) as u32
}

/// A program of a model for one length of audio.
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// How its witness is computed.
    pub recipes: Recipes,
    /// The embedding: a row. The logits where the program is about a network that gives a class; of samples in chunks, what
    /// the network makes of each: a row a chunk.
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
    /// All networks.
    pub fn branches(&self) -> impl Iterator<Item = &Branch> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The networks that give classes, in order.
    pub fn readings(&self) -> impl Iterator<Item = Classifier<'_>> {
        self.branches().filter_map(Branch::classifier)
    }

    /// The network that is about a voice, and its threshold in units of `1 / score::THRESHOLD_ONE`.
    #[must_use]
    pub fn voice(&self) -> Option<(&Branch, u32)> {
        match self.first.output {
            Output::Embedding { threshold } => Some((&self.first, threshold)),
            Output::Class { .. } | Output::Values | Output::Activity { .. } => None,
        }
    }

    /// The network that makes values of every chunk.
    #[must_use]
    pub fn values(&self) -> Option<&Branch> {
        matches!(self.first.output, Output::Values | Output::Activity { .. }).then_some(&self.first)
    }

    /// The network that says which chunks are active, and the value from which on one is.
    #[must_use]
    pub fn activity(&self) -> Option<(&Branch, f64)> {
        let level = self.first.level()?;
        Some((&self.first, f64::from(level) * f64::from(-self.first.fraction_bits()).exp2()))
    }

    /// The network that is about a voice.
    pub(super) fn require_voice(&self) -> Result<&Branch, ModelError> {
        let readings = || self.readings().map(|reading| reading.branch.name.clone()).collect();
        self.voice().map(|(branch, _)| branch).ok_or_else(|| ModelError::NoVoice { readings: readings() })
    }

    /// Samples a second.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.first.features.front_end.sample_rate
    }

    /// A tail with everything that the model can show, for those who only look at the program.
    #[must_use]
    pub fn whole_tail(&self, threshold: Option<u32>) -> Tail {
        let readings = self.readings().map(|_| Reading { class: 0, start: 0 }).collect();
        let threshold = threshold.filter(|_| self.voice().is_some());
        let activity = self.first.level().is_some();
        let embedding = threshold.is_none() && self.first.classifier().is_none() && !activity;
        Tail { threshold, embedding, activity, readings, ..Tail::default() }
    }

    /// The program for `num_samples` samples. Both sides call this.
    ///
    /// # Soundness
    /// Samples outside of the recording are zero, and readings that the tail does not have are not shown: callers compare with
    /// [`Spec::readings`] and [`Classifier::samples`] first.
    pub fn lower(&self, num_samples: usize, tail: &Tail) -> Result<Lowered, ModelError> {
        self.check_length(num_samples)?;
        let mut p = self.builder();
        let samples = samples_input(&mut p, "samples", num_samples, self.block(&tail.readings))?;
        let mut output = None;
        let compares = tail.threshold.is_some() || tail.score.is_some();
        if compares || tail.embedding || tail.activity {
            let values = self.values().filter(|_| !compares);
            let branch = values.map_or_else(|| self.require_voice(), Ok)?;
            let embedded = embed(&mut p, branch, samples, num_samples)?;
            output = Some(embedded.embedding);
            decide(&mut p, branch, &embedded, tail)?;
        }
        for (reading, shown) in self.readings().zip(&tail.readings) {
            // Layers of the first network are called what they are called in it.
            let scope = if std::ptr::eq(reading.branch, &self.first) { "" } else { &reading.branch.name };
            let logits = p.scoped(scope, reading.branch.first_constant, |p| read(p, reading, samples, shown))?;
            output = output.or(Some(logits));
        }
        for number in 1..=tail.replays {
            let name = format!("enrolled recording {number}");
            let block = p.shape(samples).1;
            let enrolled = samples_input(&mut p, &name, num_samples, block)?;
            replay::differ(&mut p, &name, samples, enrolled)?;
        }
        let (program, recipes) = p.finish()?;
        let nothing = || ModelError::Malformed { reason: "there is nothing to show about a recording".into() };
        Ok(Lowered { program, recipes, embedding: output.ok_or_else(nothing)? })
    }

    /// The program of a single network on `num_samples` samples, with its row as a public output.
    pub(crate) fn lower_branch(&self, branch: &Branch, num_samples: usize) -> Result<Lowered, ModelError> {
        let mut p = self.builder();
        let samples = samples_input(&mut p, "samples", num_samples, branch.features.block())?;
        let embedding = embed(&mut p, branch, samples, num_samples)?.embedding;
        p.output(embedding);
        let (program, recipes) = p.finish()?;
        Ok(Lowered { program, recipes, embedding })
    }

    /// The program that makes a template of recordings of these lengths, which are shown to be audible and all different.
    /// With `given`, the template is an input and shown to be the one; without, it is a public output.
    pub(crate) fn lower_enrolment(&self, lengths: &[usize], given: bool) -> Result<Lowered, ModelError> {
        let branch = self.require_voice()?;
        let mut p = self.builder();
        let mut recordings: Vec<Embedded> = Vec::with_capacity(lengths.len());
        for &num_samples in lengths {
            self.check_length(num_samples)?;
            let samples = samples_input(&mut p, "samples", num_samples, branch.features.block())?;
            let recording = embed(&mut p, branch, samples, num_samples)?;
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
            let input = template_input(&mut p, branch.columns as usize)?;
            let terms = vec![(1, p.whole(template)), (-1, p.whole(input))];
            let difference = p.linear("enrolment/difference", terms, 0)?;
            p.zero(difference);
        } else {
            p.output(template);
        }
        let (program, recipes) = p.finish()?;
        Ok(Lowered { program, recipes, embedding: template })
    }

    /// Samples of a row of the recording: the largest power of two that suits all networks that look at it, and divides starts
    /// and lengths of windows, so that these are whole rows. What is committed does not depend on it.
    fn block(&self, shown: &[Reading]) -> usize {
        let first = self.first.classifier().is_none().then(|| self.first.features.block());
        let windows = self.readings().zip(shown).flat_map(|(reading, shown)| {
            let divides = |n: usize| 1 << n.trailing_zeros().min(usize::BITS - 2);
            [reading.branch.features.block(), divides(reading.samples), divides(shown.start as usize)]
        });
        first.into_iter().chain(windows).min().unwrap_or(1)
    }

    fn builder(&self) -> ProgramBuilder {
        ProgramBuilder::new(RANGE_BITS).with_weight_width_vars(self.weight_width_vars as usize)
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
        if self.min_samples > self.max_samples || self.max_samples as usize > MAX_SAMPLES {
            return Err(ModelError::Shape {
                layer: "samples".into(),
                expected: format!("at most {MAX_SAMPLES} samples"),
                found: format!("{} to {} samples", self.min_samples, self.max_samples),
            });
        }
        let refuse = |reason: &str| Err(ModelError::Malformed { reason: reason.into() });
        if !(SHARED_WIDTH_VARS..=MAX_WIDTH_VARS).contains(&(self.weight_width_vars as usize)) {
            return refuse("its weights are committed in rows of a length that no model has");
        }
        if self.branches().count() > MAX_READINGS {
            return refuse("it has too many networks");
        }
        if self.others.iter().any(|other| other.classifier().is_none()) {
            return refuse("only its first network may be about a voice");
        }
        if self.branches().any(|branch| branch.features.front_end.sample_rate != self.sample_rate()) {
            return refuse("its networks take recordings of different rates");
        }
        if self.readings().any(|reading| reading.samples == 0 || reading.samples > self.min_samples as usize) {
            return refuse("a recording may be shorter than a window that is read");
        }
        let mut names: Vec<&str> = self.readings().map(|reading| reading.branch.name.as_str()).collect();
        names.sort_unstable();
        if names.iter().zip(names.iter().skip(1)).any(|(a, b)| a == b) {
            return refuse("two of its networks have one name");
        }
        names.iter().try_for_each(|name| check_name(name))?;
        self.branches().try_for_each(Branch::check)
    }

    /// Fraction bits of the embedding, or of the logits of a model that has no voice.
    #[must_use]
    pub fn embedding_fraction_bits(&self) -> i32 {
        self.first.fraction_bits()
    }
}

/// From samples to embedding.
fn embed(
    p: &mut ProgramBuilder,
    branch: &Branch,
    samples: TensorId,
    num_samples: usize,
) -> Result<Embedded, ModelError> {
    let lowered = p.scoped("", branch.first_constant, |p| branch.lower(p, samples, num_samples));
    let branch::Lowered { features, output } = lowered?;
    Ok(Embedded { samples, features, embedding: output })
}

/// What is shown about an embedding.
fn decide(p: &mut ProgramBuilder, branch: &Branch, embedded: &Embedded, tail: &Tail) -> Result<(), ModelError> {
    let &Embedded { features, embedding, .. } = embedded;
    if let Some(tau) = tail.threshold {
        let template = template_input(p, branch.columns as usize)?;
        score::decide(p, features, embedding, template, tau)?;
        if let Some(score) = tail.score {
            score::reveal(p, embedding, template, score)?;
        }
    }
    if tail.embedding {
        p.output(embedding);
    }
    if let (true, Some(level)) = (tail.activity, branch.level()) {
        let active = activity::at_least(p, "activity", embedding, level.into())?;
        p.output(active);
    }
    Ok(())
}

/// Shows the class of a window of a recording; returns its logits.
fn read(
    p: &mut ProgramBuilder,
    reading: Classifier<'_>,
    samples: TensorId,
    shown: &Reading,
) -> Result<TensorId, ModelError> {
    let (rows, block) = p.shape(samples);
    let map = RowMap::slice(rows, (shown.start as usize / block) as i64, reading.samples / block);
    let window = p.linear("window", vec![(1, View::rows(samples, map))], 0)?;
    let logits = reading.branch.lower(p, window, reading.samples)?.output;
    argmax::is_class(p, "class", logits, shown.class as usize)?;
    Ok(logits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn reading(name: &str, samples: u32) -> Branch {
        let first = Model::bundled().unwrap().spec().first.clone();
        let labels = (0..first.columns).map(|class| class.to_string()).collect();
        Branch { name: name.into(), output: Output::Class { labels, samples }, ..first }
    }

    /// What a file may say, and no model does.
    #[test]
    fn specifications_that_no_model_has_are_refused() {
        let bundled = Model::bundled().unwrap().spec().clone();
        let with = |change: &dyn Fn(&mut Spec)| {
            let mut spec = Spec { others: vec![reading("word", 400)], ..bundled.clone() };
            spec.min_samples = 8_000;
            change(&mut spec);
            spec.check_limits()
        };
        assert!(with(&|_| ()).is_ok());
        let labels = |spec: &mut Spec, labels: Vec<String>| {
            spec.others[0].output = Output::Class { labels, samples: 400 };
        };
        type Change<'a> = (&'static str, &'a dyn Fn(&mut Spec));
        let changes: [Change<'_>; 16] = [
            ("short rows", &|s| s.weight_width_vars = 9),
            ("long rows", &|s| s.weight_width_vars = 13),
            ("no length", &|s| s.min_samples = s.max_samples + 1),
            ("a long recording", &|s| s.max_samples = MAX_SAMPLES as u32 + 1),
            ("two voices", &|s| s.others.push(s.first.clone())),
            ("two words of one name", &|s| s.others.push(reading("word", 400))),
            ("many words", &|s| s.others = (0..8).map(|n| reading(&n.to_string(), 400)).collect()),
            ("a word of no name", &|s| s.others[0].name.clear()),
            ("a word of a long name", &|s| s.others[0].name = "x".repeat(65)),
            ("another rate", &|s| s.others[0].features.front_end.sample_rate = 8_000),
            ("a long window", &|s| s.others[0] = reading("word", 8_001)),
            ("an empty window", &|s| s.others[0] = reading("word", 0)),
            ("no labels", &|s| labels(s, Vec::new())),
            ("a label too few", &|s| labels(s, (1..128).map(|n| n.to_string()).collect())),
            ("a label twice", &|s| labels(s, (0..128).map(|n| (n / 2).to_string()).collect())),
            ("no threshold", &|s| s.first.output = Output::Embedding { threshold: 0 }),
        ];
        for (name, change) in changes {
            assert!(with(change).is_err(), "{name}");
        }
    }

    /// Constants that a file numbers beyond all numbers, or beyond those that there are.
    #[test]
    fn constants_are_those_of_the_model() {
        let model = Model::bundled().unwrap();
        let spec = model.spec().clone();
        for first_constant in [u32::MAX, 1 << 20] {
            let branch = Branch { first_constant, ..reading("word", 8_000) };
            let spec = Spec { others: vec![branch], min_samples: 8_000, ..spec.clone() };
            spec.check_limits().unwrap();
            let lowered = spec.lower(8_000, &spec.whole_tail(None));
            let known = |lowered: &Lowered| {
                lowered.program.constants().iter().all(|&(_, number)| (number as usize) < model.constants().len())
            };
            assert!(!lowered.is_ok_and(|lowered| known(&lowered)), "{first_constant}");
        }
    }

    #[test]
    fn windows_are_rows() {
        let spec = Spec { others: vec![reading("word", 400)], ..Model::bundled().unwrap().spec().clone() };
        let block = |start| spec.block(&[Reading { class: 0, start }]);
        for (start, rows) in [(0, 16), (1, 1), (2, 2), (8, 8), (160, 16), (u32::MAX, 1)] {
            assert_eq!(block(start), rows, "{start}");
        }
        assert_eq!(spec.block(&[]), spec.first.features.block());
    }
}
