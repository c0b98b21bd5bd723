//! Quantization of images and of what moves rows: what is linear there stays linear.

use super::affine::Taps;
use super::average_pool::AveragePool;
use super::grid::{GridDeviation, GridMean};
use super::layer_norm::LayerNorm;
use super::linear_form::{Accumulator, Columns, Part, Source};
use super::lowering::AnyLayer;
use super::matrix::FloatMatrix;
use super::moves::{AddRows, Beyond, Join, Order, Rows, Unfold};
use super::network::{AveragePool2d, Conv1d, Edge, NodeRef, Op, RowMove};
use super::quantize::{Flat, Form, Quantizer};
use super::quantize_affine::WIDE_BITS;
use super::quantize_pooling::{GUARD_BITS, joined, width};
use super::quantize_weights::{split_taps, step};
use crate::error::ModelError;

/// Most columns of rows that are put side by side by a matrix.
const MAX_JOINED: usize = 8192;
/// Bits by which a row's mean is finer than the row.
const NORM_GUARD_BITS: u32 = 4;
/// Bits of the reciprocal of the largest deviation a row can have.
const RECIPROCAL_DEVIATION_BITS: u32 = 14;

/// A convolution along time of a value of which `parts` rows at a time are side by side: one of an image that wide.
pub(super) fn folded_conv(value: &Columns, parts: usize, conv: &Conv1d) -> Accumulator {
    let taps = Taps::Grid {
        width: parts as u32,
        kernel: [conv.kernel as u32, parts as u32],
        stride: [conv.stride as u32, parts as u32],
        dilation: [conv.dilation as u32, 1],
        padding: [conv.pad_left as u32, 0, conv.pad_right as u32, 0],
    };
    let padded = conv.pad_left + conv.pad_right > 0;
    let weights = split_taps(&conv.weight, value.len(), conv.out_channels);
    Accumulator::contract(value, taps, padded, &weights, conv.bias.clone())
}

/// Parts of a row, each column times a factor plus a summand.
pub(super) fn scaled_parts(parts: Vec<Flat>, scale: &[f64], shift: &[f64]) -> Vec<Flat> {
    let mut first = 0;
    let mut scaled = Vec::with_capacity(parts.len());
    for part in parts {
        let (columns, len) = (first..first + part.len(), part.len());
        let (a, b) = part.line.unwrap_or_else(|| (vec![1.0; len], vec![0.0; len]));
        let (scale, shift) = (&scale[columns.clone()], &shift[columns]);
        let line = a.iter().zip(scale).map(|(a, s)| a * s).collect();
        let summand = b.iter().zip(scale.iter().zip(shift)).map(|(b, (s, t))| b * s + t).collect();
        scaled.push(Flat { line: Some((line, summand)), ..part });
        first += len;
    }
    scaled
}

