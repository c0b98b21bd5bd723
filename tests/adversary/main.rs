//! Cheating provers and broken verifiers. Needs the feature `adversary`.
//!
//! Every tampering has a positive control: it is accepted with the honest tape replayed, or with the one check
//! off that it is about; and it is refused live, by a typed error. `docs/adversary.md` says how, and where each
//! entry of the list of attacks is tested.

#[path = "../common/mod.rs"]
mod common;

mod activity;
mod front_end;
mod harness;
mod hiding;
mod inside;
mod layers;
mod manifest;
mod messages;
mod mutants;
mod toy;
mod voice;
mod witness;
mod word;
