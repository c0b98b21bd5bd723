//! Unit length, and the average of unit vectors: how GE2E joins its partial embeddings.
//!
//! ```text
//! n = ⌊√(2^(2g)·Σ_c x²)⌋        v = ⌊2^(f+g)·x / n⌋ ≈ 2^f·x/|x|        for x ≥ 0
//! ```
//!
//! With negative values, `v + 2^f = ⌊(2^(f+g)·x + 2^f·n) / n⌋`, a quotient of natural numbers since `2^g·|x| ≤ n`.
//!
//! A row of zeros has no `v`: the statement fails closed.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::pooling::{RECIPROCAL_BITS, reciprocal};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{RowMap, View};

/// Every row divided by its Euclidean norm. The input must be non-negative, as after a ReLU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalize {
    /// Name.
    pub name: String,
    /// A column of ones, as many as the input has columns.
    pub ones: Constant,
    /// `g`: how much finer than the input the norm is.
    pub guard_bits: u32,
    /// `f`: fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Normalize {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let name = &self.name;
        let x = input.tensor;
        let ones = self.ones.declare(p, &format!("{name}/ones"))?;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let sum = p.contraction(&format!("{name}/sum of squares"), p.whole(squares), p.whole(ones))?;
        let tensor = unit(p, name, x, sum, self.guard_bits, self.fraction_bits.unsigned_abs())?;
        Ok(Value { tensor, ..input })
    }
}

/// [`Normalize`] of values that may be negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NormalizeSigned(pub Normalize);

impl Layer for NormalizeSigned {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn fraction_bits(&self) -> i32 {
        self.0.fraction_bits()
    }

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let Normalize { name, ones, guard_bits, fraction_bits } = &self.0;
        let [input] = exactly(name, inputs)?;
        let (x, (rows, columns)) = (input.tensor, p.shape(input.tensor));
        let ones = ones.declare(p, &format!("{name}/ones"))?;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let sum = p.contraction(&format!("{name}/sum of squares"), p.whole(squares), p.whole(ones))?;
        let (norm, bits) = root(p, name, sum, *guard_bits)?;
        let fraction_bits = fraction_bits.unsigned_abs();
        let one = fixed::power(name, fraction_bits)?;
        let up = fixed::power(name, fraction_bits.saturating_add(*guard_bits))?;
        let each = View::whole(norm, rows).broadcast_cols(columns);
        let terms = vec![(up, p.whole(x)), (one, each)];
        let numerator = p.linear(&format!("{name}/numerator"), terms, 0)?;
        let output = format!("{name}/output");
        let lifted = format!("{output}: lifted");
        let quotient = fixed::divide(p, &lifted, numerator, norm, fraction_bits as usize + 2, bits + 1)?;
        Ok(Value { tensor: p.linear(&output, vec![(1, p.whole(quotient))], -one)?, ..input })
    }
}

/// `⌊√(2^(2g)·sum)⌋`, and its bits.
fn root(p: &mut ProgramBuilder, name: &str, sum: TensorId, guard_bits: u32) -> Result<(TensorId, usize), ProgramError> {
    let terms = vec![(fixed::power(name, guard_bits.saturating_mul(2))?, p.whole(sum))];
    let radicand = p.linear(&format!("{name}/radicand"), terms, 0)?;
    let bits = (p.bounds(radicand).1.bits() as usize).div_ceil(2);
    Ok((fixed::sqrt(p, &format!("{name}/norm"), radicand, bits)?, bits))
}

/// Every row of `x` divided by its norm, where `sum` is the sum of its squares.
fn unit(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    sum: TensorId,
    guard_bits: u32,
    fraction_bits: u32,
) -> Result<TensorId, ProgramError> {
    let (norm, bits) = root(p, name, sum, guard_bits)?;
    let up = fixed::power(name, fraction_bits.saturating_add(guard_bits))?;
    let scaled = p.linear(&format!("{name}/scaled"), vec![(up, p.whole(x))], 0)?;
    fixed::divide(p, &format!("{name}/output"), scaled, norm, fraction_bits as usize + 1, bits + 1)
}

/// Bits by which the norm of an embedding is finer than the embedding.
const GUARD_BITS: u32 = 8;
/// Fraction bits of an embedding divided by its norm.
const UNIT_BITS: u32 = 20;

/// The average of embeddings divided by their norms, rounded to `fraction_bits` bits, in integers of
/// `bits` bits: a template. An embedding of zeros has no norm to be divided by: the statement fails closed.
pub fn unit_average(
    p: &mut ProgramBuilder,
    embeddings: &[TensorId],
    bits: usize,
    fraction_bits: u32,
) -> Result<TensorId, ProgramError> {
    let factor = reciprocal(RECIPROCAL_BITS, embeddings.len());
    let mut terms = Vec::with_capacity(embeddings.len());
    for &x in embeddings {
        let sum = p.contraction_transposed("enrolment/sum of squares", p.whole(x), p.whole(x))?;
        let unit = unit(p, "enrolment/unit", x, sum, GUARD_BITS, UNIT_BITS)?;
        terms.push((factor, p.whole(unit)));
    }
    let sum = p.linear("enrolment/sum", terms, 0)?;
    let shift = RECIPROCAL_BITS as usize + (UNIT_BITS - fraction_bits.min(UNIT_BITS)) as usize;
    fixed::requantize(p, "enrolment/template", sum, shift, bits)
}

/// The average of all sequences, each of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Average {
    /// Name.
    pub name: String,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Average {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let rows = p.shape(input.tensor).0;
        let sum = View::rows(input.tensor, RowMap::sum(rows));
        let scaled = p.linear(&format!("{}/scaled", self.name), vec![(reciprocal(RECIPROCAL_BITS, rows), sum)], 0)?;
        let (name, bits) = (format!("{}/output", self.name), self.bits as usize);
        let tensor = fixed::requantize(p, &name, scaled, RECIPROCAL_BITS as usize, bits)?;
        Ok(Value { tensor, sequences: 1 })
    }
}
