//! The innermost loops of a [fraction tree](super::tree): runs of nodes, by vector kernels as far as there
//! are whole vectors, and one by one.

use crate::simd::{Denominators, Kernels, LANES};
use crate::sumcheck::small::SmallField;

/// The kernels and how many of `len` entries they take; without kernels, nothing.
fn kernels<F: SmallField>(len: usize) -> Option<(&'static dyn Kernels<F>, usize)> {
    let whole = len - len % LANES;
    if whole == 0 { None } else { Some((F::kernels()?, whole)) }
}

/// `low + r·(high − low)`.
#[inline(always)]
pub(super) fn mix<F: SmallField>(low: F, high: F, r: F) -> F {
    (high.minus(low) * r).plus(low)
}

/// Four children after binding, from the eight before.
#[inline(always)]
fn bind_eight<F: SmallField>(x: &[F; 8], r: F) -> [F; 4] {
    [mix(x[0], x[2], r), mix(x[1], x[3], r), mix(x[4], x[6], r), mix(x[5], x[7], r)]
}

/// `(q₀ + v₀)(q₁ + v₁) − v₀v₁`.
#[inline(always)]
pub(super) fn node<F: SmallField>(q: [F; 2], v: [F; 2]) -> F {
    F::sum_of_products(&[q[0], v[0]], &[q[1].plus(v[1]), q[1]])
}

/// Leading coefficient in `X` of a pair of nodes.
#[inline(always)]
fn slopes<F: SmallField>(q: &[F; 4], v: &[F; 4]) -> F {
    node([q[2].minus(q[0]), q[3].minus(q[1])], [v[2].minus(v[0]), v[3].minus(v[1])])
}

#[inline(always)]
fn add_weighted<F: SmallField>(sum: &mut [F; 2], weight: F, values: [F; 2]) {
    sum[0] = sum[0].plus(values[0] * weight);
    sum[1] = sum[1].plus(values[1] * weight);
}

/// Numerators and denominators above pairs of fractions whose numerators are ones.
pub(super) fn parents_of_ones<F: SmallField>(q: Denominators<'_, F, 2>, [p_out, q_out]: [&mut [F]; 2]) {
    let mut done = 0;
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        kernels.parents_of_ones(q.slice(0..whole), [&mut p_out[..whole], &mut q_out[..whole]]);
        done = whole;
    }
    for (i, (p_out, q_out)) in p_out.iter_mut().zip(q_out).enumerate().skip(done) {
        let [q0, q1] = q.get(i);
        (*p_out, *q_out) = (q0.plus(q1), q0 * q1);
    }
}

/// Numerators and denominators above pairs of fractions.
pub(super) fn parents<F: SmallField>(p: &[[F; 2]], q: &[[F; 2]], [p_out, q_out]: [&mut [F]; 2]) {
    let mut done = 0;
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        kernels.parents(&p[..whole], &q[..whole], [&mut p_out[..whole], &mut q_out[..whole]]);
        done = whole;
    }
    let inputs = p.iter().zip(q).skip(done);
    for ((p, &[q0, q1]), (p_out, q_out)) in inputs.zip(p_out[done..].iter_mut().zip(&mut q_out[done..])) {
        (*p_out, *q_out) = (F::sum_of_products(p, &[q1, q0]), q0 * q1);
    }
}

/// Mixes the children of pairs of nodes by `r`.
pub(super) fn mix_children<F: SmallField>(x: Denominators<'_, F, 8>, out: &mut [[F; 4]], r: F) {
    let mut done = 0;
    if let Some((kernels, whole)) = kernels::<F>(x.len()) {
        kernels.mix_children(x.slice(0..whole), &mut out[..whole], r);
        done = whole;
    }
    for (i, out) in out.iter_mut().enumerate().skip(done) {
        *out = bind_eight(&x.get(i), r);
    }
}

