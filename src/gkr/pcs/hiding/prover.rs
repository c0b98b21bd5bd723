//! The prover's end of a hiding channel: an adaptor over a channel in the clear.

use std::time::{Duration, Instant};

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::AdditiveGroup;
use ark_serialize::CanonicalSerialize;
use zeroize::Zeroizing;

use super::form::{Form, Hidden};
use super::verifier::{HidingVerifier, Replay};
use super::{ClearProver, MessageRow, OpeningProver, Secret, mask, products};
use crate::gkr::pcs::OpeningClaim;
use crate::gkr::pcs::blinding::Blinds;
use crate::gkr::pcs::hyrax::COLUMN_DEGREE;
use crate::gkr::pcs::keys::ProverKey;
use crate::sumcheck::batch;
use crate::sumcheck::channel::{ProverChannel, SecretChannel};
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::transcript::Label;

/// Blinding factors that are made at a time.
const READY: usize = 64;

/// Sends commitments in place of scalars.
pub struct HidingProver<'k, C> {
    inner: C,
    key: &'k ProverKey,
    width_vars: usize,
    seed: Zeroizing<[u8; 32]>,
    draws: u64,
    /// Scalars since the last challenge, and what the first ones of them are.
    pending: Zeroizing<Vec<Fr>>,
    label: Option<Label>,
    /// All scalars that were sent before.
    values: Zeroizing<Vec<Fr>>,
    /// Blinding factors of messages to come, and what they contribute.
    ready: Zeroizing<Vec<Fr>>,
    ready_points: Vec<G1Affine>,
    /// Lengths of the messages, and their blinding factors.
    lens: Vec<usize>,
    blinds: Zeroizing<Vec<Fr>>,
    /// Messages and scalars that are settled.
    settled: (usize, usize),
    /// The public number that all claims and equations come to.
    total: Fr,
    spent: Duration,
    replay: HidingVerifier<Replay>,
}

impl<'k, C: ClearProver + SecretChannel<Fr>> HidingProver<'k, C> {
    /// Hides what is sent to `inner`, in messages of at most `2^width_vars` scalars: the width of the widest row
    /// that is opened. Blinding factors depend on randomness of the operating system and on the transcript.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn new(inner: C, key: &'k ProverKey, width_vars: usize) -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut())?;
        Ok(Self::with_seed(inner, key, width_vars, seed))
    }

    pub(crate) fn with_seed(inner: C, key: &'k ProverKey, width_vars: usize, seed: Zeroizing<[u8; 32]>) -> Self {
        Self {
            inner,
            key,
            width_vars,
            seed,
            draws: 0,
            pending: Zeroizing::default(),
            label: None,
            values: Zeroizing::default(),
            ready: Zeroizing::default(),
            ready_points: Vec::new(),
            lens: Vec::new(),
            blinds: Zeroizing::default(),
            settled: (0, 0),
            total: Fr::ZERO,
            spent: Duration::ZERO,
            replay: HidingVerifier::new(Replay::default(), width_vars),
        }
    }

    /// The channel that was spoken to.
    pub fn into_inner(self) -> C {
        self.inner
    }

    /// Secret uniform scalars, never the same ones twice.
    pub(super) fn draw(&mut self, count: usize) -> Zeroizing<Vec<Fr>> {
        let mut out = Zeroizing::new(vec![Fr::ZERO; count]);
        self.inner.secrets(&self.seed, self.draws, &mut out);
        self.draws += 1;
        out
    }

    /// Runs a step that a channel in the clear does not have.
    fn timed<T>(&mut self, step: impl FnOnce(&mut Self) -> T) -> T {
        let (start, before) = (Instant::now(), self.spent);
        let result = step(self);
        // Steps within this one are a part of it.
        self.spent = before + start.elapsed();
        result
    }

    /// Sends the commitments to what is pending.
    fn flush(&mut self) {
        if let Some(label) = self.label.take() {
            self.timed(|channel| channel.send_pending(label));
        }
    }

    fn send_pending(&mut self, label: Label) {
        let pending = std::mem::take(&mut self.pending);
        let mut points = Vec::new();
        for row in pending.chunks(1 << self.width_vars) {
            let (blind, point) = self.next_blind();
            points.push(self.key.combine(row, self.width_vars) + point);
            self.lens.push(row.len());
            self.blinds.push(blind);
        }
        self.inner.send_elements::<G1Affine>(label, &G1Projective::normalize_batch(&points));
        self.values.extend_from_slice(&pending);
    }

    /// A blinding factor and its multiple of `H`. They are made many at a time, by all threads.
    fn next_blind(&mut self) -> (Fr, G1Affine) {
        if self.ready.is_empty() {
            self.ready = self.draw(READY);
            self.ready_points = self.key.blinder().multiply_all(&self.ready);
        }
        let blind = self.ready.pop().expect("some are ready");
        (blind, self.ready_points.pop().expect("a point a factor"))
    }

    /// The value of a form, given those of products.
    pub(super) fn evaluate(&self, form: &Form, products: &[Fr]) -> Fr {
        form.evaluate(|hidden| match hidden {
            Hidden::Sent(k) => self.values[k as usize],
            Hidden::Product(p) => products[p as usize],
        })
    }

    /// The messages since the last that was settled.
    fn take_messages(&mut self) -> Vec<Secret> {
        let (first, mut start) = self.settled;
        let mut messages = Vec::with_capacity(self.lens.len() - first);
        for (&len, &blind) in self.lens.iter().zip(self.blinds.iter()).skip(first) {
            messages.push(Secret { values: self.values[start..start + len].to_vec(), blind });
            start += len;
        }
        self.settled = (self.lens.len(), start);
        messages
    }
}

