//! The ONNX graph while it is written: values by the number of their tensor, constants, scales.
//!
//! Every value of the graph is of numbers. Integers are there as what they stand for: a tensor with a scale `s` and a zero
//! point `z` is written as a QuantizeLinear and a DequantizeLinear with just these,
//!
//! ```text
//! q = clamp(round(x / s) + z)        y = s · (q − z)
//! ```
//!
//! of the number `x` that its operator gives, which is how the importer keeps a model's own integers.

use std::collections::HashMap;

use super::schema::{Graph, Operator, Tensor, data_type};
use crate::error::ModelError;
use crate::layers::onnx::malformed;
use crate::layers::onnx::proto::{AttributeProto, NodeProto, TensorProto};

/// Numbers of data types in ONNX.
mod onnx_type {
    pub(super) const FLOAT: i32 = 1;
    pub(super) const UINT8: i32 = 2;
    pub(super) const INT8: i32 = 3;
    pub(super) const INT32: i32 = 6;
    pub(super) const INT64: i32 = 7;
    pub(super) const FLOAT16: i32 = 10;
}

/// Bytes that constants may have beyond four times those of the file, which may share them.
const EXTRA_BYTES: usize = 1 << 20;

/// Where the channels of an image stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// After height and width, as in TFLite; anything that is no image.
    Last,
    /// Before height and width, as in ONNX.
    First,
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// What ONNX calls it.
    pub(super) name: String,
    /// Where its channels are in ONNX.
    pub(super) layout: Layout,
    /// Extents as TFLite has them.
    pub(super) dims: Vec<usize>,
}

/// The graph, and what is known about its values.
pub(super) struct Writer<'a> {
    graph: &'a Graph<'a>,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
    values: HashMap<usize, Value>,
    /// What nodes are called that are written now.
    label: String,
    /// Names that were given.
    count: usize,
    /// Bytes that constants may still have.
    room: usize,
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(value), ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: Some(name.into()), ints, ..AttributeProto::default() }
}

impl<'a> Writer<'a> {
    /// An empty graph for one of a file of this many bytes.
    pub(super) fn new(graph: &'a Graph<'a>, file_size: usize) -> Self {
        Self {
            graph,
            nodes: Vec::new(),
            initializers: Vec::new(),
            values: HashMap::new(),
            label: String::new(),
            count: 0,
            room: file_size.saturating_mul(4).saturating_add(EXTRA_BYTES),
        }
    }

    /// Names the nodes that are written from here on.
    pub(super) fn set_label(&mut self, label: String) {
        self.label = label;
    }

