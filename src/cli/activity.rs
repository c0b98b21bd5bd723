//! Which chunks of a recording are active, as a proof says it.

use serde_json::{Value, json};
use voxcheck::model::Spec;
use voxcheck::proof::Statement;

/// Chunks of a recording, active or not.
pub struct Activity<'a> {
    active: &'a [bool],
    /// Seconds of a chunk, if the model is at hand.
    seconds: Option<f64>,
}

/// Runs of active chunks that `text` names one by one.
const NAMED: usize = 6;

impl<'a> Activity<'a> {
    /// What a statement says, if it is about activity.
    pub fn of(statement: &'a Statement, spec: Option<&Spec>) -> Option<Self> {
        let chunk = |spec: &Spec| {
            let samples = spec.first.features.front_end.chunks().map(|chunks| chunks.samples as f64);
            samples.map(|samples| samples / f64::from(spec.sample_rate()))
        };
        Some(Self { active: statement.activity()?, seconds: spec.and_then(chunk) })
    }

    fn count(&self) -> usize {
        self.active.iter().filter(|&&active| active).count()
    }

    /// First chunk of every run of active ones, and the first after it.
    fn runs(&self) -> Vec<(usize, usize)> {
        let mut next = 0;
        let runs = self.active.chunk_by(|a, b| a == b).map(|run| {
            let start = next;
            next += run.len();
            (start, next)
        });
        runs.filter(|&(start, _)| self.active.get(start).is_some_and(|&active| active)).collect()
    }

    /// As a JSON value.
    pub fn json(&self) -> Value {
        let seconds = |chunk: usize| self.seconds.map(|seconds| chunk as f64 * seconds);
        let run = |(start, end): (usize, usize)| json!({"start": start, "end": end, "start_seconds": seconds(start), "end_seconds": seconds(end)});
        json!({
            "chunks": self.active.len(),
            "active": self.count(),
            "active_seconds": seconds(self.count()),
            "segments": self.runs().into_iter().map(run).collect::<Vec<_>>(),
        })
    }

    /// As a line of text.
    pub fn text(&self) -> String {
        let (count, all, runs) = (self.count(), self.active.len(), self.runs());
        let run = |&(start, end): &(usize, usize)| match self.seconds {
            Some(seconds) => format!("{:.2}-{:.2} s", start as f64 * seconds, end as f64 * seconds),
            None => format!("chunks {start}-{end}"),
        };
        let mut named: Vec<String> = runs.iter().take(NAMED).map(run).collect();
        if runs.len() > NAMED {
            named.push(format!("and {} more", runs.len() - NAMED));
        }
        let named = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        format!("  active     {count} of {all} chunks{named}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_those_of_active_chunks() {
        let runs = |active: &[bool]| Activity { active, seconds: None }.runs();
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[false, false]), []);
        assert_eq!(runs(&[true]), [(0, 1)]);
        assert_eq!(runs(&[true, true, false, true, false, false, true]), [(0, 2), (3, 4), (6, 7)]);
    }

    #[test]
    fn text_and_json_say_the_same() {
        let activity = Activity { active: &[false, true, true, false], seconds: Some(0.5) };
        assert_eq!(activity.text(), "  active     2 of 4 chunks: 0.50-1.50 s\n");
        let json = activity.json();
        assert_eq!((&json["active"], &json["chunks"], &json["active_seconds"]), (&json!(2), &json!(4), &json!(1.0)));
        assert_eq!(json["segments"], json!([{"start": 1, "end": 3, "start_seconds": 0.5, "end_seconds": 1.5}]));
        let long = Activity { active: &[true, false].repeat(20), seconds: None }.text();
        assert!(long.ends_with("chunks 10-11, and 14 more\n"), "{long}");
    }
}
