//! Programs of real layers: one step of an LSTM, and the decision.

use std::sync::Arc;

use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::layers::affine::Function;
use voxcheck::layers::lowering::{Layer, Value};
use voxcheck::layers::matrix::FloatMatrix;
use voxcheck::layers::quantize::Constants;
use voxcheck::layers::recurrent::{Gates, Lstm, Recurrence};
use voxcheck::layers::score::{self, THRESHOLD_ONE};
use voxcheck::sumcheck::int::IntTable;

use crate::common::{Case, table};

/// Fraction bits of gates and states, and of the arguments of functions.
const GATE_BITS: u32 = 5;
const CELL_BITS: u32 = 4;

/// One step of an LSTM of one unit; its state is public.
pub fn lstm_step() -> Case {
    let function = |name: &str, f: fn(f64) -> f64| Function::tabulate(name, 8, CELL_BITS as i32, GATE_BITS as i32, f);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut weights = Constants::default();
    let mut row = |values: &[f64]| weights.add(&FloatMatrix::new(1, values.len(), values.to_vec()), 0);
    let recurrence = Recurrence {
        hidden: 1,
        w_input: row(&[7.0, -5.0, 4.0, 9.0]),
        w_hidden: row(&[-6.0, 8.0, 3.0, 7.0]),
        bias: row(&[20.0, 100.0, -30.0, 11.0]),
        input_shift: 1,
        hidden_shift: 0,
    };
    let gates =
        Gates { shift: 4, sigmoid: function("sigmoid", sigmoid), tanh: function("tanh", f64::tanh), saturate: None };
    let cell_tanh = function("tanh", f64::tanh);
    let layer = Lstm { name: "lstm".into(), recurrence, gates, cell_tanh, gate_bits: GATE_BITS, cell_bits: CELL_BITS };
    let mut p = ProgramBuilder::new(6);
    let x = p.input("x", (1, 1), -32, 31).unwrap();
    p.range(p.whole(x), -32, 6).unwrap();
    let state = layer.lower(&mut p, &[Value { tensor: x, sequences: 1 }]).unwrap();
    p.output(state.tensor);
    let (program, recipes) = p.finish().unwrap();
    let constants: Vec<Arc<IntTable>> = weights.into_tables().into_iter().map(Arc::new).collect();
    Case { program, recipes, inputs: vec![table(1, 1, &[13])], constants }
}

/// Whether the cosine of two vectors of four entries is at least one half.
pub fn decision() -> Case {
    let mut p = ProgramBuilder::new(8);
    let mut input = |name: &str| {
        let id = p.input(name, (1, 4), -128, 127).unwrap();
        p.range(p.whole(id), -128, 8).unwrap();
        id
    };
    let (embedding, template) = (input("embedding"), input("template"));
    score::decide(&mut p, embedding, embedding, template, THRESHOLD_ONE / 2).unwrap();
    let (program, recipes) = p.finish().unwrap();
    let inputs = vec![table(1, 4, &[100, -20, 33, 7]), table(1, 4, &[90, 11, 20, -7])];
    Case { program, recipes, inputs, constants: vec![] }
}
