//! What the exact integers cost that a proof is about: execution beside float inference of the same network.
//!
//! `cargo run --release --example execution_cost -- [WAV [MODEL.vxm…]]` runs models (the built-in ones by default) on one
//! recording (a bundled one by default) and one thread, and prints the medians of seven calls of `Model::embed` and `Model::embed_float`, which
//! computes in double precision. A model without its float original has none.

use std::time::Instant;

use voxcheck::audio::wav;
use voxcheck::{Model, sumcheck::par};

/// The median time of seven calls, in milliseconds.
fn median_ms(mut f: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let clock = Instant::now();
            f();
            clock.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[3]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let bundled = || format!("{}/assets/demo/slt_1.wav", env!("CARGO_MANIFEST_DIR"));
    let samples = wav::read(args.next().unwrap_or_else(bundled))?.samples;
    let mut models: Vec<Model> = args.map(Model::read).collect::<Result<_, _>>()?;
    if models.is_empty() {
        models = ["xvector-small", "ecapa-small"].into_iter().filter_map(Model::built_in).collect::<Result<_, _>>()?;
    }
    par::alone(|| -> Result<(), voxcheck::error::ModelError> {
        for model in &models {
            model.embed(&samples)?;
            let exact = median_ms(|| drop(model.embed(&samples)));
            let Some(float) = model.embed_float(&samples) else {
                println!("{}: {exact:.1} ms, no float original", model.name());
                continue;
            };
            float?;
            let float = median_ms(|| drop(model.embed_float(&samples)));
            println!("{}: {exact:.1} ms, float {float:.1} ms, ratio {:.2}", model.name(), exact / float);
        }
        Ok(())
    })?;
    Ok(())
}
