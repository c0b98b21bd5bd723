//! The encoder in integers and in floats: weights are drawn, used in floats, rounded and dropped.

use std::error::Error;

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

/// Samples of the recording.
pub const SAMPLES: usize = 16_000;
/// Samples of a row of the input: one step of the first convolution.
pub const STEP: usize = 5;
/// Kernels and strides of the convolutions after the first.
const CONVOLUTIONS: [[usize; 2]; 6] = [[3, 2], [3, 2], [3, 2], [3, 2], [2, 2], [2, 2]];
const CHANNELS: usize = 512;
const WIDTH: usize = 768;
const HEADS: usize = 12;
const HIDDEN: usize = 3072;
/// Layers of the transformer.
pub const LAYERS: usize = 12;
const GROUPS: usize = 16;
const GROUP: usize = WIDTH / GROUPS;
const POSITIONS: usize = 128;
const EPSILON: f64 = 1e-5;

/// Bits of the range table, and what accumulators drop: one remainder.
const SHIFT: i32 = 16;
/// Bits of values that are added to.
const WIDE_BITS: u32 = 16;
/// Fraction bits of samples, of the first weights, and of the factor of the group norm.
const SAMPLE_FRACTION: i32 = 15;
const FIRST_FRACTION: i32 = 11;
const GAIN_BITS: i32 = 38;
/// Bits of that factor.
const FACTOR_BITS: usize = 24;
/// Bits and fraction bits of arguments of GELU, fraction bits of its values.
const GELU_BITS: u32 = 13;
const GELU_FRACTION: i32 = 8;
/// Fraction bits of normalised values, of projected ones, of residual sums, of queries, keys and values.
const NORM_FRACTION: i32 = 8;
const PROJECTED_FRACTION: i32 = 9;
const SUM_FRACTION: i32 = 10;
const QKV_FRACTION: i32 = 7;
/// Bits and fraction bits of a score's distance from the largest, fraction bits of exponentials, bits of reciprocals of
/// their sums.
const SCORE_BITS: u32 = 12;
const SCORE_FRACTION: i32 = 7;
const EXP_FRACTION: u32 = 10;
const RECIPROCAL_BITS: u32 = 21;
const CONTEXT_FRACTION: i32 = QKV_FRACTION + RECIPROCAL_BITS as i32 - SHIFT;

/// Gains that keep values near unit variance: after GELU, where half of the taps see padding, and of attention.
const AFTER_GELU: f64 = 1.5;
const AFTER_PADDING: f64 = 1.6;
const AFTER_ATTENTION: f64 = 2.0;

/// Whatever goes wrong ends the example.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A value in integers and in floats.
#[derive(Clone)]
pub struct Both {
    tensor: TensorId,
    fraction: i32,
    /// The floats.
    pub float: FloatMatrix,
}

impl Both {
    fn value(&self) -> [Value; 1] {
        [Value { tensor: self.tensor, sequences: 1 }]
    }
}

/// The network under construction.
pub struct Encoder {
    /// Its program.
    pub p: ProgramBuilder,
    /// Its weights.
    pub constants: Constants,
    state: u64,
}

fn gelu_of(mut m: FloatMatrix) -> FloatMatrix {
    m.data.iter_mut().for_each(|v| *v = gelu_tanh(*v));
    m
}

fn sum_of(a: &FloatMatrix, b: &FloatMatrix) -> FloatMatrix {
    FloatMatrix::new(a.rows, a.cols, a.data.iter().zip(&b.data).map(|(a, b)| a + b).collect())
}

/// `kernel` rows of `x` side by side, every `stride` rows, from `before` rows of zeros on.
fn patches(x: &FloatMatrix, [kernel, stride]: [usize; 2], before: usize, rows: usize) -> FloatMatrix {
    FloatMatrix::from_fn(rows, kernel * x.cols, |t, i| {
        let row = (t * stride + i / x.cols).checked_sub(before).filter(|&row| row < x.rows);
        row.map_or(0.0, |row| x.row(row)[i % x.cols])
    })
}

