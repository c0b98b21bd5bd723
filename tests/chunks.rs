//! Networks that are run over chunks of a recording and carry a state from one to the next: Silero's voice activity.

mod cli_common;
#[path = "common/data.rs"]
mod shared;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use cli_common::{Folder, assert_error, assert_has, json, status};
use serde_json::Value;
use shared::data;
use voxcheck::audio::{FrontEnd, wav};
use voxcheck::layers::onnx::{self, Settings};
use voxcheck::model::Tail;
use voxcheck::proof::{Expected, ProveOptions, Reveal};
use voxcheck::{Context, Model, Verdict, setup};

/// New samples of a chunk.
const CHUNK: usize = 512;
/// Recordings of the references.
const REFERENCES: [&str; 8] = [
    "367-130732-0001",
    "367-130732-0002",
    "1688-142285-0000",
    "1688-142285-0001",
    "1998-15444-0000",
    "1998-15444-0001",
    "2414-128291-0001",
    "2414-128291-0002",
];
/// Others, of the same voices and of two more.
const CALIBRATION: [&str; 6] = [
    "367-130732-0003",
    "1688-142285-0003",
    "1998-15444-0002",
    "2414-128291-0004",
    "2609-156975-0002",
    "3080-5032-0001",
];

fn samples(data: &Path, name: &str) -> Vec<i16> {
    let wav = wav::read(data.join(format!("wav/speakers/{name}.wav"))).unwrap();
    wav.samples[..48_000].to_vec()
}

/// Silero's network with its state carried over chunks of 512 samples, 64 of those before among its input.
fn silero(data: &Path) -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let bytes = std::fs::read(data.join("models/silero_vad_16k_static_op16.onnx")).unwrap();
        let states = onnx::guess_state(&bytes).unwrap().into_iter().collect();
        let bytes = onnx::prepare(bytes, None, &Settings { states, ..Settings::default() }).unwrap();
        let front_end = FrontEnd::by_name("raw:chunk=512,context=64").unwrap();
        let clips: Vec<Vec<i16>> = CALIBRATION.iter().map(|name| samples(data, name)).collect();
        let start = Instant::now();
        let builder = Model::from_onnx_bytes(bytes, "silero").unwrap().front_end(front_end).activity(0.5);
        let (model, closeness) = builder.calibrate_measured(&clips).unwrap();
        println!("calibrated in {:.1?}, closeness {closeness:.6}", start.elapsed());
        model
    })
}

