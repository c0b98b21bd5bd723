//! Convolutions, pooling, and the zeros around images.
//!
//! Padding SAME puts as many zeros around an image as give ⌈n/s⌉ windows, for an extent n and a stride s, the odd one at the end:
//!
//! ```text
//! p = max(0, (⌈n/s⌉ − 1)·s + (k − 1)·d + 1 − n)        ⌊p/2⌋ before, ⌈p/2⌉ after
//! ```

use super::flatbuffer::Table;
use super::graph::{Layout, Value, Writer, ints};
use super::operators::{activated, activation, options, order, same_kind};
use super::schema::Operator;
use crate::error::ModelError;
use crate::layers::onnx::proto::AttributeProto;

/// A window over height and width.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Before and after, of height and width.
    pads: [[usize; 2]; 2],
    /// Positions.
    outputs: [usize; 2],
}

impl Window {
    /// The window that settings say, of these fields: stride of width and height, dilation of width and height.
    fn read(
        operator: &Operator,
        settings: &Table,
        (extents, kernel): ([usize; 2], [usize; 2]),
        dilations: Option<[usize; 2]>,
    ) -> Result<Self, ModelError> {
        let positive = |field: usize, default: i32| {
            let found = settings.number(field, default)?;
            let value = usize::try_from(found).ok().filter(|&value| (1..=1 << 16).contains(&value));
            value.ok_or_else(|| operator.refuse("stride or dilation", found, "a number from 1 to 65536 is needed"))
        };
        let stride = [positive(2, 0)?, positive(1, 0)?];
        let dilation = match dilations {
            Some([width, height]) => [positive(height, 1)?, positive(width, 1)?],
            None => [1, 1],
        };
        let padding: i8 = settings.number(0, 0)?;
        let (mut pads, mut outputs) = ([[0; 2]; 2], [0; 2]);
        for axis in 0..2 {
            let (extent, step) = (extents[axis], stride[axis]);
            let span = (kernel[axis].saturating_sub(1)).saturating_mul(dilation[axis]).saturating_add(1);
            outputs[axis] = match padding {
                0 => extent.div_ceil(step),
                1 if span <= extent => (extent - span) / step + 1,
                1 => return Err(operator.malformed(&format!("has a window of {span} over {extent}"))),
                other => return Err(operator.refuse("padding", other, "SAME (0) and VALID (1) are supported")),
            };
            if padding == 0 {
                let reach = (outputs[axis] - 1).saturating_mul(step).saturating_add(span);
                let total = reach.saturating_sub(extent);
                pads[axis] = [total / 2, total.div_ceil(2)];
            }
        }
        Ok(Self { kernel, stride, dilation, pads, outputs })
    }

    fn attributes(&self) -> Vec<AttributeProto> {
        let [[top, bottom], [left, right]] = self.pads;
        vec![
            ints("kernel_shape", &self.kernel),
            ints("strides", &self.stride),
            ints("pads", &[top, left, bottom, right]),
        ]
    }
}

/// Height, width and channels of an image.
fn image(operator: &Operator, value: &Value) -> Result<[usize; 3], ModelError> {
    match value.dims[..] {
        [1, height, width, channels] => Ok([height, width, channels]),
        _ => Err(operator.refuse(
            "input extents",
            format!("{:?}", value.dims),
            "one image is needed: [1, h, w, channels]",
        )),
    }
}

fn settings<'a>(operator: &Operator<'a>, kind: u8) -> Result<Table<'a>, ModelError> {
    operator.options(kind)?.ok_or_else(|| operator.malformed("has no settings"))
}

pub(super) fn convolution(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let (value, weight) = (writer.value(operator, 0)?, writer.value(operator, 1)?);
    let [height, width, channels] = image(operator, &value)?;
    let wrong = || operator.malformed(&format!("has weights of {:?} for {channels} channels", weight.dims));
    let &[outer, kernel_height, kernel_width, inner] = &weight.dims[..] else { return Err(wrong()) };
    if !channels.is_multiple_of(inner) {
        return Err(wrong());
    }
    let settings = settings(operator, options::CONV_2D)?;
    let window = Window::read(operator, &settings, ([height, width], [kernel_height, kernel_width]), Some([4, 5]))?;
    let weight = writer.node("Transpose", &[&weight.name], order([0, 3, 1, 2]));
    let activation = activation(operator, options::CONV_2D, 3)?;
    convolved(writer, operator, (&value, &weight), &window, [outer, channels / inner], activation)
}

