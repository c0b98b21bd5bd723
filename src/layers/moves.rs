//! Layers that compute nothing: rows in another order, columns as rows, rows side by side, a constant added.
//!
//! ```text
//! rows    y[t] = x[source(t)]                                           one to three views, so it is linear
//! unfold  y[(t, f), c] = Σ_k (x[t, k]·M[f, k])·G[k, c]                   M[f, f·C + c] = G[f·C + c, c] = 1, else 0
//! join    y[t, (f, c)] = Σ_{κ, k} x[source(t, κ), k]·I[κ·C̄ + k, (f, c)]  I is the identity without its gaps
//! ```
//!
//! `M`, `G` and `I` are constants. Nothing is committed: every output is determined. Columns beyond the real ones are
//! zero in the input (proved) and in the constants.

use serde::{Deserialize, Serialize};

use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::multi_head::heads;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, SourceAxis, View};

/// What stands beyond the ends of a padded sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Beyond {
    /// Zeros.
    Zero,
    /// What follows the first block and precedes the last, mirrored.
    Reflect,
    /// The first and the last block.
    Repeat,
}

/// Where the rows of a sequence come from, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The last block first.
    Reverse,
    /// Without some at both ends, of the others every `step`-th.
    Keep {
        /// Blocks left out at the start.
        skip_first: u32,
        /// Blocks left out at the end.
        skip_last: u32,
        /// From one to the next.
        step: u32,
    },
    /// With blocks before and after.
    Pad {
        /// Blocks before the first.
        before: u32,
        /// Blocks after the last.
        after: u32,
        /// What they are.
        beyond: Beyond,
    },
}

/// Rows in another order, some of them, or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Name.
    pub name: String,
    /// Rows of a block.
    pub block: u32,
    /// Where they come from.
    pub order: Order,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

/// Most blocks that are added at one end.
const MAX_PAD: u32 = 4096;

/// The map from `out` blocks of `block` rows to `len` blocks, for every sequence: `source = stride·o + offset`.
fn blocks(sequences: usize, block: u32, [len, out]: [usize; 2], stride: i64, offset: i64) -> RowMap {
    let axis = |len: u32, offset: i64, strides: [i64; 3]| SourceAxis {
        len,
        offset,
        out_strides: strides.to_vec(),
        tap_strides: vec![0],
    };
    RowMap {
        out: vec![sequences as u32, out as u32, block],
        taps: vec![1],
        source: vec![
            axis(sequences as u32, 0, [1, 0, 0]),
            axis(len as u32, offset, [0, stride, 0]),
            axis(block, 0, [0, 0, 1]),
        ],
    }
}

impl Rows {
    fn refuse(&self, length: usize) -> ModelError {
        ModelError::Shape {
            layer: self.name.clone(),
            expected: format!("blocks of {} rows, as many as {:?} takes", self.block, self.order),
            found: format!("{length} rows"),
        }
    }

    /// What is put before the first block, or after the last.
    fn edge(
        &self,
        p: &mut ProgramBuilder,
        input: Value,
        [len, added]: [usize; 2],
        before: bool,
        beyond: Beyond,
    ) -> Result<TensorId, ModelError> {
        let end = len as i64 - 1;
        let (offset, stride) = match (beyond, before) {
            (Beyond::Reflect, true) => (added as i64, -1),
            (Beyond::Reflect, false) => (end - 1, -1),
            (_, true) => (0, 0),
            (_, false) => (end, 0),
        };
        let map = blocks(input.sequences, self.block, [len, added], stride, offset);
        Ok(p.linear(&format!("{}/edge", self.name), vec![(1, View::rows(input.tensor, map))], 0)?)
    }
}

