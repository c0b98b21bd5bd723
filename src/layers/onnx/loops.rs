//! Loop and Scan of a number of steps that is known at import: their bodies, walked once a step.
//!
//! Names of a body are new in every step. What a step gives beside its states is stacked along a new axis. Every step counts as
//! a node beside those of its body, so that no file can ask for more than the importer's limit of nodes.
//!
//! Operators: <https://onnx.ai/onnx/operators/onnx__Loop.html>, <https://onnx.ai/onnx/operators/onnx__Scan.html>.

use std::rc::Rc;

use super::fold_moves::axis_index;
use super::import::Importer;
use super::node::NodeView;
use super::proto::{GraphProto, NodeProto};
use super::tensor::{Tensor, Values};
use super::value::{Value, count};
use crate::error::ModelError;

/// The names that nodes define, in the bodies of conditions and loops, too.
fn defined<'a>(nodes: &'a [NodeProto], names: &mut Vec<&'a str>) {
    for node in nodes {
        names.extend(node.output.iter().map(String::as_str).filter(|name| !name.is_empty()));
        for graph in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
            defined(&graph.node, names);
        }
    }
}

/// The names of what a body takes, and of what it gives.
fn interface(body: &GraphProto) -> [Vec<&str>; 2] {
    [&body.input, &body.output].map(|infos| infos.iter().map(|info| info.name.as_deref().unwrap_or_default()).collect())
}

fn integer(value: i64) -> Value {
    Value::Constant(Rc::new(Tensor { dims: vec![], values: Values::Int(vec![value]) }))
}

impl<'a> Importer<'a> {
    /// A constant integer, if the input is given.
    fn whole_number(&mut self, node: &NodeView, input: usize, help: &str) -> Result<Option<i64>, ModelError> {
        let Some(name) = node.input(input) else { return Ok(None) };
        match self.value(node, name)? {
            Value::Constant(tensor) => match tensor.ints() {
                Some(&[number]) => Ok(Some(number)),
                _ => Err(node.malformed(format!("has an input {name:?} that is no single integer"))),
            },
            _ => Err(node.unsupported(help)),
        }
    }

    pub(super) fn unrolled_loop(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        node.only(&["body"])?;
        let help = "its number of steps must be constant; unroll it before export, or fix the input it depends on (--input NAME=VALUE)";
        let most = self.whole_number(node, 0, help)?;
        let mut goes_on = self.whole_number(node, 1, help)?.unwrap_or(1) != 0;
        let body = node.graph("body")?;
        let carried = node.num_inputs().saturating_sub(2);
        let [inputs, outputs] = interface(body);
        let stacked = outputs.len().checked_sub(carried + 1).filter(|_| inputs.len() == carried + 2);
        let stacked = stacked.ok_or_else(|| node.malformed("has a body of other inputs and outputs"))?;
        let mut states = self.states(node, 2, carried)?;
        let mut stacks: Vec<Vec<Value>> = vec![vec![]; stacked];
        let scope = self.enter(node, body)?;
        let mut step = 0;
        while goes_on && most.is_none_or(|most| step < most) {
            let given = [integer(step), integer(1)].into_iter().chain(states).collect();
            let mut results = self.iterate(node, body, &scope, given)?;
            let condition = results.remove(0);
            goes_on = match &condition {
                Value::Constant(tensor) => {
                    tensor.ints().is_some_and(|flags| flags.first().is_some_and(|&flag| flag != 0))
                }
                _ => return Err(node.unsupported(help)),
            };
            let rest = results.split_off(carried);
            states = results;
            stacks.iter_mut().zip(rest).for_each(|(stack, value)| stack.push(value));
            step += 1;
        }
        self.leave(body);
        for (index, stack) in stacks.into_iter().enumerate() {
            let output = node.outputs().get(carried + index).filter(|name| !name.is_empty());
            let value = if output.is_some() { self.stacked(node, stack, 0)? } else { unread() };
            states.push(value);
        }
        Ok(states)
    }

