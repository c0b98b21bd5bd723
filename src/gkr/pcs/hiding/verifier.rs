//! The verifier's end of a hiding channel: an adaptor over a channel in the clear.

use std::collections::VecDeque;

use ark_bn254::{Fr, G1Affine};
use ark_ff::AdditiveGroup;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize, Compress, Validate};

use super::form::{Form, Hidden};
use super::{ClearVerifier, OpeningVerifier, Settled, mask, products};
use crate::gkr::pcs::combination::Combination;
use crate::gkr::pcs::curve::{self, EncodedPoint};
use crate::gkr::pcs::generators::Generators;
use crate::sumcheck::channel::VerifierChannel;
use crate::sumcheck::error::{Check, StatementError, VerifyError};
use crate::sumcheck::transcript::Label;

/// A commitment to hidden scalars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) label: Label,
    /// Decoded when it is settled, together with others.
    pub(super) point: EncodedPoint,
    /// Its first scalar, among all that were sent.
    pub(super) start: u32,
    pub(super) len: u32,
}

/// Numbers of products and equations between hidden scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Products.
    pub products: usize,
    /// Linear equations.
    pub equations: usize,
}

/// Receives commitments in place of scalars, and collects what must hold of them.
pub struct HidingVerifier<C> {
    pub(super) inner: C,
    max_len: u32,
    pub(super) messages: Vec<Message>,
    /// Scalars that were asked for since the last message, and what the first ones of them are.
    pending: Option<(Label, u32)>,
    pub(super) num_scalars: u32,
    pub(super) products: Vec<[Form; 2]>,
    /// Forms that must be zero.
    pub(super) zeros: Vec<Form>,
    /// Messages whose scalars are settled.
    pub(super) settled: usize,
    /// Why a message could not be read. Challenges are drawn without a way to refuse, so the next call that
    /// has one refuses.
    failed: Option<VerifyError>,
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl<C: ClearVerifier> HidingVerifier<C> {
    /// Reads from `inner` messages of at most `2^width_vars` scalars: the width of the widest row that is opened.
    pub fn new(inner: C, width_vars: usize) -> Self {
        let max_len = 1u32.checked_shl(width_vars as u32).unwrap_or(1 << 31).max(1);
        let (messages, products, zeros) = (Vec::new(), Vec::new(), Vec::new());
        Self { inner, max_len, messages, pending: None, num_scalars: 0, products, zeros, settled: 0, failed: None }
    }

    /// How much is to be settled.
    #[must_use]
    pub fn owed(&self) -> Owed {
        Owed { products: self.products.len(), equations: self.zeros.len() }
    }

    /// Reads the commitments to the scalars that were asked for.
    ///
    /// # Errors
    /// If the proof cannot be read, or could not be read before.
    pub(super) fn flush(&mut self) -> Result<(), VerifyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some((label, count)) = self.pending.take() else { return Ok(()) };
        let points: Vec<EncodedPoint> = self.inner.recv_elements(label, count.div_ceil(self.max_len) as usize)?;
        let mut left = count;
        for point in points {
            let len = left.min(self.max_len);
            self.messages.push(Message { label, point, start: self.num_scalars - left, len });
            left -= len;
        }
        Ok(())
    }

    /// The messages that are not settled yet, and their points; from here on they are.
    ///
    /// # Errors
    /// If one is not the encoding of a point.
    pub(super) fn take_messages(&mut self) -> Result<Vec<(Message, G1Affine)>, VerifyError> {
        let messages: Vec<Message> = self.messages.get(self.settled..).unwrap_or_default().to_vec();
        self.settled = self.messages.len();
        let points = curve::decode(messages.iter().map(|message| (message.label, message.point)), &mut self.inner)?;
        Ok(messages.into_iter().zip(points).collect())
    }

