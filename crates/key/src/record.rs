//! The record of a key. The registry writes it, KV holds a sealed copy, and the gate decides by it.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::hash::KeyHash;
use super::id::KeyId;
use super::keyring::Generation;
use super::limit::Limit;
use super::scope::Scope;
use crate::time::Millis;

/// A key's record. Its JSON is a stored form: see docs/internals/storage.md before changing a field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Record {
    /// Key id.
    pub id: KeyId,
    /// Hash of the key's text.
    pub key_hash: KeyHash,
    /// Name of the secret that the key was minted under.
    pub minted_under: Generation,
    /// Slug of the integration that the key was issued to.
    pub integration: String,
    /// Scopes of the key.
    pub scopes: Vec<Scope>,
    /// Networks that the key may be used from; empty means any.
    pub allowed_cidrs: Vec<IpNet>,
    /// Expiry in milliseconds since 1970. The key is expired from this instant on.
    pub expires_at: Millis,
    /// Whether the key has a successor and works only until `expires_at`; responses to its holder say so. Final once true.
    pub retiring: bool,
    /// Whether the key is revoked. Final once true.
    pub revoked: bool,
    /// Number of the change that led to this state. A lower number is an older state.
    pub revision: u64,
    /// Present while the key is quarantined, and so refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Quarantined>,
    /// The key's own limits. Absent: `DEFAULT_LIMITS` apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<OwnLimits>,
    /// First key of the chain of rotations, with which the key shares what it uses of its limits. Absent: this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_group: Option<KeyId>,
    /// Number of the last change of the limits; 0 if they were never changed. Keys of a group apply those of the latest change.
    #[serde(default, skip_serializing_if = "crate::version::is_default")]
    pub limit_revision: u64,
}

/// Limits of one key. Unless there are none, they contain the number of the first reader that enforces them, so that older readers refuse the
/// record instead of letting everything through: see [`crate::version`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLimits {
    /// The limits.
    pub limits: Vec<Limit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_reader: Option<u64>,
}

impl OwnLimits {
    /// Creates the form for a record.
    #[must_use]
    pub const fn new(limits: Vec<Limit>) -> Self {
        let min_reader = crate::version::third_reader(!limits.is_empty());
        Self { limits, min_reader }
    }
}

/// Mark of a quarantined key. It contains the number of the first reader that knows it, so that older readers refuse the record instead of
/// accepting the key: see [`crate::version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Always 3.
    min_reader: u64,
}

impl Quarantined {
    /// Creates the mark for a key that is or is not quarantined.
    #[must_use]
    pub const fn when(is_quarantined: bool) -> Option<Self> {
        if is_quarantined { Some(Self { min_reader: 3 }) } else { None }
    }
}
