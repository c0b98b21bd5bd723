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

use std::cmp::Ordering;

use ark_ff::PrimeField;

use crate::sumcheck::channel::{ProverChannel, VerifierChannel};
use crate::sumcheck::eq::{SplitEq, eq_prefix_sum};
use crate::sumcheck::error::{Check, VerifyError};
use crate::sumcheck::rounds::evaluate;
use crate::sumcheck::small::SmallField;
use crate::sumcheck::transcript::Label;

use super::tree::{EqTables, Source};
pub use super::tree::{Layer, Numerators};

/// Number of variables of a tree over `len` leaves.
#[must_use]
pub fn num_vars(len: usize) -> usize {
    len.next_power_of_two().trailing_zeros() as usize
}

/// How much of the largest layers is computed wherever it is read instead of stored: the more, the less memory and the
/// more time. The proof is the same.
///
/// Of `n` leaves, whose denominators are 4 bytes each, layers and what they are bound to take `32·n` bytes at most, and
/// half of that with each further step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recompute {
    steps: u8,
}

impl Recompute {
    /// As little as serves speed.
    pub const LEAST: Self = Self { steps: 0 };
    /// As much as serves memory: what a further step saves is little beside what else a proof takes.
    pub const MOST: Self = Self { steps: 3 };

    /// From [`Recompute::LEAST`] to [`Recompute::MOST`].
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::LEAST.steps..=Self::MOST.steps).map(|steps| Self { steps })
    }

    /// How many times what the layers take is halved.
    #[must_use]
    pub fn steps(self) -> u32 {
        self.steps.into()
    }

    /// How many of the largest layers are not stored: the leaves, and layers that are computed from them.
    fn levels(self) -> usize {
        2 + usize::from(self.steps)
    }

    /// How many rounds of a layer that is computed from one `levels` below it are computed again by those that follow:
    /// so many that what the next one stores is no larger than the layers that are stored; of leaves it is half of that,
    /// since their numerators are ones.
    fn rounds(self, levels: usize) -> usize {
        self.levels() - 1 - levels
    }
}

/// Proves that the fractions of `leaves` sum to zero; returns the point at which the leaves are
/// claimed.
///
/// # Panics
/// If there is no leaf.
pub fn prove<F: SmallField>(channel: &mut impl ProverChannel<F>, mut leaves: Layer<F>, recompute: Recompute) -> Vec<F> {
    assert!(leaves.len() > 0, "a sum has terms");
    let depth = num_vars(leaves.len());
    show(channel, depth, &mut leaves);
    // Layers that are stored, the leaves first, and how many of those above each one are not.
    let mut stored = vec![(leaves, 0)];
    for level in (0..depth).rev() {
        let (below, computed) = stored.last_mut().expect("the leaves are stored");
        let wanted = level == 0 || depth - level >= recompute.levels();
        if wanted || is_watched(channel) {
            let mut layer = Source::new(below, *computed).parents();
            show(channel, level, &mut layer);
            // What a cheating prover has changed cannot be computed again.
            if wanted || layer.is_changed() {
                stored.push((layer, 0));
                continue;
            }
        }
        *computed += 1;
    }
    let (root, _) = stored.pop().expect("the root is stored");
    let (p, q) = (root.numerator(0), root.denominator(0));
    channel.send(Label::FractionRoot, &[p, q]);
    channel.send_inverse(q);
    // The children of a node that is the root, as if it had been a left child.
    let mut children = [p, p, q, q];
    let mut point: Vec<F> = Vec::new();
    let mut buffers = [Layer::empty(), Layer::empty()];
    while let Some((layer, computed)) = stored.last() {
        let lambda = channel.challenge(Label::FractionChallenge);
        let source = Source::new(layer, *computed);
        let unstored = if stored.len() == 1 { recompute.rounds(*computed) } else { 0 };
        let next;
        (children, next) = prove_layer(channel, source, lambda, unstored, &mut buffers, &point, children);
        let [p0, p1, q0, q1] = children;
        channel.send(Label::FractionChildren, &children);
        channel.product(q0 + lambda * p0, q1 + lambda * p1);
        channel.product(p0, p1);
        let rho = channel.challenge(Label::ChildChallenge);
        point = std::iter::once(rho).chain(next).collect();
        match stored.pop() {
            Some((layer, computed)) if computed > 0 => stored.push((layer, computed - 1)),
            // A layer's own memory is the buffer for the next one's first round.
            Some((layer, _)) => {
                let [first, second] = &mut buffers;
                *second = std::mem::replace(first, layer);
            }
            None => {}
        }
    }
    point
}

/// Whether a cheating prover wants to see every level.
fn is_watched<F: SmallField>(channel: &impl ProverChannel<F>) -> bool {
    #[cfg(feature = "adversary")]
    {
        channel.is_watched()
    }
    #[cfg(not(feature = "adversary"))]
    {
        let _ = channel;
        false
    }
}

