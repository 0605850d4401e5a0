//! The one way into the authority: who asks, whether they may, and the operation, all of it or nothing.

use super::audit::{self, Action, AuditDetail, Change};
use super::members::{self, Member};
use super::store::{Store, StoreError};
use super::{
    feed, idempotency, inspect, issue, keys, list, member_create, member_list, member_revoke, member_rotate,
    member_update, revoke, revoke_by_holder, rotate, update, visibility,
};
use keyward_key::id::KeyId;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{
    Caller, Command, ControlRequest, NewCredential, Operation, Outcome, Rejection, Request, RequestMeta, Response,
};

/// What the configuration says about keys and members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `MAX_KEY_DAYS`: the longest that a key lives, in days.
    pub max_key_days: u32,
    /// `MAX_MEMBER_DAYS`: the longest that a member's credential lives, in days.
    pub max_member_days: u32,
    /// The scopes that `ROUTES` uses.
    pub known_scopes: Vec<Scope>,
}

/// The instant so many days of 86,400 seconds after `now`.
pub(super) fn days_after(now: Millis, days: u32) -> Millis {
    now.plus_seconds(i64::from(days).saturating_mul(86_400))
}

/// What every change needs to know: who makes it, whence, by which rules, and when.
pub(super) struct Context<'a> {
    pub(super) member: &'a Member,
    pub(super) origin: &'a RequestMeta,
    pub(super) policy: &'a Policy,
    pub(super) now: Millis,
}

impl Context<'_> {
    /// Appends the audit entry of this change, in the transaction under way.
    pub(super) fn record(
        &self,
        store: &mut dyn Store,
        action: Action,
        subject: &KeyId,
        what: AuditDetail,
    ) -> Result<(), StoreError> {
        let actor = self.member.id.as_str();
        audit::append(store, Change { at: self.now, actor, action, subject, origin: self.origin, what })
    }
}

