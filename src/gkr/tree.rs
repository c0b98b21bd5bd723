//! The prover's layers of the [fraction tree](super::fraction): small loops over many nodes.
//!
//! A layer is read once a round: binding a variable and evaluating the next round's polynomial are one
//! sweep. While a layer is bound it holds `v = λ·p` instead of the numerators `p`, so that a node costs
//! `(q₀ + v₀)(q₁ + v₁) − v₀v₁ = q₀·(q₁ + v₁) + v₀·q₁`, two products that share a reduction. Two buffers
//! take turns, and each layer leaves its own to the next one, which is twice as long.
//!
//! Numerators of looked-up values are all 1 and never stored. Work is cut into chunks of a fixed number
//! of nodes; a chunk lies inside the stored numerators, inside the ones, or is taken entry by entry.

use std::ops::Range;

use super::nodes::{self, mix, node};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::par;
use crate::sumcheck::small::SmallField;

/// Pairs of nodes that one task handles: a power of two.
const CHUNK: usize = 1 << 7;

/// Numerators of a layer: some field elements, then ones, then a few field elements, then zeros.
///
/// Binding keeps this form, and at most four values follow the ones.
#[derive(Clone, Debug)]
pub struct Numerators<F> {
    values: Vec<F>,
    /// How many of `values` are in use.
    stored: usize,
    ones_end: usize,
    tail: Vec<F>,
    /// What every one is scaled to.
    one: F,
}

impl<F: SmallField> Numerators<F> {
    /// `prefix`, followed by ones up to index `len`.
    ///
    /// # Panics
    /// If the prefix is longer than `len`.
    #[must_use]
    pub fn new(prefix: Vec<F>, len: usize) -> Self {
        assert!(prefix.len() <= len, "the prefix is part of the numerators");
        Self { stored: prefix.len(), values: prefix, ones_end: len, tail: Vec::new(), one: F::ONE }
    }

    /// Numerator `i`.
    #[must_use]
    pub fn get(&self, i: usize) -> F {
        if i < self.stored { self.values[i] } else { self.after_stored(i) }
    }

    fn after_stored(&self, i: usize) -> F {
        if i < self.ones_end { self.one } else { self.tail.get(i - self.ones_end).copied().unwrap_or(F::ZERO) }
    }

    /// Whether entries `start..end` are all ones.
    fn ones(&self, start: usize, end: usize) -> bool {
        self.stored <= start && end <= self.ones_end
    }
}

