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
use crate::sumcheck::par;
use crate::sumcheck::small::SmallField;
use crate::sumcheck::transcript::Label;

/// Nodes that one task handles.
const CHUNK: usize = 1 << 10;

/// Numerators of a layer: some field elements, then ones, then a few field elements, then zeros.
///
/// The numerators of looked-up values are ones; only those of table entries are stored. Binding
/// keeps this form, and at most four values follow the ones.
#[derive(Clone, Debug)]
pub struct Numerators<F> {
    prefix: Vec<F>,
    ones_end: usize,
    tail: Vec<F>,
}

impl<F: SmallField> Numerators<F> {
    /// `prefix`, followed by ones up to index `len`.
    ///
    /// # Panics
    /// If the prefix is longer than `len`.
    #[must_use]
    pub fn new(prefix: Vec<F>, len: usize) -> Self {
        assert!(prefix.len() <= len, "the prefix is part of the numerators");
        Self { prefix, ones_end: len, tail: Vec::new() }
    }

    fn get(&self, i: usize) -> F {
        match self.prefix.get(i) {
            Some(&p) => p,
            None if i < self.ones_end => F::ONE,
            None => self.tail.get(i - self.ones_end).copied().unwrap_or(F::ZERO),
        }
    }

    /// Whether entries `start..end` are all stored as ones.
    fn ones(&self, start: usize, end: usize) -> bool {
        self.prefix.len() <= start && end <= self.ones_end
    }

    /// The `len` children after variable 0 of the node index is bound: child `k` mixes two old ones.
    fn bind(&self, len: usize, r: F) -> Self {
        let child = |k: usize| {
            let [low, high] = children_before(k);
            mix(self.get(low), self.get(high), r)
        };
        let mut prefix = vec![F::ZERO; bound_len(self.prefix.len()).min(len)];
        par::for_chunks_mut(&mut prefix, CHUNK, |chunk, out| {
            out.iter_mut().enumerate().for_each(|(k, out)| *out = child(chunk * CHUNK + k));
        });
        // Four ones make two ones; the group at the edge is written out.
        let ones_end = (2 * (self.ones_end / 4)).max(prefix.len());
        let tail = (ones_end..len).map(child).collect();
        Self { prefix, ones_end, tail }
    }
}

/// Number of children left of `len` when the nodes above them are halved.
fn bound_len(len: usize) -> usize {
    2 * len.div_ceil(4)
}

/// The children that are mixed into child `k` when nodes `2j` and `2j + 1` are.
fn children_before(k: usize) -> [usize; 2] {
    let low = 4 * (k / 2) + k % 2;
    [low, low + 2]
}

#[inline(always)]
fn mix<F: SmallField>(low: F, high: F, r: F) -> F {
    low + r * (high - low)
}

/// A layer of fractions; entries from `denominators.len()` on are 0/1.
#[derive(Clone, Debug)]
pub struct Layer<F> {
    /// Numerators.
    pub numerators: Numerators<F>,
    /// Denominators of the real entries.
    pub denominators: Vec<F>,
}

impl<F: SmallField> Layer<F> {
    fn len(&self) -> usize {
        self.denominators.len()
    }

    fn q(&self, i: usize) -> F {
        self.denominators.get(i).copied().unwrap_or(F::ONE)
    }

    /// The layer above.
    fn parents(&self) -> Self {
        let len = self.len().div_ceil(2);
        let mut fractions = vec![(F::ZERO, F::ONE); len];
        par::for_chunks_mut(&mut fractions, CHUNK, |chunk, out| {
            let start = chunk * CHUNK;
            let ones = self.numerators.ones(2 * start, 2 * (start + out.len()));
            for (k, out) in out.iter_mut().enumerate() {
                let i = 2 * (start + k);
                let (q0, q1) = (self.q(i), self.q(i + 1));
                let p = if ones { q0 + q1 } else { self.numerators.get(i) * q1 + self.numerators.get(i + 1) * q0 };
                *out = (p, q0 * q1);
            }
        });
        let (prefix, denominators) = fractions.into_iter().unzip();
        Self { numerators: Numerators::new(prefix, len), denominators }
    }

    /// Binds variable 0 of the node index.
    fn bind(&self, r: F) -> Self {
        let len = bound_len(self.len());
        let mut denominators = vec![F::ONE; len];
        par::for_chunks_mut(&mut denominators, CHUNK, |chunk, out| {
            for (k, out) in out.iter_mut().enumerate() {
                let [low, high] = children_before(chunk * CHUNK + k);
                *out = mix(self.q(low), self.q(high), r);
            }
        });
        Self { numerators: self.numerators.bind(len, r), denominators }
    }

    /// `u₀u₁ − λ²p₀p₁` of node `j`.
    fn node(&self, lambda: F, j: usize) -> F {
        let [p0, p1] = [self.numerators.get(2 * j), self.numerators.get(2 * j + 1)];
        (self.q(2 * j) + lambda * p0) * (self.q(2 * j + 1) + lambda * p1) - lambda.square() * p0 * p1
    }
}

