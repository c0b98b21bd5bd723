//! Means of runs of rows as networks with context-aware masking write them: averages over windows that do not overlap, the last
//! one of what is left, each repeated as often as its window has rows, and cut to as many rows as there were.
//!
//! ```text
//! AveragePool(ceil_mode = 1, kernel = stride = n) → Unsqueeze → Expand(…, n) → Reshape(…, −1) → Slice(to T)
//! ```

use super::fold_moves::axis_index;
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::shape::{NO_ATOM, atom_of, extent};
use super::value::{Axis, Data, Segments, Value, count};
use crate::error::ModelError;
use crate::layers::network::Op;

/// Why such means are no value by themselves.
pub(super) const HELP: &str = "averages of windows of which the last may have fewer rows (ceil_mode = 1) can only be repeated \
                               and cut to the rows they are averages of; else export the layer with ceil_mode=False";

impl Importer<'_> {
    /// Averages along time of windows that do not overlap, the last one of fewer rows; `None` if the node is another.
    pub(super) fn segments(&mut self, node: &NodeView) -> Result<Option<Value>, ModelError> {
        let (&[kernel], true) = (node.ints("kernel_shape").unwrap_or_default(), node.int("ceil_mode", 0)? != 0) else {
            return Ok(None);
        };
        let ones = |name: &str, usual: i64| node.ints(name).unwrap_or_default().iter().all(|&n| n == usual);
        let apart = node.ints("strides") == Some(&[kernel]) && ones("dilations", 1) && ones("pads", 0);
        let explicit = matches!(node.text("auto_pad", "NOTSET")?, "NOTSET" | "VALID");
        let source = self.first(node)?;
        let along_time = source.axes.len() == 3 && source.rows.len() == 1 && source.axes[2] == source.rows;
        let length = usize::try_from(kernel).ok().filter(|&n| n > 0 && apart && explicit && along_time);
        let Some(length) = length else { return Ok(None) };
        let rows = count(&source.rows);
        if rows.is_some_and(|rows| rows.is_multiple_of(length)) {
            return Ok(None);
        }
        let runs = self.axis(rows.map(|rows| rows.div_ceil(length)));
        let mut axes = source.axes.clone();
        axes[2].clone_from(&runs);
        Ok(Some(Value::Segments(Box::new(Segments { source, length, axes, rows: runs }))))
    }

    /// Every mean as many times as its window has rows: an axis of extent 1 right after that of the windows becomes one.
    pub(super) fn repeated_segments(
        &mut self,
        node: &NodeView,
        segments: Segments,
        targets: &[i64],
    ) -> Result<Value, ModelError> {
        let Segments { source, length, mut axes, mut rows } = segments;
        // Lengths that are not known are compared when a recording is there.
        let open = |axis: &Axis, target: i64| atom_of(target).is_some() && count(axis).is_none();
        let same = |i: usize, target: i64| [1, -1, extent(&axes[i])].contains(&target) || open(&axes[i], target);
        let other: Vec<usize> = (0..targets.len().min(axes.len())).filter(|&i| !same(i, targets[i])).collect();
        let runs = rows.clone();
        match other[..] {
            [at] if at > 0
                && targets.len() == axes.len()
                && axes[at].is_empty()
                && axes[at - 1] == runs
                && usize::try_from(targets[at]) == Ok(length) =>
            {
                axes[at] = self.axis(Some(length));
                rows.extend(axes[at].iter().copied());
                Ok(Value::Segments(Box::new(Segments { source, length, axes, rows })))
            }
            _ => Err(node.unsupported(HELP)),
        }
    }

    /// The repeated means, as many as there were rows.
    pub(super) fn cut_segments(
        &mut self,
        node: &NodeView,
        segments: Segments,
        operands: &[[i64; 4]],
    ) -> Result<Data, ModelError> {
        let Segments { source, length, mut axes, rows } = segments;
        let &[[0, end, axis, 1]] = operands else { return Err(node.unsupported(HELP)) };
        let at = axis_index(node, axis, axes.len())?;
        // Runs of one row, or a single run, have no atom of their own.
        let repeated = axes[at] == rows && rows.iter().any(|atom| atom.extent == Some(length));
        let all = match count(&source.rows) {
            Some(rows) => usize::try_from(end) == Ok(rows),
            // A length that was computed is compared when the rows meet others.
            None => source.rows.first().is_some_and(|atom| [Some(atom.id), atom_of(NO_ATOM)].contains(&atom_of(end))),
        };
        if !repeated || !all {
            let wanted = format!("the {} rows that means are taken of", extents_of(std::slice::from_ref(&source.rows)));
            return Err(shape(node, wanted, extents_of(&axes)));
        }
        axes[at].clone_from(&source.rows);
        let result = self.push(node, &source, Op::SegmentMean { rows: length });
        Ok(Data { axes, ..result })
    }
}
