//! Dense layers and convolutions: contractions, a bias, and what follows the accumulator.
//!
//! ```text
//! acc[t, n] = Σ_i 2^sᵢ·Σ_{κ,c} xᵢ[sourceᵢ(t, κ), c]·Wᵢ[κ·C̄ + c, n] + b[n]     then requantised, or activated
//! ```
//!
//! `source` is a view: stride, dilation, zero padding, an image's neighbourhoods, or all rows of a
//! sequence at once (flatten). Several inputs are what sums, concatenations and slices before the
//! layer come to: nothing is committed for those. An input of one row per sequence counts for every
//! row. Batch normalisation is folded into `W` and `b` at import; where it stands before zero padding,
//! its shift must not reach beyond the ends, so it becomes a term of its own: a column of ones, which
//! padding surrounds with zeros like any input, times a constant per tap.
//!
//! Padding cannot contribute: rows outside the input have no weight in the claim on it, and columns
//! beyond the real ones are zero in `x` (proved; the ones are a constant on real entries only) and in
//! `W` (committed so).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, layer_header};
use super::saturate::Clamped;
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::tables::Table;
use crate::gkr::view::{RowMap, SourceAxis, View};

/// Which rows of a sequence an output row is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taps {
    /// The same row.
    Same,
    /// `kernel` rows, `dilation` apart, moving by `stride`, with zeros before and after.
    Time {
        /// Taps.
        kernel: u32,
        /// Rows from one output to the next.
        stride: u32,
        /// Rows from one tap to the next.
        dilation: u32,
        /// Zero rows before.
        pad_left: u32,
        /// Zero rows after.
        pad_right: u32,
    },
    /// A neighbourhood of an image whose rows are pixels.
    Image {
        /// Height and width of the input.
        image: [u32; 2],
        /// Height and width of the kernel.
        kernel: [u32; 2],
        /// Steps down and right.
        stride: [u32; 2],
        /// Zeros above, left, below and right.
        padding: [u32; 4],
    },
    /// All rows of the sequence.
    All,
    /// A neighbourhood of an image that is as high as the rows make it: time.
    Grid {
        /// Width of the image: rows of one step of time.
        width: u32,
        /// Height and width of the kernel.
        kernel: [u32; 2],
        /// Steps down and right.
        stride: [u32; 2],
        /// Pixels from one tap to the next, down and right.
        dilation: [u32; 2],
        /// Zeros above, left, below and right.
        padding: [u32; 4],
    },
}

impl Taps {
    /// The map from output rows and taps to input rows, for `sequences` sequences of `length` rows.
    pub fn row_map(&self, name: &str, sequences: usize, length: usize) -> Result<RowMap, ModelError> {
        let too_short = || ModelError::Shape {
            layer: name.to_owned(),
            expected: "an input as long as the kernel".into(),
            found: format!("{length} rows"),
        };
        // One axis for the sequences, then those of a sequence: (length, outputs, taps, stride, dilation, offset).
        let axes: Vec<[i64; 6]> = match *self {
            Self::Same => vec![[length as i64, length as i64, 1, 1, 0, 0]],
            Self::All => vec![[length as i64, 1, length as i64, 0, 1, 0]],
            Self::Time { kernel, stride, dilation, pad_left, pad_right } => {
                vec![axis(length, kernel, stride, dilation, [pad_left, pad_right]).ok_or_else(too_short)?]
            }
            Self::Image { image: [h, w], kernel, stride, padding: [top, left, bottom, right] } => {
                if length != h as usize * w as usize {
                    return Err(too_short());
                }
                let rows = axis(h as usize, kernel[0], stride[0], 1, [top, bottom]).ok_or_else(too_short)?;
                let cols = axis(w as usize, kernel[1], stride[1], 1, [left, right]).ok_or_else(too_short)?;
                vec![rows, cols]
            }
            Self::Grid { width, kernel, stride, dilation, padding: [top, left, bottom, right] } => {
                let width = width as usize;
                let height =
                    length.checked_div(width).filter(|height| height * width == length).ok_or_else(too_short)?;
                let rows = axis(height, kernel[0], stride[0], dilation[0], [top, bottom]).ok_or_else(too_short)?;
                let cols = axis(width, kernel[1], stride[1], dilation[1], [left, right]).ok_or_else(too_short)?;
                vec![rows, cols]
            }
        };
        Ok(combine(sequences, &axes))
    }
}

fn axis(length: usize, kernel: u32, stride: u32, dilation: u32, pad: [u32; 2]) -> Option<[i64; 6]> {
    let [left, right] = pad.map(i64::from);
    let (kernel, stride, dilation) = (i64::from(kernel), i64::from(stride), i64::from(dilation));
    let span = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    let room = length as i64 + left + right - span;
    (room >= 0 && stride > 0 && kernel > 0).then(|| [length as i64, room / stride + 1, kernel, stride, dilation, -left])
}

