//! Layers when their sum-check begins, and the first sweeps over them: small loops over many nodes.
//!
//! Work is cut into chunks of a fixed number of nodes; a chunk lies inside the stored numerators, inside the ones, or
//! is written out.

use std::ops::Range;

use super::{EqTables, Layer, Numerators, Stock};
use crate::gkr::nodes::{self, mix};
use crate::simd::Denominators;
use crate::sumcheck::par;
use crate::sumcheck::small::SmallField;

/// Pairs of nodes that one task handles: a power of two.
pub(super) const CHUNK: usize = 1 << 7;
/// Pairs of nodes that are computed in one go, so few that they stay in the first cache: a power of two.
const BLOCK: usize = 1 << 6;

/// A layer, or the one that is `levels` above it and is computed wherever it is read.
pub(in crate::gkr) struct Source<'a, F> {
    layer: &'a Layer<F>,
    levels: usize,
}

impl<F> Clone for Source<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for Source<'_, F> {}

/// Some fractions in a row.
enum Run<'a, F> {
    /// Denominators; all numerators are 1, or what 1 has been scaled to.
    Ones(Flat<'a, F>),
    /// Numerators and denominators.
    Both([&'a [F]; 2]),
}

/// Denominators in a row.
enum Flat<'a, F> {
    Stored(&'a [F]),
    Entries(&'a [F], &'a [u32]),
}

impl<'a, F> Flat<'a, F> {
    fn groups<const N: usize>(&self) -> Denominators<'a, F, N> {
        match self {
            Self::Stored(denominators) => Denominators::Stored(denominators.as_chunks().0),
            Self::Entries(values, places) => Denominators::Entries(values, places.as_chunks().0),
        }
    }
}

/// Room for numerators and denominators that are computed.
type Room<F> = [Vec<F>; 2];

/// The fractions above a run of pairs.
fn parents_of<F: SmallField>(run: &Run<'_, F>, out: [&mut [F]; 2]) {
    match run {
        Run::Ones(q) => nodes::parents_of_ones(q.groups(), out),
        Run::Both([p, q]) => nodes::parents(p.as_chunks().0, q.as_chunks().0, out),
    }
}

/// Number of children left of `len` when the nodes above them are halved.
fn bound_len(len: usize) -> usize {
    2 * len.div_ceil(4)
}

/// The children that are mixed into child `k` when nodes `2j` and `2j + 1` are.
fn children_before(k: usize) -> [usize; 2] {
    let low = 4 * (k / 2) + k % 2;
    [low, low + 2]
}

fn total<F: SmallField>(parts: impl IntoIterator<Item = [F; 2]>) -> [F; 2] {
    parts.into_iter().fold([F::ZERO; 2], |sum, part| [sum[0].plus(part[0]), sum[1].plus(part[1])])
}

impl<'a, F: SmallField> Source<'a, F> {
    /// The layer that is `levels` above `layer`.
    pub(in crate::gkr) fn new(layer: &'a Layer<F>, levels: usize) -> Self {
        Self { layer, levels }
    }

    /// Number of fractions that are not neutral.
    pub(in crate::gkr) fn len(self) -> usize {
        self.layer.len.div_ceil(1 << self.levels)
    }

    /// Number of numerators that are not known to be ones.
    fn stored(self) -> usize {
        if self.levels == 0 { self.layer.numerators.stored } else { self.len() }
    }

    /// Numerator and denominator `i`.
    pub(in crate::gkr) fn fraction(self, i: usize) -> [F; 2] {
        if self.levels == 0 {
            return [self.layer.numerator(i), self.layer.denominator(i)];
        }
        let below = Self::new(self.layer, self.levels - 1);
        let ([p0, q0], [p1, q1]) = (below.fraction(2 * i), below.fraction(2 * i + 1));
        [p0 * q1 + p1 * q0, q0 * q1]
    }

    /// `p₀ p₁ q₀ q₁` of the only node there is, or of two that `r` mixes: of trees too small for a round in between.
    pub(in crate::gkr) fn finish(self, r: Option<F>) -> [F; 4] {
        let [[p0, q0], [p1, q1], [p2, q2], [p3, q3]] = [0, 1, 2, 3].map(|i| self.fraction(i));
        match r {
            None => [p0, p1, q0, q1],
            Some(r) => [mix(p0, p2, r), mix(p1, p3, r), mix(q0, q2, r), mix(q1, q3, r)],
        }
    }

    /// Gives memory for numerators back that binding this layer does not need: leaves come last, and most of theirs are
    /// ones.
    pub(in crate::gkr) fn release_numerators(self, buffers: [&mut Layer<F>; 2]) {
        for buffer in buffers {
            let values = &mut buffer.numerators.values;
            if values.len() > bound_len(self.stored()) {
                *values = Vec::new();
            }
        }
    }

    fn rooms(self) -> Vec<Room<F>> {
        (0..=self.levels).map(|_| Room::default()).collect()
    }

    /// Pairs of nodes that are read in one go.
    fn step(self) -> usize {
        if self.levels == 0 { CHUNK } else { BLOCK }
    }

    /// Fractions `range`, by way of `rooms` if they are not stored as they are.
    fn read<'r>(self, range: Range<usize>, rooms: &'r mut [Room<F>]) -> Run<'r, F>
    where
        'a: 'r,
    {
        let Some(([p_room, q_room], rooms)) = rooms.split_last_mut() else { unreachable!("a room for each level") };
        if self.levels > 0 {
            for room in [&mut *p_room, &mut *q_room] {
                if room.len() < range.len() {
                    room.resize(range.len(), F::ZERO);
                }
            }
            let len = range.len();
            let below = Self::new(self.layer, self.levels - 1);
            let children = below.read(2 * range.start..2 * range.end, rooms);
            parents_of(&children, [&mut p_room[..len], &mut q_room[..len]]);
            return Run::Both([&p_room[..len], &q_room[..len]]);
        }
        let Layer { numerators, denominators, len, .. } = self.layer;
        let inside = range.end <= *len;
        if inside && numerators.ones(range.start, range.end) {
            return Run::Ones(match denominators {
                Stock::Stored(q) => Flat::Stored(&q[range]),
                Stock::Entries(values, places) => Flat::Entries(values, &places[range]),
            });
        }
        let p = if range.end <= numerators.stored {
            &numerators.values[range.clone()]
        } else {
            p_room.clear();
            p_room.extend(range.clone().map(|i| self.layer.numerator(i)));
            &p_room[..]
        };
        let q = match denominators {
            Stock::Stored(q) if inside => &q[range],
            _ => {
                q_room.clear();
                q_room.extend(range.map(|i| self.layer.denominator(i)));
                &q_room[..]
            }
        };
        Run::Both([p, q])
    }

    /// The layer above.
    pub(in crate::gkr) fn parents(self) -> Layer<F> {
        let len = self.len().div_ceil(2);
        let (mut p_out, mut q_out) = (par::filled(len, F::ZERO), par::filled(len, F::ZERO));
        let step = 2 * self.step();
        let chunks = p_out.chunks_mut(2 * CHUNK).zip(q_out.chunks_mut(2 * CHUNK)).collect();
        par::map_items(chunks, |chunk, (p_out, q_out): (&mut [F], &mut [F])| {
            let mut rooms = self.rooms();
            for (block, (p_out, q_out)) in p_out.chunks_mut(step).zip(q_out.chunks_mut(step)).enumerate() {
                let start = 2 * (2 * CHUNK * chunk + block * step);
                parents_of(&self.read(start..start + 2 * q_out.len(), &mut rooms), [p_out, q_out]);
            }
        });
        Layer::new(Numerators::new(p_out, len), q_out)
    }

    /// The leading coefficient of the first round, `Σ_j eq(j)·(coefficient of X² of pair j)`.
    pub(in crate::gkr) fn leading(self, lambda: F, eq: EqTables<'_, F>) -> F {
        let pairs = self.len().div_ceil(4);
        let parts = par::map(pairs.div_ceil(CHUNK), |chunk| {
            let mut rooms = self.rooms();
            let end = pairs.min((chunk + 1) * CHUNK);
            total((chunk * CHUNK..end).step_by(self.step()).map(|first| {
                let count = self.step().min(end - first);
                match self.read(4 * first..4 * (first + count), &mut rooms) {
                    Run::Ones(q) => {
                        let (q, square) = (q.groups(), F::ZERO);
                        eq.sum(first, count, |run, low| [nodes::leading_of_ones(low, q.slice(run)), square])
                    }
                    Run::Both([p, q]) => {
                        let (p, q) = (p.as_chunks().0, q.as_chunks().0);
                        let leading = |run: Range<usize>, low: &[F]| {
                            [nodes::leading(low, &q[run.clone()], &p[run], lambda), F::ZERO]
                        };
                        eq.sum(first, count, leading)
                    }
                }
            }))
        });
        total(parts)[0]
    }

    /// Binds variable 0 of the node index to `r`, and multiplies numerators by `factor` if there is one, into the
    /// buffers of `out`; returns the next round's value at 0 and leading coefficient, `Σ_j eq(j)·(…)` over the
    /// stored pairs, and how many of these there are.
    pub(in crate::gkr) fn bind_into(
        self,
        out: &mut Layer<F>,
        factor: Option<F>,
        r: F,
        eq: EqTables<'_, F>,
    ) -> ([F; 2], usize) {
        let len = bound_len(self.len());
        let stored = bound_len(self.stored()).min(len);
        let pairs = len.div_ceil(4);
        let [q, v] = out.reserve(len, stored);
        let mut v: Vec<&mut [F]> = v.chunks_mut(4 * CHUNK).collect();
        v.resize_with(pairs.div_ceil(CHUNK), Default::default);
        let chunks = q.chunks_mut(4 * CHUNK).zip(v).collect();
        let parts = par::map_items(chunks, |chunk, (mut q, mut v): (&mut [F], &mut [F])| {
            let mut rooms = self.rooms();
            let mut sums = [F::ZERO; 2];
            let mut first = chunk * CHUNK;
            while !q.is_empty() {
                let (q_out, v_out);
                (q_out, q) = q.split_at_mut((4 * self.step()).min(q.len()));
                (v_out, v) = v.split_at_mut((4 * self.step()).min(v.len()));
                sums = total([sums, self.bind_block(first, [q_out, v_out], factor, r, eq, &mut rooms)]);
                first += self.step();
            }
            sums
        });
        let scaled = |x: F| factor.map_or(x, |factor| x * factor);
        // Four ones make two ones; the group at the edge is written out.
        let ones = if self.levels == 0 { 2 * (self.layer.numerators.ones_end / 4) } else { len };
        let ones_end = ones.max(stored);
        out.numerators.tail = (ones_end..len)
            .map(|k| {
                let [low, high] = children_before(k);
                scaled(mix(self.fraction(low)[0], self.fraction(high)[0], r))
            })
            .collect();
        out.numerators.ones_end = ones_end;
        out.numerators.one = scaled(self.layer.numerators.one);
        (total(parts), pairs)
    }

    fn bind_block(
        self,
        first: usize,
        [q_out, v_out]: [&mut [F]; 2],
        factor: Option<F>,
        r: F,
        eq: EqTables<'_, F>,
        rooms: &mut [Room<F>],
    ) -> [F; 2] {
        let count = q_out.len().div_ceil(4);
        let whole = q_out.len() == 4 * count;
        let range = 8 * first..8 * (first + count);
        match self.read(range.clone(), rooms) {
            Run::Ones(q) if whole && v_out.is_empty() => {
                let (q, out) = (q.groups(), q_out.as_chunks_mut().0);
                let one = factor.map_or(self.layer.numerators.one, |factor| self.layer.numerators.one * factor);
                eq.sum(first, count, |run, low| nodes::bind_ones(low, q.slice(run.clone()), &mut out[run], r, one))
            }
            Run::Both(inputs) if whole && v_out.len() == q_out.len() => {
                bind_run(inputs, [q_out, v_out], factor, r, first, eq)
            }
            _ => {
                let [p, q]: [Vec<F>; 2] = [0, 1].map(|k| range.clone().map(|i| self.fraction(i)[k]).collect());
                let mut bound = [vec![F::ZERO; 4 * count], vec![F::ZERO; 4 * count]];
                let [q_bound, v_bound] = &mut bound;
                let sums = bind_run([&p, &q], [q_bound, v_bound], factor, r, first, eq);
                q_out.copy_from_slice(&q_bound[..q_out.len()]);
                v_out.copy_from_slice(&v_bound[..v_out.len()]);
                sums
            }
        }
    }
}

/// Binds pairs of nodes with stored numerators, the `first`-th and what follows.
fn bind_run<F: SmallField>(
    [p, q]: [&[F]; 2],
    [q_out, v_out]: [&mut [F]; 2],
    factor: Option<F>,
    r: F,
    first: usize,
    eq: EqTables<'_, F>,
) -> [F; 2] {
    let inputs = [q.as_chunks().0, p.as_chunks().0];
    let (q_out, v_out) = (q_out.as_chunks_mut().0, v_out.as_chunks_mut().0);
    eq.sum(first, inputs[0].len(), |run, low| {
        let inputs = inputs.map(|x| &x[run.clone()]);
        nodes::bind(low, inputs, [&mut q_out[run.clone()], &mut v_out[run]], r, factor)
    })
}
