//! Operators that move no values: transposing, reshaping, squeezing, expanding.

use super::fold_moves::{axis_index, order};
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::shape::atom_of;
use super::value::{Atom, Axis, Data, Value};
use crate::error::ModelError;

impl<'a> Importer<'a> {
    /// The value with other axes, whatever step towards a layer it is.
    fn with_axes(
        &mut self,
        node: &NodeView,
        f: impl FnOnce(&mut Self, Vec<Axis>) -> Result<Vec<Axis>, ModelError>,
    ) -> Result<Value, ModelError> {
        let name = node.required_input(0)?;
        Ok(match self.value(node, name)? {
            Value::Statistic(mut statistic) => {
                statistic.axes = f(self, statistic.axes)?;
                Value::Statistic(statistic)
            }
            Value::Scores(mut scores) => {
                scores.axes = f(self, scores.axes)?;
                Value::Scores(scores)
            }
            Value::Every(mut every) => {
                every.axes = f(self, every.axes)?;
                Value::Every(every)
            }
            Value::Segments(mut segments) => {
                segments.axes = f(self, segments.axes)?;
                Value::Segments(segments)
            }
            Value::Softmax(data) => {
                let axes = f(self, data.axes)?;
                Value::Softmax(Data { axes, ..data })
            }
            _ => {
                let data = self.data(node, name)?;
                let axes = f(self, data.axes)?;
                Value::Data(Data { axes, ..data })
            }
        })
    }

