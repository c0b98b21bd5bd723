//! Layers as sweeps read them: stored, looked up, or computed from the layer that is.

use std::ops::Range;

use super::sweeps::CHUNK;
use super::{Layer, Stock};
use crate::gkr::nodes::{self, mix, node};
use crate::simd::{Denominators, LANES};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::small::SmallField;

/// A layer, or the one that is `levels` above it, bound to some challenges: what is not stored is computed wherever it
/// is read.
#[derive(Clone, Copy)]
pub(in crate::gkr) struct Source<'a, F> {
    layer: &'a Layer<F>,
    levels: usize,
    /// What variables 0, 1, … of the node index are bound to.
    pub(super) bound: &'a [F],
    /// What the first round multiplies numerators by.
    factor: Option<F>,
}

/// Some fractions in a row.
pub(super) enum Run<'a, F> {
    /// Denominators; all numerators are 1, or what 1 has been scaled to.
    Ones(Flat<'a, F>),
    /// Numerators and denominators.
    Both([&'a [F]; 2]),
}

/// Denominators in a row.
pub(super) enum Flat<'a, F> {
    Stored(&'a [F]),
    Entries(&'a [F], &'a [u32]),
}

impl<'a, F> Flat<'a, F> {
    pub(super) fn groups<const N: usize>(&self) -> Denominators<'a, F, N> {
        match self {
            Self::Stored(denominators) => Denominators::Stored(denominators.as_chunks().0),
            Self::Entries(values, places) => Denominators::Entries(values, places.as_chunks().0),
        }
    }
}

/// Room for numerators and denominators that are computed.
pub(super) type Room<F> = [Vec<F>; 2];

/// The fractions above a run of pairs.
pub(super) fn parents_of<F: SmallField>(run: &Run<'_, F>, out: [&mut [F]; 2]) {
    match run {
        Run::Ones(q) => nodes::parents_of_ones(q.groups(), out),
        Run::Both([p, q]) => nodes::parents(p.as_chunks().0, q.as_chunks().0, out),
    }
}

/// The fractions that are left of a run when `r` binds it, without numerators if these are still known to be ones: says
/// whether.
fn bind_run<F: SmallField>(run: &Run<'_, F>, [p_out, q_out]: [&mut [F]; 2], r: F, factor: Option<F>) -> bool {
    match run {
        Run::Ones(q) => nodes::mix_children(q.groups(), q_out.as_chunks_mut().0, r),
        Run::Both([p, q]) => {
            nodes::mix_children(Denominators::Stored(q.as_chunks().0), q_out.as_chunks_mut().0, r);
            nodes::mix_children(Denominators::Stored(p.as_chunks().0), p_out.as_chunks_mut().0, r);
            if let Some(factor) = factor {
                p_out.iter_mut().for_each(|p| *p *= factor);
            }
        }
    }
    matches!(run, Run::Ones(_))
}

/// Number of children left of `len` when the nodes above them are halved.
pub(super) fn bound_len(len: usize) -> usize {
    2 * len.div_ceil(4)
}

/// The children that are mixed into child `k` when nodes `2j` and `2j + 1` are.
fn children_before(k: usize) -> [usize; 2] {
    let low = 4 * (k / 2) + k % 2;
    [low, low + 2]
}

/// How many fractions are left of `len` when the nodes above them are halved `rounds` times.
fn bound_often(len: usize, rounds: usize) -> usize {
    (0..rounds).fold(len, |len, _| bound_len(len))
}

impl<'a, F: SmallField> Source<'a, F> {
    /// The layer that is `levels` above `layer`.
    pub(in crate::gkr) fn new(layer: &'a Layer<F>, levels: usize) -> Self {
        Self { layer, levels, bound: &[], factor: None }
    }

    /// The same layer, whose first round multiplies numerators by `factor`.
    pub(in crate::gkr) fn scaled(self, factor: F) -> Self {
        Self { factor: Some(factor), ..self }
    }

    /// The layer after rounds with these challenges.
    pub(in crate::gkr) fn after(self, bound: &'a [F]) -> Self {
        Self { bound, ..self }
    }

    /// Number of fractions that are not neutral.
    pub(in crate::gkr) fn len(self) -> usize {
        bound_often(self.layer.len.div_ceil(1 << self.levels), self.bound.len())
    }

    /// Number of numerators that are not known to be ones.
    pub(super) fn stored(self) -> usize {
        if self.levels > 0 {
            return self.len();
        }
        bound_often(self.layer.numerators.stored, self.bound.len()).min(self.len())
    }

    /// Where the numerators end that are known to be ones.
    pub(super) fn ones_end(self) -> usize {
        if self.levels > 0 {
            return self.len();
        }
        // Four ones make two ones; the group at the edge is written out.
        let ones = self.bound.iter().fold(self.layer.numerators.ones_end, |ones, _| 2 * (ones / 4));
        ones.max(self.stored())
    }

    /// What numerators that are known to be ones are scaled to.
    pub(super) fn one(self) -> F {
        let one = self.layer.numerators.one;
        self.factor.filter(|_| !self.bound.is_empty()).map_or(one, |factor| one * factor)
    }

    /// What the next round multiplies numerators by.
    pub(super) fn next_factor(self) -> Option<F> {
        self.factor.filter(|_| self.bound.is_empty())
    }

    /// The layer before its last round, and that one's challenge.
    fn unbound(self) -> Option<(Self, F)> {
        let (&r, bound) = self.bound.split_last()?;
        Some((self.after(bound), r))
    }

    /// Numerator and denominator `i`.
    pub(in crate::gkr) fn fraction(self, i: usize) -> [F; 2] {
        if let Some((before, r)) = self.unbound() {
            let [low, high] = children_before(i).map(|k| before.fraction(k));
            let p = mix(low[0], high[0], r);
            return [before.next_factor().map_or(p, |factor| p * factor), mix(low[1], high[1], r)];
        }
        if self.levels == 0 {
            return [self.layer.numerator(i), self.layer.denominator(i)];
        }
        let below = Self { levels: self.levels - 1, ..self };
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

    /// The value at 1 of the polynomial whose other values [`Source::bind_into`] gave, from its definition:
    /// needed only if a coordinate of the point is zero.
    pub(in crate::gkr) fn at_one(self, rest: &[F]) -> F {
        let pairs = self.len().div_ceil(4);
        let weights = eq_prefix(rest, pairs);
        let real: F = (0..pairs)
            .map(|j| {
                let [[p0, q0], [p1, q1]] = [4 * j + 2, 4 * j + 3].map(|i| self.fraction(i));
                weights[j] * node([q0, q1], [p0, p1])
            })
            .sum();
        real + F::ONE - weights.iter().sum::<F>()
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

    pub(super) fn rooms(self) -> Vec<Room<F>> {
        (0..=self.depth()).map(|_| Room::default()).collect()
    }

    /// How many times the number of fractions is halved wherever they are read.
    fn depth(self) -> usize {
        self.levels + self.bound.len()
    }

    /// Pairs of nodes that are read in one go, so few that what they are computed from stays in a cache: a power of
    /// two.
    pub(super) fn step(self) -> usize {
        (CHUNK >> self.depth()).max(LANES)
    }

    /// Fractions `range`, by way of `rooms` if they are not stored as they are.
    pub(super) fn read<'r>(self, range: Range<usize>, rooms: &'r mut [Room<F>]) -> Run<'r, F>
    where
        'a: 'r,
    {
        let Some(([p_room, q_room], rooms)) = rooms.split_last_mut() else { unreachable!("a room for each level") };
        if self.depth() > 0 {
            let len = range.len();
            for room in [&mut *p_room, &mut *q_room] {
                if room.len() < len {
                    room.resize(len, F::ZERO);
                }
            }
            let out = [&mut p_room[..len], &mut q_room[..len]];
            let twice = 2 * range.start..2 * range.end;
            let ones = match self.unbound() {
                Some((before, r)) => bind_run(&before.read(twice, rooms), out, r, before.next_factor()),
                None => {
                    parents_of(&Self { levels: self.levels - 1, ..self }.read(twice, rooms), out);
                    false
                }
            };
            let [p, q] = [&p_room[..len], &q_room[..len]];
            return if ones { Run::Ones(Flat::Stored(q)) } else { Run::Both([p, q]) };
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
}
