//! The arithmetic of every operation, in double precision. Shapes were checked by the caller.

use super::{Conv1d, Gru, Lstm, Op, Sequences, images};
use crate::layers::layer_norm::LayerNorm;
use crate::layers::matrix::{FloatMatrix, multiply_add};

/// Writes `op` of the inputs to `y` (sequences of `out_length` rows, zero).
pub(super) fn run(op: &Op, inputs: &[Sequences<'_>], y: &mut FloatMatrix, out_length: usize) {
    let Sequences { matrix: x, length } = inputs[0];
    match op {
        Op::Add => each_value(inputs, y, out_length, |y, x| *y += x),
        Op::Multiply => {
            y.data.fill(1.0);
            each_value(inputs, y, out_length, |y, x| *y *= x);
        }
        Op::Hypot => each_value(inputs, y, out_length, |y, x| *y = y.hypot(x)),
        Op::Power => each_value(inputs, y, out_length, |y, x| *y += x * x),
        Op::LogEnergy { floor, least: false } => map(x, y, |x| (x + floor).ln()),
        Op::LogEnergy { floor, least: true } => map(x, y, |x| x.max(*floor).ln()),
        Op::Concat => concat(inputs, y, out_length),
        Op::AttentiveStatsPool { min_variance } => attentive_stats(inputs, *min_variance, y),
        Op::Dense { weight, bias } => {
            fill_rows(y, bias);
            multiply_add([x.rows, x.cols, y.cols], (&x.data, x.cols), &weight.data, &mut y.data);
        }
        Op::Conv1d(conv) => each_sequence(x, length, y, out_length, |x, y| conv1d(conv, x, y)),
        Op::Conv2d(conv) => each_sequence(x, length, y, out_length, |x, y| images::conv2d(conv, x, y)),
        // One sequence is contiguous already.
        Op::Flatten => y.data.copy_from_slice(&x.data),
        Op::Affine { scale, shift } => {
            for (y, x) in y.data.chunks_exact_mut(x.cols).zip(x.data.chunks_exact(x.cols)) {
                for (c, y) in y.iter_mut().enumerate() {
                    *y = scale[c] * x[c] + shift[c];
                }
            }
        }
        Op::Relu => map(x, y, |x| x.max(0.0)),
        Op::Sigmoid => map(x, y, sigmoid),
        Op::Tanh => map(x, y, f64::tanh),
        Op::Abs => map(x, y, f64::abs),
        Op::Log => map(x, y, f64::ln),
        Op::AtMost { limit } => map(x, y, |x| x.min(*limit)),
        // Sequences that carry a state on are one.
        Op::Lstm(lstm_op) => lstm(lstm_op, x, if op.carries_state() { x.rows } else { length }, y),
        Op::Gru(gru_op) => gru(gru_op, x, if op.carries_state() { x.rows } else { length }, y),
        Op::MaxPool2d(_)
        | Op::MaxPool1d { .. }
        | Op::MaxOverTime
        | Op::MeanPool
        | Op::StatsPool { .. }
        | Op::LastRow => {
            let columns = x.cols;
            each_sequence(x, length, y, out_length, |x, y| pool(op, x, columns, y));
        }
        Op::MirrorPad | Op::InstanceNorm { .. } | Op::SubtractMean => {
            let columns = x.cols;
            each_sequence(x, length, y, out_length, |x, y| over_time(op, x, columns, y));
        }
        Op::L2Normalize => {
            for (y, x) in y.data.chunks_exact_mut(x.cols).zip(x.data.chunks_exact(x.cols)) {
                let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                let factor = if norm > 0.0 { norm.recip() } else { 0.0 };
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x * factor);
            }
        }
        Op::Slice { first, columns } => {
            for (y, x) in y.data.chunks_exact_mut(*columns).zip(x.data.chunks_exact(x.cols)) {
                y.copy_from_slice(&x[*first..first + columns]);
            }
        }
        Op::Function(f) => map(x, y, |x| f.value(x)),
        Op::Quantize(levels) => map(x, y, |x| levels.value(x)),
        // A sequence is contiguous.
        Op::Unfold { .. } | Op::Fold { .. } => y.data.copy_from_slice(&x.data),
        Op::LayerNorm { epsilon } => *y = LayerNorm::float(x, *epsilon),
        Op::Softmax => {
            for (y, x) in y.data.chunks_exact_mut(x.cols).zip(x.data.chunks_exact(x.cols)) {
                y.copy_from_slice(&softmax_over_rows(x, 1));
            }
        }
        Op::LogSoftmax => {
            for (y, x) in y.data.chunks_exact_mut(x.cols).zip(x.data.chunks_exact(x.cols)) {
                let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x - largest - sum.ln());
            }
        }
        Op::Attention { heads, scale, causal } => images::attention(inputs, (*heads, *scale, *causal), y),
        Op::SegmentMean { rows } => {
            let run = rows.saturating_mul(x.cols);
            each_sequence(x, length, y, out_length, |x, y| segment_mean(x, run, y.len() / length.max(1), y));
        }
        Op::Rows(_) | Op::AveragePool2d(_) | Op::GridMean { .. } | Op::GridStats { .. } | Op::AddRows { .. } => {
            let columns = x.cols;
            each_sequence(x, length, y, out_length, |x, y| images::over_grid(op, x, columns, y));
        }
    }
}

