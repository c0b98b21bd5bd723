//! Private weights: a key that hides them, and the proof that they are within their widths.
//!
//! ```text
//! Commitments  W_r = Σ_j w[r, j]·G_j + ρ_r·H for every row of every constant of the model
//! Program      low ≤ w ≤ high for every entry, with the bounds that the model's programs take for granted
//! ```
//!
//! A program of a model derives the bounds of all its tensors from the declared widths of its constants. Whoever
//! has the model can look at them; a verifier who has commitments only needs a proof, or the owner of the model
//! could choose weights for which an accumulator wraps. It is made once, kept in the key, and checked when the key
//! is loaded. It is a proof of a program like any other, in which the constants are inputs, so their padding is
//! proved zero too.
//!
//! # Soundness
//! A narrow constant is looked up, entry by entry, in the table of all integers from `low` to `high`. A wide one equals a
//! committed tensor of ranged limbs, hence is an integer, and both `w − low` and `high − w` are natural numbers below a power
//! of two that is far from wrapping. The rest is [`gkr::verifier`](crate::gkr::verifier).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::files::{self, FileError};
use crate::gkr::builder::{ProgramBuilder, Recipes};
use crate::gkr::pcs::hiding::{HidingProver, HidingVerifier};
use crate::gkr::pcs::{Blinds, Commitment, Hyrax, ProverKey, VerifierKey};
use crate::gkr::program::{Program, ProgramError};
use crate::gkr::prover::{self, PublicBlinds, PublicCommitments, Witness};
use crate::gkr::tables::{Table, TableColumn};
use crate::gkr::trace::Trace;
use crate::gkr::{Fr, verifier};
use crate::key::PROTOCOL;
use crate::layers::fixed;
use crate::model::Spec;
use crate::proof::ProveError;
use crate::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use crate::sumcheck::error::{StatementError, VerifyError};
use crate::sumcheck::int::IntTable;
use crate::sumcheck::transcript::{Label, Merlin};

/// Bits of the largest table of weights, and of the limbs of wider ones.
const TABLE_BITS: usize = 16;

/// The blinding factors of a private key (`.vxk.secret`): with them and the model, proofs are made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySecret {
    /// Those of all constants, one after another.
    #[serde(with = "files::blinds")]
    pub(crate) blinds: Blinds,
    /// Of the private model. It stands last, so that no other secret looks like this one.
    pub(crate) model: [u8; 32],
}

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

impl KeySecret {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::KEY_SECRET.wrap(&self.model, &files::encode(self))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If the bytes are not those of such a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (model, body) = files::KEY_SECRET.unwrap(bytes)?;
        let secret: Self = files::KEY_SECRET.decode(body)?;
        if secret.model != model {
            return Err(files::KEY_SECRET.error("its header names another model"));
        }
        Ok(secret)
    }

    /// The factors of each commitment; `None` if there are not as many as rows.
    pub(crate) fn split(&self, commitments: &[Commitment]) -> Option<Vec<Blinds>> {
        let mut rest = self.blinds.factors();
        let mut split = Vec::with_capacity(commitments.len());
        for commitment in commitments {
            let (own, others) = rest.split_at_checked(commitment.rows.len())?;
            split.push(Blinds::new(own.to_vec()));
            rest = others;
        }
        rest.is_empty().then_some(split)
    }
}

/// A constant as programs declare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) number: u32,
    shape: (usize, usize),
    low: i128,
    high: i128,
}

impl Declared {
    /// The constants of a program, with the numbers that they have in their model.
    pub(crate) fn all(program: &Program) -> Result<Vec<Self>, ProgramError> {
        let declared = |(id, number)| {
            let tensor = program.tensor(id);
            let wide = |_| ProgramError::TooLarge(format!("the weights of `{}`", tensor.name));
            let (low, high) = (i128::try_from(&tensor.low), i128::try_from(&tensor.high));
            let (low, high) = (low.map_err(wide)?, high.map_err(wide)?);
            Ok(Self { number, shape: (tensor.rows, tensor.cols), low, high })
        };
        program.constants().into_iter().map(declared).collect()
    }
}

