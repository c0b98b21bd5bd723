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
use crate::sumcheck::vectors::{add, scaled};

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
        let mut sources = vec![NONE; self.out_rows()];
        self.for_runs(tap, |run| {
            let rows = sources.iter_mut().skip(run.out).take(run.len);
            rows.enumerate().for_each(|(i, source)| *source = run.source(i) as u32);
        });
        sources
    }

    /// The output rows that have a source at tap `tap`, in ascending runs along the last output axis.
    fn for_runs(&self, tap: usize, mut each: impl FnMut(Run)) {
        let taps = digits(tap, &self.taps);
        let (inner, outer) = self.out.split_last().map_or((1, &self.out[..]), |(&last, outer)| (last, outer));
        let (inner, outer_rows) = (i64::from(inner), outer.iter().map(|&n| n as usize).product());
        for row in 0..outer_rows {
            let place = digits(row, outer);
            let (mut start, mut end, mut source, mut step) = (0, inner, 0, 0);
            for axis in &self.source {
                let along = |strides: &[i64], at: &[i64]| strides.iter().zip(at).map(|(&s, &k)| s * k).sum::<i64>();
                let first = axis.offset + along(&axis.tap_strides, &taps) + along(&axis.out_strides, &place);
                let (stride, len) = (axis.out_strides.last().copied().unwrap_or(0), i64::from(axis.len));
                let [from, to] = within(first, stride, len);
                (start, end) = (start.max(from), end.min(to));
                (source, step) = (source * len + first, step * len + stride);
            }
            if start < end {
                let out = row * inner as usize + start as usize;
                each(Run { out, len: (end - start) as usize, source: source + start * step, step });
            }
        }
    }

    /// The map whose taps are the output rows of this one.
    fn swapped(&self) -> Self {
        let swapped = |axis: &SourceAxis| {
            let SourceAxis { len, offset, out_strides, tap_strides } = axis.clone();
            SourceAxis { len, offset, out_strides: tap_strides, tap_strides: out_strides }
        };
        let source = self.source.iter().map(swapped).collect();
        Self { out: self.taps.clone(), taps: self.out.clone(), source }
    }

    /// Weights on the source rows: `Ω(u) = Σ_{t,κ : source(t,κ) = u} tap_weights[κ]·weights[t]`, in
    /// O(rows · taps).
    #[must_use]
    pub fn pull_back(&self, weights: &[Fr], tap_weights: &[Fr]) -> Vec<Fr> {
        if self.out_rows() == 1 && self.num_taps() > 1 {
            // Runs are along output rows: taps become these.
            return self.swapped().pull_back(tap_weights, weights);
        }
        let mut out = vec![Fr::from(0u64); self.source_rows()];
        let one = Fr::from(1u64);
        for (tap, &tap_weight) in tap_weights.iter().enumerate().take(self.num_taps()) {
            let weights = if tap_weight == one { Cow::Borrowed(weights) } else { scaled(tap_weight, weights).into() };
            self.for_runs(tap, |run| {
                let weights = &weights[run.out.min(weights.len())..];
                let weights = &weights[..run.len.min(weights.len())];
                if run.step == 1 {
                    return add(&mut out[run.source as usize..], weights);
                }
                for (i, &weight) in weights.iter().enumerate() {
                    let sum = &mut out[run.source(i)];
                    *sum = sum.plus(weight);
                }
            });
        }
        out
    }
}

/// Output rows from `out` on, and the source rows from `source` on in steps of `step` that they have.
struct Run {
    out: usize,
    len: usize,
    source: i64,
    step: i64,
}

impl Run {
    /// The source of row `out + i`: a row of the source, since every coordinate is on its axis.
    fn source(&self, i: usize) -> usize {
        (self.source + i as i64 * self.step) as usize
    }
}

