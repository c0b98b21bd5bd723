//! Blinding factors: one a committed row, times a generator that no row uses.
//!
//! `C = Σ_j m_j·G_j + ρ·H` with a uniform `ρ` is a uniform point whatever the `m_j` are: the commitment
//! hides them perfectly. Whoever finds two openings of it knows a logarithm relation between generators.
//!
//! Blinding factors protect a voice for as long as it is somebody's, so what is done with them takes the
//! same time and touches the same memory for each: `ρ·H` is a sum of 64 points, one of every sixteen
//! multiples in a table that is read as a whole, by addition formulas without exceptions (Renes, Costello,
//! Batina, "Complete addition formulas for prime order elliptic curves", 2015, algorithm 8) over
//! arithmetic without branches, eight rows at a time where there are vectors. What later meets random challenges (a sum of blinding factors) goes
//! through ordinary arithmetic.

use std::sync::Arc;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, Field, MontConfig, PrimeField};
use zeroize::{Zeroize, Zeroizing};

use super::affine::raw;
use crate::simd::{self, LANES, Point};
use crate::sumcheck::par;

/// Bits of a digit of a blinding factor.
const DIGIT_BITS: usize = 4;

/// Digits of a blinding factor.
const DIGITS: usize = 64;

/// Rows that one task blinds.
const CHUNK: usize = 16;

/// The blinding factors of the rows of one commitment; none if it hides nothing. Wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blinds(Zeroizing<Vec<Fr>>);

impl std::fmt::Debug for Blinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blinds of {} rows", self.0.len())
    }
}

impl Blinds {
    /// These factors, one a row.
    #[must_use]
    pub fn new(factors: Vec<Fr>) -> Self {
        Self(Zeroizing::new(factors))
    }

    /// Those of a commitment that hides nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Fresh ones for `rows` rows, from the operating system.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn random(rows: usize) -> Result<Self, getrandom::Error> {
        let mut factors = Vec::with_capacity(rows);
        for _ in 0..rows {
            factors.push(random_scalar()?);
        }
        Ok(Self::new(factors))
    }

    /// The factors; empty if there are none.
    #[must_use]
    pub fn factors(&self) -> &[Fr] {
        &self.0
    }

    /// The factors of rows that both these and as many others hide.
    ///
    /// # Panics
    /// If there are others than as many.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        assert_eq!(self.0.len(), other.0.len(), "one blinding factor a row");
        Self::new(self.0.iter().zip(other.0.iter()).map(|(&a, b)| a + b).collect())
    }

    /// `Σ_r weights[r]·ρ_r`.
    #[must_use]
    pub fn weigh(&self, weights: &[Fr]) -> Fr {
        self.0.iter().zip(weights).map(|(&blind, weight)| blind * weight).sum()
    }
}

/// A uniform scalar from the operating system: 64 bytes reduced.
fn random_scalar() -> Result<Fr, getrandom::Error> {
    let mut bytes = Zeroizing::new([0u8; 64]);
    getrandom::fill(bytes.as_mut())?;
    Ok(Fr::from_le_bytes_mod_order(bytes.as_ref()))
}

/// The multiples of `H` that `ρ·H` is summed from: `d·16^k·H` for `d = 1 … 16`.
#[derive(Clone)]
pub struct Blinder {
    table: Arc<Vec<[Point; 1 << DIGIT_BITS]>>,
    /// `Σ_k 16^k`: what the least digits, all one, add up to.
    least: Fr,
}

impl Blinder {
    /// The multiples of `generator`.
    ///
    /// # Panics
    /// If the generator is the identity.
    #[must_use]
    pub fn new(generator: G1Affine) -> Self {
        let mut multiples = Vec::with_capacity(DIGITS << DIGIT_BITS);
        let mut unit = generator.into_group();
        for _ in 0..DIGITS {
            let mut multiple = unit;
            for _ in 0..1 << DIGIT_BITS {
                multiples.push(multiple);
                multiple += unit;
            }
            unit = multiples[multiples.len() - 1];
        }
        let coordinates: Vec<Point> = G1Projective::normalize_batch(&multiples).iter().map(raw).collect();
        let least = (0..DIGITS).fold(Fr::ZERO, |sum, _| sum * Fr::from(1u64 << DIGIT_BITS) + Fr::ONE);
        Self { table: Arc::new(coordinates.as_chunks().0.to_vec()), least }
    }

