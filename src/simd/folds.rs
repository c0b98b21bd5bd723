//! Sums of small integers times field elements on vectors.
//!
//! ```text
//! acc[i]     += low 52 bits of w_i·v        w = Σ 2^(52i)·w_i in stored form, five limbs
//! acc[i + 1] += high 52 bits of w_i·v       v below 2^32, hence less than 2^53 a term and limb
//! ```
//!
//! Nothing is reduced before the end of a chunk of terms. Then the six limbs are below 2^63, the sum is below
//! 2^(254 + 32 + 10), and two products bring it back: `S·2^-260`, times 2^520.

use std::arch::x86_64::{
    __m512i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_loadu_si256, _mm512_add_epi64, _mm512_and_si512,
    _mm512_cvtepu8_epi64, _mm512_cvtepu16_epi64, _mm512_cvtepu32_epi64, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64, _mm512_xor_si512,
};

use ark_bn254::{Fr, FrConfig};
use ark_ff::{AdditiveGroup, MontFp};

use super::lanes::{self, Ifma, LIMBS, broadcast, canonical, mul, reduce, split, sum_of_limbs};
use super::memory::{limbs_of, load, prefetch, save, store, transpose};
use super::{FoldKernels, Ints, LANES, Saved};

type Lanes = lanes::Lanes<FrConfig>;

/// Rows that are summed between reductions: each adds less than 2^53 to a limb.
const MAX_ROWS: usize = 1 << 9;

/// Vectors of columns that are summed between reductions: the eight lanes are added up as well.
const MAX_VECTORS: usize = 1 << 6;

/// Vectors of columns, or rows, that are summed at once: as many as registers hold.
const SIDE: usize = 4;

/// How many rows ahead entries are asked for.
const AHEAD: usize = 8;

/// A sum that is not reduced yet, eight lanes wide.
type Acc = [__m512i; LIMBS + 1];

/// Machine integers as digits of 32 bits after a bias has made them unsigned.
trait Digits: Copy {
    /// Digit `digit` of eight biased integers.
    ///
    /// # Safety
    /// The machine must have AVX-512: methods of traits cannot say so themselves.
    unsafe fn digit(eight: &[Self; LANES], digit: usize) -> __m512i;
}

macro_rules! narrow_digits {
    ($($int:ty, $load:ident, $widen:ident, $bits:literal;)*) => {$(
        impl Digits for $int {
            #[inline]
            #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
            unsafe fn digit(eight: &[Self; LANES], _: usize) -> __m512i {
                // SAFETY: as many bytes are read as the reference is to. The load needs no alignment.
                let words = $widen(unsafe { $load(eight.as_ptr().cast()) });
                _mm512_xor_si512(words, _mm512_set1_epi64(1 << ($bits - 1)))
            }
        }
    )*};
}

narrow_digits! {
    i8, _mm_loadl_epi64, _mm512_cvtepu8_epi64, 8;
    i16, _mm_loadu_si128, _mm512_cvtepu16_epi64, 16;
    i32, _mm256_loadu_si256, _mm512_cvtepu32_epi64, 32;
}

