//! Provers that lie once and are consistent elsewhere. Every test names the check that catches the lie.

mod common;

use ark_ff::AdditiveGroup;
use common::{Case, Garbage, GarbageKey, add_one, edit, key, table};
use voxcheck::gkr::Fr;
use voxcheck::gkr::builder::{Hint, ProgramBuilder};
use voxcheck::gkr::pcs::Hyrax;
use voxcheck::gkr::program::{Column, TensorId};
use voxcheck::gkr::tables::Table;
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::view::{RowMap, View};
use voxcheck::sumcheck::channel::PlainProver;
use voxcheck::sumcheck::error::{Check, VerifyError};
use voxcheck::sumcheck::int::IntTable;
use voxcheck::sumcheck::transcript::{Label, Merlin};

type Result = std::result::Result<(), VerifyError>;

fn fails(check: Check) -> Result {
    Err(VerifyError::Check(check))
}

/// The constraint that a cheating prover's own program has in another form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    Nothing,
    Linear,
    Taps,
    Plain,
    Transposed,
    Product,
    ScaledRange,
    Pair,
}

/// `q = ⌊v / 2^shift⌋`: `q` is committed and ranged, the remainder is ranged by a scaled lookup.
fn requantize(p: &mut ProgramBuilder, name: &str, v: TensorId, shift: usize, low: i128) -> TensorId {
    let shape = p.shape(v);
    let q = p.witness(name, shape, (-32, 31), &[v], Hint::entrywise(move |v| (v - low) >> shift)).unwrap();
    let rem = p.linear(&format!("{name} rem"), vec![(1, p.whole(v)), (-(1 << shift), p.whole(q))], 0).unwrap();
    p.range(p.whole(rem), low, shift).unwrap();
    q
}

/// Every relation once. With a lie, one of them is another one, over the same tensors.
fn build(lie: Lie) -> Case {
    let tells = |l: Lie| i64::from(l == lie);
    let mut p = ProgramBuilder::new(6).with_width_vars(3);
    let x = p.input("x", (5, 3), -32, 31).unwrap();
    let w = p.constant("w", 0, (11, 3), -3, 3).unwrap();
    let k = p.constant("k", 1, (3, 2), -3, 3).unwrap();
    p.range(p.whole(x), -32, 6).unwrap();
    let frames = View::rows(x, RowMap::strided(5, 2, 3, 2, 1, -tells(Lie::Taps)));
    let conv = p.contraction("conv", frames, p.whole(w)).unwrap();
    let turned = View::rows(k, RowMap::strided(3, 3, 1, -1, 0, 2));
    let right = if lie == Lie::Plain { turned } else { p.whole(k) };
    let proj = p.contraction("proj", p.whole(x), right).unwrap();
    let delayed = |on: Lie| View::rows(x, RowMap::delay(1, 5, 1 + tells(on) as usize));
    let gram = p.contraction_transposed("gram", p.whole(x), delayed(Lie::Transposed)).unwrap();
    let prod = p.product("prod", p.whole(x), delayed(Lie::Product)).unwrap();
    let acc = p.linear("acc", vec![(3, p.whole(conv))], 5 + i128::from(tells(Lie::Linear))).unwrap();
    for (name, v) in [("proj q", proj), ("gram q", gram), ("prod q", prod)] {
        let q = requantize(&mut p, name, v, 5, 0);
        p.range(p.whole(q), -32, 6).unwrap();
    }
    let y = requantize(&mut p, "y", acc, 4, i128::from(tells(Lie::ScaledRange)));
    let mut relu: Vec<i64> = (-32..32).map(|v: i64| v.max(0)).collect();
    relu.iter_mut().for_each(|v| *v += if *v > 0 { tells(Lie::Pair) } else { 0 });
    relu[63] = 31;
    let relu = p.table(Table::function("relu", -32, relu)).unwrap();
    let more = i128::from(tells(Lie::Pair));
    let z = p
        .witness(
            "z",
            p.shape(y),
            (0, 31),
            &[y],
            Hint::whole(move |a| Ok(a[0].values().iter().map(|v| if v > 0 { v + more } else { 0 }).collect())),
        )
        .unwrap();
    let column = |view| Column { view, scale: 1, offset: 0 };
    p.lookup(vec![column(p.whole(y)), column(p.whole(z))], relu).unwrap();
    p.output(z);
    let (program, recipes) = p.finish().unwrap();
    let values = vec![7, -4, 9, 3, 8, -6, -5, 2, 6, 10, -9, 4, 1, 5, -3];
    let w: Vec<i128> = (0..33).map(|i| if i / 3 % 4 == 3 { 0 } else { i * 5 % 7 - 3 }).collect();
    let inputs = vec![table(5, 3, &values)];
    Case { program, recipes, inputs, constants: vec![table(11, 3, &w), table(3, 2, &[1, -2, 3, 2, -1, 2])] }
}