    fn flush_or_remember(&mut self) {
        if let Err(error) = self.flush() {
            self.failed = Some(error);
        }
    }
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl<C: ClearVerifier> VerifierChannel<Fr> for HidingVerifier<C> {
    type Scalar = Form;

    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        self.flush_or_remember();
        self.inner.absorb_statement(label, bytes);
    }

    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<Form>, VerifyError> {
        let count = u32::try_from(count).map_err(|_| StatementError::Misfit("too many scalars"))?;
        let start = self.num_scalars;
        self.num_scalars =
            start.checked_add(count).ok_or(VerifyError::from(StatementError::Misfit("too many scalars")))?;
        let (first, before) = self.pending.unwrap_or((label, 0));
        self.pending = Some((first, before + count));
        Ok((start..self.num_scalars).map(|k| Form::of(Hidden::Sent(k))).collect())
    }

    fn recv_public(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.flush()?;
        self.inner.recv_public(label, count)
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        self.flush()?;
        self.inner.recv_elements(label, count)
    }

    fn challenge(&mut self, label: Label) -> Fr {
        self.flush_or_remember();
        self.inner.challenge(label)
    }

    fn product(&mut self, a: &Form, b: &Form) -> Result<Form, VerifyError> {
        let number = self.products.len() as u32;
        self.products.push([a.clone(), b.clone()]);
        Ok(Form::of(Hidden::Product(number)))
    }

    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        self.inner.require(holds, error)
    }

    fn require_zero(&mut self, value: Form, check: Check) -> Result<(), VerifyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if value.terms.is_empty() {
            return self.inner.require_zero(value.constant, check);
        }
        self.zeros.push(value);
        Ok(())
    }

    fn finish(mut self) -> Result<(), VerifyError> {
        self.flush()?;
        let settled = self.settled == self.messages.len() && self.zeros.is_empty() && self.products.is_empty();
        self.inner.require(settled, StatementError::Misfit("something hidden was never opened").into())?;
        self.inner.finish()
    }
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl<C: ClearVerifier> OpeningVerifier for HidingVerifier<C> {
    fn settle(&mut self, total: Form) -> Result<Settled<G1Affine>, VerifyError> {
        products::verify(self, total)
    }

    fn unmask(
        &mut self,
        generators: &Generators,
        commitment: Combination,
        value: Form,
    ) -> Result<(Combination, Fr), VerifyError> {
        self.flush()?;
        mask::verify(self, generators, commitment, &value)
    }
}

/// As many neutral elements, for a walk in which points play no role.
///
/// # Errors
/// If elements of this kind have another encoding than points.
pub(crate) fn identities<E: CanonicalDeserialize>(label: Label, count: usize) -> Result<Vec<E>, VerifyError> {
    let mut identity = [0u8; 32];
    identity[31] = 0x40;
    let read = |_| E::deserialize_with_mode(&identity[..], Compress::Yes, Validate::No);
    (0..count).map(read).collect::<Result<_, _>>().map_err(|_| VerifyError::Malformed(label))
}

/// The challenges and public scalars of a proof that is being made: with them, its prover walks through the
/// verifier's code and learns what equations it has to satisfy. Points play no role in them.
#[derive(Debug, Default)]
pub struct Replay {
    pub(super) challenges: VecDeque<Fr>,
    pub(super) public: VecDeque<Fr>,
}

impl VerifierChannel<Fr> for Replay {
    type Scalar = Fr;

    fn absorb_statement(&mut self, _: Label, _: &[u8]) {}

    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        (0..count).map(|_| self.public.pop_front().ok_or(VerifyError::Truncated(label))).collect()
    }

    fn recv_public(&mut self, label: Label, count: usize) -> Result<Vec<Fr>, VerifyError> {
        self.recv(label, count)
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        identities(label, count)
    }

    fn challenge(&mut self, _: Label) -> Fr {
        self.challenges.pop_front().unwrap_or(Fr::ZERO)
    }

    fn product(&mut self, a: &Fr, b: &Fr) -> Result<Fr, VerifyError> {
        Ok(*a * b)
    }

    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        if holds { Ok(()) } else { Err(error) }
    }

    // A liar's equations may be false; that is for the verifier to find out.
    fn require_zero(&mut self, _: Fr, _: Check) -> Result<(), VerifyError> {
        Ok(())
    }

    fn finish(self) -> Result<(), VerifyError> {
        Ok(())
    }
}

impl ClearVerifier for Replay {}
