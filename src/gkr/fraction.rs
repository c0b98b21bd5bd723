//! Fractional sums: `Σ_i p_i / q_i` over many leaves, as a binary tree of fractions.
//!
//! ```text
//! node      p = p₀q₁ + p₁q₀,  q = q₀q₁            children 2i and 2i + 1 of node i
//! Root      (P, Q) is sent;   P = 0, and Q·Q' = 1 for a sent Q'
//! Layer     claim  q̃(x) + λ·p̃(x)  for a drawn λ
//!           = Σ_i eq(x, i) · [ (q₀ + λp₀)(q₁ + λp₁) − λ²·p₀p₁ ](i)        v rounds
//!           the factor eq is left out of the messages: a round is t(X) of degree 2 with
//!           claim = (1 − xₖ)·t(0) + xₖ·t(1), sent as its two upper coefficients
//! End       p₀ p₁ q₀ q₁ are sent; last claim = (q₀ + λp₀)(q₁ + λp₁) − λ²·p₀p₁
//!           a drawn ρ joins the children: the next point is (ρ ‖ s)
//! ```
//!
//! Real leaves are a prefix; every other leaf is the neutral fraction 0/1 and is never stored. Since
//! `Σ_i eq(x, i) = 1`, the neutral tail of a layer contributes `1 − Σ_{i real} eq(x, i)`.
//!
//! # Soundness
//! At most `Σ_v (3v + 2)/|F| ≤ 2n²/|F|` for `n` levels, besides what the leaves contribute
//! (Papini and Haböck, "Improving logarithmic derivative lookups using GKR", 2023, section 3).

use ark_ff::PrimeField;

use crate::sumcheck::channel::{ProverChannel, VerifierChannel};
use crate::sumcheck::eq::{SplitEq, eq_prefix_sum};
use crate::sumcheck::error::{Check, VerifyError};
use crate::sumcheck::rounds::evaluate;
use crate::sumcheck::small::SmallField;
use crate::sumcheck::transcript::Label;

use super::tree::EqTables;
pub use super::tree::{Layer, Numerators};

/// Number of variables of a tree over `len` leaves.
#[must_use]
pub fn num_vars(len: usize) -> usize {
    len.next_power_of_two().trailing_zeros() as usize
}

/// Proves that the fractions of `leaves` sum to zero; returns the point at which the leaves are
/// claimed.
///
/// # Panics
/// If there is no leaf.
pub fn prove<F: SmallField>(channel: &mut impl ProverChannel<F>, mut leaves: Layer<F>) -> Vec<F> {
    assert!(leaves.len() > 0, "a sum has terms");
    let depth = num_vars(leaves.len());
    show(channel, depth, &mut leaves);
    let mut layers = vec![leaves];
    for level in (0..depth).rev() {
        let mut parents = layers[layers.len() - 1].parents();
        show(channel, level, &mut parents);
        layers.push(parents);
    }
    let root = layers.pop().expect("the leaves are a layer");
    let (p, q) = (root.numerator(0), root.denominator(0));
    channel.send(Label::FractionRoot, &[p, q]);
    channel.send_inverse(q);
    // The children of a node that is the root, as if it had been a left child.
    let mut children = [p, p, q, q];
    let mut point: Vec<F> = Vec::new();
    let mut spare = Layer::empty();
    while let Some(mut layer) = layers.pop() {
        let lambda = channel.challenge(Label::FractionChallenge);
        let next;
        (children, next) = prove_layer(channel, &mut layer, &mut spare, lambda, &point, children);
        let [p0, p1, q0, q1] = children;
        channel.send(Label::FractionChildren, &children);
        channel.product(q0 + lambda * p0, q1 + lambda * p1);
        channel.product(p0, p1);
        let rho = channel.challenge(Label::ChildChallenge);
        point = std::iter::once(rho).chain(next).collect();
        // This layer's buffers have the size that half of the next one needs.
        if layer.capacity() > spare.capacity() {
            spare = layer;
        }
    }
    point
}

