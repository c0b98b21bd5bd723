//! Exact products of matrices of 16-bit integers: sums of pairs of products in 32 bits, widened to 64 bits before
//! they can overflow.

use crate::sumcheck::par;

/// Columns of a block of a [`PackedMatrix`].
pub const BLOCK: usize = 16;

/// Neighbouring entries of one column, for 16 columns: the first of each in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Line(pub(super) [i32; BLOCK]);

/// Two 16-bit integers in one word, the first in the low half.
#[must_use]
pub fn pair(low: i16, high: i16) -> i32 {
    i32::from(high) << 16 | i32::from(low.cast_unsigned())
}

/// A right operand, by blocks of [`BLOCK`] columns and in each by pairs of rows.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    pairs: usize,
    cols: usize,
    lines: Vec<Line>,
}

impl PackedMatrix {
    /// A matrix of `2·pairs` rows and `cols` columns; `entry(k, c)` is the [`pair`] of rows `2k` and `2k + 1`.
    #[must_use]
    pub fn new(pairs: usize, cols: usize, entry: impl Fn(usize, usize) -> i32 + Sync + Send) -> Self {
        let mut lines = vec![Line::default(); pairs * cols.div_ceil(BLOCK)];
        if pairs > 0 {
            par::for_chunks_mut(&mut lines, pairs, |block, lines| {
                let first = block * BLOCK;
                for (k, Line(line)) in lines.iter_mut().enumerate() {
                    let columns = first..cols.min(first + BLOCK);
                    line.iter_mut().zip(columns).for_each(|(word, c)| *word = entry(k, c));
                }
            });
        }
        Self { pairs, cols, lines }
    }

    /// Pairs of rows.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The lines of a block of columns.
    #[cfg(target_arch = "x86_64")]
    fn block(&self, block: usize) -> &[Line] {
        &self.lines[block * self.pairs..(block + 1) * self.pairs]
    }
}

/// How many pairs of products a sum of 32 bits takes, for factors up to these absolute values; none if even one is
/// too much.
#[must_use]
pub fn pairs_in_word(left: u64, right: u64) -> usize {
    let largest = left.max(1).saturating_mul(right.max(1)).saturating_mul(2);
    usize::try_from(i32::MAX as u64 / largest).unwrap_or(usize::MAX)
}

/// Products of matrices of 16-bit integers.
pub trait MatrixKernels: Sync {
    /// `out[r, c] = Σ_k left[r, k]·right[k, c]`, where `left` holds [pairs](pair), as many a row as `right` has, and
    /// `out` has one row a row of `left`. At most `run` pairs, from [`pairs_in_word`], are summed in 32 bits.
    ///
    /// # Panics
    /// If the shapes differ, or `run` is zero.
    fn multiply(&self, left: &[i32], right: &PackedMatrix, run: usize, out: &mut [i64]);
}

