//! A prover whose messages can be changed before they are absorbed.

use std::collections::BTreeMap;

use ark_ff::Field;
use ark_serialize::CanonicalSerialize;

use super::conditions::Conditions;
use super::site::Site;
use super::tape::{Tape, TapeTranscript};
use crate::gkr::Fr;
use crate::gkr::pcs::hiding::ClearProver;
use crate::sumcheck::channel::{ProverChannel, SecretChannel};
use crate::sumcheck::transcript::{Label, SecretTranscript, Transcript};

/// Somebody who sees, and may change, what a prover is about to use.
pub trait Adversary: Send {
    /// Called at every [`Site`], in the order of the protocol.
    fn visit(&mut self, site: Site<'_, Fr>);
}

impl<T: FnMut(Site<'_, Fr>) + Send> Adversary for T {
    fn visit(&mut self, site: Site<'_, Fr>) {
        self(site);
    }
}

/// Where a message is in an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub label: Label,
    /// The how-manieth with this label, from 0.
    pub index: usize,
    /// Its first byte.
    pub start: usize,
    /// Its length in bytes: 32 a scalar or point.
    pub len: usize,
    /// Challenges that had been drawn when it was sent.
    pub drawn: usize,
}

/// The prover's channel, with an adversary at its side.
pub struct TamperingProver<A> {
    transcript: TapeTranscript,
    proof: Vec<u8>,
    messages: Vec<Message>,
    counts: BTreeMap<Label, usize>,
    adversary: A,
}

impl<A: Adversary> TamperingProver<A> {
    /// Starts an empty proof of the protocol `name`.
    pub fn new(name: &'static [u8], conditions: &Conditions, adversary: A) -> Self {
        Self {
            transcript: conditions.transcript(name),
            proof: Vec::new(),
            messages: Vec::new(),
            counts: BTreeMap::new(),
            adversary,
        }
    }

    /// The proof, where its messages are, and the challenges that were drawn.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<Message>, Tape) {
        (self.proof, self.messages, self.transcript.tape())
    }

    fn count(&mut self, label: Label) -> usize {
        let count = self.counts.entry(label).or_default();
        *count += 1;
        *count - 1
    }

    fn send_bytes(&mut self, label: Label, index: usize, bytes: &[u8]) {
        let (start, drawn) = (self.proof.len(), self.transcript.drawn());
        self.messages.push(Message { label, index, start, len: bytes.len(), drawn });
        self.transcript.absorb(label, bytes);
        self.proof.extend_from_slice(bytes);
    }
}

fn encode<E: CanonicalSerialize>(elements: &[E]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for element in elements {
        element.serialize_compressed(&mut bytes).expect("writing to memory does not fail");
    }
    bytes
}

impl<A: Adversary> ProverChannel<Fr> for TamperingProver<A> {
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        let index = self.count(label);
        let mut bytes = bytes.to_vec();
        self.adversary.visit(Site::Statement { label, index, bytes: &mut bytes });
        self.transcript.absorb(label, &bytes);
    }

    fn send(&mut self, label: Label, scalars: &[Fr]) {
        let index = self.count(label);
        let mut values = scalars.to_vec();
        self.adversary.visit(Site::Scalars { label, index, values: &mut values });
        self.send_bytes(label, index, &encode(&values));
    }

    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        let index = self.count(label);
        let mut bytes = encode(elements);
        self.adversary.visit(Site::Elements { label, index, bytes: &mut bytes });
        self.send_bytes(label, index, &bytes);
    }

    fn challenge(&mut self, label: Label) -> Fr {
        self.transcript.challenge(label)
    }

    fn product(&mut self, a: Fr, b: Fr) -> Fr {
        a * b
    }

    fn send_inverse(&mut self, value: Fr) {
        // A liar's root may be zero, and then there is nothing better to send.
        self.send(Label::Inverse, &[value.inverse().unwrap_or_default()]);
    }

    fn visit(&mut self, site: Site<'_, Fr>) {
        self.adversary.visit(site);
    }

    fn is_watched(&self) -> bool {
        true
    }
}

impl<A: Adversary> SecretChannel<Fr> for TamperingProver<A> {
    fn secrets(&self, seed: &[u8; 32], number: u64, out: &mut [Fr]) {
        self.transcript.secrets(seed, number, out);
    }
}

impl<A: Adversary> ClearProver for TamperingProver<A> {}
