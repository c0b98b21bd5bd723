//! Statements about which chunks of a recording are active.

use std::sync::Arc;

use ark_bn254::Fr;
use voxcheck::adversary::{Conditions, Forged, Parts, Site};
use voxcheck::audio::FrontEnd;
use voxcheck::audio::frontend::Chunks;
use voxcheck::audio::wav::Wav;
use voxcheck::layers::network::{Conv1d, Network, Node, NodeRef, Op};
use voxcheck::proof::{Expected, Mode, ProveOptions, Reveal};
use voxcheck::statement::{Proof, Statement};
use voxcheck::sumcheck::error::{Refusal, StatementError, VerifyError};
use voxcheck::{Context, Model, ProvingKey, Verdict, VerifyingKey, setup};

use crate::harness::nothing;
use crate::voice::wav;

/// Samples of a chunk.
const CHUNK: usize = 64;

/// A model of loud chunks and a short synthetic recording.
struct Loudness {
    pk: ProvingKey,
    vk: VerifyingKey,
    wav: Wav,
    context: Context,
}

/// The mean of all positive samples of a chunk, and zeros for the others; `level` makes it a model of activity.
fn model(level: Option<f64>) -> Model {
    let node = |name: &str, op, input| Node { name: name.into(), op, inputs: vec![input] };
    let mean = Op::Conv1d(Conv1d {
        weight: vec![1.0 / CHUNK as f64; CHUNK],
        kernel: CHUNK,
        in_channels: 1,
        out_channels: 1,
        bias: vec![0.0],
        stride: 1,
        dilation: 1,
        pad_left: 0,
        pad_right: 0,
    });
    let nodes = vec![node("relu", Op::Relu, NodeRef::Input), node("mean", mean, NodeRef::Node(0))];
    let front_end = FrontEnd::raw_chunks(Chunks { samples: CHUNK, context: 0 });
    let builder = Model::from_network(Network::new(1, nodes), "loudness").front_end(front_end).bits(12);
    let builder = if let Some(level) = level { builder.activity(level) } else { builder };
    builder.calibrate(&[wav(0).samples, wav(3).samples]).unwrap()
}

impl Loudness {
    fn new() -> Self {
        let (pk, vk) = setup(&model(Some(0.02))).unwrap();
        // Loud and quiet by turns.
        let mut wav = wav(3);
        wav.samples.truncate(20 * CHUNK + 5);
        wav.samples
            .iter_mut()
            .enumerate()
            .for_each(|(i, x)| *x /= if (i / (3 * CHUNK)).is_multiple_of(2) { 1 } else { 50 });
        Self { pk, vk, wav, context: Context::new(*b"context") }
    }

    fn claim(&self, edit: impl FnOnce(&mut Parts), adversary: impl FnMut(Site<'_, Fr>) + Send) -> Forged {
        let live = Conditions::live();
        self.pk.claim_readings(&self.wav, &self.context, &[], &live, edit, adversary).unwrap()
    }

    fn verify(&self, proof: &Proof, conditions: &Conditions) -> Result<Verdict, VerifyError> {
        self.vk.verify_under(proof.statement(), proof, conditions)
    }

    /// The argument of a proof under a changed statement.
    fn carried(&self, honest: &Proof, edit: impl FnOnce(&mut Parts)) -> Result<Verdict, VerifyError> {
        let mut parts = honest.statement().parts();
        edit(&mut parts);
        let statement = Statement::from_parts(parts).unwrap();
        self.verify(&Proof::from_parts(statement, honest.argument().to_vec()), &Conditions::live())
    }
}

#[test]
fn an_adversary_who_does_nothing_proves_which_chunks_are_active() {
    let loudness = Loudness::new();
    let options = ProveOptions { mode: Mode::Clear, ..ProveOptions::default() };
    let (proof, report) = loudness.pk.prove_readings(&loudness.wav, &loudness.context, &options).unwrap();
    assert_eq!(proof, loudness.claim(|_| (), nothing).proof);
    assert_eq!(loudness.verify(&proof, &Conditions::live()), Ok(Verdict::Accept));
    let active = proof.statement().activity().unwrap();
    let level = loudness.pk.model().spec().first.level().unwrap();
    let expected: Vec<bool> = report.embedding.iter().map(|&value| value >= level.into()).collect();
    assert_eq!((active, active.len()), (&*expected, 20));
    assert!(active.contains(&true) && active.contains(&false), "{active:?}");
    // The hidden proof says the same.
    let (hidden, _) = loudness.pk.prove_readings(&loudness.wav, &loudness.context, &ProveOptions::default()).unwrap();
    assert_eq!(hidden.statement().activity(), Some(active));
    assert_eq!(loudness.vk.verify(hidden.statement(), &hidden), Ok(Verdict::Accept));
}

/// A bit that is committed, used and stated wrongly fails where it is compared, and nowhere else.
#[test]
fn no_other_bit_is_proved() {
    let loudness = Loudness::new();
    let honest = loudness.claim(|_| (), nothing).proof;
    let active = honest.statement().activity().unwrap().to_vec();
    for chunk in [0, 4, 19] {
        let lie = |site: Site<'_, Fr>| {
            if let Site::Table { name: "activity", table } = site {
                let bit = table.get(chunk, 0);
                Arc::make_mut(table).set(chunk, 0, 1 - bit);
            }
        };
        let forged = loudness.claim(|_| (), lie);
        let stated = forged.proof.statement().activity().unwrap();
        assert_eq!(stated[chunk], !active[chunk]);
        let refused = loudness.verify(&forged.proof, &Conditions::live()).unwrap_err();
        assert_eq!(refused.refusal(), Refusal::RootNumerator, "chunk {chunk}");
        let without = Conditions::without_check(Refusal::RootNumerator);
        assert_eq!(loudness.verify(&forged.proof, &without), Ok(Verdict::Accept), "chunk {chunk}");
    }
}

