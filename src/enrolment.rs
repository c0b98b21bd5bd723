//! Enrolment: recordings → a template, and a proof that it is theirs.
//!
//! ```text
//! template   t = ⌊2^14·(Σ_i eᵢ/|eᵢ|)/k + 1/2⌋ for the embeddings eᵢ of k recordings, in the integer arithmetic of
//!            [`layers::norm::unit_average`](crate::layers::norm::unit_average)
//! statement  *I know k recordings that open the commitments in the template, no two of them the same and none of them
//!            silent, of which the model makes the values that the template commits to*
//! ```
//!
//! Nothing forces an enrolled user to run this code: without the proof, a template may commit to any vector, for
//! example to one that is close to everybody's embedding. A relying party that did not see the enrolment should
//! demand it.
//!
//! # Soundness
//! That of a proof of a program, [`gkr::verifier`](crate::gkr::verifier). Template, which has the commitments to the
//! recordings, and model are absorbed before the first challenge, under a role of their own: no proof of a decision is one of
//! an enrolment.

use std::sync::Arc;

use crate::audio::wav::Wav;
use crate::error::{AudioError, ModelError};
use crate::files::{self, FileError};
use crate::gkr::pcs::hiding::{ClearVerifier, HidingProver, HidingVerifier};
use crate::gkr::pcs::{Blinds, Commitment, Hyrax, Layout, MultilinearPcs};
use crate::gkr::program::{Program, SHARED_WIDTH_VARS};
use crate::gkr::prover::{self, PublicBlinds, PublicCommitments, Witness};
use crate::gkr::trace::Trace;
use crate::gkr::{Fr, verifier};
use crate::key::{PROTOCOL, VerifyingKey};
use crate::layers::score::THRESHOLD_ONE;
use crate::model::{Lowered, integers, samples_tables};
use crate::proof::{ProveError, ProvingKey, template_table};
use crate::statement::{
    AudioCommitment, AudioSecret, Id, MAX_LABEL, MAX_RECORDINGS, Template, TemplateSecret, check_label,
    threshold_to_integer,
};
use crate::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use crate::sumcheck::error::{StatementError, VerifyError};
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::transcript::{Label, Merlin};

/// What a template says besides whose voice it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnrolOptions<'a> {
    /// Smallest cosine that is accepted, in (0, 1].
    pub threshold: f64,
    /// Whose voice it is, for people: at most [`MAX_LABEL`] bytes.
    pub label: &'a str,
    /// Whether the template names commitments to its recordings, which a [proof](ProvingKey::prove_enrolment) of it needs.
    pub name_recordings: bool,
    /// Whether proofs must show that their recording is none of these: it implies `name_recordings`, and the secret then
    /// has the recordings. That stops the identical samples only.
    pub refuse_replays: bool,
}

impl Default for EnrolOptions<'_> {
    fn default() -> Self {
        Self { threshold: 0.66, label: "", name_recordings: false, refuse_replays: false }
    }
}

/// A proof that a template is of the recordings that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    template: [u8; 32],
    argument: Vec<u8>,
}

impl Enrolment {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::ENROLMENT.wrap(&self.template, &files::encode(&self.argument))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If the bytes are not those of such a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (template, body) = files::ENROLMENT.unwrap(bytes)?;
        Ok(Self { template, argument: files::ENROLMENT.decode(body)? })
    }

    /// The template that it is about.
    #[must_use]
    pub fn template_id(&self) -> Id {
        Id { prefix: *b"vxe1", digest: self.template }
    }
}

impl ProvingKey {
    /// The template of some recordings: the average of their unit embeddings, to be compared at `threshold`
    /// (a cosine in (0, 1]).
    ///
    /// # Errors
    /// As [`ProvingKey::enrol_with`].
    pub fn enrol(&self, recordings: &[Wav], threshold: f64) -> Result<(Template, TemplateSecret), ProveError> {
        self.enrol_with(recordings, &EnrolOptions { threshold, ..EnrolOptions::default() })
    }

