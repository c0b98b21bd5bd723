//! Affine additions of points of BN254 G1 on vectors: lane `i` adds the `i`-th of eight pairs.
//!
//! ```text
//! d    = x₂ − x₁, or 2y₁ where both points are the same
//! 1/d  from one inversion for all pairs of a call: lanes keep running products of their own
//! s    = (y₂ − y₁)/d, or 3x₁²/d             x₃ = s² − x₁ − x₂             y₃ = s·(x₁ − x₃) − y₁
//! ```
//!
//! Stored coordinates are canonical, so that equal ones are found by comparison; a pair without sum of its
//! own (a point alone, the identity, opposite points) has 1 in place of `d`. The identity is stored as zeros,
//! and no other point has x = 0, as 3 is not a square: the first pass, which needs `d` only, reads `y` where
//! two points have the same x and nowhere else. Products lose a factor of 16
//! (see [`super::lanes`]): `n` of them in a running product, which the inverse gains and the way back loses
//! one by one.

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi64_mask, _mm512_loadu_si512, _mm512_set1_epi64, _mm512_srli_epi64, _mm512_test_epi64_mask,
};

use ark_bn254::{Fq, FqConfig};
use ark_ff::{AdditiveGroup, Field};

use super::lanes::{
    self, Ifma, add, broadcast, canonical, equal, minus, modulus, mul, mul_add, negated, select, square_16_add, sub,
    times_16,
};
use super::memory::{load, load_eight_apart, load_pairs, pair_rows, prefetch, restore, save, store, store_words};
use super::{ALONE, LANES, NEGATED, Point, PointKernels, Saved};

type Lanes = lanes::Lanes<FqConfig>;

/// Independent running products: one alone would wait for each multiplication to end.
const CHAINS: usize = 2;

/// Eight points.
#[derive(Clone, Copy)]
pub(super) struct Points {
    pub(super) x: Lanes,
    pub(super) y: Lanes,
}

/// Eight pairs, and what is special about them.
struct Pairs {
    left: Points,
    right: Points,
    /// Lanes whose sum is the left point, the right one, the identity.
    is_left: u8,
    is_right: u8,
    is_identity: u8,
    /// Lanes whose points are equal.
    double: u8,
}

/// The points that references stand for; `negative` has the lanes whose opposite points are meant.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn gather(source: &[Point], references: impl Fn(usize) -> u32, negative: u8) -> Points {
    let [x, y] = load_pairs(|i| &source[(references(i) & !NEGATED) as usize].0);
    // The identity is its own opposite.
    let negative = if negative == 0 { 0 } else { negative & !equal(&y, &broadcast(&Fq::ZERO)) };
    Points { x, y: if negative == 0 { y } else { select(negative, &negated(y), &y) } }
}

/// The second reference of a pair, or the first once more.
#[inline(always)]
fn second(&[left, right]: &[u32; 2]) -> u32 {
    if right == ALONE { left } else { right }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn are_alone(words: __m512i) -> u8 {
    _mm512_cmpeq_epi64_mask(_mm512_srli_epi64::<32>(words), _mm512_set1_epi64(i64::from(ALONE)))
}

/// What the first coordinates of eight pairs tell: lanes whose sum is one of the points, and lanes of two
/// points with the same x.
struct Alike {
    is_left: u8,
    is_right: u8,
    same_x: u8,
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn alike(left: &Lanes, right: &Lanes, alone: u8) -> Alike {
    let zero = broadcast(&Fq::ZERO);
    let is_left = alone | equal(right, &zero);
    let is_right = !is_left & equal(left, &zero);
    Alike { is_left, is_right, same_x: equal(left, right) & !is_left & !is_right }
}

/// [`Pairs::denominator`] of eight pairs, from the first coordinates alone unless two are the same.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_denominators(source: &[Point], pairs: &[[u32; 2]; LANES]) -> Lanes {
    let x = |reference: u32| &source[(reference & !NEGATED) as usize].0[0];
    let left = load_eight_apart(|i| x(pairs[i][0]));
    let right = load_eight_apart(|i| x(second(&pairs[i])));
    let Alike { is_left, is_right, same_x } = alike(&left, &right, are_alone(load_references(pairs)));
    if same_x != 0 {
        return load_eight(source, pairs).denominator();
    }
    let d = sub(right, &left);
    if is_left | is_right == 0 { d } else { select(is_left | is_right, &broadcast(&Fq::ONE), &d) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_eight(source: &[Point], pairs: &[[u32; 2]; LANES]) -> Pairs {
    let words = load_references(pairs);
    let negative = |bit: u32| _mm512_test_epi64_mask(words, _mm512_set1_epi64((u64::from(NEGATED) << bit) as i64));
    let left = gather(source, |i| pairs[i][0], negative(0));
    let right = gather(source, |i| second(&pairs[i]), negative(32));
    let Alike { is_left, is_right, same_x } = alike(&left.x, &right.x, are_alone(words));
    let double = if same_x == 0 { 0 } else { same_x & equal(&left.y, &right.y) };
    Pairs { left, right, is_left, is_right, is_identity: same_x & !double, double }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_references(pairs: &[[u32; 2]; LANES]) -> __m512i {
    // SAFETY: 64 bytes are read from a reference to 64 bytes. The load needs no alignment.
    unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) }
}

impl Pairs {
    /// What is inverted: below 2p, never zero.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn denominator(&self) -> Lanes {
        let mut d = sub(self.right.x, &self.left.x);
        if self.double != 0 {
            d = select(self.double, &add(self.left.y, &self.left.y), &d);
        }
        let none = self.is_left | self.is_right | self.is_identity;
        if none == 0 { d } else { select(none, &broadcast(&Fq::ONE), &d) }
    }

    /// The sums, given the inverses of the denominators, below (1 + 3/84)·p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn sums(&self, inverse: &Lanes) -> Points {
        let Self { left, right, .. } = *self;
        let mut numerator = sub(right.y, &left.y);
        if self.double != 0 {
            // Below (1 + 16/84)·p, and 4p.
            let square = mul(&left.x, &times_16(left.x));
            numerator = select(self.double, &add(add(square, &square), &square), &numerator);
        }
        // Below (1 + 4·17/84)·p < 1.8p, and 29p.
        let slope = mul(&numerator, &times_16(*inverse));
        let slope_16 = times_16(slope);
        // s² is below (1 + 1.8·29/84)·p < 1.7p, p − x₁ − x₂ in −p … p; what is left is below p after two steps.
        let x = canonical(canonical(square_16_add(&slope, minus(modulus(), &[left.x, right.x]))));
        // The product is below (1 + 29·2/84)·p < 1.7p; y₁ is below p.
        let y = canonical(mul_add(&slope_16, &sub(left.x, &x), minus(broadcast(&Fq::ZERO), &[left.y])));
        self.replace(Points { x, y })
    }

    /// `sums` except in lanes that are special.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
    fn replace(&self, mut sums: Points) -> Points {
        if self.is_left | self.is_right | self.is_identity == 0 {
            return sums;
        }
        let zero = broadcast(&Fq::ZERO);
        for (mask, x, y) in [
            (self.is_left, &self.left.x, &self.left.y),
            (self.is_right, &self.right.x, &self.right.y),
            (self.is_identity, &zero, &zero),
        ] {
            sums = Points { x: select(mask, x, &sums.x), y: select(mask, y, &sums.y) };
        }
        sums
    }
}

