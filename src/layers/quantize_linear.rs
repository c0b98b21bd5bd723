//! Quantization of what is linear: dense layers, convolutions of images and sums become accumulators; what stands after them
//! is their finish.

use super::affine::Taps;
use super::linear_form::{Accumulator, Columns};
use super::matrix::FloatMatrix;
use super::network::{Conv1d, Conv2d, NodeRef};
use super::quantize::{Form, Quantizer};
use super::quantize_affine::After;
use super::quantize_rows::folded_conv;
use super::quantize_weights::split_taps;
use crate::error::ModelError;

impl Quantizer<'_> {
    pub(super) fn dense(
        &mut self,
        name: String,
        input: NodeRef,
        weight: &FloatMatrix,
        bias: &[f64],
    ) -> Result<Form, ModelError> {
        match self.form_of(input) {
            Form::Flat(parts) => return Ok(Form::Accumulator(name, self.flat_dense(&parts, weight, bias))),
            Form::Folded(value, parts) => {
                let sum = folded_conv(&value, parts, &Conv1d::pointwise(weight, bias));
                return Ok(Form::Accumulator(name, sum));
            }
            _ => {}
        }
        let value = self.columns(input)?;
        let sum = Accumulator::contract(&value, Taps::Same, false, std::slice::from_ref(weight), bias.to_vec());
        Ok(Form::Accumulator(name, sum))
    }

    pub(super) fn conv2d(&mut self, name: String, input: NodeRef, conv: &Conv2d) -> Result<Form, ModelError> {
        let [kernel, stride, dilation] = [conv.kernel, conv.stride, conv.dilation].map(|pair| pair.map(|x| x as u32));
        let padding = conv.padding.map(|x| x as u32);
        let taps = match (conv.image, dilation) {
            ([height, width], [1, 1]) if height > 0 => {
                Taps::Image { image: [height as u32, width as u32], kernel, stride, padding }
            }
            ([_, width], _) => Taps::Grid { width: width as u32, kernel, stride, dilation, padding },
        };
        // A tap that only takes the pixel itself is none.
        let same = (conv.kernel, conv.stride, conv.padding) == ([1, 1], [1, 1], [0; 4]);
        let taps = if same && conv.image[0] == 0 { Taps::Same } else { taps };
        let weights = split_taps(&conv.weight, conv.in_channels, conv.out_channels);
        let padded = conv.padding.iter().any(|&p| p > 0);
        let value = self.columns(input)?;
        Ok(Form::Accumulator(name, Accumulator::contract(&value, taps, padded, &weights, conv.bias.clone())))
    }

    pub(super) fn activation(&mut self, name: String, input: NodeRef, after: After) -> Result<Columns, ModelError> {
        let (name, sum) = self.accumulator(input, name)?;
        Ok(Columns::of(self.affine(name, sum, self.ranges.of(input), after)?))
    }

    /// A sum stays linear; if any summand is a contraction, all become one accumulator.
    pub(super) fn add(&mut self, at: usize, name: String) -> Result<Form, ModelError> {
        let inputs = &self.network.nodes[at].inputs;
        if inputs.iter().any(|&input| matches!(self.form_of(input), Form::Accumulator(..))) {
            let mut sum: Option<(String, Accumulator)> = None;
            for &input in inputs {
                let (first, next) = self.accumulator(input, name.clone())?;
                sum = Some(match sum {
                    Some((name, sum)) => (name, sum.add(next)),
                    None => (first, next),
                });
            }
            return sum.map(|(name, sum)| Form::Accumulator(name, sum)).ok_or_else(|| self.no_inputs(at));
        }
        let mut sum: Option<Columns> = None;
        for &input in inputs {
            let next = self.columns(input)?;
            sum = Some(match sum {
                Some(sum) => sum.add(next),
                None => next,
            });
        }
        sum.map(Form::Columns).ok_or_else(|| self.no_inputs(at))
    }
}
