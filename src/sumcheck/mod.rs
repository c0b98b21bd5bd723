//! Sum-check: multilinear tables, `eq`, round messages, transcript and channels.
pub mod batch;
pub mod channel;
pub mod eq;
pub mod error;
pub mod int;
pub mod kernels;
pub mod par;
pub mod rounds;
pub mod small;
pub mod transcript;
