//! Folds of committed rows, straight from the small integers: `F(j) = Σ_r weights[r] · M[r, j]`.

use super::layout::Layout;
use crate::sumcheck::int::{IntTable, SmallInt, dispatch};
use crate::sumcheck::par;
use crate::sumcheck::small::{SmallField, fold_rows};

/// Columns whose sums are kept side by side in the innermost cache.
const COLUMN_BLOCK: usize = 64;

/// The fold of all committed rows of `table`, one entry a column of the commitment. Rows of weight
/// zero are skipped.
///
/// # Panics
/// If the layout is of another shape, or there is another number of weights than rows.
#[must_use]
pub fn fold_committed<F: SmallField>(table: &IntTable, layout: &Layout, weights: &[F]) -> Vec<F> {
    assert_eq!((layout.table_rows(), layout.table_cols()), (table.rows(), table.cols()), "the layout of this table");
    assert_eq!(weights.len(), layout.num_rows(), "one weight a committed row");
    if layout.blocks_per_row() == 1 {
        fold_lanes(table, layout, weights)
    } else {
        let mut out = vec![F::ZERO; layout.width()];
        dispatch!(table.values(), values => {
            par::for_chunks_mut(&mut out, COLUMN_BLOCK, |chunk, out| {
                fold_chunk(values, layout, weights, chunk * COLUMN_BLOCK, out);
            });
        });
        out
    }
}

/// A committed row holds whole table rows: lane `b` of all rows is a fold of table rows
/// `b, b + lanes, b + 2·lanes, …`.
fn fold_lanes<F: SmallField>(table: &IntTable, layout: &Layout, weights: &[F]) -> Vec<F> {
    let lanes = layout.rows_per_row();
    let folded = par::map(lanes, |lane| {
        let rows: Vec<(u32, F)> = (lane..table.rows())
            .step_by(lanes)
            .zip(weights)
            .filter(|(_, weight)| !weight.is_zero())
            .map(|(t, &weight)| (u32::try_from(t).expect("a table has fewer than 2^32 rows"), weight))
            .collect();
        fold_rows(table, &rows)
    });
    let mut out = vec![F::ZERO; layout.width()];
    for (slot, lane) in out.chunks_mut(layout.padded_cols()).zip(&folded) {
        slot[..lane.len()].copy_from_slice(lane);
    }
    out
}

/// A table row fills several committed rows: entries `first..first + out.len()` of the fold.
fn fold_chunk<F: SmallField, I: SmallInt>(values: &[I], layout: &Layout, weights: &[F], first: usize, out: &mut [F]) {
    let mut sums = vec![[F::Sum::default(); 4]; out.len()];
    let mut whole = F::ZERO;
    for (row, weight) in weights.iter().enumerate().filter(|(_, weight)| !weight.is_zero()) {
        for segment in layout.segments(row) {
            let len = segment.len.saturating_sub(first).min(out.len());
            let entries = &values[segment.source..segment.source + segment.len];
            for (sum, &value) in sums.iter_mut().zip(entries.iter().skip(first).take(len)) {
                for (digit, sum) in sum.iter_mut().enumerate().take(I::DIGITS) {
                    F::add_scaled(sum, weight, value.biased_digit(digit));
                }
            }
            let bias = *weight * F::from(I::BIAS);
            if len == out.len() {
                whole += bias;
            } else {
                out.iter_mut().take(len).for_each(|out| *out -= bias);
            }
        }
    }
    let base = F::from(1u64 << 32);
    for (out, sum) in out.iter_mut().zip(&sums) {
        let joined = sum[..I::DIGITS].iter().rev().fold(F::ZERO, |high, sum| high * base + F::reduce(sum));
        *out += joined - whole;
    }
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
