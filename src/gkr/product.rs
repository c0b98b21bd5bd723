//! Product: `out = left ∘ right`, entry by entry.
//!
//! ```text
//! Claim      Σ_{t,c} ω(t)·eq(r, c)·out[t, c] = v
//! Sum-check  v = Σ_{c,t} ω(t)·eq(r, c)·left[t, c]·right[t, c]       degree 3, columns first
//! Verifier   final value = ω̃(ρ_t)·eq(r, ρ_c)·a·b at (ρ_c ‖ ρ_t);  a = l̃eft, b = r̃ight there
//! ```
//!
//! An output index that both factors carry needs weights in the sum: `eq` on the columns, and on the
//! rows whatever the claim has. Both factors are zero beyond their real entries, so the sum is over
//! those only.
//!
//! # Soundness
//! `3n/|F|` for `n` variables. Thaler, *Proofs, Arguments, and Zero-Knowledge*, section 4.6.

use super::Fr;
use super::claims::{Claims, RowWeights, Suffixes, TensorClaim, ValueSource};
use super::program::{Product, Program, num_vars};
use crate::sumcheck::eq::eq_eval;
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::int::IntTable;
use crate::sumcheck::kernels::EqProduct;

/// Rounds of the sum-check.
pub(super) fn num_rounds(program: &Program, relation: &Product) -> usize {
    let output = program.tensor(relation.output);
    output.col_vars() + output.row_vars()
}

/// The weighted sum over the two factors.
pub(super) fn instance<'a>(
    left: &'a IntTable,
    right: &'a IntTable,
    rows: &RowWeights,
    cols: &[Fr],
) -> EqProduct<'a, Fr> {
    let weights = rows.explicit(left.rows()).to_vec();
    EqProduct::new(left, right, num_vars(left.rows()), weights, cols.to_vec())
}

/// The final value at `point`, in terms of claims on the factors. Both sides call this.
pub(super) fn finish<V: ValueSource>(
    program: &Program,
    relation: &Product,
    claim: &TensorClaim<V::Scalar>,
    point: &[Fr],
    suffixes: &mut Suffixes<'_>,
    claims: &mut Claims<V::Scalar>,
    values: &mut V,
) -> Result<V::Scalar, VerifyError> {
    let output = program.tensor(relation.output);
    let (inner, outer) = point.split_at(output.col_vars().min(point.len()));
    let at = suffixes.get(outer.len());
    let weight = eq_eval(&claim.cols, inner) * claim.rows.dot(output.rows, at);
    let a = claims.expand(program, &relation.left, at, inner, values)?;
    let b = if relation.left == relation.right {
        a.clone()
    } else {
        claims.expand(program, &relation.right, at, inner, values)?
    };
    Ok(values.product(&a, &b)? * weight)
}
