//! The stored row of a key, and the two ways to see it: as answers show it, and as the gate needs it.

use super::command::{KeyView, Status};
use super::members::Member;
use super::store::{Row, Store, StoreError};
use crate::key::hash::KeyHash;
use crate::key::house::Generation;
use crate::key::id::{Environment, KeyId};
use crate::key::record::Record;
use crate::time::Millis;

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

/// The row of a key.
pub(super) fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Row>, StoreError> {
    let rows = store.query(select_keys!("WHERE id = ?"), &[id.as_str().into()])?;
    Ok(rows.into_iter().next())
}

/// The row of a key, if `member` may know that it exists.
pub(super) fn visible(store: &mut dyn Store, member: &Member, id: &KeyId) -> Result<Option<Row>, StoreError> {
    let Some(row) = find(store, id)? else {
        return Ok(None);
    };
    let environment = row.parsed("environment", Environment::parse)?;
    Ok(member.sees(environment).then_some(row))
}

/// What the gate must know of the key in this row.
pub(super) fn record(row: &Row) -> Result<Record, StoreError> {
    let state = row.parsed("state", Status::parse)?;
    Ok(Record {
        id: row.parsed("id", KeyId::parse)?,
        key_hash: row.parsed("key_hash", KeyHash::from_stored)?,
        minted_under: row.parsed("minted_under", Generation::from_stored)?,
        integration: row.text("integration")?.to_owned(),
        scopes: row.parsed("scopes", |text| serde_json::from_str(text).ok())?,
        allowed_cidrs: row.parsed("allowed_cidrs", |text| serde_json::from_str(text).ok())?,
        expires_at: row.millis("expires_at")?,
        retiring: state == Status::Retiring,
        revoked: state == Status::Revoked,
        revision: row.count("revision")?,
    })
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
