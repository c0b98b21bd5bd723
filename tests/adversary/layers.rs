//! Every layer, in odd shapes, by a prover whose computation is wrong in one entry of one tensor.

use std::collections::BTreeSet;
use std::sync::Arc;

use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::TensorId;
use voxcheck::layers::affine::{Affine, Finish, Function, Operand, Taps, Term};
use voxcheck::layers::average_pool::AveragePool;
use voxcheck::layers::fixed;
use voxcheck::layers::layer_norm::LayerNorm;
use voxcheck::layers::logarithm::LogTables;
use voxcheck::layers::lowering::{self, AnyLayer, LayerRef, Placed, Value};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::max_pool;
use voxcheck::layers::multi_head::MultiHeadAttention;
use voxcheck::layers::network::{self, Network, Node, NodeRef, Op};
use voxcheck::layers::pooling::Row;
use voxcheck::layers::quantize::{Constants, Options, Ranges, quantize};
use voxcheck::layers::row_softmax::{RowLogSoftmax, RowSoftmax};
use voxcheck::layers::saturate::Clamped;
use voxcheck::layers::score::{self, THRESHOLD_ONE};
use voxcheck::layers::softmax::Softmax;
use voxcheck::sumcheck::error::Refusal;
use voxcheck::sumcheck::int::{IntTable, IntVec};

use crate::common::{Case, table};
use crate::witness::{CHANGES, PLACES, Refused, Tables, Target, report};

/// Bits of the range table, and of the arguments of activations: small, so that a proof takes little.
const BITS: usize = 9;
/// Fraction bits of the input.
const FRACTION_BITS: i32 = 6;

/// Layers, and the shape of what goes into them: rows of a sequence, columns, sequences.
struct Stack {
    name: &'static str,
    layers: Vec<Placed>,
    weights: Vec<IntTable>,
    shape: (usize, usize, usize),
}

/// An input within `[−1, 1]`.
fn samples((rows, cols, sequences): (usize, usize, usize)) -> FloatMatrix {
    let one = f64::from(FRACTION_BITS).exp2();
    FloatMatrix::from_fn(rows * sequences, cols, |r, c| {
        (((r * 31 + c * 17 + 5) as f64 * 0.7).sin() * one).round() / one
    })
}

fn weights(rows: usize, cols: usize, seed: usize) -> FloatMatrix {
    FloatMatrix::from_fn(rows, cols, |r, c| ((r * 13 + c * 7 + seed) as f64 * 1.3).sin() / (rows as f64).sqrt())
}

fn bias(len: usize) -> Vec<f64> {
    (0..len).map(|i| (i as f64 * 0.9).cos() * 0.2).collect()
}

fn dense(rows: usize, cols: usize) -> Op {
    Op::Dense { weight: weights(rows, cols, 6), bias: bias(cols) }
}

/// Operations one after another.
fn chain(ops: Vec<Op>) -> Vec<Node> {
    let input_of = |i: usize| if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) };
    let node = |(i, op)| Node { name: format!("n{i}"), op, inputs: vec![input_of(i)] };
    ops.into_iter().enumerate().map(node).collect()
}

impl Stack {
    /// What the quantizer makes of a network.
    fn quantized(name: &'static str, ops: Vec<Op>, shape: (usize, usize, usize), average: bool) -> Self {
        Self::graph(name, chain(ops), shape, average)
    }

    /// What the quantizer makes of a network that is no chain.
    fn graph(name: &'static str, nodes: Vec<Node>, shape: (usize, usize, usize), average: bool) -> Self {
        Self::calibrated(name, nodes, shape, average, None)
    }

    /// A chain of operations that clamps what is beyond its tables, of which one was calibrated on values as many times
    /// smaller as `loud` says.
    fn clamped(name: &'static str, ops: Vec<Op>, shape: (usize, usize, usize), loud: f64) -> Self {
        Self::calibrated(name, chain(ops), shape, false, Some(loud))
    }

    fn calibrated(
        name: &'static str,
        nodes: Vec<Node>,
        shape: (usize, usize, usize),
        average: bool,
        loud: Option<f64>,
    ) -> Self {
        let saturate = loud.is_some();
        let network = Network::new(shape.1, nodes);
        let input = samples(shape);
        let outputs = network.execute(&input, shape.0).unwrap();
        let mut ranges = Ranges::default();
        ranges.observe(&network, &input, &outputs, shape.0);
        ranges.outputs.iter_mut().for_each(|range| *range /= loud.unwrap_or(1.0));
        let mut constants = Constants::default();
        let options = Options { average, saturate, ..Options::uniform(BITS as u32) };
        let mut layers = quantize(&network, &ranges, FRACTION_BITS, options, &mut constants).unwrap();
        layers.iter_mut().for_each(|placed| shrink(&mut placed.layer));
        Self { name, layers, weights: constants.into_tables(), shape }
    }

