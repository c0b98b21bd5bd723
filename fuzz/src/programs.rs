//! Small programs, made up from bytes: what the reference computes is what is proved.

use std::sync::{Arc, OnceLock};

use voxcheck::gkr::Fr;
use voxcheck::gkr::builder::{ProgramBuilder, Recipes};
use voxcheck::gkr::ledger::Ledger;
use voxcheck::gkr::pcs::{Commitment, Hyrax, MultilinearPcs, ProverKey, VerifierKey};
use voxcheck::gkr::program::{MAX_WIDTH_VARS, Program, ProgramError, TensorId};
use voxcheck::gkr::prover::{self, PublicCommitments, Recompute, Witness};
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::gkr::view::{RowMap, View};
use voxcheck::layers::fixed;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::transcript::Merlin;

use super::source::Source;

const NAME: &[u8] = b"fuzz program";

fn key() -> &'static ProverKey {
    static KEY: OnceLock<ProverKey> = OnceLock::new();
    KEY.get_or_init(|| ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS)))
}

/// A program and what it is run on.
struct Made {
    program: Program,
    recipes: Recipes,
    inputs: Vec<Arc<IntTable>>,
    constants: Vec<Arc<IntTable>>,
}

/// Values of a table from decisions.
fn values(source: &mut Source<'_>, (rows, cols): (usize, usize), low: i128, high: i128) -> Arc<IntTable> {
    let values = (0..rows * cols).map(|_| source.value(low, high)).collect();
    Arc::new(IntTable::new(rows, cols, IntVec::I128(values)))
}

/// A view of a tensor that keeps its columns.
fn view(source: &mut Source<'_>, p: &ProgramBuilder, id: TensorId) -> View {
    let (rows, _) = p.shape(id);
    let map = match source.byte() % 7 {
        0 => RowMap::slice(rows, source.within(0..=3) as i64 - 1, source.within(1..=rows.min(9))),
        1 => RowMap::delay(1, rows, source.within(0..=2)),
        2 => RowMap::sum(rows),
        3 => RowMap::last(1, rows),
        4 => {
            let (out, taps) = (source.within(1..=4), source.within(1..=3));
            RowMap::strided(rows, out, taps, 2, 1, source.within(0..=2) as i64 - 1)
        }
        _ => return p.whole(id),
    };
    View::rows(id, map)
}

/// Adds a relation and returns the tensor that it defines.
fn step(
    source: &mut Source<'_>,
    p: &mut ProgramBuilder,
    made: &[TensorId],
    number: usize,
) -> Result<TensorId, ProgramError> {
    let name = format!("t{number}");
    let any = |source: &mut Source<'_>| made[source.within(0..=made.len() - 1)];
    let (a, b) = (any(source), any(source));
    match source.byte() % 9 {
        0 => {
            let term = view(source, p, a);
            let other = View { tensor: b, ..term.clone() };
            let (c, d) = (source.within(0..=6) as i128 - 3, source.within(0..=6) as i128 - 3);
            p.linear(&name, vec![(c, term), (d, other)], source.within(0..=4) as i128 - 2)
        }
        1 => {
            let left = view(source, p, a);
            let right = View { tensor: b, ..left.clone() };
            p.product(&name, left, right)
        }
        2 => {
            let left = view(source, p, a);
            p.contraction(&name, left, p.whole(b))
        }
        3 => p.contraction_transposed(&name, p.whole(a), p.whole(b)),
        4 => fixed::requantize(p, &name, a, source.within(0..=6), source.within(1..=14)),
        5 => fixed::is_positive(p, &name, a, source.within(1..=20)),
        6 => fixed::maximum(p, &name, a, b, source.within(1..=20)),
        7 => {
            let (_, cols) = p.shape(a);
            let offset = source.within(0..=cols - 1);
            let slice = p.whole(a).cols(offset, source.within(1..=cols));
            p.linear(&name, vec![(1, slice)], 0)
        }
        _ => fixed::commit(p, &name, a),
    }
}

