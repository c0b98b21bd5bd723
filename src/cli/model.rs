//! `model import`, `join`, `check`, `estimate`, `ops` and `list`.

mod join;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use voxcheck::Model;
use voxcheck::audio::FrontEnd;
use voxcheck::cost::Speed;
use voxcheck::layers::{onnx, tflite};
use voxcheck::model::LayerDifference;

use super::common::{BUILT_IN, BUNDLED, load_model, parse_threshold};
use super::console::{Console, Outcome, human_bytes, human_time};
use super::demo;
use super::error::{CliError, Result};
use super::files::{self, Access};
use super::inspect::{cost_json, cost_text, readings_json};
use super::network::{Settings, read_network, warn_of_assumptions};

/// Length of audio that is estimated unless another is asked for, in seconds.
const USUAL_SECONDS: f64 = 3.0;
/// Longest audio that can be estimated, in seconds.
const MAX_SECONDS: f64 = 86_400.0;

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import an ONNX or TensorFlow Lite network: choose integer ranges on recordings, write a model
    Import(Box<Import>),
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

/// Arguments of `import`.
#[derive(clap::Args, Debug)]
pub struct Import {
    /// ONNX or TensorFlow Lite network, told apart by its bytes
    #[arg(value_name = "NET")]
    network: PathBuf,
    /// Front end, with options as in kaldi80:window=povey,scale=unit: raw, logmel24, logmel40, logmel80, kaldi80,
    /// speechbrain80, ecapa80, ge2e40, mfcc, mfcc1 … mfcc40, mfcc-librosa, mfcc-kaldi, kws10
    #[arg(long, value_name = "PRESET", value_parser = parse_front_end)]
    frontend: FrontEnd,
    /// Recordings, or folders of them, like those it will see [default: the bundled voices]
    #[arg(long, value_name = "WAV", num_args = 1..)]
    calibrate: Vec<PathBuf>,
    /// Bits of activations and weights, 8 to 16, or auto
    #[arg(long, value_name = "N", default_value = "auto", value_parser = parse_bits)]
    bits: Bits,
    /// Cosine to the float embedding that widths chosen by `--bits auto` must reach on the recordings, in (0, 1]
    #[arg(long, value_name = "X", default_value = "0.9999", value_parser = parse_cosine)]
    target_cosine: f64,
    /// Clamp values that leave the calibrated range of a layer, and prove that: without it, recordings in which one does
    /// have no proof. Costs up to a half more lookups
    #[arg(long)]
    saturate: bool,
    /// Cosine from which on two voices count as the same, in (0, 1] [default: 0.66]
    #[arg(long, value_name = "X", value_parser = parse_threshold)]
    threshold: Option<f64>,
    /// What each output of the network means, in order: the model then reads what was said, and needs no template
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with_all = ["labels_from", "threshold"])]
    labels: Option<Vec<String>>,
    /// The same from a text file, one label a line
    #[arg(long, value_name = "FILE", conflicts_with = "threshold")]
    labels_from: Option<PathBuf>,
    /// Length of the window that such a network reads, in seconds [default: 1, or what is next to it that it takes]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    window: Option<f64>,
    #[command(flatten)]
    settings: Settings,
    /// Name of the model [default: that of the file]
    #[arg(long)]
    name: Option<String>,
    /// Model to write (.vxm); `-` is stdout
    #[arg(long, short, value_name = "M.vxm")]
    output: PathBuf,
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
    /// Recording: WAV, 16-bit mono at the model's rate
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

/// Bits, or the importer's choice.
#[derive(Clone, Copy, Debug)]
struct Bits(Option<u32>);

fn parse_bits(text: &str) -> std::result::Result<Bits, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Bits(None)),
        Ok(bits @ 8..=16) => Ok(Bits(Some(bits))),
        _ => Err("neither auto nor a number from 8 to 16".into()),
    }
}

