//! How many samples a recording may have, and which parts of longer ones calibration sees.

use std::ops::RangeInclusive;

use crate::audio::FrontEnd;
use crate::error::{AudioError, ModelError};
use crate::layers::network::{Network, Shape};
use crate::model::MAX_SAMPLES;

/// Most parts of one recording that calibration sees: spread over it, they are as good as all.
const MAX_WINDOWS: usize = 16;
/// Frame counts tried one by one; no network of free length here needs more than a few thousand.
const TRIED: usize = 4096;

/// The fewest and the most samples of which the network makes one embedding, or one row a chunk.
///
/// A network of a fixed number of frames takes all recordings that have as many; of others, `longest` is the length of
/// a recording that it is known to take if it takes only long ones.
pub(crate) fn lengths(
    network: &Network,
    front_end: &FrontEnd,
    longest: usize,
) -> Result<RangeInclusive<usize>, ModelError> {
    if front_end.partials.is_some() {
        return Ok(front_end.min_samples()..=MAX_SAMPLES);
    }
    if let Some(chunks) = front_end.chunks() {
        let last = network.shapes(chunks.length())?.last().copied();
        return match last {
            Some(Shape { length: 1, .. }) => Ok(front_end.min_samples()..=MAX_SAMPLES),
            _ => Err(ModelError::Shape {
                layer: "network".into(),
                expected: "one row a chunk".into(),
                found: format!("{} rows", last.map_or(0, |shape| shape.length)),
            }),
        };
    }
    let none = |found: &str| ModelError::Shape {
        layer: "network".into(),
        expected: "one embedding a recording".into(),
        found: found.into(),
    };
    let embeds = |samples: usize| {
        let frames = front_end.num_frames(samples).unwrap_or(0);
        let shapes = network.shapes(frames);
        // Of a tensor, all rows that the network makes are its values.
        let fits = |shape: &Shape| shape.length == 1 || front_end.tensor().is_some();
        shapes.is_ok_and(|shapes| shapes.last().is_some_and(fits))
    };
    if let (Some(tensor), Some(rows)) = (front_end.tensor(), network.input_rows) {
        let integers = rows.saturating_mul(tensor.stride());
        let fits = integers <= MAX_SAMPLES && embeds(integers);
        return if fits { Ok(integers..=integers) } else { Err(none(&format!("none of {rows} rows"))) };
    }
    if let Some(rows) = network.input_rows {
        let reaches = |rows: usize, samples: usize| front_end.num_frames(samples).is_some_and(|frames| frames >= rows);
        let (first, end) = (least(|n| reaches(rows, n)), least(|n| reaches(rows.saturating_add(1), n)));
        let fits = first <= MAX_SAMPLES && embeds(first);
        return if fits { Ok(first..=end - 1) } else { Err(none(&format!("none of {rows} frames"))) };
    }
    let shortest = front_end.min_samples();
    let tried = (0..TRIED).map(|frame| shortest + frame * front_end.hop).find(|&samples| embeds(samples));
    let first = match tried {
        Some(samples) => samples,
        None if embeds(longest) => least(|samples| samples >= longest || embeds(samples)),
        None => return Err(none("no length of audio that gives one")),
    };
    let last = if embeds(MAX_SAMPLES) { MAX_SAMPLES } else { least(|n| n > first && !embeds(n)) - 1 };
    Ok(first..=last)
}

/// The least number of samples with a property that all larger ones have; one more than the most samples if none has.
fn least(has: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, MAX_SAMPLES + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if has(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The recording itself, or, if it is longer than the most samples, parts of that length spread over it.
pub(crate) fn windows<'c>(
    clip: &'c [i16],
    lengths: &RangeInclusive<usize>,
) -> Result<impl Iterator<Item = &'c [i16]>, AudioError> {
    let (min, max) = (*lengths.start(), *lengths.end());
    if clip.len() < min {
        return Err(AudioError::TooShort { samples: clip.len() as u64, min: min as u64 });
    }
    let size = clip.len().min(max);
    let count = (clip.len() / size.max(1)).clamp(1, MAX_WINDOWS);
    let room = clip.len() - size;
    Ok((0..count).filter_map(move |i| {
        let start = room * i / (count - 1).max(1);
        clip.get(start..start + size)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::network::{Node, NodeRef, Op};

    fn network(columns: usize, rows: Option<usize>) -> Network {
        let node = Node { name: "mean".into(), op: Op::MeanPool, inputs: vec![NodeRef::Input] };
        Network { input_rows: rows, ..Network::new(columns, vec![node]) }
    }

    #[test]
    fn a_fixed_number_of_frames_is_a_range_of_samples() {
        let kws = FrontEnd::kws10();
        let found = lengths(&network(10, Some(49)), &kws, 16_000).unwrap();
        assert_eq!(found, 48 * 320 + 480..=49 * 320 + 479);
        for (samples, frames) in [(*found.start() - 1, 48), (*found.start(), 49), (*found.end(), 49)] {
            assert_eq!(kws.num_frames(samples), Some(frames));
        }
        assert_eq!(lengths(&network(1, Some(576)), &FrontEnd::raw(), 1).unwrap(), 576..=576);
        assert_eq!(lengths(&network(40, None), &FrontEnd::logmel40(), 1).unwrap(), 400..=MAX_SAMPLES);
        for rows in [MAX_SAMPLES + 1, usize::MAX] {
            assert!(lengths(&network(1, Some(rows)), &FrontEnd::raw(), 1).is_err(), "{rows}");
        }
    }

    #[test]
    fn a_network_that_takes_only_one_length_says_so_by_its_shapes() {
        let dense =
            |rows: usize| Op::Dense { weight: crate::layers::matrix::FloatMatrix::zeros(rows, 2), bias: vec![0.0; 2] };
        let of = |rows: usize| {
            let ops = [Op::Flatten, dense(rows)];
            let node = |(i, op)| {
                let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
                Node { name: format!("n{i}"), op, inputs }
            };
            Network::new(1, ops.into_iter().enumerate().map(node).collect())
        };
        assert_eq!(lengths(&of(576), &FrontEnd::raw(), 1).unwrap(), 576..=576);
        assert!(lengths(&of(1 << 20), &FrontEnd::raw(), 1 << 15).is_err());
    }

    #[test]
    fn windows_cover_a_recording_from_its_start_to_its_end() {
        let clip: Vec<i16> = (0..1000).collect();
        let starts = |lengths| windows(&clip, &lengths).unwrap().map(|w| (w[0], w.len())).collect::<Vec<_>>();
        assert_eq!(starts(1..=2000), [(0, 1000)]);
        assert_eq!(starts(300..=300), [(0, 300), (350, 300), (700, 300)]);
        assert_eq!(starts(600..=600), [(0, 600)]);
        assert_eq!(starts(1..=10).len(), MAX_WINDOWS);
        assert!(matches!(windows(&clip, &(1001..=1001)).err(), Some(AudioError::TooShort { min: 1001, .. })));
    }
}
