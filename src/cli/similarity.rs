//! `similarity`: the cosine of two recordings.

use std::path::PathBuf;

use serde_json::json;

use super::common::{ModelArg, cosine, load_model, to_floats};
use super::console::{Console, Outcome};
use super::embed::Embeddings;
use super::error::{CliError, Result};
use super::files;

/// Compare two recordings: the cosine of their embeddings, in integers and in floating point
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// One recording: WAV, 16-bit mono at the model's rate
    #[arg(value_name = "A.wav")]
    a: PathBuf,
    /// The other
    #[arg(value_name = "B.wav")]
    b: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let model = console.stage("load", |_| load_model(&args.model.model)).0?;
    model.require_voice().map_err(|error| CliError::model(&args.model.model, &error))?;
    let mut embed = |path: &PathBuf| {
        let wav = files::read_wav_at(path, model.front_end().sample_rate)?;
        let (result, _) = console.stage("embed", |_| Embeddings::of(&model, &wav.samples));
        result.map_err(|error| CliError::model(path, &error))
    };
    let (a, b) = (embed(&args.a)?, embed(&args.b)?);
    let exact = cosine(&to_floats(&a.exact), &to_floats(&b.exact));
    let float = a.float.as_ref().zip(b.float.as_ref()).and_then(|(a, b)| cosine(a, b));
    let threshold = model.default_threshold();
    let fields = json!({
        "cosine": exact,
        "float_cosine": float,
        "default_threshold": threshold,
        "model_id": model.id().to_string(),
    });
    let show = |cosine: Option<f64>| cosine.map_or_else(|| "none".into(), |c| format!("{c:.6}"));
    let text = format!("cosine {} (float {}), the model's threshold is {threshold:.4}", show(exact), show(float));
    Ok(Outcome::new("similarity", fields, text))
}
