//! Add, Mul, Sub, Div, Pow, Min, Max and functions of one value: layers of two inputs, steps of statistics and of
//! normalisation, or constants.

use super::attention::masked_scores;
use super::import::Importer;
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Data, SampleVariance, Scores, Statistic, StatisticKind, Value};
use crate::error::ModelError;
use crate::layers::network::{KNOWN, NodeRef, Op, Scalar};

/// The only number of a constant, if it is one number repeated.
pub(super) fn single(tensor: &Tensor) -> Option<f64> {
    match (tensor.floats(), tensor.ints()) {
        (Some(&[first, ref rest @ ..]), _) => rest.iter().all(|x| *x == first).then_some(first),
        (_, Some(&[first])) => Some(first as f64),
        _ => None,
    }
}

impl<'a> Importer<'a> {
    /// A function of every value: an operator of [`KNOWN`], its attributes the parameters.
    pub(super) fn function(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let operator = node.operator();
        let known = KNOWN.iter().find(|known| known.operator == operator);
        let known = known.ok_or_else(|| node.unsupported("not a function of one value"))?;
        let names: Vec<&str> = known.parameters.iter().map(|&(name, _)| name).collect();
        node.only(&names)?;
        node.at_most_inputs(1)?;
        let mut parameters = Vec::with_capacity(names.len());
        for &(name, usual) in known.parameters {
            parameters.push(match (operator.as_str(), name) {
                ("Gelu", _) => f64::from(u8::from(node.text(name, "none")? == "tanh")),
                _ => node.float(name, usual)?,
            });
        }
        let data = self.first(node)?;
        let op = match operator.as_str() {
            "Relu" => Op::Relu,
            "Sigmoid" => Op::Sigmoid,
            "Tanh" => Op::Tanh,
            "Abs" => Op::Abs,
            "Log" => Op::Log,
            _ => Op::Function(Scalar::Apply(known, parameters, Box::new(Scalar::Input))),
        };
        Ok(Value::Data(self.push(node, &data, op)))
    }

    /// A function of the list, of a value.
    pub(super) fn apply(
        &mut self,
        node: &NodeView,
        data: &Data,
        operator: &str,
        parameters: Vec<f64>,
    ) -> Result<Data, ModelError> {
        let scalar = Scalar::known(operator, Some(parameters));
        let scalar = scalar.ok_or_else(|| node.unsupported("not a function of one value"))?;
        Ok(self.push(node, data, Op::Function(scalar)))
    }

    pub(super) fn negated(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let data = self.first(node)?;
        self.scaled(node, &data, -1.0, 0.0).map(Value::Data)
    }

    /// factor·x + summand.
    pub(super) fn scaled(
        &mut self,
        node: &NodeView,
        data: &Data,
        factor: f64,
        summand: f64,
    ) -> Result<Data, ModelError> {
        let columns = data.columns();
        match self.affine(node, data, vec![factor; columns], vec![summand; columns])? {
            Value::Data(data) => Ok(data),
            _ => Err(node.malformed("has no value")),
        }
    }

    /// x, below zero x times a constant: `slope·x + (1 − slope)·max(x, 0)`.
    pub(super) fn prelu(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let name = node.required_input(1)?;
        let tensor = self.tensor(node, name)?;
        let data = self.first(node)?;
        if let Some(slope) = single(&tensor) {
            return self.apply(node, &data, "LeakyRelu", vec![slope]).map(Value::Data);
        }
        let positive = self.push(node, &data, Op::Relu);
        let slope = self.constant_columns(node, &data, &tensor)?;
        let slope = slope.ok_or_else(|| node.unsupported("its slope must be constant along time"))?;
        let rest = slope.iter().map(|s| 1.0 - s).collect();
        let zeros = vec![0.0; slope.len()];
        let parts = [self.affine(node, &data, slope, zeros.clone())?, self.affine(node, &positive, rest, zeros)?];
        let [Value::Data(below), Value::Data(above)] = parts else { return Err(node.malformed("has no value")) };
        Ok(Value::Data(self.push_all(node, &[below, above], Op::Add)))
    }

