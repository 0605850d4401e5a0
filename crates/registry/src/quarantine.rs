//! Quarantine: a key is refused after an exposure until a member releases it. A key that nobody releases in time is revoked.

use super::context::{OWN_ACTOR, record_own};
use super::due::{BATCH, DueWork};
use super::keys;
use super::meta;
use super::outbox;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::Status;

/// Time for which a quarantined key can be released, in seconds: 72 hours.
pub const RELEASE_SECONDS: i64 = 259_200;

/// Reason of a revocation at the end of a quarantine.
const REASON: &str = "Not released within 72 hours of its quarantine";

/// The due work that revokes keys at the end of their quarantine.
pub const END: DueWork = DueWork { name: "end_quarantine", next: next_end, run: end_due };

/// Quarantines a key, within the caller's transaction. The caller appends the audit entry.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn impose(store: &mut dyn Store, id: &KeyId, now: Millis) -> Result<(), StoreError> {
    write(store, id, Status::Quarantined, Some(now.plus_seconds(RELEASE_SECONDS)))
}

/// Returns whether the quarantined key in this row may still be released at `now`.
///
/// # Errors
/// [`StoreError`] when the row is malformed.
pub fn may_be_released(row: &Row, now: Millis) -> Result<bool, StoreError> {
    let is_in_time = row.optional_millis("quarantine_ends_at")?.is_some_and(|ends_at| now < ends_at);
    Ok(is_in_time && keys::status(row, now)? == Status::Quarantined)
}

/// Releases the quarantined key in this row, within the caller's transaction. It is as it was before. The caller appends the audit entry.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn release(store: &mut dyn Store, row: &Row) -> Result<(), StoreError> {
    let has_successor = row.optional_text("successor")?.is_some();
    let status = if has_successor { Status::Retiring } else { Status::Active };
    write(store, &row.parsed("id", KeyId::parse)?, status, None)
}

fn write(store: &mut dyn Store, id: &KeyId, status: Status, ends_at: Option<Millis>) -> Result<(), StoreError> {
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE keys SET state = ?, quarantine_ends_at = ?, revision = ? WHERE id = ?",
        &[status.as_str().into(), ends_at.into(), Value::count(revision)?, id.as_str().into()],
    )?;
    outbox::enqueue(store, id, revision)
}

fn next_end(store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
    let rows = store.query(
        "SELECT quarantine_ends_at FROM keys INDEXED BY keys_by_quarantine_end
         WHERE quarantine_ends_at IS NOT NULL AND state <> 'revoked' ORDER BY quarantine_ends_at LIMIT 1",
        &[],
    )?;
    rows.first().map(|row| row.millis("quarantine_ends_at")).transpose()
}

/// Revokes the keys whose quarantine has ended, expired ones included.
fn end_due(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    let rows = store.query(
        "SELECT id FROM keys INDEXED BY keys_by_quarantine_end
         WHERE quarantine_ends_at IS NOT NULL AND state <> 'revoked' AND quarantine_ends_at <= ?
         ORDER BY quarantine_ends_at LIMIT ?",
        &[now.into(), Value::Integer(BATCH.into())],
    )?;
    for row in &rows {
        let id = row.parsed("id", KeyId::parse)?;
        keys::mark_revoked(store, &id, OWN_ACTOR, REASON, now)?;
        record_own(store, now, "key.revoke", &id, vec![("reason", REASON.into())])?;
    }
    Ok(())
}
