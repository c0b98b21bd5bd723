//! Constants of which a recording takes as many steps from the first as it has: tables of positions, cut by `Slice` or read
//! by `Gather`.

use std::rc::Rc;

use super::elementwise::single;
use super::fold;
use super::fold_moves::axis_index;
use super::import::Importer;
use super::node::NodeView;
use super::shape::atom_of;
use super::tensor::Tensor;
use super::value::{Along, Every, Value};
use crate::error::ModelError;

/// What may be done to all steps before they are cut: nothing that mixes them.
const KEEP_STEPS: [&str; 10] =
    ["Add", "Cast", "Div", "Dropout", "Identity", "Mul", "Squeeze", "Sub", "Transpose", "Unsqueeze"];

impl Importer<'_> {
    /// A constant from its first step to as many as a recording has; `None` if that is not what is cut.
    pub(super) fn cut_constant(tensor: &Rc<Tensor>, operands: &[[i64; 4]]) -> Option<Value> {
        let &[[start, end, _, step]] = operands else { return None };
        ((start, step) == (0, 1) && atom_of(end).is_some()).then(|| Value::Positions(Rc::clone(tensor)))
    }

    /// The rows of a table, one for every step of time; `None` if it is read in another way.
    pub(super) fn read_positions(&mut self, node: &NodeView, index: &Every) -> Result<Option<Value>, ModelError> {
        node.only(&["axis"])?;
        let Value::Constant(table) = self.value(node, node.required_input(0)?)? else { return Ok(None) };
        let axis = axis_index(node, node.int("axis", 0)?, table.dims.len())?;
        if axis != 0 || index.along != Along::Steps {
            return Ok(None);
        }
        let mut dims: Vec<usize> =
            index.axes.iter().map(|axis| if axis.is_empty() { 1 } else { table.dims[0] }).collect();
        dims.extend(&table.dims[1..]);
        self.spend(node, table.len())?;
        Ok(Some(Value::Positions(Rc::new(Tensor { dims, values: table.values.clone() }))))
    }

    /// Steps that are still to be cut, after an operator that keeps them apart; `None` if it is another.
    pub(super) fn moved_positions(&mut self, node: &NodeView) -> Result<Option<Value>, ModelError> {
        if !KEEP_STEPS.contains(&node.operator().as_str()) {
            return Ok(None);
        }
        let (mut tensors, mut cut) = (Vec::new(), false);
        for index in 0..node.num_inputs().min(3) {
            let value = match node.input(index) {
                Some(name) => self.value(node, name)?,
                None => return Ok(None),
            };
            tensors.push(match value {
                Value::Positions(tensor) if !cut => {
                    cut = true;
                    tensor
                }
                // Axes, or one number for all.
                Value::Constant(tensor) if tensor.ints().is_some() || single(&tensor).is_some() => tensor,
                _ => return Ok(None),
            });
        }
        if !cut {
            return Ok(None);
        }
        let inputs: Vec<Option<&Tensor>> = tensors.iter().map(|tensor| Some(&**tensor)).collect();
        let Some(results) = fold::evaluate(node, &inputs, self.room())? else { return Ok(None) };
        let Some(tensor) = results.into_iter().next() else { return Ok(None) };
        self.spend(node, tensor.len())?;
        Ok(Some(Value::Positions(Rc::new(tensor))))
    }
}
