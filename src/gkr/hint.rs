//! Hints: how the prover finds committed tensors. They prove nothing.

// The loops are written for every integer type, i128 included.
#![allow(clippy::useless_conversion)]

use std::collections::HashMap;
use std::sync::Arc;

use super::program::TensorId;
use crate::sumcheck::int::{IntTable, dispatch};

/// All integers at once.
type Whole = Arc<dyn Fn(&[&IntTable]) -> Result<Vec<i128>, String> + Send + Sync>;
/// The integers from a place on.
type Blocks = Arc<dyn Fn(&[&IntTable], usize, &mut [i128]) -> Result<(), String> + Send + Sync>;

/// Computes a committed tensor from others. The error says why it cannot.
#[derive(Clone)]
pub struct Hint(Form);

#[derive(Clone)]
enum Form {
    Whole(Whole),
    /// A function that gives as many integers as the first argument has entries, `count` times.
    Blocks(usize, Blocks),
}

/// How the prover finds a committed tensor.
#[derive(Clone)]
pub struct Recipe {
    /// Arguments of the hint.
    pub inputs: Vec<TensorId>,
    /// The function.
    pub hint: Hint,
}

/// Hints of all witness tensors of a program.
pub type Recipes = HashMap<TensorId, Recipe>;

/// The integers of a committed tensor, about to be written.
pub(super) enum Computed<'a> {
    Whole(Vec<i128>),
    Blocks(&'a Blocks),
}

impl Hint {
    /// A function that gives all integers, row by row.
    pub fn whole(f: impl Fn(&[&IntTable]) -> Result<Vec<i128>, String> + Send + Sync + 'static) -> Self {
        Self(Form::Whole(Arc::new(f)))
    }

    /// `f` of every entry of the first argument. Unlike [`Hint::whole`], no vector of wide integers is made of them.
    pub fn entrywise(f: impl Fn(i128) -> i128 + Send + Sync + 'static) -> Self {
        Self::parts(1, move |_, value| f(value))
    }

    /// [`Hint::entrywise`] of a function that may refuse an entry, and say why.
    pub fn try_entrywise(f: impl Fn(i128) -> Result<i128, String> + Send + Sync + 'static) -> Self {
        let block: Blocks = Arc::new(move |inputs, start, out| {
            dispatch!(inputs[0].values(), values => {
                for (out, &value) in out.iter_mut().zip(&values[start..]) {
                    *out = f(value.into())?;
                }
            });
            Ok(())
        });
        Self(Form::Blocks(1, block))
    }

    /// `f(j, x)` of every entry `x` of the first argument, for `j = 0`, then for `j = 1`, and so on below `count`.
    pub fn parts(count: usize, f: impl Fn(usize, i128) -> i128 + Send + Sync + 'static) -> Self {
        let block: Blocks = Arc::new(move |inputs, start, out| {
            dispatch!(inputs[0].values(), values => in_parts(values.len(), start, out, |j, from, out| {
                for (out, &value) in out.iter_mut().zip(&values[from..]) {
                    *out = f(j, value.into());
                }
                Ok(())
            }))
        });
        Self(Form::Blocks(count, block))
    }

    /// `limb(j, x)` of every integer `x` of this hint, for every `j` below `count` as in [`Hint::parts`]; `admit` may
    /// say why an integer has no limbs.
    pub(crate) fn limbs(
        self,
        count: usize,
        admit: impl Fn(i128) -> Result<(), String> + Send + Sync + 'static,
        limb: impl Fn(usize, i128) -> i128 + Send + Sync + 'static,
    ) -> Self {
        Self(match self.0 {
            Form::Whole(f) => Form::Whole(Arc::new(move |inputs| {
                let values = f(inputs)?;
                values.iter().try_for_each(|&value| admit(value))?;
                let limb = &limb;
                Ok((0..count).flat_map(|j| values.iter().map(move |&value| limb(j, value))).collect())
            })),
            Form::Blocks(before, f) => {
                let block: Blocks = Arc::new(move |inputs, start, out| {
                    in_parts(before * inputs[0].values().len(), start, out, |j, from, out| {
                        f(inputs, from, out)?;
                        for value in out {
                            admit(*value)?;
                            *value = limb(j, *value);
                        }
                        Ok(())
                    })
                });
                Form::Blocks(before * count, block)
            }
        })
    }

