//! This speaker said this word: a speaker network and a word network on one recording, in one proof.
//!
//! ```sh
//! cargo run --release --example speaker_said_word -- word.vxm yes 0.8 enrolled.wav login.wav
//! ```
//!
//! where `word.vxm` comes from `voxcheck model import --labels`. The word is looked for in the window that starts at 0.8 s.

use std::error::Error;

use voxcheck::audio::wav;
use voxcheck::proof::{Expected, ProveOptions, Said};
use voxcheck::{Context, Model, setup};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [word, label, seconds, enrolled, login] = &arguments[..] else {
        return Err("give WORD.vxm LABEL SECONDS ENROLLED.wav LOGIN.wav".into());
    };
    let model = Model::bundled()?.join(&Model::read(word)?, "speaker and word")?;
    let (pk, vk) = setup(&model)?;
    let (template, secret) = pk.enrol(&[wav::read(enrolled)?], 0.5)?;

    // The prover's side.
    let context = Context::new(*b"the verifier's nonce");
    let start = seconds.parse::<f64>()? * f64::from(model.front_end().sample_rate);
    let options = ProveOptions { windows: &[start.round() as u32], ..ProveOptions::default() };
    let (proof, _) = pk.prove_with(&wav::read(login)?, &template, &secret, &context, &options)?;

    // The verifier's side.
    let says = [Said::parse(label)];
    let expected = Expected { says: &says, ..Expected::new(&template, &context) };
    vk.check_statement(proof.statement(), &expected)?;
    println!("{:?}: said {label:?}", vk.verify(proof.statement(), &proof)?);
    Ok(())
}
