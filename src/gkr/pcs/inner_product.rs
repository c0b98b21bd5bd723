//! Inner-product argument: `⟨h, eq(σ, ·)⟩ = y` for the vector `h` under a commitment `P = Σ_j h_j·G_j`.
//!
//! ```text
//! Bind       draw μ; with U' = μ·U the statement is P' = P + y·U' = ⟨h, G⟩ + ⟨h, b⟩·U', b = eq(σ, ·)
//! Round      halves by the most significant index bit; the prover sends
//!              L = ⟨h_lo, G_hi⟩ + ⟨h_lo, b_hi⟩·U'      R = ⟨h_hi, G_lo⟩ + ⟨h_hi, b_lo⟩·U'
//!            draw x; h ← h_lo + x·h_hi,  G ← x·G_lo + G_hi,  b ← x·b_lo + b_hi,
//!            P' ← L + x·P' + x²·R
//! End        the prover sends h; the verifier checks P' = ⟨h, G⟩ + ⟨h, b⟩·U'
//! ```
//!
//! Only the first few rounds are played: each halves the vector that is sent at the end and costs
//! the prover a multi-scalar multiplication over the *original* generators, which are never folded:
//! after some rounds `G_j` is `Σ_p c_p·G_{j + p·n}` with products `c_p` of challenges. Likewise `b`
//! stays `β·eq(σ_1 … σ_k, ·)`. The verifier puts everything into one multi-scalar multiplication.
//!
//! Soundness: three accepting `x` a round give an opening by solving for the powers of `x`, so a
//! prover without one succeeds with probability at most `(1 + 2·rounds)/|F|`, or knows a discrete
//! logarithm relation between generators. Bootle, Cerulli, Chaidos, Groth, Petit, "Efficient
//! Zero-Knowledge Arguments for Arithmetic Circuits in the Discrete Log Setting", 2016; Bünz et al.,
//! "Bulletproofs", 2018; the folding without inverses is that of Attema and Cramer, "Compressed
//! Σ-Protocol Theory", 2020.

use ark_bn254::{Fr, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::Field;

use super::combination::Combination;
use super::curve;
use super::generators::Generators;
use super::msm::Multiples;
use crate::sumcheck::channel::{ProverChannel, VerifierChannel};
use crate::sumcheck::eq::{eq_prefix, eq_table};
use crate::sumcheck::error::{Check, StatementError, VerifyError};
use crate::sumcheck::par;
use crate::sumcheck::transcript::Label;

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn dot(a: &[Fr], b: &[Fr]) -> Fr {
    a.iter().zip(b).map(|(x, y)| *x * y).sum()
}

/// Products `c_p` after one more round: the last bit of `p` says whether it took the low half of the
/// generators, scaled by `x`, or the high one.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn extend_products(products: &[Fr], x: Fr) -> Vec<Fr> {
    products.iter().flat_map(|&c| [c * x, c]).collect()
}

/// `⟨half, G'⟩ + inner·U` for the half of the folded generators that starts at `offset`, over the original
/// generators.
fn cross_term(key: &Bases<'_>, half: &[Fr], products: &[Fr], offset: usize, inner: Fr) -> G1Projective {
    let terms = products.iter().enumerate().flat_map(|(p, product)| {
        let first = 2 * half.len() * p + offset;
        half.iter().enumerate().map(move |(i, h)| (first + i, *h * product))
    });
    key.multiples.combine(terms) + key.generators.inner() * inner
}

/// What a prover adds up: the generators, and their multiples.
#[derive(Clone, Copy)]
pub struct Bases<'a> {
    /// The generators.
    pub generators: &'a Generators,
    /// The multiples of those of the rows.
    pub multiples: &'a Multiples,
}

