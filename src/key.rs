//! The verifying key: the model without its weights, and what it checks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError, Row};
use crate::gkr::pcs::hiding::{ClearVerifier, HidingVerifier};
use crate::gkr::pcs::{Blinds, Commitment, Hyrax, MultilinearPcs, ProverKey as PcsProver, VerifierKey as PcsVerifier};
use crate::gkr::program::{MAX_WIDTH_VARS, Program, constant_width_vars};
use crate::gkr::prover::PublicCommitments;
use crate::gkr::verifier;
use crate::layers::score::THRESHOLD_ONE;
use crate::model::{Model, Spec};
use crate::proof::ProveError;
use crate::statement::{Id, MAX_CONTEXT, MAX_RECORDINGS, Mode, Proof, Statement, Template, Verdict, digest};
use crate::sumcheck::channel::{PlainVerifier, VerifierChannel};
use crate::sumcheck::error::{StatementError, VerifyError};
use crate::sumcheck::int::IntTable;
use crate::sumcheck::transcript::{Label, Merlin};
use crate::weights::{self, Declared, KeySecret, WeightProof};

mod expected;

pub use self::expected::{Expected, Said, StatementMismatch};

/// What the transcript of a proof starts with.
pub(crate) const PROTOCOL: &[u8] = b"voxcheck";

/// What the verifier needs (`.vxk`): the model without its weights.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    pub(crate) spec: Arc<Spec>,
    pub(crate) constants: Arc<Vec<Commitment>>,
    pub(crate) model: [u8; 32],
    pub(crate) pcs: PcsVerifier,
    /// That weights which are hidden are within their widths.
    weights: Option<WeightProof>,
}

/// The body of a `.vxk` file.
#[derive(Serialize, Deserialize)]
struct Stored {
    spec: Spec,
    /// Commitments to the constants: variables of a row, and the rows.
    #[serde(deserialize_with = "files::short_list")]
    rows: Vec<(u32, Vec<[u8; 32]>)>,
    /// Where the weights are private: the proof that they are within their widths.
    weights: Option<Vec<u8>>,
}

impl VerifyingKey {
    pub(crate) fn new(spec: Arc<Spec>, constants: Vec<Commitment>, pcs: PcsVerifier) -> Self {
        let model = model_digest(&spec, &encoded(&constants), Weights::Public);
        Self { spec, constants: Arc::new(constants), model, pcs, weights: None }
    }

    /// The key of a model.
    pub(crate) fn of(model: &Model) -> Self {
        Self::with_prover(model).0
    }

    pub(crate) fn with_prover(model: &Model) -> (Self, PcsProver) {
        let (constants, pcs) = commit(model);
        (Self::new(Arc::new(model.spec().clone()), constants, pcs.verifier_key().clone()), pcs)
    }

    /// A key that hides the weights of a model, and what hides them.
    pub(crate) fn private(model: &Model) -> Result<(Self, PcsProver, KeySecret), ProveError> {
        let (mut constants, pcs) = commit(model);
        let rows = constants.iter().map(|commitment| commitment.rows.len()).sum();
        let mut secret = KeySecret { model: [0; 32], blinds: Blinds::random(rows)? };
        let blinds = secret.split(&constants).ok_or_else(|| ProveError::Mismatch("one factor a row".into()))?;
        Hyrax::blind_all(&pcs, &mut constants, &blinds);
        let spec = Arc::new(model.spec().clone());
        secret.model = model_digest(&spec, &encoded(&constants), Weights::Private);
        let declared = (weights::declared(&spec)?, spec.weight_width_vars);
        let proof = weights::prove(&pcs, &secret.model, declared, model.constants(), &constants, &blinds)?;
        let key = Self {
            spec,
            constants: Arc::new(constants),
            model: secret.model,
            pcs: pcs.verifier_key().clone(),
            weights: Some(proof),
        };
        Ok((key, pcs, secret))
    }

    /// What hides the weights of this key, if `secret` and `model` are those that it was made of.
    pub(crate) fn reopen(&self, model: &Model, secret: &KeySecret) -> Result<(PcsProver, Vec<Blinds>), ProveError> {
        let refuse = |reason: &str| ProveError::Mismatch(reason.to_owned());
        if !self.hides_weights() {
            return Err(refuse("the key hides nothing, so it has no secret"));
        }
        if secret.model != self.model {
            return Err(refuse("the secret belongs to another key"));
        }
        let (mut constants, pcs) = commit(model);
        let blinds = secret.split(&constants).ok_or_else(|| refuse("the secret does not fit the model"))?;
        Hyrax::blind_all(&pcs, &mut constants, &blinds);
        if *model.spec() != *self.spec || constants != *self.constants {
            return Err(refuse("the key was made of another model"));
        }
        Ok((pcs, blinds))
    }

