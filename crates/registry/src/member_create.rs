//! Making members: the first owner, and everyone after.

use super::apply::{Context, OperationError, Policy, days_after};
use super::audit::{self, Action, Change, shown};
use super::store::{Store, StoreError, Value};
use super::{members, meta};
use keyward_key::id::{Class, Environment};
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{MemberDraft, NewCredential, Outcome, Rejection, RequestMeta};

/// The actor of the first change, and `created_by` of the first owner.
const BOOTSTRAP: &str = "bootstrap";

/// Makes the first owner, once.
pub(super) fn bootstrap(
    store: &mut dyn Store,
    origin: &RequestMeta,
    name: &str,
    email: &str,
    credential: &NewCredential,
    policy: &Policy,
    now: Millis,
) -> Result<Outcome, OperationError> {
    if members::exists(store)? {
        return Err(Rejection::AlreadyBootstrapped.into());
    }
    let draft = MemberDraft {
        name: name.to_owned(),
        email: email.to_owned(),
        role: Role::Owner,
        environments: None,
        expires_in_days: None,
    };
    insert(store, &draft, policy.max_member_days, credential, BOOTSTRAP, now)?;
    let view = members::get_written(store, &credential.id)?.view(now);
    let change = Change {
        at: now,
        actor: BOOTSTRAP,
        action: Action::Bootstrap,
        subject: &credential.id,
        origin,
        what: vec![("member", shown(&view)?)],
    };
    audit::append(store, change)?;
    Ok(Outcome::MemberCreated(view))
}

/// Makes a member. The first of these that applies refuses it: no environment at all, a wrong length of life, an e-mail
/// address that another member has, an id that exists.
pub(super) fn create(
    store: &mut dyn Store,
    by: &Context<'_>,
    draft: &MemberDraft,
    credential: &NewCredential,
) -> Result<Outcome, OperationError> {
    check_environments(draft.environments.as_deref())?;
    let days = check_days(draft.expires_in_days, by.policy)?;
    if !members::with_email(store, &draft.email)?.is_empty() {
        return Err(Rejection::EmailTaken.into());
    }
    if members::find(store, &credential.id)?.is_some() {
        return Err(Rejection::IdTaken.into());
    }
    insert(store, draft, days, credential, by.member.id.as_str(), by.now)?;
    let view = members::get_written(store, &credential.id)?.view(by.now);
    by.record(store, Action::MemberCreate, &credential.id, vec![("member", shown(&view)?)])?;
    Ok(Outcome::MemberCreated(view))
}

/// A limit to nowhere would make a member who can do nothing, which is what revoking is for.
pub(super) fn check_environments(environments: Option<&[Environment]>) -> Result<(), Rejection> {
    if environments.is_none_or(|environments| !environments.is_empty()) {
        return Ok(());
    }
    Err(Rejection::Invalid {
        field: "environments".to_owned(),
        detail: "Name at least one environment, or null for no limit.".to_owned(),
    })
}

/// How many days a credential shall live.
pub(super) fn check_days(days: Option<u32>, policy: &Policy) -> Result<u32, Rejection> {
    let most = policy.max_member_days;
    let days = days.unwrap_or(most);
    if (1..=most).contains(&days) {
        return Ok(days);
    }
    Err(Rejection::Invalid {
        field: "expires_in_days".to_owned(),
        detail: format!("A member's credential lives 1 to {most} days."),
    })
}

/// Each environment once, in one order.
pub(super) fn each_once(environments: &[Environment]) -> Vec<Environment> {
    [Environment::Live, Environment::Test].into_iter().filter(|known| environments.contains(known)).collect()
}

/// A limit as stored: each environment once, in one order. NULL is no limit.
pub(super) fn stored_limit(environments: Option<&[Environment]>) -> Result<Value, StoreError> {
    let Some(environments) = environments else { return Ok(Value::Null) };
    let text =
        serde_json::to_string(&each_once(environments)).map_err(|_| StoreError::new("a list has no JSON form"))?;
    Ok(text.into())
}

fn insert(
    store: &mut dyn Store,
    draft: &MemberDraft,
    days: u32,
    credential: &NewCredential,
    created_by: &str,
    now: Millis,
) -> Result<(), StoreError> {
    if credential.id.class() != Class::Member {
        return Err(StoreError::new("a member needs an id of the class admin"));
    }
    let revision = Value::count(meta::next_revision(store)?)?;
    store.execute(
        "INSERT INTO members (position, id, key_hash, minted_under, name, email, role, environments, created_at,
             created_by, expires_at, life_days, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            revision.clone(),
            credential.id.as_str().into(),
            credential.key_hash.to_hex().into(),
            credential.minted_under.as_str().into(),
            draft.name.as_str().into(),
            draft.email.as_str().into(),
            draft.role.as_str().into(),
            stored_limit(draft.environments.as_deref())?,
            now.into(),
            created_by.into(),
            days_after(now, days).into(),
            Value::Integer(i64::from(days)),
            revision,
        ],
    )
}
