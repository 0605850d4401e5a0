//! The schema and its migrations. docs/internals/storage.md documents every column.

use super::meta;
use keyward_key::epoch::Epoch;
use keyward_store::migrations::{self, Schema, Step};
use keyward_store::{Store, StoreError};

/// Migration steps, each from one version of the schema to the next. Never edit a released step; add another.
const STEPS: &[Step] = &[
    FIRST,
    FEED,
    AUDIT_FILTERS,
    HANDOVER,
    SORTED,
    SORTED_IN_SIGHT,
    EXPOSURES,
    QUARANTINE,
    SESSIONS,
    CLAIMS,
    USAGE,
    IDLE,
    INCIDENTS,
    LIMITS,
    LEAKS,
    METRICS,
    EVENTS,
    PENDING_REPORTS,
    LIMITS_REACHED,
    KEY_USES,
];

/// Version of the current schema: the number of steps.
pub const VERSION: u64 = STEPS.len() as u64;

const FIRST: &[&str] = &[
    "CREATE TABLE members (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key_hash TEXT NOT NULL,
        minted_under TEXT NOT NULL,
        name TEXT NOT NULL,
        email TEXT NOT NULL,
        role TEXT NOT NULL,
        environments TEXT,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        life_days INTEGER NOT NULL,
        revoked_at INTEGER,
        revision INTEGER NOT NULL
    ) STRICT",
    // An e-mail address belongs to at most one member who is not revoked, in any ASCII case.
    "CREATE INDEX members_by_email ON members (email COLLATE NOCASE) WHERE revoked_at IS NULL",
    "CREATE TABLE keys (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key_hash TEXT NOT NULL,
        minted_under TEXT NOT NULL,
        name TEXT NOT NULL,
        integration TEXT NOT NULL,
        environment TEXT NOT NULL,
        purpose TEXT NOT NULL,
        owner TEXT NOT NULL,
        scopes TEXT NOT NULL,
        allowed_cidrs TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        rotated_from TEXT,
        successor TEXT,
        revoked_at INTEGER,
        revoked_by TEXT,
        revoke_reason TEXT,
        last_used_at INTEGER,
        revision INTEGER NOT NULL
    ) STRICT",
    // For the checks that integrations and names have at most one active key. Both filter by expiry, so many expired keys
    // cost nothing.
    "CREATE INDEX keys_active_by_integration ON keys (environment, integration, expires_at) WHERE state = 'active'",
    "CREATE INDEX keys_active_by_name ON keys (environment, name, expires_at) WHERE state = 'active'",
    // Finds keys that have expired and are not marked as such.
    "CREATE INDEX keys_by_end ON keys (expires_at) WHERE state IN ('active', 'retiring')",
    // For lists. SQLite appends `position`, the primary key, to every index, so each yields its rows in order.
    "CREATE INDEX keys_listed ON keys (environment, state)",
    "CREATE INDEX keys_listed_by_integration ON keys (environment, state, integration)",
    "CREATE INDEX keys_listed_by_owner ON keys (environment, state, owner)",
    "CREATE INDEX keys_listed_by_integration_and_owner ON keys (environment, state, integration, owner)",
    "CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL,
        previous TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT",
    "CREATE TRIGGER audit_is_never_updated BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TABLE outbox (
        id TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        attempts INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX outbox_by_revision ON outbox (revision)",
    "CREATE TABLE idempotency (
        member TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        body TEXT NOT NULL,
        nonce TEXT NOT NULL,
        minted_under TEXT NOT NULL,
        answer TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (member, fingerprint)
    ) STRICT",
    "CREATE INDEX idempotency_by_age ON idempotency (at)",
];

/// Columns and indexes of the change feed.
const FEED: &[&str] = &[
    // Latest expiry of any record of the key, after which no older copy of it is valid. Unknown, and so the maximum, for keys
    // that were changed before this column existed.
    "ALTER TABLE keys ADD COLUMN latest_end INTEGER NOT NULL DEFAULT 9007199254740991",
    "UPDATE keys SET latest_end = expires_at WHERE revision = position",
    "CREATE INDEX keys_by_revision ON keys (revision)",
    "CREATE INDEX keys_changed ON keys (latest_end) WHERE revision > position",
];

/// Indexes for the filters of the audit log, and the key or member of a stored answer.
const AUDIT_FILTERS: &[&str] = &[
    // SQLite appends `seq`, the primary key, to each index.
    "CREATE INDEX audit_by_subject ON audit (subject)",
    "CREATE INDEX audit_by_actor ON audit (actor)",
    "CREATE INDEX audit_by_action ON audit (action)",
    // NULL in rows that the previous version wrote.
    "ALTER TABLE idempotency ADD COLUMN credential TEXT",
];

/// A member's replaced credential, and whether a member with a limit registered an e-mail address.
const HANDOVER: &[&str] = &[
    "ALTER TABLE members ADD COLUMN previous_hash TEXT",
    "ALTER TABLE members ADD COLUMN previous_until INTEGER",
    "ALTER TABLE members ADD COLUMN email_by_limited INTEGER NOT NULL DEFAULT 0",
    "UPDATE members SET email_by_limited = 1 WHERE created_by IN (SELECT id FROM members WHERE environments IS NOT NULL)",
];

