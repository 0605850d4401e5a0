//! The control plane in the registry: authenticates the caller, checks permission and runs the operation in one transaction.

use super::operation::{Access, ControlOperation, Spec, raw};
use super::operations::Operation;
use super::precondition;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::{Caller, Confirmation, ControlRequest, Raw, Rejection, Request, Response};
use keyward_registry::authentication::{authenticate, unauthenticated};
use keyward_registry::context::{Actor, Context, OperationError, Policy, transact};
use keyward_registry::feed::FeedSizes;
use keyward_registry::store::{Store, StoreError};
use keyward_registry::{AnswerContext, audit, idempotency, members, meta};

/// Answers one request to the registry. `random` is 16 characters for the name of a new epoch, in case one begins.
///
/// # Errors
/// [`StoreError`] when the store failed: nothing changed, and the answer is unknown.
pub fn answer(
    store: &mut dyn Store,
    request: Request,
    policy: &Policy,
    random: &str,
    now: Millis,
) -> Result<Response, StoreError> {
    let control = |store: &mut dyn Store, control| apply(store, &control, policy, now);
    let context = AnswerContext { policy, feed: FeedSizes::default(), random, now };
    keyward_registry::answer(store, request, &context, control)
}

/// Answers one request of the control plane. A write runs in one transaction, which a refusal rolls back.
///
/// # Errors
/// [`StoreError`] when the store failed, or the message is malformed: nothing changed.
pub fn apply(
    store: &mut dyn Store,
    control: &ControlRequest,
    policy: &Policy,
    now: Millis,
) -> Result<Response, StoreError> {
    let operation = Operation::parse(&control.operation)
        .ok_or_else(|| StoreError::new("the message names no operation of ours"))?;
    let writes = operation.spec().writes && control.command.is_some();
    if writes && !control.writes {
        return Err(StoreError::new("the message says that a write only reads"));
    }
    let answered = if writes {
        transact(store, |store| {
            let response = run(store, operation, control, policy, now)?;
            idempotency::prune(store, now)?;
            Ok(response)
        })?
    } else {
        match run(store, operation, control, policy, now) {
            Ok(response) => Ok(response),
            Err(OperationError::Refused(refused)) => Err(refused),
            Err(OperationError::Store(error)) => return Err(error),
        }
    };
    Ok(answered.unwrap_or_else(Response::Refused))
}

/// Authenticates the caller, checks their role, and runs the operation.
fn run(
    store: &mut dyn Store,
    operation: Operation,
    control: &ControlRequest,
    policy: &Policy,
    now: Millis,
) -> Result<Response, OperationError> {
    let access = operation.spec().access;
    match (&control.caller, access) {
        (Caller::Bootstrap, Access::BootstrapToken)
        | (Caller::Scraper, Access::RolesOrScraper(_))
        | (Caller::Holder { .. }, Access::KeyHolder)
        | (Caller::Claimant { .. }, Access::Claimant)
        | (Caller::Credential { .. } | Caller::Access { .. } | Caller::Session { .. }, _) => {}
        (Caller::Bootstrap, _) => return Err(unauthenticated("the bootstrap token is no member's credential")),
        (Caller::Scraper, _) => return Err(unauthenticated("the token for metrics is no member's credential")),
        (Caller::Claimant { .. }, _) => return Err(unauthenticated("a claim's secret is no member's credential")),
        (Caller::Holder { .. }, _) => return Err(unauthenticated("a data key is no member's credential")),
    }
    let (mut actor, session) = authenticate(store, &control.caller, now)?;
    let mut presented = None;
    if let (Actor::Member(member), Caller::Credential { key_hash, .. }) = (&mut actor, &control.caller) {
        members::finish_handover(store, member, key_hash)?;
        presented = Some(key_hash);
    }
    if let Actor::Member(member) = &actor
        && !access.admits(member.role)
    {
        return Err(Rejection::Forbidden.into());
    }
    let by = Context {
        actor: &actor,
        request: &control.request,
        policy,
        credential: control.credential.as_ref(),
        presented,
        session: session.as_ref(),
        is_confirmed: session.is_none() || shows_credential(&actor, control.confirmation.as_ref(), now),
        now,
    };
    operation.decide(store, &by, control)
}

