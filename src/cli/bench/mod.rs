//! `bench`: end-to-end figures of the shipped code.
//!
//! A workload prepares everything that is not measured, then runs as often as asked. Adding one is
//! a type that implements [`Workload`] and a line in [`registry`].

mod commit;
mod ecapa;
mod features;
mod lookup;
mod networks;
mod random_network;
mod rawnet;
mod sumcheck;
mod tensor_program;
mod voice;

use std::process::Command as Process;
use std::time::Duration;

use serde_json::{Value, json};
use voxcheck::proof::{Mode, Stages};

use super::console::{Console, Outcome, human_bytes, millis};
use super::error::{CliError, Result};
use super::machine;

/// Measure the shipped code: prove, verify, sizes and memory of named workloads
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Workloads [default: all]
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
    /// How often each one runs
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Make proofs that hide nothing
    #[arg(long)]
    clear: bool,
    /// List the workloads
    #[arg(long)]
    list: bool,
}

/// Something to measure.
pub trait Workload {
    /// Name on the command line; it says the shape.
    fn name(&self) -> &'static str;
    /// What it is, in a few words.
    fn about(&self) -> &'static str;
    /// Everything that is not measured.
    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip>;
}

/// A workload that is ready to run.
pub trait Prepared {
    /// Runs once, hiding what it proves or not. What only measures a part has no mode.
    fn run(&mut self, mode: Mode) -> Result<Measurement>;
}

/// Why a workload did not run.
pub enum Skip {
    /// Files are missing; says which.
    NoData(String),
    /// Preparing failed.
    Failed(CliError),
}

impl From<CliError> for Skip {
    fn from(error: CliError) -> Self {
        Self::Failed(error)
    }
}

/// One run.
#[derive(Clone, Debug, Default)]
pub struct Measurement {
    /// From prepared inputs to proof bytes.
    pub prove: Duration,
    /// From proof bytes to the verdict.
    pub verify: Duration,
    /// The part of `prove` that runs the program.
    pub execute: Option<Duration>,
    /// The parts of `prove`.
    pub stages: Option<Stages>,
    /// Size of the proof.
    pub proof_bytes: usize,
    /// Looked-up tuples.
    pub lookups: Option<u64>,
    /// Committed integers.
    pub committed_values: Option<u64>,
    /// Multiply-accumulates.
    pub macs: Option<u64>,
    /// Marginal cost: difference of two sizes.
    pub ns_per_lookup: Option<f64>,
    /// Marginal cost: difference of two sizes.
    pub ns_per_committed_byte: Option<f64>,
}

/// Names and times of stages, in order.
fn named(stages: &Stages) -> [(&'static str, Duration); 6] {
    let &Stages { execute, commit, lookup, waves, open, zk } = stages;
    [("execute", execute), ("commit", commit), ("lookup", lookup), ("waves", waves), ("open", open), ("zk", zk)]
}

/// All workloads.
fn registry() -> Vec<Box<dyn Workload>> {
    vec![
        Box::new(sumcheck::Products::<2> { name: "sumcheck-prod2-20" }),
        Box::new(sumcheck::Products::<3> { name: "sumcheck-prod3-20" }),
        Box::new(lookup::Lookup),
        Box::new(commit::Commit),
        Box::new(networks::DENSE),
        Box::new(networks::CNN),
        Box::new(networks::LENET5),
        Box::new(networks::VGG11),
        Box::new(networks::VGG16),
        Box::new(networks::Gpt2Layer),
        Box::new(features::LogMel),
        Box::new(voice::XVECTOR_SMALL),
        Box::new(voice::GE2E),
        Box::new(voice::XVECTOR),
        Box::new(voice::ECAPA_SMALL),
        Box::new(voice::ECAPA_512),
        Box::new(voice::RAWNET3),
    ]
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let registry = registry();
    if args.list {
        return Ok(list(&registry));
    }
    let chosen = choose(args, &registry)?;
    let mode = if args.clear { Mode::Clear } else { Mode::Zk };
    let (mut results, mut skipped, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for workload in chosen {
        match measure(workload, mode, args.repeat, console)? {
            Ok((result, line)) => {
                results.push(result);
                lines.push(line);
            }
            Err(reason) => {
                console.warn(format!("{} skipped: {reason}", workload.name()));
                skipped.push(json!({"workload": workload.name(), "reason": reason}));
            }
        }
    }
    let fields = json!({
        "machine": machine::describe(),
        "commit": commit_id(),
        "mode": mode.name(),
        "results": results,
        "skipped": skipped,
    });
    let head = format!(
        "{:<20} {:>11} {:>11} {:>11} {:>10} {:>10}",
        "workload", "prove ms", "verify ms", "execute ms", "proof", "peak"
    );
    let foot = format!("medians of {}, {} threads, {mode}", args.repeat, rayon::current_num_threads());
    Ok(Outcome::new("bench", fields, format!("{head}\n{}\n{foot}", lines.join("\n"))))
}

fn list(registry: &[Box<dyn Workload>]) -> Outcome {
    let names: Vec<Value> = registry.iter().map(|w| json!({"name": w.name(), "about": w.about()})).collect();
    let text: Vec<String> = registry.iter().map(|w| format!("{:<20} {}", w.name(), w.about())).collect();
    Outcome::new("bench", json!({"workloads": names, "results": []}), text.join("\n"))
}

fn choose<'a>(args: &Args, registry: &'a [Box<dyn Workload>]) -> Result<Vec<&'a dyn Workload>> {
    if args.workloads.is_empty() {
        return Ok(registry.iter().map(Box::as_ref).collect());
    }
    let find = |name: &String| {
        registry.iter().map(Box::as_ref).find(|workload| workload.name() == name).ok_or_else(|| {
            let known: Vec<&str> = registry.iter().map(|workload| workload.name()).collect();
            CliError::usage(format!("no workload is called {name:?}"), format!("known are: {}", known.join(" ")))
        })
    };
    args.workloads.iter().map(find).collect()
}

