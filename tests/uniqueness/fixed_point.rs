//! Ranges, quotients, tables, signs, maxima, roots, quotients of integers, logarithms.

use std::ops::Range;

use proptest::prelude::*;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::{ProgramError, TensorId};
use voxcheck::gkr::tables::Table;
use voxcheck::layers::affine::Function;
use voxcheck::layers::fixed;
use voxcheck::layers::logarithm::{LogTables, logarithm};
use voxcheck::layers::saturate::Clamped;

use crate::{Gadget, free_integer, rounded};

const BYTES: Range<i128> = -128..128;

/// Checks a gadget of one input on all bytes against its formula.
fn on_all_bytes(gadget: &Gadget, formula: impl Fn(i128) -> Option<i128>) {
    for x in BYTES {
        gadget.check(&[&[x]], formula(x).as_ref().map(std::slice::from_ref));
    }
}

fn one(gadget: &Gadget, inputs: &[i128], expected: Option<i128>) {
    let inputs: Vec<&[i128]> = inputs.iter().map(std::slice::from_ref).collect();
    gadget.check(&inputs, expected.as_ref().map(std::slice::from_ref));
}

#[test]
fn a_number_in_a_range_has_one_form_and_any_other_has_none() {
    for range_bits in [4, 5, 8] {
        for bits in 0..10 {
            let gadget = Gadget::scalar(range_bits, &[8], |p, x| fixed::range(p, "x", x[0], bits).map(|()| x[0]));
            on_all_bytes(&gadget, |x| (0..1 << bits).contains(&x).then_some(x));
        }
    }
}

#[test]
fn a_copy_is_the_original() {
    for range_bits in [4, 5, 8] {
        on_all_bytes(&Gadget::scalar(range_bits, &[8], |p, x| fixed::commit(p, "y", x[0])), Some);
    }
}

/// An integer that nothing else is known about has every value of its limbs, each in one way.
#[test]
fn an_integer_has_every_value_in_one_way() {
    for (range_bits, bits, whole) in [(4, 1, 4), (4, 4, 4), (4, 5, 8), (3, 7, 9), (8, 8, 8)] {
        let found = free_integer(range_bits, bits).admitted(&[&[0]]);
        let half = 1i128 << (whole - 1);
        assert_eq!(found.outputs, (-half..half).map(|y| vec![y]).collect());
        assert_eq!(found.assignments, 1 << whole);
    }
}

#[test]
fn a_requantised_byte_has_one_value() {
    for range_bits in [4, 5, 8] {
        for shift in 0..=9 {
            let gadget = Gadget::scalar(range_bits, &[8], |p, x| fixed::requantize(p, "y", x[0], shift, 9));
            on_all_bytes(&gadget, |x| Some(rounded(x, shift)));
            // The same for an output that is given.
            let gadget = Gadget::scalar(range_bits, &[8, 9], |p, x| {
                fixed::pin_quotient(p, "y", x[0], x[1], shift).map(|()| x[1])
            });
            for x in BYTES {
                let exact = rounded(x, shift);
                for y in [exact - 1, exact, exact + 1, -exact, x].into_iter().filter(|y| (-256..256).contains(y)) {
                    one(&gadget, &[x, y], (y == exact).then_some(y));
                }
            }
        }
    }
}

#[test]
fn a_quotient_that_does_not_fit_its_limbs_has_no_value() {
    for shift in 0..4 {
        let gadget = Gadget::scalar(4, &[8], |p, x| fixed::requantize(p, "y", x[0], shift, 4));
        on_all_bytes(&gadget, |x| Some(rounded(x, shift)).filter(|y| (-8..8).contains(y)));
    }
}

/// Some function that is not monotone.
fn wavy(start: i64, bits: u32) -> Table {
    Table::function("wavy", start, (start..start + (1 << bits)).map(|x| x * x % 23 - 3 * (x % 5)).collect())
}

