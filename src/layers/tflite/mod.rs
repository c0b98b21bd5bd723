//! Reads TensorFlow Lite models, quantized to 8 bits or in floats, by translating them to ONNX.
//!
//! A graph becomes one of operators that [`onnx`](super::onnx) imports: there is one importer, and one way to integers. Integers keep
//! the scales and zero points of the file, which stand in the ONNX graph as QuantizeLinear and DequantizeLinear. Channels of images
//! are last in TFLite and before height and width in ONNX; where a layer needs the other order, a Transpose says so, which the
//! importer follows without moving a value.
//!
//! Files are untrusted: every offset is checked, every length compared with the bytes that are there, and what is
//! not understood is refused by the operator's name, number and place.
//!
//! Format: <https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs>.

mod flatbuffer;
mod graph;
mod operators;
mod schema;
mod windows;

use std::collections::HashSet;

use prost::Message;

use self::graph::Writer;
use self::schema::{Graph, data_type};
use super::onnx::proto::{
    DimensionProto, GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use super::onnx::{malformed, refuse};
use crate::error::ModelError;

/// What the files begin with, after an offset of four bytes.
const IDENTIFIER: &[u8] = b"TFL3";
/// The operator set that is written.
const OPSET: i64 = 17;
/// Most operators of a graph.
const MAX_OPERATORS: usize = 1 << 14;

/// Whether these are the bytes of a TensorFlow Lite model, by its file identifier.
#[must_use]
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(IDENTIFIER)
}

/// The ONNX model that computes what a TensorFlow Lite model does, for [`onnx::read`](super::onnx::read).
///
/// Its input is of floats, an image of one with channels first; a model that takes integers rounds it to them. Inputs
/// and outputs keep their names.
///
/// # Errors
/// [`ModelError`] naming the operator: operators and settings that are not supported, bytes that contradict themselves.
pub fn to_onnx(bytes: &[u8]) -> Result<Vec<u8>, ModelError> {
    if !is_tflite(bytes) {
        return Err(malformed("not a TFLite file"));
    }
    let graph = Graph::read(bytes)?;
    if graph.num_operators() > MAX_OPERATORS {
        let help = format!("at most {MAX_OPERATORS} are supported");
        return Err(refuse("operators", graph.num_operators(), &help));
    }
    let mut writer = Writer::new(&graph, bytes.len());
    let mut input = Vec::new();
    for &index in &graph.inputs {
        let tensor = graph.tensor(index)?;
        if !tensor.is_quantized() && tensor.data_type != data_type::FLOAT32 {
            let help = format!("input {:?} has to be of float32, int8 or uint8", tensor.name);
            return Err(refuse("input type", tensor.type_name(), &help));
        }
        let name = named(&tensor.name, "input", index);
        let dims = writer.take_input(index, &name)?;
        input.push(info(name, Some(&dims)));
    }
    let needed = needed(&graph)?;
    for index in (0..graph.num_operators()).filter(|index| needed.contains(index)) {
        let operator = graph.operator(index)?;
        let known = operators::find(operator.code).ok_or_else(|| unsupported(&operator))?;
        writer.set_label(operator.label());
        (known.write)(&mut writer, &operator)?;
    }
    let mut output = Vec::new();
    for &index in &graph.outputs {
        let name = named(&graph.tensor(index)?.name, "output", index);
        writer.give_output(index, name.clone())?;
        output.push(info(name, None));
    }
    let Writer { nodes: node, initializers: initializer, .. } = writer;
    let graph = GraphProto { node, initializer, input, output, ..GraphProto::default() };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }];
    Ok(ModelProto { graph: Some(graph), opset_import }.encode_to_vec())
}

/// The bytes of an ONNX model: a TensorFlow Lite model is translated, anything else stays as it is.
///
/// # Errors
/// Those of [`to_onnx`].
pub fn as_onnx(bytes: Vec<u8>) -> Result<Vec<u8>, ModelError> {
    if is_tflite(&bytes) { to_onnx(&bytes) } else { Ok(bytes) }
}

/// The operators [`to_onnx`] understands, in alphabetical order, each with what is accepted.
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    operators::OPERATORS.iter().map(|operator| (operator.name, operator.accepted))
}

/// The name of a tensor, or one for it if it has none.
fn named(name: &str, kind: &str, index: usize) -> String {
    if name.is_empty() { format!("{kind} {index}") } else { name.to_owned() }
}

/// What ONNX says about an input or output; batches that are open are 1.
fn info(name: String, dims: Option<&[usize]>) -> ValueInfoProto {
    let dim = |&extent: &usize| DimensionProto { dim_value: i64::try_from(extent).ok() };
    let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(1), shape });
    ValueInfoProto { name: Some(name), r#type: Some(TypeProto { tensor_type }) }
}

/// The operators that outputs depend on. A shape is not among what they compute with: it has to be a constant.
fn needed(graph: &Graph) -> Result<HashSet<usize>, ModelError> {
    let mut tensors: HashSet<usize> = graph.outputs.iter().copied().collect();
    let mut needed = HashSet::new();
    for index in (0..graph.num_operators()).rev() {
        let operator = graph.operator(index)?;
        if operator.outputs.iter().any(|output| tensors.contains(output)) {
            let inputs = if operator.name == "RESHAPE" { 1 } else { operator.inputs.len() };
            tensors.extend(operator.inputs.iter().take(inputs).flatten());
            needed.insert(index);
        }
    }
    Ok(needed)
}

fn unsupported(operator: &schema::Operator) -> ModelError {
    let names: Vec<&str> = operators().map(|(name, _)| name).collect();
    let help = format!("supported are {}", names.join(", "));
    ModelError::UnsupportedTflite { index: operator.index, operator: operator.name.clone(), code: operator.code, help }
}
