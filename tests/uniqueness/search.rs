//! All assignments of the committed tensors of a small program that satisfy its relations.
//!
//! Nothing here knows how an honest prover computes anything: hints are ignored. Every entry of every tensor is a
//! *cell* with an interval of values. Relations narrow intervals (never past a solution), and what is left of the
//! committed cells is halved until each has one value: a search that is complete, and quick where a relation decides a
//! cell at once. `brute_force` in `main.rs` is the check on this file: all values of all cells, one after another.

use std::collections::{BTreeSet, VecDeque};

use voxcheck::gkr::program::Program;
use voxcheck::sumcheck::int::IntTable;

use crate::cells::{Cell, Cells, Constraint, Interval, Term, total, values};

/// Tables are searched for other columns than the first once this few entries are left.
const FEW_ENTRIES: usize = 256;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Values of all public outputs, one after another.
    pub outputs: BTreeSet<Vec<i128>>,
    /// How many assignments of the committed tensors give them.
    pub assignments: usize,
}

/// A program made ready for searching.
pub struct Search {
    domains: Vec<Interval>,
    constraints: Vec<Constraint>,
    /// The constraints that a cell is part of.
    users: Vec<Vec<usize>>,
    /// Entries of every table, by the first column.
    tables: Vec<Vec<Vec<i128>>>,
    inputs: Vec<Vec<Cell>>,
    committed: Vec<Cell>,
    outputs: Vec<Cell>,
    /// Constraints to begin with, once inputs are known.
    start: VecDeque<usize>,
}

impl Search {
    pub fn new(program: &Program, constants: &[IntTable]) -> Self {
        let Cells { domains, constraints, tables, inputs, committed, outputs } = Cells::new(program, constants);
        let mut users = vec![Vec::new(); domains.len()];
        for (i, constraint) in constraints.iter().enumerate() {
            constraint.cells().into_iter().for_each(|cell| users[cell].push(i));
        }
        let start = (0..constraints.len()).collect();
        let mut search = Self { domains, constraints, users, tables, inputs, committed, outputs, start };
        // What holds for all inputs is found once; a program that admits none is refused again every time.
        let mut domains = search.domains.clone();
        if search.narrow(&mut domains, search.start.clone()).is_some() {
            search.domains = domains;
            search.start = search.inputs.iter().flatten().flat_map(|&cell| search.users[cell].clone()).collect();
        }
        search
    }

    /// Everything that the relations admit for these inputs.
    pub fn run(&self, inputs: &[Vec<i128>]) -> Found {
        let mut domains = self.domains.clone();
        for (cells, values) in self.inputs.iter().zip(inputs) {
            assert_eq!(cells.len(), values.len(), "an input has another size");
            cells.iter().zip(values).for_each(|(&cell, &value)| domains[cell] = Interval::point(value));
        }
        let mut found = Found::default();
        self.explore(domains, self.start.clone(), &mut found);
        found
    }

    fn explore(&self, mut domains: Vec<Interval>, queue: VecDeque<usize>, found: &mut Found) {
        if self.narrow(&mut domains, queue).is_none() {
            return;
        }
        let open = self.committed.iter().copied().filter(|&cell| !domains[cell].is_point());
        let Some(cell) = open.min_by_key(|&cell| domains[cell].high - domains[cell].low) else {
            found.assignments += 1;
            let value = |&cell: &Cell| {
                assert!(domains[cell].is_point(), "an output that no committed value decides");
                domains[cell].low
            };
            found.outputs.insert(self.outputs.iter().map(value).collect());
            return;
        };
        let Interval { low, high } = domains[cell];
        let middle = (low + high).div_euclid(2);
        for half in [Interval { low, high: middle }, Interval { low: middle + 1, high }] {
            let mut domains = domains.clone();
            domains[cell] = half;
            self.explore(domains, self.users[cell].iter().copied().collect(), found);
        }
    }

