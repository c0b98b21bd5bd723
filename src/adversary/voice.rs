//! Lying about a voice: the whole of [`ProvingKey::prove`] and [`VerifyingKey::verify`] with an adversary.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::conditions::Conditions;
use super::probe::{Probe, ProbeLog, probe};
use super::prover::{Adversary, Message, TamperingProver};
use super::site::Site;
use super::tape::Tape;
use crate::audio::wav::Wav;
use crate::files::{self, Row};
use crate::gkr::pcs::hiding::HidingProver;
use crate::gkr::pcs::{Blinds, Commitment, Hyrax, MultilinearPcs};
use crate::gkr::program::{SHARED_WIDTH_VARS, TensorId};
use crate::gkr::prover::{self, PublicBlinds, PublicCommitments, Witness};
use crate::gkr::trace::Trace;
use crate::key::{PROTOCOL, VerifyingKey};
use crate::layers::score::exact_score;
use crate::model::{Tail, integers, samples_table};
use crate::proof::{ProveError, ProvingKey, template_table};
use crate::statement::{
    Attestation, AudioCommitment, Context, Mode, Proof, Reading, Reveal, Revealed, Statement, Template, TemplateSecret,
    Verdict,
};
use crate::sumcheck::channel::ProverChannel;
use crate::sumcheck::error::VerifyError;

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// The fields of a statement, to be changed one by one.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Parts { $($(#[$doc])* pub $name: $type,)* }

        impl Parts {
            /// The names of all fields.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($name),)*];
        }
    };
}

parts! {
    /// Whether the proof hides what it is about.
    zk: bool,
    /// Digest of the model.
    model: [u8; 32],
    /// Samples a second.
    sample_rate: u32,
    /// Number of samples.
    num_samples: u32,
    /// Rows of the audio commitment, compressed points.
    audio_rows: Vec<[u8; 32]>,
    /// Whether there is a template: the next six say which one.
    template: bool,
    /// Digest of the model that made the template.
    template_model: [u8; 32],
    /// Threshold, times 2^15.
    threshold: u32,
    /// Whose voice the template says it is.
    label: String,
    /// The recordings that the template names: samples a second, number of samples, rows of the commitment.
    recordings: Vec<(u32, u32, Vec<[u8; 32]>)>,
    /// Whether the recording must be none of these.
    refuse_replays: bool,
    /// Rows of the template commitment, compressed points.
    template_rows: Vec<[u8; 32]>,
    /// The context.
    context: Vec<u8>,
    /// The decision.
    accept: bool,
    /// The score, if it is revealed, times 2^15.
    score: Option<i32>,
    /// The embedding, if it is revealed.
    embedding: Option<Vec<i64>>,
    /// Which chunks are active, of a model that says so.
    activity: Option<Vec<bool>>,
    /// What the recording says: class, and first sample of the window.
    readings: Vec<(u32, u32)>,
    /// A device's signature: digest of the recording, time, both halves.
    attestation: Option<([u8; 32], u64, [[u8; 32]; 2])>,
}

impl Statement {
    /// The fields of this statement.
    #[must_use]
    pub fn parts(&self) -> Parts {
        // Every field is named here, so that a new one cannot be forgotten.
        let Self { mode, model, audio, template, context, verdict, revealed, readings, attestation } = self.clone();
        let AudioCommitment { sample_rate, num_samples, rows: audio_rows } = audio;
        let has_template = template.is_some();
        let Template { model: template_model, threshold, label, recordings, refuse_replays, rows: template_rows } =
            template.unwrap_or(Template {
                model: [0; 32],
                threshold: 1,
                label: String::new(),
                recordings: Vec::new(),
                refuse_replays: false,
                rows: Vec::new(),
            });
        let bytes = |rows: Vec<Row>| rows.into_iter().map(<[u8; 32]>::from).collect();
        let named = |AudioCommitment { sample_rate, num_samples, rows }| (sample_rate, num_samples, bytes(rows));
        Parts {
            zk: mode == Mode::Zk,
            model,
            sample_rate,
            num_samples,
            audio_rows: bytes(audio_rows),
            template: has_template,
            template_model,
            threshold,
            label,
            recordings: recordings.into_iter().map(named).collect(),
            refuse_replays,
            template_rows: bytes(template_rows),
            context: context.bytes().to_vec(),
            accept: verdict == Verdict::Accept,
            score: if let Revealed::Score(score) = revealed { Some(score) } else { None },
            activity: if let Revealed::Activity(activity) = &revealed { Some(activity.clone()) } else { None },
            embedding: if let Revealed::Embedding(embedding) = revealed { Some(embedding) } else { None },
            readings: readings.into_iter().map(|Reading { class, start }| (class, start)).collect(),
            attestation: attestation.map(|Attestation { audio, time, signature }| (audio, time, signature)),
        }
    }

