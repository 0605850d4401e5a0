//! The log: one entry for each change, each holding the hash of the one before. docs/STORAGE.md says how a stranger
//! checks it.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use keyward_protocol::audit::{BEFORE_THE_FIRST, Entry, Head, canonical};

use super::apply::OperationError;
use super::page::{LARGEST_AUDIT_PAGE, check_limit};
use super::store::{LARGEST_INTEGER, Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{Outcome, Rejection, RequestMeta};

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

fn entry_from_row(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
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

/// The hash of an entry; 64 zeros for number 0, `None` beyond the head.
pub(super) fn hash_of(store: &mut dyn Store, seq: u64) -> Result<Option<String>, StoreError> {
    if seq == 0 {
        return Ok(Some(BEFORE_THE_FIRST.to_owned()));
    }
    let rows = store.query("SELECT hash FROM audit WHERE seq = ?", &[Value::count(seq)?])?;
    rows.first().map(|row| row.text("hash").map(str::to_owned)).transpose()
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
        .map(entry_from_row)
        .collect()
}

/// One page of the log for a member.
pub(super) fn page(store: &mut dyn Store, after: u64, limit: u32) -> Result<Outcome, OperationError> {
    check_limit(limit, LARGEST_AUDIT_PAGE)?;
    if Value::count(after).is_err() {
        let detail = format!("Entries have numbers up to {LARGEST_INTEGER}.");
        return Err(Rejection::Invalid { field: "after".to_owned(), detail }.into());
    }
    let mut entries = audit_after(store, after, limit.saturating_add(1))?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > page;
    entries.truncate(page);
    Ok(Outcome::Audit { entries, more })
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
    pub(super) origin: &'a RequestMeta,
    /// What changed: further fields of the detail.
    pub(super) what: AuditDetail,
}

/// Further fields of an entry's detail.
pub(super) type AuditDetail = Vec<(&'static str, Json)>;

/// A view as the log shows it. By way of its text: serde's direct way is 2 KB more of the wasm, gzipped.
pub(super) fn shown(view: &impl Serialize) -> Result<Json, StoreError> {
    let text = serde_json::to_string(view);
    text.and_then(|text| serde_json::from_str(&text)).map_err(|_| StoreError::new("a view has no JSON form"))
}

/// The fields that differ between two views, `before` and `after`; `None` if none does.
pub(super) fn difference<T: Serialize>(before: &T, after: &T) -> Result<Option<AuditDetail>, StoreError> {
    let (Json::Object(old), Json::Object(new)) = (shown(before)?, shown(after)?) else {
        return Err(StoreError::new("a view is no object"));
    };
    let (old, new) = (changed_fields(&old, &new), changed_fields(&new, &old));
    let changed = !(old.is_empty() && new.is_empty());
    Ok(changed.then(|| vec![("before", Json::Object(old)), ("after", Json::Object(new))]))
}

/// The fields of `one` that `other` hasn't, or has otherwise. Made anew: taking out of a tree is 2 KB of the wasm, gzipped.
fn changed_fields(one: &Map<String, Json>, other: &Map<String, Json>) -> Map<String, Json> {
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
