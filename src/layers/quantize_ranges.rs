//! What quantization goes by and adds to: the values of a network on recordings, and the weights of a model under
//! construction.

use std::collections::BTreeMap;

use super::lowering::Constant;
use super::matrix::FloatMatrix;
use super::network::{Network, NodeRef, Op};
use super::quantize_recurrent as recurrent;
use crate::sumcheck::int::{IntTable, IntVec};

/// The weights of a model under construction.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    tables: Vec<IntTable>,
}

impl Constants {
    /// Adds a matrix, rounded to `fraction_bits` bits.
    pub fn add(&mut self, matrix: &FloatMatrix, fraction_bits: i32) -> Constant {
        let one = f64::from(fraction_bits).exp2();
        let values: Vec<i128> = matrix.data.iter().map(|&x| (x * one).round() as i128).collect();
        let largest = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
        let bits = largest.next_power_of_two().trailing_zeros();
        let packed = IntVec::pack(values.into_iter(), -(1 << bits), 1 << bits).expect("the bound is their largest");
        self.tables.push(IntTable::new(matrix.rows, matrix.cols, packed));
        let number = self.tables.len() as u32 - 1;
        Constant { number, rows: matrix.rows as u32, cols: matrix.cols as u32, bits }
    }

    /// All matrices, by number.
    #[must_use]
    pub fn into_tables(self) -> Vec<IntTable> {
        self.tables
    }
}

/// What the values of a network were on the recordings.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    /// Largest magnitude of the input.
    pub input: f64,
    /// Largest magnitude of every node's output.
    pub outputs: Vec<f64>,
    /// Largest argument of the gates of every recurrent node; zero for other operations.
    pub gates: Vec<f64>,
    /// Largest cell state of every LSTM; zero for other operations.
    pub cells: Vec<f64>,
    /// Smallest and largest argument of every node that is a function of one value; of one with a softmax, zero and how
    /// far scores lie below the largest.
    pub arguments: BTreeMap<usize, [f64; 2]>,
    /// Rows of a sequence before every flattening; what was observed last counts.
    pub rows: BTreeMap<usize, usize>,
}

impl Ranges {
    /// Adds a recording: the network's input and every node's output.
    pub fn observe(&mut self, network: &Network, input: &FloatMatrix, outputs: &[FloatMatrix], sequence_length: usize) {
        self.outputs.resize(network.nodes.len(), 0.0);
        self.gates.resize(network.nodes.len(), 0.0);
        self.cells.resize(network.nodes.len(), 0.0);
        self.input = self.input.max(input.max_abs());
        let sequences = input.rows.checked_div(sequence_length).unwrap_or(1).max(1);
        for (i, node) in network.nodes.iter().enumerate() {
            let before = match node.inputs.first() {
                Some(&NodeRef::Node(index)) => &outputs[index],
                _ => input,
            };
            self.outputs[i] = self.outputs[i].max(outputs[i].max_abs());
            let [gate, cell] = recurrent::largest(&node.op, before, &outputs[i], outputs[i].rows / sequences);
            self.gates[i] = self.gates[i].max(gate);
            self.cells[i] = self.cells[i].max(cell);
            if let Op::Function(_) | Op::Log = node.op {
                let seen = self.arguments.entry(i).or_insert([f64::INFINITY, f64::NEG_INFINITY]);
                *seen = before.data.iter().fold(*seen, |[low, high], &x| [low.min(x), high.max(x)]);
            }
            if let Op::Attention { heads, scale, .. } = node.op {
                let of = |input: usize| match node.inputs.get(input) {
                    Some(&NodeRef::Node(index)) => &outputs[index],
                    _ => before,
                };
                let found = largest_distance(of(0), of(1), heads, sequence_length) * scale.abs();
                let seen = self.arguments.entry(i).or_insert([0.0, 0.0]);
                seen[1] = seen[1].max(found);
            }
            if let Op::Flatten = node.op {
                self.rows.insert(i, outputs[i].cols / before.cols.max(1));
            }
            if let (Op::AttentiveStatsPool { .. }, Some(&NodeRef::Node(scores))) = (&node.op, node.inputs.get(1)) {
                let found = largest_spread(&outputs[scores]);
                let seen = self.arguments.entry(i).or_insert([0.0, 0.0]);
                seen[1] = seen[1].max(found);
            }
        }
    }

    /// Largest magnitude of what an input of a node refers to.
    pub(super) fn of(&self, node: NodeRef) -> f64 {
        match node {
            NodeRef::Input => self.input,
            NodeRef::Node(index) => self.outputs.get(index).copied().unwrap_or(0.0),
        }
    }
}

/// How far the values of a column lie apart, at most.
fn largest_spread(values: &FloatMatrix) -> f64 {
    let mut seen = vec![[f64::INFINITY, f64::NEG_INFINITY]; values.cols];
    for row in values.data.chunks_exact(values.cols.max(1)) {
        seen.iter_mut().zip(row).for_each(|([low, high], &x)| (*low, *high) = (low.min(x), high.max(x)));
    }
    seen.iter().map(|[low, high]| high - low).fold(0.0, f64::max)
}

/// How far the scores of a query lie apart, at most.
fn largest_distance(query: &FloatMatrix, key: &FloatMatrix, heads: usize, length: usize) -> f64 {
    let (width, length) = (query.cols / heads.max(1), length.max(1));
    let mut most = 0f64;
    for (row, head) in (0..query.rows).flat_map(|row| (0..heads).map(move |head| (row, head))) {
        let part = |m: &FloatMatrix, row: usize| m.row(row)[head * width..(head + 1) * width].to_vec();
        let (q, first) = (part(query, row), row / length * length);
        let score = |j: usize| q.iter().zip(part(key, first + j)).map(|(a, b)| a * b).sum::<f64>();
        let [low, high] = (0..length.min(key.rows - first))
            .map(score)
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], s| [low.min(s), high.max(s)]);
        most = most.max(high - low);
    }
    most
}
