//! Lies inside the prover: nodes of the fraction tree, folded rows, padding; and values that fit by accident.

use std::collections::BTreeSet;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use num_bigint::BigInt;
use voxcheck::adversary::{Conditions, Site, TamperingProver};
use voxcheck::gkr::builder::{Hint, ProgramBuilder};
use voxcheck::gkr::pcs::Hyrax;
use voxcheck::sumcheck::eq::eq_prefix;
use voxcheck::sumcheck::error::Refusal;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::transcript::Label;

use crate::common::{Case, Garbage, GarbageKey, NAME, key, table};
use crate::harness::{Proved, Session, nothing, verify};
use crate::toy;

/// Refused live; accepted with that check off, or repaired under its own tape.
fn judge(session: &Session, proved: &Proved, what: &str) -> Refusal {
    let error = session.verify(&proved.bytes, &Conditions::live()).expect_err(what);
    if session.verify(&proved.bytes, &Conditions::without_check(error.refusal())).is_err() {
        let taped = Conditions::taped(&proved.tape);
        let forged = session.forge(&proved.bytes, &taped, &BTreeSet::new()).expect(what);
        assert_eq!(session.verify(&forged, &taped), Ok(()), "{what}");
        assert!(session.verify(&forged, &Conditions::live()).is_err(), "{what}");
    }
    error.refusal()
}

#[test]
fn every_level_of_the_tree_changed_is_refused() {
    type Change = fn(Fr, Fr) -> (Fr, Fr);
    let changes: [(&str, Change); 4] = [
        ("numerator plus one", |p, q| (p + Fr::ONE, q)),
        ("denominator plus one", |p, q| (p, q + Fr::ONE)),
        ("neutral", |_, _| (Fr::ZERO, Fr::ONE)),
        ("doubled on both sides", |p, q| (p.double(), q.double())),
    ];
    for (name, case) in toy::all() {
        let session = Session::new(case);
        let mut levels = BTreeSet::new();
        let _ = session.prove(&Conditions::live(), |site: Site<'_, Fr>| {
            if let Site::Nodes { level, .. } = site {
                levels.insert(level);
            }
        });
        assert!(levels.len() > 4, "{name}");
        for level in levels {
            for (change_name, change) in changes {
                let proved = session.prove(&Conditions::live(), |site: Site<'_, Fr>| {
                    if let Site::Nodes { level: visited, layer } = site
                        && visited == level
                    {
                        let i = layer.len() - 1;
                        let (p, q) = change(layer.numerator(i), layer.denominator(i));
                        layer.set(i, p, q);
                    }
                });
                if proved.bytes != session.honest.bytes {
                    judge(&session, &proved, &format!("{name}, level {level}, {change_name}"));
                }
            }
        }
    }
}

#[test]
fn a_folded_row_changed_is_refused() {
    for (name, case) in toy::all() {
        let session = Session::new(case);
        for last in [false, true] {
            let proved = session.prove(&Conditions::live(), |site: Site<'_, Fr>| {
                if let Site::Folded { group: 0, vector } = site {
                    let i = if last { vector.len() - 1 } else { 0 };
                    vector[i] += Fr::ONE;
                }
            });
            judge(&session, &proved, &format!("{name}, folded row"));
        }
    }
}

