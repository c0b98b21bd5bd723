//! The verifiers of the parts of the argument, each alone, and the two ends of a channel.

use std::sync::OnceLock;

use ark_bn254::G1Affine;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::Field;
use ark_serialize::CanonicalSerialize;
use voxcheck::gkr::Fr;
use voxcheck::gkr::fraction;
use voxcheck::gkr::pcs::{
    Blinds, ColumnWeights, Commitment, Committed, Hyrax, MultilinearPcs, OpeningClaim, ProverKey, VerifierKey,
};
use voxcheck::gkr::tree::{Layer, Numerators};
use voxcheck::sumcheck::batch;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, ProverChannel, VerifierChannel};
use voxcheck::sumcheck::eq::eq_prefix;
use voxcheck::sumcheck::error::VerifyError;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::kernels::Product;
use voxcheck::sumcheck::transcript::{Label, Merlin};

use super::source::Source;

const NAME: &[u8] = b"fuzz";

fn field(x: usize) -> Fr {
    Fr::from(x as u64)
}

/// The extension of a table at a point.
fn extension(table: &[Fr], point: &[Fr]) -> Fr {
    eq_prefix(point, table.len()).iter().zip(table).map(|(&eq, &x)| eq * x).sum()
}

/// Accepted only if it is the honest proof.
fn check(accepted: bool, bytes: &[u8], honest: &[u8]) {
    assert_eq!(accepted, bytes == honest, "an honest proof is refused, or another one accepted");
}

/// Factors of two sums, of 3 and of 5 variables.
fn factors() -> [[Vec<Fr>; 2]; 2] {
    let table = |len: usize, seed: usize| (0..len).map(|i| field(i * i * seed + seed)).collect();
    [[table(8, 3), table(8, 5)], [table(27, 7), table(27, 11)]]
}

fn sumcheck_proof() -> &'static Vec<u8> {
    static PROOF: OnceLock<Vec<u8>> = OnceLock::new();
    PROOF.get_or_init(|| {
        let [a, b] = factors();
        let mut channel = PlainProver::new(Merlin::new(NAME));
        let (mut a, mut b) = (Product::new(3, a), Product::new(5, b));
        let claims = [a.sum(), b.sum()];
        batch::prove(&mut channel, 2, &mut [&mut a, &mut b], &claims);
        channel.into_proof()
    })
}

/// Two sum-checks in one batch.
pub fn sumcheck(bytes: &[u8]) {
    let factors = factors();
    let sum = |[a, b]: &[Vec<Fr>; 2]| -> Fr { a.iter().zip(b).map(|(x, y)| *x * y).sum() };
    let claims = [(3, sum(&factors[0])), (5, sum(&factors[1]))];
    let mut channel = PlainVerifier::new(Merlin::new(NAME), bytes);
    let Ok(reduced) = batch::verify::<Fr, _>(&mut channel, 2, &claims) else { return };
    let at = |k: usize, vars: usize| -> Fr {
        factors[k].iter().map(|table| extension(table, batch::suffix(&reduced.point, vars))).product()
    };
    let accepted = reduced.claim == at(0, 3) + reduced.gamma * at(1, 5);
    check(accepted && VerifierChannel::<Fr>::finish(channel).is_ok(), bytes, sumcheck_proof());
}

pub fn sumcheck_seeds() -> Vec<Vec<u8>> {
    vec![sumcheck_proof().clone()]
}

/// Leaves whose fractions sum to zero: table entries first.
fn leaves() -> (Vec<Fr>, Vec<Fr>) {
    let denominators: Vec<Fr> = (0..21).map(|i| field(i * i + 100)).collect();
    let mut numerators: Vec<Fr> = (0..5).map(|i| field(i * 3 + 1)).collect();
    let numerator = |i: usize| numerators.get(i).copied().unwrap_or(Fr::ONE);
    let rest: Fr = (1..21).map(|i| numerator(i) * denominators[i].inverse().unwrap_or_default()).sum();
    numerators[0] = -rest * denominators[0];
    (numerators, denominators)
}

