//! Products of two values: queries and keys, then weights and values, as exporters write attention of several heads.

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::tensor::Tensor;
use super::value::{Axis, Data, Scores, Statistic, StatisticKind, Value, count};
use super::weighted::Lettered;
use crate::error::ModelError;
use crate::layers::network::Op;

/// A value as heads of rows: the atoms of heads, of rows and of a head's columns, from its axes `[…, rows, columns]`,
/// or `[…, columns, rows]` if it is transposed.
fn heads(data: &Data, transposed: bool) -> Option<[Axis; 3]> {
    let rank = data.axes.len();
    let (rows, columns) = if transposed { (rank.checked_sub(1)?, rank - 2) } else { (rank.checked_sub(2)?, rank - 1) };
    let heads: Axis = data.axes[..rank - 2].concat();
    let fits = heads.iter().chain(&data.axes[columns]).all(|atom| data.cols.contains(atom))
        && data.axes[rows] == data.rows
        && heads.len() + data.axes[columns].len() == data.cols.len();
    (rank >= 2 && fits).then(|| [heads, data.axes[rows].clone(), data.axes[columns].clone()])
}

/// Weights of a softmax over time, one a row, times the rows they weight: `[…, 1, time]` by `[…, time, columns]`, or
/// `[…, columns, time]` by `[…, time, 1]`; `None` if there are more weights.
fn weighted_mean(scores: &Data, values: &Data, weights_first: bool) -> Option<Statistic> {
    let last =
        |data: &Data| data.axes.len().checked_sub(2).map(|at| [data.axes[at].clone(), data.axes[at + 1].clone()]);
    let fits = match (last(scores)?, last(values)?) {
        ([one, time], [rows, _]) if weights_first => one.is_empty() && time == scores.rows && rows == values.rows,
        ([time, one], [_, rows]) => one.is_empty() && time == scores.rows && rows == values.rows,
    };
    if !fits || scores.columns() != 1 || values.rows.len() != 1 || scores.axes.len() != values.axes.len() {
        return None;
    }
    let (mut axes, over) = (values.axes.clone(), values.rows.clone());
    let at = axes.len() - if weights_first { 2 } else { 1 };
    axes[at].clear();
    Some(Statistic { over, ..Statistic::new(values.clone(), Some(scores.clone()), axes, StatisticKind::Mean) })
}

/// A mask that leaves all keys, or those up to the query.
pub(super) fn masked_scores(node: &NodeView, scores: Scores, mask: &Tensor) -> Result<Value, ModelError> {
    let help = "only a causal mask of 0 and −∞ (or at most −10000) can be imported";
    let (&[.., rows, cols], Some(values)) = (&mask.dims[..], mask.floats()) else { return Err(node.unsupported(help)) };
    let hidden = |v: &f64| *v <= -1e4;
    if values.iter().all(|v| *v == 0.0) {
        return Ok(Value::Scores(Box::new(scores)));
    }
    let causal = rows == cols
        && values.iter().enumerate().all(|(i, v)| if i % cols > i / cols % rows { hidden(v) } else { *v == 0.0 });
    if !causal || scores.normalised {
        return Err(node.unsupported(help));
    }
    Ok(Value::Scores(Box::new(Scores { causal: true, ..scores })))
}

impl<'a> Importer<'a> {
    /// MatMul of two values of the network.
    pub(super) fn attention(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let (left, right) = (node.required_input(0)?, node.required_input(1)?);
        match (self.value(node, left)?, self.value(node, right)?) {
            (Value::Softmax(scores), _) => {
                let values = self.data(node, right)?;
                return self.softmax_product(node, scores, values, true);
            }
            (_, Value::Softmax(scores)) => {
                let values = self.data(node, left)?;
                return self.softmax_product(node, scores, values, false);
            }
            _ => {}
        }
        let left = match self.value(node, left)? {
            scores @ Value::Scores(_) => scores,
            _ => Value::Data(self.data(node, left)?),
        };
        let right = self.data(node, right)?;
        self.product_of_two(node, left, right)
    }

