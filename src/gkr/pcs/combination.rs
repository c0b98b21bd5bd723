//! Sums `Σ sᵢ·Pᵢ` of any points with any scalars (Pippenger's bucket method).
//!
//! Scalars are written in base `2^b` with signed digits. For each digit position, points are sorted
//! into buckets by the digit's absolute value, all buckets are summed by [affine additions that share
//! inversions](super::affine), and `Σ_d d·bucket_d` is a sum of suffix sums. This runs on one thread:
//! it is the only costly step of a verifier. Points are whatever a proof holds (equal, opposite and
//! identical ones are added correctly), and no index depends on more than a digit's bounds.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{AdditiveGroup, PrimeField, Zero};

use super::affine::{Adder, RawPoint, affine, raw};
use crate::simd::{self, LANES, NEGATED};

/// Points that are summed in one batch, so that inversions are shared and the cache is kept.
const BATCH_POINTS: usize = 1 << 13;

/// `Σ scalars_i · points_i`, not yet computed.
#[derive(Clone, Debug, Default)]
pub struct Combination {
    terms: Vec<(G1Affine, Fr)>,
}

impl Combination {
    /// Adds `scalar · point`.
    pub fn push(&mut self, point: G1Affine, scalar: Fr) {
        self.terms.push((point, scalar));
    }

    /// Multiplies what is there by `scalar`.
    pub fn scale(&mut self, scalar: Fr) {
        self.terms.iter_mut().for_each(|(_, s)| *s *= scalar);
    }

    /// Computes the sum.
    pub fn sum(&self) -> G1Projective {
        if self.terms.is_empty() {
            return G1Projective::zero();
        }
        let points: Vec<RawPoint> = self.terms.iter().map(|(point, _)| raw(point)).collect();
        // One bit more than a scalar has, for the last carry.
        let positions = |bits: usize| Fr::MODULUS_BIT_SIZE as usize / bits + 1;
        // A position costs an addition a point, and for every bucket as many halves of one, as measured.
        let bucket = if simd::complete_point_kernels().is_some() { 3 } else { 8 };
        let bits =
            (2..=12).min_by_key(|&bits| positions(bits) * (2 * points.len() + (bucket << (bits - 1)))).unwrap_or(2);
        let positions = positions(bits);
        // Position by position, as they are sorted.
        let mut digits = vec![0i16; positions * points.len()];
        for (i, (_, scalar)) in self.terms.iter().enumerate() {
            let of_term = digits.iter_mut().skip(i).step_by(points.len());
            of_term.zip(signed_digits(scalar, bits, positions)).for_each(|(out, digit)| *out = digit);
        }
        let group = (BATCH_POINTS / points.len()).max(1) * points.len();
        let mut buckets = Vec::with_capacity(positions << (bits - 1));
        for digits in digits.chunks(group) {
            buckets.extend(sum_positions(&points, digits, bits));
        }
        let positions: Vec<&[RawPoint]> = buckets.chunks(1 << (bits - 1)).collect();
        weigh_positions(&positions).into_iter().rev().fold(G1Projective::zero(), |mut sum, total| {
            for _ in 0..bits {
                sum.double_in_place();
            }
            sum + total
        })
    }
}

/// `scalar = Σ_k 2^(bits·k) · digit_k` with digits between `−2^(bits−1)` and `2^(bits−1)`.
pub(super) fn signed_digits(scalar: &Fr, bits: usize, positions: usize) -> impl Iterator<Item = i16> {
    let limbs = scalar.into_bigint().0;
    let mut carry = 0i32;
    (0..positions).map(move |k| {
        let (limb, shift) = (k * bits / 64, k * bits % 64);
        let low = limbs.get(limb).map_or(0, |&l| u128::from(l));
        let high = limbs.get(limb + 1).map_or(0, |&l| u128::from(l) << 64);
        let digit = ((high | low) >> shift) as i32 & ((1 << bits) - 1);
        let digit = digit + carry;
        carry = i32::from(digit > 1 << (bits - 1));
        (digit - (carry << bits)) as i16
    })
}

