#![deny(unsafe_code)]
#![warn(missing_docs)]
//! voxcheck proves that a voice embedding was computed correctly.

pub mod audio;
pub mod gkr;
pub mod layers;
pub mod sumcheck;