pub(super) fn depthwise(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let (value, weight) = (writer.value(operator, 0)?, writer.value(operator, 1)?);
    let [height, width, channels] = image(operator, &value)?;
    let wrong = || operator.malformed(&format!("has weights of {:?} for {channels} channels", weight.dims));
    let &[1, kernel_height, kernel_width, outer] = &weight.dims[..] else { return Err(wrong()) };
    if !outer.is_multiple_of(channels) {
        return Err(wrong());
    }
    let settings = settings(operator, options::DEPTHWISE_CONV_2D)?;
    let window = Window::read(operator, &settings, ([height, width], [kernel_height, kernel_width]), Some([5, 6]))?;
    let weight = writer.node("Transpose", &[&weight.name], order([3, 0, 1, 2]));
    let activation = activation(operator, options::DEPTHWISE_CONV_2D, 4)?;
    convolved(writer, operator, (&value, &weight), &window, [outer, channels], activation)
}

/// Writes a convolution with weights as ONNX has them, to `outer` channels in `group` groups.
fn convolved(
    writer: &mut Writer,
    operator: &Operator,
    (value, weight): (&Value, &str),
    window: &Window,
    [outer, group]: [usize; 2],
    activation: i8,
) -> Result<(), ModelError> {
    same_kind(operator, &writer.tensor(operator, 0)?, &writer.tensor(operator, 1)?)?;
    let bias = writer.bias(operator)?;
    let first = writer.laid_out(value, Layout::First);
    let mut attributes = window.attributes();
    attributes.extend([ints("dilations", &window.dilation), super::graph::int("group", group as i64)]);
    let inputs: Vec<&str> = [&*first, weight].into_iter().chain(bias.as_deref()).collect();
    let result = writer.node("Conv", &inputs, attributes);
    let name = activated(writer, operator, activation, result)?;
    let [height, width] = window.outputs;
    writer.give(operator, Value { name, layout: Layout::First, dims: vec![1, height, width, outer] })
}

pub(super) fn average_pool(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    pool(writer, operator, "AveragePool")
}

pub(super) fn max_pool(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    pool(writer, operator, "MaxPool")
}

fn pool(writer: &mut Writer, operator: &Operator, kind: &str) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    let [height, width, channels] = image(operator, &value)?;
    let settings = settings(operator, options::POOL_2D)?;
    let extent = |field: usize| {
        let found = settings.number(field, 0i32)?;
        let extent = usize::try_from(found).ok().filter(|&extent| extent > 0);
        extent.ok_or_else(|| operator.malformed(&format!("has a window of {found}")))
    };
    let window = Window::read(operator, &settings, ([height, width], [extent(4)?, extent(3)?]), None)?;
    if kind == "AveragePool" && window.pads != [[0; 2]; 2] {
        return Err(operator.refuse("padding", "SAME", "windows within the image are supported: VALID"));
    }
    writer.same_integers(operator)?;
    let first = writer.laid_out(&value, Layout::First);
    let result = writer.node(kind, &[&first], window.attributes());
    let name = activated(writer, operator, activation(operator, options::POOL_2D, 5)?, result)?;
    let [height, width] = window.outputs;
    writer.give(operator, Value { name, layout: Layout::First, dims: vec![1, height, width, channels] })
}

pub(super) fn pad(writer: &mut Writer, operator: &Operator) -> Result<(), ModelError> {
    let value = writer.value(operator, 0)?;
    let [height, width, channels] = image(operator, &value)?;
    let given = writer.list(operator, 1, 8)?;
    let pads: Option<Vec<usize>> =
        given.iter().map(|&pad| usize::try_from(pad).ok().filter(|&pad| pad <= 1 << 16)).collect();
    let Some(&[0, 0, top, bottom, left, right, 0, 0]) = pads.as_deref().and_then(|pads| pads.first_chunk()) else {
        let help = "zeros around height and width are supported: eight numbers, those of batch and channels 0";
        return Err(operator.refuse("paddings", format!("{given:?}"), help));
    };
    let first = writer.laid_out(&value, Layout::First);
    let pads = writer.indices(&[0, 0, top, left, 0, 0, bottom, right])?;
    let name = writer.node("Pad", &[&first, &pads], vec![]);
    let dims = vec![1, height + top + bottom, width + left + right, channels];
    writer.give_moved(operator, Value { name, layout: Layout::First, dims })
}
