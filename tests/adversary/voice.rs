//! Statements about a voice, each field changed alone.

use std::collections::{BTreeMap, BTreeSet};

use ark_bn254::Fr;
use voxcheck::adversary::{Conditions, ForgeError, Forged, Parts, Site, Skip};
use voxcheck::audio::wav::Wav;
use voxcheck::proof::{Mode, ProveOptions, Reveal, Template};
use voxcheck::statement::{Proof, Statement, TemplateSecret};
use voxcheck::sumcheck::error::{Refusal, StatementError, VerifyError};
use voxcheck::{Context, Model, ProvingKey, VerifyingKey, setup};

use crate::harness::nothing;
use crate::mutants::Attack;
use crate::word::Word;

/// The bundled model, a template and a recording, short and synthetic.
pub struct Voice {
    pub pk: ProvingKey,
    pub vk: VerifyingKey,
    pub template: (Template, TemplateSecret),
    pub wav: Wav,
    pub context: Context,
    pub honest: Forged,
    pub word: Word,
}

pub fn wav(seed: i32) -> Wav {
    Wav { sample_rate: 16_000, samples: (0..12_000).map(|i| ((i * i % 97 + seed) * 150 - 7_000) as i16).collect() }
}

/// A change of a statement.
type EditParts = fn(&mut Parts);

/// What is done to a statement: field, mutation, what must be revealed for it, and how.
pub type Edit = (&'static str, &'static str, Reveal, EditParts);

/// Every field, changed in at least two ways.
pub const EDITS: &[Edit] = &[
    ("model", "first bit", Reveal::Decision, |p| p.model[0] ^= 1),
    ("model", "last bit", Reveal::Decision, |p| p.model[31] ^= 0x80),
    ("sample_rate", "halved", Reveal::Decision, |p| p.sample_rate /= 2),
    ("sample_rate", "plus one", Reveal::Decision, |p| p.sample_rate += 1),
    ("num_samples", "plus one", Reveal::Decision, |p| p.num_samples += 1),
    ("num_samples", "minus one", Reveal::Decision, |p| p.num_samples -= 1),
    ("audio_rows", "swapped", Reveal::Decision, |p| p.audio_rows.swap(0, 1)),
    ("audio_rows", "replayed", Reveal::Decision, |p| p.audio_rows[0] = p.template_rows[0]),
    ("audio_rows", "one less", Reveal::Decision, |p| p.audio_rows.truncate(1)),
    ("audio_rows", "one more", Reveal::Decision, |p| p.audio_rows.push(p.audio_rows[0])),
    ("template_model", "first bit", Reveal::Decision, |p| p.template_model[0] ^= 1),
    ("template_model", "last bit", Reveal::Decision, |p| p.template_model[31] ^= 0x80),
    ("threshold", "plus one", Reveal::Decision, |p| p.threshold += 1),
    ("threshold", "minus one", Reveal::Decision, |p| p.threshold -= 1),
    ("template_rows", "replaced", Reveal::Decision, |p| p.template_rows[0] = p.audio_rows[0]),
    ("template_rows", "identity", Reveal::Decision, |p| {
        p.template_rows[0] = [0; 32];
        p.template_rows[0][31] = 0x40;
    }),
    ("accept", "flipped", Reveal::Decision, |p| p.accept = !p.accept),
    ("accept", "flipped, embedding revealed", Reveal::Embedding, |p| p.accept = !p.accept),
    ("score", "plus one", Reveal::Score, |p| p.score = p.score.map(|s| s + 1)),
    ("score", "minus one", Reveal::Score, |p| p.score = p.score.map(|s| s - 1)),
    ("score", "negated", Reveal::Score, |p| p.score = p.score.map(|s| -s)),
    ("embedding", "plus one", Reveal::Embedding, |p| p.embedding.as_mut().unwrap()[7] += 1),
    ("embedding", "negated", Reveal::Embedding, |p| p.embedding.as_mut().unwrap().iter_mut().for_each(|v| *v = -*v)),
    ("embedding", "swapped", Reveal::Embedding, |p| p.embedding.as_mut().unwrap().swap(0, 1)),
    ("readings", "one that the model does not give", Reveal::Decision, |p| p.readings.push((0, 0))),
    ("readings", "two that the model does not give", Reveal::Decision, |p| p.readings = vec![(1, 0), (0, 7)]),
];

