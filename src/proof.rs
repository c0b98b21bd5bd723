//! Enrol, prove, verify: the statement and its keys.
//!
//! A [`Statement`] says: *I know samples that open the audio commitment and a template that opens the
//! template commitment, such that the program of this model maps the samples to an embedding, and the
//! cosine of embedding and template is (or is not) at least the threshold.* All of it is absorbed
//! before the first challenge; what the program proves is in [`gkr`](crate::gkr).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::audio::wav::{Wav, require_rate};
use crate::error::{AudioError, ModelError};
use crate::files;
pub use crate::files::FileError;
use crate::gkr::pcs::{Commitment, Hyrax, MultilinearPcs, ProverKey as PcsProver, VerifierKey as PcsVerifier};
use crate::gkr::program::{Program, Relation, SHARED_WIDTH_VARS};
use crate::gkr::prover::{self, PublicCommitments};
use crate::gkr::trace::Trace;
use crate::gkr::verifier;
use crate::layers::score::THRESHOLD_ONE;
use crate::model::{Lowered, Model, Spec, TEMPLATE_BITS, Tail, integers, samples_table};
use crate::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::transcript::{Label, Merlin};

/// Bytes of the longest context.
pub const MAX_CONTEXT: usize = 256;

/// What a model, template or recording is called: a prefix and 32 bytes in hex, as in `vxm1:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    /// `vxm1`, `vxa1` or `vxe1`.
    pub prefix: [u8; 4],
    /// SHA-256 of what is named.
    pub digest: [u8; 32],
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", String::from_utf8_lossy(&self.prefix), hex::encode(self.digest))
    }
}

/// A nonce, session or relying party that a proof is made for: at most [`MAX_CONTEXT`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context(Vec<u8>);

impl Context {
    /// A context of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a proof reveals besides the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reveal {
    /// Nothing.
    #[default]
    Decision,
    /// The cosine, as the integer `σ` with `σ ≤ 2^15·cos < σ + 1`.
    Score,
    /// The embedding.
    Embedding,
}

/// The verdict of a valid proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub enum Verdict {
    /// The score reaches the threshold.
    Accept,
    /// It does not.
    Reject,
}

/// The public part of an enrolment (`.vxe`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    model: [u8; 32],
    threshold: u32,
    rows: Vec<[u8; 32]>,
}

/// The private part of an enrolment (`.vxe.secret`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSecret {
    template: [u8; 32],
    values: Vec<i16>,
}

impl fmt::Debug for TemplateSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TemplateSecret(…)")
    }
}

impl Drop for TemplateSecret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.values);
    }
}

/// The public commitment to a recording (`.vxa`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioCommitment {
    sample_rate: u32,
    num_samples: u32,
    rows: Vec<[u8; 32]>,
}

/// The private part of an [`AudioCommitment`] (`.vxa.secret`). In clear mode there is no blinding, so it
/// only names the commitment that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioSecret {
    audio: [u8; 32],
}

/// What is revealed, as it stands in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Revealed {
    Decision,
    Score(i32),
    Embedding(Vec<i64>),
}

/// Whether messages are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    /// They are sent as they are.
    Clear,
}

/// What a proof claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    mode: Mode,
    model: [u8; 32],
    audio: AudioCommitment,
    template: Template,
    context: Context,
    verdict: Verdict,
    revealed: Revealed,
}

/// A proof (`.vxp`): the statement and the argument for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    statement: Statement,
    argument: Vec<u8>,
}

/// What the prover needs: the model and commitments to its weights.
pub struct ProvingKey {
    model: Model,
    key: VerifyingKey,
    pcs: PcsProver,
}

/// What the verifier needs (`.vxk`): the model without its weights.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    spec: Arc<Spec>,
    constants: Arc<Vec<Commitment>>,
    model: [u8; 32],
    pcs: PcsVerifier,
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

/// Why a proof could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The recording is unusable.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The model cannot be run on it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A key, template or secret does not fit.
    #[error("{0}")]
    Mismatch(String),
}

