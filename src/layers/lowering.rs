//! From quantized layers to a program: what a layer is, and what it is given.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{affine, average_pool, layer_norm, max_pool, multi_head, norm, pooling, recurrent};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;

/// A matrix of weights that is committed at setup: its shape and width are public, its values are not
/// needed to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// Position among the model's constants.
    pub number: u32,
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Every value is within `[−2^bits, 2^bits]`.
    pub bits: u32,
}

impl Constant {
    /// Declares the constant in a program.
    pub fn declare(&self, p: &mut ProgramBuilder, name: &str) -> Result<TensorId, ModelError> {
        let bound = 1i128 << self.bits.min(100);
        Ok(p.constant(name, self.number, (self.rows as usize, self.cols as usize), -bound, bound)?)
    }
}

/// What flows between layers: rows are time, several equally long sequences one after another.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// The integers.
    pub tensor: TensorId,
    /// Number of sequences.
    pub sequences: usize,
}

impl Value {
    /// Rows of one sequence.
    #[must_use]
    pub fn length(&self, p: &ProgramBuilder) -> usize {
        p.shape(self.tensor).0 / self.sequences.max(1)
    }
}

/// A quantized layer. Adding one is one file and one line in [`AnyLayer`].
pub trait Layer: fmt::Debug + Send + Sync {
    /// Name for errors and costs; every tensor of the layer starts with it and a slash.
    fn name(&self) -> &str;
    /// Fraction bits of the output: its integers stand for multiples of `2^−fraction_bits`.
    fn fraction_bits(&self) -> i32;
    /// Wires relations together; holds no protocol.
    fn lower(&self, p: &mut ProgramBuilder, input: Value) -> Result<Value, ModelError>;
}

/// The name and fraction bits of a [`Layer`] that has a field for each.
macro_rules! layer_header {
    ($bits:ident $(as $signed:ty)?) => {
        fn name(&self) -> &str {
            &self.name
        }

        fn fraction_bits(&self) -> i32 {
            self.$bits $(as $signed)?
        }
    };
}
pub(super) use layer_header;

/// The layers that a model may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AnyLayer {
    /// Dense, convolution, and what follows the accumulator.
    Affine(affine::Affine),
    /// Long short-term memory.
    Lstm(recurrent::Lstm),
    /// Gated recurrent unit.
    Gru(recurrent::Gru),
    /// The last row of every sequence.
    LastRow(pooling::LastRow),
    /// Largest value of every patch.
    MaxPool(max_pool::MaxPool),
    /// Mean over time, then dense.
    MeanDense(pooling::MeanDense),
    /// Mean and deviation over time, then dense.
    StatsDense(pooling::StatsDense),
    /// Unit length, row by row.
    Normalize(norm::Normalize),
    /// Average over the sequences.
    Average(norm::Average),
    /// Rounding, the largest value of every patch, and ReLU.
    ReluMaxPool(max_pool::ReluMaxPool),
    /// Average of every patch.
    AveragePool(average_pool::AveragePool),
    /// Rows less their mean, divided by their standard deviation.
    LayerNorm(layer_norm::LayerNorm),
    /// Attention of several heads.
    MultiHeadAttention(multi_head::MultiHeadAttention),
}

impl AnyLayer {
    /// The layer itself.
    #[must_use]
    pub fn as_layer(&self) -> &dyn Layer {
        match self {
            Self::Affine(layer) => layer,
            Self::Lstm(layer) => layer,
            Self::Gru(layer) => layer,
            Self::LastRow(layer) => layer,
            Self::MaxPool(layer) => layer,
            Self::MeanDense(layer) => layer,
            Self::StatsDense(layer) => layer,
            Self::Normalize(layer) => layer,
            Self::Average(layer) => layer,
            Self::ReluMaxPool(layer) => layer,
            Self::AveragePool(layer) => layer,
            Self::LayerNorm(layer) => layer,
            Self::MultiHeadAttention(layer) => layer,
        }
    }
}