/// The row map of independent axes, after one that counts sequences.
fn combine(sequences: usize, axes: &[[i64; 6]]) -> RowMap {
    let n = axes.len();
    let unit = |at: usize, value: i64, len: usize| (0..len).map(|i| if i == at { value } else { 0 }).collect();
    let mut source =
        vec![SourceAxis { len: sequences as u32, offset: 0, out_strides: unit(0, 1, n + 1), tap_strides: vec![0; n] }];
    for (i, &[length, _, _, stride, dilation, offset]) in axes.iter().enumerate() {
        source.push(SourceAxis {
            len: length as u32,
            offset,
            out_strides: unit(i + 1, stride, n + 1),
            tap_strides: unit(i, dilation, n),
        });
    }
    let out = std::iter::once(sequences as u32).chain(axes.iter().map(|a| a[1] as u32)).collect();
    let map = RowMap { out, taps: axes.iter().map(|a| a[2] as u32).collect(), source };
    // The plain map in its plainest form costs nothing to recognise.
    let rows = map.out_rows();
    if map.num_taps() == 1 && map.source_rows() == rows && map.sources(0).iter().copied().eq(0..rows as u32) {
        RowMap::identity(rows)
    } else {
        map
    }
}

/// What follows an accumulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// Nothing: the exact accumulator.
    Exact,
    /// Division by `2^shift`, rounded, to about `bits` bits.
    Requantize {
        /// Bits dropped.
        shift: u32,
        /// Bits kept.
        bits: u32,
    },
    /// Division by `2^shift`, rounded, to `bits` bits, then the larger of that and zero.
    Rectify {
        /// Bits dropped.
        shift: u32,
        /// Bits of the argument, a sign included.
        bits: u32,
    },
    /// Division by `2^shift`, rounded, then a function.
    Activate {
        /// Bits dropped.
        shift: u32,
        /// The function.
        function: Function,
    },
    /// Division by `2^shift`, rounded, clamped to what a table holds, then what the table says.
    Saturate {
        /// Bits dropped.
        shift: u32,
        /// What becomes of the quotient.
        then: Clamped,
    },
}

/// A function of one variable as a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Name.
    pub name: String,
    /// Smallest argument.
    pub start: i64,
    /// Values from there on; a power of two of them.
    pub values: Arc<Vec<i64>>,
}

impl Function {
    /// `f` on the integers of `bits` bits that stand for multiples of `2^−input_fraction`, as multiples of
    /// `2^−output_fraction`.
    #[must_use]
    pub fn tabulate(name: &str, bits: u32, input_fraction: i32, output_fraction: i32, f: impl Fn(f64) -> f64) -> Self {
        let half = 1i64 << (bits - 1);
        let (unit, one) = (f64::from(-input_fraction).exp2(), f64::from(output_fraction).exp2());
        let values: Vec<i64> = (-half..half).map(|i| (f(i as f64 * unit) * one).round() as i64).collect();
        Self {
            name: format!("{name}{bits}.{input_fraction}.{output_fraction}"),
            start: -half,
            values: Arc::new(values),
        }
    }

    /// As a lookup table.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::shared_function(self.name.clone(), self.start, Arc::clone(&self.values))
    }
}

impl Finish {
    /// The same for arguments beyond its table, which are clamped.
    #[must_use]
    pub fn saturating(self) -> Self {
        match self {
            Self::Requantize { shift, bits } => Self::Saturate { shift, then: Clamped::Quotient { bits } },
            Self::Rectify { shift, bits } => Self::Saturate { shift, then: Clamped::Rectified { bits } },
            Self::Activate { shift, function } => Self::Saturate { shift, then: Clamped::Function(function) },
            Self::Exact | Self::Saturate { .. } => self,
        }
    }

    /// Applies it.
    pub fn lower(&self, p: &mut ProgramBuilder, name: &str, acc: TensorId) -> Result<TensorId, ModelError> {
        Ok(match self {
            Self::Exact => acc,
            Self::Requantize { shift, bits } => fixed::requantize(p, name, acc, *shift as usize, *bits as usize)?,
            Self::Rectify { shift, bits } => fixed::rectify(p, name, acc, *shift as usize, *bits as usize)?,
            Self::Activate { shift, function } => fixed::activate(p, name, acc, *shift as usize, &function.table())?,
            Self::Saturate { shift, then } => then.lower(p, name, acc, *shift as usize)?,
        })
    }
}

/// What a term of an accumulator is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operand {
    /// The input of this number.
    Input(u32),
    /// Columns `first..first + columns` of the input of this number.
    Columns {
        /// The input.
        input: u32,
        /// A multiple of the power of two at or above `columns`.
        first: u32,
        /// Number of columns.
        columns: u32,
    },
    /// A column of ones, as long as the longest input.
    Ones,
}

