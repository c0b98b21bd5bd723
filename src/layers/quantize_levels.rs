//! Values that a model quantizes itself: the integers that are proved are those of its own scale and zero point.
//!
//! ```text
//! x          Σ_i zᵢ·Wᵢ + b                      in units of the scale: weights and bias are divided by it at import
//! q          clamp(⌊x + 1/2⌋, low, high)        integers less the zero point; their value is scale·q
//! ```
//!
//! A runtime multiplies the integer accumulator by a rounded ratio of scales; here the ratio is folded into every weight before
//! that is rounded, which is finer. Enough bits are kept that all roundings of weights together move `x` by at most
//! [`MOST_OFF`] of a step for *any* inputs in their range. `x` of the model and `x` here are then less than a step apart, so that
//! the integers they are rounded to are at most one apart for equal inputs, and mostly the same. Ties go up here and to even
//! numbers in ONNX, which is within that.

use super::linear_form::{Accumulator, Columns, Product, Source};
use super::network::{Levels, NodeRef};
use super::quantize::Quantizer;
use super::quantize_affine::After;
use crate::error::ModelError;

/// How far roundings of weights and bias may move an accumulator for the worst inputs, in steps of what it is rounded to.
const MOST_OFF: f64 = 0.75;
/// How far they may for usual inputs, in the root of the mean square: about one integer of a hundred is another one then.
const USUALLY_OFF: f64 = 1.0 / 128.0;
/// What usual inputs are, of the largest.
const USUAL: f64 = 0.25;
/// Bits below a step, at least: as many as one limb of a remainder takes.
const FEWEST_BITS: i32 = 16;
/// Bits below a step, at most: two limbs.
const MOST_BITS: i32 = 32;
/// Largest weight in steps: integers of 94 bits, which tables of weights hold.
const MOST_STEPS: f64 = (1u64 << 62) as f64;

/// Fraction bits of an accumulator in units of a step, so that rounding its weights moves it by at most [`MOST_OFF`] steps, and
/// usually by [`USUALLY_OFF`]; the most there are where no number of bits does that.
pub(super) fn level_bits(sum: &Accumulator) -> i32 {
    let fine = |&bits: &i32| {
        let [worst, usual] = errors(sum, bits);
        worst <= MOST_OFF && usual <= USUALLY_OFF
    };
    (FEWEST_BITS..MOST_BITS).find(fine).unwrap_or(MOST_BITS)
}

/// How far rounding to `bits` fraction bits moves entries of the accumulator: for the worst inputs, and for usual ones.
fn errors(sum: &Accumulator, bits: i32) -> [f64; 2] {
    let off = |x: f64, bits: i32| {
        let scaled = x * f64::from(bits).exp2();
        (scaled - scaled.round()).abs() * f64::from(-bits).exp2()
    };
    let mut worst: Vec<f64> = sum.bias.iter().map(|&b| off(b, bits)).collect();
    let mut squares: Vec<f64> = worst.iter().map(|e| e * e).collect();
    for Product { source, weights, .. } in &sum.products {
        // Ones have no source.
        let (bound, fraction) = source.as_ref().map_or((1, 0), |source| (source.bound, source.fraction_bits));
        let largest = bound as f64 * f64::from(-fraction).exp2();
        for row in weights.iter().flat_map(|weights| weights.data.chunks_exact(weights.cols)) {
            for ((worst, square), &w) in worst.iter_mut().zip(&mut squares).zip(row) {
                let error = off(w, bits - fraction) * largest;
                *worst += error;
                *square += (USUAL * error).powi(2);
            }
        }
    }
    let largest = |values: Vec<f64>| values.into_iter().fold(0.0, f64::max);
    [largest(worst), largest(squares).sqrt()]
}