/// Weights of `columns` columns a tap as relations take them: every tap begins at a multiple of a power of two.
fn aligned(weight: &FloatMatrix, columns: usize) -> FloatMatrix {
    let (taps, stride) = (weight.rows / columns, columns.next_power_of_two());
    FloatMatrix::from_fn((taps - 1) * stride + columns, weight.cols, |i, n| {
        if i % stride < columns { weight.row(i / stride * columns + i % stride)[n] } else { 0.0 }
    })
}

fn gelu() -> Function {
    Function::tabulate("gelu", GELU_BITS, GELU_FRACTION, GELU_FRACTION, gelu_tanh)
}

impl Encoder {
    /// No network yet, and a seed of all weights.
    pub fn new(seed: u64) -> Self {
        Self { p: ProgramBuilder::new(SHIFT as usize), constants: Constants::default(), state: seed }
    }

    /// 64 bits of a generator (xorshift*).
    pub fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform weights of variance `gain²/rows`.
    fn weights(&mut self, rows: usize, cols: usize, gain: f64) -> FloatMatrix {
        let bound = gain * (3.0 / rows as f64).sqrt();
        FloatMatrix::from_fn(rows, cols, |_, _| ((self.random() >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * bound)
    }

    /// `x·W` with rows as `map` takes them, not rounded: a contraction, with the fraction bits that leave `fraction` after
    /// [`SHIFT`].
    fn contract(&mut self, name: &str, x: View, before: i32, weight: &FloatMatrix, fraction: i32) -> Result<TensorId> {
        let constant = self.constants.add(weight, fraction + SHIFT - before);
        let weight = constant.declare(&mut self.p, &format!("{name}/weight"))?;
        Ok(self.p.contraction(&format!("{name}/product"), x, self.p.whole(weight))?)
    }

    /// The first convolution, its mean over time taken off, divided by its deviation; then GELU.
    fn first(&mut self, samples: &[i16]) -> Result<Both> {
        let (rows, half) = (SAMPLES / STEP, 1i128 << (SHIFT - 1));
        let x = self.p.input("samples", (rows, STEP), -half, half - 1)?;
        self.p.range(self.p.whole(x), -half, SHIFT as usize)?;
        let unit = f64::from(-SAMPLE_FRACTION).exp2();
        let x_float = FloatMatrix::new(rows, STEP, samples.iter().map(|&v| f64::from(v) * unit).collect());
        let weight = self.weights(2 * STEP, CHANNELS, 1.0);
        let out = rows - 1;
        let constant = self.constants.add(&aligned(&weight, STEP), FIRST_FRACTION);
        let constant = constant.declare(&mut self.p, "conv 0/weight")?;
        let lhs = View::rows(x, RowMap::strided(rows, out, 2, 1, 1, 0));
        let acc = self.p.contraction("conv 0/product", lhs, self.p.whole(constant))?;
        let scaled = self.group_norm(acc, out)?;
        let shift = (GAIN_BITS - GELU_FRACTION) as usize;
        let tensor = fixed::activate(&mut self.p, "conv 0/output", scaled, shift, &gelu().table())?;
        let acc = patches(&x_float, [2, 1], 0, out).multiply(&weight);
        let mut float = FloatMatrix::zeros(out, CHANNELS);
        for c in 0..CHANNELS {
            let column: Vec<f64> = (0..out).map(|t| acc.row(t)[c]).collect();
            let mean = column.iter().sum::<f64>() / out as f64;
            let variance = column.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / out as f64;
            (0..out).for_each(|t| float.row_mut(t)[c] = gelu_tanh((column[t] - mean) / (variance + EPSILON).sqrt()));
        }
        Ok(Both { tensor, fraction: GELU_FRACTION, float })
    }

    /// `2^g·(acc − mean) / deviation` per column: `T·deviation = ⌊√(T·Σ acc² − (Σ acc)² + T²·ε)⌋`, the factor
    /// `⌊2^g·T / (T·deviation)⌋`. One row of each, and all have one solution.
    fn group_norm(&mut self, acc: TensorId, rows: usize) -> Result<TensorId> {
        let (p, count) = (&mut self.p, rows as i128);
        let total = |id| View::rows(id, RowMap::sum(rows));
        let every_row = |id| View::rows(id, RowMap::broadcast(rows));
        let sum = p.linear("group norm/sum", vec![(1, total(acc))], 0)?;
        let squares = p.product("group norm/squares", p.whole(acc), p.whole(acc))?;
        let sum_squared = p.product("group norm/squared sum", p.whole(sum), p.whole(sum))?;
        let epsilon = EPSILON * f64::from(2 * (SAMPLE_FRACTION + FIRST_FRACTION)).exp2();
        let terms = vec![(count, total(squares)), (-1, p.whole(sum_squared))];
        let variance = p.linear("group norm/variance", terms, count * count * epsilon.round() as i128)?;
        let bits = p.bounds(variance).1.bits().div_ceil(2) as usize;
        let deviation = fixed::sqrt(p, "group norm/deviation", variance, bits)?;
        let numerator = p.linear("group norm/numerator", vec![(0, p.whole(sum))], count << GAIN_BITS)?;
        let factor = fixed::divide(p, "group norm/factor", numerator, deviation, FACTOR_BITS, bits + 1)?;
        let reciprocal = ((1i128 << 30) + count / 2) / count;
        let scaled = p.linear("group norm/scaled sum", vec![(reciprocal, p.whole(sum))], 0)?;
        let mean_bits = p.bounds(acc).1.bits() as usize + 2;
        let mean = fixed::requantize(p, "group norm/mean", scaled, 30, mean_bits)?;
        let centred = p.linear("group norm/centred", vec![(1, p.whole(acc)), (-1, every_row(mean))], 0)?;
        Ok(p.product("group norm/scaled", p.whole(centred), every_row(factor))?)
    }

    /// A convolution without padding, then GELU.
    fn conv(&mut self, number: usize, x: &Both, [kernel, stride]: [usize; 2]) -> Result<Both> {
        let (name, rows) = (format!("conv {number}"), x.float.rows);
        let out = (rows - kernel) / stride + 1;
        let weight = self.weights(kernel * CHANNELS, CHANNELS, AFTER_GELU);
        let lhs = View::rows(x.tensor, RowMap::strided(rows, out, kernel, stride as i64, 1, 0));
        let acc = self.contract(&name, lhs, x.fraction, &weight, GELU_FRACTION)?;
        let name = format!("{name}/output");
        let tensor = fixed::activate(&mut self.p, &name, acc, SHIFT as usize, &gelu().table())?;
        let float = gelu_of(patches(&x.float, [kernel, stride], 0, out).multiply(&weight));
        Ok(Both { tensor, fraction: GELU_FRACTION, float })
    }

    fn ones(&mut self, rows: usize) -> Constant {
        self.constants.add(&FloatMatrix::from_fn(rows, 1, |_, _| 1.0), 0)
    }

    fn norm(&mut self, name: &str, x: &Both) -> Result<Both> {
        let columns = x.float.cols;
        let layer = LayerNorm {
            name: name.into(),
            ones: self.ones(columns),
            epsilon: LayerNorm::epsilon(EPSILON, columns, x.fraction),
            guard_bits: 0,
            shift: SHIFT as u32,
            bits: WIDE_BITS,
            fraction_bits: NORM_FRACTION,
        };
        let tensor = layer.lower(&mut self.p, &x.value())?.tensor;
        Ok(Both { tensor, fraction: NORM_FRACTION, float: LayerNorm::float(&x.float, EPSILON) })
    }

    /// A dense layer or convolution of few columns.
    fn affine(&mut self, name: String, x: &Both, taps: Taps, weight: &FloatMatrix, finish: Finish) -> Result<TensorId> {
        let fraction = if matches!(finish, Finish::Activate { .. }) { GELU_FRACTION } else { PROJECTED_FRACTION };
        let bits = fraction + SHIFT - x.fraction;
        let weight = self.constants.add(&aligned(weight, x.float.cols), bits);
        let bias = self.constants.add(&FloatMatrix::zeros(1, GROUP), 0);
        let terms = vec![Term { operand: Operand::Input(0), taps, weight, shift: 0 }];
        let layer = Affine { name, terms, bias, finish, fraction_bits: fraction };
        Ok(layer.lower(&mut self.p, &x.value())?.tensor)
    }

    /// The projection and the convolution that tells positions, whose groups are layers of their own; their columns are put
    /// in place by constant matrices, which costs nothing that is committed.
    fn positions(&mut self, x: &Both) -> Result<Both> {
        let (rows, mut terms) = (x.float.rows, Vec::new());
        let mut float = FloatMatrix::zeros(rows, WIDTH);
        for g in 0..GROUPS {
            let weight = self.weights(CHANNELS, GROUP, 1.0);
            let wide = Finish::Requantize { shift: SHIFT as u32, bits: WIDE_BITS };
            let tensor = self.affine(format!("projection {g}"), x, Taps::Same, &weight, wide)?;
            let projected = Both { tensor, fraction: PROJECTED_FRACTION, float: x.float.multiply(&weight) };
            let weight = self.weights(POSITIONS * GROUP, GROUP, AFTER_PADDING);
            let (kernel, pad) = (POSITIONS as u32, POSITIONS as u32 / 2);
            let taps = Taps::Time { kernel, stride: 1, dilation: 1, pad_left: pad, pad_right: pad - 1 };
            let activate = Finish::Activate { shift: SHIFT as u32, function: gelu() };
            let added = self.affine(format!("positions {g}"), &projected, taps, &weight, activate)?;
            let near = patches(&projected.float, [POSITIONS, 1], POSITIONS / 2, rows);
            let sum_float = sum_of(&projected.float, &gelu_of(near.multiply(&weight)));
            let p = &mut self.p;
            let both = vec![(1, p.whole(tensor)), (1 << (PROJECTED_FRACTION - GELU_FRACTION), p.whole(added))];
            let sum = p.linear(&format!("group {g}"), both, 0)?;
            let place = FloatMatrix::from_fn(GROUP, WIDTH, |r, c| f64::from(u8::from(c == g * GROUP + r)));
            let place = self.constants.add(&place, 0).declare(p, &format!("place {g}"))?;
            let placed = p.contraction(&format!("placed {g}"), p.whole(sum), p.whole(place))?;
            terms.push((1, p.whole(placed)));
            for t in 0..rows {
                float.row_mut(t)[g * GROUP..(g + 1) * GROUP].copy_from_slice(sum_float.row(t));
            }
        }
        let sum = self.p.linear("positions/sum", terms, 0)?;
        let shift = (PROJECTED_FRACTION - NORM_FRACTION) as usize;
        let tensor = fixed::requantize(&mut self.p, "positions/output", sum, shift, WIDE_BITS as usize)?;
        Ok(Both { tensor, fraction: NORM_FRACTION, float })
    }

    /// `residual + x·W`, rounded once.
    fn add(&mut self, name: &str, (x, before): (View, i32), weight: &FloatMatrix, residual: &Both) -> Result<TensorId> {
        let product = self.contract(name, x, before, weight, SUM_FRACTION)?;
        let p = &mut self.p;
        let terms =
            vec![(1, p.whole(product)), (1 << (SHIFT + SUM_FRACTION - residual.fraction), p.whole(residual.tensor))];
        let sum = p.linear(&format!("{name}/sum"), terms, 0)?;
        Ok(fixed::requantize(p, &format!("{name}/output"), sum, SHIFT as usize, WIDE_BITS as usize)?)
    }

    fn attention(&mut self, name: &str, x: &Both) -> Result<Both> {
        let weight = self.weights(WIDTH, 3 * WIDTH, 1.0);
        let acc = self.contract(&format!("{name} qkv"), self.p.whole(x.tensor), x.fraction, &weight, QKV_FRACTION)?;
        let (shift, bits) = (SHIFT as usize, WIDE_BITS as usize);
        let qkv = fixed::requantize(&mut self.p, &format!("{name} qkv/output"), acc, shift, bits)?;
        // Scores have twice the fraction bits of their factors, and three more for the root of 64.
        let shift = (2 * QKV_FRACTION + 3 - SCORE_FRACTION) as u32;
        let layer = MultiHeadAttention {
            name: format!("{name} attention"),
            heads: HEADS as u32,
            width: (WIDTH / HEADS) as u32,
            softmax: Softmax::new(shift, SCORE_BITS, SCORE_FRACTION, EXP_FRACTION, RECIPROCAL_BITS),
            ones: self.ones(x.float.rows),
            mask: None,
            shift: SHIFT as u32,
            bits: WIDE_BITS,
            fraction_bits: CONTEXT_FRACTION,
        };
        let attended = layer.lower(&mut self.p, &[Value { tensor: qkv, sequences: 1 }])?.tensor;
        let qkv = x.float.multiply(&weight);
        let part = |at: usize| FloatMatrix::from_fn(qkv.rows, WIDTH, |r, c| qkv.row(r)[at * WIDTH + c]);
        let float = MultiHeadAttention::float([&part(0), &part(1), &part(2)], HEADS, false);
        let weight = self.weights(WIDTH, WIDTH, AFTER_ATTENTION);
        let beside = (View::rows(attended, heads(HEADS, x.float.rows)), CONTEXT_FRACTION);
        let tensor = self.add(&format!("{name} out"), beside, &weight, x)?;
        Ok(Both { tensor, fraction: SUM_FRACTION, float: sum_of(&x.float, &float.multiply(&weight)) })
    }

    fn feed_forward(&mut self, name: &str, x: &Both) -> Result<Both> {
        let weight = self.weights(WIDTH, HIDDEN, 1.0);
        let acc = self.contract(&format!("{name} up"), self.p.whole(x.tensor), x.fraction, &weight, GELU_FRACTION)?;
        let up = format!("{name} up/output");
        let hidden = fixed::activate(&mut self.p, &up, acc, SHIFT as usize, &gelu().table())?;
        let float = gelu_of(x.float.multiply(&weight));
        let weight = self.weights(HIDDEN, WIDTH, AFTER_GELU);
        let hidden = (self.p.whole(hidden), GELU_FRACTION);
        let tensor = self.add(&format!("{name} down"), hidden, &weight, x)?;
        Ok(Both { tensor, fraction: SUM_FRACTION, float: sum_of(&x.float, &float.multiply(&weight)) })
    }

    /// The whole encoder, of this many layers; its output is public.
    pub fn build(&mut self, samples: &[i16], layers: usize) -> Result<Both> {
        let mut x = self.first(samples)?;
        for (i, conv) in CONVOLUTIONS.into_iter().enumerate() {
            x = self.conv(i + 1, &x, conv)?;
        }
        x = self.norm("first norm", &x)?;
        x = self.positions(&x)?;
        x = self.norm("second norm", &x)?;
        for i in 0..layers {
            let name = format!("layer {i}");
            x = self.attention(&name, &x)?;
            x = self.norm(&format!("{name} first norm"), &x)?;
            x = self.feed_forward(&name, &x)?;
            x = self.norm(&format!("{name} second norm"), &x)?;
        }
        self.p.output(x.tensor);
        Ok(x)
    }
}
