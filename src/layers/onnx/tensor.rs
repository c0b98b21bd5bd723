//! Constant tensors of a model file, checked and widened.

use super::proto::TensorProto;
use crate::error::ModelError;

/// A constant of the graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    /// Extents, outermost first; empty for a scalar.
    pub(super) dims: Vec<usize>,
    /// Values, row-major, as many as the extents say.
    pub(super) values: Values,
}

/// The values of a constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// Finite numbers.
    Float(Vec<f64>),
    /// Indices, axes and the like.
    Int(Vec<i64>),
}

// `TensorProto.DataType`.
const FLOAT: i32 = 1;
const INT32: i32 = 6;
const INT64: i32 = 7;
const DOUBLE: i32 = 11;

impl Tensor {
    /// Decodes a tensor of a model file. Nothing is allocated before the number of elements is
    /// known to match the bytes present.
    pub(super) fn read(proto: &TensorProto) -> Result<Self, ModelError> {
        let name = proto.name.as_deref().unwrap_or_default();
        let malformed = |reason: String| ModelError::Malformed { reason: format!("tensor {name:?} {reason}") };
        if proto.data_location.unwrap_or(0) != 0 {
            let reason = "is stored outside the file; save the model as one file";
            return Err(malformed(reason.into()));
        }
        let dims: Vec<usize> = proto
            .dims
            .iter()
            .map(|&extent| usize::try_from(extent))
            .collect::<Result<_, _>>()
            .map_err(|_| malformed("has a negative extent".into()))?;
        let count = dims
            .iter()
            .try_fold(1_usize, |count, &extent| count.checked_mul(extent))
            .ok_or_else(|| malformed(format!("has extents {dims:?}, more than memory holds")))?;
        let raw = proto.raw_data.as_deref();
        let mismatch = || malformed(format!("of {dims:?} does not have {count} values"));
        let values = match proto.data_type.unwrap_or(0) {
            FLOAT => Values::Float(
                read_raw(raw, count, f32::from_le_bytes, &proto.float_data)
                    .ok_or_else(mismatch)?
                    .into_iter()
                    .map(f64::from)
                    .collect(),
            ),
            DOUBLE => Values::Float(read_raw(raw, count, f64::from_le_bytes, &proto.double_data).ok_or_else(mismatch)?),
            INT64 => Values::Int(read_raw(raw, count, i64::from_le_bytes, &proto.int64_data).ok_or_else(mismatch)?),
            INT32 => Values::Int(
                read_raw(raw, count, i32::from_le_bytes, &proto.int32_data)
                    .ok_or_else(mismatch)?
                    .into_iter()
                    .map(i64::from)
                    .collect(),
            ),
            other => {
                let reason = format!("has data type {other}; export the model in float32");
                return Err(malformed(reason));
            }
        };
        if let Values::Float(values) = &values
            && !values.iter().all(|x| x.is_finite())
        {
            return Err(malformed("contains a value that is not a finite number".into()));
        }
        Ok(Self { dims, values })
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Float(values) => values.len(),
            Values::Int(values) => values.len(),
        }
    }

    /// The values if they are numbers, not indices.
    pub(super) fn floats(&self) -> Option<&[f64]> {
        match &self.values {
            Values::Float(values) => Some(values),
            Values::Int(_) => None,
        }
    }

    /// The values if they are indices.
    pub(super) fn ints(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Float(_) => None,
            Values::Int(values) => Some(values),
        }
    }
}

/// `count` values from the raw bytes if there are any, otherwise from the typed field; `None` if
/// there are more or fewer, or both are filled.
fn read_raw<T: Copy, const N: usize>(
    raw: Option<&[u8]>,
    count: usize,
    decode: fn([u8; N]) -> T,
    typed: &[T],
) -> Option<Vec<T>> {
    match raw {
        Some(raw) if !raw.is_empty() => {
            let (chunks, rest) = raw.as_chunks::<N>();
            let fits = chunks.len() == count && rest.is_empty() && typed.is_empty();
            fits.then(|| chunks.iter().map(|&bytes| decode(bytes)).collect())
        }
        _ => (typed.len() == count).then(|| typed.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proto(dims: &[i64], data_type: i32) -> TensorProto {
        TensorProto { dims: dims.to_vec(), data_type: Some(data_type), ..Default::default() }
    }

    #[test]
    fn reads_raw_and_typed_values() {
        let raw = [1.5_f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = Tensor::read(&TensorProto { raw_data: Some(raw), ..proto(&[1, 2], FLOAT) });
        assert_eq!(tensor.unwrap().floats().unwrap(), [1.5, -2.0]);
        let tensor = Tensor::read(&TensorProto { int64_data: vec![-1], ..proto(&[], INT64) });
        assert_eq!(tensor.unwrap().ints().unwrap(), [-1]);
        let tensor = Tensor::read(&TensorProto { int32_data: vec![7], ..proto(&[1], INT32) });
        assert_eq!(tensor.unwrap().ints().unwrap(), [7]);
        let tensor = Tensor::read(&TensorProto { double_data: vec![0.5], ..proto(&[1], DOUBLE) });
        assert_eq!(tensor.unwrap().floats().unwrap(), [0.5]);
    }

    #[test]
    fn contradictions_are_errors() {
        for wrong in [
            TensorProto { float_data: vec![1.0], ..proto(&[i64::MAX, i64::MAX], FLOAT) },
            TensorProto { float_data: vec![1.0], ..proto(&[1 << 40], FLOAT) },
            TensorProto { float_data: vec![1.0], ..proto(&[-1], FLOAT) },
            TensorProto { raw_data: Some(vec![0; 7]), ..proto(&[1], INT64) },
            TensorProto { float_data: vec![f32::NAN], ..proto(&[1], FLOAT) },
            TensorProto { data_location: Some(1), ..proto(&[0], FLOAT) },
            proto(&[1], 10),
            proto(&[1], FLOAT),
        ] {
            assert!(matches!(Tensor::read(&wrong), Err(ModelError::Malformed { .. })));
        }
    }
}
