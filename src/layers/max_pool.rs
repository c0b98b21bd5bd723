//! Max pooling: the largest value of every patch of an image whose rows are pixels.
//!
//! ```text
//! d[κ, o] = m[o] − x[source(o, κ)] ∈ [0, 2^b)         Π_κ d[κ, o] = 0
//! ```
//!
//! `m` is at least every value of its patch, and the product says that it is one of them: both hold for the
//! largest value only. Nothing says which one it is, so equal values leave no choice.
//!
//! After a convolution the rounded quotients `y = ⌊(x + 2^(s−1)) / 2^s⌋` of its accumulators `x`, their maximum and
//! the ReLU are shown together by [`ReluMaxPool`], and no quotient is committed but as its distance from the maximum:
//!
//! ```text
//! x[source(o, κ)] + 2^(s−1) − 2^s·(z[o] − e[κ, o]) ∈ [0, 2^s)      so z − e is the quotient y, which is unique
//! z[o] ≥ 0,  e[κ, o] ≥ 0,  z[o]·Π_κ e[κ, o] = 0                     so z = max(0, y[κ, o] over κ)
//! ```
//!
//! That takes `2 + 1/k` lookups and `1 + 1/k` commitments a value in patches of `k`; quotients and a table of the
//! ReLU before the maximum take three and `2 + 1/k`.
//!
//! Patches have no padding. Rows and columns beyond the real ones are in no lookup, and zero in every product: they
//! have no weight in a claim on what is defined here.

use serde::{Deserialize, Serialize};

