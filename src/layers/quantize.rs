//! Quantization: from a float network and the values it takes on recordings to integer layers.
//!
//! Every tensor has one power-of-two step. Its width and step follow from the largest value seen, with
//! a margin of at least 2; batch normalisation is folded into the weights around it, so it costs
//! nothing. Floats exist here only: what is built is integers.

use super::affine::{Affine, Finish, Function, Taps};
use super::lowering::{AnyLayer, Constant};
use super::matrix::FloatMatrix;
use super::network::{Conv1d, Network, Op};
use super::norm::{Average, Normalize};
use super::pooling::{LastRow, MaxPool, MeanDense, StatsDense};
use super::quantize_recurrent as recurrent;
use super::quantize_weights::{PerColumn, compose, fold_before, sigmoid, split_taps, stack, step, weight_bits};
use crate::error::ModelError;
use crate::sumcheck::int::{IntTable, IntVec};

/// Bits of values that are not arguments of a table.
const WIDE_BITS: u32 = 16;
/// Bits by which a deviation is computed more finely than its input.
const GUARD_BITS: u32 = 8;

/// The weights of a model under construction.
#[derive(Debug, Default)]
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

/// Largest magnitude of every node's output on the recordings, and of the gates of recurrent nodes.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    /// By node.
    pub outputs: Vec<f64>,
    /// By node; zero for other operations.
    pub gates: Vec<f64>,
}

impl Ranges {
    /// Adds a recording: the network's input and every node's output.
    pub fn observe(&mut self, network: &Network, input: &FloatMatrix, outputs: &[FloatMatrix], sequence_length: usize) {
        self.outputs.resize(network.nodes.len(), 0.0);
        self.gates.resize(network.nodes.len(), 0.0);
        for (i, node) in network.nodes.iter().enumerate() {
            let before = if i == 0 { input } else { &outputs[i - 1] };
            self.outputs[i] = self.outputs[i].max(outputs[i].max_abs());
            self.gates[i] = self.gates[i].max(recurrent::largest_gate(&node.op, before, &outputs[i], sequence_length));
        }
    }
}

/// What a quantizer decides by.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bits of arguments of activation tables.
    pub bits: u32,
    /// Whether the sequences' embeddings are averaged.
    pub average: bool,
}

/// Quantizes `network`, whose input has `fraction_bits` fraction bits.
///
/// # Errors
/// If an operation, or a sequence of operations, has no integer form yet.
pub fn quantize(
    network: &Network,
    ranges: &Ranges,
    fraction_bits: i32,
    options: Options,
    constants: &mut Constants,
) -> Result<Vec<AnyLayer>, ModelError> {
    let mut quantizer =
        Quantizer { network, ranges, options, constants, layers: Vec::new(), fraction_bits, affine: None, at: 0 };
    while quantizer.at < network.nodes.len() {
        quantizer.step()?;
    }
    if quantizer.affine.is_some() {
        let last = network.nodes.len().saturating_sub(1);
        return Err(quantizer.no_integer_form(last, "as the last layer", "end the network in a dense layer"));
    }
    if options.average {
        let fraction_bits = quantizer.fraction_bits;
        let name = "average".to_owned();
        quantizer.layers.push(AnyLayer::Average(Average { name, bits: WIDE_BITS, fraction_bits }));
    }
    Ok(quantizer.layers)
}

struct Quantizer<'a> {
    network: &'a Network,
    ranges: &'a Ranges,
    options: Options,
    constants: &'a mut Constants,
    layers: Vec<AnyLayer>,
    /// Fraction bits of the current value.
    fraction_bits: i32,
    /// Scale and shift per column that the next layer has to fold in.
    affine: Option<PerColumn>,
    /// Next node.
    at: usize,
}