impl<C: ClearProver + SecretChannel<Fr>> ProverChannel<Fr> for HidingProver<'_, C> {
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        self.flush();
        self.inner.absorb_statement(label, bytes);
    }

    fn send(&mut self, label: Label, scalars: &[Fr]) {
        self.label.get_or_insert(label);
        self.pending.extend_from_slice(scalars);
    }

    fn send_public(&mut self, label: Label, scalars: &[Fr]) {
        self.flush();
        self.replay.inner.public.extend(scalars);
        self.inner.send_public(label, scalars);
    }

    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        self.flush();
        self.inner.send_elements(label, elements);
    }

    fn challenge(&mut self, label: Label) -> Fr {
        self.flush();
        let challenge = self.inner.challenge(label);
        self.replay.inner.challenges.push_back(challenge);
        challenge
    }

    fn product(&mut self, a: Fr, b: Fr) -> Fr {
        a * b
    }

    #[cfg(feature = "adversary")]
    fn visit(&mut self, site: crate::adversary::Site<'_, Fr>) {
        self.inner.visit(site);
    }

    #[cfg(feature = "adversary")]
    fn is_watched(&self) -> bool {
        self.inner.is_watched()
    }
}

impl<C: ClearProver + SecretChannel<Fr>> OpeningProver for HidingProver<'_, C> {
    type Scalar = Form;

    fn hiding_time(&self) -> Duration {
        self.spent
    }

    fn blinds(&mut self, rows: usize) -> Blinds {
        Blinds::new(std::mem::take(&mut *self.draw(rows)))
    }

    fn claims(
        &mut self,
        _: impl FnOnce() -> Vec<OpeningClaim<Fr>>,
        replay: impl FnOnce(&mut HidingVerifier<Replay>) -> Result<Vec<OpeningClaim<Form>>, VerifyError>,
    ) -> Vec<OpeningClaim<Form>> {
        self.flush();
        let claims = replay(&mut self.replay).expect("a replay reads what was recorded");
        self.replay.flush().expect("a replay reads what was recorded");
        claims
    }

    fn value(&self, scalar: &Form) -> Fr {
        self.evaluate(scalar, &[])
    }

    fn settle(&mut self, total: &Form) -> Vec<MessageRow<Secret>> {
        self.timed(|channel| {
            // What was drawn since the walk belongs to the opening.
            channel.replay.inner.challenges.clear();
            let products = channel.replay.products.clone();
            products::prove(channel, &products);
            let secrets = channel.take_messages();
            let settled = products::replay(&mut channel.replay, total.clone(), secrets);
            channel.total = settled.total;
            settled.rows
        })
    }

    fn mask(&mut self, opened: Secret, point: &[Fr]) -> Vec<Fr> {
        // The last claim of the column sum-check, as the verifier has it.
        let (_, value) = batch::verify_sum(&mut self.replay, COLUMN_DEGREE, point.len(), Form::from(self.total))
            .expect("a replay reads what was recorded");
        let (_, first) = self.settled;
        let mut weights = vec![Fr::ZERO; self.values.len() - first];
        for (hidden, coefficient) in value.terms {
            if let Hidden::Sent(k) = hidden {
                weights[k as usize - first] += coefficient;
            }
        }
        let messages = self.take_messages();
        self.timed(|channel| mask::prove(channel, channel.key, opened, &messages, &weights, point))
    }
}
