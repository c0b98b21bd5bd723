//! Sum-check: multilinear tables, `eq`, round messages, transcript and channels.
//!
//! ```text
//! Claim      Σ_{x ∈ {0,1}ⁿ} g(x) = v                  g of degree at most d in each variable
//! Round k    the prover sends s_k(X) = Σ_{x_{k+1}, …} g(r_0, …, r_{k−1}, X, x_{k+1}, …)
//!            s_k(0) + s_k(1) = v_k holds by construction, since one coefficient is left out
//!            the verifier draws r_k;  v_{k+1} = s_k(r_k)
//! End        v_n = g(r), which the caller checks
//! ```
//!
//! **Order of variables.** `point[0]` belongs to the *least* significant index bit and is bound first, as in
//! ark-poly. A table whose real entries are a prefix keeps that form in every round, so nothing is spent on
//! padding to a power of two.
//!
//! **Modules.** [`rounds`] is one round for both sides, [`batch`] many sums with common challenges,
//! [`kernels`] the prover's fast messages for products and `eq`-weighted products, [`eq`](mod@eq) the equality
//! polynomial, [`int`] and [`small`] tables that stay small integers until a challenge makes them field
//! elements, [`channel`] and [`transcript`] the Fiat–Shamir transform, and [`dense`] the border to ark-poly.
//!
//! **Sending is absorbing.** A message reaches the proof only through a channel, which absorbs its canonical
//! encoding first; a verifier reads through the mirror channel.
//!
//! # Soundness
//! `n·d/|F|` for one sum (Lund, Fortnow, Karloff, Nisan 1992; Thaler, *Proofs, Arguments, and Zero-Knowledge*,
//! section 4.1), `(k − 1)/|F|` more for a batch of `k`, in the random-oracle model for the transcript.
//!
//! # Example
//! The sum of a product of two polynomials, proved and verified:
//!
//! ```
//! use ark_bn254::Fr;
//! use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
//! use voxcheck::sumcheck::dense::{self, FactorClaims};
//! use voxcheck::sumcheck::transcript::Merlin;
//!
//! let factors = [[1u64, 2, 3, 4], [5, 6, 7, 8]].map(|t| dense::polynomial(t.map(Fr::from).to_vec()));
//! let mut prover = PlainProver::new(Merlin::new(b"example"));
//! let _ = dense::prove_product(&mut prover, &factors);
//! let proof = prover.into_proof();
//!
//! let mut verifier = PlainVerifier::new(Merlin::new(b"example"), &proof);
//! let claims: FactorClaims<Fr, Fr, 2> = dense::verify_product(&mut verifier, 2)?;
//! VerifierChannel::<Fr>::finish(verifier)?;
//! assert_eq!(claims.sum, Fr::from(1u64 * 5 + 2 * 6 + 3 * 7 + 4 * 8));
//! assert!(claims.hold_for(&factors));
//! # Ok::<(), voxcheck::sumcheck::error::VerifyError>(())
//! ```
pub mod batch;
pub mod channel;
pub mod dense;
pub mod eq;
mod eq_product;
pub mod error;
pub mod int;
pub mod kernels;
pub mod par;
pub mod rounds;
pub mod small;
mod small_rounds;
pub mod transcript;
pub mod vectors;
