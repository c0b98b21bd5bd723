//! Lists of templates that are no longer accepted.

use std::collections::HashSet;

use thiserror::Error;

use crate::statement::Id;

/// A line that names no template.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line} names no template: {text:?}; write one `vxe1:…` a line, `#` begins a comment")]
pub struct RevocationError {
    /// The line, from 1.
    pub line: usize,
    /// What stands there, or the beginning of it.
    pub text: String,
}

/// Templates that a relying party no longer accepts, by id.
///
/// A [refreshed](crate::proof::ProvingKey::refresh) template has another id: it must be registered before anyone accepts it, and
/// that is when an enrolment that was revoked has to be recognised, by its label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationList {
    ids: HashSet<[u8; 32]>,
}

impl RevocationList {
    /// Reads a list: one template id a line; empty lines and what follows `#` are skipped.
    ///
    /// # Errors
    /// [`RevocationError`] naming the first line that is neither: a list is never read in part.
    pub fn parse(text: &str) -> Result<Self, RevocationError> {
        let mut ids = HashSet::new();
        for (number, line) in text.lines().enumerate() {
            let id = line.split('#').next().unwrap_or_default().trim();
            if id.is_empty() {
                continue;
            }
            let mut digest = [0; 32];
            let digits = id.strip_prefix("vxe1:").unwrap_or_default();
            if hex::decode_to_slice(digits, &mut digest).is_err() {
                return Err(RevocationError { line: number + 1, text: id.chars().take(80).collect() });
            }
            ids.insert(digest);
        }
        Ok(Self { ids })
    }

    /// Whether a template is on the list.
    #[must_use]
    pub fn contains(&self, template: Id) -> bool {
        self.ids.contains(&template.digest)
    }

    /// How many templates are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_one_template_a_line() {
        let id = |byte| Id { prefix: *b"vxe1", digest: [byte; 32] };
        let text = format!("# revoked\n\n{}\r\n  {} # lost telephone\n", id(1), id(2));
        let list = RevocationList::parse(&text).unwrap();
        assert_eq!((list.len(), list.is_empty()), (2, false));
        assert!(list.contains(id(1)) && list.contains(id(2)) && !list.contains(id(3)));
        assert!(RevocationList::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_names_nothing_is_refused() {
        let id = Id { prefix: *b"vxe1", digest: [7; 32] }.to_string();
        for bad in
            ["vxm1:", "vxe1:", "x", &id[..68], &format!("{id}0"), &id.replace("vxe1", "vxa1"), &format!("{id} {id}")]
        {
            let text = format!("{id}\n{bad}\n");
            assert_eq!(RevocationList::parse(&text).map_err(|error| error.line), Err(2), "{bad}");
        }
    }
}
