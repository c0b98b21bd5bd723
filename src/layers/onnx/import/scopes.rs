//! Names, and graphs inside of nodes: branches and the bodies of loops.

use super::super::node::NodeView;
use super::super::proto::{GraphProto, ValueInfoProto};
use super::super::value::Value;
use super::{Importer, MAX_NODES, is_demanded, refuse};
use crate::error::ModelError;

impl<'a> Importer<'a> {
    /// The branch that a constant condition chooses, in place of the node.
    pub(in crate::layers::onnx) fn branch(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        let condition = self.value(node, node.required_input(0)?)?;
        let chosen = match &condition {
            Value::Constant(tensor) => tensor.ints().and_then(|v| v.first().copied()),
            _ => None,
        };
        let chosen = chosen.ok_or_else(|| {
            node.unsupported("its condition must be constant: fix the inputs it depends on (--input NAME=VALUE)")
        })?;
        let graph = node.graph(if chosen != 0 { "then_branch" } else { "else_branch" })?;
        self.declare(node, graph)?;
        self.walk(&graph.node, node.opset)?;
        let value = |(index, output): (usize, &ValueInfoProto)| {
            let asked = node.outputs().get(index).is_some_and(|name| self.demanded.contains(name.as_str()));
            match asked {
                true => self.value(node, output.name.as_deref().unwrap_or_default()),
                false => Ok(Value::Unavailable("nothing asked for it")),
            }
        };
        let values = graph.output.iter().enumerate().map(value).collect();
        self.leave(graph);
        values
    }

    /// Makes the constants of a graph inside of a node known.
    pub(in crate::layers::onnx) fn declare(
        &mut self,
        node: &NodeView,
        graph: &'a GraphProto,
    ) -> Result<(), ModelError> {
        for tensor in &graph.initializer {
            let name = tensor.name.as_deref().unwrap_or_default();
            if self.initializers.insert(name, tensor).is_some() {
                return Err(node.malformed(format!("has a second tensor named {name:?}")));
            }
        }
        Ok(())
    }

    /// Forgets the constants of a graph inside of a node, which may be walked again.
    pub(in crate::layers::onnx) fn leave(&mut self, graph: &'a GraphProto) {
        for tensor in &graph.initializer {
            let name = tensor.name.as_deref().unwrap_or_default();
            self.initializers.remove(name);
            self.forget(name);
        }
    }

    /// Gives a name a value.
    pub(in crate::layers::onnx) fn define(&mut self, name: &'a str, value: Value) {
        self.values.insert(name, value);
    }

    /// Whether a name has a value.
    pub(in crate::layers::onnx) fn is_defined(&self, name: &str) -> bool {
        self.values.contains_key(name) || self.initializers.contains_key(name)
    }

    /// Takes the value of a name away.
    pub(in crate::layers::onnx) fn forget(&mut self, name: &str) {
        self.values.remove(name);
        self.encodings.remove(name);
    }

    /// Accounts for a step of a loop, and for the nodes of its body that are looked at and left out.
    pub(in crate::layers::onnx) fn count_step(&mut self, body: &GraphProto) -> Result<(), ModelError> {
        let left_out = body.node.iter().filter(|node| !is_demanded(node, &self.demanded)).count();
        self.count_nodes(left_out.saturating_add(1))
    }

    pub(super) fn count_nodes(&mut self, nodes: usize) -> Result<(), ModelError> {
        self.steps = self
            .steps
            .checked_sub(nodes)
            .ok_or_else(|| refuse("nodes", format!("over {MAX_NODES}"), "simplify the graph before importing it"))?;
        Ok(())
    }
}