fn parse_cosine(text: &str) -> std::result::Result<f64, String> {
    parse_threshold(text).map_err(|_| "not a cosine in (0, 1]".into())
}

fn parse_front_end(text: &str) -> std::result::Result<FrontEnd, String> {
    FrontEnd::by_name(text).map_err(|error| error.to_string())
}

fn parse_seconds(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s <= MAX_SECONDS);
    seconds.ok_or_else(|| format!("not a number of seconds up to {MAX_SECONDS}"))
}

/// Runs the command.
pub fn run(command: &Command, console: &mut Console) -> Result<Outcome> {
    match command {
        Command::Import(args) => import(args, console),
        Command::Join(args) => join::run(args, console),
        Command::Check(args) => check(args, console),
        Command::Estimate(args) => estimate(args),
        Command::Ops => Ok(operators()),
        Command::List => Ok(list()),
    }
}

fn import(args: &Import, console: &mut Console) -> Result<Outcome> {
    files::check_output(console, &args.output)?;
    let rate = args.frontend.sample_rate;
    let failed = |error| {
        let mut error = CliError::model(&args.network, &error);
        if error.code == "E-MODEL-SHAPE" && !args.settings.fixes_length() {
            error.help += "; if the graph decides by the length of recordings, fix it with --length SAMPLES";
        }
        error
    };
    let stem = args.network.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or(stem).unwrap_or_else(|| "model".into());
    let network = read_network(&args.network, &args.settings, &args.frontend, None)?;
    warn_of_assumptions(&network, &args.network, &args.settings, console)?;
    let builder = Model::from_onnx_bytes(network, &name).map_err(failed)?;
    let clips = calibration(&args.calibrate, rate, console)?;
    let mut builder = builder.front_end(args.frontend.clone()).name(name);
    builder = builder.target_cosine(args.target_cosine).saturate(args.saturate);
    if let Some(bits) = args.bits.0 {
        builder = builder.bits(bits);
    }
    if let Some(threshold) = args.threshold {
        builder = builder.threshold(threshold);
    }
    if let Some(labels) = labels(args)? {
        builder = builder.labels(labels);
    } else if args.window.is_some() {
        return Err(CliError::usage("only a model that reads what was said has a window", "give its --labels, too"));
    }
    if let Some(seconds) = args.window {
        builder = builder.window((seconds * f64::from(rate)).round() as usize);
    }
    let (model, cosine) = console.stage("calibrate", |_| builder.calibrate_measured(&clips)).0.map_err(failed)?;
    let (least, most) = (model.min_samples(), model.max_samples());
    if clips.iter().any(|clip| clip.len() > most) {
        console.warn(format!(
            "the network takes recordings of one length: {least} to {most} samples; \
             of longer ones, parts of that length were calibrated on"
        ));
    }
    if cosine < -1.0 {
        console.warn("a calibration recording has no proof with this model; give more bits (--bits) or --saturate");
    } else if args.bits.0.is_none() && cosine < args.target_cosine {
        let (wanted, name) = (args.target_cosine, model.name());
        console.warn(format!("{name} reaches a cosine of {cosine:.6} with the most bits there are, not {wanted}"));
    }
    let bytes = model.to_bytes();
    files::write(console, &args.output, &bytes, Access::Public)?;
    let fields = json!({
        "name": model.name(),
        "model_id": model.id().to_string(),
        "front_end": model.front_end().name,
        "embedding_len": model.makes_values().then(|| model.embedding_len()),
        "chunk_samples": model.front_end().chunks().map(|chunks| chunks.samples),
        "default_threshold": model.has_voice().then(|| model.default_threshold()),
        "readings": readings_json(model.spec()),
        "min_samples": least,
        "max_samples": most,
        "clips": clips.len(),
        "cosine": Some(cosine).filter(|cosine| *cosine >= -1.0),
        "saturate": args.saturate,
        "model": args.output,
        "model_bytes": bytes.len(),
    });
    let each = model.front_end().chunks().map(|chunks| format!(" a chunk of {} samples", chunks.samples));
    let text = format!(
        "Imported {} as {}\n  front end  {}\n  {:<10} {} values{}\n  takes      {least} to {most} samples\n  calibrated on {} recording(s), cosine {:.6}\n  model      {}, {}",
        model.name(),
        model.id(),
        model.front_end().name,
        if model.makes_values() { "embedding" } else { "classes" },
        model.embedding_len(),
        each.unwrap_or_default(),
        clips.len(),
        cosine.max(-1.0),
        args.output.display(),
        human_bytes(bytes.len() as u64),
    );
    Ok(Outcome::new("model-import", fields, text))
}

