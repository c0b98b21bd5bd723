//! Simplifies an imported network: functions of one value become one function, and what nothing reads is left out.

use crate::layers::network::{Levels, Node, NodeRef, Op, Scalar};

/// The function that an operation is, of its only input; `None` if it is none, or differs by column.
fn scalar(op: &Op) -> Option<Scalar> {
    let known = |name| Scalar::known(name, None);
    match op {
        Op::Function(f) => Some(f.clone()),
        Op::Relu => known("Relu"),
        Op::Sigmoid => known("Sigmoid"),
        Op::Tanh => known("Tanh"),
        Op::Abs => known("Abs"),
        Op::Log => known("Log"),
        Op::AtMost { limit } => Scalar::known("Clip", Some(vec![f64::MIN, *limit])),
        Op::Affine { scale, shift } => {
            let (&a, &b) = (scale.first()?, shift.first()?);
            let uniform = scale.iter().all(|x| *x == a) && shift.iter().all(|x| *x == b);
            uniform.then(|| Scalar::Line(a, b, Box::new(Scalar::Input)))
        }
        _ => None,
    }
}

/// The input of a node that is its square.
fn square_root_of(node: &Node) -> Option<NodeRef> {
    let square = Scalar::known("Pow", Some(vec![2.0]));
    match (&node.op, &node.inputs[..]) {
        (Op::Function(f), &[input]) if Some(f) == square.as_ref() => Some(input),
        (Op::Function(Scalar::Product(a, b)), &[input]) if (&**a, &**b) == (&Scalar::Input, &Scalar::Input) => {
            Some(input)
        }
        (Op::Multiply, &[a, b]) if a == b => Some(a),
        _ => None,
    }
}

/// Roots of sums of two squares become magnitudes, which are exact where tables of squares are not.
pub(super) fn magnitudes(nodes: Vec<Node>) -> Vec<Node> {
    let mut nodes = nodes;
    let root = Scalar::known("Sqrt", None);
    for at in 0..nodes.len() {
        let parts = match (&nodes[at].op, &nodes[at].inputs[..]) {
            (Op::Function(f), &[NodeRef::Node(sum)]) if Some(f) == root.as_ref() => match nodes.get(sum) {
                Some(Node { op: Op::Add, inputs, .. }) => inputs.clone(),
                _ => continue,
            },
            _ => continue,
        };
        let before = |input: &NodeRef| match *input {
            NodeRef::Node(index) => square_root_of(nodes.get(index)?),
            NodeRef::Input => None,
        };
        let parts: Option<Vec<NodeRef>> = parts.iter().map(before).collect();
        if let Some(parts) = parts.filter(|parts| parts.len() == 2) {
            let node = &mut nodes[at];
            (node.op, node.inputs) = (Op::Hypot, parts);
        }
    }
    nodes
}

/// The number that an operation adds to all values, or the least one that it lets through, and which of both; with its input.
fn floored(node: &Node) -> Option<(f64, bool, NodeRef)> {
    let &[input] = &node.inputs[..] else { return None };
    match (&node.op, bounds(&node.op)) {
        (Op::Affine { scale, shift }, _) => {
            let &floor = shift.first()?;
            let added = scale.iter().all(|&a| a == 1.0) && shift.iter().all(|&s| s == floor);
            (added && floor > 0.0).then_some((floor, false, input))
        }
        (_, Some([low, high])) => (low > 0.0 && high >= f64::from(f32::MAX)).then_some((low, true, input)),
        _ => None,
    }
}

/// The two parts whose squares a node adds up, or of whose magnitude it is the square.
fn parts_of_power(nodes: &[Node], node: &Node) -> Option<Vec<NodeRef>> {
    let before = |input: &NodeRef| match *input {
        NodeRef::Node(index) => nodes.get(index),
        NodeRef::Input => None,
    };
    if let Some(root) = square_root_of(node).as_ref().and_then(before) {
        return (root.op == Op::Hypot).then(|| root.inputs.clone());
    }
    let squares = (node.op == Op::Add && node.inputs.len() == 2).then_some(&node.inputs)?;
    squares.iter().map(|input| square_root_of(before(input)?)).collect()
}

/// Logarithms of powers of two parts, and of sums of these with weights that are not negative, become logarithms of energies:
/// tables, and squares that are rounded, would lose the quiet ones.
pub(super) fn energies(nodes: Vec<Node>) -> Vec<Node> {
    let mut nodes = nodes;
    for at in 0..nodes.len() {
        let [NodeRef::Node(argument)] = nodes[at].inputs[..] else { continue };
        let floor = nodes.get(argument).filter(|_| nodes[at].op == Op::Log).and_then(floored);
        let Some((floor, least, energy)) = floor else { continue };
        let mut from = energy;
        let power = loop {
            let NodeRef::Node(index) = from else { break None };
            let Some(node) = nodes.get(index) else { break None };
            let positive = match &node.op {
                Op::Dense { weight, bias } => weight.data.iter().chain(bias).all(|&w| w >= 0.0),
                Op::Affine { scale, shift } => scale.iter().chain(shift).all(|&w| w >= 0.0),
                _ => break parts_of_power(&nodes, node).map(|parts| (index, parts)),
            };
            match node.inputs[..] {
                [input] if positive => from = input,
                _ => break None,
            }
        };
        if let Some((index, parts)) = power {
            (nodes[index].op, nodes[index].inputs) = (Op::Power, parts);
            (nodes[at].op, nodes[at].inputs) = (Op::LogEnergy { floor, least }, vec![energy]);
        }
    }
    nodes
}

