//! Max pooling over time as a running maximum: no product, and less than one lookup a value.
//!
//! For a patch `x₀ … x_{k−1}` let `r₀ = x₀` and `r_j = max(r_{j−1}, x_j)`; the output is `r_{k−1}`. With
//! `z_j = max(r_{j−1} − x_j, 0)`, all that is committed, `r_j = x_j + z_j`:
//!
//! ```text
//! (r_{j−1} − x_j, z_j) ∈ table of the ReLU              one lookup for each of k − 1 values
//! ```
//!
//! [`RoundedTimeMaxPool`] takes accumulators `x_j`, whose rounded quotients `y_j` are not committed either. Committed are
//! the maximum `m`, and `z_j` and `n_j = max(x_j − r_{j−1}, 0)`, one of which is zero and costs nothing:
//!
//! ```text
//! y_j = m − Σ_{i>j} n_i − z_j  (z₀ = 0)                 linear
//! (z_j − n_j, z_j, n_j) ∈ table                         k − 1 lookups
//! x_j + 2^(s−1) − 2^s·y_j ∈ [0, 2^s)                    k lookups, so y_j is the quotient
//! ```
//!
//! Quotients are unique. From them, step by step, `z_j − n_j = r_{j−1} − y_j` for the running maximum `r_{j−1}`, which
//! the table splits in one way; so `m = r_{k−1}`. With one lookup for the range of `m`, that is two lookups a value
//! where rounding, a lookup of the quotient and the distance from a maximum would take three.
//!
//! Patches have no padding; rows that fill no patch are left out. Differences beyond the table fail closed.

use serde::{Deserialize, Serialize};

use super::affine::Taps;
use super::fixed::{self, column};
use super::lowering::{Layer, Value, exactly, layer_header};
use super::max_pool::Patches;
use crate::error::ModelError;
use crate::gkr::builder::{Hint, ProgramBuilder};
use crate::gkr::program::{ProgramError, TensorId};
use crate::gkr::tables::Table;
use crate::gkr::view::{RowMap, SourceAxis, View};
use crate::sumcheck::int::{IntTable, dispatch};
use crate::sumcheck::par;

/// Most rows of a patch: maps of rows are as long as all patches together.
pub(super) const MAX_KERNEL: usize = 16;
/// Most bits of a difference.
const MAX_BITS: u32 = 20;
/// Rows that one task computes.
const ROWS: usize = 16;

/// The patches of an input; `least` is the fewest values that a patch may have.
fn patches(
    p: &ProgramBuilder,
    (name, kernel, stride, bits): (&str, u32, u32, u32),
    input: Value,
    least: u32,
) -> Result<Patches, ModelError> {
    if !(least..=MAX_KERNEL as u32).contains(&kernel) || stride == 0 || !(1..MAX_BITS).contains(&bits) {
        return Err(ModelError::Shape {
            layer: name.to_owned(),
            expected: format!("patches of {least} to {MAX_KERNEL} rows, values of less than {MAX_BITS} bits"),
            found: format!("{kernel} rows every {stride}, {bits} bits"),
        });
    }
    let taps = Taps::Time { kernel, stride, dilation: 1, pad_left: 0, pad_right: 0 };
    Patches::new(p, name, &taps, input)
}

/// `count` blocks of the patches from block `first` on.
fn blocks(patches: &Patches, x: TensorId, first: usize, count: usize) -> View {
    let mut map = patches.map.clone();
    map.out[0] = count as u32;
    map.source.iter_mut().for_each(|axis| axis.offset += first as i64 * axis.out_strides[0]);
    View::rows(x, map)
}

