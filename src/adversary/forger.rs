//! Proving anything to a verifier whose challenges are known.
//!
//! With the challenges fixed, every check is an equation that is linear in each single scalar of the proof,
//! and the last one is linear in the cross terms of the inner-product argument. So a proof of whatever
//! statement can be repaired from the first check to the last: each is made to hold by one scalar that no
//! earlier check reads. That this works shows that nothing but the order of messages and challenges makes
//! the protocol sound, and that a tampered proof is refused for no accidental reason.

use std::collections::BTreeSet;

use ark_bn254::{G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::Field;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use thiserror::Error;

use super::conditions::{Conditions, Skip};
use super::probe::{Probe, ProbeLog, Read, Residual, probe};
use crate::gkr::Fr;
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::transcript::Label;

/// Why a proof could not be repaired.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ForgeError {
    /// A check reads no scalar that could make it hold.
    #[error("no scalar repairs this: {0}")]
    Stuck(VerifyError),
    /// The verifier cannot go on.
    #[error("the verifier stops: {0}")]
    Stopped(VerifyError),
}

/// Changes `proof` until every check that the verifier `run` makes under `conditions` holds. Scalars and
/// points at the offsets in `keep` stay as they are.
///
/// # Errors
/// If that cannot be done; it can if the conditions have a tape, unless what must be kept is itself checked.
pub fn forge(
    name: &'static [u8],
    mut proof: Vec<u8>,
    conditions: &Conditions,
    keep: &BTreeSet<usize>,
    run: impl Fn(Probe<'_>) -> Result<(), VerifyError>,
) -> Result<Vec<u8>, ForgeError> {
    let look = |proof: &[u8], points: bool| -> Result<ProbeLog, ForgeError> {
        let (result, mut log) = probe(name, proof, conditions, points, &run);
        log.findings.retain(|finding| !conditions.skip.contains(&Skip::Check(finding.error.refusal())));
        result.map(|()| log).map_err(ForgeError::Stopped)
    };
    let mut log = look(&proof, false)?;
    while let Some(bad) = log.findings.iter().position(|finding| !finding.holds()) {
        let finding = &log.findings[bad];
        let Residual::Scalar(residual) = finding.residual else {
            return Err(ForgeError::Stuck(finding.error.clone()));
        };
        let previous = if bad == 0 { 0 } else { log.findings[bad - 1].reads };
        let mut repaired = None;
        for offset in candidates(&log.reads, previous, finding.reads).filter(|offset| !keep.contains(offset)) {
            let mut tried = proof.clone();
            let Some(value) = scalar(&proof, offset) else { continue };
            put(&mut tried, offset, &(value + Fr::ONE));
            let changed = look(&tried, false)?;
            let earlier = changed.findings[..bad].iter().all(|finding| finding.holds());
            let Residual::Scalar(after) = changed.findings[bad].residual else { continue };
            if let (true, Some(slope)) = (earlier, (after - residual).inverse()) {
                put(&mut tried, offset, &(value - residual * slope));
                repaired = Some(tried);
                break;
            }
        }
        proof = repaired.ok_or_else(|| ForgeError::Stuck(finding.error.clone()))?;
        log = look(&proof, false)?;
    }
    let log = look(&proof, true)?;
    repair_points(&mut proof, &log, keep)?;
    let last = look(&proof, true)?;
    match last.findings.into_iter().find(|finding| !finding.holds()) {
        None => Ok(proof),
        Some(finding) => Err(ForgeError::Stuck(finding.error)),
    }
}

/// Offsets of scalars that could repair a check which was made after `end` messages, the one before it after
/// `start`: coefficients of rounds first, since nothing but the end of their sum-check reads them.
fn candidates(reads: &[Read], start: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
    let between = reads[start..end].iter().rev();
    let rounds = between.filter(|read| read.label == Label::Round);
    let all = reads[..end].iter().rev().filter(|read| read.scalars);
    rounds.chain(all).flat_map(|read| (0..read.count).rev().map(|k| read.start + 32 * k))
}

/// Takes what is left in the check of the inner-product argument out of one of its cross terms. In that
/// check `L` of a round weighs as much as the challenges of all later rounds together, and `R` by the square of
/// its own more.
fn repair_points(proof: &mut [u8], log: &ProbeLog, keep: &BTreeSet<usize>) -> Result<(), ForgeError> {
    let Some(finding) = log.findings.iter().find(|finding| !finding.holds()) else { return Ok(()) };
    let stuck = || ForgeError::Stuck(finding.error.clone());
    let Residual::Point(excess) = &finding.residual else { return Err(stuck()) };
    let point = |bytes: &[u8]| G1Affine::deserialize_compressed(bytes).map(G1Projective::from).map_err(|_| stuck());
    let challenges = log.tape.challenges().filter(|(label, _)| *label == Label::InnerProductChallenge);
    let cross = log.reads.iter().filter(|read| read.label == Label::InnerProductCross);
    let rounds: Vec<(&Read, Fr)> = cross.zip(challenges.map(|(_, x)| x)).collect();
    let mut weight = Fr::ONE;
    for (read, x) in rounds.into_iter().rev() {
        for (at, weight) in [(read.start, weight), (read.start + 32, weight * x.square())] {
            if let (false, Some(inverse)) = (keep.contains(&at), weight.inverse()) {
                let element = point(proof.get(at..at + 32).ok_or_else(stuck)?)?;
                put(proof, at, &(element - point(excess)? * inverse).into_affine());
                return Ok(());
            }
        }
        weight *= x;
    }
    Err(stuck())
}

fn scalar(proof: &[u8], offset: usize) -> Option<Fr> {
    Fr::deserialize_compressed(proof.get(offset..offset + 32)?).ok()
}

fn put(proof: &mut [u8], offset: usize, value: &impl CanonicalSerialize) {
    value.serialize_compressed(&mut proof[offset..offset + 32]).expect("an element takes 32 bytes");
}
