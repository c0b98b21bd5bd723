use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::*;
use crate::audio::{FrontEnd, float, wav};
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;
use crate::test_data::{self, cosine, max_difference};
use proptest::prelude::*;
use std::path::Path;

const UTTERANCES: [&str; 8] = [
    "367-130732-0001",
    "367-130732-0002",
    "1688-142285-0000",
    "1688-142285-0001",
    "1998-15444-0000",
    "1998-15444-0001",
    "2414-128291-0001",
    "2414-128291-0002",
];

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

#[test]
fn operators_are_sorted() {
    assert!(operators().is_sorted_by_key(|(name, _)| *name));
}

#[test]
fn the_bundled_model_has_its_layers() {
    let network = bundled();
    let pool = network.nodes.iter().position(|node| matches!(node.op, Op::StatsPool { .. }));
    assert_eq!((network.input_columns, network.nodes.len(), pool), (24, 14, Some(12)));
    let Op::StatsPool { min_variance } = network.nodes[12].op else { panic!() };
    assert_eq!(min_variance, f64::from(1e-5_f32));
    let shapes = network.shapes(298).unwrap();
    assert_eq!((shapes[11].length, shapes[13].columns), (284, 128));
}

#[test]
fn the_bundled_model_embeds_the_demo_voices() {
    let path = test_data::asset("models/xvector_small_demo_reference.safetensors");
    let reference = test_data::tensors(&path);
    let (network, front_end) = (bundled(), FrontEnd::logmel24());
    let (mut cosines, mut differences, mut features) = (Vec::new(), Vec::new(), 0.0_f64);
    for voice in ["awb", "kal16", "rms", "slt"] {
        for n in 1..=4 {
            let name = format!("{voice}_{n}");
            let wav = wav::read(test_data::asset(&format!("demo/{name}.wav"))).unwrap();
            wav::require_rate(&wav, front_end.sample_rate).unwrap();
            let input = float::network_input(&front_end, &wav.samples).unwrap();
            if let Some(reference) = reference.get(&format!("{name}.feats")) {
                features = features.max(max_difference(&input.features.data, &reference.values));
            }
            let embedding = last(&network, &input.features, input.sequence_length);
            let expected = &reference[&format!("{name}.emb")].values;
            cosines.push(cosine(&embedding.data, expected));
            differences.push(max_difference(&embedding.data, expected));
        }
    }
    println!("demo features: largest difference {features:.1e}");
    assert!(features < 1e-5);
    report("demo embeddings", &cosines, &differences);
    assert_eq!(cosines.len(), 16);
}

#[test]
fn xvectors_match_their_references() {
    let Some(dir) = test_data::dir() else { return };
    for (model, utterances) in [("xvector_small", 8), ("xvector", 2)] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        let path = dir.join(format!("reference/{model}/ref8_3s.safetensors"));
        let reference = test_data::tensors(&path);
        let pool = network.nodes.iter().position(|n| matches!(n.op, Op::StatsPool { .. })).unwrap();
        let (mut cosines, mut differences, mut stats) = (Vec::new(), Vec::new(), 0.0_f64);
        for name in &UTTERANCES[..utterances] {
            let feats = &reference[&format!("{name}.feats")];
            let input = FloatMatrix::new(feats.shape[0], feats.shape[1], feats.values.clone());
            let outputs = network.execute(&input, input.rows).unwrap();
            let expected = &reference[&format!("{name}.stats")].values;
            stats = stats.max(max_difference(&outputs[pool].data, expected));
            let (embedding, expected) = (&outputs.last().unwrap().data, &reference[&format!("{name}.emb")].values);
            cosines.push(cosine(embedding, expected));
            differences.push(max_difference(embedding, expected));
        }
        println!("{model} statistics: largest difference {stats:.1e}");
        assert!(stats < 1e-5);
        report(model, &cosines, &differences);
    }
}

