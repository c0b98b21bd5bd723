//! Constant nodes that move numbers or make them from extents.

use super::fold::{size, sources};
use super::mel;
use super::node::NodeView;
use super::shape::atom_of;
use super::tensor::{Tensor, Values};
use crate::error::ModelError;

/// An axis attribute, counted from the end if negative.
pub(super) fn axis_index(node: &NodeView, axis: i64, rank: usize) -> Result<usize, ModelError> {
    let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let index = if axis < 0 { axis.checked_add(rank_signed) } else { Some(axis) };
    index
        .and_then(|index| usize::try_from(index).ok())
        .filter(|&index| index < rank)
        .ok_or_else(|| node.malformed(format!("has axis {axis} for {rank} axes")))
}

/// The entries of `x` at some places, in extents `dims`.
fn gathered(x: &Tensor, dims: Vec<usize>, places: impl Iterator<Item = usize>) -> Option<Tensor> {
    let values = match &x.values {
        Values::Float(v) => Values::Float(places.map(|i| v.get(i).copied()).collect::<Option<_>>()?),
        Values::Int(v) => Values::Int(places.map(|i| v.get(i).copied()).collect::<Option<_>>()?),
    };
    Some(Tensor { dims, values })
}

/// Positive extents of a shape operand; `None` if one is not known.
fn extents(shape: Option<&Tensor>) -> Option<Vec<usize>> {
    let known = |&n: &i64| usize::try_from(n).ok().filter(|_| atom_of(n).is_none());
    shape?.ints()?.iter().map(known).collect()
}

/// The value of a node, if it is one of these.
pub(super) fn evaluate(node: &NodeView, inputs: &[Option<&Tensor>], room: usize) -> Result<Option<Tensor>, ModelError> {
    let input = |i: usize| inputs.get(i).copied().flatten();
    let Some(x) = input(0) else { return Ok(None) };
    match node.operator().as_str() {
        "ConstantOfShape" => constant_of_shape(node, x, room),
        "Range" => range(node, [input(0), input(1), input(2)], room),
        "Gather" => gather(node, x, input(1), room),
        "Slice" => slice(node, x, inputs),
        "Concat" => concat(node, inputs, room),
        "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => reshape(node, x, input(1)),
        "Transpose" => transpose(node, x),
        "Expand" => {
            let Some(shape) = extents(input(1)) else { return Ok(None) };
            let Some(dims) = super::fold::broadcast(&x.dims, &shape) else { return Ok(None) };
            let count = size(node, &dims, room)?;
            Ok(gathered(x, dims.clone(), (0..count).map(sources(&x.dims, &dims))))
        }
        "Tile" => tile(node, x, input(1), room),
        "Trilu" => trilu(node, x, input(1)),
        "MelWeightMatrix" => mel::weights(node, inputs, room),
        _ => Ok(None),
    }
}

fn constant_of_shape(node: &NodeView, shape: &Tensor, room: usize) -> Result<Option<Tensor>, ModelError> {
    let Some(dims) = extents(Some(shape)) else { return Ok(None) };
    let value = match node.tensor("value")? {
        Some(proto) => Tensor::read(proto)?,
        None => Tensor::scalar(0.0),
    };
    let count = size(node, &dims, room)?;
    Ok(gathered(&value, dims, std::iter::repeat_n(0, count)))
}

fn range(node: &NodeView, bounds: [Option<&Tensor>; 3], room: usize) -> Result<Option<Tensor>, ModelError> {
    let too_long = || node.malformed("counts further than its file justifies");
    if let [Some(&[from]), Some(&[to]), Some(&[step])] = bounds.map(|b| b.and_then(Tensor::ints)) {
        if [from, to, step].iter().any(|&v| atom_of(v).is_some()) || step == 0 {
            return Ok(None);
        }
        let span = i128::from(to) - i128::from(from);
        let count = (span + i128::from(step) - i128::from(step.signum())) / i128::from(step);
        let count = usize::try_from(count.max(0)).ok().filter(|&n| n <= room).ok_or_else(too_long)?;
        let values = (0..count as i64).map(|i| from + i * step).collect();
        return Ok(Some(Tensor { dims: vec![count], values: Values::Int(values) }));
    }
    let [Some(&[from]), Some(&[to]), Some(&[step])] = bounds.map(|b| b.and_then(Tensor::floats)) else {
        return Ok(None);
    };
    let count = ((to - from) / step).ceil().max(0.0);
    if count.is_nan() || count > room as f64 {
        return Err(too_long());
    }
    let values: Vec<f64> = (0..count as usize).map(|i| from + i as f64 * step).collect();
    Ok(Some(Tensor { dims: vec![values.len()], values: Values::Float(values) }))
}

