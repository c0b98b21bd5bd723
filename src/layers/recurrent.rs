//! Recurrent layers without a deep circuit.
//!
//! The hidden states `h_t` of all steps are committed. Then `h_{t−1}` is a view of them, the gates of
//! all steps are two contractions, and what remains is entry by entry:
//!
//! ```text
//! LSTM   acc = x·W + delay(h)·R + b            columns i, f, o, g, each at a multiple of 2^k ≥ hidden
//!        i, f, o = σ(acc)   g = tanh(acc)
//!        c = f∘delay(c) + i∘g                  requantised; its tanh is looked up
//!        h = o∘tanh(c)                         requantised: this pins the committed h
//! GRU    z, r = σ(…)        n = tanh(x·W_n + b_n + r∘(delay(h)·R_n + d_n))
//!                        or n = tanh(x·W_n + b_n + (r∘delay(h))·R_n + d_n)
//!        h = n + z∘(delay(h) − n)
//! ```
//!
//! Every sequence starts from zeros: `delay` has no source row there, so its claims give none a weight. With initial states,
//! constants of the model ([`recurrent_from`](super::recurrent_from)), the state before a row is a sum: `delay`, and a view of the constant that has
//! a source in the first row of every sequence and in no other.
//!
//! Soundness: for given inputs the relations determine `i, f, o, g, c, h` of step 0, then of step 1, and
//! so on, each requantisation having one solution. Formulas: Hochreiter and Schmidhuber 1997; Cho et al.
//! 2014; gate conventions of ONNX `LSTM` and `GRU`.

use serde::{Deserialize, Serialize};

use super::affine::Function;
use super::cell::{GruCell, LstmCell};
use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{RowMap, SourceAxis, View};

/// How an accumulator becomes a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// Bits dropped.
    pub shift: u32,
    /// σ.
    pub sigmoid: Function,
    /// tanh.
    pub tanh: Function,
    /// Where arguments may lie beyond the tables: low and high bits of
    /// [`fixed::activate_saturating`].
    pub saturate: Option<(u32, u32)>,
}

impl Gates {
    fn apply(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        acc: View,
        function: &Function,
    ) -> Result<TensorId, ModelError> {
        let acc = p.linear(&format!("{name} accumulator"), vec![(1, acc)], 0)?;
        let (shift, table) = (self.shift as usize, function.table());
        Ok(match self.saturate {
            None => fixed::activate(p, name, acc, shift, &table)?,
            Some((low, high)) => {
                fixed::activate_saturating(p, name, acc, shift, (low as usize, high as usize), &table)?
            }
        })
    }
}

/// Weights of a recurrent layer; gates stand at multiples of the padded hidden size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// Columns of the hidden state.
    pub hidden: u32,
    /// Input weights.
    pub w_input: Constant,
    /// Recurrent weights.
    pub w_hidden: Constant,
    /// Bias at the accumulator's scale.
    pub bias: Constant,
    /// Power of two that brings `x·W` to the accumulator's scale.
    pub input_shift: u32,
    /// Power of two that brings `h·R` to the accumulator's scale.
    pub hidden_shift: u32,
}

impl Recurrence {
    fn stride(&self) -> usize {
        (self.hidden as usize).next_power_of_two()
    }

    fn input_product(&self, p: &mut ProgramBuilder, name: &str, input: Value) -> Result<TensorId, ModelError> {
        let weight = self.w_input.declare(p, &format!("{name}/input weight"))?;
        Ok(p.contraction(&format!("{name}/input product"), p.whole(input.tensor), p.whole(weight))?)
    }

    /// `delay(state)·weight`.
    fn hidden_product(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        state: View,
        weight: TensorId,
    ) -> Result<TensorId, ModelError> {
        Ok(p.contraction(&format!("{name}/hidden product"), state, p.whole(weight))?)
    }
}

