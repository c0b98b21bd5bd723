//! Input tensors instead of recordings, for networks that are not about audio.
//!
//! A tensor has a flat form of 16-bit integers, which is committed as the samples of a recording are. With `C` columns of the
//! network's input and `S` the power of two from `C` on:
//!
//! ```text
//! s[S·t + c] = round(2^f · x[t, c])   for c < C,    0 for the other c < S
//! ```
//!
//! `x[t, c]` is the tensor with its axes in the order in which they make up rows and columns. `f` is part of the model.
//! Rounding happens before anything is proved: the statement is about the integers.

use serde::{Deserialize, Serialize};

use crate::error::AudioError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::InputAxes;

/// Axes of a tensor, the batch left out.
pub const MAX_AXES: usize = 3;
/// Most columns of a network's input.
const MAX_COLUMNS: usize = 1 << 16;
/// Fraction bits that integers may have.
const FRACTION_BITS: std::ops::RangeInclusive<i8> = -15..=30;
/// How far values may go beyond the largest of the examples.
const MARGIN: f64 = 2.0;

/// A tensor as it is given: its extents and its values, the last axis innermost.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents.
    pub extents: Vec<usize>,
    /// As many values as the product of the extents.
    pub values: Vec<f64>,
}

/// How the input tensor of a network becomes integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInput {
    /// Extents of the axes but the batch; 0 for the one that is open, 1 beyond the last.
    extents: [u32; MAX_AXES],
    /// The axes in the order of rows and columns: those of rows first, the outermost first.
    order: [u8; MAX_AXES],
    /// How many of these are rows.
    rows: u8,
    /// `f`.
    pub fraction_bits: i8,
}

impl TensorInput {
    /// The input of a network that was read from a graph, for tensors like these: integers have as many fraction bits as
    /// leave room for values twice as large.
    ///
    /// # Errors
    /// [`AudioError::Tensor`] if there is no example, one has other extents, or values that are no numbers.
    pub fn new(axes: &InputAxes, examples: &[Tensor]) -> Result<Self, AudioError> {
        let inner = axes.extents.get(1..).unwrap_or_default();
        let order: Vec<usize> = axes.rows.iter().chain(&axes.columns).copied().collect();
        let unused = || (1..=MAX_AXES).filter(|axis| !order.contains(axis));
        let (mut extents, mut places) = ([1; MAX_AXES], [0; MAX_AXES]);
        for (to, extent) in extents.iter_mut().zip(inner) {
            *to = u32::try_from(extent.unwrap_or(0)).unwrap_or(u32::MAX);
        }
        // Axes of extent 1 are neither rows nor columns; they stand before the columns, where they change nothing.
        let columns = unused().chain(axes.columns.iter().copied());
        for (to, axis) in places.iter_mut().zip(axes.rows.iter().copied().chain(columns)) {
            *to = axis.saturating_sub(1) as u8;
        }
        let mut input = Self { extents, order: places, rows: axes.rows.len() as u8, fraction_bits: 0 };
        if inner.len() > MAX_AXES || !input.is_valid() {
            let reason = format!("a network that takes {:?} has no input tensor of this kind", axes.extents);
            return Err(AudioError::Tensor { reason });
        }
        let mut most = 0f64;
        for tensor in examples {
            input.rows_of(tensor)?;
            most = tensor.values.iter().fold(most, |most, value| most.max(value.abs()));
            if let Some(value) = tensor.values.iter().find(|value| !value.is_finite()) {
                return Err(AudioError::Tensor { reason: format!("it has the value {value}") });
            }
        }
        if examples.is_empty() {
            return Err(AudioError::Tensor { reason: "there is none to choose a scale by".into() });
        }
        let bits = (f64::from(i16::MAX) / (MARGIN * most)).log2().floor();
        input.fraction_bits = bits.clamp((*FRACTION_BITS.start()).into(), (*FRACTION_BITS.end()).into()) as i8;
        Ok(input)
    }

    /// Whether this is what [`TensorInput::new`] can make: a file may say anything.
    pub(crate) fn is_valid(&self) -> bool {
        let mut order = self.order;
        order.sort_unstable();
        let open = |axes: &[u8]| axes.iter().filter(|&&axis| self.extent(axis) == 0).count();
        let (rows, columns) = self.order.split_at(MAX_AXES.min(self.rows.into()));
        let size = |axes: &[u8]| {
            axes.iter()
                .try_fold(1usize, |n, &axis| n.checked_mul(self.extent(axis).max(1)).filter(|&n| n <= MAX_COLUMNS))
        };
        order == [0, 1, 2]
            && usize::from(self.rows) <= MAX_AXES
            && open(columns) == 0
            // Rows may be many, as those of an image are, but the outermost only may be open.
            && open(rows.get(1..).unwrap_or_default()) == 0
            && size(columns).is_some()
            && size(rows.get(1..).unwrap_or_default()).is_some()
            && FRACTION_BITS.contains(&self.fraction_bits)
    }

    fn extent(&self, axis: u8) -> usize {
        self.extents.get(usize::from(axis)).map_or(1, |&extent| extent as usize)
    }

