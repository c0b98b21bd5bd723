//! The operator `Constant`, whose value is one of its attributes.

use super::Importer;
use crate::error::ModelError;
use crate::layers::onnx::node::NodeView;
use crate::layers::onnx::tensor::{Tensor, Values};
use crate::layers::onnx::value::Value;

impl<'a> Importer<'a> {
    /// A constant of one of the operator `Constant`'s attributes.
    pub(in crate::layers::onnx) fn constant(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&["value", "value_float", "value_floats", "value_int", "value_ints"])?;
        node.at_most_inputs(0)?;
        let tensor = if let Some(proto) = node.tensor("value")? {
            let name = node.outputs().first().map_or("", String::as_str);
            self.types.extend(proto.data_type.map(|data_type| (name, data_type)));
            Tensor::read(proto)?
        } else if node.has("value_float") {
            Tensor::scalar(node.float("value_float", 0.0)?)
        } else if let Some(values) = node.floats("value_floats")? {
            Tensor { dims: vec![values.len()], values: Values::Float(values) }
        } else if node.has("value_int") {
            Tensor { dims: vec![], values: Values::Int(vec![node.int("value_int", 0)?]) }
        } else if let Some(values) = node.ints("value_ints") {
            Tensor { dims: vec![values.len()], values: Values::Int(values.to_vec()) }
        } else {
            return Err(node.malformed("has no value"));
        };
        self.constant_value(node, tensor)
    }
}
