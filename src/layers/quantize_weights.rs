//! Float weights on their way into integers: what is folded into them, how they are laid out, and the
//! steps that their ranges call for.

use super::matrix::FloatMatrix;

/// How far beyond the largest value seen a table reaches.
pub(super) const MARGIN: f64 = 2.0;

/// The logistic function.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Fraction bits with which values up to `range`, with the margin, fit signed integers of `bits` bits.
pub(super) fn step(bits: u32, range: f64) -> i32 {
    bits as i32 - 1 - (MARGIN * range.max(1e-6)).log2().ceil() as i32
}

/// Fraction bits of weights: as many as one remainder limb can drop, and no fewer than 7; where one cannot drop
/// those, as many as two can.
pub(super) fn weight_bits(argument_minus_input: i32, weights: &[FloatMatrix]) -> i32 {
    let largest = weights.iter().map(FloatMatrix::max_abs).fold(1e-6, f64::max);
    let fine = 15 - largest.log2().ceil() as i32;
    let one_limb = 16 + argument_minus_input;
    let most = if one_limb < 7 { one_limb + 16 } else { one_limb };
    fine.min(most).max(7).max(argument_minus_input)
}

/// Bits of weights whose sums are not rounded: what a filter's weights are off by lets all other bands into its own.
const EXACT_BITS: i32 = 18;

/// Fraction bits of weights whose sums are not rounded: no more than `most`, unless those are fewer than 7.
pub(super) fn exact_weight_bits(most: i32, weights: &[FloatMatrix]) -> i32 {
    let largest = weights.iter().map(FloatMatrix::max_abs).fold(1e-6, f64::max);
    (EXACT_BITS - largest.log2().ceil() as i32).min(most).max(7)
}

/// `[taps][in][out]` as one matrix a tap.
pub(super) fn split_taps(weight: &[f64], in_channels: usize, out_channels: usize) -> Vec<FloatMatrix> {
    let tap = |w: &[f64]| FloatMatrix::new(in_channels, out_channels, w.to_vec());
    weight.chunks_exact(in_channels * out_channels).map(tap).collect()
}

/// Taps below one another, each padded to a power of two of rows but the last.
pub(super) fn stack(weights: &[FloatMatrix]) -> FloatMatrix {
    let (rows, cols) = (weights[0].rows, weights[0].cols);
    let stride = rows.next_power_of_two();
    FloatMatrix::from_fn((weights.len() - 1) * stride + rows, cols, |i, n| {
        let (tap, c) = (i / stride, i % stride);
        if c < rows { weights[tap].row(c)[n] } else { 0.0 }
    })
}
