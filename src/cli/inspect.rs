//! `inspect`: what a file of ours says.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use voxcheck::Model;
use voxcheck::model::{Classifier, Cost, LayerCost, Spec};
use voxcheck::proof::{
    Attestation, AudioCommitment, AudioSecret, Enrolment, KeySecret, Mode, Proof, Statement, Template, TemplateSecret,
    VerifyingKey,
};

use super::common::{self, BUILT_IN, length_text, load_model, merge};
use super::console::{Console, Outcome, human_bytes};
use super::error::{CliError, Result};
use super::files;
use super::soundness;

/// Show what a model, key, template, commitment or proof says; nothing is verified
#[derive(clap::Args, Debug)]
pub struct Args {
    /// File, or the name of a built-in model; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show a model as a tree: layers, relations, sizes, share of the cost
    #[arg(long)]
    tree: bool,
    /// Length of the recording that the cost of a model is shown for
    #[arg(long, value_name = "S", default_value = "3")]
    seconds: f64,
    /// Model that the soundness error of a proof is shown for, if it is not a built-in one
    #[arg(long, short, value_name = "M")]
    model: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, _console: &mut Console) -> Result<Outcome> {
    let (fields, text) = describe(args)?;
    Ok(Outcome::new("inspect", fields, text))
}

/// A description of a file as JSON and as text.
type Description = (Value, String);

fn describe(args: &Args) -> Result<Description> {
    let path = &args.file;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let built_in = path.to_str().is_some_and(|name| BUILT_IN.iter().any(|(built_in, _)| *built_in == name));
    if built_in || matches!(extension, "vxm" | "onnx") {
        return model(args, &load_model(path)?);
    }
    let bytes = files::read(path)?;
    let failed = |error| CliError::file(path, &error);
    match extension {
        "vxp" if Enrolment::from_bytes(&bytes).is_ok() => guess(args, path, &bytes),
        "vxp" => proof(args, &Proof::from_bytes(&bytes).map_err(failed)?, &bytes),
        "vxk" => VerifyingKey::from_bytes(&bytes).map(|file| key(&file, &bytes)).map_err(failed),
        "vxe" => Template::from_bytes(&bytes).map(|file| template(&file, &bytes)).map_err(failed),
        "vxa" => AudioCommitment::from_bytes(&bytes).map(|file| audio(&file, &bytes)).map_err(failed),
        _ => guess(args, path, &bytes),
    }
}

/// A file whose name says nothing: what it can be decoded as.
fn guess(args: &Args, path: &Path, bytes: &[u8]) -> Result<Description> {
    if let Ok(file) = Proof::from_bytes(bytes) {
        return proof(args, &file, bytes);
    }
    if let Ok(file) = VerifyingKey::from_bytes(bytes) {
        return Ok(key(&file, bytes));
    }
    if let Ok(file) = Template::from_bytes(bytes) {
        return Ok(template(&file, bytes));
    }
    if let Ok(file) = AudioCommitment::from_bytes(bytes) {
        return Ok(audio(&file, bytes));
    }
    if let Ok(file) = Enrolment::from_bytes(bytes) {
        return Ok(enrolment(&file, bytes));
    }
    if Attestation::from_bytes(bytes).is_ok() {
        let text = format!("attestation, {}; it is checked by: voxcheck verify --attested-by", bytes.len());
        return Ok((kind("attestation", bytes), text));
    }
    if KeySecret::from_bytes(bytes).is_ok() {
        return Ok(secret("key secret", bytes));
    }
    if TemplateSecret::from_bytes(bytes).is_ok() {
        return Ok(secret("template secret", bytes));
    }
    if AudioSecret::from_bytes(bytes).is_ok() {
        return Ok(secret("audio secret", bytes));
    }
    if !files::is_stream(path)
        && let Ok(file) = Model::read(path)
    {
        return model(args, &file);
    }
    let message = format!("{} is none of our files", path.display());
    let help = "models, keys, templates, commitments, secrets and proofs can be inspected";
    Err(CliError::data("E-FILE", message, help))
}

