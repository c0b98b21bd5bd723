//! Who has what: the three ways to deploy one model.
//!
//! | | voice | weights | proves | verifies |
//! |---|---|---|---|---|
//! | log in | hidden | public | the user | a service |
//! | analysis | known | hidden | a service | the user |
//! | both | hidden | hidden | whoever is trusted with both | anyone |
//!
//! ```sh
//! cargo run --release --example deployments
//! ```

use std::error::Error;

use voxcheck::audio::wav::{self, Wav};
use voxcheck::proof::{EnrolOptions, Expected, Proof, ProveOptions, Template};
use voxcheck::{Context, Model, Verdict, VerifyingKey, setup, setup_private};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn read(name: &str) -> Result<Wav> {
    Ok(wav::read(format!("{}/assets/demo/{name}", env!("CARGO_MANIFEST_DIR")))?)
}

/// What every verifier does with bytes from elsewhere.
fn verify(key: &[u8], template: &Template, context: &Context, proof: &[u8]) -> Result<Verdict> {
    let key = VerifyingKey::from_bytes(key)?;
    let proof = Proof::from_bytes(proof)?;
    key.check_statement(proof.statement(), &Expected::new(template, context))?;
    Ok(key.verify(proof.statement(), &proof)?)
}

/// A user logs in: the service sees neither voice nor embedding, and need not believe that the template is of a voice at all.
fn private_voice_public_model(model: &Model) -> Result<()> {
    // Both sides can make the keys, since the model is public.
    let (pk, vk) = setup(model)?;
    // On the user's device, once: a template, and a proof that it is of two recordings.
    let recordings = [read("slt_1.wav")?, read("slt_2.wav")?];
    let options = EnrolOptions { threshold: 0.66, label: "alice", refuse_replays: true, ..EnrolOptions::default() };
    let (template, secret) = pk.enrol_with(&recordings, &options)?;
    let enrolment = pk.prove_enrolment(&recordings, &template, &secret)?;
    // At the service: it keeps the template of whoever proves it.
    vk.verify_enrolment(&template, &enrolment)?;
    assert_eq!(template.recordings().len(), 2);
    // Later: the service draws a nonce, the user answers it.
    let nonce = Context::new(*b"a random nonce");
    let (_, proof) = pk.prove(&read("slt_3.wav")?, &(template.clone(), secret), &nonce)?;
    let verdict = verify(&vk.to_bytes(), &template, &nonce, &proof.to_bytes())?;
    println!("private voice, public model: {verdict:?}");
    assert_eq!(verdict, Verdict::Accept);
    Ok(())
}

/// A service with secret weights compares two recordings that the user has: its answer is that of the model it published
/// a key of, and not another one for every customer.
fn known_audio_private_weights(model: &Model) -> Result<()> {
    // The service publishes the key. It hides the weights, and shows that they are within their widths.
    let (pk, vk, _) = setup_private(model)?;
    let published = vk.to_bytes();
    // The user commits to the recording, so that the answer is about this one, and sends everything along.
    let public = setup(&Model::bundled()?)?.0;
    let question = read("rms_1.wav")?;
    let (audio, audio_secret) = public.commit_audio(&question)?;
    // The service enrols the other recording and answers.
    let (template, secret) = pk.enrol(&[read("slt_1.wav")?], 0.66)?;
    let context = Context::new(*b"question 17");
    let options = ProveOptions { audio: Some((&audio, &audio_secret)), ..ProveOptions::default() };
    let (proof, _) = pk.prove_with(&question, &template, &secret, &context, &options)?;
    // The user demands an answer about the recording that was sent.
    let expected = Expected { audio: Some(&audio), ..Expected::new(&template, &context) };
    vk.check_statement(proof.statement(), &expected)?;
    let verdict = verify(&published, &template, &context, &proof.to_bytes())?;
    println!("known audio, private weights: {verdict:?}");
    assert_eq!(verdict, Verdict::Reject);
    Ok(())
}

/// Neither voice nor weights are the verifier's business: an auditor checks the decisions of somebody else's system.
fn both_hidden(model: &Model) -> Result<()> {
    let (pk, vk, secret) = setup_private(model)?;
    // The secret is what a proving service is given besides the model.
    let prover = voxcheck::ProvingKey::private(pk.model(), &vk, &secret)?;
    let template = prover.enrol(&[read("slt_1.wav")?, read("slt_2.wav")?], 0.66)?;
    let context = Context::new(*b"log entry 4711");
    let (_, proof) = prover.prove(&read("slt_3.wav")?, &template, &context)?;
    let verdict = verify(&vk.to_bytes(), &template.0, &context, &proof.to_bytes())?;
    println!("both hidden: {verdict:?}");
    assert_eq!(verdict, Verdict::Accept);
    Ok(())
}

fn main() -> Result<()> {
    let model = Model::bundled()?;
    private_voice_public_model(&model)?;
    known_audio_private_weights(&model)?;
    both_hidden(&model)
}