    /// The program, with what `tail` puts after the layers.
    fn case(&self, tail: impl FnOnce(&mut ProgramBuilder, TensorId)) -> Case {
        let (rows, cols, sequences) = self.shape;
        let mut p = ProgramBuilder::new(BITS).with_width_vars(6);
        let half = 1i128 << (BITS - 1);
        let x = p.input("x", (rows * sequences, cols), -half, half - 1).unwrap();
        p.range(p.whole(x), -half, BITS).unwrap();
        let value = lowering::lower(&mut p, &self.layers, Value { tensor: x, sequences }).unwrap();
        tail(&mut p, value.tensor);
        let (program, recipes) = p.finish().unwrap();
        let one = f64::from(FRACTION_BITS).exp2();
        let input = samples(self.shape).data.iter().map(|v| (v * one) as i128).collect::<Vec<_>>();
        let constants = self.weights.iter().cloned().map(Arc::new).collect();
        Case { program, recipes, inputs: vec![table(rows * sequences, cols, &input)], constants }
    }

    /// The layers with their output public.
    fn plain(&self) -> Case {
        self.case(|p, output| p.output(output))
    }
}

/// Recurrent layers have tables of 15 and 16 bits; the same functions on fewer arguments make smaller proofs.
fn shrink(layer: &mut AnyLayer) {
    let middle = |function: &mut Function, bits: u32| {
        let (half, len) = (1i64 << (bits - 1), 1usize << bits);
        let skipped = usize::try_from(-half - function.start).unwrap();
        function.values = function.values[skipped..skipped + len].to_vec().into();
        function.start = -half;
    };
    let gates = |gates: &mut voxcheck::layers::recurrent::Gates| {
        let bits = if gates.saturate.is_some() { 11 } else { 13 };
        middle(&mut gates.sigmoid, bits);
        middle(&mut gates.tanh, bits);
        gates.saturate = gates.saturate.map(|(_, high)| (6, high));
    };
    match layer {
        AnyLayer::Lstm(lstm) => {
            gates(&mut lstm.gates);
            middle(&mut lstm.cell_tanh, 13);
        }
        AnyLayer::Gru(gru) => gates(&mut gru.gates),
        AnyLayer::LstmFrom(from) => {
            gates(&mut from.lstm.gates);
            middle(&mut from.lstm.cell_tanh, 13);
        }
        AnyLayer::GruFrom(from) => gates(&mut from.gru.gates),
        AnyLayer::Affine(_)
        | AnyLayer::MaxPool(_)
        | AnyLayer::Row(_)
        | AnyLayer::Mean(_)
        | AnyLayer::Deviation(_)
        | AnyLayer::WeightedStats(_)
        | AnyLayer::Gate(_)
        | AnyLayer::Normalize(_)
        | AnyLayer::Average(_)
        | AnyLayer::ReluMaxPool(_)
        | AnyLayer::AveragePool(_)
        | AnyLayer::LayerNorm(_)
        | AnyLayer::MultiHeadAttention(_)
        | AnyLayer::Emphasis(_)
        | AnyLayer::InstanceNorm(_)
        | AnyLayer::Framing(_)
        | AnyLayer::LogMagnitude(_)
        | AnyLayer::Centre(_)
        | AnyLayer::Offset(_)
        | AnyLayer::TimeMaxPool(_)
        | AnyLayer::RoundedTimeMaxPool(_)
        | AnyLayer::AtMost(_)
        | AnyLayer::GridMean(_)
        | AnyLayer::GridDeviation(_)
        | AnyLayer::Rows(_)
        | AnyLayer::Unfold(_)
        | AnyLayer::Join(_)
        | AnyLayer::AddRows(_)
        | AnyLayer::RowSoftmax(_)
        | AnyLayer::RowLogSoftmax(_)
        | AnyLayer::Hypot(_)
        | AnyLayer::Power(_)
        | AnyLayer::LogEnergy(_)
        | AnyLayer::TimeMax(_)
        | AnyLayer::NormalizeSigned(_)
        | AnyLayer::TimeSoftmax(_)
        | AnyLayer::Sequences(_)
        | AnyLayer::SegmentMean(_)
        | AnyLayer::PaddedMaxPool(_) => {}
    }
}

fn conv1d() -> Op {
    Op::Conv1d(network::Conv1d {
        weight: weights(2 * 3, 3, 5).data,
        kernel: 2,
        in_channels: 3,
        out_channels: 3,
        bias: bias(3),
        stride: 2,
        dilation: 3,
        pad_left: 1,
        pad_right: 2,
    })
}

fn lstm(input: usize, hidden: usize, gain: f64) -> Op {
    let mut w_input = weights(input, 4 * hidden, 1);
    w_input.data.iter_mut().for_each(|w| *w *= gain);
    let w_hidden = weights(hidden, 4 * hidden, 2);
    Op::Lstm(network::Lstm { input, hidden, w_input, w_hidden, bias: bias(4 * hidden), initial: None, carried: false })
}

fn gru(input: usize, hidden: usize, linear_before_reset: bool) -> Op {
    Op::Gru(network::Gru {
        input,
        hidden,
        w_input: weights(input, 3 * hidden, 3),
        w_hidden: weights(hidden, 3 * hidden, 4),
        bias_input: bias(3 * hidden),
        bias_hidden: bias(3 * hidden),
        linear_before_reset,
        initial: None,
        carried: false,
    })
}

