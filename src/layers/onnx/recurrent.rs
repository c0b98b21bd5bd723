//! LSTM and GRU.

use super::import::Importer;
use super::layers::shape;
use super::node::NodeView;
use super::value::{Axis, Data, Value};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::{Gru, Lstm, Op};

use Axis::{Batch, Channel, Direction, Time};

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

/// Weights of a recurrent layer in the layout of the network.
struct Recurrent {
    hidden: usize,
    w_input: FloatMatrix,
    w_hidden: FloatMatrix,
    /// For the input and for the hidden state.
    biases: [Vec<f64>; 2],
}

impl<'a> Importer<'a> {
    pub(super) fn lstm(&mut self, node: &NodeView) -> Result<Vec<Value>, ModelError> {
        node.only(&RECURRENT_ATTRIBUTES)?;
        node.at_most_inputs(8)?;
        node.int_only("input_forget", 0, "couple no gates")?;
        if node.input(7).is_some() {
            return Err(node.refuse("P", "a tensor", "peepholes cannot be imported"));
        }
        let data = self.recurrent_input(node, &["Sigmoid", "Tanh", "Tanh"], &[5, 6])?;
        // ONNX has the gates i, o, f, c; the network has i, f, g, o, and its g is c.
        let parts = self.recurrent_weights(node, data.columns, &[0, 2, 3, 1])?;
        let [input_bias, hidden_bias] = parts.biases;
        let lstm = Lstm {
            input: data.columns,
            hidden: parts.hidden,
            w_input: parts.w_input,
            w_hidden: parts.w_hidden,
            bias: input_bias.iter().zip(&hidden_bias).map(|(a, b)| a + b).collect(),
        };
        let states = self.push(node, &data, Op::Lstm(lstm));
        let mut outputs = recurrent_outputs(node, states, parts.hidden)?;
        outputs.push(Value::FinalCell);
        Ok(outputs)
    }

    pub(super) fn gru(&mut self, node: &NodeView) -> Result<Vec<Value>, ModelError> {
        node.only(&RECURRENT_ATTRIBUTES)?;
        node.at_most_inputs(6)?;
        let data = self.recurrent_input(node, &["Sigmoid", "Tanh"], &[5])?;
        let parts = self.recurrent_weights(node, data.columns, &[0, 1, 2])?;
        let [bias_input, bias_hidden] = parts.biases;
        let gru = Gru {
            input: data.columns,
            hidden: parts.hidden,
            w_input: parts.w_input,
            w_hidden: parts.w_hidden,
            bias_input,
            bias_hidden,
            linear_before_reset: node.int("linear_before_reset", 0)? != 0,
        };
        let states = self.push(node, &data, Op::Gru(gru));
        recurrent_outputs(node, states, parts.hidden)
    }

    /// Checks everything about a recurrent node but its weights, and returns its input.
    fn recurrent_input(&mut self, node: &NodeView, activations: &[&str], states: &[usize]) -> Result<Data, ModelError> {
        let direction = node.text("direction", "forward")?;
        if direction != "forward" {
            return Err(node.refuse("direction", direction, "only forward layers can be imported"));
        }
        if let Some(given) = node.texts("activations")
            && given != activations
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
        for &input in states {
            let Some(name) = node.input(input) else {
                continue;
            };
            let zero = match self.value(node, name)? {
                Value::Constant(tensor) => tensor.floats().is_some_and(|x| x.iter().all(|&x| x == 0.0)),
                _ => false,
            };
            if !zero {
                let state = if input == 5 { "initial_h" } else { "initial_c" };
                return Err(node.refuse(state, "not a constant zero", "start from zero states"));
            }
        }
        let data = self.data(node, node.required_input(0)?)?;
        let expected = match node.int("layout", 0)? {
            0 => [Time, Batch, Channel],
            _ => [Batch, Time, Channel],
        };
        if data.axes != expected {
            return Err(shape(node, format!("{expected:?}"), &data.axes));
        }
        Ok(data)
    }

    /// The weights W, R and B of a recurrent node, gates reordered: gate `g` here is gate
    /// `order[g]` in the file.
    fn recurrent_weights(&mut self, node: &NodeView, inputs: usize, order: &[usize]) -> Result<Recurrent, ModelError> {
        let (dims, w) = self.floats(node, node.required_input(1)?)?;
        let gates = order.len();
        let hidden = match dims[..] {
            [1, rows, cols] if rows > 0 && rows % gates == 0 && cols == inputs => rows / gates,
            _ => {
                return Err(shape(node, format!("W: [1, {gates} * hidden, {inputs}]"), dims));
            }
        };
        if node.has("hidden_size") && node.int("hidden_size", 0)? as u64 != hidden as u64 {
            return Err(shape(node, format!("hidden_size {hidden}"), node.int("hidden_size", 0)?));
        }
        let (dims, r) = self.floats(node, node.required_input(2)?)?;
        let rows = gates * hidden;
        if dims != [1, rows, hidden] {
            return Err(shape(node, format!("R: [1, {rows}, {hidden}]"), dims));
        }
        let bias = match node.input(3) {
            Some(name) => {
                let (dims, bias) = self.floats(node, name)?;
                if dims != [1, 2 * rows] {
                    return Err(shape(node, format!("B: [1, {}]", 2 * rows), dims));
                }
                bias
            }
            None => vec![0.0; 2 * rows],
        };
        // Row of the file for column `c` of the network.
        let row = |c: usize| order[c / hidden] * hidden + c % hidden;
        let half = |start: usize| (0..rows).map(|c| bias[start + row(c)]).collect();
        Ok(Recurrent {
            hidden,
            w_input: FloatMatrix::from_fn(inputs, rows, |i, c| w[row(c) * inputs + i]),
            w_hidden: FloatMatrix::from_fn(hidden, rows, |i, c| r[row(c) * hidden + i]),
            biases: [half(0), half(rows)],
        })
    }
}

/// The outputs Y and Y_h.
fn recurrent_outputs(node: &NodeView, states: Data, hidden: usize) -> Result<Vec<Value>, ModelError> {
    let (all, last) = match node.int("layout", 0)? {
        0 => (vec![Time, Direction, Batch, Channel], vec![Direction, Batch, Channel]),
        _ => (vec![Batch, Time, Direction, Channel], vec![Batch, Direction, Channel]),
    };
    let states = Data { columns: hidden, axes: all, ..states };
    let layers = [states.clone()].into();
    Ok(vec![Value::Data(states), Value::FinalStates { layers, axes: last }])
}
