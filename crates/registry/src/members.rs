//! People and machines that may use the control plane: the stored row, who is calling, and how answers show them.

use super::apply::OperationError;
use super::store::{Row, Store, StoreError};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{MemberView, Rejection, Status};

/// What [`Member`] reads.
macro_rules! select_members {
    ($rest:literal) => {
        concat!(
            "SELECT position, id, role, environments, name, email, key_hash, created_at, created_by, expires_at, \
             life_days, revoked_at, revision FROM members ",
            $rest
        )
    };
}
pub(super) use select_members;

/// A member as stored.
#[derive(Debug, Clone)]
pub struct Member {
    /// Their public name.
    pub id: KeyId,
    /// What they may do.
    pub role: Role,
    /// The environments they are limited to; `None` is no limit.
    pub environments: Option<Vec<Environment>>,
    /// Order of creation.
    pub(super) position: i64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) expires_at: Millis,
    /// How long their credential was to live when that was last said; a rotation gives as much again.
    pub(super) life_days: u32,
    key_hash: KeyHash,
    created_at: Millis,
    created_by: String,
    revoked_at: Option<Millis>,
    revision: u64,
}

impl Member {
    /// Whether what is in `environment` exists for them.
    #[must_use]
    pub fn sees(&self, environment: Environment) -> bool {
        self.environments.as_ref().is_none_or(|environments| environments.contains(&environment))
    }

    /// Whether a member with that limit may do nothing that they may not: such members they may make and manage.
    #[must_use]
    pub fn covers(&self, limit: Option<&[Environment]>) -> bool {
        self.environments.is_none()
            || limit.is_some_and(|environments| environments.iter().all(|environment| self.sees(*environment)))
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

    pub(super) fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("id", KeyId::parse)?,
            role: row.parsed("role", Role::parse)?,
            environments: row.optional_parsed("environments", |text| serde_json::from_str(text).ok())?,
            position: row.integer("position")?,
            name: row.text("name")?.to_owned(),
            email: row.text("email")?.to_owned(),
            expires_at: row.millis("expires_at")?,
            life_days: u32::try_from(row.count("life_days")?)
                .map_err(|_| StoreError::corrupt("life_days", "a number of days"))?,
            key_hash: row.parsed("key_hash", KeyHash::from_stored)?,
            created_at: row.millis("created_at")?,
            created_by: row.text("created_by")?.to_owned(),
            revoked_at: row.optional_millis("revoked_at")?,
            revision: row.count("revision")?,
        })
    }
}

/// The refusal that says 401 and nothing else; `reason` goes to the log.
pub(super) fn unauthenticated(reason: &str) -> OperationError {
    OperationError::Refused(Rejection::Unauthenticated { reason: reason.to_owned() })
}

/// The member whose credential this is, now.
pub(super) fn authenticate(
    store: &mut dyn Store,
    id: &KeyId,
    presented: &KeyHash,
    now: Millis,
) -> Result<Member, OperationError> {
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

/// The one active member with this e-mail address, which another party has vouched for.
pub(super) fn authenticate_email(store: &mut dyn Store, email: &str, now: Millis) -> Result<Member, OperationError> {
    let mut active = with_email(store, email)?;
    active.retain(|member| member.status(now) == Status::Active);
    match (active.pop(), active.is_empty()) {
        (Some(member), true) => Ok(member),
        (Some(_), false) => Err(unauthenticated("several members have this e-mail address")),
        (None, _) => Err(unauthenticated("no active member has this e-mail address")),
    }
}

/// The members who are not revoked and have this e-mail address, in any ASCII case. At most one, as long as only this
/// code writes.
pub(super) fn with_email(store: &mut dyn Store, email: &str) -> Result<Vec<Member>, StoreError> {
    store
        .query(
            select_members!(
                "INDEXED BY members_by_email WHERE email = ? COLLATE NOCASE AND revoked_at IS NULL LIMIT 2"
            ),
            &[email.into()],
        )?
        .iter()
        .map(Member::from_row)
        .collect()
}

/// The member of that id.
pub(super) fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Member>, StoreError> {
    let rows = store.query(select_members!("WHERE id = ?"), &[id.as_str().into()])?;
    rows.first().map(Member::from_row).transpose()
}

/// The member of that id, which this operation has just written or been allowed to name.
pub(super) fn get_written(store: &mut dyn Store, id: &KeyId) -> Result<Member, StoreError> {
    find(store, id)?.ok_or_else(|| StoreError::new("a member just seen is not there"))
}

/// Whether there has ever been a member: rows are never deleted.
pub(super) fn exists(store: &mut dyn Store) -> Result<bool, StoreError> {
    Ok(!store.query("SELECT position FROM members LIMIT 1", &[])?.is_empty())
}

/// Refuses to go on if nobody but `member` is an active owner without a limit: they must stay one.
pub(super) fn check_not_last_owner(store: &mut dyn Store, member: &Member, now: Millis) -> Result<(), OperationError> {
    if !is_full_owner(member, now) {
        return Ok(());
    }
    let others = store.query(
        "SELECT position FROM members
         WHERE role = 'owner' AND environments IS NULL AND revoked_at IS NULL AND expires_at > ? AND id <> ? LIMIT 1",
        &[now.into(), member.id.as_str().into()],
    )?;
    if others.is_empty() { Err(Rejection::LastOwner.into()) } else { Ok(()) }
}

/// Whether they can do everything everywhere, now.
fn is_full_owner(member: &Member, now: Millis) -> bool {
    member.role == Role::Owner && member.environments.is_none() && member.status(now) == Status::Active
}
