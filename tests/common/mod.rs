//! What a cheating prover needs: channels that change messages, commitments with garbage, a recording hash.
#![allow(dead_code)] // each test file uses its part

use std::sync::{Arc, Mutex, OnceLock};

use ark_ff::PrimeField;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use voxcheck::gkr::Fr;
use voxcheck::gkr::builder::Recipes;
use voxcheck::gkr::pcs::hiding::{ClearProver, HidingProver, HidingVerifier, OpeningProver, OpeningVerifier};
use voxcheck::gkr::pcs::{
    Blinds, Commitment, Committed, Hyrax, Layout, MultilinearPcs, OpeningClaim, ProverKey, VerifierKey,
};
use voxcheck::gkr::program::{Program, TensorId};
use voxcheck::gkr::prover::{self, PublicCommitments, Witness};
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use voxcheck::sumcheck::error::VerifyError;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::transcript::{Label, Merlin, Transcript};

pub const NAME: &[u8] = b"soundness";

pub fn key() -> &'static ProverKey {
    static KEY: OnceLock<ProverKey> = OnceLock::new();
    KEY.get_or_init(|| ProverKey::new(VerifierKey::new(10)))
}

pub fn table(rows: usize, cols: usize, values: &[i128]) -> Arc<IntTable> {
    Arc::new(IntTable::new(rows, cols, IntVec::I128(values.to_vec())))
}

/// A program with what its prover needs.
pub struct Case {
    pub program: Program,
    pub recipes: Recipes,
    pub inputs: Vec<Arc<IntTable>>,
    pub constants: Vec<Arc<IntTable>>,
}

impl Case {
    pub fn run(&self) -> Trace {
        let trace = Trace::run(&self.program, &self.recipes, &self.inputs, &self.constants).unwrap();
        trace.check(&self.program).unwrap();
        trace
    }

    pub fn id(&self, name: &str) -> TensorId {
        let i = self.program.tensors().iter().position(|t| t.name == name).unwrap();
        TensorId(i as u32)
    }

    /// Commitments to inputs and constants as `trace` has them.
    pub fn commitments<P: MultilinearPcs>(&self, key: &P::ProverKey, trace: &Trace) -> [Vec<P::Commitment>; 2] {
        let commit = |id: TensorId| P::commit(key, trace.get(id), self.program.width_vars(id));
        let constants = self.program.constants().into_iter().map(|(id, _)| commit(id)).collect();
        [self.program.inputs().into_iter().map(commit).collect(), constants]
    }

