//! A prover without a witness, who chooses the challenges.
//!
//! It walks through the verifier's own code and answers whatever is asked for with random points and scalars.
//! Nothing is checked on the way: what the verifier collects comes to one equation between the last row, the last
//! messages and their masks. There the simulator draws the responses and the challenge first, and computes the
//! masks that fit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ark_bn254::{G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{UniformRand, Zero};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;
use voxcheck::gkr::Fr;
use voxcheck::gkr::pcs::hiding::{ClearVerifier, Form, Hidden, HidingVerifier};
use voxcheck::gkr::pcs::hyrax::{self, Reduced, default_rounds};
use voxcheck::gkr::pcs::inner_product::{self, Bases};
use voxcheck::gkr::pcs::{Commitment, Hyrax, Layout, MultilinearPcs};
use voxcheck::gkr::program::Program;
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::sumcheck::channel::{PlainVerifier, ProverChannel, VerifierChannel};
use voxcheck::sumcheck::eq::eq_table;
use voxcheck::sumcheck::error::{Check, VerifyError};
use voxcheck::sumcheck::int::IntTable;
use voxcheck::sumcheck::transcript::{Label, Merlin};

use crate::common::{Case, NAME, key};

/// A proof, and the challenges that it is for.
#[derive(Clone)]
pub struct Simulated {
    pub proof: Vec<u8>,
    pub challenges: Vec<Fr>,
}

impl Simulated {
    /// The verifier's answer under these challenges.
    pub fn verify(&self, case: &Case, public: &Trace) -> Result<(), VerifyError> {
        let inner = PlainVerifier::new(Merlin::new(NAME), &self.proof);
        let channel = Programmed { inner, challenges: self.challenges.iter().copied().collect() };
        let channel = HidingVerifier::new(channel, case.program.max_width_vars());
        case.verify_over(public, &case.commitments::<Hyrax>(key(), public), channel)
    }
}

/// What was made up so far.
struct Fiction {
    rng: StdRng,
    proof: Vec<u8>,
    challenges: Vec<Fr>,
    /// The points that stand for rounds.
    rounds: Vec<G1Affine>,
}

impl Fiction {
    fn scalar(&mut self) -> Fr {
        Fr::rand(&mut self.rng)
    }

    fn scalars(&mut self, count: usize) -> Vec<Fr> {
        (0..count).map(|_| self.scalar()).collect()
    }

    fn write<E: CanonicalSerialize>(&mut self, elements: &[E]) {
        elements.iter().for_each(|element| element.serialize_compressed(&mut self.proof).unwrap());
    }

    fn challenge(&mut self) -> Fr {
        let challenge = self.scalar();
        self.challenges.push(challenge);
        challenge
    }
}

/// Both ends of a channel on which everything is made up.
#[derive(Clone)]
struct Channel(Arc<Mutex<Fiction>>);

impl VerifierChannel<Fr> for Channel {
    type Scalar = Fr;

    fn absorb_statement(&mut self, _: Label, _: &[u8]) {}

    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.recv_public(label, count)
    }

    fn recv_public(&mut self, _: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        let mut fiction = self.0.lock().unwrap();
        let scalars = fiction.scalars(count);
        fiction.write(&scalars);
        Ok(scalars)
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        let mut fiction = self.0.lock().unwrap();
        let points: Vec<G1Affine> = (0..count).map(|_| G1Affine::rand(&mut fiction.rng)).collect();
        let start = fiction.proof.len();
        fiction.write(&points);
        if label == Label::Round {
            fiction.rounds.extend(&points);
        }
        let read = |bytes: &[u8]| E::deserialize_compressed(bytes).map_err(|_| VerifyError::Malformed(label));
        fiction.proof[start..].chunks(32).map(read).collect()
    }

    fn challenge(&mut self, _: Label) -> Fr {
        self.0.lock().unwrap().challenge()
    }

    fn product(&mut self, a: &Fr, b: &Fr) -> Result<Fr, VerifyError> {
        Ok(*a * b)
    }

    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        if holds { Ok(()) } else { Err(error) }
    }

    fn require_zero(&mut self, value: Fr, check: Check) -> Result<(), VerifyError> {
        self.require(value.is_zero(), VerifyError::Check(check))
    }

    fn finish(self) -> Result<(), VerifyError> {
        Ok(())
    }
}

impl ClearVerifier for Channel {}

impl ProverChannel<Fr> for Channel {
    fn absorb_statement(&mut self, _: Label, _: &[u8]) {}

    fn send(&mut self, _: Label, scalars: &[Fr]) {
        self.0.lock().unwrap().write(scalars);
    }

    fn send_elements<E: CanonicalSerialize>(&mut self, _: Label, elements: &[E]) {
        self.0.lock().unwrap().write(elements);
    }

    fn challenge(&mut self, _: Label) -> Fr {
        self.0.lock().unwrap().challenge()
    }

    fn product(&mut self, a: Fr, b: Fr) -> Fr {
        a * b
    }
}

