//! Hyrax: Pedersen commitments to rows, and one opening for all claims.
//!
//! ```text
//! Commit     C_r = Σ_j M[r, j]·G_j for every row r; the G_j are hashed to the curve
//! Claims     Σ_r Σ_j L_i(r)·e_i(j)·M_i[r, j] = v_i                       i < k
//! Merge      draw δ; claims with the same column weights form a group g:
//!              F_g(j) = Σ_{i ∈ g} δⁱ Σ_r L_i(r)·M_i[r, j]                 one value a group,
//!              V_g = Σ_{i ∈ g} δⁱ·v_i = Σ_j e_g(j)·F_g(j)                 whatever the tables
//! Sum-check  draw γ; Σ_g γ^g·V_g = Σ_{j ∈ {0,1}^w} Σ_g γ^g·e_g(j)·F_g(j)  w rounds, degree 2, to σ
//! Columns    the prover sends φ_g = F̃_g(σ); last claim = Σ_g γ^g·ẽ_g(σ)·φ_g
//! Combine    draw ε; H = Σ_g ε^g·F_g is committed in Σ_g ε^g Σ_{i ∈ g} δⁱ Σ_r L_i(r)·C_{i,r}
//! Open       inner-product argument for ⟨eq(σ, ·), H⟩ = Σ_g ε^g·φ_g
//! ```
//!
//! No sum-check runs over the data: the prover folds each table's rows once a group (small integers
//! times field elements), and everything after that has the size of one row. Rows of narrower
//! commitments are extended by zeros to the widest one. The verifier adds up the weights of each row
//! first, so its one multi-scalar multiplication has a term a row.
//!
//! Everything up to `φ` is affine in received scalars, hence the same code for hidden ones; only the
//! inner-product argument needs its claimed value in the clear.
//!
//! # Soundness
//! `(k − 1)/|F|` for δ, `(g − 1)/|F|` each for γ and ε, `2w/|F|` for the rounds, and that of the
//! [inner-product argument](super::inner_product), which rests on the discrete logarithm in BN254 G1
//! (about 100 bits). Wahby, Tzialla, shelat, Thaler, Walfish, "Doubly-Efficient zkSNARKs Without
//! Trusted Setup", 2018.

use std::sync::{Arc, OnceLock};

use ark_bn254::{Fr, G1Affine};
use ark_ff::{AdditiveGroup, PrimeField, Zero};
use ark_serialize::CanonicalSerialize;
use sha2::{Digest, Sha256};

use super::combination::Combination;
use super::generators::Generators;
use super::groups::{Group, add_scaled, fold_groups, group_claims, powers};
use super::inner_product::{self, Bases};
use super::layout::Layout;
use super::msm::{Multiples, commit_rows};
use super::{ColumnWeights, MultilinearPcs, OpeningClaim};
use crate::gkr::program::MAX_WIDTH_VARS;
use crate::sumcheck::batch::{self, Instance};
use crate::sumcheck::channel::{ProverChannel, VerifierChannel};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::{Check, StatementError, VerifyError};
use crate::sumcheck::int::IntTable;
use crate::sumcheck::kernels::Product;
use crate::sumcheck::par;
use crate::sumcheck::transcript::Label;

/// Scalars that the inner-product argument sends at the end, at most, unless a key says otherwise.
const END: usize = 256;

/// Rounds of the inner-product argument unless a key says otherwise: more, if [`END`] demands it.
const LEAST_ROUNDS: usize = 3;

/// Rounds of the inner-product argument over rows of `2^width_vars` entries, unless a key says otherwise.
#[must_use]
pub fn default_rounds(width_vars: usize) -> usize {
    width_vars.saturating_sub(END.ilog2() as usize).max(LEAST_ROUNDS)
}

/// Widths of rows that there can be.
const WIDTHS: usize = MAX_WIDTH_VARS + 1;

/// What both sides know: generators for the longest rows, and how many rounds to play.
///
/// Generators are computed for the widths that are asked for, once; clones share them.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    max_width_vars: usize,
    rounds: Option<usize>,
    generators: Arc<[OnceLock<Generators>; WIDTHS]>,
}

impl VerifierKey {
    /// A key for rows of at most `2^max_width_vars` entries.
    ///
    /// # Panics
    /// If that is more than [`MAX_WIDTH_VARS`].
    #[must_use]
    pub fn new(max_width_vars: usize) -> Self {
        assert!(max_width_vars <= MAX_WIDTH_VARS, "rows of at most 2^{MAX_WIDTH_VARS} entries");
        Self { max_width_vars, rounds: None, generators: Arc::default() }
    }

