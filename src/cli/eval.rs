//! `eval`: error rates on a list of trials, of the integer pipeline and of the float one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::json;
use voxcheck::Model;

use super::common::{ModelArg, cosine, load_model, to_floats};
use super::console::{Console, Outcome};
use super::embed::Embeddings;
use super::error::{CliError, Result};
use super::files;
use super::metrics::{Rates, Trial, rates};

/// Prior of a target for the detection cost.
const PRIOR: f64 = 0.01;

/// Measure error rates on trials: EER, minimal detection cost and threshold, integer and float
///
/// A recording that fails counts as an error in every one of its trials and is listed in the
/// warnings. The detection cost has both costs 1, prior 0.01, and is normalised by the prior.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// CSV with a header; the columns enrol, test and label (1: same speaker) are read
    #[arg(long, value_name = "CSV")]
    trials: PathBuf,
    /// Folder below which the recordings are found by name, without `.wav`
    #[arg(long, value_name = "DIR")]
    wav_dir: PathBuf,
    /// Use only the first seconds of every recording
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    seconds: Option<f64>,
}

fn parse_seconds(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|s: &f64| *s > 0.0 && s.is_finite()).ok_or_else(|| "not a positive number".into())
}

/// A line of the list.
#[derive(Debug, PartialEq)]
struct Pair {
    enrol: String,
    test: String,
    target: bool,
}

type Embedded = BTreeMap<String, std::result::Result<Embeddings, String>>;

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let text = String::from_utf8(files::read(&args.trials)?)
        .map_err(|_| bad_list(&args.trials, "it is not UTF-8 text".into()))?;
    let pairs = parse_list(&text).map_err(|reason| bad_list(&args.trials, reason))?;
    let model = console.stage("load", |_| load_model(&args.model.model)).0?;
    let paths = find(&args.wav_dir, &pairs)?;
    let embedded = console.stage("embed", |_| embed_all(&model, &paths, args.seconds)).0;
    for (name, result) in &embedded {
        if let Err(reason) = result {
            console.warn(format!("{name} counts as an error: {reason}"));
        }
    }
    let exact = score(&pairs, &embedded, |a, b| cosine(&to_floats(&a.exact), &to_floats(&b.exact)));
    let float = score(&pairs, &embedded, |a, b| cosine(a.float.as_ref()?, b.float.as_ref()?));
    let has_float = embedded.values().flatten().any(|e| e.float.is_some());
    let difference = exact.iter().zip(&float).map(|(a, b)| (a.score - b.score).abs()).filter(|d| d.is_finite());
    let difference = has_float.then(|| difference.fold(0.0, f64::max));
    let Some(rates_exact) = rates(&exact, PRIOR) else {
        return Err(bad_list(&args.trials, "it needs trials of both labels, 1 and 0".into()));
    };
    let rates_float = if has_float { rates(&float, PRIOR) } else { None };
    let failed: Vec<&String> = embedded.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| name).collect();
    let fields = json!({
        "trials": pairs.len(),
        "targets": pairs.iter().filter(|pair| pair.target).count(),
        "recordings": embedded.len(),
        "failed": failed,
        "eer": rates_exact.eer,
        "min_dcf": rates_exact.min_dcf,
        "threshold": rates_exact.threshold,
        "float_eer": rates_float.map(|r| r.eer),
        "float_min_dcf": rates_float.map(|r| r.min_dcf),
        "float_threshold": rates_float.map(|r| r.threshold),
        "max_score_difference": difference,
        "model_id": model.id().to_string(),
    });
    Ok(Outcome::new("eval", fields, summary(&pairs, &rates_exact, rates_float.as_ref(), difference)))
}

fn bad_list(path: &Path, reason: String) -> CliError {
    let message = format!("{}: {reason}", path.display());
    CliError::data("E-TRIALS", message, "give a CSV whose header has the columns enrol, test and label")
}

/// The pairs of a CSV. Names are file stems and labels 0 or 1, so no quoting is needed.
fn parse_list(text: &str) -> std::result::Result<Vec<Pair>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, header) = lines.next().ok_or("it is empty")?;
    let column = |name: &str| {
        header.split(',').position(|c| c.trim() == name).ok_or_else(|| format!("its header has no column {name}"))
    };
    let (enrol, test, label) = (column("enrol")?, column("test")?, column("label")?);
    let mut pairs = Vec::new();
    for (number, line) in lines {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |index: usize| {
            cells.get(index).filter(|c| !c.is_empty()).ok_or_else(|| format!("line {} is too short", number + 1))
        };
        let target = match *cell(label)? {
            "1" | "target" => true,
            "0" | "nontarget" => false,
            other => return Err(format!("line {}: the label {other:?} is neither 1 nor 0", number + 1)),
        };
        pairs.push(Pair { enrol: (*cell(enrol)?).into(), test: (*cell(test)?).into(), target });
    }
    if pairs.is_empty() { Err("it has no trials".into()) } else { Ok(pairs) }
}