fn attentive_stats(inputs: &[Sequences<'_>], min_variance: f64, y: &mut FloatMatrix) {
    let (x, columns) = (inputs[0].matrix, inputs[0].matrix.cols);
    let (length, score_columns) = (inputs[0].length, inputs[1].matrix.cols);
    let scores = inputs[1].matrix.data.chunks_exact(length * score_columns);
    let pairs = x.data.chunks_exact(length * columns).zip(scores);
    for ((x, scores), y) in pairs.zip(y.data.chunks_exact_mut(2 * columns)) {
        let mut weights = softmax_over_rows(scores, score_columns);
        if score_columns < columns {
            weights = weights.iter().flat_map(|&weight| std::iter::repeat_n(weight, columns)).collect();
        }
        weighted_stats(x, &weights, columns, min_variance, y);
    }
}

/// Means of runs of `run` values, rows of `columns` each, in place of every row.
fn segment_mean(x: &[f64], run: usize, columns: usize, y: &mut [f64]) {
    for (x, y) in x.chunks(run).zip(y.chunks_mut(run)) {
        let rows = (x.len() / columns) as f64;
        for c in 0..columns {
            let mean = x.iter().skip(c).step_by(columns).sum::<f64>() / rows;
            y.iter_mut().skip(c).step_by(columns).for_each(|y| *y = mean);
        }
    }
}

/// The value of a sequence's row `t`; the only row counts for every one.
fn row_of<'a>(x: &Sequences<'a>, sequence: usize, t: usize) -> &'a [f64] {
    let t = if x.length == 1 { 0 } else { t };
    x.matrix.row(sequence * x.length + t)
}

/// Combines every entry of `y` with that of each input.
fn each_value(inputs: &[Sequences<'_>], y: &mut FloatMatrix, out_length: usize, f: impl Fn(&mut f64, f64)) {
    for (r, y) in y.data.chunks_exact_mut(y.cols).enumerate() {
        for x in inputs {
            let x = row_of(x, r / out_length, r % out_length);
            y.iter_mut().zip(x).for_each(|(y, &x)| f(y, x));
        }
    }
}

fn concat(inputs: &[Sequences<'_>], y: &mut FloatMatrix, out_length: usize) {
    for (r, mut y) in y.data.chunks_exact_mut(y.cols).enumerate() {
        for x in inputs {
            let (part, rest) = y.split_at_mut(x.matrix.cols);
            part.copy_from_slice(row_of(x, r / out_length, r % out_length));
            y = rest;
        }
    }
}

/// exp(x) / Σ exp(x) down every column.
fn softmax_over_rows(x: &[f64], columns: usize) -> Vec<f64> {
    let mut largest = vec![f64::NEG_INFINITY; columns];
    let mut sums = vec![0.0; columns];
    for x in x.chunks_exact(columns) {
        largest.iter_mut().zip(x).for_each(|(largest, &x)| *largest = largest.max(x));
    }
    let mut weights: Vec<f64> = x.iter().enumerate().map(|(i, x)| (x - largest[i % columns]).exp()).collect();
    for weights in weights.chunks_exact(columns) {
        sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += w);
    }
    weights.iter_mut().enumerate().for_each(|(i, w)| *w /= sums[i % columns]);
    weights
}

/// Writes the weighted means, then the weighted deviations, to `y`.
fn weighted_stats(x: &[f64], weights: &[f64], columns: usize, min_variance: f64, y: &mut [f64]) {
    let (mean, deviation) = y.split_at_mut(columns);
    for (x, w) in x.chunks_exact(columns).zip(weights.chunks_exact(columns)) {
        for c in 0..columns {
            mean[c] += w[c] * x[c];
            deviation[c] += w[c] * x[c] * x[c];
        }
    }
    for (d, m) in deviation.iter_mut().zip(mean) {
        *d = (*d - *m * *m).max(min_variance).sqrt();
    }
}

/// The operations that shorten a sequence without mixing its columns.
fn pool(op: &Op, x: &[f64], columns: usize, y: &mut [f64]) {
    match op {
        Op::MaxPool2d(pool) => images::max_pool(pool, columns, x, y),
        Op::MaxPool1d { kernel, stride } => {
            for (t, y) in y.chunks_exact_mut(columns).enumerate() {
                y.fill(f64::NEG_INFINITY);
                for x in x[t * stride * columns..][..kernel * columns].chunks_exact(columns) {
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = y.max(x));
                }
            }
        }
        Op::MaxOverTime => {
            y.fill(f64::NEG_INFINITY);
            for x in x.chunks_exact(columns) {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = y.max(x));
            }
        }
        Op::StatsPool { min_variance } => stats(x, columns, *min_variance, y),
        Op::LastRow => y.copy_from_slice(&x[x.len() - columns..]),
        _ => mean(x, columns, y),
    }
}

