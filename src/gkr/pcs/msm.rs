//! Fast commitments to rows of small integers.
//!
//! An integer is written in base 256 with signed digits, `v = Σ_d 256^d · s_d`, `|s_d| ≤ 128`. With
//! the multiples `1·G_j … 128·G_j` of every generator in a table, digit `d` of a row contributes a
//! plain sum of table points, and the row is `Σ_d 256^d · Σ_j s_{j,d}·G_j`, put together by Horner's
//! rule with eight doublings a digit. So a non-zero byte costs one affine addition whose inversion
//! is shared with thousands of others, and a zero byte costs nothing.

use std::ops::Range;

use ark_bn254::{G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Zero};

use super::affine::{Addition, RawPoint, add_batch, sum_runs};
use super::layout::Layout;
use crate::sumcheck::int::{IntTable, SmallInt, dispatch};
use crate::sumcheck::par;

/// Multiples of a generator in the table: digits are at most this in absolute value.
const MULTIPLES: usize = 128;

/// Generators whose multiples are computed in one batch.
const BUILD_GROUP: usize = 16;

/// Bytes of a group of rows that are committed in one batch: enough to share inversions, few enough
/// that the points stay in cache.
const GROUP_BYTES: usize = 1 << 13;

/// The multiples `1..=128` of every generator: 8 KiB a generator.
pub struct Multiples {
    points: Vec<RawPoint>,
}

impl Multiples {
    /// Computes the multiples of `generators`.
    #[must_use]
    pub fn new(generators: &[G1Affine]) -> Self {
        let mut points = vec![RawPoint::IDENTITY; generators.len() * MULTIPLES];
        par::for_chunks_mut(&mut points, BUILD_GROUP * MULTIPLES, |group, points| {
            fill_multiples(&generators[group * BUILD_GROUP..], points);
        });
        Self { points }
    }

    /// Number of generators.
    #[must_use]
    pub fn num_generators(&self) -> usize {
        self.points.len() / MULTIPLES
    }

    /// `digit · G_j` for a digit other than zero.
    #[inline(always)]
    fn multiple(&self, j: usize, digit: i32) -> RawPoint {
        self.points[j * MULTIPLES + digit.unsigned_abs() as usize - 1].negated_if(digit < 0)
    }
}

/// Multiples `top + 1 ..= 2·top` from the first `top`, for all generators of the group at once.
fn fill_multiples(generators: &[G1Affine], points: &mut [RawPoint]) {
    let count = points.len() / MULTIPLES;
    for (slot, generator) in points.chunks_mut(MULTIPLES).zip(generators) {
        slot[0] = RawPoint::from(generator);
    }
    let (mut additions, mut scratch) = (Vec::new(), Vec::new());
    let mut top = 1;
    while top < MULTIPLES {
        additions.clear();
        for first in (0..count).map(|g| g * MULTIPLES) {
            additions.extend((0..top).map(|i| Addition {
                left: (first + i) as u32,
                right: (first + top - 1) as u32,
                out: (first + top + i) as u32,
            }));
        }
        add_batch(points, &additions, &mut scratch);
        top *= 2;
    }
}

/// Digit `d` of `value` in base 256, between -128 and 128: byte `d` as a signed integer, plus one if
/// the byte below was taken as negative.
#[inline(always)]
fn digit<I: SmallInt>(value: I, d: usize) -> i32 {
    let wide: i128 = value.into();
    if size_of::<I>() <= 8 {
        let narrow = wide as i64;
        let carry = if d == 0 { 0 } else { (narrow >> (8 * d - 1)) as i32 & 1 };
        i32::from((narrow >> (8 * d)) as i8) + carry
    } else {
        let carry = if d == 0 { 0 } else { (wide >> (8 * d - 1)) as i32 & 1 };
        i32::from((wide >> (8 * d)) as i8) + carry
    }
}

/// Commits to all rows of `table` laid out as `layout`: `Σ_j M[r, j]·G_j` for every `r`.
///
/// # Panics
/// If the layout is of another shape or has longer rows than there are generators.
#[must_use]
pub fn commit_rows(multiples: &Multiples, table: &IntTable, layout: &Layout) -> Vec<G1Affine> {
    assert!(layout.width() <= multiples.num_generators(), "a row is longer than the list of generators");
    assert_eq!((layout.table_rows(), layout.table_cols()), (table.rows(), table.cols()), "the layout of this table");
    let row_bytes = layout.width() * table.values().width();
    let group = (GROUP_BYTES / row_bytes).max(1);
    let num_rows = layout.num_rows();
    let groups = par::map(num_rows.div_ceil(group), |g| {
        let rows = g * group..((g + 1) * group).min(num_rows);
        dispatch!(table.values(), values => commit_group(multiples, values, layout, rows))
    });
    groups.concat()
}

