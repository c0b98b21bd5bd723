//! Eight elements of the scalar field of BN254 in AVX-512 registers, in radix 2^52.
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
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_cmplt_epi64_mask,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_or_si512,
    _mm512_permutex2var_epi64, _mm512_set_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shrdi_epi64,
    _mm512_shuffle_i64x2, _mm512_slli_epi64, _mm512_srai_epi64, _mm512_srli_epi64, _mm512_storeu_si512,
    _mm512_sub_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use ark_bn254::{Fr, FrConfig};
use ark_ff::{AdditiveGroup, MontConfig, PrimeField};

use super::LANES;
use crate::sumcheck::small::SmallField;

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

const LIMBS: usize = 5;
const MASK: u64 = (1 << 52) - 1;
/// The modulus p.
const P: [u64; LIMBS] = split(Fr::MODULUS.0);
/// `−1/p mod 2^52`.
const NEG_INVERSE: u64 = <FrConfig as MontConfig<4>>::INV & MASK;
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
pub(super) type Lanes = [__m512i; LIMBS];

/// Sum of products that are not reduced yet; limbs of 64 bits that weigh 2^52 each.
pub(super) type Sum = [__m512i; 2 * LIMBS];

/// A sum of nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn empty() -> Sum {
    [_mm512_setzero_si512(); 2 * LIMBS]
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn word(x: u64) -> __m512i {
    _mm512_set1_epi64(x as i64)
}

/// The same stored form in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn broadcast(x: &Fr) -> Lanes {
    let x = split(x.0.0);
    [word(x[0]), word(x[1]), word(x[2]), word(x[3]), word(x[4])]
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn modulus() -> Lanes {
    [word(P[0]), word(P[1]), word(P[2]), word(P[3]), word(P[4])]
}

/// Carries from limb to limb. Limbs may be negative, and so may the result be, in its last limb.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn carry(mut x: Lanes) -> Lanes {
    for i in 0..LIMBS - 1 {
        x[i + 1] = _mm512_add_epi64(x[i + 1], _mm512_srai_epi64::<52>(x[i]));
        x[i] = _mm512_and_si512(x[i], word(MASK));
    }
    x
}

/// Limb by limb, not normalised.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_limbs(mut a: Lanes, b: &Lanes) -> Lanes {
    for i in 0..LIMBS {
        a[i] = _mm512_add_epi64(a[i], b[i]);
    }
    a
}

/// Limb by limb, not normalised, limbs possibly negative.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn sub_limbs(mut a: Lanes, b: &Lanes) -> Lanes {
    for i in 0..LIMBS {
        a[i] = _mm512_sub_epi64(a[i], b[i]);
    }
    a
}

/// `a + b`; bounds add up.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn add(a: Lanes, b: &Lanes) -> Lanes {
    carry(add_limbs(a, b))
}

/// `a − b + p` for `b ≤ p`: below the bound of `a` plus p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn sub(a: Lanes, b: &Lanes) -> Lanes {
    carry(add_limbs(sub_limbs(a, b), &modulus()))
}

/// `sum += a·b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn add_product(sum: &mut Sum, a: &Lanes, b: &Lanes) {
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], a[i], b[j]);
            sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], a[i], b[j]);
        }
    }
}

/// `sum·2^-260 + rest`, below p more than the sum of these. The limbs of `rest` may be negative; if the
/// result is, its last limb is.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn reduce_and_add(mut sum: Sum, rest: Lanes) -> Lanes {
    let p = modulus();
    for i in 0..LIMBS {
        // Makes limb i a multiple of 2^52.
        let m = _mm512_madd52lo_epu64(_mm512_setzero_si512(), sum[i], word(NEG_INVERSE));
        for j in 0..LIMBS {
            sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], m, p[j]);
            sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], m, p[j]);
        }
        sum[i + 1] = _mm512_add_epi64(sum[i + 1], _mm512_srli_epi64::<52>(sum[i]));
    }
    carry(add_limbs(rest, &[sum[5], sum[6], sum[7], sum[8], sum[9]]))
}

/// `sum·2^-260`, below p more than that.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn reduce(sum: Sum) -> Lanes {
    reduce_and_add(sum, [_mm512_setzero_si512(); LIMBS])
}

