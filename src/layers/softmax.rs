//! Exponentials of scores, row by row, and the reciprocals of their sums.
//!
//! With the rounded scores `a = ⌊(S + 2^(s−1)) / 2^s⌋` of a row, of which `n` entries count (those that a mask
//! leaves, or all):
//!
//! ```text
//! m = max_j a_j        e_j = m − a_j ≥ 0,  Π_j e_j = 0
//! E_j = round(2^f·exp(−e_j·2^−g))                 looked up; 0 where the mask is 0
//! D = Σ_j E_j ≥ 2^f    ρ = ⌊2^k / D + 1/2⌋        so that E_j·ρ ≈ 2^k·softmax(S)_j
//! ```
//!
//! Softmax does not change when all scores of a row are less by the same number, so its result would be right with
//! any `m`, up to rounding: only the largest score makes it unique, and keeps the table short. Its uniqueness:
//!
//! - `(S + 2^(s−1) − 2^s·m)·M + 2^s·e ∈ [0, 2^s)` for the public mask `M` has the one solution `e = m − a` where
//!   `M = 1`, and `e = 0` where `M = 0`. As `e` is natural, `m` is at least every score that counts.
//! - `m` is one of them: products over a few columns at a time stay integers, a row of indicators that sum to 1 says
//!   which product is zero, and then one of its factors is. Masked entries take part as the last argument of the table.
//!   Several products may be zero, so the indicators may be chosen; what they show may not.
//! - `E` is looked up with `e + last·(1 − M)`, whose last argument belongs to `e = E = 0` only; `ρ` is a rounded
//!   quotient by `D ≥ 2^f > 0`.
//!
//! Padding: columns beyond the real ones are in no lookup and in no product (those take aligned blocks of real
//! columns), and zero in the sum because committed padding is proved zero.

use serde::{Deserialize, Serialize};

use super::fixed;
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::{Table, TableColumn};
use crate::gkr::view::{NONE, View};
use crate::sumcheck::int::IntTable;

/// Most bits of a product of distances: a sign less than the trace's integers have.
const PRODUCT_BITS: usize = 126;

/// How a softmax is computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax {
    /// `s`: bits that scores drop.
    pub shift: u32,
    /// Bits of a distance from the largest score; one less is the last argument of the table with a mask.
    pub bits: u32,
    /// `2^f·exp(−e·2^−g)` for all distances.
    pub exponentials: Vec<i64>,
    /// `k`.
    pub reciprocal_bits: u32,
}

/// What [`Softmax::sums`] gives, one a row.
pub struct Sums {
    /// `m`.
    pub largest: TensorId,
    /// `D`.
    pub sum: TensorId,
}

/// What [`Softmax::lower`] gives.
pub struct Weights {
    /// `E`, of the shape of the scores.
    pub exponentials: TensorId,
    /// `ρ`, one a row.
    pub reciprocals: TensorId,
}

impl Softmax {
    /// For scores whose last bit after dropping `shift` is `2^−step_bits`, with exponentials of `fraction_bits`
    /// fraction bits.
    #[must_use]
    pub fn new(shift: u32, bits: u32, step_bits: i32, fraction_bits: u32, reciprocal_bits: u32) -> Self {
        let (step, one) = (f64::from(-step_bits).exp2(), f64::from(fraction_bits).exp2());
        let exponentials = (0..1u32 << bits.min(20)).map(|e| (one * (-f64::from(e) * step).exp()).round() as i64);
        Self { shift, bits, exponentials: exponentials.collect(), reciprocal_bits }
    }

    /// Refuses tables that no importer makes: they may come from a file.
    fn check(&self, name: &str) -> Result<(), ProgramError> {
        let sound = (1..=20).contains(&self.bits)
            && self.exponentials.len() == 1 << self.bits
            && self.exponentials.iter().all(|e| (0..1 << 24).contains(e))
            && self.exponentials[0] > 0;
        if sound { Ok(()) } else { Err(ProgramError::TooLarge(format!("the table of the softmax `{name}`"))) }
    }

    /// `(e, E)`.
    fn table(&self) -> Table {
        Table::function("exp", 0, self.exponentials.clone())
    }

    /// `(e, e, E)`, and `(last, 0, 0)` at the end, for what is masked.
    fn masked_table(&self) -> Table {
        let last = self.exponentials.len() - 1;
        let column = |f: &dyn Fn(usize) -> i64| {
            TableColumn::values((0..=last).map(|e| if e == last { 0 } else { f(e) }).collect())
        };
        let columns = vec![TableColumn::Counter { start: 0 }, column(&|e| e as i64), column(&|e| self.exponentials[e])];
        Table { name: "masked exp".into(), bits: self.bits as usize, columns }
    }

