//! What front ends alone have, by a prover whose computation is wrong in one entry of one tensor: logarithms with a
//! least value, the largest entry, mirrored recordings.

use std::sync::Arc;

use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::TensorId;
use voxcheck::layers::logarithm::{LogTables, logarithm};
use voxcheck::layers::peak::{near_peak, peak};
use voxcheck::sumcheck::int::IntTable;

use crate::common::{Case, table};
use crate::witness::{CHANGES, Tables, Target};

/// Bits of the range table: small, so that a proof takes little.
const BITS: usize = 9;

/// A program on entries of 9 bits.
fn case(
    (rows, cols): (usize, usize),
    values: &[i128],
    constants: Vec<Arc<IntTable>>,
    build: impl FnOnce(&mut ProgramBuilder, TensorId) -> TensorId,
) -> Case {
    let mut p = ProgramBuilder::new(BITS).with_width_vars(6);
    let half = 1i128 << (BITS - 1);
    let x = p.input("x", (rows, cols), -half, half - 1).unwrap();
    p.range(p.whole(x), -half, BITS).unwrap();
    let y = build(&mut p, x);
    p.output(y);
    let (program, recipes) = p.finish().unwrap();
    Case { program, recipes, inputs: vec![table(rows, cols, values)], constants }
}

fn attack(name: &str, case: Case) -> Tables {
    Target::new(case).attack_every_tensor(name)
}

#[test]
fn logarithms_with_a_floor_are_attacked() {
    // Zero and others below a floor of 4, the floor itself, and what is above it.
    let values = [0, 3, 4, 5, 100, 255];
    for (name, top, max_shift) in [("log above a floor", 10, 8), ("log above a floor, two factors", 70, 68)] {
        let tables = LogTables::new(top, max_shift, 5, 0, 6).with_least(-40);
        let tables = attack(name, case((3, 2), &values, Vec::new(), |p, x| logarithm(p, "ln", x, &tables).unwrap()));
        let kind = if max_shift > 61 { "four columns" } else { "three columns" };
        assert!(tables.get(kind).is_some_and(|&refused| refused >= 2), "{name}: {tables:?}");
    }
}

#[test]
fn the_largest_entry_is_attacked() {
    let ones = || vec![table(2, 1, &[1, 1])];
    let declare = |p: &mut ProgramBuilder| p.constant("ones", 0, (2, 1), 1, 1).unwrap();
    // The largest once and twice; far entries, and entries at the end of the reach.
    for values in [[9, -3, 20, 21, 16, 11], [21, 5, 21, 21, 20, 16]] {
        let case = case((3, 2), &values, ones(), |p, x| {
            let ones = declare(p);
            near_peak(p, "near", x, ones, (5, 5)).unwrap()
        });
        attack("near the largest", case);
    }
    // No entry is positive, one is, and one is as large as the least maximum.
    for values in [[-5, -3, 0, 0], [-5, 7, 0, 7], [1, 0, -2, 0]] {
        let case = case((2, 2), &values, ones(), |p, x| {
            let ones = declare(p);
            peak(p, "peak", x, (ones, Some(1)), (5, 0)).unwrap().most
        });
        attack("the largest, at least one", case);
    }
}

/// A maximum that is too high or too low, with everything else recomputed for it.
#[test]
fn another_maximum_is_refused() {
    let case = case((3, 2), &[9, -3, 20, 21, 16, 11], vec![table(2, 1, &[1, 1])], |p, x| {
        let ones = p.constant("ones", 0, (2, 1), 1, 1).unwrap();
        near_peak(p, "near", x, ones, (5, 5)).unwrap()
    });
    let TensorId(most) = case.id("near: peak");
    let target = Target::new(case);
    for (name, change) in &CHANGES[..2] {
        assert!(target.attack(most as usize, (0, 0), *change).is_some(), "{name}");
    }
}