fn kind(kind: &str, bytes: &[u8]) -> Value {
    json!({"kind": kind, "bytes": bytes.len()})
}

fn secret(name: &str, bytes: &[u8]) -> Description {
    let text = format!("{name}, {}; its content is not shown", human_bytes(bytes.len() as u64));
    (kind(name, bytes), text)
}

fn key(file: &VerifyingKey, bytes: &[u8]) -> Description {
    let mut fields = kind("verifying key", bytes);
    let weights = if file.hides_weights() { "private, proved to be within their widths" } else { "public" };
    let readings = readings_json(file.spec());
    merge(
        &mut fields,
        json!({"model_id": file.model_id().to_string(), "private": file.hides_weights(), "readings": readings}),
    );
    let size = human_bytes(bytes.len() as u64);
    let (id, reads) = (file.model_id(), readings_text(file.spec()));
    let mut text = format!("verifying key, {size}\n  model      {id}\n{reads}  weights    {weights}");
    // The longest recording has the largest error.
    let longest = file.spec().max_samples as usize;
    if let Some(ledger) = soundness::of_spec(file.spec(), longest, &soundness::decision(file.spec()), Mode::Zk) {
        merge(&mut fields, json!({"soundness": soundness::to_json(&ledger, longest)}));
        text = format!("{text}\n{}", soundness::to_text(&ledger, longest));
    }
    (fields, text)
}

fn template(file: &Template, bytes: &[u8]) -> Description {
    let mut fields = kind("template", bytes);
    let (id, model_id, threshold) = (file.id().to_string(), file.model_id().to_string(), file.threshold());
    let recordings: Vec<Value> = file
        .recordings()
        .iter()
        .map(|recording| json!({"audio_id": recording.id().to_string(), "samples": recording.num_samples()}))
        .collect();
    merge(
        &mut fields,
        json!({
            "template_id": id,
            "model_id": model_id,
            "threshold": threshold,
            "label": file.label(),
            "recordings": recordings,
            "refuses_replays": file.refuses_replays(),
        }),
    );
    let label = if file.label().is_empty() { "none" } else { file.label() };
    let replays = if file.refuses_replays() { ", refused as probes" } else { "" };
    let text = format!(
        "template, {}\n  id         {id}\n  label      {label}\n  model      {model_id}\n  threshold  {threshold:.4}\n  recordings {} named{replays}",
        human_bytes(bytes.len() as u64),
        recordings.len(),
    );
    (fields, text)
}

fn enrolment(file: &Enrolment, bytes: &[u8]) -> Description {
    let mut fields = kind("enrolment", bytes);
    let id = file.template_id().to_string();
    merge(&mut fields, json!({"template_id": id}));
    let size = human_bytes(bytes.len() as u64);
    (fields, format!("proof of an enrolment, {size} (not verified here)\n  template   {id}"))
}

fn audio(file: &AudioCommitment, bytes: &[u8]) -> Description {
    let mut fields = kind("audio commitment", bytes);
    merge(&mut fields, json!({"audio_id": file.id().to_string(), "samples": file.num_samples()}));
    let size = human_bytes(bytes.len() as u64);
    let text = format!("audio commitment, {size}\n  id         {}\n  samples    {}", file.id(), file.num_samples());
    (fields, text)
}

