//! Layer normalisation: every row less its mean, divided by its standard deviation.
//!
//! With `S = Σ_c x` and `Q = Σ_c x²` over the `C` columns of a row, whose integers stand for multiples of `2^−f`:
//!
//! ```text
//! M = ⌊2^g·S / C + 1/2⌋                             the mean, 2^g times finer than x
//! W = C·Q − S² + ε'                                  C²·(variance + ε) in squared units of x, at least ε' ≥ 1
//! r = ⌊2^k·C / √W⌋,  k = f_y + s − g                 r²·W ≤ 2^(2k)·C² < (r + 1)²·W and r ≥ 0
//! y = ⌊(2^g·x − M)·r / 2^s + 1/2⌋                    2^f_y·(x − mean) / √(variance + ε)
//! ```
//!
//! Each is the only integer that its relations admit: `0 ≤ 2^g·S + ⌊C/2⌋ − C·M < C` has one solution, `(r + 1)²·W` is
//! strictly above `r²·W` because `W > 0` (`C·Q ≥ S²` by Cauchy and Schwarz), and `y` is a rounded quotient. All but
//! `y` have one entry a row, so they cost next to nothing. Factor and offset of the columns belong in the weights
//! that follow.
//!
//! Sums run over the real columns only: beyond them `x` is zero, as is the constant of ones.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::matrix::FloatMatrix;
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::View;

/// Layer normalisation without factor and offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Name.
    pub name: String,
    /// A column of ones, as many as the input has columns.
    pub ones: Constant,
    /// `ε' = C²·2^(2f)·ε`, at least 1.
    pub epsilon: u64,
    /// `g`: how much finer than the input the mean is.
    pub guard_bits: u32,
    /// `s`: bits that the product with the reciprocal deviation drops.
    pub shift: u32,
    /// Bits of the output.
    pub bits: u32,
    /// `f_y`: fraction bits of the output.
    pub fraction_bits: i32,
}

/// Sum and `W` of every row.
struct Moments {
    sum: TensorId,
    variance: TensorId,
}

impl LayerNorm {
    /// `ε'` for rows of `columns` integers with `fraction_bits` fraction bits.
    #[must_use]
    pub fn epsilon(epsilon: f64, columns: usize, fraction_bits: i32) -> u64 {
        let unit = f64::from(fraction_bits).exp2() * columns as f64;
        ((epsilon * unit * unit).round() as u64).max(1)
    }

    /// The same in floats.
    #[must_use]
    pub fn float(x: &FloatMatrix, epsilon: f64) -> FloatMatrix {
        let mut out = x.clone();
        for row in out.data.chunks_exact_mut(x.cols.max(1)) {
            let len = row.len() as f64;
            let mean = row.iter().sum::<f64>() / len;
            let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / len;
            row.iter_mut().for_each(|v| *v = (*v - mean) / (variance + epsilon).sqrt());
        }
        out
    }

    /// `2^k·C`, whose square the trace can hold.
    fn scale(&self, columns: usize) -> Result<i128, ModelError> {
        let k = i64::from(self.fraction_bits) + i64::from(self.shift) - i64::from(self.guard_bits);
        let scale = u32::try_from(k).ok().filter(|&k| k <= 40).map(|k| (columns as i128) << k);
        scale.filter(|scale| scale.ilog2() < 58).ok_or_else(|| ModelError::Shape {
            layer: self.name.clone(),
            expected: "0 to 40 bits of a reciprocal deviation, less with more than 2^18 columns".into(),
            found: format!("{k} bits with {columns} columns"),
        })
    }

    fn moments(&self, p: &mut ProgramBuilder, x: TensorId) -> Result<Moments, ModelError> {
        let (name, columns) = (&self.name, p.shape(x).1);
        let ones = self.ones.declare(p, &format!("{name}/ones"))?;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let energy = p.contraction(&format!("{name}/energy"), p.whole(squares), p.whole(ones))?;
        let exact = p.contraction(&format!("{name}/exact sum"), p.whole(x), p.whole(ones))?;
        let sum = fixed::commit(p, &format!("{name}/sum"), exact)?;
        let sum_squared = p.product(&format!("{name}/squared sum"), p.whole(sum), p.whole(sum))?;
        let terms = vec![(columns as i128, p.whole(energy)), (-1, p.whole(sum_squared))];
        let exact = p.linear(&format!("{name}/exact variance"), terms, self.epsilon.max(1).into())?;
        Ok(Moments { sum, variance: fixed::commit(p, &format!("{name}/variance"), exact)? })
    }

