//! Quantization: from a float network and the values it takes on recordings to integer layers.
//!
//! Every tensor has one power-of-two step. Its width and step follow from the largest value seen, with
//! a margin of at least 2. What is linear costs nothing: batch normalisation, sums, concatenations and
//! slices stay linear forms until a layer needs their value, and become weights of
//! its accumulator. Floats exist here only: what is built is integers.

use std::collections::BTreeMap;

use super::linear_form::{Accumulator, Columns, Source};
use super::lowering::{AnyLayer, LayerRef, Placed};
use super::matrix::FloatMatrix;
use super::network::{Network, Node, NodeRef, Op, Scalar};
use super::norm::Average;
use super::quantize_affine::{After, SATURATED_BITS, WIDE_BITS};
pub use super::quantize_ranges::{Constants, Ranges};
use super::quantize_read::read_layers;
use super::quantize_rows::scaled_parts;
use super::quantize_waveform::added;
use crate::error::ModelError;

/// What a quantizer decides by.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Bits of arguments of activation tables.
    pub bits: u32,
    /// Bits of the arguments of some layers, by their names: instead of `bits`.
    pub layer_bits: &'a BTreeMap<String, u32>,
    /// Whether the sequences' embeddings are averaged.
    pub average: bool,
    /// Whether what leaves a table is clamped to it, instead of having no proof.
    pub saturate: bool,
}

/// No layer has bits of its own.
static NO_LAYERS: BTreeMap<String, u32> = BTreeMap::new();

impl Options<'_> {
    /// The same bits for all layers; one sequence, and nothing is clamped.
    #[must_use]
    pub fn uniform(bits: u32) -> Self {
        Self { bits, layer_bits: &NO_LAYERS, average: false, saturate: false }
    }
}

/// Quantizes `network`, whose input has `fraction_bits` fraction bits.
///
/// # Errors
/// If an operation, or a sequence of operations, has no integer form yet.
pub fn quantize(
    network: &Network,
    ranges: &Ranges,
    fraction_bits: i32,
    options: Options<'_>,
    constants: &mut Constants,
) -> Result<Vec<Placed>, ModelError> {
    let input = Source {
        at: LayerRef::Input,
        fraction_bits,
        columns: network.input_columns,
        // Front ends admit twice the largest feature seen.
        bound: (2.0 * ranges.input * f64::from(fraction_bits).exp2()).ceil().max(1.0) as i64,
        non_negative: false,
    };
    let mut consumers = vec![0; network.nodes.len()];
    for node in network.nodes.iter().flat_map(|node| &node.inputs) {
        if let NodeRef::Node(index) = *node {
            consumers[index] += 1;
        }
    }
    let forms = Vec::with_capacity(network.nodes.len());
    let mut quantizer = Quantizer { network, ranges, options, constants, layers: Vec::new(), input, consumers, forms };
    for at in 0..network.nodes.len() {
        let form = quantizer.form(at)?;
        let form = quantizer.settle(at, form)?;
        quantizer.forms.push(form);
    }
    quantizer.finish()?;
    Ok(read_layers(quantizer.layers))
}

/// Bits of an output's largest magnitude, at most: a decision compares fourth powers of it.
const MAX_OUTPUT_BITS: u32 = 20;
/// Most columns that a diagonal matrix is made for.
const MAX_IDENTITY: usize = 4096;

/// What a node's value is so far.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Scaled columns of sources.
    Columns(Columns),
    /// Rows side by side, one value after another.
    Flat(Vec<Flat>),
    /// This many rows of a value side by side as one.
    Folded(Columns, usize),
    /// Contractions that no layer computes yet, by the name of the first.
    Accumulator(String, Accumulator),
    /// This value with its second row before the first.
    Mirrored(Source),
    /// The magnitude of such contractions, plus a constant.
    Magnitude {
        name: String,
        sum: Accumulator,
        floor: f64,
        /// Largest magnitude seen.
        range: f64,
    },
}

/// A part of a row that a dense layer takes as it is.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    pub(super) value: Columns,
    /// Number of rows that stand one after another: all of a sequence.
    pub(super) rows: usize,
    /// A factor and a summand for each of its columns, if there are some.
    pub(super) line: Option<(Vec<f64>, Vec<f64>)>,
}

impl Flat {
    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.rows * self.value.len()
    }
}

pub(super) struct Quantizer<'a> {
    pub(super) network: &'a Network,
    pub(super) ranges: &'a Ranges,
    pub(super) options: Options<'a>,
    pub(super) constants: &'a mut Constants,
    pub(super) layers: Vec<Placed>,
    input: Source,
    /// How many nodes read each node.
    consumers: Vec<usize>,
    forms: Vec<Form>,
}

