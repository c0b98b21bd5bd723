//! Gadgets and layers against the formulas they stand for, on random shapes and extreme values.

use std::sync::Arc;

use proptest::prelude::*;

use super::affine::{Affine, Finish, Function, Operand, Taps, Term};
use super::fixed;
use super::gate::Gate;
use super::logarithm::{LogTables, logarithm};
use super::lowering::{self, AnyLayer, Layer, LayerRef, Placed, Value};
use super::matrix::FloatMatrix;
use super::network::{self, Network, Node, NodeRef, Op};
use super::pooling::Row;
use super::quantize::{Constants, Options, Ranges, quantize};
use super::score;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{Program, ProgramError, Relation, TensorId};
use crate::gkr::trace::{Trace, TraceError};
use crate::sumcheck::int::{IntTable, IntVec};

mod images;

fn table(rows: usize, cols: usize, values: Vec<i128>) -> Arc<IntTable> {
    Arc::new(IntTable::new(rows, cols, IntVec::I128(values)))
}

/// Runs a gadget on a ranged input of `bits` signed bits (8 or 16, or 32 as a square of 16); returns its output.
fn run(
    range_bits: usize,
    values: &[i128],
    gadget: impl Fn(&mut ProgramBuilder, TensorId) -> Result<TensorId, ProgramError>,
) -> Result<Vec<i128>, TraceError> {
    let mut p = ProgramBuilder::new(range_bits);
    let half = 1i128 << (range_bits - 1);
    let x = p.input("x", (1, values.len()), -half, half - 1).unwrap();
    p.range(p.whole(x), -half, range_bits).unwrap();
    let y = gadget(&mut p, x).unwrap();
    p.output(y);
    let (program, recipes) = p.finish().unwrap();
    let trace = Trace::run(&program, &recipes, &[table(1, values.len(), values.to_vec())], &[])?;
    trace.check(&program)?;
    Ok(trace.get(y).values().iter().collect())
}

/// Whether `y` can be the output of a gadget for input `x`, with all other witness values computed.
fn admits(
    x: i128,
    y: i128,
    gadget: impl Fn(&mut ProgramBuilder, TensorId, TensorId) -> Result<(), ProgramError>,
) -> bool {
    let mut p = ProgramBuilder::new(8);
    let input = p.input("x", (1, 1), -128, 127).unwrap();
    p.range(p.whole(input), -128, 8).unwrap();
    let output = p.input("y", (1, 1), -128, 127).unwrap();
    p.range(p.whole(output), -128, 8).unwrap();
    gadget(&mut p, input, output).unwrap();
    let (program, recipes) = p.finish().unwrap();
    Trace::run(&program, &recipes, &[table(1, 1, vec![x]), table(1, 1, vec![y])], &[]).is_ok()
}

