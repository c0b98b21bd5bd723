//! The files of templates, recordings and proofs, and of the secrets beside them.

use super::{
    Attestation, AudioCommitment, AudioSecret, MAX_LABEL, MAX_RECORDINGS, Proof, Statement, Template, TemplateSecret,
};
use crate::files::{self, FileError};
use crate::layers::score::THRESHOLD_ONE;

impl Template {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::TEMPLATE.wrap(&self.model, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let kind = files::TEMPLATE;
        let (model, body) = kind.unwrap(bytes)?;
        let template: Self = kind.decode(body)?;
        if template.model != model {
            return Err(kind.error("its header names another model"));
        }
        if template.threshold == 0 || template.threshold > THRESHOLD_ONE {
            return Err(kind.error("its threshold is not in (0, 1]"));
        }
        if template.recordings.len() > MAX_RECORDINGS {
            return Err(kind.error(format!("it names more than {MAX_RECORDINGS} recordings")));
        }
        check_label(&template.label).map_err(|reason| kind.error(format!("its label {reason}")))?;
        Ok(template)
    }
}

/// Says what is wrong with a label.
pub(crate) fn check_label(label: &str) -> Result<(), String> {
    if label.len() > MAX_LABEL {
        return Err(format!("is longer than {MAX_LABEL} bytes"));
    }
    if label.chars().any(char::is_control) {
        return Err("has characters that cannot be printed".into());
    }
    Ok(())
}

impl TemplateSecret {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::TEMPLATE_SECRET.wrap(&self.template, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (template, body) = files::TEMPLATE_SECRET.unwrap(bytes)?;
        let secret: Self = files::TEMPLATE_SECRET.decode(body)?;
        if secret.template != template {
            return Err(files::TEMPLATE_SECRET.error("its header names another template"));
        }
        Ok(secret)
    }
}

impl AudioCommitment {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::AUDIO.wrap(&self.id().digest, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (id, body) = files::AUDIO.unwrap(bytes)?;
        let audio: Self = files::AUDIO.decode(body)?;
        if audio.id().digest != id {
            return Err(files::AUDIO.error("its content does not have the id in its header"));
        }
        Ok(audio)
    }
}

impl AudioSecret {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::AUDIO_SECRET.wrap(&self.audio, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (audio, body) = files::AUDIO_SECRET.unwrap(bytes)?;
        let secret: Self = files::AUDIO_SECRET.decode(body)?;
        if secret.audio != audio {
            return Err(files::AUDIO_SECRET.error("its header names another recording"));
        }
        Ok(secret)
    }
}

impl Attestation {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::ATTESTATION.wrap(&self.audio, &files::encode(self))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (audio, body) = files::ATTESTATION.unwrap(bytes)?;
        let attestation: Self = files::ATTESTATION.decode(body)?;
        if attestation.audio != audio {
            return Err(files::ATTESTATION.error("its header names another recording"));
        }
        Ok(attestation)
    }
}

impl Proof {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        files::PROOF.wrap(&self.statement.model, &files::encode(&(&self.statement, &self.argument)))
    }

    /// Reads the file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let (model, body) = files::PROOF.unwrap(bytes)?;
        let (statement, argument): (Statement, Vec<u8>) = files::PROOF.decode(body)?;
        if statement.model != model {
            return Err(files::PROOF.error("its header names another model"));
        }
        Ok(Self { statement, argument })
    }

    /// Name, offset and length in bytes of every field of the file, in order.
    #[must_use]
    pub fn sections(&self) -> Vec<(String, usize, usize)> {
        let mut sections: Vec<(String, usize, usize)> = Vec::new();
        let mut add = |name: &str, len: usize| {
            let offset = sections.last().map_or(0, |(_, offset, len)| offset + len);
            sections.push((name.to_owned(), offset, len));
        };
        let header = [("magic", 8), ("format version", 2), ("suite", 24), ("model digest", 32), ("length", 8)];
        header.into_iter().for_each(|(name, len)| add(name, len));
        let s = &self.statement;
        add("statement: mode", files::encode(&s.mode).len());
        add("statement: model", 32);
        add("statement: audio commitment", files::encode(&s.audio).len());
        add("statement: template", files::encode(&s.template).len());
        add("statement: context", files::encode(&s.context).len());
        add("statement: decision", files::encode(&s.verdict).len());
        add("statement: revealed", files::encode(&s.revealed).len());
        add("statement: readings", files::encode(&s.readings).len());
        add("statement: attestation", files::encode(&s.attestation).len());
        add("argument: length", files::encode(&self.argument).len() - self.argument.len());
        add("argument", self.argument.len());
        sections
    }
}
