//! GKR: programs over integer tensors, their relations and how they are proved.
pub mod builder;
pub mod claims;
mod contraction;
pub mod fraction;
mod leaves;
mod lookup;
mod matmul;
mod openings;
pub mod pcs;
mod product;
pub mod program;
pub mod prover;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod tree;
pub mod verifier;
pub mod view;
pub mod waves;

/// The scalar field of BN254's G1, over which everything is proved.
pub type Fr = ark_bn254::Fr;
