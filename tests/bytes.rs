//! Every byte counts: flips, truncations, lengths and encodings of proofs, keys and all other files.

mod common;

use std::sync::OnceLock;

use ark_bn254::{Fq, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField};
use ark_serialize::CanonicalDeserialize;
use common::{Case, table};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use voxcheck::audio::wav::Wav;
use voxcheck::files::{self, FileError, HEADER_BYTES, Row};
use voxcheck::gkr::Fr;
use voxcheck::gkr::builder::{Hint, ProgramBuilder};
use voxcheck::gkr::pcs::{Commitment, Hyrax, ProverKey, VerifierKey};
use voxcheck::gkr::program::SHARED_WIDTH_VARS;
use voxcheck::gkr::prover::PublicCommitments;
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::proof::{
    AudioCommitment, AudioSecret, EnrolOptions, Enrolment, KeySecret, Proof, ProveOptions, Template, TemplateSecret,
};
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::error::{Check, VerifyError};
use voxcheck::sumcheck::int::IntTable;
use voxcheck::sumcheck::transcript::{Label, Merlin};
use voxcheck::{Context, Model, ProvingKey, VerifyingKey, setup, setup_private};

/// A point or scalar takes this many bytes.
const ELEMENT: usize = 32;

/// A proof small enough to try every change, with what its verifier was given.
struct Toy {
    case: Case,
    trace: Trace,
    key: VerifierKey,
    /// The inputs' commitments: in a model, the template.
    template: Vec<u8>,
    /// The constants' commitments: in a model, the key.
    constants: Vec<u8>,
    proof: Vec<u8>,
    /// Label and number of elements of every message, in order.
    messages: Vec<(Label, usize)>,
}

/// Every relation, a public output and padding, in a few messages.
fn toy_program() -> Case {
    let mut p = ProgramBuilder::new(3).with_width_vars(3);
    let x = p.input("x", (5, 3), -4, 3).unwrap();
    let w = p.constant("w", 0, (3, 2), -1, 1).unwrap();
    p.range(p.whole(x), -4, 3).unwrap();
    let dense = p.contraction("dense", p.whole(x), p.whole(w)).unwrap();
    let square = p.product("square", p.whole(dense), p.whole(dense)).unwrap();
    let sum = p.linear("sum", vec![(1, p.whole(square)), (2, p.whole(dense))], 5).unwrap();
    let quotient = p
        .witness(
            "quotient",
            (5, 2),
            (-4, 3),
            &[sum],
            Hint::whole(|t| Ok(t[0].values().iter().map(|v| v >> 3).collect())),
        )
        .unwrap();
    p.range(p.whole(quotient), -4, 3).unwrap();
    let remainder = p.linear("remainder", vec![(1, p.whole(sum)), (-8, p.whole(quotient))], 0).unwrap();
    p.range(p.whole(remainder), 0, 3).unwrap();
    p.output(quotient);
    let (program, recipes) = p.finish().unwrap();
    let inputs = vec![table(5, 3, &[1, -2, 3, -4, 0, 2, 1, 1, 0, -1, 2, -3, 0, 0, 1])];
    Case { program, recipes, inputs, constants: vec![table(3, 2, &[1, -1, 0, 1, 1, 0])] }
}

impl Toy {
    fn new() -> Self {
        let case = toy_program();
        let trace = case.run();
        // As many rounds as rows have variables: the proof ends in one scalar.
        let key = VerifierKey::with_rounds(SHARED_WIDTH_VARS, SHARED_WIDTH_VARS);
        let prover = ProverKey::new(key.clone());
        let [inputs, constants] = case.commitments::<Hyrax>(&prover, &trace);
        let mut channel = PlainProver::new(Merlin::new(common::NAME));
        case.prove_with::<Hyrax>(&prover, &trace, &mut channel);
        let rows = |commitments: &[Commitment]| {
            commitments.iter().flat_map(files::rows).flat_map(<[u8; ELEMENT]>::from).collect()
        };
        let (template, constants) = (rows(&inputs), rows(&constants));
        let proof = channel.into_proof();
        let mut toy = Self { case, trace, key, template, constants, proof, messages: Vec::new() };
        let recorder = common::Recorder::new(None);
        assert_eq!(toy.verify_by(&recorder, &toy.template, &toy.constants, &toy.proof), Ok(()));
        // What was absorbed and is no part of the statement was received.
        let events = recorder.events.lock().unwrap();
        let received = events.iter().filter_map(|event| match event {
            common::Event::Absorb(Label::Program | Label::Statement | Label::PublicCommitment, _) => None,
            common::Event::Absorb(label, len) => Some((*label, len / ELEMENT)),
            common::Event::Draw(..) => None,
        });
        toy.messages = received.collect();
        assert_eq!(toy.messages.iter().map(|(_, count)| count * ELEMENT).sum::<usize>(), toy.proof.len());
        drop(events);
        toy
    }

