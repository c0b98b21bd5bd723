//! ECAPA-TDNN of any size with seeded random weights.
//!
//! B. Desplanques, J. Thienpondt, K. Demuynck, "ECAPA-TDNN: Emphasized Channel Attention, Propagation and
//! Aggregation in TDNN Based Speaker Verification", Interspeech 2020.

use voxcheck::layers::network::{Network, NodeRef, Op};

use super::random_network::{Builder, RECTIFIED};

/// Standard deviation of log-mel features of speech.
const FEATURES: f64 = 3.5;
/// Smallest variance under a root.
const MIN_VARIANCE: f64 = 1.0 / 1024.0;

/// Extents of a network.
struct Sizes {
    features: usize,
    channels: usize,
    scale: usize,
    gates: usize,
    aggregated: usize,
    attention: usize,
    embedding: usize,
}

/// The published network with 512 channels.
pub fn published() -> Network {
    network(&Sizes {
        features: 80,
        channels: 512,
        scale: 8,
        gates: 128,
        aggregated: 1536,
        attention: 128,
        embedding: 192,
    })
}

fn network(sizes: &Sizes) -> Network {
    let mut builder = Builder::new(101);
    let c = sizes.channels;
    // What a block is given: the value, and its standard deviation.
    let mut sum = (builder.conv_relu_norm(NodeRef::Input, [sizes.features, c], (5, 1), FEATURES), 1.0);
    let mut outputs = Vec::new();
    for dilation in 2..=4 {
        let gated = builder.block(sum, sizes, dilation);
        // Gates halve the values.
        let output = builder.push("block", Op::Add, &[sum.0, gated]);
        outputs.push((output, f64::hypot(sum.1, 0.5)));
        sum = (builder.push("sum", Op::Add, &[sum.0, output]), f64::hypot(2.0 * sum.1, 0.5));
    }
    let mean_square = outputs.iter().map(|(_, deviation)| deviation * deviation).sum::<f64>() / outputs.len() as f64;
    let outputs: Vec<NodeRef> = outputs.iter().map(|&(node, _)| node).collect();
    let all = builder.push("blocks", Op::Concat, &outputs);
    let aggregated = builder.dense(all, [3 * c, sizes.aggregated], mean_square.sqrt());
    let aggregated = builder.push("relu", Op::Relu, &[aggregated]);
    let pooled = builder.attentive_pool(aggregated, sizes);
    let norm = builder.norm(2 * sizes.aggregated, RECTIFIED);
    let pooled = builder.push("norm", norm, &[pooled]);
    let embedding = builder.dense(pooled, [2 * sizes.aggregated, sizes.embedding], 1.0);
    let norm = builder.norm(sizes.embedding, (0.0, 1.0));
    builder.push("embedding", norm, &[embedding]);
    Network::new(sizes.features, builder.nodes)
}

impl Builder {
    /// What a block adds to its input: 1×1, Res2 convolutions, 1×1, squeeze and excitation.
    fn block(&mut self, (x, deviation): (NodeRef, f64), sizes: &Sizes, dilation: usize) -> NodeRef {
        let (c, columns) = (sizes.channels, sizes.channels / sizes.scale);
        let pre = self.conv_relu_norm(x, [c, c], (1, 1), deviation);
        let mut parts: Vec<NodeRef> = Vec::new();
        for chunk in 0..sizes.scale {
            let part = self.push("chunk", Op::Slice { first: chunk * columns, columns }, &[pre]);
            parts.push(match (chunk, parts.last().copied()) {
                (0, _) | (_, None) => part,
                (1, _) => self.conv_relu_norm(part, [columns, columns], (3, dilation), 1.0),
                (_, Some(before)) => {
                    let sum = self.push("sum", Op::Add, &[part, before]);
                    self.conv_relu_norm(sum, [columns, columns], (3, dilation), 2f64.sqrt())
                }
            });
        }
        let res2 = self.push("res2", Op::Concat, &parts);
        let post = self.conv_relu_norm(res2, [c, c], (1, 1), 1.0);
        let mean = self.push("mean", Op::MeanPool, &[post]);
        let down = self.dense(mean, [c, sizes.gates], 0.5);
        let down = self.push("relu", Op::Relu, &[down]);
        let up = self.dense(down, [sizes.gates, c], 0.5);
        let gate = self.push("gate", Op::Sigmoid, &[up]);
        self.push("gated", Op::Multiply, &[post, gate])
    }

    /// Attention that sees every frame and the statistics of all.
    fn attentive_pool(&mut self, x: NodeRef, sizes: &Sizes) -> NodeRef {
        let columns = sizes.aggregated;
        let stats = self.push("context", Op::StatsPool { min_variance: MIN_VARIANCE }, &[x]);
        let all = self.push("context", Op::Concat, &[x, stats]);
        let hidden = self.dense(all, [3 * columns, sizes.attention], 0.6);
        let hidden = self.push("tanh", Op::Tanh, &[hidden]);
        let scores = self.dense(hidden, [sizes.attention, columns], 0.6);
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
        let input = float::network_input(&FrontEnd::logmel80(), &voices[0].samples).unwrap();
        let outputs = network.execute(&input.features, input.sequence_length).unwrap();
        for (node, output) in network.nodes.iter().zip(&outputs) {
            if node.op == Op::Relu {
                let zeros = output.data.iter().filter(|&&x| x == 0.0).count() as f64 / output.data.len() as f64;
                println!("{:10} {zeros:.2} are zero, the largest is {:.1}", node.name, output.max_abs());
                assert!((0.3..0.7).contains(&zeros), "{}: {zeros:.2} are zero", node.name);
            }
        }
        let embedding = outputs.last().unwrap();
        assert_eq!((embedding.rows, embedding.cols), (1, 192));
        let weights = count_weights(&network);
        assert!((6_100_000..6_300_000).contains(&weights), "{weights} weights");
    }
}
