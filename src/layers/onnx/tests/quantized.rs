//! Models that are quantized already: what their integers stand for, and what is refused.

use super::*;
use crate::layers::network::{Levels, Op};

/// Integers of a type of ONNX: 2 for 8 bits without a sign, 3 with one.
fn integers(name: &str, data_type: i32, values: &[i32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: if values.len() == 1 { vec![] } else { vec![values.len() as i64] },
        data_type: Some(data_type),
        int32_data: values.to_vec(),
        ..Default::default()
    }
}

/// Scale `s` and zero point `z` of one type, and others.
fn constants() -> Vec<TensorProto> {
    vec![
        tensor("s", &[], vec![0.25]),
        integers("z", 2, &[100]),
        tensor("s2", &[], vec![0.5]),
        integers("signed", 3, &[-10]),
        tensor("channels", &[2], vec![0.25, 0.5]),
        integers("zeros", 2, &[0, 0]),
        integers("wide", 6, &[0]),
    ]
}

fn quantize(from: &str, to: &str) -> NodeProto {
    node("QuantizeLinear", &[from, "s", "z"], &[to], &[])
}

fn dequantize(from: &str, to: &str) -> NodeProto {
    node("DequantizeLinear", &[from, "s", "z"], &[to], &[])
}

fn imported(dims: &[i64], nodes: Vec<NodeProto>) -> Result<Network, ModelError> {
    read(&model(dims, nodes, constants()))
}

fn run(nodes: Vec<NodeProto>, x: &[f64]) -> (Network, Vec<f64>) {
    let network = imported(&[1, 2], nodes).unwrap();
    let found = last(&network, &FloatMatrix::new(x.len() / 2, 2, x.to_vec()), x.len() / 2).data;
    (network, found)
}

#[test]
fn a_pair_rounds_and_clamps_to_what_the_type_holds() {
    let pair = vec![quantize("x", "q"), dequantize("q", "y")];
    // Halves go to the even neighbour: 0.5 steps to 0, 1.5 to 2.
    let (network, found) = run(pair, &[0.124, 0.125, 0.375, -0.126, 1e6, -1e6]);
    assert_eq!(found, [0.0, 0.0, 0.5, -0.25, 38.75, -25.0]);
    assert_eq!(network.nodes.len(), 1);
    let no_zero =
        vec![node("QuantizeLinear", &["x", "s"], &["q"], &[]), node("DequantizeLinear", &["q", "s"], &["y"], &[])];
    assert_eq!(run(no_zero, &[-3.0, 100.0]).1, [0.0, 63.75]);
    let signed = |attributes: &[AttributeProto], inputs: &[&str]| {
        vec![
            node("QuantizeLinear", inputs, &["q"], attributes),
            node("DequantizeLinear", &["q", inputs[1]], &["y"], &[]),
        ]
    };
    assert_eq!(run(signed(&[int("output_dtype", 3)], &["x", "s"]), &[-100.0, 100.0]).1, [-32.0, 31.75]);
    assert_eq!(run(signed(&[int("output_dtype", 5)], &["x", "s"]), &[-1e5, 1e5]).1, [-8192.0, 8191.75]);
}

#[test]
fn integers_move_and_are_read_with_another_scale() {
    let nodes = vec![
        quantize("x", "q"),
        node("Transpose", &["q"], &["t"], &[ints("perm", &[1, 0])]),
        node("Transpose", &["t"], &["u"], &[ints("perm", &[1, 0])]),
        dequantize("u", "d"),
        // The same levels again are no layer.
        quantize("d", "q2"),
        node("DequantizeLinear", &["q2", "s2", "signed"], &["y"], &[]),
    ];
    let (network, found) = run(nodes, &[1.0, -1.0]);
    // (q + 10)·0.5 of q = 104 and 96
    assert_eq!(found, [57.0, 53.0]);
    assert_eq!(network.nodes.iter().filter(|node| matches!(node.op, Op::Quantize(_))).count(), 1);
}

