//! `commit-20`: committing to 2^20 8-bit values and opening the commitment at a point.

use std::time::{Duration, Instant};

use ark_bn254::Fr;
use voxcheck::gkr::pcs::{
    Blinds, ColumnWeights, Committed, Hyrax, Layout, MultilinearPcs, OpeningClaim, ProverKey, VerifierKey,
};
use voxcheck::proof::Mode;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use voxcheck::sumcheck::eq::eq_prefix;
use voxcheck::sumcheck::error::VerifyError;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::small::weighted_sum;
use voxcheck::sumcheck::transcript::{Label, Merlin};

use super::{Measurement, Prepared, Random, Skip, Workload};
use crate::cli::error::{CliError, Result};

const NUM_VARS: usize = 20;
/// Variables of a committed row.
const WIDTH_VARS: usize = 11;
const TRANSCRIPT: &[u8] = b"voxcheck bench commit";

/// The workload.
pub struct Commit;

struct Ready {
    key: ProverKey,
    table: IntTable,
    half: IntTable,
}

impl Workload for Commit {
    fn name(&self) -> &'static str {
        "commit-20"
    }

    fn about(&self) -> &'static str {
        "commit to 2^20 8-bit values and open at a point; the marginal cost is that of committing"
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let key = ProverKey::new(VerifierKey::new(WIDTH_VARS));
        let table = |num_vars: usize| {
            let mut random = Random::new(1);
            let values = (0..1 << num_vars).map(|_| (random.next() >> 56) as i8).collect();
            IntTable::new(1 << (num_vars - WIDTH_VARS), 1 << WIDTH_VARS, IntVec::I8(values))
        };
        let (table, half) = (table(NUM_VARS), table(NUM_VARS - 1));
        // The first commitment computes the multiples of the generators, which a key is for.
        let _ = Hyrax::commit(&key, &half, WIDTH_VARS);
        Ok(Box::new(Ready { key, table, half }))
    }
}

impl Prepared for Ready {
    fn run(&mut self, _: Mode) -> Result<Measurement> {
        let half = time(|| Hyrax::commit(&self.key, &self.half, WIDTH_VARS)).1;
        let start = Instant::now();
        let (commitment, whole) = time(|| Hyrax::commit(&self.key, &self.table, WIDTH_VARS));
        let mut prover = PlainProver::new(Merlin::new(TRANSCRIPT));
        Hyrax::send(Label::Commitment, &commitment, &mut prover);
        let point: Vec<Fr> = (0..NUM_VARS).map(|_| prover.challenge(Label::RoundChallenge)).collect();
        let [columns, rows] = weights(&point);
        let value = weighted_sum(&self.table, &rows, &columns);
        prover.send(Label::UserMessage, &[value]);
        let claims = [claim(&point, value)];
        let committed = Committed { table: &self.table, commitment: &commitment, blinds: &Blinds::none() };
        Hyrax::open(&self.key, &[committed], &claims, &mut prover);
        let proof = prover.into_proof();
        let prove = start.elapsed();

        let start = Instant::now();
        verify(self.key.verifier_key(), &proof).map_err(|error| CliError::internal(format!("bench: {error}")))?;
        let verify = start.elapsed();
        let bytes = (1 << NUM_VARS) - (1 << (NUM_VARS - 1));
        let marginal = (whole.as_secs_f64() - half.as_secs_f64()) * 1e9 / f64::from(bytes);
        Ok(Measurement {
            prove,
            verify,
            proof_bytes: proof.len(),
            committed_values: Some(1 << NUM_VARS),
            ns_per_committed_byte: Some(marginal),
            ..Measurement::default()
        })
    }
}

fn verify(key: &VerifierKey, proof: &[u8]) -> std::result::Result<(), VerifyError> {
    let layout = Layout::new(1 << (NUM_VARS - WIDTH_VARS), 1 << WIDTH_VARS, WIDTH_VARS)?;
    let mut verifier = PlainVerifier::new(Merlin::new(TRANSCRIPT), proof);
    let commitment = Hyrax::recv(Label::Commitment, &layout, &mut verifier)?;
    let point: Vec<Fr> = (0..NUM_VARS).map(|_| verifier.challenge(Label::RoundChallenge)).collect();
    let [value] = verifier.recv_array(Label::UserMessage)?;
    Hyrax::verify_opening(key, &[&commitment], &[claim(&point, value)], &mut verifier)?;
    VerifierChannel::<Fr>::finish(verifier)
}

/// The claim that the table has this value at a point: columns first, then rows.
fn claim(point: &[Fr], value: Fr) -> OpeningClaim<Fr> {
    let [_, row_weights] = weights(point);
    OpeningClaim { commitment: 0, row_weights, col_weights: ColumnWeights::Point(point[..WIDTH_VARS].to_vec()), value }
}

/// Weights of the columns and of the rows.
fn weights(point: &[Fr]) -> [Vec<Fr>; 2] {
    let (columns, rows) = point.split_at(WIDTH_VARS);
    [eq_prefix(columns, 1 << columns.len()), eq_prefix(rows, 1 << rows.len())]
}

fn time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}
