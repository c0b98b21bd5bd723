//! Quantization of accumulators: scales of their terms, and the tables that follow.

use super::affine::{Affine, Finish, Function, Operand, Term};
use super::linear_form::{Accumulator, Product, Source};
use super::lowering::{AnyLayer, LayerRef};
use super::matrix::FloatMatrix;
use super::quantize::Quantizer;
use super::quantize_levels::level_bits;
use super::quantize_weights::{exact_weight_bits, sigmoid, stack, step, weight_bits};
use super::saturate::Clamped;
use crate::error::ModelError;

/// Bits of values that are not arguments of a table.
pub(super) const WIDE_BITS: u32 = 16;
/// Bits of the same, and of arguments of tables, where what leaves them is clamped to them: tables for that are four times
/// as large.
pub(super) const SATURATED_BITS: u32 = 14;
/// Bits of products of two values: less leave more bits to the weights that follow.
const PRODUCT_BITS: u32 = 14;
/// Fraction bits of a sigmoid: few, so that gates leave bits to the weights they are multiplied with.
const SIGMOID_BITS: i32 = 11;
/// Fraction bits of a hyperbolic tangent.
const TANH_BITS: i32 = 13;
/// Bits that arguments of a hyperbolic tangent have beyond those of other activations: most of its range is flat.
const TANH_EXTRA_BITS: u32 = 1;
/// What follows an accumulator.
pub(super) enum After {
    Requantize,
    /// As [`After::Requantize`], to this many bits.
    Quotient {
        bits: u32,
    },
    /// Nothing, at about as many fraction bits.
    Exact {
        fraction_bits: i32,
    },
    Relu,
    Sigmoid,
    Tanh,
    /// Nothing: a layer after it rounds to this many fraction bits.
    Rounded {
        fraction_bits: i32,
    },
    /// Integers within bounds: multiples of a scale that the model prescribes, which the accumulator was divided by.
    Levels {
        low: i32,
        high: i32,
    },
    /// A function of a table: fraction bits of its arguments and of its values.
    Table {
        function: Function,
        argument_bits: i32,
        output_bits: i32,
    },
}

/// A finish, and what it makes of the accumulator.
struct Chosen {
    /// Fraction bits of the argument.
    argument_bits: i32,
    finish: Box<dyn FnOnce(u32) -> Finish>,
    fraction_bits: i32,
    bound: i64,
    non_negative: bool,
}

impl After {
    /// `most` is the largest number of bits of a quotient or of a table's arguments.
    fn choose(self, bits: u32, most: u32, range: f64) -> Chosen {
        let bits = bits.min(most);
        let activate = |argument_bits: i32, function: Function, fraction_bits: i32| Chosen {
            argument_bits,
            fraction_bits,
            bound: function.values.iter().map(|v| v.abs()).max().unwrap_or(0),
            non_negative: function.values.iter().all(|&v| v >= 0),
            finish: Box::new(move |shift| Finish::Activate { shift, function }),
        };
        let smooth = |kind: &str, bits: u32, output_bits: i32, f: fn(f64) -> f64| {
            let argument_bits = step(bits, range);
            activate(argument_bits, Function::tabulate(kind, bits, argument_bits, output_bits, f), output_bits)
        };
        match self {
            Self::Exact { fraction_bits } | Self::Rounded { fraction_bits } => Chosen {
                argument_bits: fraction_bits,
                finish: Box::new(|_| Finish::Exact),
                fraction_bits,
                bound: i64::MAX,
                non_negative: false,
            },
            Self::Requantize => Self::Quotient { bits: WIDE_BITS }.choose(bits, most, range),
            Self::Quotient { bits } => {
                let bits = bits.min(most);
                let fraction_bits = step(bits, range);
                let finish = Box::new(move |shift| Finish::Requantize { shift, bits });
                let bound = 1 << (bits - 1);
                Chosen { argument_bits: fraction_bits, finish, fraction_bits, bound, non_negative: false }
            }
            Self::Relu => {
                let argument_bits = step(bits, range);
                Chosen {
                    argument_bits,
                    finish: Box::new(move |shift| Finish::Rectify { shift, bits }),
                    fraction_bits: argument_bits,
                    bound: (1 << (bits - 1)) - 1,
                    non_negative: true,
                }
            }
            Self::Sigmoid => smooth("sigmoid", bits, SIGMOID_BITS, sigmoid),
            Self::Tanh => smooth("tanh", (bits + TANH_EXTRA_BITS).min(most), TANH_BITS, f64::tanh),
            Self::Levels { low, high } => Chosen {
                argument_bits: 0,
                finish: Box::new(move |shift| Finish::Saturate { shift, then: Clamped::Levels { low, high } }),
                fraction_bits: 0,
                bound: i64::from(low).abs().max(i64::from(high).abs()).max(1),
                non_negative: low >= 0,
            },
            Self::Table { function, argument_bits, output_bits } => activate(argument_bits, function, output_bits),
        }
    }
}

