//! Issuing a key.

use super::apply::{Halt, Policy, days_after};
use super::audit::{self, Action, Change};
use super::command::{Done, KeyDraft, Lifetime, NewCredential, Provenance, Refused, Status};
use super::members::Member;
use super::store::{Store, StoreError, Value};
use super::{keys, meta, outbox};
use crate::key::id::{Class, KeyId};
use crate::time::Millis;

/// How long a key lives when nothing is said, in days.
const DEFAULT_DAYS: u32 = 90;

/// Issues a key. The first of these that applies refuses it: an environment the member may not touch, an unknown scope,
/// a wrong end, an active key of that integration, an active key of that name, an id that exists.
pub(super) fn issue(
    store: &mut dyn Store,
    member: &Member,
    origin: &Provenance,
    draft: &KeyDraft,
    credential: &NewCredential,
    policy: &Policy,
    now: Millis,
) -> Result<Done, Halt> {
    if !member.sees(draft.environment) {
        return Err(Refused::Forbidden.into());
    }
    check_scopes(draft, policy)?;
    let expires_at = end_of(draft.lifetime, policy, now)?;
    if let Some(id) = active_key_of_integration(store, draft, now)? {
        return Err(Refused::IntegrationHasKey { id }.into());
    }
    if let Some(id) = active_key_of_name(store, draft, now)? {
        return Err(Refused::NameTaken { id }.into());
    }
    if credential.id.class() != Class::Data(draft.environment) {
        return Err(StoreError::new("a key's id does not name its environment").into());
    }
    if keys::find(store, &credential.id)?.is_some() {
        return Err(Refused::IdTaken.into());
    }

    let revision = meta::next_revision(store)?;
    insert(store, member, draft, credential, expires_at, revision, now)?;
    let row = keys::find(store, &credential.id)?.ok_or_else(|| StoreError::new("a key just made is not there"))?;
    let view = keys::view(&row, now)?;
    let shown = serde_json::to_value(&view).map_err(|_| StoreError::new("a key has no JSON form"))?;
    audit::append(
        store,
        Change {
            at: now,
            actor: member.id.as_str(),
            action: Action::KeyIssue,
            subject: &credential.id,
            origin,
            what: ("key", shown),
        },
    )?;
    outbox::enqueue(store, &credential.id, revision)?;
    Ok(Done::KeyIssued(Box::new(view)))
}

/// Every scope must be one that a route uses: one that isn't would open nothing, and is most likely a typing error.
fn check_scopes(draft: &KeyDraft, policy: &Policy) -> Result<(), Refused> {
    let unknown = draft.scopes.iter().enumerate().find(|(_, scope)| !policy.known_scopes.contains(scope));
    let Some((position, scope)) = unknown else {
        return Ok(());
    };
    let known: Vec<&str> = policy.known_scopes.iter().map(|known| known.as_str()).collect();
    Err(Refused::UnknownScope {
        field: format!("scopes[{position}]"),
        detail: if known.is_empty() {
            format!("No route uses the scope {scope}; no route uses any.")
        } else {
            format!("No route uses the scope {scope}. Known scopes: {}.", known.join(", "))
        },
    })
}

/// The instant from which on the key is expired.
fn end_of(lifetime: Lifetime, policy: &Policy, now: Millis) -> Result<Millis, Refused> {
    let after = |days| days_after(now, days);
    let most = policy.max_key_days;
    match lifetime {
        Lifetime::Default => Ok(after(DEFAULT_DAYS.min(most))),
        Lifetime::Days(days) if (1..=most).contains(&days) => Ok(after(days)),
        Lifetime::Days(_) => Err(Refused::Invalid {
            field: "expires_in_days".to_owned(),
            detail: format!("A key lives 1 to {most} days."),
        }),
        Lifetime::Until(end) if now < end && end <= after(most) => Ok(end),
        Lifetime::Until(_) => Err(Refused::Invalid {
            field: "expires_at".to_owned(),
            detail: format!(
                "A key ends in the future and at most {most} days from now: after {}, not after {}.",
                now.rfc3339(),
                after(most).rfc3339()
            ),
        }),
    }
}

fn active_key_of_integration(
    store: &mut dyn Store,
    draft: &KeyDraft,
    now: Millis,
) -> Result<Option<KeyId>, StoreError> {
    first_id(
        store,
        "SELECT id FROM keys INDEXED BY keys_active_by_integration
         WHERE environment = ? AND integration = ? AND state = 'active' AND expires_at > ? LIMIT 1",
        &[draft.environment.as_str().into(), draft.integration.as_str().into(), now.into()],
    )
}

fn active_key_of_name(store: &mut dyn Store, draft: &KeyDraft, now: Millis) -> Result<Option<KeyId>, StoreError> {
    first_id(
        store,
        "SELECT id FROM keys INDEXED BY keys_active_by_name
         WHERE environment = ? AND name = ? AND state = 'active' AND expires_at > ? LIMIT 1",
        &[draft.environment.as_str().into(), draft.name.as_str().into(), now.into()],
    )
}

fn first_id(store: &mut dyn Store, sql: &str, parameters: &[Value]) -> Result<Option<KeyId>, StoreError> {
    let rows = store.query(sql, parameters)?;
    rows.first().map(|row| row.parsed("id", KeyId::parse)).transpose()
}

fn insert(
    store: &mut dyn Store,
    member: &Member,
    draft: &KeyDraft,
    credential: &NewCredential,
    expires_at: Millis,
    revision: u64,
    now: Millis,
) -> Result<(), StoreError> {
    let unwritable = |_| StoreError::new("a list has no JSON form");
    store.execute(
        "INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner,
             scopes, allowed_cidrs, state, created_at, created_by, expires_at, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            Value::count(revision)?,
            credential.id.as_str().into(),
            credential.key_hash.to_hex().into(),
            credential.minted_under.as_str().into(),
            draft.name.as_str().into(),
            draft.integration.as_str().into(),
            draft.environment.as_str().into(),
            draft.purpose.as_str().into(),
            draft.owner.as_str().into(),
            serde_json::to_string(&draft.scopes).map_err(unwritable)?.into(),
            serde_json::to_string(&draft.allowed_cidrs).map_err(unwritable)?.into(),
            Status::Active.as_str().into(),
            now.into(),
            member.id.as_str().into(),
            expires_at.into(),
            Value::count(revision)?,
        ],
    )
}
