//! Small protocols over hiding channels: messages, products, equations and claims of every kind.

use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Field, PrimeField, UniformRand};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;
use proptest::prelude::*;
use std::sync::OnceLock;

use super::*;
use crate::gkr::pcs::hyrax::COLUMN_DEGREE;
use crate::gkr::pcs::testing::random_table;
use crate::gkr::pcs::{
    Blinds, ColumnWeights, Committed, Hyrax, Layout, MultilinearPcs, OpeningClaim, ProverKey, VerifierKey,
};
use crate::sumcheck::batch;
use crate::sumcheck::channel::sealed::Sealed;
use crate::sumcheck::channel::{PlainProver, PlainVerifier, Policy, ProverChannel, SecretChannel, VerifierChannel};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::{Check, VerifyError};
use crate::sumcheck::rounds::evaluate;
use crate::sumcheck::small::weighted_sum;
use crate::sumcheck::transcript::{Label, Merlin, SecretTranscript, Transcript};

const WIDTH_VARS: usize = 4;

fn key() -> ProverKey {
    static KEY: OnceLock<ProverKey> = OnceLock::new();
    KEY.get_or_init(|| ProverKey::new(VerifierKey::new(WIDTH_VARS))).clone()
}

/// A toy: the prover commits to a table, sends its values at some points, and shows relations of them.
#[derive(Clone, Debug)]
struct Toy {
    rows: usize,
    claims: usize,
    products: usize,
    seed: u64,
    /// What neither side insists on: the check that this lie breaks.
    without: Lie,
}

/// What a cheating prover changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// A claimed value.
    Value,
    /// A product, and everything that follows from it.
    Product,
    /// What is said to be zero.
    Equation,
    /// What is said to be zero, and public.
    Output,
}

impl Toy {
    /// Points of the claims: rows, columns.
    fn point<F: FnMut(Label) -> Fr>(&self, mut draw: F) -> (Vec<Fr>, Vec<Fr>) {
        let row_vars = Layout::new(self.rows, 1 << WIDTH_VARS, WIDTH_VARS).unwrap().row_vars();
        let mut point = |n| (0..n).map(|_| draw(Label::UserChallenge)).collect::<Vec<Fr>>();
        (point(row_vars), point(WIDTH_VARS))
    }

    fn claim<S>(&self, (rows, cols): &(Vec<Fr>, Vec<Fr>), value: S) -> OpeningClaim<S> {
        let row_weights = eq_prefix(rows, self.rows);
        OpeningClaim { commitment: 0, row_weights, col_weights: ColumnWeights::Point(cols.clone()), value }
    }

    fn prove(&self, lie: Lie) -> Vec<u8> {
        self.prove_over(PlainProver::new(Merlin::new(b"toy")), lie).into_proof()
    }

    fn prove_over<C: ClearProver + SecretChannel<Fr>>(&self, inner: C, lie: Lie) -> C {
        let key = key();
        let mut channel = HidingProver::new(inner, &key, WIDTH_VARS).unwrap();
        let table = random_table(self.rows, 1 << WIDTH_VARS, 1, self.seed);
        let mut commitment = Hyrax::commit(&key, &table, WIDTH_VARS);
        let blinds = channel.blinds(self.rows);
        Hyrax::blind(&key, &mut commitment, &blinds);
        Hyrax::send(Label::Commitment, &commitment, &mut channel);
        for k in 0..self.claims {
            let point = self.point(|label| channel.challenge(label));
            let mut value =
                weighted_sum(&table, &eq_prefix(&point.0, self.rows), &eq_prefix(&point.1, 1 << WIDTH_VARS));
            if lie == Lie::Value && k == 0 {
                value += Fr::ONE;
            }
            channel.send(Label::UserMessage, &[value]);
        }
        let mut rng = StdRng::seed_from_u64(self.seed);
        for k in 0..self.products {
            let (a, b) = (Fr::rand(&mut rng), Fr::rand(&mut rng));
            let mut c = a * b;
            if lie == Lie::Product && k == 0 {
                c += Fr::ONE;
            }
            let zero = if lie == Lie::Equation { Fr::ONE } else { Fr::ZERO };
            channel.send(Label::UserMessage, &[a, b, c]);
            channel.send(Label::UserMessage, &[a + b + zero]);
            let seven = if lie == Lie::Output { Fr::from(8u64) } else { Fr::from(7u64) };
            channel.send(Label::UserMessage, &[seven]);
            if k % 3 == 0 {
                let _ = channel.challenge(Label::UserChallenge);
            }
        }
        let committed = [Committed { table: &table, commitment: &commitment, blinds: &blinds }];
        let claims = channel.claims(Vec::new, |replay| self.walk(replay));
        Hyrax::open(&key, &committed, &claims, &mut channel);
        channel.into_inner()
    }

