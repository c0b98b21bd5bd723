//! Hyrax: Pedersen commitments to rows, and one opening for all claims.
//!
//! ```text
//! Commit     C_r = Σ_j M[r, j]·G_j + ρ_r·H for every row r; G_j and H are hashed to the curve, ρ_r = 0 hides nothing
//! Claims     Σ_r Σ_j L_i(r)·e_i(j)·M_i[r, j] = v_i                       i < k
//! Merge      draw δ; claims with the same column weights form a group g:
//!              F_g(j) = Σ_{i ∈ g} δⁱ Σ_r L_i(r)·M_i[r, j]                 one vector a group, whatever the tables
//! Settle     what is hidden moves to one side (see hiding): more groups, of one message row each
//! Sum-check  Σ_i δⁱ·v_i = Σ_{j ∈ {0,1}^w} Σ_g e_g(j)·F_g(j)              w rounds, degree 2, to σ
//! Open       last claim = ⟨eq(σ, ·), h⟩ for h = Σ_g ẽ_g(σ)·F_g, committed in P = Σ_g ẽ_g(σ) Σ_{i ∈ g} δⁱ Σ_r L_i(r)·C_{i,r}:
//!            its blinding factor in the clear, or a mask (see hiding); inner-product argument
//! ```
//!
//! No sum-check runs over the data: the prover folds each table's rows once a group (small integers
//! times field elements), and everything after that has the size of one row. Rows of narrower
//! commitments are extended by zeros to the widest one. The weights `ẽ_g(σ)` are public, so the folds need no
//! values of their own: what the sum-check leaves is one claim on one combination of rows. The verifier adds up
//! the weights of each row first, so its one multi-scalar multiplication has a term a row.
//!
//! # Soundness
//! `(k − 1)/|F|` for δ, `2w/|F|` for the rounds, and that of the
//! [inner-product argument](super::inner_product), which rests on the discrete logarithm in BN254 G1
//! (about 100 bits). The rows are bound: for every claim `i`, openings of `P` under enough δ and σ give one of `Σ_r L_i(r)·C_{i,r}`,
//! and a second one would be a logarithm relation, so `F_g` is fixed before σ is drawn. Wahby, Tzialla, shelat, Thaler, Walfish,
//! "Doubly-Efficient zkSNARKs Without Trusted Setup", 2018.

use ark_bn254::{Fr, G1Affine};
use ark_ff::{AdditiveGroup, Field, Zero};
use ark_serialize::CanonicalSerialize;
use blake3::Hasher;
use zeroize::Zeroizing;

use super::blinding::Blinds;
use super::combination::Combination;
use super::curve;
use super::groups::{Group, fold_groups, group_claims};
use super::hiding::{MessageRow, OpeningProver, OpeningVerifier, Secret};
use super::inner_product::{self, Bases};
pub use super::keys::{ProverKey, VerifierKey, default_rounds};
use super::layout::Layout;
use super::messages::MessageSum;
use super::msm::commit_rows;
use super::{ColumnWeights, Committed, MultilinearPcs, OpeningClaim};
use crate::sumcheck::batch::{self, Instance};
use crate::sumcheck::channel::{ProverChannel, Scalar, VerifierChannel};
use crate::sumcheck::eq::EqSuffixes;
use crate::sumcheck::error::{StatementError, VerifyError};
use crate::sumcheck::int::IntTable;
use crate::sumcheck::kernels::Product;
use crate::sumcheck::par;
use crate::sumcheck::transcript::Label;
use crate::sumcheck::vectors::{add_scaled, dot};

/// Degree of the rounds of the column sum-check.
pub(super) const COLUMN_DEGREE: usize = 2;

/// Commitments to the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Number of variables of a row.
    pub width_vars: usize,
    /// One point a row; the identity for a row of zeros.
    pub rows: Vec<G1Affine>,
}

/// Row commitments over BN254 G1.
#[derive(Clone, Copy, Debug)]
pub enum Hyrax {}

impl MultilinearPcs for Hyrax {
    type Commitment = Commitment;
    type ProverKey = ProverKey;
    type VerifierKey = VerifierKey;

    fn commit_all(key: &ProverKey, tables: &[(&IntTable, usize)]) -> Vec<Commitment> {
        let layout = |table: &IntTable, width_vars| Layout::new(table.rows(), table.cols(), width_vars);
        let laid_out: Vec<(&IntTable, Layout)> = tables
            .iter()
            .map(|&(table, width_vars)| (table, layout(table, width_vars).expect("a table in memory can be indexed")))
            .collect();
        // Generators of narrower rows are the first ones of wider rows.
        let widest = tables.iter().map(|&(_, width_vars)| width_vars).max().unwrap_or(0);
        let rows = commit_rows(key.multiples(widest), &laid_out);
        tables.iter().zip(rows).map(|(&(_, width_vars), rows)| Commitment { width_vars, rows }).collect()
    }

