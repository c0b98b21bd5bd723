//! Operators that are layers by themselves.

use super::import::Importer;
use super::node::NodeView;
use super::value::{Axis, Data, Value};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::{Conv1d, Conv2d, MaxPool2d, Op};

use Axis::{Batch, Channel, Height, Time, Width};

/// The error for two shapes that must agree.
pub(super) fn shape(node: &NodeView, expected: impl Into<String>, found: impl std::fmt::Debug) -> ModelError {
    ModelError::Shape { layer: node.name.clone(), expected: expected.into(), found: format!("{found:?}") }
}

/// `rows × cols` from `values[c·rows + r]`.
fn transposed(values: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    FloatMatrix::from_fn(rows, cols, |r, c| values[c * rows + r]).data
}

impl<'a> Importer<'a> {
    /// An operator that maps every number, such as Relu.
    pub(super) fn activation(&mut self, node: &NodeView, op: Op) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let data = self.data(node, node.required_input(0)?)?;
        Ok(Value::Data(self.push(node, &data, op)))
    }

    /// A constant vector of `len` numbers.
    fn vector(&mut self, node: &NodeView, input: usize, len: usize) -> Result<Vec<f64>, ModelError> {
        let name = node.required_input(input)?;
        let (dims, values) = self.floats(node, name)?;
        if dims != [len] {
            return Err(shape(node, format!("{name:?}: [{len}]"), dims));
        }
        Ok(values)
    }

    pub(super) fn batch_normalization(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["epsilon", "momentum", "training_mode", "spatial"])?;
        node.at_most_inputs(5)?;
        node.int_only("training_mode", 0, "export the model after model.eval()")?;
        node.int_only("spatial", 1, "export the model with a newer opset")?;
        let epsilon = node.float("epsilon", 1e-5)?;
        let data = self.data(node, node.required_input(0)?)?;
        if data.axes.get(1) != Some(&Channel) || data.flattened.is_some() {
            return Err(shape(node, "channels at axis 1", &data.axes));
        }
        let gamma = self.vector(node, 1, data.columns)?;
        let beta = self.vector(node, 2, data.columns)?;
        let mean = self.vector(node, 3, data.columns)?;
        let variance = self.vector(node, 4, data.columns)?;
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        let shift = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        self.affine(node, &data, scale, shift)
    }

    pub(super) fn instance_normalization(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["epsilon"])?;
        node.at_most_inputs(3)?;
        let epsilon = node.float("epsilon", 1e-5)?;
        let data = self.data(node, node.required_input(0)?)?;
        if data.axes != [Batch, Channel, Time] || data.single_row {
            return Err(shape(node, "[Batch, Channel, Time]", &data.axes));
        }
        let (scale, shift) = (self.vector(node, 1, data.columns)?, self.vector(node, 2, data.columns)?);
        let normed = self.push(node, &data, Op::InstanceNorm { epsilon });
        if scale.iter().all(|&a| a == 1.0) && shift.iter().all(|&s| s == 0.0) {
            return Ok(Value::Data(normed));
        }
        self.affine(node, &normed, scale, shift)
    }

    /// Adds y = scale · x + shift, refusing factors that are not finite.
    pub(super) fn affine(
        &mut self,
        node: &NodeView,
        data: &Data,
        scale: Vec<f64>,
        shift: Vec<f64>,
    ) -> Result<Value, ModelError> {
        if !scale.iter().chain(&shift).all(|x| x.is_finite()) {
            return Err(node.malformed("divides by zero or by a negative variance"));
        }
        Ok(Value::Data(self.push(node, data, Op::Affine { scale, shift })))
    }

    pub(super) fn gemm(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["alpha", "beta", "transA", "transB"])?;
        node.at_most_inputs(3)?;
        node.int_only("transA", 0, "export the layer as Linear")?;
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        let data = self.data(node, node.required_input(0)?)?;
        if data.axes != [Batch, Channel] {
            return Err(shape(node, "one row per sequence, [Batch, Channel]", &data.axes));
        }
        let (dims, weight) = self.floats(node, node.required_input(1)?)?;
        let transposed_weight = node.int("transB", 0)? != 0;
        let (rows, cols) = match (&dims[..], transposed_weight) {
            (&[rows, cols], false) | (&[cols, rows], true) => (rows, cols),
            _ => return Err(shape(node, "a matrix of weights", dims)),
        };
        if rows != data.columns || cols == 0 {
            return Err(shape(node, format!("{} rows of weights", data.columns), [rows, cols]));
        }
        let weight = if transposed_weight { transposed(&weight, rows, cols) } else { weight };
        let at = |r: usize, c: usize| alpha * weight[r * cols + c];
        let weight = match data.flattened {
            // Columns are (pixel, channel) here and (channel, pixel) in the file.
            Some(channels) => {
                FloatMatrix::from_fn(rows, cols, |r, c| at(r % channels * (rows / channels) + r / channels, c))
            }
            None => FloatMatrix::from_fn(rows, cols, at),
        };
        let mut bias = vec![0.0; cols];
        if let Some(name) = node.input(2) {
            let (dims, values) = self.floats(node, name)?;
            let fits = matches!(dims[..], [] | [_] | [1, _]) && [1, cols].contains(&values.len());
            if !fits {
                return Err(shape(node, format!("a bias of {cols}"), dims));
            }
            bias.iter_mut().zip(values.iter().cycle()).for_each(|(b, x)| *b = beta * x);
        }
        let dense = self.push(node, &data, Op::Dense { weight, bias });
        Ok(Value::Data(Data { columns: cols, flattened: None, ..dense }))
    }

    pub(super) fn conv(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"])?;
        node.at_most_inputs(3)?;
        node.int_only("group", 1, "grouped convolutions cannot be imported yet")?;
        explicit_padding(node)?;
        let data = self.data(node, node.required_input(0)?)?;
        let (dims, weight) = self.floats(node, node.required_input(1)?)?;
        let kernel_shape: Vec<i64> = dims.iter().skip(2).map(|&k| i64::try_from(k).unwrap_or(i64::MAX)).collect();
        if node.ints("kernel_shape").is_some_and(|given| given != kernel_shape) {
            return Err(shape(node, format!("kernel_shape {kernel_shape:?}"), node.ints("kernel_shape")));
        }
        if dims.contains(&0) || dims.get(1) != Some(&data.columns) {
            let expected = format!("weights for {} channels", data.columns);
            return Err(shape(node, expected, dims));
        }
        let out_channels = dims[0];
        let bias = match node.input(2) {
            Some(_) => self.vector(node, 2, out_channels)?,
            None => vec![0.0; out_channels],
        };
        match (&data.axes[..], &dims[2..]) {
            ([Batch, Channel, Time], &[kernel]) => self.conv1d(node, &data, kernel, out_channels, &weight, bias),
            ([Batch, Channel, Height, Width], &[height, width]) => {
                self.conv2d(node, &data, [height, width], out_channels, &weight, bias)
            }
            _ => Err(shape(node, "[Batch, Channel, Time] or [Batch, Channel, Height, Width]", &data.axes)),
        }
    }

    fn conv1d(
        &mut self,
        node: &NodeView,
        data: &Data,
        kernel: usize,
        out_channels: usize,
        weight: &[f64],
        bias: Vec<f64>,
    ) -> Result<Value, ModelError> {
        let [pad_left, pad_right] = node.sizes("pads", [0; 2], 0)?;
        let [stride] = node.sizes("strides", [1], 1)?;
        let [dilation] = node.sizes("dilations", [1], 1)?;
        let in_channels = data.columns;
        let conv = Conv1d {
            weight: taps_first(weight, out_channels, in_channels, kernel),
            kernel,
            in_channels,
            out_channels,
            bias,
            stride,
            dilation,
            pad_left,
            pad_right,
        };
        if conv.span().is_none_or(|span| pad_left.max(pad_right) >= span) {
            return Err(node.refuse("pads", format!("[{pad_left}, {pad_right}]"), "pad less than the kernel spans"));
        }
        // Only a single tap keeps a single row what it is.
        let single_row = data.single_row && (kernel, pad_left, pad_right) == (1, 0, 0);
        let result = self.push(node, data, Op::Conv1d(conv));
        Ok(Value::Data(Data { columns: out_channels, single_row, ..result }))
    }

    fn conv2d(
        &mut self,
        node: &NodeView,
        data: &Data,
        kernel: [usize; 2],
        out_channels: usize,
        weight: &[f64],
        bias: Vec<f64>,
    ) -> Result<Value, ModelError> {
        let dilation = node.sizes("dilations", [1; 2], 1)?;
        if dilation != [1, 1] {
            let help = "dilated 2-D convolutions cannot be imported yet";
            return Err(node.refuse("dilations", format!("{dilation:?}"), help));
        }
        let in_channels = data.columns;
        let conv = Conv2d {
            image: data.image.unwrap_or_default(),
            weight: taps_first(weight, out_channels, in_channels, kernel[0] * kernel[1]),
            kernel,
            in_channels,
            out_channels,
            bias,
            stride: node.sizes("strides", [1; 2], 1)?,
            padding: node.sizes("pads", [0; 4], 0)?,
        };
        let image = conv
            .output_image()
            .ok_or_else(|| shape(node, format!("an image that holds the kernel {kernel:?}"), data.image))?;
        let result = self.push(node, data, Op::Conv2d(conv));
        Ok(Value::Data(Data { columns: out_channels, image: Some(image), ..result }))
    }

    pub(super) fn max_pool(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"])?;
        node.at_most_inputs(1)?;
        explicit_padding(node)?;
        node.int_only("ceil_mode", 0, "export the layer with ceil_mode=False")?;
        let data = self.data(node, node.required_input(0)?)?;
        if data.axes == [Batch, Channel, Time] && !data.single_row {
            return self.max_pool_over_time(node, &data);
        }
        let ([Batch, Channel, Height, Width], Some(image)) = (&data.axes[..], data.image) else {
            return Err(shape(node, "[Batch, Channel, Time] or [Batch, Channel, Height, Width]", &data.axes));
        };
        let dilation = node.sizes("dilations", [1; 2], 1)?;
        if dilation != [1, 1] {
            return Err(node.refuse("dilations", format!("{dilation:?}"), "use dilation 1"));
        }
        let pool = MaxPool2d {
            image,
            kernel: node.sizes("kernel_shape", [0; 2], 1)?,
            stride: node.sizes("strides", [1; 2], 1)?,
            padding: node.sizes("pads", [0; 4], 0)?,
        };
        let after = pool
            .output_image()
            .ok_or_else(|| shape(node, format!("an image that holds the patch {:?}", pool.kernel), image))?;
        let result = self.push(node, &data, Op::MaxPool2d(pool));
        Ok(Value::Data(Data { image: Some(after), ..result }))
    }

    fn max_pool_over_time(&mut self, node: &NodeView, data: &Data) -> Result<Value, ModelError> {
        let pads: [usize; 2] = node.sizes("pads", [0; 2], 0)?;
        if pads != [0, 0] || node.sizes("dilations", [1], 1)? != [1] {
            return Err(node.refuse("pads", format!("{pads:?}"), "pool over time without padding, with dilation 1"));
        }
        let [kernel] = node.sizes("kernel_shape", [0], 1)?;
        let [stride] = node.sizes("strides", [1], 1)?;
        Ok(Value::Data(self.push(node, data, Op::MaxPool1d { kernel, stride })))
    }

    pub(super) fn flatten(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        node.at_most_inputs(1)?;
        node.int_only("axis", 1, "flatten from axis 1")?;
        let data = self.data(node, node.required_input(0)?)?;
        let columns = match (&data.axes[..], data.image) {
            ([Batch, Channel], _) => return Ok(Value::Data(data)),
            ([Batch, Channel, Height, Width], Some([height, width])) => {
                height.checked_mul(width).and_then(|pixels| pixels.checked_mul(data.columns))
            }
            _ => None,
        };
        let Some(columns) = columns else {
            return Err(shape(node, "an image, [Batch, Channel, Height, Width]", &data.axes));
        };
        let result = self.push(node, &data, Op::Flatten);
        Ok(Value::Data(Data {
            axes: vec![Batch, Channel],
            columns,
            single_row: true,
            image: None,
            flattened: Some(data.columns),
            ..result
        }))
    }
}

/// \[tap\]\[in\]\[out\] from \[out\]\[in\]\[tap\].
fn taps_first(weight: &[f64], outer: usize, inner: usize, taps: usize) -> Vec<f64> {
    let tap = |k: usize| (0..inner * outer).map(move |i| weight[(i % outer * inner + i / outer) * taps + k]);
    (0..taps).flat_map(tap).collect()
}

fn explicit_padding(node: &NodeView) -> Result<(), ModelError> {
    match node.text("auto_pad", "NOTSET")? {
        "NOTSET" => Ok(()),
        "VALID" if !node.has("pads") => Ok(()),
        other => Err(node.refuse("auto_pad", other, "export the model with explicit pads")),
    }
}
