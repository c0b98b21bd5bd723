//! The arithmetic of operations on images, on rows that move, and of attention. Shapes were checked by the caller.

use super::{AveragePool2d, Conv2d, MaxPool2d, Op, Sequences};
use crate::layers::matrix::{FloatMatrix, multiply_add};
use crate::layers::multi_head::MultiHeadAttention;

pub(super) fn conv2d(conv: &Conv2d, x: &[f64], y: &mut [f64]) {
    let (inner, outer) = (conv.in_channels, conv.out_channels);
    let (width, [top, left, bottom, right]) = (conv.image[1], conv.padding);
    let height = x.len() / inner / width;
    let padded_width = width + left + right;
    let mut padded = vec![0.0; (height + top + bottom) * padded_width * inner];
    for (row, x) in x.chunks_exact(width * inner).enumerate() {
        let start = ((row + top) * padded_width + left) * inner;
        padded[start..start + x.len()].copy_from_slice(x);
    }
    y.chunks_exact_mut(outer).for_each(|y| y.copy_from_slice(&conv.bias));
    let span = (conv.kernel[1] - 1) * conv.dilation[1] + 1;
    let out_width = (padded_width - span) / conv.stride[1] + 1;
    for (row, y) in y.chunks_exact_mut(out_width * outer).enumerate() {
        for (tap, weight) in conv.weight.chunks_exact(inner * outer).enumerate() {
            let (down, across) = (tap / conv.kernel[1] * conv.dilation[0], tap % conv.kernel[1] * conv.dilation[1]);
            let start = ((row * conv.stride[0] + down) * padded_width + across) * inner;
            let taps = (&padded[start..], conv.stride[1] * inner);
            multiply_add([out_width, inner, outer], taps, weight, y);
        }
    }
}

pub(super) fn max_pool(pool: &MaxPool2d, columns: usize, x: &[f64], y: &mut [f64]) {
    let (width, [top, left, ..]) = (pool.image[1], pool.padding);
    let height = x.len() / columns / width;
    let [_, _, _, right] = pool.padding;
    let out_width = (width + left + right - pool.kernel[1]) / pool.stride[1] + 1;
    // The part of a patch that lies inside the image.
    let range = |position: usize, stride: usize, kernel: usize, pad: usize, extent: usize| {
        let start = position * stride;
        start.saturating_sub(pad)..(start + kernel).saturating_sub(pad).min(extent)
    };
    for (position, y) in y.chunks_exact_mut(columns).enumerate() {
        y.fill(f64::NEG_INFINITY);
        let (down, across) = (position / out_width, position % out_width);
        for row in range(down, pool.stride[0], pool.kernel[0], top, height) {
            for col in range(across, pool.stride[1], pool.kernel[1], left, width) {
                let x = &x[(row * width + col) * columns..];
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = y.max(x));
            }
        }
    }
}

/// The operations that see a sequence as steps of equally many rows.
pub(super) fn over_grid(op: &Op, x: &[f64], columns: usize, y: &mut [f64]) {
    match op {
        Op::Rows(rows) => {
            let length = x.len() / columns;
            for (row, y) in y.chunks_exact_mut(columns).enumerate() {
                match rows.source(row, length) {
                    Some(from) => y.copy_from_slice(&x[from * columns..][..columns]),
                    None => y.fill(0.0),
                }
            }
        }
        Op::AveragePool2d(pool) => average_pool(pool, columns, x, y),
        Op::GridMean { inner } => grid_mean(x, inner * columns, y),
        Op::GridStats { inner, min_variance, epsilon, unbiased } => {
            grid_stats(x, [*inner, columns], [*min_variance, *epsilon], *unbiased, y);
        }
        Op::AddRows { rows } => {
            y.iter_mut().zip(x.iter().zip(&rows.data)).for_each(|(y, (x, w))| *y = x + w);
        }
        _ => y.copy_from_slice(x),
    }
}

fn average_pool(pool: &AveragePool2d, columns: usize, x: &[f64], y: &mut [f64]) {
    let width = pool.image[1];
    let out_width = (width - pool.kernel[1]) / pool.stride[1] + 1;
    let factor = ((pool.kernel[0] * pool.kernel[1]) as f64).recip();
    for (position, y) in y.chunks_exact_mut(columns).enumerate() {
        let (down, across) = (position / out_width * pool.stride[0], position % out_width * pool.stride[1]);
        for row in down..down + pool.kernel[0] {
            for col in across..across + pool.kernel[1] {
                let x = &x[(row * width + col) * columns..];
                y.iter_mut().zip(x).for_each(|(y, &x)| *y += x * factor);
            }
        }
    }
}

/// Mean of blocks of `size` values.
fn grid_mean(x: &[f64], size: usize, y: &mut [f64]) {
    let factor = (size as f64) / x.len() as f64;
    for x in x.chunks_exact(size) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += x * factor);
    }
}

fn grid_stats(
    x: &[f64],
    [inner, columns]: [usize; 2],
    [min_variance, epsilon]: [f64; 2],
    unbiased: bool,
    y: &mut [f64],
) {
    let size = inner * columns;
    let steps = (x.len() / size) as f64;
    let mut means = vec![0.0; size];
    grid_mean(x, size, &mut means);
    let divisor = if unbiased { steps - 1.0 } else { steps };
    for (i, mean) in means.iter().enumerate() {
        let square = x.iter().skip(i).step_by(size).map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let y = &mut y[i / columns * 2 * columns..][..2 * columns];
        y[i % columns] = *mean;
        y[columns + i % columns] = ((square / divisor).max(min_variance) + epsilon).sqrt();
    }
}

/// Attention within every sequence: heads, factor of the scores, whether it is causal.
pub(super) fn attention(inputs: &[Sequences<'_>], (heads, scale, causal): (usize, f64, bool), y: &mut FloatMatrix) {
    let (length, columns) = (inputs[0].length, inputs[0].matrix.cols);
    // The function divides by the root of the width itself.
    let factor = scale * ((columns / heads) as f64).sqrt();
    for (s, y) in y.data.chunks_exact_mut(length * columns).enumerate() {
        let part = |i: usize, factor: f64| {
            let values = &inputs[i].matrix.data[s * length * columns..][..length * columns];
            FloatMatrix::new(length, columns, values.iter().map(|v| v * factor).collect())
        };
        let out = MultiHeadAttention::float([&part(0, factor), &part(1, 1.0), &part(2, 1.0)], heads, causal);
        y.copy_from_slice(&out.data);
    }
}
