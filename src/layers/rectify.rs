//! ReLU of quotients.

use super::fixed::{column, remainder, rounded};
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::Table;

/// Most bits of a quotient that [`rectify`] takes.
const MAX_RECTIFIED_BITS: usize = 20;

/// An entry of a table costs about two lookups, and how often it occurs is committed: where numbers are so many times fewer
/// than entries, [`rectify`] does without a table.
const FEWER_THAN_ENTRIES: usize = 4;

/// `z = max(y, 0)` for the quotient `y = ⌊x / 2^shift + 1/2⌋`, which must have at most `bits` bits, a sign included.
///
/// Committed are `z` and `n = max(−y, 0)`, not `y`: one of them is zero, and zero bytes cost a commitment nothing.
/// `x + 2^(shift−1) − 2^shift·y ∈ [0, 2^shift)` has one solution `y = z − n`, and one pair makes it up, see
/// [`rectify_in_table`] and [`rectify_few`].
pub fn rectify(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    shift: usize,
    bits: usize,
) -> Result<TensorId, ProgramError> {
    if !(1..=MAX_RECTIFIED_BITS).contains(&bits) {
        return Err(ProgramError::TooLarge(format!("the table of the rectified `{name}`, of {bits} bits")));
    }
    let (rows, cols) = p.shape(x);
    let few = bits <= p.range_bits() && rows * cols <= (1 << bits) / FEWER_THAN_ENTRIES;
    if few { rectify_few(p, name, x, shift) } else { rectify_in_table(p, name, x, shift, bits) }
}

/// [`rectify`] for many numbers: `(z − n, z, n)` is looked up, which admits one pair for every `y`.
///
/// # Panics
/// If `bits` is zero or above 64.
pub fn rectify_in_table(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    shift: usize,
    bits: usize,
) -> Result<TensorId, ProgramError> {
    let half = 1i128 << (bits - 1);
    let [y, z, n] = rectified(p, name, (x, shift), [half - 1, half])?;
    let table = p.table(Table::rectifier(bits, true))?;
    p.lookup([y, z, n].map(|id| column(p.whole(id))).to_vec(), table)?;
    Ok(z)
}

/// [`rectify`] for few numbers, of no more bits than the range table has: `z` and `n` are natural and `z·n = 0`, so `z` is `y`
/// and `n` is zero, or `n` is `−y` and `z` is zero.
pub fn rectify_few(p: &mut ProgramBuilder, name: &str, x: TensorId, shift: usize) -> Result<TensorId, ProgramError> {
    let limb = p.range_bits();
    let [_, z, n] = rectified(p, name, (x, shift), [(1 << limb) - 1; 2])?;
    p.range(p.whole(z), 0, limb)?;
    p.range(p.whole(n), 0, limb)?;
    let both = p.product(&format!("{name}: both parts"), p.whole(z), p.whole(n))?;
    p.zero(both);
    Ok(z)
}

/// `y = z − n`, shown to be the quotient, and its committed parts, which are at most these; that one of them is zero is left to show.
fn rectified(
    p: &mut ProgramBuilder,
    name: &str,
    (x, shift): (TensorId, usize),
    [most, least]: [i128; 2],
) -> Result<[TensorId; 3], ProgramError> {
    let x = rounded(p, name, x, shift)?;
    let shape = p.shape(x);
    let z = p.witness(name, shape, (0, most), &[x], Hint::entrywise(move |v| (v >> shift).max(0)))?;
    let negative = format!("{name}: negative part");
    let n = p.witness(&negative, shape, (0, least), &[x], Hint::entrywise(move |v| (-(v >> shift)).max(0)))?;
    let y = p.linear(&format!("{name}: argument"), vec![(1, p.whole(z)), (-1, p.whole(n))], 0)?;
    remainder(p, name, x, y, shift)?;
    Ok([y, z, n])
}
