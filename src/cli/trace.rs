//! Stages of a command as a Chrome trace (`chrome://tracing`, Perfetto).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Named intervals of time since the start of the program.
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    events: Vec<(String, Duration, Duration)>,
}

impl Trace {
    /// An empty trace that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now(), events: Vec::new() }
    }

    /// Adds an interval.
    pub fn add(&mut self, name: &str, start: Instant, duration: Duration) {
        self.events.push((name.to_owned(), start.saturating_duration_since(self.start), duration));
    }

    /// The trace as JSON: complete events, times in microseconds.
    pub fn to_json(&self) -> Value {
        let event = |(name, start, duration): &(String, Duration, Duration)| {
            json!({
                "name": name, "ph": "X", "pid": 1, "tid": 1,
                "ts": start.as_secs_f64() * 1e6, "dur": duration.as_secs_f64() * 1e6,
            })
        };
        json!({"displayTimeUnit": "ms", "traceEvents": self.events.iter().map(event).collect::<Vec<_>>()})
    }
}
