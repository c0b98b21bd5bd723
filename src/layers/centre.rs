//! A row added to every row: the mean over time, subtracted, or weights.
//!
//! ```text
//! centred  y[t] = x[t] − M,   M = ⌊ρ·Σ_t x[t] / 2^30 + 1/2⌋      ρ = round(2^30 / T) is public
//! offset   y[t] = x[t] + w                                        w is a constant
//! ```
//!
//! Only `M` is committed, one row. It is a rounded quotient, hence unique; everything else is linear.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::pooling::{divide_by_rows, one_sequence};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::view::{RowMap, View};

/// Every row less the mean over time, which is rounded to a unit of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Centre {
    /// Name.
    pub name: String,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Centre {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        one_sequence(name, input)?;
        let (x, rows) = (input.tensor, p.shape(input.tensor).0);
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(x, RowMap::sum(rows)))], 0)?;
        let bits = fixed::bits_of(p, x) as u32 + 1;
        let mean = divide_by_rows(p, &format!("{name}/mean"), sum, rows, 0, bits)?;
        let terms = vec![(1, p.whole(x)), (-1, View::rows(mean, RowMap::broadcast(rows)))];
        Ok(Value { tensor: p.linear(&format!("{name}/output"), terms, 0)?, ..input })
    }
}

/// Every row and a constant one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offset {
    /// Name.
    pub name: String,
    /// The row, in units of the input.
    pub row: Constant,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Offset {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let rows = p.shape(input.tensor).0;
        if self.row.rows != 1 {
            return Err(ModelError::Shape {
                layer: self.name.clone(),
                expected: "one row".into(),
                found: format!("{} rows", self.row.rows),
            });
        }
        let row = self.row.declare(p, &format!("{}/row", self.name))?;
        let terms = vec![(1, p.whole(input.tensor)), (1, View::rows(row, RowMap::broadcast(rows)))];
        Ok(Value { tensor: p.linear(&format!("{}/output", self.name), terms, 0)?, ..input })
    }
}
