//! The part of the TensorFlow Lite format that is read here: graphs of operators over tensors.
//!
//! Field and operator numbers are those of `schema.fbs`, schema version 3. Tables are read when they are needed; what is not
//! listed is not looked at, and an operator that needs it is refused by name.

use super::flatbuffer::{BadOffset, Table, Tables};
use crate::error::ModelError;
use crate::layers::onnx::malformed;

mod names;

/// The schema version that there are files of.
const VERSION: u32 = 3;
/// Most axes of a tensor.
const MAX_RANK: usize = 8;
/// Most inputs, or outputs, of an operator or a graph.
const MAX_LIST: usize = 64;

/// What the data types of tensors are called.
const TYPES: [&str; 18] = [
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
];

impl From<BadOffset> for ModelError {
    fn from(_: BadOffset) -> Self {
        malformed("a TFLite file with an offset or a length beyond its end")
    }
}

/// The main graph of a model.
pub(super) struct Graph<'a> {
    tensors: Tables<'a>,
    operators: Tables<'a>,
    codes: Tables<'a>,
    buffers: Tables<'a>,
    /// Tensors that it takes.
    pub(super) inputs: Vec<usize>,
    /// Tensors that it gives.
    pub(super) outputs: Vec<usize>,
}

/// One operator.
pub(super) struct Operator<'a> {
    /// Its place in the graph.
    pub(super) index: usize,
    /// The number of what it computes.
    pub(super) code: i32,
    /// What that is called.
    pub(super) name: String,
    /// Tensors it takes; none where an optional one is left out.
    pub(super) inputs: Vec<Option<usize>>,
    /// Tensors it gives.
    pub(super) outputs: Vec<usize>,
    /// Its settings, and the number of their kind.
    options: (u8, Option<Table<'a>>),
}

/// One tensor.
#[derive(Clone)]
pub(super) struct Tensor<'a> {
    /// Its name, for people.
    pub(super) name: String,
    /// Extents, outermost first.
    pub(super) dims: Vec<usize>,
    /// Number of its data type.
    pub(super) data_type: u8,
    /// Its values, if it is a constant.
    pub(super) data: Option<&'a [u8]>,
    /// What its integers stand for.
    quantization: Option<Table<'a>>,
}

/// Numbers of data types, as [`TYPES`] has them.
pub(super) mod data_type {
    pub(in super::super) const FLOAT32: u8 = 0;
    pub(in super::super) const FLOAT16: u8 = 1;
    pub(in super::super) const INT32: u8 = 2;
    pub(in super::super) const UINT8: u8 = 3;
    pub(in super::super) const INT64: u8 = 4;
    pub(in super::super) const INT8: u8 = 9;
}

impl<'a> Graph<'a> {
    /// The main graph of a file.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let model = Table::root(bytes)?;
        let version: u32 = model.number(0, 0)?;
        if version != VERSION {
            return Err(malformed(format!("a TFLite file of schema version {version}, not {VERSION}")));
        }
        let graph = model.tables(2)?.get(0)?.ok_or_else(|| malformed("a TFLite file without a graph"))?;
        let tensors = graph.tables(0)?;
        let list = |field| -> Result<Vec<usize>, ModelError> {
            let list = indices(&graph, field, tensors)?;
            list.into_iter().collect::<Option<_>>().ok_or_else(|| malformed("a TFLite graph leaves out an input"))
        };
        let (inputs, outputs) = (list(1)?, list(2)?);
        Ok(Self {
            tensors,
            operators: graph.tables(3)?,
            codes: model.tables(1)?,
            buffers: model.tables(4)?,
            inputs,
            outputs,
        })
    }

    /// Number of operators.
    pub(super) fn num_operators(&self) -> usize {
        self.operators.len()
    }

    /// An operator of the graph.
    pub(super) fn operator(&self, index: usize) -> Result<Operator<'a>, ModelError> {
        let missing = || malformed(format!("operator {index} of the TFLite graph has no code"));
        let table = self.operators.get(index)?.ok_or_else(missing)?;
        let kind = self.codes.get(table.number::<u32>(0, 0)? as usize)?.ok_or_else(missing)?;
        // Numbers that fit into a byte are in an old field.
        let code = i32::from(kind.number::<i8>(0, 0)?).max(kind.number(3, 0)?);
        let name = match names::OPERATORS.get(usize::try_from(code).unwrap_or(usize::MAX)) {
            Some(&names::CUSTOM) => format!("{} {}", names::CUSTOM, kind.text(1)?),
            Some(&name) => name.to_owned(),
            None => "unknown".to_owned(),
        };
        let inputs = indices(&table, 1, self.tensors)?;
        let outputs = indices(&table, 2, self.tensors)?.into_iter().flatten().collect();
        let options = (table.number(3, 0)?, table.table(4)?);
        Ok(Operator { index, code, name, inputs, outputs, options })
    }

    /// A tensor of the graph.
    pub(super) fn tensor(&self, index: usize) -> Result<Tensor<'a>, ModelError> {
        let table = self.tensors.get(index)?.ok_or_else(|| malformed(format!("TFLite tensor {index} is missing")))?;
        let name = table.text(3)?;
        let wrong = |what: &str| malformed(format!("TFLite tensor {name:?} {what}"));
        let shape = table.numbers::<i32>(0)?;
        if shape.len() > MAX_RANK {
            return Err(wrong("has more than eight axes"));
        }
        let dims: Option<Vec<usize>> = shape.map(|extent| usize::try_from(extent).ok().filter(|&n| n > 0)).collect();
        let dims = dims.ok_or_else(|| wrong("has an extent that is not positive"))?;
        // The batch may be open, and is 1 then.
        if table.numbers::<i32>(7)?.skip(1).take(MAX_RANK).any(|extent| extent < 0) {
            return Err(wrong("has an extent that is open; convert the model with a fixed input shape"));
        }
        if table.number(5, 0u8)? != 0 || table.table(6)?.is_some() {
            return Err(wrong("is a variable, or sparse; convert the model without"));
        }
        let buffer = table.number::<u32>(2, 0)? as usize;
        let buffer = self.buffers.get(buffer)?.ok_or_else(|| wrong("has no buffer"))?;
        if buffer.number(1, 0u64)? > 1 {
            return Err(wrong("is stored behind the file's tables; models of more than 2 GB cannot be read"));
        }
        let data = Some(buffer.raw(0)?).filter(|data| !data.is_empty());
        Ok(Tensor { dims, data_type: table.number(1, 0)?, data, quantization: table.table(4)?, name })
    }
}

