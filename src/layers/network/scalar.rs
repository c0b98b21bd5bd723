//! Functions of one value, as a table can hold them: operators of ONNX and what is composed of them.
//!
//! [`KNOWN`] is the only list of them. Its values serve the float reference and, rounded, the tables that are looked
//! up, so the two cannot disagree about what a function is.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// A function with parameters, by the name of its ONNX operator.
#[derive(Debug)]
pub struct Known {
    /// The operator.
    pub operator: &'static str,
    /// Names of the parameters (attributes of the operator) and what they are unless given.
    pub parameters: &'static [(&'static str, f64)],
    /// The value for an argument and parameters; not finite where the function is not defined.
    pub value: fn(f64, &[f64]) -> f64,
    /// What it is, for people.
    pub formula: &'static str,
}

macro_rules! known {
    ($operator:literal, [$($name:literal = $default:expr),*], $formula:literal, $value:expr) => {
        Known { operator: $operator, parameters: &[$(($name, $default)),*], value: $value, formula: $formula }
    };
}

/// The functions, in alphabetical order.
pub static KNOWN: &[Known] = &[
    known!("Abs", [], "|x|", |x, _| x.abs()),
    known!("Atan", [], "atan x", |x, _| x.atan()),
    known!("Ceil", [], "the integer at or above x", |x, _| x.ceil()),
    known!("Celu", ["alpha" = 1.0], "max(x, 0) + min(alpha·(exp(x/alpha) − 1), 0)", |x, p| {
        x.max(0.0) + (p[0] * ((x / p[0]).exp() - 1.0)).min(0.0)
    }),
    known!("Clip", ["min" = f64::MIN, "max" = f64::MAX], "min(max(x, min), max)", |x, p| x.max(p[0]).min(p[1])),
    known!("Cos", [], "cos x", |x, _| x.cos()),
    known!("Elu", ["alpha" = 1.0], "x, below zero alpha·(exp(x) − 1)", |x, p| elu(x, p[0])),
    known!("Erf", [], "the error function", |x, _| erf(x)),
    known!("Exp", [], "exp x", |x, _| x.exp()),
    known!("Floor", [], "the integer at or below x", |x, _| x.floor()),
    known!("Gelu", ["approximate" = 0.0], "x·Φ(x), or its approximation by tanh", |x, p| {
        if p[0] == 0.0 { x / 2.0 * (1.0 + erf(x * FRAC_1_SQRT_2)) } else { crate::layers::gelu::gelu_tanh(x) }
    }),
    known!("Greater", ["threshold" = 0.0], "1 above the threshold, else 0", |x, p| f64::from(u8::from(x > p[0]))),
    known!("GreaterOrEqual", ["threshold" = 0.0], "1 from the threshold on, else 0", |x, p| {
        f64::from(u8::from(x >= p[0]))
    }),
    known!("HardSigmoid", ["alpha" = 0.2, "beta" = 0.5], "alpha·x + beta within 0 and 1", |x, p| {
        (p[0] * x + p[1]).clamp(0.0, 1.0)
    }),
    known!("HardSwish", [], "x·(x/6 + 1/2 within 0 and 1)", |x, _| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    known!("LeakyRelu", ["alpha" = 0.01], "x, below zero alpha·x", |x, p| if x < 0.0 { p[0] * x } else { x }),
    known!("Log", [], "ln x", |x, _| x.ln()),
    known!("Mish", [], "x·tanh(ln(1 + exp x))", |x, _| x * softplus(x).tanh()),
    known!("Neg", [], "−x", |x, _| -x),
    known!("Pow", ["exponent" = 1.0], "x to a constant power", |x, p| {
        // Whole powers of negative numbers are defined, others are not.
        if p[0] == p[0].trunc() && p[0].abs() <= 64.0 { x.powi(p[0] as i32) } else { x.powf(p[0]) }
    }),
    known!("Reciprocal", [], "1/x", |x, _| x.recip()),
    known!("Relu", [], "max(x, 0)", |x, _| x.max(0.0)),
    known!("Selu", ["alpha" = 1.673_263_2, "gamma" = 1.050_701], "gamma·Elu(x)", |x, p| p[1] * elu(x, p[0])),
    known!("Sigmoid", [], "1/(1 + exp(−x))", |x, _| 1.0 / (1.0 + (-x).exp())),
    known!("Sign", [], "−1, 0 or 1", |x, _| if x == 0.0 { 0.0 } else { x.signum() }),
    known!("Sin", [], "sin x", |x, _| x.sin()),
    known!("Softplus", [], "ln(1 + exp x)", |x, _| softplus(x)),
    known!("Softsign", [], "x/(1 + |x|)", |x, _| x / (1.0 + x.abs())),
    known!("Sqrt", [], "√x", |x, _| x.sqrt()),
    known!("Swish", ["alpha" = 1.0], "x/(1 + exp(−alpha·x))", |x, p| x / (1.0 + (-p[0] * x).exp())),
    known!("Tanh", [], "tanh x", |x, _| x.tanh()),
    known!("ThresholdedRelu", ["alpha" = 1.0], "x above alpha, else 0", |x, p| if x > p[0] { x } else { 0.0 }),
];

fn elu(x: f64, alpha: f64) -> f64 {
    if x < 0.0 { alpha * x.exp_m1() } else { x }
}

fn softplus(x: f64) -> f64 {
    if x > 30.0 { x } else { x.exp().ln_1p() }
}

/// `2/√π·∫₀ˣ exp(−t²)`, by the series `2/√π·exp(−x²)·Σ 2ⁿ·x^(2n+1)/(2n+1)!!`, whose terms all have one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-18 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    // The exponential is rounded, by more than what is left to 1 where the argument is large.
    (FRAC_2_SQRT_PI * (-x * x).exp() * sum).clamp(-1.0, 1.0)
}

