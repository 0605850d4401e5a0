//! Which copies in KV are behind. A row names a key whose record is to be written; the record itself is read when it is
//! sent, so that what is sent is always the newest.

use super::keys::{record, select_keys};
use super::meta;
use super::store::{Store, StoreError, Value};
use keyward_fault::fault;
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::keyring::Generation;
use keyward_key::record::Record;
use keyward_key::time::Millis;

/// Queues the copy of `id` for KV, in the transaction under way. A later change of a key replaces the earlier.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn enqueue(store: &mut dyn Store, id: &KeyId, revision: u64) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO outbox (id, revision, attempts) VALUES (?, ?, 0)
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, attempts = 0",
        &[id.as_str().into(), Value::count(revision)?],
    )
}

/// What is to be written to KV, the oldest change first, at most `limit`, each with the revision to give to [`done`].
///
/// # Errors
/// [`StoreError`] when the store fails or a row has not its form.
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
            let record = record(row)?;
            let revision = record.revision;
            // A limit of 1 only looks.
            if fault!("a copy counts as written before KV has it") && limit > 1 {
                store.execute("DELETE FROM outbox WHERE id = ?", &[record.id.as_str().into()])?;
            }
            Ok((record, revision))
        })
        .collect()
}

/// Queues every key that is not past its end, if KV's copies were last sealed under another secret than the one named
/// `generation`: a copy sealed under a secret that is gone counts as absent. Gives whether it did. To be called at each start
/// of the object; while the secret stays it only reads.
///
/// # Errors
/// [`StoreError`] when the store fails: nothing is queued then, and the next start does it.
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

/// Queues every key that is not past its end, in the transaction under way.
pub(super) fn queue_all(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO outbox (id, revision, attempts) SELECT id, revision, 0 FROM keys WHERE expires_at > ?
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, attempts = 0",
        &[now.into()],
    )
}

/// KV has the record of `id` at `revision`, sealed under `epoch`. If the key has changed since, or a new epoch has begun, its row stays.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn done(store: &mut dyn Store, id: &KeyId, revision: u64, epoch: &Epoch) -> Result<(), StoreError> {
    if meta::epoch(store)? != *epoch {
        return Ok(());
    }
    if fault!("a copy counts as written though the key has changed") {
        return store.execute("DELETE FROM outbox WHERE id = ?", &[id.as_str().into()]);
    }
    store.execute("DELETE FROM outbox WHERE id = ? AND revision = ?", &[id.as_str().into(), Value::count(revision)?])
}

/// KV did not take the record of `id` at `revision`: counts the attempt.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn failed(store: &mut dyn Store, id: &KeyId, revision: u64) -> Result<(), StoreError> {
    store.execute(
        "UPDATE outbox SET attempts = attempts + 1 WHERE id = ? AND revision = ?",
        &[id.as_str().into(), Value::count(revision)?],
    )
}
