//! Tables of integers that stay small until a challenge makes them field elements.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use crate::simd::Ints;

/// A machine integer that a table may hold.
pub trait SmallInt: Copy + Default + Send + Sync + Into<i128> + TryFrom<i128> + Ord + 'static {
    /// Number of 32-bit digits of `value + BIAS`.
    const DIGITS: usize;
    /// Added to make a value unsigned: `2^(bits − 1)`.
    const BIAS: u128;
    /// Digit `k` of `value + BIAS`, least significant first.
    fn biased_digit(self, k: usize) -> u32;
    /// The lowest bits of `value`: the same integer if it is in range.
    fn truncate(value: i128) -> Self;
    /// The slice for vector kernels, which have none for the widest type.
    fn ints(slice: &[Self]) -> Option<Ints<'_>>;
}

macro_rules! small_int {
    ($($int:ty, $unsigned:ty, $digits:literal, $variant:ident, $ints:expr;)*) => {$(
        impl SmallInt for $int {
            const DIGITS: usize = $digits;
            const BIAS: u128 = 1 << (<$int>::BITS - 1);
            #[inline(always)]
            fn biased_digit(self, k: usize) -> u32 {
                // Flipping the sign bit adds 2^(bits − 1) in two's complement.
                let biased = (self as $unsigned) ^ (1 << (<$int>::BITS - 1));
                ((biased as u128) >> (32 * k)) as u32
            }
            #[inline(always)]
            fn truncate(value: i128) -> Self {
                value as Self
            }
            fn ints(slice: &[Self]) -> Option<Ints<'_>> {
                let ints: fn(&[Self]) -> Option<Ints<'_>> = $ints;
                ints(slice)
            }
        }

        impl From<Vec<$int>> for IntVec {
            fn from(values: Vec<$int>) -> Self {
                Self::$variant(values)
            }
        }
    )*};
}

small_int! {
    i8, u8, 1, I8, |slice| Some(Ints::I8(slice));
    i16, u16, 1, I16, |slice| Some(Ints::I16(slice));
    i32, u32, 1, I32, |slice| Some(Ints::I32(slice));
    i64, u64, 2, I64, |slice| Some(Ints::I64(slice));
    i128, u128, 4, I128, |_| None;
}

/// A vector of integers of the narrowest machine type that its owner chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntVec {
    /// 8-bit integers.
    I8(Vec<i8>),
    /// 16-bit integers.
    I16(Vec<i16>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// 128-bit integers.
    I128(Vec<i128>),
}

/// Runs `$body` with `$slice` bound to the slice of whatever machine type `$vec` holds.
macro_rules! dispatch {
    ($vec:expr, $slice:ident => $body:expr) => {
        match $vec {
            $crate::sumcheck::int::IntVec::I8($slice) => $body,
            $crate::sumcheck::int::IntVec::I16($slice) => $body,
            $crate::sumcheck::int::IntVec::I32($slice) => $body,
            $crate::sumcheck::int::IntVec::I64($slice) => $body,
            $crate::sumcheck::int::IntVec::I128($slice) => $body,
        }
    };
}
pub(crate) use dispatch;

impl IntVec {
    /// `len` zeros of the narrowest type that holds every integer of `[low, high]`.
    #[must_use]
    pub fn zeros(len: usize, low: i128, high: i128) -> Self {
        let holds = |min: i128, max: i128| min <= low && high <= max;
        if holds(i8::MIN.into(), i8::MAX.into()) {
            Self::I8(vec![0; len])
        } else if holds(i16::MIN.into(), i16::MAX.into()) {
            Self::I16(vec![0; len])
        } else if holds(i32::MIN.into(), i32::MAX.into()) {
            Self::I32(vec![0; len])
        } else if holds(i64::MIN.into(), i64::MAX.into()) {
            Self::I64(vec![0; len])
        } else {
            Self::I128(vec![0; len])
        }
    }

