//! `gpt2-layer-128`: one layer of GPT-2 small with seeded random weights, on 128 seeded rows.
//!
//! ```text
//! y = x + attention(norm(x)·W_qkv)·W_o         12 heads of 64, causal
//! z = y + gelu(norm(y)·W_1)·W_2                768 to 3072 and back
//! ```
//!
//! Factors and offsets of the norms are those of a new network, one and zero.

use voxcheck::error::ModelError;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::TensorId;
use voxcheck::gkr::view::{RowMap, View};
use voxcheck::layers::affine::{Affine, Finish, Function, Operand, Taps, Term};
use voxcheck::layers::fixed;
use voxcheck::layers::gelu::gelu_tanh;
use voxcheck::layers::layer_norm::LayerNorm;
use voxcheck::layers::lowering::{Constant, Layer, Value};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::multi_head::{MultiHeadAttention, heads};
use voxcheck::layers::quantize::Constants;
use voxcheck::layers::softmax::Softmax;
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::super::tensor_program::TensorProgram;
use super::super::{Prepared, Random, Skip, Workload};
use crate::cli::error::CliError;

const ROWS: usize = 128;
const WIDTH: usize = 768;
const HEADS: usize = 12;
const HEAD: usize = WIDTH / HEADS;
const HIDDEN: usize = 3072;
const EPSILON: f64 = 1e-5;

/// Bits of the range table: what a remainder drops.
const RANGE_BITS: usize = 16;
/// Bits of values that are added to: input, residual sums, output.
const WIDE_BITS: u32 = 16;
/// Fraction bits of those.
const WIDE_FRACTION: i32 = 11;
/// Fraction bits of normalised values.
const NORM_FRACTION: i32 = 6;
/// Fraction bits of queries, keys and values.
const QKV_FRACTION: i32 = 6;
/// Bits and fraction bits of a score's distance from the largest, fraction bits of exponentials, bits of reciprocals
/// of their sums.
const SCORE_BITS: u32 = 12;
const SCORE_FRACTION: i32 = 7;
const EXP_FRACTION: u32 = 10;
const RECIPROCAL_BITS: u32 = 21;
/// Fraction bits of what a head gives, where 16 bits are dropped from sums of values times reciprocals.
const CONTEXT_FRACTION: i32 = QKV_FRACTION + RECIPROCAL_BITS as i32 - SHIFT;
/// Bits and fraction bits of arguments of GELU, fraction bits of its values.
const GELU_BITS: u32 = 10;
const GELU_FRACTION: i32 = 6;
/// Bits that accumulators drop: one remainder, and for the last ones as many as leave 16 bits for weights.
const SHIFT: i32 = 16;
const LAST_SHIFT: i32 = 14;

/// The workload.
pub struct Gpt2Layer;

/// The weights of a layer.
struct Weights {
    qkv: FloatMatrix,
    out: FloatMatrix,
    up: FloatMatrix,
    down: FloatMatrix,
}

/// The integers that stand for [`Weights`], and those that stand for nothing else than themselves.
struct IntegerWeights {
    qkv: [Constant; 2],
    out: [Constant; 2],
    up: [Constant; 2],
    down: [Constant; 2],
    ones: Constant,
    mask: Constant,
}

