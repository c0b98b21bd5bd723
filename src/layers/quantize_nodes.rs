//! Quantization of operations that are not linear: products, patches, recurrences, norms.

use super::affine::Taps;
use super::energy::{LogEnergy, Power};
use super::gate::Gate;
use super::hypot::Hypot;
use super::linear_form::{Accumulator, Columns, Part, Product, Source};
use super::logarithm::LogTables;
use super::lowering::AnyLayer;
use super::matrix::FloatMatrix;
use super::max_pool::{MaxPool, PaddedMaxPool};
use super::network::{MaxPool2d, NodeRef, Op};
use super::norm::{Normalize, NormalizeSigned};
use super::quantize::Quantizer;
use super::quantize_affine::{After, requantized_product};
use super::quantize_recurrent as recurrent;
use super::quantize_weights::{MARGIN, exact_weight_bits};
use super::sequences::Sequences;
use crate::error::ModelError;

/// Bits by which a norm is computed more finely than its input.
const GUARD_BITS: u32 = 8;
/// How far beyond the largest factor seen one may lie.
const LIKELY: f64 = 8.0;
/// How much larger than what was seen a product may be expected to be.
const WASTE: f64 = 16.0;
/// Bits of the parts of a magnitude.
const PART_BITS: u32 = 15;
/// Bits of weights that exact parts are computed with, and of the largest magnitude of such.
const EXACT_PART_BITS: i32 = 13;
const EXACT_MAGNITUDE_BITS: u32 = 38;
/// Fraction bits of unit vectors.
const UNIT_BITS: i32 = 14;

/// Fraction bits of the weights that energies are summed with, of their logarithms, and bits of the mantissa of these.
const ENERGY_WEIGHT_BITS: i32 = 14;
const ENERGY_LOG_BITS: i32 = 12;
const ENERGY_MANTISSA_BITS: i32 = 12;
/// Longest shift of a logarithm's argument, and its bits after it, within what the logarithm takes.
const LONGEST_SHIFT: i32 = 70;
const TOP_BITS: i32 = 118;

/// Fraction bits of both parts of a magnitude as exact accumulators, and the largest magnitude; none if they have other
/// scales, or are too wide. Quiet frequencies beside loud ones need them: what follows may be a network that hears both.
fn exact_parts(sums: &[Accumulator; 2]) -> Option<(i32, i64)> {
    let products = || sums.iter().flat_map(|sum| &sum.products);
    let fraction = |product: &Product| product.source.as_ref().map_or(0, |source| source.fraction_bits);
    let fraction_bits = products().map(fraction).max()? + EXACT_PART_BITS;
    let fits = |product: &Product| {
        let most = fraction_bits - fraction(product);
        exact_weight_bits(most, &product.weights) == most
    };
    let [a, b] = [0, 1].map(|part| sums[part].largest());
    let largest = (a.hypot(b) * f64::from(fraction_bits).exp2()).ceil() + 1.0;
    let narrow = largest < f64::from(EXACT_MAGNITUDE_BITS).exp2();
    (products().all(fits) && narrow && sums.iter().all(|sum| !sum.products.is_empty()))
        .then_some((fraction_bits, largest as i64))
}

/// The largest product of a value and a gate that their bounds allow.
fn largest_product(value: &Columns, gate: &Source) -> f64 {
    let largest = |source: &Source| source.bound as f64 * f64::from(-source.fraction_bits).exp2();
    let most = |factors: &[f64]| factors.iter().fold(0.0, |most: f64, factor| most.max(factor.abs()));
    let parts: f64 = value.parts.iter().map(|part| most(&part.scale) * largest(&part.source)).sum();
    (parts + most(&value.shift)) * largest(gate)
}