    fn blind_all(key: &ProverKey, commitments: &mut [Commitment], blinds: &[Blinds]) {
        assert_eq!(commitments.len(), blinds.len(), "blinding factors for every commitment, or none");
        let hidden = || blinds.iter().enumerate().filter(|(_, blinds)| !blinds.factors().is_empty());
        let factors: Zeroizing<Vec<Fr>> =
            hidden().flat_map(|(_, blinds)| blinds.factors()).copied().collect::<Vec<_>>().into();
        if factors.is_empty() {
            return;
        }
        let mut rows: Vec<G1Affine> = hidden().flat_map(|(i, _)| commitments[i].rows.iter().copied()).collect();
        key.blinder().blind_rows(&mut rows, &factors);
        let mut rows = rows.into_iter();
        for (i, _) in hidden() {
            let len = commitments[i].rows.len();
            commitments[i].rows = rows.by_ref().take(len).collect();
        }
    }

    fn encode(commitment: &Commitment) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(commitment.rows.compressed_size());
        let _ = commitment.rows.serialize_compressed(&mut bytes); // writing to memory does not fail
        bytes
    }

    fn shape(commitment: &Commitment) -> (usize, usize) {
        (commitment.width_vars, commitment.rows.len())
    }

    fn send(label: Label, commitment: &Commitment, channel: &mut impl ProverChannel<Fr>) {
        channel.send_elements(label, &commitment.rows);
    }

    fn recv_all<C: VerifierChannel<Fr>>(
        label: Label,
        layouts: &[Layout],
        channel: &mut C,
    ) -> Result<Vec<Commitment>, VerifyError> {
        let mut encoded = Vec::new();
        for layout in layouts {
            encoded.extend(channel.recv_elements::<curve::EncodedPoint>(label, layout.num_rows())?);
        }
        let mut points = curve::decode(encoded.into_iter().map(|point| (label, point)), channel)?.into_iter();
        let commitment = |layout: &Layout| Commitment {
            width_vars: layout.width_vars(),
            rows: points.by_ref().take(layout.num_rows()).collect(),
        };
        Ok(layouts.iter().map(commitment).collect())
    }

    fn open<C: OpeningProver>(
        key: &ProverKey,
        committed: &[Committed<'_, Commitment>],
        claims: &[OpeningClaim<C::Scalar>],
        channel: &mut C,
    ) {
        let tables: Vec<&IntTable> = committed.iter().map(|c| c.table).collect();
        let commitments: Vec<&Commitment> = committed.iter().map(|c| c.commitment).collect();
        let width_vars = check_width(&key.key, &commitments).expect("tables were committed with this key");
        assert!(fit(&commitments, claims), "claims fit their commitments");
        let span = tracing::trace_span!("opening statement").entered();
        channel.absorb_statement(Label::Statement, &statement_digest(&key.key, &commitments, claims));
        let delta = channel.challenge(Label::FoldChallenge);
        let groups = group_claims(claims, delta);
        drop(span);
        let mut folded = tracing::trace_span!("fold rows").in_scope(|| fold_groups(&groups, &tables, &commitments));
        show(channel, &mut folded);
        let messages = tracing::trace_span!("settle").in_scope(|| channel.settle(&total(&groups)));
        let span = tracing::trace_span!("column sum-check").entered();
        let (point, coefficients) = prove_columns(&groups, &folded, &messages, width_vars, channel);
        let blinds: Vec<&Blinds> = committed.iter().map(|c| c.blinds).collect();
        let opened = combine(&groups, folded, messages, &blinds, &coefficients, 1 << width_vars);
        drop(span);
        let vector = tracing::trace_span!("mask").in_scope(|| channel.mask(opened, &point));
        let _span = tracing::trace_span!("inner product").entered();
        let bases = Bases { generators: key.key.generators(width_vars), multiples: key.multiples(width_vars) };
        inner_product::prove(bases, vector, &point, key.key.rounds(width_vars), channel);
    }

    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    fn verify_opening<C: OpeningVerifier>(
        key: &VerifierKey,
        commitments: &[&Commitment],
        claims: &[OpeningClaim<C::Scalar>],
        channel: &mut C,
    ) -> Result<(), VerifyError> {
        let Reduced { commitment, point, value } = reduce(key, commitments, claims, channel)?;
        let generators = key.generators(point.len());
        let (commitment, value) = channel.unmask(generators, commitment, value)?;
        inner_product::verify(generators, commitment, &point, value, key.rounds(point.len()), channel)
    }
}