/// `a·b·2^-260`, below p more than that.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn mul(a: &Lanes, b: &Lanes) -> Lanes {
    let mut sum = empty();
    add_product(&mut sum, a, b);
    reduce(sum)
}

/// `a·b·2^-260 + rest`, as [`reduce_and_add`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn mul_add(a: &Lanes, b: &Lanes, rest: Lanes) -> Lanes {
    let mut sum = empty();
    add_product(&mut sum, a, b);
    reduce_and_add(sum, rest)
}

/// `low + r·(high − low)` in 0 … p − 1, for `low` and `high` there, and `r16 = 16r mod p`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn mix(low: Lanes, high: Lanes, r16: &Lanes) -> Lanes {
    // The product is below (1 + 2/84)·p, low − p in −p … −1: the sum in −p … (1 + 2/84)·p.
    canonical(mul_add(&sub(high, &low), r16, sub_limbs(low, &modulus())))
}

/// The value modulo p in 0 … p − 1, for −p ≤ x < 2p; if x is negative, its last limb is.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn canonical(x: Lanes) -> Lanes {
    let (zero, p) = (_mm512_setzero_si512(), modulus());
    let negative = _mm512_cmplt_epi64_mask(x[LIMBS - 1], zero);
    // x + p if x is negative, x − p otherwise; the latter is taken only if it is not negative.
    let mut moved = x;
    for i in 0..LIMBS {
        let step = _mm512_mask_blend_epi64(negative, word(P[i].wrapping_neg()), p[i]);
        moved[i] = _mm512_add_epi64(x[i], step);
    }
    moved = carry(moved);
    let stay = _mm512_cmplt_epi64_mask(moved[LIMBS - 1], zero);
    for i in 0..LIMBS {
        moved[i] = _mm512_mask_blend_epi64(stay, moved[i], x[i]);
    }
    moved
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_words(two: &[Fr; 2]) -> __m512i {
    const { assert!(size_of::<Fr>() == 32) };
    // SAFETY: 64 bytes are read from a reference to 64 bytes, which are eight words: an `Fr` is four words and
    // nothing else, as its size says. The load needs no alignment.
    unsafe { _mm512_loadu_si512(two.as_ptr().cast()) }
}

/// Asks for the values that follow `current` in memory: the machine guesses no further than a page.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn prefetch_after<T>(current: &T) {
    let next = std::ptr::from_ref(current).wrapping_add(1).cast::<i8>();
    for line in 0..size_of::<T>() / 64 {
        // SAFETY: prefetching reads nothing that the program could see, and cannot fault, whatever the address.
        #[allow(unused_unsafe)] // newer compilers know
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(64 * line))
        }
    }
}

/// Stores words, such as a row of [`pair_rows`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn store_words(two: &mut [Fr; 2], words: __m512i) {
    const { assert!(size_of::<Fr>() == 32) };
    // SAFETY: 64 bytes are written through an exclusive reference to 64 bytes, which are eight words, and any
    // words are valid ones. That they are below p is a matter of correctness: callers store canonical values.
    unsafe { _mm512_storeu_si512(two.as_mut_ptr().cast(), words) }
}

/// Word `k` of row `i` becomes word `i` of row `k`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn transpose(rows: [__m512i; 8]) -> [__m512i; 8] {
    let mut out = rows;
    for odd in 0..2 {
        // Blocks of two rows by one column; columns odd, 2 + odd, 4 + odd, 6 + odd.
        let mut blocks = [rows[0]; 4];
        for i in 0..4 {
            blocks[i] = match odd {
                0 => _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]),
                _ => _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]),
            };
        }
        let upper = _mm512_shuffle_i64x2::<0x88>(blocks[0], blocks[1]);
        let lower = _mm512_shuffle_i64x2::<0x88>(blocks[2], blocks[3]);
        out[odd] = _mm512_shuffle_i64x2::<0x88>(upper, lower);
        out[4 + odd] = _mm512_shuffle_i64x2::<0xdd>(upper, lower);
        let upper = _mm512_shuffle_i64x2::<0xdd>(blocks[0], blocks[1]);
        let lower = _mm512_shuffle_i64x2::<0xdd>(blocks[2], blocks[3]);
        out[2 + odd] = _mm512_shuffle_i64x2::<0x88>(upper, lower);
        out[6 + odd] = _mm512_shuffle_i64x2::<0xdd>(upper, lower);
    }
    out
}

