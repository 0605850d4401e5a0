//! Migration of an object's tables, step by step.

use super::{Store, StoreError, meta};

/// Statements of one step, from one version of the schema to the next. A released step is never edited.
pub type Step = &'static [&'static str];

/// Migrates the store to the current schema, in one transaction. An object calls this first at each start. Only reads if the store is
/// up to date. `first` runs on a new store, before its first step, with only the table `meta`.
///
/// # Errors
/// [`StoreError`] if the store fails or has a newer schema.
pub fn migrate(
    store: &mut dyn Store,
    steps: &[Step],
    first: &mut dyn FnMut(&mut dyn Store) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    store.transaction(&mut |store| {
        // Durable Objects do not allow PRAGMA user_version, so the version is in a table.
        store.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT", &[])?;
        let version = match meta::read(store, "schema")? {
            None => 0,
            Some(text) => {
                text.parse::<usize>().map_err(|_| StoreError::new("the version of the schema is not a number"))?
            }
        };
        let Some(due) = steps.get(version..) else {
            return Err(StoreError::new(format!(
                "the store has schema {version}; this version supports up to {}",
                steps.len()
            )));
        };
        if version == 0 {
            first(store)?;
        }
        for statement in due.iter().copied().flatten() {
            store.execute(statement, &[])?;
        }
        if !due.is_empty() {
            meta::write(store, "schema", steps.len().to_string())?;
        }
        Ok(())
    })
}