/// Options of [`ProvingKey::prove_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProveOptions<'a> {
    /// What to reveal.
    pub reveal: Reveal,
    /// A commitment that the recording must open.
    pub audio: Option<(&'a AudioCommitment, &'a AudioSecret)>,
}

/// Where the time of a proof went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// Running the program.
    pub execute: Duration,
    /// Committing to the witness.
    pub commit: Duration,
    /// The lookup argument.
    pub lookup: Duration,
    /// The waves of sum-checks.
    pub waves: Duration,
    /// The opening.
    pub open: Duration,
}

/// What proving found out besides the proof.
#[derive(Clone, Debug)]
pub struct Report {
    /// The decision.
    pub verdict: Verdict,
    /// The cosine of recording and template, from the exact integers (not part of the proof unless revealed).
    pub score: f64,
    /// The integer embedding.
    pub embedding: Vec<i64>,
    /// Where the time went.
    pub stages: Stages,
    /// Frames of the front end.
    pub frames: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers.
    pub committed_values: u64,
}

/// Commits to the weights and tables of a model, once for all lengths of audio. Deterministic: anyone
/// with the model finds the same keys.
pub fn setup(model: &Model) -> Result<(ProvingKey, VerifyingKey), ModelError> {
    let (key, pcs) = VerifyingKey::with_prover(model);
    Ok((ProvingKey { model: model.clone(), key: key.clone(), pcs }, key))
}

/// SHA-256 of a domain and an encoded value.
fn digest<T: Serialize>(domain: &str, value: &T) -> [u8; 32] {
    Sha256::new_with_prefix(domain).chain_update(files::encode(value)).finalize().into()
}

/// A threshold as an integer in `(0, THRESHOLD_ONE]`.
fn threshold_to_integer(threshold: f64) -> Option<u32> {
    let scaled = (threshold * f64::from(THRESHOLD_ONE)).round();
    (scaled >= 1.0 && scaled <= f64::from(THRESHOLD_ONE)).then_some(scaled as u32)
}

fn threshold_to_cosine(threshold: u32) -> f64 {
    f64::from(threshold) / f64::from(THRESHOLD_ONE)
}

/// The sizes of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Multiply-accumulates of all contractions.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers, multiplicities included.
    pub committed_values: u64,
}

impl Sizes {
    /// The sizes of `program`.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        let (mut macs, mut lookups) = (0u64, 0u64);
        for relation in program.relations() {
            match relation {
                Relation::Contraction(c) => {
                    let (rows, inner) = program.view_shape(&c.lhs);
                    let cols = program.tensor(c.output).cols;
                    macs += (rows * inner * c.lhs.rows.num_taps() * cols) as u64;
                }
                Relation::Lookup(lookup) => {
                    let (rows, cols) = program.view_shape(&lookup.columns[0].view);
                    lookups += (rows * cols) as u64;
                }
                Relation::Linear(_) | Relation::Product(_) => {}
            }
        }
        let size = |&id| program.tensor(id).entries as u64;
        let committed_values = program.inputs().iter().chain(&program.committed()).map(size).sum();
        Self { macs, lookups, committed_values }
    }
}

impl ProvingKey {
    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The verifying key.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    fn check_recording(&self, wav: &Wav) -> Result<(), ProveError> {
        require_rate(wav, self.model.front_end().sample_rate)?;
        self.model.check_length(wav.samples.len())?;
        Ok(())
    }

