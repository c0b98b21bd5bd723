//! What frames are taken from: the samples, or the recording emphasised as a whole and mirrored at its ends.
//!
//! ```text
//! y[i]      = 100·x[i] − 97·x[i−1],  x[−1] = x[1]                  linear
//! z[u]      = y[u − left] + y[left − 1 − u] + y[2N − 1 + left − u]    each zero where it has no source
//! blocks    = z side by side                                       a contraction with the identity
//! ```
//!
//! The three terms of `z` are views of rows, and never two of them have a source: the second belongs to positions before
//! the recording, the last to those behind it. Where the sample at the edge is not repeated, they are views of all samples
//! but the first, and of all but the last. Nothing is committed, so there is nothing to cheat with, and the
//! transform that follows is the one of every other front end. Edge frames with transforms of their own would need
//! matrices for every length of the recording.

use super::widths::block;
use crate::audio::FrontEnd;
use crate::audio::frontend::{EMPHASIS_HUNDREDTHS, Padding, PreEmphasis};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{RowMap, View};
use crate::layers::lowering::{Constant, Layer, Value};
use crate::layers::waveform::{Emphasis, Framing};

/// Samples in blocks, a row each.
pub(super) struct Signal {
    pub(super) blocks: TensorId,
    /// Samples of a block.
    pub(super) block: usize,
    /// The block that frame 0 starts with.
    pub(super) offset: i64,
}

/// Whether frames are not taken from the samples themselves, which then have a row each.
pub(super) fn is_prepared(front_end: &FrontEnd) -> bool {
    front_end.emphasis == PreEmphasis::Signal
        || matches!(front_end.padding, Padding::CentredMirror(_) | Padding::Mirror)
}

/// What frames are taken from; `identity` is that of a block.
pub(super) fn blocks(
    p: &mut ProgramBuilder,
    front_end: &FrontEnd,
    samples: TensorId,
    frames: usize,
    identity: Option<Constant>,
) -> Result<Signal, ModelError> {
    let first = front_end.first_sample();
    if !is_prepared(front_end) {
        let block = p.shape(samples).1;
        return Ok(Signal { blocks: samples, block, offset: first / block as i64 });
    }
    let block = block(front_end);
    let identity = identity.ok_or_else(|| super::unfit(front_end))?;
    let mut value = Value { tensor: samples, sequences: 1 };
    if front_end.emphasis == PreEmphasis::Signal {
        let factors = [-(EMPHASIS_HUNDREDTHS as i32), 100];
        let layer = Emphasis { name: "features/emphasis".into(), factors, fraction_bits: 0 };
        value = layer.lower(p, &[value])?;
    }
    let kernel = front_end.window_length.next_multiple_of(block);
    let len = (frames - 1) * front_end.hop + kernel;
    value.tensor = extended(p, front_end.padding, value.tensor, -first, len)?;
    let (kernel, stride) = (kernel as u32, block as u32);
    let layer = Framing { name: "features/blocks".into(), kernel, stride, identity, fraction_bits: 0 };
    Ok(Signal { blocks: layer.lower(p, &[value])?.tensor, block, offset: 0 })
}

/// `len` values, the first of them `left` before the recording.
fn extended(
    p: &mut ProgramBuilder,
    padding: Padding,
    y: TensorId,
    left: i64,
    len: usize,
) -> Result<TensorId, ProgramError> {
    let rows = p.shape(y).0;
    let mut terms = vec![(1, View::rows(y, RowMap::slice(rows, -left, len)))];
    let backwards =
        |tensor: TensorId, rows: usize, from: i64| (1, View::rows(tensor, RowMap::strided(rows, len, 1, -1, 0, from)));
    match padding {
        Padding::None | Padding::CentredZeros(_) => {}
        Padding::Mirror => {
            terms.push(backwards(y, rows, left - 1));
            terms.push(backwards(y, rows, 2 * rows as i64 - 1 + left));
        }
        Padding::CentredMirror(_) => {
            let inner = rows.saturating_sub(1);
            let mut all_but = |name: &str, first: i64| {
                p.linear(&format!("features/{name}"), vec![(1, View::rows(y, RowMap::slice(rows, first, inner)))], 0)
            };
            let [tail, head] = [all_but("without first", 1)?, all_but("without last", 0)?];
            terms.push(backwards(tail, inner, left - 1));
            terms.push(backwards(head, inner, 2 * rows as i64 - 2 + left));
        }
    }
    p.linear("features/extended", terms, 0)
}
