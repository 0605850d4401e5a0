//! The table `meta`: single values of an object, by name.

use super::{Store, StoreError, Value};

/// Reads the value of `name`.
///
/// # Errors
/// [`StoreError`] if the store fails or was never migrated.
pub fn read(store: &mut dyn Store, name: &str) -> Result<Option<String>, StoreError> {
    let rows = store.query("SELECT value FROM meta WHERE name = ?", &[name.into()])?;
    rows.first().map(|row| row.text("value").map(str::to_owned)).transpose()
}

/// Sets the value of `name`. Always text, because a store may return integers as floats; see [`Store`].
///
/// # Errors
/// [`StoreError`] if the store fails or was never migrated.
pub fn write(store: &mut dyn Store, name: &str, value: String) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[name.into(), Value::Text(value)],
    )
}