fn reference(data: &Path, name: &str) -> Vec<f64> {
    let bytes = std::fs::read(data.join("reference/silero/ref8_3s.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(&format!("{name}.prob")).unwrap();
    let float = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
    tensor.data().chunks_exact(4).map(float).collect()
}

#[test]
fn probabilities_of_all_chunks_are_those_of_the_float_network() {
    let Some(data) = data() else { return };
    let model = silero(&data);
    assert_eq!((model.min_samples(), model.max_samples(), model.embedding_len()), (CHUNK, 960_000, 1));
    let unit = f64::from(-model.spec().embedding_fraction_bits()).exp2();
    let (mut worst, mut other, mut chunks) = (0f64, 0, 0);
    for name in REFERENCES {
        let (samples, expected) = (samples(&data, name), reference(&data, name));
        let found: Vec<f64> = model.embed(&samples).unwrap().iter().map(|&p| p as f64 * unit).collect();
        let float = model.embed_float(&samples).unwrap().unwrap();
        assert_eq!([found.len(), float.len()], [expected.len(); 2]);
        for ((p, float), expected) in found.iter().zip(&float).zip(&expected) {
            assert!((float - expected).abs() < 1e-5, "{name}: {float} instead of {expected}");
            worst = worst.max((p - expected).abs());
            other += usize::from((*p >= 0.5) != (*expected >= 0.5));
        }
        chunks += expected.len();
    }
    println!("{chunks} chunks: largest difference of probabilities {worst:.1e}, {other} on the other side of 0.5");
    assert!(worst <= 0.05 && other == 0, "{worst}, {other}");
}

#[test]
fn the_rest_of_a_chunk_counts_for_nothing_and_earlier_chunks_do() {
    let Some(data) = data() else { return };
    let model = silero(&data);
    let all = samples(&data, REFERENCES[0]);
    let row = |samples: &[i16]| model.embed(samples).unwrap();
    let whole = row(&all[..20 * CHUNK]);
    assert_eq!(whole.len(), 20);
    // A recording that goes on gives the same values for the chunks that it has had.
    assert_eq!(row(&all[..20 * CHUNK + 511]), whole);
    assert_eq!(row(&all[..7 * CHUNK]), whole[..7]);
    // One that starts later does not: the state has come from other chunks.
    assert_ne!(row(&all[10 * CHUNK..20 * CHUNK]), whole[10..]);
    assert!(model.embed(&all[..CHUNK - 1]).is_err());
}

#[test]
fn a_row_of_values_is_no_embedding() {
    let Some(data) = data() else { return };
    let model = silero(&data);
    assert!(model.require_voice().unwrap_err().to_string().contains("values of chunks"));
    let tail = Tail { threshold: Some(1), ..Tail::default() };
    assert!(model.spec().lower(CHUNK, &tail).is_err());
    let wav = wav::Wav { sample_rate: 16_000, samples: samples(&data, REFERENCES[0]) };
    let refused = setup(model).map(|(pk, _)| pk.enrol(std::slice::from_ref(&wav), 0.7).is_err());
    assert!(refused.unwrap_or(true));
    // What is written is what was made.
    let again = Model::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!((again.id(), again.spec()), (model.id(), model.spec()));
}

#[test]
fn voice_activity_over_a_recording_is_proved() {
    let Some(data) = data() else { return };
    let model = silero(&data);
    let (pk, vk) = setup(model).unwrap();
    let context = Context::new(*b"activity");
    let mut proofs = Vec::new();
    for name in &REFERENCES[..2] {
        let recording = wav::Wav { sample_rate: 16_000, samples: samples(&data, name) };
        let start = Instant::now();
        let (proof, report) = pk.prove_readings(&recording, &context, &ProveOptions::default()).unwrap();
        println!("{name}: {:.1?}, {} bytes, {} lookups", start.elapsed(), proof.to_bytes().len(), report.lookups);
        let expected: Vec<bool> = reference(&data, name).iter().map(|&p| p >= 0.5).collect();
        assert_eq!(proof.statement().activity(), Some(&*expected));
        assert_eq!(vk.verify(proof.statement(), &proof), Ok(Verdict::Accept));
        proofs.push(proof);
    }
    // The activity of one recording is not that of another.
    let statement = proofs[0].statement();
    assert_ne!(statement.activity(), proofs[1].statement().activity());
    assert!(vk.verify(proofs[1].statement(), &proofs[0]).is_err());
    let seconds = |min_active: f64| {
        let expected = Expected { min_active: Some(min_active), ..Expected::without_template(&context) };
        vk.check_statement(statement, &expected).is_ok()
    };
    assert!(seconds(0.5) && !seconds(3.1));
    // The probabilities themselves, for those who want them.
    let options = ProveOptions { reveal: Reveal::Embedding, ..ProveOptions::default() };
    let recording = wav::Wav { sample_rate: 16_000, samples: samples(&data, REFERENCES[0]) };
    let (proof, _) = pk.prove_readings(&recording, &context, &options).unwrap();
    assert_eq!(proof.statement().embedding(), Some(&*model.embed(&recording.samples).unwrap()));
    assert_eq!(vk.verify(proof.statement(), &proof), Ok(Verdict::Accept));
}

/// From the published file to a demand of seconds of speech.
#[test]
fn speech_is_demanded_through_the_command_line() {
    let Some(data) = data() else { return };
    let path = |name: &str| data.join(name).to_str().unwrap().to_owned();
    let folder = Folder::new();
    let [model, key, proof] = ["vad.vxm", "vad.vxk", "p.vxp"].map(|name| folder.path(name));
    let network = path("models/silero_vad_16k_static_op16.onnx");
    let clips: Vec<String> = CALIBRATION.iter().map(|name| path(&format!("wav/speakers/{name}.wav"))).collect();
    let clips: Vec<&str> = clips.iter().map(String::as_str).collect();
    let import = ["model", "import", &network, "-o", &model, "--bits", "16", "--frontend"];
    let chunks = [&import[..], &["raw:chunk=512,context=64", "--activity", "0.5", "--calibrate"], &clips].concat();
    let (exit, value) = json(&chunks);
    assert_eq!((exit, &value["activity_level"]), (0, &serde_json::json!(0.5)), "{value}");
    // What makes no values of chunks is active nowhere.
    let whole =
        [&import[..], &["raw", "--force", "--length", "576", "--activity", "0.5", "--calibrate"], &clips].concat();
    assert_error(&whole, 65, "E-MODEL-ACTIVITY");

    let wav = path(&format!("wav/speakers/{}.wav", REFERENCES[0]));
    let (exit, value) = json(&["prove", "--model", &model, &wav, "-o", &proof]);
    assert_eq!(exit, 0, "{value}");
    let activity = &value["activity"];
    assert_has(activity, &["chunks", "active", "active_seconds", "segments"]);
    let seconds = activity["active_seconds"].as_f64().unwrap();
    assert!(seconds > 1.0 && activity["segments"][0]["end_seconds"].as_f64().is_some(), "{value}");
    assert_eq!(status(&["setup", &model, "-o", &key]), 0);
    let verify = ["verify", "--key", &key, &proof, "--min-active"];
    let (exit, verified) = json(&[&verify[..], &["1"]].concat());
    assert_eq!((exit, &verified["activity"]), (0, activity), "{verified}");
    let (exit, refused) = json(&[&verify[..], &["30"]].concat());
    assert_eq!((exit, &refused["mismatch"]["field"]), (4, &Value::from("activity")), "{refused}");
    // A model of a voice says nothing about activity.
    assert_error(&["verify", &proof, "--enrolled", &proof, "--min-active", "1"], 65, "E-TEMPLATE");
}
