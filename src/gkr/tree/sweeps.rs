//! Sweeps over layers: small loops over many nodes.
//!
//! Work is cut into chunks of a fixed number of nodes; a chunk lies inside the stored numerators, inside the ones, or
//! is written out.

use std::ops::Range;

use super::source::{Room, Run, Source, bound_len, parents_of};
use super::{EqTables, Layer, Numerators};
use crate::gkr::nodes;
use crate::sumcheck::par;
use crate::sumcheck::small::SmallField;

/// Pairs of nodes that one task handles: a power of two.
pub(super) const CHUNK: usize = 1 << 7;

fn total<F: SmallField>(parts: impl IntoIterator<Item = [F; 2]>) -> [F; 2] {
    parts.into_iter().fold([F::ZERO; 2], |sum, part| [sum[0].plus(part[0]), sum[1].plus(part[1])])
}

impl<F: SmallField> Source<'_, F> {
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

    /// Binds the next variable of the node index to `r`, into the buffers of `out`; returns the next round's value at 0
    /// and leading coefficient, `Σ_j eq(j)·(…)` over the stored pairs, and how many of these there are.
    pub(in crate::gkr) fn bind_into(self, out: &mut Layer<F>, r: F, eq: EqTables<'_, F>) -> ([F; 2], usize) {
        let (len, stored) = self.bound_lens();
        let pairs = len.div_ceil(4);
        let [q, v] = out.reserve(len, stored);
        let mut v: Vec<&mut [F]> = v.chunks_mut(4 * CHUNK).collect();
        v.resize_with(pairs.div_ceil(CHUNK), Default::default);
        let chunks = q.chunks_mut(4 * CHUNK).zip(v).collect();
        let parts = par::map_items(chunks, |chunk, out: (&mut [F], &mut [F])| {
            self.bind_chunk(chunk, out, r, eq, &mut self.rooms())
        });
        let next = [self.bound, &[r]].concat();
        let bound = self.after(&next);
        let ones_end = bound.ones_end();
        out.numerators.tail = (ones_end..len).map(|k| bound.fraction(k)[0]).collect();
        (out.numerators.ones_end, out.numerators.one) = (ones_end, bound.one());
        (total(parts), pairs)
    }

    /// What [`Source::bind_into`] returns, without storing what is bound.
    pub(in crate::gkr) fn bind_sums(self, r: F, eq: EqTables<'_, F>) -> ([F; 2], usize) {
        let (len, stored) = self.bound_lens();
        let pairs = len.div_ceil(4);
        let parts = par::map(pairs.div_ceil(CHUNK), |chunk| {
            let lens = [len, stored].map(|len| len.saturating_sub(4 * CHUNK * chunk).min(4 * CHUNK));
            let [mut q, mut v] = lens.map(|len| vec![F::ZERO; len]);
            self.bind_chunk(chunk, (&mut q, &mut v), r, eq, &mut self.rooms())
        });
        (total(parts), pairs)
    }

    /// How many fractions are left after the next round, and how many of their numerators are not known to be ones.
    fn bound_lens(self) -> (usize, usize) {
        let len = bound_len(self.len());
        (len, bound_len(self.stored()).min(len))
    }

    fn bind_chunk(
        self,
        chunk: usize,
        (mut q, mut v): (&mut [F], &mut [F]),
        r: F,
        eq: EqTables<'_, F>,
        rooms: &mut [Room<F>],
    ) -> [F; 2] {
        let mut sums = [F::ZERO; 2];
        let mut first = chunk * CHUNK;
        while !q.is_empty() {
            let (q_out, v_out);
            (q_out, q) = q.split_at_mut((4 * self.step()).min(q.len()));
            (v_out, v) = v.split_at_mut((4 * self.step()).min(v.len()));
            sums = total([sums, self.bind_block(first, [q_out, v_out], r, eq, rooms)]);
            first += self.step();
        }
        sums
    }

    fn bind_block(
        self,
        first: usize,
        [q_out, v_out]: [&mut [F]; 2],
        r: F,
        eq: EqTables<'_, F>,
        rooms: &mut [Room<F>],
    ) -> [F; 2] {
        let factor = self.next_factor();
        let count = q_out.len().div_ceil(4);
        let whole = q_out.len() == 4 * count;
        let range = 8 * first..8 * (first + count);
        match self.read(range.clone(), rooms) {
            Run::Ones(q) if whole && v_out.is_empty() => {
                let (q, out) = (q.groups(), q_out.as_chunks_mut().0);
                let one = factor.map_or(self.one(), |factor| self.one() * factor);
                eq.sum(first, count, |run, low| nodes::bind_ones(low, q.slice(run.clone()), &mut out[run], r, one))
            }
            Run::Both(inputs) if whole && v_out.len() == q_out.len() => {
                bind_pairs(inputs, [q_out, v_out], factor, r, first, eq)
            }
            _ => {
                let [p, q]: [Vec<F>; 2] = [0, 1].map(|k| range.clone().map(|i| self.fraction(i)[k]).collect());
                let mut bound = [vec![F::ZERO; 4 * count], vec![F::ZERO; 4 * count]];
                let [q_bound, v_bound] = &mut bound;
                let sums = bind_pairs([&p, &q], [q_bound, v_bound], factor, r, first, eq);
                q_out.copy_from_slice(&q_bound[..q_out.len()]);
                v_out.copy_from_slice(&v_bound[..v_out.len()]);
                sums
            }
        }
    }
}

/// Binds pairs of nodes with stored numerators, the `first`-th and what follows.
fn bind_pairs<F: SmallField>(
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
