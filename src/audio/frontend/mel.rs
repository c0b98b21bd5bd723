//! Mel scales and banks of triangular filters.

use serde::{Deserialize, Serialize};

use crate::layers::matrix::FloatMatrix;

/// A bank of triangular filters whose corners are equidistant in mel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MelBank {
    /// Number of filters, at least 1.
    pub bands: usize,
    /// Lower corner of the first filter, in Hz.
    pub low_hz: f64,
    /// Upper corner of the last filter, in Hz, at most half the sample rate.
    pub high_hz: f64,
    /// The mel scale.
    pub scale: MelScale,
    /// The sides of the triangles.
    pub triangles: Triangles,
    /// The height of the triangles.
    pub norm: MelNorm,
}

/// The mel scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MelScale {
    /// 2595·log10(1 + f/700).
    Htk,
    /// 200/3 Hz per mel below 1000 Hz, then a factor of 6.4 per 27 mel.
    Slaney,
    /// 1127·ln(1 + f/700): HTK's scale with its factor rounded, as Kaldi and TensorFlow have it.
    Kaldi,
}

/// The sides of the triangles: what they are straight lines of, from corner to corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Triangles {
    /// Frequency in Hz.
    Hz,
    /// Mel. The bin at half the sample rate has no weight.
    Mel,
    /// Frequency in Hz, the upper side as wide as the lower one: it ends before the next centre.
    Symmetric,
}

/// The height of the triangles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MelNorm {
    /// Height 1.
    None,
    /// Height 2/(upper corner − lower corner): area 1 over frequency in Hz.
    Slaney,
}

impl MelBank {
    /// The weights, at least 0, of `num_bins` frequencies, `bin_hz` Hz apart, in every band: \[num_bins × bands\].
    pub fn matrix(&self, num_bins: usize, bin_hz: f64) -> FloatMatrix {
        let Self { bands, low_hz, high_hz, scale, triangles, norm } = *self;
        let (low, high) = (scale.mel(low_hz), scale.mel(high_hz));
        let step = (high - low) / (bands + 1) as f64;
        let corner = |i: usize| low + step * i as f64;
        FloatMatrix::from_fn(num_bins, bands, |k, b| {
            let hz = k as f64 * bin_hz;
            let [left, centre, right] = [b, b + 1, b + 2].map(|i| scale.hz(corner(i)));
            let height = match norm {
                MelNorm::None => 1.0,
                MelNorm::Slaney => 2.0 / (right - left),
            };
            let (rising, falling) = match triangles {
                Triangles::Hz => ((hz - left) / (centre - left), (right - hz) / (right - centre)),
                Triangles::Symmetric => ((hz - left) / (centre - left), (2.0 * centre - left - hz) / (centre - left)),
                Triangles::Mel if k + 1 == num_bins => (0.0, 0.0),
                Triangles::Mel => ((scale.mel(hz) - corner(b)) / step, (corner(b + 2) - scale.mel(hz)) / step),
            };
            height * rising.min(falling).max(0.0)
        })
    }
}

impl MelScale {
    /// Hz per mel of the linear part of Slaney's scale, and where it ends in Hz.
    const SLANEY_STEP: f64 = 200.0 / 3.0;
    const SLANEY_CORNER: f64 = 1000.0;

    /// Growth of ln(Hz) per mel above the corner.
    fn slaney_growth() -> f64 {
        6.4_f64.ln() / 27.0
    }

    /// A frequency in Hz, at least 0, as a mel value.
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Kaldi => 1127.0 * (hz / 700.0).ln_1p(),
            Self::Slaney if hz < Self::SLANEY_CORNER => hz / Self::SLANEY_STEP,
            Self::Slaney => {
                let above = (hz / Self::SLANEY_CORNER).ln() / Self::slaney_growth();
                Self::SLANEY_CORNER / Self::SLANEY_STEP + above
            }
        }
    }

    /// The frequency in Hz of a mel value: the inverse of [`MelScale::mel`].
    pub fn hz(self, mel: f64) -> f64 {
        let corner = Self::SLANEY_CORNER / Self::SLANEY_STEP;
        match self {
            Self::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
            Self::Kaldi => 700.0 * (mel / 1127.0).exp_m1(),
            Self::Slaney if mel < corner => mel * Self::SLANEY_STEP,
            Self::Slaney => Self::SLANEY_CORNER * ((mel - corner) * Self::slaney_growth()).exp(),
        }
    }
}
