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
const UINT8: i32 = 2;
const INT8: i32 = 3;
const UINT16: i32 = 4;
const INT16: i32 = 5;
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const UINT32: i32 = 12;
const UINT64: i32 = 13;
const BFLOAT16: i32 = 16;

/// Whether numbers of this data type are indices and the like; `None` for types that are not known.
pub(super) fn is_integer(data_type: i32) -> Option<bool> {
    match data_type {
        FLOAT | FLOAT16 | DOUBLE | BFLOAT16 => Some(false),
        UINT8 | INT8 | UINT16 | INT16 | INT32 | INT64 | BOOL | UINT32 | UINT64 => Some(true),
        _ => None,
    }
}

/// Smallest and largest integer of a data type; `None` for types that are no integers of at most 32 bits.
pub(super) fn integer_bounds(data_type: i32) -> Option<[i64; 2]> {
    match data_type {
        UINT8 => Some([0, u8::MAX.into()]),
        INT8 => Some([i8::MIN.into(), i8::MAX.into()]),
        UINT16 => Some([0, u16::MAX.into()]),
        INT16 => Some([i16::MIN.into(), i16::MAX.into()]),
        UINT32 => Some([0, u32::MAX.into()]),
        INT32 => Some([i32::MIN.into(), i32::MAX.into()]),
        _ => None,
    }
}

/// A number of 16 bits with 5 bits of exponent.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    match exponent {
        0 => sign * fraction * (-24f64).exp2(),
        31 => {
            if fraction == 0.0 {
                sign * f64::INFINITY
            } else {
                f64::NAN
            }
        }
        _ => sign * (1024.0 + fraction) * f64::from(exponent - 25).exp2(),
    }
}

impl Tensor {
    /// A tensor of one number.
    pub(super) fn scalar(value: f64) -> Self {
        Self { dims: vec![], values: Values::Float(vec![value]) }
    }

    /// Decodes a tensor of a model file. Nothing is allocated before the number of elements is known to match the bytes
    /// present.
    pub(super) fn read(proto: &TensorProto) -> Result<Self, ModelError> {
        let name = proto.name.as_deref().unwrap_or_default();
        let malformed = |reason: String| ModelError::Malformed { reason: format!("tensor {name:?} {reason}") };
        if proto.data_location.unwrap_or(0) != 0 {
            let reason = "is stored outside the file; import it by its path, or save the model as one file";
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
            .try_fold([1_usize; 2], |[count, most], &extent| {
                // The extents beside a 0 count as well, so that no product of them overflows.
                Some([count.checked_mul(extent)?, most.checked_mul(extent.max(1))?])
            })
            .map(|[count, _]| count)
            .ok_or_else(|| malformed(format!("has extents {dims:?}, more than memory holds")))?;
        let mismatch = || malformed(format!("of {dims:?} does not have {count} values"));
        let raw = proto.raw_data.as_deref();
        let values = decode(proto, raw, count)
            .ok_or_else(|| malformed(format!("has data type {}; export the model in float32", proto.data_type())))?
            .ok_or_else(mismatch)?;
        if let Values::Float(values) = &values
            && values.iter().any(|x| x.is_nan())
        {
            return Err(malformed("contains a value that is not a number".into()));
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

/// The values of a tensor: outer `None` for data types that are not known, inner `None` if their number is wrong.
fn decode(proto: &TensorProto, raw: Option<&[u8]>, count: usize) -> Option<Option<Values>> {
    let (int32, int64) = (&proto.int32_data, &proto.int64_data);
    let floats = |values: Option<Vec<f64>>| values.map(Values::Float);
    let ints = |values: Option<Vec<i64>>| values.map(Values::Int);
    // Short types share the field of 32-bit integers.
    macro_rules! short {
        ($kind:ty, $wrap:ident, $convert:expr) => {{
            let typed: Vec<$kind> = int32.iter().map(|&v| v as $kind).collect();
            $wrap(read_raw(raw, count, <$kind>::from_le_bytes, &typed).map(|v| v.into_iter().map($convert).collect()))
        }};
    }
    Some(match proto.data_type.unwrap_or(0) {
        FLOAT => floats(widen(read_raw(raw, count, f32::from_le_bytes, &proto.float_data))),
        DOUBLE => floats(read_raw(raw, count, f64::from_le_bytes, &proto.double_data)),
        FLOAT16 => short!(u16, floats, half),
        BFLOAT16 => short!(u16, floats, |v| f64::from(f32::from_bits(u32::from(v) << 16))),
        INT64 => ints(read_raw(raw, count, i64::from_le_bytes, int64)),
        INT32 => short!(i32, ints, i64::from),
        INT16 => short!(i16, ints, i64::from),
        INT8 => short!(i8, ints, i64::from),
        UINT16 => short!(u16, ints, i64::from),
        UINT8 => short!(u8, ints, i64::from),
        BOOL => short!(u8, ints, |v| i64::from(v != 0)),
        UINT32 | UINT64 => {
            let typed: Vec<u64> = proto.uint64_data.clone();
            let wide = |v: Vec<u64>| v.into_iter().map(|v| i64::try_from(v).unwrap_or(i64::MAX)).collect();
            if proto.data_type == Some(UINT32) {
                let typed: Vec<u32> = typed.iter().map(|&v| v as u32).collect();
                ints(read_raw(raw, count, u32::from_le_bytes, &typed).map(|v| v.into_iter().map(i64::from).collect()))
            } else {
                ints(read_raw(raw, count, u64::from_le_bytes, &typed).map(wide))
            }
        }
        _ => return None,
    })
}

fn widen(values: Option<Vec<f32>>) -> Option<Vec<f64>> {
    values.map(|values| values.into_iter().map(f64::from).collect())
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
    fn short_types_are_widened() {
        let raw = |data_type: i32, bytes: &[u8]| {
            let count = bytes.len() / if [FLOAT16, BFLOAT16, INT16, UINT16].contains(&data_type) { 2 } else { 1 };
            let tensor = TensorProto { raw_data: Some(bytes.to_vec()), ..proto(&[count as i64], data_type) };
            Tensor::read(&tensor).unwrap().values
        };
        // 1, −2, 2^−24, 0.333251953125
        let halves = [0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x55, 0x35];
        assert_eq!(raw(FLOAT16, &halves), Values::Float(vec![1.0, -2.0, (-24f64).exp2(), 0.333_251_953_125]));
        assert_eq!(raw(BFLOAT16, &[0x80, 0x3f, 0x40, 0xc0]), Values::Float(vec![1.0, -3.0]));
        assert_eq!(raw(INT8, &[255, 3]), Values::Int(vec![-1, 3]));
        assert_eq!(raw(UINT8, &[255, 3]), Values::Int(vec![255, 3]));
        assert_eq!(raw(BOOL, &[7, 0]), Values::Int(vec![1, 0]));
        assert_eq!(raw(INT16, &[254, 255]), Values::Int(vec![-2]));
        let typed = TensorProto { int32_data: vec![0x3c00], ..proto(&[1], FLOAT16) };
        assert_eq!(Tensor::read(&typed).unwrap().floats(), Some(&[1.0][..]));
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
            proto(&[1], 8),
            proto(&[1], FLOAT),
        ] {
            assert!(matches!(Tensor::read(&wrong), Err(ModelError::Malformed { .. })));
        }
    }
}
