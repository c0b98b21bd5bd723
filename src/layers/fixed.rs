//! Fixed-point gadgets: ranges, requantisation, activation, square root, division, comparison.
//!
//! Each gadget admits exactly one output per input; its argument stands with it. `R` is the number of
//! bits of the program's range table. A number of more bits is shown by *limbs* of `R` bits; the
//! lowest limb is virtual (`x` minus the others), so it is a combination of ranged integers and may
//! have fewer bits, see [`ProgramBuilder::range`].

pub use super::division::{divide, sqrt};
pub use super::rectify::{rectify, rectify_few, rectify_in_table};
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{Column, ProgramError, TableId, TensorId};
use crate::gkr::tables::{Table, TableColumn};
use crate::gkr::view::{RowMap, View};

/// Bits of the largest magnitude that a tensor can have.
pub(crate) fn bits_of(p: &ProgramBuilder, id: TensorId) -> usize {
    let (low, high) = p.bounds(id);
    low.bits().max(high.bits()) as usize
}

/// A column that is looked up as it is.
#[must_use]
pub fn column(view: View) -> Column {
    Column { view, scale: 1, offset: 0 }
}

/// Widest number that a gadget handles, in bits.
pub(super) const MAX_BITS: usize = 120;

/// Refuses a number of bits that no importer chooses: it may come from a file.
pub fn check_bits(name: &str, bits: usize) -> Result<(), ProgramError> {
    if bits <= MAX_BITS {
        return Ok(());
    }
    Err(ProgramError::TooWide { tensor: name.to_owned(), bits: bits as u64, limit: MAX_BITS as u64 })
}

/// `2^bits`, for a number of bits that may come from a file.
pub fn power(name: &str, bits: u32) -> Result<i128, ProgramError> {
    check_bits(name, bits as usize)?;
    Ok(1 << bits)
}

/// Shows `x ∈ [0, 2^bits)` for a virtual tensor.
///
/// With `n` limbs, `x = l₀ + Σ_{j≥1} 2^(b + (j−1)R)·lⱼ`, `b = bits − (n−1)R`: the committed `lⱼ` are below
/// `2^R` and `l₀` below `2^b`, so `x` is below `2^bits`, and there is one way to write it so.
pub fn range(p: &mut ProgramBuilder, name: &str, x: TensorId, bits: usize) -> Result<(), ProgramError> {
    check_bits(name, bits)?;
    let limb = p.range_bits();
    let upper = bits.div_ceil(limb).saturating_sub(1);
    if upper == 0 {
        return p.range(p.whole(x), 0, bits);
    }
    let lowest = bits - upper * limb;
    let (rows, cols) = p.shape(x);
    let hint = Hint::parts(upper, move |j, v| v >> (lowest + j * limb) & ((1 << limb) - 1));
    let limbs = p.witness(&format!("{name}: limbs"), (upper * rows, cols), (0, (1 << limb) - 1), &[x], hint)?;
    p.range(p.whole(limbs), 0, limb)?;
    let mut terms = vec![(1, p.whole(x))];
    for j in 0..upper {
        let slice = View::rows(limbs, RowMap::slice(upper * rows, (j * rows) as i64, rows));
        terms.push((-(1i128 << (lowest + j * limb)), slice));
    }
    let lowest_limb = p.linear(&format!("{name}: lowest limb"), terms, 0)?;
    p.range(p.whole(lowest_limb), 0, lowest)
}

/// A new integer tensor that holds at least the signed integers of `bits` bits: committed as it is, or
/// in limbs. Its admitted range is that of whole limbs: what is shown about it elsewhere makes it
/// unique, this only keeps it from wrapping.
pub fn integer(
    p: &mut ProgramBuilder,
    name: &str,
    shape: (usize, usize),
    bits: usize,
    inputs: &[TensorId],
    hint: Hint,
) -> Result<TensorId, ProgramError> {
    check_bits(name, bits)?;
    let limb = p.range_bits();
    let limbs = bits.div_ceil(limb).max(1);
    check_bits(name, limbs * limb)?;
    from(p, name, shape, (-(1i128 << (limbs * limb - 1)), limbs), inputs, hint)
}

