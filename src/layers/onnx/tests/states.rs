//! States that a graph takes and gives back.

use proptest::prelude::*;

use super::*;
use crate::layers::network::{NodeRef, Op};

/// Columns of the input, and of a state.
const INPUT: usize = 3;
const HIDDEN: usize = 2;

/// Settings in which a state is carried.
fn carrying(states: &[(&str, &str)]) -> Settings {
    let pair = |&(input, output): &(&str, &str)| (input.to_owned(), output.to_owned());
    Settings { states: states.iter().map(pair).collect(), ..Settings::default() }
}

/// A graph of chunks of `rows` rows and of states of these names and extents.
fn stateful(
    rows: i64,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    states: &[(&str, &[i64])],
    outputs: &[&str],
) -> Vec<u8> {
    let mut input = vec![value("x", &[1, rows, INPUT as i64])];
    input.extend(states.iter().map(|&(name, dims)| value(name, dims)));
    let output = outputs.iter().map(|name| value(name, &[])).collect();
    let graph = GraphProto { node: nodes, initializer: weights, input, output, ..Default::default() };
    let opset = OperatorSetIdProto { domain: None, version: Some(12) };
    ModelProto { graph: Some(graph), opset_import: vec![opset] }.encode_to_vec()
}

fn weights(gates: usize, number: usize) -> Vec<TensorProto> {
    let rows = (gates * HIDDEN) as i64;
    vec![
        tensor(&format!("w{number}"), &[1, rows, INPUT as i64], ramp(gates * HIDDEN * INPUT, 1 + number)),
        tensor(&format!("r{number}"), &[1, rows, HIDDEN as i64], ramp(gates * HIDDEN * HIDDEN, 2 + number)),
        tensor(&format!("b{number}"), &[1, 2 * rows], ramp(2 * gates * HIDDEN, 3 + number)),
    ]
}

fn take(from: &str, at: i64, to: &str) -> [NodeProto; 2] {
    let index = format!("{to}.at");
    [
        node("Constant", &[], &[&index], &[int("value_int", at)]),
        node("Gather", &[from, &index], &[&format!("{to}.row")], &[int("axis", 0)]),
    ]
}

/// An LSTM whose two states are the rows of `state`, stacked again to `stateN`, as exporters write it.
fn lstm_graph(rows: i64, stack: &[&str]) -> Vec<u8> {
    let mut nodes = vec![node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])])];
    for (at, to) in [(0, "h"), (1, "c")] {
        nodes.extend(take("state", at, to));
        nodes.push(node("Unsqueeze", &[&format!("{to}.row")], &[to], &[ints("axes", &[0])]));
    }
    nodes.extend([
        node("LSTM", &["t", "w0", "r0", "b0", "", "h", "c"], &["all", "hn", "cn"], &[int("hidden_size", 2)]),
        node("Concat", stack, &["stateN"], &[int("axis", 0)]),
        node("Squeeze", &["hn"], &["last"], &[ints("axes", &[0])]),
        node("Relu", &["last"], &["y"], &[]),
    ]);
    stateful(rows, nodes, weights(4, 0), &[("state", &[2, 1, HIDDEN as i64])], &["y", "stateN"])
}

fn imported(bytes: Vec<u8>, settings: &Settings) -> Result<Network, ModelError> {
    read(&prepare(bytes, None, settings)?)
}

use crate::error::ModelError;

/// The rows of a recording, and what a network makes of chunks of `rows` of them.
fn over_chunks(network: &Network, rows: usize, chunks: usize) -> (FloatMatrix, FloatMatrix) {
    let x = FloatMatrix::new(rows * chunks, INPUT, doubles(ramp(rows * chunks * INPUT, 5)));
    let y = last(network, &x, rows);
    (x, y)
}

proptest! {
    #[test]
    fn chunks_are_one_sequence_for_the_layer(rows in 1usize..4, chunks in 1usize..6) {
        let network = imported(lstm_graph(rows as i64, &["hn", "cn"]), &carrying(&[("state", "stateN")])).unwrap();
        let (x, y) = over_chunks(&network, rows, chunks);
        prop_assert_eq!((y.rows, y.cols), (chunks, HIDDEN));
        // The same layer, over all rows as one sequence.
        let nodes = vec![
            node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])]),
            node("LSTM", &["t", "w0", "r0", "b0"], &["s"], &[int("hidden_size", 2)]),
            node("Squeeze", &["s"], &["y"], &[ints("axes", &[1])]),
        ];
        let whole = read(&model(&[1, 0, INPUT as i64], nodes, weights(4, 0))).unwrap();
        let all = last(&whole, &x, x.rows);
        for chunk in 0..chunks {
            let expected: Vec<f64> = all.row((chunk + 1) * rows - 1).iter().map(|x| x.max(0.0)).collect();
            prop_assert!(max_difference(y.row(chunk), &expected) < 1e-12);
        }
    }
}