/// Dense layers and convolutions.
fn affine() -> Vec<Stack> {
    let norm = Op::Affine { scale: vec![1.5, -0.7, 0.4], shift: bias(3) };
    let conv2d = Op::Conv2d(network::Conv2d {
        image: [3, 4],
        weight: weights(2 * 3 * 2, 3, 7).data,
        kernel: [2, 3],
        in_channels: 2,
        out_channels: 3,
        bias: bias(3),
        stride: [1, 2],
        dilation: [1; 2],
        padding: [1, 0, 0, 1],
    });
    let pool = Op::MaxPool2d(network::MaxPool2d { image: [3, 2], kernel: [3, 1], stride: [1, 1], padding: [0; 4] });
    let image = vec![conv2d, Op::Relu, pool, Op::Flatten, dense(6, 2)];
    let fused = |stack: Stack| Stack { layers: max_pool::fuse(stack.layers), ..stack };
    let mut stacks = vec![
        Stack::quantized("dense", vec![dense(3, 5)], (3, 3, 1), false),
        Stack::quantized("dense and relu", vec![dense(1, 3), Op::Relu], (5, 1, 1), false),
        Stack::quantized("dense and sigmoid", vec![dense(3, 1), Op::Sigmoid], (1, 3, 2), false),
        Stack::quantized("dense and tanh", vec![dense(2, 3), Op::Tanh], (3, 2, 1), false),
        Stack::quantized("batch norm", vec![conv1d(), norm.clone(), Op::Relu, norm, dense(3, 2)], (7, 3, 1), false),
        Stack::quantized("conv2d", image.clone(), (12, 2, 1), false),
        fused(Stack::quantized("relu and max pool", image, (12, 2, 1), false)),
    ];
    // What leaves a table a little, and what leaves it so far that it is cut into two parts.
    stacks.extend([
        Stack::clamped("clamped dense", vec![dense(3, 5)], (3, 3, 1), 5.0),
        Stack::clamped("clamped dense and relu", vec![dense(3, 3), Op::Relu], (5, 3, 1), 9.0),
        Stack::clamped("clamped dense and relu, by parts", vec![dense(3, 3), Op::Relu], (5, 3, 1), 3e5),
        Stack::clamped("clamped dense and sigmoid", vec![dense(3, 1), Op::Sigmoid], (2, 3, 2), 5.0),
        Stack::clamped("clamped dense and tanh, by parts", vec![dense(2, 3), Op::Tanh], (3, 2, 1), 3e5),
    ]);
    // Levels that a model prescribes: few quotients, many, and what several layers make of them.
    let levels = |scale, low, high| Op::Quantize(network::Levels { scale, low, high });
    let pool = Op::MaxPool1d { kernel: 2, stride: 2 };
    stacks.extend([
        Stack::quantized("levels", vec![dense(3, 3), levels(0.03, -20, 43)], (3, 3, 1), false),
        Stack::quantized("levels from zero, by parts", vec![dense(3, 3), levels(3e-6, 0, 200)], (5, 3, 1), false),
        Stack::quantized(
            "levels and a pool",
            vec![conv1d(), levels(0.02, -30, 33), pool, dense(3, 2)],
            (7, 3, 1),
            false,
        ),
    ]);
    // An accumulator that stays as it is.
    let mut exact = Constants::default();
    let (weight, bias) = (exact.add(&weights(3, 2, 1), 5), exact.add(&FloatMatrix::new(1, 2, bias(2)), 11));
    let finish = Finish::Exact;
    let terms = vec![Term { operand: Operand::Input(0), taps: Taps::Same, weight, shift: 0 }];
    let layers = vec![alone(AnyLayer::Affine(Affine { name: "exact".into(), terms, bias, finish, fraction_bits: 11 }))];
    stacks.push(Stack { name: "exact", layers, weights: exact.into_tables(), shape: (3, 3, 1) });
    stacks
}

/// Recurrences.
fn recurrent() -> Vec<Stack> {
    let Op::Lstm(lstm_from_zeros) = lstm(3, 2, 1.0) else { panic!("an LSTM") };
    let carried = Op::Lstm(network::Lstm { carried: true, ..lstm_from_zeros.clone() });
    let from_states = Op::Lstm(network::Lstm { initial: Some([vec![0.5, -0.25], vec![1.5, 0.75]]), ..lstm_from_zeros });
    let Op::Gru(gru_from_zeros) = gru(2, 3, false) else { panic!("a GRU") };
    let carried_gru =
        Op::Gru(network::Gru { carried: true, initial: Some(vec![0.5, 0.0, -0.25]), ..gru_from_zeros.clone() });
    let from_state = Op::Gru(network::Gru { initial: Some(vec![-0.5, 0.25, 1.0]), ..gru_from_zeros });
    vec![
        Stack::quantized("lstm from states", vec![from_states], (3, 3, 2), false),
        Stack::quantized("lstm over chunks", vec![carried, dense(2, 1), Op::Sigmoid], (1, 3, 5), false),
        Stack::quantized("gru over chunks of several rows", vec![carried_gru, Op::LastRow], (2, 2, 3), false),
        Stack::quantized("gru from a state", vec![from_state], (3, 2, 2), false),
        Stack::quantized("lstm", vec![lstm(3, 2, 1.0), Op::LastRow], (3, 3, 2), false),
        Stack::quantized("saturating lstm", vec![lstm(2, 1, 40.0)], (3, 2, 1), false),
        Stack::quantized("gru", vec![gru(2, 3, false)], (3, 2, 1), false),
        Stack::quantized("gru, linear before reset", vec![gru(1, 2, true), Op::LastRow], (2, 1, 3), false),
    ]
}

