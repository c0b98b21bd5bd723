//! Pooling over time of images whose rows are `(time, inner)`: mean and deviation, one row for each inner index.
//!
//! With `S₁ = Σ_t x`, `S₂ = Σ_t x²` over the `T` steps of an inner index, which are views and exact, and a public
//! `n = T²`, or `n = T·(T − 1)` for the deviation of a sample:
//!
//! ```text
//! mean       ⌊2^g·S₁·round(2^30 / T) / 2^30 + 1/2⌋
//! V          2^(2g)·(T·S₂ − S₁²)
//! deviation  ⌊⌊√(max(V, n·θ) + n·ε)⌋·⌊2^30 / √n⌋ / 2^30 + 1/2⌋
//! ```
//!
//! Every step has one solution: sums are virtual, the root and the maximum are those of [`fixed`], quotients are
//! rounded. Sums run over real rows, and columns beyond the real ones are in no lookup.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::pooling::{RECIPROCAL_BITS, clipped_root, divide_by_rows, one_sequence};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, SourceAxis, View};

/// Most rows of one step of time.
const MAX_INNER: u32 = 1 << 16;

/// The sums over time of the rows of a tensor, and the number of steps.
fn steps(p: &ProgramBuilder, name: &str, x: TensorId, inner: u32) -> Result<(RowMap, usize), ModelError> {
    let (rows, width) = (p.shape(x).0, inner as usize);
    let count = rows.checked_div(width).filter(|count| count * width == rows && *count > 0 && inner <= MAX_INNER);
    let count = count.ok_or_else(|| ModelError::Shape {
        layer: name.to_owned(),
        expected: format!("steps of {inner} rows"),
        found: format!("{rows} rows"),
    })?;
    let axis = |len: usize, out: i64, tap: i64| SourceAxis {
        len: len as u32,
        offset: 0,
        out_strides: vec![out],
        tap_strides: vec![tap],
    };
    let map = RowMap { out: vec![inner], taps: vec![count as u32], source: vec![axis(count, 0, 1), axis(width, 1, 0)] };
    Ok((map, count))
}

/// Mean over time, `2^guard_bits` times finer than the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridMean {
    /// Name.
    pub name: String,
    /// Rows of one step of time.
    pub inner: u32,
    /// `g`.
    pub guard_bits: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for GridMean {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        one_sequence(name, input)?;
        let (map, count) = steps(p, name, input.tensor, self.inner)?;
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(input.tensor, map))], 0)?;
        let shift = -i64::from(self.guard_bits);
        let tensor = divide_by_rows(p, &format!("{name}/output"), sum, count, shift, self.bits)?;
        Ok(Value { tensor, ..input })
    }
}

