//! Runs targets on mutated honest inputs: `run TARGET|all [SECONDS [SEED]]`, or `run TARGET FILE…`.
//!
//! Prints inputs tried, the longest time against that of an honest input, and the largest growth of
//! memory against 64 MiB + 4 × input. An input that makes a target panic is kept in `artifacts/`; so is the
//! one at hand (`TARGET.current`), in case that the process is ended from outside.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use voxcheck_fuzz::mutate::{Random, mutate};
use voxcheck_fuzz::{TARGETS, Target, target};

/// Memory that an input may need besides four times its size.
const MEMORY: u64 = 64 << 20;
/// How often the time of an honest input, or of [`LEAST`], another one may take.
const TIMES: u32 = 10;
/// Honest inputs that take less are not compared with: a turn of the scheduler would be longer.
const LEAST: Duration = Duration::from_millis(20);
/// Failures after which a run is over.
const MAX_FAILURES: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(name) = arguments.first() else {
        eprintln!("usage: run TARGET|all [SECONDS [SEED]], or run TARGET FILE…; targets:");
        TARGETS.iter().for_each(|target| eprintln!("  {}", target.name));
        return ExitCode::from(2);
    };
    let chosen: Vec<&Target> = match target(name) {
        Some(target) => vec![target],
        None if name == "all" => TARGETS.iter().collect(),
        None => {
            eprintln!("no target `{name}`");
            return ExitCode::from(2);
        }
    };
    let number = |k: usize| arguments.get(k).map(|text| text.parse::<u64>());
    match number(1) {
        Some(Err(_)) => chosen.iter().for_each(|target| replay(target, &arguments[1..])),
        seconds => {
            let seconds = Duration::from_secs(seconds.and_then(Result::ok).unwrap_or(60));
            let seed = number(2).and_then(Result::ok).unwrap_or(1);
            let failures: usize = chosen.iter().map(|target| fuzz(target, seconds, seed)).sum();
            return ExitCode::from(u8::from(failures > 0));
        }
    }
    ExitCode::SUCCESS
}

/// Runs a target on files, without a net.
fn replay(target: &Target, paths: &[String]) {
    for path in paths {
        let bytes = std::fs::read(path).expect("the file can be read");
        (target.run)(&bytes);
        println!("{}: {path} is handled", target.name);
    }
}

/// Resident memory and its peak since [`reset_peak`], in bytes.
fn memory() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What one input cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    time: Duration,
    /// Growth of resident memory, and what of it is beyond the bound.
    growth: u64,
    excess: u64,
}

/// Tries one input; whether it panicked is the second answer.
fn attempt(target: &Target, input: &[u8]) -> (Cost, bool) {
    reset_peak();
    let before = memory().map_or(0, |(now, _)| now);
    let clock = Instant::now();
    let ok = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok();
    let time = clock.elapsed();
    let growth = memory().map_or(0, |(_, peak)| peak.saturating_sub(before));
    (Cost { time, growth, excess: growth.saturating_sub(MEMORY + 4 * input.len() as u64) }, !ok)
}

fn keep(name: &str, input: &[u8]) {
    let folder = Path::new("artifacts");
    if std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join(name), input)).is_err() {
        eprintln!("cannot write artifacts/{name}");
    }
}

/// Fuzzes a target for some time; returns the number of failures.
fn fuzz(target: &Target, time: Duration, seed: u64) -> usize {
    let name = target.name;
    if name == "arguments" && std::env::var_os("VOXCHECK_BIN").is_none() {
        println!("{name}: not run; set VOXCHECK_BIN to the program");
        return 0;
    }
    let mut seeds = (target.seeds)();
    let corpus = std::fs::read_dir(Path::new("corpus").join(name)).into_iter().flatten().flatten();
    seeds.extend(corpus.filter_map(|entry| std::fs::read(entry.path()).ok()));
    let mut failures = 0;
    // The second run of an honest input is timed: the first computes what is computed once.
    for input in seeds.iter().chain(seeds.first()) {
        failures += usize::from(attempt(target, input).1);
    }
    let honest = seeds.iter().map(|input| attempt(target, input).0.time).max().unwrap_or_default().max(LEAST);
    let mut random = Random::new(seed);
    let (mut slowest, mut largest, mut excess) = (Cost::default(), Cost::default(), 0);
    let (start, mut count) = (Instant::now(), 0u64);
    while start.elapsed() < time && failures < MAX_FAILURES {
        let input = mutate(&seeds, &mut random);
        keep(&format!("{name}.current"), &input);
        let (cost, failed) = attempt(target, &input);
        count += 1;
        if failed {
            failures += 1;
            keep(&format!("{name}-{seed}-{count}"), &input);
            eprintln!("{name}: input {count} fails; it is in artifacts/{name}-{seed}-{count}");
        }
        if cost.time > slowest.time {
            slowest = cost;
            if cost.time > honest * TIMES {
                keep(&format!("{name}.slow"), &input);
            }
        }
        if cost.growth > largest.growth {
            largest = cost;
        }
        if cost.excess > excess {
            excess = cost.excess;
            keep(&format!("{name}.large"), &input);
        }
    }
    let _ = std::fs::remove_file(Path::new("artifacts").join(format!("{name}.current")));
    let ratio = slowest.time.as_secs_f64() / honest.as_secs_f64().max(1e-6);
    let within = |ok: bool| if ok { "within" } else { "BEYOND" };
    println!(
        "{name}: {count} inputs, {failures} failures; longest {:.1} ms, {ratio:.1} × honest ({} {TIMES} ×); \
         memory +{:.1} MiB ({} 64 MiB + 4 × input)",
        slowest.time.as_secs_f64() * 1e3,
        within(slowest.time <= honest * TIMES),
        largest.growth as f64 / f64::from(1 << 20),
        within(excess == 0),
    );
    failures
}