/// Sums over time, and what follows several sequences.
fn pooling() -> Vec<Stack> {
    let stats = Op::StatsPool { min_variance: 1e-3 };
    let unit = vec![dense(3, 3), Op::Relu, Op::L2Normalize];
    let layers = vec![alone(AnyLayer::Row(Row { name: "last".into(), last: true, fraction_bits: FRACTION_BITS }))];
    let patches = Taps::Image { image: [3, 3], kernel: [2, 1], stride: [1, 2], padding: [0, 0, 1, 0] };
    let average = AveragePool::new("average".into(), patches, FRACTION_BITS).unwrap();
    let average = vec![alone(AnyLayer::AveragePool(average))];
    vec![
        Stack::quantized("mean", vec![Op::MeanPool, dense(3, 2)], (5, 3, 1), false),
        Stack::quantized("statistics", vec![stats, dense(6, 2)], (5, 3, 1), false),
        Stack::quantized("unit vectors", unit, (1, 3, 3), true),
        Stack { name: "last row", layers, weights: vec![], shape: (3, 2, 2) },
        Stack { name: "average of patches", layers: average, weights: vec![], shape: (9, 3, 1) },
    ]
}

/// Layer norms, and attention of two heads of two columns on five rows, causal or not.
fn transformers() -> Vec<Stack> {
    let norm = || {
        let mut weights = Constants::default();
        let ones = weights.add(&FloatMatrix::from_fn(3, 1, |_, _| 1.0), 0);
        let epsilon = LayerNorm::epsilon(1e-3, 3, FRACTION_BITS);
        let layer = LayerNorm {
            name: "norm".into(),
            ones,
            epsilon,
            guard_bits: 2,
            shift: 9,
            bits: 9,
            fraction_bits: FRACTION_BITS,
        };
        Stack {
            name: "layer norm",
            layers: vec![alone(AnyLayer::LayerNorm(layer))],
            weights: weights.into_tables(),
            shape: (5, 3, 1),
        }
    };
    let attention = |name: &'static str, causal: bool| {
        let mut weights = Constants::default();
        let ones = weights.add(&FloatMatrix::from_fn(6, 1, |_, _| 1.0), 0);
        let mask = causal.then(|| weights.add(&MultiHeadAttention::causal_mask(6), 0));
        let layer = MultiHeadAttention {
            name: "attention".into(),
            heads: 2,
            width: 2,
            softmax: Softmax::new(8, 8, 4, 6, 14),
            ones,
            mask,
            shift: 12,
            bits: 9,
            fraction_bits: FRACTION_BITS + 2,
        };
        Stack {
            name,
            layers: vec![alone(AnyLayer::MultiHeadAttention(layer))],
            weights: weights.into_tables(),
            shape: (5, 12, 1),
        }
    };
    vec![norm(), attention("attention", false), attention("causal attention", true)]
}

