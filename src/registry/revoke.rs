//! Revoking a key, for good.

use super::apply::{Context, Halt};
use super::audit::Action;
use super::command::{Done, Refused, Status};
use super::store::{Store, Value};
use super::{keys, meta, outbox};
use crate::key::id::KeyId;

/// Revokes a key; an expired or retiring one too. One that is revoked already stays as it is, with the first reason, and
/// nothing is written.
pub(super) fn revoke(store: &mut dyn Store, by: &Context<'_>, id: &KeyId, reason: &str) -> Result<Done, Halt> {
    let row = keys::find(store, id)?.ok_or(Refused::NotFound)?;
    if keys::status(&row, by.now)? != Status::Revoked {
        let revision = meta::next_revision(store)?;
        store.execute(
            "UPDATE keys SET state = ?, revoked_at = ?, revoked_by = ?, revoke_reason = ?, revision = ? WHERE id = ?",
            &[
                Status::Revoked.as_str().into(),
                by.now.into(),
                by.member.id.as_str().into(),
                reason.into(),
                Value::count(revision)?,
                id.as_str().into(),
            ],
        )?;
        by.record(store, Action::KeyRevoke, id, vec![("reason", reason.into())])?;
        outbox::enqueue(store, id, revision)?;
    }
    let row = keys::known(store, id)?;
    Ok(Done::KeyRevoked { key: Box::new(keys::view(&row, by.now)?), changed_at: row.millis("revoked_at")? })
}
