//! The trace: every tensor of a run, and a direct check of every relation.
//!
//! Running a program *is* the execution of the model. Virtual tensors follow from their relations,
//! committed ones from their hints; all arithmetic is exact.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use num_bigint::BigInt;
use thiserror::Error;

use super::builder::Recipes;
use super::leaves;
use super::lookup::Layout;
use super::matmul;
use super::program::{Contraction, Kind, Linear, Product, Program, Relation, Tensor, TensorId};
use super::view::{ColMap, View};
use crate::sumcheck::int::{IntTable, IntVec, SmallInt, dispatch};
use crate::sumcheck::par;

#[cfg(feature = "adversary")]
mod tampered;
mod views;

use self::views::materialize;

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

/// What becomes of a tuple that is in no entry of its table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refuse,
    #[cfg_attr(not(feature = "adversary"), allow(dead_code))]
    Ignore,
}

/// Values of all tensors of a program.
#[derive(Clone, Debug)]
pub struct Trace {
    tables: Vec<Arc<IntTable>>,
    /// Where looked-up tuples are in their tables, until a tensor changes: finding them is a tenth of a proof.
    entries: Option<Arc<Vec<u32>>>,
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
        self.entries = None;
    }

    /// Where the leaves of the lookups are in their tables, if all of them are (see [`leaves::locate`]).
    pub(super) fn entries(&self) -> Option<Arc<Vec<u32>>> {
        self.entries.clone()
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
        let mut trace = Self { tables: Vec::with_capacity(program.tensors().len()), entries: None };
        let mut given = inputs.iter();
        for (i, tensor) in program.tensors().iter().enumerate() {
            let table = trace.compute(program, recipes, TensorId(i as u32), tensor, &mut given, constants)?;
            trace.tables.push(table);
        }
        trace.count_lookups(program, Missing::Refuse)?;
        Ok(trace)
    }

    /// The values of the next tensor, from those before it; `inputs` are the ones not yet used.
    fn compute<'a>(
        &self,
        program: &Program,
        recipes: &Recipes,
        id: TensorId,
        tensor: &Tensor,
        inputs: &mut impl Iterator<Item = &'a Arc<IntTable>>,
        constants: &[Arc<IntTable>],
    ) -> Result<Arc<IntTable>, TraceError> {
        let given = |table: Option<&Arc<IntTable>>| match table {
            Some(table) if (table.rows(), table.cols()) == (tensor.rows, tensor.cols) => Ok(Arc::clone(table)),
            _ => Err(TraceError::Input { tensor: tensor.name.clone(), rows: tensor.rows, cols: tensor.cols }),
        };
        Ok(match tensor.kind {
            Kind::Input | Kind::Weights => given(inputs.next())?,
            Kind::Constant(number) => given(constants.get(number as usize))?,
            Kind::Witness => {
                let recipe = recipes
                    .get(&id)
                    .ok_or_else(|| TraceError::Hint { tensor: tensor.name.clone(), reason: "it has no hint".into() })?;
                let arguments: Vec<&IntTable> = recipe.inputs.iter().map(|&id| self.get(id)).collect();
                let values = (recipe.hint)(&arguments)
                    .map_err(|reason| TraceError::Hint { tensor: tensor.name.clone(), reason })?;
                Arc::new(pack_values(tensor, &values)?)
            }
            Kind::Virtual(relation) => match &program.relations()[relation as usize] {
                Relation::Linear(linear) => Arc::new(self.linear(tensor, linear)?),
                Relation::Contraction(c) => Arc::new(self.contraction(tensor, c)?),
                Relation::Product(product) => Arc::new(self.product(tensor, product)?),
                Relation::Lookup(_) => unreachable!("a lookup defines no tensor"),
            },
            Kind::Multiplicity(table) => {
                let table = &program.tables()[table.0 as usize];
                Arc::new(pack_values(tensor, &vec![0; table.len()])?)
            }
        })
    }

    fn linear(&self, tensor: &Tensor, linear: &Linear) -> Result<IntTable, TraceError> {
        let terms: Vec<(i128, Arc<IntTable>)> = linear.terms.iter().map(|(c, view)| (*c, self.view(view))).collect();
        pack(tensor, |start, out| {
            out.fill(linear.constant);
            for (coefficient, table) in &terms {
                dispatch!(table.values(), values => {
                    for (out, &value) in out.iter_mut().zip(&values[start..]) {
                        *out = out.wrapping_add(coefficient.wrapping_mul(value.into()));
                    }
                });
            }
            true
        })
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
        dispatch!(&values, values => pack(tensor, |start, out| {
            out.iter_mut().zip(&values[start..]).for_each(|(out, &value)| *out = value.into());
            true
        }))
    }

    fn product(&self, tensor: &Tensor, product: &Product) -> Result<IntTable, TraceError> {
        let (left, right) = (self.view(&product.left), self.view(&product.right));
        pack(tensor, |start, out| {
            dispatch!(left.values(), left => dispatch!(right.values(), right => {
                multiply(&left[start..], &right[start..], out)
            }))
        })
    }

    /// Fills the multiplicities, and with that checks every lookup; an error names the first tuple that is in
    /// no entry.
    fn count_lookups(&mut self, program: &Program, missing: Missing) -> Result<(), TraceError> {
        let located = leaves::locate(program, self, &Layout::new(program));
        if let (Some((relation, i)), Missing::Refuse) = (located.missing, missing)
            && let Relation::Lookup(lookup) = &program.relations()[relation]
        {
            let view = &lookup.columns[0].view;
            let (_, cols) = program.view_shape(view);
            let (row, col) = (i / cols, i % cols);
            let table = program.tables()[lookup.table.0 as usize].name.clone();
            let tensor = program.tensor(view.tensor).name.clone();
            return Err(TraceError::NotInTable { tensor, table, row, col, value: self.view(view).get(row, col) });
        }
        for (&id, counts) in program.multiplicities().iter().zip(located.counts) {
            let counts: Vec<i128> = counts.into_iter().map(i128::from).collect();
            self.replace(id, pack_values(program.tensor(id), &counts)?);
        }
        self.entries = located.missing.is_none().then(|| Arc::new(located.entries));
        Ok(())
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
        for &id in program.zeros() {
            let found = self.get(id);
            if let Some(i) = found.values().iter().position(|v| v != 0) {
                let tensor = program.tensor(id).name.clone();
                return Err(TraceError::Violated { tensor, row: i / found.cols(), col: i % found.cols() });
            }
        }
        let mut counted = self.clone();
        counted.count_lookups(program, Missing::Refuse)?;
        for &id in program.multiplicities() {
            let (found, expected) = (self.get(id), counted.get(id));
            if let Some(i) = (0..found.cols()).find(|&i| found.get(0, i) != expected.get(0, i)) {
                return Err(TraceError::Violated { tensor: program.tensor(id).name.clone(), row: 0, col: i });
            }
        }
        Ok(())
    }
}

