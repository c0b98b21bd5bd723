//! What the names of a graph stand for while it is imported.
//!
//! A tensor of ONNX has axes, a value of the network has rows and columns. An axis is a product of *atoms*, and every
//! atom stands somewhere among the rows or the columns. Transposing, reshaping, squeezing only change how atoms make up
//! axes: no value moves, and nothing is added to the network.

use std::rc::Rc;

use super::tensor::Tensor;
use crate::layers::network::NodeRef;

/// A factor of an axis; its extent is more than 1, or not known before there is a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    /// Two atoms of one value are different; those of different values are compared by extent.
    pub(super) id: u32,
    /// Its extent, if it is known.
    pub(super) extent: Option<usize>,
}

/// An axis: its atoms, outermost first. None for extent 1.
pub(super) type Axis = Vec<Atom>;

/// A value of the network and how ONNX sees it.
#[derive(Clone, Debug)]
pub(super) struct Data {
    /// Where it is computed.
    pub(super) node: NodeRef,
    /// Its axes, outermost first.
    pub(super) axes: Vec<Axis>,
    /// The atoms that its rows count, outermost first: time, then what images have inside of it.
    pub(super) rows: Vec<Atom>,
    /// The atoms that its columns count, outermost first; all have an extent.
    pub(super) cols: Vec<Atom>,
}

/// Number of values that atoms count; `None` if one has no extent.
pub(super) fn count(atoms: &[Atom]) -> Option<usize> {
    atoms.iter().try_fold(1usize, |product, atom| product.checked_mul(atom.extent?))
}

impl Data {
    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        count(&self.cols).unwrap_or(0)
    }

    /// Whether there is one row a sequence.
    pub(super) fn single_row(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows of one step of the outermost atom of rows; `None` if an inner one has no extent.
    pub(super) fn inner(&self) -> Option<usize> {
        count(self.rows.get(1..).unwrap_or_default())
    }

    /// The index of column `column` on every axis, as far as columns decide it.
    pub(super) fn index_of_column(&self, column: usize) -> Vec<usize> {
        let (mut rest, mut digits) = (column, Vec::with_capacity(self.cols.len()));
        for atom in self.cols.iter().rev() {
            let extent = atom.extent.unwrap_or(1).max(1);
            digits.push((atom.id, rest % extent));
            rest /= extent;
        }
        let digit = |atom: &Atom| digits.iter().find(|(id, _)| *id == atom.id).map_or(0, |&(_, digit)| digit);
        let index = |axis: &Axis| axis.iter().fold(0, |sum, atom| sum * atom.extent.unwrap_or(1) + digit(atom));
        self.axes.iter().map(index).collect()
    }

    /// Whether all atoms of an axis are columns.
    pub(super) fn is_in_columns(&self, axis: usize) -> bool {
        self.axes.get(axis).is_some_and(|axis| axis.iter().all(|atom| self.cols.contains(atom)))
    }

    /// Whether the columns are the atoms of one axis, in any order.
    pub(super) fn columns_are(&self, axis: usize) -> bool {
        self.is_in_columns(axis) && self.axes.get(axis).is_some_and(|axis| axis.len() == self.cols.len())
    }

    /// Replaces an atom by others, wherever it stands.
    pub(super) fn replace(&mut self, id: u32, by: &[Atom]) {
        for atoms in self.axes.iter_mut().chain([&mut self.rows, &mut self.cols]) {
            if let Some(at) = atoms.iter().position(|atom| atom.id == id) {
                atoms.splice(at..=at, by.iter().copied());
            }
        }
    }
}

/// A step towards mean and deviation of `source` over some of its atoms, plain or with weights.
#[derive(Clone, Debug)]
pub(super) struct Statistic {
    pub(super) source: Data,
    /// What the weights are a softmax over time of; none for equal weights.
    pub(super) scores: Option<Data>,
    /// Axes of this value: those of the source, without what is reduced.
    pub(super) axes: Vec<Axis>,
    /// The atoms that sums run over; none before there is a sum.
    pub(super) over: Vec<Atom>,
    pub(super) kind: StatisticKind,
    /// What a variance is multiplied with, where that is a number.
    pub(super) factor: f64,
    /// Whether a variance is multiplied with T/(T − 1), for a T that is not known.
    pub(super) sample: SampleVariance,
    /// Largest variance, if it is clipped.
    pub(super) limit: f64,
    /// What is added to a variance.
    pub(super) epsilon: f64,
}

