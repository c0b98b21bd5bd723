//! Eight elements of a field of BN254, scalars or coordinates, in AVX-512 registers, in radix 2^52.
//!
//! ```text
//! element   stored as x·2^256 mod p in four limbs of 64 bits; in registers five limbs of 52 bits
//! product   a·b·2^-260 mod p, hence 1/16 of the product of stored forms: callers put 16 into a factor
//! bound     a value is below k·p; a product of values below j·p and k·p is below (1 + jk/84)·p, as
//!           p < 2^260/84
//! limbs     multiplications read 52 bits of a limb, so factors are normalised: limbs in 0 … 2^52 − 1
//! ```
//!
//! Only what is stored is reduced to 0 … p − 1; everything else keeps the bounds that comments give.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmplt_epi64_mask, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_srai_epi64, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_testn_epi64_mask, _mm512_xor_si512,
};
use std::marker::PhantomData;

use ark_ff::{AdditiveGroup, Fp, MontBackend, MontConfig};

use super::LANES;
use super::memory::store;

/// Proof that the machine has the instructions: there is a value only if they were detected.
#[derive(Clone, Copy)]
pub(super) struct Ifma(());

impl Ifma {
    /// The proof, if this machine has the instructions.
    pub(super) fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi2");
        detected.then_some(Self(()))
    }
}

pub(super) const LIMBS: usize = 5;
pub(super) const MASK: u64 = (1 << 52) - 1;

/// A field whose modulus p is below 2^260/84 and has four words: both fields of BN254.
pub(super) trait Config: MontConfig<4> {
    /// The modulus.
    const P: [u64; LIMBS] = split(Self::MODULUS.0);
    /// `−1/p mod 2^52`.
    const NEG_INVERSE: u64 = Self::INV & MASK;
}
impl Config for ark_bn254::FrConfig {}
impl Config for ark_bn254::FqConfig {}

/// An element as it is stored.
pub(super) type Element<C> = Fp<MontBackend<C, 4>, 4>;

/// Products that a [`Sum`] takes of factors below 2.1·p and p: then it is below (1 + 32·2.1/84)·p < 2p,
/// and a limb, to which a product adds ten words of 52 bits, stays below 2^61.
pub(super) const MAX_TERMS: usize = 32;

/// Limbs of 52 bits.
pub(super) const fn split(x: [u64; 4]) -> [u64; LIMBS] {
    [
        x[0] & MASK,
        (x[0] >> 52 | x[1] << 12) & MASK,
        (x[1] >> 40 | x[2] << 24) & MASK,
        (x[2] >> 28 | x[3] << 36) & MASK,
        x[3] >> 16,
    ]
}

/// Eight values in five limbs each, normalised unless said otherwise.
pub(super) struct Lanes<C>(pub(super) [__m512i; LIMBS], PhantomData<C>);

/// Sum of products that are not reduced yet; limbs of 64 bits that weigh 2^52 each.
pub(super) struct Sum<C>([__m512i; 2 * LIMBS], PhantomData<C>);

impl<C> Clone for Lanes<C> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Lanes<C> {}

impl<C> Clone for Sum<C> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for Sum<C> {}

/// Limbs as lanes.
#[inline(always)]
pub(super) fn lanes<C>(limbs: [__m512i; LIMBS]) -> Lanes<C> {
    Lanes(limbs, PhantomData)
}

/// A sum from its limbs, each below 2^62; the missing ones are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn sum_of_limbs<C>(limbs: [__m512i; LIMBS + 1]) -> Sum<C> {
    let mut sum = empty();
    for (out, limb) in sum.0.iter_mut().zip(limbs) {
        *out = limb;
    }
    sum
}

/// A sum of nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn empty<C>() -> Sum<C> {
    Sum([_mm512_setzero_si512(); 2 * LIMBS], PhantomData)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn word(x: u64) -> __m512i {
    _mm512_set1_epi64(x as i64)
}

/// The same stored form in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn broadcast<C: Config>(x: &Element<C>) -> Lanes<C> {
    words(split(x.0.0))
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn words<C>(x: [u64; LIMBS]) -> Lanes<C> {
    lanes([word(x[0]), word(x[1]), word(x[2]), word(x[3]), word(x[4])])
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn modulus<C: Config>() -> Lanes<C> {
    words(C::P)
}

/// Carries from limb to limb. Limbs may be negative, and so may the result be, in its last limb.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn carry<C>(mut x: Lanes<C>) -> Lanes<C> {
    for i in 0..LIMBS - 1 {
        x.0[i + 1] = _mm512_add_epi64(x.0[i + 1], _mm512_srai_epi64::<52>(x.0[i]));
        x.0[i] = _mm512_and_si512(x.0[i], word(MASK));
    }
    x
}

