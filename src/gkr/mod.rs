//! GKR: programs over integer tensors, their relations and how they are proved.
//!
//! A [`program`] is a list of integer tensors and of relations between them: `Linear`, `Contraction`,
//! `Product` and `Lookup`. Committed tensors are committed before the first challenge; *virtual* ones are
//! defined by their relation, never committed, and a claim on one becomes claims on what it is made of.
//!
//! # The walk
//! A claim is `Σ_{t,c} ω(t)·eq(r, c)·x[t, c] = v` over the real entries of a tensor: public weights on its
//! rows, a point on its columns. Both sides walk the program in one order ([`prover`], [`verifier`]):
//!
//! ```text
//! 1 Statement  program digest, public outputs, commitments to inputs and constants are absorbed
//! 2 Commit     rows of witness tensors and multiplicities are sent and absorbed
//! 3 Lookup     draw β, α; 0 = Σ_tuples 1/(α − Σ βʲcolⱼ − βᵐid) − Σ_tables mult/(α − Σ βʲTⱼ − βᵐid)
//!              as a tree of fractions, down to one point of all leaves: a claim on every column
//! 4 Outputs    a public output has the extension of its public values at a drawn point
//! 5 Waves      all claims on outputs of contractions and products that no other claim can join later
//!              are one batched sum-check, which ends in claims on the operands
//!                contraction  v = Σ_{c,κ} [Σ_t ω(t)·lhs[src(t,κ), c]] · [Σ_n eq(r,n)·rhs[κC̄+c, n]]
//!                product      v = Σ_{t,c} ω(t)·eq(r,c)·left[t,c]·right[t,c]
//! 6 Points     claims with weights on rows that a commitment cannot open become claims at points
//! 7 Padding    for a drawn point, one claim of value 0 for each kind of padding of a commitment
//! 8 Open       all claims on all commitments at once
//! ```
//!
//! A claim on a tensor that is linear in others splits at once, and that is the whole argument for `Linear`.
//! Views (shifts, strides, slices, broadcasts) only rewrite a claim. `docs/soundness.md` has the argument and
//! its error in full.
//!
//! # Example
//! `y = x·w` and `y ∈ [0, 2⁸)` for a committed `x` and a constant `w`; then the product is made public.
//!
//! ```
//! use std::sync::Arc;
//! use voxcheck::gkr::builder::ProgramBuilder;
//! use voxcheck::gkr::pcs::{Hyrax, MultilinearPcs, ProverKey, VerifierKey};
//! use voxcheck::gkr::program::{MAX_WIDTH_VARS, SHARED_WIDTH_VARS};
//! use voxcheck::gkr::prover::{self, PublicCommitments, Witness};
//! use voxcheck::gkr::trace::Trace;
//! use voxcheck::gkr::verifier;
//! use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
//! use voxcheck::sumcheck::int::{IntTable, IntVec};
//! use voxcheck::sumcheck::transcript::Merlin;
//!
//! let mut p = ProgramBuilder::new(8);
//! let x = p.input("x", (2, 2), 0, 255)?;
//! let w = p.constant("w", 0, (2, 1), 0, 9)?;
//! let y = p.contraction("y", p.whole(x), p.whole(w))?;
//! p.range(p.whole(x), 0, 8)?;
//! p.range(p.whole(y), 0, 8)?;
//! p.output(y);
//! let (program, recipes) = p.finish()?;
//!
//! let x = Arc::new(IntTable::new(2, 2, IntVec::I16(vec![1, 2, 3, 4])));
//! let w = Arc::new(IntTable::new(2, 1, IntVec::I8(vec![5, 6])));
//! let trace = Trace::run(&program, &recipes, &[x.clone()], &[w.clone()])?;
//! let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
//! let [x, w] = [x, w].map(|table| Hyrax::commit(&key, &table, SHARED_WIDTH_VARS));
//! let public = PublicCommitments { inputs: &[&x], constants: &[&w] };
//! let mut channel = PlainProver::new(Merlin::new(b"example"));
//! prover::prove::<Hyrax, _>(&key, &program, Witness::new(&trace), &public, &mut channel);
//! let proof = channel.into_proof();
//!
//! let output = IntTable::new(2, 1, IntVec::I16(vec![17, 39]));
//! let mut channel = PlainVerifier::new(Merlin::new(b"example"), &proof);
//! verifier::verify::<Hyrax, _>(key.verifier_key(), &program, &[&output], &public, &mut channel)?;
//! VerifierChannel::<voxcheck::gkr::Fr>::finish(channel)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod admission;
pub mod builder;
pub mod claims;
mod contraction;
mod find;
mod folds;
pub mod fraction;
mod hint;
mod leaves;
pub mod ledger;
mod lookup;
mod matmul;
pub mod meter;
mod nodes;
mod openings;
pub mod pcs;
mod product;
pub mod program;
pub mod prover;
mod split;
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
