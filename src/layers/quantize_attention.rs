//! Quantization of softmax over columns and of attention.

use super::linear_form::{Accumulator, Columns, Source};
use super::logarithm::LogTables;
use super::lowering::AnyLayer;
use super::matrix::FloatMatrix;
use super::moves::Join;
use super::multi_head::MultiHeadAttention;
use super::network::NodeRef;
use super::quantize::Quantizer;
use super::quantize_affine::{After, WIDE_BITS};
use super::quantize_weights::MARGIN;
use super::row_softmax::{RowLogSoftmax, RowSoftmax};
use super::softmax::Softmax;
use crate::error::ModelError;

/// Bits of a distance from the largest score.
const DISTANCE_BITS: u32 = 14;
/// Fraction bits of exponentials.
const EXP_BITS: u32 = 16;
/// Bits of the reciprocal of a sum of exponentials.
const RECIPROCAL_BITS: u32 = 36;
/// Fraction bits of a softmax.
const WEIGHT_BITS: u32 = 15;
/// Fraction bits that the logarithm of a softmax has at least, and bits of the mantissa of a sum.
const LOG_BITS: i32 = 10;
const LOG_MANTISSA_BITS: usize = 12;
/// Most rows that a model's attention may have: a minute of frames.
const MAX_ROWS: usize = 6144;
/// Most rows of causal attention: its mask has as many columns.
const MAX_CAUSAL_ROWS: usize = 1024;

/// Fraction bits of distances of scores, of which none lies further than `spread` from the largest, with the margin.
fn distance_fraction(spread: f64) -> i32 {
    DISTANCE_BITS as i32 - 1 - (MARGIN * spread.max(1e-3)).log2().ceil() as i32
}

/// A matrix that moves heads of `width` columns to multiples of a power of two.
fn aligned(heads: usize, width: usize, part: usize) -> FloatMatrix {
    let stride = width.next_power_of_two();
    let columns = heads * stride;
    FloatMatrix::from_fn(heads * width, 3 * columns, |r, c| {
        let to = part * columns + r / width * stride + r % width;
        f64::from(u8::from(c == to))
    })
}

/// Every weight of an accumulator times a matrix.
fn times(sum: Accumulator, matrix: &FloatMatrix) -> Accumulator {
    let mut sum = sum;
    for weight in sum.products.iter_mut().flat_map(|product| &mut product.weights) {
        *weight = weight.multiply(matrix);
    }
    let bias = FloatMatrix::new(1, sum.bias.len(), sum.bias).multiply(matrix);
    Accumulator { products: sum.products, bias: bias.data }
}

