use std::sync::OnceLock;

use ark_ff::{Field, UniformRand};
use ark_poly::{DenseMultilinearExtension, Polynomial};
use ark_std::rand::rngs::StdRng;
use ark_std::rand::{Rng, SeedableRng};
use proptest::prelude::*;

use super::*;
use crate::gkr::pcs::hiding::ClearProver;
use crate::gkr::pcs::padding_claims;
use crate::gkr::pcs::testing::{matrix, random_table, table};
use crate::sumcheck::channel::{PlainProver, PlainVerifier};
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::Check;
use crate::sumcheck::transcript::Merlin;

const WIDTH_VARS: usize = 5;

fn key() -> ProverKey {
    static KEY: OnceLock<ProverKey> = OnceLock::new();
    KEY.get_or_init(|| ProverKey::new(VerifierKey::new(WIDTH_VARS))).clone()
}

fn random_point(rng: &mut StdRng, len: usize) -> Vec<Fr> {
    (0..len).map(|_| Fr::rand(rng)).collect()
}

fn value_of(matrix: &[Vec<i128>], rows: &[Fr], columns: &ColumnWeights) -> Fr {
    let mut sum = Fr::ZERO;
    for (row, weight) in matrix.iter().zip(rows) {
        let columns = columns.table(row.len());
        sum += *weight * row.iter().zip(columns).map(|(&m, e)| e * Fr::from(m)).sum::<Fr>();
    }
    sum
}

/// Random weights of so many blocks of `2^vars` entries.
fn blocks(rng: &mut StdRng, vars: usize, count: usize) -> ColumnWeights {
    ColumnWeights::Blocks { point: random_point(rng, vars), weights: random_point(rng, count) }
}

/// Tables, their commitments and true claims.
#[derive(Clone)]
struct Case {
    tables: Vec<IntTable>,
    commitments: Vec<Commitment>,
    blinds: Vec<Blinds>,
    claims: Vec<OpeningClaim<Fr>>,
}

impl Case {
    /// Shapes are `(rows, cols, log bytes, width_vars)`; some claims of each kind on every table.
    fn new(shapes: &[(usize, usize, usize, usize)], seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut case = Self { tables: Vec::new(), commitments: Vec::new(), blinds: Vec::new(), claims: Vec::new() };
        let shared = random_point(&mut rng, 3);
        let (row_point, col_point) = (random_point(&mut rng, 14), random_point(&mut rng, WIDTH_VARS));
        for (index, &(rows, cols, bytes, width_vars)) in shapes.iter().enumerate() {
            let table = random_table(rows, cols, bytes, seed + index as u64);
            let commitment = Hyrax::commit(&key(), &table, width_vars);
            let layout = Layout::new(rows, cols, width_vars).unwrap();
            let matrix = matrix(&table, &layout);
            let num_rows = matrix.len();
            let mut columns = vec![
                ColumnWeights::Point(random_point(&mut rng, width_vars)),
                blocks(&mut rng, 0, 1 << width_vars),
                blocks(&mut rng, 0, (1 << width_vars) / 2),
                blocks(&mut rng, width_vars / 2, (1 << width_vars.div_ceil(2)) - 1),
                blocks(&mut rng, width_vars, 1),
                ColumnWeights::Tails {
                    point: random_point(&mut rng, width_vars),
                    period_vars: width_vars / 2,
                    first: 1,
                },
                ColumnWeights::Tails { point: random_point(&mut rng, width_vars), period_vars: width_vars, first: 0 },
            ];
            if width_vars >= shared.len() {
                columns.push(ColumnWeights::Point(shared.clone()));
                columns.push(ColumnWeights::Point(shared.clone()));
            }
            for col_weights in columns {
                let mut row_weights = random_point(&mut rng, num_rows);
                if rng.gen_bool(0.5) {
                    let only = rng.gen_range(0..num_rows);
                    row_weights.iter_mut().enumerate().filter(|(r, _)| *r != only).for_each(|(_, w)| *w = Fr::ZERO);
                }
                let value = value_of(&matrix, &row_weights, &col_weights);
                case.claims.push(OpeningClaim { commitment: index, row_weights, col_weights, value });
            }
            case.claims.extend(padding_claims(index, &layout, &row_point, &col_point).unwrap());
            case.tables.push(table);
            case.commitments.push(commitment);
            case.blinds.push(Blinds::none());
        }
        case
    }