    pub(super) fn unrolled_scan(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        let axes_and_directions =
            ["scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"];
        node.only(&[&["body", "num_scan_inputs"][..], &axes_and_directions].concat())?;
        let body = node.graph("body")?;
        let [inputs, outputs] = interface(body);
        let scanned = usize::try_from(node.int("num_scan_inputs", 0)?).ok().filter(|&n| n > 0 && n <= inputs.len());
        let carried = scanned.map_or(0, |scanned| inputs.len() - scanned);
        let (Some(scanned), Some(stacked), true) =
            (scanned, outputs.len().checked_sub(carried), node.num_inputs() == inputs.len())
        else {
            return Err(node.malformed("has a body of other inputs and outputs"));
        };
        let at = |name: &str, index: usize| node.ints(name).map_or(Some(0), |list| list.get(index).copied());
        let missing = |name: &str| node.malformed(format!("has too few numbers in {name}"));
        let mut states = self.states(node, 0, carried)?;
        let mut sources = Vec::with_capacity(scanned);
        let mut length = None;
        for index in 0..scanned {
            let value = self.value(node, node.required_input(carried + index)?)?;
            let data = match value {
                Value::Constant(_) => {
                    return Err(node.unsupported("it scans a constant; add or multiply it outside of the loop"));
                }
                _ => self.data(node, node.required_input(carried + index)?)?,
            };
            let axis = at("scan_input_axes", index).ok_or_else(|| missing("scan_input_axes"))?;
            let axis = axis_index(node, axis, data.axes.len())?;
            let reverse = at("scan_input_directions", index).ok_or_else(|| missing("scan_input_directions"))? == 1;
            let help = "it scans a length that is not known; fix it (--length SAMPLES), or use LSTM, GRU or RNN";
            let extent = count(&data.axes[axis]).ok_or_else(|| node.unsupported(help))?;
            if *length.get_or_insert(extent) != extent {
                return Err(node.malformed("scans values of several lengths"));
            }
            sources.push((data, axis, reverse));
        }
        let length = length.unwrap_or(0);
        let mut stacks: Vec<Vec<Value>> = vec![vec![]; stacked];
        let scope = self.enter(node, body)?;
        for step in 0..length {
            let mut given = states;
            for (data, axis, reverse) in &sources {
                let at = if *reverse { length - 1 - step } else { step };
                given.push(Value::Data(self.entry(node, data, *axis, at)?));
            }
            let mut results = self.iterate(node, body, &scope, given)?;
            let rest = results.split_off(carried);
            states = results;
            stacks.iter_mut().zip(rest).for_each(|(stack, value)| stack.push(value));
        }
        self.leave(body);
        for (index, mut stack) in stacks.into_iter().enumerate() {
            let output = node.outputs().get(carried + index).filter(|name| !name.is_empty());
            let axis = at("scan_output_axes", index).ok_or_else(|| missing("scan_output_axes"))?;
            if at("scan_output_directions", index).ok_or_else(|| missing("scan_output_directions"))? == 1 {
                stack.reverse();
            }
            let value = if output.is_some() { self.stacked(node, stack, axis)? } else { unread() };
            states.push(value);
        }
        Ok(states)
    }

    /// The states before the first step: inputs from `first` on.
    fn states(&mut self, node: &NodeView, first: usize, count: usize) -> Result<Vec<Value>, ModelError> {
        (first..first.saturating_add(count)).map(|input| self.value(node, node.required_input(input)?)).collect()
    }

    /// Prepares the walks of a body: its constants, and the names that are new in every step.
    fn enter(&mut self, node: &NodeView, body: &'a GraphProto) -> Result<Vec<&'a str>, ModelError> {
        self.declare(node, body)?;
        let [inputs, _] = interface(body);
        let mut names = inputs;
        defined(&body.node, &mut names);
        match names.iter().find(|&&name| self.is_defined(name)) {
            Some(name) => Err(node.malformed(format!("has a body that defines {name:?} a second time"))),
            None => Ok(names),
        }
    }

    /// One step: the values of the body's outputs for those of its inputs.
    fn iterate(
        &mut self,
        node: &NodeView<'a>,
        body: &'a GraphProto,
        scope: &[&'a str],
        given: Vec<Value>,
    ) -> Result<Vec<Value>, ModelError> {
        self.count_step(body)?;
        let [inputs, outputs] = interface(body);
        inputs.into_iter().zip(given).for_each(|(name, value)| self.define(name, value));
        self.walk(&body.node, node.opset)?;
        let results = outputs.into_iter().map(|name| self.value(node, name)).collect();
        scope.iter().for_each(|name| self.forget(name));
        results
    }

    /// What every step gave, along a new axis.
    fn stacked(&mut self, node: &NodeView, stack: Vec<Value>, axis: i64) -> Result<Value, ModelError> {
        let mut parts = Vec::with_capacity(stack.len());
        let mut place = 0;
        for value in stack {
            let Value::Data(mut data) = value else {
                return Err(node.unsupported("what it stacks must be values that depend on the recording"));
            };
            place = axis_index(node, axis, data.axes.len() + 1)?;
            data.axes.insert(place, vec![]);
            parts.push(data);
        }
        match parts.len() {
            0 => Err(node.unsupported("it has no steps, and what it stacks no entries")),
            1 => Ok(Value::Data(parts.remove(0))),
            _ => self.joined(node, parts, place).map(Value::Data),
        }
    }
}

fn unread() -> Value {
    Value::Unavailable("nothing asked for it")
}
