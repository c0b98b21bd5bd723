//! The front end in integers: from samples to the input of the network, as relations.
//!
//! ```text
//! dft[t, k]   = Σ_n s[hop·t + n + first]·D[n, k]           one strided contraction; D = 2^d·frame·(cos ‖ −sin)
//! power[t, k] = dft_re² + dft_im²                          exact; or ⌊√power⌋
//! mel[t, b]   = Σ_k power[t, k]·M[k, b]                    exact
//! log[t, b]   = ln(mel + floor), or ln(max(mel, floor))    a mantissa table, see [`logarithm`]
//! feature     = DCT(log) − mean over time                  requantised once
//! ```
//!
//! What happens to the samples of one frame before the transform, be it the window, the frame's mean or its emphasis, is
//! linear and part of `D`. The front end `raw` has none of this: its features are the samples, one a row.
//!
//! Samples are committed flat. The contraction sees them in blocks of a power of two that divides hop
//! and padding, so a frame is a few whole blocks; what the last block of a window has beyond the window
//! meets zero rows of `D`. Samples before the first and after the last are zero by the view, and the
//! slack of the last block is proved zero. Chunks of samples are windows of the rows. Where edges are mirrored or the recording is filtered as a
//! whole, such blocks are made of samples of a row each, by linear relations (`signal.rs`).
//!
//! Samples divided by their largest, `g`: magnitudes are homogeneous, so `ln(S/g + f) = ln(S + f·g) − ln g` for the sum `S`
//! of a band of the samples as they are. `g` is the proved maximum of all samples and 1; nothing is divided.

mod check;
mod signal;
mod widths;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::check::{check, too_short, unfit};
use self::signal::Signal;
use self::widths::{Widths, block};
use super::FrontEnd;
use super::frontend::{Compression, SampleScale, Spectrum};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{RowMap, View, aligned_slices};
use crate::layers::fixed;
use crate::layers::logarithm::{LogTables, logarithm};
use crate::layers::lowering::{Constant, Value};
use crate::layers::matrix::FloatMatrix;
use crate::layers::peak::{Peak, everywhere, near_peak, peak};
use crate::layers::quantize::Constants;

/// Fraction bits of samples in `[−1, 1)`.
const SAMPLE_BITS: i32 = 15;
/// Fraction bits of natural logarithms.
const LOG_BITS: i32 = 12;
/// Fraction bits of decibels: one table of 16 bits then holds the distance of any two of them.
const DECIBEL_BITS: i32 = 8;
const DISTANCE_BITS: usize = 16;
/// Bits of the logarithm's mantissa.
const MANTISSA_BITS: usize = 12;
/// Fraction bits of the DCT matrix.
const DCT_BITS: i32 = 16;
/// Bits by which a division by the number of frames is scaled.
const MEAN_BITS: u32 = 30;
/// Bits of a sample.
const SAMPLE_WIDTH: usize = 16;
/// Bits of a feature after the logarithm; coefficient 0 of a DCT of decibels has more before its point.
const FEATURE_BITS: u32 = 18;
const DECIBEL_DCT_BITS: u32 = 21;

/// How the bands are compressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Compressed {
    /// The energies, requantised by this many bits.
    Power { shift: u32 },
    /// Their logarithm.
    Log(Logarithm),
    /// There are no bands: the features are the samples. Both matrices are [`NO_MATRIX`].
    Samples,
}

/// From energies to features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Logarithm {
    /// Added to every energy; zero if the tables have a least result.
    floor: i128,
    tables: LogTables,
    /// Fraction bits of the result.
    fraction_bits: i32,
    range: Option<Range>,
    dct: Option<Constant>,
}

/// The least value is the largest of the recording less this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    /// In units of the logarithm.
    reach: i64,
    /// A column of ones, a row for every band.
    ones: Constant,
}

/// What the largest sample is proved and divided by with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LargestSample {
    /// A column of ones, a row for every sample of a block.
    ones: Constant,
    /// Fraction bits of the energies.
    scale: u32,
}

