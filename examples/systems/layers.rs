//! Layers that the networks share, with weights that keep values near unit variance.

use super::onnx::{Attribute, Graph, Value};

use Attribute::{Float, Int, Ints};

/// Mean and standard deviation of `max(x, 0)` for a normal `x` of this mean and deviation.
fn rectified(mean: f64, deviation: f64) -> (f64, f64) {
    let z = mean / deviation;
    // A logistic curve stands for the normal distribution: within two percent.
    let below = 1.0 / (1.0 + (-1.702 * z).exp());
    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let first = deviation * density + mean * below;
    let second = (mean * mean + deviation * deviation) * below + mean * deviation * density;
    (first, (second - first * first).max(1e-3).sqrt())
}

/// Extents of a convolution: kernel, stride, dilation and padding, each one or two numbers.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    /// Taps.
    pub kernel: &'a [i64],
    /// Steps.
    pub stride: &'a [i64],
    /// Distance of taps.
    pub dilation: i64,
}

/// A convolution of time that keeps its length.
pub const fn taps(kernel: &[i64; 1], dilation: i64) -> Window<'_> {
    Window { kernel, stride: &[1], dilation }
}

impl Graph {
    /// A convolution that centres its output: the bias, or what follows, takes the mean away.
    fn convolved(&mut self, x: &Value, out: usize, window: Window, bias: bool) -> (Value, Vec<f64>) {
        let size = window.kernel.iter().product::<i64>() as usize * x.channels;
        let weights = self.normals(out * size, 1.0 / (x.deviation * (size as f64).sqrt()));
        let means: Vec<f64> = weights.chunks_exact(size).map(|row| x.mean * row.iter().sum::<f64>()).collect();
        let kernel: Vec<usize> = window.kernel.iter().map(|&k| k as usize).collect();
        let dims: Vec<usize> = [out, x.channels].into_iter().chain(kernel).collect();
        let weights = self.weights(&dims, &weights);
        let biases: Vec<f64> = means.iter().map(|mean| self.normal(0.05) - mean).collect();
        let biases = if bias { Some(self.weights(&[out], &biases)) } else { None };
        let half: Vec<i64> = window.kernel.iter().map(|k| window.dilation * (k - 1) / 2).collect();
        let pads: Vec<i64> = half.iter().chain(&half).copied().collect();
        let dilations = vec![window.dilation; window.kernel.len()];
        let inputs: Vec<&str> = [&x.name, &weights].into_iter().chain(&biases).map(String::as_str).collect();
        let attributes = [
            ("kernel_shape", Ints(window.kernel)),
            ("strides", Ints(window.stride)),
            ("dilations", Ints(&dilations)),
            ("pads", Ints(&pads)),
        ];
        let name = self.node("Conv", &inputs, &attributes);
        (Value { name, channels: out, mean: 0.0, deviation: 1.0 }, means)
    }

    /// A convolution with a bias.
    pub fn conv(&mut self, x: &Value, out: usize, window: Window) -> Value {
        self.convolved(x, out, window, true).0
    }

    /// Batch normalisation by these means and this deviation; without factors and summands if it is not `affine`.
    fn normalised(&mut self, x: &Value, means: &[f64], deviation: f64, affine: bool) -> Value {
        let c = x.channels;
        let spread = |graph: &mut Self, middle: f64, by: f64| -> Vec<f64> {
            (0..c).map(|_| middle + if affine { graph.normal(by) } else { 0.0 }).collect()
        };
        let (scale, shift) = (spread(self, 1.0, 0.2), spread(self, 0.0, 0.1));
        let variances = vec![deviation * deviation; c];
        let tensors = [&scale[..], &shift, means, &variances].map(|values| self.weights(&[c], values));
        let mut inputs = vec![x.name.as_str()];
        inputs.extend(tensors.iter().map(String::as_str));
        let name = self.node("BatchNormalization", &inputs, &[("epsilon", Float(1e-5))]);
        Value { name, channels: c, mean: 0.0, deviation: 1.0 }
    }

    /// Batch normalisation of a value by what is known about it.
    pub fn norm(&mut self, x: &Value) -> Value {
        self.normalised(x, &vec![x.mean; x.channels], x.deviation, true)
    }

    /// The same without factors and summands.
    pub fn plain_norm(&mut self, x: &Value) -> Value {
        self.normalised(x, &vec![x.mean; x.channels], x.deviation, false)
    }

    /// A convolution without bias, and batch normalisation.
    pub fn conv_norm(&mut self, x: &Value, out: usize, window: Window) -> Value {
        let (conv, means) = self.convolved(x, out, window, false);
        self.normalised(&conv, &means, 1.0, true)
    }

    /// A convolution without bias.
    pub fn bare_conv(&mut self, x: &Value, out: usize, window: Window) -> Value {
        let (conv, means) = self.convolved(x, out, window, false);
        let mean = means.iter().sum::<f64>() / out as f64;
        let spread = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / out as f64;
        Value { mean, deviation: (1.0 + spread).sqrt(), ..conv }
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, x: &Value) -> Value {
        let (mean, deviation) = rectified(x.mean, x.deviation);
        Value { name: self.node("Relu", &[&x.name], &[]), channels: x.channels, mean, deviation }
    }

