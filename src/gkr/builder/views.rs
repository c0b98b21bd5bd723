//! Shapes and bounds of views, and the limits of both.

use num_bigint::BigInt;

use super::{MAX_BITS, MAX_ENTRIES, ProgramBuilder};
use crate::gkr::program::ProgramError;
use crate::gkr::view::{ColMap, RowMap, View};

impl ProgramBuilder {
    /// Rows and columns of a view, which the relation `name` reads.
    pub(super) fn view_shape(&self, name: &str, view: &View) -> Result<(usize, usize), ProgramError> {
        let tensor = self.tensors.get(view.tensor.0 as usize).ok_or_else(|| shape_error(name, "unknown tensor"))?;
        let RowMap { out, taps, .. } = &view.rows;
        let size = out.iter().chain(taps).try_fold(1usize, |n, &len| n.checked_mul(len as usize));
        if size.is_none_or(|n| n == 0 || n > MAX_ENTRIES) || !view.rows.is_well_formed() {
            return Err(ProgramError::TooLarge(format!("a view of `{}` in `{name}`", tensor.name)));
        }
        if view.rows.source_rows() != tensor.rows {
            return Err(shape_error(name, format!("a view of `{}` maps another number of rows", tensor.name)));
        }
        if !view.tap_weights.is_empty() && view.tap_weights.len() != view.rows.num_taps() {
            return Err(shape_error(name, "one weight a tap"));
        }
        let cols = match view.cols {
            ColMap::Identity => tensor.cols,
            ColMap::Slice { offset, len } => {
                let (offset, len) = (offset as usize, len as usize);
                if len == 0 || offset + len > tensor.cols || offset % len.next_power_of_two() != 0 {
                    return Err(shape_error(name, format!("columns {offset}+{len} of `{}`", tensor.name)));
                }
                len
            }
            ColMap::Broadcast { len } if tensor.cols == 1 && len > 0 => len as usize,
            ColMap::Broadcast { .. } => return Err(shape_error(name, "only a single column is broadcast")),
        };
        Ok((view.rows.out_rows(), cols))
    }

    /// Bounds of a view's entries, zero included: rows outside the source are zero.
    pub(super) fn view_bounds(&self, view: &View) -> (BigInt, BigInt) {
        let tensor = &self.tensors[view.tensor.0 as usize];
        let entry = (tensor.low.clone(), tensor.high.clone());
        if view.is_whole() {
            return entry;
        }
        let entry = (entry.0.min(BigInt::ZERO), entry.1.max(BigInt::ZERO));
        if view.tap_weights.is_empty() {
            return entry;
        }
        let mut sum = (BigInt::ZERO, BigInt::ZERO);
        for &weight in &view.tap_weights {
            let (low, high) = times(&entry, &(weight.into(), weight.into()));
            sum = (sum.0 + low, sum.1 + high);
        }
        sum
    }
}

pub(super) fn shape_error(name: &str, reason: impl Into<String>) -> ProgramError {
    ProgramError::Shape { tensor: name.to_owned(), reason: reason.into() }
}

/// The product of two intervals.
pub(super) fn times(a: &(BigInt, BigInt), b: &(BigInt, BigInt)) -> (BigInt, BigInt) {
    let products = [&a.0 * &b.0, &a.0 * &b.1, &a.1 * &b.0, &a.1 * &b.1];
    let low = products.iter().min().cloned().unwrap_or_default();
    let high = products.iter().max().cloned().unwrap_or_default();
    (low, high)
}

/// Refuses bounds that could wrap.
pub(super) fn check_bits(name: &str, (low, high): &(BigInt, BigInt)) -> Result<(), ProgramError> {
    let bits = low.bits().max(high.bits()) + 1;
    if bits > MAX_BITS {
        return Err(ProgramError::TooWide { tensor: name.to_owned(), bits, limit: MAX_BITS });
    }
    Ok(())
}
