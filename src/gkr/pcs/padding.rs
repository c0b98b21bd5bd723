//! Claims that show that the padding of a committed table is zero.
//!
//! A commitment is the prover's, padding included: nothing in it says that only real entries are
//! non-zero. For a random point `(τ_row, τ_col)` each part of the padding gives one claim of value 0,
//! whose weights are `eq(τ_row, r)·eq(τ_col, j)` restricted to that part:
//!
//! ```text
//! columns    the channels C … 2^c − 1 of every table row in a committed row              (2^c ≤ W)
//! slack      what follows the last table row in the last committed row                   (2^c ≤ W)
//! partial    in blocks that begin in real channels and end in padding, the padding       (2^c > W)
//! empty      blocks without a real channel, as a whole                                   (2^c > W)
//! ```
//!
//! These are all the positions that [`Layout::segments`] leaves out, and each part is a product set
//! of rows and columns, so its claim is a product of row and column weights. The claim's value is
//! the multilinear extension, at τ, of the committed matrix with everything outside the part erased:
//! if any entry of the part is not zero, neither is that polynomial, and it vanishes at τ with
//! probability at most `(row_vars + width_vars)/|F|` (Schwartz–Zippel). Real entries have weight zero.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

use super::layout::Layout;
use super::{ColumnWeights, OpeningClaim};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::{StatementError, VerifyError};

/// The claims, all of value zero, that the padding of `commitment`, laid out as `layout`, vanishes.
///
/// `row_point` and `col_point` are drawn by the caller after the commitment was absorbed. They may
/// be longer than the layout needs, so that one point serves all tables; tables of one width and
/// number of columns then share their column weights, which the opening merges.
///
/// # Errors
/// [`StatementError::Misfit`] if a point is shorter than [`Layout::row_vars`] or
/// [`Layout::width_vars`].
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn padding_claims<S: From<Fr>>(
    commitment: usize,
    layout: &Layout,
    row_point: &[Fr],
    col_point: &[Fr],
) -> Result<Vec<OpeningClaim<S>>, VerifyError> {
    let short = || StatementError::Misfit("the padding point is too short");
    let row_point = row_point.get(..layout.row_vars()).ok_or_else(short)?;
    let col_point = col_point.get(..layout.width_vars()).ok_or_else(short)?;
    let (num_rows, cols) = (layout.num_rows(), layout.table_cols());
    let mut claims = Vec::new();
    if num_rows == 0 || (cols == layout.padded_cols() && slack_start(layout).is_none()) {
        return Ok(claims);
    }
    let rows = eq_prefix(row_point, num_rows);
    let mut claim = |row_weights, col_weights| {
        claims.push(OpeningClaim { commitment, row_weights, col_weights, value: S::from(Fr::ZERO) });
    };
    let width_vars = layout.width_vars();
    let tails = |period_vars, first| ColumnWeights::Tails { point: col_point.to_vec(), period_vars, first };
    if layout.blocks_per_row() == 1 {
        if cols < layout.padded_cols() {
            claim(rows, tails(layout.padded_cols().trailing_zeros() as usize, cols));
        }
        if let Some(start) = slack_start(layout) {
            let last = (0..num_rows).map(|r| if r + 1 == num_rows { Fr::ONE } else { Fr::ZERO }).collect();
            claim(last, tails(width_vars, start));
        }
    } else {
        let (blocks, width) = (layout.blocks_per_row(), layout.width());
        let (whole, rest) = (cols / width, cols % width);
        if rest > 0 {
            claim(keep_where(&rows, &|r| r % blocks == whole), tails(width_vars, rest));
        }
        let empty = cols.div_ceil(width);
        if empty < blocks {
            claim(keep_where(&rows, &|r| r % blocks >= empty), ColumnWeights::Point(col_point.to_vec()));
        }
    }
    Ok(claims)
}

/// First entry of the last committed row after the last table row, if there is one.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn slack_start(layout: &Layout) -> Option<usize> {
    let used = (layout.table_rows() * layout.padded_cols()) % layout.width();
    (used > 0).then_some(used)
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn keep_where(weights: &[Fr], keep: &dyn Fn(usize) -> bool) -> Vec<Fr> {
    weights.iter().enumerate().map(|(i, &weight)| if keep(i) { weight } else { Fr::ZERO }).collect()
}

#[cfg(test)]
mod tests {
    use ark_ff::UniformRand;
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;

    /// `Σ_r Σ_j weights · M` of a single non-zero entry at (`row`, `col`).
    fn weight_at(claim: &OpeningClaim<Fr>, width: usize, row: usize, col: usize) -> Fr {
        claim.row_weights[row] * claim.col_weights.table(width)[col]
    }

    proptest! {
        #[test]
        fn exactly_the_padding_has_weight(rows in 0usize..20, cols in 1usize..70, width_vars in 0usize..6) {
            let layout = Layout::new(rows, cols, width_vars).unwrap();
            let mut rng = test_rng();
            let mut point = |len: usize| -> Vec<Fr> { (0..len).map(|_| Fr::rand(&mut rng)).collect() };
            let (row_point, col_point) = (point(16), point(16));
            let claims = padding_claims::<Fr>(3, &layout, &row_point, &col_point).unwrap();
            prop_assert!(claims.len() <= 2);
            for claim in &claims {
                prop_assert_eq!(claim.commitment, 3);
                prop_assert_eq!(claim.value, Fr::ZERO);
                prop_assert_eq!(claim.row_weights.len(), layout.num_rows());
            }
            for r in 0..layout.num_rows() {
                let mut real = vec![false; layout.width()];
                for s in layout.segments(r) {
                    real[s.first..s.first + s.len].fill(true);
                }
                for (j, &real) in real.iter().enumerate() {
                    let caught = claims.iter().any(|c| weight_at(c, layout.width(), r, j) != Fr::ZERO);
                    prop_assert_eq!(caught, !real, "row {} column {}", r, j);
                }
            }
        }
    }

    #[test]
    fn a_short_point_is_refused() {
        let layout = Layout::new(5, 3, 3).unwrap();
        let one = [Fr::ONE; 8];
        assert!(padding_claims::<Fr>(0, &layout, &one[..1], &one).is_err());
        assert!(padding_claims::<Fr>(0, &layout, &one, &one[..2]).is_err());
        assert_eq!(padding_claims::<Fr>(0, &layout, &one, &one).unwrap().len(), 2);
    }
}
