//! Giving a key a successor.

use super::apply::{Context, OperationError, days_after};
use super::audit::{Action, shown};
use super::keys::{self, NewKey};
use super::store::{Store, Value};
use super::{meta, outbox};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{NewCredential, Outcome, Rejection, Status};

/// The longest that an old key goes on beside its successor: 30 days.
pub const LONGEST_OVERLAP_SECONDS: u32 = 2_592_000;

/// Gives an active key a successor with the same rights, and retires it: it goes on until the overlap ends, or to its own
/// end if that is sooner. The successor lives as long as the old key was to, from now, within `MAX_KEY_DAYS`. Its scopes
/// are the old key's, even those that no route uses any more: a rotation changes no right.
///
/// One change, so one revision for both keys. A retiring key is not active: so no key has two successors, and the
/// integration still has one active key.
pub(super) fn rotate(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    overlap_seconds: u32,
    credential: &NewCredential,
) -> Result<Outcome, OperationError> {
    let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
    let old = keys::view(&row, by.now)?;
    if old.status != Status::Active {
        return Err(Rejection::NotActive { status: old.status }.into());
    }
    if overlap_seconds > LONGEST_OVERLAP_SECONDS {
        let detail = format!("An overlap is 0 to {LONGEST_OVERLAP_SECONDS} seconds.");
        return Err(Rejection::Invalid { field: "overlap_seconds".to_owned(), detail }.into());
    }
    keys::check_new_id(store, &credential.id, old.environment)?;

    let own_end = row.millis("expires_at")?;
    let life = own_end.since(row.millis("created_at")?);
    let longest = days_after(by.now, by.policy.max_key_days);
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE keys SET state = ?, successor = ?, expires_at = ?, revision = ? WHERE id = ?",
        &[
            // Without an overlap it is over now, by whatever clock.
            if overlap_seconds == 0 { Status::Expired } else { Status::Retiring }.as_str().into(),
            credential.id.as_str().into(),
            by.now.plus_seconds(i64::from(overlap_seconds)).min(own_end).into(),
            Value::count(revision)?,
            id.as_str().into(),
        ],
    )?;
    let successor = NewKey {
        credential,
        name: &old.name,
        integration: &old.integration,
        environment: old.environment,
        purpose: &old.purpose,
        owner: &old.owner,
        scopes: &old.scopes,
        allowed_cidrs: &old.allowed_cidrs,
        created_at: by.now,
        created_by: &by.member.id,
        expires_at: Millis(by.now.0.saturating_add(life)).min(longest),
        rotated_from: Some(id),
        revision,
    };
    keys::insert(store, &successor)?;
    let key = keys::view(&keys::get_written(store, &credential.id)?, by.now)?;
    let retiring = keys::view(&keys::get_written(store, id)?, by.now)?;
    by.record(store, Action::KeyRotate, id, vec![("key", shown(&key)?), ("retiring", shown(&retiring)?)])?;
    outbox::enqueue(store, id, revision)?;
    outbox::enqueue(store, &credential.id, revision)?;
    Ok(Outcome::KeyRotated { key: Box::new(key), retiring: Box::new(retiring), changed_at: by.now })
}
