//! Many affine additions at the price of one inversion.
//!
//! An affine addition needs the inverse of a difference of coordinates. Montgomery's trick computes
//! all inverses of a batch from one, so that an addition costs six multiplications, half of what
//! projective coordinates need.

use ark_bn254::{Fq, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField, Zero};

/// A point by its coordinates. No point of BN254 G1 has `y = 0`, because the group has odd order;
/// that value marks the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPoint {
    x: Fq,
    y: Fq,
}

impl From<&G1Affine> for RawPoint {
    fn from(point: &G1Affine) -> Self {
        point.xy().map_or(Self::IDENTITY, |(x, y)| Self { x, y })
    }
}

impl From<RawPoint> for G1Affine {
    fn from(point: RawPoint) -> Self {
        if point.is_identity() { Self::identity() } else { Self::new_unchecked(point.x, point.y) }
    }
}

impl RawPoint {
    /// The neutral element.
    pub const IDENTITY: Self = Self { x: Fq::ZERO, y: Fq::ZERO };

    /// Whether this is the neutral element.
    #[inline(always)]
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.y.is_zero()
    }

    /// The opposite point if `negate`, without a branch: signs of digits are unpredictable.
    #[inline(always)]
    #[must_use]
    pub fn negated_if(self, negate: bool) -> Self {
        let mask = u64::from(negate).wrapping_neg();
        let negative = sub(&Fq::ZERO, &self.y);
        let limbs = std::array::from_fn(|k| (self.y.0.0[k] & !mask) | (negative.0.0[k] & mask));
        Self { x: self.x, y: Fq::new_unchecked(BigInt(limbs)) }
    }
}

/// One addition inside a buffer: `points[out] = points[left] + points[right]`.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// Index of one operand.
    pub left: u32,
    /// Index of the other operand, or [`Addition::NONE`] to copy `left`.
    pub right: u32,
    /// Index of the result.
    pub out: u32,
}

impl Addition {
    /// Stands for an operand that is the identity.
    pub const NONE: u32 = u32::MAX;
}

/// `a − b` without a branch: ark-ff decides by comparison, which random operands make unpredictable.
#[inline(always)]
fn sub(a: &Fq, b: &Fq) -> Fq {
    let mut limbs = a.0;
    let mask = u64::from(limbs.sub_with_borrow(&b.0)).wrapping_neg();
    limbs.add_with_carry(&BigInt(Fq::MODULUS.0.map(|limb| limb & mask)));
    // Montgomery forms below the modulus again.
    Fq::new_unchecked(limbs)
}

/// What has to be inverted to add `p` and `q`; `None` if the sum needs no arithmetic.
#[inline(always)]
fn denominator(p: &RawPoint, q: &RawPoint) -> Option<Fq> {
    if p.is_identity() || q.is_identity() {
        return None;
    }
    let difference = sub(&q.x, &p.x);
    if !difference.is_zero() {
        Some(difference)
    } else if p.y == q.y {
        Some(p.y.double())
    } else {
        None
    }
}

/// `p + q` where [`denominator`] is `None`.
#[inline(always)]
fn add_trivial(p: RawPoint, q: RawPoint) -> RawPoint {
    match (p.is_identity(), q.is_identity()) {
        (true, _) => q,
        (false, true) => p,
        (false, false) => RawPoint::IDENTITY,
    }
}

/// `p + q` given the inverse of their [`denominator`].
#[inline(always)]
fn add_inverted(p: RawPoint, q: RawPoint, inverse: Fq) -> RawPoint {
    let numerator = if p.x == q.x {
        let square = p.x.square();
        square.double() + square
    } else {
        sub(&q.y, &p.y)
    };
    let slope = numerator * inverse;
    let x = sub(&sub(&slope.square(), &p.x), &q.x);
    RawPoint { x, y: sub(&(slope * sub(&p.x, &x)), &p.y) }
}

/// Independent chains of products: one chain alone would wait for each multiplication to end.
const CHAINS: usize = 4;

/// Carries out `additions` in ascending order. The result of none may be an operand of a later one.
/// `scratch` is only there to be reused.
pub fn add_batch(points: &mut [RawPoint], additions: &[Addition], scratch: &mut Vec<Fq>) {
    scratch.clear();
    scratch.resize(additions.len(), Fq::ONE);
    let mut products = [Fq::ONE; CHAINS];
    for (k, op) in additions.iter().enumerate().rev() {
        if op.right == Addition::NONE {
            continue;
        }
        if let Some(d) = denominator(&points[op.left as usize], &points[op.right as usize]) {
            scratch[k] = products[k % CHAINS];
            products[k % CHAINS] *= d;
        }
    }
    ark_ff::batch_inversion(&mut products);
    for (k, op) in additions.iter().enumerate() {
        let p = points[op.left as usize];
        if op.right == Addition::NONE {
            points[op.out as usize] = p;
            continue;
        }
        let q = points[op.right as usize];
        points[op.out as usize] = if let Some(d) = denominator(&p, &q) {
            let inverse = products[k % CHAINS] * scratch[k];
            products[k % CHAINS] *= d;
            add_inverted(p, q, inverse)
        } else {
            add_trivial(p, q)
        };
    }
}

/// Sums of consecutive runs of `points`, whose lengths are `lens`: pairwise, level by level, with one
/// inversion a level for all runs. `points` is left in disorder.
///
/// # Panics
/// If the lengths exceed the points, or there are 2^32 of them.
#[must_use]
pub fn sum_runs(points: &mut [RawPoint], lens: &[usize]) -> Vec<RawPoint> {
    assert!(u32::try_from(points.len()).is_ok(), "too many points in one batch");
    let mut lens = lens.to_vec();
    let (mut additions, mut scratch) = (Vec::with_capacity(points.len() / 2 + lens.len()), Vec::new());
    while lens.iter().any(|&len| len > 1) {
        additions.clear();
        let (mut read, mut write) = (0u32, 0u32);
        for len in &mut lens {
            let end = read + *len as u32;
            while read < end {
                let right = if read + 1 < end { read + 1 } else { Addition::NONE };
                additions.push(Addition { left: read, right, out: write });
                read += 2;
                write += 1;
            }
            read = end;
            *len = len.div_ceil(2);
        }
        add_batch(points, &additions, &mut scratch);
    }
    let mut next = points.iter();
    lens.iter().map(|&len| if len == 0 { RawPoint::IDENTITY } else { *next.next().expect("one point a run") }).collect()
}

#[cfg(test)]
mod tests {
    use ark_bn254::{Fr, G1Projective};
    use ark_ec::CurveGroup;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        // Multiples from a tiny range: equal, opposite and identical points meet all the time.
        #[test]
        fn runs_sum_to_the_naive_sums(runs in prop::collection::vec(prop::collection::vec(-2i64..3, 0..12), 0..9)) {
            let g = G1Affine::generator();
            let mut points = Vec::new();
            for run in &runs {
                points.extend(run.iter().map(|&m| RawPoint::from(&(g * Fr::from(m)).into_affine())));
            }
            let lens: Vec<usize> = runs.iter().map(Vec::len).collect();
            let sums = sum_runs(&mut points, &lens);
            for (sum, run) in sums.into_iter().zip(&runs) {
                let expected: G1Projective = g * Fr::from(run.iter().sum::<i64>());
                prop_assert_eq!(G1Affine::from(sum), expected.into_affine());
            }
        }
    }
}
