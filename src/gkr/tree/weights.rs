//! Weights of the pairs of nodes of a layer.

use std::ops::Range;

use super::sweeps::CHUNK;
use crate::sumcheck::small::SmallField;

/// `eq` of what is left of the point, as a product of two tables: `eq(j) = low[j mod |low|]·high[j / |low|]`.
#[derive(Clone, Copy)]
pub struct EqTables<'a, F> {
    low: &'a [F],
    high: &'a [F],
}

impl<'a, F: SmallField> EqTables<'a, F> {
    /// Tables whose lengths are powers of two.
    #[must_use]
    pub fn new((low, high): (&'a [F], &'a [F])) -> Self {
        Self { low, high }
    }

    /// `Σ_j eq(first + j)·f(j)` for at most [`CHUNK`] indices from a multiple of their number on, rounded
    /// up to a power of two; `f` is given a run of indices `j` and their weights `low`, and sums that run.
    #[inline(always)]
    pub(super) fn sum(&self, first: usize, count: usize, mut f: impl FnMut(Range<usize>, &[F]) -> [F; 2]) -> [F; 2] {
        let run = self.low.len().min(CHUNK);
        let mut out = [F::ZERO; 2];
        let mut j = 0;
        while j < count {
            let len = run.min(count - j);
            let start = (first + j) & (self.low.len() - 1);
            let high = self.high[(first + j) / self.low.len()];
            let inner = f(j..j + len, &self.low[start..start + len]);
            out = [out[0].plus(inner[0] * high), out[1].plus(inner[1] * high)];
            j += len;
        }
        out
    }
}
