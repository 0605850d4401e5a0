//! What the authority knows of itself: its epoch and its counter.

use super::store::{Store, StoreError, Value};
use keyward_key::epoch::Epoch;

/// The text kept under `name`, if any.
pub(super) fn read(store: &mut dyn Store, name: &str) -> Result<Option<String>, StoreError> {
    let rows = store.query("SELECT value FROM meta WHERE name = ?", &[name.into()])?;
    rows.first().map(|row| row.text("value").map(str::to_owned)).transpose()
}

/// Keeps `value` under `name`. Always as text: see [`Store`] on integers.
pub(super) fn write(store: &mut dyn Store, name: &str, value: String) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[name.into(), Value::Text(value)],
    )
}

/// The name of this history of revisions.
///
/// # Errors
/// [`StoreError`] when the store fails or was never migrated.
pub fn epoch(store: &mut dyn Store) -> Result<Epoch, StoreError> {
    read(store, "epoch")?.map(Epoch::from_stored).ok_or_else(|| StoreError::new("no epoch in meta"))
}

/// Names a new history.
pub(super) fn write_epoch(store: &mut dyn Store, epoch: &Epoch) -> Result<(), StoreError> {
    write(store, "epoch", epoch.as_str().to_owned())
}

/// The number of the last change, 0 before the first.
///
/// # Errors
/// [`StoreError`] when the store fails or was never migrated.
pub fn revision(store: &mut dyn Store) -> Result<u64, StoreError> {
    read(store, "revision")?.and_then(|text| text.parse().ok()).ok_or_else(|| StoreError::new("no revision in meta"))
}

/// Takes the next number, for a change in the transaction under way.
///
/// # Errors
/// [`StoreError`] when the store fails or the numbers are used up.
pub fn next_revision(store: &mut dyn Store) -> Result<u64, StoreError> {
    let next = revision(store)?.checked_add(1).ok_or_else(|| StoreError::new("the revisions are used up"))?;
    write(store, "revision", next.to_string())?;
    Ok(next)
}
