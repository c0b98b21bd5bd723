//! Executors of the recurrent cells: the hints that compute the committed states.
//!
//! They follow the relations of [`recurrent`](super::recurrent) bit for bit, and prove nothing.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::sync::OnceLock;

use super::affine::Function;
use super::recurrent::{Gates, Gru, Lstm};
use crate::simd;
use crate::simd::matrix::{MatrixKernels, PackedMatrix, pair, pairs_in_word};
use crate::sumcheck::int::{IntTable, dispatch};
use crate::sumcheck::par;

/// `⌊x / 2^shift + 1/2⌋`.
fn round_shift(x: i64, shift: u32) -> i64 {
    if shift == 0 { x } else { (x + (1 << (shift - 1))) >> shift }
}

/// A function's value, after the clamp of a saturating gate.
fn gate(gates: &Gates, function: &Function, acc: i64, shift: u32) -> Result<i64, String> {
    let mut argument = round_shift(acc, shift);
    let last = function.start + function.values.len() as i64 - 1;
    if let Some((low, _)) = gates.saturate {
        let high = (argument >> low).clamp(function.start >> low, last >> low);
        argument = (high << low) + (argument & ((1 << low) - 1));
    }
    let index = usize::try_from(argument - function.start).ok();
    index.and_then(|i| function.values.get(i)).copied().ok_or_else(|| {
        format!(
            "a gate has argument {argument}, {:.2} times the calibrated range of {}",
            argument.unsigned_abs() as f64 / last as f64,
            function.name
        )
    })
}

/// Recurrent weights: packed for vector kernels where they are 16-bit integers, and as doubles.
struct Weights<'a> {
    cols: usize,
    largest: u64,
    packed: Option<(&'static dyn MatrixKernels, PackedMatrix)>,
    table: &'a IntTable,
    /// Computed where the kernels do not serve.
    values: OnceLock<Vec<f64>>,
}

impl<'a> Weights<'a> {
    fn new(table: &'a IntTable) -> Self {
        let (rows, cols) = (table.rows(), table.cols());
        let largest = table.values().largest();
        let entry = |r: usize, c: usize| if r < rows { table.get(r, c) as i16 } else { 0 };
        let pack = |kernels| {
            let pairs = rows.div_ceil(2);
            (kernels, PackedMatrix::new(pairs, cols, |k, c| pair(entry(2 * k, c), entry(2 * k + 1, c))))
        };
        Self {
            cols,
            largest: u64::try_from(largest).unwrap_or(u64::MAX),
            packed: simd::matrix_kernels().filter(|_| largest < 1 << 15).map(pack),
            table,
            values: OnceLock::new(),
        }
    }

    /// `state · weights`; exact while every sum is below 2^53.
    fn apply(&self, state: &[i64], out: &mut [i64]) {
        let largest = state.iter().map(|h| h.unsigned_abs()).max().unwrap_or(0);
        let run = pairs_in_word(largest, self.largest);
        if let Some((kernels, packed)) = self.packed.as_ref().filter(|_| largest < 1 << 15 && run > 0) {
            let half = |h: &i64| *h as i16;
            let left: Vec<i32> = state.chunks(2).map(|h| pair(half(&h[0]), h.get(1).map_or(0, half))).collect();
            kernels.multiply(&left, packed, run, out);
            return;
        }
        let values = self.values.get_or_init(|| self.table.values().iter().map(|v| v as f64).collect());
        let mut sums = vec![0f64; out.len()];
        for (&h, row) in state.iter().zip(values.chunks_exact(self.cols)) {
            if h != 0 {
                let h = h as f64;
                sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += h * w);
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as i64);
    }
}

fn narrow(table: &IntTable) -> Result<Vec<i64>, String> {
    // Collecting into a result would not know how many there are.
    let mut narrow = Vec::with_capacity(table.rows() * table.cols());
    dispatch!(table.values(), values => for &value in values {
        let value: i128 = value.into();
        narrow.push(i64::try_from(value).map_err(|_| "an accumulator beyond 63 bits".to_owned())?);
    });
    Ok(narrow)
}

/// The state before the first row, of `hidden` numbers.
fn initial_state(table: Option<&&IntTable>, hidden: usize) -> Result<Vec<i64>, String> {
    table.map_or_else(|| Ok(vec![0; hidden]), |table| narrow(table))
}

/// Runs sequences side by side and puts their states one after another.
fn sequences(
    count: usize,
    run: impl Fn(usize) -> Result<Vec<i128>, String> + Sync + Send,
) -> Result<Vec<i128>, String> {
    let mut parts = par::map(count, run).into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat() })
}

/// The hidden states of an LSTM.
pub(super) struct LstmCell {
    layer: Lstm,
    sequences: usize,
}

impl LstmCell {
    pub(super) fn new(layer: &Lstm, sequences: usize) -> Self {
        Self { layer: layer.clone(), sequences }
    }

    /// From `x·W`, recurrent weights, bias, and the initial states if there are some.
    pub(super) fn run(&self, t: &[&IntTable]) -> Result<Vec<i128>, String> {
        let (weights, bias) = (Weights::new(t[1]), narrow(t[2])?);
        let (xw, cols) = (narrow(t[0])?, t[0].cols());
        let hidden = self.layer.recurrence.hidden as usize;
        let (h, c) = (initial_state(t.get(3), hidden)?, initial_state(t.get(4), hidden)?);
        let length = xw.len() / cols / self.sequences;
        sequences(self.sequences, |s| {
            self.sequence(&xw[s * length * cols..][..length * cols], &weights, &bias, [h.clone(), c.clone()])
        })
    }

