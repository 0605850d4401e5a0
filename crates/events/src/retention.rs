//! Removal of old events with their deliveries and attempts.

use keyward_key::time::Millis;
use keyward_store::{Store, StoreError, Value};

/// Time for which events, deliveries and attempts are kept, in milliseconds: 30 days.
pub const KEPT_MS: i64 = 2_592_000_000;

/// Additional time for which a pending delivery keeps its event, in milliseconds: 7 days. A delivery that was sent again on the last day of
/// [`KEPT_MS`] has enough time for its attempts, which take about 3 days. Without this maximum, the backlog of a receiver that rarely answers
/// would only grow.
pub const PENDING_KEPT_MS: i64 = 604_800_000;

/// Maximum number of events that one transaction removes.
const BATCH: i64 = 500;

/// Removes events that are older than [`KEPT_MS`], each with its deliveries and attempts, in one transaction. One with a pending
/// delivery stays until that has ended, for [`PENDING_KEPT_MS`] at most. Returns whether there may be more.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn remove_old(store: &mut dyn Store, now: Millis) -> Result<bool, StoreError> {
    let before = Millis(now.0.saturating_sub(KEPT_MS));
    let rows = store.query(
        "SELECT number FROM events INDEXED BY events_by_age WHERE received_at < ?
             AND (received_at < ?
                 OR NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.number AND status = 'pending'))
         ORDER BY received_at LIMIT ?",
        &[before.into(), Millis(before.0.saturating_sub(PENDING_KEPT_MS)).into(), Value::Integer(BATCH)],
    )?;
    if rows.is_empty() {
        return Ok(false);
    }
    let numbers = rows.iter().map(|row| row.integer("number")).collect::<Result<Vec<_>, _>>()?;
    let is_full = i64::try_from(numbers.len()).is_ok_and(|count| count == BATCH);
    let numbers = [Value::json(&numbers)?];
    store.transaction(&mut |store| {
        for sql in [
            "DELETE FROM attempts WHERE delivery IN (SELECT number FROM deliveries
                 WHERE event IN (SELECT value FROM json_each(?)))",
            "DELETE FROM deliveries WHERE event IN (SELECT value FROM json_each(?))",
            "DELETE FROM events WHERE number IN (SELECT value FROM json_each(?))",
        ] {
            store.execute(sql, &numbers)?;
        }
        Ok(())
    })?;
    Ok(is_full)
}

/// Returns the time at which the oldest event is to be removed.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn next_at(store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
    let rows =
        store.query("SELECT received_at FROM events INDEXED BY events_by_age ORDER BY received_at LIMIT 1", &[])?;
    let oldest = rows.first().map(|row| row.millis("received_at")).transpose()?;
    Ok(oldest.map(|oldest| Millis(oldest.0.saturating_add(KEPT_MS))))
}
