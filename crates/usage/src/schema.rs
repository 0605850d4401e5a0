//! The schema and its migrations. docs/internals/storage.md documents every column.

use keyward_store::migrations::{self, Schema, Step};
use keyward_store::{Store, StoreError};

/// Migration steps. Never edit a released step; add another.
const STEPS: &[Step] = &[FIRST, METRICS, WAITING];

/// Nothing older was released.
const SCHEMA: Schema = Schema { steps: STEPS, oldest: STEPS.len() };

const FIRST: &[&str] = &[
    "CREATE TABLE isolates (
        name TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        seen_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX isolates_by_age ON isolates (seen_at)",
    "CREATE TABLE keys (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        integration TEXT NOT NULL,
        environment TEXT NOT NULL,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        last_from TEXT,
        told_at INTEGER NOT NULL
    ) STRICT",
    // Keys of which the registry has not confirmed the last use.
    "CREATE INDEX keys_to_tell ON keys (last_at) WHERE last_at > told_at",
    "CREATE INDEX keys_by_age ON keys (last_at)",
    // Decisions, and routes.
    "CREATE TABLE names (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE sources (
        number INTEGER PRIMARY KEY,
        route INTEGER NOT NULL,
        network TEXT NOT NULL,
        client TEXT NOT NULL,
        country TEXT NOT NULL,
        asn INTEGER NOT NULL,
        day INTEGER NOT NULL,
        UNIQUE (route, network, client, country, asn)
    ) STRICT",
    "CREATE INDEX sources_by_age ON sources (day)",
    // What a key was seen with on a day, for the caps.
    "CREATE TABLE seen (
        day INTEGER NOT NULL,
        key INTEGER NOT NULL,
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (day, key, kind, text)
    ) STRICT, WITHOUT ROWID",
    // Time first, so that old rows are a range.
    "CREATE TABLE minutes (
        at INTEGER NOT NULL,
        key INTEGER NOT NULL,
        decision INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (at, key, decision)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE hours (
        at INTEGER NOT NULL,
        key INTEGER NOT NULL,
        source INTEGER NOT NULL,
        decision INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (at, key, source, decision)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE days (
        at INTEGER NOT NULL,
        key INTEGER NOT NULL,
        route INTEGER NOT NULL,
        decision INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (at, key, route, decision)
    ) STRICT, WITHOUT ROWID",
];

/// Counters of metrics, and the latest gauges of isolates.
const METRICS: &[&str] = &[
    keyward_store::counters::TABLE,
    "CREATE TABLE gauges (
        family TEXT NOT NULL,
        labels TEXT NOT NULL,
        value INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (family, labels)
    ) STRICT, WITHOUT ROWID",
];

/// Reports wait to be added up together. Each index row of `isolates` would be paid for with each report.
const WAITING: &[&str] = &[
    "CREATE TABLE waiting (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, report TEXT NOT NULL) STRICT",
    "DROP INDEX isolates_by_age",
];

/// Migrates the store to the current schema, in one transaction. Only reads if it is up to date.
///
/// # Errors
/// [`StoreError`] if the store fails or has a newer schema that this version cannot use.
pub fn migrate(store: &mut dyn Store) -> Result<(), StoreError> {
    migrations::migrate(store, &SCHEMA, &mut |_| Ok(()))
}
