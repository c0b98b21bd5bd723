//! Folds of committed rows, straight from the small integers: `F(j) = Σ_r weights[r] · M[r, j]`.

use super::layout::Layout;
use crate::sumcheck::int::{IntTable, dispatch};
use crate::sumcheck::par;
use crate::sumcheck::small::{SmallField, fold_runs};

/// The fold of all committed rows of `table`, one entry a column of the commitment. Rows of weight
/// zero are skipped.
///
/// # Panics
/// If the layout is of another shape, or there is another number of weights than rows.
#[must_use]
pub fn fold_committed<F: SmallField>(table: &IntTable, layout: &Layout, weights: &[F]) -> Vec<F> {
    assert_eq!((layout.table_rows(), layout.table_cols()), (table.rows(), table.cols()), "the layout of this table");
    assert_eq!(weights.len(), layout.num_rows(), "one weight a committed row");
    let pieces = pieces(table.values().len(), layout, weights);
    let folded = par::map(pieces.len(), |i| {
        let mut out = vec![F::ZERO; pieces[i].len];
        dispatch!(table.values(), values => fold_runs(values, &pieces[i].runs, &mut out));
        out
    });
    let mut out = vec![F::ZERO; layout.width()];
    for (piece, folded) in pieces.iter().zip(folded) {
        out[piece.first..].iter_mut().zip(folded).for_each(|(out, x)| *out += x);
    }
    out
}

/// Runs of equally many entries that are folded onto the same columns.
struct Piece<F> {
    /// First column of the commitment.
    first: usize,
    /// Entries of a run.
    len: usize,
    /// Where runs start in the table's storage, and their weights.
    runs: Vec<(usize, F)>,
}

/// All entries of a table of `entries` in rows of non-zero weight.
fn pieces<F: SmallField>(entries: usize, layout: &Layout, weights: &[F]) -> Vec<Piece<F>> {
    let (cols, width) = (layout.table_cols(), layout.width());
    let (lanes, blocks) = (layout.rows_per_row(), layout.blocks_per_row());
    let rows = || weights.iter().enumerate().filter(|(_, weight)| !weight.is_zero());
    if cols == layout.padded_cols() {
        // Without padding, committed rows are stored one after another; the last one may be shorter.
        let runs = |whole: bool| -> Vec<(usize, F)> {
            rows().filter(|(r, _)| ((r + 1) * width <= entries) == whole).map(|(r, &w)| (r * width, w)).collect()
        };
        return vec![
            Piece { first: 0, len: width, runs: runs(true) },
            Piece { first: 0, len: entries % width, runs: runs(false) },
        ];
    }
    // Committed row r holds table rows r·lanes …, or block r mod blocks of table row r / blocks.
    let piece = |part: usize| {
        let (lane, block) = (part % lanes, part / lanes);
        let row = |r: usize| r / blocks * lanes + lane;
        let runs = rows()
            .filter(|&(r, _)| r % blocks == block && row(r) < layout.table_rows())
            .map(|(r, &w)| (row(r) * cols + block * width, w))
            .collect();
        Piece { first: lane * layout.padded_cols(), len: cols.saturating_sub(block * width).min(width), runs }
    };
    (0..lanes * blocks).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::{AdditiveGroup, UniformRand};
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;
    use crate::gkr::pcs::testing::{matrix, random_table};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn folds_agree_with_the_definition(
            rows in 1usize..20, cols in 1usize..300, width_vars in 0usize..9, bytes in 0usize..5, seed: u64,
        ) {
            let layout = Layout::new(rows, cols, width_vars).unwrap();
            let table = random_table(rows, cols, bytes, seed);
            let mut rng = test_rng();
            let weights: Vec<Fr> = (0..layout.num_rows())
                .map(|r| if r % 3 == 1 { Fr::ZERO } else { Fr::rand(&mut rng) })
                .collect();
            let mut expected = vec![Fr::ZERO; layout.width()];
            for (row, weight) in matrix(&table, &layout).iter().zip(&weights) {
                for (out, &value) in expected.iter_mut().zip(row) {
                    *out += *weight * Fr::from(value);
                }
            }
            prop_assert_eq!(fold_committed(&table, &layout, &weights), expected);
        }
    }
}
