//! Members, the people and machines that use the control plane: the stored row and its view.

use super::context::{OperationError, days_after};
use super::meta;
use super::store::{Row, Store, StoreError, Value};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{MemberView, NewCredential, Rejection, Status};

/// Selects the columns that [`Member`] reads.
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
    /// Member id.
    pub id: KeyId,
    /// Role.
    pub role: Role,
    /// The environments they are limited to; `None` is no limit.
    pub environments: Option<Vec<Environment>>,
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// End of their credential.
    pub expires_at: Millis,
    /// Lifetime of their credential as last set, in days. A rotation starts it anew.
    pub life_days: u32,
    /// Order of creation.
    pub(super) position: i64,
    pub(super) key_hash: KeyHash,
    created_at: Millis,
    created_by: String,
    revoked_at: Option<Millis>,
    revision: u64,
}

impl Member {
    /// Whether they may see and act in `environment`.
    #[must_use]
    pub fn sees(&self, environment: Environment) -> bool {
        self.environments.as_ref().is_none_or(|environments| environments.contains(&environment))
    }

    /// Whether their own limit covers `limit`. They may create and manage only members whose limit it covers.
    #[must_use]
    pub fn covers(&self, limit: Option<&[Environment]>) -> bool {
        self.environments.is_none()
            || limit.is_some_and(|environments| environments.iter().all(|environment| self.sees(*environment)))
    }

    /// Returns their state at `now`.
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

    /// Returns their view at `now`.
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

/// A member to insert.
pub struct NewMember<'a> {
    /// What the edge minted.
    pub credential: &'a NewCredential,
    /// Name.
    pub name: &'a str,
    /// E-mail address.
    pub email: &'a str,
    /// Role.
    pub role: Role,
    /// Limit; `None` is no limit.
    pub environments: Option<&'a [Environment]>,
    /// Lifetime of the credential, in days.
    pub life_days: u32,
    /// Member id, or `bootstrap`.
    pub created_by: &'a str,
    /// Instant of creation.
    pub now: Millis,
}

/// Inserts the row of a new member, and returns it.
///
/// # Errors
/// [`StoreError`] when the store fails, or the id is no member's.
pub fn insert(store: &mut dyn Store, member: &NewMember<'_>) -> Result<Member, StoreError> {
    if member.credential.id.class() != Class::Member {
        return Err(StoreError::new("a member needs an id of the class admin"));
    }
    let revision = Value::count(meta::next_revision(store)?)?;
    store.execute(
        "INSERT INTO members (position, id, key_hash, minted_under, name, email, role, environments, created_at,
             created_by, expires_at, life_days, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            revision.clone(),
            member.credential.id.as_str().into(),
            member.credential.key_hash.to_hex().into(),
            member.credential.minted_under.as_str().into(),
            member.name.into(),
            member.email.into(),
            member.role.as_str().into(),
            stored_limit(member.environments)?,
            member.now.into(),
            member.created_by.into(),
            days_after(member.now, member.life_days).into(),
            Value::Integer(i64::from(member.life_days)),
            revision,
        ],
    )?;
    get_written(store, &member.credential.id)
}

/// Returns each environment once, in one order.
#[must_use]
pub fn each_once(environments: &[Environment]) -> Vec<Environment> {
    [Environment::Live, Environment::Test].into_iter().filter(|known| environments.contains(known)).collect()
}

/// Returns a limit as stored: each environment once, in one order. `NULL` is no limit.
///
/// # Errors
/// [`StoreError`] when the limit has no JSON form, which every limit has.
pub fn stored_limit(environments: Option<&[Environment]>) -> Result<Value, StoreError> {
    let Some(environments) = environments else { return Ok(Value::Null) };
    let text =
        serde_json::to_string(&each_once(environments)).map_err(|_| StoreError::new("a list has no JSON form"))?;
    Ok(text.into())
}

/// Returns the members who are not revoked and have this e-mail address, in any ASCII case: at most one, as long as only
/// this code writes.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn with_email(store: &mut dyn Store, email: &str) -> Result<Vec<Member>, StoreError> {
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

/// Returns the member of that id.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Member>, StoreError> {
    let rows = store.query(select_members!("WHERE id = ?"), &[id.as_str().into()])?;
    rows.first().map(Member::from_row).transpose()
}

/// Returns the member of that id, whom this operation has just written.
///
/// # Errors
/// [`StoreError`] when the store fails or has no such member.
pub fn get_written(store: &mut dyn Store, id: &KeyId) -> Result<Member, StoreError> {
    find(store, id)?.ok_or_else(|| StoreError::new("a member just seen is not there"))
}

/// Whether there has ever been a member: rows are never deleted.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn exists(store: &mut dyn Store) -> Result<bool, StoreError> {
    Ok(!store.query("SELECT position FROM members LIMIT 1", &[])?.is_empty())
}

/// Refuses a change that would take the last active owner without a limit.
///
/// # Errors
/// [`Rejection::LastOwner`] when `member` is the last one, or a failure of the store.
pub fn check_not_last_owner(store: &mut dyn Store, member: &Member, now: Millis) -> Result<(), OperationError> {
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
