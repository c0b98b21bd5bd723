//! How a network is read: its file, and what its graph leaves open.

use std::collections::BTreeMap;
use std::path::Path;

use voxcheck::audio::FrontEnd;
use voxcheck::audio::frontend::Chunks;
use voxcheck::layers::{onnx, tflite};

use super::console::Console;
use super::error::{CliError, Result};
use super::files;

/// What turns a recording into the input of a network.
#[derive(Clone, Debug)]
pub enum FrontEndArg {
    /// A preset.
    Preset(Box<FrontEnd>),
    /// Nothing: the network takes a tensor.
    None,
}

impl FrontEndArg {
    /// For clap: a preset, or `none`.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let preset = FrontEnd::by_name(text).map_err(|error| format!("{error}; or none, for input tensors"))?;
        Ok(Self::Preset(Box::new(preset)))
    }

    /// The preset, if it is one.
    pub fn preset(&self) -> Option<&FrontEnd> {
        match self {
            Self::Preset(preset) => Some(preset),
            Self::None => None,
        }
    }
}

/// What a graph leaves open.
#[derive(clap::Args, Debug)]
pub struct Settings {
    /// Fixes an input of the graph: all its entries are this number (repeat for several)
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = parse_input)]
    inputs: Vec<(String, f64)>,
    /// Fixes the length of recordings, for graphs that decide by it what they compute; rows of an input tensor
    #[arg(long, value_name = "SAMPLES", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    length: Option<u32>,
    /// Output of the graph that is the embedding [default: the first]
    #[arg(long, value_name = "NAME")]
    graph_output: Option<String>,
    /// Input that is a state of recurrent layers, and the output that gives it back for the next chunk (repeat for several)
    /// [default: the only pair of equal extents whose names say so, if the front end has chunks]
    #[arg(long = "state", value_name = "INPUT=OUTPUT", value_parser = parse_state)]
    states: Vec<(String, String)>,
}

impl Settings {
    /// Whether the length of recordings is fixed.
    pub fn fixes_length(&self) -> bool {
        self.length.is_some()
    }
}

fn parse_input(text: &str) -> std::result::Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite()).ok_or("the value is not a number")?;
    Ok((name.to_owned(), value))
}

fn parse_state(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(input, output)| !input.is_empty() && !output.is_empty());
    pair.map(|(input, output)| (input.to_owned(), output.to_owned())).ok_or("not INPUT=OUTPUT".into())
}

/// The bytes of an ONNX network that needs no file beside it, whichever format it was in; `rows` is how many its input has unless
/// `settings` or chunks say so.
/// Without a front end the network takes its own input tensor, and a length is that of its rows.
pub fn read_network(
    path: &Path,
    settings: &Settings,
    front_end: Option<&FrontEnd>,
    rows: Option<usize>,
) -> Result<Vec<u8>> {
    let folder = path.parent().filter(|_| path.is_file());
    let failed = |error| CliError::model(path, &error);
    let front_end = front_end.filter(|front_end| front_end.tensor().is_none());
    let given = settings.length.map(|samples| {
        let Some(front_end) = front_end else { return Ok(samples as usize) };
        let frames = front_end.num_frames(samples as usize);
        frames.ok_or_else(|| {
            let message = format!("--length {samples} is too short for one frame of {}", front_end.name);
            CliError::usage(message, format!("at least {} samples are needed", front_end.min_samples()))
        })
    });
    let bytes = tflite::as_onnx(files::read(path)?).map_err(failed)?;
    let mut states: BTreeMap<String, String> = settings.states.iter().cloned().collect();
    let chunks = front_end.and_then(FrontEnd::chunks);
    if chunks.is_none() && !states.is_empty() {
        let name = front_end.map_or("none", |front_end| &front_end.name);
        let message = format!("--state is for a network that is run over chunks, and {name} has none");
        return Err(CliError::usage(message, "say how long they are, as in --frontend raw:chunk=512,context=64"));
    }
    if chunks.is_some() && states.is_empty() {
        let guessed = onnx::guess_state(&bytes).map_err(failed)?;
        states.extend(guessed.filter(|(input, _)| settings.inputs.iter().all(|(fixed, _)| fixed != input)));
    }
    let settings = onnx::Settings {
        inputs: settings.inputs.iter().cloned().collect(),
        rows: given.transpose()?.or(chunks.map(Chunks::length)).or(rows),
        output: settings.graph_output.clone(),
        states,
    };
    onnx::prepare(bytes, folder, &settings).map_err(failed)
}

/// Says what is assumed about inputs and outputs that nobody fixed or chose.
pub fn warn_of_assumptions(bytes: &[u8], path: &Path, settings: &Settings, console: &mut Console) -> Result<()> {
    let interface = onnx::interface(bytes).map_err(|error| CliError::model(path, &error))?;
    for (name, value) in &interface.constants {
        console.warn(format!("input {name} is taken to be {value} everywhere; fix it with --input {name}=VALUE"));
    }
    for name in &interface.lengths {
        console
            .warn(format!("input {name} is taken to be the length of the recording, as {} counts it", interface.input));
    }
    for (input, output) in interface.states.iter().filter(|_| settings.states.is_empty()) {
        console.warn(format!(
            "input {input} is taken to be a state that output {output} gives back and the next chunk starts from; \
             say otherwise with --state INPUT=OUTPUT, or fix it with --input {input}=VALUE"
        ));
    }
    if !interface.unused.is_empty() {
        let others: Vec<&str> = interface.unused.iter().take(8).map(String::as_str).collect();
        let (output, others) = (&interface.output, others.join(", "));
        console
            .warn(format!("output {output} is the embedding, {others} left out; choose one with --graph-output NAME"));
    }
    Ok(())
}
