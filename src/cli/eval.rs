//! `eval`: error rates on a list of trials, of the integer pipeline and of the float one.

use serde_json::json;

use super::console::{Console, Outcome};
use super::error::{CliError, Result};
use super::metrics::{PRIOR, Rates, rates};
use super::trials::{Scored, TrialArgs, scored};

/// Measure error rates on trials: EER, minimal detection cost and threshold, integer and float
///
/// A recording that fails counts as an error in every one of its trials and is listed in the
/// warnings. The detection cost has both costs 1, prior 0.01, and is normalised by the prior.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    trials: TrialArgs,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let scored = scored(&args.trials, console)?;
    let exact = rates(&scored.exact, PRIOR).ok_or_else(|| CliError::internal("trials of one kind"))?;
    let float = scored.float.as_ref().and_then(|float| rates(float, PRIOR));
    let fields = json!({
        "trials": scored.exact.len(),
        "targets": scored.targets(),
        "recordings": scored.recordings,
        "failed": scored.failed,
        "unprovable": scored.unprovable,
        "eer": exact.eer,
        "min_dcf": exact.min_dcf,
        "threshold": exact.threshold,
        "float_eer": float.map(|r| r.eer),
        "float_min_dcf": float.map(|r| r.min_dcf),
        "float_threshold": float.map(|r| r.threshold),
        "max_score_difference": scored.difference,
        "model_id": scored.model.id().to_string(),
    });
    Ok(Outcome::new("eval", fields, summary(&scored, &exact, float.as_ref())))
}

fn summary(scored: &Scored, exact: &Rates, float: Option<&Rates>) -> String {
    let line = |name: &str, rates: &Rates| {
        format!(
            "\n  {name:<8} EER {:.3} %, minDCF({PRIOR}) {:.4}, threshold {:.4}",
            100.0 * rates.eer,
            rates.min_dcf,
            rates.threshold
        )
    };
    let head = format!("{} trials, {} of one speaker", scored.exact.len(), scored.targets());
    let float = float.map(|rates| line("float", rates)).unwrap_or_default();
    let difference = scored.difference.map(|d| format!("\n  largest difference of scores {d:.6}")).unwrap_or_default();
    let unprovable = match scored.unprovable {
        0 => String::new(),
        count => format!("\n  {count} of {} recordings could not be proved", scored.recordings),
    };
    format!("{head}{}{float}{difference}{unprovable}", line("integer", exact))
}
