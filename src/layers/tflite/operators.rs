//! The operators that can be read: number, name, what is accepted, and the function that writes it. There is no other list.

use super::graph::{Layout, Value, Writer, ints};
use super::schema::{Operator, Tensor};
use super::windows;
use crate::error::ModelError;

/// An operator.
pub(super) struct Known {
    pub(super) code: i32,
    pub(super) name: &'static str,
    /// What is accepted.
    pub(super) accepted: &'static str,
    pub(super) write: fn(&mut Writer, &Operator) -> Result<(), ModelError>,
}

macro_rules! known {
    ($code:literal, $name:literal, $write:expr, $accepted:literal) => {
        Known { code: $code, name: $name, accepted: $accepted, write: $write }
    };
}

/// Every operator, in alphabetical order.
pub(super) const OPERATORS: [Known; 15] = [
    known!(0, "ADD", add, "of two values, or of a value and a constant; fused activation"),
    known!(1, "AVERAGE_POOL_2D", windows::average_pool, "without padding; fused activation"),
    known!(3, "CONV_2D", windows::convolution, "constant weights, any strides, dilations and groups; fused activation"),
    known!(4, "DEPTHWISE_CONV_2D", windows::depthwise, "constant weights, any multiplier; fused activation"),
    known!(6, "DEQUANTIZE", dequantize, "of 8 bits, and of constants of float16"),
    known!(70, "EXPAND_DIMS", reshape, "anything; no values move"),
    known!(9, "FULLY_CONNECTED", fully_connected, "constant weights; fused activation"),
    known!(17, "MAX_POOL_2D", windows::max_pool, "any padding; fused activation"),
    known!(34, "PAD", windows::pad, "of zeros, before CONV_2D or DEPTHWISE_CONV_2D"),
    known!(114, "QUANTIZE", quantize, "to 8 bits, one scale and zero point"),
    known!(19, "RELU", relu, "anything"),
    known!(21, "RELU6", relu6, "anything"),
    known!(22, "RESHAPE", reshape, "to a constant shape; no values move"),
    known!(25, "SOFTMAX", softmax, "over the last axis, beta 1"),
    known!(43, "SQUEEZE", reshape, "anything; no values move"),
];

/// The operator with this number.
pub(super) fn find(code: i32) -> Option<&'static Known> {
    OPERATORS.iter().find(|operator| operator.code == code)
}

/// Numbers of the kinds of settings.
pub(super) mod options {
    pub(in super::super) const CONV_2D: u8 = 1;
    pub(in super::super) const DEPTHWISE_CONV_2D: u8 = 2;
    pub(in super::super) const POOL_2D: u8 = 5;
    pub(super) const FULLY_CONNECTED: u8 = 8;
    pub(super) const SOFTMAX: u8 = 9;
    pub(super) const ADD: u8 = 11;
    pub(super) const RESHAPE: u8 = 17;
}

/// The fused activation that a setting of an operator says.
pub(super) fn activation(operator: &Operator, kind: u8, field: usize) -> Result<i8, ModelError> {
    Ok(operator.options(kind)?.map_or(Ok(0), |options| options.number(field, 0))?)
}

/// Writes a fused activation.
pub(super) fn activated(
    writer: &mut Writer,
    operator: &Operator,
    activation: i8,
    name: String,
) -> Result<String, ModelError> {
    let [low, high] = match activation {
        0 => return Ok(name),
        1 => return Ok(writer.node("Relu", &[&name], vec![])),
        2 => [-1.0, 1.0],
        3 => [0.0, 6.0],
        other => {
            let help = "NONE (0), RELU (1), RELU_N1_TO_1 (2) and RELU6 (3) are supported";
            return Err(operator.refuse("fused_activation_function", other, help));
        }
    };
    let (low, high) = (writer.numbers(&[low])?, writer.numbers(&[high])?);
    Ok(writer.node("Clip", &[&name, &low, &high], vec![]))
}

/// Refuses weights of integers on values of floats: their kernels choose scales by the recording.
pub(super) fn same_kind(operator: &Operator, input: &Tensor, weight: &Tensor) -> Result<(), ModelError> {
    if input.is_quantized() == weight.is_quantized() {
        return Ok(());
    }
    let help = "quantize values as well as weights (a representative dataset), or neither";
    Err(operator.refuse("weights", format!("{} on {}", weight.type_name(), input.type_name()), help))
}

fn relu(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    let name = activated(writer, operator, 1, value.name.clone())?;
    writer.give(operator, Value { name, ..value })
}

fn relu6(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    let name = activated(writer, operator, 3, value.name.clone())?;
    writer.give(operator, Value { name, ..value })
}

fn quantize(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    writer.give(operator, value)
}

/// A value is what its integers stand for already.
fn dequantize(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    writer.give(operator, value)
}

fn softmax(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    let beta = operator.options(options::SOFTMAX)?.map_or(Ok(0.0), |options| options.number(0, 0f32))?;
    if beta != 1.0 {
        return Err(operator.refuse("beta", beta, "1 is supported"));
    }
    let last = writer.laid_out(&value, Layout::Last);
    let name = writer.node("Softmax", &[&last], vec![super::graph::int("axis", -1)]);
    writer.give(operator, Value { name, layout: Layout::Last, dims: value.dims })
}