    /// Verifies what these bytes say; a key or template that cannot be read is none.
    fn verify(&self, template: &[u8], constants: &[u8], proof: &[u8]) -> Result<(), VerifyError> {
        self.verify_by(&common::Recorder::new(None), template, constants, proof)
    }

    fn verify_by(
        &self,
        transcript: &common::Recorder,
        template: &[u8],
        constants: &[u8],
        proof: &[u8],
    ) -> Result<(), VerifyError> {
        let decode = |bytes: &[u8]| {
            let rows: Result<Vec<[u8; ELEMENT]>, _> = bytes.chunks(ELEMENT).map(TryInto::try_into).collect();
            let rows = rows.ok().and_then(|rows| Row::decode_all(rows).ok());
            let rows = rows.ok_or(VerifyError::NotCanonical(Label::PublicCommitment))?;
            Ok::<_, VerifyError>(files::commitment(SHARED_WIDTH_VARS, &rows))
        };
        let (template, constants) = (decode(template)?, decode(constants)?);
        let outputs: Vec<&IntTable> = self.case.program.outputs().iter().map(|&id| self.trace.get(id)).collect();
        let public = PublicCommitments { inputs: &[&template], constants: &[&constants] };
        let mut channel = PlainVerifier::new(transcript.clone(), proof);
        verifier::verify::<Hyrax, _>(&self.key, &self.case.program, &outputs, &public, &mut channel)?;
        VerifierChannel::<Fr>::finish(channel)
    }

    /// Offset of the first message with this label.
    fn offset(&self, label: Label) -> usize {
        let before = self.messages.iter().take_while(|(own, _)| *own != label);
        before.map(|(_, count)| count * ELEMENT).sum()
    }
}

fn toy() -> &'static Toy {
    static TOY: OnceLock<Toy> = OnceLock::new();
    TOY.get_or_init(Toy::new)
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn every_bit_of_a_small_proof_its_key_and_its_template_counts() {
    let toy = toy();
    assert!(toy.proof.len() <= 6 * 1024, "{} bytes", toy.proof.len());
    // The opening begins with its rounds, just before the blinding factor.
    let blinding = toy.messages.iter().position(|&(label, _)| label == Label::Blinding).unwrap();
    let rounds = toy.messages[..blinding].iter().rev().take_while(|(label, _)| *label == Label::Round);
    let opening = toy.offset(Label::Blinding) - rounds.map(|(_, count)| count * ELEMENT).sum::<usize>();
    (0..toy.proof.len() * 8).into_par_iter().for_each(|bit| {
        let answer = toy.verify(&toy.template, &toy.constants, &flipped(&toy.proof, bit));
        match answer {
            Ok(()) => panic!("bit {bit} of the proof"),
            // Group arithmetic is the last check: nothing but the opening's own messages gets so far.
            Err(VerifyError::Check(Check::InnerProduct)) => assert!(bit >= opening * 8, "bit {bit}"),
            Err(_) => {}
        }
    });
    for bit in 0..toy.template.len() * 8 {
        let template = flipped(&toy.template, bit);
        assert!(toy.verify(&template, &toy.constants, &toy.proof).is_err(), "bit {bit} of the template");
    }
    for bit in 0..toy.constants.len() * 8 {
        let constants = flipped(&toy.constants, bit);
        assert!(toy.verify(&toy.template, &constants, &toy.proof).is_err(), "bit {bit} of the key");
    }
}

