//! Attested recordings: a capture device signs the commitment that a proof opens.
//!
//! ```text
//! signed   "voxcheck attested recording" ‖ SHA-256 of the audio commitment ‖ time ‖ context
//! ```
//!
//! The commitment binds the samples, and the proof shows that it is about what the commitment opens to. So nothing about
//! the signature has to be proved, least of all a hash of the recording: a verifier checks it as it stands in the
//! statement. A recording of the same words for another context, or from another time, has another signature. It is an
//! Ed25519 signature (RFC 8032) by a key that a verifier trusts to be inside a microphone; what was held before that
//! microphone is beyond any proof.

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::StatementMismatch;
use crate::statement::{Attestation, AudioCommitment, Context, Statement};

/// What a signature is about besides recording, time and context.
const DOMAIN: &[u8] = b"voxcheck attested recording";

/// A key that is no key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not an Ed25519 {kind} key in PEM: {reason}; make a pair with `voxcheck attest keygen`")]
pub struct DeviceKeyError {
    /// `private` or `public`.
    pub kind: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// The private key of a capture device. Wiped when dropped.
pub struct DeviceKey(SigningKey);

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceKey(…)")
    }
}

impl DeviceKey {
    /// A new key, from the operating system's randomness.
    ///
    /// # Errors
    /// If the operating system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut())?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads a PKCS#8 key in PEM (RFC 8410), as `openssl genpkey -algorithm ed25519` makes it.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_pem(pem: &str) -> Result<Self, DeviceKeyError> {
        let failed = |error: ed25519_dalek::pkcs8::Error| DeviceKeyError { kind: "private", reason: error.to_string() };
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(failed)
    }

    /// The key as PKCS#8 in PEM.
    ///
    /// # Panics
    /// Never: 32 bytes have such a form.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("32 bytes have a PEM form")
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> DevicePublicKey {
        DevicePublicKey(self.0.verifying_key())
    }

    /// Signs a recording for a context at a time, in seconds since 1970.
    #[must_use]
    pub fn sign(&self, audio: &AudioCommitment, context: &Context, time: u64) -> Attestation {
        let signature = self.0.sign(&message(audio, context, time));
        let halves = [*signature.r_bytes(), *signature.s_bytes()];
        Attestation { audio: audio.id().digest, time, signature: halves }
    }
}

/// The public key of a capture device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePublicKey(VerifyingKey);

impl DevicePublicKey {
    /// Reads a public key in PEM (RFC 8410), as `openssl pkey -pubout` makes it.
    ///
    /// # Errors
    /// If it is none, or a weak one, under which other recordings would have the same signature.
    pub fn from_pem(pem: &str) -> Result<Self, DeviceKeyError> {
        let failed = |reason: String| DeviceKeyError { kind: "public", reason };
        let key = VerifyingKey::from_public_key_pem(pem).map_err(|error| failed(error.to_string()))?;
        if key.is_weak() { Err(failed("a point of small order".into())) } else { Ok(Self(key)) }
    }

    /// The key in PEM.
    ///
    /// # Panics
    /// Never: 32 bytes have such a form.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("32 bytes have a PEM form")
    }

    /// The key in hex, as people compare it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    /// When this device signed the recording of a statement, for its context: seconds since 1970, by the device's clock.
    ///
    /// # Errors
    /// [`StatementMismatch`] in `attestation` if there is no signature of this device over them.
    pub fn check(&self, statement: &Statement) -> Result<u64, StatementMismatch> {
        let refuse = |found: &str| StatementMismatch {
            field: "attestation",
            expected: format!("a signature of device {}", self.fingerprint()),
            found: found.to_owned(),
        };
        let attestation = statement.attestation().ok_or_else(|| refuse("none"))?;
        let [r, s] = attestation.signature;
        let message = message(&statement.audio, statement.context(), attestation.time);
        let valid = self.0.verify_strict(&message, &Signature::from_components(r, s));
        valid.map_err(|_| refuse("one of another device, or over something else"))?;
        Ok(attestation.time)
    }
}

/// What is signed. All but the context, which ends it, has a fixed length.
fn message(audio: &AudioCommitment, context: &Context, time: u64) -> Vec<u8> {
    [DOMAIN, &audio.id().digest, &time.to_le_bytes(), context.bytes()].concat()
}
