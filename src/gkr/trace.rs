//! The trace: every tensor of a run, and a direct check of every relation.
//!
//! Running a program *is* the execution of the model. Virtual tensors follow from their relations,
//! committed ones from their hints; all arithmetic is exact.

use std::collections::HashMap;
use std::sync::Arc;

use num_bigint::BigInt;
use thiserror::Error;

use super::builder::Recipes;
use super::matmul;
use super::program::{Column, Contraction, Kind, Linear, Lookup, Product, Program, Relation, Tensor, TensorId};
use super::tables::{Table, TableColumn};
use super::view::{ColMap, NONE, View};
use crate::sumcheck::int::{IntTable, IntVec, dispatch};
use crate::sumcheck::par;

/// Why a program cannot be run on an input.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceError {
    /// A value is in no entry of the table that must hold it.
    #[error("`{tensor}` has {value} at row {row}, column {col}, which is not in table `{table}`")]
    NotInTable {
        /// The tensor.
        tensor: String,
        /// The table.
        table: String,
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        col: usize,
        /// Its value.
        value: i128,
    },
    /// A value leaves the range that the program admits.
    #[error("`{tensor}` has a value outside of [{low}, {high}]")]
    OutOfRange {
        /// The tensor.
        tensor: String,
        /// Smallest admitted value.
        low: BigInt,
        /// Largest admitted value.
        high: BigInt,
    },
    /// A value cannot be computed.
    #[error("`{tensor}` cannot be computed: {reason}")]
    Hint {
        /// The tensor.
        tensor: String,
        /// Why.
        reason: String,
    },
    /// An input has another shape than the program says.
    #[error("input `{tensor}` must have {rows} × {cols} values")]
    Input {
        /// The tensor.
        tensor: String,
        /// Rows expected.
        rows: usize,
        /// Columns expected.
        cols: usize,
    },
    /// A relation does not hold.
    #[error("`{tensor}` differs from its relation at row {row}, column {col}")]
    Violated {
        /// The tensor.
        tensor: String,
        /// Row of the first entry.
        row: usize,
        /// Column of the first entry.
        col: usize,
    },
}

/// Values of all tensors of a program.
#[derive(Clone, Debug)]
pub struct Trace {
    tables: Vec<Arc<IntTable>>,
}

impl Trace {
    /// The values of a tensor.
    ///
    /// # Panics
    /// If `id` is of another program.
    #[must_use]
    pub fn get(&self, id: TensorId) -> &IntTable {
        &self.tables[id.0 as usize]
    }

    /// Replaces the values of a tensor: what a cheating prover does.
    ///
    /// # Panics
    /// If `id` is of another program.
    pub fn replace(&mut self, id: TensorId, table: IntTable) {
        self.tables[id.0 as usize] = Arc::new(table);
    }

    /// The values of a view.
    #[must_use]
    pub fn view(&self, view: &View) -> Arc<IntTable> {
        let table = &self.tables[view.tensor.0 as usize];
        if view.is_whole() { Arc::clone(table) } else { Arc::new(materialize(table, view)) }
    }

    /// Runs `program` on `inputs` (in the order of [`Program::inputs`]) with `constants` (by number).
    pub fn run(
        program: &Program,
        recipes: &Recipes,
        inputs: &[Arc<IntTable>],
        constants: &[Arc<IntTable>],
    ) -> Result<Self, TraceError> {
        let mut inputs = inputs.iter();
        let mut trace = Self { tables: Vec::with_capacity(program.tensors().len()) };
        for (i, tensor) in program.tensors().iter().enumerate() {
            let id = TensorId(i as u32);
            let given = |table: Option<&Arc<IntTable>>| match table {
                Some(table) if (table.rows(), table.cols()) == (tensor.rows, tensor.cols) => Ok(Arc::clone(table)),
                _ => Err(TraceError::Input { tensor: tensor.name.clone(), rows: tensor.rows, cols: tensor.cols }),
            };
            let table = match tensor.kind {
                Kind::Input => given(inputs.next())?,
                Kind::Constant(number) => given(constants.get(number as usize))?,
                Kind::Witness => {
                    let recipe = recipes.get(&id).ok_or_else(|| TraceError::Hint {
                        tensor: tensor.name.clone(),
                        reason: "it has no hint".into(),
                    })?;
                    let arguments: Vec<&IntTable> = recipe.inputs.iter().map(|&id| trace.get(id)).collect();
                    let values = (recipe.hint)(&arguments)
                        .map_err(|reason| TraceError::Hint { tensor: tensor.name.clone(), reason })?;
                    Arc::new(pack(tensor, values)?)
                }
                Kind::Virtual(relation) => match &program.relations()[relation as usize] {
                    Relation::Linear(linear) => Arc::new(trace.linear(tensor, linear)?),
                    Relation::Contraction(c) => Arc::new(trace.contraction(tensor, c)?),
                    Relation::Product(product) => Arc::new(trace.product(tensor, product)?),
                    Relation::Lookup(_) => unreachable!("a lookup defines no tensor"),
                },
                Kind::Multiplicity(table) => {
                    let table = &program.tables()[table.0 as usize];
                    Arc::new(pack(tensor, vec![0; table.len()])?)
                }
            };
            trace.tables.push(table);
        }
        trace.count_lookups(program)?;
        Ok(trace)
    }