#[test]
fn a_small_proof_of_any_other_length_is_refused() {
    let toy = toy();
    let verify = |proof: &[u8]| toy.verify(&toy.template, &toy.constants, proof);
    (0..toy.proof.len()).into_par_iter().for_each(|len| {
        let answer = verify(&toy.proof[..len]);
        let unfinished = matches!(answer, Err(VerifyError::Truncated(_) | VerifyError::NotCanonical(_)));
        assert!(unfinished, "{len} bytes: {answer:?}");
    });
    for more in [1, 31, 32, 64] {
        let longer = [&toy.proof[..], &vec![0; more]].concat();
        assert_eq!(verify(&longer), Err(VerifyError::TrailingBytes(more)));
    }
    for (at, part) in [("template", &toy.template), ("key", &toy.constants)] {
        for len in 0..part.len() {
            let answer = match at {
                "template" => toy.verify(&part[..len], &toy.constants, &toy.proof),
                _ => toy.verify(&toy.template, &part[..len], &toy.proof),
            };
            assert!(answer.is_err(), "{len} bytes of the {at}");
        }
        let twice = [&part[..], part].concat();
        assert!(toy.verify(&twice, &toy.constants, &toy.proof).is_err());
        assert!(toy.verify(&toy.template, &twice, &toy.proof).is_err());
    }
}

/// Encodings of a point that must be refused wherever one is read.
fn bad_points(honest: &[u8; ELEMENT]) -> Vec<(&'static str, [u8; ELEMENT])> {
    const NEGATIVE: u8 = 0x80;
    const INFINITY: u8 = 0x40;
    let x = G1Affine::deserialize_compressed(&honest[..]).ok().and_then(|point| point.x());
    let encode = |mut x: <Fq as PrimeField>::BigInt, add: bool, flags: u8| {
        if add {
            x.add_with_carry(&Fq::MODULUS);
        }
        let mut bytes: [u8; ELEMENT] = x.to_bytes_le().try_into().unwrap();
        bytes[ELEMENT - 1] |= flags;
        bytes
    };
    let off_curve = (0u64..).map(Fq::from).find(|&x| G1Affine::get_point_from_x_unchecked(x, false).is_none());
    let mut bad = vec![
        ("x = p", encode(Fq::MODULUS, false, 0)),
        ("x = p + 1, the generator", encode(Fq::from(1).into_bigint(), true, 0)),
        ("x of all ones", encode(Fq::from(0).into_bigint(), false, 0).map(|_| 0x3f)),
        ("no point has this x", encode(off_curve.unwrap().into_bigint(), false, 0)),
        ("infinity with a sign", encode(Fq::from(0).into_bigint(), false, INFINITY | NEGATIVE)),
        ("infinity with an x", encode(Fq::from(1).into_bigint(), false, INFINITY)),
        ("zeros without a flag", [0; ELEMENT]),
        ("all ones", [0xff; ELEMENT]),
    ];
    if let Some(x) = x {
        bad.push(("both flags", encode(x.into_bigint(), false, INFINITY | NEGATIVE)));
        bad.push(("infinity flag", encode(x.into_bigint(), false, INFINITY)));
        // An encoding has 254 bits for x, and p is a little below 2^254: few x fit twice.
        let twice = encode(x.into_bigint(), true, 0);
        if twice[ELEMENT - 1] < INFINITY {
            bad.push(("x + p", twice));
        }
    }
    bad
}

