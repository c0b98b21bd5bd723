//! Calibration: the values that a float network takes on recordings, and the widths that follow.

mod lengths;
mod search;

use std::ops::RangeInclusive;

use self::search::{Quality, TRIED, Tried, Widths, quality};
use crate::audio::features::Features;
use crate::audio::{FrontEnd, float};
use crate::error::ModelError;
use crate::layers::lowering::Placed;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Network;
use crate::layers::quantize::{Constants, Options, Ranges, quantize};
use crate::model::Model;
use crate::sumcheck::int::IntTable;

/// Cosine to the float embedding that automatic widths must reach on every recording tried, unless another is wanted.
pub(crate) const TARGET_COSINE: f64 = 0.9999;
/// Distance of a single number from its float that counts as much as opposite vectors do.
const SINGLE: f64 = 10.0;
/// How far features may go beyond the largest seen.
const FEATURE_MARGIN: f64 = 2.0;

/// A quantized model, before it has a name.
pub(crate) struct Quantized {
    pub(crate) features: Features,
    pub(crate) layers: Vec<Placed>,
    pub(crate) embedding_len: u32,
    /// Samples that a recording may have.
    pub(crate) lengths: RangeInclusive<usize>,
    pub(crate) constants: Vec<IntTable>,
}

/// The cosine of two vectors; zero if one of them is.
#[must_use]
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { 0.0 } else { dot(a, b) / norms }
}

/// How close integers of some fraction bits are to floats, 1 if they are equal: their cosine, or of single numbers, such
/// as a probability or those of chunks, the largest distance in units of [`SINGLE`].
fn closeness(integer: &[f64], float: &[f64], fraction_bits: i32, chunks: bool) -> f64 {
    if integer.len() != 1 && !chunks {
        return cosine(integer, float);
    }
    let unit = f64::from(-fraction_bits).exp2();
    let distances = integer.iter().zip(float).map(|(a, b)| (a * unit - b).abs() / b.abs().max(1.0));
    1.0 - distances.fold(0.0, f64::max) / SINGLE
}

/// The float embedding of a recording.
pub(crate) fn float_embedding(
    network: &Network,
    front_end: &FrontEnd,
    samples: &[i16],
) -> Result<Vec<f64>, ModelError> {
    let input = float::network_input(front_end, samples)?;
    let outputs = network.execute(&input.features, input.sequence_length)?;
    Ok(outputs.last().map(|last| embedding_of(front_end, last)).unwrap_or_default())
}

/// The embedding that a network's output stands for: the mean of all sequences', or what it is of every chunk or tensor.
fn embedding_of(front_end: &FrontEnd, output: &FloatMatrix) -> Vec<f64> {
    let all = front_end.chunks().is_some() || front_end.tensor().is_some();
    if all { output.data.clone() } else { mean_of_rows(output) }
}

/// The mean of the embeddings of all sequences.
pub(crate) fn mean_of_rows(m: &FloatMatrix) -> Vec<f64> {
    (0..m.cols).map(|c| (0..m.rows).map(|r| m.row(r)[c]).sum::<f64>() / m.rows as f64).collect()
}

/// What is wanted of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Bits of arguments of activation tables, if they are not to be searched for.
    pub(crate) bits: Option<u32>,
    /// Cosine to the float embedding.
    pub(crate) cosine: f64,
    /// Whether what leaves a table is clamped to it.
    pub(crate) saturate: bool,
    /// The window that is read, for a network that sees no more of a recording.
    pub(crate) window: Option<Window>,
}

/// The part of the distance from the float embedding that is used up on some recordings of the calibration: others, above
/// all shorter ones, are farther off.
const SHARE: f64 = 0.25;

/// The samples that a network sees of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// A second, or what is next to it that the network takes.
    Usual,
    /// So many.
    Samples(usize),
}

impl Window {
    /// The number of samples, for a network that takes `lengths`.
    fn samples(self, lengths: &RangeInclusive<usize>, rate: u32) -> Result<usize, ModelError> {
        match self {
            Self::Usual => Ok((rate as usize).clamp(*lengths.start(), *lengths.end())),
            Self::Samples(samples) if lengths.contains(&samples) => Ok(samples),
            Self::Samples(samples) => Err(ModelError::Shape {
                layer: "window".into(),
                expected: format!("{} to {} samples", lengths.start(), lengths.end()),
                found: format!("{samples} samples"),
            }),
        }
    }
}

/// Observes the recordings and builds a model, and the worst cosine of its embeddings to the float ones on a few
/// recordings.
pub(crate) fn calibrate(
    network: &Network,
    front_end: &FrontEnd,
    clips: &[Vec<i16>],
    wanted: Wanted,
    build: impl Fn(Quantized) -> Result<Model, ModelError>,
) -> Result<(Model, f64), ModelError> {
    if clips.is_empty() {
        return Err(ModelError::Malformed { reason: "calibration needs at least one recording".into() });
    }
    let longest = clips.iter().map(Vec::len).max().unwrap_or(0);
    let mut lengths = lengths::lengths(network, front_end, longest)?;
    if let Some(window) = wanted.window {
        let samples = window.samples(&lengths, front_end.sample_rate)?;
        lengths = samples..=samples;
    }
    let mut windows = Vec::new();
    for clip in clips {
        windows.extend(lengths::windows(clip, &lengths)?);
    }
    let mut ranges = Ranges::default();
    let mut largest = 0f64;
    let mut floats = Vec::with_capacity(windows.len());
    // A network may take recordings of one length only: that of those it is calibrated on.
    let mut length = front_end.partials.map_or(1 << 12, |p| p.frames);
    for clip in &windows {
        let input = float::network_input(front_end, clip)?;
        let outputs = network.execute(&input.features, input.sequence_length)?;
        ranges.observe(network, &input.features, &outputs, input.sequence_length);
        largest = largest.max(input.features.max_abs());
        length = input.sequence_length;
        floats.push(outputs.last().map(|last| embedding_of(front_end, last)).unwrap_or_default());
    }
    if front_end.is_raw() {
        // Samples may have all their bits, however quiet these recordings are: twice this is their range.
        ranges.input = front_end.tensor().map_or(0.5, |tensor| f64::from(14 - tensor.fraction_bits).exp2());
    }
    let build_with = |widths: &Widths| -> Result<Model, ModelError> {
        let mut constants = Constants::default();
        let features = Features::new(front_end, FEATURE_MARGIN * largest, &mut constants)?;
        let average = front_end.partials.is_some();
        let options = Options { bits: widths.bits, layer_bits: &widths.layers, average, saturate: wanted.saturate };
        let layers = quantize(network, &ranges, features.fraction_bits, options, &mut constants)?;
        let shapes = network.shapes(length)?;
        let embedding_len = shapes.last().map_or(0, |shape| shape.columns) as u32;
        let (lengths, constants) = (lengths.clone(), constants.into_tables());
        build(Quantized { features, layers, embedding_len, lengths, constants })
    };
    let all: Vec<Tried<'_>> = windows.iter().zip(&floats).map(|(window, float)| (*window, float.as_slice())).collect();
    let (model, Quality { cosine, .. }) = match wanted.bits {
        Some(bits) => {
            let model = build_with(&Widths { bits, ..Widths::default() })?;
            let found = quality(&model, &search::spread(&all, TRIED), -1.0)?;
            (model, found)
        }
        None => search::search(build_with, &all, 1.0 - (1.0 - wanted.cosine) * SHARE)?,
    };
    Ok((model, cosine))
}
