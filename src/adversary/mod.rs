//! What a cheating prover can do, for tests only: feature `adversary`, never part of a default build.
//!
//! Three things are offered, to this crate's tests and to any other:
//!
//! - **Hooks.** A [`TamperingProver`] shows an [`Adversary`] every table, tree node, folded row, statement
//!   field and message by a stable name ([`Site::name`]) before it is used or absorbed; what the adversary
//!   leaves there is what the proof goes on with.
//! - **Tapes.** The challenges of a run are recorded ([`Tape`]), and a prover or verifier can be run with
//!   them instead of its own ([`Conditions::tape`]). Against a verifier whose challenges are known in
//!   advance everything can be proved: [`forge`] repairs a tampered proof until each check passes.
//! - **Switches.** A verifier, and a prover, with one absorb or one kind of check left out
//!   ([`Conditions::skip`]); [`Skip::all`] lists them from the tables of labels and refusals.
//!
//! A tamper test means something only with its *positive control*: the same tampering is accepted with the
//! honest tape replayed or with the one check off that it is about, and refused live. `docs/adversary.md`
//! has a complete example.

mod conditions;
mod forger;
mod probe;
mod prover;
mod site;
mod tape;
mod voice;

pub use self::conditions::{Conditions, Lax, MutantVerifier, Skip};
pub use self::forger::{ForgeError, forge};
pub use self::probe::{Finding, Probe, ProbeLog, Read, Residual, probe};
pub use self::prover::{Adversary, Message, TamperingProver};
pub use self::site::Site;
pub use self::tape::{Tape, TapeTranscript};
pub use self::voice::{Forged, Parts};

/// The example of `docs/adversary.md` compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adversary.md")]
struct Guide;
