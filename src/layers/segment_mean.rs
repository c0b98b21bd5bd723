//! Means of runs of rows, repeated: every row becomes the mean of the run that it is in.
//!
//! With runs of `n` rows, of which the last of `T` rows has `l ≤ n`, and public `r_k = round(2^30 / k)`:
//!
//! ```text
//! S[s]    = Σ_κ x[n·s + κ]                                     a view: rows beyond the last are zero
//! mean[s] = ⌊2^g·S[s]·r / 2^30 + 1/2⌋                           r = r_n, in the last run r_l
//! y[t]    = mean[⌊t / n⌋]                                      two views
//! ```
//!
//! Only the means are committed, one for every run: each is a rounded quotient, hence unique. Padding: sums run over real
//! rows, and columns beyond the real ones are in no lookup.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Layer, Value, exactly, layer_header};
use super::pooling::{RECIPROCAL_BITS, one_sequence, reciprocal};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, SourceAxis, View};

/// Most rows of a run.
const MAX_ROWS: u32 = 1 << 16;

/// Every row as the mean of its run, `2^guard_bits` times finer than the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMean {
    /// Name.
    pub name: String,
    /// Rows of a run, `n`.
    pub rows: u32,
    /// `g`.
    pub guard_bits: u32,
    /// Bits of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl SegmentMean {
    /// The mean of every run.
    fn means(&self, p: &mut ProgramBuilder, x: TensorId, count: usize) -> Result<TensorId, ModelError> {
        let (name, (length, rows)) = (&self.name, (p.shape(x).0, self.rows as usize));
        let runs = RowMap::strided(length, count, rows, rows as i64, 1, 0);
        let sum = p.linear(&format!("{name}/sum"), vec![(1, View::rows(x, runs))], 0)?;
        let [full, short] = [rows, length - (count - 1) * rows].map(|rows| reciprocal(RECIPROCAL_BITS, rows));
        let mut terms = vec![(full, p.whole(sum))];
        if short != full {
            let at = count as i64 - 1;
            let last = vec![(short - full, View::rows(sum, RowMap::slice(count, at, 1)))];
            let last = p.linear(&format!("{name}/last"), last, 0)?;
            terms.push((1, View::rows(last, RowMap::slice(1, -at, count))));
        }
        let scaled = p.linear(&format!("{name}/scaled"), terms, 0)?;
        let shift = RECIPROCAL_BITS.saturating_sub(self.guard_bits) as usize;
        Ok(fixed::requantize(p, &format!("{name}/mean"), scaled, shift, self.bits as usize)?)
    }
}

impl Layer for SegmentMean {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [input] = exactly(name, inputs)?;
        one_sequence(name, input)?;
        let (length, rows) = (p.shape(input.tensor).0, self.rows as usize);
        if self.rows == 0 || self.rows > MAX_ROWS || length == 0 {
            return Err(ModelError::Shape {
                layer: name.clone(),
                expected: format!("runs of 1 to {MAX_ROWS} rows, of at least one row"),
                found: format!("runs of {rows}, {length} rows"),
            });
        }
        let count = length.div_ceil(rows);
        let means = self.means(p, input.tensor, count)?;
        let run = SourceAxis { len: count as u32, offset: 0, out_strides: vec![1, 0], tap_strides: vec![0] };
        let repeat = RowMap { out: vec![count as u32, self.rows], taps: vec![1], source: vec![run] };
        let repeated = p.linear(&format!("{name}/repeated"), vec![(1, View::rows(means, repeat))], 0)?;
        let cut = View::rows(repeated, RowMap::slice(count * rows, 0, length));
        Ok(Value { tensor: p.linear(&format!("{name}/output"), vec![(1, cut)], 0)?, ..input })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::gkr::program::Program;
    use crate::gkr::trace::{Trace, TraceError};
    use crate::sumcheck::int::{IntTable, IntVec};

    fn run(rows: u32, cols: usize, x: &[i128]) -> (Program, Trace, TensorId) {
        let layer = SegmentMean { name: "runs".into(), rows, guard_bits: 6, bits: 23, fraction_bits: 14 };
        let length = x.len() / cols;
        let mut p = ProgramBuilder::new(16);
        let input = p.input("x", (length, cols), -32768, 32767).unwrap();
        p.range(p.whole(input), -32768, 16).unwrap();
        let output = layer.lower(&mut p, &[Value { tensor: input, sequences: 1 }]).unwrap().tensor;
        p.output(output);
        let (program, recipes) = p.finish().unwrap();
        let x = Arc::new(IntTable::new(length, cols, IntVec::I128(x.to_vec())));
        let trace = Trace::run(&program, &recipes, &[x], &[]).unwrap();
        trace.check(&program).unwrap();
        (program, trace, output)
    }

    proptest! {
        #[test]
        fn every_row_is_the_mean_of_its_run(
            rows in 1u32..9, length in 1usize..30, cols in 1usize..4, seed in any::<u64>(), extreme: bool,
        ) {
            let value = |i: usize| match seed.wrapping_mul(2 * i as u64 + 1) >> 48 {
                v if extreme => if v % 3 == 0 { 32767 } else { -32768 },
                v => i128::from(v) - 32768,
            };
            let x: Vec<i128> = (0..length * cols).map(value).collect();
            let (_, trace, output) = run(rows, cols, &x);
            for (i, found) in trace.get(output).values().iter().enumerate() {
                let (t, c, rows) = (i / cols, i % cols, rows as usize);
                let run = t / rows * rows..(t / rows * rows + rows).min(length);
                let exact = run.clone().map(|t| x[t * cols + c] as f64).sum::<f64>() / run.len() as f64 * 64.0;
                prop_assert!((found as f64 - exact).abs() <= 0.51, "{found} instead of {exact}");
            }
        }
    }

    #[test]
    fn another_mean_is_refused() {
        let (program, mut trace, _) = run(4, 1, &[5, 1, 2, 3, 90, 4]);
        let id = program.tensors().iter().position(|t| t.name == "runs/mean").unwrap() as u32;
        let values = trace.get(TensorId(id)).values().iter().map(|v| v + 1).collect();
        trace.replace(TensorId(id), IntTable::new(2, 1, IntVec::I128(values)));
        let refused = trace.check(&program);
        assert!(matches!(refused, Err(TraceError::Violated { .. } | TraceError::NotInTable { .. })), "{refused:?}");
    }

    #[test]
    fn runs_of_no_rows_are_refused() {
        for rows in [0, MAX_ROWS + 1] {
            let layer = SegmentMean { name: "runs".into(), rows, guard_bits: 6, bits: 23, fraction_bits: 14 };
            let mut p = ProgramBuilder::new(16);
            let tensor = p.input("x", (3, 2), -32768, 32767).unwrap();
            assert!(layer.lower(&mut p, &[Value { tensor, sequences: 1 }]).is_err());
            assert!(layer.lower(&mut p, &[Value { tensor, sequences: 3 }]).is_err());
        }
    }
}
