//! Views: tensors seen through index maps.
//!
//! A view costs nothing to prove, because it only rewrites a claim. Rows carry arbitrary public
//! weights, so *any* public map on rows is a view: framing, strides, dilation, shifts, gathers, sums
//! and broadcasts turn the weights `ω` of a claim on the view into weights
//! `Ω(u) = Σ_{t,κ : source(t,κ) = u} wₖ·ω(t)` on the tensor. Columns carry a point, so only aligned
//! slices and broadcasts are views there.

use std::borrow::Cow;

use serde::Serialize;

use crate::gkr::Fr;
use crate::gkr::program::TensorId;
use crate::sumcheck::small::SmallField;
use crate::sumcheck::vectors::scaled;

/// Marks an output row that has no source: it is zero.
pub const NONE: u32 = u32::MAX;

/// One axis of the source rows: `coordinate = offset + Σ out_strides·o + Σ tap_strides·κ`, zero
/// outside `0..len`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceAxis {
    /// Length of the axis.
    pub len: u32,
    /// Coordinate of output 0 at tap 0.
    pub offset: i64,
    /// Step for each output axis.
    pub out_strides: Vec<i64>,
    /// Step for each tap axis.
    pub tap_strides: Vec<i64>,
}

/// An affine map from (output row, tap) to a source row. Rows are mixed-radix numbers, the first
/// axis outermost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowMap {
    /// Lengths of the output axes.
    pub out: Vec<u32>,
    /// Lengths of the tap axes.
    pub taps: Vec<u32>,
    /// The axes of the source.
    pub source: Vec<SourceAxis>,
}

impl RowMap {
    /// A map between one output axis, one tap axis and one source axis:
    /// `source = stride·o + dilation·κ + offset`.
    #[must_use]
    pub fn strided(source: usize, out: usize, taps: usize, stride: i64, dilation: i64, offset: i64) -> Self {
        let axis = SourceAxis { len: source as u32, offset, out_strides: vec![stride], tap_strides: vec![dilation] };
        Self { out: vec![out as u32], taps: vec![taps as u32], source: vec![axis] }
    }

    /// Every row itself.
    #[must_use]
    pub fn identity(rows: usize) -> Self {
        Self::strided(rows, rows, 1, 1, 0, 0)
    }

    /// Rows `start..start + len`; those outside the source are zero.
    #[must_use]
    pub fn slice(source: usize, start: i64, len: usize) -> Self {
        Self::strided(source, len, 1, 1, 0, start)
    }

    /// `rows` copies of a single row.
    #[must_use]
    pub fn broadcast(rows: usize) -> Self {
        Self::strided(1, rows, 1, 0, 0, 0)
    }

    /// One output row from all rows, each a tap.
    #[must_use]
    pub fn sum(rows: usize) -> Self {
        Self::strided(rows, 1, rows, 0, 1, 0)
    }

    /// `sequences` equally long sequences, each delayed by `steps` rows and started with zeros.
    #[must_use]
    pub fn delay(sequences: usize, length: usize, steps: usize) -> Self {
        let axis = |len: usize, offset: i64, strides: [i64; 2]| SourceAxis {
            len: len as u32,
            offset,
            out_strides: strides.to_vec(),
            tap_strides: vec![0],
        };
        Self {
            out: vec![sequences as u32, length as u32],
            taps: vec![1],
            source: vec![axis(sequences, 0, [1, 0]), axis(length, -(steps as i64), [0, 1])],
        }
    }

    /// The last row of each of `sequences` sequences of `length` rows.
    #[must_use]
    pub fn last(sequences: usize, length: usize) -> Self {
        Self::strided(sequences * length, sequences, 1, length as i64, 0, length as i64 - 1)
    }

    /// Windows of `length` rows that start every `step` rows, one after another, the first at row `first`; rows outside
    /// the source are zero.
    #[must_use]
    pub fn windows(source: usize, count: usize, length: usize, step: usize, first: i64) -> Self {
        let axis =
            SourceAxis { len: source as u32, offset: first, out_strides: vec![step as i64, 1], tap_strides: vec![0] };
        Self { out: vec![count as u32, length as u32], taps: vec![1], source: vec![axis] }
    }

    /// Number of output rows.
    #[must_use]
    pub fn out_rows(&self) -> usize {
        self.out.iter().map(|&n| n as usize).product()
    }

    /// Number of taps.
    #[must_use]
    pub fn num_taps(&self) -> usize {
        self.taps.iter().map(|&n| n as usize).product()
    }

    /// Number of source rows.
    #[must_use]
    pub fn source_rows(&self) -> usize {
        self.source.iter().map(|axis| axis.len as usize).product()
    }

    /// Whether the map is [`RowMap::identity`].
    #[must_use]
    pub fn is_identity(&self) -> bool {
        *self == Self::identity(self.out_rows())
    }