/// `out = left ∘ right`; false if a product passes 127 bits.
fn multiply<A: SmallInt, B: SmallInt>(left: &[A], right: &[B], out: &mut [i128]) -> bool {
    let pairs = out.iter_mut().zip(left.iter().zip(right));
    if size_of::<A>() + size_of::<B>() <= 8 {
        pairs.for_each(|(out, (&a, &b))| *out = (Into::<i128>::into(a) as i64 * Into::<i128>::into(b) as i64).into());
        return true;
    }
    let mut fits = true;
    for (out, (&a, &b)) in pairs {
        let (product, overflow) = i128::overflowing_mul(a.into(), b.into());
        *out = product;
        fits &= !overflow;
    }
    fits
}

/// Entries that are computed in one go.
const PACK_BLOCK: usize = 256;

/// Stores values in the narrowest type that holds the tensor's bounds, which they must respect.
/// `fill` computes those from an index on, and says whether it could.
fn pack(tensor: &Tensor, fill: impl Fn(usize, &mut [i128]) -> bool + Sync + Send) -> Result<IntTable, TraceError> {
    let clamp = |bound: &BigInt| i128::try_from(bound).ok();
    let low = clamp(&tensor.low).unwrap_or(i128::MIN);
    let high = clamp(&tensor.high).unwrap_or(i128::MAX);
    let mut values = IntVec::zeros(tensor.rows * tensor.cols, low, high);
    let fits = AtomicBool::new(true);
    dispatch!(&mut values, values => par::for_chunks_mut(values, PACK_BLOCK, |block, out| {
        let mut wide = [0i128; PACK_BLOCK];
        let wide = &mut wide[..out.len()];
        let mut all = fill(block * PACK_BLOCK, wide);
        for (out, &value) in out.iter_mut().zip(wide.iter()) {
            all &= low <= value && value <= high;
            *out = SmallInt::truncate(value);
        }
        if !all {
            fits.store(false, Ordering::Relaxed);
        }
    }));
    if fits.into_inner() { Ok(IntTable::new(tensor.rows, tensor.cols, values)) } else { Err(out_of_range(tensor)) }
}

/// [`pack`] of values at hand.
fn pack_values(tensor: &Tensor, values: &[i128]) -> Result<IntTable, TraceError> {
    if values.len() != tensor.rows * tensor.cols {
        return Err(TraceError::Hint { tensor: tensor.name.clone(), reason: "the hint gave another size".into() });
    }
    pack(tensor, |start, out| {
        out.copy_from_slice(&values[start..start + out.len()]);
        true
    })
}

fn out_of_range(tensor: &Tensor) -> TraceError {
    TraceError::OutOfRange { tensor: tensor.name.clone(), low: tensor.low.clone(), high: tensor.high.clone() }
}
