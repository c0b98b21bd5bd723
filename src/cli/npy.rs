//! NumPy files: matrices are written in format version 1.0, tensors are read in all versions.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header is a Python dictionary as NumPy
//! itself writes it.

use std::path::Path;

use voxcheck::audio::frontend::Tensor;

use super::error::{CliError, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Most axes of a tensor.
const MAX_AXES: usize = 8;

/// A little-endian `rows × columns` matrix; `descr` is its NumPy type, such as `<i8`.
fn npy(descr: &str, rows: usize, columns: usize, data: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, version and length take 10 bytes; the data begins at a multiple of 64 after a newline.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = [MAGIC, &[1, 0]].concat();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).into_bytes());
    data.for_each(|value| bytes.extend(value));
    bytes
}

/// A matrix of 64-bit integers, one row after the other.
pub fn integers(rows: usize, columns: usize, values: impl IntoIterator<Item = i64>) -> Vec<u8> {
    npy("<i8", rows, columns, values.into_iter().map(i64::to_le_bytes))
}

/// A matrix of doubles, one row after the other.
pub fn floats(rows: usize, columns: usize, values: impl IntoIterator<Item = f64>) -> Vec<u8> {
    npy("<f8", rows, columns, values.into_iter().map(f64::to_le_bytes))
}

/// The tensor of a file: numbers of any type that NumPy has for real ones.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Tensor> {
    tensor(bytes).map_err(|reason| {
        let message = format!("{}: {reason}", path.display());
        CliError::data("E-TENSOR", message, "write it with numpy.save, as an array of integers or floats")
    })
}

fn tensor(bytes: &[u8]) -> std::result::Result<Tensor, String> {
    let not = || "this is not a NumPy file".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(not)?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(not)?;
    // Version 1 has two bytes for the length of the header, later ones have four.
    let (length, rest) = match major {
        1 => rest.split_first_chunk::<2>().map(|(length, rest)| (u16::from_le_bytes(*length).into(), rest)),
        2 | 3 => rest.split_first_chunk::<4>().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)),
        _ => return Err(format!("NumPy format version {major} is not known")),
    }
    .ok_or_else(not)?;
    let header = rest.get(..length).and_then(|header| std::str::from_utf8(header).ok()).ok_or_else(not)?;
    let data = rest.get(length..).unwrap_or_default();
    let missing = |key: &str| format!("its header has no usable {key}");
    let descr = entry(header, "descr").and_then(|value| value.strip_prefix('\'')).ok_or_else(|| missing("type"))?;
    let descr = descr.split('\'').next().unwrap_or_default();
    let fortran = match entry(header, "fortran_order") {
        Some(value) if value.starts_with("False") => false,
        Some(value) if value.starts_with("True") => true,
        _ => return Err(missing("order")),
    };
    let shape = entry(header, "shape").and_then(|value| value.strip_prefix('(')?.split(')').next());
    let shape = shape.ok_or_else(|| missing("shape"))?;
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    let extents: Vec<usize> =
        axes.map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| missing("shape"))?;
    let (size, number) = number(descr).ok_or_else(|| format!("numbers of type {descr:?} are not read"))?;
    let count = extents.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
    if extents.len() > MAX_AXES || count.and_then(|count| count.checked_mul(size)) != Some(data.len()) {
        return Err(format!("it has {} bytes of data for the shape ({shape}) of {descr}", data.len()));
    }
    let values: Vec<f64> = data.chunks_exact(size).map(number).collect();
    Ok(if fortran { in_c_order(extents, &values) } else { Tensor { extents, values } })
}

/// What follows a key of the header.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = header.split_once(&format!("'{key}'"))?;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// How a number is read from its bytes.
type Number = fn(&[u8]) -> f64;

/// Bytes of a number of a NumPy type, and how it is read.
fn number(descr: &str) -> Option<(usize, Number)> {
    macro_rules! of {
        ($type:ty, $from:ident) => {
            (size_of::<$type>(), |bytes| bytes.try_into().map_or(f64::NAN, |bytes| <$type>::$from(bytes) as f64))
        };
    }
    Some(match descr {
        "<f4" => of!(f32, from_le_bytes),
        ">f4" => of!(f32, from_be_bytes),
        "<f8" => (8, |bytes| bytes.try_into().map_or(f64::NAN, f64::from_le_bytes)),
        ">f8" => (8, |bytes| bytes.try_into().map_or(f64::NAN, f64::from_be_bytes)),
        "|i1" => of!(i8, from_le_bytes),
        "|u1" | "|b1" => of!(u8, from_le_bytes),
        "<i2" => of!(i16, from_le_bytes),
        "<u2" => of!(u16, from_le_bytes),
        "<i4" => of!(i32, from_le_bytes),
        "<u4" => of!(u32, from_le_bytes),
        "<i8" => of!(i64, from_le_bytes),
        "<u8" => of!(u64, from_le_bytes),
        _ => return None,
    })
}

