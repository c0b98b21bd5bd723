//! What every command shares: how to report progress, warnings, stages and the result.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::error::{CliError, exit};
use super::trace::Trace;

/// Result of a command, printed in one place.
#[derive(Debug)]
pub struct Outcome {
    /// The verb of the schema, `voxcheck.VERB/1`.
    pub verb: &'static str,
    /// Exit status, see [`exit`].
    pub exit: u8,
    /// Fields of the JSON object.
    pub fields: Map<String, Value>,
    /// The same for people.
    pub text: String,
}

impl Outcome {
    /// A success with the fields of a JSON object.
    pub fn new(verb: &'static str, fields: Value, text: impl Into<String>) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            other => Map::from_iter([("result".to_owned(), other)]),
        };
        Self { verb, exit: exit::SUCCESS, fields, text: text.into() }
    }
}

/// Where a command reports to.
#[derive(Debug)]
pub struct Console {
    /// One JSON object instead of text.
    pub json: bool,
    /// Neither progress nor warnings on stderr.
    pub quiet: bool,
    /// Colour on stdout.
    pub color: bool,
    /// Whether outputs may replace files.
    pub force: bool,
    /// Whether an output went to stdout, so that the result must not.
    pub stdout_taken: bool,
    /// Files written so far, so that one output does not replace another.
    pub written: Vec<PathBuf>,
    /// Collected for the JSON object.
    pub warnings: Vec<String>,
    /// Stages so far.
    pub trace: Trace,
    /// Where the trace goes.
    pub profile: Option<PathBuf>,
}

impl Console {
    /// Tells the user about something that is not an error.
    pub fn warn(&mut self, message: impl Into<String>) {
        let message = message.into();
        if !self.json && !self.quiet {
            let _ = writeln!(io::stderr(), "warning: {message}");
        }
        self.warnings.push(message);
    }

    /// Shows that something takes time, on a terminal only, until the value is dropped.
    pub fn progress(&self, message: impl Into<String>) -> Progress {
        if self.quiet || !io::stderr().is_terminal() {
            return Progress(None);
        }
        let bar = ProgressBar::new_spinner().with_message(message.into());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(Some(bar))
    }

    /// Runs one stage under its name: progress, and an entry in the trace.
    pub fn stage<T>(&mut self, name: &str, run: impl FnOnce(&mut Self) -> T) -> (T, Duration) {
        let progress = self.progress(name);
        let start = Instant::now();
        let result = run(self);
        let elapsed = start.elapsed();
        drop(progress);
        tracing::info!(stage = name, ms = millis(elapsed));
        self.trace.add(name, start, elapsed);
        (result, elapsed)
    }

    /// A decision for people.
    pub fn decision(&self, decision: &str) -> String {
        let colour = match decision {
            "accept" => "32",
            "reject" => "33",
            _ => "31",
        };
        let word = decision.to_uppercase();
        if self.color && !self.json { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word }
    }

    /// Prints a result; returns the exit status.
    pub fn print(&self, outcome: &Outcome) -> u8 {
        let text = if self.json {
            let mut object = header(outcome.verb);
            object.extend(outcome.fields.clone());
            object.insert("warnings".into(), json!(self.warnings));
            Value::Object(object).to_string()
        } else {
            outcome.text.trim_end().to_owned()
        };
        match (text.is_empty(), self.stdout_taken) {
            (true, _) => outcome.exit,
            (_, true) => {
                let _ = writeln!(io::stderr(), "{text}");
                outcome.exit
            }
            _ => print_stdout(&text, outcome.exit),
        }
    }

    /// Prints an error; returns the exit status.
    pub fn print_error(&self, error: &CliError) -> u8 {
        print_error(error, self.json && !self.stdout_taken, &self.warnings)
    }
}

/// `schema` and `version`, which every JSON object begins with.
fn header(verb: &str) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("schema".into(), json!(format!("voxcheck.{verb}/1")));
    object.insert("version".into(), json!(env!("CARGO_PKG_VERSION")));
    object
}

/// Prints an error as JSON on stdout or as text on stderr; returns the exit status.
pub fn print_error(error: &CliError, json: bool, warnings: &[String]) -> u8 {
    if json {
        let mut object = header("error");
        object.insert("code".into(), json!(error.code));
        object.insert("message".into(), json!(error.message));
        object.insert("help".into(), json!(error.help));
        object.insert("warnings".into(), json!(warnings));
        return print_stdout(&Value::Object(object).to_string(), error.exit);
    }
    let mut text = format!("error[{}]: {}", error.code, error.message);
    if !error.help.is_empty() {
        text = format!("{text}\n  help: {}", error.help);
    }
    let _ = writeln!(io::stderr(), "{text}");
    error.exit
}

/// Prints to stdout; returns the exit status.
fn print_stdout(text: &str, status: u8) -> u8 {
    let mut stdout = io::stdout().lock();
    let result = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    drop(stdout);
    written(result, status)
}

/// The exit status after printing to stdout. A reader that went away is no error: the exit status still tells
/// the result.
pub fn written(result: io::Result<()>, status: u8) -> u8 {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error[E-WRITE]: cannot write to stdout: {error}");
            exit::CANNOT_WRITE
        }
        _ => status,
    }
}

/// A running progress display.
#[must_use]
pub struct Progress(Option<ProgressBar>);

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Milliseconds with three decimals.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A number of bytes for people.
pub fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// A duration for people.
pub fn human_time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1e3) }
}
