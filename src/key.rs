//! The verifying key: the model without its weights, and what it checks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files::{self, FileError, Row};
use crate::gkr::pcs::hiding::{ClearVerifier, HidingVerifier};
use crate::gkr::pcs::{Commitment, Hyrax, MultilinearPcs, ProverKey as PcsProver, VerifierKey as PcsVerifier};
use crate::gkr::program::{MAX_WIDTH_VARS, Program, constant_width_vars};
use crate::gkr::prover::PublicCommitments;
use crate::gkr::verifier;
use crate::layers::score::THRESHOLD_ONE;
use crate::model::{Model, Spec, Tail};
use crate::statement::{AudioCommitment, Context, Id, MAX_CONTEXT, Mode, Proof, Statement, Template, Verdict, digest};
use crate::sumcheck::channel::{PlainVerifier, VerifierChannel};
use crate::sumcheck::error::{StatementError, VerifyError};
use crate::sumcheck::int::IntTable;
use crate::sumcheck::transcript::{Label, Merlin};

/// What the transcript of a proof starts with.
pub(crate) const PROTOCOL: &[u8] = b"voxcheck";

/// What the verifier needs (`.vxk`): the model without its weights.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    pub(crate) spec: Arc<Spec>,
    pub(crate) constants: Arc<Vec<Commitment>>,
    pub(crate) model: [u8; 32],
    pub(crate) pcs: PcsVerifier,
}

/// What a verifier demands of a statement.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The template that the proof must be against.
    pub template: &'a Template,
    /// The context that the proof must be for.
    pub context: &'a Context,
    /// The recording that the proof must be about, if it is known.
    pub audio: Option<&'a AudioCommitment>,
    /// A threshold that the template's must reach.
    pub min_threshold: Option<f64>,
}

/// A statement other than the one demanded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the proof is about another {field}: {found} instead of {expected}")]
pub struct StatementMismatch {
    /// `model`, `template`, `context`, `threshold` or `audio`.
    pub field: &'static str,
    /// What was demanded.
    pub expected: String,
    /// What the proof names.
    pub found: String,
}

/// The body of a `.vxk` file.
#[derive(Serialize, Deserialize)]
struct Stored {
    spec: Spec,
    /// Commitments to the constants: variables of a row, and the rows.
    #[serde(deserialize_with = "files::short_list")]
    rows: Vec<(u32, Vec<[u8; 32]>)>,
}

impl VerifyingKey {
    pub(crate) fn new(spec: Arc<Spec>, constants: Vec<Commitment>, pcs: PcsVerifier) -> Self {
        let rows = encoded(&constants);
        let model = model_digest(&spec, &rows);
        Self { spec, constants: Arc::new(constants), model, pcs }
    }

    /// The key of a model.
    pub(crate) fn of(model: &Model) -> Self {
        Self::with_prover(model).0
    }

    pub(crate) fn with_prover(model: &Model) -> (Self, PcsProver) {
        let pcs = PcsProver::new(PcsVerifier::new(MAX_WIDTH_VARS));
        let width = |table: &IntTable| constant_width_vars(table.rows(), table.cols());
        let tables: Vec<(&IntTable, usize)> = model.constants().iter().map(|t| (&**t, width(t))).collect();
        let constants = Hyrax::commit_all(&pcs, &tables);
        pcs.prepare_hiding();
        (Self::new(Arc::new(model.spec().clone()), constants, pcs.verifier_key().clone()), pcs)
    }

    /// The id of the model.
    #[must_use]
    pub fn model_id(&self) -> Id {
        Id { prefix: *b"vxm1", digest: self.model }
    }

