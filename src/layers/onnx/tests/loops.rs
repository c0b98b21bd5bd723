//! Loops that are unrolled, and products as Einsum writes them: what the references leave out, and what is refused.

use super::*;

fn integer(name: &str, data_type: i32, value: i64) -> TensorProto {
    let mut tensor = TensorProto { name: Some(name.into()), data_type: Some(data_type), ..Default::default() };
    match data_type {
        7 => tensor.int64_data = vec![value],
        _ => tensor.int32_data = vec![value as i32],
    }
    tensor
}

fn body(nodes: Vec<NodeProto>, inputs: &[&str], outputs: &[&str]) -> AttributeProto {
    let values = |names: &[&str]| names.iter().map(|name| value(name, &[])).collect();
    let graph = GraphProto { node: nodes, input: values(inputs), output: values(outputs), ..Default::default() };
    AttributeProto { name: Some("body".into()), g: Some(graph), ..Default::default() }
}

/// A loop over `h`, which starts as `x`; and constants `steps`, `yes` and `w`.
fn looped(inputs: &[&str], nodes: Vec<NodeProto>, outputs: &[&str], steps: i64) -> Result<Network, ModelError> {
    let attribute = body(nodes, &["i", "c", "h"], outputs);
    let names: &[&str] = if outputs.len() == 3 { &["last", "y"] } else { &["y"] };
    let nodes = vec![node("Loop", inputs, names, &[attribute])];
    let constants =
        vec![integer("steps", 7, steps), integer("yes", 9, 1), integer("two", 7, 2), tensor("w", &[1], vec![2.0])];
    read(&model(&[1, 2], nodes, constants))
}

fn doubled() -> Vec<NodeProto> {
    vec![node("Mul", &["h", "w"], &["h2"], &[]), node("Identity", &["c"], &["c2"], &[])]
}

fn output(network: &Network) -> Vec<f64> {
    last(network, &FloatMatrix::new(1, 2, vec![1.0, -1.5]), 1).data
}

#[test]
fn loops_end_after_their_steps_or_by_their_condition() {
    let network = looped(&["steps", "yes", "x"], doubled(), &["c2", "h2"], 3).unwrap();
    assert_eq!(output(&network), [8.0, -12.0]);
    // Without a number of steps, the condition ends it: i < 2 holds for 0 and 1.
    let mut until = doubled();
    until[1] = node("Less", &["i", "two"], &["c2"], &[]);
    let network = looped(&["", "yes", "x"], until, &["c2", "h2"], 0).unwrap();
    assert_eq!(output(&network), [8.0, -12.0]);
    let network = looped(&["steps", "", "x"], doubled(), &["c2", "h2", "h2"], 2).unwrap();
    assert_eq!(output(&network), [2.0, -3.0, 4.0, -6.0]);
}

#[test]
fn loops_that_a_file_does_not_bound_are_refused() {
    let message = |result: Result<Network, ModelError>| result.unwrap_err().to_string();
    for steps in [1 << 17, i64::MAX] {
        let error = message(looped(&["steps", "yes", "x"], doubled(), &["c2", "h2"], steps));
        assert!(error.contains("over 65536"), "{error}");
    }
    assert!(message(looped(&["", "", "x"], doubled(), &["c2", "h2"], 0)).contains("over 65536"));
    let depends = message(looped(&["x", "yes", "x"], doubled(), &["c2", "h2"], 1));
    assert!(depends.contains("number of steps must be constant"), "{depends}");
    let mut condition = doubled();
    condition[1] = node("Relu", &["h"], &["c2"], &[]);
    let depends = message(looped(&["steps", "yes", "x"], condition, &["c2", "h2"], 1));
    assert!(depends.contains("number of steps must be constant"), "{depends}");
    for (nodes, outputs) in [(doubled(), &["c2"][..]), (vec![node("Mul", &["h", "w"], &["x"], &[])], &["c", "x"])] {
        let result = looped(&["steps", "yes", "x"], nodes, outputs, 1);
        assert!(matches!(result, Err(ModelError::Malformed { .. })), "{result:?}");
    }
}

