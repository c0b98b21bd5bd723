//! The prover's leaves of the lookup argument.
//!
//! An honest tuple has the denominator of the table entry that it equals, so denominators are
//! computed once an entry and gathered.

use super::Fr;
use super::find::{FIND_BLOCK, LookupColumn, MISSING, TableIndex};
use super::fraction::{Layer, Numerators};
use super::lookup::{Block, Compression, Content, Layout};
use super::program::{Program, Relation, TableId};
use super::trace::Trace;
use crate::sumcheck::par;

/// Numerators and denominators of all leaves.
pub(super) fn build(program: &Program, trace: &Trace, layout: &Layout, compression: &Compression) -> Layer<Fr> {
    let mut denominators = par::filled(layout.len, Fr::from(1u64));
    let mut numerators = Vec::new();
    let entries: Vec<Vec<Fr>> = (0..program.tables().len())
        .map(|i| {
            let (table, id) = (&program.tables()[i], TableId(i as u32));
            let base = compression.base(id);
            par::map_cheap(table.len(), |entry| {
                (0..table.columns.len()).fold(base, |d, k| d - compression.powers[k] * Fr::from(table.entry(k, entry)))
            })
        })
        .collect();
    for block in &layout.blocks {
        let range = block.start..block.start + (block.rows << block.width_vars);
        match block.content {
            Content::Table(id) => {
                denominators[range.clone()].copy_from_slice(&entries[id.0 as usize]);
                let counts = trace.get(program.multiplicities()[id.0 as usize]);
                numerators.resize(range.start, Fr::from(0u64));
                numerators.extend(counts.values().iter().map(|count| -Fr::from(count)));
            }
            Content::Tuples { relation, offset } => {
                fill(program, trace, compression, &entries, block, (relation, offset), &mut denominators[range]);
            }
        }
    }
    // A gap between tables and tuples holds neutral fractions.
    let is_tuples = |block: &&Block| matches!(block.content, Content::Tuples { .. });
    let tuples = layout.blocks.iter().find(is_tuples).map_or(layout.len, |block| block.start);
    numerators.resize(tuples, Fr::from(0u64));
    Layer::new(Numerators::new(numerators, layout.len), denominators)
}

/// Fills the denominators of a block of tuples.
fn fill(
    program: &Program,
    trace: &Trace,
    compression: &Compression,
    entries: &[Vec<Fr>],
    block: &Block,
    (relation, offset): (usize, usize),
    out: &mut [Fr],
) {
    let Relation::Lookup(lookup) = &program.relations()[relation] else { return };
    let columns: Vec<LookupColumn<'_>> = lookup.columns.iter().map(|c| LookupColumn::new(trace, c)).collect();
    let index = TableIndex::new(&program.tables()[lookup.table.0 as usize]);
    let (_, cols) = program.view_shape(&lookup.columns[0].view);
    let (entries, base) = (&entries[lookup.table.0 as usize], compression.base(lookup.table));
    par::for_chunks_mut(out, 1 << block.width_vars, |row, out| {
        let mut found = [MISSING; FIND_BLOCK];
        for (block, out) in out.chunks_mut(FIND_BLOCK).enumerate() {
            let start = row * cols + offset + block * FIND_BLOCK;
            let found = &mut found[..out.len()];
            index.find(&columns, start, found);
            for (i, (out, &entry)) in out.iter_mut().zip(found.iter()).enumerate() {
                *out = match entries.get(entry as usize) {
                    Some(&denominator) => denominator,
                    // Not in the table: the sum will not be zero, and the verifier refuses the root.
                    None => columns
                        .iter()
                        .zip(&compression.powers)
                        .fold(base, |d, (column, &power)| d - power * Fr::from(column.value(start + i))),
                };
            }
        }
    });
}