/// `f(r_{j−1}, y_j)` for `j = 1 … k − 1`, block after block, where `y` is `(x + half) >> shift`.
fn differences(
    x: &IntTable,
    sources: &[u32],
    [count, rows]: [usize; 2],
    (half, shift): (i128, usize),
    f: impl Fn(i128) -> i128 + Sync,
) -> Vec<i128> {
    let cols = x.cols();
    let mut out = vec![0i128; (count - 1) * rows * cols];
    dispatch!(x.values(), values => {
        let quotient = |row: usize, col: usize| {
            (Into::<i128>::into(values[sources[row] as usize * cols + col]) + half) >> shift
        };
        par::for_chunks_mut(&mut out, ROWS * cols, |chunk, out| {
            for (i, out) in out.iter_mut().enumerate() {
                let (row, col) = (chunk * ROWS + i / cols, i % cols);
                // Row `(j − 1)·rows + o`, where the running maximum is over blocks 0 … j − 1.
                let (before, o) = (row / rows, row % rows);
                let most = (0..=before).map(|j| quotient(j * rows + o, col)).max().unwrap_or(0);
                *out = f(most - quotient((before + 1) * rows + o, col));
            }
        });
    });
    out
}

/// The largest of some rows, column by column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeMaxPool {
    /// Name.
    pub name: String,
    /// Rows of a patch.
    pub kernel: u32,
    /// Rows from one patch to the next.
    pub stride: u32,
    /// Bits of the input, its sign included.
    pub bits: u32,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for TimeMaxPool {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, x) = (format!("{}/output", self.name), input.tensor);
        let patches = patches(p, (&self.name, self.kernel, self.stride, self.bits), input, 1)?;
        let (last, rows, cols) = (patches.count - 1, patches.rows, p.shape(x).1);
        if last == 0 {
            let tensor = p.linear(&name, vec![(1, patches.gather(x))], 0)?;
            return Ok(Value { tensor, ..input });
        }
        let table = Table::rectifier(self.bits as usize + 1, false);
        let (shape, sizes) = ((last * rows, cols), [patches.count, rows]);
        let (sources, most) = (patches.map.sources(0), i128::from(table.column_range(1).1));
        let excess = p.witness(
            &format!("{name}: excess"),
            shape,
            (0, most),
            &[x],
            Hint::whole(move |t| Ok(differences(t[0], &sources, sizes, (0, 0), |d| d.max(0)))),
        )?;
        let slice = |first: i64, len: usize| View::rows(excess, RowMap::slice(last * rows, first, len));
        let terms = vec![
            (1, blocks(&patches, x, 0, last)),
            (-1, blocks(&patches, x, 1, last)),
            // The running maximum exceeds the value of block j − 1 by this; block 0 by nothing.
            (1, slice(-(rows as i64), last * rows)),
        ];
        let difference = p.linear(&format!("{name}: difference"), terms, 0)?;
        let table = p.table(table)?;
        p.lookup([difference, excess].map(|id| column(p.whole(id))).to_vec(), table)?;
        let terms = vec![(1, blocks(&patches, x, last, 1)), (1, slice(((last - 1) * rows) as i64, rows))];
        Ok(Value { tensor: p.linear(&name, terms, 0)?, ..input })
    }
}

/// Accumulators divided by `2^shift` and rounded, then the largest of some rows, column by column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundedTimeMaxPool {
    /// Name.
    pub name: String,
    /// Rows of a patch, at least 2.
    pub kernel: u32,
    /// Rows from one patch to the next.
    pub stride: u32,
    /// Bits that the accumulators drop.
    pub shift: u32,
    /// Bits of a quotient, its sign included.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl RoundedTimeMaxPool {
    /// Commits `z` and `n`, and shows that one of them is zero.
    fn steps(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        x: TensorId,
        patches: &Patches,
    ) -> Result<[TensorId; 2], ProgramError> {
        let (shape, sizes) = (((patches.count - 1) * patches.rows, p.shape(x).1), [patches.count, patches.rows]);
        let (shift, half) = (self.shift as usize, fixed::power(name, self.shift)? / 2);
        let table = Table::rectifier(self.bits as usize + 1, true);
        let mut witness = |what: &str, number: usize, sign: i128| {
            let (sources, most) = (patches.map.sources(0), i128::from(table.column_range(number).1));
            p.witness(
                &format!("{name}: {what}"),
                shape,
                (0, most),
                &[x],
                Hint::whole(move |t| Ok(differences(t[0], &sources, sizes, (half, shift), move |d| (sign * d).max(0)))),
            )
        };
        let (above, below) = (witness("above", 1, 1)?, witness("below", 2, -1)?);
        let terms = vec![(1, p.whole(above)), (-1, p.whole(below))];
        let difference = p.linear(&format!("{name}: difference"), terms, 0)?;
        let table = p.table(table)?;
        p.lookup([difference, above, below].map(|id| column(p.whole(id))).to_vec(), table)?;
        Ok([above, below])
    }
}

