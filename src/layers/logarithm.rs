//! Logarithm of wide integers: a shift by a looked-up power of two, then a mantissa table.
//!
//! ```text
//! (2^k, k·ln 2) ∈ table,  0 ≤ k ≤ K                                     one lookup
//! 2^k·x = 2^(top − m)·q + rem,  rem ∈ [0, 2^(top − m))                  q is an argument of the table of ln
//! y = ln q − k·ln 2
//! ```
//!
//! `q ∈ [2^m, 2^(m+1))`, so `2^k·x ∈ [2^top, 2^(top+1))`: only one `k` and `q` do that, and none for `x < F = 2^(top − K)`.
//!
//! The logarithm of `max(x, F)` has one more row in its table of shifts, and a bit `b` that is only set there:
//!
//! ```text
//! (w, b, o) ∈ {(2^k, 0, k·ln 2)} ∪ {(−1, 1, o_F)}
//! w·x + (2^top + F − 1)·b = 2^(top − m)·q + rem
//! ```
//!
//! That row makes the left side `2^top + (F − 1 − x)`, which is at least `2^top` exactly for `x < F`, where no shift is
//! long enough. For `x ≥ 0` it is below `2^top + F`, and as `K ≥ m` gives `q = 2^m`: the result is one constant. So the
//! maximum needs neither a comparison nor a range proof of its own, only the bit.
//!
//! Where shifts are longer than 61 bits, they are two factors of one row.

use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::{Table, TableColumn};
use crate::layers::fixed::{MAX_BITS, column, lookup, remainder};

/// Longest shift by one looked-up factor.
const ONE_FACTOR: usize = 61;
/// Longest shift: two factors of them, and the bits of what is shifted, stay below what programs admit.
const MAX_SHIFT: usize = 75;

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
    /// The result for all arguments below `2^(top − max_shift)`, if they have one.
    pub least: Option<i64>,
}

impl LogTables {
    /// Tables for arguments `x` in `[2^(top − max_shift), 2^(top+1))` that stand for `x·2^−scale`.
    #[must_use]
    pub fn new(top: usize, max_shift: usize, mantissa_bits: usize, scale: usize, fraction_bits: usize) -> Self {
        Self::in_units(top, max_shift, mantissa_bits, scale as f64, fraction_bits, 1.0)
    }

    /// The same for a scale that is no whole number of bits and logarithms times `unit`, which is 10/ln 10 for decibels.
    #[must_use]
    pub fn in_units(
        top: usize,
        max_shift: usize,
        mantissa_bits: usize,
        scale: f64,
        fraction_bits: usize,
        unit: f64,
    ) -> Self {
        let one = unit * (fraction_bits as f64).exp2();
        let shifts = (0..=max_shift).map(|k| (one * k as f64 * std::f64::consts::LN_2).round() as i64).collect();
        let shift = (top as f64 - mantissa_bits as f64 - scale) * std::f64::consts::LN_2;
        let first = 1u64 << mantissa_bits;
        let log = |q: u64| (one * ((q as f64 + 0.5).ln() + shift)).round() as i64;
        let logs = (first..2 * first).map(log).collect();
        Self { top, mantissa_bits, max_shift, fraction_bits, shifts, logs, least: None }
    }

    /// The same tables with a result for arguments that are too small, zero among them.
    #[must_use]
    pub fn with_least(self, least: i64) -> Self {
        Self { least: Some(least), ..self }
    }

    /// Refuses tables that no importer makes: they may come from a file.
    pub(super) fn check(&self, name: &str) -> Result<(), ProgramError> {
        let sound = self.mantissa_bits <= 20
            && self.mantissa_bits < self.top
            && self.top <= MAX_BITS
            && self.logs.len() == 1 << self.mantissa_bits
            && (1..=MAX_SHIFT + 1).contains(&self.shifts.len());
        // The constant of the smallest arguments needs their floor, and that they all have one mantissa.
        let longest = self.shifts.len().saturating_sub(1);
        let floored = self.least.is_none() || (self.mantissa_bits..=self.top).contains(&longest);
        if sound && floored {
            return Ok(());
        }
        Err(ProgramError::TooLarge(format!("the tables of the logarithm `{name}`")))
    }

    /// [`LogTables::check`] for who shifts by one factor and has no least result.
    pub(super) fn check_plain(&self, name: &str) -> Result<(), ProgramError> {
        self.check(name)?;
        if self.shifts.len() <= ONE_FACTOR + 1 && self.least.is_none() {
            return Ok(());
        }
        Err(ProgramError::TooLarge(format!("the tables of the logarithm `{name}`")))
    }

    /// Factors of a shift by `k`. No two shifts have the same first factor, nor −1: a prover finds rows by it.
    fn factors(&self, k: usize) -> Vec<i64> {
        let longest = self.shifts.len().saturating_sub(1);
        match longest.checked_sub(ONE_FACTOR) {
            None | Some(0) => vec![1 << k],
            Some(_) if k <= ONE_FACTOR => vec![1 << k, 1],
            Some(rest) => vec![-(1 << (k - rest)), -(1 << rest)],
        }
    }

