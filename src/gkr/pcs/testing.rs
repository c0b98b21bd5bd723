//! Tables for tests.

use super::layout::Layout;
use crate::sumcheck::int::{IntTable, IntVec};

/// Integers of `2^bytes` bytes: a mixture of extremes, small numbers, zeros and noise.
pub fn random_table(rows: usize, cols: usize, bytes: usize, seed: u64) -> IntTable {
    let mut state = u128::from(seed) | 1;
    let mut values: Vec<i128> = Vec::new();
    let bits = 8 << bytes;
    for _ in 0..rows * cols {
        state = state.wrapping_mul(0x2d99_787f_926d_4693_2da9_4204_2e4d_d58b).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let noise = (state ^ (state >> 64)) as i128;
        let value = match (state >> 100) % 8 {
            0 => i128::MIN,
            1 => i128::MAX,
            2 => 0,
            3 => (noise & 7) << (128 - bits),
            4 => (noise | !7) << (128 - bits),
            5 => i128::MIN | (1 << (128 - bits)),
            _ => noise,
        };
        values.push(value >> (128 - bits));
    }
    table(rows, cols, bytes, values)
}

/// A table of integers of `2^bytes` bytes.
pub fn table(rows: usize, cols: usize, bytes: usize, values: Vec<i128>) -> IntTable {
    let values = match bytes {
        0 => IntVec::I8(values.into_iter().map(|v| v as i8).collect()),
        1 => IntVec::I16(values.into_iter().map(|v| v as i16).collect()),
        2 => IntVec::I32(values.into_iter().map(|v| v as i32).collect()),
        3 => IntVec::I64(values.into_iter().map(|v| v as i64).collect()),
        _ => IntVec::I128(values),
    };
    IntTable::new(rows, cols, values)
}

/// The committed matrix, by its definition.
pub fn matrix(table: &IntTable, layout: &Layout) -> Vec<Vec<i128>> {
    let entry = |f: usize| {
        let (t, channel) = (f / layout.padded_cols(), f % layout.padded_cols());
        if t < table.rows() && channel < table.cols() { table.get(t, channel) } else { 0 }
    };
    let width = layout.width();
    (0..layout.num_rows()).map(|r| (0..width).map(|j| entry(r * width + j)).collect()).collect()
}