/// A tensor whose values have the first axis innermost, as one that has the last.
fn in_c_order(extents: Vec<usize>, values: &[f64]) -> Tensor {
    let place = |mut index: usize| {
        // The digits of the index, last axis first, are those of the other order, weighed from its first axis on.
        let mut steps: Vec<usize> = Vec::with_capacity(extents.len());
        let mut step = 1;
        for &extent in &extents {
            steps.push(step);
            step *= extent;
        }
        let mut at = 0;
        for (&extent, step) in extents.iter().zip(steps).rev() {
            at += index % extent * step;
            index /= extent;
        }
        at
    };
    let values = (0..values.len()).filter_map(|index| values.get(place(index)).copied()).collect();
    Tensor { extents, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let length = if version == 1 {
            (header.len() as u16).to_le_bytes().to_vec()
        } else {
            (header.len() as u32).to_le_bytes().to_vec()
        };
        [MAGIC, &[version, 0], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let read = tensor(&integers(2, 3, [1, -2, 3, 4, 5, 1 << 40])).unwrap();
        assert_eq!(read, Tensor { extents: vec![2, 3], values: vec![1.0, -2.0, 3.0, 4.0, 5.0, (1i64 << 40) as f64] });
        assert_eq!(tensor(&floats(1, 1, [0.25])).unwrap().values, [0.25]);
    }

    #[test]
    fn headers_of_all_versions_orders_and_types_are_read() {
        let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }  \n";
        let data: Vec<u8> = [0.0f32, 10.0, 1.0, 11.0, 2.0, 12.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        for version in [1, 2, 3] {
            let read = tensor(&file(version, header, &data)).unwrap();
            assert_eq!(read, Tensor { extents: vec![2, 3], values: vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0] });
        }
        for (descr, data, value) in [
            ("|u1", vec![200u8], 200.0),
            ("|b1", vec![1], 1.0),
            ("|i1", vec![0x80], -128.0),
            ("<u2", vec![0, 0x80], 32768.0),
            ("<i2", vec![0, 0x80], -32768.0),
            ("<i4", vec![0, 0, 0, 0x80], -2_147_483_648.0),
            (">f4", vec![0x3f, 0x80, 0, 0], 1.0),
        ] {
            let read = tensor(&file(1, &format!("{{'descr':'{descr}','fortran_order':False,'shape':(1,)}}"), &data));
            assert_eq!(read, Ok(Tensor { extents: vec![1], values: vec![value] }), "{descr}");
        }
        let scalar = "{'descr': '|i1', 'fortran_order': False, 'shape': (), }\n";
        assert_eq!(tensor(&file(1, scalar, &[7])).unwrap(), Tensor { extents: vec![], values: vec![7.0] });
    }

    #[test]
    fn other_files_are_refused() {
        let good = file(1, "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }", &[1, 2]);
        assert!(tensor(&good).is_ok());
        for length in 0..good.len() {
            assert!(tensor(&good[..length]).is_err(), "{length} bytes");
        }
        for (header, data) in [
            ("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }", 2),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4),
            ("{'descr': '|i1', 'fortran_order': maybe, 'shape': (1,), }", 1),
            ("{'descr': '|i1', 'fortran_order': False, 'shape': (-1,), }", 1),
            ("{'descr': '|i1', 'fortran_order': False, 'shape': (18446744073709551615, 2), }", 1),
            ("{'descr': '|i1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }", 1),
            ("{'descr': '|i1', 'fortran_order': False}", 1),
            ("", 0),
        ] {
            assert!(tensor(&file(1, header, &vec![0; data])).is_err(), "{header}");
        }
        assert!(tensor(&file(4, "{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }", &[0])).is_err());
        assert!(tensor(b"").is_err());
        // A header that is said to be longer than the file.
        assert!(tensor(&[MAGIC, &[2, 0, 0xff, 0xff, 0xff, 0xff]].concat()).is_err());
    }

    #[test]
    fn the_header_is_aligned_and_says_the_shape() {
        let bytes = integers(1, 2, [-1, 3]);
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
        assert!(header.starts_with("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }"));
        assert!(header.ends_with('\n'));
        assert_eq!(&bytes[10 + length..], [[0xff; 8], [3, 0, 0, 0, 0, 0, 0, 0]].concat());
        assert_eq!(floats(1, 1, [1.0]).len() % 64, 8);
    }
}
