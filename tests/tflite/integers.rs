//! The integers that are proved, against LiteRT's.

use std::sync::Arc;

use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::trace::Trace;
use voxcheck::layers::lowering::{self, Value};
use voxcheck::layers::quantize::{Constants, Options, Ranges, quantize};
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::*;

/// The outputs of the integer network for inputs of a few fraction bits, as numbers; every trace is checked.
fn integers(network: &Network, inputs: &[FloatMatrix], fraction_bits: i32) -> Vec<Vec<f64>> {
    let one = f64::from(fraction_bits).exp2();
    let mut ranges = Ranges::default();
    for input in inputs {
        ranges.observe(network, input, &network.execute(input, input.rows).unwrap(), input.rows);
    }
    let mut constants = Constants::default();
    let layers = quantize(network, &ranges, fraction_bits, Options::uniform(14), &mut constants).unwrap();
    let mut p = ProgramBuilder::new(16);
    let x = p.input("x", (inputs[0].rows, inputs[0].cols), -32768, 32767).unwrap();
    p.range(p.whole(x), -32768, 16).unwrap();
    let output = lowering::lower(&mut p, &layers, Value { tensor: x, sequences: 1 }).unwrap();
    p.output(output.tensor);
    let (program, recipes) = p.finish().unwrap();
    let constants: Vec<_> = constants.into_tables().into_iter().map(Arc::new).collect();
    let unit = f64::from(-layers.last().unwrap().layer.as_layer().fraction_bits()).exp2();
    let run = |input: &FloatMatrix| {
        let values = input.data.iter().map(|value| (value * one).round() as i128).collect();
        let table = Arc::new(IntTable::new(input.rows, input.cols, IntVec::I128(values)));
        let trace = Trace::run(&program, &recipes, &[table], &constants).unwrap();
        trace.check(&program).unwrap();
        trace.get(output.tensor).values().iter().map(|value| value as f64 * unit).collect()
    };
    inputs.iter().map(run).collect()
}

#[test]
fn integers_are_close_to_those_of_litert() {
    for (name, outputs) in [("image_int8", 48), ("sequence_int8", 56)] {
        let network = read(&file(name)).unwrap();
        let (inputs, expected): (Vec<_>, Vec<_>) = references(name).into_iter().unzip();
        let mut apart = Apart::default();
        for (found, expected) in integers(&network, &inputs, 12).iter().zip(&expected) {
            apart.count(found, expected, last_step(&network));
        }
        println!("{name}: {apart:?}");
        assert_eq!(apart.equal + apart.one + apart.more, outputs);
        assert!(apart.equal >= outputs * 3 / 5 && apart.more <= outputs / 10 && apart.most < 3.5, "{name}: {apart:?}");
    }
}

/// Keyword spotting from LiteRT's own integers: ties of layers on the way round differently, which probabilities show.
#[test]
fn keyword_spotting_gives_the_integers_of_litert() {
    let Some(data) = data() else { return };
    let network = read(&std::fs::read(data.join("models/kws_dscnn_int8.tflite")).unwrap()).unwrap();
    assert_eq!((network.input_columns, network.input_rows, last_step(&network)), (10, Some(49), 1.0 / 256.0));
    let references = keywords(&data);
    let inputs: Vec<FloatMatrix> = references.iter().map(|(_, input, _)| input.clone()).collect();
    let [mut floats, mut proved] = [Apart::default(), Apart::default()];
    for ((name, input, expected), found) in references.iter().zip(integers(&network, &inputs, 8)) {
        let rounded = network.execute(input, 49).unwrap().pop().unwrap().data;
        floats.count(&rounded, expected, 1.0 / 256.0);
        proved.count(&found, expected, 1.0 / 256.0);
        assert_eq!((largest(&found), largest(&rounded)), (largest(expected), largest(expected)), "{name}");
    }
    println!("keyword spotting: in floats {floats:?}, in integers {proved:?}");
    for apart in [floats, proved] {
        assert!(apart.equal >= 64 && apart.equal + apart.one + apart.more == 72 && apart.most < 5.5, "{apart:?}");
    }
}