/// The labels of the network's outputs, if it has some.
fn labels(args: &Import) -> Result<Option<Vec<String>>> {
    let trimmed = |label: &str| label.trim().to_owned();
    if let Some(path) = &args.labels_from {
        return Ok(Some(files::read_text(path)?.lines().map(trimmed).filter(|label| !label.is_empty()).collect()));
    }
    Ok(args.labels.as_ref().map(|labels| labels.iter().map(|label| trimmed(label)).collect()))
}

/// The recordings to calibrate on.
fn calibration(paths: &[PathBuf], rate: u32, console: &mut Console) -> Result<Vec<Vec<i16>>> {
    if paths.is_empty() {
        console.warn(
            "calibrated on the bundled synthetic voices; give recordings like those the model will see with --calibrate",
        );
        return Ok(demo::recordings()?.into_iter().map(|wav| wav.samples).collect());
    }
    let mut clips = Vec::new();
    for path in paths {
        let found = if path.is_dir() { files::wavs_below(path)? } else { vec![path.clone()] };
        for path in found {
            clips.push(files::read_wav_at(&path, rate)?.samples);
        }
    }
    if clips.is_empty() {
        let message = "no WAV below the folders of --calibrate";
        return Err(CliError::data("E-CALIBRATION", message, "give WAV files or folders that hold some"));
    }
    Ok(clips)
}

fn check(args: &Check, console: &mut Console) -> Result<Outcome> {
    let model = load_model(&args.model)?;
    let front_end = model.front_end();
    // A model of one number of frames was made of a network of as many, whether its file says so or --length did.
    let [least, most] = [model.min_samples(), model.max_samples()].map(|samples| front_end.num_frames(samples));
    let rows = least.filter(|_| least == most && front_end.partials.is_none());
    let bytes = read_network(&args.against, &args.settings, front_end, rows)?;
    let network = onnx::read(&bytes).map_err(|error| CliError::model(&args.against, &error))?;
    let wav = files::read_wav_at(&args.wav, model.front_end().sample_rate)?;
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
    let rate = f64::from(model.front_end().sample_rate);
    let near = |seconds: f64| ((seconds * rate).round() as usize).max(model.min_samples()).min(model.max_samples());
    let samples = args.seconds.map_or_else(|| near(USUAL_SECONDS), |seconds| (seconds * rate).round() as usize);
    let seconds = args.seconds.unwrap_or(samples as f64 / rate);
    let cost = cost_of(&model, samples, &args.model)?;
    let (speed, threads) = (Speed::measure(), rayon::current_num_threads());
    let [one_core, all] = cost.prove_seconds(speed, threads);
    let mut fields = cost_json(&cost);
    fields["threads"] = json!(threads);
    fields["prove_ms"] = json!(1e3 * all);
    fields["prove_cpu_ms"] = json!(1e3 * one_core);
    fields["speed"] = json!({"leaf_ns": speed.leaf_ns, "byte_ns": speed.byte_ns});
    fields["model_id"] = json!(model.id().to_string());
    fields["audio_seconds"] = json!(seconds);
    fields["samples"] = json!(samples);
    let text = format!(
        "{}, {seconds} s of audio\n{}\n  time       about {} with {threads} thread(s) of this machine, {} on one core",
        model.name(),
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