/// How the product of two sources is brought to [`PRODUCT_BITS`] bits: the finish, fraction bits, bound. With `most`, no
/// product is expected to be larger.
pub(super) fn requantized_product(x: &Source, y: &Source, most: Option<f64>) -> (Finish, i32, i64) {
    let most = most.map(|most| (most * f64::from(x.fraction_bits + y.fraction_bits).exp2()).ceil() as i128);
    let bound = (i128::from(x.bound) * i128::from(y.bound)).min(most.map_or(i128::MAX, |most| most.max(1)));
    let fits = |shift: u32| (bound >> shift) + 1 < 1 << (PRODUCT_BITS - 1);
    let shift = (0..64).find(|&shift| fits(shift)).unwrap_or(64);
    let finish = if shift == 0 { Finish::Exact } else { Finish::Requantize { shift, bits: PRODUCT_BITS } };
    (finish, x.fraction_bits + y.fraction_bits - shift as i32, (bound >> shift) as i64 + 1)
}

impl Quantizer<'_> {
    /// A layer that computes an accumulator and what follows it, for values up to `range`.
    pub(super) fn affine(
        &mut self,
        name: String,
        sum: Accumulator,
        range: f64,
        after: After,
    ) -> Result<Source, ModelError> {
        let (exact, levels) = (matches!(after, After::Exact { .. }), matches!(after, After::Levels { .. }));
        let unrounded = exact || matches!(after, After::Rounded { .. });
        let chosen = after.choose(self.bits_of(&name), self.most_bits(), range);
        let fraction = |product: &Product| product.source.as_ref().map_or(0, |source| source.fraction_bits);
        let levels = levels.then(|| level_bits(&sum));
        let weight_bits: Vec<i32> = sum
            .products
            .iter()
            .map(|product| {
                let most = chosen.argument_bits - fraction(product);
                match levels {
                    Some(scale) => scale - fraction(product),
                    None if exact => exact_weight_bits(most, &product.weights),
                    None => weight_bits(most, &product.weights),
                }
            })
            .collect();
        let scales = sum.products.iter().zip(&weight_bits).map(|(product, bits)| fraction(product) + bits);
        let scale = scales.max().or(levels).unwrap_or(chosen.argument_bits);
        let mut inputs: Vec<LayerRef> = Vec::new();
        let mut terms = Vec::with_capacity(sum.products.len());
        for (product, bits) in sum.products.iter().zip(weight_bits) {
            let operand = operand(product, &mut inputs);
            let weight = self.constants.add(&stack(&product.weights), bits);
            let shift = (scale - fraction(product) - bits) as u32;
            terms.push(Term { operand, taps: product.taps, weight, shift });
        }
        let columns = sum.bias.len();
        let bias = self.constants.add(&FloatMatrix::new(1, columns, sum.bias), scale);
        let finish = (chosen.finish)((scale - chosen.argument_bits) as u32);
        let finish = if self.options.saturate { finish.saturating() } else { finish };
        let Chosen { fraction_bits, bound, non_negative, .. } = chosen;
        let fraction_bits = if unrounded { scale } else { fraction_bits };
        let layer = AnyLayer::Affine(Affine { name, terms, bias, finish, fraction_bits });
        Ok(Source { at: self.push(layer, inputs), fraction_bits, columns, bound, non_negative })
    }
}

/// The left operand of a product; its layer becomes an input.
fn operand(product: &Product, inputs: &mut Vec<LayerRef>) -> Operand {
    let Some(source) = &product.source else { return Operand::Ones };
    let input = inputs.iter().position(|&at| at == source.at).unwrap_or_else(|| {
        inputs.push(source.at);
        inputs.len() - 1
    }) as u32;
    let columns = product.weights[0].rows;
    if columns == source.columns {
        return Operand::Input(input);
    }
    Operand::Columns { input, first: product.first as u32, columns: columns as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_fill_their_width() {
        let source =
            |bound: i64| Source { at: LayerRef::Input, fraction_bits: 5, columns: 1, bound, non_negative: false };
        for (x, y) in [(2047, 2048), (1, 1), (1 << 15, 1 << 15), (127, 200)] {
            let (finish, fraction, bound) = requantized_product(&source(x), &source(y), None);
            let shift = (10 - fraction) as u32;
            assert!(bound < 1 << 13 && (x * y) >> shift < bound, "{x}·{y}: {finish:?}");
            assert!(shift == 0 || (x * y) >> (shift - 1) >= (1 << 13) - 1);
        }
        // Of values up to 3.5, where the factors could make 2^20.
        let (finish, fraction, bound) = requantized_product(&source(1 << 15), &source(1 << 15), Some(3.5));
        assert_eq!((finish, fraction, bound), (Finish::Exact, 10, 3585));
        let (_, fraction, bound) = requantized_product(&source(1 << 15), &source(1 << 15), Some(35.0));
        assert_eq!((fraction, bound), (7, 4481));
    }
}