/// Lets a cheating prover change a level before the ones above are computed from it.
fn show<F: SmallField>(channel: &mut impl ProverChannel<F>, level: usize, layer: &mut Layer<F>) {
    #[cfg(feature = "adversary")]
    channel.visit(crate::adversary::Site::Nodes { level, layer });
    #[cfg(not(feature = "adversary"))]
    let _ = (channel, level, layer);
}

/// The sum-check of one layer; returns `p₀ p₁ q₀ q₁` and the point where they are claimed.
///
/// `above` are the children that ended the layer above. They are the values that this layer's first
/// polynomial takes at 0 and 1, since the first coordinate of `point` chose among them.
fn prove_layer<F: SmallField>(
    channel: &mut impl ProverChannel<F>,
    layer: &mut Layer<F>,
    spare: &mut Layer<F>,
    lambda: F,
    point: &[F],
    above: [F; 4],
) -> ([F; 4], Vec<F>) {
    let eq = SplitEq::new(point);
    let mut inverses = point.to_vec();
    ark_ff::batch_inversion(&mut inverses);
    let mut next: Vec<F> = Vec::with_capacity(point.len());
    let [p0, p1, q0, q1] = above;
    let (mut at_0, mut at_1) = (q0 + lambda * p0, q1 + lambda * p1);
    let mut upper = layer.start(lambda, EqTables::new(eq.suffix(point.len().min(1))));
    for (k, &w) in point.iter().enumerate() {
        if let Some(&r) = next.last() {
            let claim = evaluate(&[at_0, at_1 - at_0 - upper, upper], r);
            let rest = &point[k + 1..];
            let (sums, pairs) = layer.bind_into(spare, r, EqTables::new(eq.suffix(k + 1)));
            std::mem::swap(layer, spare);
            // Every node that is not stored is 1.
            at_0 = sums[0] + F::ONE - eq_prefix_sum(rest, pairs);
            upper = sums[1];
            // claim = (1 − w)·t(0) + w·t(1) gives t(1), unless w is zero.
            at_1 = if w.is_zero() { layer.at_one(rest) } else { at_0 + (claim - at_0) * inverses[k] };
        }
        channel.send(Label::Round, &[at_1 - at_0 - upper, upper]);
        next.push(channel.challenge(Label::RoundChallenge));
    }
    (layer.finish(next.last().copied(), lambda), next)
}

/// What is left to check of a fractional sum: the extensions of the leaves at a point.
#[must_use = "the leaves must be checked against these values"]
pub struct LeafClaim<F, S> {
    /// Where: one coordinate a level, that of the lowest index bit first.
    pub point: Vec<F>,
    /// Value of the numerators' extension.
    pub numerator: S,
    /// Value of the denominators' extension, the neutral leaves included.
    pub denominator: S,
}