    /// `M`.
    fn mean(&self, p: &mut ProgramBuilder, sum: TensorId, columns: usize) -> Result<TensorId, ModelError> {
        let name = format!("{}/mean", self.name);
        let (fine, columns) = (fixed::power(&name, self.guard_bits)?, columns as i128);
        let terms = vec![(fine, p.whole(sum))];
        let numerator = p.linear(&format!("{name}: numerator"), terms, columns / 2)?;
        let bits = fixed::bits_of(p, numerator) + 1;
        let mean = fixed::integer(
            p,
            &name,
            p.shape(sum),
            bits,
            &[numerator],
            Hint::entrywise(move |v| v.div_euclid(columns)),
        )?;
        let terms = vec![(1, p.whole(numerator)), (-columns, p.whole(mean))];
        let remainder = p.linear(&format!("{name}: remainder"), terms, 0)?;
        between(p, &name, remainder, columns)?;
        Ok(mean)
    }

    /// `r`.
    fn reciprocal(&self, p: &mut ProgramBuilder, variance: TensorId, scale: i128) -> Result<TensorId, ModelError> {
        let name = format!("{}/reciprocal deviation", self.name);
        let epsilon = u128::from(self.epsilon.max(1));
        let square = scale * scale;
        let bits = (square as u128 / epsilon).isqrt().checked_ilog2().map_or(1, |bits| bits as usize + 1);
        let r = fixed::natural(
            p,
            &name,
            p.shape(variance),
            bits,
            &[variance],
            Hint::try_entrywise(move |v| {
                let quotient = u128::try_from(v).ok().and_then(|v| (square as u128).checked_div(v));
                quotient.map(|quotient| quotient.isqrt() as i128).ok_or_else(|| "no positive variance".to_owned())
            }),
        )?;
        let once = p.product(&format!("{name}: times variance"), p.whole(r), p.whole(variance))?;
        let twice = p.product(&format!("{name}: squared times variance"), p.whole(r), p.whole(once))?;
        let below = p.linear(&format!("{name}: below"), vec![(-1, p.whole(twice))], square)?;
        let bits = square.ilog2() as usize + 1;
        fixed::range(p, &format!("{name}: below"), below, bits)?;
        let terms = vec![(1, p.whole(twice)), (2, p.whole(once)), (1, p.whole(variance))];
        let above = p.linear(&format!("{name}: above"), terms, -square - 1)?;
        // (r + 1)²·W − 2^(2k)·C² ≤ 2·r·W + W ≤ 2^(k+1)·C·√W + W.
        let variance_bits = fixed::bits_of(p, variance);
        let bits = (scale.ilog2() as usize + 2 + variance_bits.div_ceil(2)).max(variance_bits) + 1;
        fixed::range(p, &format!("{name}: above"), above, bits)?;
        Ok(r)
    }
}

/// Shows `0 ≤ x < bound`.
fn between(p: &mut ProgramBuilder, name: &str, x: TensorId, bound: i128) -> Result<(), ProgramError> {
    let bits = bound.ilog2() as usize + 1;
    fixed::range(p, name, x, bits)?;
    let rest = p.linear(&format!("{name}: rest"), vec![(-1, p.whole(x))], bound - 1)?;
    fixed::range(p, &format!("{name}: rest"), rest, bits)
}

