//! The walk over the graph: every name becomes a [`Value`], every layer a node of the network.

use std::collections::HashMap;
use std::rc::Rc;

use super::node::NodeView;
use super::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
use super::tensor::Tensor;
use super::value::{Axis, Data, Value};
use crate::error::ModelError;
use crate::layers::network::{Network, Node, NodeRef, Op};

const OLDEST_OPSET: i64 = 9;
const NEWEST_OPSET: i64 = 22;

/// The state of the walk.
pub(super) struct Importer<'a> {
    pub(super) nodes: Vec<Node>,
    values: HashMap<&'a str, Value>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    /// Elements that may still be copied: a small file that uses one tensor many times must not
    /// grow into a network that fills memory.
    budget: usize,
}

/// Imports a decoded model from a file of `file_size` bytes.
pub(super) fn import(model: &ModelProto, file_size: usize) -> Result<Network, ModelError> {
    let opset = opset(model)?;
    let graph = model.graph.as_ref().ok_or_else(|| malformed("it has no graph"))?;
    let mut initializers = HashMap::new();
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        if initializers.insert(name, tensor).is_some() {
            return Err(malformed(format!("it has two tensors named {name:?}")));
        }
    }
    // Whether time or channels come first is a convention of the model: only one of them fits, and
    // the error worth reading is that of the way that leads further.
    let mut furthest: Option<(usize, ModelError)> = None;
    for (input, data) in inputs(graph, &initializers)? {
        let mut importer = Importer {
            nodes: Vec::new(),
            values: HashMap::from([(input, Value::Data(data.clone()))]),
            initializers: initializers.clone(),
            budget: file_size.saturating_add(1 << 16),
        };
        match importer.run(graph, opset) {
            Ok(last) => {
                let nodes = needed(importer.nodes, last);
                return Ok(Network { input_columns: data.columns, nodes });
            }
            Err(error) => {
                let layers = importer.nodes.len();
                if furthest.as_ref().is_none_or(|&(most, _)| layers > most) {
                    furthest = Some((layers, error));
                }
            }
        }
    }
    let nothing = || malformed("its input has no extent that can be channels");
    Err(furthest.map_or_else(nothing, |(_, error)| error))
}

/// The model as a whole is of a kind that cannot be imported.
fn refuse(what: &str, value: impl std::fmt::Debug, help: &str) -> ModelError {
    ModelError::UnsupportedAttribute {
        node: "graph".into(),
        operator: "model".into(),
        attribute: what.into(),
        value: format!("{value:?}"),
        help: help.into(),
    }
}

fn malformed(reason: impl Into<String>) -> ModelError {
    ModelError::Malformed { reason: reason.into() }
}

fn opset(model: &ModelProto) -> Result<i64, ModelError> {
    let default = |domain: Option<&str>| matches!(domain.unwrap_or_default(), "" | "ai.onnx");
    let mut versions = model.opset_import.iter().filter(|id| default(id.domain.as_deref()));
    let opset = versions.next().and_then(|id| id.version).unwrap_or(0);
    if versions.next().is_some() {
        return Err(malformed("it declares its operator set twice"));
    }
    if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&opset) {
        return Err(ModelError::UnsupportedOpset { opset, oldest: OLDEST_OPSET, newest: NEWEST_OPSET });
    }
    Ok(opset)
}

/// The one input of the graph, seen in every way its shape allows, the likelier first.
fn inputs<'a>(
    graph: &'a GraphProto,
    initializers: &HashMap<&str, &TensorProto>,
) -> Result<Vec<(&'a str, Data)>, ModelError> {
    let name = |info: &'a ValueInfoProto| info.name.as_deref().unwrap_or_default();
    // Old files list constants among the inputs.
    let free: Vec<_> = graph.input.iter().filter(|info| !initializers.contains_key(name(info))).collect();
    let [input] = free[..] else {
        let names: Vec<_> = free.iter().map(|info| name(info)).take(8).collect();
        return Err(refuse("inputs", names, "export it with one input"));
    };
    let shape = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()?.shape.as_ref());
    let shape = shape.ok_or_else(|| malformed(format!("input {:?} has no shape", name(input))))?;
    let extents: Vec<Option<usize>> = shape
        .dim
        .iter()
        .map(|dim| dim.dim_value.and_then(|value| usize::try_from(value).ok()).filter(|&x| x > 0))
        .collect();
    if extents.first().copied().flatten().unwrap_or(1) != 1 {
        let help = "export it with a batch of 1 or a dynamic one";
        return Err(refuse("input extents", extents, help));
    }
    let ways = input_ways(&extents)?;
    Ok(ways.into_iter().map(|data| (name(input), data)).collect())
}

