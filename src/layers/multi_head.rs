//! Attention of several heads.
//!
//! ```text
//! S_h = Q_h·K_hᵀ                        contractions of slices of columns
//! E, ρ                                  exponentials and reciprocals of their sums, all heads below one another
//! c_h[t] = ⌊ρ[h, t]·Σ_j E_h[t, j]·V_h[j] / 2^s + 1/2⌋
//! ```
//!
//! Scores are divided by the root of the width in the quotient of [`Softmax`], or in the weights before. Only the
//! sums of values are divided, not every weight. A causal mask leaves the scores of `t` with `j ≤ t`: masked
//! exponentials are zero, whatever the scores.
//!
//! The heads of the output stand below one another: [`heads`] is the view that a dense layer contracts with all of
//! them at once. Everything but the softmax is linear or a rounded quotient, hence unique.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::matrix::FloatMatrix;
use super::softmax::{Softmax, Weights};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, SourceAxis, View};

/// Attention on queries, keys and values that stand beside one another, each of [`MultiHeadAttention::columns`] columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiHeadAttention {
    /// Name.
    pub name: String,
    /// Number of heads.
    pub heads: u32,
    /// Columns of a head.
    pub width: u32,
    /// Exponentials of scores.
    pub softmax: Softmax,
    /// A column of ones, at least as many as rows.
    pub ones: Constant,
    /// Ones on and below the diagonal, zeros above it, for at least as many rows and columns as the input has rows.
    pub mask: Option<Constant>,
    /// Bits that sums of values times reciprocals drop.
    pub shift: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

/// Rows of `heads` heads of `length` rows, below one another, as taps of a contraction.
#[must_use]
pub fn heads(heads: usize, length: usize) -> RowMap {
    RowMap::strided(heads * length, length, heads, 1, length as i64, 0)
}

impl MultiHeadAttention {
    /// From one head to the next: a power of two, since slices of columns are aligned.
    #[must_use]
    pub fn stride(&self) -> usize {
        (self.width.min(1 << 20) as usize).next_power_of_two()
    }

    /// Columns of the queries, keys or values of all heads.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.heads.min(1 << 12) as usize * self.stride()
    }

    /// The weights on and below the diagonal.
    #[must_use]
    pub fn causal_mask(length: usize) -> FloatMatrix {
        FloatMatrix::from_fn(length, length, |t, j| f64::from(u8::from(j <= t)))
    }

    /// The same in floats, for queries, keys and values of `heads` heads beside one another without gaps; the heads of
    /// the output stand beside one another, too.
    #[must_use]
    pub fn float([q, k, v]: [&FloatMatrix; 3], heads: usize, causal: bool) -> FloatMatrix {
        let (length, width) = (q.rows, q.cols / heads.max(1));
        let mut out = FloatMatrix::zeros(length, v.cols);
        for (h, t) in (0..heads).flat_map(|h| (0..length).map(move |t| (h, t))) {
            let part = |m: &FloatMatrix, row: usize| m.row(row)[h * width..(h + 1) * width].to_vec();
            let query = part(q, t);
            let seen = if causal { t + 1 } else { length };
            let dot = |j| query.iter().zip(part(k, j)).map(|(a, b)| a * b).sum::<f64>() / (width as f64).sqrt();
            let scores: Vec<f64> = (0..seen).map(dot).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for (j, weight) in weights.iter().enumerate() {
                let out = &mut out.row_mut(t)[h * width..(h + 1) * width];
                out.iter_mut().zip(part(v, j)).for_each(|(out, v)| *out += weight / sum * v);
            }
        }
        out
    }

    fn refuse(&self, expected: String, found: String) -> ModelError {
        ModelError::Shape { layer: self.name.clone(), expected, found }
    }

    /// The first of `length` rows of a constant, for every head.
    fn for_every_head(&self, constant: TensorId, rows: u32, length: usize) -> View {
        let source = SourceAxis { len: rows, offset: 0, out_strides: vec![0, 1], tap_strides: vec![0] };
        View::rows(constant, RowMap { out: vec![self.heads, length as u32], taps: vec![1], source: vec![source] })
    }

    /// Tensors of one shape for every head, below one another.
    fn stack(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        parts: &[TensorId],
        length: usize,
    ) -> Result<TensorId, ModelError> {
        let place = |(h, &part): (usize, &TensorId)| {
            (1, View::rows(part, RowMap::slice(length, -((h * length) as i64), parts.len() * length)))
        };
        Ok(p.linear(&format!("{}/{name}", self.name), parts.iter().enumerate().map(place).collect(), 0)?)
    }
}

