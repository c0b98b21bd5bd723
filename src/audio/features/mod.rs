//! The front end in integers: from samples to the input of the network, as relations.
//!
//! ```text
//! dft[t, k]   = Σ_n s[hop·t + n − padding]·D[n, k]         one strided contraction; D = 2^d·window·(cos ‖ −sin)
//! power[t, k] = dft_re² + dft_im²                          exact
//! mel[t, b]   = Σ_k power[t, k]·M[k, b]                    exact
//! log[t, b]   = ln(mel + floor)                            a mantissa table, see [`logarithm`]
//! feature     = DCT(log) − mean over time                  requantised once
//! ```
//!
//! The front end `raw` has none of this: its features are the samples, one a row.
//!
//! Samples are committed flat. The contraction sees them in blocks of a power of two that divides hop
//! and padding, so a frame is a few whole blocks; what the last block of a window has beyond the window
//! meets zero rows of `D`. Samples before the first and after the last are zero by the view, and the
//! slack of the last block is proved zero.

use serde::{Deserialize, Serialize};

use super::FrontEnd;
use super::frontend::Compression;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, View};
use crate::layers::fixed;
use crate::layers::logarithm::{LogTables, logarithm};
use crate::layers::lowering::{Constant, Value};
use crate::layers::matrix::FloatMatrix;
use crate::layers::quantize::Constants;

/// Fraction bits of the windowed DFT matrix.
const DFT_BITS: i32 = 12;
/// Fraction bits of samples in `[−1, 1)`.
const SAMPLE_BITS: i32 = 15;
/// Fraction bits of the logarithm.
const LOG_BITS: i32 = 12;
/// Bits of the logarithm's mantissa.
const MANTISSA_BITS: usize = 12;
/// Fraction bits of the DCT matrix.
const DCT_BITS: i32 = 12;
/// Bits by which a division by the number of frames is scaled.
const MEAN_BITS: u32 = 30;
/// Bits of a sample.
const SAMPLE_WIDTH: usize = 16;
/// Bits of a feature after the logarithm.
const FEATURE_BITS: u32 = 18;