#[test]
fn bounds_in_front_of_levels_are_theirs() {
    let chain = |before: NodeProto| vec![before, quantize("r", "q"), dequantize("q", "y")];
    let (network, found) = run(chain(node("Relu", &["x"], &["r"], &[])), &[-3.0, 3.1]);
    assert_eq!(network.nodes.len(), 1);
    assert_eq!(network.nodes[0].op, Op::Quantize(Levels { scale: 0.25, low: 0, high: 155 }));
    assert_eq!(found, [0.0, 3.0]);
    let clip = |min: f32, max: f32| {
        let float = |name: &str, f| AttributeProto { name: Some(name.into()), f: Some(f), ..Default::default() };
        node("Clip", &["x"], &["r"], &[float("min", min), float("max", max)])
    };
    let (network, found) = run(chain(clip(-1.0, 6.0)), &[-3.0, 300.0]);
    assert_eq!((network.nodes.len(), &found[..]), (1, &[-1.0, 6.0][..]));
    // What something else reads stays.
    let mut nodes = chain(node("Relu", &["x"], &["r"], &[]));
    nodes[2].output[0] = "d".into();
    nodes.push(node("Add", &["d", "r"], &["y"], &[]));
    assert_eq!(run(nodes, &[-3.0, 3.1]).1, [0.0, 6.1]);
}

#[test]
fn weights_are_quantized_at_import() {
    let nodes = vec![
        node("QuantizeLinear", &["w", "channels", "zeros"], &["wq"], &[int("axis", 1)]),
        node("DequantizeLinear", &["wq", "channels", "zeros"], &["wd"], &[int("axis", 1)]),
        node("MatMul", &["x", "wd"], &["y"], &[]),
    ];
    let mut weights = constants();
    weights.push(tensor("w", &[2, 2], vec![0.3, 0.7, 1000.0, -1.0]));
    let network = read(&model(&[1, 2], nodes, weights)).unwrap();
    let found = last(&network, &FloatMatrix::new(1, 2, vec![1.0, 10.0]), 1).data;
    assert_eq!(found, [0.25 + 637.5, 0.5]);
}

#[test]
fn what_cannot_be_proved_is_named() {
    let refused = |what: &str, nodes: Vec<NodeProto>, message: &str| {
        let error = imported(&[1, 2], nodes).expect_err(what).to_string();
        assert!(error.contains(message), "{what}: {error}");
    };
    let dynamic = node("DynamicQuantizeLinear", &["x"], &["q", "s9", "z9"], &[]);
    refused("scales of the recording", vec![dynamic, dequantize("q", "y")], "quantize statically");
    let computing = vec![quantize("x", "q"), node("Relu", &["q"], &["r"], &[]), dequantize("r", "y")];
    refused("a ReLU of integers", computing, "DequantizeLinear before it");
    let mixed = vec![
        quantize("x", "q"),
        node("QuantizeLinear", &["x", "s2", "z"], &["p"], &[]),
        node("Concat", &["q", "p"], &["c"], &[int("axis", 1)]),
        dequantize("c", "y"),
    ];
    refused("integers of two scales", mixed, "DequantizeLinear before it");
    let channels = vec![node("QuantizeLinear", &["x", "channels", "zeros"], &["q"], &[]), dequantize("q", "y")];
    refused("a scale for every channel", channels, "only weights may have several");
    let wide = vec![node("QuantizeLinear", &["x", "s", "wide"], &["q"], &[]), dequantize("q", "y")];
    refused("32 bits", wide, "uint8, int8, uint16 or int16");
    refused("floats", vec![dequantize("x", "y")], "must be what a QuantizeLinear");
    let blocks = vec![node("QuantizeLinear", &["x", "s", "z"], &["q"], &[int("block_size", 2)]), dequantize("q", "y")];
    refused("blocks", blocks, "quantize by channel or tensor");
    for scale in [0.0, -1.0, 1e-30, f32::INFINITY] {
        let mut weights = constants();
        weights[0] = tensor("s", &[], vec![scale]);
        let result = read(&model(&[1, 2], vec![quantize("x", "q"), dequantize("q", "y")], weights));
        assert!(result.is_err(), "{scale}");
    }
}

#[test]
fn zero_points_beyond_their_type_are_refused() {
    for (data_type, zero) in [(2, 256), (2, -1), (3, 128)] {
        let mut weights = constants();
        // A file may hold any number in the field of short integers: what it is read as is within the type.
        weights[1] = TensorProto { raw_data: Some(vec![zero as u8]), ..integers("z", data_type, &[]) };
        weights[1].dims = vec![];
        let network = read(&model(&[1, 2], vec![quantize("x", "q"), dequantize("q", "y")], weights)).unwrap();
        assert!(matches!(&network.nodes[0].op, Op::Quantize(levels) if levels.low <= 0 && levels.high >= 0), "{zero}");
    }
}