    pub(super) fn transpose(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["perm"])?;
        node.at_most_inputs(1)?;
        self.with_axes(node, |_, axes| {
            let order = order(node, axes.len())?;
            Ok(order.iter().map(|&axis| axes[axis].clone()).collect())
        })
    }

    pub(super) fn squeeze(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes"])?;
        node.at_most_inputs(2)?;
        let given = self.list(node, 1, "axes")?;
        self.with_axes(node, |_, axes| {
            let removed: Vec<usize> = match given {
                Some(given) => {
                    given.iter().map(|&axis| axis_index(node, axis, axes.len())).collect::<Result<_, _>>()?
                }
                None => (0..axes.len()).filter(|&i| axes[i].is_empty()).collect(),
            };
            if let Some(&wide) = removed.iter().find(|&&axis| !axes[axis].is_empty()) {
                return Err(shape(node, "an axis known to be 1", extents_of(&axes[wide..=wide])));
            }
            Ok(axes.into_iter().enumerate().filter(|(i, _)| !removed.contains(i)).map(|(_, axis)| axis).collect())
        })
    }

    pub(super) fn unsqueeze(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axes"])?;
        node.at_most_inputs(2)?;
        let given = self.list(node, 1, "axes")?.ok_or_else(|| node.unsupported("name its axes explicitly"))?;
        if given.len() > 8 {
            return Err(node.malformed("has more than 8 axes"));
        }
        self.with_axes(node, |_, mut axes| {
            let rank = axes.len() + given.len();
            let at = given.iter().map(|&axis| axis_index(node, axis, rank));
            let mut at: Vec<usize> = at.collect::<Result<_, _>>()?;
            at.sort_unstable();
            at.into_iter().for_each(|at| axes.insert(at.min(axes.len()), vec![]));
            Ok(axes)
        })
    }

    pub(super) fn flatten(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis"])?;
        node.at_most_inputs(1)?;
        let axis = node.int("axis", 1)?;
        self.with_axes(node, |_, axes| {
            let at = if axis == axes.len() as i64 { axes.len() } else { axis_index(node, axis, axes.len())? };
            let (outer, inner) = axes.split_at(at);
            Ok(vec![outer.concat(), inner.concat()])
        })
    }

    pub(super) fn reshape(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["allowzero", "shape"])?;
        node.at_most_inputs(2)?;
        let targets = self.list(node, 1, "shape")?.ok_or_else(|| node.malformed("has no shape"))?;
        let copies = node.int("allowzero", 0)? == 0;
        let name = node.required_input(0)?;
        // Only a value of the network can have its atoms cut; steps towards a layer keep theirs.
        if let value @ (Value::Statistic(_) | Value::Scores(_) | Value::Softmax(_) | Value::Segments(_)) =
            self.value(node, name)?
        {
            let axes = value.axes().unwrap_or_default().to_vec();
            let dummy = Data { node: crate::layers::network::NodeRef::Input, rows: vec![], cols: vec![], axes };
            let before: Vec<Atom> = dummy.axes.concat();
            let after = self.reshaped(node, dummy, &targets, copies)?;
            if after.axes.concat() == before {
                return self.with_axes(node, |_, _| Ok(after.axes));
            }
        }
        let data = self.data(node, name)?;
        Ok(Value::Data(self.reshaped(node, data, &targets, copies)?))
    }

    fn reshaped(&mut self, node: &NodeView, data: Data, targets: &[i64], copies: bool) -> Result<Data, ModelError> {
        let mut data = data;
        let copied =
            |i: usize| data.axes.get(i).cloned().ok_or_else(|| node.malformed("copies an axis that is not there"));
        let zeros = targets.iter().enumerate().filter(|&(_, &n)| n == 0 && copies);
        let copied: Vec<(usize, Axis)> = zeros.map(|(i, _)| Ok((i, copied(i)?))).collect::<Result<_, ModelError>>()?;
        let target = |i: usize| match copied.iter().find(|(at, _)| *at == i) {
            Some((_, axis)) => Target::Atoms(axis.clone()),
            None => Target::of(targets[i]),
        };
        let mut atoms: Vec<Atom> = data.axes.concat();
        let mut left: Vec<Axis> = Vec::new();
        let mut right: Vec<Axis> = Vec::new();
        let (mut start, mut end) = (0, targets.len());
        // From both ends towards the axis that takes what is left.
        while start < end {
            match self.take(node, &mut data, &mut atoms, target(start), false)? {
                Some(axis) => left.push(axis),
                None => break,
            }
            start += 1;
        }
        while end > start + 1 {
            match self.take(node, &mut data, &mut atoms, target(end - 1), true)? {
                Some(axis) => right.push(axis),
                None => {
                    let help = "more than one of its extents depends on the recording; export with fixed ones";
                    return Err(node.unsupported(help));
                }
            }
            end -= 1;
        }
        if start < end {
            left.push(std::mem::take(&mut atoms));
        }
        if !atoms.is_empty() {
            return Err(shape(node, format!("as many values as {} has", extents_of(&data.axes)), targets));
        }
        left.extend(right.into_iter().rev());
        data.axes = left;
        Ok(data)
    }

    /// The atoms of one axis of a new shape, taken from the start or the end of `atoms`; `None` if it takes what is left.
    fn take(
        &mut self,
        node: &NodeView,
        data: &mut Data,
        atoms: &mut Vec<Atom>,
        target: Target,
        from_end: bool,
    ) -> Result<Option<Axis>, ModelError> {
        let misfit = |data: &Data| {
            shape(
                node,
                format!("extents that divide those of {}", extents_of(&data.axes)),
                format_args!("{}", target.text()),
            )
        };
        let mut axis = Vec::new();
        match &target {
            Target::Rest => return Ok(None),
            Target::Unknown(id) => {
                let next = if from_end { atoms.last() } else { atoms.first() }.copied();
                // The extent of another value's time, say before a convolution that keeps it, is not told apart.
                if next.is_none_or(|atom| atom.id != *id && atom.extent.is_some()) {
                    return Ok(None);
                }
                axis.extend(if from_end { atoms.pop() } else { Some(atoms.remove(0)) });
            }
            Target::Atoms(wanted) => {
                let start = if from_end { atoms.len().saturating_sub(wanted.len()) } else { 0 };
                if atoms.get(start..start + wanted.len()) != Some(&wanted[..]) {
                    return Err(misfit(data));
                }
                axis = atoms.splice(start..start + wanted.len(), []).collect();
            }
            Target::Known(extent) => {
                let mut need = *extent;
                while need > 1 {
                    let next = if from_end { atoms.last() } else { atoms.first() }.copied();
                    let found = next.and_then(|atom| Some((atom, atom.extent?)));
                    let (atom, extent) = found.ok_or_else(|| misfit(data))?;
                    let at = if from_end { atoms.len() - 1 } else { 0 };
                    if extent > need && extent % need == 0 {
                        let outer = if from_end { extent / need } else { need };
                        let parts = self.split(data, atom, outer);
                        atoms.splice(at..=at, parts);
                    } else if need % extent == 0 {
                        axis.extend(if from_end { atoms.pop() } else { Some(atoms.remove(0)) });
                        need /= extent;
                    } else {
                        return Err(misfit(data));
                    }
                }
                if from_end {
                    axis.reverse();
                }
            }
        }
        Ok(Some(axis))
    }

    /// One row made as many as those of the value that it is combined with next; axes of extent 1 anywhere else are
    /// repeated by whatever combines two values.
    pub(super) fn expand(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&[])?;
        node.at_most_inputs(2)?;
        let targets = self.list(node, 1, "shape")?.ok_or_else(|| node.malformed("has no shape"))?;
        let tile = node.operator() == "Tile";
        let name = node.required_input(0)?;
        if let norm @ Value::Norm(..) = self.value(node, name)? {
            // The division that follows repeats it anyhow.
            return Ok(norm);
        }
        if let Value::Segments(segments) = self.value(node, name)? {
            return self.repeated_segments(node, *segments, &targets);
        }
        let mut data = self.data(node, name)?;
        if tile && targets.len() != data.axes.len() {
            return Err(shape(node, format!("{} numbers", data.axes.len()), targets));
        }
        while data.axes.len() < targets.len() {
            data.axes.insert(0, vec![]);
        }
        let missing = data.axes.len() - targets.len();
        let mut wider = false;
        for (axis, &target) in data.axes.iter().skip(missing).zip(&targets) {
            let same = target == 1 || target == -1 || (!tile && super::shape::extent(axis) == target);
            // Lengths that are not known are compared when a recording is there.
            let unknown = !tile && atom_of(target).is_some() && axis.iter().any(|atom| atom.extent.is_none());
            if same || unknown {
                continue;
            }
            if !axis.is_empty() || (target <= 0 && atom_of(target).is_none()) {
                return Err(shape(node, format!("extents {}", extents_of(&data.axes)), &targets));
            }
            wider = true;
        }
        Ok(if wider { Value::Expanded(data) } else { Value::Data(data) })
    }
}

/// What one extent of a new shape asks for.
#[derive(Clone, Debug)]
enum Target {
    Known(usize),
    /// An extent that is not known, of this atom.
    Unknown(u32),
    /// Exactly these atoms.
    Atoms(Axis),
    /// What is left.
    Rest,
}

impl Target {
    /// What it asks for, for messages.
    fn text(&self) -> String {
        match self {
            Self::Known(extent) => format!("an extent of {extent}"),
            Self::Atoms(_) => "an axis as it was".into(),
            Self::Unknown(_) | Self::Rest => "an extent that depends on the recording".into(),
        }
    }

    fn of(extent: i64) -> Self {
        match (atom_of(extent), usize::try_from(extent)) {
            (Some(id), _) => Self::Unknown(id),
            (None, Ok(extent)) => Self::Known(extent),
            _ => Self::Rest,
        }
    }
}
