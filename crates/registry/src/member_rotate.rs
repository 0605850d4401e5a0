//! Replacing a member's credential.

use super::apply::{Context, OperationError, days_after};
use super::audit::{Action, shown};
use super::store::{Store, StoreError, Value};
use super::{members, meta};
use keyward_key::id::KeyId;
use keyward_protocol::{NewCredential, Outcome, Rejection, Status};

/// Gives a member a new credential under the same id. The old one is refused from the next request on. The new one lives
/// as long as the old one was to, from now; one that has run out may be replaced too, a revoked member's may not.
pub(super) fn rotate(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    credential: &NewCredential,
) -> Result<Outcome, OperationError> {
    let member = members::find(store, id)?.ok_or(Rejection::NotFound)?;
    if member.status(by.now) == Status::Revoked {
        return Err(Rejection::NotActive { status: Status::Revoked }.into());
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
    let view = members::get_written(store, id)?.view(by.now);
    by.record(store, Action::MemberRotate, id, vec![("member", shown(&view)?)])?;
    Ok(Outcome::MemberRotated(view))
}
