//! The operators that can be imported: name, what is accepted, and the function that does it. There is no other list.

use super::import::Importer;
use super::node::NodeView;
use super::value::Value;
use crate::error::ModelError;

type Import = for<'a> fn(&mut Importer<'a>, &NodeView<'a>) -> Result<Vec<Value>, ModelError>;

/// An operator.
pub(super) struct Operator {
    pub(super) name: &'static str,
    /// What is accepted, beside constants, which are always evaluated.
    pub(super) accepted: &'static str,
    pub(super) import: Import,
}

/// An entry whose function gives one value.
macro_rules! one {
    ($name:literal, $method:ident, $accepted:expr) => {
        Operator { name: $name, accepted: $accepted, import: |importer, node| Ok(vec![importer.$method(node)?]) }
    };
}

/// An entry whose function gives all values.
macro_rules! many {
    ($name:literal, $method:ident, $accepted:expr) => {
        Operator { name: $name, accepted: $accepted, import: |importer, node| importer.$method(node) }
    };
}

/// An entry for what is only evaluated.
macro_rules! constant {
    ($name:literal) => {
        Operator {
            name: $name,
            accepted: "of constants and of extents",
            import: |_, node| Err(node.unsupported(CONSTANT)),
        }
    };
}

const CONSTANT: &str = "it can be evaluated on constants only; this input depends on the recording";
const FUNCTION: &str = "anything, by a table over the calibrated range";
const TWO: &str =
    "of two values of equal extents, or of extent 1 where they differ (but for an image's time), or of a constant";

