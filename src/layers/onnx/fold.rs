//! Nodes whose inputs are all constant, evaluated: what exporters compute shapes, masks and weights with.
//!
//! The work is bounded: every result is paid for out of the importer's budget before it is made.

use super::fold_moves as moves;
use super::fold_sums::{matmul, reduce};
use super::node::NodeView;
use super::shape::{NO_ATOM, atom_of};
use super::tensor::{Tensor, Values, is_integer};
use crate::error::ModelError;
use crate::layers::network::KNOWN;

/// The values of a node whose inputs are constants (`None` where one is left out), if it is one that can be
/// evaluated; `room` is how many numbers it may make.
pub(super) fn evaluate(
    node: &NodeView,
    inputs: &[Option<&Tensor>],
    room: usize,
) -> Result<Option<Vec<Tensor>>, ModelError> {
    let Some(first) = inputs.first().copied().flatten() else { return Ok(None) };
    let result = match (node.operator().as_str(), inputs) {
        ("Identity" | "Dropout", _) => Some(first.clone()),
        ("Cast" | "CastLike", _) => cast(node, first, inputs.get(1).copied().flatten())?,
        ("Where", [_, Some(yes), Some(no)]) => select(node, [first, yes, no], room)?,
        ("Not", _) => first.ints().map(|v| ints(&first.dims, v.iter().map(|&v| i64::from(v == 0)).collect())),
        ("Clip", _) => clipped(node, inputs)?,
        ("Min" | "Max" | "Sum", _) if inputs.len() != 2 => fold_many(node, inputs, room)?,
        (operator, [_, Some(second)]) if is_binary(operator) => binary(node, operator, [first, second], room)?,
        ("ReduceSum" | "ReduceProd" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceSumSquare", _) => {
            reduce(node, first, inputs.get(1).copied().flatten())?
        }
        ("DequantizeLinear", [_, Some(scale), rest @ ..]) => {
            dequantize(node, first, scale, rest.first().copied().flatten())?
        }
        ("MatMul", [_, Some(second)]) => matmul(first, second, room),
        ("Split", _) => return moves::split(node, first, inputs.get(1).copied().flatten()),
        (operator, [_]) if first.floats().is_some() => function(node, operator, first)?,
        ("Abs" | "Neg", [_]) => first.ints().map(|v| {
            let negate = node.operator() == "Neg";
            ints(&first.dims, v.iter().map(|v| if negate { v.wrapping_neg() } else { v.saturating_abs() }).collect())
        }),
        _ => None,
    };
    let result = match result {
        Some(result) => Some(result),
        None => moves::evaluate(node, inputs, room)?,
    };
    Ok(result.map(|tensor| vec![tensor]))
}

pub(super) fn ints(dims: &[usize], values: Vec<i64>) -> Tensor {
    Tensor { dims: dims.to_vec(), values: Values::Int(values) }
}

pub(super) fn floats(dims: &[usize], values: Vec<f64>) -> Tensor {
    Tensor { dims: dims.to_vec(), values: Values::Float(values) }
}

/// Extents of two tensors that are combined entry by entry; `None` if they do not fit.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (1, n) | (n, 1) => Some(n),
            (m, n) => (m == n).then_some(m),
        })
        .collect()
}

/// For every entry of a tensor of extents `to`, the entry of one of extents `from` that it is made of.
pub(super) fn sources<'t>(from: &'t [usize], to: &'t [usize]) -> impl Fn(usize) -> usize + 't {
    move |mut index| {
        let (mut source, mut step) = (0, 1);
        for (i, &extent) in to.iter().enumerate().rev() {
            let digit = index % extent.max(1);
            index /= extent.max(1);
            if let Some(i) = (i + from.len()).checked_sub(to.len()) {
                if from[i] != 1 {
                    source += digit * step;
                }
                step *= from[i];
            }
        }
        source
    }
}

