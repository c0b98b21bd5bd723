//! Sums over time with the weights of a softmax over time, whatever columns value and weights have: one weight a row, one
//! a column, one for every head of columns, or several for the same columns.

use super::import::Importer;
use super::layout::{extents_of, shape};
use super::node::NodeView;
use super::value::{Atom, Axis, Data, Statistic, StatisticKind, Value, count};
use crate::error::ModelError;
use crate::layers::network::Op;

/// Most runs of columns that have weights of their own.
const MAX_RUNS: usize = 64;

/// A value whose axes have names, the same for the same extents.
pub(super) struct Lettered<'a> {
    pub(super) data: Data,
    pub(super) letters: &'a [char],
}

impl Importer<'_> {
    /// A value and the scores that weight it, with one row a step of time and columns in one order: those of the scores
    /// come first in the value.
    pub(super) fn weighed(&mut self, node: &NodeView, x: Data, scores: Data) -> Result<[Data; 2], ModelError> {
        let [x, scores] = self.matched(node, x, scores)?;
        let x = self.folded_rows(node, x)?;
        let scores = self.folded_rows(node, scores)?;
        if x.rows != scores.rows || x.rows.is_empty() || !scores.cols.iter().all(|atom| x.cols.contains(atom)) {
            let help = "a softmax over time can only weight a value of as many steps, whose channels include its own";
            return Err(node.unsupported(help));
        }
        if scores.cols.len() == x.cols.len() {
            let cols = x.cols.clone();
            return Ok([x, self.with_columns(node, scores, &cols)?]);
        }
        let rest = x.cols.iter().filter(|atom| !scores.cols.contains(atom));
        let cols: Axis = scores.cols.iter().chain(rest).copied().collect();
        Ok([self.with_columns(node, x, &cols)?, scores])
    }

    /// What a softmax over time weights, input `at` of the node, or its square.
    pub(super) fn weighted(
        &mut self,
        node: &NodeView,
        scores: Data,
        x: Value,
        at: usize,
    ) -> Result<Statistic, ModelError> {
        let (source, axes, kind) = match x {
            Value::Statistic(Statistic { source, scores: None, axes, kind: kind @ StatisticKind::Square, .. }) => {
                (source, axes, kind)
            }
            _ => {
                let data = self.data(node, node.required_input(at)?)?;
                (data.clone(), data.axes, StatisticKind::Weighted)
            }
        };
        let [source, scores] = self.weighed(node, Data { axes, ..source }, scores)?;
        let axes = source.axes.clone();
        Ok(Statistic::new(source, Some(scores), axes, kind))
    }

    /// Mean and deviation over time, side by side, of a value whose columns are as many equal runs as there are columns of
    /// scores; every run with weights of its own.
    pub(super) fn pooled_runs(
        &mut self,
        node: &NodeView,
        [x, scores]: [&Data; 2],
        min_variance: f64,
    ) -> Result<Data, ModelError> {
        let pool = Op::AttentiveStatsPool { min_variance };
        let runs = scores.columns();
        if runs <= 1 || runs == x.columns() {
            return Ok(self.push_all(node, &[x.clone(), scores.clone()], pool));
        }
        let columns = x.columns() / runs;
        let mut halves = [Vec::new(), Vec::new()];
        for run in self.runs(node, runs)? {
            let x = self.push(node, x, Op::Slice { first: run * columns, columns });
            let scores = self.push(node, scores, Op::Slice { first: run, columns: 1 });
            let both = self.push_all(node, &[x, scores], pool.clone());
            for (half, first) in halves.iter_mut().zip([0, columns]) {
                half.push(self.push(node, &both, Op::Slice { first, columns }));
            }
        }
        let halves = halves.map(|half| self.push_all(node, &half, Op::Concat));
        Ok(self.push_all(node, &halves, Op::Concat))
    }

    /// The sum over time of a value times the softmax of scores, for every combination of their other axes, which `output`
    /// puts in order.
    pub(super) fn weighted_sum(
        &mut self,
        node: &NodeView,
        [scores, values]: [Lettered<'_>; 2],
        output: &[char],
    ) -> Result<Data, ModelError> {
        if [&scores, &values].iter().any(|operand| operand.letters.len() != operand.data.axes.len()) {
            let found = (extents_of(&scores.data.axes), extents_of(&values.data.axes));
            return Err(shape(node, format!("axes {:?} and {:?}", scores.letters, values.letters), found));
        }
        let more = scores.letters.iter().filter(|c| !values.letters.contains(c));
        let letters: Vec<char> = values.letters.iter().chain(more).copied().collect();
        let [scores, values] = [scores, values].map(|Lettered { data, letters: own }| {
            let axis = |c: &char| own.iter().position(|other| other == c).and_then(|at| data.axes.get(at).cloned());
            Data { axes: letters.iter().map(|c| axis(c).unwrap_or_default()).collect(), ..data.clone() }
        });
        let [values, scores] = self.matched(node, values, scores)?;
        let (values, scores) = (self.folded_rows(node, values)?, self.folded_rows(node, scores)?);
        let is_time = |data: &Data, at: usize| !data.rows.is_empty() && data.axes[at] == data.rows;
        let time = letters.iter().enumerate().find(|(at, c)| !output.contains(c) && is_time(&values, *at));
        let summed = letters.iter().filter(|c| !output.contains(c)).count();
        if !time.is_some_and(|(at, _)| is_time(&scores, at))
            || summed != 1
            || !output.iter().all(|c| letters.contains(c))
        {
            let found = (extents_of(&scores.axes), extents_of(&values.axes));
            return Err(shape(node, "weights of a softmax over time, and values of as many steps", found));
        }
        let [more, shared]: [Axis; 2] = {
            let (shared, more): (Axis, Axis) = scores.cols.iter().partition(|atom| values.cols.contains(atom));
            [more, shared]
        };
        let rest: Axis = values.cols.iter().filter(|atom| !shared.contains(atom)).copied().collect();
        let concat = |parts: &[&[Atom]]| -> Axis { parts.concat() };
        let scores = self.with_columns(node, scores, &concat(&[&more, &shared]))?;
        let values = self.with_columns(node, values, &concat(&[&shared, &rest]))?;
        let number = |atoms: &[Atom]| count(atoms).unwrap_or(1);
        let (copies, runs, columns) = (number(&more), number(&shared), values.columns());
        let mut means = Vec::new();
        for copy in self.runs(node, copies)? {
            let own = match copies {
                1 => scores.clone(),
                _ => self.push(node, &scores, Op::Slice { first: copy * runs, columns: runs }),
            };
            let own = Data { cols: shared.clone(), ..own };
            let both = self.pooled_runs(node, [&values, &own], 0.0)?;
            means.push(self.push(node, &both, Op::Slice { first: 0, columns }));
        }
        let joined = if means.len() == 1 { means.remove(0) } else { self.push_all(node, &means, Op::Concat) };
        let axis = |c: &char| {
            let at = letters.iter().position(|other| other == c).unwrap_or(0);
            if values.axes[at].is_empty() { scores.axes[at].clone() } else { values.axes[at].clone() }
        };
        let axes = output.iter().map(axis).collect();
        Ok(Data { node: joined.node, axes, rows: vec![], cols: concat(&[&more, &shared, &rest]) })
    }

    fn runs(&mut self, node: &NodeView, runs: usize) -> Result<std::ops::Range<usize>, ModelError> {
        if runs > MAX_RUNS {
            return Err(node.unsupported(format!("at most {MAX_RUNS} runs of channels can have weights of their own")));
        }
        Ok(0..runs)
    }
}
