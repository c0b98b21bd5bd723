//! Linear forms: what a value of a float network is in terms of integers that exist already.
//!
//! ```text
//! columns       v[t, c] = Σ_i aᵢ[c]·zᵢ[t, fᵢ + c] + s[c]                sums, concatenations, batch normalisation
//! accumulator   v[t, n] = Σ_i Σ_{κ,c} zᵢ[source(t, κ), c]·Wᵢ[κ, c, n] + b[n]         what layers make of them
//! ```
//!
//! Nothing is committed for either until something that is not linear needs the value.

use super::affine::Taps;
use super::lowering::LayerRef;
use super::matrix::FloatMatrix;

/// An integer tensor that a layer gives: integers stand for multiples of `2^−fraction_bits`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) at: LayerRef,
    pub(super) fraction_bits: i32,
    pub(super) columns: usize,
    /// Largest magnitude of an integer.
    pub(super) bound: i64,
    pub(super) non_negative: bool,
}

/// Columns `first..` of a source, scaled, at columns `at..` of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) source: Source,
    pub(super) first: usize,
    pub(super) at: usize,
    pub(super) scale: Vec<f64>,
}

impl Part {
    /// Whether it is all columns of its source, in a value of as many.
    pub(super) fn is_whole(&self, columns: usize) -> bool {
        self.first == 0 && self.at == 0 && self.scale.len() == columns && self.source.columns == columns
    }

    /// The smallest columns `first..first + len` around the part that a view can take.
    fn block(&self) -> (usize, usize) {
        let (end, all) = (self.first + self.scale.len(), self.source.columns);
        let mut width = self.scale.len().next_power_of_two();
        loop {
            let first = self.first / width * width;
            if first + width >= end {
                return (first, width.min(all - first));
            }
            width *= 2;
        }
    }
}

/// A value whose columns are scaled columns of sources.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    pub(super) parts: Vec<Part>,
    pub(super) shift: Vec<f64>,
}

impl Columns {
    /// A source as it is.
    pub(super) fn of(source: Source) -> Self {
        let columns = source.columns;
        Self { parts: vec![Part { source, first: 0, at: 0, scale: vec![1.0; columns] }], shift: vec![0.0; columns] }
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.shift.len()
    }

    /// The source, if the value is one as it is.
    pub(super) fn plain(&self) -> Option<&Source> {
        let part = self.scaled()?;
        let same = part.scale.iter().all(|&a| a == 1.0) && self.shift.iter().all(|&s| s == 0.0);
        same.then_some(&part.source)
    }

    /// A source and a positive number, if the value is their product: the largest of several such values is that of their
    /// sources.
    pub(super) fn multiple(&self) -> Option<(&Source, f64)> {
        let part = self.scaled()?;
        let &scale = part.scale.first()?;
        let same = part.scale.iter().all(|&a| a == scale) && self.shift.iter().all(|&s| s == 0.0);
        (same && scale > 0.0).then_some((&part.source, scale))
    }

    /// The only part, if it is all columns of its source.
    pub(super) fn scaled(&self) -> Option<&Part> {
        match &self.parts[..] {
            [part] if part.is_whole(self.len()) => Some(part),
            _ => None,
        }
    }

    /// `scale·v + shift` per column.
    pub(super) fn affine(mut self, scale: &[f64], shift: &[f64]) -> Self {
        for part in &mut self.parts {
            part.scale.iter_mut().zip(&scale[part.at..]).for_each(|(a, scale)| *a *= scale);
        }
        self.shift.iter_mut().zip(scale.iter().zip(shift)).for_each(|(s, (scale, shift))| *s = *s * scale + shift);
        self
    }

    /// Adds a part; equal columns of a source are joined.
    pub(super) fn push(&mut self, part: Part) {
        let alike = |p: &&mut Part| {
            (p.source.at, p.first, p.at, p.scale.len()) == (part.source.at, part.first, part.at, part.scale.len())
        };
        match self.parts.iter_mut().find(alike) {
            Some(p) => p.scale.iter_mut().zip(&part.scale).for_each(|(a, b)| *a += b),
            None => self.parts.push(part),
        }
    }

    /// The sum of two values.
    pub(super) fn add(mut self, other: Self) -> Self {
        self.shift.iter_mut().zip(&other.shift).for_each(|(a, b)| *a += b);
        other.parts.into_iter().for_each(|part| self.push(part));
        self
    }

