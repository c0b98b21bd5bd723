//! Dense double-precision matrices for the float reference path.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

/// A matrix of doubles, row-major. Rows are time, columns are channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatMatrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// `rows · cols` values; entry (r, c) is at `r · cols + c`.
    pub data: Vec<f64>,
}

impl FloatMatrix {
    /// A matrix from its values.
    ///
    /// # Panics
    /// If `data` does not hold `rows · cols` values.
    pub fn new(rows: usize, cols: usize, data: Vec<f64>) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} x {cols} matrix");
        Self { rows, cols, data }
    }

    /// A matrix of zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: vec![0.0; rows * cols] }
    }

    /// A matrix whose entry (r, c) is `entry(r, c)`.
    pub fn from_fn(rows: usize, cols: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let data = (0..rows * cols).map(|i| entry(i / cols, i % cols)).collect();
        Self { rows, cols, data }
    }

    /// Row `r`.
    ///
    /// # Panics
    /// If `r` is not below `rows`.
    pub fn row(&self, r: usize) -> &[f64] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }

    /// Row `r`, mutable.
    ///
    /// # Panics
    /// If `r` is not below `rows`.
    pub fn row_mut(&mut self, r: usize) -> &mut [f64] {
        &mut self.data[r * self.cols..(r + 1) * self.cols]
    }

    /// Largest absolute value; 0 for an empty matrix.
    pub fn max_abs(&self) -> f64 {
        self.data.iter().fold(0.0, |max, x| max.max(x.abs()))
    }

    /// The product `self · right`.
    ///
    /// # Panics
    /// If `self.cols` is not `right.rows`.
    pub fn multiply(&self, right: &Self) -> Self {
        assert_eq!(self.cols, right.rows, "inner dimensions");
        let mut product = Self::zeros(self.rows, right.cols);
        let dimensions = [self.rows, self.cols, right.cols];
        multiply_add(dimensions, (&self.data, self.cols), &right.data, &mut product.data);
        product
    }
}

/// `c += a · b` with `a` m × k, `b` k × n and `c` m × n for `[m, k, n]`, all row-major and dense
/// except that row `i` of `a` starts at `i · stride`: a strided view (frames that overlap) needs no
/// copy.
///
/// # Panics
/// If a slice is shorter than its dimensions say.
pub(crate) fn multiply_add([m, k, n]: [usize; 3], (a, stride): (&[f64], usize), b: &[f64], c: &mut [f64]) {
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    let last = (m - 1).checked_mul(stride).and_then(|start| start.checked_add(k)).expect("fits memory");
    assert!(a.len() >= last, "left factor");
    assert!(k.checked_mul(n).is_some_and(|len| b.len() >= len), "right factor");
    assert!(m.checked_mul(n).is_some_and(|len| c.len() >= len), "product");
    // Rows of the left factor may overlap, which a view of the slice expresses and a copy would not.
    let left = ArrayView2::from_shape((m, k).strides((stride, 1)), a).expect("the last row is in the slice");
    let right = ArrayView2::from_shape((k, n), &b[..k * n]).expect("one entry a product");
    let mut out = ArrayViewMut2::from_shape((m, n), &mut c[..m * n]).expect("one entry a product");
    general_mat_mul(1.0, &left, &right, 1.0, &mut out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn multiplies_by_hand() {
        let a = FloatMatrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = FloatMatrix::new(3, 1, vec![1.0, 0.0, -1.0]);
        assert_eq!(a.multiply(&b).data, [-2.0, -2.0]);
        assert_eq!(a.row(1), [4.0, 5.0, 6.0]);
        assert_eq!(a.max_abs(), 6.0);
    }

    #[test]
    fn empty_shapes_multiply() {
        assert_eq!(FloatMatrix::zeros(0, 3).multiply(&FloatMatrix::zeros(3, 2)).data.len(), 0);
        assert_eq!(FloatMatrix::zeros(2, 0).multiply(&FloatMatrix::zeros(0, 2)).data, [0.0; 4]);
    }

    proptest! {
        #[test]
        fn agrees_with_loops(m in 1usize..9, k in 1usize..9, n in 1usize..9, step in 1usize..4, seed in any::<u32>()) {
            let entry = |i: usize| f64::from((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 20) - 2048.0;
            let a: Vec<f64> = (0..(m - 1) * step + k).map(entry).collect();
            let b: Vec<f64> = (0..k * n).map(|i| entry(i + 1000)).collect();
            let mut c = vec![1.0; m * n];
            multiply_add([m, k, n], (&a, step), &b, &mut c);
            for r in 0..m {
                for col in 0..n {
                    let sum: f64 = (0..k).map(|i| a[r * step + i] * b[i * n + col]).sum();
                    // Integers below 2^53: exact in any order of summation.
                    prop_assert_eq!(c[r * n + col], 1.0 + sum);
                }
            }
        }
    }
}