/// `Σ_{i>j} n_i` for all `k` blocks, where `n_i` is block `i − 1` of `k − 1`.
fn later(patches: &Patches, below: TensorId) -> View {
    let (k, rows) = (patches.count as u32, patches.rows as u32);
    let block = SourceAxis { len: k - 1, offset: 0, out_strides: vec![1, 0], tap_strides: vec![1] };
    let row = SourceAxis { len: rows, offset: 0, out_strides: vec![0, 1], tap_strides: vec![0] };
    View::rows(below, RowMap { out: vec![k, rows], taps: vec![k - 1], source: vec![block, row] })
}

impl Layer for RoundedTimeMaxPool {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let [input] = exactly(&self.name, inputs)?;
        let (name, x) = (format!("{}/output", self.name), input.tensor);
        let patches = patches(p, (&self.name, self.kernel, self.stride, self.bits), input, 2)?;
        let (count, rows, cols) = (patches.count, patches.rows, p.shape(x).1);
        let (shift, bits) = (self.shift as usize, self.bits as usize);
        let one = fixed::power(&name, self.shift)?;
        let [above, below] = self.steps(p, &name, x, &patches)?;
        let most = {
            let sources = patches.map.sources(0);
            fixed::integer(
                p,
                &name,
                (rows, cols),
                bits,
                &[x],
                Hint::whole(move |t| {
                    Ok(super::max_pool::largest(t[0], &sources, (count, rows), i128::MIN, |v| (v + one / 2) >> shift))
                }),
            )?
        };
        let terms = vec![
            (1, patches.gather(x)),
            (-one, patches.repeat(most)),
            (one, later(&patches, below)),
            (one, View::rows(above, RowMap::slice((count - 1) * rows, -(rows as i64), count * rows))),
        ];
        let remainder = p.linear(&format!("{name}: remainder"), terms, one / 2)?;
        fixed::range(p, &format!("{name}: remainder"), remainder, shift)?;
        Ok(Value { tensor: most, ..input })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gkr::trace::{Trace, TraceError};

    /// What a layer computes of 16-bit values; its trace is checked.
    fn run(
        layer: &dyn Layer,
        range_bits: usize,
        sequences: usize,
        rows: usize,
        x: &[i128],
    ) -> Result<Vec<i128>, TraceError> {
        let mut p = ProgramBuilder::new(range_bits);
        let shape = (rows, x.len() / rows);
        let values = x.to_vec();
        let input = fixed::integer(&mut p, "x", shape, 16, &[], Hint::whole(move |_| Ok(values.clone()))).unwrap();
        let output = layer.lower(&mut p, &[Value { tensor: input, sequences }]).unwrap();
        p.output(output.tensor);
        let (program, recipes) = p.finish().unwrap();
        let trace = Trace::run(&program, &recipes, &[], &[])?;
        trace.check(&program).unwrap();
        Ok(trace.get(output.tensor).values().iter().collect())
    }

