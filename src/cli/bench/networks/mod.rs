//! Networks of a published shape with seeded random weights, on a seeded input of 8-bit values.

mod gpt2;
mod shapes;

use voxcheck::error::ModelError;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::Column;
use voxcheck::gkr::tables::Table;
use voxcheck::layers::affine::Taps;
use voxcheck::layers::average_pool::AveragePool;
use voxcheck::layers::lowering::{self, AnyLayer, LayerRef, Placed, Value};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::max_pool;
use voxcheck::layers::network::Network;
use voxcheck::layers::quantize::{Constants, Options, Ranges, quantize};
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::tensor_program::TensorProgram;
use super::{Prepared, Random, Skip, Workload};
use crate::cli::error::CliError;

pub use self::gpt2::Gpt2Layer;

/// Bits of an input value.
const INPUT_BITS: u32 = 8;
/// Fraction bits of an input value: inputs are within `[−1, 1)`.
const INPUT_FRACTION: i32 = 7;
/// Inputs that ranges are taken from.
const CALIBRATION: u64 = 16;
/// The input that is proved is none of those.
const PROVED: u64 = 1000;

/// A part of a network.
enum Stage {
    /// What a [`Network`] has.
    Network(Network),
    /// Averages of patches of an image that do not overlap.
    Average {
        /// Height and width of the input.
        image: [usize; 2],
        /// Height and width of the patches.
        kernel: [usize; 2],
    },
}

/// A network with random weights.
pub struct RandomNetwork {
    name: &'static str,
    about: &'static str,
    /// Rows and columns of the input.
    input: (usize, usize),
    /// Bits of arguments of activation tables.
    bits: u32,
    /// Bits of the range table: few where little is looked up.
    range_bits: usize,
    build: fn() -> Vec<Stage>,
}

/// Five dense layers, 1024 wide.
pub const DENSE: RandomNetwork = RandomNetwork {
    name: "dense-4m",
    about: "five dense layers 1024 to 1024, each with ReLU (5.2 M weights), on one row of 8-bit values",
    input: (1, 1024),
    bits: 11,
    range_bits: 8,
    build: shapes::dense_4m,
};

/// Two convolutions and three dense layers.
pub const CNN: RandomNetwork = RandomNetwork {
    name: "cnn-264k",
    about: "conv 5x5 3 to 12, max-pool, conv 5x5 12 to 33, max-pool, dense 825-247-173-10 on a 32x32 image of 8-bit values",
    input: (32 * 32, 3),
    bits: 11,
    range_bits: 12,
    build: shapes::cnn_264k,
};

/// LeNet-5 with ReLU.
pub const LENET5: RandomNetwork = RandomNetwork {
    name: "lenet5",
    about: "LeNet-5 with ReLU: conv 5x5 1 to 6, average pool 2x2, conv 5x5 6 to 16, average pool 2x2, dense 400-120-84-10 on a 32x32 image of 8-bit values",
    input: (32 * 32, 1),
    bits: 11,
    range_bits: 12,
    build: shapes::lenet5,
};

/// VGG11 for CIFAR-10.
pub const VGG11: RandomNetwork = RandomNetwork {
    name: "vgg11-cifar",
    about: "VGG11 for CIFAR-10: conv 3x3 64, M, 128, M, 256, 256, M, 512, 512, M, 512, 512, M (max-pool 2x2), dense 512-512-512-10, ReLU (9.7 M weights), on a 32x32 image of 8-bit values",
    input: (32 * 32, 3),
    bits: 11,
    range_bits: 16,
    build: shapes::vgg11,
};

/// VGG16 for CIFAR-10.
pub const VGG16: RandomNetwork = RandomNetwork {
    name: "vgg16-cifar",
    about: "VGG16 for CIFAR-10: conv 3x3 64, 64, M, 128, 128, M, 3 of 256, M, 3 of 512, M, 3 of 512, M (max-pool 2x2), dense 512-512-512-10, ReLU (15.2 M weights), on a 32x32 image of 8-bit values",
    input: (32 * 32, 3),
    bits: 11,
    range_bits: 16,
    build: shapes::vgg16,
};