    /// The template of some recordings: the average of their unit embeddings, to be compared at `threshold`
    /// (a cosine in (0, 1]).
    pub fn enrol(&self, recordings: &[Wav], threshold: f64) -> Result<(Template, TemplateSecret), ProveError> {
        let threshold = threshold_to_integer(threshold).ok_or_else(|| {
            ProveError::Mismatch(format!("the threshold {threshold} is not a cosine in (0, 1]; 0.5 to 0.7 is usual"))
        })?;
        if recordings.is_empty() {
            return Err(ProveError::Mismatch("a template needs at least one recording".into()));
        }
        let mut mean = vec![0f64; self.model.embedding_len()];
        for wav in recordings {
            self.check_recording(wav)?;
            let embedding = self.model.embed(&wav.samples)?;
            let norm = embedding.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt();
            if norm == 0.0 {
                return Err(ProveError::Mismatch("a recording has an embedding of zeros; is it silent?".into()));
            }
            mean.iter_mut().zip(&embedding).for_each(|(m, &v)| *m += v as f64 / norm);
        }
        let one = f64::from(1u32 << (TEMPLATE_BITS - 2)) / recordings.len() as f64;
        let values: Vec<i16> = mean.iter().map(|m| (m * one).round() as i16).collect();
        let commitment = Hyrax::commit(&self.pcs, &template_table(&values), SHARED_WIDTH_VARS);
        let template = Template { model: self.key.model, threshold, rows: files::encode_rows(&commitment) };
        let secret = TemplateSecret { template: template.id().digest, values };
        Ok((template, secret))
    }

    /// Commits to a recording.
    pub fn commit_audio(&self, wav: &Wav) -> Result<(AudioCommitment, AudioSecret), ProveError> {
        self.check_recording(wav)?;
        let table = IntTable::new(wav.samples.len(), 1, IntVec::I16(wav.samples.clone()));
        let commitment = Hyrax::commit(&self.pcs, &table, SHARED_WIDTH_VARS);
        let audio = AudioCommitment {
            sample_rate: wav.sample_rate,
            num_samples: wav.samples.len() as u32,
            rows: files::encode_rows(&commitment),
        };
        let secret = AudioSecret { audio: audio.id().digest };
        Ok((audio, secret))
    }

    /// Proves the decision on a recording.
    pub fn prove(
        &self,
        wav: &Wav,
        template: &(Template, TemplateSecret),
        context: &Context,
    ) -> Result<(Statement, Proof), ProveError> {
        let (proof, _) = self.prove_with(wav, &template.0, &template.1, context, &ProveOptions::default())?;
        Ok((proof.statement().clone(), proof))
    }

    /// [`ProvingKey::prove`] with options and a report.
    pub fn prove_with(
        &self,
        wav: &Wav,
        template: &Template,
        secret: &TemplateSecret,
        context: &Context,
        options: &ProveOptions<'_>,
    ) -> Result<(Proof, Report), ProveError> {
        self.check_recording(wav)?;
        self.check_inputs(template, secret, context)?;
        let clock = Instant::now();
        let mut run = self.run(wav, template, secret, options.reveal, None)?;
        let score = exact_score(&run.embedding, &secret.values);
        if options.reveal == Reveal::Score {
            let score = score.ok_or_else(|| ProveError::Mismatch("a zero embedding has no score to reveal".into()))?;
            run = self.run(wav, template, secret, options.reveal, Some(score))?;
        }
        let execute = clock.elapsed();
        let clock = Instant::now();
        let (audio, audio_secret) = self.commit_audio(wav)?;
        if let Some((wanted, wanted_secret)) = options.audio
            && (*wanted != audio || *wanted_secret != audio_secret)
        {
            return Err(ProveError::Mismatch("the recording is not the one that was committed to".into()));
        }
        let commit = clock.elapsed();
        let revealed = match (options.reveal, score) {
            (Reveal::Score, Some(score)) => Revealed::Score(score),
            (Reveal::Embedding, _) => Revealed::Embedding(run.embedding.clone()),
            _ => Revealed::Decision,
        };
        let statement = Statement {
            mode: Mode::Clear,
            model: self.key.model,
            audio,
            template: template.clone(),
            context: context.clone(),
            verdict: run.verdict,
            revealed,
        };
        let (argument, timings) = self.argue(&statement, &run)?;
        let sizes = Sizes::new(&run.lowered.program);
        let report = Report {
            verdict: run.verdict,
            score: cosine(&run.embedding, &secret.values),
            embedding: run.embedding,
            stages: Stages {
                execute,
                commit: commit + timings.commit,
                lookup: timings.lookup,
                waves: timings.waves,
                open: timings.open,
            },
            frames: self.model.front_end().num_frames(wav.samples.len()).unwrap_or(0),
            macs: sizes.macs,
            lookups: sizes.lookups,
            committed_values: sizes.committed_values,
        };
        Ok((Proof { statement, argument }, report))
    }

