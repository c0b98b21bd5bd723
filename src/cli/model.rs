//! `model import`, `join`, `check`, `estimate`, `ops` and `list`.

mod import;
mod join;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use voxcheck::Model;
use voxcheck::cost::Speed;
use voxcheck::layers::{onnx, tflite};
use voxcheck::model::LayerDifference;

use super::common::{BUILT_IN, BUNDLED, length_text, load_model, read_input, seconds};
use super::console::{Console, Outcome, human_time};
use super::error::{CliError, Result};
use super::inspect::{cost_json, cost_text};
use super::network::{Settings, read_network};

/// Length of audio that is estimated unless another is asked for, in seconds.
const USUAL_SECONDS: f64 = 3.0;
/// Longest audio that can be estimated, in seconds.
const MAX_SECONDS: f64 = 86_400.0;

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import an ONNX or TensorFlow Lite network: choose integer ranges on recordings, write a model
    Import(Box<import::Import>),
    /// Make one model of two that look at the same recording: who spoke, and what was said
    Join(join::Join),
    /// Compare a model with its network on a recording, layer by layer
    Check(Check),
    /// Predict what a proof costs
    Estimate(Estimate),
    /// List the ONNX and TensorFlow Lite operators that can be imported
    Ops,
    /// List the built-in models
    List,
}

/// Arguments of `check`.
#[derive(clap::Args, Debug)]
pub struct Check {
    /// Model file (.vxm) or built-in name
    #[arg(value_name = "M")]
    model: PathBuf,
    /// The network it was imported from
    #[arg(long, value_name = "NET")]
    against: PathBuf,
    /// Recording: WAV, 16-bit mono at the model's rate; NumPy file of a tensor, if the model takes that
    #[arg(long, value_name = "W")]
    wav: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

/// Arguments of `estimate`.
#[derive(clap::Args, Debug)]
pub struct Estimate {
    /// Model file (.vxm) or built-in name
    #[arg(value_name = "M", default_value = BUNDLED)]
    model: PathBuf,
    /// Length of the recording [default: 3, or what is next to it that the model takes]
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    seconds: Option<f64>,
}

fn parse_seconds(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s <= MAX_SECONDS);
    seconds.ok_or_else(|| format!("not a number of seconds up to {MAX_SECONDS}"))
}

/// Runs the command.
pub fn run(command: &Command, console: &mut Console) -> Result<Outcome> {
    match command {
        Command::Import(args) => import::run(args, console),
        Command::Join(args) => join::run(args, console),
        Command::Check(args) => check(args, console),
        Command::Estimate(args) => estimate(args),
        Command::Ops => Ok(operators()),
        Command::List => Ok(list()),
    }
}

fn check(args: &Check, console: &mut Console) -> Result<Outcome> {
    let model = load_model(&args.model)?;
    let front_end = model.front_end();
    // A model of one number of frames was made of a network of as many, whether its file says so or --length did.
    let [least, most] = [model.min_samples(), model.max_samples()].map(|samples| front_end.num_frames(samples));
    let rows = least.filter(|_| least == most && front_end.partials.is_none());
    let bytes = read_network(&args.against, &args.settings, Some(front_end), rows)?;
    let network =
        onnx::read_for(&bytes, front_end.columns()).map_err(|error| CliError::model(&args.against, &error))?;
    let wav = read_input(&model, &args.wav)?;
    let (result, _) = console.stage("compare", |_| model.compare(&network, &wav.samples));
    let layers = result.map_err(|error| CliError::model(&args.model, &error))?;
    let fields = json!({
        "model_id": model.id().to_string(),
        "cosine": layers.last().map(|layer| layer.cosine),
        "layers": layers.iter().map(difference_json).collect::<Vec<_>>(),
    });
    let width = layers.iter().map(|layer| layer.layer.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "{:<width$} {:>11} {:>5} {:>14} {:>12} {:>10} {:>6}",
        "layer", "shape", "bits", "max difference", "max value", "cosine", "cost"
    );
    for layer in &layers {
        let shape = format!("{}x{}", layer.rows, layer.columns);
        text += &format!(
            "\n{:<width$} {shape:>11} {:>5} {:>14.3e} {:>12.4} {:>10.7} {:>4.1} %",
            layer.layer,
            layer.width,
            layer.max_difference,
            layer.max_value,
            layer.cosine,
            100.0 * layer.share
        );
    }
    Ok(Outcome::new("model-check", fields, text))
}