    pub(super) fn mul(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        if let Some(statistic) = product_of_statistics(&left, &right).or_else(|| product_of_statistics(&right, &left)) {
            return Ok(Value::Statistic(statistic));
        }
        match (left, right) {
            (Value::Statistic(value), Value::Constant(factor)) | (Value::Constant(factor), Value::Statistic(value))
                if matches!(value.kind, StatisticKind::Variance) =>
            {
                scaled_variance(node, value, &factor, |x| x)
            }
            (Value::Statistic(value), Value::Count(_, 0.0)) | (Value::Count(_, 0.0), Value::Statistic(value))
                if value.kind == StatisticKind::Variance && value.sample == SampleVariance::No =>
            {
                Ok(Value::Statistic(Statistic { sample: SampleVariance::TimesCount, ..value }))
            }
            (Value::Statistic(value), ref other) | (ref other, Value::Statistic(value))
                if matches!(value.kind, StatisticKind::Reciprocal | StatisticKind::ReciprocalRoot) =>
            {
                self.normalised(node, other, &value)
            }
            (Value::Scores(scores), Value::Constant(factor)) | (Value::Constant(factor), Value::Scores(scores)) => {
                scaled_scores(node, *scores, single(&factor))
            }
            (Value::Constant(_) | Value::Positions(_), _) => self.with_constant(node, [1, 0], |x| (x, 0.0)),
            (_, Value::Constant(_) | Value::Positions(_)) => self.with_constant(node, [0, 1], |x| (x, 0.0)),
            (Value::Softmax(scores), x) => self.weighted(node, scores, x, 1).map(Value::Statistic),
            (x, Value::Softmax(scores)) => self.weighted(node, scores, x, 0).map(Value::Statistic),
            _ => self.combine(node, Op::Multiply),
        }
    }

    pub(super) fn add(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        match self.operands(node)? {
            [Value::Statistic(value), Value::Constant(epsilon)]
            | [Value::Constant(epsilon), Value::Statistic(value)]
                if matches!(
                    value.kind,
                    StatisticKind::Variance | StatisticKind::MeanOfSquare | StatisticKind::Clipped(_)
                ) && single(&epsilon).is_some_and(|epsilon| epsilon >= 0.0) =>
            {
                let epsilon = value.epsilon + single(&epsilon).unwrap_or(0.0);
                Ok(Value::Statistic(Statistic { epsilon, ..value }))
            }
            // What keeps a sum of exponentials from zero, which it is far from.
            [Value::Statistic(sum), Value::Constant(floor)] | [Value::Constant(floor), Value::Statistic(sum)]
                if sum.kind == StatisticKind::Sum && single(&floor).is_some_and(|x| (0.0..=1e-6).contains(&x)) =>
            {
                Ok(Value::Statistic(sum))
            }
            [Value::Scores(scores), Value::Constant(mask)] | [Value::Constant(mask), Value::Scores(scores)] => {
                masked_scores(node, *scores, &mask)
            }
            [Value::Norm(data, axis, squared), Value::Constant(floor)]
                if single(&floor).is_some_and(|x| (0.0..=1e-6).contains(&x)) =>
            {
                Ok(Value::Norm(data, axis, squared))
            }
            [Value::Constant(_) | Value::Positions(_), _] => self.with_constant(node, [1, 0], |x| (1.0, x)),
            [_, Value::Constant(_) | Value::Positions(_)] => self.with_constant(node, [0, 1], |x| (1.0, x)),
            _ => self.combine(node, Op::Add),
        }
    }

    /// Two values entry by entry; one of one row counts for every row.
    pub(super) fn combine(&mut self, node: &NodeView, op: Op) -> Result<Value, ModelError> {
        let (mut inputs, mut expanded) = (Vec::new(), false);
        for index in 0..2 {
            let name = node.required_input(index)?;
            inputs.push(match self.value(node, name)? {
                Value::Expanded(data) => {
                    expanded = true;
                    data
                }
                _ => self.data(node, name)?,
            });
        }
        if expanded && inputs.iter().all(Data::single_row) {
            return Err(node.unsupported("an expanded value must meet one that has as many rows"));
        }
        let (Some(second), Some(first)) = (inputs.pop(), inputs.pop()) else {
            return Err(node.malformed("needs two inputs"));
        };
        let pair = self.aligned(node, first, second)?;
        Ok(Value::Data(self.push_all(node, &pair, op)))
    }

