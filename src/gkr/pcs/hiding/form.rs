//! Affine forms in hidden scalars: what a verifier knows about a scalar that it cannot see.

use std::ops::{Add, Mul, Sub};

use ark_bn254::Fr;
use ark_ff::AdditiveGroup;

/// A scalar that is hidden from the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// The how-manieth that was sent.
    Sent(u32),
    /// The output of the how-manieth product.
    Product(u32),
}

/// `constant + Σ coefficient · hidden`. A scalar may occur more than once.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub(super) constant: Fr,
    pub(super) terms: Vec<(Hidden, Fr)>,
}

impl Form {
    /// A hidden scalar.
    #[must_use]
    pub fn of(hidden: Hidden) -> Self {
        Self { constant: Fr::ZERO, terms: vec![(hidden, Fr::from(1u64))] }
    }

    /// The value, given that of every hidden scalar.
    #[must_use]
    pub fn evaluate(&self, value: impl Fn(Hidden) -> Fr) -> Fr {
        self.terms.iter().fold(self.constant, |sum, &(hidden, coefficient)| sum + coefficient * value(hidden))
    }
}

impl From<Fr> for Form {
    fn from(constant: Fr) -> Self {
        Self { constant, terms: Vec::new() }
    }
}

impl Add for Form {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.constant += other.constant;
        if self.terms.len() < other.terms.len() {
            return Self { constant: self.constant, ..other } + Self { constant: Fr::ZERO, ..self };
        }
        self.terms.extend(other.terms);
        self
    }
}

impl Sub for Form {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -Fr::from(1u64)
    }
}

impl Mul<Fr> for Form {
    type Output = Self;

    fn mul(mut self, factor: Fr) -> Self {
        self.constant *= factor;
        self.terms.iter_mut().for_each(|(_, coefficient)| *coefficient *= factor);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(hidden: Hidden) -> Fr {
        match hidden {
            Hidden::Sent(k) => Fr::from(u64::from(k) + 3).pow_seven(),
            Hidden::Product(k) => -Fr::from(u64::from(k) + 11).pow_seven(),
        }
    }

    trait PowSeven {
        fn pow_seven(self) -> Self;
    }

    impl PowSeven for Fr {
        fn pow_seven(self) -> Self {
            ark_ff::Field::pow(&self, [7])
        }
    }

    proptest! {
        // A program of operations on a stack of forms, and on their values beside it.
        #[test]
        fn forms_have_the_values_of_what_they_stand_for(steps in prop::collection::vec((0u8..6, 0u32..9), 1..40)) {
            let mut stack: Vec<(Form, Fr)> = vec![(Form::from(Fr::from(5u64)), Fr::from(5u64))];
            for (step, k) in steps {
                let (top, known) = stack.last().cloned().unwrap();
                let other = stack[k as usize % stack.len()].clone();
                stack.push(match step {
                    0 => (Form::of(Hidden::Sent(k)), value(Hidden::Sent(k))),
                    1 => (Form::of(Hidden::Product(k)), value(Hidden::Product(k))),
                    2 => (top + other.0, known + other.1),
                    3 => (top - other.0, known - other.1),
                    4 => (top * Fr::from(k), known * Fr::from(k)),
                    _ => (Form::from(Fr::from(k)), Fr::from(k)),
                });
            }
            for (form, known) in stack {
                prop_assert_eq!(form.evaluate(value), known);
            }
        }
    }
}
