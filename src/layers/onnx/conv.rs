//! Convolutions, transposed ones excepted, and the zeros around them.

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Atom, Axis, Data, Value, count};
use crate::error::ModelError;
use crate::layers::network::{Conv1d, Conv2d, Edge, Op, RowMove};

/// Attributes of all convolutions.
pub(super) const CONV_ATTRIBUTES: [&str; 6] = ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

/// A window that moves over one or two axes.
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    /// Before and after, for every axis.
    pub(super) pads: Vec<[usize; 2]>,
}

impl Window {
    /// Number of positions on axis `i`.
    fn outputs(&self, i: usize, extent: usize) -> Option<usize> {
        let span = self.kernel[i].checked_sub(1)?.checked_mul(self.dilation[i])?.checked_add(1)?;
        let room = extent.checked_add(self.pads[i][0])?.checked_add(self.pads[i][1])?.checked_sub(span)?;
        Some(room.checked_div(self.stride[i])? + 1)
    }
}

/// An image or a sequence with a spatial axis for every axis of a window, as the network has it.
pub(super) struct Grid {
    pub(super) data: Data,
    /// The window's axes in the order of rows: `order[i]` is the axis of the window that row axis `i` is.
    pub(super) order: Vec<usize>,
    /// Rows of one step of the outermost axis.
    pub(super) width: usize,
}