/// The operations whose rows depend on others of their sequence, column by column.
fn over_time(op: &Op, x: &[f64], columns: usize, y: &mut [f64]) {
    if matches!(op, Op::MirrorPad) {
        y[..columns].copy_from_slice(&x[columns..2 * columns]);
        y[columns..].copy_from_slice(x);
        return;
    }
    let (mut means, mut factors) = (vec![0.0; columns], vec![1.0; columns]);
    mean(x, columns, &mut means);
    if let Op::InstanceNorm { epsilon } = op {
        let rows = (x.len() / columns) as f64;
        let square = |c: usize| x.iter().skip(c).step_by(columns).map(|x| (x - means[c]).powi(2)).sum::<f64>();
        factors = (0..columns).map(|c| (square(c) / rows + epsilon).sqrt().recip()).collect();
    }
    y.iter_mut().zip(x).enumerate().for_each(|(i, (y, x))| *y = (x - means[i % columns]) * factors[i % columns]);
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn map(x: &FloatMatrix, y: &mut FloatMatrix, f: impl Fn(f64) -> f64) {
    y.data.iter_mut().zip(&x.data).for_each(|(y, &x)| *y = f(x));
}

fn fill_rows(y: &mut FloatMatrix, row: &[f64]) {
    y.data.chunks_exact_mut(y.cols).for_each(|y| y.copy_from_slice(row));
}

fn each_sequence(
    x: &FloatMatrix,
    length: usize,
    y: &mut FloatMatrix,
    out_length: usize,
    mut f: impl FnMut(&[f64], &mut [f64]),
) {
    let out = out_length * y.cols;
    let inputs = x.data.chunks_exact(length * x.cols);
    y.data.chunks_exact_mut(out).zip(inputs).for_each(|(y, x)| f(x, y));
}

fn conv1d(conv: &Conv1d, x: &[f64], y: &mut [f64]) {
    let (inner, outer) = (conv.in_channels, conv.out_channels);
    let mut padded = vec![0.0; conv.pad_left * inner];
    padded.extend_from_slice(x);
    padded.resize(padded.len() + conv.pad_right * inner, 0.0);
    y.chunks_exact_mut(outer).for_each(|y| y.copy_from_slice(&conv.bias));
    let rows = y.len() / outer;
    for (k, weight) in conv.weight.chunks_exact(inner * outer).enumerate() {
        let taps = &padded[k * conv.dilation * inner..];
        multiply_add([rows, inner, outer], (taps, conv.stride * inner), weight, y);
    }
}

fn mean(x: &[f64], columns: usize, y: &mut [f64]) {
    y.fill(0.0);
    for x in x.chunks_exact(columns) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
    }
    let rows = (x.len() / columns) as f64;
    y.iter_mut().for_each(|y| *y /= rows);
}

