//! Provers whose computation is wrong in one entry and consistent after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use voxcheck::adversary::{Conditions, Probe, forge};
use voxcheck::gkr::pcs::{Commitment, Hyrax};
use voxcheck::gkr::program::{Kind, Relation, TableId, TensorId};
use voxcheck::gkr::tables::TableColumn;
use voxcheck::gkr::trace::{Trace, TraceError};
use voxcheck::layers::score::THRESHOLD_ONE;
use voxcheck::model::{Tail, samples_table};
use voxcheck::sumcheck::error::Refusal;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::{Model, setup};

use crate::common::{Case, NAME, key, table};
use crate::harness::{nothing, prove, verify};
use crate::toy;

/// A change of one entry, given its value and another one of its table.
pub type Change = fn(i128, i128) -> i128;

/// Changes by name.
pub const CHANGES: &[(&str, Change)] = &[
    ("plus one", |v, _| v + 1),
    ("minus one", |v, _| v - 1),
    ("negated", |v, _| -v),
    ("zero", |_, _| 0),
    ("out of range", |v, _| v + (1 << 40)),
    ("replayed", |_, other| other),
];

/// The table with one entry changed; none if it is as before.
pub fn change(table: &IntTable, row: usize, col: usize, change: Change) -> Option<IntTable> {
    let other = table.get((row + 1) % table.rows(), (col + 1) % table.cols());
    let mut values: Vec<i128> = table.values().iter().collect();
    let entry = &mut values[row * table.cols() + col];
    let before = std::mem::replace(entry, change(*entry, other));
    (*entry != before).then(|| IntTable::new(table.rows(), table.cols(), IntVec::I128(values)))
}

/// What a tensor is, for counting.
fn kind(case: &Case, tensor: usize) -> &'static str {
    match case.program.tensors()[tensor].kind {
        Kind::Input | Kind::Weights => "input",
        Kind::Constant(_) => "constant",
        Kind::Witness => "witness",
        Kind::Multiplicity(_) => "multiplicity",
        Kind::Virtual(relation) => match case.program.relations()[relation as usize] {
            Relation::Linear(_) => "linear",
            Relation::Contraction(_) => "contraction",
            Relation::Product(_) => "product",
            Relation::Lookup(_) => "lookup",
        },
    }
}

/// What a table is, for counting.
fn table_kind(case: &Case, table: TableId) -> &'static str {
    match case.program.tables()[table.0 as usize].columns[..] {
        [TableColumn::Counter { .. }] => "range",
        [TableColumn::Counter { .. }, TableColumn::Values(_) | TableColumn::Positive] => "function",
        [TableColumn::Values(_), TableColumn::Values(_)] => "free columns",
        [_, _, _] => "three columns",
        [_, _, _, _] => "four columns",
        _ => panic!("a new kind of table"),
    }
}

/// The kinds of tables that a tensor is looked up in, or counts the lookups of.
fn table_kinds(case: &Case, tensor: usize) -> BTreeSet<&'static str> {
    let id = TensorId(tensor as u32);
    let looked_up = case.program.relations().iter().filter_map(|relation| match relation {
        Relation::Lookup(lookup) if lookup.columns.iter().any(|c| c.view.tensor == id) => Some(lookup.table),
        _ => None,
    });
    let counted = match case.program.tensor(id).kind {
        Kind::Multiplicity(table) => Some(table),
        _ => None,
    };
    looked_up.chain(counted).map(|table| table_kind(case, table)).collect()
}

/// How many refused changes there were of what is looked up in tables of a kind, and of multiplicities.
pub type Tables = BTreeMap<&'static str, usize>;

/// Where entries are changed, as fractions of rows and columns.
pub const PLACES: [(f64, f64); 3] = [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0)];

/// The entry at fractions of rows and columns.
fn place((row, col): (f64, f64), (rows, cols): (usize, usize)) -> (usize, usize) {
    let at = |part: f64, len: usize| (part * (len - 1) as f64).round() as usize;
    (at(row, rows), at(col, cols))
}

/// How tensors of a kind were refused after a mutation.
pub type Refused = BTreeMap<(&'static str, &'static str), BTreeSet<Refusal>>;

/// A program with its honest trace and commitments.
pub struct Target {
    case: Case,
    honest: Trace,
    commitments: [Vec<Commitment>; 2],
}

impl Target {
    pub fn new(case: Case) -> Self {
        let honest = case.run();
        let commitments = case.commitments::<Hyrax>(key(), &honest);
        Self { case, honest, commitments }
    }