    /// `ρ·H`.
    pub fn multiply(&self, blind: Fr) -> G1Projective {
        let mut sum = [Fq::ZERO, Fq::ONE, Fq::ZERO];
        for (multiples, &digit) in self.table.iter().zip(self.digits(blind).iter()) {
            sum = add_complete(&sum, &select(multiples, digit));
        }
        // Homogeneous (X/Z, Y/Z) to Jacobian (X/Z², Y/Z³).
        let [x, y, z] = sum;
        G1Projective::new_unchecked(mul(&x, &z), mul(&mul(&y, &z), &z), z)
    }

    /// For every row of the table the place of the multiple that is taken.
    fn digits(&self, blind: Fr) -> Zeroizing<[u64; DIGITS]> {
        // One less than digits between 1 and 16: no summand is the identity.
        let mut rest = (blind - self.least).into_bigint();
        let digits = std::array::from_fn(|k| {
            let (limb, shift) = (k * DIGIT_BITS / 64, k * DIGIT_BITS % 64);
            rest.0[limb] >> shift & ((1 << DIGIT_BITS) - 1)
        });
        rest.0.zeroize();
        Zeroizing::new(digits)
    }

    /// [`Self::multiply`] for at most [`LANES`] factors.
    fn multiply_few(&self, blinds: &[Fr]) -> Vec<G1Projective> {
        let Some(kernels) = simd::complete_point_kernels().filter(|_| blinds.len() > 1) else {
            return blinds.iter().map(|&blind| self.multiply(blind)).collect();
        };
        let mut digits = Zeroizing::new(vec![[0; LANES]; DIGITS]);
        for (lane, &blind) in blinds.iter().enumerate() {
            digits.iter_mut().zip(self.digits(blind).iter()).for_each(|(row, &digit)| row[lane] = digit);
        }
        let sums = kernels.sum_secret(&self.table, &digits);
        sums.iter().take(blinds.len()).map(|&[x, y, z]| G1Projective::new_unchecked(x, y, z)).collect()
    }

    /// `ρ·H` for every `ρ`.
    #[must_use]
    pub fn multiply_all(&self, blinds: &[Fr]) -> Vec<G1Affine> {
        let mut points = vec![G1Affine::identity(); blinds.len()];
        self.blind_rows(&mut points, blinds);
        points
    }

    /// Adds `ρ_r·H` to row `r`, for all rows.
    ///
    /// # Panics
    /// If there is another number of rows than of factors.
    pub fn blind_rows(&self, rows: &mut [G1Affine], blinds: &[Fr]) {
        assert_eq!(rows.len(), blinds.len(), "one blinding factor a row");
        let blinded = par::map(rows.len().div_ceil(CHUNK), |chunk| {
            let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(rows.len());
            let multiples = blinds[range.clone()].chunks(LANES).flat_map(|blinds| self.multiply_few(blinds));
            let points: Vec<G1Projective> =
                rows[range].iter().zip(multiples).map(|(row, multiple)| multiple + row).collect();
            G1Projective::normalize_batch(&points)
        });
        rows.iter_mut().zip(blinded.into_iter().flatten()).for_each(|(row, blinded)| *row = blinded);
    }
}

/// Entry `digit`, found by reading all of them.
fn select(multiples: &[Point; 1 << DIGIT_BITS], digit: u64) -> [Fq; 2] {
    let mut limbs = [[0u64; 4]; 2];
    for (k, entry) in (0u64..).zip(multiples) {
        // All ones if k = digit: only then is their difference, minus one, negative.
        let mask = std::hint::black_box((((k ^ digit).wrapping_sub(1) as i64) >> 63) as u64);
        for (limbs, coordinate) in limbs.iter_mut().zip(&entry.0) {
            limbs.iter_mut().zip(coordinate.0.0).for_each(|(limb, word)| *limb |= word & mask);
        }
    }
    limbs.map(|limbs| Fq::new_unchecked(BigInt(limbs)))
}