    /// What is public about the model.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Compares what a proof claims with what is demanded; cheap, and says nothing about the proof.
    pub fn check_statement(&self, statement: &Statement, expected: &Expected<'_>) -> Result<(), StatementMismatch> {
        let demand = |field: &'static str, equal: bool, expected: String, found: String| {
            if equal { Ok(()) } else { Err(StatementMismatch { field, expected, found }) }
        };
        let ids = |a: Id, b: Id| (a == b, a.to_string(), b.to_string());
        let (equal, wanted, found) = ids(self.model_id(), statement.model_id());
        demand("model", equal, wanted, found)?;
        let (equal, wanted, found) = ids(expected.template.id(), statement.template_id());
        demand("template", equal, wanted, found)?;
        let context = (hex::encode(expected.context.bytes()), hex::encode(statement.context.bytes()));
        demand("context", context.0 == context.1, context.0, context.1)?;
        if let Some(audio) = expected.audio {
            let (equal, wanted, found) = ids(audio.id(), statement.audio_id());
            demand("audio", equal, wanted, found)?;
        }
        if let Some(least) = expected.min_threshold {
            let found = statement.threshold();
            demand("threshold", found >= least, format!("at least {least}"), found.to_string())?;
        }
        Ok(())
    }

    /// Absorbs a statement. Both sides call this.
    pub(crate) fn absorb(&self, statement: &Statement, mut absorb: impl FnMut(Label, &[u8])) {
        absorb(Label::Protocol, files::SUITE.as_bytes());
        absorb(Label::Protocol, &files::FORMAT_VERSION.to_le_bytes());
        absorb(Label::Protocol, b"decision");
        absorb(Label::Program, &self.model);
        absorb(Label::Statement, &files::encode(statement));
    }

    /// The commitments to the constants of a program, in its order.
    pub(crate) fn program_constants(&self, program: &Program) -> Result<Vec<&Commitment>, VerifyError> {
        let missing = StatementError::Misfit("the key lacks a constant of the model");
        let constant = |n: u32| self.constants.get(n as usize).ok_or_else(|| missing.clone().into());
        program.constants().into_iter().map(|(_, n)| constant(n)).collect()
    }

    /// Verifies a proof of a statement. Compare the statement with what is demanded first
    /// ([`VerifyingKey::check_statement`]).
    ///
    /// # Soundness
    /// See [`gkr::verifier::verify`](crate::gkr::verifier::verify). Everything in the statement is
    /// absorbed before the first challenge.
    pub fn verify(&self, statement: &Statement, proof: &Proof) -> Result<Verdict, VerifyError> {
        self.verify_over(statement, proof, PlainVerifier::new(Merlin::new(PROTOCOL), &proof.argument))
    }

    /// [`VerifyingKey::verify`] over any channel that reads the proof's argument.
    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    pub(crate) fn verify_over<C: ClearVerifier>(
        &self,
        statement: &Statement,
        proof: &Proof,
        mut channel: C,
    ) -> Result<Verdict, VerifyError> {
        let threshold = statement.template.threshold;
        let rate = self.spec.features.front_end.sample_rate;
        for (holds, error) in [
            (*statement == proof.statement, StatementError::Other),
            (statement.model == self.model, StatementError::Model),
            (statement.template.model == self.model, StatementError::TemplateModel),
            (statement.audio.sample_rate == rate, StatementError::SampleRate),
            ((1..=THRESHOLD_ONE).contains(&threshold), StatementError::Threshold),
            (statement.context.bytes().len() <= MAX_CONTEXT, StatementError::Context),
            (statement.score_is_cosine(), StatementError::Score),
        ] {
            channel.require(holds, error.into())?;
        }
        let lowered = self.spec.lower(statement.num_samples(), statement.tail());
        let program = lowered.map_err(|error| StatementError::Program(error.to_string()))?.program;
        let outputs = statement.outputs();
        let outputs: Vec<&IntTable> = outputs.iter().collect();
        let inputs = statement.input_commitments();
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let constants = self.program_constants(&program)?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        self.absorb(statement, |label, bytes| channel.absorb_statement(label, bytes));
        match statement.mode {
            Mode::Clear => {
                verifier::verify::<Hyrax, _>(&self.pcs, &program, &outputs, &public, &mut channel)?;
                channel.finish()?;
            }
            Mode::Zk => {
                let mut channel = HidingVerifier::new(channel, program.max_width_vars());
                verifier::verify::<Hyrax, _>(&self.pcs, &program, &outputs, &public, &mut channel)?;
                channel.finish()?;
            }
        }
        Ok(statement.verdict)
    }

    /// The bytes of a `.vxk` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let rows = encoded(&self.constants);
        files::KEY.wrap(&self.model, &files::encode(&(&*self.spec, rows)))
    }

    /// Reads a `.vxk` file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let kind = files::KEY;
        let (digest, body) = kind.unwrap(bytes)?;
        let Stored { spec, rows } = kind.decode(body)?;
        // What is cheap comes first: points and generators cost milliseconds.
        if model_digest(&spec, &rows) != digest {
            return Err(kind.error("its content does not have the id in its header"));
        }
        spec.check_limits().map_err(|error| kind.error(error.to_string()))?;
        let shortest = spec.min_samples as usize;
        spec.lower(shortest, Tail { embedding: true, ..Tail::default() })
            .map_err(|error| kind.error(error.to_string()))?;
        let decode = |(width_vars, rows): (u32, Vec<[u8; 32]>)| {
            let rows: Vec<Row> = rows.into_iter().map(Row::try_from).collect::<Result<_, _>>()?;
            Ok(files::commitment(width_vars as usize, &rows))
        };
        let constants =
            rows.into_iter().map(decode).collect::<Result<_, _>>().map_err(|error: &'static str| kind.error(error))?;
        let pcs = PcsVerifier::new(MAX_WIDTH_VARS);
        Ok(Self { spec: Arc::new(spec), constants: Arc::new(constants), model: digest, pcs })
    }
}

