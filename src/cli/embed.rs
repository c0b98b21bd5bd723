//! `embed`: recordings → embeddings, exact and in floating point.

use std::path::PathBuf;

use serde_json::{Value, json};
use voxcheck::Model;

use super::common::{ModelArg, cosine, load_model, read_input, to_floats};
use super::console::{Console, Outcome};
use super::error::{CliError, Result};
use super::files::{self, Access};
use super::npy;

/// Compute embeddings: the exact integers that proofs are about, and the float reference beside them
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// Recordings: WAV, 16-bit mono at the model's rate; NumPy files of tensors, if the model takes those
    #[arg(required = true, value_name = "WAV")]
    wavs: Vec<PathBuf>,
    /// Print and write the float reference instead of the integers
    #[arg(long)]
    float: bool,
    /// Write a NumPy matrix, one row a recording (64-bit integers, or doubles with --float)
    #[arg(long, short, value_name = "E.npy")]
    output: Option<PathBuf>,
}

/// The embeddings of one recording.
#[derive(Debug)]
pub struct Embeddings {
    /// Exact integers.
    pub exact: Vec<i64>,
    /// Doubles, if the model carries its float original.
    pub float: Option<Vec<f64>>,
}

impl Embeddings {
    /// Of samples at the model's rate.
    pub fn of(model: &Model, samples: &[i16]) -> std::result::Result<Self, voxcheck::error::ModelError> {
        let exact = model.embed(samples)?;
        Ok(Self { exact, float: model.embed_float(samples).transpose()? })
    }

    /// Cosine of the two.
    pub fn cosine(&self) -> Option<f64> {
        cosine(&to_floats(&self.exact), self.float.as_ref()?)
    }
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    if let Some(path) = &args.output {
        files::check_output(console, path)?;
    }
    let model = console.stage("load", |_| load_model(&args.model.model)).0?;
    let mut all = Vec::with_capacity(args.wavs.len());
    for path in &args.wavs {
        let wav = read_input(&model, path)?;
        let result = console.stage("embed", |_| Embeddings::of(&model, &wav.samples)).0;
        all.push(result.map_err(|error| CliError::model(path, &error))?);
    }
    if args.float && all.iter().any(|e| e.float.is_none()) {
        let message = "this model carries no float original".to_owned();
        return Err(CliError::data("E-NO-FLOAT", message, "leave --float out, or import the network again"));
    }
    if let Some(path) = &args.output {
        let (rows, columns) = (all.len(), all.first().map_or(0, |e| e.exact.len()));
        if all.iter().any(|e| e.exact.len() != columns) {
            let message = "the recordings have different numbers of chunks, and rows of a matrix are equally long";
            return Err(CliError::usage(message, "write one file a recording"));
        }
        let bytes = if args.float {
            npy::floats(rows, columns, all.iter().flat_map(|e| e.float.iter().flatten().copied()))
        } else {
            npy::integers(rows, columns, all.iter().flat_map(|e| e.exact.iter().copied()))
        };
        files::write(console, path, &bytes, Access::Public)?;
    }
    Ok(Outcome::new("embed", fields(args, &model, &all), text(args, &all)))
}

fn fields(args: &Args, model: &Model, all: &[Embeddings]) -> Value {
    let one = |(path, e): (&PathBuf, &Embeddings)| json!({"file": path, "embedding": e.exact, "float_embedding": e.float, "cosine": e.cosine()});
    let results: Vec<Value> = args.wavs.iter().zip(all).map(one).collect();
    // The fields of a single recording stand at the top.
    let mut fields = match &results[..] {
        [single] => single.clone(),
        _ => json!({"embedding": null, "float_embedding": null, "cosine": null}),
    };
    fields["model_id"] = json!(model.id().to_string());
    fields["output"] = json!(args.output);
    fields["results"] = json!(results);
    fields
}

fn text(args: &Args, all: &[Embeddings]) -> String {
    let line = |(path, e): (&PathBuf, &Embeddings)| {
        let values: Vec<String> = match (&e.float, args.float) {
            (Some(float), true) => float.iter().map(|x| format!("{x:.6}")).collect(),
            _ => e.exact.iter().map(i64::to_string).collect(),
        };
        let cosine = e.cosine().map(|c| format!(" (cosine to float {c:.6})")).unwrap_or_default();
        let values = if args.output.is_some() { String::new() } else { format!("\n{}", values.join(" ")) };
        format!("{}: {} values{cosine}{values}", path.display(), e.exact.len())
    };
    args.wavs.iter().zip(all).map(line).collect::<Vec<_>>().join("\n")
}