/// The state before every row: that of the row before, in the first row of a sequence the initial one.
fn previous(
    p: &mut ProgramBuilder,
    name: &str,
    state: TensorId,
    initial: Option<TensorId>,
    sequences: usize,
) -> Result<View, ProgramError> {
    let (rows, length) = (p.shape(state).0, p.shape(state).0 / sequences.max(1));
    let delayed = View::rows(state, RowMap::delay(sequences, length, 1));
    let Some(initial) = initial else { return Ok(delayed) };
    let first = SourceAxis { len: 1, offset: 0, out_strides: vec![0, 1], tap_strides: vec![0] };
    let map = RowMap { out: vec![sequences as u32, length as u32], taps: vec![1], source: vec![first] };
    let sum = p.linear(&format!("{name} before"), vec![(1, delayed), (1, View::rows(initial, map))], 0)?;
    Ok(View::whole(sum, rows))
}

/// Declares an initial state of a layer: a row of `hidden` numbers.
fn initial_state(
    p: &mut ProgramBuilder,
    name: &str,
    state: Option<&Constant>,
    hidden: u32,
) -> Result<Option<TensorId>, ModelError> {
    let Some(state) = state else { return Ok(None) };
    if [state.rows, state.cols] != [1, hidden] {
        return Err(ModelError::Shape {
            layer: name.to_owned(),
            expected: format!("an initial state of {hidden} numbers"),
            found: format!("{} x {}", state.rows, state.cols),
        });
    }
    state.declare(p, name).map(Some)
}

/// A quantized LSTM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lstm {
    /// Name.
    pub name: String,
    /// Weights; columns i, f, o, g.
    pub recurrence: Recurrence,
    /// From accumulators to gates.
    pub gates: Gates,
    /// tanh of the cell state.
    pub cell_tanh: Function,
    /// Fraction bits of gates and hidden state.
    pub gate_bits: u32,
    /// Fraction bits of the cell state; at most `gate_bits`.
    pub cell_bits: u32,
}

impl Layer for Lstm {
    layer_header!(gate_bits as i32);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        self.lower_from(p, inputs, [None; 2])
    }
}

impl Lstm {
    /// Lowers it for initial states, hidden and cell.
    pub(super) fn lower_from(
        &self,
        p: &mut ProgramBuilder,
        inputs: &[Value],
        initial: [Option<&Constant>; 2],
    ) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, net) = (&self.name, &self.recurrence);
        let (h, stride, sequences) = (net.hidden as usize, net.stride(), input.sequences);
        let rows = p.shape(input.tensor).0;
        let hidden_before = initial_state(p, &format!("{name}/initial state"), initial[0], net.hidden)?;
        let cell_before = initial_state(p, &format!("{name}/initial cell state"), initial[1], net.hidden)?;
        let xw = net.input_product(p, name, input)?;
        let weight = net.w_hidden.declare(p, &format!("{name}/hidden weight"))?;
        let bias = net.bias.declare(p, &format!("{name}/bias"))?;
        let cell = LstmCell::new(self, sequences);
        let state_bits = self.gate_bits.min(100) as usize + 2;
        let hinted: Vec<TensorId> = [xw, weight, bias].into_iter().chain(hidden_before).chain(cell_before).collect();
        let state = fixed::integer(
            p,
            &format!("{name}/hidden state"),
            (rows, h),
            state_bits,
            &hinted,
            Hint::whole(move |t| cell.run(t)),
        )?;
        let before = previous(p, &format!("{name}/hidden state"), state, hidden_before, sequences)?;
        let hr = net.hidden_product(p, name, before, weight)?;
        let terms = vec![
            (fixed::power(name, net.input_shift)?, p.whole(xw)),
            (fixed::power(name, net.hidden_shift)?, p.whole(hr)),
            (1, View::rows(bias, RowMap::broadcast(rows))),
        ];
        let acc = p.linear(&format!("{name}/accumulator"), terms, 0)?;
        let sigmoids = View::whole(acc, rows).cols(0, 2 * stride + h);
        let sigmoids = self.gates.apply(p, &format!("{name}/sigmoid gates"), sigmoids, &self.gates.sigmoid)?;
        let tanh = View::whole(acc, rows).cols(3 * stride, h);
        let tanh = self.gates.apply(p, &format!("{name}/tanh gate"), tanh, &self.gates.tanh)?;
        let gate = |k: usize| View::whole(sigmoids, rows).cols(k * stride, h);
        let cell_tanh = self.cell(p, [gate(0), gate(1)], (tanh, cell_before), sequences)?;
        // h is what its defining product is requantised to.
        let product = p.product(&format!("{name}/output product"), gate(2), p.whole(cell_tanh))?;
        fixed::pin_quotient(p, &format!("{name}/output"), product, state, self.gate_bits as usize)?;
        Ok(Value { tensor: state, sequences })
    }

    /// `tanh(c)` for `c = f∘delay(c) + i∘g`.
    fn cell(
        &self,
        p: &mut ProgramBuilder,
        [i, f]: [View; 2],
        (g, initial): (TensorId, Option<TensorId>),
        sequences: usize,
    ) -> Result<TensorId, ModelError> {
        let name = &self.name;
        let shape = p.shape(g);
        let ig = p.product(&format!("{name}/new memory"), i, p.whole(g))?;
        if self.cell_bits > self.gate_bits || self.gate_bits > 30 {
            return Err(ProgramError::TooLarge(format!("the state of `{name}`")).into());
        }
        let (align, shift) = (self.gate_bits - self.cell_bits, 2 * self.gate_bits - self.cell_bits);
        let table = self.cell_tanh.table();
        let (low, high) = table.column_range(0);
        let ViewOf { tensor: gates, offset } = ViewOf::new(&f);
        let length = shape.0 / sequences.max(1);
        let hint = LstmCell::memory(offset, length, align, shift);
        let bounds = (i128::from(low), i128::from(high));
        let hinted: Vec<TensorId> = [gates, ig].into_iter().chain(initial).collect();
        let c = p.witness(&format!("{name}/cell state"), shape, bounds, &hinted, Hint::whole(hint))?;
        let before = previous(p, &format!("{name}/cell state"), c, initial, sequences)?;
        let kept = p.product(&format!("{name}/kept memory"), f, before)?;
        let terms = vec![(1 << align, p.whole(kept)), (1, p.whole(ig))];
        let sum = p.linear(&format!("{name}/cell accumulator"), terms, 0)?;
        fixed::pin_quotient(p, &format!("{name}/cell"), sum, c, shift as usize)?;
        Ok(fixed::lookup(p, &format!("{name}/cell tanh"), c, &table)?)
    }
}

