//! The places where a prover can be made to lie.

use std::sync::Arc;

use crate::gkr::tree::Layer;
use crate::sumcheck::int::IntTable;
use crate::sumcheck::transcript::Label;

/// Something the prover is about to use, absorb or send. What is left in it is what the prover goes on with.
#[derive(Debug)]
pub enum Site<'a, F> {
    /// The values of a tensor, by its name in the program, before anything is computed from them.
    Table {
        /// Name of the tensor.
        name: &'a str,
        /// Its values.
        table: &'a mut Arc<IntTable>,
    },
    /// Public data before it is absorbed; `index` counts the messages with this label.
    Statement {
        /// What it is.
        label: Label,
        /// The how-manieth with this label, from 0.
        index: usize,
        /// What is absorbed.
        bytes: &'a mut Vec<u8>,
    },
    /// Scalars before they are absorbed and sent: round polynomials, claims, values of the tree, openings.
    Scalars {
        /// What they are.
        label: Label,
        /// The how-manieth message with this label, from 0.
        index: usize,
        /// What is sent.
        values: &'a mut Vec<F>,
    },
    /// Points before they are absorbed and sent, 32 bytes each: commitments, cross terms.
    Elements {
        /// What they are.
        label: Label,
        /// The how-manieth message with this label, from 0.
        index: usize,
        /// What is sent.
        bytes: &'a mut Vec<u8>,
    },
    /// The fractions of a level of the lookup tree: 0 is the root, the highest the leaves. Levels above are
    /// computed from what is left here.
    Nodes {
        /// Number of variables of the level.
        level: usize,
        /// Its fractions.
        layer: &'a mut Layer<F>,
    },
    /// A folded row of the opening, before the column sum-check.
    Folded {
        /// Which group of claims it is for.
        group: usize,
        /// The row.
        vector: &'a mut Vec<F>,
    },
}

impl<F> Site<'_, F> {
    /// A stable name: `table/NAME`, `statement/LABEL/INDEX`, `message/LABEL/INDEX`, `nodes/LEVEL`,
    /// `folded/GROUP`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Site::Table { name, .. } => format!("table/{name}"),
            Site::Statement { label, index, .. } => format!("statement/{label}/{index}"),
            Site::Scalars { label, index, .. } | Site::Elements { label, index, .. } => {
                format!("message/{label}/{index}")
            }
            Site::Nodes { level, .. } => format!("nodes/{level}"),
            Site::Folded { group, .. } => format!("folded/{group}"),
        }
    }
}
