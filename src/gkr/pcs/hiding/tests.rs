//! Small protocols over hiding channels: messages, products, equations and claims of every kind.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, UniformRand};
use ark_std::rand::SeedableRng;
use ark_std::rand::rngs::StdRng;
use proptest::prelude::*;
use std::sync::OnceLock;

use super::*;
use crate::gkr::pcs::testing::random_table;
use crate::gkr::pcs::{ColumnWeights, Committed, Hyrax, Layout, MultilinearPcs, OpeningClaim, ProverKey, VerifierKey};
use crate::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::{Check, VerifyError};
use crate::sumcheck::small::weighted_sum;
use crate::sumcheck::transcript::{Label, Merlin};

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
        let key = key();
        let inner = PlainProver::new(Merlin::new(b"toy"));
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
        channel.into_inner().into_proof()
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
        let key = key();
        let mut channel = HidingVerifier::new(PlainVerifier::new(Merlin::new(b"toy"), proof), WIDTH_VARS);
        let layout = Layout::new(self.rows, 1 << WIDTH_VARS, WIDTH_VARS).unwrap();
        let commitment = Hyrax::recv(Label::Commitment, &layout, &mut channel)?;
        let claims = self.walk(&mut channel)?;
        Hyrax::verify_opening(key.verifier_key(), &[&commitment], &claims, &mut channel)?;
        channel.finish()
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