    /// What it gives for these arguments: `len` integers.
    pub(super) fn compute(&self, inputs: &[&IntTable], len: usize) -> Result<Computed<'_>, String> {
        let (found, computed) = match &self.0 {
            Form::Whole(f) => {
                let values = f(inputs)?;
                (values.len(), Computed::Whole(values))
            }
            Form::Blocks(count, f) => (count * inputs[0].values().len(), Computed::Blocks(f)),
        };
        if found == len { Ok(computed) } else { Err("the hint gave another size".into()) }
    }
}

/// Calls `f(j, from, part)` for the parts of `out` that lie in the `j`-th of several runs of `len` entries each, of
/// which `out` has those from `start` on.
fn in_parts(
    len: usize,
    mut start: usize,
    mut out: &mut [i128],
    f: impl Fn(usize, usize, &mut [i128]) -> Result<(), String>,
) -> Result<(), String> {
    while !out.is_empty() {
        let (j, from) = (start / len, start % len);
        let (part, rest) = out.split_at_mut(out.len().min(len - from));
        start += part.len();
        f(j, from, part)?;
        out = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sumcheck::int::IntVec;
    use proptest::prelude::*;

    /// What a hint gives, in blocks of `size`.
    fn run(hint: &Hint, table: &IntTable, len: usize, size: usize) -> Result<Vec<i128>, String> {
        match hint.compute(&[table], len)? {
            Computed::Whole(values) => Ok(values),
            Computed::Blocks(block) => {
                let mut out = vec![0; len];
                for (i, out) in out.chunks_mut(size).enumerate() {
                    block(&[table], i * size, out)?;
                }
                Ok(out)
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_of_any_size_give_what_the_whole_does(
            values in prop::collection::vec(any::<i16>(), 1..70),
            size in 1usize..40,
            count in 1usize..4,
        ) {
            let len = values.len();
            let wide: Vec<i128> = values.iter().map(|&v| v.into()).collect();
            let table = IntTable::new(1, len, IntVec::I16(values));
            prop_assert_eq!(run(&Hint::entrywise(|v| 3 * v), &table, len, size).unwrap(), wide.iter().map(|v| 3 * v).collect::<Vec<_>>());
            let limb = |j: usize, v: i128| (v >> (4 * j)) & 15;
            let expected: Vec<i128> = (0..count).flat_map(|j| wide.iter().map(move |&v| limb(j, v))).collect();
            prop_assert_eq!(&run(&Hint::parts(count, limb), &table, count * len, size).unwrap(), &expected);
            let whole = Hint::whole(|t| Ok(t[0].values().iter().collect()));
            for hint in [Hint::entrywise(|v| v), whole] {
                let limbs = hint.limbs(count, |_| Ok(()), limb);
                prop_assert_eq!(&run(&limbs, &table, count * len, size).unwrap(), &expected);
            }
        }
    }

    #[test]
    fn refusals_and_wrong_sizes_are_told() {
        let table = IntTable::new(1, 3, IntVec::I8(vec![1, 2, 3]));
        let refuse = |v: i128| if v < 3 { Ok(v) } else { Err(format!("{v} is too large")) };
        assert_eq!(run(&Hint::try_entrywise(refuse), &table, 3, 2), Err("3 is too large".into()));
        let limbs = Hint::entrywise(|v| v).limbs(2, move |v| refuse(v).map(|_| ()), |_, v| v);
        assert_eq!(run(&limbs, &table, 6, 4), Err("3 is too large".into()));
        assert_eq!(run(&Hint::entrywise(|v| v), &table, 4, 4), Err("the hint gave another size".into()));
    }
}
