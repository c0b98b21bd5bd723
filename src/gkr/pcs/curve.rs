//! Points of BN254 G1 from their `x`, many at a time: those of a proof, and generators.
//!
//! `y` is a square root of `x³ + 3`. The modulus is 3 modulo 4, so that it is `(x³ + 3)^((p + 1)/4)`, if the square of
//! that is `x³ + 3`. G1 has cofactor 1, so every point of the curve is in the group.

use ark_bn254::{Fq, Fr, G1Affine};
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField};
use ark_serialize::{
    CanonicalDeserialize, CanonicalSerialize, Compress, Read, SerializationError, Valid, Validate, Write,
};

use crate::simd::{self, LANES};
use crate::sumcheck::channel::VerifierChannel;
use crate::sumcheck::error::VerifyError;
use crate::sumcheck::transcript::Label;

/// Bytes of a point.
const BYTES: usize = 32;

/// In the last byte: the point is the identity, `y` is the larger root.
const IDENTITY: u8 = 1 << 6;
const GREATEST: u8 = 1 << 7;

/// A point as it is read: 32 bytes that may turn out to be none. Its encoding is arkworks' compressed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedPoint(pub(crate) [u8; BYTES]);

impl CanonicalSerialize for EncodedPoint {
    fn serialize_with_mode<W: Write>(&self, mut writer: W, _: Compress) -> Result<(), SerializationError> {
        Ok(writer.write_all(&self.0)?)
    }

    fn serialized_size(&self, _: Compress) -> usize {
        BYTES
    }
}

impl Valid for EncodedPoint {
    fn check(&self) -> Result<(), SerializationError> {
        Ok(())
    }
}

impl CanonicalDeserialize for EncodedPoint {
    fn deserialize_with_mode<R: Read>(mut reader: R, _: Compress, _: Validate) -> Result<Self, SerializationError> {
        let mut bytes = [0; BYTES];
        reader.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }
}

/// What is wrong with bytes that should be a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// They are none.
    Malformed,
    /// They are one, but not as it is written.
    NotCanonical,
}

/// What bytes say they are.
enum Encoding {
    Identity,
    /// `x`, and whether `y` is the larger root.
    Coordinate(Fq, bool),
    /// No point, or the identity, but not as it is written.
    Flawed(Flaw),
}

#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
impl EncodedPoint {
    fn parse(&self) -> Encoding {
        let (mut words, last) = ([0u64; 4], self.0.last().copied().unwrap_or_default());
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        if let Some(word) = words.last_mut() {
            *word &= u64::MAX >> 2;
        }
        match (last & IDENTITY != 0, last & GREATEST != 0) {
            (true, true) => Encoding::Flawed(Flaw::Malformed),
            (identity, greatest) => match Fq::from_bigint(BigInt(words)) {
                Some(x) if !identity => Encoding::Coordinate(x, greatest),
                Some(x) if x == Fq::ZERO => Encoding::Identity,
                Some(_) => Encoding::Flawed(Flaw::NotCanonical),
                None => Encoding::Flawed(Flaw::Malformed),
            },
        }
    }
}

/// Reads `count` points from a channel.
///
/// # Errors
/// If the proof ends, or holds something that is not the encoding of a point.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) fn recv<C: VerifierChannel<Fr>>(
    label: Label,
    count: usize,
    channel: &mut C,
) -> Result<Vec<G1Affine>, VerifyError> {
    let encoded = channel.recv_elements(label, count)?;
    decode(encoded.into_iter().map(|point| (label, point)), channel)
}

/// The points that were read; they are decoded together.
///
/// # Errors
/// If one is no point, or not written in its only way.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) fn decode<C: VerifierChannel<Fr>>(
    encoded: impl Iterator<Item = (Label, EncodedPoint)>,
    channel: &mut C,
) -> Result<Vec<G1Affine>, VerifyError> {
    let (labels, encoded): (Vec<Label>, Vec<EncodedPoint>) = encoded.unzip();
    let mut decoded = Vec::with_capacity(labels.len());
    for (label, point) in labels.into_iter().zip(decode_all(encoded)) {
        decoded.push(match point {
            Ok(point) => point,
            Err(flaw) => {
                let error = match flaw {
                    Flaw::Malformed => VerifyError::Malformed(label),
                    Flaw::NotCanonical => VerifyError::NotCanonical(label),
                };
                channel.require(false, error)?;
                G1Affine::identity()
            }
        });
    }
    Ok(decoded)
}

/// The points with these encodings, and what is wrong with those that are none.
#[deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(crate) fn decode_all(encoded: Vec<EncodedPoint>) -> impl Iterator<Item = Result<G1Affine, Flaw>> {
    let parsed: Vec<Encoding> = encoded.iter().map(EncodedPoint::parse).collect();
    let coordinates: Vec<(Fq, bool)> = parsed
        .iter()
        .filter_map(|encoding| match *encoding {
            Encoding::Coordinate(x, greatest) => Some((x, greatest)),
            Encoding::Identity | Encoding::Flawed(_) => None,
        })
        .collect();
    let mut found = points(&coordinates).into_iter();
    parsed.into_iter().map(move |encoding| match encoding {
        Encoding::Identity => Ok(G1Affine::identity()),
        Encoding::Coordinate(..) => found.next().flatten().ok_or(Flaw::Malformed),
        Encoding::Flawed(flaw) => Err(flaw),
    })
}

