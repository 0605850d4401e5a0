//! Writes that may be retried (`Idempotency-Key`): for ten minutes the first answer comes back, and nothing is done twice.
//!
//! What is kept of a write is its answer without the credential, and the nonce that the credential was derived from: the
//! edge derives it again. All of it is written in the transaction of the write itself.

use serde_json::value::RawValue;

use super::apply::OperationError;
use super::members::Member;
use super::store::{Store, StoreError, Value};
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;
use keyward_protocol::{Idempotency, NewCredential, Outcome, Rejection};

/// How long a write may be retried, from its first attempt. At this age the same header is a new write.
pub const WINDOW_MILLIS: i64 = 600_000;

/// How many rows one change removes at most. It adds one at most, so that they only grow fewer.
const PRUNED_AT_ONCE: i64 = 100;

/// The answer to the first attempt, if there was one in the window.
pub(super) fn replay(
    store: &mut dyn Store,
    member: &Member,
    attempt: &Idempotency,
    now: Millis,
) -> Result<Option<Outcome>, OperationError> {
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
    Ok(Some(Outcome::Replayed {
        done: first.parsed("answer", |text| RawValue::from_string(text.to_owned()).ok())?,
        nonce: first.text("nonce")?.to_owned(),
        minted_under: first.parsed("minted_under", Generation::from_stored)?,
    }))
}

/// Keeps the answer of a first attempt, in the transaction under way.
pub(super) fn remember(
    store: &mut dyn Store,
    member: &Member,
    attempt: &Idempotency,
    credential: &NewCredential,
    done: &Outcome,
    now: Millis,
) -> Result<(), StoreError> {
    let answer = serde_json::to_string(done).map_err(|_| StoreError::new("an answer has no JSON form"))?;
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
            answer.into(),
            now.into(),
        ],
    )
}

/// Removes what is past the window, the oldest first, in the transaction of any change.
pub(super) fn prune(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
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