/// Changes that leave a true statement for a prover who makes them, but not the one that was proved.
pub const OTHERS: &[Edit] = &[
    ("context", "another", Reveal::Decision, |p| p.context[0] ^= 1),
    ("context", "longer", Reveal::Decision, |p| p.context.push(0)),
    ("context", "empty", Reveal::Decision, |p| p.context.clear()),
    ("label", "another", Reveal::Decision, |p| p.label = "Eve".into()),
    ("label", "a space", Reveal::Decision, |p| p.label.push(' ')),
    ("recordings", "the probe named", Reveal::Decision, |p| {
        p.recordings.push((p.sample_rate, p.num_samples, p.audio_rows.clone()));
    }),
    ("recordings", "an empty one named", Reveal::Decision, |p| p.recordings.push((p.sample_rate, 0, Vec::new()))),
    ("refuse_replays", "set", Reveal::Decision, |p| p.refuse_replays = true),
    ("refuse_replays", "set, for a recording of another length", Reveal::Decision, |p| {
        p.refuse_replays = true;
        p.recordings.push((p.sample_rate, 1, p.audio_rows.clone()));
    }),
    ("attestation", "added", Reveal::Decision, |p| p.attestation = Some((p.model, 1, [p.model; 2]))),
    ("attestation", "added, of time zero", Reveal::Decision, |p| p.attestation = Some(([0; 32], 0, [[0; 32]; 2]))),
];

/// What is said about whether a proof hides, whether there is a template, and which chunks are active, of a model that says
/// so (`activity.rs`): all change what messages there are.
pub const RELABELS: &[(&str, &str)] = &[
    ("zk", "clear as zk"),
    ("zk", "zk as clear"),
    ("template", "left out"),
    ("template", "left out, of an acceptance"),
    ("activity", "one flipped"),
    ("activity", "all flipped"),
    ("activity", "one less"),
    ("activity", "one more"),
    ("activity", "left out"),
];

fn clear(pk: &ProvingKey, wav: &Wav, (template, secret): &(Template, TemplateSecret), context: &Context) -> Proof {
    let options = ProveOptions { mode: Mode::Clear, ..ProveOptions::default() };
    pk.prove_with(wav, template, secret, context, &options).unwrap().0
}

/// A proof of one mode is none of the other, and is one of its own.
#[test]
fn a_relabelled_proof_is_refused() {
    let voice = Voice::new();
    let hidden = voice.pk.prove(&voice.wav, &voice.template, &voice.context).unwrap().1;
    for proof in [&voice.honest.proof, &hidden] {
        assert_eq!(voice.verify(proof, &Conditions::live()), Ok(()));
        let mut parts = proof.statement().parts();
        parts.zk = !parts.zk;
        let statement = Statement::from_parts(parts).unwrap();
        let relabelled = Proof::from_parts(statement, proof.argument().to_vec());
        assert!(voice.verify(&relabelled, &Conditions::live()).is_err());
    }
}

/// Where the model is about a voice, nothing is accepted that is compared with nothing.
#[test]
fn a_statement_without_its_template_is_refused() {
    let voice = Voice::new();
    let honest = voice.prove(Reveal::Embedding, &Conditions::live(), |_| (), nothing).proof;
    assert_eq!(voice.verify(&honest, &Conditions::live()), Ok(()));
    for accept in [false, true] {
        let mut parts = honest.statement().parts();
        (parts.template, parts.accept) = (false, accept);
        let statement = Statement::from_parts(parts).unwrap();
        let carried = Proof::from_parts(statement, honest.argument().to_vec());
        let error = voice.verify(&carried, &Conditions::live()).unwrap_err();
        assert_eq!(error, VerifyError::Statement(StatementError::Template));
    }
}

