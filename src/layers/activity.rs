//! Activity: which entries of a tensor are at least a level.
//!
//! ```text
//! b = [x ≥ level] = [x − level + 1 > 0]
//! ```
//!
//! `x` is an integer of bounded size and the level is public, so the difference is that of integers and does not wrap:
//! [`fixed::is_positive`](super::fixed::is_positive) admits one bit.
//!
//! Padding: what is shown of a bit is shown of real entries only, and the padding of bits is proved zero like that of every
//! committed tensor.

use super::fixed::{bits_of, is_positive};
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};

/// The bits that say which entries of `values` are at least `level`.
///
/// # Errors
/// If the values are wider than any gadget takes.
pub fn at_least(p: &mut ProgramBuilder, name: &str, values: TensorId, level: i128) -> Result<TensorId, ProgramError> {
    let above = p.linear(&format!("{name}: above"), vec![(1, p.whole(values))], 1 - level)?;
    let bits = bits_of(p, above);
    is_positive(p, name, above, bits)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::sumcheck::int::{IntTable, IntVec};

    /// The bits of 8-bit integers at a level.
    fn bits(values: &[i64], level: i64) -> Vec<i128> {
        let mut p = ProgramBuilder::new(8);
        let x = p.input("x", (values.len(), 1), -128, 127).unwrap();
        p.range(p.whole(x), -128, 8).unwrap();
        let active = at_least(&mut p, "activity", x, level.into()).unwrap();
        let (program, recipes) = p.finish().unwrap();
        let input = Arc::new(IntTable::new(values.len(), 1, IntVec::I64(values.to_vec())));
        let trace = Trace::run(&program, &recipes, &[input], &[]).unwrap();
        trace.check(&program).unwrap();
        trace.get(active).values().iter().collect()
    }

    proptest! {
        #[test]
        fn bits_are_those_of_a_comparison(values in prop::collection::vec(-128i64..128, 1..40), level in -140i64..140) {
            let expected: Vec<i128> = values.iter().map(|&value| i128::from(value >= level)).collect();
            prop_assert_eq!(bits(&values, level), expected);
        }
    }
}
