//! Exact integer matrix products.
//!
//! Products of 16-bit integers have vector kernels. Without them, while every partial sum stays below
//! 2^53, a product of integer matrices in double precision is exact, and much faster than integer arithmetic.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

use super::view::{NONE, RowMap};
use crate::simd;
use crate::simd::matrix::{MatrixKernels, PackedMatrix, pair, pairs_in_word};
use crate::sumcheck::int::{IntTable, IntVec, SmallInt, dispatch};
use crate::sumcheck::par;

/// Rows of the left operand that one task multiplies.
const ROWS: usize = 64;

/// The contraction of `lhs`, through a map on its rows, with `rhs`; `None` if a sum passes 127 bits.
pub(super) fn contract(lhs: &IntTable, rows: &RowMap, rhs: &IntTable, transposed: bool) -> Option<IntVec> {
    let (taps, inner) = (rows.num_taps(), lhs.cols());
    let cols = if transposed { rhs.rows() } else { rhs.cols() };
    let (left, right) = par::join(|| lhs.values().largest(), || rhs.values().largest());
    let bound = left.checked_mul(right)?.checked_mul((taps * inner) as u128)?;
    if bound >> 126 != 0 {
        return None;
    }
    let sources: Vec<Vec<u32>> = (0..taps).map(|tap| rows.sources(tap)).collect();
    let shape = Shape { rows: rows.out_rows(), cols, inner, stride: inner.next_power_of_two(), transposed };
    if shape.rows <= FEW_ROWS && bound < 1 << 62 {
        return Some(dispatch!(lhs.values(), left => dispatch!(rhs.values(), right => {
            in_words(left, right, &sources, &shape).into()
        })));
    }
    let word = |largest: u128| u64::try_from(largest).unwrap_or(u64::MAX);
    let run = pairs_in_word(word(left), word(right));
    if left.max(right) < 1 << 15
        && run >= LEAST_RUN
        && bound < 1 << 62
        && let Some(kernels) = simd::matrix_kernels()
    {
        return Some(in_halves(kernels, lhs, rhs, &sources, &shape, run).into());
    }
    Some(if bound < 1 << 53 {
        in_doubles(lhs, rhs, &sources, &shape).into()
    } else {
        in_integers(lhs, rhs, &sources, &shape).into()
    })
}

/// Rows up to which converting the right operand costs more than it saves.
const FEW_ROWS: usize = 4;

/// Pairs of products that must fit a sum of 32 bits, or widening sums costs more than it saves.
const LEAST_RUN: usize = 2;

/// Columns of the product that one task computes.
const COLUMNS: usize = 128;

struct Shape {
    rows: usize,
    cols: usize,
    inner: usize,
    /// Rows of `rhs` that belong to one tap.
    stride: usize,
    transposed: bool,
}

fn in_halves(
    kernels: &dyn MatrixKernels,
    lhs: &IntTable,
    rhs: &IntTable,
    sources: &[Vec<u32>],
    shape: &Shape,
    run: usize,
) -> Vec<i64> {
    // Every tap has an even number of rows of its own.
    let (k, n) = (shape.inner, shape.cols);
    let pairs = k.div_ceil(2);
    let right = dispatch!(rhs.values(), right => PackedMatrix::new(sources.len() * pairs, n, |line, col| {
        let (tap, first) = (line / pairs, line % pairs * 2);
        let entry = |c: usize| match (c < k, shape.transposed) {
            (false, _) => 0,
            (true, true) => half(right[col * k + c]),
            (true, false) => half(right[(tap * shape.stride + c) * n + col]),
        };
        pair(entry(first), entry(first + 1))
    }));
    // A row may be under several taps, so pairs are made once a row and not once a product.
    let mut halves = vec![0i32; lhs.rows() * pairs];
    dispatch!(lhs.values(), values => par::for_chunks_mut(&mut halves, ROWS * pairs, |block, halves| {
        let rows = values[block * ROWS * k..].chunks_exact(k);
        for (halves, row) in halves.chunks_exact_mut(pairs).zip(rows) {
            let twos = row.chunks_exact(2);
            let last = twos.remainder().first().map(|&v| pair(half(v), 0));
            let twos = twos.map(|two| pair(half(two[0]), half(two[1])));
            halves.iter_mut().zip(twos.chain(last)).for_each(|(out, two)| *out = two);
        }
    }));
    let mut products = vec![0i64; shape.rows * n];
    par::for_chunks_mut(&mut products, ROWS * n, |block, products| {
        let rows = block * ROWS..shape.rows.min((block + 1) * ROWS);
        let mut left = Vec::with_capacity(rows.len() * right.pairs());
        for row in rows {
            for sources in sources {
                match sources[row] {
                    NONE => left.resize(left.len() + pairs, 0),
                    source => left.extend_from_slice(&halves[source as usize * pairs..][..pairs]),
                }
            }
        }
        kernels.multiply(&left, &right, run, products);
    });
    products
}

/// An integer whose absolute value is below 2^15.
fn half<I: SmallInt>(value: I) -> i16 {
    let wide: i128 = value.into();
    wide as i16
}

fn to_doubles(table: &IntTable) -> Vec<f64> {
    // Exact: the bound on the sums bounds the entries, unless the other operand is zero.
    dispatch!(table.values(), values => values.iter().map(|&v| Into::<i128>::into(v) as f64).collect())
}

