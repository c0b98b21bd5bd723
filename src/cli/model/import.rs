//! `model import`: a network and examples of what it takes → a model.

use std::path::PathBuf;

use serde_json::json;
use voxcheck::Model;
use voxcheck::model::ModelBuilder;

use crate::cli::common::{parse_threshold, read_tensor};
use crate::cli::console::{Console, Outcome, human_bytes};
use crate::cli::demo;
use crate::cli::error::{CliError, Result};
use crate::cli::files::{self, Access};
use crate::cli::inspect::readings_json;
use crate::cli::network::{FrontEndArg, Settings, read_network, warn_of_assumptions};

use super::parse_seconds;

/// Arguments of `import`.
#[derive(clap::Args, Debug)]
pub struct Import {
    /// ONNX or TensorFlow Lite network, told apart by its bytes
    #[arg(value_name = "NET")]
    network: PathBuf,
    /// Front end, with options as in kaldi80:window=povey,scale=unit: raw, logmel24, logmel40, logmel80, kaldi80,
    /// speechbrain80, ecapa80, ge2e40, mfcc, mfcc1 … mfcc40, mfcc-librosa, mfcc-kaldi, kws10; none if the network takes no
    /// audio
    #[arg(long, value_name = "PRESET", value_parser = FrontEndArg::parse)]
    frontend: FrontEndArg,
    /// Recordings, or folders of them, like those it will see [default: the bundled voices]; for --frontend none NumPy files
    /// of input tensors, or folders of them
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
    /// Value from which on a chunk is active, of a network that makes one of every chunk, such as the probability of speech
    #[arg(long, value_name = "X", allow_negative_numbers = true, conflicts_with_all = ["labels", "labels_from", "threshold"])]
    #[arg(value_parser = parse_level)]
    activity: Option<f64>,
    #[command(flatten)]
    settings: Settings,
    /// Name of the model [default: that of the file]
    #[arg(long)]
    name: Option<String>,
    /// Model to write (.vxm); `-` is stdout
    #[arg(long, short, value_name = "M.vxm")]
    output: PathBuf,
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

fn parse_level(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|level: &f64| level.is_finite()).ok_or_else(|| "not a number".into())
}

/// Runs the command.
pub fn run(args: &Import, console: &mut Console) -> Result<Outcome> {
    files::check_output(console, &args.output)?;
    // What is wrong with the command is said before anything is read.
    let examples = if args.frontend.preset().is_none() { examples(&args.calibrate)? } else { Vec::new() };
    let failed = |error| {
        let mut error = CliError::model(&args.network, &error);
        if error.code == "E-MODEL-SHAPE" && !args.settings.fixes_length() {
            error.help += "; if the graph decides by the length of recordings, fix it with --length SAMPLES";
        }
        error
    };
    let stem = args.network.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or(stem).unwrap_or_else(|| "model".into());
    let network = read_network(&args.network, &args.settings, args.frontend.preset(), None)?;
    warn_of_assumptions(&network, &args.network, &args.settings, console)?;
    let builder = Model::from_onnx_bytes(network, &name).map_err(failed)?.name(name);
    let (builder, clips) = match args.frontend.preset() {
        Some(preset) => {
            let clips = calibration(&args.calibrate, preset.sample_rate, console)?;
            (builder.front_end(preset.clone()), clips)
        }
        None => {
            let tensors = examples.iter().map(|path| read_tensor(path)).collect::<Result<Vec<_>>>()?;
            builder.tensors(&tensors).map_err(failed)?
        }
    };
    let builder = configured(args, builder)?;
    let (model, cosine) = console.stage("calibrate", |_| builder.calibrate_measured(&clips)).0.map_err(failed)?;
    warn_of_calibration(args, &model, &clips, cosine, console);
    let bytes = model.to_bytes();
    files::write(console, &args.output, &bytes, Access::Public)?;
    Ok(outcome(args, &model, (clips.len(), cosine), bytes.len()))
}

