//! Challenges on record.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ark_ff::PrimeField;

use crate::gkr::Fr;
use crate::sumcheck::transcript::{Label, Merlin, SecretTranscript, Transcript};

/// The challenges of a run, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    draws: Vec<(Label, Vec<u8>)>,
}

impl Tape {
    /// Number of challenges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.draws.len()
    }

    /// Whether nothing was drawn.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.draws.is_empty()
    }

    /// The challenges as field elements.
    pub fn challenges(&self) -> impl Iterator<Item = (Label, Fr)> + '_ {
        self.draws.iter().map(|(label, bytes)| (*label, Fr::from_le_bytes_mod_order(bytes)))
    }
}

/// A transcript that records its challenges, and may take them from a tape or leave out absorbs.
///
/// Where a tape ends, or has another label than the one asked for, challenges come from the hash.
#[derive(Clone)]
pub struct TapeTranscript {
    merlin: Merlin,
    skip: BTreeSet<Label>,
    replay: Option<Arc<Tape>>,
    record: Arc<Mutex<Tape>>,
}

impl TapeTranscript {
    /// Starts a transcript for the protocol `name` that leaves out messages with the labels in `skip`.
    #[must_use]
    pub fn new(name: &'static [u8], skip: BTreeSet<Label>, replay: Option<Tape>) -> Self {
        Self { merlin: Merlin::new(name), skip, replay: replay.map(Arc::new), record: Arc::default() }
    }

    /// Number of challenges that were drawn so far.
    #[must_use]
    pub fn drawn(&self) -> usize {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What was drawn so far.
    #[must_use]
    pub fn tape(&self) -> Tape {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transcript for TapeTranscript {
    fn absorb(&mut self, label: Label, message: &[u8]) {
        if !self.skip.contains(&label) {
            self.merlin.absorb(label, message);
        }
    }

    fn squeeze(&mut self, label: Label, output: &mut [u8]) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        self.merlin.squeeze(label, output);
        match self.replay.as_ref().and_then(|tape| tape.draws.get(record.draws.len())) {
            Some((taped, bytes)) if *taped == label && bytes.len() == output.len() => output.copy_from_slice(bytes),
            _ => {}
        }
        record.draws.push((label, output.to_vec()));
    }
}

impl SecretTranscript for TapeTranscript {
    fn secrets<F: PrimeField>(&self, seed: &[u8; 32], number: u64, out: &mut [F]) {
        self.merlin.secrets(seed, number, out);
    }
}