fn lookup_proof() -> &'static Vec<u8> {
    static PROOF: OnceLock<Vec<u8>> = OnceLock::new();
    PROOF.get_or_init(|| {
        let (numerators, denominators) = leaves();
        let layer = Layer::new(Numerators::new(numerators, denominators.len()), denominators);
        let mut channel = PlainProver::new(Merlin::new(NAME));
        fraction::prove(&mut channel, layer, fraction::Recompute::LEAST);
        channel.into_proof()
    })
}

/// A sum of fractions and its leaves.
pub fn lookup(bytes: &[u8]) {
    let (mut numerators, denominators) = leaves();
    numerators.resize(denominators.len(), Fr::ONE);
    let mut channel = PlainVerifier::new(Merlin::new(NAME), bytes);
    let Ok(claim) = fraction::verify::<Fr, _>(&mut channel, fraction::num_vars(denominators.len())) else { return };
    // Leaves that do not exist are 0/1.
    let shifted: Vec<Fr> = denominators.iter().map(|q| *q - Fr::ONE).collect();
    let accepted = claim.numerator == extension(&numerators, &claim.point)
        && claim.denominator == extension(&shifted, &claim.point) + Fr::ONE;
    check(accepted && VerifierChannel::<Fr>::finish(channel).is_ok(), bytes, lookup_proof());
}

pub fn lookup_seeds() -> Vec<Vec<u8>> {
    vec![lookup_proof().clone()]
}

/// Two tables under commitments, with claims of every form.
struct Opening {
    key: ProverKey,
    commitments: Vec<Commitment>,
    claims: Vec<OpeningClaim<Fr>>,
    proof: Vec<u8>,
}

fn opening_case() -> &'static Opening {
    static CASE: OnceLock<Opening> = OnceLock::new();
    CASE.get_or_init(|| {
        let key = ProverKey::new(VerifierKey::with_rounds(4, 2));
        let table = |rows: usize, cols: usize| {
            IntTable::new(rows, cols, IntVec::I16((0..(rows * cols) as i16).map(|i| i * i - 40).collect()))
        };
        let tables = [table(3, 16), table(2, 8)];
        let widths = [4, 3];
        let commitments: Vec<Commitment> =
            tables.iter().zip(widths).map(|(table, width)| Hyrax::commit(&key, table, width)).collect();
        let claim = |commitment: usize, col_weights: ColumnWeights| {
            let (table, width) = (&tables[commitment], 1 << widths[commitment]);
            let row_weights: Vec<Fr> = (0..table.rows()).map(|r| field(r + 3)).collect();
            let columns = col_weights.table(width);
            let entry = |r: usize, c: usize| Fr::from(table.get(r, c)) * row_weights[r] * columns[c];
            let value = (0..table.rows()).flat_map(|r| (0..width).map(move |c| (r, c))).map(|(r, c)| entry(r, c)).sum();
            OpeningClaim { commitment, row_weights, col_weights, value }
        };
        let claims = vec![
            claim(0, ColumnWeights::Point((5..9).map(field).collect())),
            claim(1, ColumnWeights::Point((5..8).map(field).collect())),
            claim(0, ColumnWeights::Blocks { point: vec![field(4)], weights: (0..5).map(field).collect() }),
            claim(1, ColumnWeights::Tails { point: (5..8).map(field).collect(), period_vars: 2, first: 3 }),
        ];
        let blinds = Blinds::none();
        let committed = |(table, commitment)| Committed { table, commitment, blinds: &blinds };
        let committed: Vec<Committed<'_, Commitment>> = tables.iter().zip(&commitments).map(committed).collect();
        let mut channel = PlainProver::new(Merlin::new(NAME));
        Hyrax::open(&key, &committed, &claims, &mut channel);
        let proof = channel.into_proof();
        Opening { key, commitments, claims, proof }
    })
}

/// An opening of three claims on two commitments.
pub fn opening(bytes: &[u8]) {
    let Opening { key, commitments, claims, proof } = opening_case();
    let commitments: Vec<&Commitment> = commitments.iter().collect();
    let mut channel = PlainVerifier::new(Merlin::new(NAME), bytes);
    let answer = Hyrax::verify_opening(key.verifier_key(), &commitments, claims, &mut channel);
    check(answer.is_ok() && VerifierChannel::<Fr>::finish(channel).is_ok(), bytes, proof);
}

