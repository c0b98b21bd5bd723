//! What a file may say about a front end but none is like.

use crate::audio::FrontEnd;
use crate::audio::frontend::{Compression, Padding, SampleScale, Spectrum};
use crate::error::ModelError;

/// Most samples of a frame, of its padding, of a hop; most frames of a partial window.
const MOST: usize = 1 << 14;
/// Most bands.
const MAX_BANDS: usize = 512;

/// Refuses what a file may say but no preset does.
pub(super) fn check(front_end: &FrontEnd) -> Result<(), ModelError> {
    if let Some(tensor) = front_end.tensor() {
        let fits = tensor.is_valid() && is_but_for_name(front_end, FrontEnd::none(tensor));
        return if fits { Ok(()) } else { Err(unfit(front_end)) };
    }
    let most = |n: usize| (1..=MOST).contains(&n);
    let padding = match front_end.padding {
        Padding::None | Padding::Mirror => 0,
        Padding::CentredZeros(each) | Padding::CentredMirror(each) => each,
    };
    let sizes = most(front_end.hop)
        && most(front_end.window_length)
        && front_end.window_length <= front_end.frame_length
        && front_end.frame_length <= front_end.fft_size
        && front_end.fft_size <= MOST
        && padding <= MOST
        && (1..=MAX_BANDS).contains(&front_end.mel.bands);
    let dct = front_end.dct.is_none_or(|dct| (1..=front_end.mel.bands).contains(&dct.coefficients));
    let partials = front_end.partials.is_none_or(|p| most(p.frames) && most(p.step));
    // Mirrored edges are of the recording, not of the zeros after it.
    let mirrored = matches!(front_end.padding, Padding::CentredMirror(_) | Padding::Mirror);
    let floor = match front_end.compression {
        Compression::None | Compression::Samples | Compression::Chunks(_) | Compression::Tensor(_) => 1.0,
        Compression::Ln { floor } | Compression::LnAbove { floor } => floor,
        Compression::Decibels { floor, range } if range > 0.0 && range <= 200.0 => floor,
        Compression::Decibels { .. } => 0.0,
    };
    let compression = (1e-12..=1e6).contains(&floor);
    // What is divided out of magnitudes would count twice in powers, and not at all in a maximum.
    let peak = front_end.scale != SampleScale::Peak
        || front_end.spectrum == Spectrum::Magnitude && matches!(front_end.compression, Compression::Ln { .. });
    // Samples are frames of one sample, and nothing else.
    let raw = match front_end.compression {
        Compression::Samples => is_but_for_name(front_end, FrontEnd::raw()),
        // Chunks that overlap by more would be more to compute with than any recording has samples.
        Compression::Chunks(chunks) => {
            most(chunks.samples)
                && chunks.context <= chunks.samples
                && is_but_for_name(front_end, FrontEnd::raw_chunks(chunks))
        }
        _ => true,
    };
    let fits = sizes && dct && partials && compression && peak && raw && !(mirrored && front_end.partials.is_some());
    if fits { Ok(()) } else { Err(unfit(front_end)) }
}

fn is_but_for_name(front_end: &FrontEnd, other: FrontEnd) -> bool {
    *front_end == FrontEnd { name: front_end.name.clone(), ..other }
}

pub(super) fn unfit(front_end: &FrontEnd) -> ModelError {
    ModelError::Shape {
        layer: "features".into(),
        expected: "a front end with windows of 1 to 16384 samples, or the samples themselves".into(),
        found: format!("window {}, hop {}", front_end.window_length, front_end.hop),
    }
}

pub(super) fn too_short(front_end: &FrontEnd, num_samples: usize) -> ModelError {
    ModelError::Shape {
        layer: "features".into(),
        expected: format!("at least {} samples", front_end.min_samples()),
        found: format!("{num_samples} samples"),
    }
}
