//! Vector kernels: the hot loops over field elements, eight at a time.
//!
//! The only module with `unsafe`. What it exports is safe, works on slices of elements in their usual
//! form, and gives exactly what the scalar loops beside its callers give. Kernels are chosen at run time:
//! AVX-512 with 52-bit multiplications, or none. `VOXCHECK_SIMD=off` turns them off.

#![allow(unsafe_code)]

use ark_bn254::{Fq, Fr};

#[cfg(target_arch = "x86_64")]
mod complete;
#[cfg(target_arch = "x86_64")]
mod folds;
#[cfg(target_arch = "x86_64")]
mod fraction;
#[cfg(target_arch = "x86_64")]
mod lanes;
pub mod matrix;
#[cfg(target_arch = "x86_64")]
mod memory;
#[cfg(target_arch = "x86_64")]
mod points;
#[cfg(target_arch = "x86_64")]
mod products;

/// Elements that a vector holds: kernels take slices whose lengths are multiples of it.
pub const LANES: usize = 8;

/// The loops that have kernels, for pairs of nodes of a fraction tree and for plain slices.
///
/// All slices of a call have the same length, a multiple of [`LANES`].
///
/// # Panics
/// If lengths differ or are not multiples.
pub trait Kernels<F>: Sync {
    /// `q₀ + q₁` and `q₀q₁` of every pair.
    fn parents_of_ones(&self, q: Denominators<'_, F, 2>, out: [&mut [F]; 2]);
    /// `p₀q₁ + p₁q₀` and `q₀q₁` of every pair.
    fn parents(&self, p: &[[F; 2]], q: &[[F; 2]], out: [&mut [F]; 2]);
    /// `Σ weight·(q₂ − q₀)(q₃ − q₁)`.
    fn leading_of_ones(&self, weights: &[F], q: Denominators<'_, F, 4>) -> F;
    /// `Σ weight·(a₀a₁ + λ(a₀b₁ + a₁b₀))` with the slopes `a` of `q` and `b` of `p`.
    fn leading(&self, weights: &[F], q: &[[F; 4]], p: &[[F; 4]], lambda: F) -> F;
    /// Mixes children by `r`.
    fn mix_children(&self, x: Denominators<'_, F, 8>, out: &mut [[F; 4]], r: F);
    /// Mixes children by `r`; gives the weighted sums of nodes at 0 and of leading coefficients when all
    /// numerators are `one`.
    fn bind_ones(&self, weights: &[F], q: Denominators<'_, F, 8>, out: &mut [[F; 4]], r: F, one: F) -> [F; 2];
    /// Mixes children by `r`, and multiplies those of the second input by `factor` if there is one; gives the
    /// weighted sums of nodes at 0 and of leading coefficients.
    fn bind(&self, weights: &[F], inputs: [&[[F; 8]]; 2], out: [&mut [[F; 4]]; 2], r: F, factor: Option<F>) -> [F; 2];
}

/// Denominators in groups of `N`.
#[derive(Clone, Copy, Debug)]
pub enum Denominators<'a, F, const N: usize> {
    /// As they are.
    Stored(&'a [[F; N]]),
    /// By their places in a table.
    Entries(&'a [F], &'a [[u32; N]]),
}

impl<F, const N: usize> Denominators<'_, F, N> {
    /// Number of groups.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        match self {
            Self::Stored(groups) => groups.len(),
            Self::Entries(_, groups) => groups.len(),
        }
    }

    /// The groups of this range.
    ///
    /// # Panics
    /// If it is out of range.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Stored(groups) => Self::Stored(&groups[range]),
            Self::Entries(values, groups) => Self::Entries(values, &groups[range]),
        }
    }
}

impl<F: Copy, const N: usize> Denominators<'_, F, N> {
    /// Group `i`.
    ///
    /// # Panics
    /// If it, or a place in the table, is out of range.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, i: usize) -> [F; N] {
        match self {
            Self::Stored(groups) => groups[i],
            Self::Entries(values, groups) => groups[i].map(|place| values[place as usize]),
        }
    }
}

/// Marks a reference to a point whose opposite is meant.
pub const NEGATED: u32 = 1 << 31;

/// In place of the second point of a pair that has none.
pub const ALONE: u32 = u32::MAX;

/// A point by its coordinates, on a line of the cache of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Point(pub [Fq; 2]);

/// Room for a vector of elements between the passes of a kernel.
pub type Saved = [[u64; LANES]; 5];