/// Stands where a front end without bands has no matrix; no program declares it.
const NO_MATRIX: Constant = Constant { number: 0, rows: 0, cols: 0, bits: 0 };

/// A quantized front end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// The front end that it computes.
    pub front_end: FrontEnd,
    dft: Constant,
    mel: Constant,
    /// The identity of a block, where samples are laid side by side before the transform.
    identity: Option<Constant>,
    largest_sample: Option<LargestSample>,
    /// Frequencies used.
    bins: u32,
    compressed: Compressed,
    /// Bits of a feature.
    bits: u32,
    /// Fraction bits of a feature.
    pub fraction_bits: i32,
}

impl Features {
    /// Quantizes a front end so that its features, at most `range` in magnitude, fit their width.
    ///
    /// # Errors
    /// If the front end is not one that this computes.
    pub fn new(front_end: &FrontEnd, range: f64, constants: &mut Constants) -> Result<Self, ModelError> {
        check(front_end)?;
        if front_end.is_raw() {
            return Ok(Self {
                front_end: front_end.clone(),
                dft: NO_MATRIX,
                mel: NO_MATRIX,
                identity: None,
                largest_sample: None,
                bins: 0,
                compressed: Compressed::Samples,
                bits: SAMPLE_WIDTH as u32,
                fraction_bits: front_end.tensor().map_or(SAMPLE_BITS, |tensor| tensor.fraction_bits.into()),
            });
        }
        let matrix = front_end.dft_matrix();
        let widths = Widths::new(front_end, &matrix);
        let bins = matrix.bins.len();
        let (block, stride, unit) = (block(front_end), bins.next_power_of_two(), widths.dft_factor);
        let rows = front_end.window_length.next_multiple_of(block);
        let dft = FloatMatrix::from_fn(rows, stride + bins, |n, k| match n < front_end.window_length {
            true if k < bins => unit * matrix.re.row(n)[k],
            true if k >= stride => unit * matrix.im.row(n)[k - stride],
            _ => 0.0,
        });
        let mel = front_end.mel_matrix();
        let mel = FloatMatrix::from_fn(bins, mel.cols, |k, b| widths.mel_factor * mel.row(matrix.bins.start + k)[b]);
        let dft = constants.add(&dft, widths.dft_bits);
        let mel = constants.add(&mel, widths.mel_bits);
        let mut ones = |rows: usize| constants.add(&FloatMatrix::new(rows, 1, vec![1.0; rows]), 0);
        let largest_sample = (front_end.scale == SampleScale::Peak)
            .then(|| LargestSample { ones: ones(block), scale: widths.scale() as u32 });
        let identity = |r, c| f64::from(u8::from(r == c));
        let identity =
            signal::is_prepared(front_end).then(|| constants.add(&FloatMatrix::from_fn(block, block, identity), 0));
        let whole = range.max(1.0).log2().ceil() as i32;
        let (compressed, bits, fraction_bits) = match front_end.compression {
            Compression::None => {
                // Energies have a wide range: keep 2^-18, as low as the loudest needs bits above.
                let fraction = 18;
                let shift = (widths.scale() - fraction).max(0) as u32;
                (Compressed::Power { shift }, (whole + fraction + 1) as u32, fraction)
            }
            Compression::Ln { .. } | Compression::LnAbove { .. } | Compression::Decibels { .. } => {
                let log = Logarithm::new(front_end, &widths, constants);
                let wide = log.range.is_some() && log.dct.is_some();
                let bits = if wide { DECIBEL_DCT_BITS } else { FEATURE_BITS };
                // No finer than what is rounded: decibels have fewer bits, their DCT has more.
                let finest = log.fraction_bits + log.dct.map_or(0, |_| DCT_BITS);
                let fraction = (bits as i32 - 1 - whole).min(LOG_BITS).min(finest);
                (Compressed::Log(log), bits, fraction)
            }
            Compression::Samples | Compression::Chunks(_) | Compression::Tensor(_) => {
                (Compressed::Samples, SAMPLE_WIDTH as u32, SAMPLE_BITS)
            }
        };
        let (front_end, bins) = (front_end.clone(), bins as u32);
        Ok(Self { front_end, dft, mel, identity, largest_sample, bins, compressed, bits, fraction_bits })
    }

