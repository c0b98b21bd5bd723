//! Operators that take some columns or rows, or put values side by side: Slice, Gather, Split, Concat.

use std::collections::HashMap;
use std::rc::Rc;

use super::fold_moves::{axis_index, slice_indices, slice_operands};
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::shape::atom_of;
use super::tensor::Tensor;
use super::value::{Atom, Axis, Data, Value, count};
use crate::error::ModelError;
use crate::layers::network::{Op, RowMove};

impl<'a> Importer<'a> {
    /// The entries of an axis that `wanted` names, as a new atom.
    fn picked(&mut self, node: &NodeView, data: &Data, axis: usize, wanted: &[usize]) -> Result<Data, ModelError> {
        let extent = count(&data.axes[axis]).unwrap_or(0);
        if wanted.is_empty() || wanted.iter().any(|&at| at >= extent) {
            return Err(shape(node, format!("entries below {extent}, at least one"), wanted.len()));
        }
        if !data.is_in_columns(axis) {
            return Err(node.unsupported("only channels can be picked, and time from its ends"));
        }
        let new = self.axis(Some(wanted.len()));
        let mut result = data.clone();
        let place = data.cols.iter().position(|atom| data.axes[axis].contains(atom)).unwrap_or(0);
        result.cols.retain(|atom| !data.axes[axis].contains(atom));
        result.cols.splice(place..place, new.iter().copied());
        result.axes[axis] = new;
        let from: HashMap<Vec<usize>, usize> =
            (0..data.columns()).map(|column| (data.index_of_column(column), column)).collect();
        let source = |column: usize| {
            let mut index = result.index_of_column(column);
            index[axis] = wanted[index[axis]];
            from.get(&index).copied().unwrap_or(0)
        };
        let places: Vec<usize> = (0..result.columns()).map(source).collect();
        let picked = self.selected(node, data, &places)?;
        Ok(Data { node: picked.node, ..result })
    }

    /// Time from `start` on, every `step`-th; what is left out at the end is counted from there.
    fn kept(
        &mut self,
        node: &NodeView,
        data: &Data,
        axis: usize,
        [start, end, step]: [i64; 3],
    ) -> Result<Data, ModelError> {
        let ([atom], Some(inner)) = (&data.axes[axis][..], data.inner()) else {
            return Err(node.unsupported("only channels and time can be cut"));
        };
        if data.rows.first() != Some(atom) {
            return Err(node.unsupported("of an image, only channels and time can be cut"));
        }
        if (start, step) == (-1, -1) && end < -(1 << 40) {
            let result = self.push(node, data, Op::Rows(RowMove::Reverse { block: inner }));
            return Ok(result);
        }
        let far = |n: i64| n > 1 << 30 || atom_of(n).is_some();
        let from_end = |n: i64| n.unsigned_abs() as usize;
        let (skip_first, skip_last) = match (atom.extent, start, end) {
            (Some(extent), ..) => {
                let Some((first, _, len)) = slice_indices(extent, start, end, 1).filter(|&(_, _, len)| len > 0) else {
                    return Err(shape(node, format!("part of {extent} steps"), [start, end]));
                };
                (first, extent - first - len)
            }
            (None, 0.., _) if far(end) => (start as usize, 0),
            (None, 0.., ..=-1) => (start as usize, from_end(end)),
            _ => return Err(node.unsupported("of time, only a part without some first and last steps can be cut")),
        };
        let step = usize::try_from(step).ok().filter(|&step| step > 0);
        let step = step.ok_or_else(|| node.unsupported("its step must be positive, or reverse all of time"))?;
        if (skip_first, skip_last, step) == (0, 0, 1) {
            return Ok(data.clone());
        }
        let rows = RowMove::Keep { block: inner, skip_first, skip_last, step };
        let mut result = self.push(node, data, Op::Rows(rows));
        let new = match atom.extent {
            None if step == 1 => self.longer(*atom, -i64::try_from(skip_first + skip_last).unwrap_or(i64::MAX)),
            extent => self.axis(extent.map(|extent| (extent - skip_first - skip_last).div_ceil(step))),
        };
        result.replace(atom.id, &new);
        Ok(result)
    }

    /// Starts, ends, axes and steps of a Slice of so many axes.
    fn slice_operands(&mut self, node: &NodeView, rank: usize) -> Result<Vec<[i64; 4]>, ModelError> {
        let mut tensors = vec![None];
        for input in 1..node.num_inputs() {
            tensors.push(node.input(input).map(|name| self.tensor(node, name)).transpose()?);
        }
        let inputs: Vec<_> = tensors.iter().map(|tensor| tensor.as_deref()).collect();
        let operands = slice_operands(node, &inputs, rank);
        operands.ok_or_else(|| node.malformed("has starts, ends, axes or steps that do not fit"))
    }