use super::affine::{Affine, Finish, Taps};
use super::fixed;
use super::lowering::{AnyLayer, Layer, LayerRef, Placed, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::view::{NONE, RowMap, SourceAxis, View};
use crate::sumcheck::int::IntTable;

/// Most bits of a product that is computed: a sign less than the trace's integers have.
const PRODUCT_BITS: usize = 126;
/// Most factors: with 16 bits each, and a sign, below what programs admit.
const MAX_FACTORS: usize = 11;

/// The values of all patches, block after block: row `κ·rows + o` is tap `κ` of patch `o`.
pub(super) struct Patches {
    /// From such a row to the row of the image.
    pub(super) map: RowMap,
    pub(super) count: usize,
    pub(super) rows: usize,
}

impl Patches {
    /// The patches of an input.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if the taps do not fit, or reach beyond the image: they may come from a file.
    pub(super) fn new(p: &ProgramBuilder, name: &str, taps: &Taps, input: Value) -> Result<Self, ModelError> {
        let patches = Self::padded(p, name, taps, input)?;
        if patches.map.sources(0).contains(&NONE) {
            return Err(ModelError::Shape {
                layer: name.to_owned(),
                expected: "patches inside of the image".into(),
                found: "max pooling with padding".into(),
            });
        }
        Ok(patches)
    }

    /// The patches of an input, where what lies beyond the image is zero.
    fn padded(p: &ProgramBuilder, name: &str, taps: &Taps, input: Value) -> Result<Self, ModelError> {
        let map = taps.row_map(name, input.sequences, input.length(p))?;
        let source = map.source.iter().map(|axis| SourceAxis {
            out_strides: axis.tap_strides.iter().chain(&axis.out_strides).copied().collect(),
            tap_strides: vec![0],
            ..axis.clone()
        });
        let blocks =
            RowMap { out: map.taps.iter().chain(&map.out).copied().collect(), taps: vec![1], source: source.collect() };
        Ok(Self { map: blocks, count: map.num_taps(), rows: map.out_rows() })
    }

    /// The values of the patches.
    pub(super) fn gather(&self, x: TensorId) -> View {
        View::rows(x, self.map.clone())
    }

    /// Every block is a copy of the tensor.
    pub(super) fn repeat(&self, x: TensorId) -> View {
        let axis = SourceAxis { len: self.rows as u32, offset: 0, out_strides: vec![0, 1], tap_strides: vec![0] };
        View::rows(x, RowMap { out: vec![self.count as u32, self.rows as u32], taps: vec![1], source: vec![axis] })
    }

    /// One block.
    fn block(&self, blocks: TensorId, tap: usize) -> View {
        View::rows(blocks, RowMap::slice(self.count * self.rows, (tap * self.rows) as i64, self.rows))
    }

    /// Shows that the product of all blocks and `others` is zero, patch by patch.
    fn zero_product(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        blocks: TensorId,
        others: Option<TensorId>,
    ) -> Result<(), ProgramError> {
        let mut factors: Vec<View> = (0..self.count).map(|tap| self.block(blocks, tap)).collect();
        factors.extend(others.map(|id| p.whole(id)));
        while factors.len() > 1 {
            let mut next = Vec::with_capacity(factors.len().div_ceil(2));
            for pair in factors.chunks(2) {
                next.push(match pair {
                    [a, b] => {
                        let product = p.product(&format!("{name}: product"), a.clone(), b.clone())?;
                        p.whole(product)
                    }
                    _ => pair[0].clone(),
                });
            }
            factors = next;
        }
        let product = p.linear(&format!("{name}: zero"), vec![(1, factors.remove(0))], 0)?;
        p.zero(product);
        Ok(())
    }
}

/// The largest of `f(value)` in every patch, column by column, and `least`.
pub(super) fn largest(
    x: &IntTable,
    sources: &[u32],
    (count, rows): (usize, usize),
    least: i128,
    f: impl Fn(i128) -> i128,
) -> Vec<i128> {
    let cols = x.cols();
    let mut out = vec![least; rows * cols];
    for (i, &source) in sources.iter().enumerate().take(count * rows) {
        let out = &mut out[i % rows * cols..][..cols];
        let value = |c: usize| if source == NONE { 0 } else { x.get(source as usize, c) };
        out.iter_mut().enumerate().for_each(|(c, out)| *out = (*out).max(f(value(c))));
    }
    out
}

/// The largest value of every patch of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool {
    /// Name.
    pub name: String,
    /// The patches, as [`Taps::Image`] without padding.
    pub taps: Taps,
    /// Bits of the input, its sign included.
    pub bits: u32,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl MaxPool {
    /// The patches as they are, or first along the rows and then along the columns of the image where their
    /// values have too wide a product.
    fn stages(&self) -> Vec<Taps> {
        if let Taps::Grid { width, kernel: [down, across], stride: [below, right], dilation: [1, 1], padding } =
            self.taps
        {
            return self.grid_stages(width, [down, across], [below, right], padding);
        }
        let Taps::Image { image: [h, w], kernel: [down, across], stride: [below, right], padding } = self.taps else {
            return vec![self.taps];
        };
        let taps = u64::from(down) * u64::from(across);
        let fits = taps <= MAX_FACTORS as u64 && taps * u64::from(self.bits) <= PRODUCT_BITS as u64;
        if fits || across <= 1 || down <= 1 || right == 0 || w < across || padding != [0; 4] {
            return vec![self.taps];
        }
        let narrow = (w - across) / right + 1;
        vec![
            Taps::Image { image: [h, w], kernel: [1, across], stride: [1, right], padding },
            Taps::Image { image: [h, narrow], kernel: [down, 1], stride: [below, 1], padding },
        ]
    }

    /// As [`MaxPool::stages`], of an image that is as high as its rows make it.
    fn grid_stages(&self, width: u32, kernel: [u32; 2], stride: [u32; 2], padding: [u32; 4]) -> Vec<Taps> {
        let ([down, across], [below, right], [top, left, bottom, beyond]) = (kernel, stride, padding);
        let taps = u64::from(down) * u64::from(across);
        let fits = taps <= MAX_FACTORS as u64 && taps * u64::from(self.bits) <= PRODUCT_BITS as u64;
        let room = u64::from(width) + u64::from(left) + u64::from(beyond);
        let narrow = room.checked_sub(across.into()).and_then(|room| room.checked_div(right.into()));
        let narrow = narrow.and_then(|n| u32::try_from(n + 1).ok());
        let (Some(narrow), false) = (narrow, fits || across <= 1 || down <= 1) else { return vec![self.taps] };
        let grid = |width, kernel, stride, padding| Taps::Grid { width, kernel, stride, dilation: [1, 1], padding };
        vec![
            grid(width, [1, across], [1, right], [0, left, 0, beyond]),
            grid(narrow, [down, 1], [below, 1], [top, 0, bottom, 0]),
        ]
    }

    fn lower_with(
        &self,
        p: &mut ProgramBuilder,
        input: Value,
        patches: impl Fn(&ProgramBuilder, &str, &Taps, Value) -> Result<Patches, ModelError>,
    ) -> Result<Value, ModelError> {
        let stages = self.stages();
        let mut value = input;
        for (i, taps) in stages.iter().enumerate() {
            let name = if i + 1 == stages.len() { "output" } else { "along rows" };
            let patches = patches(p, &self.name, taps, value)?;
            value = self.pool(p, &format!("{}/{name}", self.name), value, patches)?;
        }
        Ok(value)
    }

    fn pool(&self, p: &mut ProgramBuilder, name: &str, input: Value, patches: Patches) -> Result<Value, ModelError> {
        let x = input.tensor;
        let (shape, bits) = ((patches.rows, p.shape(x).1), self.bits as usize);
        let (sources, blocks) = (patches.map.sources(0), (patches.count, patches.rows));
        let tensor = fixed::integer(
            p,
            name,
            shape,
            bits,
            &[x],
            Hint::whole(move |t| Ok(largest(t[0], &sources, blocks, i128::MIN, |v| v))),
        )?;
        let terms = vec![(1, patches.repeat(tensor)), (-1, patches.gather(x))];
        let below = p.linear(&format!("{name}: below"), terms, 0)?;
        fixed::range(p, &format!("{name}: below"), below, bits)?;
        patches.zero_product(p, name, below, None)?;
        Ok(Value { tensor, ..input })
    }
}

impl Layer for MaxPool {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        self.lower_with(p, input, Patches::new)
    }
}