/// The file of every name, if it is found.
fn find(folder: &Path, pairs: &[Pair]) -> Result<BTreeMap<String, Option<PathBuf>>> {
    let mut wanted: BTreeMap<String, Option<PathBuf>> =
        pairs.iter().flat_map(|pair| [&pair.enrol, &pair.test]).map(|name| (name.clone(), None)).collect();
    for path in files::wavs_below(folder)? {
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if let Some(slot) = wanted.get_mut(stem) {
            match slot {
                None => *slot = Some(path),
                Some(first) => {
                    let message = format!("{} and {} have the same name", first.display(), path.display());
                    return Err(CliError::data("E-TRIALS", message, "point --wav-dir at a folder with one of them"));
                }
            }
        }
    }
    if wanted.values().all(Option::is_none) {
        let message = format!("none of the recordings of the list is below {}", folder.display());
        return Err(CliError::data("E-TRIALS", message, "point --wav-dir at the folder that has them"));
    }
    Ok(wanted)
}

/// Embeds every recording once, in parallel.
fn embed_all(model: &Model, paths: &BTreeMap<String, Option<PathBuf>>, seconds: Option<f64>) -> Embedded {
    let rate = model.front_end().sample_rate;
    let embed = |path: &Option<PathBuf>| {
        let path = path.as_ref().ok_or("it is not there")?;
        let wav = files::read_wav_at(path, rate).map_err(|error| error.message)?;
        let keep = seconds.map_or(usize::MAX, |s| (s * f64::from(rate)).round() as usize);
        Embeddings::of(model, &wav.samples[..wav.samples.len().min(keep)]).map_err(|error| error.to_string())
    };
    paths.par_iter().map(|(name, path)| (name.clone(), embed(path))).collect()
}

/// Scores all pairs; those without a score are errors.
fn score(pairs: &[Pair], embedded: &Embedded, score: impl Fn(&Embeddings, &Embeddings) -> Option<f64>) -> Vec<Trial> {
    let get = |name: &String| embedded.get(name).and_then(|result| result.as_ref().ok());
    let trial = |pair: &Pair| {
        let failed = if pair.target { f64::NEG_INFINITY } else { f64::INFINITY };
        let found = get(&pair.enrol).zip(get(&pair.test)).and_then(|(a, b)| score(a, b));
        Trial { score: found.unwrap_or(failed), target: pair.target }
    };
    pairs.iter().map(trial).collect()
}

fn summary(pairs: &[Pair], exact: &Rates, float: Option<&Rates>, difference: Option<f64>) -> String {
    let line = |name: &str, rates: &Rates| {
        format!(
            "\n  {name:<8} EER {:.3} %, minDCF({PRIOR}) {:.4}, threshold {:.4}",
            100.0 * rates.eer,
            rates.min_dcf,
            rates.threshold
        )
    };
    let targets = pairs.iter().filter(|pair| pair.target).count();
    let head = format!("{} trials, {targets} of one speaker", pairs.len());
    let float = float.map(|rates| line("float", rates)).unwrap_or_default();
    let difference = difference.map(|d| format!("\n  largest difference of scores {d:.6}")).unwrap_or_default();
    format!("{head}{}{float}{difference}", line("integer", exact))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_the_names_of_their_columns() {
        let pairs = parse_list("\u{feff}label, test,enrol,cos\r\n1,b,a,0.5\r\n\r\n0,c,a,\r\n").unwrap();
        let pair = |test: &str, target| Pair { enrol: "a".into(), test: test.into(), target };
        assert_eq!(pairs, [pair("b", true), pair("c", false)]);
    }

    #[test]
    fn bad_lists_are_explained() {
        for (text, expected) in [
            ("", "empty"),
            ("enrol,test\na,b\n", "no column label"),
            ("enrol,test,label\n", "no trials"),
            ("enrol,test,label\na,b\n", "line 2 is too short"),
            ("enrol,test,label\na,b,2\n", "neither 1 nor 0"),
        ] {
            let error = parse_list(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
