//! What a layer of a network may compute.

use super::parameters::{AveragePool2d, Conv1d, Conv2d, Gru, Levels, Lstm, MaxPool2d};
use super::rows::RowMove;
use super::scalar::Scalar;
use crate::layers::matrix::FloatMatrix;

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
    /// Average of every patch of an image, per channel.
    AveragePool2d(AveragePool2d),
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
    /// Largest value over time, per column: T rows become one.
    MaxOverTime,
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
    /// and column: the second input after a softmax over time. If that has one column, it counts for every column.
    AttentiveStatsPool {
        /// Smallest variance taken, at least 0.
        min_variance: f64,
    },
    /// √(a² + b²) of two inputs, entry by entry.
    Hypot,
    /// a² + b² of two inputs, entry by entry.
    Power,
    /// ln(x + floor), or ln(max(x, floor)), of energies: values that are not negative and have a wide range.
    LogEnergy {
        /// The floor, positive.
        floor: f64,
        /// Whether it is the least argument of the logarithm and not added to all of them.
        least: bool,
    },
    /// A function of every value.
    Function(Scalar),
    /// Every value rounded and clamped to levels that the model itself prescribes.
    Quantize(Levels),
    /// Rows in another order, some of them, or more of them.
    Rows(RowMove),
    /// `parts` rows for every row: its columns cut into as many equal runs.
    Unfold {
        /// Runs of columns, at least 1.
        parts: usize,
    },
    /// `parts` rows side by side as one.
    Fold {
        /// Rows that become one, at least 1.
        parts: usize,
    },
    /// Every row the mean of its run of `rows` rows; the last run is of what is left.
    SegmentMean {
        /// Rows of a run, at least 1.
        rows: usize,
    },
    /// Mean over time of images: T · `inner` rows become `inner`.
    GridMean {
        /// Rows of one time step, at least 1.
        inner: usize,
    },
    /// Mean and deviation over time of images, side by side: T · `inner` rows of C become `inner` of 2 · C. The
    /// deviation is sqrt(max(V, min_variance) + epsilon), V = E\[x²\] − E\[x\]².
    GridStats {
        /// Rows of one time step, at least 1.
        inner: usize,
        /// Smallest variance taken, at least 0.
        min_variance: f64,
        /// Added to the variance, at least 0.
        epsilon: f64,
        /// Whether V is multiplied by T/(T − 1): the variance of a sample.
        unbiased: bool,
    },
    /// (x − mean)/sqrt(variance + epsilon) of every row, both over its columns.
    LayerNorm {
        /// Added to the variance, positive.
        epsilon: f64,
    },
    /// A constant added to every sequence, row by row: its first rows, if it has more than a sequence.
    AddRows {
        /// What is added.
        rows: FloatMatrix,
    },
    /// exp(x) / Σ exp(x) over the columns of every row.
    Softmax,
    /// x − ln Σ exp(x) over the columns of every row.
    LogSoftmax,
    /// Attention within every sequence: queries, keys and values, three inputs of as many columns, the heads beside
    /// one another. Softmax(Q·Kᵀ·scale)·V per head.
    Attention {
        /// Number of heads, at least 1.
        heads: usize,
        /// What scores are multiplied with.
        scale: f64,
        /// Whether a row sees itself and earlier rows only.
        causal: bool,
    },
}

impl Op {
    /// Whether a sequence starts from the state that the one before it ended with.
    #[must_use]
    pub fn carries_state(&self) -> bool {
        match self {
            Self::Lstm(lstm) => lstm.carried,
            Self::Gru(gru) => gru.carried,
            _ => false,
        }
    }

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
            Self::MaxOverTime => "a maximum over time",
            Self::StatsPool { .. } => "statistics pooling",
            Self::LastRow => "taking the last row",
            Self::L2Normalize => "division by the norm",
            Self::Add => "a sum",
            Self::Concat => "concatenation",
            Self::Slice { .. } => "taking columns",
            Self::Multiply => "a product",
            Self::Hypot => "a magnitude of two parts",
            Self::Power => "a power of two parts",
            Self::LogEnergy { .. } => "a logarithm of energies",
            Self::AttentiveStatsPool { .. } => "attentive statistics pooling",
            Self::AveragePool2d(_) => "average pooling",
            Self::Function(_) => "a function",
            Self::Quantize(_) => "quantization to given levels",
            Self::Rows(_) => "moving rows",
            Self::Unfold { .. } | Self::Fold { .. } => "reshaping",
            Self::SegmentMean { .. } => "means of runs of rows",
            Self::GridMean { .. } => "mean pooling of images",
            Self::GridStats { .. } => "statistics pooling of images",
            Self::LayerNorm { .. } => "layer normalisation",
            Self::AddRows { .. } => "a constant for every row",
            Self::Softmax => "Softmax",
            Self::LogSoftmax => "LogSoftmax",
            Self::Attention { .. } => "attention",
        }
    }
}
