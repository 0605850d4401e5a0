//! The stored row of a key, and the two ways to see it: as answers show it, and as the gate needs it.

use ipnet::IpNet;

use super::apply::OperationError;
use super::feed;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{KeyView, NewCredential, Rejection, Response, Status};

/// What [`view`] and [`record`] read.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT keys.position, keys.id, key_hash, minted_under, name, integration, environment, purpose, owner, \
             scopes, allowed_cidrs, state, created_at, created_by, expires_at, rotated_from, successor, revoked_at, \
             revoked_by, revoke_reason, last_used_at, keys.revision FROM keys ",
            $rest
        )
    };
}
pub(super) use select_keys;

/// The gate's question: what is to be known of this key. Expired and revoked keys answer with their record too.
///
/// # Errors
/// [`StoreError`] when the store fails or the row has not its form: that is never "no such key".
pub fn lookup(store: &mut dyn Store, id: &KeyId) -> Result<Option<Record>, StoreError> {
    find(store, id)?.as_ref().map(record).transpose()
}

/// Answers an edge's lookup of one key: its record, and the authority's position at the same moment.
pub(super) fn answer_lookup(store: &mut dyn Store, id: &KeyId) -> Result<Response, StoreError> {
    let record = lookup(store, id)?.map(Box::new);
    Ok(Response::Record { record, at: feed::position(store)? })
}

/// The row of a key.
pub(super) fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Row>, StoreError> {
    let rows = store.query(select_keys!("WHERE id = ?"), &[id.as_str().into()])?;
    Ok(rows.into_iter().next())
}

/// The row of a key that this operation has just written.
pub(super) fn get_written(store: &mut dyn Store, id: &KeyId) -> Result<Row, StoreError> {
    find(store, id)?.ok_or_else(|| StoreError::new("a key just written is not there"))
}

/// Where a key may go, if there is such a key.
pub(super) fn environment(store: &mut dyn Store, id: &KeyId) -> Result<Option<Environment>, StoreError> {
    let rows = store.query("SELECT environment FROM keys WHERE id = ?", &[id.as_str().into()])?;
    rows.first().map(|row| row.parsed("environment", Environment::parse)).transpose()
}

/// The active key of an integration in an environment, if there is one.
pub(super) fn active_of_integration(
    store: &mut dyn Store,
    environment: Environment,
    integration: &str,
    now: Millis,
) -> Result<Option<KeyId>, StoreError> {
    let rows = store.query(
        "SELECT id FROM keys INDEXED BY keys_active_by_integration
         WHERE environment = ? AND integration = ? AND state = 'active' AND expires_at > ? LIMIT 1",
        &[environment.as_str().into(), integration.into(), now.into()],
    )?;
    rows.first().map(|row| row.parsed("id", KeyId::parse)).transpose()
}

/// The active key of that name in an environment, if there is one.
pub(super) fn active_of_name(
    store: &mut dyn Store,
    environment: Environment,
    name: &str,
    now: Millis,
) -> Result<Option<KeyId>, StoreError> {
    let rows = store.query(
        "SELECT id FROM keys INDEXED BY keys_active_by_name
         WHERE environment = ? AND name = ? AND state = 'active' AND expires_at > ? LIMIT 1",
        &[environment.as_str().into(), name.into(), now.into()],
    )?;
    rows.first().map(|row| row.parsed("id", KeyId::parse)).transpose()
}

/// A key to be written, issued or a successor.
pub(super) struct NewKey<'a> {
    pub(super) credential: &'a NewCredential,
    pub(super) name: &'a str,
    pub(super) integration: &'a str,
    pub(super) environment: Environment,
    pub(super) purpose: &'a str,
    pub(super) owner: &'a str,
    pub(super) scopes: &'a [Scope],
    pub(super) allowed_cidrs: &'a [IpNet],
    pub(super) created_at: Millis,
    pub(super) created_by: &'a KeyId,
    pub(super) expires_at: Millis,
    pub(super) rotated_from: Option<&'a KeyId>,
    pub(super) revision: u64,
}

/// Refuses an id that exists. One that names another environment is a fault of ours.
pub(super) fn check_new_id(store: &mut dyn Store, id: &KeyId, environment: Environment) -> Result<(), OperationError> {
    if id.class() != Class::Data(environment) {
        return Err(StoreError::new("a key's id does not name its environment").into());
    }
    if find(store, id)?.is_some() { Err(Rejection::IdTaken.into()) } else { Ok(()) }
}

