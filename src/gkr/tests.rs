//! The engine on small programs: honest runs, and provers that lie in one place.

use std::sync::Arc;

use proptest::prelude::*;

use super::Fr;
use super::builder::{Hint, ProgramBuilder, Recipes};
use super::pcs::{Commitment, Hyrax, MultilinearPcs, ProverKey, VerifierKey};
use super::program::{Column, Program, ProgramError, TensorId};
use super::prover::{self, PublicCommitments, Recompute, Witness};
use super::tables::Table;
use super::trace::{Trace, TraceError};
use super::verifier;
use super::view::{RowMap, View};
use crate::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use crate::sumcheck::error::{Check, VerifyError};
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::transcript::Merlin;

/// A program with what its prover needs.
struct Case {
    program: Program,
    recipes: Recipes,
    inputs: Vec<Arc<IntTable>>,
    constants: Vec<Arc<IntTable>>,
}

fn table(rows: usize, cols: usize, values: &[i128]) -> Arc<IntTable> {
    Arc::new(IntTable::new(rows, cols, IntVec::I128(values.to_vec())))
}

impl Case {
    fn trace(&self) -> Trace {
        let trace = Trace::run(&self.program, &self.recipes, &self.inputs, &self.constants).unwrap();
        trace.check(&self.program).unwrap();
        trace
    }

    /// Commitments to inputs and constants as this trace has them.
    fn commitments(&self, trace: &Trace) -> [Vec<Commitment>; 2] {
        let commit = |id: TensorId| Hyrax::commit(&key(), trace.get(id), self.program.width_vars(id));
        let constants = self.program.constants().into_iter().map(|(id, _)| commit(id)).collect();
        [self.program.inputs().into_iter().map(commit).collect(), constants]
    }

    fn prove(&self, trace: &Trace) -> Vec<u8> {
        self.prove_knowing(Witness::new(trace), trace)
    }

    /// Proves from a witness, with commitments to inputs and constants as `trace` has them.
    fn prove_knowing(&self, witness: Witness<'_>, trace: &Trace) -> Vec<u8> {
        let [inputs, constants] = self.commitments(trace);
        let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), constants.iter().collect());
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let mut channel = PlainProver::new(Merlin::new(b"test"));
        prover::prove::<Hyrax, _>(&key(), &self.program, witness, &public, &mut channel);
        channel.into_proof()
    }

    /// Verifies against the inputs, constants and outputs of `public`.
    fn verify(&self, public: &Trace, proof: &[u8]) -> Result<(), VerifyError> {
        let [inputs, constants] = self.commitments(public);
        let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), constants.iter().collect());
        let outputs: Vec<&IntTable> = self.program.outputs().iter().map(|&id| public.get(id)).collect();
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let mut channel = PlainVerifier::new(Merlin::new(b"test"), proof);
        verifier::verify::<Hyrax, _>(key().verifier_key(), &self.program, &outputs, &public, &mut channel)?;
        VerifierChannel::<Fr>::finish(channel)
    }

    fn id(&self, name: &str) -> TensorId {
        let i = self.program.tensors().iter().position(|t| t.name == name).unwrap();
        TensorId(i as u32)
    }

    /// Proves a trace in which one entry of a tensor is replaced and nothing else follows.
    fn lie(&self, name: &str, row: usize, col: usize, value: i128) -> Result<(), VerifyError> {
        self.lies(&[(name, row, col, value)])
    }

    /// Proves a trace with several entries replaced.
    fn lies(&self, lies: &[(&str, usize, usize, i128)]) -> Result<(), VerifyError> {
        let mut trace = self.trace();
        for &(name, row, col, value) in lies {
            let mut changed = trace.get(self.id(name)).clone();
            changed.set(row, col, value);
            trace.replace(self.id(name), changed);
        }
        self.verify(&trace, &self.prove(&trace))
    }
}

fn key() -> ProverKey {
    use std::sync::OnceLock;
    static KEY: OnceLock<ProverKey> = OnceLock::new();
    KEY.get_or_init(|| ProverKey::new(VerifierKey::new(super::program::SHARED_WIDTH_VARS))).clone()
}

fn column(view: View) -> Column {
    Column { view, scale: 1, offset: 0 }
}