/// Encodings of a scalar that must be refused.
fn bad_scalars(honest: &[u8; ELEMENT]) -> Vec<(&'static str, [u8; ELEMENT])> {
    let bytes = |mut value: <Fr as PrimeField>::BigInt, add: bool| -> Option<[u8; ELEMENT]> {
        let carry = add && value.add_with_carry(&Fr::MODULUS);
        (!carry).then(|| value.to_bytes_le().try_into().unwrap())
    };
    let value = Fr::deserialize_compressed(&honest[..]).unwrap().into_bigint();
    let mut bad = vec![
        ("r", bytes(Fr::MODULUS, false).unwrap()),
        ("r + 1", bytes(Fr::from(1).into_bigint(), true).unwrap()),
        ("all ones", [0xff; ELEMENT]),
        ("highest bit", {
            let mut high = *honest;
            high[ELEMENT - 1] |= 0x80;
            high
        }),
    ];
    bad.extend(bytes(value, true).map(|twice| ("the honest value plus r", twice)));
    bad
}

#[test]
fn no_other_encoding_of_a_point_or_scalar_is_read_anywhere() {
    let toy = toy();
    let is_point = |label| matches!(label, Label::Commitment | Label::InnerProductCross);
    let mut at = 0;
    let mut labels = std::collections::BTreeSet::new();
    for &(label, count) in &toy.messages {
        for element in [0, count - 1] {
            let start = at + element * ELEMENT;
            let honest: &[u8; ELEMENT] = toy.proof[start..][..ELEMENT].try_into().unwrap();
            let bad = if is_point(label) { bad_points(honest) } else { bad_scalars(honest) };
            for (what, encoding) in bad {
                let mut proof = toy.proof.clone();
                proof[start..start + ELEMENT].copy_from_slice(&encoding);
                let answer = toy.verify(&toy.template, &toy.constants, &proof);
                let refused = [VerifyError::Malformed(label), VerifyError::NotCanonical(label)];
                assert!(answer.is_err_and(|error| refused.contains(&error)), "{what} at {start}");
            }
        }
        labels.insert(label);
        at += count * ELEMENT;
    }
    // The toy has a message of every kind that a proof in the clear can hold.
    let never = [Label::Protocol, Label::Program, Label::Statement, Label::PublicCommitment, Label::UserMessage];
    let hiding = [Label::ProductOutputs, Label::ProductValues, Label::Mask, Label::MaskValue, Label::Masked];
    let never = [&never[..], &hiding].concat();
    let sent = Label::ALL.iter().filter(|label| !never.contains(label) && !label.name().ends_with("challenge"));
    for label in sent.filter(|&&label| label != Label::InnerProductBase) {
        assert!(labels.contains(label), "no message `{label}` was tried");
    }
    for part in [&toy.template, &toy.constants] {
        let honest: &[u8; ELEMENT] = part[..ELEMENT].try_into().unwrap();
        for (what, encoding) in bad_points(honest) {
            assert!(Row::decode_all(vec![encoding]).is_err(), "{what}");
        }
        assert!(Row::decode_all(vec![*honest]).is_ok());
    }
}

/// One honest file of every kind, about the bundled model.
struct Files {
    pk: ProvingKey,
    vk: VerifyingKey,
    wav: Wav,
    template: Template,
    secret: TemplateSecret,
    audio: AudioCommitment,
    audio_secret: AudioSecret,
    proof: Proof,
    enrolment: Enrolment,
    private: (VerifyingKey, KeySecret),
}

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let (pk, vk) = setup(&Model::bundled().unwrap()).unwrap();
        // The shortest recording: every change is verified.
        let sample = |i: usize| ((i * i % 97) as i16 - 48) * 150;
        let wav = Wav { sample_rate: 16_000, samples: (0..pk.model().min_samples()).map(sample).collect() };
        let wavs = std::slice::from_ref(&wav);
        let options = EnrolOptions { label: "label", name_recordings: true, ..EnrolOptions::default() };
        let (template, secret) = pk.enrol_with(wavs, &options).unwrap();
        let enrolment = pk.prove_enrolment(wavs, &template, &secret).unwrap();
        let (_, key, key_secret) = setup_private(pk.model()).unwrap();
        let (audio, audio_secret) = pk.commit_audio(&wav).unwrap();
        let options = ProveOptions { audio: Some((&audio, &audio_secret)), ..ProveOptions::default() };
        let proof = pk.prove_with(&wav, &template, &secret, &Context::new(*b"nonce"), &options).unwrap().0;
        assert!(vk.verify(proof.statement(), &proof).is_ok());
        Files { pk, vk, wav, template, secret, audio, audio_secret, proof, enrolment, private: (key, key_secret) }
    })
}

