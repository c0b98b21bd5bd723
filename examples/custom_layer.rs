//! A layer of one's own: `y = round(x² / 2^shift)`, wired from relations, proved and verified; then a
//! prover that lies about one entry, which is refused.
//!
//! A layer holds no protocol. It says which relations tie its output to its input, and how the prover
//! computes what is committed; everything else follows.
//!
//! ```sh
//! cargo run --release --example custom_layer
//! ```

use std::error::Error;
use std::sync::Arc;

use ark_bn254::Fr;
use voxcheck::error::ModelError;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::pcs::{Commitment, Hyrax, MultilinearPcs, ProverKey, VerifierKey};
use voxcheck::gkr::program::{MAX_WIDTH_VARS, Program, SHARED_WIDTH_VARS};
use voxcheck::gkr::prover::{self, PublicCommitments, Witness};
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::layers::fixed;
use voxcheck::layers::lowering::{Layer, Value, exactly};
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::error::VerifyError;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::transcript::Merlin;

const ROWS: usize = 50;
const COLUMNS: usize = 24;

/// Squares every entry.
#[derive(Debug)]
struct Square {
    /// Fraction bits of the input.
    fraction_bits: i32,
    /// Bits of the output.
    bits: usize,
}

impl Layer for Square {
    fn name(&self) -> &str {
        "square"
    }

    fn fraction_bits(&self) -> i32 {
        self.fraction_bits
    }

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(self.name(), inputs)?;
        // The exact square has twice the fraction bits: a Product relation, nothing committed.
        let exact = p.product("square/exact", p.whole(input.tensor), p.whole(input.tensor))?;
        // Dropping half of them commits to the quotient and ranges quotient and remainder.
        let tensor = fixed::requantize(p, "square/output", exact, self.fraction_bits as usize, self.bits)?;
        Ok(Value { tensor, ..input })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The program, which prover and verifier both know: 8-bit inputs, the layer, a public output.
    let mut p = ProgramBuilder::new(8);
    let input = p.input("input", (ROWS, COLUMNS), -128, 127)?;
    p.range(p.whole(input), -128, 8)?;
    let square = Square { fraction_bits: 6, bits: 16 };
    let output = square.lower(&mut p, &[Value { tensor: input, sequences: 1 }])?.tensor;
    p.output(output);
    let (program, recipes) = p.finish()?;

    // The prover: runs the program, commits to its input, proves.
    let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
    let values = (0..ROWS * COLUMNS).map(|i| (i * 37 % 256) as u8 as i8).collect();
    let secret = Arc::new(IntTable::new(ROWS, COLUMNS, IntVec::I8(values)));
    let commitment = Hyrax::commit(&key, &secret, SHARED_WIDTH_VARS);
    let mut trace = Trace::run(&program, &recipes, &[secret], &[])?;
    let proof = prove(&key, &program, &trace, &commitment);
    println!("proved {} squares: {} bytes", ROWS * COLUMNS, proof.len());

    // The verifier: the commitment, the public output, the proof.
    verify(key.verifier_key(), &program, trace.get(output), &commitment, &proof)?;
    println!("verified; the square of {} is {}", trace.get(input).get(0, 1), trace.get(output).get(0, 1));

    // A prover that is off by one in one entry of the output.
    let mut wrong = trace.get(output).clone();
    wrong.set(0, 1, wrong.get(0, 1) + 1);
    trace.replace(output, wrong);
    let proof = prove(&key, &program, &trace, &commitment);
    match verify(key.verifier_key(), &program, trace.get(output), &commitment, &proof) {
        Err(error) => println!("a lie in one entry is refused: {error}"),
        Ok(()) => return Err("a false output was accepted".into()),
    }
    Ok(())
}

fn prove(key: &ProverKey, program: &Program, trace: &Trace, input: &Commitment) -> Vec<u8> {
    let public = PublicCommitments { inputs: &[input], constants: &[] };
    let mut channel = PlainProver::new(Merlin::new(b"custom layer"));
    prover::prove::<Hyrax, _>(key, program, Witness::new(trace), &public, &mut channel);
    channel.into_proof()
}

fn verify(
    key: &VerifierKey,
    program: &Program,
    output: &IntTable,
    input: &Commitment,
    proof: &[u8],
) -> Result<(), VerifyError> {
    let public = PublicCommitments { inputs: &[input], constants: &[] };
    let mut channel = PlainVerifier::new(Merlin::new(b"custom layer"), proof);
    verifier::verify::<Hyrax, _>(key, program, &[output], &public, &mut channel)?;
    VerifierChannel::<Fr>::finish(channel)
}