/// The value of a function's table.
pub fn entry(function: &Table, argument: i128) -> Option<i128> {
    let index = usize::try_from(argument - i128::from(function.column_range(0).0)).ok()?;
    (index < function.len()).then(|| function.entry(1, index).into())
}

#[test]
fn an_activation_has_the_value_of_its_table_and_none_outside() {
    for function in [wavy(-128, 8), wavy(-16, 5), wavy(3, 4)] {
        for (range_bits, shift) in [(4, 0), (4, 2), (5, 3), (8, 1), (4, 6)] {
            let gadget = Gadget::scalar(range_bits, &[8], |p, x| fixed::activate(p, "z", x[0], shift, &function));
            on_all_bytes(&gadget, |x| entry(&function, rounded(x, shift)));
        }
        let gadget = Gadget::scalar(8, &[8], |p, x| fixed::lookup(p, "z", x[0], &function));
        on_all_bytes(&gadget, |x| entry(&function, x));
    }
}

/// What a saturating gate stands for.
pub fn saturated(function: &Table, x: i128, shift: usize, (low_bits, high_bits): (usize, usize)) -> Option<i128> {
    let (first, last) = function.column_range(0);
    let quotient = rounded(x, shift);
    let high = quotient >> low_bits;
    let half = 1 << (high_bits - 1);
    let clamped = high.clamp(i128::from(first) >> low_bits, i128::from(last) >> low_bits);
    let argument = (clamped << low_bits) + quotient.rem_euclid(1 << low_bits);
    (-half..half).contains(&high).then(|| entry(function, argument)).flatten()
}

#[test]
fn a_saturating_activation_is_clamped_in_one_way() {
    let function = wavy(-32, 6);
    for (range_bits, shift, blocks) in [(4, 0, (3, 5)), (5, 1, (2, 6)), (8, 0, (3, 4)), (4, 5, (0, 7)), (5, 0, (5, 1))]
    {
        let gadget =
            Gadget::scalar(range_bits, &[8], |p, x| fixed::activate_saturating(p, "z", x[0], shift, blocks, &function));
        on_all_bytes(&gadget, |x| saturated(&function, x, shift, blocks));
    }
}

/// What a clamp stands for.
fn clamped(table: &Table, x: i128, shift: usize) -> Option<i128> {
    let (first, last) = table.column_range(0);
    entry(table, rounded(x, shift).clamp(first.into(), last.into()))
}

/// Checks a clamp of one value, or of so many copies of it that another way of clamping is cheaper.
fn check_clamp(range_bits: usize, shift: usize, then: &Clamped, table: &Table, xs: &[i128]) {
    let gadget = Gadget::scalar(range_bits, &[10], |p, x| then.lower(p, "z", x[0], shift));
    for &x in xs {
        gadget.check(&[&[x]], clamped(table, x, shift).as_ref().map(std::slice::from_ref));
    }
}

#[test]
fn a_clamped_value_has_one_form_within_its_table_and_beyond() {
    let xs: Vec<i128> = (-512..512).step_by(7).chain([-512, -1, 0, 1, 511]).collect();
    for (range_bits, shift) in [(4, 0), (5, 1), (4, 3), (5, 5), (8, 2)] {
        for bits in 1..5 {
            let half = 1i64 << (bits - 1);
            let line = |f: fn(i64) -> i64| Table::function("line", -half, (-half..half).map(f).collect());
            check_clamp(range_bits, shift, &Clamped::Quotient { bits }, &line(|q| q), &xs);
            check_clamp(range_bits, shift, &Clamped::Rectified { bits }, &line(|q| q.max(0)), &xs);
        }
        for (start, bits) in [(-16, 5), (3, 3), (-9, 3), (0, 1)] {
            let table = wavy(start, bits);
            let values: Vec<i64> = (0..table.len()).map(|i| table.entry(1, i)).collect();
            let function = Function { name: "wavy".into(), start, values: values.into() };
            check_clamp(range_bits, shift, &Clamped::Function(function), &table, &xs);
        }
    }
}

