//! The part of the ONNX file format that is read here, as protocol-buffer messages.
//!
//! Field numbers are those of `onnx/onnx.proto` (ONNX 1.17, opset 22). Fields that are not listed
//! are skipped while decoding; an operator that needs one is refused by name later. Lengths are checked by the decoder against the bytes that are really there.

// Each field mirrors the one of the same name in the format's own documentation.
#![allow(missing_docs)]

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct ModelProto {
    #[prost(message, optional, tag = "7")]
    pub(in crate::layers) graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::layers) opset_import: Vec<OperatorSetIdProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct OperatorSetIdProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::layers) domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub(in crate::layers) version: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::layers) node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::layers) initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub(in crate::layers) input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::layers) output: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "16")]
    pub(in crate::layers) metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::layers) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(in crate::layers) output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub(in crate::layers) name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(in crate::layers) op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::layers) attribute: Vec<AttributeProto>,
    #[prost(string, optional, tag = "7")]
    pub(in crate::layers) domain: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct AttributeProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::layers) name: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(in crate::layers) f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub(in crate::layers) i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(in crate::layers) s: Option<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub(in crate::layers) t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::layers) g: Option<GraphProto>,
    #[prost(float, repeated, tag = "7")]
    pub(in crate::layers) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(in crate::layers) ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(in crate::layers) strings: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(in crate::layers) dims: Vec<i64>,
    #[prost(int32, optional, tag = "2")]
    pub(in crate::layers) data_type: Option<i32>,
    #[prost(float, repeated, tag = "4")]
    pub(in crate::layers) float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(in crate::layers) int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub(in crate::layers) int64_data: Vec<i64>,
    #[prost(string, optional, tag = "8")]
    pub(in crate::layers) name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub(in crate::layers) raw_data: Option<Vec<u8>>,
    #[prost(double, repeated, tag = "10")]
    pub(in crate::layers) double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub(in crate::layers) uint64_data: Vec<u64>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::layers) external_data: Vec<StringStringEntryProto>,
    #[prost(int32, optional, tag = "14")]
    pub(in crate::layers) data_location: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct StringStringEntryProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::layers) key: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::layers) value: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct ValueInfoProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::layers) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::layers) r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub(in crate::layers) tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct TensorTypeProto {
    #[prost(int32, optional, tag = "1")]
    pub(in crate::layers) elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::layers) shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::layers) dim: Vec<DimensionProto>,
}

/// One extent: `dim_value` if it is fixed, otherwise it is symbolic.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::layers) struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    pub(in crate::layers) dim_value: Option<i64>,
}
