//! Whole layers of one or two columns: a trajectory of states, statistics, patches, norms.

use proptest::prelude::*;
use voxcheck::error::ModelError;
use voxcheck::layers::affine::{Affine, Finish, Function, Operand, Taps, Term};
use voxcheck::layers::attention::WeightedStats;
use voxcheck::layers::gate::Gate;
use voxcheck::layers::layer_norm::LayerNorm;
use voxcheck::layers::logarithm::LogTables;
use voxcheck::layers::lowering::{Constant, Layer, Value};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::max_pool::{MaxPool, ReluMaxPool};
use voxcheck::layers::multi_head::MultiHeadAttention;
use voxcheck::layers::norm::{Average, Normalize, NormalizeSigned};
use voxcheck::layers::pooling::{Deviation, Mean, Row};
use voxcheck::layers::quantize::Constants;
use voxcheck::layers::recurrent::{Gates, Gru, Lstm, Recurrence};
use voxcheck::layers::row_softmax::RowLogSoftmax;
use voxcheck::layers::sequences::Sequences;
use voxcheck::layers::softmax::Softmax;

use crate::fixed_point::{entry, saturated};
use crate::{Gadget, rounded};

/// A layer on bytes; its output is public.
pub fn gadget(
    range_bits: usize,
    rows: usize,
    cols: usize,
    sequences: usize,
    layer: &dyn Layer,
    weights: Constants,
) -> Gadget {
    Gadget::new(range_bits, &[(rows, cols, 8)], &weights.into_tables(), |p, x| -> Result<_, ModelError> {
        Ok(vec![layer.lower(p, &[Value { tensor: x[0], sequences }])?.tensor])
    })
}