/// The layer of the worked example: a strided convolution, requantised, through a ReLU.
fn example() -> Case {
    let mut p = ProgramBuilder::new(3).with_width_vars(2);
    let x = p.input("x", (5, 2), -4, 3).unwrap();
    let w = p.constant("w", 0, (6, 3), -1, 1).unwrap();
    let b = p.constant("b", 1, (1, 3), -4, 3).unwrap();
    p.range(p.whole(x), -4, 3).unwrap();
    let frames = View::rows(x, RowMap::strided(5, 2, 3, 2, 1, 0));
    let conv = p.contraction("conv", frames, p.whole(w)).unwrap();
    let bias = View::rows(b, RowMap::broadcast(2));
    let acc = p.linear("acc", vec![(1, p.whole(conv)), (1, bias)], 0).unwrap();
    let y = p
        .witness(
            "y",
            (2, 3),
            (-4, 3),
            &[acc],
            Hint::whole(|t| Ok(t[0].values().iter().map(|v| v.div_euclid(4)).collect())),
        )
        .unwrap();
    let rem = p.linear("rem", vec![(1, p.whole(acc)), (-4, p.whole(y))], 0).unwrap();
    p.range(p.whole(rem), 0, 2).unwrap();
    let relu = p.table(Table::function("relu", -4, (-4..4).map(|v: i64| v.max(0)).collect())).unwrap();
    let z = p
        .witness("z", (2, 3), (0, 3), &[y], Hint::whole(|t| Ok(t[0].values().iter().map(|v| v.max(0)).collect())))
        .unwrap();
    p.lookup(vec![column(p.whole(y)), column(p.whole(z))], relu).unwrap();
    let (program, recipes) = p.finish().unwrap();
    let x = table(5, 2, &[1, -2, 2, -4, -3, -3, 1, -4, -1, -4]);
    let w = table(6, 3, &[-1, 0, 0, -1, -1, -1, 1, 0, -1, 1, -1, -1, 1, 1, 1, -1, 1, 1]);
    Case { program, recipes, inputs: vec![x], constants: vec![w, table(1, 3, &[0, -3, -2])] }
}

#[test]
fn the_worked_example_has_its_numbers_and_verifies() {
    let case = example();
    let trace = case.trace();
    let values = |name| trace.get(case.id(name)).values().iter().collect::<Vec<_>>();
    assert_eq!(values("acc"), [-1, -3, -4, 6, -1, -1]);
    assert_eq!(values("y"), [-1, -1, -1, 1, -1, -1]);
    assert_eq!(values("rem"), [3, 1, 0, 2, 3, 3]);
    assert_eq!(values("z"), [0, 0, 0, 1, 0, 0]);
    let proof = case.prove(&trace);
    assert_eq!(case.verify(&trace, &proof), Ok(()));
    let mut long = proof.clone();
    long.push(0);
    assert_eq!(case.verify(&trace, &long), Err(VerifyError::TrailingBytes(1)));
    for len in [0, 1, 31, proof.len() / 2, proof.len() - 1] {
        assert!(case.verify(&trace, &proof[..len]).is_err(), "{len} bytes");
    }
    for i in (0..proof.len()).step_by(7) {
        let mut changed = proof.clone();
        changed[i] ^= 1;
        assert!(case.verify(&trace, &changed).is_err(), "byte {i}");
    }
}

#[test]
fn one_wrong_value_anywhere_is_rejected() {
    let case = example();
    let root = Err(VerifyError::Check(Check::RootNumerator));
    // A committed value that is in its table, but for which the remainder is out of range.
    assert_eq!(case.lie("y", 0, 1, 0), root);
    assert_eq!(case.lie("z", 1, 0, 2), root);
    assert_eq!(case.lie("x", 0, 0, 4), root);
    assert_eq!(case.lie("multiplicities of relu", 0, 3, 0), root);
    // A virtual value that the prover only pretends to have: the leaves are consistent with it.
    assert_eq!(case.lie("rem", 0, 0, 2), root);
    assert_eq!(case.lie("conv", 1, 2, 0), Err(VerifyError::Check(Check::LeafDenominators)));
    // The same lie told consistently up to the lookups: 0 - 2 = 4·(-1) + 2, and 2 is looked up instead of 3.
    let lies = [
        ("conv", 1, 2, 0),
        ("acc", 1, 2, -2),
        ("rem", 1, 2, 2),
        ("multiplicities of range3", 0, 6, 2),
        ("multiplicities of range3", 0, 4, 2),
    ];
    let counts = case.trace();
    let count = |value| counts.get(case.id("multiplicities of range3")).get(0, value);
    let mut lies = lies;
    (lies[3].3, lies[4].3) = (count(6) - 1, count(4) + 1);
    assert_eq!(case.lies(&lies), Err(VerifyError::Check(Check::Wave { wave: 0 })));
}

