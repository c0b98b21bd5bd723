//! How many bits the numbers of a front end have.
//!
//! The largest energy follows from the norm of a frame (Parseval): for samples up to `A`, frames `f = F·s` have
//! `|f|² ≤ A²·Σ_n (Σ_j |F[n, j]|)²`, the powers of their frequencies below half the rate add up to `fft/2·|f|²`, and a band
//! is at most its largest weight times that. Rounding moves a coefficient by no more than half a unit a sample.

use super::{MANTISSA_BITS, SAMPLE_BITS};
use crate::audio::FrontEnd;
use crate::audio::frontend::{Compression, DftMatrix, Padding, PreEmphasis, SampleScale, Spectrum};

/// Fraction bits of the transform, and bits of the largest weight of a band, where energies are taken as they are.
const PLAIN_BITS: i32 = 12;
/// Fraction bits of the transform below logarithms with a floor of 1e-6: weights off by 2^-13 would let so much of a loud
/// recording into its quiet bands that they pass the floor.
const FLOORED_DFT_BITS: i32 = 14;
/// Bits of the largest weight elsewhere: a side of a triangle has bins of little weight and much energy.
const FINE_MEL_BITS: i32 = 14;
/// Fraction bits of the transform elsewhere, at most, and what is left of an energy after its mantissa: six limbs of
/// 16 bits. A rounded transform lets loud frequencies into quiet ones, and recordings are quiet at high frequencies.
const MAX_DFT_BITS: i32 = 24;
const REMAINDER_BITS: usize = 96;
/// Fraction bits of a transform whose magnitudes are roots of three limbs.
const MAGNITUDE_BITS: i32 = 20;
/// Bits that programs admit, less what they round up.
const ADMITTED_BITS: f64 = 198.5;
/// Bits up to which sums of products are exact in double precision.
const EXACT_BITS: f64 = 52.0;

/// Bits of the numbers of a front end.
pub(super) struct Widths {
    /// Fraction bits of the transform.
    pub(super) dft_bits: i32,
    /// What the transform is multiplied by, so that what integers stand for has a power of two for its unit.
    pub(super) dft_factor: f64,
    /// Fraction bits of the bands' weights.
    pub(super) mel_bits: i32,
    /// What the weights are multiplied by, so that a least energy is a power of two.
    pub(super) mel_factor: f64,
    /// Every energy, its floor included, is below `2^(top+1)`.
    pub(super) top: usize,
    /// The floor as an integer, at least 1.
    pub(super) floor: u128,
    signal_bits: i32,
    roots: i32,
}

impl Widths {
    /// The widths for a front end, whose transform is `matrix`.
    pub(super) fn new(front_end: &FrontEnd, matrix: &DftMatrix) -> Self {
        let largest = front_end.mel_matrix().max_abs();
        let mel_factor = match front_end.compression {
            Compression::LnAbove { floor } | Compression::Decibels { floor, .. } => floor.log2().round().exp2() / floor,
            Compression::None
            | Compression::Ln { .. }
            | Compression::Samples
            | Compression::Chunks(_)
            | Compression::Tensor(_) => 1.0,
        };
        let emphasised = front_end.emphasis == PreEmphasis::Signal;
        let at = |dft_bits: i32, weight_bits: i32| {
            let mut widths = Self {
                dft_bits,
                // Emphasised samples are hundreds; 128 is a power of two.
                dft_factor: if emphasised { 1.28 } else { 1.0 },
                mel_bits: weight_bits - (mel_factor * largest).log2().floor() as i32,
                mel_factor,
                top: 0,
                floor: 1,
                signal_bits: match front_end.scale {
                    SampleScale::Unit => SAMPLE_BITS,
                    SampleScale::Int16 | SampleScale::Peak => 0,
                } + if emphasised { 7 } else { 0 },
                roots: if front_end.spectrum == Spectrum::Power { 2 } else { 1 },
            };
            widths.bound(front_end, matrix, mel_factor * largest);
            widths
        };
        if front_end.spectrum == Spectrum::Magnitude {
            return at(MAGNITUDE_BITS, FINE_MEL_BITS);
        }
        let plain = match front_end.compression {
            Compression::None => Some(PLAIN_BITS),
            Compression::Ln { floor: 1e-6.. } => Some(FLOORED_DFT_BITS),
            _ => None,
        };
        if front_end.emphasis == PreEmphasis::None
            && front_end.scale == SampleScale::Unit
            && let Some(dft_bits) = plain
        {
            return at(dft_bits, PLAIN_BITS);
        }
        let fits = |widths: &Self| {
            let coefficient = widths.coefficient_bits(front_end, matrix);
            let admitted = coefficient + slack_bits(front_end);
            let energy = 2.0 * admitted + 1.0 + f64::from(FINE_MEL_BITS + 1) + (matrix.bins.len() as f64).log2();
            let shift = widths.top - widths.floor.ilog2() as usize;
            // The lowest limb of what the mantissa leaves is scaled to 16 bits.
            let scaled = (16 - (widths.top - MANTISSA_BITS) % 16) % 16;
            widths.top <= REMAINDER_BITS + MANTISSA_BITS
                && coefficient <= EXACT_BITS
                && energy + (shift + scaled) as f64 <= ADMITTED_BITS
        };
        let mut widths = at(MAX_DFT_BITS, FINE_MEL_BITS);
        while widths.dft_bits > PLAIN_BITS && !fits(&widths) {
            widths = at(widths.dft_bits - 1, FINE_MEL_BITS);
        }
        widths
    }

