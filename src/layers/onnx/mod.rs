//! Reads ONNX models into a [`Network`].
//!
//! Covered are the networks that voice embeddings are made of: convolutions of sequences and images, recurrent layers
//! along time, attention, pooling over time (plain and attentive), dense layers, sums and concatenations of these.
//! The graph is taken as an exporter leaves it: constants are evaluated, axes are tracked, and subgraphs that stand for one
//! idea (mean and deviation over time, normalisation, attention, a function of one value) become one layer again.
//! Everything else is refused by name: an operator, attribute or input that is not understood is
//! never ignored. Files are untrusted; nothing here panics or allocates more than the file
//! justifies.
//!
//! Format and operators: <https://github.com/onnx/onnx/blob/main/docs/Operators.md>.

mod attention;
mod axes;
mod bounds;
mod columns;
mod compare;
mod constants;
mod conv;
mod conv_transpose;
mod dense;
mod einsum;
mod elementwise;
mod fold;
mod fold_moves;
mod fold_sums;
mod group_norm;
mod import;
mod inputs;
mod layout;
mod loops;
mod masks;
mod means;
mod mel;
mod node;
mod norms;
mod pools;
mod positions;
mod prepare;
pub(super) mod proto;
mod quantized;
mod recurrent;
mod registry;
mod segments;
mod select;
mod shape;
mod simplify;
mod spectrum;
mod states;
mod statistics;
mod tensor;
mod time;
mod value;
mod weighted;

use std::collections::BTreeMap;
use std::path::Path;

pub(super) use self::import::{malformed, refuse};
use super::network::Network;
use crate::error::ModelError;
use prost::Message;

/// Reads an ONNX model; its first output is the network's.
///
/// The input is \[batch, time, channels\] or \[batch, channels, time\] (rows of the network are
/// time either way), \[batch, channels\], \[batch, samples\], or an image \[batch, channels, height, width\], whose
/// rows are height if it has one channel; the batch is 1 or symbolic. Inputs named `sr` are 16000, and those named
/// `state`, `h0`, `c0` are zeros, if there is another input: [`prepare`] gives them other values, or makes them states that
/// are carried from one sequence to the next.
///
/// # Errors
/// [`ModelError`] naming the node: unsupported operators, attributes and opsets, bytes or graphs
/// that contradict themselves, shapes that do not fit.
pub fn read(bytes: &[u8]) -> Result<Network, ModelError> {
    import::import(&decode(bytes)?, bytes.len(), None)
}

/// As [`read`], for a front end of so many columns: of several meanings that the input's extents can have, one with as many
/// is preferred, as where \[1, 16000\] are the samples of a second and no channels.
///
/// # Errors
/// As [`read`].
pub fn read_for(bytes: &[u8], columns: usize) -> Result<Network, ModelError> {
    import::import(&decode(bytes)?, bytes.len(), Some(columns))
}

/// What an import settles about a graph that its file leaves open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Inputs that become constants, and the number that all of their entries are.
    pub inputs: BTreeMap<String, f64>,
    /// Rows of the network's input, frames or samples, where the file leaves one extent open.
    pub rows: Option<usize>,
    /// The output that is the network's, if it is not the first.
    pub output: Option<String>,
    /// Inputs that are states of recurrent layers, and the outputs that give them back: sequences are chunks of one
    /// recording, of which each starts from what the one before left. The first starts from zeros.
    pub states: BTreeMap<String, String>,
}

/// What a network takes and gives, by the names of its graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// The input.
    pub input: String,
    /// Other inputs, which are constants, and the number that all of their entries are.
    pub constants: Vec<(String, f64)>,
    /// Other inputs that are the length of a recording, in rows of the input.
    pub lengths: Vec<String>,
    /// The output.
    pub output: String,
    /// Other outputs, which are left out.
    pub unused: Vec<String>,
    /// Inputs that are states, and the outputs that give them back.
    pub states: Vec<(String, String)>,
}

/// Makes a model stand by itself: tensors that lie in files of `folder` become part of it, and so does what `settings`
/// say.
///
/// # Errors
/// [`ModelError`] if the model cannot be decoded, an input or output is not there or large, its extents are not open, or
/// a file cannot be read.
pub fn prepare(bytes: Vec<u8>, folder: Option<&Path>, settings: &Settings) -> Result<Vec<u8>, ModelError> {
    prepare::prepare(bytes, folder, settings)
}

/// What [`read`] takes for the input and the output of a model, and what it assumes about other inputs.
///
/// # Errors
/// [`ModelError`] if the model cannot be decoded, or does not have one input and an output.
pub fn interface(bytes: &[u8]) -> Result<Interface, ModelError> {
    let model = decode(bytes)?;
    inputs::interface(model.graph.as_ref().ok_or_else(|| import::malformed("it has no graph"))?)
}

/// The input that looks like a state and the output that gives it back, for [`Settings::states`]: the only pair of equal
/// extents of which the input is named as states are (`state`, `h0`, …), or as the output begins. None if there is none.
///
/// # Errors
/// [`ModelError`] if the model cannot be decoded, or there are several.
pub fn guess_state(bytes: &[u8]) -> Result<Option<(String, String)>, ModelError> {
    let model = decode(bytes)?;
    inputs::guess_state(model.graph.as_ref().ok_or_else(|| import::malformed("it has no graph"))?)
}

fn decode(bytes: &[u8]) -> Result<proto::ModelProto, ModelError> {
    proto::ModelProto::decode(bytes)
        .map_err(|error| ModelError::Malformed { reason: format!("not an ONNX file: {error}") })
}

/// The operators [`read`] understands, in alphabetical order, each with what is accepted.
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    registry::OPERATORS.iter().map(|operator| (operator.name, operator.accepted))
}

#[cfg(test)]
mod tests;
