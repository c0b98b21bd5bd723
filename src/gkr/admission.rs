//! What a program must show before it is admitted: committed tensors are ranged, virtual ones used.

use std::collections::HashMap;

use num_bigint::BigInt;

use super::program::{Kind, Lookup, Program, ProgramError, Relation, Tensor};
use super::tables::Table;
use super::view::{ColMap, NONE, View};

/// Every row of every committed tensor is looked up as it is, in a table within its declared width.
pub(super) fn check_ranged(tensors: &[Tensor], relations: &[Relation], tables: &[Table]) -> Result<(), ProgramError> {
    let mut whole = vec![false; tensors.len()];
    let mut partly: HashMap<usize, Vec<bool>> = HashMap::new();
    // Looking for them takes a pass over a table, and a table is in many lookups.
    let ranges: Vec<Vec<(i64, i64)>> =
        tables.iter().map(|table| (0..table.columns.len()).map(|k| table.column_range(k)).collect()).collect();
    for relation in relations {
        let Relation::Lookup(Lookup { columns, table }) = relation else { continue };
        for (k, column) in columns.iter().enumerate() {
            let id = column.view.tensor.0 as usize;
            let tensor = &tensors[id];
            let (low, high) = ranges[table.0 as usize][k];
            // low ≤ x + offset ≤ high. A scaled column shows nothing about a committed tensor:
            // 2^k·x is also in the range for some fractions x.
            let within = column.scale == 1
                && tensor.low <= BigInt::from(low) - column.offset
                && tensor.high >= BigInt::from(high) - column.offset;
            let direct = column.view.cols == ColMap::Identity && column.view.tap_weights == [1];
            if within && direct && column.view.rows.is_identity() {
                whole[id] = true;
            } else if within && direct {
                let covered = partly.entry(id).or_insert_with(|| vec![false; tensor.rows]);
                for row in column.view.rows.sources(0) {
                    if row != NONE {
                        covered[row as usize] = true;
                    }
                }
            }
        }
    }
    for (id, tensor) in tensors.iter().enumerate() {
        let covered = || whole[id] || partly.get(&id).is_some_and(|rows| !rows.contains(&false));
        if matches!(tensor.kind, Kind::Input | Kind::Witness) && !covered() {
            return Err(ProgramError::Unranged { tensor: tensor.name.clone() });
        }
    }
    Ok(())
}

/// Every virtual tensor is used: a claim on it is how its relation comes to be proved.
pub(super) fn check_used(program: &Program) -> Result<(), ProgramError> {
    let mut used = vec![false; program.tensors.len()];
    let mut mark = |view: &View| used[view.tensor.0 as usize] = true;
    for relation in &program.relations {
        match relation {
            Relation::Linear(linear) => linear.terms.iter().for_each(|(_, view)| mark(view)),
            Relation::Contraction(c) => [&c.lhs, &c.rhs].into_iter().for_each(&mut mark),
            Relation::Product(p) => [&p.left, &p.right].into_iter().for_each(&mut mark),
            Relation::Lookup(lookup) => lookup.columns.iter().for_each(|c| mark(&c.view)),
        }
    }
    for output in program.outputs.iter().chain(&program.zeros) {
        used[output.0 as usize] = true;
    }
    match program.tensors.iter().zip(&used).find(|(t, used)| matches!(t.kind, Kind::Virtual(_)) && !**used) {
        Some((tensor, _)) => Err(ProgramError::Unused { tensor: tensor.name.clone() }),
        None => Ok(()),
    }
}
