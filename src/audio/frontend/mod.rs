//! Front-end presets: what turns samples into features, as plain numbers.
//!
//! A [`FrontEnd`] computes nothing itself. It hands out the matrices and shapes of which every
//! implementation (the float reference in [`super::float`], the integer one in the proof) is made,
//! so that both are the same front end by construction. With x the samples divided by 32768:
//!
//! ```text
//! frame   f[t,n]   = x[t·hop + n − padding] · window[n]            0 ≤ n < window_length
//! power   p[t,k]   = |Σ_n f[t,n]·exp(−2πi·kn/fft_size)|²           0 ≤ k ≤ fft_size/2
//! mel     m[t,b]   = Σ_k p[t,k]·mel[k,b]
//! log     l[t,b]   = ln(m[t,b] + floor), or m[t,b]
//! DCT     c[t,i]   = Σ_b l[t,b]·dct[b,i], if there is one
//! feature y[t,i]   = c[t,i] − mean over t of c[t,i], or c[t,i]
//! ```
//!
//! Sources: HTK mel scale and triangles as in `torchaudio.functional.melscale_fbanks`, Slaney mel
//! scale and area normalisation as in `librosa.filters.mel`, windows of partial utterances as in
//! Resemblyzer's `VoiceEncoder.compute_partial_slices`.

use std::f64::consts::PI;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::layers::matrix::FloatMatrix;

/// A front end: everything between the samples and the input of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontEnd {
    /// Name of the preset, as [`FrontEnd::by_name`] takes it.
    pub name: String,
    /// Samples per second the recording must have, in Hz.
    pub sample_rate: u32,
    /// Samples per frame, 400 in every preset here with frames; at most `fft_size`.
    pub window_length: usize,
    /// Samples from one frame to the next, 160 in every preset here with frames; at least 1.
    pub hop: usize,
    /// Points of the Fourier transform; frames are zero-padded on the right to this length.
    pub fft_size: usize,
    /// What stands before the first and after the last sample.
    pub padding: Padding,
    /// Shape of the window.
    pub window: WindowKind,
    /// The filterbank.
    pub mel: MelBank,
    /// What happens to the band energies.
    pub compression: Compression,
    /// Number of orthonormal DCT-II coefficients kept (1 to `mel.bands`); `None`: no transform.
    pub dct: Option<usize>,
    /// Whether the mean over all frames is subtracted from every column, after everything else.
    pub subtract_mean: bool,
    /// The windows of frames that are embedded separately; `None`: the whole recording is one.
    pub partials: Option<Partials>,
}

/// What stands before the first and after the last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// Nothing: the first frame starts at the first sample, the last one ends inside the recording.
    None,
    /// This many zeros on both sides; 200 centres frame t at sample t · hop.
    CentredZeros(usize),
}

/// Shape of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowKind {
    /// 0.5 − 0.5·cos(2πn/N) for n from 0 to N − 1.
    PeriodicHann,
}

/// A bank of triangular filters, linear in Hz between corners that are equidistant in mel.
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
}

/// The height of the triangles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MelNorm {
    /// Height 1.
    None,
    /// Height 2/(upper corner − lower corner): area 1 over frequency in Hz.
    Slaney,
}

/// What happens to the band energies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Compression {
    /// Nothing: the network takes energies.
    None,
    /// ln(x + floor).
    Ln {
        /// Added to every energy, positive.
        floor: f64,
    },
    /// There are no bands: the features are the samples, divided by 32768, one a frame.
    Samples,
}

/// Windows of frames that are embedded separately, their embeddings averaged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partials {
    /// Frames per window, at least 1.
    pub frames: usize,
    /// Frames from one window to the next, at least 1.
    pub step: usize,
    /// The last window is kept if at least this share of it (0 to 1) is recording, not padding.
    pub min_coverage: f64,
}

