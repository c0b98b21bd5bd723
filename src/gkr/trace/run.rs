//! Runs programs: tensors in their order, and lookups as soon as all of their columns are there.

use std::sync::Arc;

use super::pack::pack;
use super::{Missing, Trace, TraceError};
use crate::gkr::builder::Recipes;
use crate::gkr::leaves::{Located, Locator, Missed};
use crate::gkr::program::{Kind, Program, Relation, TensorId};
use crate::sumcheck::int::{IntTable, IntVec};
use crate::sumcheck::par;

impl Trace {
    /// Runs `program` on `inputs` (in the order of [`Program::inputs`]) with `constants` (by number).
    pub fn run(
        program: &Program,
        recipes: &Recipes,
        inputs: &[Arc<IntTable>],
        constants: &[Arc<IntTable>],
    ) -> Result<Self, TraceError> {
        par::enter(|| Self::run_here(program, recipes, (inputs, constants), &[]))
    }

    /// [`Trace::run`] for whoever only wants a proof, and the values of `tensors`: of the others, those that are linear in
    /// others are given up where nothing needs them any more. They are a third to a half of a trace, which can neither be
    /// [checked](Self::check) nor [changed](Self::replace) without them.
    pub fn run_keeping(
        program: &Program,
        recipes: &Recipes,
        inputs: &[Arc<IntTable>],
        constants: &[Arc<IntTable>],
        tensors: &[TensorId],
    ) -> Result<Self, TraceError> {
        let passing = passing(program, recipes, tensors);
        par::enter(|| Self::run_here(program, recipes, (inputs, constants), &passing))
    }

    /// `passing` are the tensors to be given up after each one; if there is none, all are kept.
    fn run_here(
        program: &Program,
        recipes: &Recipes,
        (inputs, constants): (&[Arc<IntTable>], &[Arc<IntTable>]),
        passing: &[Vec<TensorId>],
    ) -> Result<Self, TraceError> {
        let mut trace = Self { tables: Vec::with_capacity(program.tensors().len()), entries: None, bounded: true };
        let mut given = inputs.iter();
        let mut locator = Locator::new(program);
        let due = due_lookups(program);
        for (i, tensor) in program.tensors().iter().enumerate() {
            let table = trace.compute(program, recipes, TensorId(i as u32), tensor, &mut given, constants)?;
            trace.tables.push(table);
            due[i].iter().for_each(|&relation| locator.locate(&trace, relation));
            for id in passing.get(i).into_iter().flatten() {
                trace.tables[id.0 as usize] = Arc::new(IntTable::new(0, 0, IntVec::I8(Vec::new())));
            }
        }
        trace.count_lookups(program, locator.finish(), Missing::Refuse)?;
        Ok(trace)
    }

    /// Fills the multiplicities, and with that checks every lookup; an error names the first tuple that is in
    /// no entry.
    pub(super) fn count_lookups(
        &mut self,
        program: &Program,
        located: Located,
        missing: Missing,
    ) -> Result<(), TraceError> {
        if let (Some(Missed { relation, place, value }), Missing::Refuse) = (&located.missing, missing)
            && let Relation::Lookup(lookup) = &program.relations()[*relation]
        {
            let view = &lookup.columns[0].view;
            let (_, cols) = program.view_shape(view);
            let table = program.tables()[lookup.table.0 as usize].name.clone();
            let tensor = program.tensor(view.tensor).name.clone();
            return Err(TraceError::NotInTable { tensor, table, row: place / cols, col: place % cols, value: *value });
        }
        for (&id, counts) in program.multiplicities().iter().zip(located.counts) {
            let counts = pack(program.tensor(id), |start, out: &mut [i64]| {
                out.iter_mut().zip(&counts[start..]).for_each(|(out, &count)| *out = count.into());
                Ok(())
            })?;
            self.tables[id.0 as usize] = Arc::new(counts);
        }
        self.entries = located.missing.is_none().then(|| Arc::new(located.entries));
        Ok(())
    }
}

/// The lookups whose last column each tensor is.
fn due_lookups(program: &Program) -> Vec<Vec<usize>> {
    let mut due = vec![Vec::new(); program.tensors().len()];
    for (number, relation) in program.relations().iter().enumerate() {
        let Relation::Lookup(lookup) = relation else { continue };
        if let Some(last) = lookup.columns.iter().map(|column| column.view.tensor).max() {
            due[last.0 as usize].push(number);
        }
    }
    due
}

/// The tensors that nothing needs after each one: linear in others, read neither by the prover nor for their values, which
/// are those of `kept`.
fn passing(program: &Program, recipes: &Recipes, kept: &[TensorId]) -> Vec<Vec<TensorId>> {
    const NEVER: usize = usize::MAX;
    // Where each tensor is read last.
    let mut last: Vec<usize> = (0..program.tensors().len()).collect();
    let mut read = |tensor: TensorId, at: usize| {
        let last = &mut last[tensor.0 as usize];
        *last = at.max(*last);
    };
    for relation in program.relations() {
        match relation {
            Relation::Linear(linear) => {
                linear.terms.iter().for_each(|(_, view)| read(view.tensor, linear.output.0 as usize));
            }
            Relation::Contraction(c) => [c.lhs.tensor, c.rhs.tensor].into_iter().for_each(|id| read(id, NEVER)),
            Relation::Product(p) => [p.left.tensor, p.right.tensor].into_iter().for_each(|id| read(id, NEVER)),
            Relation::Lookup(lookup) => {
                let columns = || lookup.columns.iter().map(|column| column.view.tensor);
                let located = columns().max().map_or(NEVER, |last| last.0 as usize);
                columns().for_each(|id| read(id, located));
            }
        }
    }
    for (id, recipe) in recipes {
        recipe.inputs.iter().for_each(|&input| read(input, id.0 as usize));
    }
    program.outputs().iter().chain(kept).for_each(|&id| read(id, NEVER));
    let mut passing = vec![Vec::new(); program.tensors().len()];
    for (i, (tensor, last)) in program.tensors().iter().zip(last).enumerate() {
        let linear = |relation: u32| matches!(program.relations()[relation as usize], Relation::Linear(_));
        if last != NEVER && matches!(tensor.kind, Kind::Virtual(relation) if linear(relation)) {
            passing[last].push(TensorId(i as u32));
        }
    }
    passing
}
