//! Members, the people and machines that use the control plane: the stored row and its view.

use super::audit::shown;
use super::context::{Actor, Context, OperationError, days_after};
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
            "SELECT position, id, role, environments, name, email, key_hash, previous_hash, previous_until, \
             email_by_limited, created_at, created_by, expires_at, life_days, revoked_at, revision FROM members ",
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
    /// Environments that the member is limited to; `None` means no limit.
    pub environments: Option<Vec<Environment>>,
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Expiry of the member's credential.
    pub expires_at: Millis,
    /// Lifetime of the member's credential as last set, in days. A rotation restarts it.
    pub life_days: u32,
    /// Order of creation.
    pub(super) position: i64,
    pub(super) key_hash: KeyHash,
    /// The previous credential, while its replacement is unused.
    pub(super) previous: Option<Previous>,
    /// Whether a member with a limit registered the e-mail address.
    pub email_by_limited: bool,
    created_at: Millis,
    created_by: String,
    revoked_at: Option<Millis>,
    /// Number of the member's last change.
    pub revision: u64,
}

/// Which credential of a member was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presented {
    /// The credential.
    Current,
    /// The one that its owner has replaced, while it works.
    Previous,
}

/// A credential that its owner has replaced. It works until the new one is first used, so that a lost response locks nobody out.
#[derive(Debug, Clone)]
pub(super) struct Previous {
    hash: KeyHash,
    until: Millis,
}

impl Previous {
    fn works(&self, now: Millis) -> bool {
        now < self.until
    }
}

/// Maximum time that a replaced credential works, in seconds. During this time a retry gets the new credential again.
const HANDOVER_SECONDS: i64 = 600;

impl Member {
    /// Returns whether the hash matches the member's credential, or the previous one while it still works.
    #[must_use]
    pub fn accepts(&self, presented: &KeyHash, now: Millis) -> bool {
        self.presented(presented, now).is_some()
    }

    /// Returns which of the member's credentials has this hash.
    pub(super) fn presented(&self, presented: &KeyHash, now: Millis) -> Option<Presented> {
        if self.key_hash.matches(presented) {
            return Some(Presented::Current);
        }
        let previous = self.previous.as_ref().filter(|previous| previous.works(now))?;
        previous.hash.matches(presented).then_some(Presented::Previous)
    }

    /// Returns whether the member may see and act in `environment`.
    #[must_use]
    pub fn sees(&self, environment: Environment) -> bool {
        self.environments.as_ref().is_none_or(|environments| environments.contains(&environment))
    }

    /// Returns whether the member's own limit covers `limit`. Members may create and manage only members whose limit they cover.
    #[must_use]
    pub fn covers(&self, limit: Option<&[Environment]>) -> bool {
        self.environments.is_none()
            || limit.is_some_and(|environments| environments.iter().all(|environment| self.sees(*environment)))
    }

    /// Returns the member's state at `now`.
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

    /// Returns the member's view at `now`.
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
            previous: previous(row)?,
            email_by_limited: row.count("email_by_limited")? != 0,
            created_at: row.millis("created_at")?,
            created_by: row.text("created_by")?.to_owned(),
            revoked_at: row.optional_millis("revoked_at")?,
            revision: row.count("revision")?,
        })
    }
}

fn previous(row: &Row) -> Result<Option<Previous>, StoreError> {
    let hash = row.optional_parsed("previous_hash", KeyHash::from_stored)?;
    let until = row.optional_millis("previous_until")?;
    Ok(hash.zip(until).map(|(hash, until)| Previous { hash, until }))
}

/// A member to insert.
pub struct NewMember<'a> {
    /// The credential that the isolate minted.
    pub credential: &'a NewCredential,
    /// Name.
    pub name: &'a str,
    /// E-mail address.
    pub email: &'a str,
    /// Role.
    pub role: Role,
    /// Environments that the member is limited to; `None` means no limit.
    pub environments: Option<&'a [Environment]>,
    /// Lifetime of the credential, in days.
    pub life_days: u32,
}

/// Inserts the row of a new member, and returns it.
///
/// # Errors
/// [`StoreError`] if the store fails, or the id is not a member's.
pub fn insert(store: &mut dyn Store, by: &Context<'_>, member: &NewMember<'_>) -> Result<Member, StoreError> {
    if member.credential.id.class() != Class::Member {
        return Err(StoreError::new("a member needs an id of the class admin"));
    }
    let revision = Value::count(meta::next_revision(store)?)?;
    store.execute(
        "INSERT INTO members (position, id, key_hash, minted_under, name, email, role, environments, created_at,
             created_by, expires_at, life_days, email_by_limited, revision)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &[
            revision.clone(),
            member.credential.id.as_str().into(),
            member.credential.key_hash.to_hex().into(),
            member.credential.minted_under.as_str().into(),
            member.name.into(),
            member.email.into(),
            member.role.as_str().into(),
            stored_limit(member.environments)?,
            by.now.into(),
            by.actor_name().into(),
            days_after(by.now, member.life_days).into(),
            Value::Integer(i64::from(member.life_days)),
            Value::Integer(i64::from(is_limited(by))),
            revision,
        ],
    )?;
    get_written(store, &member.credential.id)
}

/// Returns the environments without duplicates, in a fixed order.
#[must_use]
pub fn each_once(environments: &[Environment]) -> Vec<Environment> {
    [Environment::Live, Environment::Test].into_iter().filter(|known| environments.contains(known)).collect()
}

/// Returns a limit in its stored form: without duplicates, in a fixed order. `NULL` means no limit.
///
/// # Errors
/// [`StoreError`] if the limit cannot be serialized, which does not happen.
pub fn stored_limit(environments: Option<&[Environment]>) -> Result<Value, StoreError> {
    let Some(environments) = environments else { return Ok(Value::Null) };
    let text =
        serde_json::to_string(&each_once(environments)).map_err(|_| StoreError::new("a list has no JSON form"))?;
    Ok(text.into())
}

