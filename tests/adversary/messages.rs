//! Every kind of message, changed in every way: refused live, and accepted once the rest of the proof is
//! repaired for challenges that no longer depend on it.

use std::collections::{BTreeMap, BTreeSet};

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use voxcheck::adversary::{Conditions, ForgeError, Message, Skip};
use voxcheck::sumcheck::error::Refusal;
use voxcheck::sumcheck::transcript::Label;

use crate::harness::{Session, refusal};
use crate::toy;
use crate::voice::Voice;

/// What is done to one element of a message, given the one that a replay would put there.
pub type Change<E> = fn(E, E) -> E;

pub const SCALARS: &[(&str, Change<Fr>)] = &[
    ("plus one", |v, _| v + Fr::ONE),
    ("minus one", |v, _| v - Fr::ONE),
    ("zero", |_, _| Fr::ZERO),
    ("one", |_, _| Fr::ONE),
    ("negated", |v, _| -v),
    ("doubled", |v, _| v.double()),
    ("inverted", |v, _| v.inverse().unwrap_or_default()),
    ("replayed", |_, other| other),
];

pub const POINTS: &[(&str, Change<G1Affine>)] = &[
    ("plus generator", |v, _| (v + G1Affine::generator()).into_affine()),
    ("identity", |_, _| G1Affine::identity()),
    ("generator", |_, _| G1Affine::generator()),
    ("negated", |v, _| -v),
    ("doubled", |v, _| G1Projective::from(v).double().into_affine()),
    ("replayed", |_, other| other),
];

pub fn is_points(label: Label) -> bool {
    matches!(label, Label::Commitment | Label::InnerProductCross | Label::Mask)
}

/// Whether a message consists of points: in a proof that hides, most do.
pub fn is_points_in(hiding: bool, label: Label) -> bool {
    use Label::{InnerProductEnd, MaskValue, Masked, ProductValues};
    is_points(label) || (hiding && !matches!(label, InnerProductEnd | MaskValue | Masked | ProductValues))
}

fn element<E: CanonicalDeserialize>(bytes: &[u8], at: usize) -> E {
    E::deserialize_compressed(&bytes[at..at + 32]).unwrap()
}

/// `bytes` with the element at `at` changed; none if that changes nothing.
fn changed<E: CanonicalSerialize + CanonicalDeserialize>(
    bytes: &[u8],
    at: usize,
    other: usize,
    change: Change<E>,
) -> Option<Vec<u8>> {
    let mut out = bytes.to_vec();
    change(element(bytes, at), element(bytes, other)).serialize_compressed(&mut out[at..at + 32]).unwrap();
    (out != bytes).then_some(out)
}

/// First, middle and last messages of every label.
fn chosen(messages: &[Message]) -> Vec<Message> {
    let mut by_label: BTreeMap<Label, Vec<Message>> = BTreeMap::new();
    messages.iter().filter(|m| m.len > 0).for_each(|&m| by_label.entry(m.label).or_default().push(m));
    by_label
        .into_values()
        .flat_map(|all| {
            let places: BTreeSet<usize> = [0, all.len() / 2, all.len() - 1].into();
            places.into_iter().map(|i| all[i]).collect::<Vec<_>>()
        })
        .collect()
}

/// Offsets of the first and the last element of a message.
fn ends(message: &Message) -> BTreeSet<usize> {
    [message.start, message.start + message.len - 32].into()
}

/// How a tampering was shown to be one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Control {
    /// Accepted with the honest tape, the rest of the proof repaired.
    Tape,
    /// The same, with one check off, which reads nothing but what was changed.
    TapeAndSwitch(Refusal),
}

