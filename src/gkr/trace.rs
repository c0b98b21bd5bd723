//! The trace: every tensor of a run, and a direct check of every relation.
//!
//! Running a program *is* the execution of the model. Virtual tensors follow from their relations,
//! committed ones from their hints; all arithmetic is exact.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::sync::Arc;

use num_bigint::BigInt;
use thiserror::Error;

use super::hint::{Computed, Recipes};
use super::leaves;
use super::matmul;
use super::program::{Contraction, Kind, Linear, Product, Program, Relation, Tensor, TensorId};
use super::view::{ColMap, View};
use crate::sumcheck::int::{IntTable, IntVec, dispatch};

mod pack;
mod run;
#[cfg(feature = "adversary")]
mod tampered;
mod views;

use self::pack::{Unfit, Word, out_of_range, pack, pack_values};
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
    /// Whether tensors are within the bounds of the program, as those of an honest prover are.
    bounded: bool,
}

impl Trace {
    /// The values of a tensor: none, if it was not [kept](Self::run_keeping).
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
        self.bounded = false;
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
                let computed = recipe.hint.compute(&arguments, tensor.rows * tensor.cols);
                Arc::new(match computed.map_err(|reason| TraceError::Hint { tensor: tensor.name.clone(), reason })? {
                    Computed::Whole(values) => pack_values(tensor, &values)?,
                    Computed::Blocks(block) => {
                        pack(tensor, |start, out| block(&arguments, start, out).map_err(Unfit::Refused))?
                    }
                })
            }
            Kind::Virtual(relation) => match &program.relations()[relation as usize] {
                Relation::Linear(linear) => Arc::new(self.linear(program, tensor, linear)?),
                Relation::Contraction(c) => Arc::new(self.contraction(tensor, c)?),
                Relation::Product(product) => Arc::new(self.product(tensor, product)?),
                Relation::Lookup(_) => unreachable!("a lookup defines no tensor"),
            },
            // Counted once everything is there to be looked up.
            Kind::Multiplicity(_) => {
                Arc::new(IntTable::new(tensor.rows, tensor.cols, IntVec::zeros(tensor.rows * tensor.cols, 0, 0)))
            }
        })
    }

    fn linear(&self, program: &Program, tensor: &Tensor, linear: &Linear) -> Result<IntTable, TraceError> {
        let terms: Vec<(i128, Arc<IntTable>)> = linear.terms.iter().map(|(c, view)| (*c, self.view(view))).collect();
        let mut sum = linear.constant.unsigned_abs();
        for ((coefficient, view), (_, table)) in linear.terms.iter().zip(&terms) {
            let largest = self.largest(program.tensor(view.tensor), view, table);
            sum = sum.saturating_add(coefficient.unsigned_abs().saturating_mul(largest));
        }
        if sum < 1 << 63 {
            combine::<i64>(tensor, &terms, linear.constant)
        } else {
            combine::<i128>(tensor, &terms, linear.constant)
        }
    }

    /// What no absolute value of a view, written out in `table`, is beyond.
    fn largest(&self, tensor: &Tensor, view: &View, table: &IntTable) -> u128 {
        let of_type = 1 << (8 * table.values().width() - 1);
        if !self.bounded || view.tap_weights != [1] {
            return of_type;
        }
        let magnitude = |bound: &BigInt| u128::try_from(bound.magnitude()).unwrap_or(u128::MAX);
        magnitude(&tensor.low).max(magnitude(&tensor.high)).min(of_type)
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
        match &values {
            IntVec::I128(values) => pack_values(tensor, values),
            values => dispatch!(values, values => pack(tensor, |start, out: &mut [i64]| {
                out.iter_mut().zip(&values[start..]).for_each(|(out, &value)| *out = Word::of(value));
                Ok(())
            })),
        }
    }

    fn product(&self, tensor: &Tensor, product: &Product) -> Result<IntTable, TraceError> {
        let (left, right) = (self.view(&product.left), self.view(&product.right));
        if left.values().width() + right.values().width() <= 8 {
            return dispatch!(left.values(), left => dispatch!(right.values(), right => {
                pack(tensor, |start, out: &mut [i64]| {
                    let pairs = left[start..].iter().zip(&right[start..]);
                    out.iter_mut().zip(pairs).for_each(|(out, (&a, &b))| *out = i64::of(a) * i64::of(b));
                    Ok(())
                })
            }));
        }
        dispatch!(left.values(), left => dispatch!(right.values(), right => {
            pack(tensor, |start, out: &mut [i128]| {
                for (out, (&a, &b)) in out.iter_mut().zip(left[start..].iter().zip(&right[start..])) {
                    *out = i128::checked_mul(a.into(), b.into()).ok_or(Unfit::Range)?;
                }
                Ok(())
            })
        }))
    }

    /// Checks every relation directly, entry by entry.
    pub fn check(&self, program: &Program) -> Result<(), TraceError> {
        for relation in program.relations() {
            let (output, expected) = match relation {
                Relation::Linear(r) => (r.output, self.linear(program, program.tensor(r.output), r)?),
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
        counted.count_lookups(program, leaves::locate(program, self), Missing::Refuse)?;
        for &id in program.multiplicities() {
            let (found, expected) = (self.get(id), counted.get(id));
            if let Some(i) = (0..found.cols()).find(|&i| found.get(0, i) != expected.get(0, i)) {
                return Err(TraceError::Violated { tensor: program.tensor(id).name.clone(), row: 0, col: i });
            }
        }
        Ok(())
    }
}

/// `Σ coefficient · table + constant`, for sums that fit the words.
fn combine<W: Word>(tensor: &Tensor, terms: &[(i128, Arc<IntTable>)], constant: i128) -> Result<IntTable, TraceError> {
    pack(tensor, |start, out: &mut [W]| {
        out.fill(W::clamped(constant));
        for (coefficient, table) in terms {
            let coefficient = W::clamped(*coefficient);
            dispatch!(table.values(), values => {
                for (out, &value) in out.iter_mut().zip(&values[start..]) {
                    *out = out.plus_product(coefficient, W::of(value));
                }
            });
        }
        Ok(())
    })
}
