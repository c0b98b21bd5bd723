//! Mul, Sub and Div: steps of statistics pooling and of normalisation, or a constant per channel.

use super::import::Importer;
use super::layers::shape;
use super::node::NodeView;
use super::value::{Axis, Statistic, StatisticKind, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

impl<'a> Importer<'a> {
    pub(super) fn mul(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Data(a), Value::Data(b)) if a.node == b.node && a.axes == b.axes => {
                let axes = a.axes.clone();
                Ok(Value::Statistic(Statistic { source: a, axes, kind: StatisticKind::Square }))
            }
            (Value::Statistic(a), Value::Statistic(b))
                if a.kind == StatisticKind::Mean
                    && b.kind == StatisticKind::Mean
                    && a.source.node == b.source.node
                    && a.axes == b.axes =>
            {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::SquareOfMean, ..a }))
            }
            (Value::Constant(_), Value::Data(_)) => self.with_constant(node, [1, 0], |x| (x, 0.0)),
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (x, 0.0)),
            _ => Err(node.unsupported("only squares inside statistics pooling and products with a constant")),
        }
    }

    pub(super) fn sub(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Statistic(a), Value::Statistic(b))
                if a.kind == StatisticKind::MeanOfSquare
                    && b.kind == StatisticKind::SquareOfMean
                    && a.source.node == b.source.node
                    && a.axes == b.axes =>
            {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Variance, ..a }))
            }
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (1.0, -x)),
            _ => Err(node.unsupported("only E[x²] − E[x]² inside statistics pooling and differences to a constant")),
        }
    }

    pub(super) fn div(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Data(data), Value::Norm(norm)) if data.node == norm.node && data.axes == norm.axes => {
                Ok(Value::Data(self.push(node, &data, Op::L2Normalize)))
            }
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (x.recip(), 0.0)),
            _ => Err(node.unsupported("only division by the value's own norm or by a constant")),
        }
    }

    fn operands(&mut self, node: &NodeView) -> Result<[Value; 2], ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let left = self.value(node, node.required_input(0)?)?;
        Ok([left, self.value(node, node.required_input(1)?)?])
    }

    /// Value `data` combined with constant `constant` (positions among the inputs); `f` turns a
    /// constant into a factor and a summand.
    fn with_constant(
        &mut self,
        node: &NodeView,
        [data, constant]: [usize; 2],
        f: impl Fn(f64) -> (f64, f64),
    ) -> Result<Value, ModelError> {
        let data = self.data(node, node.required_input(data)?)?;
        let (dims, values) = self.floats(node, node.required_input(constant)?)?;
        // Axes are aligned at the end; all but the channel axis must be 1 in the constant.
        let offset = data.axes.len().checked_sub(dims.len());
        let along_channels = offset.is_some_and(|offset| {
            let axes = &data.axes[offset..];
            dims.iter().zip(axes).all(|(&n, &axis)| n == 1 || axis == Axis::Channel)
        });
        let fits = values.len() == 1 || (values.len() == data.columns && data.flattened.is_none());
        if !along_channels || !fits {
            let expected = format!("one constant, or one per channel ({})", data.columns);
            return Err(shape(node, expected, dims));
        }
        self.spend(node, data.columns)?;
        let (scale, shift) = values.iter().cycle().take(data.columns).map(|&x| f(x)).unzip();
        self.affine(node, &data, scale, shift)
    }
}
