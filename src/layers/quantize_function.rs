//! Functions of one value as tables over the calibrated range.
//!
//! A table has consecutive arguments, a power of two of them, and the function must be defined at all of them: whoever
//! leaves the table cannot prove anything. So a table lies around zero where the function is defined there, and where
//! it is not (logarithms, roots, reciprocals) from the end of what it is defined on.

use super::affine::Function;
use super::linear_form::Columns;
use super::network::{NodeRef, Scalar};
use super::quantize::Quantizer;
use super::quantize_affine::{After, WIDE_BITS};
use super::quantize_weights::{MARGIN, step};
use crate::error::ModelError;

/// Bits that arguments have beyond those of other activations: a function may be steep where values are rare.
const EXTRA_BITS: u32 = 2;
/// How far beyond the largest value seen those of a table may lie.
const LARGEST: f64 = 256.0;

/// A table of a function for arguments within `[low, high]`, with margins, and its fraction bits: of arguments, of values.
/// None if the function is not defined there.
fn table(f: &Scalar, bits: u32, [low, high]: [f64; 2]) -> Option<(Function, i32, i32)> {
    let most = low.abs().max(high.abs());
    let values = |points: u32| (0..=points).map(move |i| low + (high - low) * f64::from(i) / f64::from(points));
    let seen = values(256).map(|x| f.value(x).abs()).filter(|y| y.is_finite()).fold(0.0, f64::max);
    let limit = LARGEST * seen.max(1e-3);
    let defined = |x: f64| {
        let y = f.value(x);
        y.is_finite() && y.abs() <= limit
    };
    let both = (step(bits, most), -(1i64 << (bits - 1)));
    // One side of zero takes all arguments: one bit more.
    let fine = step(bits + 1, most);
    let sides = [(fine, 0), (fine, 1), (fine, -(1i64 << bits) + 1), (fine, -(1i64 << bits))];
    let entries = 1i64 << bits;
    let fits = |&(fraction, start): &(i32, i64)| {
        let unit = f64::from(-fraction).exp2();
        let (first, last) = (start as f64 * unit, (start + entries - 1) as f64 * unit);
        first <= low && last >= high && (start..start + entries).all(|i| defined(i as f64 * unit))
    };
    let ends = std::iter::once(both).chain(sides).chain(shifted(f, bits, [low, high], &defined));
    let (fraction, start) = ends.into_iter().find(|candidate| fits(candidate))?;
    let unit = f64::from(-fraction).exp2();
    let output = step(WIDE_BITS, seen);
    let one = f64::from(output).exp2();
    let values: Vec<i64> = (start..start + entries).map(|i| (f.value(i as f64 * unit) * one).round() as i64).collect();
    // Functions with long names are told apart by a digest of them.
    let name = format!("{} {bits}.{fraction}.{start}.{output}", short(&f.name()));
    Some((Function { name, start, values: values.into() }, fraction, output))
}

/// Tables that start where a function begins to be defined, or end where it ceases to be.
fn shifted(
    _: &Scalar,
    bits: u32,
    [low, high]: [f64; 2],
    defined: &impl Fn(f64) -> bool,
) -> impl Iterator<Item = (i32, i64)> {
    let entries = 1i64 << bits;
    let fraction = step(bits, low.abs().max(high.abs()).max(high - low));
    let unit = f64::from(-fraction).exp2();
    let walk = |from: f64, by: i64| {
        let mut at = (from / unit).round() as i64;
        let mut steps = 0;
        while steps < entries && defined((at + by) as f64 * unit) {
            (at, steps) = (at + by, steps + 1);
        }
        at
    };
    let (first, last) = (walk(high, -1), walk(low, 1));
    [(fraction, first), (fraction, last - entries + 1)].into_iter()
}

/// A name of at most 48 letters, digests of longer ones.
fn short(name: &str) -> String {
    use sha2::{Digest, Sha256};
    if name.len() <= 48 {
        return name.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

impl Quantizer<'_> {
    /// A table for a function of values that were seen within `[low, high]`.
    pub(super) fn function_of(&self, at: usize, f: &Scalar, [low, high]: [f64; 2]) -> Result<After, ModelError> {
        let (low, high) = if low <= high { (low, high) } else { (-1.0, 1.0) };
        let bits = (self.bits_of(&self.name(at)) + EXTRA_BITS).min(self.most_bits());
        let found = table(f, bits, [low, high]).or_else(|| table(f, bits, [low / MARGIN, high / MARGIN]));
        let (function, argument_bits, output_bits) = found.ok_or_else(|| {
            let help = "keep its argument where it is defined, say by adding a constant before it";
            self.no_integer_form(at, "that is not defined around the values it takes", help)
        })?;
        Ok(After::Table { function, argument_bits, output_bits })
    }

    /// A function of one value.
    pub(super) fn function(
        &mut self,
        at: usize,
        name: String,
        input: NodeRef,
        f: &Scalar,
    ) -> Result<Columns, ModelError> {
        let range = self.ranges.of(input);
        let seen = self.ranges.arguments.get(&at).copied().unwrap_or([-range, range]);
        let after = self.function_of(at, f, seen)?;
        let (name, sum) = self.accumulator(input, name)?;
        Ok(Columns::of(self.affine(name, sum, range, after)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layers::network::KNOWN;

    #[test]
    fn every_function_has_a_table_where_it_is_defined() {
        for known in KNOWN {
            let f = Scalar::known(known.operator, None).unwrap();
            let range = if matches!(known.operator, "Log" | "Sqrt" | "Reciprocal") { [0.5, 3.0] } else { [-2.0, 3.0] };
            let (table, fraction, output) = table(&f, 14, range).unwrap_or_else(|| panic!("{}", known.operator));
            let (unit, one) = (f64::from(-fraction).exp2(), f64::from(output).exp2());
            for i in 0..=100 {
                let x = range[0] + (range[1] - range[0]) * f64::from(i) / 100.0;
                let at = (x / unit).round() as i64 - table.start;
                let found = table.values[usize::try_from(at).unwrap()] as f64 / one;
                let exact = f.value((at + table.start) as f64 * unit);
                assert!((found - exact).abs() <= 0.5 / one + 1e-12, "{} at {x}: {found} {exact}", known.operator);
            }
            assert!(table.values.len() == 1 << 14 && unit <= 1e-3, "{}", known.operator);
        }
    }

    #[test]
    fn what_is_not_defined_has_no_table() {
        let log = Scalar::known("Log", None).unwrap();
        assert!(table(&log, 12, [-1.0, 1.0]).is_none());
        let reciprocal = Scalar::known("Reciprocal", None).unwrap();
        assert!(table(&reciprocal, 12, [-1.0, 1.0]).is_none());
        assert!(table(&reciprocal, 12, [-3.0, -1.0]).is_some());
    }

    proptest! {
        #[test]
        fn tables_hold_what_was_seen_and_a_margin(low in -9.0f64..9.0, span in 0.1f64..9.0, bits in 8u32..15) {
            let f = Scalar::known("Softplus", None).unwrap();
            let (table, fraction, _) = table(&f, bits, [low, low + span]).unwrap();
            let unit = f64::from(-fraction).exp2();
            let last = (table.start + table.values.len() as i64 - 1) as f64 * unit;
            let first = table.start as f64 * unit;
            prop_assert!(first <= if low < 0.0 { 1.9 * low } else { low }, "{first} {low}");
            let high = low + span;
            prop_assert!(last >= if high > 0.0 { 1.9 * high } else { high }, "{last} {high}");
        }
    }
}
