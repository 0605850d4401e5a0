//! The authority's epoch and revision counter in the table `meta`.

use keyward_key::epoch::Epoch;
use keyward_store::{Store, StoreError};

pub(super) use keyward_store::meta::{read, write};

/// Reads the current epoch.
///
/// # Errors
/// [`StoreError`] if the store fails or was never migrated.
pub fn epoch(store: &mut dyn Store) -> Result<Epoch, StoreError> {
    read(store, "epoch")?.map(Epoch::from_stored).ok_or_else(|| StoreError::new("no epoch in meta"))
}

/// Sets the current epoch.
pub(super) fn write_epoch(store: &mut dyn Store, epoch: &Epoch) -> Result<(), StoreError> {
    write(store, "epoch", epoch.as_str().to_owned())
}

/// Reads the number of the last change; 0 before the first.
///
/// # Errors
/// [`StoreError`] if the store fails or was never migrated.
pub fn revision(store: &mut dyn Store) -> Result<u64, StoreError> {
    read(store, "revision")?.and_then(|text| text.parse().ok()).ok_or_else(|| StoreError::new("no revision in meta"))
}

/// Increments the revision counter for a change, within the caller's transaction, and returns the new number.
///
/// # Errors
/// [`StoreError`] if the store fails or the counter overflows.
pub fn next_revision(store: &mut dyn Store) -> Result<u64, StoreError> {
    let next = revision(store)?.checked_add(1).ok_or_else(|| StoreError::new("the revision counter overflowed"))?;
    write(store, "revision", next.to_string())?;
    Ok(next)
}