    pub(super) fn sub(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Count(atom, less), Value::Constant(number)) if single(&number).is_some() => {
                Ok(Value::Count(atom, less + single(&number).unwrap_or(0.0)))
            }
            (Value::Statistic(a), Value::Statistic(b))
                if a.kind == StatisticKind::MeanOfSquare
                    && b.kind == StatisticKind::SquareOfMean
                    && a.belongs_to(&b) =>
            {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Variance, ..a }))
            }
            (Value::Data(x), Value::Statistic(mean))
                if mean.kind == StatisticKind::Mean && mean.source.node == x.node =>
            {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Centred, axes: x.axes, ..mean }))
            }
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (1.0, -x)),
            (Value::Constant(_), _) => self.with_constant(node, [1, 0], |x| (-1.0, x)),
            _ => {
                let second = self.data(node, node.required_input(1)?)?;
                let second = self.scaled(node, &second, -1.0, 0.0)?;
                let first = self.first(node)?;
                let pair = self.aligned(node, first, second)?;
                Ok(Value::Data(self.push_all(node, &pair, Op::Add)))
            }
        }
    }

    pub(super) fn div(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        match (left, right) {
            (Value::Statistic(value), Value::Constant(divisor)) if value.kind == StatisticKind::Variance => {
                scaled_variance(node, value, &divisor, f64::recip)
            }
            (Value::Statistic(value), Value::Count(_, 1.0)) if value.sample == SampleVariance::TimesCount => {
                Ok(Value::Statistic(Statistic { sample: SampleVariance::Yes, ..value }))
            }
            (Value::Data(data), Value::Statistic(sum)) if self.is_softmax(&data, &sum) => {
                let NodeRef::Node(index) = data.node else { return Err(node.malformed("has no value")) };
                let exponents = self.nodes[index].inputs[0];
                Ok(Value::Softmax(Data { node: exponents, ..data }))
            }
            (Value::Data(data), Value::Norm(norm, _, false)) if data.node == norm.node => {
                Ok(Value::Data(self.push(node, &data, Op::L2Normalize)))
            }
            (Value::Constant(one), Value::Statistic(value)) if single(&one) == Some(1.0) => {
                let kind = match value.kind {
                    StatisticKind::Deviation(_) => StatisticKind::Reciprocal,
                    StatisticKind::Root => StatisticKind::ReciprocalRoot,
                    _ => return Err(node.unsupported("only the reciprocal of a deviation is understood")),
                };
                Ok(Value::Statistic(Statistic { kind, ..value }))
            }
            (ref x, Value::Statistic(value))
                if matches!(value.kind, StatisticKind::Deviation(_) | StatisticKind::Root)
                    && self.is_source(x, &value) =>
            {
                self.normalised(node, x, &value)
            }
            (Value::Scores(scores), Value::Constant(divisor)) => {
                scaled_scores(node, *scores, single(&divisor).map(f64::recip))
            }
            (_, Value::Constant(_)) => self.with_constant(node, [0, 1], |x| (x.recip(), 0.0)),
            (Value::Constant(tensor), _) if single(&tensor).is_some() => {
                let data = self.data(node, node.required_input(1)?)?;
                let reciprocal = self.apply(node, &data, "Reciprocal", vec![])?;
                self.scaled(node, &reciprocal, single(&tensor).unwrap_or(1.0), 0.0).map(Value::Data)
            }
            _ => {
                let second = self.data(node, node.required_input(1)?)?;
                let second = self.apply(node, &second, "Reciprocal", vec![])?;
                let first = self.first(node)?;
                let pair = self.aligned(node, first, second)?;
                Ok(Value::Data(self.push_all(node, &pair, Op::Multiply)))
            }
        }
    }

    /// A constant power: a square may be a step of statistics.
    pub(super) fn pow(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let [left, right] = self.operands(node)?;
        let exponent = match &right {
            Value::Constant(exponent) => single(exponent),
            _ => None,
        };
        let exponent = exponent.ok_or_else(|| node.unsupported("its exponent must be one constant"))?;
        match product_of_statistics(&left, &left) {
            Some(square) if exponent == 2.0 => Ok(Value::Statistic(square)),
            _ => {
                let data = self.first(node)?;
                self.apply(node, &data, "Pow", vec![exponent]).map(Value::Data)
            }
        }
    }

    /// Whether exponentials are divided by their sum over time.
    fn is_softmax(&self, data: &Data, sum: &Statistic) -> bool {
        let exponential = Scalar::known("Exp", None).map(Op::Function);
        let NodeRef::Node(index) = data.node else { return false };
        sum.kind == StatisticKind::Sum
            && sum.source.node == data.node
            && sum.over == data.rows
            && self.nodes.get(index).is_some_and(|node| Some(&node.op) == exponential.as_ref())
    }

    fn operands(&mut self, node: &NodeView) -> Result<[Value; 2], ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let left = self.value(node, node.required_input(0)?)?;
        Ok([left, self.value(node, node.required_input(1)?)?])
    }
}

