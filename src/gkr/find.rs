//! Finds looked-up tuples in their tables, a block at a time.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::collections::HashMap;
use std::sync::Arc;

use super::program::Column;
use super::tables::{Table, TableColumn};
use super::trace::Trace;
use crate::sumcheck::int::{IntTable, dispatch};

/// A looked-up column with its values at hand.
pub(super) struct LookupColumn<'a> {
    column: &'a Column,
    table: Arc<IntTable>,
}

impl<'a> LookupColumn<'a> {
    pub(super) fn new(trace: &Trace, column: &'a Column) -> Self {
        Self { column, table: trace.view(&column.view) }
    }

    /// The scaled value of entry `i`, counted row by row.
    pub(super) fn value(&self, i: usize) -> i128 {
        let mut value = [0];
        self.values(i, &mut value);
        value[0]
    }

    /// The scaled values of entries `start…`.
    fn values(&self, start: usize, out: &mut [i128]) {
        let (scale, offset) = (i128::from(self.column.scale), i128::from(self.column.offset));
        dispatch!(self.table.values(), values => {
            for (out, &value) in out.iter_mut().zip(&values[start..]) {
                *out = Into::<i128>::into(value).wrapping_mul(scale).wrapping_add(offset);
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
            TableColumn::Values(values) => {
                values.iter().enumerate().rev().map(|(i, &value)| (value, i as u32)).collect()
            }
        };
        Self { table, first }
    }

    /// The entries of tuples `start…`, at most [`FIND_BLOCK`] of them.
    pub(super) fn find(&self, columns: &[LookupColumn<'_>], start: usize, out: &mut [u32]) {
        let mut values = [0i128; FIND_BLOCK];
        let values = &mut values[..out.len()];
        columns[0].values(start, values);
        match &self.table.columns[0] {
            TableColumn::Counter { start } => {
                let (start, len) = (i128::from(*start), self.table.len() as i128);
                for (out, &value) in out.iter_mut().zip(values.iter()) {
                    let index = value.wrapping_sub(start);
                    *out = if (0..len).contains(&index) { index as u32 } else { MISSING };
                }
            }
            TableColumn::Values(_) => {
                for (out, &value) in out.iter_mut().zip(values.iter()) {
                    let entry = i64::try_from(value).ok().and_then(|value| self.first.get(&value));
                    *out = entry.copied().unwrap_or(MISSING);
                }
            }
        }
        for (k, column) in columns.iter().enumerate().skip(1) {
            column.values(start, values);
            for (out, &value) in out.iter_mut().zip(values.iter()) {
                if *out != MISSING && value != i128::from(self.table.entry(k, *out as usize)) {
                    *out = MISSING;
                }
            }
        }
    }
}
