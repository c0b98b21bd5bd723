//! Pooling over time: with the dense layer that follows, and the last row.
//!
//! Sums over time are views, so they are exact and free. What depends on the number of rows `T` is
//! public: coefficients of linear relations.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, layer_header};
pub use super::max_pool::MaxPool;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, View};

/// `round(2^bits / n)`: dividing by a public number of rows is multiplying by this and dropping bits.
pub(super) fn reciprocal(bits: u32, n: usize) -> i128 {
    let n = n.max(1) as i128;
    ((1i128 << bits) + n / 2) / n
}

/// Bits of a [`reciprocal`].
pub(super) const RECIPROCAL_BITS: u32 = 30;

fn one_sequence(name: &str, input: Value) -> Result<(), ModelError> {
    if input.sequences == 1 {
        return Ok(());
    }
    Err(ModelError::Shape {
        layer: name.to_owned(),
        expected: "one sequence".into(),
        found: format!("{} sequences", input.sequences),
    })
}

/// Division of `x`, which stands for `T` times the output, by `T` and `2^shift`, to `bits` bits.
fn divide_by_rows(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    rows: usize,
    shift: u32,
    bits: u32,
) -> Result<TensorId, ModelError> {
    let scaled = p.linear(&format!("{name}: scaled"), vec![(reciprocal(RECIPROCAL_BITS, rows), p.whole(x))], 0)?;
    Ok(fixed::requantize(p, name, scaled, shift.saturating_add(RECIPROCAL_BITS) as usize, bits as usize)?)
}

/// The last row of every sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRow {
    /// Name.
    pub name: String,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for LastRow {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, input: Value) -> Result<Value, ModelError> {
        let map = RowMap::last(input.sequences, input.length(p));
        let tensor = p.linear(&format!("{}/output", self.name), vec![(1, View::rows(input.tensor, map))], 0)?;
        Ok(Value { tensor, ..input })
    }
}

/// Mean over time, then a dense layer: `(Σ_t x[t])·W / T + b`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeanDense {
    /// Name.
    pub name: String,
    /// Weights.
    pub weight: Constant,
    /// Bias at the accumulator's scale.
    pub bias: Constant,
    /// Bits that the accumulator drops.
    pub shift: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for MeanDense {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, input: Value) -> Result<Value, ModelError> {
        let name = &self.name;
        one_sequence(name, input)?;
        let rows = p.shape(input.tensor).0;
        let weight = self.weight.declare(p, &format!("{name}/weight"))?;
        let bias = self.bias.declare(p, &format!("{name}/bias"))?;
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(input.tensor, RowMap::sum(rows)))], 0)?;
        let product = p.contraction(&format!("{name}/product"), p.whole(sum), p.whole(weight))?;
        let terms = vec![(1, p.whole(product)), (rows as i128, p.whole(bias))];
        let acc = p.linear(&format!("{name}/accumulator"), terms, 0)?;
        let tensor = divide_by_rows(p, &format!("{name}/output"), acc, rows, self.shift, self.bits)?;
        Ok(Value { tensor, sequences: 1 })
    }
}

/// Mean and standard deviation over time, then a dense layer on both.
///
/// With `S₁ = Σ_t x`, `S₂ = Σ_t x²` and `V = max(T·S₂ − S₁², T²·θ)`, where `θ` is the smallest variance, the
/// deviation is `√V / T`:
///
/// ```text
/// y   = ⌊√(2^(2g)·V)⌋                                         2^g times finer than S₁
/// acc = 2^g·S₁·W_mean + y·W_dev + T·b                         2^g·T times the output's scale
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsDense {
    /// Name.
    pub name: String,
    /// Weights of the mean.
    pub mean_weight: Constant,
    /// Weights of the deviation.
    pub deviation_weight: Constant,
    /// Bias at the accumulator's scale.
    pub bias: Constant,
    /// `2^(2g)·θ`, one a column, in squared units of the input.
    pub min_variance: Constant,
    /// `g`.
    pub guard_bits: u32,
    /// Bits that the accumulator drops.
    pub shift: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for StatsDense {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, input: Value) -> Result<Value, ModelError> {
        let name = &self.name;
        one_sequence(name, input)?;
        let rows = p.shape(input.tensor).0;
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(input.tensor, RowMap::sum(rows)))], 0)?;
        let deviation = self.deviation(p, input.tensor, sum, rows)?;
        let mean_weight = self.mean_weight.declare(p, &format!("{name}/mean weight"))?;
        let deviation_weight = self.deviation_weight.declare(p, &format!("{name}/deviation weight"))?;
        let bias = self.bias.declare(p, &format!("{name}/bias"))?;
        let mean = p.contraction(&format!("{name}/mean product"), p.whole(sum), p.whole(mean_weight))?;
        let spread =
            p.contraction(&format!("{name}/deviation product"), p.whole(deviation), p.whole(deviation_weight))?;
        let terms = vec![
            (fixed::power(name, self.guard_bits)?, p.whole(mean)),
            (1, p.whole(spread)),
            (rows as i128, p.whole(bias)),
        ];
        let acc = p.linear(&format!("{name}/accumulator"), terms, 0)?;
        let tensor = divide_by_rows(p, &format!("{name}/output"), acc, rows, self.shift, self.bits)?;
        Ok(Value { tensor, sequences: 1 })
    }
}

impl StatsDense {
    /// `2^g·T` times the standard deviation of every column.
    fn deviation(
        &self,
        p: &mut ProgramBuilder,
        x: TensorId,
        sum: TensorId,
        rows: usize,
    ) -> Result<TensorId, ModelError> {
        let name = &self.name;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let sum_squared = p.product(&format!("{name}/squared sum"), p.whole(sum), p.whole(sum))?;
        let scale = fixed::power(name, self.guard_bits.saturating_mul(2))?;
        let terms =
            vec![(scale * rows as i128, View::rows(squares, RowMap::sum(rows))), (-scale, p.whole(sum_squared))];
        let exact = p.linear(&format!("{name}/exact variance"), terms, 0)?;
        let variance = fixed::commit(p, &format!("{name}/variance"), exact)?;
        let floor = self.min_variance.declare(p, &format!("{name}/smallest variance"))?;
        let terms = vec![(rows as i128 * rows as i128, p.whole(floor))];
        let floor = p.linear(&format!("{name}/floor"), terms, 0)?;
        let bits = [variance, floor].map(|id| p.bounds(id).1.bits().max(p.bounds(id).0.bits()) as usize);
        let bits = bits[0].max(bits[1]) + 1;
        let clipped = fixed::maximum(p, &format!("{name}/clipped variance"), variance, floor, bits)?;
        Ok(fixed::sqrt(p, &format!("{name}/deviation"), clipped, bits.div_ceil(2))?)
    }
}