/// The honest verifier's answer to a trace in which all but one relation hold, multiplicities included.
fn answer(lie: Lie) -> Result {
    let honest = build(Lie::Nothing);
    let case = build(lie);
    let mut trace = Trace::run(&case.program, &case.recipes, &case.inputs, &case.constants).unwrap();
    // What the trace knows about places in tables is about those of the other program.
    let x = case.program.inputs()[0];
    trace.replace(x, trace.get(x).clone());
    assert!(lie == Lie::Nothing || trace.check(&honest.program).is_err(), "{lie:?} changes nothing");
    honest.verify(&trace, &honest.prove(&trace))
}

#[test]
fn each_relation_alone_is_enforced() {
    assert_eq!(answer(Lie::Nothing), Ok(()));
    assert_eq!(answer(Lie::Linear), fails(Check::LeafDenominators));
    for lie in [Lie::Taps, Lie::Plain, Lie::Transposed, Lie::Product] {
        assert_eq!(answer(lie), fails(Check::Wave { wave: 0 }), "{lie:?}");
    }
    for lie in [Lie::ScaledRange, Lie::Pair] {
        assert_eq!(answer(lie), fails(Check::RootNumerator), "{lie:?}");
    }
}

#[test]
fn a_value_outside_of_its_range_is_refused() {
    let case = build(Lie::Nothing);
    let mut trace = case.run();
    let mut x = trace.get(case.id("x")).clone();
    x.set(4, 2, 40);
    trace.replace(case.id("x"), x);
    assert_eq!(case.verify(&trace, &case.prove(&trace)), fails(Check::RootNumerator));
    // The same by a prover who claims a root of zero.
    let zero = edit(|root| root[0] = Fr::from(0u64));
    assert_eq!(case.tamper(&trace, Label::FractionRoot, 0, zero), fails(Check::FractionLayer { num_vars: 0 }));
}

#[test]
fn a_wrong_multiplicity_is_refused() {
    let case = build(Lie::Nothing);
    let mut trace = case.run();
    let id = case.id("multiplicities of relu");
    let mut counts = trace.get(id).clone();
    counts.set(0, 0, counts.get(0, 0) + 1);
    trace.replace(id, counts);
    assert_eq!(case.verify(&trace, &case.prove(&trace)), fails(Check::RootNumerator));
}

#[test]
fn another_output_is_refused() {
    let case = build(Lie::Nothing);
    let trace = case.run();
    let mut other = trace.clone();
    let mut z = trace.get(case.id("z")).clone();
    z.set(1, 2, z.get(1, 2) + 1);
    other.replace(case.id("z"), z);
    // The prover knows the false output and absorbs it; only the output itself is wrong.
    let proof = case.prove(&trace);
    assert!(case.verify(&other, &proof).is_err());
    assert!(case.verify(&other, &case.prove(&other)).is_err());
}

/// Labels of the messages of an honest proof, in order.
fn messages(case: &Case, trace: &Trace) -> Vec<(Label, usize)> {
    let recorder = common::Recorder::new(None);
    let mut channel = PlainProver::new(recorder.clone());
    case.prove_with::<Hyrax>(key(), trace, &mut channel);
    let events = recorder.events.lock().unwrap();
    let sent = events.iter().filter_map(|event| match event {
        common::Event::Absorb(label, len) => Some((*label, *len)),
        common::Event::Draw(..) => None,
    });
    sent.filter(|(label, _)| !matches!(label, Label::Program | Label::Statement | Label::PublicCommitment)).collect()
}