impl Quantizer<'_> {
    /// A value rounded and clamped to the levels of the model.
    pub(super) fn levels(&mut self, at: usize, name: String, levels: &Levels) -> Result<Columns, ModelError> {
        let input = self.input_of(at);
        let (name, sum) = self.accumulator(input, name)?;
        let columns = sum.bias.len();
        let none = vec![0.0; columns];
        let steps = sum.affine(&vec![levels.scale.recip(); columns], &none);
        let weights = steps.products.iter().flat_map(|product| &product.weights).flat_map(|weights| &weights.data);
        if !weights.chain(&steps.bias).all(|w| w.abs() <= MOST_STEPS) {
            let help = "quantize it again: the scale is far too small for the weights before it";
            return Err(self.no_integer_form(at, "with weights of 2^62 steps or more", help));
        }
        let (low, high) = (levels.low, levels.high);
        let source = self.affine(name, steps, self.ranges.of(input), After::Levels { low, high })?;
        Ok(Columns::of(source).affine(&vec![levels.scale; columns], &none))
    }

    /// The value of a node as a source and a positive number that it is multiplied with: what the largest of several is
    /// taken of.
    pub(super) fn scaled_source(&mut self, node: NodeRef) -> Result<(Source, f64), ModelError> {
        if let Some((source, scale)) = self.columns(node)?.multiple() {
            return Ok((source.clone(), scale));
        }
        Ok((self.plain(node)?, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::builder::ProgramBuilder;
    use crate::gkr::trace::Trace;
    use crate::layers::lowering::{self, Value};
    use crate::layers::matrix::FloatMatrix;
    use crate::layers::network::{Network, Node, Op};
    use crate::layers::quantize::{Constants, Options, Ranges, quantize};
    use crate::sumcheck::int::{IntTable, IntVec};

    /// The integers of the first levels of a chain of operations, for an input of 12 fraction bits; the trace is checked.
    fn integers(ops: Vec<Op>, x: &FloatMatrix) -> Vec<i128> {
        let input = |i: usize| if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) };
        let node = |(i, op)| Node { name: format!("n{i}"), op, inputs: vec![input(i)] };
        let network = Network::new(x.cols, ops.into_iter().enumerate().map(node).collect());
        let mut ranges = Ranges::default();
        ranges.observe(&network, x, &network.execute(x, x.rows).unwrap(), x.rows);
        let mut constants = Constants::default();
        let mut layers = quantize(&network, &ranges, 12, Options::uniform(12), &mut constants).unwrap();
        layers.truncate(1);
        let mut p = ProgramBuilder::new(16);
        let input = p.input("x", (x.rows, x.cols), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = lowering::lower(&mut p, &layers, Value { tensor: input, sequences: 1 }).unwrap();
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let values = x.data.iter().map(|v| (v * 4096.0) as i128).collect();
        let constants: Vec<_> = constants.into_tables().into_iter().map(Arc::new).collect();
        let input = Arc::new(IntTable::new(x.rows, x.cols, IntVec::I128(values)));
        let trace = Trace::run(&program, &recipes, &[input], &constants).unwrap();
        trace.check(&program).unwrap();
        trace.get(output.tensor).values().iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn integers_are_within_a_step_of_exact_ones(
            (rows, inner, outer) in (1usize..4, 1usize..40, 1usize..5),
            seed in 0u32..1000,
            scale in 0.001f64..2.0,
            (low, width) in (-300i32..1, 1i32..70_000),
            gain in 0.01f64..20.0,
        ) {
            let value = |i: usize| f64::from((seed.wrapping_add(i as u32)).wrapping_mul(2_654_435_761) as i32) * (-31f64).exp2();
            let weight = FloatMatrix::from_fn(inner, outer, |r, c| gain * value(7 * r + c));
            let bias: Vec<f64> = (0..outer).map(|c| value(c + 999)).collect();
            let x = FloatMatrix::from_fn(rows, inner, |r, c| (value(r * inner + c + 77) * 4096.0).round() / 4096.0);
            let levels = Levels { scale, low, high: (low + width).min(Levels::MAX_MULTIPLE) };
            let dense = Op::Dense { weight: weight.clone(), bias: bias.clone() };
            let found = integers(vec![dense, Op::Quantize(levels)], &x);
            let (mut apart, exact) = (0, x.multiply(&weight));
            for (i, &q) in found.iter().enumerate() {
                let expected = i128::from(levels.multiple(exact.data[i] + bias[i % outer]));
                prop_assert!((q - expected).abs() <= 1, "{q} {expected}");
                apart += usize::from(q != expected);
            }
            prop_assert!(apart <= 2 + found.len() / 8, "{apart} of {}", found.len());
        }

        #[test]
        fn ratios_of_powers_of_two_are_exact_but_for_halves(seed in 0u32..1000, shift in 0i32..6, low in -200i32..1) {
            let value = |i: usize| i64::from((seed.wrapping_add(i as u32)).wrapping_mul(2_654_435_761) >> 24) - 128;
            let weight = FloatMatrix::from_fn(9, 3, |r, c| value(5 * r + c) as f64 / 64.0);
            let x = FloatMatrix::from_fn(2, 9, |r, c| value(r * 9 + c + 70) as f64 / 32.0);
            let levels = Levels { scale: f64::from(-shift).exp2(), low, high: low + 255 };
            let found = integers(vec![Op::Dense { weight: weight.clone(), bias: vec![0.0; 3] }, Op::Quantize(levels)], &x);
            let exact = x.multiply(&weight);
            for (&q, &x) in found.iter().zip(&exact.data) {
                // Halves go up here.
                let up = (x / levels.scale + 0.5).floor().max(f64::from(low)).min(f64::from(levels.high));
                prop_assert_eq!(q, up as i128);
            }
        }
    }

    #[test]
    fn bits_follow_from_the_worst_inputs() {
        use crate::layers::affine::Taps;
        use crate::layers::lowering::LayerRef;
        let source = |bound| Source { at: LayerRef::Input, fraction_bits: 0, columns: 1, bound, non_negative: false };
        let sum = |rows: usize, bound| {
            let value = Columns::of(Source { columns: rows, ..source(bound) });
            let weight = FloatMatrix::from_fn(rows, 1, |_, _| 0.1);
            Accumulator::contract(&value, Taps::Same, false, &[weight], vec![0.0])
        };
        assert_eq!(level_bits(&sum(10, 255)), FEWEST_BITS);
        for (rows, bound) in [(4000, 255), (4000, 65535)] {
            let (sum, fine) = (sum(rows, bound), |[worst, usual]: [f64; 2]| worst <= MOST_OFF && usual <= USUALLY_OFF);
            let bits = level_bits(&sum);
            assert!(bits > FEWEST_BITS && bits < MOST_BITS, "{bits}");
            assert!(fine(errors(&sum, bits)) && !fine(errors(&sum, bits - 1)));
        }
    }
}
