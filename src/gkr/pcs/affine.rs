//! Many affine additions at the price of one inversion.
//!
//! An affine addition needs the inverse of a difference of coordinates. Montgomery's trick computes
//! all inverses of a batch from one, so that an addition costs six multiplications, half of what
//! projective coordinates need.

use ark_bn254::{Fq, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField, Zero};

use crate::simd::{self, ALONE, LANES, NEGATED, Point, Saved};

/// A point by its coordinates. Zeros are the [identity](IDENTITY): no point of BN254 G1 has `x = 0`, since 3
/// is not a square, nor `y = 0`, since the group has odd order.
pub type RawPoint = Point;

/// The neutral element.
pub const IDENTITY: RawPoint = Point([Fq::ZERO; 2]);

/// The coordinates of a point.
#[must_use]
pub fn raw(point: &G1Affine) -> RawPoint {
    point.xy().map_or(IDENTITY, |(x, y)| Point([x, y]))
}

/// The point with these coordinates.
pub fn affine(point: RawPoint) -> G1Affine {
    if is_identity(&point) { G1Affine::identity() } else { G1Affine::new_unchecked(point.0[0], point.0[1]) }
}

#[inline(always)]
fn is_identity(point: &RawPoint) -> bool {
    point.0[1].is_zero()
}

/// The point that a reference stands for. Signs are unpredictable, so there is no branch.
#[inline(always)]
fn resolve(source: &[RawPoint], reference: u32) -> RawPoint {
    let Point([x, y]) = source[(reference & !NEGATED) as usize];
    let mask = u64::from(reference & NEGATED != 0).wrapping_neg();
    let negative = sub(&Fq::ZERO, &y);
    let limbs = std::array::from_fn(|k| (y.0.0[k] & !mask) | (negative.0.0[k] & mask));
    Point([x, Fq::new_unchecked(BigInt(limbs))])
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
    if is_identity(p) || is_identity(q) {
        return None;
    }
    let difference = sub(&q.0[0], &p.0[0]);
    if !difference.is_zero() {
        Some(difference)
    } else if p.0[1] == q.0[1] {
        Some(p.0[1].double())
    } else {
        None
    }
}

/// `p + q` where [`denominator`] is `None`.
#[inline(always)]
fn add_trivial(p: RawPoint, q: RawPoint) -> RawPoint {
    match (is_identity(&p), is_identity(&q)) {
        (true, _) => q,
        (false, true) => p,
        (false, false) => IDENTITY,
    }
}

/// `p + q` given the inverse of their [`denominator`].
#[inline(always)]
fn add_inverted(Point(p): RawPoint, Point(q): RawPoint, inverse: Fq) -> RawPoint {
    let numerator = if p[0] == q[0] {
        let square = p[0].square();
        square.double() + square
    } else {
        sub(&q[1], &p[1])
    };
    let slope = numerator * inverse;
    let x = sub(&sub(&slope.square(), &p[0]), &q[0]);
    Point([x, sub(&(slope * sub(&p[0], &x)), &p[1])])
}

/// Independent chains of products: one chain alone would wait for each multiplication to end.
const CHAINS: usize = 4;

/// Sums of pairs of points, and the buffers that they need.
#[derive(Default)]
pub struct Adder {
    pairs: Vec<[u32; 2]>,
    /// References to the last points of odd runs.
    odd: Vec<u32>,
    /// Points and references of two levels.
    points: (Vec<RawPoint>, Vec<RawPoint>),
    references: (Vec<u32>, Vec<u32>),
    vectors: Vec<Saved>,
    products: Vec<Fq>,
}

impl Adder {
    /// `out[k] = source[pairs[k][0]] + source[pairs[k][1]]` for the pairs `pair(0), …, pair(count − 1)`.
    /// References may be [`NEGATED`], the second one may be [`ALONE`].
    ///
    /// # Panics
    /// If a reference is out of range.
    pub fn add(&mut self, source: &[RawPoint], pairs: impl IntoIterator<Item = [u32; 2]>, out: &mut Vec<RawPoint>) {
        self.pairs.clear();
        self.pairs.extend(pairs);
        self.add_waiting(source, out);
    }

    /// [`Adder::add`] for the pairs that are in its buffer.
    fn add_waiting(&mut self, source: &[RawPoint], out: &mut Vec<RawPoint>) {
        if let Some(kernels) = simd::point_kernels().filter(|_| !self.pairs.is_empty()) {
            let count = self.pairs.len();
            self.pairs.resize(count.next_multiple_of(LANES), [0, ALONE]);
            out.resize(self.pairs.len(), IDENTITY);
            kernels.add_pairs(source, &self.pairs, out, &mut self.vectors);
            out.truncate(count);
        } else {
            out.resize(self.pairs.len(), IDENTITY);
            self.add_one_by_one(source, out);
        }
    }

