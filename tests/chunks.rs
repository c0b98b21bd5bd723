//! Networks that are run over chunks of a recording and carry a state from one to the next: Silero's voice activity.

mod common;
#[path = "common/data.rs"]
mod shared;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use common::{Case, NAME};
use shared::data;
use voxcheck::audio::{FrontEnd, wav};
use voxcheck::gkr::pcs::{Hyrax, ProverKey, VerifierKey};
use voxcheck::layers::onnx::{self, Settings};
use voxcheck::model::{Tail, samples_table};
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier};
use voxcheck::sumcheck::transcript::Merlin;
use voxcheck::{Model, setup};

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
        let builder = Model::from_onnx_bytes(bytes, "silero").unwrap().front_end(front_end);
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
    let recording = samples(&data, REFERENCES[0]);
    let (lowered, _) = model.run(&recording).unwrap();
    let inputs = vec![std::sync::Arc::new(samples_table(&lowered.program, &recording))];
    let constants = model.constants().to_vec();
    let case = Case { program: lowered.program, recipes: lowered.recipes, inputs, constants };
    // Every relation holds.
    let trace = case.run();
    let key = ProverKey::new(VerifierKey::new(case.program.max_width_vars()));
    let commitments = case.commitments::<Hyrax>(&key, &trace);
    let start = Instant::now();
    let mut channel = PlainProver::new(Merlin::new(NAME));
    case.prove_with::<Hyrax>(&key, &trace, &mut channel);
    let proof = channel.into_proof();
    println!("{} chunks: {:.1?} to commit again and prove, {} bytes", 93, start.elapsed(), proof.len());
    let verifier = || PlainVerifier::new(Merlin::new(NAME), &proof);
    assert_eq!(case.verify_keyed(&key, &trace, &commitments, verifier()), Ok(()));
    // Not with another row of probabilities, and not of another recording.
    let mut row = model.embed(&recording).unwrap();
    row[40] += 1;
    let values: Vec<i128> = row.iter().map(|&p| i128::from(p)).collect();
    let mut claimed = case.run();
    claimed.replace(lowered.embedding, common::table(values.len(), 1, &values).as_ref().clone());
    assert!(case.verify_keyed(&key, &claimed, &commitments, verifier()).is_err());
    let other = samples_table(&case.program, &samples(&data, REFERENCES[1]));
    let other = Case { inputs: vec![std::sync::Arc::new(other)], ..case };
    let of_other = other.commitments::<Hyrax>(&key, &other.run());
    assert!(other.verify_keyed(&key, &trace, &of_other, verifier()).is_err());
}
