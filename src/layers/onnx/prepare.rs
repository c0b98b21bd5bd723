//! Makes a model file stand by itself: what is stored beside it, and what an import settles, become part of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use prost::Message;

use super::Settings;
use super::import::{malformed, refuse};
use super::inputs;
use super::proto::{ModelProto, TensorProto, ValueInfoProto};
use super::tensor::Values;
use crate::error::ModelError;

/// Most bytes of the files beside a model.
const MAX_OUTSIDE: u64 = 1 << 31;

/// The bytes of a model that needs nothing but them: `bytes` themselves, unless tensors lie in files of `folder` or
/// something is settled. Every entry of an input that is fixed has its value; its symbolic extents are 1.
pub(super) fn prepare(bytes: Vec<u8>, folder: Option<&Path>, settings: &Settings) -> Result<Vec<u8>, ModelError> {
    let mut model = super::decode(&bytes)?;
    let outside = model.graph.iter().flat_map(|graph| &graph.initializer).any(is_outside);
    if *settings == Settings::default() && !(outside && folder.is_some()) {
        return Ok(bytes);
    }
    if let Some(folder) = folder {
        embed(&mut model, folder)?;
    }
    let Some(graph) = &mut model.graph else { return Err(malformed("it has no graph")) };
    for (name, &value) in &settings.inputs {
        let Some(info) = graph.input.iter().find(|info| inputs::name(info) == name) else {
            let names: Vec<_> = graph.input.iter().map(inputs::name).take(8).collect();
            return Err(refuse("input", name, &format!("fix one of {names:?}")));
        };
        let tensor = inputs::constant(info, value)?;
        let mut proto = TensorProto {
            name: Some(name.clone()),
            dims: tensor.dims.iter().map(|&n| n as i64).collect(),
            ..TensorProto::default()
        };
        match tensor.values {
            Values::Float(values) => (proto.data_type, proto.double_data) = (Some(11), values),
            Values::Int(values) => (proto.data_type, proto.int64_data) = (Some(7), values),
        }
        graph.initializer.retain(|tensor| tensor.name.as_ref() != Some(name));
        graph.initializer.push(proto);
    }
    inputs::set_states(graph, &settings.states)?;
    if let Some(rows) = settings.rows {
        inputs::fix_rows(graph, rows)?;
    }
    if let Some(output) = &settings.output {
        let names: Vec<String> = graph.output.iter().map(|info| inputs::name(info).to_owned()).take(8).collect();
        let given_back = |info: &ValueInfoProto| settings.states.values().any(|state| state == inputs::name(info));
        let (chosen, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut graph.output).into_iter().partition(|info| inputs::name(info) == output);
        if chosen.len() != 1 || chosen.iter().any(given_back) {
            return Err(refuse("output", output, &format!("choose one of {names:?} that gives no state back")));
        }
        graph.output = chosen.into_iter().chain(others.into_iter().filter(given_back)).collect();
    }
    Ok(model.encode_to_vec())
}

fn is_outside(tensor: &TensorProto) -> bool {
    tensor.data_location.unwrap_or(0) != 0
}

/// Reads the files that a model's tensors name, from the model's folder; only plain names are followed.
fn embed(model: &mut ModelProto, folder: &Path) -> Result<(), ModelError> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut room = MAX_OUTSIDE;
    for tensor in model.graph.iter_mut().flat_map(|graph| &mut graph.initializer).filter(|tensor| is_outside(tensor)) {
        let location = entry(tensor, "location").unwrap_or_default().to_owned();
        if !files.contains_key(&location) {
            let mut parts = Path::new(&location).components();
            let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
                return Err(refuse("external data", location, "store it in a file beside the model"));
            };
            let path = folder.join(&location);
            let bytes = read(&path, room).map_err(|source| ModelError::Io { path, source })?;
            room = room.saturating_sub(bytes.len() as u64);
            files.insert(location.clone(), bytes);
        }
        let bytes = files.get(&location).and_then(|file| part(tensor, file));
        let name = tensor.name.clone().unwrap_or_default();
        let bytes = bytes.ok_or_else(|| malformed(format!("tensor {name:?} lies beyond the end of its file")))?;
        // Tensors that share bytes may not multiply them.
        room =
            room.checked_sub(bytes.len() as u64).ok_or_else(|| malformed("its tensors are larger than their file"))?;
        (tensor.raw_data, tensor.data_location) = (Some(bytes.to_vec()), None);
        tensor.external_data.clear();
    }
    Ok(())
}

fn read(path: &Path, room: u64) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > room || !metadata.is_file() {
        return Err(std::io::Error::other(format!("not a file of at most {room} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(metadata.len()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a tensor in its file; `None` if it lies beyond the end.
fn part<'f>(tensor: &TensorProto, file: &'f [u8]) -> Option<&'f [u8]> {
    let number = |key: &str| entry(tensor, key).map(str::parse::<usize>).transpose().ok();
    let start = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or_else(|| file.len().saturating_sub(start));
    file.get(start..start.checked_add(length)?)
}

/// An entry of a tensor's description of where it is stored.
fn entry<'t>(tensor: &'t TensorProto, key: &str) -> Option<&'t str> {
    let found = tensor.external_data.iter().find(|entry| entry.key.as_deref() == Some(key));
    found.and_then(|entry| entry.value.as_deref())
}