    /// The statement with these fields; `None` if a row is not a point. A score takes precedence over an embedding, and that
    /// over activity.
    #[must_use]
    pub fn from_parts(parts: Parts) -> Option<Self> {
        let rows = |rows: Vec<[u8; 32]>| Row::decode_all(rows).ok();
        let recording =
            |(sample_rate, num_samples, named)| Some(AudioCommitment { sample_rate, num_samples, rows: rows(named)? });
        let revealed = match (parts.score, parts.embedding, parts.activity) {
            (Some(score), ..) => Revealed::Score(score),
            (None, Some(embedding), _) => Revealed::Embedding(embedding),
            (None, None, Some(activity)) => Revealed::Activity(activity),
            (None, None, None) => Revealed::Decision,
        };
        let template = Template {
            model: parts.template_model,
            threshold: parts.threshold,
            label: parts.label,
            recordings: parts.recordings.into_iter().map(recording).collect::<Option<_>>()?,
            refuse_replays: parts.refuse_replays,
            rows: rows(parts.template_rows)?,
        };
        Some(Self {
            mode: if parts.zk { Mode::Zk } else { Mode::Clear },
            model: parts.model,
            audio: AudioCommitment {
                sample_rate: parts.sample_rate,
                num_samples: parts.num_samples,
                rows: rows(parts.audio_rows)?,
            },
            template: if parts.template { Some(template) } else { None },
            context: Context::new(parts.context),
            verdict: if parts.accept { Verdict::Accept } else { Verdict::Reject },
            revealed,
            readings: parts.readings.into_iter().map(|(class, start)| Reading { class, start }).collect(),
            attestation: parts.attestation.map(|(audio, time, signature)| Attestation { audio, time, signature }),
        })
    }
}

impl TemplateSecret {
    /// The embedding that the template commits to.
    #[must_use]
    pub fn values(&self) -> &[i16] {
        &self.values
    }
}

impl Proof {
    /// A proof of this statement with this argument, whatever they are.
    #[must_use]
    pub fn from_parts(statement: Statement, argument: Vec<u8>) -> Self {
        Self { statement, argument }
    }

    /// The argument: all messages of the prover.
    #[must_use]
    pub fn argument(&self) -> &[u8] {
        &self.argument
    }
}

/// What a cheating prover made.
#[derive(Clone, Debug)]
pub struct Forged {
    /// The proof.
    pub proof: Proof,
    /// Where the messages are in its argument.
    pub messages: Vec<Message>,
    /// The challenges that were drawn.
    pub tape: Tape,
}

impl ProvingKey {
    /// [`ProvingKey::prove_with`] by a prover who lies.
    ///
    /// The adversary sees every tensor as [`Site::Table`] when it has been computed; everything after it is
    /// computed, committed and counted from what is left there. `edit` changes the statement before it is
    /// absorbed. Nothing is checked: whether the result is a proof is for the verifier to find out.
    ///
    /// # Errors
    /// If the recording cannot be used, or something cannot be computed from a changed table.
    #[allow(clippy::too_many_arguments)] // those of `prove_with`, and the lie
    pub fn prove_adversarially(
        &self,
        wav: &Wav,
        enrolled: (&Template, &TemplateSecret),
        context: &Context,
        (mode, reveal): (Mode, Reveal),
        conditions: &Conditions,
        edit: impl FnOnce(&mut Parts),
        adversary: impl Adversary,
    ) -> Result<Forged, ProveError> {
        let readings = self.model().read_windows(&wav.samples, &[])?;
        self.lie(wav, Some(enrolled), context, (mode, reveal), readings, conditions, edit, adversary)
    }