/// Number of entries, if there is room for them.
pub(super) fn size(node: &NodeView, dims: &[usize], room: usize) -> Result<usize, ModelError> {
    let most = dims.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent.max(1))).filter(|&n| n <= room);
    most.map(|_| dims.iter().product())
        .ok_or_else(|| node.malformed(format!("makes a constant of extents {dims:?}, far larger than its file")))
}

fn cast(node: &NodeView, x: &Tensor, like: Option<&Tensor>) -> Result<Option<Tensor>, ModelError> {
    let to_ints = match like {
        Some(like) => like.ints().is_some(),
        None => {
            let to = node.int("to", 0)?;
            let known = i32::try_from(to).ok().and_then(is_integer);
            known.ok_or_else(|| node.refuse("to", to, "cast to a float or an integer"))?
        }
    };
    Ok(match (&x.values, to_ints) {
        (Values::Float(v), true) => Some(ints(&x.dims, v.iter().map(|&v| v as i64).collect())),
        (Values::Int(v), false) if v.iter().all(|&v| atom_of(v).is_none()) => {
            Some(floats(&x.dims, v.iter().map(|&v| v as f64).collect()))
        }
        (Values::Int(_), false) => None,
        _ => Some(x.clone()),
    })
}

/// Floats within bounds, which are attributes or inputs.
fn clipped(node: &NodeView, inputs: &[Option<&Tensor>]) -> Result<Option<Tensor>, ModelError> {
    let Some(values) = inputs.first().copied().flatten().and_then(Tensor::floats) else { return Ok(None) };
    let mut bounds = [f64::NEG_INFINITY, f64::INFINITY];
    for (bound, (input, name)) in bounds.iter_mut().zip([(1, "min"), (2, "max")]) {
        if let Some(tensor) = inputs.get(input).copied().flatten() {
            let Some(number) = super::elementwise::single(tensor) else { return Ok(None) };
            *bound = number;
        } else if node.has(name) {
            *bound = node.float(name, 0.0)?;
        }
    }
    let dims = inputs[0].map_or_else(Vec::new, |x| x.dims.clone());
    Ok(Some(floats(&dims, values.iter().map(|x| x.max(bounds[0]).min(bounds[1])).collect())))
}

fn dequantize(
    node: &NodeView,
    x: &Tensor,
    scale: &Tensor,
    zero: Option<&Tensor>,
) -> Result<Option<Tensor>, ModelError> {
    if node.int("block_size", 0)? != 0 {
        return Err(node.refuse("block_size", "a number", "quantize by channel or tensor"));
    }
    dequantized(node, x, (scale, zero), node.int("axis", 1)?)
}

/// `clamp(round(x / scale) + zero)`, halves to the even neighbour: the other way of [`dequantized`].
pub(super) fn quantized(
    node: &NodeView,
    x: &Tensor,
    (scale, zero): (&Tensor, Option<&Tensor>),
    [low, high]: [i64; 2],
) -> Result<Option<Tensor>, ModelError> {
    let Some(values) = x.floats() else { return Ok(None) };
    // Ones of the same extents tell which scale and zero point every entry has.
    let each = |scale: &Tensor, zero: Option<&Tensor>, of: i64| {
        let same = ints(&x.dims, vec![of; values.len()]);
        dequantized(node, &same, (scale, zero), node.int("axis", 1)?)
    };
    let unit = Tensor { dims: scale.dims.clone(), values: Values::Float(vec![1.0; scale.len()]) };
    let (Some(scales), Some(zeros)) = (each(scale, None, 1)?, each(&unit, zero, 0)?) else { return Ok(None) };
    let (Some(scales), Some(zeros)) = (scales.floats(), zeros.floats()) else { return Ok(None) };
    let value = |((x, scale), zero): ((&f64, &f64), &f64)| {
        ((x / scale).round_ties_even() - zero).max(low as f64).min(high as f64) as i64
    };
    Ok(Some(ints(&x.dims, values.iter().zip(scales).zip(zeros).map(value).collect())))
}