/// Limbs of 52 bits, from words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn from_words(x: [__m512i; 4]) -> Lanes {
    let mask = word(MASK);
    [
        _mm512_and_si512(x[0], mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<52>(x[0], x[1]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<40>(x[1], x[2]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<28>(x[2], x[3]), mask),
        _mm512_srli_epi64::<16>(x[3]),
    ]
}

/// 16 times a value below p, which is below 2^258.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn times_16(mut x: Lanes) -> Lanes {
    for limb in &mut x {
        *limb = _mm512_slli_epi64::<4>(*limb);
    }
    carry(x)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn to_words(x: Lanes) -> [__m512i; 4] {
    [
        _mm512_or_si512(x[0], _mm512_slli_epi64::<52>(x[1])),
        _mm512_or_si512(_mm512_srli_epi64::<12>(x[1]), _mm512_slli_epi64::<40>(x[2])),
        _mm512_or_si512(_mm512_srli_epi64::<24>(x[2]), _mm512_slli_epi64::<28>(x[3])),
        _mm512_or_si512(_mm512_srli_epi64::<36>(x[3]), _mm512_slli_epi64::<16>(x[4])),
    ]
}

/// The two elements, one vector each, of eight pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn load_pairs<'a>(pair: impl Fn(usize) -> &'a [Fr; 2]) -> [Lanes; 2] {
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = load_words(pair(i));
    }
    let t = transpose(rows);
    [from_words([t[0], t[1], t[2], t[3]]), from_words([t[4], t[5], t[6], t[7]])]
}

/// The rows of eight pairs, of canonical values; the `i`-th is for [`store_words`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn pair_rows([a, b]: [Lanes; 2]) -> [__m512i; 8] {
    let (a, b) = (to_words(a), to_words(b));
    transpose([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]])
}

/// Eight elements in a row.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn load(x: &[Fr; LANES]) -> Lanes {
    let (pairs, _) = x.as_chunks::<2>();
    let two = |i: usize| load_words(&pairs[i]);
    // Words 0, 1 and 2, 3 of four elements.
    let low = _mm512_set_epi64(13, 9, 5, 1, 12, 8, 4, 0);
    let high = _mm512_set_epi64(15, 11, 7, 3, 14, 10, 6, 2);
    let a = [_mm512_permutex2var_epi64(two(0), low, two(1)), _mm512_permutex2var_epi64(two(0), high, two(1))];
    let b = [_mm512_permutex2var_epi64(two(2), low, two(3)), _mm512_permutex2var_epi64(two(2), high, two(3))];
    from_words([
        _mm512_shuffle_i64x2::<0x44>(a[0], b[0]),
        _mm512_shuffle_i64x2::<0xee>(a[0], b[0]),
        _mm512_shuffle_i64x2::<0x44>(a[1], b[1]),
        _mm512_shuffle_i64x2::<0xee>(a[1], b[1]),
    ])
}

/// Stores eight canonical values in a row.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn store(out: &mut [Fr; LANES], x: Lanes) {
    let w = to_words(x);
    // Words 0, 1 and 2, 3 of each element, lower and upper four elements.
    let a = [_mm512_unpacklo_epi64(w[0], w[1]), _mm512_unpackhi_epi64(w[0], w[1])];
    let b = [_mm512_unpacklo_epi64(w[2], w[3]), _mm512_unpackhi_epi64(w[2], w[3])];
    // a[0] has words 0, 1 of elements 0, 2, 4, 6; a[1] those of 1, 3, 5, 7.
    let join = |first: __m512i, second: __m512i, index: __m512i| _mm512_permutex2var_epi64(first, index, second);
    let low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
    let high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    // Elements 0, 2 and 4, 6; then 1, 3 and 5, 7.
    let rows = [join(a[0], b[0], low), join(a[0], b[0], high), join(a[1], b[1], low), join(a[1], b[1], high)];
    let (pairs, _) = out.as_chunks_mut::<2>();
    store_words(&mut pairs[0], _mm512_shuffle_i64x2::<0x44>(rows[0], rows[2]));
    store_words(&mut pairs[1], _mm512_shuffle_i64x2::<0xee>(rows[0], rows[2]));
    store_words(&mut pairs[2], _mm512_shuffle_i64x2::<0x44>(rows[1], rows[3]));
    store_words(&mut pairs[3], _mm512_shuffle_i64x2::<0xee>(rows[1], rows[3]));
}

