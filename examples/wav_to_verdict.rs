//! From WAVs to a verdict: enrol a voice, prove two log-ins, verify both with the key alone.
//!
//! ```sh
//! cargo run --release --example wav_to_verdict
//! ```

use std::error::Error;
use std::time::Instant;

use voxcheck::audio::wav;
use voxcheck::proof::{Expected, Proof};
use voxcheck::{Context, Model, Verdict, VerifyingKey, setup};

fn main() -> Result<(), Box<dyn Error>> {
    let read = |name: &str| wav::read(format!("{}/assets/demo/{name}", env!("CARGO_MANIFEST_DIR")));

    // Once a model: the verifying key has commitments to the weights, not the weights.
    let (pk, vk) = setup(&Model::bundled()?)?;
    let key_file = vk.to_bytes();
    println!("model    {}", vk.model_id());

    // Once a speaker: the template is public, its secret stays with the prover.
    let template = pk.enrol(&[read("slt_1.wav")?, read("slt_2.wav")?], 0.66)?;
    println!("template {}", template.0.id());

    // Once a log-in: the verifier chooses the context, so that a proof serves only once.
    for (file, wanted) in [("slt_3.wav", Verdict::Accept), ("rms_1.wav", Verdict::Reject)] {
        let context = Context::new(format!("log in with {file}"));
        let clock = Instant::now();
        let (_, proof) = pk.prove(&read(file)?, &template, &context)?;
        let proof_file = proof.to_bytes();
        println!("{file}: proved in {:.2} s, {} bytes", clock.elapsed().as_secs_f64(), proof_file.len());

        // Elsewhere: key, template and proof, but neither the recording nor the secret nor the weights.
        let clock = Instant::now();
        let vk = VerifyingKey::from_bytes(&key_file)?;
        let proof = Proof::from_bytes(&proof_file)?;
        let expected = Expected { min_threshold: Some(0.6), ..Expected::new(&template.0, &context) };
        vk.check_statement(proof.statement(), &expected)?;
        let verdict = vk.verify(proof.statement(), &proof)?;
        println!("{file}: {verdict:?}, verified in {:.3} s, key loaded", clock.elapsed().as_secs_f64());
        assert_eq!(verdict, wanted);
    }
    Ok(())
}
