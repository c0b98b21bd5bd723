//! Which shapes fit which operation. Settings come from model files, so nothing may overflow here
//! and no output may be larger than the input, the weights and [`MAX_REACH`] justify.

use super::{AveragePool2d, Conv1d, Conv2d, MaxPool2d, Op, Scalar, Shape, shape_error};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;

/// Most rows or pixels of padding on one side, and longest step: far beyond any network, far below
/// memory and overflow.
const MAX_REACH: usize = 4096;

/// Most columns of a concatenation: layers that double them would else fill memory.
const MAX_COLUMNS: usize = 1 << 16;

/// Most inputs of one operation.
const MAX_INPUTS: usize = 64;

/// `Err` with both values unless they agree.
fn agree(layer: &str, what: &str, expected: usize, found: usize) -> Result<(), ModelError> {
    if expected == found {
        return Ok(());
    }
    Err(shape_error(layer, format!("{what}: {expected}"), found.to_string()))
}

fn dense_shape(layer: &str, m: &FloatMatrix, shape: [usize; 2]) -> Result<(), ModelError> {
    let [rows, cols] = shape;
    if [m.rows, m.cols] == shape && Some(m.data.len()) == rows.checked_mul(cols) {
        return Ok(());
    }
    let found = format!("{} x {} with {} values", m.rows, m.cols, m.data.len());
    Err(shape_error(layer, format!("weights {rows} x {cols}"), found))
}

impl Op {
    /// The shape of a sequence after this operation.
    pub(super) fn output(&self, layer: &str, inputs: &[Shape]) -> Result<Shape, ModelError> {
        let several = matches!(
            self,
            Self::Add
                | Self::Concat
                | Self::Multiply
                | Self::Hypot
                | Self::Power
                | Self::AttentiveStatsPool { .. }
                | Self::Attention { .. }
        );
        let input = match *inputs {
            [input] => input,
            [input, ..] if several => input,
            _ => return Err(shape_error(layer, "one input", format!("{} inputs", inputs.len()))),
        };
        let Shape { length, columns } = input;
        let one_row = |columns| Ok(Shape { length: 1, columns });
        match self {
            Self::Dense { weight, bias } => {
                dense_shape(layer, weight, [columns, bias.len()])?;
                Ok(Shape { length, columns: bias.len() })
            }
            Self::Conv1d(conv) => conv.output(layer, input),
            Self::Conv2d(conv) => conv.output(layer, input),
            Self::MaxPool2d(pool) => pool.output(layer, input),
            Self::Flatten => match length.checked_mul(columns) {
                Some(columns) => one_row(columns),
                None => Err(shape_error(layer, "a row that fits memory", format!("{input:?}"))),
            },
            Self::Affine { scale, shift } => {
                agree(layer, "factors", columns, scale.len())?;
                agree(layer, "summands", columns, shift.len())?;
                Ok(input)
            }
            Self::MaxPool1d { kernel, stride } => match output_extent(length, *kernel, *stride, [0; 2]) {
                Some(length) => Ok(Shape { length, columns }),
                None => Err(unfit(layer, "the patch", &[length], &[*kernel])),
            },
            Self::MirrorPad => match length.checked_add(1) {
                Some(longer) if length > 1 => Ok(Shape { length: longer, columns }),
                _ => Err(shape_error(layer, "at least two rows", length.to_string())),
            },
            Self::InstanceNorm { epsilon } if !(epsilon.is_finite() && *epsilon > 0.0) => {
                Err(shape_error(layer, "a positive epsilon", epsilon.to_string()))
            }
            Self::Relu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Abs
            | Self::Log
            | Self::InstanceNorm { .. }
            | Self::SubtractMean
            | Self::AtMost { .. }
            | Self::L2Normalize => Ok(input),
            Self::Lstm(lstm) => {
                let hidden = lstm.hidden;
                let gates = hidden.saturating_mul(4);
                agree(layer, "input columns", lstm.input, columns)?;
                dense_shape(layer, &lstm.w_input, [columns, gates])?;
                dense_shape(layer, &lstm.w_hidden, [hidden, gates])?;
                agree(layer, "biases", gates, lstm.bias.len())?;
                for state in lstm.initial.iter().flatten() {
                    agree(layer, "initial states", hidden, state.len())?;
                }
                Ok(Shape { length, columns: hidden })
            }
            Self::Gru(gru) => {
                let hidden = gru.hidden;
                let gates = hidden.saturating_mul(3);
                agree(layer, "input columns", gru.input, columns)?;
                dense_shape(layer, &gru.w_input, [columns, gates])?;
                dense_shape(layer, &gru.w_hidden, [hidden, gates])?;
                agree(layer, "input biases", gates, gru.bias_input.len())?;
                agree(layer, "hidden biases", gates, gru.bias_hidden.len())?;
                if let Some(state) = &gru.initial {
                    agree(layer, "initial states", hidden, state.len())?;
                }
                Ok(Shape { length, columns: hidden })
            }
            Self::MeanPool | Self::MaxOverTime | Self::LastRow => one_row(columns),
            Self::StatsPool { .. } => one_row(columns.saturating_mul(2)),
            Self::Slice { first, columns: kept } => match first.checked_add(*kept) {
                Some(end) if *kept > 0 && end <= columns => Ok(Shape { length, columns: *kept }),
                _ => Err(shape_error(layer, format!("some of {columns} columns"), format!("{kept} from {first}"))),
            },
            Self::LogEnergy { floor, .. } if !(floor.is_finite() && *floor > 0.0) => {
                Err(shape_error(layer, "a positive floor", floor.to_string()))
            }
            Self::Add | Self::Concat | Self::Multiply | Self::Hypot | Self::Power | Self::AttentiveStatsPool { .. } => {
                self.output_of_several(layer, inputs)
            }
            Self::Attention { heads, scale, .. } => attention(layer, inputs, *heads, *scale),
            _ => self.output_of_rows(layer, input),
        }
    }

