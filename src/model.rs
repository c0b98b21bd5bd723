//! A model: a front end and a network in integers, with everything that its id binds.

mod branch;
mod builder;
mod file;
mod join;
mod reading;
mod spec;

pub use self::branch::{Branch, Classifier, MAX_LABELS, Output};
pub use self::builder::ModelBuilder;
pub use self::spec::{Lowered, Spec, Tail};

use std::path::Path;
use std::sync::Arc;

use crate::audio::FrontEnd;
use crate::calibration;
pub use crate::compare::LayerDifference;
pub use crate::cost::{Cost, LayerCost};
use crate::error::{AudioError, ModelError};
use crate::gkr::program::Program;
use crate::gkr::trace::Trace;
use crate::layers::network::Network;
use crate::layers::{onnx, tflite};
use crate::statement::threshold_to_cosine;
use crate::sumcheck::int::{IntTable, IntVec};

/// Bits of the range table of models that take audio.
const RANGE_BITS: usize = 16;
/// Most samples of a proof: a minute at 16 kHz.
pub(crate) const MAX_SAMPLES: usize = 60 * 16_000;
/// Most networks of a model.
pub const MAX_READINGS: usize = 8;
/// Bits of an entry of a template.
pub const TEMPLATE_BITS: usize = 16;
/// Fraction bits of an entry of a template: an entry of a unit vector is at most 1.
const TEMPLATE_FRACTION_BITS: u32 = 14;

/// A quantized model: from 16-bit samples to an embedding, to the class of a window, or to both, in exact integer
/// arithmetic.
#[derive(Clone, Debug)]
pub struct Model {
    spec: Arc<Spec>,
    constants: Arc<Vec<Arc<IntTable>>>,
    /// The float original, outside of what the id binds.
    onnx: Option<Arc<Vec<u8>>>,
}

/// Threshold of a model that does not say which one suits it.
const DEFAULT_THRESHOLD: f64 = 0.66;

/// Name of the bundled model.
pub const BUNDLED: &str = "xvector-small";
/// The models that are part of this library, and their bytes.
const BUILT_IN: [(&str, &[u8]); 2] = [
    (BUNDLED, include_bytes!("../assets/models/xvector-small.vxm")),
    ("ecapa-small", include_bytes!("../assets/models/ecapa-small.vxm")),
];

impl Model {
    /// Reads an ONNX network; the same as [`from_network_file`](Self::from_network_file).
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<ModelBuilder, ModelError> {
        Self::from_network_file(path)
    }

