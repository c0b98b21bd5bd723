//! Enrol, prove, verify: the statement and its keys.
//!
//! A [`Statement`] says: *I know samples that open the audio commitment and a template that opens the
//! template commitment, such that the program of this model maps the samples to an embedding, and the
//! cosine of embedding and template is (or is not) at least the threshold.* Where the model has networks that give
//! classes, it says of each *and the class of this window of the same samples is this one*; a model of such networks alone
//! has no template. All of it is absorbed before the first challenge; what the program proves is in
//! [`gkr`](crate::gkr).

use std::time::{Duration, Instant};

use thiserror::Error;

use crate::audio::wav::{Wav, require_rate};
use crate::calibration::cosine;
use crate::cost::Sizes;
pub use crate::enrolment::{EnrolOptions, Enrolment};
use crate::error::{AudioError, ModelError};
pub use crate::files::FileError;
use crate::files::{self, Row};
use crate::gkr::Fr;
use crate::gkr::pcs::hiding::HidingProver;
use crate::gkr::pcs::{Blinds, Commitment, Hyrax, MultilinearPcs, ProverKey as PcsProver};
use crate::gkr::program::{Program, SHARED_WIDTH_VARS};
pub use crate::gkr::prover::Recompute;
use crate::gkr::prover::{self, PublicBlinds, PublicCommitments, Witness};
use crate::key::PROTOCOL;
pub use crate::key::{Expected, Said, StatementMismatch, VerifyingKey};
use crate::layers::score::exact_score;
use crate::model::{Model, Tail};
use crate::statement::Revealed;
pub use crate::statement::{
    Attestation, AudioCommitment, AudioSecret, Context, Id, MAX_CONTEXT, Mode, Proof, Reading, Reveal, Statement,
    Template, TemplateSecret, Verdict,
};
use crate::sumcheck::channel::{PlainProver, ProverChannel};
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::transcript::Merlin;
pub use crate::weights::KeySecret;

mod audio;
mod report;
mod run;

pub use self::report::{Report, Stages};
use self::run::{Enrolled, Run};

/// What the prover needs: the model and commitments to its weights.
pub struct ProvingKey {
    model: Model,
    key: VerifyingKey,
    pcs: PcsProver,
    /// What hides the weights, by number; empty if they are public.
    blinds: Vec<Blinds>,
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
    /// Nothing can be hidden without randomness.
    #[error("the operating system has no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// Options of [`ProvingKey::prove_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProveOptions<'a> {
    /// What to reveal.
    pub reveal: Reveal,
    /// Whether to hide what the proof is about.
    pub mode: Mode,
    /// A commitment that the recording must open.
    pub audio: Option<(&'a AudioCommitment, &'a AudioSecret)>,
    /// A device's signature over this commitment and the context, for verifiers who demand one.
    pub attestation: Option<&'a Attestation>,
    /// The first sample of the window of each reading, for a model that has some; empty for 0.
    pub windows: &'a [u32],
    /// How much to compute again rather than store, for less memory. It makes no difference to the proof.
    pub recompute: Recompute,
}

/// Commits to the weights and tables of a model, once for all lengths of audio. Deterministic: anyone
/// with the model finds the same keys.
pub fn setup(model: &Model) -> Result<(ProvingKey, VerifyingKey), ModelError> {
    let (key, pcs) = VerifyingKey::with_prover(model);
    Ok((ProvingKey { model: model.clone(), key: key.clone(), pcs, blinds: Vec::new() }, key))
}

/// As [`setup`] for a model whose weights are nobody's business: the verifying key hides them, and has a proof that
/// each is within its declared width. Every call draws fresh blinding factors, so the keys of one model have ids of
/// their own and cannot be linked. Proofs need the secret, or the proving key that is returned here.
///
/// What stays public is the architecture: shapes, widths, tables, front end.
///
/// # Errors
/// If a weight is outside its width, or the operating system has no randomness.
pub fn setup_private(model: &Model) -> Result<(ProvingKey, VerifyingKey, KeySecret), ProveError> {
    let (key, pcs, secret) = VerifyingKey::private(model)?;
    let blinds = secret.split(&key.constants).unwrap_or_default();
    Ok((ProvingKey { model: model.clone(), key: key.clone(), pcs, blinds }, key, secret))
}

impl ProvingKey {
    /// The proving key of a verifying key that hides the weights of `model`.
    ///
    /// # Errors
    /// [`ProveError::Mismatch`] if key, secret and model do not belong together.
    pub fn private(model: &Model, key: &VerifyingKey, secret: &KeySecret) -> Result<Self, ProveError> {
        let (pcs, blinds) = key.reopen(model, secret)?;
        Ok(Self { model: model.clone(), key: key.clone(), pcs, blinds })
    }

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

    pub(crate) fn pcs(&self) -> &PcsProver {
        &self.pcs
    }

