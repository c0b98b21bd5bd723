//! A model: a front end and a network in integers, with everything that its id binds.

mod file;
mod spec;

pub use self::spec::{Lowered, Spec, Tail};

use std::path::Path;
use std::sync::Arc;

use crate::audio::FrontEnd;
use crate::calibration::{self, TARGET_COSINE, Wanted};
pub use crate::compare::LayerDifference;
pub use crate::cost::{Cost, LayerCost};
use crate::error::{AudioError, ModelError};
use crate::gkr::program::Program;
use crate::gkr::trace::Trace;
use crate::layers::network::Network;
use crate::layers::{onnx, score};
use crate::sumcheck::int::{IntTable, IntVec};

/// Bits of the range table of models that take audio.
const RANGE_BITS: usize = 16;
/// Most samples of a proof: a minute at 16 kHz.
pub(crate) const MAX_SAMPLES: usize = 60 * 16_000;
/// Bits of an entry of a template.
pub const TEMPLATE_BITS: usize = 16;
/// Fraction bits of an entry of a template: an entry of a unit vector is at most 1.
const TEMPLATE_FRACTION_BITS: u32 = 14;

/// A quantized speaker model: from 16-bit samples to an embedding, in exact integer arithmetic.
#[derive(Clone, Debug)]
pub struct Model {
    spec: Arc<Spec>,
    constants: Arc<Vec<Arc<IntTable>>>,
    /// The float original, outside of what the id binds.
    onnx: Option<Arc<Vec<u8>>>,
}

/// A float network on its way to a [`Model`].
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    network: Network,
    onnx: Option<Vec<u8>>,
    front_end: FrontEnd,
    name: String,
    bits: Option<u32>,
    target_cosine: f64,
    saturate: bool,
    threshold: f64,
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

impl ModelBuilder {
    /// Sets the front end.
    #[must_use]
    pub fn front_end(mut self, front_end: FrontEnd) -> Self {
        self.front_end = front_end;
        self
    }

    /// Names the model.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Fixes the bits of arguments of activation tables (8 to 16) instead of choosing them.
    #[must_use]
    pub fn bits(mut self, bits: u32) -> Self {
        self.bits = Some(bits);
        self
    }

    /// Sets the cosine to the float embedding that chosen widths must reach on the recordings, in (0, 1]: 0.9999 unless
    /// another is wanted. A single number, and every number of a chunk, may be off by ten times what is missing to 1.
    #[must_use]
    pub fn target_cosine(mut self, cosine: f64) -> Self {
        self.target_cosine = cosine;
        self
    }

    /// Clamps values that leave the range of a layer's table to it, and proves that: otherwise a recording in which one
    /// does has no proof. It is part of the model.
    #[must_use]
    pub fn saturate(mut self, saturate: bool) -> Self {
        self.saturate = saturate;
        self
    }