/// Returns whether the credential in `Keyward-Confirm` is the actor's own.
fn shows_credential(actor: &Actor, confirmation: Option<&Confirmation>, now: Millis) -> bool {
    match (actor, confirmation) {
        (Actor::Member(member), Some(Confirmation { id, key_hash })) => {
            *id == member.id && member.accepts(key_hash, now)
        }
        _ => false,
    }
}

/// Action of the audit entry of a retry that shows a credential again.
const SHOWN_AGAIN: &str = "key.shown_again";
/// Minimum interval between two such entries of one claim, in milliseconds.
const SHOWN_AGAIN_INTERVAL_MS: i64 = 60_000;

/// Returns whether an entry says already that the key of this claimant was shown again. A claimant is no member, and must not fill the log.
fn is_recorded(store: &mut dyn Store, by: &Context<'_>, subject: &KeyId) -> Result<bool, StoreError> {
    if !matches!(by.actor, Actor::Claimant(_)) {
        return Ok(false);
    }
    let since = Millis(by.now.0.saturating_sub(SHOWN_AGAIN_INTERVAL_MS));
    audit::has_entry(store, SHOWN_AGAIN, subject.as_str(), (since, by.now))
}

/// Authorises and runs one operation. A retry within the window gets the first attempt's outcome.
pub(super) fn decide<O: ControlOperation>(
    store: &mut dyn Store,
    by: &Context<'_>,
    control: &ControlRequest,
) -> Result<Response, OperationError> {
    let request = control.command.as_ref().map(|command| version::read::<O>(command.get())).transpose();
    let request = request.map_err(|_| StoreError::new("the message has a malformed command"))?;
    O::authorise(request.as_ref(), store, by)?;
    let Some(request) = request else { return Ok(Response::Authorised) };
    if O::NEEDS_CONFIRMATION {
        by.confirm()?;
    }
    handle_once(store, by, control, &O::SPEC, &|store| Ok(raw(&request.handle(store, by)?)?))
}

/// Does an authorised operation, whose [`ControlOperation::handle`] is `handle`. A retry in the window gets the first attempt's outcome.
fn handle_once(
    store: &mut dyn Store,
    by: &Context<'_>,
    control: &ControlRequest,
    spec: &Spec,
    handle: &dyn Fn(&mut dyn Store) -> Result<Raw, OperationError>,
) -> Result<Response, OperationError> {
    let Some(attempt) = control.idempotency.as_ref().filter(|_| spec.idempotent) else {
        precondition::check(store, control.precondition.as_ref())?;
        return Ok(Response::Done(handle(store)?));
    };
    if let Some(first) = idempotency::replay(store, by.actor_name(), attempt, by.now)? {
        // The answer shows a key's text again to anyone with the header's value and the credential, so the log must record it.
        let subject = match &first.credential {
            Some(credential) => credential,
            None => &by.member()?.id,
        };
        if !is_recorded(store, by, subject)? {
            meta::next_revision(store)?;
            let first_shown_at = first.first_at.rfc3339();
            let operation = control.operation.as_str();
            let detail = vec![("operation", operation.into()), ("first_shown_at", first_shown_at.into())];
            by.record(store, SHOWN_AGAIN, subject, detail)?;
        }
        return Ok(first.response);
    }
    // Checked after the retry, because the first attempt has changed the version.
    precondition::check(store, control.precondition.as_ref())?;
    let outcome = handle(store)?;
    idempotency::remember(store, by, attempt, &outcome)?;
    Ok(Response::Done(outcome))
}
