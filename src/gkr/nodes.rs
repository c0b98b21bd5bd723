//! The innermost loops of a [fraction tree](super::tree): runs of nodes, by vector kernels as far as there
//! are whole vectors, and one by one.

use crate::simd::{Kernels, LANES};
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

/// `vᵢ ← vᵢ·factor`.
pub(super) fn scale<F: SmallField>(values: &mut [F], factor: F) {
    let mut done = 0;
    if let Some((kernels, whole)) = kernels::<F>(values.len()) {
        kernels.scale(&mut values[..whole], factor);
        done = whole;
    }
    values[done..].iter_mut().for_each(|v| *v *= factor);
}

/// Numerators and denominators above pairs of fractions whose numerators are ones.
pub(super) fn parents_of_ones<F: SmallField>(q: &[[F; 2]], [p_out, q_out]: [&mut [F]; 2]) {
    let mut done = 0;
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        kernels.parents_of_ones(&q[..whole], [&mut p_out[..whole], &mut q_out[..whole]]);
        done = whole;
    }
    let outputs = p_out.iter_mut().zip(q_out).skip(done);
    for ([q0, q1], (p_out, q_out)) in q[done..].iter().zip(outputs) {
        (*p_out, *q_out) = (q0.plus(*q1), *q0 * q1);
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

/// `Σ weight·(coefficient of X²)` of pairs of nodes whose numerators are ones.
pub(super) fn leading_of_ones<F: SmallField>(weights: &[F], q: &[[F; 4]]) -> F {
    let (mut sum, mut done) = (F::ZERO, 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        (sum, done) = (kernels.leading_of_ones(&weights[..whole], &q[..whole]), whole);
    }
    for (weight, q) in weights[done..].iter().zip(&q[done..]) {
        sum = sum.plus(q[2].minus(q[0]) * q[3].minus(q[1]) * weight);
    }
    sum
}

/// `Σ weight·(coefficient of X²)` of pairs of nodes.
pub(super) fn leading<F: SmallField>(weights: &[F], q: &[[F; 4]], v: &[[F; 4]]) -> F {
    let (mut sum, mut done) = (F::ZERO, 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        (sum, done) = (kernels.leading(&weights[..whole], &q[..whole], &v[..whole]), whole);
    }
    for (weight, (q, v)) in weights.iter().zip(q.iter().zip(v)).skip(done) {
        sum = sum.plus(slopes(q, v) * weight);
    }
    sum
}

/// Binds pairs of nodes whose numerators are `one`; gives the weighted sums of nodes at 0 and of leading
/// coefficients.
pub(super) fn bind_ones<F: SmallField>(weights: &[F], q: &[[F; 8]], out: &mut [[F; 4]], r: F, one: F) -> [F; 2] {
    let (mut sum, mut done) = ([F::ZERO; 2], 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        (sum, done) = (kernels.bind_ones(&weights[..whole], &q[..whole], &mut out[..whole], r, one), whole);
    }
    let square = one.square();
    for (weight, (q, out)) in weights.iter().zip(q.iter().zip(out)).skip(done) {
        *out = bind_eight(q, r);
        let at_0 = (out[0].plus(one) * out[1].plus(one)).minus(square);
        add_weighted(&mut sum, *weight, [at_0, out[2].minus(out[0]) * out[3].minus(out[1])]);
    }
    sum
}

/// Binds pairs of nodes; gives the weighted sums of nodes at 0 and of leading coefficients.
pub(super) fn bind<F: SmallField>(
    weights: &[F],
    [q, v]: [&[[F; 8]]; 2],
    [q_out, v_out]: [&mut [[F; 4]]; 2],
    r: F,
) -> [F; 2] {
    let (mut sum, mut done) = ([F::ZERO; 2], 0);
    if let Some((kernels, whole)) = kernels::<F>(q.len()) {
        let outputs = [&mut q_out[..whole], &mut v_out[..whole]];
        (sum, done) = (kernels.bind(&weights[..whole], [&q[..whole], &v[..whole]], outputs, r), whole);
    }
    let (inputs, outputs) = (q.iter().zip(v), q_out.iter_mut().zip(v_out));
    for (weight, ((q, v), (q_out, v_out))) in weights.iter().zip(inputs.zip(outputs)).skip(done) {
        (*q_out, *v_out) = (bind_eight(q, r), bind_eight(v, r));
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

            let [with, without] = both(|| {
                let mut values = weights.clone();
                scale(&mut values, r);
                let (mut ones, mut sums) = ([zeros(), zeros()], [zeros(), zeros()]);
                parents_of_ones(&pairs, ones.each_mut().map(Vec::as_mut_slice));
                parents(&pairs, &other_pairs, sums.each_mut().map(Vec::as_mut_slice));
                (values, ones, sums)
            });
            prop_assert_eq!(with, without);

            let [with, without] = both(|| {
                let leadings = [leading_of_ones(&weights, &fours), leading(&weights, &fours, &other_fours)];
                let (mut ones, mut bound) = (zero_fours(), [zero_fours(), zero_fours()]);
                let of_ones = bind_ones(&weights, &eights, &mut ones, r, one);
                let of_both = bind(&weights, [&eights, &other_eights], bound.each_mut().map(Vec::as_mut_slice), r);
                (leadings, of_ones, of_both, ones, bound)
            });
            prop_assert_eq!(with, without);
        }
    }
}