    /// [`ProvingKey::enrol`] with options.
    ///
    /// # Errors
    /// If there is no recording, or too many to be named; if one cannot be used, is silent or given twice; if threshold or label are not
    /// what they should be.
    pub fn enrol_with(
        &self,
        recordings: &[Wav],
        options: &EnrolOptions<'_>,
    ) -> Result<(Template, TemplateSecret), ProveError> {
        let refuse = |reason: String| Err(ProveError::Mismatch(reason));
        self.model().require_voice()?;
        let Some(threshold) = threshold_to_integer(options.threshold) else {
            let threshold = options.threshold;
            return refuse(format!("the threshold {threshold} is not a cosine in (0, 1]; 0.5 to 0.7 is usual"));
        };
        if let Err(reason) = check_label(options.label) {
            return refuse(format!("the label {reason}; give at most {MAX_LABEL} bytes of text"));
        }
        let named = options.name_recordings || options.refuse_replays;
        if recordings.is_empty() || (named && recordings.len() > MAX_RECORDINGS) {
            return refuse(format!("a template is made of at least one recording, and names at most {MAX_RECORDINGS}"));
        }
        self.check_recordings(recordings)?;
        let values = self.average(recordings)?;
        let mut committed = Vec::new();
        if named {
            committed = recordings.iter().map(|wav| self.commit_audio(wav)).collect::<Result<Vec<_>, _>>()?;
        }
        let (commitments, secrets): (Vec<AudioCommitment>, Vec<AudioSecret>) = committed.into_iter().unzip();
        let rows = Layout::new(1, values.len(), SHARED_WIDTH_VARS).map_or(0, |layout| layout.num_rows());
        let kept = if options.refuse_replays { recordings } else { &[] };
        let secret = TemplateSecret {
            template: [0; 32],
            values,
            blinds: Blinds::random(rows)?,
            recordings: secrets,
            samples: kept.iter().map(|wav| wav.samples.clone()).collect(),
        };
        let template = Template {
            model: self.verifying_key().model,
            threshold,
            label: options.label.to_owned(),
            recordings: commitments,
            refuse_replays: options.refuse_replays,
            rows: self.commit_input(&template_table(&secret.values), &secret.blinds),
        };
        Ok(named_by(template, secret))
    }

    /// Refuses recordings that no template is made of.
    fn check_recordings(&self, recordings: &[Wav]) -> Result<(), ProveError> {
        for (number, wav) in recordings.iter().enumerate() {
            self.check_recording(wav)?;
            // All of them have one embedding, so a template of it would accept anybody's silence.
            if wav.is_constant() {
                return Err(AudioError::Silent.into());
            }
            if recordings[..number].iter().any(|other| other.samples == wav.samples) {
                let number = number + 1;
                return Err(ProveError::Mismatch(format!("recording {number} is given twice; record it again")));
            }
        }
        Ok(())
    }

    /// The values of the template of some recordings.
    fn average(&self, recordings: &[Wav]) -> Result<Vec<i16>, ProveError> {
        let lengths: Vec<usize> = recordings.iter().map(|wav| wav.samples.len()).collect();
        let lowered = self.model().spec().lower_enrolment(&lengths, false)?;
        let samples: Vec<&[i16]> = recordings.iter().map(|wav| &*wav.samples).collect();
        let inputs = samples_tables(&lowered.program, &samples);
        let constants = self.model().constants();
        let trace = Trace::run_keeping(&lowered.program, &lowered.recipes, &inputs, constants, &[lowered.embedding])
            .map_err(ModelError::from)?;
        let value = |v| i16::try_from(v).map_err(|_| ProveError::Mismatch("an embedding has no length".into()));
        integers(trace.get(lowered.embedding)).into_iter().map(value).collect()
    }