/// `P + Q` for `P = (X : Y : Z)` and `Q = (x, y)`, whatever they are, but `Q` is not the identity.
fn add_complete([x1, y1, z1]: &[Fq; 3], [x2, y2]: &[Fq; 2]) -> [Fq; 3] {
    let (t0, t1) = (mul(x1, x2), mul(y1, y2));
    let t3 = sub(&mul(&add(x2, y2), &add(x1, y1)), &add(&t0, &t1));
    let t4 = add(&mul(y2, z1), y1);
    let y3 = add(&mul(x2, z1), x1);
    let t0 = add(&add(&t0, &t0), &t0);
    // 3b = 9.
    let nine = |x: &Fq| {
        let two = add(x, x);
        let four = add(&two, &two);
        add(&add(&four, &four), x)
    };
    let t2 = nine(z1);
    let (z3, t1) = (add(&t1, &t2), sub(&t1, &t2));
    let y3 = nine(&y3);
    let x3 = sub(&mul(&t3, &t1), &mul(&t4, &y3));
    let y3 = add(&mul(&t1, &z3), &mul(&y3, &t0));
    let z3 = add(&mul(&z3, &t4), &mul(&t0, &t3));
    [x3, y3, z3]
}

const MODULUS: [u64; 4] = Fq::MODULUS.0;

/// `a + b` and its carry.
fn add_limbs(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let mut carry = false;
    let sum = std::array::from_fn(|k| {
        let (word, first) = a[k].overflowing_add(b[k]);
        let (word, second) = word.overflowing_add(u64::from(carry));
        carry = first | second;
        word
    });
    (sum, carry)
}

/// `a − b` and its borrow.
fn sub_limbs(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let mut borrow = false;
    let difference = std::array::from_fn(|k| {
        let (word, first) = a[k].overflowing_sub(b[k]);
        let (word, second) = word.overflowing_sub(u64::from(borrow));
        borrow = first | second;
        word
    });
    (difference, borrow)
}

/// `value`, of five limbs and below twice the modulus, less the modulus if it is not smaller.
fn reduce(value: [u64; 4], carry: u64) -> Fq {
    let (less, borrow) = sub_limbs(&value, &MODULUS);
    // Keep the value if it was smaller: a borrow, and no limb to borrow from.
    let keep = std::hint::black_box(u64::from(borrow) & !carry & 1).wrapping_neg();
    Fq::new_unchecked(BigInt(std::array::from_fn(|k| (value[k] & keep) | (less[k] & !keep))))
}

fn add(a: &Fq, b: &Fq) -> Fq {
    let (sum, carry) = add_limbs(&a.0.0, &b.0.0);
    reduce(sum, u64::from(carry))
}

fn sub(a: &Fq, b: &Fq) -> Fq {
    let (difference, borrow) = sub_limbs(&a.0.0, &b.0.0);
    let mask = std::hint::black_box(u64::from(borrow)).wrapping_neg();
    Fq::new_unchecked(BigInt(add_limbs(&difference, &MODULUS.map(|limb| limb & mask)).0))
}

/// Montgomery's product, word by word, with one masked subtraction at the end.
fn mul(a: &Fq, b: &Fq) -> Fq {
    let wide = |x: u64, y: u64, z: u64, carry: u64| {
        let sum = u128::from(x) * u128::from(y) + u128::from(z) + u128::from(carry);
        (sum as u64, (sum >> 64) as u64)
    };
    let mut t = [0u64; 5];
    for &word in &a.0.0 {
        let mut carry = 0;
        for (k, &b) in b.0.0.iter().enumerate() {
            (t[k], carry) = wide(word, b, t[k], carry);
        }
        // The modulus has two bits to spare, so that this does not overflow.
        t[4] += carry;
        let factor = t[0].wrapping_mul(<ark_bn254::FqConfig as MontConfig<4>>::INV);
        let (_, mut carry) = wide(factor, MODULUS[0], t[0], 0);
        for k in 1..4 {
            (t[k - 1], carry) = wide(factor, MODULUS[k], t[k], carry);
        }
        (t[3], t[4]) = (t[4] + carry, 0);
    }
    reduce([t[0], t[1], t[2], t[3]], t[4])
}