#[test]
fn rawnet3_matches_its_references() {
    let Some(dir) = test_data::dir() else { return };
    let network = load(&dir.join("models/rawnet3_c128_mfa384_untrained.onnx"));
    assert_eq!(network.input_columns, 1);
    let reference = test_data::tensors(&dir.join("reference/rawnet3_untrained/ref8_3s_onnx_f32.safetensors"));
    let (mut cosines, mut differences) = (Vec::new(), Vec::new());
    for name in &UTTERANCES[..4] {
        let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
        let input = float::network_input(&FrontEnd::raw(), &wav.samples[..48_000]).unwrap();
        let embedding = last(&network, &input.features, input.sequence_length);
        let expected = &reference[&format!("{name}.emb")].values;
        cosines.push(cosine(&embedding.data, expected));
        differences.push(max_difference(&embedding.data, expected));
    }
    // The reference is in single precision, which logarithms of values that change their sign magnify.
    let worst = cosines.iter().copied().fold(1.0, f64::min);
    println!("rawnet3: 1 - min cosine {:.1e}, largest difference {:.1e}", 1.0 - worst, differences[0]);
    assert!(worst >= 0.99999, "{worst}");
}

#[test]
fn ecapa_networks_match_their_references() {
    let Some(dir) = test_data::dir() else { return };
    for (model, path, channels_first) in [
        ("ecapa_small", "ecapa_small/ref8_3s.safetensors", false),
        ("ecapa_small_t298", "ecapa_small/ref8_3s.safetensors", false),
        ("ecapa_tdnn_c128_untrained", "ecapa_untrained/ref8_3s_onnx_f32.safetensors", true),
    ] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        let reference = test_data::tensors(&dir.join("reference").join(path));
        let (mut cosines, mut differences) = (Vec::new(), Vec::new());
        for name in UTTERANCES {
            let feats = &reference[&format!("{name}.feats")];
            let feats = FloatMatrix::new(feats.shape[0], feats.shape[1], feats.values.clone());
            let input = match channels_first {
                true => FloatMatrix::from_fn(feats.cols, feats.rows, |t, c| feats.row(c)[t]),
                false => feats,
            };
            let embedding = last(&network, &input, input.rows);
            let expected = &reference[&format!("{name}.emb")].values;
            cosines.push(cosine(&embedding.data, expected));
            differences.push(max_difference(&embedding.data, expected));
        }
        report(model, &cosines, &differences);
    }
}

#[test]
fn resemblyzer_matches_its_reference() {
    let Some(dir) = test_data::dir() else { return };
    let network = load(&dir.join("models/resemblyzer_ge2e.onnx"));
    let path = dir.join("reference/resemblyzer/ref8_3s.safetensors");
    let reference = test_data::tensors(&path);
    let (mut partial, mut whole) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut hidden: f64 = 0.0;
    let front_end = FrontEnd::ge2e40();
    for name in UTTERANCES {
        let tensor = |quantity: &str| &reference[&format!("{name}.{quantity}")].values;
        let input = FloatMatrix::new(480, 40, tensor("mel").clone());
        let outputs = network.execute(&input, 160).unwrap();
        let last_hidden = outputs.iter().zip(&network.nodes).find(|(_, n)| n.op == Op::LastRow);
        // [partials, layers, 256]
        let h_last = tensor("h_last").chunks(256).skip(2).step_by(3).flatten().copied();
        let h_last: Vec<f64> = h_last.collect();
        hidden = hidden.max(max_difference(&last_hidden.unwrap().0.data, &h_last));
        let embeddings = outputs.last().unwrap();
        for (ours, expected) in embeddings.data.chunks(256).zip(tensor("partial_emb").chunks(256)) {
            partial.0.push(cosine(ours, expected));
            partial.1.push(max_difference(ours, expected));
        }
        // From the WAV.
        let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
        let input = float::network_input(&front_end, &wav.samples[..48000]).unwrap();
        let embeddings = last(&network, &input.features, input.sequence_length);
        let utterance = mean_direction(&embeddings);
        whole.0.push(cosine(&utterance, tensor("utt_emb")));
        whole.1.push(max_difference(&utterance, tensor("utt_emb")));
    }
    println!("final hidden state: largest difference {hidden:.1e}");
    assert!(hidden < 1e-5);
    report("ge2e partial embeddings", &partial.0, &partial.1);
    report("ge2e from WAV", &whole.0, &whole.1);
}