    /// [`ProvingKey::prove_readings`], in the clear, by a prover who claims these classes for windows with these first
    /// samples, whatever the recording says: otherwise as [`ProvingKey::prove_adversarially`].
    ///
    /// # Errors
    /// If the recording cannot be used, or something cannot be computed from a changed table.
    pub fn claim_readings(
        &self,
        wav: &Wav,
        context: &Context,
        readings: &[(u32, u32)],
        conditions: &Conditions,
        edit: impl FnOnce(&mut Parts),
        adversary: impl Adversary,
    ) -> Result<Forged, ProveError> {
        let readings = readings.iter().map(|&(class, start)| Reading { class, start }).collect();
        self.lie(wav, None, context, (Mode::Clear, Reveal::Decision), readings, conditions, edit, adversary)
    }

    #[allow(clippy::too_many_arguments)] // those of both above
    fn lie(
        &self,
        wav: &Wav,
        enrolled: Option<(&Template, &TemplateSecret)>,
        context: &Context,
        (mode, reveal): (Mode, Reveal),
        readings: Vec<Reading>,
        conditions: &Conditions,
        edit: impl FnOnce(&mut Parts),
        mut adversary: impl Adversary,
    ) -> Result<Forged, ProveError> {
        let score = match (reveal, enrolled) {
            (Reveal::Score, Some((_, secret))) => exact_score(&self.model().embed(&wav.samples)?, &secret.values),
            _ => None,
        };
        let num_samples = wav.samples.len() as u32;
        let places = |(template, _): (&Template, _)| template.replays(num_samples).map(|(place, _)| place).collect();
        let replays: Vec<usize> = enrolled.map_or_else(Vec::new, places);
        let embedding = reveal == Reveal::Embedding;
        let threshold = enrolled.map(|(template, _)| template.threshold);
        let activity = reveal == Reveal::Decision && self.model().spec().activity().is_some();
        let tail = Tail { threshold, score, embedding, activity, replays: replays.len(), readings: readings.clone() };
        let lowered = self.model().spec().lower(wav.samples.len(), &tail)?;
        let samples = |samples: &[i16]| Arc::new(samples_table(&lowered.program, samples));
        let mut inputs = vec![samples(&wav.samples)];
        if let Some((_, secret)) = enrolled {
            inputs.push(Arc::new(template_table(&secret.values)));
            inputs.extend(replays.iter().map(|&place| samples(&secret.samples[place])));
        }
        let constants = self.model().constants();
        let trace = Trace::run_tampered(&lowered.program, &lowered.recipes, &inputs, constants, &mut |name, table| {
            adversary.visit(Site::Table { name, table });
        })
        .map_err(crate::error::ModelError::from)?;

        let commit = |(id, blinds): (TensorId, &Blinds)| {
            let mut commitment = Hyrax::commit(self.pcs(), trace.get(id), lowered.program.width_vars(id));
            Hyrax::blind(self.pcs(), &mut commitment, blinds);
            files::rows(&commitment)
        };
        let audio_blinds = match mode {
            Mode::Zk => Blinds::random(wav.samples.len().div_ceil(1 << SHARED_WIDTH_VARS))?,
            Mode::Clear => Blinds::none(),
        };
        let mut blinds = vec![audio_blinds];
        if let Some((_, secret)) = enrolled {
            blinds.push(secret.blinds.clone());
            blinds.extend(replays.iter().map(|&place| secret.recordings[place].blinds.clone()));
        }
        let committed: Vec<Vec<Row>> = lowered.program.inputs().into_iter().zip(&blinds).map(commit).collect();
        let mut rows = committed.iter();
        let mut next = || rows.next().cloned().ok_or_else(|| ProveError::Mismatch("an input has no rows".into()));
        let audio = AudioCommitment { sample_rate: wav.sample_rate, num_samples, rows: next()? };
        let mut template = enrolled.map(|(template, _)| template.clone());
        if let Some(template) = &mut template {
            template.rows = next()?;
            for &place in &replays {
                template.recordings[place].rows = next()?;
            }
        }
        let embedding = integers(trace.get(lowered.embedding));
        let shown = lowered.program.outputs().first().map(|&id| trace.get(id));
        let accept = enrolled.is_none() || shown.is_none_or(|bit| bit.get(0, 0) == 1);
        let active = || shown.map_or_else(Vec::new, |bits| bits.values().iter().map(|bit| bit == 1).collect());
        let mut parts = Statement {
            mode,
            model: self.verifying_key().model,
            audio,
            template,
            context: context.clone(),
            verdict: if accept { Verdict::Accept } else { Verdict::Reject },
            revealed: match (reveal, score) {
                (Reveal::Score, Some(score)) => Revealed::Score(score),
                (Reveal::Embedding, _) => Revealed::Embedding(embedding),
                _ if activity => Revealed::Activity(active()),
                _ => Revealed::Decision,
            },
            readings,
            attestation: None,
        }
        .parts();
        edit(&mut parts);
        let statement = Statement::from_parts(parts)
            .ok_or_else(|| ProveError::Mismatch("a row of the changed statement is not a point".into()))?;

        // Rows of another number cannot be opened: then the argument is for the true ones.
        let mut inputs = statement.input_commitments();
        for (input, rows) in inputs.iter_mut().zip(&committed).filter(|(input, rows)| input.rows.len() != rows.len()) {
            *input = files::commitment(SHARED_WIDTH_VARS, rows);
        }
        let inputs: Vec<&Commitment> = inputs.iter().collect();
        let constants = self
            .verifying_key()
            .program_constants(&lowered.program)
            .map_err(|error| ProveError::Mismatch(error.to_string()))?;
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let outputs = statement.outputs(self.model().spec().first.columns as usize);
        let mut channel = TamperingProver::new(PROTOCOL, conditions, adversary);
        self.verifying_key().absorb(&statement, |label, bytes| channel.absorb_statement(label, bytes));
        let outputs = outputs.iter().collect::<Vec<_>>();
        let (program, constants) = (&lowered.program, self.constant_blinds(&lowered.program));
        let witness = Witness::new(&trace).hidden_by(PublicBlinds { inputs: &blinds, constants: &constants });
        let channel = match mode {
            Mode::Clear => {
                prover::prove_claiming::<Hyrax, _>(self.pcs(), program, witness, &outputs, &public, &mut channel);
                channel
            }
            Mode::Zk => {
                let mut channel = HidingProver::new(channel, self.pcs(), program.max_width_vars())?;
                prover::prove_claiming::<Hyrax, _>(self.pcs(), program, witness, &outputs, &public, &mut channel);
                channel.into_inner()
            }
        };
        let (argument, messages, tape) = channel.into_parts();
        Ok(Forged { proof: Proof { statement, argument }, messages, tape })
    }
}

