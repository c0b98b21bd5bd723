//! The Fiat-Shamir transcript: a hash behind a trait, and every label in one table.
//!
//! Both sides of a protocol speak through a [channel](super::channel), which is the only caller of a
//! [`Transcript`]. Each message is absorbed under its [`Label`] and with its length, and each
//! challenge is 64 bytes of output reduced modulo the field order, so that its statistical distance
//! from uniform is below 2^-250 for a 254-bit field.

use std::fmt;

use ark_ff::PrimeField;

/// A hash that absorbs labelled messages and yields challenge bytes which depend on all of them.
pub trait Transcript {
    /// Absorbs `message` under `label`; the encoding must be injective in both.
    fn absorb(&mut self, label: Label, message: &[u8]);
    /// Fills `output` with bytes that depend on everything absorbed and drawn so far.
    fn squeeze(&mut self, label: Label, output: &mut [u8]);

    /// Draws a field element.
    fn challenge<F: PrimeField>(&mut self, label: Label) -> F {
        let mut bytes = [0u8; 64];
        self.squeeze(label, &mut bytes);
        F::from_le_bytes_mod_order(&bytes)
    }
}

/// The default transcript: merlin (STROBE over Keccak-f\[1600\]).
#[derive(Clone)]
pub struct Merlin(merlin::Transcript);

impl Merlin {
    /// Starts a transcript for the protocol `name`.
    #[must_use]
    pub fn new(name: &'static [u8]) -> Self {
        Self(merlin::Transcript::new(name))
    }
}

impl Transcript for Merlin {
    fn absorb(&mut self, label: Label, message: &[u8]) {
        self.0.append_message(label.name().as_bytes(), message);
    }

    fn squeeze(&mut self, label: Label, output: &mut [u8]) {
        self.0.challenge_bytes(label.name().as_bytes(), output);
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a message or challenge is. The name is what the hash sees.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Label { $($(#[$doc])* $variant,)* }

        impl Label {
            /// Every label, in the order of declaration.
            pub const ALL: &'static [Label] = &[$(Label::$variant,)*];

            /// Whether a challenge is drawn under this label; under the others messages are absorbed.
            #[must_use]
            pub fn is_challenge(self) -> bool {
                self.name().ends_with("-challenge") || self == Label::InnerProductBase
            }

            /// The bytes that the hash sees.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Label::$variant => $name,)* }
            }
        }
    };
}

labels! {
    /// Protocol name, version and suite.
    Protocol = "protocol",
    /// Digest of the program or model.
    Program = "program",
    /// A public input or output, or another field of the statement.
    Statement = "statement",
    /// Row commitments made before the proof (audio, template, constants).
    PublicCommitment = "public-commitment",
    /// Row commitments of witness tensors and multiplicities.
    Commitment = "commitment",
    /// Challenge: compression of the columns of a lookup tuple.
    TupleChallenge = "tuple-challenge",
    /// Challenge: evaluation point of the fractional sum.
    LookupChallenge = "lookup-challenge",
    /// Root of the fraction tree.
    FractionRoot = "fraction-root",
    /// Inverse of a value that must not be zero.
    Inverse = "inverse",
    /// Challenge: combination of numerators and denominators.
    FractionChallenge = "fraction-challenge",
    /// The four values that end a fraction layer.
    FractionChildren = "fraction-children",
    /// Challenge: which child of a fraction layer.
    ChildChallenge = "child-challenge",
    /// Values of the columns under the leaves.
    LeafValues = "leaf-values",
    /// Challenge: point at which a public output is compared.
    OutputChallenge = "output-challenge",
    /// Values of public outputs' operands.
    OutputValues = "output-values",
    /// A round polynomial.
    Round = "round",
    /// Challenge of a round.
    RoundChallenge = "round-challenge",
    /// Challenge: combination of several sums into one.
    BatchChallenge = "batch-challenge",
    /// Values of the operands at the end of a wave.
    WaveValues = "wave-values",
    /// Values of committed tensors at the end of the weighted-claim sum-check.
    PointValues = "point-values",
    /// Challenge: random point of the padding.
    PaddingChallenge = "padding-challenge",
    /// Values of the folded rows at the column point.
    FoldedValues = "folded-values",
    /// Challenge: combination of folded rows.
    FoldChallenge = "fold-challenge",
    /// Cross terms of a round of the inner-product argument.
    InnerProductCross = "inner-product-cross",
    /// Challenge: the point that binds the claimed inner product.
    InnerProductBase = "inner-product-base",
    /// Challenge of a round of the inner-product argument.
    InnerProductChallenge = "inner-product-challenge",
    /// The folded vector that ends the inner-product argument.
    InnerProductEnd = "inner-product-end",
    /// A scalar of a protocol built on the library.
    UserMessage = "user-message",
    /// A challenge of a protocol built on the library.
    UserChallenge = "user-challenge",
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
