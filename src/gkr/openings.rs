//! From claims on committed tensors to claims that a commitment can open.
//!
//! A commitment opens weighted sums whose weights are a product of row and column weights of *its*
//! rows. Claims at a point are of that form; so are claims with any row weights when a table row
//! fills whole committed rows, or when the whole tensor lies in one. The rest is reduced to points
//! by one batched sum-check:
//!
//! ```text
//! Claims     Σ_t ωᵢ(t)·x̃ᵢ(t, rᵢ) = vᵢ
//! Sum-check  over the row variables, degree 2, tensors with fewer rows join late
//! Verifier   last claim = Σᵢ γⁱ·ω̃ᵢ(ρᵢ)·x̃ᵢ(ρᵢ, rᵢ); claims on one tensor at one rᵢ share a value
//! ```
//!
//! # Soundness
//! That of a [batch](crate::sumcheck::batch). The padding of every committed tensor is proved zero in
//! the same opening, see [`pcs::padding_claims`](super::pcs::padding_claims).

use std::collections::HashMap;

use super::Fr;
use super::claims::{RowWeights, TensorClaim};
use super::pcs::{ColumnWeights, Layout, OpeningClaim, outer_product, padding_claims};
use super::program::{Kind, Program, TensorId};
use crate::sumcheck::channel::Scalar;
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::{StatementError, VerifyError};

/// Whether a commitment can open the claim as it is.
fn opens_directly<S>(program: &Program, claim: &TensorClaim<S>) -> bool {
    let tensor = program.tensor(claim.tensor);
    let width_vars = program.width_vars(claim.tensor);
    match claim.rows {
        RowWeights::Point(_) => true,
        RowWeights::Explicit(_) => {
            tensor.col_vars() >= width_vars || tensor.rows << tensor.col_vars() <= 1 << width_vars
        }
    }
}

/// Splits claims into those that open directly and those that need a point.
pub(super) fn split<S>(program: &Program, claims: Vec<TensorClaim<S>>) -> (Vec<TensorClaim<S>>, Vec<TensorClaim<S>>) {
    claims.into_iter().partition(|claim| opens_directly(program, claim))
}

/// Distinct (tensor, column point) pairs of weighted claims, and for each claim which one it has.
pub(super) fn distinct<S>(weighted: &[TensorClaim<S>]) -> (Vec<(TensorId, Vec<Fr>)>, Vec<usize>) {
    let mut pairs: Vec<(TensorId, Vec<Fr>)> = Vec::new();
    let which = weighted
        .iter()
        .map(|claim| {
            let found = pairs.iter().position(|(tensor, cols)| *tensor == claim.tensor && *cols == claim.cols);
            found.unwrap_or_else(|| {
                pairs.push((claim.tensor, claim.cols.clone()));
                pairs.len() - 1
            })
        })
        .collect();
    (pairs, which)
}

/// The committed tensors in the order of their commitments: inputs, constants, witness.
pub(super) fn committed(program: &Program) -> Vec<TensorId> {
    let constants = program.of_kind(|kind| matches!(kind, Kind::Constant(_)));
    [program.inputs(), constants, program.committed()].concat()
}

/// The layout of a tensor's commitment.
pub(super) fn layout(program: &Program, id: TensorId) -> Result<Layout, VerifyError> {
    let tensor = program.tensor(id);
    let width_vars = program.width_vars(id);
    if tensor.entries == tensor.rows * tensor.cols {
        Layout::new(tensor.rows, tensor.cols, width_vars)
    } else {
        // A vector in rows of a power of two has the same place in memory as a single column.
        Layout::new(tensor.entries, 1, width_vars)
    }
}

/// The claim in terms of the rows and columns of its commitment.
pub(super) fn opening<S: Scalar<Fr>>(
    program: &Program,
    places: &HashMap<TensorId, usize>,
    claim: TensorClaim<S>,
) -> Result<OpeningClaim<S>, VerifyError> {
    let misfit = || StatementError::Misfit("a claim is on a tensor without commitment");
    let &commitment = places.get(&claim.tensor).ok_or_else(misfit)?;
    let tensor = program.tensor(claim.tensor);
    let width_vars = program.width_vars(claim.tensor);
    let num_rows = (tensor.rows << tensor.col_vars()).div_ceil(1 << width_vars);
    let (row_weights, col_weights) = match &claim.rows {
        RowWeights::Point(point) => {
            let flat: Vec<Fr> = claim.cols.iter().chain(point.coordinates()).copied().collect();
            let (cols, rows) = flat.split_at(width_vars.min(flat.len()));
            (eq_prefix(rows, num_rows), ColumnWeights::Point(cols.to_vec()))
        }
        // Also for a tensor of one row, which may be shorter than a committed one.
        RowWeights::Explicit(weights) if tensor.col_vars() >= width_vars || tensor.rows == 1 => {
            let (inner, outer) = claim.cols.split_at(width_vars.min(claim.cols.len()));
            let blocks = eq_prefix(outer, 1 << outer.len());
            (outer_product(weights, &blocks), ColumnWeights::Point(inner.to_vec()))
        }
        RowWeights::Explicit(weights) => {
            (vec![Fr::from(1u64)], ColumnWeights::Blocks { point: claim.cols, weights: weights.to_vec() })
        }
    };
    Ok(OpeningClaim { commitment, row_weights, col_weights, value: claim.value })
}

/// Coordinates of the padding point that the program's commitments need: rows, columns.
pub(super) fn padding_vars(program: &Program, order: &[TensorId]) -> Result<(usize, usize), VerifyError> {
    let mut vars = (0, 0);
    for &id in order {
        let layout = layout(program, id)?;
        vars = (vars.0.max(layout.row_vars()), vars.1.max(layout.width_vars()));
    }
    Ok(vars)
}

/// The claims that all padding of inputs and witness is zero. Constants are committed at setup, by the verifier,
/// or proved once, as [`Kind::Weights`].
pub(super) fn padding<S: Scalar<Fr>>(
    program: &Program,
    order: &[TensorId],
    row_point: &[Fr],
    col_point: &[Fr],
) -> Result<Vec<OpeningClaim<S>>, VerifyError> {
    let mut claims = Vec::new();
    for (commitment, &id) in order.iter().enumerate() {
        if !matches!(program.tensor(id).kind, Kind::Constant(_)) {
            claims.extend(padding_claims(commitment, &layout(program, id)?, row_point, col_point)?);
        }
    }
    Ok(claims)
}
