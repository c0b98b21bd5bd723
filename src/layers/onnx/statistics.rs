//! Means, deviations and softmax: steps of statistics pooling, plain and attentive, and of normalisation.

use super::fold_moves::axis_index;
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Atom, Axis, Data, SampleVariance, Statistic, StatisticKind, Value, count};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;

const HALF_A_STEP: &str = "squares and variances are only understood as part of statistics pooling (mean and deviation \
                           over time) and of normalisation";

impl<'a> Importer<'a> {
    pub(super) fn softmax(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        node.at_most_inputs(1)?;
        let name = node.required_input(0)?;
        let value = self.value(node, name)?;
        // The default changed with opset 13, where a softmax over several axes became one over a single one.
        let old = node.opset < 13;
        let rank = value.axes().map_or(0, <[Axis]>::len);
        let axis = self.axis_of(node, if old { 1 } else { -1 }, rank)?;
        if old && axis + 1 != rank {
            let one = value.axes().is_some_and(|axes| axes[axis + 1..].iter().all(Vec::is_empty));
            if !one {
                return Err(node.unsupported("export it with opset 13 or later, or along the last axis"));
            }
        }
        let logarithm = node.operator() == "LogSoftmax";
        if let (Value::Scores(_), true) = (&value, logarithm) {
            return Err(node.unsupported("the logarithm of a softmax can be taken over all channels"));
        }
        if let Value::Scores(mut scores) = value {
            if axis + 1 != rank || scores.normalised {
                return Err(node.refuse("axis", axis, "take the softmax of scores over the keys"));
            }
            scores.normalised = true;
            return Ok(Value::Scores(scores));
        }
        let data = self.data(node, name)?;
        if !data.rows.is_empty() && data.axes[axis] == data.rows && !logarithm {
            return Ok(Value::Softmax(data));
        }
        if data.columns_are(axis) {
            let op = if logarithm { Op::LogSoftmax } else { Op::Softmax };
            return Ok(Value::Data(self.push(node, &data, op)));
        }
        let found = extents_of(&data.axes);
        Err(node.refuse("axis", format!("{axis} of {found}"), "take the softmax over all of time or all channels"))
    }

    pub(super) fn reduce_mean(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let name = node.required_input(0)?;
        let (source, axes, kind, before) = match self.value(node, name)? {
            Value::Statistic(Statistic { source, scores: None, axes, kind: StatisticKind::Square, over, .. }) => {
                (source, axes, StatisticKind::MeanOfSquare, over)
            }
            Value::Statistic(Statistic {
                source,
                scores: None,
                axes,
                kind: StatisticKind::CentredSquare,
                over,
                ..
            }) => (source, axes, StatisticKind::Variance, over),
            _ => {
                let data = self.data(node, name)?;
                let axes = data.axes.clone();
                (data, axes, StatisticKind::Mean, vec![])
            }
        };
        let (axes, over) = self.without(node, &axes)?;
        if kind == StatisticKind::Variance && over != before {
            return Err(node.unsupported("the variance of a value is its distance from the mean over the same axes"));
        }
        if over.is_empty() && kind == StatisticKind::Mean {
            return Ok(Value::Data(Data { axes, ..source }));
        }
        Ok(Value::Statistic(Statistic { over, ..Statistic::new(source, None, axes, kind) }))
    }

    /// A sum: over time with weights that add up to one, over channels, or a mean times a known number.
    pub(super) fn reduce_sum(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let name = node.required_input(0)?;
        let value = self.value(node, name)?;
        let kind = match &value {
            Value::Statistic(Statistic { kind: StatisticKind::Weighted, .. }) => Some(StatisticKind::Mean),
            Value::Statistic(Statistic { kind: StatisticKind::Square, scores: Some(_), .. })
            | Value::Statistic(Statistic { kind: StatisticKind::WeightedSquare, .. }) => {
                Some(StatisticKind::MeanOfSquare)
            }
            Value::Statistic(Statistic { kind: StatisticKind::WeightedCentredSquare, .. }) => {
                Some(StatisticKind::Variance)
            }
            _ => None,
        };
        match (value, kind) {
            (Value::Statistic(value), Some(kind)) => {
                let (axes, over) = self.without(node, &value.axes)?;
                if over != value.source.rows {
                    return Err(node.unsupported("weights of a softmax over time add up over time"));
                }
                Ok(Value::Statistic(Statistic { axes, over, kind, ..value }))
            }
            (Value::Statistic(square), None) if square.kind == StatisticKind::Square && square.scores.is_none() => {
                self.sum_of_squares(node, square)
            }
            _ => {
                let data = self.data(node, name)?;
                self.plain_sum(node, data)
            }
        }
    }