/// Every meaning that these extents of the input can have.
fn input_ways(extents: &[Option<usize>]) -> Result<Vec<Data>, ModelError> {
    use Axis::{Batch, Channel, Height, Time, Width};
    let data = |axes: &[Axis], columns: Option<usize>, image| {
        Some(Data {
            node: NodeRef::Input,
            axes: axes.to_vec(),
            columns: columns?,
            single_row: !axes.contains(&Time) && !axes.contains(&Height),
            image,
            flattened: None,
        })
    };
    let ways = match *extents {
        [_, channels] => vec![data(&[Batch, Channel], channels, None), data(&[Batch, Time], Some(1), None)],
        [_, first, second] => {
            vec![data(&[Batch, Time, Channel], second, None), data(&[Batch, Channel, Time], first, None)]
        }
        [_, channels, Some(height), Some(width)] => {
            let axes = [Batch, Channel, Height, Width];
            vec![data(&axes, channels, Some([height, width]))]
        }
        _ => {
            let help = "[batch, time, channels], [batch, channels, time], [batch, channels], [batch, samples] or a \
                        fixed image [batch, channels, height, width] is needed";
            return Err(refuse("input extents", extents, help));
        }
    };
    Ok(ways.into_iter().flatten().collect())
}

impl<'a> Importer<'a> {
    /// Walks the graph; returns the index of the layer that computes its output.
    fn run(&mut self, graph: &'a GraphProto, opset: i64) -> Result<usize, ModelError> {
        for (index, proto) in graph.node.iter().enumerate() {
            let node = NodeView::new(proto, index, opset);
            let values = self.node(&node)?;
            for (index, name) in node.outputs().iter().enumerate() {
                if name.is_empty() {
                    continue;
                }
                let value = values
                    .get(index)
                    .cloned()
                    .ok_or_else(|| node.unsupported(format!("its output {index} is not; remove its use")))?;
                let taken = self.initializers.contains_key(name.as_str());
                if taken || self.values.insert(name, value).is_some() {
                    return Err(node.malformed(format!("defines {name:?} a second time")));
                }
            }
        }
        let [output] = &graph.output[..] else {
            return Err(refuse("outputs", graph.output.len(), "export it with one output"));
        };
        let name = output.name.as_deref().unwrap_or_default();
        let end = NodeView::new(graph.node.last().ok_or_else(|| malformed("no nodes"))?, 0, opset);
        let data = self.data(&end, name)?;
        let NodeRef::Node(last) = data.node else {
            return Err(malformed("its output is its input"));
        };
        if data.flattened.is_some() {
            return Err(end.unsupported("an image cannot be the output; end with Gemm"));
        }
        Ok(last)
    }

    fn node(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        let one = |value: Value| vec![value];
        match node.operator().as_str() {
            "Abs" => self.activation(node, Op::Abs).map(one),
            "Add" => self.add(node).map(one),
            "BatchNormalization" => self.batch_normalization(node).map(one),
            "Clip" => self.clip(node).map(one),
            "Concat" => self.concat(node).map(one),
            "Constant" => self.constant(node).map(one),
            "Conv" => self.conv(node).map(one),
            "Div" => self.div(node).map(one),
            "Expand" => self.expand(node).map(one),
            "Flatten" => self.flatten(node).map(one),
            "GRU" => self.gru(node),
            "Gather" => self.gather(node).map(one),
            "Gemm" => self.gemm(node).map(one),
            "GlobalAveragePool" => self.global_average_pool(node).map(one),
            "Identity" => {
                node.only(&[])?;
                node.at_most_inputs(1)?;
                self.value(node, node.required_input(0)?).map(one)
            }
            "InstanceNormalization" => self.instance_normalization(node).map(one),
            "LSTM" => self.lstm(node),
            "Log" => self.activation(node, Op::Log).map(one),
            "MaxPool" => self.max_pool(node).map(one),
            "Mul" => self.mul(node).map(one),
            "Pad" => self.pad(node).map(one),
            "Pow" => self.pow(node).map(one),
            "ReduceL2" => self.reduce_l2(node).map(one),
            "ReduceMean" => self.reduce_mean(node).map(one),
            "ReduceSum" => self.reduce_sum(node).map(one),
            "Relu" => self.activation(node, Op::Relu).map(one),
            "Reshape" => self.reshape(node).map(one),
            "Sigmoid" => self.activation(node, Op::Sigmoid).map(one),
            "Softmax" => self.softmax(node).map(one),
            "Split" => self.split(node),
            "Sqrt" => self.sqrt(node).map(one),
            "Squeeze" => self.squeeze(node).map(one),
            "Sub" => self.sub(node).map(one),
            "Tanh" => self.activation(node, Op::Tanh).map(one),
            "Tile" => self.tile(node).map(one),
            "Transpose" => self.transpose(node).map(one),
            "Unsqueeze" => self.unsqueeze(node).map(one),
            _ => Err(node.unsupported("`voxcheck model ops` lists what is; change the model or remove the node")),
        }
    }

