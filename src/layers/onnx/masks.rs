//! Masks of lengths: what exporters write to leave out what a batch pads its recordings with. A recording by itself has no
//! padding, so that the steps of its time, compared with their number, give a mask that is true everywhere.
//!
//! ```text
//! steps        Range(0, T)                        0, 1, …, T − 1 along time
//! mask         steps < T                          1 everywhere; steps ≥ T is 0 everywhere
//! sum of mask  T
//! mask / T     equal weights, whose products are summed to means
//! ```
//!
//! `T` is an extent that only a recording decides; where it is known all of this is constant and evaluated. Steps are
//! compared with the extent that they count up to and with no other.

use super::elementwise::single;
use super::fold_moves::{axis_index, slice_operands};
use super::import::Importer;
use super::layout::extents_of;
use super::node::NodeView;
use super::shape::atom_of;
use super::tensor::{Tensor, Values};
use super::value::{Along, Atom, Axis, Data, Every, Statistic, StatisticKind, Value};
use crate::error::ModelError;

const HELP: &str = "masks of lengths are compared, negated, combined, summed over time and multiplied with values; steps \
                    of time can only be compared with their number";

/// The atom of an extent that is not known: of a float, or of integers that are all this one.
fn extent_atom(value: &Value) -> Option<u32> {
    match value {
        Value::Count(atom, 0.0) => Some(*atom),
        Value::Constant(tensor) => {
            let (&first, rest) = tensor.ints()?.split_first()?;
            rest.iter().all(|&n| n == first).then(|| atom_of(first)).flatten()
        }
        _ => None,
    }
}

/// What a comparison of `a` and `b` is everywhere.
fn compared(operator: &str, a: f64, b: f64) -> Option<f64> {
    let holds = match operator {
        "Equal" => a == b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        "And" => a != 0.0 && b != 0.0,
        "Or" => a != 0.0 || b != 0.0,
        _ => return None,
    };
    Some(f64::from(u8::from(holds)))
}

/// What an operator gives of two numbers that are the same everywhere.
fn combined(operator: &str, a: f64, b: f64) -> Option<f64> {
    let result = match operator {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        _ => return compared(operator, a, b),
    };
    result.is_finite().then_some(result)
}

/// Whether a mask of these axes is repeated along those of a value only where it has extent 1.
fn covers(mask: &[Axis], value: &[Axis]) -> bool {
    let fits = |(mask, value): (&Axis, &Axis)| mask.is_empty() || mask == value;
    mask.len() <= value.len() && mask.iter().rev().zip(value.iter().rev()).all(fits)
}

fn every(axes: Vec<Axis>, along: Along) -> Value {
    Value::Every(Every { axes, along })
}

