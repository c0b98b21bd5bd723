//! `MelWeightMatrix`: a filterbank of triangles on the mel scale `2595·log10(1 + f/700)`, whose corners are rounded down to bins
//! of the transform. Operator: <https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html>.

use super::elementwise::single;
use super::fold::size;
use super::node::NodeView;
use super::tensor::{Tensor, Values};
use crate::error::ModelError;

/// The matrix, \[bins × bands\]; `None` if an operand is no single number.
pub(super) fn weights(node: &NodeView, inputs: &[Option<&Tensor>], room: usize) -> Result<Option<Tensor>, ModelError> {
    let number = |i: usize| inputs.get(i).copied().flatten().and_then(single);
    let operands = [number(0), number(1), number(2), number(3), number(4)];
    let [Some(bands), Some(length), Some(rate), Some(low), Some(high)] = operands else { return Ok(None) };
    let whole = |x: f64| (1.0..1e9).contains(&x) && x.fract() == 0.0;
    if !(whole(bands) && whole(length) && whole(rate) && low >= 0.0 && high > low && high.is_finite()) {
        return Err(node.malformed("has bands, a length, a rate or edges that make no filterbank"));
    }
    let (bands, bins) = (bands as usize, length as usize / 2 + 1);
    size(node, &[bins, bands], room)?;
    let mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
    let step = (mel(high) - mel(low)) / (bands + 2) as f64;
    // The corner of number i, as a bin.
    let corner = |i: usize| {
        let hertz = 700.0 * (10f64.powf((mel(low) + step * i as f64) / 2595.0) - 1.0);
        ((length + 1.0) * hertz / rate).floor() as i64
    };
    let mut values = vec![0.0; bins * bands];
    for band in 0..bands {
        let [lower, centre, upper] = [0, 1, 2].map(|i| corner(band + i));
        let weight = |bin: i64| match bin {
            _ if bin == centre && lower == centre => 1.0,
            _ if (lower..=centre).contains(&bin) && lower < centre => (bin - lower) as f64 / (centre - lower) as f64,
            _ if (centre..upper).contains(&bin) => (upper - bin) as f64 / (upper - centre) as f64,
            _ => 0.0,
        };
        for (bin, value) in values.iter_mut().skip(band).step_by(bands).enumerate() {
            *value = weight(bin as i64);
        }
    }
    Ok(Some(Tensor { dims: vec![bins, bands], values: Values::Float(values) }))
}