fn stats(x: &[f64], columns: usize, min_variance: f64, y: &mut [f64]) {
    let (means, deviations) = y.split_at_mut(columns);
    mean(x, columns, means);
    deviations.fill(0.0);
    for x in x.chunks_exact(columns) {
        deviations.iter_mut().zip(x).for_each(|(y, x)| *y += x * x);
    }
    let rows = (x.len() / columns) as f64;
    for (deviation, mean) in deviations.iter_mut().zip(means) {
        *deviation = (*deviation / rows - *mean * *mean).max(min_variance).sqrt();
    }
}

/// The part of the gates that does not depend on the state: x · weight + bias, one row per row.
fn input_gates(x: &FloatMatrix, weight: &FloatMatrix, bias: &[f64]) -> FloatMatrix {
    let mut gates = FloatMatrix::zeros(x.rows, weight.cols);
    fill_rows(&mut gates, bias);
    let dimensions = [x.rows, x.cols, weight.cols];
    multiply_add(dimensions, (&x.data, x.cols), &weight.data, &mut gates.data);
    gates
}

/// The same state for every sequence, or zeros.
fn initial_states(state: Option<&Vec<f64>>, [sequences, hidden]: [usize; 2]) -> FloatMatrix {
    FloatMatrix::from_fn(sequences, hidden, |_, c| state.map_or(0.0, |state| state[c]))
}

fn lstm(op: &Lstm, x: &FloatMatrix, length: usize, y: &mut FloatMatrix) {
    let (hidden, sequences) = (op.hidden, x.rows / length);
    let gates = input_gates(x, &op.w_input, &op.bias);
    let [mut h, mut c] = [0, 1].map(|state| {
        let initial = op.initial.as_ref().map(|initial| &initial[state]);
        initial_states(initial, [sequences, hidden])
    });
    let mut now = FloatMatrix::zeros(sequences, 4 * hidden);
    // All sequences advance together: one product with the recurrent weights per time step.
    for t in 0..length {
        (0..sequences).for_each(|s| now.row_mut(s).copy_from_slice(gates.row(s * length + t)));
        let dimensions = [sequences, hidden, 4 * hidden];
        multiply_add(dimensions, (&h.data, hidden), &op.w_hidden.data, &mut now.data);
        for s in 0..sequences {
            let (gate, c, h) = (now.row(s), c.row_mut(s), h.row_mut(s));
            for j in 0..hidden {
                let [i, f, g, o] = [0, 1, 2, 3].map(|block| gate[block * hidden + j]);
                c[j] = sigmoid(f) * c[j] + sigmoid(i) * g.tanh();
                h[j] = sigmoid(o) * c[j].tanh();
            }
            y.row_mut(s * length + t).copy_from_slice(h);
        }
    }
}

fn gru(op: &Gru, x: &FloatMatrix, length: usize, y: &mut FloatMatrix) {
    let (hidden, sequences) = (op.hidden, x.rows / length);
    let gates = input_gates(x, &op.w_input, &op.bias_input);
    let mut h = initial_states(op.initial.as_ref(), [sequences, hidden]);
    for t in 0..length {
        let recurrent = input_gates(&h, &op.w_hidden, &op.bias_hidden);
        let gate = |s: usize, block: usize, j: usize| {
            let at = block * hidden + j;
            sigmoid(gates.row(s * length + t)[at] + recurrent.row(s)[at])
        };
        let z = FloatMatrix::from_fn(sequences, hidden, |s, j| gate(s, 0, j));
        let r = FloatMatrix::from_fn(sequences, hidden, |s, j| gate(s, 1, j));
        let new = if op.linear_before_reset {
            FloatMatrix::from_fn(sequences, hidden, |s, j| r.row(s)[j] * recurrent.row(s)[2 * hidden + j])
        } else {
            // The third block of columns of [r·h · R]; the other two are not needed.
            let reset = FloatMatrix::from_fn(sequences, hidden, |s, j| r.row(s)[j] * h.row(s)[j]);
            let all = input_gates(&reset, &op.w_hidden, &op.bias_hidden);
            FloatMatrix::from_fn(sequences, hidden, |s, j| all.row(s)[2 * hidden + j])
        };
        for s in 0..sequences {
            let input = gates.row(s * length + t);
            for j in 0..hidden {
                let n = (input[2 * hidden + j] + new.row(s)[j]).tanh();
                let z = z.row(s)[j];
                h.row_mut(s)[j] = (1.0 - z) * n + z * h.row(s)[j];
            }
            y.row_mut(s * length + t).copy_from_slice(h.row(s));
        }
    }
}
