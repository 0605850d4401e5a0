//! The one way into the authority: who asks, whether they may, and the operation, all of it or nothing.

use super::command::{Answer, Call, Caller, Command, Control, Done, Operation, Refused};
use super::store::{Store, StoreError};
use super::{issue, keys, list, members, revoke};
use crate::key::scope::Scope;
use crate::time::Millis;

/// The longest that a member's credential lives, in days.
pub const MAX_MEMBER_DAYS: u32 = 365;

/// What the configuration says about keys and members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `MAX_KEY_DAYS`: the longest that a key lives, in days.
    pub max_key_days: u32,
    /// The longest that a member's credential lives, in days: [`MAX_MEMBER_DAYS`].
    pub max_member_days: u32,
    /// The scopes that `ROUTES` uses.
    pub known_scopes: Vec<Scope>,
}

/// The instant so many days of 86,400 seconds after `now`.
pub(super) fn days_after(now: Millis, days: u32) -> Millis {
    now.plus_seconds(i64::from(days).saturating_mul(86_400))
}

/// Why an operation stopped. Either way nothing is written.
pub(super) enum Halt {
    /// It was refused.
    Refused(Refused),
    /// The store failed.
    Store(StoreError),
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Answers one call of the object.
///
/// # Errors
/// [`StoreError`] when the store failed: nothing changed, and nothing is known.
pub fn answer(store: &mut dyn Store, call: Call, policy: &Policy, now: Millis) -> Result<Answer, StoreError> {
    match call {
        Call::Lookup { id } => Ok(Answer::Record(keys::lookup(store, &id)?.map(Box::new))),
        Call::Control(control) => apply(store, *control, policy, now),
    }
}

/// Authenticates the caller, authorises the operation and runs it. One that changes something runs in one transaction,
/// which is rolled back when it is refused: a refusal never writes.
///
/// # Errors
/// [`StoreError`] when the store failed: nothing changed.
pub fn apply(store: &mut dyn Store, control: Control, policy: &Policy, now: Millis) -> Result<Answer, StoreError> {
    if !changes(&control.command) {
        return match run(store, &control, policy, now) {
            Ok(done) => Ok(Answer::Done(done)),
            Err(Halt::Refused(refused)) => Ok(Answer::Refused(refused)),
            Err(Halt::Store(error)) => Err(error),
        };
    }
    let mut refused = None;
    let mut done = None;
    let result = store.transaction(&mut |store| match run(store, &control, policy, now) {
        Ok(outcome) => {
            done = Some(outcome);
            Ok(())
        }
        Err(Halt::Refused(refusal)) => {
            refused = Some(refusal);
            Err(roll_back())
        }
        Err(Halt::Store(error)) => Err(error),
    });
    match (result, done, refused) {
        (Ok(()), Some(done), _) => Ok(Answer::Done(done)),
        (Ok(()), None, _) => Err(StoreError::new("a transaction was committed that did not run")),
        (Err(error), _, Some(refused)) if error == roll_back() => Ok(Answer::Refused(refused)),
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
        | Command::RotateMember { .. } => true,
        Command::Me
        | Command::Authorise { .. }
        | Command::ListKeys { .. }
        | Command::ShowKey { .. }
        | Command::ListMembers { .. }
        | Command::ShowMember { .. }
        | Command::ReadAudit { .. }
        | Command::AuditHead => false,
    }
}

fn run(store: &mut dyn Store, control: &Control, policy: &Policy, now: Millis) -> Result<Done, Halt> {
    let member = match &control.caller {
        Caller::Bootstrap => return run_bootstrap(store, control, policy, now),
        Caller::Credential { id, key_hash } => members::authenticate(store, id, key_hash, now)?,
        Caller::Access { .. } => return Err(members::unauthenticated("not built yet")),
    };
    if !member.role.may(control.command.operation()) {
        return Err(Refused::Forbidden.into());
    }
    match &control.command {
        Command::Bootstrap { .. } => Err(Refused::Forbidden.into()),
        Command::Me => Ok(Done::Me(member.view(now))),
        Command::Authorise { .. } => Ok(Done::Authorised),
        Command::IssueKey { draft, credential } => {
            issue::issue(store, &member, &control.origin, draft, credential, policy, now)
        }
        Command::ListKeys { filter, limit, cursor } => {
            list::list(store, &member, filter, *limit, cursor.as_deref(), now)
        }
        Command::ShowKey { id } => {
            let row = keys::visible(store, &member, id)?.ok_or(Refused::NotFound)?;
            Ok(Done::Key(Box::new(keys::view(&row, now)?)))
        }
        Command::RevokeKey { id, reason } => revoke::revoke(store, &member, &control.origin, id, reason, now),
        Command::UpdateKey { .. }
        | Command::RotateKey { .. }
        | Command::CreateMember { .. }
        | Command::ListMembers { .. }
        | Command::ShowMember { .. }
        | Command::UpdateMember { .. }
        | Command::RevokeMember { .. }
        | Command::RotateMember { .. }
        | Command::ReadAudit { .. }
        | Command::AuditHead => Err(Refused::NotFound.into()),
    }
}

/// The holder of the bootstrap token may make the first owner, and nothing else.
fn run_bootstrap(store: &mut dyn Store, control: &Control, policy: &Policy, now: Millis) -> Result<Done, Halt> {
    match &control.command {
        Command::Bootstrap { name, email, credential } => {
            members::bootstrap(store, &control.origin, name, email, credential, policy, now)
        }
        Command::Authorise { operation: Operation::Bootstrap } if members::any(store)? => {
            Err(Refused::AlreadyBootstrapped.into())
        }
        Command::Authorise { operation: Operation::Bootstrap } => Ok(Done::Authorised),
        _ => Err(members::unauthenticated("the bootstrap token is no member's credential")),
    }
}
