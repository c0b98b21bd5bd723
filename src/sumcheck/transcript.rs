//! The Fiat-Shamir transcript: a hash behind a trait, and every label in one table.
//!
//! Both sides of a protocol speak through a [channel](super::channel), which is the only caller of a
//! [`Transcript`]. Each message is absorbed under its [`Label`] and with its length, and each
//! challenge is 64 bytes of output reduced modulo the field order, so that its statistical distance
//! from uniform is below 2^-250 for a 254-bit field.

use std::fmt;

use ark_ff::PrimeField;
use ark_std::rand::{CryptoRng, Error, RngCore};
use zeroize::Zeroizing;

/// A hash that absorbs labelled messages and yields challenge bytes which depend on all of them.
pub trait Transcript: Send {
    /// Absorbs `message` under `label`; the encoding must be injective in both.
    fn absorb(&mut self, label: Label, message: &[u8]);
    /// Fills `output` with bytes that depend on everything absorbed and drawn so far.
    fn squeeze(&mut self, label: Label, output: &mut [u8]);

    /// Draws a field element.
    fn challenge<F: PrimeField>(&mut self, label: Label) -> F {
        let mut bytes = [0u8; 64];
        self.squeeze(label, &mut bytes);
        from_words(bytes.as_chunks().0)
    }
}

/// The integer that these bytes are, words and bytes running from the lowest on, modulo the order of a field of more than 128 bits: a
/// conversion a word, where `from_le_bytes_mod_order` has a multiplication a byte.
#[must_use]
pub(crate) fn from_words<F: PrimeField>(words: &[[u8; 16]]) -> F {
    let two_128 = F::from(1u128 << 64).square();
    words.iter().rev().fold(F::ZERO, |x, word| x * two_128 + F::from(u128::from_le_bytes(*word)))
}

/// A transcript that secret randomness can be bound to.
pub trait SecretTranscript: Transcript {
    /// Fills `out` with secret uniform elements, which depend on everything absorbed so far, on `seed` and on
    /// `number`: the same for the same three, unrelated otherwise. Nothing is absorbed.
    fn secrets<F: PrimeField>(&self, seed: &[u8; 32], number: u64, out: &mut [F]);
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

impl SecretTranscript for Merlin {
    // merlin's own way: a fork of the transcript, keyed by the secret, which is wiped when it is dropped.
    fn secrets<F: PrimeField>(&self, seed: &[u8; 32], number: u64, out: &mut [F]) {
        let builder = self.0.build_rng().rekey_with_witness_bytes(b"number", &number.to_le_bytes());
        let rng = builder.rekey_with_witness_bytes(b"seed", seed).finalize(&mut Seed(seed));
        let mut rng = Buffered { rng, bytes: Zeroizing::new([0; 1024]), used: 1024 };
        out.fill_with(|| F::rand(&mut rng));
    }
}

/// A generator that is asked for many bytes at a time: merlin's takes a permutation a call. Wiped when dropped.
struct Buffered<R> {
    rng: R,
    bytes: Zeroizing<[u8; 1024]>,
    used: usize,
}

impl<R: RngCore> RngCore for Buffered<R> {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.bytes.len() {
                self.rng.fill_bytes(self.bytes.as_mut());
                self.used = 0;
            }
            *byte = self.bytes[self.used];
            self.used += 1;
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

/// What merlin mixes into its generator: the seed once more.
struct Seed<'a>(&'a [u8; 32]);

impl RngCore for Seed<'_> {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.iter_mut().zip(self.0.iter().cycle()).for_each(|(out, &byte)| *out = byte);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Seed<'_> {}

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
    /// Challenge: combination of opening claims.
    FoldChallenge = "fold-challenge",
    /// Blinding factor of a row that is opened in the clear.
    Blinding = "blinding",
    /// The factors of the product that masks all products, and the outputs of all products.
    ProductOutputs = "product-outputs",
    /// Challenge: point at which products are compared.
    ProductChallenge = "product-challenge",
    /// Masked values of the factors of all products.
    ProductValues = "product-values",
    /// Challenge: combination of the equations between hidden scalars.
    EquationChallenge = "equation-challenge",
    /// Commitments to the masks of what is opened last.
    Mask = "mask",
    /// What the masks contribute to the last claim.
    MaskValue = "mask-value",
    /// Challenge of the opening of masked messages.
    MaskChallenge = "mask-challenge",
    /// Masked messages and blinding factors.
    Masked = "masked",
    /// Challenge: combination of the checks of masked messages.
    MaskedChallenge = "masked-challenge",
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

#[cfg(test)]
mod tests {
    use ark_bn254::{Fq, Fr};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_reduced_as_their_bytes_are(words in prop::collection::vec(
            prop_oneof![Just([0; 16]), Just([0xff; 16]), any::<[u8; 16]>()],
            0..6,
        )) {
            prop_assert_eq!(from_words::<Fr>(&words), Fr::from_le_bytes_mod_order(words.as_flattened()));
            prop_assert_eq!(from_words::<Fq>(&words), Fq::from_le_bytes_mod_order(words.as_flattened()));
        }
    }
}
