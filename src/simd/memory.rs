//! Field elements on their way between memory and registers: words of 64 bits there, limbs of 52 bits here.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_and_si512, _mm512_castsi256_si512,
    _mm512_inserti64x4, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutex2var_epi64, _mm512_set_epi64,
    _mm512_setzero_si512, _mm512_shrdi_epi64, _mm512_shuffle_i64x2, _mm512_slli_epi64, _mm512_srli_epi64,
    _mm512_storeu_si512, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::lanes::{Config, Element, LIMBS, Lanes, MASK, lanes, word};
use super::{LANES, Saved};

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_words<C: Config>(two: &[Element<C>; 2]) -> __m512i {
    const { assert!(size_of::<Element<C>>() == 32) };
    // SAFETY: 64 bytes are read from a reference to 64 bytes, which are eight words: an element is four words and
    // nothing else, as its size says. The load needs no alignment.
    unsafe { _mm512_loadu_si512(two.as_ptr().cast()) }
}

/// Two elements that are not neighbours, as if they were.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn load_apart<C: Config>(a: &Element<C>, b: &Element<C>) -> __m512i {
    const { assert!(size_of::<Element<C>>() == 32) };
    // SAFETY: 32 bytes each are read from references to 32 bytes, which are four words: an element is nothing else,
    // as its size says. The loads need no alignment.
    let [a, b] = [a, b].map(|x| unsafe { _mm256_loadu_si256(std::ptr::from_ref(x).cast()) });
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn save<C>(out: &mut Saved, x: &Lanes<C>) {
    for (out, limb) in out.iter_mut().zip(x.0) {
        // SAFETY: 64 bytes are written through an exclusive reference to 64 bytes, which any words are valid for.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), limb) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn restore<C>(saved: &Saved) -> Lanes<C> {
    lanes(limbs_of(saved))
}

/// The limbs of lanes in memory.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn limbs_of(saved: &Saved) -> [__m512i; LIMBS] {
    let mut limbs = [_mm512_setzero_si512(); LIMBS];
    for (limb, saved) in limbs.iter_mut().zip(saved) {
        // SAFETY: 64 bytes are read from a reference to 64 bytes. The load needs no alignment.
        *limb = unsafe { _mm512_loadu_si512(saved.as_ptr().cast()) };
    }
    limbs
}

/// Asks for a value that will be needed.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn prefetch<T>(value: &T) {
    // SAFETY: prefetching reads nothing that the program could see, and cannot fault, whatever the address.
    #[allow(unused_unsafe)] // newer compilers know
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>());
    }
}

/// Asks for entry `i` of a table, if there is one.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn prefetch_at<T>(table: &[T], i: usize) {
    // SAFETY: prefetching reads nothing that the program could see, and cannot fault, whatever the address.
    #[allow(unused_unsafe)] // newer compilers know
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(table.as_ptr().wrapping_add(i).cast::<i8>());
    }
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
pub(super) fn store_words<C: Config>(two: &mut [Element<C>; 2], words: __m512i) {
    const { assert!(size_of::<Element<C>>() == 32) };
    // SAFETY: 64 bytes are written through an exclusive reference to 64 bytes, which are eight words, and any
    // words are valid ones. That they are below p is a matter of correctness: callers store canonical values.
    unsafe { _mm512_storeu_si512(two.as_mut_ptr().cast(), words) }
}

/// Word `k` of row `i` becomes word `i` of row `k`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn transpose(rows: [__m512i; 8]) -> [__m512i; 8] {
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
pub(super) fn from_words<C>(x: [__m512i; 4]) -> Lanes<C> {
    let mask = word(MASK);
    lanes([
        _mm512_and_si512(x[0], mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<52>(x[0], x[1]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<40>(x[1], x[2]), mask),
        _mm512_and_si512(_mm512_shrdi_epi64::<28>(x[2], x[3]), mask),
        _mm512_srli_epi64::<16>(x[3]),
    ])
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn to_words<C>(x: Lanes<C>) -> [__m512i; 4] {
    let x = x.0;
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
pub(super) fn load_pairs<'a, C: Config>(pair: impl Fn(usize) -> &'a [Element<C>; 2]) -> [Lanes<C>; 2] {
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (i, row) in rows.iter_mut().enumerate() {
        *row = load_words(pair(i));
    }
    lanes_of_rows(rows)
}

/// [`load_pairs`] of elements that are not neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn load_pairs_apart<'a, C: Config>(pair: impl Fn(usize) -> [&'a Element<C>; 2]) -> [Lanes<C>; 2] {
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (i, row) in rows.iter_mut().enumerate() {
        let [a, b] = pair(i);
        *row = load_apart(a, b);
    }
    lanes_of_rows(rows)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn lanes_of_rows<C: Config>(rows: [__m512i; LANES]) -> [Lanes<C>; 2] {
    let t = transpose(rows);
    [from_words([t[0], t[1], t[2], t[3]]), from_words([t[4], t[5], t[6], t[7]])]
}

/// The rows of eight pairs, of canonical values; the `i`-th is for [`store_words`].
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn pair_rows<C>([a, b]: [Lanes<C>; 2]) -> [__m512i; 8] {
    let (a, b) = (to_words(a), to_words(b));
    transpose([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]])
}

/// Eight elements in a row.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn load<C: Config>(x: &[Element<C>; LANES]) -> Lanes<C> {
    let (pairs, _) = x.as_chunks::<2>();
    lanes_of_pairs([load_words(&pairs[0]), load_words(&pairs[1]), load_words(&pairs[2]), load_words(&pairs[3])])
}

/// Eight elements that are not neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
pub(super) fn load_eight_apart<'a, C: Config>(x: impl Fn(usize) -> &'a Element<C>) -> Lanes<C> {
    let mut pairs = [_mm512_setzero_si512(); LANES / 2];
    for (i, pair) in pairs.iter_mut().enumerate() {
        *pair = load_apart(x(2 * i), x(2 * i + 1));
    }
    lanes_of_pairs(pairs)
}

/// Eight elements, from their words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn lanes_of_pairs<C: Config>(two: [__m512i; LANES / 2]) -> Lanes<C> {
    // Words 0, 1 and 2, 3 of four elements.
    let low = _mm512_set_epi64(13, 9, 5, 1, 12, 8, 4, 0);
    let high = _mm512_set_epi64(15, 11, 7, 3, 14, 10, 6, 2);
    let a = [_mm512_permutex2var_epi64(two[0], low, two[1]), _mm512_permutex2var_epi64(two[0], high, two[1])];
    let b = [_mm512_permutex2var_epi64(two[2], low, two[3]), _mm512_permutex2var_epi64(two[2], high, two[3])];
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
pub(super) fn store<C: Config>(out: &mut [Element<C>; LANES], x: Lanes<C>) {
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