fn gather(node: &NodeView, x: &Tensor, indices: Option<&Tensor>, room: usize) -> Result<Option<Tensor>, ModelError> {
    let Some((indices, picked)) = indices.and_then(|tensor| Some((tensor, tensor.ints()?))) else { return Ok(None) };
    let axis = axis_index(node, node.int("axis", 0)?, x.dims.len())?;
    let picked = picked.iter().map(|&i| axis_index(node, i, x.dims[axis]));
    let picked: Vec<usize> = picked.collect::<Result<_, _>>()?;
    let mut dims = x.dims.clone();
    dims.splice(axis..=axis, indices.dims.iter().copied());
    let count = size(node, &dims, room)?;
    let inner: usize = x.dims[axis + 1..].iter().product();
    let place = |i: usize| {
        let (outer, rest) = (i / (inner * picked.len()), i % (inner * picked.len()));
        (outer * x.dims[axis] + picked[rest / inner]) * inner + rest % inner
    };
    Ok(gathered(x, dims, (0..count).map(place)))
}

/// The indices that a slice takes of an axis.
pub(super) fn slice_indices(extent: usize, start: i64, end: i64, step: i64) -> Option<(usize, i64, usize)> {
    let n = i64::try_from(extent).ok()?;
    let absolute = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
    let (start, end) = match step {
        1.. => (absolute(start).clamp(0, n), absolute(end).clamp(0, n)),
        ..=-1 => (absolute(start).clamp(-1, n - 1), absolute(end).clamp(-1, n - 1)),
        0 => return None,
    };
    let span = if step > 0 { end - start } else { start - end };
    let count = if span <= 0 { 0 } else { (span - 1) / step.unsigned_abs().min(1 << 40) as i64 + 1 };
    Some((usize::try_from(start).unwrap_or(0), step, usize::try_from(count).ok()?))
}

/// Starts, ends, axes and steps of a Slice, as inputs or (before opset 10) attributes.
pub(super) fn slice_operands(node: &NodeView, inputs: &[Option<&Tensor>], rank: usize) -> Option<Vec<[i64; 4]>> {
    let list = |i: usize, name: &str| -> Option<Option<Vec<i64>>> {
        match inputs.get(i).copied().flatten() {
            Some(tensor) => Some(Some(tensor.ints()?.to_vec())),
            None => Some(node.ints(name).map(<[i64]>::to_vec)),
        }
    };
    let (starts, ends) = (list(1, "starts")??, list(2, "ends")??);
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let fits = [ends.len(), axes.len(), steps.len()] == [starts.len(); 3] && starts.len() <= rank;
    fits.then(|| (0..starts.len()).map(|i| [starts[i], ends[i], axes[i], steps[i]]).collect())
}

fn slice(node: &NodeView, x: &Tensor, inputs: &[Option<&Tensor>]) -> Result<Option<Tensor>, ModelError> {
    let Some(operands) = slice_operands(node, inputs, x.dims.len()) else { return Ok(None) };
    let mut x = x.clone();
    for [start, end, axis, step] in operands {
        let axis = axis_index(node, axis, x.dims.len())?;
        if atom_of(start).or(atom_of(end)).is_some() {
            return Ok(None);
        }
        let Some((start, step, count)) = slice_indices(x.dims[axis], start, end, step) else { return Ok(None) };
        let inner: usize = x.dims[axis + 1..].iter().product();
        let outer: usize = x.dims[..axis].iter().product();
        let mut dims = x.dims.clone();
        dims[axis] = count;
        let place = |i: usize| {
            let (o, rest) = (i / (inner * count).max(1), i % (inner * count).max(1));
            let at = start as i64 + (rest / inner) as i64 * step;
            (o * x.dims[axis] + at.max(0) as usize) * inner + rest % inner
        };
        let Some(next) = gathered(&x, dims, (0..outer * count * inner).map(place)) else { return Ok(None) };
        x = next;
    }
    Ok(Some(x))
}