#[test]
fn without_a_state_every_chunk_starts_from_zeros() {
    let bytes = lstm_graph(1, &["hn", "cn"]);
    let fixed = read(&bytes).unwrap();
    let carried = imported(bytes.clone(), &carrying(&[("state", "stateN")])).unwrap();
    let [fixed, carried] = [&fixed, &carried].map(|network| over_chunks(network, 1, 4).1);
    assert_eq!(fixed.row(0), carried.row(0));
    assert_ne!(fixed.row(1), carried.row(1));
    let found = interface(&prepare(bytes, None, &carrying(&[("state", "stateN")])).unwrap()).unwrap();
    assert_eq!(found.states, [("state".to_owned(), "stateN".to_owned())]);
    assert!(found.constants.is_empty() && found.unused.is_empty(), "{found:?}");
}

#[test]
fn states_of_several_layers_may_share_an_input_or_have_their_own() {
    // Two recurrences of different kinds on the same rows, each with a state of its own.
    let mut nodes = vec![node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])])];
    nodes.extend([
        node("Split", &["s"], &["a", "b"], &[int("axis", 0)]),
        node("GRU", &["t", "w0", "r0", "b0", "", "a"], &["", "an"], &[int("hidden_size", 2)]),
        node("RNN", &["t", "w1", "r1", "b1", "", "b"], &["", "bn"], &[int("hidden_size", 2)]),
        node("Concat", &["an", "bn"], &["sn"], &[int("axis", 0)]),
        node("Concat", &["an", "bn"], &["both"], &[int("axis", 2)]),
        node("Squeeze", &["both"], &["y"], &[ints("axes", &[0])]),
    ]);
    let all = [weights(3, 0), weights(1, 1)].concat();
    let dims: &[i64] = &[2, 1, HIDDEN as i64];
    let bytes = stateful(1, nodes, all, &[("s", dims)], &["y", "sn"]);
    assert_eq!(guess_state(&bytes).unwrap(), None, "extents of the output are not said");
    let network = imported(bytes, &carrying(&[("s", "sn")])).unwrap();
    let carried = network.nodes.iter().filter(|node| node.op.carries_state()).count();
    assert_eq!(carried, 2);
    let (_, y) = over_chunks(&network, 1, 3);
    assert_eq!((y.rows, y.cols), (3, 2 * HIDDEN));
}

#[test]
fn states_that_are_used_otherwise_are_refused_by_name() {
    let state = carrying(&[("state", "stateN")]);
    let refused = |bytes: Vec<u8>, settings: &Settings| imported(bytes, settings).unwrap_err().to_string();
    // Given back in another order, or only in part.
    for stack in [["cn", "hn"], ["hn", "hn"], ["h", "c"]] {
        let error = refused(lstm_graph(1, &stack), &state);
        assert!(error.contains("stateN"), "{stack:?}: {error}");
    }
    assert!(refused(lstm_graph(1, &["hn"]), &state).contains("stateN"));
    // Names that do not fit.
    for pair in [("state", "y2"), ("x2", "stateN")] {
        let error = refused(lstm_graph(1, &["hn", "cn"]), &carrying(&[pair]));
        assert!(error.contains(pair.0) && error.contains("stateN"), "{error}");
    }
    let fixed = Settings { inputs: [("state".to_owned(), 0.0)].into(), ..state.clone() };
    assert!(refused(lstm_graph(1, &["hn", "cn"]), &fixed).contains("state"));
    let output = Settings { output: Some("stateN".into()), ..state.clone() };
    assert!(refused(lstm_graph(1, &["hn", "cn"]), &output).contains("stateN"));
    // Computed with, taken by half of a layer, by a layer that runs backwards, or by two.
    let dims: &[i64] = &[1, 1, HIDDEN as i64];
    let hidden = &[int("hidden_size", 2)][..];
    let text = |name: &str, s: &str| AttributeProto {
        name: Some(name.into()),
        s: Some(s.as_bytes().to_vec()),
        ..Default::default()
    };
    let gru = |initial: &str, output: &str, attributes: &[AttributeProto]| {
        node("GRU", &["t", "w0", "r0", "b0", "", initial], &["", output], attributes)
    };
    let reverse = [hidden, &[text("direction", "reverse")]].concat();
    let cases: [(&str, Vec<NodeProto>); 4] = [
        ("Mul", vec![node("Mul", &["state", "state"], &["double"], &[]), gru("double", "stateN", hidden)]),
        ("LSTM", vec![node("LSTM", &["t", "w0", "r0", "b0", "", "state"], &["", "stateN"], hidden)]),
        ("GRU", vec![gru("state", "stateN", &reverse)]),
        ("GRU", vec![gru("state", "stateN", hidden), gru("state", "other", hidden)]),
    ];
    for (operator, mut nodes) in cases {
        let gates = if operator == "LSTM" { 4 } else { 3 };
        nodes.insert(0, node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])]));
        let other = nodes.iter().any(|node| node.output.iter().any(|name| name == "other"));
        let last = if other { "other" } else { "stateN" };
        nodes.push(node("Squeeze", &[last], &["y"], &[ints("axes", &[0])]));
        let error = refused(stateful(1, nodes, weights(gates, 0), &[("state", dims)], &["y", "stateN"]), &state);
        assert!(error.contains(operator), "{operator}: {error}");
    }
}

