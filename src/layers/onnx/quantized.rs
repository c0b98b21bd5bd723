//! Models that are quantized already: QuantizeLinear, DequantizeLinear, and layers of integers.
//!
//! A name of integers has the value that they stand for, `scale · (integer − zero_point)`, and that [`Encoding`] beside it. So a
//! QuantizeLinear is a layer that rounds and clamps ([`Op::Quantize`]), a DequantizeLinear is nothing at all, and a QLinearConv is
//! a convolution of values followed by the first. Operators that only move values move integers as well; any other one that
//! would compute with integers is refused.
//!
//! Operators: <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>.

use super::conv::CONV_ATTRIBUTES;
use super::fold;
use super::import::Importer;
use super::layout::shape;
use super::node::NodeView;
use super::tensor::{Tensor, integer_bounds};
use super::value::{Data, Value};
use crate::error::ModelError;
use crate::layers::network::{Levels, NodeRef, Op};

/// What integers stand for: `scale · (integer − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Encoding {
    /// Positive.
    pub(super) scale: f64,
    pub(super) zero_point: i64,
}

/// The integers of a product of integers.
const EXACT: Encoding = Encoding { scale: 1.0, zero_point: 0 };
/// Scales that a model may have, smallest and largest: far beyond both, weights are infinite in units of the scale.
const SCALES: [f64; 2] = [1e-12, 1e12];

