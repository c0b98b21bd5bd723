//! Comparisons with a constant: functions of one value that are 1 where they hold and 0 elsewhere, and what joins them.

use super::elementwise::single;
use super::import::Importer;
use super::node::NodeView;
use super::value::{Data, Value};
use crate::error::ModelError;
use crate::layers::network::Op;

impl Importer<'_> {
    /// Greater, GreaterOrEqual, Less, LessOrEqual.
    pub(super) fn compared(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let names = [node.required_input(0)?, node.required_input(1)?];
        let numbers = [self.value(node, names[0])?, self.value(node, names[1])?].map(|value| match value {
            Value::Constant(tensor) => single(&tensor),
            _ => None,
        });
        let (name, number, swapped) = match numbers {
            [None, Some(number)] => (names[0], number, false),
            [Some(number), None] => (names[1], number, true),
            _ => return Err(node.unsupported("a value of the network can be compared with one constant number")),
        };
        let data = self.data(node, name)?;
        let (operator, below) = match (node.operator().as_str(), swapped) {
            ("Greater", false) | ("Less", true) => ("Greater", false),
            ("GreaterOrEqual", false) | ("LessOrEqual", true) => ("GreaterOrEqual", false),
            ("LessOrEqual", false) | ("GreaterOrEqual", true) => ("Greater", true),
            _ => ("GreaterOrEqual", true),
        };
        let above = self.apply(node, &data, operator, vec![number])?;
        // What is below is what is not above.
        Ok(Value::Data(if below { self.inverse(node, &above)? } else { above }))
    }

    /// 1 − x.
    pub(super) fn inverse(&mut self, node: &NodeView, data: &Data) -> Result<Data, ModelError> {
        self.scaled(node, data, -1.0, 1.0)
    }

    /// Not, of a comparison.
    pub(super) fn not(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let data = self.first(node)?;
        self.inverse(node, &data).map(Value::Data)
    }

    /// `condition·yes + (1 − condition)·no` for a condition that depends on the recording.
    pub(super) fn chosen_by_value(
        &mut self,
        node: &NodeView,
        condition: &Data,
        [yes, no]: [&str; 2],
    ) -> Result<Value, ModelError> {
        let otherwise = self.inverse(node, condition)?;
        let mut parts = Vec::with_capacity(2);
        for (name, flags) in [(yes, condition.clone()), (no, otherwise)] {
            parts.push(match self.value(node, name)? {
                Value::Constant(tensor) => match self.combined_with(node, flags, &tensor, |x| (x, 0.0))? {
                    Value::Data(data) => data,
                    _ => return Err(node.unsupported("only values of the network can be chosen from")),
                },
                _ => {
                    let data = self.data(node, name)?;
                    let pair = self.aligned(node, flags, data)?;
                    self.push_all(node, &pair, Op::Multiply)
                }
            });
        }
        let [Some(no), Some(yes)] = [parts.pop(), parts.pop()] else { return Err(node.malformed("has no value")) };
        let pair = self.aligned(node, yes, no)?;
        Ok(Value::Data(self.push_all(node, &pair, Op::Add)))
    }
}