/// Sort orders of lists, and a retiring key's expiry before its rotation.
const SORTED: &[&str] = &[
    "CREATE INDEX keys_sorted_by_end ON keys (expires_at)",
    "CREATE INDEX keys_sorted_by_name ON keys (name COLLATE NOCASE)",
    // NULL for a key that is not retiring, or that was retired before this column existed.
    "ALTER TABLE keys ADD COLUMN own_end INTEGER",
];

/// Sort orders of lists of one environment.
const SORTED_IN_SIGHT: &[&str] = &[
    "CREATE INDEX keys_of_environment ON keys (environment)",
    "CREATE INDEX keys_of_environment_sorted_by_end ON keys (environment, expires_at)",
    "CREATE INDEX keys_of_environment_sorted_by_name ON keys (environment, name COLLATE NOCASE)",
];

/// Exposures of keys and of members' credentials.
const EXPOSURES: &[&str] = &[
    "CREATE TABLE exposures (
        position INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        at INTEGER NOT NULL,
        route TEXT,
        network TEXT
    ) STRICT",
    // SQLite appends `position`, the primary key: for lists, newest first.
    "CREATE INDEX exposures_by_subject ON exposures (subject)",
    // Finds whether this hour has one already.
    "CREATE INDEX exposures_by_kind ON exposures (subject, kind, at)",
    "ALTER TABLE keys ADD COLUMN exposed_at INTEGER",
    "ALTER TABLE keys ADD COLUMN exposure_dismissed_at INTEGER",
];

/// Quarantined keys.
const QUARANTINE: &[&str] = &[
    // Time at which the key is revoked unless it was released.
    "ALTER TABLE keys ADD COLUMN quarantine_ends_at INTEGER",
    "CREATE INDEX keys_by_quarantine_end ON keys (quarantine_ends_at)
        WHERE quarantine_ends_at IS NOT NULL AND state <> 'revoked'",
    // As the indexes of active keys: a quarantined key without a successor keeps its integration and its name.
    "CREATE INDEX keys_quarantined_by_integration ON keys (environment, integration, expires_at)
        WHERE state = 'quarantined' AND successor IS NULL",
    "CREATE INDEX keys_quarantined_by_name ON keys (environment, name, expires_at)
        WHERE state = 'quarantined' AND successor IS NULL",
    "CREATE INDEX keys_quarantined_by_end ON keys (expires_at) WHERE state = 'quarantined'",
];

/// Sessions of the console.
const SESSIONS: &[&str] = &[
    "CREATE TABLE sessions (
        token_hash TEXT PRIMARY KEY,
        member TEXT NOT NULL,
        credential_hash TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX sessions_by_member ON sessions (member, seen_at)",
    "CREATE INDEX sessions_by_end ON sessions (expires_at)",
];

/// Claims, and one index for each check of uniqueness: a pending key counts like an active one, as a quarantined key without a successor
/// does.
const CLAIMS: &[&str] = &[
    "CREATE TABLE claims (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        secret_hash TEXT NOT NULL,
        environment TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        overlap_seconds INTEGER,
        state TEXT NOT NULL,
        ended_at INTEGER
    ) STRICT",
    "CREATE INDEX claims_open_by_end ON claims (expires_at) WHERE state = 'open'",
    "CREATE INDEX claims_open ON claims (environment) WHERE state = 'open'",
    "DROP INDEX keys_active_by_integration",
    "DROP INDEX keys_active_by_name",
    "DROP INDEX keys_quarantined_by_integration",
    "DROP INDEX keys_quarantined_by_name",
    "CREATE INDEX keys_current_by_integration ON keys (environment, integration, expires_at)
        WHERE state IN ('active', 'pending', 'quarantined') AND successor IS NULL",
    "CREATE INDEX keys_current_by_name ON keys (environment, name, expires_at)
        WHERE state IN ('active', 'pending', 'quarantined') AND successor IS NULL",
];

/// First and last use of keys, and the shards of the usage object that report them.
const USAGE: &[&str] = &[
    "ALTER TABLE keys ADD COLUMN first_used_at INTEGER",
    "ALTER TABLE keys ADD COLUMN last_used_from TEXT",
    // A key that was never used sorts before all others.
    "CREATE INDEX keys_sorted_by_use ON keys (ifnull(last_used_at, 0))",
    "CREATE INDEX keys_of_environment_sorted_by_use ON keys (environment, ifnull(last_used_at, 0))",
    "CREATE TABLE usage_shards (
        shard INTEGER PRIMARY KEY,
        told_at INTEGER NOT NULL,
        complete_since INTEGER NOT NULL
    ) STRICT",
];

