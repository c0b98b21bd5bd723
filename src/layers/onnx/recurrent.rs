//! LSTM, GRU and plain recurrences: forward, reverse and both.

use std::rc::Rc;

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Data, Value};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::{Gru, Lstm, Op, RowMove};

const RECURRENT_ATTRIBUTES: [&str; 9] = [
    "activation_alpha",
    "activation_beta",
    "activations",
    "clip",
    "direction",
    "hidden_size",
    "input_forget",
    "layout",
    "linear_before_reset",
];

/// A gate with this bias is open, with its negative shut: the sigmoid rounds to 1 or 0 in every table.
const STILL: f64 = 12.0;

/// Largest entry of an initial state: tables of cell states reach twice as far.
const LARGEST_STATE: f64 = 16.0;

/// Weights of a recurrent layer in the layout of the network.
struct Recurrent {
    hidden: usize,
    w_input: FloatMatrix,
    w_hidden: FloatMatrix,
    /// For the input and for the hidden state.
    biases: [Vec<f64>; 2],
}

impl<'a> Importer<'a> {
    pub(super) fn lstm(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        node.only(&RECURRENT_ATTRIBUTES)?;
        node.at_most_inputs(8)?;
        node.int_only("input_forget", 0, "couple no gates")?;
        if node.input(7).is_some() && !self.is_zero(node, 7)? {
            return Err(node.refuse("P", "a tensor", "peepholes cannot be imported"));
        }
        let data = self.recurrent_input(node, &["Sigmoid", "Tanh", "Tanh"])?;
        let taken = self.states_taken(node, &[5, 6])?;
        let carried = taken.is_some();
        let mut outputs = self.directions(node, data, |importer, data, direction| {
            // ONNX has the gates i, o, f, c; the network has i, f, g, o, and its g is c.
            let parts = importer.recurrent_weights(node, data, direction, &[0, 2, 3, 1])?;
            let [input_bias, hidden_bias] = parts.biases;
            let bias = input_bias.iter().zip(&hidden_bias).map(|(a, b)| a + b).collect();
            let (w_input, w_hidden) = (parts.w_input, parts.w_hidden);
            let (input, hidden) = (data.columns(), parts.hidden);
            let mut initial = None;
            if !carried {
                let h = importer.initial_state(node, 5, direction, hidden)?;
                let c = importer.initial_state(node, 6, direction, hidden)?;
                let zeros = || vec![0.0; hidden];
                initial = (h.is_some() || c.is_some()).then(|| [h.unwrap_or_else(zeros), c.unwrap_or_else(zeros)]);
            }
            Ok((Op::Lstm(Lstm { input, hidden, w_input, w_hidden, bias, initial, carried }), hidden))
        })?;
        let left = self.carried_on(node, taken, &outputs)?;
        let hidden_only = Value::Unavailable("the final cell state is not available; use the hidden state");
        outputs.push(left.into_iter().nth(1).unwrap_or(hidden_only));
        Ok(outputs)
    }

    pub(super) fn gru(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        node.only(&RECURRENT_ATTRIBUTES)?;
        node.at_most_inputs(6)?;
        let data = self.recurrent_input(node, &["Sigmoid", "Tanh"])?;
        let linear_before_reset = node.int("linear_before_reset", 0)? != 0;
        let taken = self.states_taken(node, &[5])?;
        let carried = taken.is_some();
        let outputs = self.directions(node, data, |importer, data, direction| {
            let parts = importer.recurrent_weights(node, data, direction, &[0, 1, 2])?;
            let [bias_input, bias_hidden] = parts.biases;
            let (input, hidden, w_input, w_hidden) = (data.columns(), parts.hidden, parts.w_input, parts.w_hidden);
            let initial = if carried { None } else { importer.initial_state(node, 5, direction, hidden)? };
            let gru = Gru {
                input,
                hidden,
                w_input,
                w_hidden,
                bias_input,
                bias_hidden,
                linear_before_reset,
                initial,
                carried,
            };
            Ok((Op::Gru(gru), hidden))
        })?;
        self.carried_on(node, taken, &outputs)?;
        Ok(outputs)
    }

    /// What a layer of these outputs leaves of the states that it takes: hidden, then cell.
    fn carried_on(
        &mut self,
        node: &NodeView<'a>,
        taken: Option<Vec<Rc<Tensor>>>,
        outputs: &[Value],
    ) -> Result<Vec<Value>, ModelError> {
        match (taken, outputs) {
            (Some(taken), [Value::Data(all), Value::Data(last)]) => self.states_left(node, &taken, [all, last]),
            _ => Ok(vec![]),
        }
    }