/// The true argument, and one for the claim, under other bits.
#[test]
fn bits_that_are_only_claimed_are_refused() {
    let loudness = Loudness::new();
    let honest = loudness.claim(|_| (), nothing).proof;
    type Edit = (&'static str, fn(&mut Vec<bool>));
    let edits: [Edit; 6] = [
        ("the first flipped", |bits| bits[0] = !bits[0]),
        ("all flipped", |bits| bits.iter_mut().for_each(|bit| *bit = !*bit)),
        ("one less", |bits| bits.truncate(19)),
        ("one more", |bits| bits.push(false)),
        ("none", Vec::clear),
        ("moved by a chunk", |bits| bits.rotate_left(1)),
    ];
    for (name, edit) in edits {
        let change = |parts: &mut Parts| edit(parts.activity.as_mut().unwrap());
        assert!(loudness.carried(&honest, change).is_err(), "{name}, carried");
        let claimed = loudness.claim(change, nothing).proof;
        assert!(loudness.verify(&claimed, &Conditions::live()).is_err(), "{name}, claimed");
    }
}

/// A statement of a model says what the model says, and no more or less.
#[test]
fn nothing_else_takes_the_place_of_activity() {
    let loudness = Loudness::new();
    let honest = loudness.claim(|_| (), nothing).proof;
    let refused = Err(VerifyError::Statement(StatementError::Template));
    assert_eq!(loudness.carried(&honest, |p| p.activity = None), refused);
    assert_eq!(loudness.carried(&honest, |p| p.score = Some(1)), refused);
    assert_eq!(loudness.carried(&honest, |p| p.accept = false), refused);
    assert!(loudness.carried(&honest, |p| p.embedding = Some(vec![1; 20])).is_err());
    // Values of a model that decides nothing are revealed, and their bits are not a statement of it.
    let (pk, vk) = setup(&model(None)).unwrap();
    let options = ProveOptions { reveal: Reveal::Embedding, mode: Mode::Clear, ..ProveOptions::default() };
    assert!(pk.prove_readings(&loudness.wav, &loudness.context, &ProveOptions::default()).is_err());
    let (proof, report) = pk.prove_readings(&loudness.wav, &loudness.context, &options).unwrap();
    assert_eq!(vk.verify(proof.statement(), &proof), Ok(Verdict::Accept));
    assert_eq!(proof.statement().embedding(), Some(&*report.embedding));
    for at in [0, 7, 19] {
        let mut parts = proof.statement().parts();
        parts.embedding.as_mut().unwrap()[at] += 1;
        let statement = Statement::from_parts(parts).unwrap();
        let changed = Proof::from_parts(statement, proof.argument().to_vec());
        assert!(vk.verify(changed.statement(), &changed).is_err());
    }
    let mut parts = proof.statement().parts();
    (parts.embedding, parts.activity) = (None, Some(vec![true; 20]));
    let statement = Statement::from_parts(parts).unwrap();
    let changed = Proof::from_parts(statement, proof.argument().to_vec());
    assert_eq!(vk.verify(changed.statement(), &changed), refused);
}

#[test]
fn seconds_of_activity_are_demanded() {
    let loudness = Loudness::new();
    let honest = loudness.claim(|_| (), nothing).proof;
    let active = honest.statement().activity().unwrap().iter().filter(|&&active| active).count();
    let seconds = (active * CHUNK) as f64 / 16_000.0;
    let check = |min_active: f64| {
        let expected = Expected { min_active: Some(min_active), ..Expected::without_template(&loudness.context) };
        loudness.vk.check_statement(honest.statement(), &expected).map_err(|mismatch| mismatch.field)
    };
    assert_eq!(check(seconds), Ok(()));
    assert_eq!(check(seconds + 1e-6), Err("activity"));
}