    /// Adds it for every row of `scores`; `mask` is a view of public zeros and ones of the same shape, with a one in
    /// every row, and `ones` is a column of as many ones as there are scores in a row.
    pub fn lower(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        scores: TensorId,
        mask: Option<&View>,
        ones: &View,
    ) -> Result<Weights, ModelError> {
        let (_, exponentials) = self.exponentials(p, name, scores, mask)?;
        let reciprocals = self.reciprocals(p, name, exponentials, ones)?;
        Ok(Weights { exponentials, reciprocals })
    }

    /// The largest score of every row and the sum of its exponentials, whose logarithm with the largest score added is that of
    /// the sum of `exp(S)`.
    pub fn sums(&self, p: &mut ProgramBuilder, name: &str, scores: TensorId, ones: &View) -> Result<Sums, ModelError> {
        let (largest, exponentials) = self.exponentials(p, name, scores, None)?;
        let sum = p.contraction(&format!("{name}/exact sum"), p.whole(exponentials), ones.clone())?;
        Ok(Sums { largest, sum })
    }

    /// `m` and `E`.
    fn exponentials(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        scores: TensorId,
        mask: Option<&View>,
    ) -> Result<(TensorId, TensorId), ModelError> {
        self.check(name)?;
        let (largest, distances) = self.distances(p, name, scores, mask)?;
        let (factors, exponentials) = match mask {
            None => {
                let name = format!("{name}/exponentials");
                (distances, fixed::lookup(p, &name, distances, &self.table())?)
            }
            Some(mask) => self.masked_exponentials(p, name, distances, mask)?,
        };
        has_zero(p, &format!("{name}/largest"), factors, self.bits as usize)?;
        Ok((largest, exponentials))
    }

    /// `m` and `e`.
    fn distances(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        scores: TensorId,
        mask: Option<&View>,
    ) -> Result<(TensorId, TensorId), ModelError> {
        let (rows, cols) = p.shape(scores);
        let (shift, one) = (self.shift as usize, fixed::power(name, self.shift)?);
        let half = one / 2;
        // The hint sees the mask as the program does, through its rows.
        let counts = mask.map(|mask| (mask.tensor, mask.rows.sources(0)));
        let inputs: Vec<TensorId> = std::iter::once(scores).chain(counts.iter().map(|(id, _)| *id)).collect();
        let rounded = move |t: &[&IntTable], row: usize, col: usize| {
            // Rows beyond the mask are zero, as everywhere beyond a tensor.
            let counted = counts
                .as_ref()
                .is_none_or(|(_, sources)| sources[row] != NONE && t[1].get(sources[row] as usize, col) != 0);
            counted.then(|| (t[0].get(row, col) + half) >> shift)
        };
        let score_bits = fixed::bits_of(p, scores).saturating_sub(shift) + 2;
        let largest = fixed::integer(p, &format!("{name}/largest"), (rows, 1), score_bits, &inputs, {
            let rounded = rounded.clone();
            Hint::whole(move |t| {
                let largest = |row| (0..cols).filter_map(|col| rounded(t, row, col)).max();
                (0..rows).map(|row| largest(row).ok_or_else(|| "a row of masked scores".to_owned())).collect()
            })
        })?;
        let last = (1i128 << self.bits) - 1 - i128::from(mask.is_some());
        let inputs: Vec<TensorId> = inputs.into_iter().chain([largest]).collect();
        let distances = p.witness(
            &format!("{name}/distances"),
            (rows, cols),
            (0, last),
            &inputs,
            Hint::whole(move |t| {
                let largest = t[t.len() - 1];
                let distance =
                    |i: usize| rounded(t, i / cols, i % cols).map_or(0, |score| largest.get(i / cols, 0) - score);
                Ok((0..rows * cols).map(distance).collect())
            }),
        )?;
        let terms = vec![(1, p.whole(scores)), (-one, View::whole(largest, rows).broadcast_cols(cols))];
        let mut below = p.linear(&format!("{name}/below largest"), terms, half)?;
        if let Some(mask) = mask {
            below = p.product(&format!("{name}/masked"), p.whole(below), mask.clone())?;
        }
        let terms = vec![(1, p.whole(below)), (one, p.whole(distances))];
        let remainder = p.linear(&format!("{name}/remainder"), terms, 0)?;
        fixed::range(p, &format!("{name}/remainder"), remainder, shift)?;
        Ok((largest, distances))
    }