#[cfg(target_arch = "x86_64")]
pub(super) mod vnni {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_castsi512_si256, _mm512_cvtepi32_epi64, _mm512_dpwssd_epi32,
        _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };

    use super::{BLOCK, Line, MatrixKernels, PackedMatrix};

    /// Proof that the machine has the instructions: there is a value only if they were detected.
    #[derive(Clone, Copy)]
    pub(in crate::simd) struct Vnni(());

    impl Vnni {
        /// The proof, if this machine has the instructions.
        pub(in crate::simd) fn detect() -> Option<Self> {
            let detected = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
            detected.then_some(Self(()))
        }
    }

    /// Rows and blocks of columns whose sums are in registers at once.
    const ROWS: usize = 4;
    const BLOCKS: usize = 4;

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn load(line: &Line) -> __m512i {
        // SAFETY: 64 bytes are read from a reference to 64 bytes.
        unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) }
    }

    /// Sums of `R` rows in `B` blocks of columns.
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn sums<const R: usize, const B: usize>(
        rows: [&[i32]; R],
        blocks: [&[Line]; B],
        run: usize,
    ) -> [[[i64; BLOCK]; B]; R] {
        let mut wide = [[[_mm512_setzero_si512(); 2]; B]; R];
        let pairs = blocks[0].len();
        let mut start = 0;
        while start < pairs {
            let end = pairs.min(start.saturating_add(run));
            let mut narrow = [[_mm512_setzero_si512(); B]; R];
            for k in start..end {
                let lines = blocks.map(|block| load(&block[k]));
                for (narrow, row) in narrow.iter_mut().zip(rows) {
                    let factor = _mm512_set1_epi32(row[k]);
                    for (sum, line) in narrow.iter_mut().zip(lines) {
                        *sum = _mm512_dpwssd_epi32(*sum, factor, line);
                    }
                }
            }
            for (wide, narrow) in wide.as_flattened_mut().iter_mut().zip(narrow.as_flattened()) {
                let low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(*narrow));
                let high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64::<1>(*narrow));
                *wide = [_mm512_add_epi64(wide[0], low), _mm512_add_epi64(wide[1], high)];
            }
            start = end;
        }
        let mut out = [[[0i64; BLOCK]; B]; R];
        for (out, wide) in out.as_flattened_mut().iter_mut().zip(wide.as_flattened()) {
            for (out, half) in out.as_chunks_mut::<8>().0.iter_mut().zip(wide) {
                // SAFETY: 64 bytes are written through an exclusive reference to 64 bytes.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *half) }
            }
        }
        out
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn rows<const R: usize>(left: &[i32], right: &PackedMatrix, run: usize, out: &mut [i64]) {
        let (pairs, cols) = (right.pairs, right.cols);
        let rows: [&[i32]; R] = std::array::from_fn(|r| &left[r * pairs..(r + 1) * pairs]);
        let mut put = |block: usize, sums: &[[i64; BLOCK]], r: usize| {
            let first = block * BLOCK;
            let out = &mut out[r * cols..(r + 1) * cols][first..];
            out.iter_mut().zip(sums.as_flattened()).for_each(|(out, &sum)| *out = sum);
        };
        let count = cols.div_ceil(BLOCK);
        let whole = count - count % BLOCKS;
        for block in (0..whole).step_by(BLOCKS) {
            let blocks: [&[Line]; BLOCKS] = std::array::from_fn(|b| right.block(block + b));
            sums(rows, blocks, run).iter().enumerate().for_each(|(r, sums)| put(block, sums, r));
        }
        for block in whole..count {
            sums(rows, [right.block(block)], run).iter().enumerate().for_each(|(r, sums)| put(block, sums, r));
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn multiply(left: &[i32], right: &PackedMatrix, run: usize, out: &mut [i64]) {
        let (pairs, cols) = (right.pairs.max(1), right.cols.max(1));
        let fours = left.chunks(ROWS * pairs).zip(out.chunks_mut(ROWS * cols));
        for (left, out) in fours {
            if out.len() == ROWS * cols {
                rows::<ROWS>(left, right, run, out);
            } else {
                for (left, out) in left.chunks(pairs).zip(out.chunks_mut(cols)) {
                    rows::<1>(left, right, run, out);
                }
            }
        }
    }

    impl MatrixKernels for Vnni {
        fn multiply(&self, left: &[i32], right: &PackedMatrix, run: usize, out: &mut [i64]) {
            assert!(run > 0 && right.pairs > 0 && right.cols > 0, "something to sum");
            assert_eq!(left.len() / right.pairs * right.cols, out.len(), "one row a row");
            assert!(left.len().is_multiple_of(right.pairs), "whole rows");
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe { multiply(left, right, run, out) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn products_are_exact(
            m in 1usize..10, pairs in 1usize..20, cols in 1usize..150, bits in prop::sample::select(vec![7u32, 12, 15]),
            seed: u64,
        ) {
            let Some(kernels) = crate::simd::matrix_kernels() else { return Ok(()) };
            // Mostly the largest values there are.
            let limit = 1i64 << bits;
            let entry = |i: usize| {
                let word = (i as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                match word % 4 {
                    0 => -limit + 1,
                    1 => limit - 1,
                    _ => (word >> 2) as i64 % limit,
                }
            };
            let (a, b) = (|r: usize, k: usize| entry(r * 2 * pairs + k) as i16, |k: usize, c: usize| entry(7 + k * cols + c) as i16);
            let left: Vec<i32> =
                (0..m * pairs).map(|i| pair(a(i / pairs, 2 * (i % pairs)), a(i / pairs, 2 * (i % pairs) + 1))).collect();
            let right = PackedMatrix::new(pairs, cols, |k, c| pair(b(2 * k, c), b(2 * k + 1, c)));
            let run = pairs_in_word(limit as u64 - 1, limit as u64 - 1);
            prop_assert!(run > 0);
            let mut out = vec![1; m * cols];
            kernels.multiply(&left, &right, run, &mut out);
            for (i, out) in out.into_iter().enumerate() {
                let sum: i64 = (0..2 * pairs).map(|k| i64::from(a(i / cols, k)) * i64::from(b(k, i % cols))).sum();
                prop_assert_eq!(out, sum);
            }
        }
    }

    #[test]
    fn words_are_never_overfull() {
        assert_eq!(pairs_in_word(1 << 15, 1 << 15), 0);
        assert_eq!(pairs_in_word((1 << 15) - 1, (1 << 15) - 1), 1);
        assert_eq!(pairs_in_word(1 << 11, 1 << 15), 15);
        assert_eq!(pairs_in_word(0, 0), (i32::MAX / 2) as usize);
        assert_eq!(pairs_in_word(u64::MAX, 2), 0);
    }
}
