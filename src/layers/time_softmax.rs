//! Exponentials of a softmax over time: every score's distance from the largest of its column.
//!
//! ```text
//! m           committed, one row
//! e[t]      = ⌊(2^s·m − S[t]) / 2^s + 1/2⌋
//! (e, E, b) ∈ table over e ∈ [0, 2^n),  E = round(2^f·exp(−e·2^−g)),  b = [e = 0]      one lookup a score
//! Σ_t b − 1 ∈ [0, 2^k)                                                              some score is the largest
//! ```
//!
//! A softmax does not change when all scores of a column are less by the same number, so its weights would be right with
//! any `m`, up to rounding. The largest score makes it unique, keeps the table short, and gives every column of every
//! recording a weight of `2^f`: what is added to all scores of a recording, such as the context of attentive pooling,
//! takes nothing of the table, and the sum of weights is never zero.
//!
//! `e` is a rounded quotient, hence unique for every `m`. The table has no negative `e`, so `m` is at least every rounded
//! score, and a bit exactly where it is one of them; the last line says that there is one. Scores further below the
//! largest than the table reaches fail closed.
//!
//! Padding: rows and columns beyond the real ones are in no lookup, and sums run over real rows.

use serde::{Deserialize, Serialize};

use super::fixed::{self, bits_of, column, range};
use super::lowering::{Layer, Value, exactly, layer_header};
use super::pooling::one_sequence;
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId, num_vars};
use crate::gkr::tables::{Table, TableColumn};
use crate::gkr::view::{RowMap, View};
use crate::sumcheck::int::IntTable;

/// Most bits of a distance.
pub(super) const MAX_BITS: u32 = 16;

/// Weights of every column over time, up to the factor that makes their sum one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSoftmax {
    /// Name.
    pub name: String,
    /// `s`: bits that scores drop.
    pub shift: u32,
    /// `2^f·exp(−e·2^−g)` for all distances `e`, a power of two of them.
    pub exponentials: Vec<i64>,
    /// Fraction bits of the output, `f`.
    pub fraction_bits: i32,
}

impl TimeSoftmax {
    /// For scores that are rounded to multiples of `2^−step_bits` by dropping `shift` bits, and distances of `bits` bits.
    #[must_use]
    pub fn new(name: String, shift: u32, bits: u32, step_bits: i32, fraction_bits: i32) -> Self {
        let (step, one) = (f64::from(-step_bits).exp2(), f64::from(fraction_bits).exp2());
        let exponential = |e: u32| (one * (-f64::from(e) * step).exp()).round() as i64;
        let exponentials = (0..1u32 << bits.min(MAX_BITS)).map(exponential).collect();
        Self { name, shift, exponentials, fraction_bits }
    }

    /// `(e, E, b)`; refuses tables that no importer makes, since they may come from a file.
    fn table(&self) -> Result<Table, ProgramError> {
        let len = self.exponentials.len();
        let sound = len.is_power_of_two()
            && len <= 1 << MAX_BITS
            && self.exponentials.iter().all(|e| (0..1 << 24).contains(e))
            && self.exponentials[0] > 0;
        if !sound {
            return Err(ProgramError::TooLarge(format!("the table of the softmax `{}`", self.name)));
        }
        let name = format!("exponentials of {}", self.name);
        let mut table = Table::function(name, 0, self.exponentials.clone());
        table.columns.push(TableColumn::values((0..len).map(|e| i64::from(e == 0)).collect()));
        Ok(table)
    }