impl Model {
    /// The model's id. It binds the commitments to the weights, so they are computed here.
    #[must_use]
    pub fn id(&self) -> Id {
        VerifyingKey::of(self).model_id()
    }
}

/// Commitments as they are stored and as they are bound: variables of a row, and the rows.
fn encoded(commitments: &[Commitment]) -> Vec<(u32, Vec<Row>)> {
    commitments.iter().map(|commitment| (commitment.width_vars as u32, files::rows(commitment))).collect()
}

/// What binds a model: the suite, the specification and the commitments to the weights. Rows are points or
/// their encodings, which have one form.
fn model_digest<R: Serialize>(spec: &Spec, rows: &[(u32, Vec<R>)]) -> [u8; 32] {
    digest("voxcheck model", &(files::SUITE, spec, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::Wav;
    use crate::gkr::pcs::Blinds;
    use crate::proof::{ProveOptions, Reveal, setup};
    use crate::statement::Revealed;

    /// Even against the template of its own embedding.
    #[test]
    fn silence_is_rejected_by_the_statement() {
        let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
        let context = Context::new(*b"context");
        let ramp = (0..12_000).map(|i| (i % 16_001 - 8_000) as i16).collect();
        for (samples, verdict) in
            [(vec![0; 12_000], Verdict::Reject), (vec![-9_000; 12_000], Verdict::Reject), (ramp, Verdict::Accept)]
        {
            let wav = Wav { sample_rate: 16_000, samples };
            assert_eq!(wav.is_constant(), pk.enrol(std::slice::from_ref(&wav), 0.5).is_err());
            let embedding = pk.model().embed(&wav.samples).unwrap();
            let largest = embedding.iter().map(|v| v.unsigned_abs()).max().unwrap() as f64;
            let values = embedding.iter().map(|&v| (v as f64 / largest * 30_000.0) as i16).collect();
            let own = pk.template_of(values, THRESHOLD_ONE / 2, Blinds::random(1).unwrap());
            let (statement, proof) = pk.prove(&wav, &own, &context).unwrap();
            assert_eq!(vk.verify(&statement, &proof), Ok(verdict));
        }
    }

    #[test]
    fn a_key_for_absurd_lengths_is_refused() {
        let (_, vk) = setup(&Model::bundled().unwrap()).unwrap();
        let with = |min: u32, max: u32| {
            let spec = Spec { min_samples: min, max_samples: max, ..(*vk.spec).clone() };
            let key = VerifyingKey::new(Arc::new(spec), vk.constants.to_vec(), vk.pcs.clone());
            VerifyingKey::from_bytes(&key.to_bytes()).map(|key| key.model)
        };
        let (min, max) = (vk.spec.min_samples, vk.spec.max_samples);
        assert_eq!(with(min, max), Ok(vk.model));
        for (min, max) in [(min, max + 1), (min, u32::MAX), (u32::MAX, u32::MAX), (max, min)] {
            assert!(with(min, max).is_err(), "{min} to {max}");
        }
    }

    /// Every field of a statement, changed alone under the argument for the true one.
    #[test]
    fn no_other_statement_has_the_same_argument() {
        let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
        let samples = |seed: i32| (0..12_000).map(|i| ((i * i % 97 + seed) * 150 - 7_000) as i16).collect();
        let wav = |seed| Wav { sample_rate: 16_000, samples: samples(seed) };
        let (template, secret) = pk.enrol(&[wav(0)], 0.5).unwrap();
        let context = Context::new(*b"context");
        let prove = |reveal| {
            let options = ProveOptions { reveal, ..ProveOptions::default() };
            pk.prove_with(&wav(3), &template, &secret, &context, &options).unwrap().0
        };
        let proof = prove(Reveal::Decision);
        assert!(vk.verify(proof.statement(), &proof).is_ok());
        let (other_template, _) = pk.enrol(&[wav(40)], 0.5).unwrap();
        let (other_audio, _) = pk.commit_audio(&wav(4)).unwrap();
        type Change<'a> = (&'static str, Box<dyn Fn(&mut Statement) + 'a>);
        let flip = |v: Verdict| if v == Verdict::Accept { Verdict::Reject } else { Verdict::Accept };
        let changes: Vec<Change<'_>> = vec![
            ("decision", Box::new(move |s| s.verdict = flip(s.verdict))),
            ("threshold up", Box::new(|s| s.template.threshold += 1)),
            ("threshold down", Box::new(|s| s.template.threshold -= 1)),
            ("threshold zero", Box::new(|s| s.template.threshold = 0)),
            ("context", Box::new(|s| s.context = Context::new(*b"Context"))),
            ("longer context", Box::new(|s| s.context = Context::new(vec![0; MAX_CONTEXT + 1]))),
            ("model", Box::new(|s| s.model[0] ^= 1)),
            ("template's model", Box::new(|s| s.template.model[31] ^= 1)),
            ("template", Box::new(|s| s.template.rows.clone_from(&other_template.rows))),
            ("one sample more", Box::new(|s| s.audio.num_samples += 1)),
            ("one sample less", Box::new(|s| s.audio.num_samples -= 1)),
            ("no samples", Box::new(|s| s.audio.num_samples = 0)),
            ("most samples", Box::new(|s| s.audio.num_samples = u32::MAX)),
            ("sample rate", Box::new(|s| s.audio.sample_rate = 8_000)),
            ("recording", Box::new(|s| s.audio = other_audio.clone())),
            ("rows swapped", Box::new(|s| s.audio.rows.swap(0, 1))),
            ("a row less", Box::new(|s| s.audio.rows.truncate(1))),
            ("score", Box::new(|s| s.revealed = Revealed::Score(0))),
            ("impossible score", Box::new(|s| s.revealed = Revealed::Score(1 << 16))),
            ("embedding", Box::new(|s| s.revealed = Revealed::Embedding(vec![0; 128]))),
            ("short embedding", Box::new(|s| s.revealed = Revealed::Embedding(vec![0; 3]))),
        ];
        for (name, change) in changes {
            let mut forged = proof.clone();
            change(&mut forged.statement);
            assert_ne!(forged, proof, "{name}");
            assert!(vk.verify(&forged.statement, &forged).is_err(), "{name}");
            assert!(vk.verify(&forged.statement, &proof).is_err(), "{name}, with the true proof");
        }
        for reveal in [Reveal::Score, Reveal::Embedding] {
            let mut forged = prove(reveal);
            assert!(vk.verify(forged.statement(), &forged).is_ok());
            match &mut forged.statement.revealed {
                Revealed::Score(score) => *score -= 1,
                Revealed::Embedding(embedding) => embedding[7] += 1,
                Revealed::Decision => unreachable!("something is revealed"),
            }
            assert!(vk.verify(&forged.statement, &forged).is_err());
        }
        assert_eq!(proof.statement.mode, Mode::Zk);
    }
}
