//! Dense layers and convolutions: one contraction, a bias, and what follows the accumulator.
//!
//! ```text
//! acc[t, n] = Σ_{κ,c} x[source(t, κ), c]·W[κ·C̄ + c, n] + b[n]       then requantised, or activated
//! ```
//!
//! `source` is a view: stride, dilation, zero padding, an image's neighbourhoods, or all rows of a
//! sequence at once (flatten). Batch normalisation is folded into `W` and `b` at import.
//!
//! Padding cannot contribute: rows outside the input have no weight in the claim on it, and columns
//! beyond the real ones are zero in `x` (proved) and in `W` (committed so).

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, layer_header};
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
    /// Division by `2^shift`, rounded, then a function.
    Activate {
        /// Bits dropped.
        shift: u32,
        /// The function.
        function: Function,
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
    pub values: Vec<i64>,
}

impl Function {
    /// `f` on the integers of `bits` bits that stand for multiples of `2^−input_fraction`, as multiples of
    /// `2^−output_fraction`.
    #[must_use]
    pub fn tabulate(name: &str, bits: u32, input_fraction: i32, output_fraction: i32, f: impl Fn(f64) -> f64) -> Self {
        let half = 1i64 << (bits - 1);
        let (unit, one) = (f64::from(-input_fraction).exp2(), f64::from(output_fraction).exp2());
        let values = (-half..half).map(|i| (f(i as f64 * unit) * one).round() as i64).collect();
        Self { name: format!("{name}{bits}.{input_fraction}.{output_fraction}"), start: -half, values }
    }

    /// As a lookup table.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::function(self.name.clone(), self.start, self.values.clone())
    }
}

impl Finish {
    /// Applies it.
    pub fn lower(&self, p: &mut ProgramBuilder, name: &str, acc: TensorId) -> Result<TensorId, ModelError> {
        Ok(match self {
            Self::Exact => acc,
            Self::Requantize { shift, bits } => fixed::requantize(p, name, acc, *shift as usize, *bits as usize)?,
            Self::Activate { shift, function } => fixed::activate(p, name, acc, *shift as usize, &function.table())?,
        })
    }
}

/// A dense layer or convolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affine {
    /// Name.
    pub name: String,
    /// Input rows of an output row.
    pub taps: Taps,
    /// Weights, `(taps − 1)·C̄ + C` rows.
    pub weight: Constant,
    /// Bias, one row, at the accumulator's scale.
    pub bias: Constant,
    /// What follows.
    pub finish: Finish,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Affine {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, input: Value) -> Result<Value, ModelError> {
        let name = &self.name;
        let map = self.taps.row_map(name, input.sequences, input.length(p))?;
        let rows = map.out_rows();
        let weight = self.weight.declare(p, &format!("{name}/weight"))?;
        let bias = self.bias.declare(p, &format!("{name}/bias"))?;
        let product = p.contraction(&format!("{name}/product"), View::rows(input.tensor, map), p.whole(weight))?;
        let bias = View::rows(bias, RowMap::broadcast(rows));
        let acc = p.linear(&format!("{name}/accumulator"), vec![(1, p.whole(product)), (1, bias)], 0)?;
        Ok(Value { tensor: self.finish.lower(p, &format!("{name}/output"), acc)?, ..input })
    }
}