/// All of them, in alphabetical order.
pub(super) static OPERATORS: &[Operator] = &[
    one!(
        "Abs",
        function,
        "anything, by a table over the calibrated range; before a constant is added and Log, exactly"
    ),
    one!("Add", add, TWO),
    constant!("And"),
    one!("ArgMax", arg_max, "over channels, at the end of the network, which then gives the values themselves"),
    one!("Atan", function, FUNCTION),
    one!(
        "AveragePool",
        average_pool,
        "1-D and 2-D; padding counts as zeros (count_include_pad=1); ceil_mode=1 of runs of rows whose means are repeated and cut to as many rows"
    ),
    one!("BatchNormalization", batch_normalization, "inference only; becomes a factor and a summand per channel"),
    one!("Cast", cast, "between floats; of an extent"),
    one!("CastLike", cast, "between floats; of an extent"),
    one!("Ceil", function, FUNCTION),
    one!("Celu", function, FUNCTION),
    one!("Clip", clip, "between constants: a variance before Sqrt, a norm, from 0 a Relu, else a table"),
    one!(
        "Concat",
        concat,
        "along channels, along time where all lengths are known, of mean and deviation (statistics pooling)"
    ),
    one!("Constant", constant, "any type of floats, integers or booleans"),
    constant!("ConstantOfShape"),
    one!("Conv", conv, "1-D and 2-D, any groups, strides, dilations, pads and auto_pad; constant weights"),
    one!(
        "ConvInteger",
        conv_integer,
        "as Conv, of the integers of a QuantizeLinear; constant weights, a Cast to float after it"
    ),
    one!("ConvTranspose", conv_transpose, "1-D, any groups, strides, pads and output_padding; constant weights"),
    one!("Cos", function, FUNCTION),
    one!("DFT", dft, "of real values over channels, […, points, 1]"),
    one!(
        "DequantizeLinear",
        dequantize_linear,
        "of the integers of a QuantizeLinear or a QLinear operator, one scale; of constants also one by channel"
    ),
    one!("Div", div, "by a constant, by the value's own norm or deviation, or of two values"),
    many!("Dropout", identity, "anything; inference only"),
    one!(
        "Einsum",
        einsum,
        "a transposition; a value and a constant, that sums over letters of both; two values as in attention, or a softmax over time and rows"
    ),
    one!("Elu", function, FUNCTION),
    constant!("Equal"),
    one!("Erf", function, FUNCTION),
    one!("Exp", function, FUNCTION),
    one!("Expand", expand, "of axes of extent 1, before what combines two values"),
    one!("Flatten", flatten, "anything; axes are tracked, no values move"),
    one!("Floor", function, FUNCTION),
    many!(
        "GRU",
        gru,
        "forward, reverse, bidirectional; default activations, constant initial state, or one carried over chunks"
    ),
    one!(
        "Gather",
        gather,
        "constant indices of channels; the first or the last time step, any of a known length; a row of a constant for every step"
    ),
    one!("Gelu", function, FUNCTION),
    one!("Gemm", gemm, "a value times constant weights"),
    one!("GlobalAveragePool", global_average_pool, "over time, or of an image"),
    one!("GlobalMaxPool", global_max_pool, "over time, or of an image of known extents"),
    one!("Greater", compared, "a value with one constant number, by a table; of constants and of extents"),
    one!("GreaterOrEqual", compared, "a value with one constant number, by a table; of constants and of extents"),
    one!("GroupNormalization", group_normalization, "over time and the channels of every group"),
    one!("HardSigmoid", function, FUNCTION),
    one!("HardSwish", function, FUNCTION),
    many!("Identity", identity, "anything"),
    many!("If", branch, "a constant condition: the branch it chooses"),
    one!(
        "InstanceNormalization",
        instance_normalization,
        "over time, of samples or of channels, which a Reshape may have grouped"
    ),
    many!(
        "LSTM",
        lstm,
        "forward, reverse, bidirectional; default activations, no peepholes, constant initial states, or such carried over chunks"
    ),
    many!("LayerNormalization", layer_normalization, "over all channels"),
    one!("LeakyRelu", function, FUNCTION),
    one!("Less", compared, "a value with one constant number, by a table; of constants and of extents"),
    one!("LessOrEqual", compared, "a value with one constant number, by a table; of constants and of extents"),
    one!("Log", function, "of a magnitude plus a constant exactly, else by a table over the calibrated range"),
    one!("LogSoftmax", softmax, "over channels"),
    many!("Loop", unrolled_loop, "a constant number of steps, which are unrolled; what every step gives is stacked"),
    one!("LpNormalization", lp_normalization, "p = 2, over channels"),
    one!(
        "MatMul",
        matmul,
        "a value times a constant matrix, or one a batch; queries times keys (all, or up to the query), their softmax times values; a softmax over time times the rows"
    ),
    one!(
        "MatMulInteger",
        matmul_integer,
        "the integers of a QuantizeLinear times a constant matrix; a Cast to float after it"
    ),
    one!("Max", clip, "of a value and a constant number, or of two values"),
    one!("MaxPool", max_pool, "1-D and 2-D, dilation 1, floor mode"),
    constant!("MelWeightMatrix"),
    one!("Min", clip, "of a value and a constant number, or of two values"),
    one!("Mish", function, FUNCTION),
    constant!("Mod"),
    one!("Mul", mul, TWO),
    one!("Neg", negated, "anything"),
    one!("Not", not, "of a comparison; of constants and of extents"),
    constant!("Or"),
    one!("PRelu", prelu, "with slopes that are constant along time"),
    one!("Pad", pad, "zeros before Conv; along time zeros, reflection or the edge"),
    one!("Pow", pow, "one constant exponent"),
    one!("QLinearConv", qlinear_conv, "as Conv, of 8 bits, with the model's scales and zero points; constant weights"),
    one!("QLinearMatMul", qlinear_matmul, "as MatMul with a constant matrix, with the model's scales and zero points"),
    one!(
        "QuantizeLinear",
        quantize_linear,
        "to 8 or 16 bits, one constant scale and zero point: proved with just these; of constants also one by channel"
    ),
    many!("RNN", rnn, "forward, reverse, bidirectional; tanh, constant initial state, or one carried over chunks"),
    constant!("Range"),
    one!("Reciprocal", reciprocal, "of a deviation, or anything by a table over the calibrated range"),
    one!("ReduceL2", reduce_l2, "over channels, before Div"),
    one!("ReduceMax", reduce_max, "over time"),
    one!("ReduceMean", reduce_mean, "over time, height or width of an image, or channels"),
    one!("ReduceMin", reduce_min, "over time"),
    constant!("ReduceProd"),
    one!("ReduceSum", reduce_sum, "over known extents; over time of a value that a Softmax weights; of squares"),
    one!("ReduceSumSquare", reduce_sum_square, "over channels or over known extents"),
    one!("Relu", function, "anything"),
    one!("Reshape", reshape, "anything whose extents divide one another; axes are tracked, no values move"),
    one!("STFT", stft, "of samples, with a constant window; its energies are exact on their way to a Log"),
    many!("Scan", unrolled_scan, "over a known length, which is unrolled; what every step gives is stacked"),
    one!("Selu", function, FUNCTION),
    one!("Shape", shape_of, "anything; extents that depend on the recording are followed"),
    one!("Sigmoid", function, "anything"),
    one!("Sign", function, FUNCTION),
    one!("Sin", function, FUNCTION),
    one!("Size", shape_of, "anything of known extents"),
    one!(
        "Slice",
        slice,
        "of channels; of time, a part without some first and last steps, or all in reverse; of a constant, as many steps as a recording has"
    ),
    one!("Softmax", softmax, "over channels, over keys, or over time as weights of what is summed over time"),
    one!("Softplus", function, FUNCTION),
    one!("Softsign", function, FUNCTION),
    many!("Split", split_columns, "along channels, or along time of a known length"),
    one!("Sqrt", sqrt, "of a variance in statistics pooling or normalisation, or anything by a table"),
    one!("Squeeze", squeeze, "of axes known to be 1"),
    one!("Sub", sub, "E[x²] − E[x]² and the mean in statistics, or as Add"),
    one!("Sum", add, "of two values, as Add"),
    one!("Swish", function, FUNCTION),
    one!("Tanh", function, "anything"),
    one!("ThresholdedRelu", function, FUNCTION),
    one!("Tile", expand, "of axes of extent 1, before what combines two values"),
    many!("TopK", top_k, "as ArgMax, of the indices of one value"),
    one!("Transpose", transpose, "anything; axes are tracked, no values move"),
    constant!("Trilu"),
    one!("Unsqueeze", unsqueeze, "anything; axes are tracked, no values move"),
    one!("Where", choose, "of values and constants, with a constant condition or a comparison; a mask of scores"),
];

