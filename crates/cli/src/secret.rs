//! Texts that must not be shown: credentials, and keys that were just made.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use keyward_key::format::{CHECK_LENGTH, Presented, SECRET_LENGTH, TAG_LENGTH};
use keyward_key::id::{Class, IDENTIFIER_LENGTH, KeyId, Prefix};

/// Length of a key's last part.
const TAIL_LENGTH: usize = SECRET_LENGTH + TAG_LENGTH + CHECK_LENGTH;

/// A secret text. It has no `Debug`, `Display` or `Serialize`, and is erased from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text. Take care that no copy of it stays elsewhere.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text. The only way to it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the public id of a well-formed key with any prefix, and its class. `None` if the text is not one.
    #[must_use]
    pub fn parse_key(&self) -> Option<(KeyId, Class)> {
        let prefix = Prefix::parse(self.0.split('_').next()?)?;
        let key = Presented::parse(&self.0, &prefix).ok()?;
        Some((KeyId::parse(key.id())?, key.class()))
    }

    /// Replaces every occurrence of this secret, and of its last part, by `***`. For the output of other programs.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let tail = self.0.rsplit('_').next().unwrap_or_default();
        let redacted = text.replace(self.0.as_str(), "***");
        if tail.len() < 16 { redacted } else { redacted.replace(tail, "***") }
    }
}

/// Returns the id of a well-formed key in a text, whatever its prefix. For arguments, which must not hold one.
#[must_use]
pub fn find_key(text: &str) -> Option<KeyId> {
    let key_at = |start: usize| {
        let text = text.get(start..)?;
        let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len());
        let token = text.get(..end)?;
        // A key may be followed by other letters, so its length comes from its class.
        let length = ["_live_", "_test_", "_admin_"].iter().find_map(|class| {
            let prefix = token.split_once(class)?.0;
            Some(prefix.len().saturating_add(class.len()).saturating_add(IDENTIFIER_LENGTH + 1 + TAIL_LENGTH))
        })?;
        Secret::new(token.get(..length)?.to_owned()).parse_key().map(|(id, _)| id)
    };
    text.char_indices().find_map(|(start, _)| key_at(start))
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_other_programs_shows_neither_the_key_nor_its_secret_part() {
        let key = Secret::new(format!("wafl_live_8Fh2kQ0sZp1L_{}", "a".repeat(46)));
        let output = format!("value {} part {} end", key.expose(), "a".repeat(46));
        assert_eq!(key.redact(&output), "value *** part *** end");
    }

    /// The first key of tests/vectors/key_format.json.
    const KEY: &str = "wafl_live_8Fh2kQ0sZp1L_mavzfVABqZ5YsOOlB1f46RfHk7hp3ILTp46QPr1i0kUC0g";

    #[test]
    fn a_key_is_found_anywhere_in_an_argument() {
        for text in [KEY.to_owned(), format!("--reason=was {KEY}"), format!("exec:echo {KEY}x|x"), format!("xx{KEY}")] {
            assert_eq!(find_key(&text).unwrap().as_str(), &KEY[..22], "{text}");
        }
        for text in ["", "wafl_live_8Fh2kQ0sZp1L", "a_live_é", &KEY[..60]] {
            assert_eq!(find_key(text), None, "{text}");
        }
    }
}