fn concat(node: &NodeView, inputs: &[Option<&Tensor>], room: usize) -> Result<Option<Tensor>, ModelError> {
    let parts: Vec<&Tensor> = inputs.iter().copied().flatten().collect();
    let first = parts[0];
    let axis = axis_index(node, node.int("axis", 0)?, first.dims.len())?;
    let outside =
        |dims: &[usize]| dims.iter().enumerate().filter(|&(i, _)| i != axis).map(|(_, &n)| n).collect::<Vec<_>>();
    if parts.iter().any(|p| p.dims.len() != first.dims.len() || outside(&p.dims) != outside(&first.dims)) {
        return Err(node.malformed("joins tensors of different extents"));
    }
    let mut dims = first.dims.clone();
    dims[axis] = parts.iter().map(|p| p.dims[axis]).fold(0, usize::saturating_add);
    size(node, &dims, room)?;
    let outer: usize = first.dims[..axis].iter().product();
    let run = |p: &Tensor| p.dims[axis..].iter().product::<usize>();
    if let Some(all) = parts.iter().map(|p| p.floats()).collect::<Option<Vec<_>>>() {
        let pieces = (0..outer)
            .flat_map(|o| parts.iter().zip(&all).flat_map(move |(p, v)| v[o * run(p)..][..run(p)].iter().copied()));
        return Ok(Some(Tensor { dims, values: Values::Float(pieces.collect()) }));
    }
    let Some(all) = parts.iter().map(|p| p.ints()).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let pieces = (0..outer)
        .flat_map(|o| parts.iter().zip(&all).flat_map(move |(p, v)| v[o * run(p)..][..run(p)].iter().copied()));
    Ok(Some(Tensor { dims, values: Values::Int(pieces.collect()) }))
}

/// Other extents for the same numbers.
fn reshape(node: &NodeView, x: &Tensor, operand: Option<&Tensor>) -> Result<Option<Tensor>, ModelError> {
    let given = operand.and_then(Tensor::ints).or_else(|| node.ints("axes")).or_else(|| node.ints("shape"));
    let mut dims = x.dims.clone();
    match (node.operator().as_str(), given) {
        ("Flatten", _) => {
            let axis = node.int("axis", 1)?;
            let rank = dims.len();
            let at = if axis == rank as i64 { rank } else { axis_index(node, axis, rank)? };
            dims = vec![dims[..at].iter().product(), dims[at..].iter().product()];
        }
        ("Unsqueeze", Some(axes)) => {
            let rank = dims.len() + axes.len();
            let mut at: Vec<usize> = axes.iter().map(|&axis| axis_index(node, axis, rank)).collect::<Result<_, _>>()?;
            at.sort_unstable();
            at.into_iter().for_each(|at| dims.insert(at.min(dims.len()), 1));
        }
        ("Squeeze", Some(axes)) => {
            let at: Vec<usize> =
                axes.iter().map(|&axis| axis_index(node, axis, dims.len())).collect::<Result<_, _>>()?;
            dims = (0..dims.len()).filter(|i| !at.contains(i)).map(|i| dims[i]).collect();
        }
        ("Squeeze", None) => dims.retain(|&n| n != 1),
        ("Reshape", Some(shape)) => {
            let copies = node.int("allowzero", 0)? == 0;
            let extent = |(i, &n): (usize, &i64)| match n {
                0 if copies => dims.get(i).copied(),
                -1 => Some(usize::MAX),
                n => usize::try_from(n).ok(),
            };
            let Some(mut new) = shape.iter().enumerate().map(extent).collect::<Option<Vec<_>>>() else {
                return Ok(None);
            };
            let known = new.iter().filter(|&&n| n != usize::MAX).try_fold(1usize, |p, &n| p.checked_mul(n));
            if let Some(open) = new.iter().position(|&n| n == usize::MAX) {
                let rest =
                    known.filter(|&known| known > 0 && x.len().is_multiple_of(known)).map(|known| x.len() / known);
                new[open] = rest.ok_or_else(|| node.malformed("has a shape that its numbers do not fill"))?;
            }
            dims = new;
        }
        _ => return Ok(None),
    }
    if dims.iter().try_fold(1usize, |p, &n| p.checked_mul(n)) != Some(x.len()) {
        return Err(node.malformed(format!("gives {} numbers the extents {dims:?}", x.len())));
    }
    Ok(Some(Tensor { dims, ..x.clone() }))
}