/// `Σ weight·(coefficient of X²)` of pairs of nodes whose numerators are ones.
pub(super) fn leading_of_ones<F: SmallField>(weights: &[F], q: Denominators<'_, F, 4>) -> F {
    let (mut sum, mut done) = (F::ZERO, 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        (sum, done) = (kernels.leading_of_ones(&weights[..whole], q.slice(0..whole)), whole);
    }
    for (i, weight) in weights.iter().enumerate().take(q.len()).skip(done) {
        let q = q.get(i);
        sum = sum.plus(q[2].minus(q[0]) * q[3].minus(q[1]) * weight);
    }
    sum
}

/// `Σ weight·(coefficient of X²)` of pairs of nodes whose numerators are not scaled by `lambda` yet.
pub(super) fn leading<F: SmallField>(weights: &[F], q: &[[F; 4]], p: &[[F; 4]], lambda: F) -> F {
    let (mut sum, mut done) = (F::ZERO, 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        (sum, done) = (kernels.leading(&weights[..whole], &q[..whole], &p[..whole], lambda), whole);
    }
    for (weight, (q, p)) in weights.iter().zip(q.iter().zip(p)).skip(done) {
        sum = sum.plus(slopes(q, &p.map(|p| p * lambda)) * weight);
    }
    sum
}

/// Binds pairs of nodes whose numerators are `one`; gives the weighted sums of nodes at 0 and of leading
/// coefficients.
pub(super) fn bind_ones<F: SmallField>(
    weights: &[F],
    q: Denominators<'_, F, 8>,
    out: &mut [[F; 4]],
    r: F,
    one: F,
) -> [F; 2] {
    let (mut sum, mut done) = ([F::ZERO; 2], 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        (sum, done) = (kernels.bind_ones(&weights[..whole], q.slice(0..whole), &mut out[..whole], r, one), whole);
    }
    let square = one.square();
    for (i, (weight, out)) in weights.iter().zip(out).enumerate().skip(done) {
        *out = bind_eight(&q.get(i), r);
        let at_0 = (out[0].plus(one) * out[1].plus(one)).minus(square);
        add_weighted(&mut sum, *weight, [at_0, out[2].minus(out[0]) * out[3].minus(out[1])]);
    }
    sum
}

