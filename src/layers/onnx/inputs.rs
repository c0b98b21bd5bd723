//! The inputs of a graph: the one that is the network's, and those that are constants by nature.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use super::Interface;
use super::import::{malformed, refuse};
use super::proto::{GraphProto, StringStringEntryProto, ValueInfoProto};
use super::states::State;
use super::tensor::{Tensor, Values, is_integer};
use super::value::{Atom, Axis, Data, count};
use crate::error::ModelError;
use crate::layers::network::{InputAxes, NodeRef};

/// The first atom that the walk makes has a number above those of the input.
pub(super) const ATOMS: u32 = 16;
/// Most numbers of an input that is fixed, and of all states.
const MAX_FIXED: usize = 1 << 20;

/// The inputs of a graph.
pub(super) struct Inputs<'a> {
    /// Name of the network's input.
    pub(super) name: &'a str,
    /// Every meaning that its extents can have, the likelier first.
    pub(super) ways: Vec<Data>,
    /// Its extents.
    pub(super) extents: Vec<Option<usize>>,
    /// The inputs that are fixed.
    pub(super) constants: Vec<(&'a str, Rc<Tensor>)>,
    /// The inputs that are the number of rows of the network's input, and their extents.
    pub(super) lengths: Vec<(&'a str, Vec<usize>)>,
    /// The inputs that are states.
    pub(super) states: Vec<State<'a>>,
}

pub(super) fn name(info: &ValueInfoProto) -> &str {
    info.name.as_deref().unwrap_or_default()
}

/// Extents of an input; `None` for those that are symbolic.
fn extents(info: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let extent = |value: Option<i64>| value.and_then(|value| usize::try_from(value).ok()).filter(|&x| x > 0);
    Some(shape.dim.iter().map(|dim| extent(dim.dim_value)).collect())
}

/// Whether an input is named as lengths of recordings are.
fn is_length(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["len", "lens", "length", "lengths"];
    ends.iter().any(|end| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

/// Whether an input is a length that counts rows of the network's input.
fn counts_rows(info: &ValueInfoProto) -> bool {
    let data_type = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()?.elem_type);
    is_length(name(info)) && data_type.and_then(is_integer) == Some(true)
}

/// What an input beside the network's is unless it was fixed: sampling rates are 16000, states start from zeros.
fn usual(name: &str) -> Option<f64> {
    match name {
        "sr" | "sample_rate" | "sampling_rate" => Some(16_000.0),
        // Relative ones: all of it. Those that are integers are the extent of time.
        _ if is_length(name) => Some(1.0),
        "state" | "states" | "hidden" | "h" | "c" | "h0" | "c0" | "h_0" | "c_0" => Some(0.0),
        _ => None,
    }
}

/// An input that is fixed, and the number that all its entries are.
type Fixed<'a> = (&'a ValueInfoProto, f64);

/// The inputs of a graph that its file gives no values: the network's own, and those that are fixed by their names.
pub(super) fn split(graph: &GraphProto) -> Result<(&ValueInfoProto, Vec<Fixed<'_>>), ModelError> {
    // Old files list constants among the inputs.
    let given: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_deref().unwrap_or("")).collect();
    let free: Vec<&ValueInfoProto> = graph.input.iter().filter(|info| !given.contains(name(info))).collect();
    let states: HashSet<&str> = states(graph)?.into_iter().map(|(input, _)| name(input)).collect();
    let stateless = |info: &&ValueInfoProto| !states.contains(name(info));
    let fixed = |info: &ValueInfoProto| usual(name(info)).filter(|_| free.len() > 1);
    let open: Vec<&ValueInfoProto> =
        free.iter().copied().filter(stateless).filter(|info| fixed(info).is_none()).collect();
    let [input] = open[..] else {
        let names: Vec<_> = open.iter().map(|info| name(info)).take(8).collect();
        let help = "export it with one input, or fix the others (--input NAME=VALUE)";
        return Err(refuse("inputs", names, help));
    };
    Ok((input, free.iter().copied().filter(stateless).filter_map(|info| Some((info, fixed(info)?))).collect()))
}

/// How entries of a graph's metadata begin that name the input that is a state; the entry is the output that gives it back.
const STATE: &str = "voxcheck.state:";

