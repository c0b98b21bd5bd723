//! Products with constant matrices: Gemm, MatMul; and batch normalisation.

use super::fold_moves::axis_index;
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Data, Value};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;

/// `rows × cols` from `values[c·rows + r]`.
fn transposed(values: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    FloatMatrix::from_fn(rows, cols, |r, c| values[c * rows + r]).data
}

impl<'a> Importer<'a> {
    /// A constant vector of `len` numbers.
    pub(super) fn vector(&mut self, node: &NodeView, input: usize, len: usize) -> Result<Vec<f64>, ModelError> {
        let name = node.required_input(input)?;
        let (dims, values) = self.floats(node, name)?;
        if values.len() != len {
            return Err(shape(node, format!("{name:?}: [{len}]"), dims));
        }
        Ok(values)
    }

    /// Adds y = scale · x + shift, refusing factors that are not finite.
    pub(super) fn affine(
        &mut self,
        node: &NodeView,
        data: &Data,
        scale: Vec<f64>,
        shift: Vec<f64>,
    ) -> Result<Value, ModelError> {
        if !scale.iter().chain(&shift).all(|x| x.is_finite()) {
            return Err(node.malformed("divides by zero or by a negative variance"));
        }
        self.spend(node, scale.len())?;
        Ok(Value::Data(self.push(node, data, Op::Affine { scale, shift })))
    }

    /// One factor and summand for every entry of an axis.
    pub(super) fn affine_along(
        &mut self,
        node: &NodeView,
        data: Data,
        axis: usize,
        (scale, shift): (&[f64], &[f64]),
    ) -> Result<Value, ModelError> {
        let data = if data.is_in_columns(axis) { data } else { self.sequence_of(node, data, axis)? };
        let index: Vec<usize> = (0..data.columns()).map(|column| data.index_of_column(column)[axis]).collect();
        let spread = |values: &[f64]| index.iter().map(|&at| values.get(at).copied().unwrap_or(0.0)).collect();
        let (scale, shift) = (spread(scale), spread(shift));
        self.affine(node, &data, scale, shift)
    }

    /// The value with an axis in its columns, if that can be.
    pub(super) fn sequence_of(&mut self, node: &NodeView, data: Data, axis: usize) -> Result<Data, ModelError> {
        let time = data.axes[axis].iter().any(|atom| atom.extent.is_none() || data.rows.first() == Some(atom));
        if !time {
            return self.folded_rows(node, data);
        }
        let known = data.rows.iter().all(|atom| atom.extent.is_some());
        if known && data.axes[axis].len() > 1 {
            return Ok(self.flattened(node, data));
        }
        Err(shape(node, "channels, not time", extents_of(&data.axes)))
    }

