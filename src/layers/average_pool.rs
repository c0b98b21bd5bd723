//! Average pooling of an image whose rows are pixels.
//!
//! The sum of a patch is a view, so it is exact and free; dividing it by a power of two is a matter of what the
//! integers stand for. Padding counts as zeros and has no weight in a claim on the input.

use serde::{Deserialize, Serialize};

use super::affine::Taps;
use super::lowering::{Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::view::View;

/// The average of every patch of `2^k` values, as their sum with `k` more fraction bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AveragePool {
    /// Name.
    pub name: String,
    /// The patches.
    pub taps: Taps,
    /// Fraction bits of the output: `k` more than the input has.
    pub fraction_bits: i32,
}

impl AveragePool {
    /// The layer after values with `fraction_bits` fraction bits; none if patches do not have `2^k` values.
    #[must_use]
    pub fn new(name: String, taps: Taps, fraction_bits: i32) -> Option<Self> {
        let count = match taps {
            Taps::Same => 1,
            Taps::Time { kernel, .. } => kernel,
            Taps::Image { kernel: [down, across], .. } | Taps::Grid { kernel: [down, across], .. } => {
                down.checked_mul(across)?
            }
            Taps::All => return None,
        };
        let fraction_bits = fraction_bits + count.trailing_zeros() as i32;
        count.is_power_of_two().then_some(Self { name, taps, fraction_bits })
    }
}

impl Layer for AveragePool {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let map = self.taps.row_map(&self.name, input.sequences, input.length(p))?;
        let tensor = p.linear(&format!("{}/output", self.name), vec![(1, View::rows(input.tensor, map))], 0)?;
        Ok(Value { tensor, ..input })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::sumcheck::int::{IntTable, IntVec};

    #[test]
    fn sums_of_patches_stand_for_averages() {
        let taps = Taps::Image { image: [3, 4], kernel: [2, 2], stride: [1, 2], padding: [0, 0, 1, 0] };
        let layer = AveragePool::new("average".into(), taps, 5).unwrap();
        assert_eq!(layer.fraction_bits(), 7);
        let mut p = ProgramBuilder::new(8);
        let x = p.input("x", (12, 1), -128, 127).unwrap();
        p.range(p.whole(x), -128, 8).unwrap();
        let y = layer.lower(&mut p, &[Value { tensor: x, sequences: 1 }]).unwrap().tensor;
        p.output(y);
        let (program, recipes) = p.finish().unwrap();
        let x = IntTable::new(12, 1, IntVec::I8(vec![1, 2, 3, 4, 10, 20, 30, 40, -100, 127, 7, -8]));
        let trace = Trace::run(&program, &recipes, &[Arc::new(x)], &[]).unwrap();
        trace.check(&program).unwrap();
        assert_eq!(trace.get(y).values().iter().collect::<Vec<_>>(), [33, 77, 57, 69, 27, -1]);
    }

    #[test]
    fn patches_of_other_sizes_are_refused() {
        let taps = Taps::Image { image: [3, 3], kernel: [3, 1], stride: [1, 1], padding: [0; 4] };
        assert_eq!(AveragePool::new("average".into(), taps, 0), None);
        assert_eq!(AveragePool::new("average".into(), Taps::All, 0), None);
    }
}