/// The windowed Fourier transform as a real linear map of the samples of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct DftMatrix {
    /// The frequencies covered: those with a non-zero filterbank weight, and any between them.
    /// Column j of both matrices is frequency `bins.start + j`.
    pub bins: Range<usize>,
    /// window\[n\]·cos(2πkn/fft_size): \[window_length × bins\].
    pub re: FloatMatrix,
    /// −window\[n\]·sin(2πkn/fft_size): \[window_length × bins\].
    pub im: FloatMatrix,
}

impl FrontEnd {
    /// 24 log-mel bands, 20 to 7600 Hz, mean-normalised: the front end of the bundled network.
    pub fn logmel24() -> Self {
        Self::logmel(24)
    }

    /// 40 log-mel bands, 20 to 7600 Hz, mean-normalised.
    pub fn logmel40() -> Self {
        Self::logmel(40)
    }

    /// 80 log-mel bands, 20 to 7600 Hz, mean-normalised.
    pub fn logmel80() -> Self {
        Self::logmel(80)
    }

    /// Resemblyzer: 40 Slaney band energies up to 8000 Hz without logarithm, in windows of 160
    /// frames every 77.
    pub fn ge2e40() -> Self {
        Self {
            name: "ge2e40".into(),
            fft_size: 400,
            padding: Padding::CentredZeros(200),
            mel: MelBank { bands: 40, low_hz: 0.0, high_hz: 8000.0, scale: MelScale::Slaney, norm: MelNorm::Slaney },
            compression: Compression::None,
            subtract_mean: false,
            partials: Some(Partials { frames: 160, step: 77, min_coverage: 0.75 }),
            ..Self::logmel(40)
        }
    }

    /// The first `coefficients` (1 to 40) orthonormal DCT-II coefficients of 40 log-mel bands,
    /// without mean subtraction.
    ///
    /// # Panics
    /// If `coefficients` is not between 1 and 40.
    pub fn mfcc(coefficients: usize) -> Self {
        assert!((1..=40).contains(&coefficients), "1 to 40 coefficients, not {coefficients}");
        Self { name: format!("mfcc{coefficients}"), dct: Some(coefficients), subtract_mean: false, ..Self::logmel(40) }
    }

    /// No front end: the network takes the samples, divided by 32768, as one column.
    pub fn raw() -> Self {
        Self {
            name: "raw".into(),
            window_length: 1,
            hop: 1,
            fft_size: 1,
            mel: MelBank { bands: 1, ..Self::logmel(1).mel },
            compression: Compression::Samples,
            subtract_mean: false,
            ..Self::logmel(1)
        }
    }

    /// Whether the features are the samples: then the numbers of frames and columns are those of samples, and no
    /// matrix means anything.
    pub fn is_raw(&self) -> bool {
        self.compression == Compression::Samples
    }

