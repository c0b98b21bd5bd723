//! Why a proof was refused.

use std::fmt;

use thiserror::Error;

use super::transcript::Label;

/// A check of the verifier, named by what it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The fractional sum of all lookups is zero: some looked-up value is in no table.
    RootNumerator,
    /// The common denominator of the lookups has the inverse that was sent.
    RootDenominator,
    /// A layer of the fraction tree agrees with the layer above it.
    FractionLayer {
        /// Number of variables of the layer.
        num_vars: usize,
    },
    /// The numerators of the leaves are the claimed multiplicities.
    LeafNumerators,
    /// The denominators of the leaves are the claimed columns.
    LeafDenominators,
    /// The relations of one wave agree with the values claimed for their operands.
    Wave {
        /// Position of the wave.
        wave: usize,
    },
    /// The weighted claims on committed tensors agree with the values claimed at their points.
    WeightedClaims,
    /// The folded rows of all openings agree with the values claimed at one column point.
    Columns,
    /// The inner-product argument that opens the folded row.
    InnerProduct,
    /// A public output of the program has the value that the statement declares.
    PublicOutput,
    /// A sum-check that stands alone.
    Sumcheck,
    /// A check of an embedding protocol, by name.
    Other(&'static str),
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::RootNumerator => write!(f, "lookup: root numerator is zero"),
            Check::RootDenominator => write!(f, "lookup: root denominator has an inverse"),
            Check::FractionLayer { num_vars } => write!(f, "lookup: fraction layer of {num_vars} variables"),
            Check::LeafNumerators => write!(f, "lookup: numerators of the leaves"),
            Check::LeafDenominators => write!(f, "lookup: denominators of the leaves"),
            Check::Wave { wave } => write!(f, "wave {wave}: final values"),
            Check::WeightedClaims => write!(f, "weighted claims: final values"),
            Check::Columns => write!(f, "opening: column sum-check"),
            Check::InnerProduct => write!(f, "opening: inner-product argument"),
            Check::PublicOutput => write!(f, "statement: public output"),
            Check::Sumcheck => write!(f, "sum-check: final value"),
            Check::Other(name) => f.write_str(name),
        }
    }
}

/// Why a proof is invalid. Nothing else can make the verifier refuse one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// An equation does not hold.
    #[error("the proof is invalid: {0} does not hold")]
    Check(Check),
    /// The proof ends before the message that is due.
    #[error("the proof is too short: it ends inside `{0}`")]
    Truncated(Label),
    /// Bytes follow the last message.
    #[error("the proof is too long: {0} bytes follow its last message")]
    TrailingBytes(usize),
    /// A scalar or group element is not in its only accepted encoding.
    #[error("the proof has a non-canonical encoding in `{0}`")]
    NotCanonical(Label),
    /// The verifier's own input does not fit the program.
    #[error("the statement does not fit the program: {0}")]
    Statement(String),
}
