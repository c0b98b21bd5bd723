//! The prover's walk: commit, lookups, waves, openings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Fr;
use super::claims::{Claims, RowWeights, Suffixes, TensorClaim, ValueSource};
pub use super::folds::Folds;
use super::folds::SendValues;
pub use super::fraction::Recompute;
use super::fraction::{self, LeafClaim};
use super::leaves;
use super::lookup::{self, Compression, Layout};
use super::openings;
use super::pcs::hiding::OpeningProver;
use super::pcs::{Blinds, Committed, MultilinearPcs, OpeningClaim};
use super::program::{Program, Relation, TensorId};
use super::trace::Trace;
use super::waves::{self, Due, Schedule};
use super::{contraction, product, verifier};
use crate::sumcheck::batch::{self, Instance};
use crate::sumcheck::channel::ProverChannel;
use crate::sumcheck::int::IntTable;
use crate::sumcheck::kernels::Product;
use crate::sumcheck::par;
use crate::sumcheck::transcript::Label;

/// Where the time of a proof went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Committing to the witness.
    pub commit: Duration,
    /// The lookup argument.
    pub lookup: Duration,
    /// The waves.
    pub waves: Duration,
    /// Weighted claims, padding and opening.
    pub open: Duration,
    /// What hiding took besides: it is no part of the others.
    pub zk: Duration,
}

/// What hides the commitments made before the proof: nothing, unless it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublicBlinds<'a> {
    /// One an input, in the order of [`Program::inputs`]; those that are missing hide nothing.
    pub inputs: &'a [Blinds],
    /// One a constant, in the order of [`Program::constants`]; those that are missing hide nothing.
    pub constants: &'a [Blinds],
}

/// What the prover knows.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    trace: &'a Trace,
    blinds: PublicBlinds<'a>,
    recompute: Recompute,
}

impl<'a> Witness<'a> {
    /// This trace; nothing hides the commitments made before the proof.
    #[must_use]
    pub fn new(trace: &'a Trace) -> Self {
        Self { trace, blinds: PublicBlinds::default(), recompute: Recompute::LEAST }
    }

    /// The same, when commitments made before the proof are hidden.
    #[must_use]
    pub fn hidden_by(self, blinds: PublicBlinds<'a>) -> Self {
        Self { blinds, ..self }
    }

    /// The same, in less memory.
    #[must_use]
    pub fn recomputing(self, recompute: Recompute) -> Self {
        Self { recompute, ..self }
    }
}

/// A clock for stages, of which a part belongs to none.
struct Lap {
    start: Instant,
    apart: Duration,
}

impl Lap {
    fn new() -> Self {
        Self { start: Instant::now(), apart: Duration::ZERO }
    }

    /// The time since the last lap but for what was spent apart, which is given since the beginning.
    fn lap(&mut self, apart: Duration) -> Duration {
        let elapsed = std::mem::replace(&mut self.start, Instant::now()).elapsed();
        elapsed.saturating_sub(apart - std::mem::replace(&mut self.apart, apart))
    }
}

/// Commitments made before the proof.
pub struct PublicCommitments<'a, C> {
    /// One an input, in the order of [`Program::inputs`].
    pub inputs: &'a [&'a C],
    /// One a constant, in the order of [`Program::constants`].
    pub constants: &'a [&'a C],
}

/// Proves that the witness's trace satisfies `program`. The transcript must already hold what the caller's
/// statement adds; program, public values and commitments are absorbed here.
///
/// The trace is not checked: a false one gives a proof that is rejected.
///
/// # Panics
/// If trace, commitments or key are not the program's.
pub fn prove<P: MultilinearPcs, C: OpeningProver>(
    key: &P::ProverKey,
    program: &Program,
    witness: Witness<'_>,
    public: &PublicCommitments<'_, P::Commitment>,
    channel: &mut C,
) -> Timings {
    let outputs: Vec<&IntTable> = program.outputs().iter().map(|&id| witness.trace.get(id)).collect();
    prove_claiming::<P, C>(key, program, witness, &outputs, public, channel)
}

/// [`prove`] for public outputs that need not be those of the trace.
pub(crate) fn prove_claiming<P: MultilinearPcs, C: OpeningProver>(
    key: &P::ProverKey,
    program: &Program,
    witness: Witness<'_>,
    outputs: &[&IntTable],
    public: &PublicCommitments<'_, P::Commitment>,
    channel: &mut C,
) -> Timings {
    par::enter(|| prove_here::<P, C>(key, program, witness, outputs, public, channel))
}