    /// The preset of this name: `raw`, `logmel24`, `logmel40`, `logmel80`, `ge2e40`, `mfcc` (13 coefficients) or
    /// `mfcc1` to `mfcc40`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "raw" => Some(Self::raw()),
            "logmel24" => Some(Self::logmel24()),
            "logmel40" => Some(Self::logmel40()),
            "logmel80" => Some(Self::logmel80()),
            "ge2e40" => Some(Self::ge2e40()),
            "mfcc" => Some(Self::mfcc(13)),
            _ => {
                let coefficients = name.strip_prefix("mfcc")?.parse().ok()?;
                let preset = (1..=40).contains(&coefficients).then(|| Self::mfcc(coefficients))?;
                // One preset, one spelling: `mfcc+5` and `mfcc05` parse as numbers too.
                (preset.name == name).then_some(preset)
            }
        }
    }

    fn logmel(bands: usize) -> Self {
        Self {
            name: format!("logmel{bands}"),
            sample_rate: 16000,
            window_length: 400,
            hop: 160,
            fft_size: 512,
            padding: Padding::None,
            window: WindowKind::PeriodicHann,
            mel: MelBank { bands, low_hz: 20.0, high_hz: 7600.0, scale: MelScale::Htk, norm: MelNorm::None },
            compression: Compression::Ln { floor: 1e-6 },
            dct: None,
            subtract_mean: true,
            partials: None,
        }
    }

    /// Number of features per frame: columns of the network's input.
    pub fn columns(&self) -> usize {
        self.dct.unwrap_or(self.mel.bands)
    }

    /// Number of frequencies of the transform, 0 Hz and half the sample rate included.
    pub fn num_bins(&self) -> usize {
        self.fft_size / 2 + 1
    }

    /// Zeros before the first sample; as many follow the last.
    pub fn zeros_each_side(&self) -> usize {
        match self.padding {
            Padding::None => 0,
            Padding::CentredZeros(zeros) => zeros,
        }
    }

    /// The window, `window_length` values from 0 to 1.
    pub fn window(&self) -> Vec<f64> {
        let WindowKind::PeriodicHann = self.window;
        let step = 2.0 * PI / self.window_length as f64;
        (0..self.window_length).map(|n| 0.5 - 0.5 * (step * n as f64).cos()).collect()
    }

    /// The windowed Fourier transform for the frequencies that carry filterbank weight.
    pub fn dft_matrix(&self) -> DftMatrix {
        let mel = self.mel_matrix();
        let used = |k: &usize| mel.row(*k).iter().any(|&weight| weight != 0.0);
        let first = (0..mel.rows).find(used).unwrap_or(0);
        let bins = first..(first..mel.rows).rfind(used).map_or(first, |last| last + 1);
        let window = self.window();
        // The product k·n is reduced first: the angle stays below 2π and loses no precision.
        let angle = |n: usize, j: usize| 2.0 * PI * ((first + j) * n % self.fft_size) as f64 / self.fft_size as f64;
        let (rows, cols) = (self.window_length, bins.len());
        DftMatrix {
            re: FloatMatrix::from_fn(rows, cols, |n, j| window[n] * angle(n, j).cos()),
            im: FloatMatrix::from_fn(rows, cols, |n, j| -window[n] * angle(n, j).sin()),
            bins,
        }
    }

    /// The filterbank: \[num_bins × bands\], weights at least 0.
    pub fn mel_matrix(&self) -> FloatMatrix {
        let MelBank { bands, low_hz, high_hz, scale, norm } = self.mel;
        let (low, high) = (scale.mel(low_hz), scale.mel(high_hz));
        let step = (high - low) / (bands + 1) as f64;
        let corners: Vec<f64> = (0..bands + 2).map(|i| scale.hz(low + step * i as f64)).collect();
        let bin_hz = f64::from(self.sample_rate) / self.fft_size as f64;
        FloatMatrix::from_fn(self.num_bins(), bands, |k, b| {
            let (left, centre, right) = (corners[b], corners[b + 1], corners[b + 2]);
            let hz = k as f64 * bin_hz;
            let height = match norm {
                MelNorm::None => 1.0,
                MelNorm::Slaney => 2.0 / (right - left),
            };
            let rising = (hz - left) / (centre - left);
            let falling = (right - hz) / (right - centre);
            height * rising.min(falling).max(0.0)
        })
    }

    /// The orthonormal DCT-II: \[bands × coefficients\]; `None` if the preset has none.
    pub fn dct_matrix(&self) -> Option<FloatMatrix> {
        let bands = self.mel.bands;
        Some(FloatMatrix::from_fn(bands, self.dct?, |b, i| {
            let scale = if i == 0 { 1.0 } else { 2.0 };
            let angle = PI * i as f64 * (b as f64 + 0.5) / bands as f64;
            (scale / bands as f64).sqrt() * angle.cos()
        }))
    }

    /// Fewest samples that make one frame.
    pub fn min_samples(&self) -> usize {
        self.window_length.saturating_sub(2 * self.zeros_each_side()).max(1)
    }

    /// Number of frames of a recording, before any padding to partial windows; `None` if it is
    /// shorter than one frame, or empty.
    pub fn num_frames(&self, num_samples: usize) -> Option<usize> {
        if num_samples < self.min_samples() {
            return None;
        }
        let padded = num_samples.checked_add(2 * self.zeros_each_side())?;
        Some(1 + (padded - self.window_length) / self.hop)
    }

    /// First frame of every partial window, ascending; only 0 if the preset has no partials.
    ///
    /// A window starts every `step` frames until one reaches the end of the recording; that last
    /// one is dropped if less than `min_coverage` of it is recording, unless it is the only one.
    pub fn partial_starts(&self, num_samples: usize) -> Vec<usize> {
        let Some(partials) = self.partials else {
            return vec![0];
        };
        // ⌈(N + 1)/hop⌉, as Resemblyzer counts frames.
        let frames = num_samples / self.hop + 1;
        let end = (frames + partials.step + 1).saturating_sub(partials.frames).max(1);
        let mut starts: Vec<usize> = (0..end).step_by(partials.step).collect();
        let last = (end - 1) / partials.step * partials.step;
        let covered = num_samples as f64 - (last * self.hop) as f64;
        if covered / ((partials.frames * self.hop) as f64) < partials.min_coverage && starts.len() > 1 {
            starts.pop();
        }
        starts
    }

    /// Number of samples after zero padding to the end of the last partial window (3 s of 48000
    /// become 50240); `num_samples` itself if that is not less, or if there are no partials.
    pub fn padded_samples(&self, num_samples: usize) -> usize {
        let Some(partials) = self.partials else {
            return num_samples;
        };
        let last = self.partial_starts(num_samples).last().copied().unwrap_or(0);
        num_samples.max((last + partials.frames) * self.hop)
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
            Self::Slaney if mel < corner => mel * Self::SLANEY_STEP,
            Self::Slaney => Self::SLANEY_CORNER * ((mel - corner) * Self::slaney_growth()).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{self, Reference, max_difference};
    use proptest::prelude::*;

    fn transposed(reference: &Reference) -> Vec<f64> {
        let [rows, cols] = reference.shape[..] else { panic!("a matrix") };
        FloatMatrix::from_fn(cols, rows, |c, r| reference.values[r * cols + c]).data
    }

    #[test]
    fn matrices_match_the_libraries() {
        let Some(dir) = test_data::dir() else { return };
        let ours = test_data::tensors(&dir.join("reference/frontend/matrices.safetensors"));
        let libraries = test_data::tensors(&dir.join("reference/frontend/golden_matrices.safetensors"));
        let (lm24, lm40, ge2e) = (FrontEnd::logmel24(), FrontEnd::logmel40(), FrontEnd::ge2e40());
        let ge2e512 = FrontEnd { fft_size: 512, ..FrontEnd::ge2e40() };
        for (name, matrix, reference, tolerance) in [
            ("lm24", lm24.mel_matrix().data, transposed(&ours["mel_lm24"]), 1e-7),
            ("lm40", lm40.mel_matrix().data, transposed(&ours["mel_lm40"]), 1e-7),
            ("ge2e", ge2e.mel_matrix().data, transposed(&ours["mel_resemblyzer"]), 1e-8),
            ("librosa 400", ge2e.mel_matrix().data, transposed(&libraries["librosa_mel40_400"]), 2e-5),
            ("librosa 512", ge2e512.mel_matrix().data, transposed(&libraries["librosa_mel40_512"]), 2e-5),
            ("hann", lm24.window(), ours["hann400"].values.clone(), 1e-7),
            ("torch hann", lm24.window(), libraries["hann400_periodic"].values.clone(), 2e-5),
        ] {
            let difference = max_difference(&matrix, &reference);
            println!("{name}: {difference:.1e}");
            assert!(difference <= tolerance, "{name}: {difference:e}");
        }
    }

    #[test]
    fn presets_are_found_by_their_own_name_only() {
        let presets =
            [FrontEnd::raw(), FrontEnd::logmel24(), FrontEnd::logmel40(), FrontEnd::ge2e40(), FrontEnd::mfcc(20)];
        for preset in presets {
            assert_eq!(FrontEnd::by_name(&preset.name).as_ref(), Some(&preset));
        }
        assert_eq!(FrontEnd::by_name("mfcc"), Some(FrontEnd::mfcc(13)));
        for name in ["", "logmel", "mfcc0", "mfcc41", "mfcc+5", "mfcc05", "mfcc-1", "kaldi80"] {
            assert_eq!(FrontEnd::by_name(name), None, "{name}");
        }
    }

    #[test]
    fn frames_are_counted_as_published() {
        let (logmel, ge2e) = (FrontEnd::logmel24(), FrontEnd::ge2e40());
        for (samples, frames) in
            [(0, None), (399, None), (400, Some(1)), (559, Some(1)), (560, Some(2)), (48000, Some(298))]
        {
            assert_eq!(logmel.num_frames(samples), frames, "{samples}");
        }
        for (samples, frames) in [(0, None), (1, Some(1)), (160, Some(2)), (48000, Some(301))] {
            assert_eq!(ge2e.num_frames(samples), frames, "{samples}");
        }
        assert_eq!(logmel.partial_starts(48000), [0]);
        assert_eq!(logmel.padded_samples(48000), 48000);
    }

    #[test]
    fn partial_windows_are_those_of_resemblyzer() {
        let ge2e = FrontEnd::ge2e40();
        // (samples, starts, padded): worked out by hand from compute_partial_slices.
        for (samples, starts, padded) in [
            (48000, vec![0, 77, 154], 50240),
            (1, vec![0], 25600),
            (16000, vec![0], 25600),
            (25600, vec![0], 25600),
            // The second window starts at sample 12320: 19200 more samples cover 75 % of it.
            (31519, vec![0], 31519),
            (31520, vec![0, 77], 37920),
        ] {
            assert_eq!(ge2e.partial_starts(samples), starts, "{samples}");
            assert_eq!(ge2e.padded_samples(samples), padded, "{samples}");
        }
    }

    #[test]
    fn dft_covers_exactly_the_weighted_bins() {
        // 20 Hz and 7600 Hz fall between bins of 31.25 Hz; 0 Hz and 8000 Hz have weight 0.
        assert_eq!(FrontEnd::logmel24().dft_matrix().bins, 1..244);
        let dft = FrontEnd::ge2e40().dft_matrix();
        assert_eq!(dft.bins, 1..200);
        assert_eq!((dft.re.rows, dft.re.cols, dft.im.rows, dft.im.cols), (400, 199, 400, 199));
    }

    #[test]
    fn dct_is_orthonormal() {
        let dct = FrontEnd::mfcc(40).dct_matrix().unwrap();
        for i in 0..40 {
            for j in 0..40 {
                let dot: f64 = (0..40).map(|b| dct.row(b)[i] * dct.row(b)[j]).sum();
                assert!((dot - f64::from(i == j)).abs() < 1e-12);
            }
        }
        assert_eq!(FrontEnd::logmel40().dct_matrix(), None);
    }

    proptest! {
        #[test]
        fn partial_windows_fit_the_padded_recording(samples in 1usize..400_000) {
            let ge2e = FrontEnd::ge2e40();
            let (starts, padded) = (ge2e.partial_starts(samples), ge2e.padded_samples(samples));
            prop_assert!(padded >= samples);
            let last = starts.last().copied().unwrap();
            prop_assert!(ge2e.num_frames(padded).unwrap() >= last + 160);
            prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 77));
        }

        #[test]
        fn mel_scales_invert(hz in 0.0..8000.0_f64) {
            for scale in [MelScale::Htk, MelScale::Slaney] {
                prop_assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-8);
            }
        }
    }
}
