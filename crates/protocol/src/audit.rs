//! Entries of the audit log and their hash chain. docs/internals/storage.md describes how an outsider verifies it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

/// Hash of an empty log, and so `previous` of the first entry.
pub const EMPTY_LOG_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Sequence number: starts at 1, no gaps.
    pub seq: u64,
    /// Time of the change: RFC 3339, UTC, milliseconds.
    pub at: String,
    /// Member id, `bootstrap`, or `holder`.
    pub actor: String,
    /// Name of the action, such as `key.issue`.
    pub action: String,
    /// Id of the key or member that was changed.
    pub subject: String,
    /// The request (`request_id`, `client_address`) and the changed fields.
    pub detail: Map<String, Json>,
    /// `hash` of the previous entry; 64 zeros in the first.
    pub previous: String,
    /// SHA-256 of the RFC 8785 form of this object without `hash`, in lower-case hex.
    pub hash: String,
}

/// Input of `hash`. The fields are in alphabetical order, as RFC 8785 requires; see [`canonical`].
#[derive(Serialize)]
struct Hashed<'a> {
    action: &'a str,
    actor: &'a str,
    at: &'a str,
    detail: &'a Map<String, Json>,
    previous: &'a str,
    seq: u64,
    subject: &'a str,
}

/// Returns the RFC 8785 form of an entry's content. `None` if it cannot be written as JSON.
///
/// Numbers in entries are integers below 2^53 and field names are ASCII. `serde_json`'s output is then canonical: its maps are
/// sorted, and it escapes exactly the characters that RFC 8785 escapes. A general library would add tables for floats, 32 KB of
/// gzipped wasm, so only the tests compare with one.
pub fn canonical(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl Entry {
    /// Computes the hash that this entry must have. `None` if the entry has no canonical form; every entry that the registry
    /// writes has one.
    #[must_use]
    pub fn expected_hash(&self) -> Option<String> {
        let canonical = canonical(&Hashed {
            action: &self.action,
            actor: &self.actor,
            at: &self.at,
            detail: &self.detail,
            previous: &self.previous,
            seq: self.seq,
            subject: &self.subject,
        })?;
        Some(hex::encode(Sha256::digest(&canonical)))
    }
}

/// Last known entry of a log. The next entry must continue it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence number; 0 for an empty log.
    pub seq: u64,
    /// Hash; 64 zeros for an empty log.
    pub hash: String,
}

impl Head {
    /// Returns the head of an empty log.
    #[must_use]
    pub fn empty() -> Self {
        Self { seq: 0, hash: EMPTY_LOG_HASH.to_owned() }
    }
}

/// A log is not one chain: an entry was changed, removed or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainBroken {
    /// Sequence number expected at the break.
    pub seq: u64,
}

/// Checks that `entries` continue the log after `head` ([`Head::empty`] for a whole log) and returns the new head.
/// Entries removed from the end go unnoticed: compare the head with a signed checkpoint.
///
/// # Errors
/// [`ChainBroken`] at the first entry that does not continue the chain.
pub fn verify(head: &Head, entries: &[Entry]) -> Result<Head, ChainBroken> {
    let mut head = head.clone();
    for entry in entries {
        let seq = head.seq.saturating_add(1);
        let right =
            entry.seq == seq && entry.previous == head.hash && entry.expected_hash().as_deref() == Some(&entry.hash);
        if !right {
            return Err(ChainBroken { seq });
        }
        head = Head { seq, hash: entry.hash.clone() };
    }
    Ok(head)
}
