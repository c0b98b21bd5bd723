//! `dense-4m` and `cnn-264k`: networks of a published shape with seeded random weights.
//!
//! Weights are uniform with variance `2 / inputs`, so that values keep their size from layer to layer
//! and a ReLU leaves about half of them.

use voxcheck::error::ModelError;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::layers::lowering::{self, Value};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{Conv2d, MaxPool2d, Network, Node, NodeRef, Op};
use voxcheck::layers::quantize::{Constants, Options, Ranges, quantize};
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::tensor_program::TensorProgram;
use super::{Prepared, Random, Skip, Workload};
use crate::cli::error::CliError;

/// Bits of an input value.
const INPUT_BITS: u32 = 8;
/// Fraction bits of an input value: inputs are within `[−1, 1)`.
const INPUT_FRACTION: i32 = 7;
/// Bits of the range table: these programs look little up.
const RANGE_BITS: usize = 8;
/// Inputs that ranges are taken from.
const CALIBRATION: u64 = 16;
/// The input that is proved is none of those.
const PROVED: u64 = 1000;

/// A network with random weights.
pub struct RandomNetwork {
    name: &'static str,
    about: &'static str,
    /// Rows of the input.
    rows: usize,
    /// Bits of arguments of activation tables.
    bits: u32,
    build: fn() -> Network,
}

/// Five dense layers, 1024 wide.
pub const DENSE: RandomNetwork = RandomNetwork {
    name: "dense-4m",
    about: "five dense layers 1024 to 1024, each with ReLU (5.2 M weights), on one row of 8-bit values",
    rows: 1,
    bits: 11,
    build: dense_network,
};

/// Two convolutions and three dense layers.
pub const CNN: RandomNetwork = RandomNetwork {
    name: "cnn-264k",
    about: "conv 5x5 3 to 12, max-pool, conv 5x5 12 to 33, max-pool, dense 825-247-173-10 on a 32x32 image of 8-bit values",
    rows: 32 * 32,
    bits: 11,
    build: cnn_network,
};

impl Workload for RandomNetwork {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let network = (self.build)();
        let lowered = self.lower(&network).map_err(|error| CliError::internal(format!("bench: {error}")))?;
        let (builder, constants) = lowered;
        let input = input(self.rows, network.input_columns, PROVED);
        let table = IntTable::new(self.rows, network.input_columns, IntVec::I8(input));
        Ok(Box::new(TensorProgram::new(builder, vec![table], constants)?))
    }
}

impl RandomNetwork {
    /// Quantizes the network on seeded inputs; the program's output is public.
    fn lower(&self, network: &Network) -> Result<(ProgramBuilder, Vec<IntTable>), ModelError> {
        let mut ranges = Ranges::default();
        for seed in 0..CALIBRATION {
            let input = as_floats(&input(self.rows, network.input_columns, seed), self.rows);
            let outputs = network.execute(&input, self.rows)?;
            ranges.observe(network, &input, &outputs, self.rows);
        }
        let mut constants = Constants::default();
        let options = Options { bits: self.bits, average: false };
        let layers = quantize(network, &ranges, INPUT_FRACTION, options, &mut constants)?;
        let mut p = ProgramBuilder::new(RANGE_BITS);
        let half = 1i128 << (INPUT_BITS - 1);
        let tensor = p.input("input", (self.rows, network.input_columns), -half, half - 1)?;
        p.range(p.whole(tensor), -half, INPUT_BITS as usize)?;
        let value = lowering::lower(&mut p, &layers, Value { tensor, sequences: 1 })?;
        p.output(value.tensor);
        Ok((p, constants.into_tables()))
    }
}

/// Seeded 8-bit values.
fn input(rows: usize, cols: usize, seed: u64) -> Vec<i8> {
    let mut random = Random::new(seed + 100);
    (0..rows * cols).map(|_| (random.next() >> 56) as i8).collect()
}

fn as_floats(values: &[i8], rows: usize) -> FloatMatrix {
    let one = f64::from(1u32 << INPUT_FRACTION);
    FloatMatrix::new(rows, values.len() / rows, values.iter().map(|&v| f64::from(v) / one).collect())
}

/// Nodes in a row.
struct Chain {
    nodes: Vec<Node>,
    random: Random,
}

impl Chain {
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

    /// Convolution 5×5, ReLU, max-pool 2×2.
    fn conv(&mut self, side: usize, in_channels: usize, out_channels: usize) {
        let weight = self.weights(25 * in_channels, 25 * in_channels * out_channels);
        let (image, kernel, stride, padding) = ([side; 2], [5; 2], [1; 2], [0; 4]);
        let bias = vec![0.01; out_channels];
        self.push(
            "conv",
            Op::Conv2d(Conv2d { image, weight, kernel, in_channels, out_channels, bias, stride, padding }),
        );
        self.relu();
        let pool = MaxPool2d { image: [side - 4; 2], kernel: [2; 2], stride: [2; 2], padding };
        self.push("pool", Op::MaxPool2d(pool));
    }
}

fn dense_network() -> Network {
    let mut chain = Chain { nodes: Vec::new(), random: Random::new(3) };
    for _ in 0..5 {
        chain.dense(1024, 1024);
        chain.relu();
    }
    Network { input_columns: 1024, nodes: chain.nodes }
}

fn cnn_network() -> Network {
    let mut chain = Chain { nodes: Vec::new(), random: Random::new(4) };
    chain.conv(32, 3, 12);
    chain.conv(14, 12, 33);
    chain.push("flatten", Op::Flatten);
    chain.dense(825, 247);
    chain.relu();
    chain.dense(247, 173);
    chain.relu();
    chain.dense(173, 10);
    Network { input_columns: 3, nodes: chain.nodes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f64], b: &[f64]) -> f64 {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    /// Integers agree with floats, activations are not mostly zero, and the proof verifies.
    fn check(workload: &RandomNetwork, weights: usize) {
        let network = (workload.build)();
        let count = |op: &Op| match op {
            Op::Dense { weight, .. } => weight.data.len(),
            Op::Conv2d(conv) => conv.weight.len(),
            _ => 0,
        };
        assert_eq!(network.nodes.iter().map(|node| count(&node.op)).sum::<usize>(), weights);
        let values = input(workload.rows, network.input_columns, PROVED);
        let outputs = network.execute(&as_floats(&values, workload.rows), workload.rows).unwrap();
        for (node, output) in network.nodes.iter().zip(&outputs) {
            if node.op == Op::Relu {
                let zeros = output.data.iter().filter(|&&x| x == 0.0).count() as f64 / output.data.len() as f64;
                assert!(zeros < 0.7, "{}: {zeros} of {} are zero", workload.name, node.name);
            }
        }
        let (builder, constants) = workload.lower(&network).unwrap();
        let table = IntTable::new(workload.rows, network.input_columns, IntVec::I8(values));
        let program = TensorProgram::new(builder, vec![table], constants).ok().unwrap();
        let proved = program.prove().ok().unwrap();
        let integer: Vec<f64> = proved.outputs[0].values().iter().map(|v| v as f64).collect();
        let found = cosine(&integer, &outputs.last().unwrap().data);
        assert!(found >= 0.9999, "{}: cosine {found}", workload.name);
        program.verify(&proved.outputs, &proved.bytes).ok().unwrap();
    }

    #[test]
    fn dense_layers_are_accurate_and_proved() {
        check(&DENSE, 5 * 1024 * 1024);
    }

    #[test]
    fn the_convolutional_network_is_accurate_and_proved() {
        check(&CNN, 900 + 9900 + 825 * 247 + 247 * 173 + 173 * 10);
    }
}
