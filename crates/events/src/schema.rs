//! The schema and its migrations. docs/internals/storage.md documents every column.

use keyward_store::migrations::{self, Schema, Step};
use keyward_store::{Store, StoreError};

/// Migration steps. Never edit a released step; add another.
const STEPS: &[Step] = &[FIRST];

/// Nothing older was released.
const SCHEMA: Schema = Schema { steps: STEPS, oldest: STEPS.len() };

const FIRST: &[&str] = &[
    "CREATE TABLE endpoints (
        id TEXT PRIMARY KEY,
        endpoint TEXT NOT NULL,
        revision INTEGER NOT NULL,
        is_enabled INTEGER NOT NULL,
        is_slow INTEGER NOT NULL,
        failing_since INTEGER,
        last_delivery_at INTEGER,
        told_delivery_at INTEGER,
        stopped TEXT
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        type TEXT NOT NULL,
        environment TEXT,
        only_for TEXT,
        body TEXT NOT NULL,
        received_at INTEGER NOT NULL
    ) STRICT",
    // For replays, and for the removal of old events.
    "CREATE INDEX events_by_time ON events (at) WHERE only_for IS NULL",
    "CREATE INDEX events_by_age ON events (received_at)",
    "CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL,
        event INTEGER NOT NULL,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        next_at INTEGER,
        UNIQUE (event, endpoint)
    ) STRICT",
    "CREATE INDEX deliveries_due ON deliveries (endpoint, next_at) WHERE status = 'pending'",
    "CREATE INDEX deliveries_next ON deliveries (next_at) WHERE status = 'pending'",
    // SQLite appends `number`, the primary key, to each: for lists, newest first.
    "CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint)",
    "CREATE INDEX deliveries_by_type ON deliveries (type)",
    "CREATE INDEX deliveries_by_status ON deliveries (status)",
    "CREATE TABLE attempts (
        number INTEGER PRIMARY KEY,
        delivery INTEGER NOT NULL,
        at INTEGER NOT NULL,
        status INTEGER,
        error TEXT,
        duration_ms INTEGER
    ) STRICT",
    "CREATE INDEX attempts_by_delivery ON attempts (delivery)",
];

/// Migrates the store to the current schema, in one transaction. Only reads if it is up to date.
///
/// # Errors
/// [`StoreError`] if the store fails or has a newer schema that this version cannot use.
pub fn migrate(store: &mut dyn Store) -> Result<(), StoreError> {
    migrations::migrate(store, &SCHEMA, &mut |_| Ok(()))
}
