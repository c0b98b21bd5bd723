//! Files that are damaged, or made to do harm.

use proptest::prelude::*;

use super::*;

/// Imports, and runs what could be imported on a short input.
fn survive(bytes: &[u8]) {
    if let Ok(network) = read(bytes)
        && network.input_columns <= 64
    {
        for length in [1, 20] {
            let x = FloatMatrix::zeros(length, network.input_columns);
            let _ = network.execute(&x, length);
        }
    }
}

fn file() -> &'static [u8] {
    static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILE.get_or_init(|| std::fs::read(test_data::asset("models/xvector_small.onnx")).unwrap())
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = file().to_vec();
        for (at, region, value) in flips {
            // The structure stands at both ends; between them are weights.
            let len = bytes.len();
            let at = match region {
                0 => at.index(6000),
                1 => len - 1 - at.index(2000),
                _ => at.index(len),
            };
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes);
    }

    #[test]
    fn wrong_numbers_never_panic(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..5, prop_oneof![
                -3i64..6, Just(i64::MAX), Just(i64::MIN), Just(1 << 40), any::<i64>(),
            ]),
            1..4,
        ),
    ) {
        let mut model = proto::ModelProto::decode(file()).unwrap();
        let graph = model.graph.as_mut().unwrap();
        for (which, item, kind, number) in edits {
            let nodes = graph.node.len();
            let node = &mut graph.node[which.index(nodes)];
            match kind {
                0 if !node.attribute.is_empty() => {
                    let count = node.attribute.len();
                    let attribute = &mut node.attribute[item.index(count)];
                    match attribute.ints.first_mut() {
                        Some(first) => *first = number,
                        None => attribute.i = Some(number),
                    }
                }
                1 => {
                    let tensor = &mut graph.initializer[which.index(27)];
                    if let Some(first) = tensor.dims.first_mut() {
                        *first = number;
                    }
                }
                2 => {
                    let source = graph.node[item.index(nodes)].output[0].clone();
                    graph.node[which.index(nodes)].input[0] = source;
                }
                3 => {
                    let known: Vec<_> = operators().collect();
                    let operator = known[item.index(known.len())].0;
                    node.op_type = Some(operator.into());
                }
                _ => {
                    let count = node.attribute.len();
                    if count > 0 {
                        node.attribute.remove(item.index(count));
                    }
                }
            }
        }
        survive(&model.encode_to_vec());
    }
}