/// A list of numbers of tensors; none for those that are left out.
fn indices(table: &Table, field: usize, tensors: Tables) -> Result<Vec<Option<usize>>, ModelError> {
    let list = table.numbers::<i32>(field)?;
    if list.len() > MAX_LIST {
        return Err(malformed(format!("a list of {} tensors in a TFLite graph, more than {MAX_LIST}", list.len())));
    }
    let index = |number: i32| match usize::try_from(number) {
        Ok(index) if index < tensors.len() => Ok(Some(index)),
        Err(_) if number == -1 => Ok(None),
        _ => Err(malformed(format!("a TFLite graph without tensor {number}, which it reads"))),
    };
    list.map(index).collect()
}

impl<'a> Operator<'a> {
    /// What messages and layers call it.
    pub(super) fn label(&self) -> String {
        format!("{} #{}", self.name, self.index)
    }

    /// Its settings, which are of a kind; none if all have their defaults.
    pub(super) fn options(&self, kind: u8) -> Result<Option<Table<'a>>, ModelError> {
        match self.options {
            (found, options) if found == kind => Ok(options),
            (0, _) => Ok(None),
            (found, _) => Err(self.malformed(&format!("has settings of kind {found}, not {kind}"))),
        }
    }

    /// The tensor it gives, which is the only one.
    pub(super) fn output(&self) -> Result<usize, ModelError> {
        match self.outputs[..] {
            [output] => Ok(output),
            _ => Err(self.malformed(&format!("has {} outputs, not one", self.outputs.len()))),
        }
    }

    /// A tensor it takes.
    pub(super) fn input(&self, index: usize) -> Result<usize, ModelError> {
        let input = self.inputs.get(index).copied().flatten();
        input.ok_or_else(|| self.malformed(&format!("has no input {index}")))
    }

    /// It contradicts the format.
    pub(super) fn malformed(&self, reason: &str) -> ModelError {
        malformed(format!("TFLite operator {} {reason}", self.label()))
    }

    /// It is supported, this setting is not.
    pub(super) fn refuse(&self, setting: &str, value: impl ToString, help: &str) -> ModelError {
        ModelError::UnsupportedAttribute {
            node: self.label(),
            operator: self.name.clone(),
            attribute: setting.into(),
            value: value.to_string(),
            help: help.into(),
        }
    }
}

impl Tensor<'_> {
    /// The name of its data type.
    pub(super) fn type_name(&self) -> &'static str {
        TYPES.get(usize::from(self.data_type)).copied().unwrap_or("an unknown type")
    }

    /// Whether it is of integers that stand for numbers.
    pub(super) fn is_quantized(&self) -> bool {
        matches!(self.data_type, data_type::INT8 | data_type::UINT8)
    }

    /// How many scales its integers have.
    pub(super) fn num_scales(&self) -> Result<usize, ModelError> {
        Ok(self.quantization.map_or(Ok(0), |table| table.numbers::<f32>(2).map(|scales| scales.len()))?)
    }

    /// Scales and zero points of its integers, as many as there are; and the axis that several are along.
    pub(super) fn encoding(&self) -> Result<(Vec<f32>, Vec<i64>, i32), ModelError> {
        let none = || malformed(format!("TFLite tensor {:?} of integers has no scale", self.name));
        let table = self.quantization.ok_or_else(none)?;
        if table.number(4, 0u8)? != 0 {
            return Err(malformed(format!("TFLite tensor {:?} is quantized in a way of its own", self.name)));
        }
        let (scales, mut zeros): (Vec<f32>, Vec<i64>) = (table.numbers(2)?.collect(), table.numbers(3)?.collect());
        if zeros.is_empty() {
            zeros = vec![0; scales.len()];
        }
        let range = if self.data_type == data_type::UINT8 { 0..=255 } else { -128..=127 };
        let fits = scales.len() == zeros.len() && zeros.iter().all(|zero| range.contains(zero));
        match scales.is_empty() {
            true => Err(none()),
            false if !fits => {
                Err(malformed(format!("TFLite tensor {:?} has zero points that do not fit its type", self.name)))
            }
            false => Ok((scales, zeros, table.number(6, 0)?)),
        }
    }
}
