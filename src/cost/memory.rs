//! The prover's memory.

use crate::error::ModelError;
use crate::gkr::fraction::Recompute;
use crate::gkr::program::{Kind, Program};
use crate::gkr::tables::Table;
use crate::model::Model;

/// The program itself, its keys and tables, and what the allocator keeps. This and the following are fitted to 60 peaks of
/// the resident set between 57 MB and 1.1 GB (four models, 1, 3 and 10 s, all steps of [`Recompute`], 1 and 2 threads, Linux,
/// x86-64); `docs/performance.md` has the table. Runs of the same differ by a few percent.
const BASE: u64 = 27_000_000;
/// Bytes for a generator: its multiples, and what computing them takes.
const GENERATOR: u64 = 26_000;
/// Tenths of a byte for a leaf: where the tuple is in its table, and what else a lookup takes.
const LEAF: u64 = 75;
/// Tenths of a byte for a leaf: the stored levels of the tree. Each step of [`Recompute`] halves them.
const LEVELS: u64 = 320;
/// Tenths of a byte for an entry: the trace.
const ENTRY: u64 = 4;
/// Tenths of a byte for an entry: what waves and opening fold, after the tree is done.
const FOLDED: u64 = 48;
/// Tenths of a byte for a weight: the model, and what loading it takes.
const WEIGHT: u64 = 100;

/// Leaves of the tree of fractions.
pub(crate) fn leaves(program: &Program) -> u64 {
    let tables: u64 = program.tables().iter().map(|table| Table::len(table) as u64).sum();
    super::Sizes::new(program).lookups + tables
}

/// Entries of all weights, and of all other tensors.
pub(super) fn of_tensors(program: &Program) -> [u64; 2] {
    let mut entries = [0; 2];
    for tensor in program.tensors() {
        entries[usize::from(!matches!(tensor.kind, Kind::Constant(_)))] += (tensor.rows * tensor.cols) as u64;
    }
    entries
}

/// Peak memory of the prover of `program`: the resident set of the command line.
///
/// ```text
/// BASE + GENERATOR·generators + ENTRY·entries + WEIGHT·weights + max((LEAF + LEVELS/2^steps)·leaves, FOLDED·entries)
/// ```
///
/// where generators are those of the longest committed row, leaves those of the tree of fractions, and entries those of all
/// tensors but the weights.
pub(super) fn peak(program: &Program, recompute: Recompute) -> u64 {
    let [weights, entries] = of_tensors(program);
    let tree = (LEAF + (LEVELS >> recompute.steps())) * leaves(program);
    let tenths = ENTRY * entries + WEIGHT * weights + tree.max(FOLDED * entries);
    BASE + (GENERATOR << program.max_width_vars()) + tenths / 10
}

impl Model {
    /// Predicted peak memory of the prover for `samples` samples, in bytes: [`Cost::memory_bytes`](super::Cost::memory_bytes)
    /// for [`Recompute::LEAST`].
    pub fn memory_bytes(&self, samples: usize, recompute: Recompute) -> Result<u64, ModelError> {
        Ok(peak(&self.decision(samples)?.program, recompute))
    }
}

/// How far below a prediction the peak may be, and above which no proof is begun: one part in this many is added.
pub const MARGIN: u64 = 5;