    /// Samples of a row of the input, at most: a power of two. Fewer, if a power of two, are as good.
    #[must_use]
    pub fn block(&self) -> usize {
        if let Some(tensor) = self.front_end.tensor() {
            return tensor.stride();
        }
        if signal::is_prepared(&self.front_end) { 1 } else { block(&self.front_end) }
    }

    /// Declares the samples and adds all relations up to the network's input; returns both.
    pub fn lower(&self, p: &mut ProgramBuilder, num_samples: usize) -> Result<(TensorId, Value), ModelError> {
        check(&self.front_end)?;
        let samples = samples_input(p, "samples", num_samples, self.block())?;
        Ok((samples, self.lower_on(p, samples, num_samples)?))
    }

    /// As [`Features::lower`], of `num_samples` samples that are a tensor already, whose rows have as many as
    /// [`Features::block`] says or fewer, a power of two. What its last row has beyond the samples must be zero.
    pub fn lower_on(&self, p: &mut ProgramBuilder, samples: TensorId, num_samples: usize) -> Result<Value, ModelError> {
        let front_end = &self.front_end;
        check(front_end)?;
        let (rows, block) = p.shape(samples);
        let fits = block.is_power_of_two() && block <= self.block() && num_samples.div_ceil(block) == rows;
        if !fits || front_end.is_raw() != (self.compressed == Compressed::Samples) {
            return Err(unfit(front_end));
        }
        if let Some(tensor) = front_end.tensor() {
            return tensor_rows(p, samples, (tensor.stride(), tensor.columns()), num_samples);
        }
        let frames = front_end
            .num_frames(front_end.padded_samples(num_samples))
            .ok_or_else(|| too_short(front_end, num_samples))?;
        let features = match &self.compressed {
            Compressed::Samples => samples,
            Compressed::Power { shift } => {
                let mel = self.mel_energies(p, samples, frames)?;
                fixed::requantize(p, "features/energies", mel, *shift as usize, self.bits as usize)?
            }
            Compressed::Log(log) => {
                let mel = self.mel_energies(p, samples, frames)?;
                let largest = self.largest_sample(p, samples)?;
                let compressed = log.lower(p, mel, largest)?;
                let scale = log.fraction_bits + log.dct.map_or(0, |_| DCT_BITS);
                self.normalise(p, compressed, frames, scale)?
            }
        };
        self.split(p, features, frames, num_samples)
    }

    /// Exact energies of the bands.
    fn mel_energies(&self, p: &mut ProgramBuilder, samples: TensorId, frames: usize) -> Result<TensorId, ModelError> {
        let front_end = &self.front_end;
        let rows = front_end.window_length.next_multiple_of(block(front_end));
        let Signal { blocks, block, offset } = signal::blocks(p, front_end, samples, frames, self.identity)?;
        // Smaller blocks than those of the matrix take more taps, and meet the same rows of it.
        let taps = rows / block;
        let stride = (front_end.hop / block) as i64;
        let map = RowMap::strided(p.shape(blocks).0, frames, taps, stride, 1, offset);
        let dft = self.dft.declare(p, "features/dft matrix")?;
        let spectrum = p.contraction("features/dft", View::rows(blocks, map), p.whole(dft))?;
        let bins = self.bins as usize;
        let [re, im] = [0, bins.next_power_of_two()].map(|first| p.whole(spectrum).cols(first, bins));
        let re = p.product("features/real power", re.clone(), re)?;
        let im = p.product("features/imaginary power", im.clone(), im)?;
        let mut power = p.linear("features/power", vec![(1, p.whole(re)), (1, p.whole(im))], 0)?;
        if front_end.spectrum == Spectrum::Magnitude {
            let bits = fixed::bits_of(p, power).div_ceil(2);
            fixed::check_bits("features/magnitude", 2 * bits)?;
            power = fixed::sqrt(p, "features/magnitude", power, bits)?;
        }
        let mel = self.mel.declare(p, "features/mel matrix")?;
        Ok(p.contraction("features/mel", p.whole(power), p.whole(mel))?)
    }

