//! Natural logarithm of wide integers: a shift by a looked-up power of two, then a mantissa table.

use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::Table;
use crate::gkr::tables::TableColumn::Values;
use crate::layers::fixed::{MAX_BITS, column, lookup, map_values, remainder, values};

/// Tables of [`logarithm`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogTables {
    /// `top`: arguments are scaled into `[2^top, 2^(top+1))`.
    pub top: usize,
    /// Bits of the mantissa below its leading one.
    pub mantissa_bits: usize,
    /// Largest shift.
    pub max_shift: usize,
    /// Fraction bits of the result.
    pub fraction_bits: usize,
    /// `round(2^f·k·ln 2)` for shifts `k = 0 … max_shift`.
    pub shifts: Vec<i64>,
    /// `round(2^f·ln((q + 1/2)·2^(top − mantissa_bits − scale)))` for mantissas `q` from `2^mantissa_bits` on.
    pub logs: Vec<i64>,
}

impl LogTables {
    /// Tables for arguments `x` in `[2^(top − max_shift), 2^(top+1))` that stand for `x·2^−scale`.
    #[must_use]
    pub fn new(top: usize, max_shift: usize, mantissa_bits: usize, scale: usize, fraction_bits: usize) -> Self {
        let one = (fraction_bits as f64).exp2();
        let shifts = (0..=max_shift).map(|k| (one * k as f64 * std::f64::consts::LN_2).round() as i64).collect();
        let unit = (top as f64 - mantissa_bits as f64 - scale as f64) * std::f64::consts::LN_2;
        let first = 1u64 << mantissa_bits;
        let log = |q: u64| (one * ((q as f64 + 0.5).ln() + unit)).round() as i64;
        let logs = (first..2 * first).map(log).collect();
        Self { top, mantissa_bits, max_shift, fraction_bits, shifts, logs }
    }

    /// Refuses tables that no importer makes: they may come from a file.
    pub(super) fn check(&self, name: &str) -> Result<(), ProgramError> {
        let sound = self.mantissa_bits <= 20
            && self.mantissa_bits < self.top
            && self.top <= MAX_BITS
            && self.logs.len() == 1 << self.mantissa_bits
            && (1..=62).contains(&self.shifts.len());
        if sound { Ok(()) } else { Err(ProgramError::TooLarge(format!("the tables of the logarithm `{name}`"))) }
    }

    /// `(2^k, k·ln 2)`.
    fn shift_table(&self) -> Table {
        let bits = self.shifts.len().next_power_of_two().trailing_zeros() as usize;
        // The last row is repeated: a legal row.
        let k = |i: usize| i.min(self.shifts.len() - 1);
        let powers = (0..1usize << bits).map(|i| 1i64 << k(i)).collect();
        let logs = (0..1usize << bits).map(|i| self.shifts[k(i)]).collect();
        Table { name: "shift".into(), bits, columns: vec![Values(powers), Values(logs)] }
    }

    pub(super) fn log_table(&self) -> Table {
        Table::function("ln", 1 << self.mantissa_bits, self.logs.clone())
    }
}

/// Natural logarithm of `x > 0` to about `mantissa_bits` bits.
///
/// A looked-up `2^k` brings `x·2^k` into `[2^top, 2^(top+1))`: it equals `2^(top−m)·q + rem` with `q` an
/// argument of the logarithm's table, hence in `[2^m, 2^(m+1))`, and ranged `rem`. Only one `k` and `q` do
/// that. The result is `ln q − k·ln 2`, both looked up.
pub fn logarithm(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    tables: &LogTables,
) -> Result<TensorId, ProgramError> {
    tables.check(name)?;
    let shape = p.shape(x);
    let (top, m) = (tables.top, tables.mantissa_bits);
    let shift = move |v: i128| -> Result<usize, String> {
        let bits = (v.max(0) as u128).checked_ilog2().ok_or("the logarithm of zero")? as usize;
        top.checked_sub(bits).ok_or_else(|| "an argument beyond the logarithm's table".to_owned())
    };
    let table = tables.shift_table();
    let (_, high) = table.column_range(0);
    let power = p.witness(&format!("{name}: power"), shape, (1, high.into()), &[x], move |t| {
        values(t[0]).map(|v| Ok(1i128 << shift(v)?)).collect()
    })?;
    let (low, high) = table.column_range(1);
    let logs = tables.shifts.clone();
    let octave = p.witness(&format!("{name}: octaves"), shape, (low.into(), high.into()), &[power], move |t| {
        values(t[0])
            .map(|v| {
                let log = v.checked_ilog2().and_then(|k| logs.get(k as usize));
                log.map(|&l| i128::from(l)).ok_or_else(|| "too small a value".to_owned())
            })
            .collect()
    })?;
    let id = p.table(table)?;
    p.lookup(vec![column(p.whole(power)), column(p.whole(octave))], id)?;
    let scaled = p.product(&format!("{name}: scaled"), p.whole(x), p.whole(power))?;
    let log_table = tables.log_table();
    let (low, high) = log_table.column_range(0);
    let mantissa = p.witness(&format!("{name}: mantissa"), shape, (low.into(), high.into()), &[scaled], move |t| {
        Ok(map_values(t[0], |v| v >> (top - m)))
    })?;
    remainder(p, name, scaled, mantissa, top - m)?;
    let log = lookup(p, &format!("{name}: of mantissa"), mantissa, &log_table)?;
    p.linear(name, vec![(1, p.whole(log)), (-1, p.whole(octave))], 0)
}
