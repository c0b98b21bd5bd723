//! Contraction: `out[t, n] = Σ_{κ,c} lhs[source(t, κ), c] · rhs[κ·C̄ + c, n]`.
//!
//! ```text
//! Claim      Σ_{t,n} ω(t)·eq(r, n)·out[t, n] = v
//! Sum-check  v = Σ_{c,κ} X_ω(c, κ) · W_r(c, κ)        degree 2, one variable a bit of c and κ
//!            X_ω(c, κ) = Σ_t ω(t)·lhs[source(t, κ), c]     W_r(c, κ) = Σ_n eq(r, n)·rhs[κ·C̄ + c, n]
//! Verifier   final value = a · w at (ρ_c ‖ ρ_κ), where
//!            w = r̃hs(ρ_c ‖ ρ_κ on rows, r on columns)
//!            a = Σ_u Ω(u)·l̃hs(u, ρ_c),   Ω(u) = Σ_{t,κ : source(t,κ)=u} eq(ρ_κ, κ)·ω(t)
//! ```
//!
//! Only the contracted index is summed. Transposed, `rhs` has the contracted index on its columns:
//! then `w = r̃hs(r on rows, ρ_c on columns)`. Rows outside the source have no term in `Ω`, taps and
//! columns beyond the real ones none in `X_ω`, so padding cannot contribute.
//!
//! # Soundness
//! `2n/|F|` for `n` variables. Thaler, *Proofs, Arguments, and Zero-Knowledge*, section 4.4.

use super::Fr;
use super::claims::{Claims, RowWeights, Suffixes, TensorClaim, ValueSource};
use super::program::{Contraction, Program, num_vars};
use super::prover::Folds;
use super::view::{ColMap, NONE};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::kernels;
use crate::sumcheck::small::fold_rows;

/// Variables of the contracted columns and taps.
fn inner_vars(program: &Program, relation: &Contraction) -> (usize, usize) {
    let (_, cols) = program.view_shape(&relation.lhs);
    (num_vars(cols), num_vars(relation.lhs.rows.num_taps()))
}

/// Rounds of the sum-check.
pub(super) fn num_rounds(program: &Program, relation: &Contraction) -> usize {
    let (cols, taps) = inner_vars(program, relation);
    cols + taps
}

/// The two vectors whose inner product is the claimed sum.
pub(super) fn instance(
    folds: &Folds<'_>,
    relation: &Contraction,
    rows: &RowWeights,
    cols: &[Fr],
) -> kernels::Product<Fr, 2> {
    let program = folds.program();
    let (_, inner) = program.view_shape(&relation.lhs);
    let (rhs_rows, rhs_cols) = program.view_shape(&relation.rhs);
    let mut left = contracted_rows(folds, relation, rows);
    let mut right = if relation.transposed {
        let weights: Vec<(u32, Fr)> = (0u32..).zip(eq_prefix(cols, rhs_rows)).collect();
        fold_rows(&folds.trace().view(&relation.rhs), &weights)
    } else if relation.rhs.is_whole() {
        folds.cols(relation.rhs.tensor, cols).to_vec()
    } else {
        crate::sumcheck::small::fold_cols(&folds.trace().view(&relation.rhs), &eq_prefix(cols, rhs_cols))
    };
    debug_assert!(inner <= left.len());
    let len = left.len().max(right.len());
    left.resize(len, Fr::from(0u64));
    right.resize(len, Fr::from(0u64));
    kernels::Product::new(num_rounds(program, relation), [left, right])
}

/// `X_ω`: index `κ·C̄ + c`.
fn contracted_rows(folds: &Folds<'_>, relation: &Contraction, rows: &RowWeights) -> Vec<Fr> {
    let (program, view) = (folds.program(), &relation.lhs);
    let (out_rows, inner) = program.view_shape(view);
    let (weights, table) = (rows.explicit(out_rows), folds.trace().get(view.tensor));
    let mut out = Vec::with_capacity(view.rows.num_taps() * inner.next_power_of_two());
    for tap in 0..view.rows.num_taps() {
        let sources = view.rows.sources(tap);
        let pairs: Vec<(u32, Fr)> =
            sources.into_iter().zip(weights.iter().copied()).filter(|&(s, _)| s != NONE).collect();
        let folded = fold_rows(table, &pairs);
        let start = out.len();
        match view.cols {
            ColMap::Identity => out.extend(folded),
            ColMap::Slice { offset, len } => out.extend(&folded[offset as usize..][..len as usize]),
            ColMap::Broadcast { len } => out.extend(std::iter::repeat_n(folded[0], len as usize)),
        }
        out.resize(start + inner.next_power_of_two(), Fr::from(0u64));
    }
    out
}

/// The final value `a · w` at `point`, in terms of claims on the operands. Both sides call this.
pub(super) fn finish<V: ValueSource>(
    program: &Program,
    relation: &Contraction,
    claim: &TensorClaim<V::Scalar>,
    point: &[Fr],
    suffixes: &mut Suffixes<'_>,
    claims: &mut Claims<V::Scalar>,
    values: &mut V,
) -> Result<V::Scalar, VerifyError> {
    let (col_vars, _) = inner_vars(program, relation);
    let (inner, taps) = point.split_at(col_vars.min(point.len()));
    let (out_rows, _) = program.view_shape(&relation.lhs);
    let tap_weights = eq_prefix(taps, relation.lhs.rows.num_taps());
    let rows = RowWeights::Explicit(claim.rows.explicit(out_rows));
    let a = claims.expand_taps(program, &relation.lhs, &tap_weights, &rows, inner, values)?;
    let w = if relation.transposed {
        claims.expand(program, &relation.rhs, &RowWeights::at(claim.cols.clone()), inner, values)?
    } else {
        claims.expand(program, &relation.rhs, suffixes.get(point.len()), &claim.cols, values)?
    };
    values.product(&a, &w)
}