    /// Another template of the same voice, which nobody without a secret can link to the first, but by what it says: threshold,
    /// label, and the lengths of the recordings that it names. A label replaces the old one.
    ///
    /// # Errors
    /// If the secret does not open the template, or the label is too long.
    pub fn refresh(
        &self,
        template: &Template,
        secret: &TemplateSecret,
        label: Option<&str>,
    ) -> Result<(Template, TemplateSecret), ProveError> {
        self.check_template(template, secret)?;
        let (mut template, mut secret) = (template.clone(), secret.clone());
        if let Some(label) = label {
            check_label(label).map_err(|reason| ProveError::Mismatch(format!("the label {reason}")))?;
            label.clone_into(&mut template.label);
        }
        secret.blinds = Blinds::random(template.rows.len())?;
        template.rows = self.commit_input(&template_table(&secret.values), &secret.blinds);
        for (recording, secret) in template.recordings.iter_mut().zip(&mut secret.recordings) {
            // What is committed stays: more of the blinding generator is added to every row.
            let more = Blinds::random(recording.rows.len())?;
            let mut commitment = files::commitment(SHARED_WIDTH_VARS, &recording.rows);
            Hyrax::blind(self.pcs(), &mut commitment, &more);
            recording.rows = files::rows(&commitment);
            secret.blinds = secret.blinds.plus(&more);
            secret.audio = recording.id().digest;
        }
        Ok(named_by(template, secret))
    }

    /// Proves that a template is of the recordings that it names, which are these, in order.
    ///
    /// # Errors
    /// If the template names no recordings or others, or the secret does not open it.
    pub fn prove_enrolment(
        &self,
        recordings: &[Wav],
        template: &Template,
        secret: &TemplateSecret,
    ) -> Result<Enrolment, ProveError> {
        let refuse = |reason: &str| Err(ProveError::Mismatch(reason.to_owned()));
        self.check_template(template, secret)?;
        if template.recordings.is_empty() {
            return refuse("the template names no recordings, so nothing can be proved about them; enrol again");
        }
        if recordings.len() != template.recordings.len() || secret.recordings.len() != recordings.len() {
            return refuse("the template names another number of recordings");
        }
        self.check_recordings(recordings)?;
        for (wav, (commitment, secret)) in recordings.iter().zip(template.recordings.iter().zip(&secret.recordings)) {
            self.reopen_audio(wav, commitment, secret)?;
        }
        let samples: Vec<&[i16]> = recordings.iter().map(|wav| &*wav.samples).collect();
        let (lowered, inputs) = self.enrolment_inputs(&samples, template, secret)?;
        let constants = self.model().constants();
        let trace = Trace::run_keeping(&lowered.program, &lowered.recipes, &inputs, constants, &[])
            .map_err(ModelError::from)?;
        self.argue_enrolment(template, secret, &lowered.program, &trace)
    }

    /// The program of an enrolment, and its inputs.
    fn enrolment_inputs(
        &self,
        samples: &[&[i16]],
        template: &Template,
        secret: &TemplateSecret,
    ) -> Result<(Lowered, Vec<Arc<IntTable>>), ProveError> {
        let lowered = self.model().spec().lower_enrolment(&lengths(template), true)?;
        let mut inputs = samples_tables(&lowered.program, samples);
        inputs.push(Arc::new(template_table(&secret.values)));
        Ok((lowered, inputs))
    }

    /// Proves whatever the trace says.
    fn argue_enrolment(
        &self,
        template: &Template,
        secret: &TemplateSecret,
        program: &Program,
        trace: &Trace,
    ) -> Result<Enrolment, ProveError> {
        let key = self.verifying_key();
        let committed = input_commitments(template);
        let committed: Vec<&Commitment> = committed.iter().collect();
        let constants = key.program_constants(program).map_err(|error| ProveError::Mismatch(error.to_string()))?;
        let public = PublicCommitments { inputs: &committed, constants: &constants };
        let recordings = secret.recordings.iter().map(|secret| secret.blinds.clone());
        let inputs: Vec<Blinds> = recordings.chain([secret.blinds.clone()]).collect();
        let constants = self.constant_blinds(program);
        let witness = Witness::new(trace).hidden_by(PublicBlinds { inputs: &inputs, constants: &constants });
        let mut channel = PlainProver::new(Merlin::new(PROTOCOL));
        key.absorb_enrolment(template, |label, bytes| {
            ProverChannel::<Fr>::absorb_statement(&mut channel, label, bytes);
        });
        let mut channel = HidingProver::new(channel, self.pcs(), program.max_width_vars())?;
        prover::prove::<Hyrax, _>(self.pcs(), program, witness, &public, &mut channel);
        Ok(Enrolment { template: template.id().digest, argument: channel.into_inner().into_proof() })
    }
}