/// How many vectors of pairs ahead points are asked for: a table of multiples is far larger than a cache.
const AHEAD: usize = 3;

/// Asks for the points of some pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn ask_for(source: &[Point], pairs: Option<&[[u32; 2]; LANES]>) {
    for reference in pairs.into_iter().flatten().flatten() {
        if let Some(point) = source.get((reference & !NEGATED) as usize) {
            prefetch(point);
        }
    }
}

/// The running products of denominators; what each was before a pair's denominator is saved for it.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn multiply_up(source: &[Point], pairs: &[[[u32; 2]; LANES]], before: &mut [Saved]) -> [Lanes; CHAINS] {
    let mut running = [broadcast(&Fq::ONE); CHAINS];
    for (k, (eight, before)) in pairs.iter().zip(before).enumerate() {
        ask_for(source, pairs.get(k + AHEAD));
        let running = &mut running[k % CHAINS];
        save(before, running);
        // Below (1 + 2·1.1/84)·p.
        *running = mul(running, &load_denominators(source, eight));
    }
    running
}

/// The inverses of canonical elements that are not zero, all from one.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn invert(values: [Lanes; CHAINS]) -> [Lanes; CHAINS] {
    let mut elements = [[Fq::ZERO; LANES]; CHAINS];
    for (out, value) in elements.iter_mut().zip(values) {
        store(out, canonical(value));
    }
    ark_ff::batch_inversion(elements.as_flattened_mut());
    let mut out = values;
    for (out, element) in out.iter_mut().zip(&elements) {
        *out = load(element);
    }
    out
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_pairs(source: &[Point], pairs: &[[[u32; 2]; LANES]], out: &mut [[Point; LANES]], before: &mut [Saved]) {
    let mut running = invert(multiply_up(source, pairs, before));
    let work = pairs.iter().zip(out).zip(before.iter());
    for (k, ((pairs, out), before)) in work.enumerate().rev() {
        let running = &mut running[k % CHAINS];
        let pairs = load_eight(source, pairs);
        let inverse = mul(running, &restore(before));
        *running = mul(running, &pairs.denominator());
        let Points { x, y } = pairs.sums(&inverse);
        for (out, row) in out.iter_mut().zip(pair_rows([x, y])) {
            store_words(&mut out.0, row);
        }
    }
}

impl PointKernels for Ifma {
    fn add_pairs(&self, source: &[Point], pairs: &[[u32; 2]], out: &mut [Point], scratch: &mut Vec<Saved>) {
        assert!(pairs.len() == out.len(), "one sum a pair");
        let (pairs, rest) = pairs.as_chunks();
        assert!(rest.is_empty(), "a multiple of the lanes");
        scratch.resize(pairs.len().max(scratch.len()), Saved::default());
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { add_pairs(source, pairs, out.as_chunks_mut().0, scratch) }
    }
}