/// The inputs that are states, and the outputs that give them back.
fn states(graph: &GraphProto) -> Result<Vec<(&ValueInfoProto, &str)>, ModelError> {
    let mut states: Vec<(&ValueInfoProto, &str)> = Vec::new();
    for entry in &graph.metadata_props {
        let Some(state) = entry.key.as_deref().and_then(|key| key.strip_prefix(STATE)) else { continue };
        let output = entry.value.as_deref().unwrap_or_default();
        let input = graph.input.iter().find(|info| name(info) == state);
        let fixed = graph.initializer.iter().any(|tensor| tensor.name.as_deref() == Some(state));
        let twice = states.iter().any(|&(input, other)| name(input) == state || other == output);
        let given_back = graph.output.iter().any(|info| name(info) == output);
        match input {
            Some(input) if !fixed && !twice && given_back => states.push((input, output)),
            _ => {
                let names = |infos: &[ValueInfoProto]| infos.iter().map(name).take(8).collect::<Vec<_>>().join(", ");
                let (inputs, outputs) = (names(&graph.input), names(&graph.output));
                let help = format!(
                    "name an input that has no value ({inputs}) and the output that gives it back ({outputs}), each once"
                );
                return Err(refuse("state", format!("{state}={output}"), &help));
            }
        }
    }
    Ok(states)
}

/// Makes inputs states, by their names and those of the outputs that give them back.
pub(super) fn set_states(graph: &mut GraphProto, wanted: &BTreeMap<String, String>) -> Result<(), ModelError> {
    for (input, output) in wanted {
        let (key, value) = (Some(format!("{STATE}{input}")), Some(output.clone()));
        graph.metadata_props.push(StringStringEntryProto { key, value });
    }
    states(graph).map(|_| ())
}

/// The only pair of an input that looks like a state and an output that may give it back.
pub(super) fn guess_state(graph: &GraphProto) -> Result<Option<(String, String)>, ModelError> {
    let given: HashSet<&str> = graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
    let alike = |a: &ValueInfoProto, b: &ValueInfoProto| match (extents(a), extents(b)) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.is_none() || b.is_none() || a == b),
        _ => false,
    };
    let mut pairs = Vec::new();
    for input in graph.input.iter().filter(|info| !given.contains(name(info))) {
        // The first output is what the network is for.
        for output in graph.output.iter().skip(1) {
            let named = usual(name(input)) == Some(0.0) || name(output).starts_with(name(input));
            if named && alike(input, output) {
                pairs.push((name(input).to_owned(), name(output).to_owned()));
            }
        }
    }
    match pairs.len() {
        0 | 1 => Ok(pairs.pop()),
        _ => {
            let found: Vec<String> = pairs.iter().take(8).map(|(input, output)| format!("{input}={output}")).collect();
            Err(refuse("states", found.join(", "), "say which output gives which state back (--state INPUT=OUTPUT)"))
        }
    }
}

/// The output that is the network's: the first that gives no state back.
pub(super) fn output(graph: &GraphProto) -> Result<&ValueInfoProto, ModelError> {
    let states = states(graph)?;
    let output = graph.output.iter().find(|info| states.iter().all(|&(_, output)| output != name(info)));
    output.ok_or_else(|| refuse("outputs", graph.output.len(), "export it with one output beside its states"))
}

