//! What is imported, against references and by hand.

mod exports;
mod graphs;
mod hostile;
mod loops;
mod quantized;
mod references;
mod states;

use std::path::Path;

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::*;
use crate::layers::matrix::FloatMatrix;
use crate::test_data::{self, cosine, max_difference};

fn load(path: &Path) -> Network {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn bundled() -> Network {
    load(&test_data::asset("models/xvector_small.onnx"))
}

fn last(network: &Network, input: &FloatMatrix, sequence_length: usize) -> FloatMatrix {
    network.execute(input, sequence_length).unwrap().pop().unwrap()
}

/// Mean of the rows, divided by its norm.
fn mean_direction(rows: &FloatMatrix) -> Vec<f64> {
    let sums: Vec<f64> = (0..rows.cols).map(|c| (0..rows.rows).map(|r| rows.row(r)[c]).sum()).collect();
    let norm = sums.iter().map(|x| x * x).sum::<f64>().sqrt();
    sums.iter().map(|x| x / norm).collect()
}

fn report(what: &str, cosines: &[f64], differences: &[f64]) {
    let min = cosines.iter().copied().fold(1.0, f64::min);
    let max = differences.iter().copied().fold(0.0, f64::max);
    println!("{what}: 1 - min cosine {:.1e}, largest difference {max:.1e}", 1.0 - min);
    assert!(!cosines.is_empty() && min >= 0.999_999, "{what}: {min}");
}

// Graphs by hand. The expected numbers are those of onnx.reference.ReferenceEvaluator (onnx 1.17).

fn ramp(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7 + seed * 13) % 23) as f32 / 16.0 - 11.0 / 16.0).collect()
}

fn tensor(name: &str, dims: &[i64], values: Vec<f32>) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(1),
        float_data: values,
        ..Default::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), ints: values.to_vec(), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(value), ..Default::default() }
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: outputs.iter().map(|&name| name.into()).collect(),
        attribute: attributes.to_vec(),
        ..Default::default()
    }
}

fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&value: &i64| DimensionProto { dim_value: (value > 0).then_some(value) };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor_type = Some(TensorTypeProto { elem_type: Some(1), shape: Some(shape) });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}

/// A model that maps `x` of these extents (0: dynamic) to `y`.
fn model(dims: &[i64], node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
    let (input, output) = (vec![value("x", dims)], vec![value("y", &[])]);
    let graph = GraphProto { node, initializer, input, output, ..Default::default() };
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    ModelProto { graph: Some(graph), opset_import: vec![opset] }.encode_to_vec()
}

fn doubles(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}
