//! Running the program of a proof.

use std::sync::Arc;

use super::{ProveError, ProveOptions, ProvingKey, Reveal, Template, TemplateSecret, Verdict, template_table};
use crate::audio::wav::Wav;
use crate::error::ModelError;
use crate::gkr::trace::Trace;
use crate::model::{Lowered, Tail, integers, samples_table, samples_tables};

/// A program that was run.
pub(super) struct Run {
    pub(super) lowered: Lowered,
    pub(super) trace: Trace,
    pub(super) embedding: Vec<i64>,
    /// Which chunks are active, if that is shown.
    pub(super) activity: Vec<bool>,
    pub(super) verdict: Verdict,
    pub(super) tail: Tail,
}

/// What a recording is compared with.
pub(super) type Enrolled<'a> = (&'a Template, &'a TemplateSecret);

impl ProvingKey {
    /// What is to be shown of a recording, but for its score.
    pub(super) fn tail(
        &self,
        wav: &Wav,
        enrolled: Option<Enrolled<'_>>,
        options: &ProveOptions<'_>,
    ) -> Result<Tail, ProveError> {
        let replays = match enrolled {
            Some((template, secret)) => replayed(wav, template, secret)?.len(),
            None => 0,
        };
        Ok(Tail {
            threshold: enrolled.map(|(template, _)| template.threshold),
            score: None,
            embedding: options.reveal == Reveal::Embedding,
            activity: options.reveal == Reveal::Decision && self.model.spec().activity().is_some(),
            replays,
            readings: self.model.read_windows(&wav.samples, options.windows)?,
        })
    }

    pub(super) fn run(&self, wav: &Wav, enrolled: Option<Enrolled<'_>>, tail: Tail) -> Result<Run, ProveError> {
        let lowered = self.model.spec().lower(wav.samples.len(), &tail)?;
        let program = &lowered.program;
        let mut inputs = samples_tables(program, &[&wav.samples]);
        if let Some((template, secret)) = enrolled {
            inputs.push(Arc::new(template_table(&secret.values)));
            let replays = replayed(wav, template, secret)?;
            inputs.extend(replays.into_iter().map(|(_, samples)| Arc::new(samples_table(program, samples))));
        }
        let (constants, kept) = (self.model.constants(), [lowered.embedding]);
        let trace = Trace::run_keeping(&lowered.program, &lowered.recipes, &inputs, constants, &kept)
            .map_err(ModelError::from)?;
        let (mut embedding, mut activity, mut verdict) = (Vec::new(), Vec::new(), Verdict::Accept);
        if enrolled.is_some() || tail.embedding || tail.activity {
            embedding = integers(trace.get(lowered.embedding));
        }
        let shown = lowered.program.outputs().first().map(|&id| trace.get(id));
        if enrolled.is_some() {
            let accept = shown.map_or(0, |bit| bit.get(0, 0));
            verdict = if accept == 1 { Verdict::Accept } else { Verdict::Reject };
        }
        if tail.activity {
            activity = shown.map_or_else(Vec::new, |bits| bits.values().iter().map(|bit| bit == 1).collect());
        }
        Ok(Run { lowered, trace, embedding, activity, verdict, tail })
    }
}

/// The enrolled recordings that a proof has to show its own to be none of, and their places.
fn replayed<'a>(
    wav: &Wav,
    template: &Template,
    secret: &'a TemplateSecret,
) -> Result<Vec<(usize, &'a [i16])>, ProveError> {
    let length = u32::try_from(wav.samples.len()).unwrap_or(u32::MAX);
    let samples = |place: usize| secret.samples.get(place).map(Vec::as_slice).filter(|s| s.len() == wav.samples.len());
    let misfit = || ProveError::Mismatch("the secret does not have the recordings that the template names".into());
    let mut replays = Vec::new();
    for (place, _) in template.replays(length) {
        let enrolled = samples(place).ok_or_else(misfit)?;
        if enrolled == wav.samples {
            return Err(ProveError::Mismatch("this recording was enrolled with; say it again".into()));
        }
        replays.push((place, enrolled));
    }
    Ok(replays)
}