/// What a graph takes and gives.
pub(super) fn interface(graph: &GraphProto) -> Result<Interface, ModelError> {
    let (input, fixed) = split(graph)?;
    let states: Vec<(String, String)> =
        states(graph)?.into_iter().map(|(input, output)| (name(input).to_owned(), output.to_owned())).collect();
    let output = name(output(graph)?).to_owned();
    let others = graph.output.iter().map(|info| name(info).to_owned());
    let unused = others.filter(|other| *other != output && states.iter().all(|(_, state)| state != other)).collect();
    let (lengths, others): (Vec<Fixed<'_>>, Vec<_>) = fixed.into_iter().partition(|(info, _)| counts_rows(info));
    let constants = others.iter().map(|&(info, value)| (name(info).to_owned(), value)).collect();
    let lengths = lengths.iter().map(|&(info, _)| name(info).to_owned()).collect();
    Ok(Interface { input: name(input).to_owned(), constants, lengths, output, unused, states })
}

/// Gives the one open extent of the network's input a value.
pub(super) fn fix_rows(graph: &mut GraphProto, rows: usize) -> Result<(), ModelError> {
    let input = name(split(graph)?.0).to_owned();
    let found = graph.input.iter_mut().find(|info| name(info) == input);
    let dims = found.and_then(|info| Some(&mut info.r#type.as_mut()?.tensor_type.as_mut()?.shape.as_mut()?.dim));
    let dims = dims.ok_or_else(|| malformed(format!("input {input:?} has no shape")))?;
    let extents: Vec<_> = dims.iter().map(|dim| dim.dim_value.filter(|&extent| extent > 0)).collect();
    let wanted = i64::try_from(rows).ok().filter(|&rows| rows > 0);
    let open: Vec<usize> = (1..extents.len()).filter(|&at| extents[at].is_none()).collect();
    match (&open[..], wanted) {
        (&[at], Some(_)) => dims[at].dim_value = wanted,
        // Nothing is open, and nothing else was said.
        ([], Some(_)) if extents.iter().skip(1).any(|&extent| extent == wanted) => {}
        _ => {
            let help = format!("input {input:?} has extents {extents:?}: a length is for one that is open");
            return Err(refuse("length", rows, &help));
        }
    }
    Ok(())
}

/// Reads the inputs of a graph.
pub(super) fn read(graph: &GraphProto) -> Result<Inputs<'_>, ModelError> {
    let (input, fixed) = split(graph)?;
    let (mut constants, mut lengths) = (Vec::new(), Vec::new());
    for (info, value) in fixed {
        if counts_rows(info) {
            lengths.push((name(info), fixed_extents(info, MAX_FIXED)?));
        } else {
            constants.push((name(info), Rc::new(constant(info, value)?)));
        }
    }
    let extents = extents(input).ok_or_else(|| malformed(format!("input {:?} has no shape", name(input))))?;
    if extents.first().copied().flatten().unwrap_or(1) != 1 {
        return Err(refuse("input extents", extents, "export it with a batch of 1 or a dynamic one"));
    }
    let (mut taken, mut room) = (Vec::new(), MAX_FIXED);
    for (info, output) in states(graph)? {
        let dims = fixed_extents(info, room)?;
        room -= dims.iter().product::<usize>();
        taken.push(State { input: name(info), output, dims });
    }
    Ok(Inputs { name: name(input), ways: ways(&extents)?, extents, constants, lengths, states: taken })
}

/// Extents of an input that is fixed or a state, of at most `room` entries; symbolic ones are 1.
fn fixed_extents(info: &ValueInfoProto, room: usize) -> Result<Vec<usize>, ModelError> {
    let dims: Vec<usize> = extents(info).unwrap_or_default().into_iter().map(|extent| extent.unwrap_or(1)).collect();
    let size = dims.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent)).filter(|&n| n <= room);
    size.map(|_| dims.clone())
        .ok_or_else(|| refuse("input extents", &dims, "only small inputs can be fixed, or be states"))
}

/// An input of which every entry is `value`; symbolic extents are 1.
pub(super) fn constant(info: &ValueInfoProto, value: f64) -> Result<Tensor, ModelError> {
    let dims = fixed_extents(info, MAX_FIXED)?;
    let size = dims.iter().product();
    let data_type = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()?.elem_type);
    let integer = data_type.and_then(is_integer).unwrap_or(false);
    let values = if integer { Values::Int(vec![value as i64; size]) } else { Values::Float(vec![value; size]) };
    Ok(Tensor { dims, values })
}

/// Which axes of the input are rows and which are columns, of one meaning of its extents: atoms are numbered after axes.
pub(super) fn axes(data: &Data, extents: &[Option<usize>]) -> InputAxes {
    let axes = |atoms: &[Atom]| atoms.iter().map(|atom| (atom.id as usize).saturating_sub(1)).collect();
    InputAxes { extents: extents.to_vec(), rows: axes(&data.rows), columns: axes(&data.cols) }
}

/// Every meaning that these extents of the input can have.
fn ways(extents: &[Option<usize>]) -> Result<Vec<Data>, ModelError> {
    let atom = |at: usize| Atom { id: at as u32 + 1, extent: extents[at] };
    let axis = |at: usize| -> Axis { if extents[at] == Some(1) || at == 0 { vec![] } else { vec![atom(at)] } };
    // Columns need an extent; all other axes but the batch are rows.
    let way = |rows: &[usize], cols: &[usize]| {
        let cols: Vec<Atom> = cols.iter().flat_map(|&at| axis(at)).collect();
        let rows: Vec<Atom> = rows.iter().flat_map(|&at| axis(at)).collect();
        count(&cols)?;
        count(rows.get(1..).unwrap_or_default())?;
        Some(Data { node: NodeRef::Input, axes: (0..extents.len()).map(axis).collect(), rows, cols })
    };
    let ways = match *extents {
        [_, _] => vec![way(&[], &[1]), way(&[1], &[])],
        [_, _, _] => vec![way(&[1], &[2]), way(&[2], &[1])],
        // One channel: features of frames, as a front end gives them.
        [_, Some(1), _, _] => vec![way(&[2], &[3]), way(&[3], &[2]), way(&[2, 3], &[])],
        [_, _, _, _] => vec![way(&[2, 3], &[1]), way(&[3, 2], &[1])],
        _ => {
            let help = "[batch, time, channels], [batch, channels, time], [batch, channels], [batch, samples] or an \
                        image [batch, channels, height, width] is needed";
            return Err(refuse("input extents", extents, help));
        }
    };
    Ok(ways.into_iter().flatten().collect())
}