fn make(bytes: &[u8]) -> Option<Made> {
    let mut source = Source::new(bytes);
    let mut p = ProgramBuilder::new(source.within(2..=6)).with_width_vars(source.within(0..=6));
    let bits = source.within(1..=p.range_bits());
    let (low, high) = (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1);
    let (mut made, mut inputs, mut constants) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..source.within(1..=2) {
        let shape = (source.within(1..=9), source.within(1..=9));
        let id = p.input(&format!("x{number}"), shape, low, high).ok()?;
        p.range(p.whole(id), low, bits).ok()?;
        inputs.push(values(&mut source, shape, low, high));
        made.push(id);
    }
    for number in 0..source.within(0..=2) as u32 {
        let shape = (source.within(1..=9), source.within(1..=9));
        made.push(p.constant(&format!("w{number}"), number, shape, low, high).ok()?);
        constants.push(values(&mut source, shape, low, high));
    }
    let given = made.len();
    for number in 0..source.within(1..=8) {
        // A step that does not fit the shapes is left out; what it added before it failed stays.
        if let Ok(id) = step(&mut source, &mut p, &made, number) {
            made.push(id);
        }
    }
    for &id in &made[given..] {
        p.output(id);
    }
    let (program, recipes) = p.finish().ok()?;
    Some(Made { program, recipes, inputs, constants })
}

fn verify(made: &Made, public: &PublicCommitments<'_, Commitment>, outputs: &[&IntTable], proof: &[u8]) -> bool {
    let mut channel = PlainVerifier::new(Merlin::new(NAME), proof);
    verifier::verify::<Hyrax, _>(key().verifier_key(), &made.program, outputs, public, &mut channel).is_ok()
        && VerifierChannel::<Fr>::finish(channel).is_ok()
}

/// A program that can be run holds by direct evaluation, is proved, by the same bytes in little memory, and is not proved of
/// other outputs.
pub fn run(bytes: &[u8]) {
    let Some(made) = make(bytes) else { return };
    let Made { program, recipes, inputs, constants } = &made;
    let Ok(trace) = Trace::run(program, recipes, inputs, constants) else { return };
    if let Err(error) = trace.check(program) {
        // Only the reference may refuse: a gadget was asked for more than its bits.
        assert!(error.to_string().contains("table"), "the reference disagrees with itself: {error}");
        return;
    }
    let lean = Trace::run_keeping(program, recipes, inputs, constants, &[]).expect("the same run");
    let commit = |id: TensorId| Hyrax::commit(key(), trace.get(id), program.width_vars(id));
    let inputs: Vec<Commitment> = program.inputs().into_iter().map(commit).collect();
    let constants: Vec<Commitment> = program.constants().into_iter().map(|(id, _)| commit(id)).collect();
    let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), constants.iter().collect());
    let public = PublicCommitments { inputs: &inputs, constants: &constants };
    let prove = |witness: Witness<'_>| {
        let mut channel = PlainProver::new(Merlin::new(NAME));
        prover::prove::<Hyrax, _>(key(), program, witness, &public, &mut channel);
        channel.into_proof()
    };
    let proof = prove(Witness::new(&trace));
    let frugal = prove(Witness::new(&lean).recomputing(Recompute::MOST));
    assert_eq!(proof, frugal, "what is stored makes a difference to the proof");
    let outputs: Vec<&IntTable> = program.outputs().iter().map(|&id| trace.get(id)).collect();
    assert!(verify(&made, &public, &outputs, &proof), "an honest proof is refused");
    assert!(Ledger::new(program, 3).is_ok_and(|ledger| ledger.log2() < -200.0));

    let Some((first, rest)) = outputs.split_first() else { return };
    let values: Vec<i128> = first.values().iter().enumerate().map(|(i, v)| v + i128::from(i == 0)).collect();
    let other = IntTable::new(first.rows(), first.cols(), IntVec::I128(values));
    let other: Vec<&IntTable> = std::iter::once(&other).chain(rest.iter().copied()).collect();
    assert!(!verify(&made, &public, &other, &proof), "another output is accepted");
}