    /// Rows of the table of shifts: factors, the bit if there is one, and what is subtracted.
    fn rows(&self) -> Vec<Vec<i64>> {
        let row = |(k, &octaves): (usize, &i64)| {
            let mut row = self.factors(k);
            row.extend(self.least.map(|_| 0));
            row.push(octaves);
            row
        };
        let mut rows: Vec<Vec<i64>> = self.shifts.iter().enumerate().map(row).collect();
        if let Some(least) = self.least {
            let mut row = vec![1; self.factors(0).len()];
            row[0] = -1;
            row.extend([1, self.logs.first().copied().unwrap_or(0).saturating_sub(least)]);
            rows.push(row);
        }
        rows
    }

    /// `(2^k, k·ln 2)`, and as many factors and bits as there are.
    fn shift_table(&self) -> Table {
        let rows = self.rows();
        let bits = rows.len().next_power_of_two().trailing_zeros() as usize;
        // The last row is repeated: a legal row.
        let entry = |i: usize, c: usize| rows[i.min(rows.len() - 1)][c];
        let columns =
            (0..rows[0].len()).map(|c| TableColumn::values((0..1usize << bits).map(|i| entry(i, c)).collect()));
        Table { name: "shift".into(), bits, columns: columns.collect() }
    }

    pub(super) fn log_table(&self) -> Table {
        Table::function("ln", 1 << self.mantissa_bits, self.logs.clone())
    }

    /// The row of the table of shifts that belongs to an argument.
    fn row_of(&self, x: i128) -> Result<usize, String> {
        let longest = self.shifts.len() - 1;
        let Some(bits) = u128::try_from(x).ok().and_then(u128::checked_ilog2) else {
            let least = if x == 0 { self.least } else { None };
            return least.map(|_| longest + 1).ok_or_else(|| "the logarithm of zero".into());
        };
        match self.top.checked_sub(bits as usize) {
            None => Err("an argument beyond the logarithm's table".into()),
            Some(shift) if shift <= longest => Ok(shift),
            Some(_) if self.least.is_some() => Ok(longest + 1),
            Some(_) => Err("too small a value".into()),
        }
    }
}

/// Logarithm of `x > 0`, or of `max(x, 2^(top − max_shift))` if the tables have a least result, to about
/// `mantissa_bits` bits.
pub fn logarithm(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    tables: &LogTables,
) -> Result<TensorId, ProgramError> {
    tables.check(name)?;
    let (shape, top) = (p.shape(x), tables.top);
    let (table, factors) = (tables.shift_table(), tables.factors(0).len());
    let names = ["power", "second power"].into_iter().take(factors);
    let names: Vec<&str> = names.chain(tables.least.map(|_| "below")).chain(["octaves"]).collect();
    let mut columns = Vec::with_capacity(names.len());
    for (c, what) in names.iter().enumerate() {
        let (low, high) = table.column_range(c);
        let (rows, of) = (tables.rows(), tables.clone());
        let hint = move |v: i128| of.row_of(v).map(|row| rows[row][c].into());
        columns.push(p.witness(
            &format!("{name}: {what}"),
            shape,
            (low.into(), high.into()),
            &[x],
            Hint::try_entrywise(hint),
        )?);
    }
    let id = p.table(table)?;
    p.lookup(columns.iter().map(|&id| column(p.whole(id))).collect(), id)?;
    let mut scaled = x;
    for &power in &columns[..factors] {
        scaled = p.product(&format!("{name}: scaled"), p.whole(scaled), p.whole(power))?;
    }
    if tables.least.is_some() {
        let floor = 1i128 << (top - (tables.shifts.len() - 1));
        let terms = vec![(1, p.whole(scaled)), ((1i128 << top) + floor - 1, p.whole(columns[factors]))];
        scaled = p.linear(&format!("{name}: floored"), terms, 0)?;
    }
    of_scaled(p, name, scaled, columns[names.len() - 1], tables)
}

/// The logarithm of what was scaled to `[2^top, 2^(top+1))`: that of its mantissa, less the octaves that it was scaled by.
pub(super) fn of_scaled(
    p: &mut ProgramBuilder,
    name: &str,
    scaled: TensorId,
    octave: TensorId,
    tables: &LogTables,
) -> Result<TensorId, ProgramError> {
    let (log_table, shift) = (tables.log_table(), tables.top - tables.mantissa_bits);
    let (low, high) = log_table.column_range(0);
    let bounds = (low.into(), high.into());
    let hint = Hint::entrywise(move |v| v >> shift);
    let mantissa = p.witness(&format!("{name}: mantissa"), p.shape(scaled), bounds, &[scaled], hint)?;
    remainder(p, name, scaled, mantissa, shift)?;
    let log = lookup(p, &format!("{name}: of mantissa"), mantissa, &log_table)?;
    p.linear(name, vec![(1, p.whole(log)), (-1, p.whole(octave))], 0)
}
