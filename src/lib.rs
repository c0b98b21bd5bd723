#![deny(unsafe_code)]
#![warn(missing_docs)]
//! voxcheck proves that a voice embedding, and the decision made from it, was computed correctly from
//! the samples of a WAV, with sum-check and GKR arguments over BN254.
//!
//! # The statement
//! *I know 16-bit samples that open the audio commitment, and a template that opens the template
//! commitment, such that the integer program of this model maps the samples to an embedding, and the
//! cosine of embedding and template is (or is not) at least the threshold.* See [`statement`].
//!
//! # Data flow
//! ```text
//! WAV ─ audio::wav ─▶ samples ─ audio::features, layers ─▶ embedding ─ layers::score ─▶ decision
//!       everything after the samples only lowers into ─▶ gkr::program ─ gkr::trace ─▶ trace
//! trace ─ gkr::pcs ─▶ commitments ─ gkr::prover ─▶ claims ─ sumcheck ─▶ openings ─▶ proof
//! proof ─ key ─▶ gkr::verifier ─▶ Ok(Accept | Reject) | Err(invalid)
//! ```
//!
//! Layers *lower* to four relations; only the engine in [`gkr`] proves. [`sumcheck`], [`gkr`],
//! [`layers`] and [`audio`] are each usable without those that come after them in this list.
//!
//! # Example
//! ```no_run
//! use voxcheck::{Context, Model, audio, setup};
//!
//! let (pk, vk) = setup(&Model::bundled()?)?;
//! let recordings = [audio::wav::read("monday.wav")?, audio::wav::read("tuesday.wav")?];
//! let template = pk.enrol(&recordings, 0.6)?;
//! let (statement, proof) = pk.prove(&audio::wav::read("login.wav")?, &template, &Context::new(*b"nonce"))?;
//! let verdict = vk.verify(&statement, &proof)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "adversary")]
pub mod adversary;
#[cfg(feature = "attest")]
pub mod attest;
pub mod audio;
pub mod error;
pub mod gkr;
pub mod layers;
pub mod sumcheck;
#[cfg(test)]
mod test_data;

mod calibration;
mod compare;
pub mod cost;
pub mod enrolment;
pub mod files;
pub mod key;
pub mod model;
pub mod proof;
pub mod revocation;
pub mod simd;
pub mod statement;
pub mod weights;

pub use model::Model;
pub use proof::{Context, ProvingKey, Statement, Verdict, VerifyingKey, setup, setup_private};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
