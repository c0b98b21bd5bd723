//! What the prover finds out besides the proof.

use std::time::Duration;

use super::{Reading, Verdict};

/// Where the time of a proof went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// Running the program.
    pub execute: Duration,
    /// Committing to the witness.
    pub commit: Duration,
    /// The lookup argument.
    pub lookup: Duration,
    /// The waves of sum-checks.
    pub waves: Duration,
    /// The opening.
    pub open: Duration,
    /// What hiding took besides.
    pub zk: Duration,
}

/// What proving found out besides the proof.
#[derive(Clone, Debug)]
pub struct Report {
    /// The decision.
    pub verdict: Verdict,
    /// The cosine of recording and template, from the exact integers (not part of the proof unless revealed); none
    /// without a template.
    pub score: Option<f64>,
    /// The integer embedding; empty if the model has none.
    pub embedding: Vec<i64>,
    /// What the recording says.
    pub readings: Vec<Reading>,
    /// Where the time went.
    pub stages: Stages,
    /// Frames of the front end.
    pub frames: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers.
    pub committed_values: u64,
}
