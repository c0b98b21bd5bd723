//! `sumcheck-prod2-20` and `sumcheck-prod3-20`: the sum of products of tables of field elements.

use std::time::Instant;

use ark_bn254::Fr;
use ark_ff::Field;
use voxcheck::proof::Mode;
use voxcheck::sumcheck::batch::{self, Instance};
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::eq::eq_prefix;
use voxcheck::sumcheck::error::{Check, VerifyError};
use voxcheck::sumcheck::kernels::Product;
use voxcheck::sumcheck::transcript::Merlin;

use super::{Measurement, Prepared, Random, Skip, Workload};
use crate::cli::error::{CliError, Result};

const NUM_VARS: usize = 20;
const TRANSCRIPT: &[u8] = b"voxcheck bench sumcheck";

/// `Σ_x Π_k table_k(x)` over 2^20 full-width random entries.
pub struct Products<const K: usize> {
    /// Name of the workload.
    pub name: &'static str,
}

struct Ready<const K: usize> {
    tables: [Vec<Fr>; K],
    sum: Fr,
}

impl<const K: usize> Workload for Products<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        "sum-check of a product of 2^20 field elements; the evaluations of the tables are given to the verifier"
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let mut random = Random::new(K as u64);
        let tables: [Vec<Fr>; K] =
            std::array::from_fn(|_| (0..1 << NUM_VARS).map(|_| full_width(&mut random)).collect());
        let sum = Product::new(NUM_VARS, tables.clone()).sum();
        Ok(Box::new(Ready { tables, sum }))
    }
}

/// A field element of full width: a random number in base 2^64.
fn full_width(random: &mut Random) -> Fr {
    let base = Fr::from(1u128 << 64);
    (0..4).fold(Fr::from(0u64), |value, _| value * base + Fr::from(random.next()))
}

impl<const K: usize> Prepared for Ready<K> {
    fn run(&mut self, _: Mode) -> Result<Measurement> {
        let tables = self.tables.clone();
        let start = Instant::now();
        let mut prover = PlainProver::new(Merlin::new(TRANSCRIPT));
        let mut instance = Product::new(NUM_VARS, tables);
        let mut instances: [&mut dyn Instance<Fr>; 1] = [&mut instance];
        let (_, point) = batch::prove(&mut prover, K, &mut instances, &[self.sum]);
        let proof = prover.into_proof();
        let prove = start.elapsed();

        // What an oracle for the tables answers, from their definition.
        let eq = eq_prefix(&point, 1 << NUM_VARS);
        let evaluate = |table: &Vec<Fr>| eq.iter().zip(table).map(|(&e, &x)| e * x).sum::<Fr>();
        let product: Fr = self.tables.iter().map(evaluate).product();

        let start = Instant::now();
        let failed = |error: VerifyError| CliError::internal(format!("bench: {error}"));
        let mut verifier = PlainVerifier::new(Merlin::new(TRANSCRIPT), &proof);
        let reduced = batch::verify::<Fr, _>(&mut verifier, K, &[(NUM_VARS, self.sum)]).map_err(failed)?;
        let last = reduced.claim - product * Fr::ONE;
        verifier.require_zero(last, Check::Sumcheck).map_err(failed)?;
        VerifierChannel::<Fr>::finish(verifier).map_err(failed)?;
        Ok(Measurement { prove, verify: start.elapsed(), proof_bytes: proof.len(), ..Measurement::default() })
    }
}
