//! A program with a trace, an honest proof, and what an attack on it comes to.

use std::collections::BTreeSet;

use voxcheck::adversary::{
    Adversary, Conditions, ForgeError, Message, ProbeLog, Site, TamperingProver, Tape, forge, probe,
};
use voxcheck::gkr::Fr;
use voxcheck::gkr::pcs::hiding::{ClearVerifier, HidingProver, HidingVerifier};
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
    pub hiding: bool,
    pub case: Case,
    pub trace: Trace,
    pub honest: Proved,
    commitments: [Vec<Commitment>; 2],
}

/// An adversary who changes nothing.
pub fn nothing(_: Site<'_, Fr>) {}

impl Session {
    pub fn new(case: Case) -> Self {
        Self::with_mode(case, false)
    }

    /// A session whose proofs hide the trace.
    pub fn hiding(case: Case) -> Self {
        Self::with_mode(case, true)
    }

    fn with_mode(case: Case, hiding: bool) -> Self {
        let trace = case.run();
        let commitments = case.commitments::<Hyrax>(key(), &trace);
        let honest = prove_in(hiding, &case, &trace, &Conditions::live(), nothing);
        let session = Self { hiding, case, trace, honest, commitments };
        assert_eq!(session.verify(&session.honest.bytes, &Conditions::live()), Ok(()));
        session
    }

    /// Proves the honest trace with an adversary.
    pub fn prove(&self, conditions: &Conditions, adversary: impl Adversary) -> Proved {
        prove_in(self.hiding, &self.case, &self.trace, conditions, adversary)
    }

    /// Verifies a false trace's proof against its own commitments and outputs.
    pub fn verify_trace(&self, trace: &Trace, proof: &[u8], conditions: &Conditions) -> Result<(), VerifyError> {
        let commitments = self.case.commitments::<Hyrax>(key(), trace);
        self.run(trace, &commitments, conditions.verifier(NAME, proof).0)
    }

    fn run(
        &self,
        public: &Trace,
        commitments: &[Vec<Commitment>; 2],
        channel: impl ClearVerifier,
    ) -> Result<(), VerifyError> {
        if self.hiding {
            let channel = HidingVerifier::new(channel, self.case.program.max_width_vars());
            self.case.verify_over(public, commitments, channel)
        } else {
            self.case.verify_over(public, commitments, channel)
        }
    }

    /// Verifies against the honest trace's commitments and outputs.
    pub fn verify(&self, proof: &[u8], conditions: &Conditions) -> Result<(), VerifyError> {
        self.run(&self.trace, &self.commitments, conditions.verifier(NAME, proof).0)
    }

    /// What the verifier finds.
    pub fn probe(&self, proof: &[u8], conditions: &Conditions) -> (Result<(), VerifyError>, ProbeLog) {
        probe(NAME, proof, conditions, true, |channel| self.run(&self.trace, &self.commitments, channel))
    }

    /// Repairs a proof but for what must be kept.
    pub fn forge(&self, proof: &[u8], conditions: &Conditions, keep: &BTreeSet<usize>) -> Result<Vec<u8>, ForgeError> {
        let run = |channel: voxcheck::adversary::Probe<'_>| self.run(&self.trace, &self.commitments, channel);
        forge(NAME, proof.to_vec(), conditions, keep, run)
    }
}

/// Proves a trace, whatever it is, with commitments to its own inputs.
pub fn prove(case: &Case, trace: &Trace, conditions: &Conditions, adversary: impl Adversary) -> Proved {
    prove_in(false, case, trace, conditions, adversary)
}

/// [`prove`], hiding the trace or not.
pub fn prove_in(
    hiding: bool,
    case: &Case,
    trace: &Trace,
    conditions: &Conditions,
    adversary: impl Adversary,
) -> Proved {
    let mut channel = TamperingProver::new(NAME, conditions, adversary);
    if hiding {
        let mut over = HidingProver::new(channel, key(), case.program.max_width_vars()).unwrap();
        case.prove_with::<Hyrax>(key(), trace, &mut over);
        channel = over.into_inner();
    } else {
        case.prove_with::<Hyrax>(key(), trace, &mut channel);
    }
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