/// What an operation keeps its only input within; `None` if it does anything else.
fn bounds(op: &Op) -> Option<[f64; 2]> {
    match op {
        Op::Relu => Some([0.0, f64::MAX]),
        Op::AtMost { limit } => Some([f64::MIN, *limit]),
        Op::Function(Scalar::Apply(known, parameters, inner))
            if known.operator == "Clip" && **inner == Scalar::Input =>
        {
            <[f64; 2]>::try_from(&parameters[..]).ok().filter(|[low, high]| low <= high)
        }
        _ => None,
    }
}

/// Bounds in front of levels become bounds of the levels, since rounding keeps order: a ReLU before a QuantizeLinear costs
/// nothing.
pub(super) fn bounded_levels(nodes: Vec<Node>) -> Vec<Node> {
    let mut nodes = nodes;
    let readers = readers(&nodes);
    for at in 0..nodes.len() {
        while let (Op::Quantize(levels), &[NodeRef::Node(index)]) = (&nodes[at].op, &nodes[at].inputs[..]) {
            let before = nodes.get(index).filter(|_| readers[index] == 1 && index < at);
            let Some((bounds, &[input])) = before.and_then(|before| Some((bounds(&before.op)?, &before.inputs[..])))
            else {
                break;
            };
            let [low, high] = bounds.map(|bound| levels.multiple(bound));
            let op = Op::Quantize(Levels { low, high, ..*levels });
            (nodes[at].op, nodes[at].inputs) = (op, vec![input]);
        }
    }
    nodes
}

/// How many inputs read each node.
fn readers(nodes: &[Node]) -> Vec<usize> {
    let mut readers = vec![0usize; nodes.len()];
    for input in nodes.iter().flat_map(|node| &node.inputs) {
        if let NodeRef::Node(index) = *input {
            readers[index] += 1;
        }
    }
    readers
}

/// Longest chain of functions that is followed.
const MAX_CHAIN: usize = 16;

/// A node and those before it, as long as they are functions of one value; with the function of each ancestor that the
/// node is.
fn chain(nodes: &[Node], from: NodeRef) -> Vec<(NodeRef, Scalar)> {
    let mut chain = vec![(from, Scalar::Input)];
    while let Some((NodeRef::Node(index), f)) = chain.last().cloned() {
        let before = nodes.get(index).and_then(|node| Some((*node.inputs.first()?, scalar(&node.op)?)));
        let Some((input, g)) = before.filter(|_| chain.len() < MAX_CHAIN) else { break };
        chain.push((input, f.of(&g)));
    }
    chain
}

/// Sums and products of functions of one value become one function of it: `x·sigmoid(x)`, `x/2·(1 + erf(x/√2))`. So do
/// functions of a function that nothing else reads.
pub(super) fn fuse(nodes: Vec<Node>) -> Vec<Node> {
    let mut nodes = nodes;
    let readers = readers(&nodes);
    for at in 0..nodes.len() {
        let (before, rest) = nodes.split_at_mut(at);
        let Some(node) = rest.first_mut() else { break };
        match (&node.op, &node.inputs[..]) {
            (Op::Add | Op::Multiply, &[a, b]) => {
                let (left, right) = (chain(before, a), chain(before, b));
                let common = left.iter().find_map(|(root, f)| {
                    let (_, g) = right.iter().find(|(other, _)| other == root)?;
                    Some((*root, f.clone(), g.clone()))
                });
                let Some((root, f, g)) = common else { continue };
                let product = node.op == Op::Multiply;
                let both = if product {
                    Scalar::Product(Box::new(f), Box::new(g))
                } else {
                    Scalar::Sum(Box::new(f), Box::new(g))
                };
                if !both.is_linear() && both.steps() <= Scalar::MAX_STEPS {
                    (node.op, node.inputs) = (Op::Function(both), vec![root]);
                }
            }
            (Op::Function(f), &[NodeRef::Node(index)]) if readers[index] == 1 => {
                // What is linear stays: it costs nothing.
                let inner = before.get(index).and_then(|inner| Some((inner.inputs[..].first()?, scalar(&inner.op)?)));
                let Some((&input, g)) = inner.filter(|(_, g)| !g.is_linear()) else { continue };
                let both = f.of(&g);
                if both.steps() <= Scalar::MAX_STEPS {
                    (node.op, node.inputs) = (Op::Function(both), vec![input]);
                }
            }
            _ => {}
        }
    }
    nodes
}

/// The layers on which `last` depends, `last` at the end.
pub(super) fn needed(nodes: Vec<Node>, last: usize) -> Vec<Node> {
    let mut used = vec![false; nodes.len()];
    used[last] = true;
    for index in (0..=last).rev().filter(|&index| index < nodes.len()) {
        if used[index] {
            for input in &nodes[index].inputs {
                if let NodeRef::Node(before) = *input {
                    used[before] = true;
                }
            }
        }
    }
    let mut place = vec![0; nodes.len()];
    let mut kept: Vec<Node> = Vec::new();
    for (index, mut node) in nodes.into_iter().enumerate().filter(|&(index, _)| used[index]) {
        for input in &mut node.inputs {
            if let NodeRef::Node(before) = input {
                *before = place[*before];
            }
        }
        place[index] = kept.len();
        kept.push(node);
    }
    kept
}