impl Layer for LayerNorm {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, x) = (&self.name, input.tensor);
        let (rows, columns) = p.shape(x);
        let scale = self.scale(columns)?;
        let Moments { sum, variance } = self.moments(p, x)?;
        let mean = self.mean(p, sum, columns)?;
        let reciprocal = self.reciprocal(p, variance, scale)?;
        let broadcast = |id: TensorId| View::whole(id, rows).broadcast_cols(columns);
        let terms = vec![(fixed::power(name, self.guard_bits)?, p.whole(x)), (-1, broadcast(mean))];
        let centred = p.linear(&format!("{name}/centred"), terms, 0)?;
        let product = p.product(&format!("{name}/product"), p.whole(centred), broadcast(reciprocal))?;
        let (shift, bits) = (self.shift as usize, self.bits as usize);
        let tensor = fixed::requantize(p, &format!("{name}/output"), product, shift, bits)?;
        Ok(Value { tensor, ..input })
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

    const INPUT_FRACTION: i32 = 8;

    /// The layer on `rows` rows of 16-bit integers; its trace is checked.
    fn run(layer: &LayerNorm, ones: Vec<IntTable>, rows: usize, x: &[i128]) -> Result<Vec<i128>, TraceError> {
        let mut p = ProgramBuilder::new(16);
        let cols = x.len() / rows;
        let input = p.input("x", (rows, cols), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = layer.lower(&mut p, &[Value { tensor: input, sequences: 1 }]).unwrap().tensor;
        p.output(output);
        let (program, recipes) = p.finish().unwrap();
        let table = Arc::new(IntTable::new(rows, cols, IntVec::I128(x.to_vec())));
        let ones: Vec<_> = ones.into_iter().map(Arc::new).collect();
        let trace = Trace::run(&program, &recipes, &[table], &ones)?;
        trace.check(&program)?;
        Ok(trace.get(output).values().iter().collect())
    }

    fn layer(cols: usize, epsilon: f64, guard_bits: u32) -> (LayerNorm, Vec<IntTable>) {
        let mut constants = Constants::default();
        let ones = constants.add(&FloatMatrix::from_fn(cols, 1, |_, _| 1.0), 0);
        let epsilon = LayerNorm::epsilon(epsilon, cols, INPUT_FRACTION);
        let layer = LayerNorm { name: "norm".into(), ones, epsilon, guard_bits, shift: 16, bits: 16, fraction_bits: 9 };
        (layer, constants.into_tables())
    }

    /// What the layer's doc says of one row.
    fn by_definition(layer: &LayerNorm, row: &[i128]) -> Vec<i128> {
        let (c, g) = (row.len() as i128, layer.guard_bits);
        let (s, q): (i128, i128) = (row.iter().sum(), row.iter().map(|v| v * v).sum());
        let mean = ((s << g) + c / 2).div_euclid(c);
        let w = c * q - s * s + i128::from(layer.epsilon);
        let scale = c << (layer.fraction_bits as u32 + layer.shift - g);
        let r = ((scale * scale / w) as u128).isqrt() as i128;
        row.iter().map(|x| (((x << g) - mean) * r + (1 << (layer.shift - 1))) >> layer.shift).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn rows_are_normalised(
            x in prop::collection::vec(-32768i128..32768, 1..40), cols in 1usize..8, guard in 0u32..4, flat: bool,
        ) {
            let cols = cols.min(x.len());
            let rows = x.len() / cols;
            // A flat row has no deviation but epsilon's.
            let x: Vec<i128> = x[..rows * cols].iter().map(|&v| if flat { x[0] } else { v }).collect();
            let (layer, ones) = layer(cols, 1e-2, guard);
            let expected: Vec<i128> = x.chunks(cols).flat_map(|row| by_definition(&layer, row)).collect();
            prop_assert_eq!(run(&layer, ones, rows, &x), Ok(expected));
        }
    }

    #[test]
    fn it_is_close_to_float() {
        let x = FloatMatrix::from_fn(5, 37, |r, c| ((r * 31 + c * 17 + 5) as f64 * 0.7).sin() * 20.0 + r as f64);
        let rounded: Vec<i128> = x.data.iter().map(|v| (v * 256.0).round() as i128).collect();
        let (layer, ones) = layer(37, 1e-5, 1);
        let found = run(&layer, ones, 5, &rounded).unwrap();
        for (found, exact) in found.iter().zip(LayerNorm::float(&x, 1e-5).data) {
            assert!((*found as f64 / 512.0 - exact).abs() < 5e-3, "{exact}: {found}");
        }
    }

    #[test]
    fn settings_that_no_importer_makes_are_refused() {
        for (fraction_bits, shift, guard_bits) in [(30, 16, 0), (i32::MAX, u32::MAX, 0), (5, 1, 7)] {
            let (layer, _) = layer(3, 1e-5, 0);
            let layer = LayerNorm { fraction_bits, shift, guard_bits, ..layer };
            let mut p = ProgramBuilder::new(16);
            let x = p.input("x", (2, 3), -32768, 32767).unwrap();
            let error = layer.lower(&mut p, &[Value { tensor: x, sequences: 1 }]).unwrap_err();
            assert!(error.to_string().contains("norm"), "{error}");
        }
    }
}