    /// Operations of one input that move rows, or combine the columns of a row.
    fn output_of_rows(&self, layer: &str, input: Shape) -> Result<Shape, ModelError> {
        let Shape { length, columns } = input;
        let whole = |parts: usize, of: usize| of.checked_div(parts).filter(|n| n * parts == of);
        let misfit = |expected: &str| shape_error(layer, expected, format!("{length} rows of {columns} columns"));
        let shape = match self {
            Self::AveragePool2d(pool) => return pool.output(layer, input),
            Self::Rows(rows) => rows.output_length(length).map(|length| Shape { length, columns }),
            Self::Unfold { parts } => {
                whole(*parts, columns).and_then(|columns| Some(Shape { length: length.checked_mul(*parts)?, columns }))
            }
            Self::Fold { parts } => whole(*parts, length).and_then(|length| {
                let columns = columns.checked_mul(*parts).filter(|&columns| columns <= MAX_COLUMNS)?;
                Some(Shape { length, columns })
            }),
            Self::SegmentMean { rows } => (*rows > 0).then_some(input),
            Self::GridMean { inner } => whole(*inner, length).map(|_| Shape { length: *inner, columns }),
            Self::GridStats { inner, min_variance, epsilon, unbiased } => whole(*inner, length)
                .filter(|&steps| *min_variance >= 0.0 && *epsilon >= 0.0 && (steps > 1 || !unbiased))
                .and_then(|_| Some(Shape { length: *inner, columns: columns.checked_mul(2)? })),
            Self::LayerNorm { epsilon } => (epsilon.is_finite() && *epsilon > 0.0).then_some(input),
            Self::AddRows { rows } => {
                let fits = rows.rows >= length && rows.cols == columns && rows.data.len() == rows.rows * columns;
                return if fits { Ok(input) } else { Err(misfit(&format!("{} rows of {}", rows.rows, rows.cols))) };
            }
            Self::Function(f) if f.steps() > Scalar::MAX_STEPS => None,
            Self::Quantize(levels) if !levels.is_valid() => {
                return Err(shape_error(layer, "a positive scale and bounds in order", format!("{levels:?}")));
            }
            _ => Some(input),
        };
        shape.filter(|shape| shape.length > 0).ok_or_else(|| misfit(&format!("rows that {} can take", self.name())))
    }

