//! A value and a constant: one entry for every channel, a channel for every entry, or an entry for every row.

use super::elementwise::single;
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Data, Value, count};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;

impl Importer<'_> {
    /// Where every column of a value finds its number of a constant; `None` if rows differ.
    pub(super) fn constant_columns(
        &mut self,
        node: &NodeView,
        data: &Data,
        tensor: &Tensor,
    ) -> Result<Option<Vec<f64>>, ModelError> {
        let Some(offset) = data.axes.len().checked_sub(tensor.dims.len()) else {
            return Err(shape(node, extents_of(&data.axes), &tensor.dims));
        };
        let values = tensor.floats().filter(|values| values.iter().all(|v| v.is_finite()));
        let values = values.ok_or_else(|| node.malformed("has a constant that is not of finite floats"))?;
        for (axis, &extent) in data.axes[offset..].iter().zip(&tensor.dims) {
            if extent != 1 && count(axis).is_some_and(|found| found != extent) {
                return Err(shape(node, extents_of(&data.axes), &tensor.dims));
            }
            if extent != 1 && !axis.iter().all(|atom| data.cols.contains(atom)) {
                return Ok(None);
            }
        }
        self.spend(node, data.columns())?;
        let place = |column: usize| {
            let index = data.index_of_column(column);
            index[offset..].iter().zip(&tensor.dims).fold(0, |sum, (&i, &n)| sum * n + if n == 1 { 0 } else { i })
        };
        Ok(Some((0..data.columns()).map(|column| values.get(place(column)).copied().unwrap_or(0.0)).collect()))
    }

    /// Value `data` combined with constant `constant` (positions among the inputs); `f` turns a
    /// constant into a factor and a summand.
    pub(super) fn with_constant(
        &mut self,
        node: &NodeView,
        [data, constant]: [usize; 2],
        f: impl Fn(f64) -> (f64, f64),
    ) -> Result<Value, ModelError> {
        let name = node.required_input(constant)?;
        let tensor = match self.value(node, name)? {
            Value::Positions(tensor) => tensor,
            _ => self.tensor(node, name)?,
        };
        let data = match self.value(node, node.required_input(data)?)? {
            Value::Expanded(data) => data,
            _ => self.data(node, node.required_input(data)?)?,
        };
        self.combined_with(node, data, &tensor, f)
    }

    /// A value combined with a constant; `f` turns the constant into a factor and a summand.
    pub(super) fn combined_with(
        &mut self,
        node: &NodeView,
        data: Data,
        tensor: &Tensor,
        f: impl Fn(f64) -> (f64, f64),
    ) -> Result<Value, ModelError> {
        let mut data = data;
        while data.axes.len() < tensor.dims.len() {
            data.axes.insert(0, vec![]);
        }
        if let Some(x) = single(tensor) {
            let (factor, summand) = f(x);
            return self.scaled(node, &data, factor, summand).map(Value::Data);
        }
        let offset = data.axes.len() - tensor.dims.len();
        // A constant may have channels where the value has one.
        let wider = data.axes[offset..].iter().zip(&tensor.dims).any(|(axis, &n)| axis.is_empty() && n > 1);
        if wider {
            return self.spread(node, data, tensor, f);
        }
        if let Some(values) = self.constant_columns(node, &data, tensor)? {
            let (scale, shift) = values.into_iter().map(f).unzip();
            return self.affine(node, &data, scale, shift);
        }
        self.constant_rows(node, data, tensor, f)
    }

    /// A value of one channel and a constant of several.
    fn spread(
        &mut self,
        node: &NodeView,
        data: Data,
        tensor: &Tensor,
        f: impl Fn(f64) -> (f64, f64),
    ) -> Result<Value, ModelError> {
        let offset = data.axes.len() - tensor.dims.len();
        let mut wide = data.clone();
        for (i, &extent) in tensor.dims.iter().enumerate() {
            if wide.axes[offset + i].is_empty() && extent > 1 {
                let new = self.axis(Some(extent));
                wide.cols.splice(0..0, new.iter().copied());
                wide.axes[offset + i] = new;
            }
        }
        let (narrow, columns) = (data.columns(), wide.columns());
        self.spend(node, narrow.saturating_mul(columns))?;
        let weight = FloatMatrix::from_fn(narrow, columns, |r, c| f64::from(u8::from(c % narrow == r)));
        let repeated = self.push(node, &data, Op::Dense { weight, bias: vec![0.0; columns] });
        let wide = Data { node: repeated.node, ..wide };
        let values = self.constant_columns(node, &wide, tensor)?;
        let values = values.ok_or_else(|| node.unsupported("a constant along time needs as many channels"))?;
        let (scale, shift) = values.into_iter().map(f).unzip();
        self.affine(node, &wide, scale, shift)
    }

    /// A constant that differs along time: a factor and a summand for every row, if their number is known.
    fn constant_rows(
        &mut self,
        node: &NodeView,
        data: Data,
        tensor: &Tensor,
        f: impl Fn(f64) -> (f64, f64),
    ) -> Result<Value, ModelError> {
        let offset = data.axes.len() - tensor.dims.len();
        let values = tensor.floats().unwrap_or_default();
        // The constant says how long the recording is, where the value does not.
        let rows: Vec<usize> = data
            .rows
            .iter()
            .map(|atom| {
                let at = data.axes[offset..].iter().position(|axis| axis[..] == [*atom]);
                atom.extent.or(at.map(|at| tensor.dims[at]))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| node.unsupported("a constant along time needs a time axis of its own"))?;
        let total = rows.iter().fold(1usize, |n, &extent| n.saturating_mul(extent));
        self.spend(node, total.saturating_mul(data.columns()))?;
        let entry = |r: usize, c: usize| {
            let (mut rest, mut digits) = (r, vec![0; rows.len()]);
            for (digit, &extent) in digits.iter_mut().zip(&rows).rev() {
                (*digit, rest) = (rest % extent.max(1), rest / extent.max(1));
            }
            let index = data.index_of_column(c);
            let place = data.axes[offset..].iter().zip(&tensor.dims).enumerate().fold(0, |sum, (i, (axis, &n))| {
                let row = data.rows.iter().position(|atom| axis[..] == [*atom]).map(|at| digits[at]);
                sum * n + if n == 1 { 0 } else { row.unwrap_or(index[offset + i]) }
            });
            f(values.get(place).copied().unwrap_or(0.0))
        };
        let factors = FloatMatrix::from_fn(total, data.columns(), |r, c| entry(r, c).0);
        let summands = FloatMatrix::from_fn(total, data.columns(), |r, c| entry(r, c).1);
        if factors.data.iter().chain(&summands.data).any(|x| !x.is_finite()) {
            return Err(node.malformed("divides by zero along time"));
        }
        let mut result = data;
        if factors.data.iter().any(|&factor| factor != 1.0) {
            // A value of nothing but the factors, and a product with it.
            let nothing = self.scaled(node, &result, 0.0, 0.0)?;
            let factors = self.push(node, &nothing, Op::AddRows { rows: factors });
            result = self.push_all(node, &[result, factors], Op::Multiply);
        }
        if summands.data.iter().any(|&summand| summand != 0.0) {
            result = self.push(node, &result, Op::AddRows { rows: summands });
        }
        Ok(Value::Data(result))
    }
}