/// Tensor and first column of a view of columns.
struct ViewOf {
    tensor: TensorId,
    offset: usize,
}

impl ViewOf {
    fn new(view: &View) -> Self {
        let offset = match view.cols {
            crate::gkr::view::ColMap::Slice { offset, .. } => offset as usize,
            _ => 0,
        };
        Self { tensor: view.tensor, offset }
    }
}

/// A quantized GRU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gru {
    /// Name.
    pub name: String,
    /// Weights; columns z, r, and for the input n. `w_hidden` and its share of `bias` are those of z and r.
    pub recurrence: Recurrence,
    /// Recurrent weights of n.
    pub w_candidate: Constant,
    /// Recurrent bias of n, at the scale of `h·R`.
    pub candidate_bias: Constant,
    /// Whether the reset gate acts after the recurrent product.
    pub linear_before_reset: bool,
    /// From accumulators to z and r, and to n.
    pub gates: Gates,
    /// Bits that the accumulator of n drops.
    pub candidate_shift: u32,
    /// Fraction bits of gates and hidden state.
    pub gate_bits: u32,
}

impl Layer for Gru {
    layer_header!(gate_bits as i32);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        self.lower_from(p, inputs, None)
    }
}

impl Gru {
    /// Lowers it for an initial state.
    pub(super) fn lower_from(
        &self,
        p: &mut ProgramBuilder,
        inputs: &[Value],
        initial: Option<&Constant>,
    ) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, net) = (&self.name, &self.recurrence);
        let (h, stride, sequences) = (net.hidden as usize, net.stride(), input.sequences);
        let rows = p.shape(input.tensor).0;
        let initial = initial_state(p, &format!("{name}/initial state"), initial, net.hidden)?;
        let bits = self.gate_bits.min(100) as usize;
        let xw = net.input_product(p, name, input)?;
        let weight = net.w_hidden.declare(p, &format!("{name}/hidden weight"))?;
        let bias = net.bias.declare(p, &format!("{name}/bias"))?;
        let w_candidate = self.w_candidate.declare(p, &format!("{name}/candidate weight"))?;
        let d = self.candidate_bias.declare(p, &format!("{name}/candidate bias"))?;
        let cell = GruCell::new(self, sequences);
        let hinted: Vec<TensorId> = [xw, weight, bias, w_candidate, d].into_iter().chain(initial).collect();
        let state = fixed::integer(
            p,
            &format!("{name}/hidden state"),
            (rows, h),
            bits + 2,
            &hinted,
            Hint::whole(move |t| cell.run(t)),
        )?;
        let before = previous(p, &format!("{name}/hidden state"), state, initial, sequences)?;
        let hr = net.hidden_product(p, name, before.clone(), weight)?;
        let gate_cols = stride + h;
        let terms = vec![
            (fixed::power(name, net.input_shift)?, View::whole(xw, rows).cols(0, gate_cols)),
            (fixed::power(name, net.hidden_shift)?, p.whole(hr)),
            (1, View::rows(bias, RowMap::broadcast(rows)).cols(0, gate_cols)),
        ];
        let acc = p.linear(&format!("{name}/accumulator"), terms, 0)?;
        let acc = p.whole(acc);
        let gates = self.gates.apply(p, &format!("{name}/sigmoid gates"), acc, &self.gates.sigmoid)?;
        let [z, r] = [0, stride].map(|offset| View::whole(gates, rows).cols(offset, h));
        let n = self.candidate(p, [xw, bias, w_candidate, d], r, before.clone(), (rows, h))?;
        // h = n + z∘(h' − n), requantised.
        let change = p.linear(&format!("{name}/change"), vec![(1, before), (-1, p.whole(n))], 0)?;
        let kept = p.product(&format!("{name}/kept"), z, p.whole(change))?;
        let terms = vec![(fixed::power(name, self.gate_bits)?, p.whole(n)), (1, p.whole(kept))];
        let sum = p.linear(&format!("{name}/output accumulator"), terms, 0)?;
        fixed::pin_quotient(p, &format!("{name}/output"), sum, state, bits)?;
        Ok(Value { tensor: state, sequences })
    }

    /// The candidate state `n`.
    fn candidate(
        &self,
        p: &mut ProgramBuilder,
        [xw, bias, weight, d]: [TensorId; 4],
        r: View,
        previous: View,
        (rows, h): (usize, usize),
    ) -> Result<TensorId, ModelError> {
        let (name, net) = (&self.name, &self.recurrence);
        let offset = 2 * net.stride();
        let d = View::rows(d, RowMap::broadcast(rows));
        let from_input = View::whole(xw, rows).cols(offset, h);
        let bias = View::rows(bias, RowMap::broadcast(rows)).cols(offset, h);
        let terms = if self.linear_before_reset {
            let product = p.contraction(&format!("{name}/candidate product"), previous, p.whole(weight))?;
            let recurrent = p.linear(&format!("{name}/candidate recurrent"), vec![(1, p.whole(product)), (1, d)], 0)?;
            let reset = p.product(&format!("{name}/reset"), r, p.whole(recurrent))?;
            // r∘(…) has the gate's fraction bits on top.
            let up = self.gate_bits;
            vec![(1 << (net.input_shift + up), from_input), (1 << up, bias), (1 << net.hidden_shift, p.whole(reset))]
        } else {
            let reset = p.product(&format!("{name}/reset product"), r, previous)?;
            let bits = self.gate_bits as usize;
            let reset = fixed::requantize(p, &format!("{name}/reset"), reset, bits, bits + 2)?;
            let product = p.contraction(&format!("{name}/candidate product"), p.whole(reset), p.whole(weight))?;
            vec![
                (fixed::power(name, net.input_shift)?, from_input),
                (1, bias),
                (fixed::power(name, net.hidden_shift)?, p.whole(product)),
                (fixed::power(name, net.hidden_shift)?, d),
            ]
        };
        let acc = p.linear(&format!("{name}/candidate accumulator"), terms, 0)?;
        let gates = Gates { shift: self.candidate_shift, ..self.gates.clone() };
        let acc = p.whole(acc);
        gates.apply(p, &format!("{name}/candidate"), acc, &self.gates.tanh)
    }
}