#[test]
fn a_sign_has_one_bit_and_zero_is_not_positive() {
    for range_bits in [4, 5, 8] {
        let gadget = Gadget::scalar(range_bits, &[8], |p, x| fixed::is_positive(p, "s", x[0], 8));
        on_all_bytes(&gadget, |x| Some(i128::from(x > 0)));
    }
}

/// Checks the larger of two numbers: its bit is free exactly for equal ones.
fn check_maximum(gadget: &Gadget, a: i128, b: i128) {
    let found = gadget.compare(&[&[a], &[b]], Some(&[a.max(b)]));
    assert_eq!(found.assignments, if a == b { 2 } else { 1 });
}

fn maximum(range_bits: usize, bits: usize) -> Gadget {
    Gadget::scalar(range_bits, &[bits, bits], |p, x| fixed::maximum(p, "most", x[0], x[1], bits + 2))
}

/// A prime, so that multiples of it meet all residues.
const STEP: usize = 13;

#[test]
fn a_maximum_has_one_value() {
    let gadget = maximum(5, 8);
    for (a, b) in BYTES.flat_map(|a| BYTES.map(move |b| (a, b))).step_by(STEP).chain(BYTES.map(|a| (a, a))) {
        check_maximum(&gadget, a, b);
    }
}

fn root(range_bits: usize, bits: usize) -> Gadget {
    Gadget::scalar(range_bits, &[bits], |p, x| fixed::sqrt(p, "root", x[0], bits.div_ceil(2)))
}

fn exact_root(x: i128) -> Option<i128> {
    u128::try_from(x).ok().map(|x| x.isqrt() as i128)
}

#[test]
fn a_square_root_has_one_value_and_a_negative_number_none() {
    for range_bits in [4, 5, 8] {
        on_all_bytes(&root(range_bits, 8), exact_root);
    }
}

fn quotient(range_bits: usize, bits: usize) -> Gadget {
    Gadget::scalar(range_bits, &[bits, bits], |p, x| fixed::divide(p, "q", x[0], x[1], bits, bits))
}

#[test]
fn a_division_has_one_quotient_and_none_by_zero_or_less() {
    let gadget = quotient(5, 8);
    let zeros = BYTES.map(|a| (a, 0));
    for (a, b) in BYTES.flat_map(|a| BYTES.map(move |b| (a, b))).step_by(STEP).chain(zeros) {
        one(&gadget, &[a, b], (b > 0).then(|| a.div_euclid(b)));
    }
}

#[test]
#[ignore = "full tier: all pairs of bytes"]
fn maxima_and_quotients_of_all_pairs_of_bytes() {
    for range_bits in [4, 8] {
        let (maximum, quotient) = (maximum(range_bits, 8), quotient(range_bits, 8));
        for (a, b) in BYTES.flat_map(|a| BYTES.map(move |b| (a, b))) {
            check_maximum(&maximum, a, b);
            one(&quotient, &[a, b], (b > 0).then(|| a.div_euclid(b)));
        }
    }
}

/// The logarithm of `LogTables`, from its definition.
fn exact_logarithm(tables: &LogTables, x: i128) -> Option<i128> {
    let bits = u128::try_from(x).ok()?.checked_ilog2()? as usize;
    let shift = tables.top.checked_sub(bits)?;
    let mantissa = (x << shift) >> (tables.top - tables.mantissa_bits);
    let log = tables.logs[(mantissa - (1 << tables.mantissa_bits)) as usize];
    Some(i128::from(log - tables.shifts.get(shift)?))
}

fn log_gadget(range_bits: usize, bits: usize, tables: &LogTables) -> Gadget {
    let build =
        |p: &mut ProgramBuilder, x: &[TensorId]| -> Result<TensorId, ProgramError> { logarithm(p, "ln", x[0], tables) };
    Gadget::scalar(range_bits, &[bits], build)
}