/// The range of `o` for which `first + stride·o` is from 0 to below `len`.
fn within(first: i64, stride: i64, len: i64) -> [i64; 2] {
    // The least `o` with `stride·o >= distance`.
    let reach = |distance: i64, stride: i64| distance.div_euclid(stride) + i64::from(distance.rem_euclid(stride) > 0);
    match stride {
        0 if (0..len).contains(&first) => [0, i64::MAX],
        0 => [0, 0],
        1.. => [reach(-first, stride), reach(len - first, stride)],
        _ => [reach(first - len + 1, -stride), reach(first + 1, -stride)],
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

/// Columns `from` to `end` in slices that are views: offset and length of each.
#[must_use]
pub fn aligned_slices(mut from: usize, end: usize) -> Vec<(usize, usize)> {
    let mut slices = Vec::new();
    while from < end {
        let left = end - from;
        // The rest, if that starts where a slice of its length may; else as much as may start here.
        let fits = from.is_multiple_of(left.next_power_of_two());
        let len = if fits { left } else { (1 << from.trailing_zeros()).min(left) };
        slices.push((from, len));
        from += len;
    }
    slices
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
    use proptest::prelude::*;

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

    /// [`RowMap::sources`] by its definition, a row at a time.
    fn source(map: &RowMap, row: usize, tap: usize) -> u32 {
        let (row, tap) = (digits(row, &map.out), digits(tap, &map.taps));
        let along = |strides: &[i64], at: &[i64]| strides.iter().zip(at).map(|(s, k)| s * k).sum::<i64>();
        let place = map.source.iter().try_fold(0, |place, axis| {
            let at = axis.offset + along(&axis.out_strides, &row) + along(&axis.tap_strides, &tap);
            (0..i64::from(axis.len)).contains(&at).then(|| place * i64::from(axis.len) + at)
        });
        place.map_or(NONE, |place| place as u32)
    }

    fn maps() -> impl Strategy<Value = RowMap> {
        let lengths = || proptest::collection::vec(1u32..6, 0..4);
        (lengths(), lengths(), 1usize..4).prop_flat_map(|(out, taps, axes)| {
            let strides = |n: usize| proptest::collection::vec(-3i64..4, n);
            let axis = (1u32..9, -5i64..10, strides(out.len()), strides(taps.len())).prop_map(
                |(len, offset, out_strides, tap_strides)| SourceAxis { len, offset, out_strides, tap_strides },
            );
            let axes = proptest::collection::vec(axis, axes);
            axes.prop_map(move |source| RowMap { out: out.clone(), taps: taps.clone(), source })
        })
    }

    proptest! {
        #[test]
        fn slices_cover_all_columns_once(from in 0usize..70, len in 0usize..70) {
            let slices = aligned_slices(from, from + len);
            let mut next = from;
            for &(offset, len) in &slices {
                prop_assert_eq!(offset, next);
                prop_assert!(len > 0 && offset % len.next_power_of_two() == 0);
                next += len;
            }
            prop_assert_eq!(next, from + len);
            prop_assert!(slices.len() <= 2 * 8);
        }

        #[test]
        fn runs_are_what_the_definition_says(map in maps(), seed in any::<u64>()) {
            let rows = map.out_rows();
            let element = |i: usize| Fr::from(seed ^ i as u64);
            let weights: Vec<Fr> = (0..rows).map(element).collect();
            let tap_weights: Vec<Fr> = (0..map.num_taps()).map(|tap| element(tap / 2)).collect();
            let mut pulled = vec![Fr::from(0u64); map.source_rows()];
            for (tap, &tap_weight) in tap_weights.iter().enumerate() {
                let sources: Vec<u32> = (0..rows).map(|row| source(&map, row, tap)).collect();
                prop_assert_eq!(map.sources(tap), &sources[..]);
                for (row, &source) in sources.iter().enumerate().filter(|&(_, &source)| source != NONE) {
                    pulled[source as usize] += tap_weight * weights[row];
                }
            }
            prop_assert_eq!(map.pull_back(&weights, &tap_weights), pulled);
        }
    }

    #[test]
    fn weights_are_pulled_back_along_the_map() {
        let f = |x: u64| Fr::from(x);
        let conv = RowMap::strided(5, 2, 3, 2, 1, 0);
        // EXAMPLE: Ω(u) = Σ_{κ,t : 2t+κ=u} eq(κ)·ω(t).
        assert_eq!(conv.pull_back(&[f(10), f(100)], &[f(1), f(2), f(3)]), [10, 20, 130, 200, 300].map(f));
    }
}
