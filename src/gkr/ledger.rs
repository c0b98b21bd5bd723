//! The soundness ledger of a program: what the error is made of, term by term.
//!
//! The walk is the verifier's, with claims that have no values: what it counts (claims in a batch,
//! variables of a sum-check, challenges) is what a verifier of this program meets,
//! not a bound on it. `docs/soundness.md` has the argument for every formula.
//!
//! ```text
//! lookups     (m + 1)·L            β compresses tuples of at most m columns; L leaves
//!             L                    α is where the sum of fractions is compared with zero
//!             Σ_{v<n} (3v + 2)     levels of the tree: λ, v rounds of degree 3, ρ
//! outputs     Σ (r + c)            a random point of r row and c column variables each
//! waves       k − 1                k claims are combined, in each wave
//!             d·n                  n rounds of degree d
//! points      k − 1 and 2n         weighted claims become claims at points
//! padding     Σ (r + w)            a random point of the committed matrix for each kind of padding
//! opening     k − 1                k claims are combined by δ
//!             2w                   rounds over the w variables of a row
//!             1 + 2·i              μ, and i rounds of the inner-product argument
//! hiding      n and 3n             2ⁿ products between hidden scalars: τ, and n rounds
//!             e                    e equations between them are combined by η
//!             1 + w                x of the masked opening; κ combines its w checks
//! challenges  N·|F|²/2^512         N challenges are 64 bytes modulo |F|, not quite uniform
//! ```
//!
//! Each is a multiple of `1/|F|`, and the error of the whole is at most their sum. It holds for one
//! attempt: a prover who computes its challenges itself has as many as it can evaluate hashes.

use std::collections::HashMap;
use std::ops::{Add, Mul, Sub};

use ark_ff::PrimeField;

use super::Fr;
use super::claims::{Claims, RowWeights, TensorClaim, ValueSource};
use super::fraction::{self, LeafClaim};
use super::lookup::{self, Compression, Layout};
use super::openings;
use super::pcs::OpeningClaim;
use super::pcs::hiding::{HidingVerifier, Owed, Replay};
use super::program::{Program, TensorId};
use super::verifier;
use super::view::View;
use super::waves::{self, Schedule};
use crate::sumcheck::batch::suffix;
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::int::{IntTable, IntVec};

/// What the group gives, in bits.
pub const GROUP_BITS: u32 = 100;

/// Why the group gives that.
///
/// In the curve group alone a discrete logarithm costs 2^127 steps (Pollard's rho). The pairing carries
/// it into the field of p^12 elements, where the tower number field sieve is cheaper, so that counts.
pub const GROUP_SOURCE: &str = "discrete logarithm in BN254 G1: 2^127 by Pollard's rho, but about 2^100 through the \
     pairing (Kim and Barbulescu, CRYPTO 2016; Barbulescu and Duquesne, Journal of Cryptology 2019)";

/// Bits of hash output that a challenge is reduced from.
const CHALLENGE_BITS: f64 = 512.0;

/// What a term is a multiple of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// `1/|F|`.
    Field,
    /// `|F|/2^512`: how far a reduced challenge can be from uniform.
    Bias,
}

/// A term of the soundness error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// What can go wrong.
    pub name: String,
    /// The formula, to be divided by the size of the field.
    pub formula: &'static str,
    /// The values of its letters.
    pub values: String,
    /// How many units the formula gives.
    pub count: u64,
    unit: Unit,
}

impl Term {
    /// Base-two logarithm of the term.
    #[must_use]
    pub fn log2(&self) -> f64 {
        let unit = match self.unit {
            Unit::Field => -field_log2(),
            Unit::Bias => field_log2() - CHALLENGE_BITS,
        };
        (self.count as f64).log2() + unit
    }
}

/// Base-two logarithm of the size of the field.
#[must_use]
pub fn field_log2() -> f64 {
    let limbs = Fr::MODULUS.0;
    let value = limbs.iter().rev().fold(0f64, |value, &limb| value * 64f64.exp2() + limb as f64);
    value.log2()
}

/// The soundness error of a program, as a sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    terms: Vec<Term>,
    challenges: u64,
}

impl Ledger {
    /// The ledger of proofs in the clear of a program whose opening plays at most `rounds` rounds of the
    /// inner-product argument.
    ///
    /// # Errors
    /// As the verifier: if the tensors of the program cannot be committed to.
    pub fn new(program: &Program, rounds: usize) -> Result<Self, VerifyError> {
        Self::walk(program, rounds, None)
    }

