//! The search for widths: the cheapest that keep embeddings as close to the float ones as is wanted.
//!
//! ```text
//! Uniform   the fewest bits in 8 … 16 for the arguments of all activation tables that reach the cosine on every recording tried
//! Confirm   on more of the recordings, as many as take no longer than a few seconds; a bit more until it is reached on them
//! Layers    from the layer whose committed values cost most on: fewer bits for it alone, if the cosine is still reached and
//!           the proof is cheaper
//! ```
//!
//! What a width costs is counted on the recordings: a commitment takes an addition for every byte that is not zero, and
//! a table has a leaf for every entry. Runs are bounded by their number of multiply-accumulates, and never by a
//! clock: the same network and recordings give the same model on every machine.

use std::collections::BTreeMap;

use crate::cost::{LayerCost, Sizes, leaves, ns_of};
use crate::error::ModelError;
use crate::gkr::program::Kind;
use crate::layers::affine::{Affine, Finish};
use crate::layers::lowering::AnyLayer;
use crate::layers::saturate::Clamped;
use crate::layers::time_softmax::TimeSoftmax;
use crate::model::{Model, integers};
use crate::sumcheck::int::{IntTable, dispatch};
use crate::sumcheck::par;

/// Widths of the arguments of activation tables.
const WIDTHS: [u32; 9] = [8, 9, 10, 11, 12, 13, 14, 15, 16];
/// Widths that a layer of its own is given: with the margin, values of the first two have a byte.
const LAYER_WIDTHS: [u32; 3] = [8, 9, 10];
/// Recordings on which widths are tried.
pub(super) const TRIED: usize = 4;
/// Multiply-accumulates of the runs that confirm a width, and most of their recordings.
const CONFIRM_MACS: u64 = 4_000_000_000;
const CONFIRMED: usize = 48;
/// Layers whose widths are tried, at most.
const MOST_LAYERS: usize = 24;
/// Multiply-accumulates of all runs for layers of their own.
const MOST_MACS: u64 = 30_000_000_000;

/// A recording and its float embedding.
pub(super) type Tried<'a> = (&'a [i16], &'a [f64]);

/// At most `count` of the recordings, from all over the list.
pub(super) fn spread<'a>(recordings: &[Tried<'a>], count: usize) -> Vec<Tried<'a>> {
    recordings.iter().step_by(recordings.len().div_ceil(count).max(1)).copied().collect()
}

/// What a choice of widths gives on the recordings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quality {
    /// The worst cosine; below all others where a recording has no embedding.
    pub(super) cosine: f64,
    /// Predicted time of a proof, in nanoseconds of a core, up to a constant.
    cost: f64,
    /// Multiply-accumulates of one run.
    macs: u64,
}

/// Bytes of a table's integers that a commitment has to add: digits of a byte, with a sign.
fn nonzero_bytes(table: &IntTable) -> u64 {
    const BLOCK: usize = 1 << 14;
    let counts = dispatch!(table.values(), values => par::map(values.len().div_ceil(BLOCK), |block| {
        let block = &values[block * BLOCK..values.len().min((block + 1) * BLOCK)];
        block.iter().map(|&value| digits(Into::<i128>::into(value))).sum::<u64>()
    }));
    counts.into_iter().sum()
}

/// Digits of an integer in base 256, between −128 and 127, that are not zero.
fn digits(mut value: i128) -> u64 {
    let mut count = 0;
    // Nearly all are short, and long integers are slow.
    while i64::try_from(value).is_err() {
        let digit = i128::from(value as i8);
        count += u64::from(digit != 0);
        value = (value >> 8) + i128::from(digit < 0);
    }
    let mut value = value as i64;
    while value != 0 {
        let digit = value as i8;
        count += u64::from(digit != 0);
        value = (value >> 8) + i64::from(digit < 0);
    }
    count
}

/// Runs a model on recordings with their float embeddings, until one misses the `target`.
pub(super) fn quality(model: &Model, tried: &[Tried<'_>], target: f64) -> Result<Quality, ModelError> {
    let mut quality = Quality { cosine: 1.0, cost: 0.0, macs: 0 };
    for &(clip, float) in tried {
        let (lowered, trace) = match model.run(clip) {
            Ok(run) => run,
            // A recording that leaves a table at this width is as far as one can be.
            Err(ModelError::Trace(_)) => return Ok(Quality { cosine: -2.0, ..quality }),
            Err(error) => return Err(error),
        };
        let program = &lowered.program;
        let embedding: Vec<f64> = integers(trace.get(lowered.embedding)).iter().map(|&v| v as f64).collect();
        let committed = program.of_kind(|kind| matches!(kind, Kind::Input | Kind::Witness));
        let bytes: u64 = committed.into_iter().map(|id| nonzero_bytes(trace.get(id))).sum();
        let bits = model.spec().embedding_fraction_bits();
        quality.cosine =
            quality.cosine.min(super::closeness(&embedding, float, bits, model.front_end().chunks().is_some()));
        quality.cost += ns_of(leaves(program), bytes);
        quality.macs += Sizes::new(program).macs;
        if quality.cosine < target {
            break;
        }
    }
    Ok(quality)
}

/// Widths: of all layers, and of some by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) bits: u32,
    pub(super) layers: BTreeMap<String, u32>,
}