impl Layer for MultiHeadAttention {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, x) = (&self.name, input.tensor);
        let (length, cols) = p.shape(x);
        let (heads, width) = (self.columns() / self.stride(), self.width as usize);
        if input.sequences != 1 || heads == 0 || width == 0 || cols != 3 * self.columns() {
            let expected = format!("one sequence of {} columns", 3 * self.columns());
            return Err(self.refuse(expected, format!("{} of {cols}", input.sequences)));
        }
        let constants = self.mask.iter().flat_map(|mask| [mask.rows, mask.cols]).chain([self.ones.rows]);
        if let Some(shortest) = constants.min().filter(|&rows| (rows as usize) < length) {
            return Err(self.refuse(format!("at most {shortest} rows"), format!("{length} rows")));
        }
        let slice = |p: &ProgramBuilder, part: usize, head: usize| {
            p.whole(x).cols(part * self.columns() + head * self.stride(), width)
        };
        let mut scores = Vec::with_capacity(heads);
        for head in 0..heads {
            let (q, k) = (slice(p, 0, head), slice(p, 1, head));
            scores.push(p.contraction_transposed(&format!("{name}/scores of head {head}"), q, k)?);
        }
        let scores = self.stack(p, "scores", &scores, length)?;
        let mask = match &self.mask {
            Some(mask) => {
                let id = mask.declare(p, &format!("{name}/mask"))?;
                let view = self.for_every_head(id, mask.rows, length);
                Some(if mask.cols as usize == length { view } else { view.cols(0, length) })
            }
            None => None,
        };
        let ones = self.ones.declare(p, &format!("{name}/ones"))?;
        let ones = View::rows(ones, RowMap::slice(self.ones.rows as usize, 0, length));
        let Weights { exponentials, reciprocals } = self.softmax.lower(p, name, scores, mask.as_ref(), &ones)?;
        let mut sums = Vec::with_capacity(heads);
        for head in 0..heads {
            let rows = RowMap::slice(heads * length, (head * length) as i64, length);
            let (weights, values) = (View::rows(exponentials, rows), slice(p, 2, head));
            sums.push(p.contraction(&format!("{name}/sums of head {head}"), weights, values)?);
        }
        let sums = self.stack(p, "sums", &sums, length)?;
        let reciprocals = View::whole(reciprocals, heads * length).broadcast_cols(width);
        let product = p.product(&format!("{name}/product"), p.whole(sums), reciprocals)?;
        let (shift, bits) = (self.shift as usize, self.bits as usize);
        let tensor = fixed::requantize(p, &format!("{name}/output"), product, shift, bits)?;
        Ok(Value { tensor, sequences: heads })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::{Trace, TraceError};
    use crate::layers::quantize::Constants;
    use crate::sumcheck::int::{IntTable, IntVec};

    const FRACTION_BITS: i32 = 6;
    const STEP_BITS: i32 = 6;

    fn layer(heads: u32, width: u32, length: usize, causal: bool) -> (MultiHeadAttention, Vec<IntTable>) {
        let mut constants = Constants::default();
        let ones = constants.add(&FloatMatrix::from_fn(length, 1, |_, _| 1.0), 0);
        let mask = causal.then(|| constants.add(&MultiHeadAttention::causal_mask(length), 0));
        // Without a factor for the width: it is that of one column.
        let softmax = Softmax::new((2 * FRACTION_BITS - STEP_BITS) as u32, 12, STEP_BITS, 10, 22);
        let name = "attention".into();
        let (shift, bits, fraction_bits) = (16, 16, FRACTION_BITS + 22 - 16);
        (
            MultiHeadAttention { name, heads, width, softmax, ones, mask, shift, bits, fraction_bits },
            constants.into_tables(),
        )
    }

    fn run(
        layer: &MultiHeadAttention,
        constants: Vec<IntTable>,
        length: usize,
        x: &[i128],
    ) -> Result<Vec<i128>, TraceError> {
        let mut p = ProgramBuilder::new(16);
        let input = p.input("x", (length, 3 * layer.columns()), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = layer.lower(&mut p, &[Value { tensor: input, sequences: 1 }]).unwrap();
        assert_eq!(output.sequences, layer.heads as usize);
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let table = Arc::new(IntTable::new(length, 3 * layer.columns(), IntVec::I128(x.to_vec())));
        let constants: Vec<_> = constants.into_iter().map(Arc::new).collect();
        let trace = Trace::run(&program, &recipes, &[table], &constants)?;
        trace.check(&program)?;
        Ok(trace.get(output.tensor).values().iter().collect())
    }

    /// What the docs of attention and softmax say.
    fn by_definition(layer: &MultiHeadAttention, length: usize, x: &[i128]) -> Vec<i128> {
        let (columns, width, softmax) = (layer.columns(), layer.width as usize, &layer.softmax);
        let round = |v: i128, shift: u32| (v + (1 << (shift - 1))) >> shift;
        let mut out = Vec::new();
        for (h, t) in (0..layer.heads as usize).flat_map(|h| (0..length).map(move |t| (h, t))) {
            let at = |part: usize, row: usize, c: usize| x[row * 3 * columns + part * columns + h * layer.stride() + c];
            let seen = if layer.mask.is_some() { t + 1 } else { length };
            let score = |j: usize| round((0..width).map(|c| at(0, t, c) * at(1, j, c)).sum(), softmax.shift);
            let scores: Vec<i128> = (0..seen).map(score).collect();
            let largest = scores.iter().max().unwrap();
            let weights: Vec<i128> =
                scores.iter().map(|s| softmax.exponentials[(largest - s) as usize].into()).collect();
            let sum: i128 = weights.iter().sum();
            let reciprocal = ((1 << (softmax.reciprocal_bits + 1)) + sum) / (2 * sum);
            for c in 0..width {
                let values: i128 = weights.iter().enumerate().map(|(j, w)| w * at(2, j, c)).sum();
                out.push(round(values * reciprocal, layer.shift));
            }
        }
        out
    }

    fn values(count: usize, seed: u64, bits: u32) -> Vec<i128> {
        let value = |i: usize| ((seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as i16 >> (16 - bits);
        (0..count).map(|i| value(i).into()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn heads_of_odd_sizes_follow_the_definition(
            heads in 1u32..4, width in 1u32..6, length in 1usize..20, causal: bool, seed: u64, bits in 1u32..8,
        ) {
            let (layer, constants) = layer(heads, width, length, causal);
            let x = values(length * 3 * layer.columns(), seed, bits);
            let expected = by_definition(&layer, length, &x);
            prop_assert_eq!(run(&layer, constants, length, &x), Ok(expected));
        }
    }

    #[test]
    fn it_is_close_to_float() {
        for causal in [false, true] {
            let (heads, length) = (2, 13);
            let (layer, constants) = layer(heads, 1, length, causal);
            let x = values(length * 6, 7, 8);
            let found = run(&layer, constants, length, &x).unwrap();
            let part = |at: usize| FloatMatrix::from_fn(length, 2, |r, c| x[r * 6 + at * 2 + c] as f64 / 64.0);
            let exact = MultiHeadAttention::float([&part(0), &part(1), &part(2)], 2, causal);
            let unit = f64::from(layer.fraction_bits).exp2();
            for (h, t) in (0..2).flat_map(|h| (0..length).map(move |t| (h, t))) {
                let (found, exact) = (found[h * length + t] as f64 / unit, exact.row(t)[h]);
                assert!((found - exact).abs() < 1e-2, "{exact}: {found}");
            }
        }
    }

    #[test]
    fn scores_too_far_apart_and_shapes_that_do_not_fit_are_refused() {
        let (layer, constants) = layer(1, 1, 2, false);
        assert!(matches!(
            run(&layer, constants, 2, &[32767, 32767, 0, -32768, -32768, 0]),
            Err(TraceError::Hint { .. } | TraceError::OutOfRange { .. })
        ));
        let mut p = ProgramBuilder::new(16);
        for (rows, cols) in [(3, 3), (2, 4)] {
            let x = p.input("x", (rows, cols), -32768, 32767).unwrap();
            let error = layer.lower(&mut p, &[Value { tensor: x, sequences: 1 }]).unwrap_err();
            assert!(error.to_string().contains("attention"), "{error}");
        }
        let mut broken = layer.clone();
        broken.softmax.exponentials.pop();
        let x = p.input("x", (2, 3), -32768, 32767).unwrap();
        assert!(broken.lower(&mut p, &[Value { tensor: x, sequences: 1 }]).is_err());
    }
}
