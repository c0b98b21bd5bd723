//! A looked-up function has one value only if its table has every argument once.

use std::collections::BTreeMap;

use voxcheck::Model;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::Program;
use voxcheck::gkr::tables::{Table, TableColumn};
use voxcheck::layers::affine::{Finish, Function};
use voxcheck::layers::fixed;
use voxcheck::layers::logarithm::{LogTables, logarithm};
use voxcheck::layers::lowering::AnyLayer;
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::network::{self, Network, Node, NodeRef, Op};
use voxcheck::layers::quantize::{Constants, Options, Ranges, quantize};
use voxcheck::layers::recurrent::Gates;
use voxcheck::model::Tail;

use crate::Gadget;
use crate::fixed_point::saturated;

/// The entries of a table by the argument, which is the first column; none if one has two different entries.
fn function_of(table: &Table) -> Option<BTreeMap<i64, Vec<i64>>> {
    let mut entries = BTreeMap::new();
    for i in 0..table.len() {
        let entry: Vec<i64> = (1..table.columns.len()).map(|k| table.entry(k, i)).collect();
        let before = entries.insert(table.entry(0, i), entry.clone());
        if before.is_some_and(|before| before != entry) {
            return None;
        }
    }
    Some(entries)
}

/// Asserts that all tables of a program are functions; all arguments are consecutive, but those of powers of two.
fn check_tables(program: &Program) -> usize {
    for table in program.tables() {
        let entries = function_of(table).unwrap_or_else(|| panic!("`{}` has an argument with two values", table.name));
        let (first, last) = (*entries.first_key_value().unwrap().0, *entries.last_key_value().unwrap().0);
        if table.name == "shift" && entries.contains_key(&-1) {
            // The row of what is too small has no power of two.
            assert!(entries.keys().filter(|&&power| power != -1).zip(0..).all(|(&power, k)| power == 1 << k));
        } else if table.name == "shift" {
            assert!(entries.keys().zip(0..).all(|(&power, k)| power == 1 << k), "powers of two");
        } else {
            assert_eq!(entries.len(), table.len(), "`{}` has an argument twice", table.name);
            assert_eq!(last - first + 1, entries.len() as i64, "`{}` has a gap", table.name);
        }
    }
    program.tables().len()
}

#[test]
fn a_table_with_an_argument_twice_is_told_from_a_function() {
    let columns = |values: Vec<i64>| vec![TableColumn::values(vec![3, 4, 4, 5]), TableColumn::values(values)];
    let table = |values| Table { name: "t".into(), bits: 2, columns: columns(values) };
    assert_eq!(function_of(&table(vec![1, 2, 3, 4])), None);
    assert_eq!(function_of(&table(vec![1, 2, 2, 4])).unwrap().len(), 3);
}

#[test]
fn every_table_of_the_bundled_model_is_a_function() {
    let model = Model::bundled().unwrap();
    let tail = Tail { threshold: Some(1 << 14), score: Some(0), embedding: true, ..Tail::default() };
    let program = model.spec().lower(model.min_samples(), &tail).unwrap().program;
    assert!(check_tables(&program) >= 5);
}

/// Layers that the quantizer makes of one operation and what follows it.
fn quantized(ops: Vec<Op>, bits: u32, largest_gate: f64) -> Vec<AnyLayer> {
    let nodes: Vec<Node> = ops
        .into_iter()
        .enumerate()
        .map(|(i, op)| {
            let inputs = vec![if i == 0 { NodeRef::Input } else { NodeRef::Node(i - 1) }];
            Node { name: format!("n{i}"), op, inputs }
        })
        .collect();
    let count = nodes.len();
    let ranges = Ranges { outputs: vec![1.9; count], gates: vec![largest_gate; count], ..Ranges::default() };
    let network = Network::new(1, nodes);
    let options = Options::uniform(bits);
    let layers = quantize(&network, &ranges, 7, options, &mut Constants::default()).unwrap();
    layers.into_iter().map(|placed| placed.layer).collect()
}

fn matrix(rows: usize, cols: usize) -> FloatMatrix {
    FloatMatrix::from_fn(rows, cols, |r, c| ((3 * r + c) as f64).sin())
}

