//! Changing a member.

use super::apply::{Context, OperationError, days_after};
use super::audit::{Action, difference};
use super::member_create::{check_days, check_environments, each_once, stored_limit};
use super::store::{Store, Value};
use super::{members, meta};
use keyward_key::id::{Environment, KeyId};
use keyward_protocol::role::Role;
use keyward_protocol::{Limit, MemberChanges, Outcome, Rejection, Status};

/// Changes what is given of a member; what is given as it is already is no change, and nothing is written for it. A
/// revoked member doesn't change, and a credential that has run out gets no longer life: that takes a rotation.
pub(super) fn update(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    changes: &MemberChanges,
) -> Result<Outcome, OperationError> {
    let before = members::find(store, id)?.ok_or(Rejection::NotFound)?;
    match before.status(by.now) {
        Status::Revoked => return Err(Rejection::NotActive { status: Status::Revoked }.into()),
        Status::Expired if changes.expires_in_days.is_some() => {
            return Err(Rejection::NotActive { status: Status::Expired }.into());
        }
        Status::Active | Status::Retiring | Status::Expired => {}
    }
    let mut after = before.clone();
    if let Some(name) = &changes.name {
        after.name.clone_from(name);
    }
    if let Some(email) = &changes.email {
        after.email.clone_from(email);
    }
    if let Some(role) = changes.role {
        after.role = role;
    }
    if let Some(limit) = &changes.environments {
        after.environments = environments(limit)?;
    }
    if changes.expires_in_days.is_some() {
        after.life_days = check_days(changes.expires_in_days, by.policy)?;
        after.expires_at = days_after(by.now, after.life_days);
    }
    if members::with_email(store, &after.email)?.iter().any(|other| other.id != *id) {
        return Err(Rejection::EmailTaken.into());
    }
    if after.role != Role::Owner || after.environments.is_some() {
        members::check_not_last_owner(store, &before, by.now)?;
    }

    let Some(difference) = difference(&before.view(by.now), &after.view(by.now))? else {
        return Ok(Outcome::Member(before.view(by.now)));
    };
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE members SET name = ?, email = ?, role = ?, environments = ?, expires_at = ?, life_days = ?, revision = ?
         WHERE id = ?",
        &[
            after.name.as_str().into(),
            after.email.as_str().into(),
            after.role.as_str().into(),
            stored_limit(after.environments.as_deref())?,
            after.expires_at.into(),
            Value::Integer(i64::from(after.life_days)),
            Value::count(revision)?,
            id.as_str().into(),
        ],
    )?;
    by.record(store, Action::MemberUpdate, id, difference)?;
    Ok(Outcome::Member(members::get_written(store, id)?.view(by.now)))
}

/// The limit as a member has it: each environment once, in one order.
fn environments(limit: &Limit) -> Result<Option<Vec<Environment>>, Rejection> {
    let Limit::Only(environments) = limit else { return Ok(None) };
    check_environments(Some(environments))?;
    Ok(Some(each_once(environments)))
}
