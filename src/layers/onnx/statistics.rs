//! Means, deviations and softmax over time: steps of statistics pooling, plain and attentive.

use super::import::Importer;
use super::node::NodeView;
use super::patterns::axis_index;
use super::value::{Axis, Data, Statistic, StatisticKind, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

impl<'a> Importer<'a> {
    pub(super) fn softmax(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        node.at_most_inputs(1)?;
        let data = self.data(node, node.required_input(0)?)?;
        // The default changed with opset 13, where a softmax over several axes became one over a single one.
        if !node.has("axis") || node.opset < 13 {
            return Err(node.unsupported("export it with an axis and opset 13 or later"));
        }
        let axis = axis_index(node, node.int("axis", -1)?, data.axes.len())?;
        match data.axes[axis] {
            Axis::Time => Ok(Value::Softmax(data)),
            other => Err(node.refuse("axis", format!("{other:?}"), "only a softmax over time can be imported")),
        }
    }

    /// A sum over time with weights that add up to one.
    pub(super) fn reduce_sum(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
        node.at_most_inputs(2)?;
        let keep = node.int("keepdims", 1)? != 0;
        let help = "only sums over time of a value that a softmax over time weights can be imported";
        let Value::Statistic(value) = self.value(node, node.required_input(0)?)? else {
            return Err(node.unsupported(help));
        };
        let kind = match (value.kind, &value.scores) {
            (StatisticKind::Weighted, Some(_)) => StatisticKind::Mean,
            (StatisticKind::Square, Some(_)) => StatisticKind::MeanOfSquare,
            _ => return Err(node.unsupported(help)),
        };
        let axes = self.without_time(node, value.axes.clone(), keep)?;
        Ok(Value::Statistic(Statistic { axes, kind, ..value }))
    }

    /// The axes after a reduction over time.
    fn without_time(&mut self, node: &NodeView, mut axes: Vec<Axis>, keep: bool) -> Result<Vec<Axis>, ModelError> {
        match self.axes(node, axes.len())?[..] {
            [time] if axes[time] == Axis::Time => {
                if !keep {
                    axes.remove(time);
                }
                Ok(axes)
            }
            _ => Err(node.unsupported("only reductions over time can be imported")),
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
        if !mean.belongs_to(&deviation) || mean.axes[axis_index(node, axis, mean.axes.len())?] != Axis::Channel {
            return Ok(None);
        }
        let columns = mean.source.columns.saturating_mul(2);
        let mut pool = self.pool(node, &deviation, min_variance);
        if (deviation.factor, deviation.limit) != (1.0, f64::INFINITY) {
            let [left, right] = self.halves(node, &deviation, &pool)?;
            pool = self.push_all(node, &[left, right], Op::Concat);
        }
        Ok(Some(Value::Data(Data { axes: mean.axes, columns, single_row: true, ..pool })))
    }

    /// The mean, and the deviation with its factor and limit.
    fn halves(&mut self, node: &NodeView, value: &Statistic, pool: &Data) -> Result<[Data; 2], ModelError> {
        let columns = value.source.columns;
        let [mean, mut deviation] = [0, columns].map(|first| {
            let part = self.push(node, pool, Op::Slice { first, columns });
            Data { axes: value.axes.clone(), single_row: true, columns, ..part }
        });
        if value.factor != 1.0 {
            self.spend(node, 2 * columns)?;
            let (scale, shift) = (vec![value.factor.sqrt(); columns], vec![0.0; columns]);
            deviation = self.push(node, &deviation, Op::Affine { scale, shift });
        }
        if value.limit.is_finite() {
            deviation = self.push(node, &deviation, Op::AtMost { limit: value.limit.sqrt() });
        }
        Ok([mean, deviation])
    }

    /// Mean and deviation of a value over time, with the weights if there are any. The deviation lacks its factor and
    /// limit.
    fn pool(&mut self, node: &NodeView, value: &Statistic, min_variance: f64) -> Data {
        let min_variance = min_variance / value.factor;
        match &value.scores {
            None => self.push(node, &value.source, Op::StatsPool { min_variance }),
            Some(scores) => {
                let inputs = [value.source.clone(), scores.clone()];
                self.push_all(node, &inputs, Op::AttentiveStatsPool { min_variance })
            }
        }
    }

    /// A mean or a deviation by itself.
    pub(super) fn statistic(&mut self, node: &NodeView, value: Statistic) -> Result<Data, ModelError> {
        let (half, min_variance) = match (value.kind, &value.scores) {
            (StatisticKind::Mean, None) => {
                let mean = self.push(node, &value.source, Op::MeanPool);
                return Ok(Data { axes: value.axes, single_row: true, ..mean });
            }
            (StatisticKind::Centred, _) => {
                let centred = self.push(node, &value.source, Op::SubtractMean);
                return Ok(Data { axes: value.axes, ..centred });
            }
            (StatisticKind::Mean, Some(_)) => (0, 0.0),
            (StatisticKind::Deviation(min_variance), _) => (1, min_variance),
            _ => {
                return Err(node.unsupported(
                    "squares and variances are only understood as part of statistics pooling (mean and deviation \
                     over time)",
                ));
            }
        };
        let both = self.pool(node, &value, min_variance);
        let [mean, deviation] = self.halves(node, &value, &both)?;
        Ok(if half == 0 { mean } else { deviation })
    }

    pub(super) fn reduce_mean(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
        node.at_most_inputs(2)?;
        let keep = node.int("keepdims", 1)? != 0;
        let name = node.required_input(0)?;
        let (source, axes, kind) = match self.value(node, name)? {
            Value::Statistic(Statistic { source, scores: None, axes, kind: StatisticKind::Square, .. }) => {
                (source, axes, StatisticKind::MeanOfSquare)
            }
            Value::Statistic(Statistic { source, scores: None, axes, kind: StatisticKind::CentredSquare, .. }) => {
                (source, axes, StatisticKind::Variance)
            }
            _ => {
                let data = self.data(node, name)?;
                let axes = data.axes.clone();
                (data, axes, StatisticKind::Mean)
            }
        };
        let axes = self.without_time(node, axes, keep)?;
        Ok(Value::Statistic(Statistic::new(source, None, axes, kind)))
    }

    /// Mean over time.
    pub(super) fn global_average_pool(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let data = self.data(node, node.required_input(0)?)?;
        if data.axes != [Axis::Batch, Axis::Channel, Axis::Time] {
            return Err(node.unsupported("only the mean over time can be imported, of [Batch, Channel, Time]"));
        }
        let mean = self.push(node, &data, Op::MeanPool);
        Ok(Value::Data(Data { single_row: true, ..mean }))
    }

    pub(super) fn sqrt(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let min_variance = |kind| match kind {
            StatisticKind::Variance => Some(0.0),
            StatisticKind::Clipped(minimum) => Some(minimum),
            _ => None,
        };
        if let Value::Statistic(value) = self.value(node, node.required_input(0)?)?
            && let Some(minimum) = min_variance(value.kind)
        {
            let kind = StatisticKind::Deviation(minimum);
            return Ok(Value::Statistic(Statistic { kind, ..value }));
        }
        Err(node.unsupported("only the root of a variance over time can be imported"))
    }
}
