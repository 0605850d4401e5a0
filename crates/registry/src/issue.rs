//! Issuing a key.

use super::apply::{Context, OperationError, Policy, days_after};
use super::audit::{Action, shown};
use super::keys::{self, NewKey};
use super::store::Store;
use super::{meta, outbox};
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{KeyDraft, Lifetime, NewCredential, Outcome, Rejection};

/// How long a key lives when nothing is said, in days.
const DEFAULT_DAYS: u32 = 90;

/// Issues a key. The first of these that applies refuses it (the member's limit has been checked before): an unknown
/// scope, a wrong end, an active key of that integration, an active key of that name, an id that exists.
pub(super) fn issue(
    store: &mut dyn Store,
    by: &Context<'_>,
    draft: &KeyDraft,
    credential: &NewCredential,
) -> Result<Outcome, OperationError> {
    check_scopes(&draft.scopes, by.policy)?;
    let expires_at = end_of(draft.lifetime, by.policy, by.now)?;
    if let Some(id) = keys::active_of_integration(store, draft.environment, &draft.integration, by.now)? {
        return Err(Rejection::IntegrationHasKey { id }.into());
    }
    if let Some(id) = keys::active_of_name(store, draft.environment, &draft.name, by.now)? {
        return Err(Rejection::NameTaken { id }.into());
    }
    keys::check_new_id(store, &credential.id, draft.environment)?;

    let revision = meta::next_revision(store)?;
    let key = NewKey {
        credential,
        name: &draft.name,
        integration: &draft.integration,
        environment: draft.environment,
        purpose: &draft.purpose,
        owner: &draft.owner,
        scopes: &draft.scopes,
        allowed_cidrs: &draft.allowed_cidrs,
        created_at: by.now,
        created_by: &by.member.id,
        expires_at,
        rotated_from: None,
        revision,
    };
    keys::insert(store, &key)?;
    let view = keys::view(&keys::get_written(store, &credential.id)?, by.now)?;
    by.record(store, Action::KeyIssue, &credential.id, vec![("key", shown(&view)?)])?;
    outbox::enqueue(store, &credential.id, revision)?;
    Ok(Outcome::KeyIssued(Box::new(view)))
}

/// Every scope must be one that a route uses: one that isn't would open nothing, and is most likely a typing error.
pub(super) fn check_scopes(scopes: &[Scope], policy: &Policy) -> Result<(), Rejection> {
    let unknown = scopes.iter().enumerate().find(|(_, scope)| !policy.known_scopes.contains(scope));
    let Some((position, scope)) = unknown else {
        return Ok(());
    };
    let known: Vec<&str> = policy.known_scopes.iter().map(|known| known.as_str()).collect();
    Err(Rejection::UnknownScope {
        field: format!("scopes[{position}]"),
        detail: if known.is_empty() {
            format!("No route uses the scope {scope}; no route uses any.")
        } else {
            format!("No route uses the scope {scope}. Known scopes: {}.", known.join(", "))
        },
    })
}

/// The instant from which on the key is expired.
fn end_of(lifetime: Lifetime, policy: &Policy, now: Millis) -> Result<Millis, Rejection> {
    let most = policy.max_key_days;
    match lifetime {
        Lifetime::Default => Ok(days_after(now, DEFAULT_DAYS.min(most))),
        Lifetime::Days(days) if (1..=most).contains(&days) => Ok(days_after(now, days)),
        Lifetime::Days(_) => Err(Rejection::Invalid {
            field: "expires_in_days".to_owned(),
            detail: format!("A key lives 1 to {most} days."),
        }),
        Lifetime::Until(end) => check_end(end, policy, now).map(|()| end),
    }
}

/// No key ends in the past, or later than a key issued now could.
pub(super) fn check_end(end: Millis, policy: &Policy, now: Millis) -> Result<(), Rejection> {
    let most = policy.max_key_days;
    let latest = days_after(now, most);
    if now < end && end <= latest {
        return Ok(());
    }
    Err(Rejection::Invalid {
        field: "expires_at".to_owned(),
        detail: format!(
            "A key ends in the future and at most {most} days from now: after {}, not after {}.",
            now.rfc3339(),
            latest.rfc3339()
        ),
    })
}