/// A kind of file: its bytes, and what becomes of others.
struct Subject {
    name: &'static str,
    kind: files::Kind,
    bytes: Vec<u8>,
    /// Reads and encodes again.
    read: fn(&[u8]) -> Result<Vec<u8>, FileError>,
    /// Whether bytes that can be read lead to a refusal.
    refused: fn(&[u8]) -> bool,
}

impl Subject {
    fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Refused when it is read, or read (in this encoding only) and refused when it is used.
    fn refuses(&self, bytes: &[u8]) -> bool {
        match (self.read)(bytes) {
            Err(_) => true,
            Ok(again) => {
                assert_eq!(again, bytes, "{}: read in two encodings", self.name);
                (self.refused)(bytes)
            }
        }
    }

    /// A file with another body, its header made to fit as well as a forger can.
    fn with_body(&self, body: &[u8]) -> Vec<u8> {
        let own = self.bytes[34..66].try_into().unwrap();
        let digest: [u8; 32] = match self.name {
            "vxk" => {
                let suite = files::encode(&files::SUITE);
                // The last byte says that nothing is hidden, and so does the domain.
                let bound = &body[..body.len().saturating_sub(1)];
                Sha256::new_with_prefix("voxcheck model").chain_update(suite).chain_update(bound).finalize().into()
            }
            "vxa" => Sha256::new_with_prefix("voxcheck audio").chain_update(body).finalize().into(),
            // The model, template or recording named comes first in the body, or after the mode of a statement.
            "vxe" | "vxe.secret" | "vxa.secret" => body.get(..32).map_or(own, |id| id.try_into().unwrap()),
            "vxp" => body.get(1..33).map_or(own, |id| id.try_into().unwrap()),
            _ => own,
        };
        self.kind.wrap(&digest, body)
    }
}

fn refused_proof(bytes: &[u8]) -> bool {
    Proof::from_bytes(bytes).is_ok_and(|proof| files().vk.verify(proof.statement(), &proof).is_err())
}

fn refused_key(bytes: &[u8]) -> bool {
    let proof = &files().proof;
    VerifyingKey::from_bytes(bytes).is_ok_and(|key| key.verify(proof.statement(), proof).is_err())
}

fn refused_template(bytes: &[u8]) -> bool {
    let Files { vk, proof, .. } = files();
    let expected = |template: &Template| {
        let context = proof.statement().context();
        let expected = voxcheck::proof::Expected::new(template, context);
        vk.check_statement(proof.statement(), &expected).is_err()
    };
    Template::from_bytes(bytes).is_ok_and(|template| expected(&template))
}

fn refused_secret(bytes: &[u8]) -> bool {
    let Files { pk, wav, template, .. } = files();
    // One of them needs what opens the template, the other what opens the recordings that it names.
    let prove = |secret: &TemplateSecret| {
        pk.prove_with(wav, template, secret, &Context::default(), &ProveOptions::default()).is_err()
            || pk.prove_enrolment(std::slice::from_ref(wav), template, secret).is_err()
    };
    TemplateSecret::from_bytes(bytes).is_ok_and(|secret| prove(&secret))
}

fn refused_audio(bytes: &[u8]) -> bool {
    AudioCommitment::from_bytes(bytes).is_ok_and(|audio| audio.id() != files().proof.statement().audio_id())
}

fn refused_audio_secret(bytes: &[u8]) -> bool {
    AudioSecret::from_bytes(bytes).is_ok_and(|secret| secret != files().audio_secret)
}

fn refused_enrolment(bytes: &[u8]) -> bool {
    let Files { vk, template, .. } = files();
    Enrolment::from_bytes(bytes).is_ok_and(|enrolment| vk.verify_enrolment(template, &enrolment).is_err())
}

fn refused_private_key(bytes: &[u8]) -> bool {
    VerifyingKey::from_bytes(bytes).is_ok_and(|key| key.model_id() != files().private.0.model_id())
}

