//! Gadgets at their boundaries: each has the one output that its formula says.

use voxcheck::gkr::builder::{Hint, ProgramBuilder};
use voxcheck::gkr::program::{Kind, ProgramError, TensorId};
use voxcheck::gkr::tables::Table;
use voxcheck::gkr::trace::Trace;
use voxcheck::layers::fixed;
use voxcheck::layers::logarithm::{LogTables, logarithm};
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::source::Source;

/// Bits of the range table.
const RANGE_BITS: usize = 8;

/// Adds a gadget on two tensors to a program.
type Lower = dyn Fn(&mut ProgramBuilder, TensorId, TensorId) -> Result<TensorId, ProgramError>;

/// A gadget on one or two columns of integers, and the naive formula.
struct Gadget {
    /// Bounds of the arguments.
    low: i128,
    high: i128,
    lower: Box<Lower>,
    /// The output of two arguments; `None` where there is none.
    formula: Box<dyn Fn(i128, i128) -> Option<i128>>,
}

fn round_shift(x: i128, shift: usize) -> i128 {
    if shift == 0 { x } else { (x + (1 << (shift - 1))).div_euclid(1 << shift) }
}

fn signed(bits: usize) -> (i128, i128) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

fn gadget(source: &mut Source<'_>) -> Gadget {
    match source.byte() % 8 {
        0 => {
            let (shift, bits) = (source.within(0..=20), source.within(1..=24));
            let (low, high) = signed(source.within(1..=40));
            // The output has whole limbs; beyond them the gadget refuses.
            let (least, most) = signed(bits.div_ceil(RANGE_BITS) * RANGE_BITS);
            Gadget {
                low,
                high,
                lower: Box::new(move |p, x, _| fixed::requantize(p, "y", x, shift, bits)),
                formula: Box::new(move |x, _| Some(round_shift(x, shift)).filter(|y| (least..=most).contains(y))),
            }
        }
        1 => {
            let (shift, low_bits, high_bits) = (source.within(0..=10), source.within(0..=3), source.within(2..=10));
            let table_bits = low_bits + source.within(1..=high_bits.min(5));
            let (first, last) = signed(table_bits);
            let (low, high) = signed(source.within(1..=30));
            // Flat over the outermost blocks, as a sigmoid is.
            let block = 1i128 << low_bits;
            let f = move |y: i128| y.clamp(first + block - 1, last - block + 1).max(-5);
            let function = Table::function("f", first as i64, (first..=last).map(|y| f(y) as i64).collect());
            let (least, most) = signed(high_bits);
            Gadget {
                low,
                high,
                lower: Box::new(move |p, x, _| {
                    fixed::activate_saturating(p, "y", x, shift, (low_bits, high_bits), &function)
                }),
                formula: Box::new(move |x, _| {
                    let y = round_shift(x, shift);
                    (least..=most).contains(&(y >> low_bits)).then(|| f(y.clamp(first, last)))
                }),
            }
        }
        2 => {
            let top = source.within(9..=40);
            let max_shift = source.within(0..=top.min(40));
            let tables = LogTables::new(top, max_shift, RANGE_BITS, 0, 12);
            let formula = tables.clone();
            Gadget {
                low: 0,
                high: (2 << top) - 1,
                lower: Box::new(move |p, x, _| logarithm(p, "y", x, &tables)),
                formula: Box::new(move |x, _| {
                    let octave = top - x.checked_ilog2()? as usize;
                    let mantissa = (x << octave) >> (top - RANGE_BITS);
                    let log = *formula.logs.get((mantissa - (1 << RANGE_BITS)) as usize)?;
                    Some(i128::from(log - formula.shifts.get(octave)?))
                }),
            }
        }
        3 => {
            let bits = source.within(1..=20);
            Gadget {
                low: -1,
                high: (1 << (2 * bits)) - 1,
                lower: Box::new(move |p, x, _| fixed::sqrt(p, "y", x, bits)),
                formula: Box::new(|x, _| u128::try_from(x).ok().map(|x| x.isqrt() as i128)),
            }
        }
        4 => {
            let bits = source.within(2..=30);
            let (low, high) = signed(bits);
            Gadget {
                low,
                high,
                lower: Box::new(move |p, x, y| fixed::maximum(p, "y", x, y, bits)),
                formula: Box::new(|x, y| Some(x.max(y))),
            }
        }
        5 => {
            let bits = source.within(2..=40);
            let (low, high) = signed(bits);
            Gadget {
                low,
                high,
                lower: Box::new(move |p, x, _| fixed::is_positive(p, "y", x, bits)),
                formula: Box::new(|x, _| Some(i128::from(x > 0))),
            }
        }
        6 => {
            let bits = source.within(1..=24);
            Gadget {
                low: 0,
                high: (1 << bits) - 1,
                lower: Box::new(move |p, x, y| fixed::divide(p, "y", x, y, bits, bits)),
                formula: Box::new(|x, y| x.checked_div(y)),
            }
        }
        _ => {
            let (low, high) = signed(source.within(1..=60));
            Gadget { low, high, lower: Box::new(|p, x, _| fixed::commit(p, "y", x)), formula: Box::new(|x, _| Some(x)) }
        }
    }
}