fn prove_here<'b, P: MultilinearPcs, C: OpeningProver>(
    key: &P::ProverKey,
    program: &Program,
    Witness { trace, blinds, recompute }: Witness<'b>,
    outputs: &[&IntTable],
    public: &PublicCommitments<'_, P::Commitment>,
    channel: &mut C,
) -> Timings {
    let mut timings = Timings::default();
    let mut clock = Lap::new();

    absorb_public::<P>(program, outputs, public, |label, bytes| channel.absorb_statement(label, bytes));
    let span = tracing::trace_span!("commit rows").entered();
    let tables: Vec<(&IntTable, usize)> =
        program.committed().into_iter().map(|id| (trace.get(id), program.width_vars(id))).collect();
    let mut committed = P::commit_all(key, &tables);
    drop(span);
    let span = tracing::trace_span!("blind rows").entered();
    let own_blinds: Vec<Blinds> = committed.iter().map(|commitment| channel.blinds(P::shape(commitment).1)).collect();
    let blinding = Instant::now();
    P::blind_all(key, &mut committed, &own_blinds);
    let blinding = blinding.elapsed();
    for commitment in &committed {
        P::send(Label::Commitment, commitment, channel);
    }
    drop(span);
    timings.commit = clock.lap(channel.hiding_time() + blinding);

    let folds = Folds::new(program, trace);
    let mut claims = Claims::default();
    prove_lookups(&folds, recompute, channel, &mut claims);
    prove_outputs(&folds, channel, &mut claims);
    timings.lookup = clock.lap(channel.hiding_time() + blinding);

    for wave in &Schedule::new(program).waves {
        prove_wave(&folds, wave, channel, &mut claims);
    }
    timings.waves = clock.lap(channel.hiding_time() + blinding);

    let span = tracing::trace_span!("weighted claims").entered();
    let all = claims.take_all();
    let (mut direct, weighted) = openings::split(program, all);
    direct.extend(prove_weighted(&folds, weighted, channel));
    drop(span);
    let span = tracing::trace_span!("opening claims").entered();
    let order = openings::committed(program);
    let places: HashMap<TensorId, usize> = order.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let none = Blinds::none();
    let given = |blinds: &'b [Blinds], count: usize| (0..count).map(move |i| blinds.get(i));
    let all_blinds = given(blinds.inputs, public.inputs.len())
        .chain(given(blinds.constants, public.constants.len()))
        .map(|blinds| blinds.unwrap_or(&none))
        .chain(&own_blinds);
    let commitments = public.inputs.iter().chain(public.constants).copied().chain(&committed);
    let committed: Vec<Committed<'_, P::Commitment>> = order
        .iter()
        .zip(commitments.zip(all_blinds))
        .map(|(&id, (commitment, blinds))| Committed { table: trace.get(id), commitment, blinds })
        .collect();
    let (rows, cols) = openings::padding_vars(program, &order).expect("the tables were committed");
    let mut point = |n: usize| -> Vec<Fr> { (0..n).map(|_| channel.challenge(Label::PaddingChallenge)).collect() };
    let (rows, cols) = (point(rows), point(cols));
    let own = || {
        let mut opened: Vec<OpeningClaim<Fr>> = par::map_items(direct, |_, claim| {
            openings::opening(program, &places, claim).expect("every claim left is on a committed tensor")
        });
        opened.extend(openings::padding(program, &order, &rows, &cols).expect("the tables were committed"));
        opened
    };
    let opened = channel.claims(own, |replay| verifier::reduce(program, outputs, replay));
    drop(span);
    P::open(key, &committed, &opened, channel);
    timings.zk = channel.hiding_time() + blinding;
    timings.open = clock.lap(timings.zk);
    timings
}

/// Absorbs everything public about a program. Both sides call this.
pub(super) fn absorb_public<P: MultilinearPcs>(
    program: &Program,
    outputs: &[&IntTable],
    public: &PublicCommitments<'_, P::Commitment>,
    mut absorb: impl FnMut(Label, &[u8]),
) {
    absorb(Label::Program, &program.digest());
    for output in outputs {
        let values: Vec<u8> = output.values().iter().flat_map(i128::to_le_bytes).collect();
        absorb(Label::Statement, &values);
    }
    for commitment in public.inputs.iter().chain(public.constants) {
        absorb(Label::PublicCommitment, &P::encode(commitment));
    }
}

fn prove_lookups<C: ProverChannel<Fr>>(
    folds: &Folds<'_>,
    recompute: Recompute,
    channel: &mut C,
    claims: &mut Claims<Fr>,
) {
    let program = folds.program();
    let layout = Layout::new(program);
    if layout.len == 0 {
        return;
    }
    let beta = channel.challenge(Label::TupleChallenge);
    let alpha = channel.challenge(Label::LookupChallenge);
    let compression = Compression::new(program, beta, alpha);
    let leaves =
        tracing::trace_span!("leaves").in_scope(|| leaves::build(program, folds.trace(), &layout, &compression));
    let point = tracing::trace_span!("fraction tree").in_scope(|| fraction::prove(channel, leaves, recompute));
    let _span = tracing::trace_span!("leaf values").entered();
    // Only the point of the claim matters here; whether its values are right is the verifier's check.
    let leaf = LeafClaim { point, numerator: Fr::from(0u64), denominator: Fr::from(0u64) };
    folds.prepare(|wanted| {
        let _ = lookup::reduce(program, &layout, &compression, leaf.clone(), &mut Claims::default(), wanted)
            .expect("nothing refuses these values");
    });
    let mut values = SendValues { folds, channel, label: Label::LeafValues };
    let _ = lookup::reduce(program, &layout, &compression, leaf, claims, &mut values)
        .expect("a prover's values are never refused");
}