/// A convolution of one column.
fn filters(kernel: usize, stride: usize, out_channels: usize, weight: Vec<f64>) -> Op {
    Op::Conv1d(network::Conv1d {
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

/// What RawNet3 does to samples, and maxima over time, rounded there or before.
fn waveforms() -> Vec<Stack> {
    let mut graph = Graph(Vec::new());
    let mut x = NodeRef::Input;
    for op in [
        Op::MirrorPad,
        filters(2, 1, 1, vec![-0.97, 1.0]),
        Op::InstanceNorm { epsilon: 1e-3 },
        filters(4, 3, 2, weights(4, 2, 3).data),
        Op::Abs,
        Op::Affine { scale: vec![1.0; 2], shift: vec![1e-3; 2] },
        Op::Log,
        Op::SubtractMean,
        dense(2, 3),
        Op::MaxPool1d { kernel: 3, stride: 2 },
    ] {
        x = graph.add(op, &[x]);
    }
    let mean = graph.add(Op::MeanPool, &[x]);
    let gate = graph.add(dense(3, 3), &[mean]);
    let gate = graph.add(Op::Sigmoid, &[gate]);
    let raised = graph.add(Op::Affine { scale: vec![1.0; 3], shift: vec![1.0, 0.5, 0.25] }, &[x]);
    let scaled = graph.add(Op::Multiply, &[raised, gate]);
    graph.add(Op::MaxPool1d { kernel: 2, stride: 1 }, &[scaled]);
    let limited = vec![dense(2, 3), Op::Relu, Op::AtMost { limit: 0.25 }];
    vec![Stack::graph("waveform", graph.0, (23, 1, 1), false), Stack::quantized("at most", limited, (5, 2, 1), false)]
}

/// Images that are as high as time, rows that move, softmax over columns.
fn images() -> Vec<Stack> {
    let conv = Op::Conv2d(network::Conv2d {
        image: [0, 2],
        weight: weights(4, 2, 7).data,
        kernel: [2, 2],
        in_channels: 1,
        out_channels: 2,
        bias: bias(2),
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 0, 0, 1],
    });
    let pool = network::MaxPool2d { image: [0, 2], kernel: [2, 2], stride: [1, 1], padding: [1, 1, 0, 0] };
    let stats = Op::GridStats { inner: 2, min_variance: 1e-3, epsilon: 1e-3, unbiased: true };
    let image = vec![Op::Unfold { parts: 2 }, conv, Op::Relu, Op::MaxPool2d(pool), stats, Op::Flatten, dense(8, 2)];
    let pad = network::RowMove::Pad { block: 1, before: 1, after: 1, edge: network::Edge::Reflect };
    let rows = vec![
        Op::Rows(pad),
        Op::AddRows { rows: weights(6, 2, 3) },
        Op::Rows(network::RowMove::Reverse { block: 1 }),
        Op::GridMean { inner: 2 },
        Op::Fold { parts: 2 },
        Op::Relu,
        dense(4, 2),
    ];
    let mut ones = Constants::default();
    let layer = RowSoftmax {
        name: "softmax".into(),
        softmax: Softmax::new(2, 8, 4, 6, 14),
        ones: ones.add(&FloatMatrix::from_fn(3, 1, |_, _| 1.0), 0),
        shift: 8,
        bits: 9,
        fraction_bits: 6,
    };
    let layers = vec![alone(AnyLayer::RowSoftmax(layer))];
    let mut logarithm_ones = Constants::default();
    let layer = RowLogSoftmax {
        name: "logarithm".into(),
        softmax: Softmax::new(2, 8, 4, 6, 14),
        ones: logarithm_ones.add(&FloatMatrix::from_fn(3, 1, |_, _| 1.0), 0),
        logarithm: LogTables::new(8, 2, 5, 6, 7),
        finer: 1,
        fraction_bits: FRACTION_BITS + 1,
    };
    let logarithm = vec![alone(AnyLayer::RowLogSoftmax(layer))];
    let runs = vec![Op::SegmentMean { rows: 3 }, dense(2, 2)];
    vec![
        Stack::quantized("means of runs", runs, (5, 2, 1), false),
        Stack::quantized("maximum over time", vec![dense(2, 3), Op::MaxOverTime, dense(3, 2)], (5, 2, 1), false),
        Stack::quantized("unit length of signed values", vec![Op::L2Normalize, dense(3, 2)], (3, 3, 1), false),
        Stack::quantized("image over time", image, (4, 2, 1), false),
        Stack::quantized("moving rows", rows, (4, 2, 1), false),
        Stack { name: "softmax of rows", layers, weights: ones.into_tables(), shape: (4, 3, 1) },
        Stack {
            name: "logarithm of a softmax of rows",
            layers: logarithm,
            weights: logarithm_ones.into_tables(),
            shape: (4, 3, 1),
        },
    ]
}

/// A layer on the input.
fn alone(layer: AnyLayer) -> Placed {
    Placed { layer, inputs: vec![LayerRef::Input] }
}

/// Nodes that name their inputs.
struct Graph(Vec<Node>);

impl Graph {
    fn add(&mut self, op: Op, inputs: &[NodeRef]) -> NodeRef {
        self.0.push(Node { name: format!("n{}", self.0.len()), op, inputs: inputs.to_vec() });
        NodeRef::Node(self.0.len() - 1)
    }

    /// A convolution with zeros around, ReLU, batch normalisation.
    fn conv_relu_norm(&mut self, x: NodeRef, [cin, cout]: [usize; 2], kernel: usize) -> NodeRef {
        let conv = self.add(
            Op::Conv1d(network::Conv1d {
                weight: weights(kernel * cin, cout, self.0.len()).data,
                kernel,
                in_channels: cin,
                out_channels: cout,
                bias: bias(cout),
                stride: 1,
                dilation: 2,
                pad_left: kernel - 1,
                pad_right: kernel - 1,
            }),
            &[x],
        );
        let relu = self.add(Op::Relu, &[conv]);
        self.add(Op::Affine { scale: (0..cout).map(|c| 1.3 - c as f64).collect(), shift: bias(cout) }, &[relu])
    }
}

/// A block of ECAPA: batch normalisation before zero padding, Res2 chunks, squeeze and excitation, a
/// residual sum, a concatenation.
fn res2_block() -> Vec<Node> {
    let mut graph = Graph(Vec::new());
    let x = graph.conv_relu_norm(NodeRef::Input, [2, 3], 1);
    let [low, high] = [(0, 1), (1, 2)].map(|(first, columns)| graph.add(Op::Slice { first, columns }, &[x]));
    let high = graph.conv_relu_norm(high, [2, 2], 3);
    let res2 = graph.add(Op::Concat, &[low, high]);
    let mean = graph.add(Op::MeanPool, &[res2]);
    let gate = graph.add(dense(3, 3), &[mean]);
    let gate = graph.add(Op::Sigmoid, &[gate]);
    let post = graph.conv_relu_norm(res2, [3, 3], 1);
    let gated = graph.add(Op::Multiply, &[post, gate]);
    let sum = graph.add(Op::Add, &[x, gated]);
    let all = graph.add(Op::Concat, &[sum, x]);
    graph.add(dense(6, 2), &[all]);
    graph.0
}

/// Attention that sees the statistics of all rows; of three columns each has weights of its own, or all have one.
fn attentive_pool(weights: usize) -> Vec<Node> {
    let mut graph = Graph(Vec::new());
    let x = graph.add(dense(2, 3), &[NodeRef::Input]);
    let x = graph.add(Op::Relu, &[x]);
    let stats = graph.add(Op::StatsPool { min_variance: 1e-3 }, &[x]);
    let all = graph.add(Op::Concat, &[x, stats]);
    let hidden = graph.add(dense(9, 2), &[all]);
    let hidden = graph.add(Op::Tanh, &[hidden]);
    let scores = graph.add(dense(2, weights), &[hidden]);
    let pool = graph.add(Op::AttentiveStatsPool { min_variance: 1e-3 }, &[x, scores]);
    graph.add(dense(6, 2), &[pool]);
    graph.0
}

/// The magnitude of a spectrum.
fn magnitude() -> Vec<Node> {
    let mut graph = Graph(Vec::new());
    let parts = graph.add(dense(3, 4), &[NodeRef::Input]);
    let [re, im] = [0, 2].map(|first| graph.add(Op::Slice { first, columns: 2 }, &[parts]));
    let magnitude = graph.add(Op::Hypot, &[re, im]);
    graph.add(dense(2, 2), &[magnitude]);
    graph.0
}

/// A logarithm of bands of a spectrum's power, above a least value or with a floor added.
fn log_energies(least: bool) -> Vec<Node> {
    let mut graph = Graph(Vec::new());
    let parts = graph.add(dense(3, 4), &[NodeRef::Input]);
    let [re, im] = [0, 2].map(|first| graph.add(Op::Slice { first, columns: 2 }, &[parts]));
    let power = graph.add(Op::Power, &[re, im]);
    let weight = FloatMatrix::from_fn(2, 2, |r, c| if r <= c { 0.5 } else { 0.0 });
    let bands = graph.add(Op::Dense { weight, bias: vec![0.0; 2] }, &[power]);
    let log = graph.add(Op::LogEnergy { floor: 0.01, least }, &[bands]);
    graph.add(dense(2, 2), &[log]);
    graph.0
}

/// What is no chain.
fn graphs() -> Vec<Stack> {
    vec![
        Stack::graph("energies above a floor", log_energies(true), (4, 3, 1), false),
        Stack::graph("energies and a floor", log_energies(false), (4, 3, 1), false),
        Stack::graph("res2 block", res2_block(), (5, 2, 1), false),
        Stack::graph("attentive pooling", attentive_pool(3), (5, 2, 1), false),
        Stack::graph("attentive pooling, one weight a row", attentive_pool(1), (5, 2, 1), false),
        Stack::graph("magnitude", magnitude(), (5, 3, 1), false),
    ]
}

/// Decisions on a dense layer: accepted, opposite, zero, below; with and without a score.
fn decisions() -> Vec<(String, Case)> {
    let stack = Stack::quantized("decision", vec![dense(3, 5)], (1, 3, 1), false);
    let embedding = stack.plain();
    let embedding: Vec<i128> = {
        let trace = embedding.run();
        trace.get(embedding.program.outputs()[0]).values().iter().map(|v| v >> 8).collect()
    };
    let other: Vec<i128> = embedding.iter().enumerate().map(|(i, v)| if i % 2 == 0 { *v } else { -v }).collect();
    let opposite: Vec<i128> = embedding.iter().map(|v| -v).collect();
    let mut cases = Vec::new();
    for (name, template) in [("same", embedding), ("other", other), ("opposite", opposite), ("zero", vec![0; 5])] {
        for reveal in [false, true] {
            let mut case = decision(&stack, &template, None);
            if reveal {
                let Some(score) = exact_score(&case, &template) else { continue };
                case = decision(&stack, &template, Some(score));
            }
            cases.push((format!("{name} template, score {reveal}"), case));
        }
    }
    cases
}

/// The integers of the embedding, as the program has them.
fn exact_score(case: &Case, template: &[i128]) -> Option<i32> {
    let trace = case.run();
    let embedding: Vec<i64> = trace.get(case.id("n0/output")).values().iter().map(|v| v as i64).collect();
    let template: Vec<i16> = template.iter().map(|&v| v as i16).collect();
    score::exact_score(&embedding, &template)
}

fn decision(stack: &Stack, template: &[i128], show: Option<i32>) -> Case {
    let half = 1i128 << (BITS - 1);
    let len = template.len();
    let mut case = stack.case(|p, embedding| {
        let id = p.input("template", (1, len), -half, half - 1).unwrap();
        p.range(p.whole(id), -half, BITS).unwrap();
        score::decide(p, embedding, embedding, id, THRESHOLD_ONE / 2).unwrap();
        if let Some(score) = show {
            score::reveal(p, embedding, id, score).unwrap();
        }
    });
    case.inputs.push(Arc::new(IntTable::new(1, len, IntVec::I128(template.to_vec()))));
    case
}

fn stacks() -> Vec<Stack> {
    [affine(), recurrent(), pooling(), transformers(), waveforms(), images(), graphs()].into_iter().flatten().collect()
}

/// [`Target::attack_every_tensor`] of every case: refused changes by the kind of table that they concern.
fn attack_every_tensor(cases: impl IntoIterator<Item = (String, Case)>) -> Tables {
    let mut tables = Tables::new();
    for (name, case) in cases {
        for (kind, refused) in Target::new(case).attack_every_tensor(&name) {
            *tables.entry(kind).or_default() += refused;
        }
    }
    tables
}

fn plain(stacks: Vec<Stack>) -> impl Iterator<Item = (String, Case)> {
    stacks.into_iter().map(|stack| (stack.name.to_owned(), stack.plain()))
}

#[test]
fn every_tensor_of_dense_layers_and_convolutions_changed_is_refused() {
    attack_every_tensor(plain(affine()));
}

/// Both parts of a number raised together leave their difference, and so the remainder, as they are.
#[test]
fn a_number_that_has_both_parts_is_refused() {
    for shift in [0, 2] {
        let mut p = ProgramBuilder::new(BITS).with_width_vars(6);
        let half = 1i128 << (BITS - 1);
        let x = p.input("x", (2, 3), -half, half - 1).unwrap();
        p.range(p.whole(x), -half, BITS).unwrap();
        let z = fixed::rectify_few(&mut p, "z", x, shift).unwrap();
        p.range(p.whole(z), 0, BITS).unwrap();
        let (program, recipes) = p.finish().unwrap();
        let inputs = vec![table(2, 3, &[-half, -9, -1, 0, 10, half - 1])];
        let target = Target::new(Case { program, recipes, inputs, constants: Vec::new() });
        for place in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            assert_eq!(target.attack_together(&["z", "z: negative part"], place), Refusal::PublicOutput, "{place:?}");
        }
    }
}

#[test]
fn every_tensor_of_recurrences_changed_is_refused() {
    let tables = attack_every_tensor(plain(recurrent()));
    for kind in ["range", "function", "three columns"] {
        assert!(tables.get(kind).is_some_and(|&refused| refused >= 2), "{kind}: {tables:?}");
    }
}

#[test]
fn every_tensor_of_pooling_changed_is_refused() {
    attack_every_tensor(plain(pooling()));
}

#[test]
fn every_tensor_of_norms_and_attention_changed_is_refused() {
    attack_every_tensor(plain(transformers()));
}

#[test]
fn every_tensor_of_waveforms_changed_is_refused() {
    attack_every_tensor(plain(waveforms()));
}

#[test]
fn every_tensor_of_images_changed_is_refused() {
    attack_every_tensor(plain(images()));
}

#[test]
fn every_tensor_of_graphs_changed_is_refused() {
    attack_every_tensor(plain(graphs()));
}

#[test]
fn every_tensor_of_decisions_changed_is_refused() {
    attack_every_tensor(decisions());
}

#[test]
#[ignore = "full tier: a proof for every way to change each tensor of every layer"]
fn every_tensor_of_every_layer_changed_in_every_way_is_refused() {
    let mut refused = Refused::new();
    for (name, case) in plain(stacks()).chain(decisions()) {
        println!("{name}");
        for (target, refusals) in Target::new(case).sweep(CHANGES, &PLACES) {
            refused.entry(target).or_default().extend(refusals);
        }
    }
    report(&refused);
    for wanted in ["input", "constant", "witness", "multiplicity", "linear", "contraction", "product"] {
        assert!(refused.keys().filter(|(kind, _)| *kind == wanted).count() >= 2, "{wanted}");
    }
}

/// What comes after the input leaves its tables, too: hints refuse, and zero may be out of a tensor's range.
#[test]
#[ignore = "full tier: every layer on an input far outside of its range"]
fn inputs_of_every_layer_out_of_range_are_refused() {
    for (name, case) in plain(stacks()) {
        let refusal = Target::new(case).attack(0, (0, 0), |v, _| v + (1 << 20));
        assert_eq!(refusal, Some(Refusal::RootNumerator), "{name}");
    }
}

/// The name of a layer's kind: a new one does not compile until it is here, and fails until it is in a stack.
fn kind(layer: &AnyLayer) -> &'static str {
    match layer {
        AnyLayer::Affine(layer) if layer.terms.iter().any(|term| term.operand == Operand::Ones) => "affine, with ones",
        AnyLayer::Affine(layer) if layer.terms.len() > 1 => "affine, of several inputs",
        AnyLayer::Affine(layer) => match layer.finish {
            Finish::Exact => "affine, exact",
            Finish::Requantize { .. } => "affine, requantised",
            Finish::Rectify { .. } => "affine, rectified",
            Finish::Activate { .. } => "affine, activated",
            Finish::Saturate { then: Clamped::Quotient { .. }, .. } => "affine, clamped",
            Finish::Saturate { then: Clamped::Rectified { .. }, .. } => "affine, clamped and rectified",
            Finish::Saturate { then: Clamped::Function(_), .. } => "affine, clamped and activated",
            Finish::Saturate { then: Clamped::Levels { .. }, .. } => "affine, clamped to levels",
        },
        AnyLayer::Lstm(layer) if layer.gates.saturate.is_some() => "lstm, saturating",
        AnyLayer::Lstm(_) => "lstm",
        AnyLayer::Gru(layer) if layer.linear_before_reset => "gru, linear before reset",
        AnyLayer::Gru(_) => "gru",
        AnyLayer::LstmFrom(_) => "lstm, from states",
        AnyLayer::GruFrom(_) => "gru, from a state",
        AnyLayer::MaxPool(_) => "max pool",
        AnyLayer::Row(layer) if layer.last => "last row",
        AnyLayer::Row(_) => "first row",
        AnyLayer::Mean(_) => "mean",
        AnyLayer::Deviation(_) => "deviation",
        AnyLayer::WeightedStats(_) => "weighted statistics",
        AnyLayer::Gate(_) => "gate",
        AnyLayer::Normalize(_) => "normalize",
        AnyLayer::Average(_) => "average",
        AnyLayer::ReluMaxPool(_) => "relu and max pool",
        AnyLayer::AveragePool(_) => "average pool",
        AnyLayer::LayerNorm(_) => "layer norm",
        AnyLayer::MultiHeadAttention(layer) if layer.mask.is_some() => "causal attention",
        AnyLayer::MultiHeadAttention(_) => "attention",
        AnyLayer::Emphasis(_) => "emphasis",
        AnyLayer::InstanceNorm(_) => "instance norm",
        AnyLayer::Framing(_) => "framing",
        AnyLayer::LogMagnitude(_) => "log magnitude",
        AnyLayer::Centre(_) => "centre",
        AnyLayer::Offset(_) => "offset",
        AnyLayer::TimeMaxPool(_) => "time max pool",
        AnyLayer::RoundedTimeMaxPool(_) => "rounded time max pool",
        AnyLayer::AtMost(_) => "at most",
        AnyLayer::GridMean(_) => "mean over an image's time",
        AnyLayer::GridDeviation(_) => "deviation over an image's time",
        AnyLayer::Rows(_) => "rows that move",
        AnyLayer::Unfold(_) => "columns as rows",
        AnyLayer::Join(_) => "rows side by side",
        AnyLayer::AddRows(_) => "rows added",
        AnyLayer::RowSoftmax(_) => "softmax of rows",
        AnyLayer::RowLogSoftmax(_) => "logarithm of a softmax of rows",
        AnyLayer::PaddedMaxPool(_) => "max pool with padding",
        AnyLayer::Hypot(_) => "magnitude",
        AnyLayer::Power(_) => "power of two parts",
        AnyLayer::LogEnergy(_) => "logarithm of energies",
        AnyLayer::TimeMax(_) => "maximum over time",
        AnyLayer::NormalizeSigned(_) => "unit length of signed values",
        AnyLayer::TimeSoftmax(_) => "softmax over time",
        AnyLayer::Sequences(_) => "sequences as one, and as several",
        AnyLayer::SegmentMean(_) => "means of runs of rows",
    }
}

