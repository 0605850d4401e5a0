//! Revoking a member, for good: their credential is refused from the next request on.

use super::apply::{Context, OperationError};
use super::audit::{Action, shown};
use super::store::{Store, Value};
use super::{members, meta};
use keyward_key::id::KeyId;
use keyward_protocol::{Outcome, Rejection, Status};

/// Revokes a member; one whose credential has expired too. One who is revoked already stays as they are, and nothing is
/// written.
pub(super) fn revoke(store: &mut dyn Store, by: &Context<'_>, id: &KeyId) -> Result<Outcome, OperationError> {
    let member = members::find(store, id)?.ok_or(Rejection::NotFound)?;
    if member.status(by.now) == Status::Revoked {
        return Ok(Outcome::Member(member.view(by.now)));
    }
    members::check_not_last_owner(store, &member, by.now)?;
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE members SET revoked_at = ?, revision = ? WHERE id = ?",
        &[by.now.into(), Value::count(revision)?, id.as_str().into()],
    )?;
    let view = members::get_written(store, id)?.view(by.now);
    by.record(store, Action::MemberRevoke, id, vec![("member", shown(&view)?)])?;
    Ok(Outcome::Member(view))
}