/// As [`MaxPool`], of patches that may reach beyond the image, where values are zero: of values that are never
/// negative, those zeros are the maximum only where all others are zero, too. Zero or not, there is one maximum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaddedMaxPool(pub MaxPool);

impl Layer for PaddedMaxPool {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn fraction_bits(&self) -> i32 {
        self.0.fraction_bits
    }

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.0.name, inputs)?;
        self.0.lower_with(p, input, Patches::padded)
    }
}

/// Accumulators divided by `2^shift` and rounded, the largest of every patch, then ReLU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReluMaxPool {
    /// Name.
    pub name: String,
    /// The patches, as [`Taps::Image`] without padding.
    pub taps: Taps,
    /// Bits that the accumulators drop.
    pub shift: u32,
    /// Bits of a quotient, its sign included.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for ReluMaxPool {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, x) = (format!("{}/output", self.name), input.tensor);
        let patches = Patches::new(p, &self.name, &self.taps, input)?;
        let (blocks, cols) = ((patches.count, patches.rows), p.shape(x).1);
        let (shift, bits) = (self.shift as usize, self.bits as usize);
        let one = fixed::power(&name, self.shift)?;
        let half = one / 2;
        let sources = patches.map.sources(0);
        let gathered = sources.clone();
        let tensor = fixed::natural(
            p,
            &name,
            (patches.rows, cols),
            bits,
            &[x],
            Hint::whole(move |t| Ok(largest(t[0], &sources, blocks, 0, |v| (v + half) >> shift))),
        )?;
        let rows = patches.count * patches.rows;
        let distance = fixed::natural(
            p,
            &format!("{name}: distance"),
            (rows, cols),
            bits,
            &[x, tensor],
            Hint::whole(move |t| {
                let distance = |i: usize| {
                    let (row, col) = (i / cols, i % cols);
                    t[1].get(row % blocks.1, col) - ((t[0].get(gathered[row] as usize, col) + half) >> shift)
                };
                Ok((0..rows * cols).map(distance).collect())
            }),
        )?;
        let terms = vec![(1, patches.gather(x)), (one, p.whole(distance)), (-one, patches.repeat(tensor))];
        let remainder = p.linear(&format!("{name}: remainder"), terms, half)?;
        fixed::range(p, &format!("{name}: remainder"), remainder, shift)?;
        patches.zero_product(p, &name, distance, Some(tensor))?;
        Ok(Value { tensor, ..input })
    }
}

