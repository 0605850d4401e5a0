//! Limits of keys: those of keys without their own, and the keys that share what they use of them.

use super::meta;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::limit::Limit;

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