    /// Computes the tables that proofs about as many samples need, which the first of them would else do.
    ///
    /// # Errors
    /// If no recording of the model has this length.
    pub fn prepare(&self, samples: usize) -> Result<(), ModelError> {
        let spec = self.model.spec();
        let program = spec.lower(samples, &spec.whole_tail(Some(1)))?.program;
        let _ = self.pcs.multiples(program.max_width_vars());
        Ok(())
    }

    pub(crate) fn check_recording(&self, wav: &Wav) -> Result<(), ProveError> {
        require_rate(wav, self.model.front_end().sample_rate)?;
        self.model.check_length(wav.samples.len())?;
        Ok(())
    }

    /// The template that commits to these values.
    #[cfg(test)]
    pub(crate) fn template_of(&self, values: Vec<i16>, threshold: u32, blinds: Blinds) -> (Template, TemplateSecret) {
        let rows = self.commit_input(&template_table(&values), &blinds);
        let (label, recordings, refuse_replays) = (String::new(), Vec::new(), false);
        let template = Template { model: self.key.model, threshold, label, recordings, refuse_replays, rows };
        let (recordings, samples) = (Vec::new(), Vec::new());
        let secret = TemplateSecret { template: template.id().digest, values, blinds, recordings, samples };
        (template, secret)
    }

    /// The rows of a commitment to samples or template.
    pub(crate) fn commit_input(&self, table: &IntTable, blinds: &Blinds) -> Vec<Row> {
        let mut commitment = Hyrax::commit(&self.pcs, table, SHARED_WIDTH_VARS);
        Hyrax::blind(&self.pcs, &mut commitment, blinds);
        files::rows(&commitment)
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
        self.check_template(template, secret)?;
        self.prove_against(wav, Some((template, secret)), context, options)
    }

    /// Proves what a recording says, with a model that is about no voice: there is no template. Of a model that makes values
    /// of chunks, it is which of them are active, or the values themselves if [`Reveal::Embedding`] is asked for.
    ///
    /// # Errors
    /// As [`ProvingKey::prove_with`]; [`ProveError::Mismatch`] if the model is about a voice, or what is to be revealed is
    /// not what it makes.
    pub fn prove_readings(
        &self,
        wav: &Wav,
        context: &Context,
        options: &ProveOptions<'_>,
    ) -> Result<(Proof, Report), ProveError> {
        if self.model.has_voice() {
            return Err(ProveError::Mismatch("the model is about a voice, so it needs a template; enrol first".into()));
        }
        let spec = self.model.spec();
        let refused = match options.reveal {
            Reveal::Decision if spec.values().is_some() && spec.activity().is_none() => {
                Some("the model decides nothing about what it makes of chunks; reveal the values (--reveal embedding)")
            }
            Reveal::Embedding if spec.values().is_none() => Some("there is no embedding to reveal without a voice"),
            Reveal::Score => Some("there is no score to reveal without a template"),
            Reveal::Decision | Reveal::Embedding => None,
        };
        if let Some(reason) = refused {
            return Err(ProveError::Mismatch(reason.into()));
        }
        self.prove_against(wav, None, context, options)
    }

    fn prove_against(
        &self,
        wav: &Wav,
        enrolled: Option<Enrolled<'_>>,
        context: &Context,
        options: &ProveOptions<'_>,
    ) -> Result<(Proof, Report), ProveError> {
        self.check_recording(wav)?;
        if context.bytes().len() > MAX_CONTEXT {
            return Err(ProveError::Mismatch("the context is longer than 256 bytes".into()));
        }
        if options.mode == Mode::Clear && self.key.hides_weights() {
            return Err(ProveError::Mismatch("a proof in the clear would tell the private weights; hide it".into()));
        }
        let clock = Instant::now();
        let tail = self.tail(wav, enrolled, options)?;
        let mut run = self.run(wav, enrolled, tail)?;
        let score = enrolled.and_then(|(_, secret)| exact_score(&run.embedding, &secret.values));
        if options.reveal == Reveal::Score {
            let score = score.ok_or_else(|| ProveError::Mismatch("a zero embedding has no score to reveal".into()))?;
            let tail = Tail { score: Some(score), ..run.tail };
            run = self.run(wav, enrolled, tail)?;
        }
        let execute = clock.elapsed();
        let clock = Instant::now();
        let (audio, audio_secret) = self.audio_of(wav, options)?;
        if options.attestation.is_some_and(|attestation| attestation.audio != audio.id().digest) {
            return Err(ProveError::Mismatch("the device signed another commitment than the proof is about".into()));
        }
        let commit = clock.elapsed();
        let revealed = match (options.reveal, score) {
            (Reveal::Score, Some(score)) => Revealed::Score(score),
            (Reveal::Embedding, _) => Revealed::Embedding(run.embedding.clone()),
            _ if run.tail.activity => Revealed::Activity(run.activity.clone()),
            _ => Revealed::Decision,
        };
        let statement = Statement {
            mode: options.mode,
            model: self.key.model,
            audio,
            template: enrolled.map(|(template, _)| template.clone()),
            context: context.clone(),
            verdict: run.verdict,
            revealed,
            readings: run.tail.readings.clone(),
            attestation: options.attestation.cloned(),
        };
        let mut blinds = vec![audio_secret.blinds.clone()];
        if let Some((template, secret)) = enrolled {
            let replays = template.replays(statement.audio.num_samples);
            blinds.push(secret.blinds.clone());
            blinds.extend(replays.map(|(place, _)| secret.recordings[place].blinds.clone()));
        }
        let (argument, timings) = self.argue(&statement, &run, &blinds, options.recompute)?;
        let report = self.report(wav, enrolled, run, execute, (commit, timings));
        Ok((Proof { statement, argument }, report))
    }

