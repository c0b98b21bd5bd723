//! Writes the integers of tensors, in the narrowest type that holds them.

use std::sync::Mutex;

use num_bigint::BigInt;

use super::TraceError;
use crate::gkr::program::Tensor;
use crate::sumcheck::int::{IntTable, IntVec, SmallInt, dispatch};
use crate::sumcheck::par;

/// An integer in which a block is computed before it is written.
pub(super) trait Word: Copy + Default + Ord + Send + Sync + 'static {
    /// The lowest bits of an integer: the same one if it is in range.
    fn of<I: SmallInt>(value: I) -> Self;
    /// The nearest word.
    fn clamped(value: i128) -> Self;
    /// The same integer.
    fn wide(self) -> i128;
    /// `self + a·b`, wrapping around.
    fn plus_product(self, a: Self, b: Self) -> Self;
}

impl Word for i64 {
    #[inline(always)]
    fn of<I: SmallInt>(value: I) -> Self {
        Into::<i128>::into(value) as Self
    }

    fn clamped(value: i128) -> Self {
        value.clamp(Self::MIN.into(), Self::MAX.into()) as Self
    }

    #[inline(always)]
    fn wide(self) -> i128 {
        self.into()
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

impl Word for i128 {
    #[inline(always)]
    fn of<I: SmallInt>(value: I) -> Self {
        value.into()
    }

    fn clamped(value: i128) -> Self {
        value
    }

    #[inline(always)]
    fn wide(self) -> i128 {
        self
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

/// Why a block could not be computed.
pub(super) enum Unfit {
    /// A value is beyond the bounds.
    Range,
    /// A hint refuses a value.
    Refused(String),
}

/// Entries that are computed in one go.
const BLOCK: usize = 256;

/// Stores values in the narrowest type that holds the tensor's bounds, which they must respect. `fill` computes those
/// from an index on. The error is that of the first block that has one.
pub(super) fn pack<W: Word>(
    tensor: &Tensor,
    fill: impl Fn(usize, &mut [W]) -> Result<(), Unfit> + Sync + Send,
) -> Result<IntTable, TraceError> {
    let clamp = |bound: &BigInt| i128::try_from(bound).ok();
    let low = clamp(&tensor.low).unwrap_or(i128::MIN);
    let high = clamp(&tensor.high).unwrap_or(i128::MAX);
    let mut values = IntVec::zeros(tensor.rows * tensor.cols, low, high);
    let (low, high) = (W::clamped(low), W::clamped(high));
    let unfit: Mutex<Option<(usize, Unfit)>> = Mutex::new(None);
    dispatch!(&mut values, values => par::for_chunks_mut(values, BLOCK, |block, out| {
        let mut words = [W::default(); BLOCK];
        let words = &mut words[..out.len()];
        let mut result = fill(block * BLOCK, words);
        let mut fits = true;
        for (out, &word) in out.iter_mut().zip(words.iter()) {
            fits &= low <= word && word <= high;
            *out = SmallInt::truncate(word.wide());
        }
        if !fits {
            result = result.and(Err(Unfit::Range));
        }
        if let (Err(error), Ok(mut first)) = (result, unfit.lock())
            && first.as_ref().is_none_or(|&(at, _)| block < at)
        {
            *first = Some((block, error));
        }
    }));
    match unfit.into_inner() {
        Ok(None) => Ok(IntTable::new(tensor.rows, tensor.cols, values)),
        Ok(Some((_, Unfit::Refused(reason)))) => Err(TraceError::Hint { tensor: tensor.name.clone(), reason }),
        _ => Err(out_of_range(tensor)),
    }
}

/// [`pack`] of values at hand.
pub(super) fn pack_values(tensor: &Tensor, values: &[i128]) -> Result<IntTable, TraceError> {
    pack(tensor, |start, out: &mut [i128]| {
        out.copy_from_slice(&values[start..start + out.len()]);
        Ok(())
    })
}

pub(super) fn out_of_range(tensor: &Tensor) -> TraceError {
    TraceError::OutOfRange { tensor: tensor.name.clone(), low: tensor.low.clone(), high: tensor.high.clone() }
}
