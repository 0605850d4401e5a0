//! The stored row of a key, and its two forms: the view for responses, and the record for the gate.

use super::attributes::{self, attribute_columns, attribute_placeholders};
use super::claims::{self, ClaimState};
use super::context::OperationError;
use super::key_limits::{self, LimitGroup};
use super::meta;
use super::outbox;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::record::{OwnLimits, Quarantined, Record};
use keyward_key::time::Millis;
use keyward_protocol::{KeyAttributes, KeyView, NewCredential, Rejection, Status};

/// Selects the columns that [`view`] and [`record`] read.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT keys.position, keys.id, key_hash, minted_under, ",
            crate::attributes::attribute_columns!(),
            ", state, created_at, created_by, expires_at, rotated_from, successor, revoked_at, \
             revoked_by, revoke_reason, first_used_at, last_used_at, last_used_from, exposed_at, \
             exposure_dismissed_at, quarantine_ends_at, limit_group, limit_revision, limits_reached, \
             coalesce(limits, (SELECT value FROM meta WHERE name = 'default_limits'), '[]') AS applied_limits, \
             keys.revision FROM keys ",
            $rest
        )
    };
}
pub(super) use select_keys;

/// Returns the record of a key for the gate, including expired and revoked keys. `None` for a key without a secret, which counts as
/// unknown.
///
/// # Errors
/// [`StoreError`] when the store fails or the row is malformed. An error never means "no such key".
pub fn lookup(store: &mut dyn Store, id: &KeyId) -> Result<Option<Record>, StoreError> {
    find(store, id)?.as_ref().map_or(Ok(None), record)
}

/// Returns the row of a key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Row>, StoreError> {
    let rows = store.query(select_keys!("WHERE id = ?"), &[id.as_str().into()])?;
    Ok(rows.into_iter().next())
}

/// Returns the rows at these positions, in their order. `positions` is a JSON list.
pub(super) fn at_positions(store: &mut dyn Store, positions: Value) -> Result<Vec<Row>, StoreError> {
    store.query(select_keys!("WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position"), &[positions])
}

/// Returns the row of a key that this operation has just written.
///
/// # Errors
/// [`StoreError`] when the store fails or has no such row.
pub fn get_written(store: &mut dyn Store, id: &KeyId) -> Result<Row, StoreError> {
    find(store, id)?.ok_or_else(|| StoreError::new("a key just written is not there"))
}

/// Returns the attributes of a key as they are stored: without own limits, `limits` is `None`. A view shows those that apply.
///
/// # Errors
/// [`StoreError`] when the row is malformed.
pub fn attributes(row: &Row) -> Result<KeyAttributes, StoreError> {
    attributes::from_row(row)
}

/// Returns the environment of a key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn environment(store: &mut dyn Store, id: &KeyId) -> Result<Option<Environment>, StoreError> {
    let rows = store.query("SELECT environment FROM keys WHERE id = ?", &[id.as_str().into()])?;
    rows.first().map(|row| row.parsed("environment", Environment::parse)).transpose()
}

/// Returns the expiry that a retiring key had before its rotation; `None` if it is unknown.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn own_end(store: &mut dyn Store, id: &KeyId) -> Result<Option<Millis>, StoreError> {
    let rows = store.query("SELECT own_end FROM keys WHERE id = ?", &[id.as_str().into()])?;
    rows.first().map_or(Ok(None), |row| row.optional_millis("own_end"))
}

/// Returns the active or pending key of an integration in an environment. A quarantined key counts as active unless it has a successor.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn current_of_integration(
    store: &mut dyn Store,
    environment: Environment,
    integration: &str,
    now: Millis,
) -> Result<Option<KeyId>, StoreError> {
    let rows = store.query(
        "SELECT id FROM keys INDEXED BY keys_current_by_integration
         WHERE environment = ? AND integration = ? AND expires_at > ?
             AND state IN ('active', 'pending', 'quarantined') AND successor IS NULL LIMIT 1",
        &[environment.as_str().into(), integration.into(), now.into()],
    )?;
    rows.first().map(|row| row.parsed("id", KeyId::parse)).transpose()
}