fn proof(args: &Args, file: &Proof, bytes: &[u8]) -> Result<Description> {
    let statement = file.statement();
    let sections = file.sections();
    let model = model_of(args, statement)?;
    let spec = model.as_ref().map(Model::spec);
    let mut fields = kind("proof", bytes);
    merge(&mut fields, common::statement_json(statement, spec));
    let list: Vec<Value> = sections
        .iter()
        .map(|(name, offset, length)| json!({"name": name, "offset": offset, "bytes": length}))
        .collect();
    merge(&mut fields, json!({"decision_claimed": common::decision(statement.verdict()), "sections": list}));
    let mut text = format!(
        "proof, {}; it claims {} (not verified here)\n{}\n  sections (offset, bytes, name)",
        human_bytes(bytes.len() as u64),
        common::decision(statement.verdict()).to_uppercase(),
        soundness_of(statement, spec, &mut fields) + &common::statement_text(statement, spec),
    );
    for (name, offset, length) in &sections {
        text += &format!("\n  {offset:>9} {length:>9}  {name}");
    }
    Ok((fields, text))
}

/// The model of a proof, if it is at hand.
fn model_of(args: &Args, statement: &Statement) -> Result<Option<Model>> {
    let Some(path) = &args.model else {
        return Ok(Model::bundled().ok().filter(|model| model.id() == statement.model_id()));
    };
    let model = load_model(path)?;
    if model.id() != statement.model_id() {
        let message = format!("the proof is about model {}, not {}", statement.model_id(), model.id());
        return Err(CliError::data("E-MODEL", message, "give the model that the proof was made with"));
    }
    Ok(Some(model))
}

/// The ledger of a proof of a model.
fn soundness_of(statement: &Statement, spec: Option<&Spec>, fields: &mut Value) -> String {
    let unknown = |help| format!("{}\n", soundness::unknown(help));
    let Some(spec) = spec else { return unknown("give its model with --model") };
    let samples = statement.num_samples();
    let Some(ledger) = soundness::of_spec(spec, samples, &statement.tail(), statement.mode()) else {
        return unknown("the model has no program for such a statement");
    };
    merge(fields, json!({"soundness": soundness::to_json(&ledger, samples)}));
    soundness::to_text(&ledger, samples) + "\n"
}

/// The networks of a model that give classes.
pub fn readings_json(spec: &Spec) -> Vec<Value> {
    let reading = |reading: Classifier<'_>| {
        json!({
            "name": reading.branch.name,
            "front_end": reading.branch.features.front_end.name,
            "labels": reading.labels,
            "samples": reading.samples,
        })
    };
    spec.readings().map(reading).collect()
}

fn readings_text(spec: &Spec) -> String {
    let reading = |reading: Classifier<'_>| {
        let (name, front_end) = (&reading.branch.name, &reading.branch.features.front_end.name);
        let (labels, length) = (reading.labels.join(", "), length_text(spec.sample_rate(), reading.samples));
        format!("  reads      {name}: {labels} of {length}, {front_end}\n")
    };
    spec.readings().map(reading).collect()
}