impl VerifyingKey {
    /// [`VerifyingKey::verify`] under other conditions.
    ///
    /// # Errors
    /// If a check that is made fails.
    pub fn verify_under(
        &self,
        statement: &Statement,
        proof: &Proof,
        conditions: &Conditions,
    ) -> Result<Verdict, VerifyError> {
        let (verifier, _) = conditions.verifier(PROTOCOL, &proof.argument);
        self.verify_over(statement, proof, verifier)
    }

    /// What a verifier would find in this proof.
    pub fn probe(
        &self,
        statement: &Statement,
        proof: &Proof,
        conditions: &Conditions,
    ) -> (Result<Verdict, VerifyError>, ProbeLog) {
        probe(PROTOCOL, &proof.argument, conditions, true, |verifier| self.verify_over(statement, proof, verifier))
    }

    /// [`forge`](super::forge) for proofs of voices: repairs the argument of a proof until its own statement
    /// is accepted under `conditions`.
    ///
    /// # Errors
    /// If it cannot be repaired.
    pub fn forge(&self, proof: &Proof, conditions: &Conditions) -> Result<Proof, super::ForgeError> {
        let run = |verifier: Probe<'_>| self.verify_over(&proof.statement, proof, verifier).map(|_| ());
        let argument = super::forge(PROTOCOL, proof.argument.clone(), conditions, &BTreeSet::new(), run)?;
        Ok(Proof { statement: proof.statement.clone(), argument })
    }
}
