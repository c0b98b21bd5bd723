//! Front-end presets: what turns samples into features, as plain numbers.
//!
//! A [`FrontEnd`] computes nothing itself. It hands out the matrices and shapes of which every
//! implementation (the float reference in [`super::float`], the integer one in the proof) is made,
//! so that both are the same front end by construction. With x the samples in the preset's scale:
//!
//! ```text
//! signal  s[i]     = x[i], or x[i] − 0.97·x[i−1]; beyond both ends zeros, or mirrored
//! frame   f[t,n]   = Σ_j frame[n,j]·s[hop·t + j + first]           0 ≤ n < window_length: window, emphasis
//! power   p[t,k]   = |Σ_n f[t,n]·exp(−2πi·kn/fft_size)|²           0 ≤ k ≤ fft_size/2; or its root
//! mel     m[t,b]   = Σ_k p[t,k]·mel[k,b]
//! log     l[t,b]   = m[t,b], ln(m[t,b] + floor), ln(max(m[t,b], floor)), or 10·log10(max(m[t,b], floor))
//!                    not below its maximum over the recording less some decibels
//! DCT     c[t,i]   = Σ_b l[t,b]·dct[b,i], if there is one
//! feature y[t,i]   = c[t,i] − mean over t of c[t,i], or c[t,i]
//! ```
//!
//! Sources: mel banks and windows as in `torchaudio.functional.melscale_fbanks`, `torchaudio.compliance.kaldi`,
//! `librosa.filters.mel`, `speechbrain.processing.features` and `tf.signal.linear_to_mel_weight_matrix`; windows of
//! partial utterances as in Resemblyzer's `VoiceEncoder.compute_partial_slices`.

mod mel;
mod options;
mod presets;
mod tensor;
mod transform;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::mel::{MelBank, MelNorm, MelScale, Triangles};
pub use self::options::FrontEndError;
pub use self::tensor::{Tensor, TensorInput};
pub use self::transform::{Dct, DftMatrix, EMPHASIS, EMPHASIS_HUNDREDTHS, PreEmphasis, Spectrum, WindowKind};

/// A front end: everything between the samples and the input of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontEnd {
    /// Name of the preset with its options, as [`FrontEnd::by_name`] takes it.
    pub name: String,
    /// Samples per second the recording must have, in Hz; 0 if there is no recording.
    pub sample_rate: u32,
    /// What the integers of a recording stand for.
    pub scale: SampleScale,
    /// Whether high frequencies are emphasised.
    pub emphasis: PreEmphasis,
    /// Samples per frame; at most `fft_size`.
    pub frame_length: usize,
    /// Samples under the window, which is in the middle of the frame; at most `frame_length`.
    pub window_length: usize,
    /// Samples from one frame to the next; at least 1.
    pub hop: usize,
    /// Points of the Fourier transform; frames are zero-padded on the right to this length.
    pub fft_size: usize,
    /// What stands before the first and after the last sample.
    pub padding: Padding,
    /// Shape of the window.
    pub window: WindowKind,
    /// What is taken of every frequency.
    pub spectrum: Spectrum,
    /// The filterbank.
    pub mel: MelBank,
    /// What happens to the band energies.
    pub compression: Compression,
    /// The cosine transform of the compressed bands, if there is one.
    pub dct: Option<Dct>,
    /// Whether the mean over all frames is subtracted from every column, after everything else.
    pub subtract_mean: bool,
    /// The windows of frames that are embedded separately; `None`: the whole recording is one.
    pub partials: Option<Partials>,
}

/// What the integers of a recording stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleScale {
    /// Multiples of 1/32768: samples are in [−1, 1).
    Unit,
    /// Themselves, as Kaldi has it.
    Int16,
    /// Shares of the largest sample of the recording; where none is positive, themselves.
    Peak,
}

