//! A program with a trace, an honest proof, and what an attack on it comes to.

use std::collections::BTreeSet;

use voxcheck::adversary::{
    Adversary, Conditions, ForgeError, Message, ProbeLog, Site, TamperingProver, Tape, forge, probe,
};
use voxcheck::gkr::Fr;
use voxcheck::gkr::pcs::{Commitment, Hyrax};
use voxcheck::gkr::trace::Trace;
use voxcheck::sumcheck::error::{Refusal, VerifyError};

use crate::common::{Case, NAME, key};

/// A proof with what was seen while it was made.
#[derive(Clone)]
pub struct Proved {
    pub bytes: Vec<u8>,
    pub messages: Vec<Message>,
    pub tape: Tape,
}

/// A case, its honest trace and proof.
pub struct Session {
    pub case: Case,
    pub trace: Trace,
    pub honest: Proved,
    commitments: [Vec<Commitment>; 2],
}

/// An adversary who changes nothing.
pub fn nothing(_: Site<'_, Fr>) {}

impl Session {
    pub fn new(case: Case) -> Self {
        let trace = case.run();
        let commitments = case.commitments::<Hyrax>(key(), &trace);
        let honest = prove(&case, &trace, &Conditions::live(), nothing);
        let session = Self { case, trace, honest, commitments };
        assert_eq!(session.verify(&session.honest.bytes, &Conditions::live()), Ok(()));
        session
    }

    /// Proves the honest trace with an adversary.
    pub fn prove(&self, conditions: &Conditions, adversary: impl Adversary) -> Proved {
        prove(&self.case, &self.trace, conditions, adversary)
    }

    /// Verifies against the honest trace's commitments and outputs.
    pub fn verify(&self, proof: &[u8], conditions: &Conditions) -> Result<(), VerifyError> {
        verify(&self.case, &self.trace, &self.commitments, proof, conditions)
    }

    /// What the verifier finds.
    pub fn probe(&self, proof: &[u8], conditions: &Conditions) -> (Result<(), VerifyError>, ProbeLog) {
        probe(NAME, proof, conditions, true, |channel| self.case.verify_over(&self.trace, &self.commitments, channel))
    }

    /// Repairs a proof but for what must be kept.
    pub fn forge(&self, proof: &[u8], conditions: &Conditions, keep: &BTreeSet<usize>) -> Result<Vec<u8>, ForgeError> {
        let run =
            |channel: voxcheck::adversary::Probe<'_>| self.case.verify_over(&self.trace, &self.commitments, channel);
        forge(NAME, proof.to_vec(), conditions, keep, run)
    }
}

/// Proves a trace, whatever it is, with commitments to its own inputs.
pub fn prove(case: &Case, trace: &Trace, conditions: &Conditions, adversary: impl Adversary) -> Proved {
    let mut channel = TamperingProver::new(NAME, conditions, adversary);
    case.prove_with::<Hyrax>(key(), trace, &mut channel);
    let (bytes, messages, tape) = channel.into_parts();
    Proved { bytes, messages, tape }
}

/// Verifies against these commitments and the outputs of a trace.
pub fn verify(
    case: &Case,
    public: &Trace,
    commitments: &[Vec<Commitment>; 2],
    proof: &[u8],
    conditions: &Conditions,
) -> Result<(), VerifyError> {
    case.verify_over(public, commitments, conditions.verifier(NAME, proof).0)
}

/// The kind of a refusal.
pub fn refusal(answer: &Result<(), VerifyError>) -> Option<Refusal> {
    answer.as_ref().err().map(VerifyError::refusal)
}