/// Runs a workload; the inner error says why it was skipped.
#[allow(clippy::type_complexity)]
fn measure(
    workload: &dyn Workload,
    mode: Mode,
    repeat: u32,
    console: &mut Console,
) -> Result<std::result::Result<(Value, String), String>> {
    let name = workload.name();
    let prepared = console.stage(&format!("{name}: prepare"), |_| workload.prepare()).0;
    let mut prepared = match prepared {
        Ok(prepared) => prepared,
        Err(Skip::NoData(reason)) => return Ok(Err(reason)),
        Err(Skip::Failed(error)) => return Err(error),
    };
    machine::reset_peak();
    let mut runs = Vec::new();
    for _ in 0..repeat {
        runs.push(console.stage(name, |_| prepared.run(mode)).0?);
    }
    Ok(Ok(report(name, &runs)))
}

/// The figures of all runs as JSON and as a line of text.
fn report(name: &str, runs: &[Measurement]) -> (Value, String) {
    let prove: Vec<f64> = runs.iter().map(|m| millis(m.prove)).collect();
    let verify: Vec<f64> = runs.iter().map(|m| millis(m.verify)).collect();
    let execute: Vec<f64> = runs.iter().filter_map(|m| m.execute).map(millis).collect();
    let per_lookup: Vec<f64> = runs.iter().filter_map(|m| m.ns_per_lookup).collect();
    let per_byte: Vec<f64> = runs.iter().filter_map(|m| m.ns_per_committed_byte).collect();
    let last = runs.last().cloned().unwrap_or_default();
    let peak = machine::peak_rss_bytes();
    let value = json!({
        "workload": name,
        "threads": rayon::current_num_threads(),
        "repeat": runs.len(),
        "prove_ms": spread(&prove),
        "verify_ms": spread(&verify),
        "execute_ms": spread(&execute),
        "stages_ms": stages_json(runs),
        "proof_bytes": last.proof_bytes,
        "peak_rss_bytes": peak,
        "lookups": last.lookups,
        "committed_values": last.committed_values,
        "macs": last.macs,
        "ns_per_lookup": median(&per_lookup),
        "ns_per_committed_byte": median(&per_byte),
    });
    let show = |values: &[f64]| median(values).map_or_else(|| "-".into(), |x| format!("{x:.2}"));
    let line = format!(
        "{name:<20} {:>11} {:>11} {:>11} {:>10} {:>10}",
        show(&prove),
        show(&verify),
        show(&execute),
        human_bytes(last.proof_bytes as u64),
        peak.map_or_else(|| "-".into(), human_bytes),
    );
    let marginal = [("lookup", median(&per_lookup)), ("committed byte", median(&per_byte))];
    let marginal: String = marginal
        .iter()
        .filter_map(|(what, ns)| Some(format!("\n{:<20} {:>11.1} ns per {what}, marginal", "", (*ns)?)))
        .collect();
    let stages: Vec<String> = stages(runs).into_iter().map(|(stage, ms)| format!("{stage} {ms:.0}")).collect();
    let stages = if stages.is_empty() { String::new() } else { format!("\n{:<20} {}", "", stages.join(", ")) };
    (value, line + &stages + &marginal)
}

/// The median of every stage in milliseconds; none if the workload has no stages.
fn stages(runs: &[Measurement]) -> Vec<(&'static str, f64)> {
    let runs: Vec<_> = runs.iter().filter_map(|m| m.stages).map(|stages| named(&stages)).collect();
    let Some(first) = runs.first() else { return Vec::new() };
    let values = |i: usize| runs.iter().map(|named| millis(named[i].1)).collect::<Vec<_>>();
    first.iter().enumerate().filter_map(|(i, (name, _))| Some((*name, median(&values(i))?))).collect()
}

fn stages_json(runs: &[Measurement]) -> Value {
    let stages = stages(runs);
    if stages.is_empty() {
        return Value::Null;
    }
    stages.into_iter().map(|(name, ms)| (name.to_owned(), json!(ms))).collect::<serde_json::Map<_, _>>().into()
}

/// Smallest, median and largest of some values; null if there are none.
fn spread(values: &[f64]) -> Value {
    let Some(median) = median(values) else { return Value::Null };
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    json!({"min": min, "median": median, "max": max})
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted[middle - 1] + upper) / 2.0) }
}

/// The commit of the code: as built in, or that of the checkout the command runs in.
fn commit_id() -> Option<String> {
    if let Some(commit) = option_env!("VOXCHECK_COMMIT") {
        return Some(commit.to_owned());
    }
    let manifest = std::fs::read_to_string("Cargo.toml").ok()?;
    if !manifest.lines().any(|line| line.trim() == "name = \"voxcheck\"") {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Process::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    Some(if changed { format!("{commit}-dirty") } else { commit })
}

/// Deterministic numbers for tables and inputs (xorshift64*).
pub struct Random(u64);

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(spread(&[2.0, 1.0]), json!({"min": 1.0, "median": 1.5, "max": 2.0}));
        assert_eq!(spread(&[]), Value::Null);
    }

    #[test]
    fn names_are_unique() {
        let registry = registry();
        let names: std::collections::BTreeSet<_> = registry.iter().map(|w| w.name()).collect();
        assert_eq!(names.len(), registry.len());
    }
}