    fn check_inputs(&self, template: &Template, secret: &TemplateSecret, context: &Context) -> Result<(), ProveError> {
        let refuse = |reason: &str| Err(ProveError::Mismatch(reason.to_owned()));
        if template.model != self.key.model {
            return refuse("the template was made by another model; enrol again with this one");
        }
        if secret.template != template.id().digest || secret.values.len() != self.model.embedding_len() {
            return refuse("the secret belongs to another template");
        }
        if context.bytes().len() > MAX_CONTEXT {
            return refuse("the context is longer than 256 bytes");
        }
        let commitment = Hyrax::commit(&self.pcs, &template_table(&secret.values), SHARED_WIDTH_VARS);
        if files::encode_rows(&commitment) != template.rows {
            return refuse("the secret does not open the template");
        }
        Ok(())
    }

    fn run(
        &self,
        wav: &Wav,
        template: &Template,
        secret: &TemplateSecret,
        reveal: Reveal,
        score: Option<i32>,
    ) -> Result<Run, ProveError> {
        let tail = Tail { threshold: Some(template.threshold), score, embedding: reveal == Reveal::Embedding };
        let lowered = self.model.spec().lower(wav.samples.len(), tail)?;
        let inputs =
            [Arc::new(samples_table(&lowered.program, &wav.samples)), Arc::new(template_table(&secret.values))];
        let trace = Trace::run(&lowered.program, &lowered.recipes, &inputs, self.model.constants())
            .map_err(ModelError::from)?;
        let embedding = integers(trace.get(lowered.embedding));
        let accept = lowered.program.outputs().first().map_or(0, |&id| trace.get(id).get(0, 0));
        let verdict = if accept == 1 { Verdict::Accept } else { Verdict::Reject };
        Ok(Run { lowered, trace, embedding, verdict })
    }

    fn argue(&self, statement: &Statement, run: &Run) -> Result<(Vec<u8>, prover::Timings), ProveError> {
        let damaged = || ProveError::Mismatch("a commitment made a moment ago cannot be read".into());
        let inputs = statement.input_commitments().ok_or_else(damaged)?;
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let constants =
            self.key.program_constants(&run.lowered.program).map_err(|e| ProveError::Mismatch(e.to_string()))?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let mut channel = PlainProver::new(Merlin::new(b"voxcheck"));
        self.key.absorb(statement, |label, bytes| {
            ProverChannel::<crate::gkr::Fr>::absorb_statement(&mut channel, label, bytes);
        });
        let timings = prover::prove::<Hyrax, _>(&self.pcs, &run.lowered.program, &run.trace, &public, &mut channel);
        Ok((channel.into_proof(), timings))
    }
}

/// A program that was run.
struct Run {
    lowered: Lowered,
    trace: Trace,
    embedding: Vec<i64>,
    verdict: Verdict,
}

fn template_table(values: &[i16]) -> IntTable {
    IntTable::new(1, values.len(), IntVec::I16(values.to_vec()))
}

fn cosine(embedding: &[i64], template: &[i16]) -> f64 {
    let e: Vec<f64> = embedding.iter().map(|&v| v as f64).collect();
    let t: Vec<f64> = template.iter().map(|&v| f64::from(v)).collect();
    crate::calibration::cosine(&e, &t)
}