    /// A plain recurrence `h = tanh(x·W + b + h'·R + d)`: a GRU whose reset gate is open and whose update gate is shut.
    pub(super) fn rnn(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        node.only(&RECURRENT_ATTRIBUTES)?;
        node.at_most_inputs(6)?;
        let data = self.recurrent_input(node, &["Tanh"])?;
        let taken = self.states_taken(node, &[5])?;
        let carried = taken.is_some();
        let outputs = self.directions(node, data, |importer, data, direction| {
            let parts = importer.recurrent_weights(node, data, direction, &[0])?;
            let (input, hidden) = (data.columns(), parts.hidden);
            importer.spend(node, input.saturating_add(hidden).saturating_mul(2 * hidden))?;
            let last = |matrix: &FloatMatrix| {
                let entry = |r: usize, c: usize| if c < 2 * hidden { 0.0 } else { matrix.row(r)[c - 2 * hidden] };
                FloatMatrix::from_fn(matrix.rows, 3 * hidden, entry)
            };
            let [b, d] = &parts.biases;
            let bias = |gates: [f64; 2], last: &[f64]| -> Vec<f64> {
                gates.iter().flat_map(|&gate| vec![gate; hidden]).chain(last.iter().copied()).collect()
            };
            let gru = Gru {
                input,
                hidden,
                w_input: last(&parts.w_input),
                w_hidden: last(&parts.w_hidden),
                bias_input: bias([-STILL, STILL], b),
                bias_hidden: bias([0.0, 0.0], d),
                linear_before_reset: true,
                initial: if carried { None } else { importer.initial_state(node, 5, direction, hidden)? },
                carried,
            };
            Ok((Op::Gru(gru), hidden))
        })?;
        self.carried_on(node, taken, &outputs)?;
        Ok(outputs)
    }

    /// All states and the final ones, of each direction: a reverse layer is a forward one on reversed rows.
    fn directions(
        &mut self,
        node: &NodeView,
        data: Data,
        layer: impl Fn(&mut Self, &Data, usize) -> Result<(Op, usize), ModelError>,
    ) -> Result<Vec<Value>, ModelError> {
        let reverse = match node.text("direction", "forward")? {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => return Err(node.refuse("direction", other, "use forward, reverse or bidirectional")),
        };
        let (mut all, mut last, mut hidden) = (Vec::new(), Vec::new(), 0);
        for (direction, &reverse) in reverse.iter().enumerate() {
            let turn = Op::Rows(RowMove::Reverse { block: 1 });
            let input = if reverse { self.push(node, &data, turn.clone()) } else { data.clone() };
            let (op, columns) = layer(self, &data, direction)?;
            let states = self.push(node, &input, op);
            last.push(self.push(node, &states, Op::LastRow));
            all.push(if reverse { self.push(node, &states, turn) } else { states });
            hidden = columns;
        }
        let (both, channels) = (self.axis(Some(reverse.len())), self.axis(Some(hidden)));
        let cols: Vec<_> = both.iter().chain(&channels).copied().collect();
        let mut join = |parts: &[Data]| match parts {
            [part] => part.clone(),
            parts => self.push_all(node, parts, Op::Concat),
        };
        let (all, last) = (join(&all), join(&last));
        let time = data.rows.clone();
        let (all_axes, last_axes) = match node.int("layout", 0)? {
            0 => (vec![time.clone(), both.clone(), vec![], channels.clone()], vec![both, vec![], channels]),
            _ => (vec![vec![], time.clone(), both.clone(), channels.clone()], vec![vec![], both, channels]),
        };
        let all = Data { axes: all_axes, rows: time, cols: cols.clone(), ..all };
        let last = Data { axes: last_axes, rows: vec![], cols, ..last };
        Ok(vec![Value::Data(all), Value::Data(last)])
    }

    /// Whether an input is a constant of zeros.
    fn is_zero(&mut self, node: &NodeView, input: usize) -> Result<bool, ModelError> {
        let Some(name) = node.input(input) else { return Ok(true) };
        Ok(match self.value(node, name)? {
            Value::Constant(tensor) => tensor.floats().is_some_and(|x| x.iter().all(|&x| x == 0.0)),
            _ => false,
        })
    }

