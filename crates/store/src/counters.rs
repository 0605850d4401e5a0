//! Counters of metrics that survive an object's restarts: the table `counters`.

use std::collections::BTreeMap;

use keyward_key::time::Millis;

use super::{Store, StoreError, Value};

/// Creates the table, in a migration step of the object that has counters.
pub const TABLE: &str = "CREATE TABLE counters (
    family TEXT NOT NULL,
    labels TEXT NOT NULL,
    value INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (family, labels)
) STRICT, WITHOUT ROWID";

/// Maximum number of series of one family in one object. Increases of further series are added to the one that the caller names.
pub const SERIES: u64 = 2_000;

/// Increase of one series: family, labels, count.
pub type Increase = (String, String, u64);

/// One stored series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Name of the family.
    pub family: String,
    /// Labels.
    pub labels: String,
    /// Sum of the increases.
    pub value: u64,
    /// Time of the first increase.
    pub since: Millis,
}

/// Adds increases, within the caller's transaction. `overflow` receives the family and the labels of a series that exceeds [`SERIES`], and
/// returns the labels of the series that stands for it.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn add(
    store: &mut dyn Store,
    mut increases: Vec<Increase>,
    overflow: impl Fn(&str, &str) -> String,
    now: Millis,
) -> Result<(), StoreError> {
    if increases.is_empty() {
        return Ok(());
    }
    let unknown = store.query(
        "SELECT json_extract(value, '$[0]') AS family, json_extract(value, '$[1]') AS labels FROM json_each(?)
         WHERE NOT EXISTS (SELECT 1 FROM counters WHERE family = json_extract(value, '$[0]')
             AND labels = json_extract(value, '$[1]'))",
        &[Value::json(&increases)?],
    )?;
    if !unknown.is_empty() {
        let known = store.query(
            "SELECT family, count(*) AS count FROM counters
             WHERE family IN (SELECT json_extract(value, '$[0]') FROM json_each(?)) GROUP BY family",
            &[Value::json(&increases)?],
        )?;
        let mut series = BTreeMap::new();
        for row in &known {
            series.insert(row.text("family")?, row.count("count")?);
        }
        for row in &unknown {
            let (family, labels) = (row.text("family")?, row.text("labels")?);
            let count = series.entry(family).or_default();
            if *count < SERIES {
                *count = count.saturating_add(1);
                continue;
            }
            let folded = overflow(family, labels);
            for increase in increases.iter_mut().filter(|increase| increase.0 == family && increase.1 == labels) {
                increase.1.clone_from(&folded);
            }
        }
    }
    store.execute(
        "INSERT INTO counters (family, labels, value, since)
         SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), ?
         FROM json_each(?) WHERE true
         ON CONFLICT (family, labels) DO UPDATE SET value = value + excluded.value",
        &[now.into(), Value::json(&increases)?],
    )
}

/// Adds increases of families whose labels have a fixed set of values, within the caller's transaction. [`SERIES`] does not apply.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn add_fixed(store: &mut dyn Store, increases: Vec<Increase>, now: Millis) -> Result<(), StoreError> {
    add(store, increases, |_, labels| labels.to_owned(), now)
}

/// Returns every series, in order of family and labels.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn read(store: &mut dyn Store) -> Result<Vec<Counter>, StoreError> {
    let rows = store.query("SELECT family, labels, value, since FROM counters ORDER BY family, labels", &[])?;
    let counter = |row: &super::Row| {
        Ok(Counter {
            family: row.text("family")?.to_owned(),
            labels: row.text("labels")?.to_owned(),
            value: row.count("value")?,
            since: row.millis("since")?,
        })
    };
    rows.iter().map(counter).collect()
}
