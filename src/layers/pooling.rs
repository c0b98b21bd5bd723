//! Pooling over time: mean and deviation, and single rows.
//!
//! Sums over time are views, so they are exact and free. What depends on the number of rows `T` is
//! public: coefficients of linear relations.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
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

pub(super) fn one_sequence(name: &str, input: Value) -> Result<(), ModelError> {
    if input.sequences == 1 {
        return Ok(());
    }
    Err(ModelError::Shape {
        layer: name.to_owned(),
        expected: "one sequence".into(),
        found: format!("{} sequences", input.sequences),
    })
}

/// `x / (T·2^shift)`, rounded, to `bits` bits.
pub(super) fn divide_by_rows(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    rows: usize,
    shift: i64,
    bits: u32,
) -> Result<TensorId, ModelError> {
    let scaled = p.linear(&format!("{name}: scaled"), vec![(reciprocal(RECIPROCAL_BITS, rows), p.whole(x))], 0)?;
    let shift = usize::try_from(shift + i64::from(RECIPROCAL_BITS)).unwrap_or(usize::MAX);
    Ok(fixed::requantize(p, name, scaled, shift, bits as usize)?)
}

/// The first or the last row of every sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Name.
    pub name: String,
    /// Whether it is the last.
    pub last: bool,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Row {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (sequences, length) = (input.sequences, input.length(p));
        let map = if self.last {
            RowMap::last(sequences, length)
        } else {
            RowMap::strided(sequences * length, sequences, 1, length as i64, 0, 0)
        };
        let tensor = p.linear(&format!("{}/output", self.name), vec![(1, View::rows(input.tensor, map))], 0)?;
        Ok(Value { tensor, ..input })
    }
}

/// Mean over time, `2^guard_bits` times finer than the input: `⌊2^g·(Σ_t x[t])·r / 2^30 + 1/2⌋`, where
/// `r = round(2^30 / T)` is public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mean {
    /// Name.
    pub name: String,
    /// `g`.
    pub guard_bits: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Mean {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        one_sequence(name, input)?;
        let rows = p.shape(input.tensor).0;
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(input.tensor, RowMap::sum(rows)))], 0)?;
        let shift = -i64::from(self.guard_bits);
        let tensor = divide_by_rows(p, &format!("{name}/output"), sum, rows, shift, self.bits)?;
        Ok(Value { tensor, sequences: 1 })
    }
}

/// Standard deviation over time, `2^guard_bits` times finer than the input.
///
/// With `S₁ = Σ_t x`, `S₂ = Σ_t x²` and `V = max(T·S₂ − S₁², T²·θ)`, where `θ` is the smallest variance, the
/// deviation is `√V / T`: `y = ⌊√(2^(2g)·V)⌋`, then divided by `T` as in [`Mean`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// Name.
    pub name: String,
    /// `2^(2g)·θ`, one a column, in squared units of the input.
    pub min_variance: Constant,
    /// `g`.
    pub guard_bits: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Deviation {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        one_sequence(name, input)?;
        let (x, rows) = (input.tensor, p.shape(input.tensor).0);
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(x, RowMap::sum(rows)))], 0)?;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let sum_squared = p.product(&format!("{name}/squared sum"), p.whole(sum), p.whole(sum))?;
        let scale = fixed::power(name, self.guard_bits.saturating_mul(2))?;
        let terms =
            vec![(scale * rows as i128, View::rows(squares, RowMap::sum(rows))), (-scale, p.whole(sum_squared))];
        let exact = p.linear(&format!("{name}/exact variance"), terms, 0)?;
        let floor = self.min_variance.declare(p, &format!("{name}/smallest variance"))?;
        let terms = vec![(rows as i128 * rows as i128, p.whole(floor))];
        let floor = p.linear(&format!("{name}/floor"), terms, 0)?;
        let root = clipped_root(p, name, exact, floor)?;
        let tensor = divide_by_rows(p, &format!("{name}/output"), root, rows, 0, self.bits)?;
        Ok(Value { tensor, sequences: 1 })
    }
}

/// `⌊√max(x, floor)⌋` for a virtual `x`, which is committed on the way.
pub(super) fn clipped_root(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    floor: TensorId,
) -> Result<TensorId, ModelError> {
    let variance = fixed::commit(p, &format!("{name}/variance"), x)?;
    let bits = [variance, floor].map(|id| p.bounds(id).1.bits().max(p.bounds(id).0.bits()) as usize);
    let bits = bits[0].max(bits[1]) + 1;
    let clipped = fixed::maximum(p, &format!("{name}/clipped variance"), variance, floor, bits)?;
    Ok(fixed::sqrt(p, &format!("{name}/root"), clipped, bits.div_ceil(2))?)
}