    /// `1/(1 + exp(−x))` of a value near unit variance.
    pub fn sigmoid(&mut self, x: &Value) -> Value {
        let name = self.node("Sigmoid", &[&x.name], &[]);
        Value { name, channels: x.channels, mean: 0.5, deviation: 0.21 }
    }

    /// Hyperbolic tangent of a value near unit variance.
    pub fn tanh(&mut self, x: &Value) -> Value {
        let name = self.node("Tanh", &[&x.name], &[]);
        Value { name, channels: x.channels, mean: 0.0, deviation: 0.63 }
    }

    /// The sum of two values.
    pub fn add(&mut self, x: &Value, y: &Value) -> Value {
        let name = self.node("Add", &[&x.name, &y.name], &[]);
        let (mean, deviation) = (x.mean + y.mean, x.deviation.hypot(y.deviation));
        Value { name, channels: x.channels, mean, deviation }
    }

    /// A value times gates.
    pub fn gated(&mut self, x: &Value, gates: &Value) -> Value {
        let name = self.node("Mul", &[&x.name, &gates.name], &[]);
        Value { name, channels: x.channels, mean: x.mean * gates.mean, deviation: x.deviation * 0.54 }
    }

    /// Values beside one another, along axis 1.
    pub fn concat(&mut self, parts: &[Value]) -> Value {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let name = self.node("Concat", &names, &[("axis", Int(1))]);
        let channels = parts.iter().map(|part| part.channels).sum();
        let share = |part: &Value| part.channels as f64 / channels as f64;
        let mean = parts.iter().map(|part| share(part) * part.mean).sum::<f64>();
        let square = |part: &Value| share(part) * (part.mean.powi(2) + part.deviation.powi(2));
        let deviation = (parts.iter().map(square).sum::<f64>() - mean * mean).sqrt();
        Value { name, channels, mean, deviation }
    }

    /// A value with its axes in another order.
    pub fn transposed(&mut self, x: &Value, order: &[i64]) -> Value {
        x.like(self.node("Transpose", &[&x.name], &[("perm", Ints(order))]))
    }

    /// The mean over the last axis, which stays with extent 1.
    pub fn mean(&mut self, x: &Value) -> Value {
        let name = self.node("ReduceMean", &[&x.name], &[("axes", Ints(&[-1])), ("keepdims", Int(1))]);
        Value { name, deviation: 0.5 * x.deviation, ..x.clone() }
    }

    /// Mean and standard deviation over the last axis, beside one another: `√(E[(x − E[x])²] + epsilon)`.
    pub fn statistics(&mut self, x: &Value, epsilon: f64) -> Value {
        let mean = self.mean(x);
        let centred = self.node("Sub", &[&x.name, &mean.name], &[]);
        let squares = self.node("Mul", &[&centred, &centred], &[]);
        let attributes = [("axes", Ints(&[-1])), ("keepdims", Int(1))];
        let variance = self.node("ReduceMean", &[&squares], &attributes);
        let epsilon = self.number(epsilon);
        let variance = self.node("Add", &[&variance, &epsilon], &[]);
        let name = self.node("Sqrt", &[&variance], &[]);
        let deviation = Value { name, mean: x.deviation, deviation: 0.3 * x.deviation, ..x.clone() };
        self.concat(&[mean, deviation])
    }

    /// A row of numbers: all axes but the first as one.
    pub fn flat(&mut self, x: &Value, channels: usize) -> Value {
        Value { name: self.node("Flatten", &[&x.name], &[("axis", Int(1))]), channels, ..x.clone() }
    }

    /// A dense layer of every row, channels last.
    pub fn rows(&mut self, x: &Value, out: usize) -> Value {
        let weights = self.normals(x.channels * out, 1.0 / (x.deviation * (x.channels as f64).sqrt()));
        let bias = self.normals(out, 0.05);
        let (weights, bias) = (self.weights(&[x.channels, out], &weights), self.weights(&[out], &bias));
        let product = self.node("MatMul", &[&x.name, &weights], &[]);
        Value { name: self.node("Add", &[&product, &bias], &[]), channels: out, mean: 0.0, deviation: 1.0 }
    }

    /// A dense layer of a row that centres its output.
    pub fn dense(&mut self, x: &Value, out: usize) -> Value {
        let weights = self.normals(out * x.channels, 1.0 / (x.deviation * (x.channels as f64).sqrt()));
        let bias: Vec<f64> = weights.chunks_exact(x.channels).map(|row| -x.mean * row.iter().sum::<f64>()).collect();
        let (weights, bias) = (self.weights(&[out, x.channels], &weights), self.weights(&[out], &bias));
        let name = self.node("Gemm", &[&x.name, &weights, &bias], &[("transB", Int(1))]);
        Value { name, channels: out, mean: 0.0, deviation: 1.0 }
    }
}
