//! Byte formats: a header that says what follows and what it belongs to, then a canonical body.
//!
//! ```text
//! 8   magic            which kind of file
//! 2   format version   little-endian
//! 24  suite            "bn254-hyrax-merlin-1", padded with zeros
//! 32  digest           what the file belongs to
//! 8   length           of the body, little-endian
//! …   body             nothing after it
//! ```
//!
//! Bodies are decoded within the bytes at hand, encoded again and compared, so every value has one
//! encoding and nothing is allocated that the file does not hold.

use std::fmt;
use std::marker::PhantomData;

use ark_bn254::G1Affine;
use ark_serialize::CanonicalSerialize;
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::gkr::pcs::Commitment;
use crate::gkr::pcs::curve::{self, EncodedPoint, Flaw};

/// Version of all formats.
pub const FORMAT_VERSION: u16 = 6;
/// Curve, commitment scheme and transcript.
pub const SUITE: &str = "bn254-hyrax-merlin-1";
/// Bytes before the body.
pub const HEADER_BYTES: usize = 8 + 2 + 24 + 32 + 8;

/// A file of ours that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("this is not a usable {kind} file: {reason}")]
pub struct FileError {
    /// `model`, `key`, `template`, `secret`, `proof` or `audio commitment`.
    pub kind: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What people call it.
    pub name: &'static str,
    /// Its first bytes.
    pub magic: [u8; 8],
}

/// `.vxm`
pub const MODEL: Kind = Kind { name: "model", magic: *b"VOXMODEL" };
/// `.vxk`
pub const KEY: Kind = Kind { name: "key", magic: *b"VOXCHKEY" };
/// `.vxk.secret`
pub const KEY_SECRET: Kind = Kind { name: "secret", magic: *b"VOXKSECR" };
/// `.vxe`
pub const TEMPLATE: Kind = Kind { name: "template", magic: *b"VOXTEMPL" };
/// `.vxe.secret`
pub const TEMPLATE_SECRET: Kind = Kind { name: "secret", magic: *b"VOXTSECR" };
/// The proof of an enrolment.
pub const ENROLMENT: Kind = Kind { name: "enrolment", magic: *b"VOXENROL" };
/// `.vxa`
pub const AUDIO: Kind = Kind { name: "audio commitment", magic: *b"VOXAUDIO" };
/// `.vxa.secret`
pub const AUDIO_SECRET: Kind = Kind { name: "secret", magic: *b"VOXASECR" };
/// A capture device's signature.
pub const ATTESTATION: Kind = Kind { name: "attestation", magic: *b"VOXATTST" };
/// `.vxp`
pub const PROOF: Kind = Kind { name: "proof", magic: *b"VOXPROOF" };

impl Kind {
    /// An error about a file of this kind.
    #[must_use]
    pub fn error(self, reason: impl Into<String>) -> FileError {
        FileError { kind: self.name, reason: reason.into() }
    }

    /// Puts the header before a body.
    #[must_use]
    pub fn wrap(self, digest: &[u8; 32], body: &[u8]) -> Vec<u8> {
        let mut suite = [0u8; 24];
        suite.iter_mut().zip(SUITE.bytes()).for_each(|(s, b)| *s = b);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&suite);
        bytes.extend_from_slice(digest);
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// Takes the header off: the digest and the body.
    pub fn unwrap(self, bytes: &[u8]) -> Result<([u8; 32], &[u8]), FileError> {
        let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| self.error("it is too short"))?;
        let (magic, rest) = header.split_at(8);
        let (version, rest) = rest.split_at(2);
        let (suite, rest) = rest.split_at(24);
        let (digest, length) = rest.split_at(32);
        if magic != self.magic {
            return Err(self.error("it starts with other bytes; is it a file of another kind?"));
        }
        if version != FORMAT_VERSION.to_le_bytes() {
            return Err(self.error("its format version is not one that this program reads"));
        }
        let expected = self.wrap(&[0; 32], &[]);
        if expected.get(10..34) != Some(suite) {
            return Err(self.error("it was made with another suite of algorithms"));
        }
        if length != (body.len() as u64).to_le_bytes() {
            return Err(self.error("it is truncated or has bytes after its end"));
        }
        let digest = digest.try_into().map_err(|_| self.error("it has no digest"))?;
        Ok((digest, body))
    }

    /// Decodes a body and makes sure that this is its only encoding.
    pub fn decode<T: Serialize + DeserializeOwned>(self, body: &[u8]) -> Result<T, FileError> {
        let value: T =
            postcard::from_bytes(body).map_err(|error| self.error(format!("its body is damaged ({error})")))?;
        if encode(&value) != body {
            return Err(self.error("its body is not in canonical form"));
        }
        Ok(value)
    }
}

