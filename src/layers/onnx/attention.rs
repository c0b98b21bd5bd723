//! Products of two values: queries and keys, then weights and values, as exporters write attention of several heads.

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Axis, Data, Scores, Statistic, StatisticKind, Value, count};
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
/// `[…, columns, time]` by `[…, time, 1]`.
fn weighted_mean(node: &NodeView, scores: Data, values: Data, weights_first: bool) -> Result<Statistic, ModelError> {
    let last =
        |data: &Data| data.axes.len().checked_sub(2).map(|at| [data.axes[at].clone(), data.axes[at + 1].clone()]);
    let (wanted, found) = (last(&scores), last(&values));
    let fits = match (&wanted, &found) {
        (Some([one, time]), Some([rows, _])) if weights_first => {
            one.is_empty() && *time == scores.rows && *rows == values.rows
        }
        (Some([time, one]), Some([_, rows])) => one.is_empty() && *time == scores.rows && *rows == values.rows,
        _ => false,
    };
    if !fits || scores.columns() != 1 || values.rows.len() != 1 || scores.axes.len() != values.axes.len() {
        let help = "a softmax over time of one weight a row can be multiplied with the rows; write other weights as a \
                    product and a sum over time";
        return Err(node.unsupported(help));
    }
    let (mut axes, over) = (values.axes.clone(), values.rows.clone());
    let at = axes.len() - if weights_first { 2 } else { 1 };
    axes[at].clear();
    Ok(Statistic { over, ..Statistic::new(values, Some(scores), axes, StatisticKind::Mean) })
}

impl<'a> Importer<'a> {
    /// MatMul of two values of the network.
    pub(super) fn attention(&mut self, node: &NodeView) -> Result<Value, ModelError> {
        let (left, right) = (node.required_input(0)?, node.required_input(1)?);
        match (self.value(node, left)?, self.value(node, right)?) {
            (Value::Softmax(scores), _) => {
                let values = self.data(node, right)?;
                return weighted_mean(node, scores, values, true).map(Value::Statistic);
            }
            (_, Value::Softmax(scores)) => {
                let values = self.data(node, left)?;
                return weighted_mean(node, scores, values, false).map(Value::Statistic);
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