#[test]
fn whole_recordings_match_their_references() {
    let Some(dir) = test_data::dir() else { return };
    for (model, key, front_end) in [
        ("xvector_small", "xvector_small/emb_xvector_small_full", FrontEnd::logmel24()),
        ("resemblyzer_ge2e", "resemblyzer/emb_resemblyzer_full", FrontEnd::ge2e40()),
    ] {
        let network = load(&dir.join(format!("models/{model}.onnx")));
        let reference = test_data::tensors(&dir.join(format!("reference/{key}.safetensors")));
        let (mut cosines, mut differences) = (Vec::new(), Vec::new());
        for name in UTTERANCES {
            let wav = wav::read(dir.join(format!("wav/speakers/{name}.wav"))).unwrap();
            let input = float::network_input(&front_end, &wav.samples).unwrap();
            let mut embedding = last(&network, &input.features, input.sequence_length);
            if front_end.partials.is_some() {
                embedding.data = mean_direction(&embedding);
            }
            let expected = &reference[name].values;
            cosines.push(cosine(&embedding.data, expected));
            differences.push(max_difference(&embedding.data, expected));
        }
        report(&format!("{model}, whole recordings"), &cosines, &differences);
    }
}

#[test]
fn the_raw_export_is_the_same_network() {
    let Some(dir) = test_data::dir() else { return };
    assert_eq!(load(&dir.join("models/raw_export/xvector_small.onnx")), bundled());
    assert_eq!(load(&dir.join("models/xvector_small.onnx")), bundled());
}

#[test]
fn other_models_are_refused_by_node() {
    let Some(dir) = test_data::dir() else { return };
    for (model, node, what) in [
        ("kws_dscnn", "/Pad", "mode"),
        ("silero_vad_16k_op15", "graph", "inputs"),
        ("silero_vad_16k_static_op16", "graph", "inputs"),
    ] {
        let bytes = std::fs::read(dir.join(format!("models/{model}.onnx"))).unwrap();
        let found = match read(&bytes).expect_err(model) {
            ModelError::UnsupportedOperator { node, operator, opset: 17, .. } => (node, operator),
            ModelError::UnsupportedAttribute { node, attribute, .. } => (node, attribute),
            other => panic!("{model}: {other}"),
        };
        assert_eq!((&found.0[..], &found.1[..]), (node, what), "{model}");
    }
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
    let tensor_type = Some(TensorTypeProto { shape: Some(shape) });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}

/// A model that maps `x` of these extents (0: dynamic) to `y`.
fn model(dims: &[i64], node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Vec<u8> {
    let graph = GraphProto { node, initializer, input: vec![value("x", dims)], output: vec![value("y", &[])] };
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    ModelProto { graph: Some(graph), opset_import: vec![opset] }.encode_to_vec()
}

fn doubles(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

#[test]
fn recurrent_gates_are_reordered() {
    let (hidden, input, steps) = (2, 3, 4);
    let run = |op: &str, gates: usize, attributes: &[AttributeProto]| {
        let weights = vec![
            tensor("w", &[1, 2 * gates as i64, 3], ramp(gates * hidden * input, 1)),
            tensor("r", &[1, 2 * gates as i64, 2], ramp(gates * hidden * hidden, 2)),
            tensor("b", &[1, 4 * gates as i64], ramp(2 * gates * hidden, 3)),
        ];
        let nodes = vec![
            node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])]),
            node(op, &["t", "w", "r", "b"], &["s"], attributes),
            node("Squeeze", &["s"], &["y"], &[ints("axes", &[1])]),
        ];
        let network = read(&model(&[1, 0, 3], nodes, weights)).unwrap();
        let x = FloatMatrix::new(steps, input, doubles(ramp(steps * input, 4)));
        last(&network, &x, steps).data
    };
    let lstm = [
        0.13862824440002441,
        0.0005248541128821671,
        0.2260986566543579,
        -0.010506962426006794,
        0.2807006239891052,
        -0.028116576373577118,
        0.3162234425544739,
        -0.048765234649181366,
    ];
    assert!(max_difference(&run("LSTM", 4, &[int("hidden_size", 2)]), &lstm) < 1e-7);
    let reset_first = [
        0.40792086720466614,
        -0.3451046049594879,
        0.6350104212760925,
        -0.46545690298080444,
        0.7413745522499084,
        -0.5186529159545898,
        0.7833815813064575,
        -0.5421951413154602,
    ];
    assert!(max_difference(&run("GRU", 3, &[]), &reset_first) < 1e-7);
    let reset_last = [
        0.37276607751846313,
        -0.24025879800319672,
        0.5870582461357117,
        -0.3766963481903076,
        0.6910543441772461,
        -0.4575287103652954,
        0.7333688735961914,
        -0.5011726021766663,
    ];
    assert!(max_difference(&run("GRU", 3, &[int("linear_before_reset", 1)]), &reset_last) < 1e-7);
}

