//! Every gadget and layer admits exactly one output per input, and none where it must fail closed.
//!
//! [`search`] tries all values of all committed tensors of a small program. The outputs that it finds are compared with
//! the formula that a gadget stands for, and with the honest prover's. Programs have narrow range tables, so that
//! what takes one limb in a model takes several here.

mod cells;
mod decision;
mod fixed_point;
mod front_end;
mod layers;
mod search;
mod tables;
mod waveform;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use voxcheck::gkr::builder::{Hint, ProgramBuilder, Recipe, Recipes};
use voxcheck::gkr::program::{Kind, Program, TensorId};
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::view::{RowMap, View};
use voxcheck::layers::fixed;
use voxcheck::sumcheck::int::{IntTable, IntVec};

use search::{Found, Search};

/// Rows, columns and bits of an input.
type Shape = (usize, usize, usize);

/// A program from ranged inputs to public outputs.
struct Gadget {
    program: Program,
    recipes: Recipes,
    constants: Vec<Arc<IntTable>>,
    search: Search,
    inputs: Vec<Shape>,
    range_bits: usize,
}

fn table(rows: usize, cols: usize, values: &[i128]) -> IntTable {
    IntTable::new(rows, cols, IntVec::I128(values.to_vec()))
}

/// A tensor of signed integers of `bits` bits, committed in limbs before the proof.
fn input(p: &mut ProgramBuilder, name: &str, (rows, cols, bits): Shape) -> TensorId {
    let limb = p.range_bits();
    let limbs = bits.div_ceil(limb);
    let split = p.input(&format!("{name}: limbs"), (limbs * rows, cols), 0, (1 << limb) - 1).unwrap();
    p.range(p.whole(split), 0, limb).unwrap();
    let slice = |j: usize| View::rows(split, RowMap::slice(limbs * rows, (j * rows) as i64, rows));
    let terms = (0..limbs).map(|j| (1 << (j * limb), slice(j))).collect();
    p.linear(name, terms, -(1 << (limbs * limb - 1))).unwrap()
}

impl Gadget {
    /// `build` adds the gadget and returns its outputs.
    fn new<E: Debug>(
        range_bits: usize,
        inputs: &[Shape],
        constants: &[IntTable],
        build: impl FnOnce(&mut ProgramBuilder, &[TensorId]) -> Result<Vec<TensorId>, E>,
    ) -> Self {
        let mut p = ProgramBuilder::new(range_bits);
        let ids: Vec<TensorId> =
            inputs.iter().enumerate().map(|(i, &shape)| input(&mut p, &format!("input {i}"), shape)).collect();
        build(&mut p, &ids).unwrap().into_iter().for_each(|id| p.output(id));
        let (program, recipes) = p.finish().unwrap();
        let search = Search::new(&program, constants);
        let constants = constants.iter().cloned().map(Arc::new).collect();
        Self { program, recipes, constants, search, inputs: inputs.to_vec(), range_bits }
    }

    /// One gadget on single integers.
    fn scalar<E: Debug>(
        range_bits: usize,
        bits: &[usize],
        build: impl FnOnce(&mut ProgramBuilder, &[TensorId]) -> Result<TensorId, E>,
    ) -> Self {
        let shapes: Vec<Shape> = bits.iter().map(|&bits| (1, 1, bits)).collect();
        Self::new(range_bits, &shapes, &[], |p, ids| Ok::<_, E>(vec![build(p, ids)?]))
    }

    /// The limbs of all inputs.
    fn limbs(&self, inputs: &[&[i128]]) -> Vec<Vec<i128>> {
        let limb = self.range_bits;
        let split = |(values, &(.., bits)): (&&[i128], &Shape)| {
            let limbs = bits.div_ceil(limb);
            let half = 1i128 << (limbs * limb - 1);
            assert!(values.iter().all(|v| (-half..half).contains(v)), "{values:?} in {bits} bits");
            (0..limbs).flat_map(|j| values.iter().map(move |v| (v + half) >> (j * limb) & ((1 << limb) - 1))).collect()
        };
        inputs.iter().zip(&self.inputs).map(split).collect()
    }

    /// All outputs that the relations admit.
    fn admitted(&self, inputs: &[&[i128]]) -> Found {
        self.search.run(&self.limbs(inputs))
    }