fn refused_key_secret(bytes: &[u8]) -> bool {
    let Files { pk, private, .. } = files();
    KeySecret::from_bytes(bytes).is_ok_and(|secret| ProvingKey::private(pk.model(), &private.0, &secret).is_err())
}

fn refused_model(bytes: &[u8]) -> bool {
    Model::from_bytes(bytes).is_ok_and(|model| model.id() != files().vk.model_id())
}

fn subjects() -> Vec<Subject> {
    let f = files();
    vec![
        Subject {
            name: "vxp",
            kind: files::PROOF,
            bytes: f.proof.to_bytes(),
            read: |bytes| Proof::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_proof,
        },
        Subject {
            name: "vxk",
            kind: files::KEY,
            bytes: f.vk.to_bytes(),
            read: |bytes| VerifyingKey::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_key,
        },
        Subject {
            name: "vxe",
            kind: files::TEMPLATE,
            bytes: f.template.to_bytes(),
            read: |bytes| Template::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_template,
        },
        Subject {
            name: "vxe.secret",
            kind: files::TEMPLATE_SECRET,
            bytes: f.secret.to_bytes(),
            read: |bytes| TemplateSecret::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_secret,
        },
        Subject {
            name: "vxa",
            kind: files::AUDIO,
            bytes: f.audio.to_bytes(),
            read: |bytes| AudioCommitment::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_audio,
        },
        Subject {
            name: "vxa.secret",
            kind: files::AUDIO_SECRET,
            bytes: f.audio_secret.to_bytes(),
            read: |bytes| AudioSecret::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_audio_secret,
        },
        Subject {
            name: "vxm",
            kind: files::MODEL,
            bytes: f.pk.model().to_bytes(),
            read: |bytes| Model::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_model,
        },
        Subject {
            name: "enrolment",
            kind: files::ENROLMENT,
            bytes: f.enrolment.to_bytes(),
            read: |bytes| Enrolment::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_enrolment,
        },
        Subject {
            name: "private vxk",
            kind: files::KEY,
            bytes: f.private.0.to_bytes(),
            read: |bytes| VerifyingKey::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_private_key,
        },
        Subject {
            name: "vxk.secret",
            kind: files::KEY_SECRET,
            bytes: f.private.1.to_bytes(),
            read: |bytes| KeySecret::from_bytes(bytes).map(|file| file.to_bytes()),
            refused: refused_key_secret,
        },
    ]
}

/// Where the float original of the bundled model begins: it is outside of what the model's id binds.
fn original(vxm: &[u8]) -> usize {
    let onnx = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/xvector_small.onnx")).unwrap();
    assert!(vxm.ends_with(&onnx), "the model ends in the network that it was made of");
    vxm.len() - onnx.len()
}

/// All indices below `len` if they are at most `most`, else that many, spread by a fixed odd step.
fn sample(len: usize, most: usize) -> Vec<usize> {
    if len <= most {
        return (0..len).collect();
    }
    let spread = |i: usize| (i as u128 * 0x9e37_79b9_7f4a_7c15 % len as u128) as usize;
    (1..=most).map(spread).collect()
}

#[test]
fn no_file_with_a_flipped_bit_is_taken_for_the_honest_one() {
    for subject in subjects() {
        assert_eq!((subject.read)(&subject.bytes).as_ref(), Ok(&subject.bytes), "{}", subject.name);
        let (protected, most) = match subject.name {
            "vxp" => (subject.bytes.len(), 2_000),
            "vxm" => (original(&subject.bytes), 200),
            "vxk" => (subject.bytes.len(), 400),
            "enrolment" => (subject.bytes.len(), 400),
            "private vxk" | "vxk.secret" => (subject.bytes.len(), 60),
            _ => (subject.bytes.len(), usize::MAX),
        };
        let headers = 0..HEADER_BYTES * 8;
        sample(protected * 8, most).into_par_iter().chain(headers).for_each(|bit| {
            assert!(subject.refuses(&flipped(&subject.bytes, bit)), "{}: bit {bit}", subject.name);
        });
    }
}

