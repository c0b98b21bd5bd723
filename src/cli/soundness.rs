//! The soundness ledger of a program: a bound on the probability that a false statement is accepted.
//!
//! Every term is a count over the size of the field, as stated in the modules of the engine; counts are
//! rounded up, so the bound is one. With `L` leaves of at most `m` columns on `n` levels, `k` claims and
//! `w` waves:
//!
//! ```text
//! lookups      (m + 1)·L + L        a false sum of fractions is zero
//! tree         2·n²                 the levels of the sum of fractions
//! sum-checks   k + 3·64·(w + 1)     combining the instances of a wave, and its rounds
//! openings     4·k + 2·64           combining claims and commitments, and the rounds of the opening
//! ```
//!
//! What remains is computational: commitments bind while the discrete logarithm in BN254 G1 is hard.

use serde_json::{Value, json};
use voxcheck::gkr::program::{Program, Relation};
use voxcheck::gkr::waves::Schedule;
use voxcheck::model::{Spec, Tail};

/// What the group gives, in bits.
const GROUP_BITS: u32 = 100;
/// More variables than any relation of an admitted program has.
const MAX_VARS: f64 = 64.0;
/// Blocks that the columns of one lookup are cut into, at most.
const MAX_BLOCKS: f64 = 32.0;
/// Base-two logarithm of the size of the scalar field.
const FIELD_LOG2: f64 = 253.59;

/// The terms of a bound, each times the size of the field.
pub struct Ledger {
    terms: [(&'static str, f64); 4],
}

impl Ledger {
    /// The ledger of a specification for a number of samples; none if it takes no such recording.
    pub fn of_spec(spec: &Spec, samples: usize) -> Option<Self> {
        let lowered = spec.lower(samples, Tail { threshold: Some(1), ..Tail::default() }).ok()?;
        Some(Self::new(&lowered.program))
    }

    /// The ledger of a program.
    pub fn new(program: &Program) -> Self {
        let mut columns = 1;
        let mut leaves: usize = program.tables().iter().map(|table| table.len()).sum();
        for relation in program.relations() {
            if let Relation::Lookup(lookup) = relation {
                let (rows, cols) = program.view_shape(&lookup.columns[0].view);
                leaves += rows * cols;
                columns = columns.max(lookup.columns.len());
            }
        }
        // Blocks are aligned, which can cost as much again.
        let leaves = 2.0 * leaves.next_power_of_two() as f64;
        let (levels, claims) = (leaves.log2(), claims(program));
        let waves = Schedule::new(program).waves.len() as f64;
        Self {
            terms: [
                ("lookups", (columns as f64 + 2.0) * leaves),
                ("tree", 2.0 * levels * levels),
                ("sum-checks", claims + 3.0 * MAX_VARS * (waves + 1.0)),
                ("openings", 4.0 * claims + 2.0 * MAX_VARS),
            ],
        }
    }

    /// Base-two logarithm of the bound.
    pub fn log2(&self) -> f64 {
        self.terms.iter().map(|(_, count)| count).sum::<f64>().log2() - FIELD_LOG2
    }

    /// As a JSON value.
    pub fn to_json(&self) -> Value {
        let terms: serde_json::Map<String, Value> =
            self.terms.iter().map(|(name, count)| ((*name).to_owned(), json!(term(*count)))).collect();
        json!({"statistical_log2": self.log2(), "terms_log2": terms, "group_bits": GROUP_BITS})
    }

    /// As lines of text.
    pub fn to_text(&self) -> String {
        let terms: Vec<String> =
            self.terms.iter().map(|(name, count)| format!("{name} 2^{:.0}", term(*count).ceil())).collect();
        format!(
            "  soundness  statistical error below 2^{:.0} ({})\n{}",
            self.log2().ceil(),
            terms.join(", "),
            group_text("             ")
        )
    }
}

/// The line about the group.
pub fn group_text(indent: &str) -> String {
    format!("{indent}group: about {GROUP_BITS} bits (discrete logarithm in BN254 G1)")
}

fn term(count: f64) -> f64 {
    count.log2() - FIELD_LOG2
}

/// Claims that are combined, counted along the relations from their outputs to their operands.
fn claims(program: &Program) -> f64 {
    let mut claims = vec![0f64; program.tensors().len()];
    program.outputs().iter().for_each(|id| claims[id.0 as usize] += 1.0);
    for relation in program.relations() {
        if let Relation::Lookup(lookup) = relation {
            lookup.columns.iter().for_each(|column| claims[column.view.tensor.0 as usize] += MAX_BLOCKS);
        }
    }
    for relation in program.relations().iter().rev() {
        let (output, operands) = match relation {
            Relation::Lookup(_) => continue,
            Relation::Linear(linear) => (linear.output, linear.terms.iter().map(|(_, view)| view).collect()),
            Relation::Contraction(c) => (c.output, vec![&c.lhs, &c.rhs]),
            Relation::Product(p) => (p.output, vec![&p.left, &p.right]),
        };
        let count = claims[output.0 as usize];
        operands.iter().for_each(|view| claims[view.tensor.0 as usize] += count);
    }
    // Commitments and the padding of each are claims, too.
    claims.iter().sum::<f64>() + 2.0 * program.tensors().len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxcheck::Model;

    #[test]
    fn the_bundled_model_is_far_below_what_the_group_gives() {
        let model = Model::bundled().unwrap();
        let ledger = Ledger::of_spec(model.spec(), 48_000).unwrap();
        assert!((-240.0..-200.0).contains(&ledger.log2()), "{}", ledger.log2());
        let parts: f64 = ledger.terms.iter().map(|(_, count)| (term(*count)).exp2()).sum();
        assert!((parts.log2() - ledger.log2()).abs() < 1e-6);
        let longest = Ledger::of_spec(model.spec(), model.max_samples()).unwrap();
        assert!(longest.log2() >= ledger.log2() && longest.log2() < -200.0);
    }
}