#[cfg(test)]
mod tests {
    use ark_ff::{UniformRand, Zero};
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use proptest::prelude::*;

    use super::*;

    fn edges() -> Vec<Fq> {
        let mut edges = vec![Fq::ZERO, Fq::ONE, -Fq::ONE, -Fq::ONE - Fq::ONE, Fq::from(2u64).inverse().unwrap()];
        // As they lie in memory: zero, one, and the modulus minus one.
        let mut last = Fq::MODULUS.0;
        last[0] -= 1;
        edges.extend([[0; 4], [1, 0, 0, 0], last].map(|limbs| Fq::new_unchecked(BigInt(limbs))));
        edges
    }

    #[test]
    fn arithmetic_agrees_with_the_library_at_the_edges() {
        for a in edges() {
            for b in edges() {
                assert_eq!((add(&a, &b), sub(&a, &b), mul(&a, &b)), (a + b, a - b, a * b));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn arithmetic_agrees_with_the_library(seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let (a, b) = (Fq::rand(&mut rng), Fq::rand(&mut rng));
            prop_assert_eq!((add(&a, &b), sub(&a, &b), mul(&a, &b)), (a + b, a - b, a * b));
            for edge in edges() {
                prop_assert_eq!((add(&a, &edge), sub(&edge, &a), mul(&a, &edge)), (a + edge, edge - a, a * edge));
            }
        }

        #[test]
        fn additions_are_complete(a in -3i64..4, b in 1i64..4, negative: bool, seed: u64) {
            let g = G1Affine::generator();
            let q = (g * Fr::from(if negative { -b } else { b })).into_affine();
            let z = Fq::rand(&mut StdRng::seed_from_u64(seed));
            let p = (g * Fr::from(a)).into_affine();
            let homogeneous = p.xy().map_or([Fq::ZERO, z, Fq::ZERO], |(x, y)| [x * z, y * z, z]);
            let [x, y, z] = add_complete(&homogeneous, &[q.x, q.y]);
            prop_assert_eq!(G1Projective::new_unchecked(x * z, y * z * z, z), p + q);
        }
    }

    #[test]
    fn multiples_agree_with_the_library() {
        let mut rng = StdRng::seed_from_u64(7);
        let generator = G1Affine::rand(&mut rng);
        let blinder = Blinder::new(generator);
        let mut factors = vec![Fr::ZERO, Fr::ONE, -Fr::ONE, blinder.least, blinder.least - Fr::ONE, -blinder.least];
        factors.extend((0..40).map(|_| Fr::rand(&mut rng)));
        for &factor in &factors {
            assert_eq!(blinder.multiply(factor), generator * factor);
        }
        let rows: Vec<G1Affine> =
            (0..factors.len()).map(|r| if r % 3 == 0 { G1Affine::zero() } else { G1Affine::rand(&mut rng) }).collect();
        let mut blinded = rows.clone();
        blinder.blind_rows(&mut blinded, &factors);
        for ((row, blinded), factor) in rows.iter().zip(&blinded).zip(&factors) {
            assert_eq!((generator * factor + row).into_affine(), *blinded);
        }
    }

    #[test]
    fn random_factors_differ() {
        let blinds = Blinds::random(20).unwrap();
        for (r, factor) in blinds.factors().iter().enumerate() {
            assert!(!factor.is_zero() && !blinds.factors()[..r].contains(factor));
        }
        assert_eq!(format!("{blinds:?}"), "Blinds of 20 rows");
    }
}
