//! The size of an argument, from its program alone.
//!
//! What a verifier reads is decided by the program and never by the proof. So its own walk, over a channel that has
//! nothing to read and counts what it is asked for, meets every message that a proof will have: nothing about the
//! protocol is said here a second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ark_bn254::G1Affine;
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};

use super::Fr;
use super::openings;
use super::pcs::hiding::{ClearVerifier, HidingVerifier, identities};
use super::pcs::{Commitment, Hyrax, VerifierKey};
use super::program::{MAX_WIDTH_VARS, Program, TensorId};
use super::prover::PublicCommitments;
use super::verifier;
use crate::sumcheck::channel::VerifierChannel;
use crate::sumcheck::error::{Check, VerifyError};
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::transcript::Label;

/// Bytes of the argument that a program's prover sends, in the clear or hidden: exactly those of every proof.
///
/// # Errors
/// If the program cannot be verified at all.
pub fn argument_bytes(program: &Program, hidden: bool) -> Result<u64, VerifyError> {
    let commitments = |ids: Vec<TensorId>| -> Result<Vec<Commitment>, VerifyError> {
        let of = |id| {
            let layout = openings::layout(program, id)?;
            Ok(Commitment { width_vars: layout.width_vars(), rows: vec![G1Affine::zero(); layout.num_rows()] })
        };
        ids.into_iter().map(of).collect()
    };
    let inputs = commitments(program.inputs())?;
    let constants = commitments(program.constants().into_iter().map(|(id, _)| id).collect())?;
    let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), constants.iter().collect());
    let public = PublicCommitments { inputs: &inputs, constants: &constants };
    let zeros = |id: &TensorId| {
        let tensor = program.tensor(*id);
        IntTable::new(tensor.rows, tensor.cols, IntVec::I8(vec![0; tensor.rows * tensor.cols]))
    };
    let outputs: Vec<IntTable> = program.outputs().iter().map(zeros).collect();
    let outputs: Vec<&IntTable> = outputs.iter().collect();
    let key = VerifierKey::new(MAX_WIDTH_VARS);
    let bytes = Arc::new(AtomicU64::new(0));
    let mut meter = Meter { bytes: Arc::clone(&bytes), drawn: 0 };
    if hidden {
        let mut channel = HidingVerifier::new(meter, program.max_width_vars());
        verifier::verify::<Hyrax, _>(&key, program, &outputs, &public, &mut channel)?;
        channel.finish()?;
    } else {
        verifier::verify::<Hyrax, _>(&key, program, &outputs, &public, &mut meter)?;
    }
    Ok(bytes.load(Ordering::Relaxed))
}

/// Counts bytes and gives zeros; no check fails.
struct Meter {
    bytes: Arc<AtomicU64>,
    drawn: u64,
}

impl Meter {
    fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn zeros(&self, count: usize) -> Vec<Fr> {
        self.count(count * Fr::ZERO.compressed_size());
        vec![Fr::ZERO; count]
    }
}

impl VerifierChannel<Fr> for Meter {
    type Scalar = Fr;

    fn absorb_statement(&mut self, _: Label, _: &[u8]) {}

    fn recv(&mut self, _: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        Ok(self.zeros(count))
    }

    fn recv_public(&mut self, _: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        Ok(self.zeros(count))
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        let elements: Vec<E> = identities(label, count)?;
        self.count(elements.iter().map(CanonicalSerialize::compressed_size).sum());
        Ok(elements)
    }

    // All different, and none that a formula would divide by.
    fn challenge(&mut self, _: Label) -> Fr {
        self.drawn += 1;
        Fr::from(self.drawn).square() + Fr::from(7u64)
    }

    fn product(&mut self, a: &Fr, b: &Fr) -> Result<Fr, VerifyError> {
        Ok(*a * b)
    }

    fn require(&mut self, _: bool, _: VerifyError) -> Result<(), VerifyError> {
        Ok(())
    }

    fn require_zero(&mut self, _: Fr, _: Check) -> Result<(), VerifyError> {
        Ok(())
    }

    fn require_identity<G>(&mut self, _: impl FnOnce() -> G, _: Check) -> Result<(), VerifyError> {
        Ok(())
    }

    fn finish(self) -> Result<(), VerifyError> {
        Ok(())
    }
}

impl ClearVerifier for Meter {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::builder::ProgramBuilder;
    use crate::gkr::pcs::hiding::HidingProver;
    use crate::gkr::pcs::{MultilinearPcs, ProverKey};
    use crate::gkr::program::SHARED_WIDTH_VARS;
    use crate::gkr::prover::{self, Witness};
    use crate::gkr::tables::Table;
    use crate::gkr::trace::Trace;
    use crate::layers::fixed;
    use crate::sumcheck::channel::PlainProver;
    use crate::sumcheck::transcript::Merlin;

    /// Bytes of a proof about squares of `values`, shifted and rectified.
    fn proved(values: &[i16], cols: usize, key: &ProverKey) -> (Program, [u64; 2]) {
        let mut p = ProgramBuilder::new(8);
        let shape = (values.len() / cols, cols);
        let x = p.input("x", shape, -128, 127).unwrap();
        p.range(p.whole(x), -128, 8).unwrap();
        let square = p.product("square", p.whole(x), p.whole(x)).unwrap();
        let y = fixed::rectify(&mut p, "y", square, 3, 14).unwrap();
        let root = Table::function("half".to_owned(), 0, (0..1 << 13).map(|v| v / 2).collect());
        let z = fixed::lookup(&mut p, "z", y, &root).unwrap();
        p.output(z);
        let (program, recipes) = p.finish().unwrap();
        let x = Arc::new(IntTable::new(shape.0, shape.1, IntVec::I16(values.to_vec())));
        let trace = Trace::run(&program, &recipes, &[Arc::clone(&x)], &[]).unwrap();
        let x = Hyrax::commit(key, &x, SHARED_WIDTH_VARS);
        let public = PublicCommitments { inputs: &[&x], constants: &[] };
        let channel = || PlainProver::new(Merlin::new(b"size"));
        let (mut clear, witness) = (channel(), Witness::new(&trace));
        prover::prove::<Hyrax, _>(key, &program, witness, &public, &mut clear);
        let mut hidden = HidingProver::new(channel(), key, program.max_width_vars()).unwrap();
        prover::prove::<Hyrax, _>(key, &program, witness, &public, &mut hidden);
        let lengths = [clear.into_proof().len() as u64, hidden.into_inner().into_proof().len() as u64];
        (program, lengths)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn arguments_have_the_size_that_was_counted(
            values in prop::collection::vec(-128i16..128, 1..150),
            cols in 1usize..6,
        ) {
            let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
            let mut values = values;
            values.resize(values.len().next_multiple_of(cols), 5);
            let (program, [clear, hidden]) = proved(&values, cols, &key);
            prop_assert_eq!(argument_bytes(&program, false), Ok(clear));
            prop_assert_eq!(argument_bytes(&program, true), Ok(hidden));
        }
    }
}