impl Quantizer<'_> {
    fn op(&self, index: usize) -> Option<&Op> {
        self.network.nodes.get(index).map(|node| &node.op)
    }

    fn name(&self) -> String {
        self.network.nodes[self.at].name.trim_matches('/').replace('/', ".")
    }

    fn step(&mut self) -> Result<(), ModelError> {
        let name = self.name();
        let fraction_bits = self.fraction_bits;
        match self.network.nodes[self.at].op.clone() {
            Op::Affine { scale, shift } => {
                self.affine = Some(compose(self.affine.take(), scale, shift));
                self.at += 1;
            }
            Op::Dense { weight, bias } => {
                let taps = vec![weight];
                self.affine(name, Taps::Same, taps, bias)?;
            }
            Op::Flatten => self.flatten(name)?,
            Op::Conv1d(conv) => self.conv1d(name, &conv)?,
            Op::Conv2d(conv) => {
                let [h, w] = conv.image.map(|x| x as u32);
                let image = Taps::Image {
                    image: [h, w],
                    kernel: conv.kernel.map(|x| x as u32),
                    stride: conv.stride.map(|x| x as u32),
                    padding: conv.padding.map(|x| x as u32),
                };
                self.no_padding_after_affine(conv.padding.iter().any(|&p| p > 0))?;
                let taps = split_taps(&conv.weight, conv.in_channels, conv.out_channels);
                self.affine(name, image, taps, conv.bias)?;
            }
            Op::MaxPool2d(pool) => {
                let taps = Taps::Image {
                    image: pool.image.map(|x| x as u32),
                    kernel: pool.kernel.map(|x| x as u32),
                    stride: pool.stride.map(|x| x as u32),
                    padding: pool.padding.map(|x| x as u32),
                };
                if pool.padding != [0; 4] {
                    return Err(self.no_integer_form(self.at, "with padding", "pool without padding"));
                }
                self.push(AnyLayer::MaxPool(MaxPool { name, taps, bits: self.bits_of_last(), fraction_bits }));
            }
            Op::LastRow => self.push(AnyLayer::LastRow(LastRow { name, fraction_bits })),
            Op::Lstm(lstm) => {
                let range = [self.ranges.gates[self.at], self.ranges.outputs[self.at]];
                let layer = recurrent::lstm(name, &lstm, fraction_bits, range, self.constants);
                self.fraction_bits = layer.gate_bits as i32;
                self.push(AnyLayer::Lstm(layer));
            }
            Op::Gru(gru) => {
                let layer = recurrent::gru(name, &gru, fraction_bits, self.ranges.gates[self.at], self.constants);
                self.fraction_bits = layer.gate_bits as i32;
                self.push(AnyLayer::Gru(layer));
            }
            Op::MeanPool => self.mean_dense(name)?,
            Op::StatsPool { min_variance } => self.stats_dense(name, min_variance)?,
            Op::L2Normalize => self.normalize(name)?,
            Op::Relu | Op::Sigmoid | Op::Tanh => {
                let help = "put it right after one, or after its batch normalisation";
                return Err(self.no_integer_form(self.at, "that follows no dense layer or convolution", help));
            }
        }
        Ok(())
    }

    fn push(&mut self, layer: AnyLayer) {
        self.layers.push(layer);
        self.at += 1;
    }

    /// Why the node with index `at` cannot be quantized.
    fn no_integer_form(&self, at: usize, how: &'static str, help: &'static str) -> ModelError {
        let (node, operation) =
            self.network.nodes.get(at).map_or(("", "a network"), |node| (node.name.as_str(), node.op.name()));
        ModelError::NoIntegerForm { node: node.to_owned(), operation, how, help }
    }

    /// Zeros around the input of the affine layer are not zeros of its output.
    fn no_padding_after_affine(&self, padded: bool) -> Result<(), ModelError> {
        if padded && self.affine.is_some() {
            let help = "put the batch normalisation after a layer that can absorb it";
            return Err(self.no_integer_form(self.at, "with zero padding right after a batch normalisation", help));
        }
        Ok(())
    }

    fn conv1d(&mut self, name: String, conv: &Conv1d) -> Result<(), ModelError> {
        self.no_padding_after_affine(conv.pad_left + conv.pad_right > 0)?;
        let taps = Taps::Time {
            kernel: conv.kernel as u32,
            stride: conv.stride as u32,
            dilation: conv.dilation as u32,
            pad_left: conv.pad_left as u32,
            pad_right: conv.pad_right as u32,
        };
        self.affine(name, taps, split_taps(&conv.weight, conv.in_channels, conv.out_channels), conv.bias.clone())
    }

    /// Flatten, then dense: one contraction over all rows of a sequence.
    fn flatten(&mut self, name: String) -> Result<(), ModelError> {
        let (weight, bias) = self.dense_after()?;
        let columns = self.columns_of_last().unwrap_or(weight.rows).max(1);
        let rows = weight.rows / columns;
        let taps = (0..rows)
            .map(|t| FloatMatrix::from_fn(columns, weight.cols, |c, n| weight.row(t * columns + c)[n]))
            .collect();
        self.affine(name, Taps::All, taps, bias)
    }

    /// Columns of the output of the last affine layer.
    fn columns_of_last(&self) -> Option<usize> {
        self.layers.iter().rev().find_map(|layer| match layer {
            AnyLayer::Affine(affine) => Some(affine.weight.cols as usize),
            _ => None,
        })
    }

    /// Bits of the current value, a sign included.
    fn bits_of_last(&self) -> u32 {
        match self.layers.iter().rev().find(|layer| !matches!(layer, AnyLayer::MaxPool(_))) {
            Some(AnyLayer::Affine(Affine { finish: Finish::Activate { function, .. }, .. })) => {
                let largest = function.values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
                u64::BITS - largest.leading_zeros() + 1
            }
            _ => self.options.bits.max(WIDE_BITS),
        }
    }

    /// A dense layer or convolution with what is folded into it and what follows it.
    fn affine(
        &mut self,
        name: String,
        taps: Taps,
        mut weights: Vec<FloatMatrix>,
        mut bias: Vec<f64>,
    ) -> Result<(), ModelError> {
        fold_before(self.affine.take(), &mut weights, &mut bias);
        if let Some(Op::Affine { scale, shift }) = self.op(self.at + 1).cloned() {
            self.at += 1;
            for weight in &mut weights {
                *weight = FloatMatrix::from_fn(weight.rows, weight.cols, |c, n| weight.row(c)[n] * scale[n]);
            }
            bias = bias.iter().zip(scale.iter().zip(&shift)).map(|(b, (a, s))| a * b + s).collect();
        }
        let range = self.ranges.outputs[self.at];
        let function = match self.op(self.at + 1) {
            Some(Op::Relu) => Some(("relu", (|x: f64| x.max(0.0)) as fn(f64) -> f64)),
            Some(Op::Sigmoid) => Some(("sigmoid", sigmoid as fn(f64) -> f64)),
            Some(Op::Tanh) => Some(("tanh", f64::tanh as fn(f64) -> f64)),
            _ => None,
        };
        let bits = if function.is_some() { self.options.bits } else { WIDE_BITS };
        let argument_bits = step(bits, range);
        let weight_bits = weight_bits(argument_bits - self.fraction_bits, &weights);
        let scale = self.fraction_bits + weight_bits;
        let shift = (scale - argument_bits) as u32;
        let weight = self.constants.add(&stack(&weights), weight_bits);
        let bias = self.constants.add(&FloatMatrix::new(1, bias.len(), bias), scale);
        let (finish, fraction_bits) = match function {
            None => (Finish::Requantize { shift, bits }, argument_bits),
            Some((kind, f)) => {
                let output_bits = if kind == "relu" { argument_bits } else { 13 };
                let mut function = Function::tabulate(kind, bits, argument_bits, output_bits, f);
                if kind == "relu" {
                    // On integers it is the same function at every scale: its table is shared.
                    function.name = format!("relu{bits}");
                }
                self.at += 1;
                (Finish::Activate { shift, function }, output_bits)
            }
        };
        self.fraction_bits = fraction_bits;
        self.push(AnyLayer::Affine(Affine { name, taps, weight, bias, finish, fraction_bits }));
        Ok(())
    }

    /// Moves on to the dense layer that the current one is joined with.
    fn dense_after(&mut self) -> Result<(FloatMatrix, Vec<f64>), ModelError> {
        let Some(Op::Dense { weight, bias }) = self.op(self.at + 1).cloned() else {
            return Err(self.no_integer_form(self.at, "without a dense layer right after it", "add a dense layer"));
        };
        self.at += 1;
        Ok((weight, bias))
    }

    fn mean_dense(&mut self, name: String) -> Result<(), ModelError> {
        let (weight, mut bias) = self.dense_after()?;
        let mut weights = vec![weight];
        fold_before(self.affine.take(), &mut weights, &mut bias);
        let fraction_bits = step(WIDE_BITS, self.ranges.outputs[self.at]);
        let weight_bits = 14;
        let scale = self.fraction_bits + weight_bits;
        let weight = self.constants.add(&weights[0], weight_bits);
        let bias = self.constants.add(&FloatMatrix::new(1, bias.len(), bias), scale);
        let shift = (scale - fraction_bits).max(0) as u32;
        self.fraction_bits = fraction_bits;
        self.push(AnyLayer::MeanDense(MeanDense { name, weight, bias, shift, bits: WIDE_BITS, fraction_bits }));
        Ok(())
    }

    /// With `x = a·z + s` per column, `mean(x) = a·mean(z) + s` and `deviation(x) = |a|·deviation(z)`, whose
    /// smallest variance is `θ/a²`.
    fn stats_dense(&mut self, name: String, min_variance: f64) -> Result<(), ModelError> {
        let (weight, bias) = self.dense_after()?;
        let columns = weight.rows / 2;
        let (scale, shift) = self.affine.take().unwrap_or_else(|| (vec![1.0; columns], vec![0.0; columns]));
        let mut mean = vec![FloatMatrix::from_fn(columns, weight.cols, |c, n| weight.row(c)[n])];
        let mut bias = bias;
        fold_before(Some((scale.clone(), shift)), &mut mean, &mut bias);
        let deviation = FloatMatrix::from_fn(columns, weight.cols, |c, n| weight.row(columns + c)[n] * scale[c].abs());
        let smallest = FloatMatrix::from_fn(1, columns, |_, c| (min_variance / (scale[c] * scale[c])).min(1e6));
        let fraction_bits = step(WIDE_BITS, self.ranges.outputs[self.at]);
        let (weight_bits, fine) = (12, self.fraction_bits + GUARD_BITS as i32);
        let layer = StatsDense {
            name,
            mean_weight: self.constants.add(&mean[0], weight_bits),
            deviation_weight: self.constants.add(&deviation, weight_bits),
            bias: self.constants.add(&FloatMatrix::new(1, bias.len(), bias), weight_bits + fine),
            min_variance: self.constants.add(&smallest, 2 * fine),
            guard_bits: GUARD_BITS,
            shift: (weight_bits + fine - fraction_bits).max(0) as u32,
            bits: WIDE_BITS,
            fraction_bits,
        };
        self.fraction_bits = fraction_bits;
        self.push(AnyLayer::StatsDense(layer));
        Ok(())
    }

    fn normalize(&mut self, name: String) -> Result<(), ModelError> {
        if !matches!(self.at.checked_sub(1).and_then(|i| self.op(i)), Some(Op::Relu)) {
            return Err(self.no_integer_form(self.at, "of values that may be negative", "put it right after a Relu"));
        }
        if !self.options.average && self.at + 1 == self.network.nodes.len() {
            // A cosine does not see the length: the last normalisation of a single sequence is left out.
            self.at += 1;
            return Ok(());
        }
        let columns = self.columns_of_last().unwrap_or(1);
        let ones = self.constants.add(&FloatMatrix::from_fn(columns, 1, |_, _| 1.0), 0);
        self.fraction_bits = 14;
        self.push(AnyLayer::Normalize(Normalize { name, ones, guard_bits: GUARD_BITS, fraction_bits: 14 }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::network::{MaxPool2d, Node, NodeRef};

    /// Quantizes a chain of operations on two columns; the node of the error, and its message.
    fn refused(ops: Vec<Op>) -> (String, String) {
        let node = |(i, op): (usize, Op)| {
            let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
            Node { name: format!("/encoder/layer.{i}"), op, inputs }
        };
        let network = Network { input_columns: 2, nodes: ops.into_iter().enumerate().map(node).collect() };
        let ranges = Ranges { outputs: vec![1.0; network.nodes.len()], gates: vec![0.0; network.nodes.len()] };
        let options = Options { bits: 12, average: false };
        let error = quantize(&network, &ranges, 12, options, &mut Constants::default()).unwrap_err();
        match &error {
            ModelError::NoIntegerForm { node, .. } => (node.clone(), error.to_string()),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_layer_without_integer_form_is_named_as_in_the_network() {
        let dense = || Op::Dense { weight: FloatMatrix::zeros(2, 2), bias: vec![0.0; 2] };
        let affine = || Op::Affine { scale: vec![1.0; 2], shift: vec![0.0; 2] };
        let conv = |pad_left| {
            let weight = vec![0.5; 4];
            let (in_channels, out_channels, bias) = (2, 2, vec![0.0; 2]);
            let (kernel, stride, dilation, pad_right) = (1, 1, 1, 0);
            Op::Conv1d(Conv1d {
                weight,
                kernel,
                in_channels,
                out_channels,
                bias,
                stride,
                dilation,
                pad_left,
                pad_right,
            })
        };
        let pool = MaxPool2d { image: [2, 2], kernel: [2, 2], stride: [2, 2], padding: [1, 0, 0, 0] };
        let cases = [
            (vec![dense(), Op::Relu, Op::Tanh], 2, "Tanh that follows no dense layer"),
            (vec![dense(), Op::Relu, affine()], 2, "batch normalisation as the last layer"),
            (vec![affine(), conv(1)], 1, "a convolution with zero padding right after"),
            (vec![dense(), Op::MeanPool, Op::Relu], 1, "mean pooling without a dense layer"),
            (vec![Op::Flatten], 0, "flattening without a dense layer"),
            (vec![dense(), Op::L2Normalize, dense()], 1, "division by the norm of values that may be negative"),
            (vec![dense(), Op::MaxPool2d(pool)], 1, "max pooling with padding"),
        ];
        for (ops, at, what) in cases {
            let (node, message) = refused(ops);
            assert_eq!(node, format!("/encoder/layer.{at}"), "{message}");
            assert!(message.contains(what) && message.contains("; "), "{message}");
            assert!(!message.contains("opset"), "{message}");
        }
    }
}