    /// The verifier between commitment and opening.
    fn walk<C: VerifierChannel<Fr>>(&self, channel: &mut C) -> Result<Vec<OpeningClaim<C::Scalar>>, VerifyError> {
        let mut claims = Vec::new();
        for _ in 0..self.claims {
            let point = self.point(|label| channel.challenge(label));
            let [value] = channel.recv_array::<1>(Label::UserMessage)?;
            if self.without != Lie::Value {
                claims.push(self.claim(&point, value));
            }
        }
        for k in 0..self.products {
            let [a, b, c] = channel.recv_array::<3>(Label::UserMessage)?;
            let [sum] = channel.recv_array::<1>(Label::UserMessage)?;
            let [seven] = channel.recv_array::<1>(Label::UserMessage)?;
            if self.without != Lie::Product {
                channel.require_product(&a, &b, c, Check::Other("product"))?;
            }
            // A product of a product.
            let square = channel.product(&a, &a)?;
            let cube = channel.product(&square, &a)?;
            let other = channel.product(&(a.clone() * Fr::from(2u64)), &square)?;
            channel.require_zero(cube * Fr::from(2u64) - other, Check::Other("cubes"))?;
            if self.without != Lie::Equation {
                channel.require_zero(sum - a - b, Check::Other("sum"))?;
            }
            if self.without != Lie::Output {
                channel.require_zero(seven - C::Scalar::from(Fr::from(7u64)), Check::Other("seven"))?;
            }
            if k % 3 == 0 {
                let _: Fr = channel.challenge(Label::UserChallenge);
            }
        }
        Ok(claims)
    }

    fn verify(&self, proof: &[u8]) -> Result<(), VerifyError> {
        self.verify_over(PlainVerifier::new(Merlin::new(b"toy"), proof))
    }

    fn verify_over<C: ClearVerifier>(&self, inner: C) -> Result<(), VerifyError> {
        let key = key();
        let mut channel = HidingVerifier::new(inner, WIDTH_VARS);
        let layout = Layout::new(self.rows, 1 << WIDTH_VARS, WIDTH_VARS).unwrap();
        let commitment = Hyrax::recv(Label::Commitment, &layout, &mut channel)?;
        let claims = self.walk(&mut channel)?;
        Hyrax::verify_opening(key.verifier_key(), &[&commitment], &claims, &mut channel)?;
        channel.finish()
    }
}

/// A protocol in which a message, or a round, may be longer than it should be.
#[derive(Clone, Copy, Debug)]
enum Script {
    /// A scalar is the sum of the next message's `len` scalars, or so it is said.
    Sum { len: usize },
    /// A round of a sum-check over a product, of this degree, for a false claim; the challenge is known to the prover.
    Round { degree: usize },
}

/// A transcript whose challenges for rounds everybody knows.
struct Known(Merlin, Fr);

impl Transcript for Known {
    fn absorb(&mut self, label: Label, message: &[u8]) {
        self.0.absorb(label, message);
    }

    fn squeeze(&mut self, label: Label, output: &mut [u8]) {
        self.0.squeeze(label, output);
        if label == Label::RoundChallenge {
            output.fill(0);
            self.1.serialize_compressed(&mut output[..32]).unwrap();
        }
    }
}

impl SecretTranscript for Known {
    fn secrets<F: PrimeField>(&self, seed: &[u8; 32], number: u64, out: &mut [F]) {
        self.0.secrets(seed, number, out);
    }
}

impl Script {
    /// `(a₀ + a₁X)(b₀ + b₁X)` for the tables `2, 5` and `3, 7`, and the challenge.
    const COEFFICIENTS: [u64; 3] = [6, 17, 12];
    const CHALLENGE: u64 = 11;

    fn transcript() -> Known {
        Known(Merlin::new(b"script"), Fr::from(Self::CHALLENGE))
    }

    fn walk<C: VerifierChannel<Fr>>(self, channel: &mut C) -> Result<(), VerifyError> {
        match self {
            Self::Sum { len } => {
                let [a] = channel.recv_array::<1>(Label::UserMessage)?;
                let _: Fr = channel.challenge(Label::UserChallenge);
                let parts = channel.recv(Label::UserMessage, len)?;
                let sum = parts.into_iter().fold(C::Scalar::from(Fr::ZERO), |sum, part| sum + part);
                channel.require_zero(sum - a, Check::Other("sum"))
            }
            Self::Round { degree } => {
                let [claim] = channel.recv_array::<1>(Label::UserMessage)?;
                let _: Fr = channel.challenge(Label::UserChallenge);
                let (_, last) = batch::verify_sum(channel, degree, 1, claim)?;
                let value = evaluate(&Self::COEFFICIENTS.map(Fr::from), Fr::from(Self::CHALLENGE));
                channel.require_zero(last - C::Scalar::from(value), Check::Other("last claim"))
            }
        }
    }