/// How the bands are compressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Compressed {
    /// The energies, requantised by this many bits.
    Power { shift: u32 },
    /// Their logarithm, after adding the floor.
    Log { floor: i64, tables: LogTables, dct: Option<Constant> },
    /// There are no bands: the features are the samples. Both matrices are [`NO_MATRIX`].
    Samples,
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
                bins: 0,
                compressed: Compressed::Samples,
                bits: SAMPLE_WIDTH as u32,
                fraction_bits: SAMPLE_BITS,
            });
        }
        let matrix = front_end.dft_matrix();
        let bins = matrix.bins.len();
        let (block, stride) = (block(front_end), bins.next_power_of_two());
        let rows = front_end.window_length.next_multiple_of(block);
        let dft = FloatMatrix::from_fn(rows, stride + bins, |n, k| match n < front_end.window_length {
            true if k < bins => matrix.re.row(n)[k],
            true if k >= stride => matrix.im.row(n)[k - stride],
            _ => 0.0,
        });
        let mel = front_end.mel_matrix();
        let largest = mel.max_abs();
        let mel_bits = DFT_BITS - largest.log2().floor() as i32;
        let mel = FloatMatrix::from_fn(bins, mel.cols, |k, b| mel.row(matrix.bins.start + k)[b]);
        let scale = 2 * (SAMPLE_BITS + DFT_BITS) + mel_bits;
        let dft = constants.add(&dft, DFT_BITS);
        let mel = constants.add(&mel, mel_bits);
        let (compressed, bits, fraction_bits) = match front_end.compression {
            Compression::None => {
                // Energies have a wide range: keep 2^-18, as low as the loudest needs bits above.
                let fraction = 18;
                let width = (range.max(1.0).log2().ceil() as i32 + fraction + 1) as u32;
                (Compressed::Power { shift: (scale - fraction) as u32 }, width, fraction)
            }
            Compression::Ln { floor } => {
                let dct = front_end.dct_matrix().map(|matrix| constants.add(&matrix, DCT_BITS));
                let floor = (floor * f64::from(scale).exp2()).round().max(1.0) as i64;
                let top = energy_bits(front_end, rows, bins, mel.bits);
                let max_shift = top - floor.ilog2() as usize;
                let tables = LogTables::new(top, max_shift, MANTISSA_BITS, scale as usize, LOG_BITS as usize);
                let fraction = (FEATURE_BITS as i32 - 1 - range.max(1.0).log2().ceil() as i32).min(LOG_BITS);
                (Compressed::Log { floor, tables, dct }, FEATURE_BITS, fraction)
            }
            Compression::Samples => (Compressed::Samples, SAMPLE_WIDTH as u32, SAMPLE_BITS),
        };
        Ok(Self { front_end: front_end.clone(), dft, mel, bins: bins as u32, compressed, bits, fraction_bits })
    }

    /// Declares the samples and adds all relations up to the network's input; returns both.
    pub fn lower(&self, p: &mut ProgramBuilder, num_samples: usize) -> Result<(TensorId, Value), ModelError> {
        let front_end = &self.front_end;
        check(front_end)?;
        if front_end.is_raw() != (self.compressed == Compressed::Samples) {
            return Err(unfit(front_end));
        }
        let block = block(front_end);
        let (low, high) = (i128::from(i16::MIN), i128::from(i16::MAX));
        let samples = p.input_vector("samples", num_samples, block, low, high)?;
        p.range(p.whole(samples), low, SAMPLE_WIDTH)?;
        let frames = front_end.num_frames(front_end.padded_samples(num_samples)).ok_or_else(|| ModelError::Shape {
            layer: "features".into(),
            expected: format!("at least {} samples", front_end.min_samples()),
            found: format!("{num_samples} samples"),
        })?;
        let features = match &self.compressed {
            Compressed::Samples => samples,
            Compressed::Power { shift } => {
                let mel = self.mel_energies(p, samples, frames, block)?;
                fixed::requantize(p, "features/energies", mel, *shift as usize, self.bits as usize)?
            }
            Compressed::Log { floor, tables, dct } => {
                let mel = self.mel_energies(p, samples, frames, block)?;
                let floored = p.linear("features/floored", vec![(1, p.whole(mel))], i128::from(*floor))?;
                let mut log = logarithm(p, "features/log", floored, tables)?;
                let mut scale = LOG_BITS;
                if let Some(matrix) = dct {
                    let matrix = matrix.declare(p, "features/dct matrix")?;
                    log = p.contraction("features/dct", p.whole(log), p.whole(matrix))?;
                    scale += DCT_BITS;
                }
                self.normalise(p, log, frames, scale)?
            }
        };
        Ok((samples, self.split(p, features, frames, num_samples)?))
    }

    /// Exact energies of the bands.
    fn mel_energies(
        &self,
        p: &mut ProgramBuilder,
        samples: TensorId,
        frames: usize,
        block: usize,
    ) -> Result<TensorId, ModelError> {
        let front_end = &self.front_end;
        let taps = front_end.window_length.div_ceil(block);
        let (stride, offset) = (front_end.hop / block, front_end.zeros_each_side() / block);
        let blocks = p.shape(samples).0;
        let map = RowMap::strided(blocks, frames, taps, stride as i64, 1, -(offset as i64));
        let dft = self.dft.declare(p, "features/dft matrix")?;
        let spectrum = p.contraction("features/dft", View::rows(samples, map), p.whole(dft))?;
        let bins = self.bins as usize;
        let [re, im] = [0, bins.next_power_of_two()].map(|first| p.whole(spectrum).cols(first, bins));
        let re = p.product("features/real power", re.clone(), re)?;
        let im = p.product("features/imaginary power", im.clone(), im)?;
        let power = p.linear("features/power", vec![(1, p.whole(re)), (1, p.whole(im))], 0)?;
        let mel = self.mel.declare(p, "features/mel matrix")?;
        Ok(p.contraction("features/mel", p.whole(power), p.whole(mel))?)
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

    /// The windows of frames that are embedded separately.
    fn split(
        &self,
        p: &mut ProgramBuilder,
        features: TensorId,
        frames: usize,
        num_samples: usize,
    ) -> Result<Value, ModelError> {
        let Some(partials) = self.front_end.partials else {
            return Ok(Value { tensor: features, sequences: 1 });
        };
        let sequences = self.front_end.partial_starts(num_samples).len();
        let map = RowMap::windows(frames, sequences, partials.frames, partials.step);
        let tensor = p.linear("features/windows", vec![(1, View::rows(features, map))], 0)?;
        Ok(Value { tensor, sequences })
    }
}

/// Largest power of two that divides hop and padding: the samples are seen in blocks of it.
fn block(front_end: &FrontEnd) -> usize {
    let divides = |n: usize| if n == 0 { u32::MAX } else { n.trailing_zeros() };
    1 << divides(front_end.hop).min(divides(front_end.zeros_each_side())).min(10)
}

