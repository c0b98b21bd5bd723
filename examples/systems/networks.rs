//! Published networks as graphs, with seeded random weights.
//!
//! - x-vector: D. Snyder et al., "X-vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018.
//! - ECAPA-TDNN: B. Desplanques, J. Thienpondt, K. Demuynck, Interspeech 2020.
//! - ResNet34 with statistics pooling: H. Zeinali et al., "BUT System Description to VoxCeleb 2019"; H. Wang et al., "Wespeaker",
//!   ICASSP 2023.
//! - CAM++: H. Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking",
//!   Interspeech 2023.

use super::layers::{Window, taps};
use super::onnx::{Attribute, Graph, Value};

use Attribute::{Int, Ints};

/// A file of ONNX, and how many numbers training would choose in it.
pub struct Network {
    /// The file.
    pub onnx: Vec<u8>,
    /// The numbers.
    pub parameters: usize,
}

fn finish(graph: Graph, output: &Value) -> Network {
    Network { parameters: graph.parameters, onnx: graph.finish(output) }
}

/// A window of an image that keeps its extents, divided by the stride.
fn image<'a>(kernel: &'a [i64; 2], stride: &'a [i64; 2]) -> Window<'a> {
    Window { kernel, stride, dilation: 1 }
}

/// Convolution, ReLU, batch normalisation: the order of x-vectors and ECAPA.
fn tdnn(g: &mut Graph, x: &Value, out: usize, kernel: i64, dilation: i64) -> Value {
    let x = g.conv(x, out, taps(&[kernel], dilation));
    let x = g.relu(&x);
    g.norm(&x)
}

/// Five TDNN layers 512 wide, 1500 at the end, statistics pooling, an embedding of 512.
pub fn xvector() -> Network {
    let mut g = Graph::new(&[1, 0, 24]);
    let feats = g.features(24);
    let mut x = g.transposed(&feats, &[0, 2, 1]);
    for (out, kernel, dilation) in [(512, 5, 1), (512, 3, 2), (512, 3, 3), (512, 1, 1), (1500, 1, 1)] {
        x = tdnn(&mut g, &x, out, kernel, dilation);
    }
    let pooled = g.statistics(&x, 1e-5);
    let pooled = g.flat(&pooled, 3000);
    let embedding = g.dense(&pooled, 512);
    finish(g, &embedding)
}

/// ECAPA-TDNN: three blocks `channels` wide with eight Res2 chunks, squeeze and excitation, attentive statistics of 1536
/// channels that see the statistics of all frames, an embedding of 192.
pub fn ecapa(channels: usize) -> Network {
    let mut g = Graph::new(&[1, 80, 0]);
    let feats = g.features(80);
    let mut sum = tdnn(&mut g, &feats, channels, 5, 1);
    let mut outputs = Vec::new();
    for dilation in 2..=4 {
        let output = res2_block(&mut g, &sum, dilation);
        sum = g.add(&sum, &output);
        outputs.push(output);
    }
    let all = g.concat(&outputs);
    let all = g.conv(&all, 1536, taps(&[1], 1));
    let x = g.relu(&all);
    let pooled = attentive_statistics(&mut g, &x);
    let pooled = g.norm(&pooled);
    let pooled = g.flat(&pooled, 3072);
    let embedding = g.dense(&pooled, 192);
    let embedding = g.norm(&embedding);
    finish(g, &embedding)
}

fn res2_block(g: &mut Graph, x: &Value, dilation: i64) -> Value {
    const SCALE: usize = 8;
    let (c, width) = (x.channels, x.channels / SCALE);
    let pre = tdnn(g, x, c, 1, 1);
    let sizes = g.integers(&[width as i64; SCALE]);
    let chunks = g.nodes("Split", &[&pre.name, &sizes], &[("axis", Int(1))], SCALE);
    let mut parts: Vec<Value> = Vec::new();
    for (i, name) in chunks.into_iter().enumerate() {
        let chunk = Value { name, channels: width, ..pre.clone() };
        parts.push(match (i, parts.last().cloned()) {
            (0, _) | (_, None) => chunk,
            (1, _) => tdnn(g, &chunk, width, 3, dilation),
            (_, Some(before)) => {
                let chunk = g.add(&chunk, &before);
                tdnn(g, &chunk, width, 3, dilation)
            }
        });
    }
    let res2 = g.concat(&parts);
    let post = tdnn(g, &res2, c, 1, 1);
    let mean = g.mean(&post);
    let down = g.conv(&mean, 128, taps(&[1], 1));
    let down = g.relu(&down);
    let up = g.conv(&down, c, taps(&[1], 1));
    let gates = g.sigmoid(&up);
    let gated = g.gated(&post, &gates);
    g.add(x, &gated)
}

