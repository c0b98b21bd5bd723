//! That two recordings are not the same samples.
//!
//! ```text
//! d = a − b,   eᵢ = Σ_t d[t, i]²,   Σᵢ eᵢ² − 1 ≥ 0
//! ```
//!
//! A sum of squares of integers is positive exactly if one of them is not zero, so no division and no challenge is
//! needed. It stops a file that is used a second time and nothing else: a copy that differs in one sample is another
//! recording, and so is one that was played to a microphone.
//!
//! Padding: both recordings are committed, so what stands beyond their samples is proved zero.

use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{RowMap, View};
use crate::layers::fixed::{bits_of, range};

/// Shows that two tensors of one shape differ somewhere.
pub fn differ(p: &mut ProgramBuilder, name: &str, a: TensorId, b: TensorId) -> Result<(), ProgramError> {
    let difference = p.linear(&format!("{name}: difference"), vec![(1, p.whole(a)), (-1, p.whole(b))], 0)?;
    let squares = p.product(&format!("{name}: squares"), p.whole(difference), p.whole(difference))?;
    let all = View::rows(squares, RowMap::sum(p.shape(a).0));
    let energies = p.linear(&format!("{name}: energies"), vec![(1, all)], 0)?;
    let total = p.contraction_transposed(&format!("{name}: total"), p.whole(energies), p.whole(energies))?;
    let excess = p.linear(&format!("{name}: excess"), vec![(1, p.whole(total))], -1)?;
    let bits = bits_of(p, total);
    range(p, &format!("{name}: excess"), excess, bits)
}
