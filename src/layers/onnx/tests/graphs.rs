//! Graphs by hand. The expected numbers are those of onnx.reference.ReferenceEvaluator (onnx 1.17).

use super::*;

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
    assert!(lstm(&["t", "w", "r", "", "", "one", "one"], &[]).is_ok());
    assert!(matches!(lstm(&["t", "w", "r", "", "", "p"], &[]), Err(ModelError::Shape { .. })));
    for (inputs, attributes, named) in [
        (&["t", "w", "r", "", "", "", "", "p"][..], vec![], "P"),
        (&["t", "w", "r", "", "", "t"], vec![], "initial_h"),
        (&["t", "w", "r", "", "", "", "t"], vec![], "initial_c"),
        (&["t", "w", "r", "", "one"], vec![], "sequence_lens"),
        (&["t", "w", "r"], vec![text("direction", "sideways")], "direction"),
        (&["t", "w", "r"], vec![int("input_forget", 1)], "input_forget"),
        (&["t", "w", "r"], vec![int("surprise", 1)], "surprise"),
    ] {
        match lstm(inputs, &attributes) {
            Err(ModelError::UnsupportedAttribute { attribute, node, operator, .. }) => {
                assert_eq!((&attribute[..], &node[..], &operator[..]), (named, "y", "LSTM (opset 17)"));
            }
            other => panic!("{named}: {other:?}"),
        }
    }
    let spline = read(&model(&[1, 2], vec![node("Softmaxx", &["x"], &["y"], &[])], vec![]));
    let Err(ModelError::UnsupportedOperator { node: name, operator, opset, help }) = spline else {
        panic!("{spline:?}");
    };
    assert_eq!((&name[..], &operator[..], opset), ("y", "Softmaxx", 17));
    assert!(help.contains("nearest that can be imported is Softmax"), "{help}");
}

#[test]
fn automatic_pads_after_a_pad_are_refused() {
    let pads = TensorProto {
        name: Some("pads".into()),
        dims: vec![6],
        data_type: Some(7),
        int64_data: vec![0, 0, 0, 0, 0, 1],
        ..Default::default()
    };
    let read = |auto_pad: &str| {
        let text = AttributeProto {
            name: Some("auto_pad".into()),
            s: Some(auto_pad.as_bytes().to_vec()),
            ..Default::default()
        };
        let nodes = vec![
            node("Pad", &["x", "pads"], &["p"], &[]),
            node("Conv", &["p", "w"], &["y"], &[text, ints("strides", &[2])]),
        ];
        read(&model(&[1, 2, 7], nodes, vec![pads.clone(), tensor("w", &[3, 2, 3], ramp(18, 1))]))
    };
    assert!(read("VALID").is_ok());
    assert!(read("SAME_UPPER").unwrap_err().to_string().contains("explicit pads"));
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output], &[]);
    for (what, nodes) in [
        ("cycle", vec![relu("b", "a"), relu("a", "b"), relu("a", "y")]),
        ("missing input", vec![relu("nowhere", "y")]),
        ("missing output", vec![relu("x", "z")]),
        ("defined twice", vec![relu("x", "y"), relu("y", "z"), node("Relu", &["z"], &["y"], &[])]),
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
    let names: Vec<String> = (0..5000).map(|i| format!("v{i}")).collect();
    let mut nodes: Vec<NodeProto> = (1..5000).map(|i| node("Gemm", &[&names[i - 1], "w"], &[&names[i]], &[])).collect();
    nodes[0].input[0] = "x".into();
    nodes[4998].output[0] = "y".into();
    let weights = vec![tensor("w", &[64, 64], ramp(4096, 1))];
    let error = read(&model(&[1, 64], nodes, weights)).unwrap_err();
    assert!(error.to_string().contains("again and again"), "{error}");
}

#[test]
fn the_table_of_operators_is_that_of_the_docs() {
    let table: String = operators().map(|(name, accepted)| format!("| `{name}` | {accepted} |\n")).collect();
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md")).unwrap();
    assert!(docs.ends_with(&table), "docs/operators.md is stale; its table is now\n{table}");
}

#[test]
fn inputs_that_are_fixed_become_constants_and_choose_branches() {
    let branch = |name: &str, factor: f32| {
        let scaled = format!("{name}_y");
        let mut graph = GraphProto {
            node: vec![node("Mul", &["x", &format!("{name}_w")], &[&scaled], &[])],
            initializer: vec![tensor(&format!("{name}_w"), &[1], vec![factor])],
            ..Default::default()
        };
        graph.output.push(value(&scaled, &[]));
        AttributeProto { name: Some(format!("{name}_branch")), g: Some(graph), ..Default::default() }
    };
    let nodes = vec![
        node("Equal", &["sr", "rate"], &["same"], &[]),
        node("If", &["same"], &["y"], &[branch("then", 2.0), branch("else", 3.0)]),
    ];
    let rate =
        TensorProto { name: Some("rate".into()), data_type: Some(7), int64_data: vec![16_000], ..Default::default() };
    let mut proto = ModelProto::decode(&model(&[1, 2], nodes, vec![rate])[..]).unwrap();
    let mut sr = value("sr", &[]);
    sr.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().elem_type = Some(7);
    proto.graph.as_mut().unwrap().input.push(sr);
    let bytes = proto.encode_to_vec();
    let run = |bytes: &[u8]| last(&read(bytes).unwrap(), &FloatMatrix::new(1, 2, vec![1.0, -1.0]), 1).data;
    assert_eq!(run(&bytes), [2.0, -2.0]);
    let fixed = |name: &str| {
        let inputs = BTreeMap::from([(name.to_owned(), 8000.0)]);
        prepare(bytes.clone(), None, &Settings { inputs, ..Settings::default() })
    };
    assert_eq!(run(&fixed("sr").unwrap()), [3.0, -3.0]);
    assert!(fixed("nothing").unwrap_err().to_string().contains("nothing"));
}

