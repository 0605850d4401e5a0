//! Key ids and their parts.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::base62::is_base62;

/// Number of random base62 characters in an id.
pub const IDENTIFIER_LENGTH: usize = 12;

/// Environment of a data key, which selects the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Production data: `ORIGIN_LIVE`.
    Live,
    /// Test data: `ORIGIN_TEST`.
    Test,
}

impl Environment {
    /// Every environment.
    pub const ALL: [Self; 2] = [Self::Live, Self::Test];

    /// Returns the name in keys, responses and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "live" => Some(Self::Live),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Class of a credential: a data key opens the gate in one environment, a member's credential opens the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A data key of an integration.
    Data(Environment),
    /// A member's credential, `admin` in the key.
    Member,
}

impl Class {
    /// Returns the text between prefix and identifier.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data(environment) => environment.as_str(),
            Self::Member => "admin",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "admin" => Some(Self::Member),
            other => Environment::parse(other).map(Self::Data),
        }
    }
}

/// `KEY_PREFIX`: 2 to 8 of `a-z`. Secret scanners recognise keys by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Parses a prefix. `None` unless the text is 2 to 8 of `a-z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase());
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the prefix without the underscore.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Id of a key or a member, such as `wafl_live_8Fh2kQ0sZp1L`: prefix, class and identifier. Public: it appears in lists and logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Parses an id with any prefix. `None` if a part is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('_');
        let (prefix, class, identifier) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = parts.next().is_none()
            && Prefix::parse(prefix).is_some()
            && Class::parse(class).is_some()
            && identifier.len() == IDENTIFIER_LENGTH
            && is_base62(identifier);
        fits.then(|| Self(text.to_owned()))
    }

    /// Joins `prefix`, `class` and a new identifier. `None` if the identifier is malformed.
    #[must_use]
    pub fn assemble(prefix: &Prefix, class: Class, identifier: &str) -> Option<Self> {
        Self::parse(&format!("{}_{}_{identifier}", prefix.as_str(), class.as_str()))
    }

    /// Returns the whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the class in the id. Every id has one; the fallback is `Member` because that class opens nothing at the gate.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.split('_').nth(1).and_then(Class::parse).unwrap_or(Class::Member)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({})", self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a key id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_prefix_a_class_and_twelve_characters() {
        let id = KeyId::parse("wafl_live_8Fh2kQ0sZp1L").unwrap();
        assert_eq!(id.class(), Class::Data(Environment::Live));
        assert_eq!(KeyId::parse("wafl_admin_8Fh2kQ0sZp1L").unwrap().class(), Class::Member);
        for text in [
            "",
            "wafl_live_",
            "wafl_live_8Fh2kQ0sZp1",
            "wafl_live_8Fh2kQ0sZp1LL",
            "wafl_live_8Fh2kQ0sZp1L_",
            "wafl_prod_8Fh2kQ0sZp1L",
            "WAFL_live_8Fh2kQ0sZp1L",
            "w_live_8Fh2kQ0sZp1L",
            "wafl_live_8Fh2kQ0sZp1!",
            "wafl_live_8Fh2kQ0sZé1",
        ] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }
}
