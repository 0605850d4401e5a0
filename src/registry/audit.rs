//! The log: one entry for each change, each holding the hash of the one before. docs/STORAGE.md says how a stranger
//! checks it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::apply::Halt;
use super::command::{Done, Provenance, Refused};
use super::page::{LARGEST_AUDIT_PAGE, check_limit};
use super::store::{LARGEST_INTEGER, Row, Store, StoreError, Value};
use crate::key::id::KeyId;
use crate::time::Millis;

/// `previous` of the first entry.
pub const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What an entry says was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The first owner was made.
    Bootstrap,
    /// A key was issued.
    KeyIssue,
    /// A key was changed.
    KeyUpdate,
    /// A key was given a successor.
    KeyRotate,
    /// A key was revoked.
    KeyRevoke,
    /// A member was made.
    MemberCreate,
    /// A member was changed.
    MemberUpdate,
    /// A member was given a new credential.
    MemberRotate,
    /// A member was revoked.
    MemberRevoke,
}

impl Action {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::KeyIssue => "key.issue",
            Self::KeyUpdate => "key.update",
            Self::KeyRotate => "key.rotate",
            Self::KeyRevoke => "key.revoke",
            Self::MemberCreate => "member.create",
            Self::MemberUpdate => "member.update",
            Self::MemberRotate => "member.rotate",
            Self::MemberRevoke => "member.revoke",
        }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
fn canonical(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl Entry {
    /// What `hash` must be. `None` for what has no canonical form, which no entry of ours lacks.
    fn right_hash(&self) -> Option<String> {
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

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.count("seq")?,
            at: row.text("at")?.to_owned(),
            actor: row.text("actor")?.to_owned(),
            action: row.text("action")?.to_owned(),
            subject: row.text("subject")?.to_owned(),
            detail: row.parsed("detail", |text| serde_json::from_str(text).ok())?,
            previous: row.text("previous")?.to_owned(),
            hash: row.text("hash")?.to_owned(),
        })
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

/// The hash of an entry; 64 zeros for number 0, `None` beyond the head.
pub(super) fn hash_of(store: &mut dyn Store, seq: u64) -> Result<Option<String>, StoreError> {
    if seq == 0 {
        return Ok(Some(BEFORE_THE_FIRST.to_owned()));
    }
    let rows = store.query("SELECT hash FROM audit WHERE seq = ?", &[Value::count(seq)?])?;
    rows.first().map(|row| row.text("hash").map(str::to_owned)).transpose()
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

/// The entries after `seq`, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] when the store fails or an entry has not its form.
pub fn audit_after(store: &mut dyn Store, seq: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    store
        .query(
            "SELECT seq, at, actor, action, subject, detail, previous, hash
             FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
            &[Value::count(seq)?, Value::Integer(i64::from(limit))],
        )?
        .iter()
        .map(Entry::from_row)
        .collect()
}

/// One page of the log for a member.
pub(super) fn page(store: &mut dyn Store, after: u64, limit: u32) -> Result<Done, Halt> {
    check_limit(limit, LARGEST_AUDIT_PAGE)?;
    if Value::count(after).is_err() {
        let detail = format!("Entries have numbers up to {LARGEST_INTEGER}.");
        return Err(Refused::Invalid { field: "after".to_owned(), detail }.into());
    }
    let mut entries = audit_after(store, after, limit.saturating_add(1))?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > page;
    entries.truncate(page);
    Ok(Done::Audit { entries, more })
}

/// The newest entry's number and hash.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn head(store: &mut dyn Store) -> Result<Head, StoreError> {
    let rows = store.query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", &[])?;
    rows.first().map_or_else(
        || Ok(Head::empty()),
        |row| Ok(Head { seq: row.count("seq")?, hash: row.text("hash")?.to_owned() }),
    )
}

/// A change, as the log will tell it.
pub(super) struct Change<'a> {
    pub(super) at: Millis,
    pub(super) actor: &'a str,
    pub(super) action: Action,
    pub(super) subject: &'a KeyId,
    pub(super) origin: &'a Provenance,
    /// What changed: further fields of the detail.
    pub(super) what: What,
}

/// Further fields of an entry's detail.
pub(super) type What = Vec<(&'static str, Json)>;

/// A view as the log shows it. By way of its text: serde's direct way is 2 KB more of the wasm, gzipped.
pub(super) fn shown(view: &impl Serialize) -> Result<Json, StoreError> {
    let text = serde_json::to_string(view);
    text.and_then(|text| serde_json::from_str(&text)).map_err(|_| StoreError::new("a view has no JSON form"))
}

/// The fields that differ between two views, `before` and `after`; `None` if none does.
pub(super) fn difference<T: Serialize>(before: &T, after: &T) -> Result<Option<What>, StoreError> {
    let (Json::Object(old), Json::Object(new)) = (shown(before)?, shown(after)?) else {
        return Err(StoreError::new("a view is no object"));
    };
    let (old, new) = (apart(&old, &new), apart(&new, &old));
    let changed = !(old.is_empty() && new.is_empty());
    Ok(changed.then(|| vec![("before", Json::Object(old)), ("after", Json::Object(new))]))
}

/// The fields of `one` that `other` hasn't, or has otherwise. Made anew: taking out of a tree is 2 KB of the wasm, gzipped.
fn apart(one: &Map<String, Json>, other: &Map<String, Json>) -> Map<String, Json> {
    let mut fields = Map::new();
    for (name, value) in one.iter().filter(|(name, value)| other.get(*name) != Some(value)) {
        fields.insert(name.clone(), value.clone());
    }
    fields
}

/// Appends the entry of a change, in the transaction under way.
pub(super) fn append(store: &mut dyn Store, change: Change<'_>) -> Result<(), StoreError> {
    let last = head(store)?;
    let mut detail = Map::new();
    detail.insert("request_id".to_owned(), change.origin.request_id.as_str().into());
    detail.insert("client_address".to_owned(), change.origin.client_address.as_deref().into());
    detail.extend(change.what.into_iter().map(|(name, what)| (name.to_owned(), what)));
    let mut entry = Entry {
        seq: last.seq.saturating_add(1),
        at: change.at.rfc3339(),
        actor: change.actor.to_owned(),
        action: change.action.as_str().to_owned(),
        subject: change.subject.to_string(),
        detail,
        previous: last.hash,
        hash: String::new(),
    };
    let unwritable = || StoreError::new("an audit entry has no canonical form");
    entry.hash = entry.right_hash().ok_or_else(unwritable)?;
    let detail = canonical(&entry.detail).ok_or_else(unwritable)?;
    store.execute(
        "INSERT INTO audit (seq, at, actor, action, subject, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            Value::count(entry.seq)?,
            entry.at.into(),
            entry.actor.into(),
            entry.action.into(),
            entry.subject.into(),
            detail.into(),
            entry.previous.into(),
            entry.hash.into(),
        ],
    )
}