#[test]
fn a_logarithm_has_one_value_and_zero_and_less_have_none() {
    // The last tables admit 16 to 63 only.
    for (top, max_shift, mantissa_bits) in [(8, 8, 4), (9, 11, 3), (7, 7, 6), (5, 1, 3)] {
        let tables = LogTables::new(top, max_shift, mantissa_bits, 0, 6);
        for range_bits in [4, 8] {
            on_all_bytes(&log_gadget(range_bits, 8, &tables), |x| exact_logarithm(&tables, x));
        }
        for x in 1..128 {
            if let Some(log) = exact_logarithm(&tables, x) {
                let error = log as f64 / 64.0 - (x as f64).ln();
                // Half a mantissa, and two entries rounded to 6 bits.
                let tolerance = f64::from(-1 - mantissa_bits as i32).exp2() + f64::from(-6).exp2();
                assert!(error.abs() <= tolerance, "ln {x}: {error}");
            }
        }
    }
}

/// The ends of what `bits` signed bits hold, and what is near zero.
fn extremes(bits: usize) -> Vec<i128> {
    let half = 1i128 << (bits - 1);
    vec![-half, 1 - half, -2, -1, 0, 1, 2, half - 2, half - 1]
}

#[test]
fn wide_numbers_at_the_ends_of_their_ranges() {
    for bits in [16, 32] {
        let requantize =
            |shift| Gadget::scalar(8, &[bits], move |p, x| fixed::requantize(p, "y", x[0], shift, bits + 1));
        let (fine, coarse, root, sign) = (requantize(1), requantize(bits - 3), root(8, bits), sign(bits));
        let (maximum, quotient) = (maximum(8, bits), quotient(8, bits));
        for x in extremes(bits) {
            one(&fine, &[x], Some(rounded(x, 1)));
            one(&coarse, &[x], Some(rounded(x, bits - 3)));
            one(&root, &[x], exact_root(x));
            one(&sign, &[x], Some(i128::from(x > 0)));
            for y in extremes(bits) {
                check_maximum(&maximum, x, y);
                one(&quotient, &[x, y], (y > 0).then(|| x.div_euclid(y)));
            }
        }
    }
}

fn sign(bits: usize) -> Gadget {
    Gadget::scalar(8, &[bits], |p, x| fixed::is_positive(p, "s", x[0], bits))
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig::with_cases(count)
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn wide_quotients_have_one_value(x in any::<i32>(), shift in 0usize..34, range_bits in 4usize..9) {
        let gadget = Gadget::scalar(range_bits, &[32], |p, x| fixed::requantize(p, "y", x[0], shift, 33));
        one(&gadget, &[x.into()], Some(rounded(x.into(), shift)));
    }

    #[test]
    fn wide_roots_signs_and_copies_have_one_value(x in any::<i32>(), down in 0u32..32) {
        let x = i128::from(x >> down);
        one(&root(8, 32), &[x], exact_root(x));
        one(&sign(32), &[x], Some(i128::from(x > 0)));
        one(&Gadget::scalar(7, &[32], |p, x| fixed::commit(p, "y", x[0])), &[x], Some(x));
    }

    #[test]
    fn squares_and_their_neighbours_have_one_root(y in 0i128..46340, next in -1i128..2) {
        one(&root(8, 32), &[y * y + next], exact_root(y * y + next));
    }

    #[test]
    fn wide_quotients_and_maxima_have_one_value(a in any::<i32>(), b in any::<i32>(), down in 0u32..32) {
        let (a, b) = (i128::from(a), i128::from(b >> down));
        one(&quotient(8, 32), &[a, b], (b > 0).then(|| a.div_euclid(b)));
        check_maximum(&maximum(8, 32), a, b);
    }

    #[test]
    fn wide_logarithms_have_one_value(x in any::<i32>(), down in 0u32..32) {
        let (x, tables) = (i128::from(x >> down), LogTables::new(40, 40, 7, 4, 9));
        one(&log_gadget(8, 32, &tables), &[x], exact_logarithm(&tables, x));
    }
}