#[test]
fn other_inputs_constants_or_outputs_are_rejected() {
    let case = example();
    let trace = case.trace();
    let proof = case.prove(&trace);
    for name in ["x", "w", "b"] {
        let mut other = trace.clone();
        let mut changed = trace.get(case.id(name)).clone();
        changed.set(0, 0, 1 - changed.get(0, 0));
        other.replace(case.id(name), changed);
        assert!(case.verify(&other, &proof).is_err(), "{name}");
    }
}

/// Two products, a witness-by-witness contraction and shifted, summed and broadcast views.
fn mixed(rows: usize, cols: usize, seed: i128) -> Case {
    let mut p = ProgramBuilder::new(8).with_width_vars(4);
    let a = p.input("a", (rows, cols), -128, 127).unwrap();
    let b = p.input("b", (rows, cols), -128, 127).unwrap();
    for id in [a, b] {
        p.range(p.whole(id), -128, 8).unwrap();
    }
    let delayed = View::rows(b, RowMap::delay(1, rows, 1));
    let ab = p.product("ab", p.whole(a), delayed).unwrap();
    let aa = p.product("aa", p.whole(a), p.whole(a)).unwrap();
    let mixed = p.linear("mixed", vec![(3, p.whole(ab)), (-1, p.whole(aa)), (5, p.whole(b))], 7).unwrap();
    let total = View::rows(mixed, RowMap::sum(rows));
    let gram = p.contraction_transposed("gram", p.whole(mixed), p.whole(b)).unwrap();
    let total = p.linear("total", vec![(2, total)], -1).unwrap();
    p.output(gram);
    p.output(total);
    let (program, recipes) = p.finish().unwrap();
    let values = |k: i128| -> Vec<i128> {
        (0..rows * cols).map(|i| (seed + k + i as i128 * 2_654_435_761).rem_euclid(256) - 128).collect()
    };
    let inputs = vec![table(rows, cols, &values(1)), table(rows, cols, &values(2))];
    Case { program, recipes, inputs, constants: vec![] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn mixed_programs_verify_and_their_outputs_are_binding(
        rows in prop::sample::select(vec![1usize, 2, 3, 7, 8, 9, 17]),
        cols in prop::sample::select(vec![1usize, 2, 3, 5, 15, 16, 17]),
        seed in 0i128..1000,
    ) {
        let case = mixed(rows, cols, seed);
        let trace = case.trace();
        let proof = case.prove(&trace);
        prop_assert_eq!(case.verify(&trace, &proof), Ok(()));
        let lean = Trace::run_keeping(&case.program, &case.recipes, &case.inputs, &case.constants, &[]).unwrap();
        for recompute in Recompute::all() {
            let witness = Witness::new(&lean).recomputing(recompute);
            prop_assert_eq!(&case.prove_knowing(witness, &trace), &proof, "{:?}", recompute);
        }
        for name in ["gram", "total", "ab", "aa"] {
            let value = trace.get(case.id(name)).get(0, 0) + 1;
            prop_assert!(case.lie(name, 0, 0, value).is_err(), "{}", name);
        }
    }
}

/// Every step is made of the one before it twice: there are 2^60 ways from the output to the input.
#[test]
fn a_chain_of_sums_takes_no_longer_for_all_its_ways() {
    let mut p = ProgramBuilder::new(8);
    let rows = 5;
    let mut x = p.input("x", (rows, 2), 0, 255).unwrap();
    p.range(p.whole(x), 0, 8).unwrap();
    for step in 0..60 {
        let terms = vec![(1, p.whole(x)), (-1, View::rows(x, RowMap::slice(rows, 1 - 2 * (step % 2), rows)))];
        x = p.linear(&format!("step {step}"), terms, 3).unwrap();
    }
    p.output(x);
    let (program, recipes) = p.finish().unwrap();
    let values: Vec<i128> = (0..2 * rows as i128).map(|i| i * 37 % 256).collect();
    let case = Case { program, recipes, inputs: vec![table(rows, 2, &values)], constants: vec![] };
    let trace = case.trace();
    let proof = case.prove(&trace);
    assert_eq!(case.verify(&trace, &proof), Ok(()));
    let value = trace.get(case.id("step 59")).get(2, 1) + 1;
    assert!(case.lie("step 59", 2, 1, value).is_err());
}

#[test]
fn the_same_bytes_for_any_number_of_threads() {
    let case = mixed(17, 5, 3);
    let trace = case.trace();
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| case.prove(&trace))
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn sums_that_only_lookups_read_are_given_up_and_not_missed() {
    let case = example();
    let trace = case.trace();
    let kept = |tensors: &[TensorId]| {
        Trace::run_keeping(&case.program, &case.recipes, &case.inputs, &case.constants, tensors).unwrap()
    };
    let (lean, id) = (kept(&[]), case.id("rem"));
    assert_eq!(lean.get(id).rows(), 0, "nothing reads a remainder once it is looked up");
    assert_eq!(kept(&[id]).get(id), trace.get(id));
    for recompute in Recompute::all() {
        let witness = Witness::new(&lean).recomputing(recompute);
        assert_eq!(case.prove_knowing(witness, &trace), case.prove(&trace), "{recompute:?}");
    }
}

#[test]
fn builders_refuse_programs_that_prove_nothing() {
    let unranged = |lookup: bool| {
        let mut p = ProgramBuilder::new(8);
        let a = p.input("a", (2, 2), 0, 200).unwrap();
        if lookup {
            p.range(p.whole(a), 0, 8).unwrap();
        }
        p.finish().map(|_| ())
    };
    assert_eq!(unranged(false), Err(ProgramError::Unranged { tensor: "a".into() }));
    // The range table reaches 255, beyond the declared 200.
    assert_eq!(unranged(true), Err(ProgramError::Unranged { tensor: "a".into() }));
    let mut p = ProgramBuilder::new(8);
    let a = p.input("a", (2, 2), 0, 15).unwrap();
    // Scaled lookups say nothing about a committed tensor.
    p.range(p.whole(a), 0, 4).unwrap();
    assert_eq!(p.finish().map(|_| ()), Err(ProgramError::Unranged { tensor: "a".into() }));
    let mut p = ProgramBuilder::new(8);
    let a = p.input("a", (1, 1), 0, 255).unwrap();
    p.range(p.whole(a), 0, 8).unwrap();
    p.product("unused", p.whole(a), p.whole(a)).unwrap();
    assert_eq!(p.finish().map(|_| ()), Err(ProgramError::Unused { tensor: "unused".into() }));
    let mut p = ProgramBuilder::new(8);
    let mut power = p.input("a", (1, 1), 0, 1 << 100).unwrap();
    power = p.product("square", p.whole(power), p.whole(power)).unwrap_or(power);
    assert!(matches!(p.product("fourth", p.whole(power), p.whole(power)), Err(ProgramError::TooWide { .. })));
}

#[test]
fn a_run_names_the_first_entry_that_is_in_no_table() {
    let mut case = example();
    case.inputs = vec![table(5, 2, &[1, -2, 2, -4, -3, -3, 1, -4, -1, 9])];
    let (tensor, table) = ("x".to_owned(), "range3".to_owned());
    let expected = TraceError::NotInTable { tensor, table, row: 4, col: 1, value: 9 };
    let (inputs, constants) = (&case.inputs, &case.constants);
    assert_eq!(Trace::run(&case.program, &case.recipes, inputs, constants).unwrap_err(), expected);
    assert_eq!(Trace::run_keeping(&case.program, &case.recipes, inputs, constants, &[]).unwrap_err(), expected);
}

#[test]
fn a_tensor_that_must_be_zero_is() {
    let mut p = ProgramBuilder::new(8);
    let [a, b] = ["a", "b"].map(|name| {
        let id = p.input(name, (3, 5), -128, 127).unwrap();
        p.range(p.whole(id), -128, 8).unwrap();
        id
    });
    let difference = p.linear("difference", vec![(1, p.whole(a)), (-1, p.whole(b))], 0).unwrap();
    p.zero(difference);
    let (program, recipes) = p.finish().unwrap();
    let values: Vec<i128> = (0..15).map(|i| i * 7 - 50).collect();
    let mut case = Case { program, recipes, inputs: vec![table(3, 5, &values); 2], constants: vec![] };
    let trace = case.trace();
    assert_eq!(case.verify(&trace, &case.prove(&trace)), Ok(()));
    let mut other = values;
    other[7] += 1;
    case.inputs[1] = table(3, 5, &other);
    let trace = Trace::run(&case.program, &case.recipes, &case.inputs, &case.constants).unwrap();
    let violated = TraceError::Violated { tensor: "difference".into(), row: 1, col: 2 };
    assert_eq!(trace.check(&case.program), Err(violated));
    assert_eq!(case.verify(&trace, &case.prove(&trace)), Err(VerifyError::Check(Check::PublicOutput)));
}