    fn small() -> Self {
        Self::new(&[(7, 3, 1, 4), (5, 32, 0, 5), (6, 8, 1, 4)], 9)
    }

    fn committed(&self) -> Vec<Committed<'_, Commitment>> {
        let parts = self.tables.iter().zip(&self.commitments).zip(&self.blinds);
        parts.map(|((table, commitment), blinds)| Committed { table, commitment, blinds }).collect()
    }

    fn open_into(&self, channel: &mut impl OpeningProver<Scalar = Fr>) {
        Hyrax::open(&key(), &self.committed(), &self.claims, channel);
    }

    /// The same tables behind blinding factors.
    fn blinded(mut self) -> Self {
        for (commitment, blinds) in self.commitments.iter_mut().zip(&mut self.blinds) {
            *blinds = Blinds::random(commitment.rows.len()).unwrap();
            Hyrax::blind(&key(), commitment, blinds);
        }
        self
    }

    fn open(&self) -> Vec<u8> {
        let mut channel = PlainProver::new(Merlin::new(b"test"));
        self.open_into(&mut channel);
        channel.into_proof()
    }

    /// The proof of a prover whose scalars pass through `lie`.
    fn open_lying(&self, lie: impl FnMut(Label, &mut Vec<Fr>, &Challenges) + Send) -> Vec<u8> {
        let inner = PlainProver::new(Merlin::new(b"test"));
        let mut channel = Liar { inner, lie, challenges: Challenges::default() };
        self.open_into(&mut channel);
        channel.inner.into_proof()
    }

    fn verify(&self, proof: &[u8]) -> Result<(), VerifyError> {
        let commitments: Vec<&Commitment> = self.commitments.iter().collect();
        let mut channel = PlainVerifier::new(Merlin::new(b"test"), proof);
        Hyrax::verify_opening(key().verifier_key(), &commitments, &self.claims, &mut channel)?;
        VerifierChannel::<Fr>::finish(channel)
    }

    fn assert_refused(&self, proof: &[u8], check: Check) {
        assert_eq!(self.verify(proof), Err(VerifyError::Check(check)));
    }
}

type Challenges = Vec<(Label, Fr)>;

/// A prover channel that changes scalars before they are absorbed and sent.
struct Liar<L> {
    inner: PlainProver<Merlin>,
    lie: L,
    challenges: Challenges,
}

impl<L: FnMut(Label, &mut Vec<Fr>, &Challenges) + Send> ProverChannel<Fr> for Liar<L> {
    fn absorb_statement(&mut self, label: Label, bytes: &[u8]) {
        ProverChannel::<Fr>::absorb_statement(&mut self.inner, label, bytes);
    }

    fn send(&mut self, label: Label, scalars: &[Fr]) {
        let mut scalars = scalars.to_vec();
        (self.lie)(label, &mut scalars, &self.challenges);
        self.inner.send(label, &scalars);
    }

    fn send_elements<E: CanonicalSerialize>(&mut self, label: Label, elements: &[E]) {
        ProverChannel::<Fr>::send_elements(&mut self.inner, label, elements);
    }

    fn challenge(&mut self, label: Label) -> Fr {
        let challenge = self.inner.challenge(label);
        self.challenges.push((label, challenge));
        challenge
    }

    fn product(&mut self, a: Fr, b: Fr) -> Fr {
        self.inner.product(a, b)
    }
}

impl<L: FnMut(Label, &mut Vec<Fr>, &Challenges) + Send> ClearProver for Liar<L> {}

