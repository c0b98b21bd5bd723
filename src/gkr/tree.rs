//! The prover's layers of the [fraction tree](super::fraction).
//!
//! A layer is read once a round: binding a variable and evaluating the next round's polynomial are one
//! sweep. While a layer is bound it holds `v = λ·p` instead of the numerators `p`, so that a node costs
//! `(q₀ + v₀)(q₁ + v₁) − v₀v₁ = q₀·(q₁ + v₁) + v₀·q₁`, two products that share a reduction. Two buffers
//! take turns, and each layer leaves its own to the next one, which is twice as long.
//!
//! Numerators of looked-up values are all 1 and never stored. Denominators of leaves are places in a table. Sweeps
//! read a layer through a `Source`, which may also compute it on the way.

use std::sync::Arc;

use super::nodes::mix;
use crate::sumcheck::par;
use crate::sumcheck::small::SmallField;

mod source;
mod sweeps;
mod weights;

pub(super) use source::Source;
pub use weights::EqTables;

/// Numerators of a layer: some field elements, then ones, then a few field elements, then zeros.
///
/// Binding keeps this form, and at most four values follow the ones.
#[derive(Clone, Debug)]
pub struct Numerators<F> {
    values: Vec<F>,
    /// How many of `values` are in use.
    stored: usize,
    ones_end: usize,
    tail: Vec<F>,
    /// What every one is scaled to.
    one: F,
}

impl<F: SmallField> Numerators<F> {
    /// `prefix`, followed by ones up to index `len`.
    ///
    /// # Panics
    /// If the prefix is longer than `len`.
    #[must_use]
    pub fn new(prefix: Vec<F>, len: usize) -> Self {
        assert!(prefix.len() <= len, "the prefix is part of the numerators");
        Self { stored: prefix.len(), values: prefix, ones_end: len, tail: Vec::new(), one: F::ONE }
    }

    /// Numerator `i`.
    #[must_use]
    pub fn get(&self, i: usize) -> F {
        if i < self.stored { self.values[i] } else { self.after_stored(i) }
    }

    fn after_stored(&self, i: usize) -> F {
        if i < self.ones_end { self.one } else { self.tail.get(i - self.ones_end).copied().unwrap_or(F::ZERO) }
    }

    /// Whether entries `start..end` are all ones.
    fn ones(&self, start: usize, end: usize) -> bool {
        self.stored <= start && end <= self.ones_end
    }
}

/// A layer of fractions; entries from [`Layer::len`] on are 0/1.
#[derive(Clone, Debug)]
pub struct Layer<F> {
    /// Numerators, scaled by λ once the layer's sum-check has begun.
    numerators: Numerators<F>,
    denominators: Stock<F>,
    len: usize,
    changed: bool,
}

/// Denominators of a layer.
#[derive(Clone, Debug)]
enum Stock<F> {
    /// As they are; the first ones are in use.
    Stored(Vec<F>),
    /// By their places in a table.
    Entries(Vec<F>, Arc<Vec<u32>>),
}

impl<F: SmallField> Layer<F> {
    /// Fractions with these numerators and denominators.
    #[must_use]
    pub fn new(numerators: Numerators<F>, denominators: Vec<F>) -> Self {
        Self { numerators, len: denominators.len(), denominators: Stock::Stored(denominators), changed: false }
    }

    /// Fractions with these numerators, whose denominators are the `values` at these places.
    ///
    /// # Panics
    /// Later, if a place is out of range.
    #[must_use]
    pub fn of_entries(numerators: Numerators<F>, values: Vec<F>, places: Arc<Vec<u32>>) -> Self {
        Self { numerators, len: places.len(), denominators: Stock::Entries(values, places), changed: false }
    }

    /// A layer of nothing, whose buffers are to be filled.
    pub(super) fn empty() -> Self {
        Self::new(Numerators::new(Vec::new(), 0), Vec::new())
    }

    /// Number of fractions.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a sum has terms
    pub fn len(&self) -> usize {
        self.len
    }

    /// Denominator `i`.
    #[must_use]
    pub fn denominator(&self, i: usize) -> F {
        match &self.denominators {
            _ if i >= self.len => F::ONE,
            Stock::Stored(denominators) => denominators[i],
            Stock::Entries(values, places) => values[places[i] as usize],
        }
    }

    /// Numerator `i`, times λ once the sum-check has begun.
    #[must_use]
    pub fn numerator(&self, i: usize) -> F {
        self.numerators.get(i)
    }

    /// Replaces fraction `i`, before the layer's sum-check begins: what a cheating prover does.
    #[cfg(feature = "adversary")]
    pub fn set(&mut self, i: usize, numerator: F, denominator: F) {
        let mut numerators: Vec<F> = (0..self.len).map(|k| self.numerator(k)).collect();
        numerators[i] = numerator;
        self.numerators = Numerators::new(numerators, self.len);
        match &mut self.denominators {
            Stock::Stored(denominators) => denominators[i] = denominator,
            Stock::Entries(values, places) => {
                Arc::make_mut(places)[i] = values.len() as u32;
                values.push(denominator);
            }
        }
        self.changed = true;
    }

    /// Whether the layer is not what its children make it.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// How many fractions the buffers hold.
    pub(super) fn capacity(&self) -> usize {
        match &self.denominators {
            Stock::Stored(denominators) => denominators.len(),
            Stock::Entries(..) => 0,
        }
    }

    /// Room for `len` fractions, `stored` of them with stored numerators.
    fn reserve(&mut self, len: usize, stored: usize) -> [&mut [F]; 2] {
        if let Stock::Entries(..) = self.denominators {
            self.denominators = Stock::Stored(Vec::new());
        }
        let Stock::Stored(denominators) = &mut self.denominators else { unreachable!("just replaced") };
        let numerators = &mut self.numerators.values;
        for (buffer, used) in [(&mut *denominators, len), (&mut *numerators, stored)] {
            if buffer.len() < used {
                // The old one goes first.
                *buffer = Vec::new();
                *buffer = par::filled(used, F::ZERO);
            }
        }
        (self.len, self.numerators.stored) = (len, stored);
        [&mut denominators[..len], &mut numerators[..stored]]
    }

    /// `p₀ p₁ q₀ q₁` of the only node left, once the last challenge `r` binds this layer.
    pub(super) fn finish(&self, r: F, lambda: F) -> [F; 4] {
        let unscale = lambda.inverse().expect("a challenge is not zero, but for a probability of 2^-250");
        let (p, q) = (|i| self.numerator(i) * unscale, |i| self.denominator(i));
        [mix(p(0), p(2), r), mix(p(1), p(3), r), mix(q(0), q(2), r), mix(q(1), q(3), r)]
    }
}