/// The bits of the argument of a layer's table, if it has one whose width may be chosen.
fn argument_bits(layer: &AnyLayer) -> Option<(&str, u32)> {
    let (name, finish) = match layer {
        AnyLayer::Affine(Affine { name, finish, .. }) => (name, finish),
        AnyLayer::TimeSoftmax(TimeSoftmax { name, exponentials, .. }) => {
            return Some((name, exponentials.len().trailing_zeros()));
        }
        _ => return None,
    };
    let bits = match finish {
        Finish::Rectify { bits, .. } | Finish::Saturate { then: Clamped::Rectified { bits }, .. } => *bits,
        Finish::Activate { function, .. } | Finish::Saturate { then: Clamped::Function(function), .. } => {
            function.values.len().trailing_zeros()
        }
        // The widths of levels are the model's.
        Finish::Exact
        | Finish::Requantize { .. }
        | Finish::Saturate { then: Clamped::Quotient { .. } | Clamped::Levels { .. }, .. } => {
            return None;
        }
    };
    Some((name, bits))
}

/// The model of the cheapest widths found that reach `target`, or of the widest ones.
pub(super) fn search(
    build: impl Fn(&Widths) -> Result<Model, ModelError>,
    all: &[Tried<'_>],
    target: f64,
) -> Result<(Model, Quality), ModelError> {
    let recordings = &spread(all, TRIED);
    let (mut widths, mut best) = uniform(&build, recordings, target)?;
    if best.1.cosine < target {
        return Ok(best);
    }
    let each = best.1.macs / recordings.len().max(1) as u64;
    let more = spread(all, ((CONFIRM_MACS / each.max(1)) as usize).clamp(TRIED, CONFIRMED));
    let confirmed = |model: &Model| Ok::<_, ModelError>(quality(model, &more, target)?.cosine >= target);
    while !confirmed(&best.0)? {
        let Some(&bits) = WIDTHS.iter().find(|&&bits| bits > widths.bits) else { break };
        widths.bits = bits;
        let model = build(&widths)?;
        let found = quality(&model, recordings, target)?;
        tracing::info!(bits, found.cosine, found.cost, "one more bit, for other recordings");
        best = (model, found);
    }
    let mut runs = (MOST_MACS / best.1.macs.max(1)) as usize;
    let samples = recordings.first().map_or(0, |(samples, _)| samples.len());
    for name in dearest_layers(&best.0, samples)? {
        for bits in LAYER_WIDTHS.into_iter().filter(|&bits| bits < widths.bits) {
            let Some(left) = runs.checked_sub(1) else { return Ok(best) };
            runs = left;
            let mut tried = widths.clone();
            tried.layers.insert(name.clone(), bits);
            let model = build(&tried)?;
            let found = quality(&model, recordings, target)?;
            tracing::info!(name, bits, found.cosine, found.cost, "tried a width for a layer");
            if found.cosine >= target {
                if found.cost < best.1.cost && confirmed(&model)? {
                    (widths, best) = (tried, (model, found));
                }
                break;
            }
        }
    }
    Ok(best)
}

/// The fewest bits for all layers, by bisection: more bits are hardly ever less accurate.
fn uniform(
    build: &impl Fn(&Widths) -> Result<Model, ModelError>,
    recordings: &[Tried<'_>],
    target: f64,
) -> Result<(Widths, (Model, Quality)), ModelError> {
    let tried = |bits: u32| -> Result<(Widths, (Model, Quality)), ModelError> {
        let widths = Widths { bits, ..Widths::default() };
        let model = build(&widths)?;
        let found = quality(&model, recordings, target)?;
        tracing::info!(bits, found.cosine, found.cost, "tried a width");
        Ok((widths, (model, found)))
    };
    let (mut low, mut high, mut best) = (0, WIDTHS.len(), None);
    while low < high {
        let middle = usize::midpoint(low, high);
        let found = tried(WIDTHS[middle])?;
        if found.1.1.cosine >= target {
            (high, best) = (middle, Some(found));
        } else {
            low = middle + 1;
        }
    }
    match best {
        Some(best) => Ok(best),
        None => tried(WIDTHS[WIDTHS.len() - 1]),
    }
}

/// The layers that have a width of their own, the dearest first.
fn dearest_layers(model: &Model, samples: usize) -> Result<Vec<String>, ModelError> {
    let costs = model.layer_costs(samples)?;
    let share = |name: &str| costs.iter().find(|l: &&LayerCost| l.name == name).map_or(0.0, |layer| layer.share);
    let layers = model.spec().first.layers.iter().filter_map(|placed| argument_bits(&placed.layer));
    let mut layers: Vec<(f64, &str)> = layers.map(|(name, _)| (share(name), name)).collect();
    layers.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(layers.into_iter().take(MOST_LAYERS).map(|(_, name)| name.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sumcheck::int::IntVec;

    proptest! {
        #[test]
        fn values_of_a_byte_have_a_byte_or_none(values in prop::collection::vec(-128i8..=127, 1..9)) {
            let some = values.iter().filter(|&&v| v != 0).count() as u64;
            prop_assert_eq!(nonzero_bytes(&IntTable::new(1, values.len(), IntVec::I8(values))), some);
        }
    }

    #[test]
    fn bytes_that_are_zero_count_nothing() {
        for (value, bytes) in
            [(0, 0), (1, 1), (128, 2), (255, 2), (256, 1), (-256, 1), (-257, 2), (0x7f01, 2), (1 << 16, 1)]
        {
            assert_eq!(nonzero_bytes(&IntTable::new(1, 1, IntVec::I32(vec![value]))), bytes, "{value}");
        }
        // The largest are −1, then zeros, −128 and 1.
        for (value, bytes) in [(i128::MIN, 1), (i128::MAX, 3), (i64::MAX.into(), 3), (1 << 64, 1), ((1 << 64) - 1, 2)] {
            assert_eq!(nonzero_bytes(&IntTable::new(1, 1, IntVec::I128(vec![value]))), bytes, "{value}");
        }
    }
}
