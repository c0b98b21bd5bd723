//! Provers whose computation is wrong in one entry and consistent after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use voxcheck::adversary::{Conditions, Probe, forge};
use voxcheck::gkr::pcs::Hyrax;
use voxcheck::gkr::program::{Kind, Relation};
use voxcheck::gkr::trace::Trace;
use voxcheck::sumcheck::error::Refusal;
use voxcheck::sumcheck::int::{IntTable, IntVec};

use crate::common::{Case, NAME, key};
use crate::harness::{nothing, prove, verify};
use crate::toy;

/// Changes of one entry, with its value and the one that stands before it.
pub const CHANGES: &[(&str, fn(i128, i128) -> i128)] = &[
    ("plus one", |v, _| v + 1),
    ("minus one", |v, _| v - 1),
    ("negated", |v, _| -v),
    ("zero", |_, _| 0),
    ("out of range", |v, _| v + (1 << 40)),
    ("replayed", |_, other| other),
];

/// The table with one entry changed; none if it is as before.
pub fn change(table: &IntTable, row: usize, col: usize, change: fn(i128, i128) -> i128) -> Option<IntTable> {
    let other = table.get((row + 1) % table.rows(), (col + 1) % table.cols());
    let mut values: Vec<i128> = table.values().iter().collect();
    let entry = &mut values[row * table.cols() + col];
    let before = std::mem::replace(entry, change(*entry, other));
    (*entry != before).then(|| IntTable::new(table.rows(), table.cols(), IntVec::I128(values)))
}

/// What a tensor is, for counting.
fn kind(case: &Case, tensor: usize) -> &'static str {
    match case.program.tensors()[tensor].kind {
        Kind::Input => "input",
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

/// Changes one entry of one tensor, computes what comes after it from that, and proves it. Returns how the
/// proof was refused, or nothing if the change leaves a true trace with the same outputs.
fn attack(case: &Case, tensor: usize, row: usize, col: usize, how: fn(i128, i128) -> i128) -> Option<Refusal> {
    let honest = case.run();
    let name = &case.program.tensors()[tensor].name;
    let mut touched = false;
    let mut tamper = |visited: &str, table: &mut Arc<IntTable>| {
        if visited == name
            && let Some(other) = change(table, row, col, how)
        {
            *table = Arc::new(other);
            touched = true;
        }
    };
    let trace = Trace::run_tampered(&case.program, &case.recipes, &case.inputs, &case.constants, &mut tamper).unwrap();
    if !touched {
        return None;
    }
    let what = format!("{name} at {row}, {col}");
    let constant = kind(case, tensor) == "constant";
    // Virtual tensors are not committed: what counts is whether the committed ones have true ones.
    let mut keep = |visited: &str, table: &mut Arc<IntTable>| {
        let id = case.id(visited);
        if matches!(case.program.tensor(id).kind, Kind::Input | Kind::Witness | Kind::Multiplicity(_)) {
            *table = Arc::new(trace.get(id).clone());
        }
    };
    let rebuilt = Trace::run_tampered(&case.program, &case.recipes, &case.inputs, &case.constants, &mut keep).unwrap();
    if !constant && rebuilt.check(&case.program).is_ok() {
        let same = case.program.outputs().iter().all(|&id| rebuilt.get(id) == honest.get(id));
        assert!(same || kind(case, tensor) == "input", "{what}: two traces for one input");
        return None;
    }
    // Constants are the verifier's: a prover who changes one commits to another than is in the key.
    let mut commitments = case.commitments::<Hyrax>(key(), &trace);
    commitments[1] = case.commitments::<Hyrax>(key(), &honest)[1].clone();
    let proof = prove(case, &trace, &Conditions::live(), nothing);
    let live = verify(case, &trace, &commitments, &proof.bytes, &Conditions::live());
    let refusal = live.expect_err(&what).refusal();
    let off = if constant {
        Conditions { tape: Some(proof.tape.clone()), ..Conditions::without_check(Refusal::InnerProduct) }
    } else {
        Conditions::without_check(refusal)
    };
    if verify(case, &trace, &commitments, &proof.bytes, &off) != Ok(()) {
        // More than one check is broken: with known challenges all of them can be repaired.
        let taped = Conditions::taped(&proof.tape);
        let run = |channel: Probe<'_>| case.verify_over(&trace, &commitments, channel);
        let forged = forge(NAME, proof.bytes, &taped, &BTreeSet::new(), run).unwrap();
        assert_eq!(verify(case, &trace, &commitments, &forged, &taped), Ok(()), "{what}");
    }
    Some(refusal)
}

#[test]
fn every_tensor_changed_in_every_way_is_refused() {
    let mut refused: BTreeMap<(&str, &str), BTreeSet<Refusal>> = BTreeMap::new();
    for (_, case) in toy::all() {
        for (i, tensor) in case.program.tensors().iter().enumerate() {
            for &(name, how) in CHANGES {
                for (row, col) in BTreeSet::from([(0, 0), (tensor.rows - 1, tensor.cols - 1), (tensor.rows / 2, 0)]) {
                    if let Some(refusal) = attack(&case, i, row, col, how) {
                        refused.entry((kind(&case, i), name)).or_default().insert(refusal);
                    }
                }
            }
        }
    }
    for ((kind, mutation), refusals) in &refused {
        println!("{kind:14} {mutation:14} {refusals:?}");
    }
    for wanted in ["input", "witness", "multiplicity", "linear", "contraction", "product"] {
        assert!(refused.keys().filter(|(kind, _)| *kind == wanted).count() >= 2, "{wanted}");
    }
}
