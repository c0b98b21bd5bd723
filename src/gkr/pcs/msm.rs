//! Fast commitments to rows of small integers.
//!
//! An integer is written in base 256 with signed digits, `v = Σ_d 256^d · s_d`, `|s_d| ≤ 128`. With
//! the multiples `1·G_j … 128·G_j` of every generator in a table, digit `d` of a row contributes a
//! plain sum of table points, and the row is `Σ_d 256^d · Σ_j s_{j,d}·G_j`, put together by Horner's
//! rule with eight doublings a digit. So a non-zero byte costs one affine addition whose inversion
//! is shared with thousands of others, and a zero byte costs nothing.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Zero};

use super::affine::{Adder, IDENTITY, RawPoint, affine, raw};
use super::combination::signed_digits;
use super::layout::{Layout, Segment};
use crate::simd::{self, ALONE, NEGATED};
use crate::sumcheck::int::{IntTable, SmallInt, dispatch};
use crate::sumcheck::par;

/// Multiples of a generator in the table: digits are at most this in absolute value.
const MULTIPLES: usize = 128;

/// Signed digits in base 256 of a scalar.
const SCALAR_DIGITS: usize = 32;

/// Generators whose multiples are computed in one batch.
const BUILD_GROUP: usize = 16;

/// Additions that share an inversion: few enough that their points stay in the cache.
const BATCH: usize = 1 << 14;

/// Columns of rows that are summed at a time: their multiples take 256 KiB.
const TILE: usize = 32;

/// Columns that make a task of one thread.
const BLOCK: usize = 8 * TILE;

/// Multiples that are summed tile by tile; after that there are so few points that those of a block go together, and
/// share more inversions.
const PIECE: usize = 8;

/// Digits of rows that are summed at a time: each multiple of a tile is used a few times, more often where digits are
/// small.
const GROUP_RUNS: usize = 512;

/// Rows that are put together from their digits, and brought to affine coordinates, in one go.
const ROWS: usize = 64;

/// The multiples `1..=128` of every generator: 8 KiB a generator.
pub struct Multiples {
    points: Vec<RawPoint>,
}

impl Multiples {
    /// Computes the multiples of `generators`.
    #[must_use]
    pub fn new(generators: &[G1Affine]) -> Self {
        let groups: Vec<&[G1Affine]> = generators.chunks(BUILD_GROUP).collect();
        Self { points: par::map(groups.len(), |group| multiples(groups[group])).concat() }
    }

    /// Number of generators.
    #[must_use]
    pub fn num_generators(&self) -> usize {
        self.points.len() / MULTIPLES
    }

    /// `Σ_k s_k·G_{j_k}` for the pairs `(j_k, s_k)` of `terms`.
    ///
    /// # Panics
    /// If there are fewer generators.
    pub fn combine(&self, terms: impl Iterator<Item = (usize, Fr)>) -> G1Projective {
        let digits: Vec<(usize, Vec<i16>)> =
            terms.map(|(j, s)| (j, signed_digits(&s, 8, SCALAR_DIGITS).collect())).collect();
        let group = (BATCH / digits.len().max(1)).clamp(1, SCALAR_DIGITS);
        let sums = par::map(SCALAR_DIGITS.div_ceil(group), |g| {
            let (mut references, mut lens) = (Vec::with_capacity(group * digits.len()), Vec::new());
            for d in g * group..((g + 1) * group).min(SCALAR_DIGITS) {
                let before = references.len();
                let nonzero =
                    digits.iter().map(|(j, digits)| (*j, i32::from(digits[d]))).filter(|&(_, digit)| digit != 0);
                references.extend(nonzero.map(|(j, digit)| Self::reference(j, digit)));
                lens.push(references.len() - before);
            }
            Adder::default().sum_runs(&self.points, &references, &lens)
        });
        horner(&sums.concat())
    }

    /// A reference to `digit · G_j`, meaningless for the digit zero.
    #[inline(always)]
    fn reference(j: usize, digit: i32) -> u32 {
        let index = ((j * MULTIPLES) as u32 + digit.unsigned_abs()).wrapping_sub(1);
        index | if digit < 0 { NEGATED } else { 0 }
    }
}

