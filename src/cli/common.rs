//! Arguments and steps that several verbs share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use voxcheck::audio::frontend::Tensor;
use voxcheck::audio::wav::{self, Wav};
use voxcheck::model::Spec;
use voxcheck::proof::{ProvingKey, Reading, Statement, Template, Verdict, VerifyingKey, setup};
use voxcheck::{Context, Model};

use super::activity::Activity;
use super::console::Console;
use super::error::{CliError, Result};
use super::files;
use super::npy;

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

/// What a model is to be run on: a recording, or the integers of an input tensor; `-` is stdin.
pub fn read_input(model: &Model, path: &Path) -> Result<Wav> {
    let Some(tensor) = model.front_end().tensor() else {
        let wav = files::read_wav(path)?;
        check_recording(model, path, &wav)?;
        return Ok(wav);
    };
    let integers = tensor.integers(&read_tensor(path)?);
    let samples = integers.map_err(|error| CliError::audio(path, &error))?;
    model.check_length(samples.len()).map_err(|error| CliError::model(path, &error))?;
    Ok(Wav { sample_rate: 0, samples })
}

/// The tensor of a NumPy file; `-` is stdin.
pub fn read_tensor(path: &Path) -> Result<Tensor> {
    npy::read(path, &files::read(path)?)
}

/// Seconds of a recording; none of a tensor.
pub fn seconds(sample_rate: u32, samples: usize) -> Option<f64> {
    (sample_rate > 0).then(|| samples as f64 / f64::from(sample_rate))
}

/// How long a recording is, for people; or that it is a tensor.
pub fn length_text(sample_rate: u32, samples: usize) -> String {
    let seconds = seconds(sample_rate, samples).map(|seconds| format!("{seconds:.2} s of audio"));
    seconds.unwrap_or_else(|| format!("a tensor of {samples} integers"))
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

/// For clap: where a window starts, in seconds.
pub fn parse_start(text: &str) -> std::result::Result<f64, String> {
    let start = text.parse().ok().filter(|start: &f64| (0.0..=86_400.0).contains(start));
    start.ok_or_else(|| "not a number of seconds from 0 on".into())
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

/// What a statement names, as fields of a JSON object. Names and labels of readings are those of `spec`, if it is at hand.
pub fn statement_json(statement: &Statement, spec: Option<&Spec>) -> Value {
    let template = statement.template();
    json!({
        "score": statement.score(),
        "threshold": statement.threshold(),
        "model_id": statement.model_id().to_string(),
        "audio_id": statement.audio_id().to_string(),
        "template_id": statement.template_id().map(|id| id.to_string()),
        "context": hex::encode(statement.context().bytes()),
        "mode": statement.mode().name(),
        "input": if statement.is_about_audio() { "audio" } else { "tensor" },
        "samples": statement.num_samples(),
        "label": template.map(Template::label),
        "refuses_replays": template.is_some_and(Template::refuses_replays),
        "readings": readings(statement, spec).iter().map(Said::json).collect::<Vec<_>>(),
        "activity": Activity::of(statement, spec).map(|activity| activity.json()),
        "embedding": statement.embedding(),
    })
}

/// What a recording is claimed to say.
struct Said<'a> {
    name: Option<&'a str>,
    label: Option<&'a str>,
    class: u32,
    start: u32,
    seconds: Option<f64>,
}

impl Said<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "label": self.label,
            "class": self.class,
            "start": self.start,
            "start_seconds": self.seconds,
        })
    }

    fn text(&self) -> String {
        let label = self.label.map_or_else(|| format!("class {}", self.class), str::to_owned);
        let name = self.name.map(|name| format!(", by {name}")).unwrap_or_default();
        let start = self.seconds.map_or_else(|| format!("sample {}", self.start), |seconds| format!("{seconds:.3} s"));
        format!("  says       {label} (from {start} on{name})\n")
    }
}

fn readings<'a>(statement: &Statement, spec: Option<&'a Spec>) -> Vec<Said<'a>> {
    let said = |(number, reading): (usize, &Reading)| {
        let network = spec.and_then(|spec| spec.readings().nth(number));
        Said {
            name: network.map(|network| network.branch.name.as_str()),
            label: network.and_then(|network| network.label(reading.class)),
            class: reading.class,
            start: reading.start,
            seconds: spec.and_then(|spec| seconds(spec.sample_rate(), reading.start as usize)),
        }
    };
    statement.readings().iter().enumerate().map(said).collect()
}

/// The same for people.
pub fn statement_text(statement: &Statement, spec: Option<&Spec>) -> String {
    let context = match statement.context().bytes() {
        [] => "none".to_owned(),
        bytes => hex::encode(bytes),
    };
    let mut text: String = readings(statement, spec).iter().map(Said::text).collect();
    text.extend(Activity::of(statement, spec).map(|activity| activity.text()));
    if let Some(embedding) = statement.embedding() {
        text += &format!("  values     {} revealed\n", embedding.len());
    }
    if let Some(threshold) = statement.threshold() {
        let score = statement.score().map_or_else(|| "not revealed".into(), |score| format!("{score:.4}"));
        text += &format!("  score      {score}, threshold {threshold:.4}\n");
    }
    let (input, count) = (statement.audio_id(), statement.num_samples());
    text += &format!("  model      {}\n", statement.model_id());
    text += &match statement.is_about_audio() {
        true => format!("  recording  {input} ({count} samples)\n"),
        false => format!("  tensor     {input} ({count} integers; how they came about is not proved)\n"),
    };
    if let Some(id) = statement.template_id() {
        text += &format!("  template   {id}\n");
    }
    text + &format!("  context    {context}")
}

/// Refuses a template where the model is about no voice, and none where it is about one.
pub fn require_template(model: &Model, path: &Path, given: bool) -> Result<()> {
    require_template_of(model.spec(), path, given)
}

/// As [`require_template`], of what is public about a model.
pub fn require_template_of(spec: &Spec, path: &Path, given: bool) -> Result<()> {
    match (spec.voice().is_some(), given) {
        (true, false) => Err(CliError::usage(
            format!("{} is about a voice, so a template is needed", path.display()),
            "give the template with --enrolled T.vxe; make one with: voxcheck enrol",
        )),
        (false, true) => Err(CliError::usage(
            format!("{} is about no voice, so there is nothing to compare a template with", path.display()),
            "leave --enrolled out, or use a speaker model",
        )),
        _ => Ok(()),
    }
}

/// Refuses a model that is about no voice.
pub fn require_voice(model: &Model, path: &Path) -> Result<()> {
    model.require_voice().map_err(|error| CliError::model(path, &error))
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