#[test]
fn no_file_of_another_length_is_read() {
    for subject in subjects() {
        let Subject { name, bytes, .. } = &subject;
        // As it is cut, by its header alone: every length.
        for len in (0..bytes.len()).filter(|len| *len < 5_000 || len % 997 == 0 || bytes.len() - len < 1_000) {
            assert!((subject.read)(&bytes[..len]).is_err(), "{name}: {len} bytes");
        }
        // With a header that says so.
        sample(subject.body().len(), 3_000).into_par_iter().for_each(|len| {
            let cut = subject.with_body(&subject.body()[..len]);
            assert!(subject.refuses(&cut), "{name}: a body of {len} bytes");
        });
        for more in [1, 2, 32, 1_000] {
            let zeros = vec![0; more];
            assert!((subject.read)(&[&bytes[..], &zeros].concat()).is_err(), "{name}: {more} bytes more");
            let longer = subject.with_body(&[subject.body(), &zeros].concat());
            assert!((subject.read)(&longer).is_err(), "{name}: {more} bytes more in the body");
        }
    }
}

/// LEB128, as short as possible.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The number at `at` of a body and its length in bytes, if there is one.
fn varint_at(body: &[u8], at: usize) -> Option<(u64, usize)> {
    let len = 1 + body[at..].iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let bits = body[at..at + len].iter().enumerate();
    Some((bits.fold(0u64, |value, (k, byte)| value | u64::from(byte & 0x7f).wrapping_shl(7 * k as u32)), len))
}

/// The body with the number at `at`, if there is one, at other values and in other encodings.
fn varint_edits(body: &[u8], at: usize) -> Vec<Vec<u8>> {
    let Some((value, len)) = varint_at(body, at) else { return Vec::new() };
    let others = [0, value.wrapping_sub(1), value.wrapping_add(1), 1 << 32, u64::MAX];
    let mut encodings: Vec<Vec<u8>> = others.into_iter().filter(|&other| other != value).map(varint).collect();
    let mut longer = body[at..at + len].to_vec();
    longer[len - 1] |= 0x80;
    encodings.push([&longer[..], &[0]].concat());
    encodings.push([&longer[..], &[0x80, 0]].concat());
    encodings.iter().map(|encoding| [&body[..at], encoding, &body[at + len..]].concat()).collect()
}

