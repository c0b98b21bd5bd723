//! The prover's leaves of the lookup argument.
//!
//! An honest tuple has the denominator of the table entry that it equals. So denominators are computed once
//! an entry, and a leaf is the number of its entry: four bytes instead of 32.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Fr;
use super::find::{FIND_BLOCK, LookupColumn, MISSING, TableIndex};
use super::fraction::{Layer, Numerators};
use super::lookup::{Block, Compression, Content, Layout, lookups};
use super::program::{Lookup, Program, Relation, TableId};
use super::tables::{Table, TableColumn};
use super::trace::Trace;
use crate::sumcheck::int::dispatch;
use crate::sumcheck::par;
use crate::sumcheck::small::{SmallField, fold_runs};

/// Where the looked-up tuples are in their tables.
pub(super) struct Located {
    /// The entry that each leaf equals: entries of all tables are numbered through, and the number after the last
    /// one is that of the neutral fraction. [`MISSING`] if there is none.
    pub(super) entries: Vec<u32>,
    /// How often each entry of each table is looked up.
    pub(super) counts: Vec<Vec<u32>>,
    /// The first tuple of the first relation that has one in no entry.
    pub(super) missing: Option<Missed>,
}

/// A tuple that is in no entry of its table.
pub(super) struct Missed {
    /// The relation.
    pub(super) relation: usize,
    /// The tuple's place among those of the relation.
    pub(super) place: usize,
    /// Its first component.
    pub(super) value: i128,
}

/// The number of each table's first entry, and of what follows the last table.
fn first_entries(program: &Program) -> Vec<u32> {
    let lens = program.tables().iter().map(Table::len);
    let ends = lens.scan(0, |end, len| {
        *end += len as u32;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

/// The leaves of a block.
fn range(block: &Block) -> std::ops::Range<usize> {
    block.start..block.start + (block.rows << block.width_vars)
}

/// Finds looked-up tuples, a relation at a time.
pub(super) struct Locator<'a> {
    program: &'a Program,
    /// The blocks of each relation, with the column that their rows begin with.
    blocks: HashMap<usize, Vec<(Block, usize)>>,
    indices: Vec<TableIndex<'a>>,
    first: Vec<u32>,
    first_tuple: usize,
    entries: Vec<u32>,
    missing: Option<Missed>,
}

impl<'a> Locator<'a> {
    /// With nothing found yet.
    pub(super) fn new(program: &'a Program) -> Self {
        let layout = Layout::new(program);
        let (first, first_tuple) = (first_entries(program), first_tuple(&layout));
        let mut entries = vec![0; layout.len];
        // A gap between tables and tuples holds neutral fractions; all other leaves are written.
        entries[..first_tuple].fill(first[program.tables().len()]);
        let mut blocks: HashMap<usize, Vec<(Block, usize)>> = HashMap::new();
        for block in layout.blocks {
            match block.content {
                Content::Table(id) => {
                    let entries = &mut entries[range(&block)];
                    entries.iter_mut().zip(first[id.0 as usize]..).for_each(|(leaf, entry)| *leaf = entry);
                }
                Content::Tuples { relation, offset } => blocks.entry(relation).or_default().push((block, offset)),
            }
        }
        let indices = program.tables().iter().map(TableIndex::new).collect();
        Self { program, blocks, indices, first, first_tuple, entries, missing: None }
    }

    /// Finds the tuples of a relation.
    pub(super) fn locate(&mut self, trace: &Trace, relation: usize) {
        let Relation::Lookup(lookup) = &self.program.relations()[relation] else { return };
        // The views of a relation are written out once, for all of its blocks.
        let tuples = Tuples::new(self.program, trace, lookup);
        let table = lookup.table.0 as usize;
        let blocks = self.blocks.remove(&relation).unwrap_or_default();
        let missed = blocks.iter().filter_map(|(block, offset)| {
            let leaves = &mut self.entries[range(block)];
            tuples.locate(&self.indices[table], self.first[table], (block, *offset), leaves)
        });
        if let Some(place) = missed.min()
            && self.missing.as_ref().is_none_or(|missed| relation < missed.relation)
        {
            let view = &lookup.columns[0].view;
            self.missing = Some(Missed { relation, place, value: trace.view(view).values().get(place) });
        }
    }

    /// All that was found.
    pub(super) fn finish(self) -> Located {
        let Self { program, first, first_tuple, entries, missing, .. } = self;
        let counts = count(&entries[first_tuple..], first[program.tables().len()] as usize);
        let counts = first.windows(2).map(|ends| counts[ends[0] as usize..ends[1] as usize].to_vec()).collect();
        Located { entries, counts, missing }
    }
}

/// Finds all looked-up tuples.
pub(super) fn locate(program: &Program, trace: &Trace) -> Located {
    let mut locator = Locator::new(program);
    lookups(program).for_each(|(relation, _)| locator.locate(trace, relation));
    locator.finish()
}

/// The first leaf of a tuple: those of tables are before.
fn first_tuple(layout: &Layout) -> usize {
    let is_tuples = |block: &&Block| matches!(block.content, Content::Tuples { .. });
    layout.blocks.iter().find(is_tuples).map_or(layout.len, |block| block.start)
}

/// How often each of the numbers below `len` is among `leaves`.
fn count(leaves: &[u32], len: usize) -> Vec<u32> {
    // A thread counts on its own where there are more leaves than entries to add up afterwards.
    let parts = (leaves.len() / len.max(1)).clamp(1, par::threads());
    let mut counts = par::map_items(leaves.chunks(leaves.len().div_ceil(parts).max(1)).collect(), |_, leaves| {
        let mut counts = vec![0u32; len];
        leaves
            .iter()
            .filter_map(|&leaf| Some(leaf as usize).filter(|&leaf| leaf < len))
            .for_each(|leaf| counts[leaf] += 1);
        counts
    })
    .into_iter();
    let mut sums = counts.next().unwrap_or_else(|| vec![0; len]);
    counts.for_each(|counts| sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count));
    sums
}

/// The looked-up tuples of a relation.
struct Tuples<'a> {
    columns: Vec<LookupColumn<'a>>,
    /// Tuples in a row.
    cols: usize,
}