    pub fn prove_with<P: MultilinearPcs>(&self, key: &P::ProverKey, trace: &Trace, channel: &mut impl OpeningProver) {
        let [inputs, constants] = self.commitments::<P>(key, trace);
        let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), constants.iter().collect());
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        prover::prove::<P, _>(key, &self.program, Witness::new(trace), &public, channel);
        channel.challenge(Label::UserChallenge);
    }

    pub fn prove(&self, trace: &Trace) -> Vec<u8> {
        let mut channel = PlainProver::new(Merlin::new(NAME));
        self.prove_with::<Hyrax>(key(), trace, &mut channel);
        channel.into_proof()
    }

    /// A proof that hides `trace`.
    pub fn prove_hiding(&self, trace: &Trace) -> Vec<u8> {
        let inner = PlainProver::new(Merlin::new(NAME));
        let mut channel = HidingProver::new(inner, key(), self.program.max_width_vars()).unwrap();
        self.prove_with::<Hyrax>(key(), trace, &mut channel);
        channel.into_inner().into_proof()
    }

    /// Verifies a proof that hides, against commitments and outputs of `public`.
    pub fn verify_hiding(&self, public: &Trace, proof: &[u8]) -> Result<(), VerifyError> {
        let inner = PlainVerifier::new(Merlin::new(NAME), proof);
        let channel = HidingVerifier::new(inner, self.program.max_width_vars());
        self.verify_over(public, &self.commitments::<Hyrax>(key(), public), channel)
    }

    /// Verifies over a channel, against commitments and outputs of `public`.
    pub fn verify_over<C: OpeningVerifier>(
        &self,
        public: &Trace,
        commitments: &[Vec<Commitment>; 2],
        channel: C,
    ) -> Result<(), VerifyError> {
        self.verify_keyed(key(), public, commitments, channel)
    }

    /// Verifies with another key than that of small programs.
    pub fn verify_keyed<C: OpeningVerifier>(
        &self,
        key: &ProverKey,
        public: &Trace,
        [inputs, constants]: &[Vec<Commitment>; 2],
        mut channel: C,
    ) -> Result<(), VerifyError> {
        let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), constants.iter().collect());
        let outputs: Vec<&IntTable> = self.program.outputs().iter().map(|&id| public.get(id)).collect();
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        verifier::verify::<Hyrax, _>(key.verifier_key(), &self.program, &outputs, &public, &mut channel)?;
        // Whoever goes on with the transcript finds the whole proof in it.
        channel.challenge(Label::UserChallenge);
        channel.finish()
    }

    /// Verifies against these commitments and the outputs of `public`.
    pub fn verify_with<T: Transcript>(
        &self,
        public: &Trace,
        commitments: &[Vec<Commitment>; 2],
        transcript: T,
        proof: &[u8],
    ) -> Result<(), VerifyError> {
        self.verify_over(public, commitments, PlainVerifier::new(transcript, proof))
    }

    pub fn verify(&self, public: &Trace, proof: &[u8]) -> Result<(), VerifyError> {
        self.verify_with(public, &self.commitments::<Hyrax>(key(), public), Merlin::new(NAME), proof)
    }

    /// Proves `trace` while the `n`-th message with this label is changed before it is absorbed.
    pub fn tamper(
        &self,
        trace: &Trace,
        label: Label,
        n: usize,
        edit: impl FnMut(&mut Vec<u8>) + Send + 'static,
    ) -> Result<(), VerifyError> {
        let mut channel =
            Tamper { transcript: Merlin::new(NAME), proof: Vec::new(), label, left: n, edit: Some(Box::new(edit)) };
        self.prove_with::<Hyrax>(key(), trace, &mut channel);
        assert!(channel.edit.is_none(), "there is no message {n} `{label}`");
        self.verify(trace, &channel.proof)
    }
}

/// A change of a message's bytes.
type Edit = Box<dyn FnMut(&mut Vec<u8>) + Send>;

/// A prover channel that changes one message.
pub struct Tamper {
    transcript: Merlin,
    proof: Vec<u8>,
    label: Label,
    left: usize,
    edit: Option<Edit>,
}

impl Tamper {
    fn send_bytes<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        let mut bytes = Vec::new();
        elements.iter().for_each(|e| e.serialize_compressed(&mut bytes).unwrap());
        if label == self.label {
            if self.left == 0 {
                if let Some(mut edit) = self.edit.take() {
                    edit(&mut bytes);
                }
            } else {
                self.left -= 1;
            }
        }
        self.transcript.absorb(label, &bytes);
        self.proof.extend(bytes);
    }
}

impl ProverChannel<Fr> for Tamper {
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        self.transcript.absorb(label, bytes);
    }
    fn send(&mut self, label: Label, scalars: &[Fr]) {
        self.send_bytes(label, scalars);
    }
    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        self.send_bytes(label, elements);
    }
    fn challenge(&mut self, label: Label) -> Fr {
        self.transcript.challenge(label)
    }
    fn product(&mut self, a: Fr, b: Fr) -> Fr {
        a * b
    }
}

impl ClearProver for Tamper {}

pub fn scalars(bytes: &[u8]) -> Vec<Fr> {
    bytes.chunks(32).map(|chunk| Fr::deserialize_compressed(chunk).unwrap()).collect()
}

/// Edits a message as a list of scalars.
pub fn edit(f: impl Fn(&mut Vec<Fr>) + Send + 'static) -> impl FnMut(&mut Vec<u8>) + Send + 'static {
    move |bytes| {
        let mut values = scalars(bytes);
        f(&mut values);
        bytes.clear();
        values.iter().for_each(|v| v.serialize_compressed(&mut *bytes).unwrap());
    }
}

/// Adds one to scalar `k` of a message.
pub fn add_one(k: usize) -> impl FnMut(&mut Vec<u8>) + Send + 'static {
    edit(move |values| values[k] += Fr::from(1u64))
}