/// Mean and deviation over time, weighted by a softmax for every channel.
fn attentive_statistics(g: &mut Graph, x: &Value) -> Value {
    let statistics = g.statistics(x, 1e-3);
    let shape = g.node("Shape", &[&x.name], &[]);
    let (at, one) = (g.integers(&[2]), g.integers(&[1]));
    let time = g.node("Gather", &[&shape, &at], &[("axis", Int(0))]);
    let wanted = g.node("Concat", &[&one, &one, &time], &[("axis", Int(0))]);
    let repeated = statistics.like(g.node("Expand", &[&statistics.name, &wanted], &[]));
    let seen = g.concat(&[x.clone(), repeated]);
    let hidden = g.conv(&seen, 128, taps(&[1], 1));
    let hidden = g.tanh(&hidden);
    let scores = g.conv(&hidden, x.channels, taps(&[1], 1));
    let weights = g.node("Softmax", &[&scores.name], &[("axis", Int(2))]);
    let over = g.integers(&[2]);
    let sum = |g: &mut Graph, name: &str| g.node("ReduceSum", &[name, &over], &[("keepdims", Int(1))]);
    let weighted = g.node("Mul", &[&weights, &x.name], &[]);
    let mean = sum(g, &weighted);
    let squares = g.node("Mul", &[&weighted, &x.name], &[]);
    let square = sum(g, &squares);
    let mean_squared = g.node("Mul", &[&mean, &mean], &[]);
    let variance = g.node("Sub", &[&square, &mean_squared], &[]);
    let least = g.number(1e-3);
    let variance = g.node("Clip", &[&variance, &least], &[]);
    let deviation = g.node("Sqrt", &[&variance], &[]);
    let (mean, deviation) = (x.like(mean), Value { name: deviation, mean: x.deviation, ..x.clone() });
    g.concat(&[mean, Value { deviation: 0.3 * x.deviation, ..deviation }])
}

/// A residual block of two 3×3 convolutions; `stride` is that of the first, and of the shortcut.
fn basic_block(g: &mut Graph, x: &Value, out: usize, stride: [i64; 2]) -> Value {
    let y = g.conv_norm(x, out, image(&[3, 3], &stride));
    let y = g.relu(&y);
    let y = g.conv_norm(&y, out, image(&[3, 3], &[1, 1]));
    let shortcut = match stride == [1, 1] && x.channels == out {
        true => x.clone(),
        false => g.conv_norm(x, out, image(&[1, 1], &stride)),
    };
    let sum = g.add(&y, &shortcut);
    g.relu(&sum)
}

/// The features as an image of one channel.
fn image_of(g: &mut Graph, feats: &Value) -> Value {
    let x = g.transposed(feats, &[0, 2, 1]);
    let one = g.integers(&[1]);
    Value { name: g.node("Unsqueeze", &[&x.name, &one], &[]), channels: 1, ..x }
}

/// ResNet34: 3, 4, 6 and 3 blocks of 32 to 256 channels, statistics pooling, an embedding of 256.
pub fn resnet34() -> Network {
    let mut g = Graph::new(&[1, 0, 80]);
    let feats = g.features(80);
    let x = image_of(&mut g, &feats);
    let x = g.conv_norm(&x, 32, image(&[3, 3], &[1, 1]));
    let mut x = g.relu(&x);
    for (channels, blocks, stride) in [(32, 3, 1), (64, 4, 2), (128, 6, 2), (256, 3, 2)] {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            x = basic_block(&mut g, &x, channels, [stride; 2]);
        }
    }
    let pooled = g.statistics(&x, 1e-7);
    let pooled = g.flat(&pooled, 2 * 256 * 10);
    let embedding = g.dense(&pooled, 256);
    finish(g, &embedding)
}

/// Normalisation and ReLU in front of a convolution.
fn norm_relu(g: &mut Graph, x: &Value) -> Value {
    let x = g.norm(x);
    g.relu(&x)
}