    fn sequence(
        &self,
        xw: &[i64],
        weights: &Weights<'_>,
        bias: &[i64],
        [mut h, mut c]: [Vec<i64>; 2],
    ) -> Result<Vec<i128>, String> {
        let Lstm { recurrence: net, gates, cell_tanh, gate_bits, cell_bits, .. } = &self.layer;
        let (hidden, stride) = (net.hidden as usize, (net.hidden as usize).next_power_of_two());
        let mut product = vec![0i64; weights.cols];
        let mut out = Vec::with_capacity(xw.len() / weights.cols * hidden);
        let (align, shift) = (gate_bits - cell_bits, 2 * gate_bits - cell_bits);
        for x in xw.chunks_exact(weights.cols) {
            weights.apply(&h, &mut product);
            let acc = |k: usize| (x[k] << net.input_shift) + (product[k] << net.hidden_shift) + bias[k];
            for j in 0..hidden {
                let [i, f, o] = [0, 1, 2].map(|k| gate(gates, &gates.sigmoid, acc(k * stride + j), gates.shift));
                let g = gate(gates, &gates.tanh, acc(3 * stride + j), gates.shift)?;
                c[j] = round_shift(((f? * c[j]) << align) + i? * g, shift);
                let tanh = cell_tanh.values.get(usize::try_from(c[j] - cell_tanh.start).unwrap_or(usize::MAX));
                let &tanh = tanh.ok_or_else(|| format!("the cell state reaches {}, beyond its range", c[j]))?;
                h[j] = round_shift(o? * tanh, *gate_bits);
            }
            out.extend(h.iter().map(|&v| i128::from(v)));
        }
        Ok(out)
    }

    /// The hint of the cell state, from the forget gate (columns from `offset` on), `i∘g`, and the initial state if there is one.
    pub(super) fn memory(
        offset: usize,
        length: usize,
        align: u32,
        shift: u32,
    ) -> impl Fn(&[&IntTable]) -> Result<Vec<i128>, String> + Send + Sync + 'static {
        move |t| {
            let (gates, new) = (t[0], t[1]);
            let cols = new.cols();
            let (f, new) = (narrow(gates)?, narrow(new)?);
            let initial = initial_state(t.get(2), cols)?;
            let mut c = initial.clone();
            let mut out = Vec::with_capacity(new.len());
            for (row, new) in new.chunks_exact(cols).enumerate() {
                if row % length == 0 {
                    c.copy_from_slice(&initial);
                }
                let f = &f[row * gates.cols() + offset..];
                for ((c, &f), &new) in c.iter_mut().zip(f).zip(new) {
                    *c = round_shift(((f * *c) << align) + new, shift);
                }
                out.extend(c.iter().map(|&v| i128::from(v)));
            }
            Ok(out)
        }
    }
}

/// The hidden states of a GRU.
pub(super) struct GruCell {
    layer: Gru,
    sequences: usize,
}

impl GruCell {
    pub(super) fn new(layer: &Gru, sequences: usize) -> Self {
        Self { layer: layer.clone(), sequences }
    }

    /// From `x·W`, the gates' recurrent weights and bias, those of the candidate, and the initial state if there is one.
    pub(super) fn run(&self, t: &[&IntTable]) -> Result<Vec<i128>, String> {
        let (weights, bias) = (Weights::new(t[1]), narrow(t[2])?);
        let (candidate, d) = (Weights::new(t[3]), narrow(t[4])?);
        let (xw, cols) = (narrow(t[0])?, t[0].cols());
        let h = initial_state(t.get(5), self.layer.recurrence.hidden as usize)?;
        let length = xw.len() / cols / self.sequences;
        sequences(self.sequences, |s| {
            let xw = &xw[s * length * cols..][..length * cols];
            self.sequence(xw, cols, ([&weights, &candidate], [&bias, &d]), h.clone())
        })
    }

    fn sequence(
        &self,
        xw: &[i64],
        cols: usize,
        ([weights, candidate], [bias, d]): ([&Weights<'_>; 2], [&[i64]; 2]),
        mut h: Vec<i64>,
    ) -> Result<Vec<i128>, String> {
        let Gru { recurrence: net, gates, gate_bits, candidate_shift, linear_before_reset, .. } = &self.layer;
        let (hidden, stride) = (net.hidden as usize, (net.hidden as usize).next_power_of_two());
        let (mut product, mut recurrent) = (vec![0i64; weights.cols], vec![0i64; candidate.cols]);
        let mut out = Vec::with_capacity(xw.len() / cols * hidden);
        for x in xw.chunks_exact(cols) {
            weights.apply(&h, &mut product);
            let acc = |k: usize| (x[k] << net.input_shift) + (product[k] << net.hidden_shift) + bias[k];
            let sigmoid = |offset: usize| -> Result<Vec<i64>, String> {
                (0..hidden).map(|j| gate(gates, &gates.sigmoid, acc(offset + j), gates.shift)).collect()
            };
            let (z, r) = (sigmoid(0)?, sigmoid(stride)?);
            let reset: Vec<i64> = h.iter().zip(&r).map(|(h, r)| round_shift(h * r, *gate_bits)).collect();
            candidate.apply(if *linear_before_reset { &h } else { &reset }, &mut recurrent);
            for j in 0..hidden {
                let from_input = (x[2 * stride + j] << net.input_shift) + bias[2 * stride + j];
                let inner = recurrent[j] + d[j];
                let acc = if *linear_before_reset {
                    (from_input << gate_bits) + ((r[j] * inner) << net.hidden_shift)
                } else {
                    from_input + (inner << net.hidden_shift)
                };
                let n = gate(gates, &gates.tanh, acc, *candidate_shift)?;
                h[j] = round_shift((n << gate_bits) + z[j] * (h[j] - n), *gate_bits);
            }
            out.extend(h.iter().map(|&v| i128::from(v)));
        }
        Ok(out)
    }
}
