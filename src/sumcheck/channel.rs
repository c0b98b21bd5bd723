//! Channels: sending is absorbing.
//!
//! A prover message reaches the proof only through a [`ProverChannel`], which absorbs its canonical
//! encoding into the transcript before it is written; the verifier reads through the mirror
//! [`VerifierChannel`], which absorbs the re-encoding of what it decoded. A forgotten absorb cannot
//! be written down.
//!
//! Verifier code is generic over [`VerifierChannel::Scalar`], the scalars it receives. In the clear
//! they are field elements. A hiding channel makes them affine expressions in committed messages:
//! everything a verifier does with them is linear, except [`VerifierChannel::product`], which then
//! becomes an equation to prove.

use std::ops::{Add, Mul, Sub};

use ark_ff::{PrimeField, Zero};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize, Compress, SerializationError, Validate};

use super::error::{Check, VerifyError};
use super::transcript::{Label, SecretTranscript, Transcript};

/// What a verifier can do with a received scalar: affine arithmetic over the field.
pub trait Scalar<F>: Clone + From<F> + Add<Output = Self> + Sub<Output = Self> + Mul<F, Output = Self> {}

impl<F, S> Scalar<F> for S where S: Clone + From<F> + Add<Output = Self> + Sub<Output = Self> + Mul<F, Output = Self> {}

/// The prover's end.
pub trait ProverChannel<F: PrimeField>: Send {
    /// Absorbs public data that both sides know; it is not part of the proof.
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]);
    /// Sends scalars. A hiding channel sends a commitment to them.
    fn send(&mut self, label: Label, scalars: &[F]);
    /// Sends scalars that no channel hides: they must tell nothing about the witness.
    fn send_public(&mut self, label: Label, scalars: &[F]) {
        self.send(label, scalars);
    }
    /// Sends other elements (points of a group) of fixed encoded size.
    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]);
    /// Draws a challenge that depends on everything sent so far.
    fn challenge(&mut self, label: Label) -> F;
    /// The product of two sent scalars; the mirror of [`VerifierChannel::product`].
    fn product(&mut self, a: F, b: F) -> F;

    /// Shows what the prover is about to use to a cheating one.
    #[cfg(feature = "adversary")]
    fn visit(&mut self, site: crate::adversary::Site<'_, F>) {
        let _ = site;
    }

    /// Whether there is a cheating prover, who wants to see also what an honest one has no need to write down.
    #[cfg(feature = "adversary")]
    fn is_watched(&self) -> bool {
        false
    }

    /// Sends the inverse of a sent scalar, showing that it is not zero.
    ///
    /// # Panics
    /// If `value` is zero: an honest prover's never is, but for a probability of about 2^-230.
    fn send_inverse(&mut self, value: F) {
        let inverse = value.inverse().expect("a random linear form of the leaves is not zero");
        self.send(Label::Inverse, &[inverse]);
        self.product(value, inverse);
    }
}

/// A prover's end that secret randomness can be bound to.
pub trait SecretChannel<F: PrimeField>: ProverChannel<F> {
    /// Fills `out` with secret uniform elements, which depend on everything sent so far, on `seed` and on
    /// `number`: the same for the same three, unrelated otherwise.
    fn secrets(&self, seed: &[u8; 32], number: u64, out: &mut [F]);
}

/// The verifier's end.
pub trait VerifierChannel<F: PrimeField>: Send {
    /// A received scalar.
    type Scalar: Scalar<F>;

