//! Einsum: products with a constant, of matrices and batches of them, by entries and outer ones; products of two values
//! as in attention; transpositions.
//!
//! A product with a constant `C` sums over the letters that the output lacks. The letters that the value shares with `C` are one
//! axis, those of `C` in the output another one, and what is between them is a dense layer; a letter that stays on both sides
//! makes its weights block diagonal.
//!
//! Operator: <https://onnx.ai/onnx/operators/onnx__Einsum.html>.

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::tensor::{Tensor, Values};
use super::value::{Axis, Data, Value, count};
use super::weighted::Lettered;
use crate::error::ModelError;

/// What can be imported, for messages.
const FORMS: &str = "use letters only, each once an operand: a transposition (bct->btc), a value and a constant (bti,oi->bto, \
                     bhti,hio->bhto, btc,c->btc, bt,c->btc) that sums over letters of both, or two values as in attention \
                     (bhqd,bhkd->bhqk, bhqk,bhkd->bhqd)";

/// The letters of every operand and of the output.
struct Equation {
    inputs: Vec<Vec<char>>,
    output: Vec<char>,
}

/// An equation that is understood; each letter stands once in an operand, and those of the output are letters of operands.
fn parsed(text: &str) -> Option<Equation> {
    let text: String = text.split_whitespace().collect();
    let (inputs, output) = text.split_once("->")?;
    let inputs: Vec<Vec<char>> = inputs.split(',').map(|letters| letters.chars().collect()).collect();
    let output: Vec<char> = output.chars().collect();
    let once = |letters: &Vec<char>| {
        letters.iter().enumerate().all(|(i, c)| c.is_ascii_alphabetic() && !letters[..i].contains(c))
    };
    let known = output.iter().all(|c| inputs.iter().any(|letters| letters.contains(c)));
    (inputs.iter().chain([&output]).all(once) && known).then_some(Equation { inputs, output })
}

/// The letters of `from` that `keep` holds for.
fn letters(from: &[char], keep: impl Fn(&char) -> bool) -> Vec<char> {
    from.iter().filter(|c| keep(c)).copied().collect()
}

/// The value with its axes, named `from`, in the order `to`, which has the same letters; `None` if it has not.
fn permuted(data: Data, from: &[char], to: &[char]) -> Option<Data> {
    let place = |c: &char| from.iter().position(|other| other == c);
    let places: Vec<usize> = to.iter().map(place).collect::<Option<_>>()?;
    let axes: Vec<Axis> = places.iter().map(|&at| data.axes.get(at).cloned()).collect::<Option<_>>()?;
    (from.len() == to.len() && from.len() == data.axes.len()).then_some(Data { axes, ..data })
}

/// The index of every letter in an entry of a tensor whose axes are these letters, of these extents.
fn digits(mut index: usize, extents: &[usize]) -> Vec<usize> {
    let mut digits = vec![0; extents.len()];
    for (digit, &extent) in digits.iter_mut().zip(extents).rev() {
        *digit = index % extent.max(1);
        index /= extent.max(1);
    }
    digits
}