    fn linear(&self, tensor: &Tensor, linear: &Linear) -> Result<IntTable, TraceError> {
        let mut out = vec![linear.constant; tensor.rows * tensor.cols];
        for (coefficient, view) in &linear.terms {
            let table = self.view(view);
            dispatch!(table.values(), values => par::for_chunks_mut(&mut out, 1 << 12, |chunk, out| {
                for (out, &value) in out.iter_mut().zip(&values[chunk << 12..]) {
                    *out = out.wrapping_add(coefficient.wrapping_mul(value.into()));
                }
            }));
        }
        pack(tensor, out)
    }

    fn contraction(&self, tensor: &Tensor, c: &Contraction) -> Result<IntTable, TraceError> {
        let rhs = self.view(&c.rhs);
        let lhs = match c.lhs.cols {
            ColMap::Identity => Arc::clone(&self.tables[c.lhs.tensor.0 as usize]),
            _ => {
                let source = self.get(c.lhs.tensor);
                let whole = View { cols: c.lhs.cols, ..View::whole(c.lhs.tensor, source.rows()) };
                Arc::new(materialize(source, &whole))
            }
        };
        let values = matmul::contract(&lhs, &c.lhs.rows, &rhs, c.transposed).ok_or_else(|| out_of_range(tensor))?;
        pack(tensor, values)
    }

    fn product(&self, tensor: &Tensor, product: &Product) -> Result<IntTable, TraceError> {
        let (left, right) = (self.view(&product.left), self.view(&product.right));
        let values: Option<Vec<i128>> = dispatch!(left.values(), left => dispatch!(right.values(), right => {
            left.iter().zip(right).map(|(&a, &b)| i128::checked_mul(a.into(), b.into())).collect()
        }));
        pack(tensor, values.ok_or_else(|| out_of_range(tensor))?)
    }

    /// Fills the multiplicities, and with that checks every lookup.
    fn count_lookups(&mut self, program: &Program) -> Result<(), TraceError> {
        let mut counts: Vec<Vec<i128>> = program.tables().iter().map(|t| vec![0; t.len()]).collect();
        let indices: Vec<TableIndex<'_>> = program.tables().iter().map(TableIndex::new).collect();
        for relation in program.relations() {
            let Relation::Lookup(lookup) = relation else { continue };
            let table = lookup.table.0 as usize;
            let found = self.find_lookup(program, lookup, &indices[table])?;
            for index in found {
                counts[table][index as usize] += 1;
            }
        }
        for (&id, counts) in program.multiplicities().iter().zip(counts) {
            self.replace(id, pack(program.tensor(id), counts)?);
        }
        Ok(())
    }

    /// The table entry of every tuple of a lookup, row by row; an error names the first that has none.
    pub(super) fn find_lookup(
        &self,
        program: &Program,
        lookup: &Lookup,
        index: &TableIndex<'_>,
    ) -> Result<Vec<u32>, TraceError> {
        let columns: Vec<LookupColumn<'_>> = lookup.columns.iter().map(|c| LookupColumn::new(self, c)).collect();
        let (rows, cols) = program.view_shape(&lookup.columns[0].view);
        let parts = par::map(rows, |row| {
            let found = (0..cols).map(|col| index.find(&columns, row * cols + col).ok_or(col));
            found.collect::<Result<Vec<u32>, usize>>()
        });
        let mut out = Vec::with_capacity(rows * cols);
        for (row, part) in parts.into_iter().enumerate() {
            match part {
                Ok(part) => out.extend(part),
                Err(col) => {
                    let view = &lookup.columns[0].view;
                    return Err(TraceError::NotInTable {
                        tensor: program.tensor(view.tensor).name.clone(),
                        table: index.table.name.clone(),
                        row,
                        col,
                        value: self.view(view).get(row, col),
                    });
                }
            }
        }
        Ok(out)
    }

