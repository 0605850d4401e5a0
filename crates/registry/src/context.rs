//! Types that every operation of the control plane shares: its context, its errors, and its transaction.

use super::audit::{self, AuditDetail, Change};
use super::members::Member;
use super::sessions::Session;
use super::store::{Store, StoreError};
use keyward_key::exposure::OnExposure;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{NewCredential, Rejection, RequestMeta};

/// Settings that limit keys and members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `MAX_KEY_DAYS`: maximum lifetime of a key, in days.
    pub max_key_days: u32,
    /// `MAX_MEMBER_DAYS`: maximum lifetime of a member's credential, in days.
    pub max_member_days: u32,
    /// Scopes that `ROUTES` uses.
    pub known_scopes: Vec<Scope>,
    /// `ON_EXPOSURE`.
    pub on_exposure: OnExposure,
}

/// Returns the instant `days` days of 86,400 seconds after `now`.
#[must_use]
pub fn days_after(now: Millis, days: u32) -> Millis {
    now.plus_seconds(i64::from(days).saturating_mul(86_400))
}

/// Returns the instant a whole number of days before `now`.
#[must_use]
pub fn days_before(now: Millis, days: u32) -> Millis {
    now.plus_seconds(i64::from(days).saturating_mul(-86_400))
}

/// An authenticated caller.
#[derive(Debug)]
pub enum Actor {
    /// A member.
    Member(Box<Member>),
    /// The holder of the bootstrap token.
    Bootstrap,
    /// The holder of the token for metrics.
    Scraper,
    /// The holder of this key.
    Holder(KeyId),
    /// The holder of the secret of this key's claim.
    Claimant(KeyId),
}

/// Context of an operation: actor, request, policy, time.
pub struct Context<'a> {
    /// The caller who runs the operation.
    pub actor: &'a Actor,
    /// The HTTP request, for the audit log.
    pub request: &'a RequestMeta,
    /// Settings.
    pub policy: &'a Policy,
    /// The credential that the edge minted for this operation.
    pub credential: Option<&'a NewCredential>,
    /// Hash of the credential that the caller presented, if they signed in with one.
    pub presented: Option<&'a KeyHash>,
    /// The caller's session, if they signed in with one.
    pub session: Option<&'a Session>,
    /// Whether this request proves more than a session: it shows the credential, or Cloudflare Access vouches for the person.
    pub is_confirmed: bool,
    /// The authority's clock.
    pub now: Millis,
}

impl Context<'_> {
    /// Returns the actor's name for the audit log: the member's id, `bootstrap`, `holder` or `claimant`.
    #[must_use]
    pub fn actor_name(&self) -> &str {
        match self.actor {
            Actor::Member(member) => member.id.as_str(),
            Actor::Bootstrap => "bootstrap",
            Actor::Scraper => "scraper",
            Actor::Holder(_) => "holder",
            Actor::Claimant(_) => "claimant",
        }
    }

    /// Returns the member who runs the operation.
    ///
    /// # Errors
    /// [`Rejection::Forbidden`] if the actor is not a member.
    pub fn member(&self) -> Result<&Member, OperationError> {
        match self.actor {
            Actor::Member(member) => Ok(member),
            Actor::Bootstrap | Actor::Scraper | Actor::Holder(_) | Actor::Claimant(_) => {
                Err(Rejection::Forbidden.into())
            }
        }
    }

    /// Refuses a request by session that does not show the member's credential again.
    ///
    /// # Errors
    /// [`Rejection::ConfirmationRequired`].
    pub fn confirm(&self) -> Result<(), OperationError> {
        if self.is_confirmed { Ok(()) } else { Err(Rejection::ConfirmationRequired.into()) }
    }

    /// Returns the credential that the edge minted.
    ///
    /// # Errors
    /// [`StoreError`] if the message has none, which is an internal fault.
    pub fn credential(&self) -> Result<&NewCredential, StoreError> {
        self.credential.ok_or_else(|| StoreError::new("the message lacks the new credential"))
    }

    /// Appends the audit entry of this change, within the caller's transaction.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn record(
        &self,
        store: &mut dyn Store,
        action: &'static str,
        subject: &KeyId,
        detail: AuditDetail,
    ) -> Result<(), StoreError> {
        self.record_about(store, action, subject.as_str(), detail)
    }

    /// Like [`Self::record`], for a subject that is neither a key nor a member.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn record_about(
        &self,
        store: &mut dyn Store,
        action: &'static str,
        subject: &str,
        detail: AuditDetail,
    ) -> Result<(), StoreError> {
        let request = Some(self.request);
        audit::append(store, Change { at: self.now, actor: self.actor_name(), action, subject, request, detail })
    }
}

/// Actor of due work in the audit log.
pub const OWN_ACTOR: &str = "keyward";

/// Appends the audit entry of a change that due work makes at `now`, within the caller's transaction.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn record_own(
    store: &mut dyn Store,
    now: Millis,
    action: &'static str,
    subject: &KeyId,
    detail: AuditDetail,
) -> Result<(), StoreError> {
    let change = Change { at: now, actor: OWN_ACTOR, action, subject: subject.as_str(), request: None, detail };
    audit::append(store, change)
}

/// Reason why an operation stopped. Nothing is written in either case.
#[derive(Debug)]
pub enum OperationError {
    /// It was refused.
    Refused(Rejection),
    /// The store failed.
    Store(StoreError),
}

impl From<Rejection> for OperationError {
    fn from(refused: Rejection) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Runs `work` in one transaction. A refusal rolls the transaction back, so a refusal never writes.
///
/// # Errors
/// [`StoreError`] when the store failed: nothing changed, unless only the confirmation of the commit was lost.
pub fn transact<T>(
    store: &mut dyn Store,
    mut work: impl FnMut(&mut dyn Store) -> Result<T, OperationError>,
) -> Result<Result<T, Rejection>, StoreError> {
    let mut finished = None;
    let committed = store.transaction(&mut |store| match work(store) {
        Ok(value) => {
            finished = Some(Ok(value));
            Ok(())
        }
        Err(OperationError::Refused(refused)) => {
            finished = Some(Err(refused));
            Err(StoreError::new("rolled back: the operation was refused"))
        }
        Err(OperationError::Store(error)) => Err(error),
    });
    match (committed, finished) {
        (Ok(()), Some(Ok(value))) => Ok(Ok(value)),
        (Err(_), Some(Err(refused))) => Ok(Err(refused)),
        (Err(error), _) => Err(error),
        (Ok(()), _) => Err(StoreError::new("the transaction was committed without its work")),
    }
}