    pub(super) fn batch_normalization(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["epsilon", "momentum", "training_mode", "spatial"])?;
        node.at_most_inputs(5)?;
        node.int_only("training_mode", 0, "export the model after model.eval()")?;
        node.int_only("spatial", 1, "export the model with a newer opset")?;
        let epsilon = node.float("epsilon", 1e-5)?;
        let data = self.first(node)?;
        let channels = data.axes.get(1).and_then(|axis| super::value::count(axis));
        let channels = channels.ok_or_else(|| shape(node, "channels at axis 1", extents_of(&data.axes)))?;
        let gamma = self.vector(node, 1, channels)?;
        let beta = self.vector(node, 2, channels)?;
        let mean = self.vector(node, 3, channels)?;
        let variance = self.vector(node, 4, channels)?;
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        let shift: Vec<f64> = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        self.affine_along(node, data, 1, (&scale, &shift))
    }

    /// x · weight + bias over the last axis, with `weight` `[in][out]`.
    pub(super) fn dense(
        &mut self,
        node: &NodeView,
        data: Data,
        weight: &[f64],
        [rows, cols]: [usize; 2],
        bias: Vec<f64>,
    ) -> Result<Data, ModelError> {
        let Some(axis) = data.axes.len().checked_sub(1) else { return Err(node.malformed("has an input of no axes")) };
        let data = if data.is_in_columns(axis) { data } else { self.sequence_of(node, data, axis)? };
        let extent = super::value::count(&data.axes[axis]);
        if extent != Some(rows) || cols == 0 || weight.len() != rows * cols {
            return Err(shape(node, format!("{rows} channels"), extents_of(&data.axes)));
        }
        // Columns that are no part of the axis stay: a block for each.
        let others: Vec<_> = data.cols.iter().filter(|atom| !data.axes[axis].contains(atom)).copied().collect();
        let kept: Vec<_> =
            others.iter().chain(data.axes[axis].iter().filter(|_| !others.is_empty())).copied().collect();
        let data = if others.is_empty() { data } else { self.with_columns(node, data, &kept)? };
        let blocks = super::value::count(&others).unwrap_or(1);
        self.spend(node, rows.saturating_mul(cols).saturating_mul(blocks).saturating_mul(blocks))?;
        let index: Vec<usize> = (0..data.columns()).map(|column| data.index_of_column(column)[axis]).collect();
        let entry = |r: usize, c: usize| {
            if r / rows == c / cols { weight[index[r] * cols + c % cols] } else { 0.0 }
        };
        let weight = FloatMatrix::from_fn(data.columns(), cols * blocks, entry);
        let bias = (0..cols * blocks).map(|c| bias[c % cols]).collect();
        let result = self.push(node, &data, Op::Dense { weight, bias });
        let new = self.axis(Some(cols));
        let mut axes = data.axes;
        axes[axis] = new.clone();
        Ok(Data { axes, cols: others.into_iter().chain(new).collect(), ..result })
    }

    pub(super) fn gemm(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["alpha", "beta", "transA", "transB"])?;
        node.at_most_inputs(3)?;
        node.int_only("transA", 0, "export the layer as Linear")?;
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        let data = self.first(node)?;
        let (dims, weight) = self.floats(node, node.required_input(1)?)?;
        let transposed_weight = node.int("transB", 0)? != 0;
        let (rows, cols) = match (&dims[..], transposed_weight) {
            (&[rows, cols], false) | (&[cols, rows], true) => (rows, cols),
            _ => return Err(shape(node, "a matrix of weights", dims)),
        };
        let mut weight = if transposed_weight { transposed(&weight, rows, cols) } else { weight };
        weight.iter_mut().for_each(|w| *w *= alpha);
        let mut bias = vec![0.0; cols];
        if let Some(name) = node.input(2) {
            let (dims, values) = self.floats(node, name)?;
            let fits = matches!(dims[..], [] | [_] | [1, _]) && [1, cols].contains(&values.len());
            if !fits {
                return Err(shape(node, format!("a bias of {cols}"), dims));
            }
            bias.iter_mut().zip(values.iter().cycle()).for_each(|(b, x)| *b = beta * x);
        }
        self.dense(node, data, &weight, [rows, cols], bias).map(Value::Data)
    }

    pub(super) fn matmul(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let (left, right) = (node.required_input(0)?, node.required_input(1)?);
        match (self.value(node, left)?, self.value(node, right)?) {
            (Value::Constant(_), Value::Constant(_)) => Err(node.unsupported("constants of these types")),
            (Value::Constant(tensor), _) => {
                // W·x of a column x: the rows of W are the outputs.
                let data = self.data(node, right)?;
                let (Some(values), &[cols, rows]) = (tensor.floats(), &tensor.dims[..]) else {
                    return Err(node.unsupported("the left factor may be a constant matrix"));
                };
                let rank = data.axes.len();
                if rank < 2 {
                    return Err(shape(node, "a matrix", extents_of(&data.axes)));
                }
                let mut data = data;
                data.axes.swap(rank - 1, rank - 2);
                let mut result =
                    self.dense(node, data, &transposed(values, rows, cols), [rows, cols], vec![0.0; cols])?;
                result.axes.swap(rank - 1, rank - 2);
                Ok(Value::Data(result))
            }
            (_, Value::Constant(_)) => {
                let data = self.data(node, left)?;
                if let Some(result) = self.batched(node, &data, right)? {
                    return Ok(result);
                }
                let (dims, weight) = self.floats(node, right)?;
                let (rows, cols) = match dims[..] {
                    [rows] => (rows, 1),
                    [rows, cols] | [1, rows, cols] | [1, 1, rows, cols] => (rows, cols),
                    _ => return Err(shape(node, "a matrix of weights", dims)),
                };
                let mut result = self.dense(node, data, &weight, [rows, cols], vec![0.0; cols])?;
                if dims.len() == 1 {
                    result.axes.pop();
                }
                Ok(Value::Data(result))
            }
            _ => self.attention(node),
        }
    }

    /// A value times a constant with a matrix for every entry of its outer axes; `None` if it is one matrix for all.
    fn batched(&mut self, node: &NodeView, data: &Data, name: &str) -> Result<Option<Value>, ModelError> {
        let tensor = self.tensor(node, name)?;
        let (rank, outer) = (data.axes.len(), tensor.dims.len().saturating_sub(2));
        if outer == 0 || tensor.dims[..outer].iter().all(|&n| n == 1) {
            return Ok(None);
        }
        if rank < outer + 2 || rank > 20 {
            return Err(shape(node, format!("{} axes", tensor.dims.len()), extents_of(&data.axes)));
        }
        let left: Vec<char> = ('a'..).take(rank).collect();
        // Matrices that are the same along an axis have none there.
        let kept: Vec<usize> = (0..tensor.dims.len()).filter(|&i| i >= outer || tensor.dims[i] != 1).collect();
        let letter = |i: usize| match i.checked_sub(outer) {
            None => left[rank - 2 - outer + i],
            Some(0) => left[rank - 1],
            Some(_) => 'z',
        };
        let right: Vec<char> = kept.iter().map(|&i| letter(i)).collect();
        let output: Vec<char> = left[..rank - 1].iter().copied().chain(['z']).collect();
        let matrices = Tensor { dims: kept.iter().map(|&i| tensor.dims[i]).collect(), values: tensor.values.clone() };
        self.spend(node, matrices.len())?;
        self.with_tensor(node, (data.clone(), &left), (&matrices, &right), &output)
    }

    /// The index of an axis attribute.
    pub(super) fn axis_of(&self, node: &NodeView, usual: i64, rank: usize) -> Result<usize, ModelError> {
        axis_index(node, node.int("axis", usual)?, rank)
    }
}