/// The sum of all claims.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn total<S: Scalar<Fr>>(groups: &[Group<'_, S>]) -> S {
    groups.iter().fold(S::from(Fr::ZERO), |sum, group| sum + group.value.clone())
}

/// What remains of all claims: the vector under `commitment` has this inner product with `eq(point, ·)`.
#[must_use = "the inner product must still be proved"]
pub struct Reduced<S> {
    /// `P`.
    pub commitment: Combination,
    /// `σ`.
    pub point: Vec<Fr>,
    /// The last claim of the column sum-check.
    pub value: S,
}

/// The verifier up to the opening of one row, in the clear or over hidden scalars.
///
/// Checks that claims, commitments and key fit.
///
/// # Errors
/// If a check fails or the proof cannot be read.
///
/// # Soundness
/// The caller must check what is returned. Commitments must be in the group, and claim values
/// determined by the transcript.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn reduce<C: OpeningVerifier>(
    key: &VerifierKey,
    commitments: &[&Commitment],
    claims: &[OpeningClaim<C::Scalar>],
    channel: &mut C,
) -> Result<Reduced<C::Scalar>, VerifyError> {
    let width_vars = check_width(key, commitments)?;
    channel.require(fit(commitments, claims), StatementError::Commitment.into())?;
    channel.absorb_statement(Label::Statement, &statement_digest(key, commitments, claims));
    let delta = channel.challenge(Label::FoldChallenge);
    let groups = group_claims(claims, delta);
    let settled = channel.settle(total(&groups))?;
    let (point, value) = batch::verify_sum(channel, COLUMN_DEGREE, width_vars, C::Scalar::from(settled.total))?;

    let longest = settled.rows.iter().map(|message| message.weights.len()).max().unwrap_or(0);
    if longest > 1 << width_vars {
        return Err(misfit("a message is longer than a row"));
    }
    let mut suffixes = EqSuffixes::new(&point);
    let mut weights: Vec<Vec<Fr>> = commitments.iter().map(|c| vec![Fr::ZERO; c.rows.len()]).collect();
    for group in &groups {
        let coefficient = group.col_weights.evaluate(&mut suffixes);
        for (index, rows) in &group.rows {
            let weights = weights.get_mut(*index).ok_or_else(|| misfit("a claim on no commitment"))?;
            add_scaled(weights, coefficient, rows);
        }
    }
    let mut commitment = Combination::default();
    let rows = commitments
        .iter()
        .zip(&weights)
        .flat_map(|(own, weights)| own.rows.iter().copied().zip(weights.iter().copied()));
    let eq = suffixes.get(0, longest);
    let messages = settled.rows.iter().map(|message| (message.row, dot(&message.weights, eq)));
    for (row, weight) in rows.chain(messages).filter(|(_, weight)| !weight.is_zero()) {
        commitment.push(row, weight);
    }
    Ok(Reduced { commitment, point, value })
}

/// Lets a cheating prover change folded rows before they are summed.
fn show(channel: &mut impl ProverChannel<Fr>, folded: &mut [Vec<Fr>]) {
    #[cfg(feature = "adversary")]
    for (group, vector) in folded.iter_mut().enumerate() {
        channel.visit(crate::adversary::Site::Folded { group, vector });
    }
    #[cfg(not(feature = "adversary"))]
    let _ = (channel, folded);
}