    /// Absorbs public data that both sides know; it is not part of the proof.
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]);
    /// Receives `count` scalars. `count` comes from the program, never from the proof.
    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<Self::Scalar>, VerifyError>;
    /// Receives `count` scalars that no channel hides; the mirror of [`ProverChannel::send_public`].
    fn recv_public(&mut self, label: Label, count: usize) -> Result<Vec<F>, VerifyError>;
    /// Receives `count` other elements, validated and canonical.
    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError>;
    /// Draws a challenge that depends on everything received so far.
    fn challenge(&mut self, label: Label) -> F;
    /// The product of two received scalars.
    fn product(&mut self, a: &Self::Scalar, b: &Self::Scalar) -> Result<Self::Scalar, VerifyError>;
    /// Refuses the proof with `error` unless `holds`.
    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError>;
    /// Refuses the proof unless `value` is zero.
    fn require_zero(&mut self, value: Self::Scalar, check: Check) -> Result<(), VerifyError>;
    /// Ends the proof: no byte may be unread.
    fn finish(self) -> Result<(), VerifyError>;

    /// Refuses the proof unless `value` is the identity of its group.
    fn require_identity<G: Zero + CanonicalSerialize>(
        &mut self,
        value: impl FnOnce() -> G,
        check: Check,
    ) -> Result<(), VerifyError> {
        self.require(value().is_zero(), VerifyError::Check(check))
    }

    /// Receives exactly `N` scalars.
    fn recv_array<const N: usize>(&mut self, label: Label) -> Result<[Self::Scalar; N], VerifyError> {
        self.recv(label, N)?.try_into().map_err(|_| VerifyError::Truncated(label))
    }

    /// Refuses the proof unless `a · b = c`.
    fn require_product(
        &mut self,
        a: &Self::Scalar,
        b: &Self::Scalar,
        c: Self::Scalar,
        check: Check,
    ) -> Result<(), VerifyError> {
        let product = self.product(a, b)?;
        self.require_zero(product - c, check)
    }

    /// Refuses the proof unless `value` has the inverse that is received now.
    fn require_nonzero(&mut self, value: &Self::Scalar, check: Check) -> Result<(), VerifyError> {
        let [inverse] = self.recv_array::<1>(Label::Inverse)?;
        self.require_product(value, &inverse, Self::Scalar::from(F::ONE), check)
    }
}

fn encode<E: CanonicalSerialize>(elements: &[E]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(elements.iter().map(CanonicalSerialize::compressed_size).sum());
    for element in elements {
        element.serialize_compressed(&mut bytes).expect("writing to memory does not fail");
    }
    bytes
}

/// A prover channel that sends every scalar as it is.
pub struct PlainProver<T> {
    transcript: T,
    proof: Vec<u8>,
}

impl<T: Transcript> PlainProver<T> {
    /// Starts an empty proof.
    pub fn new(transcript: T) -> Self {
        Self { transcript, proof: Vec::new() }
    }

    /// The proof: all that was sent, in order.
    #[must_use]
    pub fn into_proof(self) -> Vec<u8> {
        self.proof
    }
}

impl<F: PrimeField, T: Transcript> ProverChannel<F> for PlainProver<T> {
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        self.transcript.absorb(label, bytes);
    }

    fn send(&mut self, label: Label, scalars: &[F]) {
        self.send_bytes(label, &encode(scalars));
    }

    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        self.send_bytes(label, &encode(elements));
    }

    fn challenge(&mut self, label: Label) -> F {
        self.transcript.challenge(label)
    }

    fn product(&mut self, a: F, b: F) -> F {
        a * b
    }
}

impl<F: PrimeField, T: SecretTranscript> SecretChannel<F> for PlainProver<T> {
    fn secrets(&self, seed: &[u8; 32], number: u64, out: &mut [F]) {
        self.transcript.secrets(seed, number, out);
    }
}

impl<T: Transcript> PlainProver<T> {
    fn send_bytes(&mut self, label: Label, bytes: &[u8]) {
        self.transcript.absorb(label, bytes);
        self.proof.extend_from_slice(bytes);
    }
}