    /// What is known after a proof was made.
    fn report(
        &self,
        wav: &Wav,
        enrolled: Option<Enrolled<'_>>,
        run: Run,
        execute: Duration,
        (commit, timings): (Duration, prover::Timings),
    ) -> Report {
        let sizes = Sizes::new(&run.lowered.program);
        let floats = |values: &mut dyn Iterator<Item = i64>| values.map(|v| v as f64).collect::<Vec<f64>>();
        let score = enrolled.map(|(_, secret)| {
            let template = floats(&mut secret.values.iter().map(|&v| v.into()));
            cosine(&floats(&mut run.embedding.iter().copied()), &template)
        });
        Report {
            verdict: run.verdict,
            score,
            embedding: run.embedding,
            readings: run.tail.readings,
            stages: Stages {
                execute,
                commit: commit + timings.commit,
                lookup: timings.lookup,
                waves: timings.waves,
                open: timings.open,
                zk: timings.zk,
            },
            frames: self.model.front_end().num_frames(wav.samples.len()).unwrap_or(0),
            macs: sizes.macs,
            lookups: sizes.lookups,
            committed_values: sizes.committed_values,
        }
    }

    pub(crate) fn check_template(&self, template: &Template, secret: &TemplateSecret) -> Result<(), ProveError> {
        let refuse = |reason: &str| Err(ProveError::Mismatch(reason.to_owned()));
        if template.model != self.key.model {
            return refuse("the template was made by another model; enrol again with this one");
        }
        if secret.template != template.id().digest || secret.values.len() != self.model.embedding_len() {
            return refuse("the secret belongs to another template");
        }
        let hidden = secret.blinds.factors().len();
        if (hidden != 0 && hidden != template.rows.len())
            || self.commit_input(&template_table(&secret.values), &secret.blinds) != template.rows
        {
            return refuse("the secret does not open the template");
        }
        let samples = if template.refuse_replays { secret.recordings.len() } else { 0 };
        let opens = |(recording, secret): (&AudioCommitment, &AudioSecret)| {
            secret.audio == recording.id().digest && secret.blinds.factors().len() == recording.rows.len()
        };
        if secret.recordings.len() != template.recordings.len()
            || secret.samples.len() != samples
            || !template.recordings.iter().zip(&secret.recordings).all(opens)
        {
            return refuse("the secret does not open the recordings that the template names");
        }
        Ok(())
    }

    /// What hides the constants of a program.
    pub(crate) fn constant_blinds(&self, program: &Program) -> Vec<Blinds> {
        let blinds = |(_, number): (_, u32)| self.blinds.get(number as usize).cloned().unwrap_or_default();
        program.constants().into_iter().map(blinds).collect()
    }

    fn argue(
        &self,
        statement: &Statement,
        run: &Run,
        blinds: &[Blinds],
        recompute: Recompute,
    ) -> Result<(Vec<u8>, prover::Timings), ProveError> {
        let inputs = statement.input_commitments();
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let program = &run.lowered.program;
        let constants = self.key.program_constants(program).map_err(|e| ProveError::Mismatch(e.to_string()))?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let constants = self.constant_blinds(program);
        let blinds = PublicBlinds { inputs: blinds, constants: &constants };
        let witness = Witness::new(&run.trace).hidden_by(blinds).recomputing(recompute);
        let mut channel = PlainProver::new(Merlin::new(PROTOCOL));
        self.key.absorb(statement, |label, bytes| {
            ProverChannel::<Fr>::absorb_statement(&mut channel, label, bytes);
        });
        Ok(match statement.mode {
            Mode::Clear => {
                let timings = prover::prove::<Hyrax, _>(&self.pcs, program, witness, &public, &mut channel);
                (channel.into_proof(), timings)
            }
            Mode::Zk => {
                let mut channel = HidingProver::new(channel, &self.pcs, program.max_width_vars())?;
                let timings = prover::prove::<Hyrax, _>(&self.pcs, program, witness, &public, &mut channel);
                (channel.into_inner().into_proof(), timings)
            }
        })
    }
}

pub(crate) fn template_table(values: &[i16]) -> IntTable {
    IntTable::new(1, values.len(), IntVec::I16(values.to_vec()))
}
