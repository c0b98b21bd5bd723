//! The last step that could tell anything: opening one row and a few messages behind masks.
//!
//! The argument is in [the module above](super); prover and verifier are side by side here.

use ark_bn254::{Fr, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{AdditiveGroup, Field};

use super::form::{Form, Hidden};
use super::prover::HidingProver;
use super::verifier::HidingVerifier;
use super::{ClearProver, ClearVerifier, Secret};
use crate::gkr::pcs::combination::Combination;
use crate::gkr::pcs::curve;
use crate::gkr::pcs::generators::Generators;
use crate::gkr::pcs::keys::ProverKey;
use crate::sumcheck::channel::{ProverChannel, SecretChannel, VerifierChannel};
use crate::sumcheck::eq::eq_table;
use crate::sumcheck::error::{Check, StatementError, VerifyError};
use crate::sumcheck::par;
use crate::sumcheck::transcript::Label;

/// Opens `row` at `point`, where its value is the form `value` in the scalars of the `messages`; returns the
/// row that the inner-product argument opens in its place.
pub(super) fn prove<C: ClearProver + SecretChannel<Fr>>(
    channel: &mut HidingProver<'_, C>,
    key: &ProverKey,
    row: Secret,
    messages: &[Secret],
    weights: &[Fr],
    point: &[Fr],
) -> Vec<Fr> {
    let len = 1usize << point.len();
    let secrets: usize = messages.iter().map(|message| message.values.len() + 1).sum();
    // The mask of the row and its factor; then those of every message.
    let masks = channel.draw(len + 1 + secrets);
    let (row_mask, mut rest) = masks.split_at(len + 1);
    let mut message_masks = Vec::with_capacity(messages.len());
    for message in messages {
        let (mask, after) = rest.split_at(message.values.len() + 1);
        message_masks.push(mask);
        rest = after;
    }
    let commit = |mask: &[Fr]| -> G1Projective {
        let (values, blind) = mask.split_at(mask.len() - 1);
        key.combine(values, point.len()) + key.blinder().multiply(blind[0])
    };
    let mut points = vec![commit(row_mask)];
    points.extend(par::map(message_masks.len(), |k| commit(message_masks[k])));
    channel.send_elements(Label::Mask, &G1Projective::normalize_batch(&points));

    let eq = eq_table(point);
    let at_point: Fr = eq.iter().zip(row_mask).map(|(e, d)| *e * d).sum();
    let of_messages: Fr = message_masks
        .iter()
        .flat_map(|mask| &mask[..mask.len() - 1])
        .zip(weights)
        .map(|(mask, weight)| *mask * weight)
        .sum();
    channel.send_public(Label::MaskValue, &[at_point - of_messages]);

    let x: Fr = channel.challenge(Label::MaskChallenge);
    let mut responses = Vec::with_capacity(secrets + 1);
    for (message, mask) in messages.iter().zip(&message_masks) {
        let secret = message.values.iter().copied().chain([message.blind]);
        responses.extend(secret.zip(*mask).map(|(secret, mask)| x * secret + mask));
    }
    responses.push(x * row.blind + row_mask[len]);
    channel.send_public(Label::Masked, &responses);
    let _: Fr = channel.challenge(Label::MaskedChallenge);
    let mut masked = row_mask[..len].to_vec();
    masked.iter_mut().zip(&row.values).for_each(|(out, value)| *out += x * value);
    masked
}

/// Checks the messages, and returns commitment and value of the row that is opened instead.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) fn verify<C: ClearVerifier>(
    channel: &mut HidingVerifier<C>,
    generators: &Generators,
    mut commitment: Combination,
    value: &Form,
) -> Result<(Combination, Fr), VerifyError> {
    let misfit = || VerifyError::from(StatementError::Misfit("an opened value depends on settled scalars"));
    if !channel.zeros.is_empty() || !channel.products.is_empty() {
        return Err(misfit());
    }
    let messages = channel.take_messages()?;
    let first = messages.first().map_or(channel.num_scalars, |(message, _)| message.start);
    let mut weights = vec![Fr::ZERO; (channel.num_scalars - first) as usize];
    for &(hidden, coefficient) in &value.terms {
        let Hidden::Sent(k) = hidden else { return Err(misfit()) };
        let place = k.checked_sub(first).and_then(|k| weights.get_mut(k as usize)).ok_or_else(misfit)?;
        *place += coefficient;
    }

    let points = curve::recv(Label::Mask, messages.len() + 1, channel)?;
    let [at_mask] = recv_one(channel, Label::MaskValue)?;
    let x = channel.challenge(Label::MaskChallenge);
    let secrets: usize = messages.iter().map(|(message, _)| message.len as usize + 1).sum();
    let responses = channel.recv_public(Label::Masked, secrets + 1)?;
    let kappa = channel.challenge(Label::MaskedChallenge);

    let mut row_mask = None;
    let mut check = Combination::default();
    let (mut sums, mut blind_sum) = (vec![Fr::ZERO; generators.row().len()], Fr::ZERO);
    let (mut opened, mut power) = (Fr::ZERO, Fr::ONE);
    let mut unread = responses.as_slice();
    let mut unused = weights.as_slice();
    let mut points = points.into_iter();
    if let Some(point) = points.next() {
        row_mask = Some(point);
    }
    for (&(message, point), mask) in messages.iter().zip(points) {
        let truncated = || VerifyError::Truncated(Label::Masked);
        let (values, rest) = unread.split_at_checked(message.len as usize).ok_or_else(truncated)?;
        let (blind, rest) = rest.split_first().ok_or_else(truncated)?;
        let (own, later) = unused.split_at_checked(message.len as usize).ok_or_else(truncated)?;
        (unread, unused) = (rest, later);
        opened += values.iter().zip(own).map(|(z, weight)| *z * weight).sum::<Fr>();
        // E_k + x·M_k = ⟨z_k, G⟩ + z_ρ·H, times κ^k.
        check.push(mask, power);
        check.push(point, power * x);
        sums.iter_mut().zip(values).for_each(|(sum, z)| *sum += power * z);
        blind_sum += power * blind;
        power *= kappa;
    }
    let used = messages.iter().map(|(message, _)| message.len as usize).max().unwrap_or(0);
    for (&generator, &sum) in generators.row().iter().zip(&sums).take(used) {
        check.push(generator, -sum);
    }
    check.push(generators.blinding(), -blind_sum);
    channel.inner.require_identity(|| check.sum(), Check::MaskedMessages)?;

    let (Some(&blind), Some(row_mask)) = (unread.first(), row_mask) else {
        return Err(VerifyError::Truncated(Label::Masked));
    };
    commitment.scale(x);
    commitment.push(row_mask, Fr::ONE);
    commitment.push(generators.blinding(), -blind);
    Ok((commitment, at_mask + x * value.constant + opened))
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn recv_one<C: ClearVerifier>(channel: &mut HidingVerifier<C>, label: Label) -> Result<[Fr; 1], VerifyError> {
    channel.recv_public(label, 1)?.try_into().map_err(|_| VerifyError::Truncated(label))
}
