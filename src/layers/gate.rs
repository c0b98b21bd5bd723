//! Entry-wise products of two values, such as the gates of squeeze and excitation.
//!
//! ```text
//! y[t, c] = x[t, c]·g[t, c]      or x[t, c]·g[c] for a gate of one row per sequence; then requantised
//! ```
//!
//! Both factors are ranged where they come from, so the product is determined; the gate's row is seen
//! through a view that repeats it for real rows only, so padding gets no part of it.

use serde::{Deserialize, Serialize};

use super::affine::{Finish, repeat};
use super::lowering::{Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::view::View;

/// The product of two inputs of as many columns; the second may have one row per sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Name.
    pub name: String,
    /// What follows the product.
    pub finish: Finish,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Gate {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [x, gate] = exactly(name, inputs)?;
        let rows = p.shape(x.tensor).0;
        if x.sequences != gate.sequences || rows == 0 {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: format!("{} sequences", x.sequences),
                found: format!("{} sequences", gate.sequences),
            });
        }
        let one_row = gate.length(p) == 1 && x.length(p) != 1;
        let gate =
            if one_row { View::rows(gate.tensor, repeat(gate.sequences, x.length(p))) } else { p.whole(gate.tensor) };
        let product = p.product(&format!("{name}/product"), p.whole(x.tensor), gate)?;
        Ok(Value { tensor: self.finish.lower(p, &format!("{name}/output"), product)?, ..x })
    }
}
