//! Quantization of what networks on waveforms do: pre-emphasis, instance normalisation, filterbanks, logarithms of
//! magnitudes, means over time, maxima over time.

use super::affine::{Affine, Finish, Taps};
use super::at_most::AtMost;
use super::centre::{Centre, Offset};
use super::linear_form::{Accumulator, Columns, Part, Source};
use super::log_magnitude::LogMagnitude;
use super::logarithm::LogTables;
use super::lowering::AnyLayer;
use super::matrix::FloatMatrix;
use super::network::{Conv1d, NodeRef, Op, Scalar};
use super::quantize::{Form, Quantizer};
use super::quantize_affine::{After, WIDE_BITS};
use super::quantize_rows::folded_conv;
use super::quantize_weights::{MARGIN, split_taps};
use super::time_max::TimeMax;
use super::time_pool::{MAX_KERNEL, RoundedTimeMaxPool, TimeMaxPool};
use super::waveform::{Emphasis, Framing, InstanceNorm, MAX_STRIDE};
use crate::error::ModelError;

/// Fraction bits of the factors of a pre-emphasis. A logarithm has a pole where a band's value changes its sign, so its
/// mean squared error is proportional to the error of the value, not to the square of it: all errors before it must be
/// some 10^-5 of the quietest band.
const EMPHASIS_BITS: i32 = 15;
/// Fraction bits of normalised samples.
const NORM_BITS: i32 = 20;
/// Bits of the factor by which samples are normalised, at most; its rounding only scales what follows.
const GAIN_BITS: i32 = 12;
/// Bits that it may have beyond these, within what the layer takes.
const MORE_GAIN_BITS: i32 = 3;
/// Bits of the mantissa of a logarithm, and what three limbs of the range table add to them.
const MANTISSA_BITS: usize = 12;
const REMAINDER_BITS: usize = 48;
/// Fraction bits of a logarithm: less its mean, it still has 16 bits.
const LOG_BITS: usize = 10;
/// Bits of values whose maximum over time is taken, beyond those of arguments of activations, and at most: two of
/// them differ by one bit more, which a table holds.
const POOL_EXTRA_BITS: u32 = 2;
const POOL_BITS: u32 = 15;

