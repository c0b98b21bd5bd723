//! Stages of a command, and what they consist of, as a Chrome trace (`chrome://tracing`, Perfetto).
//!
//! Commands add their stages; inside them the library opens spans, which are recorded if a trace was asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// A named interval of time.
#[derive(Debug)]
struct Event {
    name: String,
    start: Instant,
    duration: Duration,
}

/// Named intervals of time since the start of the program.
#[derive(Clone, Debug)]
pub struct Trace {
    start: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Trace {
    /// An empty trace that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now(), events: Arc::default() }
    }

    /// Adds an interval.
    pub fn add(&self, name: &str, start: Instant, duration: Duration) {
        let event = Event { name: name.to_owned(), start, duration };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// The trace as JSON: complete events, times in microseconds.
    pub fn to_json(&self) -> Value {
        let event = |event: &Event| {
            json!({
                "name": event.name, "ph": "X", "pid": 1, "tid": 1,
                "ts": event.start.saturating_duration_since(self.start).as_secs_f64() * 1e6,
                "dur": event.duration.as_secs_f64() * 1e6,
            })
        };
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"displayTimeUnit": "ms", "traceEvents": events.iter().map(event).collect::<Vec<_>>()})
    }
}

/// When a span began.
struct Started(Instant);

/// Records the library's spans.
impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Started(Instant::now()));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        if let Some(Started(start)) = span.extensions().get::<Started>() {
            self.add(span.name(), *start, start.elapsed());
        }
    }
}
