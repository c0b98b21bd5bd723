//! Proofs that hide, tampered with: whatever a message is, or was made from, a false proof is refused.

use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use voxcheck::adversary::Conditions;
use voxcheck::sumcheck::error::{Refusal, VerifyError};

use crate::harness::{Session, nothing, prove_in, refusal};
use crate::messages::{Change, POINTS, SCALARS, is_points_in};
use crate::toy;

fn changed<E: CanonicalSerialize + CanonicalDeserialize>(
    bytes: &[u8],
    at: usize,
    other: usize,
    change: Change<E>,
) -> Option<Vec<u8>> {
    let element = |at: usize| E::deserialize_compressed(&bytes[at..at + 32]).unwrap();
    let mut out = bytes.to_vec();
    change(element(at), element(other)).serialize_compressed(&mut out[at..at + 32]).unwrap();
    (out != bytes).then_some(out)
}

/// The first element of every message, changed in every way.
#[test]
fn every_message_changed_in_every_way_is_refused() {
    let mut targets = std::collections::BTreeSet::new();
    for (name, case) in toy::all() {
        let session = Session::hiding(case);
        let (bytes, messages) = (&session.honest.bytes, &session.honest.messages);
        for (m, message) in messages.iter().enumerate().filter(|(_, m)| m.len > 0) {
            let points = is_points_in(true, message.label);
            // A message of the same kind to be replayed.
            let same = |m: &&voxcheck::adversary::Message| m.len > 0 && is_points_in(true, m.label) == points;
            let other = messages.iter().cycle().skip(m + 1).find(same).unwrap().start;
            let mut refuse = |kind: &'static str, tampered: Option<Vec<u8>>| {
                let Some(tampered) = tampered else { return };
                let answer = session.verify(&tampered, &Conditions::live());
                assert!(answer.is_err(), "{name}: {} {}, {kind} is accepted", message.label, message.index);
                targets.insert((message.label, kind));
            };
            // What is no element at all, of either kind.
            let mut nothing = bytes.clone();
            nothing[message.start..message.start + 32].fill(0xff);
            refuse("no element", Some(nothing));
            if points {
                POINTS.iter().for_each(|&(kind, change)| refuse(kind, changed(bytes, message.start, other, change)));
            } else {
                SCALARS.iter().for_each(|&(kind, change)| refuse(kind, changed(bytes, message.start, other, change)));
            }
        }
    }
    assert!(targets.len() > 60, "{} targets", targets.len());
}

/// A value out of range: its lookups, layers and waves hide it, and the opening refuses.
#[test]
fn false_traces_are_refused() {
    for (name, case) in toy::all() {
        let session = Session::hiding(case);
        let x = session.case.program.inputs()[0];
        let mut lie = session.trace.clone();
        let mut table = session.trace.get(x).clone();
        let honest = table.get(0, 0);
        for value in [honest + 1, 1 << 12, -1] {
            table.set(0, 0, value);
            lie.replace(x, table.clone());
            let proof = prove_in(true, &session.case, &lie, &Conditions::live(), nothing).bytes;
            let answer = session.verify_trace(&lie, &proof, &Conditions::live());
            assert_eq!(refusal(&answer), Some(Refusal::InnerProduct), "{name}, {value}");
        }
    }
}

#[test]
fn proofs_end_where_they_end() {
    let session = Session::hiding(toy::every_relation());
    let bytes = &session.honest.bytes;
    for cut in [1, 32, bytes.len() / 2, bytes.len() - 1, bytes.len()] {
        let answer = session.verify(&bytes[..bytes.len() - cut], &Conditions::live());
        assert!(matches!(answer, Err(VerifyError::Truncated(_))), "{cut}");
    }
    let longer = [&bytes[..], &[0; 32]].concat();
    assert_eq!(session.verify(&longer, &Conditions::live()), Err(VerifyError::TrailingBytes(32)));
}