/// One product of an accumulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The left operand.
    pub operand: Operand,
    /// Rows of it that make an output row.
    pub taps: Taps,
    /// Weights, `(taps − 1)·C̄ + C` rows.
    pub weight: Constant,
    /// Bits by which the product is shifted up to the accumulator's scale.
    pub shift: u32,
}

/// A dense layer or convolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affine {
    /// Name.
    pub name: String,
    /// Products, at least one.
    #[serde(deserialize_with = "crate::files::short_list")]
    pub terms: Vec<Term>,
    /// Bias, one row, at the accumulator's scale.
    pub bias: Constant,
    /// What follows.
    pub finish: Finish,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Affine {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let longest = self.longest(p, inputs)?;
        let sequences = longest.sequences;
        let mut products = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let product = self.product(p, term, inputs, longest)?;
            products.push((fixed::power(name, term.shift)?, product));
        }
        let rows = products.iter().map(|&(_, product)| p.shape(product).0).max().unwrap_or(0);
        let bias = self.bias.declare(p, &format!("{name}/bias"))?;
        let view = |&(coefficient, product): &(i128, TensorId)| {
            let short = p.shape(product).0 == sequences && rows != sequences;
            let map = if short { repeat(sequences, rows / sequences) } else { RowMap::identity(p.shape(product).0) };
            (coefficient, View::rows(product, map))
        };
        let mut terms: Vec<(i128, View)> = products.iter().map(view).collect();
        terms.push((1, View::rows(bias, RowMap::broadcast(rows))));
        let acc = p.linear(&format!("{name}/accumulator"), terms, 0)?;
        Ok(Value { tensor: self.finish.lower(p, &format!("{name}/output"), acc)?, sequences })
    }
}

impl Affine {
    /// The first of the longest inputs, of which there must be one; all have equally many sequences.
    fn longest(&self, p: &ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let misfit = |found: String| ModelError::Shape {
            layer: self.name.clone(),
            expected: "at least one input and one term, equally many sequences".into(),
            found,
        };
        let longest = inputs.iter().rev().max_by_key(|value| value.length(p)).copied();
        match longest {
            Some(longest)
                if inputs.iter().all(|value| value.sequences == longest.sequences) && !self.terms.is_empty() =>
            {
                Ok(longest)
            }
            _ => Err(misfit(format!("{inputs:?} and {} terms", self.terms.len()))),
        }
    }

    /// The contraction of a term.
    fn product(
        &self,
        p: &mut ProgramBuilder,
        term: &Term,
        inputs: &[Value],
        longest: Value,
    ) -> Result<TensorId, ModelError> {
        let name = &self.name;
        let (number, columns) = match term.operand {
            Operand::Input(number) => (number, None),
            Operand::Columns { input, first, columns } => (input, Some((first as usize, columns as usize))),
            Operand::Ones => {
                let column = p.whole(longest.tensor).cols(0, 1);
                let ones = p.linear(&format!("{name}/ones"), vec![(0, column)], 1)?;
                return self.contract(p, term, Value { tensor: ones, ..longest }, None);
            }
        };
        let input = *inputs.get(number as usize).ok_or_else(|| ModelError::Shape {
            layer: name.clone(),
            expected: format!("more than {number} inputs"),
            found: format!("{} inputs", inputs.len()),
        })?;
        let (length, wanted) = (input.length(p), longest.length(p));
        if term.taps == Taps::Same || length == wanted || length != 1 {
            return self.contract(p, term, input, columns);
        }
        // Neighbouring rows are taken of copies, which end where the longest input does.
        let copies = View::rows(input.tensor, repeat(input.sequences, wanted));
        let tensor = p.linear(&format!("{name}/copies"), vec![(1, copies)], 0)?;
        self.contract(p, term, Value { tensor, ..input }, columns)
    }

    fn contract(
        &self,
        p: &mut ProgramBuilder,
        term: &Term,
        input: Value,
        columns: Option<(usize, usize)>,
    ) -> Result<TensorId, ModelError> {
        let name = &self.name;
        let map = term.taps.row_map(name, input.sequences, input.length(p))?;
        let weight = term.weight.declare(p, &format!("{name}/weight"))?;
        let mut lhs = View::rows(input.tensor, map);
        if let Some((first, columns)) = columns {
            lhs = lhs.cols(first, columns);
        }
        Ok(p.contraction(&format!("{name}/product"), lhs, p.whole(weight))?)
    }
}

/// The only row of each of `sequences` sequences, `length` times.
pub(super) fn repeat(sequences: usize, length: usize) -> RowMap {
    let source = SourceAxis { len: sequences as u32, offset: 0, out_strides: vec![1, 0], tap_strides: vec![0] };
    RowMap { out: vec![sequences as u32, length as u32], taps: vec![1], source: vec![source] }
}