/// The proof that all constants of a model are within their widths, as it stands in a key.
#[derive(Clone, Debug)]
pub(crate) struct WeightProof {
    pub(crate) argument: Arc<Vec<u8>>,
    /// What it is about.
    pub(crate) declared: Arc<Vec<Declared>>,
    /// [`Spec::weight_width_vars`] of the model.
    pub(crate) width_vars: u32,
}

/// The constants that the programs of a model declare.
pub(crate) fn declared(spec: &Spec) -> Result<Vec<Declared>, ModelError> {
    Ok(Declared::all(&spec.lower(spec.min_samples as usize, &spec.whole_tail(None))?.program)?)
}

/// The program that shows the bounds of some constants, of a model with these [`Spec::weight_width_vars`].
pub(crate) fn program(declared: &[Declared], width_vars: u32) -> Result<(Program, Recipes), ProgramError> {
    let mut p = ProgramBuilder::new(TABLE_BITS).with_weight_width_vars(width_vars as usize);
    for Declared { number, shape, low, high } in declared {
        let name = format!("weights {number}");
        let (low, high) = (*low, *high);
        let weights = p.weights(&name, *shape, low, high)?;
        let span = high.checked_sub(low).and_then(|span| u128::try_from(span).ok());
        let span = span.ok_or_else(|| ProgramError::TooLarge(name.clone()))?;
        let bits = (u128::BITS - span.leading_zeros()) as usize;
        if bits <= TABLE_BITS {
            let last = i64::try_from(high).map_err(|_| ProgramError::TooLarge(name.clone()))?;
            let first = i64::try_from(low).map_err(|_| ProgramError::TooLarge(name.clone()))?;
            // The last integer fills the table up.
            let values = (0..1i64 << bits).map(|i| (first + i).min(last)).collect();
            let table = Table { name: format!("{first} to {last}"), bits, columns: vec![TableColumn::values(values)] };
            let table = p.table(table)?;
            p.lookup(vec![fixed::column(p.whole(weights))], table)?;
        } else {
            fixed::commit(&mut p, &name, weights)?;
            for (end, sign, constant) in [("above its least", 1, -low), ("below its largest", -1, high)] {
                let name = format!("{name}: {end}");
                let distance = p.linear(&name, vec![(sign, p.whole(weights))], constant)?;
                fixed::range(&mut p, &name, distance, bits)?;
            }
        }
    }
    p.finish()
}

/// The commitments that the constants of a program have among those of a model.
fn chosen<'a>(declared: &[Declared], all: &'a [Commitment]) -> Option<Vec<&'a Commitment>> {
    declared.iter().map(|d| all.get(d.number as usize)).collect()
}

/// Absorbs what the proof is about besides program and commitments.
fn absorb(model: &[u8; 32], mut absorb: impl FnMut(Label, &[u8])) {
    absorb(Label::Protocol, files::SUITE.as_bytes());
    absorb(Label::Protocol, &files::FORMAT_VERSION.to_le_bytes());
    absorb(Label::Protocol, b"weights");
    absorb(Label::Statement, model);
}

/// Proves that the constants of the model `model` are within their widths.
pub(crate) fn prove(
    key: &ProverKey,
    model: &[u8; 32],
    (declared, width_vars): (Vec<Declared>, u32),
    constants: &[Arc<IntTable>],
    commitments: &[Commitment],
    blinds: &[Blinds],
) -> Result<WeightProof, ProveError> {
    let missing = || ProveError::Mismatch("the model lacks some of its weights".into());
    let (program, recipes) = program(&declared, width_vars).map_err(ModelError::from)?;
    let numbers = || declared.iter().map(|d| d.number as usize);
    let inputs: Option<Vec<Arc<IntTable>>> = numbers().map(|n| constants.get(n).cloned()).collect();
    let blinds: Option<Vec<Blinds>> = numbers().map(|n| blinds.get(n).cloned()).collect();
    let (inputs, blinds) = inputs.zip(blinds).ok_or_else(missing)?;
    let trace = Trace::run_keeping(&program, &recipes, &inputs, &[], &[]).map_err(ModelError::from)?;
    let public = PublicCommitments { inputs: &chosen(&declared, commitments).ok_or_else(missing)?, constants: &[] };
    let witness = Witness::new(&trace).hidden_by(PublicBlinds { inputs: &blinds, constants: &[] });
    let mut channel = PlainProver::new(Merlin::new(PROTOCOL));
    absorb(model, |label, bytes| ProverChannel::<Fr>::absorb_statement(&mut channel, label, bytes));
    let mut channel = HidingProver::new(channel, key, program.max_width_vars())?;
    prover::prove::<Hyrax, _>(key, &program, witness, &public, &mut channel);
    let argument = Arc::new(channel.into_inner().into_proof());
    Ok(WeightProof { argument, declared: Arc::new(declared), width_vars })
}