impl<'a> Tuples<'a> {
    fn new(program: &Program, trace: &Trace, lookup: &'a Lookup) -> Self {
        let columns = lookup.columns.iter().map(|column| LookupColumn::new(trace, column)).collect();
        Self { columns, cols: program.view_shape(&lookup.columns[0].view).1 }
    }

    /// The place of leaf `i` of a block whose rows begin with column `offset`.
    fn place(&self, block: &Block, offset: usize, i: usize) -> usize {
        (i >> block.width_vars) * self.cols + offset + (i & ((1 << block.width_vars) - 1))
    }

    /// Finds the tuples of a block; gives the first one that is in no entry.
    fn locate(
        &self,
        index: &TableIndex<'_>,
        first: u32,
        (block, offset): (&Block, usize),
        leaves: &mut [u32],
    ) -> Option<usize> {
        // Rows without a gap between them are one long row.
        let width = if self.cols == 1 << block.width_vars { FIND_BLOCK } else { 1 << block.width_vars };
        let size = TASK.next_multiple_of(width);
        let missing = AtomicUsize::new(usize::MAX);
        par::for_chunks_mut(leaves, size, |part, leaves| {
            for (row, leaves) in leaves.chunks_mut(width).enumerate() {
                let start = self.place(block, offset, part * size + row * width);
                for (at, leaves) in leaves.chunks_mut(FIND_BLOCK).enumerate() {
                    let start = start + at * FIND_BLOCK;
                    index.find(&self.columns, start, leaves);
                    if let Some(i) = leaves.iter().position(|&leaf| leaf == MISSING) {
                        missing.fetch_min(start + i, Ordering::Relaxed);
                        leaves.iter_mut().filter(|leaf| **leaf != MISSING).for_each(|leaf| *leaf += first);
                    } else {
                        leaves.iter_mut().for_each(|leaf| *leaf += first);
                    }
                }
            }
        });
        Some(missing.into_inner()).filter(|&tuple| tuple != usize::MAX)
    }
}

