//! The encoder of wav2vec 2.0 base on one second of audio, with seeded random weights: executed in integers, proved with
//! zero knowledge and verified.
//!
//! ```text
//! h = gelu(group norm(conv 10, 1 to 512, every 5)), then six gelu(conv 512 to 512, every 2)        49 rows
//! p = norm(h)·W,  x = norm(p + gelu(conv 128 of 16 groups(p)))                                    768 columns
//! 12 times:  y = norm(x + attention(x)),  x = norm(y + gelu(y·W₁)·W₂)        12 heads of 64, 3072 wide
//! ```
//!
//! Shapes are those of Baevski et al., wav2vec 2.0 (2020), base: 94 million weights of at most 16 bits. Factors and offsets of
//! norms and biases are those of a new network, ones and zeros. GELU is the form with a hyperbolic tangent.
//!
//! ```sh
//! cargo run --release --example wav2vec2            # or with fewer layers: … --example wav2vec2 2
//! ```

mod encoder;

use std::sync::Arc;
use std::time::Instant;

use voxcheck::cost::Sizes;
use voxcheck::gkr::pcs::hiding::{HidingProver, HidingVerifier};
use voxcheck::gkr::pcs::{Blinds, Commitment, Hyrax, MultilinearPcs, ProverKey, VerifierKey};
use voxcheck::gkr::program::{MAX_WIDTH_VARS, Program, SHARED_WIDTH_VARS};
use voxcheck::gkr::prover::{self, PublicBlinds, PublicCommitments, Witness};
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::transcript::Merlin;

use self::encoder::{Encoder, LAYERS, Result, SAMPLES, STEP};

const TRANSCRIPT: &[u8] = b"wav2vec 2.0 base";

/// Noise, louder and quieter by turns.
fn samples(encoder: &mut Encoder) -> Vec<i16> {
    let loud = |t: usize| 3000.0 * (2.0 + (t as f64 / 700.0).sin());
    let uniform = |bits: u64| (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
    (0..SAMPLES).map(|t| (loud(t) * uniform(encoder.random())) as i16).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Commits to the weights, and has the multiples of generators that a loaded key has.
fn set_up(key: &ProverKey, program: &Program, constants: &[Arc<IntTable>]) -> Vec<Commitment> {
    let numbered = program.constants();
    let tables: Vec<_> = numbered.iter().map(|&(id, n)| (&*constants[n as usize], program.width_vars(id))).collect();
    for id in program.committed().into_iter().chain(program.inputs()) {
        let _ = key.multiples(program.width_vars(id));
    }
    Hyrax::commit_all(key, &tables)
}

fn main() -> Result<()> {
    let layers = match std::env::args().nth(1) {
        Some(layers) => layers.parse()?,
        None => LAYERS,
    };
    let clock = Instant::now();
    let mut encoder = Encoder::new(0x9e37_79b9_7f4a_7c15);
    let audio = samples(&mut encoder);
    let exact = encoder.build(&audio, layers)?.float;
    let (program, recipes) = encoder.p.finish()?;
    let constants: Vec<Arc<IntTable>> = encoder.constants.into_tables().into_iter().map(Arc::new).collect();
    let weights: usize = constants.iter().map(|table| table.values().len()).sum();
    if constants.iter().any(|table| !matches!(table.values(), IntVec::I8(_) | IntVec::I16(_))) {
        return Err("a weight of more than 16 bits".into());
    }
    let Sizes { lookups, committed_values, macs, .. } = Sizes::new(&program);
    println!(
        "{weights} constants, {macs} multiply-accumulates, {lookups} lookups, {committed_values} committed values"
    );
    println!("drawn, rounded and run in floats in {:.1?}", clock.elapsed());

    // Once for all recordings.
    let clock = Instant::now();
    let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
    let committed = set_up(&key, &program, &constants);
    let committed: Vec<_> = committed.iter().collect();
    println!("set up in {:.1?}", clock.elapsed());

    // The prover: runs the program, commits to the samples, proves.
    let clock = Instant::now();
    let secret = Arc::new(IntTable::new(SAMPLES / STEP, STEP, IntVec::I16(audio)));
    let trace = Trace::run(&program, &recipes, &[Arc::clone(&secret)], &constants)?;
    let execute = clock.elapsed();
    let mut input = Hyrax::commit(&key, &secret, SHARED_WIDTH_VARS);
    let blinds = Blinds::random(input.rows.len())?;
    Hyrax::blind(&key, &mut input, &blinds);
    let public = PublicCommitments { inputs: &[&input], constants: &committed };
    let mut channel = HidingProver::new(PlainProver::new(Merlin::new(TRANSCRIPT)), &key, program.max_width_vars())?;
    let own = [blinds];
    let witness = Witness::new(&trace).hidden_by(PublicBlinds { inputs: &own, constants: &[] });
    prover::prove::<Hyrax, _>(&key, &program, witness, &public, &mut channel);
    let proof = channel.into_inner().into_proof();
    println!("proved in {:.1?} ({execute:.1?} of it executing): {} bytes", clock.elapsed(), proof.len());

    // The verifier: the commitment, the public output, the proof.
    let clock = Instant::now();
    let output = trace.get(program.outputs()[0]);
    let channel = PlainVerifier::new(Merlin::new(TRANSCRIPT), &proof);
    let mut channel = HidingVerifier::new(channel, program.max_width_vars());
    verifier::verify::<Hyrax, _>(key.verifier_key(), &program, &[output], &public, &mut channel)?;
    channel.finish()?;
    println!("verified in {:.1?}", clock.elapsed());
    let integers: Vec<f64> = output.values().iter().map(|v| v as f64).collect();
    let found = cosine(&integers, &exact.data);
    println!("{} rows, cosine to floats {found:.6}", output.rows());
    if found > 0.999 { Ok(()) } else { Err(format!("integers are far from floats: cosine {found}").into()) }
}