impl Quantizer<'_> {
    pub(super) fn name(&self, at: usize) -> String {
        self.network.nodes[at].name.trim_matches('/').replace('/', ".")
    }

    /// Bits of the arguments of a layer's table.
    pub(super) fn bits_of(&self, name: &str) -> u32 {
        self.options.layer_bits.get(name).copied().unwrap_or(self.options.bits)
    }

    /// Bits of a quotient or of a table's arguments, at most: a table that is also clamped to is larger.
    pub(super) fn most_bits(&self) -> u32 {
        if self.options.saturate { SATURATED_BITS } else { WIDE_BITS }
    }

    /// Adds a layer.
    pub(super) fn push(&mut self, layer: AnyLayer, inputs: Vec<LayerRef>) -> LayerRef {
        self.layers.push(Placed { layer, inputs });
        LayerRef::Layer(self.layers.len() as u32 - 1)
    }

    /// Why a node cannot be quantized.
    pub(super) fn no_integer_form(&self, at: usize, how: &'static str, help: &'static str) -> ModelError {
        let node = &self.network.nodes[at];
        ModelError::NoIntegerForm { node: node.name.clone(), operation: node.op.name(), how, help }
    }

    /// The only input of a node.
    pub(super) fn input_of(&self, at: usize) -> NodeRef {
        self.network.nodes[at].inputs.first().copied().unwrap_or(NodeRef::Input)
    }

    /// The value of a node as columns; a layer is added if it is not known yet.
    pub(super) fn columns(&mut self, node: NodeRef) -> Result<Columns, ModelError> {
        let NodeRef::Node(index) = node else { return Ok(Columns::of(self.input.clone())) };
        match self.forms[index].clone() {
            Form::Columns(columns) => Ok(columns),
            Form::Accumulator(name, accumulator) => {
                Ok(Columns::of(self.affine(name, accumulator, self.ranges.of(node), After::Requantize)?))
            }
            Form::Flat(parts) => {
                let wide = self.no_integer_form(
                    index,
                    "of thousands of columns without a dense layer right after it",
                    "add a dense layer",
                );
                let columns = parts.iter().map(Flat::len).sum::<usize>();
                if columns > MAX_IDENTITY {
                    return Err(wide);
                }
                let one = FloatMatrix::from_fn(columns, columns, |r, c| f64::from(u8::from(r == c)));
                let sum = self.flat_dense(&parts, &one, &vec![0.0; columns]);
                Ok(Columns::of(self.affine(self.name(index), sum, self.ranges.of(node), After::Requantize)?))
            }
            Form::Folded(value, parts) => self.joined_rows(self.name(index), node, &value, parts),
            Form::Mirrored(_) => {
                let help = "let a convolution of two samples follow";
                Err(self.no_integer_form(index, "without a filter right after it", help))
            }
            Form::Magnitude { name, sum, floor, range } => {
                let function = self.function_of(index, &Scalar::magnitude(floor), [-range, range])?;
                Ok(Columns::of(self.affine(name, sum, range, function)?))
            }
        }
    }

    /// The value of a node as it is in a layer's output.
    pub(super) fn plain(&mut self, node: NodeRef) -> Result<Source, ModelError> {
        let columns = self.columns(node)?;
        match columns.plain() {
            Some(source) => Ok(source.clone()),
            None => self.requantized(node, &columns),
        }
    }

    /// A layer that computes scaled columns.
    pub(super) fn requantized(&mut self, node: NodeRef, columns: &Columns) -> Result<Source, ModelError> {
        let name = match node {
            NodeRef::Input => "input".to_owned(),
            NodeRef::Node(index) => self.name(index),
        };
        let sum = self.identity(node, columns)?;
        self.affine(name, sum, self.ranges.of(node), After::Requantize)
    }

    /// The value of a node as an accumulator.
    pub(super) fn accumulator(&mut self, node: NodeRef, name: String) -> Result<(String, Accumulator), ModelError> {
        if let NodeRef::Node(index) = node
            && let Form::Accumulator(name, accumulator) = self.forms[index].clone()
        {
            return Ok((name, accumulator));
        }
        let columns = self.columns(node)?;
        Ok((name, self.identity(node, &columns)?))
    }

    /// Scaled columns as an accumulator: a matrix of weights, so that wide values are refused.
    fn identity(&self, node: NodeRef, columns: &Columns) -> Result<Accumulator, ModelError> {
        match node {
            NodeRef::Node(index) if columns.len() > MAX_IDENTITY => {
                Err(self.no_integer_form(index, "of thousands of columns in front of a function", "add a dense layer"))
            }
            _ => Ok(Accumulator::identity(columns)),
        }
    }

    /// Contractions wait for a single reader only: several would each compute and round them.
    fn settle(&mut self, at: usize, form: Form) -> Result<Form, ModelError> {
        match form {
            Form::Accumulator(name, accumulator) if self.consumers[at] != 1 && !self.is_cut_to_parts(at) => {
                let range = self.ranges.of(NodeRef::Node(at));
                Ok(Form::Columns(Columns::of(self.affine(name, accumulator, range, After::Requantize)?)))
            }
            form => Ok(form),
        }
    }

    /// Whether a value is only read by slices, and these by magnitudes and powers, which take their parts unrounded.
    fn is_cut_to_parts(&self, at: usize) -> bool {
        let readers = |of: usize| {
            let reads = move |node: &&Node| node.inputs.contains(&NodeRef::Node(of));
            self.network.nodes.iter().enumerate().filter(move |(_, node)| reads(node))
        };
        let part = |index: usize| readers(index).all(|(_, node)| matches!(node.op, Op::Hypot | Op::Power));
        readers(at).all(|(index, node)| matches!(node.op, Op::Slice { .. }) && part(index)) && self.consumers[at] > 1
    }

    /// Makes the last node's value the output of the last layer.
    fn finish(&mut self) -> Result<(), ModelError> {
        let Some(last) = self.network.nodes.len().checked_sub(1) else { return Ok(()) };
        let mut source = self.plain(NodeRef::Node(last))?;
        // What a softmax gives is ranged by two limbs, its logarithm by none: wider than a score admits.
        let softmax = |layer: &AnyLayer| matches!(layer, AnyLayer::RowSoftmax(_) | AnyLayer::RowLogSoftmax(_));
        let wide = source.bound >> MAX_OUTPUT_BITS > 0 || self.layers.last().is_some_and(|last| softmax(&last.layer));
        if wide || source.at != LayerRef::Layer(self.layers.len().saturating_sub(1) as u32) {
            source = self.requantized(NodeRef::Node(last), &Columns::of(source))?;
        }
        if self.options.average {
            let (name, fraction_bits) = ("average".to_owned(), source.fraction_bits);
            self.push(AnyLayer::Average(Average { name, bits: WIDE_BITS, fraction_bits }), vec![source.at]);
        }
        Ok(())
    }

    /// What a node computes from its inputs.
    fn form(&mut self, at: usize) -> Result<Form, ModelError> {
        let network = self.network;
        let (name, input) = (self.name(at), self.input_of(at));
        let columns = |columns| Ok(Form::Columns(columns));
        match &network.nodes[at].op {
            Op::Affine { scale, shift } => match self.form_of(input) {
                Form::Accumulator(name, sum) => Ok(Form::Accumulator(name, sum.affine(scale, shift))),
                Form::Magnitude { name, sum, floor, range } if added(&network.nodes[at].op).is_some() => {
                    let floor = floor + added(&network.nodes[at].op).unwrap_or(0.0);
                    Ok(Form::Magnitude { name, sum, floor, range })
                }
                Form::Flat(parts) => Ok(Form::Flat(scaled_parts(parts, scale, shift))),
                _ => columns(self.columns(input)?.affine(scale, shift)),
            },
            Op::Dense { weight, bias } => self.dense(name, input, weight, bias),
            Op::Conv1d(conv) => self.conv1d_of(at, name, conv),
            Op::Conv2d(conv) => self.conv2d(name, input, conv),
            Op::Flatten => match self.form_of(input) {
                Form::Flat(parts) => Ok(Form::Flat(parts)),
                _ => {
                    let value = self.columns(input)?;
                    let Some(rows) = self.rows_before(at, &value) else {
                        return Err(self.no_integer_form(at, "of a length that is not known", "add a dense layer"));
                    };
                    Ok(Form::Flat(vec![Flat { value, rows, line: None }]))
                }
            },
            Op::Relu => columns(self.activation(name, input, After::Relu)?),
            Op::Sigmoid => columns(self.activation(name, input, After::Sigmoid)?),
            Op::Tanh => columns(self.activation(name, input, After::Tanh)?),
            Op::Add => self.add(at, name),
            Op::Concat if network.nodes[at].inputs.iter().any(|&i| matches!(self.form_of(i), Form::Flat(_))) => {
                self.flat_concat(at)
            }
            Op::Concat => {
                let parts: Result<Vec<Columns>, ModelError> =
                    network.nodes[at].inputs.iter().map(|&input| self.columns(input)).collect();
                columns(Columns::concat(parts?))
            }
            Op::Slice { first, columns: count } => match self.form_of(input) {
                Form::Accumulator(_, sum) => Ok(Form::Accumulator(name, sum.slice(*first, *count))),
                _ => columns(self.columns(input)?.slice(*first, *count)),
            },
            Op::Multiply => columns(self.multiply(at, name)?),
            Op::Hypot | Op::Power => columns(self.of_two_parts(at, name)?),
            Op::LogEnergy { floor, least } => columns(self.log_energy(at, name, input, (*floor, *least))?),
            Op::MaxPool2d(pool) => columns(self.max_pool(at, name, pool)?),
            Op::MaxPool1d { kernel, stride } => columns(self.time_max_pool(at, name, [*kernel, *stride])?),
            Op::MirrorPad => self.mirrored(at, input),
            Op::InstanceNorm { epsilon } => columns(self.instance_norm(at, name, input, *epsilon)?),
            Op::Abs => self.magnitude(name, input),
            Op::Log => columns(self.log_magnitude(at, input)?),
            Op::SubtractMean => columns(self.centred(&name, input)?),
            Op::AtMost { limit } => columns(self.at_most(&name, input, *limit)?),
            Op::LastRow => columns(self.last_row(name, input)?),
            Op::MeanPool => columns(self.mean(&name, input)?),
            Op::MaxOverTime => columns(self.max_over_time(name, input)?),
            Op::SegmentMean { rows } => columns(self.segment_mean(&name, input, *rows)?),
            Op::StatsPool { min_variance } => columns(self.stats(&name, input, *min_variance)?),
            Op::AttentiveStatsPool { min_variance } => {
                let inputs = [input, network.nodes[at].inputs[1]];
                columns(self.attentive_stats((at, &name), inputs, *min_variance)?)
            }
            Op::Lstm(_) | Op::Gru(_) => columns(self.recurrent(at, name, input)?),
            Op::L2Normalize => columns(self.normalize(at, name, input)?),
            Op::Quantize(levels) => columns(self.levels(at, name, levels)?),
            _ => self.form_of_rows(at, name, input),
        }
    }

    pub(super) fn form_of(&self, node: NodeRef) -> Form {
        match node {
            NodeRef::Input => Form::Columns(Columns::of(self.input.clone())),
            NodeRef::Node(index) => self.forms[index].clone(),
        }
    }

    pub(super) fn no_inputs(&self, at: usize) -> ModelError {
        self.no_integer_form(at, "without inputs", "give it some")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::network::Node;

    /// Quantizes a chain of operations on two columns; the node of the error, and its message.
    fn refused(ops: Vec<Op>) -> (String, String) {
        let node = |(i, op): (usize, Op)| {
            let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
            Node { name: format!("/encoder/layer.{i}"), op, inputs }
        };
        let network = Network::new(2, ops.into_iter().enumerate().map(node).collect());
        let count = network.nodes.len();
        let ranges = Ranges { outputs: vec![1.0; count], gates: vec![0.0; count], ..Ranges::default() };
        let options = Options::uniform(12);
        let error = quantize(&network, &ranges, 12, options, &mut Constants::default()).unwrap_err();
        match &error {
            ModelError::NoIntegerForm { node, .. } => (node.clone(), error.to_string()),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_layer_without_integer_form_is_named_as_in_the_network() {
        let dense = || Op::Dense { weight: FloatMatrix::zeros(2, 2), bias: vec![0.0; 2] };
        let cases = [
            (vec![Op::Flatten, Op::Relu], 0, "flattening of a length that is not known"),
            (vec![dense(), Op::MirrorPad, dense()], 1, "mirrored padding of more than one column"),
        ];
        for (ops, at, what) in cases {
            let (node, message) = refused(ops);
            assert_eq!(node, format!("/encoder/layer.{at}"), "{message}");
            assert!(message.contains(what) && message.contains("; "), "{message}");
            assert!(!message.contains("opset"), "{message}");
        }
    }

    #[test]
    fn a_small_network_does_not_call_for_large_matrices() {
        let node = |op: Op, inputs| Node { name: "wide".into(), op, inputs };
        let nodes = vec![
            node(Op::Concat, vec![NodeRef::Input; 64]),
            node(Op::Concat, vec![NodeRef::Node(0); 64]),
            node(Op::Relu, vec![NodeRef::Node(1)]),
        ];
        let network = Network::new(2, nodes);
        let options = Options::uniform(12);
        let ranges = Ranges { outputs: vec![1.0; 3], gates: vec![0.0; 3], ..Ranges::default() };
        let result = quantize(&network, &ranges, 12, options, &mut Constants::default());
        assert!(matches!(result, Err(ModelError::NoIntegerForm { .. })), "{result:?}");
    }
}
