//! Migration of an object's tables, step by step.

use super::{Store, StoreError, meta};

/// Statements of one step, from one version of the schema to the next. A released step is never edited.
pub type Step = &'static [&'static str];

/// The tables of an object, as the steps that make them.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// All steps. Their number is the version of the schema.
    pub steps: &'static [Step],
    /// Oldest version of the schema whose code can still use a store of this one. A deployment can be rolled back so far. A step that adds a
    /// table, or a column with a default, leaves it as it is; any other step raises it to its own number.
    pub oldest: usize,
}

/// Migrates the store to the current schema, in one transaction. An object calls this first at each start. Only reads if the store is
/// up to date. `first` runs on a new store, before its first step, with only the table `meta`.
///
/// # Errors
/// [`StoreError`] if the store fails or has a newer schema that this version cannot use.
pub fn migrate(
    store: &mut dyn Store,
    schema: &Schema,
    first: &mut dyn FnMut(&mut dyn Store) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    store.transaction(&mut |store| {
        // Durable Objects do not allow PRAGMA user_version, so the version is in a table.
        store.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT", &[])?;
        let version = number(store, "schema")?.unwrap_or_default();
        let supported = schema.steps.len();
        let Some(due) = schema.steps.get(version..) else {
            let oldest = number(store, "schema_oldest")?.unwrap_or(version);
            if oldest <= supported {
                return Ok(());
            }
            return Err(StoreError::new(format!(
                "the store has schema {version}, which needs a version of Keyward with schema {oldest} or later; this one has {supported}"
            )));
        };
        if version == 0 {
            first(store)?;
        }
        for statement in due.iter().copied().flatten() {
            store.execute(statement, &[])?;
        }
        if !due.is_empty() {
            meta::write(store, "schema", supported.to_string())?;
            meta::write(store, "schema_oldest", schema.oldest.to_string())?;
        }
        Ok(())
    })
}

fn number(store: &mut dyn Store, name: &str) -> Result<Option<usize>, StoreError> {
    let text = meta::read(store, name)?;
    text.map(|text| text.parse().map_err(|_| StoreError::new(format!("`{name}` in meta is not a number")))).transpose()
}
