//! A network in double precision: what an imported model is, and the reference for the integer one.
//!
//! Values are matrices whose rows are time and whose columns are channels. Several equally long
//! sequences may be stacked along the rows; every layer treats them independently, so that a
//! network embeds all partial windows of a recording at once. Images are sequences too: row
//! y · width + x holds the channels of one pixel.
//!
//! [`Network::shapes`] checks every shape before anything is computed; the kernels rely on it.

mod kernels;
mod shapes;

use super::matrix::FloatMatrix;
use crate::error::ModelError;

/// A directed acyclic graph of layers; the output is that of the last node.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Number of columns of the input.
    pub input_columns: usize,
    /// The layers; each takes its inputs from earlier ones.
    pub nodes: Vec<Node>,
}

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name for errors and comparisons.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it computes it from.
    pub inputs: Vec<NodeRef>,
}

/// Where a layer takes an input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeRef {
    /// The input of the network.
    Input,
    /// The output of the node with this index.
    Node(usize),
}

/// What a layer computes. T is the length of a sequence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// y = x · weight + bias on every row.
    Dense {
        /// Weights \[in × out\].
        weight: FloatMatrix,
        /// Added to every row, `out` values.
        bias: Vec<f64>,
    },
    /// Convolution along time.
    Conv1d(Conv1d),
    /// Convolution of an image.
    Conv2d(Conv2d),
    /// Largest value of every patch of an image, per channel.
    MaxPool2d(MaxPool2d),
    /// Largest of `kernel` rows, moving by `stride`, per channel; rows that fill no patch are left out.
    MaxPool1d {
        /// Rows of a patch, at least 1.
        kernel: usize,
        /// Rows from one patch to the next, at least 1.
        stride: usize,
    },
    /// All rows of a sequence one after the other: T rows of C become one row of T · C.
    Flatten,
    /// y = scale · x + shift per column: a batch normalisation after training.
    Affine {
        /// One factor per column.
        scale: Vec<f64>,
        /// One summand per column.
        shift: Vec<f64>,
    },
    /// max(x, 0).
    Relu,
    /// 1/(1 + exp(−x)).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// |x|.
    Abs,
    /// Natural logarithm of values above 0.
    Log,
    /// Row 1 before row 0: what stands before the first row mirrors what follows it.
    MirrorPad,
    /// (x − mean)/sqrt(variance + epsilon) per column, both over the whole sequence; the variance is that of
    /// the values themselves, E\[(x − mean)²\].
    InstanceNorm {
        /// Added to the variance, positive.
        epsilon: f64,
    },
    /// x − mean over time, per column.
    SubtractMean,
    /// min(x, limit).
    AtMost {
        /// The largest value.
        limit: f64,
    },
    /// Long short-term memory; the output is the hidden state after every row.
    Lstm(Lstm),
    /// Gated recurrent unit; the output is the hidden state after every row.
    Gru(Gru),
    /// Mean over time: T rows become one.
    MeanPool,
    /// Mean over time, then standard deviation sqrt(max(E\[x²\] − E\[x\]², min_variance)): T rows
    /// of C become one of 2 · C.
    StatsPool {
        /// Smallest variance taken, at least 0.
        min_variance: f64,
    },
    /// The last row of every sequence.
    LastRow,
    /// Every row divided by its Euclidean norm; a row of zeros stays as it is.
    L2Normalize,
    /// Sum of all inputs. An input of one row counts for every row.
    Add,
    /// Columns of all inputs side by side. An input of one row stands in every row.
    Concat,
    /// Some columns.
    Slice {
        /// The first of them.
        first: usize,
        /// How many, at least 1.
        columns: usize,
    },
    /// Entry-wise product of two inputs. An input of one row counts for every row.
    Multiply,
    /// Mean and deviation of the first input over time as in [`Op::StatsPool`], with weights per row
    /// and column: the second input after a softmax over time.
    AttentiveStatsPool {
        /// Smallest variance taken, at least 0.
        min_variance: f64,
    },
}

impl Op {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dense { .. } => "a dense layer",
            Self::Conv1d(_) | Self::Conv2d(_) => "a convolution",
            Self::MaxPool2d(_) | Self::MaxPool1d { .. } => "max pooling",
            Self::Flatten => "flattening",
            Self::Affine { .. } => "batch normalisation",
            Self::Relu => "Relu",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Abs => "Abs",
            Self::Log => "Log",
            Self::MirrorPad => "mirrored padding",
            Self::InstanceNorm { .. } => "instance normalisation",
            Self::SubtractMean => "subtraction of the mean",
            Self::AtMost { .. } => "a largest value",
            Self::Lstm(_) => "LSTM",
            Self::Gru(_) => "GRU",
            Self::MeanPool => "mean pooling",
            Self::StatsPool { .. } => "statistics pooling",
            Self::LastRow => "taking the last row",
            Self::L2Normalize => "division by the norm",
            Self::Add => "a sum",
            Self::Concat => "concatenation",
            Self::Slice { .. } => "taking columns",
            Self::Multiply => "a product",
            Self::AttentiveStatsPool { .. } => "attentive statistics pooling",
        }
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

