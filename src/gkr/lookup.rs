//! Lookup: all lookups of a program in one fractional sum.
//!
//! ```text
//! Leaf of a looked-up tuple   1 / (α − Σ_j βʲ·colⱼ − β^m·id)
//! Leaf of a table entry    −mult / (α − Σ_j βʲ·Tⱼ   − β^m·id)
//! Sum                      0     ⇔  every tuple is an entry of its table, mult times
//! ```
//!
//! `id` is the table's number from 1 on, `m` the largest number of columns of a table; shorter tuples
//! are extended by zeros. `β` and `α` are drawn after all columns and multiplicities are committed.
//!
//! Leaves are laid out in *blocks*, one after another without gaps: the tables, then the looked-up
//! tensors. A tensor whose number of columns is not a power of two is cut into blocks that are, so no
//! leaf is padding. Blocks with wider rows come first, hence each starts at a multiple of its width
//! `2^k`, and a point `r` on the leaves splits: its first `k` coordinates are a point on the block's
//! columns, the others give its rows the weights `ω(t) = eq(r_rest, start / 2^k + t)`.
//!
//! With `S = Σ_t ω(t)` of each block, the claims `p`, `q` on the leaves are checked by
//!
//! ```text
//! p = Σ_{lookups} S − Σ_{tables} V_mult
//! q = 1 + Σ_{blocks} [ S·(α − β^m·id − 1) − Σ_j βʲ·Vⱼ ]
//! ```
//!
//! where `Vⱼ` is the claim on column `j` (for tables `S·T̃ⱼ(r)`, which the verifier computes); the 1
//! stands for the neutral leaves after all blocks.
//!
//! # Soundness
//! With `L` leaves, a false sum is zero with probability at most `(m + 1)·L/|F|` over `β` and
//! `L/|F|` over `α` (Haböck, "Multivariate lookups based on logarithmic derivatives", 2022, lemmas
//! 4 and 5), besides the tree's own error.

use super::Fr;
use super::claims::{Claims, TensorClaim, ValueSource};
use super::fraction::LeafClaim;
use super::program::{Lookup, Program, Relation, TableId, num_vars};
use super::view::{ColMap, View};
use crate::sumcheck::eq::eq_range;
use crate::sumcheck::error::{Check, VerifyError};

/// What the leaves of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All entries of a table.
    Table(TableId),
    /// Columns `offset..` of the tuples of the relation of this number.
    Tuples { relation: usize, offset: usize },
}

/// `rows · 2^width_vars` leaves from `start` on.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) content: Content,
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) width_vars: usize,
}

/// Where every leaf is.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) blocks: Vec<Block>,
    pub(super) len: usize,
}

impl Layout {
    /// The layout that follows from a program. Only tables that are looked up take part.
    pub(super) fn new(program: &Program) -> Self {
        let mut blocks = Vec::new();
        for (i, table) in program.tables().iter().enumerate() {
            let content = Content::Table(TableId(i as u32));
            blocks.push(Block { content, start: 0, rows: 1, width_vars: table.bits });
        }
        for (relation, lookup) in lookups(program) {
            let Some(column) = lookup.columns.first() else { continue };
            let (rows, cols) = program.view_shape(&column.view);
            let mut offset = 0;
            for width_vars in (0..=num_vars(cols)).rev().filter(|&k| cols >> k & 1 == 1) {
                let content = Content::Tuples { relation, offset };
                blocks.push(Block { content, start: 0, rows, width_vars });
                offset += 1 << width_vars;
            }
        }
        // Tables first, so that the numerators that are not one are a prefix; then by width. A table
        // narrower than a later block would break the alignment, so order tables by width as well
        // and start the other blocks at a multiple of the widest.
        blocks.sort_by_key(|b| (matches!(b.content, Content::Tuples { .. }), std::cmp::Reverse(b.width_vars)));
        let mut len = 0usize;
        for block in &mut blocks {
            block.start = len.next_multiple_of(1 << block.width_vars);
            len = block.start + (block.rows << block.width_vars);
        }
        Self { blocks, len }
    }
}

/// The lookups of a program with their relation numbers.
pub(super) fn lookups(program: &Program) -> impl Iterator<Item = (usize, &Lookup)> {
    program.relations().iter().enumerate().filter_map(|(i, relation)| match relation {
        Relation::Lookup(lookup) => Some((i, lookup)),
        Relation::Linear(_) | Relation::Contraction(_) | Relation::Product(_) => None,
    })
}