/// `⌊2^15·cos⌋`, exactly.
fn exact_score(embedding: &[i64], template: &[i16]) -> Option<i32> {
    let dot = |a: &dyn Fn(usize) -> i128, b: &dyn Fn(usize) -> i128| -> i128 {
        (0..template.len()).map(|i| a(i) * b(i)).sum()
    };
    let (e, t) = (|i: usize| i128::from(embedding[i]), |i: usize| i128::from(template[i]));
    let (x, norms) = (dot(&e, &t), dot(&e, &e) * dot(&t, &t));
    if norms == 0 {
        return None;
    }
    let one = i128::from(THRESHOLD_ONE);
    // The largest integer σ with σ ≤ 2^15·x/√N: found by comparing squares, with their signs.
    let reaches = |s: i128| {
        let (left, right) = (s * s * norms, one * one * x * x);
        match (s >= 0, x >= 0) {
            (true, true) => left <= right,
            (true, false) => s == 0 && x == 0,
            (false, true) => true,
            (false, false) => left >= right,
        }
    };
    let (mut low, mut high) = (-one, one + 1);
    while high - low > 1 {
        let middle = (low + high).div_euclid(2);
        if reaches(middle) { low = middle } else { high = middle }
    }
    i32::try_from(low).ok()
}

impl VerifyingKey {
    fn new(spec: Arc<Spec>, constants: Vec<Commitment>, pcs: PcsVerifier) -> Self {
        let rows: Vec<Vec<[u8; 32]>> = constants.iter().map(files::encode_rows).collect();
        let model = digest("voxcheck model", &(files::SUITE, &*spec, rows));
        Self { spec, constants: Arc::new(constants), model, pcs }
    }

    /// The key of a model.
    pub(crate) fn of(model: &Model) -> Self {
        Self::with_prover(model).0
    }

    fn with_prover(model: &Model) -> (Self, PcsProver) {
        let pcs = PcsProver::new(PcsVerifier::new(SHARED_WIDTH_VARS));
        let commit = |table: &Arc<IntTable>| Hyrax::commit(&pcs, table, SHARED_WIDTH_VARS);
        let constants = model.constants().iter().map(commit).collect();
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
    fn absorb(&self, statement: &Statement, mut absorb: impl FnMut(Label, &[u8])) {
        absorb(Label::Protocol, files::SUITE.as_bytes());
        absorb(Label::Protocol, &files::FORMAT_VERSION.to_le_bytes());
        absorb(Label::Program, &self.model);
        absorb(Label::Statement, &files::encode(statement));
    }

    /// The commitments to the constants of a program, in its order.
    fn program_constants(&self, program: &Program) -> Result<Vec<&Commitment>, VerifyError> {
        let missing = || VerifyError::Statement("the key lacks a constant of the model".into());
        program.constants().into_iter().map(|(_, n)| self.constants.get(n as usize).ok_or_else(missing)).collect()
    }

    /// Verifies a proof of a statement. Compare the statement with what is demanded first
    /// ([`VerifyingKey::check_statement`]).
    ///
    /// # Soundness
    /// See [`gkr::verifier::verify`](crate::gkr::verifier::verify). Everything in the statement is
    /// absorbed before the first challenge.
    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    pub fn verify(&self, statement: &Statement, proof: &Proof) -> Result<Verdict, VerifyError> {
        let refuse = |reason: &str| Err(VerifyError::Statement(reason.to_owned()));
        if *statement != proof.statement {
            return refuse("the proof is of another statement");
        }
        if statement.model != self.model || statement.template.model != self.model {
            return refuse("the proof is about another model");
        }
        if statement.audio.sample_rate != self.spec.features.front_end.sample_rate {
            return refuse("the recording has another sample rate than the model takes");
        }
        if statement.template.threshold == 0 || statement.template.threshold > THRESHOLD_ONE {
            return refuse("the threshold is not in (0, 1]");
        }
        if statement.context.bytes().len() > MAX_CONTEXT {
            return refuse("the context is longer than 256 bytes");
        }
        let Some(tail) = statement.tail() else { return refuse("the revealed score is not a cosine") };
        let program = match self.spec.lower(statement.num_samples(), tail) {
            Ok(lowered) => lowered.program,
            Err(error) => return Err(VerifyError::Statement(error.to_string())),
        };
        let Some(outputs) = statement.outputs(&self.spec) else {
            return refuse("the revealed embedding has another length than the model's");
        };
        let outputs: Vec<&IntTable> = outputs.iter().collect();
        let Some(inputs) = statement.input_commitments() else {
            return refuse("a commitment is not the encoding of points");
        };
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let constants = self.program_constants(&program)?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let mut channel = PlainVerifier::new(Merlin::new(b"voxcheck"), &proof.argument);
        self.absorb(statement, |label, bytes| {
            VerifierChannel::<crate::gkr::Fr>::absorb_statement(&mut channel, label, bytes);
        });
        verifier::verify::<Hyrax, _>(&self.pcs, &program, &outputs, &public, &mut channel)?;
        VerifierChannel::<crate::gkr::Fr>::finish(channel)?;
        Ok(statement.verdict)
    }

    /// The bytes of a `.vxk` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let rows: Vec<Vec<[u8; 32]>> = self.constants.iter().map(files::encode_rows).collect();
        files::KEY.wrap(&self.model, &files::encode(&(&*self.spec, rows)))
    }

