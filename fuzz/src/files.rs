//! Files: whatever their bytes, they are refused or they are one of the honest ones.

use std::io::Cursor;

use ark_bn254::G1Affine;
use ark_ec::AffineRepr;
use ark_serialize::CanonicalSerialize;
use sha2::{Digest, Sha256};
use voxcheck::audio::wav;
use voxcheck::files::{self, HEADER_BYTES};
use voxcheck::layers::onnx as network;
use voxcheck::proof::{
    Attestation, AudioCommitment, AudioSecret, Enrolment, Expected, Proof, Template, TemplateSecret,
};
use voxcheck::{Model, VerifyingKey};

use super::artefacts::{Honest, ONNX, TFLITE, honest};
use super::source::Source;

/// A proof is accepted only if it is an honest one, and it has one encoding.
fn check_proof(bytes: &[u8]) {
    let Ok(proof) = Proof::from_bytes(bytes) else { return };
    assert_eq!(proof.to_bytes(), bytes, "a proof has two encodings");
    assert_eq!(proof.sections().iter().map(|(_, _, len)| len).sum::<usize>(), bytes.len());
    if honest().key.verify(proof.statement(), &proof).is_ok() {
        assert!(honest().proofs.contains(&proof), "a proof that nobody made is accepted");
    }
}

/// A `.vxp` file.
pub fn proof(bytes: &[u8]) {
    check_proof(bytes);
}

pub fn proof_seeds() -> Vec<Vec<u8>> {
    honest().proofs.iter().map(Proof::to_bytes).collect()
}

/// Where the argument begins in the body of an honest proof, its length before it.
fn split(proof: &Proof) -> (Vec<u8>, Vec<u8>) {
    let bytes = proof.to_bytes();
    let (_, start, len) = proof.sections().pop().unwrap_or_default();
    let statement: usize = proof.sections().iter().rev().skip(2).map(|(_, _, len)| len).sum();
    (bytes[HEADER_BYTES..statement].to_vec(), bytes[start..start + len].to_vec())
}

/// A file of this statement and this argument, with the header that belongs to it.
fn join(statement: &[u8], argument: &[u8]) -> Vec<u8> {
    let model = statement.get(1..33).and_then(|id| id.try_into().ok()).unwrap_or([0; 32]);
    files::PROOF.wrap(&model, &[statement, &files::encode(&argument.to_vec())[..]].concat())
}

/// Edits of the argument, element by element: it is a list of points and scalars of 32 bytes.
pub fn proof_edits(bytes: &[u8]) {
    const ELEMENT: usize = 32;
    let mut source = Source::new(bytes);
    let proofs = &honest().proofs;
    let pick = |byte: u8| split(&proofs[usize::from(byte) % proofs.len()]);
    let (statement, mut argument) = pick(source.byte());
    let (_, other) = pick(source.byte());
    let mut one = [0; ELEMENT];
    one[0] = 1;
    let mut generator = Vec::new();
    let _ = G1Affine::generator().serialize_compressed(&mut generator);
    let mut infinity = [0; ELEMENT];
    infinity[ELEMENT - 1] = 0x40;
    while !source.is_empty() && argument.len() >= 2 * ELEMENT {
        let elements = argument.len() / ELEMENT;
        let operation = source.byte();
        let mut place = || usize::from(u16::from_le_bytes([source.byte(), source.byte()])) % elements * ELEMENT;
        let (at, from) = (place(), place());
        let element = |from: usize| argument[from..from + ELEMENT].to_vec();
        let new = match operation % 12 {
            0 => [0; ELEMENT].to_vec(),
            1 => one.to_vec(),
            2 => generator.clone(),
            3 => infinity.to_vec(),
            4 => element(from),
            5 => other.get(at..at + ELEMENT).map_or(one.to_vec(), <[u8]>::to_vec),
            6 => {
                let mut next = element(at);
                next[0] = next[0].wrapping_add(1);
                next
            }
            7 => {
                // The opposite point.
                let mut next = element(at);
                next[ELEMENT - 1] ^= 0x80;
                next
            }
            8 => {
                argument.drain(at..at + ELEMENT);
                continue;
            }
            9 => {
                let copy = element(from);
                argument.splice(at..at, copy);
                continue;
            }
            10 => {
                (0..ELEMENT).for_each(|k| argument.swap(at + k, from + k));
                continue;
            }
            _ => {
                argument.truncate(at);
                continue;
            }
        };
        argument[at..at + ELEMENT].copy_from_slice(&new);
    }
    check_proof(&join(&statement, &argument));
}

