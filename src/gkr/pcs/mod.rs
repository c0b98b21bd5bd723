//! Polynomial commitments: what is committed, what is opened, and what that proves.
//!
//! A table of small integers, read as a multilinear polynomial, is cut into rows ([`Layout`]) and
//! committed row by row before the first challenge. The rest of the argument ends in
//! [`OpeningClaim`]s, weighted sums over the entries of one commitment,
//!
//! ```text
//! Σ_r Σ_j row_weights[r] · e(j) · M[r, j] = value,
//! ```
//!
//! whose weights are a product of row and column weights: an evaluation at a point, a sum over some
//! rows at a column point, or an inner product with a public vector are all of this form. All claims
//! on all commitments are opened in one batch.
//!
//! The engine uses [`MultilinearPcs`] only; [`hyrax`] implements it over BN254 G1 without a trusted
//! setup. An opening shows the claims about the *committed* matrix, whose padding is the prover's to
//! choose: [`padding_claims`] are the claims that it is zero, and belong into every batch.
//!
//! # Soundness
//! A prover that convinces the verifier knows matrices under the commitments that satisfy every
//! claim, except with the probability stated in [`hyrax`], provided that commitments, weights and
//! values were fixed before the opening began: the opening absorbs commitments and weights itself,
//! and the values are constants or were received over the channel, which absorbed them.

mod affine;
pub mod blinding;
mod combination;
pub(crate) mod curve;
mod fold;
pub mod generators;
mod groups;
pub mod hiding;
pub mod hyrax;
pub mod inner_product;
mod keys;
mod layout;
mod messages;
mod msm;
mod padding;
#[cfg(test)]
mod testing;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

pub use self::blinding::Blinds;
pub use self::combination::Combination;
use self::hiding::{OpeningProver, OpeningVerifier};
pub use self::hyrax::{Commitment, Hyrax, ProverKey, VerifierKey};
pub use self::layout::{Layout, Segment};
pub use self::padding::padding_claims;
use crate::sumcheck::channel::{ProverChannel, VerifierChannel};
use crate::sumcheck::eq::{EqSuffixes, eq_eval, eq_pair_prefix_sum, eq_prefix, eq_table};
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::int::IntTable;
use crate::sumcheck::transcript::Label;
use crate::sumcheck::vectors::{dot, scaled};

/// A commitment scheme for tables of small integers, with batched opening.
pub trait MultilinearPcs {
    /// A commitment to one table.
    type Commitment: Send + Sync;
    /// What the prover needs.
    type ProverKey: Sync;
    /// What the verifier needs.
    type VerifierKey: Sync;

    /// Commits to every table in rows of `2^width_vars` entries, for the width beside it. Nothing is hidden.
    ///
    /// # Panics
    /// If a table is too large or its rows are longer than the key allows.
    fn commit_all(key: &Self::ProverKey, tables: &[(&IntTable, usize)]) -> Vec<Self::Commitment>;

    /// Commits to one table in rows of `2^width_vars` entries. Nothing is hidden.
    ///
    /// # Panics
    /// As [`MultilinearPcs::commit_all`].
    #[must_use]
    fn commit(key: &Self::ProverKey, table: &IntTable, width_vars: usize) -> Self::Commitment {
        let mut commitments = Self::commit_all(key, &[(table, width_vars)]);
        commitments.pop().expect("one commitment a table")
    }

    /// Hides what is under commitments, those that have blinding factors.
    ///
    /// # Panics
    /// If there are others than one a row.
    fn blind_all(key: &Self::ProverKey, commitments: &mut [Self::Commitment], blinds: &[Blinds]);

    /// [`MultilinearPcs::blind_all`] for one commitment.
    ///
    /// # Panics
    /// The same.
    fn blind(key: &Self::ProverKey, commitment: &mut Self::Commitment, blinds: &Blinds) {
        Self::blind_all(key, std::slice::from_mut(commitment), std::slice::from_ref(blinds));
    }

    /// The canonical encoding of a commitment, for absorbing one that is not part of the proof.
    fn encode(commitment: &Self::Commitment) -> Vec<u8>;

    /// The width and the number of rows of a commitment, which a verifier compares with what it expects.
    fn shape(commitment: &Self::Commitment) -> (usize, usize);

    /// Sends a commitment; `label` says whose it is.
    fn send(label: Label, commitment: &Self::Commitment, channel: &mut impl ProverChannel<Fr>);

    /// Receives the commitments to tables of these layouts.
    ///
    /// # Errors
    /// If the proof ends or is not canonical.
    fn recv_all<C: VerifierChannel<Fr>>(
        label: Label,
        layouts: &[Layout],
        channel: &mut C,
    ) -> Result<Vec<Self::Commitment>, VerifyError>;

    /// [`MultilinearPcs::recv_all`] for one commitment.
    ///
    /// # Errors
    /// The same.
    fn recv<C: VerifierChannel<Fr>>(
        label: Label,
        layout: &Layout,
        channel: &mut C,
    ) -> Result<Self::Commitment, VerifyError> {
        let mut commitments = Self::recv_all(label, std::slice::from_ref(layout), channel)?;
        commitments.pop().ok_or(VerifyError::Truncated(label))
    }

