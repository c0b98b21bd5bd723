//! Fast round messages: products of tables here, `eq`-weighted products of integer matrices in `eq_product`.
//!
//! Variable 0, the least significant index bit, is bound first, so the real entries of a table stay
//! a prefix in every round and nothing is spent on padding. Work is cut into chunks of a fixed size,
//! hence the same messages for any number of threads.

use super::batch::Instance;
pub use super::eq_product::EqProduct;
use super::par;
use super::rounds::cubic;
use super::small::SmallField;
use crate::simd::LANES;

/// Pairs of entries that one task handles.
const CHUNK: usize = 1 << 9;

/// `Σ_x Π_k table_k(x)` for `K` tables of field elements, `K` being 2 or 3.
///
/// Tables may be shorter than `2^num_vars`: the rest is zero.
pub struct Product<F, const K: usize> {
    num_vars: usize,
    tables: [Vec<F>; K],
    /// The next round's sums, if binding has found them.
    sums: Option<[F; 3]>,
}

impl<F: SmallField, const K: usize> Product<F, K> {
    /// A product over `num_vars` variables.
    ///
    /// # Panics
    /// If `K` is not 2 or 3, or the tables differ in length or do not fit.
    #[must_use]
    pub fn new(num_vars: usize, tables: [Vec<F>; K]) -> Self {
        assert!(K == 2 || K == 3, "products of two or three tables");
        assert!(tables.iter().all(|t| t.len() == tables[0].len()), "tables of one length");
        assert!(tables[0].len() <= 1 << num_vars, "tables fit their variables");
        Self { num_vars, tables, sums: None }
    }

    /// The sum over all entries.
    #[must_use]
    pub fn sum(&self) -> F {
        (0..self.tables[0].len()).map(|i| self.tables.iter().map(|t| t[i]).product::<F>()).sum()
    }

    /// The values of the tables once every variable is bound.
    ///
    /// # Panics
    /// If a variable is unbound.
    #[must_use]
    pub fn values(&self) -> [F; K] {
        assert_eq!(self.num_vars, 0, "every variable is bound");
        std::array::from_fn(|k| self.tables[k].first().copied().unwrap_or(F::ZERO))
    }

    /// Values at 0 and −1 and leading coefficient, of the chunk's pairs.
    fn chunk(&self, chunk: usize) -> [F; 3] {
        let range = 2 * chunk * CHUNK..(2 * (chunk + 1) * CHUNK).min(self.tables[0].len());
        sums::<F, K>(std::array::from_fn(|k| &self.tables[k][range.clone()]))
    }

    /// Binds variable 0 to `r` and sums the next round's values, in one sweep.
    fn bind_and_sum(&mut self, r: F) -> [F; 3] {
        let len = self.tables[0].len().div_ceil(2);
        let mut bound: [Vec<F>; K] = std::array::from_fn(|_| par::filled(len, F::ZERO));
        let mut chunks: Vec<[&mut [F]; K]> =
            (0..len.div_ceil(2 * CHUNK)).map(|_| std::array::from_fn(|_| Default::default())).collect();
        for (k, table) in bound.iter_mut().enumerate() {
            chunks.iter_mut().zip(table.chunks_mut(2 * CHUNK)).for_each(|(chunk, out)| chunk[k] = out);
        }
        let tables = &self.tables;
        let sums = par::map_items(chunks, |chunk, mut out: [&mut [F]; K]| {
            for (out, table) in out.iter_mut().zip(tables) {
                bind_into(&table[4 * chunk * CHUNK..], r, out);
            }
            sums::<F, K>(out.map(|out| &*out))
        });
        self.tables = bound;
        sums.into_iter().fold([F::ZERO; 3], add)
    }
}