fn in_doubles(lhs: &IntTable, rhs: &IntTable, sources: &[Vec<u32>], shape: &Shape) -> Vec<i64> {
    let (left, right) = (to_doubles(lhs), to_doubles(rhs));
    let (k, n) = (shape.inner, shape.cols);
    let mut products = vec![0i64; shape.rows * n];
    par::for_chunks_mut(&mut products, ROWS * n, |block, products| {
        let first = block * ROWS;
        let m = ROWS.min(shape.rows - first);
        let mut out = vec![0f64; m * n];
        let mut gathered = vec![0f64; m * k];
        for (tap, sources) in sources.iter().enumerate() {
            for (row, &source) in gathered.chunks_mut(k).zip(&sources[first..first + m]) {
                match source {
                    NONE => row.fill(0.0),
                    source => row.copy_from_slice(&left[source as usize * k..][..k]),
                }
            }
            let start = if shape.transposed { 0 } else { tap * shape.stride * n };
            let right = if shape.transposed {
                ArrayView2::from_shape((k, n).strides((1, k)), &right[start..])
            } else {
                ArrayView2::from_shape((k, n), &right[start..start + k * n])
            };
            let left = ArrayView2::from_shape((m, k), &gathered).expect("a row a gathered row");
            let mut out = ArrayViewMut2::from_shape((m, n), &mut out).expect("one entry a product");
            general_mat_mul(1.0, &left, &right.expect("the shapes were checked"), 1.0, &mut out);
        }
        products.iter_mut().zip(out).for_each(|(product, sum)| *product = sum as i64);
    });
    products
}

fn in_words<A: SmallInt, B: SmallInt>(left: &[A], right: &[B], sources: &[Vec<u32>], shape: &Shape) -> Vec<i64> {
    let chunks = shape.cols.div_ceil(COLUMNS);
    let blocks = par::map(shape.rows * chunks, |block| {
        let (row, first) = (block / chunks, block % chunks * COLUMNS);
        let mut out = vec![0i64; COLUMNS.min(shape.cols - first)];
        for (tap, sources) in sources.iter().enumerate().filter(|(_, sources)| sources[row] != NONE) {
            let left = &left[sources[row] as usize * shape.inner..][..shape.inner];
            add_words(left, right, if shape.transposed { 0 } else { tap * shape.stride }, first, shape, &mut out);
        }
        out
    });
    blocks.concat()
}

/// Adds a row times columns `first..first + out.len()` of the right operand, from its row `start` on.
fn add_words<A: SmallInt, B: SmallInt>(
    left: &[A],
    right: &[B],
    start: usize,
    first: usize,
    shape: &Shape,
    out: &mut [i64],
) {
    // The bound on the sums is one on all that is added; exact, since it is below 2^62.
    let word = |value: i128| value as i64;
    if shape.transposed {
        for (n, out) in out.iter_mut().enumerate() {
            let right = &right[(first + n) * shape.inner..][..shape.inner];
            *out += left.iter().zip(right).map(|(&a, &b)| word(a.into()) * word(b.into())).sum::<i64>();
        }
        return;
    }
    for (c, &value) in left.iter().enumerate() {
        let value = word(value.into());
        if value != 0 {
            let right = &right[(start + c) * shape.cols + first..][..out.len()];
            out.iter_mut().zip(right).for_each(|(out, &w)| *out += value * word(w.into()));
        }
    }
}

fn in_integers(lhs: &IntTable, rhs: &IntTable, sources: &[Vec<u32>], shape: &Shape) -> Vec<i128> {
    let mut products = vec![0i128; shape.rows * shape.cols];
    dispatch!(lhs.values(), left => dispatch!(rhs.values(), right => {
        let spans = if shape.transposed { Vec::new() } else { right.chunks_exact(shape.cols).map(nonzero_span).collect() };
        par::for_chunks_mut(&mut products, shape.cols, |row, out| {
            for (tap, sources) in sources.iter().enumerate().filter(|(_, sources)| sources[row] != NONE) {
                let left = &left[sources[row] as usize * shape.inner..][..shape.inner];
                row_times(left, (right, &spans), tap * shape.stride, shape, out);
            }
        });
    }));
    products
}

/// Where a row is not zero. Bands of a filterbank overlap little, so most of their weights are.
fn nonzero_span<B: SmallInt>(row: &[B]) -> Range<usize> {
    let nonzero = |w: &B| *w != B::default();
    match (row.iter().position(nonzero), row.iter().rposition(nonzero)) {
        (Some(first), Some(last)) => first..last + 1,
        _ => 0..0,
    }
}

/// Adds a row times the right operand, from its row `first` on; `spans` say where its rows are not zero.
fn row_times<A: SmallInt, B: SmallInt>(
    row: &[A],
    (right, spans): (&[B], &[Range<usize>]),
    first: usize,
    shape: &Shape,
    out: &mut [i128],
) {
    for (c, &value) in row.iter().enumerate() {
        let value: i128 = value.into();
        if value == 0 {
            continue;
        }
        if shape.transposed {
            for (n, out) in out.iter_mut().enumerate() {
                *out += value * Into::<i128>::into(right[n * shape.inner + c]);
            }
        } else {
            let span = spans[first + c].clone();
            let weights = &right[(first + c) * shape.cols..][..shape.cols];
            for (out, &w) in out[span.clone()].iter_mut().zip(&weights[span]) {
                *out += value * Into::<i128>::into(w);
            }
        }
    }
}
