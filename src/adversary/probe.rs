//! A verifier that refuses nothing and writes down what it found.

use std::sync::{Arc, Mutex, PoisonError};

use ark_ff::Zero;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};

use super::conditions::{Conditions, MutantVerifier, Skip};
use super::tape::{Tape, TapeTranscript};
use crate::gkr::Fr;
use crate::gkr::pcs::hiding::ClearVerifier;
use crate::sumcheck::channel::VerifierChannel;
use crate::sumcheck::error::{Check, Refusal, VerifyError};
use crate::sumcheck::transcript::Label;

/// A message as the verifier read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it is.
    pub label: Label,
    /// Its first byte in the argument.
    pub start: usize,
    /// Number of scalars or points, of 32 bytes each.
    pub count: usize,
    /// Whether they are scalars.
    pub scalars: bool,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Residual {
    /// A scalar that should be zero.
    Scalar(Fr),
    /// A point that should be the identity, encoded.
    Point(Vec<u8>),
    /// A condition that should hold.
    Holds(bool),
    /// A point that was not computed.
    Unknown,
}

/// A check with what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How the check would have refused.
    pub error: VerifyError,
    /// What it found.
    pub residual: Residual,
    /// How many messages had been read.
    pub reads: usize,
}

impl Finding {
    /// Whether the check is content.
    #[must_use]
    pub fn holds(&self) -> bool {
        match &self.residual {
            Residual::Scalar(value) => value.is_zero(),
            Residual::Point(bytes) => bytes.last() == Some(&0x40) && bytes.iter().rev().skip(1).all(|&b| b == 0),
            Residual::Holds(holds) => *holds,
            Residual::Unknown => true,
        }
    }
}

/// Everything that a verifier read and checked.
#[derive(Clone, Debug, Default)]
pub struct ProbeLog {
    /// Messages.
    pub reads: Vec<Read>,
    /// Checks.
    pub findings: Vec<Finding>,
    /// Challenges.
    pub tape: Tape,
}

/// A verifier's channel that only writes down.
pub struct Probe<'a> {
    inner: MutantVerifier<'a>,
    log: Arc<Mutex<ProbeLog>>,
    offset: usize,
    points: bool,
}

/// Runs a verifier over a proof, whatever it finds. Points that should be the identity are computed only if
/// `points` is set: they cost a multi-scalar multiplication.
pub fn probe<R>(
    name: &'static [u8],
    proof: &[u8],
    conditions: &Conditions,
    points: bool,
    run: impl FnOnce(Probe<'_>) -> R,
) -> (R, ProbeLog) {
    let mut all = conditions.clone();
    all.skip.extend(Refusal::ALL.iter().map(|&refusal| Skip::Check(refusal)));
    let (inner, transcript): (MutantVerifier<'_>, TapeTranscript) = all.verifier(name, proof);
    let log = Arc::new(Mutex::new(ProbeLog::default()));
    let result = run(Probe { inner, log: Arc::clone(&log), offset: 0, points });
    let mut log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    log.tape = transcript.tape();
    (result, log)
}

impl Probe<'_> {
    fn read(&mut self, label: Label, count: usize, scalars: bool) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).reads.push(Read {
            label,
            start: self.offset,
            count,
            scalars,
        });
        self.offset += 32 * count;
    }

    fn find(&mut self, error: VerifyError, residual: Residual) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = log.reads.len();
        log.findings.push(Finding { error, residual, reads });
    }
}

impl VerifierChannel<Fr> for Probe<'_> {
    type Scalar = Fr;

    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        VerifierChannel::<Fr>::absorb_statement(&mut self.inner, label, bytes);
    }

    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.read(label, count, true);
        self.inner.recv(label, count)
    }

    fn recv_public(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.recv(label, count)
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        self.read(label, count, false);
        VerifierChannel::<Fr>::recv_elements(&mut self.inner, label, count)
    }

    fn challenge(&mut self, label: Label) -> Fr {
        self.inner.challenge(label)
    }

    fn product(&mut self, a: &Fr, b: &Fr) -> Result<Fr, VerifyError> {
        Ok(*a * b)
    }

    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        self.find(error, Residual::Holds(holds));
        Ok(())
    }

    fn require_zero(&mut self, value: Fr, check: Check) -> Result<(), VerifyError> {
        self.find(VerifyError::Check(check), Residual::Scalar(value));
        Ok(())
    }

    fn require_identity<G: Zero + CanonicalSerialize>(
        &mut self,
        value: impl FnOnce() -> G,
        check: Check,
    ) -> Result<(), VerifyError> {
        let residual = if self.points {
            let mut bytes = Vec::new();
            let point = value();
            point.serialize_compressed(&mut bytes).expect("writing to memory does not fail");
            Residual::Point(bytes)
        } else {
            Residual::Unknown
        };
        self.find(VerifyError::Check(check), residual);
        Ok(())
    }

    fn finish(self) -> Result<(), VerifyError> {
        VerifierChannel::<Fr>::finish(self.inner)
    }
}

impl ClearVerifier for Probe<'_> {}