impl Digits for i64 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    unsafe fn digit(eight: &[Self; LANES], digit: usize) -> __m512i {
        // SAFETY: 64 bytes are read from a reference to 64 bytes. The load needs no alignment.
        let words = unsafe { _mm512_loadu_si512(eight.as_ptr().cast()) };
        let words = _mm512_xor_si512(words, _mm512_set1_epi64(i64::MIN));
        if digit == 0 {
            _mm512_and_si512(words, _mm512_set1_epi64(0xffff_ffff))
        } else {
            _mm512_srli_epi64::<32>(words)
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_term(acc: &mut Acc, weight: &[__m512i; LIMBS], value: __m512i) {
    for i in 0..LIMBS {
        acc[i] = _mm512_madd52lo_epu64(acc[i], weight[i], value);
        acc[i + 1] = _mm512_madd52hi_epu64(acc[i + 1], weight[i], value);
    }
}

/// The canonical value of a sum.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn finish(acc: Acc, back: &Lanes) -> Lanes {
    canonical(mul(&reduce(sum_of_limbs(acc)), back))
}

/// `2^264`, stored as `2^520` modulo p: what undoes two reductions.
const BACK: Fr = MontFp!("6093996282567377512538783145753940542630676240673892733773037402116484758198");

/// `N` vectors of columns of all rows.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn rows_block<I: Digits, const N: usize>(
    values: &[I],
    digit: usize,
    rows: &[(usize, [u64; LIMBS])],
    first: usize,
    back: &Lanes,
    out: &mut [[Fr; LANES]],
) {
    let mut accs = [[_mm512_setzero_si512(); LIMBS + 1]; N];
    for (k, (start, weight)) in rows.iter().enumerate() {
        // Rows are far apart: nothing else foresees the next ones.
        if let Some(next) = rows.get(k + AHEAD).and_then(|(start, _)| values.get(start + first)) {
            prefetch(next);
        }
        let row: &[I] = &values[start + first..][..N * LANES];
        let (row, _) = row.as_chunks::<LANES>();
        let weight = weight.map(|limb| _mm512_set1_epi64(limb as i64));
        for (acc, eight) in accs.iter_mut().zip(row) {
            // SAFETY: this function is only called on machines with these instructions.
            add_term(acc, &weight, unsafe { I::digit(eight, digit) });
        }
    }
    for (acc, out) in accs.into_iter().zip(out) {
        store(out, finish(acc, back));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn fold_rows<I: Digits>(values: &[I], digit: usize, rows: &[(usize, Fr)], out: &mut [Fr]) {
    let back = broadcast(&BACK);
    let mut sums = vec![[Fr::ZERO; LANES]; out.len() / LANES];
    out.fill(Fr::ZERO);
    for rows in rows.chunks(MAX_ROWS) {
        let rows: Vec<(usize, [u64; LIMBS])> = rows.iter().map(|&(start, weight)| (start, split(weight.0.0))).collect();
        let (wide, rest) = sums.as_chunks_mut::<SIDE>();
        let done = wide.len() * SIDE;
        for (i, sums) in wide.iter_mut().enumerate() {
            rows_block::<I, SIDE>(values, digit, &rows, i * SIDE * LANES, &back, sums);
        }
        for (i, sum) in rest.iter_mut().enumerate() {
            rows_block::<I, 1>(values, digit, &rows, (done + i) * LANES, &back, std::slice::from_mut(sum));
        }
        for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
            *out += sum;
        }
    }
}

/// Sums over the lanes of eight vectors: lane `i` of the result is that of vector `i`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_lanes(vectors: [__m512i; LANES]) -> __m512i {
    let rows = transpose(vectors);
    let pairs = |i: usize| _mm512_add_epi64(rows[2 * i], rows[2 * i + 1]);
    _mm512_add_epi64(_mm512_add_epi64(pairs(0), pairs(1)), _mm512_add_epi64(pairs(2), pairs(3)))
}

