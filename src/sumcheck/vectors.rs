//! Sums and multiples of vectors of field elements.
//!
//! Kernels take what fills whole vectors; the rest is computed one by one. The verifier calls these too: slices are cut
//! to the shorter one, or to what a caller has checked, and nothing else can be out of range.

use super::small::SmallField;
use crate::simd::LANES;

/// How many of `len` entries fill whole vectors.
fn whole(len: usize) -> usize {
    len / LANES * LANES
}

/// `Σ_i a[i]·b[i]` over as many entries as both have.
#[must_use]
pub fn dot<F: SmallField>(a: &[F], b: &[F]) -> F {
    let len = a.len().min(b.len());
    let (mut a, mut b) = (&a[..len], &b[..len]);
    let mut sum = F::ZERO;
    if let Some(kernels) = F::product_kernels() {
        let (heads, tails) = (a.split_at(whole(len)), b.split_at(whole(len)));
        sum = kernels.dot(heads.0, tails.0);
        (a, b) = (heads.1, tails.1);
    }
    sum + a.iter().zip(b).map(|(&a, &b)| a * b).sum::<F>()
}

/// `factor·values`.
#[must_use]
pub fn scaled<F: SmallField>(factor: F, values: &[F]) -> Vec<F> {
    let mut out = Vec::with_capacity(values.len());
    if let Some(kernels) = F::product_kernels() {
        out.resize(whole(values.len()), F::ZERO);
        kernels.scale(factor, &values[..out.len()], &mut out);
    }
    out.extend(values[out.len()..].iter().map(|&value| factor * value));
    out
}

/// `sum += factor·values`, for as many entries as both have.
pub fn add_scaled<F: SmallField>(sum: &mut [F], factor: F, values: &[F]) {
    let len = sum.len().min(values.len());
    let start = match F::product_kernels() {
        Some(kernels) => {
            kernels.add_scaled(factor, &values[..whole(len)], &mut sum[..whole(len)]);
            whole(len)
        }
        None => 0,
    };
    for (sum, &value) in sum[start..len].iter_mut().zip(&values[start..len]).filter(|(_, value)| !value.is_zero()) {
        *sum += factor * value;
    }
}

/// `sum += values`, for as many entries as both have.
pub fn add<F: SmallField>(sum: &mut [F], values: &[F]) {
    sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum = sum.plus(value));
}

/// Entries `2i` and `2i + 1` are `(1 − r)·values[i]` and `r·values[i]`; `out` has twice as many, or one less.
///
/// # Panics
/// If there are fewer values.
pub fn halve<F: SmallField>(values: &[F], r: F, out: &mut [F]) {
    assert!(out.len().div_ceil(2) <= values.len(), "a value for each pair");
    let start = match F::product_kernels() {
        Some(kernels) => {
            let start = whole(out.len() / 2);
            kernels.halve(&values[..start], r, out[..2 * start].as_chunks_mut().0);
            start
        }
        None => 0,
    };
    for (out, &value) in out[2 * start..].chunks_mut(2).zip(&values[start..]) {
        let high = value * r;
        out[0] = value.minus(high);
        if let Some(out) = out.get_mut(1) {
            *out = high;
        }
    }
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::{AdditiveGroup, UniformRand};
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use proptest::prelude::*;

    use super::*;
    use crate::simd::tests::both;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn vectors_are_what_their_entries_are(len in 0usize..70, more in 0usize..3, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut random = |len: usize| -> Vec<Fr> {
                (0..len).map(|i| if i % 5 == 3 { Fr::ZERO } else { Fr::rand(&mut rng) }).collect()
            };
            let (a, b, r) = (random(len), random(len + more), random(1)[0]);
            for found in both(|| dot(&a, &b)) {
                prop_assert_eq!(found, a.iter().zip(&b).map(|(a, b)| *a * b).sum::<Fr>());
            }
            for found in both(|| scaled(r, &b)) {
                prop_assert_eq!(found, b.iter().map(|b| r * b).collect::<Vec<_>>());
            }
            for (sum, values) in [(&a, &b), (&b, &a)] {
                let entry = |i: usize, factor: Fr| sum[i] + values.get(i).map_or(Fr::ZERO, |value| factor * value);
                for found in both(|| { let mut out = sum.clone(); add_scaled(&mut out, r, values); out }) {
                    prop_assert_eq!(found, (0..sum.len()).map(|i| entry(i, r)).collect::<Vec<_>>());
                }
                let mut found = sum.clone();
                add(&mut found, values);
                prop_assert_eq!(found, (0..sum.len()).map(|i| entry(i, Fr::from(1u64))).collect::<Vec<_>>());
            }
            for odd in 0..2.min(len + 1) {
                for found in both(|| { let mut out = vec![Fr::ZERO; 2 * len - odd]; halve(&a, r, &mut out); out }) {
                    let expected = a.iter().flat_map(|a| [*a - r * a, r * a]).take(2 * len - odd);
                    prop_assert_eq!(found, expected.collect::<Vec<_>>());
                }
            }
        }
    }
}