#[test]
fn every_length_field_at_its_extremes_is_refused() {
    for subject in subjects() {
        let (name, body) = (subject.name, subject.body());
        let n = body.len() as u64;
        for length in [0, n - 1, n + 1, 1 << 32, u64::MAX] {
            let mut bytes = subject.bytes.clone();
            bytes[66..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
            assert!((subject.read)(&bytes).is_err(), "{name}: a length of {length}");
        }
        // Whatever byte a number may begin at, lengths among them.
        let numbers: Vec<usize> = match name {
            "vxp" => {
                let sections = files().proof.sections();
                let starts = sections.iter().map(|(_, offset, _)| *offset).filter(|&offset| offset >= HEADER_BYTES);
                (0..150).chain(starts.map(|offset| offset - HEADER_BYTES)).chain(sample(body.len(), 50)).collect()
            }
            "vxk" | "private vxk" => (0..150).chain(sample(body.len(), 50)).collect(),
            "enrolment" | "vxk.secret" => (0..4).chain(sample(body.len(), 20)).collect(),
            "vxm" => (0..60).chain(sample(original(&subject.bytes) - HEADER_BYTES, 20)).collect(),
            _ => (0..body.len()).collect(),
        };
        numbers.into_par_iter().for_each(|at| {
            for edited in varint_edits(body, at) {
                let bytes = subject.with_body(&edited);
                assert!(subject.refuses(&bytes), "{name}: a number at {at} of the body");
            }
        });
    }
}

#[test]
fn numbers_have_one_encoding() {
    let f = files();
    let sections = f.proof.sections();
    let offset = |name: &str| sections.iter().find(|(own, ..)| own == name).unwrap().1 - HEADER_BYTES;
    let subjects = subjects();
    let proof = &subjects[0];
    let argument = offset("argument: length");
    let (length, _) = varint_at(proof.body(), argument).unwrap();
    assert_eq!(length as usize, sections.last().unwrap().2);
    // Samples, rows, threshold, context, argument: each in more bytes than needed.
    let audio = offset("statement: audio commitment");
    let (_, rate) = varint_at(proof.body(), audio).unwrap();
    for at in [audio, audio + rate, offset("statement: context"), argument] {
        let (_, len) = varint_at(proof.body(), at).unwrap();
        let mut body = proof.body().to_vec();
        body[at + len - 1] |= 0x80;
        body.insert(at + len, 0);
        let error = (proof.read)(&proof.with_body(&body)).unwrap_err();
        assert!(error.reason.contains("canonical") || error.reason.contains("damaged"), "{at}: {error}");
    }
    assert_eq!(varint(300), [0xac, 2]);
    assert_eq!(varint_at(&[7, 0xac, 2, 9], 1), Some((300, 2)));
}

#[test]
fn files_of_another_kind_version_suite_or_mode_are_refused() {
    let subjects = subjects();
    for subject in &subjects {
        let Subject { name, bytes, read, .. } = subject;
        for other in subjects.iter().filter(|other| other.kind != subject.kind) {
            assert!(read(&other.bytes).is_err(), "{} as {name}", other.name);
            let relabelled = [&subject.kind.magic[..], &other.bytes[8..]].concat();
            assert!(read(&relabelled).is_err(), "{} with the magic of {name}", other.name);
        }
        let own = u16::from_le_bytes([bytes[8], bytes[9]]);
        for version in [0, 1, own - 1, own + 1, own << 8, own | 0x100, u16::MAX] {
            let mut bytes = bytes.clone();
            bytes[8..10].copy_from_slice(&version.to_le_bytes());
            assert!(read(&bytes).is_err(), "{name}: version {version}");
        }
        for suite in ["bn254-hyrax-merlin-2", "bn254-hyrax-merlin-1x", "", "bls12-381-hyrax-merlin-1"] {
            let mut bytes = bytes.clone();
            bytes[10..34].fill(0);
            bytes[10..10 + suite.len()].copy_from_slice(suite.as_bytes());
            assert!(read(&bytes).is_err(), "{name}: suite {suite:?}");
        }
    }
    let proof = &subjects[0];
    for mode in 2..=255 {
        let mut bytes = proof.bytes.clone();
        bytes[HEADER_BYTES] = mode;
        assert!((proof.read)(&bytes).is_err(), "mode {mode}");
    }
}

#[test]
fn no_other_encoding_of_a_point_is_read_from_a_file() {
    let subjects = subjects();
    let (proof, key) = (&subjects[0], &subjects[1]);
    let template = &subjects[2];
    assert_eq!(template.name, "vxe");
    // The last 32 bytes of template and recording are a point; a key says after it that nothing is hidden.
    for (subject, after) in [(key, 1), (template, 0), (&subjects[4], 0)] {
        let start = subject.body().len() - ELEMENT - after;
        let (honest, rest) = subject.body()[start..].split_first_chunk::<ELEMENT>().unwrap();
        assert!(Row::decode_all(vec![*honest]).is_ok());
        for (what, encoding) in bad_points(honest) {
            let body = [&subject.body()[..start], &encoding, rest].concat();
            assert!(subject.refuses(&subject.with_body(&body)), "{}: {what}", subject.name);
        }
    }
    // The same in a statement.
    let in_statement = |rows: &[u8]| proof.body().windows(rows.len()).position(|window| window == rows).unwrap();
    for file in [&subjects[2], &subjects[4]] {
        let honest: &[u8; ELEMENT] = file.body()[file.body().len() - ELEMENT..].try_into().unwrap();
        let start = in_statement(honest);
        for (what, encoding) in bad_points(honest) {
            let mut body = proof.body().to_vec();
            body[start..][..ELEMENT].copy_from_slice(&encoding);
            assert!(Proof::from_bytes(&proof.with_body(&body)).is_err(), "{}: {what}", file.name);
        }
    }
}
