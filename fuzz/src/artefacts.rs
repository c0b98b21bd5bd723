//! Honest files of the bundled model, made once.

use std::sync::OnceLock;

use voxcheck::audio::wav::Wav;
use voxcheck::proof::{
    AudioCommitment, AudioSecret, EnrolOptions, Enrolment, Proof, ProveOptions, Reveal, Template, TemplateSecret,
};
use voxcheck::{Context, Model, VerifyingKey, setup};

/// The network that the bundled model was made of.
pub const ONNX: &[u8] = include_bytes!("../../assets/models/xvector_small.onnx");
/// TensorFlow Lite networks of 8 bits, and one of floats.
pub const TFLITE: [&[u8]; 3] = [
    include_bytes!("../../tests/tflite/image_int8.tflite"),
    include_bytes!("../../tests/tflite/sequence_int8.tflite"),
    include_bytes!("../../tests/tflite/image_float.tflite"),
];

/// A prover's files and their verifier's key.
pub struct Honest {
    pub model: Model,
    pub key: VerifyingKey,
    pub template: Template,
    pub secret: TemplateSecret,
    pub enrolment: Enrolment,
    pub audio: AudioCommitment,
    pub audio_secret: AudioSecret,
    /// Of one recording, with different things revealed.
    pub proofs: Vec<Proof>,
}

/// The files.
pub fn honest() -> &'static Honest {
    static HONEST: OnceLock<Honest> = OnceLock::new();
    HONEST.get_or_init(|| {
        let model = Model::bundled().expect("the bundled model is sound");
        let (pk, key) = setup(&model).expect("the bundled model has keys");
        let sample = |i: usize| ((i * i % 97) as i16 - 48) * 150;
        let wav = Wav { sample_rate: 16_000, samples: (0..model.min_samples()).map(sample).collect() };
        let (wavs, named) = (std::slice::from_ref(&wav), EnrolOptions { name_recordings: true, ..Default::default() });
        let (template, secret) = pk.enrol_with(wavs, &named).expect("this recording can be enrolled");
        let enrolment = pk.prove_enrolment(wavs, &template, &secret).expect("this enrolment can be proved");
        let (audio, audio_secret) = pk.commit_audio(&wav).expect("this recording can be committed to");
        let prove = |reveal| {
            let options = ProveOptions { reveal, ..ProveOptions::default() };
            let context = Context::new(*b"fuzz");
            pk.prove_with(&wav, &template, &secret, &context, &options).expect("this recording can be proved").0
        };
        let proofs: Vec<Proof> = [Reveal::Decision, Reveal::Score, Reveal::Embedding].map(prove).into();
        for proof in &proofs {
            key.verify(proof.statement(), proof).map(drop).expect("an honest proof is valid");
        }
        Honest { model, key, template, secret, enrolment, audio, audio_secret, proofs }
    })
}
