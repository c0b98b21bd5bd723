use super::*;
use proptest::prelude::*;

/// A network of one layer.
fn single(columns: usize, op: Op) -> Network {
    let node = Node { name: "layer".into(), op, inputs: vec![NodeRef::Input] };
    Network::new(columns, vec![node])
}

fn run(op: Op, input: &FloatMatrix, sequence_length: usize) -> FloatMatrix {
    single(input.cols, op).execute(input, sequence_length).unwrap().pop().unwrap()
}

fn matrix(cols: usize, data: &[f64]) -> FloatMatrix {
    FloatMatrix::new(data.len() / cols, cols, data.to_vec())
}

/// Small integers: sums are exact in any order.
fn values(count: usize, seed: u64) -> Vec<f64> {
    let mix = |i: u64| (i + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59;
    (0..count as u64).map(|i| mix(i) as f64 - 16.0).collect()
}

fn small(count: usize, seed: u64) -> Vec<f64> {
    values(count, seed).into_iter().map(|x| x / 16.0).collect()
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

#[test]
fn row_operations_by_hand() {
    let x = matrix(2, &[1.0, -2.0, 3.0, 4.0]);
    let dense = Op::Dense { weight: matrix(1, &[10.0, 1.0]), bias: vec![0.5] };
    assert_eq!(run(dense, &x, 1).data, [8.5, 34.5]);
    let affine = Op::Affine { scale: vec![2.0, -1.0], shift: vec![1.0, 0.0] };
    assert_eq!(run(affine, &x, 2).data, [3.0, 2.0, 7.0, -4.0]);
    assert_eq!(run(Op::Relu, &x, 2).data, [1.0, 0.0, 3.0, 4.0]);
    assert!(close(run(Op::L2Normalize, &x, 2).row(1), &[0.6, 0.8]));
    assert_eq!(run(Op::L2Normalize, &matrix(2, &[0.0, 0.0]), 1).data, [0.0, 0.0]);
    assert_eq!(run(Op::Sigmoid, &matrix(1, &[0.0]), 1).data, [0.5]);
    assert_eq!(run(Op::Tanh, &matrix(1, &[0.0]), 1).data, [0.0]);
}

#[test]
fn pooling_by_hand_keeps_sequences_apart() {
    // Two sequences of two rows.
    let x = matrix(2, &[1.0, 0.0, 3.0, 0.0, 10.0, 1.0, 10.0, 5.0]);
    assert_eq!(run(Op::MeanPool, &x, 2), matrix(2, &[2.0, 0.0, 10.0, 3.0]));
    assert_eq!(run(Op::LastRow, &x, 2), matrix(2, &[3.0, 0.0, 10.0, 5.0]));
    let stats = run(Op::StatsPool { min_variance: 0.25 }, &x, 2);
    assert_eq!(stats, matrix(4, &[2.0, 0.0, 1.0, 0.5, 10.0, 3.0, 0.5, 2.0]));
    assert_eq!((run(Op::Flatten, &x, 2).rows, run(Op::Flatten, &x, 2).cols), (2, 4));
}

/// The output of the last node, whose inputs are given.
fn run_on(ops: Vec<(Op, Vec<NodeRef>)>, input: &FloatMatrix, length: usize) -> Result<FloatMatrix, ModelError> {
    let node = |(op, inputs)| Node { name: "layer".into(), op, inputs };
    let network = Network::new(input.cols, ops.into_iter().map(node).collect());
    Ok(network.execute(input, length)?.pop().unwrap())
}

#[test]
fn operations_of_several_inputs_by_hand() {
    use NodeRef::{Input, Node};
    // Two sequences of two rows.
    let x = matrix(2, &[1.0, 0.0, 3.0, 2.0, 10.0, 1.0, 12.0, 5.0]);
    let mean = || (Op::MeanPool, vec![Input]);
    let sum = run_on(vec![mean(), (Op::Add, vec![Input, Node(0), Input])], &x, 2).unwrap();
    assert_eq!(sum.data, [4.0, 1.0, 8.0, 5.0, 31.0, 5.0, 35.0, 13.0]);
    let product = run_on(vec![mean(), (Op::Multiply, vec![Node(0), Input])], &x, 2).unwrap();
    assert_eq!(product.data, [2.0, 0.0, 6.0, 2.0, 110.0, 3.0, 132.0, 15.0]);
    let concat = vec![mean(), (Op::Slice { first: 1, columns: 1 }, vec![Input]), (Op::Concat, vec![Node(1), Node(0)])];
    let concat = run_on(concat, &x, 2).unwrap();
    assert_eq!(concat, matrix(3, &[0.0, 2.0, 1.0, 2.0, 2.0, 1.0, 1.0, 11.0, 3.0, 5.0, 11.0, 3.0]));
}

#[test]
fn attentive_pooling_by_hand() {
    use NodeRef::{Input, Node};
    // Scores that differ by ln 3 weight rows 1 : 3.
    let scores = Op::Affine { scale: vec![3.0_f64.ln() / 2.0], shift: vec![7.0] };
    let pool = Op::AttentiveStatsPool { min_variance: 0.0 };
    let x = matrix(1, &[1.0, 3.0, 5.0, 5.0]);
    let stats = run_on(vec![(scores, vec![Input]), (pool, vec![Input, Node(0)])], &x, 2).unwrap();
    assert!(close(&stats.data, &[2.5, 0.75_f64.sqrt(), 5.0, 0.0]), "{stats:?}");
}

#[test]
fn inputs_that_do_not_fit_together_are_errors() {
    use NodeRef::{Input, Node};
    let x = matrix(3, &small(18, 1));
    let slice = |first, columns| (Op::Slice { first, columns }, vec![Input]);
    for ops in [
        vec![slice(0, 2), (Op::Add, vec![Input, Node(0)])],
        vec![slice(0, 2), (Op::Multiply, vec![Input, Node(0)])],
        vec![(Op::Multiply, vec![Input])],
        vec![(Op::Multiply, vec![Input, Input, Input])],
        vec![(Op::Add, vec![])],
        vec![(Op::Relu, vec![])],
        vec![(Op::Relu, vec![Input, Input])],
        vec![(Op::Add, vec![Input; 65])],
        vec![(Op::Concat, vec![Input, Node(0)])],
        vec![(Op::MeanPool, vec![Input]), (Op::AttentiveStatsPool { min_variance: 0.0 }, vec![Input, Node(0)])],
        vec![slice(2, 2)],
        vec![slice(1, 0)],
        vec![slice(usize::MAX, 2)],
    ] {
        assert!(matches!(run_on(ops, &x, 3), Err(ModelError::Shape { .. })));
    }
    // Concatenations that double the columns end before memory does.
    let doubling = (0..40).map(|i: usize| {
        let input = i.checked_sub(1).map_or(Input, Node);
        (Op::Concat, vec![input, input])
    });
    assert!(run_on(doubling.collect(), &x, 3).is_err());
}

#[test]
fn max_pool_ignores_padding() {
    let pool = MaxPool2d { image: [2, 3], kernel: [2, 2], stride: [1, 2], padding: [1, 0, 0, 1] };
    let x = matrix(1, &[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]);
    assert_eq!(run(Op::MaxPool2d(pool), &x, 6).data, [-1.0, -3.0, -1.0, -3.0]);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let conv = Conv1d {
        weight: vec![1.0; 6],
        kernel: 3,
        in_channels: 2,
        out_channels: 1,
        bias: vec![0.0],
        stride: 1,
        dilation: 2,
        pad_left: 0,
        pad_right: 0,
    };
    let refused = |columns: usize, op: Op, length: usize| {
        let error = single(columns, op).shapes(length).unwrap_err();
        assert!(matches!(error, ModelError::Shape { .. }), "{error}");
    };
    assert_eq!(single(2, Op::Conv1d(conv.clone())).shapes(5).unwrap()[0].length, 1);
    refused(2, Op::Conv1d(conv.clone()), 4);
    refused(3, Op::Conv1d(conv.clone()), 5);
    for wrong in [
        Conv1d { stride: 0, ..conv.clone() },
        Conv1d { stride: usize::MAX, ..conv.clone() },
        Conv1d { dilation: 0, ..conv.clone() },
        Conv1d { dilation: usize::MAX, ..conv.clone() },
        Conv1d { dilation: usize::MAX / 4, pad_left: usize::MAX / 4, ..conv.clone() },
        Conv1d { dilation: 1 << 40, pad_left: 1 << 41, pad_right: 1 << 41, ..conv.clone() },
        Conv1d { kernel: 0, weight: vec![], ..conv.clone() },
        Conv1d { weight: vec![1.0; 5], ..conv.clone() },
        Conv1d { pad_left: 5, ..conv },
    ] {
        refused(2, Op::Conv1d(wrong), 5);
    }
    refused(2, Op::Dense { weight: matrix(1, &[1.0; 3]), bias: vec![0.0] }, 1);
    refused(2, Op::Affine { scale: vec![1.0; 2], shift: vec![1.0] }, 1);
    refused(2, Op::Relu, 0);
    let mut loops = single(1, Op::Relu);
    loops.nodes[0].inputs = vec![NodeRef::Node(0)];
    assert!(loops.shapes(1).is_err());
    assert!(single(1, Op::Relu).execute(&matrix(1, &[1.0; 3]), 2).is_err());
}

#[test]
fn recurrent_layers_by_hand() {
    // One unit, one step: the gates are the weights themselves.
    let weights = [0.1, 0.2, 0.3, 0.4];
    let lstm = Lstm {
        input: 1,
        hidden: 1,
        w_input: matrix(4, &weights),
        w_hidden: matrix(4, &[1.0, 2.0, 3.0, 4.0]),
        bias: vec![0.0, 0.0, 0.0, 1.0],
        initial: None,
        carried: false,
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let c1 = sigmoid(0.1) * 0.3_f64.tanh();
    let h1 = sigmoid(1.4) * c1.tanh();
    let c2 = sigmoid(0.2 + 2.0 * h1) * c1 + sigmoid(0.1 + h1) * (0.3 + 3.0 * h1).tanh();
    let h2 = sigmoid(1.4 + 4.0 * h1) * c2.tanh();
    let y = run(Op::Lstm(lstm.clone()), &matrix(1, &[1.0, 1.0, 1.0, 1.0]), 2);
    // The second sequence starts from zero again.
    assert!(close(&y.data, &[h1, h2, h1, h2]), "{y:?}");
    // Or where the first one ended: two sequences of a row are one of two.
    let y = run(Op::Lstm(Lstm { carried: true, ..lstm }), &matrix(1, &[1.0, 1.0]), 1);
    assert!(close(&y.data, &[h1, h2]), "{y:?}");

    let gru = Gru {
        input: 1,
        hidden: 1,
        w_input: matrix(3, &[0.1, 0.2, 0.3]),
        w_hidden: matrix(3, &[1.0, 2.0, 3.0]),
        bias_input: vec![0.0, 0.0, 0.5],
        bias_hidden: vec![0.0, 0.0, 0.7],
        linear_before_reset: true,
        initial: None,
        carried: false,
    };
    let step = |h: f64, before: bool| {
        let (z, r) = (sigmoid(0.1 + h), sigmoid(0.2 + 2.0 * h));
        let reset = if before { r * (3.0 * h + 0.7) } else { 3.0 * (r * h) + 0.7 };
        (1.0 - z) * (0.3 + 0.5 + reset).tanh() + z * h
    };
    for before in [true, false] {
        let op = Op::Gru(Gru { linear_before_reset: before, ..gru.clone() });
        let carried = Op::Gru(Gru { linear_before_reset: before, carried: true, ..gru.clone() });
        let h1 = step(0.0, before);
        for (op, length) in [(op, 2), (carried, 1)] {
            let y = run(op, &matrix(1, &[1.0, 1.0]), length);
            assert!(close(&y.data, &[h1, step(h1, before)]), "{y:?}");
        }
    }
}

proptest! {
    #[test]
    fn conv1d_agrees_with_loops(
        (kernel, inner, outer) in (1usize..5, 1usize..5, 1usize..5),
        (stride, dilation, pad_left, pad_right) in (1usize..4, 1usize..4, 0usize..4, 0usize..4),
        (length, sequences, seed) in (1usize..12, 1usize..3, any::<u64>()),
    ) {
        let weight = values(kernel * inner * outer, seed);
        let bias = values(outer, seed ^ 1);
        let conv = Conv1d {
            weight: weight.clone(), kernel, in_channels: inner, out_channels: outer,
            bias: bias.clone(), stride, dilation, pad_left, pad_right,
        };
        let x = FloatMatrix::new(sequences * length, inner, values(sequences * length * inner, seed ^ 2));
        let span = (kernel - 1) * dilation + 1;
        let network = single(inner, Op::Conv1d(conv));
        let hidden = pad_left + pad_right > length + span;
        if pad_left >= span || pad_right >= span || hidden || length + pad_left + pad_right < span {
            prop_assert!(network.execute(&x, length).is_err());
            return Ok(());
        }
        let y = network.execute(&x, length).unwrap().pop().unwrap();
        let out_length = (length + pad_left + pad_right - span) / stride + 1;
        prop_assert_eq!((y.rows, y.cols), (sequences * out_length, outer));
        for s in 0..sequences {
            for t in 0..out_length {
                for o in 0..outer {
                    let mut sum = bias[o];
                    for k in 0..kernel {
                        let from = (t * stride + k * dilation) as isize - pad_left as isize;
                        if (0..length as isize).contains(&from) {
                            let row = x.row(s * length + from as usize);
                            sum += (0..inner).map(|i| row[i] * weight[(k * inner + i) * outer + o]).sum::<f64>();
                        }
                    }
                    prop_assert_eq!(y.row(s * out_length + t)[o], sum);
                }
            }
        }
    }

    #[test]
    fn conv2d_agrees_with_loops(
        image in [1usize..7, 1usize..7], kernel in [1usize..4, 1usize..4], stride in [1usize..4, 1usize..4],
        padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3], dilation in [1usize..3, 1usize..3], free: bool,
        (inner, outer, seed) in (1usize..4, 1usize..4, any::<u64>()),
    ) {
        let weight = values(kernel[0] * kernel[1] * inner * outer, seed);
        let bias = values(outer, seed ^ 1);
        let conv = Conv2d {
            image: if free { [0, image[1]] } else { image }, weight: weight.clone(), kernel, in_channels: inner, out_channels: outer,
            bias: bias.clone(), stride, dilation, padding,
        };
        let x = FloatMatrix::new(image[0] * image[1], inner, values(image[0] * image[1] * inner, seed ^ 2));
        let Some([height, width]) = conv.output_image(image) else { return Ok(()) };
        let y = run(Op::Conv2d(conv), &x, x.rows);
        prop_assert_eq!((y.rows, y.cols), (height * width, outer));
        for (position, o) in (0..height * width).flat_map(|p| (0..outer).map(move |o| (p, o))) {
            let mut sum = bias[o];
            for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
                let row = (position / width * stride[0] + ky * dilation[0]) as isize - padding[0] as isize;
                let col = (position % width * stride[1] + kx * dilation[1]) as isize - padding[1] as isize;
                if (0..image[0] as isize).contains(&row) && (0..image[1] as isize).contains(&col) {
                    let pixel = x.row(row as usize * image[1] + col as usize);
                    let tap = (ky * kernel[1] + kx) * inner;
                    sum += (0..inner).map(|i| pixel[i] * weight[(tap + i) * outer + o]).sum::<f64>();
                }
            }
            prop_assert_eq!(y.row(position)[o], sum);
        }
    }

    #[test]
    fn sequences_do_not_influence_each_other(
        (length, input, hidden, seed) in (1usize..6, 1usize..5, 1usize..5, any::<u64>()),
    ) {
        let lstm = Op::Lstm(Lstm {
            input, hidden,
            w_input: FloatMatrix::new(input, 4 * hidden, small(input * 4 * hidden, seed)),
            w_hidden: FloatMatrix::new(hidden, 4 * hidden, small(hidden * 4 * hidden, seed ^ 1)),
            bias: small(4 * hidden, seed ^ 2), initial: None, carried: false });
        let gru = |linear_before_reset| Op::Gru(Gru {
            input, hidden, linear_before_reset,
            w_input: FloatMatrix::new(input, 3 * hidden, small(input * 3 * hidden, seed)),
            w_hidden: FloatMatrix::new(hidden, 3 * hidden, small(hidden * 3 * hidden, seed ^ 1)),
            bias_input: small(3 * hidden, seed ^ 2),
            bias_hidden: small(3 * hidden, seed ^ 3), initial: None, carried: false });
        let x = FloatMatrix::new(3 * length, input, small(3 * length * input, seed ^ 4));
        for op in [lstm, gru(true), gru(false), Op::MeanPool, Op::StatsPool { min_variance: 0.0 }] {
            let all = run(op.clone(), &x, length);
            let size = all.data.len() / 3;
            for s in 0..3 {
                let part = FloatMatrix::new(length, input, x.data[s * length * input..][..length * input].to_vec());
                let alone = run(op.clone(), &part, length);
                prop_assert!(close(&alone.data, &all.data[s * size..(s + 1) * size]));
            }
        }
    }
}

#[test]
fn logits_are_before_a_softmax_and_its_levels() {
    let chain = |ops: Vec<Op>| {
        let input = |i: usize| i.checked_sub(1).map_or(NodeRef::Input, NodeRef::Node);
        let node = |(i, op)| Node { name: format!("n{i}"), op, inputs: vec![input(i)] };
        Network::new(2, ops.into_iter().enumerate().map(node).collect())
    };
    let levels = || Op::Quantize(Levels { scale: 0.5, low: -4, high: 4 });
    let whole = chain(vec![Op::Relu, levels()]);
    for end in [vec![], vec![Op::Softmax], vec![Op::Softmax, levels()]] {
        let network = chain([vec![Op::Relu, levels()], end].concat());
        assert_eq!(network.logits(), whole);
    }
    // What rounds something else, and what is nothing but a softmax, stays.
    for ops in [vec![Op::Softmax], vec![Op::Softmax, levels()], vec![levels()], vec![Op::Softmax, Op::Relu]] {
        assert_eq!(chain(ops.clone()).logits(), chain(ops));
    }
}
