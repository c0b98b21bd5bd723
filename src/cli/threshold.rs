//! `threshold`: which threshold suits a model, from trials.

use serde_json::{Value, json};

use super::console::{Console, Outcome};
use super::error::{CliError, Result};
use super::metrics::{Errors, PRIOR, Trial, errors_at, rates, threshold_for};
use super::trials::{Scored, TrialArgs, scored};

/// Choose a threshold from trials: false accepts and false rejects at every step, integer and float
///
/// The threshold that is recommended is the smallest at which no more non-target trials are accepted than wanted, by
/// the integer scores that proofs are about. Few trials say little about small rates: with 1000 trials of different
/// speakers, a rate of 0.1 % is one of them.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    trials: TrialArgs,
    /// Largest rate of false accepts, 0 to 1
    #[arg(long, value_name = "RATE", default_value = "0.01", value_parser = parse_rate)]
    false_accepts: f64,
    /// Distance of the thresholds in the table
    #[arg(long, value_name = "X", default_value = "0.05", value_parser = parse_step)]
    step: f64,
}

fn parse_rate(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or_else(|| "not a rate between 0 and 1".into())
}

fn parse_step(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|step| (0.001..=1.0).contains(step)).ok_or_else(|| "not between 0.001 and 1".into())
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let scored = scored(&args.trials, console)?;
    let one_kind = || CliError::internal("trials of one kind");
    let exact = rates(&scored.exact, PRIOR).ok_or_else(one_kind)?;
    let chosen = threshold_for(&scored.exact, args.false_accepts);
    let Some(chosen) = chosen.filter(|chosen| *chosen > 0.0 && *chosen <= 1.0) else {
        let message = format!("no threshold in (0, 1] accepts at most {} of the false trials", args.false_accepts);
        return Err(CliError::data(
            "E-TRIALS",
            message,
            "allow more --false-accepts, or look at the failed recordings",
        ));
    };
    let at = |trials: &Vec<Trial>, threshold| errors_at(trials, threshold);
    let float_at = |threshold| scored.float.as_ref().map(|float| at(float, threshold));
    let steps = (1.0 / args.step).round() as usize;
    let table: Vec<(f64, Errors, Option<Errors>)> = (1..=steps)
        .map(|k| k as f64 * args.step)
        .filter(|threshold| *threshold <= 1.0)
        .map(|threshold| (threshold, at(&scored.exact, threshold), float_at(threshold)))
        .collect();
    let found = at(&scored.exact, chosen);
    let fields = json!({
        "trials": scored.exact.len(),
        "targets": scored.targets(),
        "recordings": scored.recordings,
        "failed": scored.failed,
        "wanted_false_accepts": args.false_accepts,
        "threshold": chosen,
        "false_accepts": found.false_accepts,
        "false_rejects": found.false_rejects,
        "float_false_accepts": float_at(chosen).map(|errors| errors.false_accepts),
        "float_false_rejects": float_at(chosen).map(|errors| errors.false_rejects),
        "eer": exact.eer,
        "eer_threshold": exact.threshold,
        "float_eer": scored.float.as_ref().and_then(|float| rates(float, PRIOR)).map(|rates| rates.eer),
        "table": table.iter().map(row).collect::<Vec<Value>>(),
        "model_id": scored.model.id().to_string(),
        "model_threshold": scored.model.default_threshold(),
    });
    Ok(Outcome::new("threshold", fields, text(&scored, args, chosen, found, &table)))
}

fn row((threshold, exact, float): &(f64, Errors, Option<Errors>)) -> Value {
    json!({
        "threshold": threshold,
        "false_accepts": exact.false_accepts,
        "false_rejects": exact.false_rejects,
        "float_false_accepts": float.map(|errors| errors.false_accepts),
        "float_false_rejects": float.map(|errors| errors.false_rejects),
    })
}

fn text(scored: &Scored, args: &Args, chosen: f64, found: Errors, table: &[(f64, Errors, Option<Errors>)]) -> String {
    let percent = |rate: f64| format!("{:8.3} %", 100.0 * rate);
    let cells = |errors: &Errors| format!("{} {}", percent(errors.false_accepts), percent(errors.false_rejects));
    let mut text = format!(
        "{} trials, {} of one speaker\n  threshold {chosen:.4} for at most {} % false accepts: {:.3} % of them, {:.3} % false rejects",
        scored.exact.len(),
        scored.targets(),
        100.0 * args.false_accepts,
        100.0 * found.false_accepts,
        100.0 * found.false_rejects,
    );
    text += "\n  threshold  false accepts, rejects";
    if scored.float.is_some() {
        text += "  the same of the float network";
    }
    for (threshold, exact, float) in table {
        text += &format!("\n     {threshold:.4}  {}", cells(exact));
        if let Some(float) = float {
            text += &format!("  {}", cells(float));
        }
    }
    text
}