/// The body of a value.
///
/// # Panics
/// Never: all types here have a serial form.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("our types have a serial form")
}

/// Entries of the longest list whose entries take more memory than bytes of a file: layers, constants,
/// the entries of an embedding.
const SHORT_LIST: usize = 1 << 14;

/// Decodes a list of at most [`SHORT_LIST`] entries: a few bytes of a file would else become a large value,
/// many times over.
pub(crate) fn short_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(decoder: D) -> Result<Vec<T>, D::Error> {
    struct Short<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Short<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {SHORT_LIST} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(entry) = entries.next_element()? {
                if list.len() == SHORT_LIST {
                    return Err(de::Error::invalid_length(SHORT_LIST + 1, &self));
                }
                list.push(entry);
            }
            Ok(list)
        }
    }

    decoder.deserialize_seq(Short(PhantomData))
}

/// A committed row as it stands in a file: a point of the curve in its only encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "[u8; 32]")]
pub struct Row(G1Affine);

impl Row {
    /// The rows with these encodings, which are decoded together.
    ///
    /// # Errors
    /// If one is no point, or not written in its only way.
    pub fn decode_all(encoded: Vec<[u8; 32]>) -> Result<Vec<Self>, &'static str> {
        let decoded = curve::decode_all(encoded.into_iter().map(EncodedPoint).collect());
        let rows = decoded.map(|point| {
            point.map(Self).map_err(|flaw| match flaw {
                Flaw::Malformed => "a commitment is not a point",
                Flaw::NotCanonical => "a commitment is not in canonical form",
            })
        });
        rows.collect()
    }

    /// Decodes a list of rows.
    pub(crate) fn deserialize_all<'de, D: Deserializer<'de>>(decoder: D) -> Result<Vec<Self>, D::Error> {
        Self::decode_all(Vec::deserialize(decoder)?).map_err(de::Error::custom)
    }
}

impl From<Row> for [u8; 32] {
    fn from(row: Row) -> Self {
        let mut bytes = [0u8; 32];
        row.0.serialize_compressed(&mut bytes[..]).expect("a point takes 32 bytes");
        bytes
    }
}

/// Blinding factors in a file of secrets: canonical scalars.
pub(crate) mod blinds {
    use ark_bn254::Fr;
    use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    use zeroize::Zeroizing;

    use crate::gkr::pcs::Blinds;

    pub fn serialize<S: Serializer>(blinds: &Blinds, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes: Zeroizing<Vec<[u8; 32]>> = Zeroizing::new(vec![[0u8; 32]; blinds.factors().len()]);
        for (bytes, factor) in bytes.iter_mut().zip(blinds.factors()) {
            factor.serialize_compressed(&mut bytes[..]).expect("a scalar takes 32 bytes");
        }
        bytes.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Blinds, D::Error> {
        let bytes: Zeroizing<Vec<[u8; 32]>> = Zeroizing::new(Vec::deserialize(deserializer)?);
        let mut factors = Vec::with_capacity(bytes.len());
        for bytes in bytes.iter() {
            let factor = Fr::deserialize_compressed(&bytes[..]);
            factors.push(factor.map_err(|_| de::Error::custom("a blinding factor is not a canonical scalar"))?);
        }
        Ok(Blinds::new(factors))
    }
}

/// The rows of a commitment.
#[must_use]
pub fn rows(commitment: &Commitment) -> Vec<Row> {
    commitment.rows.iter().map(|&point| Row(point)).collect()
}

/// The commitment with these rows.
#[must_use]
pub fn commitment(width_vars: usize, rows: &[Row]) -> Commitment {
    Commitment { width_vars, rows: rows.iter().map(|row| row.0).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Lists(#[serde(deserialize_with = "short_list")] Vec<Vec<u8>>);

    #[test]
    fn lists_of_large_values_are_short() {
        for len in [0, 1, SHORT_LIST] {
            let lists = Lists(vec![Vec::new(); len]);
            assert_eq!(KEY.decode::<Lists>(&encode(&lists)), Ok(lists));
        }
        assert!(KEY.decode::<Lists>(&encode(&Lists(vec![Vec::new(); SHORT_LIST + 1]))).is_err());
        // A length alone costs nothing.
        assert!(KEY.decode::<Lists>(&[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    }
}