    /// The ledger of proofs that hide.
    ///
    /// # Errors
    /// As [`Ledger::new`].
    pub fn hiding(program: &Program, rounds: usize) -> Result<Self, VerifyError> {
        // How many equations there are does not depend on challenges and outputs.
        let mut channel = HidingVerifier::new(Replay::default(), program.max_width_vars());
        let zeros = |&id: &TensorId| {
            let tensor = program.tensor(id);
            IntTable::new(tensor.rows, tensor.cols, IntVec::I8(vec![0; tensor.rows * tensor.cols]))
        };
        let outputs: Vec<IntTable> = program.outputs().iter().map(zeros).collect();
        let _ = verifier::reduce(program, &outputs.iter().collect::<Vec<_>>(), &mut channel)?;
        Self::walk(program, rounds, Some(channel.owed()))
    }

    fn walk(program: &Program, rounds: usize, owed: Option<Owed>) -> Result<Self, VerifyError> {
        let mut ledger = Self::default();
        let mut claims = Claims::default();
        ledger.lookups(program, &mut claims)?;
        ledger.outputs(program, &mut claims)?;
        for (number, wave) in Schedule::new(program).waves.iter().enumerate() {
            ledger.wave(program, number, wave, &mut claims)?;
        }
        let (mut direct, weighted) = openings::split(program, claims.take_all());
        direct.extend(ledger.points(program, &weighted));
        let opened = ledger.padding(program, direct)?;
        ledger.opening(program, &opened, rounds);
        if let Some(owed) = owed {
            ledger.hidden(program, owed);
        }
        let drawn = ledger.challenges;
        ledger.add("challenges", "N·|F|²/2^512", format!("N = {drawn}"), drawn);
        ledger.terms.iter_mut().filter(|term| term.name == "challenges").for_each(|term| term.unit = Unit::Bias);
        Ok(ledger)
    }

    /// The terms that are not zero, in the order of the protocol.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Number of challenges that the verifier draws.
    #[must_use]
    pub fn challenges(&self) -> u64 {
        self.challenges
    }

    /// Base-two logarithm of the sum.
    #[must_use]
    pub fn log2(&self) -> f64 {
        let field = field_log2();
        let sum: f64 = self.terms.iter().map(|term| (term.log2() + field).exp2()).sum();
        sum.log2() - field
    }

    fn add(&mut self, name: impl Into<String>, formula: &'static str, values: String, count: u64) {
        if count > 0 {
            self.terms.push(Term { name: name.into(), formula, values, count, unit: Unit::Field });
        }
    }

    /// Stands for a challenge: no two are equal and none is a bit, so that points differ when they would.
    fn challenge(&mut self) -> Fr {
        self.challenges += 1;
        Fr::from(self.challenges + 1)
    }

    fn point(&mut self, len: usize) -> Vec<Fr> {
        (0..len).map(|_| self.challenge()).collect()
    }

    fn lookups(&mut self, program: &Program, claims: &mut Claims<Unsaid>) -> Result<(), VerifyError> {
        let layout = Layout::new(program);
        if layout.len == 0 {
            return Ok(());
        }
        let compression = Compression::new(program, self.challenge(), self.challenge());
        let (leaves, columns) = (layout.len as u64, compression.powers.len() as u64 - 1);
        let n = fraction::num_vars(layout.len);
        let values = format!("m = {columns}, L = {leaves}");
        self.add("lookups: compression of tuples by β", "(m + 1)·L", values, (columns + 1) * leaves);
        self.add("lookups: sum of fractions at α", "L", format!("L = {leaves}"), leaves);
        let layers = (0..n as u64).map(|v| 3 * v + 2).sum();
        self.add("lookups: layers of the tree", "Σ_{v<n} (3v + 2)", format!("n = {n}"), layers);
        // λ and ρ of every layer, and the rounds of all but the last, whose point is that of the leaves.
        self.challenges += (0..n as u64).map(|v| v + 2).sum::<u64>() - n as u64;
        let leaf = LeafClaim { point: self.point(n), numerator: Unsaid, denominator: Unsaid };
        lookup::reduce(program, &layout, &compression, leaf, claims, &mut Unsaid).map(drop)
    }

    fn outputs(&mut self, program: &Program, claims: &mut Claims<Unsaid>) -> Result<(), VerifyError> {
        let mut vars = 0;
        let ids = program.outputs().iter().chain(program.zeros());
        for &id in ids.clone() {
            let tensor = program.tensor(id);
            let (cols, rows) = (self.point(tensor.col_vars()), self.point(tensor.row_vars()));
            vars += cols.len() + rows.len();
            let view = View::whole(id, tensor.rows);
            claims.expand(program, &view, &RowWeights::at(rows), &cols, &mut Unsaid)?;
        }
        let values = format!("{} outputs and zeros", ids.count());
        self.add("outputs", "Σ (r + c)", values, vars as u64);
        Ok(())
    }

