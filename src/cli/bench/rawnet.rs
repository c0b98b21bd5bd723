//! RawNet3 of the published size with seeded random weights.
//!
//! J. Jung, Y. Kim, H. Heo, B. Lee, Y. Kwon, J. Chung, "Pushing the limits of raw waveform speaker recognition",
//! Interspeech 2022. The filterbank has the published parametrisation: pairs of even and odd band-pass filters between
//! frequencies that are equidistant in mel, under a Hamming window, with a peak of one.

use std::f64::consts::PI;

use voxcheck::audio::frontend::MelScale;
use voxcheck::layers::network::{Conv1d, Network, NodeRef, Op};

use super::random_network::{Builder, RECTIFIED, Signal};

/// Factor of the sample before in the pre-emphasis.
const EMPHASIS: f64 = 0.97;
/// Under the root of the normalisation of a recording.
const NORM_EPSILON: f64 = 1e-4;
/// Added to magnitudes before their logarithm.
const LOG_FLOOR: f64 = 1e-6;
/// Smallest variance under a root.
const MIN_VARIANCE: f64 = 1e-4;
/// Standard deviation of the logarithms less their mean.
const FEATURES: f64 = 2.5;
/// Samples per second.
const RATE: f64 = 16_000.0;

/// Extents of the network.
struct Sizes {
    filters: usize,
    filter_length: usize,
    stride: usize,
    channels: usize,
    scale: usize,
    aggregated: usize,
    attention: usize,
    embedding: usize,
}

/// The published network, with filters every 48 samples.
pub fn published() -> Network {
    network(&Sizes {
        filters: 256,
        filter_length: 251,
        stride: 48,
        channels: 1024,
        scale: 8,
        aggregated: 1536,
        attention: 128,
        embedding: 256,
    })
}

fn network(sizes: &Sizes) -> Network {
    let mut builder = Builder::new(103);
    let c = sizes.channels;
    let features = builder.filterbank(sizes);
    let features = Signal { node: features, mean: 0.0, deviation: FEATURES };
    let first = builder.res2_block(features, [sizes.filters, c], sizes.scale, (2, Some(5)));
    let second = builder.res2_block(first, [c, c], sizes.scale, (3, Some(3)));
    let pooled = builder.push("pool", Op::MaxPool1d { kernel: 3, stride: 3 }, &[first.node]);
    let pooled = Signal { node: pooled, ..first.largest(3) };
    let sum = builder.push("sum", Op::Add, &[pooled.node, second.node]);
    let third = builder.res2_block(pooled.plus(second, sum), [c, c], sizes.scale, (4, None));
    let parts = [pooled, second, third];
    let all = builder.push("blocks", Op::Concat, &parts.map(|part| part.node));
    let mean = parts.iter().map(|part| part.mean).sum::<f64>() / 3.0;
    let square = parts.iter().map(|part| part.deviation.powi(2) + (part.mean - mean).powi(2)).sum::<f64>() / 3.0;
    let all = Signal { node: all, mean, deviation: square.sqrt() };
    let aggregated = builder.dense_of(all, [3 * c, sizes.aggregated]);
    let aggregated = builder.push("relu", Op::Relu, &[aggregated]);
    let pooled = builder.pool(aggregated, sizes);
    let norm = builder.norm(2 * sizes.aggregated, RECTIFIED);
    let pooled = builder.push("norm", norm, &[pooled]);
    builder.dense(pooled, [2 * sizes.aggregated, sizes.embedding], 1.0);
    Network::new(1, builder.nodes)
}

/// One convolution of one column, without padding.
fn filters(kernel: usize, stride: usize, out_channels: usize, weight: Vec<f64>) -> Op {
    Op::Conv1d(Conv1d {
        weight,
        kernel,
        in_channels: 1,
        out_channels,
        bias: vec![0.0; out_channels],
        stride,
        dilation: 1,
        pad_left: 0,
        pad_right: 0,
    })
}

/// Band-pass filters as `[tap][filter]`: the even ones, then the odd ones.
fn band_passes(count: usize, length: usize) -> Vec<f64> {
    let bands = count / 2;
    let (low, high) = (MelScale::Htk.mel(30.0), MelScale::Htk.mel(RATE / 2.0 - 100.0));
    let corner = |i: usize| MelScale::Htk.hz(low + (high - low) * i as f64 / bands as f64);
    let half = (length / 2) as f64;
    let tap = |k: usize, n: usize| {
        let (from, to) = (corner(n % bands), corner(n % bands + 1).min(RATE / 2.0));
        let t = 2.0 * PI * (k as f64 - half) / RATE;
        let window = 0.54 + 0.46 * (PI * (k as f64 - half) / half).cos();
        let (even, width) = (n < bands, to - from);
        let value = match (t == 0.0, even) {
            (true, true) => 1.0,
            (true, false) => 0.0,
            (false, true) => ((t * to).sin() - (t * from).sin()) / (t * width),
            (false, false) => ((t * from).cos() - (t * to).cos()) / (t * width),
        };
        value * window
    };
    (0..length).flat_map(|k| (0..count).map(move |n| tap(k, n))).collect()
}

impl Signal {
    /// The largest of `count` neighbours in time, of speech: they are much alike.
    fn largest(self, count: usize) -> Self {
        let step = if count == 5 { 0.6 } else { 0.4 };
        Self { mean: self.mean + step * self.deviation, deviation: 1.1 * self.deviation, ..self }
    }

    /// The sum with a value that has nothing to do with it.
    fn plus(self, other: Self, node: NodeRef) -> Self {
        Self { node, mean: self.mean + other.mean, deviation: f64::hypot(self.deviation, other.deviation) }
    }
}

