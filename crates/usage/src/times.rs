//! What a shard tells the registry: when its keys were used, in one message a minute.

use keyward_key::id::KeyId;
use keyward_protocol::usage::{KeyTimes, MAX_KEY_TIMES};
use keyward_store::{Row, Store, StoreError, Value};

/// Returns the keys of which the registry has not confirmed the last use, oldest use first, at most [`MAX_KEY_TIMES`].
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn to_tell(store: &mut dyn Store) -> Result<Vec<KeyTimes>, StoreError> {
    let rows = store.query(
        "SELECT id, first_at, last_at, last_from FROM keys INDEXED BY keys_to_tell
         WHERE last_at > told_at ORDER BY last_at LIMIT ?",
        &[Value::Integer(MAX_KEY_TIMES.into())],
    )?;
    rows.iter().map(times_of).collect()
}

/// Returns whether [`to_tell`] would return a key.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn is_any_to_tell(store: &mut dyn Store) -> Result<bool, StoreError> {
    let rows = store.query("SELECT 1 FROM keys INDEXED BY keys_to_tell WHERE last_at > told_at LIMIT 1", &[])?;
    Ok(!rows.is_empty())
}

fn times_of(row: &Row) -> Result<KeyTimes, StoreError> {
    Ok(KeyTimes {
        id: row.parsed("id", KeyId::parse)?,
        first_at: row.millis("first_at")?,
        last_at: row.millis("last_at")?,
        from: row.optional_parsed("last_from", |text| serde_json::from_str(text).ok())?,
    })
}

/// Records that the registry has these times. A key that was used since is sent again.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn told(store: &mut dyn Store, keys: &[KeyTimes]) -> Result<(), StoreError> {
    let rows: Vec<_> = keys.iter().map(|key| (key.id.as_str(), key.last_at.0, key.first_at.0)).collect();
    store.execute(
        "UPDATE keys SET told_at = max(told_at, told.last_at) FROM (
             SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS last_at,
                    json_extract(value, '$[2]') AS first_at FROM json_each(?)
         ) AS told WHERE keys.id = told.id AND keys.first_at = told.first_at",
        &[Value::json(&rows)?],
    )
}