    fn add_one_by_one(&mut self, source: &[RawPoint], out: &mut [RawPoint]) {
        self.products.clear();
        self.products.resize(self.pairs.len(), Fq::ONE);
        let mut running = [Fq::ONE; CHAINS];
        let load = |[left, right]: [u32; 2]| {
            let right = if right == ALONE { IDENTITY } else { resolve(source, right) };
            (resolve(source, left), right)
        };
        for (k, &pair) in self.pairs.iter().enumerate() {
            let (p, q) = load(pair);
            if let Some(d) = denominator(&p, &q) {
                self.products[k] = running[k % CHAINS];
                running[k % CHAINS] *= d;
            }
        }
        ark_ff::batch_inversion(&mut running);
        for (k, (&pair, out)) in self.pairs.iter().zip(out).enumerate().rev() {
            let (p, q) = load(pair);
            *out = if let Some(d) = denominator(&p, &q) {
                let inverse = running[k % CHAINS] * self.products[k];
                running[k % CHAINS] *= d;
                add_inverted(p, q, inverse)
            } else {
                add_trivial(p, q)
            };
        }
    }

    /// Sums of consecutive runs of references to points of `source`, whose lengths are `lens`: pairwise,
    /// level by level, with one inversion a level for all runs.
    ///
    /// # Panics
    /// If the lengths are not those of all references together, or a reference is out of range.
    #[must_use]
    pub fn sum_runs(&mut self, source: &[RawPoint], references: &[u32], lens: &[usize]) -> Vec<RawPoint> {
        assert_eq!(lens.iter().sum::<usize>(), references.len(), "runs cover all references");
        let additions: usize = lens.iter().map(|len| len.saturating_sub(1)).sum();
        let padded: usize = lens.iter().map(|&len| padded_additions(len)).sum();
        // Keeping account of points without a partner costs about a tenth of an addition.
        if padded <= additions + additions / 10 {
            self.sum_padded(source, references, lens)
        } else {
            self.sum_exactly(source, references, lens)
        }
    }

    /// [`Adder::sum_runs`], where the last point of an odd run is added to nothing.
    fn sum_padded(&mut self, source: &[RawPoint], references: &[u32], lens: &[usize]) -> Vec<RawPoint> {
        let mut lens = lens.to_vec();
        let (mut points, mut next) = std::mem::take(&mut self.points);
        self.add(source, pairs_of_runs(&lens, |i| references[i]), &mut points);
        lens.iter_mut().for_each(|len| *len = len.div_ceil(2));
        while lens.iter().any(|&len| len > 1) {
            // A level has at most half as many points as there are references, so that indices fit.
            self.add(&points, pairs_of_runs(&lens, |i| i as u32), &mut next);
            std::mem::swap(&mut points, &mut next);
            lens.iter_mut().for_each(|len| *len = len.div_ceil(2));
        }
        let mut sums = points.iter().copied();
        let sums = lens.iter().map(|&len| if len == 0 { IDENTITY } else { sums.next().expect("one point a run") });
        let sums = sums.collect();
        self.points = (points, next);
        sums
    }

    /// [`Adder::sum_runs`], where the last point of an odd run waits for the next level.
    fn sum_exactly(&mut self, source: &[RawPoint], references: &[u32], lens: &[usize]) -> Vec<RawPoint> {
        let mut sums = vec![IDENTITY; lens.len()];
        let mut runs: Vec<(usize, usize)> = lens.iter().copied().enumerate().collect();
        // The points of a level and of the next, and the references to them.
        let (mut points, mut next) = std::mem::take(&mut self.points);
        let (mut own, mut later) = std::mem::take(&mut self.references);
        let mut level = (source, references);
        while self.halve(level, &mut runs, &mut later, &mut sums) {
            self.add_waiting(level.0, &mut next);
            next.extend(self.odd.iter().map(|&reference| resolve(level.0, reference)));
            std::mem::swap(&mut points, &mut next);
            std::mem::swap(&mut own, &mut later);
            level = (&points, &own);
        }
        (self.points, self.references) = ((points, next), (own, later));
        sums
    }

