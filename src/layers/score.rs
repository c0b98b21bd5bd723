//! The decision: is the cosine of embedding and template at least the threshold?
//!
//! ```text
//! x = ⟨e, t⟩,  b = [x > 0],  c = [x²·D² ≥ τ²·⟨e, e⟩·⟨t, t⟩],  close = b·c
//! a = [Σ_c [Σ_t f[t,c]² > 0] > 0] over the features f,          accept = a·close
//! ```
//!
//! The threshold is `τ / D` with `0 < τ ≤ D = 2^15`. There is no division and no root, so the rule is
//! exact: equality accepts. The sign is a bit of its own, since squares lose it. Only the product is
//! public: a REJECT does not say why. A zero embedding or template has `x = 0`, hence is rejected. So is a
//! recording whose features are all zero, which are those of silence: its embedding is a constant of the
//! model, and nothing of a voice.
//!
//! Padding: all sums run over the real entries, and committed padding is proved zero.

use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{RowMap, View};
use crate::layers::fixed::{bits_of, is_positive, range};

/// The denominator `D` of a threshold.
pub const THRESHOLD_ONE: u32 = 1 << 15;

/// `⟨e, t⟩`, `⟨e, e⟩·⟨t, t⟩` and their widths.
struct Inner {
    dot: TensorId,
    square: TensorId,
    norms: TensorId,
    dot_bits: usize,
}

fn inner(p: &mut ProgramBuilder, embedding: TensorId, template: TensorId) -> Result<Inner, ProgramError> {
    let (e, t) = (p.whole(embedding), p.whole(template));
    let dot = p.contraction_transposed("score: dot", e.clone(), t.clone())?;
    let ee = p.contraction_transposed("score: probe norm", e.clone(), e)?;
    let tt = p.contraction_transposed("score: template norm", t.clone(), t)?;
    let square = p.product("score: squared dot", p.whole(dot), p.whole(dot))?;
    let norms = p.product("score: norms", p.whole(ee), p.whole(tt))?;
    let dot_bits = bits_of(p, dot);
    Ok(Inner { dot, square, norms, dot_bits })
}

/// Adds the decision at threshold `tau / D` as a public output; returns the accept bit. It is that of
/// [`close`] where any of the `features` is not zero.
pub fn decide(
    p: &mut ProgramBuilder,
    features: TensorId,
    embedding: TensorId,
    template: TensorId,
    tau: u32,
) -> Result<TensorId, ProgramError> {
    let audible = audible(p, features)?;
    let close = close(p, embedding, template, tau)?;
    let accept = p.product("score: accept", p.whole(audible), p.whole(close))?;
    p.output(accept);
    Ok(accept)
}

/// The bit that says whether any entry of a tensor is not zero.
pub(crate) fn audible(p: &mut ProgramBuilder, features: TensorId) -> Result<TensorId, ProgramError> {
    let squares = p.product("score: feature squares", p.whole(features), p.whole(features))?;
    let rows = p.shape(features).0;
    let energies = p.linear("score: band energies", vec![(1, View::rows(squares, RowMap::sum(rows)))], 0)?;
    let bits = bits_of(p, energies);
    let heard = is_positive(p, "score: heard", energies, bits)?;
    // A bit is its own square, so this counts the columns that are not zero.
    let count = p.contraction_transposed("score: heard columns", p.whole(heard), p.whole(heard))?;
    let bits = bits_of(p, count);
    is_positive(p, "score: audible", count, bits)
}

/// The bit that says whether the cosine of embedding and template is at least `tau / D`.
pub fn close(
    p: &mut ProgramBuilder,
    embedding: TensorId,
    template: TensorId,
    tau: u32,
) -> Result<TensorId, ProgramError> {
    let Inner { dot, square, norms, dot_bits } = inner(p, embedding, template)?;
    let positive = is_positive(p, "score: sign", dot, dot_bits)?;
    let (d, tau) = (i128::from(THRESHOLD_ONE), i128::from(tau));
    // difference + 1 > 0 exactly if the difference is at least zero.
    let terms = vec![(d * d, p.whole(square)), (-tau * tau, p.whole(norms))];
    let difference = p.linear("score: difference", terms, 1)?;
    let bits = bits_of(p, difference);
    let reached = is_positive(p, "score: reached", difference, bits)?;
    p.product("score: close", p.whole(positive), p.whole(reached))
}

/// Shows that the public integer `score` is `⌊2^15·cos⌋`, in squares: with `N = ⟨e,e⟩·⟨t,t⟩`,
///
/// ```text
/// score ≥ 0:   x ≥ 0,  score²·N ≤ 2^30·x² < (score + 1)²·N
/// score < 0:   x < 0,  (score + 1)²·N < 2^30·x² ≤ score²·N
/// ```
///
/// It is part of the program, so nothing is revealed but itself. A zero norm has no score.
pub fn reveal(p: &mut ProgramBuilder, embedding: TensorId, template: TensorId, score: i32) -> Result<(), ProgramError> {
    let Inner { dot, square, norms, dot_bits } = inner(p, embedding, template)?;
    let (one, score) = (i128::from(THRESHOLD_ONE), i128::from(score));
    let (this, next) = (score * score, (score + 1) * (score + 1));
    let negative = score < 0;
    let (sign, bound) = if negative { (-1, -1) } else { (1, 0) };
    let magnitude = p.linear("score: magnitude", vec![(sign, p.whole(dot))], bound)?;
    range(p, "score: magnitude", magnitude, dot_bits)?;
    // Weakly on the side of the score, strictly on the other.
    let mut between = |name: &str, square_factor: i128, norm_factor: i128, constant: i128| {
        let terms = vec![(square_factor * one * one, p.whole(square)), (norm_factor, p.whole(norms))];
        let gap = p.linear(name, terms, constant)?;
        let bits = bits_of(p, gap);
        range(p, name, gap, bits)
    };
    if negative {
        between("score: not below", -1, this, 0)?;
        between("score: below next", 1, -next, -1)
    } else {
        between("score: not below", 1, -this, 0)?;
        between("score: below next", -1, next, -1)
    }
}

/// `⌊2^15·cos⌋` of an embedding and a template of one length, exactly; `None` if one is zero.
#[must_use]
pub fn exact_score(embedding: &[i64], template: &[i16]) -> Option<i32> {
    let dot = |pairs: &mut dyn Iterator<Item = (i128, i128)>| -> i128 { pairs.map(|(a, b)| a * b).sum() };
    let e = || embedding.iter().map(|&v| i128::from(v));
    let t = || template.iter().map(|&v| i128::from(v));
    let x = dot(&mut e().zip(t()));
    let norms = dot(&mut e().zip(e())) * dot(&mut t().zip(t()));
    if norms == 0 {
        return None;
    }
    let one = i128::from(THRESHOLD_ONE);
    // The largest integer σ with σ ≤ 2^15·x/√N: found by comparing squares, with their signs.
    let reaches = |s: i128| {
        let (left, right) = (s * s * norms, one * one * x * x);
        match (s >= 0, x >= 0) {
            (true, true) => left <= right,
            (true, false) => s == 0 && x == 0,
            (false, true) => true,
            (false, false) => left >= right,
        }
    };
    let (mut low, mut high) = (-one, one + 1);
    while high - low > 1 {
        let middle = (low + high).div_euclid(2);
        if reaches(middle) { low = middle } else { high = middle }
    }
    i32::try_from(low).ok()
}