pub fn proof_edits_seeds() -> Vec<Vec<u8>> {
    (0..=12u8).map(|operation| [0, 1, operation, 7, 0, 40, 1, operation, 200, 2, 0, 0].to_vec()).collect()
}

/// A statement under the argument for another one.
pub fn statement(bytes: &[u8]) {
    let (_, argument) = split(&honest().proofs[0]);
    check_proof(&join(bytes, &argument));
}

pub fn statement_seeds() -> Vec<Vec<u8>> {
    honest().proofs.iter().map(|proof| split(proof).0).collect()
}

/// A `.vxm` file whose digest is made to fit.
pub fn model(bytes: &[u8]) {
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    if let Some((0, bound)) = body.split_last().map(|(last, bound)| (*last, bound)) {
        // Without the float original, the digest is that of all the rest.
        check_model(&files::MODEL.wrap(&Sha256::digest(bound).into(), body));
    }
    check_model(bytes);
}

fn check_model(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes) {
        assert_eq!(model.to_bytes(), bytes, "a model has two encodings");
        let _ = model.embed(&vec![100; model.min_samples()]);
    }
}

/// Specification and weights of the bundled model.
fn bound() -> (Vec<u8>, Vec<u8>) {
    let model = &honest().model;
    let bytes = model.to_bytes();
    let original = files::encode(&Some(ONNX.to_vec())).len();
    let spec = files::encode(model.spec());
    let weights = bytes[HEADER_BYTES + spec.len()..bytes.len() - original].to_vec();
    (spec, weights)
}

pub fn model_seeds() -> Vec<Vec<u8>> {
    let (spec, weights) = bound();
    let body = [&spec[..], &weights].concat();
    vec![files::MODEL.wrap(&Sha256::digest(&body).into(), &[&body[..], &[0]].concat())]
}

/// A specification with the honest weights.
pub fn model_spec(bytes: &[u8]) {
    let (_, weights) = bound();
    let body = [bytes, &weights].concat();
    check_model(&files::MODEL.wrap(&Sha256::digest(&body).into(), &[&body[..], &[0]].concat()));
}

pub fn model_spec_seeds() -> Vec<Vec<u8>> {
    vec![bound().0]
}

/// The body of a `.vxk` file; its id is made to fit.
pub fn key(bytes: &[u8]) {
    let suite = files::encode(&files::SUITE);
    // The last byte says that nothing is hidden, and so does the domain.
    let bound = &bytes[..bytes.len().saturating_sub(1)];
    let digest = Sha256::new_with_prefix("voxcheck model").chain_update(suite).chain_update(bound).finalize();
    let file = files::KEY.wrap(&digest.into(), bytes);
    let Ok(key) = VerifyingKey::from_bytes(&file) else { return };
    assert_eq!(key.to_bytes(), file, "a key has two encodings");
    let proof = &honest().proofs[0];
    if key.verify(proof.statement(), proof).is_ok() {
        assert_eq!(key.model_id(), honest().key.model_id(), "another key accepts a proof");
    }
    // What a verifier with this key does first.
    let _ = key.spec().lower(key.spec().min_samples as usize, &key.spec().whole_tail(Some(1)));
}

pub fn key_seeds() -> Vec<Vec<u8>> {
    vec![honest().key.to_bytes()[HEADER_BYTES..].to_vec()]
}