/// Checks the proof that the constants of the model `model` are within their widths.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(crate) fn verify(
    key: &VerifierKey,
    model: &[u8; 32],
    commitments: &[Commitment],
    proof: &WeightProof,
) -> Result<(), VerifyError> {
    let program = program(&proof.declared, proof.width_vars);
    let (program, _) = program.map_err(|error| StatementError::Program(error.to_string()))?;
    let chosen = chosen(&proof.declared, commitments);
    let inputs = chosen.ok_or(StatementError::Misfit("the key lacks a constant of the model"))?;
    let public = PublicCommitments { inputs: &inputs, constants: &[] };
    let mut channel = PlainVerifier::new(Merlin::new(PROTOCOL), &proof.argument);
    absorb(model, |label, bytes| VerifierChannel::<Fr>::absorb_statement(&mut channel, label, bytes));
    let mut channel = HidingVerifier::new(channel, program.max_width_vars());
    verifier::verify::<Hyrax, _>(key, &program, &[], &public, &mut channel)?;
    channel.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gkr::pcs::{MultilinearPcs, VerifierKey};
    use crate::gkr::program::{MAX_WIDTH_VARS, constant_width_vars};
    use crate::sumcheck::int::IntVec;

    /// [`Spec::weight_width_vars`].
    const WIDTH_VARS: u32 = 11;

    fn declared() -> Vec<Declared> {
        vec![
            Declared { number: 0, shape: (3, 5), low: -8, high: 8 },
            Declared { number: 1, shape: (1, 7), low: -(1 << 20), high: 1 << 20 },
            Declared { number: 2, shape: (2, 2), low: -128, high: 127 },
        ]
    }

    fn tables(change: Option<(usize, i128)>) -> Vec<Arc<IntTable>> {
        let table = |(number, d): (usize, &Declared)| {
            let len = d.shape.0 * d.shape.1;
            // Both ends are there.
            let mut values: Vec<i128> = (0..len).map(|i| [d.low, d.high, 0, -1, 1][i % 5]).collect();
            if let Some((_, value)) = change.filter(|(changed, _)| *changed == number) {
                values[len - 1] = value;
            }
            Arc::new(IntTable::new(d.shape.0, d.shape.1, IntVec::I128(values)))
        };
        declared().iter().enumerate().map(table).collect()
    }

    fn key() -> ProverKey {
        let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
        key.prepare_hiding();
        key
    }

    fn commit(key: &ProverKey, tables: &[Arc<IntTable>]) -> (Vec<Commitment>, Vec<Blinds>) {
        let commit = |table: &Arc<IntTable>| {
            let width_vars = constant_width_vars((table.rows(), table.cols()), WIDTH_VARS as usize);
            let mut commitment = Hyrax::commit(key, table, width_vars);
            let blinds = Blinds::random(commitment.rows.len()).unwrap();
            Hyrax::blind(key, &mut commitment, &blinds);
            (commitment, blinds)
        };
        tables.iter().map(commit).unzip()
    }

    #[test]
    fn weights_within_their_widths_are_proved() {
        let (key, model, tables) = (key(), [7; 32], tables(None));
        let (commitments, blinds) = commit(&key, &tables);
        let proof = prove(&key, &model, (declared(), WIDTH_VARS), &tables, &commitments, &blinds).unwrap();
        let check = |model: &[u8; 32], commitments: &[Commitment], proof: &WeightProof| {
            verify(key.verifier_key(), model, commitments, proof)
        };
        assert_eq!(check(&model, &commitments, &proof), Ok(()));
        assert!(check(&[8; 32], &commitments, &proof).is_err());
        assert!(check(&model, &commit(&key, &tables).0, &proof).is_err());
        assert!(check(&model, &commitments[..2], &proof).is_err());
        // A narrower declaration is another statement.
        let mut narrower = declared();
        narrower[0].high -= 1;
        assert!(check(&model, &commitments, &WeightProof { declared: Arc::new(narrower), ..proof.clone() }).is_err());
        let mut changed = proof.argument.to_vec();
        changed[proof.argument.len() / 2] ^= 1;
        assert!(check(&model, &commitments, &WeightProof { argument: Arc::new(changed), ..proof }).is_err());
    }

    #[test]
    fn an_honest_owner_finds_no_proof_for_others() {
        let key = key();
        for change in [(0, 9), (0, -9), (1, (1 << 20) + 1), (1, -(1 << 20) - 1), (2, 128), (2, -129)] {
            let tables = tables(Some(change));
            let (commitments, blinds) = commit(&key, &tables);
            assert!(
                prove(&key, &[0; 32], (declared(), WIDTH_VARS), &tables, &commitments, &blinds).is_err(),
                "{change:?}"
            );
        }
    }

    /// An owner who makes up what the honest one refuses: limbs that stand for the value as far as they can.
    #[cfg(feature = "adversary")]
    #[test]
    fn a_cheating_owner_is_found_out() {
        let key = key();
        let (program, recipes) = program(&declared(), WIDTH_VARS).unwrap();
        let lies = [(0, 9), (0, -9), (1, (1 << 20) + 1), (1, -(1 << 20) - 1), (1, 1 << 40), (2, 128), (2, -129)];
        // Without a lie, the same prover is believed.
        for change in lies.into_iter().map(Some).chain([None]) {
            let tables = tables(change);
            let (commitments, blinds) = commit(&key, &tables);
            let trace = Trace::run_tampered(&program, &recipes, &tables, &[], &mut |_, _| ()).unwrap();
            let inputs: Vec<&Commitment> = commitments.iter().collect();
            let public = PublicCommitments { inputs: &inputs, constants: &[] };
            let mut channel = PlainProver::new(Merlin::new(PROTOCOL));
            absorb(&[0; 32], |label, bytes| ProverChannel::<Fr>::absorb_statement(&mut channel, label, bytes));
            let mut channel = HidingProver::new(channel, &key, program.max_width_vars()).unwrap();
            let witness = Witness::new(&trace).hidden_by(PublicBlinds { inputs: &blinds, constants: &[] });
            prover::prove::<Hyrax, _>(&key, &program, witness, &public, &mut channel);
            let argument = Arc::new(channel.into_inner().into_proof());
            let proof = WeightProof { argument, declared: Arc::new(declared()), width_vars: WIDTH_VARS };
            let verdict = verify(key.verifier_key(), &[0; 32], &commitments, &proof);
            assert_eq!(verdict.is_ok(), change.is_none(), "{change:?}: {verdict:?}");
        }
    }

    #[test]
    fn secrets_are_split_by_rows() {
        let key = key();
        let (commitments, blinds) = commit(&key, &tables(None));
        let all = Blinds::new(blinds.iter().flat_map(|blinds| blinds.factors().to_vec()).collect());
        let secret = KeySecret { model: [3; 32], blinds: all };
        assert_eq!(secret.split(&commitments), Some(blinds));
        assert_eq!(secret.split(&commitments[1..]), None);
        assert_eq!(KeySecret::from_bytes(&secret.to_bytes()), Ok(secret.clone()));
        let mut other = secret.to_bytes();
        other[40] ^= 1;
        assert!(KeySecret::from_bytes(&other).is_err());
        assert_eq!(format!("{secret:?}"), "KeySecret(…)");
    }
}
