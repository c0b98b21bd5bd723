//! The evidence that proofs hide: a simulator that has no witness makes proofs that verify under programmed
//! challenges and look like real ones, and two real proofs share nothing.
//!
//! `docs/zero-knowledge.md` has the argument that the simulator follows.

#[path = "../common/mod.rs"]
mod common;
#[path = "../adversary/toy.rs"]
mod toy;

mod programs;
mod simulator;
mod statistics;

use std::collections::HashSet;

use common::{Case, key};
use voxcheck::gkr::pcs::Hyrax;

/// A proof's scalars and points, in order.
pub fn elements(proof: &[u8]) -> Vec<[u8; 32]> {
    assert!(proof.len().is_multiple_of(32), "a proof is a list of scalars and points");
    proof.as_chunks().0.to_vec()
}

/// Small programs: every relation, edges of layouts, a recurrence, one LSTM step, a decision.
pub fn cases() -> Vec<(&'static str, Case)> {
    let mut cases = toy::all();
    cases.push(("LSTM step", programs::lstm_step()));
    cases.push(("decision", programs::decision()));
    cases
}

#[test]
fn simulated_proofs_verify_under_their_challenges_and_no_others() {
    for (name, case) in cases() {
        let trace = case.run();
        let commitments = case.commitments::<Hyrax>(key(), &trace);
        let outputs: Vec<_> = case.program.outputs().iter().map(|&id| trace.get(id)).collect();
        for seed in 0..3 {
            let simulated = simulator::simulate(&case.program, &outputs, &commitments, seed);
            assert_eq!(simulated.verify(&case, &trace), Ok(()), "{name}");
            assert!(case.verify_hiding(&trace, &simulated.proof).is_err(), "{name}: the real challenges");
            let mut other = simulated.clone();
            other.challenges[0] += voxcheck::gkr::Fr::from(1u64);
            assert!(other.verify(&case, &trace).is_err(), "{name}: another challenge");
            assert_eq!(simulated.proof.len(), case.prove_hiding(&trace).len(), "{name}");
        }
    }
}

#[test]
fn two_proofs_of_one_witness_share_no_element() {
    for (name, case) in cases() {
        let trace = case.run();
        let [one, other] = [0, 1].map(|_| elements(&case.prove_hiding(&trace)));
        let (first, second): (HashSet<_>, HashSet<_>) = (one.iter().collect(), other.iter().collect());
        assert!(first.is_disjoint(&second), "{name}");
        assert_eq!((first.len(), second.len()), (one.len(), other.len()), "{name}: an element occurs twice");
    }
}