impl<'a> Importer<'a> {
    /// The value of a node of masks; `None` if it is another.
    pub(super) fn mask(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, ModelError> {
        let operator = node.operator();
        let mut inputs = Vec::new();
        for name in (0..node.num_inputs().min(3)).filter_map(|index| node.input(index)) {
            let known = self.values.get(name);
            inputs.push(match known {
                Some(value @ (Value::Every(_) | Value::Count(..))) => value.clone(),
                _ if matches!(operator.as_str(), "Range" | "ConstantOfShape" | "Expand") => self.value(node, name)?,
                _ => Value::Unavailable("not needed"),
            });
        }
        match (operator.as_str(), &inputs[..]) {
            ("Range", [Value::Constant(from), to, Value::Constant(step)]) => {
                let whole = |tensor: &Tensor| single(tensor);
                let counts = whole(from) == Some(0.0) && whole(step) == Some(1.0);
                let atom = extent_atom(to).filter(|_| counts);
                Ok(atom.map(|id| every(vec![vec![Atom { id, extent: None }]], Along::Steps)))
            }
            ("ConstantOfShape", [Value::Constant(shape)]) => self.constant_everywhere(node, shape),
            (_, inputs) if !inputs.iter().any(|value| matches!(value, Value::Every(_) | Value::Count(..))) => Ok(None),
            ("Gather", [_, Value::Every(index)]) => self.read_positions(node, index),
            ("Expand", [Value::Every(mask), Value::Constant(shape)]) => self.expanded_mask(node, mask, shape).map(Some),
            ("Where", [Value::Every(mask), ..]) => self.chosen_everywhere(node, mask),
            ("Slice", [Value::Every(mask), ..]) => self.whole_of_mask(node, mask).map(Some),
            ("ReduceSum", [Value::Every(mask), ..]) => self.summed_mask(node, mask),
            ("Not", [Value::Every(Every { axes, along: Along::Number(n) })]) => {
                Ok(Some(every(axes.clone(), Along::Number(f64::from(u8::from(*n == 0.0))))))
            }
            ("Cast" | "CastLike", [value, ..]) => Ok(Some(value.clone())),
            ("Unsqueeze" | "Squeeze" | "Reshape", [value @ Value::Count(..), ..]) => Ok(Some(value.clone())),
            ("Transpose" | "Unsqueeze" | "Squeeze" | "Shape" | "Identity" | "Dropout", _) => Ok(None),
            (_, [_, _]) => self.mask_and_other(node),
            _ => Ok(None),
        }
    }

    /// A constant of extents that are not known.
    fn constant_everywhere(&mut self, node: &NodeView, shape: &Tensor) -> Result<Option<Value>, ModelError> {
        let extents = shape.ints().unwrap_or_default();
        if !extents.iter().any(|&n| atom_of(n).is_some()) {
            return Ok(None);
        }
        let number = match node.tensor("value")? {
            Some(proto) => {
                let tensor = Tensor::read(proto)?;
                single(&tensor)
            }
            None => Some(0.0),
        };
        let number = number.ok_or_else(|| node.malformed("has a value that is no single number"))?;
        let axes = extents.iter().map(|&n| self.axis_of_extent(node, n)).collect::<Result<_, _>>()?;
        Ok(Some(every(axes, Along::Number(number))))
    }

    fn axis_of_extent(&mut self, node: &NodeView, extent: i64) -> Result<Axis, ModelError> {
        match (atom_of(extent), usize::try_from(extent)) {
            (Some(u32::MAX), _) | (None, Err(_)) => Err(node.unsupported("its extents are not known")),
            (Some(id), _) => Ok(vec![Atom { id, extent: None }]),
            (None, Ok(extent)) => Ok(self.axis(Some(extent))),
        }
    }

    fn expanded_mask(&mut self, node: &NodeView, mask: &Every, shape: &Tensor) -> Result<Value, ModelError> {
        let targets = shape.ints().unwrap_or_default();
        let rank = targets.len().max(mask.axes.len());
        let mut axes: Vec<Axis> = vec![vec![]; rank - mask.axes.len()];
        axes.extend(mask.axes.iter().cloned());
        for (axis, &target) in axes.iter_mut().rev().zip(targets.iter().rev()) {
            if axis.is_empty() && target != 1 && target != -1 {
                *axis = self.axis_of_extent(node, target)?;
            } else if ![1, -1, super::shape::extent(axis)].contains(&target) {
                return Err(super::layout::shape(node, extents_of(&mask.axes), targets));
            }
        }
        Ok(every(axes, mask.along))
    }

    /// The value that a mask chooses everywhere.
    fn chosen_everywhere(&mut self, node: &NodeView, mask: &Every) -> Result<Option<Value>, ModelError> {
        node.only(&[])?;
        let Along::Number(number) = mask.along else { return Err(node.unsupported(HELP)) };
        let chosen = self.value(node, node.required_input(if number != 0.0 { 1 } else { 2 })?)?;
        match chosen.axes() {
            Some(axes) if covers(&mask.axes, axes) => Ok(Some(chosen)),
            _ => Err(node.unsupported("a mask that is the same everywhere must choose a value of the network")),
        }
    }

    /// A slice that takes all steps.
    fn whole_of_mask(&mut self, node: &NodeView, mask: &Every) -> Result<Value, ModelError> {
        let mut tensors = vec![None];
        for input in 1..node.num_inputs().min(5) {
            tensors.push(node.input(input).map(|name| self.tensor(node, name)).transpose()?);
        }
        let inputs: Vec<_> = tensors.iter().map(|tensor| tensor.as_deref()).collect();
        let operands = slice_operands(node, &inputs, mask.axes.len()).unwrap_or_default();
        let whole = |&[start, end, axis, step]: &[i64; 4]| {
            let axis = axis_index(node, axis, mask.axes.len()).ok()?;
            let own = super::shape::extent(&mask.axes[axis]);
            (start == 0 && step == 1 && (end == own || end > 1 << 30)).then_some(())
        };
        let all = !operands.is_empty() && operands.iter().all(|operand| whole(operand).is_some());
        all.then(|| every(mask.axes.clone(), mask.along)).ok_or_else(|| node.unsupported(HELP))
    }

    /// How many there are: the extent of the one axis that is summed over.
    fn summed_mask(&mut self, node: &NodeView, mask: &Every) -> Result<Option<Value>, ModelError> {
        node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
        let rank = mask.axes.len();
        let over: Vec<usize> = match self.list(node, 1, "axes")? {
            Some(axes) if !axes.is_empty() => {
                axes.iter().map(|&axis| axis_index(node, axis, rank)).collect::<Result<_, _>>()?
            }
            _ => (0..rank).collect(),
        };
        let summed: Vec<Atom> = over.iter().flat_map(|&axis| mask.axes[axis].iter().copied()).collect();
        let rest = (0..rank).filter(|axis| !over.contains(axis)).all(|axis| mask.axes[axis].is_empty());
        match (mask.along, &summed[..]) {
            (Along::Number(1.0), [atom]) if rest => Ok(Some(Value::Count(atom.id, 0.0))),
            _ => Err(node.unsupported(HELP)),
        }
    }

    /// Two inputs, of which one is a mask or an extent that is not known.
    fn mask_and_other(&mut self, node: &NodeView) -> Result<Option<Value>, ModelError> {
        let operator = node.operator();
        let [left, right] = [self.value(node, node.required_input(0)?)?, self.value(node, node.required_input(1)?)?];
        let number = |value: &Value| match value {
            Value::Constant(tensor) => single(tensor).filter(|_| tensor.ints().is_none_or(|n| atom_of(n[0]).is_none())),
            _ => None,
        };
        match (&left, &right) {
            (Value::Every(mask), other) | (other, Value::Every(mask))
                if mask.along == Along::Steps && extent_atom(other).is_some() =>
            {
                // A step is at least 0 and less than their number.
                let [a, b] = if matches!(left, Value::Every(_)) { [0.0, 1.0] } else { [1.0, 0.0] };
                let same = extent_atom(other) == mask.axes.concat().first().map(|atom| atom.id);
                let holds = compared(&operator, a, b).filter(|_| same && operator != "And" && operator != "Or");
                let holds = holds.ok_or_else(|| node.unsupported(HELP))?;
                Ok(Some(every(mask.axes.clone(), Along::Number(holds))))
            }
            (Value::Every(a), Value::Every(b)) => match (a.along, b.along) {
                (Along::Number(x), Along::Number(y)) if covers(&a.axes, &b.axes) || covers(&b.axes, &a.axes) => {
                    let axes = if covers(&a.axes, &b.axes) { &b.axes } else { &a.axes };
                    Ok(combined(&operator, x, y).map(|n| every(axes.clone(), Along::Number(n))))
                }
                _ => Err(node.unsupported(HELP)),
            },
            (Value::Every(Every { axes, along: Along::Number(1.0) }), other)
                if operator == "Div" && extent_atom(other).is_some() =>
            {
                Ok(extent_atom(other).map(|atom| every(axes.clone(), Along::Share(atom))))
            }
            (Value::Every(Every { axes, along: Along::Number(x) }), other) if number(other).is_some() => {
                let result = combined(&operator, *x, number(other).unwrap_or(0.0));
                Ok(result.map(|n| every(axes.clone(), Along::Number(n))))
            }
            (other, Value::Every(Every { axes, along: Along::Number(x) })) if number(other).is_some() => {
                let result = combined(&operator, number(other).unwrap_or(0.0), *x);
                Ok(result.map(|n| every(axes.clone(), Along::Number(n))))
            }
            (Value::Every(mask), other) | (other, Value::Every(mask)) if operator == "Mul" => {
                masked(node, mask, other).map(Some)
            }
            (count @ Value::Count(..), other) | (other, count @ Value::Count(..))
                if operator == "Mul" && number(other) == Some(1.0) =>
            {
                Ok(Some(count.clone()))
            }
            (Value::Every(_), _) | (_, Value::Every(_)) => Err(node.unsupported(HELP)),
            (Value::Statistic(sum), other) if operator == "Div" && sum.kind == StatisticKind::Sum => {
                let own = |atom: &u32| matches!(sum.over[..], [Atom { id, .. }] if id == *atom);
                let help = "a sum over time can only be divided by the length of that time; fix the length of recordings for other \
                            numbers (--length SAMPLES)";
                let _ = extent_atom(other).filter(own).ok_or_else(|| node.unsupported(help))?;
                Ok(Some(Value::Statistic(Statistic { kind: StatisticKind::Mean, ..sum.clone() })))
            }
            _ => Ok(None),
        }
    }
}

/// A mask times a value: the value itself, or a step towards its mean with equal weights.
fn masked(node: &NodeView, mask: &Every, value: &Value) -> Result<Value, ModelError> {
    let fits = value.axes().is_some_and(|axes| covers(&mask.axes, axes));
    match (mask.along, value) {
        (Along::Number(1.0), value) if fits => Ok(value.clone()),
        (Along::Share(atom), Value::Data(x)) if fits && is_time(x, atom) => {
            Ok(Value::Statistic(Statistic::new(x.clone(), None, x.axes.clone(), StatisticKind::Weighted)))
        }
        (Along::Share(atom), Value::Statistic(square))
            if fits && is_time(&square.source, atom) && square.scores.is_none() =>
        {
            let kind = match square.kind {
                StatisticKind::Square => StatisticKind::WeightedSquare,
                StatisticKind::CentredSquare => StatisticKind::WeightedCentredSquare,
                _ => return Err(node.unsupported(HELP)),
            };
            Ok(Value::Statistic(Statistic { kind, ..square.clone() }))
        }
        _ => Err(node.unsupported(HELP)),
    }
}

/// Whether the rows of a value are the steps of one time.
fn is_time(data: &Data, atom: u32) -> bool {
    matches!(data.rows[..], [Atom { id, .. }] if id == atom)
}

/// The value of an input that is a length: the extent of the network's own time.
pub(super) fn length(dims: &[usize], rows: &[Atom]) -> Option<Tensor> {
    let size = dims.iter().product();
    let extent = super::shape::extent(&rows.get(..1)?.to_vec());
    Some(Tensor { dims: dims.to_vec(), values: Values::Int(vec![extent; size]) })
}