impl VerifyingKey {
    /// Absorbs the statement of an enrolment. Both sides call this.
    fn absorb_enrolment(&self, template: &Template, mut absorb: impl FnMut(Label, &[u8])) {
        absorb(Label::Protocol, files::SUITE.as_bytes());
        absorb(Label::Protocol, &files::FORMAT_VERSION.to_le_bytes());
        absorb(Label::Protocol, b"enrolment");
        absorb(Label::Program, &self.model);
        absorb(Label::Statement, &files::encode(template));
    }

    /// Verifies that a template is of the recordings that it names: of [`Template::recordings`], which are none of them silent
    /// and no two the same. How many are enough is for the caller to say.
    ///
    /// # Errors
    /// [`StatementError`] if the proof is about another template or model; otherwise what the proof fails at.
    pub fn verify_enrolment(&self, template: &Template, enrolment: &Enrolment) -> Result<(), VerifyError> {
        self.verify_enrolment_over(template, enrolment, PlainVerifier::new(Merlin::new(PROTOCOL), &enrolment.argument))
    }

    /// [`VerifyingKey::verify_enrolment`] over any channel that reads the proof's argument.
    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    pub(crate) fn verify_enrolment_over<C: ClearVerifier>(
        &self,
        template: &Template,
        enrolment: &Enrolment,
        mut channel: C,
    ) -> Result<(), VerifyError> {
        let rate = self.spec.sample_rate();
        let recordings = &template.recordings;
        for (holds, error) in [
            (enrolment.template == template.id().digest, StatementError::Other),
            (template.model == self.model, StatementError::TemplateModel),
            (recordings.iter().all(|recording| recording.sample_rate == rate), StatementError::SampleRate),
            ((1..=THRESHOLD_ONE).contains(&template.threshold), StatementError::Threshold),
            ((1..=MAX_RECORDINGS).contains(&recordings.len()), StatementError::Recordings),
        ] {
            channel.require(holds, error.into())?;
        }
        let lowered = self.spec.lower_enrolment(&lengths(template), true);
        let program = lowered.map_err(|error| StatementError::Program(error.to_string()))?.program;
        // Every recording is audible.
        let audible = IntTable::new(1, 1, IntVec::I8(vec![1]));
        let outputs = vec![&audible; recordings.len()];
        let inputs = input_commitments(template);
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let constants = self.program_constants(&program)?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        self.absorb_enrolment(template, |label, bytes| channel.absorb_statement(label, bytes));
        let mut channel = HidingVerifier::new(channel, program.max_width_vars());
        verifier::verify::<Hyrax, _>(&self.pcs, &program, &outputs, &public, &mut channel)?;
        channel.finish()
    }
}

/// Template and secret, which has the template's id.
fn named_by(template: Template, mut secret: TemplateSecret) -> (Template, TemplateSecret) {
    secret.template = template.id().digest;
    (template, secret)
}

/// Samples of the recordings that a template names.
fn lengths(template: &Template) -> Vec<usize> {
    template.recordings.iter().map(AudioCommitment::num_samples).collect()
}

/// Commitments to the recordings that a template names, and to its values.
fn input_commitments(template: &Template) -> Vec<Commitment> {
    let rows = template.recordings.iter().map(|recording| &recording.rows).chain([&template.rows]);
    rows.map(|rows| files::commitment(SHARED_WIDTH_VARS, rows)).collect()
}

#[cfg(all(test, feature = "adversary"))]
mod tests;
