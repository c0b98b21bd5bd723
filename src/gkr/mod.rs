//! GKR: programs over integer tensors, their relations and how they are proved.
pub mod builder;
pub mod claims;
pub mod fraction;
mod lookup;
mod matmul;
pub mod pcs;
pub mod program;
pub mod tables;
pub mod trace;
pub mod view;

/// The scalar field of BN254's G1, over which everything is proved.
pub type Fr = ark_bn254::Fr;