/// Convolution of an image with zeros around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Height and width of the input.
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
    /// Zeros above, left, below, right; fewer than the kernel has in that direction.
    pub padding: [usize; 4],
}

/// Largest value of every patch of an image; padding never wins.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d {
    /// Height and width of the input.
    pub image: [usize; 2],
    /// Height and width of the patches, at least 1 and at most those of the image.
    pub kernel: [usize; 2],
    /// Steps down and right, at least 1.
    pub stride: [usize; 2],
    /// Padding above, left, below, right; at most half the kernel in that direction.
    pub padding: [usize; 4],
}

/// Long short-term memory with initial states zero. Gates stand in the order i, f, g, o (as in
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
}

/// Gated recurrent unit with initial state zero. Gates stand in the order z, r, n (as in ONNX;
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
}

/// Shape of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of rows.
    pub length: usize,
    /// Number of columns.
    pub columns: usize,
}

/// Equally long sequences, one after another.
#[derive(Clone, Copy)]
pub(super) struct Sequences<'a> {
    /// Their rows.
    pub(super) matrix: &'a FloatMatrix,
    /// Rows of one sequence.
    pub(super) length: usize,
}

impl Network {
    /// Runs the network on sequences of `sequence_length` rows, stacked along the rows of `input`.
    /// Returns the output of every node; the last is that of the network.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if the input or any layer does not fit.
    pub fn execute(&self, input: &FloatMatrix, sequence_length: usize) -> Result<Vec<FloatMatrix>, ModelError> {
        let shapes = self.shapes(sequence_length)?;
        let whole = input.rows >= sequence_length && input.rows.is_multiple_of(sequence_length);
        let filled = input.rows.checked_mul(input.cols) == Some(input.data.len());
        if input.cols != self.input_columns || !whole || !filled {
            let columns = self.input_columns;
            let expected = format!("sequences of {sequence_length} rows x {columns} columns");
            let found = format!("{} x {} with {} values", input.rows, input.cols, input.data.len());
            return Err(shape_error("input", expected, found));
        }
        let sequences = input.rows / sequence_length;
        let first = Shape { length: sequence_length, columns: self.input_columns };
        let mut outputs: Vec<FloatMatrix> = Vec::with_capacity(self.nodes.len());
        for (node, &shape) in self.nodes.iter().zip(&shapes) {
            let operand = |&input_of: &NodeRef| match input_of {
                NodeRef::Input => Sequences { matrix: input, length: first.length },
                NodeRef::Node(index) => Sequences { matrix: &outputs[index], length: shapes[index].length },
            };
            let operands: Vec<Sequences<'_>> = node.inputs.iter().map(operand).collect();
            let mut y = FloatMatrix::zeros(sequences * shape.length, shape.columns);
            kernels::run(&node.op, &operands, &mut y, shape.length);
            outputs.push(y);
        }
        Ok(outputs)
    }

    /// The shape of one sequence after every node, for sequences of this many rows at the input.
    ///
    /// # Errors
    /// [`ModelError::Shape`] naming the first layer whose input, weights or settings do not fit.
    pub fn shapes(&self, sequence_length: usize) -> Result<Vec<Shape>, ModelError> {
        if sequence_length == 0 || self.input_columns == 0 || self.nodes.is_empty() {
            let found = format!("{sequence_length} rows, {} columns, {} layers", self.input_columns, self.nodes.len());
            return Err(shape_error("input", "at least one of each", found));
        }
        let first = Shape { length: sequence_length, columns: self.input_columns };
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let operand = |input: &NodeRef| match *input {
                NodeRef::Input => Some(first),
                NodeRef::Node(index) => shapes.get(index).copied(),
            };
            let operands: Option<Vec<Shape>> = node.inputs.iter().map(operand).collect();
            let operands = operands
                .ok_or_else(|| shape_error(&node.name, "earlier layers as inputs", format!("{:?}", node.inputs)))?;
            shapes.push(node.op.output(&node.name, &operands)?);
        }
        Ok(shapes)
    }
}

pub(super) fn shape_error(layer: &str, expected: impl Into<String>, found: impl Into<String>) -> ModelError {
    ModelError::Shape { layer: layer.into(), expected: expected.into(), found: found.into() }
}

#[cfg(test)]
mod tests;
