//! A claim on a view as claims on tensors that are not linear in others.
//!
//! A tensor that is linear in others takes all that is claimed of it before its own terms are claimed: it exists after
//! its operands, so the tensors are taken from the last to the first. So the work is linear in the relations
//! reached, however many ways lead from the view to a tensor.

use std::collections::BTreeMap;

use super::Fr;
use super::claims::{RowWeights, ValueSource};
use super::program::{Program, Tensor, TensorId, num_vars};
use super::view::{ColMap, View};
use crate::sumcheck::eq::eq_prefix_sum;
use crate::sumcheck::vectors::{add, add_scaled};

/// A term of a split claim: `coefficient · Σ ω(t)·eq(cols, c)·tensor[t,c]`.
pub(super) struct Part {
    pub(super) tensor: TensorId,
    pub(super) coefficient: Fr,
    pub(super) rows: RowWeights,
    pub(super) cols: Vec<Fr>,
}

/// A claim as a sum of parts and a constant.
pub(super) struct Split {
    /// On tensors that are not linear in others, each tensor and column point once.
    pub(super) parts: Vec<Part>,
    pub(super) constant: Fr,
}

/// What is claimed of one tensor at one column point: weights of its rows, each with a factor.
struct Due {
    cols: Vec<Fr>,
    weights: Vec<(Fr, RowWeights)>,
}

/// Claims that are to be split, by tensor.
#[derive(Default)]
struct Pending(BTreeMap<TensorId, Vec<Due>>);

impl Split {
    /// The claim `Σ ω(t)·eq(cols, c)·view[t,c]`, with `tap_weights` instead of the view's own.
    pub(super) fn new<V: ValueSource>(
        program: &Program,
        view: &View,
        tap_weights: &[Fr],
        rows: &RowWeights,
        cols: &[Fr],
        values: &mut V,
    ) -> Self {
        let one = Fr::from(1u64);
        let mut pending = Pending::default();
        pending.add(program, view, tap_weights, (one, rows), cols, values);
        let mut split = Self { parts: Vec::new(), constant: Fr::from(0u64) };
        while let Some((tensor, dues)) = pending.0.pop_last() {
            for Due { cols, weights } in dues {
                let (coefficient, rows) = merged(program.tensor(tensor), &weights, values);
                let Some(linear) = program.linear(tensor) else {
                    split.parts.push(Part { tensor, coefficient, rows, cols });
                    continue;
                };
                if linear.constant != 0 {
                    let Tensor { rows: num_rows, cols: num_cols, .. } = *program.tensor(tensor);
                    let mask = rows.sum(num_rows) * eq_prefix_sum(&cols, num_cols);
                    split.constant += coefficient * mask * Fr::from(linear.constant);
                }
                for (factor, term) in &linear.terms {
                    let tap_weights: Vec<Fr> = term.tap_weights.iter().map(|&w| Fr::from(w)).collect();
                    pending.add(program, term, &tap_weights, (coefficient * Fr::from(*factor), &rows), &cols, values);
                }
            }
        }
        split
    }
}

impl Pending {
    /// Adds a claim on a view as claims on its tensor.
    fn add<V: ValueSource>(
        &mut self,
        program: &Program,
        view: &View,
        tap_weights: &[Fr],
        (coefficient, rows): (Fr, &RowWeights),
        cols: &[Fr],
        values: &mut V,
    ) {
        let rows = if view.rows.is_identity() && tap_weights == [Fr::from(1u64)] {
            rows.clone()
        } else {
            values.weights(|| view.rows.pull_back(&rows.explicit(view.rows.out_rows()), tap_weights))
        };
        let dues = self.0.entry(view.tensor).or_default();
        for (factor, cols) in split_cols(program.tensor(view.tensor), view.cols, cols) {
            let weights = (coefficient * factor, rows.clone());
            match dues.iter_mut().find(|due| due.cols == cols) {
                Some(due) => due.weights.push(weights),
                None => dues.push(Due { cols, weights: vec![weights] }),
            }
        }
    }
}

/// Weights of rows that say the same as several with a factor each, and their factor.
fn merged<V: ValueSource>(tensor: &Tensor, weights: &[(Fr, RowWeights)], values: &mut V) -> (Fr, RowWeights) {
    if let [(factor, rows)] = weights {
        return (*factor, rows.clone());
    }
    let one = Fr::from(1u64);
    let sum = || {
        let mut sum = vec![Fr::from(0u64); tensor.rows];
        for (factor, rows) in weights {
            let rows = rows.explicit(tensor.rows);
            if *factor == one { add(&mut sum, &rows) } else { add_scaled(&mut sum, *factor, &rows) }
        }
        sum
    };
    (one, values.weights(sum))
}

/// The column point of a claim on a view as points on the tensor's columns, each with a factor.
fn split_cols(tensor: &Tensor, map: ColMap, cols: &[Fr]) -> Vec<(Fr, Vec<Fr>)> {
    let one = Fr::from(1u64);
    match map {
        ColMap::Identity => vec![(one, cols.to_vec())],
        ColMap::Broadcast { len } => vec![(eq_prefix_sum(cols, len as usize), Vec::new())],
        ColMap::Slice { offset, len } => {
            let (offset, len) = (offset as usize, len as usize);
            // The low index bits run inside a block, the others are those of its first column.
            let block = |start: usize, low: usize| {
                let high = (low..tensor.col_vars()).map(|k| Fr::from((start >> k & 1) as u64));
                cols.iter().take(low).copied().chain(high).collect::<Vec<Fr>>()
            };
            if len.is_power_of_two() || offset + len == tensor.cols {
                // Nothing but padding follows, which is zero like that of the view.
                return vec![(one, block(offset, num_vars(len)))];
            }
            // Other columns follow, which are no part of the view: cut it into blocks of a power of two.
            let mut start = 0;
            let widths = (0..usize::BITS as usize).rev().filter(|&k| len >> k & 1 == 1);
            widths
                .map(|low| {
                    let bits = cols.iter().enumerate().skip(low);
                    let factor = bits.map(|(k, &r)| if start >> k & 1 == 1 { r } else { one - r }).product();
                    let part = (factor, block(offset + start, low));
                    start += 1 << low;
                    part
                })
                .collect()
        }
    }
}
