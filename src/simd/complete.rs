//! Sums of points of BN254 G1 by additions without exceptions, a sum in each of eight lanes.
//!
//! Affine additions ([`super::points`]) need many that are independent, to share an inversion, and look at their
//! points. These need neither: they are for a few long sums, and for sums that are secret.
//!
//! ```text
//! P = (X : Y : Z)   homogeneous, any; the identity is (0 : 1 : 0). Coordinates are below 1.45p
//! Q = (x, y)        affine, not the identity. Coordinates are multiplied by 16, so that products lose nothing
//!                   (see `super::lanes`), and below 16p
//! P + Q             Renes, Costello, Batina, "Complete addition formulas for prime order elliptic curves", 2015,
//!                   algorithm 8, with 3b = 9
//! ```

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi64_mask, _mm512_loadu_si512, _mm512_mask_mov_epi64, _mm512_set1_epi64,
    _mm512_setzero_si512,
};

use ark_bn254::{Fq, FqConfig};
use ark_ff::{AdditiveGroup, Field};

use super::lanes::{
    self, Ifma, add, add_product, broadcast, canonical, empty, equal, mul, mul_add, reduce, select, square, sub_of,
    times_16,
};
use super::memory::{from_words, load, load_pairs, store};
use super::points::gather;
use super::{ALONE, CompletePointKernels, LANES, NEGATED, Point};

type Lanes = lanes::Lanes<FqConfig>;

/// Eight points in homogeneous coordinates.
#[derive(Clone, Copy)]
struct Homogeneous {
    x: Lanes,
    y: Lanes,
    z: Lanes,
}

/// `a·b + c·d`, reduced once.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn products([a, b]: [&Lanes; 2], [c, d]: [&Lanes; 2]) -> Lanes {
    let mut sum = empty();
    add_product(&mut sum, a, b);
    add_product(&mut sum, c, d);
    reduce(sum)
}

impl Homogeneous {
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn identity() -> Self {
        let zero = broadcast(&Fq::ZERO);
        Self { x: zero, y: broadcast(&Fq::ONE), z: zero }
    }