    /// `e`, or the last argument of the table where the mask is zero; and `E`.
    fn masked_exponentials(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        distances: TensorId,
        mask: &View,
    ) -> Result<(TensorId, TensorId), ModelError> {
        let table = self.masked_table();
        let last = (1i128 << self.bits) - 1;
        let terms = vec![(1, p.whole(distances)), (-last, mask.clone())];
        let arguments = p.linear(&format!("{name}/arguments"), terms, last)?;
        let (low, high) = table.column_range(2);
        let (name, values) = (format!("{name}/exponentials"), table.clone());
        let bounds = (i128::from(low), i128::from(high));
        let tensor = p.witness(
            &name,
            p.shape(distances),
            bounds,
            &[arguments],
            Hint::try_entrywise(move |v| {
                let entry = usize::try_from(v).ok().filter(|&e| e < values.len());
                let far = || format!("a score is {v} steps below the largest");
                entry.map(|e| i128::from(values.entry(2, e))).ok_or_else(far)
            }),
        )?;
        let table = p.table(table)?;
        p.lookup([arguments, distances, tensor].map(|id| fixed::column(p.whole(id))).to_vec(), table)?;
        Ok((arguments, tensor))
    }

    /// `ρ`: the quotient of `2^(k+1) + D` and `2·D`.
    fn reciprocals(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        exponentials: TensorId,
        ones: &View,
    ) -> Result<TensorId, ModelError> {
        let one = fixed::power(name, self.reciprocal_bits.saturating_add(1))?;
        let sum = p.contraction(&format!("{name}/exact sum"), p.whole(exponentials), ones.clone())?;
        let sum = fixed::commit(p, &format!("{name}/sum"), sum)?;
        let numerator = p.linear(&format!("{name}/numerator"), vec![(1, p.whole(sum))], one)?;
        let divisor = p.linear(&format!("{name}/divisor"), vec![(2, p.whole(sum))], 0)?;
        let bits = [self.reciprocal_bits as usize + 1, fixed::bits_of(p, divisor)];
        Ok(fixed::divide(p, &format!("{name}/reciprocals"), numerator, divisor, bits[0], bits[1])?)
    }
}

/// Shows that every row of a tensor of integers within `[0, 2^bits]` has a zero: some product of its entries is zero.
fn has_zero(p: &mut ProgramBuilder, name: &str, x: TensorId, bits: usize) -> Result<(), ProgramError> {
    let (rows, cols) = p.shape(x);
    let mut products = Vec::new();
    let mut first = 0;
    while first < cols {
        // The columns in aligned blocks, as long as the bits of their number say.
        let len = 1usize << (cols - first).ilog2();
        products.push(fold(p, name, p.whole(x).cols(first, len), (first, len), bits)?);
        first += len;
    }
    let mut sum = Vec::new();
    for (block, &product) in products.iter().enumerate() {
        let shape = p.shape(product);
        let bit = p.witness(
            &format!("{name}: indicator"),
            shape,
            (0, (1 << p.range_bits()) - 1),
            &products,
            Hint::whole(move |t| {
                let mut bits = vec![0; rows * shape.1];
                for row in 0..rows {
                    let zero = |t: &&IntTable| (0..t.cols()).position(|col| t.get(row, col) == 0);
                    let (at, col) =
                        t.iter().enumerate().find_map(|(at, t)| Some((at, zero(t)?))).ok_or("no zero in a row")?;
                    if at == block {
                        bits[row * shape.1 + col] = 1;
                    }
                }
                Ok(bits)
            }),
        )?;
        p.range(p.whole(bit), 0, p.range_bits())?;
        let indicated = p.product(&format!("{name}: indicated"), p.whole(bit), p.whole(product))?;
        p.zero(indicated);
        sum.extend((0..shape.1).map(|col| (1, p.whole(bit).cols(col, 1))));
    }
    // Natural numbers that sum to one: a single one of them is not zero.
    let others = p.linear(&format!("{name}: others"), sum, -1)?;
    p.zero(others);
    Ok(())
}

/// The products of a block of `len` columns from `first` on, as many factors at a time as the trace holds.
fn fold(
    p: &mut ProgramBuilder,
    name: &str,
    block: View,
    (first, len): (usize, usize),
    bits: usize,
) -> Result<TensorId, ProgramError> {
    let most = (PRODUCT_BITS / (bits + 1)).max(1);
    let (mut view, mut offset, mut width) = (block, first, len);
    let mut product = None;
    while width > 1 && len / width * 2 <= most {
        width /= 2;
        let half = |part: usize| view.clone().cols(offset + part * width, width);
        let id = p.product(&format!("{name}: product of {}", len / width), half(0), half(1))?;
        (view, offset, product) = (p.whole(id), 0, Some(id));
    }
    match product {
        Some(product) => Ok(product),
        None => p.linear(&format!("{name}: factors"), vec![(1, view)], 0),
    }
}
