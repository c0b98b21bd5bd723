//! Sums of small integers times field elements, reduced once at the end.
//!
//! A contraction, a fold of a commitment's rows and the claims of a lookup are all sums
//! `Σ wᵢ·mᵢ` with field elements `wᵢ` and small integers `mᵢ`. Converting each `mᵢ` would cost two
//! field multiplications; multiplying limb by limb into wide accumulators costs four word products.

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};

use super::eq::eq_table;
use super::int::{IntTable, SmallInt, dispatch};
use super::par;
use crate::simd::{self, FoldKernels, Kernels, LANES, ProductKernels};

/// A field with a cheap running sum of `element · u32`.
pub trait SmallField: PrimeField {
    /// The unreduced running sum; the default is zero.
    type Sum: Copy + Default + Send + Sync;
    /// Adds `element · digit`. At most 2^32 terms may be added.
    fn add_scaled(sum: &mut Self::Sum, element: &Self, digit: u32);
    /// The value of the sum.
    fn reduce(sum: &Self::Sum) -> Self;

    /// `self + other`, in a form that hot loops are fast with.
    #[inline(always)]
    #[must_use]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    /// `self − other`, in a form that hot loops are fast with.
    #[inline(always)]
    #[must_use]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    /// Vector kernels for this field, where the machine has them.
    #[must_use]
    fn kernels() -> Option<&'static dyn Kernels<Self>> {
        None
    }

    /// Vector kernels for rounds of sum-checks, where the machine has them.
    #[must_use]
    fn product_kernels() -> Option<&'static dyn ProductKernels<Self>> {
        None
    }

    /// Vector kernels for sums with small integers, where the machine has them.
    #[must_use]
    fn fold_kernels() -> Option<&'static dyn FoldKernels<Self>> {
        None
    }
}

impl SmallField for Fr {
    type Sum = [u128; 4];

    #[inline(always)]
    fn add_scaled(sum: &mut [u128; 4], element: &Fr, digit: u32) {
        // 64-bit limb times 32-bit digit: 96 bits, so 2^32 terms fit.
        for (s, &limb) in sum.iter_mut().zip(&element.0.0) {
            *s += u128::from(limb) * u128::from(digit);
        }
    }

    fn reduce(sum: &[u128; 4]) -> Fr {
        let mut limbs = [0u64; 4];
        let mut carry = 0u128;
        for (limb, &s) in limbs.iter_mut().zip(sum) {
            // s < 2^128 and carry < 2^65: split to avoid overflow.
            let low = (s & u128::from(u64::MAX)) + (carry & u128::from(u64::MAX));
            *limb = low as u64;
            carry = (s >> 64) + (carry >> 64) + (low >> 64);
        }
        let mut low = BigInt(limbs);
        while low >= Fr::MODULUS {
            low.sub_with_borrow(&Fr::MODULUS);
        }
        // Elements are in Montgomery form x·2^256, and so is the sum: what overflows the low 256
        // bits weighs 2^256, which is exactly the Montgomery form of that integer.
        Fr::new_unchecked(low) + Fr::from(carry)
    }

    // ark-ff reduces by comparison, and random operands make that branch unpredictable.
    #[inline(always)]
    fn plus(self, other: Fr) -> Fr {
        let mut limbs = self.0;
        limbs.add_with_carry(&other.0); // below 2^255
        let borrow = limbs.sub_with_borrow(&Fr::MODULUS);
        add_modulus_if(&mut limbs, borrow);
        Fr::new_unchecked(limbs)
    }

    #[inline(always)]
    fn minus(self, other: Fr) -> Fr {
        let mut limbs = self.0;
        let borrow = limbs.sub_with_borrow(&other.0);
        add_modulus_if(&mut limbs, borrow);
        Fr::new_unchecked(limbs)
    }

