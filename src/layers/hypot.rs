//! Magnitude of two parts, entry by entry, such as real and imaginary part of a spectrum: `y = ⌊√(a² + b²)⌋`, exactly.
//!
//! Squares in tables lose what is small against the largest: here squares are products and their sum is exact, so the
//! root is as fine as the parts. Both parts are ranged where they come from, so the sum is below `2^(2·bits)`, and the
//! root is unique. Columns beyond the real ones are in no lookup; their squares are those of proved zeros.

use serde::{Deserialize, Serialize};

use super::energy::square_sum;
use super::fixed;
use super::lowering::{Layer, Value, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;

/// `√(a² + b²)` of two inputs of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypot {
    /// Name.
    pub name: String,
    /// Fraction bits of the inputs and of the output.
    pub fraction_bits: i32,
}

impl Layer for Hypot {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let (sum, first) = square_sum(p, name, "square sum", inputs)?;
        let bits = fixed::bits_of(p, sum).div_ceil(2);
        fixed::check_bits(name, 2 * bits)?;
        Ok(Value { tensor: fixed::sqrt(p, &format!("{name}/output"), sum, bits)?, ..first })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::sumcheck::int::{IntTable, IntVec};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn magnitudes_are_the_floors_of_roots(
            parts in prop::collection::vec((-32768i128..32768, -32768i128..32768), 1..30),
            cols in 1usize..4,
        ) {
            let rows = parts.len().div_ceil(cols);
            let mut p = ProgramBuilder::new(16);
            let mut input = |name: &str| {
                let id = p.input(name, (rows, cols), -32768, 32767).unwrap();
                p.range(p.whole(id), -32768, 16).unwrap();
                Value { tensor: id, sequences: 1 }
            };
            let inputs = [input("a"), input("b")];
            let layer = Hypot { name: "hypot".into(), fraction_bits: 0 };
            let output = layer.lower(&mut p, &inputs).unwrap();
            p.output(output.tensor);
            let (program, recipes) = p.finish().unwrap();
            let table = |part: fn(&(i128, i128)) -> i128| {
                let values = (0..rows * cols).map(|i| parts.get(i).map_or(0, part)).collect();
                Arc::new(IntTable::new(rows, cols, IntVec::I128(values)))
            };
            let trace = Trace::run(&program, &recipes, &[table(|x| x.0), table(|x| x.1)], &[]).unwrap();
            trace.check(&program).unwrap();
            for (i, y) in trace.get(output.tensor).values().iter().enumerate() {
                let (a, b) = parts.get(i).copied().unwrap_or((0, 0));
                prop_assert!(y >= 0 && y * y <= a * a + b * b && (y + 1) * (y + 1) > a * a + b * b);
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let mut p = ProgramBuilder::new(16);
        let mut input = |name: &str, rows: usize| {
            let tensor = p.input(name, (rows, 2), -8, 7).unwrap();
            Value { tensor, sequences: 1 }
        };
        let (a, b) = (input("a", 3), input("b", 4));
        let layer = Hypot { name: "hypot".into(), fraction_bits: 0 };
        assert!(layer.lower(&mut p, &[a, b]).is_err());
        assert!(layer.lower(&mut p, &[a]).is_err());
        assert!(layer.lower(&mut p, &[a, Value { sequences: 3, ..a }]).is_err());
        let half = 1i128 << 90;
        let tensor = p.input("wide", (3, 2), -half, half).unwrap();
        let wide = Value { tensor, sequences: 1 };
        assert!(layer.lower(&mut p, &[wide, wide]).is_err());
    }
}