fn difference_json(layer: &LayerDifference) -> Value {
    json!({
        "layer": layer.layer,
        "rows": layer.rows,
        "columns": layer.columns,
        "max_difference": layer.max_difference,
        "max_value": layer.max_value,
        "cosine": layer.cosine,
        "width": layer.width,
        "share": layer.share,
    })
}

fn estimate(args: &Estimate) -> Result<Outcome> {
    let model = load_model(&args.model)?;
    let rate = model.front_end().sample_rate;
    let samples_of = |seconds: f64| (seconds * f64::from(rate)).round() as usize;
    let near = |samples: usize| samples.max(model.min_samples()).min(model.max_samples());
    let wanted = args.seconds.filter(|_| rate > 0).map(samples_of);
    let samples = wanted.unwrap_or_else(|| near(samples_of(USUAL_SECONDS)));
    let cost = cost_of(&model, samples, &args.model)?;
    let (speed, threads) = (Speed::measure(), rayon::current_num_threads());
    let [one_core, all] = cost.prove_seconds(speed, threads);
    let mut fields = cost_json(&cost);
    fields["threads"] = json!(threads);
    fields["prove_ms"] = json!(1e3 * all);
    fields["prove_cpu_ms"] = json!(1e3 * one_core);
    fields["speed"] = json!({"leaf_ns": speed.leaf_ns, "byte_ns": speed.byte_ns});
    fields["model_id"] = json!(model.id().to_string());
    fields["audio_seconds"] = json!(seconds(rate, samples));
    fields["samples"] = json!(samples);
    let text = format!(
        "{}, {}\n{}\n  time       about {} with {threads} thread(s) of this machine, {} on one core",
        model.name(),
        length_text(rate, samples),
        cost_text(&cost),
        human_time(Duration::from_secs_f64(all)),
        human_time(Duration::from_secs_f64(one_core)),
    );
    Ok(Outcome::new("model-estimate", fields, text))
}

/// The cost of a proof, or why there can be none.
fn cost_of(model: &Model, samples: usize, path: &Path) -> Result<voxcheck::model::Cost> {
    let (min, max) = (model.min_samples(), model.max_samples());
    if samples < min || samples > max {
        let message = format!("the model takes {min} to {max} samples, not {samples}");
        return Err(CliError::usage(message, "choose another --seconds"));
    }
    model.cost(samples).map_err(|error| CliError::model(path, &error))
}

fn operators() -> Outcome {
    type Operator = (&'static str, &'static str);
    let [onnx, tflite]: [Vec<Operator>; 2] = [onnx::operators().collect(), tflite::operators().collect()];
    let list = |operators: &[Operator]| -> Vec<Value> {
        operators.iter().map(|(name, accepted)| json!({"operator": name, "accepted": accepted})).collect()
    };
    let lines = |operators: &[Operator]| -> Vec<String> {
        operators.iter().map(|(name, accepted)| format!("{name:<20} {accepted}")).collect()
    };
    let text = [lines(&onnx), vec![String::new(), "TensorFlow Lite".into()], lines(&tflite)].concat();
    let fields = json!({"operators": list(&onnx), "tflite_operators": list(&tflite)});
    Outcome::new("model-ops", fields, text.join("\n"))
}

fn list() -> Outcome {
    let list: Vec<Value> = BUILT_IN.iter().map(|(name, about)| json!({"name": name, "about": about})).collect();
    let text: Vec<String> = BUILT_IN.iter().map(|(name, about)| format!("{name:<20} {about}")).collect();
    Outcome::new("model-list", json!({"models": list}), text.join("\n"))
}