/// How tuples are compressed to one denominator.
#[derive(Clone, Debug)]
pub(super) struct Compression {
    /// `1, β, …, β^m`; the last belongs to the table's number.
    pub(super) powers: Vec<Fr>,
    pub(super) alpha: Fr,
}

impl Compression {
    pub(super) fn new(program: &Program, beta: Fr, alpha: Fr) -> Self {
        let arity = program.tables().iter().map(|t| t.columns.len()).max().unwrap_or(0);
        let powers = std::iter::successors(Some(Fr::from(1u64)), |&p| Some(p * beta)).take(arity + 1).collect();
        Self { powers, alpha }
    }

    /// `α − β^m·id`: the denominator of a tuple of zeros in this table.
    pub(super) fn base(&self, table: TableId) -> Fr {
        let last = self.powers.last().copied().unwrap_or(Fr::from(0u64));
        self.alpha - last * Fr::from(u64::from(table.0) + 1)
    }
}

/// The view of a looked-up column that a block covers.
fn block_view(view: &View, offset: usize, width_vars: usize, cols: usize) -> (View, Vec<Fr>) {
    match view.cols {
        // A broadcast column is the same in every block.
        ColMap::Broadcast { .. } => (view.clone().broadcast_cols(1 << width_vars), Vec::new()),
        ColMap::Slice { .. } | ColMap::Identity => {
            // The block's columns are those of the view with these upper index bits.
            let upper = (width_vars..num_vars(cols)).map(|k| Fr::from((offset >> k & 1) as u64)).collect();
            (view.clone(), upper)
        }
    }
}

/// Checks the claims on the leaves in terms of claims on tensors, which are added to `claims`;
/// returns what must be zero, with the check that each belongs to.
pub(super) fn reduce<V: ValueSource>(
    program: &Program,
    layout: &Layout,
    compression: &Compression,
    leaf: LeafClaim<Fr, V::Scalar>,
    claims: &mut Claims<V::Scalar>,
    values: &mut V,
) -> Result<[(V::Scalar, Check); 2], VerifyError> {
    let one = Fr::from(1u64);
    let mut p = V::Scalar::from(Fr::from(0u64));
    let mut q = V::Scalar::from(one);
    for block in &layout.blocks {
        let (inner, outer) = leaf.point.split_at(block.width_vars.min(leaf.point.len()));
        let first = block.start >> block.width_vars;
        let rows = values.weights(|| eq_range(outer, first, block.rows));
        let sum = rows.sum(block.rows);
        match block.content {
            Content::Table(id) => {
                let Some(table) = program.tables().get(id.0 as usize) else { continue };
                let Some(&tensor) = program.multiplicities().get(id.0 as usize) else { continue };
                let value = values.value(tensor, &rows, inner)?;
                p = p - value.clone();
                claims.push(TensorClaim { tensor, rows, cols: inner.to_vec(), value });
                let tuple = || -> Fr {
                    let columns = table.evaluate(inner);
                    columns.iter().zip(&compression.powers).map(|(&t, &b)| t * b).sum()
                };
                q = q + V::Scalar::from(sum * (compression.base(id) - one - values.public(tuple)));
            }
            Content::Tuples { relation, offset } => {
                let Some(Relation::Lookup(lookup)) = program.relations().get(relation) else { continue };
                p = p + V::Scalar::from(sum);
                let mut known = sum * (compression.base(lookup.table) - one);
                for (column, &power) in lookup.columns.iter().zip(&compression.powers) {
                    let (_, cols) = program.view_shape(&column.view);
                    let (view, upper) = block_view(&column.view, offset, block.width_vars, cols);
                    let point: Vec<Fr> = inner.iter().copied().chain(upper).collect();
                    let value = claims.expand(program, &view, &rows, &point, values)?;
                    q = q - value * (power * Fr::from(column.scale));
                    known -= power * Fr::from(column.offset) * sum;
                }
                q = q + V::Scalar::from(known);
            }
        }
    }
    Ok([(leaf.numerator - p, Check::LeafNumerators), (leaf.denominator - q, Check::LeafDenominators)])
}
