//! The first rounds of a product of integer matrices, all from one pass over the integers.
//!
//! ```text
//! t(X) = Σ_t ω(t) Σ_j w(j) · a(t, X, j)·b(t, X, j)       X = (X₀, …, X_{k−1}), the lowest column variables
//! ```
//!
//! `t` has degree 2 in each of the `k` variables, so its values on `{0, 1, ∞}^k` determine it (`∞` stands for the
//! leading coefficient). On that grid both factors are sums and differences of the integers, and so small that a
//! product is a machine integer, which is multiplied by `ω(t)` without being a field element. Every round's
//! message follows from the grid, and a challenge shrinks it to a third. (Bagad, Dao, Domb, Thaler, "Speeding Up
//! Sum-Check Proving", 2025, section 4; with `eq` factored out of the column variables.)

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use super::int::{IntTable, SmallInt, dispatch};
use super::par;
use super::small::{SmallField, fold_eights};
use crate::simd::LANES;

/// Variables that a grid has.
pub(super) const VARS: usize = 3;
/// Columns that share a window: they differ in the grid's variables.
pub(super) const WINDOW: usize = 1 << VARS;
/// Points of the grid, the first variable running fastest.
const POINTS: usize = 27;
/// Rows whose products are kept between the passes.
const ROWS: usize = 64;
/// Bits of a product that a term holds.
const LOW_BITS: u32 = 48;

/// Values of `t` on `{0, 1, ∞}^k` for the `k` variables that are not bound.
pub(super) struct Grid<F> {
    values: Vec<F>,
}

impl<F: SmallField> Grid<F> {
    /// The grid of two matrices of one shape with weights for the rows and for the windows of columns; `None` if
    /// there are too few columns or products are too wide.
    pub(super) fn new(a: &IntTable, b: &IntTable, row_weights: &[F], window_weights: &[F]) -> Option<Self> {
        if a.cols() < WINDOW {
            return None;
        }
        // Differences add a bit for every variable.
        let (a_bits, b_bits) = (bits(a) + VARS as u32, bits(b) + VARS as u32);
        if a_bits > 62 || b_bits > 62 || a_bits + b_bits > 50 + LOW_BITS {
            return None;
        }
        let wide = a_bits + b_bits > 50;
        let blocks = a.cols().div_ceil(WINDOW * LANES);
        let sums = par::map(blocks, |block| {
            let sums = dispatch!(a.values(), a => dispatch!(b.values(), b2 => {
                block_sums(a, b2, b.cols(), block * WINDOW * LANES, row_weights, wide)
            }));
            let weights = &window_weights[block * LANES..];
            sums.map(|sums| sums.iter().zip(weights).map(|(&sum, &weight)| sum * weight).sum::<F>())
        });
        let mut values = vec![F::ZERO; POINTS];
        for sums in sums {
            values.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum);
        }
        Some(Self { values })
    }

    /// Variables that are not bound.
    pub(super) fn num_vars(&self) -> usize {
        self.values.len().ilog(3) as usize
    }

    /// Values at 0 and 1 and leading coefficient in the first variable of the sum over all others in `{0, 1}`,
    /// weighted by `eq(point, ·)`.
    pub(super) fn round(&self, point: &[F]) -> [F; 3] {
        let mut values = self.values.clone();
        // From the last variable on; the first one is left.
        for &r in point.iter().take(self.num_vars() - 1).rev() {
            let third = values.len() / 3;
            let (zero, rest) = values.split_at(third);
            values = zero.iter().zip(rest).map(|(&at_0, &at_1)| at_0 + r * (at_1 - at_0)).collect();
        }
        [values[0], values[1], values[2]]
    }

    /// Binds the first variable.
    pub(super) fn bind(&mut self, r: F) {
        // f(r) = f(0) + r·(f(1) − f(0)) + r(r − 1)·f(∞) for degree 2.
        let vanishing = r * (r - F::ONE);
        let line = |f: &[F; 3]| f[0] + r * (f[1] - f[0]) + vanishing * f[2];
        self.values = self.values.as_chunks().0.iter().map(line).collect();
    }
}

/// Bits of the largest absolute value.
fn bits(table: &IntTable) -> u32 {
    u128::BITS - table.values().largest().leading_zeros()
}

/// For every point of the grid and eight windows of columns from `first` on, the sum of weighted products over
/// all rows.
fn block_sums<F: SmallField, A: SmallInt, B: SmallInt>(
    a: &[A],
    b: &[B],
    cols: usize,
    first: usize,
    row_weights: &[F],
    wide: bool,
) -> [[F; LANES]; POINTS] {
    let mut sums = [[F::ZERO; LANES]; POINTS];
    let end = cols.min(first + WINDOW * LANES);
    let mut low = vec![[[0i64; LANES]; ROWS]; POINTS];
    let mut high = vec![[[0i64; LANES]; ROWS]; if wide { POINTS } else { 0 }];
    let base = F::from(1u64 << LOW_BITS);
    for (chunk, weights) in row_weights.chunks(ROWS).enumerate() {
        for t in 0..weights.len() {
            let row = (chunk * ROWS + t) * cols;
            let (a, b) = (extend(&a[row + first..row + end]), extend(&b[row + first..row + end]));
            for (point, (a, b)) in a.iter().zip(&b).enumerate() {
                let (low, high) = (&mut low[point][t], high.get_mut(point).map(|high| &mut high[t]));
                multiply(a, b, low, high);
            }
        }
        for (point, sums) in sums.iter_mut().enumerate() {
            let low = fold_eights(&low[point][..weights.len()], weights);
            let high = high.get(point).map(|high| fold_eights(&high[..weights.len()], weights));
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += low[lane] + high.map_or(F::ZERO, |high| high[lane] * base);
            }
        }
    }
    sums
}

