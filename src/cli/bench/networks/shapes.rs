//! The published shapes, with weights that are uniform and of variance `2 / inputs`, so that values keep their
//! size from layer to layer and a ReLU leaves about half of them.

use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Conv2d, MaxPool2d, Network, Node, NodeRef, Op};

use super::super::Random;
use super::Stage;

/// Nodes in a row.
struct Chain {
    input_columns: usize,
    nodes: Vec<Node>,
    random: Random,
}

impl Chain {
    fn new(input_columns: usize, seed: u64) -> Self {
        Self { input_columns, nodes: Vec::new(), random: Random::new(seed) }
    }

    fn push(&mut self, name: &str, op: Op) {
        let inputs = vec![self.nodes.len().checked_sub(1).map_or(NodeRef::Input, NodeRef::Node)];
        self.nodes.push(Node { name: format!("{name}{}", self.nodes.len()), op, inputs });
    }

    /// Uniform weights of variance 2 / inputs.
    fn weights(&mut self, inputs: usize, count: usize) -> Vec<f64> {
        let bound = (6.0 / inputs as f64).sqrt();
        (0..count).map(|_| ((self.random.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * bound).collect()
    }

    fn dense(&mut self, inputs: usize, outputs: usize) {
        let weight = FloatMatrix::new(inputs, outputs, self.weights(inputs, inputs * outputs));
        self.push("dense", Op::Dense { weight, bias: vec![0.01; outputs] });
    }

    fn relu(&mut self) {
        self.push("relu", Op::Relu);
    }

    /// Convolution with a square kernel, then ReLU.
    fn conv(&mut self, side: usize, kernel: usize, padding: usize, [in_channels, out_channels]: [usize; 2]) {
        let inputs = kernel * kernel * in_channels;
        let weight = self.weights(inputs, inputs * out_channels);
        let (image, kernel, stride, padding) = ([side; 2], [kernel; 2], [1; 2], [padding; 4]);
        let bias = vec![0.01; out_channels];
        let dilation = [1; 2];
        let conv = Conv2d { image, weight, kernel, in_channels, out_channels, bias, stride, dilation, padding };
        self.push("conv", Op::Conv2d(conv));
        self.relu();
    }

    /// Largest of 2×2.
    fn pool(&mut self, side: usize) {
        let pool = MaxPool2d { image: [side; 2], kernel: [2; 2], stride: [2; 2], padding: [0; 4] };
        self.push("pool", Op::MaxPool2d(pool));
    }

    /// The stage that ends here; the next one has `columns` columns.
    fn stage(&mut self, columns: usize) -> Stage {
        let nodes = std::mem::take(&mut self.nodes);
        Stage::Network(Network::new(std::mem::replace(&mut self.input_columns, columns), nodes))
    }
}

pub(super) fn dense_4m() -> Vec<Stage> {
    let mut chain = Chain::new(1024, 3);
    for _ in 0..5 {
        chain.dense(1024, 1024);
        chain.relu();
    }
    vec![chain.stage(1024)]
}

pub(super) fn cnn_264k() -> Vec<Stage> {
    let mut chain = Chain::new(3, 4);
    chain.conv(32, 5, 0, [3, 12]);
    chain.pool(28);
    chain.conv(14, 5, 0, [12, 33]);
    chain.pool(10);
    chain.push("flatten", Op::Flatten);
    chain.dense(825, 247);
    chain.relu();
    chain.dense(247, 173);
    chain.relu();
    chain.dense(173, 10);
    vec![chain.stage(10)]
}

pub(super) fn lenet5() -> Vec<Stage> {
    let mut chain = Chain::new(1, 5);
    chain.conv(32, 5, 0, [1, 6]);
    let first = chain.stage(6);
    chain.conv(14, 5, 0, [6, 16]);
    let second = chain.stage(16);
    // Its input is as large as the kernel: dense, 400 to 120.
    chain.conv(5, 5, 0, [16, 120]);
    chain.dense(120, 84);
    chain.relu();
    chain.dense(84, 10);
    let average = |side| Stage::Average { image: [side; 2], kernel: [2; 2] };
    vec![first, average(28), second, average(10), chain.stage(10)]
}

/// Convolutions 3×3 with the given channels and max-pooling after each group, then 512-512-512-10.
fn vgg(seed: u64, groups: &[&[usize]]) -> Vec<Stage> {
    let mut chain = Chain::new(3, seed);
    let (mut side, mut channels) = (32, 3);
    for group in groups {
        for &next in *group {
            chain.conv(side, 3, 1, [channels, next]);
            channels = next;
        }
        chain.pool(side);
        side /= 2;
    }
    chain.push("flatten", Op::Flatten);
    for _ in 0..2 {
        chain.dense(512, 512);
        chain.relu();
    }
    chain.dense(512, 10);
    vec![chain.stage(10)]
}

pub(super) fn vgg11() -> Vec<Stage> {
    vgg(6, &[&[64], &[128], &[256; 2], &[512; 2], &[512; 2]])
}

pub(super) fn vgg16() -> Vec<Stage> {
    vgg(7, &[&[64; 2], &[128; 2], &[256; 3], &[512; 3], &[512; 3]])
}