/// Sums of pairs of points.
pub trait PointKernels: Sync {
    /// `out[k] = source[pairs[k][0]] + source[pairs[k][1]]` for points, the identity being `[0, 0]`. References may be [`NEGATED`], the second one may be [`ALONE`]. `scratch` is only there
    /// to be reused.
    ///
    /// # Panics
    /// If there is another number of sums than of pairs, if it is not a multiple of [`LANES`], or if a
    /// reference is out of range.
    fn add_pairs(&self, source: &[Point], pairs: &[[u32; 2]], out: &mut [Point], scratch: &mut Vec<Saved>);
}

/// Sums of points by additions without exceptions, and powers of coordinates. Points are given in Jacobian coordinates
/// `(X, Y, Z)`, for `(X/Z², Y/Z³)`; with `Z = 0` that is the identity.
pub trait CompletePointKernels: Sync {
    /// In place `i` the sum of the points that place `i` of every vector of `references` names. They may be
    /// [`NEGATED`], or [`ALONE`] for none. No point is the identity.
    ///
    /// # Panics
    /// If a reference is out of range.
    fn sum_eight(&self, source: &[Point], references: &[[u32; LANES]]) -> [[Fq; 3]; LANES];
    /// In place `i` the sum over all rows `k` of `table[k][digits[k][i]]`, in a time, and with accesses to memory,
    /// that do not depend on digits below 16. No point is the identity.
    ///
    /// # Panics
    /// If there is another number of digits than of rows.
    fn sum_secret(&self, table: &[[Point; 16]], digits: &[[u64; LANES]]) -> [[Fq; 3]; LANES];
    /// In place `i` the sum of `(d + 1)·buckets[i][d]` over all `d`, the identity being `[0, 0]`.
    ///
    /// # Panics
    /// If places have different numbers of buckets.
    fn weigh_buckets(&self, buckets: [&[Point]; LANES]) -> [[Fq; 3]; LANES];
    /// Raises values to a power whose exponent is given in words, the least first.
    ///
    /// # Panics
    /// If the number of values is not a multiple of [`LANES`].
    fn raise(&self, values: &mut [Fq], exponent: &[u64; 4]);
}

