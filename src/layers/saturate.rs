//! Clamping: `z = f(clamp(q))` for the quotient `q = ⌊x / 2^shift + 1/2⌋` of a value of any size.
//!
//! A table of `W = 2^b` arguments from `L` on is extended beyond them by its outermost values. How far depends on the
//! interval that `x` is *enforced* to lie in, so that no value is out of reach, and there are two ways:
//!
//! ```text
//! Wide    one table of (q, f(clamp(q))) for every q there can be: the two lookups of a value that may not be clamped
//! Split   q = y + W·h      (h, s) ∈ signs:    s = sign(h), for every h there can be
//!                          (y + W·s, s, f) ∈ table:
//!                             u = y + W·s   [L − W, L)     [L, L + W)     [L + W, L + 2W)
//!                             s             −1             0              1
//!                             f             f(L)           f(u)           f(L + W − 1)
//! Both    x + 2^(shift−1) − 2^shift·q ∈ [0, 2^shift)
//! ```
//!
//! `Split` costs one lookup more, and is taken where the wide table would have more entries than that has tuples. Where even
//! the table of signs has too many, `s` and `b` of `{(−1, 1), (0, 0), (1, 1)}` are shown to be the sign of `h` and its square by
//! `b·h = h` and `s·h − b ≥ 0`: for `s = 0` the first leaves `h = 0`, for the others the second leaves `h` of that sign.
//!
//! # Soundness
//! `x`, `y`, `h` and `s` are combinations of ranged integers, so the remainder's range leaves one integer `q`. With `s = 0`
//! the first table leaves `h = 0`, with `s = 1` it leaves `h ≥ 1`, with `s = −1` `h ≤ −1`; in all three cases the second one
//! leaves `y ∈ [L, L + W)`. So `h` and `y` are quotient and remainder of `q − L`, and `f` is that of `clamp(q)`: one solution.
//! A table has a power of two of lines, and its last quarter has a sign that no `h` has. No entry of padding is looked up: all
//! relations are on real entries, and committed padding is proved zero as everywhere.
//!
//! Levels are a table that starts at the smallest one and whose arguments above the largest have its value: where these are left over
//! because their number is a power of two, a clamp at the table's end and one at the largest level are the same.
//!
//! Where `f` is close to its argument, `f` and `n = f − y` are committed instead of `y`: all of `n`, or most of it, is zero,
//! and zeros cost a commitment nothing.

use num_bigint::BigInt;
use serde::{Deserialize, Serialize};

use super::affine::Function;
use super::fixed::{self, column, remainder, rounded};
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::{Table, TableColumn};
use crate::gkr::view::View;

/// Bits of the largest table that is made for clamping.
const MAX_TABLE_BITS: u32 = 20;

/// What a clamped quotient becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clamped {
    /// Itself, of this many bits, a sign included.
    Quotient {
        /// Bits kept.
        bits: u32,
    },
    /// The larger of it and zero.
    Rectified {
        /// Bits of the argument, a sign included.
        bits: u32,
    },
    /// A function of it.
    Function(Function),
    /// Itself, within bounds that the model prescribes.
    Levels {
        /// The smallest.
        low: i32,
        /// The largest.
        high: i32,
    },
}

impl Clamped {
    /// The table before it is extended.
    fn table(&self, name: &str) -> Result<Table, ProgramError> {
        let line = |kind: &str, bits: u32, f: fn(i64) -> i64| {
            if !(1..=MAX_TABLE_BITS - 2).contains(&bits) {
                return Err(ProgramError::TooLarge(format!("the table that clamps `{name}`, of {bits} bits")));
            }
            let half = 1i64 << (bits - 1);
            Ok(Table::function(format!("{kind}{bits}"), -half, (-half..half).map(f).collect()))
        };
        match self {
            Self::Quotient { bits } => line("quotient", *bits, |q| q),
            Self::Rectified { bits } => line("relu", *bits, |q| q.max(0)),
            // Arguments are a power of two: those that `high` leaves over become `high`.
            Self::Levels { low, high } => {
                let (low, high) = (i64::from(*low), i64::from(*high));
                let entries = u64::try_from(high - low + 1).ok().filter(|&n| n > 0).map(u64::next_power_of_two);
                let entries = entries.filter(|&n| n <= 1 << (MAX_TABLE_BITS - 2));
                let entries = entries.ok_or_else(|| {
                    ProgramError::TooLarge(format!("the table of `{name}`, of the levels from {low} to {high}"))
                })? as i64;
                let values = (low..low + entries).map(|q| q.min(high)).collect();
                Ok(Table::function(format!("levels {low} to {high}"), low, values))
            }
            Self::Function(function) => {
                let table = function.table();
                if table.is_well_formed() && table.bits + 2 <= MAX_TABLE_BITS as usize {
                    return Ok(table);
                }
                Err(ProgramError::TooLarge(format!("the table that clamps `{name}`")))
            }
        }
    }