fn shape() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    let sizes = prop::sample::select(vec![1usize, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33, 63, 64, 65]);
    (sizes.clone(), sizes, 0usize..5, 0..=WIDTH_VARS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn true_claims_are_accepted(shapes in prop::collection::vec(shape(), 1..4), seed: u64) {
        let case = Case::new(&shapes, seed >> 1);
        prop_assert_eq!(case.verify(&case.open()), Ok(()));
        let case = case.blinded();
        prop_assert_eq!(case.verify(&case.open()), Ok(()));
    }

    #[test]
    fn a_wrong_value_is_refused(shapes in prop::collection::vec(shape(), 1..3), seed: u64, which: prop::sample::Index) {
        let mut case = Case::new(&shapes, seed >> 1);
        let which = which.index(case.claims.len());
        case.claims[which].value += Fr::ONE;
        prop_assert_eq!(case.verify(&case.open()), Err(VerifyError::Check(Check::InnerProduct)));
    }

    #[test]
    fn a_point_claim_is_an_evaluation(shape in shape(), seed: u64) {
        let (rows, cols, bytes, width_vars) = shape;
        let mut rng = StdRng::seed_from_u64(seed);
        let mut case = Case::new(&[shape], seed >> 1);
        let layout = Layout::new(rows, cols, width_vars).unwrap();
        case.tables = vec![random_table(rows, cols, bytes, seed)];
        case.commitments = vec![Hyrax::commit(&key(), &case.tables[0], width_vars)];

        let mut entries: Vec<Fr> = matrix(&case.tables[0], &layout).concat().into_iter().map(Fr::from).collect();
        let num_vars = width_vars + layout.row_vars();
        entries.resize(1 << num_vars, Fr::ZERO);
        let point = random_point(&mut rng, num_vars);
        let value = DenseMultilinearExtension::from_evaluations_vec(num_vars, entries).evaluate(&point);
        let (columns, row_point) = point.split_at(width_vars);
        case.claims = vec![OpeningClaim {
            commitment: 0,
            row_weights: eq_prefix(row_point, layout.num_rows()),
            col_weights: ColumnWeights::Point(columns.to_vec()),
            value,
        }];
        prop_assert_eq!(case.verify(&case.open()), Ok(()));
    }

    // Garbage at one place of the padding, consistent everywhere else: committed, folded and opened.
    #[test]
    fn garbage_in_the_padding_is_refused(shape in shape(), seed: u64, place: prop::sample::Index, garbage in 1i128..9) {
        let (rows, cols, bytes, width_vars) = shape;
        let mut case = Case::new(&[shape], seed >> 1);
        let layout = Layout::new(rows, cols, width_vars).unwrap();
        let mut dense = matrix(&case.tables[0], &layout).concat();
        let real: Vec<usize> = (0..layout.num_rows())
            .flat_map(|r| layout.segments(r).flat_map(move |s| s.first..s.first + s.len).map(move |j| r << width_vars | j))
            .collect();
        let padding: Vec<usize> = (0..dense.len()).filter(|f| real.binary_search(f).is_err()).collect();
        prop_assume!(!padding.is_empty());
        let place = padding[place.index(padding.len())];
        dense[place] = garbage;
        case.tables = vec![table(layout.num_rows(), layout.width(), bytes, dense)];
        case.commitments = vec![Hyrax::commit(&key(), &case.tables[0], width_vars)];
        let garbled = matrix(&case.tables[0], &Layout::new(layout.num_rows(), layout.width(), width_vars).unwrap());
        let is_padding_claim = |c: &OpeningClaim<Fr>| c.value == Fr::ZERO;
        for claim in case.claims.iter_mut().filter(|c| !is_padding_claim(c)) {
            claim.value = value_of(&garbled, &claim.row_weights, &claim.col_weights);
        }
        prop_assert_eq!(case.verify(&case.open()), Err(VerifyError::Check(Check::InnerProduct)));
        case.claims.retain(|c| !is_padding_claim(c));
        prop_assert_eq!(case.verify(&case.open()), Ok(()), "only the padding claims notice");
    }
}

#[test]
fn no_claims_and_empty_tables_are_fine() {
    let mut case = Case::small();
    case.claims.clear();
    assert_eq!(case.verify(&case.open()), Ok(()));
    case.tables.clear();
    case.commitments.clear();
    case.blinds.clear();
    assert_eq!(case.verify(&case.open()), Ok(()));
}

