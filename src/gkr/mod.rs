//! gkr
pub mod pcs;