/// A template or a secret.
pub fn template(bytes: &[u8]) {
    if let Ok(file) = Template::from_bytes(bytes) {
        assert_eq!(file.to_bytes(), bytes, "a template has two encodings");
        let statement = honest().proofs[0].statement();
        let expected = Expected::new(&file, statement.context());
        let same = honest().key.check_statement(statement, &expected).is_ok();
        assert_eq!(same, file == honest().template, "a proof is about another template");
    }
    if let Ok(file) = TemplateSecret::from_bytes(bytes) {
        assert_eq!(file.to_bytes(), bytes, "a secret has two encodings");
    }
    if let Ok(file) = Enrolment::from_bytes(bytes) {
        assert_eq!(file.to_bytes(), bytes, "a proof of an enrolment has two encodings");
        let verdict = honest().key.verify_enrolment(&honest().template, &file);
        assert!(verdict.is_err() || file == honest().enrolment, "an enrolment that nobody proved is accepted");
    }
    if let Ok(file) = Attestation::from_bytes(bytes) {
        assert_eq!(file.to_bytes(), bytes, "an attestation has two encodings");
    }
    if let Ok(file) = AudioSecret::from_bytes(bytes) {
        assert_eq!(file.to_bytes(), bytes, "a secret has two encodings");
    }
}

pub fn template_seeds() -> Vec<Vec<u8>> {
    let Honest { template, secret, audio_secret, enrolment, .. } = honest();
    vec![template.to_bytes(), secret.to_bytes(), audio_secret.to_bytes(), enrolment.to_bytes()]
}

/// The body of a `.vxa` file; its id is made to fit.
pub fn audio(bytes: &[u8]) {
    let digest = Sha256::new_with_prefix("voxcheck audio").chain_update(bytes).finalize();
    let file = files::AUDIO.wrap(&digest.into(), bytes);
    let Ok(audio) = AudioCommitment::from_bytes(&file) else { return };
    assert_eq!(audio.to_bytes(), file, "a commitment has two encodings");
    assert_eq!(audio.id() == honest().audio.id(), audio == honest().audio);
}

pub fn audio_seeds() -> Vec<Vec<u8>> {
    vec![honest().audio.to_bytes()[HEADER_BYTES..].to_vec()]
}

/// A WAV file.
pub fn wav(bytes: &[u8]) {
    if let Ok(recording) = wav::read_from(Cursor::new(bytes)) {
        assert!(!recording.samples.is_empty() && 2 * recording.samples.len() <= bytes.len());
    }
}

pub fn wav_seeds() -> Vec<Vec<u8>> {
    let chunk = |name: &[u8; 4], data: &[u8]| [&name[..], &(data.len() as u32).to_le_bytes(), data].concat();
    let file = |chunks: &[Vec<u8>]| chunk(b"RIFF", &[&b"WAVE"[..], &chunks.concat()].concat());
    let format = |tag: u16, channels: u16, rate: u32, bits: u16| {
        let align = channels * bits / 8;
        let bytes = rate * u32::from(align);
        let fields = [&tag.to_le_bytes()[..], &channels.to_le_bytes(), &rate.to_le_bytes(), &bytes.to_le_bytes()];
        [&fields.concat()[..], &align.to_le_bytes(), &bits.to_le_bytes()].concat()
    };
    let samples: Vec<u8> = (0..200u8).collect();
    let extension = [22u16, 16].map(u16::to_le_bytes).concat();
    let subtype = [4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
    let extensible = [&format(0xfffe, 1, 16_000, 16)[..], &extension, &subtype].concat();
    vec![
        file(&[chunk(b"fmt ", &format(1, 1, 16_000, 16)), chunk(b"data", &samples)]),
        file(&[chunk(b"fmt ", &extensible), chunk(b"LIST", b"INFO"), chunk(b"data", &samples)]),
        file(&[chunk(b"fmt ", &format(3, 2, 44_100, 32)), chunk(b"data", &samples)]),
        file(&[chunk(b"JUNK", &[0; 28]), chunk(b"fmt ", &format(1, 1, 8_000, 8)), chunk(b"data", &samples)]),
    ]
}

/// An ONNX file, as far as its shapes.
pub fn onnx(bytes: &[u8]) {
    if let Ok(network) = network::read(bytes) {
        for length in [1, 17, 20, 1_000] {
            let _ = network.shapes(length);
        }
    }
}

/// A TensorFlow Lite network: its translation, and what the importer makes of that.
pub fn tflite(bytes: &[u8]) {
    if let Ok(translated) = voxcheck::layers::tflite::to_onnx(bytes) {
        onnx(&translated);
    }
}

pub fn tflite_seeds() -> Vec<Vec<u8>> {
    TFLITE.iter().map(|bytes| bytes.to_vec()).collect()
}

pub fn onnx_seeds() -> Vec<Vec<u8>> {
    vec![ONNX.to_vec()]
}
