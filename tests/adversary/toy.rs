//! Small programs of odd shapes.

use voxcheck::gkr::builder::{Hint, ProgramBuilder};
use voxcheck::gkr::program::{Column, TensorId};
use voxcheck::gkr::tables::Table;
use voxcheck::gkr::view::{RowMap, View};

use crate::common::{Case, table};

/// `q = ⌊v / 2^shift⌋`, committed and ranged; the remainder is ranged by a scaled lookup.
fn quotient(p: &mut ProgramBuilder, name: &str, v: TensorId, shift: usize) -> TensorId {
    let shape = p.shape(v);
    let q = p.witness(name, shape, (-32, 31), &[v], Hint::entrywise(move |v| v >> shift)).unwrap();
    let rem = p.linear(&format!("{name} rem"), vec![(1, p.whole(v)), (-(1 << shift), p.whole(q))], 0).unwrap();
    p.range(p.whole(rem), 0, shift).unwrap();
    p.range(p.whole(q), -32, 6).unwrap();
    q
}

/// Every relation once, and once more where there are two kinds: contractions with taps, plain and transposed,
/// a product, sums, a tensor of zeros, ranges, a scaled range, a table of pairs, a public output.
pub fn every_relation() -> Case {
    let mut p = ProgramBuilder::new(6).with_width_vars(3);
    let x = p.input("x", (5, 3), -32, 31).unwrap();
    let w = p.constant("w", 0, (11, 3), -3, 3).unwrap();
    let k = p.constant("k", 1, (3, 2), -3, 3).unwrap();
    p.range(p.whole(x), -32, 6).unwrap();
    let conv = p.contraction("conv", View::rows(x, RowMap::strided(5, 2, 3, 2, 1, 0)), p.whole(w)).unwrap();
    let proj = p.contraction("proj", p.whole(x), p.whole(k)).unwrap();
    let delayed = View::rows(x, RowMap::delay(1, 5, 1));
    let gram = p.contraction_transposed("gram", p.whole(x), delayed.clone()).unwrap();
    let prod = p.product("prod", p.whole(x), delayed).unwrap();
    let acc = p.linear("acc", vec![(3, p.whole(conv))], 5).unwrap();
    for (name, v) in [("proj q", proj), ("gram q", gram), ("prod q", prod)] {
        quotient(&mut p, name, v, 5);
    }
    let y = quotient(&mut p, "y", acc, 4);
    let mut relu: Vec<i64> = (-32..32).map(|v: i64| v.max(0)).collect();
    relu[63] = 31;
    let relu = p.table(Table::function("relu", -32, relu)).unwrap();
    let z = p.witness("z", p.shape(y), (0, 31), &[y], Hint::entrywise(|v| v.max(0))).unwrap();
    let column = |view| Column { view, scale: 1, offset: 0 };
    p.lookup(vec![column(p.whole(y)), column(p.whole(z))], relu).unwrap();
    // A copy of `z`, equal to it because the difference is zero.
    let copy = p.witness("copy", p.shape(z), (-32, 31), &[z], Hint::entrywise(|v| v)).unwrap();
    p.range(p.whole(copy), -32, 6).unwrap();
    let difference = p.linear("difference", vec![(1, p.whole(z)), (-1, p.whole(copy))], 0).unwrap();
    p.zero(difference);
    p.output(z);
    let (program, recipes) = p.finish().unwrap();
    let values = vec![7, -4, 9, 3, 8, -6, -5, 2, 6, 10, -9, 4, 1, 5, -3];
    let w: Vec<i128> = (0..33).map(|i| if i / 3 % 4 == 3 { 0 } else { i * 5 % 7 - 3 }).collect();
    let inputs = vec![table(5, 3, &values)];
    Case { program, recipes, inputs, constants: vec![table(11, 3, &w), table(3, 2, &[1, -2, 3, 2, -1, 2])] }
}

/// A recurrence over a shifted view of its own trace: every state is checked against the one before it.
pub fn recurrence() -> Case {
    let mut p = ProgramBuilder::new(5).with_width_vars(4);
    let x = p.input("x", (7, 1), -16, 15).unwrap();
    p.range(p.whole(x), -16, 5).unwrap();
    let h = p
        .witness(
            "h",
            (7, 1),
            (-16, 15),
            &[x],
            Hint::whole(|a| {
                let mut state = 0;
                let step = |v| {
                    state = (state + v) >> 1;
                    state
                };
                Ok(a[0].values().iter().map(step).collect())
            }),
        )
        .unwrap();
    p.range(p.whole(h), -16, 5).unwrap();
    // 2·h_t + rem = h_{t-1} + x_t
    let before = View::rows(h, RowMap::delay(1, 7, 1));
    let rem = p.linear("rem", vec![(1, before), (1, p.whole(x)), (-2, p.whole(h))], 0).unwrap();
    p.range(p.whole(rem), 0, 1).unwrap();
    p.output(h);
    let (program, recipes) = p.finish().unwrap();
    Case { program, recipes, inputs: vec![table(7, 1, &[5, -3, 8, 15, -16, 2, 9])], constants: vec![] }
}

/// One column, one row, wide rows, and rows of zeros: the edges of layouts. Its opening ends in zeros.
pub fn edges() -> Case {
    let mut p = ProgramBuilder::new(4);
    let x = p.input("x", (1, 1), 0, 15).unwrap();
    let v = p.input("v", (1, 9), 0, 15).unwrap();
    p.range(p.whole(x), 0, 4).unwrap();
    p.range(p.whole(v), 0, 4).unwrap();
    let zeros = p.witness("zeros", (3, 5), (0, 15), &[x], Hint::whole(|_| Ok(vec![0; 15]))).unwrap();
    p.range(p.whole(zeros), 0, 4).unwrap();
    let square = p.product("square", p.whole(v), p.whole(v)).unwrap();
    p.output(square);
    let (program, recipes) = p.finish().unwrap();
    let v = table(1, 9, &[1, 2, 3, 4, 5, 6, 7, 8, 15]);
    Case { program, recipes, inputs: vec![table(1, 1, &[5]), v], constants: vec![] }
}

/// All of them, by name.
pub fn all() -> Vec<(&'static str, Case)> {
    vec![("every relation", every_relation()), ("recurrence", recurrence()), ("edges", edges())]
}