    /// Whether the difference from the argument is committed in place of the argument.
    fn is_close(&self) -> bool {
        !matches!(self, Self::Function(_))
    }

    /// `f(clamp(⌊x / 2^shift + 1/2⌋))`.
    ///
    /// # Errors
    /// If the tables would be too large.
    pub fn lower(&self, p: &mut ProgramBuilder, name: &str, x: TensorId, shift: usize) -> Result<TensorId, ModelError> {
        let table = self.table(name)?;
        let x = rounded(p, name, x, shift)?;
        let quotients = Quotients::new(p, x, shift, table.column_range(0));
        let (rows, cols) = p.shape(x);
        let tuples = (rows as u64).saturating_mul(cols as u64);
        let clamp = Clamp { name, x, shift, table, close: self.is_close() };
        Ok(match quotients.wide_bits() {
            Some(bits) if 1 << bits <= quotients.split_cost(p.range_bits(), tuples) => {
                clamp.wide(p, &quotients, bits)?
            }
            _ => clamp.split(p, &quotients)?,
        })
    }
}

/// Every quotient that there can be, and those of the table.
struct Quotients {
    low: BigInt,
    high: BigInt,
    /// First argument of the table.
    first: i64,
    /// Bits of the number of its arguments.
    bits: u32,
}

/// Bits of the table of the smallest power of two of consecutive integers that holds both.
fn bits_between(low: &BigInt, high: &BigInt) -> u32 {
    u32::try_from((high - low).bits()).unwrap_or(u32::MAX)
}

impl Quotients {
    /// For `x`, to which half a step has been added.
    fn new(p: &ProgramBuilder, x: TensorId, shift: usize, (first, last): (i64, i64)) -> Self {
        let (low, high) = p.bounds(x);
        let bits = ((last - first) as u64 + 1).trailing_zeros();
        let (low, high) = ((low >> shift).min(first.into()), (high >> shift).max(last.into()));
        Self { low, high, first, bits }
    }

    /// Bits of the wide table, if it may be made.
    fn wide_bits(&self) -> Option<u32> {
        Some(bits_between(&self.low, &self.high)).filter(|&bits| bits <= MAX_TABLE_BITS)
    }

    /// Smallest and largest `h` of `q = y + W·h`.
    fn parts(&self) -> [BigInt; 2] {
        [&self.low, &self.high].map(|q| (q - self.first) >> self.bits)
    }

    /// Lookups of a value that show the sign of `h` by comparison, with range tables of this many bits.
    fn comparisons(&self, range_bits: usize) -> u64 {
        let bits = self.parts().iter().map(BigInt::bits).max().unwrap_or(0) + 1;
        1 + 2 * bits.div_ceil(range_bits as u64)
    }

    /// Bits of the table of signs, if it has fewer leaves than comparisons.
    fn sign_table_bits(&self, range_bits: usize, tuples: u64) -> Option<u32> {
        let [low, high] = self.parts();
        let bits = bits_between(&low, &high);
        let compared = tuples.saturating_mul(self.comparisons(range_bits));
        Some(bits).filter(|&bits| bits <= MAX_TABLE_BITS && (1 << bits) + tuples <= compared)
    }

    /// Entries of the tables of a split, and the lookups that it adds.
    fn split_cost(&self, range_bits: usize, tuples: u64) -> u64 {
        let signs = match self.sign_table_bits(range_bits, tuples) {
            Some(bits) => (1 << bits) + tuples,
            None => tuples.saturating_mul(self.comparisons(range_bits)),
        };
        signs.saturating_add(4 << self.bits)
    }
}

