//! Values one after another along time, where all their lengths are known.

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Atom, Axis, Data, Value, count};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::{Edge, Op, RowMove};

/// An input of a concatenation along time.
enum Part {
    Rows(Data),
    Constant(std::rc::Rc<Tensor>),
}

impl Importer<'_> {
    /// The inputs one after another along `axis`, if that is time: each is padded with zeros to the length of all, and
    /// they are added. `None` if the axis is another.
    pub(super) fn one_after_another(&mut self, node: &NodeView, axis: i64) -> Result<Option<Data>, ModelError> {
        let (mut parts, mut model) = (Vec::new(), None::<(Data, usize)>);
        for index in 0..node.num_inputs() {
            let name = node.required_input(index)?;
            parts.push(match self.value(node, name)? {
                Value::Constant(tensor) => Part::Constant(tensor),
                Value::Expanded(_) => return Ok(None),
                _ => {
                    let data = self.data(node, name)?;
                    let at = super::fold_moves::axis_index(node, axis, data.axes.len())?;
                    let sequence = matches!(data.axes[at][..], [atom] if data.rows == [atom]);
                    if sequence && model.is_none() {
                        model = Some((data.clone(), at));
                    }
                    let single = data.axes[at].is_empty() && data.single_row();
                    if !(sequence || single) {
                        return Ok(None);
                    }
                    Part::Rows(data)
                }
            });
        }
        let Some((model, at)) = model else { return Ok(None) };
        let mut lengths = Vec::with_capacity(parts.len());
        for part in &parts {
            let length = match part {
                Part::Rows(data) => count(&data.rows),
                Part::Constant(tensor) if tensor.dims.len() == model.axes.len() => tensor.dims.get(at).copied(),
                Part::Constant(_) => None,
            };
            let help = "values can only follow one another along time if their lengths are known; fix that of \
                        recordings (--length SAMPLES)";
            lengths.push(length.ok_or_else(|| node.unsupported(help))?);
        }
        self.strung(node, parts, &lengths, (&model, at)).map(Some)
    }

    fn strung(
        &mut self,
        node: &NodeView,
        parts: Vec<Part>,
        lengths: &[usize],
        (model, at): (&Data, usize),
    ) -> Result<Data, ModelError> {
        let total = lengths.iter().fold(0usize, |sum, &n| sum.saturating_add(n));
        let time: Axis = self.axis(Some(total));
        let (mut padded, mut constant, mut before) = (Vec::new(), None::<FloatMatrix>, 0);
        for (part, &length) in parts.into_iter().zip(lengths) {
            match part {
                Part::Rows(data) => {
                    let data = self.laid_out_as(node, data, model, at)?;
                    let after = total - before - length;
                    let op = Op::Rows(RowMove::Pad { block: 1, before, after, edge: Edge::Zero });
                    let data = if length == total { data } else { self.push(node, &data, op) };
                    padded.push(data);
                }
                Part::Constant(tensor) => {
                    self.spend(node, total.saturating_mul(model.columns()))?;
                    let rows = constant.get_or_insert_with(|| FloatMatrix::zeros(total, model.columns()));
                    place(node, &tensor, model, at, rows, before)?;
                }
            }
            before += length;
        }
        let mut sum = match padded.len() {
            1 => padded.remove(0),
            _ => self.push_all(node, &padded, Op::Add),
        };
        if let Some(rows) = constant.filter(|rows| rows.data.iter().any(|&x| x != 0.0)) {
            sum = self.push(node, &sum, Op::AddRows { rows });
        }
        let mut axes = model.axes.clone();
        axes[at] = time.clone();
        Ok(Data { node: sum.node, axes, rows: time, cols: model.cols.clone() })
    }

    /// A value with its columns in the order of another's, whose axes but time have equal extents.
    fn laid_out_as(&mut self, node: &NodeView, data: Data, model: &Data, at: usize) -> Result<Data, ModelError> {
        let extents = |data: &Data| -> Vec<Option<usize>> {
            data.axes.iter().enumerate().filter(|&(i, _)| i != at).map(|(_, axis)| count(axis)).collect()
        };
        if extents(&data) != extents(model) {
            return Err(shape(node, extents_of(&model.axes), extents_of(&data.axes)));
        }
        // The columns' extents, and which place each has in the order of the axes.
        let layout = |data: &Data| -> Vec<(usize, Option<usize>)> {
            let logical: Vec<Atom> = data.axes.concat().into_iter().filter(|atom| data.cols.contains(atom)).collect();
            let place = |atom: &Atom| logical.iter().position(|other| other == atom).unwrap_or(0);
            data.cols.iter().map(|atom| (place(atom), atom.extent)).collect()
        };
        if layout(&data) == layout(model) {
            return Ok(data);
        }
        if !layout(model).is_sorted() {
            return Err(node.unsupported("its inputs differ in the order of their channels"));
        }
        self.in_order(node, data)
    }
}

/// Writes a constant into rows from `first` on.
fn place(
    node: &NodeView,
    tensor: &Tensor,
    model: &Data,
    at: usize,
    rows: &mut FloatMatrix,
    first: usize,
) -> Result<(), ModelError> {
    let fits = model.axes.iter().zip(&tensor.dims).enumerate().all(|(i, (axis, &n))| i == at || count(axis) == Some(n));
    let values = tensor.floats().filter(|values| fits && values.iter().all(|v| v.is_finite()));
    let values = values.ok_or_else(|| shape(node, extents_of(&model.axes), &tensor.dims))?;
    for row in 0..tensor.dims.get(at).copied().unwrap_or(0) {
        for column in 0..model.columns() {
            let mut index = model.index_of_column(column);
            index[at] = row;
            let from = index.iter().zip(&tensor.dims).fold(0, |sum, (&i, &n)| sum * n + i);
            rows.row_mut(first + row)[column] = values.get(from).copied().unwrap_or(0.0);
        }
    }
    Ok(())
}