/// Returns an active or pending key of an environment that has this name and belongs to another integration than `integration`. The
/// keys of one integration are a key and the successor that waits for its claim, which share their name. A quarantined key counts as
/// active unless it has a successor.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn other_of_name(
    store: &mut dyn Store,
    environment: Environment,
    name: &str,
    integration: &str,
    now: Millis,
) -> Result<Option<KeyId>, StoreError> {
    let rows = store.query(
        "SELECT id FROM keys INDEXED BY keys_current_by_name
         WHERE environment = ? AND name = ? AND expires_at > ? AND integration <> ?
             AND state IN ('active', 'pending', 'quarantined') AND successor IS NULL LIMIT 1",
        &[environment.as_str().into(), name.into(), now.into(), integration.into()],
    )?;
    rows.first().map(|row| row.parsed("id", KeyId::parse)).transpose()
}

/// Returns the successor of a key that waits for its claim.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn pending_successor(store: &mut dyn Store, key: &KeyView, now: Millis) -> Result<Option<KeyId>, StoreError> {
    let KeyAttributes { environment, integration, .. } = &key.attributes;
    let rows = store.query(
        "SELECT id FROM keys INDEXED BY keys_current_by_integration
         WHERE environment = ? AND integration = ? AND expires_at > ? AND rotated_from = ? AND state = 'pending'
             AND state IN ('active', 'pending', 'quarantined') AND successor IS NULL LIMIT 1",
        &[environment.as_str().into(), integration.as_str().into(), now.into(), key.id.as_str().into()],
    )?;
    rows.first().map(|row| row.parsed("id", KeyId::parse)).transpose()
}

/// A key to insert: a new one, or a successor.
pub struct NewKey<'a> {
    /// The key's id.
    pub id: &'a KeyId,
    /// The credential that the isolate minted; `None` for a key that waits for its claim.
    pub credential: Option<&'a NewCredential>,
    /// The attributes that a member chose.
    pub attributes: &'a KeyAttributes,
    /// Instant of creation.
    pub created_at: Millis,
    /// Member who created it.
    pub created_by: &'a KeyId,
    /// Expiry.
    pub expires_at: Millis,
    /// The key that it replaces.
    pub rotated_from: Option<&'a KeyId>,
    /// The limits that a successor shares with its predecessors.
    pub limit_group: Option<LimitGroup>,
    /// Number of the change.
    pub revision: u64,
}

/// Refuses an id that already exists. An id of another environment is an internal fault.
///
/// # Errors
/// [`Rejection::IdTaken`], or a failure of the store.
pub fn check_new_id(store: &mut dyn Store, id: &KeyId, environment: Environment) -> Result<(), OperationError> {
    if id.class() != Class::Data(environment) {
        return Err(StoreError::new("a key's id does not name its environment").into());
    }
    if find(store, id)?.is_some() { Err(Rejection::IdTaken.into()) } else { Ok(()) }
}

/// Inserts the row of a new key: active, or pending if it has no credential yet.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn insert(store: &mut dyn Store, key: &NewKey<'_>) -> Result<(), StoreError> {
    let revision = Value::count(key.revision)?;
    let (key_hash, minted_under, status) = match key.credential {
        Some(credential) => (credential.key_hash.to_hex(), credential.minted_under.as_str(), Status::Active),
        None => (String::new(), "", Status::Pending),
    };
    let mut values = vec![revision.clone(), key.id.as_str().into(), key_hash.into(), minted_under.into()];
    values.extend(attributes::stored(key.attributes)?);
    values.extend([
        status.as_str().into(),
        key.created_at.into(),
        key.created_by.as_str().into(),
        key.expires_at.into(),
        key.expires_at.into(),
        key.rotated_from.map(KeyId::as_str).into(),
        key.limit_group.as_ref().map(|group| group.first.as_str()).into(),
        key.limit_group.as_ref().map(|group| Value::count(group.revision)).transpose()?.unwrap_or(Value::Null),
        revision,
    ]);
    store.execute(
        concat!(
            "INSERT INTO keys (position, id, key_hash, minted_under, ",
            attribute_columns!(),
            ", state, created_at, created_by, expires_at, latest_end, rotated_from, limit_group, limit_revision, revision) VALUES (?, ?, ?, ?, ",
            attribute_placeholders!(),
            ", ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        &values,
    )
}