    fn kernels() -> Option<&'static dyn Kernels<Fr>> {
        simd::kernels()
    }

    fn product_kernels() -> Option<&'static dyn ProductKernels<Fr>> {
        simd::product_kernels()
    }

    fn fold_kernels() -> Option<&'static dyn FoldKernels<Fr>> {
        simd::fold_kernels()
    }
}

#[inline(always)]
fn add_modulus_if(limbs: &mut BigInt<4>, condition: bool) {
    let mask = u64::from(condition).wrapping_neg();
    limbs.add_with_carry(&BigInt(Fr::MODULUS.0.map(|limb| limb & mask)));
}

/// Gives a field a [`SmallField`] implementation that converts every digit.
#[macro_export]
macro_rules! small_field_by_conversion {
    ($field:ty) => {
        impl $crate::sumcheck::small::SmallField for $field {
            type Sum = Self;
            fn add_scaled(sum: &mut Self, element: &Self, digit: u32) {
                *sum += *element * Self::from(digit);
            }
            fn reduce(sum: &Self) -> Self {
                *sum
            }
        }
    };
}

/// Columns that one task folds.
const COLUMN_BLOCK: usize = 64;

/// `out[c] = Σ_k w_k · table[row_k, c]` for the pairs `(row_k, w_k)` of `weights`; one entry a real column.
///
/// # Panics
/// If a row is out of range.
#[must_use]
pub fn fold_rows<F: SmallField>(table: &IntTable, weights: &[(u32, F)]) -> Vec<F> {
    let cols = table.cols();
    let rows: Vec<(usize, F)> = weights.iter().map(|&(row, weight)| (row as usize * cols, weight)).collect();
    let mut out = vec![F::ZERO; cols];
    dispatch!(table.values(), values => fold_runs(values, &rows, &mut out));
    out
}

/// `out[c] = Σ_k w_k · values[start_k + c]` for the pairs `(start_k, w_k)` of `runs`.
///
/// # Panics
/// If a run is out of range.
pub fn fold_runs<F: SmallField, I: SmallInt>(values: &[I], runs: &[(usize, F)], out: &mut [F]) {
    let bias = runs.iter().map(|(_, weight)| *weight).sum::<F>() * F::from(I::BIAS);
    par::for_chunks_mut(out, COLUMN_BLOCK, |block, out| {
        fold_block(values, block * COLUMN_BLOCK, runs, out);
        out.iter_mut().for_each(|out| *out -= bias);
    });
}

/// Entries `first..first + out.len()` of the sum of biased runs.
fn fold_block<F: SmallField, I: SmallInt>(values: &[I], first: usize, runs: &[(usize, F)], out: &mut [F]) {
    let (whole, rest) = out.split_at_mut(out.len() - out.len() % LANES);
    let kernels = F::fold_kernels().zip(I::ints(&values[first.min(values.len())..]));
    let Some((kernels, ints)) = kernels.filter(|_| !whole.is_empty()) else {
        return fold_block_one_by_one(values, first, runs, out);
    };
    let base = F::from(1u64 << 32);
    let mut digit_sums = vec![F::ZERO; whole.len()];
    for digit in (0..I::DIGITS).rev() {
        kernels.fold_rows(ints, digit, runs, &mut digit_sums);
        for (out, &sum) in whole.iter_mut().zip(&digit_sums) {
            *out = if digit + 1 == I::DIGITS { sum } else { *out * base + sum };
        }
    }
    fold_block_one_by_one(values, first + whole.len(), runs, rest);
}