impl Voice {
    pub fn new() -> Self {
        let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
        let template = pk.enrol(&[wav(0)], 0.5).unwrap();
        let context = Context::new(*b"context");
        let (wav, live) = (wav(3), Conditions::live());
        let (t, s) = (&template.0, &template.1);
        let honest = pk
            .prove_adversarially(&wav, (t, s), &context, (Mode::Clear, Reveal::Decision), &live, |_| (), nothing)
            .unwrap();
        // An adversary who does nothing makes the same proof as an honest prover.
        let proof = clear(&pk, &wav, &template, &context);
        assert_eq!(proof, honest.proof);
        assert!(vk.verify(proof.statement(), &proof).is_ok());
        Self { pk, vk, template, wav, context, honest, word: Word::new() }
    }

    pub fn prove(
        &self,
        reveal: Reveal,
        conditions: &Conditions,
        edit: impl FnOnce(&mut Parts),
        adversary: impl FnMut(Site<'_, Fr>) + Send,
    ) -> Forged {
        let template = (&self.template.0, &self.template.1);
        self.pk
            .prove_adversarially(&self.wav, template, &self.context, (Mode::Clear, reveal), conditions, edit, adversary)
            .unwrap()
    }

    pub fn verify(&self, proof: &Proof, conditions: &Conditions) -> Result<(), VerifyError> {
        self.vk.verify_under(proof.statement(), proof, conditions).map(|_| ())
    }

    /// Lies that only the checks of a statement catch.
    pub fn attacks(&self) -> Vec<Attack<'_>> {
        let edited = |edit: fn(&mut Parts), reveal| self.prove(reveal, &Conditions::live(), edit, nothing).proof;
        let mut attacks = self.word.attacks();
        let edits: [(_, EditParts, _); 7] = [
            ("another model", |p| p.model[0] ^= 1, Reveal::Decision),
            ("another model's template", |p| p.template_model[0] ^= 1, Reveal::Decision),
            ("another sample rate", |p| p.sample_rate = 8_000, Reveal::Decision),
            ("a long context", |p| p.context = vec![7; 257], Reveal::Decision),
            ("a flipped decision", |p| p.accept = !p.accept, Reveal::Decision),
            ("no samples", |p| p.num_samples = 0, Reveal::Decision),
            ("too many recordings", |p| p.recordings = vec![(p.sample_rate, 1, Vec::new()); 17], Reveal::Decision),
        ];
        for (name, edit, reveal) in edits {
            let proof = edited(edit, reveal);
            attacks.push(Attack::new(name, move |c| self.verify(&proof, c)));
        }
        // A proof that carries another statement than the one it is for.
        let mut parts = self.honest.proof.statement().parts();
        parts.context = b"other".to_vec();
        let other = Statement::from_parts(parts).unwrap();
        let carried = Proof::from_parts(other, self.honest.proof.argument().to_vec());
        let statement = self.honest.proof.statement();
        attacks.push(Attack::new("another statement beside it", move |c| {
            self.vk.verify_under(statement, &carried, c).map(|_| ())
        }));
        // Thresholds and scores that are no cosines, argued for with the tape of their own program.
        let beyond: [(_, EditParts, _); 2] = [
            ("a threshold above one", |p| p.threshold = (1 << 15) + 1, Reveal::Decision),
            ("a score above one", |p| p.score = Some((1 << 15) + 1), Reveal::Score),
        ];
        for (name, edit, reveal) in beyond {
            let forged = self.prove(reveal, &Conditions::live(), edit, nothing);
            attacks.push(Attack::new(name, move |c| {
                let taped = Conditions { tape: Some(forged.tape.clone()), ..c.clone() };
                match self.vk.forge(&forged.proof, &taped) {
                    Ok(proof) => self.verify(&proof, &taped),
                    Err(ForgeError::Stuck(error) | ForgeError::Stopped(error)) => Err(error),
                }
            }));
        }
        attacks
    }