    /// The messages: what is claimed, and a second one that is one scalar longer than a verifier should read.
    fn messages(self) -> [Vec<Fr>; 2] {
        match self {
            Self::Sum { .. } => [vec![Fr::from(9u64)], vec![Fr::from(5u64), Fr::from(4u64)]],
            Self::Round { .. } => {
                let [c0, c1, c2] = Self::COEFFICIENTS.map(Fr::from);
                let r = Fr::from(Self::CHALLENGE);
                // βX²(X − r), whose values at 0 and 1 add up to one, and which is zero at r.
                let beta = (Fr::ONE - r).inverse().unwrap();
                [vec![c0.double() + c1 + c2 + Fr::ONE], vec![c0, c2 - beta * r, beta]]
            }
        }
    }

    /// A proof with these messages for whoever walks like `self`.
    fn prove(self, [first, second]: [Vec<Fr>; 2]) -> Vec<u8> {
        let key = key();
        let mut channel = HidingProver::new(PlainProver::new(Self::transcript()), &key, WIDTH_VARS).unwrap();
        // A commitment that nothing is claimed of: its width is that of messages.
        let table = random_table(1, 1 << WIDTH_VARS, 1, 3);
        let commitment = Hyrax::commit(&key, &table, WIDTH_VARS);
        Hyrax::send(Label::Commitment, &commitment, &mut channel);
        channel.send(Label::UserMessage, &first);
        let _ = channel.challenge(Label::UserChallenge);
        match self {
            Self::Sum { .. } => channel.send(Label::UserMessage, &second),
            Self::Round { .. } => {
                channel.send(Label::Round, &second);
                let _ = channel.challenge(Label::RoundChallenge);
            }
        }
        let claims = channel.claims(Vec::new, |replay| self.walk(replay).map(|()| Vec::new()));
        let committed = [Committed { table: &table, commitment: &commitment, blinds: &Blinds::none() }];
        Hyrax::open(&key, &committed, &claims, &mut channel);
        channel.into_inner().into_proof()
    }

    fn verify(self, proof: &[u8]) -> Result<(), VerifyError> {
        let mut channel = HidingVerifier::new(PlainVerifier::new(Self::transcript(), proof), WIDTH_VARS);
        let layout = Layout::new(1, 1 << WIDTH_VARS, WIDTH_VARS).unwrap();
        let commitment = Hyrax::recv(Label::Commitment, &layout, &mut channel)?;
        self.walk(&mut channel)?;
        Hyrax::verify_opening(key().verifier_key(), &[&commitment], &[], &mut channel)?;
        channel.finish()
    }
}

#[test]
fn a_message_has_as_many_scalars_as_are_read() {
    for (short, long) in
        [(Script::Sum { len: 1 }, Script::Sum { len: 2 }), (Script::Round { degree: 2 }, Script::Round { degree: 3 })]
    {
        // Whoever reads one scalar more, or lets a round have one degree more, is convinced.
        let proof = long.prove(long.messages());
        assert_eq!(long.verify(&proof), Ok(()), "{long:?}");
        assert_eq!(short.verify(&proof), Err(VerifyError::Check(Check::InnerProduct)), "{short:?}");
        // So is nobody by a commitment to fewer scalars than are read: those that are missing are zero.
        let [first, mut second] = long.messages();
        second.pop();
        let proof = short.prove([first, second]);
        for verifier in [short, long] {
            assert_eq!(verifier.verify(&proof), Err(VerifyError::Check(Check::InnerProduct)), "{verifier:?}");
        }
    }
}

/// A channel whose last round of the opening is a commitment to one scalar more than it should be.
struct Longer<C> {
    inner: C,
    rounds: usize,
    at: usize,
}

impl<C: ProverChannel<Fr>> ProverChannel<Fr> for Longer<C> {
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        self.inner.absorb_statement(label, bytes);
    }

    fn send(&mut self, label: Label, scalars: &[Fr]) {
        self.inner.send(label, scalars);
    }

    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        if label == Label::Round {
            self.rounds += 1;
            if self.rounds == self.at {
                let mut bytes = Vec::new();
                elements[0].serialize_compressed(&mut bytes).unwrap();
                let point = G1Affine::deserialize_compressed(&bytes[..]).unwrap();
                let longer = point + key().verifier_key().generators(WIDTH_VARS).row()[COLUMN_DEGREE];
                return self.inner.send_elements(label, &[longer.into_affine()]);
            }
        }
        self.inner.send_elements(label, elements);
    }

    fn challenge(&mut self, label: Label) -> Fr {
        self.inner.challenge(label)
    }

    fn product(&mut self, a: Fr, b: Fr) -> Fr {
        self.inner.product(a, b)
    }
}

