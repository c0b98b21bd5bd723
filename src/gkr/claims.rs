//! Claims: what a proof still owes, and how a claim on a view becomes claims on tensors.
//!
//! A claim on a tensor says `Σ_{t,c} ω(t)·eq(r, c)·x[t,c] = v` over the real entries: any public
//! weights `ω` on the rows, a point `r` on the columns. Virtual tensors that are linear in others
//! never wait: their claims split at once, which *is* the argument for [`Linear`](super::program::Linear).
//! The same function splits claims on both sides; only where the values come from differs.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::Fr;
use super::program::{Program, TensorId};
use super::split::{Part, Split};
use super::view::View;
use crate::sumcheck::batch::suffix;
use crate::sumcheck::channel::Scalar;
use crate::sumcheck::eq::{eq_prefix, eq_prefix_sum};
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::par;
use crate::sumcheck::vectors::dot;

/// A point, and the values of `eq(point, ·)` once they have been asked for. Clones share them.
#[derive(Clone, Debug)]
pub struct Point {
    coordinates: Arc<[Fr]>,
    eq: Arc<OnceLock<Arc<Vec<Fr>>>>,
}

impl Point {
    /// The coordinates.
    #[must_use]
    pub fn coordinates(&self) -> &[Fr] {
        &self.coordinates
    }

    fn eq(&self, len: usize) -> Arc<Vec<Fr>> {
        let first = par::get_or_compute(&self.eq, || Arc::new(eq_prefix(&self.coordinates, len)));
        if first.len() == len { Arc::clone(first) } else { Arc::new(eq_prefix(&self.coordinates, len)) }
    }
}

/// The points that are ends of one point, each made once.
#[derive(Debug)]
pub struct Suffixes<'a> {
    point: &'a [Fr],
    made: BTreeMap<usize, RowWeights>,
}

impl<'a> Suffixes<'a> {
    /// Those of `point`.
    #[must_use]
    pub fn new(point: &'a [Fr]) -> Self {
        Self { point, made: BTreeMap::new() }
    }

    /// The weights `eq` at the last `num_vars` coordinates; at all of them if there are fewer.
    pub fn get(&mut self, num_vars: usize) -> &RowWeights {
        let point = suffix(self.point, num_vars);
        self.made.entry(num_vars).or_insert_with(|| RowWeights::at(point.to_vec()))
    }
}

/// Weights of the rows in a claim.
#[derive(Clone, Debug)]
pub enum RowWeights {
    /// `eq(point, ·)`.
    Point(Point),
    /// Any weights, one a row.
    Explicit(Arc<Vec<Fr>>),
}

impl RowWeights {
    /// `eq(point, ·)`.
    #[must_use]
    pub fn at(point: Vec<Fr>) -> Self {
        Self::Point(Point { coordinates: point.into(), eq: Arc::default() })
    }

    /// The weights of `rows` rows.
    #[must_use]
    pub fn explicit(&self, rows: usize) -> Arc<Vec<Fr>> {
        match self {
            Self::Point(point) => point.eq(rows),
            Self::Explicit(weights) => Arc::clone(weights),
        }
    }

    /// The sum of the weights of `rows` rows.
    #[must_use]
    pub fn sum(&self, rows: usize) -> Fr {
        match self {
            Self::Point(point) => eq_prefix_sum(&point.coordinates, rows),
            Self::Explicit(weights) => weights.iter().sum(),
        }
    }

    /// `Σ_t a(t)·b(t)` over `rows` rows: if the other weights are `eq` at a point, the extension of these there.
    #[must_use]
    pub fn dot(&self, rows: usize, other: &Self) -> Fr {
        dot(&self.explicit(rows), &other.explicit(rows))
    }
}

/// A claim that must still be checked.
#[derive(Clone, Debug)]
#[must_use = "a claim that nobody checks proves nothing"]
pub struct TensorClaim<S> {
    /// The tensor.
    pub tensor: TensorId,
    /// Weights of its rows.
    pub rows: RowWeights,
    /// Point of its columns.
    pub cols: Vec<Fr>,
    /// The claimed sum.
    pub value: S,
}

/// Where the values of claims come from: the prover computes and sends them, the verifier receives.
pub trait ValueSource {
    /// A value.
    type Scalar: Scalar<Fr>;
    /// The value of `Σ ω(t)·eq(cols, c)·tensor[t,c]`, sent or received now.
    fn value(&mut self, tensor: TensorId, rows: &RowWeights, cols: &[Fr]) -> Result<Self::Scalar, VerifyError>;
    /// The product of two values.
    fn product(&mut self, a: &Self::Scalar, b: &Self::Scalar) -> Result<Self::Scalar, VerifyError>;
    /// Something public that only equations depend on, and no claim: whoever checks none need not compute it.
    fn public(&mut self, value: impl FnOnce() -> Fr) -> Fr {
        value()
    }
    /// Weights of rows that only values and claims depend on: whoever needs neither, as the walk that finds which folds a
    /// prover will want, need not compute them. The verifier does.
    fn weights(&mut self, weights: impl FnOnce() -> Vec<Fr>) -> RowWeights {
        RowWeights::Explicit(Arc::new(weights()))
    }
}

/// Claims by tensor, in the order in which they arose.
#[derive(Debug)]
pub struct Claims<S> {
    pending: BTreeMap<TensorId, Vec<TensorClaim<S>>>,
}

impl<S> Default for Claims<S> {
    fn default() -> Self {
        Self { pending: BTreeMap::new() }
    }
}

impl<S: Scalar<Fr>> Claims<S> {
    /// Adds a claim.
    pub fn push(&mut self, claim: TensorClaim<S>) {
        self.pending.entry(claim.tensor).or_default().push(claim);
    }

    /// Takes the claims on a tensor.
    pub fn take(&mut self, tensor: TensorId) -> Vec<TensorClaim<S>> {
        self.pending.remove(&tensor).unwrap_or_default()
    }

    /// Takes all that are left.
    pub fn take_all(&mut self) -> Vec<TensorClaim<S>> {
        std::mem::take(&mut self.pending).into_values().flatten().collect()
    }

    /// The value of `Σ ω(t)·eq(cols, c)·view[t,c]`, in terms of values of tensors that are not
    /// linear in others; those become claims.
    pub fn expand<V: ValueSource<Scalar = S>>(
        &mut self,
        program: &Program,
        view: &View,
        rows: &RowWeights,
        cols: &[Fr],
        values: &mut V,
    ) -> Result<S, VerifyError> {
        let tap_weights: Vec<Fr> = view.tap_weights.iter().map(|&w| Fr::from(w)).collect();
        self.expand_taps(program, view, &tap_weights, rows, cols, values)
    }

    /// [`Claims::expand`] with weights for the taps instead of the view's own.
    pub fn expand_taps<V: ValueSource<Scalar = S>>(
        &mut self,
        program: &Program,
        view: &View,
        tap_weights: &[Fr],
        rows: &RowWeights,
        cols: &[Fr],
        values: &mut V,
    ) -> Result<S, VerifyError> {
        let Split { parts, constant } = Split::new(program, view, tap_weights, rows, cols, values);
        let mut sum = S::from(constant);
        for Part { tensor, coefficient, rows, cols } in parts {
            let value = values.value(tensor, &rows, &cols)?;
            sum = sum + value.clone() * coefficient;
            self.push(TensorClaim { tensor, rows, cols, value });
        }
        Ok(sum)
    }
}