/// The multiples of all powers of 256 times the first few generators: for sums of few terms, which with
/// [`Multiples`] would consist of doublings.
pub struct Comb {
    powers: Multiples,
}

impl Comb {
    /// For these generators.
    #[must_use]
    pub fn new(generators: &[G1Affine]) -> Self {
        let mut powers = Vec::with_capacity(generators.len() * SCALAR_DIGITS);
        for generator in generators {
            let mut power = G1Projective::from(*generator);
            for _ in 0..SCALAR_DIGITS {
                powers.push(power);
                (0..8).for_each(|_| {
                    power.double_in_place();
                });
            }
        }
        Self { powers: Multiples::new(&G1Projective::normalize_batch(&powers)) }
    }

    /// Number of generators.
    #[must_use]
    pub fn num_generators(&self) -> usize {
        self.powers.num_generators() / SCALAR_DIGITS
    }

    /// `Σ_j scalars[j]·G_j`.
    ///
    /// # Panics
    /// If there are fewer generators.
    pub fn combine(&self, scalars: &[Fr]) -> G1Projective {
        let digits = scalars.iter().flat_map(|scalar| signed_digits(scalar, 8, SCALAR_DIGITS));
        let references = digits.enumerate().map(|(power, digit)| match i32::from(digit) {
            0 => ALONE,
            digit => Multiples::reference(power, digit),
        });
        let points = &self.powers.points;
        if let Some(kernels) = simd::complete_point_kernels() {
            let references: Vec<u32> = references.collect();
            let sums = kernels.sum_eight(points, references.as_chunks().0);
            return sums.iter().map(|&[x, y, z]| G1Projective::new_unchecked(x, y, z)).sum();
        }
        references.filter(|&reference| reference != ALONE).fold(G1Projective::zero(), |sum, reference| {
            let multiple = affine(points[(reference & !NEGATED) as usize]);
            if reference & NEGATED == 0 { sum + multiple } else { sum - multiple }
        })
    }
}

