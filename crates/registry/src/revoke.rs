//! Revoking a key, for good.

use super::apply::{Context, OperationError};
use super::audit::{self, Action, Change};
use super::store::{Row, Store, Value};
use super::{keys, meta, outbox};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{Outcome, Rejection, RequestMeta, Status};

/// Who revokes, whence and when: a member, or a key's holder.
pub(super) struct Revoker<'a> {
    /// As `revoked_by` and the log name them.
    pub(super) actor: &'a str,
    pub(super) origin: &'a RequestMeta,
    pub(super) now: Millis,
}

/// A member revokes a key.
pub(super) fn revoke(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    reason: &str,
) -> Result<Outcome, OperationError> {
    let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
    let by = Revoker { actor: by.member.id.as_str(), origin: by.origin, now: by.now };
    revoke_row(store, &row, &by, id, reason)
}

/// Revokes the key in this row; an expired or retiring one too. One that is revoked already stays as it is, with the first
/// reason, and nothing is written.
pub(super) fn revoke_row(
    store: &mut dyn Store,
    row: &Row,
    by: &Revoker<'_>,
    id: &KeyId,
    reason: &str,
) -> Result<Outcome, OperationError> {
    if keys::status(row, by.now)? != Status::Revoked {
        let revision = meta::next_revision(store)?;
        store.execute(
            "UPDATE keys SET state = ?, revoked_at = ?, revoked_by = ?, revoke_reason = ?, revision = ? WHERE id = ?",
            &[
                Status::Revoked.as_str().into(),
                by.now.into(),
                by.actor.into(),
                reason.into(),
                Value::count(revision)?,
                id.as_str().into(),
            ],
        )?;
        let what = vec![("reason", reason.into())];
        let (at, actor, action) = (by.now, by.actor, Action::KeyRevoke);
        audit::append(store, Change { at, actor, action, subject: id, origin: by.origin, what })?;
        outbox::enqueue(store, id, revision)?;
    }
    let row = keys::get_written(store, id)?;
    Ok(Outcome::KeyRevoked { key: Box::new(keys::view(&row, by.now)?), changed_at: row.millis("revoked_at")? })
}