fn scaled_scores(node: &NodeView, scores: Scores, factor: Option<f64>) -> Result<Value, ModelError> {
    let factor = factor.filter(|factor| factor.is_finite() && !scores.normalised);
    let factor =
        factor.ok_or_else(|| node.unsupported("scores can only be scaled by one number, before their softmax"))?;
    Ok(Value::Scores(Box::new(Scores { scale: scores.scale * factor, ..scores })))
}

/// A variance times a positive number.
fn scaled_variance(
    node: &NodeView,
    value: Statistic,
    constant: &Tensor,
    f: impl Fn(f64) -> f64,
) -> Result<Value, ModelError> {
    let factor = match single(constant) {
        Some(x) => value.factor * f(x),
        _ => return Err(node.unsupported("a variance can only be multiplied with one number")),
    };
    if !(factor.is_finite() && factor > 0.0) || value.epsilon != 0.0 {
        return Err(node.refuse("factor", factor, "multiply a variance with a positive number"));
    }
    Ok(Value::Statistic(Statistic { factor, ..value }))
}

/// A product that is a step of statistics pooling: squares, squared means, weights times what they weight.
fn product_of_statistics(left: &Value, right: &Value) -> Option<Statistic> {
    use StatisticKind::{Centred, CentredSquare, Mean, Square, SquareOfMean, Weighted, WeightedCentredSquare};
    let same = |a: &Data, b: &Data| a.node == b.node && a.axes == b.axes;
    // Weights and what they weight have equal rows and columns, in one order; or weights have one column.
    let fits = |x: &Data, scores: &Data| {
        let place = |data: &Data| data.axes.iter().position(|axis| !axis.is_empty() && *axis == data.rows);
        x.axes.len() == scores.axes.len()
            && [1, x.columns()].contains(&scores.columns())
            && place(x) == place(scores)
            && !x.single_row()
            && !scores.single_row()
            && [x, scores].iter().all(|data| data.cols.len() <= 1 && data.rows.len() == 1)
    };
    match (left, right) {
        (Value::Data(a), Value::Data(b)) if same(a, b) => Some(Statistic::new(a.clone(), None, a.axes.clone(), Square)),
        (Value::Statistic(a), Value::Statistic(b)) if (a.kind, b.kind) == (Mean, Mean) && a.belongs_to(b) => {
            Some(Statistic { kind: SquareOfMean, ..a.clone() })
        }
        (Value::Statistic(a), Value::Statistic(b)) if (a.kind, b.kind) == (Centred, Centred) && a.belongs_to(b) => {
            Some(Statistic { kind: CentredSquare, ..a.clone() })
        }
        (Value::Statistic(a), Value::Softmax(scores))
            if a.kind == Square && a.scores.is_none() && fits(&a.source, scores) =>
        {
            Some(Statistic { scores: Some(scores.clone()), ..a.clone() })
        }
        (Value::Statistic(a), Value::Softmax(scores))
            if a.kind == CentredSquare && a.scores.as_ref().is_some_and(|own| own.node == scores.node) =>
        {
            Some(Statistic { kind: WeightedCentredSquare, ..a.clone() })
        }
        (Value::Data(x), Value::Softmax(scores)) if fits(x, scores) => {
            Some(Statistic::new(x.clone(), Some(scores.clone()), x.axes.clone(), Weighted))
        }
        (Value::Statistic(a), Value::Data(x)) if a.kind == Weighted && a.source.node == x.node && a.axes == x.axes => {
            Some(Statistic { kind: Square, ..a.clone() })
        }
        _ => None,
    }
}