/// Position of the highest bit that the energy of a band, floor included, can have.
fn energy_bits(front_end: &FrontEnd, rows: usize, bins: usize, mel_bits: u32) -> usize {
    let window: f64 = front_end.window().iter().sum();
    let amplitude = (window + rows as f64 / 2.0) * f64::from(SAMPLE_BITS + DFT_BITS).exp2();
    let power = 2.0 * amplitude * amplitude;
    (power.log2() + f64::from(mel_bits) + (bins as f64).log2()).ceil() as usize
}

/// Refuses what a file may say but no preset does.
fn check(front_end: &FrontEnd) -> Result<(), ModelError> {
    let fits = front_end.hop > 0
        && front_end.hop <= 1 << 14
        && (1..=1 << 14).contains(&front_end.window_length)
        && front_end.window_length <= front_end.fft_size
        && front_end.fft_size <= 1 << 14
        && front_end.zeros_each_side() <= 1 << 14
        && (1..=512).contains(&front_end.mel.bands)
        && front_end.partials.is_none_or(|p| (1..=1 << 14).contains(&p.frames) && (1..=1 << 14).contains(&p.step));
    // Samples are frames of one sample, and nothing else.
    let raw = !front_end.is_raw() || *front_end == FrontEnd { name: front_end.name.clone(), ..FrontEnd::raw() };
    if fits && raw { Ok(()) } else { Err(unfit(front_end)) }
}