/// A function of one value `x`.
#[derive(Clone, Debug)]
pub enum Scalar {
    /// x.
    Input,
    /// A function of the list, with its parameters.
    Apply(&'static Known, Vec<f64>, Box<Scalar>),
    /// factor·f + summand.
    Line(f64, f64, Box<Scalar>),
    /// The sum of two.
    Sum(Box<Scalar>, Box<Scalar>),
    /// The product of two.
    Product(Box<Scalar>, Box<Scalar>),
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Input, Self::Input) => true,
            (Self::Apply(f, p, x), Self::Apply(g, q, y)) => f.operator == g.operator && p == q && x == y,
            (Self::Line(a, b, x), Self::Line(c, d, y)) => (a, b, x) == (c, d, y),
            (Self::Sum(a, b), Self::Sum(c, d)) | (Self::Product(a, b), Self::Product(c, d)) => (a, b) == (c, d),
            _ => false,
        }
    }
}

impl Scalar {
    /// A function of the list of x, with its usual parameters where none are given.
    #[must_use]
    pub fn known(operator: &str, parameters: Option<Vec<f64>>) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.operator == operator)?;
        let usual = || known.parameters.iter().map(|&(_, value)| value).collect();
        let parameters = parameters.unwrap_or_else(usual);
        (parameters.len() == known.parameters.len()).then(|| Self::Apply(known, parameters, Box::new(Self::Input)))
    }

    /// The value at `x`; not finite where it is not defined.
    #[must_use]
    pub fn value(&self, x: f64) -> f64 {
        match self {
            Self::Input => x,
            Self::Apply(known, parameters, inner) => (known.value)(inner.value(x), parameters),
            Self::Line(factor, summand, inner) => factor * inner.value(x) + summand,
            Self::Sum(a, b) => a.value(x) + b.value(x),
            Self::Product(a, b) => a.value(x) * b.value(x),
        }
    }

    /// This function of `inner` instead of x.
    #[must_use]
    pub fn of(&self, inner: &Self) -> Self {
        let boxed = |f: &Self| Box::new(f.of(inner));
        match self {
            Self::Input => inner.clone(),
            Self::Apply(known, parameters, f) => Self::Apply(known, parameters.clone(), boxed(f)),
            Self::Line(factor, summand, f) => Self::Line(*factor, *summand, boxed(f)),
            Self::Sum(a, b) => Self::Sum(boxed(a), boxed(b)),
            Self::Product(a, b) => Self::Product(boxed(a), boxed(b)),
        }
    }

    /// Number of steps; no function is composed of more than [`Scalar::MAX_STEPS`].
    #[must_use]
    pub fn steps(&self) -> usize {
        match self {
            Self::Input => 0,
            Self::Apply(_, _, f) | Self::Line(_, _, f) => 1 + f.steps(),
            Self::Sum(a, b) | Self::Product(a, b) => 1 + a.steps() + b.steps(),
        }
    }

    /// |x| + summand.
    #[must_use]
    pub fn magnitude(summand: f64) -> Self {
        let magnitude = Self::known("Abs", None).unwrap_or(Self::Input);
        if summand == 0.0 { magnitude } else { Self::Line(1.0, summand, Box::new(magnitude)) }
    }

    /// Most steps of a composed function.
    pub const MAX_STEPS: usize = 48;

    /// Whether it is factor·x + summand.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        match self {
            Self::Input => true,
            Self::Apply(..) | Self::Product(..) => false,
            Self::Line(_, _, f) => f.is_linear(),
            Self::Sum(a, b) => a.is_linear() && b.is_linear(),
        }
    }

    /// A name for tables: equal for equal functions only.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Input => "x".into(),
            Self::Apply(known, parameters, f) => {
                let name = known.operator.to_lowercase();
                let parameters: String = parameters.iter().map(|p| format!(" {p}")).collect();
                format!("{name}{parameters}({})", f.name())
            }
            Self::Line(factor, summand, f) => format!("{factor}·{}+{summand}", f.name()),
            Self::Sum(a, b) => format!("({}+{})", a.name(), b.name()),
            Self::Product(a, b) => format!("({}·{})", a.name(), b.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use proptest::prelude::*;

    use super::*;

    fn at(operator: &str, x: f64) -> f64 {
        Scalar::known(operator, None).unwrap().value(x)
    }

    #[test]
    fn functions_are_sorted_and_have_their_values() {
        assert!(KNOWN.is_sorted_by_key(|known| known.operator));
        // Values of torch.nn.functional in double precision.
        let cases = [
            ("Erf", 0.5, 0.520_499_877_813_046_5),
            ("Erf", -2.5, -0.999_593_047_982_555),
            ("Gelu", 1.0, 0.841_344_746_068_542_9),
            ("Elu", -1.0, -0.632_120_558_828_557_7),
            ("Selu", -1.0, -1.111_330_737_812_562_8),
            ("Softplus", 1.0, 1.313_261_687_518_222_8),
            ("Mish", 1.0, 0.865_098_388_267_310_5),
            ("HardSwish", 1.0, 2.0 / 3.0),
            ("HardSigmoid", 1.0, 0.7),
            ("Swish", -2.0, -0.238_405_844_044_234_98),
            ("LeakyRelu", -3.0, -0.03),
            ("Celu", -1.0, -0.632_120_558_828_557_7),
            ("Softsign", -3.0, -0.75),
        ];
        for (operator, x, expected) in cases {
            assert!((at(operator, x) - expected).abs() < 1e-6, "{operator}({x}) = {}", at(operator, x));
        }
        assert_eq!((at("Clip", 7.0), at("Sign", -0.0), at("Erf", 40.0)), (7.0, 0.0, 1.0));
        assert!(at("Log", -1.0).is_nan() && at("Reciprocal", 0.0).is_infinite());
        assert!((softplus(1e4) - 1e4).abs() < 1e-9 && (softplus(0.0) - LN_2).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn compositions_are_functions_of_functions(x in -5.0f64..5.0, a in -3.0f64..3.0, b in -3.0f64..3.0) {
            let tanh = Scalar::known("Tanh", None).unwrap();
            let line = Scalar::Line(a, b, Box::new(Scalar::Input));
            let both = Scalar::Product(Box::new(tanh.of(&line)), Box::new(Scalar::Sum(Box::new(line.clone()), Box::new(Scalar::Input))));
            let expected = (a * x + b).tanh() * (a * x + b + x);
            prop_assert!((both.value(x) - expected).abs() < 1e-12);
            prop_assert!(!both.is_linear() && line.is_linear());
            prop_assert_eq!(both.steps(), 5);
        }

        #[test]
        fn erf_is_odd_and_bounded(x in -10.0f64..10.0) {
            prop_assert!((erf(x) + erf(-x)).abs() < 1e-15 && erf(x).abs() <= 1.0);
        }
    }
}
