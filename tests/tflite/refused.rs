//! What cannot be read says why: files that are right but for one number.

use super::*;

/// A file, and where its numbers stand.
struct Edited(Vec<u8>);

impl Edited {
    fn number(&self, at: usize) -> usize {
        u32::from_le_bytes(*self.0[at..].first_chunk().unwrap()) as usize
    }

    fn follow(&self, at: usize) -> usize {
        at + self.number(at)
    }

    /// Where a field of a table stands.
    fn field(&self, table: usize, field: usize) -> usize {
        let vtable = table - self.number(table);
        let entry = vtable + 4 + 2 * field;
        let offset = u16::from_le_bytes(*self.0[entry..].first_chunk().unwrap());
        assert!(offset != 0, "field {field} has its default");
        table + usize::from(offset)
    }

    /// A table of a list that is a field.
    fn item(&self, table: usize, field: usize, index: usize) -> usize {
        self.follow(self.follow(self.field(table, field)) + 4 + 4 * index)
    }

    fn root(&self) -> usize {
        self.follow(0)
    }

    fn graph(&self) -> usize {
        self.item(self.root(), 2, 0)
    }

    fn operator(&self, index: usize) -> usize {
        self.item(self.graph(), 3, index)
    }

    /// The code of an operator.
    fn code(&self, operator: usize) -> usize {
        self.item(self.root(), 1, self.number(self.field(self.operator(operator), 0)))
    }

    /// A field of an operator's settings.
    fn setting(&self, operator: usize, field: usize) -> usize {
        self.field(self.follow(self.field(self.operator(operator), 4)), field)
    }

    /// An input (1) or output (2) of an operator.
    fn tensor(&self, operator: usize, list: usize, index: usize) -> usize {
        let list = self.follow(self.field(self.operator(operator), list));
        self.item(self.graph(), 0, self.number(list + 4 + 4 * index))
    }

    /// Where the elements of a list begin that is a field.
    fn elements(&self, table: usize, field: usize) -> usize {
        self.follow(self.field(table, field)) + 4
    }