    fn column_axes(&self) -> &[u8] {
        self.order.get(usize::from(self.rows)..).unwrap_or_default()
    }

    /// Columns of the network's input.
    #[must_use]
    pub fn columns(&self) -> usize {
        let columns = self.column_axes().iter().fold(1usize, |n, &axis| n.saturating_mul(self.extent(axis)));
        columns.clamp(1, MAX_COLUMNS)
    }

    /// Integers of a row: a power of two.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.columns().next_power_of_two()
    }

    /// What the tensor has to be, for people: extents with `?` for the one that is open.
    #[must_use]
    pub fn shape(&self) -> String {
        let used = self.extents.iter().rposition(|&extent| extent != 1).map_or(1, |last| last + 1);
        let extent = |&extent: &u32| if extent == 0 { "?".to_owned() } else { extent.to_string() };
        self.extents.iter().take(used).map(extent).collect::<Vec<_>>().join("x")
    }

    /// Extents of a tensor but for the batch, of which there may be one, and the rows that it has.
    fn rows_of(&self, tensor: &Tensor) -> Result<([usize; MAX_AXES], usize), AudioError> {
        let refuse = |reason: String| Err(AudioError::Tensor { reason });
        let found = &tensor.extents;
        if found.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent)) != Some(tensor.values.len()) {
            return refuse(format!("it has {} values for extents {found:?}", tensor.values.len()));
        }
        // With the batch or without, and axes of extent 1 beyond the last.
        let fits = |axes: &[usize]| {
            let mut extents = [1; MAX_AXES];
            let known = axes.len() <= MAX_AXES || axes.iter().skip(MAX_AXES).all(|&extent| extent == 1);
            extents.iter_mut().zip(axes).for_each(|(to, &extent)| *to = extent);
            let same = |(&wanted, &found): (&u32, &usize)| found > 0 && (wanted == 0 || wanted as usize == found);
            (known && self.extents.iter().zip(&extents).all(same)).then_some(extents)
        };
        let without_batch = found.split_first().filter(|(batch, _)| **batch == 1).map(|(_, rest)| rest);
        let Some(extents) = without_batch.and_then(fits).or_else(|| fits(found)) else {
            return refuse(format!("it has the extents {found:?}, and the network takes {}", self.shape()));
        };
        let rows = self.order.iter().take(self.rows.into()).map(|&axis| extents.get(usize::from(axis)).unwrap_or(&1));
        Ok((extents, rows.product()))
    }

    /// The integers of a tensor, in rows of [`TensorInput::stride`].
    ///
    /// # Errors
    /// [`AudioError::Tensor`] if it has other extents, or a value that 16 bits do not hold.
    pub fn integers(&self, tensor: &Tensor) -> Result<Vec<i16>, AudioError> {
        let (extents, rows) = self.rows_of(tensor)?;
        let mut steps = [1usize; MAX_AXES];
        for axis in (1..MAX_AXES).rev() {
            steps[axis - 1] = steps[axis] * extents[axis];
        }
        let (columns, stride) = (self.columns(), self.stride());
        let scale = f64::from(self.fraction_bits).exp2();
        let mut integers = vec![0; rows * stride];
        for row in 0..rows {
            for column in 0..columns {
                // The axes in order are the digits of row and column.
                let (mut rest, mut at) = (row * columns + column, 0);
                for &axis in self.order.iter().rev() {
                    let axis = usize::from(axis);
                    at += rest % extents[axis] * steps[axis];
                    rest /= extents[axis];
                }
                let scaled = (tensor.values[at] * scale).round();
                if !(f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&scaled) {
                    let (value, most) = (tensor.values[at], 32768.0 / scale);
                    let reason = format!("it has the value {value}, and the model takes those of at most {most}");
                    return Err(AudioError::Tensor { reason });
                }
                integers[row * stride + column] = scaled as i16;
            }
        }
        Ok(integers)
    }

    /// The network's input that integers stand for.
    #[must_use]
    pub fn values(&self, integers: &[i16]) -> FloatMatrix {
        let (stride, unit) = (self.stride(), f64::from(-self.fraction_bits).exp2());
        let at = |row: usize, column: usize| integers.get(row * stride + column).map_or(0.0, |&x| f64::from(x) * unit);
        FloatMatrix::from_fn(integers.len() / stride, self.columns(), at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axes(extents: &[Option<usize>], rows: &[usize], columns: &[usize]) -> InputAxes {
        InputAxes { extents: extents.to_vec(), rows: rows.to_vec(), columns: columns.to_vec() }
    }

    /// Entry (i, j, k) of a tensor has the value 100·i + 10·j + k.
    fn ramp(extents: &[usize]) -> Tensor {
        let digits = |mut rest: usize| {
            let mut value = 0;
            let mut unit = 1;
            for &extent in extents.iter().rev() {
                value += rest % extent * unit;
                rest /= extent;
                unit *= 10;
            }
            value as f64
        };
        Tensor { extents: extents.to_vec(), values: (0..extents.iter().product()).map(digits).collect() }
    }

    #[test]
    fn channels_of_an_image_are_columns() {
        let image = ramp(&[1, 3, 2, 4]);
        let input =
            TensorInput::new(&axes(&[None, Some(3), Some(2), Some(4)], &[2, 3], &[1]), std::slice::from_ref(&image))
                .unwrap();
        assert_eq!((input.columns(), input.stride(), input.shape()), (3, 4, "3x2x4".into()));
        assert_eq!(input.fraction_bits, 6, "213 · 2^6 · 2 is below 2^15");
        let integers = input.integers(&image).unwrap();
        assert_eq!(integers.len(), 8 * 4);
        let values = input.values(&integers);
        assert_eq!((values.rows, values.cols), (8, 3));
        assert_eq!(values.row(4 + 3), [13.0, 113.0, 213.0]);
        assert_eq!(integers[4 * 5 + 3], 0);
        // Without the batch it is the same tensor.
        assert_eq!(input.integers(&ramp(&[3, 2, 4])).unwrap(), integers);
    }

    #[test]
    fn an_open_axis_is_of_rows() {
        let features = ramp(&[1, 5, 3]);
        let open = axes(&[Some(1), None, Some(3)], &[1], &[2]);
        let input = TensorInput::new(&open, std::slice::from_ref(&features)).unwrap();
        assert_eq!(input.shape(), "?x3");
        for rows in [1, 2, 9] {
            let values = input.values(&input.integers(&ramp(&[rows, 3])).unwrap());
            assert_eq!((values.rows, values.row(rows - 1)[2]), (rows, (rows - 1) as f64 * 10.0 + 2.0));
        }
        // Channels first: the open axis is the innermost.
        let input = TensorInput::new(&axes(&[None, Some(3), None], &[2], &[1]), &[features]);
        assert!(input.is_err(), "extents 5 and 3 are not 3 and some");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let fixed = axes(&[Some(1), Some(4)], &[], &[1]);
        let input =
            TensorInput::new(&fixed, &[Tensor { extents: vec![4], values: vec![1.0, -2.0, 0.0, 0.5] }]).unwrap();
        assert_eq!((input.fraction_bits, input.shape()), (12, "4".into()));
        let tensor = |extents: &[usize], value: f64| Tensor {
            extents: extents.to_vec(),
            values: vec![value; extents.iter().product()],
        };
        assert!(input.integers(&tensor(&[1, 4], -8.0)).is_ok());
        for bad in
            [tensor(&[4], 8.0), tensor(&[4], f64::NAN), tensor(&[5], 0.0), tensor(&[2, 4], 0.0), tensor(&[], 0.0)]
        {
            assert!(matches!(input.integers(&bad), Err(AudioError::Tensor { .. })), "{bad:?}");
        }
        let short = Tensor { extents: vec![4], values: vec![0.0; 3] };
        assert!(input.integers(&short).is_err());
        assert!(TensorInput::new(&fixed, &[]).is_err());
        assert!(TensorInput::new(&fixed, &[tensor(&[4], f64::INFINITY)]).is_err());
        // Two open axes, and columns that are open.
        assert!(TensorInput::new(&axes(&[None, None, None], &[1], &[2]), &[tensor(&[2, 2], 1.0)]).is_err());
        assert!(TensorInput::new(&axes(&[None, Some(1 << 20)], &[], &[1]), &[tensor(&[1 << 20], 1.0)]).is_err());
    }

    /// What a file may say.
    #[test]
    fn inputs_that_no_network_has_are_not_valid() {
        let valid = TensorInput { extents: [0, 3, 4], order: [0, 1, 2], rows: 1, fraction_bits: 15 };
        assert!(valid.is_valid());
        let invalid = [
            TensorInput { extents: [u32::MAX; 3], ..valid },
            TensorInput { extents: [0, 0, 4], ..valid },
            TensorInput { order: [0, 1, 1], ..valid },
            TensorInput { order: [0, 1, 3], ..valid },
            TensorInput { rows: 4, ..valid },
            TensorInput { rows: 0, ..valid },
            TensorInput { fraction_bits: 31, ..valid },
            TensorInput { fraction_bits: i8::MIN, ..valid },
        ];
        for input in invalid {
            assert!(!input.is_valid(), "{input:?}");
            assert!(input.stride() <= MAX_COLUMNS, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn integers_and_back(rows in 1usize..6, columns in 1usize..20, most in 1e-3f64..1e3) {
            let values: Vec<f64> = (0..rows * columns).map(|i| most * ((i * 7 % 13) as f64 / 6.0 - 1.0)).collect();
            let tensor = Tensor { extents: vec![1, rows, columns], values };
            let input = TensorInput::new(&axes(&[None, None, Some(columns)], &[1], &[2]), std::slice::from_ref(&tensor)).unwrap();
            let back = input.values(&input.integers(&tensor).unwrap());
            let step = f64::from(-input.fraction_bits).exp2();
            prop_assert_eq!((back.rows, back.cols), (rows, columns));
            for (a, b) in back.data.iter().zip(&tensor.values) {
                prop_assert!((a - b).abs() <= step / 2.0);
            }
        }
    }
}