/// A table of machine integers.
#[derive(Clone, Copy, Debug)]
pub enum Ints<'a> {
    /// 8-bit integers.
    I8(&'a [i8]),
    /// 16-bit integers.
    I16(&'a [i16]),
    /// 32-bit integers.
    I32(&'a [i32]),
    /// 64-bit integers.
    I64(&'a [i64]),
}

/// Sums of integers times field elements. An integer is taken as one digit of 32 bits, after a bias has made it
/// unsigned, as [`SmallInt::biased_digit`](crate::sumcheck::int::SmallInt::biased_digit) defines it.
pub trait FoldKernels<F>: Sync {
    /// `out[c] = Σ_k wₖ·digit(values[startₖ + c])` for the pairs `(startₖ, wₖ)` of `rows`.
    ///
    /// # Panics
    /// If the number of sums is not a multiple of [`LANES`], or a row is out of range.
    fn fold_rows(&self, values: Ints<'_>, digit: usize, rows: &[(usize, F)], out: &mut [F]);
    /// `out[r] = Σ_c weights[c]·digit(values[stride·r + c])`.
    ///
    /// # Panics
    /// If the numbers of weights and of sums are not multiples of [`LANES`], or a row is out of range.
    fn fold_cols(&self, values: Ints<'_>, digit: usize, stride: usize, weights: &[F], out: &mut [F]);
    /// `Σ_t weights[t]·values[t]` for integers in `−2^51 … 2^51 − 1`.
    fn fold_eights(&self, values: &[[i64; LANES]], weights: &[F]) -> [F; LANES];
}

/// Products of slices of elements, and rounds of sum-checks over products of tables; a pair is a low and a high
/// entry.
///
/// All slices of a call have the same length, a multiple of [`LANES`].
///
/// # Panics
/// If lengths differ or are not multiples.
pub trait ProductKernels<F>: Sync {
    /// `Σ_i a[i]·b[i]`.
    fn dot(&self, a: &[F], b: &[F]) -> F;
    /// `out = factor·values`.
    fn scale(&self, factor: F, values: &[F], out: &mut [F]);
    /// `sum += factor·values`.
    fn add_scaled(&self, factor: F, values: &[F], sum: &mut [F]);
    /// `[(1 − r)·value, r·value]` of every value.
    fn halve(&self, values: &[F], r: F, out: &mut [[F; 2]]);
    /// `low + r·(high − low)` of every pair.
    fn bind(&self, pairs: &[[F; 2]], r: F, out: &mut [F]);
    /// Sums of values at 0 and of leading coefficients of the products of two lines.
    fn sums_of_two(&self, a: &[[F; 2]], b: &[[F; 2]]) -> [F; 2];
    /// Sums of values at 0, of leading coefficients and of values at −1 of the products of three lines.
    fn sums_of_three(&self, a: &[[F; 2]], b: &[[F; 2]], c: &[[F; 2]]) -> [F; 3];
    /// [`ProductKernels::sums_of_two`] with a weight for every pair.
    fn weighted_sums(&self, weights: &[F], a: &[[F; 2]], b: &[[F; 2]]) -> [F; 2];
}

/// The kernels for matrices of 16-bit integers that this machine has.
#[must_use]
pub fn matrix_kernels() -> Option<&'static dyn matrix::MatrixKernels> {
    #[cfg(target_arch = "x86_64")]
    {
        static DETECTED: std::sync::OnceLock<Option<matrix::vnni::Vnni>> = std::sync::OnceLock::new();
        let detect = || matrix::vnni::Vnni::detect().filter(|_| wanted());
        let detected = DETECTED.get_or_init(detect).as_ref();
        detected.filter(|_| !turned_off()).map(|vnni| vnni as &dyn matrix::MatrixKernels)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

/// The kernels for products that this machine has.
#[must_use]
pub fn product_kernels() -> Option<&'static dyn ProductKernels<Fr>> {
    #[cfg(target_arch = "x86_64")]
    {
        ifma().map(|ifma| ifma as &dyn ProductKernels<Fr>)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

/// The kernels for folds that this machine has.
#[must_use]
pub fn fold_kernels() -> Option<&'static dyn FoldKernels<Fr>> {
    #[cfg(target_arch = "x86_64")]
    {
        ifma().map(|ifma| ifma as &dyn FoldKernels<Fr>)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

/// The kernels for scalars that this machine has.
#[must_use]
pub fn kernels() -> Option<&'static dyn Kernels<Fr>> {
    #[cfg(target_arch = "x86_64")]
    {
        ifma().map(|ifma| ifma as &dyn Kernels<Fr>)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

/// The kernels for points that this machine has.
#[must_use]
pub fn point_kernels() -> Option<&'static dyn PointKernels> {
    #[cfg(target_arch = "x86_64")]
    {
        ifma().map(|ifma| ifma as &dyn PointKernels)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

/// The kernels for complete additions that this machine has.
#[must_use]
pub fn complete_point_kernels() -> Option<&'static dyn CompletePointKernels> {
    #[cfg(target_arch = "x86_64")]
    {
        ifma().map(|ifma| ifma as &dyn CompletePointKernels)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        None
    }
}

#[cfg(target_arch = "x86_64")]
fn ifma() -> Option<&'static lanes::Ifma> {
    static DETECTED: std::sync::OnceLock<Option<lanes::Ifma>> = std::sync::OnceLock::new();
    DETECTED.get_or_init(|| lanes::Ifma::detect().filter(|_| wanted())).as_ref().filter(|_| !turned_off())
}

/// Whether the environment leaves the kernels on.
#[cfg(target_arch = "x86_64")]
fn wanted() -> bool {
    std::env::var_os("VOXCHECK_SIMD").is_none_or(|value| value != "off")
}

/// Whether a test has turned the kernels off.
#[cfg(target_arch = "x86_64")]
fn turned_off() -> bool {
    #[cfg(test)]
    {
        tests::OFF.load(std::sync::atomic::Ordering::SeqCst)
    }
    #[cfg(not(test))]
    {
        false
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};

    /// Whether a test has turned the kernels off. Others that run meanwhile are slower, not different.
    pub(super) static OFF: AtomicBool = AtomicBool::new(false);

    /// What `f` gives with kernels, where there are any, and without.
    pub(crate) fn both<T>(mut f: impl FnMut() -> T) -> [T; 2] {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        struct On;
        impl Drop for On {
            fn drop(&mut self) {
                OFF.store(false, Ordering::SeqCst);
            }
        }
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let _on = On;
        let with = f();
        OFF.store(true, Ordering::SeqCst);
        [with, f()]
    }
}
