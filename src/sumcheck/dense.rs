//! The border to ark-poly: products of [`DenseMultilinearExtension`]s, proved and verified alone.
//!
//! ```text
//! Claim      Σ_{x ∈ {0,1}ⁿ} Π_k f_k(x) = v             v is sent
//! Sum-check  n rounds of degree K, to r
//! End        the prover sends y_k = f_k(r); last claim = Π_k y_k
//! ```
//!
//! Both libraries put variable 0 at the least significant index bit, so points are the same in both. A proof
//! is what its channel collected: elements in ark-serialize's compressed encoding, one after another.
//!
//! # Soundness
//! `K·n/|F|`, provided that the caller checks `f_k(r) = y_k` for every factor, by itself or against a
//! commitment that was absorbed before.

use ark_ff::PrimeField;
use ark_poly::{DenseMultilinearExtension, MultilinearExtension, Polynomial};

use super::batch;
use super::channel::{ProverChannel, VerifierChannel};
use super::error::{Check, VerifyError};
use super::kernels::Product;
use super::small::SmallField;
use super::transcript::Label;

/// The table of a polynomial: entry `i` is its value at the bits of `i`, least significant first.
#[must_use]
pub fn table<F: PrimeField>(polynomial: &DenseMultilinearExtension<F>) -> &[F] {
    &polynomial.evaluations
}

/// The polynomial of a table, which is extended by zeros to a power of two.
#[must_use]
pub fn polynomial<F: PrimeField>(mut table: Vec<F>) -> DenseMultilinearExtension<F> {
    let len = table.len().next_power_of_two();
    table.resize(len, F::ZERO);
    DenseMultilinearExtension::from_evaluations_vec(len.trailing_zeros() as usize, table)
}

/// What a product sum-check leaves to check: the values of the factors at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the values of the factors must be checked"]
pub struct FactorClaims<F, S, const K: usize> {
    /// The sum of the product over the hypercube.
    pub sum: S,
    /// A coordinate a variable, as [`Polynomial::evaluate`] takes them.
    pub point: Vec<F>,
    /// The value of each factor there.
    pub values: [S; K],
}

impl<F: PrimeField, const K: usize> FactorClaims<F, F, K> {
    /// Whether these are the values of `factors`.
    #[must_use]
    pub fn hold_for(&self, factors: &[DenseMultilinearExtension<F>; K]) -> bool {
        let fits = |f: &DenseMultilinearExtension<F>| f.num_vars() == self.point.len();
        factors.iter().zip(&self.values).all(|(f, &value)| fits(f) && f.evaluate(&self.point) == value)
    }
}

/// Proves the sum of the product of two or three polynomials over the hypercube.
///
/// # Panics
/// If there is another number of polynomials, or they differ in variables.
pub fn prove_product<F: SmallField, const K: usize>(
    channel: &mut impl ProverChannel<F>,
    factors: &[DenseMultilinearExtension<F>; K],
) -> FactorClaims<F, F, K> {
    let num_vars = factors.first().map_or(0, MultilinearExtension::num_vars);
    let mut product = Product::new(num_vars, std::array::from_fn(|k| factors[k].evaluations.clone()));
    let sum = product.sum();
    channel.send(Label::UserMessage, &[sum]);
    let (_, point) = batch::prove(channel, K, &mut [&mut product], &[sum]);
    let values = product.values();
    channel.send(Label::UserMessage, &values);
    values[1..].iter().fold(values[0], |p, &v| channel.product(p, v));
    FactorClaims { sum, point, values }
}