    /// The state of a direction before its first row; `None` for zeros.
    fn initial_state(
        &mut self,
        node: &NodeView,
        input: usize,
        direction: usize,
        hidden: usize,
    ) -> Result<Option<Vec<f64>>, ModelError> {
        let state = if input == 5 { "initial_h" } else { "initial_c" };
        let Some(name) = node.input(input) else { return Ok(None) };
        let Value::Constant(tensor) = self.value(node, name)? else {
            let help = "start from a constant state, or fix the input it comes from (--input NAME=VALUE)";
            return Err(node.refuse(state, "no constant", help));
        };
        let directions = if node.text("direction", "forward")? == "bidirectional" { 2 } else { 1 };
        let expected = if node.int("layout", 0)? == 0 { [directions, 1, hidden] } else { [1, directions, hidden] };
        let values = tensor.floats().filter(|values| values.iter().all(|v| v.is_finite()));
        let (Some(values), true) = (values, tensor.dims == expected) else {
            return Err(shape(node, format!("{state}: finite floats {expected:?}"), &tensor.dims));
        };
        let own = values.get(direction * hidden..(direction + 1) * hidden).unwrap_or_default();
        if own.iter().all(|&x| x == 0.0) {
            return Ok(None);
        }
        // States are as wide as what follows from them: beyond that no recording could be proved.
        if let Some(x) = own.iter().find(|x| x.abs() > LARGEST_STATE) {
            return Err(node.refuse(state, x, "states are proved up to 16"));
        }
        self.spend(node, hidden)?;
        Ok(Some(own.to_vec()))
    }

    /// Checks everything about a recurrent node but its weights, and returns its input.
    fn recurrent_input(&mut self, node: &NodeView, activations: &[&str]) -> Result<Data, ModelError> {
        if let Some(given) = node.texts("activations")
            && !given.chunks(activations.len()).all(|given| given == activations)
        {
            let help = format!("only {activations:?} can be imported");
            return Err(node.refuse("activations", format!("{given:?}"), &help));
        }
        for name in ["clip", "activation_alpha", "activation_beta"] {
            if node.has(name) {
                return Err(node.refuse(name, "a value", "export the layer without it"));
            }
        }
        if node.input(4).is_some() {
            return Err(node.refuse("sequence_lens", "a tensor", "all sequences have one length"));
        }
        let data = self.first(node)?;
        let [time, batch] = if node.int("layout", 0)? == 0 { [0, 1] } else { [1, 0] };
        let fits = data.axes.len() == 3 && data.axes[batch].is_empty();
        if !fits {
            return Err(shape(
                node,
                format!("time at axis {time}, a batch of 1 at {batch}, channels"),
                extents_of(&data.axes),
            ));
        }
        // A front of images ends in channels times height: rows become columns.
        let data = if data.rows.len() > 1 { self.folded_rows(node, data)? } else { data };
        if data.axes[time] != data.rows || !data.columns_are(2) {
            return Err(shape(node, format!("time at axis {time}, channels last"), extents_of(&data.axes)));
        }
        Ok(data)
    }

    /// The weights W, R and B of a direction, gates reordered: gate `g` here is gate
    /// `order[g]` in the file.
    fn recurrent_weights(
        &mut self,
        node: &NodeView,
        data: &Data,
        direction: usize,
        order: &[usize],
    ) -> Result<Recurrent, ModelError> {
        let inputs = data.columns();
        let (dims, w) = self.floats(node, node.required_input(1)?)?;
        let gates = order.len();
        let directions = if node.text("direction", "forward")? == "bidirectional" { 2 } else { 1 };
        let hidden = match dims[..] {
            [d, rows, cols] if d == directions && rows > 0 && rows % gates == 0 && cols == inputs => rows / gates,
            _ => {
                return Err(shape(node, format!("W: [{directions}, {gates} * hidden, {inputs}]"), dims));
            }
        };
        if node.has("hidden_size") && node.int("hidden_size", 0)? as u64 != hidden as u64 {
            return Err(shape(node, format!("hidden_size {hidden}"), node.int("hidden_size", 0)?));
        }
        let (dims, r) = self.floats(node, node.required_input(2)?)?;
        let rows = gates * hidden;
        if dims != [directions, rows, hidden] {
            return Err(shape(node, format!("R: [{directions}, {rows}, {hidden}]"), dims));
        }
        let bias = match node.input(3) {
            Some(name) => {
                let (dims, bias) = self.floats(node, name)?;
                if dims != [directions, 2 * rows] {
                    return Err(shape(node, format!("B: [{directions}, {}]", 2 * rows), dims));
                }
                bias
            }
            None => vec![0.0; directions * 2 * rows],
        };
        // Row of the file for column `c` of the network, and column of the file for its row `i`.
        let row = |c: usize| order[c / hidden] * hidden + c % hidden;
        let column: Vec<usize> = (0..inputs).map(|i| data.index_of_column(i)[2]).collect();
        let half = |start: usize| (0..rows).map(|c| bias[direction * 2 * rows + start + row(c)]).collect();
        Ok(Recurrent {
            hidden,
            w_input: FloatMatrix::from_fn(inputs, rows, |i, c| w[(direction * rows + row(c)) * inputs + column[i]]),
            w_hidden: FloatMatrix::from_fn(hidden, rows, |i, c| r[(direction * rows + row(c)) * hidden + i]),
            biases: [half(0), half(rows)],
        })
    }
}
