//! Enrol, prove, verify: the statement and its keys.
//!
//! A [`Statement`] says: *I know samples that open the audio commitment and a template that opens the
//! template commitment, such that the program of this model maps the samples to an embedding, and the
//! cosine of embedding and template is (or is not) at least the threshold.* All of it is absorbed
//! before the first challenge; what the program proves is in [`gkr`](crate::gkr).

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::audio::wav::{Wav, require_rate};
use crate::calibration::cosine;
use crate::cost::Sizes;
use crate::error::{AudioError, ModelError};
use crate::files;
pub use crate::files::FileError;
use crate::gkr::Fr;
use crate::gkr::pcs::{Commitment, Hyrax, MultilinearPcs, ProverKey as PcsProver};
use crate::gkr::program::SHARED_WIDTH_VARS;
use crate::gkr::prover::{self, PublicCommitments};
use crate::gkr::trace::Trace;
use crate::key::PROTOCOL;
pub use crate::key::{Expected, StatementMismatch, VerifyingKey};
use crate::layers::score::exact_score;
use crate::model::{Lowered, Model, TEMPLATE_BITS, Tail, integers, samples_table};
pub use crate::statement::{
    AudioCommitment, AudioSecret, Context, Id, MAX_CONTEXT, Proof, Reveal, Statement, Template, TemplateSecret, Verdict,
};
use crate::statement::{Mode, Revealed, threshold_to_integer};
use crate::sumcheck::channel::{PlainProver, ProverChannel};
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::transcript::Merlin;

/// What the prover needs: the model and commitments to its weights.
pub struct ProvingKey {
    model: Model,
    key: VerifyingKey,
    pcs: PcsProver,
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

    #[cfg(feature = "adversary")]
    pub(crate) fn pcs(&self) -> &PcsProver {
        &self.pcs
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
            // All of them have one embedding, so a template of it would accept anybody's silence.
            if wav.is_constant() {
                return Err(AudioError::Silent.into());
            }
            let embedding = self.model.embed(&wav.samples)?;
            let norm = embedding.iter().map(|&v| v as f64 * v as f64).sum::<f64>().sqrt();
            if norm == 0.0 {
                return Err(ProveError::Mismatch("a recording has an embedding of zeros; is it silent?".into()));
            }
            mean.iter_mut().zip(&embedding).for_each(|(m, &v)| *m += v as f64 / norm);
        }
        let one = f64::from(1u32 << (TEMPLATE_BITS - 2)) / recordings.len() as f64;
        let values: Vec<i16> = mean.iter().map(|m| (m * one).round() as i16).collect();
        Ok(self.template_of(values, threshold))
    }

    /// The template that commits to these values.
    pub(crate) fn template_of(&self, values: Vec<i16>, threshold: u32) -> (Template, TemplateSecret) {
        let commitment = Hyrax::commit(&self.pcs, &template_table(&values), SHARED_WIDTH_VARS);
        let template = Template { model: self.key.model, threshold, rows: files::rows(&commitment) };
        let secret = TemplateSecret { template: template.id().digest, values };
        (template, secret)
    }

    /// Commits to a recording.
    pub fn commit_audio(&self, wav: &Wav) -> Result<(AudioCommitment, AudioSecret), ProveError> {
        self.check_recording(wav)?;
        let table = IntTable::new(wav.samples.len(), 1, IntVec::I16(wav.samples.clone()));
        let commitment = Hyrax::commit(&self.pcs, &table, SHARED_WIDTH_VARS);
        let audio = AudioCommitment {
            sample_rate: wav.sample_rate,
            num_samples: wav.samples.len() as u32,
            rows: files::rows(&commitment),
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
            score: {
                let template: Vec<f64> = secret.values.iter().map(|&v| f64::from(v)).collect();
                let embedding: Vec<f64> = run.embedding.iter().map(|&v| v as f64).collect();
                cosine(&embedding, &template)
            },
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
        if files::rows(&commitment) != template.rows {
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
        let inputs = statement.input_commitments();
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let constants =
            self.key.program_constants(&run.lowered.program).map_err(|e| ProveError::Mismatch(e.to_string()))?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let mut channel = PlainProver::new(Merlin::new(PROTOCOL));
        self.key.absorb(statement, |label, bytes| {
            ProverChannel::<Fr>::absorb_statement(&mut channel, label, bytes);
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

pub(crate) fn template_table(values: &[i16]) -> IntTable {
    IntTable::new(1, values.len(), IntVec::I16(values.to_vec()))
}