/// Opens `vector`, of `2^point.len()` entries, at `point`.
///
/// # Panics
/// If the vector has another length or the generators are fewer.
pub fn prove<P: ProverChannel<Fr>>(bases: Bases<'_>, vector: Vec<Fr>, point: &[Fr], rounds: usize, channel: &mut P) {
    assert_eq!(vector.len(), 1 << point.len(), "a vector over that many variables");
    assert!(vector.len() <= bases.multiples.num_generators(), "a vector longer than the list of generators");
    let base = channel.challenge(Label::InnerProductBase);
    let (mut h, mut b, mut products) = (vector, eq_table(point), vec![Fr::ONE]);
    for _ in 0..rounds.min(point.len()) {
        let half = h.len() / 2;
        let (h_lo, h_hi) = h.split_at(half);
        let (b_lo, b_hi) = b.split_at(half);
        let (left, right) = par::join(
            || cross_term(&bases, h_lo, &products, half, base * dot(h_lo, b_hi)),
            || cross_term(&bases, h_hi, &products, 0, base * dot(h_hi, b_lo)),
        );
        channel.send_elements(Label::InnerProductCross, &G1Projective::normalize_batch(&[left, right]));
        let x: Fr = channel.challenge(Label::InnerProductChallenge);
        let folded_h = h_lo.iter().zip(h_hi).map(|(&lo, &hi)| lo + x * hi).collect();
        let folded_b = b_lo.iter().zip(b_hi).map(|(&lo, &hi)| x * lo + hi).collect();
        (h, b, products) = (folded_h, folded_b, extend_products(&products, x));
    }
    channel.send_public(Label::InnerProductEnd, &h);
}

/// Checks that the vector under `commitment` has inner product `value` with `eq(point, ·)`.
///
/// # Errors
/// [`Check::InnerProduct`] if it has not; or the proof cannot be read.
///
/// # Soundness
/// Every part of the statement must be determined by the transcript before this is called.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn verify<C: VerifierChannel<Fr>>(
    generators: &Generators,
    mut commitment: Combination,
    point: &[Fr],
    value: Fr,
    rounds: usize,
    channel: &mut C,
) -> Result<(), VerifyError> {
    let base = channel.challenge(Label::InnerProductBase);
    commitment.push(generators.inner(), base * value);
    let (mut products, mut scale, mut cross) = (vec![Fr::ONE], Fr::ONE, Vec::new());
    let (end_point, bound) = point.split_at(point.len() - rounds.min(point.len()));
    for &sigma in bound.iter().rev() {
        let elements = curve::recv(Label::InnerProductCross, 2, channel)?;
        let [left, right] = elements.try_into().map_err(|_| VerifyError::Truncated(Label::InnerProductCross))?;
        let x = channel.challenge(Label::InnerProductChallenge);
        cross.push((left, right, x));
        products = extend_products(&products, x);
        scale *= x * (Fr::ONE - sigma) + sigma;
    }
    let end = channel.recv_public(Label::InnerProductEnd, 1 << end_point.len())?;

    // P' after all rounds: the statement times Π x_k, and each L and x²·R times what follows its round.
    commitment.scale(products.first().copied().unwrap_or(Fr::ONE));
    let mut later = Fr::ONE;
    for &(left, right, x) in cross.iter().rev() {
        commitment.push(left, later);
        commitment.push(right, later * x.square());
        later *= x;
    }

    // ⟨h, G⟩ + ⟨h, b⟩·U' is taken away, and nothing may be left.
    let inner = scale * dot(&end, &eq_prefix(end_point, end.len()));
    commitment.push(generators.inner(), -(base * inner));
    let blocks = products.iter().flat_map(|&c| end.iter().map(move |&h| -(c * h)));
    if generators.row().len() < products.len() * end.len() {
        return Err(StatementError::Misfit("a commitment is wider than the key").into());
    }
    for (&g, scalar) in generators.row().iter().zip(blocks) {
        commitment.push(g, scalar);
    }
    channel.require_identity(|| commitment.sum(), Check::InnerProduct)
}