/// Writes the row of a new, active key.
pub(super) fn insert(store: &mut dyn Store, key: &NewKey<'_>) -> Result<(), StoreError> {
    let revision = Value::count(key.revision)?;
    store.execute(
        "INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner,
             scopes, allowed_cidrs, state, created_at, created_by, expires_at, latest_end, rotated_from, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            revision.clone(),
            key.credential.id.as_str().into(),
            key.credential.key_hash.to_hex().into(),
            key.credential.minted_under.as_str().into(),
            key.name.into(),
            key.integration.into(),
            key.environment.as_str().into(),
            key.purpose.into(),
            key.owner.into(),
            stored_list(key.scopes)?,
            stored_list(key.allowed_cidrs)?,
            Status::Active.as_str().into(),
            key.created_at.into(),
            key.created_by.as_str().into(),
            key.expires_at.into(),
            key.expires_at.into(),
            key.rotated_from.map(KeyId::as_str).into(),
            revision,
        ],
    )
}

/// A list as stored: JSON text.
pub(super) fn stored_list<T: serde::Serialize>(list: &[T]) -> Result<Value, StoreError> {
    let text = serde_json::to_string(list).map_err(|_| StoreError::new("a list has no JSON form"))?;
    Ok(text.into())
}

/// What the gate must know of the key in this row. One that is known to be over is so by any isolate's clock.
pub(super) fn record(row: &Row) -> Result<Record, StoreError> {
    let over = row.parsed("state", Status::parse)? == Status::Expired;
    Ok(Record {
        id: row.parsed("id", KeyId::parse)?,
        key_hash: row.parsed("key_hash", KeyHash::from_stored)?,
        minted_under: row.parsed("minted_under", Generation::from_stored)?,
        integration: row.text("integration")?.to_owned(),
        scopes: row.parsed("scopes", |text| serde_json::from_str(text).ok())?,
        allowed_cidrs: row.parsed("allowed_cidrs", |text| serde_json::from_str(text).ok())?,
        expires_at: if over { Millis(0) } else { row.millis("expires_at")? },
        retiring: row.optional_text("successor")?.is_some(),
        revoked: is_revoked(row)?,
        revision: row.count("revision")?,
    })
}

/// Whether the key in this row is revoked.
pub(super) fn is_revoked(row: &Row) -> Result<bool, StoreError> {
    Ok(row.parsed("state", Status::parse)? == Status::Revoked)
}

/// The key in this row as answers show it at `now`.
pub(super) fn view(row: &Row, now: Millis) -> Result<KeyView, StoreError> {
    Ok(KeyView {
        id: row.parsed("id", KeyId::parse)?,
        name: row.text("name")?.to_owned(),
        integration: row.text("integration")?.to_owned(),
        environment: row.parsed("environment", Environment::parse)?,
        purpose: row.text("purpose")?.to_owned(),
        owner: row.text("owner")?.to_owned(),
        scopes: row.parsed("scopes", |text| serde_json::from_str(text).ok())?,
        allowed_cidrs: row.parsed("allowed_cidrs", |text| serde_json::from_str(text).ok())?,
        status: status(row, now)?,
        created_at: row.millis("created_at")?.rfc3339(),
        created_by: row.text("created_by")?.to_owned(),
        expires_at: row.millis("expires_at")?.rfc3339(),
        rotated_from: row.optional_parsed("rotated_from", KeyId::parse)?,
        successor: row.optional_parsed("successor", KeyId::parse)?,
        revoked_at: row.optional_millis("revoked_at")?.map(Millis::rfc3339),
        revoked_by: row.optional_text("revoked_by")?.map(str::to_owned),
        revoke_reason: row.optional_text("revoke_reason")?.map(str::to_owned),
        last_used_at: row.optional_millis("last_used_at")?.map(Millis::rfc3339),
        revision: row.count("revision")?,
    })
}

/// The state at `now`. The stored one lags behind: nobody writes at the instant a key runs out (see [`super::list`]).
/// What was once noticed as expired stays so, whatever the clock says later.
pub(super) fn status(row: &Row, now: Millis) -> Result<Status, StoreError> {
    Ok(match row.parsed("state", Status::parse)? {
        Status::Active | Status::Retiring if row.millis("expires_at")? <= now => Status::Expired,
        stored => stored,
    })
}