    fn wave(
        &mut self,
        program: &Program,
        number: usize,
        wave: &[usize],
        claims: &mut Claims<Unsaid>,
    ) -> Result<(), VerifyError> {
        let due = waves::due(program, wave, claims);
        let rounds = due.iter().map(|due| waves::num_rounds(program, due.relation)).max().unwrap_or(0);
        let degree = waves::degree(program, wave);
        self.combine(format!("wave {number}: claims combined by γ"), due.len());
        self.rounds(format!("wave {number}: rounds"), degree, rounds);
        let (gamma, point) = (self.challenge(), self.point(rounds));
        waves::finish(program, &due, gamma, &point, claims, &mut Unsaid).map(drop)
    }

    fn points(&mut self, program: &Program, weighted: &[TensorClaim<Unsaid>]) -> Vec<TensorClaim<Unsaid>> {
        if weighted.is_empty() {
            return Vec::new();
        }
        let rounds = weighted.iter().map(|claim| program.tensor(claim.tensor).row_vars()).max().unwrap_or(0);
        self.combine("points: weighted claims combined by γ", weighted.len());
        self.rounds("points: rounds", 2, rounds);
        let _gamma = self.challenge();
        let point = self.point(rounds);
        let (pairs, _) = openings::distinct(weighted);
        let at = |(tensor, cols)| {
            let rows = RowWeights::at(suffix(&point, program.tensor(tensor).row_vars()).to_vec());
            TensorClaim { tensor, rows, cols, value: Unsaid }
        };
        pairs.into_iter().map(at).collect()
    }

    /// The claims to open: `direct`, and those on padding.
    fn padding(
        &mut self,
        program: &Program,
        direct: Vec<TensorClaim<Unsaid>>,
    ) -> Result<Vec<OpeningClaim<Unsaid>>, VerifyError> {
        let order = openings::committed(program);
        let places: HashMap<TensorId, usize> = order.iter().enumerate().map(|(i, &id)| (id, i)).collect();
        let mut opened = Vec::with_capacity(direct.len());
        for claim in direct {
            opened.push(openings::opening(program, &places, claim)?);
        }
        let (rows, cols) = openings::padding_vars(program, &order)?;
        let (rows, cols) = (self.point(rows), self.point(cols));
        let padding = openings::padding(program, &order, &rows, &cols)?;
        let mut vars = 0;
        for claim in &padding {
            if let Some(&id) = order.get(claim.commitment) {
                let layout = openings::layout(program, id)?;
                vars += layout.row_vars() + layout.width_vars();
            }
        }
        self.add("padding", "Σ (r + w)", format!("{} kinds of padding", padding.len()), vars as u64);
        opened.extend(padding);
        Ok(opened)
    }

    fn opening(&mut self, program: &Program, opened: &[OpeningClaim<Unsaid>], rounds: usize) {
        let width = openings::committed(program).into_iter().map(|id| program.width_vars(id)).max().unwrap_or(0);
        let rounds = rounds.min(width);
        self.combine("opening: claims combined by δ", opened.len());
        self.rounds("opening: rounds over the columns", 2, width);
        let (formula, values) = ("1 + 2·i", format!("i = {rounds}"));
        self.add("opening: inner-product argument", formula, values, 1 + 2 * rounds as u64);
        // δ and the rounds, μ and the rounds.
        self.challenges += (2 + width + rounds) as u64;
    }

    fn hidden(&mut self, program: &Program, Owed { products, equations }: Owed) {
        let mut equations = equations;
        if products > 0 {
            // The mask is one more; three equations say what its values are.
            let n = (products + 1).next_power_of_two().trailing_zeros() as usize;
            equations += 3;
            self.add("hiding: products compared at τ", "n", format!("n = {n}"), n as u64);
            self.rounds("hiding: rounds over the products", 3, n);
            self.challenges += 2 * n as u64;
        }
        self.add("hiding: equations combined by η", "e", format!("e = {equations}"), equations as u64);
        let width = program.max_width_vars();
        self.add(
            "hiding: masked opening at x, its checks combined by κ",
            "1 + w",
            format!("w = {width}"),
            1 + width as u64,
        );
        // η, x, κ.
        self.challenges += 3;
    }

