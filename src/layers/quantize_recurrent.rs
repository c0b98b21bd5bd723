//! Quantization of recurrent layers: gate order and padding of the weights, scales, tables.

use super::affine::Function;
use super::matrix::FloatMatrix;
use super::network::{self, Op};
use super::quantize::Constants;
use super::quantize_weights::sigmoid;
use super::recurrent::{Gates, Gru, Lstm, Recurrence};
use super::recurrent_from::{GruFrom, LstmFrom};

/// Fraction bits of gates and hidden states.
const GATE_BITS: u32 = 13;
/// Fraction bits of gate arguments and cell states.
const ARGUMENT_BITS: i32 = 10;
/// How far beyond the largest cell state seen one may lie: less than of other values, since larger steps are felt at once.
const CELL_MARGIN: f64 = 1.5;
/// Fewest fraction bits of cell states.
const LEAST_CELL_BITS: i32 = 6;
/// Fraction bits of weights.
const WEIGHT_BITS: i32 = 12;
/// Bits of the tables of gates that stay within their range.
const TABLE_BITS: u32 = 16;
/// Bits of the tables of gates that saturate.
const SATURATING_BITS: u32 = 15;
/// Bits of the blocks by which a saturating gate clamps, and of their number.
const SATURATE: (u32, u32) = (10, 12);

/// Largest argument of a recurrent operation's gates, and its largest cell state, given its input and its hidden states;
/// `length` rows are a sequence.
pub(super) fn largest(op: &Op, input: &FloatMatrix, states: &FloatMatrix, length: usize) -> [f64; 2] {
    let length = if op.carries_state() { states.rows } else { length };
    let Some(arguments) = gate_arguments(op, input, states, length) else { return [0.0; 2] };
    let gate = arguments.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let Op::Lstm(lstm) = op else { return [gate, 0.0] };
    let (hidden, mut cell) = (lstm.hidden, 0.0f64);
    let start = lstm.initial.as_ref().map_or_else(|| vec![0.0; hidden], |[_, cell]| cell.clone());
    let mut cells = start.clone();
    for (t, gates) in arguments.chunks_exact(4 * hidden).enumerate() {
        if t % length.max(1) == 0 {
            cells.clone_from(&start);
        }
        for (j, c) in cells.iter_mut().enumerate() {
            let [i, f, g] = [0, 1, 2].map(|gate| gates[gate * hidden + j]);
            *c = sigmoid(f) * *c + sigmoid(i) * g.tanh();
            cell = cell.max(c.abs());
        }
    }
    [gate, cell]
}

/// Arguments of the gates after every row; `None` for operations that have none.
fn gate_arguments(op: &Op, input: &FloatMatrix, states: &FloatMatrix, length: usize) -> Option<Vec<f64>> {
    let (w_input, w_hidden, bias, initial) = match op {
        Op::Lstm(lstm) => {
            (&lstm.w_input, &lstm.w_hidden, lstm.bias.clone(), lstm.initial.as_ref().map(|[hidden, _]| hidden))
        }
        Op::Gru(gru) => {
            let bias = gru.bias_input.iter().zip(&gru.bias_hidden).map(|(b, d)| b + d).collect();
            (&gru.w_input, &gru.w_hidden, bias, gru.initial.as_ref())
        }
        _ => return None,
    };
    let previous = FloatMatrix::from_fn(states.rows, states.cols, |t, c| match t % length.max(1) {
        0 => initial.map_or(0.0, |initial| initial[c]),
        _ => states.row(t - 1)[c],
    });
    let (x, h) = (input.multiply(w_input), previous.multiply(w_hidden));
    Some(x.data.iter().zip(&h.data).enumerate().map(|(i, (x, h))| x + h + bias[i % bias.len()]).collect())
}

/// Gate tables for arguments up to `range`, dropping `shift` bits.
fn gates(shift: u32, range: f64) -> Gates {
    let half = f64::from(TABLE_BITS as i32 - 1 - ARGUMENT_BITS).exp2();
    let (bits, saturate) = if 1.8 * range < half { (TABLE_BITS, None) } else { (SATURATING_BITS, Some(SATURATE)) };
    let table = |name: &str, f: fn(f64) -> f64| Function::tabulate(name, bits, ARGUMENT_BITS, GATE_BITS as i32, f);
    Gates { shift, sigmoid: table("sigmoid", sigmoid), tanh: table("tanh", f64::tanh), saturate }
}

/// Moves gates to multiples of the padded hidden size, in the given order.
fn arrange(matrix: &FloatMatrix, hidden: usize, order: &[usize]) -> FloatMatrix {
    let stride = hidden.next_power_of_two();
    let cols = (order.len() - 1) * stride + hidden;
    FloatMatrix::from_fn(matrix.rows, cols, |r, c| {
        let (gate, j) = (c / stride, c % stride);
        if j < hidden { matrix.row(r)[order[gate] * hidden + j] } else { 0.0 }
    })
}