#[test]
fn images_are_flattened_in_the_order_of_the_file() {
    let nodes = vec![
        node("Conv", &["x", "w", "b"], &["c"], &[ints("pads", &[1, 0, 1, 1]), ints("kernel_shape", &[3, 2])]),
        node("MaxPool", &["c"], &["p"], &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
        node("Flatten", &["p"], &["f"], &[]),
        node(
            "Gemm",
            &["f", "g", "h"],
            &["y"],
            &[
                int("transB", 1),
                AttributeProto { name: Some("alpha".into()), f: Some(0.5), ..Default::default() },
                AttributeProto { name: Some("beta".into()), f: Some(2.0), ..Default::default() },
            ],
        ),
    ];
    let weights = vec![
        tensor("w", &[3, 2, 3, 2], ramp(36, 6)),
        tensor("b", &[3], ramp(3, 7)),
        tensor("g", &[2, 12], ramp(24, 8)),
        tensor("h", &[2], ramp(2, 9)),
    ];
    let network = read(&model(&[1, 2, 5, 4], nodes, weights)).unwrap();
    let planes = doubles(ramp(40, 5));
    let x = FloatMatrix::from_fn(20, 2, |pixel, channel| planes[channel * 20 + pixel]);
    let y = last(&network, &x, 20);
    assert!(max_difference(&y.data, &[-1.1402588, -0.27038574]) < 1e-6, "{y:?}");
}

#[test]
fn constants_norms_and_last_steps() {
    let nodes = vec![
        node(
            "Constant",
            &[],
            &["two"],
            &[AttributeProto { name: Some("value_float".into()), f: Some(2.0), ..Default::default() }],
        ),
        node("Constant", &[], &["end"], &[int("value_int", -1)]),
        node("Mul", &["two", "x"], &["a"], &[]),
        node("Sub", &["a", "m"], &["b"], &[]),
        node("Identity", &["b"], &["c"], &[]),
        node("Gather", &["c", "end"], &["d"], &[int("axis", 1)]),
        node("ReduceL2", &["d"], &["n"], &[ints("axes", &[-1])]),
        node("Div", &["d", "n"], &["y"], &[]),
    ];
    let network = read(&model(&[0, 0, 2], nodes, vec![tensor("m", &[2], vec![1.0, 2.0])])).unwrap();
    let x = FloatMatrix::new(2, 2, vec![9.0, 9.0, 2.0, 3.0]);
    let y = last(&network, &x, 2);
    assert!(max_difference(&y.data, &[0.6, 0.8]) < 1e-15, "{y:?}");
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let weights = || {
        vec![
            tensor("w", &[1, 4, 2], ramp(8, 1)),
            tensor("r", &[1, 4, 1], ramp(4, 2)),
            tensor("p", &[1, 3], ramp(3, 3)),
            tensor("one", &[1, 1, 1], vec![1.0]),
        ]
    };
    let text = |name: &str, value: &str| AttributeProto {
        name: Some(name.into()),
        s: Some(value.into()),
        ..Default::default()
    };
    let lstm = |inputs: &[&str], attributes: &[AttributeProto]| {
        let nodes = vec![
            node("Transpose", &["x"], &["t"], &[ints("perm", &[1, 0, 2])]),
            node("LSTM", inputs, &["y"], attributes),
        ];
        read(&model(&[1, 0, 2], nodes, weights())).map(|_| ())
    };
    assert!(lstm(&["t", "w", "r"], &[]).is_ok());
    for (inputs, attributes, named) in [
        (&["t", "w", "r", "", "", "", "", "p"][..], vec![], "P"),
        (&["t", "w", "r", "", "", "one"], vec![], "initial_h"),
        (&["t", "w", "r", "", "", "", "one"], vec![], "initial_c"),
        (&["t", "w", "r", "", "one"], vec![], "sequence_lens"),
        (&["t", "w", "r"], vec![text("direction", "reverse")], "direction"),
        (&["t", "w", "r"], vec![int("input_forget", 1)], "input_forget"),
        (&["t", "w", "r"], vec![int("surprise", 1)], "surprise"),
    ] {
        match lstm(inputs, &attributes) {
            Err(ModelError::UnsupportedAttribute { attribute, node, operator, .. }) => {
                assert_eq!((&attribute[..], &node[..], &operator[..]), (named, "y", "LSTM"));
            }
            other => panic!("{named}: {other:?}"),
        }
    }
    let softmax = read(&model(&[1, 2], vec![node("Softmax", &["x"], &["y"], &[])], vec![]));
    let Err(ModelError::UnsupportedOperator { node: name, operator, opset, .. }) = softmax else {
        panic!("{softmax:?}");
    };
    assert_eq!((&name[..], &operator[..], opset), ("y", "Softmax", 17));
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output], &[]);
    for (what, nodes) in [
        ("cycle", vec![relu("b", "a"), relu("a", "b"), relu("x", "y")]),
        ("missing input", vec![relu("nowhere", "y")]),
        ("missing output", vec![relu("x", "z")]),
        ("defined twice", vec![relu("x", "y"), relu("x", "y")]),
        ("no input at all", vec![node("Relu", &[], &["y"], &[])]),
        ("no nodes", vec![]),
    ] {
        let result = read(&model(&[1, 2], nodes, vec![]));
        assert!(matches!(result, Err(ModelError::Malformed { .. })), "{what}: {result:?}");
    }
    assert!(matches!(read(b"not a model"), Err(ModelError::Malformed { .. })));
    assert!(matches!(read(b""), Err(ModelError::UnsupportedOpset { opset: 0, .. })));
}

