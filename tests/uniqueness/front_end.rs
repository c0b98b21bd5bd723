//! What front ends alone have: logarithms with a least value, and the largest of all entries.

use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::{ProgramError, TensorId};
use voxcheck::layers::logarithm::{LogTables, logarithm};
use voxcheck::layers::peak::{near_peak, peak};

use crate::{Gadget, table};

fn log_gadget(range_bits: usize, bits: usize, tables: &LogTables) -> Gadget {
    let build =
        |p: &mut ProgramBuilder, x: &[TensorId]| -> Result<TensorId, ProgramError> { logarithm(p, "ln", x[0], tables) };
    Gadget::scalar(range_bits, &[bits], build)
}

/// The logarithm of `max(x, F)` from its definition, for `x ≥ 0`.
fn exact_logarithm(tables: &LogTables, x: i128) -> Option<i128> {
    let longest = tables.shifts.len() - 1;
    if x < 1 << (tables.top - longest) {
        return tables.least.map(i128::from);
    }
    let shift = tables.top.checked_sub(x.ilog2() as usize)?;
    let mantissa = (x << shift) >> (tables.top - tables.mantissa_bits);
    Some((tables.logs[(mantissa - (1 << tables.mantissa_bits)) as usize] - tables.shifts[shift]).into())
}

#[test]
fn a_logarithm_with_a_floor_has_one_value_on_both_sides_of_it() {
    // Floors of 1, 4, 16 and 2; the last tables end within a byte.
    for (top, max_shift, mantissa_bits, least) in [(8, 8, 4, 0), (9, 7, 3, -50), (9, 5, 5, 177), (5, 4, 4, 3)] {
        let tables = LogTables::new(top, max_shift, mantissa_bits, 0, 6).with_least(least);
        for range_bits in [4, 8] {
            let gadget = log_gadget(range_bits, 8, &tables);
            for x in 0..128 {
                gadget.check(&[&[x]], exact_logarithm(&tables, x).as_ref().map(std::slice::from_ref));
            }
            // No energy is negative. What the relations admit there is no choice either.
            for x in -128..0 {
                assert!(gadget.admitted(&[&[x]]).assignments <= 1, "{x}");
            }
        }
    }
}

#[test]
fn a_logarithm_of_two_factors_has_one_value() {
    // A floor of 8, and shifts of up to 67 bits.
    for least in [None, Some(-7)] {
        let tables = LogTables { least, ..LogTables::new(70, 67, 4, 2, 6) };
        let gadget = log_gadget(8, 32, &tables);
        let values = (0..31).flat_map(|bits| [(1i128 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        for x in values.chain([0, (1 << 31) - 1]) {
            gadget.check(&[&[x]], exact_logarithm(&tables, x).as_ref().map(std::slice::from_ref));
        }
    }
}

/// Inputs of all values of `bits` signed bits.
fn all_inputs(entries: usize, bits: u32) -> impl Iterator<Item = Vec<i128>> {
    let count = 1usize << (bits as usize * entries);
    (0..count).map(move |i| {
        let entry = |j: usize| (i >> (bits as usize * j) & ((1 << bits) - 1)) as i128 - (1 << (bits - 1));
        (0..entries).map(entry).collect()
    })
}

#[test]
fn the_largest_entry_is_one_value_and_far_ones_are_raised_to_one() {
    // The table of the second gadget is shorter than the largest distance.
    for (rows, cols, distance_bits, reach) in [(2, 2, 3, 2), (3, 1, 2, 3), (1, 3, 3, 0), (1, 1, 1, 1)] {
        let ones = [table(cols, 1, &vec![1; cols])];
        let gadget = Gadget::new(4, &[(rows, cols, 3)], &ones, |p, x| {
            let ones = p.constant("ones", 0, (cols, 1), 1, 1)?;
            let near = near_peak(p, "near", x[0], ones, (distance_bits, reach))?;
            Ok::<_, ProgramError>(vec![near])
        });
        // Inputs have whole limbs of 4 bits; three of them are enough.
        for x in all_inputs(rows * cols, 3) {
            let (most, least) = (*x.iter().max().unwrap(), *x.iter().min().unwrap());
            let near: Vec<i128> = x.iter().map(|&v| v.max(most - i128::from(reach))).collect();
            gadget.check(&[&x], (most - least < 1 << distance_bits).then_some(&near[..]));
        }
    }
}

#[test]
fn the_largest_entry_is_never_below_the_least_one() {
    for least in [-1, 1, 3] {
        let gadget = Gadget::new(4, &[(2, 1, 3)], &[table(1, 1, &[1])], |p, x| {
            let ones = p.constant("ones", 0, (1, 1), 1, 1)?;
            Ok::<_, ProgramError>(vec![peak(p, "peak", x[0], (ones, Some(least)), (4, 0))?.most])
        });
        for x in all_inputs(2, 3) {
            gadget.check(&[&x], Some(&[least.max(x[0]).max(x[1])]));
        }
    }
}