/// Writes the attributes and the expiry of a key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn update(
    store: &mut dyn Store,
    id: &KeyId,
    attributes: &KeyAttributes,
    expires_at: Millis,
    revision: u64,
) -> Result<(), StoreError> {
    let mut values = attributes::stored(attributes)?.to_vec();
    values.extend([expires_at.into(), expires_at.into(), Value::count(revision)?, id.as_str().into()]);
    store.execute(
        concat!(
            "UPDATE keys SET (",
            attribute_columns!(),
            ") = (",
            attribute_placeholders!(),
            "), expires_at = ?, latest_end = max(latest_end, ?), revision = ? WHERE id = ?"
        ),
        &values,
    )
}

/// Gives a pending key its credential.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn activate(store: &mut dyn Store, credential: &NewCredential, revision: u64) -> Result<(), StoreError> {
    store.execute(
        "UPDATE keys SET key_hash = ?, minted_under = ?, state = ?, revision = ? WHERE id = ? AND state = 'pending'",
        &[
            credential.key_hash.to_hex().into(),
            credential.minted_under.as_str().into(),
            Status::Active.as_str().into(),
            Value::count(revision)?,
            credential.id.as_str().into(),
        ],
    )?;
    outbox::enqueue(store, &credential.id, revision)
}

/// The end of a key's time as its integration's only key.
pub struct Retirement<'a> {
    /// The key.
    pub id: &'a KeyId,
    /// Its state: active or quarantined.
    pub status: Status,
    /// The key that replaces it.
    pub successor: &'a KeyId,
    /// Time of the rotation, at which the overlap begins.
    pub at: Millis,
    /// Length of the overlap, in seconds.
    pub overlap_seconds: i64,
    /// The key's own expiry.
    pub own_end: Millis,
    /// Number of the change.
    pub revision: u64,
}

/// Retires a key until its overlap ends, or until its own expiry if that is sooner. A retiring key is not active, so no key gets two
/// successors, and the integration still has one active key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn retire(store: &mut dyn Store, key: &Retirement<'_>) -> Result<(), StoreError> {
    // Without an overlap the key is expired by every clock. A quarantined one stays quarantined: only a release makes it work.
    let status = match key.status {
        _ if key.overlap_seconds == 0 => Status::Expired,
        Status::Quarantined => Status::Quarantined,
        _ => Status::Retiring,
    };
    store.execute(
        "UPDATE keys SET state = ?, successor = ?, expires_at = ?, own_end = ?, revision = ? WHERE id = ?",
        &[
            status.as_str().into(),
            key.successor.as_str().into(),
            key.at.plus_seconds(key.overlap_seconds).min(key.own_end).into(),
            key.own_end.into(),
            Value::count(key.revision)?,
            key.id.as_str().into(),
        ],
    )?;
    outbox::enqueue(store, key.id, key.revision)
}

/// Revokes a key that is not revoked, as `by`, ends its claim if that is open, and queues its copy, within the caller's transaction. The
/// caller appends the audit entry.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn mark_revoked(store: &mut dyn Store, id: &KeyId, by: &str, reason: &str, now: Millis) -> Result<(), StoreError> {
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE keys SET state = ?, revoked_at = ?, revoked_by = ?, revoke_reason = ?, revision = ? WHERE id = ?",
        &[
            Status::Revoked.as_str().into(),
            now.into(),
            by.into(),
            reason.into(),
            Value::count(revision)?,
            id.as_str().into(),
        ],
    )?;
    claims::end(store, id, ClaimState::Revoked, now)?;
    outbox::enqueue(store, id, revision)
}