impl<'a> Importer<'a> {
    pub(super) fn einsum(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["equation"])?;
        node.at_most_inputs(2)?;
        let text = node.text("equation", "")?;
        let refuse = || node.refuse("equation", text, FORMS);
        let Equation { inputs, output } = parsed(text).ok_or_else(refuse)?;
        if inputs.len() != node.num_inputs() {
            return Err(node.malformed("has another number of inputs than of operands"));
        }
        let [left, right] = match &inputs[..] {
            [only] => {
                let data = self.first(node)?;
                return permuted(data, only, &output).map(Value::Data).ok_or_else(refuse);
            }
            [left, right] => [left, right],
            _ => return Err(refuse()),
        };
        let names = [node.required_input(0)?, node.required_input(1)?];
        match [self.value(node, names[0])?, self.value(node, names[1])?] {
            [Value::Constant(_), Value::Constant(_)] => {
                Err(node.unsupported("a product of two constants: multiply them"))
            }
            [Value::Constant(tensor), _] => {
                let data = self.data(node, names[1])?;
                self.with_tensor(node, (data, right), (&tensor, left), &output)?.ok_or_else(refuse)
            }
            [_, Value::Constant(tensor)] => {
                let data = self.data(node, names[0])?;
                self.with_tensor(node, (data, left), (&tensor, right), &output)?.ok_or_else(refuse)
            }
            [Value::Softmax(scores), _] => {
                let operands = [(scores, left), (self.data(node, names[1])?, right)];
                let operands = operands.map(|(data, letters)| Lettered { data, letters });
                self.weighted_sum(node, operands, &output).map(Value::Data)
            }
            [_, Value::Softmax(scores)] => {
                let operands = [(scores, right), (self.data(node, names[0])?, left)];
                let operands = operands.map(|(data, letters)| Lettered { data, letters });
                self.weighted_sum(node, operands, &output).map(Value::Data)
            }
            _ => self.product_of_values(node, names, [left, right], &output)?.ok_or_else(refuse),
        }
    }

    /// Two values, as queries and keys, or as the softmax of their scores and values; `None` for anything else.
    fn product_of_values(
        &mut self,
        node: &NodeView,
        names: [&str; 2],
        [left, right]: [&[char]; 2],
        output: &[char],
    ) -> Result<Option<Value>, ModelError> {
        let batch = letters(left, |c| right.contains(c) && output.contains(c));
        let summed = letters(left, |c| right.contains(c) && !output.contains(c));
        let (rows, cols) = (letters(left, |c| !right.contains(c)), letters(right, |c| !left.contains(c)));
        if [rows.len(), cols.len(), summed.len()] != [1; 3] {
            return Ok(None);
        }
        let [first, second, result] = [[&batch[..], &rows, &summed], [&batch, &summed, &cols], [&batch, &rows, &cols]]
            .map(|parts| parts.concat());
        let value = match self.value(node, names[0])? {
            // The axes of scores stay as they are.
            scores @ Value::Scores(_) if left == &first[..] => scores,
            Value::Scores(_) => return Ok(None),
            _ => match permuted(self.data(node, names[0])?, left, &first) {
                Some(data) => Value::Data(data),
                None => return Ok(None),
            },
        };
        let Some(second) = permuted(self.data(node, names[1])?, right, &second) else { return Ok(None) };
        Ok(match self.product_of_two(node, value, second)? {
            Value::Data(data) => permuted(data, &result, output).map(Value::Data),
            scores => (result == output).then_some(scores),
        })
    }

    /// A value and a constant; `None` for sums over letters that only one of them has.
    pub(super) fn with_tensor(
        &mut self,
        node: &NodeView,
        (data, left): (Data, &[char]),
        (tensor, right): (&Tensor, &[char]),
        output: &[char],
    ) -> Result<Option<Value>, ModelError> {
        if left.len() != data.axes.len() || right.len() != tensor.dims.len() {
            let expected = format!("axes {left:?} and {right:?}");
            return Err(shape(node, expected, (extents_of(&data.axes), &tensor.dims)));
        }
        let extent = |c: &char| right.iter().position(|other| other == c).map(|at| tensor.dims[at]);
        let fits = |(c, axis): (&char, &Axis)| {
            let (given, found) = (extent(c), count(axis));
            given.is_none() || found.is_none() || given == found
        };
        if !left.iter().zip(&data.axes).all(fits) {
            return Err(shape(node, extents_of(&data.axes), &tensor.dims));
        }
        let kept = letters(left, |c| !right.contains(c));
        let (from, to) = (letters(right, |c| left.contains(c)), letters(right, |c| output.contains(c)));
        if !kept.iter().all(|c| output.contains(c)) || !right.iter().all(|c| from.contains(c) || to.contains(c)) {
            return Ok(None);
        }
        if from.len() == right.len() && to.len() == right.len() {
            let each = aligned(tensor, right, left);
            let each = each.ok_or_else(|| node.malformed("has a constant that is not of finite floats"))?;
            let Value::Data(result) = self.combined_with(node, data, &each, |x| (x, 0.0))? else { return Ok(None) };
            return Ok(permuted(result, left, output).map(Value::Data));
        }
        // What stays, then one axis of all letters of the constant.
        let order: Vec<char> = kept.iter().chain(&from).copied().collect();
        let Some(mut data) = permuted(data, left, &order) else { return Ok(None) };
        let merged: Axis = data.axes.split_off(kept.len()).concat();
        data.axes.push(merged);
        let extents = |letters: &[char]| -> Vec<usize> { letters.iter().filter_map(&extent).collect() };
        let (rows, cols) = (extents(&from), extents(&to));
        let product = |extents: &[usize]| extents.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        let (Some(inner), Some(outer)) = (product(&rows), product(&cols)) else { return Ok(None) };
        self.spend(node, inner.saturating_mul(outer))?;
        let weight = weights(tensor, right, (&from, &rows), (&to, &cols));
        let weight = weight.ok_or_else(|| node.malformed("has a constant that is not of finite floats"))?;
        let mut result = self.dense(node, data, &weight, [inner, outer], vec![0.0; outer])?;
        // The new axis as one for each of its letters.
        let axes: Vec<Axis> = cols.iter().map(|&extent| self.axis(Some(extent))).collect();
        if let Some(atom) = result.axes.pop().and_then(|axis| axis.first().copied()) {
            result.replace(atom.id, &axes.concat());
        }
        result.axes.extend(axes);
        let order: Vec<char> = kept.into_iter().chain(to).collect();
        Ok(permuted(result, &order, output).map(Value::Data))
    }
}