    /// The columns of values side by side.
    pub(super) fn concat(values: Vec<Self>) -> Self {
        let mut all = Self { parts: Vec::new(), shift: Vec::new() };
        for value in values {
            let offset = all.len();
            all.parts.extend(value.parts.into_iter().map(|part| Part { at: part.at + offset, ..part }));
            all.shift.extend(value.shift);
        }
        all
    }

    /// Some of the columns.
    pub(super) fn slice(&self, first: usize, columns: usize) -> Self {
        let cut = |part: &Part| {
            let start = part.at.max(first);
            let end = (part.at + part.scale.len()).min(first + columns);
            (start < end).then(|| Part {
                source: part.source.clone(),
                first: part.first + start - part.at,
                at: start - first,
                scale: part.scale[start - part.at..end - part.at].to_vec(),
            })
        };
        let shift = self.shift[first..first + columns].to_vec();
        Self { parts: self.parts.iter().filter_map(cut).collect(), shift }
    }
}

/// A contraction that waits to be added to others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Product {
    /// The left operand; none for a column of ones.
    pub(super) source: Option<Source>,
    /// First column of it.
    pub(super) first: usize,
    pub(super) taps: Taps,
    /// One matrix a tap; as many rows as columns are taken.
    pub(super) weights: Vec<FloatMatrix>,
}

/// A sum of contractions and a bias.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Accumulator {
    pub(super) products: Vec<Product>,
    pub(super) bias: Vec<f64>,
}

impl Accumulator {
    /// `Σ_κ v[source(t, κ)]·weights[κ] + bias`. `padded` says whether some of these rows are zeros outside
    /// of the value, where its shift does not count.
    pub(super) fn contract(
        value: &Columns,
        taps: Taps,
        padded: bool,
        weights: &[FloatMatrix],
        mut bias: Vec<f64>,
    ) -> Self {
        let mut products: Vec<Product> = Vec::new();
        for part in &value.parts {
            let (first, len) = part.block();
            let found = products.iter_mut().find(|p| {
                p.source.as_ref().is_some_and(|s| s.at == part.source.at)
                    && (p.first, p.weights[0].rows) == (first, len)
            });
            let product = match found {
                Some(product) => product,
                None => {
                    let weights = weights.iter().map(|w| FloatMatrix::zeros(len, w.cols)).collect();
                    products.push(Product { source: Some(part.source.clone()), first, taps, weights });
                    products.last_mut().expect("just added")
                }
            };
            for (sum, weight) in product.weights.iter_mut().zip(weights) {
                for (i, a) in part.scale.iter().enumerate() {
                    let row = sum.row_mut(part.first - first + i);
                    row.iter_mut().zip(weight.row(part.at + i)).for_each(|(sum, w)| *sum += a * w);
                }
            }
        }
        let shift = FloatMatrix::new(1, value.len(), value.shift.clone());
        let shifts: Vec<FloatMatrix> = weights.iter().map(|weight| shift.multiply(weight)).collect();
        if padded && shift.max_abs() > 0.0 {
            products.push(Product { source: None, first: 0, taps, weights: shifts });
        } else {
            shifts.iter().for_each(|row| bias.iter_mut().zip(&row.data).for_each(|(b, s)| *b += s));
        }
        Self { products, bias }
    }

    /// The value itself.
    pub(super) fn identity(value: &Columns) -> Self {
        let n = value.len();
        let one = FloatMatrix::from_fn(n, n, |r, c| f64::from(u8::from(r == c)));
        Self::contract(value, Taps::Same, false, &[one], vec![0.0; n])
    }

    /// `scale·v + shift` per column.
    pub(super) fn affine(mut self, scale: &[f64], shift: &[f64]) -> Self {
        for row in
            self.products.iter_mut().flat_map(|p| &mut p.weights).flat_map(|w| w.data.chunks_exact_mut(scale.len()))
        {
            row.iter_mut().zip(scale).for_each(|(w, a)| *w *= a);
        }
        self.bias.iter_mut().zip(scale.iter().zip(shift)).for_each(|(b, (a, s))| *b = *b * a + s);
        self
    }