/// Lets a cheating prover change a level before the ones above are computed from it.
fn show<F: SmallField>(channel: &mut impl ProverChannel<F>, level: usize, layer: &mut Layer<F>) {
    #[cfg(feature = "adversary")]
    channel.visit(crate::adversary::Site::Nodes { level, layer });
    #[cfg(not(feature = "adversary"))]
    let _ = (channel, level, layer);
}

/// The sum-check of one layer, whose numerators the first round scales by λ; returns `p₀ p₁ q₀ q₁` and the point where
/// they are claimed. The first `unstored` rounds do not store what they bind.
///
/// `above` are the children that ended the layer above. They are the values that this layer's first
/// polynomial takes at 0 and 1, since the first coordinate of `point` chose among them.
fn prove_layer<F: SmallField>(
    channel: &mut impl ProverChannel<F>,
    source: Source<'_, F>,
    lambda: F,
    unstored: usize,
    buffers: &mut [Layer<F>; 2],
    point: &[F],
    above: [F; 4],
) -> ([F; 4], Vec<F>) {
    let source = source.scaled(lambda);
    let [current, spare] = buffers;
    // The last rounds are of what is stored.
    let unstored = unstored.min(point.len().saturating_sub(2));
    // If one of them holds what the first round stores, it is that one; otherwise the larger one is for the second
    // round, and the other one grows.
    let holds = |buffer: &Layer<F>| buffer.capacity() >= source.len().div_ceil(2 << unstored);
    if !holds(current) && (holds(spare) || current.capacity() > spare.capacity()) {
        std::mem::swap(current, spare);
    }
    let eq = SplitEq::new(point);
    let mut inverses = point.to_vec();
    ark_ff::batch_inversion(&mut inverses);
    let mut next: Vec<F> = Vec::with_capacity(point.len());
    let [p0, p1, q0, q1] = above;
    let (mut at_0, mut at_1) = (q0 + lambda * p0, q1 + lambda * p1);
    let mut upper = source.leading(lambda, EqTables::new(eq.suffix(point.len().min(1))));
    for (k, &w) in point.iter().enumerate() {
        if let Some((&r, before)) = next.split_last() {
            let claim = evaluate(&[at_0, at_1 - at_0 - upper, upper], r);
            let rest = &point[k + 1..];
            let eq = EqTables::new(eq.suffix(k + 1));
            let (sums, pairs) = match before.len().cmp(&unstored) {
                Ordering::Less => source.after(before).bind_sums(r, eq),
                Ordering::Equal => {
                    let source = source.after(before);
                    source.release_numerators([current, spare]);
                    source.bind_into(current, r, eq)
                }
                Ordering::Greater => {
                    let bound = Source::new(current, 0).bind_into(spare, r, eq);
                    std::mem::swap(current, spare);
                    bound
                }
            };
            // Every node that is not stored is 1.
            at_0 = sums[0] + F::ONE - eq_prefix_sum(rest, pairs);
            upper = sums[1];
            // claim = (1 − w)·t(0) + w·t(1) gives t(1), unless w is zero.
            at_1 = if w.is_zero() { source.after(&next).at_one(rest) } else { at_0 + (claim - at_0) * inverses[k] };
        }
        channel.send(Label::Round, &[at_1 - at_0 - upper, upper]);
        next.push(channel.challenge(Label::RoundChallenge));
    }
    let children = match next[..] {
        [.., _, r] => current.finish(r, lambda),
        _ => source.finish(next.first().copied()),
    };
    (children, next)
}

/// What is left to check of a fractional sum: the extensions of the leaves at a point.
#[derive(Clone, Debug)]
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
    use std::sync::Arc;

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
        let point = prove(&mut prover, leaves.clone(), Recompute::LEAST);
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
        prove(&mut prover, leaves.clone(), Recompute::LEAST);
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
    fn proofs_do_not_depend_on_what_is_stored() {
        for (prefix, len) in [(1, 1), (2, 2), (1, 3), (1, 9), (40, 64), (100, 1001), (1500, 6000), (3000, 20_001)] {
            let stored = leaves(prefix, len, Fr::from(0));
            let numerators = Numerators::new((0..prefix).map(|i| stored.numerator(i)).collect(), len);
            // The same denominators in a table, from the last to the first.
            let values = (0..len).rev().map(|i| stored.denominator(i)).collect();
            let places = Arc::new((0..len as u32).rev().collect());
            let by_places = Layer::of_entries(numerators, values, places);
            for leaves in [&stored, &by_places] {
                for recompute in Recompute::all() {
                    let mut prover = PlainProver::new(Merlin::new(b"test"));
                    prove(&mut prover, leaves.clone(), recompute);
                    assert_eq!(prover.into_proof(), bytes(&stored), "{prefix} of {len}, {recompute:?}");
                }
            }
        }
    }

    #[test]
    fn large_sums_verify() {
        for (prefix, len) in [(1, 4097), (4096, 8192), (3000, 20_000), (5000, 5000)] {
            assert_eq!(run(&leaves(prefix, len, Fr::from(0))), Ok(()));
        }
    }
}