    fn output_of_several(&self, layer: &str, inputs: &[Shape]) -> Result<Shape, ModelError> {
        let fewest = if matches!(self, Self::Multiply | Self::Hypot | Self::Power | Self::AttentiveStatsPool { .. }) {
            2
        } else {
            1
        };
        if inputs.len() < fewest || inputs.len() > MAX_INPUTS || (fewest == 2 && inputs.len() > 2) {
            let found = format!("{} inputs", inputs.len());
            return Err(shape_error(layer, format!("{fewest} inputs, or as many as the operation takes"), found));
        }
        let length = inputs.iter().map(|shape| shape.length).max().unwrap_or(0);
        let columns = inputs[0].columns;
        for input in inputs {
            if input.length != length
                && (input.length != 1 || matches!(self, Self::Hypot | Self::Power | Self::AttentiveStatsPool { .. }))
            {
                return Err(shape_error(layer, format!("{length} rows"), format!("{} rows", input.length)));
            }
        }
        for (index, input) in inputs.iter().enumerate() {
            // One weight a row counts for every column.
            let one_weight = index == 1 && input.columns == 1 && matches!(self, Self::AttentiveStatsPool { .. });
            if !matches!(self, Self::Concat) && !one_weight {
                agree(layer, "input columns", columns, input.columns)?;
            }
        }
        match self {
            Self::Concat => {
                let sum = inputs.iter().try_fold(0usize, |sum, shape| sum.checked_add(shape.columns));
                let columns = sum.filter(|&columns| columns <= MAX_COLUMNS);
                let columns = columns
                    .ok_or_else(|| shape_error(layer, format!("at most {MAX_COLUMNS} columns"), format!("{sum:?}")))?;
                Ok(Shape { length, columns })
            }
            Self::AttentiveStatsPool { .. } => Ok(Shape { length: 1, columns: columns.saturating_mul(2) }),
            _ => Ok(Shape { length, columns }),
        }
    }
}

fn attention(layer: &str, inputs: &[Shape], heads: usize, scale: f64) -> Result<Shape, ModelError> {
    match *inputs {
        [q, k, v] if q == k && k == v && heads > 0 && q.columns.is_multiple_of(heads) && scale.is_finite() => Ok(q),
        _ => {
            Err(shape_error(layer, format!("queries, keys and values alike, of {heads} heads"), format!("{inputs:?}")))
        }
    }
}

impl Conv1d {
    /// Rows the taps span: (kernel − 1) · dilation + 1; `None` if that overflows or is nothing.
    pub fn span(&self) -> Option<usize> {
        self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)
    }

    fn output(&self, layer: &str, input: Shape) -> Result<Shape, ModelError> {
        agree(layer, "input columns", self.in_channels, input.columns)?;
        agree(layer, "biases", self.out_channels, self.bias.len())?;
        let weights = [self.in_channels, self.out_channels]
            .iter()
            .try_fold(self.kernel, |count, &extent| count.checked_mul(extent));
        agree(layer, "weights", weights.unwrap_or(usize::MAX), self.weight.len())?;
        let length = self
            .span()
            .and_then(|span| output_extent(input.length, span, self.stride, [self.pad_left, self.pad_right]));
        match length {
            Some(length) if self.dilation > 0 => Ok(Shape { length, columns: self.out_channels }),
            _ => Err(unfit(layer, "the kernel", &[input.length], self.span().as_slice())),
        }
    }
}

