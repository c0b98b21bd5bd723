//! Settings and weights of the larger operations.

use crate::layers::matrix::FloatMatrix;

/// Equally spaced values that a tensor is rounded to: `scale · clamp(round(x / scale), low, high)`, halves to the even
/// neighbour. What QuantizeLinear and DequantizeLinear of ONNX make of a value, whose integers are these plus a zero point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// From one value to the next, positive.
    pub scale: f64,
    /// The smallest multiple of the scale, at least −2^16.
    pub low: i32,
    /// The largest one, at most 2^16.
    pub high: i32,
}

impl Levels {
    /// Largest magnitude of a multiple: differences of 16-bit integers reach it.
    pub const MAX_MULTIPLE: i32 = 1 << 16;

    /// The multiple of the scale that `x` is rounded and clamped to.
    #[must_use]
    pub fn multiple(&self, x: f64) -> i32 {
        // A conversion of floats saturates, and takes what is not a number for zero.
        ((x / self.scale).round_ties_even() as i32).max(self.low).min(self.high)
    }

    /// The value that `x` becomes.
    #[must_use]
    pub fn value(&self, x: f64) -> f64 {
        self.scale * f64::from(self.multiple(x))
    }

    /// Whether scale and bounds are what the documentation of the fields says, and in order.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let bounds = [self.low, self.high];
        let bounded = bounds.iter().all(|bound| bound.unsigned_abs() <= Self::MAX_MULTIPLE.unsigned_abs());
        self.scale.is_normal() && self.scale > 0.0 && bounded && self.low <= self.high
    }
}

/// y\[t\] = bias + Σ_k x\[t·stride + k·dilation − pad_left\] · weight\[k\], with zeros beyond both
/// ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv1d {
    /// Weights \[kernel\]\[in\]\[out\].
    pub weight: Vec<f64>,
    /// Taps along time, at least 1.
    pub kernel: usize,
    /// Columns of the input.
    pub in_channels: usize,
    /// Columns of the output.
    pub out_channels: usize,
    /// `out_channels` values.
    pub bias: Vec<f64>,
    /// Rows from one output to the next, at least 1.
    pub stride: usize,
    /// Rows from one tap to the next, at least 1.
    pub dilation: usize,
    /// Rows of zeros before the first row; fewer than the taps span.
    pub pad_left: usize,
    /// Rows of zeros after the last row; fewer than the taps span.
    pub pad_right: usize,
}

impl Conv1d {
    /// A dense layer as a convolution of one tap.
    #[must_use]
    pub fn pointwise(weight: &FloatMatrix, bias: &[f64]) -> Self {
        let (weight, in_channels, out_channels) = (weight.data.clone(), weight.rows, weight.cols);
        let bias = bias.to_vec();
        let (kernel, stride, dilation, pad_left, pad_right) = (1, 1, 1, 0, 0);
        Self { weight, kernel, in_channels, out_channels, bias, stride, dilation, pad_left, pad_right }
    }
}

/// Convolution of an image with zeros around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Height and width of the input; height 0 stands for as many as the rows are: time.
    pub image: [usize; 2],
    /// Weights \[kernel height\]\[kernel width\]\[in\]\[out\].
    pub weight: Vec<f64>,
    /// Height and width of the kernel, at least 1.
    pub kernel: [usize; 2],
    /// Columns of the input.
    pub in_channels: usize,
    /// Columns of the output.
    pub out_channels: usize,
    /// `out_channels` values.
    pub bias: Vec<f64>,
    /// Steps down and right, at least 1.
    pub stride: [usize; 2],
    /// Pixels from one tap to the next, down and right, at least 1.
    pub dilation: [usize; 2],
    /// Zeros above, left, below, right; fewer than the taps span in that direction.
    pub padding: [usize; 4],
}

/// Largest value of every patch of an image; padding never wins.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d {
    /// Height and width of the input; height 0 stands for as many as the rows are: time.
    pub image: [usize; 2],
    /// Height and width of the patches, at least 1 and at most those of the image.
    pub kernel: [usize; 2],
    /// Steps down and right, at least 1.
    pub stride: [usize; 2],
    /// Padding above, left, below, right; at most half the kernel in that direction.
    pub padding: [usize; 4],
}

/// Average of every patch of an image; patches may not reach beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2d {
    /// Height and width of the input; height 0 stands for as many as the rows are: time.
    pub image: [usize; 2],
    /// Height and width of the patches, at least 1.
    pub kernel: [usize; 2],
    /// Steps down and right, at least 1.
    pub stride: [usize; 2],
}

/// Long short-term memory. Gates stand in the order i, f, g, o (as in
/// PyTorch; ONNX has i, o, f, g):
///
/// ```text
/// [i f g o] = x[t]·w_input + h[t−1]·w_hidden + bias
/// c[t] = σ(f)·c[t−1] + σ(i)·tanh(g)
/// h[t] = σ(o)·tanh(c[t])
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// Columns of the input.
    pub input: usize,
    /// Columns of the hidden state and of the output.
    pub hidden: usize,
    /// Weights \[input × 4·hidden\].
    pub w_input: FloatMatrix,
    /// Recurrent weights \[hidden × 4·hidden\].
    pub w_hidden: FloatMatrix,
    /// `4·hidden` values: the sum of both biases.
    pub bias: Vec<f64>,
    /// Hidden state and cell state before the first row, `hidden` values each; `None` for zeros.
    pub initial: Option<[Vec<f64>; 2]>,
    /// Whether a sequence starts from the states that the one before it ended with: sequences are chunks of one.
    pub carried: bool,
}

/// Gated recurrent unit. Gates stand in the order z, r, n (as in ONNX;
/// PyTorch has r, z, n):
///
/// ```text
/// z = σ(x·W_z + h·R_z + b_z + d_z)          r = σ(x·W_r + h·R_r + b_r + d_r)
/// n = tanh(x·W_n + b_n + r·(h·R_n + d_n))   with linear_before_reset (as in PyTorch)
/// n = tanh(x·W_n + b_n + (r·h)·R_n + d_n)   without
/// h = (1 − z)·n + z·h
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    /// Columns of the input.
    pub input: usize,
    /// Columns of the hidden state and of the output.
    pub hidden: usize,
    /// Weights W \[input × 3·hidden\].
    pub w_input: FloatMatrix,
    /// Recurrent weights R \[hidden × 3·hidden\].
    pub w_hidden: FloatMatrix,
    /// b, `3·hidden` values.
    pub bias_input: Vec<f64>,
    /// d, `3·hidden` values.
    pub bias_hidden: Vec<f64>,
    /// Whether the reset gate acts after the recurrent product.
    pub linear_before_reset: bool,
    /// State before the first row, `hidden` values; `None` for zeros.
    pub initial: Option<Vec<f64>>,
    /// Whether a sequence starts from the state that the one before it ended with: sequences are chunks of one.
    pub carried: bool,
}
