//! Many sum-checks as one.
//!
//! Instances `i` with claims `vᵢ` over `nᵢ ≤ n` variables share their challenges. Shorter ones join
//! late: as polynomials in all `n` variables they do not depend on the first `n − nᵢ`, so the joint
//! claim is
//!
//! ```text
//! Σᵢ γⁱ · 2^(n − nᵢ) · vᵢ  =  Σ_{x ∈ {0,1}ⁿ} Σᵢ γⁱ · fᵢ(x_{n−nᵢ}, …, x_{n−1})
//! ```
//!
//! and instance `i` ends at the last `nᵢ` challenges. The verifier's last claim must equal
//! `Σᵢ γⁱ · fᵢ(rᵢ)`.
//!
//! # Soundness
//! `(k − 1)/|F|` for combining `k` claims by powers of `γ`, plus `n·d/|F|` for the rounds.

use ark_ff::PrimeField;

use super::channel::{ProverChannel, VerifierChannel};
use super::error::VerifyError;
use super::rounds::{recv_round, send_round};
use super::transcript::Label;

/// What a prover does with one sum inside a batch.
pub trait Instance<F>: Send {
    /// Variables that are not bound yet.
    fn num_vars(&self) -> usize;
    /// Coefficients of the round polynomial, whose values at 0 and 1 sum to `claim`.
    fn round(&mut self, claim: F) -> Vec<F>;
    /// Binds the next variable.
    fn bind(&mut self, r: F);
}

/// Proves all claims together; returns the combiner `γ` and the challenges. Every instance ends fully
/// bound, at the suffix of the challenges that is as long as its number of variables.
///
/// # Panics
/// If there is another number of claims than instances.
pub fn prove<F: PrimeField>(
    channel: &mut impl ProverChannel<F>,
    degree: usize,
    instances: &mut [&mut dyn Instance<F>],
    claims: &[F],
) -> (F, Vec<F>) {
    let gamma: F = channel.challenge(Label::BatchChallenge);
    let weights: Vec<F> =
        std::iter::successors(Some(F::ONE), |&power| Some(power * gamma)).take(claims.len()).collect();
    let num_rounds = instances.iter().map(|i| i.num_vars()).max().unwrap_or(0);
    (gamma, prove_sum(channel, degree, num_rounds, instances, claims, &weights))
}

/// Proves the claim `Σᵢ weightᵢ · 2^(n − nᵢ) · vᵢ` in `n` rounds, without a combiner; returns the challenges.
///
/// # Panics
/// If there are other numbers of claims or weights than instances, or an instance needs more rounds.
pub fn prove_sum<F: PrimeField>(
    channel: &mut impl ProverChannel<F>,
    degree: usize,
    num_rounds: usize,
    instances: &mut [&mut dyn Instance<F>],
    claims: &[F],
    weights: &[F],
) -> Vec<F> {
    assert_eq!((instances.len(), claims.len()), (weights.len(), weights.len()), "one claim and one weight an instance");
    let half = F::from(2u64).inverse().expect("the characteristic is not 2");
    let mut claims: Vec<F> =
        claims.iter().zip(instances.iter()).map(|(&v, i)| v * scale::<F>(num_rounds - i.num_vars())).collect();
    let mut point = Vec::with_capacity(num_rounds);
    for round in 0..num_rounds {
        let polys = instance_rounds(instances, &claims, num_rounds - round, half);
        let mut joint = vec![F::ZERO; degree + 1];
        for (poly, &weight) in polys.iter().zip(weights) {
            joint.iter_mut().zip(poly).for_each(|(j, &c)| *j += weight * c);
        }
        let (r, _) = send_round(channel, &joint);
        for (claim, poly) in claims.iter_mut().zip(&polys) {
            *claim = super::rounds::evaluate(poly, r);
        }
        bind_instances(instances, num_rounds - round, r);
        point.push(r);
    }
    point
}