/// Limb by limb, not normalised.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_limbs<C>(mut a: Lanes<C>, b: &Lanes<C>) -> Lanes<C> {
    for i in 0..LIMBS {
        a.0[i] = _mm512_add_epi64(a.0[i], b.0[i]);
    }
    a
}

/// Limb by limb, not normalised, limbs possibly negative.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn sub_limbs<C>(mut a: Lanes<C>, b: &Lanes<C>) -> Lanes<C> {
    for i in 0..LIMBS {
        a.0[i] = _mm512_sub_epi64(a.0[i], b.0[i]);
    }
    a
}

/// `a + b`; bounds add up.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn add<C>(a: Lanes<C>, b: &Lanes<C>) -> Lanes<C> {
    carry(add_limbs(a, b))
}

/// `a − b + p` for `b ≤ p`: below the bound of `a` plus p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn sub<C: Config>(a: Lanes<C>, b: &Lanes<C>) -> Lanes<C> {
    carry(add_limbs(sub_limbs(a, b), &modulus()))
}

/// `a − b + k·p` for `b ≤ k·p`: below the bound of `a` plus `k·p`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn sub_of<const K: u64, C: Config>(a: Lanes<C>, b: &Lanes<C>) -> Lanes<C> {
    carry(add_limbs(sub_limbs(a, b), &words(C::P.map(|limb| K * limb))))
}

/// `p − a` for `0 < a ≤ p`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn negated<C: Config>(a: Lanes<C>) -> Lanes<C> {
    carry(sub_limbs(modulus(), &a))
}

/// `a` minus all of `terms`, limb by limb, for [`mul_add`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn minus<C, const N: usize>(mut a: Lanes<C>, terms: &[Lanes<C>; N]) -> Lanes<C> {
    for term in terms {
        a = sub_limbs(a, term);
    }
    a
}

/// `sum += a·b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn add_product<C: Config>(sum: &mut Sum<C>, a: &Lanes<C>, b: &Lanes<C>) {
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            sum.0[i + j] = _mm512_madd52lo_epu64(sum.0[i + j], a.0[i], b.0[j]);
            sum.0[i + j + 1] = _mm512_madd52hi_epu64(sum.0[i + j + 1], a.0[i], b.0[j]);
        }
    }
}

/// `sum·2^-260 + rest`, below p more than the sum of these. The limbs of `rest` may be negative; if the
/// result is, its last limb is.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn reduce_and_add<C: Config>(sum: Sum<C>, rest: Lanes<C>) -> Lanes<C> {
    let (p, mut sum) = (modulus::<C>().0, sum.0);
    for i in 0..LIMBS {
        // Makes limb i a multiple of 2^52.
        let m = _mm512_madd52lo_epu64(_mm512_setzero_si512(), sum[i], word(C::NEG_INVERSE));
        for j in 0..LIMBS {
            sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], m, p[j]);
            sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], m, p[j]);
        }
        sum[i + 1] = _mm512_add_epi64(sum[i + 1], _mm512_srli_epi64::<52>(sum[i]));
    }
    carry(add_limbs(rest, &lanes([sum[5], sum[6], sum[7], sum[8], sum[9]])))
}

/// `sum·2^-260`, below p more than that.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn reduce<C: Config>(sum: Sum<C>) -> Lanes<C> {
    reduce_and_add(sum, lanes([_mm512_setzero_si512(); LIMBS]))
}

/// `a·b·2^-260`, below p more than that.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn mul<C: Config>(a: &Lanes<C>, b: &Lanes<C>) -> Lanes<C> {
    let mut sum = empty();
    add_product(&mut sum, a, b);
    reduce(sum)
}

