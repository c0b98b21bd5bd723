//! A few hundred inputs of the fuzz targets that matter most; `fuzz/README.md` says how to run more.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::mutate::{Random, mutate};

/// Seeds as they are, then mutations of them; a target panics if an answer is wrong.
fn run(name: &str, count: usize) {
    let target = fuzz::target(name).expect("the target is in the list");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| (target.run)(seed));
    let mut random = Random::new(count as u64);
    (0..count).for_each(|_| (target.run)(&mutate(&seeds, &mut random)));
}

#[test]
fn proof_bytes() {
    run("proof", 300);
}

#[test]
fn proof_edits() {
    run("proof_edits", 100);
}

#[test]
fn key_files() {
    run("key", 100);
}

#[test]
fn recordings() {
    run("wav", 20_000);
}

#[test]
fn random_programs() {
    run("programs", 400);
}

#[test]
fn tflite_networks() {
    run("tflite", 3_000);
}
