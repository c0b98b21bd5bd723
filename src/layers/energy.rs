//! Energies and their logarithms: exact powers of two parts, and logarithms of sums of them, as a filterbank makes.
//!
//! ```text
//! p = a² + b²                              products and a sum: nothing committed, nothing rounded
//! y = ln(x·2^−scale), or ln(max(x, F)·2^−scale)      of the exact sum, as in [`logarithm`]
//! ```
//!
//! Both have one solution: the power is virtual, and [`logarithm`] is unique for every argument. Energies are sums of powers with
//! weights that are not negative, so that none is below zero; whatever stands below the floor of tables that have none fails
//! closed. Columns beyond the real ones are in no lookup.

use serde::{Deserialize, Serialize};

use super::logarithm::{LogTables, logarithm};
use super::lowering::{Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;

/// `a² + b²` of two inputs of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// Name.
    pub name: String,
    /// Fraction bits of the output, twice those of the inputs.
    pub fraction_bits: i32,
}

impl Layer for Power {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let (sum, first) = square_sum(p, &self.name, "output", inputs)?;
        Ok(Value { tensor: sum, ..first })
    }
}

/// `a² + b²` of two inputs of one shape, as `name/what`; and the first of them.
pub(super) fn square_sum(
    p: &mut ProgramBuilder,
    name: &str,
    what: &str,
    inputs: &[Value],
) -> Result<(TensorId, Value), ModelError> {
    let [a, b] = exactly(name, inputs)?;
    let (first, second) = (p.shape(a.tensor), p.shape(b.tensor));
    if first != second || a.sequences != b.sequences {
        return Err(ModelError::Shape {
            layer: name.to_owned(),
            expected: format!("two parts of {} × {}", first.0, first.1),
            found: format!("{} × {}", second.0, second.1),
        });
    }
    let mut terms = Vec::with_capacity(2);
    for (part, input) in [("first", a), ("second", b)] {
        let square = p.product(&format!("{name}/{part} square"), p.whole(input.tensor), p.whole(input.tensor))?;
        terms.push((1, p.whole(square)));
    }
    Ok((p.linear(&format!("{name}/{what}"), terms, 0)?, a))
}

/// Logarithm of every entry, which is not negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnergy {
    /// Name.
    pub name: String,
    /// Tables for arguments in units of the input.
    pub tables: LogTables,
    /// Fraction bits of the output, as the tables have them.
    pub fraction_bits: i32,
}

impl Layer for LogEnergy {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let tensor = logarithm(p, &format!("{}/output", self.name), input.tensor, &self.tables)?;
        Ok(Value { tensor, ..input })
    }
}