#[test]
fn scans_run_backwards_and_stack_along_any_axis() {
    let run = |attributes: &[AttributeProto]| {
        let nodes = vec![node("Add", &["h", "t"], &["sum"], &[]), node("Identity", &["sum"], &["out"], &[])];
        let mut all = vec![body(nodes, &["h", "t"], &["sum", "out"]), int("num_scan_inputs", 1)];
        all.extend_from_slice(attributes);
        let start = node("ReduceMean", &["x"], &["m"], &[ints("axes", &[1]), int("keepdims", 0)]);
        let scan = node("Scan", &["m", "x"], &["last", "all"], &all);
        let flat = node("Reshape", &["all", "shape"], &["y"], &[]);
        let shape = TensorProto { dims: vec![2], int64_data: vec![1, -1], ..integer("shape", 7, 0) };
        read(&model(&[1, 3, 2], vec![start, scan, flat], vec![shape]))
            .map(|network| last(&network, &FloatMatrix::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 3).data)
    };
    // Sums from the mean, (3, 4), on.
    let forward = run(&[ints("scan_input_axes", &[1])]).unwrap();
    assert_eq!(forward, [4.0, 6.0, 7.0, 10.0, 12.0, 16.0]);
    let backward = run(&[ints("scan_input_axes", &[1]), ints("scan_input_directions", &[1])]).unwrap();
    assert_eq!(backward, [8.0, 10.0, 11.0, 14.0, 12.0, 16.0]);
    let turned = run(&[ints("scan_input_axes", &[1]), ints("scan_output_directions", &[1])]).unwrap();
    assert_eq!(turned, [12.0, 16.0, 7.0, 10.0, 4.0, 6.0]);
    // Channels first, then steps.
    let columns = run(&[ints("scan_input_axes", &[1]), ints("scan_output_axes", &[2])]).unwrap();
    assert_eq!(columns, [4.0, 7.0, 12.0, 6.0, 10.0, 16.0]);
    assert!(run(&[ints("scan_input_axes", &[7])]).is_err());
}

#[test]
fn products_that_are_no_matrix_products_are_refused_with_the_forms() {
    let equation = |text: &str, inputs: &[&str]| {
        let attribute = AttributeProto { name: Some("equation".into()), s: Some(text.into()), ..Default::default() };
        let constants = vec![tensor("w", &[2, 2], vec![1.0, 2.0, 3.0, 4.0]), tensor("v", &[2], vec![5.0, 6.0])];
        read(&model(&[1, 2], vec![node("Einsum", inputs, &["y"], &[attribute])], constants))
    };
    let run = |text: &str, inputs: &[&str]| output(&equation(text, inputs).unwrap());
    assert_eq!(run("bi,io->bo", &["x", "w"]), [1.0 - 4.5, 2.0 - 6.0]);
    assert_eq!(run("oi,bi->bo", &["w", "x"]), [1.0 - 3.0, 3.0 - 6.0]);
    assert_eq!(run("bi,i->b", &["x", "v"]), [5.0 - 9.0]);
    assert_eq!(run("bi,i->bi", &["x", "v"]), [5.0, -9.0]);
    assert_eq!(run("bi,io->bio", &["x", "w"]), [1.0, 2.0, -4.5, -6.0]);
    assert_eq!(run("bi,o->bio", &["x", "v"]), [5.0, 6.0, -7.5, -9.0]);
    for text in ["bi->b", "bi,ii->bi", "...i,io->...o", "bi,io", "bi,jo->bo", "bi,io->bz", "bi,io->boo", "bi,bi->b"] {
        let inputs: &[&str] = match text {
            "bi->b" => &["x"],
            "bi,bi->b" => &["x", "x"],
            _ => &["x", "w"],
        };
        let error = equation(text, inputs).unwrap_err().to_string();
        assert!(error.contains("bhqd,bhkd->bhqk"), "{text}: {error}");
    }
    assert!(equation("bi,io->bo", &["x"]).is_err() && equation("bi,ijo->bo", &["x", "w"]).is_err());
}
