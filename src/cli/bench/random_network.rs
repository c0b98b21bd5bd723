//! Networks with seeded random weights.
//!
//! Weights have variances that keep every value near unit variance, and batch normalisations the statistics of a
//! rectified normal variable, so that half of every ReLU layer is active, as after training.

use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Conv1d, Node, NodeRef, Op};

use super::Random;

/// Mean and standard deviation of max(x, 0) for a standard normal x.
pub const RECTIFIED: (f64, f64) = (0.398_9, 0.583_8);

/// What is known about a value: where it is, and the mean and standard deviation of its entries.
#[derive(Clone, Copy)]
pub struct Signal {
    /// Where it is computed.
    pub node: NodeRef,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

/// A network under construction.
pub struct Builder {
    /// Its layers so far.
    pub nodes: Vec<Node>,
    random: Random,
}

impl Builder {
    /// An empty network whose weights follow from a seed.
    pub fn new(seed: u64) -> Self {
        Self { nodes: Vec::new(), random: Random::new(seed) }
    }

    /// Adds an operation.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[NodeRef]) -> NodeRef {
        let at = self.nodes.len();
        self.nodes.push(Node { name: format!("{name}{at}"), op, inputs: inputs.to_vec() });
        NodeRef::Node(at)
    }

    /// A number of this standard deviation, a sum of uniform ones.
    pub fn normal(&mut self, deviation: f64) -> f64 {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        let sum: f64 = (0..4).map(|_| uniform(self.random.next())).sum();
        sum * deviation * 3f64.sqrt()
    }

    /// Such numbers.
    pub fn normals(&mut self, count: usize, deviation: f64) -> Vec<f64> {
        (0..count).map(|_| self.normal(deviation)).collect()
    }

    /// A dense layer whose output has unit variance where the input has this deviation.
    pub fn dense(&mut self, x: NodeRef, [rows, cols]: [usize; 2], deviation: f64) -> NodeRef {
        let weight = self.normals(rows * cols, 1.0 / (deviation * (rows as f64).sqrt()));
        let bias = self.normals(cols, 0.05);
        self.push("dense", Op::Dense { weight: FloatMatrix::new(rows, cols, weight), bias }, &[x])
    }

    /// Batch normalisation of values with this mean and deviation.
    pub fn norm(&mut self, columns: usize, (mean, deviation): (f64, f64)) -> Op {
        let scale: Vec<f64> = (0..columns).map(|_| (1.0 + self.normal(0.2)) / deviation).collect();
        let shift = scale.iter().map(|a| -a * mean).collect::<Vec<_>>();
        let shift = shift.into_iter().map(|s| s + self.normal(0.1)).collect();
        Op::Affine { scale, shift }
    }

    /// A convolution that keeps the length, ReLU, batch normalisation.
    pub fn conv_relu_norm(
        &mut self,
        x: NodeRef,
        [in_channels, out_channels]: [usize; 2],
        (kernel, dilation): (usize, usize),
        deviation: f64,
    ) -> NodeRef {
        let taps = kernel * in_channels;
        let pad = dilation * (kernel - 1) / 2;
        let conv = Conv1d {
            weight: self.normals(taps * out_channels, 1.0 / (deviation * (taps as f64).sqrt())),
            kernel,
            in_channels,
            out_channels,
            bias: self.normals(out_channels, 0.05),
            stride: 1,
            dilation,
            pad_left: pad,
            pad_right: pad,
        };
        let conv = self.push("conv", Op::Conv1d(conv), &[x]);
        let relu = self.push("relu", Op::Relu, &[conv]);
        let norm = self.norm(out_channels, RECTIFIED);
        self.push("norm", norm, &[relu])
    }

    /// [`Builder::dense`] of a value whose mean is not zero: its bias takes the mean away.
    pub fn dense_of(&mut self, x: Signal, [rows, cols]: [usize; 2]) -> NodeRef {
        let weight = self.normals(rows * cols, 1.0 / (x.deviation * (rows as f64).sqrt()));
        let mut bias = self.normals(cols, 0.05);
        for row in weight.chunks_exact(cols) {
            bias.iter_mut().zip(row).for_each(|(bias, w)| *bias -= x.mean * w);
        }
        self.push("dense", Op::Dense { weight: FloatMatrix::new(rows, cols, weight), bias }, &[x.node])
    }

    /// A dense layer of every row, ReLU, batch normalisation.
    pub fn dense_relu_norm(&mut self, x: Signal, shape: [usize; 2]) -> NodeRef {
        let dense = self.dense_of(x, shape);
        let relu = self.push("relu", Op::Relu, &[dense]);
        let norm = self.norm(shape[1], RECTIFIED);
        self.push("norm", norm, &[relu])
    }
}

/// Number of weights and biases.
#[cfg(test)]
pub fn count_weights(network: &voxcheck::layers::network::Network) -> usize {
    let weights = |node: &Node| match &node.op {
        Op::Dense { weight, bias } => weight.data.len() + bias.len(),
        Op::Conv1d(conv) => conv.weight.len() + conv.bias.len(),
        Op::Affine { scale, shift } => scale.len() + shift.len(),
        _ => 0,
    };
    network.nodes.iter().map(weights).sum()
}