    /// Reads a `.vxk` file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let kind = files::KEY;
        let (digest, body) = kind.unwrap(bytes)?;
        let (spec, rows): (Spec, Vec<Vec<[u8; 32]>>) = kind.decode(body)?;
        let decode = |rows: &Vec<[u8; 32]>| files::decode_rows(SHARED_WIDTH_VARS, rows);
        let constants = rows.iter().map(decode).collect::<Option<Vec<_>>>();
        let constants = constants.ok_or_else(|| kind.error("a commitment is not the encoding of points"))?;
        let key = Self::new(Arc::new(spec), constants, PcsVerifier::new(SHARED_WIDTH_VARS));
        if key.model != digest {
            return Err(kind.error("its content does not have the id in its header"));
        }
        let shortest = key.spec.min_samples as usize;
        key.spec.lower(shortest, Tail::default()).map_err(|error| kind.error(error.to_string()))?;
        Ok(key)
    }
}

impl Statement {
    /// The decision claimed.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The model.
    #[must_use]
    pub fn model_id(&self) -> Id {
        Id { prefix: *b"vxm1", digest: self.model }
    }

    /// The recording.
    #[must_use]
    pub fn audio_id(&self) -> Id {
        self.audio.id()
    }

    /// The template.
    #[must_use]
    pub fn template_id(&self) -> Id {
        self.template.id()
    }

    /// The context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The threshold, a cosine.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        threshold_to_cosine(self.template.threshold)
    }

    /// Number of samples.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        self.audio.num_samples as usize
    }

    /// The score, if it is revealed.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        match self.revealed {
            Revealed::Score(score) => Some(f64::from(score) / f64::from(THRESHOLD_ONE)),
            Revealed::Decision | Revealed::Embedding(_) => None,
        }
    }

    /// The embedding, if it is revealed.
    #[must_use]
    pub fn embedding(&self) -> Option<&[i64]> {
        match &self.revealed {
            Revealed::Embedding(embedding) => Some(embedding),
            Revealed::Decision | Revealed::Score(_) => None,
        }
    }

    /// What the program ends in; `None` if the score is none.
    fn tail(&self) -> Option<Tail> {
        let one = THRESHOLD_ONE as i32;
        let score = match self.revealed {
            Revealed::Score(score) if (-one..=one).contains(&score) => Some(score),
            Revealed::Score(_) => return None,
            Revealed::Decision | Revealed::Embedding(_) => None,
        };
        let embedding = matches!(self.revealed, Revealed::Embedding(_));
        Some(Tail { threshold: Some(self.template.threshold), score, embedding })
    }

    /// The public outputs of the program; `None` if the embedding does not fit.
    fn outputs(&self, spec: &Spec) -> Option<Vec<IntTable>> {
        let mut outputs = vec![IntTable::new(1, 1, IntVec::I8(vec![i8::from(self.verdict == Verdict::Accept)]))];
        if let Revealed::Embedding(embedding) = &self.revealed {
            if embedding.len() != spec.embedding_len as usize {
                return None;
            }
            outputs.push(IntTable::new(1, embedding.len(), IntVec::I64(embedding.clone())));
        }
        Some(outputs)
    }

    /// Commitments to samples and template.
    fn input_commitments(&self) -> Option<[Commitment; 2]> {
        let decode = |rows: &[[u8; 32]]| files::decode_rows(SHARED_WIDTH_VARS, rows);
        Some([decode(&self.audio.rows)?, decode(&self.template.rows)?])
    }
}

