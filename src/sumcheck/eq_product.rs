//! `eq`-weighted products of integer matrices: the first rounds work on the integers.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use super::batch::Instance;
use super::eq::{SplitEq, eq_prefix, eq_table};
use super::int::{IntTable, SmallInt, dispatch};
use super::kernels::{Product, add, bind_into};
use super::par;
use super::rounds::{evaluate, times_linear};
use super::small::{SmallField, fold_windows};
use super::small_rounds::{Grid, VARS, WINDOW};
use crate::simd::LANES;

/// A matrix operand of [`EqProduct`]: integers until the first challenge, field elements after.
enum Operand<'a, F> {
    Int(&'a IntTable),
    Field(Vec<F>),
}

/// `Σ_{t,c} ω(t) · eq(r, c) · a[t,c] · b[t,c]` for integer matrices `a` and `b`, any row weights `ω`
/// and a point `r` on the columns.
///
/// Columns are bound first, with `eq` factored out of the messages (Gruen 2024). Three rounds come from a
/// grid of sums where the integers are small enough, else one works on the integers. Once there are few columns,
/// three tables of all entries are left.
pub struct EqProduct<'a, F> {
    row_vars: usize,
    cols: usize,
    a: Operand<'a, F>,
    b: Operand<'a, F>,
    row_weights: Vec<F>,
    point: Vec<F>,
    eq: SplitEq<F>,
    /// The first rounds, as long as their variables are not bound, and the challenges for them.
    grid: Option<Grid<F>>,
    challenges: Vec<F>,
    /// Number of column variables bound, and `eq` of the bound part.
    bound: usize,
    bound_eq: F,
    /// What remains once few columns are left.
    rest: Option<Product<F, 3>>,
}

/// Columns that are bound with the rows: too few of them for kernels that work on one row at a time.
const FEW_COLUMNS: usize = LANES;

impl<'a, F: SmallField> EqProduct<'a, F> {
    /// The sum over all entries of two matrices of one shape; the rows have `row_vars` variables.
    ///
    /// # Panics
    /// If the shapes, the weights or the point do not fit.
    #[must_use]
    pub fn new(a: &'a IntTable, b: &'a IntTable, row_vars: usize, row_weights: Vec<F>, point: Vec<F>) -> Self {
        assert_eq!((a.rows(), a.cols()), (b.rows(), b.cols()), "operands of one shape");
        assert_eq!(row_weights.len(), a.rows(), "one weight a row");
        assert!(a.rows() <= 1 << row_vars && a.cols() <= 1 << point.len(), "the matrix fits its variables");
        let eq = SplitEq::new(&point);
        let windows = eq_prefix(point.get(VARS..).unwrap_or(&[]), a.cols().div_ceil(WINDOW));
        let mut this = Self {
            row_vars,
            cols: a.cols(),
            a: Operand::Int(a),
            b: Operand::Int(b),
            grid: Grid::new(a, b, &row_weights, &windows),
            row_weights,
            point,
            eq,
            challenges: Vec::new(),
            bound: 0,
            bound_eq: F::ONE,
            rest: None,
        };
        if this.point.is_empty() {
            this.a = Operand::Field(widen(a));
            this.b = Operand::Field(widen(b));
            this.start_rest();
        }
        this
    }

    /// The values of `a` and `b` once every variable is bound.
    ///
    /// # Panics
    /// If a variable is unbound.
    #[must_use]
    pub fn values(&self) -> [F; 2] {
        let [_, a, b] = self.rest.as_ref().expect("the columns are bound").values();
        [a, b]
    }

    /// Whether few columns are left, one for every corner of their variables, and all of them field elements.
    fn has_few_columns(&self) -> bool {
        let corners = 1usize.checked_shl((self.point.len() - self.bound) as u32);
        self.cols <= FEW_COLUMNS && corners == Some(self.cols) && matches!(self.a, Operand::Field(_))
    }

    fn start_rest(&mut self) {
        let take = |operand: &mut Operand<'a, F>| match std::mem::replace(operand, Operand::Field(Vec::new())) {
            Operand::Field(values) => values,
            Operand::Int(_) => unreachable!("binding a column makes field elements"),
        };
        let (a, b) = (take(&mut self.a), take(&mut self.b));
        let rest = &self.point[self.bound..];
        let columns: Vec<F> = eq_table(rest).into_iter().map(|eq| eq * self.bound_eq).collect();
        let rows = std::mem::take(&mut self.row_weights);
        let weights = rows.iter().flat_map(|&row| columns.iter().map(move |&column| row * column)).collect();
        self.rest = Some(Product::new(self.row_vars + rest.len(), [weights, a, b]));
    }

    /// Values at 0 and leading coefficients of `Σ_j eq(suffix, j)·a(X, j)·b(X, j)` in row `t`.
    fn row(&self, t: usize) -> [F; 2] {
        let (low, high) = self.eq.suffix(self.bound + 1);
        let range = t * self.cols..(t + 1) * self.cols;
        match (&self.a, &self.b) {
            (Operand::Int(a), Operand::Int(b)) => dispatch!(a.values(), a => dispatch!(b.values(), b =>
                int_row(&a[range.clone()], &b[range], low, high))),
            (Operand::Field(a), Operand::Field(b)) => {
                let (a, b) = (&a[range.clone()], &b[range]);
                field_row(a, b, low, high)
            }
            _ => unreachable!("both operands are bound together"),
        }
    }
}

