//! States that a graph takes and gives back: what its recurrent layers carry from one chunk of a recording to the next.
//!
//! States are followed entry by entry. The entries that the graph takes are numbered, and so are those that a recurrent
//! layer leaves; a value made of them is the tensor of their numbers, which nodes that move constants move as they would any
//! other. In the end every entry that is given back must be what a layer left of the entry at that place. Then a state is
//! nothing but the layer's own, which runs over all chunks as over one sequence, and everything else is computed chunk by
//! chunk, all at once.

use std::collections::HashMap;
use std::rc::Rc;

use super::fold_moves as moves;
use super::import::Importer;
use super::layout::shape;
use super::node::NodeView;
use super::proto::GraphProto;
use super::tensor::{Tensor, Values};
use super::value::{Data, Value, count};
use crate::error::ModelError;
use crate::layers::network::{NodeRef, Op};

/// Nodes that move the entries of their first input.
const MOVES: [&str; 9] =
    ["Concat", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"];
/// Concatenations inside of one another that entries are looked for in.
const MAX_DEPTH: usize = 16;
/// What can be done with a state.
const HELP: &str = "a state can only be moved, be where a recurrent layer starts, and be given back as that layer \
                    leaves it; start every chunk from a constant instead (--input NAME=VALUE)";

/// A state that a graph takes.
pub(super) struct State<'a> {
    pub(super) input: &'a str,
    /// The output that gives it back.
    pub(super) output: &'a str,
    /// Its extents.
    pub(super) dims: Vec<usize>,
}

/// What is known about states during the walk.
#[derive(Default)]
pub(super) struct States<'a> {
    /// Outputs, and the entries of the states that they give back.
    given_back: Vec<(&'a str, Rc<Tensor>)>,
    /// For every entry that the graph takes, the one that a layer left of it.
    left: Vec<Option<i64>>,
    /// Layers whose columns are entries, and the first of these.
    layers: HashMap<usize, i64>,
    /// The next number.
    next: i64,
}

impl<'a> States<'a> {
    /// Numbers the entries of states; also gives what their inputs stand for.
    pub(super) fn new(states: &[State<'a>]) -> (Self, Vec<(&'a str, Value)>) {
        let mut all = Self::default();
        let mut inputs = Vec::with_capacity(states.len());
        for state in states {
            let numbers = all.number(&state.dims);
            all.given_back.push((state.output, Rc::clone(&numbers)));
            inputs.push((state.input, Value::State(numbers)));
        }
        all.left = vec![None; usize::try_from(all.next).unwrap_or(0)];
        (all, inputs)
    }

    /// New numbers, one after another.
    fn number(&mut self, dims: &[usize]) -> Rc<Tensor> {
        let first = self.next;
        self.next += dims.iter().product::<usize>() as i64;
        Rc::new(Tensor { dims: dims.to_vec(), values: Values::Int((first..self.next).collect()) })
    }

    /// The outputs that give states back.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &'a str> {
        self.given_back.iter().map(|&(output, _)| output)
    }
}

