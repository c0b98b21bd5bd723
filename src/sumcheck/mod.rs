//! Sum-check: multilinear tables, `eq`, round messages, transcript and channels.
pub mod channel;
pub mod eq;
pub mod error;
pub mod int;
pub mod par;
pub mod small;
pub mod transcript;