    /// Whether the key hides the weights. Such a key was proved, when it was read, to have weights within their
    /// declared widths.
    #[must_use]
    pub fn hides_weights(&self) -> bool {
        self.weights.is_some()
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
        if let Some(weights) = &self.weights {
            let declared = Declared::all(program).map_err(|error| StatementError::Program(error.to_string()))?;
            if !declared.iter().all(|constant| weights.declared.contains(constant)) {
                return Err(StatementError::Misfit("nothing shows that a weight is within its width").into());
            }
        }
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

    /// Computes what does not depend on a proof, which the first verification would else do.
    pub fn prepare(&self) {
        self.pcs.prepare();
    }

    /// [`VerifyingKey::verify`] over any channel that reads the proof's argument.
    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    pub(crate) fn verify_over<C: ClearVerifier>(
        &self,
        statement: &Statement,
        proof: &Proof,
        mut channel: C,
    ) -> Result<Verdict, VerifyError> {
        for (holds, error) in self.statement_checks(statement, proof) {
            channel.require(holds, error.into())?;
        }
        let lowered = self.spec.lower(statement.num_samples(), &statement.tail());
        let program = lowered.map_err(|error| StatementError::Program(error.to_string()))?.program;
        let outputs = statement.outputs(self.spec.first.columns as usize);
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

    /// What must hold of a statement before there is a program for it.
    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    fn statement_checks(&self, statement: &Statement, proof: &Proof) -> Vec<(bool, StatementError)> {
        let template = |holds: &dyn Fn(&Template) -> bool| statement.template.as_ref().is_none_or(holds);
        let shown = || self.spec.readings().zip(&statement.readings);
        let as_many = self.spec.readings().count() == statement.readings.len();
        let known = shown().all(|(reading, shown)| reading.label(shown.class).is_some());
        let within = shown().all(|(reading, shown)| reading.fits(statement.num_samples(), shown.start));
        vec![
            (*statement == proof.statement, StatementError::Other),
            (statement.model == self.model, StatementError::Model),
            (template(&|template| template.model == self.model), StatementError::TemplateModel),
            (statement.audio.sample_rate == self.spec.sample_rate(), StatementError::SampleRate),
            (template(&|t| (1..=THRESHOLD_ONE).contains(&t.threshold)), StatementError::Threshold),
            (statement.context.bytes().len() <= MAX_CONTEXT, StatementError::Context),
            (statement.score_is_cosine(), StatementError::Score),
            (template(&|t| t.recordings.len() <= MAX_RECORDINGS), StatementError::Recordings),
            (statement.template.is_some() == self.spec.voice().is_some(), StatementError::Template),
            (statement.is_decided(&self.spec), StatementError::Template),
            (as_many, StatementError::Readings),
            (known, StatementError::Class),
            (within, StatementError::Window),
        ]
    }

    /// The bytes of a `.vxk` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let rows = encoded(&self.constants);
        let weights = self.weights.as_ref().map(|proof| &*proof.argument);
        files::KEY.wrap(&self.model, &files::encode(&(&*self.spec, rows, weights)))
    }

    /// Reads a `.vxk` file. Where it hides the weights, it has a proof that they are within their widths, which is
    /// checked here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let kind = files::KEY;
        let (digest, body) = kind.unwrap(bytes)?;
        let Stored { spec, rows, weights } = kind.decode(body)?;
        // What is cheap comes first: points and generators cost milliseconds.
        let shown = if weights.is_some() { Weights::Private } else { Weights::Public };
        if model_digest(&spec, &rows, shown) != digest {
            return Err(kind.error("its content does not have the id in its header"));
        }
        spec.check_limits().map_err(|error| kind.error(error.to_string()))?;
        let shortest = spec.min_samples as usize;
        spec.lower(shortest, &spec.whole_tail(None)).map_err(|error| kind.error(error.to_string()))?;
        let decode = |(width_vars, rows): (u32, Vec<[u8; 32]>)| {
            let rows = Row::decode_all(rows)?;
            Ok(files::commitment(width_vars as usize, &rows))
        };
        let constants: Vec<Commitment> =
            rows.into_iter().map(decode).collect::<Result<_, _>>().map_err(|error: &'static str| kind.error(error))?;
        let pcs = PcsVerifier::new(MAX_WIDTH_VARS);
        let weights = match weights {
            None => None,
            Some(argument) => {
                let declared = weights::declared(&spec).map_err(|error| kind.error(error.to_string()))?;
                let (argument, declared) = (Arc::new(argument), Arc::new(declared));
                let proof = WeightProof { argument, declared, width_vars: spec.weight_width_vars };
                weights::verify(&pcs, &digest, &constants, &proof).map_err(|error| {
                    kind.error(format!("the proof that its weights are within their widths is invalid: {error}"))
                })?;
                Some(proof)
            }
        };
        Ok(Self { spec: Arc::new(spec), constants: Arc::new(constants), model: digest, pcs, weights })
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

/// Commitments to the constants of a model, hiding nothing.
fn commit(model: &Model) -> (Vec<Commitment>, PcsProver) {
    let pcs = PcsProver::new(PcsVerifier::new(MAX_WIDTH_VARS));
    let large_vars = model.spec().weight_width_vars as usize;
    let width = |table: &IntTable| constant_width_vars((table.rows(), table.cols()), large_vars);
    let tables: Vec<(&IntTable, usize)> = model.constants().iter().map(|t| (&**t, width(t))).collect();
    let constants = Hyrax::commit_all(&pcs, &tables);
    pcs.prepare_hiding();
    (constants, pcs)
}

/// Whether whoever has the key can have the weights.
#[derive(Clone, Copy)]
enum Weights {
    Public,
    Private,
}

/// What binds a model: the suite, the specification and the commitments to the weights. Rows are points or
/// their encodings, which have one form. A private key whose proof was taken away would have another id.
fn model_digest<R: Serialize>(spec: &Spec, rows: &[(u32, Vec<R>)], weights: Weights) -> [u8; 32] {
    let domain = match weights {
        Weights::Public => "voxcheck model",
        Weights::Private => "voxcheck private model",
    };
    digest(domain, &(files::SUITE, spec, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::Wav;
    use crate::gkr::pcs::Blinds;
    use crate::proof::{ProveOptions, Reveal, setup};
    use crate::statement::{Context, Reading, Revealed};

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

    /// A private key is worth its proof.
    #[test]
    fn a_private_key_without_its_proof_is_another_key() {
        let (_, vk, _) = crate::proof::setup_private(&Model::bundled().unwrap()).unwrap();
        let read = |key: &VerifyingKey| VerifyingKey::from_bytes(&key.to_bytes()).map(|key| key.model);
        assert_eq!(read(&vk), Ok(vk.model));
        assert!(read(&VerifyingKey { weights: None, ..vk.clone() }).is_err());
        let with = |argument: Vec<u8>| {
            let proof = vk.weights.clone().unwrap();
            VerifyingKey { weights: Some(WeightProof { argument: Arc::new(argument), ..proof }), ..vk.clone() }
        };
        let argument = vk.weights.as_ref().unwrap().argument.to_vec();
        assert_eq!(read(&with(argument.clone())), Ok(vk.model));
        for place in [0, argument.len() / 2, argument.len() - 1] {
            let mut changed = argument.clone();
            changed[place] ^= 4;
            assert!(read(&with(changed)).is_err(), "{place}");
        }
        assert!(read(&with(Vec::new())).is_err());
        assert!(read(&with([argument.clone(), vec![0]].concat())).is_err());
        // The key of the public model has other rows, and its proof is none of theirs.
        let public = VerifyingKey::of(&Model::bundled().unwrap());
        let (model, weights) = (public.model, vk.weights.clone());
        assert!(read(&VerifyingKey { weights, ..public }).is_err());
        assert_ne!(model, vk.model);
    }

    fn edit(statement: &mut Statement) -> &mut Template {
        statement.template.as_mut().expect("it is about a voice")
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
            ("threshold up", Box::new(|s| edit(s).threshold += 1)),
            ("threshold down", Box::new(|s| edit(s).threshold -= 1)),
            ("threshold zero", Box::new(|s| edit(s).threshold = 0)),
            ("context", Box::new(|s| s.context = Context::new(*b"Context"))),
            ("longer context", Box::new(|s| s.context = Context::new(vec![0; MAX_CONTEXT + 1]))),
            ("model", Box::new(|s| s.model[0] ^= 1)),
            ("template's model", Box::new(|s| edit(s).model[31] ^= 1)),
            ("template", Box::new(|s| edit(s).rows.clone_from(&other_template.rows))),
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
            ("no template", Box::new(|s| s.template = None)),
            ("a reading", Box::new(|s| s.readings.push(Reading { class: 0, start: 0 }))),
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
                Revealed::Decision | Revealed::Activity(_) => unreachable!("something else is revealed"),
            }
            assert!(vk.verify(&forged.statement, &forged).is_err());
        }
        assert_eq!(proof.statement.mode, Mode::Zk);
    }
}