#[test]
fn any_number_of_rounds_of_the_inner_product_argument_will_do() {
    let case = Case::new(&[(9, 3, 1, 3), (3, 5, 0, 2)], 4);
    let mut sizes = Vec::new();
    for rounds in 0..6 {
        let key = ProverKey::new(VerifierKey::with_rounds(WIDTH_VARS, rounds));
        let commitments: Vec<&Commitment> = case.commitments.iter().collect();
        let mut channel = PlainProver::new(Merlin::new(b"test"));
        Hyrax::open(&key, &case.committed(), &case.claims, &mut channel);
        let proof = channel.into_proof();
        let mut channel = PlainVerifier::new(Merlin::new(b"test"), &proof);
        assert_eq!(Hyrax::verify_opening(key.verifier_key(), &commitments, &case.claims, &mut channel), Ok(()));
        sizes.push(proof.len());
    }
    // Rows of 8: each round sends two points and halves what is left.
    let last: Vec<usize> = [8, 4 + 2, 2 + 4, 1 + 6, 1 + 6, 1 + 6].map(|elements| 32 * elements).to_vec();
    let rest = sizes[0] - last[0];
    assert_eq!(sizes, last.iter().map(|size| size + rest).collect::<Vec<_>>());
}

#[test]
fn a_claim_at_another_point_or_row_is_refused() {
    let case = Case::small();
    let mut other = case.clone();
    let ColumnWeights::Point(point) = &mut other.claims[0].col_weights else { panic!("a point") };
    point[0] += Fr::ONE;
    other.assert_refused(&other.open(), Check::InnerProduct);
    // A proof for one statement is none for another.
    other.assert_refused(&case.open(), Check::InnerProduct);
    let mut other = case.clone();
    other.claims[1].row_weights[0] += Fr::ONE;
    other.assert_refused(&other.open(), Check::InnerProduct);
}

#[test]
fn a_claim_of_another_table_is_refused() {
    let mut case = Case::new(&[(8, 4, 1, 4), (8, 4, 1, 4)], 3);
    case.claims[0].commitment = 1;
    case.assert_refused(&case.open(), Check::InnerProduct);

    // The tables that make the claims true are not those under the commitments.
    let mut case = Case::new(&[(8, 4, 1, 4), (8, 4, 1, 4)], 3);
    case.commitments.swap(0, 1);
    case.assert_refused(&case.open(), Check::InnerProduct);
}

#[test]
fn another_row_commitment_is_refused() {
    let case = Case::small();
    for lie in [
        |rows: &mut Vec<G1Affine>| rows.swap(0, 1),
        |rows: &mut Vec<G1Affine>| rows[0] = G1Affine::identity(),
        |rows: &mut Vec<G1Affine>| rows[1] = -rows[1],
    ] {
        let mut case = case.clone();
        lie(&mut case.commitments[1].rows);
        case.assert_refused(&case.open(), Check::InnerProduct);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let case = Case::small();
    let proof = case.open();
    let refused = |lie: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        lie(&mut case);
        assert!(matches!(case.verify(&proof), Err(VerifyError::Statement(_))));
    };
    refused(&|case| case.commitments[0].rows.truncate(1));
    refused(&|case| case.commitments[0].rows.push(G1Affine::identity()));
    refused(&|case| drop(case.commitments.pop()));
    refused(&|case| case.commitments[0].width_vars = WIDTH_VARS + 1);
    refused(&|case| case.commitments[0].width_vars = usize::MAX);
    refused(&|case| case.commitments[0].width_vars = 1);
    refused(&|case| case.claims[0].commitment = 3);
    refused(&|case| case.claims[0].row_weights.push(Fr::ONE));
    refused(&|case| case.claims[0].col_weights = ColumnWeights::Point(vec![Fr::ONE; 5]));
    let blocks =
        |point: usize, weights| ColumnWeights::Blocks { point: vec![Fr::ONE; point], weights: vec![Fr::ONE; weights] };
    refused(&|case| case.claims[0].col_weights = blocks(0, 17));
    refused(&|case| case.claims[0].col_weights = blocks(2, 5));
    refused(&|case| case.claims[0].col_weights = blocks(5, 1));
    let tails =
        |point: usize, period_vars, first| ColumnWeights::Tails { point: vec![Fr::ONE; point], period_vars, first };
    refused(&|case| case.claims[0].col_weights = tails(5, 2, 1));
    refused(&|case| case.claims[0].col_weights = tails(3, 4, 1));
    refused(&|case| case.claims[0].col_weights = tails(4, 2, 5));
}