fn fold_block_one_by_one<F: SmallField, I: SmallInt>(values: &[I], first: usize, runs: &[(usize, F)], out: &mut [F]) {
    let mut sums = vec![[F::Sum::default(); 4]; out.len()];
    for &(start, ref weight) in runs {
        let run = &values[start + first..][..out.len()];
        for (sum, &value) in sums.iter_mut().zip(run) {
            for (digit, sum) in sum.iter_mut().enumerate().take(I::DIGITS) {
                F::add_scaled(sum, weight, value.biased_digit(digit));
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(&sums) {
        *out = join_digits::<F>(&sum[..I::DIGITS]);
    }
}

/// Rows that one task folds.
const ROW_BLOCK: usize = 64;

/// `out[i] = Σ_c weights[c] · table[i, c]`, one entry a row.
///
/// # Panics
/// If `weights` is not as long as the rows.
#[must_use]
pub fn fold_cols<F: SmallField>(table: &IntTable, weights: &[F]) -> Vec<F> {
    assert_eq!(weights.len(), table.cols(), "one weight a column");
    // A claim on a block of columns has weights on that block only.
    let first = weights.iter().position(|w| !w.is_zero()).unwrap_or(0);
    let last = weights.iter().rposition(|w| !w.is_zero()).map_or(first, |last| last + 1);
    let weights = &weights[first..last];
    let (cols, total) = (table.cols(), weights.iter().sum::<F>());
    let mut out = vec![F::ZERO; table.rows()];
    dispatch!(table.values(), values => {
        par::for_chunks_mut(&mut out, ROW_BLOCK, |block, out| {
            fold_cols_block(&values[block * ROW_BLOCK * cols + first..], cols, weights, total, out);
        });
    });
    out
}

/// The sums of rows that start every `stride` entries.
fn fold_cols_block<F: SmallField, I: SmallInt>(values: &[I], stride: usize, weights: &[F], total: F, out: &mut [F]) {
    let (rows, whole) = (out.len() - out.len() % LANES, weights.len() - weights.len() % LANES);
    let kernels = F::fold_kernels().zip(I::ints(values));
    let Some((kernels, ints)) = kernels.filter(|_| rows > 0 && whole > 0) else {
        for (i, out) in out.iter_mut().enumerate() {
            *out = dot(&values[i * stride..][..weights.len()], weights, total);
        }
        return;
    };
    let base = F::from(1u64 << 32);
    let mut digit_sums = vec![F::ZERO; rows];
    for digit in (0..I::DIGITS).rev() {
        kernels.fold_cols(ints, digit, stride, &weights[..whole], &mut digit_sums);
        for (out, &sum) in out.iter_mut().zip(&digit_sums) {
            *out = if digit + 1 == I::DIGITS { sum } else { *out * base + sum };
        }
    }
    let rest = &weights[whole..];
    if rest.is_empty() && rows == out.len() {
        let bias = total * F::from(I::BIAS);
        return out.iter_mut().for_each(|out| *out -= bias);
    }
    let (bias, rest_total) = ((total - rest.iter().sum::<F>()) * F::from(I::BIAS), rest.iter().sum::<F>());
    for (i, out) in out.iter_mut().enumerate() {
        let row = &values[i * stride..][..weights.len()];
        *out = if i < rows { *out - bias + dot(&row[whole..], rest, rest_total) } else { dot(row, weights, total) };
    }
}

/// `Σ_x weights[x] · table[t, j·W + x]` for all rows `t` and windows `j` of `W` columns, one window after another
/// and row by row, where `W` is the number of weights; columns beyond the last are zero.
///
/// # Panics
/// If there is no weight.
#[must_use]
pub fn fold_windows<F: SmallField>(table: &IntTable, weights: &[F]) -> Vec<F> {
    let (cols, width) = (table.cols(), weights.len());
    let (whole, windows) = (cols / width, cols.div_ceil(width));
    let total = weights.iter().sum::<F>();
    let mut out = vec![F::ZERO; table.rows() * windows];
    dispatch!(table.values(), values => {
        if cols.is_multiple_of(width) {
            par::for_chunks_mut(&mut out, ROW_BLOCK, |block, out| {
                fold_cols_block(&values[block * ROW_BLOCK * width..], width, weights, total, out);
            });
        } else {
            let rest = &weights[..cols % width];
            par::for_chunks_mut(&mut out, windows, |t, out| {
                let row = &values[t * cols..(t + 1) * cols];
                fold_cols_block(row, width, weights, total, &mut out[..whole]);
                out[whole] = dot(&row[whole * width..], rest, rest.iter().sum());
            });
        }
    });
    out
}

/// `Σ_t weights[t] · values[t]` for integers in `−2^51 … 2^51 − 1`.
///
/// # Panics
/// If there is another number of weights than of integers.
#[must_use]
pub fn fold_eights<F: SmallField>(values: &[[i64; LANES]], weights: &[F]) -> [F; LANES] {
    assert_eq!(values.len(), weights.len(), "one weight each");
    if let Some(kernels) = F::fold_kernels() {
        return kernels.fold_eights(values, weights);
    }
    let mut sums = [[F::Sum::default(); 2]; LANES];
    for (values, weight) in values.iter().zip(weights) {
        for (sum, value) in sums.iter_mut().zip(values) {
            for (digit, sum) in sum.iter_mut().enumerate() {
                F::add_scaled(sum, weight, value.biased_digit(digit));
            }
        }
    }
    let bias = weights.iter().sum::<F>() * F::from(i64::BIAS);
    sums.map(|sum| join_digits::<F>(&sum) - bias)
}

/// The multilinear extension of `2^n` integers at a point: rows of about the square root of their number are folded, so that
/// no weight an entry is needed.
///
/// # Panics
/// If there is another number of integers than the point has corners.
#[must_use]
pub fn extension<F: SmallField, I: SmallInt>(values: &[I], point: &[F]) -> F {
    assert_eq!(values.len(), 1 << point.len(), "an integer a corner");
    let (low, high) = point.split_at(point.len().div_ceil(2));
    let mut rows = vec![F::ZERO; 1 << high.len()];
    // The weights of all entries sum to one.
    fold_cols_block(values, 1 << low.len(), &eq_table(low), F::ONE, &mut rows);
    super::vectors::dot(&rows, &eq_table(high))
}

/// `Σ weights[i] · values[i]`, with `total = Σ weights[i]`.
fn dot<F: SmallField, I: SmallInt>(values: &[I], weights: &[F], total: F) -> F {
    let mut sums = [F::Sum::default(); 4];
    for (&value, weight) in values.iter().zip(weights) {
        for (digit, sum) in sums.iter_mut().enumerate().take(I::DIGITS) {
            F::add_scaled(sum, weight, value.biased_digit(digit));
        }
    }
    join_digits::<F>(&sums[..I::DIGITS]) - total * F::from(I::BIAS)
}

/// `Σ 2^(32k) · sums[k]`.
fn join_digits<F: SmallField>(sums: &[F::Sum]) -> F {
    let base = F::from(1u64 << 32);
    sums.iter().rev().fold(F::ZERO, |high, sum| high * base + F::reduce(sum))
}

/// `Σ_{i,c} row_weights[i] · col_weights[c] · table[i, c]`: the value of a claim.
#[must_use]
pub fn weighted_sum<F: SmallField>(table: &IntTable, row_weights: &[F], col_weights: &[F]) -> F {
    let folded = fold_cols(table, col_weights);
    folded.iter().zip(row_weights).map(|(&x, &w)| x * w).sum()
}

#[cfg(test)]
mod tests {
    use ark_ff::{AdditiveGroup, UniformRand};
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;
    use crate::sumcheck::int::IntVec;

    fn table(rows: usize, cols: usize, values: IntVec) -> IntTable {
        IntTable::new(rows, cols, values)
    }

    fn check(t: &IntTable) {
        let mut rng = test_rng();
        let cols: Vec<Fr> = (0..t.cols()).map(|_| Fr::rand(&mut rng)).collect();
        let rows: Vec<(u32, Fr)> = (0..t.rows()).map(|i| (i as u32, Fr::rand(&mut rng))).collect();
        let folded = fold_cols(t, &cols);
        for (i, &out) in folded.iter().enumerate() {
            let naive: Fr = (0..t.cols()).map(|c| cols[c] * Fr::from(t.get(i, c))).sum();
            assert_eq!(out, naive);
        }
        let folded = fold_rows(t, &rows);
        for (c, &out) in folded.iter().enumerate() {
            let naive: Fr = rows.iter().map(|&(i, w)| w * Fr::from(t.get(i as usize, c))).sum();
            assert_eq!(out, naive);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn folds_agree_with_the_naive_sums(rows in 1usize..9, cols in prop::sample::select(vec![1usize, 3, 64, 65, 127])) {
            let n = rows * cols;
            let mix = |i: usize| (i as i128).wrapping_mul(0x1e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            check(&table(rows, cols, IntVec::I8((0..n).map(|i| mix(i) as i8).collect())));
            check(&table(rows, cols, IntVec::I16((0..n).map(|i| mix(i) as i16).collect())));
            check(&table(rows, cols, IntVec::I32((0..n).map(|i| mix(i) as i32).collect())));
            check(&table(rows, cols, IntVec::I64((0..n).map(|i| mix(i) as i64).collect())));
            check(&table(rows, cols, IntVec::I128((0..n).map(mix).collect())));
        }
    }

    #[test]
    fn extensions_are_weighted_sums_of_all_corners() {
        let mut rng = test_rng();
        for vars in 0..9 {
            let point: Vec<Fr> = (0..vars).map(|_| Fr::rand(&mut rng)).collect();
            let values: Vec<i64> = (0..1i64 << vars).map(|i| [i64::MIN, i64::MAX, -i, i * i][i as usize % 4]).collect();
            let expected: Fr = values.iter().zip(eq_table(&point)).map(|(&v, eq)| eq * Fr::from(v)).sum();
            for found in crate::simd::tests::both(|| extension(&values, &point)) {
                assert_eq!(found, expected, "{vars} variables");
            }
        }
    }

    #[test]
    fn folds_are_exact_at_the_extremes() {
        check(&table(2, 2, IntVec::I8(vec![i8::MIN, i8::MAX, 0, -1])));
        check(&table(2, 2, IntVec::I16(vec![i16::MIN, i16::MAX, 0, -1])));
        check(&table(2, 2, IntVec::I32(vec![i32::MIN, i32::MAX, 0, -1])));
        check(&table(2, 2, IntVec::I64(vec![i64::MIN, i64::MAX, 0, -1])));
        check(&table(2, 2, IntVec::I128(vec![i128::MIN, i128::MAX, 0, -1])));
    }

    #[test]
    fn sums_and_differences_agree_with_the_library() {
        let mut rng = test_rng();
        let mut values = vec![Fr::ZERO, Fr::from(1), -Fr::from(1), Fr::from(2), -Fr::from(2)];
        values.extend((0..20).map(|_| Fr::rand(&mut rng)));
        for &a in &values {
            for &b in &values {
                assert_eq!((a.plus(b), a.minus(b)), (a + b, a - b));
            }
        }
    }

    #[test]
    fn reduction_handles_the_largest_sum() {
        let mut sum = [0u128; 4];
        let mut expected = Fr::ZERO;
        let largest = -Fr::from(1);
        for _ in 0..1000 {
            Fr::add_scaled(&mut sum, &largest, u32::MAX);
            expected += largest * Fr::from(u32::MAX);
        }
        assert_eq!(Fr::reduce(&sum), expected);
        assert_eq!(Fr::reduce(&[u128::MAX; 4]), {
            let word = Fr::from(u64::MAX) + Fr::from(1);
            let limb = Fr::from(u128::MAX);
            // The accumulator is a Montgomery form, so its value is the integer divided by 2^256.
            let r = word * word * word * word;
            (limb + limb * word + limb * word * word + limb * word * word * word) / r
        });
    }
}