/// Verifies the sum of a product of `K` polynomials of `num_vars` variables, up to their values.
///
/// Checks that the last claim is the product of the values.
///
/// # Errors
/// [`Check::Sumcheck`] if it is not; or the proof cannot be read.
///
/// # Soundness
/// The caller must check the [`FactorClaims`], and [finish](VerifierChannel::finish) the channel.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn verify_product<F: PrimeField, C: VerifierChannel<F>, const K: usize>(
    channel: &mut C,
    num_vars: usize,
) -> Result<FactorClaims<F, C::Scalar, K>, VerifyError> {
    let [sum] = channel.recv_array::<1>(Label::UserMessage)?;
    let reduced = batch::verify(channel, K, &[(num_vars, sum.clone())])?;
    let values = channel.recv_array::<K>(Label::UserMessage)?;
    let mut product = C::Scalar::from(F::ONE);
    for (k, value) in values.iter().enumerate() {
        product = if k == 0 { value.clone() } else { channel.product(&product, value)? };
    }
    channel.require_zero(reduced.claim - product, Check::Sumcheck)?;
    Ok(FactorClaims { sum, point: reduced.point, values })
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::{AdditiveGroup, Field, UniformRand};
    use ark_serialize::CanonicalSerialize;
    use ark_std::test_rng;

    use super::*;
    use crate::sumcheck::channel::{PlainProver, PlainVerifier};
    use crate::sumcheck::transcript::Merlin;

    fn random<const K: usize>(num_vars: usize) -> [DenseMultilinearExtension<Fr>; K] {
        let mut rng = test_rng();
        std::array::from_fn(|_| DenseMultilinearExtension::rand(num_vars, &mut rng))
    }

    fn verify<const K: usize>(num_vars: usize, proof: &[u8]) -> Result<FactorClaims<Fr, Fr, K>, VerifyError> {
        let mut channel = PlainVerifier::new(Merlin::new(b"dense"), proof);
        let claims = verify_product(&mut channel, num_vars)?;
        VerifierChannel::<Fr>::finish(channel)?;
        Ok(claims)
    }

    fn round_trip<const K: usize>(num_vars: usize) {
        let factors = random::<K>(num_vars);
        let mut channel = PlainProver::new(Merlin::new(b"dense"));
        let claims = prove_product(&mut channel, &factors);
        let sum: Fr = (0..1 << num_vars).map(|i| factors.iter().map(|f| f.evaluations[i]).product::<Fr>()).sum();
        assert_eq!(claims.sum, sum);
        assert!(claims.hold_for(&factors));
        let proof = channel.into_proof();
        assert_eq!(proof.len(), (1 + K * num_vars + K) * Fr::ONE.compressed_size());
        assert_eq!(verify(num_vars, &proof), Ok(claims));
        for at in (0..proof.len()).step_by(32) {
            let mut changed = proof.clone();
            changed[at] ^= 1;
            assert_eq!(verify::<K>(num_vars, &changed).unwrap_err(), VerifyError::Check(Check::Sumcheck));
        }
        assert!(verify::<K>(num_vars + 1, &proof).is_err());
    }

    #[test]
    fn products_verify_and_end_where_ark_poly_evaluates() {
        for num_vars in [0, 1, 2, 5, 9] {
            round_trip::<2>(num_vars);
            round_trip::<3>(num_vars);
        }
    }

    #[test]
    fn tables_and_polynomials_are_the_same_thing() {
        let values: Vec<Fr> = (0..5).map(|i| Fr::from(i * i)).collect();
        let f = polynomial(values.clone());
        assert_eq!((f.num_vars(), &table(&f)[..5], table(&f)[5]), (3, &values[..], Fr::ZERO));
        let mut rng = test_rng();
        let point: Vec<Fr> = (0..3).map(|_| Fr::rand(&mut rng)).collect();
        let eq = crate::sumcheck::eq::eq_prefix(&point, 5);
        assert_eq!(f.evaluate(&point), eq.iter().zip(&values).map(|(&e, &x)| e * x).sum::<Fr>());
        let other = [f.clone(), polynomial(vec![Fr::ONE; 8])];
        let mut channel = PlainProver::new(Merlin::new(b"dense"));
        let mut claims = prove_product(&mut channel, &other);
        claims.values[0] += Fr::ONE;
        assert!(!claims.hold_for(&other));
    }
}
