//! Hiding: the same argument, of which the verifier sees commitments only.
//!
//! ```text
//! Rows       C_r = Σ_j M[r, j]·G_j + ρ_r·H, with a fresh uniform ρ_r for every row of the witness
//! Messages   all scalars m_k that are sent between two challenges are one row: M_k = Σ_j m_{k,j}·G_j + ρ_k·H
//!            is absorbed and sent in their place
//! Verifier   its own code runs over affine forms in the hidden scalars: it multiplies them by challenges only,
//!            and leaves linear equations L_e(m) = 0, products a_p(m)·b_p(m) = c_p, and opening claims whose
//!            values v_i(m) are forms
//! ```
//!
//! What is left is settled inside the opening, because a message is nothing but one more committed row:
//!
//! ```text
//! Merge      δ was drawn: Σ_i δⁱ·⟨claim i⟩ = Σ_i δⁱ·v_i(m)
//! Products   the prover sends, hidden, uniform factors a*, b*, and all outputs c_p with c* = a*·b*; draw τ;
//!            Σ_p eq(τ, p)·c_p = Σ_p eq(τ, p)·a_p·b_p                       a hidden sum-check of degree 3, to r
//!            the prover sends in the clear α = ã(r), β = b̃(r), which the mask makes uniform; three more
//!            linear equations: α = Σ_p eq(r, p)·a_p(m), the same for β, and last claim = eq(τ, r)·α·β
//! Equations  draw η; all that was hidden moves to one side, as claims on the rows of messages:
//!            Σ_i δⁱ·⟨claim i⟩ − Σ_i δⁱ·⟨v_i, m⟩ + Σ_e η^(e+1)·⟨L_e, m⟩ = a public number
//! Columns    the opening's sum-check over one row's columns, hidden, to σ: the claims on message k have the
//!            column weights that the left-hand side has at m_k; last claim y(m') = ⟨eq(σ, ·), h⟩ for the
//!            combination h of all rows, under P = Σ … + ρ·H
//! Mask       the prover sends D = ⟨d, G⟩ + ρ_D·H and, for the w messages m' of the column sum-check, E_k = ⟨e_k, G⟩ +
//!            ρ_{E,k}·H, all uniform, and t = ⟨eq(σ, ·), d⟩ − ⟨y, e⟩; draw x; it sends in the clear z_k = e_k + x·m'_k and the
//!            blinding factors of D + x·P and E_k + x·M'_k, which the verifier checks for each k
//! Open       the inner-product argument, in the clear, for h* = d + x·h: ⟨eq(σ, ·), h*⟩ = t + x·y_0 + ⟨y, z⟩
//! ```
//!
//! # Soundness
//! Rows and messages are bound when they are absorbed, by the discrete logarithm in G1: rewinding the last
//! steps opens every combination of them that a challenge can produce, and they span the rows. Entries of a
//! message row beyond the message's length have weight zero: whatever is there, no equation reads it.
//! Given that, a false claim, equation or product survives δ, τ, the rounds and η with probability at most
//! `(k + e + n + 3n)/|F|` for `k` claims, `e` equations and `2ⁿ` products; the masked opening is a Σ-protocol
//! with special soundness 2, `1/|F|` (Maurer, "Unifying zero-knowledge proofs of knowledge", 2009), and combining its
//! `w` checks costs `w/|F|`.
//!
//! # Zero knowledge
//! Everything that is sent is either a commitment with a fresh uniform blinding factor, or α and β, whose
//! masks occur nowhere else in the clear, or a response `mask + x·secret`, or the inner-product argument for
//! the uniform vector `h*`. A simulator draws all of these, chooses `x`, and computes `D`, `E_k` and `t` from the
//! equations that the verifier checks: perfect zero knowledge against an honest verifier, hence in the random-oracle model
//! for the proof (Cramer, Damgård, "Zero-knowledge proofs for finite field arithmetic, or: can zero-knowledge be for free?",
//! 1998, for the method; Wahby et al., "Doubly-Efficient zkSNARKs Without Trusted Setup", 2018, section 4, for its
//! use with sum-checks). `docs/zero-knowledge.md` has the whole argument.

mod channel;
mod form;
mod mask;
mod products;
mod prover;
mod verifier;

pub use self::channel::{ClearProver, ClearVerifier, MessageRow, OpeningProver, OpeningVerifier, Secret, Settled};
pub use self::form::{Form, Hidden};
pub use self::prover::HidingProver;
pub(crate) use self::verifier::identities;
pub use self::verifier::{HidingVerifier, Owed, Replay};

#[cfg(test)]
mod tests;
