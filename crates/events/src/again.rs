//! Deliveries that members send again: one, or all of a range of time.

use keyward_key::id::Environment;
use keyward_key::time::Millis;
use keyward_protocol::events::{EventsResponse, TEST_TYPE};
use keyward_store::{Store, StoreError, Value};

use crate::{endpoints, list};

/// Maximum number of events of one replay.
pub const MAX_REPLAYED_EVENTS: u32 = 10_000;

/// Sends one delivery again, with a new schedule and the same `webhook-id`.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn resend(store: &mut dyn Store, delivery: i64, now: Millis) -> Result<EventsResponse, StoreError> {
    let Some(found) = list::find(store, delivery)? else { return Ok(EventsResponse::NotFound) };
    let is_enabled = endpoints::find(store, &found.endpoint)?.is_some_and(|(_, is_enabled)| is_enabled);
    if !is_enabled || found.kind == TEST_TYPE {
        return Ok(EventsResponse::NotEnabled);
    }
    store.execute(
        "UPDATE deliveries SET status = 'pending', attempts = 0, next_at = ? WHERE number = ?",
        &[now.into(), Value::Integer(delivery)],
    )?;
    let sent = list::find(store, delivery)?.unwrap_or(found);
    Ok(EventsResponse::Resent(Box::new(sent)))
}

/// Sends the events of a range of time to an endpoint again, those that it subscribes to, in one transaction. Events from before the
/// endpoint existed are among them.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn replay(
    store: &mut dyn Store,
    id: &str,
    (from, to): (Millis, Millis),
    now: Millis,
) -> Result<EventsResponse, StoreError> {
    let endpoint = match endpoints::find(store, id)? {
        Some((endpoint, true)) => endpoint,
        _ => return Ok(EventsResponse::NotEnabled),
    };
    let rows = store.query(
        "SELECT number, type, environment FROM events INDEXED BY events_by_time
         WHERE only_for IS NULL AND at >= ? AND at < ? ORDER BY at, number LIMIT ?",
        &[from.into(), to.into(), Value::Integer(i64::from(MAX_REPLAYED_EVENTS).saturating_add(1))],
    )?;
    if rows.len() > usize::try_from(MAX_REPLAYED_EVENTS).unwrap_or(usize::MAX) {
        return Ok(EventsResponse::TooMany);
    }
    let mut chosen = Vec::new();
    for row in &rows {
        let environment = row.optional_parsed("environment", Environment::parse)?;
        if endpoint.subscribes_to(row.text("type")?, environment) {
            chosen.push(row.integer("number")?);
        }
    }
    let numbers = Value::json(&chosen)?;
    store.transaction(&mut |store| {
        store.execute(
            "INSERT INTO deliveries (endpoint, event, type, status, attempts, next_at)
             SELECT ?, number, type, 'pending', 0, ? FROM events WHERE number IN (SELECT value FROM json_each(?))
             ON CONFLICT (event, endpoint) DO UPDATE SET status = 'pending', attempts = 0, next_at = excluded.next_at",
            &[id.into(), now.into(), numbers.clone()],
        )
    })?;
    Ok(EventsResponse::Replayed { count: u32::try_from(chosen.len()).unwrap_or(u32::MAX) })
}