/// The check that catches a changed message; rounds belong to what ends them.
fn catches(sent: &[(Label, usize)], at: usize) -> Check {
    let layer = |until: usize| {
        let done = sent[..until].iter().filter(|(label, _)| *label == Label::FractionChildren).count();
        Check::FractionLayer { num_vars: done }
    };
    match sent[at].0 {
        Label::FractionRoot => Check::RootNumerator,
        Label::Inverse => Check::RootDenominator,
        Label::FractionChildren => layer(at),
        Label::WaveValues => Check::Wave { wave: 0 },
        Label::PointValues => Check::WeightedClaims,
        Label::Blinding | Label::InnerProductEnd => Check::InnerProduct,
        Label::OutputValues => Check::PublicOutput,
        Label::Round => {
            let end = sent[at..].iter().find(|(label, _)| *label != Label::Round).unwrap().0;
            if end == Label::FractionChildren {
                layer(at)
            } else {
                catches(sent, sent.len() - 1 - sent.iter().rev().position(|(l, _)| *l == end).unwrap())
            }
        }
        label => panic!("`{label}` is not a list of scalars"),
    }
}

#[test]
fn every_changed_scalar_of_a_proof_is_caught_where_it_is_used() {
    let case = build(Lie::Nothing);
    let trace = case.run();
    let sent = messages(&case, &trace);
    let mut tried = std::collections::BTreeSet::new();
    for (at, &(label, len)) in sent.iter().enumerate() {
        if matches!(label, Label::Commitment | Label::InnerProductCross) {
            continue;
        }
        let n = sent[..at].iter().filter(|(l, _)| *l == label).count();
        // The first and the last scalar of a long message stand for all.
        for k in [0, len / 32 - 1] {
            let answer = case.tamper(&trace, label, n, add_one(k));
            if label == Label::LeafValues {
                let leaf = [fails(Check::LeafNumerators), fails(Check::LeafDenominators)];
                assert!(leaf.contains(&answer), "{label} {n}: {answer:?}");
            } else {
                let check =
                    if label == Label::FractionRoot && k == 1 { Check::RootDenominator } else { catches(&sent, at) };
                assert_eq!(answer, fails(check), "{label} {n}, scalar {k}");
            }
        }
        tried.insert(label);
    }
    let all = [
        Label::FractionRoot,
        Label::Inverse,
        Label::Round,
        Label::FractionChildren,
        Label::LeafValues,
        Label::OutputValues,
        Label::WaveValues,
        Label::PointValues,
        Label::Blinding,
        Label::InnerProductEnd,
    ];
    assert!(all.iter().all(|label| tried.contains(label)), "{tried:?}");
}

#[test]
fn lies_that_pass_one_check_are_caught_by_the_next() {
    let case = build(Lie::Nothing);
    let trace = case.run();
    // Exchanged children satisfy the equation of their layer.
    let swap = || {
        edit(|c| {
            c.swap(0, 1);
            c.swap(2, 3);
        })
    };
    assert_eq!(case.tamper(&trace, Label::FractionChildren, 2, swap()), fails(Check::FractionLayer { num_vars: 3 }));
    // A root whose inverse fits it.
    let scaled = edit(|root| root[1] = root[1].double());
    assert_eq!(case.tamper(&trace, Label::FractionRoot, 0, scaled), fails(Check::RootDenominator));
}

#[test]
fn exchanged_commitments_are_refused() {
    let case = build(Lie::Nothing);
    let trace = case.run();
    // Message 0 has the rows of one tensor; give it those of another order, or others.
    let reverse = |bytes: &mut Vec<u8>| {
        let rows: Vec<Vec<u8>> = bytes.chunks(32).rev().map(<[u8]>::to_vec).collect();
        *bytes = rows.concat();
    };
    assert_eq!(case.tamper(&trace, Label::Commitment, 0, reverse), fails(Check::InnerProduct));
    assert_eq!(case.tamper(&trace, Label::InnerProductCross, 0, reverse), fails(Check::InnerProduct));
    let proof = case.prove(&trace);
    let mut commitments = case.commitments::<Hyrax>(key(), &trace);
    commitments[1].swap(0, 1);
    assert!(case.verify_with(&trace, &commitments, Merlin::new(common::NAME), &proof).is_err());
}