    /// Narrows until no constraint narrows anything; none if a cell has no value left.
    fn narrow(&self, domains: &mut [Interval], mut queue: VecDeque<usize>) -> Option<()> {
        let mut queued = vec![false; self.constraints.len()];
        queue.iter().for_each(|&i| queued[i] = true);
        let mut changed = Vec::new();
        while let Some(i) = queue.pop_front() {
            queued[i] = false;
            match &self.constraints[i] {
                Constraint::Sum { out, constant, terms } => {
                    narrow_sum(domains, *out, *constant, terms, &mut changed)?;
                }
                Constraint::Lookup { columns, table } => {
                    narrow_lookup(domains, columns, &self.tables[*table], &mut changed)?;
                }
            }
            for user in changed.drain(..).flat_map(|cell: Cell| &self.users[cell]) {
                if !std::mem::replace(&mut queued[*user], true) {
                    queue.push_back(*user);
                }
            }
        }
        Some(())
    }
}

/// Intersects; none if nothing is left.
fn keep(domains: &mut [Interval], cell: Cell, with: Interval, changed: &mut Vec<Cell>) -> Option<()> {
    let before = domains[cell];
    let after = Interval { low: before.low.max(with.low), high: before.high.min(with.high) };
    if after.low > after.high {
        return None;
    }
    if after != before {
        domains[cell] = after;
        changed.push(cell);
    }
    Some(())
}

fn narrow_sum(
    domains: &mut [Interval],
    out: Cell,
    constant: i128,
    terms: &[Term],
    changed: &mut Vec<Cell>,
) -> Option<()> {
    let sum = total(domains, constant, terms);
    keep(domains, out, sum, changed)?;
    // A term is the output without the other terms.
    for (i, &term) in terms.iter().enumerate() {
        let others = if changed.is_empty() {
            sum.without(values(domains, term))
        } else {
            let rest = terms.iter().enumerate().filter(|&(j, _)| j != i);
            rest.fold(Interval::point(constant), |sum, (_, &term)| sum.plus(values(domains, term)))
        };
        let left = Interval { low: domains[out].low - others.high, high: domains[out].high - others.low };
        match term.b {
            None if term.factor != 0 => keep(domains, term.a, left.divided(term.factor), changed)?,
            Some(b) if b == term.a && term.factor != 0 => {
                let roots = left.divided(term.factor).roots(domains[b]);
                keep(domains, b, roots, changed)?;
            }
            Some(b) => {
                for (cell, other) in [(term.a, b), (b, term.a)] {
                    let scale = domains[other].low * term.factor;
                    if domains[other].is_point() && scale != 0 {
                        keep(domains, cell, left.divided(scale), changed)?;
                    }
                }
            }
            _ => {}
        }
    }
    Some(())
}

fn narrow_lookup(
    domains: &mut [Interval],
    columns: &[(Cell, i128, i128)],
    entries: &[Vec<i128>],
    changed: &mut Vec<Cell>,
) -> Option<()> {
    let looked_up = |domains: &[Interval], k: usize| {
        let (cell, scale, offset) = columns[k];
        domains[cell].times(Interval::point(scale)).plus(Interval::point(offset))
    };
    let first = looked_up(domains, 0);
    let from = entries.partition_point(|entry| entry[0] < first.low);
    let to = entries.partition_point(|entry| entry[0] <= first.high);
    let left = &entries[from..to];
    let mut hull: Vec<Option<Interval>> = vec![None; columns.len()];
    if left.len() <= FEW_ENTRIES || first.is_point() {
        let wanted: Vec<Interval> = (0..columns.len()).map(|k| looked_up(domains, k)).collect();
        let fits = |entry: &&Vec<i128>| entry.iter().zip(&wanted).all(|(v, w)| (w.low..=w.high).contains(v));
        for entry in left.iter().filter(fits) {
            for (hull, &v) in hull.iter_mut().zip(entry) {
                let before = hull.unwrap_or(Interval::point(v));
                *hull = Some(Interval { low: before.low.min(v), high: before.high.max(v) });
            }
        }
        // No entry at all: every column is without a value.
        hull[0]?;
    } else {
        hull[0] = Some(Interval { low: left[0][0], high: left[left.len() - 1][0] });
    }
    for (&(cell, scale, offset), hull) in columns.iter().zip(hull) {
        if let Some(hull) = hull {
            keep(domains, cell, hull.plus(Interval::point(-offset)).divided(scale), changed)?;
        }
    }
    Some(())
}