pub fn opening_seeds() -> Vec<Vec<u8>> {
    vec![opening_case().proof.clone()]
}

/// One operation of a protocol.
enum Operation {
    Statement(Label, Vec<u8>),
    Scalars(Label, Vec<Fr>),
    Points(Label, Vec<G1Affine>),
    Draw(Label),
}

fn operations(bytes: &[u8]) -> Vec<Operation> {
    let mut source = Source::new(bytes);
    let mut operations = Vec::new();
    while !source.is_empty() && operations.len() < 40 {
        let label = Label::ALL[usize::from(source.byte()) % Label::ALL.len()];
        let kind = source.byte();
        let count = source.within(0..=5);
        operations.push(match kind % 4 {
            0 => Operation::Statement(label, (0..count * 7).map(|_| source.byte()).collect()),
            1 => Operation::Scalars(label, (0..count).map(|_| Fr::from(source.word()) - Fr::from(1 << 20)).collect()),
            2 => {
                let multiple = |_| (G1Affine::generator() * Fr::from(u64::from(source.byte()))).into_affine();
                Operation::Points(label, (0..count).map(multiple).collect())
            }
            _ => Operation::Draw(label),
        });
    }
    operations
}

/// What the verifier's end draws, if it can read everything.
fn replay(operations: &[Operation], proof: &[u8]) -> Result<Vec<Fr>, VerifyError> {
    let mut channel = PlainVerifier::new(Merlin::new(NAME), proof);
    let mut drawn = Vec::new();
    for operation in operations {
        match operation {
            Operation::Statement(label, bytes) => {
                VerifierChannel::<Fr>::absorb_statement(&mut channel, *label, bytes);
            }
            Operation::Scalars(label, values) => {
                let _: Vec<Fr> = VerifierChannel::<Fr>::recv(&mut channel, *label, values.len())?;
            }
            Operation::Points(label, points) => {
                let _: Vec<G1Affine> = VerifierChannel::<Fr>::recv_elements(&mut channel, *label, points.len())?;
            }
            Operation::Draw(label) => drawn.push(VerifierChannel::<Fr>::challenge(&mut channel, *label)),
        }
    }
    drawn.push(VerifierChannel::<Fr>::challenge(&mut channel, Label::UserChallenge));
    VerifierChannel::<Fr>::finish(channel)?;
    Ok(drawn)
}

/// Both ends of a channel, given the same operations, draw the same challenges; after a change of the
/// proof they draw others from there on.
pub fn lockstep(bytes: &[u8]) {
    let operations = operations(bytes);
    let mut channel = PlainProver::new(Merlin::new(NAME));
    let (mut drawn, mut before) = (Vec::new(), Vec::new());
    let mut sent = 0;
    for operation in &operations {
        match operation {
            Operation::Statement(label, bytes) => {
                ProverChannel::<Fr>::absorb_statement(&mut channel, *label, bytes);
            }
            Operation::Scalars(label, values) => {
                channel.send(*label, values);
                sent += values.compressed_size() - 8;
            }
            Operation::Points(label, points) => {
                ProverChannel::<Fr>::send_elements(&mut channel, *label, points);
                sent += points.compressed_size() - 8;
            }
            Operation::Draw(label) => {
                before.push(sent);
                drawn.push(ProverChannel::<Fr>::challenge(&mut channel, *label));
            }
        }
    }
    drawn.push(ProverChannel::<Fr>::challenge(&mut channel, Label::UserChallenge));
    before.push(sent);
    let proof = channel.into_proof();
    assert_eq!(proof.len(), sent);
    assert_eq!(replay(&operations, &proof).as_ref(), Ok(&drawn), "the ends are out of step");
    if proof.is_empty() {
        return;
    }
    let place = bytes.iter().fold(0usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut changed = proof.clone();
    let at = place % proof.len();
    changed[at] ^= 1 << (place / 7 % 8);
    // A change that can be read changes all challenges after it and none before.
    if let Ok(other) = replay(&operations, &changed) {
        for ((a, b), before) in drawn.iter().zip(&other).zip(before) {
            assert_eq!(a == b, before <= at / 32 * 32, "a challenge does not depend on what was sent before it");
        }
    }
}