#[test]
fn one_tensor_used_many_times_does_not_fill_memory() {
    let names: Vec<String> = (0..200).map(|i| format!("v{i}")).collect();
    let mut nodes: Vec<NodeProto> = (1..200).map(|i| node("Gemm", &[&names[i - 1], "w"], &[&names[i]], &[])).collect();
    nodes[0].input[0] = "x".into();
    nodes[198].output[0] = "y".into();
    let weights = vec![tensor("w", &[64, 64], ramp(4096, 1))];
    let error = read(&model(&[1, 64], nodes, weights)).unwrap_err();
    assert!(error.to_string().contains("again and again"), "{error}");
}

/// Imports, and runs what could be imported on a short input.
fn survive(bytes: &[u8]) {
    if let Ok(network) = read(bytes)
        && network.input_columns <= 64
    {
        for length in [1, 20] {
            let x = FloatMatrix::zeros(length, network.input_columns);
            let _ = network.execute(&x, length);
        }
    }
}

fn file() -> &'static [u8] {
    static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILE.get_or_init(|| std::fs::read(test_data::asset("models/xvector_small.onnx")).unwrap())
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = file().to_vec();
        for (at, region, value) in flips {
            // The structure stands at both ends; between them are weights.
            let len = bytes.len();
            let at = match region {
                0 => at.index(6000),
                1 => len - 1 - at.index(2000),
                _ => at.index(len),
            };
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn wrong_numbers_never_panic(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..5, prop_oneof![
                -3i64..6, Just(i64::MAX), Just(i64::MIN), Just(1 << 40), any::<i64>(),
            ]),
            1..4,
        ),
    ) {
        let mut model = proto::ModelProto::decode(file()).unwrap();
        let graph = model.graph.as_mut().unwrap();
        for (which, item, kind, number) in edits {
            let nodes = graph.node.len();
            let node = &mut graph.node[which.index(nodes)];
            match kind {
                0 if !node.attribute.is_empty() => {
                    let count = node.attribute.len();
                    let attribute = &mut node.attribute[item.index(count)];
                    match attribute.ints.first_mut() {
                        Some(first) => *first = number,
                        None => attribute.i = Some(number),
                    }
                }
                1 => {
                    let tensor = &mut graph.initializer[which.index(27)];
                    if let Some(first) = tensor.dims.first_mut() {
                        *first = number;
                    }
                }
                2 => {
                    let source = graph.node[item.index(nodes)].output[0].clone();
                    graph.node[which.index(nodes)].input[0] = source;
                }
                3 => {
                    let operator = operators()[item.index(operators().len())].0;
                    node.op_type = Some(operator.into());
                }
                _ => {
                    let count = node.attribute.len();
                    if count > 0 {
                        node.attribute.remove(item.index(count));
                    }
                }
            }
        }
        survive(&model.encode_to_vec());
    }
}
