//! Running a program dishonestly.

use std::sync::Arc;

use super::{Missing, Trace, TraceError, pack_values};
use crate::gkr::hint::Recipes;
use crate::gkr::leaves;
use crate::gkr::program::{Kind, Program, Tensor, TensorId};
use crate::sumcheck::int::IntTable;

impl Trace {
    /// [`Trace::run`] by a prover who lies: `tamper` may change each tensor once it has been computed, and
    /// what comes after it is computed from that. Values may leave their ranges, and tuples their tables;
    /// witnesses whose hint refuses are zero.
    ///
    /// # Errors
    /// If an input has another shape than the program says.
    pub fn run_tampered(
        program: &Program,
        recipes: &Recipes,
        inputs: &[Arc<IntTable>],
        constants: &[Arc<IntTable>],
        tamper: &mut dyn FnMut(&str, &mut Arc<IntTable>),
    ) -> Result<Self, TraceError> {
        let mut trace = Self { tables: Vec::with_capacity(program.tensors().len()), entries: None, bounded: false };
        let mut given = inputs.iter();
        let wide = |tensor: &Tensor| Tensor { low: i128::MIN.into(), high: i128::MAX.into(), ..tensor.clone() };
        let visited = |tensor: &Tensor| !matches!(tensor.kind, Kind::Multiplicity(_));
        for (i, tensor) in program.tensors().iter().enumerate() {
            let id = TensorId(i as u32);
            let table = trace.compute(program, recipes, id, tensor, &mut given, constants);
            let mut table = match table {
                Err(TraceError::OutOfRange { .. }) => {
                    trace.compute(program, recipes, id, &wide(tensor), &mut given, constants)?
                }
                Err(TraceError::Hint { .. }) => {
                    Arc::new(pack_values(&wide(tensor), &vec![0; tensor.rows * tensor.cols])?)
                }
                table => table?,
            };
            if visited(tensor) {
                tamper(&tensor.name, &mut table);
            }
            trace.tables.push(table);
        }
        let located = leaves::locate(program, &trace);
        trace.count_lookups(program, located, Missing::Ignore)?;
        for &id in program.multiplicities() {
            tamper(&program.tensor(id).name, &mut trace.tables[id.0 as usize]);
        }
        Ok(trace)
    }
}