#[test]
fn a_quotient_is_unique_for_every_byte() {
    for shift in [1, 3, 7] {
        for x in -128..128i128 {
            let expected = (x + (1 << (shift - 1))) >> shift;
            let found: Vec<i128> =
                (-128..128).filter(|&y| admits(x, y, |p, x, y| fixed::pin_quotient(p, "q", x, y, shift))).collect();
            assert_eq!(found, [expected], "{x} >> {shift}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn requantising_rounds_to_nearest(
        values in prop::collection::vec(-128i128..128, 1..9), shift in 0usize..20, up in 0u32..40, wide: bool,
    ) {
        // x·2^up has remainders of every size, and quotients beyond one limb.
        let range_bits = if wide { 16 } else { 8 };
        let values: Vec<i128> = values.into_iter().chain([-128, 127, 0]).collect();
        let out = run(range_bits, &values, |p, x| {
            let x = p.linear("scaled", vec![(1 << up, p.whole(x))], 5)?;
            fixed::requantize(p, "y", x, shift, 50)
        });
        let half = if shift == 0 { 0 } else { 1i128 << (shift - 1) };
        let expected: Vec<i128> = values.iter().map(|v| ((v << up) + 5 + half) >> shift).collect();
        prop_assert_eq!(out, Ok(expected));
    }

    #[test]
    fn roots_quotients_signs_and_maxima_are_exact(values in prop::collection::vec(-128i128..128, 1..9), up in 0u32..30) {
        let values: Vec<i128> = values.into_iter().chain([-128, 127, 0, 1]).collect();
        let root = run(8, &values, |p, x| {
            let square = p.product("square", p.whole(x), p.whole(x))?;
            let radicand = p.linear("radicand", vec![((1 << up) + 1, p.whole(square))], 0)?;
            fixed::sqrt(p, "root", radicand, 24)
        });
        let expected = values.iter().map(|v| ((v * v * ((1 << up) + 1)) as u128).isqrt() as i128).collect();
        prop_assert_eq!(root, Ok(expected));
        let sign = run(8, &values, |p, x| fixed::is_positive(p, "sign", x, 8));
        prop_assert_eq!(sign, Ok(values.iter().map(|&v| i128::from(v > 0)).collect()));
        let most = run(8, &values, |p, x| {
            let other = p.linear("other", vec![(-3, p.whole(x))], 7)?;
            fixed::maximum(p, "max", x, other, 11)
        });
        prop_assert_eq!(most, Ok(values.iter().map(|&v| v.max(7 - 3 * v)).collect()));
    }

    #[test]
    fn logarithms_are_close_and_monotone(exponents in prop::collection::vec(0u32..60, 1..6), mantissa in 1i128..128) {
        let tables = LogTables::new(70, 58, 12, 20, 12);
        for exponent in exponents {
            let out = run(16, &[mantissa], |p, x| {
                let x = p.linear("x", vec![(1 << exponent, p.whole(x))], 1 << 12)?;
                logarithm(p, "ln", x, &tables)
            });
            let x = (mantissa << exponent) + (1 << 12);
            let exact = ((x as f64).ln() - 20.0 * std::f64::consts::LN_2) * 4096.0;
            let found = out.unwrap()[0] as f64;
            prop_assert!((found - exact).abs() < 2.0, "ln {x}: {found} instead of {exact}");
        }
    }
}

#[test]
fn division_is_exact_and_fails_closed_at_zero() {
    let divide = |a: i128, b: i128| {
        run(16, &[a, b], |p, x| {
            let (first, second) = (p.whole(x).cols(0, 1), p.whole(x).cols(1, 1));
            let a = p.linear("a", vec![(1 << 10, first)], 0)?;
            let b = p.linear("b", vec![(1, second)], 0)?;
            fixed::divide(p, "quotient", a, b, 26, 16)
        })
    };
    for (a, b) in [(0, 1), (1, 1), (32767, 1), (32767, 32767), (5, 7), (12345, 678)] {
        assert_eq!(divide(a, b), Ok(vec![(a << 10) / b]), "{a} / {b}");
    }
    assert!(divide(5, 0).is_err());
    assert!(divide(0, 0).is_err());
}

#[test]
fn saturating_activations_clamp_far_arguments() {
    let function = Function::tabulate("sigmoid", 8, 4, 6, |x| 1.0 / (1.0 + (-x).exp())).table();
    let values: Vec<i128> = vec![-32768, -4000, -100, -1, 0, 1, 100, 4000, 32767];
    let out = run(16, &values, |p, x| fixed::activate_saturating(p, "z", x, 2, (4, 11), &function)).unwrap();
    for (x, z) in values.iter().zip(out) {
        let exact = 64.0 / (1.0 + (-(*x as f64) / 64.0).exp());
        assert!((z as f64 - exact).abs() < 1.5, "σ({x}/64): {z} instead of {exact}");
    }
    // Without saturation the far ones cannot be proved.
    assert!(run(16, &values, |p, x| fixed::activate(p, "z", x, 2, &function)).is_err());
}

/// The decision on small vectors, in and out of the program.
fn decision(e: &[i128], t: &[i128], tau: u32) -> Result<i128, TraceError> {
    let mut p = ProgramBuilder::new(8);
    let ids = [("e", e), ("t", t)].map(|(name, v)| {
        let id = p.input(name, (1, v.len()), -128, 127).unwrap();
        p.range(p.whole(id), -128, 8).unwrap();
        id
    });
    let accept = score::close(&mut p, ids[0], ids[1], tau).unwrap();
    p.output(accept);
    let (program, recipes) = p.finish().unwrap();
    let trace = Trace::run(&program, &recipes, &[table(1, e.len(), e.to_vec()), table(1, t.len(), t.to_vec())], &[])?;
    trace.check(&program)?;
    Ok(trace.get(accept).get(0, 0))
}

#[test]
fn the_decision_has_sign_zero_and_boundary_right() {
    let one = score::THRESHOLD_ONE;
    assert_eq!(decision(&[3, 4], &[3, 4], one), Ok(1), "cosine 1 reaches 1");
    assert_eq!(decision(&[3, 4], &[3, 5], one), Ok(0));
    assert_eq!(decision(&[3, 4], &[-3, -4], 1), Ok(0), "squares lose the sign");
    assert_eq!(decision(&[0, 0], &[3, 4], 1), Ok(0), "a zero embedding");
    assert_eq!(decision(&[3, 4], &[0, 0], 1), Ok(0), "a zero template");
    assert_eq!(decision(&[1, 0], &[0, 1], 1), Ok(0), "orthogonal");
    // cos = 3/5 = τ/D exactly is not a multiple of 2^-15; 1/2 is: (1, 1, 1, 1)·(1, 0, 0, 0).
    assert_eq!(decision(&[1, 1, 1, 1], &[1, 0, 0, 0], one / 2), Ok(1), "equality accepts");
    assert_eq!(decision(&[1, 1, 1, 1], &[1, 0, 0, 0], one / 2 + 1), Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn decisions_and_scores_agree_with_exact_arithmetic(
        e in prop::collection::vec(-128i128..128, 3), t in prop::collection::vec(-128i16..128, 3), tau in 1u32..=1 << 15,
    ) {
        let wide: Vec<i128> = t.iter().map(|&v| i128::from(v)).collect();
        let narrow: Vec<i64> = e.iter().map(|&v| v as i64).collect();
        let x: i128 = e.iter().zip(&wide).map(|(a, b)| a * b).sum();
        let norms: i128 = e.iter().map(|a| a * a).sum::<i128>() * wide.iter().map(|a| a * a).sum::<i128>();
        let expected = x > 0 && (x * x) << 30 >= i128::from(tau) * i128::from(tau) * norms;
        prop_assert_eq!(decision(&e, &wide, tau), Ok(i128::from(expected)));
        if let Some(score) = score::exact_score(&narrow, &t) {
            let cos = x as f64 / (norms as f64).sqrt() * 32768.0;
            prop_assert!(f64::from(score) <= cos + 1e-6 && cos < f64::from(score) + 1.0 + 1e-6);
            for (claimed, holds) in [(score, true), (score - 1, false), (score + 1, false)] {
                let mut p = ProgramBuilder::new(8);
                let ids = [("e", 3), ("t", 3)].map(|(name, n)| {
                    let id = p.input(name, (1, n), -128, 127).unwrap();
                    p.range(p.whole(id), -128, 8).unwrap();
                    id
                });
                score::reveal(&mut p, ids[0], ids[1], claimed).unwrap();
                let (program, recipes) = p.finish().unwrap();
                let run = Trace::run(&program, &recipes, &[table(1, 3, e.clone()), table(1, 3, wide.clone())], &[]);
                // A range that does not hold shows as a limb outside of its table.
                prop_assert_eq!(run.is_ok(), holds, "{} of {}", claimed, score);
            }
        }
    }
}

/// Quantizes a chain of operations, and compares.
fn close_to_float(nodes: Vec<Op>, rows: usize, cols: usize, sequences: usize, tolerance: f64) {
    let nodes: Vec<Node> = nodes
        .into_iter()
        .enumerate()
        .map(|(i, op)| {
            let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
            Node { name: format!("n{i}"), op, inputs }
        })
        .collect();
    graph_is_close_to_float(&Network::new(cols, nodes), rows, sequences, tolerance);
}

/// Quantizes a network, runs the program, and compares; returns the lookup leaves.
fn graph_is_close_to_float(network: &Network, rows: usize, sequences: usize, tolerance: f64) -> usize {
    let cols = network.input_columns;
    let input = FloatMatrix::from_fn(rows * sequences, cols, |r, c| ((r * 31 + c * 17 + 5) as f64 * 0.7).sin());
    let rounded = FloatMatrix::from_fn(input.rows, input.cols, |r, c| (input.row(r)[c] * 4096.0).round() / 4096.0);
    let outputs = network.execute(&rounded, rows).unwrap();
    let mut ranges = Ranges::default();
    ranges.observe(network, &rounded, &outputs, rows);
    let mut constants = Constants::default();
    let options = Options::uniform(14);
    let layers = quantize(network, &ranges, 12, options, &mut constants).unwrap();

    let mut p = ProgramBuilder::new(16);
    let x = p.input("x", (rows * sequences, cols), -32768, 32767).unwrap();
    p.range(p.whole(x), -32768, 16).unwrap();
    let value = lowering::lower(&mut p, &layers, Value { tensor: x, sequences }).unwrap();
    p.output(value.tensor);
    let (program, recipes) = p.finish().unwrap();
    let integers = rounded.data.iter().map(|v| (v * 4096.0) as i128).collect();
    let constants: Vec<_> = constants.into_tables().into_iter().map(Arc::new).collect();
    let trace = Trace::run(&program, &recipes, &[table(rows * sequences, cols, integers)], &constants).unwrap();
    trace.check(&program).unwrap();
    let unit = f64::from(-layers.last().unwrap().layer.as_layer().fraction_bits()).exp2();
    let found: Vec<f64> = trace.get(value.tensor).values().iter().map(|v| v as f64 * unit).collect();
    let exact = &outputs.last().unwrap().data;
    assert_eq!(found.len(), exact.len());
    for (i, (a, b)) in found.iter().zip(exact).enumerate() {
        assert!((a - b).abs() < tolerance, "entry {i}: {a} instead of {b}");
    }
    program.relations().iter().map(|relation| leaves(&program, relation)).sum()
}

fn leaves(program: &Program, relation: &Relation) -> usize {
    let Relation::Lookup(lookup) = relation else { return 0 };
    let (rows, cols) = program.view_shape(&lookup.columns[0].view);
    rows * cols
}

fn weights(rows: usize, cols: usize, seed: usize) -> FloatMatrix {
    FloatMatrix::from_fn(rows, cols, |r, c| ((r * 13 + c * 7 + seed) as f64 * 1.3).sin() / (rows as f64).sqrt())
}

fn bias(len: usize) -> Vec<f64> {
    (0..len).map(|i| (i as f64 * 0.9).cos() * 0.2).collect()
}

#[test]
fn recurrent_layers_are_close_to_float() {
    for (input, hidden, rows, sequences) in [(3, 4, 5, 1), (1, 1, 1, 2), (5, 3, 7, 3), (8, 8, 4, 2)] {
        let lstm = network::Lstm {
            input,
            hidden,
            w_input: weights(input, 4 * hidden, 1),
            w_hidden: weights(hidden, 4 * hidden, 2),
            bias: bias(4 * hidden),
            initial: None,
            carried: false,
        };
        let state = |seed: f64| (0..hidden).map(|i| (i as f64 + seed).sin()).collect::<Vec<_>>();
        let from = network::Lstm { initial: Some([state(0.5), state(1.5)]), ..lstm.clone() };
        close_to_float(vec![Op::Lstm(from)], rows, input, sequences, 3e-3);
        close_to_float(vec![Op::Lstm(lstm.clone())], rows, input, sequences, 3e-3);
        let carried = network::Lstm { carried: true, ..lstm.clone() };
        close_to_float(vec![Op::Lstm(carried), Op::LastRow], rows, input, sequences, 3e-3);
        close_to_float(vec![Op::Lstm(lstm), Op::LastRow], rows, input, sequences, 3e-3);
        for linear_before_reset in [false, true] {
            let gru = network::Gru {
                input,
                hidden,
                w_input: weights(input, 3 * hidden, 3),
                w_hidden: weights(hidden, 3 * hidden, 4),
                bias_input: bias(3 * hidden),
                bias_hidden: bias(3 * hidden),
                linear_before_reset,
                initial: None,
                carried: false,
            };
            let from = network::Gru { initial: Some(state(2.5)), ..gru.clone() };
            let carried = network::Gru { carried: true, ..from.clone() };
            close_to_float(vec![Op::Gru(carried)], rows, input, sequences, 3e-3);
            close_to_float(vec![Op::Gru(from)], rows, input, sequences, 3e-3);
            close_to_float(vec![Op::Gru(gru)], rows, input, sequences, 3e-3);
        }
    }
}

#[test]
fn convolutions_pooling_and_batch_norm_are_close_to_float() {
    for (cin, cout, kernel, stride, dilation, pad) in
        [(3, 5, 3, 1, 2, 0), (1, 1, 1, 1, 1, 0), (4, 7, 5, 2, 1, 2), (2, 8, 2, 3, 1, 1)]
    {
        let conv = network::Conv1d {
            weight: weights(kernel * cin, cout, 5).data,
            kernel,
            in_channels: cin,
            out_channels: cout,
            bias: bias(cout),
            stride,
            dilation,
            pad_left: pad,
            pad_right: pad,
        };
        let affine = Op::Affine { scale: (0..cout).map(|c| 1.5 - c as f64 * 0.4).collect(), shift: bias(cout) };
        let dense = |rows: usize| Op::Dense { weight: weights(rows, 3, 6), bias: bias(3) };
        let conv = Op::Conv1d(conv);
        close_to_float(vec![conv.clone()], 9, cin, 1, 5e-3);
        close_to_float(vec![conv.clone(), affine.clone(), Op::Relu], 9, cin, 1, 5e-3);
        close_to_float(vec![conv.clone(), Op::Sigmoid], 9, cin, 1, 5e-3);
        close_to_float(vec![conv.clone(), Op::Relu, affine.clone(), dense(cout), Op::Tanh], 9, cin, 1, 1e-2);
        let pool = Op::StatsPool { min_variance: 1e-5 };
        close_to_float(vec![conv.clone(), Op::Relu, affine.clone(), pool, dense(2 * cout)], 13, cin, 1, 3e-2);
        close_to_float(vec![conv, Op::Relu, affine, Op::MeanPool, dense(cout)], 13, cin, 1, 1e-2);
    }
}

#[test]
fn images_are_close_to_float() {
    let conv = network::Conv2d {
        image: [5, 6],
        weight: weights(3 * 2 * 2, 3, 7).data,
        kernel: [3, 2],
        in_channels: 2,
        out_channels: 3,
        bias: bias(3),
        stride: [1, 2],
        dilation: [1; 2],
        padding: [1, 0, 1, 0],
    };
    let pool = network::MaxPool2d { image: [5, 3], kernel: [2, 2], stride: [2, 1], padding: [0; 4] };
    let dense = Op::Dense { weight: weights(2 * 2 * 3, 4, 8), bias: bias(4) };
    close_to_float(vec![Op::Conv2d(conv), Op::Relu, Op::MaxPool2d(pool), Op::Flatten, dense], 30, 2, 1, 1e-2);
}

/// A network under construction.
struct Graph {
    network: Network,
}

impl Graph {
    fn new(input_columns: usize) -> Self {
        Self { network: Network::new(input_columns, Vec::new()) }
    }

    fn add(&mut self, op: Op, inputs: &[NodeRef]) -> NodeRef {
        let name = format!("n{}", self.network.nodes.len());
        self.network.nodes.push(Node { name, op, inputs: inputs.to_vec() });
        NodeRef::Node(self.network.nodes.len() - 1)
    }

    /// A convolution of `kernel` taps with zeros around, ReLU, batch normalisation.
    fn conv_relu_norm(&mut self, x: NodeRef, [cin, cout]: [usize; 2], kernel: usize, dilation: usize) -> NodeRef {
        let pad = dilation * (kernel - 1) / 2;
        let conv = self.add(
            Op::Conv1d(network::Conv1d {
                weight: weights(kernel * cin, cout, self.network.nodes.len()).data,
                kernel,
                in_channels: cin,
                out_channels: cout,
                bias: bias(cout),
                stride: 1,
                dilation,
                pad_left: pad,
                pad_right: pad,
            }),
            &[x],
        );
        let relu = self.add(Op::Relu, &[conv]);
        let scale = (0..cout).map(|c| 1.5 - c as f64 * 0.4).collect();
        self.add(Op::Affine { scale, shift: bias(cout) }, &[relu])
    }

    fn dense(&mut self, x: NodeRef, [rows, cols]: [usize; 2]) -> NodeRef {
        self.add(Op::Dense { weight: weights(rows, cols, self.network.nodes.len()), bias: bias(cols) }, &[x])
    }

    /// Gates from the mean over time.
    fn squeeze_excite(&mut self, x: NodeRef, columns: usize) -> NodeRef {
        let mean = self.add(Op::MeanPool, &[x]);
        let down = self.dense(mean, [columns, 2]);
        let down = self.add(Op::Relu, &[down]);
        let up = self.dense(down, [2, columns]);
        let gate = self.add(Op::Sigmoid, &[up]);
        self.add(Op::Multiply, &[x, gate])
    }
}

#[test]
fn a_shift_before_zero_padding_ends_where_the_input_does() {
    for (rows, kernel, dilation, sequences) in [(1, 3, 1, 1), (2, 3, 2, 2), (7, 5, 1, 1), (9, 3, 3, 3)] {
        let mut graph = Graph::new(3);
        let x = graph.conv_relu_norm(NodeRef::Input, [3, 5], 1, 1);
        let y = graph.conv_relu_norm(x, [5, 4], kernel, dilation);
        graph.dense(y, [4, 3]);
        graph_is_close_to_float(&graph.network, rows, sequences, 1e-2);
    }
}

#[test]
fn sums_splits_and_concatenations_cost_no_leaf() {
    let mut leaves = Vec::new();
    for joined in [false, true] {
        let mut graph = Graph::new(3);
        let x = graph.conv_relu_norm(NodeRef::Input, [3, 6], 3, 1);
        let y = graph.conv_relu_norm(x, [6, 6], 3, 2);
        let mut z = y;
        if joined {
            let [low, high] = [0, 3].map(|first| graph.add(Op::Slice { first, columns: 3 }, &[y]));
            let swapped = graph.add(Op::Concat, &[high, low]);
            z = graph.add(Op::Add, &[x, swapped, x]);
        }
        graph.dense(z, [6, 5]);
        leaves.push(graph_is_close_to_float(&graph.network, 7, 1, 2e-2));
    }
    assert_eq!(leaves[0], leaves[1]);
}

#[test]
fn residual_squeeze_excitation_blocks_are_close_to_float() {
    for rows in [1, 5, 8] {
        let mut graph = Graph::new(3);
        let x = graph.conv_relu_norm(NodeRef::Input, [3, 6], 3, 1);
        let pre = graph.conv_relu_norm(x, [6, 6], 1, 1);
        let chunks = [0, 2, 4].map(|first| graph.add(Op::Slice { first, columns: 2 }, &[pre]));
        let second = graph.conv_relu_norm(chunks[1], [2, 2], 3, 2);
        let sum = graph.add(Op::Add, &[chunks[2], second]);
        let third = graph.conv_relu_norm(sum, [2, 2], 3, 2);
        let res2 = graph.add(Op::Concat, &[chunks[0], second, third]);
        let post = graph.conv_relu_norm(res2, [6, 6], 1, 1);
        let gated = graph.squeeze_excite(post, 6);
        let out = graph.add(Op::Add, &[x, gated]);
        let twice = graph.add(Op::Add, &[x, out]);
        let all = graph.add(Op::Concat, &[out, twice]);
        let y = graph.dense(all, [12, 4]);
        graph.add(Op::Relu, &[y]);
        graph_is_close_to_float(&graph.network, rows, 1, 2e-2);
    }
}

/// A convolution of one column, without padding.
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

#[test]
fn networks_on_samples_are_close_to_float() {
    for (rows, kernel, stride, columns) in [(60, 11, 4, 5), (47, 7, 7, 3), (90, 24, 5, 8), (33, 5, 1, 2)] {
        let mut graph = Graph::new(1);
        let mut x = NodeRef::Input;
        for op in [
            Op::MirrorPad,
            filters(2, 1, 1, vec![-0.97, 1.0]),
            Op::InstanceNorm { epsilon: 1e-4 },
            filters(kernel, stride, columns, weights(kernel, columns, 3).data),
            Op::Abs,
            Op::Affine { scale: vec![1.0; columns], shift: vec![1e-6; columns] },
            Op::Log,
            Op::SubtractMean,
        ] {
            x = graph.add(op, &[x]);
        }
        graph_is_close_to_float(&graph.network, rows, 1, 2e-2);
        let pre = graph.conv_relu_norm(x, [columns, 6], 3, 2);
        let residual = graph.dense(x, [columns, 6]);
        let sum = graph.add(Op::Add, &[pre, residual]);
        let pooled = graph.add(Op::MaxPool1d { kernel: 3, stride: 2 }, &[sum]);
        let mean = graph.add(Op::MeanPool, &[pooled]);
        let gate = graph.dense(mean, [6, 6]);
        let gate = graph.add(Op::Sigmoid, &[gate]);
        let raised = graph.add(Op::Affine { scale: vec![1.0; 6], shift: bias(6) }, &[pooled]);
        let scaled = graph.add(Op::Multiply, &[raised, gate]);
        let again = graph.add(Op::MaxPool1d { kernel: 2, stride: 1 }, &[scaled]);
        graph.dense(again, [6, 3]);
        graph_is_close_to_float(&graph.network, rows, 1, 6e-2);
    }
}

#[test]
fn limits_hold_where_values_may_pass_them() {
    for limit in [-0.3, 0.0, 0.21, 1e3] {
        let dense = Op::Dense { weight: weights(3, 2, 1), bias: bias(2) };
        close_to_float(vec![dense, Op::AtMost { limit }], 7, 3, 1, 5e-3);
    }
}

#[test]
fn what_networks_on_samples_do_elsewhere_is_refused() {
    let floor = |x: f64| Op::Affine { scale: vec![1.0], shift: vec![x] };
    for (ops, accepted) in [
        (vec![Op::MirrorPad, Op::Relu], false),
        (vec![Op::MirrorPad, filters(3, 1, 1, vec![1.0; 3])], false),
        (vec![Op::MirrorPad, filters(2, 2, 1, vec![1.0; 2])], false),
        (vec![Op::MirrorPad, filters(2, 1, 1, vec![1.0; 2])], true),
        (vec![Op::Log], false),
        (vec![Op::Abs], true),
        (vec![Op::Abs, Op::Log], false),
        (vec![Op::Abs, floor(1e-12), Op::Log], false),
        (vec![Op::Abs, floor(1e-3), Op::Log], true),
        (vec![Op::InstanceNorm { epsilon: 1e-30 }], false),
        (vec![Op::MaxPool1d { kernel: 17, stride: 1 }], false),
    ] {
        let mut graph = Graph::new(1);
        ops.iter().fold(NodeRef::Input, |x, op| graph.add(op.clone(), &[x]));
        let count = graph.network.nodes.len();
        let ranges = Ranges { input: 1.0, outputs: vec![1.0; count], gates: vec![0.0; count], ..Ranges::default() };
        let options = Options::uniform(12);
        let result = quantize(&graph.network, &ranges, 12, options, &mut Constants::default());
        assert_eq!(result.is_ok(), accepted, "{ops:?}: {result:?}");
        assert!(accepted || matches!(result, Err(ModelError::NoIntegerForm { .. })), "{ops:?}");
    }
}

#[test]
fn attentive_pooling_is_close_to_float() {
    for (rows, split) in [(1, false), (7, false), (13, true)] {
        let mut graph = Graph::new(3);
        let x = graph.conv_relu_norm(NodeRef::Input, [3, 5], 3, 1);
        let stats = graph.add(Op::StatsPool { min_variance: 1e-3 }, &[x]);
        let hidden = if split {
            // The context is added once per recording.
            let frame = graph.dense(x, [5, 4]);
            let context = graph.dense(stats, [10, 4]);
            graph.add(Op::Add, &[frame, context])
        } else {
            let all = graph.add(Op::Concat, &[x, stats]);
            graph.dense(all, [15, 4])
        };
        let hidden = graph.add(Op::Tanh, &[hidden]);
        let scores = graph.dense(hidden, [4, 5]);
        let pool = graph.add(Op::AttentiveStatsPool { min_variance: 1e-3 }, &[x, scores]);
        let norm = graph.add(Op::Affine { scale: vec![0.7; 10], shift: vec![0.1; 10] }, &[pool]);
        graph.dense(norm, [10, 3]);
        graph_is_close_to_float(&graph.network, rows, 1, 3e-2);
    }
}

#[test]
fn functions_of_values_that_no_layer_computes_are_close_to_float() {
    let mut graph = Graph::new(4);
    let x = graph.dense(NodeRef::Input, [4, 6]);
    let x = graph.add(Op::Tanh, &[x]);
    let slice = graph.add(Op::Slice { first: 1, columns: 3 }, &[x]);
    let relu = graph.add(Op::Relu, &[slice]);
    let norm = graph.add(Op::Affine { scale: vec![2.0, -1.0, 0.5], shift: vec![0.5; 3] }, &[relu]);
    let product = graph.add(Op::Multiply, &[norm, slice]);
    let last = graph.add(Op::LastRow, &[product]);
    let mean = graph.add(Op::MeanPool, &[product]);
    let both = graph.add(Op::Add, &[last, mean]);
    graph.add(Op::Affine { scale: vec![3.0; 3], shift: vec![-0.2; 3] }, &[both]);
    graph_is_close_to_float(&graph.network, 5, 1, 2e-2);
}

#[test]
fn settings_from_a_file_that_no_importer_writes_are_refused() {
    let tables = LogTables::new(70, 58, 12, 20, 12);
    for broken in [
        LogTables { top: 5, ..tables.clone() },
        LogTables { mantissa_bits: 60, ..tables.clone() },
        LogTables { shifts: vec![0; 80], ..tables.clone() },
        LogTables { shifts: Vec::new(), ..tables.clone() },
        LogTables { logs: vec![0; 3], ..tables.clone() },
    ] {
        let mut p = ProgramBuilder::new(16);
        let x = p.input("x", (1, 1), 0, 65535).unwrap();
        assert!(logarithm(&mut p, "ln", x, &broken).is_err());
    }
    let mut p = ProgramBuilder::new(16);
    let x = p.input("x", (1, 1), 0, 65535).unwrap();
    for bits in [200, usize::MAX / 2] {
        assert!(fixed::requantize(&mut p, "y", x, bits, 8).is_err());
        assert!(fixed::requantize(&mut p, "y", x, 8, bits).is_err());
        assert!(fixed::range(&mut p, "y", x, bits).is_err());
    }
    let taps = Taps::Time { kernel: u32::MAX, stride: 1, dilation: u32::MAX, pad_left: u32::MAX, pad_right: 0 };
    assert!(taps.row_map("conv", 1, 10).is_err());
}

/// A dense layer on input `input`, one column to one.
fn dense_layer(constants: &mut Constants, operand: Operand) -> Affine {
    let one = FloatMatrix::new(1, 1, vec![1.0]);
    let (weight, bias) = (constants.add(&one, 0), constants.add(&one, 0));
    let terms = vec![Term { operand, taps: Taps::Same, weight, shift: 0 }];
    Affine { name: "dense".into(), terms, bias, finish: Finish::Exact, fraction_bits: 0 }
}

#[test]
fn layers_of_a_file_that_refer_to_what_is_not_there_are_refused() {
    let mut constants = Constants::default();
    let mut lower = |operand: Operand, inputs: Vec<LayerRef>| {
        let layer = AnyLayer::Affine(dense_layer(&mut constants, operand));
        let mut p = ProgramBuilder::new(8);
        let x = p.input("x", (3, 1), -128, 127).unwrap();
        lowering::lower(&mut p, &[Placed { layer, inputs }], Value { tensor: x, sequences: 1 }).map(|_| ())
    };
    assert!(lower(Operand::Input(0), vec![LayerRef::Input]).is_ok());
    for (operand, inputs) in [
        (Operand::Input(0), vec![LayerRef::Layer(0)]),
        (Operand::Input(0), vec![LayerRef::Layer(u32::MAX)]),
        (Operand::Input(1), vec![LayerRef::Input]),
        (Operand::Input(0), vec![]),
        (Operand::Ones, vec![]),
        (Operand::Columns { input: 0, first: 0, columns: 2 }, vec![LayerRef::Input]),
        (Operand::Columns { input: 0, first: u32::MAX, columns: u32::MAX }, vec![LayerRef::Input]),
        (Operand::Columns { input: 0, first: 0, columns: 0 }, vec![LayerRef::Input]),
    ] {
        let error = lower(operand, inputs.clone()).unwrap_err();
        assert!(matches!(error, ModelError::Shape { .. } | ModelError::Program(_)), "{operand:?} {inputs:?}: {error}");
    }
    // As many inputs as a layer takes, and equally many sequences.
    let mut p = ProgramBuilder::new(8);
    let [x, y] = [3, 1].map(|rows| p.input("x", (rows, 1), -128, 127).unwrap());
    let values = [Value { tensor: x, sequences: 1 }, Value { tensor: y, sequences: 1 }];
    let row = Row { name: "row".into(), last: true, fraction_bits: 0 };
    assert!(row.lower(&mut p, &values).is_err() && row.lower(&mut p, &[]).is_err());
    let gate = Gate { name: "gate".into(), finish: Finish::Exact, fraction_bits: 0 };
    assert!(gate.lower(&mut p, &values).is_ok() && gate.lower(&mut p, &values[..1]).is_err());
    let apart = [values[0], Value { sequences: 3, ..values[0] }];
    assert!(gate.lower(&mut p, &apart).is_err());
    assert!(dense_layer(&mut constants, Operand::Input(0)).lower(&mut p, &apart).is_err());
}

#[test]
fn a_layer_that_gets_too_few_rows_says_so() {
    let mut constants = Constants::default();
    let weight = constants.add(&weights(3 * 4, 2, 1), 8);
    let bias = constants.add(&FloatMatrix::new(1, 2, bias(2)), 8);
    let taps = Taps::Time { kernel: 3, stride: 1, dilation: 2, pad_left: 0, pad_right: 0 };
    let terms = vec![Term { operand: Operand::Input(0), taps, weight, shift: 0 }];
    let layer = Affine { name: "tdnn".into(), terms, bias, finish: Finish::Exact, fraction_bits: 8 };
    let mut p = ProgramBuilder::new(8);
    let x = p.input("x", (4, 4), -128, 127).unwrap();
    let error = layer.lower(&mut p, &[Value { tensor: x, sequences: 1 }]).unwrap_err();
    assert!(error.to_string().contains("tdnn"), "{error}");
}