#[test]
fn a_state_is_guessed_where_there_is_one_pair() {
    let with = |outputs: &[(&str, &[i64])]| {
        let input = vec![value("x", &[1, 1, 3]), value("state", &[2, 1, 2])];
        let output = outputs.iter().map(|&(name, dims)| value(name, dims)).collect();
        let graph = GraphProto { input, output, ..Default::default() };
        ModelProto { graph: Some(graph), opset_import: vec![] }.encode_to_vec()
    };
    let pair = |output: &str| Some(("state".to_owned(), output.to_owned()));
    assert_eq!(guess_state(&with(&[("y", &[1, 1]), ("stateN", &[2, 1, 2])])).unwrap(), pair("stateN"));
    // Extents that are not known fit any; other extents, and the first output, do not count.
    assert_eq!(guess_state(&with(&[("y", &[1, 1]), ("hn", &[0, 0, 0])])).unwrap(), pair("hn"));
    assert_eq!(guess_state(&with(&[("stateN", &[2, 1, 2]), ("y", &[1, 1])])).unwrap(), None);
    assert_eq!(guess_state(&with(&[("y", &[1, 1]), ("stateN", &[1, 1, 2])])).unwrap(), None);
    let error = guess_state(&with(&[("y", &[1, 1]), ("stateN", &[2, 1, 2]), ("stateM", &[2, 1, 2])])).unwrap_err();
    assert!(error.to_string().contains("state=stateM"), "{error}");
}

#[test]
fn silero_carries_its_state() {
    let Some(dir) = test_data::dir() else { return };
    let reference = test_data::tensors(&dir.join("reference/silero/ref8_3s.safetensors"));
    let wav = crate::audio::wav::read(dir.join("wav/speakers/367-130732-0001.wav")).unwrap();
    let front_end = crate::audio::FrontEnd::by_name("raw:chunk=512,context=64").unwrap();
    let input = crate::audio::float::network_input(&front_end, &wav.samples[..48_000]).unwrap();
    for (file, rows) in [("silero_vad_16k_static_op16", None), ("silero_vad_16k_op15", Some(576))] {
        let bytes = std::fs::read(dir.join(format!("models/{file}.onnx"))).unwrap();
        let (state, output) = guess_state(&bytes).unwrap().unwrap();
        assert_eq!((state.as_str(), output.as_str()), ("state", "stateN"));
        let settings = Settings { rows, ..carrying(&[(&state, &output)]) };
        let network = imported(bytes, &settings).unwrap();
        assert!(network.nodes.iter().any(|node| node.op.carries_state()));
        assert!(!network.nodes.iter().any(|node| matches!(node.op, Op::Concat) && node.inputs == [NodeRef::Input]));
        let y = last(&network, &input.features, input.sequence_length);
        let difference = max_difference(&y.data, &reference["367-130732-0001.prob"].values);
        assert!(difference < 1e-5, "{file}: {difference}");
    }
}
