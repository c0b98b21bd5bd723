//! Waveforms: pre-emphasis, normalisation over a whole recording, and samples side by side.
//!
//! Values have one column and a row a sample. With integers that stand for multiples of `2^−f`:
//!
//! ```text
//! emphasis   y[t] = a·x[t] + b·x[t−1],  x[−1] = x[1]                                     linear, nothing committed
//! norm       W = N·Σ x² − (Σ x)² + N²·ε'        N²·(variance + ε) in squared units of x
//!            d = ⌊√W⌋,  r = ⌊N·2^k / d⌋         2^(k−f) / √(variance + ε)
//!            M = ⌊ρ·Σ x / 2^30 + 1/2⌋           the mean; ρ = round(2^30 / N) is public
//!            y[t] = ⌊(x[t] − M)·r / 2^s + 1/2⌋
//! frames     y[t, j] = x[stride·t + j]          a contraction with the identity: rows of samples, nothing committed; of every sequence
//! ```
//!
//! `d` and `r` are the root and the quotient of [`fixed`], which have one solution each; `M` and `y` are rounded
//! quotients. `W > 0` because `N·Σ x² ≥ (Σ x)²`. All but `y` are single integers. Samples beyond the last are zeros
//! of the view; rows that hold some are those that the last frame reaches into.
//!
//! Instance normalisation: D. Ulyanov, A. Vedaldi, V. Lempitsky, arXiv 1607.08022; over samples as in RawNet3
//! (J. Jung et al., "Pushing the limits of raw waveform speaker recognition", Interspeech 2022).

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::pooling::{divide_by_rows, one_sequence};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::view::{RowMap, SourceAxis, View};

/// Widest step from one frame to the next: far beyond any filterbank, far below memory.
pub(super) const MAX_STRIDE: usize = 4096;

/// The only input: sequences of one column and at least `least` rows; returns it and the number of rows of one.
fn waveforms(p: &ProgramBuilder, name: &str, inputs: &[Value], least: usize) -> Result<(Value, usize), ModelError> {
    let [input] = exactly(name, inputs)?;
    let (rows, columns) = (input.length(p), p.shape(input.tensor).1);
    if columns != 1 || rows < least {
        return Err(ModelError::Shape {
            layer: name.to_owned(),
            expected: format!("one column of at least {least} samples"),
            found: format!("{rows} × {columns}"),
        });
    }
    Ok((input, rows))
}

/// [`waveforms`] of which there is one.
fn waveform(p: &ProgramBuilder, name: &str, inputs: &[Value], least: usize) -> Result<(Value, usize), ModelError> {
    let (input, rows) = waveforms(p, name, inputs, least)?;
    one_sequence(name, input)?;
    Ok((input, rows))
}

/// A filter of two samples. What stands before the first sample mirrors what follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emphasis {
    /// Name.
    pub name: String,
    /// Factors of the sample before and of the sample itself.
    pub factors: [i32; 2],
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for Emphasis {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let (input, rows) = waveform(p, &self.name, inputs, 2)?;
        let [before, now] = self.factors.map(i128::from);
        let x = input.tensor;
        // Row 0 is given row 1; every other row would be given one beyond the last, which is none.
        let mirrored = RowMap::strided(rows, rows, 1, rows as i64, 0, 1);
        let terms = vec![
            (now, p.whole(x)),
            (before, View::rows(x, RowMap::slice(rows, -1, rows))),
            (before, View::rows(x, mirrored)),
        ];
        Ok(Value { tensor: p.linear(&format!("{}/output", self.name), terms, 0)?, ..input })
    }
}

/// Samples less their mean, divided by their standard deviation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceNorm {
    /// Name.
    pub name: String,
    /// `ε' = 2^(2f)·ε`, at least 1.
    pub epsilon: u64,
    /// `k`.
    pub gain_bits: u32,
    /// `s`: bits that the product with the reciprocal deviation drops.
    pub shift: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output, `k − s`.
    pub fraction_bits: i32,
}

/// Bits of `r`, which is at most `2^k / √ε'`.
pub(super) const RECIPROCAL_BITS: usize = 16;

