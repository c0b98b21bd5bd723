//! Lists of trials: which recordings are compared, and their scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use voxcheck::Model;

use super::common::{ModelArg, cosine, load_model, to_floats};
use super::console::Console;
use super::embed::Embeddings;
use super::error::{CliError, Result};
use super::files;
use super::metrics::Trial;

/// Which trials, with which model.
#[derive(clap::Args, Debug)]
pub struct TrialArgs {
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

/// Scored trials.
pub struct Scored {
    /// The model that was scored with.
    pub model: Model,
    /// By the integers that proofs are about.
    pub exact: Vec<Trial>,
    /// By the float original, if the model carries it.
    pub float: Option<Vec<Trial>>,
    /// Largest difference of two scores of one trial.
    pub difference: Option<f64>,
    /// Number of recordings.
    pub recordings: usize,
    /// Recordings that could not be embedded.
    pub failed: Vec<String>,
    /// Those of them that the model has no proof for.
    pub unprovable: usize,
}

impl Scored {
    /// Trials of two recordings of one speaker.
    pub fn targets(&self) -> usize {
        self.exact.iter().filter(|trial| trial.target).count()
    }
}

/// A line of the list.
#[derive(Debug, PartialEq)]
struct Pair {
    enrol: String,
    test: String,
    target: bool,
}

/// Why a recording has no embedding.
struct Failure {
    reason: String,
    /// Whether it was read and the model has no proof for it.
    unprovable: bool,
}

type Embedded = BTreeMap<String, std::result::Result<Embeddings, Failure>>;

/// Reads the list and scores its trials; recordings that fail are warned about.
pub fn scored(args: &TrialArgs, console: &mut Console) -> Result<Scored> {
    let text = String::from_utf8(files::read(&args.trials)?)
        .map_err(|_| bad_list(&args.trials, "it is not UTF-8 text".into()))?;
    let pairs = parse_list(&text).map_err(|reason| bad_list(&args.trials, reason))?;
    if pairs.iter().all(|pair| pair.target) || !pairs.iter().any(|pair| pair.target) {
        return Err(bad_list(&args.trials, "it needs trials of both labels, 1 and 0".into()));
    }
    let model = console.stage("load", |_| load_model(&args.model.model)).0?;
    model.require_voice().map_err(|error| CliError::model(&args.model.model, &error))?;
    let paths = find(&args.wav_dir, &pairs)?;
    let embedded = console.stage("embed", |_| embed_all(&model, &paths, args.seconds)).0;
    for (name, result) in &embedded {
        if let Err(Failure { reason, .. }) = result {
            console.warn(format!("{name} counts as an error: {reason}"));
        }
    }
    let exact = score(&pairs, &embedded, |a, b| cosine(&to_floats(&a.exact), &to_floats(&b.exact)));
    let has_float = embedded.values().flatten().any(|e| e.float.is_some());
    let float = has_float.then(|| score(&pairs, &embedded, |a, b| cosine(a.float.as_ref()?, b.float.as_ref()?)));
    let difference = float.as_ref().map(|float| {
        let differences = exact.iter().zip(float).map(|(a, b)| (a.score - b.score).abs());
        differences.filter(|d| d.is_finite()).fold(0.0, f64::max)
    });
    let failed = embedded.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| name.clone()).collect();
    let unprovable =
        embedded.values().filter(|result| result.as_ref().is_err_and(|failure| failure.unprovable)).count();
    Ok(Scored { model, exact, float, difference, recordings: embedded.len(), failed, unprovable })
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
    let unread = |reason: String| Failure { reason, unprovable: false };
    let embed = |path: &Option<PathBuf>| {
        let path = path.as_ref().ok_or_else(|| unread("it is not there".into()))?;
        let wav = files::read_wav_at(path, rate).map_err(|error| unread(error.message))?;
        let keep = seconds.map_or(usize::MAX, |s| (s * f64::from(rate)).round() as usize);
        Embeddings::of(model, &wav.samples[..wav.samples.len().min(keep)])
            .map_err(|error| Failure { reason: error.to_string(), unprovable: true })
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
