//! What an opening asks of a channel, whether that hides or not.

use std::time::Duration;

use ark_bn254::{Fr, G1Affine};

use super::{Form, HidingVerifier, Replay};
use crate::gkr::pcs::OpeningClaim;
use crate::gkr::pcs::blinding::Blinds;
use crate::gkr::pcs::combination::Combination;
use crate::gkr::pcs::generators::Generators;
use crate::sumcheck::channel::{PlainProver, PlainVerifier, Policy, ProverChannel, Scalar, VerifierChannel};
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::transcript::{Label, Transcript};

/// A row of hidden scalars, with what all equations together weigh its entries by.
#[derive(Clone, Debug)]
pub struct MessageRow<R> {
    /// The row: what the verifier has of it, a commitment, or what the prover has.
    pub row: R,
    /// The weights of its first entries; all others have weight zero.
    pub weights: Vec<Fr>,
}

/// What is left of claims and equations once everything hidden is on one side.
#[derive(Clone, Debug)]
pub struct Settled<R> {
    /// The other side: a public number.
    pub total: Fr,
    /// The hidden side.
    pub rows: Vec<MessageRow<R>>,
}

/// A row that a prover has: its first entries, and its blinding factor.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Entries; those that are missing are zero.
    pub values: Vec<Fr>,
    /// The factor of `H`.
    pub blind: Fr,
}

/// The prover's channel as an opening needs it.
pub trait OpeningProver: ProverChannel<Fr> {
    /// What a claimed value is: a scalar, or a form in hidden ones.
    type Scalar: Scalar<Fr> + Send + Sync;

    /// What hiding has taken so far.
    fn hiding_time(&self) -> Duration {
        Duration::ZERO
    }

    /// Fresh blinding factors for the rows of a commitment; none in the clear.
    fn blinds(&mut self, rows: usize) -> Blinds;

    /// The claims to be opened: the prover's `own`, or what the verifier finds in its walk over forms.
    fn claims(
        &mut self,
        own: impl FnOnce() -> Vec<OpeningClaim<Fr>>,
        replay: impl FnOnce(&mut HidingVerifier<Replay>) -> Result<Vec<OpeningClaim<Form>>, VerifyError>,
    ) -> Vec<OpeningClaim<Self::Scalar>>;

    /// What a claimed value is worth.
    fn value(&self, scalar: &Self::Scalar) -> Fr;

    /// Settles all equations; `total` is the sum of all claims.
    fn settle(&mut self, total: &Self::Scalar) -> Vec<MessageRow<Secret>>;

    /// Replaces the row that is opened at `point` by one that tells nothing but its value there.
    fn mask(&mut self, opened: Secret, point: &[Fr]) -> Vec<Fr>;
}

/// The verifier's channel as an opening needs it.
pub trait OpeningVerifier: VerifierChannel<Fr> {
    /// Settles all equations; `total` is the sum of all claims.
    ///
    /// # Errors
    /// If the proof cannot be read, or an equation without hidden scalars does not hold.
    fn settle(&mut self, total: Self::Scalar) -> Result<Settled<G1Affine>, VerifyError>;

    /// From the commitment to the opened row and its claimed value at `point`, those of the row that is opened
    /// in its place.
    ///
    /// # Errors
    /// If the proof cannot be read or a check fails.
    fn unmask(
        &mut self,
        generators: &Generators,
        commitment: Combination,
        value: Self::Scalar,
    ) -> Result<(Combination, Fr), VerifyError>;
}

/// A prover's channel that hides nothing.
pub trait ClearProver: ProverChannel<Fr> {}

/// A verifier's channel from which nothing is hidden.
pub trait ClearVerifier: VerifierChannel<Fr, Scalar = Fr> {}

impl<C: ClearProver> OpeningProver for C {
    type Scalar = Fr;

    fn blinds(&mut self, _: usize) -> Blinds {
        Blinds::none()
    }

    fn claims(
        &mut self,
        own: impl FnOnce() -> Vec<OpeningClaim<Fr>>,
        _: impl FnOnce(&mut HidingVerifier<Replay>) -> Result<Vec<OpeningClaim<Form>>, VerifyError>,
    ) -> Vec<OpeningClaim<Fr>> {
        own()
    }

    fn value(&self, scalar: &Fr) -> Fr {
        *scalar
    }

    fn settle(&mut self, _: &Fr) -> Vec<MessageRow<Secret>> {
        Vec::new()
    }

    /// The row as it is. Commitments made elsewhere may hide, so the blinding factor is sent.
    fn mask(&mut self, opened: Secret, _: &[Fr]) -> Vec<Fr> {
        self.send_public(Label::Blinding, &[opened.blind]);
        opened.values
    }
}

impl<C: ClearVerifier> OpeningVerifier for C {
    fn settle(&mut self, total: Fr) -> Result<Settled<G1Affine>, VerifyError> {
        Ok(Settled { total, rows: Vec::new() })
    }

    fn unmask(
        &mut self,
        generators: &Generators,
        mut commitment: Combination,
        value: Fr,
    ) -> Result<(Combination, Fr), VerifyError> {
        let [blind] =
            self.recv_public(Label::Blinding, 1)?.try_into().map_err(|_| VerifyError::Truncated(Label::Blinding))?;
        commitment.push(generators.blinding(), -blind);
        Ok((commitment, value))
    }
}

impl<T: Transcript> ClearProver for PlainProver<T> {}

impl<T: Transcript, P: Policy> ClearVerifier for PlainVerifier<'_, T, P> {}
