//! A network in double precision: what an imported model is, and the reference for the integer one.
//!
//! Values are matrices whose rows are time and whose columns are channels. Several equally long
//! sequences may be stacked along the rows; every layer treats them independently, so that a
//! network embeds all partial windows of a recording at once. Only a recurrent layer that carries its state takes them for
//! chunks of one sequence. Images are sequences too: row y · width + x holds the channels of one pixel.
//!
//! [`Network::shapes`] checks every shape before anything is computed; the kernels rely on it.

mod images;
mod kernels;
mod ops;
mod parameters;
mod rows;
mod scalar;
mod shapes;

pub use ops::Op;
pub use parameters::{AveragePool2d, Conv1d, Conv2d, Gru, Levels, Lstm, MaxPool2d};
pub use rows::{Edge, RowMove};
pub use scalar::{KNOWN, Known, Scalar};

use super::matrix::FloatMatrix;
use crate::error::ModelError;

/// A directed acyclic graph of layers; the output is that of the last node.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Number of columns of the input.
    pub input_columns: usize,
    /// Number of rows of a sequence, if the network takes sequences of one length only.
    pub input_rows: Option<usize>,
    /// How the tensor that its graph takes makes up rows and columns, if it was read from one.
    pub input_axes: Option<InputAxes>,
    /// The layers; each takes its inputs from earlier ones.
    pub nodes: Vec<Node>,
}

/// How the axes of a tensor make up the rows and columns of a network's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputAxes {
    /// Extents of all axes, the batch first; `None` for one that is open.
    pub extents: Vec<Option<usize>>,
    /// The axes that rows consist of, the outermost first.
    pub rows: Vec<usize>,
    /// The axes that columns consist of, the outermost first.
    pub columns: Vec<usize>,
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
    /// A network on sequences of any length.
    #[must_use]
    pub fn new(input_columns: usize, nodes: Vec<Node>) -> Self {
        Self { input_columns, input_rows: None, input_axes: None, nodes }
    }

    /// The network without a softmax that it ends in, or its logarithm, and without the levels that this is rounded to: its logits, of which the
    /// largest is that of the largest probability, or of one of them if rounding made some equal.
    #[must_use]
    pub fn logits(mut self) -> Self {
        let rounded = self.ends_in(|op| matches!(op, Op::Quantize(_)));
        let logits = self.nodes.len().saturating_sub(usize::from(rounded));
        let quantized = self.nodes.split_off(logits);
        match self.ends_in(|op| matches!(op, Op::Softmax | Op::LogSoftmax)) {
            true => drop(self.nodes.pop()),
            false => self.nodes.extend(quantized),
        }
        self
    }

    /// Whether the last node is such an operation on the one before it.
    fn ends_in(&self, which: impl Fn(&Op) -> bool) -> bool {
        let before = self.nodes.len().checked_sub(2).map(NodeRef::Node);
        self.nodes
            .last()
            .is_some_and(|last| which(&last.op) && Some(&last.inputs[..]) == before.as_ref().map(std::slice::from_ref))
    }

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
        if let Some(rows) = self.input_rows.filter(|&rows| rows != sequence_length) {
            return Err(shape_error("input", format!("{rows} rows"), format!("{sequence_length} rows")));
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
