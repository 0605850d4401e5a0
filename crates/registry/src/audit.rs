//! The audit log: one entry for each change, containing the hash of the previous entry. docs/internals/storage.md describes the
//! verification.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use keyward_protocol::audit::{EMPTY_LOG_HASH, Entry, Head, canonical};

use super::events;
use super::page::PAGE_BYTES;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::time::Millis;
use keyward_protocol::RequestMeta;

/// Selects the columns that [`entry_from_row`] reads.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!("SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ", $rest)
    };
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

/// Returns the hash of an entry: 64 zeros for number 0, `None` beyond the head.
pub(super) fn hash_of(store: &mut dyn Store, seq: u64) -> Result<Option<String>, StoreError> {
    if seq == 0 {
        return Ok(Some(EMPTY_LOG_HASH.to_owned()));
    }
    let rows = store.query("SELECT hash FROM audit WHERE seq = ?", &[Value::count(seq)?])?;
    rows.first().map(|row| row.text("hash").map(str::to_owned)).transpose()
}

/// Returns at most `limit` entries after `seq`, oldest first, without a size limit in bytes. For tests: [`page`] is bounded in bytes.
///
/// # Errors
/// [`StoreError`] when the store fails or an entry is malformed.
pub fn audit_after(store: &mut dyn Store, seq: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    store
        .query(
            select_entries!("WHERE seq > ? ORDER BY seq LIMIT ?"),
            &[Value::count(seq)?, Value::Integer(i64::from(limit))],
        )?
        .iter()
        .map(entry_from_row)
        .collect()
}

/// Filter of the log; `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// Key or member that was changed.
    pub subject: Option<String>,
    /// Member id, `bootstrap` or `holder`.
    pub actor: Option<String>,
    /// Name of the change.
    pub action: Option<String>,
}