    /// What a name stands for.
    pub(super) fn value(&mut self, node: &NodeView, name: &str) -> Result<Value, ModelError> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let proto = self
            .initializers
            .get(name)
            .ok_or_else(|| node.malformed(format!("reads {name:?}, which nothing before it defines")))?;
        let tensor = Tensor::read(proto)?;
        self.spend(node, tensor.len())?;
        Ok(Value::Constant(Rc::new(tensor)))
    }

    /// A name that stands for a constant.
    pub(super) fn tensor(&mut self, node: &NodeView, name: &str) -> Result<Rc<Tensor>, ModelError> {
        match self.value(node, name)? {
            Value::Constant(tensor) => Ok(tensor),
            _ => Err(node.unsupported(format!("{name:?} must be a constant"))),
        }
    }

    /// A name that stands for a constant of numbers.
    pub(super) fn floats(&mut self, node: &NodeView, name: &str) -> Result<(Vec<usize>, Vec<f64>), ModelError> {
        let tensor = self.tensor(node, name)?;
        let floats = tensor.floats().ok_or_else(|| node.malformed(format!("{name:?} is not float")))?;
        // The copy outlives the tensor, which may be shared.
        self.spend(node, floats.len())?;
        Ok((tensor.dims.clone(), floats.to_vec()))
    }

    /// A name that stands for a value of the network; a mean over time becomes a layer here.
    pub(super) fn data(&mut self, node: &NodeView, name: &str) -> Result<Data, ModelError> {
        let value = self.value(node, name)?;
        match value {
            Value::Data(data) => Ok(data),
            Value::Statistic(statistic) => self.statistic(node, statistic),
            Value::Constant(_) => Err(node.unsupported(format!("its input {name:?} must not be a constant"))),
            Value::FinalCell => Err(node.unsupported("the final cell state is not available; use the hidden state")),
            Value::FinalStates { .. } => {
                Err(node.unsupported("select one final hidden state with Gather or Squeeze before using it"))
            }
            Value::Norm(_) => Err(node.unsupported("norms are only understood as part of division by the norm")),
            Value::Softmax(_) => Err(node.unsupported("a softmax over time can only weight a mean and deviation")),
            Value::Expanded(_) => {
                Err(node.unsupported("an expanded value can only be added, multiplied or concatenated"))
            }
        }
    }

    /// Adds a layer; the result looks like its input.
    pub(super) fn push(&mut self, node: &NodeView, input: &Data, op: Op) -> Data {
        self.push_all(node, std::slice::from_ref(input), op)
    }

    /// Adds a layer of several inputs, at least one; the result looks like the first, and has one row if all have.
    pub(super) fn push_all(&mut self, node: &NodeView, inputs: &[Data], op: Op) -> Data {
        let index = self.nodes.len();
        let single_row = inputs.iter().all(|data| data.single_row);
        self.nodes.push(Node { name: node.name.clone(), op, inputs: inputs.iter().map(|data| data.node).collect() });
        Data { node: NodeRef::Node(index), single_row, ..inputs[0].clone() }
    }

    /// Accounts for `elements` numbers that the network will hold.
    pub(super) fn spend(&mut self, node: &NodeView, elements: usize) -> Result<(), ModelError> {
        self.budget = self.budget.checked_sub(elements).ok_or_else(|| {
            node.malformed("uses constants again and again; the network would be far larger than its file")
        })?;
        Ok(())
    }
}

/// The layers on which `last` depends, `last` at the end.
fn needed(nodes: Vec<Node>, last: usize) -> Vec<Node> {
    let mut used = vec![false; nodes.len()];
    used[last] = true;
    for index in (0..=last).rev().filter(|&index| index < nodes.len()) {
        if used[index] {
            for input in &nodes[index].inputs {
                if let NodeRef::Node(before) = *input {
                    used[before] = true;
                }
            }
        }
    }
    let mut place = vec![0; nodes.len()];
    let mut kept: Vec<Node> = Vec::new();
    for (index, mut node) in nodes.into_iter().enumerate().filter(|&(index, _)| used[index]) {
        for input in &mut node.inputs {
            if let NodeRef::Node(before) = input {
                *before = place[*before];
            }
        }
        place[index] = kept.len();
        kept.push(node);
    }
    kept
}
