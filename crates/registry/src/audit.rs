//! The audit log: one entry for each change, each with the hash of the entry before. docs/internals/storage.md says how to verify it.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use keyward_protocol::audit::{EMPTY_LOG_HASH, Entry, Head, canonical};

use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::RequestMeta;

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

/// Returns the hash of an entry: 64 zeros for number 0, `None` beyond the head.
pub(super) fn hash_of(store: &mut dyn Store, seq: u64) -> Result<Option<String>, StoreError> {
    if seq == 0 {
        return Ok(Some(EMPTY_LOG_HASH.to_owned()));
    }
    let rows = store.query("SELECT hash FROM audit WHERE seq = ?", &[Value::count(seq)?])?;
    rows.first().map(|row| row.text("hash").map(str::to_owned)).transpose()
}

/// Returns the entries after `seq`, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] when the store fails or an entry is malformed.
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

/// Returns the number and hash of the newest entry.
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

/// A change to append to the log.
pub(super) struct Change<'a> {
    pub(super) at: Millis,
    pub(super) actor: &'a str,
    pub(super) action: &'static str,
    pub(super) subject: &'a KeyId,
    pub(super) request: &'a RequestMeta,
    pub(super) detail: AuditDetail,
}

/// Fields of an entry's detail that say what changed.
pub type AuditDetail = Vec<(&'static str, Json)>;

/// Returns a view as the log shows it.
///
/// # Errors
/// [`StoreError`] when the view has no JSON form, which every view of ours has.
pub fn shown(view: &impl Serialize) -> Result<Json, StoreError> {
    // Through the text: the direct conversion costs 2 KB of the wasm, gzipped.
    let text = serde_json::to_string(view);
    text.and_then(|text| serde_json::from_str(&text)).map_err(|_| StoreError::new("a view has no JSON form"))
}

/// Returns the fields that differ between two views as `before` and `after`; `None` if none does.
///
/// # Errors
/// [`StoreError`] when a view is no JSON object, which every view of ours is.
pub fn difference<T: Serialize>(before: &T, after: &T) -> Result<Option<AuditDetail>, StoreError> {
    let (Json::Object(old), Json::Object(new)) = (shown(before)?, shown(after)?) else {
        return Err(StoreError::new("a view is no object"));
    };
    let (old, new) = (changed_fields(&old, &new), changed_fields(&new, &old));
    let changed = !(old.is_empty() && new.is_empty());
    Ok(changed.then(|| vec![("before", Json::Object(old)), ("after", Json::Object(new))]))
}

/// Returns the fields of `one` that `other` lacks or has with another value.
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
    detail.insert("request_id".to_owned(), change.request.request_id.as_str().into());
    detail.insert("client_address".to_owned(), change.request.client_address.as_deref().into());
    detail.extend(change.detail.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let mut entry = Entry {
        seq: last.seq.saturating_add(1),
        at: change.at.rfc3339(),
        actor: change.actor.to_owned(),
        action: change.action.to_owned(),
        subject: change.subject.to_string(),
        detail,
        previous: last.hash,
        hash: String::new(),
    };
    let unwritable = || StoreError::new("an audit entry has no canonical form");
    entry.hash = entry.expected_hash().ok_or_else(unwritable)?;
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