impl Weights {
    /// Uniform weights: normalised rows give queries, keys, values and arguments of GELU of variance 1, and each branch
    /// adds as much as there is.
    fn seeded() -> Self {
        let mut random = Random::new(8);
        let mut matrix = |rows: usize, cols: usize, gain: f64| {
            let bound = gain * (3.0 / rows as f64).sqrt();
            FloatMatrix::from_fn(rows, cols, |_, _| ((random.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * bound)
        };
        Self {
            qkv: matrix(WIDTH, 3 * WIDTH, 1.0),
            out: matrix(WIDTH, WIDTH, 2.0),
            up: matrix(WIDTH, HIDDEN, 1.0),
            down: matrix(HIDDEN, WIDTH, 1.5),
        }
    }

    /// The layer in floats.
    #[cfg(test)]
    fn float(&self, x: &FloatMatrix) -> FloatMatrix {
        let add =
            |a: &FloatMatrix, b: &FloatMatrix| FloatMatrix::from_fn(a.rows, a.cols, |r, c| a.row(r)[c] + b.row(r)[c]);
        let qkv = LayerNorm::float(x, EPSILON).multiply(&self.qkv);
        let part = |at: usize| FloatMatrix::from_fn(x.rows, WIDTH, |r, c| qkv.row(r)[at * WIDTH + c]);
        let attended = MultiHeadAttention::float([&part(0), &part(1), &part(2)], HEADS, true);
        let y = add(x, &attended.multiply(&self.out));
        let mut hidden = LayerNorm::float(&y, EPSILON).multiply(&self.up);
        hidden.data.iter_mut().for_each(|v| *v = gelu_tanh(*v));
        add(&y, &hidden.multiply(&self.down))
    }

    fn quantize(&self, constants: &mut Constants) -> IntegerWeights {
        // From and to these fraction bits, where that many bits are dropped.
        let mut dense = |weight: &FloatMatrix, [before, after, shift]: [i32; 3]| {
            let fraction = after + shift - before;
            let bias = FloatMatrix::zeros(1, weight.cols);
            [constants.add(weight, fraction), constants.add(&bias, before + fraction)]
        };
        IntegerWeights {
            qkv: dense(&self.qkv, [NORM_FRACTION, QKV_FRACTION, SHIFT]),
            out: dense(&self.out, [CONTEXT_FRACTION, WIDE_FRACTION, SHIFT]),
            up: dense(&self.up, [NORM_FRACTION, GELU_FRACTION, SHIFT]),
            down: dense(&self.down, [GELU_FRACTION, WIDE_FRACTION, LAST_SHIFT]),
            ones: constants.add(&FloatMatrix::from_fn(WIDTH, 1, |_, _| 1.0), 0),
            mask: constants.add(&MultiHeadAttention::causal_mask(ROWS), 0),
        }
    }
}

impl IntegerWeights {
    fn norm(&self, name: &str) -> LayerNorm {
        LayerNorm {
            name: name.into(),
            ones: self.ones,
            epsilon: LayerNorm::epsilon(EPSILON, WIDTH, WIDE_FRACTION),
            guard_bits: 0,
            shift: SHIFT as u32,
            bits: WIDE_BITS,
            fraction_bits: NORM_FRACTION,
        }
    }

    fn attention(&self) -> MultiHeadAttention {
        // Scores have twice the fraction bits of their factors, and three more for the root of 64.
        let shift = (2 * QKV_FRACTION + 3 - SCORE_FRACTION) as u32;
        let softmax = Softmax::new(shift, SCORE_BITS, SCORE_FRACTION, EXP_FRACTION, RECIPROCAL_BITS);
        MultiHeadAttention {
            name: "attention".into(),
            heads: HEADS as u32,
            width: HEAD as u32,
            softmax,
            ones: self.ones,
            mask: Some(self.mask),
            shift: SHIFT as u32,
            bits: WIDE_BITS,
            fraction_bits: CONTEXT_FRACTION,
        }
    }

    fn dense(name: &str, [weight, bias]: [Constant; 2], finish: Finish, fraction_bits: i32) -> Affine {
        let terms = vec![Term { operand: Operand::Input(0), taps: Taps::Same, weight, shift: 0 }];
        Affine { name: name.into(), terms, bias, finish, fraction_bits }
    }

    /// `residual + (x·W + b) / 2^shift`, rounded once: the residual is scaled up and added to the accumulator.
    fn add(
        p: &mut ProgramBuilder,
        name: &str,
        x: View,
        ([weight, bias], shift): ([Constant; 2], i32),
        residual: TensorId,
    ) -> Result<TensorId, ModelError> {
        let weight = weight.declare(p, &format!("{name}/weight"))?;
        let bias = bias.declare(p, &format!("{name}/bias"))?;
        let product = p.contraction(&format!("{name}/product"), x, p.whole(weight))?;
        let bias = View::rows(bias, RowMap::broadcast(ROWS));
        let terms = vec![(1, p.whole(product)), (1, bias), (1 << shift, p.whole(residual))];
        let sum = p.linear(&format!("{name}/sum"), terms, 0)?;
        Ok(fixed::requantize(p, &format!("{name}/output"), sum, shift as usize, WIDE_BITS as usize)?)
    }

    fn lower(&self, p: &mut ProgramBuilder, x: TensorId) -> Result<TensorId, ModelError> {
        let value = |tensor| [Value { tensor, sequences: 1 }];
        let wide = Finish::Requantize { shift: SHIFT as u32, bits: WIDE_BITS };
        let normed = self.norm("first norm").lower(p, &value(x))?;
        let qkv = Self::dense("qkv", self.qkv, wide, QKV_FRACTION).lower(p, &[normed])?;
        let attended = self.attention().lower(p, &[qkv])?.tensor;
        let y = Self::add(p, "attention output", View::rows(attended, heads(HEADS, ROWS)), (self.out, SHIFT), x)?;
        let normed = self.norm("second norm").lower(p, &value(y))?;
        let function = Function::tabulate("gelu", GELU_BITS, GELU_FRACTION, GELU_FRACTION, gelu_tanh);
        let gelu = Finish::Activate { shift: SHIFT as u32, function };
        let hidden = Self::dense("up", self.up, gelu, GELU_FRACTION).lower(p, &[normed])?;
        Self::add(p, "down", p.whole(hidden.tensor), (self.down, LAST_SHIFT), y)
    }
}

/// Seeded values within `[−4, 4)`.
fn input(seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    (0..ROWS * WIDTH).map(|_| (random.next() >> 48) as i16 / 4).collect()
}

fn program(weights: &Weights) -> Result<(ProgramBuilder, Vec<IntTable>), ModelError> {
    let mut constants = Constants::default();
    let weights = weights.quantize(&mut constants);
    let mut p = ProgramBuilder::new(RANGE_BITS);
    let half = 1i128 << (RANGE_BITS - 1);
    let x = p.input("input", (ROWS, WIDTH), -half, half - 1)?;
    p.range(p.whole(x), -half, RANGE_BITS)?;
    let output = weights.lower(&mut p, x)?;
    p.output(output);
    Ok((p, constants.into_tables()))
}

impl Workload for Gpt2Layer {
    fn name(&self) -> &'static str {
        "gpt2-layer-128"
    }

    fn about(&self) -> &'static str {
        "one layer of GPT-2 small on 128 rows of 768: layer norm, 12 causal heads of 64, residual sum, layer norm, 768-3072-768 with GELU (tanh), residual sum (7.1 M weights)"
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let lowered = program(&Weights::seeded()).map_err(|error| CliError::internal(format!("bench: {error}")))?;
        let table = IntTable::new(ROWS, WIDTH, IntVec::I16(input(9)));
        Ok(Box::new(TensorProgram::new(lowered.0, vec![table], lowered.1)?))
    }
}