impl<C: SecretChannel<Fr>> SecretChannel<Fr> for Longer<C> {
    fn secrets(&self, seed: &[u8; 32], number: u64, out: &mut [Fr]) {
        self.inner.secrets(seed, number, out);
    }
}

impl<C: ClearProver> ClearProver for Longer<C> {}

/// Refuses nothing for the sake of one check.
struct Without(Check);

impl Sealed for Without {}

impl Policy for Without {
    fn judge(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        if holds || error == VerifyError::Check(self.0) { Ok(()) } else { Err(error) }
    }

    fn instead<E: CanonicalDeserialize>(&mut self, error: VerifyError) -> Result<E, VerifyError> {
        Err(error)
    }
}

#[test]
fn rounds_that_are_opened_are_no_longer_than_they_should_be() {
    let toy = Toy { rows: 2, claims: 2, products: 0, seed: 9, without: Lie::None };
    let prove = |at| {
        let inner = Longer { inner: PlainProver::new(Merlin::new(b"toy")), rounds: 0, at };
        let channel = toy.prove_over(inner, Lie::None);
        (channel.rounds, channel.inner.into_proof())
    };
    let (rounds, honest) = prove(0);
    assert_eq!((rounds, toy.verify(&honest)), (WIDTH_VARS, Ok(())));
    let refusal = Err(VerifyError::Check(Check::MaskedMessages));
    for at in 1..=rounds {
        let (_, proof) = prove(at);
        assert_eq!(toy.verify(&proof), refusal, "round {at}");
        // The scalars that are read are the honest ones, so that nothing else refuses.
        let lax = PlainVerifier::with_policy(Merlin::new(b"toy"), &proof, Without(Check::MaskedMessages));
        assert_eq!(toy.verify_over(lax), Ok(()), "round {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn true_statements_are_accepted_and_false_ones_are_not(
        rows in 1usize..6, claims in 0usize..5, products in 0usize..12, seed: u64,
    ) {
        let toy = Toy { rows, claims, products, seed, without: Lie::None };
        prop_assert_eq!(toy.verify(&toy.prove(Lie::None)), Ok(()));
        let values = [Lie::Value].into_iter().filter(|_| claims > 0);
        let equations = [Lie::Product, Lie::Equation, Lie::Output].into_iter().filter(|_| products > 0);
        for lie in values.chain(equations) {
            prop_assert_eq!(toy.verify(&toy.prove(lie)), Err(VerifyError::Check(Check::InnerProduct)), "{:?}", lie);
            // Nothing but the check that it breaks refuses a lie.
            let broken = Toy { without: lie, ..toy.clone() };
            prop_assert_eq!(broken.verify(&broken.prove(lie)), Ok(()), "{:?}", lie);
            // Leaving it out on one side only helps nobody.
            prop_assert!(toy.verify(&broken.prove(lie)).is_err() && broken.verify(&toy.prove(lie)).is_err());
        }
    }
}

#[test]
fn any_changed_cut_or_added_byte_is_refused() {
    let toy = Toy { rows: 2, claims: 2, products: 3, seed: 5, without: Lie::None };
    let proof = toy.prove(Lie::None);
    for at in 0..proof.len() {
        let error = toy.verify(&proof[..at]).unwrap_err();
        assert!(matches!(error, VerifyError::Truncated(_)), "{at}: {error}");
        let mut changed = proof.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(toy.verify(&changed).is_err(), "byte {at}");
    }
    let mut longer = proof;
    longer.push(0);
    assert_eq!(toy.verify(&longer), Err(VerifyError::TrailingBytes(1)));
}

#[test]
fn two_proofs_of_one_witness_share_nothing() {
    let toy = Toy { rows: 3, claims: 2, products: 4, seed: 8, without: Lie::None };
    let (one, other) = (toy.prove(Lie::None), toy.prove(Lie::None));
    assert_eq!(one.len(), other.len());
    let elements =
        |proof: &[u8]| -> std::collections::HashSet<[u8; 32]> { proof.as_chunks().0.iter().copied().collect() };
    assert!(elements(&one).is_disjoint(&elements(&other)));
    assert_eq!(elements(&one).len(), one.len() / 32);
}

#[test]
fn a_proof_with_nothing_hidden_is_accepted() {
    let toy = Toy { rows: 1, claims: 0, products: 0, seed: 1, without: Lie::None };
    assert_eq!(toy.verify(&toy.prove(Lie::None)), Ok(()));
}