    /// A key whose inner-product argument plays `rounds` rounds; prover and verifier must agree.
    #[must_use]
    pub fn with_rounds(max_width_vars: usize, rounds: usize) -> Self {
        Self { rounds: Some(rounds), ..Self::new(max_width_vars) }
    }

    /// The generators of rows of `2^width_vars` entries.
    ///
    /// # Panics
    /// If the key is for narrower rows.
    #[must_use]
    pub fn generators(&self, width_vars: usize) -> &Generators {
        assert!(width_vars <= self.max_width_vars, "the key is for rows of at most 2^{} entries", self.max_width_vars);
        self.generators[width_vars].get_or_init(|| Generators::new(width_vars))
    }

    fn rounds(&self, width_vars: usize) -> usize {
        self.rounds.unwrap_or_else(|| default_rounds(width_vars))
    }
}

/// A verifier key with room for the multiples of its generators (8 KiB each), which the first
/// commitment of a width computes. Clones share them.
#[derive(Clone)]
pub struct ProverKey {
    key: VerifierKey,
    multiples: Arc<[OnceLock<Multiples>; WIDTHS]>,
}

impl ProverKey {
    /// The prover's side of `key`.
    #[must_use]
    pub fn new(key: VerifierKey) -> Self {
        Self { key, multiples: Arc::default() }
    }

    /// The verifier's side.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// The multiples of the generators of rows of `2^width_vars` entries; computes them if nobody has.
    ///
    /// # Panics
    /// If the key is for narrower rows.
    pub fn multiples(&self, width_vars: usize) -> &Multiples {
        let generators = self.key.generators(width_vars);
        self.multiples[width_vars].get_or_init(|| Multiples::new(generators.row()))
    }
}

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

    fn recv<C: VerifierChannel<Fr>>(label: Label, layout: &Layout, channel: &mut C) -> Result<Commitment, VerifyError> {
        let rows = channel.recv_elements(label, layout.num_rows())?;
        Ok(Commitment { width_vars: layout.width_vars(), rows })
    }

    fn open(
        key: &ProverKey,
        committed: &[(&IntTable, &Commitment)],
        claims: &[OpeningClaim<Fr>],
        channel: &mut impl ProverChannel<Fr>,
    ) {
        let (tables, commitments): (Vec<&IntTable>, Vec<&Commitment>) = committed.iter().copied().unzip();
        let width_vars = check_width(&key.key, &commitments).expect("tables were committed with this key");
        let (key, multiples) = (&key.key, key.multiples(width_vars));
        assert!(fit(&commitments, claims), "claims fit their commitments");
        let span = tracing::trace_span!("opening statement").entered();
        channel.absorb_statement(Label::Statement, &statement_digest(key, &commitments, claims));
        let delta = channel.challenge(Label::FoldChallenge);
        let groups = group_claims(claims, delta);
        drop(span);
        let mut folded = tracing::trace_span!("fold rows").in_scope(|| fold_groups(&groups, &tables, &commitments));
        show(channel, &mut folded);
        let (point, values) =
            tracing::trace_span!("column sum-check").in_scope(|| prove_columns(&groups, &folded, width_vars, channel));
        channel.send(Label::FoldedValues, &values);
        let epsilon: Fr = channel.challenge(Label::FoldChallenge);
        let mut vector = vec![Fr::ZERO; 1 << point.len()];
        for (power, fold) in powers(epsilon).zip(&folded) {
            vector.iter_mut().zip(fold).for_each(|(out, &x)| *out += power * x);
        }
        let _span = tracing::trace_span!("inner product").entered();
        let bases = Bases { generators: key.generators(width_vars), multiples };
        inner_product::prove(bases, vector, &point, key.rounds(width_vars), channel);
    }

    #[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    fn verify_opening<C: VerifierChannel<Fr, Scalar = Fr>>(
        key: &VerifierKey,
        commitments: &[&Commitment],
        claims: &[OpeningClaim<Fr>],
        channel: &mut C,
    ) -> Result<(), VerifyError> {
        let reduced = reduce(key, commitments, claims, channel)?;
        let Reduced { commitment, point, value } = reduced;
        let width_vars = point.len();
        inner_product::verify(key.generators(width_vars), commitment, &point, value, key.rounds(width_vars), channel)
    }
}

/// What remains of all claims: the vector under `commitment` has this inner product with `eq(point, ·)`.
#[must_use = "the inner product must still be proved"]
pub struct Reduced<S> {
    /// `Σ` of row commitments.
    pub commitment: Combination,
    /// `σ`.
    pub point: Vec<Fr>,
    /// `Σ_g ε^g·φ_g`.
    pub value: S,
}

