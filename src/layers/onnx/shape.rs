//! Shape arithmetic: extents as constants of the graph, those that only a recording decides among them.
//!
//! An extent that is not known is an integer far below any that a network computes with, and carries the number of the
//! atom whose extent it is. Nodes that move integers (`Gather`, `Concat`, `Slice`, …) then move extents too, and a
//! comparison with 1 or −1 is false, as it is for the extent of time. Arithmetic with one of them gives one of no atom.
//! A file that has such an integer of its own gains nothing: it stands for an extent that is not known.

use super::import::Importer;
use super::node::NodeView;
use super::tensor::{Tensor, Values};
use super::value::{Atom, Axis, Value};
use crate::error::ModelError;

/// Extents that are not known start here.
const UNKNOWN: i64 = i64::MIN / 2;

/// The extent of an atom that is not known.
pub(super) fn unknown(atom: u32) -> i64 {
    UNKNOWN + i64::from(atom)
}

/// An extent of no atom.
pub(super) const NO_ATOM: i64 = UNKNOWN + u32::MAX as i64;

/// The atom of an extent that is not known; `None` for numbers.
pub(super) fn atom_of(extent: i64) -> Option<u32> {
    extent.checked_sub(UNKNOWN).and_then(|atom| u32::try_from(atom).ok())
}

/// The extent of an axis.
pub(super) fn extent(axis: &Axis) -> i64 {
    match axis[..] {
        [atom] => atom.extent.map_or(unknown(atom.id), |extent| i64::try_from(extent).unwrap_or(NO_ATOM)),
        _ => super::value::count(axis).and_then(|n| i64::try_from(n).ok()).unwrap_or(NO_ATOM),
    }
}

impl<'a> Importer<'a> {
    /// The atom of an extent that is not known after so many more steps (fewer if negative): lengths that padding and
    /// windows bring back to what they were are the same again.
    pub(super) fn longer(&mut self, atom: Atom, by: i64) -> Axis {
        let (base, before) = self.longer.get(&atom.id).copied().unwrap_or((atom.id, 0));
        let by = before.saturating_add(by);
        if by == 0 {
            return vec![Atom { id: base, extent: None }];
        }
        if let Some((&id, _)) = self.longer.iter().find(|(_, length)| **length == (base, by)) {
            return vec![Atom { id, extent: None }];
        }
        let new = self.axis(None);
        self.longer.extend(new.iter().map(|atom| (atom.id, (base, by))));
        new
    }

    /// Extents of a value, or of a constant; `Size` multiplies them.
    pub(super) fn shape_of(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&["start", "end"])?;
        node.at_most_inputs(1)?;
        let value = self.value(node, node.required_input(0)?)?;
        let extents: Vec<i64> = match &value {
            Value::Constant(tensor) | Value::State(tensor) => tensor.dims.iter().map(|&n| n as i64).collect(),
            value => {
                let axes = value.axes().ok_or_else(|| node.unsupported("the shape of this value is not known here"))?;
                axes.iter().map(extent).collect()
            }
        };
        if node.operator() == "Size" {
            let size = extents.iter().try_fold(1i64, |product, &n| product.checked_mul(n).filter(|_| n >= 0));
            return self
                .constant_value(node, Tensor { dims: vec![], values: Values::Int(vec![size.unwrap_or(NO_ATOM)]) });
        }
        let rank = extents.len() as i64;
        let clamp = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
        let (start, end) = (clamp(node.int("start", 0)?), clamp(node.int("end", rank)?));
        let kept: Vec<i64> = extents.get(start..end.max(start)).unwrap_or_default().to_vec();
        self.constant_value(node, Tensor { dims: vec![kept.len()], values: Values::Int(kept) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_that_are_not_known_are_told_from_numbers() {
        for atom in [0, 7, u32::MAX] {
            assert_eq!(atom_of(unknown(atom)), Some(atom));
        }
        for number in [0, 1, -1, 512, i64::MAX, i64::MIN, i64::MIN + 1, i64::from(i32::MIN)] {
            assert_eq!(atom_of(number), None);
        }
    }
}
