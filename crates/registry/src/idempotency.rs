//! Retries of writes (`Idempotency-Key`): for ten minutes a retry gets the first answer, and the write is not repeated.
//!
//! The table stores the outcome without the credential, and the nonce from which the isolate derives the credential again. Both are
//! written in the transaction of the write.

use serde_json::value::RawValue;

use super::context::{Context, OperationError};
use super::store::{Store, StoreError, Value};
use keyward_key::id::KeyId;
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;
use keyward_protocol::{Idempotency, Raw, Rejection, Response};

/// Window for retries after the first attempt, in milliseconds. After it, the same header starts a new write.
pub const WINDOW_MILLIS: i64 = 600_000;

/// Maximum number of rows that one change removes. A change adds at most one row, so the table shrinks.
const PRUNED_AT_ONCE: i64 = 100;

/// A stored answer for a retry.
#[derive(Debug)]
pub struct Replay {
    /// The answer.
    pub response: Response,
    /// Key or member whose credential the answer shows; `None` if the previous version stored the answer.
    pub credential: Option<KeyId>,
    /// Instant of the first attempt.
    pub first_at: Millis,
}

/// Returns the answer to the first attempt, if there was one in the window. `writer` is the actor's name.
///
/// # Errors
/// [`Rejection::IdempotencyMismatch`] when that attempt had another body, or a failure of the store.
pub fn replay(
    store: &mut dyn Store,
    writer: &str,
    attempt: &Idempotency,
    now: Millis,
) -> Result<Option<Replay>, OperationError> {
    let rows = store.query(
        "SELECT body, nonce, minted_under, answer, at, credential FROM idempotency WHERE member = ? AND fingerprint = ?",
        &[writer.into(), attempt.fingerprint.as_str().into()],
    )?;
    let Some(first) = rows.first() else { return Ok(None) };
    let first_at = first.millis("at")?;
    let credential = first.optional_parsed("credential", KeyId::parse)?;
    if now.since(first_at) >= WINDOW_MILLIS {
        return Ok(None);
    }
    if first.text("body")? != attempt.body {
        return Err(Rejection::IdempotencyMismatch.into());
    }
    let response = Response::Replayed {
        outcome: first.parsed("answer", |text| RawValue::from_string(text.to_owned()).ok())?,
        nonce: first.text("nonce")?.to_owned(),
        minted_under: first.parsed("minted_under", Generation::from_stored)?,
    };
    Ok(Some(Replay { response, credential, first_at }))
}

/// Stores the outcome of a first attempt, within the caller's transaction.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn remember(
    store: &mut dyn Store,
    by: &Context<'_>,
    attempt: &Idempotency,
    outcome: &Raw,
) -> Result<(), StoreError> {
    let generation = by.credential.map(|credential| &credential.minted_under).or(attempt.minted_under.as_ref());
    let generation = generation.ok_or_else(|| StoreError::new("the message names no secret for its attempt"))?;
    store.execute(
        "INSERT INTO idempotency (member, fingerprint, body, nonce, minted_under, answer, at, credential)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (member, fingerprint) DO UPDATE SET body = excluded.body, nonce = excluded.nonce,
             minted_under = excluded.minted_under, answer = excluded.answer, at = excluded.at,
             credential = excluded.credential",
        &[
            by.actor_name().into(),
            attempt.fingerprint.as_str().into(),
            attempt.body.as_str().into(),
            attempt.nonce.as_str().into(),
            generation.as_str().into(),
            outcome.get().into(),
            by.now.into(),
            by.credential.map(|credential| credential.id.as_str()).into(),
        ],
    )
}

/// Removes rows older than the window, the oldest first, in the transaction of any change.
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
