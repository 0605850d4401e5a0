//! People and machines that may use the control plane.

use super::apply::{Halt, Policy, days_after};
use super::audit::{self, Action, Change};
use super::command::{Done, MemberView, NewCredential, Provenance, Refused, Status};
use super::meta;
use super::roles::Role;
use super::store::{Row, Store, StoreError, Value};
use crate::key::hash::KeyHash;
use crate::key::id::{Class, Environment, KeyId};
use crate::time::Millis;

/// The actor of the first change, and `created_by` of the first owner.
const BOOTSTRAP: &str = "bootstrap";

/// A member as stored.
#[derive(Debug, Clone)]
pub struct Member {
    /// Their public name.
    pub id: KeyId,
    /// What they may do.
    pub role: Role,
    /// The environments they are limited to; `None` is no limit.
    pub environments: Option<Vec<Environment>>,
    name: String,
    email: String,
    key_hash: KeyHash,
    created_at: Millis,
    created_by: String,
    expires_at: Millis,
    revoked_at: Option<Millis>,
    revision: u64,
}

impl Member {
    /// Whether what is in `environment` exists for them.
    #[must_use]
    pub fn sees(&self, environment: Environment) -> bool {
        self.environments.as_ref().is_none_or(|environments| environments.contains(&environment))
    }

    /// Their state at `now`.
    #[must_use]
    pub fn status(&self, now: Millis) -> Status {
        if self.revoked_at.is_some() {
            Status::Revoked
        } else if self.expires_at <= now {
            Status::Expired
        } else {
            Status::Active
        }
    }

    /// As answers show them at `now`.
    #[must_use]
    pub fn view(&self, now: Millis) -> MemberView {
        MemberView {
            id: self.id.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            role: self.role.as_str().to_owned(),
            environments: self.environments.clone(),
            status: self.status(now),
            created_at: self.created_at.rfc3339(),
            created_by: self.created_by.clone(),
            expires_at: self.expires_at.rfc3339(),
            revoked_at: self.revoked_at.map(Millis::rfc3339),
            revision: self.revision,
        }
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id", KeyId::parse)?,
            role: row.parsed("role", Role::parse)?,
            environments: row.optional_parsed("environments", |text| serde_json::from_str(text).ok())?,
            name: row.text("name")?.to_owned(),
            email: row.text("email")?.to_owned(),
            key_hash: row.parsed("key_hash", KeyHash::from_stored)?,
            created_at: row.millis("created_at")?,
            created_by: row.text("created_by")?.to_owned(),
            expires_at: row.millis("expires_at")?,
            revoked_at: row.optional_millis("revoked_at")?,
            revision: row.count("revision")?,
        })
    }
}

/// The refusal that says 401 and nothing else; `reason` goes to the log.
pub(super) fn unauthenticated(reason: &str) -> Halt {
    Halt::Refused(Refused::Unauthenticated { reason: reason.to_owned() })
}

/// The member whose credential this is, now.
pub(super) fn authenticate(
    store: &mut dyn Store,
    id: &KeyId,
    presented: &KeyHash,
    now: Millis,
) -> Result<Member, Halt> {
    let member = find(store, id)?.ok_or_else(|| unauthenticated("no such member"))?;
    if !member.key_hash.matches(presented) {
        return Err(unauthenticated("wrong secret"));
    }
    match member.status(now) {
        Status::Revoked => Err(unauthenticated("the member is revoked")),
        Status::Expired => Err(unauthenticated("the credential has expired")),
        Status::Active | Status::Retiring => Ok(member),
    }
}

fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Member>, StoreError> {
    store
        .query(
            "SELECT id, role, environments, name, email, key_hash, created_at, created_by, expires_at, revoked_at,
                 revision
             FROM members WHERE id = ?",
            &[id.as_str().into()],
        )?
        .first()
        .map(Member::from_row)
        .transpose()
}

/// Whether there has ever been a member: rows are never deleted.
pub(super) fn any(store: &mut dyn Store) -> Result<bool, StoreError> {
    Ok(!store.query("SELECT position FROM members LIMIT 1", &[])?.is_empty())
}

/// Makes the first owner, once.
pub(super) fn bootstrap(
    store: &mut dyn Store,
    origin: &Provenance,
    name: &str,
    email: &str,
    credential: &NewCredential,
    policy: &Policy,
    now: Millis,
) -> Result<Done, Halt> {
    if any(store)? {
        return Err(Refused::AlreadyBootstrapped.into());
    }
    if credential.id.class() != Class::Member {
        return Err(StoreError::new("a member needs an id of the class admin").into());
    }
    let revision = meta::next_revision(store)?;
    let expires_at = days_after(now, policy.max_member_days);
    store.execute(
        "INSERT INTO members (position, id, key_hash, minted_under, name, email, role, environments, created_at,
             created_by, expires_at, revoked_at, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            Value::count(revision)?,
            credential.id.as_str().into(),
            credential.key_hash.to_hex().into(),
            credential.minted_under.as_str().into(),
            name.into(),
            email.into(),
            Role::Owner.as_str().into(),
            Value::Null,
            now.into(),
            BOOTSTRAP.into(),
            expires_at.into(),
            Value::Null,
            Value::count(revision)?,
        ],
    )?;
    let view =
        find(store, &credential.id)?.ok_or_else(|| StoreError::new("a member just made is not there"))?.view(now);
    let shown = serde_json::to_value(&view).map_err(|_| StoreError::new("a member has no JSON form"))?;
    audit::append(
        store,
        Change {
            at: now,
            actor: BOOTSTRAP,
            action: Action::Bootstrap,
            subject: &credential.id,
            origin,
            what: ("member", shown),
        },
    )?;
    Ok(Done::MemberCreated(view))
}