/// A new tensor that holds at least the integers of `[0, 2^bits)`, and none below zero; otherwise as [`integer`].
pub fn natural(
    p: &mut ProgramBuilder,
    name: &str,
    shape: (usize, usize),
    bits: usize,
    inputs: &[TensorId],
    hint: Hint,
) -> Result<TensorId, ProgramError> {
    check_bits(name, bits)?;
    let limb = p.range_bits();
    let limbs = bits.div_ceil(limb).max(1);
    check_bits(name, limbs * limb)?;
    from(p, name, shape, (0, limbs), inputs, hint)
}

/// A new tensor of the integers that `limbs` limbs hold, from `low` on.
fn from(
    p: &mut ProgramBuilder,
    name: &str,
    shape: (usize, usize),
    (low, limbs): (i128, usize),
    inputs: &[TensorId],
    hint: Hint,
) -> Result<TensorId, ProgramError> {
    let limb = p.range_bits();
    let high = low + ((1i128 << (limbs * limb)) - 1);
    if limbs == 1 {
        let id = p.witness(name, shape, (low, high), inputs, hint)?;
        p.range(p.whole(id), low, limb)?;
        return Ok(id);
    }
    let (rows, cols) = shape;
    let owned = name.to_owned();
    let admit = move |v: i128| {
        let fits = (low..=high).contains(&v);
        if fits { Ok(()) } else { Err(format!("{owned} reaches {v}, beyond {} bits", limbs * limb)) }
    };
    let hint = hint.limbs(limbs, admit, move |j, v| (v - low) >> (j * limb) & ((1 << limb) - 1));
    let split = p.witness(&format!("{name}: limbs"), (limbs * rows, cols), (0, (1 << limb) - 1), inputs, hint)?;
    p.range(p.whole(split), 0, limb)?;
    let terms = (0..limbs)
        .map(|j| {
            let slice = View::rows(split, RowMap::slice(limbs * rows, (j * rows) as i64, rows));
            (1i128 << (j * limb), slice)
        })
        .collect();
    p.linear(name, terms, low)
}

/// A committed copy of a virtual tensor: their difference is shown to be zero. Several claims on the
/// copy then cost the original one.
pub fn commit(p: &mut ProgramBuilder, name: &str, x: TensorId) -> Result<TensorId, ProgramError> {
    let (low, high) = p.bounds(x);
    let bits = low.bits().max(high.bits()) as usize + 1;
    let copy = integer(p, name, p.shape(x), bits, &[x], Hint::entrywise(move |v| v))?;
    let terms = vec![(1, p.whole(x)), (-1, p.whole(copy))];
    let difference = p.linear(&format!("{name}: difference"), terms, 0)?;
    p.zero(difference);
    Ok(copy)
}

/// `x + 2^(shift−1)`, whose quotient by `2^shift` is `x` rounded to nearest, ties up.
pub(super) fn rounded(p: &mut ProgramBuilder, name: &str, x: TensorId, shift: usize) -> Result<TensorId, ProgramError> {
    check_bits(name, shift)?;
    let half = if shift == 0 { 0 } else { 1i128 << (shift - 1) };
    p.linear(&format!("{name}: rounded"), vec![(1, p.whole(x))], half)
}

/// Requantisation: `y = ⌊x / 2^shift + 1/2⌋` as an [`integer`] of `bits` bits.
///
/// `x + 2^(shift−1) − 2^shift·y ∈ [0, 2^shift)` has exactly one solution `y`.
pub fn requantize(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    shift: usize,
    bits: usize,
) -> Result<TensorId, ProgramError> {
    let x = rounded(p, name, x, shift)?;
    let y = integer(p, name, p.shape(x), bits, &[x], Hint::entrywise(move |v| v >> shift))?;
    remainder(p, name, x, y, shift)?;
    Ok(y)
}

