//! Rounds of a sum-check over products of tables, on vectors: lane `i` works on the `i`-th of eight pairs.
//!
//! Sums of products are reduced once every [`MAX_TERMS`] vectors. Factors are differences below 2p and, for the
//! value at −1, below 3p, so that 16 terms stay below `(1 + 16·9.3/84)·p < 2.8p`: twice what is canonical at
//! once. Each product loses a factor of 16 (see [`super::lanes`]), which the total gets back.

use ark_bn254::{Fr, FrConfig};
use ark_ff::AdditiveGroup;

use super::lanes::{
    self, Ifma, add, add_product, broadcast, canonical, empty, minus, mix, modulus, mul, mul_add, reduce, sub,
};
use super::memory::{load, load_pairs, pair_rows, store, store_words};
use super::{LANES, ProductKernels};

type Lanes = lanes::Lanes<FrConfig>;
type Sum = lanes::Sum<FrConfig>;

/// Vectors of products that are summed before a reduction.
const MAX_TERMS: usize = 16;

/// Eight pairs, one vector of low and one of high entries.
type Pairs = [[Fr; 2]; LANES];

fn vectors<T>(slice: &[T], len: usize) -> &[[T; LANES]] {
    let (vectors, rest) = slice.as_chunks();
    assert!(slice.len() == len && rest.is_empty(), "slices of one length, a multiple of the lanes");
    vectors
}