/// The points with these `x`, and the larger or the smaller of their `y`; none where there is none.
pub(super) fn points(coordinates: &[(Fq, bool)]) -> Vec<Option<G1Affine>> {
    let squares: Vec<Fq> = coordinates.iter().map(|(x, _)| x.square() * x + Fq::from(3u64)).collect();
    let point = |((&(x, greatest), &square), root): ((&(Fq, bool), &Fq), Fq)| {
        // No point has y = 0, since the group has odd order; the two roots differ.
        let larger = root > -root;
        (root.square() == square).then(|| G1Affine::new_unchecked(x, if larger == greatest { root } else { -root }))
    };
    coordinates.iter().zip(&squares).zip(candidates(&squares)).map(point).collect()
}

/// Square roots of those that are squares, something else of the others.
fn candidates(squares: &[Fq]) -> Vec<Fq> {
    if let Some(kernels) = simd::complete_point_kernels().filter(|_| squares.len() > 1) {
        let mut roots = squares.to_vec();
        roots.resize(squares.len().next_multiple_of(LANES), Fq::ZERO);
        let mut exponent = Fq::MODULUS;
        exponent.add_with_carry(&BigInt::one());
        exponent >>= 2;
        kernels.raise(&mut roots, &exponent.0);
        roots.truncate(squares.len());
        return roots;
    }
    squares.iter().map(|square| square.sqrt().unwrap_or(Fq::ZERO)).collect()
}

#[cfg(test)]
mod tests {
    use ark_bn254::G1Projective;
    use ark_ec::{CurveGroup, PrimeGroup};
    use ark_ff::UniformRand;
    use ark_std::rand::SeedableRng;
    use ark_std::rand::rngs::StdRng;
    use proptest::prelude::*;

    use super::*;
    use crate::simd::tests::both;
    use crate::sumcheck::channel::PlainVerifier;
    use crate::sumcheck::transcript::Merlin;

    const LABEL: Label = Label::Commitment;

    fn read(bytes: &[u8]) -> Result<Vec<G1Affine>, VerifyError> {
        recv(LABEL, bytes.len().div_ceil(BYTES), &mut PlainVerifier::new(Merlin::new(b"test"), bytes))
    }

    /// What arkworks reads, one by one, where that is how the point is written.
    fn expected(bytes: &[u8]) -> Result<Vec<G1Affine>, VerifyError> {
        let read = |bytes: &[u8]| {
            let point = G1Affine::deserialize_compressed(bytes).map_err(|_| VerifyError::Malformed(LABEL))?;
            let mut written = Vec::new();
            point.serialize_compressed(&mut written).unwrap();
            if written == bytes { Ok(point) } else { Err(VerifyError::NotCanonical(LABEL)) }
        };
        bytes.chunks(BYTES).map(read).collect()
    }

    fn encoded(points: &[G1Affine]) -> Vec<u8> {
        let mut bytes = Vec::new();
        points.iter().for_each(|point| point.serialize_compressed(&mut bytes).unwrap());
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn points_are_read_as_the_library_reads_them(
            seed: u64, count in 0usize..20, place in any::<prop::sample::Index>(), bit in 0usize..256, random: [u8; 32],
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let points: Vec<G1Affine> = (0..count)
                .map(|k| if k % 7 == 3 { G1Affine::identity() } else { G1Affine::rand(&mut rng) })
                .collect();
            let bytes = encoded(&points);
            for found in both(|| read(&bytes)) {
                prop_assert_eq!(found, Ok(points.clone()));
            }
            if count > 0 {
                let at = BYTES * place.index(count);
                let mut flipped = bytes.clone();
                flipped[at + bit / 8] ^= 1 << (bit % 8);
                let mut replaced = bytes;
                replaced[at..at + BYTES].copy_from_slice(&random);
                for bytes in [flipped, replaced] {
                    for found in both(|| read(&bytes)) {
                        prop_assert_eq!(found, expected(&bytes));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let generator = G1Projective::generator().into_affine();
        let good = encoded(&[generator]);
        let with = |last: u8, first: u8| {
            let mut bytes = vec![0; BYTES];
            (bytes[0], bytes[BYTES - 1]) = (first, last);
            bytes
        };
        let mut large = encoded(&[G1Affine::new_unchecked(-Fq::from(1u64), Fq::from(1u64))]);
        large[0] += 1;
        let (malformed, other_form) = (VerifyError::Malformed(LABEL), VerifyError::NotCanonical(LABEL));
        let cases = [
            (with(IDENTITY | GREATEST, 0), malformed.clone()),
            (with(IDENTITY, 1), other_form.clone()),
            (with(IDENTITY | 1, 0), other_form),
            // The modulus, and an x without y.
            (large, malformed.clone()),
            (with(0, 0), malformed),
            (good[..BYTES - 1].to_vec(), VerifyError::Truncated(LABEL)),
        ];
        for (bytes, error) in cases {
            // Alone, and among others.
            assert_eq!(read(&bytes), Err(error.clone()));
            assert_eq!(read(&[good.as_slice(), &good, &bytes].concat()), Err(error));
        }
    }
}
