//! The inputs of a graph: the one that is the network's, and those that are constants by nature.

use std::collections::HashMap;
use std::rc::Rc;

use super::import::{malformed, refuse};
use super::proto::{GraphProto, TensorProto, ValueInfoProto};
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

/// Reads the inputs of a graph.
pub(super) fn read<'a>(
    graph: &'a GraphProto,
    initializers: &HashMap<&str, &TensorProto>,
) -> Result<Inputs<'a>, ModelError> {
    // Old files list constants among the inputs.
    let free: Vec<&ValueInfoProto> = graph.input.iter().filter(|info| !initializers.contains_key(name(info))).collect();
    let fixed = |info: &ValueInfoProto| free.len() > 1 && usual(name(info)).is_some();
    let open: Vec<&&ValueInfoProto> = free.iter().filter(|info| !fixed(info)).collect();
    let [input] = open[..] else {
        let names: Vec<_> = open.iter().map(|info| name(info)).take(8).collect();
        let help = "export it with one input, or fix the others (--input NAME=VALUE)";
        return Err(refuse("inputs", names, help));
    };
    let mut constants = Vec::new();
    for info in free.iter().filter(|info| fixed(info)) {
        constants.push((name(info), Rc::new(constant(info, usual(name(info)).unwrap_or(0.0))?)));
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
