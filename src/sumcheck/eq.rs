//! The equality polynomial `eq(x, y) = Π (xᵢyᵢ + (1 − xᵢ)(1 − yᵢ))` and its tables.
//!
//! `point[0]` belongs to the least significant bit of an index, as everywhere in this crate and in
//! ark-poly. Tables may stop at a length that is not a power of two: only real entries are made.

use std::collections::BTreeMap;

use ark_ff::Field;

use super::par;
use super::small::SmallField;
use super::vectors::halve;

/// `eq(a, b)` of two points of the same length.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn eq_eval<F: Field>(a: &[F], b: &[F]) -> F {
    assert_eq!(a.len(), b.len(), "eq is defined for points of one length");
    a.iter().zip(b).map(|(&x, &y)| (x * y).double() + F::ONE - x - y).product()
}

/// The first `len` values of `eq(point, ·)`, in O(`len` + `point.len()`) multiplications.
///
/// # Panics
/// If `len` exceeds `2^point.len()`.
#[must_use]
pub fn eq_prefix<F: SmallField>(point: &[F], len: usize) -> Vec<F> {
    assert!(fits(len, point.len()), "a table of {} variables has fewer than {len} entries", point.len());
    let mut table = vec![F::ONE];
    for (k, &r) in point.iter().enumerate().rev() {
        // The table over variables k… needs ⌈len / 2^k⌉ entries.
        let keep = if k >= usize::BITS as usize { 1 } else { len.div_ceil(1 << k).max(1) };
        table = extend(&table, r, keep);
    }
    table.truncate(len);
    table
}

/// The first `len` entries of a table with one more variable, the lowest.
fn extend<F: SmallField>(parents: &[F], r: F, len: usize) -> Vec<F> {
    let mut next = vec![F::ZERO; len];
    if len <= 2 * PARENTS {
        // Most tables are small, and tasks are not for free.
        halve(parents, r, &mut next);
    } else {
        par::for_chunks_mut(&mut next, 2 * PARENTS, |chunk, next| halve(&parents[chunk * PARENTS..], r, next));
    }
    next
}

/// Entries of a table that one task extends by a variable.
const PARENTS: usize = 1 << 9;

/// `eq(point, i)` for `start ≤ i < start + len`, in O(`len` + `point.len()`) multiplications.
///
/// # Panics
/// If the range exceeds `2^point.len()`.
#[must_use]
pub fn eq_range<F: SmallField>(point: &[F], start: usize, len: usize) -> Vec<F> {
    assert!(len > 0 && fits(start + len, point.len()), "a range of a table of {} variables", point.len());
    let mut table = vec![F::ONE];
    for (k, &r) in point.iter().enumerate().rev() {
        // The table over variables k… is needed at indices start / 2^k … (start + len − 1) / 2^k.
        let shift = |i: usize| if k >= usize::BITS as usize { 0 } else { i >> k };
        let (low, high) = (shift(start), shift(start + len - 1));
        // Parents low / 2 … high / 2 have been made, first at the even index of their first child.
        let mut next = extend(&table, r, 2 * table.len());
        next.truncate(high + 1 - low / 2 * 2);
        next.drain(..low % 2);
        table = next;
    }
    table
}

/// All `2^point.len()` values of `eq(point, ·)`.
#[must_use]
pub fn eq_table<F: SmallField>(point: &[F]) -> Vec<F> {
    eq_prefix(point, 1 << point.len())
}

/// `Σ_{i < len} eq(point, i)`: the extension of the indicator of the first `len` indices, in
/// O(`point.len()`) multiplications.
///
/// # Panics
/// If `len` exceeds `2^point.len()`.
#[must_use]
pub fn eq_prefix_sum<F: Field>(point: &[F], len: usize) -> F {
    assert!(fits(len, point.len()), "a table of {} variables has fewer than {len} entries", point.len());
    // sum(k) = Σ over the k lowest variables of indices below the k lowest bits of len.
    let mut sum = F::ZERO;
    for (k, &r) in point.iter().enumerate() {
        let bit = k < usize::BITS as usize && (len >> k) & 1 == 1;
        // With the bit of len set, every index with bit 0 here is below, whatever its lower bits.
        sum = if bit { F::ONE - r + r * sum } else { (F::ONE - r) * sum };
    }
    if point.len() < usize::BITS as usize && len >> point.len() == 1 { F::ONE } else { sum }
}

/// `Σ_{i < len} eq(a, i)·eq(b, i)` for two points of one length, in O(`a.len()`) multiplications.
///
/// # Panics
/// If the lengths differ, or `len` exceeds `2^a.len()`.
#[must_use]
pub fn eq_pair_prefix_sum<F: Field>(a: &[F], b: &[F], len: usize) -> F {
    assert_eq!(a.len(), b.len(), "eq is defined for points of one length");
    assert!(fits(len, a.len()), "a table of {} variables has fewer than {len} entries", a.len());
    // As in `eq_prefix_sum`, where the two weights of a variable add up to one; here they do not.
    let (mut sum, mut all) = (F::ZERO, F::ONE);
    for (k, (&x, &y)) in a.iter().zip(b).enumerate() {
        let (zero, one) = ((F::ONE - x) * (F::ONE - y), x * y);
        let bit = k < usize::BITS as usize && (len >> k) & 1 == 1;
        sum = if bit { zero * all + one * sum } else { zero * sum };
        all *= zero + one;
    }
    if a.len() < usize::BITS as usize && len >> a.len() == 1 { all } else { sum }
}

fn fits(len: usize, num_vars: usize) -> bool {
    num_vars >= usize::BITS as usize || len <= 1 << num_vars
}

/// Tables of `eq` at the ends of a point, each made once, for as many entries as are asked for.
#[derive(Debug)]
pub struct EqSuffixes<'a, F> {
    point: &'a [F],
    tables: BTreeMap<usize, Vec<F>>,
}