impl Workload for RandomNetwork {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let lowered = self.lower(&(self.build)()).map_err(|error| CliError::internal(format!("bench: {error}")))?;
        let (builder, constants) = lowered;
        let (rows, cols) = self.input;
        let table = IntTable::new(rows, cols, IntVec::I8(self.image(PROVED)));
        Ok(Box::new(TensorProgram::new(builder, vec![table], constants)?))
    }
}

impl RandomNetwork {
    /// A seeded input.
    fn image(&self, seed: u64) -> Vec<i8> {
        let (rows, cols) = self.input;
        let mut random = Random::new(seed + 100);
        (0..rows * cols).map(|_| (random.next() >> 56) as i8).collect()
    }

    /// The same in floats.
    fn float_image(&self, seed: u64) -> FloatMatrix {
        let ((rows, cols), one) = (self.input, f64::from(1u32 << INPUT_FRACTION));
        FloatMatrix::new(rows, cols, self.image(seed).iter().map(|&v| f64::from(v) / one).collect())
    }

    /// Quantizes the network on seeded inputs; the program's output is public.
    fn lower(&self, stages: &[Stage]) -> Result<(ProgramBuilder, Vec<IntTable>), ModelError> {
        let mut ranges: Vec<Ranges> = stages.iter().map(|_| Ranges::default()).collect();
        for seed in 0..CALIBRATION {
            let mut x = self.float_image(seed);
            for (stage, ranges) in stages.iter().zip(&mut ranges) {
                let mut outputs = stage.execute(&x)?;
                if let Stage::Network(network) = stage {
                    ranges.observe(network, &x, &outputs, x.rows);
                }
                x = outputs.pop().unwrap_or_default();
            }
        }
        let mut constants = Constants::default();
        let mut layers: Vec<Placed> = Vec::new();
        for (stage, ranges) in stages.iter().zip(&ranges) {
            let fraction_bits = layers.last().map_or(INPUT_FRACTION, |last| last.layer.as_layer().fraction_bits());
            let options = Options::uniform(self.bits);
            append(&mut layers, stage.quantize(ranges, fraction_bits, options, &mut constants)?);
        }
        let mut p = ProgramBuilder::new(self.range_bits);
        let half = 1i128 << (INPUT_BITS - 1);
        let tensor = p.input("input", self.input, -half, half - 1)?;
        let bytes = p.table(Table::range(INPUT_BITS as usize))?;
        p.lookup(vec![Column { view: p.whole(tensor), scale: 1, offset: half as i64 }], bytes)?;
        let value = lowering::lower(&mut p, &max_pool::fuse(layers), Value { tensor, sequences: 1 })?;
        p.output(value.tensor);
        Ok((p, constants.into_tables()))
    }
}

/// Puts layers after others: their input is the output of the last of those.
fn append(layers: &mut Vec<Placed>, mut next: Vec<Placed>) {
    let before = layers.len() as u32;
    for input in next.iter_mut().flat_map(|placed| &mut placed.inputs) {
        *input = match *input {
            LayerRef::Input => before.checked_sub(1).map_or(LayerRef::Input, LayerRef::Layer),
            LayerRef::Layer(index) => LayerRef::Layer(before + index),
        };
    }
    layers.extend(next);
}

impl Stage {
    /// The output of every node on one image; the last is that of the stage.
    fn execute(&self, x: &FloatMatrix) -> Result<Vec<FloatMatrix>, ModelError> {
        match self {
            Self::Network(network) => network.execute(x, x.rows),
            Self::Average { image: [height, width], kernel: [down, across] } => {
                let narrow = width / across;
                let average = |row: usize, c: usize| {
                    let (y, x0) = (row / narrow * down, row % narrow * across);
                    let at = |i: usize| x.row((y + i / across) * width + x0 + i % across)[c];
                    (0..down * across).map(at).sum::<f64>() / (down * across) as f64
                };
                Ok(vec![FloatMatrix::from_fn(height / down * narrow, x.cols, average)])
            }
        }
    }