impl<'a> Importer<'a> {
    /// The values of a node that takes a state; `None` if it takes none, or is one that knows what to do with it.
    pub(super) fn moved_state(&mut self, node: &NodeView<'a>) -> Result<Option<Vec<Value>>, ModelError> {
        let names: Vec<Option<&'a str>> = (0..node.num_inputs()).map(|index| node.input(index)).collect();
        if !names.iter().flatten().any(|name| matches!(self.known(name), Some(Value::State(_)))) {
            return Ok(None);
        }
        let misused = || node.unsupported(HELP);
        let mut values = Vec::with_capacity(names.len());
        for name in names {
            values.push(name.map(|name| self.value(node, name)).transpose()?);
        }
        let operator = node.operator();
        match (operator.as_str(), &values[..]) {
            ("LSTM" | "GRU" | "RNN" | "Shape" | "Size", _) => return Ok(None),
            ("Identity" | "Cast" | "Dropout", [Some(Value::State(state)), ..]) => {
                return Ok(Some(vec![Value::State(Rc::clone(state))]));
            }
            // What exporters keep an unused input alive with.
            ("Add", [Some(Value::State(state)), Some(Value::Constant(zeros))])
            | ("Add", [Some(Value::Constant(zeros)), Some(Value::State(state))]) => {
                let fits = zeros.dims == state.dims || zeros.len() == 1 && zeros.dims.len() <= state.dims.len();
                return if fits && is_zero(zeros) {
                    Ok(Some(vec![Value::State(Rc::clone(state))]))
                } else {
                    Err(misused())
                };
            }
            (operator, _) if MOVES.contains(&operator) => {}
            _ => return Err(misused()),
        }
        let mut tensors = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let entries = index == 0 || operator == "Concat";
            tensors.push(match value {
                None => None,
                Some(value) if entries => Some(self.entries(&value).ok_or_else(misused)?),
                Some(Value::Constant(tensor)) => Some(tensor),
                Some(_) => return Err(misused()),
            });
        }
        let inputs: Vec<Option<&Tensor>> = tensors.iter().map(Option::as_deref).collect();
        let room = self.room();
        let moved = match (operator.as_str(), inputs.first().copied().flatten()) {
            ("Split", Some(first)) => moves::split(node, first, inputs.get(1).copied().flatten())?,
            _ => moves::evaluate(node, &inputs, room)?.map(|tensor| vec![tensor]),
        };
        let moved = moved.ok_or_else(misused)?;
        self.spend(node, moved.iter().map(Tensor::len).sum())?;
        Ok(Some(moved.into_iter().map(|tensor| Value::State(Rc::new(tensor))).collect()))
    }

    /// The entries that a value is made of, if it is.
    fn entries(&self, value: &Value) -> Option<Rc<Tensor>> {
        let data = match value {
            Value::State(entries) => return Some(Rc::clone(entries)),
            Value::Data(data) if data.rows.is_empty() => data,
            _ => return None,
        };
        let columns = self.columns_left(data.node, MAX_DEPTH)?;
        let dims = data.axes.iter().map(|axis| count(axis)).collect::<Option<Vec<usize>>>()?;
        let size = dims.iter().try_fold(1usize, |size, &extent| size.checked_mul(extent));
        let mut numbers = vec![0; columns.len()];
        if size != Some(columns.len()) || data.columns() != columns.len() {
            return None;
        }
        for (column, &number) in columns.iter().enumerate() {
            let index = data.index_of_column(column);
            let at = index.iter().zip(&dims).fold(0, |at, (index, extent)| at * extent + index);
            *numbers.get_mut(at)? = number;
        }
        Some(Rc::new(Tensor { dims, values: Values::Int(numbers) }))
    }

    /// The entries that the columns of a layer are, if it is a recurrent one that left them, or several side by side.
    fn columns_left(&self, node: NodeRef, depth: usize) -> Option<Vec<i64>> {
        let NodeRef::Node(index) = node else { return None };
        if let Some((first, hidden)) = self.states.layers.get(&index).zip(self.hidden(index)) {
            return Some((*first..).take(hidden).collect());
        }
        let node = self.nodes.get(index).filter(|node| node.op == Op::Concat)?;
        let mut columns = Vec::new();
        for &part in &node.inputs {
            columns.extend(self.columns_left(part, depth.checked_sub(1)?)?);
        }
        Some(columns)
    }

    /// Columns of a recurrent layer, or of the last row of one.
    fn hidden(&self, index: usize) -> Option<usize> {
        let node = self.nodes.get(index)?;
        match (&node.op, node.inputs.first()) {
            (Op::Lstm(lstm), _) => Some(lstm.hidden),
            (Op::Gru(gru), _) => Some(gru.hidden),
            (Op::LastRow, Some(&NodeRef::Node(before))) if before < index => self.hidden(before),
            _ => None,
        }
    }

    /// The states that a recurrent layer starts from, if they are states of the graph, by the numbers of its inputs.
    pub(super) fn states_taken(
        &mut self,
        node: &NodeView<'a>,
        inputs: &[usize],
    ) -> Result<Option<Vec<Rc<Tensor>>>, ModelError> {
        let mut taken = Vec::with_capacity(inputs.len());
        for &input in inputs {
            let value = node.input(input).map(|name| self.value(node, name)).transpose()?;
            taken.extend(match value {
                Some(Value::State(entries)) => Some(entries),
                _ => None,
            });
        }
        if taken.is_empty() {
            return Ok(None);
        }
        if taken.len() < inputs.len() {
            let help = "take hidden and cell state both from states, or both from constants";
            return Err(node.refuse("initial states", "one of them a state", help));
        }
        match node.text("direction", "forward")? {
            "forward" => Ok(Some(taken)),
            other => {
                Err(node.refuse("direction", other, "a layer that carries a state from chunk to chunk runs forward"))
            }
        }
    }

    /// What a recurrent layer leaves of the states that it takes; `all` are its states, `last` the last of them.
    pub(super) fn states_left(
        &mut self,
        node: &NodeView<'a>,
        taken: &[Rc<Tensor>],
        [all, last]: [&Data; 2],
    ) -> Result<Vec<Value>, ModelError> {
        let dims = [1, 1, last.columns()];
        let mut left = Vec::with_capacity(taken.len());
        for entries in taken {
            if entries.dims != dims {
                return Err(shape(node, format!("initial states {dims:?}"), &entries.dims));
            }
            let numbers = self.states.number(&dims);
            for (&before, &after) in entries.ints().unwrap_or_default().iter().zip(numbers.ints().unwrap_or_default()) {
                let place = usize::try_from(before).ok().and_then(|before| self.states.left.get_mut(before));
                match place {
                    Some(place @ None) => *place = Some(after),
                    _ => return Err(node.unsupported("it starts from what another layer starts from or leaves")),
                }
            }
            left.push(numbers);
        }
        let hidden = left.first().and_then(|numbers| numbers.ints()?.first().copied());
        for data in [Some(last), Some(all).filter(|all| all.single_row())].into_iter().flatten() {
            if let (NodeRef::Node(index), Some(first)) = (data.node, hidden) {
                self.states.layers.insert(index, first);
            }
        }
        Ok(left.into_iter().map(Value::State).collect())
    }

    /// Refuses states that are given back as something else than a layer left of them.
    pub(super) fn check_states(&self, graph: &'a GraphProto, opset: i64) -> Result<(), ModelError> {
        for (output, taken) in &self.states.given_back {
            let maker = graph.node.iter().enumerate().find(|(_, node)| node.output.iter().any(|name| name == output));
            let (index, proto) = maker.ok_or_else(|| {
                super::import::refuse("state", output, "it is given back by no node; name an output that is")
            })?;
            let given = self.known(output).and_then(|value| self.entries(value));
            let given = given.filter(|given| given.len() == taken.len());
            let entries = given.as_ref().and_then(|given| given.ints()).unwrap_or_default();
            let same = taken.ints().unwrap_or_default().iter().zip(entries).all(|(&before, &after)| {
                let left = usize::try_from(before).ok().and_then(|before| self.states.left.get(before).copied());
                // What no layer takes may be handed on as it is.
                left.is_some_and(|left| left.unwrap_or(before) == after)
            });
            if given.is_none() || !same {
                return Err(NodeView::new(proto, index, opset).refuse("state", output, HELP));
            }
        }
        Ok(())
    }
}

fn is_zero(tensor: &Tensor) -> bool {
    match &tensor.values {
        Values::Float(values) => values.iter().all(|&x| x == 0.0),
        Values::Int(values) => values.iter().all(|&x| x == 0),
    }
}