/// Binds pairs of nodes, and multiplies numerators by `factor` if there is one; gives the weighted sums of nodes
/// at 0 and of leading coefficients.
pub(super) fn bind<F: SmallField>(
    weights: &[F],
    [q, v]: [&[[F; 8]]; 2],
    [q_out, v_out]: [&mut [[F; 4]]; 2],
    r: F,
    factor: Option<F>,
) -> [F; 2] {
    let (mut sum, mut done) = ([F::ZERO; 2], 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        let outputs = [&mut q_out[..whole], &mut v_out[..whole]];
        (sum, done) = (kernels.bind(&weights[..whole], [&q[..whole], &v[..whole]], outputs, r, factor), whole);
    }
    let (inputs, outputs) = (q.iter().zip(v), q_out.iter_mut().zip(v_out));
    for (weight, ((q, v), (q_out, v_out))) in weights.iter().zip(inputs.zip(outputs)).skip(done) {
        (*q_out, *v_out) = (bind_eight(q, r), bind_eight(v, r));
        if let Some(factor) = factor {
            *v_out = v_out.map(|v| v * factor);
        }
        let at_0 = node([q_out[0], q_out[1]], [v_out[0], v_out[1]]);
        add_weighted(&mut sum, *weight, [at_0, slopes(q_out, v_out)]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use ark_ff::AdditiveGroup;
    use proptest::prelude::*;

    use super::*;
    use crate::gkr::Fr;
    use crate::simd::tests::both;

    /// Elements of full width, and in between the ones at the edges of reduction.
    struct Elements(u64);

    impl Elements {
        fn next(&mut self) -> Fr {
            let mut word = || {
                self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                self.0
            };
            match word() >> 60 {
                0 => Fr::from(0u64),
                1 => -Fr::from(1u64),
                _ => (0..4).fold(Fr::from(0u64), |x, _| x * Fr::from(1u128 << 64) + Fr::from(word())),
            }
        }

        fn many<const N: usize>(&mut self, len: usize) -> Vec<[Fr; N]> {
            (0..len).map(|_| std::array::from_fn(|_| self.next())).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn kernels_give_what_the_loops_give(len in 0usize..40, seed: u64) {
            let mut elements = Elements(seed);
            let (pairs, other_pairs) = (elements.many::<2>(len), elements.many::<2>(len));
            let (fours, other_fours) = (elements.many::<4>(len), elements.many::<4>(len));
            let (eights, other_eights) = (elements.many::<8>(len), elements.many::<8>(len));
            let weights: Vec<Fr> = elements.many::<1>(len).into_iter().flatten().collect();
            let (r, one) = (elements.next(), elements.next());
            let zeros = || vec![Fr::ZERO; len];
            let zero_fours = || vec![[Fr::ZERO; 4]; len];
            // Groups by their places in a table give what the groups themselves give.
            let table: Vec<Fr> = elements.many::<1>(16).into_iter().flatten().collect();
            let places: Vec<[u32; 8]> =
                (0..len as u64).map(|i| std::array::from_fn(|k| ((seed >> k) + i * i) as u32 % 16)).collect();
            let shorter = |k: usize| places.iter().map(move |place| [place[k], place[k + 1]]);
            let place_pairs: Vec<[u32; 2]> = shorter(0).collect();
            let place_fours: Vec<[u32; 4]> =
                shorter(2).zip(shorter(5)).map(|(a, b)| [a[0], a[1], b[0], b[1]]).collect();
            let values = |place: u32| table[place as usize];

            for pairs in [
                (Denominators::Stored(&pairs[..]), None),
                (
                    Denominators::Entries(&table, &place_pairs),
                    Some(place_pairs.iter().map(|place| place.map(values)).collect::<Vec<_>>()),
                ),
            ] {
                let [with, without] = both(|| {
                    let mut out = [zeros(), zeros()];
                    parents_of_ones(pairs.0, out.each_mut().map(Vec::as_mut_slice));
                    out
                });
                prop_assert_eq!(&with, &without);
                if let Some(gathered) = pairs.1 {
                    let mut out = [zeros(), zeros()];
                    parents_of_ones(Denominators::Stored(&gathered), out.each_mut().map(Vec::as_mut_slice));
                    prop_assert_eq!(with, out);
                }
            }
            let [with, without] = both(|| {
                let mut sums = [zeros(), zeros()];
                parents(&pairs, &other_pairs, sums.each_mut().map(Vec::as_mut_slice));
                sums
            });
            prop_assert_eq!(with, without);

            let gathered_fours: Vec<[Fr; 4]> = place_fours.iter().map(|place| place.map(values)).collect();
            let gathered_eights: Vec<[Fr; 8]> = places.iter().map(|place| place.map(values)).collect();
            let of_ones = |fours: Denominators<'_, Fr, 4>, eights: Denominators<'_, Fr, 8>| {
                let (mut out, mut mixed) = (zero_fours(), zero_fours());
                let leading = leading_of_ones(&weights, fours);
                let sums = bind_ones(&weights, eights, &mut out, r, one);
                mix_children(eights, &mut mixed, r);
                assert_eq!(mixed, out);
                (leading, sums, out)
            };
            let [with, without] = both(|| of_ones(Denominators::Stored(&fours), Denominators::Stored(&eights)));
            prop_assert_eq!(with, without);
            let [with, without] =
                both(|| of_ones(Denominators::Entries(&table, &place_fours), Denominators::Entries(&table, &places)));
            prop_assert_eq!(&with, &without);
            let gathered = of_ones(Denominators::Stored(&gathered_fours), Denominators::Stored(&gathered_eights));
            prop_assert_eq!(with, gathered);

            for factor in [None, Some(one)] {
                let [with, without] = both(|| {
                    let mut out = [zero_fours(), zero_fours()];
                    let leading = leading(&weights, &fours, &other_fours, one);
                    let slices = out.each_mut().map(Vec::as_mut_slice);
                    (leading, bind(&weights, [&eights, &other_eights], slices, r, factor), out)
                });
                prop_assert_eq!(with, without);
            }
        }
    }
}