/// CAM++: an image front, 12, 24 and 16 dense TDNN layers of 32 channels with context-aware masks, statistics pooling, an
/// embedding of 512.
pub fn campp() -> Network {
    let mut g = Graph::new(&[1, 0, 80]);
    let feats = g.features(80);
    let x = image_of(&mut g, &feats);
    let x = g.conv_norm(&x, 32, image(&[3, 3], &[1, 1]));
    let mut x = g.relu(&x);
    for stride in [2, 1, 2, 1] {
        x = basic_block(&mut g, &x, 32, [stride, 1]);
    }
    let x = g.conv_norm(&x, 32, image(&[3, 3], &[2, 1]));
    let x = g.relu(&x);
    let shape = g.integers(&[1, 320, -1]);
    let x = Value { name: g.node("Reshape", &[&x.name, &shape], &[]), channels: 320, ..x };
    let x = g.conv_norm(&x, 128, Window { kernel: &[5], stride: &[2], dilation: 1 });
    let mut x = g.relu(&x);
    for (layers, dilation) in [(12, 1), (24, 2), (16, 2)] {
        for _ in 0..layers {
            let y = dense_layer(&mut g, &x, dilation);
            x = g.concat(&[x, y]);
        }
        let y = norm_relu(&mut g, &x);
        x = g.bare_conv(&y, x.channels / 2, taps(&[1], 1));
    }
    let x = norm_relu(&mut g, &x);
    let pooled = g.statistics(&x, 1e-2);
    let embedding = g.bare_conv(&pooled, 512, taps(&[1], 1));
    let embedding = g.plain_norm(&embedding);
    let embedding = g.flat(&embedding, 512);
    finish(g, &embedding)
}

/// A bottleneck of 128 channels, a convolution to 32, and its mask.
fn dense_layer(g: &mut Graph, x: &Value, dilation: i64) -> Value {
    let x = norm_relu(g, x);
    let x = g.bare_conv(&x, 128, taps(&[1], 1));
    let x = norm_relu(g, &x);
    let local = g.bare_conv(&x, 32, taps(&[3], dilation));
    let context = g.mean(&x);
    let runs = segment_means(g, &x);
    let context = g.add(&context, &runs);
    let context = g.conv(&context, 64, taps(&[1], 1));
    let context = g.relu(&context);
    let mask = g.conv(&context, 32, taps(&[1], 1));
    let mask = g.sigmoid(&mask);
    g.gated(&local, &mask)
}

/// Every row as the mean of the hundred rows that it is among; the last run is of what is left.
fn segment_means(g: &mut Graph, x: &Value) -> Value {
    let attributes = [("kernel_shape", Ints(&[100])), ("strides", Ints(&[100])), ("ceil_mode", Int(1))];
    let means = g.node("AveragePool", &[&x.name], &attributes);
    let (zero, two, last) = (g.integers(&[0]), g.integers(&[2]), g.integers(&[-1]));
    let means_shape = g.node("Shape", &[&means], &[]);
    let hundred = g.integers(&[100]);
    let wanted = g.node("Concat", &[&means_shape, &hundred], &[("axis", Int(0))]);
    let means = g.node("Unsqueeze", &[&means, &last], &[]);
    let repeated = g.node("Expand", &[&means, &wanted], &[]);
    let shape = g.integers(&[1, x.channels as i64, -1]);
    let repeated = g.node("Reshape", &[&repeated, &shape], &[]);
    let rows = g.node("Shape", &[&x.name], &[]);
    let rows = g.node("Gather", &[&rows, &two], &[("axis", Int(0))]);
    let name = g.node("Slice", &[&repeated, &zero, &rows, &two], &[]);
    Value { name, deviation: 0.5 * x.deviation, ..x.clone() }
}

/// Two GRUs of 256, one attention weight a frame, an embedding of 192.
pub fn gru_attention() -> Network {
    const HIDDEN: usize = 256;
    let mut g = Graph::new(&[1, 0, 40]);
    let feats = g.features(40);
    let mut x = g.transposed(&feats, &[1, 0, 2]);
    for _ in 0..2 {
        let [w, r] = [(x.channels, x.deviation), (HIDDEN, 0.5)].map(|(inputs, deviation)| {
            let weights = g.normals(3 * HIDDEN * inputs, 1.0 / (deviation * (inputs as f64).sqrt()));
            g.weights(&[1, 3 * HIDDEN, inputs], &weights)
        });
        let bias = g.normals(6 * HIDDEN, 0.05);
        let bias = g.weights(&[1, 6 * HIDDEN], &bias);
        let attributes = [("hidden_size", Int(HIDDEN as i64)), ("linear_before_reset", Int(1))];
        let states = g.node("GRU", &[&x.name, &w, &r, &bias], &attributes);
        let one = g.integers(&[1]);
        x = Value { name: g.node("Squeeze", &[&states, &one], &[]), channels: HIDDEN, mean: 0.0, deviation: 0.5 };
    }
    let x = g.transposed(&x, &[1, 0, 2]);
    let hidden = g.rows(&x, 128);
    let hidden = g.tanh(&hidden);
    let scores = g.rows(&hidden, 1);
    let weights = g.node("Softmax", &[&scores.name], &[("axis", Int(1))]);
    let weighted = g.node("Mul", &[&x.name, &weights], &[]);
    let over = g.integers(&[1]);
    let pooled = x.like(g.node("ReduceSum", &[&weighted, &over], &[("keepdims", Int(0))]));
    let embedding = g.dense(&pooled, 192);
    finish(g, &embedding)
}