/// Shows `0 ≤ x − 2^shift·y < 2^shift`.
pub(super) fn remainder(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    y: TensorId,
    shift: usize,
) -> Result<(), ProgramError> {
    let rem = p.linear(&format!("{name}: remainder"), vec![(1, p.whole(x)), (-(1i128 << shift), p.whole(y))], 0)?;
    range(p, &format!("{name}: remainder"), rem, shift)
}

/// Shows that a tensor of integers is `⌊x / 2^shift + 1/2⌋`, which determines it.
pub fn pin_quotient(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    y: TensorId,
    shift: usize,
) -> Result<(), ProgramError> {
    let x = rounded(p, name, x, shift)?;
    remainder(p, name, x, y, shift)
}

/// `z = f(⌊x / 2^shift + 1/2⌋)` for a function table; the quotient must be one of its arguments.
pub fn activate(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    shift: usize,
    function: &Table,
) -> Result<TensorId, ProgramError> {
    let x = rounded(p, name, x, shift)?;
    let (low, high) = function.column_range(0);
    let bounds = (i128::from(low), i128::from(high));
    let y = p.witness(&format!("{name}: argument"), p.shape(x), bounds, &[x], Hint::entrywise(move |v| v >> shift))?;
    remainder(p, name, x, y, shift)?;
    lookup(p, name, y, function)
}

/// `z = f(y)` for a committed or virtual tensor `y` whose values are arguments of the table.
pub fn lookup(p: &mut ProgramBuilder, name: &str, y: TensorId, function: &Table) -> Result<TensorId, ProgramError> {
    let table = p.table(function.clone())?;
    let (low, high) = function.column_range(1);
    let bounds = (i128::from(low), i128::from(high));
    let z = p.witness(name, p.shape(y), bounds, &[y], evaluate(name, function))?;
    p.lookup(vec![column(p.whole(y)), column(p.whole(z))], table)?;
    Ok(z)
}

/// The hint that applies a function's table.
fn evaluate(name: &str, function: &Table) -> Hint {
    let (name, function) = (name.to_owned(), function.clone());
    let start = i128::from(function.column_range(0).0);
    Hint::try_entrywise(move |v| {
        let index = usize::try_from(v - start).ok().filter(|&i| i < function.len());
        let refuse = || format!("{name} has argument {v}, outside of table `{}`", function.name);
        index.map(|i| i128::from(function.entry(1, i))).ok_or_else(refuse)
    })
}

/// [`activate`] for arguments far beyond the table, where `f` is flat: the quotient is
/// `2^low_bits·hi + lo`, and `hi` is clamped to the table's blocks before `f` is applied to
/// `2^low_bits·clamp(hi) + lo`.
///
/// The function's table also gives the low bits of its argument, so `lo ∈ [0, 2^low_bits)`; then
/// `x = 2^shift·(2^low_bits·hi + lo) + rem` with ranged `rem` has one solution, and `clamp` is a table
/// of its own, over `hi` of `high_bits` bits.
pub fn activate_saturating(
    p: &mut ProgramBuilder,
    name: &str,
    x: TensorId,
    shift: usize,
    (low_bits, high_bits): (usize, usize),
    function: &Table,
) -> Result<TensorId, ProgramError> {
    let x = rounded(p, name, x, shift)?;
    let shape = p.shape(x);
    if high_bits == 0 || high_bits > 20 || low_bits > 20 {
        return Err(ProgramError::TooLarge(format!("the blocks of the saturating gate `{name}`")));
    }
    let half = 1i128 << (high_bits - 1);
    let hi = p.witness(
        &format!("{name}: high"),
        shape,
        (-half, half - 1),
        &[x],
        Hint::entrywise(move |v| v >> (shift + low_bits)),
    )?;
    let clamped = lookup(p, &format!("{name}: clamped"), hi, &clamp_table(low_bits, high_bits, function))?;
    let lo = p.witness(
        &format!("{name}: low"),
        shape,
        (0, (1 << low_bits) - 1),
        &[x],
        Hint::entrywise(move |v| v >> shift & ((1 << low_bits) - 1)),
    )?;
    let terms = vec![(1 << low_bits, p.whole(hi)), (1, p.whole(lo))];
    let quotient = p.linear(&format!("{name}: quotient"), terms, 0)?;
    remainder(p, name, x, quotient, shift)?;
    let terms = vec![(1 << low_bits, p.whole(clamped)), (1, p.whole(lo))];
    let argument = p.linear(&format!("{name}: argument"), terms, 0)?;
    let table = p.table(with_low_bits(function, low_bits))?;
    let (low, high) = function.column_range(1);
    let bounds = (i128::from(low), i128::from(high));
    let z = p.witness(name, shape, bounds, &[argument], evaluate(name, function))?;
    p.lookup(vec![column(p.whole(argument)), column(p.whole(lo)), column(p.whole(z))], table)?;
    Ok(z)
}