/// Operators that take integers for what they are.
const TAKE_INTEGERS: [&str; 8] =
    ["Cast", "ConvInteger", "DequantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "Shape", "Size"];
/// Operators that move values and leave them as they are, or choose the largest: first input, all outputs.
const MOVE_INTEGERS: [&str; 12] = [
    "Concat",
    "Flatten",
    "Gather",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

impl<'a> Importer<'a> {
    /// Outputs of what moves integers have the encoding of its inputs; what cannot take integers is refused.
    pub(super) fn carry_encoding(&mut self, node: &NodeView<'a>) -> Result<(), ModelError> {
        let inputs = (0..node.num_inputs()).filter_map(|index| node.input(index));
        let found: Vec<Option<Encoding>> = inputs.map(|name| self.encodings.get(name).copied()).collect();
        let Some(encoding) = found.iter().copied().flatten().next() else { return Ok(()) };
        let operator = node.operator();
        if TAKE_INTEGERS.contains(&&*operator) {
            return Ok(());
        }
        let first = found.first().copied().flatten().is_some();
        let alike = operator != "Concat" || found.iter().all(|found| *found == Some(encoding));
        if !MOVE_INTEGERS.contains(&&*operator) || !first || !alike {
            let help = "it would compute with integers of a QuantizeLinear; put a DequantizeLinear before it";
            return Err(node.unsupported(help));
        }
        self.encodings.extend(node.outputs().iter().map(|name| (name.as_str(), encoding)));
        Ok(())
    }

    /// The encoding of a node's inputs: a scale and, if there is one, a zero point.
    fn encoding(&mut self, node: &NodeView, [scale, zero]: [usize; 2]) -> Result<Encoding, ModelError> {
        let name = node.required_input(scale)?;
        let (dims, scales) = self.floats(node, name)?;
        let &[scale] = &scales[..] else {
            let help = "activations need one scale for all channels, only weights may have several";
            return Err(node.refuse(name, format!("{dims:?}"), help));
        };
        if !(SCALES[0]..=SCALES[1]).contains(&scale) {
            return Err(node.refuse(name, scale, "a scale is a positive number, from 1e-12 to 1e12"));
        }
        Ok(Encoding { scale, zero_point: self.zero_point(node, zero)? })
    }

    /// A zero point of one integer; zero if it is left out.
    fn zero_point(&mut self, node: &NodeView, input: usize) -> Result<i64, ModelError> {
        let Some(name) = node.input(input) else { return Ok(0) };
        match self.tensor(node, name)?.ints() {
            Some(&[zero]) => Ok(zero),
            _ => Err(node.refuse(name, "several numbers", "activations need one zero point, an integer")),
        }
    }

    /// Smallest and largest integer of the type that a node quantizes to: that of a zero point, or else of an attribute; 8 bits
    /// without a sign if there is neither.
    fn bounds(&self, node: &NodeView, zero: usize) -> Result<[i64; 2], ModelError> {
        let given = match node.input(zero) {
            Some(name) => Some((name, self.data_type(name))),
            None => match node.int("output_dtype", 0)? {
                0 => None,
                number => Some(("output_dtype", i32::try_from(number).ok())),
            },
        };
        let Some((what, data_type)) = given else { return Ok([0, 255]) };
        let bounds = data_type.and_then(integer_bounds).filter(|[low, high]| high - low < 1 << 16);
        bounds.ok_or_else(|| {
            let found = data_type.map_or_else(|| "an unknown type".into(), |number| format!("data type {number}"));
            node.refuse(what, found, "quantize to uint8, int8, uint16 or int16, the zero point a tensor of the file")
        })
    }

    /// The value that integers of a name stand for, if the node reads them with this encoding.
    fn decoded(&mut self, node: &NodeView, name: &str, read: Encoding) -> Result<Data, ModelError> {
        let Some(&given) = self.encodings.get(name) else {
            let help = format!("{name:?} must be what a QuantizeLinear or a QLinear operator gives, or a constant");
            return Err(node.unsupported(help));
        };
        let data = self.data(node, name)?;
        if given == read {
            return Ok(data);
        }
        // (q − z')·s' for q = x/s + z
        let summand = (given.zero_point - read.zero_point) as f64 * read.scale;
        self.scaled(node, &data, read.scale / given.scale, summand)
    }

    /// A value rounded and clamped to what the node's first output can encode.
    fn encoded(
        &mut self,
        node: &NodeView<'a>,
        data: &Data,
        to: Encoding,
        bounds: [i64; 2],
    ) -> Result<Data, ModelError> {
        let [low, high] = bounds.map(|bound| i32::try_from(bound.saturating_sub(to.zero_point)));
        let (Ok(low), Ok(high), true) = (low, high, (bounds[0]..=bounds[1]).contains(&to.zero_point)) else {
            return Err(node.malformed(format!("has a zero point {} beyond its type", to.zero_point)));
        };
        self.encodings.extend(node.outputs().first().map(|name| (name.as_str(), to)));
        let levels = Levels { scale: to.scale, low, high };
        if self.has_levels(data.node, &levels) {
            return Ok(data.clone());
        }
        Ok(self.push(node, data, Op::Quantize(levels)))
    }

    /// Whether all entries of a value are such levels already: it moves, or chooses, what was rounded to them.
    fn has_levels(&self, from: NodeRef, levels: &Levels) -> bool {
        let mut at = from;
        while let NodeRef::Node(index) = at
            && let Some(node) = self.nodes.get(index)
        {
            match (&node.op, &node.inputs[..]) {
                (Op::Quantize(before), _) => {
                    return before.scale == levels.scale && levels.low <= before.low && before.high <= levels.high;
                }
                (
                    Op::MaxPool1d { .. }
                    | Op::MaxPool2d(_)
                    | Op::Flatten
                    | Op::Slice { .. }
                    | Op::Rows(_)
                    | Op::Fold { .. }
                    | Op::Unfold { .. }
                    | Op::LastRow
                    | Op::Relu,
                    &[input],
                ) => at = input,
                _ => return false,
            }
        }
        false
    }

    pub(super) fn quantize_linear(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&["axis", "block_size", "output_dtype", "precision", "saturate"])?;
        node.at_most_inputs(3)?;
        node.int_only("block_size", 0, "quantize by channel or tensor")?;
        let bounds = self.bounds(node, 2)?;
        let name = node.required_input(0)?;
        if let Value::Constant(tensor) = self.value(node, name)? {
            let scale = self.tensor(node, node.required_input(1)?)?;
            let zero = node.input(2).map(|name| self.tensor(node, name)).transpose()?;
            let result = fold::quantized(node, &tensor, (&scale, zero.as_deref()), bounds)?;
            let result = result.ok_or_else(|| node.malformed("quantizes a constant that is not of floats"))?;
            return self.constant_value(node, result);
        }
        let data = self.data(node, name)?;
        let to = self.encoding(node, [1, 2])?;
        self.encoded(node, &data, to, bounds).map(Value::Data)
    }

    pub(super) fn dequantize_linear(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&["axis", "block_size", "output_dtype"])?;
        node.at_most_inputs(3)?;
        node.int_only("block_size", 0, "quantize by channel or tensor")?;
        let from = self.encoding(node, [1, 2])?;
        self.decoded(node, node.required_input(0)?, from).map(Value::Data)
    }

    /// Constant weights of integers as the numbers that they stand for; without a scale, that is 1.
    fn weights(
        &mut self,
        node: &NodeView,
        [weight, zero]: [usize; 2],
        scale: Option<usize>,
        axis: i64,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let weight = self.tensor(node, node.required_input(weight)?)?;
        let scale = match scale {
            Some(input) => self.tensor(node, node.required_input(input)?)?.as_ref().clone(),
            None => Tensor::scalar(1.0),
        };
        let finite = scale.floats().is_some_and(|scales| scales.iter().all(|s| s.is_finite()));
        let zero = node.input(zero).map(|name| self.tensor(node, name)).transpose()?;
        let result = fold::dequantized(node, &weight, (&scale, zero.as_deref()), axis)?.filter(|_| finite);
        let result = result.ok_or_else(|| node.malformed("needs integers as weights and finite floats as scales"))?;
        self.spend(node, result.len())?;
        Ok((result, scale))
    }

    pub(super) fn qlinear_conv(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&CONV_ATTRIBUTES)?;
        node.at_most_inputs(9)?;
        let from = self.encoding(node, [1, 2])?;
        let data = self.decoded(node, node.required_input(0)?, from)?;
        let (weight, scale) = self.weights(node, [3, 5], Some(4), 0)?;
        let bias = match node.input(8) {
            Some(name) => {
                let bias = self.tensor(node, name)?;
                let units: Vec<f64> = scale.floats().unwrap_or_default().iter().map(|s| s * from.scale).collect();
                let values = bias.ints().filter(|bias| !units.is_empty() && Some(&bias.len()) == weight.dims.first());
                let values = values.ok_or_else(|| node.malformed("needs a bias of one integer for every channel"))?;
                Some(values.iter().zip(units.iter().cycle()).map(|(&b, unit)| b as f64 * unit).collect())
            }
            None => None,
        };
        let result = self.convolved(node, data, None, numbers(weight), bias)?;
        let to = self.encoding(node, [6, 7])?;
        let bounds = self.bounds(node, 7)?;
        self.encoded(node, &result, to, bounds).map(Value::Data)
    }

    pub(super) fn qlinear_matmul(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(8)?;
        let from = self.encoding(node, [1, 2])?;
        let result = self.times_integers(node, from, [3, 5], Some(4))?;
        let to = self.encoding(node, [6, 7])?;
        let bounds = self.bounds(node, 7)?;
        self.encoded(node, &result, to, bounds).map(Value::Data)
    }

    /// The first input times a constant matrix of integers.
    fn times_integers(
        &mut self,
        node: &NodeView,
        from: Encoding,
        matrix: [usize; 2],
        scale: Option<usize>,
    ) -> Result<Data, ModelError> {
        let data = self.decoded(node, node.required_input(0)?, from)?;
        let (weight, _) = self.weights(node, matrix, scale, -1)?;
        let (dims, values) = numbers(weight);
        let &[rows, cols] = &dims[..] else { return Err(shape(node, "a constant matrix as second factor", dims)) };
        self.dense(node, data, &values, [rows, cols], vec![0.0; cols])
    }

    pub(super) fn conv_integer(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&CONV_ATTRIBUTES)?;
        node.at_most_inputs(4)?;
        let from = Encoding { zero_point: self.zero_point(node, 2)?, ..EXACT };
        let data = self.decoded(node, node.required_input(0)?, from)?;
        let (weight, _) = self.weights(node, [1, 3], None, 0)?;
        self.encodings.extend(node.outputs().first().map(|name| (name.as_str(), EXACT)));
        self.convolved(node, data, None, numbers(weight), None).map(Value::Data)
    }

    pub(super) fn matmul_integer(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(4)?;
        let from = Encoding { zero_point: self.zero_point(node, 2)?, ..EXACT };
        self.encodings.extend(node.outputs().first().map(|name| (name.as_str(), EXACT)));
        self.times_integers(node, from, [1, 3], None).map(Value::Data)
    }

    /// Integers as numbers, which is what a cast to floats makes of them.
    pub(super) fn integers(&mut self, node: &NodeView, name: &str) -> Result<Data, ModelError> {
        self.decoded(node, name, EXACT)
    }
}

/// Extents and numbers of a tensor of floats.
fn numbers(tensor: Tensor) -> (Vec<usize>, Vec<f64>) {
    let values = tensor.floats().unwrap_or_default().to_vec();
    (tensor.dims, values)
}