    /// Concat of the mean and the deviation of the same value along channels; `None` if it is
    /// something else.
    pub(super) fn statistics_pooling(&mut self, node: &NodeView, axis: i64) -> Result<Option<Value>, ModelError> {
        let left = self.value(node, node.required_input(0)?)?;
        let right = self.value(node, node.required_input(1)?)?;
        let (Value::Statistic(mean), Value::Statistic(deviation)) = (left, right) else {
            return Ok(None);
        };
        let (StatisticKind::Mean, StatisticKind::Deviation(min_variance)) = (mean.kind, deviation.kind) else {
            return Ok(None);
        };
        let axis = axis_index(node, axis, mean.axes.len())?;
        let source = &deviation.source;
        let plain = mean.belongs_to(&deviation) && deviation.over == source.rows && mean.axes == deviation.axes;
        let along =
            mean.axes[axis].len() == source.cols.len() && mean.axes[axis].iter().all(|a| source.cols.contains(a));
        if !plain || !along {
            return Ok(None);
        }
        let mut pool = self.pool(node, &deviation, min_variance)?;
        if !deviation.is_plain() {
            let [left, right] = self.halves(node, &deviation, &pool)?;
            pool = self.push_all(node, &[left, right], Op::Concat);
        }
        let parts = self.axis(Some(2));
        let mut axes = mean.axes;
        axes[axis].splice(0..0, parts.iter().copied());
        let cols = parts.into_iter().chain(source.cols.iter().copied()).collect();
        Ok(Some(Value::Data(Data { axes, rows: vec![], cols, ..pool })))
    }

    /// The mean, and the deviation with its factor and limit.
    fn halves(&mut self, node: &NodeView, value: &Statistic, pool: &Data) -> Result<[Data; 2], ModelError> {
        let columns = value.source.columns();
        let rows: Vec<Atom> = value.source.rows.iter().filter(|atom| !value.over.contains(atom)).copied().collect();
        let [mean, mut deviation] = [0, columns].map(|first| {
            let part = self.push(node, pool, Op::Slice { first, columns });
            Data { axes: value.axes.clone(), rows: rows.clone(), cols: value.source.cols.clone(), ..part }
        });
        if value.factor != 1.0 {
            deviation = self.scaled(node, &deviation, value.factor.sqrt(), 0.0)?;
        }
        if value.limit.is_finite() {
            deviation = self.push(node, &deviation, Op::AtMost { limit: value.limit.sqrt() });
        }
        Ok([mean, deviation])
    }

    /// Mean and deviation of a value over time. The deviation lacks its factor and limit.
    fn pool(&mut self, node: &NodeView, value: &Statistic, min_variance: f64) -> Result<Data, ModelError> {
        let unbiased = match value.sample {
            SampleVariance::No => false,
            SampleVariance::Yes => true,
            SampleVariance::TimesCount => return Err(node.unsupported(HALF_A_STEP)),
        };
        let inner: Vec<Atom> = value.source.rows.iter().filter(|atom| !value.over.contains(atom)).copied().collect();
        let over_time = !value.over.is_empty()
            && value.source.rows.ends_with(&inner)
            && value.over.iter().all(|atom| value.source.rows.contains(atom));
        if !over_time {
            return Err(node.unsupported("only deviations over time can be imported"));
        }
        let (factor, epsilon) = (value.factor, value.epsilon);
        let (min_variance, epsilon) = (min_variance / factor, epsilon / factor);
        match &value.scores {
            None if inner.is_empty() && !unbiased && epsilon == 0.0 => {
                Ok(self.push(node, &value.source, Op::StatsPool { min_variance }))
            }
            None => {
                let inner = count(&inner).ok_or_else(|| node.unsupported("two extents of an image are not known"))?;
                Ok(self.push(node, &value.source, Op::GridStats { inner, min_variance, epsilon, unbiased }))
            }
            // Beside weighted variances of speech, what keeps a root from zero is a smallest variance.
            Some(scores) if epsilon <= 1e-4 && !unbiased => {
                self.pooled_runs(node, [&value.source, scores], min_variance.max(epsilon))
            }
            Some(_) => {
                Err(node
                    .unsupported("weighted deviations have no correction, and at most 1e-4 is added to their variance"))
            }
        }
    }