    /// Packs `values` into the narrowest type that holds every integer of `[low, high]`, or `None`
    /// if one of them lies outside.
    #[must_use]
    pub fn pack(values: impl Iterator<Item = i128>, low: i128, high: i128) -> Option<Self> {
        fn collect<I: SmallInt>(values: impl Iterator<Item = i128>, low: i128, high: i128) -> Option<Vec<I>> {
            values.map(|v| if low <= v && v <= high { I::try_from(v).ok() } else { None }).collect()
        }
        let holds = |min: i128, max: i128| min <= low && high <= max;
        Some(if holds(i8::MIN.into(), i8::MAX.into()) {
            Self::I8(collect(values, low, high)?)
        } else if holds(i16::MIN.into(), i16::MAX.into()) {
            Self::I16(collect(values, low, high)?)
        } else if holds(i32::MIN.into(), i32::MAX.into()) {
            Self::I32(collect(values, low, high)?)
        } else if holds(i64::MIN.into(), i64::MAX.into()) {
            Self::I64(collect(values, low, high)?)
        } else {
            Self::I128(collect(values, low, high)?)
        })
    }

    /// Number of integers.
    #[must_use]
    pub fn len(&self) -> usize {
        dispatch!(self, v => v.len())
    }

    /// Whether there is no integer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integer at `index`.
    ///
    /// # Panics
    /// If `index` is out of range.
    #[must_use]
    pub fn get(&self, index: usize) -> i128 {
        dispatch!(self, v => v[index].into())
    }

    /// All integers, widened.
    pub fn iter(&self) -> Box<dyn Iterator<Item = i128> + '_> {
        dispatch!(self, v => Box::new(v.iter().map(|&x| x.into())))
    }

    /// The largest absolute value; 0 if there is no integer.
    #[must_use]
    pub fn largest(&self) -> u128 {
        dispatch!(self, values => {
            let zero = Default::default();
            // On narrow integers these are vector instructions.
            let (low, high) = values.iter().fold((zero, zero), |(low, high), &v| (v.min(low), v.max(high)));
            i128::from(low).unsigned_abs().max(i128::from(high).unsigned_abs())
        })
    }

    /// Bytes of one integer.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::I8(_) => 1,
            Self::I16(_) => 2,
            Self::I32(_) => 4,
            Self::I64(_) => 8,
            Self::I128(_) => 16,
        }
    }
}

/// A matrix of integers, row-major, without padding.
///
/// As a polynomial its index is `row · 2^c + column` with `2^c ≥ cols` and zeros outside, so a
/// point is a column point of `c` coordinates followed by a row point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntTable {
    rows: usize,
    cols: usize,
    values: IntVec,
}

impl IntTable {
    /// A matrix of `rows · cols` integers.
    ///
    /// # Panics
    /// If there is another number of values.
    #[must_use]
    pub fn new(rows: usize, cols: usize, values: IntVec) -> Self {
        assert_eq!(values.len(), rows * cols, "a {rows} × {cols} table has that many values");
        Self { rows, cols, values }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The integers, row by row.
    #[must_use]
    pub fn values(&self) -> &IntVec {
        &self.values
    }

    /// The integer at (`row`, `col`).
    ///
    /// # Panics
    /// If either is out of range.
    #[must_use]
    pub fn get(&self, row: usize, col: usize) -> i128 {
        assert!(col < self.cols, "column {col} of {}", self.cols);
        self.values.get(row * self.cols + col)
    }

    /// Replaces the integer at (`row`, `col`), widening the table if it has to.
    ///
    /// # Panics
    /// If either is out of range.
    pub fn set(&mut self, row: usize, col: usize, value: i128) {
        assert!(col < self.cols, "column {col} of {}", self.cols);
        let index = row * self.cols + col;
        let stored = dispatch!(&mut self.values, v => match value.try_into() {
            Ok(value) => { v[index] = value; true }
            Err(_) => false,
        });
        if !stored {
            let mut wide: Vec<i128> = self.values.iter().collect();
            wide[index] = value;
            self.values = IntVec::I128(wide);
        }
    }
}