    /// Opens all `claims` on the `committed` tables.
    ///
    /// # Panics
    /// If a claim does not fit its commitment.
    fn open<C: OpeningProver>(
        key: &Self::ProverKey,
        committed: &[Committed<'_, Self::Commitment>],
        claims: &[OpeningClaim<C::Scalar>],
        channel: &mut C,
    );

    /// Checks an opening of all `claims` on `commitments`.
    ///
    /// # Errors
    /// If a claim is false or the proof cannot be read; [`StatementError`](crate::sumcheck::error::StatementError) if a claim does not fit
    /// its commitment or the key.
    fn verify_opening<C: OpeningVerifier>(
        key: &Self::VerifierKey,
        commitments: &[&Self::Commitment],
        claims: &[OpeningClaim<C::Scalar>],
        channel: &mut C,
    ) -> Result<(), VerifyError>;
}

/// A table, its commitment, and what hides it.
#[derive(Debug)]
pub struct Committed<'a, C> {
    /// The table.
    pub table: &'a IntTable,
    /// What [`MultilinearPcs::commit`] and [`MultilinearPcs::blind`] made of it.
    pub commitment: &'a C,
    /// The blinding factors.
    pub blinds: &'a Blinds,
}

impl<C> Clone for Committed<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Committed<'_, C> {}

/// The claim that a weighted sum over the entries of a commitment has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a claim must be opened"]
pub struct OpeningClaim<S> {
    /// Which of the commitments.
    pub commitment: usize,
    /// The weight of every committed row.
    pub row_weights: Vec<Fr>,
    /// The weight of every entry of a row.
    pub col_weights: ColumnWeights,
    /// The claimed sum: a field element, or what a verifier received for one.
    pub value: S,
}

/// Weights `e(j)` of the entries of a committed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnWeights {
    /// `eq(point, j)`. Coordinates that are missing at the end are zero.
    Point(Vec<Fr>),
    /// `weights[j >> k]·eq(point, j mod 2^k)` for a point of `k` coordinates: rows of a table that lie one after another in a
    /// committed row. Weights that are missing at the end are zero.
    Blocks {
        /// A point on the entries of a block.
        point: Vec<Fr>,
        /// One a block.
        weights: Vec<Fr>,
    },
    /// `eq(point, j)` where `j mod 2^period_vars ≥ first`, and zero elsewhere: the end of every period. Coordinates
    /// that are missing at the end are zero.
    Tails {
        /// No fewer coordinates than `period_vars`.
        point: Vec<Fr>,
        /// Variables of a period.
        period_vars: usize,
        /// Entries of a period without weight.
        first: usize,
    },
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl ColumnWeights {
    /// Whether these are weights of rows of `2^width_vars` entries.
    #[must_use]
    pub fn fits(&self, width_vars: usize) -> bool {
        match self {
            Self::Point(point) => point.len() <= width_vars,
            Self::Blocks { point, weights } => {
                point.len() <= width_vars && weights.len() <= 1 << (width_vars - point.len())
            }
            Self::Tails { point, period_vars, first } => {
                point.len() <= width_vars && *period_vars <= point.len() && *first <= 1 << period_vars
            }
        }
    }

    /// The first `len` weights.
    #[must_use]
    pub fn table(&self, len: usize) -> Vec<Fr> {
        let mut table = match self {
            Self::Point(point) => eq_prefix(point, len.min(1 << point.len())),
            Self::Blocks { point, weights } => {
                let mut table = outer_product(weights, &eq_table(point));
                table.truncate(len);
                table
            }
            Self::Tails { point, period_vars, first } => {
                let mut table = eq_prefix(point, len.min(1 << point.len()));
                for period in table.chunks_mut(1 << period_vars) {
                    period.iter_mut().take(*first).for_each(|weight| *weight = Fr::ZERO);
                }
                table
            }
        };
        table.resize(len, Fr::ZERO);
        table
    }

    /// The multilinear extension of the weights at the point of `suffixes`, which is no shorter than theirs.
    #[must_use]
    pub fn evaluate(&self, suffixes: &mut EqSuffixes<'_, Fr>) -> Fr {
        let point = suffixes.point();
        let zeros = |high: &[Fr]| high.iter().map(|&r| Fr::ONE - r).product::<Fr>();
        match self {
            Self::Point(own) => {
                let (low, high) = point.split_at(own.len().min(point.len()));
                eq_eval(own, low) * zeros(high)
            }
            Self::Blocks { point: own, weights } => {
                let (low, high) = point.split_at(own.len().min(point.len()));
                // More weights than there are blocks would not fit.
                let blocks = weights.len().min(1 << high.len());
                eq_eval(own, low) * dot(suffixes.get(low.len(), blocks), weights)
            }
            Self::Tails { point: own, period_vars, first } => {
                let (low, high) = point.split_at(own.len().min(point.len()));
                let (within, periods) = own.split_at((*period_vars).min(own.len()));
                let (low, of_periods) = low.split_at(within.len().min(low.len()));
                let tail = eq_eval(within, low) - eq_pair_prefix_sum(within, low, *first);
                eq_eval(periods, of_periods) * tail * zeros(high)
            }
        }
    }
}

/// `outer[i]·inner[j]`, `j` running fastest.
pub(super) fn outer_product(outer: &[Fr], inner: &[Fr]) -> Vec<Fr> {
    if let [factor] = inner {
        return scaled(*factor, outer);
    }
    if inner.len() >= outer.len() {
        return outer.iter().flat_map(|&weight| scaled(weight, inner)).collect();
    }
    // Long vectors have kernels.
    let mut all = vec![Fr::ZERO; outer.len() * inner.len()];
    for (j, &factor) in inner.iter().enumerate() {
        let products = scaled(factor, outer);
        all.iter_mut().skip(j).step_by(inner.len()).zip(products).for_each(|(out, product)| *out = product);
    }
    all
}