/// Why an operation stopped. Either way nothing is written.
pub(super) enum OperationError {
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

/// Answers one call of the object.
///
/// # Errors
/// [`StoreError`] when the store failed: nothing changed, and nothing is known.
///
/// `random` is 16 characters for the name of a new epoch, should one begin.
pub fn answer(
    store: &mut dyn Store,
    call: Request,
    policy: &Policy,
    random: &str,
    now: Millis,
) -> Result<Response, StoreError> {
    match call {
        Request::Lookup { id } => {
            let record = keys::lookup(store, &id)?.map(Box::new);
            Ok(Response::Record { record, at: feed::position(store)? })
        }
        Request::Changes(ask) => {
            let (changes, restored) = feed::answer(store, &ask, random, now)?;
            Ok(Response::Changes { changes, restored })
        }
        Request::Control(control) => apply(store, *control, policy, now),
    }
}

/// Authenticates the caller, authorises the operation and runs it. One that changes something runs in one transaction,
/// which is rolled back when it is refused: a refusal never writes.
///
/// # Errors
/// [`StoreError`] when the store failed: nothing changed.
pub fn apply(
    store: &mut dyn Store,
    control: ControlRequest,
    policy: &Policy,
    now: Millis,
) -> Result<Response, StoreError> {
    if !changes(&control.command) {
        return match run(store, &control, policy, now) {
            Ok(done) => Ok(Response::Done(done)),
            Err(OperationError::Refused(refused)) => Ok(Response::Refused(refused)),
            Err(OperationError::Store(error)) => Err(error),
        };
    }
    let mut refused = None;
    let mut done = None;
    let result = store.transaction(&mut |store| match run(store, &control, policy, now) {
        Ok(outcome) => {
            done = Some(outcome);
            idempotency::prune(store, now)
        }
        Err(OperationError::Refused(refusal)) => {
            refused = Some(refusal);
            Err(roll_back())
        }
        Err(OperationError::Store(error)) => Err(error),
    });
    match (result, done, refused) {
        (Ok(()), Some(done), _) => Ok(Response::Done(done)),
        (Ok(()), None, _) => Err(StoreError::new("a transaction was committed that did not run")),
        (Err(error), _, Some(refused)) if error == roll_back() => Ok(Response::Refused(refused)),
        (Err(error), _, _) => Err(error),
    }
}

/// The error by which a refusal rolls its transaction back.
fn roll_back() -> StoreError {
    StoreError::new("refused, to be rolled back")
}

const fn changes(command: &Command) -> bool {
    match command {
        Command::Bootstrap { .. }
        | Command::IssueKey { .. }
        | Command::RevokeKey { .. }
        | Command::UpdateKey { .. }
        | Command::RotateKey { .. }
        | Command::CreateMember { .. }
        | Command::UpdateMember { .. }
        | Command::RevokeMember { .. }
        | Command::RotateMember { .. }
        | Command::RevokeByHolder => true,
        Command::Me
        | Command::Authorise { .. }
        | Command::ListKeys { .. }
        | Command::ShowKey { .. }
        | Command::ListMembers { .. }
        | Command::ShowMember { .. }
        | Command::ReadAudit { .. }
        | Command::AuditHead
        | Command::Introspect(_)
        | Command::Verify(_) => false,
    }
}

/// 1. Who is it? Asked anew on every call.
/// 2. May their role do this?
/// 3. Is what they name within their limit?
/// 4. Was it done before, under the same `Idempotency-Key`?
/// 5. Do it, and remember it for a retry.
fn run(
    store: &mut dyn Store,
    control: &ControlRequest,
    policy: &Policy,
    now: Millis,
) -> Result<Outcome, OperationError> {
    let member = match &control.caller {
        Caller::Bootstrap => return run_bootstrap(store, control, policy, now),
        Caller::Holder { id, key_hash } => return revoke_by_holder::run(store, control, id, key_hash, now),
        Caller::Credential { id, key_hash } => members::authenticate(store, id, key_hash, now)?,
        Caller::Access { email } => members::authenticate_email(store, email, now)?,
    };
    if !member.role.may(control.command.operation()) {
        return Err(Rejection::Forbidden.into());
    }
    visibility::check(store, &member, &control.command)?;
    let by = Context { member: &member, origin: &control.origin, policy, now };
    let retry = control.idempotency.as_ref().zip(mints(&control.command));
    if let Some((attempt, _)) = retry
        && let Some(replayed) = idempotency::replay(store, &member, attempt, now)?
    {
        return Ok(replayed);
    }
    let done = execute(store, &by, &control.command)?;
    if let Some((attempt, credential)) = retry {
        idempotency::remember(store, &member, attempt, credential, &done, now)?;
    }
    Ok(done)
}

/// The new credential of a command that makes one. Only these need to be remembered: any other change may be asked for
/// again without one.
const fn mints(command: &Command) -> Option<&NewCredential> {
    match command {
        Command::IssueKey { credential, .. }
        | Command::RotateKey { credential, .. }
        | Command::CreateMember { credential, .. }
        | Command::RotateMember { credential, .. } => Some(credential),
        _ => None,
    }
}

fn execute(store: &mut dyn Store, by: &Context<'_>, command: &Command) -> Result<Outcome, OperationError> {
    match command {
        Command::Bootstrap { .. } | Command::RevokeByHolder => Err(Rejection::Forbidden.into()),
        Command::Me => Ok(Outcome::Me(by.member.view(by.now))),
        Command::Authorise { .. } => Ok(Outcome::Authorised),
        Command::IssueKey { draft, credential } => issue::issue(store, by, draft, credential),
        Command::ListKeys { filter, limit, cursor } => {
            list::list(store, by.member, filter, *limit, cursor.as_deref(), by.now)
        }
        Command::ShowKey { id } => {
            let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
            Ok(Outcome::Key(Box::new(keys::view(&row, by.now)?)))
        }
        Command::UpdateKey { id, changes } => update::update(store, by, id, changes),
        Command::RotateKey { id, overlap_seconds, credential } => {
            rotate::rotate(store, by, id, *overlap_seconds, credential)
        }
        Command::RevokeKey { id, reason } => revoke::revoke(store, by, id, reason),
        Command::CreateMember { draft, credential } => member_create::create(store, by, draft, credential),
        Command::ListMembers { limit, cursor } => {
            member_list::list(store, by.member, *limit, cursor.as_deref(), by.now)
        }
        Command::ShowMember { id } => {
            let member = members::find(store, id)?.ok_or(Rejection::NotFound)?;
            Ok(Outcome::Member(member.view(by.now)))
        }
        Command::UpdateMember { id, changes } => member_update::update(store, by, id, changes),
        Command::RevokeMember { id } => member_revoke::revoke(store, by, id),
        Command::RotateMember { id, credential } => member_rotate::rotate(store, by, id, credential),
        Command::ReadAudit { after, limit } => audit::page(store, *after, *limit),
        Command::AuditHead => {
            let head = audit::head(store)?;
            Ok(Outcome::AuditHead { size: head.seq, hash: head.hash })
        }
        Command::Introspect(id) | Command::Verify(id) => inspect::inspect(store, by, id),
    }
}

/// The holder of the bootstrap token may make the first owner, and nothing else.
fn run_bootstrap(
    store: &mut dyn Store,
    control: &ControlRequest,
    policy: &Policy,
    now: Millis,
) -> Result<Outcome, OperationError> {
    match &control.command {
        Command::Bootstrap { name, email, credential } => {
            member_create::bootstrap(store, &control.origin, name, email, credential, policy, now)
        }
        Command::Authorise { operation: Operation::Bootstrap } if members::exists(store)? => {
            Err(Rejection::AlreadyBootstrapped.into())
        }
        Command::Authorise { operation: Operation::Bootstrap } => Ok(Outcome::Authorised),
        _ => Err(members::unauthenticated("the bootstrap token is no member's credential")),
    }
}
