//! Changing a key.

use super::apply::{Context, OperationError};
use super::audit::{Action, difference};
use super::issue::{check_end, check_scopes};
use super::store::{Store, Value};
use super::{keys, meta, outbox};
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::{KeyChanges, KeyView, Outcome, Rejection, Status};

/// Changes what is given of a key; what is given as it is already is no change, and nothing is written for it. The first
/// of these that applies refuses it: a key that is expired or revoked, an unknown scope, a wrong end, a wider right for a
/// retiring key, a name that another active key has.
pub(super) fn update(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    changes: &KeyChanges,
) -> Result<Outcome, OperationError> {
    let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
    let before = keys::view(&row, by.now)?;
    let ends_at = row.millis("expires_at")?;
    if let status @ (Status::Expired | Status::Revoked) = before.status {
        return Err(Rejection::NotActive { status }.into());
    }
    if let Some(scopes) = &changes.scopes {
        check_scopes(scopes, by.policy)?;
    }
    if let Some(end) = changes.expires_at {
        check_end(end, by.policy, by.now)?;
    }
    if before.status == Status::Retiring {
        check_only_narrower(&before, ends_at, changes)?;
    } else if let Some(name) = &changes.name {
        let other = keys::active_of_name(store, before.environment, name, by.now)?;
        if let Some(other) = other.filter(|other| other != id) {
            return Err(Rejection::NameTaken { id: other }.into());
        }
    }

    let expires_at = changes.expires_at.unwrap_or(ends_at);
    let after = changed(&before, changes, expires_at);
    let Some(difference) = difference(&before, &after)? else {
        return Ok(Outcome::KeyUpdated { key: Box::new(before), changed_at: by.now });
    };
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE keys SET name = ?, purpose = ?, owner = ?, scopes = ?, allowed_cidrs = ?, expires_at = ?,
             latest_end = max(latest_end, ?), revision = ?
         WHERE id = ?",
        &[
            after.name.as_str().into(),
            after.purpose.as_str().into(),
            after.owner.as_str().into(),
            keys::stored_list(&after.scopes)?,
            keys::stored_list(&after.allowed_cidrs)?,
            expires_at.into(),
            expires_at.into(),
            Value::count(revision)?,
            id.as_str().into(),
        ],
    )?;
    by.record(store, Action::KeyUpdate, id, difference)?;
    outbox::enqueue(store, id, revision)?;
    let key = keys::view(&keys::get_written(store, id)?, by.now)?;
    Ok(Outcome::KeyUpdated { key: Box::new(key), changed_at: by.now })
}

fn changed(before: &KeyView, changes: &KeyChanges, expires_at: Millis) -> KeyView {
    let mut after = before.clone();
    if let Some(name) = &changes.name {
        after.name.clone_from(name);
    }
    if let Some(purpose) = &changes.purpose {
        after.purpose.clone_from(purpose);
    }
    if let Some(owner) = &changes.owner {
        after.owner.clone_from(owner);
    }
    if let Some(scopes) = &changes.scopes {
        after.scopes.clone_from(scopes);
    }
    if let Some(networks) = &changes.allowed_cidrs {
        after.allowed_cidrs.clone_from(networks);
    }
    after.expires_at = expires_at.rfc3339();
    after
}

/// A retiring key has been replaced: whoever needs more uses its successor. It may lose rights and time, never gain any.
fn check_only_narrower(before: &KeyView, ends_at: Millis, changes: &KeyChanges) -> Result<(), Rejection> {
    let wider = |field: String| Rejection::Invalid {
        field,
        detail:
            "This key is retiring: it can be narrowed and shortened, not widened or prolonged. Change its successor."
                .to_owned(),
    };
    let scopes = changes.scopes.as_deref().unwrap_or_default();
    if let Some(position) = scopes.iter().position(|scope| !before.scopes.contains(scope)) {
        return Err(wider(format!("scopes[{position}]")));
    }
    // No network at all is from anywhere.
    if let (false, Some(networks)) = (before.allowed_cidrs.is_empty(), &changes.allowed_cidrs) {
        if networks.is_empty() {
            return Err(wider("allowed_cidrs".to_owned()));
        }
        let within = |network| before.allowed_cidrs.iter().any(|allowed| allowed.contains(network));
        if let Some(position) = networks.iter().position(|network| !within(network)) {
            return Err(wider(format!("allowed_cidrs[{position}]")));
        }
    }
    if changes.expires_at.is_some_and(|end| end > ends_at) {
        return Err(wider("expires_at".to_owned()));
    }
    Ok(())
}