/// `a·a`: products of different limbs are computed once.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn square_sum<C: Config>(a: &Lanes<C>) -> Sum<C> {
    let mut sum = empty();
    for i in 0..LIMBS {
        for j in i + 1..LIMBS {
            sum.0[i + j] = _mm512_madd52lo_epu64(sum.0[i + j], a.0[i], a.0[j]);
            sum.0[i + j + 1] = _mm512_madd52hi_epu64(sum.0[i + j + 1], a.0[i], a.0[j]);
        }
    }
    for limb in &mut sum.0 {
        *limb = _mm512_add_epi64(*limb, *limb);
    }
    for (i, &limb) in a.0.iter().enumerate() {
        sum.0[2 * i] = _mm512_madd52lo_epu64(sum.0[2 * i], limb, limb);
        sum.0[2 * i + 1] = _mm512_madd52hi_epu64(sum.0[2 * i + 1], limb, limb);
    }
    sum
}

/// `a·a·2^-260`, below p more than that.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn square<C: Config>(a: &Lanes<C>) -> Lanes<C> {
    reduce(square_sum(a))
}

/// `16·a·a·2^-260 + rest`, as [`reduce_and_add`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn square_16_add<C: Config>(a: &Lanes<C>, rest: Lanes<C>) -> Lanes<C> {
    let mut sum = square_sum::<C>(a);
    // A limb is a sum of at most ten words of 52 bits.
    for limb in &mut sum.0 {
        *limb = _mm512_slli_epi64::<4>(*limb);
    }
    reduce_and_add(sum, rest)
}

/// `a·b·2^-260 + rest`, as [`reduce_and_add`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn mul_add<C: Config>(a: &Lanes<C>, b: &Lanes<C>, rest: Lanes<C>) -> Lanes<C> {
    let mut sum = empty();
    add_product(&mut sum, a, b);
    reduce_and_add(sum, rest)
}

/// `low + r·(high − low)` in 0 … p − 1, for `low` and `high` there, and `r16 = 16r mod p`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn mix<C: Config>(low: Lanes<C>, high: Lanes<C>, r16: &Lanes<C>) -> Lanes<C> {
    // The product is below (1 + 2/84)·p, low − p in −p … −1: the sum in −p … (1 + 2/84)·p.
    canonical(mul_add(&sub(high, &low), r16, sub_limbs(low, &modulus())))
}

/// `chosen` in the lanes of `mask`, `other` elsewhere.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn select<C>(mask: u8, chosen: &Lanes<C>, other: &Lanes<C>) -> Lanes<C> {
    let mut out = *other;
    for i in 0..LIMBS {
        out.0[i] = _mm512_mask_blend_epi64(mask, other.0[i], chosen.0[i]);
    }
    out
}

/// The lanes in which two canonical values are equal.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn equal<C>(a: &Lanes<C>, b: &Lanes<C>) -> u8 {
    let mut difference = _mm512_setzero_si512();
    for i in 0..LIMBS {
        difference = _mm512_or_si512(difference, _mm512_xor_si512(a.0[i], b.0[i]));
    }
    _mm512_testn_epi64_mask(difference, difference)
}

/// The value modulo p in 0 … p − 1, for −p ≤ x < 2p; if x is negative, its last limb is.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn canonical<C: Config>(x: Lanes<C>) -> Lanes<C> {
    let (zero, p) = (_mm512_setzero_si512(), modulus::<C>());
    let negative = _mm512_cmplt_epi64_mask(x.0[LIMBS - 1], zero);
    // x + p if x is negative, x − p otherwise; the latter is taken only if it is not negative.
    let mut moved = x;
    for i in 0..LIMBS {
        let step = _mm512_mask_blend_epi64(negative, word(C::P[i].wrapping_neg()), p.0[i]);
        moved.0[i] = _mm512_add_epi64(x.0[i], step);
    }
    moved = carry(moved);
    let stay = _mm512_cmplt_epi64_mask(moved.0[LIMBS - 1], zero);
    select(stay, &x, &moved)
}

/// 16 times a value below p, which is below 2^258.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn times_16<C>(mut x: Lanes<C>) -> Lanes<C> {
    for limb in &mut x.0 {
        *limb = _mm512_slli_epi64::<4>(*limb);
    }
    carry(x)
}

