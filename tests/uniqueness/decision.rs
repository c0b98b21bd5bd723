//! The decision rule and the score.

use std::collections::BTreeSet;

use proptest::prelude::*;
use voxcheck::gkr::program::ProgramError;
use voxcheck::layers::score::{self, THRESHOLD_ONE};

use crate::Gadget;
use crate::search::Found;

const BYTES: std::ops::Range<i128> = -128..128;

/// The decision on embeddings of `len` bytes.
fn decision(len: usize, tau: u32) -> Gadget {
    let inputs = [(1, len, 8), (1, len, 8)];
    // The rule makes its bit public itself. An embedding that is its own features is zero with them.
    Gadget::new(8, &inputs, &[], |p, x| score::decide(p, x[0], x[0], x[1], tau).map(|_| vec![]))
}

fn dot(a: &[i128], b: &[i128]) -> i128 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `cos(e, t) ≥ τ/D`.
fn accepts(e: &[i128], t: &[i128], tau: u32) -> bool {
    let (x, norms) = (dot(e, t), dot(e, e) * dot(t, t));
    x > 0 && (x * x) << 30 >= i128::from(tau).pow(2) * norms
}

fn check(gadget: &Gadget, e: &[i128], t: &[i128], tau: u32) {
    gadget.check(&[e, t], Some(&[i128::from(accepts(e, t, tau))]));
}

#[test]
fn a_single_byte_is_decided_by_its_sign() {
    for tau in [1, THRESHOLD_ONE / 2, THRESHOLD_ONE] {
        let gadget = decision(1, tau);
        for t in [-128, -1, 0, 1, 77, 127] {
            for e in BYTES {
                gadget.check(&[&[e], &[t]], Some(&[i128::from(e * t > 0)]));
            }
        }
    }
}

#[test]
fn a_recording_without_features_is_rejected() {
    let inputs = [(2, 2, 8), (1, 1, 8), (1, 1, 8)];
    let gadget = Gadget::new(8, &inputs, &[], |p, x| score::decide(p, x[0], x[1], x[2], 1).map(|_| vec![]));
    for features in [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, -128, 127, 0], [-128; 4]] {
        for (e, t) in [(5, 7), (-5, 7), (-128, -128), (0, 1)] {
            let accept = features != [0; 4] && e * t > 0;
            gadget.check(&[&features, &[e], &[t]], Some(&[i128::from(accept)]));
        }
    }
}

#[test]
fn opposite_zero_and_boundary_embeddings_are_decided_in_one_way() {
    let one = THRESHOLD_ONE;
    for (e, t, tau, accept) in [
        ([3, 4], [3, 4], one, 1),
        ([3, 4], [-3, -4], 1, 0),
        ([-128, -128], [-128, -128], one, 1),
        ([-128, -128], [127, 127], 1, 0),
        ([0, 0], [3, 4], 1, 0),
        ([3, 4], [0, 0], 1, 0),
        ([0, 0], [0, 0], one, 0),
        ([1, 0], [0, 1], 1, 0),
        ([127, -128], [127, -127], one, 0),
        ([3, 4], [3, 5], one, 0),
        ([6, 8], [3, 4], one, 1),
    ] {
        decision(2, tau).check(&[&e, &t], Some(&[accept]));
    }
    // cos(60°) = 1/2 is a multiple of 2^-15: equality accepts, the next threshold does not.
    let (e, t) = ([1, 1, 1, 1], [1, 0, 0, 0]);
    for (tau, accept) in [(one / 2 - 1, 1), (one / 2, 1), (one / 2 + 1, 0)] {
        decision(4, tau).check(&[&e, &t], Some(&[accept]));
    }
}

/// Whether a score can be shown. Nothing else is public, so the one output is an empty one.
fn shows(e: &[i128], t: &[i128], claimed: i32) -> bool {
    let inputs = [(1, e.len(), 8), (1, t.len(), 8)];
    let gadget = Gadget::new(8, &inputs, &[], |p, x| -> Result<_, ProgramError> {
        score::reveal(p, x[0], x[1], claimed)?;
        Ok(vec![])
    });
    let found = gadget.admitted(&[e, t]);
    assert_eq!(gadget.honest(&[e, t]).is_some(), found.assignments == 1);
    let shown = Found { outputs: BTreeSet::from([vec![]]), assignments: 1 };
    assert!(found == shown || found == Found::default(), "{found:?}");
    found == shown
}

fn exact_score(e: &[i128], t: &[i128]) -> Option<i32> {
    let e: Vec<i64> = e.iter().map(|&v| v as i64).collect();
    let t: Vec<i16> = t.iter().map(|&v| v as i16).collect();
    score::exact_score(&e, &t)
}

#[test]
fn a_score_can_be_shown_in_one_way_and_no_other_score() {
    let one = THRESHOLD_ONE as i32;
    for (e, t, exact) in [
        ([3, 4], [3, 4], one),
        ([3, 4], [-3, -4], -one),
        ([1, 0], [0, 1], 0),
        ([1, 0], [1, 1], 23170),
        // ⌊−23170.47…⌋
        ([-1, 0], [1, 1], -23171),
        // Just below zero is −1, not 0.
        ([127, 0], [-1, 127], -259),
        ([-128, -128], [-128, 127], 128),
    ] {
        assert_eq!(exact_score(&e, &t), Some(exact), "{e:?}, {t:?}");
        for claimed in [exact - 1, exact, exact + 1, -exact, -1 - exact, 0, -1] {
            assert_eq!(shows(&e, &t, claimed), claimed == exact, "{claimed} for {e:?}, {t:?}");
        }
    }
    for claimed in [-one, -1, 0, 1, one] {
        assert!(!shows(&[0, 0], &[3, 4], claimed), "a zero embedding has score {claimed}");
        assert!(!shows(&[3, 4], &[0, 0], claimed), "a zero template has score {claimed}");
    }
}

fn pair() -> impl Strategy<Value = Vec<i128>> {
    prop::collection::vec(BYTES, 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decisions_on_pairs_of_bytes_have_one_answer(e in pair(), t in pair(), tau in 1u32..=THRESHOLD_ONE) {
        check(&decision(2, tau), &e, &t, tau);
        // The thresholds next to the score are where the answer changes.
        if let Some(score) = exact_score(&e, &t).filter(|&score| score > 0) {
            for tau in [score as u32, score as u32 + 1] {
                check(&decision(2, tau), &e, &t, tau);
            }
            prop_assert!(accepts(&e, &t, score as u32));
        }
    }

    #[test]
    fn scores_of_pairs_of_bytes_have_one_value(e in pair(), t in pair(), near in -3i32..4) {
        if let Some(exact) = exact_score(&e, &t) {
            prop_assert!(shows(&e, &t, exact));
            prop_assert_eq!(shows(&e, &t, exact + near), near == 0);
        }
    }
}

#[test]
#[ignore = "full tier: all pairs of bytes"]
fn all_pairs_of_single_bytes_are_decided_in_one_way() {
    let tau = THRESHOLD_ONE;
    let gadget = decision(1, tau);
    for (e, t) in BYTES.flat_map(|e| BYTES.map(move |t| ([e], [t]))) {
        check(&gadget, &e, &t, tau);
    }
}