/// The extents that two values have together, each stretched where it has 1.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    let both = |axis: usize| match [extent(a, axis), extent(b, axis)] {
        [x, y] if x == y || y == 1 => Some(x),
        [1, y] => Some(y),
        _ => None,
    };
    (0..rank).map(both).collect()
}

fn add(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let (a, b) = (writer.value(operator, 0)?, writer.value(operator, 1)?);
    same_kind(operator, &writer.tensor(operator, 0)?, &writer.tensor(operator, 1)?)?;
    let dims = broadcast(&a.dims, &b.dims);
    let dims = dims.ok_or_else(|| operator.malformed(&format!("adds {:?} and {:?}", a.dims, b.dims)))?;
    let layout = if a.layout == b.layout && a.dims.len() == b.dims.len() { a.layout } else { Layout::Last };
    let (a, b) = (writer.laid_out(&a, layout), writer.laid_out(&b, layout));
    let sum = writer.node("Add", &[&a, &b], vec![]);
    let name = activated(writer, operator, activation(operator, options::ADD, 0)?, sum)?;
    writer.give(operator, Value { name, layout, dims })
}

fn reshape(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    let dims = writer.output(operator)?.dims;
    if operator.name == "RESHAPE" {
        // What the file says twice has to be the same.
        let given = match (operator.inputs.get(1).copied().flatten(), operator.options(options::RESHAPE)?) {
            (Some(_), _) => writer.list(operator, 1, 8)?,
            (None, Some(options)) => options.numbers::<i32>(0)?.take(9).map(i64::from).collect(),
            (None, None) => return Err(operator.malformed("has no shape")),
        };
        let alike = |(&given, &extent): (&i64, &usize)| given == -1 || usize::try_from(given) == Ok(extent);
        if given.len() != dims.len() || !given.iter().zip(&dims).all(alike) {
            return Err(operator.malformed(&format!("has shape {given:?}, and its tensor has {dims:?}")));
        }
    }
    let size = |dims: &[usize]| dims.iter().try_fold(1usize, |size, &extent| size.checked_mul(extent));
    if size(&dims).is_none() || size(&dims) != size(&value.dims) {
        return Err(operator.malformed(&format!("makes {dims:?} of {:?}", value.dims)));
    }
    let name = reshaped(writer, &value, &dims)?;
    writer.give_moved(operator, Value { name, layout: Layout::Last, dims })
}

/// The name of a value with other extents, its channels last.
fn reshaped(writer: &mut Writer, value: &Value, dims: &[usize]) -> Result<String, ModelError> {
    let last = writer.laid_out(value, Layout::Last);
    if value.dims == dims {
        return Ok(last);
    }
    let shape = writer.indices(dims)?;
    Ok(writer.node("Reshape", &[&last, &shape], vec![]))
}

fn fully_connected(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let (value, weight) = (writer.value(operator, 0)?, writer.value(operator, 1)?);
    same_kind(operator, &writer.tensor(operator, 0)?, &writer.tensor(operator, 1)?)?;
    let settings = operator.options(options::FULLY_CONNECTED)?;
    let format: i8 = settings.map_or(Ok(0), |settings| settings.number(1, 0))?;
    if format != 0 {
        return Err(operator.refuse("weights_format", format, "the usual one (0) is supported"));
    }
    let keep: u8 = settings.map_or(Ok(0), |settings| settings.number(2, 0))?;
    let &[cols, rows] = &weight.dims[..] else {
        return Err(operator.malformed(&format!("has weights of {:?}", weight.dims)));
    };
    let size = value.dims.iter().try_fold(1usize, |size, &extent| size.checked_mul(extent));
    let batch = size.filter(|size| size.is_multiple_of(rows)).map(|size| size / rows);
    let fits = keep == 0 || value.dims.last() == Some(&rows);
    let batch = batch.filter(|_| fits);
    let batch = batch.ok_or_else(|| operator.malformed(&format!("takes {rows} channels of {:?}", value.dims)))?;
    let flat = reshaped(writer, &value, &[batch, rows])?;
    let bias = writer.bias(operator)?;
    let inputs: Vec<&str> = [&flat, &weight.name].into_iter().chain(&bias).map(String::as_str).collect();
    let product = writer.node("Gemm", &inputs, vec![super::graph::int("transB", 1)]);
    let name = activated(writer, operator, activation(operator, options::FULLY_CONNECTED, 0)?, product)?;
    let mut dims = vec![batch, cols];
    let product = Value { name, layout: Layout::Last, dims: dims.clone() };
    if keep != 0 {
        dims = value.dims;
        dims.pop();
        dims.push(cols);
    }
    let name = reshaped(writer, &product, &dims)?;
    writer.give(operator, Value { name, layout: Layout::Last, dims })
}

/// The order that brings axes to where ONNX has them, as an attribute.
pub(super) fn order(axes: [usize; 4]) -> Vec<crate::layers::onnx::proto::AttributeProto> {
    vec![ints("perm", &axes)]
}