/// The order of axes of a Transpose.
pub(super) fn order(node: &NodeView, rank: usize) -> Result<Vec<usize>, ModelError> {
    let order = match node.ints("perm") {
        Some(perm) => perm.iter().map(|&axis| axis_index(node, axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted.into_iter().eq(0..rank) {
        Ok(order)
    } else {
        Err(node.malformed(format!("has perm {order:?} for {rank} axes")))
    }
}

fn transpose(node: &NodeView, x: &Tensor) -> Result<Option<Tensor>, ModelError> {
    let order = order(node, x.dims.len())?;
    let dims: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
    let mut steps = vec![1; x.dims.len()];
    for i in (1..x.dims.len()).rev() {
        steps[i - 1] = steps[i] * x.dims[i];
    }
    let place = |mut i: usize| {
        dims.iter().zip(&order).rev().fold(0, |sum, (&extent, &axis)| {
            let digit = i % extent.max(1);
            i /= extent.max(1);
            sum + digit * steps[axis]
        })
    };
    Ok(gathered(x, dims.clone(), (0..x.len()).map(place)))
}

fn tile(node: &NodeView, x: &Tensor, repeats: Option<&Tensor>, room: usize) -> Result<Option<Tensor>, ModelError> {
    let Some(repeats) = extents(repeats).filter(|r| r.len() == x.dims.len()) else { return Ok(None) };
    let dims: Vec<usize> = x.dims.iter().zip(&repeats).map(|(&n, &r)| n.saturating_mul(r)).collect();
    let count = size(node, &dims, room)?;
    let place = |mut i: usize| {
        let (mut sum, mut step) = (0, 1);
        for (&to, &from) in dims.iter().zip(&x.dims).rev() {
            sum += i % to.max(1) % from.max(1) * step;
            (i, step) = (i / to.max(1), step * from);
        }
        sum
    };
    Ok(gathered(x, dims.clone(), (0..count).map(place)))
}

/// The part of a matrix on and above (or below) a diagonal.
fn trilu(node: &NodeView, x: &Tensor, k: Option<&Tensor>) -> Result<Option<Tensor>, ModelError> {
    let &[.., rows, cols] = &x.dims[..] else { return Ok(None) };
    let k = k.and_then(Tensor::ints).and_then(|k| k.first().copied()).unwrap_or(0);
    let upper = node.int("upper", 1)? != 0;
    let kept = |i: usize| {
        let (r, c) = ((i / cols % rows) as i64, (i % cols) as i64);
        let above = c.saturating_sub(r);
        if upper { above >= k } else { above <= k }
    };
    let mut x = x.clone();
    match &mut x.values {
        Values::Float(v) => v.iter_mut().enumerate().filter(|&(i, _)| !kept(i)).for_each(|(_, v)| *v = 0.0),
        Values::Int(v) => v.iter_mut().enumerate().filter(|&(i, _)| !kept(i)).for_each(|(_, v)| *v = 0),
    }
    Ok(Some(x))
}

/// Runs along an axis, one an output.
pub(super) fn split(node: &NodeView, x: &Tensor, sizes: Option<&Tensor>) -> Result<Option<Vec<Tensor>>, ModelError> {
    let axis = axis_index(node, node.int("axis", 0)?, x.dims.len())?;
    let outputs = node.outputs().len();
    let sizes: Vec<i64> = match sizes.and_then(Tensor::ints).or_else(|| node.ints("split")) {
        Some(sizes) => sizes.to_vec(),
        None => {
            let each = x.dims[axis].div_ceil(outputs.max(1));
            (0..outputs).map(|i| each.min(x.dims[axis].saturating_sub(i * each)) as i64).collect()
        }
    };
    let (mut first, mut runs) = (0i64, Vec::new());
    for run in sizes {
        let bounds = [first, first.saturating_add(run), axis as i64, 1];
        let tensors = bounds.map(|v| Tensor { dims: vec![1], values: Values::Int(vec![v]) });
        let operands: Vec<Option<&Tensor>> = std::iter::once(Some(x)).chain(tensors.iter().map(Some)).collect();
        let Some(part) = slice(node, x, &operands)? else { return Ok(None) };
        runs.push(part);
        first = bounds[1];
    }
    Ok(Some(runs))
}