fn commit_group<I: SmallInt>(
    multiples: &Multiples,
    values: &[I],
    layout: &Layout,
    rows: Range<usize>,
) -> Vec<G1Affine> {
    let digits = size_of::<I>();
    let mut points = Vec::with_capacity(GROUP_BYTES);
    let mut lens = Vec::with_capacity(rows.len() * digits);
    for row in rows {
        for d in 0..digits {
            let before = points.len();
            for segment in layout.segments(row) {
                let entries = &values[segment.source..segment.source + segment.len];
                for (j, &value) in entries.iter().enumerate() {
                    let digit = digit(value, d);
                    if digit != 0 {
                        points.push(multiples.multiple(segment.first + j, digit));
                    }
                }
            }
            lens.push(points.len() - before);
        }
    }
    let sums = sum_runs(&mut points, &lens);
    let commitments: Vec<G1Projective> = sums.chunks(digits).map(horner).collect();
    G1Projective::normalize_batch(&commitments)
}

/// `Σ_d 256^d · sums[d]`.
fn horner(sums: &[RawPoint]) -> G1Projective {
    let mut total = G1Projective::zero();
    for &sum in sums.iter().rev() {
        if !total.is_zero() {
            for _ in 0..8 {
                total.double_in_place();
            }
        }
        total += G1Affine::from(sum);
    }
    total
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ec::VariableBaseMSM;
    use ark_ff::Field;
    use proptest::prelude::*;

    use super::*;
    use crate::gkr::pcs::generators::Generators;
    use crate::gkr::pcs::testing::{matrix, random_table, table};

    fn check(generators: &[G1Affine], table: &IntTable, width_vars: usize) {
        let layout = Layout::new(table.rows(), table.cols(), width_vars).unwrap();
        let expected: Vec<G1Affine> = matrix(table, &layout)
            .iter()
            .map(|row| {
                let scalars: Vec<Fr> = row.iter().map(|&v| Fr::from(v)).collect();
                G1Projective::msm(&generators[..layout.width()], &scalars).unwrap().into_affine()
            })
            .collect();
        assert_eq!(commit_rows(&Multiples::new(generators), table, &layout), expected);
    }

    #[test]
    fn multiples_are_multiples() {
        let generators = Generators::new(5);
        let multiples = Multiples::new(&generators.row()[..19]);
        assert_eq!(multiples.num_generators(), 19);
        for (j, &g) in generators.row()[..19].iter().enumerate() {
            for m in (-128..=128).filter(|&m| m != 0) {
                assert_eq!(G1Affine::from(multiples.multiple(j, m)), (g * Fr::from(m)).into_affine());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn commitments_agree_with_the_naive_sums(
            rows in 1usize..18, cols in 1usize..36, bytes in 0usize..5, width_vars in 0usize..6, seed: u64,
        ) {
            check(Generators::new(5).row(), &random_table(rows, cols, bytes, seed), width_vars);
        }

        // Generators that are equal or opposite: any two points of a row may meet.
        #[test]
        fn equal_and_opposite_points_are_added(
            signs in prop::collection::vec(-1i32..3, 8), bytes in 0usize..5, seed: u64, rows in 1usize..6,
        ) {
            let g = Generators::new(0).row()[0];
            let generators: Vec<G1Affine> =
                signs.iter().map(|&m| (g * Fr::from(if m == 0 { 2 } else { m })).into_affine()).collect();
            check(&generators, &random_table(rows, 8, bytes, seed), 3);
        }
    }

    #[test]
    fn extremes_and_uniform_rows_are_exact() {
        let generators = Generators::new(4);
        for bytes in 0..5 {
            let bits = 8 << bytes;
            let (min, max) = (i128::MIN >> (128 - bits), i128::MAX >> (128 - bits));
            for value in [min, min + 1, max, max - 1, 0, 1, -1, 127, -128, max / 2, 0x7f7f_7f7f >> (32 - bits.min(32))]
            {
                check(generators.row(), &table(3, 13, bytes, vec![value; 39]), 4);
            }
            let pairs = (0..16).map(|i| if i % 2 == 0 { max } else { -max }).collect();
            check(&vec![generators.row()[0]; 16], &table(1, 16, bytes, pairs), 4);
        }
    }

    #[test]
    fn digits_add_up() {
        let mut values: Vec<i128> = vec![0, 1, -1, i128::MAX, i128::MIN, i128::MIN + 1];
        values.extend((0..127).flat_map(|k| [(1i128 << k) - 1, 1 << k, -(1 << k), -(1i128 << k) - 1]));
        for v in values {
            let sum = (0..16).fold(Fr::zero(), |sum, d| sum + Fr::from(digit(v, d)) * Fr::from(256).pow([d as u64]));
            assert_eq!(sum, Fr::from(v));
        }
        for v in i16::MIN..=i16::MAX {
            assert_eq!(digit(v, 0) + 256 * digit(v, 1), i32::from(v));
            assert!(digit(v, 0).abs() <= 128 && digit(v, 1).abs() <= 128);
        }
    }
}
