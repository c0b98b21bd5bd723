//! Unit length, and the average of unit vectors: how GE2E joins its partial embeddings.
//!
//! ```text
//! n = ⌊√(2^(2g)·Σ_c x²)⌋        v = ⌊2^(f+g)·x / n⌋ ≈ 2^f·x/|x|        for x ≥ 0
//! ```
//!
//! A row of zeros has no `v`: the statement fails closed.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::pooling::{RECIPROCAL_BITS, reciprocal};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
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
        let terms = vec![(fixed::power(name, self.guard_bits.saturating_mul(2))?, p.whole(sum))];
        let radicand = p.linear(&format!("{name}/radicand"), terms, 0)?;
        let bits = (p.bounds(radicand).1.bits() as usize).div_ceil(2);
        let norm = fixed::sqrt(p, &format!("{name}/norm"), radicand, bits)?;
        let up = self.fraction_bits.unsigned_abs().saturating_add(self.guard_bits);
        let scaled = p.linear(&format!("{name}/scaled"), vec![(fixed::power(name, up)?, p.whole(x))], 0)?;
        let quotient_bits = self.fraction_bits.unsigned_abs() as usize + 1;
        let tensor = fixed::divide(p, &format!("{name}/output"), scaled, norm, quotient_bits, bits + 1)?;
        Ok(Value { tensor, ..input })
    }
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