impl<'a> Importer<'a> {
    /// Attributes of a window over the spatial axes of `data`, which follow batch and channels.
    pub(super) fn window(&self, node: &NodeView, data: &Data, kernel: Vec<usize>) -> Result<Window, ModelError> {
        let rank = kernel.len();
        let list = |name: &str, usual: usize| -> Result<Vec<usize>, ModelError> {
            let Some(values) = node.ints(name) else { return Ok(vec![usual; rank]) };
            let values: Option<Vec<usize>> =
                values.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v > 0)).collect();
            values.filter(|values| values.len() == rank).ok_or_else(|| {
                node.refuse(name, format!("{:?}", node.ints(name)), &format!("{rank} positive values are needed"))
            })
        };
        let (stride, dilation) = (list("strides", 1)?, list("dilations", 1)?);
        let pads: Vec<i64> = node.ints("pads").map_or_else(|| vec![0; 2 * rank], <[i64]>::to_vec);
        let pad = |i: usize| usize::try_from(*pads.get(i)?).ok();
        let explicit: Option<Vec<[usize; 2]>> = (0..rank).map(|i| Some([pad(i)?, pad(i + rank)?])).collect();
        let explicit = explicit.filter(|_| pads.len() == 2 * rank);
        let explicit = explicit
            .ok_or_else(|| node.refuse("pads", format!("{pads:?}"), "give two for every axis, not negative"))?;
        let pads = match node.text("auto_pad", "NOTSET")? {
            "NOTSET" => explicit,
            "VALID" => vec![[0, 0]; rank],
            same @ ("SAME_UPPER" | "SAME_LOWER") => (0..rank)
                .map(|i| {
                    let span = (kernel[i].saturating_sub(1)).saturating_mul(dilation[i]).saturating_add(1);
                    let extent = data.axes.get(i + 2).and_then(|axis| count(axis));
                    let total = match (extent, stride[i]) {
                        (_, 1) => span - 1,
                        (Some(n), step) => {
                            (n.div_ceil(step) - 1).saturating_mul(step).saturating_add(span).saturating_sub(n)
                        }
                        (None, _) => {
                            let help = "export with explicit pads: these depend on the length of the recording";
                            return Err(node.refuse("auto_pad", same, help));
                        }
                    };
                    let (less, more) = (total / 2, total.div_ceil(2));
                    Ok(if same == "SAME_UPPER" { [less, more] } else { [more, less] })
                })
                .collect::<Result<_, _>>()?,
            other => return Err(node.refuse("auto_pad", other, "use NOTSET, VALID, SAME_UPPER or SAME_LOWER")),
        };
        Ok(Window { kernel, stride, dilation, pads })
    }

    /// The value as rows of pixels, time outermost, and columns of channels.
    pub(super) fn grid(&mut self, node: &NodeView, data: Data, rank: usize) -> Result<Grid, ModelError> {
        if data.axes.len() != rank + 2 || !data.axes[0].is_empty() {
            let expected = format!("[1, channels, and {rank} axes]");
            return Err(shape(node, expected, extents_of(&data.axes)));
        }
        // An axis that reshaping made of several becomes one where they stand together in order.
        let data = self.merged(data);
        // Channels that are partly rows were channels times height of an image.
        let mixed = data.axes[1].iter().any(|atom| data.rows.get(1..).unwrap_or_default().contains(atom));
        let data = if mixed { self.folded_rows(node, data)? } else { data };
        let spatial: Vec<Atom> = data.axes[2..].concat();
        let single = data.axes[2..].iter().all(|axis| axis.len() <= 1);
        let channels: Axis = data.cols.iter().filter(|atom| data.axes[1].contains(atom)).copied().collect();
        if !single || channels.len() != data.axes[1].len() {
            let help = "its channels, or an axis that it moves along, are no channels or axis of one layer before it";
            return Err(node.unsupported(help));
        }
        let data = self.unfolded(node, data, &channels)?;
        if data.rows.len() != spatial.len() {
            return Err(shape(node, format!("{rank} spatial axes"), extents_of(&data.axes)));
        }
        let mut order: Vec<usize> = Vec::with_capacity(rank);
        for atom in &data.rows {
            order.extend((0..rank).filter(|&i| data.axes[i + 2].first() == Some(atom)));
        }
        // Axes of extent 1 have no atom: they stand innermost.
        order.extend((0..rank).filter(|&i| data.axes[i + 2].is_empty()));
        let inner = order.get(1..).unwrap_or_default().iter().map(|&i| count(&data.axes[i + 2]));
        let width = inner.product::<Option<usize>>();
        let width = width.ok_or_else(|| node.unsupported("two extents of an image are not known"))?;
        Ok(Grid { data, order, width })
    }

    /// Joins atoms of one axis that stand together, in order, among the columns or the rows.
    pub(super) fn merged(&mut self, mut data: Data) -> Data {
        for axis in 0..data.axes.len() {
            let mut at = 0;
            while let Some(&[a, b]) = data.axes[axis].get(at..at + 2).and_then(|pair| <&[Atom; 2]>::try_from(pair).ok())
            {
                let together = |atoms: &[Atom]| atoms.windows(2).any(|pair| pair == [a, b]);
                let extent = a.extent.zip(b.extent).and_then(|(m, n)| m.checked_mul(n));
                if (together(&data.cols) || together(&data.rows)) && extent.is_some() {
                    let new = self.axis(extent);
                    data.replace(a.id, &new);
                    data.replace(b.id, &[]);
                } else {
                    at += 1;
                }
            }
        }
        data
    }

    /// The value after a window moved over it: new extents, other channels.
    pub(super) fn moved(
        &mut self,
        node: &NodeView,
        grid: &Grid,
        window: &Window,
        result: Data,
    ) -> Result<Data, ModelError> {
        let mut axes = grid.data.axes.clone();
        let mut rows = Vec::new();
        for &i in &grid.order {
            let before = count(&axes[i + 2]);
            let after = match before {
                Some(extent) => Some(window.outputs(i, extent).ok_or_else(|| {
                    shape(node, format!("an extent that holds the window of {}", window.kernel[i]), extent)
                })?),
                None => None,
            };
            // Time keeps its number where nothing changes its length: sums with what came before are then seen to fit.
            let span = (window.kernel[i] - 1).saturating_mul(window.dilation[i]);
            let same = before.is_none() && window.stride[i] == 1 && window.pads[i][0] + window.pads[i][1] == span;
            match axes[i + 2][..] {
                [atom] if atom.extent.is_none() && window.stride[i] == 1 => {
                    let more = window.pads[i][0].saturating_add(window.pads[i][1]);
                    let [more, span] = [more, span].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
                    axes[i + 2] = self.longer(atom, more.saturating_sub(span));
                }
                _ if same => {}
                _ => axes[i + 2] = self.axis(after),
            }
            rows.extend(axes[i + 2].iter().copied());
        }
        Ok(Data { axes, rows, ..result })
    }

    pub(super) fn conv(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&CONV_ATTRIBUTES)?;
        node.at_most_inputs(3)?;
        let name = node.required_input(0)?;
        let (data, extra) = match self.value(node, name)? {
            Value::Padded(data, pads) => (data, Some(pads)),
            _ => (self.data(node, name)?, None),
        };
        let weights = self.floats(node, node.required_input(1)?)?;
        let bias = match (node.input(2), weights.0.first()) {
            (Some(_), Some(&channels)) => Some(self.vector(node, 2, channels)?),
            _ => None,
        };
        self.convolved(node, data, extra, weights, bias).map(Value::Data)
    }

    /// A value after a convolution with weights `[out][in of its group][taps…]` of these extents; `extra` are zeros around the
    /// value, beside those of the node.
    pub(super) fn convolved(
        &mut self,
        node: &NodeView,
        data: Data,
        extra: Option<Vec<[usize; 2]>>,
        (dims, weight): (Vec<usize>, Vec<f64>),
        bias: Option<Vec<f64>>,
    ) -> Result<Data, ModelError> {
        let kernel: Vec<usize> = dims.iter().skip(2).copied().collect();
        let given =
            node.ints("kernel_shape").map(|k| k.iter().map(|&k| usize::try_from(k).unwrap_or(0)).collect::<Vec<_>>());
        if given.is_some_and(|given| given != kernel) || dims.contains(&0) || !(1..=2).contains(&kernel.len()) {
            return Err(shape(node, "weights of one or two axes that agree with kernel_shape", dims));
        }
        let mut window = self.window(node, &data, kernel)?;
        let same = node.text("auto_pad", "NOTSET")?;
        if extra.is_some() && same.starts_with("SAME") {
            // They would follow from the extents with the zeros before.
            return Err(node.refuse("auto_pad", same, "export with explicit pads, or without the Pad before it"));
        }
        for (pads, extra) in window.pads.iter_mut().zip(extra.iter().flat_map(|extra| extra.iter().skip(2))) {
            *pads = [pads[0].saturating_add(extra[0]), pads[1].saturating_add(extra[1])];
        }
        let grid = self.grid(node, data, window.kernel.len())?;
        let group = usize::try_from(node.int("group", 1)?).ok().filter(|&group| group > 0);
        let group = group.ok_or_else(|| node.malformed("has no positive number of groups"))?;
        let in_channels = grid.data.columns();
        let (out_channels, each) = (dims[0], dims[1]);
        let fits = each.checked_mul(group) == Some(in_channels) && out_channels % group == 0;
        if !fits {
            return Err(shape(node, format!("weights for {in_channels} channels in {group} groups"), dims));
        }
        let bias = bias.unwrap_or_else(|| vec![0.0; out_channels]);
        let taps: usize = window.kernel.iter().product();
        let count = taps.saturating_mul(in_channels).saturating_mul(out_channels);
        self.spend(node, count)?;
        let weight = laid_out(&weight, &window, &grid, [in_channels, out_channels, group]);
        let op = convolution(&window, &grid, weight, bias);
        let result = self.push(node, &grid.data, op);
        let mut result = self.moved(node, &grid, &window, result)?;
        let channels = self.axis(Some(out_channels));
        (result.axes[1], result.cols) = (channels.clone(), channels);
        Ok(result)
    }

    /// Zeros, mirrored or repeated entries around a value. Zeros wait for the convolution that takes them.
    pub(super) fn pad(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["mode", "pads", "value"])?;
        node.at_most_inputs(4)?;
        let mode = node.text("mode", "constant")?;
        let edge = match mode {
            "constant" => Edge::Zero,
            "reflect" => Edge::Reflect,
            "edge" => Edge::Repeat,
            _ => return Err(node.refuse("mode", mode, "pad with zeros, by reflection, or with the edge")),
        };
        let filled = match node.input(2) {
            Some(name) => self.floats(node, name)?.1.first().copied().unwrap_or(0.0),
            None => node.float("value", 0.0)?,
        };
        if edge == Edge::Zero && filled != 0.0 {
            return Err(node.refuse("constant_value", filled, "only zeros can be put around a value"));
        }
        let data = self.first(node)?;
        let given = self.list(node, 1, "pads")?.ok_or_else(|| node.malformed("has no pads"))?;
        let rank = data.axes.len();
        let axes = self.list(node, 3, "axes")?.unwrap_or_else(|| (0..rank as i64).collect());
        let mut pads = vec![[0usize; 2]; rank];
        let refuse = || node.refuse("pads", format!("{given:?}"), "give two for every axis, not negative");
        for (i, &axis) in axes.iter().enumerate() {
            let axis = super::fold_moves::axis_index(node, axis, rank)?;
            let pad = |at: usize| given.get(at).and_then(|&n| usize::try_from(n).ok()).ok_or_else(refuse);
            pads[axis] = [pad(i)?, pad(i + axes.len())?];
        }
        if given.len() != 2 * axes.len() || pads.iter().take(2).any(|pad| *pad != [0, 0]) && rank > 2 {
            return Err(refuse());
        }
        if pads.iter().all(|pad| *pad == [0, 0]) {
            return Ok(Value::Data(data));
        }
        if edge == Edge::Zero && rank > 2 {
            return Ok(Value::Padded(data, pads));
        }
        self.padded(node, data, &pads, edge).map(Value::Data)
    }

    /// A value with zeros around it where no convolution takes them.
    pub(super) fn padded_rows(&mut self, node: &NodeView, data: Data, pads: &[[usize; 2]]) -> Result<Data, ModelError> {
        self.padded(node, data, pads, Edge::Zero)
    }

    fn padded(&mut self, node: &NodeView, data: Data, pads: &[[usize; 2]], edge: Edge) -> Result<Data, ModelError> {
        let mut data = data;
        for (axis, &[before, after]) in pads.iter().enumerate().filter(|(_, pad)| **pad != [0, 0]) {
            let (atom, inner) = (data.rows.first().copied(), data.inner());
            let (Some(atom), Some(inner), true) =
                (atom, inner, data.axes[axis][..] == data.rows[..data.rows.len().min(1)])
            else {
                return Err(node.refuse("pads", format!("{pads:?}"), "pad along time, or right before a convolution"));
            };
            // A filter of two samples takes a single mirrored one as it is.
            let op = match (edge, before, after, inner) {
                (Edge::Reflect, 1, 0, 1) if data.cols.is_empty() => Op::MirrorPad,
                _ => Op::Rows(RowMove::Pad { block: inner, before, after, edge }),
            };
            data = self.push(node, &data, op);
            let more = before.saturating_add(after);
            let new = match atom.extent {
                Some(extent) => self.axis(Some(extent.saturating_add(more))),
                None => self.longer(atom, i64::try_from(more).unwrap_or(i64::MAX)),
            };
            data.replace(atom.id, &new);
        }
        Ok(data)
    }
}

