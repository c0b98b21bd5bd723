//! Under which conditions a prover or verifier runs: what it leaves out, whose challenges it takes.

use std::collections::BTreeSet;
use std::fmt;

use ark_serialize::{CanonicalDeserialize, Compress, Validate};

use super::tape::{Tape, TapeTranscript};
use crate::sumcheck::channel::{PlainVerifier, Policy, sealed};
use crate::sumcheck::error::{Refusal, VerifyError};
use crate::sumcheck::transcript::Label;

/// Something that a broken verifier leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// Messages with this label are not absorbed, by either side.
    Absorb(Label),
    /// Checks of this kind are not made.
    Check(Refusal),
}

impl Skip {
    /// Everything that can be left out, from the tables of labels and of refusals. Absorbs of labels that
    /// only challenges have are none.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let absorbs = Label::ALL.iter().filter(|label| !label.is_challenge()).map(|&label| Skip::Absorb(label));
        absorbs.chain(Refusal::ALL.iter().map(|&refusal| Skip::Check(refusal))).collect()
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::Absorb(label) => write!(f, "absorb {label}"),
            Skip::Check(refusal) => write!(f, "check {}", refusal.name()),
        }
    }
}

/// Conditions of a run. The default ones are the real protocol's.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// What is left out.
    pub skip: BTreeSet<Skip>,
    /// Challenges to be used instead of the transcript's own.
    pub tape: Option<Tape>,
}

impl Conditions {
    /// The real protocol.
    #[must_use]
    pub fn live() -> Self {
        Self::default()
    }

    /// The protocol without this absorb or check.
    #[must_use]
    pub fn without(skip: Skip) -> Self {
        Self { skip: BTreeSet::from([skip]), tape: None }
    }

    /// The protocol without this kind of check.
    #[must_use]
    pub fn without_check(refusal: Refusal) -> Self {
        Self::without(Skip::Check(refusal))
    }

    /// The protocol with the challenges of another run.
    #[must_use]
    pub fn taped(tape: &Tape) -> Self {
        Self { skip: BTreeSet::new(), tape: Some(tape.clone()) }
    }

    /// A transcript under these conditions.
    #[must_use]
    pub fn transcript(&self, name: &'static [u8]) -> TapeTranscript {
        let skipped = |skip: &Skip| if let Skip::Absorb(label) = skip { Some(*label) } else { None };
        TapeTranscript::new(name, self.skip.iter().filter_map(skipped).collect(), self.tape.clone())
    }

    /// A verifier under these conditions, with the means to see its challenges afterwards.
    #[must_use]
    pub fn verifier<'a>(&self, name: &'static [u8], proof: &'a [u8]) -> (MutantVerifier<'a>, TapeTranscript) {
        let transcript = self.transcript(name);
        let skipped = |skip: &Skip| if let Skip::Check(refusal) = skip { Some(*refusal) } else { None };
        let policy = Lax { skip: self.skip.iter().filter_map(skipped).collect() };
        (PlainVerifier::with_policy(transcript.clone(), proof, policy), transcript)
    }
}

/// A verifier that may leave something out.
pub type MutantVerifier<'a> = PlainVerifier<'a, TapeTranscript, Lax>;

/// Checks of some kinds are not made.
#[derive(Clone, Debug, Default)]
pub struct Lax {
    skip: BTreeSet<Refusal>,
}

impl sealed::Sealed for Lax {}

impl Policy for Lax {
    fn judge(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        if holds || self.skip.contains(&error.refusal()) { Ok(()) } else { Err(error) }
    }

    /// A reader that forgets to check whether there was anything to read finds zero, or the identity.
    fn instead<E: CanonicalDeserialize>(&mut self, error: VerifyError) -> Result<E, VerifyError> {
        if !self.skip.contains(&error.refusal()) {
            return Err(error);
        }
        let mut identity = [0u8; 32];
        identity[31] = 0x40;
        [identity, [0u8; 32]]
            .iter()
            .find_map(|blank| E::deserialize_with_mode(&blank[..], Compress::Yes, Validate::Yes).ok())
            .ok_or(error)
    }
}
