//! Sequences as one: how a recurrent layer carries its state from one chunk of a recording to the next.
//!
//! ```text
//! joined   all sequences, one after another, are one          S sequences of T rows: one of S·T
//! cut      one sequence is as many as another value has        and back
//! ```
//!
//! Rows of sequences stand one after another already, so nothing moves: only what later layers take for the ends of a
//! sequence changes, which is public. A recurrent layer between the two starts from zeros, or from its initial state, in the
//! first row of the recording, and in every other row from the states of the row before, whichever chunk that is in.
//! There is no relation here, and nothing is committed, so there is nothing to cheat with.

use serde::{Deserialize, Serialize};

use super::lowering::{Layer, Value, exactly, layer_header};
use crate::error::ModelError;
use crate::gkr::builder::ProgramBuilder;

/// All sequences of its input as one; of two inputs, the first, cut into as many as the second has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequences {
    /// Name.
    pub name: String,
    /// Fraction bits of input and output.
    pub fraction_bits: i32,
}

impl Layer for Sequences {
    layer_header!(fraction_bits);

    fn lower(&self, p: &mut ProgramBuilder, inputs: &[Value]) -> Result<Value, ModelError> {
        if let [input] = inputs {
            return Ok(Value { sequences: 1, ..*input });
        }
        let [input, like] = exactly(&self.name, inputs)?;
        let rows = p.shape(input.tensor).0;
        if input.sequences != 1 || like.sequences == 0 || !rows.is_multiple_of(like.sequences) {
            return Err(ModelError::Shape {
                layer: self.name.clone(),
                expected: format!("one sequence that can be cut into {}", like.sequences),
                found: format!("{rows} rows in {} sequences", input.sequences),
            });
        }
        Ok(Value { sequences: like.sequences, ..input })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(p: &mut ProgramBuilder, sequences: usize, length: usize) -> Value {
        let tensor = p.input("x", (sequences * length, 2), 0, 1).unwrap();
        Value { tensor, sequences }
    }

    proptest! {
        #[test]
        fn sequences_are_joined_and_cut_again(sequences in 1usize..9, length in 1usize..9, others in 1usize..9) {
            let mut p = ProgramBuilder::new(9);
            let layer = Sequences { name: "chunks".into(), fraction_bits: 3 };
            let x = value(&mut p, sequences, length);
            let joined = layer.lower(&mut p, &[x]).unwrap();
            prop_assert_eq!((joined.tensor, joined.length(&p)), (x.tensor, sequences * length));
            let cut = layer.lower(&mut p, &[joined, x]).unwrap();
            prop_assert_eq!((cut.tensor, cut.sequences, cut.length(&p)), (x.tensor, sequences, length));
            let like = value(&mut p, others, length);
            let fits = (sequences * length).is_multiple_of(others);
            prop_assert_eq!(layer.lower(&mut p, &[joined, like]).is_ok(), fits);
        }
    }

    #[test]
    fn what_is_no_sequence_is_refused() {
        let mut p = ProgramBuilder::new(9);
        let layer = Sequences { name: "chunks".into(), fraction_bits: 3 };
        let (two, one) = (value(&mut p, 2, 3), value(&mut p, 1, 3));
        let none = Value { sequences: 0, ..two };
        for inputs in [vec![], vec![two, two], vec![one, none], vec![one, two], vec![one, one, one]] {
            assert!(matches!(layer.lower(&mut p, &inputs), Err(ModelError::Shape { .. })), "{inputs:?}");
        }
    }
}