    /// What the program computes when some tensors are replaced; nothing if that takes more than 127 bits.
    fn run(&self, mut replace: impl FnMut(&str) -> Option<IntTable>) -> Option<Trace> {
        let mut tamper = |name: &str, table: &mut Arc<IntTable>| {
            if let Some(other) = replace(name) {
                *table = Arc::new(other);
            }
        };
        let Case { program, recipes, inputs, constants } = &self.case;
        match Trace::run_tampered(program, recipes, inputs, constants, &mut tamper) {
            Err(TraceError::OutOfRange { .. }) => None,
            trace => Some(trace.unwrap()),
        }
    }

    /// Changes one entry of one tensor, computes what comes after it from that, and proves it. Returns how the
    /// proof was refused, or nothing if the change leaves a true trace with the same outputs.
    pub fn attack(&self, tensor: usize, (row, col): (usize, usize), how: Change) -> Option<Refusal> {
        let (case, kind) = (&self.case, kind(&self.case, tensor));
        let name = &case.program.tensors()[tensor].name;
        let what = format!("{name} at {row}, {col}");
        // What stands there may itself have been computed from a changed tensor of the same name before.
        let honest = self.honest.get(TensorId(tensor as u32));
        let other = change(honest, row, col, how)?;
        let trace = self.run(|visited| (visited == name).then(|| other.clone()))?;
        // Virtual tensors are not committed: what counts is whether the committed ones have true ones.
        let committed = |kind| matches!(kind, Kind::Input | Kind::Weights | Kind::Witness | Kind::Multiplicity(_));
        let rebuilt = self.run(|visited| {
            let id = case.id(visited);
            committed(case.program.tensor(id).kind).then(|| trace.get(id).clone())
        })?;
        if kind != "constant" && rebuilt.check(&case.program).is_ok() {
            let same = case.program.outputs().iter().all(|&id| rebuilt.get(id) == self.honest.get(id));
            assert!(same || kind == "input", "{what}: two traces for one input");
            return None;
        }
        // Constants are the verifier's: a prover who changes one commits to another than is in the key.
        let mut commitments = case.commitments::<Hyrax>(key(), &trace);
        commitments[1].clone_from(&self.commitments[1]);
        let proof = prove(case, &trace, &Conditions::live(), nothing);
        let live = verify(case, &trace, &commitments, &proof.bytes, &Conditions::live());
        let refusal = live.expect_err(&what).refusal();
        let off = if kind == "constant" {
            Conditions { tape: Some(proof.tape.clone()), ..Conditions::without_check(Refusal::InnerProduct) }
        } else {
            Conditions::without_check(refusal)
        };
        if verify(case, &trace, &commitments, &proof.bytes, &off) != Ok(()) {
            // More than one check is broken: with known challenges all of them can be repaired.
            let taped = Conditions::taped(&proof.tape);
            let run = |channel: Probe<'_>| case.verify_over(&trace, &commitments, channel);
            let forged = forge(NAME, proof.bytes, &taped, &BTreeSet::new(), run).expect(&what);
            assert_eq!(verify(case, &trace, &commitments, &forged, &taped), Ok(()), "{what}");
        }
        Some(refusal)
    }

    /// Adds one to the same entry of several tensors at once, computes what comes after them from that, and proves it.
    /// Returns how the proof was refused; nothing but that check refuses it.
    pub fn attack_together(&self, names: &[&str], (row, col): (usize, usize)) -> Refusal {
        let (case, (_, plus_one)) = (&self.case, CHANGES[0]);
        let more = |name: &str| change(self.honest.get(case.id(name)), row, col, plus_one);
        let trace =
            self.run(|visited| names.contains(&visited).then(|| more(visited)).flatten()).expect("small numbers");
        let commitments = case.commitments::<Hyrax>(key(), &trace);
        let proof = prove(case, &trace, &Conditions::live(), nothing);
        let run = |conditions: &Conditions| verify(case, &trace, &commitments, &proof.bytes, conditions);
        let refusal = run(&Conditions::live()).expect_err("a false trace").refusal();
        assert_eq!(run(&Conditions::without_check(refusal)), Ok(()), "{names:?}");
        refusal
    }