    /// Whether every field of the statement that is absorbed must be the verifier's own.
    pub fn every_statement_binds(&self, conditions: &Conditions) -> Result<(), String> {
        let mut sites = BTreeSet::new();
        self.prove(
            Reveal::Decision,
            conditions,
            |_| (),
            |site: Site<'_, Fr>| {
                if let Site::Statement { label, index, .. } = site {
                    sites.insert((label, index));
                }
            },
        );
        for (label, index) in sites {
            let forged = self.prove(
                Reveal::Decision,
                conditions,
                |_| (),
                |site: Site<'_, Fr>| {
                    if let Site::Statement { label: l, index: i, bytes } = site
                        && (l, i) == (label, index)
                    {
                        bytes.push(1);
                    }
                },
            );
            if self.verify(&forged.proof, conditions).is_ok() {
                return Err(format!("{label} {index} of a voice does not bind"));
            }
        }
        Ok(())
    }

    /// Shows that a false proof is refused live for one reason: it is accepted with that check off, or repaired
    /// under its own tape. Returns how it was refused.
    fn judge(&self, forged: &Forged, what: &str) -> Refusal {
        let error = self.verify(&forged.proof, &Conditions::live()).expect_err(what);
        if self.verify(&forged.proof, &Conditions::without_check(error.refusal())).is_ok() {
            return error.refusal();
        }
        let mut taped = Conditions::taped(&forged.tape);
        let repaired = match self.vk.forge(&forged.proof, &taped) {
            Err(ForgeError::Stuck(error)) => {
                taped.skip.insert(Skip::Check(error.refusal()));
                self.vk.forge(&forged.proof, &taped)
            }
            result => result,
        };
        let repaired = repaired.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(self.verify(&repaired, &taped), Ok(()), "{what}");
        assert!(self.verify(&repaired, &Conditions::live()).is_err(), "{what}");
        error.refusal()
    }
}

#[test]
fn every_field_of_a_statement_changed_is_refused_and_was_worth_changing() {
    let voice = Voice::new();
    let mut refused: BTreeMap<(&str, &str), Vec<Refusal>> = BTreeMap::new();
    for &(field, mutation, reveal, edit) in EDITS {
        // A prover who claims the changed statement from the start.
        let forged = voice.prove(reveal, &Conditions::live(), edit, nothing);
        let claimed = voice.judge(&forged, &format!("{field}, {mutation}, claimed"));
        refused.entry((field, mutation)).or_default().push(claimed);
    }
    for &(field, mutation, reveal, edit) in EDITS.iter().chain(OTHERS) {
        // The argument for the true statement under the changed one.
        let honest = voice.prove(reveal, &Conditions::live(), |_| (), nothing);
        let mut parts = honest.proof.statement().parts();
        edit(&mut parts);
        let statement = Statement::from_parts(parts).expect("rows are points");
        let carried = Proof::from_parts(statement, honest.proof.argument().to_vec());
        let forged = Forged { proof: carried, ..honest };
        let carried = voice.judge(&forged, &format!("{field}, {mutation}, carried"));
        refused.entry((field, mutation)).or_default().push(carried);
    }
    for ((field, mutation), refusals) in &refused {
        println!("{field:16} {mutation:28} {refusals:?}");
    }
    for &field in Parts::FIELDS.iter().filter(|&&field| RELABELS.iter().all(|(name, _)| *name != field)) {
        assert!(refused.keys().filter(|(f, _)| *f == field).count() >= 2, "{field} has fewer than two targets");
    }
}

/// The commitment to another recording of the same length, under the argument for this one.
#[test]
fn another_recording_is_refused() {
    let voice = Voice::new();
    let same = clear(&voice.pk, &voice.wav, &voice.template, &voice.context);
    assert_eq!(same.statement().audio_id(), voice.honest.proof.statement().audio_id());
    let theirs = clear(&voice.pk, &wav(4), &voice.template, &voice.context);
    assert_ne!(theirs.statement().audio_id(), same.statement().audio_id());
    let rows = theirs.statement().parts().audio_rows;
    let forged = voice.prove(Reveal::Decision, &Conditions::live(), |p| p.audio_rows = rows, nothing);
    assert_eq!(voice.judge(&forged, "another recording"), Refusal::InnerProduct);
}
