//! Logarithms of magnitudes, with a floor: `ln(|x| + F)` of wide signed integers.
//!
//! With `a = 2x + 1`, which is odd and hence never zero, and a floor `F = 2^(top − K)` that is a power of two:
//!
//! ```text
//! (w, 2^k, k·ln 2) ∈ table,  w = ±2^k,  0 ≤ k ≤ K                        one lookup
//! w·a + 2^k·F = 2^(top − m)·q + rem,  rem ∈ [0, 2^(top − m))             q is an argument of the table of ln
//! y = ln q − k·ln 2
//! ```
//!
//! `q ∈ [2^m, 2^(m+1))`, so `(±a + F)·2^k ≥ 2^top = 2^K·F`, and because `k ≤ K`, `±a + F ≥ F`: the sign is that of `a`,
//! which is not zero. So neither the sign nor the magnitude needs a range proof of its own. `k` is then the only shift
//! that brings `|a| + F` into `[2^top, 2^(top+1))`, and `q` the only quotient. A magnitude beyond `2^(top+1) − F` has
//! no `k`: the statement fails closed. Powers of two have one non-zero byte, so their commitments cost little.

use serde::{Deserialize, Serialize};

use super::fixed::column;
use super::logarithm::{LogTables, of_scaled};
use super::lowering::{Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::Table;
use crate::gkr::tables::TableColumn;

/// `(w, |w|, octaves)` for `w = ±2^k`.
fn power_table(octaves: &[i64]) -> Table {
    let bits = (2 * octaves.len()).next_power_of_two().trailing_zeros() as usize;
    // The last row is repeated: a legal row.
    let row = |i: usize| i.min(2 * octaves.len() - 1);
    let power = |i: usize| 1i64 << (row(i) / 2);
    let signed = (0..1usize << bits).map(|i| if row(i) % 2 == 0 { power(i) } else { -power(i) }).collect();
    let powers = (0..1usize << bits).map(power).collect();
    let logs = (0..1usize << bits).map(|i| octaves[row(i) / 2]).collect();
    let columns = [signed, powers, logs].map(TableColumn::values).to_vec();
    Table { name: format!("signed shift{}", octaves.len()), bits, columns }
}

/// `ln((|2x + 1| + F)·2^−scale)` for tables of that scale, to about as many bits as they have; `F` is
/// `2^(top − max_shift)`.
pub fn log_magnitude(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    tables: &LogTables,
) -> Result<TensorId, ProgramError> {
    tables.check_plain(name)?;
    let (shape, top) = (p.shape(x), tables.top);
    let misfit = || ProgramError::TooLarge(format!("the tables of the logarithm `{name}`"));
    let floor = 1i128 << top.checked_sub(tables.shifts.len() - 1).ok_or_else(misfit)?;
    let odd = p.linear(&format!("{name}: odd"), vec![(2, p.whole(x))], 1)?;
    let table = power_table(&tables.shifts);
    let bounds = |column| -> (i128, i128) {
        let (low, high) = table.column_range(column);
        (low.into(), high.into())
    };
    let shift = move |a: i128| {
        let bits = (a.unsigned_abs() + floor.unsigned_abs()).ilog2() as usize;
        let shift = top.checked_sub(bits).ok_or_else(|| "a magnitude beyond the logarithm's table".to_owned())?;
        Ok(a.signum() << shift)
    };
    let signed = p.witness(&format!("{name}: signed power"), shape, bounds(0), &[odd], Hint::try_entrywise(shift))?;
    let power = p.witness(&format!("{name}: power"), shape, bounds(1), &[signed], Hint::entrywise(i128::abs))?;
    let octaves = tables.shifts.clone();
    let octave = p.witness(
        &format!("{name}: octaves"),
        shape,
        bounds(2),
        &[power],
        Hint::entrywise(move |v| v.checked_ilog2().and_then(|k| octaves.get(k as usize)).map_or(0, |&l| l.into())),
    )?;
    let id = p.table(table)?;
    p.lookup([signed, power, octave].map(|id| column(p.whole(id))).to_vec(), id)?;
    let product = p.product(&format!("{name}: shifted"), p.whole(odd), p.whole(signed))?;
    let scaled = p.linear(&format!("{name}: scaled"), vec![(1, p.whole(product)), (floor, p.whole(power))], 0)?;
    of_scaled(p, name, scaled, octave, tables)
}

/// The logarithm of every entry's magnitude, as [`log_magnitude`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMagnitude {
    /// Name.
    pub name: String,
    /// Tables for arguments that stand for multiples of half a unit of the input.
    pub tables: LogTables,
    /// Fraction bits of the output, as the tables have them.
    pub fraction_bits: i32,
}

impl LogMagnitude {
    /// Largest magnitude of an output.
    #[must_use]
    pub fn bound(&self) -> i64 {
        let range = |values: &[i64]| (values.iter().min().copied(), values.iter().max().copied());
        let ((low, high), (least, most)) = (range(&self.tables.logs), range(&self.tables.shifts));
        let [low, high, least, most] = [low, high, least, most].map(|value| value.unwrap_or(0));
        (high - least).abs().max((low - most).abs())
    }
}

