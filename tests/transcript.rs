//! Both sides absorb and draw the same, in a known order, and every byte of a statement counts.

mod common;

use common::{Case, Event, Recorder, key, table};
use voxcheck::gkr::builder::{Hint, ProgramBuilder};
use voxcheck::gkr::pcs::Hyrax;
use voxcheck::gkr::view::{RowMap, View};
use voxcheck::sumcheck::channel::PlainProver;
use voxcheck::sumcheck::transcript::Label;

/// A product, a contraction, a lookup, a public output, and padding.
fn case() -> Case {
    let mut p = ProgramBuilder::new(4).with_width_vars(2);
    let x = p.input("x", (3, 3), 0, 15).unwrap();
    let w = p.constant("w", 0, (3, 2), 0, 3).unwrap();
    p.range(p.whole(x), 0, 4).unwrap();
    let square = p.product("square", p.whole(x), View::rows(x, RowMap::delay(1, 3, 1))).unwrap();
    let conv = p.contraction("conv", p.whole(square), p.whole(w)).unwrap();
    let q = p.witness("q", (3, 2), (0, 15), &[conv], Hint::entrywise(|v| v >> 4)).unwrap();
    let rem = p.linear("rem", vec![(1, p.whole(conv)), (-16, p.whole(q))], 0).unwrap();
    p.range(p.whole(q), 0, 4).unwrap();
    p.range(p.whole(rem), 0, 4).unwrap();
    p.output(q);
    let (program, recipes) = p.finish().unwrap();
    let inputs = vec![table(3, 3, &[1, 2, 3, 4, 5, 6, 7, 8, 9])];
    Case { program, recipes, inputs, constants: vec![table(3, 2, &[1, 0, 2, 1, 0, 1])] }
}

/// What the prover's transcript sees, and the proof.
fn record(case: &Case, flip: Option<(usize, usize)>) -> (Vec<Event>, Vec<u8>) {
    let recorder = Recorder::new(flip);
    let mut channel = PlainProver::new(recorder.clone());
    case.prove_with::<Hyrax>(key(), &case.run(), &mut channel);
    (std::mem::take(&mut *recorder.events.lock().unwrap()), channel.into_proof())
}

/// Names of events, repeated ones once with their number.
fn schedule(events: &[Event]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for name in events.iter().map(Event::name) {
        match lines.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => lines.push((name, 1)),
        }
    }
    lines
        .iter()
        .map(|(name, count)| if *count > 1 { format!("{name} x{count}\n") } else { format!("{name}\n") })
        .collect()
}

#[test]
fn both_sides_absorb_and_draw_the_same_in_the_golden_order() {
    let case = case();
    let (events, proof) = record(&case, None);
    let trace = case.run();
    let recorder = Recorder::new(None);
    let commitments = case.commitments::<Hyrax>(key(), &trace);
    assert_eq!(case.verify_with(&trace, &commitments, recorder.clone(), &proof), Ok(()));
    assert_eq!(*recorder.events.lock().unwrap(), events);
    let golden = include_str!("golden/schedule.txt");
    assert!(schedule(&events) == golden, "the schedule has changed:\n{}", schedule(&events));
}

#[test]
fn every_message_is_absorbed_before_the_next_challenge() {
    let case = case();
    let (events, proof) = record(&case, None);
    let statement = [Label::Program, Label::Statement, Label::PublicCommitment];
    let sent = events.iter().filter_map(|event| match event {
        Event::Absorb(label, len) if !statement.contains(label) => Some(*len),
        _ => None,
    });
    assert_eq!(sent.sum::<usize>(), proof.len());
    // Commitments come first: none follows a challenge.
    let drawn = events.iter().position(|event| matches!(event, Event::Draw(..))).unwrap();
    let late =
        |event: &Event| matches!(event, Event::Absorb(Label::Commitment | Label::PublicCommitment | Label::Program, _));
    assert!(!events[drawn..].iter().any(late));
}

#[test]
fn every_byte_of_the_statement_changes_every_challenge() {
    let case = case();
    let (events, _) = record(&case, None);
    let drawn = |events: &[Event]| -> Vec<Vec<u8>> {
        events.iter().filter_map(|e| if let Event::Draw(_, bytes) = e { Some(bytes.clone()) } else { None }).collect()
    };
    let honest = drawn(&events);
    let first = events.iter().position(|event| matches!(event, Event::Draw(..))).unwrap();
    for (at, event) in events[..first].iter().enumerate() {
        let Event::Absorb(label, len) = event else { continue };
        // One byte of each hash word of long messages, every byte of short ones.
        for byte in (0..*len).step_by(if *len > 64 { 13 } else { 5 }) {
            let (changed, _) = record(&case, Some((at, byte)));
            let changed = drawn(&changed);
            assert_eq!(changed.len(), honest.len());
            assert!(changed.iter().zip(&honest).all(|(a, b)| a != b), "`{label}`, byte {byte}");
        }
    }
}
