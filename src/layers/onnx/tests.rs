use super::*;
use crate::test_data;

#[test]
fn operators_are_sorted() {
    assert!(operators().is_sorted_by_key(|(name, _)| *name));
}

#[test]
fn bundled_imports() {
    let network = read(&std::fs::read(test_data::asset("models/xvector_small.onnx")).unwrap());
    let network = network.unwrap();
    assert_eq!(network.nodes.len(), 14);
}