    /// Whether the strides fit the axes; maps that do not are refused when a program is built.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.source
            .iter()
            .all(|axis| axis.out_strides.len() == self.out.len() && axis.tap_strides.len() == self.taps.len())
    }

    /// The source row of every output row at tap `tap`, or [`NONE`].
    #[must_use]
    pub fn sources(&self, tap: usize) -> Vec<u32> {
        let taps = digits(tap, &self.taps);
        let bases: Vec<i64> = self
            .source
            .iter()
            .map(|axis| axis.offset + axis.tap_strides.iter().zip(&taps).map(|(&s, &k)| s * k).sum::<i64>())
            .collect();
        // Places on the source axes, as the output row counts up.
        let (mut at, mut out) = (bases, vec![0u32; self.out.len()]);
        let mut sources = Vec::with_capacity(self.out_rows());
        for _ in 0..self.out_rows() {
            let place = at.iter().zip(&self.source).try_fold(0u32, |source, (&at, axis)| {
                (0..i64::from(axis.len)).contains(&at).then(|| source * axis.len + at as u32)
            });
            sources.push(place.unwrap_or(NONE));
            for (d, (digit, &radix)) in out.iter_mut().zip(&self.out).enumerate().rev() {
                *digit += 1;
                let (carry, steps) = if *digit < radix { (false, 1) } else { (true, 1 - i64::from(radix)) };
                for (at, axis) in at.iter_mut().zip(&self.source) {
                    *at += steps * axis.out_strides.get(d).copied().unwrap_or(0);
                }
                if !carry {
                    break;
                }
                *digit = 0;
            }
        }
        sources
    }

    /// Weights on the source rows: `Ω(u) = Σ_{t,κ : source(t,κ) = u} tap_weights[κ]·weights[t]`, in
    /// O(rows · taps).
    #[must_use]
    pub fn pull_back(&self, weights: &[Fr], tap_weights: &[Fr]) -> Vec<Fr> {
        let mut out = vec![Fr::from(0u64); self.source_rows()];
        let one = Fr::from(1u64);
        for (tap, &tap_weight) in tap_weights.iter().enumerate().take(self.num_taps()) {
            let weights = if tap_weight == one { Cow::Borrowed(weights) } else { scaled(tap_weight, weights).into() };
            for (&weight, source) in weights.iter().zip(self.sources(tap)) {
                if let Some(out) = out.get_mut(source as usize) {
                    *out = out.plus(weight);
                }
            }
        }
        out
    }
}

/// Mixed-radix digits, the first outermost.
fn digits(mut index: usize, radices: &[u32]) -> Vec<i64> {
    let mut out = vec![0; radices.len()];
    for (digit, &radix) in out.iter_mut().zip(radices).rev() {
        let radix = (radix as usize).max(1);
        *digit = (index % radix) as i64;
        index /= radix;
    }
    out
}

/// What a view does to columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ColMap {
    /// Every column itself.
    Identity,
    /// Columns `offset..offset + len`, where `offset` is a multiple of `len.next_power_of_two()`.
    Slice {
        /// First column.
        offset: u32,
        /// Number of columns.
        len: u32,
    },
    /// Copies of the only column.
    Broadcast {
        /// Number of copies.
        len: u32,
    },
}

/// A tensor seen through maps on its rows and columns.
///
/// Entry `(t, c)` of the view is `Σ_κ tap_weights[κ] · tensor[source(t, κ), column(c)]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// The tensor.
    pub tensor: TensorId,
    /// The map on rows.
    pub rows: RowMap,
    /// Weights of the taps; empty on the left of a contraction, where taps are contracted.
    pub tap_weights: Vec<i128>,
    /// The map on columns.
    pub cols: ColMap,
}

impl View {
    /// A tensor of `rows` rows as it is.
    #[must_use]
    pub fn whole(tensor: TensorId, rows: usize) -> Self {
        Self::rows(tensor, RowMap::identity(rows))
    }

    /// A tensor through a map on its rows whose taps are summed.
    #[must_use]
    pub fn rows(tensor: TensorId, rows: RowMap) -> Self {
        let tap_weights = vec![1; rows.num_taps()];
        Self { tensor, rows, tap_weights, cols: ColMap::Identity }
    }

    /// The same view of columns `offset..offset + len`.
    #[must_use]
    pub fn cols(mut self, offset: usize, len: usize) -> Self {
        self.cols = ColMap::Slice { offset: offset as u32, len: len as u32 };
        self
    }

    /// The same view with its only column copied.
    #[must_use]
    pub fn broadcast_cols(mut self, len: usize) -> Self {
        self.cols = ColMap::Broadcast { len: len as u32 };
        self
    }

    /// Whether it is the whole tensor as it is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cols == ColMap::Identity && self.tap_weights == [1] && self.rows.is_identity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_have_the_rows_they_say() {
        assert_eq!(RowMap::identity(3).sources(0), [0, 1, 2]);
        assert_eq!(RowMap::slice(3, -1, 4).sources(0), [NONE, 0, 1, 2]);
        assert_eq!(RowMap::slice(3, 2, 2).sources(0), [2, NONE]);
        assert_eq!(RowMap::broadcast(2).sources(0), [0, 0]);
        assert_eq!(RowMap::sum(3).sources(2), [2]);
        assert_eq!(RowMap::delay(2, 3, 1).sources(0), [NONE, 0, 1, NONE, 3, 4]);
        assert_eq!(RowMap::last(2, 3).sources(0), [2, 5]);
        assert_eq!(RowMap::windows(5, 2, 3, 2, 0).sources(0), [0, 1, 2, 2, 3, 4]);
        assert_eq!(RowMap::windows(5, 2, 3, 2, -1).sources(0), [NONE, 0, 1, 1, 2, 3]);
        let conv = RowMap::strided(5, 2, 3, 2, 1, 0);
        assert_eq!((conv.sources(0), conv.sources(1), conv.sources(2)), (vec![0, 2], vec![1, 3], vec![2, 4]));
    }

    #[test]
    fn weights_are_pulled_back_along_the_map() {
        let f = |x: u64| Fr::from(x);
        let conv = RowMap::strided(5, 2, 3, 2, 1, 0);
        // EXAMPLE: Ω(u) = Σ_{κ,t : 2t+κ=u} eq(κ)·ω(t).
        assert_eq!(conv.pull_back(&[f(10), f(100)], &[f(1), f(2), f(3)]), [10, 20, 130, 200, 300].map(f));
    }
}
