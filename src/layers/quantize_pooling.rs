//! Quantization of pooling over time: means and deviations of sources, in one row each.
//!
//! With `x = a·z + s` per column, `mean(x) = a·mean(z) + s` and `deviation(x) = |a|·deviation(z)`, whose smallest
//! variance is `θ/a²`: scales and shifts stay outside.

use super::attention::WeightedStats;
use super::linear_form::{Accumulator, Columns, Part, Source};
use super::lowering::{AnyLayer, Constant};
use super::matrix::FloatMatrix;
use super::network::NodeRef;
use super::pooling::{Deviation, Mean, Row};
use super::quantize::Quantizer;
use super::quantize_affine::After;
use super::quantize_weights::MARGIN;
use super::segment_mean::SegmentMean;
use super::time_softmax::{MAX_BITS, TimeSoftmax};
use crate::error::ModelError;

/// Bits by which means and deviations are finer than what they are taken of.
pub(super) const GUARD_BITS: u32 = 6;
/// Bits that distances of scores have less than arguments of other tables: every weight is one of many in a mean, where
/// errors of a few percent that have nothing to do with each other cancel.
const FEWER_EXP_BITS: u32 = 3;
/// Bits that they have at least.
const LEAST_EXP_BITS: u32 = 8;
/// Fraction bits of exponentials, of which the largest is one.
const EXP_FRACTION_BITS: i32 = 12;
/// A distance beyond which exponentials are zero.
const FLAT: f64 = 16.0;
/// Largest smallest variance, in units of the input: columns that are scaled by zero have no other.
const LARGEST_FLOOR: f64 = 1e6;