    fn combine(&mut self, name: impl Into<String>, claims: usize) {
        self.add(name, "k − 1", format!("k = {claims}"), claims.saturating_sub(1) as u64);
    }

    fn rounds(&mut self, name: impl Into<String>, degree: usize, rounds: usize) {
        self.add(name, "d·n", format!("d = {degree}, n = {rounds}"), (degree * rounds) as u64);
    }
}

/// The value of a claim that nobody states: only how many there are matters here.
#[derive(Clone, Copy, Debug)]
struct Unsaid;

impl From<Fr> for Unsaid {
    fn from(_: Fr) -> Self {
        Self
    }
}

impl Add for Unsaid {
    type Output = Self;

    fn add(self, _: Self) -> Self {
        Self
    }
}

impl Sub for Unsaid {
    type Output = Self;

    fn sub(self, _: Self) -> Self {
        Self
    }
}

impl Mul<Fr> for Unsaid {
    type Output = Self;

    fn mul(self, _: Fr) -> Self {
        Self
    }
}

impl ValueSource for Unsaid {
    type Scalar = Self;

    fn value(&mut self, _: TensorId, _: &RowWeights, _: &[Fr]) -> Result<Self, VerifyError> {
        Ok(Self)
    }

    fn product(&mut self, _: &Self, _: &Self) -> Result<Self, VerifyError> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::gkr::builder::{Hint, ProgramBuilder, Recipes};
    use crate::gkr::pcs::hiding::HidingProver;
    use crate::gkr::pcs::hyrax::default_rounds;
    use crate::gkr::pcs::{Hyrax, MultilinearPcs, ProverKey, VerifierKey};
    use crate::gkr::program::SHARED_WIDTH_VARS;
    use crate::gkr::prover::{self, PublicCommitments, Witness};
    use crate::gkr::trace::Trace;
    use crate::sumcheck::channel::{PlainProver, PlainVerifier};
    use crate::sumcheck::transcript::{Label, Merlin, Transcript};

    /// `y = x·w`, both `x` and `y` in `[0, 2⁸)`, and `y` is public.
    fn dense(width_vars: usize, rows: usize) -> (Program, Recipes) {
        let mut p = ProgramBuilder::new(8).with_width_vars(width_vars);
        let x = p.input("x", (rows, 2), 0, 255).unwrap();
        let w = p.constant("w", 0, (2, 1), 0, 9).unwrap();
        let y = p.contraction("y", p.whole(x), p.whole(w)).unwrap();
        let z = p.witness("z", (rows, 1), (0, 255), &[y], Hint::whole(|t| Ok(t[0].values().iter().collect()))).unwrap();
        let square = p.product("square", p.whole(z), p.whole(z)).unwrap();
        let twice = p.linear("twice", vec![(1, p.whole(square)), (-1, p.whole(square))], 0).unwrap();
        p.zero(twice);
        p.range(p.whole(x), 0, 8).unwrap();
        p.range(p.whole(y), 0, 8).unwrap();
        p.range(p.whole(z), 0, 8).unwrap();
        p.output(y);
        p.finish().unwrap()
    }

    #[test]
    fn the_ledger_of_a_small_program_is_the_one_by_hand() {
        let mut p = ProgramBuilder::new(8);
        let x = p.input("x", (2, 2), 0, 255).unwrap();
        let w = p.constant("w", 0, (2, 1), 0, 9).unwrap();
        let y = p.contraction("y", p.whole(x), p.whole(w)).unwrap();
        p.range(p.whole(x), 0, 8).unwrap();
        p.range(p.whole(y), 0, 8).unwrap();
        p.output(y);
        let ledger = Ledger::new(&p.finish().unwrap().0, 3).unwrap();
        let found: Vec<(&str, u64)> = ledger.terms().iter().map(|term| (&term.name[..], term.count)).collect();
        // A table of 2^8 entries, 2·2 entries of x and 2 of y: 262 leaves of one column, 9 levels.
        let expected = [
            ("lookups: compression of tuples by β", 2 * 262),
            ("lookups: sum of fractions at α", 262),
            ("lookups: layers of the tree", 3 * 36 + 2 * 9),
            // y has 2 rows.
            ("outputs", 1),
            // y is looked up and public: two claims, reduced over the two columns of x.
            ("wave 0: claims combined by γ", 1),
            ("wave 0: rounds", 2),
            // The slack of x and of the multiplicities, in one row of 2^10 entries each.
            ("padding", 2 * 10),
            // x: one of the lookups, two of the wave; w: two; multiplicities: one; padding: two.
            ("opening: claims combined by δ", 7),
            // Those on w are at one point, all others differ.
            ("opening: rounds over the columns", 2 * 10),
            ("opening: inner-product argument", 7),
            // β, α; 9 layers; the output; γ and a round; padding; δ, 10 rounds, μ and 3 rounds.
            ("challenges", 2 + (18 + 36) + 1 + 2 + 10 + 15),
        ];
        assert_eq!(found, expected);
        let counts: u64 = expected[..10].iter().map(|(_, count)| count).sum();
        let bias = 84.0 * (2.0 * field_log2() - 512.0).exp2();
        assert!((ledger.log2() - ((counts as f64 + bias).log2() - field_log2())).abs() < 1e-9);
        assert!((field_log2() - 253.597).abs() < 1e-3);
        assert_eq!(ledger.terms()[0].values, "m = 1, L = 262");
    }