/// \[tap\]\[in\]\[out\] from \[out\]\[in of its group\]\[tap\], the taps in the order of rows, the channels in that of columns.
fn laid_out(weight: &[f64], window: &Window, grid: &Grid, [inner, outer, group]: [usize; 3]) -> Vec<f64> {
    let (each, taps) = (inner / group, window.kernel.iter().product::<usize>());
    // The tap of the file for every tap of the network.
    let tap = |mut k: usize| {
        let mut digits = vec![0; window.kernel.len()];
        for &axis in grid.order.iter().rev() {
            digits[axis] = k % window.kernel[axis];
            k /= window.kernel[axis];
        }
        digits.iter().zip(&window.kernel).fold(0, |sum, (digit, kernel)| sum * kernel + digit)
    };
    let channel: Vec<usize> = (0..inner).map(|column| grid.data.index_of_column(column)[1]).collect();
    let mut out = vec![0.0; taps * inner * outer];
    for k in 0..taps {
        let from = tap(k);
        for (column, &c) in channel.iter().enumerate() {
            let first = c / each * (outer / group);
            for o in first..first + outer / group {
                out[(k * inner + column) * outer + o] = weight[(o * each + c % each) * taps + from];
            }
        }
    }
    out
}

/// The operation for a window over a grid.
fn convolution(window: &Window, grid: &Grid, weight: Vec<f64>, bias: Vec<f64>) -> Op {
    let (in_channels, out_channels) = (grid.data.columns(), bias.len());
    let outer = grid.order[0];
    if let [_] = grid.order[..] {
        let [pad_left, pad_right] = window.pads[0];
        let (kernel, stride, dilation) = (window.kernel[0], window.stride[0], window.dilation[0]);
        return Op::Conv1d(Conv1d {
            weight,
            kernel,
            in_channels,
            out_channels,
            bias,
            stride,
            dilation,
            pad_left,
            pad_right,
        });
    }
    let inner = grid.order[1];
    let both = |values: &[usize]| [values[outer], values[inner]];
    Op::Conv2d(Conv2d {
        image: [0, grid.width],
        weight,
        kernel: both(&window.kernel),
        in_channels,
        out_channels,
        bias,
        stride: both(&window.stride),
        dilation: both(&window.dilation),
        padding: [window.pads[outer][0], window.pads[inner][0], window.pads[outer][1], window.pads[inner][1]],
    })
}