/// `(x − zero)·scale`, scale and zero point of one number or one for every entry of an axis; `None` if these are no integers
/// and floats.
pub(super) fn dequantized(
    node: &NodeView,
    x: &Tensor,
    (scale, zero): (&Tensor, Option<&Tensor>),
    axis: i64,
) -> Result<Option<Tensor>, ModelError> {
    let misfit = || node.malformed("has a scale or zero point that does not fit");
    let (Some(values), Some(scales)) = (x.ints(), scale.floats()) else { return Ok(None) };
    let zeros = match zero {
        Some(zero) => zero.ints().ok_or_else(misfit)?,
        None => &[0],
    };
    let several = scales.len().max(zeros.len());
    let inner = match several {
        1 => usize::MAX,
        len => {
            let axis = moves::axis_index(node, axis, x.dims.len())?;
            if x.dims[axis] != len {
                return Err(misfit());
            }
            x.dims[axis + 1..].iter().product::<usize>().max(1)
        }
    };
    if [scales.len(), zeros.len()].iter().any(|len| ![1, several].contains(len)) {
        return Err(misfit());
    }
    let value = |(i, &x): (usize, &i64)| {
        let at = i / inner % several;
        (x as f64 - zeros[at % zeros.len()] as f64) * scales[at % scales.len()]
    };
    Ok(Some(floats(&x.dims, values.iter().enumerate().map(value).collect())))
}

/// Entries of one constant where a condition holds, of another where it does not.
pub(super) fn select(
    node: &NodeView,
    [which, yes, no]: [&Tensor; 3],
    room: usize,
) -> Result<Option<Tensor>, ModelError> {
    let misfit = || node.malformed("has operands that do not fit one another");
    let dims = broadcast(&yes.dims, &no.dims).and_then(|dims| broadcast(&dims, &which.dims)).ok_or_else(misfit)?;
    let count = size(node, &dims, room)?;
    let (c, a, b) = (sources(&which.dims, &dims), sources(&yes.dims, &dims), sources(&no.dims, &dims));
    let Some(which) = which.ints() else { return Ok(None) };
    let pick = |i: usize| which[c(i)] != 0;
    Ok(match (&yes.values, &no.values) {
        (Values::Float(x), Values::Float(y)) => {
            Some(floats(&dims, (0..count).map(|i| if pick(i) { x[a(i)] } else { y[b(i)] }).collect()))
        }
        (Values::Int(x), Values::Int(y)) => {
            Some(ints(&dims, (0..count).map(|i| if pick(i) { x[a(i)] } else { y[b(i)] }).collect()))
        }
        _ => None,
    })
}

fn is_binary(operator: &str) -> bool {
    const BINARY: [&str; 16] = [
        "Add",
        "And",
        "Div",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Or",
        "Pow",
        "Sub",
        "Sum",
    ];
    BINARY.contains(&operator)
}

fn fold_many(node: &NodeView, inputs: &[Option<&Tensor>], room: usize) -> Result<Option<Tensor>, ModelError> {
    let operator = node.operator();
    let mut result: Option<Tensor> = None;
    for input in inputs.iter().copied().flatten() {
        result = match result {
            None => Some(input.clone()),
            Some(so_far) => binary(node, &operator, [&so_far, input], room)?,
        };
        if result.is_none() {
            return Ok(None);
        }
    }
    Ok(result)
}

