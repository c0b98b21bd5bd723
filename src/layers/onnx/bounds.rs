//! Clip, Min and Max: bounds of values, of variances and of norms.

use super::elementwise::single;
use super::import::Importer;
use super::node::NodeView;
use super::value::{Statistic, StatisticKind, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

impl Importer<'_> {
    /// Bounds of Clip, Min and Max: below and above.
    pub(super) fn clip(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let mut bounds = [None; 2];
        let mut input = 0;
        match node.operator().as_str() {
            "Clip" => {
                node.only(&["min", "max"])?;
                node.at_most_inputs(3)?;
                for (bound, (input, name)) in bounds.iter_mut().zip([(1, "min"), (2, "max")]) {
                    if node.has(name) {
                        *bound = Some(node.float(name, 0.0)?);
                    } else if let Some(name) = node.input(input) {
                        *bound = single(&*self.tensor(node, name)?);
                    }
                }
            }
            operator => {
                node.only(&[])?;
                node.at_most_inputs(2)?;
                let at = usize::from(operator == "Min");
                for i in 0..2 {
                    if let Value::Constant(tensor) = self.value(node, node.required_input(i)?)? {
                        bounds[at] = single(&tensor);
                        input = 1 - i;
                    }
                }
            }
        }
        if bounds == [None; 2] {
            return match node.operator().as_str() {
                operator @ ("Min" | "Max") if node.num_inputs() == 2 => self.extreme(node, operator == "Max"),
                _ => Err(node.unsupported("a bound of one constant number is needed, or a second value")),
            };
        }
        // Exporters write the largest float32 for no bound.
        let largest = f64::from(f32::MAX);
        let [minimum, maximum] =
            [bounds[0].unwrap_or(-largest).max(-largest), bounds[1].unwrap_or(largest).min(largest)];
        let name = node.required_input(input)?;
        let value = self.value(node, name)?;
        match value {
            Value::Statistic(value)
                if value.kind == StatisticKind::Variance && minimum >= 0.0 && maximum >= minimum =>
            {
                let limit = if maximum < largest { maximum } else { f64::INFINITY };
                Ok(Value::Statistic(Statistic { kind: StatisticKind::Clipped(minimum), limit, ..value }))
            }
            // The guard against a row of zeros, which stays zero here as well.
            Value::Norm(data, axis, squared) if (0.0..=1e-6).contains(&minimum) && maximum >= largest => {
                Ok(Value::Norm(data, axis, squared))
            }
            _ => {
                let data = self.data(node, name)?;
                if (minimum, maximum) == (0.0, largest) {
                    return Ok(Value::Data(self.push(node, &data, Op::Relu)));
                }
                self.apply(node, &data, "Clip", vec![minimum, maximum]).map(Value::Data)
            }
        }
    }

    /// The larger of two values, `b + max(a − b, 0)`, or the smaller, `a − max(a − b, 0)`.
    fn extreme(&mut self, node: &NodeView, larger: bool) -> Result<Value, ModelError> {
        let pair = [self.data(node, node.required_input(0)?)?, self.data(node, node.required_input(1)?)?];
        let [a, b] = pair;
        let [a, b] = self.aligned(node, a, b)?;
        let negative = self.scaled(node, &b, -1.0, 0.0)?;
        let difference = self.push_all(node, &[a.clone(), negative], Op::Add);
        let excess = self.push(node, &difference, Op::Relu);
        let parts = if larger { [excess, b] } else { [self.scaled(node, &excess, -1.0, 0.0)?, a] };
        Ok(Value::Data(self.push_all(node, &parts, Op::Add)))
    }
}