    fn quantization(&self, tensor: usize) -> usize {
        self.follow(self.field(tensor, 4))
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// A file of images with five tensors of weights, all of one buffer of 2 MiB.
pub(super) fn aliased() -> Vec<u8> {
    let mut file = Edited(file("image_int8"));
    file.0.resize(file.0.len().next_multiple_of(4), 0);
    let list = file.0.len();
    file.0.extend((2u32 << 20).to_le_bytes());
    file.0.resize(file.0.len() + (2 << 20), 1);
    for operator in [1, 2, 3, 4, 9] {
        let buffer = file.number(file.field(file.tensor(operator, 1, 1), 2));
        let at = file.field(file.item(file.root(), 4, buffer), 0);
        file.set(at, &((list - at) as u32).to_le_bytes());
    }
    file.0
}

/// The message about a file that is changed.
fn refused(what: &str, change: impl Fn(&mut Edited)) -> String {
    let mut file = Edited(file("image_int8"));
    change(&mut file);
    read(&file.0).expect_err(what).to_string()
}

fn assert_refused(what: &str, change: impl Fn(&mut Edited), says: &[&str]) {
    let message = refused(what, change);
    for part in says {
        assert!(message.contains(part), "{what}: {message}");
    }
}

const SOFTMAX: usize = 10;

#[test]
fn operators_are_named_with_their_numbers() {
    for (number, name) in [(16, "LSTM"), (40, "MEAN"), (150, "GELU"), (99_999, "unknown"), (32, "CUSTOM")] {
        let change = |file: &mut Edited| {
            let code = file.code(SOFTMAX);
            let (old, new) = (file.field(code, 0), file.field(code, 3));
            file.set(old, &[number.min(127) as u8]);
            file.set(new, &i32::to_le_bytes(number));
        };
        let named = format!("operator 10 of the TFLite graph: {name}");
        assert_refused(name, change, &[&named, &format!("(number {number})"), "supported are ADD, AVERAGE_POOL_2D"]);
    }
}

#[test]
fn settings_are_named() {
    let set = |operator: usize, field: usize, bytes: &'static [u8]| {
        move |file: &mut Edited| {
            let at = file.setting(operator, field);
            file.set(at, bytes);
        }
    };
    assert_refused("tanh", set(1, 3, &[4]), &["CONV_2D #1", "fused_activation_function = 4", "RELU6 (3)"]);
    assert_refused("padding", set(1, 0, &[7]), &["CONV_2D #1", "padding = 7", "SAME (0)"]);
    assert_refused("stride", set(2, 2, &[0; 4]), &["DEPTHWISE_CONV_2D #2", "stride"]);
    assert_refused("huge stride", set(2, 2, &[255, 255, 255, 127]), &["DEPTHWISE_CONV_2D #2", "stride"]);
    assert_refused("beta", set(SOFTMAX, 0, &[0, 0, 0, 63]), &["SOFTMAX #10", "beta = 0.5"]);
    assert_refused("window", set(6, 4, &[0; 4]), &["MAX_POOL_2D #6", "window of 0"]);
    let padded = |file: &mut Edited| {
        for (field, value) in [(0, 0), (1, 1), (2, 1)] {
            let at = file.setting(7, field);
            file.set(at, &[value]);
        }
    };
    assert_refused("padded mean", padded, &["AVERAGE_POOL_2D #7", "padding = SAME", "VALID"]);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let on = |operator: usize, list: usize, index: usize, field: usize, bytes: &'static [u8]| {
        move |file: &mut Edited| {
            let at = file.field(file.tensor(operator, list, index), field);
            file.set(at, bytes);
        }
    };
    assert_refused("16 bits", on(1, 2, 0, 1, &[7]), &["CONV_2D #1", "int16", "int8, uint8 and float32"]);
    assert_refused("integer weights", on(1, 1, 1, 1, &[2]), &["int32 among numbers"]);
    assert_refused("no such buffer", on(1, 1, 1, 2, &[200]), &["has no buffer"]);
    let extents = |file: &mut Edited| {
        let at = file.elements(file.tensor(1, 2, 0), 0);
        file.set(at + 4, &[8]);
    };
    assert_refused("extents", extents, &["CONV_2D #1", "[1, 9, 9, 8]", "[1, 8, 9, 8]"]);
    let zero = |file: &mut Edited| {
        let at = file.elements(file.quantization(file.tensor(6, 2, 0)), 3);
        file.set(at, &7i64.to_le_bytes());
    };
    assert_refused("a maximum of other integers", zero, &["MAX_POOL_2D #6", "another type, scale or zero point"]);
    let beyond = |file: &mut Edited| {
        let at = file.elements(file.quantization(file.tensor(1, 2, 0)), 3);
        file.set(at, &128i64.to_le_bytes());
    };
    assert_refused("a zero point beyond its type", beyond, &["zero points that do not fit"]);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let change = |file: &mut Edited| {
            let at = file.elements(file.quantization(file.tensor(1, 2, 0)), 2);
            file.set(at, &scale.to_le_bytes());
        };
        refused("a scale that is none", change);
    }
    // Integers as weights of floats: their kernels choose scales by the recording.
    let dynamic = |file: &mut Edited| {
        for (operator, list) in [(0, 1), (0, 2)] {
            let at = file.field(file.tensor(operator, list, 0), 1);
            file.set(at, &[0]);
        }
    };
    assert_refused("dynamic ranges", dynamic, &["CONV_2D #1", "int8 on float32", "representative dataset"]);
    let computed = |file: &mut Edited| {
        let list = file.follow(file.field(file.operator(8), 1));
        let output = file.follow(file.field(file.operator(7), 2));
        let tensor = file.number(output + 4) as u32;
        file.set(list + 8, &tensor.to_le_bytes());
    };
    assert_refused("a shape that is computed", computed, &["RESHAPE #8", "fixed input shape"]);
    let old = |file: &mut Edited| {
        let at = file.field(file.root(), 0);
        file.set(at, &[2]);
    };
    assert_refused("an old file", old, &["schema version 2"]);
}
