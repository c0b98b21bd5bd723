//! The command line: arguments → library calls → one result and an exit status. A file per verb.

mod activity;
#[cfg(feature = "attest")]
mod attest;
mod bench;
mod commit;
mod common;
mod completions;
mod console;
mod demo;
mod embed;
mod enrol;
mod error;
mod eval;
mod files;
mod inspect;
mod machine;
mod memory;
mod metrics;
mod model;
mod network;
mod npy;
mod private_key;
mod prove;
mod resample;
mod setup;
mod signals;
mod similarity;
mod soundness;
mod threshold;
mod trace;
mod trials;
mod verify;

use std::io::IsTerminal;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use self::console::{Console, Outcome, print_error};
use self::error::{CliError, Result, exit};
use self::trace::Trace;

/// Prove that a voice embedding was computed correctly, from the samples of a WAV to the decision.
#[derive(Debug, Parser)]
#[command(name = "voxcheck", version, propagate_version = true, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 success or ACCEPT, 1 REJECT, 2 usage, 3 INVALID proof, 4 a proof of \
another statement, 65 bad input data, 66 input missing, 70 internal error, 73 cannot \
write, 74 cannot read, 75 over the memory budget. Start with: voxcheck demo";

/// Options of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Neither progress nor warnings on stderr
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log more (-v information, -vv debugging); VOXCHECK_LOG takes a filter
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: When,
    /// Threads to use [default: RAYON_NUM_THREADS, or one a core]
    #[arg(long, global = true, value_name = "N", env = "VOXCHECK_THREADS", hide_env_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Write the stages as a Chrome trace
    #[arg(long, global = true, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Overwrite output files
    #[arg(long, global = true)]
    force: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    #[command(visible_alias = "enroll")]
    Enrol(enrol::Args),
    Prove(prove::Args),
    Verify(verify::Args),
    Commit(commit::Args),
    Embed(embed::Args),
    Similarity(similarity::Args),
    Eval(eval::Args),
    Threshold(threshold::Args),
    Inspect(inspect::Args),
    Bench(bench::Args),
    Setup(setup::Args),
    /// Import, check, estimate and list models
    #[command(subcommand)]
    Model(model::Command),
    #[cfg(feature = "attest")]
    #[command(subcommand)]
    Attest(attest::Command),
    /// Prepare recordings; never part of a proof
    #[command(subcommand)]
    Wav(resample::Command),
    Completions(completions::Args),
    Man(completions::ManArgs),
}

impl Command {
    fn run(&self, console: &mut Console) -> Result<Outcome> {
        match self {
            Self::Demo(args) => demo::run(args, console),
            Self::Enrol(args) => enrol::run(args, console),
            Self::Prove(args) => prove::run(args, console),
            Self::Verify(args) => verify::run(args, console),
            Self::Commit(args) => commit::run(args, console),
            Self::Embed(args) => embed::run(args, console),
            Self::Similarity(args) => similarity::run(args, console),
            Self::Eval(args) => eval::run(args, console),
            Self::Threshold(args) => threshold::run(args, console),
            Self::Inspect(args) => inspect::run(args, console),
            Self::Bench(args) => bench::run(args, console),
            Self::Setup(args) => setup::run(args, console),
            #[cfg(feature = "attest")]
            Self::Attest(command) => attest::run(command, console),
            Self::Model(command) => model::run(command, console),
            Self::Wav(command) => resample::run(command, console),
            Self::Completions(args) => completions::run(args),
            Self::Man(args) => completions::man(args, console),
        }
    }
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    install_panic_hook();
    signals::install();
    let json = std::env::args_os().skip(1).take_while(|a| a != "--").any(|a| a == "--json");
    // Parsing and printing are inside, too: nothing may end in the exit status of a panic.
    let status = panic::catch_unwind(AssertUnwindSafe(|| parse_and_run(json))).unwrap_or_else(|_| {
        print_error(&CliError::internal(take_panic_message()), json, &[]) //
    });
    ExitCode::from(status)
}

fn parse_and_run(json: bool) -> u8 {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) if json && error.use_stderr() => return print_error(&usage_error(&error), true, &[]),
        Err(error) if error.use_stderr() => {
            let _ = error.print();
            return exit::USAGE;
        }
        Err(help) => return console::written(help.print(), exit::SUCCESS),
    };
    let Cli { global, command } = cli;
    let trace = Trace::new();
    start_logging(&global, &trace);
    let mut console = Console {
        json: global.json,
        quiet: global.quiet,
        color: use_color(global.color),
        force: global.force,
        stdout_taken: false,
        written: Vec::new(),
        warnings: Vec::new(),
        trace,
        profile: global.profile,
    };
    let result = start_threads(global.threads).and_then(|()| run_command(&command, &mut console));
    match result {
        Ok(outcome) => console.print(&outcome),
        Err(error) => console.print_error(&error),
    }
}

/// Runs a command and writes its trace.
fn run_command(command: &Command, console: &mut Console) -> Result<Outcome> {
    if let Some(path) = &console.profile {
        files::check_output(console, path)?;
    }
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| command.run(console)))
        .unwrap_or_else(|_| Err(CliError::internal(take_panic_message())))?;
    if let Some(path) = console.profile.clone() {
        let trace = console.trace.to_json().to_string();
        files::write(console, &path, trace.as_bytes(), files::Access::Public)?;
    }
    Ok(outcome)
}

fn parse() -> std::result::Result<Cli, clap::Error> {
    // Help and errors are printed while parsing, before the option is known.
    let arguments: Vec<_> = std::env::args_os().collect();
    let asked = |when: &str| {
        arguments.iter().any(|a| a.to_str() == Some(&format!("--color={when}")))
            || arguments.windows(2).any(|pair| pair[0] == "--color" && pair[1] == when)
    };
    let choice = match (asked("always"), asked("never")) {
        (true, _) => ColorChoice::Always,
        (_, true) => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    Cli::from_arg_matches(&Cli::command().color(choice).try_get_matches()?)
}

/// What clap found wrong, as one of our errors.
fn usage_error(error: &clap::Error) -> CliError {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (message, help) = text.split_once("\n\n").unwrap_or((text, ""));
    CliError::usage(message.trim(), help.trim())
}

fn use_color(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

/// Logs to stderr what the filter lets through, and records spans if a trace was asked for.
fn start_logging(global: &Global, trace: &Trace) {
    let default = match (global.quiet, global.verbose) {
        (true, _) => "off",
        (_, 0) => "warn",
        (_, 1) => "info",
        _ => "debug",
    };
    let filter = match std::env::var("VOXCHECK_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(default)),
        _ => EnvFilter::new(default),
    };
    let color = match global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(color).with_filter(filter);
    let spans = global.profile.is_some().then(|| trace.clone().with_filter(Targets::new().with_default(Level::TRACE)));
    let _ = tracing_subscriber::registry().with(log).with(spans).try_init();
}

fn start_threads(threads: Option<u16>) -> Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global();
    pool.map_err(|error| CliError::internal(format!("cannot start {threads} threads: {error}")))
}

/// What the last panic said.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Replaces the message and backtrace of a panic by one line, printed when it has reached the top.
fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
        let text = text.lines().collect::<Vec<_>>().join(" ");
        let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        // The first panic is the cause; others may follow from it.
        PANIC.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(format!("{text}{place}"));
    }));
}

fn take_panic_message() -> String {
    let message = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
    message.unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        Cli::command().debug_assert();
    }
}