/// The sum over all lanes of a [`Sum`] of at most [`MAX_TERMS`] products, times 2^-260.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn total<C: Config>(sum: Sum<C>) -> Element<C> {
    let mut parts = [Element::<C>::ZERO; LANES];
    store(&mut parts, canonical(reduce(sum)));
    parts.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use ark_bn254::{FqConfig, FrConfig};
    use ark_ff::{BigInteger, UniformRand};
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use num_bigint::{BigInt, BigUint};

    use super::*;
    use crate::simd::memory::{load, load_pairs, pair_rows, store_words};

    fn modulus_of<C: Config>() -> BigInt {
        BigUint::from_bytes_le(&C::MODULUS.to_bytes_le()).into()
    }

    /// Normalised limbs of a value in −2^259 … 2^260 − 1, negative ones in the last limb only.
    fn limbs(x: &BigInt) -> [u64; LIMBS] {
        let base = BigInt::from(1u64 << 52);
        std::array::from_fn(|i| {
            let shifted: BigInt = x >> (52 * i);
            let limb = if i == LIMBS - 1 { shifted } else { ((shifted % &base) + &base) % &base };
            i64::try_from(limb).unwrap() as u64
        })
    }

    fn value(limbs: &[u64]) -> BigInt {
        limbs.iter().rev().fold(BigInt::ZERO, |high, &limb| (high << 52) + BigInt::from(limb as i64))
    }

    /// Eight vectors' worth of values at the edges of `low` … `high − 1`, and random ones.
    fn samples<C: Config>(low: &BigInt, high: &BigInt) -> Vec<[BigInt; LANES]> {
        let mut rng = StdRng::seed_from_u64(1);
        let p = modulus_of::<C>();
        let mut values = vec![low.clone(), low + 1, high - 1, high - 2];
        // Around every multiple of p, and values whose limbs are all ones or all zeros.
        for k in -2i32..=90 {
            values.extend((-1i32..=1).map(|d| &p * k + d));
        }
        for bits in [51u32, 52, 53, 104, 156, 207, 208, 209, 253, 254, 255, 256, 258, 259, 260] {
            let power: BigInt = BigInt::from(1) << bits;
            values.extend([BigInt::ZERO - &power, &power - 1, power.clone(), &power + 1]);
        }
        values.retain(|x| low <= x && x < high);
        while values.len() < 160 || !values.len().is_multiple_of(LANES) {
            let word: BigInt = BigUint::from_bytes_le(&Element::<C>::rand(&mut rng).0.to_bytes_le()).into();
            values.push(low + (word * (high - low)) / &p);
        }
        values.as_chunks::<LANES>().0.to_vec()
    }

    /// Runs `f` on vectors of limbs: what tests need to call functions that want instructions.
    fn run<C, const N: usize>(
        inputs: [&[BigInt; LANES]; N],
        f: impl Fn([Lanes<C>; N]) -> Lanes<C>,
    ) -> Option<[BigInt; LANES]> {
        Ifma::detect()?;
        let inputs = inputs.map(|values| {
            let rows: [[u64; LIMBS]; LANES] = std::array::from_fn(|i| limbs(&values[i]));
            let columns: [[u64; LANES]; LIMBS] = std::array::from_fn(|k| rows.map(|lane| lane[k]));
            // SAFETY: arrays of eight words and vectors of eight words are the same 64 bytes.
            lanes(columns.map(|column| unsafe { std::mem::transmute::<[u64; LANES], __m512i>(column) }))
        });
        // SAFETY: as above.
        let columns = f(inputs).0.map(|column| unsafe { std::mem::transmute::<__m512i, [u64; LANES]>(column) });
        Some(std::array::from_fn(|i| {
            let lane = columns.map(|column| column[i]);
            assert!(lane[..LIMBS - 1].iter().all(|&limb| limb <= MASK), "limbs are normalised");
            value(&lane)
        }))
    }

    #[test]
    fn splitting_keeps_the_value() {
        splitting_keeps_the_value_in::<FrConfig>();
        splitting_keeps_the_value_in::<FqConfig>();
    }

    fn splitting_keeps_the_value_in<C: Config>() {
        let mut rng = StdRng::seed_from_u64(2);
        for x in [Element::<C>::from(0), -Element::<C>::from(1), Element::<C>::rand(&mut rng)] {
            assert_eq!(value(&split(x.0.0)), BigUint::from_bytes_le(&x.0.to_bytes_le()).into());
        }
        assert_eq!(value(&C::P), modulus_of::<C>());
        assert_eq!((value(&C::P) * C::NEG_INVERSE + 1u32) % (1u64 << 52), BigInt::ZERO);
        assert!(value(&C::P) * 84 < BigInt::from(1) << 260);
    }

    #[test]
    fn reduction_is_exact_up_to_its_bounds() {
        reduction_is_exact_up_to_its_bounds_in::<FrConfig>();
        reduction_is_exact_up_to_its_bounds_in::<FqConfig>();
    }

    fn reduction_is_exact_up_to_its_bounds_in<C: Config>() {
        let p = modulus_of::<C>();
        for x in samples::<C>(&-p.clone(), &(&p * 2)) {
            // SAFETY: `run` calls this only if the instructions were detected.
            let Some(found) = run::<C, _>([&x], |[x]| unsafe { canonical(x) }) else { return };
            assert_eq!(found, x.map(|x| ((x % &p) + &p) % &p));
        }
    }

    #[test]
    fn sums_and_differences_are_exact_up_to_their_bounds() {
        sums_and_differences_are_exact_up_to_their_bounds_in::<FrConfig>();
        sums_and_differences_are_exact_up_to_their_bounds_in::<FqConfig>();
    }

    fn sums_and_differences_are_exact_up_to_their_bounds_in<C: Config>() {
        let p = modulus_of::<C>();
        let (wide, narrow) = (samples::<C>(&BigInt::ZERO, &(&p * 16)), samples::<C>(&BigInt::ZERO, &(&p + 1)));
        for (a, b) in wide.iter().zip(narrow.iter().cycle()) {
            // SAFETY: `run` calls this only if the instructions were detected.
            let Some(found) = run::<C, _>([a, b], |[a, b]| unsafe { add(a, &b) }) else { return };
            assert_eq!(found, std::array::from_fn(|i| &a[i] + &b[i]));
            // SAFETY: as above.
            let found = run::<C, _>([a, b], |[a, b]| unsafe { sub(a, &b) }).unwrap();
            assert_eq!(found, std::array::from_fn(|i| &a[i] - &b[i] + &p));
        }
        for a in samples::<C>(&BigInt::ZERO, &p) {
            // SAFETY: as above.
            let found = run::<C, _>([&a], |[a]| unsafe { times_16(a) }).unwrap();
            assert_eq!(found, a.map(|a| a * 16));
        }
    }

    #[test]
    fn products_stay_within_their_bounds() {
        products_stay_within_their_bounds_in::<FrConfig>();
        products_stay_within_their_bounds_in::<FqConfig>();
    }

    fn products_stay_within_their_bounds_in<C: Config>() {
        let (p, base) = (modulus_of::<C>(), BigInt::from(1) << 260);
        // The largest factors there are, and 16p times p, 4p times 4p.
        for (j, k) in [(1, 1), (16, 1), (4, 4), (2, 2), (42, 2), (80, 80)] {
            let (a, b) = (samples::<C>(&BigInt::ZERO, &(&p * j)), samples::<C>(&BigInt::ZERO, &(&p * k)));
            for (a, b) in a.iter().zip(b.iter().rev().cycle()).chain(a.iter().zip(b.iter().cycle())) {
                // SAFETY: `run` calls this only if the instructions were detected.
                let Some(found) = run::<C, _>([a, b], |[a, b]| unsafe { mul(&a, &b) }) else { return };
                for ((a, b), found) in a.iter().zip(b).zip(&found) {
                    assert_eq!((found * &base - a * b) % &p, BigInt::ZERO);
                    assert!(*found >= BigInt::ZERO && found * 84 < (84 + j * k) * &p);
                }
            }
        }
    }

    #[test]
    fn squares_are_products() {
        squares_are_products_in::<FrConfig>();
        squares_are_products_in::<FqConfig>();
    }

    fn squares_are_products_in<C: Config>() {
        let (p, base) = (modulus_of::<C>(), BigInt::from(1) << 260);
        for k in [1, 2, 4, 16, 80] {
            for a in samples::<C>(&BigInt::ZERO, &(&p * k)) {
                // SAFETY: `run` calls this only if the instructions were detected.
                let product = run::<C, _>([&a], |[a]| unsafe { mul(&a, &a) });
                // SAFETY: as above.
                assert_eq!(run::<C, _>([&a], |[a]| unsafe { square(&a) }), product);
            }
        }
        let (factors, rests) = (samples::<C>(&BigInt::ZERO, &(&p * 2)), samples::<C>(&-p.clone(), &p));
        for (a, rest) in factors.iter().zip(rests.iter().cycle()) {
            // SAFETY: as above.
            let Some(found) = run::<C, _>([a, rest], |[a, rest]| unsafe { square_16_add(&a, rest) }) else { return };
            for ((a, rest), found) in a.iter().zip(rest).zip(&found) {
                assert_eq!(((found - rest) * &base - 16 * a * a) % &p, BigInt::ZERO);
                assert!(*found >= rest.clone() && found * 84 < rest * 84 + (84 + 64) * &p);
            }
        }
    }

    #[test]
    fn rests_are_added_whatever_their_sign() {
        rests_are_added_whatever_their_sign_in::<FrConfig>();
        rests_are_added_whatever_their_sign_in::<FqConfig>();
    }

    fn rests_are_added_whatever_their_sign_in<C: Config>() {
        let (p, base) = (modulus_of::<C>(), BigInt::from(1) << 260);
        let (factors, rests) = (samples::<C>(&BigInt::ZERO, &(&p * 2)), samples::<C>(&-p.clone(), &p));
        for (a, rest) in factors.iter().zip(rests.iter().cycle()) {
            // SAFETY: `run` calls this only if the instructions were detected.
            let Some(found) = run::<C, _>([a, rest], |[a, rest]| unsafe { mul_add(&a, &a, rest) }) else { return };
            for ((a, rest), found) in a.iter().zip(rest).zip(&found) {
                assert_eq!(((found - rest) * &base - a * a) % &p, BigInt::ZERO);
                assert!(*found >= rest.clone() && found * 84 < rest * 84 + 88 * &p);
            }
        }
    }

    #[test]
    fn the_longest_sums_do_not_overflow() {
        the_longest_sums_do_not_overflow_in::<FrConfig>();
        the_longest_sums_do_not_overflow_in::<FqConfig>();
    }

    fn the_longest_sums_do_not_overflow_in<C: Config>() {
        let (p, base) = (modulus_of::<C>(), BigInt::from(1) << 260);
        // Factors of 2.1·p and p; then the largest ones that limbs can be.
        for (a, b, terms) in [(&p * 21 / 10, &p - 1, MAX_TERMS), (&base - 1, &base - 1, 3)] {
            let (a, b): ([BigInt; LANES], [BigInt; LANES]) =
                (std::array::from_fn(|i| &a - i), std::array::from_fn(|i| &b - i * i));
            let products = |[a, b]: [Lanes<C>; 2]| {
                // SAFETY: `run` calls this only if the instructions were detected.
                unsafe {
                    let mut sum = empty();
                    (0..terms).for_each(|_| add_product(&mut sum, &a, &b));
                    reduce(sum)
                }
            };
            let narrow = |x: &BigInt| x.bits() <= 259;
            let Some(found) = run::<C, _>([&a, &b], products) else { return };
            for ((a, b), found) in a.iter().zip(&b).zip(&found) {
                assert_eq!((found * &base - a * b * terms) % &p, BigInt::ZERO);
                assert!(!narrow(a) || *found < &p * 2);
            }
        }
    }

    #[test]
    fn layouts_are_inverse_to_each_other() {
        layouts_are_inverse_to_each_other_in::<FrConfig>();
        layouts_are_inverse_to_each_other_in::<FqConfig>();
    }

    fn layouts_are_inverse_to_each_other_in<C: Config>() {
        if Ifma::detect().is_none() {
            return;
        }
        let mut rng = StdRng::seed_from_u64(3);
        let random = |rng: &mut StdRng| Element::<C>::rand(rng);
        let eight: [Element<C>; LANES] = std::array::from_fn(|_| random(&mut rng));
        let pairs: [[Element<C>; 2]; LANES] = std::array::from_fn(|_| [random(&mut rng), random(&mut rng)]);
        let (mut out, mut columns, mut back) = (eight, [eight; 2], pairs);
        back.reverse();
        // SAFETY: the instructions were detected.
        unsafe {
            store(&mut out, load(&eight));
            let [a, b] = load_pairs(|i| &pairs[i]);
            store(&mut columns[0], a);
            store(&mut columns[1], b);
            for (out, row) in back.iter_mut().zip(pair_rows([a, b])) {
                store_words(out, row);
            }
        }
        assert_eq!(out, eight);
        assert_eq!(columns, [pairs.map(|pair| pair[0]), pairs.map(|pair| pair[1])]);
        assert_eq!(back, pairs);
    }
}
