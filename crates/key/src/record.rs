//! What the gate must know of a key. The registry makes it, KV holds a sealed copy, the gate decides by it.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::hash::KeyHash;
use super::id::KeyId;
use super::keyring::Generation;
use super::scope::Scope;
use crate::time::Millis;

/// A key's record. Its JSON is a stored form: see docs/internals/storage.md before changing a field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Record {
    /// The key's public name.
    pub id: KeyId,
    /// HMAC of its text up to the secret, hex.
    pub key_hash: KeyHash,
    /// The secret that hash was made under.
    pub minted_under: Generation,
    /// The integration it was issued to.
    pub integration: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// From where; empty means from anywhere.
    pub allowed_cidrs: Vec<IpNet>,
    /// From this instant on it is expired. Milliseconds since 1970.
    pub expires_at: Millis,
    /// It has a successor, and goes on only until `expires_at`: its answers say so. Final once true.
    pub retiring: bool,
    /// Final once true.
    pub revoked: bool,
    /// The authority's number for the change that made this state; a lower one is an older state.
    pub revision: u64,
}