    /// The largest sample, if there is something to be divided by it, and the bits by which energies are finer.
    fn largest_sample(&self, p: &mut ProgramBuilder, samples: TensorId) -> Result<Option<(TensorId, u32)>, ModelError> {
        let Some(LargestSample { ones, scale }) = &self.largest_sample else { return Ok(None) };
        let mut ones = ones.declare(p, "features/ones of a block")?;
        let ((rows, _), block) = (p.shape(ones), p.shape(samples).1);
        if block < rows {
            let some = View::rows(ones, RowMap::slice(rows, 0, block));
            ones = p.linear("features/ones of a smaller block", vec![(1, some)], 0)?;
        }
        let Peak { most, .. } = peak(p, "features/largest sample", samples, (ones, Some(1)), (SAMPLE_WIDTH, 0))?;
        Ok(Some((most, *scale)))
    }

    /// Subtracts the mean over time, if the front end does, and requantises.
    fn normalise(
        &self,
        p: &mut ProgramBuilder,
        log: TensorId,
        frames: usize,
        scale: i32,
    ) -> Result<TensorId, ModelError> {
        let mut shift = scale.saturating_sub(self.fraction_bits).max(0) as u32;
        let mut x = log;
        if self.front_end.subtract_mean {
            // T·x − Σ_t x is exact; dividing by T is multiplying by round(2^30 / T).
            let one = (1i128 << MEAN_BITS) + frames as i128 / 2;
            let factor = one / frames as i128;
            let sum = p.linear("features/sum", vec![(1, View::rows(log, RowMap::sum(frames)))], 0)?;
            let sum = View::rows(sum, RowMap::broadcast(frames));
            let terms = vec![(frames as i128 * factor, p.whole(log)), (-factor, sum)];
            x = p.linear("features/centred", terms, 0)?;
            shift = shift.saturating_add(MEAN_BITS);
        }
        Ok(fixed::requantize(p, "features/output", x, shift as usize, self.bits as usize)?)
    }

    /// The windows of frames that are embedded separately, or the chunks of samples.
    fn split(
        &self,
        p: &mut ProgramBuilder,
        features: TensorId,
        frames: usize,
        num_samples: usize,
    ) -> Result<Value, ModelError> {
        let (sequences, map) = if let Some(chunks) = self.front_end.chunks() {
            let count = chunks.count(num_samples);
            // Before the first sample the view has no source: zeros.
            let first = -(chunks.context as i64);
            (count, RowMap::windows(frames, count, chunks.length(), chunks.samples, first))
        } else if let Some(partials) = self.front_end.partials {
            let count = self.front_end.partial_starts(num_samples).len();
            (count, RowMap::windows(frames, count, partials.frames, partials.step, 0))
        } else {
            return Ok(Value { tensor: features, sequences: 1 });
        };
        let tensor = p.linear("features/windows", vec![(1, View::rows(features, map))], 0)?;
        Ok(Value { tensor, sequences })
    }
}

/// The rows of an input tensor, without what makes their length a power of two, which is shown to be zero: a tensor has one
/// commitment up to blinding.
fn tensor_rows(
    p: &mut ProgramBuilder,
    integers: TensorId,
    (stride, columns): (usize, usize),
    len: usize,
) -> Result<Value, ModelError> {
    if p.shape(integers).1 != stride || !len.is_multiple_of(stride) {
        return Err(ModelError::Shape {
            layer: "features".into(),
            expected: format!("rows of {stride} integers"),
            found: format!("{len} integers in rows of {}", p.shape(integers).1),
        });
    }
    for (offset, len) in aligned_slices(columns, stride) {
        let rest =
            p.linear(&format!("features/rest at {offset}"), vec![(1, p.whole(integers).cols(offset, len))], 0)?;
        p.zero(rest);
    }
    let tensor = p.linear("features/tensor", vec![(1, p.whole(integers).cols(0, columns))], 0)?;
    Ok(Value { tensor, sequences: 1 })
}