    /// Reads a network of ONNX or TensorFlow Lite, told apart by its bytes; the model carries the ONNX that [`tflite::to_onnx`]
    /// makes of the latter. The front end is [`FrontEnd::logmel40`] unless another is set.
    pub fn from_network_file(path: impl AsRef<Path>) -> Result<ModelBuilder, ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        let name = path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
        // Tensors may lie in files beside it; a model carries its original whole.
        let onnx = onnx::prepare(tflite::as_onnx(bytes)?, path.parent(), &onnx::Settings::default())?;
        Self::from_onnx_bytes(onnx, &name)
    }

    /// Reads an ONNX network from memory.
    pub fn from_onnx_bytes(onnx: Vec<u8>, name: &str) -> Result<ModelBuilder, ModelError> {
        let network = onnx::read(&onnx)?;
        Ok(ModelBuilder::new(network, Some(onnx), name))
    }

    /// A network that is in memory already; the model does not carry its float original.
    #[must_use]
    pub fn from_network(network: Network, name: &str) -> ModelBuilder {
        ModelBuilder::new(network, None, name)
    }

    /// The bundled model `xvector-small`.
    ///
    /// # Errors
    /// Never, while the bundled file is the one that belongs to this version.
    pub fn bundled() -> Result<Self, ModelError> {
        Ok(Self::from_bytes(BUILT_IN[0].1)?)
    }

    /// The built-in model of this name: `xvector-small` or `ecapa-small`.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Result<Self, ModelError>> {
        let (_, bytes) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
        Some(Self::from_bytes(bytes).map_err(ModelError::from))
    }

    /// Reads a `.vxm` file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        Ok(Self::from_bytes(&bytes)?)
    }

    /// What is public about the model.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The weights, by number.
    #[must_use]
    pub fn constants(&self) -> &[Arc<IntTable>] {
        &self.constants
    }

    /// Name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The front end, that of its first network.
    #[must_use]
    pub fn front_end(&self) -> &FrontEnd {
        &self.spec.first.features.front_end
    }

    /// Whether the model is about voices, hence has embeddings and needs templates.
    #[must_use]
    pub fn has_voice(&self) -> bool {
        self.spec.voice().is_some()
    }

    /// Refuses a model that is about no voice.
    ///
    /// # Errors
    /// [`ModelError::NoVoice`] if it is not.
    pub fn require_voice(&self) -> Result<(), ModelError> {
        self.spec.require_voice().map(drop)
    }

    /// Whether [`Model::embed`] gives something: an embedding, or values of every chunk.
    #[must_use]
    pub fn makes_values(&self) -> bool {
        self.spec.first.classifier().is_none()
    }

    /// Length of the embedding; of samples in chunks, values a chunk; the number of classes of a model that has neither.
    #[must_use]
    pub fn embedding_len(&self) -> usize {
        self.spec.first.columns as usize
    }

    /// Fewest samples that give an embedding.
    #[must_use]
    pub fn min_samples(&self) -> usize {
        self.spec.min_samples as usize
    }

    /// Most samples that a proof may cover.
    #[must_use]
    pub fn max_samples(&self) -> usize {
        self.spec.max_samples as usize
    }

    /// The decision threshold that suits the model, a cosine in (0, 1]; a usual one if it is not about voices.
    #[must_use]
    pub fn default_threshold(&self) -> f64 {
        self.spec.voice().map_or(DEFAULT_THRESHOLD, |(_, threshold)| threshold_to_cosine(threshold))
    }

    /// The run of the model's first network on some samples: up to the embedding, or to the logits of the first window.
    pub fn run(&self, samples: &[i16]) -> Result<(Lowered, Trace), ModelError> {
        self.check_length(samples.len())?;
        let (lowered, inputs) = self.branch_inputs(&self.spec.first, self.first_window(samples))?;
        let trace = Trace::run(&lowered.program, &lowered.recipes, &inputs, &self.constants)?;
        Ok((lowered, trace))
    }

    /// What the first network sees of a recording from its start on.
    pub(crate) fn first_window<'a>(&self, samples: &'a [i16]) -> &'a [i16] {
        let window = self.spec.first.classifier().map_or(samples.len(), |reading| reading.samples);
        samples.get(..window).unwrap_or(samples)
    }

    /// The program of a network, and the samples that it sees.
    fn branch_inputs(&self, branch: &Branch, samples: &[i16]) -> Result<(Lowered, [Arc<IntTable>; 1]), ModelError> {
        let lowered = self.spec.lower_branch(branch, samples.len())?;
        let inputs = [Arc::new(samples_table(&lowered.program, samples))];
        Ok((lowered, inputs))
    }

    /// What a network makes of the samples that it sees.
    fn branch_values(&self, branch: &Branch, samples: &[i16]) -> Result<Vec<i64>, ModelError> {
        let (lowered, inputs) = self.branch_inputs(branch, samples)?;
        let (constants, kept) = (&self.constants, [lowered.embedding]);
        let trace = Trace::run_keeping(&lowered.program, &lowered.recipes, &inputs, constants, &kept)?;
        Ok(integers(trace.get(lowered.embedding)))
    }

    /// Refuses recordings that are too short or too long.
    pub fn check_length(&self, samples: usize) -> Result<(), ModelError> {
        if samples < self.min_samples() {
            return Err(AudioError::TooShort { samples: samples as u64, min: self.min_samples() as u64 }.into());
        }
        if samples > self.max_samples() {
            return Err(AudioError::TooLong { samples: samples as u64, max: self.max_samples() as u64 }.into());
        }
        Ok(())
    }

    /// The exact integer embedding; of samples in chunks, what the network makes of each, one chunk after another.
    ///
    /// # Errors
    /// [`ModelError::NoVoice`] if the model gives classes.
    pub fn embed(&self, samples: &[i16]) -> Result<Vec<i64>, ModelError> {
        if !self.makes_values() {
            self.require_voice()?;
        }
        self.check_length(samples.len())?;
        self.branch_values(&self.spec.first, self.first_window(samples))
    }

    /// The float embedding, or the logits of the first window, if the model carries its float original.
    pub fn embed_float(&self, samples: &[i16]) -> Option<Result<Vec<f64>, ModelError>> {
        let onnx = self.onnx.as_ref()?;
        let samples = self.first_window(samples);
        let embed = |network: Network| {
            let network = if self.makes_values() { network } else { network.logits() };
            calibration::float_embedding(&network, self.front_end(), samples)
        };
        Some(onnx::read_for(onnx, self.front_end().columns()).and_then(embed))
    }
}

/// The samples of recordings, one after another the first inputs of a program, as [`samples_table`] has them.
pub(crate) fn samples_tables(program: &Program, recordings: &[&[i16]]) -> Vec<Arc<IntTable>> {
    recordings.iter().map(|samples| Arc::new(samples_table(program, samples))).collect()
}

/// The samples in the blocks that the program sees them in; the slack is zero.
#[must_use]
pub fn samples_table(program: &Program, samples: &[i16]) -> IntTable {
    // All recordings of a program are in blocks of one size.
    let block = program.inputs().first().map_or(samples.len().max(1), |&id| program.tensor(id).cols);
    let (rows, cols) = (samples.len().div_ceil(block), block);
    let mut values = samples.to_vec();
    values.resize(rows * cols, 0);
    IntTable::new(rows, cols, IntVec::I16(values))
}

/// The integers of a small tensor.
#[must_use]
pub fn integers(table: &IntTable) -> Vec<i64> {
    table.values().iter().map(|v| i64::try_from(v).unwrap_or(i64::MAX)).collect()
}