impl Layer for InstanceNorm {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let (input, rows) = waveform(p, name, inputs, 1)?;
        let (x, count) = (input.tensor, rows as i128);
        let total = |view| View::rows(view, RowMap::sum(rows));
        let sum = p.linear(&format!("{name}/sum"), vec![(1, total(x))], 0)?;
        let squares = p.product(&format!("{name}/squares"), p.whole(x), p.whole(x))?;
        let sum_squared = p.product(&format!("{name}/squared sum"), p.whole(sum), p.whole(sum))?;
        let epsilon = count * count * i128::from(self.epsilon.max(1));
        let terms = vec![(count, total(squares)), (-1, p.whole(sum_squared))];
        let variance = p.linear(&format!("{name}/variance"), terms, epsilon)?;
        let bits = fixed::bits_of(p, variance).div_ceil(2);
        fixed::check_bits(name, 2 * bits)?;
        let deviation = fixed::sqrt(p, &format!("{name}/deviation"), variance, bits)?;
        // Nothing but the public numerator: the sum takes part with factor zero, for its shape.
        // The number of samples has fewer bits than what is left of an integer.
        fixed::check_bits(name, (self.gain_bits as usize).saturating_add(40))?;
        let one = count * fixed::power(name, self.gain_bits)?;
        let numerator = p.linear(&format!("{name}/numerator"), vec![(0, p.whole(sum))], one)?;
        let gain = fixed::divide(p, &format!("{name}/gain"), numerator, deviation, RECIPROCAL_BITS, bits + 1)?;
        let mean_bits = fixed::bits_of(p, x) as u32 + 1;
        let mean = divide_by_rows(p, &format!("{name}/mean"), sum, rows, 0, mean_bits)?;
        let terms = vec![(1, p.whole(x)), (-1, View::rows(mean, RowMap::broadcast(rows)))];
        let centred = p.linear(&format!("{name}/centred"), terms, 0)?;
        let gain = View::rows(gain, RowMap::broadcast(rows));
        let scaled = p.product(&format!("{name}/scaled"), p.whole(centred), gain)?;
        let (shift, bits) = (self.shift as usize, self.bits as usize);
        Ok(Value { tensor: fixed::requantize(p, &format!("{name}/output"), scaled, shift, bits)?, ..input })
    }
}

/// Samples side by side, `stride` a row: as many rows as frames of `kernel` samples every `stride` samples reach into.
/// A convolution of one column and many taps is then one of many columns and few taps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Framing {
    /// Name.
    pub name: String,
    /// Samples of a frame.
    pub kernel: u32,
    /// Samples from one frame to the next, and columns of the output.
    pub stride: u32,
    /// The identity of `stride` rows and columns.
    pub identity: Constant,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Framing {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let (kernel, stride) = (self.kernel as usize, self.stride as usize);
        let (input, rows) = waveforms(p, &self.name, inputs, kernel.max(1))?;
        if kernel == 0 || stride == 0 || stride > MAX_STRIDE {
            return Err(ModelError::Shape {
                layer: self.name.clone(),
                expected: format!("frames of samples, 1 to {MAX_STRIDE} apart"),
                found: format!("{kernel} samples every {stride}"),
            });
        }
        let out = (rows - kernel) / stride + kernel.div_ceil(stride);
        let map = frames(input.sequences, rows, [out, stride]);
        let identity = self.identity.declare(p, &format!("{}/identity", self.name))?;
        let name = format!("{}/output", self.name);
        Ok(Value { tensor: p.contraction(&name, View::rows(input.tensor, map), p.whole(identity))?, ..input })
    }
}

