//! Epochs: names of the authority's histories.

use serde::{Deserialize, Serialize};

use super::time::Millis;

/// Name of one history of the authority. Restoring the authority from a backup begins a new epoch, and the epoch that began
/// last is the valid one.
///
/// Form: `<start in milliseconds since 1970>-<random text>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch(String);

impl Epoch {
    /// Creates the name of an epoch that begins at `began`.
    #[must_use]
    pub fn new(began: Millis, random: &str) -> Self {
        Self(format!("{}-{random}", began.0))
    }

    /// Takes a stored name.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the start of the epoch, by the authority's clock. 0 for a malformed name.
    #[must_use]
    pub fn began(&self) -> Millis {
        let began = self.0.split_once('-').and_then(|(began, _)| began.parse().ok());
        Millis(began.unwrap_or_default())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
