//! The verifier's walk: the same program, the same waves, the same claims; values are received.
//!
//! This is the text to audit. It holds no protocol of its own: every equation is in the module of
//! the relation it belongs to, and the program decides what is received.

use std::collections::HashMap;

use super::Fr;
use super::claims::{Claims, RowWeights, Suffixes, TensorClaim, ValueSource};
use super::fraction;
use super::lookup::{self, Compression, Layout};
use super::openings;
use super::pcs::MultilinearPcs;
use super::pcs::hiding::OpeningVerifier;
use super::program::{Program, TensorId};
use super::prover::{PublicCommitments, absorb_public};
use super::view::View;
use super::waves::{self, Schedule};
use crate::sumcheck::batch;
use crate::sumcheck::channel::VerifierChannel;
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::{Check, StatementError, VerifyError};
use crate::sumcheck::int::IntTable;
use crate::sumcheck::par;
use crate::sumcheck::small::weighted_sum;
use crate::sumcheck::transcript::Label;

/// Receives the values of claims.
struct RecvValues<'a, C> {
    channel: &'a mut C,
    label: Label,
}

impl<C: VerifierChannel<Fr>> ValueSource for RecvValues<'_, C> {
    type Scalar = C::Scalar;

    fn value(&mut self, _: TensorId, _: &RowWeights, _: &[Fr]) -> Result<C::Scalar, VerifyError> {
        let [value] = self.channel.recv_array::<1>(self.label)?;
        Ok(value)
    }

    fn product(&mut self, a: &C::Scalar, b: &C::Scalar) -> Result<C::Scalar, VerifyError> {
        self.channel.product(a, b)
    }
}

/// Verifies that the committed inputs satisfy `program` with these public outputs.
///
/// Checks, in order: the lookup root, its layers and leaves, the public outputs, the final values of
/// every wave, the weighted claims, and the opening of all claims that are left, padding included.
///
/// # Soundness
/// The caller must compare program, outputs and commitments with what it expects, and
/// [finish](VerifierChannel::finish) the channel.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn verify<P: MultilinearPcs, C: OpeningVerifier>(
    key: &P::VerifierKey,
    program: &Program,
    outputs: &[&IntTable],
    public: &PublicCommitments<'_, P::Commitment>,
    channel: &mut C,
) -> Result<(), VerifyError> {
    par::enter(|| verify_here::<P, C>(key, program, outputs, public, channel))
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn verify_here<P: MultilinearPcs, C: OpeningVerifier>(
    key: &P::VerifierKey,
    program: &Program,
    outputs: &[&IntTable],
    public: &PublicCommitments<'_, P::Commitment>,
    channel: &mut C,
) -> Result<(), VerifyError> {
    check_public::<P, C>(program, outputs, public, channel)?;
    absorb_public::<P>(program, outputs, public, |label, bytes| channel.absorb_statement(label, bytes));
    let layouts = program.committed().into_iter().map(|id| openings::layout(program, id));
    let committed = P::recv_all(Label::Commitment, &layouts.collect::<Result<Vec<_>, _>>()?, channel)?;
    let opened = reduce(program, outputs, channel)?;
    let commitments: Vec<&P::Commitment> =
        public.inputs.iter().chain(public.constants).copied().chain(&committed).collect();
    P::verify_opening(key, &commitments, &opened, channel)
}

/// Everything between the commitments and their opening: returns the claims to open.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn reduce<C: VerifierChannel<Fr>>(
    program: &Program,
    outputs: &[&IntTable],
    channel: &mut C,
) -> Result<Vec<super::pcs::OpeningClaim<C::Scalar>>, VerifyError> {
    let mut claims = Claims::default();
    verify_lookups(program, channel, &mut claims)?;
    verify_outputs(program, outputs, channel, &mut claims)?;
    for (number, wave) in Schedule::new(program).waves.iter().enumerate() {
        verify_wave(program, number, wave, channel, &mut claims)?;
    }
    let (mut direct, weighted) = openings::split(program, claims.take_all());
    direct.extend(verify_weighted(program, weighted, channel)?);
    let order = openings::committed(program);
    let places: HashMap<TensorId, usize> = order.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let mut opened = Vec::with_capacity(direct.len());
    for claim in direct {
        opened.push(openings::opening(program, &places, claim)?);
    }
    let (rows, cols) = openings::padding_vars(program, &order)?;
    let mut point = |n: usize| -> Vec<Fr> { (0..n).map(|_| channel.challenge(Label::PaddingChallenge)).collect() };
    let (rows, cols) = (point(rows), point(cols));
    opened.extend(openings::padding(program, &order, &rows, &cols)?);
    Ok(opened)
}

