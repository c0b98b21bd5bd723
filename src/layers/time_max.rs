//! The largest of all rows of a sequence, column by column, however many there are.
//!
//! ```text
//! m           committed, one row
//! (m − x[t], b[t]) ∈ table over d ∈ [0, 2^n),  b = [d = 0]        one lookup a value
//! Σ_t b − 1 ∈ [0, 2^k)                                          some row has it
//! ```
//!
//! The table has no negative `d`, so `m` is at least every value, and `b` is set exactly where it is one of them; the last line says
//! that there is one. Equal values leave no choice. Values further below the largest than the table reaches fail closed.
//!
//! Padding: rows and columns beyond the real ones are in no lookup, and sums run over real rows.

use serde::{Deserialize, Serialize};

use super::fixed::{self, bits_of, column, range};
use super::lowering::{Layer, Value, exactly, layer_header};
use super::pooling::one_sequence;
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, num_vars};
use crate::gkr::tables::Table;
use crate::gkr::view::{RowMap, View};

/// Most bits of a distance from the largest value.
pub(super) const MAX_BITS: u32 = 16;

/// Largest value of every column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeMax {
    /// Name.
    pub name: String,
    /// Bits of a distance from the largest value.
    pub bits: u32,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for TimeMax {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = format!("{}/output", self.name);
        let [input] = exactly(&self.name, inputs)?;
        one_sequence(&self.name, input)?;
        if !(1..=MAX_BITS).contains(&self.bits) {
            let table = format!("the table of the maximum `{}`, of {} bits", self.name, self.bits);
            return Err(ProgramError::TooLarge(table).into());
        }
        let (rows, cols) = p.shape(input.tensor);
        let largest = fixed::integer(
            p,
            &name,
            (1, cols),
            bits_of(p, input.tensor) + 1,
            &[input.tensor],
            Hint::whole(move |t| {
                let of_column = |c: usize| (0..rows).map(|row| t[0].get(row, c)).max().unwrap_or_default();
                Ok((0..cols).map(of_column).collect())
            }),
        )?;
        let terms = vec![(1, View::rows(largest, RowMap::broadcast(rows))), (-1, p.whole(input.tensor))];
        let distance = p.linear(&format!("{name}: distance"), terms, 0)?;
        let is_largest = p.witness(
            &format!("{name}: is largest"),
            (rows, cols),
            (0, 1),
            &[distance],
            Hint::entrywise(move |d| i128::from(d == 0)),
        )?;
        let zero = (0..1usize << self.bits).map(|d| i64::from(d == 0)).collect();
        let table = p.table(Table::function(format!("is zero{}", self.bits), 0, zero))?;
        p.lookup([distance, is_largest].map(|id| column(p.whole(id))).to_vec(), table)?;
        let found = vec![(1, View::rows(is_largest, RowMap::sum(rows)))];
        let others = p.linear(&format!("{name}: others"), found, -1)?;
        range(p, &format!("{name}: others"), others, num_vars(rows + 1))?;
        Ok(Value { tensor: largest, ..input })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::program::TensorId;
    use crate::gkr::trace::{Trace, TraceError};
    use crate::sumcheck::int::{IntTable, IntVec};

    fn run(bits: u32, cols: usize, values: &[i128]) -> Result<Vec<i128>, TraceError> {
        let rows = values.len() / cols;
        let mut p = ProgramBuilder::new(8);
        let tensor = p.input("x", (rows, cols), -128, 127).unwrap();
        p.range(p.whole(tensor), -128, 8).unwrap();
        let layer = TimeMax { name: "max".into(), bits, fraction_bits: 0 };
        let output: TensorId = layer.lower(&mut p, &[Value { tensor, sequences: 1 }]).unwrap().tensor;
        p.output(output);
        let (program, recipes) = p.finish().unwrap();
        let table = Arc::new(IntTable::new(rows, cols, IntVec::I128(values.to_vec())));
        let trace = Trace::run(&program, &recipes, &[table], &[])?;
        trace.check(&program).unwrap();
        Ok(trace.get(output).values().iter().collect())
    }

    proptest! {
        #[test]
        fn maxima_are_those_of_columns(cols in 1usize..5, rows in 1usize..20, seed in any::<u64>()) {
            let value = |i: usize| i128::from((seed.rotate_left(7 * i as u32) & 0xff) as u8 as i8);
            let values: Vec<i128> = (0..rows * cols).map(value).collect();
            let expected: Vec<i128> =
                (0..cols).map(|c| values.iter().skip(c).step_by(cols).copied().max().unwrap()).collect();
            prop_assert_eq!(run(8, cols, &values).unwrap(), expected);
        }
    }

    #[test]
    fn values_far_below_the_largest_fail_closed() {
        assert!(run(4, 1, &[0, 15]).is_ok());
        assert!(run(4, 1, &[0, 16]).is_err());
    }

    #[test]
    fn tables_that_no_importer_makes_are_refused() {
        for bits in [0, 17, u32::MAX] {
            let mut p = ProgramBuilder::new(8);
            let tensor = p.input("x", (3, 2), -128, 127).unwrap();
            let layer = TimeMax { name: "max".into(), bits, fraction_bits: 0 };
            assert!(layer.lower(&mut p, &[Value { tensor, sequences: 1 }]).is_err());
        }
    }
}