#[test]
fn every_kind_of_layer_is_attacked() {
    let stacks = stacks();
    let found: BTreeSet<&str> =
        stacks.iter().flat_map(|stack| &stack.layers).map(|placed| kind(&placed.layer)).collect();
    let all = BTreeSet::from([
        "mean over an image's time",
        "deviation over an image's time",
        "rows that move",
        "columns as rows",
        "rows side by side",
        "rows added",
        "softmax of rows",
        "logarithm of a softmax of rows",
        "power of two parts",
        "logarithm of energies",
        "maximum over time",
        "unit length of signed values",
        "max pool with padding",
        "affine, exact",
        "affine, requantised",
        "affine, activated",
        "affine, clamped",
        "affine, clamped and rectified",
        "affine, clamped and activated",
        "affine, clamped to levels",
        "affine, rectified",
        "affine, of several inputs",
        "affine, with ones",
        "lstm, saturating",
        "lstm",
        "gru, linear before reset",
        "gru",
        "lstm, from states",
        "gru, from a state",
        "last row",
        "max pool",
        "first row",
        "mean",
        "deviation",
        "weighted statistics",
        "gate",
        "normalize",
        "average",
        "relu and max pool",
        "average pool",
        "layer norm",
        "causal attention",
        "attention",
        "emphasis",
        "instance norm",
        "framing",
        "log magnitude",
        "magnitude",
        "centre",
        "offset",
        "time max pool",
        "rounded time max pool",
        "at most",
        "softmax over time",
        "sequences as one, and as several",
        "means of runs of rows",
    ]);
    assert_eq!(found, all);
}