    /// The values that the honest prover makes public.
    fn honest(&self, inputs: &[&[i128]]) -> Option<Vec<i128>> {
        self.honest_with(&self.recipes, inputs)
    }

    fn honest_with(&self, recipes: &Recipes, inputs: &[&[i128]]) -> Option<Vec<i128>> {
        let limbs = self.limbs(inputs);
        let shape = |(values, &(_, cols, _)): (&Vec<i128>, &Shape)| Arc::new(table(values.len() / cols, cols, values));
        let tables: Vec<_> = limbs.iter().zip(&self.inputs).map(shape).collect();
        let trace = Trace::run(&self.program, recipes, &tables, &self.constants).ok()?;
        trace.check(&self.program).ok()?;
        Some(self.program.outputs().iter().flat_map(|&id| trace.get(id).values().iter()).collect())
    }

    /// Asserts that the output is the expected one and no other, or that there is none.
    fn check(&self, inputs: &[&[i128]], expected: Option<&[i128]>) {
        self.check_admitted(inputs, expected);
        self.check_honest(inputs, expected);
    }

    /// [`Gadget::check`] without the honest prover, who takes longer than the search where tables are large.
    fn check_admitted(&self, inputs: &[&[i128]], expected: Option<&[i128]>) {
        let found = self.compare_admitted(inputs, expected);
        assert_eq!(found.assignments, usize::from(expected.is_some()), "{inputs:?}: free choices");
    }

    /// [`Gadget::check`] where what lies between inputs and outputs may be chosen.
    fn compare(&self, inputs: &[&[i128]], expected: Option<&[i128]>) -> Found {
        self.check_honest(inputs, expected);
        self.compare_admitted(inputs, expected)
    }

    fn compare_admitted(&self, inputs: &[&[i128]], expected: Option<&[i128]>) -> Found {
        let found = self.admitted(inputs);
        assert_eq!(found.outputs, expected.map(<[i128]>::to_vec).into_iter().collect(), "{inputs:?}");
        found
    }

    fn check_honest(&self, inputs: &[&[i128]], expected: Option<&[i128]>) {
        assert_eq!(self.honest(inputs).as_deref(), expected, "{inputs:?}: the honest prover");
    }

    /// All outputs that the library's own check admits for any values of the committed tensors, tried one by one.
    fn brute_force(&self, inputs: &[&[i128]]) -> Found {
        let witnesses = self.program.of_kind(|kind| kind == Kind::Witness);
        let cells: Vec<(TensorId, i128, i128)> = witnesses
            .iter()
            .flat_map(|&id| {
                let tensor = self.program.tensor(id);
                let bounds = [&tensor.low, &tensor.high].map(|bound| i128::try_from(bound).unwrap());
                std::iter::repeat_n((id, bounds[0], bounds[1]), tensor.rows * tensor.cols)
            })
            .collect();
        let mut values: Vec<i128> = cells.iter().map(|&(_, low, _)| low).collect();
        let mut found = Found::default();
        loop {
            let mut recipes = Recipes::new();
            for &id in &witnesses {
                let own = cells.iter().zip(&values).filter(|((of, ..), _)| *of == id).map(|(_, &v)| v);
                let own: Vec<i128> = own.collect();
                recipes.insert(id, Recipe { inputs: vec![], hint: Hint::whole(move |_| Ok(own.clone())) });
            }
            if let Some(outputs) = self.honest_with(&recipes, inputs) {
                found.outputs.insert(outputs);
                found.assignments += 1;
            }
            // The next assignment, like a counter.
            let Some(next) = (0..cells.len()).find(|&i| values[i] < cells[i].2) else { return found };
            values[next] += 1;
            (0..next).for_each(|i| values[i] = cells[i].1);
        }
    }
}

/// The sum of the input and an integer that nothing else is known about.
fn free_integer(range_bits: usize, bits: usize) -> Gadget {
    Gadget::scalar(range_bits, &[1], |p, x| {
        let y = fixed::integer(p, "y", p.shape(x[0]), bits, &[], Hint::whole(|_| Ok(vec![0])))?;
        p.linear("sum", vec![(1, p.whole(x[0])), (1, p.whole(y))], 0)
    })
}

