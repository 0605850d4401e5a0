//! Sessions of the console: a member who signed in with a credential, and whose browser shows a token instead. Only the token's hash is
//! stored.
//!
//! A session ends when it was idle for [`IDLE_SECONDS`], [`LONGEST_SECONDS`] after its start, at the member's sign-out, and with the
//! credential that it began with: the member is revoked, their credential expires, or it was replaced.

use super::authentication::{refused_for_good, unauthenticated};
use super::context::{Context, OperationError};
use super::members::{self, Member};
use super::meta;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{Rejection, Status};

/// Time without a request after which a session ends, in seconds.
pub const IDLE_SECONDS: i64 = 900;
/// Maximum life of a session, in seconds.
pub const LONGEST_SECONDS: i64 = 28_800;
/// Minimum interval between two writes of the last request of a session, in seconds. A session may end this much earlier than
/// [`IDLE_SECONDS`] after its last request, and never later.
pub const SEEN_INTERVAL_SECONDS: i64 = 60;
/// Maximum number of sessions of one member. The next sign-in ends the one that was idle for longest.
pub const SESSIONS_PER_MEMBER: u32 = 10;

/// Digits of a session's name in the audit log: the beginning of the token's hash.
const NAME_DIGITS: usize = 16;

/// A session as stored.
#[derive(Debug, Clone)]
pub struct Session {
    token_hash: KeyHash,
    member: KeyId,
    credential_hash: KeyHash,
    /// Last recorded request.
    seen_at: Millis,
    /// Latest end.
    pub expires_at: Millis,
}

impl Session {
    /// Returns the end if no further request extends the session.
    #[must_use]
    pub fn idle_expires_at(&self) -> Millis {
        self.seen_at.plus_seconds(IDLE_SECONDS).min(self.expires_at)
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            token_hash: row.parsed("token_hash", KeyHash::from_stored)?,
            member: row.parsed("member", KeyId::parse)?,
            credential_hash: row.parsed("credential_hash", KeyHash::from_stored)?,
            seen_at: row.millis("seen_at")?,
            expires_at: row.millis("expires_at")?,
        })
    }
}

/// Returns the member of a session at `now`, and records the request unless it is `background`.
///
/// # Errors
/// [`Rejection::Unauthenticated`] if the session or the member's right to it has ended, or a failure of the store.
pub(super) fn authenticate(
    store: &mut dyn Store,
    token_hash: &KeyHash,
    background: bool,
    now: Millis,
) -> Result<(Member, Session), OperationError> {
    let mut session = find(store, token_hash)?.ok_or_else(|| refused_for_good("unknown or ended session"))?;
    if now >= session.idle_expires_at() {
        return Err(refused_for_good("the session has expired"));
    }
    let member =
        members::find(store, &session.member)?.ok_or_else(|| refused_for_good("the session's member is gone"))?;
    match member.status(now) {
        Status::Revoked => return Err(refused_for_good("the session's member is revoked")),
        Status::Expired => return Err(refused_for_good("the credential of the session's member has expired")),
        // No member is ever quarantined or pending.
        Status::Quarantined | Status::Pending => return Err(unauthenticated("the session's member has a key's state")),
        Status::Active | Status::Retiring => {}
    }
    if !member.accepts(&session.credential_hash, now) {
        return Err(refused_for_good("the credential that the session began with was replaced"));
    }
    if !background && now >= session.seen_at.plus_seconds(SEEN_INTERVAL_SECONDS) {
        session.seen_at = now;
        store.execute(
            "UPDATE sessions SET seen_at = ? WHERE token_hash = ?",
            &[now.into(), token_hash.to_hex().into()],
        )?;
    }
    Ok((member, session))
}

/// Starts a session of the caller, who presented a credential, and ends `replaced`, a session of the same browser.
///
/// # Errors
/// [`Rejection::Forbidden`] if the caller presented no credential, or a failure of the store.
pub fn start(
    store: &mut dyn Store,
    by: &Context<'_>,
    token_hash: &KeyHash,
    replaced: Option<&KeyHash>,
) -> Result<Session, OperationError> {
    let member = by.member()?;
    let credential_hash = by.presented.ok_or(Rejection::Forbidden)?;
    if let Some(replaced) = replaced {
        delete(store, replaced)?;
    }
    make_room(store, &member.id, by.now)?;
    let session = Session {
        token_hash: token_hash.clone(),
        member: member.id.clone(),
        credential_hash: credential_hash.clone(),
        seen_at: by.now,
        expires_at: by.now.plus_seconds(LONGEST_SECONDS).min(member.expires_at),
    };
    store.execute(
        "INSERT INTO sessions (token_hash, member, credential_hash, created_at, seen_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        &[
            token_hash.to_hex().into(),
            member.id.as_str().into(),
            credential_hash.to_hex().into(),
            by.now.into(),
            by.now.into(),
            session.expires_at.into(),
        ],
    )?;
    record(store, by, "session.start", &session)?;
    Ok(session)
}

/// Ends the caller's session.
///
/// # Errors
/// [`Rejection::NotFound`] if the caller has none, or a failure of the store.
pub fn end(store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
    let session = by.session.ok_or(Rejection::NotFound)?;
    delete(store, &session.token_hash)?;
    record(store, by, "session.end", session)?;
    Ok(())
}

/// Deletes what has ended, and the member's oldest sessions until one more fits.
fn make_room(store: &mut dyn Store, member: &KeyId, now: Millis) -> Result<(), StoreError> {
    store.execute("DELETE FROM sessions WHERE expires_at <= ?", &[now.into()])?;
    store.execute(
        "DELETE FROM sessions WHERE member = ? AND seen_at <= ?",
        &[member.as_str().into(), now.plus_seconds(-IDLE_SECONDS).into()],
    )?;
    store.execute(
        "DELETE FROM sessions WHERE token_hash IN (
             SELECT token_hash FROM sessions WHERE member = ? ORDER BY seen_at DESC LIMIT -1 OFFSET ?)",
        &[member.as_str().into(), Value::Integer(i64::from(SESSIONS_PER_MEMBER.saturating_sub(1)))],
    )
}

fn find(store: &mut dyn Store, token_hash: &KeyHash) -> Result<Option<Session>, StoreError> {
    let rows = store.query(
        "SELECT token_hash, member, credential_hash, seen_at, expires_at FROM sessions WHERE token_hash = ?",
        &[token_hash.to_hex().into()],
    )?;
    rows.first().map(Session::from_row).transpose()
}

fn delete(store: &mut dyn Store, token_hash: &KeyHash) -> Result<(), StoreError> {
    store.execute("DELETE FROM sessions WHERE token_hash = ?", &[token_hash.to_hex().into()])
}

/// Appends the audit entry. It names the session by the beginning of its hash, which is no help to find the token.
fn record(store: &mut dyn Store, by: &Context<'_>, action: &'static str, session: &Session) -> Result<(), StoreError> {
    meta::next_revision(store)?;
    let name: String = session.token_hash.to_hex().chars().take(NAME_DIGITS).collect();
    by.record(store, action, &session.member, vec![("session", name.into())])
}