/// Tuples that are one task.
const TASK: usize = 1 << 12;

/// Numerators and denominators of all leaves.
pub(super) fn build(program: &Program, trace: &Trace, layout: &Layout, compression: &Compression) -> Layer<Fr> {
    let mut numerators = par::filled(first_tuple(layout), Fr::from(0u64));
    for block in &layout.blocks {
        if let Content::Table(id) = block.content {
            let counts = trace.get(program.multiplicities()[id.0 as usize]);
            let out = &mut numerators[range(block)];
            dispatch!(counts.values(), counts => fold_runs(counts, &[(0, -Fr::from(1u64))], out));
        }
    }
    let entries: usize = program.tables().iter().map(Table::len).sum();
    // The last one is that of the neutral fraction.
    let mut values = par::filled(entries + 1, Fr::from(1u64));
    let mut rest = values.as_mut_slice();
    for (table, i) in program.tables().iter().zip(0..) {
        let out;
        (out, rest) = rest.split_at_mut(table.len());
        denominators(table, compression.base(TableId(i)), &compression.powers, out);
    }
    let entries = trace.entries().unwrap_or_else(|| {
        let Located { mut entries, missing, .. } = locate(program, trace);
        if missing.is_some() {
            add_missing(program, trace, layout, compression, &mut entries, &mut values);
        }
        Arc::new(entries)
    });
    Layer::of_entries(Numerators::new(numerators, layout.len), values, entries)
}

/// The denominators of a table's entries, `base − Σ_j βʲ·Tⱼ`.
fn denominators(table: &Table, base: Fr, powers: &[Fr], out: &mut [Fr]) {
    let runs: Vec<(usize, Fr)> = (0..table.columns.len()).map(|k| (k * table.len(), -powers[k])).collect();
    let mut entries: Vec<i64> = Vec::with_capacity(runs.len() * table.len());
    for (k, column) in table.columns.iter().enumerate() {
        match column {
            TableColumn::Counter { start } => entries.extend(*start..*start + table.len() as i64),
            TableColumn::Values(values) => entries.extend_from_slice(values),
            TableColumn::Positive | TableColumn::Negative => {
                entries.extend((0..table.len()).map(|i| table.entry(k, i)));
            }
        }
    }
    // Narrow integers cost half as much.
    if entries.iter().all(|&entry| entry == i64::from(entry as i32)) {
        let narrow: Vec<i32> = entries.iter().map(|&entry| entry as i32).collect();
        fold_runs(&narrow, &runs, out);
    } else {
        fold_runs(&entries, &runs, out);
    }
    par::for_chunks_mut(out, ENTRY_BLOCK, |_, out| out.iter_mut().for_each(|out| *out = out.plus(base)));
}

/// Entries of a table that are computed in one go.
const ENTRY_BLOCK: usize = 256;

/// Gives tuples that are in no table entries of their own. Then the sum will not be zero, and the verifier refuses
/// the root: only a cheating prover comes here.
fn add_missing(
    program: &Program,
    trace: &Trace,
    layout: &Layout,
    compression: &Compression,
    entries: &mut [u32],
    values: &mut Vec<Fr>,
) {
    for block in &layout.blocks {
        let Content::Tuples { relation, offset } = block.content else { continue };
        let Relation::Lookup(lookup) = &program.relations()[relation] else { continue };
        let tuples = Tuples::new(program, trace, lookup);
        for (i, leaf) in entries[range(block)].iter_mut().enumerate().filter(|(_, leaf)| **leaf == MISSING) {
            let place = tuples.place(block, offset, i);
            *leaf = values.len() as u32;
            let terms = tuples.columns.iter().zip(&compression.powers);
            let tuple: Fr = terms.map(|(column, &power)| power * Fr::from(column.value(place))).sum();
            values.push(compression.base(lookup.table) - tuple);
        }
    }
}
