//! From the bytes of a WAV to the features a network takes.
//!
//! [`wav`] is the only audio parser, [`frontend`] says what the features are, and [`float`]
//! computes them in double precision: the reference against which the integer pipeline is measured.

pub mod features;
pub mod float;
pub mod frontend;
pub mod wav;

pub use frontend::{FrontEnd, FrontEndError};