impl Quantizer<'_> {
    /// `(a·z + s)∘g = a·(z∘g) + s·g`: one product a source, and the gate itself.
    pub(super) fn multiply(&mut self, at: usize, name: String) -> Result<Columns, ModelError> {
        let [left, right] = self.network.nodes[at].inputs[..] else { return Err(self.no_inputs(at)) };
        let (left_value, right_value) = (self.columns(left)?, self.columns(right)?);
        let (factor, mut value, by, gate) = match (left_value.plain(), right_value.plain()) {
            (_, Some(gate)) => (left, left_value.clone(), right, gate.clone()),
            (Some(gate), None) => (right, right_value, left, gate.clone()),
            (None, None) => (left, left_value, right, self.requantized(right, &right_value)?),
        };
        let gate = self.likely(gate, by);
        // A product a source: of more than two, their sum is cheaper.
        if value.parts.len() > 2 || value.parts.iter().any(|part| !part.is_whole(value.len())) {
            value = Columns::of(self.requantized(factor, &value)?);
        }
        let seen = self.ranges.of(NodeRef::Node(at));
        let mut most = None;
        if largest_product(&value, &gate) > WASTE * seen {
            // Normalisation multiplies large values with small factors and the other way round.
            value = Columns::of(self.requantized(factor, &value)?);
            most = Some(MARGIN * seen);
        }
        value = self.offset(&name, value);
        let mut product = Columns { parts: Vec::new(), shift: vec![0.0; value.len()] };
        for part in value.parts {
            let (finish, fraction_bits, bound) = requantized_product(&part.source, &gate, most);
            let non_negative = part.source.non_negative && gate.non_negative;
            let layer = AnyLayer::Gate(Gate { name: name.clone(), finish, fraction_bits });
            let source = Source {
                at: self.push(layer, vec![part.source.at, gate.at]),
                fraction_bits,
                bound,
                non_negative,
                columns: part.source.columns,
            };
            product.push(Part { source, ..part });
        }
        if value.shift.iter().any(|&s| s != 0.0) {
            product.push(Part { source: gate, first: 0, at: 0, scale: value.shift });
        }
        Ok(product)
    }

    /// A factor with the bound that its product is rounded for: tables of functions with a pole, such as reciprocals,
    /// hold values far beyond those that were seen. A product of one of these cannot be proved.
    fn likely(&self, source: Source, node: NodeRef) -> Source {
        let seen = (LIKELY * self.ranges.of(node) * f64::from(source.fraction_bits).exp2()).ceil() as i64;
        Source { bound: source.bound.min(seen.max(1)), ..source }
    }

    /// Both parts as integers of one scale: exact accumulators, which cost nothing to commit to and no lookup, where these
    /// are of one scale and not too wide, otherwise quotients of [`PART_BITS`].
    pub(super) fn of_two_parts(&mut self, at: usize, name: String) -> Result<Columns, ModelError> {
        let [first, second] = self.network.nodes[at].inputs[..] else { return Err(self.no_inputs(at)) };
        let range = self.ranges.of(first).max(self.ranges.of(second));
        let sums = [self.accumulator(first, String::new())?.1, self.accumulator(second, String::new())?.1];
        let exact = exact_parts(&sums);
        let bound = exact.map_or(1 << PART_BITS, |(_, bound)| bound);
        let mut parts = Vec::with_capacity(2);
        for (part, sum) in ["first", "second"].into_iter().zip(sums) {
            let after = match exact {
                Some((fraction_bits, _)) => After::Exact { fraction_bits },
                None => After::Quotient { bits: PART_BITS },
            };
            parts.push(self.affine(format!("{name}.{part}"), sum, range, after)?);
        }
        let inputs = parts.iter().map(|part| part.at).collect();
        let (fraction_bits, columns) = (parts[0].fraction_bits, parts[0].columns);
        let (layer, fraction_bits, bound) = match self.network.nodes[at].op {
            Op::Power => {
                let fraction_bits = 2 * fraction_bits;
                (
                    AnyLayer::Power(Power { name, fraction_bits }),
                    fraction_bits,
                    bound.saturating_mul(bound.saturating_mul(2)),
                )
            }
            _ => (AnyLayer::Hypot(Hypot { name, fraction_bits }), fraction_bits, bound),
        };
        let at = self.push(layer, inputs);
        Ok(Columns::of(Source { at, fraction_bits, columns, bound, non_negative: true }))
    }

    /// `ln(x + floor) = ln(c·x + 2^−e) − ln c` with `c = 2^−e/floor`, and likewise for `max(x, floor)`: a floor that is a power of
    /// two is an integer.
    pub(super) fn log_energy(
        &mut self,
        at: usize,
        name: String,
        input: NodeRef,
        (floor, least): (f64, bool),
    ) -> Result<Columns, ModelError> {
        let (sum_name, sum) = self.accumulator(input, format!("{name}.sum"))?;
        let floor_bits = (-floor.log2()).round() as i32;
        let factor = f64::from(-floor_bits).exp2() / floor;
        let range = factor * self.ranges.of(input).max(floor);
        let columns = sum.bias.len();
        let added = if least { 0.0 } else { f64::from(-floor_bits).exp2() };
        let sum = sum.affine(&vec![factor; columns], &vec![added; columns]);
        let fraction = sum.products.iter().filter_map(|product| product.source.as_ref()).map(|s| s.fraction_bits).max();
        let fraction_bits = fraction.unwrap_or(0) + ENERGY_WEIGHT_BITS;
        let source = self.affine(sum_name, sum, range, After::Exact { fraction_bits })?;
        let (scale, largest) = (source.fraction_bits, (MARGIN * range).log2().ceil() as i32 + 1);
        let floor = scale - floor_bits;
        // The floor has a mantissa, and all arguments are within the program's integers.
        let top = (largest + scale).max(floor + ENERGY_MANTISSA_BITS);
        if floor < 1 || top - floor > LONGEST_SHIFT || top > TOP_BITS {
            return Err(self.no_integer_form(at, "of energies of so wide a range", "make the floor larger"));
        }
        let [shift, mantissa, scale] = [top - floor, ENERGY_MANTISSA_BITS, scale].map(|n| n as usize);
        let tables = LogTables::new(top as usize, shift, mantissa, scale, ENERGY_LOG_BITS as usize);
        let one = f64::from(ENERGY_LOG_BITS).exp2();
        let smallest = -f64::from(floor_bits) * std::f64::consts::LN_2;
        let tables = if least { tables.with_least((one * smallest).round() as i64) } else { tables };
        let most = smallest.abs().max(f64::from(largest) * std::f64::consts::LN_2) + 1.0;
        let layer = LogEnergy { name, tables, fraction_bits: ENERGY_LOG_BITS };
        let at = self.push(AnyLayer::LogEnergy(layer), vec![source.at]);
        let bound = (most * one).ceil() as i64;
        let source = Source { at, fraction_bits: ENERGY_LOG_BITS, columns, bound, non_negative: false };
        Ok(Columns::of(source).affine(&vec![1.0; columns], &vec![-factor.ln(); columns]))
    }

    pub(super) fn max_pool(&mut self, at: usize, name: String, pool: &MaxPool2d) -> Result<Columns, ModelError> {
        let [kernel, stride] = [pool.kernel, pool.stride].map(|pair| pair.map(|x| x as u32));
        let (padded, padding) = (pool.padding != [0; 4], pool.padding.map(|x| x as u32));
        let taps = match pool.image {
            [height, width] if height > 0 => {
                Taps::Image { image: [height as u32, width as u32], kernel, stride, padding }
            }
            [_, width] => Taps::Grid { width: width as u32, kernel, stride, dilation: [1, 1], padding },
        };
        let (mut source, scale) = self.scaled_source(self.input_of(at))?;
        // Zeros around the image lose to values that are never negative: others are lifted first.
        let lift = if padded && !source.non_negative { source.bound } else { 0 };
        if lift > 0 {
            source = self.lifted(&name, source, lift)?;
        }
        let (bits, fraction_bits) = (i64::BITS - source.bound.leading_zeros() + 1, source.fraction_bits);
        let layer = MaxPool { name, taps, bits, fraction_bits };
        let layer = if padded { AnyLayer::PaddedMaxPool(PaddedMaxPool(layer)) } else { AnyLayer::MaxPool(layer) };
        let pooled = Columns::of(Source { at: self.push(layer, vec![source.at]), ..source.clone() });
        let down = -(lift as f64) * f64::from(-source.fraction_bits).exp2();
        Ok(pooled.affine(&vec![scale; source.columns], &vec![scale * down; source.columns]))
    }

    pub(super) fn recurrent(&mut self, at: usize, name: String, input: NodeRef) -> Result<Columns, ModelError> {
        let source = self.plain(input)?;
        // Gates of any range have tables that are clamped to.
        let gates = if self.options.saturate { f64::INFINITY } else { self.ranges.gates[at] };
        let cells = self.ranges.cells.get(at).copied().unwrap_or(0.0);
        let carried = self.network.nodes[at].op.carries_state();
        let names = [format!("{name}.chunks"), format!("{name}.states")];
        let (layer, columns, bits) = match &self.network.nodes[at].op {
            Op::Lstm(lstm) => {
                let layer = recurrent::lstm(name, lstm, source.fraction_bits, [gates, cells], self.constants);
                let bits = layer.gate_bits;
                let layer = match &lstm.initial {
                    None => AnyLayer::Lstm(layer),
                    Some(states) => AnyLayer::LstmFrom(recurrent::lstm_from(layer, states, self.constants)),
                };
                (layer, lstm.hidden, bits)
            }
            Op::Gru(gru) => {
                let layer = recurrent::gru(name, gru, source.fraction_bits, gates, self.constants);
                let bits = layer.gate_bits;
                let layer = match &gru.initial {
                    None => AnyLayer::Gru(layer),
                    Some(state) => AnyLayer::GruFrom(recurrent::gru_from(layer, state, self.constants)),
                };
                (layer, gru.hidden, bits)
            }
            _ => return Err(self.no_integer_form(at, "as a recurrence", "use an LSTM or GRU")),
        };
        let (bound, fraction_bits) = (1 << bits, bits as i32);
        let at = if carried {
            let [chunks, states] = names;
            let joined = Sequences { name: chunks, fraction_bits: source.fraction_bits };
            let joined = self.push(AnyLayer::Sequences(joined), vec![source.at]);
            let all = self.push(layer, vec![joined]);
            self.push(AnyLayer::Sequences(Sequences { name: states, fraction_bits }), vec![all, source.at])
        } else {
            self.push(layer, vec![source.at])
        };
        Ok(Columns::of(Source { at, fraction_bits, columns, bound, non_negative: false }))
    }

    pub(super) fn normalize(&mut self, at: usize, name: String, input: NodeRef) -> Result<Columns, ModelError> {
        if !self.options.average && at + 1 == self.network.nodes.len() {
            // A cosine does not see the length: the last normalisation of a single sequence is left out.
            return self.columns(input);
        }
        let source = self.plain(input)?;
        let ones = self.constants.add(&FloatMatrix::from_fn(source.columns, 1, |_, _| 1.0), 0);
        let layer = Normalize { name, ones, guard_bits: GUARD_BITS, fraction_bits: UNIT_BITS };
        let layer = match source.non_negative {
            true => AnyLayer::Normalize(layer),
            false => AnyLayer::NormalizeSigned(NormalizeSigned(layer)),
        };
        let at = self.push(layer, vec![source.at]);
        Ok(Columns::of(Source { at, fraction_bits: UNIT_BITS, bound: 1 << UNIT_BITS, ..source }))
    }
}