/// What stands before the first and after the last sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// Nothing: the first frame starts at the first sample, the last one ends inside the recording.
    None,
    /// This many zeros on both sides; half a frame centres frame t at sample t · hop.
    CentredZeros(usize),
    /// This many samples on both sides, mirrored at the first and at the last sample, which are not repeated.
    CentredMirror(usize),
    /// Mirrored samples, the first and the last repeated, as many as it takes for frame t to have its middle at the
    /// middle of the hop that starts at t · hop: Kaldi's `snip_edges=false`.
    Mirror,
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
    /// ln(max(x, floor)).
    LnAbove {
        /// The least energy, positive.
        floor: f64,
    },
    /// 10·log10(max(x, floor)), and no value below the largest of the recording less `range`.
    Decibels {
        /// The least energy, positive.
        floor: f64,
        /// Decibels from the largest value to the least, positive.
        range: f64,
    },
    /// There are no bands: the features are the samples, divided by 32768, one a frame.
    Samples,
    /// The same, in chunks that the network takes one after another.
    Chunks(Chunks),
    /// There is no recording: the features are the network's input tensor.
    Tensor(TensorInput),
}

/// Chunks of a recording that a network takes one after another, a row of its output each. Samples after the last whole
/// chunk are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// New samples of a chunk, at least 1.
    pub samples: usize,
    /// Samples before them that the chunk repeats, at most `samples`; zeros in the first chunk.
    pub context: usize,
}

impl Chunks {
    /// Samples that the network sees at once.
    pub fn length(self) -> usize {
        self.samples.saturating_add(self.context)
    }

    /// Chunks of a recording.
    pub fn count(self, num_samples: usize) -> usize {
        num_samples.checked_div(self.samples).unwrap_or(0)
    }
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

impl FrontEnd {
    /// Whether the features are the samples, or the input tensor: then no matrix means anything.
    pub fn is_raw(&self) -> bool {
        matches!(self.compression, Compression::Samples | Compression::Chunks(_) | Compression::Tensor(_))
    }

    /// How input tensors become integers, if the network takes these instead of recordings.
    pub fn tensor(&self) -> Option<TensorInput> {
        match self.compression {
            Compression::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The chunks in which the network takes the samples, if it does.
    pub fn chunks(&self) -> Option<Chunks> {
        match self.compression {
            Compression::Chunks(chunks) => Some(chunks),
            _ => None,
        }
    }

    /// Number of features per frame: columns of the network's input.
    pub fn columns(&self) -> usize {
        self.dct.map_or(self.mel.bands, |dct| dct.coefficients)
    }

    /// Number of frequencies of the transform, 0 Hz and half the sample rate included.
    pub fn num_bins(&self) -> usize {
        self.fft_size / 2 + 1
    }

    /// Samples before the first one that frame 0 takes, and after the last one.
    fn each_side(&self) -> usize {
        match self.padding {
            Padding::None => 0,
            Padding::CentredZeros(each) | Padding::CentredMirror(each) => each,
            Padding::Mirror => (self.frame_length / 2).saturating_sub(self.hop / 2),
        }
    }

    /// Position in the recording of the first sample under the window of frame 0; less than 0 if that is padding.
    pub fn first_sample(&self) -> i64 {
        (self.frame_length.saturating_sub(self.window_length) / 2) as i64 - self.each_side() as i64
    }

    /// Fewest samples that make one frame or chunk, and that mirrored edges can be taken from.
    pub fn min_samples(&self) -> usize {
        if let Some(chunks) = self.chunks() {
            return chunks.samples.max(1);
        }
        match self.padding {
            Padding::None => self.frame_length.max(1),
            Padding::CentredZeros(zeros) => self.frame_length.saturating_sub(2 * zeros).max(1),
            Padding::CentredMirror(each) => self.frame_length.saturating_sub(2 * each).max(each + 1),
            Padding::Mirror => (self.frame_length / 2).max(1),
        }
    }

    /// Number of frames of a recording, before any padding to partial windows; `None` if it is
    /// shorter than one frame, or empty.
    pub fn num_frames(&self, num_samples: usize) -> Option<usize> {
        if num_samples < self.min_samples() {
            return None;
        }
        if self.padding == Padding::Mirror {
            return Some((num_samples.checked_add(self.hop / 2)? / self.hop).max(1));
        }
        let padded = num_samples.checked_add(2 * self.each_side())?;
        Some(1 + padded.checked_sub(self.frame_length)? / self.hop)
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