impl Quantizer<'_> {
    /// A value with its second row before the first; only a filter of two samples can follow.
    pub(super) fn mirrored(&mut self, at: usize, input: NodeRef) -> Result<Form, ModelError> {
        let columns = self.columns(input)?;
        match columns.plain() {
            Some(source) if source.columns == 1 => Ok(Form::Mirrored(source.clone())),
            _ => Err(self.no_integer_form(at, "of more than one column", "mirror the samples themselves")),
        }
    }

    pub(super) fn emphasis(
        &mut self,
        at: usize,
        name: String,
        source: &Source,
        conv: &Conv1d,
    ) -> Result<Form, ModelError> {
        let plain = (conv.kernel, conv.stride, conv.dilation, conv.pad_left, conv.pad_right) == (2, 1, 1, 0, 0);
        let one = f64::from(EMPHASIS_BITS).exp2();
        let factors: Vec<i64> = conv.weight.iter().map(|w| (w * one).round() as i64).collect();
        let fits = factors.iter().all(|f| f.unsigned_abs() <= 1 << (EMPHASIS_BITS + 2));
        let ([before, now], true, true) = (&factors[..], plain && fits, conv.bias == [0.0]) else {
            let help = "let one filter of two samples without offset follow";
            return Err(self.no_integer_form(at, "of mirrored samples", help));
        };
        let fraction_bits = source.fraction_bits + EMPHASIS_BITS;
        let bound = source.bound * (before.abs() + now.abs());
        let layer = Emphasis { name, factors: [*before as i32, *now as i32], fraction_bits };
        let at = self.push(AnyLayer::Emphasis(layer), vec![source.at]);
        Ok(Form::Columns(Columns::of(Source { at, fraction_bits, columns: 1, bound, non_negative: false })))
    }

    pub(super) fn instance_norm(
        &mut self,
        at: usize,
        name: String,
        input: NodeRef,
        epsilon: f64,
    ) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        let fine = f64::from(2 * source.fraction_bits).exp2();
        let epsilon_units = (epsilon * fine).round();
        let gain_bits = GAIN_BITS + source.fraction_bits + (epsilon.log2() / 2.0).floor() as i32;
        // Coarse samples need no shift, but a factor of a few bits more or an output of fewer.
        let gain_bits = gain_bits.max(NORM_BITS.min(gain_bits + MORE_GAIN_BITS));
        let fraction_bits = NORM_BITS.min(gain_bits);
        let shift = gain_bits - fraction_bits;
        if source.columns != 1 || !(1.0..1e18).contains(&epsilon_units) || !(0..=60).contains(&shift) {
            let help = "normalise one column of samples, with an epsilon of 1e-8 to 1";
            return Err(self.no_integer_form(at, "of these values", help));
        }
        let range = MARGIN * self.ranges.of(NodeRef::Node(at)).max(1.0);
        let bits = (fraction_bits + 1 + range.log2().ceil() as i32) as u32;
        let layer = InstanceNorm {
            name,
            epsilon: epsilon_units as u64,
            gain_bits: gain_bits as u32,
            shift: shift as u32,
            bits,
            fraction_bits,
        };
        let at = self.push(AnyLayer::InstanceNorm(layer), vec![source.at]);
        let bound = 1 << (bits - 1);
        Ok(Columns::of(Source { at, fraction_bits, columns: 1, bound, non_negative: false }))
    }

    /// A convolution of one column whose frames overlap: of samples side by side, so that it has few taps. None if
    /// that is not what it is.
    pub(super) fn filterbank(&mut self, name: &str, value: &Columns, conv: &Conv1d) -> Option<Accumulator> {
        let part = value.scaled().filter(|part| part.source.columns == 1)?;
        let frames = conv.stride > 1 && conv.stride <= MAX_STRIDE && conv.kernel > conv.stride;
        if !frames || (conv.dilation, conv.pad_left, conv.pad_right) != (1, 0, 0) {
            return None;
        }
        let (source, factor, shift) = (part.source.clone(), part.scale[0], value.shift[0]);
        let (outputs, stride) = (conv.out_channels, conv.stride);
        let weight = |k: usize, n: usize| if k < conv.kernel { conv.weight[k * outputs + n] } else { 0.0 };
        let taps: Vec<FloatMatrix> = (0..conv.kernel.div_ceil(stride))
            .map(|tap| FloatMatrix::from_fn(stride, outputs, |j, n| factor * weight(tap * stride + j, n)))
            .collect();
        let sum = |n: usize| (0..conv.kernel).map(|k| weight(k, n)).sum::<f64>();
        let bias = conv.bias.iter().enumerate().map(|(n, b)| b + shift * sum(n)).collect();
        let layer = Framing {
            name: format!("{name}.frames"),
            kernel: conv.kernel as u32,
            stride: stride as u32,
            identity: self.constants.add(&FloatMatrix::from_fn(stride, stride, |r, c| f64::from(u8::from(r == c))), 0),
            fraction_bits: source.fraction_bits,
        };
        let at = self.push(AnyLayer::Framing(layer), vec![source.at]);
        let framed = Columns::of(Source { at, columns: stride, ..source });
        let kernel = taps.len() as u32;
        let same = Taps::Time { kernel, stride: 1, dilation: 1, pad_left: 0, pad_right: 0 };
        Some(Accumulator::contract(&framed, same, false, &taps, bias))
    }

    /// The magnitude of a sum, for which a logarithm must follow.
    pub(super) fn magnitude(&mut self, name: String, input: NodeRef) -> Result<Form, ModelError> {
        let (name, sum) = self.accumulator(input, name)?;
        Ok(Form::Magnitude { name, sum, floor: 0.0, range: self.ranges.of(input) })
    }

    /// `ln(|x| + ε) = ln(c·|x| + 2^−e) − ln c` with `c = 2^−e/ε`: a floor that is a power of two costs nothing.
    pub(super) fn log_magnitude(&mut self, at: usize, input: NodeRef) -> Result<Columns, ModelError> {
        let Form::Magnitude { name, sum, floor, range } = self.form_of(input) else {
            return self.function(at, self.name(at), input, &Scalar::known("Log", None).unwrap_or(Scalar::Input));
        };
        if !(1e-9..=1.0).contains(&floor) {
            let help = "add a constant of 1e-9 to 1 before it";
            return Err(self.no_integer_form(at, "of magnitudes without a floor", help));
        }
        let floor_bits = (-floor.log2()).round() as i32;
        let factor = f64::from(-floor_bits).exp2() / floor;
        let columns = sum.bias.len();
        let sum = sum.affine(&vec![factor; columns], &vec![0.0; columns]);
        let largest = (MARGIN * factor * range.max(floor)).log2().ceil() as i32;
        // One bit for the sum with the floor, one because arguments are odd.
        let room = (MANTISSA_BITS + REMAINDER_BITS) as i32 - largest - 2;
        let source = self.affine(name.clone(), sum, range, After::Exact { fraction_bits: room })?;
        let scale = source.fraction_bits + 1;
        let (top, floor) = ((largest + scale + 1).max(MANTISSA_BITS as i32 + 1), scale - floor_bits);
        if floor < 0 || top - floor > 60 || top > 100 {
            return Err(self.no_integer_form(at, "of magnitudes of so wide a range", "make the floor larger"));
        }
        let (top, floor, scale) = (top as usize, floor as usize, scale as usize);
        let tables = LogTables::new(top, top - floor, MANTISSA_BITS, scale, LOG_BITS);
        let layer = LogMagnitude { name: format!("{name}.log"), tables, fraction_bits: LOG_BITS as i32 };
        let bound = layer.bound();
        let log = self.push(AnyLayer::LogMagnitude(layer), vec![source.at]);
        let fraction_bits = LOG_BITS as i32;
        let log = Columns::of(Source { at: log, fraction_bits, columns, bound, non_negative: false });
        Ok(log.affine(&vec![1.0; columns], &vec![-factor.ln(); columns]))
    }

    /// `a·x + s` less its mean is `a·(x − mean)`.
    pub(super) fn centred(&mut self, name: &str, input: NodeRef) -> Result<Columns, ModelError> {
        let (part, shift) = self.one_source(input)?;
        let layer = Centre { name: name.to_owned(), fraction_bits: part.source.fraction_bits };
        let at = self.push(AnyLayer::Centre(layer), vec![part.source.at]);
        let source = Source { at, bound: 2 * part.source.bound, non_negative: false, ..part.source.clone() };
        Ok(Columns { parts: vec![Part { source, ..part }], shift: vec![0.0; shift.len()] })
    }

    /// The smaller of a value and a limit: nothing to do if no integer that stands for it can pass it.
    pub(super) fn at_most(&mut self, name: &str, input: NodeRef, limit: f64) -> Result<Columns, ModelError> {
        let value = self.columns(input)?;
        let mut most = value.shift.clone();
        for part in &value.parts {
            let bound = part.source.bound as f64 * f64::from(-part.source.fraction_bits).exp2();
            most[part.at..].iter_mut().zip(&part.scale).for_each(|(most, a)| *most += a.abs() * bound);
        }
        if most.iter().all(|&most| most <= limit) {
            return Ok(value);
        }
        let source = match value.plain() {
            Some(source) => source.clone(),
            None => self.requantized(input, &value)?,
        };
        let limits = FloatMatrix::from_fn(1, source.columns, |_, _| limit);
        let limits = self.constants.add(&limits, source.fraction_bits);
        let layer = AtMost { name: name.to_owned(), limits, fraction_bits: source.fraction_bits };
        let at = self.push(AnyLayer::AtMost(layer), vec![source.at]);
        Ok(Columns::of(Source { at, ..source }))
    }

    /// A source plus a row as a source of its own, if that is what the value is.
    pub(super) fn offset(&mut self, name: &str, value: Columns) -> Columns {
        let Some(part) = value.scaled() else { return value };
        let same = part.scale.iter().all(|&a| a == 1.0);
        let largest = value.shift.iter().fold(0f64, |most, s| most.max(s.abs()));
        if !same || largest == 0.0 {
            return value;
        }
        let source = part.source.clone();
        let one = f64::from(source.fraction_bits).exp2();
        let row = self.constants.add(&FloatMatrix::new(1, value.len(), value.shift.clone()), source.fraction_bits);
        let layer = Offset { name: format!("{name}.offset"), row, fraction_bits: source.fraction_bits };
        let at = self.push(AnyLayer::Offset(layer), vec![source.at]);
        let non_negative = source.non_negative && value.shift.iter().all(|&s| s >= 0.0);
        Columns::of(Source { at, bound: source.bound + (largest * one).ceil() as i64, non_negative, ..source })
    }

    pub(super) fn max_over_time(&mut self, name: String, input: NodeRef) -> Result<Columns, ModelError> {
        let narrow = |source: &Source| source.bound >> (POOL_BITS - 1) == 0;
        let scaled = match self.form_of(input) {
            Form::Columns(columns) => columns.multiple().map(|(source, scale)| (source.clone(), scale)),
            _ => None,
        };
        let (source, scale) = match scaled.filter(|(source, _)| narrow(source)) {
            Some(scaled) => scaled,
            None => {
                let (sum_name, sum) = self.accumulator(input, format!("{name}.in"))?;
                let bits = (self.bits_of(&name) + POOL_EXTRA_BITS).min(POOL_BITS);
                (self.affine(sum_name, sum, self.ranges.of(input), After::Quotient { bits })?, 1.0)
            }
        };
        let layer = TimeMax { name, bits: POOL_BITS + 1, fraction_bits: source.fraction_bits };
        let columns = source.columns;
        let at = self.push(AnyLayer::TimeMax(layer), vec![source.at]);
        Ok(Columns::of(Source { at, ..source }).affine(&vec![scale; columns], &vec![0.0; columns]))
    }

    pub(super) fn time_max_pool(
        &mut self,
        at: usize,
        name: String,
        [kernel, stride]: [usize; 2],
    ) -> Result<Columns, ModelError> {
        let input = self.input_of(at);
        if kernel > MAX_KERNEL {
            return Err(self.no_integer_form(at, "over so many rows", "pool in steps"));
        }
        let scaled = match self.form_of(input) {
            Form::Columns(columns) => columns.multiple().map(|(source, scale)| (source.clone(), scale)),
            _ => None,
        };
        let (kernel, stride) = (kernel as u32, stride as u32);
        if let Some((source, scale)) = scaled {
            let (bits, fraction_bits) = (i64::BITS - source.bound.leading_zeros() + 1, source.fraction_bits);
            let layer = AnyLayer::TimeMaxPool(TimeMaxPool { name, kernel, stride, bits, fraction_bits });
            let scales = vec![scale; source.columns];
            let pooled = Columns::of(Source { at: self.push(layer, vec![source.at]), ..source });
            return Ok(pooled.affine(&scales, &vec![0.0; scales.len()]));
        }
        // The value is computed for the pool alone: its quotients are rounded there.
        let bits = (self.bits_of(&name) + POOL_EXTRA_BITS).min(POOL_BITS).min(WIDE_BITS);
        let (sum_name, sum) = self.accumulator(input, format!("{name}.sum"))?;
        let range = self.ranges.of(input);
        let source = self.affine(sum_name, sum, range, After::Quotient { bits })?;
        let Some(AnyLayer::Affine(Affine { finish, fraction_bits, .. })) =
            self.layers.last_mut().map(|placed| &mut placed.layer)
        else {
            return Err(self.no_inputs(at));
        };
        // What is clamped is clamped before its maximum is taken.
        let [shift, bits] = match *finish {
            Finish::Requantize { shift, bits } => [shift, bits],
            _ => [0, i64::BITS - source.bound.leading_zeros() + 1],
        };
        if kernel < 2 || shift == 0 {
            let layer = TimeMaxPool { name, kernel, stride, bits, fraction_bits: source.fraction_bits };
            return Ok(Columns::of(Source { at: self.push(AnyLayer::TimeMaxPool(layer), vec![source.at]), ..source }));
        }
        (*finish, *fraction_bits) = (Finish::Exact, *fraction_bits + shift as i32);
        let layer = RoundedTimeMaxPool { name, kernel, stride, shift, bits, fraction_bits: source.fraction_bits };
        Ok(Columns::of(Source { at: self.push(AnyLayer::RoundedTimeMaxPool(layer), vec![source.at]), ..source }))
    }

    /// Whether a convolution is one of two samples of which the first is mirrored.
    pub(super) fn conv1d_of(&mut self, at: usize, name: String, conv: &Conv1d) -> Result<Form, ModelError> {
        let input = self.input_of(at);
        match self.form_of(input) {
            Form::Mirrored(source) => return self.emphasis(at, name, &source, conv),
            Form::Folded(value, parts) => return Ok(Form::Accumulator(name, folded_conv(&value, parts, conv))),
            _ => {}
        }
        let same = (conv.kernel, conv.stride, conv.pad_left, conv.pad_right) == (1, 1, 0, 0);
        let taps = Taps::Time {
            kernel: conv.kernel as u32,
            stride: conv.stride as u32,
            dilation: conv.dilation as u32,
            pad_left: conv.pad_left as u32,
            pad_right: conv.pad_right as u32,
        };
        let taps = if same { Taps::Same } else { taps };
        let padded = conv.pad_left + conv.pad_right > 0;
        let value = self.columns(input)?;
        if let Some(sum) = self.filterbank(&name, &value, conv) {
            return Ok(Form::Accumulator(name, sum));
        }
        let weights = split_taps(&conv.weight, conv.in_channels, conv.out_channels);
        Ok(Form::Accumulator(name, Accumulator::contract(&value, taps, padded, &weights, conv.bias.clone())))
    }
}

/// Whether an operation adds one positive number to every value, and which.
pub(super) fn added(op: &Op) -> Option<f64> {
    let Op::Affine { scale, shift } = op else { return None };
    let &first = shift.first()?;
    let uniform = scale.iter().all(|&a| a == 1.0) && shift.iter().all(|&s| s == first);
    (uniform && first > 0.0).then_some(first)
}
