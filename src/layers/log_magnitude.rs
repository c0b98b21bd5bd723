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

use super::fixed::{column, lookup, remainder};
use super::logarithm::LogTables;
use super::lowering::{Layer, Value, exactly, layer_header};
use super::values::{map_values, try_map_values};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::Table;
use crate::gkr::tables::TableColumn::Values;

/// `(w, |w|, octaves)` for `w = ±2^k`.
fn power_table(octaves: &[i64]) -> Table {
    let bits = (2 * octaves.len()).next_power_of_two().trailing_zeros() as usize;
    // The last row is repeated: a legal row.
    let row = |i: usize| i.min(2 * octaves.len() - 1);
    let power = |i: usize| 1i64 << (row(i) / 2);
    let signed = (0..1usize << bits).map(|i| if row(i) % 2 == 0 { power(i) } else { -power(i) }).collect();
    let powers = (0..1usize << bits).map(power).collect();
    let logs = (0..1usize << bits).map(|i| octaves[row(i) / 2]).collect();
    let columns = vec![Values(signed), Values(powers), Values(logs)];
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
    tables.check(name)?;
    let (shape, top, m) = (p.shape(x), tables.top, tables.mantissa_bits);
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
    let signed =
        p.witness(&format!("{name}: signed power"), shape, bounds(0), &[odd], move |t| try_map_values(t[0], shift))?;
    let power =
        p.witness(&format!("{name}: power"), shape, bounds(1), &[signed], |t| Ok(map_values(t[0], i128::abs)))?;
    let octaves = tables.shifts.clone();
    let octave = p.witness(&format!("{name}: octaves"), shape, bounds(2), &[power], move |t| {
        Ok(map_values(t[0], |v| v.checked_ilog2().and_then(|k| octaves.get(k as usize)).map_or(0, |&l| l.into())))
    })?;
    let id = p.table(table)?;
    p.lookup([signed, power, octave].map(|id| column(p.whole(id))).to_vec(), id)?;
    let product = p.product(&format!("{name}: shifted"), p.whole(odd), p.whole(signed))?;
    let scaled = p.linear(&format!("{name}: scaled"), vec![(1, p.whole(product)), (floor, p.whole(power))], 0)?;
    let log_table = tables.log_table();
    let (low, high) = log_table.column_range(0);
    let mantissa = p.witness(&format!("{name}: mantissa"), shape, (low.into(), high.into()), &[scaled], move |t| {
        Ok(map_values(t[0], |v| v >> (top - m)))
    })?;
    remainder(p, name, scaled, mantissa, top - m)?;
    let log = lookup(p, &format!("{name}: of mantissa"), mantissa, &log_table)?;
    p.linear(name, vec![(1, p.whole(log)), (-1, p.whole(octave))], 0)
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