    /// MatMul of a softmax over time and what it weights.
    fn softmax_product(
        &mut self,
        node: &NodeView,
        scores: Data,
        values: Data,
        weights_first: bool,
    ) -> Result<Value, ModelError> {
        if let Some(mean) = weighted_mean(&scores, &values, weights_first) {
            return Ok(Value::Statistic(mean));
        }
        let rank = scores.axes.len().max(values.axes.len());
        let batch: Vec<char> = ('a'..='w').take(rank.saturating_sub(2)).collect();
        let lettered = |data: Data, last: [char; 2]| {
            let mut letters: Vec<char> = batch.iter().copied().chain(last).collect();
            letters.drain(..letters.len().saturating_sub(data.axes.len()));
            (data, letters)
        };
        // x: columns of the weights, y: time, z: columns of the values.
        let (scores, values, last) = match weights_first {
            true => (lettered(scores, ['x', 'y']), lettered(values, ['y', 'z']), ['x', 'z']),
            false => (lettered(scores, ['y', 'x']), lettered(values, ['z', 'y']), ['z', 'x']),
        };
        let output: Vec<char> = batch.iter().copied().chain(last).collect();
        let operands = [&scores, &values].map(|(data, letters)| Lettered { data: data.clone(), letters });
        self.weighted_sum(node, operands, &output).map(Value::Data)
    }

    /// Queries times keys, rows by columns and columns by rows; or the softmax of their scores times values.
    pub(super) fn product_of_two(&mut self, node: &NodeView, left: Value, key: Data) -> Result<Value, ModelError> {
        let help = "two values can be multiplied as queries and keys, and as softmax and values of attention";
        let query = match left {
            Value::Scores(scores) => return self.attended(node, *scores, &key),
            Value::Data(query) => query,
            _ => return Err(node.unsupported(help)),
        };
        let (Some(q), Some(k)) = (heads(&query, false), heads(&key, true)) else {
            return Err(node.unsupported(help));
        };
        let extents = |parts: &[Axis; 3]| [count(&parts[0]), count(&parts[2])];
        if extents(&q) != extents(&k) || q[1].is_empty() || k[1].is_empty() {
            return Err(shape(
                node,
                format!("keys that fit queries {}", extents_of(&query.axes)),
                extents_of(&key.axes),
            ));
        }
        let number = count(&q[0]).unwrap_or(1);
        let mut axes = query.axes.clone();
        if let Some(last) = axes.last_mut() {
            *last = k[1].clone();
        }
        let by_head = |parts: &[Axis; 3]| -> Axis { parts[0].iter().chain(&parts[2]).copied().collect() };
        let (q_cols, k_cols) = (by_head(&q), by_head(&k));
        let query = self.with_columns(node, query, &q_cols)?;
        let key = self.with_columns(node, key, &k_cols)?;
        let scores = Scores { query, key, axes, heads: number, scale: 1.0, causal: false, normalised: false };
        Ok(Value::Scores(Box::new(scores)))
    }

    fn attended(&mut self, node: &NodeView, scores: Scores, values: &Data) -> Result<Value, ModelError> {
        let fits = heads(values, false).filter(|v| {
            count(&v[0]).unwrap_or(1) == scores.heads && scores.normalised && values.columns() == scores.query.columns()
        });
        let Some([value_heads, _, width]) = fits else {
            return Err(
                node.unsupported("the softmax of scores is multiplied with values of as many heads and columns")
            );
        };
        let cols: Axis = value_heads.iter().chain(&width).copied().collect();
        let values = self.with_columns(node, values.clone(), &cols)?;
        // The axes of the scores before the last two are the heads, cut as those of the queries.
        let mut axes = scores.axes.clone();
        if let Some(last) = axes.last_mut() {
            last.clone_from(&width);
        }
        let inputs = [scores.query.clone(), scores.key, values];
        let (heads, scale, causal) = (scores.heads, scores.scale, scores.causal);
        let result = self.push_all(node, &inputs, Op::Attention { heads, scale, causal });
        let query_heads: Axis = axes[..axes.len().saturating_sub(2)].concat();
        let cols = query_heads.into_iter().chain(width).collect();
        Ok(Value::Data(Data { axes, cols, ..result }))
    }
}