/// A matrix of integers among the weights.
pub fn integers(weights: &mut Constants, rows: usize, values: &[i64]) -> Constant {
    let data = values.iter().map(|&v| v as f64).collect();
    weights.add(&FloatMatrix::new(rows, values.len() / rows, data), 0)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Fraction bits of gates and states, of gate arguments and cell states.
const GATE_BITS: u32 = 5;
const CELL_BITS: u32 = 4;
/// Bits that accumulators drop to become arguments.
const SHIFT: usize = 4;

fn function(name: &str, bits: u32, f: fn(f64) -> f64) -> Function {
    Function::tabulate(name, bits, CELL_BITS as i32, GATE_BITS as i32, f)
}

fn gates(saturate: Option<(u32, u32)>) -> Gates {
    let bits = if saturate.is_some() { 6 } else { 8 };
    let (sigmoid, tanh) = (function("sigmoid", bits, sigmoid), function("tanh", bits, f64::tanh));
    Gates { shift: SHIFT as u32, sigmoid, tanh, saturate }
}

/// A gate's value; none where its table ends.
fn gate(gates: &Gates, function: &Function, acc: i128, shift: usize) -> Option<i128> {
    match gates.saturate {
        None => entry(&function.table(), rounded(acc, shift)),
        Some((low, high)) => saturated(&function.table(), acc, shift, (low as usize, high as usize)),
    }
}

/// Weights of a cell of one unit, gate by gate: of the input, of the state, and the bias.
struct Unit {
    input: Vec<i64>,
    state: Vec<i64>,
    bias: Vec<i64>,
}

/// The shift of the input's product: it has one fraction bit less than that of the state.
const INPUT_SHIFT: u32 = 1;

impl Unit {
    fn recurrence(&self, weights: &mut Constants, state_gates: usize) -> Recurrence {
        Recurrence {
            hidden: 1,
            w_input: integers(weights, 1, &self.input),
            w_hidden: integers(weights, 1, &self.state[..state_gates]),
            bias: integers(weights, 1, &self.bias),
            input_shift: INPUT_SHIFT,
            hidden_shift: 0,
        }
    }

    fn accumulator(&self, k: usize, x: i128, h: i128) -> i128 {
        let [w, r, b] = [&self.input, &self.state, &self.bias].map(|v| i128::from(v[k]));
        ((x * w) << INPUT_SHIFT) + h * r + b
    }
}

fn lstm(unit: &Unit, gates: Gates, cell_table_bits: u32, weights: &mut Constants) -> Lstm {
    let cell_tanh = function("tanh", cell_table_bits, f64::tanh);
    let recurrence = unit.recurrence(weights, 4);
    Lstm { name: "lstm".into(), recurrence, gates, cell_tanh, gate_bits: GATE_BITS, cell_bits: CELL_BITS }
}

/// The states of an LSTM of one unit, from its equations.
fn lstm_states(unit: &Unit, layer: &Lstm, inputs: &[i128]) -> Option<Vec<i128>> {
    let (mut h, mut c) = (0, 0);
    let step = |&x: &i128| {
        let acc = |k: usize| unit.accumulator(k, x, h);
        let [i, f, o] = [0, 1, 2].map(|k| gate(&layer.gates, &layer.gates.sigmoid, acc(k), SHIFT));
        let g = gate(&layer.gates, &layer.gates.tanh, acc(3), SHIFT)?;
        c = rounded(((f? * c) << (GATE_BITS - CELL_BITS)) + i? * g, (2 * GATE_BITS - CELL_BITS) as usize);
        h = rounded(o? * entry(&layer.cell_tanh.table(), c)?, GATE_BITS as usize);
        Some(h)
    };
    inputs.iter().map(step).collect()
}

fn lstm_unit() -> Unit {
    Unit { input: vec![7, -5, 4, 9], state: vec![-6, 8, 3, 7], bias: vec![20, 100, -30, 11] }
}

#[test]
fn an_lstm_has_one_trajectory() {
    let unit = lstm_unit();
    // Gates that end, that saturate; a table of the cell state that two steps can leave.
    for (saturate, cell_table_bits) in [(None, 8), (Some((3, 6)), 8), (None, 5)] {
        let mut weights = Constants::default();
        let layer = lstm(&unit, gates(saturate), cell_table_bits, &mut weights);
        let gadget = gadget(6, 2, 1, 1, &layer, weights);
        let mut ends = 0;
        for (first, second) in (-128..128).flat_map(|a| [-128, -60, -1, 60, 127].map(|b| (a, b))) {
            let expected = lstm_states(&unit, &layer, &[first, second]);
            ends += usize::from(expected.is_none());
            gadget.check(&[&[first, second]], expected.as_deref());
        }
        assert!(if saturate.is_some() { ends == 0 } else { (1..1280).contains(&ends) }, "{ends} have no states");
    }
}

/// Sequences start from zero, whatever stands in the row before.
#[test]
fn sequences_of_an_lstm_do_not_mix() {
    let (unit, mut weights) = (lstm_unit(), Constants::default());
    let layer = lstm(&unit, gates(None), 8, &mut weights);
    let gadget = gadget(6, 4, 1, 2, &layer, weights);
    for x in (-64..64i128).step_by(5) {
        let inputs = [x, 50, -x, 17];
        let halves = inputs.chunks(2).map(|inputs| lstm_states(&unit, &layer, inputs));
        let expected: Option<Vec<Vec<i128>>> = halves.collect();
        gadget.check(&[&inputs], expected.map(|states| states.concat()).as_deref());
    }
}

/// Sequences that are chunks of one start from the states of the one before.
#[test]
fn chunks_of_an_lstm_have_one_trajectory() {
    let (unit, mut weights) = (lstm_unit(), Constants::default());
    let layer = lstm(&unit, gates(None), 8, &mut weights);
    let chunks = Sequences { name: "chunks".into(), fraction_bits: 0 };
    let gadget = Gadget::new(6, &[(3, 1, 8)], &weights.into_tables(), |p, x| -> Result<_, ModelError> {
        let input = Value { tensor: x[0], sequences: 3 };
        let joined = chunks.lower(p, &[input])?;
        let states = layer.lower(p, &[joined])?;
        Ok(vec![chunks.lower(p, &[states, input])?.tensor])
    });
    for x in (-64..64i128).step_by(5) {
        let inputs = [x, 50, -x];
        gadget.check(&[&inputs], lstm_states(&unit, &layer, &inputs).as_deref());
    }
}

fn gru(unit: &Unit, d: i64, linear_before_reset: bool, gates: Gates, weights: &mut Constants) -> Gru {
    let recurrence = unit.recurrence(weights, 2);
    Gru {
        name: "gru".into(),
        recurrence,
        w_candidate: integers(weights, 1, &unit.state[2..]),
        candidate_bias: integers(weights, 1, &[d]),
        linear_before_reset,
        gates,
        candidate_shift: SHIFT as u32 + if linear_before_reset { GATE_BITS } else { 0 },
        gate_bits: GATE_BITS,
    }
}

/// The states of a GRU of one unit, from its equations.
fn gru_states(unit: &Unit, d: i64, layer: &Gru, inputs: &[i128]) -> Option<Vec<i128>> {
    let mut h = 0;
    let step = |&x: &i128| {
        let [z, r] = [0, 1].map(|k| gate(&layer.gates, &layer.gates.sigmoid, unit.accumulator(k, x, h), SHIFT));
        let (z, r, of_state, bits) = (z?, r?, i128::from(unit.state[2]), GATE_BITS as usize);
        let from_input = unit.accumulator(2, x, 0);
        let acc = if layer.linear_before_reset {
            (from_input << bits) + r * (h * of_state + i128::from(d))
        } else {
            from_input + rounded(r * h, bits) * of_state + i128::from(d)
        };
        let n = gate(&layer.gates, &layer.gates.tanh, acc, layer.candidate_shift as usize)?;
        h = rounded((n << bits) + z * (h - n), bits);
        Some(h)
    };
    inputs.iter().map(step).collect()
}

#[test]
fn a_gru_has_one_trajectory() {
    let unit = Unit { input: vec![-4, 6, 9], state: vec![8, -5, 7], bias: vec![-20, 35, 50] };
    for (linear_before_reset, saturate) in [(false, None), (true, None), (false, Some((2, 7))), (true, Some((3, 6)))] {
        let mut weights = Constants::default();
        let layer = gru(&unit, 13, linear_before_reset, gates(saturate), &mut weights);
        let gadget = gadget(6, 2, 1, 1, &layer, weights);
        let mut ends = 0;
        for (first, second) in (-128..128).flat_map(|a| [-128, -31, 0, 99, 127].map(|b| (a, b))) {
            let expected = gru_states(&unit, 13, &layer, &[first, second]);
            ends += usize::from(expected.is_none());
            gadget.check(&[&[first, second]], expected.as_deref());
        }
        assert!(if saturate.is_some() { ends == 0 } else { (1..1280).contains(&ends) }, "{ends} have no states");
    }
}

/// `x / T` with 30 bits of the reciprocal, and a shift.
pub fn over_rows(x: i128, rows: i128, shift: i64) -> i128 {
    rounded(x * (((1 << 30) + rows / 2) / rows), (shift + 30) as usize)
}

#[test]
fn a_mean_has_one_value() {
    for (rows, guard_bits) in [(1, 0), (2, 3), (3, 5)] {
        let layer = Mean { name: "mean".into(), guard_bits, bits: 14, fraction_bits: 0 };
        let gadget = gadget(6, rows, 1, 1, &layer, Constants::default());
        for x in -128..128 {
            let inputs: Vec<i128> = [x, -128, 127][..rows].to_vec();
            let sum: i128 = inputs.iter().sum();
            gadget.check(&[&inputs], Some(&[over_rows(sum, rows as i128, -i64::from(guard_bits))]));
        }
    }
}

#[test]
fn a_deviation_has_one_value() {
    let (rows, guard, smallest) = (3, 2, 2i128 << 4);
    let mut weights = Constants::default();
    let min_variance = integers(&mut weights, 1, &[smallest as i64]);
    let layer = Deviation { name: "deviation".into(), min_variance, guard_bits: guard, bits: 12, fraction_bits: 0 };
    let gadget = gadget(7, 3, 1, 1, &layer, weights);
    let mut ties = 0;
    for (x, others) in (-128..128i128).flat_map(|x| [[x, x], [-128, 127], [x - 1, x + 1], [3, 3]].map(|o| (x, o))) {
        let inputs = [x, others[0].max(-128), others[1].min(127)];
        let [sum, squares] = [1, 2].map(|power| inputs.iter().map(|v| v.pow(power)).sum::<i128>());
        let variance = (rows * squares - sum * sum) << (2 * guard);
        let root = (variance.max(rows * rows * smallest) as u128).isqrt() as i128;
        let found = gadget.compare(&[&inputs], Some(&[over_rows(root, rows, 0)]));
        // Where the variance is the smallest one, either is the larger of both.
        let tie = variance == rows * rows * smallest;
        assert_eq!(found.assignments, if tie { 2 } else { 1 }, "{inputs:?}");
        ties += usize::from(tie);
    }
    assert!(ties > 0 || gadget.admitted(&[&[0, 0, 3]]).assignments == 2, "an input at the smallest variance");
}

/// Weighted mean and deviation, from their definitions.
fn weighted(x: [i128; 2], weights: [i128; 2], guard: u32, smallest: i128) -> Option<[i128; 2]> {
    let sum = |power: u32| x.iter().zip(weights).map(|(x, w)| w * x.pow(power)).sum::<i128>();
    let [s0, s1, s2] = [0, 1, 2].map(sum);
    if s0 <= 0 {
        return None;
    }
    let variance = ((s0 * s2 - s1 * s1) << (2 * guard)).max(s0 * s0 * smallest);
    Some([(s1 << guard).div_euclid(s0), (variance as u128).isqrt() as i128 / s0])
}

#[test]
fn weighted_statistics_have_one_value_and_need_a_weight() {
    let (guard, smallest) = (2, 3);
    let mut constants = Constants::default();
    let min_variance = integers(&mut constants, 1, &[smallest as i64]);
    let layer = WeightedStats { name: "stats".into(), min_variance, guard_bits: guard, bits: 10, fraction_bits: 0 };
    let gadget = Gadget::new(6, &[(2, 1, 6), (2, 1, 6)], &constants.into_tables(), |p, ids| -> Result<_, ModelError> {
        let inputs = [ids[0], ids[1]].map(|tensor| Value { tensor, sequences: 1 });
        Ok(vec![layer.lower(p, &inputs)?.tensor])
    });
    let values = [-32, -3, 0, 1, 31];
    let pairs = |values: [i128; 5]| values.into_iter().flat_map(move |a| values.map(|b| [a, b]));
    for (x, weights) in pairs(values).flat_map(|x| pairs([0, 1, 2, 17, 31]).map(move |w| (x, w))) {
        let expected = weighted(x, weights, guard, smallest);
        let found = gadget.compare(&[&x, &weights], expected.as_ref().map(<[i128; 2]>::as_slice));
        assert!(found.assignments <= 2, "{x:?} {weights:?}: only a tie of variances leaves a choice");
        assert_eq!(expected.is_none(), weights == [0, 0]);
    }
}

#[test]
fn a_gate_has_one_value() {
    for (rows, shift) in [(1, 3), (3, 3), (3, 0)] {
        let finish = if shift == 0 { Finish::Exact } else { Finish::Requantize { shift, bits: 12 } };
        let layer = Gate { name: "gate".into(), finish, fraction_bits: 0 };
        let gadget = Gadget::new(6, &[(rows, 2, 6), (1, 2, 6)], &[], |p, ids| -> Result<_, ModelError> {
            let inputs = [ids[0], ids[1]].map(|tensor| Value { tensor, sequences: 1 });
            Ok(vec![layer.lower(p, &inputs)?.tensor])
        });
        for (x, gate) in (-32..32i128).flat_map(|x| [-32, 0, 5, 31].map(|gate| (x, gate))) {
            let inputs: Vec<i128> = [x, -x - 1, 31, x, -32, 7][..2 * rows].to_vec();
            let gates = [gate, 9];
            let expected: Vec<i128> =
                inputs.iter().zip(gates.iter().cycle()).map(|(x, g)| rounded(x * g, shift as usize)).collect();
            gadget.check(&[&inputs, &gates], Some(&expected));
        }
    }
}

#[test]
fn a_patch_has_one_largest_value() {
    for (image, kernel, patches) in [
        ([2, 3], [2, 2], vec![vec![0, 1, 3, 4], vec![1, 2, 4, 5]]),
        ([1, 5], [1, 3], vec![vec![0, 1, 2], vec![1, 2, 3], vec![2, 3, 4]]),
        ([2, 1], [1, 1], vec![vec![0], vec![1]]),
    ] {
        let taps = Taps::Image { image, kernel, stride: [1, 1], padding: [0; 4] };
        let pixels = (image[0] * image[1]) as usize;
        let layer = MaxPool { name: "pool".into(), taps, bits: 8, fraction_bits: 0 };
        let plain = gadget(5, pixels, 1, 1, &layer, Constants::default());
        let layer = ReluMaxPool { name: "pool".into(), taps, shift: 2, bits: 7, fraction_bits: 0 };
        let relu = gadget(5, pixels, 1, 1, &layer, Constants::default());
        for x in -128..128i128 {
            let inputs: Vec<i128> = [x, 5, -128, 127, -x - 1, x][..pixels].to_vec();
            let largest = |f: &dyn Fn(i128) -> i128| -> Vec<i128> {
                patches.iter().map(|patch| patch.iter().map(|&at| f(inputs[at])).max().unwrap()).collect()
            };
            plain.check(&[&inputs], Some(&largest(&|v| v)));
            relu.check(&[&inputs], Some(&largest(&|v| rounded(v, 2).max(0))));
        }
    }
}

/// Unit length of a row: `⌊2^(f+g)·x / ⌊2^g·|x|⌋⌋`.
fn unit_row(x: &[i128], guard: u32, fraction: u32) -> Option<Vec<i128>> {
    let squares: i128 = x.iter().map(|v| v * v).sum();
    let norm = ((squares << (2 * guard)) as u128).isqrt() as i128;
    x.iter().map(|v| (v << (fraction + guard)).checked_div_euclid(norm)).collect()
}

fn normalize(guard: u32, fraction: u32) -> Gadget {
    let mut weights = Constants::default();
    let ones = integers(&mut weights, 2, &[1, 1]);
    let layer = Normalize { name: "unit".into(), ones, guard_bits: guard, fraction_bits: fraction as i32 };
    gadget(6, 1, 2, 1, &layer, weights)
}

#[test]
fn a_row_has_one_unit_vector_and_zeros_have_none() {
    for (guard, fraction) in [(0, 4), (3, 6)] {
        let gadget = normalize(guard, fraction);
        for row in (0..128).flat_map(|a| [0, 1, 64, 127, a].map(|b| [a, b])) {
            let expected = unit_row(&row, guard, fraction);
            assert_eq!(expected.is_none(), row == [0, 0]);
            gadget.check(&[&row], expected.as_deref());
        }
    }
}

#[test]
fn an_average_of_sequences_has_one_value() {
    let layer = Average { name: "average".into(), bits: 9, fraction_bits: 0 };
    let gadget = gadget(5, 3, 2, 3, &layer, Constants::default());
    for x in -128..128 {
        let expected = [x - 128 + 127, 3 * x.max(-1)].map(|sum| over_rows(sum, 3, 0));
        gadget.check(&[&[x, x.max(-1), -128, x.max(-1), 127, x.max(-1)]], Some(&expected));
    }
}

/// `y[t] = 9·x[t − 1] − 4·x[t + 1] + 21`, with zeros around three rows, and `5·[t > 0] + 7·[t < 2]` if `edges`.
fn conv(edges: bool) -> Gadget {
    let mut weights = Constants::default();
    let (weight, bias) = (integers(&mut weights, 2, &[9, -4]), integers(&mut weights, 1, &[21]));
    let taps = Taps::Time { kernel: 2, stride: 1, dilation: 2, pad_left: 1, pad_right: 1 };
    let mut terms = vec![Term { operand: Operand::Input(0), taps, weight, shift: 0 }];
    if edges {
        let weight = integers(&mut weights, 2, &[5, 7]);
        terms.push(Term { operand: Operand::Ones, taps, weight, shift: 0 });
    }
    let finish = Finish::Requantize { shift: 3, bits: 9 };
    gadget(6, 3, 1, 1, &Affine { name: "conv".into(), terms, bias, finish, fraction_bits: 0 }, weights)
}

#[test]
fn a_convolution_has_one_value() {
    for (edges, added) in [(false, [0; 3]), (true, [7, 12, 5])] {
        let conv = conv(edges);
        for x in -128..128 {
            let sums = [-4 * 127, 9 * x + 4 * x + 4, 9 * 127];
            let expected: Vec<i128> = sums.iter().zip(added).map(|(acc, e)| rounded(acc + 21 + e, 3)).collect();
            conv.check(&[&[x, 127, -x - 1]], Some(&expected));
        }
    }
}

#[test]
fn a_row_has_one_value() {
    for (last, picked) in [(false, [0, 2]), (true, [1, 3])] {
        let layer = Row { name: "row".into(), last, fraction_bits: 0 };
        let gadget = gadget(6, 4, 1, 2, &layer, Constants::default());
        for x in -128..128 {
            let rows = [5, x, 6, -x - 1];
            gadget.check(&[&rows], Some(&picked.map(|i: usize| rows[i])));
        }
    }
}

#[test]
fn a_sum_of_inputs_of_different_lengths_has_one_value() {
    let mut weights = Constants::default();
    let long = integers(&mut weights, 1, &[3]);
    let (short, bias) = (integers(&mut weights, 1, &[-5]), integers(&mut weights, 1, &[1]));
    let terms = vec![
        Term { operand: Operand::Columns { input: 0, first: 1, columns: 1 }, taps: Taps::Same, weight: long, shift: 1 },
        Term { operand: Operand::Input(1), taps: Taps::Same, weight: short, shift: 0 },
    ];
    let layer = Affine { name: "sum".into(), terms, bias, finish: Finish::Exact, fraction_bits: 0 };
    let gadget = Gadget::new(6, &[(3, 2, 6), (1, 1, 6)], &weights.into_tables(), |p, ids| -> Result<_, ModelError> {
        let inputs = [ids[0], ids[1]].map(|tensor| Value { tensor, sequences: 1 });
        Ok(vec![layer.lower(p, &inputs)?.tensor])
    });
    for x in -32..32i128 {
        let expected = [x, 31, -7].map(|long| 6 * long - 5 * (-x - 1) + 1);
        gadget.check(&[&[9, x, 8, 31, 7, -7], &[-x - 1]], Some(&expected));
    }
}

/// `(2^g·x − mean)·r / 2^shift`, with the mean and the reciprocal deviation of the row.
fn normalised_row(x: &[i128], layer: &LayerNorm) -> Vec<i128> {
    let (count, guard, shift) = (x.len() as i128, layer.guard_bits, layer.shift as usize);
    let (sum, energy): (i128, i128) = (x.iter().sum(), x.iter().map(|v| v * v).sum());
    let mean = ((sum << guard) + count / 2).div_euclid(count);
    let variance = count * energy - sum * sum + i128::from(layer.epsilon);
    let scale = count << (layer.fraction_bits as usize + shift - guard as usize);
    let reciprocal = ((scale * scale / variance) as u128).isqrt() as i128;
    x.iter().map(|v| rounded(((v << guard) - mean) * reciprocal, shift)).collect()
}

#[test]
fn a_row_has_one_normalised_row() {
    for (guard_bits, epsilon) in [(0, 1), (2, 50)] {
        let mut weights = Constants::default();
        let ones = integers(&mut weights, 3, &[1, 1, 1]);
        let name = "norm".to_owned();
        let layer = LayerNorm { name, ones, epsilon, guard_bits, shift: 6, bits: 16, fraction_bits: 4 };
        let gadget = gadget(6, 1, 3, 1, &layer, weights);
        for row in (-128..128).step_by(5).flat_map(|a| [0, 127, a].map(|b| [a, b, -b])) {
            gadget.check(&[&row], Some(&normalised_row(&row, &layer)));
        }
    }
}

#[test]
fn a_row_of_scores_has_one_sum_of_values() {
    for causal in [false, true] {
        let mut weights = Constants::default();
        let ones = integers(&mut weights, 2, &[1, 1]);
        let mask = causal.then(|| integers(&mut weights, 2, &[1, 0, 1, 1]));
        let softmax = Softmax::new(8, 8, 3, 5, 9);
        let name = "attention".to_owned();
        let (shift, bits, fraction_bits) = (6, 12, 3);
        let layer = MultiHeadAttention {
            name,
            heads: 1,
            width: 1,
            softmax: softmax.clone(),
            ones,
            mask,
            shift,
            bits,
            fraction_bits,
        };
        let gadget = gadget(6, 2, 3, 1, &layer, weights);
        for x in (-128..128).step_by(3) {
            // Query, key and value of two rows.
            let inputs = [x, 100, 90, -x - 1, 127, x];
            let sums = [0, 1].map(|t: usize| {
                let seen = if causal { t + 1 } else { 2 };
                let score = |j: usize| rounded(inputs[3 * t] * inputs[3 * j + 1], 8);
                let largest = (0..seen).map(score).max().unwrap();
                let weight = |j: usize| i128::from(softmax.exponentials[(largest - score(j)) as usize]);
                let sum: i128 = (0..seen).map(weight).sum();
                let values: i128 = (0..seen).map(|j| weight(j) * inputs[3 * j + 2]).sum();
                rounded(values * (((1 << 10) + sum) / (2 * sum)), 6)
            });
            gadget.check(&[&inputs], Some(&sums));
        }
    }
}

#[test]
fn a_signed_row_has_one_unit_vector() {
    for (guard_bits, fraction_bits) in [(0, 4), (3, 6)] {
        let mut weights = Constants::default();
        let ones = integers(&mut weights, 2, &[1, 1]);
        let layer = Normalize { name: "unit".into(), ones, guard_bits, fraction_bits };
        let gadget = gadget(6, 1, 2, 1, &NormalizeSigned(layer), weights);
        for row in (-128..128).step_by(3).flat_map(|a| [0, 1, -128, 127, -a - 1].map(|b| [a, b])) {
            gadget.check(&[&row], unit_row(&row, guard_bits, fraction_bits as u32).as_deref());
        }
        gadget.check(&[&[0, 0]], None);
    }
}

#[test]
fn a_row_of_scores_has_one_logarithm_of_its_softmax() {
    let mut weights = Constants::default();
    // Of two scores, which one is shown to be the largest is no choice.
    let ones = integers(&mut weights, 2, &[1, 1]);
    let (shift, finer) = (2, 1);
    let softmax = Softmax::new(shift, 7, 4, 6, 14);
    let logarithm = LogTables::new(8, 2, 5, 6, 7);
    let name = "logarithm".to_owned();
    let layer =
        RowLogSoftmax { name, softmax: softmax.clone(), ones, logarithm: logarithm.clone(), finer, fraction_bits: 7 };
    let gadget = gadget(6, 1, 2, 1, &layer, weights);
    for row in (-128..128).step_by(3).flat_map(|a| [0, 127, -128, a].map(|b| [a, b])) {
        let score = |x: i128| rounded(x, shift as usize);
        let largest = row.iter().map(|&x| score(x)).max().unwrap();
        let sum: i128 = row.iter().map(|&x| i128::from(softmax.exponentials[(largest - score(x)) as usize])).sum();
        let octaves = logarithm.top - sum.ilog2() as usize;
        let mantissa = (sum << octaves) >> (logarithm.top - logarithm.mantissa_bits);
        let place = mantissa as usize - (1 << logarithm.mantissa_bits);
        let log = i128::from(logarithm.logs[place] - logarithm.shifts[octaves]);
        let expected = row.map(|x| (x << finer) - (largest << (shift + finer)) - log);
        gadget.check(&[&row], Some(&expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pairs_of_bytes_have_one_unit_vector(row in prop::collection::vec(0i128..128, 2), guard in 0u32..7, fraction in 1u32..9) {
        let expected = unit_row(&row, guard, fraction);
        normalize(guard, fraction).check(&[&row], expected.as_deref());
    }

    #[test]
    fn units_with_any_weights_have_one_trajectory(
        weights in prop::collection::vec(-10i64..11, 12), inputs in prop::collection::vec(-128i128..128, 3), before: bool,
    ) {
        let unit = Unit { input: weights[..4].to_vec(), state: weights[4..8].to_vec(), bias: weights[8..].to_vec() };
        let mut tables = Constants::default();
        let layer = lstm(&unit, gates(None), 8, &mut tables);
        let expected = lstm_states(&unit, &layer, &inputs);
        gadget(6, 3, 1, 1, &layer, tables).check(&[&inputs], expected.as_deref());
        let unit = Unit { input: weights[..3].to_vec(), state: weights[3..6].to_vec(), bias: weights[6..9].to_vec() };
        let mut tables = Constants::default();
        let layer = gru(&unit, weights[9], before, gates(None), &mut tables);
        let expected = gru_states(&unit, weights[9], &layer, &inputs);
        gadget(6, 3, 1, 1, &layer, tables).check(&[&inputs], expected.as_deref());
    }
}
