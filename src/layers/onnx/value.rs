//! What the names of a graph stand for while it is imported.

use std::rc::Rc;

use super::tensor::Tensor;
use crate::layers::network::NodeRef;

/// What an axis of an ONNX tensor is. The network keeps time in rows and channels in columns, so
/// a transposition only renames axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// The batch, of extent 1: several sequences are stacked by the executor instead.
    Batch,
    Time,
    Channel,
    /// Directions of a recurrent layer, of extent 1.
    Direction,
    Height,
    Width,
}

/// A value of the network and how ONNX sees it.
#[derive(Clone, Debug)]
pub(super) struct Data {
    /// Where it is computed.
    pub(super) node: NodeRef,
    /// Its axes, outermost first.
    pub(super) axes: Vec<Axis>,
    /// Number of channels.
    pub(super) columns: usize,
    /// Whether there is one row per sequence only, so that a time axis has extent 1.
    pub(super) single_row: bool,
    /// Height and width if the rows are pixels.
    pub(super) image: Option<[usize; 2]>,
    /// Set if a column is (pixel, channel) where ONNX has (channel, pixel): number of channels.
    pub(super) flattened: Option<usize>,
}

/// A step towards the mean and the deviation of `source` over time, plain or with weights.
#[derive(Clone, Debug)]
pub(super) struct Statistic {
    pub(super) source: Data,
    /// What the weights are a softmax over time of; none for equal weights.
    pub(super) scores: Option<Data>,
    /// Axes of this value; those of the source, less the time axis once it is reduced.
    pub(super) axes: Vec<Axis>,
    pub(super) kind: StatisticKind,
    /// What a variance is multiplied with: T/(T − 1) where it is that of a sample.
    pub(super) factor: f64,
    /// Largest variance, if it is clipped.
    pub(super) limit: f64,
}

impl Statistic {
    /// A step from a value, with weights if there are scores.
    pub(super) fn new(source: Data, scores: Option<Data>, axes: Vec<Axis>, kind: StatisticKind) -> Self {
        Self { source, scores, axes, kind, factor: 1.0, limit: f64::INFINITY }
    }

    /// Whether it is about the same value with the same weights, in the same axes.
    pub(super) fn belongs_to(&self, other: &Self) -> bool {
        let scores = |s: &Self| s.scores.as_ref().map(|scores| scores.node);
        self.source.node == other.source.node && scores(self) == scores(other) && self.axes == other.axes
    }
}

/// What E means a sum with the weights for, or the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StatisticKind {
    /// The weights times x
    Weighted,
    /// x², times the weights if there are any
    Square,
    /// x − E\[x\], equal weights
    Centred,
    /// (x − E\[x\])²
    CentredSquare,
    /// E\[x\]
    Mean,
    /// E\[x²\]
    MeanOfSquare,
    /// E\[x\]²
    SquareOfMean,
    /// V = factor·(E\[x²\] − E\[x\]²)
    Variance,
    /// min(max(V, minimum), limit)
    Clipped(f64),
    /// sqrt(min(max(V, minimum), limit))
    Deviation(f64),
}

/// What a name of the graph stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Data(Data),
    /// One row that stands for every row of what it is combined with.
    Expanded(Data),
    /// A softmax over time.
    Softmax(Data),
    Constant(Rc<Tensor>),
    Statistic(Statistic),
    /// Euclidean norm of every row.
    Norm(Data),
    /// Hidden states after the last step, one per recurrent layer.
    FinalStates {
        layers: Rc<[Data]>,
        axes: Vec<Axis>,
    },
    /// Cell state after the last step, which no layer computes here.
    FinalCell,
}
