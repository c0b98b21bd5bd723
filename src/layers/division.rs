//! Square roots and quotients by values that are not public.

use super::fixed::{integer, range};
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::View;

/// `y = ⌊√x⌋` for `0 ≤ x < 2^(2·bits)`: `0 ≤ x − y² ≤ 2y` has one solution `y ≥ 0`, and no other
/// since `2y ≥ 0`.
pub fn sqrt(p: &mut ProgramBuilder, name: &str, x: TensorId, bits: usize) -> Result<TensorId, ProgramError> {
    let y = integer(
        p,
        name,
        p.shape(x),
        bits + 1,
        &[x],
        Hint::try_entrywise(|v| u128::try_from(v).map(|v| v.isqrt() as i128).map_err(|_| "a negative radicand".into())),
    )?;
    let square = p.product(&format!("{name}: square"), p.whole(y), p.whole(y))?;
    let above = p.linear(&format!("{name}: excess"), vec![(1, p.whole(x)), (-1, p.whole(square))], 0)?;
    range(p, &format!("{name}: excess"), above, bits + 2)?;
    let below = p.linear(&format!("{name}: slack"), vec![(2, p.whole(y)), (-1, p.whole(above))], 0)?;
    range(p, &format!("{name}: slack"), below, bits + 2)?;
    Ok(y)
}

/// `q = ⌊a / b⌋` of `quotient_bits` bits and a sign for `b < 2^divisor_bits`: `0 ≤ a − q·b < b` has one solution. A
/// single column `b` is broadcast over the columns of `a`. There is no solution for `b ≤ 0`: the statement fails
/// closed.
pub fn divide(
    p: &mut ProgramBuilder,
    name: &str,
    a: TensorId,
    b: TensorId,
    quotient_bits: usize,
    divisor_bits: usize,
) -> Result<TensorId, ProgramError> {
    let (rows, cols) = p.shape(a);
    let single = p.shape(b).1 == 1;
    let q = integer(
        p,
        name,
        (rows, cols),
        quotient_bits.saturating_add(1),
        &[a, b],
        Hint::whole(move |t| {
            let divide = |row: usize, col: usize| {
                let (a, b) = (t[0].get(row, col), t[1].get(row, if single { 0 } else { col }));
                a.checked_div_euclid(b).ok_or_else(|| "a division by zero".to_owned())
            };
            (0..rows * cols).map(|i| divide(i / cols, i % cols)).collect()
        }),
    )?;
    let divisor = || if single { View::whole(b, rows).broadcast_cols(cols) } else { View::whole(b, rows) };
    let product = p.product(&format!("{name}: product"), p.whole(q), divisor())?;
    let rem = p.linear(&format!("{name}: remainder"), vec![(1, p.whole(a)), (-1, p.whole(product))], 0)?;
    range(p, &format!("{name}: remainder"), rem, divisor_bits)?;
    let slack = p.linear(&format!("{name}: slack"), vec![(1, divisor()), (-1, p.whole(rem))], -1)?;
    range(p, &format!("{name}: slack"), slack, divisor_bits)?;
    Ok(q)
}