fn prove_outputs<C: ProverChannel<Fr>>(folds: &Folds<'_>, channel: &mut C, claims: &mut Claims<Fr>) {
    let program = folds.program();
    for &output in program.outputs().iter().chain(program.zeros()) {
        let tensor = program.tensor(output);
        let mut point = |n: usize| -> Vec<Fr> { (0..n).map(|_| channel.challenge(Label::OutputChallenge)).collect() };
        let (cols, rows) = (point(tensor.col_vars()), RowWeights::at(point(tensor.row_vars())));
        let view = super::view::View::whole(output, tensor.rows);
        let mut values = SendValues { folds, channel, label: Label::OutputValues };
        claims.expand(program, &view, &rows, &cols, &mut values).expect("a prover's values are never refused");
    }
}

fn prove_wave<C: ProverChannel<Fr>>(folds: &Folds<'_>, wave: &[usize], channel: &mut C, claims: &mut Claims<Fr>) {
    let program = folds.program();
    let span = tracing::trace_span!("wave tables").entered();
    let due = waves::due(program, wave, claims);
    let operands: Vec<Option<[Arc<IntTable>; 2]>> =
        par::map(due.len(), |i| match &program.relations()[due[i].relation] {
            Relation::Product(p) => Some([folds.trace().view(&p.left), folds.trace().view(&p.right)]),
            _ => None,
        });
    let mut instances = par::map(due.len(), |i| -> Box<dyn Instance<Fr> + '_> {
        let Due { relation, claim } = &due[i];
        match (&program.relations()[*relation], &operands[i]) {
            (Relation::Contraction(c), _) => Box::new(contraction::instance(folds, c, &claim.rows, &claim.cols)),
            (Relation::Product(_), Some([a, b])) => Box::new(product::instance(a, b, &claim.rows, &claim.cols)),
            _ => unreachable!("waves hold contractions and products"),
        }
    });
    let values: Vec<Fr> = due.iter().map(|due| due.claim.value).collect();
    let mut borrowed: Vec<&mut dyn Instance<Fr>> =
        instances.iter_mut().map(|i| &mut **i as &mut dyn Instance<Fr>).collect();
    drop(span);
    let (gamma, point) = tracing::trace_span!("wave sum-check")
        .in_scope(|| batch::prove(channel, waves::degree(program, wave), &mut borrowed, &values));
    let _span = tracing::trace_span!("wave values").entered();
    drop(instances);
    folds.prepare(|wanted| {
        let _ = waves::finish(program, &due, gamma, &point, &mut Claims::default(), wanted)
            .expect("nothing refuses these values");
    });
    let mut values = SendValues { folds, channel, label: Label::WaveValues };
    waves::finish(program, &due, gamma, &point, claims, &mut values).expect("a prover's values are never refused");
}

/// Turns weighted claims into claims at points.
fn prove_weighted<C: ProverChannel<Fr>>(
    folds: &Folds<'_>,
    weighted: Vec<TensorClaim<Fr>>,
    channel: &mut C,
) -> Vec<TensorClaim<Fr>> {
    if weighted.is_empty() {
        return Vec::new();
    }
    let program = folds.program();
    let mut instances: Vec<Product<Fr, 2>> = weighted
        .iter()
        .map(|claim| {
            let tensor = program.tensor(claim.tensor);
            let folded = folds.cols(claim.tensor, &claim.cols).to_vec();
            Product::new(tensor.row_vars(), [claim.rows.explicit(tensor.rows).to_vec(), folded])
        })
        .collect();
    let values: Vec<Fr> = weighted.iter().map(|claim| claim.value).collect();
    let mut borrowed: Vec<&mut dyn Instance<Fr>> = instances.iter_mut().map(|i| i as &mut dyn Instance<Fr>).collect();
    let (_, point) = batch::prove(channel, 2, &mut borrowed, &values);
    let (pairs, _) = openings::distinct(&weighted);
    let mut suffixes = Suffixes::new(&point);
    pairs
        .into_iter()
        .map(|(tensor, cols)| {
            let rows = suffixes.get(program.tensor(tensor).row_vars()).clone();
            let mut values = SendValues { folds, channel, label: Label::PointValues };
            let value = values.value(tensor, &rows, &cols).expect("a prover's values are never refused");
            TensorClaim { tensor, rows, cols, value }
        })
        .collect()
}
