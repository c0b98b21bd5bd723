//! The prover's time: counts of a program, times what each takes on the machine that the coefficients were measured on, times
//! how much slower or faster this one is at two kernels that most of a proof consists of.

use std::time::Instant;

use super::Cost;
use crate::gkr::Fr;
use crate::gkr::fraction::{self, Layer, Numerators, Recompute};
use crate::gkr::pcs::{Hyrax, MultilinearPcs, ProverKey, VerifierKey};
use crate::sumcheck::channel::PlainProver;
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::par;
use crate::sumcheck::transcript::Merlin;

/// Nanoseconds of a core of the reference machine for a unit of each count, hidden messages included. They are those with the least
/// relative error, not far from operation counts, for the times of `voxcheck prove` of five models and recordings of 1, 3 and 10
/// seconds, on two cores of an AMD EPYC with AVX-512 IFMA that had nothing else to do (`docs/performance.md`).
struct Coefficients {
    /// A leaf of the tree of fractions: field arithmetic, and finding the tuple.
    leaf: f64,
    /// A byte that a committed integer may have: additions of points.
    byte: f64,
    /// An entry of a tensor: executing, folding in waves and in the opening.
    entry: f64,
    /// A lookup relation: claims on its columns, rows of their commitments.
    relation: f64,
    /// A proof, whatever is proved.
    proof: f64,
}

/// See [`Coefficients`].
const COEFFICIENTS: Coefficients = Coefficients { leaf: 103.0, byte: 46.0, entry: 42.0, relation: 1.6e6, proof: 4.5e7 };

/// The part of a proof that more threads do not shorten.
const SERIAL: f64 = 0.06;

/// How long the two kernels take on a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Nanoseconds for a leaf of a tree of fractions, on one core.
    pub leaf_ns: f64,
    /// Nanoseconds for a byte of a committed integer, on one core.
    pub byte_ns: f64,
}

/// Variables of the tree that is timed.
const TREE_VARS: usize = 14;
/// Variables of the rows that are timed, and how many of them.
const ROW_VARS: usize = 7;
const ROWS: usize = 64;
/// How often each kernel is timed; the fastest counts.
const REPEAT: usize = 7;

impl Speed {
    /// The machine that the coefficients were measured on, in round numbers: trees take it 99 to 114 ns a leaf
    /// (`docs/performance.md`), and bytes of such short rows about twice what those of long ones take.
    pub const REFERENCE: Self = Self { leaf_ns: 100.0, byte_ns: 100.0 };

    /// Times both kernels on one core of this machine: about 50 ms where there are vector instructions for them.
    #[must_use]
    pub fn measure() -> Self {
        par::alone(|| Self { leaf_ns: tree_ns(), byte_ns: commitment_ns() })
    }
}

/// The fastest run, in nanoseconds.
fn fastest(mut run: impl FnMut()) -> f64 {
    let mut time = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e9
    };
    (0..REPEAT).map(|_| time()).fold(f64::INFINITY, f64::min)
}

/// Some numbers that are nothing in particular.
fn numbers() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(0x9e37_79b9_7f4a_7c15u64), |x| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        Some(x ^ (x << 17))
    })
}

fn tree_ns() -> f64 {
    let len = 1 << TREE_VARS;
    let denominators: Vec<Fr> = numbers().take(len).map(|x| Fr::from(u128::from(x) << 60 | 1)).collect();
    let leaves = Layer::new(Numerators::new(Vec::new(), len), denominators);
    let run = || {
        let mut channel = PlainProver::new(Merlin::new(b"voxcheck speed"));
        fraction::prove(&mut channel, leaves.clone(), Recompute::LEAST);
    };
    fastest(run) / len as f64
}

fn commitment_ns() -> f64 {
    let values: Vec<i16> = numbers().take(ROWS << ROW_VARS).map(|x| (x >> 48) as i16).collect();
    let bytes = 2 * values.len();
    let table = IntTable::new(ROWS, 1 << ROW_VARS, IntVec::I16(values));
    let key = ProverKey::new(VerifierKey::new(ROW_VARS));
    // The first commitment computes the multiples of the generators.
    let _ = Hyrax::commit(&key, &table, ROW_VARS);
    fastest(|| drop(Hyrax::commit(&key, &table, ROW_VARS))) / bytes as f64
}

impl Cost {
    /// Predicted seconds of one core for a proof, and of all `threads` threads together, on a machine of this speed.
    #[must_use]
    pub fn prove_seconds(&self, speed: Speed, threads: usize) -> [f64; 2] {
        let Coefficients { leaf, byte, entry, relation, proof } = COEFFICIENTS;
        let relations: usize = self.layers.iter().map(|layer| layer.relations[3]).sum();
        let field = leaf * self.leaves as f64 + entry * self.entries as f64 + relation * relations as f64 + proof;
        let points = byte * self.committed_bytes as f64;
        let of_reference = |own: f64, reference: f64| own / reference;
        let seconds = 1e-9
            * (field * of_reference(speed.leaf_ns, Speed::REFERENCE.leaf_ns)
                + points * of_reference(speed.byte_ns, Speed::REFERENCE.byte_ns));
        [seconds, seconds * (SERIAL + (1.0 - SERIAL) / threads.max(1) as f64)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_and_a_faster_machine_take_less() {
        let cost = Cost { leaves: 1 << 20, committed_bytes: 1 << 20, ..Cost::default() };
        let [one, alone] = cost.prove_seconds(Speed::REFERENCE, 1);
        let [same, two] = cost.prove_seconds(Speed::REFERENCE, 2);
        assert!(one == same && (one - alone).abs() < 1e-9 && two < 0.6 * one && two > 0.5 * one);
        let Speed { leaf_ns, byte_ns } = Speed::REFERENCE;
        let slow = Speed { leaf_ns: 2.0 * leaf_ns, byte_ns: 3.0 * byte_ns };
        let [slower, _] = cost.prove_seconds(slow, 1);
        assert!(slower > 2.0 * one && slower < 3.0 * one);
    }

    #[test]
    fn kernels_take_time() {
        let Speed { leaf_ns, byte_ns } = Speed::measure();
        assert!(leaf_ns.is_finite() && leaf_ns > 1.0 && byte_ns.is_finite() && byte_ns > 1.0, "{leaf_ns} {byte_ns}");
    }
}