/// Products, as they are or split at [`LOW_BITS`].
#[inline(always)]
fn multiply(a: &[i64; LANES], b: &[i64; LANES], low: &mut [i64; LANES], high: Option<&mut [i64; LANES]>) {
    match high {
        None => low.iter_mut().zip(a.iter().zip(b)).for_each(|(low, (&a, &b))| *low = a * b),
        Some(high) => {
            for ((low, high), (&a, &b)) in low.iter_mut().zip(high).zip(a.iter().zip(b)) {
                let product = i128::from(a) * i128::from(b);
                (*low, *high) = (product as i64 & ((1 << LOW_BITS) - 1), (product >> LOW_BITS) as i64);
            }
        }
    }
}

/// Values on the grid of eight windows, a lane each; columns beyond the last are zero.
#[inline(always)]
fn extend<I: SmallInt>(columns: &[I]) -> [[i64; LANES]; POINTS] {
    let mut windows = [[0i64; LANES]; WINDOW];
    for (lane, window) in columns.chunks(WINDOW).enumerate() {
        for (x, &value) in window.iter().enumerate() {
            let value: i128 = value.into();
            windows[x][lane] = value as i64;
        }
    }
    let mut out = [[0i64; LANES]; POINTS];
    let difference = |a: &[i64; LANES], b: &[i64; LANES]| std::array::from_fn(|lane| b[lane] - a[lane]);
    // One variable after the other gets its third value; indices are Σ 3^i·vᵢ from the start.
    for (x, window) in windows.iter().enumerate() {
        out[(x & 1) + 3 * (x >> 1 & 1) + 9 * (x >> 2)] = *window;
    }
    for line in [0, 3, 9, 12] {
        out[line + 2] = difference(&out[line], &out[line + 1]);
    }
    for plane in [0, 9] {
        for v in plane..plane + 3 {
            out[v + 6] = difference(&out[v], &out[v + 3]);
        }
    }
    for v in 0..9 {
        out[v + 18] = difference(&out[v], &out[v + 9]);
    }
    out
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::UniformRand;
    use ark_std::rand::rngs::StdRng;
    use ark_std::rand::{Rng, SeedableRng};
    use proptest::prelude::*;

    use super::*;
    use crate::simd::tests::both;
    use crate::sumcheck::eq::eq_table;
    use crate::sumcheck::int::IntVec;

    /// `t` at a point of `{0, 1, ∞}^3`, by the definition.
    fn naive(a: &IntTable, b: &IntTable, rows: &[Fr], windows: &[Fr], point: usize) -> Fr {
        let digits = [point % 3, point / 3 % 3, point / 9];
        let value = |table: &IntTable, t: usize, j: usize| -> Fr {
            let terms = (0..WINDOW).map(|x| {
                let column = j * WINDOW + x;
                let entry = if column < table.cols() { table.get(t, column) } else { 0 };
                let factor = (0..VARS).map(|i| match (digits[i], x >> i & 1) {
                    (2, 0) => -1i64,
                    (2, _) => 1,
                    (digit, bit) => i64::from(digit == bit),
                });
                Fr::from(entry) * Fr::from(factor.product::<i64>())
            });
            terms.sum()
        };
        let pairs = (0..rows.len()).flat_map(|t| (0..windows.len()).map(move |j| (t, j)));
        pairs.map(|(t, j)| rows[t] * windows[j] * value(a, t, j) * value(b, t, j)).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_grid_is_that_of_the_definition(
            rows in prop::sample::select(vec![1usize, 2, 63, 64, 65]), cols in 8usize..80, width in 0usize..3, seed: u64,
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let edge = |rng: &mut StdRng, bits: u32| {
                let limit = 1i128 << bits;
                if rng.r#gen() { rng.gen_range(-limit..limit) } else if rng.r#gen() { -limit } else { limit - 1 }
            };
            let mut table = |bits: u32| {
                let values = (0..rows * cols).map(|_| edge(&mut rng, bits));
                IntTable::new(rows, cols, IntVec::pack(values, -(1 << bits), (1 << bits) - 1).unwrap())
            };
            // One term holds the products, two do, and as wide as can be.
            let (a, b) = [(15, 7), (31, 20), (58, 32)][width];
            let (a, b) = (table(a), table(b));
            let weights: Vec<Fr> = (0..rows).map(|_| Fr::rand(&mut rng)).collect();
            let point: Vec<Fr> = (0..4).map(|_| Fr::rand(&mut rng)).collect();
            let windows = &eq_table(&point)[..cols.div_ceil(WINDOW)];
            for grid in both(|| Grid::new(&a, &b, &weights, windows).unwrap().values) {
                for (i, value) in grid.into_iter().enumerate() {
                    prop_assert_eq!(value, naive(&a, &b, &weights, windows, i));
                }
            }
        }
    }

    #[test]
    fn too_wide_or_too_narrow_matrices_are_left_to_others() {
        let weights = [Fr::from(1)];
        let table = |bits: u32| IntTable::new(1, 8, IntVec::I128(vec![1 << bits; 8]));
        assert!(Grid::new(&table(58), &table(32), &weights, &weights).is_some());
        assert!(Grid::new(&table(58), &table(33), &weights, &weights).is_none());
        assert!(Grid::new(&table(59), &table(3), &weights, &weights).is_none());
        let narrow = IntTable::new(1, 7, IntVec::I8(vec![1; 7]));
        assert!(Grid::new(&narrow, &narrow, &weights, &weights).is_none());
    }
}
