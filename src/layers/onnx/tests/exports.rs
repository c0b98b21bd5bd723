//! Graphs as exporters leave them, in `tests/onnx`: an ONNX file and, as text, an input and the output that
//! onnx.reference.ReferenceEvaluator gives for it. `tests/onnx/generate.py` makes them.

use std::sync::Arc;

use super::*;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::trace::Trace;
use crate::layers::lowering::{self, Value};
use crate::layers::network::{Lstm, Node, NodeRef, Op};
use crate::layers::quantize::{Constants, Options, Ranges, quantize};
use crate::sumcheck::int::{IntTable, IntVec};

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// Names, inputs and expected outputs.
fn exports() -> Vec<(String, Network, FloatMatrix, Vec<f64>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    let mut all: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    all.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let mut lines = text.lines();
        let shape = numbers(lines.next().unwrap());
        let input = FloatMatrix::new(shape[0] as usize, shape[1] as usize, numbers(lines.next().unwrap()));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, load(&path), input, numbers(lines.next().unwrap()))
    };
    all.into_iter().map(read).collect()
}

#[test]
fn they_compute_what_the_reference_does() {
    let all = exports();
    assert!(all.len() >= 25);
    for (name, network, input, expected) in all {
        let found = last(&network, &input, input.rows).data;
        let scale = expected.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
        assert_eq!(found.len(), expected.len(), "{name}");
        let off = max_difference(&found, &expected) / scale;
        assert!(off < 2e-5, "{name}: {off:.1e} {found:?} {expected:?}");
    }
}

/// The integer output for an input of 12 fraction bits; the trace is checked.
fn integers(name: &str, network: &Network, input: &FloatMatrix) -> Vec<f64> {
    let rounded = FloatMatrix::from_fn(input.rows, input.cols, |r, c| (input.row(r)[c] * 4096.0).round() / 4096.0);
    let outputs = network.execute(&rounded, rounded.rows).unwrap();
    let mut ranges = Ranges::default();
    ranges.observe(network, &rounded, &outputs, rounded.rows);
    let mut constants = Constants::default();
    let options = Options::uniform(14);
    let layers = quantize(network, &ranges, 12, options, &mut constants).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut p = ProgramBuilder::new(16);
    let x = p.input("x", (input.rows, input.cols), -32768, 32767).unwrap();
    p.range(p.whole(x), -32768, 16).unwrap();
    let value = Value { tensor: x, sequences: 1 };
    let value = lowering::lower(&mut p, &layers, value).unwrap_or_else(|error| panic!("{name}: {error}"));
    p.output(value.tensor);
    let (program, recipes) = p.finish().unwrap();
    let values = rounded.data.iter().map(|v| (v * 4096.0) as i128).collect();
    let constants: Vec<_> = constants.into_tables().into_iter().map(Arc::new).collect();
    let input = Arc::new(IntTable::new(input.rows, input.cols, IntVec::I128(values)));
    let trace = Trace::run(&program, &recipes, &[input], &constants).unwrap_or_else(|e| panic!("{name}: {e}"));
    trace.check(&program).unwrap_or_else(|error| panic!("{name}: {error}"));
    let unit = f64::from(-layers.last().unwrap().layer.as_layer().fraction_bits()).exp2();
    trace.get(value.tensor).values().iter().map(|v| v as f64 * unit).collect()
}

#[test]
fn their_integers_are_close_to_the_reference() {
    let mut worst = (1.0, String::new());
    for (name, network, input, expected) in exports() {
        let found = integers(&name, &network, &input);
        let cosine = cosine(&found, &expected);
        println!("{name}: 1 - cosine {:.1e}", 1.0 - cosine);
        if cosine < worst.0 {
            worst = (cosine, name);
        }
    }
    assert!(worst.0 >= 0.9999, "{worst:?}");
}

#[test]
fn quantized_models_are_within_a_step_of_the_reference() {
    for (name, network, input, expected) in exports() {
        let Some(Op::Quantize(levels)) = network.nodes.iter().rev().map(|node| &node.op).find(|op| is_levels(op))
        else {
            continue;
        };
        let found = integers(&name, &network, &input);
        // The input is exact, the output is a fixed point of its own.
        let steps: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / levels.scale).collect();
        let (apart, most) =
            (steps.iter().filter(|&&step| step > 0.75).count(), steps.iter().copied().fold(0.0, f64::max));
        println!("{name}: {apart} of {} values differ, by at most {most:.2} steps", steps.len());
        assert!(most < 1.1, "{name}: {steps:?}");
        // Layers in between have the integers of the model: all but one or two of a hundred are the same.
        if name != "quantized_integer" {
            assert!(apart <= steps.len() / 20, "{name}: {steps:?}");
        }
    }
}

fn is_levels(op: &Op) -> bool {
    matches!(op, Op::Quantize(_))
}

#[test]
fn cells_that_add_up_over_time_have_larger_steps() {
    // Input and forget gates are open, candidates near one: the first cell grows by almost one in every row.
    let (rows, hidden) = (80, 2);
    let lstm = Lstm {
        input: 1,
        hidden,
        w_input: FloatMatrix::from_fn(1, 4 * hidden, |_, c| if c == 2 * hidden { 2.0 } else { 0.1 }),
        w_hidden: FloatMatrix::zeros(hidden, 4 * hidden),
        bias: (0..4 * hidden).map(|c| [12.0, 12.0, 0.0, 0.5][c / hidden]).collect(),
        initial: None,
        carried: false,
    };
    let node = |op: Op, input: NodeRef| Node { name: "lstm".into(), op, inputs: vec![input] };
    let network = Network::new(1, vec![node(Op::Lstm(lstm), NodeRef::Input), node(Op::LastRow, NodeRef::Node(0))]);
    let input = FloatMatrix::from_fn(rows, 1, |t, _| 1.0 + 0.5 * (t as f64).sin());
    let expected = last(&network, &input, rows).data;
    let found = integers("cells", &network, &input);
    assert!(max_difference(&found, &expected) < 5e-3, "{found:?} {expected:?}");
}

#[test]
fn both_ends_of_a_layer_in_two_directions_are_enough() {
    let weights = vec![
        tensor("w", &[2, 8, 3], ramp(48, 1)),
        tensor("r", &[2, 8, 2], ramp(32, 2)),
        tensor("b", &[2, 16], ramp(32, 3)),
        tensor("f", &[4, 3], ramp(12, 4)),
    ];
    let direction =
        AttributeProto { name: Some("direction".into()), s: Some("bidirectional".into()), ..Default::default() };
    let nodes = vec![
        node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])]),
        node("LSTM", &["t", "w", "r", "b"], &["all", "ends"], &[direction]),
        node("Transpose", &["ends"], &["e"], &[ints("perm", &[1, 0, 2])]),
        node("Flatten", &["e"], &["row"], &[]),
        node("MatMul", &["row", "f"], &["y"], &[]),
    ];
    let network = read(&model(&[1, 0, 3], nodes, weights)).unwrap();
    let input = FloatMatrix::new(7, 3, doubles(ramp(21, 5)));
    let expected = last(&network, &input, 7).data;
    let found = integers("ends", &network, &input);
    assert!(max_difference(&found, &expected) < 5e-3, "{found:?} {expected:?}");
}