    /// Some of the columns.
    pub(super) fn slice(&self, first: usize, columns: usize) -> Self {
        let cut = |w: &FloatMatrix| FloatMatrix::from_fn(w.rows, columns, |r, c| w.row(r)[first + c]);
        let product = |p: &Product| Product { weights: p.weights.iter().map(cut).collect(), ..p.clone() };
        let bias = self.bias[first..first + columns].to_vec();
        Self { products: self.products.iter().map(product).collect(), bias }
    }

    /// The largest magnitude that bounded sources admit.
    pub(super) fn largest(&self) -> f64 {
        let of = |p: &Product, n: usize| {
            let unit = |s: &Source| s.bound as f64 * f64::from(-s.fraction_bits).exp2();
            let weights = p.weights.iter().flat_map(|w| (0..w.rows).map(move |r| w.row(r)[n].abs()));
            p.source.as_ref().map_or(1.0, unit) * weights.sum::<f64>()
        };
        let column = |n: usize| self.bias[n].abs() + self.products.iter().map(|p| of(p, n)).sum::<f64>();
        (0..self.bias.len()).map(column).fold(0.0, f64::max)
    }

    /// The sum of two accumulators.
    pub(super) fn add(mut self, other: Self) -> Self {
        self.products.extend(other.products);
        self.bias.iter_mut().zip(&other.bias).for_each(|(a, b)| *a += b);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(layer: u32, columns: usize) -> Source {
        Source { at: LayerRef::Layer(layer), fraction_bits: 8, columns, bound: 127, non_negative: true }
    }

    #[test]
    fn sums_of_equal_columns_are_one_part() {
        let z = Columns::of(source(0, 3));
        let scaled = z.clone().affine(&[2.0, 3.0, 4.0], &[1.0, 0.0, -1.0]);
        let sum = z.clone().add(scaled).add(Columns::of(source(1, 3)));
        assert_eq!(sum.parts.len(), 2);
        assert_eq!((&sum.parts[0].scale[..], &sum.shift[..]), (&[3.0, 4.0, 5.0][..], &[1.0, 0.0, -1.0][..]));
        assert!(z.plain().is_some() && sum.plain().is_none());
    }

    #[test]
    fn slices_of_concatenations_find_their_columns() {
        let value = Columns::concat(vec![Columns::of(source(0, 3)), Columns::of(source(1, 2))]);
        let slice = value.slice(2, 2);
        let found: Vec<_> = slice.parts.iter().map(|p| (p.source.at, p.first, p.at, p.scale.len())).collect();
        assert_eq!(found, [(LayerRef::Layer(0), 2, 0, 1), (LayerRef::Layer(1), 0, 1, 1)]);
    }

    #[test]
    fn blocks_are_aligned_and_hold_their_part() {
        for columns in 1..20usize {
            for (first, len) in (0..columns).flat_map(|f| (1..=columns - f).map(move |l| (f, l))) {
                let part = Part { source: source(0, columns), first, at: 0, scale: vec![1.0; len] };
                let (start, width) = part.block();
                assert!(start <= first && first + len <= start + width && start + width <= columns);
                assert_eq!(start % width.next_power_of_two(), 0);
            }
        }
    }

    #[test]
    fn a_shift_before_padding_is_a_column_of_ones() {
        let value = Columns::of(source(0, 2)).affine(&[2.0, 1.0], &[1.0, -3.0]);
        let weights = [FloatMatrix::new(2, 1, vec![5.0, 7.0]), FloatMatrix::new(2, 1, vec![1.0, 1.0])];
        let taps = Taps::Time { kernel: 2, stride: 1, dilation: 1, pad_left: 1, pad_right: 0 };
        let padded = Accumulator::contract(&value, taps, true, &weights, vec![0.5]);
        assert_eq!((padded.products.len(), &padded.bias[..]), (2, &[0.5][..]));
        let ones: Vec<f64> = padded.products[1].weights.iter().map(|w| w.data[0]).collect();
        assert_eq!(ones, [5.0 - 21.0, 1.0 - 3.0]);
        let inside = Accumulator::contract(&value, taps, false, &weights, vec![0.5]);
        assert_eq!((inside.products.len(), &inside.bias[..]), (1, &[0.5 - 16.0 - 2.0][..]));
        assert_eq!(inside.products[0].weights[0].data, [10.0, 7.0]);
    }
}
