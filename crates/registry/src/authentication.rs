//! Authentication of callers, on every request.

use super::claims;
use super::context::{Actor, OperationError};
use super::keys;
use super::members::{self, Member};
use super::sessions::{self, Session};
use super::store::Store;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, Rejection, Status};

/// Authenticates a caller at `now`. The session is returned for a caller who has one.
///
/// # Errors
/// [`Rejection::Unauthenticated`] with a reason for the log, or a failure of the store.
pub fn authenticate(
    store: &mut dyn Store,
    caller: &Caller,
    now: Millis,
) -> Result<(Actor, Option<Session>), OperationError> {
    let member = match caller {
        Caller::Bootstrap => return Ok((Actor::Bootstrap, None)),
        Caller::Scraper => return Ok((Actor::Scraper, None)),
        Caller::Holder { id, key_hash } => return Ok((holder(store, id, key_hash)?, None)),
        Caller::Claimant { id, secret_hash } => return Ok((claimant(store, id, secret_hash, now)?, None)),
        Caller::Session { token_hash, background } => {
            let (member, session) = sessions::authenticate(store, token_hash, *background, now)?;
            return Ok((Actor::Member(Box::new(member)), Some(session)));
        }
        Caller::Credential { id, key_hash } => member(store, id, key_hash, now)?,
        Caller::Access { email } => member_by_email(store, email, now)?,
    };
    Ok((Actor::Member(Box::new(member)), None))
}

/// Returns the refusal whose public form is a plain 401. `reason` is for the log.
#[must_use]
pub fn unauthenticated(reason: &str) -> OperationError {
    Rejection::Unauthenticated { reason: reason.to_owned(), is_final: false }.into()
}

/// Returns the same refusal for a credential that can never be accepted again: revoked, expired or replaced.
pub(super) fn refused_for_good(reason: &str) -> OperationError {
    Rejection::Unauthenticated { reason: reason.to_owned(), is_final: true }.into()
}

/// Authenticates a member by credential.
fn member(store: &mut dyn Store, id: &KeyId, presented: &KeyHash, now: Millis) -> Result<Member, OperationError> {
    let member = members::find(store, id)?.ok_or_else(|| unauthenticated("unknown member"))?;
    if !member.accepts(presented, now) {
        return Err(refused_for_good("wrong secret"));
    }
    match member.status(now) {
        Status::Revoked => Err(refused_for_good("the member is revoked")),
        Status::Expired => Err(refused_for_good("the credential has expired")),
        // No member is ever quarantined or pending.
        Status::Quarantined | Status::Pending => Err(unauthenticated("the member has a key's state")),
        Status::Active | Status::Retiring => Ok(member),
    }
}

/// Finds the one active member with this e-mail address, which Cloudflare Access has verified.
fn member_by_email(store: &mut dyn Store, email: &str, now: Millis) -> Result<Member, OperationError> {
    let mut active = members::with_email(store, email)?;
    active.retain(|member| member.status(now) == Status::Active);
    match (active.pop(), active.is_empty()) {
        (Some(member), true) => Ok(member),
        (Some(_), false) => Err(unauthenticated("several members have this e-mail address")),
        (None, _) => Err(unauthenticated("no active member has this e-mail address")),
    }
}

/// Authenticates the holder of a data key by the hash in its row, in the transaction of the operation.
fn holder(store: &mut dyn Store, id: &KeyId, presented: &KeyHash) -> Result<Actor, OperationError> {
    let row = keys::find(store, id)?.ok_or_else(|| unauthenticated("unknown key"))?;
    let Some(record) = keys::record(&row)? else { return Err(unauthenticated("the key waits for its claim")) };
    if !record.key_hash.matches(presented) {
        return Err(refused_for_good("wrong secret"));
    }
    Ok(Actor::Holder(id.clone()))
}

/// Authenticates the holder of a claim's secret by the hash in its row, while that secret works.
fn claimant(store: &mut dyn Store, id: &KeyId, presented: &KeyHash, now: Millis) -> Result<Actor, OperationError> {
    let claim = claims::find(store, id)?.ok_or_else(|| unauthenticated("unknown claim"))?;
    if !claim.secret_hash.matches(presented) {
        return Err(refused_for_good("wrong secret"));
    }
    if claim.admits(now) { Ok(Actor::Claimant(id.clone())) } else { Err(refused_for_good("the claim has ended")) }
}
