//! Networks that take no recording but their own input tensor: the front end `none`, from a NumPy file to a verdict.

mod cli_common;

use std::path::Path;

use cli_common::{Folder, assert_error, assert_has, assert_result, demo_wav, json, status};
use serde_json::Value;
use voxcheck::audio::frontend::Tensor;
use voxcheck::audio::wav::Wav;
use voxcheck::proof::{Expected, ProveOptions, Reveal};
use voxcheck::{Context, Model, Verdict, setup};

/// Where the axes of a graph's input are, as `tests/onnx/generate.py` has them.
#[derive(Clone, Copy, PartialEq)]
enum Axes {
    Rows,
    ChannelsFirst,
    Image,
}

/// A graph of `tests/onnx`: its bytes, its input and what `onnx.reference` computes of that.
struct Graph {
    bytes: Vec<u8>,
    input: Tensor,
    output: Vec<f64>,
}

fn graph(name: &str, axes: Axes) -> Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name);
    let text = std::fs::read_to_string(path.with_extension("txt")).unwrap();
    let mut lines = text.lines().map(|line| line.split(' ').map(|x| x.parse::<f64>().unwrap()).collect::<Vec<f64>>());
    let (shape, rows, output) = (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap());
    let (length, columns) = (shape[0] as usize, shape[1] as usize);
    let input = match axes {
        Axes::Rows => Tensor { extents: vec![1, length, columns], values: rows },
        Axes::Image => Tensor { extents: vec![1, 1, length, columns], values: rows },
        Axes::ChannelsFirst => {
            let at = |i: usize| rows[i % length * columns + i / length];
            Tensor { extents: vec![1, columns, length], values: (0..rows.len()).map(at).collect() }
        }
    };
    Graph { bytes: std::fs::read(path.with_extension("onnx")).unwrap(), input, output }
}

fn npy(tensor: &Tensor) -> Vec<u8> {
    let extents: Vec<String> = tensor.extents.iter().map(usize::to_string).collect();
    let shape = extents.join(", ");
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape},), }}\n");
    let data = tensor.values.iter().flat_map(|&x| (x as f32).to_le_bytes());
    let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    bytes.extend(data);
    bytes
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// A model of a graph, calibrated on its own input, and the integers of that.
fn model(graph: &Graph) -> (Model, Vec<i16>) {
    let builder = Model::from_onnx_bytes(graph.bytes.clone(), "graph").unwrap();
    let (builder, clips) = builder.tensors(std::slice::from_ref(&graph.input)).unwrap();
    let model = builder.calibrate(&clips).unwrap();
    (model, clips[0].clone())
}

#[test]
fn values_are_those_that_the_graph_has_of_the_tensor() {
    let graphs = [
        ("rms", Axes::Rows),
        ("cnn", Axes::Image),
        ("chanfirst", Axes::ChannelsFirst),
        ("mha", Axes::Rows),
        ("quantized_qdq", Axes::Rows),
        ("gru_fw", Axes::Rows),
    ];
    for (name, axes) in graphs {
        let graph = graph(name, axes);
        let (model, integers) = model(&graph);
        assert!(!model.has_voice() && model.makes_values());
        let found: Vec<f64> = model.embed(&integers).unwrap().iter().map(|&v| v as f64).collect();
        let float = model.embed_float(&integers).unwrap().unwrap();
        assert_eq!((found.len(), float.len()), (graph.output.len(), graph.output.len()), "{name}");
        let (integer, float) = (cosine(&found, &graph.output), cosine(&float, &graph.output));
        println!("{name}: cosine {integer:.6} of the integers, {float:.8} of the floats");
        assert!(integer > 0.9998 && float > 0.999_99, "{name}: {integer}, {float}");
        let again = Model::from_bytes(&model.to_bytes()).unwrap();
        assert_eq!((again.id(), again.embed(&integers).unwrap()), (model.id(), model.embed(&integers).unwrap()));
    }
}