/// When each key is checked for disuse, and what was announced about those that are not used.
const IDLE: &[&str] = &[
    // NULL for a key that was not checked yet: its first check is a day after its issue.
    "ALTER TABLE keys ADD COLUMN idle_check_at INTEGER",
    "CREATE INDEX keys_by_idle_check ON keys (ifnull(idle_check_at, created_at + 86400000))
        WHERE state IN ('active', 'retiring')",
    "CREATE TABLE idle_keys (
        id TEXT PRIMARY KEY,
        last_at INTEGER NOT NULL,
        unused_since INTEGER NOT NULL,
        is_announced INTEGER NOT NULL,
        warned_days INTEGER,
        revoke_at INTEGER NOT NULL
    ) STRICT",
];

/// Incidents and their keys.
const INCIDENTS: &[&str] = &[
    "CREATE TABLE incidents (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        environments TEXT NOT NULL,
        kind TEXT NOT NULL,
        note TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        opened_by TEXT NOT NULL,
        reviewed_at INTEGER,
        reviewed_by TEXT,
        finding TEXT,
        closed_at INTEGER,
        closed_by TEXT
    ) STRICT",
    "CREATE INDEX incidents_by_environments ON incidents (environments)",
    "CREATE TABLE incident_keys (
        incident TEXT NOT NULL,
        key_id TEXT NOT NULL,
        successor TEXT,
        PRIMARY KEY (incident, key_id)
    ) STRICT",
];
/// Counters of metrics.
const METRICS: &[&str] = &[keyward_store::counters::TABLE];

/// Limits of keys.
const LIMITS: &[&str] = &[
    // NULL for a key without its own limits, to which DEFAULT_LIMITS apply.
    "ALTER TABLE keys ADD COLUMN limits TEXT",
    // First key of the chain of rotations. NULL for that key itself.
    "ALTER TABLE keys ADD COLUMN limit_group TEXT",
    // Number of the last change of the limits; NULL if they were never changed.
    "ALTER TABLE keys ADD COLUMN limit_revision INTEGER",
];

/// Leak reports, and the keys in each.
const LEAKS: &[&str] = &[
    "CREATE TABLE leaks (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        found_at INTEGER,
        note TEXT
    ) STRICT",
    "CREATE TABLE leak_items (
        leak INTEGER NOT NULL,
        number INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        place TEXT,
        was_active INTEGER NOT NULL,
        integration TEXT,
        owner TEXT NOT NULL,
        environment TEXT,
        scopes TEXT NOT NULL,
        revoked_at INTEGER,
        last_used_before INTEGER,
        PRIMARY KEY (leak, number)
    ) STRICT",
    "CREATE INDEX leak_items_by_key ON leak_items (key_id)",
];

/// Events that the events object does not know yet, endpoints, and the order in which keys end.
const EVENTS: &[&str] = &[
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, event TEXT) STRICT",
    "CREATE TABLE endpoints (
        position INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        url TEXT NOT NULL,
        description TEXT NOT NULL,
        types TEXT,
        environments TEXT,
        has_hmac INTEGER NOT NULL,
        status TEXT NOT NULL,
        disabled_reason TEXT,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        tested_at INTEGER,
        enabled_since INTEGER,
        secret TEXT,
        previous_secret TEXT,
        last_delivery_at INTEGER,
        revision INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX keys_ending ON keys (expires_at) WHERE state NOT IN ('revoked', 'pending')",
];

/// Reports of GitHub that wait for its list of keys.
const PENDING_REPORTS: &[&str] = &["CREATE TABLE pending_reports (
        digest TEXT PRIMARY KEY,
        received_at INTEGER NOT NULL,
        report TEXT NOT NULL
    ) STRICT"];

/// Limits that were reached.
const LIMITS_REACHED: &[&str] = &[
    // Names of the limits that were announced as reached, each with the time. NULL if none was.
    "ALTER TABLE keys ADD COLUMN limits_reached TEXT",
];

/// What keys are used for, which shards tell it, and since when a key has its scopes.
const KEY_USES: &[&str] = &[
    "CREATE TABLE key_uses (
        id TEXT PRIMARY KEY,
        routes TEXT NOT NULL,
        wide_day INTEGER,
        wide_networks INTEGER,
        scopes_since INTEGER
    ) STRICT",
    // NULL until the shard tells routes.
    "ALTER TABLE usage_shards ADD COLUMN routes_since INTEGER",
];

/// Nothing older was released. The later step adds a table and a column that may be NULL.
const SCHEMA: Schema = Schema { steps: STEPS, oldest: 19 };

/// Migrates the store to the current schema, in one transaction. The object calls this first at each start. Only reads if the
/// store is up to date.
///
/// `epoch` is the first epoch of a new store. It is ignored if the store exists.
///
/// # Errors
/// [`StoreError`] if the store fails or has a newer schema that this version cannot use.
pub fn migrate(store: &mut dyn Store, epoch: &Epoch) -> Result<(), StoreError> {
    migrations::migrate(store, &SCHEMA, &mut |store| {
        meta::write_epoch(store, epoch)?;
        meta::write(store, "revision", "0".to_owned())
    })
}