/// The round polynomial of every instance; one that has not joined is constant.
fn instance_rounds<F: PrimeField>(
    instances: &mut [&mut dyn Instance<F>],
    claims: &[F],
    vars_left: usize,
    half: F,
) -> Vec<Vec<F>> {
    let round = |(instance, &claim): (&mut &mut dyn Instance<F>, &F)| {
        if instance.num_vars() == vars_left { instance.round(claim) } else { vec![claim * half] }
    };
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        instances.par_iter_mut().zip(claims).map(round).collect()
    }
    #[cfg(not(feature = "parallel"))]
    {
        instances.iter_mut().zip(claims).map(round).collect()
    }
}

/// Binds the next variable of every instance that has joined.
fn bind_instances<F: PrimeField>(instances: &mut [&mut dyn Instance<F>], vars_left: usize, r: F) {
    let bind = |instance: &mut &mut dyn Instance<F>| {
        if instance.num_vars() == vars_left {
            instance.bind(r);
        }
    };
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        instances.par_iter_mut().for_each(bind);
    }
    #[cfg(not(feature = "parallel"))]
    {
        instances.iter_mut().for_each(bind);
    }
}

/// What the verifier holds after a batch.
#[must_use = "the last claim must be checked against the values of the instances"]
pub struct Reduced<F, S> {
    /// The combiner of the instances.
    pub gamma: F,
    /// All challenges; instance `i` ends at the last `nᵢ` of them.
    pub point: Vec<F>,
    /// Must equal `Σᵢ γⁱ · fᵢ(rᵢ)`.
    pub claim: S,
}

/// Verifies a batch of claims `(num_vars, value)` up to the last claim.
///
/// # Soundness
/// The caller must check [`Reduced::claim`].
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn verify<F: PrimeField, C: VerifierChannel<F>>(
    channel: &mut C,
    degree: usize,
    claims: &[(usize, C::Scalar)],
) -> Result<Reduced<F, C::Scalar>, VerifyError> {
    let gamma: F = channel.challenge(Label::BatchChallenge);
    let num_rounds = claims.iter().map(|&(n, _)| n).max().unwrap_or(0);
    let mut claim = C::Scalar::from(F::ZERO);
    let mut power = F::ONE;
    for (num_vars, value) in claims {
        claim = claim + value.clone() * (power * scale::<F>(num_rounds - num_vars));
        power *= gamma;
    }
    let (point, claim) = verify_sum(channel, degree, num_rounds, claim)?;
    Ok(Reduced { gamma, point, claim })
}

/// Verifies the rounds of one sum; returns the challenges and the last claim.
///
/// # Soundness
/// The caller must check the last claim.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn verify_sum<F: PrimeField, C: VerifierChannel<F>>(
    channel: &mut C,
    degree: usize,
    num_rounds: usize,
    mut claim: C::Scalar,
) -> Result<(Vec<F>, C::Scalar), VerifyError> {
    let mut point = Vec::with_capacity(num_rounds);
    for _ in 0..num_rounds {
        let (r, next) = recv_round(channel, degree, claim)?;
        point.push(r);
        claim = next;
    }
    Ok((point, claim))
}

/// `2^late`: the sum over the variables that an instance does not depend on.
fn scale<F: PrimeField>(late: usize) -> F {
    F::from(2u64).pow([late as u64])
}