/// A committed recording, in rows of `block` samples: its samples are shown to have 16 bits.
pub(crate) fn samples_input(
    p: &mut ProgramBuilder,
    name: &str,
    num_samples: usize,
    block: usize,
) -> Result<TensorId, ProgramError> {
    let (low, high) = (i128::from(i16::MIN), i128::from(i16::MAX));
    let samples = p.input_vector(name, num_samples, block, low, high)?;
    p.range(p.whole(samples), low, SAMPLE_WIDTH)?;
    Ok(samples)
}

impl Logarithm {
    fn new(front_end: &FrontEnd, widths: &Widths, constants: &mut Constants) -> Self {
        let (fraction_bits, unit) = match front_end.compression {
            Compression::Decibels { .. } => (DECIBEL_BITS, 10.0 / std::f64::consts::LN_10),
            _ => (LOG_BITS, 1.0),
        };
        let (top, floor) = (widths.top, widths.floor);
        let scale = f64::from(widths.scale()) + widths.mel_factor.log2();
        let max_shift = top - floor.ilog2() as usize;
        let tables = LogTables::in_units(top, max_shift, MANTISSA_BITS, scale, fraction_bits as usize, unit);
        let one = f64::from(fraction_bits).exp2();
        let least = |floor: f64| (one * unit * floor.ln()).round() as i64;
        let (floor, tables, range) = match front_end.compression {
            Compression::LnAbove { floor } => (0, tables.with_least(least(floor)), None),
            Compression::Decibels { floor, range } => {
                let ones = FloatMatrix::new(front_end.mel.bands, 1, vec![1.0; front_end.mel.bands]);
                let range = Range { reach: (range * one).round() as i64, ones: constants.add(&ones, 0) };
                (0, tables.with_least(least(floor)), Some(range))
            }
            _ => (i128::try_from(floor).unwrap_or(i128::MAX), tables, None),
        };
        let dct = front_end.dct_matrix().map(|matrix| constants.add(&matrix, DCT_BITS));
        Self { floor, tables, fraction_bits, range, dct }
    }

    /// The logarithm of energies, of samples that are divided by the largest of them if there is one.
    fn lower(
        &self,
        p: &mut ProgramBuilder,
        mel: TensorId,
        largest: Option<(TensorId, u32)>,
    ) -> Result<TensorId, ModelError> {
        let shape = p.shape(mel);
        let mut log = match (largest, self.floor) {
            (Some((most, scale)), floor) => {
                let terms = vec![(1, p.whole(mel)), (floor, everywhere(most, shape))];
                let floored = p.linear("features/floored", terms, 0)?;
                let one = fixed::power("features/largest sample", scale)?;
                let most = p.linear("features/largest sample: scaled", vec![(one, p.whole(most))], 0)?;
                let divided = logarithm(p, "features/log of largest", most, &self.tables)?;
                let log = logarithm(p, "features/log of sums", floored, &self.tables)?;
                p.linear("features/log", vec![(1, p.whole(log)), (-1, everywhere(divided, shape))], 0)?
            }
            (None, 0) => logarithm(p, "features/log", mel, &self.tables)?,
            (None, floor) => {
                let floored = p.linear("features/floored", vec![(1, p.whole(mel))], floor)?;
                logarithm(p, "features/log", floored, &self.tables)?
            }
        };
        if let Some(Range { reach, ones }) = &self.range {
            let ones = ones.declare(p, "features/ones of bands")?;
            log = near_peak(p, "features/limited", log, ones, (DISTANCE_BITS, *reach))?;
        }
        if let Some(matrix) = self.dct {
            let matrix = matrix.declare(p, "features/dct matrix")?;
            log = p.contraction("features/dct", p.whole(log), p.whole(matrix))?;
        }
        Ok(log)
    }
}