/// The sum over all lanes of a [`Sum`] of at most [`MAX_TERMS`] products, times 2^-260.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn total(sum: Sum) -> Fr {
    let mut lanes = [Fr::ZERO; LANES];
    store(&mut lanes, canonical(reduce(sum)));
    lanes[1..].iter().fold(lanes[0], |total, &lane| total.plus(lane))
}

#[cfg(test)]
mod tests {
    use ark_ff::{BigInteger, UniformRand};
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use num_bigint::{BigInt, BigUint};

    use super::*;

    fn modulus_of_the_field() -> BigInt {
        BigUint::from_bytes_le(&Fr::MODULUS.to_bytes_le()).into()
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
    fn samples(low: &BigInt, high: &BigInt) -> Vec<[BigInt; LANES]> {
        let mut rng = StdRng::seed_from_u64(1);
        let p = modulus_of_the_field();
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
            let word: BigInt = BigUint::from_bytes_le(&Fr::rand(&mut rng).0.to_bytes_le()).into();
            values.push(low + (word * (high - low)) / &p);
        }
        values.as_chunks::<LANES>().0.to_vec()
    }

    /// Runs `f` on vectors of limbs: what tests need to call functions that want instructions.
    fn run<const N: usize>(inputs: [&[BigInt; LANES]; N], f: impl Fn([Lanes; N]) -> Lanes) -> Option<[BigInt; LANES]> {
        Ifma::detect()?;
        let inputs = inputs.map(|lanes| {
            let lanes: [[u64; LIMBS]; LANES] = std::array::from_fn(|i| limbs(&lanes[i]));
            let columns: [[u64; LANES]; LIMBS] = std::array::from_fn(|k| lanes.map(|lane| lane[k]));
            // SAFETY: arrays of eight words and vectors of eight words are the same 64 bytes.
            columns.map(|column| unsafe { std::mem::transmute::<[u64; LANES], __m512i>(column) })
        });
        // SAFETY: as above.
        let columns = f(inputs).map(|column| unsafe { std::mem::transmute::<__m512i, [u64; LANES]>(column) });
        Some(std::array::from_fn(|i| {
            let lane = columns.map(|column| column[i]);
            assert!(lane[..LIMBS - 1].iter().all(|&limb| limb <= MASK), "limbs are normalised");
            value(&lane)
        }))
    }

    #[test]
    fn splitting_keeps_the_value() {
        let mut rng = StdRng::seed_from_u64(2);
        for x in [Fr::from(0), -Fr::from(1), Fr::rand(&mut rng)] {
            assert_eq!(value(&split(x.0.0)), BigUint::from_bytes_le(&x.0.to_bytes_le()).into());
        }
        assert_eq!(value(&P), modulus_of_the_field());
        assert_eq!((value(&P) * NEG_INVERSE + 1u32) % (1u64 << 52), BigInt::ZERO);
        assert!(value(&P) * 84 < BigInt::from(1) << 260);
    }

    #[test]
    fn reduction_is_exact_up_to_its_bounds() {
        let p = modulus_of_the_field();
        for x in samples(&-p.clone(), &(&p * 2)) {
            // SAFETY: `run` calls this only if the instructions were detected.
            let Some(found) = run([&x], |[x]| unsafe { canonical(x) }) else { return };
            assert_eq!(found, x.map(|x| ((x % &p) + &p) % &p));
        }
    }

