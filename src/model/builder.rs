//! From a float network to a model: what is wanted of it, and its calibration.

use std::sync::Arc;

use super::spec::weight_width_vars;
use super::{Branch, DEFAULT_THRESHOLD, MAX_SAMPLES, Model, Output, Spec};
use crate::audio::FrontEnd;
use crate::audio::frontend::{Tensor, TensorInput};
use crate::calibration::{self, Quantized, TARGET_COSINE, Wanted, Window};
use crate::error::ModelError;
use crate::layers::network::Network;
use crate::layers::{onnx, score};
use crate::sumcheck::int::IntTable;

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
    labels: Option<Vec<String>>,
    window: Window,
    activity: Option<f64>,
}

impl ModelBuilder {
    /// A network with everything as usual.
    pub(super) fn new(network: Network, onnx: Option<Vec<u8>>, name: &str) -> Self {
        Self {
            network,
            onnx,
            front_end: FrontEnd::logmel40(),
            name: name.to_owned(),
            bits: None,
            target_cosine: TARGET_COSINE,
            saturate: false,
            threshold: DEFAULT_THRESHOLD,
            labels: None,
            window: Window::Usual,
            activity: None,
        }
    }

    /// Sets the front end.
    #[must_use]
    pub fn front_end(mut self, front_end: FrontEnd) -> Self {
        self.front_end = front_end;
        self
    }

    /// Sets the front end [`none`](FrontEnd::none): the network takes its own input tensor, as integers of a scale that suits
    /// these examples. Returns their integers, to [calibrate](Self::calibrate) on.
    ///
    /// # Errors
    /// [`AudioError::Tensor`](crate::error::AudioError::Tensor) if there is no example or one does not fit; [`ModelError::Shape`] if the network was not read
    /// from a graph.
    pub fn tensors(self, examples: &[Tensor]) -> Result<(Self, Vec<Vec<i16>>), ModelError> {
        let axes = self.network.input_axes.as_ref().ok_or_else(|| ModelError::Shape {
            layer: "input".into(),
            expected: "a network that was read from a graph".into(),
            found: "one of rows and columns".into(),
        })?;
        let input = TensorInput::new(axes, examples)?;
        let integers = examples.iter().map(|tensor| input.integers(tensor)).collect::<Result<_, _>>()?;
        Ok((self.front_end(FrontEnd::none(input)), integers))
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

    /// Makes a model of what was said, instead of one of a voice: the network's output is a row of logits, with a label for
    /// each. A softmax that the network ends in is left out, since it does not change which is the largest.
    #[must_use]
    pub fn labels(mut self, labels: Vec<String>) -> Self {
        self.labels = Some(labels);
        self
    }

    /// Sets the number of samples that a network with [`labels`](Self::labels) reads: those of a second unless another is
    /// wanted, or what is next to it that the network takes.
    #[must_use]
    pub fn window(mut self, samples: usize) -> Self {
        self.window = Window::Samples(samples);
        self
    }

    /// Makes a model of which chunks of a recording are active: those whose value is at least `level`, of a network that
    /// makes one value a chunk, such as the probability of speech.
    #[must_use]
    pub fn activity(mut self, level: f64) -> Self {
        self.activity = Some(level);
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
        let network = self.fitting_network()?;
        let window = self.labels.is_some().then_some(self.window);
        let wanted = Wanted { bits: self.bits, cosine: self.target_cosine, saturate: self.saturate, window };
        let onnx = self.onnx.clone().map(Arc::new);
        let (model, cosine) = calibration::calibrate(&network, &self.front_end, clips, wanted, |quantized| {
            let (spec, constants) = self.spec_of(quantized)?;
            Ok(Model { spec: Arc::new(spec), constants: Arc::new(constants), onnx: onnx.clone() })
        })?;
        // Whatever cannot be decided about should be known now, not when something is proved.
        model.spec.lower(model.min_samples(), &model.spec.whole_tail(Some(self.integer_threshold())))?;
        Ok((model, cosine))
    }

    fn integer_threshold(&self) -> u32 {
        let one = f64::from(score::THRESHOLD_ONE);
        (self.threshold * one).clamp(1.0, one) as u32
    }

    /// The network that is to be calibrated: its input is what the front end gives, its output what is wanted.
    fn fitting_network(&self) -> Result<Network, ModelError> {
        let Self { front_end, labels, .. } = self;
        if labels.is_some() && front_end.chunks().is_some() {
            let reason =
                format!("front end {} gives a row of every chunk, and no class of a recording", front_end.name);
            return Err(ModelError::Labels { reason });
        }
        if self.activity.is_some() && (front_end.chunks().is_none() || labels.is_some()) {
            let name = &front_end.name;
            let reason = format!("activity is that of chunks, as of raw:chunk=512,context=64, and {name} has none");
            return Err(ModelError::Activity { reason });
        }
        let network = match &self.onnx {
            // Only now it is known what its input has to be.
            Some(onnx) if self.network.input_columns != front_end.columns() => {
                onnx::read_for(onnx, front_end.columns())?
            }
            _ => self.network.clone(),
        };
        if network.input_columns != front_end.columns() {
            return Err(ModelError::Shape {
                layer: "input".into(),
                expected: format!("{} columns", network.input_columns),
                found: format!("{} columns of front end {}", front_end.columns(), front_end.name),
            });
        }
        Ok(if labels.is_some() { network.logits() } else { network })
    }

    /// What is public about the model of a quantized network, and its weights.
    fn spec_of(&self, quantized: Quantized) -> Result<(Spec, Vec<Arc<IntTable>>), ModelError> {
        let (shortest, longest) = (*quantized.lengths.start() as u32, *quantized.lengths.end() as u32);
        let tensor = self.front_end.tensor().is_some();
        let (output, longest) = match &self.labels {
            None if self.front_end.chunks().is_some() || tensor => (Output::Values, longest),
            None => (Output::Embedding { threshold: self.integer_threshold() }, longest),
            // Whatever is longer has a window, unless it is a tensor.
            Some(labels) => {
                let longest = if tensor { longest } else { MAX_SAMPLES as u32 };
                (Output::Class { labels: labels.clone(), samples: shortest }, longest)
            }
        };
        let mut first = Branch {
            name: self.name.clone(),
            features: quantized.features,
            layers: quantized.layers,
            columns: quantized.embedding_len,
            output,
            first_constant: 0,
        };
        if let Some(level) = self.activity {
            first.set_level(level)?;
        }
        let constants: Vec<Arc<IntTable>> = quantized.constants.into_iter().map(Arc::new).collect();
        let spec = Spec {
            name: self.name.clone(),
            first,
            others: Vec::new(),
            min_samples: shortest,
            max_samples: longest,
            weight_width_vars: weight_width_vars(&constants),
        };
        spec.check_limits()?;
        Ok((spec, constants))
    }
}
