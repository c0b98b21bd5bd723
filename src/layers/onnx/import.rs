//! The walk over the graph: every name becomes a [`Value`], every layer a node of the network.
//!
//! Nodes whose inputs are constants are evaluated ([`fold`](super::fold)), branches of constant conditions are walked in
//! place, and nodes that the output does not need are left out: what is imported is what is computed.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use self::demand::{demand, is_demanded};
use super::fold;
use super::inputs;
use super::masks;
use super::node::NodeView;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::quantized::Encoding;
use super::registry;
use super::simplify;
use super::states::States;
use super::tensor::Tensor;
use super::value::{Atom, Axis, Data, Value, count};
use crate::error::ModelError;
use crate::layers::network::{Network, Node, NodeRef, Op};

mod constant;
mod demand;
mod scopes;

const OLDEST_OPSET: i64 = 9;
const NEWEST_OPSET: i64 = 22;
/// Most nodes of a graph, those of branches that are taken and of every step of loops included.
const MAX_NODES: usize = 1 << 16;
/// Numbers that a network may have beyond eight for each byte of its file: constants that are computed, grouped
/// convolutions written out.
const EXTRA_NUMBERS: usize = 1 << 24;

/// The state of the walk.
pub(super) struct Importer<'a> {
    pub(super) nodes: Vec<Node>,
    pub(super) values: HashMap<&'a str, Value>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    /// Elements that may still be copied: a small file that uses one tensor many times must not
    /// grow into a network that fills memory.
    budget: usize,
    /// Nodes that may still be walked.
    steps: usize,
    atoms: u32,
    /// Of atoms whose extents are not known: which one they are longer than, and by how much.
    pub(super) longer: HashMap<u32, (u32, i64)>,
    /// Names that the output needs; nothing else is computed.
    demanded: HashSet<&'a str>,
    /// What stands side by side in every concatenation.
    joined: HashMap<usize, Vec<Data>>,
    /// What the integers of a name stand for; its value is that, and no integer.
    pub(super) encodings: HashMap<&'a str, Encoding>,
    /// Data types of constants that nodes make.
    types: HashMap<&'a str, i32>,
    /// What the graph takes and gives back.
    pub(super) states: States<'a>,
}