/// The table of `hi ↦ clamp(hi)`, where blocks of `2^low_bits` arguments make up the function's table.
fn clamp_table(low_bits: usize, high_bits: usize, function: &Table) -> Table {
    let (low, high) = function.column_range(0);
    let half = 1i64 << (high_bits - 1);
    let clamp = |hi: i64| hi.clamp(low >> low_bits, high >> low_bits);
    Table::function(format!("clamp{high_bits}"), -half, (-half..half).map(clamp).collect())
}

/// `(x, x mod 2^low_bits, f(x))`.
fn with_low_bits(function: &Table, low_bits: usize) -> Table {
    let low = (0..function.len()).map(|i| function.entry(0, i).rem_euclid(1 << low_bits)).collect();
    let mut columns = function.columns.clone();
    columns.insert(1, TableColumn::values(low));
    Table { name: format!("{} of {low_bits} low bits", function.name), bits: function.bits, columns }
}

/// A committed bit.
pub fn bit(
    p: &mut ProgramBuilder,
    name: &str,
    shape: (usize, usize),
    inputs: &[TensorId],
    hint: Hint,
) -> Result<TensorId, ProgramError> {
    let table: TableId = p.table(Table::range(1))?;
    let id = p.witness(name, shape, (0, 1), inputs, hint)?;
    p.lookup(vec![column(p.whole(id))], table)?;
    Ok(id)
}

/// `s = [x > 0]` for `|x| < 2^bits`: `(2s − 1)·x − s ∈ [0, 2^bits)` holds for exactly one bit.
pub fn is_positive(p: &mut ProgramBuilder, name: &str, x: TensorId, bits: usize) -> Result<TensorId, ProgramError> {
    let s = bit(p, name, p.shape(x), &[x], Hint::entrywise(|v| i128::from(v > 0)))?;
    let sx = p.product(&format!("{name}: times"), p.whole(s), p.whole(x))?;
    let terms = vec![(2, p.whole(sx)), (-1, p.whole(x)), (-1, p.whole(s))];
    let magnitude = p.linear(&format!("{name}: magnitude"), terms, 0)?;
    range(p, name, magnitude, bits)?;
    Ok(s)
}

/// `max(a, b)` for tensors whose difference is below `2^bits`: it is one of both, and at least each.
pub fn maximum(
    p: &mut ProgramBuilder,
    name: &str,
    a: TensorId,
    b: TensorId,
    bits: usize,
) -> Result<TensorId, ProgramError> {
    let s = bit(
        p,
        &format!("{name}: choice"),
        p.shape(a),
        &[a, b],
        Hint::whole(|t| Ok(t[0].values().iter().zip(t[1].values().iter()).map(|(a, b)| i128::from(a >= b)).collect())),
    )?;
    let difference = p.linear(&format!("{name}: difference"), vec![(1, p.whole(a)), (-1, p.whole(b))], 0)?;
    let chosen = p.product(&format!("{name}: chosen"), p.whole(s), p.whole(difference))?;
    // max − b = s·(a − b) and max − a = s·(a − b) − (a − b).
    range(p, &format!("{name}: above second"), chosen, bits)?;
    let terms = vec![(1, p.whole(chosen)), (-1, p.whole(difference))];
    let above = p.linear(&format!("{name}: above first"), terms, 0)?;
    range(p, &format!("{name}: above first"), above, bits)?;
    p.linear(name, vec![(1, p.whole(b)), (1, p.whole(chosen))], 0)
}