/// A clamp that is being lowered.
struct Clamp<'a> {
    name: &'a str,
    /// With half a step added.
    x: TensorId,
    shift: usize,
    table: Table,
    close: bool,
}

/// How an integer quotient is seen by a clamp.
#[derive(Clone)]
struct Shape {
    table: Table,
    first: i128,
    last: i128,
    width: i128,
}

impl Shape {
    fn new(table: &Table) -> Self {
        let (first, last) = table.column_range(0);
        Self { table: table.clone(), first: first.into(), last: last.into(), width: i128::from(last - first) + 1 }
    }

    /// `f(clamp(q))`.
    fn value(&self, q: i128) -> i64 {
        self.table.entry(1, (q.clamp(self.first, self.last) - self.first) as usize)
    }

    /// `h` of `q = y + W·h`.
    fn part(&self, q: i128) -> i128 {
        (q - self.first).div_euclid(self.width)
    }

    /// `y` of `q = y + W·h`.
    fn argument(&self, q: i128) -> i128 {
        q - self.width * self.part(q)
    }

    /// The sign of an argument of the table of a split; 2 is that of no quotient.
    fn side(&self, u: i128) -> i128 {
        (u - self.first).div_euclid(self.width)
    }
}

impl Clamp<'_> {
    /// The table that is looked up, from `start` on: `u`, the sign if the quotient is split, `f`, and what is committed
    /// beside `f`, unless that is `u`.
    fn extended(&self, start: i64, bits: u32, split: bool) -> Table {
        let shape = Shape::new(&self.table);
        let sign = |u| if split { shape.side(u) } else { 0 };
        let argument = |u| u - shape.width * sign(u);
        let values = |line: &dyn Fn(i128) -> i128| {
            TableColumn::values((start..start + (1i64 << bits)).map(|u| line(u.into()) as i64).collect())
        };
        let mut columns = vec![TableColumn::Counter { start }];
        if split {
            columns.push(values(&sign));
        }
        columns.push(values(&|u| shape.value(u).into()));
        if self.close {
            columns.push(values(&|u| i128::from(shape.value(u)) - argument(u)));
        } else if split {
            columns.push(values(&argument));
        }
        let kind = if split { "clamped by parts" } else { "clamped" };
        Table { name: format!("{} {kind} {bits}.{start}", self.table.name), bits: bits as usize, columns }
    }

    /// The results, and what is committed beside them; `argument` says which part of a quotient the table sees.
    fn results(
        &self,
        p: &mut ProgramBuilder,
        extended: &Table,
        argument: fn(&Shape, i128) -> i128,
    ) -> Result<[TensorId; 2], ProgramError> {
        let (shape, size, shift) = (Shape::new(&self.table), p.shape(self.x), self.shift);
        let (low, high) = self.table.column_range(1);
        let of = shape.clone();
        let z = p.witness(
            self.name,
            size,
            (low.into(), high.into()),
            &[self.x],
            Hint::entrywise(move |v| of.value(v >> shift).into()),
        )?;
        let name = if self.close { "difference" } else { "argument" };
        // The column after that of the function, or the first one if there is none.
        let column = if extended.columns.len() == 2 { 0 } else { extended.columns.len() - 1 };
        let (low, high) = extended.column_range(column);
        let close = self.close;
        let other = p.witness(
            &format!("{}: {name}", self.name),
            size,
            (low.into(), high.into()),
            &[self.x],
            Hint::entrywise(move |v| {
                let q = v >> shift;
                let y = argument(&shape, q);
                if close { i128::from(shape.value(q)) - y } else { y }
            }),
        )?;
        Ok([z, other])
    }

    /// The part of a quotient that the table sees, as terms of a sum.
    fn argument_terms(&self, p: &ProgramBuilder, [z, other]: [TensorId; 2]) -> Vec<(i128, View)> {
        if self.close { vec![(1, p.whole(z)), (-1, p.whole(other))] } else { vec![(1, p.whole(other))] }
    }

    fn wide(&self, p: &mut ProgramBuilder, quotients: &Quotients, bits: u32) -> Result<TensorId, ProgramError> {
        let start = i64::try_from(&quotients.low).map_err(|_| self.too_large())?;
        let extended = self.extended(start, bits, false);
        let results = self.results(p, &extended, |_, q| q)?;
        let terms = self.argument_terms(p, results);
        let quotient = p.linear(&format!("{}: quotient", self.name), terms, 0)?;
        remainder(p, self.name, self.x, quotient, self.shift)?;
        let table = p.table(extended)?;
        let [z, other] = results;
        let looked_up = if self.close { vec![quotient, z, other] } else { vec![other, z] };
        p.lookup(looked_up.into_iter().map(|id| column(p.whole(id))).collect(), table)?;
        Ok(z)
    }

    fn split(&self, p: &mut ProgramBuilder, quotients: &Quotients) -> Result<TensorId, ProgramError> {
        let shape = Shape::new(&self.table);
        let [h, s] = self.side(p, quotients)?;
        let first = shape.first - shape.width;
        let extended = self.extended(first as i64, quotients.bits + 2, true);
        let results = self.results(p, &extended, Shape::argument)?;
        let with = |p: &ProgramBuilder, part: TensorId| {
            let mut terms = self.argument_terms(p, results);
            terms.push((shape.width, p.whole(part)));
            terms
        };
        let (of_h, of_s) = (with(p, h), with(p, s));
        let quotient = p.linear(&format!("{}: quotient", self.name), of_h, 0)?;
        remainder(p, self.name, self.x, quotient, self.shift)?;
        let seen = p.linear(&format!("{}: seen", self.name), of_s, 0)?;
        let table = p.table(extended)?;
        let [z, other] = results;
        p.lookup([seen, s, z, other].map(|id| column(p.whole(id))).to_vec(), table)?;
        Ok(z)
    }

    /// `h` of `q = y + W·h`, and its sign: by a table of every `h`, or by comparison with zero where that takes less.
    fn side(&self, p: &mut ProgramBuilder, quotients: &Quotients) -> Result<[TensorId; 2], ProgramError> {
        let (size, shift, shape) = (p.shape(self.x), self.shift, Shape::new(&self.table));
        let part = Hint::entrywise(move |v| shape.part(v >> shift));
        let (beyond, side) = (format!("{}: beyond", self.name), format!("{}: side", self.name));
        let [low, high] = quotients.parts();
        let tuples = (size.0 as u64).saturating_mul(size.1 as u64);
        if let Some(bits) = quotients.sign_table_bits(p.range_bits(), tuples) {
            let start = i64::try_from(low).map_err(|_| self.too_large())?;
            let signs = (start..start + (1 << bits)).map(i64::signum).collect();
            let signs = Table::function(format!("signs {bits}.{start}"), start, signs);
            let ends = (start.into(), i128::from(start) + (1 << bits) - 1);
            let h = p.witness(&beyond, size, ends, &[self.x], part)?;
            return Ok([h, fixed::lookup(p, &side, h, &signs)?]);
        }
        // h = s²·h and s·h − s² ≥ 0 hold for the sign s of h and for no other of −1, 0, 1.
        let bits = low.bits().max(high.bits()) as usize + 1;
        let h = fixed::integer(p, &beyond, size, bits, &[self.x], part)?;
        let s = p.witness(&side, size, (-1, 1), &[h], Hint::entrywise(i128::signum))?;
        let nonzero = Hint::entrywise(|h| i128::from(h != 0));
        let square = p.witness(&format!("{side}, squared"), size, (0, 1), &[h], nonzero)?;
        let columns = [vec![-1, 0, 1, 0], vec![1, 0, 1, 0]].map(TableColumn::values).to_vec();
        let squares = p.table(Table { name: "squares of signs".into(), bits: 2, columns })?;
        p.lookup([s, square].map(|id| column(p.whole(id))).to_vec(), squares)?;
        let magnitude = p.product(&format!("{side}: magnitude"), p.whole(s), p.whole(h))?;
        let kept = p.product(&format!("{side}: kept"), p.whole(square), p.whole(h))?;
        let lost = p.linear(&format!("{side}: lost"), vec![(1, p.whole(h)), (-1, p.whole(kept))], 0)?;
        p.zero(lost);
        let above = vec![(1, p.whole(magnitude)), (-1, p.whole(square))];
        let above = p.linear(&format!("{side}: above zero"), above, 0)?;
        fixed::range(p, &side, above, bits)?;
        Ok([h, s])
    }

    fn too_large(&self) -> ProgramError {
        ProgramError::TooLarge(format!("the tables that clamp `{}`", self.name))
    }
}
