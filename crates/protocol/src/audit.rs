//! The audit log's entries and their chain of hashes. docs/internals/storage.md says how a stranger checks it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

/// `previous` of the first entry.
pub const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// Member id, `bootstrap`, or `holder`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The key or member it was done to.
    pub subject: String,
    /// Whence it was asked (`request_id`, `client_address`), and what changed.
    pub detail: Map<String, Json>,
    /// `hash` of the entry before, 64 zeros for the first.
    pub previous: String,
    /// SHA-256, lower-case hex, of the RFC 8785 form of this object without `hash`.
    pub hash: String,
}

/// What `hash` is computed over. Its fields stand in the order of their names, as RFC 8785 wants them; see [`canonical`].
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

/// The RFC 8785 form of what entries hold. Their numbers are whole and below 2^53, their field names ASCII: then `serde_json`'s own
/// form is the canonical one, since its maps are sorted and it escapes what RFC 8785 escapes and nothing else. A library for the
/// general case brings tables for floats, 32 KB of the wasm gzipped; the tests have one as their judge.
pub fn canonical(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl Entry {
    /// What `hash` must be. `None` for what has no canonical form, which no entry of ours lacks.
    #[must_use]
    pub fn right_hash(&self) -> Option<String> {
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

/// The last entry known of a log: what the next one must continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 of an empty log.
    pub seq: u64,
    /// Its hash; 64 zeros of an empty log.
    pub hash: String,
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub fn empty() -> Self {
        Self { seq: 0, hash: BEFORE_THE_FIRST.to_owned() }
    }
}

/// The entry at which a log stops being a chain: changed, missing before it, or out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainBroken {
    /// The number that entry should have.
    pub seq: u64,
}

/// Checks that `entries` continue the log from `head` (from [`Head::empty`] for a whole log), and gives the new head.
/// It can't see that entries are missing at the end: compare the head with one known from elsewhere.
///
/// # Errors
/// [`ChainBroken`] at the first entry that doesn't continue the chain.
pub fn verify(head: &Head, entries: &[Entry]) -> Result<Head, ChainBroken> {
    let mut head = head.clone();
    for entry in entries {
        let seq = head.seq.saturating_add(1);
        let right =
            entry.seq == seq && entry.previous == head.hash && entry.right_hash().as_deref() == Some(&entry.hash);
        if !right {
            return Err(ChainBroken { seq });
        }
        head = Head { seq, hash: entry.hash.clone() };
    }
    Ok(head)
}
