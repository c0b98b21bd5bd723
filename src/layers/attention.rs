//! Attentive statistics: mean and deviation over time with weights of a softmax over time.
//!
//! The weights arrive as `e = exp(score)` up to a factor per column, which the quotients cancel. With
//! `S₀ = Σ_t e`, `S₁ = Σ_t e·x`, `S₂ = Σ_t e·x²`, all exact, and `g` guard bits:
//!
//! ```text
//! mean      = ⌊2^g·S₁ / S₀⌋
//! root      = ⌊√(2^(2g)·max(S₀·S₂ − S₁², θ·S₀²))⌋
//! deviation = ⌊root / S₀⌋
//! ```
//!
//! Every sum has one row, so divisions and roots cost nothing beside the products over time.
//! Each step has one solution: the sums are virtual, and quotients, roots and the maximum are those of
//! [`fixed`]. A column whose weights are all zero has no quotient: the statement fails closed. Padding
//! cannot contribute: the sums run over real rows, and in padding columns `e` is proved zero.

use serde::{Deserialize, Serialize};

use super::fixed;
use super::lowering::{Constant, Layer, Value, exactly, layer_header};
use super::pooling::{clipped_root, one_sequence};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;
use crate::gkr::program::TensorId;
use crate::gkr::view::{RowMap, View};

/// Weighted mean and deviation over time of the first input; the second holds the weights, of which a single column
/// counts for every one. The output has two rows: the means, then the deviations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedStats {
    /// Name.
    pub name: String,
    /// `2^(2g)·θ`, the smallest variance, one a column, in squared units of the input.
    pub min_variance: Constant,
    /// `g`.
    pub guard_bits: u32,
    /// Bits of an entry of the output.
    pub bits: u32,
    /// Fraction bits of the output.
    pub fraction_bits: i32,
}

impl Layer for WeightedStats {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        let name = &self.name;
        let [x, weights] = exactly(name, inputs)?;
        one_sequence(name, x)?;
        let (rows, columns) = p.shape(x.tensor);
        let each = |view: View, of: usize| if of == 1 { view.broadcast_cols(columns) } else { view };
        let weight_columns = p.shape(weights.tensor).1;
        let weight = each(p.whole(weights.tensor), weight_columns);
        let weighted = p.product(&format!("{name}/weighted"), p.whole(x.tensor), weight)?;
        let weighted_square = p.product(&format!("{name}/weighted square"), p.whole(weighted), p.whole(x.tensor))?;
        let sums = [
            ("weights", weights.tensor, weight_columns),
            ("sum", weighted, columns),
            ("sum of squares", weighted_square, columns),
        ];
        let mut total = |(what, tensor, of): (&str, TensorId, usize)| {
            let sum = each(View::rows(tensor, RowMap::sum(rows)), of);
            p.linear(&format!("{name}/{what}: total"), vec![(1, sum)], 0)
        };
        let [s0, s1, s2] = [total(sums[0])?, total(sums[1])?, total(sums[2])?];
        let (bits, divisor_bits) = (self.bits as usize, p.bounds(s0).1.bits() as usize);
        let scaled =
            p.linear(&format!("{name}/scaled sum"), vec![(fixed::power(name, self.guard_bits)?, p.whole(s1))], 0)?;
        let mean = fixed::divide(p, &format!("{name}/mean"), scaled, s0, bits, divisor_bits)?;
        let root = self.root(p, [s0, s1, s2])?;
        let deviation = fixed::divide(p, &format!("{name}/deviation"), root, s0, bits, divisor_bits)?;
        let terms =
            vec![(1, View::rows(mean, RowMap::slice(1, 0, 2))), (1, View::rows(deviation, RowMap::slice(1, -1, 2)))];
        Ok(Value { tensor: p.linear(&format!("{name}/output"), terms, 0)?, sequences: 1 })
    }
}

impl WeightedStats {
    /// `2^g·S₀` times the deviation.
    fn root(&self, p: &mut ProgramBuilder, [s0, s1, s2]: [TensorId; 3]) -> Result<TensorId, ModelError> {
        let name = &self.name;
        let squares = p.product(&format!("{name}/scaled squares"), p.whole(s0), p.whole(s2))?;
        let sum_squared = p.product(&format!("{name}/squared sum"), p.whole(s1), p.whole(s1))?;
        let scale = fixed::power(name, self.guard_bits.saturating_mul(2))?;
        let terms = vec![(scale, p.whole(squares)), (-scale, p.whole(sum_squared))];
        let exact = p.linear(&format!("{name}/exact variance"), terms, 0)?;
        let smallest = self.min_variance.declare(p, &format!("{name}/smallest variance"))?;
        let square = p.product(&format!("{name}/squared weights"), p.whole(s0), p.whole(s0))?;
        let floor = p.product(&format!("{name}/floor"), p.whole(square), p.whole(smallest))?;
        clipped_root(p, name, exact, floor)
    }
}
