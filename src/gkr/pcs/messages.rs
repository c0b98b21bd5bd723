//! The part of the column sum-check that is about messages: many rows of a few entries.

use ark_bn254::Fr;
use ark_ff::AdditiveGroup;

use super::hiding::{MessageRow, Secret};
use crate::sumcheck::batch::Instance;

/// `Σ_k Σ_j w_k(j)·m_k(j)` over all messages.
pub(super) struct MessageSum {
    num_vars: usize,
    /// `[m_k(j), w_k(j)]` of every message.
    rows: Vec<Vec<[Fr; 2]>>,
}

impl MessageSum {
    /// The sum over rows of `2^num_vars` entries, of which those that are not listed are zero.
    pub(super) fn new(num_vars: usize, messages: &[MessageRow<Secret>]) -> Self {
        let pairs = |MessageRow { row, weights }: &MessageRow<Secret>| {
            row.values.iter().zip(weights).map(|(&value, &weight)| [value, weight]).collect()
        };
        Self { num_vars, rows: messages.iter().map(pairs).collect() }
    }

    /// The sum.
    pub(super) fn sum(&self) -> Fr {
        self.rows.iter().flatten().map(|[value, weight]| *value * weight).sum()
    }

    /// The extensions of all weights, once every variable is bound.
    ///
    /// # Panics
    /// If a variable is unbound.
    pub(super) fn weights(&self) -> impl Iterator<Item = Fr> + '_ {
        assert_eq!(self.num_vars, 0, "every variable is bound");
        self.rows.iter().map(|row| row.first().map_or(Fr::ZERO, |pair| pair[1]))
    }
}

/// The entry after the last one.
const ZERO: [Fr; 2] = [Fr::ZERO; 2];

impl Instance<Fr> for MessageSum {
    fn num_vars(&self) -> usize {
        self.num_vars
    }

    fn round(&mut self, claim: Fr) -> Vec<Fr> {
        let (mut at_0, mut leading) = (Fr::ZERO, Fr::ZERO);
        for pair in self.rows.iter().flat_map(|row| row.chunks(2)) {
            let (low, high) = (pair[0], pair.get(1).copied().unwrap_or(ZERO));
            at_0 += low[0] * low[1];
            leading += (high[0] - low[0]) * (high[1] - low[1]);
        }
        vec![at_0, claim - at_0.double() - leading, leading]
    }

    fn bind(&mut self, r: Fr) {
        for row in &mut self.rows {
            for i in 0..row.len().div_ceil(2) {
                let (low, high) = (row[2 * i], row.get(2 * i + 1).copied().unwrap_or(ZERO));
                row[i] = [0, 1].map(|k| low[k] + r * (high[k] - low[k]));
            }
            row.truncate(row.len().div_ceil(2));
        }
        self.num_vars -= 1;
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::UniformRand;
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;
    use crate::sumcheck::eq::eq_prefix;
    use crate::sumcheck::kernels::Product;

    proptest! {
        #[test]
        fn rounds_are_those_of_products(lens in prop::collection::vec(0usize..17, 0..6)) {
            let mut rng = test_rng();
            let mut random = |len: usize| -> Vec<Fr> { (0..len).map(|_| Fr::rand(&mut rng)).collect() };
            let messages: Vec<MessageRow<Secret>> = lens
                .iter()
                .map(|&len| MessageRow { row: Secret { values: random(len), blind: Fr::ZERO }, weights: random(len) })
                .collect();
            let mut sum = MessageSum::new(4, &messages);
            let mut products: Vec<Product<Fr, 2>> =
                messages.iter().map(|m| Product::new(4, [m.row.values.clone(), m.weights.clone()])).collect();
            let mut claims: Vec<Fr> = products.iter().map(Product::sum).collect();
            prop_assert_eq!(sum.sum(), claims.iter().sum::<Fr>());
            let point = random(4);
            for &r in &point {
                let rounds: Vec<Vec<Fr>> = products.iter_mut().zip(&claims).map(|(p, &c)| p.round(c)).collect();
                let joint = (0..3).map(|k| rounds.iter().map(|round| round[k]).sum::<Fr>()).collect::<Vec<_>>();
                prop_assert_eq!(sum.round(claims.iter().sum()), joint);
                for ((product, claim), round) in products.iter_mut().zip(&mut claims).zip(&rounds) {
                    *claim = crate::sumcheck::rounds::evaluate(round, r);
                    product.bind(r);
                }
                sum.bind(r);
            }
            for (weight, message) in sum.weights().zip(&messages) {
                let eq = eq_prefix(&point, message.weights.len());
                prop_assert_eq!(weight, eq.iter().zip(&message.weights).map(|(e, w)| *e * w).sum::<Fr>());
            }
        }
    }
}