impl AuditFilter {
    /// Returns whether the filter matches every entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A page of the log.
#[derive(Debug)]
pub struct AuditPage {
    /// Entries, oldest first.
    pub entries: Vec<Entry>,
    /// Number of the entry after which the next page begins; `None` at the end.
    pub next: Option<u64>,
}

/// Maximum number of entries that one page reads with several filters. The page may then be short or empty although more entries
/// follow.
pub const SCANNED_ENTRIES: u32 = 2_000;

/// Maximum size of an entry's JSON in bytes, without its detail.
const ENTRY_BYTES: u64 = 512;

macro_rules! scan {
    ($index:literal, $of_index:literal) => {
        concat!(
            "SELECT seq, octet_length(detail) AS bytes,
                 (? IS NULL OR subject = ?) AND (? IS NULL OR actor = ?) AND (? IS NULL OR action = ?) AS fits
             FROM audit ",
            $index,
            " WHERE ",
            $of_index,
            "seq > ? ORDER BY seq LIMIT ?"
        )
    };
}

/// Returns the page of the entries after `seq` that match the filter: at most `limit`, and about [`super::page::PAGE_BYTES`].
///
/// Each filter has an index, so a page with one filter reads about as many rows as it shows. With several filters it reads the index of
/// the first one of subject, actor and action, at most [`SCANNED_ENTRIES`] entries.
///
/// # Errors
/// [`StoreError`] when the store fails or an entry is malformed.
pub fn page(store: &mut dyn Store, filter: &AuditFilter, seq: u64, limit: u32) -> Result<AuditPage, StoreError> {
    let AuditFilter { subject, actor, action } = filter;
    let filters = [subject, actor, action];
    let sql = match filters.map(Option::is_some) {
        [true, _, _] => scan!("INDEXED BY audit_by_subject", "subject = ? AND "),
        [false, true, _] => scan!("INDEXED BY audit_by_actor", "actor = ? AND "),
        [false, false, true] => scan!("INDEXED BY audit_by_action", "action = ? AND "),
        [false, false, false] => scan!("", ""),
    };
    let several = filters.into_iter().flatten().count() > 1;
    let scanned = if several { SCANNED_ENTRIES } else { limit.saturating_add(1) };
    let mut parameters: Vec<Value> =
        filters.iter().flat_map(|value| [Value::from(value.as_deref()), Value::from(value.as_deref())]).collect();
    parameters.extend(filters.into_iter().flatten().next().map(|value| Value::from(value.as_str())));
    parameters.extend([Value::count(seq)?, Value::Integer(i64::from(scanned))]);
    let rows = store.query(sql, &parameters)?;

    let (mut chosen, mut bytes, mut last, mut next) = (Vec::new(), 0_u64, seq, None);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    for row in &rows {
        let number = row.count("seq")?;
        if row.count("fits")? != 0 {
            bytes = bytes.saturating_add(row.count("bytes")?).saturating_add(ENTRY_BYTES);
            if chosen.len() == most || (!chosen.is_empty() && bytes > PAGE_BYTES) {
                next = Some(last);
                break;
            }
            chosen.push(number);
        }
        last = number;
    }
    if next.is_none() && several && u32::try_from(rows.len()).is_ok_and(|count| count == scanned) {
        next = Some(last);
    }
    Ok(AuditPage { entries: entries(store, &chosen)?, next })
}

/// Returns the entries with these numbers.
fn entries(store: &mut dyn Store, numbers: &[u64]) -> Result<Vec<Entry>, StoreError> {
    let chosen = serde_json::to_string(numbers).map_err(|_| StoreError::new("numbers have no JSON form"))?;
    store
        .query(select_entries!("WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"), &[chosen.into()])?
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
    pub(super) subject: &'a str,
    /// `None` for due work, which no request causes.
    pub(super) request: Option<&'a RequestMeta>,
    pub(super) detail: AuditDetail,
}

/// Fields of an entry's detail that describe the change.
pub type AuditDetail = Vec<(&'static str, Json)>;

/// Returns a view in the form of the log.
///
/// # Errors
/// [`StoreError`] if the view cannot be serialized, which does not happen for our views.
pub fn shown(view: &impl Serialize) -> Result<Json, StoreError> {
    // Converted through text: the direct conversion costs 2 KB of gzipped wasm.
    let text = serde_json::to_string(view);
    text.and_then(|text| serde_json::from_str(&text)).map_err(|_| StoreError::new("a view has no JSON form"))
}

/// Returns the difference between two views; `None` if they are equal. A field that is a list in both views is reported as `added` and
/// `removed`, or as `reordered`, since it may be long; any other field as `before` and `after`.
///
/// # Errors
/// [`StoreError`] if a view is not a JSON object, which does not happen for our views.
pub fn difference<T: Serialize>(before: &T, after: &T) -> Result<Option<AuditDetail>, StoreError> {
    match (shown(before)?, shown(after)?) {
        (Json::Object(old), Json::Object(new)) => Ok(difference_of_objects(old, new)),
        _ => Err(StoreError::new("a view is no object")),
    }
}

fn difference_of_objects(mut old: Map<String, Json>, mut new: Map<String, Json>) -> Option<AuditDetail> {
    let (mut added, mut removed, mut reordered) = (Map::new(), Map::new(), Vec::new());
    for (name, value) in &mut old {
        let Some(Json::Array(present)) = new.get_mut(name) else { continue };
        let Json::Array(past) = value else { continue };
        let (past, present) = (std::mem::take(past), std::mem::take(present));
        let (gone, come) = (lacking(&past, &present), lacking(&present, &past));
        if gone.is_empty() && come.is_empty() && past != present {
            reordered.push(Json::from(name.as_str()));
        }
        for (list, fields) in [(gone, &mut removed), (come, &mut added)] {
            if !list.is_empty() {
                fields.insert(name.clone(), Json::Array(list));
            }
        }
    }
    let (old, new) = (changed_fields(&old, &new), changed_fields(&new, &old));
    let mut detail: AuditDetail = Vec::new();
    if !(old.is_empty() && new.is_empty()) {
        detail.extend([("before", Json::Object(old)), ("after", Json::Object(new))]);
    }
    for (name, fields) in [("added", added), ("removed", removed)] {
        if !fields.is_empty() {
            detail.push((name, Json::Object(fields)));
        }
    }
    if !reordered.is_empty() {
        detail.push(("reordered", Json::Array(reordered)));
    }
    (!detail.is_empty()).then_some(detail)
}

/// Returns the items of `one` that `other` lacks. Avoids quadratic time.
fn lacking(one: &[Json], other: &[Json]) -> Vec<Json> {
    let known: HashSet<&Json> = other.iter().collect();
    one.iter().filter(|item| !known.contains(item)).cloned().collect()
}

/// Returns the fields of `one` that `other` lacks or has with another value.
fn changed_fields(one: &Map<String, Json>, other: &Map<String, Json>) -> Map<String, Json> {
    let mut fields = Map::new();
    for (name, value) in one.iter().filter(|(name, value)| other.get(*name) != Some(value)) {
        fields.insert(name.clone(), value.clone());
    }
    fields
}

/// Returns whether a subject has an entry of an action after the first and not after the second instant.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn has_entry(
    store: &mut dyn Store,
    action: &str,
    subject: &str,
    (after, until): (Millis, Millis),
) -> Result<bool, StoreError> {
    let rows = store.query(
        "SELECT seq FROM audit INDEXED BY audit_by_subject WHERE subject = ? AND action = ? AND at > ? AND at <= ? LIMIT 1",
        &[subject.into(), action.into(), after.rfc3339().into(), until.rfc3339().into()],
    )?;
    Ok(!rows.is_empty())
}

/// Appends the entry of a change and writes its event, if it has one, within the caller's transaction.
pub(super) fn append(store: &mut dyn Store, change: Change<'_>) -> Result<(), StoreError> {
    let last = head(store)?;
    let mut detail = Map::new();
    if let Some(request) = change.request {
        detail.insert("request_id".to_owned(), request.request_id.as_str().into());
        detail.insert("client_address".to_owned(), request.client_address.as_deref().into());
    }
    detail.extend(change.detail.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let mut entry = Entry {
        seq: last.seq.saturating_add(1),
        at: change.at.rfc3339(),
        actor: change.actor.to_owned(),
        action: change.action.to_owned(),
        subject: change.subject.to_owned(),
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
            entry.at.as_str().into(),
            entry.actor.as_str().into(),
            entry.action.as_str().into(),
            entry.subject.as_str().into(),
            detail.into(),
            entry.previous.as_str().into(),
            entry.hash.as_str().into(),
        ],
    )?;
    events::note(store, &entry, change.at)
}