    #[test]
    fn sums_and_differences_are_exact_up_to_their_bounds() {
        let p = modulus_of_the_field();
        let (wide, narrow) = (samples(&BigInt::ZERO, &(&p * 16)), samples(&BigInt::ZERO, &(&p + 1)));
        for (a, b) in wide.iter().zip(narrow.iter().cycle()) {
            // SAFETY: `run` calls this only if the instructions were detected.
            let Some(found) = run([a, b], |[a, b]| unsafe { add(a, &b) }) else { return };
            assert_eq!(found, std::array::from_fn(|i| &a[i] + &b[i]));
            // SAFETY: as above.
            let found = run([a, b], |[a, b]| unsafe { sub(a, &b) }).unwrap();
            assert_eq!(found, std::array::from_fn(|i| &a[i] - &b[i] + &p));
        }
        for a in samples(&BigInt::ZERO, &p) {
            // SAFETY: as above.
            let found = run([&a], |[a]| unsafe { times_16(a) }).unwrap();
            assert_eq!(found, a.map(|a| a * 16));
        }
    }

    #[test]
    fn products_stay_within_their_bounds() {
        let (p, base) = (modulus_of_the_field(), BigInt::from(1) << 260);
        // The largest factors there are, and 16p times p, 4p times 4p.
        for (j, k) in [(1, 1), (16, 1), (4, 4), (2, 2), (42, 2), (80, 80)] {
            let (a, b) = (samples(&BigInt::ZERO, &(&p * j)), samples(&BigInt::ZERO, &(&p * k)));
            for (a, b) in a.iter().zip(b.iter().rev().cycle()).chain(a.iter().zip(b.iter().cycle())) {
                // SAFETY: `run` calls this only if the instructions were detected.
                let Some(found) = run([a, b], |[a, b]| unsafe { mul(&a, &b) }) else { return };
                for ((a, b), found) in a.iter().zip(b).zip(&found) {
                    assert_eq!((found * &base - a * b) % &p, BigInt::ZERO);
                    assert!(*found >= BigInt::ZERO && found * 84 < (84 + j * k) * &p);
                }
            }
        }
    }

    #[test]
    fn rests_are_added_whatever_their_sign() {
        let (p, base) = (modulus_of_the_field(), BigInt::from(1) << 260);
        let (factors, rests) = (samples(&BigInt::ZERO, &(&p * 2)), samples(&-p.clone(), &p));
        for (a, rest) in factors.iter().zip(rests.iter().cycle()) {
            // SAFETY: `run` calls this only if the instructions were detected.
            let Some(found) = run([a, rest], |[a, rest]| unsafe { mul_add(&a, &a, rest) }) else { return };
            for ((a, rest), found) in a.iter().zip(rest).zip(&found) {
                assert_eq!(((found - rest) * &base - a * a) % &p, BigInt::ZERO);
                assert!(*found >= rest.clone() && found * 84 < rest * 84 + 88 * &p);
            }
        }
    }

    #[test]
    fn the_longest_sums_do_not_overflow() {
        let (p, base) = (modulus_of_the_field(), BigInt::from(1) << 260);
        // Factors of 2.1·p and p; then the largest ones that limbs can be.
        for (a, b, terms) in [(&p * 21 / 10, &p - 1, MAX_TERMS), (&base - 1, &base - 1, 3)] {
            let (a, b): ([BigInt; LANES], [BigInt; LANES]) =
                (std::array::from_fn(|i| &a - i), std::array::from_fn(|i| &b - i * i));
            let products = |[a, b]: [Lanes; 2]| {
                // SAFETY: `run` calls this only if the instructions were detected.
                unsafe {
                    let mut sum = empty();
                    (0..terms).for_each(|_| add_product(&mut sum, &a, &b));
                    reduce(sum)
                }
            };
            let narrow = |x: &BigInt| x.bits() <= 259;
            let Some(found) = run([&a, &b], products) else { return };
            for ((a, b), found) in a.iter().zip(&b).zip(&found) {
                assert_eq!((found * &base - a * b * terms) % &p, BigInt::ZERO);
                assert!(!narrow(a) || *found < &p * 2);
            }
        }
    }

    #[test]
    fn layouts_are_inverse_to_each_other() {
        if Ifma::detect().is_none() {
            return;
        }
        let mut rng = StdRng::seed_from_u64(3);
        let eight: [Fr; LANES] = std::array::from_fn(|_| Fr::rand(&mut rng));
        let pairs: [[Fr; 2]; LANES] = std::array::from_fn(|_| [Fr::rand(&mut rng), Fr::rand(&mut rng)]);
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