    /// A hash that counts what is drawn from it.
    struct Counting(Merlin, Arc<AtomicU64>);

    impl Transcript for Counting {
        fn absorb(&mut self, label: Label, message: &[u8]) {
            self.0.absorb(label, message);
        }
        fn squeeze(&mut self, label: Label, output: &mut [u8]) {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.squeeze(label, output);
        }
    }

    #[test]
    fn the_ledger_counts_the_challenges_that_a_verifier_draws() {
        // Narrow rows, so that there are weighted claims; one row, so that some points are empty.
        for (width_vars, rows) in [(10, 5), (2, 5), (2, 1), (0, 9)] {
            let (program, recipes) = dense(width_vars, rows);
            let values = IntVec::I16((0..2 * rows as i16).collect());
            let given = [IntTable::new(rows, 2, values), IntTable::new(2, 1, IntVec::I8(vec![5, 6]))].map(Arc::new);
            let trace = Trace::run(&program, &recipes, &given[..1], &given[1..]).unwrap();
            let key = ProverKey::new(VerifierKey::new(SHARED_WIDTH_VARS));
            let [x, w] = given.map(|table| Hyrax::commit(&key, &table, SHARED_WIDTH_VARS));
            let public = PublicCommitments { inputs: &[&x], constants: &[&w] };
            let mut channel = PlainProver::new(Merlin::new(b"ledger"));
            prover::prove::<Hyrax, _>(&key, &program, Witness::new(&trace), &public, &mut channel);
            let proof = channel.into_proof();
            let drawn = Arc::new(AtomicU64::new(0));
            let mut channel = PlainVerifier::new(Counting(Merlin::new(b"ledger"), Arc::clone(&drawn)), &proof);
            let output = trace.get(program.outputs()[0]);
            verifier::verify::<Hyrax, _>(key.verifier_key(), &program, &[output], &public, &mut channel).unwrap();
            let ledger = Ledger::new(&program, default_rounds(SHARED_WIDTH_VARS)).unwrap();
            assert_eq!(ledger.challenges(), drawn.load(Ordering::Relaxed), "rows of 2^{width_vars}, {rows} rows");

            let channel = PlainProver::new(Merlin::new(b"ledger"));
            let mut channel = HidingProver::new(channel, &key, program.max_width_vars()).unwrap();
            prover::prove::<Hyrax, _>(&key, &program, Witness::new(&trace), &public, &mut channel);
            let proof = channel.into_inner().into_proof();
            drawn.store(0, Ordering::Relaxed);
            let channel = PlainVerifier::new(Counting(Merlin::new(b"ledger"), Arc::clone(&drawn)), &proof);
            let mut channel = HidingVerifier::new(channel, program.max_width_vars());
            verifier::verify::<Hyrax, _>(key.verifier_key(), &program, &[output], &public, &mut channel).unwrap();
            let hiding = Ledger::hiding(&program, default_rounds(SHARED_WIDTH_VARS)).unwrap();
            assert_eq!(
                hiding.challenges(),
                drawn.load(Ordering::Relaxed),
                "hiding, rows of 2^{width_vars}, {rows} rows"
            );
            assert!(hiding.log2() > ledger.log2() && hiding.log2() < -230.0);
            let points = ledger.terms().iter().any(|term| term.name.starts_with("points"));
            assert_eq!(points, width_vars == 2 && rows > 1, "rows of 2^{width_vars}, {rows} rows");
        }
    }

    #[test]
    fn a_longer_computation_has_a_larger_error() {
        let of = |rows| Ledger::new(&dense(10, rows).0, default_rounds(SHARED_WIDTH_VARS)).unwrap().log2();
        assert!(of(2) < of(300) && of(300) < of(3000) && of(3000) < -230.0);
    }
}