/// A witness that only lookups read, so that its padding has weight in no claim but those on padding.
fn looked_up(rows: usize, cols: usize) -> Case {
    let mut p = ProgramBuilder::new(4).with_width_vars(4);
    let x = p.input("x", (1, 1), 0, 15).unwrap();
    p.range(p.whole(x), 0, 4).unwrap();
    let y = p.witness("y", (rows, cols), (0, 15), &[x], Hint::whole(move |_| Ok(vec![3; rows * cols]))).unwrap();
    p.range(p.whole(y), 0, 4).unwrap();
    let (program, recipes) = p.finish().unwrap();
    Case { program, recipes, inputs: vec![table(1, 1, &[5])], constants: vec![] }
}

#[test]
fn garbage_in_the_padding_of_a_witness_is_refused() {
    for ((rows, cols), (all_rows, all_cols), place) in [
        ((5, 3), (5, 4), (2, 3)),
        ((5, 2), (8, 2), (7, 1)),
        ((9, 3), (9, 4), (8, 3)),
        ((9, 2), (16, 2), (15, 0)),
        ((2, 20), (2, 32), (1, 31)),
    ] {
        let case = looked_up(rows, cols);
        let trace = case.run();
        let mut instead = IntTable::clone(&table(all_rows, all_cols, &vec![0; all_rows * all_cols]));
        for (t, c) in (0..rows).flat_map(|t| (0..cols).map(move |c| (t, c))) {
            instead.set(t, c, 3);
        }
        for (garbage, expected) in [(0, Ok(())), (1, fails(Check::InnerProduct))] {
            instead.set(place.0, place.1, garbage);
            let key = GarbageKey { shape: (rows, cols), instead: instead.clone() };
            let mut channel = PlainProver::new(Merlin::new(common::NAME));
            case.prove_with::<Garbage>(&key, &trace, &mut channel);
            assert_eq!(case.verify(&trace, &channel.into_proof()), expected, "{rows} × {cols}");
        }
    }
}

#[test]
fn entries_after_the_end_of_a_vector_are_zero() {
    for (last, expected) in [(0, Ok(())), (1, fails(Check::InnerProduct))] {
        let mut p = ProgramBuilder::new(4);
        let x = p.input_vector("x", 13, 4, 0, 15).unwrap();
        p.range(p.whole(x), 0, 4).unwrap();
        let (program, recipes) = p.finish().unwrap();
        let mut values: Vec<i128> = (0..16).map(|i| if i < 13 { i } else { 0 }).collect();
        values[14] = last;
        let case = Case { program, recipes, inputs: vec![table(4, 4, &values)], constants: vec![] };
        let trace = case.run();
        assert_eq!(case.verify(&trace, &case.prove(&trace)), expected);
    }
}

#[test]
fn columns_after_a_slice_are_no_part_of_it() {
    // Three of five columns: the fourth is real and not zero, but must count as padding of the slice.
    let mut p = ProgramBuilder::new(4);
    let x = p.input("x", (3, 5), 0, 15).unwrap();
    let w = p.constant("w", 0, (3, 2), 0, 3).unwrap();
    p.range(p.whole(x), 0, 4).unwrap();
    let slice = p.whole(x).cols(0, 3);
    let square = p.product("square", slice.clone(), slice.clone()).unwrap();
    let shifted = p.linear("shifted", vec![(2, slice.clone()), (1, p.whole(square))], 1).unwrap();
    let gram = p.contraction_transposed("gram", slice.clone(), p.whole(shifted)).unwrap();
    let proj = p.contraction("proj", slice, p.whole(w)).unwrap();
    [gram, proj].into_iter().for_each(|id| p.output(id));
    let (program, recipes) = p.finish().unwrap();
    let values: Vec<i128> = (0..15).map(|i| i * 7 % 16).collect();
    let case = Case {
        program,
        recipes,
        inputs: vec![table(3, 5, &values)],
        constants: vec![table(3, 2, &[1, 2, 3, 0, 1, 2])],
    };
    let trace = case.run();
    assert_eq!(case.verify(&trace, &case.prove(&trace)), Ok(()));
    let mut false_trace = trace.clone();
    let mut gram = trace.get(case.id("gram")).clone();
    gram.set(1, 1, gram.get(1, 1) + values[8] * values[8]);
    false_trace.replace(case.id("gram"), gram);
    assert!(case.verify(&false_trace, &case.prove(&false_trace)).is_err());
}
