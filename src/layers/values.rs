//! Entry-wise functions of tables: what most hints are.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::sync::atomic::{AtomicBool, Ordering};

use crate::sumcheck::int::{IntTable, dispatch};
use crate::sumcheck::par;

/// All values of a table.
pub(super) fn values(table: &IntTable) -> impl Iterator<Item = i128> + '_ {
    table.values().iter()
}

/// `f` of every value of a table, computed by all threads.
pub(super) fn map_values(table: &IntTable, f: impl Fn(i128) -> i128 + Sync + Send) -> Vec<i128> {
    dispatch!(table.values(), values => par::map_cheap(values.len(), |i| f(values[i].into())))
}

/// [`map_values`] of a function that may refuse a value: the error is that of the first one refused.
pub(super) fn try_map_values(
    table: &IntTable,
    f: impl Fn(i128) -> Result<i128, String> + Sync + Send,
) -> Result<Vec<i128>, String> {
    let refused = AtomicBool::new(false);
    let out = map_values(table, |value| {
        f(value).unwrap_or_else(|_| {
            refused.store(true, Ordering::Relaxed);
            0
        })
    });
    if refused.into_inner() { values(table).map(f).collect() } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sumcheck::int::IntVec;

    #[test]
    fn functions_apply_to_every_value_and_the_first_refusal_counts() {
        let values: Vec<i16> = (0..10_000).map(|v| v % 77).collect();
        let table = IntTable::new(100, 100, IntVec::I16(values.clone()));
        let doubled: Vec<i128> = values.iter().map(|&v| 2 * i128::from(v)).collect();
        assert_eq!(map_values(&table, |v| 2 * v), doubled);
        assert_eq!(try_map_values(&table, |v| Ok(2 * v)), Ok(doubled.clone()));
        let refuse = |v: i128| if v < 70 { Ok(v) } else { Err(format!("{v} is too large")) };
        assert_eq!(try_map_values(&table, refuse), Err("70 is too large".to_owned()));
    }
}
