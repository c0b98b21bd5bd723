//! Programs: integer tensors and the four relations between them.
//!
//! A tensor is a matrix of integers. Rows are time (or anything that is gathered, strided or
//! shifted) and are never padded; columns are channels, padded to a power of two virtually.
//! It is *committed* (ranged by lookups), *constant* (committed once, at setup) or *virtual*: defined
//! by a relation, never committed.

use num_bigint::BigInt;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::tables::Table;
use super::view::View;

/// A tensor of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct TensorId(pub u32);

/// Variables of a row of commitments that several programs refer to: 1024 entries.
pub const SHARED_WIDTH_VARS: usize = 10;

/// Variables of a row of the commitment to a constant of this shape, where those of two rows and more have rows of
/// `2^large_vars` entries. It depends on nothing else, since a model's constants are committed once for all lengths of
/// its input.
#[must_use]
pub fn constant_width_vars((rows, cols): (usize, usize), large_vars: usize) -> usize {
    if padded_entries(rows, cols) >= 2 << large_vars { large_vars } else { SHARED_WIDTH_VARS }
}

/// Variables of the rows of large constants for which a verifier has the fewest terms to add: it has one for every row, and one
/// for every generator, half of which count, since rows of what is committed in a proof share them.
#[must_use]
pub fn best_constant_width(shapes: impl Iterator<Item = (usize, usize)> + Clone) -> usize {
    let cost = |&large_vars: &usize| {
        let rows =
            |(rows, cols)| padded_entries(rows, cols).div_ceil(1 << constant_width_vars((rows, cols), large_vars));
        shapes.clone().map(rows).fold(0, usize::saturating_add).saturating_add((1 << large_vars) / 2)
    };
    (SHARED_WIDTH_VARS..=MAX_WIDTH_VARS).min_by_key(cost).unwrap_or(SHARED_WIDTH_VARS)
}

/// Entries of a table whose rows are padded.
fn padded_entries(rows: usize, cols: usize) -> usize {
    cols.checked_next_power_of_two().map_or(usize::MAX, |cols| cols.saturating_mul(rows))
}

/// Most variables of a row of commitments: 4096 entries.
pub const MAX_WIDTH_VARS: usize = 12;

/// A table of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct TableId(pub u32);

/// Where a tensor's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Committed before the proof; the commitment is part of the statement.
    Input,
    /// Committed in the proof.
    Witness,
    /// Committed in the proof: how often each entry of a table is looked up.
    Multiplicity(TableId),
    /// Committed at setup: the constant of this number.
    Constant(u32),
    /// Defined by the relation of this number.
    Virtual(u32),
    /// Committed at setup, and looked at here: a hidden constant, whose padding this program proves zero.
    Weights,
}

/// Shape, kind and bounds of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tensor {
    /// Name, for errors and costs.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Number of entries that are real, row by row; any others are proved zero like padding.
    pub entries: usize,
    /// Where its values come from.
    pub kind: Kind,
    /// Smallest value that the proof allows.
    #[serde(serialize_with = "as_text")]
    pub low: BigInt,
    /// Largest value that the proof allows.
    #[serde(serialize_with = "as_text")]
    pub high: BigInt,
}

fn as_text<S: Serializer>(value: &BigInt, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Tensor {
    /// Variables of the column index.
    #[must_use]
    pub fn col_vars(&self) -> usize {
        num_vars(self.cols)
    }

    /// Variables of the row index.
    #[must_use]
    pub fn row_vars(&self) -> usize {
        num_vars(self.rows)
    }
}

/// Variables of an index below `len`.
#[must_use]
pub fn num_vars(len: usize) -> usize {
    len.next_power_of_two().trailing_zeros() as usize
}

/// `out = Σ coefficient · view + constant`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Linear {
    /// The tensor defined.
    pub output: TensorId,
    /// The terms, all of the output's shape.
    pub terms: Vec<(i128, View)>,
    /// Added to every entry.
    pub constant: i128,
}

/// `out[t, n] = Σ_{κ,c} lhs[source(t, κ), c] · rhs[κ·C̄ + c, n]`, with `C̄` the padded number of
/// columns of `lhs`; or, transposed, `out[t, n] = Σ_c lhs[t, c] · rhs[n, c]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contraction {
    /// The tensor defined.
    pub output: TensorId,
    /// The left operand; its taps are contracted along with its columns.
    pub lhs: View,
    /// The right operand.
    pub rhs: View,
    /// Whether the columns of `rhs` are contracted instead of its rows.
    pub transposed: bool,
}

/// `out = left ∘ right`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The tensor defined.
    pub output: TensorId,
    /// One factor, of the output's shape.
    pub left: View,
    /// The other factor.
    pub right: View,
}

/// A looked-up column: `scale · view + offset`.
///
/// Tensors hold integers of bounded size, so `2^k · x ∈ [0, 2^b)` shows `x ∈ [0, 2^(b − k))`: one range
/// table serves every smaller power of two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// What is looked up.
    pub view: View,
    /// Factor.
    pub scale: i64,
    /// Added after scaling.
    pub offset: i64,
}

/// `(column₁, …, column_m) ∈ table`, entry by entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lookup {
    /// Columns of one shape, as many as the table has.
    pub columns: Vec<Column>,
    /// The table.
    pub table: TableId,
}

/// What the engine can prove. The list is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Relation {
    /// A linear combination of views.
    Linear(Linear),
    /// A matrix product.
    Contraction(Contraction),
    /// An entry-wise product.
    Product(Product),
    /// Membership in a table.
    Lookup(Lookup),
}