/// Standard deviation over time, `2^guard_bits` times finer than the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridDeviation {
    /// Name.
    pub name: String,
    /// Rows of one step of time.
    pub inner: u32,
    /// Whether the variance is that of a sample.
    pub unbiased: bool,
    /// `2^(2g)·θ`, one a column, in squared units of the input.
    pub min_variance: Constant,
    /// `2^(2g)·ε`, one a column, in squared units of the input.
    pub epsilon: Constant,
    /// `g`.
    pub guard_bits: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for GridDeviation {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        one_sequence(name, input)?;
        let x = input.tensor;
        let (map, count) = steps(p, name, x, self.inner)?;
        let count = count as i128;
        let number = if self.unbiased { count * (count - 1) } else { count * count };
        if number == 0 {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: "at least two steps of time".into(),
                found: "one".into(),
            });
        }
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(x, map.clone()))], 0)?;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let sum_squared = p.product(&format!("{name}/squared sum"), p.whole(sum), p.whole(sum))?;
        let scale = fixed::power(name, self.guard_bits.saturating_mul(2))?;
        let epsilon = self.epsilon.declare(p, &format!("{name}/epsilon"))?;
        let every_row = |id: TensorId| View::rows(id, RowMap::broadcast(self.inner as usize));
        let terms = vec![
            (scale * count, View::rows(squares, map)),
            (-scale, p.whole(sum_squared)),
            (number, every_row(epsilon)),
        ];
        let exact = p.linear(&format!("{name}/exact variance"), terms, 0)?;
        let floor = self.min_variance.declare(p, &format!("{name}/smallest variance"))?;
        let terms = vec![(number, every_row(floor)), (number, every_row(epsilon))];
        let floor = p.linear(&format!("{name}/floor"), terms, 0)?;
        let root = clipped_root(p, name, exact, floor)?;
        let reciprocal = ((1u128 << (2 * RECIPROCAL_BITS)) / number.unsigned_abs()).isqrt() as i128;
        let scaled = p.linear(&format!("{name}/scaled"), vec![(reciprocal, p.whole(root))], 0)?;
        let (shift, bits) = (RECIPROCAL_BITS as usize, self.bits as usize);
        let tensor = fixed::requantize(p, &format!("{name}/output"), scaled, shift, bits)?;
        Ok(Value { tensor, ..input })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::layers::matrix::FloatMatrix;
    use crate::layers::quantize::Constants;
    use crate::sumcheck::int::{IntTable, IntVec};

    /// The layer on rows of `cols` 16-bit integers; its trace is checked.
    fn run(layer: &dyn Layer, weights: Constants, cols: usize, x: &[i128]) -> Result<Vec<i128>, ModelError> {
        let mut p = ProgramBuilder::new(16);
        let input = p.input("x", (x.len() / cols, cols), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = layer.lower(&mut p, &[Value { tensor: input, sequences: 1 }])?;
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let constants: Vec<_> = weights.into_tables().into_iter().map(Arc::new).collect();
        let input = Arc::new(IntTable::new(x.len() / cols, cols, IntVec::I128(x.to_vec())));
        let trace = Trace::run(&program, &recipes, &[input], &constants).unwrap();
        trace.check(&program).unwrap();
        Ok(trace.get(output.tensor).values().iter().collect())
    }

    fn deviation(inner: u32, cols: usize, unbiased: bool, weights: &mut Constants) -> GridDeviation {
        let mut row = |value: f64| weights.add(&FloatMatrix::from_fn(1, cols, |_, _| value), 2 * (8 + 6));
        let (min_variance, epsilon) = (row(1e-3), row(1e-4));
        let name = "deviation".into();
        GridDeviation { name, inner, unbiased, min_variance, epsilon, guard_bits: 6, bits: 22, fraction_bits: 14 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn they_are_close_to_float(
            (count, inner, cols) in (2usize..9, 1usize..5, 1usize..5), unbiased: bool, seed: u64, flat: bool,
        ) {
            let value = |i: usize| i128::from((seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64 >> 53);
            let x: Vec<i128> = (0..count * inner * cols).map(|i| if flat { 7 } else { value(i) * 2 }).collect();
            let unit = 256.0;
            let mean = GridMean { name: "mean".into(), inner: inner as u32, guard_bits: 6, bits: 20, fraction_bits: 14 };
            let means = run(&mean, Constants::default(), cols, &x).unwrap();
            let mut weights = Constants::default();
            let layer = deviation(inner as u32, cols, unbiased, &mut weights);
            let deviations = run(&layer, weights, cols, &x).unwrap();
            for at in 0..inner * cols {
                let steps: Vec<f64> = x.iter().skip(at).step_by(inner * cols).map(|&v| v as f64 / unit).collect();
                let exact = steps.iter().sum::<f64>() / count as f64;
                let square = steps.iter().map(|v| (v - exact).powi(2)).sum::<f64>();
                let variance = square / (count - usize::from(unbiased)) as f64;
                prop_assert!((means[at] as f64 / 16384.0 - exact).abs() < 1e-4);
                let expected = (variance.max(1e-3) + 1e-4).sqrt();
                prop_assert!((deviations[at] as f64 / 16384.0 - expected).abs() < 1e-3, "{} {expected}", deviations[at]);
            }
        }
    }

    #[test]
    fn rows_that_fill_no_step_are_refused() {
        let mut weights = Constants::default();
        let layer = deviation(2, 1, true, &mut weights);
        let refused = |x: &[i128], layer: &dyn Layer| run(layer, Constants::default(), 1, x).is_err();
        assert!(refused(&[1, 2, 3], &layer) && refused(&[1, 2], &layer));
        let mean = GridMean { name: "mean".into(), inner: 0, guard_bits: 6, bits: 20, fraction_bits: 14 };
        assert!(refused(&[1, 2], &mean));
    }
}
