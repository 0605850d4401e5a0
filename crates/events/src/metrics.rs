//! Metrics of the events object: gauges of its deliveries.

use keyward_key::time::Millis;
use keyward_protocol::metrics::{EVENT_OLDEST, EVENTS_PENDING, Sample};
use keyward_store::{Store, StoreError};

/// Label of deliveries, beside the registry's `outbox`.
const STAGE: [(&str, &str); 1] = [("stage", "delivery")];

/// Returns every sample. Reads each pending delivery once, from an index.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn read(store: &mut dyn Store, now: Millis) -> Result<Vec<Sample>, StoreError> {
    let rows = store.query(
        "SELECT count, (SELECT at FROM events WHERE number = first) AS oldest
         FROM (SELECT count(*) AS count, min(event) AS first FROM deliveries WHERE status = 'pending')",
        &[],
    )?;
    let row = rows.first().ok_or_else(|| StoreError::new("a count has no row"))?;
    let oldest_ms = row.optional_millis("oldest")?.map_or(0, |at| now.since(at).max(0));
    Ok(vec![
        Sample::new(EVENTS_PENDING, &STAGE, row.count("count")?),
        Sample::new(EVENT_OLDEST, &STAGE, u64::try_from(oldest_ms).unwrap_or_default()),
    ])
}