#[test]
fn values_of_a_tensor_are_proved() {
    let graph = graph("chanfirst", Axes::ChannelsFirst);
    let (model, samples) = model(&graph);
    let (pk, vk) = setup(&model).unwrap();
    let (input, context) = (Wav { sample_rate: 0, samples }, Context::new(*b"tensor"));
    let options = ProveOptions { reveal: Reveal::Embedding, ..ProveOptions::default() };
    let (proof, report) = pk.prove_readings(&input, &context, &options).unwrap();
    let statement = proof.statement();
    assert!(!statement.is_about_audio());
    assert_eq!(statement.embedding(), Some(&*model.embed(&input.samples).unwrap()));
    assert_eq!(statement.embedding(), Some(&*report.embedding));
    vk.check_statement(statement, &Expected::without_template(&context)).unwrap();
    assert_eq!(vk.verify(statement, &proof), Ok(Verdict::Accept));
    // Nothing is decided about values, so a proof that reveals none would say nothing.
    assert!(pk.prove_readings(&input, &context, &ProveOptions::default()).is_err());
    // There is no voice in it, and a recording is no tensor.
    assert!(pk.enrol(std::slice::from_ref(&input), 0.5).is_err());
    let recording = Wav { sample_rate: 16_000, ..input.clone() };
    assert!(pk.prove_readings(&recording, &context, &options).is_err());
}

/// What makes a row as long as a power of two is part of the commitment, and has to be zero.
#[test]
fn the_rest_of_a_row_is_zero() {
    // Rows of six values and two more.
    let (model, samples) = model(&graph("quantized_qdq", Axes::Rows));
    let (pk, _) = setup(&model).unwrap();
    let run = |samples: Vec<i16>| {
        let options = ProveOptions { reveal: Reveal::Embedding, ..ProveOptions::default() };
        pk.prove_readings(&Wav { sample_rate: 0, samples }, &Context::default(), &options).is_ok()
    };
    assert!(run(samples.clone()));
    let (lowered, _) = model.run(&samples).unwrap();
    let mut other = samples;
    assert_eq!(other[8 * 3 + 6], 0);
    other[8 * 3 + 6] = 1;
    let inputs = [std::sync::Arc::new(voxcheck::model::samples_table(&lowered.program, &other))];
    let trace = voxcheck::gkr::trace::Trace::run(&lowered.program, &lowered.recipes, &inputs, model.constants());
    let violated = trace.unwrap().check(&lowered.program).unwrap_err().to_string();
    assert!(violated.contains("features/rest"), "{violated}");
}

#[test]
fn a_class_of_a_tensor_is_proved_and_demanded() {
    let folder = Folder::new();
    let graph = graph("cnn", Axes::Image);
    let (onnx, x) = (folder.write("net.onnx", &graph.bytes), folder.write("x.npy", &npy(&graph.input)));
    let [model, key, proof, audio] = ["m.vxm", "k.vxk", "p.vxp", "x.vxa"].map(|name| folder.path(name));
    let labels: Vec<String> = (0..graph.output.len()).map(|class| format!("class {class}")).collect();
    let largest = (0..labels.len()).max_by(|&a, &b| graph.output[a].total_cmp(&graph.output[b])).unwrap();
    let import = ["model", "import", &onnx, "--frontend", "none", "--calibrate", &x, "-o", &model];
    let (exit, value) = json(&[&import[..], &["--labels", &labels.join(",")]].concat());
    assert_eq!((exit, &value["front_end"]), (0, &Value::from("none")), "{value}");
    assert_result(&value, "model-import");
    assert_eq!(value["tensor"]["shape"], "1x32x16");

    assert_eq!(status(&["commit", "--model", &model, &x, "-o", &audio]), 0);
    let prove = ["prove", "--model", &model, &x, "--audio", &audio, "-o", &proof, "--context", "c0de"];
    let (exit, value) = json(&prove);
    assert_eq!((exit, &value["input"]), (0, &Value::from("tensor")), "{value}");
    assert!(value["audio_seconds"].is_null() && value["real_time_factor"].is_null(), "{value}");
    assert_eq!(value["readings"][0]["label"], Value::from(&*labels[largest]), "{value}");
    assert_eq!(status(&["setup", &model, "-o", &key]), 0);
    let verify = ["verify", "--key", &key, "--audio", &audio, "--context", "c0de", &proof, "--says"];
    let (exit, value) = json(&[&verify[..], &[&labels[largest]]].concat());
    assert_eq!((exit, &value["decision"], &value["input"]), (0, &Value::from("accept"), &Value::from("tensor")));
    let other = &labels[(largest + 1) % labels.len()];
    assert_eq!(status(&[&verify[..], &[other]].concat()), 4);
    for verb in [&["inspect"][..], &["model", "estimate"]] {
        let (exit, value) = json(&[verb, &[&model]].concat());
        assert_eq!(exit, 0, "{value}");
    }
    let (exit, value) = json(&["model", "check", &model, "--against", &onnx, "--wav", &x]);
    assert_eq!(exit, 0, "{value}");
    // A recording is no tensor, and a tensor no recording.
    assert_error(&["prove", "--model", &model, &demo_wav("slt_1.wav"), "-o", &folder.path("q")], 65, "E-TENSOR");
    assert_error(&["embed", &x], 65, "E-WAV");
}

