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
    /// The masked messages are those under the commitments that were sent for them.
    MaskedMessages,
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
            Check::MaskedMessages => write!(f, "opening: masked messages"),
            Check::InnerProduct => write!(f, "opening: inner-product argument"),
            Check::PublicOutput => write!(f, "statement: public output"),
            Check::Sumcheck => write!(f, "sum-check: final value"),
            Check::Other(name) => f.write_str(name),
        }
    }
}

/// Why a statement cannot be the one that a proof is about.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatementError {
    /// The statement at hand is not the one in the proof.
    #[error("the proof is of another statement")]
    Other,
    /// The model is not the verifier's.
    #[error("the proof is about another model")]
    Model,
    /// The template was made with another model.
    #[error("the template was made with another model")]
    TemplateModel,
    /// The sample rate is not the model's.
    #[error("the recording has another sample rate than the model takes")]
    SampleRate,
    /// The threshold is no cosine in (0, 1].
    #[error("the threshold is not in (0, 1]")]
    Threshold,
    /// The context is too long.
    #[error("the context is longer than 256 bytes")]
    Context,
    /// The revealed score is no cosine.
    #[error("the revealed score is not a cosine")]
    Score,
    /// The template names no recordings where it has to, or more than it may.
    #[error("the template does not name between 1 and 16 recordings")]
    Recordings,
    /// There is a template where the model is about no voice, or none where it is about one; or a rejection, score or
    /// embedding without a template; or other values than the model makes.
    #[error(
        "the model is about a voice and the statement has no template, or the other way round, or it is about other values"
    )]
    Template,
    /// There are other readings than the model gives.
    #[error("the statement does not have one reading for each that the model gives")]
    Readings,
    /// A reading is of no class of the model.
    #[error("the statement has a reading of a class that the model does not have")]
    Class,
    /// A window that is read is not within the recording.
    #[error("a window that is read is not within the recording")]
    Window,
    /// The model has no program for this number of samples, threshold or score.
    #[error("{0}")]
    Program(String),
    /// The public outputs have other shapes than the program's.
    #[error("the public outputs do not fit the program")]
    Outputs,
    /// A commitment has another number of rows, or other rows, than the tensor that it is for.
    #[error("a commitment has another shape than the tensor that it is for")]
    Commitment,
    /// What the verifier put together itself does not fit; no statement or proof leads here.
    #[error("{0}")]
    Misfit(&'static str),
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
    /// What should be a scalar or group element is none.
    #[error("the proof has no scalar or point where one is due in `{0}`")]
    Malformed(Label),
    /// A scalar or group element is not in its only accepted encoding.
    #[error("the proof has a non-canonical encoding in `{0}`")]
    NotCanonical(Label),
    /// The verifier's own input does not fit the program.
    #[error("the statement does not fit the program: {0}")]
    Statement(#[from] StatementError),
}

macro_rules! refusals {
    ($($pattern:pat => $variant:ident = $name:literal,)*) => {
        /// The kind of a [`VerifyError`], without its details: what one line of the verifier checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // the names are those of the errors
        pub enum Refusal { $($variant,)* }

        impl Refusal {
            /// Every reason to refuse a proof.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$variant,)*];

            /// A stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Refusal::$variant => $name,)* }
            }
        }

        impl VerifyError {
            /// The kind of this error.
            #[must_use]
            pub fn refusal(&self) -> Refusal {
                match self { $($pattern => Refusal::$variant,)* }
            }
        }
    };
}

refusals! {
    VerifyError::Check(Check::RootNumerator) => RootNumerator = "root-numerator",
    VerifyError::Check(Check::RootDenominator) => RootDenominator = "root-denominator",
    VerifyError::Check(Check::FractionLayer { .. }) => FractionLayer = "fraction-layer",
    VerifyError::Check(Check::LeafNumerators) => LeafNumerators = "leaf-numerators",
    VerifyError::Check(Check::LeafDenominators) => LeafDenominators = "leaf-denominators",
    VerifyError::Check(Check::Wave { .. }) => Wave = "wave",
    VerifyError::Check(Check::WeightedClaims) => WeightedClaims = "weighted-claims",
    VerifyError::Check(Check::MaskedMessages) => MaskedMessages = "masked-messages",
    VerifyError::Check(Check::InnerProduct) => InnerProduct = "inner-product",
    VerifyError::Check(Check::PublicOutput) => PublicOutput = "public-output",
    VerifyError::Check(Check::Sumcheck) => Sumcheck = "sumcheck",
    VerifyError::Check(Check::Other(_)) => OtherCheck = "other",
    VerifyError::Truncated(_) => Truncated = "truncated",
    VerifyError::TrailingBytes(_) => TrailingBytes = "trailing-bytes",
    VerifyError::Malformed(_) => Malformed = "malformed",
    VerifyError::NotCanonical(_) => NotCanonical = "not-canonical",
    VerifyError::Statement(StatementError::Other) => OtherStatement = "statement",
    VerifyError::Statement(StatementError::Model) => Model = "statement-model",
    VerifyError::Statement(StatementError::TemplateModel) => TemplateModel = "statement-template-model",
    VerifyError::Statement(StatementError::SampleRate) => SampleRate = "statement-sample-rate",
    VerifyError::Statement(StatementError::Threshold) => Threshold = "statement-threshold",
    VerifyError::Statement(StatementError::Context) => Context = "statement-context",
    VerifyError::Statement(StatementError::Score) => Score = "statement-score",
    VerifyError::Statement(StatementError::Recordings) => Recordings = "statement-recordings",
    VerifyError::Statement(StatementError::Template) => Template = "statement-template",
    VerifyError::Statement(StatementError::Readings | StatementError::Class | StatementError::Window) =>
        Readings = "statement-readings",
    VerifyError::Statement(StatementError::Program(_)) => Program = "statement-program",
    VerifyError::Statement(StatementError::Outputs) => Outputs = "statement-outputs",
    VerifyError::Statement(StatementError::Commitment) => Commitment = "statement-commitment",
    VerifyError::Statement(StatementError::Misfit(_)) => Misfit = "misfit",
}
