//! The outbox: keys whose copy in KV is out of date. A row holds the key's id only. The object reads the record when it writes
//! the copy, so it always writes the newest state.

use super::keys::{record, select_keys};
use super::meta;
use super::store::{Store, StoreError, Value};
use keyward_fault::fault;
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::keyring::Generation;
use keyward_key::record::Record;
use keyward_key::time::Millis;

/// Queues the copy of `id` for KV, within the caller's transaction. A later change of the key replaces the row. A key without a secret
/// has no copy.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn enqueue(store: &mut dyn Store, id: &KeyId, revision: u64) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO outbox (id, revision, attempts) SELECT id, ?, 0 FROM keys WHERE id = ? AND key_hash <> ''
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, attempts = 0",
        &[Value::count(revision)?, id.as_str().into()],
    )
}

/// Returns at most `limit` records to write to KV, the oldest change first, each with the revision to pass to [`done`].
///
/// # Errors
/// [`StoreError`] if the store fails or a row is malformed.
pub fn pending(store: &mut dyn Store, limit: u32) -> Result<Vec<(Record, u64)>, StoreError> {
    store
        .query(
            select_keys!(
                "JOIN (SELECT id, revision FROM outbox ORDER BY revision LIMIT ?) AS due ON due.id = keys.id \
                 ORDER BY due.revision"
            ),
            &[Value::Integer(i64::from(limit))],
        )?
        .iter()
        .map(|row| {
            let record = record(row)?.ok_or_else(|| StoreError::new("a key without a secret has a copy to write"))?;
            let revision = record.revision;
            // With a limit of 1 the caller only checks whether the outbox is empty.
            if fault!("a copy counts as written before KV has it") && limit > 1 {
                store.execute("DELETE FROM outbox WHERE id = ?", &[record.id.as_str().into()])?;
            }
            Ok((record, revision))
        })
        .collect()
}

/// Queues every unexpired key if the copies in KV were last sealed under another secret than `generation`, because a copy sealed
/// under a removed secret counts as absent. Returns whether it did. The object calls this at each start; while the secret stays
/// the same this only reads.
///
/// # Errors
/// [`StoreError`] if the store fails. Nothing is queued then, and the next start tries again.
pub fn refill(store: &mut dyn Store, generation: &Generation, now: Millis) -> Result<bool, StoreError> {
    const SEALED_UNDER: &str = "sealed_under";
    if meta::read(store, SEALED_UNDER)?.as_deref() == Some(generation.as_str()) {
        return Ok(false);
    }
    store.transaction(&mut |store| {
        queue_all(store, now)?;
        meta::write(store, SEALED_UNDER, generation.as_str().to_owned())
    })?;
    Ok(true)
}

/// Queues every unexpired key that has a secret, within the caller's transaction.
pub(super) fn queue_all(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO outbox (id, revision, attempts) SELECT id, revision, 0 FROM keys
             WHERE expires_at > ? AND key_hash <> ''
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, attempts = 0",
        &[now.into()],
    )
}

/// Removes the row of `id` after KV has stored the record of `revision`, sealed for `epoch`. Keeps the row if the key has changed
/// since or a new epoch has begun.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn done(store: &mut dyn Store, id: &KeyId, revision: u64, epoch: &Epoch) -> Result<(), StoreError> {
    if meta::epoch(store)? != *epoch {
        return Ok(());
    }
    if fault!("a copy counts as written though the key has changed") {
        return store.execute("DELETE FROM outbox WHERE id = ?", &[id.as_str().into()]);
    }
    store.execute("DELETE FROM outbox WHERE id = ? AND revision = ?", &[id.as_str().into(), Value::count(revision)?])
}

/// Counts a failed write of the record of `id` at `revision`.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn failed(store: &mut dyn Store, id: &KeyId, revision: u64) -> Result<(), StoreError> {
    store.execute(
        "UPDATE outbox SET attempts = attempts + 1 WHERE id = ? AND revision = ?",
        &[id.as_str().into(), Value::count(revision)?],
    )
}
