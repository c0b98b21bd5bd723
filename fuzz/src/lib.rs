//! What is fuzzed: a function from bytes to nothing for every door that untrusted bytes come through.
//!
//! A target panics if something is wrong: the code under test panicked, or bytes that nobody made
//! honestly were accepted, or two ways to compute one thing disagree. Errors are answers, not failures.
//! The same functions are run by libFuzzer (`fuzz_targets`), by the runner of this crate (`bin/run.rs`)
//! and, for a few inputs, by `tests/fuzz_smoke.rs`.
#![allow(dead_code)] // the smoke test uses its part

mod arguments;
mod artefacts;
mod files;
mod gadgets;
pub mod mutate;
mod programs;
mod protocol;
mod source;

/// Something that takes untrusted bytes.
pub struct Target {
    /// What `run` and `cargo fuzz` call it.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
    /// Inputs to start from; the first is an honest one.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "proof", run: files::proof, seeds: files::proof_seeds },
    Target { name: "proof_edits", run: files::proof_edits, seeds: files::proof_edits_seeds },
    Target { name: "statement", run: files::statement, seeds: files::statement_seeds },
    Target { name: "model", run: files::model, seeds: files::model_seeds },
    Target { name: "model_spec", run: files::model_spec, seeds: files::model_spec_seeds },
    Target { name: "key", run: files::key, seeds: files::key_seeds },
    Target { name: "template", run: files::template, seeds: files::template_seeds },
    Target { name: "audio", run: files::audio, seeds: files::audio_seeds },
    Target { name: "wav", run: files::wav, seeds: files::wav_seeds },
    Target { name: "onnx", run: files::onnx, seeds: files::onnx_seeds },
    Target { name: "tflite", run: files::tflite, seeds: files::tflite_seeds },
    Target { name: "arguments", run: arguments::run, seeds: arguments::seeds },
    Target { name: "sumcheck", run: protocol::sumcheck, seeds: protocol::sumcheck_seeds },
    Target { name: "lookup", run: protocol::lookup, seeds: protocol::lookup_seeds },
    Target { name: "opening", run: protocol::opening, seeds: protocol::opening_seeds },
    Target { name: "lockstep", run: protocol::lockstep, seeds: source::any_bytes },
    Target { name: "programs", run: programs::run, seeds: source::any_bytes },
    Target { name: "gadgets", run: gadgets::run, seeds: source::any_bytes },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The entry of a target: for libFuzzer under `cargo fuzz`, a note without it.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            let target = voxcheck_fuzz::target($name).expect("the target is in the list");
            (target.run)(bytes);
        });
        #[cfg(not(fuzzing))]
        fn main() {
            eprintln!("built without a fuzzer: use `cargo fuzz run {0}`, or `cargo run --bin run {0}`", $name);
        }
    };
}