/// Shapes of what the statement brings along.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn check_public<P: MultilinearPcs, C: VerifierChannel<Fr>>(
    program: &Program,
    outputs: &[&IntTable],
    public: &PublicCommitments<'_, P::Commitment>,
    channel: &mut C,
) -> Result<(), VerifyError> {
    let shapes = program.outputs().iter().map(|&id| (program.tensor(id).rows, program.tensor(id).cols));
    let fit = shapes.eq(outputs.iter().map(|table| (table.rows(), table.cols())));
    channel.require(fit, StatementError::Outputs.into())?;
    let constants: Vec<TensorId> = program.constants().into_iter().map(|(id, _)| id).collect();
    for (ids, commitments) in [(program.inputs(), public.inputs), (constants, public.constants)] {
        if ids.len() != commitments.len() {
            return Err(StatementError::Misfit("there are more or fewer commitments than tensors").into());
        }
        for (&id, commitment) in ids.iter().zip(commitments) {
            let layout = openings::layout(program, id)?;
            let fit = P::shape(commitment) == (layout.width_vars(), layout.num_rows());
            channel.require(fit, StatementError::Commitment.into())?;
        }
    }
    Ok(())
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn verify_lookups<C: VerifierChannel<Fr>>(
    program: &Program,
    channel: &mut C,
    claims: &mut Claims<C::Scalar>,
) -> Result<(), VerifyError> {
    let layout = Layout::new(program);
    if layout.len == 0 {
        return Ok(());
    }
    let beta = channel.challenge(Label::TupleChallenge);
    let alpha = channel.challenge(Label::LookupChallenge);
    let compression = Compression::new(program, beta, alpha);
    let leaf = fraction::verify(channel, fraction::num_vars(layout.len))?;
    let mut values = RecvValues { channel, label: Label::LeafValues };
    let zeros = lookup::reduce(program, &layout, &compression, leaf, claims, &mut values)?;
    for (zero, check) in zeros {
        channel.require_zero(zero, check)?;
    }
    Ok(())
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn verify_outputs<C: VerifierChannel<Fr>>(
    program: &Program,
    outputs: &[&IntTable],
    channel: &mut C,
    claims: &mut Claims<C::Scalar>,
) -> Result<(), VerifyError> {
    // A tensor of zeros is an output whose values need no stating.
    let outputs = program.outputs().iter().zip(outputs.iter().map(|&table| Some(table)));
    for (&output, table) in outputs.chain(program.zeros().iter().map(|id| (id, None))) {
        let tensor = program.tensor(output);
        let mut point = |n: usize| -> Vec<Fr> { (0..n).map(|_| channel.challenge(Label::OutputChallenge)).collect() };
        let (cols, rows) = (point(tensor.col_vars()), RowWeights::at(point(tensor.row_vars())));
        let public = table.map_or(Fr::from(0u64), |table| {
            weighted_sum(table, &rows.explicit(tensor.rows), &eq_prefix(&cols, tensor.cols))
        });
        let view = View::whole(output, tensor.rows);
        let mut values = RecvValues { channel, label: Label::OutputValues };
        let value = claims.expand(program, &view, &rows, &cols, &mut values)?;
        channel.require_zero(value - C::Scalar::from(public), Check::PublicOutput)?;
    }
    Ok(())
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn verify_wave<C: VerifierChannel<Fr>>(
    program: &Program,
    number: usize,
    wave: &[usize],
    channel: &mut C,
    claims: &mut Claims<C::Scalar>,
) -> Result<(), VerifyError> {
    let due = waves::due(program, wave, claims);
    let sums: Vec<(usize, C::Scalar)> =
        due.iter().map(|due| (waves::num_rounds(program, due.relation), due.claim.value.clone())).collect();
    let reduced = batch::verify(channel, waves::degree(program, wave), &sums)?;
    let mut values = RecvValues { channel, label: Label::WaveValues };
    let expected = waves::finish(program, &due, reduced.gamma, &reduced.point, claims, &mut values)?;
    channel.require_zero(reduced.claim - expected, Check::Wave { wave: number })
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn verify_weighted<C: VerifierChannel<Fr>>(
    program: &Program,
    weighted: Vec<TensorClaim<C::Scalar>>,
    channel: &mut C,
) -> Result<Vec<TensorClaim<C::Scalar>>, VerifyError> {
    if weighted.is_empty() {
        return Ok(Vec::new());
    }
    let sums: Vec<(usize, C::Scalar)> =
        weighted.iter().map(|claim| (program.tensor(claim.tensor).row_vars(), claim.value.clone())).collect();
    let reduced = batch::verify(channel, 2, &sums)?;
    let (pairs, which) = openings::distinct(&weighted);
    let mut points = Vec::with_capacity(pairs.len());
    let mut suffixes = Suffixes::new(&reduced.point);
    for (tensor, cols) in pairs {
        let rows = suffixes.get(program.tensor(tensor).row_vars()).clone();
        let [value] = channel.recv_array::<1>(Label::PointValues)?;
        points.push(TensorClaim { tensor, rows, cols, value });
    }
    let mut expected = C::Scalar::from(Fr::from(0u64));
    let mut power = Fr::from(1u64);
    for (claim, at) in weighted.iter().zip(which.into_iter().filter_map(|i| points.get(i))) {
        let weight = claim.rows.dot(program.tensor(claim.tensor).rows, &at.rows);
        expected = expected + at.value.clone() * (power * weight);
        power *= reduced.gamma;
    }
    channel.require_zero(reduced.claim - expected, Check::WeightedClaims)?;
    Ok(points)
}