/// A proof that some committed inputs give these outputs, made from nothing else.
pub fn simulate(
    program: &Program,
    outputs: &[&IntTable],
    [inputs, constants]: &[Vec<Commitment>; 2],
    seed: u64,
) -> Simulated {
    let rng = StdRng::seed_from_u64(seed);
    let fiction = Fiction { rng, proof: Vec::new(), challenges: Vec::new(), rounds: Vec::new() };
    let channel = Channel(Arc::new(Mutex::new(fiction)));
    let mut hiding = HidingVerifier::new(channel.clone(), program.max_width_vars());
    let committed: Vec<Commitment> = program
        .committed()
        .into_iter()
        .map(|id| {
            let tensor = program.tensor(id);
            let layout = Layout::new(tensor.rows, tensor.cols, program.width_vars(id)).unwrap();
            Hyrax::recv(Label::Commitment, &layout, &mut hiding).unwrap()
        })
        .collect();
    let commitments: Vec<&Commitment> = inputs.iter().chain(constants).chain(&committed).collect();
    let claims = verifier::reduce(program, outputs, &mut hiding).unwrap();
    let verifier_key = key().verifier_key();
    let reduced = hyrax::reduce(verifier_key, &commitments, &claims, &mut hiding).unwrap();
    open(&channel, reduced);
    let _ = channel.0.lock().unwrap().challenge(); // that of `Case::verify_over`
    let fiction = channel.0.lock().unwrap();
    Simulated { proof: fiction.proof.clone(), challenges: fiction.challenges.clone() }
}

/// The masks that make up for what is not there, and the argument for the row that they leave.
fn open(channel: &Channel, Reduced { commitment, point, value }: Reduced<Form>) {
    let generators = key().verifier_key().generators(point.len());
    let combine = |values: &[Fr], blind: Fr| -> G1Projective {
        let sum = generators.row().iter().zip(values).fold(G1Projective::zero(), |sum, (g, v)| sum + *g * v);
        sum + generators.blinding() * blind
    };
    let mut fiction = channel.0.lock().unwrap();
    let x = fiction.scalar();
    let (row, row_blind) = (fiction.scalars(1 << point.len()), fiction.scalar());
    let before = fiction.rounds.len() - point.len();
    let messages = fiction.rounds.split_off(before);
    let mut masks = vec![combine(&row, row_blind) - commitment.sum() * x];
    let mut responses = Vec::new();
    for &message in &messages {
        let masked = fiction.scalars(3);
        masks.push(combine(&masked[..2], masked[2]) - message * x);
        responses.extend(masked);
    }
    // What the last claim is, given values of the rounds' scalars, which are the last ones.
    let known = value.evaluate(|_| Fr::zero());
    let alone = |k: u32| value.evaluate(|hidden| Fr::from(u64::from(hidden == Hidden::Sent(k)))) - known;
    let first = (0..).find(|&k| !alone(k).is_zero()).expect("the last claim depends on the rounds");
    let weight = |k: usize| alone(first + k as u32);
    let masked = responses.chunks(3).flat_map(|message| &message[..2]);
    let of_messages: Fr = masked.enumerate().map(|(k, z)| weight(k) * z).sum();
    let at_point: Fr = eq_table(&point).iter().zip(&row).map(|(e, v)| *e * v).sum();

    fiction.write(&G1Projective::normalize_batch(&masks));
    fiction.write(&[at_point - x * known - of_messages]);
    fiction.challenges.push(x);
    responses.push(row_blind);
    fiction.write(&responses);
    let _ = fiction.challenge();
    drop(fiction);
    let bases = Bases { generators, multiples: key().multiples(point.len()) };
    inner_product::prove(bases, row, &point, default_rounds(point.len()), &mut channel.clone());
}

/// A verifier's channel whose challenges were chosen by somebody else.
struct Programmed<'a> {
    inner: PlainVerifier<'a, Merlin>,
    challenges: VecDeque<Fr>,
}

impl VerifierChannel<Fr> for Programmed<'_> {
    type Scalar = Fr;

    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        VerifierChannel::<Fr>::absorb_statement(&mut self.inner, label, bytes);
    }

    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.inner.recv(label, count)
    }

    fn recv_public(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.inner.recv_public(label, count)
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        VerifierChannel::<Fr>::recv_elements(&mut self.inner, label, count)
    }

    fn challenge(&mut self, _: Label) -> Fr {
        self.challenges.pop_front().expect("a challenge was programmed")
    }

    fn product(&mut self, a: &Fr, b: &Fr) -> Result<Fr, VerifyError> {
        Ok(*a * b)
    }

    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        VerifierChannel::<Fr>::require(&mut self.inner, holds, error)
    }

    fn require_zero(&mut self, value: Fr, check: Check) -> Result<(), VerifyError> {
        self.inner.require_zero(value, check)
    }

    fn finish(self) -> Result<(), VerifyError> {
        VerifierChannel::<Fr>::finish(self.inner)
    }
}

impl ClearVerifier for Programmed<'_> {}
