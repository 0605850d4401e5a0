//! Numbers of texts and sources, so that a row of counts takes some twenty bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_protocol::usage::{OTHER, UsedFrom};
use keyward_store::{Row, Store, StoreError, Value, meta};

/// Maximum number of decisions and routes that an object stores. More routes than a deployment can have count as `other`.
const NAMES: u64 = 20_000;

/// Maximum number of sources that an object stores, about 200 bytes each: 200 MB. Further ones count as `other`.
const SOURCES: u64 = 1_000_000;

/// Name in `meta` of the number of sources, because `count(*)` reads every row.
const SOURCE_COUNT: &str = "sources";

/// A combination of route, client and origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source {
    /// Number of the route.
    pub route: i64,
    /// Client family.
    pub client: String,
    /// Origin.
    pub from: UsedFrom,
}

impl Source {
    /// Returns the source that stands for all that exceed a cap.
    pub fn other(route: i64) -> Self {
        let from = UsedFrom { network: Some(OTHER.to_owned()), ..UsedFrom::default() };
        Self { route, client: OTHER.to_owned(), from }
    }

    /// Returns the columns route, network, client, country and asn. They are never NULL, because NULLs are distinct in a UNIQUE constraint.
    fn columns(&self) -> (i64, &str, &str, &str, i64) {
        (
            self.route,
            self.from.network.as_deref().unwrap_or_default(),
            &self.client,
            self.from.country.as_deref().unwrap_or_default(),
            self.from.asn.map_or(-1, i64::from),
        )
    }
}

/// Reads the columns `network`, `country` and `asn`.
pub(super) fn from_row(row: &Row) -> Result<UsedFrom, StoreError> {
    let text = |column| row.text(column).map(|text| (!text.is_empty()).then(|| text.to_owned()));
    Ok(UsedFrom { network: text("network")?, country: text("country")?, asn: u32::try_from(row.integer("asn")?).ok() })
}

/// Returns the numbers of texts, after storing new ones. A text beyond [`NAMES`] gets the number of `other`.
pub(super) fn numbers_of(store: &mut dyn Store, texts: &BTreeSet<&str>) -> Result<HashMap<String, i64>, StoreError> {
    let mut found = find_names(store, texts)?;
    let mut missing: BTreeSet<&str> = texts.iter().copied().filter(|text| !found.contains_key(*text)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    // Names are never removed, so the largest number is their count.
    let rows = store.query("SELECT coalesce(max(number), 0) AS count FROM names", &[])?;
    if rows.first().map_or(Ok(0), |row| row.count("count"))? >= NAMES {
        missing = [OTHER].into();
    }
    store.execute(
        "INSERT INTO names (text) SELECT value FROM json_each(?) WHERE true ON CONFLICT (text) DO NOTHING",
        &[Value::json(&missing)?],
    )?;
    found.extend(find_names(store, &missing)?);
    if let Some(other) = found.get(OTHER).copied() {
        for text in texts {
            found.entry((*text).to_owned()).or_insert(other);
        }
    }
    Ok(found)
}

fn find_names(store: &mut dyn Store, texts: &BTreeSet<&str>) -> Result<HashMap<String, i64>, StoreError> {
    let rows = store.query(
        "SELECT number, text FROM json_each(?) AS wanted CROSS JOIN names ON names.text = wanted.value",
        &[Value::json(texts)?],
    )?;
    rows.iter().map(|row| Ok((row.text("text")?.to_owned(), row.integer("number")?))).collect()
}

/// Returns the numbers of sources, after storing new ones. Records `day` as the last day of each. Beyond [`SOURCES`], a new source gets
/// the number of its route's `other`.
pub(super) fn numbers_of_sources(
    store: &mut dyn Store,
    sources: &BTreeSet<Source>,
    day: i64,
) -> Result<BTreeMap<Source, i64>, StoreError> {
    let mut found = find_sources(store, sources)?;
    let mut missing: BTreeSet<Source> = sources.iter().filter(|source| !found.contains_key(source)).cloned().collect();
    if !missing.is_empty() {
        let stored = source_count(store)?;
        if stored >= SOURCES {
            missing = missing.iter().map(|source| Source::other(source.route)).collect();
        }
        let added = u64::try_from(missing.len()).unwrap_or(u64::MAX);
        meta::write(store, SOURCE_COUNT, stored.saturating_add(added).to_string())?;
        let rows: Vec<_> = missing.iter().map(Source::columns).collect();
        store.execute(
            "INSERT INTO sources (route, network, client, country, asn, day)
             SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
                    json_extract(value, '$[3]'), json_extract(value, '$[4]'), ?
             FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
            &[Value::Integer(day), Value::json(&rows)?],
        )?;
        found.extend(find_sources(store, &missing)?);
        for source in sources {
            if let Some(other) = found.get(&Source::other(source.route)).copied() {
                found.entry(source.clone()).or_insert(other);
            }
        }
    }
    let numbers: BTreeSet<i64> = found.values().copied().collect();
    store.execute(
        "UPDATE sources SET day = ? WHERE number IN (SELECT value FROM json_each(?)) AND day < ?",
        &[Value::Integer(day), Value::json(&numbers)?, Value::Integer(day)],
    )?;
    Ok(found)
}

/// Returns the number of sources. The value may be too large by sources that were stored before, until [`recount`].
fn source_count(store: &mut dyn Store) -> Result<u64, StoreError> {
    Ok(meta::read(store, SOURCE_COUNT)?.and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Counts the sources again, after some were removed.
pub(super) fn recount(store: &mut dyn Store) -> Result<(), StoreError> {
    let rows = store.query("SELECT count(*) AS count FROM sources", &[])?;
    let count = rows.first().map_or(Ok(0), |row| row.count("count"))?;
    meta::write(store, SOURCE_COUNT, count.to_string())
}

fn find_sources(store: &mut dyn Store, sources: &BTreeSet<Source>) -> Result<BTreeMap<Source, i64>, StoreError> {
    let columns: Vec<_> = sources.iter().map(Source::columns).collect();
    let rows = store.query(
        "SELECT number, route, network, client, country, asn FROM json_each(?) AS wanted CROSS JOIN sources
         ON route = json_extract(wanted.value, '$[0]') AND network = json_extract(wanted.value, '$[1]')
         AND client = json_extract(wanted.value, '$[2]') AND country = json_extract(wanted.value, '$[3]')
         AND asn = json_extract(wanted.value, '$[4]')",
        &[Value::json(&columns)?],
    )?;
    let source = |row: &Row| {
        let source =
            Source { route: row.integer("route")?, client: row.text("client")?.to_owned(), from: from_row(row)? };
        Ok((source, row.integer("number")?))
    };
    rows.iter().map(source).collect()
}