    /// A mean, a deviation or a distance from the mean by itself.
    pub(super) fn statistic(&mut self, node: &NodeView, value: Statistic) -> Result<Data, ModelError> {
        let (half, min_variance) = match (value.kind, &value.scores) {
            (StatisticKind::Mean, None) => {
                let mean = self.mean_over(node, &value.source, &value.over)?;
                return Ok(Data { axes: value.axes, ..mean });
            }
            (StatisticKind::Sum, _) => {
                let help = "a sum over a length that is not known; take the mean, or fix the length of recordings (--length SAMPLES)";
                return Err(node.unsupported(help));
            }
            (StatisticKind::Centred, Some(_)) => return Err(node.unsupported(HALF_A_STEP)),
            (StatisticKind::Centred, _) if value.over == value.source.rows => {
                let centred = self.push(node, &value.source, Op::SubtractMean);
                return Ok(Data { axes: value.axes, ..centred });
            }
            (StatisticKind::Centred, _) => {
                let columns = value.over.iter().all(|atom| value.source.cols.contains(atom));
                if !columns || value.over.len() != value.source.cols.len() {
                    return self.less_mean(node, value);
                }
                let n = value.source.columns();
                self.spend(node, n.saturating_mul(n))?;
                let less = |r: usize, c: usize| f64::from(u8::from(r == c)) - (n as f64).recip();
                let weight = FloatMatrix::from_fn(n, n, less);
                let centred = self.push(node, &value.source, Op::Dense { weight, bias: vec![0.0; n] });
                return Ok(Data { axes: value.axes, ..centred });
            }
            (StatisticKind::CentredSquare, None) => {
                let centred = self.statistic(node, Statistic { kind: StatisticKind::Centred, ..value })?;
                return Ok(self.push_all(node, &[centred.clone(), centred], Op::Multiply));
            }
            (StatisticKind::Square, None) => {
                let x = value.source.clone();
                let square = self.push_all(node, &[x.clone(), x], Op::Multiply);
                return Ok(Data { axes: value.axes, ..square });
            }
            (StatisticKind::Mean, Some(_)) => (0, 0.0),
            (StatisticKind::Deviation(min_variance), _) => (1, min_variance),
            _ => return Err(node.unsupported(HALF_A_STEP)),
        };
        let both = self.pool(node, &value, min_variance)?;
        let [mean, deviation] = self.halves(node, &value, &both)?;
        Ok(if half == 0 { mean } else { deviation })
    }

    /// The squared norm of all channels, the power of a spectrum's parts, or a sum of squares of values.
    fn sum_of_squares(&mut self, node: &NodeView, square: Statistic) -> Result<Value, ModelError> {
        let (source, axes) = (&square.source, &square.axes);
        let reduced = self.reduced(node, axes.len())?;
        match reduced[..] {
            [axis] if source.columns_are(axis) && node.int("keepdims", 1)? != 0 => {
                Ok(Value::Norm(square.source, axis, true))
            }
            [axis] if count(&axes[axis]) == Some(2) && source.is_in_columns(axis) => {
                let data = Data { axes: square.axes, ..square.source };
                self.power_of_parts(node, &data, axis)
            }
            _ => {
                let square = self.statistic(node, square)?;
                self.plain_sum(node, square)
            }
        }
    }

    pub(super) fn reduce_sum_square(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let data = self.first(node)?;
        let axes = data.axes.clone();
        self.sum_of_squares(node, Statistic::new(data, None, axes, StatisticKind::Square))
    }

    pub(super) fn sqrt(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let name = node.required_input(0)?;
        match self.value(node, name)? {
            Value::Statistic(value) => {
                let kind = match value.kind {
                    StatisticKind::Variance => StatisticKind::Deviation(0.0),
                    StatisticKind::Clipped(minimum) => StatisticKind::Deviation(minimum),
                    StatisticKind::MeanOfSquare => StatisticKind::Root,
                    _ => return Err(node.unsupported(HALF_A_STEP)),
                };
                Ok(Value::Statistic(Statistic { kind, ..value }))
            }
            Value::Norm(data, axis, true) => Ok(Value::Norm(data, axis, false)),
            _ => self.function(node),
        }
    }

    /// 1/x, of a deviation or of any value.
    pub(super) fn reciprocal(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let name = node.required_input(0)?;
        match self.value(node, name)? {
            Value::Statistic(value) if matches!(value.kind, StatisticKind::Deviation(_)) => {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Reciprocal, ..value }))
            }
            Value::Statistic(value) if value.kind == StatisticKind::Root => {
                Ok(Value::Statistic(Statistic { kind: StatisticKind::ReciprocalRoot, ..value }))
            }
            _ => self.function(node),
        }
    }

    pub(super) fn reduce_l2(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let data = self.first(node)?;
        let reduced = self.reduced(node, data.axes.len())?;
        node.int_only("keepdims", 1, "keep the dimension, so that the division broadcasts")?;
        match reduced[..] {
            [axis] if data.columns_are(axis) => Ok(Value::Norm(data, axis, false)),
            _ => Err(shape(node, "all channels, the norm's only axis", extents_of(&data.axes))),
        }
    }
}

impl Statistic {
    /// Whether its deviation is the pool's, without factor and limit.
    fn is_plain(&self) -> bool {
        (self.factor, self.limit) == (1.0, f64::INFINITY)
    }
}