/// The map from `out` rows of `stride` samples to the `rows` samples of every sequence.
fn frames(sequences: usize, rows: usize, [out, stride]: [usize; 2]) -> RowMap {
    if sequences == 1 {
        return RowMap::strided(rows, out, stride, stride as i64, 1, 0);
    }
    let axis = |len: usize, out_strides: Vec<i64>, tap: i64| SourceAxis {
        len: len as u32,
        offset: 0,
        out_strides,
        tap_strides: vec![tap],
    };
    RowMap {
        out: vec![sequences as u32, out as u32],
        taps: vec![stride as u32],
        source: vec![axis(sequences, vec![1, 0], 0), axis(rows, vec![0, stride as i64], 1)],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::layers::matrix::FloatMatrix;
    use crate::layers::quantize::Constants;
    use crate::sumcheck::int::{IntTable, IntVec};

    fn run(layer: &dyn Layer, weights: Constants, x: &[i128]) -> Vec<i128> {
        run_sequences(layer, weights, x, 1)
    }

    fn run_sequences(layer: &dyn Layer, weights: Constants, x: &[i128], sequences: usize) -> Vec<i128> {
        let mut p = ProgramBuilder::new(16);
        let input = p.input("x", (x.len(), 1), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = layer.lower(&mut p, &[Value { tensor: input, sequences }]).unwrap();
        assert_eq!(output.sequences, sequences);
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let constants: Vec<_> = weights.into_tables().into_iter().map(Arc::new).collect();
        let input = Arc::new(IntTable::new(x.len(), 1, IntVec::I128(x.to_vec())));
        let trace = Trace::run(&program, &recipes, &[input], &constants).unwrap();
        trace.check(&program).unwrap();
        trace.get(output.tensor).values().iter().collect()
    }

    /// Normalisation of 16-bit samples with 15 fraction bits and an epsilon of 1e-4.
    fn norm() -> InstanceNorm {
        let epsilon = (1e-4 * f64::from(30).exp2()).round() as u64;
        InstanceNorm { name: "norm".into(), epsilon, gain_bits: 23, shift: 3, bits: 28, fraction_bits: 20 }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn samples_are_normalised(
            x in prop::collection::vec(-32768i128..32768, 2..40), quiet in 0u32..16, offset in -32768i128..32768,
        ) {
            // From silence to full scale, with any mean.
            let x: Vec<i128> = x.into_iter().map(|v| ((v >> quiet) + offset).clamp(-32768, 32767)).collect();
            let unit = |v: i128| v as f64 / 32768.0;
            let mean = x.iter().map(|&v| unit(v)).sum::<f64>() / x.len() as f64;
            let variance = x.iter().map(|&v| (unit(v) - mean).powi(2)).sum::<f64>() / x.len() as f64;
            for (&v, found) in x.iter().zip(run(&norm(), Constants::default(), &x)) {
                let exact = (unit(v) - mean) / (variance + 1e-4).sqrt();
                let found = found as f64 / f64::from(20).exp2();
                // The factor has at least 8 bits, the mean those of a sample.
                let tolerance = exact.abs() / 128.0 + 1.0 / 32768.0 / (variance + 1e-4).sqrt();
                prop_assert!((found - exact).abs() <= tolerance, "{found} instead of {exact}");
            }
        }

        #[test]
        fn filters_and_frames_are_exact(
            x in prop::collection::vec(-32768i128..32768, 2..40), before in -5000i32..5000, now in -5000i32..5000,
            kernel in 1usize..9, stride in 1usize..7,
        ) {
            let layer = Emphasis { name: "emphasis".into(), factors: [before, now], fraction_bits: 0 };
            let value = |t: usize| i128::from(now) * x[t] + i128::from(before) * x[if t == 0 { 1 } else { t - 1 }];
            prop_assert_eq!(run(&layer, Constants::default(), &x), (0..x.len()).map(value).collect::<Vec<_>>());
            if x.len() >= kernel {
                let mut weights = Constants::default();
                let identity = FloatMatrix::from_fn(stride, stride, |r, c| f64::from(u8::from(r == c)));
                let identity = weights.add(&identity, 0);
                let [kernel_size, stride_size] = [kernel as u32, stride as u32];
                let name = "frames".to_owned();
                let layer = Framing { name, kernel: kernel_size, stride: stride_size, identity, fraction_bits: 0 };
                let frames = (x.len() - kernel) / stride + 1;
                let len = (frames - 1 + kernel.div_ceil(stride)) * stride;
                let expected: Vec<i128> = (0..len).map(|i| x.get(i).copied().unwrap_or(0)).collect();
                prop_assert_eq!(run(&layer, weights, &x), expected);
            }
        }

        #[test]
        fn frames_of_several_sequences_are_those_of_each(
            sequences in 1usize..5, x in prop::collection::vec(-32768i128..32768, 24),
            kernel in 1usize..6, stride in 1usize..5,
        ) {
            let mut weights = Constants::default();
            let identity = weights.add(&FloatMatrix::from_fn(stride, stride, |r, c| f64::from(u8::from(r == c))), 0);
            let (name, kernel, stride) = ("frames".to_owned(), kernel as u32, stride as u32);
            let layer = Framing { name, kernel, stride, identity, fraction_bits: 0 };
            let x = &x[..24 / sequences * sequences];
            let each = x.chunks(x.len() / sequences).flat_map(|x| run(&layer, weights.clone(), x));
            let expected: Vec<i128> = each.collect();
            prop_assert_eq!(run_sequences(&layer, weights.clone(), x, sequences), expected);
        }
    }

    #[test]
    fn what_is_no_waveform_is_refused() {
        let mut weights = Constants::default();
        let identity = weights.add(&FloatMatrix::new(1, 1, vec![1.0]), 0);
        let frames = |kernel, stride| Framing { name: "frames".into(), kernel, stride, identity, fraction_bits: 0 };
        let emphasis = Emphasis { name: "emphasis".into(), factors: [-1, 1], fraction_bits: 0 };
        let (zero, short, far) = (frames(0, 1), frames(4, 1), frames(2, u32::MAX));
        let cases: [(&dyn Layer, (usize, usize)); 7] = [
            (&norm(), (3, 2)),
            (&emphasis, (1, 1)),
            (&emphasis, (4, 2)),
            (&zero, (3, 1)),
            (&short, (3, 1)),
            (&far, (3, 1)),
            (&frames(2, 0), (3, 1)),
        ];
        for (layer, shape) in cases {
            let mut p = ProgramBuilder::new(16);
            let tensor = p.input("x", shape, -32768, 32767).unwrap();
            let refused = layer.lower(&mut p, &[Value { tensor, sequences: 1 }]);
            assert!(matches!(refused, Err(ModelError::Shape { .. })), "{layer:?}");
            assert!(layer.lower(&mut p, &[]).is_err());
        }
        let mut p = ProgramBuilder::new(16);
        let tensor = p.input("x", (4, 1), -32768, 32767).unwrap();
        for (gain_bits, shift, bits) in [(u32::MAX, 3, 28), (23, u32::MAX, 28), (23, 3, u32::MAX)] {
            let layer = InstanceNorm { gain_bits, shift, bits, ..norm() };
            assert!(layer.lower(&mut p, &[Value { tensor, sequences: 1 }]).is_err(), "{layer:?}");
        }
    }
}
