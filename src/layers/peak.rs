//! The largest of all entries of a tensor, and how far each is below it.
//!
//! ```text
//! d[t, c] = M − x[t, c]
//! (d, min(d, reach), e) ∈ table over d ∈ [0, 2^b),  e = [d = 0]        one lookup an entry
//! Σ e − 1 ∈ [0, 2^n)                                                  some entry is M
//! ```
//!
//! The table has no negative `d`, so `M` is at least every entry, and a bit `e` exactly where it is one of them; the
//! last line says that there is such an entry. Nothing says which one, so equal entries leave no choice. Entries
//! further below than the table reaches fail closed.
//!
//! A row or column beyond the real ones is in no lookup, and zero in the sum. The slack of a vector's last row is a
//! zero like any other entry: a caller whose maximum it could be needs `least`, a positive number that is an entry, too.

use super::fixed::{self, bits_of, column, range};
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId, num_vars};
use crate::gkr::tables::{Table, TableColumn};
use crate::gkr::view::{RowMap, View};

/// Most bits of a distance from the maximum.
pub const MAX_DISTANCE_BITS: usize = 16;

/// What is known about the largest entry.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// The largest entry, one row of one column.
    pub most: TensorId,
    /// How far every entry is below it, or `reach` if that is less; the shape of the tensor.
    pub below: TensorId,
}

/// `(d, min(d, reach), [d = 0])` for `d ∈ [0, 2^bits)`.
fn table(bits: usize, reach: i64) -> Table {
    let near = (0..1i64 << bits).map(|d| d.min(reach)).collect();
    let mut table = Table::function(format!("below{bits}"), 0, near);
    table.columns.push(TableColumn::values((0..1i64 << bits).map(|d| i64::from(d == 0)).collect()));
    table
}

/// A view of one integer with the shape of a tensor.
pub(crate) fn everywhere(one: TensorId, (rows, cols): (usize, usize)) -> View {
    View::rows(one, RowMap::broadcast(rows)).broadcast_cols(cols)
}

/// The largest of all entries of `x` and of `least`, if there is one; all are less than `2^distance_bits` below it.
/// `ones` is a column of ones, a row for every column of `x`.
pub fn peak(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    (ones, least): (TensorId, Option<i128>),
    (distance_bits, reach): (usize, i64),
) -> Result<Peak, ProgramError> {
    if distance_bits > MAX_DISTANCE_BITS || reach < 0 {
        return Err(ProgramError::TooLarge(format!("the table of `{name}`, of {distance_bits} bits")));
    }
    let (rows, cols) = p.shape(x);
    let table = table(distance_bits, reach);
    let most = fixed::integer(
        p,
        name,
        (1, 1),
        bits_of(p, x) + 1,
        &[x],
        Hint::whole(move |t| Ok(vec![t[0].values().iter().chain(least).max().unwrap_or_default()])),
    )?;
    let terms = vec![(1, everywhere(most, (rows, cols))), (-1, p.whole(x))];
    let distance = p.linear(&format!("{name}: distance"), terms, 0)?;
    let (below, is_most) = look_up(p, name, distance, (&table, reach))?;
    let found = View::rows(is_most, RowMap::sum(rows));
    let by_column = p.linear(&format!("{name}: found by column"), vec![(1, found)], 0)?;
    let count = p.contraction(&format!("{name}: found"), p.whole(by_column), p.whole(ones))?;
    let mut terms = vec![(1, p.whole(count))];
    if let Some(least) = least {
        let distance = p.linear(&format!("{name}: distance from least"), vec![(1, p.whole(most))], -least)?;
        let (_, is_most) = look_up(p, &format!("{name}: least"), distance, (&table, reach))?;
        terms.push((1, p.whole(is_most)));
    }
    let others = p.linear(&format!("{name}: others"), terms, -1)?;
    range(p, &format!("{name}: others"), others, num_vars(rows * cols + 2))?;
    Ok(Peak { most, below })
}

/// `min(d, reach)` and `[d = 0]`.
fn look_up(
    p: &mut ProgramBuilder,
    name: &str,
    distance: TensorId,
    (table, reach): (&Table, i64),
) -> Result<(TensorId, TensorId), ProgramError> {
    let shape = p.shape(distance);
    let (low, high) = table.column_range(1);
    let below = p.witness(
        &format!("{name}: below"),
        shape,
        (low.into(), high.into()),
        &[distance],
        Hint::entrywise(move |d| d.min(reach.into())),
    )?;
    let is_most =
        p.witness(&format!("{name}: is it"), shape, (0, 1), &[distance], Hint::entrywise(move |d| i128::from(d == 0)))?;
    let table = p.table(table.clone())?;
    p.lookup([distance, below, is_most].map(|id| column(p.whole(id))).to_vec(), table)?;
    Ok((below, is_most))
}

/// Every entry, or the largest one less `reach` if the entry is further below it.
pub fn near_peak(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    ones: TensorId,
    (distance_bits, reach): (usize, i64),
) -> Result<TensorId, ProgramError> {
    let Peak { most, below } = peak(p, &format!("{name}: peak"), x, (ones, None), (distance_bits, reach))?;
    let terms = vec![(1, everywhere(most, p.shape(x))), (-1, p.whole(below))];
    p.linear(name, terms, 0)
}
