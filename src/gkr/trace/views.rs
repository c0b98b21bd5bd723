//! The entries of views, written out for the relations that read them entry by entry.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use crate::gkr::view::{ColMap, NONE, View};
use crate::sumcheck::int::{IntTable, IntVec, SmallInt, dispatch};
use crate::sumcheck::par;

/// The entries of a view of `table`.
pub(super) fn materialize(table: &IntTable, view: &View) -> IntTable {
    let rows = view.rows.out_rows();
    let (first, source_cols, cols) = match view.cols {
        ColMap::Identity => (0, table.cols(), table.cols()),
        ColMap::Slice { offset, len } => (offset as usize, len as usize, len as usize),
        ColMap::Broadcast { len } => (0, 1, len as usize),
    };
    if view.tap_weights == [1] {
        let sources = view.rows.sources(0);
        let source = |row: usize| (sources[row] != NONE).then(|| sources[row] as usize * table.cols() + first);
        return IntTable::new(
            rows,
            cols,
            dispatch!(table.values(), values => {
                IntVec::from(gather(values, (rows, cols), source_cols, source))
            }),
        );
    }
    let mut values = vec![0i128; rows * cols];
    for (tap, &weight) in view.tap_weights.iter().enumerate() {
        let sources = view.rows.sources(tap);
        dispatch!(table.values(), stored => par::for_chunks_mut(&mut values, cols, |row, out| {
            let source = sources[row];
            if source == NONE {
                return;
            }
            let start = source as usize * table.cols() + first;
            let row = &stored[start..start + source_cols];
            for (c, out) in out.iter_mut().enumerate() {
                let value: i128 = row[if source_cols == 1 { 0 } else { c }].into();
                *out = out.wrapping_add(weight.wrapping_mul(value));
            }
        }));
    }
    let (low, high) = values.iter().fold((0, 0), |(low, high), &v| (v.min(low), v.max(high)));
    let packed = IntVec::pack(values.into_iter(), low, high).expect("every value is within its extremes");
    IntTable::new(rows, cols, packed)
}

/// Rows of a table, or zeros; a single source column is copied.
fn gather<I: SmallInt>(
    values: &[I],
    (rows, cols): (usize, usize),
    source_cols: usize,
    source: impl Fn(usize) -> Option<usize> + Sync + Send,
) -> Vec<I> {
    let mut out = vec![I::default(); rows * cols];
    par::for_chunks_mut(&mut out, cols, |row, out| match source(row) {
        None => {}
        Some(start) if source_cols == cols => out.copy_from_slice(&values[start..start + cols]),
        Some(start) => out.fill(values[start]),
    });
    out
}
