//! A small program taken apart: entries of tensors as cells with intervals, relations as constraints between them.

use std::collections::BTreeSet;

use voxcheck::gkr::program::{Kind, Program, Relation, TensorId};
use voxcheck::gkr::tables::Table;
use voxcheck::gkr::view::{ColMap, NONE, View};
use voxcheck::sumcheck::int::IntTable;

/// An entry of a tensor, or of a view that sums taps.
pub type Cell = usize;

/// The integers from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub low: i128,
    pub high: i128,
}

impl Interval {
    pub const fn point(value: i128) -> Self {
        Self { low: value, high: value }
    }

    pub fn is_point(self) -> bool {
        self.low == self.high
    }

    pub fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }

    /// Sums of which a summand is taken away again.
    pub fn without(self, summand: Self) -> Self {
        Self { low: self.low - summand.low, high: self.high - summand.high }
    }

    pub fn times(self, other: Self) -> Self {
        let product = |a: i128, b: i128| a.checked_mul(b).expect("programs here are small");
        let all = [(self.low, other.low), (self.low, other.high), (self.high, other.low), (self.high, other.high)];
        let all = all.map(|(a, b)| product(a, b));
        Self { low: *all.iter().min().unwrap(), high: *all.iter().max().unwrap() }
    }

    pub fn squared(self) -> Self {
        let product = self.times(self);
        Self { low: if self.low <= 0 && self.high >= 0 { 0 } else { product.low.max(0) }, high: product.high }
    }

    /// The numbers of `roots` whose squares are in the interval, and perhaps some between them.
    pub fn roots(self, roots: Self) -> Self {
        let root = |square: i128| square.max(0).unsigned_abs().isqrt() as i128;
        let (least, most) = (root(self.low - 1) + i128::from(self.low > 0), root(self.high));
        match roots {
            Self { low, .. } if low > -least => Self { low: least, high: most },
            Self { high, .. } if high < least => Self { low: -most, high: -least },
            _ => Self { low: -most, high: most },
        }
    }

    /// The integers `x` with `scale·x` in the interval, for a scale that is not zero.
    pub fn divided(self, scale: i128) -> Self {
        let (low, high) = if scale > 0 { (self.low, self.high) } else { (-self.high, -self.low) };
        let scale = scale.abs();
        Self { low: -(-low).div_euclid(scale), high: high.div_euclid(scale) }
    }
}

/// `factor · a · b`, or `factor · a`.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub factor: i128,
    pub a: Cell,
    pub b: Option<Cell>,
}

#[derive(Clone, Debug)]
pub enum Constraint {
    /// `out = constant + Σ terms`.
    Sum { out: Cell, constant: i128, terms: Vec<Term> },
    /// The cells, each scaled and shifted, are an entry of a table.
    Lookup { columns: Vec<(Cell, i128, i128)>, table: usize },
}

impl Constraint {
    pub fn cells(&self) -> BTreeSet<Cell> {
        match self {
            Self::Sum { out, terms, .. } => {
                terms.iter().flat_map(|t| [Some(t.a), t.b]).flatten().chain([*out]).collect()
            }
            Self::Lookup { columns, .. } => columns.iter().map(|&(cell, ..)| cell).collect(),
        }
    }
}

/// Values that a term can have.
pub fn values(domains: &[Interval], term: Term) -> Interval {
    let product = match term.b {
        None => domains[term.a],
        Some(b) if b == term.a => domains[b].squared(),
        Some(b) => domains[term.a].times(domains[b]),
    };
    product.times(Interval::point(term.factor))
}

pub fn total(domains: &[Interval], constant: i128, terms: &[Term]) -> Interval {
    terms.iter().fold(Interval::point(constant), |sum, &term| sum.plus(values(domains, term)))
}

/// A program as cells and constraints.
pub struct Cells {
    pub domains: Vec<Interval>,
    pub constraints: Vec<Constraint>,
    /// Entries of every table, by the first column.
    pub tables: Vec<Vec<Vec<i128>>>,
    pub inputs: Vec<Vec<Cell>>,
    pub committed: Vec<Cell>,
    pub outputs: Vec<Cell>,
}

impl Cells {
    pub fn new(program: &Program, constants: &[IntTable]) -> Self {
        let mut compiler = Compiler { program, first: Vec::new(), domains: Vec::new(), constraints: Vec::new() };
        let (mut inputs, mut committed) = (Vec::new(), Vec::new());
        for (i, tensor) in program.tensors().iter().enumerate() {
            compiler.first.push(compiler.domains.len());
            let cells: Vec<Cell> = compiler.cells(TensorId(i as u32)).collect();
            let bounds = || Interval {
                low: i128::try_from(&tensor.low).expect("bounds here are small"),
                high: i128::try_from(&tensor.high).expect("bounds here are small"),
            };
            match tensor.kind {
                Kind::Constant(number) => {
                    compiler.domains.extend(constants[number as usize].values().iter().map(Interval::point));
                }
                Kind::Virtual(relation) => compiler.define(i, &program.relations()[relation as usize]),
                Kind::Input | Kind::Weights | Kind::Witness => {
                    compiler.domains.extend(cells.iter().map(|_| bounds()));
                    if tensor.kind == Kind::Witness { committed.extend(cells) } else { inputs.push(cells) }
                }
                // How often an entry is looked up is counted: there is one answer.
                Kind::Multiplicity(_) => {}
            }
        }
        for relation in program.relations() {
            let Relation::Lookup(lookup) = relation else { continue };
            let views: Vec<Vec<Cell>> = lookup.columns.iter().map(|c| compiler.view(&c.view)).collect();
            for i in 0..views[0].len() {
                let column = |k: usize| (views[k][i], lookup.columns[k].scale.into(), lookup.columns[k].offset.into());
                let columns = (0..views.len()).map(column).collect();
                compiler.constraints.push(Constraint::Lookup { columns, table: lookup.table.0 as usize });
            }
        }
        for &id in program.zeros() {
            let cells: Vec<Cell> = compiler.cells(id).collect();
            for out in cells {
                // Zero is an empty sum.
                compiler.constraints.push(Constraint::Sum { out, constant: 0, terms: Vec::new() });
            }
        }
        let outputs = program.outputs().iter().flat_map(|&id| compiler.cells(id).collect::<Vec<_>>()).collect();
        let tables = program.tables().iter().map(entries).collect();
        let Compiler { domains, constraints, .. } = compiler;
        Self { domains, constraints, tables, inputs, committed, outputs }
    }
}