#[test]
fn values_are_embedded_and_revealed() {
    let folder = Folder::new();
    let graph = graph("rms", Axes::Rows);
    let (onnx, x) = (folder.write("net.onnx", &graph.bytes), folder.write("x.npy", &npy(&graph.input)));
    let (model, proof) = (folder.path("m.vxm"), folder.path("p.vxp"));
    let import = ["model", "import", &onnx, "--frontend", "none", "-o", &model];
    assert_error(&import, 2, "E-USAGE");
    // A folder is searched for tensors.
    let all = folder.path("");
    assert_eq!(status(&[&import[..], &["--calibrate", &all]].concat()), 0);
    let (exit, embedded) = json(&["embed", "--model", &model, &x]);
    assert_eq!(exit, 0, "{embedded}");
    assert_has(&embedded, &["embedding", "float_embedding", "cosine"]);
    let prove = ["prove", "--model", &model, &x, "-o", &proof];
    assert_error(&prove, 65, "E-MISMATCH");
    let (exit, value) = json(&[&prove[..], &["--reveal", "embedding"]].concat());
    assert_eq!((exit, &value["embedding"]), (0, &embedded["embedding"]), "{value}");
    assert!(value["embedding_cosine_vs_float"].as_f64().is_some_and(|cosine| cosine > 0.9998), "{value}");
    let (exit, verified) = json(&["verify", "--model", &model, &proof]);
    assert_eq!((exit, &verified["embedding"]), (0, &embedded["embedding"]), "{verified}");
    // Other extents, other numbers.
    let mut wide = graph.input.clone();
    wide.extents = vec![1, wide.extents[1] * 2, wide.extents[2] / 2];
    let wide = folder.write("wide.npy", &npy(&wide));
    assert!(assert_error(&["embed", "--model", &model, &wide], 65, "E-TENSOR").contains("?x8"));
    let mut loud = graph.input.clone();
    loud.values[5] = 1e6;
    let loud = folder.write("loud.npy", &npy(&loud));
    assert_error(&["embed", "--model", &model, &loud], 65, "E-TENSOR");
    let broken = folder.write("broken.npy", &npy(&graph.input)[..100]);
    assert_error(&["embed", "--model", &model, &broken], 65, "E-TENSOR");
}

/// Of an open number of rows any is taken, and each row is where it was; what is no whole row is refused.
#[test]
fn any_number_of_rows_is_taken() {
    let Graph { bytes, input, .. } = graph("rms", Axes::Rows);
    let columns = input.extents[2];
    let first = |rows: usize| {
        let values = input.values.iter().copied().cycle().take(rows * columns).collect();
        Tensor { extents: vec![rows, columns], values }
    };
    let examples = [1, 2, 3, 5, 8, 20, 39].map(first);
    let (builder, clips) = Model::from_onnx_bytes(bytes, "rms").unwrap().tensors(&examples).unwrap();
    let model = builder.calibrate(&clips).unwrap();
    let stride = columns.next_power_of_two();
    for rows in [1, 2, 4, 7, 17, 31, 32, 33] {
        let integers = model.front_end().tensor().unwrap().integers(&first(rows)).unwrap();
        assert_eq!(integers.len(), rows * stride);
        let (found, float) = (model.embed(&integers).unwrap(), model.embed_float(&integers).unwrap().unwrap());
        let found: Vec<f64> = found.iter().map(|&v| v as f64).collect();
        assert!(cosine(&found, &float) > 0.999, "{rows}");
        for length in [rows * stride + 1, rows * stride - 1] {
            let integers: Vec<i16> = integers.iter().copied().cycle().take(length).collect();
            assert!(model.embed(&integers).is_err(), "{length}");
        }
    }
}