/// Hyrax by a prover who commits to other tables than it proves about: those of one shape are replaced.
pub enum Garbage {}

pub struct GarbageKey {
    pub shape: (usize, usize),
    pub instead: IntTable,
}

impl GarbageKey {
    fn choose<'a>(&'a self, table: &'a IntTable) -> &'a IntTable {
        if (table.rows(), table.cols()) == self.shape { &self.instead } else { table }
    }
}

impl MultilinearPcs for Garbage {
    type Commitment = Commitment;
    type ProverKey = GarbageKey;
    type VerifierKey = VerifierKey;

    fn commit_all(garbage: &GarbageKey, tables: &[(&IntTable, usize)]) -> Vec<Commitment> {
        let tables: Vec<_> = tables.iter().map(|&(table, width_vars)| (garbage.choose(table), width_vars)).collect();
        Hyrax::commit_all(key(), &tables)
    }
    fn encode(commitment: &Commitment) -> Vec<u8> {
        Hyrax::encode(commitment)
    }
    fn shape(commitment: &Commitment) -> (usize, usize) {
        Hyrax::shape(commitment)
    }
    fn send(label: Label, commitment: &Commitment, channel: &mut impl ProverChannel<Fr>) {
        Hyrax::send(label, commitment, channel);
    }
    fn recv_all<C: VerifierChannel<Fr>>(
        label: Label,
        layouts: &[Layout],
        channel: &mut C,
    ) -> Result<Vec<Commitment>, VerifyError> {
        Hyrax::recv_all(label, layouts, channel)
    }
    fn blind_all(_: &GarbageKey, commitments: &mut [Commitment], blinds: &[Blinds]) {
        Hyrax::blind_all(key(), commitments, blinds);
    }
    fn open<C: OpeningProver>(
        garbage: &GarbageKey,
        committed: &[Committed<'_, Commitment>],
        claims: &[OpeningClaim<C::Scalar>],
        channel: &mut C,
    ) {
        let committed: Vec<_> = committed.iter().map(|c| Committed { table: garbage.choose(c.table), ..*c }).collect();
        Hyrax::open(key(), &committed, claims, channel);
    }
    fn verify_opening<C: OpeningVerifier>(
        key: &VerifierKey,
        commitments: &[&Commitment],
        claims: &[OpeningClaim<C::Scalar>],
        channel: &mut C,
    ) -> Result<(), VerifyError> {
        Hyrax::verify_opening(key, commitments, claims, channel)
    }
}

/// What a transcript saw: absorbed messages and drawn challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Absorb(Label, usize),
    Draw(Label, Vec<u8>),
}

impl Event {
    pub fn name(&self) -> String {
        match self {
            Event::Absorb(label, len) => format!("{label}:{len}"),
            Event::Draw(label, _) => format!("?{label}"),
        }
    }
}

/// A hash that records its events, and may flip a byte of one statement message.
#[derive(Clone)]
pub struct Recorder {
    pub merlin: Merlin,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub flip: Option<(usize, usize)>,
}

impl Recorder {
    pub fn new(flip: Option<(usize, usize)>) -> Self {
        Self { merlin: Merlin::new(NAME), events: Arc::default(), flip }
    }
}

impl Transcript for Recorder {
    fn absorb(&mut self, label: Label, message: &[u8]) {
        let mut message = message.to_vec();
        match self.flip {
            Some((event, byte)) if event == self.events.lock().unwrap().len() => message[byte] ^= 1,
            _ => {}
        }
        self.merlin.absorb(label, &message);
        self.events.lock().unwrap().push(Event::Absorb(label, message.len()));
    }
    fn squeeze(&mut self, label: Label, output: &mut [u8]) {
        self.merlin.squeeze(label, output);
        self.events.lock().unwrap().push(Event::Draw(label, output.to_vec()));
    }
    fn challenge<F: PrimeField>(&mut self, label: Label) -> F {
        let mut bytes = [0u8; 64];
        self.squeeze(label, &mut bytes);
        F::from_le_bytes_mod_order(&bytes)
    }
}