/// Garbage in the columns after the real ones, in the slack of the last row, in both factors of a contraction.
#[test]
fn garbage_in_padding_is_refused_by_nothing_but_its_own_claims() {
    let mut p = ProgramBuilder::new(4).with_width_vars(4);
    let x = p.input("x", (5, 3), 0, 15).unwrap();
    p.range(p.whole(x), 0, 4).unwrap();
    let y = p.witness("y", (5, 3), (0, 15), &[x], Hint::entrywise(|v| v)).unwrap();
    p.range(p.whole(y), 0, 4).unwrap();
    let gram = p.contraction_transposed("gram", p.whole(x), p.whole(y)).unwrap();
    p.output(gram);
    let (program, recipes) = p.finish().unwrap();
    let values: Vec<i128> = (0..15).map(|i| i * 7 % 16).collect();
    let case = Case { program, recipes, inputs: vec![table(5, 3, &values)], constants: vec![] };
    let trace = case.run();
    // (rows, columns, place): a padding column of both factors, the slack after the last row.
    for (rows, cols, place) in [(5, 4, (2, 3)), (5, 4, (4, 3)), (8, 4, (5, 0)), (8, 4, (7, 3))] {
        let mut instead = IntTable::new(rows, cols, IntVec::I16(vec![0; rows * cols]));
        (0..15).for_each(|i| instead.set(i / 3, i % 3, values[i]));
        for (garbage, live) in [(0, None), (1, Some(Refusal::InnerProduct)), (-1, Some(Refusal::InnerProduct))] {
            instead.set(place.0, place.1, garbage);
            let liar = GarbageKey { shape: (5, 3), instead: instead.clone() };
            let mut channel = TamperingProver::new(NAME, &Conditions::live(), nothing);
            case.prove_with::<Garbage>(&liar, &trace, &mut channel);
            let proof = channel.into_parts().0;
            let commitments = case.commitments::<Garbage>(&liar, &trace);
            let answer = |c: &Conditions| verify(&case, &trace, &commitments, &proof, c);
            assert_eq!(answer(&Conditions::live()).err().map(|error| error.refusal()), live);
            assert_eq!(answer(&Conditions::without_check(Refusal::InnerProduct)), Ok(()));
        }
    }
}

/// An output of other integers whose extension agrees with the true one at the honest point: with the challenge
/// known the proof need not be changed at all.
#[test]
fn an_output_that_agrees_at_the_honest_point_is_refused() {
    let session = Session::new(toy::every_relation());
    let output = session.case.program.outputs()[0];
    let honest = session.trace.get(output);
    let tensor = session.case.program.tensor(output);
    let drawn: Vec<Fr> = session
        .honest
        .tape
        .challenges()
        .filter(|(label, _)| *label == Label::OutputChallenge)
        .map(|(_, r)| r)
        .collect();
    let (cols, rows) = drawn.split_at(tensor.col_vars());
    let weights = eq_prefix(cols, tensor.cols);
    let row = eq_prefix(&rows[..tensor.row_vars()], tensor.rows)[0];
    // s·w₁ + r·w₀ = 0 for two entries of a row, with s and r of half the size of the field.
    let ratio = -(weights[1] * row) * (weights[0] * row).inverse().unwrap();
    let (s, r) = short_pair(ratio);
    let mut values: Vec<i128> = honest.values().iter().collect();
    values[0] += r;
    values[1] += s;
    let mut other = session.trace.clone();
    other.replace(output, IntTable::clone(&table(honest.rows(), honest.cols(), &values)));
    let commitments = session.case.commitments::<Hyrax>(key(), &session.trace);
    let answer = |c: &Conditions| verify(&session.case, &other, &commitments, &session.honest.bytes, c);
    assert_eq!(answer(&Conditions::taped(&session.honest.tape)), Ok(()));
    assert!(answer(&Conditions::live()).is_err());
}

/// `(s, r)` with `r = k·s` in the field, both below its square root: the extended Euclidean algorithm, halfway.
fn short_pair(k: Fr) -> (i128, i128) {
    let integer = |v: <Fr as PrimeField>::BigInt| BigInt::from(num_bigint::BigUint::from(v));
    let (mut r0, mut r1) = (integer(Fr::MODULUS), integer(k.into_bigint()));
    let (mut s0, mut s1) = (BigInt::from(0), BigInt::from(1));
    let half = BigInt::from(1u128 << 127);
    while r1 >= half {
        let quotient = &r0 / &r1;
        (r0, r1) = (r1.clone(), r0 - &quotient * &r1);
        (s0, s1) = (s1.clone(), s0 - &quotient * &s1);
    }
    (i128::try_from(s1).expect("half the size"), i128::try_from(r1).expect("half the size"))
}
