//! All fields of proofs, statements and proof files, and what is done to each.

use std::collections::BTreeSet;
use std::fmt::Write;

use voxcheck::adversary::{Conditions, Parts};
use voxcheck::statement::Proof;
use voxcheck::sumcheck::transcript::Label;

use crate::harness::Session;
use crate::messages::{POINTS, SCALARS, is_points};
use crate::toy;
use crate::voice::{EDITS, OTHERS, RELABELS, Voice};

/// Labels under which a prover sends something, found by proving.
pub fn sent(voice: &Voice) -> BTreeSet<Label> {
    let toys = toy::all().into_iter().flat_map(|(_, case)| Session::new(case).honest.messages);
    let all = toys.chain(voice.honest.messages.iter().copied());
    all.filter(|message| message.len > 0).map(|message| message.label).collect()
}

/// Every field with the mutations that the tests apply to it.
fn manifest(voice: &Voice) -> String {
    let mut text = String::new();
    for label in sent(voice) {
        let names: Vec<&str> = if is_points(label) {
            POINTS.iter().map(|(name, _)| *name).collect()
        } else {
            SCALARS.iter().map(|(name, _)| *name).collect()
        };
        writeln!(text, "message/{label}: {}", names.join(", ")).unwrap();
    }
    for field in Parts::FIELDS {
        let edits = EDITS.iter().chain(OTHERS).filter(|edit| edit.0 == *field);
        let relabels = RELABELS.iter().filter(|relabel| relabel.0 == *field).map(|relabel| relabel.1);
        let names: Vec<&str> = edits.map(|edit| edit.1).chain(relabels).collect();
        assert!(names.len() >= 2, "the field `{field}` of a statement is not tampered with");
        writeln!(text, "statement/{field}: {}", names.join(", ")).unwrap();
    }
    for (section, ..) in voice.honest.proof.sections() {
        writeln!(text, "file/{section}: first bit, last bit").unwrap();
    }
    text
}

#[test]
fn the_manifest_is_complete() {
    let voice = Voice::new();
    let found = manifest(&voice);
    let golden = include_str!("../golden/manifest.txt");
    assert!(found == golden, "the fields have changed; this is the manifest now:\n{found}");
}

#[test]
fn every_section_of_a_proof_file_changed_is_refused() {
    let voice = Voice::new();
    let proof = &voice.honest.proof;
    let bytes = proof.to_bytes();
    assert_eq!(Proof::from_bytes(&bytes).as_ref(), Ok(proof));
    for (section, offset, len) in proof.sections() {
        for (at, bit) in [(offset, 1u8), (offset + len - 1, 0x80)] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            let Ok(other) = Proof::from_bytes(&changed) else { continue };
            // Against what the verifier expects, and for what the file itself says.
            assert!(voice.vk.verify(proof.statement(), &other).is_err(), "{section}");
            assert!(voice.verify(&other, &Conditions::live()).is_err(), "{section}");
        }
    }
}