/// The sum over the lanes; the sum of terms is below 3p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn total(sum: Sum) -> Fr {
    let mut parts = [Fr::ZERO; LANES];
    store(&mut parts, canonical(canonical(reduce(sum))));
    parts.into_iter().sum()
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_both(pairs: &Pairs) -> [Lanes; 2] {
    load_pairs(|i| &pairs[i])
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind(pairs: &[Pairs], r: Fr, out: &mut [[Fr; LANES]]) {
    let r16 = broadcast(&(r * Fr::from(16u64)));
    for (pairs, out) in pairs.iter().zip(out) {
        let [low, high] = load_both(pairs);
        store(out, mix(low, high, &r16));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn sums_of_two(a: &[Pairs], b: &[Pairs]) -> [Fr; 2] {
    let mut out = [Fr::ZERO; 2];
    for (a, b) in a.chunks(MAX_TERMS).zip(b.chunks(MAX_TERMS)) {
        let mut sums = [empty(); 2];
        for (a, b) in a.iter().zip(b) {
            let ([a0, a1], [b0, b1]) = (load_both(a), load_both(b));
            add_product(&mut sums[0], &a0, &b0);
            add_product(&mut sums[1], &sub(a1, &a0), &sub(b1, &b0));
        }
        out = [out[0] + total(sums[0]), out[1] + total(sums[1])];
    }
    out.map(|sum| sum * Fr::from(16u64))
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn sums_of_three(a: &[Pairs], b: &[Pairs], c: &[Pairs]) -> [Fr; 3] {
    let mut out = [Fr::ZERO; 3];
    let chunks = a.chunks(MAX_TERMS).zip(b.chunks(MAX_TERMS)).zip(c.chunks(MAX_TERMS));
    for ((a, b), c) in chunks {
        let mut sums = [empty(); 3];
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            let ([a0, a1], [b0, b1], [c0, c1]) = (load_both(a), load_both(b), load_both(c));
            add_product(&mut sums[0], &mul(&a0, &b0), &c0);
            // Below (1 + 4/84)·p, and 2p.
            add_product(&mut sums[1], &mul(&sub(a1, &a0), &sub(b1, &b0)), &sub(c1, &c0));
            // Values at −1: 2·low − high + p, below 3p; their product is below (1 + 9/84)·p.
            let at_minus_1 = [add(a0, &sub(a0, &a1)), add(b0, &sub(b0, &b1)), add(c0, &sub(c0, &c1))];
            add_product(&mut sums[2], &mul(&at_minus_1[0], &at_minus_1[1]), &at_minus_1[2]);
        }
        out = [out[0] + total(sums[0]), out[1] + total(sums[1]), out[2] + total(sums[2])];
    }
    out.map(|sum| sum * Fr::from(256u64))
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn weighted_sums(weights: &[[Fr; LANES]], a: &[Pairs], b: &[Pairs]) -> [Fr; 2] {
    let mut out = [Fr::ZERO; 2];
    let chunks = weights.chunks(MAX_TERMS).zip(a.chunks(MAX_TERMS).zip(b.chunks(MAX_TERMS)));
    for (weights, (a, b)) in chunks {
        let mut sums = [empty(); 2];
        for (weight, (a, b)) in weights.iter().zip(a.iter().zip(b)) {
            let (weight, [a0, a1], [b0, b1]) = (load(weight), load_both(a), load_both(b));
            add_product(&mut sums[0], &mul(&a0, &b0), &weight);
            add_product(&mut sums[1], &mul(&sub(a1, &a0), &sub(b1, &b0)), &weight);
        }
        out = [out[0] + total(sums[0]), out[1] + total(sums[1])];
    }
    out.map(|sum| sum * Fr::from(256u64))
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn dot(a: &[[Fr; LANES]], b: &[[Fr; LANES]]) -> Fr {
    let mut out = Fr::ZERO;
    for (a, b) in a.chunks(MAX_TERMS).zip(b.chunks(MAX_TERMS)) {
        let mut sum = empty();
        for (a, b) in a.iter().zip(b) {
            add_product(&mut sum, &load(a), &load(b));
        }
        out += total(sum);
    }
    out * Fr::from(16u64)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn scale(factor: Fr, values: &[[Fr; LANES]], out: &mut [[Fr; LANES]]) {
    let factor = broadcast(&(factor * Fr::from(16u64)));
    for (value, out) in values.iter().zip(out) {
        // Below (1 + 1/84)·p.
        store(out, canonical(mul(&load(value), &factor)));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_scaled(factor: Fr, values: &[[Fr; LANES]], sum: &mut [[Fr; LANES]]) {
    let factor = broadcast(&(factor * Fr::from(16u64)));
    for (value, sum) in values.iter().zip(sum) {
        // The product is below (1 + 1/84)·p, and what it is added to in −p … −1.
        let before = minus(load(sum), &[modulus()]);
        store(sum, canonical(mul_add(&load(value), &factor, before)));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn halve(values: &[[Fr; LANES]], r: Fr, out: &mut [Pairs]) {
    let r16 = broadcast(&(r * Fr::from(16u64)));
    for (value, out) in values.iter().zip(out) {
        let value = load(value);
        let high = canonical(mul(&value, &r16));
        let low = canonical(sub(value, &high));
        for (out, row) in out.iter_mut().zip(pair_rows([low, high])) {
            store_words(out, row);
        }
    }
}

impl ProductKernels<Fr> for Ifma {
    fn dot(&self, a: &[Fr], b: &[Fr]) -> Fr {
        let len = a.len();
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { dot(vectors(a, len), vectors(b, len)) }
    }

    fn scale(&self, factor: Fr, values: &[Fr], out: &mut [Fr]) {
        let (values, out) = (vectors(values, out.len()), out.as_chunks_mut().0);
        // SAFETY: as above.
        unsafe { scale(factor, values, out) }
    }

    fn add_scaled(&self, factor: Fr, values: &[Fr], sum: &mut [Fr]) {
        let (values, sum) = (vectors(values, sum.len()), sum.as_chunks_mut().0);
        // SAFETY: as above.
        unsafe { add_scaled(factor, values, sum) }
    }

    fn halve(&self, values: &[Fr], r: Fr, out: &mut [[Fr; 2]]) {
        let (values, out) = (vectors(values, out.len()), out.as_chunks_mut().0);
        // SAFETY: as above.
        unsafe { halve(values, r, out) }
    }

    fn bind(&self, pairs: &[[Fr; 2]], r: Fr, out: &mut [Fr]) {
        assert_eq!(pairs.len(), out.len(), "one entry a pair");
        let pairs = vectors(pairs, out.len());
        // SAFETY: as above.
        unsafe { bind(pairs, r, out.as_chunks_mut().0) }
    }

    fn sums_of_two(&self, a: &[[Fr; 2]], b: &[[Fr; 2]]) -> [Fr; 2] {
        let len = a.len();
        // SAFETY: as above.
        unsafe { sums_of_two(vectors(a, len), vectors(b, len)) }
    }

    fn sums_of_three(&self, a: &[[Fr; 2]], b: &[[Fr; 2]], c: &[[Fr; 2]]) -> [Fr; 3] {
        let len = a.len();
        // SAFETY: as above.
        unsafe { sums_of_three(vectors(a, len), vectors(b, len), vectors(c, len)) }
    }

    fn weighted_sums(&self, weights: &[Fr], a: &[[Fr; 2]], b: &[[Fr; 2]]) -> [Fr; 2] {
        let len = a.len();
        // SAFETY: as above.
        unsafe { weighted_sums(vectors(weights, len), vectors(a, len), vectors(b, len)) }
    }
}

#[cfg(test)]
mod tests {
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use proptest::prelude::*;

    use super::*;
    use crate::simd::fraction::tests::element;

    fn pairs(rng: &mut StdRng, len: usize) -> Vec<[Fr; 2]> {
        (0..len).map(|_| [element(rng), element(rng)]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn rounds_are_those_of_the_library(vectors in 0usize..40, seed: u64) {
            let Some(ifma) = Ifma::detect() else { return Ok(()) };
            let (mut rng, len) = (StdRng::seed_from_u64(seed), vectors * LANES);
            let (a, b, c) = (pairs(&mut rng, len), pairs(&mut rng, len), pairs(&mut rng, len));
            let weights: Vec<Fr> = (0..len).map(|_| element(&mut rng)).collect();
            let r = element(&mut rng);
            let slope = |x: &[Fr; 2]| x[1] - x[0];
            let at_minus_1 = |x: &[Fr; 2]| x[0].double() - x[1];
            let sum = |f: &dyn Fn(usize) -> Fr| (0..len).map(f).sum::<Fr>();

            let (values, mut out) = (a.as_flattened()[..len].to_vec(), weights.clone());
            prop_assert_eq!(ifma.dot(&weights, &values), sum(&|i| weights[i] * values[i]));
            ifma.add_scaled(r, &values, &mut out);
            prop_assert_eq!(&out, &weights.iter().zip(&values).map(|(w, v)| *w + r * v).collect::<Vec<_>>());
            ifma.scale(r, &values, &mut out);
            prop_assert_eq!(&out, &values.iter().map(|v| r * v).collect::<Vec<_>>());
            let mut halves = b.clone();
            ifma.halve(&values, r, &mut halves);
            prop_assert_eq!(halves, values.iter().map(|v| [*v - r * v, r * v]).collect::<Vec<_>>());

            ifma.bind(&a, r, &mut out);
            prop_assert_eq!(out, a.iter().map(|x| x[0] + r * slope(x)).collect::<Vec<_>>());
            prop_assert_eq!(
                ifma.sums_of_two(&a, &b),
                [sum(&|i| a[i][0] * b[i][0]), sum(&|i| slope(&a[i]) * slope(&b[i]))]
            );
            prop_assert_eq!(
                ifma.weighted_sums(&weights, &a, &b),
                [sum(&|i| weights[i] * a[i][0] * b[i][0]), sum(&|i| weights[i] * slope(&a[i]) * slope(&b[i]))]
            );
            prop_assert_eq!(ifma.sums_of_three(&a, &b, &c), [
                sum(&|i| a[i][0] * b[i][0] * c[i][0]),
                sum(&|i| slope(&a[i]) * slope(&b[i]) * slope(&c[i])),
                sum(&|i| at_minus_1(&a[i]) * at_minus_1(&b[i]) * at_minus_1(&c[i])),
            ]);
        }
    }
}