fn row(values: Vec<f64>) -> FloatMatrix {
    FloatMatrix::new(1, values.len(), values)
}

/// Fraction bits of the accumulator, and the shifts that bring both products to it.
fn scales(input_bits: i32) -> (i32, u32, u32) {
    let (x, h) = (input_bits + WEIGHT_BITS, GATE_BITS as i32 + WEIGHT_BITS);
    let scale = x.max(h);
    (scale, (scale - x) as u32, (scale - h) as u32)
}

/// Quantizes an LSTM whose input has `input_bits` fraction bits; the network's gate order is i, f, g, o.
pub(super) fn lstm(
    name: String,
    lstm: &network::Lstm,
    input_bits: i32,
    [gate_range, cell_range]: [f64; 2],
    constants: &mut Constants,
) -> Lstm {
    const ORDER: [usize; 4] = [0, 1, 3, 2];
    let (scale, input_shift, hidden_shift) = scales(input_bits);
    let hidden = lstm.hidden;
    let recurrence = Recurrence {
        hidden: hidden as u32,
        w_input: constants.add(&arrange(&lstm.w_input, hidden, &ORDER), WEIGHT_BITS),
        w_hidden: constants.add(&arrange(&lstm.w_hidden, hidden, &ORDER), WEIGHT_BITS),
        bias: constants.add(&arrange(&row(lstm.bias.clone()), hidden, &ORDER), scale),
        input_shift,
        hidden_shift,
    };
    // Cells add up over time: where they may go beyond the usual table, it has larger steps.
    let reach = (CELL_MARGIN * cell_range.max(1.0)).log2().ceil() as i32;
    let cell_bits = ARGUMENT_BITS.min(TABLE_BITS as i32 - 1 - reach).max(LEAST_CELL_BITS);
    Lstm {
        name,
        recurrence,
        gates: gates((scale - ARGUMENT_BITS) as u32, gate_range),
        cell_tanh: Function::tabulate("tanh", TABLE_BITS, cell_bits, GATE_BITS as i32, f64::tanh),
        gate_bits: GATE_BITS,
        cell_bits: cell_bits as u32,
    }
}

/// Quantizes a GRU; the network's gate order is z, r, n.
pub(super) fn gru(
    name: String,
    gru: &network::Gru,
    input_bits: i32,
    gate_range: f64,
    constants: &mut Constants,
) -> Gru {
    let (scale, input_shift, hidden_shift) = scales(input_bits);
    let hidden = gru.hidden;
    // The recurrent bias of z and r joins the input's; that of n stays with its product.
    let bias: Vec<f64> =
        (0..3 * hidden).map(|i| gru.bias_input[i] + if i < 2 * hidden { gru.bias_hidden[i] } else { 0.0 }).collect();
    let candidate_bias = row(gru.bias_hidden[2 * hidden..].to_vec());
    let recurrence = Recurrence {
        hidden: hidden as u32,
        w_input: constants.add(&arrange(&gru.w_input, hidden, &[0, 1, 2]), WEIGHT_BITS),
        w_hidden: constants.add(&arrange(&gru.w_hidden, hidden, &[0, 1]), WEIGHT_BITS),
        bias: constants.add(&arrange(&row(bias), hidden, &[0, 1, 2]), scale),
        input_shift,
        hidden_shift,
    };
    let shift = (scale - ARGUMENT_BITS) as u32;
    Gru {
        name,
        recurrence,
        w_candidate: constants.add(&arrange(&gru.w_hidden, hidden, &[2]), WEIGHT_BITS),
        candidate_bias: constants.add(&candidate_bias, GATE_BITS as i32 + WEIGHT_BITS),
        linear_before_reset: gru.linear_before_reset,
        gates: gates(shift, gate_range),
        candidate_shift: if gru.linear_before_reset { shift + GATE_BITS } else { shift },
        gate_bits: GATE_BITS,
    }
}

/// An LSTM that starts from these states, hidden and cell.
pub(super) fn lstm_from(lstm: Lstm, [hidden, cell]: &[Vec<f64>; 2], constants: &mut Constants) -> LstmFrom {
    let hidden = constants.add(&row(hidden.clone()), lstm.gate_bits as i32);
    let cell = constants.add(&row(cell.clone()), lstm.cell_bits as i32);
    LstmFrom { lstm, hidden, cell }
}

/// A GRU that starts from this state.
pub(super) fn gru_from(gru: Gru, state: &[f64], constants: &mut Constants) -> GruFrom {
    let hidden = constants.add(&row(state.to_vec()), gru.gate_bits as i32);
    GruFrom { gru, hidden }
}
