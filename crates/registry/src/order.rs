//! Orders of a list of keys.

use serde::{Deserialize, Serialize};

/// Field by which a list of keys is sorted. Keys with equal values are in the order of their creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    /// Time of issue.
    CreatedAt,
    /// Time of expiry.
    ExpiresAt,
    /// Name, ignoring the case of ASCII letters.
    Name,
    /// Time of the last use. A key that was never used comes first in ascending order.
    LastUsedAt,
}

/// Order of a list of keys. The default is newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOrder {
    /// Sort field.
    pub by: SortKey,
    /// Whether the order is descending.
    pub descending: bool,
}

impl Default for KeyOrder {
    fn default() -> Self {
        Self { by: SortKey::CreatedAt, descending: true }
    }
}

impl KeyOrder {
    /// Every order.
    pub const ALL: [Self; 8] = {
        const fn order(by: SortKey, descending: bool) -> KeyOrder {
            KeyOrder { by, descending }
        }
        [
            order(SortKey::CreatedAt, false),
            order(SortKey::CreatedAt, true),
            order(SortKey::ExpiresAt, false),
            order(SortKey::ExpiresAt, true),
            order(SortKey::Name, false),
            order(SortKey::Name, true),
            order(SortKey::LastUsedAt, false),
            order(SortKey::LastUsedAt, true),
        ]
    };

    /// Returns the name in queries: the field, with a leading `-` for descending order.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match (self.by, self.descending) {
            (SortKey::CreatedAt, false) => "created_at",
            (SortKey::CreatedAt, true) => "-created_at",
            (SortKey::ExpiresAt, false) => "expires_at",
            (SortKey::ExpiresAt, true) => "-expires_at",
            (SortKey::Name, false) => "name",
            (SortKey::Name, true) => "-name",
            (SortKey::LastUsedAt, false) => "last_used_at",
            (SortKey::LastUsedAt, true) => "-last_used_at",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == text)
    }
}