    /// Sets the decision threshold that suits the network, a cosine in (0, 1].
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Chooses ranges and widths on recordings (16-bit samples at the front end's rate).
    ///
    /// A network that takes recordings of one length only sees parts of that length of longer ones.
    ///
    /// # Errors
    /// [`ModelError`] if there is no recording or one is too short, network and front end do not fit one another, or the
    /// network has no integer form.
    pub fn calibrate(self, clips: &[Vec<i16>]) -> Result<Model, ModelError> {
        Ok(self.calibrate_measured(clips)?.0)
    }

    /// [`ModelBuilder::calibrate`], and the worst cosine of integer and float embedding of the recordings tried: below
    /// −1 if one of them has no integer embedding.
    pub fn calibrate_measured(self, clips: &[Vec<i16>]) -> Result<(Model, f64), ModelError> {
        let Self { network, onnx, front_end, name, bits, target_cosine, saturate, threshold } = self;
        let wanted = Wanted { bits, cosine: target_cosine, saturate };
        let one = f64::from(score::THRESHOLD_ONE);
        if network.input_columns != front_end.columns() {
            return Err(ModelError::Shape {
                layer: "input".into(),
                expected: format!("{} columns", network.input_columns),
                found: format!("{} columns of front end {}", front_end.columns(), front_end.name),
            });
        }
        let (model, cosine) = calibration::calibrate(&network, &front_end, clips, wanted, |quantized| {
            let spec = Spec {
                name: name.clone(),
                features: quantized.features,
                layers: quantized.layers,
                embedding_len: quantized.embedding_len,
                min_samples: *quantized.lengths.start() as u32,
                max_samples: *quantized.lengths.end() as u32,
                threshold: (threshold * one).clamp(1.0, one) as u32,
            };
            let constants = quantized.constants.into_iter().map(Arc::new).collect();
            Ok(Model { spec: Arc::new(spec), constants: Arc::new(constants), onnx: onnx.clone().map(Arc::new) })
        })?;
        // Whatever cannot be decided about should be known now, not when something is proved.
        model.spec.lower(model.min_samples(), model.spec.usual_tail(model.spec.threshold))?;
        Ok((model, cosine))
    }
}

impl Model {
    /// Reads an ONNX network. The front end is [`FrontEnd::logmel40`] unless another is set.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<ModelBuilder, ModelError> {
        let path = path.as_ref();
        let onnx = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        let name = path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into_owned());
        // Tensors may lie in files beside it; a model carries its original whole.
        let onnx = onnx::prepare(onnx, path.parent(), &onnx::Settings::default())?;
        Self::from_onnx_bytes(onnx, &name)
    }

    /// Reads an ONNX network from memory.
    pub fn from_onnx_bytes(onnx: Vec<u8>, name: &str) -> Result<ModelBuilder, ModelError> {
        let network = onnx::read(&onnx)?;
        Ok(ModelBuilder { onnx: Some(onnx), ..Self::from_network(network, name) })
    }

    /// A network that is in memory already; the model does not carry its float original.
    #[must_use]
    pub fn from_network(network: Network, name: &str) -> ModelBuilder {
        ModelBuilder {
            network,
            onnx: None,
            front_end: FrontEnd::logmel40(),
            name: name.to_owned(),
            bits: None,
            target_cosine: TARGET_COSINE,
            saturate: false,
            threshold: DEFAULT_THRESHOLD,
        }
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

    /// The front end.
    #[must_use]
    pub fn front_end(&self) -> &FrontEnd {
        &self.spec.features.front_end
    }

    /// Length of the embedding; of samples in chunks, values a chunk.
    #[must_use]
    pub fn embedding_len(&self) -> usize {
        self.spec.embedding_len as usize
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

    /// The decision threshold that suits the model, a cosine in (0, 1].
    #[must_use]
    pub fn default_threshold(&self) -> f64 {
        f64::from(self.spec.threshold) / f64::from(score::THRESHOLD_ONE)
    }

    /// The program's run on some samples, up to the embedding.
    pub fn run(&self, samples: &[i16]) -> Result<(Lowered, Trace), ModelError> {
        self.check_length(samples.len())?;
        let lowered = self.spec.lower(samples.len(), Tail { embedding: true, ..Tail::default() })?;
        let inputs = [Arc::new(samples_table(&lowered.program, samples))];
        let trace = Trace::run(&lowered.program, &lowered.recipes, &inputs, &self.constants)?;
        Ok((lowered, trace))
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

    /// Refuses a model that makes values of every chunk, and no embedding that could be compared.
    ///
    /// # Errors
    /// [`ModelError::Shape`] saying so.
    pub fn require_embedding(&self) -> Result<(), ModelError> {
        self.spec.check_single()
    }

    /// The exact integer embedding; of samples in chunks, what the network makes of each, one chunk after another.
    pub fn embed(&self, samples: &[i16]) -> Result<Vec<i64>, ModelError> {
        let (lowered, trace) = self.run(samples)?;
        Ok(integers(trace.get(lowered.embedding)))
    }

    /// The float embedding, if the model carries its float original.
    pub fn embed_float(&self, samples: &[i16]) -> Option<Result<Vec<f64>, ModelError>> {
        let onnx = self.onnx.as_ref()?;
        Some(onnx::read(onnx).and_then(|network| calibration::float_embedding(&network, self.front_end(), samples)))
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
