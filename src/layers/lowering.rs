//! From quantized layers to a program: what a layer is, and what it is given.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    affine, at_most, attention, average_pool, centre, energy, gate, grid, hypot, layer_norm, log_magnitude, max_pool,
    moves, multi_head, norm, pooling, recurrent, recurrent_from, row_softmax, segment_mean, sequences, time_max,
    time_pool, time_softmax, waveform,
};
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
    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError>;
}

/// Exactly `N` inputs.
///
/// # Errors
/// [`ModelError::Shape`] naming the layer if there are more or fewer.
pub fn exactly<const N: usize>(name: &str, inputs: &[Value]) -> Result<[Value; N], ModelError> {
    inputs.try_into().map_err(|_| ModelError::Shape {
        layer: name.to_owned(),
        expected: format!("{N} inputs"),
        found: format!("{} inputs", inputs.len()),
    })
}

/// Where a layer takes an input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerRef {
    /// The input of the first layer.
    Input,
    /// The output of the layer with this index.
    Layer(u32),
}

/// A layer and what it is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// The layer.
    pub layer: AnyLayer,
    /// Its inputs: earlier layers.
    #[serde(deserialize_with = "crate::files::short_list")]
    pub inputs: Vec<LayerRef>,
}

/// Lowers layers in order; the output is that of the last, or the input if there is none.
pub fn lower(p: &mut ProgramBuilder, layers: &[Placed], input: Value) -> Result<Value, ModelError> {
    let mut outputs: Vec<Value> = Vec::with_capacity(layers.len());
    for Placed { layer, inputs } in layers {
        let layer = layer.as_layer();
        let value = |from: &LayerRef| match *from {
            LayerRef::Input => Some(input),
            LayerRef::Layer(index) => outputs.get(index as usize).copied(),
        };
        let inputs: Option<Vec<Value>> = inputs.iter().map(value).collect();
        let inputs = inputs.ok_or_else(|| ModelError::Shape {
            layer: layer.name().to_owned(),
            expected: "earlier layers as inputs".into(),
            found: "a later one".into(),
        })?;
        outputs.push(layer.lower(p, &inputs)?);
    }
    Ok(outputs.last().copied().unwrap_or(input))
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
    /// Largest value of every patch.
    MaxPool(max_pool::MaxPool),
    /// One row of every sequence.
    Row(pooling::Row),
    /// Mean over time.
    Mean(pooling::Mean),
    /// Standard deviation over time.
    Deviation(pooling::Deviation),
    /// Mean and standard deviation over time with weights per row and column.
    WeightedStats(attention::WeightedStats),
    /// Entry-wise product, of a row for all rows or of equally many.
    Gate(gate::Gate),
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
    /// A filter of two samples.
    Emphasis(waveform::Emphasis),
    /// Samples less their mean, divided by their standard deviation.
    InstanceNorm(waveform::InstanceNorm),
    /// Samples side by side.
    Framing(waveform::Framing),
    /// Logarithm of a magnitude.
    LogMagnitude(log_magnitude::LogMagnitude),
    /// Rows less their mean over time.
    Centre(centre::Centre),
    /// A constant row added to every row.
    Offset(centre::Offset),
    /// Largest of some rows.
    TimeMaxPool(time_pool::TimeMaxPool),
    /// Rounding, and the largest of some rows.
    RoundedTimeMaxPool(time_pool::RoundedTimeMaxPool),
    /// The smaller of a value and a constant of its column.
    AtMost(at_most::AtMost),
    /// Mean over time of an image.
    GridMean(grid::GridMean),
    /// Standard deviation over time of an image.
    GridDeviation(grid::GridDeviation),
    /// Rows in another order, some of them, or more.
    Rows(moves::Rows),
    /// Columns as rows.
    Unfold(moves::Unfold),
    /// Rows side by side.
    Join(moves::Join),
    /// A constant row added to each row.
    AddRows(moves::AddRows),
    /// Softmax over the columns of every row.
    RowSoftmax(row_softmax::RowSoftmax),
    /// Largest value of every patch, some of which reach beyond the image.
    PaddedMaxPool(max_pool::PaddedMaxPool),
    /// Magnitude of two parts.
    Hypot(hypot::Hypot),
    /// Long short-term memory from given states.
    LstmFrom(recurrent_from::LstmFrom),
    /// Gated recurrent unit from a given state.
    GruFrom(recurrent_from::GruFrom),
    /// Exponentials of a softmax over time.
    TimeSoftmax(time_softmax::TimeSoftmax),
    /// Sequences as one, or one as several.
    Sequences(sequences::Sequences),
    /// Every row as the mean of its run.
    SegmentMean(segment_mean::SegmentMean),
    /// Logarithm of a softmax over the columns of every row.
    RowLogSoftmax(row_softmax::RowLogSoftmax),
    /// Power of two parts.
    Power(energy::Power),
    /// Logarithm of energies.
    LogEnergy(energy::LogEnergy),
    /// Largest value over time.
    TimeMax(time_max::TimeMax),
    /// Unit length, row by row, of values that may be negative.
    NormalizeSigned(norm::NormalizeSigned),
}

impl AnyLayer {
    /// The layer itself.
    #[must_use]
    pub fn as_layer(&self) -> &dyn Layer {
        match self {
            Self::Affine(layer) => layer,
            Self::Lstm(layer) => layer,
            Self::Gru(layer) => layer,
            Self::MaxPool(layer) => layer,
            Self::Row(layer) => layer,
            Self::Mean(layer) => layer,
            Self::Deviation(layer) => layer,
            Self::WeightedStats(layer) => layer,
            Self::Gate(layer) => layer,
            Self::Normalize(layer) => layer,
            Self::Average(layer) => layer,
            Self::ReluMaxPool(layer) => layer,
            Self::AveragePool(layer) => layer,
            Self::LayerNorm(layer) => layer,
            Self::MultiHeadAttention(layer) => layer,
            Self::Emphasis(layer) => layer,
            Self::InstanceNorm(layer) => layer,
            Self::Framing(layer) => layer,
            Self::LogMagnitude(layer) => layer,
            Self::Centre(layer) => layer,
            Self::Offset(layer) => layer,
            Self::TimeMaxPool(layer) => layer,
            Self::RoundedTimeMaxPool(layer) => layer,
            Self::AtMost(layer) => layer,
            Self::GridMean(layer) => layer,
            Self::GridDeviation(layer) => layer,
            Self::Rows(layer) => layer,
            Self::Unfold(layer) => layer,
            Self::Join(layer) => layer,
            Self::AddRows(layer) => layer,
            Self::RowSoftmax(layer) => layer,
            Self::PaddedMaxPool(layer) => layer,
            Self::Hypot(layer) => layer,
            Self::LstmFrom(layer) => layer,
            Self::GruFrom(layer) => layer,
            Self::TimeSoftmax(layer) => layer,
            Self::Sequences(layer) => layer,
            Self::SegmentMean(layer) => layer,
            Self::RowLogSoftmax(layer) => layer,
            Self::Power(layer) => layer,
            Self::LogEnergy(layer) => layer,
            Self::TimeMax(layer) => layer,
            Self::NormalizeSigned(layer) => layer,
        }
    }
}