    /// `m`, and `2^s·m − S` for all rows.
    fn distances(&self, p: &mut ProgramBuilder, scores: TensorId) -> Result<TensorId, ProgramError> {
        let (name, (rows, cols)) = (&self.name, p.shape(scores));
        let one = fixed::power(name, self.shift)?;
        let (shift, half) = (self.shift as usize, one / 2);
        let bits = bits_of(p, scores).saturating_sub(shift) + 2;
        let largest = fixed::integer(
            p,
            &format!("{name}/largest"),
            (1, cols),
            bits,
            &[scores],
            Hint::whole(move |t| Ok(largest_of_columns(t[0], |score| -((half - score) >> shift)))),
        )?;
        let terms = vec![(one, View::rows(largest, RowMap::broadcast(rows))), (-1, p.whole(scores))];
        p.linear(&format!("{name}/distance"), terms, 0)
    }
}

/// The largest `f` of every column.
fn largest_of_columns(table: &IntTable, f: impl Fn(i128) -> i128) -> Vec<i128> {
    let mut largest = vec![i128::MIN; table.cols()];
    for (i, value) in table.values().iter().enumerate() {
        let most = &mut largest[i % table.cols()];
        *most = (*most).max(f(value));
    }
    largest
}

impl Layer for TimeSoftmax {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = format!("{}/output", self.name);
        let [input] = exactly(&self.name, inputs)?;
        one_sequence(&self.name, input)?;
        let (table, shift) = (self.table()?, self.shift as usize);
        let distances = self.distances(p, input.tensor)?;
        let distances = fixed::rounded(p, &name, distances, shift)?;
        let shape = p.shape(distances);
        let most = table.len() as i128 - 1;
        let e = p.witness(
            &format!("{name}: argument"),
            shape,
            (0, most),
            &[distances],
            Hint::entrywise(move |v| v >> shift),
        )?;
        fixed::remainder(p, &name, distances, e, shift)?;
        let (values, bounds) = (self.exponentials.clone(), table.column_range(1));
        let weights = p.witness(
            &name,
            shape,
            (bounds.0.into(), bounds.1.into()),
            &[e],
            Hint::entrywise(move |v| {
                // What is beyond the table is in no entry of it, whatever its weight.
                usize::try_from(v).ok().and_then(|v| values.get(v)).copied().unwrap_or(0).into()
            }),
        )?;
        let is_largest = p.witness(
            &format!("{name}: is largest"),
            shape,
            (0, 1),
            &[e],
            Hint::entrywise(move |v| i128::from(v == 0)),
        )?;
        let table = p.table(table)?;
        p.lookup([e, weights, is_largest].map(|id| column(p.whole(id))).to_vec(), table)?;
        let found = vec![(1, View::rows(is_largest, RowMap::sum(shape.0)))];
        let others = p.linear(&format!("{name}: others"), found, -1)?;
        range(p, &format!("{name}: others"), others, num_vars(shape.0 + 1))?;
        Ok(Value { tensor: weights, ..input })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::program::Program;
    use crate::gkr::trace::{Trace, TraceError};
    use crate::sumcheck::int::IntVec;

    const SHIFT: u32 = 5;

    fn layer() -> TimeSoftmax {
        TimeSoftmax::new("weights".into(), SHIFT, 8, 4, 12)
    }