#[cfg(test)]
mod tests {
    use voxcheck::cost::Sizes;
    use voxcheck::proof::Mode;

    use super::super::tests::cosine;
    use super::*;

    #[test]
    fn the_layer_is_accurate_and_proved() {
        let weights = Weights::seeded();
        let count = [&weights.qkv, &weights.out, &weights.up, &weights.down].map(|m| m.data.len());
        assert_eq!(count.iter().sum::<usize>(), 12 * WIDTH * WIDTH);
        let unit = f64::from(-WIDE_FRACTION).exp2();
        let x = FloatMatrix::new(ROWS, WIDTH, input(9).iter().map(|&v| f64::from(v) * unit).collect());
        let exact = weights.float(&x);
        let (builder, constants) = program(&weights).unwrap();
        let table = IntTable::new(ROWS, WIDTH, IntVec::I16(input(9)));
        let program = TensorProgram::new(builder, vec![table], constants).unwrap();
        let Sizes { lookups, committed_values, .. } = Sizes::new(program.program());
        assert!(lookups <= 3_300_000 && committed_values <= 3_200_000, "{lookups}, {committed_values}");
        let proved = program.prove(Mode::Zk).unwrap();
        let integer: Vec<f64> = proved.outputs[0].values().iter().map(|v| v as f64).collect();
        assert!(cosine(&integer, &exact.data) >= 0.9999, "cosine {}", cosine(&integer, &exact.data));
        // Not because of the residual sums: what the layer adds is as close.
        let added = |layer: &[f64]| -> Vec<f64> { layer.iter().zip(&x.data).map(|(y, x)| y - x).collect() };
        let integer: Vec<f64> = integer.iter().map(|v| v * unit).collect();
        let found = cosine(&added(&integer), &added(&exact.data));
        println!("{lookups} lookups, {committed_values} committed, added cosine {found}");
        assert!(found >= 0.9999, "cosine {found}");
        program.verify(Mode::Zk, &proved.outputs, &proved.bytes).unwrap();
    }
}
