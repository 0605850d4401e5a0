//! The name of one history of the authority.

use serde::{Deserialize, Serialize};

use super::time::Millis;

/// A history of the authority: another one begins when it was restored from a backup. Of two, the one that began later counts.
///
/// `<milliseconds since 1970 at its beginning>-<random text>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch(String);

impl Epoch {
    /// The epoch that begins at `began`.
    #[must_use]
    pub fn new(began: Millis, random: &str) -> Self {
        Self(format!("{}-{random}", began.0))
    }

    /// From what was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// When it began, by the authority's clock.
    #[must_use]
    pub fn began(&self) -> Millis {
        let began = self.0.split_once('-').and_then(|(began, _)| began.parse().ok());
        Millis(began.unwrap_or_default())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