/// Verifies that a sum of `2^num_vars` fractions is zero, up to the claim on its leaves.
///
/// Checks the root, its denominator and every layer.
///
/// # Soundness
/// The caller must check the [`LeafClaim`].
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn verify<F: PrimeField, C: VerifierChannel<F>>(
    channel: &mut C,
    num_vars: usize,
) -> Result<LeafClaim<F, C::Scalar>, VerifyError> {
    let [mut p, mut q] = channel.recv_array::<2>(Label::FractionRoot)?;
    channel.require_zero(p.clone(), Check::RootNumerator)?;
    channel.require_nonzero(&q, Check::RootDenominator)?;
    let mut point: Vec<F> = Vec::new();
    for _ in 0..num_vars {
        let lambda: F = channel.challenge(Label::FractionChallenge);
        let mut claim = q + p * lambda;
        let mut next = vec![F::ZERO];
        for &w in &point {
            // t(r) = claim + t₁·(r − w) + t₂·(r² − w).
            let [t1, t2] = channel.recv_array::<2>(Label::Round)?;
            let r: F = channel.challenge(Label::RoundChallenge);
            claim = claim + t1 * (r - w) + t2 * (r.square() - w);
            next.push(r);
        }
        let [p0, p1, q0, q1] = channel.recv_array::<4>(Label::FractionChildren)?;
        let sums = channel.product(&(q0.clone() + p0.clone() * lambda), &(q1.clone() + p1.clone() * lambda))?;
        let numerators = channel.product(&p0, &p1)?;
        let check = Check::FractionLayer { num_vars: point.len() };
        channel.require_zero(claim - sums + numerators * lambda.square(), check)?;
        let rho: F = channel.challenge(Label::ChildChallenge);
        p = p0.clone() + (p1 - p0) * rho;
        q = q0.clone() + (q1 - q0) * rho;
        if let Some(first) = next.first_mut() {
            *first = rho;
        }
        point = next;
    }
    Ok(LeafClaim { point, numerator: p, denominator: q })
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::{Field, UniformRand};
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;
    use crate::sumcheck::channel::{PlainProver, PlainVerifier};
    use crate::sumcheck::eq::eq_prefix;
    use crate::sumcheck::transcript::Merlin;

    /// Leaves whose fractions sum to `excess`: some random ones, whose sum the first cancels.
    fn leaves(prefix: usize, len: usize, excess: Fr) -> Layer<Fr> {
        let mut rng = test_rng();
        let mut numerators: Vec<Fr> = (0..prefix).map(|_| Fr::rand(&mut rng)).collect();
        let denominators: Vec<Fr> = (0..len).map(|_| Fr::rand(&mut rng)).collect();
        let rest: Fr = (1..len)
            .map(|i| numerators.get(i).copied().unwrap_or(Fr::from(1)) * denominators[i].inverse().unwrap())
            .sum();
        numerators[0] = (excess - rest) * denominators[0];
        Layer::new(Numerators::new(numerators, len), denominators)
    }

    fn run(leaves: &Layer<Fr>) -> Result<(), VerifyError> {
        let mut prover = PlainProver::new(Merlin::new(b"test"));
        let point = prove(&mut prover, leaves.clone());
        let proof = prover.into_proof();
        let mut verifier = PlainVerifier::new(Merlin::new(b"test"), &proof);
        let claim = verify::<Fr, _>(&mut verifier, num_vars(leaves.len()))?;
        VerifierChannel::<Fr>::finish(verifier)?;
        assert_eq!(claim.point, point);
        let eq = eq_prefix(&point, leaves.len());
        let p: Fr = eq.iter().enumerate().map(|(i, &e)| e * leaves.numerator(i)).sum();
        let q: Fr = eq.iter().enumerate().map(|(i, &e)| e * (leaves.denominator(i) - Fr::from(1))).sum();
        assert_eq!(claim.numerator, p);
        assert_eq!(claim.denominator, q + Fr::from(1));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn zero_sums_verify_and_others_do_not(prefix in 1usize..40, ones in 0usize..70) {
            let len = prefix + ones;
            prop_assert_eq!(run(&leaves(prefix, len, Fr::from(0))), Ok(()));
            prop_assert_eq!(
                run(&leaves(prefix, len, Fr::from(1))),
                Err(VerifyError::Check(Check::RootNumerator))
            );
        }
    }

    /// The bytes of a proof.
    fn bytes(leaves: &Layer<Fr>) -> Vec<u8> {
        let mut prover = PlainProver::new(Merlin::new(b"test"));
        prove(&mut prover, leaves.clone());
        prover.into_proof()
    }

    #[test]
    fn proofs_do_not_depend_on_vector_kernels() {
        for (prefix, len) in [(1, 9), (40, 64), (100, 1001), (1500, 6000), (4096, 8192), (3000, 20_001), (5000, 5000)] {
            let leaves = leaves(prefix, len, Fr::from(0));
            let [with, without] = crate::simd::tests::both(|| bytes(&leaves));
            assert_eq!(with, without, "{prefix} stored numerators of {len}");
        }
    }

    #[test]
    fn large_sums_verify() {
        for (prefix, len) in [(1, 4097), (4096, 8192), (3000, 20_000), (5000, 5000)] {
            assert_eq!(run(&leaves(prefix, len, Fr::from(0))), Ok(()));
        }
    }
}