fn entries(table: &Table) -> Vec<Vec<i128>> {
    let entry = |i: usize| (0..table.columns.len()).map(|k| table.entry(k, i).into()).collect();
    let mut entries: Vec<Vec<i128>> = (0..table.len()).map(entry).collect();
    entries.sort();
    entries
}

/// A program on its way to cells.
struct Compiler<'a> {
    program: &'a Program,
    /// First cell of every tensor.
    first: Vec<Cell>,
    domains: Vec<Interval>,
    constraints: Vec<Constraint>,
}

impl Compiler<'_> {
    fn cells(&self, id: TensorId) -> std::ops::Range<Cell> {
        let (tensor, first) = (self.program.tensor(id), self.first[id.0 as usize]);
        first..first + tensor.rows * tensor.cols
    }

    /// Adds the entries of a tensor that a relation defines.
    fn define(&mut self, tensor: usize, relation: &Relation) {
        // Sums of views get their cells before the tensor's own.
        let sums = self.relation(relation);
        self.first[tensor] = self.domains.len();
        for (constant, terms) in sums {
            let out = self.domains.len();
            let domain = total(&self.domains, constant, &terms);
            self.domains.push(domain);
            self.constraints.push(Constraint::Sum { out, constant, terms });
        }
    }

    /// The cell of a row and a column of a view.
    fn source(&self, view: &View, row: u32, col: usize) -> Option<Cell> {
        let col = match view.cols {
            ColMap::Identity => col,
            ColMap::Slice { offset, .. } => offset as usize + col,
            ColMap::Broadcast { .. } => 0,
        };
        let first = self.first[view.tensor.0 as usize];
        (row != NONE).then(|| first + row as usize * self.program.tensor(view.tensor).cols + col)
    }

    /// The entries of a view, row by row. Those that are not simply an entry of its tensor get cells.
    fn view(&mut self, view: &View) -> Vec<Cell> {
        let (rows, cols) = self.program.view_shape(view);
        let sources: Vec<Vec<u32>> = (0..view.rows.num_taps()).map(|tap| view.rows.sources(tap)).collect();
        let mut cells = Vec::with_capacity(rows * cols);
        for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
            let taps = sources.iter().zip(&view.tap_weights);
            let terms: Vec<Term> = taps
                .filter_map(|(tap, &factor)| Some(Term { factor, a: self.source(view, tap[row], col)?, b: None }))
                .collect();
            cells.push(match terms[..] {
                [Term { factor: 1, a, b: None }] => a,
                _ => {
                    let out = self.domains.len();
                    let domain = total(&self.domains, 0, &terms);
                    self.domains.push(domain);
                    self.constraints.push(Constraint::Sum { out, constant: 0, terms });
                    out
                }
            });
        }
        cells
    }

    /// What every entry of the tensor is that a relation defines: a constant and a sum of terms.
    fn relation(&mut self, relation: &Relation) -> Vec<(i128, Vec<Term>)> {
        match relation {
            Relation::Linear(linear) => {
                let views: Vec<(i128, Vec<Cell>)> =
                    linear.terms.iter().map(|(factor, view)| (*factor, self.view(view))).collect();
                let terms = |i: usize| views.iter().map(move |(factor, v)| Term { factor: *factor, a: v[i], b: None });
                (0..views[0].1.len()).map(|i| (linear.constant, terms(i).collect())).collect()
            }
            Relation::Product(product) => {
                let (left, right) = (self.view(&product.left), self.view(&product.right));
                let pairs = left.into_iter().zip(right);
                pairs.map(|(a, b)| (0, vec![Term { factor: 1, a, b: Some(b) }])).collect()
            }
            Relation::Contraction(c) => {
                let rhs = self.view(&c.rhs);
                let (rhs_rows, rhs_cols) = self.program.view_shape(&c.rhs);
                let (rows, inner) = self.program.view_shape(&c.lhs);
                let taps: Vec<Vec<u32>> = (0..c.lhs.rows.num_taps()).map(|tap| c.lhs.rows.sources(tap)).collect();
                let cols = if c.transposed { rhs_rows } else { rhs_cols };
                let entry = |row: usize, n: usize| {
                    let contracted = (0..taps.len()).flat_map(|tap| (0..inner).map(move |c| (tap, c)));
                    let term = |(tap, col): (usize, usize)| {
                        let (r, k) = if c.transposed { (n, col) } else { (tap * inner.next_power_of_two() + col, n) };
                        let a = self.source(&c.lhs, taps[tap][row], col)?;
                        Some(Term { factor: 1, a, b: Some(rhs[r * rhs_cols + k]) })
                    };
                    (0, contracted.filter_map(term).collect())
                };
                (0..rows * cols).map(|i| entry(i / cols, i % cols)).collect()
            }
            Relation::Lookup(_) => unreachable!("a lookup defines no tensor"),
        }
    }
}
