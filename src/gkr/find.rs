//! Finds looked-up tuples in their tables, a block at a time.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::collections::HashMap;
use std::sync::Arc;

use super::program::Column;
use super::tables::{Table, TableColumn};
use super::trace::Trace;
use crate::sumcheck::int::{IntTable, SmallInt, dispatch};

/// An integer in which columns are scaled and compared.
trait Word: Copy + Default + PartialEq + From<i64> {
    /// `scale·value + offset`.
    fn scaled<I: SmallInt>(value: I, scale: i64, offset: i64) -> Self;
    /// `self − start`, if it is below `len`.
    fn index(self, start: i64, len: usize) -> Option<u32>;
    /// The same integer, if it has 64 bits.
    fn narrow(self) -> Option<i64>;
}

/// For columns that are [narrow](LookupColumn::is_narrow).
impl Word for i64 {
    #[inline(always)]
    fn scaled<I: SmallInt>(value: I, scale: i64, offset: i64) -> Self {
        Into::<i128>::into(value) as i64 * scale + offset
    }

    #[inline(always)]
    fn index(self, start: i64, len: usize) -> Option<u32> {
        // Words have 63 bits, so no difference is near 2^64.
        let index = self.wrapping_sub(start) as u64;
        (index < len as u64).then_some(index as u32)
    }

    fn narrow(self) -> Option<i64> {
        Some(self)
    }
}

impl Word for i128 {
    fn scaled<I: SmallInt>(value: I, scale: i64, offset: i64) -> Self {
        Into::<i128>::into(value).wrapping_mul(scale.into()).wrapping_add(offset.into())
    }

    fn index(self, start: i64, len: usize) -> Option<u32> {
        let index = usize::try_from(self.wrapping_sub(start.into())).ok().filter(|&index| index < len)?;
        Some(index as u32)
    }

    fn narrow(self) -> Option<i64> {
        i64::try_from(self).ok()
    }
}

/// A looked-up column with its values at hand.
pub(super) struct LookupColumn<'a> {
    column: &'a Column,
    table: Arc<IntTable>,
}

impl<'a> LookupColumn<'a> {
    pub(super) fn new(trace: &Trace, column: &'a Column) -> Self {
        Self { column, table: trace.view(&column.view) }
    }

    /// Whether scaled values have 63 bits: 32 of the integer, 30 of the factor.
    fn is_narrow(&self) -> bool {
        let Column { scale, offset, .. } = self.column;
        self.table.values().width() <= 4 && scale.unsigned_abs() <= 1 << 30 && offset.unsigned_abs() <= 1 << 61
    }

    /// The scaled value of entry `i`, counted row by row.
    pub(super) fn value(&self, i: usize) -> i128 {
        let mut value = [0];
        self.values(i, &mut value);
        value[0]
    }

    /// The scaled values of entries `start…`.
    fn values<W: Word>(&self, start: usize, out: &mut [W]) {
        let Column { scale, offset, .. } = *self.column;
        dispatch!(self.table.values(), values => {
            let values = out.iter_mut().zip(&values[start..]);
            // Most columns are as they are, and multiplications are what this loop costs.
            if scale == 1 {
                values.for_each(|(out, &value)| *out = W::scaled(value, 1, offset));
            } else {
                values.for_each(|(out, &value)| *out = W::scaled(value, scale, offset));
            }
        });
    }
}

/// Finds tuples in a table.
pub(super) struct TableIndex<'a> {
    pub(super) table: &'a Table,
    first: HashMap<i64, u32>,
}

/// Tuples that are found in one go.
pub(super) const FIND_BLOCK: usize = 64;
/// Stands for the entry of a tuple that is not in the table.
pub(super) const MISSING: u32 = u32::MAX;

impl<'a> TableIndex<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        let first = match &table.columns[0] {
            TableColumn::Counter { .. } => HashMap::new(),
            TableColumn::Positive | TableColumn::Negative | TableColumn::Values(_) => {
                (0..table.len()).rev().map(|i| (table.entry(0, i), i as u32)).collect()
            }
        };
        Self { table, first }
    }

    /// The entries of tuples `start…`, at most [`FIND_BLOCK`] of them.
    pub(super) fn find(&self, columns: &[LookupColumn<'_>], start: usize, out: &mut [u32]) {
        if columns.iter().all(LookupColumn::is_narrow) {
            self.find_words::<i64>(columns, start, out);
        } else {
            self.find_words::<i128>(columns, start, out);
        }
    }

    fn find_words<W: Word>(&self, columns: &[LookupColumn<'_>], start: usize, out: &mut [u32]) {
        let mut values = [W::default(); FIND_BLOCK];
        let values = &mut values[..out.len()];
        columns[0].values(start, values);
        match &self.table.columns[0] {
            TableColumn::Counter { start } => {
                for (out, value) in out.iter_mut().zip(values.iter()) {
                    *out = value.index(*start, self.table.len()).unwrap_or(MISSING);
                }
            }
            TableColumn::Positive | TableColumn::Negative | TableColumn::Values(_) => {
                for (out, value) in out.iter_mut().zip(values.iter()) {
                    let entry = value.narrow().and_then(|value| self.first.get(&value));
                    *out = entry.copied().unwrap_or(MISSING);
                }
            }
        }
        for (k, column) in columns.iter().enumerate().skip(1) {
            column.values(start, values);
            for (out, &value) in out.iter_mut().zip(values.iter()) {
                if *out != MISSING && value != W::from(self.table.entry(k, *out as usize)) {
                    *out = MISSING;
                }
            }
        }
    }
}