/// Runs a gadget: it answers by its formula wherever that has an answer, and refuses elsewhere; no entry of
/// its witness can be another one.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let Gadget { low, high, lower, formula } = gadget(&mut source);
    let rows = source.within(1..=6);
    let mut column = || -> Vec<i128> { (0..rows).map(|_| source.value(low, high)).collect() };
    let (x, y) = (column(), column());
    let mut p = ProgramBuilder::new(RANGE_BITS);
    // Arguments of more bits than the table come as a committed number does, in limbs.
    let bits = 1 + low.unsigned_abs().max(high.unsigned_abs()).checked_ilog2().map_or(0, |bits| bits as usize + 1);
    let mut argument = |name: &str, values: Vec<i128>| {
        fixed::integer(&mut p, name, (rows, 1), bits, &[], Hint::whole(move |_| Ok(values.clone())))
    };
    let (Ok(a), Ok(b)) = (argument("a", x.clone()), argument("b", y.clone())) else { return };
    let Ok(output) = lower(&mut p, a, b) else { return };
    for id in [a, b, output] {
        p.output(id);
    }
    let Ok((program, recipes)) = p.finish() else { return };
    let expected: Option<Vec<i128>> = x.iter().zip(&y).map(|(&x, &y)| formula(x, y)).collect();
    let trace = Trace::run(&program, &recipes, &[], &[]).and_then(|trace| trace.check(&program).map(|()| trace));
    let Some(expected) = expected else {
        assert!(trace.is_err(), "a gadget has an answer where its formula has none");
        return;
    };
    let trace = trace.unwrap_or_else(|error| panic!("a gadget refuses {x:?}, {y:?}: {error}"));
    let found: Vec<i128> = trace.get(output).values().iter().collect();
    assert_eq!(found, expected, "a gadget answers {x:?}, {y:?} otherwise");

    let witnesses = program.of_kind(|kind| kind == Kind::Witness);
    let changed = witnesses[source.within(0..=witnesses.len().min(256) - 1)];
    let table = trace.get(changed);
    let at = source.within(0..=(table.rows() * table.cols()).min(256) - 1);
    let step = if source.byte().is_multiple_of(2) { 1 } else { -1 };
    let values = table.values().iter().enumerate().map(|(i, v)| if i == at { v + step } else { v }).collect();
    let mut forged = trace.clone();
    forged.replace(changed, IntTable::new(table.rows(), table.cols(), IntVec::I128(values)));
    assert!(forged.check(&program).is_err(), "another witness satisfies all relations");
}
