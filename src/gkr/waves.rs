//! Waves: the order in which relations are proved, computed from the program and read by both sides.
//!
//! A relation can be proved once every claim on its output is known, hence after all relations that
//! use its output. Lookups come first; linear relations pass claims on at once. So the wave of a
//! relation is the longest chain of contractions and products from its output to a lookup or public
//! output. Committed tensors end every chain, which is why depth of the network does not count.

use super::Fr;
use super::claims::{Claims, Suffixes, TensorClaim, ValueSource};
use super::program::{Program, Relation};
use super::{contraction, product};
use crate::sumcheck::batch::suffix;
use crate::sumcheck::error::VerifyError;

/// Relations by wave; each wave is one batched sum-check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Relation numbers of each wave, ascending.
    pub waves: Vec<Vec<usize>>,
}

impl Schedule {
    /// The schedule of a program.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        let mut depth = vec![0usize; program.tensors().len()];
        let mut waves: Vec<Vec<usize>> = Vec::new();
        // Operands exist before outputs, so in reverse order every use of an output has been seen.
        for (i, relation) in program.relations().iter().enumerate().rev() {
            let (output, operands, own) = match relation {
                Relation::Lookup(_) => continue,
                Relation::Linear(linear) => (linear.output, linear.terms.iter().map(|(_, view)| view).collect(), 0),
                Relation::Contraction(c) => (c.output, vec![&c.lhs, &c.rhs], 1),
                Relation::Product(p) => (p.output, vec![&p.left, &p.right], 1),
            };
            let wave = depth[output.0 as usize];
            for view in operands {
                let depth = &mut depth[view.tensor.0 as usize];
                *depth = (*depth).max(wave + own);
            }
            if own == 1 {
                waves.resize(waves.len().max(wave + 1), Vec::new());
                waves[wave].push(i);
            }
        }
        waves.iter_mut().for_each(|wave| wave.reverse());
        Self { waves }
    }
}

/// A claim on the output of a relation, to be proved in a wave.
pub(super) struct Due<S> {
    pub(super) relation: usize,
    pub(super) claim: TensorClaim<S>,
}

/// The claims that a wave proves, in the order both sides use.
pub(super) fn due<S: crate::sumcheck::channel::Scalar<Fr>>(
    program: &Program,
    wave: &[usize],
    claims: &mut Claims<S>,
) -> Vec<Due<S>> {
    let mut due = Vec::new();
    for &relation in wave {
        let output = match program.relations().get(relation) {
            Some(Relation::Contraction(c)) => c.output,
            Some(Relation::Product(p)) => p.output,
            Some(Relation::Linear(_) | Relation::Lookup(_)) | None => continue,
        };
        due.extend(claims.take(output).into_iter().map(|claim| Due { relation, claim }));
    }
    due
}

/// Rounds that the relation needs.
pub(super) fn num_rounds(program: &Program, relation: usize) -> usize {
    match program.relations().get(relation) {
        Some(Relation::Contraction(c)) => contraction::num_rounds(program, c),
        Some(Relation::Product(p)) => product::num_rounds(program, p),
        Some(Relation::Linear(_) | Relation::Lookup(_)) | None => 0,
    }
}

/// Degree of the wave's round polynomials.
pub(super) fn degree(program: &Program, wave: &[usize]) -> usize {
    let has_product = |&i: &usize| matches!(program.relations().get(i), Some(Relation::Product(_)));
    if wave.iter().any(has_product) { 3 } else { 2 }
}

/// `Σᵢ γⁱ·fᵢ(rᵢ)`: what the last claim of a wave must be, in terms of new claims. Both sides call this.
pub(super) fn finish<V: ValueSource>(
    program: &Program,
    due: &[Due<V::Scalar>],
    gamma: Fr,
    point: &[Fr],
    claims: &mut Claims<V::Scalar>,
    values: &mut V,
) -> Result<V::Scalar, VerifyError> {
    let mut sum = V::Scalar::from(Fr::from(0u64));
    let mut power = Fr::from(1u64);
    let mut suffixes = Suffixes::new(point);
    for Due { relation, claim } in due {
        let at = suffix(point, num_rounds(program, *relation));
        let value = match program.relations().get(*relation) {
            Some(Relation::Contraction(c)) => {
                contraction::finish(program, c, claim, at, &mut suffixes, claims, values)?
            }
            Some(Relation::Product(p)) => product::finish(program, p, claim, at, &mut suffixes, claims, values)?,
            Some(Relation::Linear(_) | Relation::Lookup(_)) | None => continue,
        };
        sum = sum + value * power;
        power *= gamma;
    }
    Ok(sum)
}