    /// Pairs up neighbours within runs of references to `points`, and puts runs of one point among `sums`; says whether a run is
    /// left. `next` are the references to the points of the next level: the sums of pairs, then those of `odd`.
    fn halve(
        &mut self,
        (points, references): (&[RawPoint], &[u32]),
        runs: &mut Vec<(usize, usize)>,
        next: &mut Vec<u32>,
        sums: &mut [RawPoint],
    ) -> bool {
        /// Marks a point that comes after the sums.
        const ODD: u32 = 1 << 31;
        self.pairs.clear();
        self.odd.clear();
        next.clear();
        let mut rest = references;
        runs.retain_mut(|(run, len)| {
            let own;
            (own, rest) = rest.split_at(*len);
            match own {
                [] => return false,
                &[only] => {
                    sums[*run] = resolve(points, only);
                    return false;
                }
                _ => {}
            }
            let (twos, last) = own.as_chunks();
            next.extend((self.pairs.len() as u32..).take(twos.len()));
            self.pairs.extend_from_slice(twos);
            if let &[last] = last {
                next.push(ODD | self.odd.len() as u32);
                self.odd.push(last);
            }
            *len = len.div_ceil(2);
            true
        });
        for reference in next.iter_mut().filter(|reference| **reference & ODD != 0) {
            *reference = (*reference & !ODD) + self.pairs.len() as u32;
        }
        !runs.is_empty()
    }
}

/// Additions that make a point of a run, if odd ones are padded.
fn padded_additions(len: usize) -> usize {
    let levels = std::iter::successors(Some(len.div_ceil(2)), |&left| (left > 1).then(|| left.div_ceil(2)));
    levels.sum()
}

/// Neighbours within runs; a last one of an odd run is alone.
fn pairs_of_runs(lens: &[usize], reference: impl Fn(usize) -> u32) -> impl Iterator<Item = [u32; 2]> {
    let starts = lens.iter().scan(0, |end, &len| {
        let start = *end;
        *end += len;
        Some(start..*end)
    });
    starts
        .flat_map(|run| run.clone().step_by(2).map(move |i| (i, i + 1 < run.end)))
        .map(move |(i, both)| [reference(i), if both { reference(i + 1) } else { ALONE }])
}

#[cfg(test)]
mod tests {
    use ark_bn254::{Fr, G1Projective};
    use ark_ec::CurveGroup;
    use proptest::prelude::*;

    use super::*;
    use crate::simd::tests::both;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        // Multiples from a tiny range: equal, opposite and identical points meet all the time.
        #[test]
        fn runs_sum_to_the_naive_sums(
            runs in prop::collection::vec(prop::collection::vec((-2i64..3, any::<bool>()), 0..20), 0..9),
        ) {
            let g = G1Affine::generator();
            let (mut source, mut references) = (Vec::new(), Vec::new());
            for &(m, negative) in runs.iter().flatten() {
                references.push(source.len() as u32 | if negative { NEGATED } else { 0 });
                source.push(raw(&(g * Fr::from(m)).into_affine()));
            }
            let lens: Vec<usize> = runs.iter().map(Vec::len).collect();
            let mut adder = Adder::default();
            let ways = [
                both(|| Adder::default().sum_runs(&source, &references, &lens)),
                both(|| adder.sum_padded(&source, &references, &lens)),
                both(|| adder.sum_exactly(&source, &references, &lens)),
            ];
            for sums in ways.into_iter().flatten() {
                for (sum, run) in sums.into_iter().zip(&runs) {
                    let total: i64 = run.iter().map(|&(m, negative)| if negative { -m } else { m }).sum();
                    let expected: G1Projective = g * Fr::from(total);
                    prop_assert_eq!(affine(sum), expected.into_affine());
                }
            }
        }

        #[test]
        fn random_points_add_up(count in 1usize..70, seed: u64) {
            use ark_ff::UniformRand;
            use ark_std::rand::SeedableRng;
            let mut rng = ark_std::rand::rngs::StdRng::seed_from_u64(seed);
            let points: Vec<G1Affine> = (0..2 * count).map(|_| G1Affine::rand(&mut rng)).collect();
            let source: Vec<RawPoint> = points.iter().map(raw).collect();
            for sums in both(|| {
                let mut out = Vec::new();
                Adder::default().add(&source, (0..count as u32).map(|i| [2 * i, 2 * i + 1]), &mut out);
                out
            }) {
                for (sum, pair) in sums.into_iter().zip(points.as_chunks::<2>().0) {
                    prop_assert_eq!(affine(sum), (pair[0] + pair[1]).into_affine());
                }
            }
        }
    }
}