impl Layer for Rows {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let length = input.length(p);
        let len = length.checked_div(self.block as usize).filter(|len| len * self.block as usize == length && *len > 0);
        let len = len.ok_or_else(|| self.refuse(length))?;
        let (sequences, block) = (input.sequences, self.block);
        let terms = match self.order {
            Order::Reverse => {
                vec![(1, View::rows(input.tensor, blocks(sequences, block, [len, len], -1, len as i64 - 1)))]
            }
            Order::Keep { skip_first, skip_last, step } => {
                let kept = len.checked_sub(skip_first as usize).and_then(|n| n.checked_sub(skip_last as usize));
                let kept = kept.and_then(|n| n.checked_sub(1)?.checked_div(step as usize));
                let kept = kept.ok_or_else(|| self.refuse(length))? + 1;
                let map = blocks(sequences, block, [len, kept], step.into(), skip_first.into());
                vec![(1, View::rows(input.tensor, map))]
            }
            Order::Pad { before, after, beyond } => {
                let most = if beyond == Beyond::Reflect { MAX_PAD.min(len as u32 - 1) } else { MAX_PAD };
                if before.max(after) > most {
                    return Err(self.refuse(length));
                }
                let all = len + before as usize + after as usize;
                let place = |tensor: TensorId, count: usize, from: usize| {
                    (1, View::rows(tensor, blocks(sequences, block, [count, all], 1, -(from as i64))))
                };
                let mut terms = vec![place(input.tensor, len, before as usize)];
                for (added, first, at) in [(before, true, 0), (after, false, len + before as usize)] {
                    if beyond != Beyond::Zero && added > 0 {
                        let edge = self.edge(p, input, [len, added as usize], first, beyond)?;
                        terms.push(place(edge, added as usize, at));
                    }
                }
                terms
            }
        };
        Ok(Value { tensor: p.linear(&format!("{}/output", self.name), terms, 0)?, ..input })
    }
}

/// `parts` rows for every row: its columns in as many runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfold {
    /// Name.
    pub name: String,
    /// Runs of columns.
    pub parts: u32,
    /// `M`: which columns are run `f`.
    pub mask: Constant,
    /// `G`: the column of its run that a column is.
    pub gather: Constant,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Unfold {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        let (rows, columns) = p.shape(input.tensor);
        let shape = [self.mask.rows, self.mask.cols, self.gather.rows];
        if self.parts == 0 || shape != [self.parts, columns as u32, columns as u32] {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: format!("{} columns in {} runs", self.mask.cols, self.parts),
                found: format!("{columns} columns"),
            });
        }
        let axis = |len: usize, strides: [i64; 2]| RowMap {
            out: vec![rows as u32, self.parts],
            taps: vec![1],
            source: vec![SourceAxis {
                len: len as u32,
                offset: 0,
                out_strides: strides.to_vec(),
                tap_strides: vec![0],
            }],
        };
        let mask = self.mask.declare(p, &format!("{name}/mask"))?;
        let gather = self.gather.declare(p, &format!("{name}/gather"))?;
        let (x, mask) =
            (View::rows(input.tensor, axis(rows, [1, 0])), View::rows(mask, axis(self.parts as usize, [0, 1])));
        let runs = p.product(&format!("{name}/runs"), x, mask)?;
        let tensor = p.contraction(&format!("{name}/output"), p.whole(runs), p.whole(gather))?;
        Ok(Value { tensor, ..input })
    }
}

/// `parts` rows side by side: neighbours, or the rows of heads that stand below one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Name.
    pub name: String,
    /// Rows that become one.
    pub parts: u32,
    /// Whether they are heads: rows of as many sequences.
    pub heads: bool,
    /// The identity without the gaps of the input's columns.
    pub identity: Constant,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Join {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        let (parts, rows) = (self.parts as usize, p.shape(input.tensor).0);
        let length = if self.heads { rows } else { input.length(p) };
        if parts == 0 || !length.is_multiple_of(parts) || (self.heads && input.sequences != parts) {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: format!("{parts} rows for every output"),
                found: format!("{rows} rows in {} sequences", input.sequences),
            });
        }
        let map = if self.heads {
            heads(parts, rows / parts)
        } else {
            RowMap::strided(rows, rows / parts, parts, parts as i64, 1, 0)
        };
        let identity = self.identity.declare(p, &format!("{name}/identity"))?;
        let tensor = p.contraction(&format!("{name}/output"), View::rows(input.tensor, map), p.whole(identity))?;
        Ok(Value { tensor, sequences: if self.heads { 1 } else { input.sequences } })
    }
}

/// A constant added to every sequence, row by row: its first rows, if it has more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRows {
    /// Name.
    pub name: String,
    /// The rows, in units of the input.
    pub rows: Constant,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for AddRows {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        let length = input.length(p);
        if length > self.rows.rows as usize {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: format!("at most {} rows", self.rows.rows),
                found: format!("{length} rows"),
            });
        }
        let rows = self.rows.declare(p, &format!("{name}/rows"))?;
        // Every sequence sees the same rows.
        let source = SourceAxis { len: self.rows.rows, offset: 0, out_strides: vec![0, 1], tap_strides: vec![0] };
        let map = RowMap { out: vec![input.sequences as u32, length as u32], taps: vec![1], source: vec![source] };
        let terms = vec![(1, p.whole(input.tensor)), (1, View::rows(rows, map))];
        Ok(Value { tensor: p.linear(&format!("{name}/output"), terms, 0)?, ..input })
    }
}
