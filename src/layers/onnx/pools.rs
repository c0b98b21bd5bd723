//! Pooling of images and sequences: largest values and averages of windows, and of everything.

use super::conv::Window;
use super::import::Importer;
use super::node::NodeView;
use super::value::{Data, Value, count};
use crate::error::ModelError;
use crate::layers::network::{AveragePool2d, Conv2d, MaxPool2d, Op};

impl<'a> Importer<'a> {
    /// The window of a pooling layer, and its input.
    fn pooled(&mut self, node: &NodeView) -> Result<(Data, Window), ModelError> {
        node.at_most_inputs(1)?;
        let data = self.first(node)?;
        let kernel = node.ints("kernel_shape").unwrap_or_default();
        let kernel: Option<Vec<usize>> = kernel.iter().map(|&k| usize::try_from(k).ok().filter(|&k| k > 0)).collect();
        let kernel = kernel.filter(|kernel| (1..=2).contains(&kernel.len()) && kernel.len() + 2 == data.axes.len());
        let kernel = kernel.ok_or_else(|| {
            let help = "give a positive extent for each of one or two axes";
            node.refuse("kernel_shape", format!("{:?}", node.ints("kernel_shape")), help)
        })?;
        let mut window = self.window(node, &data, kernel)?;
        if node.int("ceil_mode", 0)? != 0 {
            // Windows that would reach beyond the end: none where the extent is divided, else padding of the last one.
            for i in 0..window.kernel.len() {
                let extent = data.axes.get(i + 2).and_then(|axis| count(axis));
                let covered = extent.and_then(|n| {
                    let room = n + window.pads[i][0] + window.pads[i][1];
                    Some(room.checked_sub(window.kernel[i])?.is_multiple_of(window.stride[i]))
                });
                if covered != Some(true) {
                    return Err(node.refuse("ceil_mode", 1, "export the layer with ceil_mode=False"));
                }
            }
        }
        if window.dilation.iter().any(|&d| d != 1) {
            return Err(node.refuse("dilations", format!("{:?}", window.dilation), "pool with dilation 1"));
        }
        window.dilation.fill(1);
        Ok((data, window))
    }

    pub(super) fn max_pool(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"])?;
        let (data, window) = self.pooled(node)?;
        let grid = self.grid(node, data, window.kernel.len())?;
        let padded = window.pads.iter().any(|pad| *pad != [0, 0]);
        let op = match (&grid.order[..], padded) {
            ([_], false) => Op::MaxPool1d { kernel: window.kernel[0], stride: window.stride[0] },
            (order, _) => {
                let outer = order[0];
                // A sequence is an image of width 1.
                let at = |values: &[usize]| [values[outer], order.get(1).map_or(1, |&inner| values[inner])];
                let inner = order.get(1).map_or([0; 2], |&inner| window.pads[inner]);
                let padding = [window.pads[outer][0], inner[0], window.pads[outer][1], inner[1]];
                let width = if order.len() == 1 { 1 } else { grid.width };
                Op::MaxPool2d(MaxPool2d {
                    image: [0, width],
                    kernel: at(&window.kernel),
                    stride: at(&window.stride),
                    padding,
                })
            }
        };
        let result = self.push(node, &grid.data, op);
        let cols = result.cols.clone();
        let result = self.moved(node, &grid, &window, result)?;
        Ok(Value::Data(Data { cols, ..result }))
    }

    pub(super) fn average_pool(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"])?;
        if let Some(segments) = self.segments(node)? {
            return Ok(segments);
        }
        let (data, window) = self.pooled(node)?;
        let grid = self.grid(node, data, window.kernel.len())?;
        let padded = window.pads.iter().any(|pad| *pad != [0, 0]);
        let outer = grid.order[0];
        let at = |values: &[usize]| [values[outer], grid.order.get(1).map_or(1, |&inner| values[inner])];
        let (kernel, stride) = (at(&window.kernel), at(&window.stride));
        let width = if grid.order.len() == 1 { 1 } else { grid.width };
        let op = if padded {
            if node.int("count_include_pad", 0)? == 0 {
                let help = "export the layer with count_include_pad=True, or without padding";
                return Err(node.refuse("count_include_pad", 0, help));
            }
            let channels = grid.data.columns();
            let taps = kernel[0].saturating_mul(kernel[1]);
            self.spend(node, taps.saturating_mul(channels).saturating_mul(channels))?;
            let factor = (taps as f64).recip();
            let entry = |i: usize| if i / channels % channels == i % channels { factor } else { 0.0 };
            let inner = grid.order.get(1).map_or([0; 2], |&inner| window.pads[inner]);
            Op::Conv2d(Conv2d {
                image: [0, width],
                weight: (0..taps * channels * channels).map(entry).collect(),
                kernel,
                in_channels: channels,
                out_channels: channels,
                bias: vec![0.0; channels],
                stride,
                dilation: [1, 1],
                padding: [window.pads[outer][0], inner[0], window.pads[outer][1], inner[1]],
            })
        } else {
            Op::AveragePool2d(AveragePool2d { image: [0, width], kernel, stride })
        };
        let result = self.push(node, &grid.data, op);
        let cols = result.cols.clone();
        let result = self.moved(node, &grid, &window, result)?;
        Ok(Value::Data(Data { cols, ..result }))
    }

    /// The mean over everything but channels.
    pub(super) fn global_average_pool(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let data = self.first(node)?;
        let over = data.axes.get(2..).unwrap_or_default().concat();
        let mut axes = data.axes.clone();
        axes.iter_mut().skip(2).for_each(Vec::clear);
        let mean = self.mean_over(node, &data, &over)?;
        Ok(Value::Data(Data { axes, ..mean }))
    }

    /// The largest value of everything but channels.
    pub(super) fn global_max_pool(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(1)?;
        let data = self.first(node)?;
        let length = count(&data.rows).filter(|_| !data.rows.is_empty());
        let length =
            length.ok_or_else(|| node.unsupported("the length of time is not known; export with a fixed one"))?;
        let mut axes = data.axes.clone();
        axes.iter_mut().skip(2).for_each(Vec::clear);
        let result = self.push(node, &data, Op::MaxPool1d { kernel: length, stride: length });
        Ok(Value::Data(Data { axes, rows: vec![], ..result }))
    }
}
