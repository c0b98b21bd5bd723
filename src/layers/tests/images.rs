//! Images, rows that move, functions of one value, normalisation and attention against floats.

use proptest::prelude::*;

use super::*;
use crate::layers::network::{AveragePool2d, Conv2d, Edge, KNOWN, MaxPool2d, RowMove, Scalar};

fn dense(rows: usize, cols: usize) -> Op {
    Op::Dense { weight: weights(rows, cols, 3), bias: bias(cols) }
}

/// A convolution of an image that is as high as time, and its output's width.
fn grid_conv(width: usize, [inner, outer]: [usize; 2], kernel: [usize; 2], dilation: [usize; 2]) -> (Op, usize) {
    let padding = [dilation[0] * (kernel[0] - 1), 0, 0, dilation[1] * (kernel[1] - 1)];
    let conv = Conv2d {
        image: [0, width],
        weight: weights(kernel[0] * kernel[1] * inner, outer, 5).data,
        kernel,
        in_channels: inner,
        out_channels: outer,
        bias: bias(outer),
        stride: [1, 1],
        dilation,
        padding,
    };
    (Op::Conv2d(conv), width)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn features_become_images_and_statistics(
        (height, width, outer) in (3usize..8, 1usize..5, 1usize..4),
        kernel in [1usize..4, 1usize..3], dilation in [1usize..3, 1usize..3], unbiased: bool,
    ) {
        let (conv, width) = grid_conv(width, [1, outer], kernel, dilation);
        let unfold = Op::Unfold { parts: width };
        let scale = Op::Affine { scale: vec![1.5; outer], shift: bias(outer) };
        let stats = Op::GridStats { inner: width, min_variance: 1e-4, epsilon: 1e-3, unbiased };
        let norm = Op::Affine { scale: vec![0.5; 2 * outer * width], shift: bias(2 * outer * width) };
        let stack = vec![unfold, conv, Op::Relu, scale, stats, Op::Flatten, norm, dense(2 * outer * width, 3)];
        close_to_float(stack, height, width, 1, 2e-2);
    }

    #[test]
    fn images_become_sequences(
        (height, width, channels) in (3usize..8, 1usize..5, 1usize..4), kernel in 1usize..3, table: bool,
    ) {
        let rows = height * width;
        let fold = Op::Fold { parts: width };
        let conv = Op::Conv1d(network::Conv1d {
            weight: weights(kernel * width * channels, 3, 2).data,
            kernel,
            in_channels: width * channels,
            out_channels: 3,
            bias: bias(3),
            stride: 2,
            dilation: 1,
            pad_left: kernel - 1,
            pad_right: 0,
        });
        // A convolution takes the rows as they are, a function needs columns.
        let middle = if table { vec![fold, Op::Relu, conv] } else { vec![fold, conv] };
        let norm = Op::Affine { scale: vec![2.0; channels], shift: bias(channels) };
        let stack: Vec<Op> = [norm, Op::Relu].into_iter().chain(middle).chain([Op::MeanPool, dense(3, 2)]).collect();
        close_to_float(stack, rows, channels, 1, 1e-2);
        let mean = vec![Op::GridMean { inner: width }, Op::Flatten, Op::Relu, dense(width * channels, 2)];
        close_to_float(mean, rows, channels, 1, 1e-2);
    }

    #[test]
    fn pools_of_images(
        (height, width, channels) in (4usize..8, 4usize..7, 1usize..3), kernel in [2usize..4, 2usize..4],
        stride in [1usize..3, 1usize..3], pad: bool, negative: bool,
    ) {
        let rows = height * width;
        let padding = if pad { [1, 1, 1, 0] } else { [0; 4] };
        let pool = Op::MaxPool2d(MaxPool2d { image: [0, width], kernel, stride, padding });
        let first = if negative { dense(channels, channels) } else { Op::Relu };
        close_to_float(vec![first, pool], rows, channels, 1, 1e-2);
        let norm = Op::Affine { scale: vec![1.5; channels], shift: bias(channels) };
        let average = Op::AveragePool2d(AveragePool2d { image: [0, width], kernel, stride });
        close_to_float(vec![norm, average, dense(channels, 2)], rows, channels, 1, 1e-2);
    }

    #[test]
    fn rows_that_move(
        (blocks, block, channels) in (3usize..7, 1usize..3, 1usize..4), before in 0usize..3, after in 0usize..3,
        step in 1usize..3, sequences in 1usize..3,
    ) {
        let norm = Op::Affine { scale: vec![1.5; channels], shift: bias(channels) };
        for rows in [
            RowMove::Reverse { block },
            RowMove::Keep { block, skip_first: before, skip_last: 0, step },
            RowMove::Pad { block, before, after, edge: Edge::Zero },
            RowMove::Pad { block, before, after, edge: Edge::Reflect },
            RowMove::Pad { block, before, after, edge: Edge::Repeat },
        ] {
            let stack = vec![norm.clone(), Op::Rows(rows), dense(channels, 2)];
            close_to_float(stack, blocks * block, channels, sequences, 1e-2);
        }
        let rows = FloatMatrix::from_fn(blocks, channels, |r, c| ((r * 3 + c) as f64).cos());
        close_to_float(vec![norm, Op::AddRows { rows }, Op::Relu], blocks, channels, sequences, 1e-2);
    }

    #[test]
    fn rows_are_normalised(columns in 2usize..9, rows in 1usize..5, sequences in 1usize..3) {
        let stack = vec![dense(columns, columns), Op::LayerNorm { epsilon: 1e-3 }, dense(columns, 2)];
        close_to_float(stack, rows, columns, sequences, 2e-2);
        close_to_float(vec![dense(columns, columns), Op::Softmax], rows, columns, sequences, 5e-3);
        close_to_float(vec![dense(columns, columns), Op::LogSoftmax], rows, columns, sequences, 2e-2);
    }

    #[test]
    fn energies_keep_their_quiet_bands(
        (bins, bands, rows) in (2usize..7, 1usize..4, 1usize..6), loud in 4i32..9, least: bool,
    ) {
        let mut graph = Graph::new(3);
        // Every bin is half as loud as the one before it.
        let scale = |c: usize| f64::from(loud - (c % bins) as i32).exp2();
        let spectrum = weights(3, 2 * bins, 5);
        let weight = FloatMatrix::from_fn(3, 2 * bins, |r, c| scale(c) * spectrum.row(r)[c]);
        let parts = graph.add(Op::Dense { weight, bias: vec![0.0; 2 * bins] }, &[NodeRef::Input]);
        let halves = [0, bins].map(|first| graph.add(Op::Slice { first, columns: bins }, &[parts]));
        let power = graph.add(Op::Power, &halves);
        let weight = FloatMatrix::from_fn(bins, bands, |r, c| if (r + c) % 3 == 2 { 0.0 } else { 0.3 + (r % 2) as f64 });
        let sum = graph.add(Op::Dense { weight, bias: vec![0.0; bands] }, &[power]);
        graph.add(Op::LogEnergy { floor: 1e-5, least }, &[sum]);
        graph_is_close_to_float(&graph.network, rows, 1, 1e-2);
    }

    #[test]
    fn heads_attend(heads in 1usize..4, width in 1usize..4, rows in 2usize..7) {
        let columns = heads * width;
        let mut graph = Graph::new(3);
        let inputs = [1, 2, 3].map(|seed| {
            let weight = weights(3, columns, seed);
            graph.add(Op::Dense { weight, bias: bias(columns) }, &[NodeRef::Input])
        });
        let attention = Op::Attention { heads, scale: 0.7, causal: false };
        let attended = graph.add(attention, &inputs);
        graph.add(dense(columns, 2), &[attended]);
        graph_is_close_to_float(&graph.network, rows, 1, 1e-2);
    }
}

#[test]
fn every_function_is_close_to_float() {
    for known in KNOWN.iter().filter(|known| {
        !matches!(known.operator, "Ceil" | "Floor" | "Greater" | "GreaterOrEqual" | "Sign" | "ThresholdedRelu")
    }) {
        // Arguments of roots, logarithms and reciprocals are positive.
        let weight = FloatMatrix::new(1, 1, vec![0.5]);
        let positive = Op::Dense { weight, bias: vec![1.0] };
        let f = Op::Function(Scalar::known(known.operator, None).unwrap());
        close_to_float(vec![positive, f], 9, 1, 1, 5e-3);
    }
}