/// The multiples of some generators: `top + 1 ..= 2·top` from the first `top`, for all at once.
fn multiples(generators: &[G1Affine]) -> Vec<RawPoint> {
    let (mut adder, mut sums) = (Adder::default(), Vec::new());
    // Multiple m of every generator in turn.
    let mut points: Vec<RawPoint> = generators.iter().map(raw).collect();
    let (count, mut top) = (generators.len(), 1);
    while top < MULTIPLES {
        let at = |m: usize, g: usize| ((m - 1) * count + g) as u32;
        let pairs = (1..=top).flat_map(|m| (0..count).map(move |g| [at(m, g), at(top, g)]));
        adder.add(&points, pairs, &mut sums);
        points.extend_from_slice(&sums);
        top *= 2;
    }
    (0..count).flat_map(|g| points[g..].iter().step_by(count).copied().collect::<Vec<_>>()).collect()
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

/// Commits to all rows of every table, laid out as the layout beside it: `Σ_j M[r, j]·G_j` for every row `r`.
///
/// # Panics
/// If a layout is of another shape or has longer rows than there are generators.
#[must_use]
pub fn commit_rows(multiples: &Multiples, tables: &[(&IntTable, Layout)]) -> Vec<Vec<G1Affine>> {
    for (table, layout) in tables {
        assert!(layout.width() <= multiples.num_generators(), "a row is longer than the list of generators");
        let shape = (layout.table_rows(), layout.table_cols());
        assert_eq!(shape, (table.rows(), table.cols()), "the layout of this table");
    }
    let groups = group_rows(tables);
    let num_blocks = |group: &[RowOf]| {
        let width = group.iter().map(|&(t, _)| tables[t].1.width()).max();
        width.unwrap_or(0).div_ceil(BLOCK)
    };
    let num_digits = |group: &[RowOf]| group.iter().map(|&(t, _)| tables[t].0.values().width()).sum::<usize>();
    // Of every group, of every block, of every digit.
    let of_group: Vec<usize> = groups.iter().map(|group| num_blocks(group) * num_digits(group)).collect();
    let mut sums = vec![IDENTITY; of_group.iter().sum()];
    let mut tasks = Vec::new();
    let mut rest = sums.as_mut_slice();
    for group in &groups {
        for block in 0..num_blocks(group) {
            let out;
            (out, rest) = rest.split_at_mut(num_digits(group));
            tasks.push((group, block * BLOCK, out));
        }
    }
    par::for_items_init(tasks, Buffers::default, |buffers, (group, first, out)| {
        sum_block(multiples, tables, group, first, buffers, out);
    });
    let mut rest = sums.as_slice();
    let of_group = of_group.into_iter().map(|len| {
        let own;
        (own, rest) = rest.split_at(len);
        own
    });
    let of_group: Vec<&[RawPoint]> = of_group.collect();
    let mut rows = par::map(groups.len(), |g| commit_group(tables, &groups[g], of_group[g])).into_iter().flatten();
    tables.iter().map(|(_, layout)| rows.by_ref().take(layout.num_rows()).collect()).collect()
}

/// A row of a table: number of the table, number of the row.
type RowOf = (usize, usize);

/// All rows of all tables in order, in groups of at most [`GROUP_RUNS`] digits, or of one row.
fn group_rows(tables: &[(&IntTable, Layout)]) -> Vec<Vec<RowOf>> {
    let mut groups: Vec<Vec<RowOf>> = Vec::new();
    let mut room = 0;
    for (t, (table, layout)) in tables.iter().enumerate() {
        let digits = table.values().width();
        for row in 0..layout.num_rows() {
            match groups.last_mut() {
                Some(group) if digits <= room => group.push((t, row)),
                _ => {
                    groups.push(vec![(t, row)]);
                    room = GROUP_RUNS;
                }
            }
            room = room.saturating_sub(digits);
        }
    }
    groups
}

/// `Σ_j s_{j,d}·G_j` over the columns of a block, for every digit `d` of every row: tile by tile, so that the
/// multiples of a tile are in the cache for all rows.
fn sum_block(
    multiples: &Multiples,
    tables: &[(&IntTable, Layout)],
    rows: &[RowOf],
    first: usize,
    Buffers { adder, references, lens, points, pieces }: &mut Buffers,
    out: &mut [RawPoint],
) {
    points.clear();
    pieces.iter_mut().for_each(Vec::clear);
    pieces.resize_with(out.len(), Vec::new);
    for start in (first..first + BLOCK).step_by(TILE) {
        references.clear();
        lens.clear();
        let mut pieces = pieces.iter_mut();
        for &(t, row) in rows {
            let (table, layout) = &tables[t];
            let segments = layout.segments_within(row, start..start + TILE);
            dispatch!(table.values(), values => push_row(values, segments, references, |len| {
                let place = (points.len() + lens.len()) as u32;
                pieces.next().expect("one a digit").extend(place..place + len.div_ceil(PIECE) as u32);
                lens.extend((0..len).step_by(PIECE).map(|start| PIECE.min(len - start)));
            }));
        }
        points.extend(adder.sum_runs(&multiples.points, references, lens));
    }
    lens.clear();
    lens.extend(pieces.iter().map(Vec::len));
    out.copy_from_slice(&adder.sum_runs(points, &pieces.concat(), lens));
}

/// What [`sum_block`] fills anew for every block.
#[derive(Default)]
struct Buffers {
    adder: Adder,
    references: Vec<u32>,
    lens: Vec<usize>,
    /// Sums of a few multiples each.
    points: Vec<RawPoint>,
    /// Which of them make up a digit.
    pieces: Vec<Vec<u32>>,
}

/// The sums of the first points of all parts, of the second ones, and so on; parts have `count` points.
fn sum_parts(adder: &mut Adder, parts: &[RawPoint], count: usize) -> Vec<RawPoint> {
    let (len, step) = (parts.len() as u32, count.max(1));
    let references: Vec<u32> = (0..count as u32).flat_map(|k| (k..len).step_by(step)).collect();
    adder.sum_runs(parts, &references, &vec![parts.len() / step; count])
}

/// The commitments of a group of rows, from the sums of its blocks.
fn commit_group(tables: &[(&IntTable, Layout)], rows: &[RowOf], blocks: &[RawPoint]) -> Vec<G1Affine> {
    let num_digits = |&(t, _): &RowOf| tables[t].0.values().width();
    let sums = sum_parts(&mut Adder::default(), blocks, rows.iter().map(num_digits).sum());
    let mut rest = sums.as_slice();
    let of_row = |row| {
        let digits;
        (digits, rest) = rest.split_at(num_digits(row));
        digits
    };
    let digits: Vec<&[RawPoint]> = rows.iter().map(of_row).collect();
    // A small program has one group.
    let parts = digits.chunks(ROWS).collect();
    let parts = par::map_items(parts, |_, rows: &[&[RawPoint]]| {
        G1Projective::normalize_batch(&rows.iter().map(|digits| horner(digits)).collect::<Vec<_>>())
    });
    parts.concat()
}

/// Appends references to the multiples that make up segments of a row, and says how many for every digit.
fn push_row<I: SmallInt>(
    values: &[I],
    segments: impl Iterator<Item = Segment> + Clone,
    references: &mut Vec<u32>,
    mut count: impl FnMut(usize),
) {
    for d in 0..size_of::<I>() {
        let before = references.len();
        for segment in segments.clone() {
            let entries = &values[segment.source..segment.source + segment.len];
            let start = references.len();
            // Zero digits are overwritten instead of branched around: nothing predicts them.
            references.resize(start + entries.len(), 0);
            let mut end = start;
            for (j, &value) in entries.iter().enumerate() {
                let digit = digit(value, d);
                references[end] = Multiples::reference(segment.first + j, digit);
                end += usize::from(digit != 0);
            }
            references.truncate(end);
        }
        count(references.len() - before);
    }
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
        total += affine(sum);
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
    use crate::simd::tests::both;

    #[test]
    fn combs_agree_with_the_library() {
        let generators = Generators::new(2);
        let comb = Comb::new(generators.row());
        assert_eq!(comb.num_generators(), 4);
        let half = Fr::from(2u64).inverse().unwrap();
        let scalars = [Fr::ZERO, Fr::ONE, -Fr::ONE, half, -half, Fr::from(128u64), Fr::from(u128::MAX), half.square()];
        for window in scalars.windows(4) {
            for len in 0..=4 {
                let expected = G1Projective::msm(&generators.row()[..len], &window[..len]).unwrap();
                assert_eq!(comb.combine(&window[..len]), expected);
            }
        }
    }

    fn check(generators: &[G1Affine], table: &IntTable, width_vars: usize) {
        let layout = Layout::new(table.rows(), table.cols(), width_vars).unwrap();
        let expected: Vec<G1Affine> = matrix(table, &layout)
            .iter()
            .map(|row| {
                let scalars: Vec<Fr> = row.iter().map(|&v| Fr::from(v)).collect();
                G1Projective::msm(&generators[..layout.width()], &scalars).unwrap().into_affine()
            })
            .collect();
        for found in both(|| commit_rows(&Multiples::new(generators), &[(table, layout)])) {
            assert_eq!(found, std::slice::from_ref(&expected));
        }
    }

    #[test]
    fn multiples_are_multiples() {
        let generators = Generators::new(5);
        let multiples = Multiples::new(&generators.row()[..19]);
        assert_eq!(multiples.num_generators(), 19);
        for (j, &g) in generators.row()[..19].iter().enumerate() {
            for m in (-128..=128).filter(|&m| m != 0) {
                let reference = Multiples::reference(j, m);
                let point = affine(multiples.points[(reference & !NEGATED) as usize]);
                assert_eq!(if reference & NEGATED == 0 { point } else { -point }, (g * Fr::from(m)).into_affine());
            }
        }
    }

    #[test]
    fn combinations_agree_with_the_library() {
        use ark_ff::UniformRand;
        let mut rng = ark_std::test_rng();
        let generators = Generators::new(4);
        let multiples = Multiples::new(generators.row());
        let mut scalars =
            vec![Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::from(128), Fr::from(129), -Fr::from(2).inverse().unwrap()];
        scalars.extend((0..10).map(|_| Fr::rand(&mut rng)));
        let expected = G1Projective::msm(generators.row(), &scalars).unwrap();
        for found in both(|| multiples.combine(scalars.iter().copied().enumerate())) {
            assert_eq!(found, expected);
        }
        assert!(multiples.combine(std::iter::empty()).is_zero());
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