/// Operators that cannot be proved, and what to do instead.
const REFUSED: &[(&str, &str)] = &[(
    "DynamicQuantizeLinear",
    "its scale depends on the recording; quantize statically, with calibrated scales (QuantizeLinear), or import the float model",
)];

/// The operator of this name.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

/// What to do about an operator that is not known: the one whose name is closest, if one is close.
pub(super) fn nearest(name: &str) -> String {
    if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return (*instead).to_owned();
    }
    if name.starts_with("Random") {
        return "what is drawn anew for every recording cannot be proved; export the model without its noise".into();
    }
    let wanted = name.to_lowercase();
    let close = |operator: &&Operator| {
        let known = operator.name.to_lowercase();
        // A longer or shorter form of the same name is as close as one letter.
        if known.starts_with(&wanted) || wanted.starts_with(&known) { 1 } else { distance(&known, &wanted) }
    };
    let nearest = OPERATORS.iter().min_by_key(close);
    let list = "`voxcheck model ops` lists what can be imported";
    match nearest.filter(|operator| close(operator) <= name.len() / 2) {
        Some(operator) => {
            format!("the nearest that can be imported is {}: {}; {list}", operator.name, operator.accepted)
        }
        None => format!("{list}; change the model or remove the node"),
    }
}

/// Number of letters to insert, leave out or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

impl<'a> Importer<'a> {
    /// The value itself; a mask, if it is asked for, has no value.
    fn identity(&mut self, node: &NodeView<'a>) -> Result<Vec<Value>, ModelError> {
        if node.operator() == "Identity" {
            node.only(&[])?;
            node.at_most_inputs(1)?;
        } else {
            node.only(&["ratio", "seed"])?;
            node.at_most_inputs(3)?;
        }
        let value = self.value(node, node.required_input(0)?)?;
        Ok(vec![value, Value::Unavailable("the mask of a dropout is not computed")])
    }

    /// Floats stay as they are; an extent that is not known can become a float.
    fn cast(&mut self, node: &NodeView<'a>) -> Result<Value, ModelError> {
        let value = self.value(node, node.required_input(0)?)?;
        if let Value::Largest(_) = value {
            return Ok(value);
        }
        if let Value::Constant(tensor) = &value {
            return match tensor.ints() {
                Some(&[extent]) => Ok(Value::Count(super::shape::atom_of(extent).unwrap_or(u32::MAX), 0.0)),
                _ => Err(node.unsupported(CONSTANT)),
            };
        }
        let float = match node.operator().as_str() {
            "CastLike" => true,
            _ => i32::try_from(node.int("to", 0)?).ok().and_then(super::tensor::is_integer) == Some(false),
        };
        if let (true, Some(name)) = (float, node.input(0).filter(|name| self.encodings.contains_key(name))) {
            return self.integers(node, name).map(Value::Data);
        }
        if float { Ok(value) } else { Err(node.refuse("to", node.int("to", 0)?, "values can be cast to floats only")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_sorted() {
        assert!(OPERATORS.is_sorted_by_key(|operator| operator.name));
    }

    #[test]
    fn unknown_operators_name_the_nearest() {
        assert!(nearest("Softmax2").contains("Softmax:"));
        assert!(nearest("LayerNorm").contains("LayerNormalization"));
        assert!(!nearest("NonMaxSuppression").contains("nearest"));
        assert!(nearest("RandomNormalLike").contains("without its noise"));
    }
}