    /// The largest of `f(value)` of every patch, by its definition.
    fn expected(
        [kernel, stride]: [u32; 2],
        (sequences, length, cols): (usize, usize, usize),
        x: &[i128],
        f: impl Fn(i128) -> i128,
    ) -> Vec<i128> {
        let (kernel, stride) = (kernel as usize, stride as usize);
        let mut out = Vec::new();
        for (s, t, c) in (0..sequences)
            .flat_map(|s| (0..=length - kernel).step_by(stride).flat_map(move |t| (0..cols).map(move |c| (s, t, c))))
        {
            out.push((t..t + kernel).map(|t| f(x[(s * length + t) * cols + c])).max().unwrap());
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn running_maxima_are_the_largest_values(
            (kernel, stride, extra, cols, sequences) in (1u32..7, 1u32..5, 0usize..6, 1usize..4, 1usize..3),
            seed in any::<u64>(), shift in 1u32..9, wide: bool, flat: bool,
        ) {
            let length = kernel as usize + extra;
            let value = |i: usize| {
                let v = (seed.wrapping_mul(i as u64 * 2 + 1) >> 41) % (1 << 16);
                // Equal values, and the ends of the range.
                i128::from(match v % 7 { 0 => 0, 1 => 65535, _ if flat => 32768, _ => v }) - 32768
            };
            let x: Vec<i128> = (0..sequences * length * cols).map(value).collect();
            let (shape, name) = ((sequences, length, cols), "pool".to_owned());
            let range_bits = if wide { 16 } else { 8 };
            let layer = TimeMaxPool { name: name.clone(), kernel, stride, bits: 16, fraction_bits: 0 };
            let found = run(&layer, range_bits, sequences, sequences * length, &x);
            prop_assert_eq!(found, Ok(expected([kernel, stride], shape, &x, |v| v)));
            if kernel > 1 {
                let bits = 17 - shift;
                let layer = RoundedTimeMaxPool { name, kernel, stride, shift, bits, fraction_bits: 0 };
                let found = run(&layer, range_bits, sequences, sequences * length, &x);
                let rounded = |v: i128| (v + (1 << (shift - 1))) >> shift;
                prop_assert_eq!(found, Ok(expected([kernel, stride], shape, &x, rounded)));
            }
        }
    }

    #[test]
    fn differences_beyond_the_table_are_refused() {
        let layer = TimeMaxPool { name: "pool".into(), kernel: 2, stride: 1, bits: 8, fraction_bits: 0 };
        assert!(run(&layer, 16, 1, 2, &[-100, 150]).is_ok());
        assert!(run(&layer, 16, 1, 2, &[300, 0]).is_err());
        assert!(run(&layer, 16, 1, 2, &[0, 300]).is_err());
        let layer =
            RoundedTimeMaxPool { name: "pool".into(), kernel: 2, stride: 1, shift: 1, bits: 8, fraction_bits: 0 };
        assert!(run(&layer, 16, 1, 2, &[600, 100]).is_ok());
        assert!(run(&layer, 16, 1, 2, &[600, 0]).is_err());
    }

    #[test]
    fn settings_that_no_importer_makes_are_refused() {
        for (kernel, stride, bits) in
            [(0, 1, 8), (17, 1, 8), (2, 0, 8), (2, 1, 0), (2, 1, 20), (4, 1, 8), (u32::MAX, 1, 8)]
        {
            let name = "pool".to_owned();
            let plain = TimeMaxPool { name: name.clone(), kernel, stride, bits, fraction_bits: 0 };
            let rounded = RoundedTimeMaxPool { name, kernel, stride, shift: 3, bits, fraction_bits: 0 };
            for layer in [&plain as &dyn Layer, &rounded] {
                let mut p = ProgramBuilder::new(8);
                let tensor = p.input("x", (3, 2), -128, 127).unwrap();
                let refused = layer.lower(&mut p, &[Value { tensor, sequences: 1 }]);
                assert!(matches!(refused, Err(ModelError::Shape { .. })), "{kernel} {stride} {bits}");
            }
        }
    }
}
