//! What happens to the samples of one frame before its energies: window, emphasis and Fourier transform; and the cosine
//! transform after them. All of it is linear, so all of it is matrices.

use std::f64::consts::PI;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::FrontEnd;
use crate::layers::matrix::FloatMatrix;

/// Factor of the sample before in a pre-emphasis, in hundredths: integers compute `100·x[n] − 97·x[n−1]` exactly.
pub const EMPHASIS_HUNDREDTHS: u32 = 97;
/// The same as a number.
pub const EMPHASIS: f64 = EMPHASIS_HUNDREDTHS as f64 / 100.0;

/// Whether high frequencies are emphasised: `y[n] = x[n] − 0.97·x[n−1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PreEmphasis {
    /// They are not.
    None,
    /// In every frame of its own, after subtracting the frame's mean; its first sample stands for the one before it.
    Frame,
    /// In the whole recording, before any padding; the second sample stands for the one before the first.
    Signal,
}

/// Shape of the window of N values, n from 0 to N − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowKind {
    /// 0.5 − 0.5·cos(2πn/N).
    PeriodicHann,
    /// 0.54 − 0.46·cos(2πn/N).
    PeriodicHamming,
    /// 0.54 − 0.46·cos(2πn/(N − 1)).
    SymmetricHamming,
    /// (0.5 − 0.5·cos(2πn/(N − 1)))^0.85.
    Povey,
}

impl WindowKind {
    /// `len` values from 0 to 1.
    pub fn values(self, len: usize) -> Vec<f64> {
        let period = match self {
            Self::PeriodicHann | Self::PeriodicHamming => len,
            Self::SymmetricHamming | Self::Povey => len.saturating_sub(1).max(1),
        };
        let step = 2.0 * PI / period as f64;
        let value = |n: usize| {
            let cos = (step * n as f64).cos();
            match self {
                Self::PeriodicHann => 0.5 - 0.5 * cos,
                Self::PeriodicHamming | Self::SymmetricHamming => 0.54 - 0.46 * cos,
                // Rounding may leave the ends of the window below zero.
                Self::Povey => (0.5 - 0.5 * cos).max(0.0).powf(0.85),
            }
        };
        (0..len).map(value).collect()
    }
}

/// What is taken of every frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spectrum {
    /// The square of its magnitude.
    Power,
    /// Its magnitude.
    Magnitude,
}

/// A cosine transform (DCT-II) of the compressed bands: `s·w[i]·Σ_b l[b]·cos(πi(b + 1/2)/B)`, `s = √(2/B)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dct {
    /// Number of coefficients kept, 1 to the number of bands.
    pub coefficients: usize,
    /// Whether coefficient 0 is divided by √2, which makes the transform orthonormal.
    pub orthonormal: bool,
    /// L of a lifter `w[i] = 1 + L/2·sin(πi/L)`; 0: all weights are 1.
    pub lifter: u32,
}

impl Dct {
    /// The first coefficients of the orthonormal transform.
    pub const fn orthonormal(coefficients: usize) -> Self {
        Self { coefficients, orthonormal: true, lifter: 0 }
    }

    fn weight(&self, i: usize) -> f64 {
        let scale = if i == 0 && self.orthonormal { 0.5_f64.sqrt() } else { 1.0 };
        let period = f64::from(self.lifter);
        let lift = if self.lifter == 0 { 1.0 } else { 1.0 + period / 2.0 * (PI * i as f64 / period).sin() };
        scale * lift
    }
}

/// The Fourier transform of a frame, with everything before it, as a real linear map of the frame's samples.
#[derive(Clone, Debug, PartialEq)]
pub struct DftMatrix {
    /// The frequencies covered: those with a non-zero filterbank weight, and any between them.
    /// Column j of both matrices is frequency `bins.start + j`.
    pub bins: Range<usize>,
    /// The real parts: \[window_length × bins\].
    pub re: FloatMatrix,
    /// The imaginary parts: \[window_length × bins\].
    pub im: FloatMatrix,
}

impl FrontEnd {
    /// The window, `window_length` values from 0 to 1.
    pub fn window(&self) -> Vec<f64> {
        self.window.values(self.window_length)
    }

    /// What happens to the samples under a window before the transform, the window included: row n of
    /// \[window_length × window_length\] has the factors of all samples in value n.
    pub fn frame_matrix(&self) -> FloatMatrix {
        let (window, len) = (self.window(), self.window_length);
        if self.emphasis != PreEmphasis::Frame {
            return FloatMatrix::from_fn(len, len, |n, j| if n == j { window[n] } else { 0.0 });
        }
        let centred = |n: usize, j: usize| f64::from(u8::from(n == j)) - 1.0 / len as f64;
        FloatMatrix::from_fn(len, len, |n, j| window[n] * (centred(n, j) - EMPHASIS * centred(n.saturating_sub(1), j)))
    }

    /// The Fourier transform, everything before it included, for the frequencies that carry filterbank weight.
    pub fn dft_matrix(&self) -> DftMatrix {
        let mel = self.mel_matrix();
        let used = |k: &usize| mel.row(*k).iter().any(|&weight| weight != 0.0);
        let first = (0..mel.rows).find(used).unwrap_or(0);
        let bins = first..(first..mel.rows).rfind(used).map_or(first, |last| last + 1);
        // The product k·n is reduced first: the angle stays below 2π and loses no precision.
        let angle = |n: usize, j: usize| 2.0 * PI * ((first + j) * n % self.fft_size) as f64 / self.fft_size as f64;
        let (len, cols) = (self.window_length, bins.len());
        let frame = self.frame_matrix();
        let transposed = FloatMatrix::from_fn(len, len, |j, n| frame.row(n)[j]);
        DftMatrix {
            re: transposed.multiply(&FloatMatrix::from_fn(len, cols, |n, j| angle(n, j).cos())),
            im: transposed.multiply(&FloatMatrix::from_fn(len, cols, |n, j| -angle(n, j).sin())),
            bins,
        }
    }

    /// The filterbank: \[num_bins × bands\], weights at least 0.
    pub fn mel_matrix(&self) -> FloatMatrix {
        self.mel.matrix(self.num_bins(), f64::from(self.sample_rate) / self.fft_size as f64)
    }

    /// The cosine transform: \[bands × coefficients\]; `None` if the preset has none.
    pub fn dct_matrix(&self) -> Option<FloatMatrix> {
        let (dct, bands) = (self.dct?, self.mel.bands);
        let scale = (2.0 / bands as f64).sqrt();
        Some(FloatMatrix::from_fn(bands, dct.coefficients, |b, i| {
            scale * dct.weight(i) * (PI * i as f64 * (b as f64 + 0.5) / bands as f64).cos()
        }))
    }
}
