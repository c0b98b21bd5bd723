//! Where with a constant condition: entries of one value or of another, or a mask of scores.

use super::attention::masked_scores;
use super::elementwise::single;
use super::fold;
use super::import::Importer;
use super::node::NodeView;
use super::tensor::{Tensor, Values};
use super::value::{Data, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

impl Importer<'_> {
    /// Where: `condition·yes + (1 − condition)·no`.
    pub(super) fn choose(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(3)?;
        let names = [node.required_input(1)?, node.required_input(2)?];
        if let Value::Data(condition) = self.value(node, node.required_input(0)?)? {
            return self.chosen_by_value(node, &condition, names);
        }
        let condition = self.tensor(node, node.required_input(0)?)?;
        let flags = condition.ints().ok_or_else(|| node.malformed("has a condition that is no boolean"))?;
        let weights = |chosen: bool| {
            let values = flags.iter().map(|&flag| f64::from(u8::from((flag != 0) == chosen))).collect();
            Tensor { dims: condition.dims.clone(), values: Values::Float(values) }
        };
        let [yes, no] = names;
        match (self.value(node, yes)?, self.value(node, no)?) {
            (Value::Scores(scores), Value::Constant(hidden)) => {
                let mask = hiding(node, &weights(false), &hidden)?;
                masked_scores(node, *scores, &mask)
            }
            (Value::Constant(hidden), Value::Scores(scores)) => {
                let mask = hiding(node, &weights(true), &hidden)?;
                masked_scores(node, *scores, &mask)
            }
            (_, Value::Constant(other)) => self.or_constant(node, yes, &weights(true), &other),
            (Value::Constant(other), _) => self.or_constant(node, no, &weights(false), &other),
            _ => {
                let [yes, no] = [(yes, true), (no, false)].map(|(name, chosen)| (name, weights(chosen)));
                let first = self.data(node, yes.0)?;
                let first = self.times_constant(node, first, &yes.1)?;
                let second = self.data(node, no.0)?;
                let second = self.times_constant(node, second, &no.1)?;
                let pair = self.aligned(node, first, second)?;
                Ok(Value::Data(self.push_all(node, &pair, Op::Add)))
            }
        }
    }

    fn times_constant(&mut self, node: &NodeView, data: Data, weights: &Tensor) -> Result<Data, ModelError> {
        match self.combined_with(node, data, weights, |w| (w, 0.0))? {
            Value::Data(data) => Ok(data),
            _ => Err(node.unsupported("only values of the network can be chosen from")),
        }
    }

    /// The value where `weights` are 1, a constant where they are 0.
    fn or_constant(
        &mut self,
        node: &NodeView,
        name: &str,
        weights: &Tensor,
        other: &Tensor,
    ) -> Result<Value, ModelError> {
        let data = self.data(node, name)?;
        let data = self.times_constant(node, data, weights)?;
        let flags = Tensor {
            dims: weights.dims.clone(),
            values: Values::Int(weights.floats().unwrap_or_default().iter().map(|&w| i64::from(w != 0.0)).collect()),
        };
        let chosen = fold::select(node, [&flags, &Tensor::scalar(0.0), other], self.room())?;
        let chosen = chosen.ok_or_else(|| node.unsupported("its constant must be of floats"))?;
        self.combined_with(node, data, &chosen, |x| (1.0, x))
    }
}

/// What is added to scores that are hidden where `hidden_where` is 1.
fn hiding(node: &NodeView, hidden_where: &Tensor, by: &Tensor) -> Result<Tensor, ModelError> {
    let by = single(by).filter(|&by| by <= -1e4);
    let by = by.ok_or_else(|| node.unsupported("scores can only be replaced by −∞ (or at most −10000)"))?;
    let values = hidden_where.floats().unwrap_or_default().iter().map(|&w| if w == 0.0 { 0.0 } else { by }).collect();
    Ok(Tensor { dims: hidden_where.dims.clone(), values: Values::Float(values) })
}

/// Which channel is the largest: what a network of classes may end in.
impl Importer<'_> {
    pub(super) fn arg_max(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis", "keepdims", "select_last_index"])?;
        node.at_most_inputs(1)?;
        self.largest(node, 0)
    }

    pub(super) fn top_k(&mut self, node: &NodeView) -> Result<Vec<Value>, ModelError> {
        node.only(&["axis", "largest", "sorted", "k"])?;
        node.at_most_inputs(2)?;
        node.int_only("largest", 1, "take the largest value")?;
        let one = self.list(node, 1, "k")?.map_or(node.int("k", 0)? == 1, |k| k == [1]);
        if !one {
            return Err(node.unsupported("only the largest one of the values can be found"));
        }
        let index = self.largest(node, -1)?;
        Ok(vec![Value::Unavailable("of TopK, only the indices can be imported"), index])
    }

    fn largest(&mut self, node: &NodeView, usual: i64) -> Result<Value, ModelError> {
        let data = self.first(node)?;
        let axis = self.axis_of(node, usual, data.axes.len())?;
        if !data.columns_are(axis) || !data.single_row() {
            return Err(node.unsupported("the largest of all channels of one row can be found"));
        }
        Ok(Value::Largest(data))
    }
}