impl Layer for LogMagnitude {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let tensor = log_magnitude(p, &format!("{}/output", self.name), input.tensor, &self.tables)?;
        Ok(Value { tensor, ..input })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::{Trace, TraceError};
    use crate::layers::fixed;
    use crate::sumcheck::int::{IntTable, IntVec};
    use std::sync::Arc;

    fn run(range_bits: usize, values: &[i128], tables: &LogTables) -> Result<Vec<i128>, TraceError> {
        let mut p = ProgramBuilder::new(range_bits);
        let hint = values.to_vec();
        let x =
            fixed::integer(&mut p, "x", (1, values.len()), 48, &[], Hint::whole(move |_| Ok(hint.clone()))).unwrap();
        let y = log_magnitude(&mut p, "ln", x, tables).unwrap();
        p.output(y);
        let (program, recipes) = p.finish().unwrap();
        let trace = Trace::run(&program, &recipes, &[], &[])?;
        trace.check(&program).unwrap();
        Ok(trace.get(y).values().iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn logarithms_of_magnitudes_are_close(
            values in prop::collection::vec((0u32..43, 0i128..1 << 20, any::<bool>()), 1..9), floor in 1usize..20, wide: bool,
        ) {
            let tables = LogTables::new(44, 44 - floor, 12, 21, 10);
            let ends = [0, -1, 1, (1 << 42) - 1, -(1 << 42)];
            let value = |(bits, v, negative): (u32, i128, bool)| {
                let magnitude = (1i128 << bits | v) & ((1 << 42) - 1);
                if negative { -magnitude } else { magnitude }
            };
            let values: Vec<i128> = values.into_iter().map(value).chain(ends).collect();
            let found = run(if wide { 16 } else { 8 }, &values, &tables).unwrap();
            for (x, y) in values.iter().zip(found) {
                let exact = ((2.0 * *x as f64 + 1.0).abs() + (floor as f64).exp2()).ln() - 21.0 * std::f64::consts::LN_2;
                // Half a mantissa, and two entries rounded to 10 bits.
                let error = (y as f64 / 1024.0 - exact).abs();
                prop_assert!(error < 1.0 / 8192.0 + 1.0 / 1024.0 + 1e-9, "ln |{x}|: {y} / 1024 instead of {exact}");
            }
        }
    }

    #[test]
    fn magnitudes_beyond_the_table_are_refused() {
        let tables = LogTables::new(30, 20, 12, 21, 10);
        assert!(run(16, &[(1 << 30) - (1 << 9) - 1, -(1 << 30) + (1 << 9)], &tables).is_ok());
        assert!(run(16, &[1 << 30], &tables).is_err());
        assert!(run(16, &[-(1 << 30) - 1], &tables).is_err());
    }

    #[test]
    fn tables_that_no_importer_makes_are_refused() {
        let tables = LogTables::new(30, 20, 12, 21, 10);
        for broken in [
            LogTables { top: 5, ..tables.clone() },
            LogTables { top: 19, ..tables.clone() },
            LogTables { shifts: vec![0; 63], ..tables.clone() },
            LogTables { shifts: Vec::new(), ..tables.clone() },
            LogTables { least: Some(0), ..tables.clone() },
            LogTables { top: 70, shifts: vec![0; 70], ..tables.clone() },
            LogTables { logs: vec![0; 3], ..tables },
        ] {
            let layer = LogMagnitude { name: "log".into(), tables: broken, fraction_bits: 10 };
            let mut p = ProgramBuilder::new(8);
            let tensor = p.input("x", (3, 2), -128, 127).unwrap();
            assert!(layer.lower(&mut p, &[Value { tensor, sequences: 1 }]).is_err(), "{layer:?}");
        }
    }

    /// The sign is part of what the tables settle: the other one leaves them.
    #[test]
    fn a_wrong_sign_is_refused() {
        let tables = LogTables::new(30, 20, 12, 21, 10);
        for x in [3i128, -3, 600, 100_000] {
            let mut p = ProgramBuilder::new(16);
            let tensor = p.input("x", (1, 1), -(1 << 20), 1 << 20).unwrap();
            let y = log_magnitude(&mut p, "ln", tensor, &tables).unwrap();
            p.range(p.whole(tensor), -32768, 16).unwrap();
            p.output(y);
            let Ok((program, mut recipes)) = p.finish() else { panic!("the program is sound") };
            let id = TensorId(program.tensors().iter().position(|t| t.name == "ln: signed power").unwrap() as u32);
            let honest = recipes[&id].hint.clone();
            recipes.get_mut(&id).unwrap().hint = honest.limbs(1, |_| Ok(()), |_, w| -w);
            let input = Arc::new(IntTable::new(1, 1, IntVec::I128(vec![x.min(32767)])));
            assert!(Trace::run(&program, &recipes, &[input], &[]).is_err(), "{x}");
        }
    }
}
