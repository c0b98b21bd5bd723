//! Claims of an opening that have the same column weights: one group, one folded row, one value.

use std::iter::successors;

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};

use super::fold::fold_committed;
use super::hyrax::Commitment;
use super::layout::Layout;
use super::{ColumnWeights, OpeningClaim};
use crate::sumcheck::channel::Scalar;
use crate::sumcheck::int::IntTable;
use crate::sumcheck::par;
use crate::sumcheck::vectors::{add, add_scaled, scaled};

/// Claims with the same column weights, combined by powers of δ.
pub(super) struct Group<'a, S> {
    pub(super) col_weights: &'a ColumnWeights,
    /// `(commitment, Σ δⁱ·L_i)`.
    pub(super) rows: Vec<(usize, Vec<Fr>)>,
    /// `Σ δⁱ·v_i`.
    pub(super) value: S,
}

impl<S: Scalar<Fr>> Group<'_, S> {
    fn add(&mut self, claim: &OpeningClaim<S>, power: Fr) {
        self.value = self.value.clone() + claim.value.clone() * power;
        match self.rows.iter_mut().find(|(commitment, _)| *commitment == claim.commitment) {
            Some((_, rows)) => add_scaled(rows, power, &claim.row_weights),
            None => self.rows.push((claim.commitment, scaled(power, &claim.row_weights))),
        }
    }
}

/// Both sides: the groups in the order of their first claims.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) fn group_claims<S: Scalar<Fr>>(claims: &[OpeningClaim<S>], delta: Fr) -> Vec<Group<'_, S>> {
    let mut groups: Vec<Group<'_, S>> = Vec::new();
    for (claim, power) in claims.iter().zip(powers(delta)) {
        match groups.iter_mut().find(|group| *group.col_weights == claim.col_weights) {
            Some(group) => group.add(claim, power),
            None => {
                let mut group = Group { col_weights: &claim.col_weights, rows: Vec::new(), value: S::from(Fr::ZERO) };
                group.add(claim, power);
                groups.push(group);
            }
        }
    }
    groups
}

/// `1, x, x², …`
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) fn powers(x: Fr) -> impl Iterator<Item = Fr> {
    successors(Some(Fr::ONE), move |&power| Some(power * x))
}

/// The folded row of every group.
pub(super) fn fold_groups<S>(
    groups: &[Group<'_, S>],
    tables: &[&IntTable],
    commitments: &[&Commitment],
) -> Vec<Vec<Fr>> {
    let folds: Vec<&(usize, Vec<Fr>)> = groups.iter().flat_map(|group| &group.rows).collect();
    let parts = par::map(folds.len(), |i| {
        let &(index, ref weights) = folds[i];
        let (table, width_vars) = (tables[index], commitments[index].width_vars);
        let layout = Layout::new(table.rows(), table.cols(), width_vars).expect("this table was committed");
        fold_committed(table, &layout, weights)
    });
    let mut parts = parts.into_iter();
    let of_groups = groups.iter().map(|group| parts.by_ref().take(group.rows.len()).collect()).collect();
    par::map_items(of_groups, |_, parts: Vec<Vec<Fr>>| {
        let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_default();
        sum.resize(longest, Fr::ZERO);
        parts.for_each(|part| add(&mut sum, &part));
        sum
    })
}