    fn run(cols: usize, scores: &[i128]) -> (Program, Result<Trace, TraceError>, TensorId) {
        let rows = scores.len() / cols;
        let mut p = ProgramBuilder::new(16);
        let input = p.input("x", (rows, cols), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = layer().lower(&mut p, &[Value { tensor: input, sequences: 1 }]).unwrap();
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let table = Arc::new(IntTable::new(rows, cols, IntVec::I128(scores.to_vec())));
        let trace = Trace::run(&program, &recipes, &[table], &[]);
        (program, trace, output.tensor)
    }

    /// Scores of whole steps, a context that differs by column.
    fn scores(cols: usize, steps: &[i128], context: i128) -> Vec<i128> {
        let rows = steps.len() / cols;
        (0..rows * cols).map(|i| steps[i] + context * (1 + (i % cols) as i128)).collect()
    }

    proptest! {
        #[test]
        fn weights_are_those_of_a_softmax_whatever_the_context(
            cols in 1usize..6, steps in prop::collection::vec(0i128..4000, 6..60), context in -4000i128..4000,
        ) {
            let x = scores(cols, &steps, context);
            let (program, trace, output) = run(cols, &x);
            let trace = trace.unwrap();
            trace.check(&program).unwrap();
            let unit = f64::from(SHIFT as i32 + 4).exp2();
            let largest = |c: usize| x.iter().skip(c).step_by(cols).copied().max().unwrap();
            for (i, (found, score)) in trace.get(output).values().iter().zip(&x).enumerate() {
                let exact = 4096.0 * ((score - largest(i % cols)) as f64 / unit).exp();
                // A step of 1/16 is rounded twice.
                prop_assert!((found as f64 - exact).abs() <= 0.07 * exact + 1.0, "{found} instead of {exact}");
                prop_assert!(*score != largest(i % cols) || found == 4096);
            }
        }
    }

    #[test]
    fn a_score_far_below_the_largest_fails_closed() {
        let reach = 256i128 << SHIFT;
        assert!(run(1, &[0, reach - 20]).1.is_ok());
        let refused = run(1, &[0, reach + 20]).1;
        assert!(matches!(refused, Err(TraceError::OutOfRange { .. } | TraceError::NotInTable { .. })), "{refused:?}");
    }

    /// A prover that takes a larger number for the largest score has distances, weights and remainders to match, and no
    /// distance of zero.
    #[test]
    fn a_number_above_all_scores_is_refused() {
        let (program, trace, _) = run(2, &[64, -320, 96, 640, 0, 32]);
        let mut trace = trace.unwrap();
        let id = |name: &str| TensorId(program.tensors().iter().position(|t| t.name == name).unwrap() as u32);
        let mut change = |name: &str, f: &dyn Fn(i128) -> i128| {
            let table = trace.get(id(name)).clone();
            let values = table.values().iter().map(f).collect();
            trace.replace(id(name), IntTable::new(table.rows(), table.cols(), IntVec::I128(values)));
        };
        let unit = 1i128 << SHIFT;
        change("weights/largest", &|m| m + 1);
        change("weights/distance", &|d| d + unit);
        change("weights/output: rounded", &|d| d + unit);
        change("weights/output: argument", &|e| e + 1);
        change("weights/output: is largest", &|_| 0);
        change("weights/output: others", &|_| -1);
        let exponentials = layer().exponentials;
        let arguments: Vec<i128> = trace.get(id("weights/output: argument")).values().iter().collect();
        let weights = arguments.iter().map(|&e| exponentials[usize::try_from(e).unwrap()].into()).collect();
        trace.replace(id("weights/output"), IntTable::new(3, 2, IntVec::I128(weights)));
        let refused = trace.check(&program).unwrap_err();
        assert!(
            matches!(&refused, TraceError::NotInTable { tensor, value: -1, .. } if tensor.contains("others")),
            "{refused}"
        );
    }

    #[test]
    fn tables_that_no_importer_makes_are_refused() {
        let changes: [fn(&mut TimeSoftmax); 5] = [
            |l| l.exponentials.clear(),
            |l| l.exponentials.truncate(3),
            |l| l.exponentials[1] = -1,
            |l| l.exponentials[0] = 0,
            |l| l.shift = u32::MAX,
        ];
        for change in changes {
            let mut layer = layer();
            change(&mut layer);
            let mut p = ProgramBuilder::new(16);
            let tensor = p.input("x", (3, 2), -32768, 32767).unwrap();
            assert!(layer.lower(&mut p, &[Value { tensor, sequences: 1 }]).is_err(), "{layer:?}");
        }
        let mut p = ProgramBuilder::new(16);
        let tensor = p.input("x", (4, 2), -32768, 32767).unwrap();
        assert!(layer().lower(&mut p, &[Value { tensor, sequences: 2 }]).is_err());
        assert!(layer().lower(&mut p, &[]).is_err());
    }
}
