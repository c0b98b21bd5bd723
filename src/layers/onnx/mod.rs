//! Reads ONNX models into a [`Network`].
//!
//! Covered are the networks that voice embeddings are made of: convolutions and recurrent layers
//! along time, pooling over time (plain and attentive), dense layers, sums and concatenations of these. Subgraphs that exporters write for one idea (mean
//! and deviation over time, the last hidden state, division by the norm) become one layer again.
//! Everything else is refused by name: an operator, attribute or input that is not understood is
//! never ignored. Files are untrusted; nothing here panics or allocates more than the file
//! justifies.
//!
//! Format and operators: <https://github.com/onnx/onnx/blob/main/docs/Operators.md>.

mod arithmetic;
mod import;
mod layers;
mod node;
mod patterns;
mod proto;
mod recurrent;
mod statistics;
mod tensor;
mod value;

use super::network::Network;
use crate::error::ModelError;
use prost::Message;

/// Reads an ONNX model of one input and one output.
///
/// The input is \[batch, time, channels\] or \[batch, channels, time\] (rows of the network are
/// time either way), \[batch, channels\], \[batch, samples\], or an image \[batch, channels, height, width\]; the batch
/// is 1 or symbolic. The output is one row per sequence or per time step.
///
/// # Errors
/// [`ModelError`] naming the node: unsupported operators, attributes and opsets, bytes or graphs
/// that contradict themselves, shapes that do not fit.
pub fn read(bytes: &[u8]) -> Result<Network, ModelError> {
    let model = proto::ModelProto::decode(bytes)
        .map_err(|error| ModelError::Malformed { reason: format!("not an ONNX file: {error}") })?;
    import::import(&model, bytes.len())
}

/// The operators [`read`] understands, in alphabetical order, each with what is accepted.
pub fn operators() -> &'static [(&'static str, &'static str)] {
    &[
        ("Abs", "before a constant is added and Log"),
        ("Add", "of two values of equal channels, one of which may have one row, or of a constant"),
        ("BatchNormalization", "inference only; becomes a factor and a summand per channel"),
        ("Clip", "of a variance before Sqrt, of a norm, or from 0: Relu"),
        ("Concat", "along channels, of mean and deviation (statistics pooling), or of final hidden states"),
        ("Constant", "float32, float64, int32 or int64"),
        ("Conv", "1-D and 2-D, group 1, constant weights, explicit padding; 2-D: dilation 1"),
        ("Div", "by the ReduceL2 of the same value, or by a constant"),
        ("Expand", "of a single row along time, before Add, Mul or Concat"),
        ("Flatten", "from axis 1, of an image"),
        ("GRU", "forward, default activations, initial state zero"),
        ("Gather", "of the last time step or of one layer's final hidden state"),
        ("Gemm", "one row per sequence times constant weights"),
        ("GlobalAveragePool", "over time"),
        ("Identity", "anything"),
        ("InstanceNormalization", "of one channel: samples"),
        ("LSTM", "forward, default activations, no peepholes, initial states zero"),
        ("Log", "of a magnitude plus a constant"),
        ("MaxPool", "1-D without padding, or 2-D; dilation 1, floor mode"),
        (
            "Mul",
            "of two values of equal channels, one of which may have one row, by a constant, or in statistics pooling",
        ),
        ("Pad", "one sample before the first, reflected"),
        ("Pow", "2, in statistics pooling"),
        ("ReduceL2", "over channels, before Div"),
        ("ReduceMean", "over time"),
        ("ReduceSum", "over time, of a value that a Softmax weights (attentive statistics pooling)"),
        ("Relu", "anything"),
        ("Reshape", "of a single row, to [1, channels] or [1, channels, 1]"),
        ("Sigmoid", "anything"),
        ("Softmax", "over time, as the weights of attentive statistics pooling"),
        ("Split", "along channels"),
        ("Sqrt", "of a variance in statistics pooling"),
        ("Squeeze", "of axes known to be 1"),
        ("Sub", "E[x²] − E[x]² in statistics pooling, of the mean over time, or of a constant"),
        ("Tanh", "anything"),
        ("Tile", "of a single row along time, before Add, Mul or Concat"),
        ("Transpose", "anything; axes are tracked, no values move"),
        ("Unsqueeze", "the channel of samples, or the time of a single row"),
    ]
}

#[cfg(test)]
mod tests;