/// The column sum-check: the point σ, and `ẽ_g(σ)` of every group and message.
fn prove_columns<C: OpeningProver>(
    groups: &[Group<'_, C::Scalar>],
    folded: &[Vec<Fr>],
    messages: &[MessageRow<Secret>],
    width_vars: usize,
    channel: &mut C,
) -> (Vec<Fr>, Vec<Fr>) {
    let mut products: Vec<Product<Fr, 2>> = par::map(groups.len(), |g| {
        Product::new(width_vars, [folded[g].clone(), groups[g].col_weights.table(folded[g].len())])
    });
    let mut of_messages = MessageSum::new(width_vars, messages);
    let mut sums: Vec<Fr> = groups.iter().map(|group| channel.value(&group.value)).collect();
    sums.push(of_messages.sum());
    let ones = vec![Fr::ONE; sums.len()];
    let mut instances: Vec<&mut dyn Instance<Fr>> = products.iter_mut().map(|p| p as _).collect();
    instances.push(&mut of_messages);
    let point = batch::prove_sum(channel, COLUMN_DEGREE, width_vars, &mut instances, &sums, &ones);
    let of_groups = products.iter().map(|product| product.values()[1]);
    (point, of_groups.chain(of_messages.weights()).collect())
}

/// Entries of `h` that one task computes.
const COMBINED: usize = 1 << 7;

/// `h` and its blinding factor.
fn combine<S>(
    groups: &[Group<'_, S>],
    folded: Vec<Vec<Fr>>,
    messages: Vec<MessageRow<Secret>>,
    blinds: &[&Blinds],
    coefficients: &[Fr],
    width: usize,
) -> Secret {
    let mut values = vec![Fr::ZERO; width];
    let vectors = || folded.iter().chain(messages.iter().map(|message| &message.row.values)).zip(coefficients);
    par::for_chunks_mut(&mut values, COMBINED, |chunk, values| {
        for (vector, &coefficient) in vectors() {
            add_scaled(values, coefficient, vector.get(chunk * COMBINED..).unwrap_or_default());
        }
    });
    let (of_groups, of_messages) = coefficients.split_at(groups.len());
    let of_rows = groups.iter().zip(of_groups).flat_map(|(group, coefficient)| {
        group.rows.iter().map(move |(index, rows)| blinds[*index].weigh(rows) * coefficient)
    });
    let of_messages = messages.iter().zip(of_messages).map(|(message, coefficient)| message.row.blind * coefficient);
    let blind = of_rows.chain(of_messages).sum();
    Secret { values, blind }
}

/// Number of variables of the widest commitment, if all fit the key.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn check_width(key: &VerifierKey, commitments: &[&Commitment]) -> Result<usize, VerifyError> {
    let width_vars = commitments.iter().map(|c| c.width_vars).max().unwrap_or(0);
    if width_vars > key.max_width_vars {
        return Err(misfit("a commitment is wider than the key"));
    }
    Ok(width_vars)
}

/// Whether every claim has the shape of its commitment.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn fit<S>(commitments: &[&Commitment], claims: &[OpeningClaim<S>]) -> bool {
    claims.iter().all(|claim| {
        commitments.get(claim.commitment).is_some_and(|commitment| {
            claim.row_weights.len() == commitment.rows.len() && claim.col_weights.fits(commitment.width_vars)
        })
    })
}

fn misfit(message: &'static str) -> VerifyError {
    StatementError::Misfit(message).into()
}

/// Digest of everything that is opened but the values, which came over the channel. Column weights are megabytes, which
/// SHA-256 would take a tenth of a verification for.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn statement_digest<S>(key: &VerifierKey, commitments: &[&Commitment], claims: &[OpeningClaim<S>]) -> [u8; 32] {
    let mut hash = Hasher::new();
    let counts = |hash: &mut Hasher, counts: &[usize]| {
        for &count in counts {
            hash.update(&(count as u64).to_le_bytes());
        }
    };
    let width_vars = commitments.iter().map(|c| c.width_vars).max().unwrap_or(0);
    let mut bytes: Vec<u8> = Vec::new();
    let mut scalars = |hash: &mut Hasher, scalars: &[Fr]| {
        // Montgomery's form is as unique as the integer is, and at hand.
        bytes.resize(32 * scalars.len(), 0);
        for (bytes, limb) in bytes.chunks_exact_mut(8).zip(scalars.iter().flat_map(|scalar| &scalar.0.0)) {
            bytes.copy_from_slice(&limb.to_le_bytes());
        }
        hash.update(&bytes);
    };
    counts(&mut hash, &[key.rounds(width_vars), commitments.len(), claims.len()]);
    for commitment in commitments {
        counts(&mut hash, &[commitment.width_vars, commitment.rows.len()]);
        let mut bytes = Vec::with_capacity(32 * commitment.rows.len());
        for row in &commitment.rows {
            // Writing to memory does not fail.
            let _ = row.serialize_compressed(&mut bytes);
        }
        hash.update(&bytes);
    }
    // Claims share column weights: each distinct ones are hashed once.
    let mut distinct: Vec<&ColumnWeights> = Vec::new();
    for claim in claims {
        let place = distinct.iter().position(|columns| **columns == claim.col_weights).unwrap_or_else(|| {
            distinct.push(&claim.col_weights);
            distinct.len() - 1
        });
        counts(&mut hash, &[claim.commitment, place, claim.row_weights.len()]);
        scalars(&mut hash, &claim.row_weights);
    }
    for columns in distinct {
        let (kind, point, weights): (_, _, &[Fr]) = match columns {
            ColumnWeights::Point(point) => ([0, 0, 0], point, &[]),
            ColumnWeights::Blocks { point, weights } => ([1, weights.len(), 0], point, weights),
            ColumnWeights::Tails { point, period_vars, first } => ([2, *period_vars, *first], point, &[]),
        };
        counts(&mut hash, &kind);
        counts(&mut hash, &[point.len()]);
        scalars(&mut hash, point);
        scalars(&mut hash, weights);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