/// Reads the record of the key in this row; `None` if the key has no secret. A key that is stored as expired is expired by every
/// isolate's clock.
///
/// # Errors
/// [`StoreError`] when the row is malformed.
pub fn record(row: &Row) -> Result<Option<Record>, StoreError> {
    if row.text("key_hash")?.is_empty() {
        return Ok(None);
    }
    let state = row.parsed("state", Status::parse)?;
    let is_quarantined = state == Status::Quarantined
        && !keyward_fault::fault!("the record of a quarantined key is that of a working one");
    let KeyAttributes { integration, scopes, allowed_cidrs, limits, .. } = attributes::from_row(row)?;
    Ok(Some(Record {
        id: row.parsed("id", KeyId::parse)?,
        key_hash: row.parsed("key_hash", KeyHash::from_stored)?,
        minted_under: row.parsed("minted_under", Generation::from_stored)?,
        integration,
        scopes,
        allowed_cidrs,
        expires_at: if state == Status::Expired { Millis(0) } else { row.millis("expires_at")? },
        retiring: row.optional_text("successor")?.is_some(),
        revoked: is_revoked(row)?,
        revision: row.count("revision")?,
        quarantined: Quarantined::when(is_quarantined),
        limits: limits.map(OwnLimits::new),
        limit_group: row.optional_parsed("limit_group", KeyId::parse)?,
        limit_revision: key_limits::limit_revision(row)?,
    }))
}

/// Returns whether the key in this row is revoked.
pub(super) fn is_revoked(row: &Row) -> Result<bool, StoreError> {
    Ok(row.parsed("state", Status::parse)? == Status::Revoked)
}

/// Reads the view of the key in this row at `now`.
///
/// # Errors
/// [`StoreError`] when the row is malformed.
pub fn view(row: &Row, now: Millis) -> Result<KeyView, StoreError> {
    Ok(KeyView {
        id: row.parsed("id", KeyId::parse)?,
        attributes: KeyAttributes {
            limits: Some(attributes::list(row, "applied_limits")?),
            ..attributes::from_row(row)?
        },
        status: status(row, now)?,
        created_at: row.millis("created_at")?.rfc3339(),
        created_by: row.text("created_by")?.to_owned(),
        expires_at: row.millis("expires_at")?.rfc3339(),
        rotated_from: row.optional_parsed("rotated_from", KeyId::parse)?,
        successor: row.optional_parsed("successor", KeyId::parse)?,
        revoked_at: row.optional_millis("revoked_at")?.map(Millis::rfc3339),
        revoked_by: row.optional_text("revoked_by")?.map(str::to_owned),
        revoke_reason: row.optional_text("revoke_reason")?.map(str::to_owned),
        first_used_at: row.optional_millis("first_used_at")?.map(Millis::rfc3339),
        last_used_at: row.optional_millis("last_used_at")?.map(Millis::rfc3339),
        last_used_from: row.optional_parsed("last_used_from", |text| serde_json::from_str(text).ok())?,
        exposed_at: row.optional_millis("exposed_at")?.map(Millis::rfc3339),
        revision: row.count("revision")?,
    })
}

/// Returns the state at `now`. The stored state may lag, because nothing is written at the time a key expires (see [`super::list`]).
/// A key that is stored as expired remains expired, even if the clock steps back.
///
/// # Errors
/// [`StoreError`] when the row is malformed.
pub fn status(row: &Row, now: Millis) -> Result<Status, StoreError> {
    Ok(match row.parsed("state", Status::parse)? {
        Status::Active | Status::Pending | Status::Retiring | Status::Quarantined
            if row.millis("expires_at")? <= now =>
        {
            Status::Expired
        }
        stored => stored,
    })
}
