//! The values that a prover's walk asks for: tensors folded at column points.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Fr;
use super::claims::{RowWeights, ValueSource};
use super::program::{Program, TensorId};
use super::trace::Trace;
use crate::sumcheck::channel::ProverChannel;
use crate::sumcheck::eq::eq_prefix;
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::par;
use crate::sumcheck::small::fold_cols;
use crate::sumcheck::transcript::Label;
use crate::sumcheck::vectors::dot;

/// A trace whose tensors are folded at column points, each once.
pub struct Folds<'a> {
    program: &'a Program,
    trace: &'a Trace,
    cols: Mutex<FoldCache>,
}

/// Folded tensors by tensor and column point.
type FoldCache = HashMap<(TensorId, Vec<Fr>), Arc<Vec<Fr>>>;

impl<'a> Folds<'a> {
    /// No fold yet.
    #[must_use]
    pub fn new(program: &'a Program, trace: &'a Trace) -> Self {
        Self { program, trace, cols: Mutex::default() }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &'a Program {
        self.program
    }

    /// The trace.
    #[must_use]
    pub fn trace(&self) -> &'a Trace {
        self.trace
    }

    /// `x̃(t, point)` of every row `t`.
    #[must_use]
    pub fn cols(&self, tensor: TensorId, point: &[Fr]) -> Arc<Vec<Fr>> {
        let key = (tensor, point.to_vec());
        if let Some(folded) = self.cache().get(&key) {
            return Arc::clone(folded);
        }
        let table = self.trace.get(tensor);
        let folded = Arc::new(fold_cols(table, &eq_prefix(point, table.cols())));
        self.cache().insert(key, Arc::clone(&folded));
        folded
    }

    fn cache(&self) -> MutexGuard<'_, FoldCache> {
        self.cols.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds, by all threads, what a walk will ask the values of.
    pub(super) fn prepare(&self, walk: impl FnOnce(&mut Wanted)) {
        let mut wanted = Wanted::default();
        walk(&mut wanted);
        par::map(wanted.0.len(), |i| self.cols(wanted.0[i].0, &wanted.0[i].1));
    }
}

/// Writes down, each once, what values are asked of, and gives none.
#[derive(Default)]
pub(super) struct Wanted(Vec<(TensorId, Vec<Fr>)>);

impl ValueSource for Wanted {
    type Scalar = Fr;

    fn value(&mut self, tensor: TensorId, _: &RowWeights, cols: &[Fr]) -> Result<Fr, VerifyError> {
        if !self.0.iter().any(|(known, point)| *known == tensor && point == cols) {
            self.0.push((tensor, cols.to_vec()));
        }
        Ok(Fr::from(0u64))
    }

    fn product(&mut self, _: &Fr, _: &Fr) -> Result<Fr, VerifyError> {
        Ok(Fr::from(0u64))
    }

    fn public(&mut self, _: impl FnOnce() -> Fr) -> Fr {
        Fr::from(0u64)
    }

    fn weights(&mut self, _: impl FnOnce() -> Vec<Fr>) -> RowWeights {
        RowWeights::Explicit(Arc::default())
    }
}

/// Computes the values of claims and sends them.
pub(super) struct SendValues<'a, 'b, C> {
    pub(super) folds: &'b Folds<'a>,
    pub(super) channel: &'b mut C,
    pub(super) label: Label,
}

impl<C: ProverChannel<Fr>> ValueSource for SendValues<'_, '_, C> {
    type Scalar = Fr;

    fn value(&mut self, tensor: TensorId, rows: &RowWeights, cols: &[Fr]) -> Result<Fr, VerifyError> {
        let folded = self.folds.cols(tensor, cols);
        let value = dot(&rows.explicit(folded.len()), &folded);
        self.channel.send(self.label, &[value]);
        Ok(value)
    }

    fn product(&mut self, a: &Fr, b: &Fr) -> Result<Fr, VerifyError> {
        Ok(self.channel.product(*a, *b))
    }

    // The equations of the walk are the verifier's to check.
    fn public(&mut self, _: impl FnOnce() -> Fr) -> Fr {
        Fr::from(0u64)
    }
}
