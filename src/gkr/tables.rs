//! Lookup tables: what they hold and how the verifier evaluates them.

use std::sync::Arc;

use serde::Serialize;

use crate::gkr::Fr;
use crate::sumcheck::eq::eq_table;
use crate::sumcheck::small::dot;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TableColumn {
    /// `start, start + 1, …`: evaluated in closed form.
    Counter {
        /// The first entry.
        start: i64,
    },
    /// Any integers.
    Values(Vec<i64>),
}

/// A table of `2^bits` tuples. Its entries are the verifier's, part of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Name, for errors.
    pub name: String,
    /// Number of entries, as a power of two.
    pub bits: usize,
    /// The columns, all of `2^bits` entries.
    pub columns: Vec<TableColumn>,
}

impl Table {
    /// The integers of `[0, 2^bits)`.
    #[must_use]
    pub fn range(bits: usize) -> Self {
        Self { name: format!("range{bits}"), bits, columns: vec![TableColumn::Counter { start: 0 }] }
    }

    /// `(x, f(x))` for `2^bits` consecutive `x` from `start`.
    #[must_use]
    pub fn function(name: impl Into<String>, start: i64, values: Vec<i64>) -> Self {
        let bits = values.len().next_power_of_two().trailing_zeros() as usize;
        Self { name: name.into(), bits, columns: vec![TableColumn::Counter { start }, TableColumn::Values(values)] }
    }

    /// Number of entries.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a table has at least one entry
    pub fn len(&self) -> usize {
        1 << self.bits
    }

    /// Entry `index` of column `column`.
    ///
    /// # Panics
    /// If either is out of range.
    #[must_use]
    pub fn entry(&self, column: usize, index: usize) -> i64 {
        match &self.columns[column] {
            TableColumn::Counter { start } => start + index as i64,
            TableColumn::Values(values) => values[index],
        }
    }

    /// Smallest and largest entry of a column.
    ///
    /// # Panics
    /// If the column is out of range.
    #[must_use]
    pub fn column_range(&self, column: usize) -> (i64, i64) {
        match &self.columns[column] {
            TableColumn::Counter { start } => (*start, start + (self.len() as i64 - 1)),
            TableColumn::Values(values) => {
                (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0))
            }
        }
    }

    /// Whether all columns have `2^bits` entries.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.bits <= 24
            && self.columns.iter().all(|column| match column {
                TableColumn::Counter { start } => start.checked_add(1 << self.bits).is_some(),
                TableColumn::Values(values) => values.len() == self.len(),
            })
    }

    /// Extensions of all columns at `point` (`bits` coordinates).
    #[must_use]
    pub fn evaluate(&self, point: &[Fr]) -> Vec<Fr> {
        self.evaluate_with(point, || Arc::new(eq_table(point)))
    }

    /// [`Table::evaluate`], where `eq` gives the values of `eq(point, ·)`: it is called if they are needed, once.
    #[must_use]
    pub fn evaluate_with(&self, point: &[Fr], eq: impl FnOnce() -> Arc<Vec<Fr>>) -> Vec<Fr> {
        let needed = self.columns.iter().any(|column| matches!(column, TableColumn::Values(_)));
        let eq = if needed { eq() } else { Arc::default() };
        self.columns
            .iter()
            .map(|column| match column {
                TableColumn::Counter { start } => {
                    // Σ_i eq(r, i)·(start + i) = start + Σ_k 2^k·r_k.
                    let bits = point.iter().rev().fold(Fr::from(0u64), |acc, &r| acc + acc + r);
                    Fr::from(*start) + bits
                }
                // The weights of all entries sum to one.
                TableColumn::Values(values) => dot(values, &eq, Fr::from(1u64)),
            })
            .collect()
    }
}
