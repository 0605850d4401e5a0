//! Revoking a key, for good.

use super::apply::Halt;
use super::audit::{self, Action, Change};
use super::command::{Done, Provenance, Refused, Status};
use super::members::Member;
use super::store::{Store, StoreError, Value};
use super::{keys, meta, outbox};
use crate::key::id::KeyId;
use crate::time::Millis;

/// Revokes a key; an expired one too. One that is revoked already stays as it is, with the first reason, and nothing is
/// written.
pub(super) fn revoke(
    store: &mut dyn Store,
    member: &Member,
    origin: &Provenance,
    id: &KeyId,
    reason: &str,
    now: Millis,
) -> Result<Done, Halt> {
    let row = keys::visible(store, member, id)?.ok_or(Refused::NotFound)?;
    if keys::status(&row, now)? != Status::Revoked {
        let revision = meta::next_revision(store)?;
        store.execute(
            "UPDATE keys SET state = ?, revoked_at = ?, revoked_by = ?, revoke_reason = ?, revision = ? WHERE id = ?",
            &[
                Status::Revoked.as_str().into(),
                now.into(),
                member.id.as_str().into(),
                reason.into(),
                Value::count(revision)?,
                id.as_str().into(),
            ],
        )?;
        audit::append(
            store,
            Change {
                at: now,
                actor: member.id.as_str(),
                action: Action::KeyRevoke,
                subject: id,
                origin,
                what: ("reason", reason.into()),
            },
        )?;
        outbox::enqueue(store, id, revision)?;
    }
    let row = keys::find(store, id)?.ok_or_else(|| StoreError::new("a key just revoked is not there"))?;
    Ok(Done::KeyRevoked { key: Box::new(keys::view(&row, now)?), changed_at: row.millis("revoked_at")? })
}