#[test]
fn changed_scalars_are_refused() {
    let case = Case::small();
    let add_one = |changed: Label| {
        case.open_lying(move |label, scalars, _| {
            if label == changed {
                scalars[0] += Fr::ONE;
            }
        })
    };
    case.assert_refused(&add_one(Label::Round), Check::InnerProduct);
    case.assert_refused(&add_one(Label::Blinding), Check::InnerProduct);
    case.assert_refused(&add_one(Label::InnerProductEnd), Check::InnerProduct);
    let zeroed = |changed: Label| {
        case.open_lying(move |label, scalars, _| {
            if label == changed {
                scalars.fill(Fr::ZERO);
            }
        })
    };
    case.assert_refused(&zeroed(Label::Round), Check::InnerProduct);
    case.assert_refused(&zeroed(Label::InnerProductEnd), Check::InnerProduct);

    let case = case.clone().blinded();
    let unblinded = case.open_lying(|label, scalars, _| {
        if label == Label::Blinding {
            scalars.fill(Fr::ZERO);
        }
    });
    case.assert_refused(&unblinded, Check::InnerProduct);
}

#[test]
fn changed_cross_terms_are_refused() {
    let case = Case::small();
    let proof = case.open();
    let rounds = default_rounds(WIDTH_VARS);
    let end = 32 << (WIDTH_VARS - rounds);
    let first = proof.len() - end - rounds * 64;
    for term in 0..2 * rounds {
        for point in [G1Affine::identity(), key().verifier_key().generators(WIDTH_VARS).row()[0]] {
            let mut bytes = Vec::new();
            point.serialize_compressed(&mut bytes).unwrap();
            let mut proof = proof.clone();
            proof[first + 32 * term..first + 32 * (term + 1)].copy_from_slice(&bytes);
            case.assert_refused(&proof, Check::InnerProduct);
        }
    }
}

#[test]
fn any_changed_cut_or_added_byte_is_refused() {
    let case = Case::new(&[(3, 3, 1, 3), (2, 4, 0, 3)], 5);
    let proof = case.open();
    assert_eq!(case.verify(&proof), Ok(()));
    for at in 0..proof.len() {
        let error = case.verify(&proof[..at]).unwrap_err();
        assert!(matches!(error, VerifyError::Truncated(_)), "{at}: {error}");
        let mut changed = proof.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(case.verify(&changed).is_err(), "byte {at}");
    }
    let mut longer = proof;
    longer.push(0);
    assert_eq!(case.verify(&longer), Err(VerifyError::TrailingBytes(1)));
}

#[test]
fn commitments_round_trip_and_identity_has_one_encoding() {
    let layout = Layout::new(3, 8, 3).unwrap();
    let values = (0..24).map(|i| if i / 8 == 1 { 0 } else { i }).collect();
    let commitment = Hyrax::commit(&key(), &table(3, 8, 0, values), 3);
    assert_eq!(commitment.rows[1], G1Affine::identity());
    let mut channel = PlainProver::new(Merlin::new(b"test"));
    Hyrax::send(Label::Commitment, &commitment, &mut channel);
    let mut proof = channel.into_proof();
    let receive = |proof: &[u8]| {
        let mut channel = PlainVerifier::new(Merlin::new(b"test"), proof);
        <Hyrax as MultilinearPcs>::recv::<PlainVerifier<'_, Merlin>>(Label::Commitment, &layout, &mut channel)
    };
    assert_eq!(receive(&proof), Ok(commitment));
    let other_forms = [(32, 1), (63, 0x80), (63, 1)].map(|(at, bit)| {
        proof[at] ^= bit;
        let error = receive(&proof).unwrap_err();
        proof[at] ^= bit;
        error
    });
    // The flags of both signs are none; the others are read as the identity, but not written so.
    let [malformed, other] = [VerifyError::Malformed, VerifyError::NotCanonical].map(|error| error(Label::Commitment));
    assert_eq!(other_forms, [other.clone(), malformed, other]);
    // Off the curve: of two x with the same encoding but for one bit, some are on no point.
    let refused = (0..64u8).filter(|bits| {
        let mut off = proof.clone();
        off[0] ^= bits;
        receive(&off).is_err()
    });
    assert!(refused.count() > 8);
}

#[cfg(feature = "parallel")]
#[test]
fn the_proof_does_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let case = Case::new(&[(65, 33, 1, 5), (64, 3, 0, 5), (100, 64, 3, 5)], 12);
            (case.open(), case.commitments)
        })
    };
    assert_eq!(run(1), run(2));
}