/// Imports a decoded model from a file of `file_size` bytes, if possible with an input of so many columns.
pub(super) fn import(model: &ModelProto, file_size: usize, columns: Option<usize>) -> Result<Network, ModelError> {
    let opset = opset(model)?;
    let graph = model.graph.as_ref().ok_or_else(|| malformed("it has no graph"))?;
    let mut initializers = HashMap::new();
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        if initializers.insert(name, tensor).is_some() {
            return Err(malformed(format!("it has two tensors named {name:?}")));
        }
    }
    let given = inputs::read(graph)?;
    // Whether time or channels come first is a convention of the model: only one of them fits, and
    // the error worth reading is that of the way that leads further.
    let mut furthest: Option<(usize, ModelError)> = None;
    let mut ways = given.ways;
    ways.sort_by_key(|data| columns.is_some_and(|columns| data.columns() != columns));
    for data in ways {
        let input_columns = data.columns();
        let input_axes = Some(inputs::axes(&data, &given.extents));
        let input_rows = count(&data.rows).filter(|_| !data.rows.is_empty());
        let constants = given.constants.iter().map(|(name, tensor)| (*name, Value::Constant(Rc::clone(tensor))));
        let lengths = given.lengths.iter().filter_map(|(name, dims)| Some((*name, masks::length(dims, &data.rows)?)));
        let lengths: Vec<_> = lengths.map(|(name, tensor)| (name, Value::Constant(Rc::new(tensor)))).collect();
        let (states, taken) = States::new(&given.states);
        let mut importer = Importer {
            nodes: Vec::new(),
            atoms: inputs::ATOMS,
            longer: HashMap::new(),
            values: constants.chain(lengths).chain([(given.name, Value::Data(data))]).chain(taken).collect(),
            initializers: initializers.clone(),
            budget: file_size.saturating_mul(8).saturating_add(EXTRA_NUMBERS),
            steps: MAX_NODES,
            demanded: HashSet::new(),
            joined: HashMap::new(),
            encodings: HashMap::new(),
            types: HashMap::new(),
            states,
        };
        match importer.run(graph, opset) {
            Ok(last) => {
                let nodes = simplify::energies(simplify::magnitudes(importer.nodes));
                let nodes = simplify::bounded_levels(nodes);
                let nodes = simplify::needed(simplify::fuse(nodes), last);
                return Ok(Network { input_columns, input_rows, input_axes, nodes });
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
pub(in crate::layers) fn refuse(what: &str, value: impl std::fmt::Debug, help: &str) -> ModelError {
    ModelError::UnsupportedAttribute {
        node: "graph".into(),
        operator: "model".into(),
        attribute: what.into(),
        value: format!("{value:?}"),
        help: help.into(),
    }
}

pub(in crate::layers) fn malformed(reason: impl Into<String>) -> ModelError {
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

impl<'a> Importer<'a> {
    /// Walks the graph; returns the index of the layer that computes its first output.
    fn run(&mut self, graph: &'a GraphProto, opset: i64) -> Result<usize, ModelError> {
        let name = inputs::name(inputs::output(graph)?);
        self.demanded.insert(name);
        self.demanded.extend(self.states.outputs());
        demand(&graph.node, &mut self.demanded);
        self.walk(&graph.node, opset)?;
        self.check_states(graph, opset)?;
        let end = NodeView::new(graph.node.last().ok_or_else(|| malformed("no nodes"))?, 0, opset);
        let data = match self.value(&end, name)? {
            // Proofs show which of the values is the largest (`voxcheck verify --says`).
            Value::Largest(data) => data,
            _ => self.data(&end, name)?,
        };
        let data = self.flat(&end, data)?;
        let data = self.in_order(&end, data)?;
        match data.node {
            NodeRef::Node(last) => Ok(last),
            NodeRef::Input => Err(malformed("its output is its input")),
        }
    }

    /// Walks the nodes that something asks for.
    pub(super) fn walk(&mut self, nodes: &'a [NodeProto], opset: i64) -> Result<(), ModelError> {
        for (index, proto) in nodes.iter().enumerate() {
            if is_demanded(proto, &self.demanded) {
                self.step(proto, index, opset)?;
            }
        }
        Ok(())
    }

    /// Walks one node.
    fn step(&mut self, proto: &'a NodeProto, index: usize, opset: i64) -> Result<(), ModelError> {
        let node = NodeView::new(proto, index, opset);
        self.count_nodes(1)?;
        self.carry_encoding(&node)?;
        let values = self.node(&node)?;
        for (index, name) in node.outputs().iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            // Outputs that nothing reads need no value.
            let Some(value) = values.get(index).cloned() else { continue };
            let taken = self.initializers.contains_key(name.as_str());
            if taken || self.values.insert(name, value).is_some() {
                return Err(node.malformed(format!("defines {name:?} a second time")));
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        if let Some(values) = self.folded(node)? {
            return Ok(values);
        }
        if let Some(value) = self.mask(node)? {
            return Ok(vec![value]);
        }
        if let Some(value) = self.moved_positions(node)? {
            return Ok(vec![value]);
        }
        if let Some(values) = self.moved_state(node)? {
            return Ok(values);
        }
        let operator = node.operator();
        match registry::find(&operator) {
            Some(known) => (known.import)(self, node),
            None => Err(node.unsupported(registry::nearest(&operator))),
        }
    }

    /// The values of a node whose inputs are constants.
    fn folded(&mut self, node: &NodeView<'a>) -> Result<Option<Vec<Value>>, ModelError> {
        let mut tensors = Vec::with_capacity(node.num_inputs());
        for index in 0..node.num_inputs().min(64) {
            let Some(name) = node.input(index) else {
                tensors.push(None);
                continue;
            };
            match self.value(node, name)? {
                Value::Constant(tensor) => tensors.push(Some(tensor)),
                _ => return Ok(None),
            }
        }
        let inputs: Vec<Option<&Tensor>> = tensors.iter().map(|tensor| tensor.as_deref()).collect();
        let Some(results) = fold::evaluate(node, &inputs, self.budget)? else { return Ok(None) };
        results.into_iter().map(|tensor| self.constant_value(node, tensor)).collect::<Result<_, _>>().map(Some)
    }

    /// A constant that was computed or read.
    pub(super) fn constant_value(&mut self, node: &NodeView, tensor: Tensor) -> Result<Value, ModelError> {
        self.spend(node, tensor.len())?;
        Ok(Value::Constant(Rc::new(tensor)))
    }

    /// What a name stands for, if that is known already.
    pub(super) fn known(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// What a name stands for.
    pub(super) fn value(&mut self, node: &NodeView, name: &str) -> Result<Value, ModelError> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let (&name, &proto) = self
            .initializers
            .get_key_value(name)
            .ok_or_else(|| node.malformed(format!("reads {name:?}, which nothing before it defines")))?;
        let tensor = Tensor::read(proto)?;
        let value = self.constant_value(node, tensor)?;
        // Small ones are read again and again; large ones would be held beside their file.
        if matches!(&value, Value::Constant(tensor) if tensor.len() <= 64) {
            self.values.insert(name, value.clone());
        }
        Ok(value)
    }

    /// A name that stands for a constant.
    pub(super) fn tensor(&mut self, node: &NodeView, name: &str) -> Result<Rc<Tensor>, ModelError> {
        match self.value(node, name)? {
            Value::Constant(tensor) => Ok(tensor),
            _ => Err(node.unsupported(format!("{name:?} must be a constant"))),
        }
    }

    /// A name that stands for a constant of finite numbers.
    pub(super) fn floats(&mut self, node: &NodeView, name: &str) -> Result<(Vec<usize>, Vec<f64>), ModelError> {
        let tensor = self.tensor(node, name)?;
        let floats = tensor.floats().filter(|values| values.iter().all(|v| v.is_finite()));
        let floats = floats.ok_or_else(|| node.malformed(format!("{name:?} is not of finite floats")))?;
        // The copy outlives the tensor, which may be shared.
        self.spend(node, floats.len())?;
        Ok((tensor.dims.clone(), floats.to_vec()))
    }

    /// An input that stands for a constant list of integers, or the attribute that did in older operator sets.
    pub(super) fn list(
        &mut self,
        node: &NodeView,
        input: usize,
        attribute: &str,
    ) -> Result<Option<Vec<i64>>, ModelError> {
        let Some(name) = node.input(input) else { return Ok(node.ints(attribute).map(<[i64]>::to_vec)) };
        let tensor = self.tensor(node, name)?;
        let ints = tensor.ints().ok_or_else(|| node.malformed(format!("has {attribute} that are not integers")))?;
        Ok(Some(ints.to_vec()))
    }

    /// A name that stands for a value of the network; a mean over time becomes a layer here.
    pub(super) fn data(&mut self, node: &NodeView, name: &str) -> Result<Data, ModelError> {
        let value = self.value(node, name)?;
        match value {
            Value::Data(data) => Ok(data),
            Value::Statistic(statistic) => self.statistic(node, statistic),
            Value::Padded(data, pads) => self.padded_rows(node, data, &pads),
            Value::Constant(_) => Err(node.unsupported(format!("its input {name:?} must not be a constant"))),
            Value::Positions(_) => {
                Err(node.unsupported("a constant for every step of time can only be added or multiplied"))
            }
            Value::Every(_) => Err(node.unsupported("a mask of lengths can only be multiplied with values, or choose")),
            Value::Count(..) => Err(node.unsupported("the length of a recording can only scale a variance")),
            Value::Norm(..) => Err(node.unsupported("norms are only understood as part of division by the norm")),
            Value::Softmax(_) => Err(node.unsupported("a softmax over time can only weight a mean and deviation")),
            Value::Scores(_) => Err(node.unsupported("scores are only understood as part of attention")),
            Value::Segments(_) => Err(node.unsupported(super::segments::HELP)),
            Value::Largest(_) => {
                Err(node.unsupported("which channel is the largest can only be what the network gives at its end"))
            }
            Value::State(_) => Err(node.unsupported("a state can only be where a recurrent layer starts")),
            Value::Expanded(_) => {
                Err(node.unsupported("an expanded value can only be added, multiplied or concatenated"))
            }
            Value::Unavailable(why) => Err(node.unsupported(why)),
        }
    }

    /// The first input as a value of the network.
    pub(super) fn first(&mut self, node: &NodeView) -> Result<Data, ModelError> {
        self.data(node, node.required_input(0)?)
    }

    /// A new atom; none for extent 1.
    pub(super) fn axis(&mut self, extent: Option<usize>) -> Axis {
        if extent == Some(1) {
            return vec![];
        }
        self.atoms += 1;
        vec![Atom { id: self.atoms, extent }]
    }

    /// The number of the data type of a constant, as far as the file says it.
    pub(super) fn data_type(&self, name: &str) -> Option<i32> {
        let given = self.initializers.get(name).and_then(|tensor| tensor.data_type);
        given.or_else(|| self.types.get(name).copied())
    }

    /// Adds a layer; the result looks like its input.
    pub(super) fn push(&mut self, node: &NodeView, input: &Data, op: Op) -> Data {
        self.push_all(node, std::slice::from_ref(input), op)
    }

    /// Adds a layer of several inputs, at least one; the result looks like the first.
    pub(super) fn push_all(&mut self, node: &NodeView, inputs: &[Data], op: Op) -> Data {
        let refs: Vec<NodeRef> = inputs.iter().map(|data| data.node).collect();
        // What was computed before is not computed again; equal nodes are close together.
        const NEAR: usize = 64;
        let near = self.nodes.len().saturating_sub(NEAR);
        let same = self.nodes[near..].iter().position(|node| node.inputs == refs && node.op == op);
        let index = match same {
            Some(index) => near + index,
            None => {
                if op == Op::Concat {
                    self.joined.insert(self.nodes.len(), inputs.to_vec());
                }
                self.nodes.push(Node { name: node.name.clone(), op, inputs: refs });
                self.nodes.len() - 1
            }
        };
        Data { node: NodeRef::Node(index), ..inputs[0].clone() }
    }

    /// What a slice of columns of a concatenation was before it was joined, if it is one of its parts.
    pub(super) fn part(&self, data: &Data, first: usize, columns: usize) -> Option<Data> {
        let NodeRef::Node(index) = data.node else { return None };
        let mut start = 0;
        for part in self.joined.get(&index)? {
            if (start, part.columns()) == (first, columns) && part.rows.len() == data.rows.len() {
                return Some(Data { node: part.node, ..data.clone() });
            }
            start += part.columns();
        }
        None
    }

    /// Accounts for `elements` numbers that the network will hold.
    pub(super) fn spend(&mut self, node: &NodeView, elements: usize) -> Result<(), ModelError> {
        self.budget = self.budget.checked_sub(elements).ok_or_else(|| {
            node.malformed("uses constants again and again; the network would be far larger than its file")
        })?;
        Ok(())
    }

    /// Numbers that constants may still have.
    pub(super) fn room(&self) -> usize {
        self.budget
    }
}