impl Quantizer<'_> {
    /// A dense layer of parts of a row.
    pub(super) fn flat_dense(&self, parts: &[Flat], weight: &FloatMatrix, bias: &[f64]) -> Accumulator {
        let mut all = Accumulator { products: Vec::new(), bias: bias.to_vec() };
        let mut first = 0;
        for part in parts {
            let columns = part.value.len();
            let factor = |i: usize| part.line.as_ref().map_or(1.0, |(a, _)| a[i]);
            let row = |t: usize| {
                FloatMatrix::from_fn(columns, weight.cols, |c, n| {
                    factor(t * columns + c) * weight.row(first + t * columns + c)[n]
                })
            };
            let taps: Vec<FloatMatrix> = (0..part.rows).map(row).collect();
            let mut shift = vec![0.0; weight.cols];
            for (i, b) in part.line.iter().flat_map(|(_, b)| b.iter().enumerate()) {
                shift.iter_mut().zip(weight.row(first + i)).for_each(|(sum, w)| *sum += b * w);
            }
            let map = if part.rows == 1 { Taps::Same } else { Taps::All };
            all = all.add(Accumulator::contract(&part.value, map, false, &taps, shift));
            first += part.len();
        }
        all
    }

    /// Rows of a sequence before a flattening, if its length was seen.
    pub(super) fn rows_before(&self, at: usize, _: &Columns) -> Option<usize> {
        self.ranges.rows.get(&at).copied().filter(|&rows| rows > 0)
    }

    /// Values of one row side by side, some of which are flattened.
    pub(super) fn flat_concat(&mut self, at: usize) -> Result<Form, ModelError> {
        let mut all = Vec::new();
        for &input in &self.network.nodes[at].inputs {
            match self.form_of(input) {
                Form::Flat(parts) => all.extend(parts),
                _ => all.push(Flat { value: self.columns(input)?, rows: 1, line: None }),
            }
        }
        Ok(Form::Flat(all))
    }

    /// `parts` rows side by side as columns of one layer.
    pub(super) fn joined_rows(
        &mut self,
        name: String,
        node: NodeRef,
        value: &Columns,
        parts: usize,
    ) -> Result<Columns, ModelError> {
        let columns = value.len();
        if columns.saturating_mul(parts) > MAX_JOINED {
            let at = if let NodeRef::Node(index) = node { index } else { 0 };
            let help = "let a convolution, a dense layer or pooling over time follow";
            return Err(self.no_integer_form(at, "of thousands of columns", help));
        }
        let stride = columns.next_power_of_two();
        let identity = FloatMatrix::from_fn((parts - 1) * stride + columns, parts * columns, |r, c| {
            f64::from(u8::from(r / stride == c / columns && r % stride == c % columns))
        });
        let identity = self.constants.add(&identity, 0);
        // Every source by itself: the columns of the result are those of (row, part).
        let mut all = Columns { parts: Vec::new(), shift: value.shift.repeat(parts) };
        let whole = value.parts.iter().all(|part| part.is_whole(columns));
        let value = if whole { value.clone() } else { Columns::of(self.requantized(node, value)?) };
        if !whole {
            all.shift = vec![0.0; columns * parts];
        }
        for part in value.parts {
            let fraction_bits = part.source.fraction_bits;
            let layer = Join { name: name.clone(), parts: parts as u32, heads: false, identity, fraction_bits };
            let at = self.push(AnyLayer::Join(layer), vec![part.source.at]);
            let source = Source { at, columns: columns * parts, ..part.source };
            all.push(Part { source, first: 0, at: 0, scale: part.scale.repeat(parts) });
        }
        Ok(all)
    }

    /// A source and a constant that makes it natural.
    pub(super) fn lifted(&mut self, name: &str, source: Source, by: i64) -> Result<Source, ModelError> {
        let row = FloatMatrix::from_fn(1, source.columns, |_, _| by as f64);
        let row = self.constants.add(&row, 0);
        let layer = super::centre::Offset { name: format!("{name}.lifted"), row, fraction_bits: source.fraction_bits };
        let at = self.push(AnyLayer::Offset(layer), vec![source.at]);
        Ok(Source { at, bound: source.bound + by, non_negative: true, ..source })
    }

    /// Operations on images and rows.
    pub(super) fn form_of_rows(&mut self, at: usize, name: String, input: NodeRef) -> Result<Form, ModelError> {
        let network = self.network;
        let columns = match &network.nodes[at].op {
            Op::Function(f) => self.function(at, name, input, f)?,
            Op::AveragePool2d(pool) => self.average_pool(name, input, pool)?,
            Op::Rows(rows) => self.moved_rows(name, input, *rows)?,
            Op::Unfold { parts } => self.unfolded(name, input, *parts)?,
            Op::Fold { parts } => return Ok(Form::Folded(self.columns(input)?, *parts)),
            Op::GridMean { inner } => self.grid_mean(&name, input, *inner)?,
            Op::GridStats { inner, min_variance, epsilon, unbiased } => {
                self.grid_stats(&name, input, *inner, ([*min_variance, *epsilon], *unbiased))?
            }
            Op::LayerNorm { epsilon } => self.layer_norm(at, name, input, *epsilon)?,
            Op::AddRows { rows } => self.added_rows(name, input, rows)?,
            Op::Softmax => self.row_softmax(name, input)?,
            Op::LogSoftmax => self.row_log_softmax(name, input)?,
            Op::Attention { heads, scale, causal } => self.attention(at, &name, (*heads, *scale, *causal))?,
            _ => return Err(self.no_inputs(at)),
        };
        Ok(Form::Columns(columns))
    }

    /// The average of scaled columns is that of their sources; a summand stays.
    fn average_pool(&mut self, name: String, input: NodeRef, pool: &AveragePool2d) -> Result<Columns, ModelError> {
        let mut columns = self.columns(input)?;
        let [kernel, stride] = [pool.kernel, pool.stride].map(|pair| pair.map(|x| x as u32));
        let taps = Taps::Grid { width: pool.image[1] as u32, kernel, stride, dilation: [1, 1], padding: [0; 4] };
        let count = (pool.kernel[0] * pool.kernel[1]) as i64;
        for part in &mut columns.parts {
            let source = &mut part.source;
            // Sums of patches; their number is a factor.
            let layer = AveragePool { name: name.clone(), taps, fraction_bits: source.fraction_bits };
            let sum = self.push(AnyLayer::AveragePool(layer), vec![source.at]);
            (source.at, source.bound) = (sum, source.bound.saturating_mul(count));
            part.scale.iter_mut().for_each(|a| *a /= count as f64);
        }
        Ok(columns)
    }

    fn moved_rows(&mut self, name: String, input: NodeRef, rows: RowMove) -> Result<Columns, ModelError> {
        let (block, order) = match rows {
            RowMove::Reverse { block } => (block, Order::Reverse),
            RowMove::Keep { block, skip_first, skip_last, step } => {
                let [skip_first, skip_last, step] = [skip_first, skip_last, step].map(|n| n as u32);
                (block, Order::Keep { skip_first, skip_last, step })
            }
            RowMove::Pad { block, before, after, edge } => {
                let beyond = match edge {
                    Edge::Zero => Beyond::Zero,
                    Edge::Reflect => Beyond::Reflect,
                    Edge::Repeat => Beyond::Repeat,
                };
                (block, Order::Pad { before: before as u32, after: after as u32, beyond })
            }
        };
        let mut columns = self.columns(input)?;
        let zeros = matches!(order, Order::Pad { beyond: Beyond::Zero, .. });
        if zeros && columns.shift.iter().any(|&s| s != 0.0) {
            // A summand ends where the value does.
            columns = Columns::of(self.requantized(input, &columns)?);
        }
        for part in &mut columns.parts {
            let fraction_bits = part.source.fraction_bits;
            let layer = Rows { name: name.clone(), block: block as u32, order, fraction_bits };
            part.source.at = self.push(AnyLayer::Rows(layer), vec![part.source.at]);
        }
        Ok(columns)
    }

    fn unfolded(&mut self, name: String, input: NodeRef, parts: usize) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        let (all, columns) = (source.columns, source.columns / parts.max(1));
        let bit = |b: bool| f64::from(u8::from(b));
        let mask = self.constants.add(&FloatMatrix::from_fn(parts, all, |f, k| bit(k / columns == f)), 0);
        let gather = self.constants.add(&FloatMatrix::from_fn(all, columns, |k, c| bit(k % columns == c)), 0);
        let layer = Unfold { name, parts: parts as u32, mask, gather, fraction_bits: source.fraction_bits };
        let at = self.push(AnyLayer::Unfold(layer), vec![source.at]);
        Ok(Columns::of(Source { at, columns, ..source }))
    }

    fn grid_mean_of(&mut self, name: String, source: &Source, inner: usize) -> Source {
        let (guard_bits, bound) = (GUARD_BITS, source.bound << GUARD_BITS);
        let fraction_bits = source.fraction_bits + GUARD_BITS as i32;
        let layer = GridMean { name, inner: inner as u32, guard_bits, bits: width(bound), fraction_bits };
        let at = self.push(AnyLayer::GridMean(layer), vec![source.at]);
        Source { at, fraction_bits, bound, ..source.clone() }
    }

    fn grid_mean(&mut self, name: &str, input: NodeRef, inner: usize) -> Result<Columns, ModelError> {
        let mut columns = self.columns(input)?;
        for part in &mut columns.parts {
            part.source = self.grid_mean_of(name.to_owned(), &part.source, inner);
        }
        Ok(columns)
    }

    fn grid_stats(
        &mut self,
        name: &str,
        input: NodeRef,
        inner: usize,
        ([min_variance, epsilon], unbiased): ([f64; 2], bool),
    ) -> Result<Columns, ModelError> {
        let (part, shift) = self.one_source(input)?;
        let mean = self.grid_mean_of(format!("{name}.mean"), &part.source, inner);
        let layer = GridDeviation {
            name: format!("{name}.deviation"),
            inner: inner as u32,
            unbiased,
            min_variance: self.smallest_variance(&part, min_variance),
            epsilon: self.smallest_variance(&part, epsilon),
            guard_bits: GUARD_BITS,
            bits: width(mean.bound) + 2,
            fraction_bits: mean.fraction_bits,
        };
        let at = self.push(AnyLayer::GridDeviation(layer), vec![part.source.at]);
        let deviation = Source { at, bound: 2 * mean.bound, non_negative: true, ..mean.clone() };
        Ok(joined(part, shift, mean, deviation))
    }

    fn layer_norm(&mut self, at: usize, name: String, input: NodeRef, epsilon: f64) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        let columns = source.columns;
        let fraction_bits = step(WIDE_BITS, self.ranges.of(NodeRef::Node(at))).clamp(1, 14);
        let largest = i64::BITS - source.bound.leading_zeros();
        let k = RECIPROCAL_DEVIATION_BITS + largest;
        let shift = k as i32 + NORM_GUARD_BITS as i32 - fraction_bits;
        let unit = f64::from(source.fraction_bits).exp2() * columns as f64;
        if k > 40 || shift < 0 || (columns as f64).log2() + f64::from(k) >= 58.0 || epsilon * unit * unit >= 1e18 {
            return Err(self.no_integer_form(at, "of so many or so wide columns", "use fewer bits (--bits)"));
        }
        let ones = self.constants.add(&FloatMatrix::from_fn(columns, 1, |_, _| 1.0), 0);
        let epsilon = LayerNorm::epsilon(epsilon, columns, source.fraction_bits);
        let (shift, bits) = (shift as u32, WIDE_BITS);
        let layer = LayerNorm { name, ones, epsilon, guard_bits: NORM_GUARD_BITS, shift, bits, fraction_bits };
        let at = self.push(AnyLayer::LayerNorm(layer), vec![source.at]);
        let bound = 1 << (WIDE_BITS - 1);
        Ok(Columns::of(Source { at, fraction_bits, columns, bound, non_negative: false }))
    }

    fn added_rows(&mut self, name: String, input: NodeRef, rows: &FloatMatrix) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        let one = f64::from(source.fraction_bits).exp2();
        let bound = source.bound + (rows.max_abs() * one).ceil() as i64;
        let rows = self.constants.add(rows, source.fraction_bits);
        let layer = AddRows { name, rows, fraction_bits: source.fraction_bits };
        let at = self.push(AnyLayer::AddRows(layer), vec![source.at]);
        Ok(Columns::of(Source { at, bound, non_negative: false, ..source }))
    }
}