/// The sums of all buckets of some digit positions.
fn sum_positions(points: &[RawPoint], digits: &[i16], bits: usize) -> Vec<RawPoint> {
    let buckets = 1 << (bits - 1);
    let (mut sorted, mut lens) = (Vec::with_capacity(digits.len()), Vec::new());
    for digits in digits.chunks(points.len()) {
        let mut counts = vec![0usize; buckets];
        for digit in digits.iter().filter(|&&digit| digit != 0) {
            counts[usize::from(digit.unsigned_abs()) - 1] += 1;
        }
        let mut next = Vec::with_capacity(buckets);
        let mut end = sorted.len();
        for &count in &counts {
            next.push(end);
            end += count;
        }
        sorted.resize(end, 0);
        for (i, &digit) in digits.iter().enumerate() {
            if digit != 0 {
                let place = &mut next[usize::from(digit.unsigned_abs()) - 1];
                sorted[*place] = i as u32 | if digit < 0 { NEGATED } else { 0 };
                *place += 1;
            }
        }
        lens.extend(counts);
    }
    Adder::default().sum_runs(points, &sorted, &lens)
}

/// `Σ_i digits_i · P_i` for each digit position, from its buckets.
fn weigh_positions(positions: &[&[RawPoint]]) -> Vec<G1Projective> {
    let Some(kernels) = simd::complete_point_kernels() else {
        return positions.iter().map(|buckets| weigh_buckets(buckets)).collect();
    };
    let weigh = |eight: &[&[RawPoint]]| {
        let sums = kernels.weigh_buckets(std::array::from_fn(|lane| eight[lane.min(eight.len() - 1)]));
        sums.into_iter().take(eight.len()).map(|[x, y, z]| G1Projective::new_unchecked(x, y, z)).collect::<Vec<_>>()
    };
    positions.chunks(LANES).flat_map(weigh).collect()
}

/// `Σ_d (d + 1)·buckets[d]`, as the sum of all suffix sums.
fn weigh_buckets(buckets: &[RawPoint]) -> G1Projective {
    let (mut suffix, mut total) = (G1Projective::zero(), G1Projective::zero());
    for &bucket in buckets.iter().rev() {
        suffix += affine(bucket);
        total += suffix;
    }
    total
}

#[cfg(test)]
mod tests {
    use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
    use ark_ff::{Field, UniformRand};
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;

    fn check(terms: &[(G1Affine, Fr)]) {
        let mut combination = Combination::default();
        terms.iter().for_each(|&(point, scalar)| combination.push(point, scalar));
        let (points, scalars): (Vec<_>, Vec<_>) = terms.iter().copied().unzip();
        assert_eq!(combination.sum(), G1Projective::msm(&points, &scalars).unwrap());
        combination.scale(Fr::from(3));
        assert_eq!(combination.sum(), G1Projective::msm(&points, &scalars).unwrap() * Fr::from(3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        // Small multiples of one point, the identity, equal and opposite terms, extreme scalars.
        #[test]
        fn agrees_with_the_library(terms in prop::collection::vec((-3i64..4, 0usize..7), 0..60)) {
            let mut rng = test_rng();
            let g = G1Affine::generator();
            let terms: Vec<(G1Affine, Fr)> = terms.iter().map(|&(m, kind)| {
                let scalar = match kind {
                    0 => Fr::ZERO,
                    1 => Fr::ONE,
                    2 => -Fr::ONE,
                    3 => Fr::from(1u64 << 63),
                    4 => -Fr::ONE / Fr::from(2u64),
                    _ => Fr::rand(&mut rng),
                };
                ((g * Fr::from(m)).into_affine(), scalar)
            }).collect();
            check(&terms);
        }
    }

    #[test]
    fn agrees_with_the_library_on_many_terms() {
        let mut rng = test_rng();
        for len in [100, 1023, 2500] {
            let point = G1Affine::rand(&mut rng);
            let terms: Vec<(G1Affine, Fr)> = (0..len)
                .map(|i| (if i % 3 == 0 { point } else { G1Affine::rand(&mut rng) }, Fr::rand(&mut rng)))
                .collect();
            check(&terms);
        }
    }

    #[test]
    fn digits_add_up() {
        let mut rng = test_rng();
        let mut scalars = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, -Fr::ONE / Fr::from(2u64)];
        scalars.extend((0..50).map(|_| Fr::rand(&mut rng)));
        for bits in 2..=12 {
            let positions = Fr::MODULUS_BIT_SIZE as usize / bits + 1;
            let base = Fr::from(1u64 << bits);
            for &scalar in &scalars {
                let digits: Vec<i16> = signed_digits(&scalar, bits, positions).collect();
                assert!(digits.iter().all(|d| d.unsigned_abs() <= 1 << (bits - 1)));
                assert_eq!(digits.iter().rev().fold(Fr::ZERO, |sum, &d| sum * base + Fr::from(d)), scalar);
            }
        }
    }
}