    /// Bits that no sum of products of the transform can pass.
    fn coefficient_bits(&self, front_end: &FrontEnd, matrix: &DftMatrix) -> f64 {
        let entry = self.dft_factor * matrix.re.max_abs().max(matrix.im.max_abs());
        let rows = front_end.window_length.next_multiple_of(block(front_end)) as f64;
        amplitude(front_end).log2() + entry.log2().ceil() + f64::from(self.dft_bits) + rows.log2()
    }

    /// Fraction bits of energies.
    pub(super) fn scale(&self) -> i32 {
        self.roots * (self.signal_bits + self.dft_bits) + self.mel_bits
    }

    /// Finds the floor and the highest bit of an energy, whose largest weight is `weight`.
    fn bound(&mut self, front_end: &FrontEnd, matrix: &DftMatrix, weight: f64) {
        let bins = &matrix.bins;
        let frame = front_end.frame_matrix();
        let gain: f64 = (0..frame.rows).map(|n| frame.row(n).iter().map(|x| x.abs()).sum::<f64>().powi(2)).sum();
        let inner = bins.start > 0 && bins.end < front_end.num_bins();
        let spread = front_end.fft_size as f64 * if inner { 0.5 } else { 1.0 };
        let one = self.dft_factor * f64::from(self.dft_bits).exp2();
        let rounding = (2.0 * bins.len() as f64).sqrt() * front_end.window_length as f64 / 2.0;
        let norm = amplitude(front_end) * (one * (spread * gain).sqrt() + rounding);
        let weight = weight * f64::from(self.mel_bits).exp2() + 1.0;
        let energy = weight * if self.roots == 2 { norm * norm } else { norm * (bins.len() as f64).sqrt() };
        let floor = match front_end.compression {
            Compression::None | Compression::Samples | Compression::Chunks(_) | Compression::Tensor(_) => 0.0,
            Compression::Ln { floor } => floor,
            Compression::LnAbove { floor } | Compression::Decibels { floor, .. } => floor * self.mel_factor,
        };
        self.floor = ((floor * f64::from(self.scale()).exp2()).round() as u128).max(1);
        let most = if front_end.scale == SampleScale::Peak { amplitude(front_end) } else { 1.0 };
        self.top = (energy + most * self.floor as f64).log2().ceil() as usize;
    }
}

/// Largest magnitude of what the transform is given, as an integer.
fn amplitude(front_end: &FrontEnd) -> f64 {
    let most = f64::from(SAMPLE_BITS).exp2();
    if front_end.emphasis == PreEmphasis::Signal { 197.0 * most } else { most }
}

/// Bits by which the interval analysis is above [`amplitude`]: it adds up the three terms of a mirrored recording, of
/// which two are zero everywhere, and all samples of a block where they are laid side by side.
fn slack_bits(front_end: &FrontEnd) -> f64 {
    match front_end.padding {
        Padding::CentredMirror(_) | Padding::Mirror => (3.0 * block(front_end) as f64).log2(),
        _ if super::signal::is_prepared(front_end) => (block(front_end) as f64).log2(),
        Padding::None | Padding::CentredZeros(_) => 0.0,
    }
}

/// Most samples of a block, as bits; and where blocks are made by a contraction, over which intervals add up.
const BLOCK_BITS: u32 = 10;
const PREPARED_BLOCK_BITS: u32 = 3;

/// Largest power of two that divides hop and padding: the samples are seen in blocks of it.
pub(super) fn block(front_end: &FrontEnd) -> usize {
    let divides = |n: u64| if n == 0 { u32::MAX } else { n.trailing_zeros() };
    let hop = divides(front_end.hop as u64);
    if super::signal::is_prepared(front_end) {
        // Samples that are laid side by side start where frame 0 does.
        return 1 << hop.min(PREPARED_BLOCK_BITS);
    }
    1 << hop.min(divides(front_end.first_sample().unsigned_abs())).min(BLOCK_BITS)
}