impl Quantizer<'_> {
    pub(super) fn row_softmax(&mut self, name: String, input: NodeRef) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        let fraction = distance_fraction(2.0 * self.ranges.of(input)).min(source.fraction_bits);
        let shift = (source.fraction_bits - fraction) as u32;
        let softmax = Softmax::new(shift, DISTANCE_BITS, fraction, EXP_BITS, RECIPROCAL_BITS);
        let ones = self.constants.add(&FloatMatrix::from_fn(source.columns, 1, |_, _| 1.0), 0);
        let layer = RowSoftmax {
            name,
            softmax,
            ones,
            shift: RECIPROCAL_BITS - WEIGHT_BITS,
            bits: WEIGHT_BITS + 2,
            fraction_bits: WEIGHT_BITS as i32,
        };
        let at = self.push(AnyLayer::RowSoftmax(layer), vec![source.at]);
        let (fraction_bits, bound) = (WEIGHT_BITS as i32, 1 << WEIGHT_BITS);
        Ok(Columns::of(Source { at, fraction_bits, bound, non_negative: true, ..source }))
    }

    pub(super) fn row_log_softmax(&mut self, name: String, input: NodeRef) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        let fraction = distance_fraction(2.0 * self.ranges.of(input)).min(source.fraction_bits);
        let shift = (source.fraction_bits - fraction) as u32;
        let softmax = Softmax::new(shift, DISTANCE_BITS, fraction, EXP_BITS, RECIPROCAL_BITS);
        let ones = self.constants.add(&FloatMatrix::from_fn(source.columns, 1, |_, _| 1.0), 0);
        let finer = (LOG_BITS - source.fraction_bits).max(0);
        let fraction_bits = source.fraction_bits + finer;
        // A sum is that of one exponential at least, and of all at most.
        let (one, room) = (EXP_BITS as usize, source.columns.ilog2() as usize + 1);
        let logarithm = LogTables::new(one + room, room, LOG_MANTISSA_BITS, one, fraction_bits.unsigned_abs() as usize);
        let layer = RowLogSoftmax { name, softmax, ones, logarithm, finer: finer as u32, fraction_bits };
        let at = self.push(AnyLayer::RowLogSoftmax(layer), vec![source.at]);
        let bound = ((2 * source.bound) << finer) + ((room as i64 + 1) << fraction_bits);
        Ok(Columns::of(Source { at, fraction_bits, bound, non_negative: false, ..source }))
    }

    pub(super) fn attention(
        &mut self,
        at: usize,
        name: &str,
        (heads, scale, causal): (usize, f64, bool),
    ) -> Result<Columns, ModelError> {
        let [query, key, value] = self.network.nodes[at].inputs[..] else { return Err(self.no_inputs(at)) };
        let ranges = [query, key, value].map(|input| self.ranges.of(input).max(1e-3));
        // Factors that bring all three to one range, the scores' own scale among those of the queries and keys.
        let common = ranges[2];
        let factors = [common / ranges[0], common / ranges[1], 1.0];
        let mut sum: Option<Accumulator> = None;
        let mut columns = 0;
        for (part, input) in [query, key, value].into_iter().enumerate() {
            let (_, next) = self.accumulator(input, format!("{name}.in"))?;
            columns = next.bias.len();
            let next = times(
                next.affine(&vec![factors[part]; columns], &vec![0.0; columns]),
                &aligned(heads, columns / heads.max(1), part),
            );
            sum = Some(match sum {
                Some(sum) => sum.add(next),
                None => next,
            });
        }
        let Some(sum) = sum else { return Err(self.no_inputs(at)) };
        let width = columns / heads.max(1);
        let source = self.affine(format!("{name}.in"), sum, common, After::Quotient { bits: WIDE_BITS })?;
        // A score of this layer is that of the network divided by this.
        let unit = scale / (factors[0] * factors[1]);
        let spread = self.ranges.arguments.get(&at).map_or_else(
            || ranges[0] * ranges[1] * scale.abs() * (width as f64).sqrt() * 2.0,
            |[low, high]| high - low,
        );
        let fraction = distance_fraction(spread);
        // Distances of 2^shift integers of scores are steps of the table.
        let exact = f64::from(2 * source.fraction_bits) - unit.abs().log2();
        let shift = (exact - f64::from(fraction)).round();
        if !(0.0..=60.0).contains(&shift) || unit <= 0.0 {
            return Err(self.no_integer_form(
                at,
                "of scores of so wide a range",
                "scale the scores by a positive number",
            ));
        }
        let step = unit * (shift - f64::from(2 * source.fraction_bits)).exp2();
        let exponentials = (0..1u32 << DISTANCE_BITS)
            .map(|e| (f64::from(EXP_BITS).exp2() * (-f64::from(e) * step).exp()).round() as i64);
        let softmax = Softmax {
            shift: shift as u32,
            bits: DISTANCE_BITS,
            exponentials: exponentials.collect(),
            reciprocal_bits: RECIPROCAL_BITS,
        };
        let ones = self.constants.add(&FloatMatrix::from_fn(MAX_ROWS, 1, |_, _| 1.0), 0);
        let mask = causal.then(|| self.constants.add(&MultiHeadAttention::causal_mask(MAX_CAUSAL_ROWS), 0));
        let (bits, fraction_bits) = (WIDE_BITS, source.fraction_bits);
        let (heads, shift) = (heads as u32, RECIPROCAL_BITS);
        let layer = MultiHeadAttention {
            name: name.to_owned(),
            heads,
            width: width as u32,
            softmax,
            ones,
            mask,
            shift,
            bits,
            fraction_bits,
        };
        let attended = self.push(AnyLayer::MultiHeadAttention(layer), vec![source.at]);
        let stride = width.next_power_of_two();
        let identity = FloatMatrix::from_fn((heads as usize - 1) * stride + width, columns, |r, c| {
            f64::from(u8::from(r / stride == c / width && r % stride == c % width))
        });
        let identity = self.constants.add(&identity, 0);
        let layer = Join { name: format!("{name}.heads"), parts: heads, heads: true, identity, fraction_bits };
        let at = self.push(AnyLayer::Join(layer), vec![attended]);
        Ok(Columns::of(Source { at, columns, non_negative: false, ..source }))
    }
}