/// `⌊x / 2^shift + 1/2⌋`.
fn rounded(x: i128, shift: usize) -> i128 {
    if shift == 0 { x } else { (x + (1 << (shift - 1))) >> shift }
}

#[test]
fn the_search_finds_what_trying_every_value_finds() {
    let requantize = |shift| Gadget::scalar(3, &[3], move |p, x| fixed::requantize(p, "y", x[0], shift, 3));
    let mut gadgets: Vec<Gadget> = (0..5).map(requantize).collect();
    gadgets.extend([
        free_integer(2, 4),
        Gadget::scalar(2, &[4], |p, x| fixed::range(p, "x", x[0], 3).map(|()| x[0])),
        Gadget::scalar(3, &[3], |p, x| fixed::is_positive(p, "s", x[0], 3)),
        Gadget::scalar(2, &[2], |p, x| fixed::sqrt(p, "y", x[0], 1)),
    ]);
    for gadget in gadgets {
        let &(_, _, bits) = gadget.inputs.last().unwrap();
        for x in -(1i128 << (bits - 1))..1 << (bits - 1) {
            assert_eq!(gadget.admitted(&[&[x]]), gadget.brute_force(&[&[x]]), "{x}");
        }
    }
    for gadget in [
        Gadget::scalar(2, &[2, 2], |p, x| fixed::maximum(p, "most", x[0], x[1], 3)),
        Gadget::scalar(3, &[3, 3], |p, x| fixed::divide(p, "q", x[0], x[1], 2, 3)),
    ] {
        for (a, b) in (-2..2i128).flat_map(|a| (-2..2i128).map(move |b| (a, b))) {
            assert_eq!(gadget.admitted(&[&[a], &[b]]), gadget.brute_force(&[&[a], &[b]]), "{a}, {b}");
        }
    }
}

/// The search is of use only if it finds second outputs where there are some.
#[test]
fn the_search_finds_every_output_of_gadgets_that_are_wrong() {
    // A remainder of twice the divisor: two quotients, but where one of them is out of range.
    let loose = Gadget::scalar(4, &[8], |p, x| {
        let y = fixed::integer(p, "y", p.shape(x[0]), 8, &[x[0]], Hint::whole(|t| Ok(vec![t[0].get(0, 0) >> 3])))?;
        let rem = p.linear("remainder", vec![(1, p.whole(x[0])), (-8, p.whole(y))], 0)?;
        fixed::range(p, "remainder", rem, 4).map(|()| y)
    });
    for x in -128..128i128 {
        assert_eq!(loose.admitted(&[&[x]]).outputs, BTreeSet::from([vec![x >> 3], vec![(x >> 3) - 1]]), "{x}");
    }
    // A square without the second inequality: every root up to the true one, and their negatives.
    let root = Gadget::scalar(5, &[8], |p, x| {
        let y = fixed::integer(p, "y", p.shape(x[0]), 5, &[x[0]], Hint::whole(|_| Ok(vec![0])))?;
        let square = p.product("square", p.whole(y), p.whole(y))?;
        let above = p.linear("excess", vec![(1, p.whole(x[0])), (-1, p.whole(square))], 0)?;
        fixed::range(p, "excess", above, 9).map(|()| y)
    });
    for x in 0..128i128 {
        let most = (x as u128).isqrt() as i128;
        assert_eq!(root.admitted(&[&[x]]).outputs, (-most..=most).map(|y| vec![y]).collect(), "{x}");
    }
    // A table that has an argument twice.
    let twice = Gadget::scalar(2, &[2], |p, x| {
        let column = |values: &[i64]| voxcheck::gkr::tables::TableColumn::values(values.to_vec());
        let columns = vec![column(&[-2, -1, 0, 1, 1, 1, 1, 1]), column(&[5, 6, 7, 0, 1, 2, 2, 2])];
        let function = voxcheck::gkr::tables::Table { name: "twice".into(), bits: 3, columns };
        fixed::lookup(p, "y", x[0], &function)
    });
    let outputs = |x: i128| twice.admitted(&[&[x]]).outputs;
    assert_eq!(outputs(1), BTreeSet::from([vec![0], vec![1], vec![2]]));
    assert_eq!(outputs(-2), BTreeSet::from([vec![5]]));
}
