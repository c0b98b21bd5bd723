//! A model: a front end and a network in integers, with everything that its id binds.

use std::path::Path;

use crate::audio::FrontEnd;
use crate::error::ModelError;
use crate::layers::network::Network;
use crate::proof::Id;

/// A quantized speaker model: from 16-bit samples to an embedding, in exact integer arithmetic.
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
}

/// A float network on its way to a [`Model`].
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    network: Network,
    front_end: FrontEnd,
    name: String,
    bits: Option<u32>,
}

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

    /// Fixes the bits of activations and weights (8 to 16) instead of choosing them.
    #[must_use]
    pub fn bits(mut self, bits: u32) -> Self {
        self.bits = Some(bits);
        self
    }

    /// Chooses ranges and widths on recordings (16-bit samples at the front end's rate).
    pub fn calibrate(self, clips: &[Vec<i16>]) -> Result<Model, ModelError> {
        let _ = (clips, self.network, self.bits, self.front_end);
        todo!()
    }
}

/// One line of [`Model::compare`].
#[derive(Clone, Debug)]
pub struct LayerDifference {
    /// Name of the layer.
    pub layer: String,
    /// Rows of its output.
    pub rows: usize,
    /// Columns of its output.
    pub columns: usize,
    /// Largest absolute difference between integer (rescaled) and float output.
    pub max_difference: f64,
    /// Largest absolute float value.
    pub max_value: f64,
    /// Cosine of the two outputs, read as one vector each.
    pub cosine: f64,
}

/// What a program costs for a given length of audio.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Frames of the front end.
    pub frames: usize,
    /// Multiply-accumulates of all contractions.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers, multiplicities included.
    pub committed_values: u64,
    /// Bytes of the committed integers.
    pub committed_bytes: u64,
    /// Sum-check waves.
    pub waves: usize,
    /// Predicted proof size in bytes.
    pub proof_bytes: u64,
    /// Predicted peak memory of the prover in bytes.
    pub memory_bytes: u64,
    /// The layers, in order: name, relations, rows, columns, lookups, committed values, share of the cost (0 to 1).
    pub layers: Vec<LayerCost>,
}

/// The part of a [`Cost`] that a layer has.
#[derive(Clone, Debug)]
pub struct LayerCost {
    /// Name of the layer.
    pub name: String,
    /// Numbers of (linear, contraction, product, lookup) relations.
    pub relations: [usize; 4],
    /// Rows of the output.
    pub rows: usize,
    /// Columns of the output.
    pub columns: usize,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers.
    pub committed_values: u64,
    /// Share of the predicted proving time, 0 to 1.
    pub share: f64,
}

impl Model {
    /// Reads an ONNX network.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<ModelBuilder, ModelError> {
        let _ = path;
        todo!()
    }

    /// The bundled model `xvector-small`.
    pub fn bundled() -> Result<Self, ModelError> {
        todo!()
    }

    /// Reads a `.vxm` file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let _ = path;
        todo!()
    }

    /// The bytes of a `.vxm` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// Name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id: a digest of front end, program and weights.
    #[must_use]
    pub fn id(&self) -> Id {
        todo!()
    }

    /// The front end.
    #[must_use]
    pub fn front_end(&self) -> &FrontEnd {
        todo!()
    }

    /// Length of the embedding.
    #[must_use]
    pub fn embedding_len(&self) -> usize {
        todo!()
    }

    /// Fewest samples that give an embedding.
    #[must_use]
    pub fn min_samples(&self) -> usize {
        todo!()
    }

    /// Most samples that a proof may cover.
    #[must_use]
    pub fn max_samples(&self) -> usize {
        todo!()
    }

    /// The decision threshold that suits the model, a cosine in (0, 1].
    #[must_use]
    pub fn default_threshold(&self) -> f64 {
        todo!()
    }

    /// The exact integer embedding.
    pub fn embed(&self, samples: &[i16]) -> Result<Vec<i64>, ModelError> {
        let _ = samples;
        todo!()
    }

    /// The float embedding, if the model carries its float original.
    pub fn embed_float(&self, samples: &[i16]) -> Option<Result<Vec<f64>, ModelError>> {
        let _ = samples;
        todo!()
    }

    /// Integer against float, layer by layer, on one recording.
    pub fn compare(&self, network: &Network, samples: &[i16]) -> Result<Vec<LayerDifference>, ModelError> {
        let _ = (network, samples);
        todo!()
    }

    /// What proving `samples` samples costs.
    pub fn cost(&self, samples: usize) -> Result<Cost, ModelError> {
        let _ = samples;
        todo!()
    }
}