/// [`EqProduct::row`] on field elements.
fn field_row<F: SmallField>(a: &[F], b: &[F], low: &[F], high: &[F]) -> [F; 2] {
    let run = 2 * low.len();
    let mut out = [F::ZERO; 2];
    for ((a, b), &high) in a.chunks(run).zip(b.chunks(run)).zip(high) {
        let mut sum = [F::ZERO; 2];
        let ((a, a_last), (b, b_last)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
        let pairs = a.len();
        let mut done = 0;
        if let Some(kernels) = F::product_kernels().filter(|_| pairs >= LANES) {
            done = pairs - pairs % LANES;
            sum = kernels.weighted_sums(&low[..done], &a[..done], &b[..done]);
        }
        for ((a, b), &weight) in a[done..].iter().zip(&b[done..]).zip(&low[done..]) {
            let a0 = a[0] * weight;
            let slope = a[1] * weight - a0;
            sum = [sum[0].plus(a0 * b[0]), sum[1].plus(slope * b[1].minus(b[0]))];
        }
        if let (&[a], &[b]) = (a_last, b_last) {
            // An odd last entry is followed by zero.
            let product = a * b * low[pairs];
            sum = [sum[0] + product, sum[1] + product];
        }
        out = [out[0].plus(sum[0] * high), out[1].plus(sum[1] * high)];
    }
    out
}

/// [`EqProduct::row`] on integers: the products are taken before anything is a field element.
fn int_row<F: SmallField, A: SmallInt, B: SmallInt>(a: &[A], b: &[B], low: &[F], high: &[F]) -> [F; 2] {
    let run = 2 * low.len();
    let mut out = [F::ZERO; 2];
    for ((a, b), &high) in a.chunks(run).zip(b.chunks(run)).zip(high) {
        let mut sums = [Signed::<F>::default(); 2];
        let [at_0, leading] = &mut sums;
        let ((a, a_last), (b, b_last)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
        for ((a, b), weight) in a.iter().zip(b).zip(low) {
            let ([a0, a1], [b0, b1]) = (a.map(Into::<i128>::into), b.map(Into::<i128>::into));
            at_0.add_product(weight, a0, b0);
            leading.add_product(weight, a1 - a0, b1 - b0);
        }
        if let (&[x], &[y]) = (a_last, b_last) {
            // An odd last entry is followed by zero.
            at_0.add_product(&low[a.len()], x.into(), y.into());
            leading.add_product(&low[a.len()], x.into(), y.into());
        }
        out = [out[0] + sums[0].value() * high, out[1] + sums[1].value() * high];
    }
    out
}

/// A running sum of `element · (x · y)` for signed integers, kept as a positive and a negative part.
#[derive(Clone, Copy)]
struct Signed<F: SmallField> {
    digits: [[F::Sum; 4]; 2],
    wide: F,
}

impl<F: SmallField> Default for Signed<F> {
    fn default() -> Self {
        Self { digits: [[F::Sum::default(); 4]; 2], wide: F::ZERO }
    }
}

impl<F: SmallField> Signed<F> {
    #[inline(always)]
    fn add_product(&mut self, element: &F, x: i128, y: i128) {
        let Some(product) = x.checked_mul(y) else {
            self.wide += *element * F::from(x) * F::from(y);
            return;
        };
        let sums = &mut self.digits[usize::from(product < 0)];
        let mut magnitude = product.unsigned_abs();
        for sum in sums {
            F::add_scaled(sum, element, magnitude as u32);
            magnitude >>= 32;
            if magnitude == 0 {
                break;
            }
        }
    }

    fn value(&self) -> F {
        let base = F::from(1u64 << 32);
        let [positive, negative] =
            self.digits.map(|sums| sums.iter().rev().fold(F::ZERO, |high, sum| high * base + F::reduce(sum)));
        positive - negative + self.wide
    }
}

fn widen<F: SmallField>(table: &IntTable) -> Vec<F> {
    table.values().iter().map(F::from).collect()
}

/// Rows that one task binds or sums.
const ROWS: usize = 16;

/// Binds the lowest column variable of every row to `r`.
fn bind_cols<F: SmallField>(operand: &Operand<'_, F>, rows: usize, cols: usize, r: F) -> Vec<F> {
    let half = cols.div_ceil(2);
    let mut out = vec![F::ZERO; rows * half];
    par::for_chunks_mut(&mut out, ROWS * half, |block, out| {
        for (t, out) in (block * ROWS..).zip(out.chunks_mut(half)) {
            let row = t * cols..(t + 1) * cols;
            match operand {
                Operand::Int(table) => dispatch!(table.values(), values => bind_integers(&values[row], r, out)),
                Operand::Field(values) => bind_into(&values[row], r, out),
            }
        }
    });
    out
}

/// [`bind_into`] for integers.
fn bind_integers<F: SmallField, I: SmallInt>(row: &[I], r: F, out: &mut [F]) {
    for (j, out) in out.iter_mut().enumerate() {
        let low: i128 = row[2 * j].into();
        let high: i128 = row.get(2 * j + 1).map_or(0, |&x| x.into());
        *out = F::from(low) + r * F::from(high - low);
    }
}

impl<F: SmallField> Instance<F> for EqProduct<'_, F> {
    fn num_vars(&self) -> usize {
        match &self.rest {
            Some(rest) => rest.num_vars(),
            None => self.row_vars + self.point.len() - self.bound,
        }
    }

    fn round(&mut self, claim: F) -> Vec<F> {
        if let Some(rest) = &mut self.rest {
            return rest.round(claim);
        }
        let w = self.point[self.bound];
        let (l0, l1) = (self.bound_eq * (F::ONE - w), self.bound_eq * w);
        if let Some(grid) = &self.grid {
            let [at_0, at_1, leading] = grid.round(&self.point[self.bound + 1..]);
            return times_linear(l0, l1 - l0, [at_0, at_1 - at_0 - leading, leading]).to_vec();
        }
        let rows = self.row_weights.len();
        let sums = par::map(rows.div_ceil(ROWS), |chunk| {
            (chunk * ROWS..((chunk + 1) * ROWS).min(rows))
                .map(|t| self.row(t).map(|x| x * self.row_weights[t]))
                .fold([F::ZERO; 2], add)
        });
        let [at_0, leading] = sums.into_iter().fold([F::ZERO; 2], add);
        // s(X) = bound_eq·(w X + (1−w)(1−X))·t(X), and s(0) + s(1) = claim gives t(1).
        let Some(inverse) = l1.inverse() else {
            // Then s(1) = 0 whatever t(1) is, and s is l0·(1 − X)·t(X) for any t with the right t(0):
            // its other coefficients still matter, so find t(1) from the definition.
            return self.round_directly(at_0, leading, l0);
        };
        let at_1 = (claim - l0 * at_0) * inverse;
        times_linear(l0, l1 - l0, [at_0, at_1 - at_0 - leading, leading]).to_vec()
    }

    fn bind(&mut self, r: F) {
        if let Some(rest) = &mut self.rest {
            return rest.bind(r);
        }
        self.bind_operands(r);
        let w = self.point[self.bound];
        self.bound_eq *= evaluate(&[F::ONE - w, w.double() - F::ONE], r);
        self.bound += 1;
        if self.has_few_columns() {
            self.start_rest();
        }
    }
}

impl<F: SmallField> EqProduct<'_, F> {
    fn bind_operands(&mut self, r: F) {
        let rows = self.row_weights.len();
        let Some(grid) = &mut self.grid else {
            self.a = Operand::Field(bind_cols(&self.a, rows, self.cols, r));
            self.b = Operand::Field(bind_cols(&self.b, rows, self.cols, r));
            self.cols = self.cols.div_ceil(2);
            return;
        };
        grid.bind(r);
        self.challenges.push(r);
        if grid.num_vars() == 0 {
            let eq = eq_table(&self.challenges);
            for operand in [&mut self.a, &mut self.b] {
                if let Operand::Int(table) = operand {
                    *operand = Operand::Field(fold_windows(table, &eq));
                }
            }
            self.cols = self.cols.div_ceil(eq.len());
            self.grid = None;
        }
    }

    /// The round polynomial when the point's coordinate is zero and `t(1)` cannot be derived.
    fn round_directly(&self, at_0: F, leading: F, l0: F) -> Vec<F> {
        let rows = self.row_weights.len();
        let a = bind_cols(&self.a, rows, self.cols, F::ONE);
        let b = bind_cols(&self.b, rows, self.cols, F::ONE);
        let (low, high) = self.eq.suffix(self.bound + 1);
        let half = self.cols.div_ceil(2);
        let at_1: F = (0..rows * half)
            .map(|i| a[i] * b[i] * self.row_weights[i / half] * low[i % half % low.len()] * high[i % half / low.len()])
            .sum();
        times_linear(l0, -l0, [at_0, at_1 - at_0 - leading, leading]).to_vec()
    }
}
