//! Operators that mean something only together, or that move no values at all.

use std::rc::Rc;

use super::import::Importer;
use super::layers::shape;
use super::node::NodeView;
use super::tensor::{Tensor, Values};
use super::value::{Axis, Data, Statistic, StatisticKind, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

/// Most recurrent layers whose final states are concatenated: more would only be an attack.
const MAX_FINAL_STATES: usize = 16;

/// An axis attribute, counted from the end if negative.
pub(super) fn axis_index(node: &NodeView, axis: i64, rank: usize) -> Result<usize, ModelError> {
    let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let index = if axis < 0 { axis.checked_add(rank_signed) } else { Some(axis) };
    index
        .and_then(|index| usize::try_from(index).ok())
        .filter(|&index| index < rank)
        .ok_or_else(|| node.malformed(format!("has axis {axis} for {rank} axes")))
}

impl<'a> Importer<'a> {
    pub(super) fn constant(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["value", "value_float", "value_floats", "value_int", "value_ints"])?;
        node.at_most_inputs(0)?;
        let tensor = if let Some(proto) = node.tensor("value")? {
            Tensor::read(proto)?
        } else if node.has("value_float") {
            let value = node.float("value_float", 0.0)?;
            Tensor { dims: vec![], values: Values::Float(vec![value]) }
        } else if let Some(values) = node.floats("value_floats")? {
            Tensor { dims: vec![values.len()], values: Values::Float(values) }
        } else if node.has("value_int") {
            let value = node.int("value_int", 0)?;
            Tensor { dims: vec![], values: Values::Int(vec![value]) }
        } else if let Some(values) = node.ints("value_ints") {
            Tensor { dims: vec![values.len()], values: Values::Int(values.to_vec()) }
        } else {
            return Err(node.malformed("has no value"));
        };
        self.spend(node, tensor.len())?;
        Ok(Value::Constant(Rc::new(tensor)))
    }

    /// The axes a reduction or Squeeze names, as an attribute or (newer opsets) as an input.
    pub(super) fn axes(&mut self, node: &NodeView, rank: usize) -> Result<Vec<usize>, ModelError> {
        let given = match (node.ints("axes"), node.input(1)) {
            (Some(axes), None) => axes.to_vec(),
            (None, Some(name)) => {
                let tensor = self.tensor(node, name)?;
                tensor.ints().ok_or_else(|| node.malformed("has axes that are not integers"))?.to_vec()
            }
            _ => return Err(node.unsupported("name its axes explicitly")),
        };
        given.iter().map(|&axis| axis_index(node, axis, rank)).collect()
    }

    pub(super) fn transpose(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["perm"])?;
        node.at_most_inputs(1)?;
        let data = self.data(node, node.required_input(0)?)?;
        let rank = data.axes.len();
        let order = match node.ints("perm") {
            Some(perm) => perm.iter().map(|&axis| axis_index(node, axis, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..rank).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(node.malformed(format!("has perm {order:?} for {rank} axes")));
        }
        let axes = order.iter().map(|&axis| data.axes[axis]).collect();
        Ok(Value::Data(Data { axes, ..data }))
    }

    pub(super) fn squeeze(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes"])?;
        node.at_most_inputs(2)?;
        let name = node.required_input(0)?;
        if let Value::FinalStates { layers, axes } = self.value(node, name)? {
            let removed = self.axes(node, axes.len())?;
            let direction = axes.iter().position(|&axis| axis == Axis::Direction);
            return match (&layers[..], direction) {
                ([layer], Some(direction)) if removed == [direction] => {
                    Ok(Value::Data(self.last_row(node, layer, vec![Axis::Batch, Axis::Channel])))
                }
                _ => Err(node.unsupported("select the final hidden state of one layer first")),
            };
        }
        let mut data = self.data(node, name)?;
        let removed = self.axes(node, data.axes.len())?;
        for &axis in &removed {
            let one = match data.axes[axis] {
                Axis::Direction => true,
                Axis::Time => data.single_row,
                _ => false,
            };
            if !one {
                return Err(shape(node, "an axis known to be 1", data.axes[axis]));
            }
        }
        let kept = data.axes.iter().enumerate().filter(|(index, _)| !removed.contains(index));
        data.axes = kept.map(|(_, &axis)| axis).collect();
        Ok(Value::Data(data))
    }

    /// The last time step of `source`.
    fn last_row(&mut self, node: &NodeView, source: &Data, axes: Vec<Axis>) -> Data {
        let last = self.push(node, source, Op::LastRow);
        Data { axes, single_row: true, ..last }
    }

    pub(super) fn gather(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        node.at_most_inputs(2)?;
        let (name, index) = (node.required_input(0)?, node.required_input(1)?);
        let index = self.tensor(node, index)?;
        let ([], Some(&[index])) = (&index.dims[..], index.ints()) else {
            return Err(node.unsupported("gather a single constant index"));
        };
        let axis = node.int("axis", 0)?;
        if let Value::FinalStates { layers, axes } = self.value(node, name)? {
            let axis = axis_index(node, axis, axes.len())?;
            if axes[axis] != Axis::Direction {
                return Err(node.unsupported("gather the final hidden state of a layer"));
            }
            let layer = &layers[axis_index(node, index, layers.len())?];
            let axes = vec![Axis::Batch, Axis::Channel];
            return Ok(Value::Data(self.last_row(node, layer, axes)));
        }
        let data = self.data(node, name)?;
        let axis = axis_index(node, axis, data.axes.len())?;
        if data.axes[axis] != Axis::Time || index != -1 {
            return Err(node.unsupported("only the last time step (index -1) can be gathered"));
        }
        let mut axes = data.axes.clone();
        axes.remove(axis);
        Ok(Value::Data(self.last_row(node, &data, axes)))
    }

    pub(super) fn concat(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        let axis = node.int("axis", 0)?;
        if node.num_inputs() == 2
            && let Some(pool) = self.statistics_pooling(node, axis)?
        {
            return Ok(pool);
        }
        if let Value::FinalStates { .. } = self.value(node, node.required_input(0)?)? {
            return self.concat_states(node, axis);
        }
        let inputs = self.broadcast_inputs(node)?;
        let axes = &inputs[0].axes;
        if axes[axis_index(node, axis, axes.len())?] != Axis::Channel || inputs[0].flattened.is_some() {
            return Err(node.unsupported("values can only be concatenated along channels"));
        }
        let columns = inputs.iter().fold(0usize, |sum, data| sum.saturating_add(data.columns));
        self.spend(node, columns)?;
        let result = self.push_all(node, &inputs, Op::Concat);
        Ok(Value::Data(Data { columns, ..result }))
    }

    /// Final hidden states of several layers side by side.
    fn concat_states(&mut self, node: &NodeView, axis: i64) -> Result<Value, ModelError> {
        let mut all = Vec::new();
        let mut result_axes: Option<Vec<Axis>> = None;
        for input in 0..node.num_inputs() {
            match self.value(node, node.required_input(input)?)? {
                Value::FinalStates { layers, axes }
                    if result_axes.as_ref().is_none_or(|seen| *seen == axes)
                        && axes[axis_index(node, axis, axes.len())?] == Axis::Direction =>
                {
                    all.extend_from_slice(&layers);
                    result_axes = Some(axes);
                }
                _ => {
                    let help = "final hidden states can be concatenated with each other only";
                    return Err(node.unsupported(help));
                }
            }
            if all.len() > MAX_FINAL_STATES {
                return Err(node.malformed(format!("has over {MAX_FINAL_STATES} final states")));
            }
        }
        let axes = result_axes.ok_or_else(|| node.malformed("has no inputs"))?;
        Ok(Value::FinalStates { layers: all.into(), axes })
    }

    /// Channels in runs, one an output.
    pub(super) fn split(&mut self, node: &NodeView) -> Result<Vec<Value>, ModelError> {
        node.only(&["axis", "split", "num_outputs"])?;
        node.at_most_inputs(2)?;
        let data = self.data(node, node.required_input(0)?)?;
        let axis = axis_index(node, node.int("axis", 0)?, data.axes.len())?;
        if data.axes[axis] != Axis::Channel || data.flattened.is_some() {
            return Err(node.unsupported("only channels can be split"));
        }
        let outputs = node.outputs().len();
        if node.has("num_outputs") && usize::try_from(node.int("num_outputs", 0)?) != Ok(outputs) {
            return Err(node.malformed(format!("has {outputs} outputs, not as many as it says")));
        }
        let sizes = match (node.ints("split"), node.input(1)) {
            (Some(sizes), None) => sizes.to_vec(),
            (None, Some(name)) => {
                let tensor = self.tensor(node, name)?;
                tensor.ints().ok_or_else(|| node.malformed("has sizes that are not integers"))?.to_vec()
            }
            (None, None) if outputs > 0 && data.columns.is_multiple_of(outputs) => {
                vec![(data.columns / outputs) as i64; outputs]
            }
            _ => return Err(node.unsupported("name its sizes, once")),
        };
        let mut first = 0usize;
        let mut runs = Vec::with_capacity(outputs);
        for size in sizes {
            let columns = usize::try_from(size).ok().filter(|&n| n > 0 && n <= data.columns - first);
            let columns = columns.ok_or_else(|| shape(node, format!("sizes that add up to {}", data.columns), size))?;
            let run = self.push(node, &data, Op::Slice { first, columns });
            runs.push(Value::Data(Data { columns, ..run }));
            first += columns;
        }
        if first != data.columns {
            return Err(shape(node, format!("sizes that add up to {}", data.columns), first));
        }
        Ok(runs)
    }

    /// One row made as many as those of the value that it is combined with next.
    pub(super) fn expand(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let data = self.data(node, node.required_input(0)?)?;
        let shape_name = node.required_input(1)?;
        let tensor = self.tensor(node, shape_name)?;
        let extents = tensor.ints().ok_or_else(|| node.malformed("has a shape that is not of integers"))?;
        let fits = |(&axis, &extent): (&Axis, &i64)| match axis {
            Axis::Time => extent > 0,
            Axis::Channel => extent == 1 || usize::try_from(extent) == Ok(data.columns),
            _ => extent == 1,
        };
        let along_time = extents.len() == data.axes.len() && data.axes.iter().zip(extents).all(fits);
        if !along_time || !data.single_row || data.image.is_some() {
            return Err(node.unsupported("only a single row can be expanded, along time"));
        }
        Ok(Value::Expanded(data))
    }

    /// One row as often as the value that it is combined with next has rows.
    pub(super) fn tile(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let data = self.data(node, node.required_input(0)?)?;
        let repeats = node.required_input(1)?;
        let tensor = self.tensor(node, repeats)?;
        let repeats = tensor.ints().ok_or_else(|| node.malformed("has repeats that are not integers"))?;
        let fits = |(&axis, &count): (&Axis, &i64)| count == 1 || (axis == Axis::Time && count > 0);
        let along_time = repeats.len() == data.axes.len() && data.axes.iter().zip(repeats).all(fits);
        if !along_time || !data.single_row || data.image.is_some() {
            return Err(node.unsupported("only a single row can be repeated, along time"));
        }
        Ok(Value::Expanded(data))
    }

    /// A new axis of extent 1: channels of samples, or time of a single row.
    pub(super) fn unsqueeze(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes"])?;
        node.at_most_inputs(2)?;
        let mut data = self.data(node, node.required_input(0)?)?;
        let [at] = self.axes(node, data.axes.len() + 1)?[..] else {
            return Err(node.unsupported("one axis at a time"));
        };
        let missing = |axis: Axis| !data.axes.contains(&axis);
        let new = match data.image {
            None if missing(Axis::Channel) && data.columns == 1 => Axis::Channel,
            None if missing(Axis::Time) && data.single_row => Axis::Time,
            _ => return Err(node.unsupported("only samples have no channels yet, and single rows no time")),
        };
        data.axes.insert(at, new);
        Ok(Value::Data(data))
    }

    /// A single row with or without its time axis.
    pub(super) fn reshape(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["allowzero"])?;
        node.at_most_inputs(2)?;
        let data = self.data(node, node.required_input(0)?)?;
        let shape_name = node.required_input(1)?;
        let tensor = self.tensor(node, shape_name)?;
        let extents = tensor.ints().ok_or_else(|| node.malformed("has a shape that is not of integers"))?;
        let row = data.single_row && data.image.is_none() && data.flattened.is_none();
        let known = matches!(data.axes[..], [Axis::Batch, Axis::Channel] | [Axis::Batch, Axis::Channel, Axis::Time]);
        let is = |extent: i64, count: usize| extent == -1 || usize::try_from(extent) == Ok(count);
        let inferred = extents.iter().filter(|&&extent| extent == -1).count();
        let axes = match *extents {
            [batch, channels] if is(batch, 1) && is(channels, data.columns) => vec![Axis::Batch, Axis::Channel],
            [batch, channels, time] if is(batch, 1) && is(channels, data.columns) && is(time, 1) => {
                vec![Axis::Batch, Axis::Channel, Axis::Time]
            }
            _ => return Err(shape(node, format!("one row of {} channels", data.columns), extents)),
        };
        if !row || !known || inferred > 1 {
            return Err(node.unsupported("only a single row can be reshaped, to [1, channels] or [1, channels, 1]"));
        }
        Ok(Value::Data(Data { axes, ..data }))
    }

    /// One sample before the first, which mirrors what follows it.
    pub(super) fn pad(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let mode = node.text("mode", "constant")?;
        if mode != "reflect" {
            return Err(node.refuse("mode", mode, "only reflection can be imported; give zeros to Conv as pads"));
        }
        node.only(&["mode"])?;
        node.at_most_inputs(2)?;
        let data = self.data(node, node.required_input(0)?)?;
        let tensor = self.tensor(node, node.required_input(1)?)?;
        let pads = tensor.ints().ok_or_else(|| node.malformed("has pads that are not integers"))?;
        let rank = data.axes.len();
        let before = |(i, &pad): (usize, &i64)| pad == i64::from(data.axes.get(i) == Some(&Axis::Time));
        if pads.len() != 2 * rank || data.single_row || !pads.iter().enumerate().all(before) {
            return Err(node.refuse("pads", format!("{pads:?}"), "only one sample before the first can be mirrored"));
        }
        Ok(Value::Data(self.push(node, &data, Op::MirrorPad)))
    }

    pub(super) fn reduce_l2(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
        node.at_most_inputs(2)?;
        node.int_only("keepdims", 1, "keep the dimension, so that the division broadcasts")?;
        let data = self.data(node, node.required_input(0)?)?;
        let reduced = self.axes(node, data.axes.len())?;
        match reduced[..] {
            [axis] if data.axes[axis] == Axis::Channel => Ok(Value::Norm(data)),
            _ => Err(node.unsupported("only the norm over all channels can be imported")),
        }
    }

    pub(super) fn clip(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["min", "max"])?;
        node.at_most_inputs(3)?;
        let mut bounds = [None; 2];
        for (bound, (input, name)) in bounds.iter_mut().zip([(1, "min"), (2, "max")]) {
            if node.has(name) {
                *bound = Some(node.float(name, 0.0)?);
            } else if let Some(name) = node.input(input) {
                let (_, values) = self.floats(node, name)?;
                let [value] = values[..] else {
                    return Err(shape(node, "a bound of one number", values.len()));
                };
                *bound = Some(value);
            }
        }
        // Exporters write the largest float32 for no bound.
        let largest = f64::from(f32::MAX);
        let [minimum, maximum] = [bounds[0].unwrap_or(-largest), bounds[1].unwrap_or(largest)];
        let value = self.value(node, node.required_input(0)?)?;
        let variance = matches!(&value, Value::Statistic(value) if value.kind == StatisticKind::Variance);
        if maximum < largest && !(variance && maximum >= minimum) {
            return Err(node.refuse(
                "max",
                format!("{:?}", bounds[1]),
                "clip from below only, unless it is a variance",
            ));
        }
        match value {
            Value::Statistic(value) if variance && minimum >= 0.0 => {
                let kind = StatisticKind::Clipped(minimum);
                let limit = if maximum < largest { maximum } else { f64::INFINITY };
                Ok(Value::Statistic(Statistic { kind, limit, ..value }))
            }
            // The guard against a row of zeros, which stays zero here as well.
            Value::Norm(data) if (0.0..=1e-6).contains(&minimum) => Ok(Value::Norm(data)),
            Value::Data(data) if minimum == 0.0 => Ok(Value::Data(self.push(node, &data, Op::Relu))),
            _ => Err(node.refuse(
                "min",
                minimum,
                "only a variance, a norm (at most 1e-6) or values from 0 can be clipped",
            )),
        }
    }
}
