//! How much memory a proof takes at most: per looked-up value, of which there are millions.

#![cfg(target_os = "linux")]

mod cli_common;

use cli_common::*;

/// Bytes per lookup beside [`BASE_BYTES`]: the tree of fractions, the trace, and what waves and openings need.
const BYTES_PER_LOOKUP: u64 = 64;
/// The program with its keys and tables, and what the allocator keeps.
const BASE_BYTES: u64 = 200 << 20;

#[test]
fn proofs_keep_to_their_memory() {
    for workload in ["lookup-20", "ecapa-small-3s"] {
        let (exit, answer) = json(&["bench", workload, "--repeat", "2", "--threads", "2", "--quiet"]);
        assert_eq!(exit, 0, "{answer}");
        let number = |name: &str| answer["results"][0][name].as_u64().unwrap();
        let (peak, lookups) = (number("peak_rss_bytes"), number("lookups"));
        assert!(lookups >= 1 << 20, "{answer}");
        let most = BASE_BYTES + BYTES_PER_LOOKUP * lookups;
        assert!(peak <= most, "{workload}: {peak} bytes for {lookups} lookups instead of {most} at most");
    }
}

/// A limit below what the fastest way takes is kept by computing layers again, and makes no difference to the proof.
#[test]
fn a_limit_is_kept_and_the_proof_is_the_same() {
    let folder = Folder::new();
    let template = folder.path("t.vxe");
    // Ten seconds of a short recording again and again, without its header.
    let voice = std::fs::read(demo_wav("slt_1.wav")).unwrap();
    let samples: Vec<u8> = voice[44..].iter().copied().cycle().take(320_000).collect();
    let wav = folder.write("long.wav", &wav(1, 1, 16_000, 16, &samples));
    assert_eq!(status(&["enrol", "--model", "ecapa-small", &demo_wav("slt_1.wav"), "-o", &template]), 0);
    let prove = |name: &str, limit: &[&str]| {
        let proof = folder.path(name);
        let options = ["--clear", "--model", "ecapa-small", "--threads", "2"];
        let arguments = [&["prove", "--enrolled", &template, &wav, "-o", &proof], &options[..]].concat();
        let (exit, answer) = json(&[&arguments[..], limit].concat());
        assert_eq!(exit, 0, "{answer}");
        (std::fs::read(&proof).unwrap(), answer["peak_rss_bytes"].as_u64().unwrap())
    };
    let (proof, free) = prove("free.vxp", &[]);
    let limit = free / 20 * 17;
    let (again, kept) = prove("kept.vxp", &["--memory-limit", &format!("{limit}B")]);
    assert!(kept <= limit, "{kept} bytes with a limit of {limit}, {free} without");
    assert_eq!(proof, again);
}