/// Joins every ReLU of a convolution with the max pooling that alone is given its output. Every layer stays where it
/// is: the convolution's output becomes its accumulator.
#[must_use]
pub fn fuse(mut layers: Vec<Placed>) -> Vec<Placed> {
    let mut readers = vec![0; layers.len()];
    for input in layers.iter().flat_map(|placed| &placed.inputs) {
        if let LayerRef::Layer(index) = *input
            && let Some(count) = readers.get_mut(index as usize)
        {
            *count += 1;
        }
    }
    for at in 0..layers.len() {
        let (earlier, later) = layers.split_at_mut(at);
        let Placed { layer, inputs } = &mut later[0];
        if let (AnyLayer::MaxPool(pool), [LayerRef::Layer(index)]) = (&*layer, &inputs[..])
            && let Some(Placed { layer: AnyLayer::Affine(affine), .. }) = earlier.get_mut(*index as usize)
            && readers[*index as usize] == 1
            && let Some(joined) = join(affine, pool)
        {
            *layer = AnyLayer::ReluMaxPool(joined);
        }
    }
    layers
}

/// The layer after `affine` has lost its ReLU, if both can be joined.
fn join(affine: &mut Affine, pool: &MaxPool) -> Option<ReluMaxPool> {
    let Finish::Rectify { shift, bits } = affine.finish else { return None };
    let Taps::Image { kernel: [down, across], .. } = pool.taps else { return None };
    let factors = u64::from(down) * u64::from(across) + 1;
    let fits = factors <= MAX_FACTORS as u64 && factors * u64::from(bits) <= PRODUCT_BITS as u64;
    if !fits {
        return None;
    }
    affine.finish = Finish::Exact;
    affine.fraction_bits += shift as i32;
    Some(ReluMaxPool { name: pool.name.clone(), taps: pool.taps, shift, bits, fraction_bits: pool.fraction_bits })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::Trace;
    use crate::layers::affine::{Operand, Term};
    use crate::layers::lowering::Constant;

    #[test]
    fn patches_beyond_the_image_are_refused() {
        let taps = Taps::Image { image: [2, 2], kernel: [2, 2], stride: [1, 1], padding: [1, 0, 0, 0] };
        let name = "pool".to_owned();
        let pool = MaxPool { name: name.clone(), taps, bits: 8, fraction_bits: 0 };
        let joined = ReluMaxPool { name, taps, shift: 2, bits: 8, fraction_bits: 0 };
        for layer in [&pool as &dyn Layer, &joined] {
            let mut p = ProgramBuilder::new(8);
            let tensor = p.input("x", (4, 1), -128, 127).unwrap();
            let refused = layer.lower(&mut p, &[Value { tensor, sequences: 1 }]);
            assert!(matches!(refused, Err(ModelError::Shape { .. })));
        }
    }

    /// What a layer computes of an image of 16-bit values; its trace is checked.
    fn run(layer: &dyn Layer, range_bits: usize, sequences: usize, rows: usize, x: &[i128]) -> Vec<i128> {
        let mut p = ProgramBuilder::new(range_bits);
        let shape = (rows, x.len() / rows);
        let input = fixed::integer(&mut p, "x", shape, 16, &[], {
            let x = x.to_vec();
            Hint::whole(move |_| Ok(x.clone()))
        });
        let output = layer.lower(&mut p, &[Value { tensor: input.unwrap(), sequences }]).unwrap();
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let trace = Trace::run(&program, &recipes, &[], &[]).unwrap();
        trace.check(&program).unwrap();
        trace.get(output.tensor).values().iter().collect()
    }

    /// The largest of `f(value)` of every patch, by its definition.
    fn expected(taps: &Taps, sequences: usize, cols: usize, x: &[i128], f: impl Fn(i128) -> i128) -> Vec<i128> {
        let Taps::Image { image, kernel, stride, .. } = *taps else { unreachable!() };
        let [h, w] = image.map(|n| n as usize);
        let outputs = [0, 1].map(|i| ((image[i] - kernel[i]) / stride[i] + 1) as usize);
        let mut out = Vec::new();
        for (s, y, x0) in
            (0..sequences).flat_map(|s| (0..outputs[0]).flat_map(move |y| (0..outputs[1]).map(move |x| (s, y, x))))
        {
            for c in 0..cols {
                let rows = (0..kernel[0] as usize).map(|k| y * stride[0] as usize + k);
                let value = |(r, k): (usize, usize)| {
                    let column = x0 * stride[1] as usize + k;
                    f(x[((s * h + r) * w + column) * cols + c])
                };
                out.push(rows.flat_map(|r| (0..kernel[1] as usize).map(move |k| (r, k))).map(value).max().unwrap());
            }
        }
        out
    }

    fn taps(extents: [u32; 6]) -> Taps {
        let [h, w, down, across, below, right] = extents;
        let kernel = [down.min(h), across.min(w)];
        Taps::Image { image: [h, w], kernel, stride: [below, right], padding: [0; 4] }
    }

    /// A rectified convolution, max pooling of it, and as many more layers that are given the convolution's output.
    fn pooled(rectified: bool, more: usize) -> Vec<Placed> {
        let image = Taps::Image { image: [2, 2], kernel: [2, 2], stride: [1, 1], padding: [0; 4] };
        let constant = Constant { number: 0, rows: 1, cols: 1, bits: 4 };
        let finish =
            if rectified { Finish::Rectify { shift: 3, bits: 9 } } else { Finish::Requantize { shift: 3, bits: 9 } };
        let terms = vec![Term { operand: Operand::Input(0), taps: Taps::Same, weight: constant, shift: 0 }];
        let conv = Affine { name: "conv".into(), terms, bias: constant, finish, fraction_bits: 5 };
        let pool = MaxPool { name: "pool".into(), taps: image, bits: 9, fraction_bits: 5 };
        let mut layers = vec![Placed { layer: AnyLayer::Affine(conv), inputs: vec![LayerRef::Input] }];
        let after = Placed { layer: AnyLayer::MaxPool(pool), inputs: vec![LayerRef::Layer(0)] };
        layers.extend(vec![after; 1 + more]);
        layers
    }

    #[test]
    fn a_relu_is_joined_with_the_pooling_that_alone_is_given_it() {
        let fused = fuse(pooled(true, 0));
        assert!(
            matches!(&fused[0].layer, AnyLayer::Affine(conv) if conv.finish == Finish::Exact && conv.fraction_bits == 8)
        );
        assert!(matches!(
            &fused[1].layer,
            AnyLayer::ReluMaxPool(ReluMaxPool { shift: 3, bits: 9, fraction_bits: 5, .. })
        ));
        assert_eq!(fused[1].inputs, [LayerRef::Layer(0)]);
        for layers in [pooled(true, 1), pooled(false, 0)] {
            assert_eq!(fuse(layers.clone()), layers);
        }
        // What reads the input, or a layer that is not there, is left to lowering.
        let mut stray = pooled(true, 0);
        for from in [LayerRef::Input, LayerRef::Layer(1), LayerRef::Layer(7)] {
            stray[1].inputs = vec![from];
            assert_eq!(fuse(stray.clone()), stray);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_largest_value_of_every_patch(
            h in 1u32..6, w in 1u32..6, kernel in (1u32..5, 1u32..5), stride in (1u32..4, 1u32..4),
            cols in 1usize..4, sequences in 1usize..3, wide: bool, narrow: bool, shift in 0u32..7, seed: u64,
        ) {
            let taps = taps([h, w, kernel.0, kernel.1, stride.0, stride.1]);
            let rows = sequences * (h * w) as usize;
            // Few values, so that many are equal, or all of 16 bits.
            let value = |i: usize| {
                let random = (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                i128::from(random as i16 >> if narrow { 13 } else { 0 })
            };
            let x: Vec<i128> = (0..rows * cols).map(value).collect();
            let (name, fraction_bits) = ("pool".to_owned(), 0);
            let range_bits = if wide { 16 } else { 6 };
            let layer = MaxPool { name: name.clone(), taps, bits: 16, fraction_bits };
            prop_assert_eq!(run(&layer, range_bits, sequences, rows, &x), expected(&taps, sequences, cols, &x, |v| v));
            if kernel.0 * kernel.1 <= 6 {
                let half = (1 << shift) >> 1;
                let relu = |v: i128| ((v + half) >> shift).max(0);
                let layer = ReluMaxPool { name, taps, shift, bits: 16, fraction_bits };
                prop_assert_eq!(run(&layer, 16, sequences, rows, &x), expected(&taps, sequences, cols, &x, relu));
            }
        }
    }
}