#[test]
fn tensors_beside_the_file_are_read_from_its_folder_only() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = [9.0_f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(dir.path().join("weights"), bytes).unwrap();
    let entry = |key: &str, value: &str| super::super::proto::StringStringEntryProto {
        key: Some(key.into()),
        value: Some(value.into()),
    };
    let file = |location: &str, offset: &str| {
        let external_data = vec![entry("location", location), entry("offset", offset), entry("length", "8")];
        let outside = TensorProto { data_location: Some(1), external_data, ..tensor("w", &[2], vec![]) };
        model(&[1, 2], vec![node("Mul", &["x", "w"], &["y"], &[])], vec![outside])
    };
    let prepared =
        |location: &str, offset: &str| prepare(file(location, offset), Some(dir.path()), &Settings::default());
    let network = read(&prepared("weights", "4").unwrap()).unwrap();
    assert_eq!(last(&network, &FloatMatrix::new(1, 2, vec![1.0, 1.0]), 1).data, [2.0, 3.0]);
    assert!(read(&file("weights", "4")).is_err());
    for (location, offset) in [("weights", "8"), ("../weights", "4"), ("/weights", "4"), ("none", "4"), ("", "0")] {
        assert!(prepared(location, offset).is_err(), "{location} {offset}");
    }
}

#[test]
fn integer_weights_are_what_they_stand_for() {
    let of = |name: &str, dims: &[i64], data_type: i32, values: &[i32]| TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(data_type),
        int32_data: values.to_vec(),
        ..Default::default()
    };
    let nodes = |axis: i64| {
        vec![
            node("DequantizeLinear", &["q", "scale", "zero"], &["w"], &[int("axis", axis)]),
            node("MatMul", &["x", "w"], &["y"], &[]),
        ]
    };
    let weights = || {
        vec![of("q", &[2, 2], 3, &[1, -2, 3, 4]), tensor("scale", &[2], vec![0.5, 0.25]), of("zero", &[2], 3, &[0, 2])]
    };
    let run = |axis: i64| {
        let network = read(&model(&[1, 2], nodes(axis), weights())).unwrap();
        last(&network, &FloatMatrix::new(1, 2, vec![1.0, 10.0]), 1).data
    };
    assert_eq!(run(1), [0.5 + 15.0, -1.0 + 5.0]);
    assert_eq!(run(0), [0.5 + 2.5, -1.0 + 5.0]);
    let mut wrong = weights();
    wrong[1] = tensor("scale", &[3], vec![1.0; 3]);
    assert!(read(&model(&[1, 2], nodes(1), wrong)).is_err());
}

#[test]
fn what_follows_one_another_needs_known_lengths() {
    let nodes = vec![node("Neg", &["x"], &["z"], &[]), node("Concat", &["x", "z"], &["y"], &[int("axis", 1)])];
    let known = read(&model(&[1, 3, 2], nodes.clone(), vec![])).unwrap();
    assert_eq!(known.input_rows, Some(3));
    let x = FloatMatrix::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let expected = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0];
    assert_eq!(last(&known, &x, 3).data, expected);
    assert!(known.execute(&x, 1).is_err(), "a network of three rows takes three");
    let error = read(&model(&[1, 0, 2], nodes, vec![])).unwrap_err();
    assert!(error.to_string().contains("--length"), "{error}");
}

/// Fixed extents \[1, 8\] can be channels or the samples of a recording; the front end knows.
#[test]
fn a_known_length_of_samples_is_no_number_of_channels() {
    let nodes = vec![node("Relu", &["x"], &["y"], &[])];
    let bytes = model(&[1, 8], nodes, vec![]);
    let shape = |network: Network| (network.input_columns, network.input_rows);
    assert_eq!(shape(read(&bytes).unwrap()), (8, None));
    assert_eq!(shape(read_for(&bytes, 8).unwrap()), (8, None));
    assert_eq!(shape(read_for(&bytes, 1).unwrap()), (1, Some(8)));
    // What no meaning has is not found, and is for the front end to refuse.
    assert_eq!(shape(read_for(&bytes, 5).unwrap()), (8, None));
}