/// The constant with an axis for every letter of `to`, in that order, of extent 1 where it has none; `None` if its numbers are
/// not finite floats.
fn aligned(tensor: &Tensor, letters: &[char], to: &[char]) -> Option<Tensor> {
    let place = |c: &char| letters.iter().position(|other| other == c);
    let dims: Vec<usize> = to.iter().map(|c| place(c).map_or(1, |at| tensor.dims[at])).collect();
    let values = tensor.floats().filter(|values| values.iter().all(|v| v.is_finite()))?;
    let entry = |index: usize| {
        let digits = digits(index, &dims);
        let at = |c: &char| to.iter().position(|other| other == c).map_or(0, |at| digits[at]);
        letters.iter().zip(&tensor.dims).fold(0, |sum, (c, &extent)| sum * extent + at(c))
    };
    let values = (0..values.len()).map(|index| values.get(entry(index)).copied()).collect::<Option<_>>()?;
    Some(Tensor { dims, values: Values::Float(values) })
}

/// The matrix from letters to letters, of these extents; zero where a letter of both differs. `None` if the constant's numbers
/// are not finite floats.
fn weights(
    tensor: &Tensor,
    letters: &[char],
    (from, rows): (&[char], &[usize]),
    (to, cols): (&[char], &[usize]),
) -> Option<Vec<f64>> {
    let values = tensor.floats().filter(|values| values.iter().all(|v| v.is_finite()))?;
    let [inner, outer] = [rows, cols].map(|extents| extents.iter().product::<usize>());
    let (row_digits, col_digits): (Vec<_>, Vec<_>) =
        ((0..inner).map(|r| digits(r, rows)).collect(), (0..outer).map(|c| digits(c, cols)).collect());
    let entry = |r: usize, c: usize| {
        let in_row = |letter: &char| from.iter().position(|other| other == letter).map(|at| row_digits[r][at]);
        let in_col = |letter: &char| to.iter().position(|other| other == letter).map(|at| col_digits[c][at]);
        let mut index = 0;
        for (letter, &extent) in letters.iter().zip(&tensor.dims) {
            let at = match (in_row(letter), in_col(letter)) {
                (Some(a), Some(b)) if a != b => return 0.0,
                (Some(a), _) | (None, Some(a)) => a,
                (None, None) => 0,
            };
            index = index * extent + at;
        }
        values.get(index).copied().unwrap_or(0.0)
    };
    Some((0..inner * outer).map(|i| entry(i / outer, i % outer)).collect())
}
