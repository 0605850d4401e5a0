//! Claims: a claim is the permission to mint the secret of one pending key. Its id is the key's.

use super::context::{Context, OWN_ACTOR, record_own};
use super::due::{BATCH, DueWork};
use super::keys;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;

/// Time after its use for which a claim's secret still works, in milliseconds, even if the claim would have ended. It is the window in
/// which the same nonce gets the same answer.
const USED_FOR_MILLIS: i64 = super::idempotency::WINDOW_MILLIS;

/// Reason that a key's view shows if its claim ended unused.
const EXPIRED_REASON: &str = "Its claim ended unused";

/// State of a claim, as stored. An open claim whose time is over has ended, even if the alarm has not written so yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// It may be used.
    Open,
    /// It was used. Its key is, or was, active.
    Claimed,
    /// A member withdrew it.
    Withdrawn,
    /// It ended unused.
    Expired,
    /// Its key was revoked before it was used.
    Revoked,
}

impl ClaimState {
    const ALL: [Self; 5] = [Self::Open, Self::Claimed, Self::Withdrawn, Self::Expired, Self::Revoked];

    /// Returns the name in responses and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A stored claim.
#[derive(Debug)]
pub struct Claim {
    /// Id, which is the key's.
    pub id: KeyId,
    /// Hash of its secret.
    pub secret_hash: KeyHash,
    /// Time of issue.
    pub created_at: Millis,
    /// Member who issued it.
    pub created_by: String,
    /// End of the claim while it is unused.
    pub expires_at: Millis,
    /// Overlap of the rotation that begins when it is used; `None` if the key has no predecessor.
    pub overlap_seconds: Option<i64>,
    /// State.
    pub state: ClaimState,
    /// Time at which it was used or ended.
    pub ended_at: Option<Millis>,
}

impl Claim {
    /// Returns whether its secret works at `now`: while it is open, and after its use or a revocation with it until it would have ended,
    /// at least ten minutes.
    #[must_use]
    pub fn admits(&self, now: Millis) -> bool {
        let until = match (self.state, self.ended_at) {
            (ClaimState::Open, _) => self.expires_at,
            (ClaimState::Claimed | ClaimState::Revoked, Some(ended_at)) => {
                self.expires_at.max(Millis(ended_at.0.saturating_add(USED_FOR_MILLIS)))
            }
            _ => return false,
        };
        now < until
    }

    /// Returns whether it may be used at `now`.
    #[must_use]
    pub fn is_open(&self, now: Millis) -> bool {
        self.state == ClaimState::Open && now < self.expires_at
    }
}

fn from_row(row: &Row) -> Result<Claim, StoreError> {
    Ok(Claim {
        id: row.parsed("id", KeyId::parse)?,
        secret_hash: row.parsed("secret_hash", KeyHash::from_stored)?,
        created_at: row.millis("created_at")?,
        created_by: row.text("created_by")?.to_owned(),
        expires_at: row.millis("expires_at")?,
        overlap_seconds: row.optional_integer("overlap_seconds")?,
        state: row.parsed("state", ClaimState::parse)?,
        ended_at: row.optional_millis("ended_at")?,
    })
}

/// Returns the claim of a key.
///
/// # Errors
/// [`StoreError`] when the store fails or the row is malformed.
pub fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Claim>, StoreError> {
    let rows = store.query(
        "SELECT id, secret_hash, created_at, created_by, expires_at, overlap_seconds, state, ended_at
         FROM claims WHERE id = ?",
        &[id.as_str().into()],
    )?;
    rows.first().map(from_row).transpose()
}

/// A claim to insert.
pub struct NewClaim<'a> {
    /// Id of its key, which names the environment.
    pub id: &'a KeyId,
    /// Hash of its secret.
    pub secret_hash: &'a KeyHash,
    /// Environment of its key.
    pub environment: Environment,
    /// End.
    pub expires_at: Millis,
    /// Overlap of the rotation, if its key has a predecessor.
    pub overlap_seconds: Option<u32>,
    /// Number of the change.
    pub revision: u64,
}

/// Inserts an open claim.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn insert(store: &mut dyn Store, by: &Context<'_>, claim: &NewClaim<'_>) -> Result<(), StoreError> {
    store.execute(
        "INSERT INTO claims (position, id, secret_hash, environment, created_at, created_by, expires_at, overlap_seconds,
             state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open')",
        &[
            Value::count(claim.revision)?,
            claim.id.as_str().into(),
            claim.secret_hash.to_hex().into(),
            claim.environment.as_str().into(),
            by.now.into(),
            by.actor_name().into(),
            claim.expires_at.into(),
            claim.overlap_seconds.map_or(Value::Null, |seconds| Value::Integer(seconds.into())),
        ],
    )
}

/// Ends the claim of a key, if it is open.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn end(store: &mut dyn Store, id: &KeyId, state: ClaimState, now: Millis) -> Result<(), StoreError> {
    store.execute(
        "UPDATE claims SET state = ?, ended_at = ? WHERE id = ? AND state = 'open'",
        &[state.as_str().into(), now.into(), id.as_str().into()],
    )
}

/// Lets the claim of a key end at `end` at the latest, if it is open. A claim never outlives its key.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn end_by(store: &mut dyn Store, id: &KeyId, end: Millis) -> Result<(), StoreError> {
    store.execute(
        "UPDATE claims SET expires_at = min(expires_at, ?) WHERE id = ? AND state = 'open'",
        &[end.into(), id.as_str().into()],
    )
}

/// Returns at most `limit` ids of open claims of one environment before `before`, each with its position, newest first.
///
/// # Errors
/// [`StoreError`] when the store fails or a row is malformed.
pub fn open(
    store: &mut dyn Store,
    environment: Environment,
    before: i64,
    limit: u32,
) -> Result<Vec<(i64, KeyId)>, StoreError> {
    store
        .query(
            "SELECT position, id FROM claims INDEXED BY claims_open
             WHERE state = 'open' AND environment = ? AND position < ? ORDER BY position DESC LIMIT ?",
            &[environment.as_str().into(), Value::Integer(before), Value::Integer(limit.into())],
        )?
        .iter()
        .map(|row| Ok((row.integer("position")?, row.parsed("id", KeyId::parse)?)))
        .collect()
}

/// The due work that ends claims.
pub const END: DueWork = DueWork { name: "end_claims", next: next_end, run: expire };

/// Returns the earliest end of an open claim.
fn next_end(store: &mut dyn Store) -> Result<Option<Millis>, StoreError> {
    let rows = store.query(
        "SELECT expires_at FROM claims INDEXED BY claims_open_by_end WHERE state = 'open' ORDER BY expires_at LIMIT 1",
        &[],
    )?;
    rows.first().map(|row| row.millis("expires_at")).transpose()
}

/// Ends the open claims whose time is over, and revokes their keys.
fn expire(store: &mut dyn Store, now: Millis) -> Result<(), StoreError> {
    let due = store.query(
        "SELECT id FROM claims INDEXED BY claims_open_by_end WHERE state = 'open' AND expires_at <= ?
         ORDER BY expires_at LIMIT ?",
        &[now.into(), Value::Integer(BATCH.into())],
    )?;
    for row in &due {
        let id = row.parsed("id", KeyId::parse)?;
        end(store, &id, ClaimState::Expired, now)?;
        keys::mark_revoked(store, &id, OWN_ACTOR, EXPIRED_REASON, now)?;
        record_own(store, now, "claim.expire", &id, vec![("reason", EXPIRED_REASON.into())])?;
    }
    Ok(())
}