impl Conv2d {
    fn output(&self, layer: &str, input: Shape) -> Result<Shape, ModelError> {
        agree(layer, "input columns", self.in_channels, input.columns)?;
        agree(layer, "biases", self.out_channels, self.bias.len())?;
        let weights = [self.kernel[1], self.in_channels, self.out_channels]
            .iter()
            .try_fold(self.kernel[0], |count, &extent| count.checked_mul(extent));
        agree(layer, "weights", weights.unwrap_or(usize::MAX), self.weight.len())?;
        let image = image_of(layer, self.image, input.length)?;
        let extents = self.output_image(image);
        let [height, width] = extents.ok_or_else(|| unfit(layer, "the kernel", &image, &self.kernel))?;
        Ok(Shape { length: height * width, columns: self.out_channels })
    }

    /// Height and width of the output for an image of this height and width; `None` if the kernel does not fit.
    pub fn output_image(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let span = |i: usize| (self.kernel[i].checked_sub(1)?).checked_mul(self.dilation[i])?.checked_add(1);
        let spans = [span(0)?, span(1)?];
        let fits = self.dilation.iter().all(|&dilation| dilation > 0);
        image_output(image, spans, self.stride, self.padding).filter(|_| fits)
    }
}

impl MaxPool2d {
    fn output(&self, layer: &str, input: Shape) -> Result<Shape, ModelError> {
        let image = image_of(layer, self.image, input.length)?;
        let [height, width] =
            self.output_image(image).ok_or_else(|| unfit(layer, "the patch", &image, &self.kernel))?;
        Ok(Shape { length: height * width, columns: input.columns })
    }

    /// Height and width of the output for an image of this height and width; `None` if the patches do not fit.
    pub fn output_image(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.padding;
        let [height, width] = self.kernel;
        // With at most half a patch of padding every patch holds a pixel of the image.
        let padded = top.max(bottom) <= height / 2 && left.max(right) <= width / 2;
        let fits = height <= image[0] && width <= image[1];
        if !padded || !fits {
            return None;
        }
        image_output(image, self.kernel, self.stride, self.padding)
    }
}

impl AveragePool2d {
    fn output(&self, layer: &str, input: Shape) -> Result<Shape, ModelError> {
        let image = image_of(layer, self.image, input.length)?;
        let extents = image_output(image, self.kernel, self.stride, [0; 4]);
        let [height, width] = extents.ok_or_else(|| unfit(layer, "the patch", &image, &self.kernel))?;
        Ok(Shape { length: height * width, columns: input.columns })
    }
}

/// Positions of a window of `span` in `extent` with padding; `None` if there is none. Padding
/// below the span keeps the result proportional to what is really there.
fn output_extent(extent: usize, span: usize, stride: usize, [before, after]: [usize; 2]) -> Option<usize> {
    if span == 0 || before.max(after) >= span || before.max(after).max(stride) > MAX_REACH {
        return None;
    }
    let room = extent.checked_add(before)?.checked_add(after)?.checked_sub(span)?;
    // Both ends of padding together must leave something of the input in sight.
    if before.checked_add(after)? > extent.checked_add(span)? {
        return None;
    }
    Some(room.checked_div(stride)? + 1)
}

fn image_output(
    image: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    [top, left, bottom, right]: [usize; 4],
) -> Option<[usize; 2]> {
    let height = output_extent(image[0], kernel[0], stride[0], [top, bottom])?;
    let width = output_extent(image[1], kernel[1], stride[1], [left, right])?;
    height.checked_mul(width)?;
    Some([height, width])
}

/// Height and width of an image of `length` pixels; a height of 0 is as many as there are.
fn image_of(layer: &str, [height, width]: [usize; 2], length: usize) -> Result<[usize; 2], ModelError> {
    let height = if height == 0 { length.checked_div(width).unwrap_or(0) } else { height };
    agree(layer, "pixels", height.saturating_mul(width), length)?;
    Ok([height, width])
}

fn unfit(layer: &str, what: &str, input: &[usize], span: &[usize]) -> ModelError {
    let expected = format!("{what} (span {span:?}) inside the padded input, step and dilation at least 1");
    shape_error(layer, expected, format!("{input:?}"))
}