/// The table of a dense layer with an activation, for arguments of `bits` bits.
fn activation(op: Op, bits: u32) -> Function {
    let dense = Op::Dense { weight: matrix(1, 1), bias: vec![0.0] };
    match &quantized(vec![dense, op], bits, 0.0)[..] {
        [AnyLayer::Affine(layer)] => match &layer.finish {
            Finish::Activate { function, .. } => function.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The gates of an LSTM and of a GRU, and the table of the cell state.
fn gates(largest: f64) -> ([Gates; 2], Function) {
    let (w_input, w_hidden) = (matrix(1, 4), matrix(1, 4));
    let lstm = Op::Lstm(network::Lstm {
        input: 1,
        hidden: 1,
        w_input,
        w_hidden,
        bias: vec![0.1; 4],
        initial: None,
        carried: false,
    });
    let gru = Op::Gru(network::Gru {
        input: 1,
        hidden: 1,
        w_input: matrix(1, 3),
        w_hidden: matrix(1, 3),
        bias_input: vec![0.1; 3],
        bias_hidden: vec![0.2; 3],
        linear_before_reset: true,
        initial: None,
        carried: false,
    });
    match (&quantized(vec![lstm], 14, largest)[..], &quantized(vec![gru], 14, largest)[..]) {
        ([AnyLayer::Lstm(lstm)], [AnyLayer::Gru(gru)]) => {
            ([lstm.gates.clone(), gru.gates.clone()], lstm.cell_tanh.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// `x` arguments of bits beyond the table's, one after another or scattered.
fn arguments(bits: usize, step: usize) -> impl Iterator<Item = i128> {
    let half = 1i128 << (bits - 1);
    (-half..half).step_by(step).chain([-half, -1, 0, 1, half - 1])
}

/// Checks that a function's table gives, for every argument, `f` rounded and nothing else.
fn check_function(function: &Function, step: usize, f: impl Fn(i128) -> f64) {
    let table = function.table();
    let bits = table.bits;
    let gadget = Gadget::scalar(8, &[bits + 1], |p, x| fixed::activate(p, "z", x[0], 0, &table));
    check_arguments(&gadget, bits, step, f);
}

/// Checks that a gadget gives, for every argument of `bits` bits, `f` rounded and nothing else, and nothing for others.
fn check_arguments(gadget: &Gadget, bits: usize, step: usize, f: impl Fn(i128) -> f64) {
    check_tables(&gadget.program);
    for x in arguments(bits, step) {
        let exact = f(x).round() as i128;
        gadget.check_admitted(&[&[x]], Some(&[exact]));
        if x % 101 == 0 {
            gadget.check_honest(&[&[x]], Some(&[exact]));
        }
    }
    for outside in [-(1 << (bits - 1)) - 1, 1 << (bits - 1), -(1 << bits), (1 << bits) - 1] {
        gadget.check(&[&[outside]], None);
    }
}

/// The fraction bits of a function's argument and value, which its name ends with.
fn scales(function: &Function) -> (f64, f64) {
    let numbers: Vec<i32> = function.name.split('.').skip(1).map(|n| n.parse().unwrap()).collect();
    (f64::from(-numbers[0]).exp2(), f64::from(numbers[1]).exp2())
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn check_activations(bits: u32, step: usize) {
    let wide = bits as usize;
    let relu = Gadget::scalar(8, &[wide + 1], |p, x| fixed::rectify_in_table(p, "z", x[0], 0, wide));
    check_arguments(&relu, wide, step, |x| x.max(0) as f64);
    let few = Gadget::scalar(wide, &[wide + 2], |p, x| fixed::rectify_few(p, "z", x[0], 0));
    for x in arguments(wide + 1, step).filter(|&x| x != -1 << wide) {
        few.check_admitted(&[&[x]], Some(&[x.max(0)]));
    }
    for outside in [-1 << wide, 1 << wide, 1 - (2 << wide)] {
        few.check(&[&[outside]], None);
    }
    for (op, f) in [(Op::Sigmoid, sigmoid as fn(f64) -> f64), (Op::Tanh, f64::tanh)] {
        let function = activation(op, bits);
        let (unit, one) = scales(&function);
        check_function(&function, step, |x| f(x as f64 * unit) * one);
    }
}

fn check_gates(step: usize) {
    let ([lstm, gru], cell_tanh) = gates(1.0);
    for (function, f) in [
        (&lstm.sigmoid, sigmoid as fn(f64) -> f64),
        (&lstm.tanh, f64::tanh),
        (&gru.sigmoid, sigmoid),
        (&gru.tanh, f64::tanh),
        (&cell_tanh, f64::tanh),
    ] {
        let (unit, one) = scales(function);
        check_function(function, step, |x| f(x as f64 * unit) * one);
    }
    // Gates with a larger range saturate.
    let ([lstm, gru], _) = gates(1000.0);
    for (gates, shift) in [(lstm, 3), (gru, 0)] {
        let (low, high) = gates.saturate.unwrap();
        let blocks = (low as usize, high as usize);
        for function in [&gates.sigmoid, &gates.tanh] {
            let table = function.table();
            let gadget =
                Gadget::scalar(8, &[24], |p, x| fixed::activate_saturating(p, "z", x[0], shift, blocks, &table));
            check_tables(&gadget.program);
            for x in arguments(24, step * 64 - 1) {
                let expected = saturated(&table, x, shift, blocks);
                gadget.check_admitted(&[&[x]], expected.as_ref().map(std::slice::from_ref));
            }
        }
    }
}

#[test]
fn activations_of_eight_bits_have_one_value_for_every_argument() {
    check_activations(8, 1);
}

#[test]
fn wide_activations_and_gates_have_one_value() {
    check_activations(16, 1009);
    check_gates(1009);
}

#[test]
#[ignore = "full tier: every argument of 16 bits"]
fn wide_activations_and_gates_have_one_value_for_every_argument() {
    check_activations(16, 1);
    check_gates(1);
}

#[test]
fn tables_of_logarithms_are_functions() {
    for (max_shift, least) in [(0, None), (1, None), (2, None), (6, None), (7, None), (5, Some(3)), (8, Some(-9))] {
        let tables = LogTables { least, ..LogTables::new(20, max_shift, 5, 3, 10) };
        let mut p = ProgramBuilder::new(8);
        let x = p.input("x", (1, 1), 0, 255).unwrap();
        p.range(p.whole(x), 0, 8).unwrap();
        let y = logarithm(&mut p, "ln", x, &tables).unwrap();
        p.output(y);
        assert_eq!(check_tables(&p.finish().unwrap().0), 3);
    }
}