/// Values at 0, leading coefficients and, for three factors, values at −1, of the pairs of neighbours; an odd
/// last entry is followed by zero.
fn sums<F: SmallField, const K: usize>(tables: [&[F]; K]) -> [F; 3] {
    let pairs: [(&[[F; 2]], &[F]); K] = tables.map(|table| table.as_chunks());
    let (mut out, mut done) = ([F::ZERO; 3], 0);
    let whole = pairs[0].0.len() - pairs[0].0.len() % LANES;
    if let Some(kernels) = F::product_kernels().filter(|_| whole > 0) {
        let table = |k: usize| &pairs[k].0[..whole];
        out = if K == 2 {
            let [at_0, leading] = kernels.sums_of_two(table(0), table(1));
            [at_0, leading, F::ZERO]
        } else {
            kernels.sums_of_three(table(0), table(1), table(2))
        };
        done = whole;
    }
    for j in done..pairs[0].0.len() {
        let low: [F; K] = std::array::from_fn(|k| pairs[k].0[j][0]);
        add_pair(&mut out, &low, &std::array::from_fn(|k| pairs[k].0[j][1]));
    }
    if !pairs[0].1.is_empty() {
        add_pair(&mut out, &std::array::from_fn(|k| pairs[k].1[0]), &[F::ZERO; K]);
    }
    out
}

/// Adds the pair's value at 0, leading coefficient and, for three factors, value at −1.
#[inline(always)]
fn add_pair<F: SmallField, const K: usize>(sum: &mut [F; 3], low: &[F; K], high: &[F; K]) {
    let slope: [F; K] = std::array::from_fn(|k| high[k].minus(low[k]));
    sum[0] = sum[0].plus(product(low));
    sum[1] = sum[1].plus(product(&slope));
    if K == 3 {
        sum[2] = sum[2].plus(product::<F, K>(&std::array::from_fn(|k| low[k].minus(slope[k]))));
    }
}

/// `out[j] = (1 − r)·table[2j] + r·table[2j + 1]`; an odd last entry is followed by zero.
pub(super) fn bind_into<F: SmallField>(table: &[F], r: F, out: &mut [F]) {
    let (pairs, last) = table.as_chunks::<2>();
    let pairs = &pairs[..pairs.len().min(out.len())];
    let mut done = 0;
    if let Some(kernels) = F::product_kernels().filter(|_| pairs.len() >= LANES) {
        done = pairs.len() - pairs.len() % LANES;
        kernels.bind(&pairs[..done], r, &mut out[..done]);
    }
    for (out, &[low, high]) in out[done..].iter_mut().zip(&pairs[done..]) {
        *out = (high.minus(low) * r).plus(low);
    }
    if let (Some(out), &[low]) = (out.get_mut(pairs.len()), last) {
        *out = low - r * low;
    }
}

#[inline(always)]
fn product<F: SmallField, const K: usize>(factors: &[F; K]) -> F {
    factors[1..].iter().fold(factors[0], |p, &f| p * f)
}

pub(super) fn add<F: SmallField, const N: usize>(mut a: [F; N], b: [F; N]) -> [F; N] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

impl<F: SmallField, const K: usize> Instance<F> for Product<F, K> {
    fn num_vars(&self) -> usize {
        self.num_vars
    }

    fn round(&mut self, claim: F) -> Vec<F> {
        let [at_0, leading, at_minus_1] = self.sums.take().unwrap_or_else(|| {
            let chunks = self.tables[0].len().div_ceil(2).div_ceil(CHUNK);
            par::map(chunks, |chunk| self.chunk(chunk)).into_iter().fold([F::ZERO; 3], add)
        });
        if K == 2 {
            vec![at_0, claim - at_0.double() - leading, leading]
        } else {
            cubic(at_0, claim - at_0, at_minus_1, leading).to_vec()
        }
    }

    fn bind(&mut self, r: F) {
        self.num_vars -= 1;
        self.sums = Some(self.bind_and_sum(r));
    }
}

/// Binds variable 0 of a table to `r`; an odd last entry is followed by zero.
#[must_use]
pub fn bind<F: SmallField>(table: &[F], r: F) -> Vec<F> {
    let mut out = vec![F::ZERO; table.len().div_ceil(2)];
    par::for_chunks_mut(&mut out, CHUNK, |chunk, out| bind_into(&table[2 * chunk * CHUNK..], r, out));
    out
}