/// The verifier up to the inner-product argument, in the clear or over hidden scalars.
///
/// Checks that claims, commitments and key fit, and [`Check::Columns`].
///
/// # Errors
/// If a check fails or the proof cannot be read.
///
/// # Soundness
/// The caller must check what is returned. Commitments must be in the group, and claim values
/// determined by the transcript.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub fn reduce<C: VerifierChannel<Fr>>(
    key: &VerifierKey,
    commitments: &[&Commitment],
    claims: &[OpeningClaim<C::Scalar>],
    channel: &mut C,
) -> Result<Reduced<C::Scalar>, VerifyError> {
    let zero = || C::Scalar::from(Fr::ZERO);
    let width_vars = check_width(key, commitments)?;
    channel.require(fit(commitments, claims), StatementError::Commitment.into())?;
    channel.absorb_statement(Label::Statement, &statement_digest(key, commitments, claims));
    let delta = channel.challenge(Label::FoldChallenge);
    let groups = group_claims(claims, delta);
    let sums: Vec<_> = groups.iter().map(|group| (width_vars, group.value.clone())).collect();
    let columns = batch::verify(channel, 2, &sums)?;

    let values = channel.recv(Label::FoldedValues, groups.len())?;
    let longest = groups.iter().map(|group| group.col_weights.num_stored()).max().unwrap_or(0);
    let eq = eq_prefix(&columns.point, longest);
    let mut expected = zero();
    for ((group, value), gamma) in groups.iter().zip(&values).zip(powers(columns.gamma)) {
        expected = expected + value.clone() * (gamma * group.col_weights.evaluate_with(&columns.point, &eq));
    }
    channel.require_zero(columns.claim - expected, Check::Columns)?;

    let epsilon = channel.challenge(Label::FoldChallenge);
    let mut value = zero();
    let mut weights: Vec<Vec<Fr>> = commitments.iter().map(|c| vec![Fr::ZERO; c.rows.len()]).collect();
    for ((group, phi), power) in groups.iter().zip(values).zip(powers(epsilon)) {
        value = value + phi * power;
        for (index, rows) in &group.rows {
            let weights = weights.get_mut(*index).ok_or_else(|| misfit("a claim on no commitment"))?;
            add_scaled(weights, rows, power);
        }
    }
    let mut commitment = Combination::default();
    for (own, weights) in commitments.iter().zip(weights) {
        for (&row, weight) in own.rows.iter().zip(weights) {
            if !weight.is_zero() {
                commitment.push(row, weight);
            }
        }
    }
    Ok(Reduced { commitment, point: columns.point, value })
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

/// The column sum-check: the point σ and every `F̃_g(σ)`.
fn prove_columns(
    groups: &[Group<'_, Fr>],
    folded: &[Vec<Fr>],
    width_vars: usize,
    channel: &mut impl ProverChannel<Fr>,
) -> (Vec<Fr>, Vec<Fr>) {
    let mut products: Vec<Product<Fr, 2>> = par::map(groups.len(), |g| {
        Product::new(width_vars, [folded[g].clone(), groups[g].col_weights.table(folded[g].len())])
    });
    let mut instances: Vec<&mut dyn Instance<Fr>> = products.iter_mut().map(|p| p as _).collect();
    let sums: Vec<Fr> = groups.iter().map(|group| group.value).collect();
    let (_, point) = batch::prove(channel, 2, &mut instances, &sums);
    let values = products.iter().map(|product| product.values()[0]).collect();
    (point, values)
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

/// Digest of everything that is opened but the values, which came over the channel.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
fn statement_digest<S>(key: &VerifierKey, commitments: &[&Commitment], claims: &[OpeningClaim<S>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let counts = |hash: &mut Sha256, counts: &[usize]| {
        counts.iter().for_each(|&count| hash.update((count as u64).to_le_bytes()));
    };
    let width_vars = commitments.iter().map(|c| c.width_vars).max().unwrap_or(0);
    let mut bytes = Vec::new();
    let mut scalars = |hash: &mut Sha256, scalars: &[Fr]| {
        bytes.clear();
        bytes.extend(scalars.iter().flat_map(|scalar| scalar.into_bigint().0).flat_map(u64::to_le_bytes));
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
        let (kind, columns) = match columns {
            ColumnWeights::Point(point) => (0, point),
            ColumnWeights::Vector(weights) => (1, weights),
        };
        counts(&mut hash, &[kind, columns.len()]);
        scalars(&mut hash, columns);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