fn unfit(front_end: &FrontEnd) -> ModelError {
    ModelError::Shape {
        layer: "features".into(),
        expected: "a front end with windows of 1 to 16384 samples, or the samples themselves".into(),
        found: format!("window {}, hop {}", front_end.window_length, front_end.hop),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::audio::float::{self, Stages};
    use crate::gkr::trace::Trace;
    use crate::sumcheck::int::{IntTable, IntVec};

    /// By how much a logarithm may be off besides: half a step of the mantissa and the rounding of two table entries,
    /// `2^-13` each, and what is left for the rounded mel matrix (`0.8e-4`).
    const LOG_ERROR: f64 = 2.0 / 4096.0;

    /// Integer features, and the logarithms they were made of.
    struct Integers {
        features: FloatMatrix,
        log: Option<FloatMatrix>,
        unit: f64,
    }

    fn integers(front_end: &FrontEnd, samples: &[i16], range: f64) -> Integers {
        let mut constants = Constants::default();
        let features = Features::new(front_end, range, &mut constants).unwrap();
        let mut p = ProgramBuilder::new(16);
        let (_, value) = features.lower(&mut p, samples.len()).unwrap();
        p.output(value.tensor);
        let (program, recipes) = p.finish().unwrap();
        let shape = program.tensor(program.inputs()[0]);
        let mut padded = samples.to_vec();
        padded.resize(shape.rows * shape.cols, 0);
        let inputs = [Arc::new(IntTable::new(shape.rows, shape.cols, IntVec::I16(padded)))];
        let constants: Vec<_> = constants.into_tables().into_iter().map(Arc::new).collect();
        let trace = Trace::run(&program, &recipes, &inputs, &constants).unwrap();
        let floats = |id, bits: i32| {
            let table: &IntTable = trace.get(id);
            let unit = f64::from(-bits).exp2();
            let values = table.values().iter().map(|v| v as f64 * unit).collect();
            FloatMatrix::new(table.rows(), table.cols(), values)
        };
        let log = program.tensors().iter().position(|tensor| tensor.name == "features/log");
        Integers {
            features: floats(value.tensor, features.fraction_bits),
            log: log.map(|at| floats(TensorId(at as u32), LOG_BITS)),
            unit: f64::from(-features.fraction_bits).exp2(),
        }
    }

    /// Norm of the samples under every row's window.
    fn norms(front_end: &FrontEnd, samples: &[i16], rows: usize) -> Vec<f64> {
        let frame = |row: usize| match front_end.partials {
            Some(p) => front_end.partial_starts(samples.len())[row / p.frames] + row % p.frames,
            None => row,
        };
        let sample = |i: usize| samples.get(i.wrapping_sub(front_end.zeros_each_side())).map_or(0.0, |&x| f64::from(x));
        let norm =
            |first: usize| (first..first + front_end.window_length).map(|i| sample(i).powi(2)).sum::<f64>().sqrt();
        (0..rows).map(|row| norm(frame(row) * front_end.hop) / 32768.0).collect()
    }

    /// Cells whose amplitudes (roots of energies) are not those in floating point, nor within one unit of the last
    /// place.
    ///
    /// Amplitudes are norms of spectra, so an error of the spectrum adds to them no more than its own norm, whatever
    /// the band holds. A coefficient of the DFT is off by at most `2^-13` and a bin, by chance, by about
    /// `2^-12/√6·|samples|`; a band of weights `M` allowed is `2^-12·|samples|·√(Σ M)`. Measured: 0.9 of that.
    fn outside(
        front_end: &FrontEnd,
        samples: &[i16],
        [ours, float]: [&FloatMatrix; 2],
        unit: f64,
        amplitude: fn(f64) -> f64,
    ) -> Vec<[f64; 2]> {
        assert_eq!((ours.rows, ours.cols), (float.rows, float.cols));
        let mel = front_end.mel_matrix();
        let weight = |b: usize| (0..mel.rows).map(|k| mel.row(k)[b]).sum::<f64>().sqrt();
        let weights: Vec<f64> = (0..mel.cols).map(weight).collect();
        let mut found = Vec::new();
        for (t, norm) in norms(front_end, samples, ours.rows).into_iter().enumerate() {
            for (band, (&a, &b)) in ours.row(t).iter().zip(float.row(t)).enumerate() {
                let leak = f64::from(-DFT_BITS).exp2() * norm * weights[band];
                let error = (amplitude(a) - amplitude(b)).abs();
                if (a - b).abs() > unit && error > leak + LOG_ERROR / 2.0 * amplitude(b) {
                    found.push([a, b]);
                }
            }
        }
        found
    }

    /// Largest difference of the features from what the integer logarithms give in floating point: what DCT, mean
    /// and the last rounding add.
    fn finishing_error(front_end: &FrontEnd, integers: &Integers) -> f64 {
        let log = integers.log.clone().unwrap();
        let mut x = front_end.dct_matrix().map_or(log.clone(), |matrix| log.multiply(&matrix));
        if front_end.subtract_mean {
            for c in 0..x.cols {
                let mean = (0..x.rows).map(|t| x.row(t)[c]).sum::<f64>() / x.rows as f64;
                (0..x.rows).for_each(|t| x.row_mut(t)[c] -= mean);
            }
        }
        x.data.iter().zip(&integers.features.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    fn check_against_float(front_end: &FrontEnd, samples: &[i16]) {
        let what = format!("{}, {} samples", front_end.name, samples.len());
        let input = float::network_input(front_end, samples).unwrap();
        let found = integers(front_end, samples, (2.0 * input.features.max_abs()).max(1.0));
        let Some(log) = &found.log else {
            let cells = outside(front_end, samples, [&found.features, &input.features], found.unit, f64::sqrt);
            assert!(cells.is_empty(), "{what}: {cells:?}");
            return;
        };
        let Stages { log: float, .. } = float::stages(front_end, samples).unwrap();
        let cells = outside(front_end, samples, [log, &float], 0.0, |x| (x / 2.0).exp());
        assert!(cells.is_empty(), "{what}: {} cells, such as {:?}", cells.len(), &cells[..cells.len().min(5)]);
        // Half a unit of rounding, and the rounded DCT: 40 logarithms of up to 14 times up to 2^-13.
        let dct = if front_end.dct_matrix().is_some() { 40.0 * 14.0 / 8192.0 } else { 0.0 };
        let error = finishing_error(front_end, &found);
        assert!(error <= 0.51 * found.unit + dct, "{what}: off by {error}");
    }

    #[test]
    fn integer_features_are_the_float_ones_for_every_preset() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/rms_2.wav");
        let wav = crate::audio::wav::read(path).unwrap();
        let presets = ["logmel24", "logmel40", "mfcc13", "mfcc40", "ge2e40"];
        for front_end in presets.map(|name| FrontEnd::by_name(name).unwrap()) {
            for samples in [400, 401, 8_000, 47_999] {
                if front_end.num_frames(samples).is_some() {
                    check_against_float(&front_end, &wav.samples[..samples]);
                }
            }
        }
    }

    #[test]
    fn silence_and_the_loudest_signals_have_the_float_features() {
        let square: Vec<i16> = (0..4_000).map(|i| if i % 16 < 8 { i16::MAX } else { i16::MIN }).collect();
        for samples in [vec![0; 4_000], vec![i16::MIN; 4_000], square] {
            check_against_float(&FrontEnd::logmel24(), &samples);
            check_against_float(&FrontEnd::ge2e40(), &samples);
        }
    }
}