/// Coefficients of `t(X) = Σ_j eq(suffix, j)·G_j(X)`: the value at 0 and the leading coefficient.
fn round<F: SmallField>(layer: &Layer<F>, lambda: F, suffix: (&[F], &[F]), rest: &[F]) -> [F; 2] {
    let pairs = layer.len().div_ceil(4);
    let lambda_squared = lambda.square();
    let chunks = par::map(pairs.div_ceil(CHUNK), |chunk| {
        let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(pairs);
        let ones = layer.numerators.ones(4 * range.start, 4 * range.end);
        let mut out = [F::ZERO; 2];
        let mut inner = [F::ZERO; 2];
        let (low, high) = suffix;
        for j in range.clone() {
            let l = j % low.len();
            let g = pair(layer, lambda, lambda_squared, j, ones);
            inner[0] += low[l] * g[0];
            inner[1] += low[l] * g[1];
            if l + 1 == low.len() || j + 1 == range.end {
                let h = high[j / low.len()];
                out[0] += h * inner[0];
                out[1] += h * inner[1];
                inner = [F::ZERO; 2];
            }
        }
        out
    });
    let mut out = [F::ONE - eq_prefix_sum(rest, pairs), F::ZERO];
    for chunk in chunks {
        out[0] += chunk[0];
        out[1] += chunk[1];
    }
    out
}

/// `G_j(0)` and the leading coefficient of `G_j(X) = u₀u₁ − λ²p₀p₁` with `u = q + λp`.
#[inline(always)]
fn pair<F: SmallField>(layer: &Layer<F>, lambda: F, lambda_squared: F, j: usize, ones: bool) -> [F; 2] {
    let q: [F; 4] = std::array::from_fn(|k| layer.q(4 * j + k));
    if ones {
        let at_0 = (q[0] + lambda) * (q[1] + lambda) - lambda_squared;
        return [at_0, (q[2] - q[0]) * (q[3] - q[1])];
    }
    let p: [F; 4] = std::array::from_fn(|k| layer.numerators.get(4 * j + k));
    let u: [F; 4] = std::array::from_fn(|k| q[k] + lambda * p[k]);
    [
        u[0] * u[1] - lambda_squared * p[0] * p[1],
        (u[2] - u[0]) * (u[3] - u[1]) - lambda_squared * (p[2] - p[0]) * (p[3] - p[1]),
    ]
}

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
pub fn prove<F: SmallField>(channel: &mut impl ProverChannel<F>, leaves: Layer<F>) -> Vec<F> {
    assert!(leaves.len() > 0, "a sum has terms");
    let depth = num_vars(leaves.len());
    let mut layers = vec![leaves];
    for _ in 0..depth {
        let parents = layers[layers.len() - 1].parents();
        layers.push(parents);
    }
    let root = layers.pop().expect("the leaves are a layer");
    let (mut p, mut q) = (root.numerators.get(0), root.q(0));
    channel.send(Label::FractionRoot, &[p, q]);
    channel.send_inverse(q);
    let mut point: Vec<F> = Vec::new();
    while let Some(layer) = layers.pop() {
        let lambda = channel.challenge(Label::FractionChallenge);
        let (children, next) = prove_layer(channel, layer, lambda, &point, q + lambda * p);
        let [p0, p1, q0, q1] = children;
        channel.send(Label::FractionChildren, &children);
        channel.product(q0 + lambda * p0, q1 + lambda * p1);
        channel.product(p0, p1);
        let rho = channel.challenge(Label::ChildChallenge);
        (p, q) = (mix(p0, p1, rho), mix(q0, q1, rho));
        point = std::iter::once(rho).chain(next).collect();
    }
    point
}

/// The sum-check of one layer; returns `p₀ p₁ q₀ q₁` and the point where they are claimed.
fn prove_layer<F: SmallField>(
    channel: &mut impl ProverChannel<F>,
    mut layer: Layer<F>,
    lambda: F,
    point: &[F],
    mut claim: F,
) -> ([F; 4], Vec<F>) {
    let eq = SplitEq::new(point);
    let mut next = Vec::with_capacity(point.len());
    for (k, &w) in point.iter().enumerate() {
        let rest = point.get(k + 1..).unwrap_or(&[]);
        let [at_0, upper] = round(&layer, lambda, eq.suffix(k + 1), rest);
        // claim = (1 − w)·t(0) + w·t(1) gives t(1), unless w is zero.
        let at_1 = match w.inverse() {
            Some(inverse) => at_0 + (claim - at_0) * inverse,
            None => {
                let odd = layer.bind(F::ONE);
                let nodes = odd.len().div_ceil(2);
                let real: F = (0..nodes)
                    .zip(crate::sumcheck::eq::eq_prefix(rest, nodes))
                    .map(|(j, e)| e * odd.node(lambda, j))
                    .sum();
                real + F::ONE - eq_prefix_sum(rest, nodes)
            }
        };
        let middle = at_1 - at_0 - upper;
        channel.send(Label::Round, &[middle, upper]);
        let r = channel.challenge(Label::RoundChallenge);
        claim = at_0 + r * (middle + r * upper);
        layer = layer.bind(r);
        next.push(r);
    }
    let [p0, p1] = [layer.numerators.get(0), layer.numerators.get(1)];
    ([p0, p1, layer.q(0), layer.q(1)], next)
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
        Layer { numerators: Numerators::new(numerators, len), denominators }
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
        let p: Fr = eq.iter().enumerate().map(|(i, &e)| e * leaves.numerators.get(i)).sum();
        let q: Fr = eq.iter().enumerate().map(|(i, &e)| e * (leaves.q(i) - Fr::from(1))).sum();
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

    #[test]
    fn large_sums_verify() {
        for (prefix, len) in [(1, 4097), (4096, 8192), (3000, 20_000), (5000, 5000)] {
            assert_eq!(run(&leaves(prefix, len, Fr::from(0))), Ok(()));
        }
    }
}