    /// Checks every relation directly, entry by entry.
    pub fn check(&self, program: &Program) -> Result<(), TraceError> {
        for relation in program.relations() {
            let (output, expected) = match relation {
                Relation::Linear(r) => (r.output, self.linear(program.tensor(r.output), r)?),
                Relation::Contraction(r) => (r.output, self.contraction(program.tensor(r.output), r)?),
                Relation::Product(r) => (r.output, self.product(program.tensor(r.output), r)?),
                Relation::Lookup(_) => continue,
            };
            let found = self.get(output);
            let differs = expected.values().iter().zip(found.values().iter()).position(|(a, b)| a != b);
            if let Some(i) = differs {
                let tensor = program.tensor(output).name.clone();
                return Err(TraceError::Violated { tensor, row: i / found.cols(), col: i % found.cols() });
            }
        }
        let mut counted = self.clone();
        counted.count_lookups(program)?;
        for &id in program.multiplicities() {
            let (found, expected) = (self.get(id), counted.get(id));
            if let Some(i) = (0..found.cols()).find(|&i| found.get(0, i) != expected.get(0, i)) {
                return Err(TraceError::Violated { tensor: program.tensor(id).name.clone(), row: 0, col: i });
            }
        }
        Ok(())
    }
}

/// A looked-up column with its values at hand.
pub(super) struct LookupColumn<'a> {
    column: &'a Column,
    table: Arc<IntTable>,
}

impl<'a> LookupColumn<'a> {
    pub(super) fn new(trace: &Trace, column: &'a Column) -> Self {
        Self { column, table: trace.view(&column.view) }
    }

    /// The scaled value of entry `i`, counted row by row.
    pub(super) fn value(&self, i: usize) -> i128 {
        let scaled = self.table.values().get(i).wrapping_mul(self.column.scale.into());
        scaled.wrapping_add(self.column.offset.into())
    }
}

/// Finds tuples in a table.
pub(super) struct TableIndex<'a> {
    table: &'a Table,
    first: HashMap<i64, u32>,
}

impl<'a> TableIndex<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        let first = match &table.columns[0] {
            TableColumn::Counter { .. } => HashMap::new(),
            TableColumn::Values(values) => {
                values.iter().enumerate().rev().map(|(i, &value)| (value, i as u32)).collect()
            }
        };
        Self { table, first }
    }

    pub(super) fn find(&self, columns: &[LookupColumn<'_>], i: usize) -> Option<u32> {
        let value = columns[0].value(i);
        let index = match &self.table.columns[0] {
            TableColumn::Counter { start } => {
                let index = value.checked_sub((*start).into())?;
                u32::try_from(index).ok().filter(|&index| (index as usize) < self.table.len())?
            }
            TableColumn::Values(_) => *self.first.get(&i64::try_from(value).ok()?)?,
        };
        let others = columns.iter().enumerate().skip(1);
        let matches = |(k, column): (usize, &LookupColumn<'_>)| {
            column.value(i) == i128::from(self.table.entry(k, index as usize))
        };
        others.into_iter().all(matches).then_some(index)
    }
}

/// The entries of a view of `table`.
fn materialize(table: &IntTable, view: &View) -> IntTable {
    let rows = view.rows.out_rows();
    let (first, source_cols, cols) = match view.cols {
        ColMap::Identity => (0, table.cols(), table.cols()),
        ColMap::Slice { offset, len } => (offset as usize, len as usize, len as usize),
        ColMap::Broadcast { len } => (0, 1, len as usize),
    };
    let mut values = vec![0i128; rows * cols];
    for (tap, &weight) in view.tap_weights.iter().enumerate() {
        let sources = view.rows.sources(tap);
        dispatch!(table.values(), stored => par::for_chunks_mut(&mut values, cols, |row, out| {
            let source = sources[row];
            if source == NONE {
                return;
            }
            let start = source as usize * table.cols() + first;
            let row = &stored[start..start + source_cols];
            for (c, out) in out.iter_mut().enumerate() {
                let value: i128 = row[if source_cols == 1 { 0 } else { c }].into();
                *out = out.wrapping_add(weight.wrapping_mul(value));
            }
        }));
    }
    let (low, high) = values.iter().fold((0, 0), |(low, high), &v| (v.min(low), v.max(high)));
    let packed = IntVec::pack(values.into_iter(), low, high).expect("every value is within its extremes");
    IntTable::new(rows, cols, packed)
}

/// Stores values in the narrowest type that holds the tensor's bounds, which they must respect.
fn pack(tensor: &Tensor, values: Vec<i128>) -> Result<IntTable, TraceError> {
    let clamp = |bound: &BigInt| i128::try_from(bound).ok();
    let low = clamp(&tensor.low).unwrap_or(i128::MIN);
    let high = clamp(&tensor.high).unwrap_or(i128::MAX);
    if values.len() != tensor.rows * tensor.cols {
        return Err(TraceError::Hint { tensor: tensor.name.clone(), reason: "the hint gave another size".into() });
    }
    match IntVec::pack(values.into_iter(), low, high) {
        Some(values) => Ok(IntTable::new(tensor.rows, tensor.cols, values)),
        None => Err(out_of_range(tensor)),
    }
}

fn out_of_range(tensor: &Tensor) -> TraceError {
    TraceError::OutOfRange { tensor: tensor.name.clone(), low: tensor.low.clone(), high: tensor.high.clone() }
}