impl Builder {
    /// From samples to logarithms of magnitudes in all bands.
    fn filterbank(&mut self, sizes: &Sizes) -> NodeRef {
        let mirrored = self.push("mirror", Op::MirrorPad, &[NodeRef::Input]);
        let emphasised = self.push("emphasis", filters(2, 1, 1, vec![-EMPHASIS, 1.0]), &[mirrored]);
        let normed = self.push("normed", Op::InstanceNorm { epsilon: NORM_EPSILON }, &[emphasised]);
        let weight = band_passes(sizes.filters, sizes.filter_length);
        let bands = self.push("filters", filters(sizes.filter_length, sizes.stride, sizes.filters, weight), &[normed]);
        let magnitude = self.push("magnitude", Op::Abs, &[bands]);
        let floor = Op::Affine { scale: vec![1.0; sizes.filters], shift: vec![LOG_FLOOR; sizes.filters] };
        let floored = self.push("floored", floor, &[magnitude]);
        let log = self.push("log", Op::Log, &[floored]);
        self.push("features", Op::SubtractMean, &[log])
    }

    /// A block: 1×1, Res2 convolutions, 1×1, residual, maximum over time, feature map scaling.
    fn res2_block(
        &mut self,
        x: Signal,
        [inputs, columns]: [usize; 2],
        scale: usize,
        (dilation, pool): (usize, Option<usize>),
    ) -> Signal {
        let chunk = columns / scale;
        let pre = self.dense_relu_norm(x, [inputs, columns]);
        let mut parts: Vec<NodeRef> = Vec::new();
        for i in 0..scale {
            let part = self.push("chunk", Op::Slice { first: i * chunk, columns: chunk }, &[pre]);
            parts.push(match parts.last().copied() {
                _ if i + 1 == scale => part,
                None => self.conv_relu_norm(part, [chunk, chunk], (3, dilation), 1.0),
                Some(before) => {
                    let sum = self.push("sum", Op::Add, &[before, part]);
                    self.conv_relu_norm(sum, [chunk, chunk], (3, dilation), 2f64.sqrt())
                }
            });
        }
        let res2 = self.push("res2", Op::Concat, &parts);
        let post = self.dense_relu_norm(Signal { node: res2, mean: 0.0, deviation: 1.0 }, [columns, columns]);
        let residual = if inputs == columns {
            x
        } else {
            Signal { node: self.dense_of(x, [inputs, columns]), mean: 0.0, deviation: 1.0 }
        };
        let sum = self.push("sum", Op::Add, &[post, residual.node]);
        let mut value = Signal { node: post, mean: 0.0, deviation: 1.0 }.plus(residual, sum);
        if let Some(kernel) = pool {
            let node = self.push("pool", Op::MaxPool1d { kernel, stride: kernel }, &[sum]);
            value = Signal { node, ..value.largest(kernel) };
        }
        self.scale_maps(value, columns)
    }

    /// `(x + α)·sigmoid(dense(mean over time of x))`, with α near 1.
    fn scale_maps(&mut self, x: Signal, columns: usize) -> Signal {
        let mean = self.push("mean", Op::MeanPool, &[x.node]);
        let dense = self.dense_of(Signal { node: mean, deviation: 0.6 * x.deviation, ..x }, [columns, columns]);
        let gate = self.push("gate", Op::Sigmoid, &[dense]);
        let alpha = self.normals(columns, 0.1).into_iter().map(|a| 1.0 + a).collect();
        let raised = self.push("raised", Op::Affine { scale: vec![1.0; columns], shift: alpha }, &[x.node]);
        let node = self.push("scaled", Op::Multiply, &[raised, gate]);
        // Gates halve the values, more or less: their spread adds to that of the values.
        let mean = (x.mean + 1.0) / 2.0;
        Signal { node, mean, deviation: f64::hypot(x.deviation / 2.0, 0.4 * mean) }
    }

    /// Attention that sees every frame and the statistics of all.
    fn pool(&mut self, x: NodeRef, sizes: &Sizes) -> NodeRef {
        let columns = sizes.aggregated;
        let stats = self.push("context", Op::StatsPool { min_variance: MIN_VARIANCE }, &[x]);
        let all = self.push("context", Op::Concat, &[x, stats]);
        let all = Signal { node: all, mean: RECTIFIED.0, deviation: 0.5 };
        let hidden = self.dense_relu_norm(all, [3 * columns, sizes.attention]);
        let scores = self.dense(hidden, [sizes.attention, columns], 2.0);
        self.push("pool", Op::AttentiveStatsPool { min_variance: MIN_VARIANCE }, &[x, scores])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::random_network::count_weights;
    use crate::cli::demo;
    use voxcheck::audio::{FrontEnd, float};

    #[test]
    fn activations_of_random_weights_are_neither_dead_nor_linear() {
        let (network, voices) = (published(), demo::recordings().unwrap());
        let input = float::network_input(&FrontEnd::raw(), &voices[0].samples).unwrap();
        let outputs = network.execute(&input.features, input.sequence_length).unwrap();
        for (node, output) in network.nodes.iter().zip(&outputs) {
            let len = output.data.len() as f64;
            let mean = output.data.iter().sum::<f64>() / len;
            let deviation = (output.data.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / len).sqrt();
            let zeros = output.data.iter().filter(|&&x| x == 0.0).count() as f64 / len;
            println!("{:12} mean {mean:6.2}, deviation {deviation:5.2}, {zeros:.2} are zero", node.name);
            if node.op == Op::Relu {
                assert!((0.3..0.7).contains(&zeros), "{}: {zeros:.2} are zero", node.name);
            }
        }
        let embedding = outputs.last().unwrap();
        assert_eq!((embedding.rows, embedding.cols), (1, 256));
        let weights = count_weights(&network);
        assert!((16_200_000..16_500_000).contains(&weights), "{weights} weights");
    }
}