/// Why a program is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// Operands do not fit together.
    #[error("`{tensor}`: {reason}")]
    Shape {
        /// The tensor being defined.
        tensor: String,
        /// What does not fit.
        reason: String,
    },
    /// A tensor could pass the bound below which integers do not wrap.
    #[error("`{tensor}` can reach {bits} bits; at most {limit} are admitted: use smaller widths")]
    TooWide {
        /// The tensor.
        tensor: String,
        /// Bits it can reach.
        bits: u64,
        /// Bits admitted.
        limit: u64,
    },
    /// A committed tensor is not ranged by a lookup.
    #[error("`{tensor}` is committed, but no lookup keeps it within its width")]
    Unranged {
        /// The tensor.
        tensor: String,
    },
    /// A tensor is used by nothing, so nothing would be proved about it.
    #[error("`{tensor}` is used by no relation")]
    Unused {
        /// The tensor.
        tensor: String,
    },
    /// The program exceeds a limit of the engine.
    #[error("the program is too large: {0}")]
    TooLarge(String),
}

/// A program: what is public about a computation, for one length of input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    pub(super) tensors: Vec<Tensor>,
    pub(super) relations: Vec<Relation>,
    pub(super) tables: Vec<Table>,
    /// Multiplicities of each table.
    pub(super) multiplicities: Vec<TensorId>,
    /// Tensors whose values are public.
    pub(super) outputs: Vec<TensorId>,
    /// Tensors whose entries are all zero.
    pub(super) zeros: Vec<TensorId>,
    /// Variables of a row of the witness commitments.
    pub(super) width_vars: usize,
    pub(super) weight_width_vars: usize,
}

impl Program {
    /// All tensors; [`TensorId`] is the position.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// All relations.
    #[must_use]
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// All tables.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The multiplicity tensor of each table.
    #[must_use]
    pub fn multiplicities(&self) -> &[TensorId] {
        &self.multiplicities
    }

    /// Tensors whose values are public.
    #[must_use]
    pub fn outputs(&self) -> &[TensorId] {
        &self.outputs
    }

    /// Tensors whose entries are all zero.
    #[must_use]
    pub fn zeros(&self) -> &[TensorId] {
        &self.zeros
    }

    /// Variables of a row of the commitment to `id`: inputs and constants, which outlive programs,
    /// have a width of their own.
    #[must_use]
    pub fn width_vars(&self, id: TensorId) -> usize {
        let tensor = self.tensor(id);
        match tensor.kind {
            Kind::Input => SHARED_WIDTH_VARS,
            Kind::Constant(_) | Kind::Weights => {
                constant_width_vars((tensor.rows, tensor.cols), self.weight_width_vars)
            }
            Kind::Witness | Kind::Multiplicity(_) | Kind::Virtual(_) => self.width_vars,
        }
    }

    /// The widest row of any commitment.
    #[must_use]
    pub fn max_width_vars(&self) -> usize {
        (0..self.tensors.len() as u32).map(|id| self.width_vars(TensorId(id))).max().unwrap_or(0)
    }

    /// The tensor `id`.
    ///
    /// # Panics
    /// If `id` is of another program.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    /// Identifiers of all tensors of a kind, in order.
    pub fn of_kind(&self, keep: impl Fn(Kind) -> bool) -> Vec<TensorId> {
        let ids = self.tensors.iter().enumerate().filter(|(_, t)| keep(t.kind));
        ids.map(|(i, _)| TensorId(i as u32)).collect()
    }

    /// Inputs, committed before the proof: weights that the program looks at are among them.
    #[must_use]
    pub fn inputs(&self) -> Vec<TensorId> {
        self.of_kind(|kind| matches!(kind, Kind::Input | Kind::Weights))
    }

    /// Tensors committed in the proof.
    #[must_use]
    pub fn committed(&self) -> Vec<TensorId> {
        self.of_kind(|kind| matches!(kind, Kind::Witness | Kind::Multiplicity(_)))
    }

    /// Constants, committed at setup, with their numbers.
    #[must_use]
    pub fn constants(&self) -> Vec<(TensorId, u32)> {
        let ids = self.tensors.iter().enumerate();
        ids.filter_map(|(i, t)| match t.kind {
            Kind::Constant(number) => Some((TensorId(i as u32), number)),
            _ => None,
        })
        .collect()
    }

    /// SHA-256 of everything above.
    ///
    /// # Panics
    /// Never: serialising to memory does not fail.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let bytes = postcard::to_stdvec(self).expect("a program has a serial form");
        Sha256::digest(bytes).into()
    }

    /// Rows and columns of a view.
    #[must_use]
    pub fn view_shape(&self, view: &View) -> (usize, usize) {
        let cols = match view.cols {
            super::view::ColMap::Identity => self.tensor(view.tensor).cols,
            super::view::ColMap::Slice { len, .. } | super::view::ColMap::Broadcast { len } => len as usize,
        };
        (view.rows.out_rows(), cols)
    }

    /// The linear relation that defines a tensor, if one does.
    #[must_use]
    pub fn linear(&self, id: TensorId) -> Option<&Linear> {
        match self.tensor(id).kind {
            Kind::Virtual(relation) => match &self.relations[relation as usize] {
                Relation::Linear(linear) => Some(linear),
                Relation::Contraction(_) | Relation::Product(_) | Relation::Lookup(_) => None,
            },
            Kind::Input | Kind::Witness | Kind::Multiplicity(_) | Kind::Constant(_) | Kind::Weights => None,
        }
    }
}
