//! Add, Mul, Sub and Div: layers of two inputs, steps of statistics pooling and of normalisation, or a
//! constant per channel.

use super::import::Importer;
use super::layers::shape;
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Axis, Data, Statistic, StatisticKind, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

impl<'a> Importer<'a> {
    pub(super) fn mul(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        if let Some(statistic) = product_of_statistics(&left, &right).or_else(|| product_of_statistics(&right, &left)) {
            return Ok(Value::Statistic(statistic));
        }
        match (left, right) {
            (Value::Statistic(value), Value::Constant(factor)) | (Value::Constant(factor), Value::Statistic(value))
                if value.kind == StatisticKind::Variance =>
            {
                scaled_variance(node, value, &factor, |x| x)
            }
            (Value::Constant(_), Value::Data(_)) => self.with_constant(node, [1, 0], |x| (x, 0.0)),
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (x, 0.0)),
            (Value::Softmax(_), _) | (_, Value::Softmax(_)) => {
                Err(node.unsupported("a softmax over time can only weight a value whose mean and deviation follow"))
            }
            _ => self.combine(node, Op::Multiply),
        }
    }

    pub(super) fn add(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        match self.operands(node)? {
            [Value::Constant(_), _] => self.with_constant(node, [1, 0], |x| (1.0, x)),
            [_, Value::Constant(_)] => self.with_constant(node, [0, 1], |x| (1.0, x)),
            _ => self.combine(node, Op::Add),
        }
    }

    /// Two values of equal columns, entry by entry; one of one row counts for every row.
    fn combine(&mut self, node: &NodeView, op: Op) -> Result<Value, ModelError> {
        let mut inputs = self.broadcast_inputs(node)?;
        // The value that decides the number of rows stands first.
        inputs.sort_by_key(|data| data.single_row);
        let [first, second] = &inputs[..] else { return Err(node.malformed("needs two inputs")) };
        if first.columns != second.columns {
            return Err(shape(node, format!("{} channels", first.columns), second.columns));
        }
        Ok(Value::Data(self.push_all(node, &inputs, op)))
    }

    /// All inputs as values of equal axes, where those of one row may be combined with longer ones.
    pub(super) fn broadcast_inputs(&mut self, node: &NodeView) -> Result<Vec<Data>, ModelError> {
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
        for data in &inputs {
            let alike = (&data.axes, data.image, data.flattened) == (&first.axes, first.image, first.flattened);
            if !alike {
                return Err(shape(node, format!("axes {:?}", first.axes), &data.axes));
            }
        }
        if expanded && inputs.iter().all(|data| data.single_row) {
            return Err(node.unsupported("an expanded value must meet one that has as many rows"));
        }
        Ok(inputs)
    }

    pub(super) fn sub(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Statistic(a), Value::Statistic(b))
                if a.kind == StatisticKind::MeanOfSquare
                    && b.kind == StatisticKind::SquareOfMean
                    && a.belongs_to(&b) =>
            {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Variance, ..a }))
            }
            (Value::Data(x), Value::Statistic(mean))
                if mean.kind == StatisticKind::Mean
                    && mean.scores.is_none()
                    && mean.source.node == x.node
                    && mean.axes == x.axes
                    && !x.single_row =>
            {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Centred, ..mean }))
            }
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (1.0, -x)),
            _ => Err(node.unsupported(
                "only E[x²] − E[x]² inside statistics pooling, differences to the mean over time and to a constant",
            )),
        }
    }

    pub(super) fn div(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Statistic(value), Value::Constant(divisor)) if value.kind == StatisticKind::Variance => {
                scaled_variance(node, value, &divisor, f64::recip)
            }
            (Value::Data(data), Value::Norm(norm)) if data.node == norm.node && data.axes == norm.axes => {
                Ok(Value::Data(self.push(node, &data, Op::L2Normalize)))
            }
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (x.recip(), 0.0)),
            _ => Err(node.unsupported("only division by the value's own norm or by a constant")),
        }
    }

    /// The square of a value, or of a mean in statistics pooling.
    pub(super) fn pow(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        let two = matches!(&right, Value::Constant(exponent)
            if exponent.floats() == Some(&[2.0][..]) || exponent.ints() == Some(&[2][..]));
        match product_of_statistics(&left, &left) {
            Some(square) if two => Ok(Value::Statistic(square)),
            _ => Err(node.unsupported("only squares as part of statistics pooling can be imported")),
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

/// A variance times a positive number.
fn scaled_variance(
    node: &NodeView,
    value: Statistic,
    constant: &Tensor,
    f: impl Fn(f64) -> f64,
) -> Result<Value, ModelError> {
    let factor = match constant.floats() {
        Some(&[x]) => value.factor * f(x),
        _ => return Err(node.unsupported("a variance can only be multiplied with one number")),
    };
    if !(factor.is_finite() && factor > 0.0) {
        return Err(node.refuse("factor", factor, "multiply a variance with a positive number"));
    }
    Ok(Value::Statistic(Statistic { factor, ..value }))
}

/// A product that is a step of statistics pooling: squares, squared means, weights times what they weight.
fn product_of_statistics(left: &Value, right: &Value) -> Option<Statistic> {
    use StatisticKind::{Centred, CentredSquare, Mean, Square, SquareOfMean, Weighted};
    let same = |a: &Data, b: &Data| a.node == b.node && a.axes == b.axes;
    match (left, right) {
        (Value::Data(a), Value::Data(b)) if same(a, b) => Some(Statistic::new(a.clone(), None, a.axes.clone(), Square)),
        (Value::Statistic(a), Value::Statistic(b)) if (a.kind, b.kind) == (Mean, Mean) && a.belongs_to(b) => {
            Some(Statistic { kind: SquareOfMean, ..a.clone() })
        }
        (Value::Statistic(a), Value::Statistic(b)) if (a.kind, b.kind) == (Centred, Centred) && a.belongs_to(b) => {
            Some(Statistic { kind: CentredSquare, ..a.clone() })
        }
        (Value::Statistic(a), Value::Softmax(scores))
            if a.kind == Square
                && a.scores.is_none()
                && a.axes == scores.axes
                && a.source.columns == scores.columns
                && !a.source.single_row
                && !scores.single_row =>
        {
            Some(Statistic { scores: Some(scores.clone()), ..a.clone() })
        }
        (Value::Data(x), Value::Softmax(scores))
            if x.axes == scores.axes && x.columns == scores.columns && !x.single_row && !scores.single_row =>
        {
            Some(Statistic::new(x.clone(), Some(scores.clone()), x.axes.clone(), Weighted))
        }
        (Value::Statistic(a), Value::Data(x)) if a.kind == Weighted && a.source.node == x.node && a.axes == x.axes => {
            Some(Statistic { kind: Square, ..a.clone() })
        }
        _ => None,
    }
}