    /// A name that no tensor of the graph has: theirs are not written.
    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("#{}", self.count)
    }

    /// Adds a node of one output; gives its name.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.fresh();
        self.node_to(operator, inputs, attributes, output.clone());
        output
    }

    /// Adds a node of one output that has a name.
    pub(super) fn node_to(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>, output: String) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output],
            name: Some(self.label.clone()),
            op_type: Some(operator.to_owned()),
            attribute,
            domain: None,
        });
    }

    /// Accounts for the bytes of a constant.
    fn spend(&mut self, bytes: usize) -> Result<(), ModelError> {
        let left = self.room.checked_sub(bytes);
        self.room = left.ok_or_else(|| malformed("a TFLite file whose constants are larger than it is"))?;
        Ok(())
    }

    fn initializer(&mut self, data_type: i32, dims: &[usize], raw: &[u8]) -> Result<String, ModelError> {
        self.spend(raw.len())?;
        let name = self.fresh();
        self.initializers.push(TensorProto {
            name: Some(name.clone()),
            dims: dims.iter().map(|&extent| extent as i64).collect(),
            data_type: Some(data_type),
            raw_data: Some(raw.to_vec()),
            ..TensorProto::default()
        });
        Ok(name)
    }

    /// A constant list of indices.
    pub(super) fn indices(&mut self, values: &[usize]) -> Result<String, ModelError> {
        let raw: Vec<u8> = values.iter().flat_map(|&value| (value as i64).to_le_bytes()).collect();
        self.initializer(onnx_type::INT64, &[values.len()], &raw)
    }

    /// A constant of one number, or of a list of them.
    pub(super) fn numbers(&mut self, values: &[f32]) -> Result<String, ModelError> {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let len = [values.len()];
        self.initializer(onnx_type::FLOAT, if values.len() == 1 { &[] } else { &len }, &raw)
    }

    /// Scales and zero points of a tensor of integers, as constants; and the axis that several are along.
    fn encoding(&mut self, tensor: &Tensor) -> Result<([String; 2], i32), ModelError> {
        // Counted before they are copied.
        self.spend(tensor.num_scales()?.saturating_mul(16))?;
        let (scales, zeros, axis) = tensor.encoding()?;
        let (data_type, len) =
            (if tensor.data_type == data_type::UINT8 { onnx_type::UINT8 } else { onnx_type::INT8 }, [zeros.len()]);
        let zeros: Vec<u8> = zeros.into_iter().map(|zero| zero as u8).collect();
        let scale = self.numbers(&scales)?;
        let zero = self.initializer(data_type, if zeros.len() == 1 { &[] } else { &len }, &zeros)?;
        Ok(([scale, zero], axis))
    }

    /// A tensor of the file as a constant: the numbers that its integers stand for.
    fn constant(&mut self, tensor: &Tensor, data: &[u8]) -> Result<String, ModelError> {
        let data_type = match tensor.data_type {
            data_type::FLOAT32 => onnx_type::FLOAT,
            data_type::FLOAT16 => onnx_type::FLOAT16,
            data_type::INT8 => onnx_type::INT8,
            data_type::UINT8 => onnx_type::UINT8,
            _ => {
                let (name, found) = (&tensor.name, tensor.type_name());
                let reason =
                    format!("TFLite tensor {name:?} of {found} among numbers; float32, float16, int8 and uint8");
                return Err(malformed(reason + " can be read"));
            }
        };
        let raw = self.initializer(data_type, &tensor.dims, data)?;
        if !tensor.is_quantized() {
            return Ok(raw);
        }
        let ([scale, zero], axis) = self.encoding(tensor)?;
        Ok(self.node("DequantizeLinear", &[&raw, &scale, &zero], vec![int("axis", axis.into())]))
    }

    /// The value of a tensor: what an operator before gave, or a constant.
    pub(super) fn value(&mut self, operator: &Operator, input: usize) -> Result<Value, ModelError> {
        let index = operator.input(input)?;
        if let Some(value) = self.values.get(&index) {
            return Ok(value.clone());
        }
        let tensor = self.graph.tensor(index)?;
        let data = tensor.data.ok_or_else(|| {
            operator.malformed(&format!("reads tensor {:?}, which nothing before it gives", tensor.name))
        })?;
        let name = self.constant(&tensor, data)?;
        let value = Value { name, layout: Layout::Last, dims: tensor.dims };
        self.values.insert(index, value.clone());
        Ok(value)
    }

    /// The tensor that an operator takes.
    pub(super) fn tensor(&self, operator: &Operator, input: usize) -> Result<Tensor<'a>, ModelError> {
        self.graph.tensor(operator.input(input)?)
    }

    /// The tensor that an operator gives.
    pub(super) fn output(&self, operator: &Operator) -> Result<Tensor<'a>, ModelError> {
        self.graph.tensor(operator.output()?)
    }

    /// A constant tensor of indices that an operator takes, at most `most`.
    pub(super) fn list(&self, operator: &Operator, input: usize, most: usize) -> Result<Vec<i64>, ModelError> {
        let tensor = self.tensor(operator, input)?;
        let help = "convert the model with a fixed input shape, batch 1 included";
        let data = tensor.data.filter(|_| !self.values.contains_key(&operator.inputs[input].unwrap_or(usize::MAX)));
        let data = data.ok_or_else(|| operator.refuse(&tensor.name, "computed in the graph", help))?;
        let list: Vec<i64> = match tensor.data_type {
            data_type::INT32 if data.len() <= 4 * most => {
                data.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes).into()).collect()
            }
            data_type::INT64 if data.len() <= 8 * most => {
                data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
            }
            _ => return Err(operator.malformed(&format!("needs at most {most} integers in {:?}", tensor.name))),
        };
        Ok(list)
    }

    /// A bias: numbers, or integers in units of the accumulator, the scale of the input times those of the weights.
    pub(super) fn bias(&mut self, operator: &Operator) -> Result<Option<String>, ModelError> {
        if operator.inputs.get(2).copied().flatten().is_none() {
            return Ok(None);
        }
        let bias = self.tensor(operator, 2)?;
        if bias.data_type != data_type::INT32 {
            return self.value(operator, 2).map(|value| Some(value.name));
        }
        let (input, weight) = (self.tensor(operator, 0)?, self.tensor(operator, 1)?);
        let (Some(data), true) = (bias.data, input.is_quantized() && weight.is_quantized()) else {
            return Err(operator.malformed("has a bias of integers that is no constant, or of numbers that are none"));
        };
        self.spend(weight.num_scales()?.saturating_mul(16))?;
        let (units, ..) = input.encoding()?;
        let units: Vec<f32> = weight.encoding()?.0.iter().map(|scale| scale * units[0]).collect();
        let raw = self.initializer(onnx_type::INT32, &bias.dims, data)?;
        let units = self.numbers(&units)?;
        Ok(Some(self.node("DequantizeLinear", &[&raw, &units], vec![int("axis", 0)])))
    }

    /// The name of a value with its channels in a place.
    pub(super) fn laid_out(&mut self, value: &Value, layout: Layout) -> String {
        if value.layout == layout || value.dims.len() != 4 {
            return value.name.clone();
        }
        let order = if layout == Layout::First { [0, 3, 1, 2] } else { [0, 2, 3, 1] };
        self.node("Transpose", &[&value.name], vec![ints("perm", &order)])
    }

    /// What a tensor of integers makes of a number; other numbers stay.
    fn encoded(&mut self, tensor: &Tensor, name: String) -> Result<String, ModelError> {
        if !tensor.is_quantized() {
            return Ok(name);
        }
        let ([scale, zero], _) = self.encoding(tensor)?;
        let integers = self.node("QuantizeLinear", &[&name, &scale, &zero], vec![]);
        Ok(self.node("DequantizeLinear", &[&integers, &scale, &zero], vec![]))
    }

    /// An operator gives a value that it computed: its integers are rounded to those of its tensor.
    pub(super) fn give(&mut self, operator: &Operator, mut value: Value) -> Result<(), ModelError> {
        let tensor = self.output(operator)?;
        if !tensor.is_quantized() && tensor.data_type != data_type::FLOAT32 {
            let help = "int8, uint8 and float32 are supported; quantize to 8 bits";
            return Err(operator.refuse("an output", tensor.type_name(), help));
        }
        value.name = self.encoded(&tensor, value.name)?;
        self.keep(operator, &tensor, value)
    }

    /// Refuses an operator that gives integers as they are, or their mean, another scale or zero point than they had: its
    /// kernel does not look at either.
    pub(super) fn same_integers(&self, operator: &Operator) -> Result<(), ModelError> {
        let (from, to) = (self.tensor(operator, 0)?, self.output(operator)?);
        let alike = match to.is_quantized() {
            // Compared only if both are of one scale, so that nothing is copied that counts.
            true => from.num_scales()? == 1 && to.num_scales()? == 1 && from.encoding()? == to.encoding()?,
            false => true,
        };
        match from.data_type == to.data_type && alike {
            true => Ok(()),
            false => Err(operator.malformed("moves values and gives them another type, scale or zero point")),
        }
    }

    /// An operator gives a value that it moved: its integers are those of its first input.
    pub(super) fn give_moved(&mut self, operator: &Operator, value: Value) -> Result<(), ModelError> {
        self.same_integers(operator)?;
        let tensor = self.output(operator)?;
        self.keep(operator, &tensor, value)
    }

    fn keep(&mut self, operator: &Operator, tensor: &Tensor, value: Value) -> Result<(), ModelError> {
        if tensor.dims != value.dims {
            let reason = format!("gives extents {:?}, and its tensor has {:?}", value.dims, tensor.dims);
            return Err(operator.malformed(&reason));
        }
        match self.values.insert(operator.output()?, value) {
            None => Ok(()),
            Some(_) => Err(operator.malformed(&format!("gives tensor {:?} a second time", tensor.name))),
        }
    }

    /// The input of the graph `index`, under a name; it is an image as ONNX has them if it has four axes.
    pub(super) fn take_input(&mut self, index: usize, name: &str) -> Result<Vec<usize>, ModelError> {
        let tensor = self.graph.tensor(index)?;
        self.set_label(format!("input {name}"));
        let encoded = self.encoded(&tensor, name.to_owned())?;
        let (layout, dims) = match tensor.dims[..] {
            [n, h, w, c] => (Layout::First, vec![n, c, h, w]),
            _ => (Layout::Last, tensor.dims.clone()),
        };
        self.values.insert(index, Value { name: encoded, layout, dims: tensor.dims });
        Ok(dims)
    }

    /// Gives the value of a tensor the name of an output of the graph.
    pub(super) fn give_output(&mut self, index: usize, name: String) -> Result<(), ModelError> {
        let value = self.values.get(&index).cloned();
        let value = value.ok_or_else(|| malformed(format!("no operator of the TFLite graph gives output {name:?}")))?;
        self.set_label(format!("output {name}"));
        let last = self.laid_out(&value, Layout::Last);
        self.node_to("Identity", &[&last], vec![], name);
        Ok(())
    }
}
