//! Normalisation: of layers, of instances, by the root of the mean square, by the Euclidean norm.

use super::fold_moves::axis_index;
use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Data, SampleVariance, Statistic, StatisticKind, Value, count};
use crate::error::ModelError;
use crate::layers::network::Op;

impl<'a> Importer<'a> {
    /// Whether a value is what a statistic is about, or its distance from the mean.
    pub(super) fn is_source(&self, value: &Value, of: &Statistic) -> bool {
        match value {
            Value::Statistic(centred) => centred.kind == StatisticKind::Centred && centred.belongs_to(of),
            Value::Data(data) => of.kind != StatisticKind::Reciprocal && data.node == of.source.node,
            _ => false,
        }
    }

    /// A value divided by its deviation (less its mean), or by the root of its mean square.
    pub(super) fn normalised(&mut self, node: &NodeView, value: &Value, by: &Statistic) -> Result<Value, ModelError> {
        let help =
            "only a value less its mean can be divided by its deviation, and only a value by its own mean square";
        if !self.is_source(value, by) || by.factor != 1.0 || by.sample != SampleVariance::No || by.epsilon <= 0.0 {
            return Err(node.unsupported(help));
        }
        let data = by.source.clone();
        let axes = value.axes().map(<[_]>::to_vec).unwrap_or_default();
        let (epsilon, over) = (by.epsilon, &by.over);
        let columns = over.len() == data.cols.len() && over.iter().all(|atom| data.cols.contains(atom));
        let centred = matches!(value, Value::Statistic(_));
        let result = match (centred, columns) {
            (true, true) => self.push(node, &data, Op::LayerNorm { epsilon }),
            (true, false) if *over == data.rows => self.push(node, &data, Op::InstanceNorm { epsilon }),
            (false, true) => self.root_mean_square(node, &data, epsilon)?,
            _ => return Err(node.unsupported(help)),
        };
        Ok(Value::Data(Data { axes, ..result }))
    }

    /// x/sqrt(E\[x²\] + ε): of x and −x side by side the mean is zero.
    fn root_mean_square(&mut self, node: &NodeView, data: &Data, epsilon: f64) -> Result<Data, ModelError> {
        let columns = data.columns();
        let negative = self.scaled(node, data, -1.0, 0.0)?;
        let both = self.push_all(node, &[data.clone(), negative], Op::Concat);
        let normed = self.push(node, &both, Op::LayerNorm { epsilon });
        Ok(self.push(node, &normed, Op::Slice { first: 0, columns }))
    }

    pub(super) fn layer_normalization(&mut self, node: &NodeView) -> Result<Vec<Value>, ModelError> {
        node.only(&["axis", "epsilon", "stash_type"])?;
        node.at_most_inputs(3)?;
        let epsilon = node.float("epsilon", 1e-5)?;
        let data = self.first(node)?;
        let axis = self.axis_of(node, -1, data.axes.len())?;
        let over = data.axes[axis..].concat();
        if over.len() != data.cols.len() || !over.iter().all(|atom| data.cols.contains(atom)) {
            return Err(shape(node, "an axis of all channels", extents_of(&data.axes)));
        }
        let normed = self.push(node, &data, Op::LayerNorm { epsilon });
        let (mut scale, mut shift) = (vec![1.0; data.columns()], vec![0.0; data.columns()]);
        for (input, values) in [(1, &mut scale), (2, &mut shift)] {
            if let Some(name) = node.input(input) {
                let tensor = self.tensor(node, name)?;
                let found = self.constant_columns(node, &data, &tensor)?;
                *values = found.ok_or_else(|| node.unsupported("its factors must be constant along time"))?;
            }
        }
        let plain = scale.iter().all(|&a| a == 1.0) && shift.iter().all(|&s| s == 0.0);
        Ok(vec![if plain { Value::Data(normed) } else { self.affine(node, &normed, scale, shift)? }])
    }

    pub(super) fn instance_normalization(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["epsilon"])?;
        node.at_most_inputs(3)?;
        let epsilon = node.float("epsilon", 1e-5)?;
        let data = self.first(node)?;
        let channels = data.axes.get(1).and_then(|axis| count(axis));
        let spatial: Vec<_> = data.axes.get(2..).unwrap_or_default().concat();
        let whole = data.rows.iter().all(|atom| spatial.contains(atom)) && data.is_in_columns(1);
        let (Some(channels), true) = (channels, whole && !data.single_row()) else {
            return Err(shape(node, "[1, channels, time]", extents_of(&data.axes)));
        };
        let (scale, shift) = (self.vector(node, 1, channels)?, self.vector(node, 2, channels)?);
        let normed = if data.columns() == 1 {
            self.push(node, &data, Op::InstanceNorm { epsilon })
        } else {
            // As exporters write normalisation of groups, the channels of one are part of a longer axis.
            let group: Vec<usize> = (0..data.columns()).map(|column| data.index_of_column(column)[1]).collect();
            self.normalised_groups(node, &data, &group, epsilon)?
        };
        if scale.iter().all(|&a| a == 1.0) && shift.iter().all(|&s| s == 0.0) {
            return Ok(Value::Data(normed));
        }
        self.affine_along(node, normed, 1, (&scale, &shift))
    }

    /// Division by the Euclidean norm.
    pub(super) fn lp_normalization(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["axis", "p"])?;
        node.at_most_inputs(1)?;
        node.int_only("p", 2, "only the Euclidean norm can be imported")?;
        let data = self.first(node)?;
        let axis = axis_index(node, node.int("axis", -1)?, data.axes.len())?;
        if !data.columns_are(axis) {
            return Err(shape(node, "all channels, the norm's only axis", extents_of(&data.axes)));
        }
        Ok(Value::Data(self.push(node, &data, Op::L2Normalize)))
    }
}
