#![deny(unsafe_code)]
#![warn(missing_docs)]
//! voxcheck proves that a voice embedding was computed correctly.

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
pub mod files;
pub mod key;
pub mod model;
pub mod proof;
pub mod statement;

pub use model::Model;
pub use proof::{Context, ProvingKey, Statement, Verdict, VerifyingKey, setup};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