/// The challenges at which an instance of `num_vars` variables ends.
#[must_use]
pub fn suffix<F>(point: &[F], num_vars: usize) -> &[F] {
    point.get(point.len().saturating_sub(num_vars)..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::{AdditiveGroup, Field, UniformRand};
    use ark_std::{rand::Rng, test_rng};
    use proptest::prelude::*;

    use super::*;
    use crate::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
    use crate::sumcheck::eq::{eq_eval, eq_prefix};
    use crate::sumcheck::int::{IntTable, IntVec};
    use crate::sumcheck::kernels::{EqProduct, Product};
    use crate::sumcheck::small::weighted_sum;
    use crate::sumcheck::transcript::Merlin;

    fn random(len: usize, rng: &mut impl Rng) -> Vec<Fr> {
        (0..len).map(|_| Fr::rand(rng)).collect()
    }

    fn mle(table: &[Fr], point: &[Fr]) -> Fr {
        eq_prefix(point, table.len()).iter().zip(table).map(|(&e, &x)| e * x).sum()
    }

    /// Proves and verifies three kinds of instances of different length; returns whether the final
    /// values satisfy the last claim.
    fn round_trip(len2: usize, len3: usize, rows: usize, cols: usize, wide: bool, lie: Fr) -> bool {
        let mut rng = test_rng();
        let vars = |len: usize| len.next_power_of_two().trailing_zeros() as usize;
        let p2: [Vec<Fr>; 2] = std::array::from_fn(|_| random(len2, &mut rng));
        let p3: [Vec<Fr>; 3] = std::array::from_fn(|_| random(len3, &mut rng));
        let mut ints = || {
            let n = rows * cols;
            let values = if wide {
                IntVec::I128((0..n).map(|_| rng.r#gen::<i128>() >> 2).collect())
            } else {
                IntVec::I16((0..n).map(|_| rng.r#gen()).collect())
            };
            IntTable::new(rows, cols, values)
        };
        let (a, b) = (ints(), ints());
        let weights = random(rows, &mut rng);
        let r = random(vars(cols), &mut rng);
        let eq = eq_prefix(&r, cols);
        let ab: Fr = (0..rows)
            .flat_map(|t| (0..cols).map(move |c| (t, c)))
            .map(|(t, c)| weights[t] * eq[c] * Fr::from(a.get(t, c)) * Fr::from(b.get(t, c)))
            .sum();
        let (v2, v3, vi) = (vars(len2), vars(len3), vars(rows) + vars(cols));

        let mut prover = PlainProver::new(Merlin::new(b"test"));
        let mut i2 = Product::new(v2, p2.clone());
        let mut i3 = Product::new(v3, p3.clone());
        let mut ii = EqProduct::new(&a, &b, vars(rows), weights.clone(), r.clone());
        let claims = [i2.sum() + lie, i3.sum(), ab];
        let (_, point) = prove(&mut prover, 3, &mut [&mut i2, &mut i3, &mut ii], &claims);
        let ends = (i2.values(), i3.values(), ii.values());
        let proof = prover.into_proof();

        let mut verifier = PlainVerifier::new(Merlin::new(b"test"), &proof);
        let claims = [(v2, claims[0]), (v3, claims[1]), (vi, claims[2])];
        let reduced = verify::<Fr, _>(&mut verifier, 3, &claims).unwrap();
        assert_eq!(reduced.point, point);
        VerifierChannel::<Fr>::finish(verifier).unwrap();
        let (e2, e3, ei) = (suffix(&point, v2), suffix(&point, v3), suffix(&point, vi));
        for (table, value) in p2.iter().zip(ends.0).chain([]) {
            assert_eq!(mle(table, e2), value);
        }
        for (table, value) in p3.iter().zip(ends.1) {
            assert_eq!(mle(table, e3), value);
        }
        let (end_cols, end_rows) = ei.split_at(vars(cols));
        let (row_eq, col_eq) = (eq_prefix(end_rows, rows), eq_prefix(end_cols, cols));
        assert_eq!(weighted_sum(&a, &row_eq, &col_eq), ends.2[0]);
        assert_eq!(weighted_sum(&b, &row_eq, &col_eq), ends.2[1]);
        let last = ends.0[0] * ends.0[1]
            + reduced.gamma * ends.1[0] * ends.1[1] * ends.1[2]
            + reduced.gamma.square() * mle(&weights, end_rows) * eq_eval(&r, end_cols) * ends.2[0] * ends.2[1];
        last == reduced.claim
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn batches_reduce_to_the_true_values(
            len2 in 1usize..40, len3 in 1usize..40, rows in 1usize..10, cols in 1usize..18, wide: bool,
        ) {
            prop_assert!(round_trip(len2, len3, rows, cols, wide, Fr::ZERO));
            prop_assert!(!round_trip(len2, len3, rows, cols, wide, Fr::from(1)));
        }
    }
}