/// A layer of fractions; entries from [`Layer::len`] on are 0/1.
#[derive(Clone, Debug)]
pub struct Layer<F> {
    /// Numerators, scaled by λ once the layer's sum-check has begun.
    numerators: Numerators<F>,
    /// Denominators, of which `len` are in use.
    denominators: Vec<F>,
    len: usize,
}

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

    /// `Σ_j eq(first + j)·f(j)` for `count` indices from a multiple of [`CHUNK`] on; `f` is given a run of
    /// indices `j` and their weights `low`, and sums that run.
    #[inline(always)]
    fn sum(&self, first: usize, count: usize, mut f: impl FnMut(Range<usize>, &[F]) -> [F; 2]) -> [F; 2] {
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

/// Number of children left of `len` when the nodes above them are halved.
fn bound_len(len: usize) -> usize {
    2 * len.div_ceil(4)
}

/// The children that are mixed into child `k` when nodes `2j` and `2j + 1` are.
fn children_before(k: usize) -> [usize; 2] {
    let low = 4 * (k / 2) + k % 2;
    [low, low + 2]
}

fn total<F: SmallField>(parts: Vec<[F; 2]>) -> [F; 2] {
    parts.into_iter().fold([F::ZERO; 2], |sum, part| [sum[0] + part[0], sum[1] + part[1]])
}

impl<F: SmallField> Layer<F> {
    /// Fractions with these numerators and denominators.
    #[must_use]
    pub fn new(numerators: Numerators<F>, denominators: Vec<F>) -> Self {
        Self { numerators, len: denominators.len(), denominators }
    }

    /// A layer of nothing, whose buffers are to be filled.
    pub(super) fn empty() -> Self {
        Self::new(Numerators::new(Vec::new(), 0), Vec::new())
    }

    /// Number of fractions that are stored.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a sum has terms
    pub fn len(&self) -> usize {
        self.len
    }

    /// Denominator `i`.
    #[must_use]
    pub fn denominator(&self, i: usize) -> F {
        if i < self.len { self.denominators[i] } else { F::ONE }
    }

    /// Numerator `i`, times λ once the sum-check has begun.
    #[must_use]
    pub fn numerator(&self, i: usize) -> F {
        self.numerators.get(i)
    }

    /// Replaces fraction `i`, before the layer's sum-check begins: what a cheating prover does.
    #[cfg(feature = "adversary")]
    pub fn set(&mut self, i: usize, numerator: F, denominator: F) {
        let mut numerators: Vec<F> = (0..self.len).map(|k| self.numerator(k)).collect();
        numerators[i] = numerator;
        self.numerators = Numerators::new(numerators, self.len);
        self.denominators[i] = denominator;
    }

    /// The layer above.
    pub(super) fn parents(&self) -> Self {
        let len = self.len.div_ceil(2);
        let (mut p_out, mut q_out) = (par::filled(len, F::ZERO), par::filled(len, F::ZERO));
        let chunks = p_out.chunks_mut(2 * CHUNK).zip(q_out.chunks_mut(2 * CHUNK)).collect();
        par::map_items(chunks, |chunk, (p_out, q_out): (&mut [F], &mut [F])| {
            let start = 4 * CHUNK * chunk;
            let end = (start + 2 * q_out.len()).min(self.len);
            let (q, last) = self.denominators[start..end].as_chunks();
            if let [last] = last {
                // The last of an odd number of fractions: its sibling is 0/1.
                (p_out[q.len()], q_out[q.len()]) = (self.numerator(end - 1), *last);
            }
            let out = [&mut p_out[..q.len()], &mut q_out[..q.len()]];
            if self.numerators.ones(start, end) {
                nodes::parents_of_ones(q, out);
            } else if end <= self.numerators.stored {
                nodes::parents(self.numerators.values[start..end].as_chunks().0, q, out);
            } else {
                let p: Vec<F> = (start..end).map(|i| self.numerator(i)).collect();
                nodes::parents(p.as_chunks().0, q, out);
            }
        });
        Self::new(Numerators::new(p_out, len), q_out)
    }

    /// Scales the numerators by `lambda`, and returns the leading coefficient of the first round,
    /// `Σ_j eq(j)·(coefficient of X² of pair j)`.
    pub(super) fn start(&mut self, lambda: F, eq: EqTables<'_, F>) -> F {
        let pairs = self.len.div_ceil(4);
        let Numerators { values, stored, one, tail, .. } = &mut self.numerators;
        *one = lambda;
        tail.iter_mut().for_each(|p| *p *= lambda);
        let stored = *stored;
        let mut values = std::mem::take(values);
        let chunks = chunks_of(values[..stored].chunks_mut(4 * CHUNK), pairs.div_ceil(CHUNK));
        let parts = par::map_items(chunks, |chunk, v: &mut [F]| {
            nodes::scale(v, lambda);
            let first = chunk * CHUNK;
            self.leading_of_chunk(first, CHUNK.min(pairs - first), v, eq)
        });
        self.numerators.values = values;
        total(parts)[0]
    }

    fn leading_of_chunk(&self, first: usize, count: usize, v: &[F], eq: EqTables<'_, F>) -> [F; 2] {
        let range = 4 * first..4 * (first + count);
        let (ones, inside) = (self.numerators.ones(range.start, range.end), range.end <= self.len);
        if inside && ones {
            let q = self.denominators[range].as_chunks().0;
            eq.sum(first, count, |run, low| [nodes::leading_of_ones(low, &q[run]), F::ZERO])
        } else if inside && v.len() == range.len() {
            let (q, v) = (self.denominators[range].as_chunks().0, v.as_chunks().0);
            eq.sum(first, count, |run, low| [nodes::leading(low, &q[run.clone()], &v[run]), F::ZERO])
        } else {
            // The numerators of this layer are with the tasks.
            let numerator =
                |i: usize| v.get(i - range.start).copied().unwrap_or_else(|| self.numerators.after_stored(i));
            let v: Vec<F> = range.clone().map(numerator).collect();
            let q: Vec<F> = range.map(|i| self.denominator(i)).collect();
            let (q, v) = (q.as_chunks().0, v.as_chunks().0);
            eq.sum(first, count, |run, low| [nodes::leading(low, &q[run.clone()], &v[run]), F::ZERO])
        }
    }

    /// Binds variable 0 of the node index to `r`, into the buffers of `out`; returns the next round's value
    /// at 0 and leading coefficient, `Σ_j eq(j)·(…)` over the stored pairs, and how many of these there are.
    pub(super) fn bind_into(&self, out: &mut Self, r: F, eq: EqTables<'_, F>) -> ([F; 2], usize) {
        let len = bound_len(self.len);
        let stored = bound_len(self.numerators.stored).min(len);
        out.reserve(len, stored);
        let pairs = len.div_ceil(4);
        let q = out.denominators[..len].chunks_mut(4 * CHUNK);
        let v = chunks_of(out.numerators.values[..stored].chunks_mut(4 * CHUNK), pairs.div_ceil(CHUNK));
        let parts = par::map_items(q.zip(v).collect(), |chunk, (q, v): (&mut [F], &mut [F])| {
            self.bind_chunk(chunk * CHUNK, q, v, r, eq)
        });
        // Four ones make two ones; the group at the edge is written out.
        let ones_end = (2 * (self.numerators.ones_end / 4)).max(stored);
        out.numerators.tail = (ones_end..len)
            .map(|k| {
                let [low, high] = children_before(k);
                mix(self.numerator(low), self.numerator(high), r)
            })
            .collect();
        out.numerators.ones_end = ones_end;
        out.numerators.one = self.numerators.one;
        (total(parts), pairs)
    }

    /// The value at 1 of the polynomial whose other values [`Layer::bind_into`] gave, from its definition:
    /// needed only if a coordinate of the point is zero.
    pub(super) fn at_one(&self, rest: &[F]) -> F {
        let pairs = self.len.div_ceil(4);
        let weights = eq_prefix(rest, pairs);
        let real: F = (0..pairs)
            .map(|j| {
                let [i, k] = [4 * j + 2, 4 * j + 3];
                let (q, v) = ([i, k].map(|i| self.denominator(i)), [i, k].map(|i| self.numerator(i)));
                weights[j] * node(q, v)
            })
            .sum();
        real + F::ONE - weights.iter().sum::<F>()
    }

    /// `p₀ p₁ q₀ q₁` of the only node left, once the last challenge binds its layer; without one, of the
    /// only node there is.
    pub(super) fn finish(&self, last: Option<F>, lambda: F) -> [F; 4] {
        let unscale = lambda.inverse().expect("a challenge is not zero, but for a probability of 2^-250");
        let (p, q) = (|i| self.numerator(i) * unscale, |i| self.denominator(i));
        match last {
            None => [p(0), p(1), q(0), q(1)],
            Some(r) => [mix(p(0), p(2), r), mix(p(1), p(3), r), mix(q(0), q(2), r), mix(q(1), q(3), r)],
        }
    }

    /// How many fractions the buffers hold.
    pub(super) fn capacity(&self) -> usize {
        self.denominators.len()
    }

    /// Room for `len` fractions, `stored` of them with stored numerators.
    fn reserve(&mut self, len: usize, stored: usize) {
        for (buffer, used) in [(&mut self.denominators, len), (&mut self.numerators.values, stored)] {
            if buffer.len() < used {
                *buffer = par::filled(used, F::ZERO);
            }
        }
        (self.len, self.numerators.stored) = (len, stored);
    }

    fn bind_chunk(&self, first: usize, q_out: &mut [F], v_out: &mut [F], r: F, eq: EqTables<'_, F>) -> [F; 2] {
        let count = q_out.len().div_ceil(4);
        let range = 8 * first..8 * (first + count);
        let inside = range.end <= self.len && q_out.len() == 4 * count;
        if inside && v_out.is_empty() && self.numerators.ones(range.start, range.end) {
            let (q, out) = (self.denominators[range].as_chunks().0, q_out.as_chunks_mut().0);
            let one = self.numerators.one;
            eq.sum(first, count, |run, low| nodes::bind_ones(low, &q[run.clone()], &mut out[run], r, one))
        } else if inside && v_out.len() == q_out.len() && range.end <= self.numerators.stored {
            bind_run([&self.denominators[range.clone()], &self.numerators.values[range]], [q_out, v_out], r, first, eq)
        } else {
            let q: Vec<F> = range.clone().map(|i| self.denominator(i)).collect();
            let v: Vec<F> = range.map(|i| self.numerator(i)).collect();
            let mut bound = [vec![F::ZERO; 4 * count], vec![F::ZERO; 4 * count]];
            let [q_bound, v_bound] = &mut bound;
            let sums = bind_run([&q, &v], [q_bound, v_bound], r, first, eq);
            q_out.copy_from_slice(&q_bound[..q_out.len()]);
            v_out.copy_from_slice(&v_bound[..v_out.len()]);
            sums
        }
    }
}

/// Binds pairs of nodes with stored numerators, the `first`-th and what follows.
fn bind_run<F: SmallField>(
    [q, v]: [&[F]; 2],
    [q_out, v_out]: [&mut [F]; 2],
    r: F,
    first: usize,
    eq: EqTables<'_, F>,
) -> [F; 2] {
    let inputs = [q.as_chunks().0, v.as_chunks().0];
    let (q_out, v_out) = (q_out.as_chunks_mut().0, v_out.as_chunks_mut().0);
    eq.sum(first, inputs[0].len(), |run, low| {
        let inputs = inputs.map(|x| &x[run.clone()]);
        nodes::bind(low, inputs, [&mut q_out[run.clone()], &mut v_out[run]], r)
    })
}

/// The chunks of a slice, followed by empty ones up to `count`.
fn chunks_of<'a, F>(chunks: impl Iterator<Item = &'a mut [F]>, count: usize) -> Vec<&'a mut [F]>
where
    F: 'a,
{
    let mut chunks: Vec<&mut [F]> = chunks.collect();
    chunks.resize_with(count, Default::default);
    chunks
}
