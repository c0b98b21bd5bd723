//! Normalisation over time and the channels of a group: GroupNormalization, and InstanceNormalization of several channels.
//!
//! Mean and mean square of every channel over time are one row; those of a group are means of its channels'. What is left
//! is one row that is subtracted and one that is multiplied with:
//!
//! ```text
//! μ_g = E_c[μ_c]     V_g = E_c[σ_c²] + E_c[(μ_c − μ_g)²]     y = (x − μ_g)·(V_g + ε)^(−1/2)
//! ```

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Data, Value, count};
use crate::error::ModelError;
use crate::layers::matrix::FloatMatrix;
use crate::layers::network::Op;

impl Importer<'_> {
    /// The value normalised over all rows and the columns of every group; `group` has the group of every column.
    pub(super) fn normalised_groups(
        &mut self,
        node: &NodeView,
        data: &Data,
        group: &[usize],
        epsilon: f64,
    ) -> Result<Data, ModelError> {
        let columns = group.len();
        let groups = group.iter().max().map_or(0, |&last| last + 1);
        self.spend(node, columns.saturating_mul(columns).saturating_mul(4))?;
        let size = |g: usize| group.iter().filter(|&&other| other == g).count().max(1) as f64;
        let (none, single) = ([], groups == columns);
        let over = if single { epsilon } else { 0.0 };
        let statistics = Op::GridStats { inner: 1, min_variance: 0.0, epsilon: over, unbiased: false };
        let row = |data: Data| Data { rows: none.to_vec(), ..data };
        let both = row(self.push(node, data, statistics));
        let mean = self.push(node, &both, Op::Slice { first: 0, columns });
        let deviation = self.push(node, &both, Op::Slice { first: columns, columns });
        let (mean, factor) = if single {
            (mean, self.apply(node, &deviation, "Reciprocal", vec![])?)
        } else {
            let averaged = |from: usize, to: usize| if group[from] == group[to] { 1.0 / size(group[to]) } else { 0.0 };
            let dense = |f: &dyn Fn(usize, usize) -> f64| Op::Dense {
                weight: FloatMatrix::from_fn(columns, columns, f),
                bias: vec![0.0; columns],
            };
            let average = dense(&averaged);
            let apart = dense(&|from, to| f64::from(u8::from(from == to)) - averaged(from, to));
            let apart = self.push(node, &mean, apart);
            let [inner, outer] =
                [self.apply(node, &deviation, "Pow", vec![2.0])?, self.apply(node, &apart, "Pow", vec![2.0])?];
            let squares = self.push_all(node, &[inner, outer], Op::Add);
            let variance = self.push(node, &squares, average.clone());
            let variance = self.scaled(node, &variance, 1.0, epsilon)?;
            (self.push(node, &mean, average), self.apply(node, &variance, "Pow", vec![-0.5])?)
        };
        let negative = self.scaled(node, &mean, -1.0, 0.0)?;
        let centred = self.push_all(node, &[data.clone(), negative], Op::Add);
        let result = self.push_all(node, &[centred, factor], Op::Multiply);
        Ok(Data { node: result.node, ..data.clone() })
    }

    /// GroupNormalization, with factors a channel or a group.
    pub(super) fn group_normalization(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        node.only(&["epsilon", "num_groups", "stash_type"])?;
        node.at_most_inputs(3)?;
        let epsilon = node.float("epsilon", 1e-5)?;
        let data = self.first(node)?;
        let channels = data.axes.get(1).and_then(|axis| count(axis)).filter(|_| data.columns_are(1));
        let channels = channels.ok_or_else(|| shape(node, "[1, channels, time]", extents_of(&data.axes)))?;
        let groups = usize::try_from(node.int("num_groups", 0)?).ok().filter(|&n| n > 0 && channels.is_multiple_of(n));
        let groups = groups.ok_or_else(|| {
            node.refuse("num_groups", "no divisor of the channels", &format!("there are {channels} channels"))
        })?;
        let each = channels / groups;
        let group: Vec<usize> = (0..channels).map(|column| data.index_of_column(column)[1] / each).collect();
        let normed = self.normalised_groups(node, &data, &group, epsilon)?;
        let (mut scale, mut shift) = (vec![], vec![]);
        for (input, values) in [(1, &mut scale), (2, &mut shift)] {
            let (dims, found) = self.floats(node, node.required_input(input)?)?;
            *values = match found.len() {
                n if n == channels => found,
                n if n == groups => (0..channels).map(|c| found[c / each]).collect(),
                _ => return Err(shape(node, format!("a factor for each of {channels} channels"), dims)),
            };
        }
        self.affine_along(node, normed, 1, (&scale, &shift))
    }
}
