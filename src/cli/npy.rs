//! Matrices as NumPy files, format version 1.0.

/// A little-endian `rows × columns` matrix; `descr` is its NumPy type, such as `<i8`.
fn npy(descr: &str, rows: usize, columns: usize, data: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, version and length take 10 bytes; the data begins at a multiple of 64 after a newline.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
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

#[cfg(test)]
mod tests {
    use super::*;

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