    fn slice_of_constant(&mut self, node: &NodeView, tensor: &Rc<Tensor>) -> Result<Value, ModelError> {
        let operands = self.slice_operands(node, tensor.dims.len())?;
        let help = "a constant can only be cut to the first steps of a recording";
        Self::cut_constant(tensor, &operands).ok_or_else(|| node.unsupported(help))
    }

    pub(super) fn slice(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes", "ends", "starts"])?;
        node.at_most_inputs(5)?;
        let segments = match self.value(node, node.required_input(0)?)? {
            Value::Segments(segments) => Some(segments),
            _ => None,
        };
        let mut data = match &segments {
            Some(segments) => segments.source.clone(),
            None => match self.value(node, node.required_input(0)?)? {
                Value::Constant(tensor) => return self.slice_of_constant(node, &tensor),
                _ => self.first(node)?,
            },
        };
        let rank = segments.as_ref().map_or(data.axes.len(), |segments| segments.axes.len());
        let operands = self.slice_operands(node, rank)?;
        if let Some(segments) = segments {
            return self.cut_segments(node, *segments, &operands).map(Value::Data);
        }
        for [start, end, axis, step] in operands {
            let axis = axis_index(node, axis, data.axes.len())?;
            let extent = count(&data.axes[axis]);
            data = match extent {
                Some(extent) if data.is_in_columns(axis) && atom_of(start).is_none() => {
                    let end = if atom_of(end).is_some() { i64::MAX } else { end };
                    let all = slice_indices(extent, start, end, step).filter(|&(_, _, len)| len > 0);
                    let (first, step, len) =
                        all.ok_or_else(|| shape(node, format!("part of {extent} entries"), [start, end]))?;
                    let wanted = (0..len as i64).map(|i| (first as i64 + i * step) as usize).collect::<Vec<_>>();
                    if wanted.len() == extent && step > 0 { data } else { self.picked(node, &data, axis, &wanted)? }
                }
                _ => self.kept(node, &data, axis, [start, end, step])?,
            };
        }
        Ok(Value::Data(data))
    }

    pub(super) fn gather(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        node.at_most_inputs(2)?;
        let name = node.required_input(1)?;
        let index = self.tensor(node, name)?;
        let data = self.first(node)?;
        let axis = axis_index(node, node.int("axis", 0)?, data.axes.len())?;
        let Some(wanted) = index.ints().filter(|_| index.dims.len() <= 1) else {
            return Err(node.unsupported("gather constant indices of one axis"));
        };
        let mut result = if let (Some(extent), true) = (count(&data.axes[axis]), data.is_in_columns(axis)) {
            let wanted = wanted.iter().map(|&at| axis_index(node, at, extent)).collect::<Result<Vec<_>, _>>()?;
            self.picked(node, &data, axis, &wanted)?
        } else {
            self.gathered_row(node, &data, axis, wanted)?
        };
        if index.dims.is_empty() {
            result.axes.remove(axis);
        }
        Ok(Value::Data(result))
    }

    /// The first or the last time step.
    fn gathered_row(&mut self, node: &NodeView, data: &Data, axis: usize, wanted: &[i64]) -> Result<Data, ModelError> {
        let &[at] = wanted else { return Err(node.unsupported("only one time step can be gathered")) };
        let last = match data.axes[axis][..] {
            [atom] => at == -1 || atom.extent.is_some_and(|n| Ok(at) == i64::try_from(n - 1)),
            _ => false,
        };
        if last && data.rows == data.axes[axis] {
            let mut result = self.push(node, data, Op::LastRow);
            (result.rows, result.axes[axis]) = (vec![], vec![]);
            return Ok(result);
        }
        if at == 0 && data.rows == data.axes[axis] {
            // The last of the reversed rows.
            let reversed = self.push(node, data, Op::Rows(RowMove::Reverse { block: 1 }));
            let mut result = self.push(node, &reversed, Op::LastRow);
            (result.rows, result.axes[axis]) = (vec![], vec![]);
            return Ok(result);
        }
        if let [Atom { extent: Some(extent), .. }] = data.axes[axis][..] {
            let first = axis_index(node, at, extent)? as i64;
            return self.kept(node, data, axis, [first, first + 1, 1]);
        }
        Err(node.unsupported("of time of unknown length, only the first and the last step can be gathered"))
    }