/// Live the change is refused; a proof repaired around it is accepted under the honest tape, and refused live.
/// None if more than one check would have to be off for that.
fn judge(session: &Session, tampered: &[u8], keep: &BTreeSet<usize>, what: &str) -> Option<Control> {
    let live = session.verify(tampered, &Conditions::live());
    assert!(live.is_err(), "{what}: accepted");
    let mut conditions = Conditions::taped(&session.honest.tape);
    let mut control = Control::Tape;
    let forged = match session.forge(tampered, &conditions, keep) {
        Ok(forged) => forged,
        Err(ForgeError::Stuck(error)) => {
            conditions.skip.insert(Skip::Check(error.refusal()));
            control = Control::TapeAndSwitch(error.refusal());
            session.forge(tampered, &conditions, keep).ok()?
        }
        Err(error) => panic!("{what}: {error}"),
    };
    assert_eq!(session.verify(&forged, &conditions), Ok(()), "{what}: the control is refused");
    for &at in keep {
        assert_eq!(forged[at..at + 32], tampered[at..at + 32], "{what}: the change was repaired away");
    }
    assert!(refusal(&session.verify(&forged, &Conditions::live())).is_some(), "{what}: a forgery is accepted");
    Some(control)
}

/// All targets of a session: (label, mutation) with the controls that were needed.
pub fn sweep(session: &Session) -> BTreeMap<(Label, &'static str), BTreeSet<Control>> {
    let mut targets: BTreeMap<(Label, &'static str), BTreeSet<Control>> = BTreeMap::new();
    let honest = &session.honest.bytes;
    let messages = &session.honest.messages;
    for message in chosen(messages) {
        let same: Vec<&Message> = messages.iter().filter(|m| m.label == message.label && m.len > 0).collect();
        let place = same.iter().position(|m| m.start == message.start).unwrap();
        let neighbour = same[(place + 1) % same.len()].start;
        let mut target = |name: &'static str, tampered: Option<Vec<u8>>, keep: BTreeSet<usize>| {
            let Some(tampered) = tampered else { return };
            let what = format!("{} {}, {name}", message.label, message.index);
            if let Some(control) = judge(session, &tampered, &keep, &what) {
                targets.entry((message.label, name)).or_default().insert(control);
            }
        };
        for at in ends(&message) {
            // A message alone of its kind is replayed from its own other end.
            let other = if same.len() > 1 { neighbour } else { message.start + message.len - 32 };
            if is_points(message.label) {
                for &(name, change) in POINTS {
                    target(name, changed(honest, at, other, change), [at].into());
                }
            } else {
                for &(name, change) in SCALARS {
                    target(name, changed(honest, at, other, change), [at].into());
                }
            }
        }
        if message.len > 32 {
            let (first, last) = (message.start, message.start + message.len - 32);
            let mut swapped = honest.clone();
            swapped.copy_within(last..last + 32, first);
            swapped[last..last + 32].copy_from_slice(&honest[first..first + 32]);
            target("elements swapped", (swapped != *honest).then_some(swapped), [first, last].into());
        }
        let next = same[(place + 1) % same.len()];
        if next.len == message.len && next.start != message.start {
            let mut swapped = honest.clone();
            swapped.copy_within(next.start..next.start + next.len, message.start);
            swapped[next.start..next.start + next.len]
                .copy_from_slice(&honest[message.start..message.start + message.len]);
            let offsets = |m: &Message| (m.start..m.start + m.len).step_by(32).collect::<Vec<_>>();
            let keep = offsets(&message).into_iter().chain(offsets(next)).collect();
            target("messages swapped", (swapped != *honest).then_some(swapped), keep);
        }
    }
    targets
}

#[test]
fn every_message_changed_in_every_way_is_refused_and_was_worth_changing() {
    let mut targets: BTreeMap<(Label, &str), BTreeSet<Control>> = BTreeMap::new();
    for (name, case) in toy::all() {
        eprintln!("{name}");
        for (target, controls) in sweep(&Session::new(case)) {
            targets.entry(target).or_default().extend(controls);
        }
    }
    for ((label, mutation), controls) in &targets {
        println!("{label:22} {mutation:18} {controls:?}");
    }
    println!("{} targets", targets.len());
    assert!(targets.len() >= 90);
    let mut kinds: BTreeMap<Label, usize> = BTreeMap::new();
    targets.keys().for_each(|&(label, _)| *kinds.entry(label).or_default() += 1);
    for label in crate::manifest::sent(&Voice::new()) {
        assert!(kinds.get(&label).is_some_and(|&n| n >= 2), "{label} has fewer than two targets");
    }
}