/// What becomes of a check that fails. Every refusal of a [`PlainVerifier`] is its policy's.
///
/// [`Strict`] is the only policy of a default build. The trait is sealed.
pub trait Policy: sealed::Sealed + Send {
    /// Passes if `holds`; otherwise refuses with `error`.
    fn judge(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError>;
    /// Refuses with `error`, in place of an element that cannot be read.
    fn instead<E: CanonicalDeserialize>(&mut self, error: VerifyError) -> Result<E, VerifyError>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Strict {}
}

/// A failed check refuses the proof.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strict;

impl Policy for Strict {
    fn judge(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        if holds { Ok(()) } else { Err(error) }
    }

    fn instead<E: CanonicalDeserialize>(&mut self, error: VerifyError) -> Result<E, VerifyError> {
        Err(error)
    }
}

/// A verifier channel over a proof in the clear.
pub struct PlainVerifier<'a, T, P = Strict> {
    transcript: T,
    unread: &'a [u8],
    policy: P,
}

impl<'a, T> PlainVerifier<'a, T> {
    /// Starts reading `proof`.
    pub fn new(transcript: T, proof: &'a [u8]) -> Self {
        Self::with_policy(transcript, proof, Strict)
    }
}

impl<'a, T, P> PlainVerifier<'a, T, P> {
    pub(crate) fn with_policy(transcript: T, proof: &'a [u8], policy: P) -> Self {
        Self { transcript, unread: proof, policy }
    }
}

impl<T: Transcript, P: Policy> PlainVerifier<'_, T, P> {
    fn decode<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        let mut elements = Vec::with_capacity(count.min(self.unread.len()));
        for _ in 0..count {
            elements.push(self.decode_one(label)?);
        }
        self.transcript.absorb(label, &encode(&elements));
        Ok(elements)
    }

    fn decode_one<E: CanonicalSerialize + CanonicalDeserialize>(&mut self, label: Label) -> Result<E, VerifyError> {
        let start = self.unread;
        match E::deserialize_with_mode(&mut self.unread, Compress::Yes, Validate::Yes) {
            Ok(element) => {
                // Some encodings of a point are read as it, but are not what it is written as.
                let canonical = encode(std::slice::from_ref(&element));
                let read = start.get(..start.len() - self.unread.len());
                self.policy.judge(read == Some(&canonical), VerifyError::NotCanonical(label))?;
                Ok(element)
            }
            Err(error) => {
                let ended = matches!(error, SerializationError::IoError(_));
                let error = if ended { VerifyError::Truncated(label) } else { VerifyError::Malformed(label) };
                let element = self.policy.instead::<E>(error)?;
                self.unread = start.get(element.compressed_size()..).unwrap_or_default();
                Ok(element)
            }
        }
    }
}

impl<F: PrimeField, T: Transcript, P: Policy> VerifierChannel<F> for PlainVerifier<'_, T, P> {
    type Scalar = F;

    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        self.transcript.absorb(label, bytes);
    }

    fn recv(&mut self, label: Label, count: usize) -> Result<Vec<F>, VerifyError> {
        self.decode(label, count)
    }

    fn recv_public(&mut self, label: Label, count: usize) -> Result<Vec<F>, VerifyError> {
        self.decode(label, count)
    }

    fn recv_elements<E: CanonicalSerialize + CanonicalDeserialize>(
        &mut self,
        label: Label,
        count: usize,
    ) -> Result<Vec<E>, VerifyError> {
        self.decode(label, count)
    }

    fn challenge(&mut self, label: Label) -> F {
        self.transcript.challenge(label)
    }

    fn product(&mut self, a: &F, b: &F) -> Result<F, VerifyError> {
        Ok(*a * b)
    }

    fn require(&mut self, holds: bool, error: VerifyError) -> Result<(), VerifyError> {
        self.policy.judge(holds, error)
    }

    fn require_zero(&mut self, value: F, check: Check) -> Result<(), VerifyError> {
        self.policy.judge(value.is_zero(), VerifyError::Check(check))
    }

    fn finish(mut self) -> Result<(), VerifyError> {
        let left = self.unread.len();
        self.policy.judge(left == 0, VerifyError::TrailingBytes(left))
    }
}