    /// Channels in runs, one an output.
    pub(super) fn split_columns(&mut self, node: &NodeView) -> Result<Vec<Value>, ModelError> {
        node.only(&["axis", "split", "num_outputs"])?;
        node.at_most_inputs(2)?;
        let data = self.first(node)?;
        let axis = axis_index(node, node.int("axis", 0)?, data.axes.len())?;
        let along_time = !data.is_in_columns(axis);
        let extent = count(&data.axes[axis]);
        let extent = extent.ok_or_else(|| {
            node.unsupported("time can only be split if its length is known; fix it (--length SAMPLES)")
        })?;
        let outputs = node.outputs().len();
        if node.has("num_outputs") && usize::try_from(node.int("num_outputs", 0)?) != Ok(outputs) {
            return Err(node.malformed(format!("has {outputs} outputs, not as many as it says")));
        }
        let sizes = match self.list(node, 1, "split")? {
            Some(sizes) => sizes,
            None => {
                let each = extent.div_ceil(outputs.max(1));
                (0..outputs).map(|i| each.min(extent.saturating_sub(i * each)) as i64).collect()
            }
        };
        let misfit = |found: &dyn std::fmt::Debug| shape(node, format!("sizes that add up to {extent}"), found);
        let (mut first, mut runs) = (0usize, Vec::with_capacity(outputs));
        for &size in &sizes {
            let len =
                usize::try_from(size).ok().filter(|&n| n > 0 && n <= extent - first).ok_or_else(|| misfit(&sizes))?;
            let run = if along_time {
                self.kept(node, &data, axis, [first as i64, (first + len) as i64, 1])?
            } else {
                let wanted: Vec<usize> = (first..first + len).collect();
                self.picked(node, &data, axis, &wanted)?
            };
            runs.push(Value::Data(run));
            first += len;
        }
        if first != extent || runs.len() < outputs {
            return Err(misfit(&sizes));
        }
        Ok(runs)
    }

    pub(super) fn concat(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        let axis = node.int("axis", 0)?;
        if node.num_inputs() == 2
            && let Some(pool) = self.statistics_pooling(node, axis)?
        {
            return Ok(pool);
        }
        if let Some(result) = self.one_after_another(node, axis)? {
            return Ok(Value::Data(result));
        }
        let (mut inputs, mut expanded) = (Vec::new(), false);
        for index in 0..node.num_inputs() {
            let name = node.required_input(index)?;
            inputs.push(match self.value(node, name)? {
                Value::Expanded(data) => {
                    expanded = true;
                    data
                }
                _ => self.data(node, name)?,
            });
        }
        let Some(first) = inputs.first() else { return Err(node.malformed("has no inputs")) };
        let (rank, rows) = (first.axes.len(), inputs.iter().any(|data| !data.single_row()));
        let axis = axis_index(node, axis, rank)?;
        if expanded && !rows {
            return Err(node.unsupported("an expanded value must meet one that has as many rows"));
        }
        if inputs.iter().any(|data| data.axes.len() != rank) {
            return Err(shape(node, extents_of(&first.axes), inputs.iter().map(|d| d.axes.len()).collect::<Vec<_>>()));
        }
        // A single image's rows that a later flattening made part of the axis.
        for data in &mut inputs {
            if data.axes[axis].iter().any(|atom| data.rows.contains(atom)) {
                let known = data.rows.iter().all(|atom| atom.extent.is_some());
                if !known {
                    return Err(node.unsupported("values can only be concatenated along channels"));
                }
                *data = self.flattened(node, data.clone());
            }
        }
        if inputs.len() == 1 {
            return Ok(Value::Data(inputs.remove(0)));
        }
        self.joined(node, inputs, axis).map(Value::Data)
    }

    /// One entry of an axis, which is left out.
    pub(super) fn entry(&mut self, node: &NodeView, data: &Data, axis: usize, at: usize) -> Result<Data, ModelError> {
        let mut result = match data.is_in_columns(axis) {
            true => self.picked(node, data, axis, &[at])?,
            false => self.gathered_row(node, data, axis, &[i64::try_from(at).unwrap_or(i64::MAX)])?,
        };
        result.axes.remove(axis);
        Ok(result)
    }

