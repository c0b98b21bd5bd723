//! One round of a sum-check, for both sides.
//!
//! A round polynomial `s(X) = Σ cₖXᵏ` of degree `d` is sent as `c₀, c₂, …, c_d`: the verifier derives
//! `c₁ = claim − 2c₀ − c₂ − … − c_d` from `s(0) + s(1) = claim`, so the sum cannot be wrong and the
//! whole argument rests on the final evaluation. The number of coefficients is fixed by the degree.
//!
//! # Soundness
//! A round is fooled with probability at most `d / |F|` (Lund, Fortnow, Karloff, Nisan 1992; Thaler,
//! *Proofs, Arguments, and Zero-Knowledge*, section 4.1).

use ark_ff::PrimeField;

use super::channel::{ProverChannel, VerifierChannel};
use super::error::VerifyError;
use super::transcript::Label;

/// Sends the round polynomial with these coefficients and draws the challenge; returns it with the
/// polynomial's value there, which is the next claim.
pub fn send_round<F: PrimeField>(channel: &mut impl ProverChannel<F>, coefficients: &[F]) -> (F, F) {
    let sent: Vec<F> = coefficients.iter().enumerate().filter(|&(k, _)| k != 1).map(|(_, &c)| c).collect();
    channel.send(Label::Round, &sent);
    let r = channel.challenge(Label::RoundChallenge);
    (r, evaluate(coefficients, r))
}

/// Receives a round polynomial of the given degree (at least 1), whose values at 0 and 1 sum to
/// `claim` by construction; returns the challenge and the next claim.
///
/// # Soundness
/// The caller must check the last claim of the sum-check against the true evaluation.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn recv_round<F: PrimeField, C: VerifierChannel<F>>(
    channel: &mut C,
    degree: usize,
    claim: C::Scalar,
) -> Result<(F, C::Scalar), VerifyError> {
    let received = channel.recv(Label::Round, degree)?;
    let r = channel.challenge(Label::RoundChallenge);
    // s(r) = c₀ + c₁r + Σ_{k≥2} cₖrᵏ with c₁ = claim − 2c₀ − Σ_{k≥2} cₖ.
    let mut next = claim * r;
    let mut power = r;
    for (k, c) in received.into_iter().enumerate() {
        let factor = if k == 0 {
            F::ONE - r.double()
        } else {
            power *= r;
            power - r
        };
        next = next + c * factor;
    }
    Ok((r, next))
}

/// The polynomial with these coefficients at `x`.
pub fn evaluate<F: PrimeField>(coefficients: &[F], x: F) -> F {
    coefficients.iter().rev().fold(F::ZERO, |acc, &c| acc * x + c)
}

/// Coefficients of the cubic with the given values at 0, 1 and −1 and the given leading coefficient.
pub fn cubic<F: PrimeField>(at_0: F, at_1: F, at_minus_1: F, leading: F) -> [F; 4] {
    let half = F::from(2u64).inverse().expect("the characteristic is not 2");
    // (s(1) + s(−1))/2 = c₀ + c₂ and (s(1) − s(−1))/2 = c₁ + c₃.
    let c2 = (at_1 + at_minus_1) * half - at_0;
    let c1 = (at_1 - at_minus_1) * half - leading;
    [at_0, c1, c2, leading]
}

/// Product of the linear `l₀ + l₁X` and the quadratic with these coefficients.
pub fn times_linear<F: PrimeField>(l0: F, l1: F, q: [F; 3]) -> [F; 4] {
    [l0 * q[0], l0 * q[1] + l1 * q[0], l0 * q[2] + l1 * q[1], l1 * q[2]]
}