/// Eight rows of `cols` entries that are `stride` apart; the first one is at the start of `values`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn cols_block<I: Digits>(values: &[I], digit: usize, stride: usize, weights: &[Saved], back: &Lanes) -> Lanes {
    let mut accs = [[_mm512_setzero_si512(); LIMBS + 1]; LANES];
    for (half, accs) in accs.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
        let row = |i: usize| {
            let start = (half * SIDE + i) * stride;
            values[start..start + weights.len() * LANES].as_chunks::<LANES>().0
        };
        let rows: [&[[I; LANES]]; SIDE] = [row(0), row(1), row(2), row(3)];
        let mut sums = [[_mm512_setzero_si512(); LIMBS + 1]; SIDE];
        for (k, weight) in weights.iter().enumerate() {
            let weight = limbs_of(weight);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: this function is only called on machines with these instructions.
                add_term(sum, &weight, unsafe { I::digit(&row[k], digit) });
            }
        }
        *accs = sums;
    }
    let mut total = [_mm512_setzero_si512(); LIMBS + 1];
    for (i, total) in total.iter_mut().enumerate() {
        *total =
            add_lanes([accs[0][i], accs[1][i], accs[2][i], accs[3][i], accs[4][i], accs[5][i], accs[6][i], accs[7][i]]);
    }
    finish(total, back)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn fold_cols<I: Digits>(values: &[I], digit: usize, stride: usize, weights: &[Fr], out: &mut [Fr]) {
    let back = broadcast(&BACK);
    out.fill(Fr::ZERO);
    for (chunk, weights) in weights.as_chunks::<LANES>().0.chunks(MAX_VECTORS).enumerate() {
        let mut saved = vec![Saved::default(); weights.len()];
        for (saved, weights) in saved.iter_mut().zip(weights) {
            save(saved, &load::<FrConfig>(weights));
        }
        for (block, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let start = block * LANES * stride + chunk * MAX_VECTORS * LANES;
            let mut sums = [Fr::ZERO; LANES];
            store(&mut sums, cols_block(&values[start..], digit, stride, &saved, &back));
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn fold_eights(values: &[[i64; LANES]], weights: &[Fr]) -> [Fr; LANES] {
    let (back, bias) = (broadcast(&BACK), _mm512_set1_epi64(1 << 51));
    let mut out = [Fr::ZERO; LANES];
    for (values, weights) in values.chunks(MAX_ROWS).zip(weights.chunks(MAX_ROWS)) {
        // Two sums: one alone would wait for its own additions.
        let mut accs = [[_mm512_setzero_si512(); LIMBS + 1]; 2];
        for (k, (eight, weight)) in values.iter().zip(weights).enumerate() {
            let weight = split(weight.0.0).map(|limb| _mm512_set1_epi64(limb as i64));
            // SAFETY: 64 bytes are read from a reference to 64 bytes. The load needs no alignment.
            let words = unsafe { _mm512_loadu_si512(eight.as_ptr().cast()) };
            add_term(&mut accs[k % 2], &weight, _mm512_add_epi64(words, bias));
        }
        let mut total = accs[0];
        for (total, limb) in total.iter_mut().zip(accs[1]) {
            *total = _mm512_add_epi64(*total, limb);
        }
        let mut sums = [Fr::ZERO; LANES];
        store(&mut sums, finish(total, &back));
        let biased = weights.iter().sum::<Fr>() * Fr::from(1u64 << 51);
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum - biased);
    }
    out
}

macro_rules! for_each_width {
    ($ints:expr, $values:ident => $body:expr) => {
        match $ints {
            Ints::I8($values) => $body,
            Ints::I16($values) => $body,
            Ints::I32($values) => $body,
            Ints::I64($values) => $body,
        }
    };
}

impl FoldKernels<Fr> for Ifma {
    fn fold_rows(&self, values: Ints<'_>, digit: usize, rows: &[(usize, Fr)], out: &mut [Fr]) {
        assert!(out.len().is_multiple_of(LANES), "a multiple of the lanes");
        // SAFETY: `self` proves that the machine has the instructions.
        for_each_width!(values, values => unsafe { fold_rows(values, digit, rows, out) });
    }

    fn fold_cols(&self, values: Ints<'_>, digit: usize, stride: usize, weights: &[Fr], out: &mut [Fr]) {
        assert!(weights.len().is_multiple_of(LANES) && out.len().is_multiple_of(LANES), "multiples of the lanes");
        // SAFETY: `self` proves that the machine has the instructions.
        for_each_width!(values, values => unsafe { fold_cols(values, digit, stride, weights, out) });
    }

    fn fold_eights(&self, values: &[[i64; LANES]], weights: &[Fr]) -> [Fr; LANES] {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { fold_eights(values, weights) }
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::Field;
    use proptest::prelude::*;

    use super::*;
    use crate::simd::fraction::tests::element;
    use crate::sumcheck::int::SmallInt;
    use ark_std::rand::rngs::StdRng;
    use ark_std::rand::{Rng, SeedableRng};

    /// Integers at both ends of their range, and random ones.
    fn integers<I: SmallInt>(rng: &mut StdRng, len: usize) -> Vec<I> {
        let edges = [-1, 0, 1, I::truncate(i128::MAX).into(), (I::BIAS as i128), (I::BIAS as i128) - 1];
        (0..len).map(|_| I::truncate(if rng.r#gen() { edges[rng.gen_range(0..6)] } else { rng.r#gen() })).collect()
    }

    fn check<I: SmallInt + Digits>(ints: fn(&[I]) -> Ints<'_>, rows: usize, cols: usize, seed: u64) {
        let Some(ifma) = Ifma::detect() else { return };
        let mut rng = StdRng::seed_from_u64(seed);
        let values: Vec<I> = integers(&mut rng, rows * cols);
        let digit_of = |r: usize, c: usize, digit| Fr::from(values[r * cols + c].biased_digit(digit));
        for digit in 0..I::DIGITS {
            let weights: Vec<(usize, Fr)> = (0..rows).rev().map(|r| (r * cols, element(&mut rng))).collect();
            let mut out = vec![Fr::ONE; cols];
            ifma.fold_rows(ints(&values), digit, &weights, &mut out);
            for (c, out) in out.into_iter().enumerate() {
                assert_eq!(out, weights.iter().map(|&(start, w)| w * digit_of(start / cols, c, digit)).sum());
            }
            let weights: Vec<Fr> = (0..cols).map(|_| element(&mut rng)).collect();
            let mut out = vec![Fr::ONE; rows];
            ifma.fold_cols(ints(&values), digit, cols, &weights, &mut out);
            for (r, out) in out.into_iter().enumerate() {
                assert_eq!(out, (0..cols).map(|c| weights[c] * digit_of(r, c, digit)).sum());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn folds_are_those_of_the_library(rows in 0usize..4, cols in 0usize..12, seed: u64) {
            let (rows, cols) = (rows * LANES, cols * LANES);
            check(|v| Ints::I8(v), rows, cols, seed);
            check(|v| Ints::I16(v), rows, cols, seed);
            check(|v| Ints::I32(v), rows, cols, seed);
            check(|v| Ints::I64(v), rows, cols, seed);
        }
    }

    #[test]
    fn eights_are_those_of_the_library() {
        let Some(ifma) = Ifma::detect() else { return };
        let mut rng = StdRng::seed_from_u64(8);
        for len in (0..20).chain([MAX_ROWS - 1, MAX_ROWS, 2 * MAX_ROWS + 1]) {
            let edges = [-1i64 << 51, (1 << 51) - 1, 0, -1];
            let random = |rng: &mut StdRng| match rng.gen_range(0..6) {
                edge @ 0..4 => edges[edge],
                _ => rng.gen_range(-1i64 << 51..1 << 51),
            };
            let values: Vec<[i64; LANES]> = (0..len).map(|_| std::array::from_fn(|_| random(&mut rng))).collect();
            let weights: Vec<Fr> = (0..len).map(|_| element(&mut rng)).collect();
            for (lane, sum) in ifma.fold_eights(&values, &weights).into_iter().enumerate() {
                assert_eq!(sum, (0..len).map(|t| weights[t] * Fr::from(values[t][lane])).sum());
            }
        }
    }

    #[test]
    fn the_longest_sums_do_not_overflow() {
        let Some(ifma) = Ifma::detect() else { return };
        let terms = (LANES * MAX_VECTORS).max(MAX_ROWS) + LANES;
        // The element whose stored form is the largest, p − 1.
        let largest = -Fr::new_unchecked(ark_ff::BigInt::from(1u64));
        let expected = largest * Fr::from(u64::from(u32::MAX) * terms as u64);
        let values = vec![i32::MAX; LANES * terms];
        let mut out = vec![Fr::ZERO; LANES];
        ifma.fold_cols(Ints::I32(&values), 0, terms, &vec![largest; terms], &mut out);
        assert_eq!(out, [expected; LANES]);
        let rows: Vec<(usize, Fr)> = (0..terms).map(|r| (r * LANES, largest)).collect();
        ifma.fold_rows(Ints::I32(&values), 0, &rows, &mut out);
        assert_eq!(out, [expected; LANES]);
    }
}