    /// Adds one to an entry of every tensor. Committed tensors and weights must be refused, at the next place if a
    /// choice between equal values was free. What is virtual may be rounded away, and what is one more in an input
    /// is another true statement.
    pub fn attack_every_tensor(&self, name: &str) -> Tables {
        let (_, plus_one) = CHANGES[0];
        let mut tables = Tables::new();
        for (i, tensor) in self.case.program.tensors().iter().enumerate() {
            let fixed = matches!(tensor.kind, Kind::Witness | Kind::Multiplicity(_) | Kind::Constant(_));
            let places = PLACES.iter().take(if fixed { PLACES.len() } else { 1 });
            let mut places = places.map(|&at| place(at, (tensor.rows, tensor.cols)));
            let refusal = places.find_map(|place| self.attack(i, place, plus_one));
            println!("{name:32} {:40} {refusal:?}", tensor.name);
            assert!(refusal.is_some() || !fixed, "{name}: no change of `{}` is refused", tensor.name);
            if refusal.is_some() {
                table_kinds(&self.case, i).into_iter().for_each(|kind| *tables.entry(kind).or_default() += 1);
            }
        }
        tables
    }

    /// Attacks every tensor; `places` are fractions of its rows and columns.
    pub fn sweep(&self, changes: &[(&'static str, Change)], places: &[(f64, f64)]) -> Refused {
        let mut refused = Refused::new();
        for (i, tensor) in self.case.program.tensors().iter().enumerate() {
            let places: BTreeSet<_> = places.iter().map(|&at| place(at, (tensor.rows, tensor.cols))).collect();
            for &(name, how) in changes {
                for &place in &places {
                    if let Some(refusal) = self.attack(i, place, how) {
                        refused.entry((kind(&self.case, i), name)).or_default().insert(refusal);
                    }
                }
            }
        }
        refused
    }
}

pub fn report(refused: &Refused) {
    for ((kind, mutation), refusals) in refused {
        println!("{kind:14} {mutation:14} {refusals:?}");
    }
}

#[test]
fn every_tensor_changed_in_every_way_is_refused() {
    let mut refused = Refused::new();
    for (_, case) in toy::all() {
        for (target, refusals) in Target::new(case).sweep(CHANGES, &[(0.0, 0.0), (0.5, 0.0), (1.0, 1.0)]) {
            refused.entry(target).or_default().extend(refusals);
        }
    }
    report(&refused);
    for wanted in ["input", "constant", "witness", "multiplicity", "linear", "contraction", "product"] {
        assert!(refused.keys().filter(|(kind, _)| *kind == wanted).count() >= 2, "{wanted}");
    }
}

/// The bundled model on a short recording: samples, features, network, pooling, decision.
fn voice() -> Target {
    let model = Model::bundled().unwrap();
    let (_, secret) = setup(&model).unwrap().0.enrol(&[crate::voice::wav(0)], 0.5).unwrap();
    let samples = crate::voice::wav(3).samples;
    let tail = Tail { threshold: Some(THRESHOLD_ONE / 2), ..Tail::default() };
    let lowered = model.spec().lower(samples.len(), &tail).unwrap();
    let template = secret.values().iter().map(|&v| v.into()).collect::<Vec<i128>>();
    let inputs = vec![Arc::new(samples_table(&lowered.program, &samples)), table(1, template.len(), &template)];
    let (program, recipes) = (lowered.program, lowered.recipes);
    Target::new(Case { program, recipes, inputs, constants: model.constants().to_vec() })
}

#[test]
fn every_tensor_of_the_model_changed_is_refused() {
    let tables = voice().attack_every_tensor("model");
    for kind in ["range", "function", "free columns"] {
        assert!(tables.get(kind).is_some_and(|&refused| refused >= 2), "{kind}: {tables:?}");
    }
}

/// Samples beyond 16 bits, template entries beyond their width.
#[test]
fn inputs_of_the_model_out_of_range_are_refused() {
    let voice = voice();
    for (i, tensor) in voice.case.program.tensors().iter().enumerate() {
        if tensor.kind == Kind::Input {
            for how in [|_, _| 1 << 15, |_, _| -(1 << 15) - 1, |v, _| v + (1 << 16)] {
                assert_eq!(voice.attack(i, (0, 0), how), Some(Refusal::RootNumerator), "{}", tensor.name);
            }
        }
    }
}

#[test]
#[ignore = "full tier: a proof for every way to change each tensor of the model"]
fn every_tensor_of_the_model_changed_in_every_way_is_refused() {
    report(&voice().sweep(CHANGES, &[(0.4, 0.6)]));
}
