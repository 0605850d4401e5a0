//! Retries of writes (`Idempotency-Key`): for ten minutes a retry gets the first answer, and nothing is done twice.
//!
//! The table keeps the outcome without the credential, and the nonce from which the edge derives the credential again. Both
//! are written in the transaction of the write itself.

use serde_json::value::RawValue;

use super::context::OperationError;
use super::members::Member;
use super::store::{Store, StoreError, Value};
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;
use keyward_protocol::{Idempotency, NewCredential, Raw, Rejection, Response};

/// Window for retries after the first attempt, in milliseconds. At this age the same header is a new write.
pub const WINDOW_MILLIS: i64 = 600_000;

/// Maximum of rows that one change removes. A change adds at most one row, so the table shrinks.
const PRUNED_AT_ONCE: i64 = 100;

/// Returns the answer to the first attempt, if there was one in the window.
///
/// # Errors
/// [`Rejection::IdempotencyMismatch`] when that attempt had another body, or a failure of the store.
pub fn replay(
    store: &mut dyn Store,
    member: &Member,
    attempt: &Idempotency,
    now: Millis,
) -> Result<Option<Response>, OperationError> {
    let rows = store.query(
        "SELECT body, nonce, minted_under, answer, at FROM idempotency WHERE member = ? AND fingerprint = ?",
        &[member.id.as_str().into(), attempt.fingerprint.as_str().into()],
    )?;
    let Some(first) = rows.first() else { return Ok(None) };
    if now.since(first.millis("at")?) >= WINDOW_MILLIS {
        return Ok(None);
    }
    if first.text("body")? != attempt.body {
        return Err(Rejection::IdempotencyMismatch.into());
    }
    Ok(Some(Response::Replayed {
        outcome: first.parsed("answer", |text| RawValue::from_string(text.to_owned()).ok())?,
        nonce: first.text("nonce")?.to_owned(),
        minted_under: first.parsed("minted_under", Generation::from_stored)?,
    }))
}

/// Keeps the outcome of a first attempt, in the transaction under way.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn remember(
    store: &mut dyn Store,
    member: &Member,
    attempt: &Idempotency,
    credential: &NewCredential,
    outcome: &Raw,
    now: Millis,
) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO idempotency (member, fingerprint, body, nonce, minted_under, answer, at)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (member, fingerprint) DO UPDATE SET body = excluded.body, nonce = excluded.nonce,
             minted_under = excluded.minted_under, answer = excluded.answer, at = excluded.at",
        &[
            member.id.as_str().into(),
            attempt.fingerprint.as_str().into(),
            attempt.body.as_str().into(),
            attempt.nonce.as_str().into(),
            credential.minted_under.as_str().into(),
            outcome.get().into(),
            now.into(),
        ],
    )
}

/// Removes rows past the window, the oldest first, in the transaction of any change.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn prune(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    let last = Value::Integer(now.0.saturating_sub(WINDOW_MILLIS));
    let due = store.query(
        "SELECT at FROM idempotency INDEXED BY idempotency_by_age WHERE at <= ? LIMIT 1",
        std::slice::from_ref(&last),
    )?;
    if due.is_empty() {
        return Ok(());
    }
    store.execute(
        "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency INDEXED BY idempotency_by_age
             WHERE at <= ? ORDER BY at LIMIT ?)",
        &[last, Value::Integer(PRUNED_AT_ONCE)],
    )
}
