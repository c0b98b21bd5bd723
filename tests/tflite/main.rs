//! TensorFlow Lite models: what they compute, what is refused, and files that are damaged or made to do harm.
//!
//! The graphs beside this file are made by `generate.py`, with inputs and what LiteRT's reference kernels give for them.

#[path = "../common/data.rs"]
mod shared;

mod hostile;
mod integers;
mod refused;

use std::path::{Path, PathBuf};

use shared::data;
use voxcheck::audio::{FrontEnd, wav};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Network, Op};
use voxcheck::layers::{onnx, tflite};
use voxcheck::{Model, error::ModelError};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tflite").join(name)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(path(&format!("{name}.tflite"))).unwrap()
}

fn read(bytes: &[u8]) -> Result<Network, ModelError> {
    onnx::read(&tflite::to_onnx(bytes)?)
}

/// Inputs and outputs of a graph.
fn references(name: &str) -> Vec<(FloatMatrix, Vec<f64>)> {
    let text = std::fs::read_to_string(path(&format!("{name}.txt"))).unwrap();
    let numbers = |line: &str| line.split_whitespace().map(|number| number.parse().unwrap()).collect::<Vec<f64>>();
    let lines: Vec<Vec<f64>> = text.lines().map(numbers).collect();
    let shape = [lines[0][0] as usize, lines[0][1] as usize];
    let pairs = lines[1..].chunks_exact(2);
    pairs.map(|pair| (FloatMatrix::new(shape[0], shape[1], pair[0].clone()), pair[1].clone())).collect()
}

/// The six clips of keyword spotting: their quantized inputs, and the outputs, as numbers.
fn keywords(data: &Path) -> Vec<(String, FloatMatrix, Vec<f64>)> {
    let bytes = std::fs::read(data.join("reference/kws/kws_reference.safetensors")).unwrap();
    let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let integers = |name: &str| -> Vec<f64> {
        reference.tensor(name).unwrap().data().iter().map(|&byte| f64::from(byte as i8)).collect()
    };
    let names = reference.names().into_iter().filter_map(|name| name.strip_suffix(".mfcc").map(str::to_owned));
    let clip = |name: String| {
        let input = integers(&format!("{name}.mfcc_int8")).into_iter().map(|q| f64::from(0.584_702_9_f32) * (q - 83.0));
        let input = FloatMatrix::new(49, 10, input.collect());
        let output = integers(&format!("{name}.prob_int8")).into_iter().map(|q| (q + 128.0) / 256.0).collect();
        (name, input, output)
    };
    names.map(clip).collect()
}

/// The step of the last integers of a network; that of floats is nothing.
fn last_step(network: &Network) -> f64 {
    let step = network.nodes.iter().rev().find_map(|node| match &node.op {
        Op::Quantize(levels) => Some(levels.scale),
        _ => None,
    });
    step.expect("a network of integers")
}

/// How many outputs are equal, one step apart, and more; and by how many steps at most. Each layer is within a step for equal
/// inputs; what differs on the way adds up, and a softmax shows it.
#[derive(Debug, Default, PartialEq)]
struct Apart {
    equal: usize,
    one: usize,
    more: usize,
    most: f64,
}

impl Apart {
    fn count(&mut self, found: &[f64], expected: &[f64], step: f64) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            self.most = self.most.max(((a - b) / step).abs());
            match ((a - b) / step).abs() {
                steps if steps < 0.5 => self.equal += 1,
                steps if steps < 1.5 => self.one += 1,
                _ => self.more += 1,
            }
        }
    }
}

fn largest(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

#[test]
fn floats_are_those_of_litert() {
    let network = read(&file("image_float")).unwrap();
    assert_eq!((network.input_columns, network.input_rows), (10, Some(17)));
    let references = references("image_float");
    assert_eq!(references.len(), 2);
    for (input, expected) in references {
        let found = network.execute(&input, input.rows).unwrap().pop().unwrap().data;
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(found.len() == 6 && off < 1e-6, "{off:.1e}");
    }
}

/// The network in floats rounds where the model does: what differs is how LiteRT multiplies integers.
#[test]
fn roundings_are_those_of_litert() {
    for (name, outputs) in [("image_int8", 48), ("sequence_int8", 56)] {
        let network = read(&file(name)).unwrap();
        let mut apart = Apart::default();
        for (input, expected) in references(name) {
            let found = network.execute(&input, input.rows).unwrap().pop().unwrap().data;
            apart.count(&found, &expected, last_step(&network));
        }
        println!("{name}: {apart:?}");
        assert_eq!(apart.equal + apart.one + apart.more, outputs);
        assert!(apart.equal >= outputs * 3 / 5 && apart.more <= outputs / 10 && apart.most < 3.5, "{name}: {apart:?}");
    }
}

#[test]
fn a_file_is_known_by_its_bytes() {
    let folder = tempfile::TempDir::new().unwrap();
    let network = folder.path().join("network.onnx");
    std::fs::write(&network, file("image_int8")).unwrap();
    assert!(Model::from_network_file(&network).is_ok() && Model::from_onnx(&network).is_ok());
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/xvector_small.onnx");
    assert!(!tflite::is_tflite(&std::fs::read(&bundled).unwrap()));
    assert!(Model::from_network_file(&bundled).is_ok());
    for bytes in [&b""[..], b"TFL3", b"\0\0\0\0TFL2\0\0\0\0"] {
        assert!(!tflite::is_tflite(bytes));
        assert!(matches!(tflite::to_onnx(bytes), Err(ModelError::Malformed { .. })));
    }
}

/// Names are those of the file, for `--graph-output` and `--input`.
#[test]
fn inputs_and_outputs_keep_their_names() {
    let interface = onnx::interface(&tflite::to_onnx(&file("sequence_int8")).unwrap()).unwrap();
    assert_eq!((&interface.input[..], &interface.output[..]), ("x", "dequantize_7"));
}

#[test]
fn the_table_of_operators_is_that_of_the_docs() {
    let table: String = tflite::operators().map(|(name, accepted)| format!("| `{name}` | {accepted} |\n")).collect();
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md")).unwrap();
    assert!(docs.contains(&format!("|---|---|\n{table}\n")), "docs/operators.md is stale; its table is now\n{table}");
}

/// From recordings: the class of each clip's second second is that of LiteRT, which was given other features of it.
#[test]
fn keyword_spotting_says_what_litert_says() {
    let Some(data) = data() else { return };
    let clip = |name: &str| {
        let [speaker, impostor] = ["speakers", "impostors"].map(|kind| data.join(format!("wav/{kind}/{name}.wav")));
        wav::read(if speaker.exists() { speaker } else { impostor }).unwrap().samples
    };
    let references = keywords(&data);
    assert_eq!(references.len(), 6);
    let clips: Vec<Vec<i16>> = references.iter().map(|(name, ..)| clip(name)).collect();
    let labels = "down,go,left,no,off,on,right,stop,up,yes,silence,unknown".split(',').map(str::to_owned).collect();
    let builder = Model::from_network_file(data.join("models/kws_dscnn_int8.tflite")).unwrap();
    let model = builder.front_end(FrontEnd::kws10()).labels(labels).calibrate(&clips).unwrap();
    assert_eq!((model.min_samples(), model.has_voice()), (16_000, false));
    for ((name, _, expected), clip) in references.iter().zip(&clips) {
        let found = model.read_windows(clip, &[16_000]).unwrap()[0].class as usize;
        assert_eq!(found, largest(expected), "{name}");
    }
}
