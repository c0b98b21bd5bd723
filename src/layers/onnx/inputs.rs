//! The inputs of a graph: the one that is the network's, and those that are constants by nature.

use std::collections::HashSet;
use std::rc::Rc;

use super::Interface;
use super::import::{malformed, refuse};
use super::proto::{GraphProto, ValueInfoProto};
use super::tensor::{Tensor, Values, is_integer};
use super::value::{Atom, Axis, Data, count};
use crate::error::ModelError;
use crate::layers::network::NodeRef;

/// The first atom that the walk makes has a number above those of the input.
pub(super) const ATOMS: u32 = 16;
/// Most numbers of an input that is fixed.
const MAX_FIXED: usize = 1 << 20;

/// The inputs of a graph.
pub(super) struct Inputs<'a> {
    /// Name of the network's input.
    pub(super) name: &'a str,
    /// Every meaning that its extents can have, the likelier first.
    pub(super) ways: Vec<Data>,
    /// The inputs that are fixed.
    pub(super) constants: Vec<(&'a str, Rc<Tensor>)>,
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

/// What an input beside the network's is unless it was fixed: sampling rates are 16000, states start from zeros.
fn usual(name: &str) -> Option<f64> {
    match name {
        "sr" | "sample_rate" | "sampling_rate" => Some(16_000.0),
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
    let fixed = |info: &ValueInfoProto| usual(name(info)).filter(|_| free.len() > 1);
    let open: Vec<&ValueInfoProto> = free.iter().copied().filter(|info| fixed(info).is_none()).collect();
    let [input] = open[..] else {
        let names: Vec<_> = open.iter().map(|info| name(info)).take(8).collect();
        let help = "export it with one input, or fix the others (--input NAME=VALUE)";
        return Err(refuse("inputs", names, help));
    };
    Ok((input, free.iter().filter_map(|&info| Some((info, fixed(info)?))).collect()))
}

/// What a graph takes and gives.
pub(super) fn interface(graph: &GraphProto) -> Result<Interface, ModelError> {
    let (input, fixed) = split(graph)?;
    let mut outputs = graph.output.iter().map(|info| name(info).to_owned());
    let output = outputs.next().ok_or_else(|| refuse("outputs", 0, "export it with one output"))?;
    Ok(Interface {
        input: name(input).to_owned(),
        constants: fixed.iter().map(|&(info, value)| (name(info).to_owned(), value)).collect(),
        output,
        unused: outputs.collect(),
    })
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
    let mut constants = Vec::new();
    for (info, value) in fixed {
        constants.push((name(info), Rc::new(constant(info, value)?)));
    }
    let extents = extents(input).ok_or_else(|| malformed(format!("input {:?} has no shape", name(input))))?;
    if extents.first().copied().flatten().unwrap_or(1) != 1 {
        return Err(refuse("input extents", extents, "export it with a batch of 1 or a dynamic one"));
    }
    Ok(Inputs { name: name(input), ways: ways(&extents)?, constants })
}

/// An input of which every entry is `value`; symbolic extents are 1.
pub(super) fn constant(info: &ValueInfoProto, value: f64) -> Result<Tensor, ModelError> {
    let dims: Vec<usize> = extents(info).unwrap_or_default().into_iter().map(|extent| extent.unwrap_or(1)).collect();
    let size = dims.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent)).filter(|&n| n <= MAX_FIXED);
    let size = size.ok_or_else(|| refuse("input extents", &dims, "only small inputs can be fixed"))?;
    let data_type = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()?.elem_type);
    let integer = data_type.and_then(is_integer).unwrap_or(false);
    let values = if integer { Values::Int(vec![value as i64; size]) } else { Values::Float(vec![value; size]) };
    Ok(Tensor { dims, values })
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
