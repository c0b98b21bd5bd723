//! Lookup tables: what they hold and how the verifier evaluates them.

use std::sync::Arc;

use serde::Serialize;

use crate::gkr::Fr;
use crate::sumcheck::small::extension;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TableColumn {
    /// `start, start + 1, …`: evaluated in closed form.
    Counter {
        /// The first entry.
        start: i64,
    },
    /// `max(y, 0)` for `y = −2^(bits−1), …, 2^(bits−1) − 1`: evaluated in closed form.
    Positive,
    /// `max(−y, 0)` for the same `y`: evaluated in closed form.
    Negative,
    /// Any integers; tables share them.
    Values(Arc<Vec<i64>>),
}

impl TableColumn {
    /// A column of these integers.
    #[must_use]
    pub fn values(values: Vec<i64>) -> Self {
        Self::Values(Arc::new(values))
    }
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
        Self::shared_function(name, start, Arc::new(values))
    }

    /// [`Table::function`] of values that are not copied.
    #[must_use]
    pub fn shared_function(name: impl Into<String>, start: i64, values: Arc<Vec<i64>>) -> Self {
        let bits = values.len().next_power_of_two().trailing_zeros() as usize;
        Self { name: name.into(), bits, columns: vec![TableColumn::Counter { start }, TableColumn::Values(values)] }
    }

    /// `(y, max(y, 0))` and, on request, `max(−y, 0)`, for signed `y` of `bits` bits.
    ///
    /// # Panics
    /// If there is not at least one bit, or more than 63.
    #[must_use]
    pub fn rectifier(bits: usize, negative: bool) -> Self {
        let mut columns = vec![TableColumn::Counter { start: -(1 << (bits - 1)) }, TableColumn::Positive];
        columns.extend(negative.then_some(TableColumn::Negative));
        Self { name: format!("relu{bits}"), bits, columns }
    }

    /// Half of the entries; of signed integers, the first non-negative one.
    fn half(&self) -> i64 {
        self.len() as i64 / 2
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
            TableColumn::Positive => (index as i64 - self.half()).max(0),
            TableColumn::Negative => (self.half() - index as i64).max(0),
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
            TableColumn::Positive => (0, (self.half() - 1).max(0)),
            TableColumn::Negative => (0, self.half()),
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
                TableColumn::Positive | TableColumn::Negative => self.bits > 0,
                TableColumn::Values(values) => values.len() == self.len(),
            })
    }

    /// Extensions of all columns at `point` (`bits` coordinates).
    ///
    /// # Panics
    /// If the point has another number of coordinates, or the table is not [well formed](Self::is_well_formed), which every
    /// program's is.
    #[must_use]
    pub fn evaluate(&self, point: &[Fr]) -> Vec<Fr> {
        // Σ_k 2^k·r_k: the number that the bits spell.
        let number = |bits: &[Fr]| bits.iter().rev().fold(Fr::from(0u64), |sum, &r| sum + sum + r);
        let (sign, magnitude) = match point.split_last() {
            Some((&sign, low)) => (sign, number(low)),
            None => Default::default(),
        };
        self.columns
            .iter()
            .map(|column| match column {
                // Σ_i eq(r, i)·(start + i).
                TableColumn::Counter { start } => Fr::from(*start) + number(point),
                // With the highest bit, i − half is what the others spell; without, half − i is what they lack.
                TableColumn::Positive => sign * magnitude,
                TableColumn::Negative => (Fr::from(1u64) - sign) * (Fr::from(self.half()) - magnitude),
                TableColumn::Values(values) => extension(values, point),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::UniformRand;
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn closed_forms_are_those_of_the_entries(bits in 1usize..9, start in -300i64..300, seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let point: Vec<Fr> = (0..bits).map(|_| Fr::rand(&mut rng)).collect();
            let mut table = Table::rectifier(bits, true);
            table.columns.push(TableColumn::Counter { start });
            prop_assert!(table.is_well_formed());
            let values = |k: usize| -> Vec<i64> { (0..table.len()).map(|i| table.entry(k, i)).collect() };
            let of_entries = Table {
                columns: (0..table.columns.len()).map(|k| TableColumn::values(values(k))).collect(),
                ..table.clone()
            };
            prop_assert_eq!(table.evaluate(&point), of_entries.evaluate(&point));
            for (k, y) in (0..table.columns.len()).zip([0, 1, 2, 3]) {
                prop_assert_eq!(table.column_range(k), of_entries.column_range(y));
            }
            for i in 0..table.len() {
                let y = table.entry(0, i);
                prop_assert_eq!((table.entry(1, i), table.entry(2, i)), (y.max(0), (-y).max(0)));
            }
        }
    }
}
