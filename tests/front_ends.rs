//! Every preset proved: its features alone for recordings of every kind, and with a network up to the decision.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Case, table};
use voxcheck::audio::features::Features;
use voxcheck::audio::wav::{self, Wav};
use voxcheck::audio::{FrontEnd, float};
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Network, Node, NodeRef, Op};
use voxcheck::layers::quantize::Constants;
use voxcheck::proof::Proof;
use voxcheck::{Context, Model, setup};

/// One preset of every kind.
const PRESETS: [&str; 12] = [
    "kaldi80",
    "kaldi80:window=povey,scale=unit",
    "kaldi80:window=povey,edges=mirror,high=7600",
    "speechbrain80",
    "speechbrain80:bands=24",
    "ecapa80",
    "mfcc-librosa",
    "mfcc-librosa:coefficients=20,edges=snip",
    "mfcc-kaldi",
    "mfcc-kaldi:lifter=off",
    "mfcc13:of=kaldi80,scale=unit,mean=on",
    "kws10",
];

fn demo(name: &str) -> Wav {
    wav::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)).unwrap()
}

/// The features of a recording as a program whose output they are.
fn features(front_end: &FrontEnd, samples: &[i16]) -> Case {
    let input = float::network_input(front_end, samples).unwrap();
    let mut constants = Constants::default();
    let features = Features::new(front_end, 2.0 * input.features.max_abs(), &mut constants).unwrap();
    let mut p = ProgramBuilder::new(16).with_width_vars(10);
    let (samples_id, value) = features.lower(&mut p, samples.len()).unwrap();
    let (rows, cols) = p.shape(samples_id);
    p.output(value.tensor);
    let (program, recipes) = p.finish().unwrap();
    let mut values: Vec<i128> = samples.iter().map(|&x| x.into()).collect();
    values.resize(rows * cols, 0);
    let constants = constants.into_tables().into_iter().map(Arc::new).collect();
    Case { program, recipes, inputs: vec![table(rows, cols, &values)], constants }
}

#[test]
fn recordings_of_every_kind_are_proved() {
    // Lengths that fill no block and no frame.
    let speech = demo("rms_1.wav").samples[8_000..9_501].to_vec();
    let square: Vec<i16> = (0..1_203).map(|i| if i % 16 < 8 { i16::MAX } else { i16::MIN }).collect();
    let noise: Vec<i16> = (0..1_301u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u16 as i16).collect();
    for name in PRESETS {
        let front_end = FrontEnd::by_name(name).unwrap();
        let fewest = vec![1; front_end.min_samples()];
        for samples in [&speech, &vec![0; 1_000], &square, &noise, &fewest] {
            let case = features(&front_end, samples);
            let trace = case.run();
            let proof = case.prove(&trace);
            assert_eq!(case.verify(&trace, &proof), Ok(()), "{name}");
            // The same proof for other features.
            let mut other = trace.clone();
            let output = case.program.outputs()[0];
            let mut values: Vec<i128> = trace.get(output).values().iter().collect();
            let shape = (trace.get(output).rows(), trace.get(output).cols());
            values[shape.1 / 2] += 1;
            other.replace(output, (*table(shape.0, shape.1, &values)).clone());
            assert!(case.verify(&other, &proof).is_err(), "{name}");
        }
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Statistics over time and a dense layer.
fn network(columns: usize) -> Network {
    let weights = FloatMatrix::from_fn(2 * columns, 16, |r, c| ((r * 13 + c * 7) as f64 * 1.7).sin() * 0.1);
    let ops = [Op::StatsPool { min_variance: 1e-4 }, Op::Dense { weight: weights, bias: vec![0.05; 16] }];
    let node = |(i, op): (usize, Op)| {
        let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
        Node { name: format!("n{i}"), op, inputs }
    };
    Network::new(columns, ops.into_iter().enumerate().map(node).collect())
}

#[test]
fn a_network_on_every_preset_is_close_to_float_and_is_proved() {
    let clips: Vec<Vec<i16>> = ["slt_1.wav", "rms_1.wav", "awb_1.wav"].map(|name| demo(name).samples).to_vec();
    for name in PRESETS {
        let front_end = FrontEnd::by_name(name).unwrap();
        let network = network(front_end.columns());
        let model = Model::from_network(network.clone(), "small").front_end(front_end.clone());
        let model = model.calibrate(&clips).unwrap();
        for clip in ["slt_2.wav", "kal16_1.wav"] {
            let samples = demo(clip).samples;
            let input = float::network_input(&front_end, &samples).unwrap();
            let float = network.execute(&input.features, input.sequence_length).unwrap().pop().unwrap().data;
            let integer: Vec<f64> = model.embed(&samples).unwrap().iter().map(|&v| v as f64).collect();
            let cosine = cosine(&integer, &float);
            println!("{name}, {clip}: cosine {cosine}");
            // Without centring, the pooled columns have one step between them, and the first one is hundreds.
            let least = if front_end.subtract_mean { 0.9999 } else { 0.9997 };
            assert!(cosine >= least, "{name}, {clip}: {cosine}");
        }
        let copy = Model::from_bytes(&model.to_bytes()).unwrap();
        assert_eq!(copy.spec(), model.spec());
        assert_eq!(copy.front_end().name, name);
        let (pk, vk) = setup(&model).unwrap();
        let cut = |name: &str| {
            let wav = demo(name);
            Wav { samples: wav.samples[8_000..16_001].to_vec(), ..wav }
        };
        let template = pk.enrol(&[cut("slt_1.wav")], 0.7).unwrap();
        let (statement, proof) = pk.prove(&cut("slt_2.wav"), &template, &Context::default()).unwrap();
        assert_eq!(vk.verify(&statement, &proof), Ok(statement.verdict()), "{name}");
        let mut other = proof.to_bytes();
        let last = other.len() - 100;
        other[last] ^= 1;
        assert!(Proof::from_bytes(&other).is_ok_and(|other| vk.verify(other.statement(), &other).is_err()), "{name}");
    }
}