    /// Coordinates in lanes of `mask` from `self`, elsewhere from `other`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn or(&self, mask: u8, other: &Self) -> Self {
        Self {
            x: select(mask, &self.x, &other.x),
            y: select(mask, &self.y, &other.y),
            z: select(mask, &self.z, &other.z),
        }
    }

    /// The sum with `(x, y)`. Bounds are multiples of p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn plus(&self, x: &Lanes, y: &Lanes) -> Self {
        // Below 1 + 1.45·16/84 < 1.28.
        let (t0, t1) = (mul(&self.x, x), mul(&self.y, y));
        // Below 1 + 2.9·32/84 + 3 < 5.2.
        let t3 = mul(&add(*x, y), &add(self.x, &self.y));
        let t3 = sub_of::<3, _>(t3, &add(t0, &t1));
        // Below 2.8.
        let t4 = mul_add(y, &self.z, self.y);
        let y3 = mul_add(x, &self.z, self.x);
        Self::finish([t0, t1, self.z, t3, t4, y3])
    }

    /// The sum with another point: algorithm 7 of the paper.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn plus_homogeneous(&self, other: &Self) -> Self {
        // With factors of 16 in the second point's coordinates, below 23.2p, products are below 1 + 1.45·23.2/84 < 1.41.
        let other = Self { x: times_16(other.x), y: times_16(other.y), z: times_16(other.z) };
        let (t0, t1, t2) = (mul(&self.x, &other.x), mul(&self.y, &other.y), mul(&self.z, &other.z));
        // Below 1 + 2.9·46.4/84 + 3 < 5.61, all three.
        let t3 = mul(&add(self.x, &self.y), &add(other.x, &other.y));
        let t4 = mul(&add(self.y, &self.z), &add(other.y, &other.z));
        let y3 = mul(&add(self.x, &self.z), &add(other.x, &other.z));
        let t3 = sub_of::<3, _>(t3, &add(t0, &t1));
        let t4 = sub_of::<3, _>(t4, &add(t1, &t2));
        let y3 = sub_of::<3, _>(y3, &add(t0, &t2));
        Self::finish([t0, t1, t2, t3, t4, y3])
    }

    /// What both algorithms end in, for `t₀` and `t₁` below 1.41p, `Z₁Z₂` below 1.45p, and the others below 5.61p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn finish([t0, t1, t2, t3, t4, y3]: [Lanes; 6]) -> Self {
        // Stored as 16·9, which is 9 in products: below 1 + 5.61/84 < 1.07.
        let nine = broadcast(&Fq::from(144u64));
        let (t2, y3) = (mul(&t2, &nine), mul(&y3, &nine));
        // Below 4.23, 2.44 (as t₂ is below 1.02) and 3.41.
        let t0 = add(add(t0, &t0), &t0);
        let (z3, t1) = (add(t1, &t2), sub_of::<2, _>(t1, &t2));
        let minus_t4 = sub_of::<6, _>(broadcast(&Fq::ZERO), &t4);
        Self {
            // Below 1 + (5.61·3.41 + 6·1.07)/84 < 1.31.
            x: products([&t3, &t1], [&minus_t4, &y3]),
            // Below 1 + (3.41·2.44 + 1.07·4.23)/84 < 1.16.
            y: products([&t1, &z3], [&y3, &t0]),
            // Below 1 + (2.44 + 4.23)·5.61/84 < 1.45.
            z: products([&z3, &t4], [&t0, &t3]),
        }
    }

    /// `(X·Z, Y·Z², Z)`, for which the point is `(X/Z², Y/Z³)`. That 16 times these coordinates are stored is a
    /// factor of 16 to each, which is put right where it counts twice and three times.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn jacobian(&self) -> [[Fq; 3]; LANES] {
        // Below 1 + 23·1.4/84 < 1.4.
        let z_16 = times_16(self.z);
        let x = mul(&self.x, &z_16);
        let y = mul(&mul(&self.y, &z_16), &z_16);
        let mut columns = [[Fq::ZERO; LANES]; 3];
        for (out, coordinate) in columns.iter_mut().zip([x, y, self.z]) {
            store(out, canonical(coordinate));
        }
        std::array::from_fn(|i| [columns[0][i], columns[1][i], columns[2][i]])
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn sum_eight(source: &[Point], references: &[[u32; LANES]]) -> [[Fq; 3]; LANES] {
    let mut sum = Homogeneous::identity();
    for eight in references {
        let (mut missing, mut negative) = (0, 0);
        for (i, &reference) in eight.iter().enumerate() {
            missing |= u8::from(reference == ALONE) << i;
            negative |= u8::from(reference & NEGATED != 0) << i;
        }
        let points = gather(source, |i| if eight[i] == ALONE { 0 } else { eight[i] }, negative & !missing);
        let next = sum.plus(&times_16(points.x), &times_16(points.y));
        sum = if missing == 0 { next } else { sum.or(missing, &next) };
    }
    sum.jacobian()
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn weigh_buckets(buckets: [&[Point]; LANES]) -> [[Fq; 3]; LANES] {
    let zero = broadcast(&Fq::ZERO);
    let (mut suffix, mut total) = (Homogeneous::identity(), Homogeneous::identity());
    for d in (0..buckets[0].len()).rev() {
        let [x, y] = load_pairs(|lane| &buckets[lane][d].0);
        let next = suffix.plus(&times_16(x), &times_16(y));
        suffix = suffix.or(equal(&y, &zero), &next);
        total = total.plus_homogeneous(&suffix);
    }
    total.jacobian()
}

/// In every lane the entry of `row` that its digit counts, found by reading all of them.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn choose(row: &[Point; 16], digits: __m512i) -> [Lanes; 2] {
    let mut words = [[_mm512_setzero_si512(); 4]; 2];
    for (m, entry) in (0i64..).zip(row) {
        let here = _mm512_cmpeq_epi64_mask(digits, _mm512_set1_epi64(m));
        for (words, coordinate) in words.iter_mut().zip(&entry.0) {
            for (word, &limb) in words.iter_mut().zip(&coordinate.0.0) {
                *word = _mm512_mask_mov_epi64(*word, here, _mm512_set1_epi64(limb as i64));
            }
        }
    }
    [from_words(words[0]), from_words(words[1])]
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn sum_secret(table: &[[Point; 16]], digits: &[[u64; LANES]]) -> [[Fq; 3]; LANES] {
    let mut sum = Homogeneous::identity();
    for (row, digits) in table.iter().zip(digits) {
        // SAFETY: 64 bytes are read from a reference to 64 bytes. The load needs no alignment.
        let digits = unsafe { _mm512_loadu_si512(digits.as_ptr().cast()) };
        let [x, y] = choose(row, digits);
        sum = sum.plus(&times_16(x), &times_16(y));
    }
    sum.jacobian()
}

/// Vectors that are raised at a time: squarings of one alone would wait for each other.
const TOGETHER: usize = 2;

/// Bits of an exponent that are taken at a time.
const WINDOW: usize = 4;

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn raise(values: &mut [[Fq; LANES]; TOGETHER], exponent: &[u64; 4]) {
    let mut bases = [broadcast(&Fq::ZERO); TOGETHER];
    for (base, values) in bases.iter_mut().zip(&*values) {
        *base = times_16(load(values));
    }
    // Below 16p, then 1 + 16·16/84 < 4.1, then 1 + 4.1·16/84 < 1.8; from there on smaller.
    let mut powers = [[broadcast(&Fq::from(16u64)); TOGETHER]; 1 << WINDOW];
    for k in 1..1 << WINDOW {
        for j in 0..TOGETHER {
            powers[k][j] = if k == 1 { bases[j] } else { mul(&powers[k - 1][j], &bases[j]) };
        }
    }
    let digit = |position: usize| exponent[position / 16] as usize >> (4 * (position % 16)) & 15;
    let mut result = powers[digit(63)];
    for position in (0..63).rev() {
        for _ in 0..WINDOW {
            for x in &mut result {
                // The first of 16p, then below 1 + 4.1²/84 < 1.2.
                *x = square(x);
            }
        }
        for (x, power) in result.iter_mut().zip(&powers[digit(position)]) {
            *x = mul(x, power);
        }
    }
    for (out, x) in values.iter_mut().zip(&result) {
        // Takes the factor of 16 away; below 2p.
        store(out, canonical(mul(x, &broadcast(&Fq::ONE))));
    }
}

impl CompletePointKernels for Ifma {
    fn sum_eight(&self, source: &[Point], references: &[[u32; LANES]]) -> [[Fq; 3]; LANES] {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { sum_eight(source, references) }
    }

    fn sum_secret(&self, table: &[[Point; 16]], digits: &[[u64; LANES]]) -> [[Fq; 3]; LANES] {
        assert_eq!(table.len(), digits.len(), "a digit a row");
        // SAFETY: as above.
        unsafe { sum_secret(table, digits) }
    }

    fn weigh_buckets(&self, buckets: [&[Point]; LANES]) -> [[Fq; 3]; LANES] {
        assert!(buckets.iter().all(|lane| lane.len() == buckets[0].len()), "as many buckets a lane");
        // SAFETY: as above.
        unsafe { weigh_buckets(buckets) }
    }

    fn raise(&self, values: &mut [Fq], exponent: &[u64; 4]) {
        let (vectors, rest) = values.as_chunks_mut::<LANES>();
        assert!(rest.is_empty(), "a multiple of the lanes");
        let (pairs, last) = vectors.as_chunks_mut::<TOGETHER>();
        for pair in pairs {
            // SAFETY: as above.
            unsafe { raise(pair, exponent) }
        }
        if let [last] = last {
            let mut pair = [*last; TOGETHER];
            // SAFETY: as above.
            unsafe { raise(&mut pair, exponent) }
            *last = pair[0];
        }
    }
}

#[cfg(test)]
mod tests {
    use ark_bn254::{Fr, G1Affine, G1Projective};
    use ark_ec::{AffineRepr, CurveGroup};
    use ark_ff::{BigInt, PrimeField, UniformRand};
    use ark_std::rand::rngs::StdRng;
    use ark_std::rand::{Rng, SeedableRng};
    use proptest::prelude::*;

    use super::*;

    fn multiples(generator: G1Affine, factors: impl IntoIterator<Item = i64>) -> (Vec<Point>, Vec<G1Affine>) {
        let points: Vec<G1Affine> =
            factors.into_iter().map(|factor| (generator * Fr::from(factor)).into_affine()).collect();
        (points.iter().map(|point| Point([point.x, point.y])).collect(), points)
    }

    fn point([x, y, z]: [Fq; 3]) -> G1Projective {
        G1Projective::new_unchecked(x, y, z)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        // From few points, so that sums are doubled, cancelled and begun again.
        #[test]
        fn lanes_sum_what_they_name(seed: u64, len in 0usize..20, few: bool) {
            let Some(kernels) = Ifma::detect() else { return Ok(()) };
            let mut rng = StdRng::seed_from_u64(seed);
            let count = if few { 2 } else { 40 };
            let (source, points) = multiples(G1Affine::rand(&mut rng), 1..=count);
            let references: Vec<[u32; LANES]> = (0..len).map(|_| std::array::from_fn(|_| {
                let place = rng.gen_range(0..count as u32);
                [place, place | NEGATED, ALONE][rng.gen_range(0..3)]
            })).collect();
            for (lane, sum) in kernels.sum_eight(&source, &references).into_iter().enumerate() {
                let expected: G1Projective = references.iter().map(|eight| eight[lane]).filter(|&r| r != ALONE).map(|r| {
                    let point = points[(r & !NEGATED) as usize].into_group();
                    if r & NEGATED == 0 { point } else { -point }
                }).sum();
                prop_assert_eq!(point(sum), expected);
            }
        }

        #[test]
        fn secret_digits_choose_entries(seed: u64, len in 0usize..20, few: bool) {
            let Some(kernels) = Ifma::detect() else { return Ok(()) };
            let mut rng = StdRng::seed_from_u64(seed);
            let factors: Vec<i64> = (0..16).map(|m| if few { 1 - 2 * (m & 1) } else { m + 1 }).collect();
            let (row, points) = multiples(G1Affine::rand(&mut rng), factors);
            let table: Vec<[Point; 16]> = vec![row.try_into().unwrap(); len];
            let digits: Vec<[u64; LANES]> = (0..len).map(|_| std::array::from_fn(|_| rng.gen_range(0..16))).collect();
            for (lane, sum) in kernels.sum_secret(&table, &digits).into_iter().enumerate() {
                let expected: G1Projective = digits.iter().map(|eight| points[eight[lane] as usize].into_group()).sum();
                prop_assert_eq!(point(sum), expected);
            }
        }

        // The identity among them, and points that double or cancel on the way.
        #[test]
        fn buckets_are_weighed(seed: u64, len in 0usize..20, few: bool) {
            let Some(kernels) = Ifma::detect() else { return Ok(()) };
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut source, mut points) = multiples(G1Affine::rand(&mut rng), if few { [1, -1, 2] } else { [1, 5, -7] });
            source.push(Point([Fq::ZERO; 2]));
            points.push(G1Affine::identity());
            let places: [Vec<usize>; LANES] = std::array::from_fn(|_| (0..len).map(|_| rng.gen_range(0..4)).collect());
            let buckets = places.clone().map(|places| places.iter().map(|&place| source[place]).collect::<Vec<Point>>());
            let sums = kernels.weigh_buckets(std::array::from_fn(|lane| buckets[lane].as_slice()));
            for (places, sum) in places.iter().zip(sums) {
                let weighed = (1u64..).zip(places).map(|(d, &place)| points[place] * Fr::from(d));
                prop_assert_eq!(point(sum), weighed.sum::<G1Projective>());
            }
        }

        #[test]
        fn powers_agree_with_the_library(seed: u64, vectors in 0usize..5, exponent: [u64; 4]) {
            let Some(kernels) = Ifma::detect() else { return Ok(()) };
            let mut rng = StdRng::seed_from_u64(seed);
            let mut values: Vec<Fq> = (0..vectors * LANES).map(|_| Fq::rand(&mut rng)).collect();
            let mut last = Fq::MODULUS;
            last.0[0] -= 1;
            let edges = [Fq::ZERO, Fq::ONE, -Fq::ONE, Fq::new_unchecked(BigInt::one()), Fq::new_unchecked(last)];
            values.iter_mut().zip(edges).for_each(|(value, edge)| *value = edge);
            for exponent in [exponent, [0; 4], [1, 0, 0, 0], [u64::MAX; 4]] {
                let expected: Vec<Fq> = values.iter().map(|value| value.pow(exponent)).collect();
                let mut found = values.clone();
                kernels.raise(&mut found, &exponent);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
