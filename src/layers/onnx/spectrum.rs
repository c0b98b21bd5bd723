//! Fourier transforms: products with the cosines and sines of a window. A short-time transform is a convolution of the
//! samples; what is done with its two parts is found again in [`simplify`](super::simplify).
//!
//! Operators: <https://onnx.ai/onnx/operators/onnx__STFT.html>, <https://onnx.ai/onnx/operators/onnx__DFT.html>.

use std::f64::consts::PI;

use super::elementwise::single;
use super::fold_moves::axis_index;
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Data, Value, count};
use crate::error::ModelError;
use crate::layers::network::{Conv1d, Op};

/// Longest window: far beyond any front end's.
const MAX_LENGTH: usize = 1 << 14;

/// The real and the imaginary part of bin `j % bins` of a transform of `length` points, at sample `n`; the imaginary parts are
/// the second half of the columns.
fn entry(length: usize, bins: usize, n: usize, j: usize) -> f64 {
    // The product is reduced first: the angle stays below 2π and loses no precision.
    let angle = 2.0 * PI * ((j % bins) * n % length) as f64 / length as f64;
    if j < bins { angle.cos() } else { -angle.sin() }
}

impl Importer<'_> {
    /// A constant positive number of an input.
    fn whole(&mut self, node: &NodeView, input: usize) -> Result<Option<usize>, ModelError> {
        let Some(name) = node.input(input) else { return Ok(None) };
        let tensor = self.tensor(node, name)?;
        let number = single(&tensor).filter(|&x| (1.0..=MAX_LENGTH as f64).contains(&x) && x.fract() == 0.0);
        let help = || node.unsupported(format!("its lengths are constants of 1 to {MAX_LENGTH}"));
        number.map(|x| Some(x as usize)).ok_or_else(help)
    }

    pub(super) fn stft(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["onesided"])?;
        node.at_most_inputs(4)?;
        let step = self.whole(node, 1)?.ok_or_else(|| node.malformed("has no frame_step"))?;
        let window = match node.input(2) {
            Some(name) => Some(self.floats(node, name)?.1),
            None => None,
        };
        let length = match self.whole(node, 3)? {
            Some(length) => length,
            None => window.as_ref().map_or(0, Vec::len),
        };
        let window = window.unwrap_or_else(|| vec![1.0; length]);
        if window.len() != length || length == 0 || length > MAX_LENGTH {
            return Err(shape(node, format!("a window of {length} samples"), window.len()));
        }
        let bins = if node.int("onesided", 1)? != 0 { length / 2 + 1 } else { length };
        let mut data = self.first(node)?;
        if data.axes.len() == 3 && data.axes[2].is_empty() {
            data.axes.pop();
        }
        let samples = data.axes.len() == 2 && data.axes[0].is_empty() && data.axes[1] == data.rows;
        if !samples || data.rows.len() != 1 {
            return Err(shape(node, "the samples of one recording, [1, samples]", extents_of(&data.axes)));
        }
        self.spend(node, length.saturating_mul(2 * bins))?;
        let weight = (0..length).flat_map(|n| {
            let window = window[n];
            (0..2 * bins).map(move |j| window * entry(length, bins, n, j))
        });
        let conv = Conv1d {
            weight: weight.collect(),
            kernel: length,
            in_channels: 1,
            out_channels: 2 * bins,
            bias: vec![0.0; 2 * bins],
            stride: step,
            dilation: 1,
            pad_left: 0,
            pad_right: 0,
        };
        let frames = match count(&data.rows) {
            Some(samples) if samples < length => {
                return Err(shape(node, format!("at least {length} samples"), samples));
            }
            samples => samples.map(|samples| (samples - length) / step + 1),
        };
        let spectrum = self.push(node, &data, Op::Conv1d(conv));
        let (time, cols) = (self.axis(frames), self.axis(Some(2 * bins)));
        let axes = vec![vec![], time.clone(), cols.clone(), vec![]];
        self.parts(node, Data { axes, rows: time, cols, ..spectrum })
    }

    /// Columns of real and of imaginary parts, whose axis is before the last, as bins and parts.
    fn parts(&mut self, node: &NodeView, spectrum: Data) -> Result<Value, ModelError> {
        let mut data = spectrum;
        let at = data.axes.len().saturating_sub(2);
        let Some(&[columns]) = data.axes.get(at).and_then(|axis| <&[_; 1]>::try_from(&axis[..]).ok()) else {
            return Err(node.unsupported("a transform of one sample"));
        };
        let split = self.split(&mut data, columns, 2);
        let (part, bins) = split.split_at(1);
        data.axes.truncate(at);
        data.axes.extend([bins.to_vec(), part.to_vec()]);
        Ok(Value::Data(data))
    }

    /// A transform of real values along one axis; the axis after it is of extent 1.
    pub(super) fn dft(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis", "inverse", "onesided"])?;
        node.at_most_inputs(3)?;
        node.int_only("inverse", 0, "only transforms of real values can be imported")?;
        let mut data = self.first(node)?;
        let rank = data.axes.len();
        let axis = match node.input(2) {
            Some(name) => single(&*self.tensor(node, name)?).map(|axis| axis as i64),
            None if node.opset < 20 => Some(node.int("axis", 1)?),
            None => Some(-2),
        };
        let axis = axis.ok_or_else(|| node.unsupported("its axis must be a constant"))?;
        let axis = axis_index(node, axis, rank)?;
        let real = rank >= 2 && axis + 2 == rank && data.axes[rank - 1].is_empty();
        let Some(points) = count(&data.axes[axis]).filter(|_| real) else {
            return Err(shape(node, "real values, […, points, 1]", extents_of(&data.axes)));
        };
        let length = self.whole(node, 1)?.unwrap_or(points);
        if points > MAX_LENGTH {
            return Err(shape(node, format!("at most {MAX_LENGTH} points"), points));
        }
        let bins = if node.int("onesided", 0)? != 0 { length / 2 + 1 } else { length };
        self.spend(node, points.saturating_mul(2 * bins))?;
        // Points beyond the length are cut off, missing ones are zeros.
        let weight: Vec<f64> = (0..points)
            .flat_map(|n| (0..2 * bins).map(move |j| if n < length { entry(length, bins, n, j) } else { 0.0 }))
            .collect();
        data.axes.pop();
        let mut spectrum = self.dense(node, data, &weight, [points, 2 * bins], vec![0.0; 2 * bins])?;
        spectrum.axes.push(vec![]);
        self.parts(node, spectrum)
    }
}
