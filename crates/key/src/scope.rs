//! Scopes: named permissions of a key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Maximum length of a scope, in bytes.
pub const SCOPE_LENGTH: usize = 64;

/// A permission such as `contacts:read`: 1 to 64 of `a-z`, `0-9`, `:`, `.`, `_`, `-`, beginning with a letter.
/// This is a subset of scope-token (RFC 6749, section 3.3), so scopes can be joined with spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Scope(String);

impl Scope {
    /// Parses a scope. `None` if the text is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=SCOPE_LENGTH).contains(&text.len())
            && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":._-".contains(&byte));
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Scope {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a scope")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_one_lower_case_token() {
        let scope = Scope::parse("contacts:read").unwrap();
        assert_eq!((scope.as_str(), scope.to_string().as_str()), ("contacts:read", "contacts:read"));
        assert!(Scope::parse(&"a".repeat(64)).is_some());
        for text in ["", "a b", "Contacts:read", "1a", ":a", "a\n", "é", "a\"", &"a".repeat(65)] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
