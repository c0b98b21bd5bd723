//! Arguments and steps that several verbs share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use voxcheck::audio::wav::{self, Wav};
use voxcheck::proof::{ProvingKey, Statement, Verdict, VerifyingKey, setup};
use voxcheck::{Context, Model};

use super::console::Console;
use super::error::{CliError, Result};
use super::files;

pub use voxcheck::model::BUNDLED;

/// Built-in models: name and what it is.
pub const BUILT_IN: [(&str, &str); 2] = [
    (
        BUNDLED,
        "x-vector, 24 log-mel bands, distilled from Resemblyzer (Apache-2.0, Resemble AI) on LibriSpeech \
         (CC BY 4.0, (c) 2014 Vassil Panayotov)",
    ),
    (
        "ecapa-small",
        "ECAPA-TDNN, 40 log-mel bands, distilled from Resemblyzer (Apache-2.0, Resemble AI) on LibriSpeech \
         (CC BY 4.0, (c) 2014 Vassil Panayotov)",
    ),
];

/// Which model.
#[derive(Args, Debug)]
pub struct ModelArg {
    /// Model file (.vxm) or built-in name
    #[arg(long, short, value_name = "M", default_value = BUNDLED)]
    pub model: PathBuf,
}

/// The model of a file or of a built-in name.
pub fn load_model(name: &Path) -> Result<Model> {
    if let Some(model) = name.to_str().and_then(Model::built_in) {
        return model.map_err(|error| CliError::internal(format!("the built-in model: {error}")));
    }
    if name.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) && name.exists() {
        let message = format!("{} is an ONNX network, not a model", name.display());
        let help = format!("import it with: voxcheck model import {} --frontend PRESET -o M.vxm", name.display());
        return Err(CliError::data("E-MODEL", message, help));
    }
    files::decode(name, Model::from_bytes).map_err(|mut error| {
        if error.code == "E-NO-INPUT" {
            error.help = format!(
                "give a .vxm file, or the name of a built-in model: {}",
                BUILT_IN.map(|(name, _)| name).join(", ")
            );
        }
        error
    })
}

/// The model and its keys; the time is that of loading.
pub fn load_keys(console: &mut Console, name: &Path) -> Result<(ProvingKey, VerifyingKey, Duration)> {
    load_keys_if(console, name, |_| Ok(()))
}

/// As [`load_keys`], unless `check` refuses the model before its keys are made.
pub fn load_keys_if(
    console: &mut Console,
    name: &Path,
    check: impl FnOnce(&Model) -> Result<()>,
) -> Result<(ProvingKey, VerifyingKey, Duration)> {
    let (keys, elapsed) = console.stage("load", |_| {
        let model = load_model(name)?;
        check(&model)?;
        setup(&model).map_err(|error| CliError::model(name, &error))
    });
    let (pk, vk) = keys?;
    Ok((pk, vk, elapsed))
}

/// Refuses a recording of a rate or length that the model does not take.
pub fn check_recording(model: &Model, path: &Path, wav: &Wav) -> Result<()> {
    let rate = model.front_end().sample_rate;
    wav::require_rate(wav, rate).map_err(|error| CliError::audio(path, &error))?;
    model.check_length(wav.samples.len()).map_err(|error| CliError::model(path, &error))
}

/// For clap: a context in hex.
pub fn parse_context(hex: &str) -> std::result::Result<Context, String> {
    let bytes = hex::decode(hex).map_err(|error| format!("not hexadecimal: {error}"))?;
    match bytes.len() {
        0..=256 => Ok(Context::new(bytes)),
        length => Err(format!("{length} bytes, at most 256 are accepted")),
    }
}

/// For clap: a threshold.
pub fn parse_threshold(text: &str) -> std::result::Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("a threshold is a cosine in (0, 1]".into()) }
}

/// `accept` or `reject`.
pub fn decision(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Reject => "reject",
    }
}

/// What a statement names, as fields of a JSON object.
pub fn statement_json(statement: &Statement) -> Value {
    json!({
        "score": statement.score(),
        "threshold": statement.threshold(),
        "model_id": statement.model_id().to_string(),
        "audio_id": statement.audio_id().to_string(),
        "template_id": statement.template_id().to_string(),
        "context": hex::encode(statement.context().bytes()),
        "mode": statement.mode().name(),
        "samples": statement.num_samples(),
        "label": statement.template().label(),
        "refuses_replays": statement.template().refuses_replays(),
    })
}

/// The same for people.
pub fn statement_text(statement: &Statement) -> String {
    let score = statement.score().map_or_else(|| "not revealed".into(), |score| format!("{score:.4}"));
    let context = match statement.context().bytes() {
        [] => "none".to_owned(),
        bytes => hex::encode(bytes),
    };
    format!(
        "  score      {score}, threshold {:.4}\n  model      {}\n  recording  {} ({} samples)\n  template   {}\n  context    {context}",
        statement.threshold(),
        statement.model_id(),
        statement.audio_id(),
        statement.num_samples(),
        statement.template_id(),
    )
}

/// Adds the fields of one object to another.
pub fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Cosine of two vectors; `None` if one is zero or the lengths differ.
pub fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    (a.len() == b.len() && norms > 0.0 && norms.is_finite()).then(|| dot(a, b) / norms)
}

/// An integer embedding as numbers.
pub fn to_floats(embedding: &[i64]) -> Vec<f64> {
    embedding.iter().map(|&x| x as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_hexadecimal_and_short() {
        assert_eq!(parse_context("00ff").unwrap().bytes(), [0, 255]);
        assert!(parse_context("0").is_err());
        assert!(parse_context("xy").is_err());
        assert!(parse_context(&"00".repeat(256)).is_ok());
        assert!(parse_context(&"00".repeat(257)).unwrap_err().contains("256"));
    }

    #[test]
    fn thresholds_are_cosines() {
        assert!(parse_threshold("1").is_ok());
        for bad in ["0", "-0.5", "1.01", "nan", "inf", "x"] {
            assert!(parse_threshold(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cosines_of_zero_vectors_do_not_exist() {
        assert_eq!(cosine(&[1.0, 0.0], &[1.0, 0.0]), Some(1.0));
        assert_eq!(cosine(&[0.0], &[1.0]), None);
        assert_eq!(cosine(&[1.0], &[1.0, 2.0]), None);
    }
}