    /// Values of equal extents with equal atoms, and rows of time alone where their rows differ.
    fn alike(&mut self, node: &NodeView, inputs: Vec<Data>) -> Result<Vec<Data>, ModelError> {
        let (mut inputs, extents) =
            (inputs, |data: &Data| data.axes.iter().map(|axis| count(axis)).collect::<Vec<_>>());
        let Some(mut first) = inputs.first().cloned() else { return Ok(inputs) };
        let fits = |(a, b): (Option<usize>, Option<usize>)| a == b || a.is_none() || b.is_none();
        if !inputs.iter().all(|data| extents(&first).into_iter().zip(extents(data)).all(fits)) {
            return Ok(inputs);
        }
        // The first is cut as finely as all are, then all as it is.
        for _ in 0..2 {
            for data in inputs.iter_mut().skip(1) {
                [first, *data] = self.matched(node, first, data.clone())?;
            }
        }
        inputs[0] = first;
        if inputs.iter().any(|data| data.rows != inputs[0].rows) {
            inputs = inputs.into_iter().map(|data| self.folded_rows(node, data)).collect::<Result<_, _>>()?;
        }
        Ok(inputs)
    }

    /// Values side by side along an axis, which becomes the outermost of the columns.
    pub(super) fn joined(&mut self, node: &NodeView, inputs: Vec<Data>, axis: usize) -> Result<Data, ModelError> {
        let stacked = inputs.len() > 1 && inputs.iter().all(|data| data.axes[axis].is_empty() && !data.single_row());
        let inputs = if stacked { self.alike(node, inputs)? } else { inputs };
        let longest = inputs.iter().max_by_key(|data| data.rows.len()).cloned();
        let longest = longest.ok_or_else(|| node.malformed("has no inputs"))?;
        let sizes: Option<Vec<usize>> = inputs.iter().map(|data| count(&data.axes[axis])).collect();
        let sizes = sizes.ok_or_else(|| node.unsupported("values can only be concatenated along channels"))?;
        // Equal parts keep the order of their columns: the axis is (part, atoms of the axis).
        let alike = inputs.iter().all(|data| {
            let extents = |data: &Data| {
                let place = |atom| data.cols.iter().position(|c| c == atom);
                data.axes[axis].iter().map(|atom| (atom.extent, place(atom))).collect::<Vec<_>>()
            };
            data.cols.len() == longest.cols.len() && extents(data) == extents(&longest)
        });
        let whole = |data: &Data| data.columns_are(axis);
        if alike && inputs.iter().all(whole) && longest.axes[axis].len() > 1 {
            let parts = self.axis(Some(inputs.len()));
            let result = self.push_all(node, &inputs, Op::Concat);
            let mut axes = longest.axes.clone();
            axes[axis].splice(0..0, parts.iter().copied());
            return Ok(Data {
                axes,
                rows: longest.rows,
                cols: parts.into_iter().chain(longest.cols).collect(),
                ..result
            });
        }
        let mut ordered = Vec::with_capacity(inputs.len());
        let mut others: Option<Vec<usize>> = None;
        for data in inputs {
            let others_of = |data: &Data| -> Axis {
                let other = |atom: &&_| !data.axes[axis].contains(atom);
                let logical: Vec<_> = data.axes.concat();
                let mut cols: Axis = data.cols.iter().filter(other).copied().collect();
                cols.sort_by_key(|atom| logical.iter().position(|a| a == atom));
                cols
            };
            let rest = others_of(&data);
            let wanted: Axis = data.axes[axis].iter().chain(&rest).copied().collect();
            let extents: Vec<usize> = rest.iter().filter_map(|atom| atom.extent).collect();
            if *others.get_or_insert_with(|| extents.clone()) != extents {
                return Err(node.unsupported("values of other channels can only be concatenated along these"));
            }
            if data.rows.len() != longest.rows.len() && !data.single_row() {
                return Err(
                    node.unsupported("its inputs have other extents along time; only a single row counts for all")
                );
            }
            ordered.push(self.with_columns(node, data, &wanted)?);
        }
        let new = self.axis(Some(sizes.iter().fold(0, |a, &b| usize::saturating_add(a, b))));
        let total = ordered.iter().fold(0usize, |sum, data| sum.saturating_add(data.columns()));
        self.spend(node, total)?;
        let rest: Axis =
            ordered.iter().find(|data| data.rows.len() == longest.rows.len()).map_or_else(Vec::new, |data| {
                data.cols.iter().filter(|atom| !data.axes[axis].contains(atom)).copied().collect()
            });
        let model = ordered.iter().find(|data| data.rows.len() == longest.rows.len()).cloned().unwrap_or(longest);
        let result = self.push_all(node, &ordered, Op::Concat);
        let mut axes = model.axes;
        axes[axis] = new.clone();
        Ok(Data { node: result.node, axes, rows: model.rows, cols: new.into_iter().chain(rest).collect() })
    }
}
