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
