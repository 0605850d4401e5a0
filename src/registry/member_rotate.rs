//! Replacing a member's credential.

use super::apply::{Context, Halt, days_after};
use super::audit::{Action, shown};
use super::command::{Done, NewCredential, Refused, Status};
use super::store::{Store, StoreError, Value};
use super::{members, meta};
use crate::key::id::KeyId;

/// Gives a member a new credential under the same id. The old one is refused from the next request on. The new one lives
/// as long as the old one was to, from now; one that has run out may be replaced too, a revoked member's may not.
pub(super) fn rotate(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    credential: &NewCredential,
) -> Result<Done, Halt> {
    let member = members::find(store, id)?.ok_or(Refused::NotFound)?;
    if member.status(by.now) == Status::Revoked {
        return Err(Refused::NotActive { status: Status::Revoked }.into());
    }
    if credential.id != *id {
        return Err(StoreError::new("a member's new credential does not name that member").into());
    }
    let days = member.life_days.min(by.policy.max_member_days);
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE members SET key_hash = ?, minted_under = ?, expires_at = ?, life_days = ?, revision = ? WHERE id = ?",
        &[
            credential.key_hash.to_hex().into(),
            credential.minted_under.as_str().into(),
            days_after(by.now, days).into(),
            Value::Integer(i64::from(days)),
            Value::count(revision)?,
            id.as_str().into(),
        ],
    )?;
    let view = members::known(store, id)?.view(by.now);
    by.record(store, Action::MemberRotate, id, vec![("member", shown(&view)?)])?;
    Ok(Done::MemberRotated(view))
}