/// Returns the members who are not revoked and have this e-mail address, in any ASCII case. There is at most one, provided that only
/// this code writes the table.
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

/// Returns the member with this id.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn find(store: &mut dyn Store, id: &KeyId) -> Result<Option<Member>, StoreError> {
    let rows = store.query(select_members!("WHERE id = ?"), &[id.as_str().into()])?;
    rows.first().map(Member::from_row).transpose()
}

/// Returns the member with this id, whom this operation has just written.
///
/// # Errors
/// [`StoreError`] when the store fails or has no such member.
pub fn get_written(store: &mut dyn Store, id: &KeyId) -> Result<Member, StoreError> {
    find(store, id)?.ok_or_else(|| StoreError::new("a member just seen is not there"))
}

/// Returns whether an active owner without a limit exists at `now`.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn has_full_owner(store: &mut dyn Store, now: Millis) -> Result<bool, StoreError> {
    let rows = store.query(
        "SELECT position FROM members
         WHERE role = 'owner' AND environments IS NULL AND revoked_at IS NULL AND expires_at > ? LIMIT 1",
        &[now.into()],
    )?;
    Ok(!rows.is_empty())
}

/// Returns whether the actor is a member with a limit.
fn is_limited(by: &Context<'_>) -> bool {
    matches!(by.actor, Actor::Member(member) if member.environments.is_some())
}

/// Invalidates the previous credential if the member presented its replacement.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn finish_handover(store: &mut dyn Store, member: &mut Member, presented: &KeyHash) -> Result<(), StoreError> {
    if member.previous.is_none() || !member.key_hash.matches(presented) {
        return Ok(());
    }
    member.previous = None;
    end_handover(store, &member.id)
}

/// Invalidates the previous credential of a member.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub(super) fn end_handover(store: &mut dyn Store, id: &KeyId) -> Result<(), StoreError> {
    store.execute("UPDATE members SET previous_hash = NULL, previous_until = NULL WHERE id = ?", &[id.as_str().into()])
}

/// Replaces a member's credential. If members replace their own, the old one works until the first use of the new one, at most ten
/// minutes; the end of that time is returned. Another member's old credential is refused at once.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn replace_credential(
    store: &mut dyn Store,
    by: &Context<'_>,
    member: &Member,
    life_days: u32,
) -> Result<Option<Millis>, StoreError> {
    let credential = by.credential()?;
    let own = matches!(by.actor, Actor::Member(actor) if actor.id == member.id);
    // While the credential of an earlier rotation is unused, the member still uses the one before has. Once its time is over it
    // must not come back.
    let working = member.previous.as_ref().filter(|previous| previous.works(by.now));
    let old = working.map_or(&member.key_hash, |previous| &previous.hash);
    let until = own.then(|| by.now.plus_seconds(HANDOVER_SECONDS).min(member.expires_at));
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE members SET key_hash = ?, minted_under = ?, previous_hash = ?, previous_until = ?, expires_at = ?,
             life_days = ?, revision = ? WHERE id = ?",
        &[
            credential.key_hash.to_hex().into(),
            credential.minted_under.as_str().into(),
            own.then(|| old.to_hex()).into(),
            until.into(),
            days_after(by.now, life_days).into(),
            Value::Integer(i64::from(life_days)),
            Value::count(revision)?,
            member.id.as_str().into(),
        ],
    )?;
    Ok(until)
}

/// Revokes a member who is not revoked, appends the audit entry, and returns the member.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn revoke(
    store: &mut dyn Store,
    by: &Context<'_>,
    id: &KeyId,
    reason: Option<&'static str>,
) -> Result<Member, StoreError> {
    let revision = meta::next_revision(store)?;
    store.execute(
        "UPDATE members SET revoked_at = ?, revision = ? WHERE id = ?",
        &[by.now.into(), Value::count(revision)?, id.as_str().into()],
    )?;
    let member = get_written(store, id)?;
    let mut detail = vec![("member", shown(&member.view(by.now))?)];
    detail.extend(reason.map(|reason| ("reason", reason.into())));
    by.record(store, "member.revoke", id, detail)?;
    Ok(member)
}

/// Frees an e-mail address for a member; `of` is a member who may already have it. An owner without a limit takes over an address
/// that a member with a limit registered, and a new first owner takes over one of a member whose credential has expired. The other
/// member is then revoked.
///
/// # Errors
/// [`Rejection::EmailTaken`], or a failure of the store.
pub fn free_email(
    store: &mut dyn Store,
    by: &Context<'_>,
    email: &str,
    of: Option<&KeyId>,
) -> Result<(), OperationError> {
    for other in with_email(store, email)?.iter().filter(|other| Some(&other.id) != of) {
        let takes_over = match by.actor {
            Actor::Member(actor) => !is_limited(by) && other.email_by_limited && other.id != actor.id,
            Actor::Bootstrap => other.status(by.now) != Status::Active,
            Actor::Scraper | Actor::Holder(_) | Actor::Claimant(_) => false,
        };
        if !takes_over {
            return Err(Rejection::EmailTaken.into());
        }
        revoke(store, by, &other.id, Some("Their e-mail address was taken over"))?;
    }
    Ok(())
}

/// Refuses a change that would leave no active owner without a limit.
///
/// # Errors
/// [`Rejection::LastOwner`] if `member` is the last one, or a failure of the store.
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

/// Returns whether the member is an active owner without a limit at `now`.
fn is_full_owner(member: &Member, now: Millis) -> bool {
    member.role == Role::Owner && member.environments.is_none() && member.status(now) == Status::Active
}
