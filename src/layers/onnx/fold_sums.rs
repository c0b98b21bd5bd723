//! Constant nodes that sum: reductions and products of matrices.

use super::fold::{floats, int_operation, ints, sources};
use super::fold_moves::axis_index;
use super::node::NodeView;
use super::tensor::{Tensor, Values};
use crate::error::ModelError;

/// Sums, means, extremes, norms and products of the entries along some axes.
pub(super) fn reduce(node: &NodeView, x: &Tensor, axes: Option<&Tensor>) -> Result<Option<Tensor>, ModelError> {
    let given = axes.and_then(Tensor::ints).or_else(|| node.ints("axes"));
    let rank = x.dims.len();
    let reduced: Vec<usize> = match given {
        Some(axes) if !axes.is_empty() => {
            axes.iter().map(|&axis| axis_index(node, axis, rank)).collect::<Result<_, _>>()?
        }
        _ if node.int("noop_with_empty_axes", 0)? != 0 => return Ok(Some(x.clone())),
        _ => (0..rank).collect(),
    };
    let dims: Vec<usize> = (0..rank).map(|i| if reduced.contains(&i) { 1 } else { x.dims[i] }).collect();
    let keep = node.int("keepdims", 1)? != 0;
    let kept = |i: &usize| keep || !reduced.contains(i);
    let shape: Vec<usize> = (0..rank).filter(kept).map(|i| dims[i]).collect();
    let count = dims.iter().product();
    let to = sources(&dims, &x.dims);
    let operator = node.operator();
    match &x.values {
        Values::Int(values) => {
            let (start, step) = match operator.as_str() {
                "ReduceSum" => (0, "Add"),
                "ReduceProd" => (1, "Mul"),
                "ReduceMax" => (i64::MIN, "Max"),
                "ReduceMin" => (i64::MAX, "Min"),
                _ => return Ok(None),
            };
            let mut out = vec![start; count];
            for (i, &v) in values.iter().enumerate() {
                let at = to(i);
                // Neutral starts are not extents.
                let next = if out[at] == start && matches!(step, "Max" | "Min") {
                    Some(v)
                } else {
                    int_operation(step, out[at], v)
                };
                out[at] = next.ok_or_else(|| node.malformed("has integers that overflow"))?;
            }
            Ok(Some(ints(&shape, out)))
        }
        Values::Float(values) => {
            let (start, step): (f64, fn(f64, f64) -> f64) = match operator.as_str() {
                "ReduceSum" | "ReduceMean" => (0.0, |sum, v| sum + v),
                "ReduceProd" => (1.0, |product, v| product * v),
                "ReduceMax" => (f64::NEG_INFINITY, f64::max),
                "ReduceMin" => (f64::INFINITY, f64::min),
                _ => (0.0, |sum, v| v.mul_add(v, sum)),
            };
            let mut out = vec![start; count];
            values.iter().enumerate().for_each(|(i, &v)| out[to(i)] = step(out[to(i)], v));
            let each = values.len() as f64 / count.max(1) as f64;
            match operator.as_str() {
                "ReduceMean" => out.iter_mut().for_each(|v| *v /= each),
                "ReduceL2" => out.iter_mut().for_each(|v| *v = v.sqrt()),
                _ => {}
            }
            Ok(Some(floats(&shape, out)))
        }
    }
}

/// The product of two matrices.
pub(super) fn matmul(a: &Tensor, b: &Tensor, room: usize) -> Option<Tensor> {
    let (&[m, k], &[rows, n]) = (&a.dims[..], &b.dims[..]) else { return None };
    let (x, y) = (a.floats()?, b.floats()?);
    if k != rows || m.checked_mul(n)?.checked_mul(k.max(1))? > room.saturating_mul(256) || m * n > room {
        return None;
    }
    let value = |i: usize| (0..k).map(|c| x[i / n * k + c] * y[c * n + i % n]).sum();
    Some(floats(&[m, n], (0..m * n).map(value).collect()))
}