impl<'a, F: SmallField> EqSuffixes<'a, F> {
    /// Those of `point`.
    #[must_use]
    pub fn new(point: &'a [F]) -> Self {
        Self { point, tables: BTreeMap::new() }
    }

    /// The whole point.
    #[must_use]
    pub fn point(&self) -> &'a [F] {
        self.point
    }

    /// The first `len` values of `eq(point[first..], ·)`.
    ///
    /// # Panics
    /// If the point has fewer coordinates, or the table fewer entries.
    pub fn get(&mut self, first: usize, len: usize) -> &[F] {
        let point = &self.point[first..];
        let table = self.tables.entry(first).or_default();
        if table.len() < len {
            // Lengths double, so that the tables made for growing lengths cost as much as the longest.
            *table = eq_prefix(point, len.next_power_of_two());
        }
        &table[..len]
    }
}

/// Tables of `eq(point[k..], ·)` for every `k`, which a sum-check that factors `eq` out needs one
/// after another (Gruen, "Some Improvements for the PIOP for ZeroCheck", 2024, section 3).
///
/// To stay in cache the point is split: `low` has a table for each suffix of the first half, `high`
/// one for each suffix of the second (Dao and Thaler, "More Optimizations to Sum-Check Proving", 2024).
pub struct SplitEq<F> {
    low: Vec<Vec<F>>,
    high: Vec<Vec<F>>,
}

/// Variables that the lower half has more than the middle of a point.
const LOW_MORE: usize = 3;

impl<F: SmallField> SplitEq<F> {
    /// Splits `point` in two halves, the lower one a little longer: loops run over `low`, and while
    /// it has entries for every lane of a vector, they run in vectors.
    #[must_use]
    pub fn new(point: &[F]) -> Self {
        let (low, high) = point.split_at((point.len() / 2 + LOW_MORE).min(point.len()));
        Self { low: suffix_tables(low), high: suffix_tables(high) }
    }

    /// `(low, high)` such that `eq(point[bound..], j) = low[j mod low.len()] · high[j / low.len()]`.
    #[must_use]
    pub fn suffix(&self, bound: usize) -> (&[F], &[F]) {
        let in_low = bound.min(self.low.len() - 1);
        (&self.low[in_low], &self.high[bound - in_low])
    }
}

/// `tables[k] = eq_table(&point[k..])`.
fn suffix_tables<F: Field>(point: &[F]) -> Vec<Vec<F>> {
    let mut tables = vec![vec![F::ONE]];
    for &r in point.iter().rev() {
        let last = &tables[tables.len() - 1];
        let mut next = Vec::with_capacity(2 * last.len());
        for &value in last {
            let high = value * r;
            next.push(value - high);
            next.push(high);
        }
        tables.push(next);
    }
    tables.reverse();
    tables
}

#[cfg(test)]
mod tests {
    use ark_bn254::Fr;
    use ark_ff::{AdditiveGroup, UniformRand};
    use ark_std::test_rng;
    use proptest::prelude::*;

    use super::*;

    fn point(num_vars: usize) -> Vec<Fr> {
        let mut rng = test_rng();
        (0..num_vars).map(|_| Fr::rand(&mut rng)).collect()
    }

    proptest! {
        #[test]
        fn sums_of_products_of_two_tables_are_those_of_their_entries(num_vars in 0usize..7, len in 0usize..130) {
            let len = len.min(1 << num_vars);
            let (a, b) = (point(num_vars), point(2 * num_vars).split_off(num_vars));
            let sum: Fr = eq_prefix(&a, len).iter().zip(eq_prefix(&b, len)).map(|(x, y)| *x * y).sum();
            prop_assert_eq!(eq_pair_prefix_sum(&a, &b, len), sum);
        }
    }

    fn bits(index: usize, num_vars: usize) -> Vec<Fr> {
        (0..num_vars).map(|k| if index >> k & 1 == 1 { Fr::from(1) } else { Fr::ZERO }).collect()
    }

    proptest! {
        #[test]
        fn prefix_agrees_with_the_definition(num_vars in 0usize..7, len in 0usize..130) {
            let len = len.min(1 << num_vars);
            let r = point(num_vars);
            let table = eq_prefix(&r, len);
            prop_assert_eq!(table.len(), len);
            for (i, &value) in table.iter().enumerate() {
                prop_assert_eq!(value, eq_eval(&r, &bits(i, num_vars)));
            }
            prop_assert_eq!(eq_prefix_sum(&r, len), table.iter().sum::<Fr>());
            for start in 0..len {
                prop_assert_eq!(&eq_range(&r, start, len - start), &table[start..]);
            }
        }

        #[test]
        fn ends_of_a_point_have_the_tables_of_their_own(
            num_vars in 0usize..7,
            asked in prop::collection::vec((0usize..7, 0usize..130), 0..6),
        ) {
            let r = point(num_vars);
            let mut suffixes = EqSuffixes::new(&r);
            for (first, len) in asked {
                let first = first.min(num_vars);
                let len = len.min(1 << (num_vars - first));
                prop_assert_eq!(suffixes.get(first, len), &eq_prefix(&r[first..], len)[..]);
            }
        }

        #[test]
        fn suffixes_of_a_split_table_are_suffixes_of_the_table(num_vars in 0usize..8, bound in 0usize..8) {
            let bound = bound.min(num_vars);
            let r = point(num_vars);
            let split = SplitEq::new(&r);
            let (low, high) = split.suffix(bound);
            let product: Vec<Fr> = high.iter().flat_map(|&h| low.iter().map(move |&l| l * h)).collect();
            prop_assert_eq!(product, eq_table(&r[bound..]));
        }
    }
}
