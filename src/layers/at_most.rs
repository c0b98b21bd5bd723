//! Values that are not to pass a limit: `min(x, w)` for a constant row `w`, as `−max(−x, −w)`.
//!
//! The maximum is that of [`fixed::maximum`]: a bit that is looked up and two ranged differences, so that there is one.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::view::{RowMap, View};

/// The smaller of every entry and a constant of its column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtMost {
    /// Name.
    pub name: String,
    /// The largest values, one row in units of the input.
    pub limits: Constant,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for AtMost {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        let rows = p.shape(input.tensor).0;
        if self.limits.rows != 1 {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: "one row of limits".into(),
                found: format!("{} rows", self.limits.rows),
            });
        }
        let limits = self.limits.declare(p, &format!("{name}/limits"))?;
        let limits = View::rows(limits, RowMap::broadcast(rows));
        let limits = p.linear(&format!("{name}/negative limits"), vec![(-1, limits)], 0)?;
        let negative = p.linear(&format!("{name}/negative"), vec![(-1, p.whole(input.tensor))], 0)?;
        let bits = fixed::bits_of(p, limits).max(fixed::bits_of(p, negative)) + 1;
        let most = fixed::maximum(p, &format!("{name}/largest negative"), negative, limits, bits)?;
        Ok(Value { tensor: p.linear(&format!("{name}/output"), vec![(-1, p.whole(most))], 0)?, ..input })
    }
}