impl Template {
    /// The template's id.
    #[must_use]
    pub fn id(&self) -> Id {
        Id { prefix: *b"vxe1", digest: digest("voxcheck template", self) }
    }

    /// The model that made it.
    #[must_use]
    pub fn model_id(&self) -> Id {
        Id { prefix: *b"vxm1", digest: self.model }
    }

    /// The threshold, a cosine.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        threshold_to_cosine(self.threshold)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::TEMPLATE.wrap(&self.model, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let kind = files::TEMPLATE;
        let (model, body) = kind.unwrap(bytes)?;
        let template: Self = kind.decode(body)?;
        if template.model != model {
            return Err(kind.error("its header names another model"));
        }
        if template.threshold == 0 || template.threshold > THRESHOLD_ONE {
            return Err(kind.error("its threshold is not in (0, 1]"));
        }
        Ok(template)
    }
}

impl TemplateSecret {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::TEMPLATE_SECRET.wrap(&self.template, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (template, body) = files::TEMPLATE_SECRET.unwrap(bytes)?;
        let secret: Self = files::TEMPLATE_SECRET.decode(body)?;
        if secret.template != template {
            return Err(files::TEMPLATE_SECRET.error("its header names another template"));
        }
        Ok(secret)
    }
}

impl AudioCommitment {
    /// The recording's id.
    #[must_use]
    pub fn id(&self) -> Id {
        Id { prefix: *b"vxa1", digest: digest("voxcheck audio", self) }
    }

    /// Number of samples.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        self.num_samples as usize
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::AUDIO.wrap(&self.id().digest, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (id, body) = files::AUDIO.unwrap(bytes)?;
        let audio: Self = files::AUDIO.decode(body)?;
        if audio.id().digest != id {
            return Err(files::AUDIO.error("its content does not have the id in its header"));
        }
        Ok(audio)
    }
}

impl AudioSecret {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::AUDIO_SECRET.wrap(&self.audio, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (audio, body) = files::AUDIO_SECRET.unwrap(bytes)?;
        let secret: Self = files::AUDIO_SECRET.decode(body)?;
        if secret.audio != audio {
            return Err(files::AUDIO_SECRET.error("its header names another recording"));
        }
        Ok(secret)
    }
}

impl Proof {
    /// What is claimed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::PROOF.wrap(&self.statement.model, &files::encode(&(&self.statement, &self.argument)))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (model, body) = files::PROOF.unwrap(bytes)?;
        let (statement, argument): (Statement, Vec<u8>) = files::PROOF.decode(body)?;
        if statement.model != model {
            return Err(files::PROOF.error("its header names another model"));
        }
        Ok(Self { statement, argument })
    }

    /// Name, offset and length in bytes of every field of the file, in order.
    #[must_use]
    pub fn sections(&self) -> Vec<(String, usize, usize)> {
        let mut sections: Vec<(String, usize, usize)> = Vec::new();
        let mut add = |name: &str, len: usize| {
            let offset = sections.last().map_or(0, |(_, offset, len)| offset + len);
            sections.push((name.to_owned(), offset, len));
        };
        let header = [("magic", 8), ("format version", 2), ("suite", 24), ("model digest", 32), ("length", 8)];
        header.into_iter().for_each(|(name, len)| add(name, len));
        let s = &self.statement;
        add("statement: mode", files::encode(&s.mode).len());
        add("statement: model", 32);
        add("statement: audio commitment", files::encode(&s.audio).len());
        add("statement: template", files::encode(&s.template).len());
        add("statement: context", files::encode(&s.context).len());
        add("statement: decision", files::encode(&s.verdict).len());
        add("statement: revealed", files::encode(&s.revealed).len());
        add("argument: length", files::encode(&self.argument).len() - self.argument.len());
        add("argument", self.argument.len());
        sections
    }
}
