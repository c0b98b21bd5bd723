//! Sums and means of equal weights, over any axes: what reductions come down to.

use super::fold_moves::axis_index;
use super::import::Importer;
use super::node::NodeView;
use super::value::{Atom, Axis, Data, Statistic, StatisticKind, Value, count};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;

/// Most runs of columns that are added one by one.
const MOST_SUMMANDS: usize = 16;

impl Importer<'_> {
    /// The axes that a reduction names, as an attribute or (newer opsets) as an input; all if there are none.
    pub(super) fn reduced(&mut self, node: &NodeView, rank: usize) -> Result<Vec<usize>, ModelError> {
        node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
        node.at_most_inputs(2)?;
        match self.list(node, 1, "axes")? {
            Some(axes) if !axes.is_empty() => axes.iter().map(|&axis| axis_index(node, axis, rank)).collect(),
            _ => Ok((0..rank).collect()),
        }
    }

    /// The axes after a reduction, and the atoms that it takes away.
    pub(super) fn without(&mut self, node: &NodeView, axes: &[Axis]) -> Result<(Vec<Axis>, Vec<Atom>), ModelError> {
        let reduced = self.reduced(node, axes.len())?;
        let keep = node.int("keepdims", 1)? != 0;
        let over = reduced.iter().flat_map(|&axis| axes[axis].iter().copied()).collect();
        let left = axes.iter().enumerate().filter(|(i, _)| keep || !reduced.contains(i));
        let left = left.map(|(i, axis)| if reduced.contains(&i) { vec![] } else { axis.clone() });
        Ok((left.collect(), over))
    }

    /// The sum of the squares of the two entries of an axis, as of a spectrum's parts.
    pub(super) fn power_of_parts(&mut self, node: &NodeView, data: &Data, axis: usize) -> Result<Value, ModelError> {
        let (mut squares, keep) = (Vec::with_capacity(2), node.int("keepdims", 1)? != 0);
        for part in 0..2 {
            let part = self.entry(node, data, axis, part)?;
            squares.push(self.push_all(node, &[part.clone(), part], Op::Multiply));
        }
        let mut sum = self.push_all(node, &squares, Op::Add);
        if keep {
            sum.axes.insert(axis, vec![]);
        }
        Ok(Value::Data(sum))
    }

    /// A sum of equal weights: a mean times a number, as soon as that is known.
    pub(super) fn plain_sum(&mut self, node: &NodeView, data: Data) -> Result<Value, ModelError> {
        let (axes, over) = self.without(node, &data.axes)?;
        let Some(number) = count(&over) else {
            let sum = Statistic::new(data, None, axes, StatisticKind::Sum);
            return Ok(Value::Statistic(Statistic { over, ..sum }));
        };
        let mean = self.mean_over(node, &data, &over)?;
        let sum = self.scaled(node, &mean, number as f64, 0.0)?;
        Ok(Value::Data(Data { axes, ..sum }))
    }

    /// The largest value over time, or of an image of known extents.
    pub(super) fn reduce_max(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let data = self.first(node)?;
        self.largest_row(node, data).map(Value::Data)
    }

    /// The smallest value: less the largest of negatives.
    pub(super) fn reduce_min(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let data = self.first(node)?;
        let negative = self.scaled(node, &data, -1.0, 0.0)?;
        let largest = self.largest_row(node, negative)?;
        self.scaled(node, &largest, -1.0, 0.0).map(Value::Data)
    }

    fn largest_row(&mut self, node: &NodeView, data: Data) -> Result<Data, ModelError> {
        let (axes, over) = self.without(node, &data.axes.clone())?;
        if let (Some(length), true) = (count(&over), over == data.rows && !over.is_empty()) {
            let result = self.push(node, &data, Op::MaxPool1d { kernel: length, stride: length });
            return Ok(Data { axes, rows: vec![], ..result });
        }
        if over.len() != 1 || data.rows.first() != over.first() {
            return Err(
                node.unsupported("the largest value over time, or of an image of known extents, can be imported")
            );
        }
        let data = self.folded_rows(node, data)?;
        let result = self.push(node, &data, Op::MaxOverTime);
        Ok(Data { axes, rows: vec![], ..result })
    }

    /// The mean of a few equal runs of columns: a sum, which takes no matrix.
    fn mean_of_runs(&mut self, node: &NodeView, data: &Data, kept: &[Atom], runs: usize) -> Result<Data, ModelError> {
        let columns = data.columns() / runs;
        let parts: Vec<Data> = (0..runs)
            .map(|run| match self.part(data, run * columns, columns) {
                Some(part) => part,
                None => self.push(node, data, Op::Slice { first: run * columns, columns }),
            })
            .collect();
        let sum = self.push_all(node, &parts, Op::Add);
        let sum = Data { cols: kept.to_vec(), ..sum };
        self.scaled(node, &sum, (runs as f64).recip(), 0.0)
    }

    /// The mean over some atoms, whose axes the caller takes away.
    pub(super) fn mean_over(&mut self, node: &NodeView, data: &Data, over: &[Atom]) -> Result<Data, ModelError> {
        let mut data = data.clone();
        let (rows, cols): (Vec<Atom>, Vec<Atom>) = over.iter().partition(|atom| data.rows.contains(atom));
        if !cols.is_empty() {
            let kept: Vec<Atom> = data.cols.iter().filter(|atom| !cols.contains(atom)).copied().collect();
            let wanted: Vec<Atom> = cols.iter().chain(&kept).copied().collect();
            data = self.with_columns(node, data, &wanted)?;
            let (columns, left) = (data.columns(), count(&kept).unwrap_or(1));
            if columns / left <= MOST_SUMMANDS && left > 1 {
                data = self.mean_of_runs(node, &data, &kept, columns / left)?;
                return if rows.is_empty() { Ok(data) } else { self.mean_over(node, &data, &rows) };
            }
            self.spend(node, columns.saturating_mul(left))?;
            let factor = (columns / left) as f64;
            let weight = FloatMatrix::from_fn(columns, left, |r, c| if r % left == c { factor.recip() } else { 0.0 });
            data = Data { cols: kept, ..self.push(node, &data, Op::Dense { weight, bias: vec![0.0; left] }) };
        }
        if rows.is_empty() {
            return Ok(data);
        }
        let kept: Vec<Atom> = data.rows.iter().filter(|atom| !rows.contains(atom)).copied().collect();
        if kept.is_empty() {
            return Ok(Data { rows: vec![], ..self.push(node, &data, Op::MeanPool) });
        }
        let inner = count(&kept);
        if data.rows.ends_with(&kept) && inner.is_some() {
            let op = Op::GridMean { inner: inner.unwrap_or(1) };
            return Ok(Data { rows: kept, ..self.push(node, &data, op) });
        }
        // The inner rows: averages of runs.
        if data.rows.starts_with(&kept) {
            let number = count(&rows).ok_or_else(|| node.unsupported("two extents of an image are not known"))?;
            let pool =
                crate::layers::network::AveragePool2d { image: [0, number], kernel: [1, number], stride: [1, 1] };
            return Ok(Data { rows: kept, ..self.push(node, &data, Op::AveragePool2d(pool)) });
        }
        Err(node.unsupported("only means over the outer or the inner axes of an image can be imported"))
    }

    /// A value less its mean over some of its axes.
    pub(super) fn less_mean(&mut self, node: &NodeView, value: Statistic) -> Result<Data, ModelError> {
        let mean = self.mean_over(node, &value.source, &value.over)?;
        let kept = |axis: &Axis| axis.iter().filter(|atom| !value.over.contains(atom)).copied().collect();
        let axes = value.source.axes.iter().map(kept).collect();
        let negative = self.scaled(node, &Data { axes, ..mean }, -1.0, 0.0)?;
        let pair = self.aligned(node, value.source, negative)?;
        let centred = self.push_all(node, &pair, Op::Add);
        Ok(Data { axes: value.axes, ..centred })
    }
}
