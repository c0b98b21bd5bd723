//! Transposed convolution along time, as a convolution that computes all outputs of a step side by side.
//!
//! With stride s and kernel k, output `q·s + r` is `Σ_j x[q − j]·W[r + s·j]`: a convolution of `⌈k/s⌉` taps with s times
//! the channels, whose columns then become rows. Where `r + s·j` is beyond the kernel, the weight is zero.

use super::import::Importer;
use super::layout::shape;
use super::node::NodeView;
use super::value::{Data, Value};
use crate::error::ModelError;
use crate::layers::network::{Conv1d, Op, RowMove};

/// Largest kernel, stride or pad.
const MAX_REACH: usize = 4096;

impl Importer<'_> {
    pub(super) fn conv_transpose(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "output_padding",
            "output_shape",
            "pads",
            "strides",
        ])?;
        node.at_most_inputs(3)?;
        let data = self.first(node)?;
        let (dims, weight) = self.floats(node, node.required_input(1)?)?;
        let &[in_channels, each, kernel] = &dims[..] else {
            return Err(shape(node, "weights of one axis: transposed images cannot be imported", dims));
        };
        if node.text("auto_pad", "NOTSET")? != "NOTSET" || node.has("output_shape") {
            return Err(node.unsupported("export it with explicit pads"));
        }
        let window = self.window(node, &data, vec![kernel])?;
        let (&[stride], &[dilation], &[[before, after]]) = (&window.stride[..], &window.dilation[..], &window.pads[..])
        else {
            return Err(node.malformed("has strides, dilations or pads of another number of axes"));
        };
        if [kernel, stride, before, after].into_iter().any(|extent| extent > MAX_REACH) {
            return Err(node.refuse("kernel, strides or pads", "too many rows", "give at most 4096"));
        }
        let group = usize::try_from(node.int("group", 1)?).ok().filter(|&n| n > 0 && in_channels.is_multiple_of(n));
        let group = group.ok_or_else(|| node.malformed("has no number of groups that divides its channels"))?;
        let more = node.ints("output_padding").map_or(Some(0), |more| usize::try_from(*more.first()?).ok());
        let more = more.filter(|&more| more < stride.max(dilation));
        let more = more.ok_or_else(|| node.refuse("output_padding", "too many rows", "give fewer than the stride"))?;
        let grid = self.grid(node, data, 1)?;
        if dilation != 1 || grid.data.columns() != in_channels || kernel == 0 || each == 0 {
            return Err(shape(node, format!("weights for {} channels, dilation 1", grid.data.columns()), dims));
        }
        let out_channels = each.saturating_mul(group);
        let bias = match node.input(2) {
            Some(_) => self.vector(node, 2, out_channels)?,
            None => vec![0.0; out_channels],
        };
        // Rows to cut at the end; with one tap more, of zeros, there are enough of them.
        let enough = |taps: usize| (taps * stride + after).checked_sub(kernel + more);
        let taps = kernel.div_ceil(stride);
        let (taps, skip_last) = match enough(taps) {
            Some(skip) => (taps, skip),
            None => (taps + 1, enough(taps + 1).unwrap_or(0)),
        };
        let columns = out_channels.saturating_mul(stride);
        self.spend(node, taps.saturating_mul(in_channels).saturating_mul(columns))?;
        let channel: Vec<usize> = (0..in_channels).map(|column| grid.data.index_of_column(column)[1]).collect();
        let mut laid = vec![0.0; taps * in_channels * columns];
        for (at, to) in laid.iter_mut().enumerate() {
            let (k, row, column) = (at / columns / in_channels, at / columns % in_channels, at % columns);
            let (phase, o) = (column / out_channels, column % out_channels);
            let (c, tap) = (channel[row], phase + stride * (taps - 1 - k));
            if tap < kernel && c / (in_channels / group) == o / each {
                *to = weight[(c * each + o % each) * kernel + tap];
            }
        }
        let conv = Conv1d {
            weight: laid,
            kernel: taps,
            in_channels,
            out_channels: columns,
            bias: bias.iter().copied().cycle().take(columns).collect(),
            stride: 1,
            dilation: 1,
            pad_left: taps - 1,
            pad_right: taps - 1,
        };
        let result = self.push(node, &grid.data, Op::Conv1d(conv));
        let result = if stride == 1 { result } else { self.push(node, &result, Op::Unfold { parts: stride }) };
        let cut = RowMove::Keep { block: 1, skip_first: before, skip_last, step: 1 };
        let result = if (before, skip_last) == (0, 0) { result } else { self.push(node, &result, Op::Rows(cut)) };
        let extent = match grid.data.rows[..] {
            [time] => time.extent.map(|rows| (rows.saturating_add(taps - 1)).saturating_mul(stride)),
            _ => return Err(node.unsupported("a transposed convolution needs an axis of time")),
        };
        let extent = match extent {
            Some(rows) => match rows.checked_sub(before.saturating_add(skip_last)).filter(|&rows| rows > 0) {
                Some(rows) => Some(rows),
                None => return Err(shape(node, "pads that leave a row", [before, after])),
            },
            None => None,
        };
        let (time, channels) = (self.axis(extent), self.axis(Some(out_channels)));
        let axes = vec![vec![], channels.clone(), time.clone()];
        Ok(Value::Data(Data { node: result.node, axes, rows: time, cols: channels }))
    }
}
