//! Limits of keys: those of keys without their own, the keys that share what they use of them, and the announcement that one was reached.

use std::collections::BTreeMap;

use super::audit::{self, Change};
use super::context::OWN_ACTOR;
use super::keys;
use super::meta;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::limit::{LIMITS, Limit, Span};
use keyward_key::time::Millis;
use keyward_protocol::{ANNOUNCE_INTERVAL_MS, LimitedReport, RequestMeta, Response, Status};

/// Returns the limits of keys without their own.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn default_limits(store: &mut dyn Store) -> Result<Vec<Limit>, StoreError> {
    let stored = meta::read(store, DEFAULT_LIMITS)?;
    stored.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(|_| StoreError::corrupt("default_limits", "a list of limits"))
    })
}

/// Stores the limits of keys without their own, which views show. Writes only after a change of the setting.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn follow_default_limits(store: &mut dyn Store, limits: &[Limit]) -> Result<(), StoreError> {
    if default_limits(store).is_ok_and(|stored| stored == limits) {
        return Ok(());
    }
    let text = serde_json::to_string(limits).map_err(|_| StoreError::new("the limits have no JSON form"))?;
    meta::write(store, DEFAULT_LIMITS, text)
}

/// Name in the table `meta`. The query for keys reads it too.
const DEFAULT_LIMITS: &str = "default_limits";

/// Keys that share what they use of their limits: a chain of rotations.
pub struct LimitGroup {
    /// The first key of the chain.
    pub first: KeyId,
    /// Number of the last change of the limits.
    pub revision: u64,
}

/// Returns the limit group of the key in this row.
///
/// # Errors
/// [`StoreError`] when the row is malformed.
pub fn limit_group(row: &Row) -> Result<LimitGroup, StoreError> {
    let first = match row.optional_parsed("limit_group", KeyId::parse)? {
        Some(first) => first,
        None => row.parsed("id", KeyId::parse)?,
    };
    Ok(LimitGroup { first, revision: limit_revision(row)? })
}

pub(super) fn limit_revision(row: &Row) -> Result<u64, StoreError> {
    let number = row.optional_integer("limit_revision")?.unwrap_or_default();
    u64::try_from(number).map_err(|_| StoreError::corrupt("limit_revision", "an integer from 0"))
}

/// Records that change `revision` changed the limits of a key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn set_limit_revision(store: &mut dyn Store, id: &KeyId, revision: u64) -> Result<(), StoreError> {
    let values = [Value::count(revision)?, id.as_str().into()];
    store.execute("UPDATE keys SET limit_revision = ? WHERE id = ?", &values)
}

/// Announces in the audit log, and so as an event, that limits of a key were reached: each limit once an hour. A report about a key that is
/// unknown or final has no effect; the answer is the same.
///
/// # Errors
/// [`StoreError`] when the store fails: nothing was announced.
pub fn note_reached(store: &mut dyn Store, report: &LimitedReport, now: Millis) -> Result<Response, StoreError> {
    let Some(row) = keys::find(store, &report.id)? else { return Ok(Response::Reported) };
    if matches!(keys::status(&row, now)?, Status::Expired | Status::Revoked | Status::Pending) {
        return Ok(Response::Reported);
    }
    let stored = row.optional_parsed("limits_reached", |text| serde_json::from_str(text).ok())?;
    let mut announced: BTreeMap<String, i64> = stored.unwrap_or_default();
    announced.retain(|_, at| (0..ANNOUNCE_INTERVAL_MS).contains(&now.since(Millis(*at))));
    let mut reached = Vec::new();
    for limit in report.limits.iter().take(LIMITS) {
        if !announced.contains_key(limit.name()) {
            announced.insert(limit.name().to_owned(), now.0);
            reached.push(limit);
        }
    }
    if reached.is_empty() {
        return Ok(Response::Reported);
    }
    let text = serde_json::to_string(&announced).map_err(|_| StoreError::new("names have no JSON form"))?;
    store.transaction(&mut |store| {
        store.execute(
            "UPDATE keys SET limits_reached = ? WHERE id = ?",
            &[text.as_str().into(), report.id.as_str().into()],
        )?;
        reached.iter().try_for_each(|limit| announce(store, report, limit, now))
    })?;
    Ok(Response::Reported)
}

/// Appends the audit entry of a limit that was reached. The client's address is not in it: it only happened to come last.
fn announce(store: &mut dyn Store, report: &LimitedReport, limit: &Limit, now: Millis) -> Result<(), StoreError> {
    let meta = RequestMeta { request_id: report.request_id.clone(), client_address: None };
    let span = match limit.span() {
        Span::Seconds(seconds) => ("seconds", seconds.into()),
        Span::Period(period) => ("period", period.as_str().into()),
    };
    let detail = vec![("limit", limit.name().into()), ("requests", limit.requests().into()), span];
    let (subject, request) = (report.id.as_str(), Some(&meta));
    audit::append(store, Change { at: now, actor: OWN_ACTOR, action: "key.reach_limit", subject, request, detail })
}
