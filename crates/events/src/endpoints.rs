//! The copy of the registry's endpoints, and how each receiver does.

use keyward_key::time::Millis;
use keyward_protocol::events::{Endpoint, EndpointNews, EndpointReport, StopReason};
use keyward_store::{Row, Store, StoreError, Value};

/// Time in which every attempt must fail for an endpoint to be stopped, in milliseconds: 5 days.
pub const STOP_AFTER_MS: i64 = 432_000_000;

/// An endpoint that receives events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledEndpoint {
    /// Id.
    pub id: String,
    /// Whether its last attempt took long: [`crate::deliveries::SLOW_MS`].
    pub is_slow: bool,
}

/// Returns the endpoints that receive events.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn enabled(store: &mut dyn Store) -> Result<Vec<EnabledEndpoint>, StoreError> {
    let rows = store.query("SELECT id, is_slow FROM endpoints WHERE is_enabled = 1", &[])?;
    rows.iter()
        .map(|row| Ok(EnabledEndpoint { id: row.text("id")?.to_owned(), is_slow: row.integer("is_slow")? != 0 }))
        .collect()
}

/// Returns an endpoint and whether it receives events.
///
/// # Errors
/// [`StoreError`] when the store fails or the row is malformed.
pub fn find(store: &mut dyn Store, id: &str) -> Result<Option<(Endpoint, bool)>, StoreError> {
    let rows = store.query("SELECT endpoint, is_enabled FROM endpoints WHERE id = ?", &[id.into()])?;
    rows.first().map(|row| Ok((endpoint(row)?, row.integer("is_enabled")? != 0))).transpose()
}

fn endpoint(row: &Row) -> Result<Endpoint, StoreError> {
    row.parsed("endpoint", |text| serde_json::from_str(text).ok())
}

/// Replaces the list, within the caller's transaction. An endpoint that is gone or receives no events any more has no pending deliveries.
/// One that this object has stopped stays so until the registry changes it.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn replace_all(store: &mut dyn Store, endpoints: &[Endpoint]) -> Result<(), StoreError> {
    let mut known = Vec::new();
    for row in store.query("SELECT id, revision FROM endpoints", &[])? {
        known.push((row.text("id")?.to_owned(), row.count("revision")?));
    }
    let is_known = |endpoint: &Endpoint| known.contains(&(endpoint.id.clone(), endpoint.revision));
    if known.len() == endpoints.len() && endpoints.iter().all(is_known) {
        return Ok(());
    }
    let ids: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.id.as_str()).collect();
    if !keyward_fault::fault!("a deleted endpoint stays") {
        store
            .execute("DELETE FROM endpoints WHERE id NOT IN (SELECT value FROM json_each(?))", &[Value::json(&ids)?])?;
    }
    for endpoint in endpoints {
        store.execute(
            "INSERT INTO endpoints (id, endpoint, revision, is_enabled, is_slow) VALUES (?, ?, ?, ?, 0)
             ON CONFLICT (id) DO UPDATE SET endpoint = excluded.endpoint, revision = excluded.revision,
                 is_enabled = excluded.is_enabled, stopped = NULL, failing_since = NULL, is_slow = 0
             WHERE revision <> excluded.revision",
            &[
                endpoint.id.as_str().into(),
                Value::json(endpoint)?,
                Value::count(endpoint.revision)?,
                Value::Integer(endpoint.enabled_since.is_some().into()),
            ],
        )?;
    }
    // Tests are attempted by the call that asks for them.
    store.execute(
        "UPDATE deliveries SET status = 'failed', next_at = NULL WHERE status = 'pending'
             AND type <> 'endpoint.test' AND endpoint NOT IN (SELECT id FROM endpoints WHERE is_enabled = 1)",
        &[],
    )
}

/// Records a delivery, within the caller's transaction.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn note_success(store: &mut dyn Store, id: &str, is_slow: bool, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "UPDATE endpoints SET failing_since = NULL, is_slow = ?,
             last_delivery_at = max(ifnull(last_delivery_at, ?), ?) WHERE id = ?",
        &[Value::Integer(is_slow.into()), now.into(), now.into(), id.into()],
    )
}

/// Records a failed attempt, within the caller's transaction. Stops the endpoint if every attempt of [`STOP_AFTER_MS`] failed, or if the
/// receiver is gone. Returns the reason if it did.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn note_failure(
    store: &mut dyn Store,
    id: &str,
    is_slow: bool,
    is_gone: bool,
    now: Millis,
) -> Result<Option<StopReason>, StoreError> {
    store.execute(
        "UPDATE endpoints SET failing_since = ifnull(failing_since, ?), is_slow = ? WHERE id = ?",
        &[now.into(), Value::Integer(is_slow.into()), id.into()],
    )?;
    let rows = store.query("SELECT failing_since, is_enabled FROM endpoints WHERE id = ?", &[id.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let since = row.optional_millis("failing_since")?.unwrap_or(now);
    let reason = match (is_gone, now.since(since) >= STOP_AFTER_MS) {
        (true, _) => StopReason::Gone,
        (false, true) => StopReason::Failing,
        (false, false) => return Ok(None),
    };
    if row.integer("is_enabled")? == 0 {
        return Ok(None);
    }
    store.execute(
        "UPDATE endpoints SET is_enabled = 0, stopped = ? WHERE id = ?",
        &[reason.as_str().into(), id.into()],
    )?;
    store.execute(
        "UPDATE deliveries SET status = 'failed', next_at = NULL
         WHERE status = 'pending' AND endpoint = ? AND type <> 'endpoint.test'",
        &[id.into()],
    )?;
    Ok(Some(reason))
}

/// Returns what the registry does not know yet; `None` if it knows everything.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn to_report(store: &mut dyn Store) -> Result<Option<EndpointReport>, StoreError> {
    let rows = store.query(
        "SELECT id, revision, last_delivery_at, stopped FROM endpoints
         WHERE stopped IS NOT NULL OR ifnull(last_delivery_at, 0) > ifnull(told_delivery_at, 0)",
        &[],
    )?;
    let endpoints = rows.iter().map(|row| {
        Ok(EndpointNews {
            id: row.text("id")?.to_owned(),
            revision: row.count("revision")?,
            last_delivery_at: row.optional_millis("last_delivery_at")?,
            stopped: row.optional_parsed("stopped", StopReason::parse)?,
        })
    });
    let endpoints = endpoints.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(if endpoints.is_empty() { None } else { Some(EndpointReport { endpoints, counters: Vec::new() }) })
}

/// Records that the registry has stored a report.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn reported(store: &mut dyn Store, report: &EndpointReport) -> Result<(), StoreError> {
    store.transaction(&mut |store| {
        for news in &report.endpoints {
            store.execute(
                "UPDATE endpoints SET told_delivery_at = ?, stopped = CASE WHEN revision = ? THEN NULL ELSE stopped END
                 WHERE id = ?",
                &[news.last_delivery_at.into(), Value::count(news.revision)?, news.id.as_str().into()],
            )?;
        }
        Ok(())
    })
}
