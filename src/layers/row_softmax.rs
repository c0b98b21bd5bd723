//! Softmax over the columns of every row: `y = ⌊E·ρ / 2^s + 1/2⌋` with the exponentials and the reciprocal of their sum
//! of [`Softmax`], both unique; so is the rounded quotient.
//!
//! Its logarithm: `y = 2^l·(S − 2^s·m) − ln D` with the largest score `m` and the sum `D ≥ 2^f` of the exponentials, in units of
//! `2^−l` of a score. Both are unique, [`logarithm`] is, and the rest is linear.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::logarithm::{LogTables, logarithm};
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::softmax::Softmax;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::view::View;

/// Softmax over columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSoftmax {
    /// Name.
    pub name: String,
    /// Exponentials and reciprocals.
    pub softmax: Softmax,
    /// A column of ones, as many as the input has columns.
    pub ones: Constant,
    /// Bits that products drop.
    pub shift: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for RowSoftmax {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        let (rows, columns) = p.shape(input.tensor);
        let ones = self.ones.declare(p, &format!("{name}/ones"))?;
        let ones = p.whole(ones);
        let weights = self.softmax.lower(p, name, input.tensor, None, &ones)?;
        let reciprocals = View::whole(weights.reciprocals, rows).broadcast_cols(columns);
        let product = p.product(&format!("{name}/product"), p.whole(weights.exponentials), reciprocals)?;
        let (shift, bits) = (self.shift as usize, self.bits as usize);
        Ok(Value { tensor: fixed::requantize(p, &format!("{name}/output"), product, shift, bits)?, ..input })
    }
}

/// Logarithm of a softmax over columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLogSoftmax {
    /// Name.
    pub name: String,
    /// Exponentials.
    pub softmax: Softmax,
    /// A column of ones, as many as the input has columns.
    pub ones: Constant,
    /// Of sums of exponentials; its logarithms have `fraction_bits`.
    pub logarithm: LogTables,
    /// `l`: bits by which the output is finer than the input.
    pub finer: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for RowLogSoftmax {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        let (rows, columns) = p.shape(input.tensor);
        let ones = self.ones.declare(p, &format!("{name}/ones"))?;
        let ones = p.whole(ones);
        let sums = self.softmax.sums(p, name, input.tensor, &ones)?;
        let log = logarithm(p, &format!("{name}/logarithm"), sums.sum, &self.logarithm)?;
        let (fine, step) =
            (fixed::power(name, self.finer)?, fixed::power(name, self.finer.saturating_add(self.softmax.shift))?);
        let each = |tensor| View::whole(tensor, rows).broadcast_cols(columns);
        let terms = vec![(fine, p.whole(input.tensor)), (-step, each(sums.largest)), (-1, each(log))];
        Ok(Value { tensor: p.linear(&format!("{name}/output"), terms, 0)?, ..input })
    }
}