fn model(args: &Args, file: &Model) -> Result<Description> {
    let rate = file.front_end().sample_rate;
    let wanted = (args.seconds.max(0.0) * f64::from(rate)).round() as usize;
    let samples = wanted.max(file.min_samples()).min(file.max_samples());
    let cost = file.cost(samples).map_err(|error| CliError::model(&args.file, &error))?;
    let id = file.id().to_string();
    let mut fields = cost_json(&cost);
    merge(
        &mut fields,
        json!({
            "kind": "model",
            "name": file.name(),
            "model_id": id,
            "front_end": file.front_end().name,
            "sample_rate": file.front_end().sample_rate,
            "embedding_len": file.makes_values().then(|| file.embedding_len()),
            "default_threshold": file.has_voice().then(|| file.default_threshold()),
            "tensor": file.front_end().tensor().map(|tensor| tensor.shape()),
            "activity_level": file.spec().activity().map(|(_, level)| level),
            "readings": readings_json(file.spec()),
            "min_samples": file.min_samples(),
            "max_samples": file.max_samples(),
            "samples": samples,
        }),
    );
    let mut voice = String::new();
    if file.has_voice() {
        let (values, threshold) = (file.embedding_len(), file.default_threshold());
        voice = format!("  embedding  {values} values, threshold {threshold:.4}\n");
    } else if let Some(chunks) = file.front_end().chunks() {
        let level = file.spec().activity().map(|(_, level)| format!(", active from {level} on"));
        let (values, samples, level) = (file.embedding_len(), chunks.samples, level.unwrap_or_default());
        voice = format!("  values     {values} of every chunk of {samples} samples{level}\n");
    }
    if let (Some(tensor), false) = (file.front_end().tensor(), file.has_voice()) {
        voice += &format!("  tensor     {}, in units of 2^{}\n", tensor.shape(), -tensor.fraction_bits);
    }
    let mut text = format!(
        "model {}\n  id         {id}\n  front end  {}, {rate} Hz\n{}{}  takes      {} to {} samples\nfor {}\n{}",
        file.name(),
        file.front_end().name,
        voice,
        readings_text(file.spec()),
        file.min_samples(),
        file.max_samples(),
        length_text(rate, samples),
        cost_text(&cost),
    );
    if let Some(ledger) = soundness::of_spec(file.spec(), samples, &soundness::decision(file.spec()), Mode::Zk) {
        merge(&mut fields, json!({"soundness": soundness::to_json(&ledger, samples)}));
        text = format!("{text}\n{}", soundness::to_text(&ledger, samples));
    }
    if args.tree {
        text = format!("{text}\n{}", tree(&cost));
    }
    Ok((fields, text))
}

/// A cost as fields of a JSON object.
pub fn cost_json(cost: &Cost) -> Value {
    let layer = |layer: &LayerCost| {
        let [linear, contraction, product, lookup] = layer.relations;
        json!({
            "name": layer.name,
            "relations": {"linear": linear, "contraction": contraction, "product": product, "lookup": lookup},
            "rows": layer.rows,
            "columns": layer.columns,
            "lookups": layer.lookups,
            "committed_values": layer.committed_values,
            "share": layer.share,
        })
    };
    json!({
        "frames": cost.frames,
        "macs": cost.macs,
        "lookups": cost.lookups,
        "committed_values": cost.committed_values,
        "committed_bytes": cost.committed_bytes,
        "weights": cost.weights,
        "leaves": cost.leaves,
        "entries": cost.entries,
        "waves": cost.waves,
        "proof_bytes": cost.proof_bytes,
        "clear_proof_bytes": cost.clear_proof_bytes,
        "memory_bytes": cost.memory_bytes,
        "layers": cost.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

/// The totals of a cost for people.
pub fn cost_text(cost: &Cost) -> String {
    format!(
        "  frames     {}\n  macs       {}\n  lookups    {}\n  committed  {} values, {}\n  waves      {}\n  proof      {}\n  memory     about {}",
        cost.frames,
        cost.macs,
        cost.lookups,
        cost.committed_values,
        human_bytes(cost.committed_bytes),
        cost.waves,
        human_bytes(cost.proof_bytes),
        human_bytes(cost.memory_bytes),
    )
}

/// The layers as a tree.
fn tree(cost: &Cost) -> String {
    let width = cost.layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0);
    let mut lines = vec!["layers (shape, relations, lookups, committed values, share of the cost)".to_owned()];
    for (index, layer) in cost.layers.iter().enumerate() {
        let last = index + 1 == cost.layers.len();
        let (branch, stem) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let shape = format!("{}x{}", layer.rows, layer.columns);
        lines.push(format!("{branch} {:<width$} {shape:>11}  {:>5.1} %", layer.name, 100.0 * layer.share));
        let names = ["linear", "contraction", "product", "lookup"];
        let relations: Vec<String> = layer
            .relations
            .iter()
            .zip(names)
            .filter(|(count, _)| **count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let relations = if relations.is_empty() { String::new() } else { format!("{}; ", relations.join(", ")) };
        let details = format!("{relations}{} lookups, {} committed", layer.lookups, layer.committed_values);
        lines.push(format!("{stem}   {details}"));
    }
    lines.join("\n")
}