    /// Its integer layers, after values with `fraction_bits` fraction bits.
    fn quantize(
        &self,
        ranges: &Ranges,
        fraction_bits: i32,
        options: Options,
        constants: &mut Constants,
    ) -> Result<Vec<Placed>, ModelError> {
        match self {
            Self::Network(network) => quantize(network, ranges, fraction_bits, options, constants),
            Self::Average { image, kernel } => {
                let [image, kernel] = [image, kernel].map(|extents| extents.map(|extent| extent as u32));
                let taps = Taps::Image { image, kernel, stride: kernel, padding: [0; 4] };
                let pool = AveragePool::new("average".into(), taps, fraction_bits);
                let reason = || ModelError::Malformed { reason: "an average of other than 2^k values".into() };
                let layer = AnyLayer::AveragePool(pool.ok_or_else(reason)?);
                Ok(vec![Placed { layer, inputs: vec![LayerRef::Input] }])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use voxcheck::cost::Sizes;
    use voxcheck::layers::network::Op;
    use voxcheck::proof::Mode;

    use super::*;

    pub(super) fn cosine(a: &[f64], b: &[f64]) -> f64 {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    fn num_weights(op: &Op) -> usize {
        match op {
            Op::Dense { weight, .. } => weight.data.len(),
            Op::Conv2d(conv) => conv.weight.len(),
            _ => 0,
        }
    }

    /// Integers agree with floats, activations are not mostly zero, and the proof verifies.
    fn check(workload: &RandomNetwork, weights: usize) {
        let (stages, mut found, mut x) = ((workload.build)(), 0, workload.float_image(PROVED));
        for stage in &stages {
            let mut outputs = stage.execute(&x).unwrap();
            if let Stage::Network(network) = stage {
                found += network.nodes.iter().map(|node| num_weights(&node.op)).sum::<usize>();
                for (node, output) in network.nodes.iter().zip(&outputs).filter(|(node, _)| node.op == Op::Relu) {
                    let zeros = output.data.iter().filter(|&&x| x == 0.0).count() as f64 / output.data.len() as f64;
                    assert!(zeros < 0.7, "{}: {zeros} of {} are zero", workload.name, node.name);
                }
            }
            x = outputs.pop().unwrap();
        }
        assert_eq!(found, weights);
        let (builder, constants) = workload.lower(&stages).unwrap();
        let (rows, cols) = workload.input;
        let table = IntTable::new(rows, cols, IntVec::I8(workload.image(PROVED)));
        let program = TensorProgram::new(builder, vec![table], constants).unwrap();
        println!("{}: {:?}", workload.name, Sizes::new(program.program()));
        let proved = program.prove(Mode::Zk).unwrap();
        let integer: Vec<f64> = proved.outputs[0].values().iter().map(|v| v as f64).collect();
        let found = cosine(&integer, &x.data);
        println!("{}: cosine {found}", workload.name);
        assert!(found >= 0.9999, "{}: cosine {found}", workload.name);
        program.verify(Mode::Zk, &proved.outputs, &proved.bytes).unwrap();
    }

    #[test]
    fn dense_layers_are_accurate_and_proved() {
        check(&DENSE, 5 * 1024 * 1024);
    }

    #[test]
    fn the_convolutional_network_is_accurate_and_proved() {
        check(&CNN, 900 + 9900 + 825 * 247 + 247 * 173 + 173 * 10);
    }

    #[test]
    fn lenet_is_accurate_and_proved() {
        check(&LENET5, 25 * 6 + 150 * 16 + 400 * 120 + 120 * 84 + 84 * 10);
    }

    #[test]
    fn vgg11_is_accurate_and_proved() {
        let channels = [3, 64, 128, 256, 256, 512, 512, 512, 512];
        let convolutions: usize = channels.windows(2).map(|pair| 9 * pair[0] * pair[1]).sum();
        check(&VGG11, convolutions + 2 * 512 * 512 + 512 * 10);
    }

    #[test]
    fn vgg16_is_accurate_and_proved() {
        let channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
        let convolutions: usize = channels.windows(2).map(|pair| 9 * pair[0] * pair[1]).sum();
        check(&VGG16, convolutions + 2 * 512 * 512 + 512 * 10);
    }
}