fn binary(node: &NodeView, operator: &str, [a, b]: [&Tensor; 2], room: usize) -> Result<Option<Tensor>, ModelError> {
    let misfit = || node.malformed(format!("has operands of {:?} and {:?}", a.dims, b.dims));
    let dims = broadcast(&a.dims, &b.dims).ok_or_else(misfit)?;
    let count = size(node, &dims, room)?;
    let (at_a, at_b) = (sources(&a.dims, &dims), sources(&b.dims, &dims));
    Ok(match (&a.values, &b.values) {
        (Values::Float(x), Values::Float(y)) => {
            let pairs = (0..count).map(|i| (x[at_a(i)], y[at_b(i)]));
            match compare(operator) {
                Some(f) => Some(ints(&dims, pairs.map(|(x, y)| i64::from(f(x.total_cmp(&y)))).collect())),
                None => float_operation(operator).map(|f| floats(&dims, pairs.map(|(x, y)| f(x, y)).collect())),
            }
        }
        (Values::Int(x), Values::Int(y)) => {
            let values = (0..count).map(|i| int_operation(operator, x[at_a(i)], y[at_b(i)]));
            let values: Option<Vec<i64>> = values.collect();
            Some(ints(&dims, values.ok_or_else(|| node.malformed("has integers that overflow or divide by zero"))?))
        }
        // Powers may have exponents of another type.
        (Values::Float(x), Values::Int(y)) if operator == "Pow" => {
            Some(floats(&dims, (0..count).map(|i| x[at_a(i)].powf(y[at_b(i)] as f64)).collect()))
        }
        _ => None,
    })
}

fn compare(operator: &str) -> Option<fn(std::cmp::Ordering) -> bool> {
    Some(match operator {
        "Equal" => std::cmp::Ordering::is_eq,
        "Greater" => std::cmp::Ordering::is_gt,
        "GreaterOrEqual" => std::cmp::Ordering::is_ge,
        "Less" => std::cmp::Ordering::is_lt,
        "LessOrEqual" => std::cmp::Ordering::is_le,
        _ => return None,
    })
}

fn float_operation(operator: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match operator {
        "Add" | "Sum" => |x, y| x + y,
        "Sub" => |x, y| x - y,
        "Mul" => |x, y| x * y,
        "Div" => |x, y| x / y,
        "Pow" => f64::powf,
        "Min" => f64::min,
        "Max" => f64::max,
        "Mod" => |x, y| x % y,
        _ => return None,
    })
}

/// `None` for what overflows. With an extent that is not known, anything but a step of nothing gives another.
pub(super) fn int_operation(operator: &str, x: i64, y: i64) -> Option<i64> {
    if let Some(f) = compare(operator) {
        return Some(i64::from(f(x.cmp(&y))));
    }
    if atom_of(x).or(atom_of(y)).is_some() {
        return Some(match (operator, x, y) {
            ("Add" | "Sub", x, 0) | ("Mul" | "Div" | "Pow", x, 1) => x,
            ("Add", 0, y) | ("Mul", 1, y) => y,
            ("Mul", _, 0) | ("Mul" | "Div", 0, _) => 0,
            ("Max", x, y) if atom_of(y).is_none() && y <= 1 => x,
            ("Max", x, y) if atom_of(x).is_none() && x <= 1 => y,
            _ => NO_ATOM,
        });
    }
    match operator {
        "Add" | "Sum" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        "Mod" => x.checked_rem_euclid(y),
        "Pow" => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        "Min" => Some(x.min(y)),
        "Max" => Some(x.max(y)),
        "And" => Some(i64::from(x != 0 && y != 0)),
        "Or" => Some(i64::from(x != 0 || y != 0)),
        _ => None,
    }
}

/// A function of the list that networks have, too.
fn function(node: &NodeView, operator: &str, x: &Tensor) -> Result<Option<Tensor>, ModelError> {
    let (Some(known), Some(values)) = (KNOWN.iter().find(|known| known.operator == operator), x.floats()) else {
        return Ok(None);
    };
    if operator == "Gelu" && node.has("approximate") {
        return Ok(None);
    }
    let parameters = known.parameters.iter().map(|&(name, usual)| node.float(name, usual));
    let parameters: Vec<f64> = parameters.collect::<Result<_, _>>()?;
    Ok(Some(floats(&x.dims, values.iter().map(|&x| (known.value)(x, &parameters)).collect())))
}
