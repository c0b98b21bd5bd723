//! The class of a row: its largest entry, the first one of equal entries.
//!
//! ```text
//! x[c] − x[j] ∈ [0, 2^b)        for j > c
//! x[c] − x[j] − 1 ∈ [0, 2^b)    for j < c
//! ```
//!
//! The class `c` is public and a part of the program, like a score that is revealed; nothing else is. Entries are integers
//! of bounded size and `b` is what their bounds need, so the differences are those of integers and do not wrap: every row
//! has exactly one class.
//!
//! Padding: slices have the real columns only, and the classes of a model are as many as these.

use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::aligned_slices;
use crate::layers::fixed::{bits_of, range};

/// Shows that `class` is the class of `row`, a tensor of one row.
///
/// # Errors
/// If the row has no such column.
pub fn is_class(p: &mut ProgramBuilder, name: &str, row: TensorId, class: usize) -> Result<(), ProgramError> {
    let columns = p.shape(row).1;
    let top = p.linear(&format!("{name}: largest"), vec![(1, p.whole(row).cols(class, 1))], 0)?;
    let before = aligned_slices(0, class).into_iter().map(|part| (part, -1));
    let after = aligned_slices(class + 1, columns).into_iter().map(|part| (part, 0));
    for ((offset, len), constant) in before.chain(after) {
        let name = format!("{name}: above {offset}");
        let terms = vec![(1, p.whole(top).broadcast_cols(len)), (-1, p.whole(row).cols(offset, len))];
        let gap = p.linear(&name, terms, constant)?;
        let bits = bits_of(p, gap);
        range(p, &name, gap, bits)?;
    }
    Ok(())
}

/// The class of a row: the place of the first of its largest entries; `None` if it has none.
#[must_use]
pub fn class_of(row: &[i64]) -> Option<usize> {
    let most = row.iter().max()?;
    row.iter().position(|value| value == most)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::sumcheck::int::{IntTable, IntVec};

    /// Whether an honest prover can show that a row of 8-bit integers has this class.
    fn shown(row: &[i64], class: usize) -> Result<(), String> {
        let mut p = ProgramBuilder::new(8);
        let x = p.input("x", (1, row.len()), -128, 127).unwrap();
        p.range(p.whole(x), -128, 8).unwrap();
        is_class(&mut p, "class", x, class).map_err(|error| error.to_string())?;
        let (program, recipes) = p.finish().unwrap();
        let input = Arc::new(IntTable::new(1, row.len(), IntVec::I64(row.to_vec())));
        let trace = Trace::run(&program, &recipes, &[input], &[]).map_err(|error| error.to_string())?;
        trace.check(&program).map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn a_row_has_one_class(row in prop::collection::vec(-128i64..128, 2..40)) {
            let class = class_of(&row).unwrap();
            for c in 0..row.len() {
                prop_assert_eq!(shown(&row, c).is_ok(), c == class, "{} of {:?}", c, row);
            }
            prop_assert!(shown(&row, row.len()).is_err());
        }

        #[test]
        fn equal_entries_leave_no_choice(len in 2usize..20, value in -128i64..128) {
            let row = vec![value; len];
            for c in 0..len {
                prop_assert_eq!(shown(&row, c).is_ok(), c == 0);
            }
        }
    }

    #[test]
    fn an_empty_row_has_no_class() {
        assert_eq!(class_of(&[]), None);
        assert_eq!(class_of(&[-3]), Some(0));
    }
}