/// The builder with everything that the arguments say of widths and outputs.
fn configured(args: &Import, builder: ModelBuilder) -> Result<ModelBuilder> {
    let mut builder = builder.target_cosine(args.target_cosine).saturate(args.saturate);
    if let Some(bits) = args.bits.0 {
        builder = builder.bits(bits);
    }
    if let Some(threshold) = args.threshold {
        builder = builder.threshold(threshold);
    }
    if let Some(level) = args.activity {
        builder = builder.activity(level);
    }
    let labels = labels(args)?;
    if let Some(seconds) = args.window {
        let Some(preset) = args.frontend.preset().filter(|_| labels.is_some()) else {
            let message = "only a model that reads what was said has a window";
            return Err(CliError::usage(message, "give its --labels, too"));
        };
        builder = builder.window((seconds * f64::from(preset.sample_rate)).round() as usize);
    }
    Ok(match labels {
        Some(labels) => builder.labels(labels),
        None => builder,
    })
}

/// What a user should know of how the widths were chosen.
fn warn_of_calibration(args: &Import, model: &Model, clips: &[Vec<i16>], cosine: f64, console: &mut Console) {
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
}

/// What is said of a model of this many bytes that was calibrated on so many clips.
fn outcome(args: &Import, model: &Model, (clips, cosine): (usize, f64), bytes: usize) -> Outcome {
    let (least, most) = (model.min_samples(), model.max_samples());
    let tensor = model.front_end().tensor();
    let fields = json!({
        "name": model.name(),
        "model_id": model.id().to_string(),
        "front_end": model.front_end().name,
        "embedding_len": model.makes_values().then(|| model.embedding_len()),
        "chunk_samples": model.front_end().chunks().map(|chunks| chunks.samples),
        "tensor": tensor.map(|tensor| json!({"shape": tensor.shape(), "fraction_bits": tensor.fraction_bits})),
        "default_threshold": model.has_voice().then(|| model.default_threshold()),
        "activity_level": model.spec().activity().map(|(_, level)| level),
        "readings": readings_json(model.spec()),
        "min_samples": least,
        "max_samples": most,
        "clips": clips,
        "cosine": Some(cosine).filter(|cosine| *cosine >= -1.0),
        "saturate": args.saturate,
        "model": args.output,
        "model_bytes": bytes,
    });
    let each = model.front_end().chunks().map(|chunks| format!(" a chunk of {} samples", chunks.samples));
    let kind = match (model.has_voice(), model.makes_values()) {
        (true, _) => "embedding",
        (false, true) => "values",
        (false, false) => "classes",
    };
    let takes = tensor.map_or_else(
        || format!("{least} to {most} samples"),
        |tensor| format!("tensors {}, in units of 2^{}", tensor.shape(), -tensor.fraction_bits),
    );
    let text = format!(
        "Imported {} as {}\n  front end  {}\n  {kind:<10} {} values{}\n  takes      {takes}\n  calibrated on {clips} example(s), cosine {:.6}\n  model      {}, {}",
        model.name(),
        model.id(),
        model.front_end().name,
        model.embedding_len(),
        each.unwrap_or_default(),
        cosine.max(-1.0),
        args.output.display(),
        human_bytes(bytes as u64),
    );
    Outcome::new("model-import", fields, text)
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
    let found = below(paths, "wav")?;
    found.iter().map(|path| Ok(files::read_wav_at(path, rate)?.samples)).collect()
}

/// The files of tensors to calibrate on.
fn examples(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        let help = "give some with --calibrate X.npy: their values decide the scale of the integers";
        return Err(CliError::usage("a network that takes tensors needs examples of them", help));
    }
    below(paths, "npy")
}

/// The files among `paths`, and those in folders among them that end in `.ending`.
fn below(paths: &[PathBuf], ending: &str) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        let found = if path.is_dir() { files::files_below(path, ending)? } else { vec![path.clone()] };
        all.extend(found);
    }
    if all.is_empty() {
        let message = format!("no .{ending} below the folders of --calibrate");
        return Err(CliError::data("E-CALIBRATION", message, "give files or folders that hold some"));
    }
    Ok(all)
}
