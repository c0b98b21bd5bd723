//! What a verifier demands of a statement, before anything is verified.

use std::fmt;

use thiserror::Error;

use super::VerifyingKey;
use crate::model::{Classifier, Spec};
use crate::revocation::RevocationList;
use crate::statement::{AudioCommitment, Context, Id, Statement, Template};

/// What a verifier demands of a statement.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The template that the proof must be against; none for a model that is about no voice.
    pub template: Option<&'a Template>,
    /// The context that the proof must be for.
    pub context: &'a Context,
    /// The recording that the proof must be about, if it is known.
    pub audio: Option<&'a AudioCommitment>,
    /// A threshold that the template's must reach.
    pub min_threshold: Option<f64>,
    /// What the recording must say.
    pub says: &'a [Said],
    /// Seconds of the recording that must be active, at least.
    pub min_active: Option<f64>,
    /// Whether the template must be one that refuses replays.
    pub no_replays: bool,
    /// Templates that are no longer accepted.
    pub revoked: Option<&'a RevocationList>,
}

impl<'a> Expected<'a> {
    /// This template and this context, and nothing else.
    #[must_use]
    pub fn new(template: &'a Template, context: &'a Context) -> Self {
        Self { template: Some(template), ..Self::without_template(context) }
    }

    /// No template, this context, and nothing else: of a model that is about no voice.
    #[must_use]
    pub fn without_template(context: &'a Context) -> Self {
        Self {
            template: None,
            context,
            audio: None,
            min_threshold: None,
            says: &[],
            min_active: None,
            no_replays: false,
            revoked: None,
        }
    }
}

/// What a recording must say: a label of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The reading's name; none if the model has only one.
    pub reading: Option<String>,
    /// The label.
    pub label: String,
}

impl Said {
    /// `LABEL`, or `READING=LABEL`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((reading, label)) => Self { reading: Some(reading.into()), label: label.into() },
            None => Self { reading: None, label: text.into() },
        }
    }

    /// The reading of a model that this is about, and its number.
    #[must_use]
    pub fn of<'a>(&self, spec: &'a Spec) -> Option<(usize, Classifier<'a>)> {
        let mut readings = spec.readings().enumerate();
        match &self.reading {
            Some(name) => readings.find(|(_, reading)| reading.branch.name == *name),
            None => readings.next().filter(|_| readings.next().is_none()),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reading {
            Some(reading) => write!(f, "{reading}={}", self.label),
            None => f.write_str(&self.label),
        }
    }
}

/// A statement other than the one demanded.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the proof is about another {field}: {found} instead of {expected}")]
pub struct StatementMismatch {
    /// `model`, `template`, `context`, `threshold`, `audio`, `reading`, `activity`, `replays`, `revocation` or `attestation`.
    pub field: &'static str,
    /// What was demanded.
    pub expected: String,
    /// What the proof names.
    pub found: String,
}

impl VerifyingKey {
    /// The seconds of all active chunks, of a statement that says which are.
    fn active_seconds(&self, statement: &Statement) -> Option<f64> {
        let chunk = self.spec.first.features.front_end.chunks()?.samples;
        let active = statement.activity()?.iter().filter(|&&active| active).count();
        Some((active * chunk) as f64 / f64::from(self.spec.sample_rate()))
    }

    /// Compares what a proof claims with what is demanded; cheap, and says nothing about the proof.
    pub fn check_statement(&self, statement: &Statement, expected: &Expected<'_>) -> Result<(), StatementMismatch> {
        let demand = |field: &'static str, equal: bool, expected: String, found: String| {
            if equal { Ok(()) } else { Err(StatementMismatch { field, expected, found }) }
        };
        let ids = |a: Id, b: Id| (a == b, a.to_string(), b.to_string());
        let (equal, wanted, found) = ids(self.model_id(), statement.model_id());
        demand("model", equal, wanted, found)?;
        let name = |id: Option<Id>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let (wanted, found) = (expected.template.map(Template::id), statement.template_id());
        demand("template", wanted == found, name(wanted), name(found))?;
        let context = (hex::encode(expected.context.bytes()), hex::encode(statement.context.bytes()));
        demand("context", context.0 == context.1, context.0, context.1)?;
        if let Some(audio) = expected.audio {
            let (equal, wanted, found) = ids(audio.id(), statement.audio_id());
            demand("audio", equal, wanted, found)?;
        }
        if let Some(least) = expected.min_threshold {
            let found = statement.threshold();
            let text = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            demand("threshold", found.is_some_and(|found| found >= least), format!("at least {least}"), text)?;
        }
        for said in expected.says {
            let found = said.of(&self.spec).and_then(|(number, reading)| {
                statement.readings.get(number).and_then(|shown| reading.label(shown.class))
            });
            let text = found.unwrap_or("no such reading").to_owned();
            demand("reading", found == Some(&said.label), said.to_string(), text)?;
        }
        if let Some(least) = expected.min_active {
            let found = self.active_seconds(statement);
            let text = found.map_or_else(|| "no activity".to_owned(), |found| format!("{found:.3} s"));
            demand("activity", found.is_some_and(|found| found >= least), format!("at least {least} s"), text)?;
        }
        if expected.no_replays {
            let refuses = statement.template.as_ref().is_some_and(Template::refuses_replays);
            demand("replays", refuses, "a template that refuses replays".into(), "one that does not".into())?;
        }
        if let Some(revoked) = expected.revoked {
            let found = statement.template_id();
            demand(
                "revocation",
                !found.is_some_and(|id| revoked.contains(id)),
                "a template that was not revoked".into(),
                name(found),
            )?;
        }
        Ok(())
    }
}