/// How far a variance is on its way to that of a sample: times T, then divided by T − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleVariance {
    No,
    TimesCount,
    Yes,
}

impl Statistic {
    /// A step from a value, with weights if there are scores.
    pub(super) fn new(source: Data, scores: Option<Data>, axes: Vec<Axis>, kind: StatisticKind) -> Self {
        let sample = SampleVariance::No;
        Self { source, scores, axes, over: vec![], kind, factor: 1.0, sample, limit: f64::INFINITY, epsilon: 0.0 }
    }

    /// Whether it is about the same value, weights and atoms.
    pub(super) fn belongs_to(&self, other: &Self) -> bool {
        let scores = |s: &Self| s.scores.as_ref().map(|scores| scores.node);
        self.source.node == other.source.node && scores(self) == scores(other) && self.over == other.over
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
    /// x², times weights
    WeightedSquare,
    /// (x − E\[x\])², times weights
    WeightedCentredSquare,
    /// T·E\[x\]
    Sum,
    /// E\[x\]
    Mean,
    /// E\[x²\]
    MeanOfSquare,
    /// E\[x\]²
    SquareOfMean,
    /// V = factor·(E\[x²\] − E\[x\]²) + epsilon
    Variance,
    /// min(max(V, minimum), limit)
    Clipped(f64),
    /// sqrt(min(max(V, minimum), limit))
    Deviation(f64),
    /// 1/sqrt(V)
    Reciprocal,
    /// sqrt(E\[x²\] + epsilon)
    Root,
    /// 1/sqrt(E\[x²\] + epsilon)
    ReciprocalRoot,
}

/// Products of queries and keys, on their way to attention.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    pub(super) query: Data,
    pub(super) key: Data,
    /// Axes: heads …, rows of the queries, rows of the keys.
    pub(super) axes: Vec<Axis>,
    /// Number of heads.
    pub(super) heads: usize,
    pub(super) scale: f64,
    pub(super) causal: bool,
    /// Whether the softmax over the keys is taken.
    pub(super) normalised: bool,
}

/// What is the same at every place of axes whose extents are not known, or counts the steps of one.
#[derive(Clone, Debug)]
pub(super) struct Every {
    pub(super) axes: Vec<Axis>,
    pub(super) along: Along,
}

/// What stands at every place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Along {
    /// 0, 1, 2, … along the only axis of more than one place.
    Steps,
    /// This number.
    Number(f64),
    /// One, divided by the extent of this atom.
    Share(u32),
}

/// Means of runs of rows, on their way to be repeated and cut to as many rows as there were.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    /// What they are means of.
    pub(super) source: Data,
    /// Rows of a run; the last may have fewer.
    pub(super) length: usize,
    pub(super) axes: Vec<Axis>,
    /// The atoms of the axes that count runs, and rows of a run once they are repeated.
    pub(super) rows: Axis,
}

/// What a name of the graph stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Data(Data),
    /// One row that stands for every row of what it is combined with.
    Expanded(Data),
    /// A value with zeros around it, which a convolution takes: before and after, for every axis.
    Padded(Data, Vec<[usize; 2]>),
    /// A softmax over all rows.
    Softmax(Data),
    Constant(Rc<Tensor>),
    /// A constant whose steps along time are cut to those of what it is combined with.
    Positions(Rc<Tensor>),
    /// The extent of an atom that is not known, less a number.
    Count(u32, f64),
    Every(Every),
    Statistic(Statistic),
    /// Euclidean norm of every row; the axis that it is taken over, and whether it is squared.
    Norm(Data, usize, bool),
    Scores(Box<Scores>),
    Segments(Box<Segments>),
    /// Which channel has the largest value.
    Largest(Data),
    /// Entries of states, by their numbers.
    State(Rc<Tensor>),
    /// Something that is not computed here, and why.
    Unavailable(&'static str),
}

impl Value {
    /// The axes, where there are some.
    pub(super) fn axes(&self) -> Option<&[Axis]> {
        match self {
            Self::Data(data) | Self::Expanded(data) | Self::Softmax(data) => Some(&data.axes),
            Self::Statistic(statistic) => Some(&statistic.axes),
            Self::Scores(scores) => Some(&scores.axes),
            Self::Segments(segments) => Some(&segments.axes),
            Self::Every(every) => Some(&every.axes),
            _ => None,
        }
    }
}