impl Quantizer<'_> {
    /// The first rows or the last rows of every source.
    fn row(&mut self, name: String, source: &Source, last: bool) -> Source {
        let layer = Row { name, last, fraction_bits: source.fraction_bits };
        Source { at: self.push(AnyLayer::Row(layer), vec![source.at]), ..source.clone() }
    }

    pub(super) fn last_row(&mut self, name: String, input: NodeRef) -> Result<Columns, ModelError> {
        let mut columns = self.columns(input)?;
        for part in &mut columns.parts {
            part.source = self.row(name.clone(), &part.source, true);
        }
        Ok(columns)
    }

    fn mean_of(&mut self, name: String, source: &Source) -> Source {
        let (guard_bits, bound) = (GUARD_BITS, source.bound << GUARD_BITS);
        let fraction_bits = source.fraction_bits + GUARD_BITS as i32;
        let layer = Mean { name, guard_bits, bits: width(bound), fraction_bits };
        let at = self.push(AnyLayer::Mean(layer), vec![source.at]);
        Source { at, fraction_bits, bound, ..source.clone() }
    }

    pub(super) fn mean(&mut self, name: &str, input: NodeRef) -> Result<Columns, ModelError> {
        let mut columns = self.columns(input)?;
        let mut means: Vec<(Source, Source)> = Vec::new();
        for part in &mut columns.parts {
            let known = means.iter().find(|(source, _)| source.at == part.source.at).map(|(_, mean)| mean.clone());
            let mean = known.unwrap_or_else(|| {
                let mean = self.mean_of(name.to_owned(), &part.source);
                means.push((part.source.clone(), mean.clone()));
                mean
            });
            part.source = mean;
        }
        Ok(columns)
    }

    /// Means of runs of rows, one source after another.
    pub(super) fn segment_mean(&mut self, name: &str, input: NodeRef, rows: usize) -> Result<Columns, ModelError> {
        let mut columns = self.columns(input)?;
        for part in &mut columns.parts {
            let source = &part.source;
            let (bound, fraction_bits) = (source.bound << GUARD_BITS, source.fraction_bits + GUARD_BITS as i32);
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            let layer =
                SegmentMean { name: name.to_owned(), rows, guard_bits: GUARD_BITS, bits: width(bound), fraction_bits };
            let at = self.push(AnyLayer::SegmentMean(layer), vec![source.at]);
            part.source = Source { at, fraction_bits, bound, ..source.clone() };
        }
        Ok(columns)
    }

    /// The value as one source with a scale and a shift per column.
    pub(super) fn one_source(&mut self, input: NodeRef) -> Result<(Part, Vec<f64>), ModelError> {
        let columns = self.columns(input)?;
        let columns = match columns.scaled() {
            Some(_) => columns,
            None => Columns::of(self.requantized(input, &columns)?),
        };
        let Columns { mut parts, shift } = columns;
        Ok((parts.remove(0), shift))
    }

    /// `2^(2g)·θ/a²` in squared units of the source.
    pub(super) fn smallest_variance(&mut self, part: &Part, min_variance: f64) -> Constant {
        let fine = part.source.fraction_bits + GUARD_BITS as i32;
        let floor = |a: f64| (min_variance / (a * a)).min(LARGEST_FLOOR);
        self.constants
            .add(&FloatMatrix::new(1, part.scale.len(), part.scale.iter().map(|&a| floor(a)).collect()), 2 * fine)
    }

    pub(super) fn stats(&mut self, name: &str, input: NodeRef, min_variance: f64) -> Result<Columns, ModelError> {
        let (part, shift) = self.one_source(input)?;
        let mean = self.mean_of(format!("{name}.mean"), &part.source);
        let layer = Deviation {
            name: format!("{name}.deviation"),
            min_variance: self.smallest_variance(&part, min_variance),
            guard_bits: GUARD_BITS,
            bits: width(mean.bound) + 1,
            fraction_bits: mean.fraction_bits,
        };
        let at = self.push(AnyLayer::Deviation(layer), vec![part.source.at]);
        let deviation = Source { at, non_negative: true, ..mean.clone() };
        Ok(joined(part, shift, mean, deviation))
    }

    pub(super) fn attentive_stats(
        &mut self,
        (at, name): (usize, &str),
        [input, scores]: [NodeRef; 2],
        min_variance: f64,
    ) -> Result<Columns, ModelError> {
        let (part, shift) = self.one_source(input)?;
        let (score_name, sum) = self.accumulator(scores, format!("{name}.scores"))?;
        let seen = self.ranges.arguments.get(&at).map(|&[_, spread]| spread);
        let weights = self.time_softmax(score_name, sum, seen.unwrap_or(2.0 * self.ranges.of(scores)))?;
        let (fraction_bits, bound) = (part.source.fraction_bits + GUARD_BITS as i32, part.source.bound << GUARD_BITS);
        let layer = WeightedStats {
            name: name.to_owned(),
            min_variance: self.smallest_variance(&part, min_variance),
            guard_bits: GUARD_BITS,
            bits: width(bound),
            fraction_bits,
        };
        let at = self.push(AnyLayer::WeightedStats(layer), vec![part.source.at, weights.at]);
        let both = Source { at, fraction_bits, bound, ..part.source.clone() };
        let mean = self.row(format!("{name}.mean"), &both, false);
        let deviation = self.row(format!("{name}.deviation"), &both, true);
        Ok(joined(part, shift, mean, Source { non_negative: true, ..deviation }))
    }

    /// Weights of scores that were seen up to `spread` below the largest of their column.
    fn time_softmax(&mut self, name: String, sum: Accumulator, spread: f64) -> Result<Source, ModelError> {
        let bits = self.bits_of(&name).saturating_sub(FEWER_EXP_BITS).max(LEAST_EXP_BITS);
        let reach = MARGIN * spread.max(1.0);
        // Weights further down are zero: they need entries of the table, and none of its bits.
        let step_bits = bits as i32 - reach.min(FLAT).log2().ceil() as i32;
        let table_bits = (step_bits + reach.log2().ceil() as i32).clamp(1, MAX_BITS as i32) as u32;
        let step_bits = step_bits.min(table_bits as i32 - reach.log2().ceil() as i32);
        let sum = self.affine(format!("{name}.sum"), sum, spread, After::Rounded { fraction_bits: step_bits })?;
        let shift = (sum.fraction_bits - step_bits) as u32;
        let layer = TimeSoftmax::new(name, shift, table_bits, step_bits, EXP_FRACTION_BITS);
        let at = self.push(AnyLayer::TimeSoftmax(layer), vec![sum.at]);
        let (fraction_bits, bound) = (EXP_FRACTION_BITS, 1 << EXP_FRACTION_BITS);
        Ok(Source { at, fraction_bits, bound, non_negative: true, ..sum })
    }
}

/// Mean and deviation of `a·z + s` side by side.
pub(super) fn joined(part: Part, shift: Vec<f64>, mean: Source, deviation: Source) -> Columns {
    let columns = shift.len();
    let spread = Part { source: deviation, scale: part.scale.iter().map(|a| a.abs()).collect(), first: 0, at: 0 };
    let mean = Columns { parts: vec![Part { source: mean, ..part }], shift };
    Columns::concat(vec![mean, Columns { parts: vec![spread], shift: vec![0.0; columns] }])
}

/// Bits of integers up to `bound`, a sign included.
pub(super) fn width(bound: i64) -> u32 {
    i64::BITS - bound.leading_zeros() + 1
}
