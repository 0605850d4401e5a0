//! Decision about one request, including its lookups.

use super::changes;
use super::context::{LookupContext, RequestContext};
use super::isolate::{Isolate, LookupKey};
use super::leases::{self, MAX_LEASE_ROUNDS};
use super::platform::{Level, Platform};
use super::poll::Polls;
use super::record::{self, Unknown};
use super::signing;
use keyward_config::Config;
use keyward_gate::{Grant, Need, Reason, Refusal, Step, Unsigned};
use keyward_http::problem::Code;
use keyward_key::time::Millis;

/// Maximum number of lookups for one request: the changes and the record, and two more of each if a change overtook the answer.
const MAX_LOOKUPS: u8 = 6;

/// Runs one step of the gate. Returns the step and whether a background [`refresh`] is due.
pub fn step(context: &RequestContext<'_, impl Platform>, now: Millis) -> (Step, bool) {
    let RequestContext { isolate, config, platform, head, .. } = *context;
    let Some(mut gate) = isolate.gate() else {
        return (Step::Refuse(Refusal::new(Code::InternalError, Reason::GateBusy)), false);
    };
    let step = gate.admit(config, head, now);
    let grant = step.grant();
    if grant.is_some_and(Grant::is_in_outage)
        && let Some(age) = gate.outage_to_log(config, now)
    {
        platform.log(Level::Error, "authority_unreachable", &[("age_seconds", &age.to_string())]);
    }
    let due = grant.is_some_and(Grant::is_keyed) && gate.is_refresh_due(config, now);
    (step, due && !isolate.is_in_flight(&LookupKey::Changes, now))
}

/// Decides about a request: runs a step of the gate, looks up what it needs, and repeats. Each step reads the clock again, since a
/// lookup takes time.
///
/// # Errors
/// The refusal to send.
pub async fn decide(context: &RequestContext<'_, impl Platform>) -> Result<Grant, Refusal> {
    let mut looked_up = Ok(());
    let (mut lookups, mut lease_rounds) = (MAX_LOOKUPS, MAX_LEASE_ROUNDS);
    loop {
        let need = match step(context, context.platform.now()).0 {
            Step::Forward(grant) => return Ok(grant),
            Step::Sign(unsigned) => return finish(context, unsigned).await,
            Step::Refuse(refusal) => return Err(refusal),
            Step::Need(need) => need,
        };
        if matches!(need, Need::Lease(_)) {
            lease_rounds = lease_rounds.checked_sub(1).ok_or_else(leases::crowded)?;
            satisfy(&context.lookups(), need).await?;
            continue;
        }
        // After a failed lookup the gate ran one more step: another request's lookup may have succeeded in the meantime.
        let Some(left) = lookups.checked_sub(1).filter(|_| looked_up.is_ok()) else { break };
        lookups = left;
        looked_up = satisfy(&context.lookups(), need).await;
    }
    looked_up.and_then(|()| Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable)))
}

/// Signs the assertion of an accepted request. Signing reads no store, so the decision remains valid.
///
/// # Errors
/// `internal_error`: the assertion could not be signed.
pub async fn finish(context: &RequestContext<'_, impl Platform>, unsigned: Unsigned) -> Result<Grant, Refusal> {
    let RequestContext { isolate, config, platform, head, request_id } = *context;
    let derived = config.keyring.current();
    signing::hold(platform, &[derived.assertion()], request_id).await;
    let text = derived.assertion_key().and_then(|key| unsigned.text(key, head, request_id));
    let jwt =
        signing::assertion(config, platform, text, request_id).await.map_err(|refusal| unsigned.refused(refusal))?;
    let mut gate = isolate.gate().ok_or_else(|| Refusal::new(Code::InternalError, Reason::GateBusy))?;
    Ok(gate.signed(unsigned, jwt))
}

/// Returns whether a background [`refresh`] is due after [`decide`] granted a request.
pub fn is_refresh_due(context: &RequestContext<'_, impl Platform>, grant: &Grant) -> bool {
    let RequestContext { isolate, config, platform, .. } = *context;
    let now = platform.now();
    grant.is_keyed()
        && isolate.gate().is_some_and(|gate| gate.is_refresh_due(config, now))
        && !isolate.is_in_flight(&LookupKey::Changes, now)
}

/// Refreshes the feed, unless a refresh is in flight.
pub async fn refresh(isolate: &Isolate, config: &Config, platform: &impl Platform) {
    if isolate.try_start(&LookupKey::Changes, platform.now()) {
        changes::find(isolate, config, platform).await;
        isolate.finish(&LookupKey::Changes);
    }
}

/// Looks up what the gate needs, or waits while another request of this isolate looks it up.
pub(super) async fn satisfy(context: &LookupContext<'_, impl Platform>, need: Need) -> Result<(), Refusal> {
    let LookupContext { isolate, config, platform, request_id } = *context;
    let lookup = match &need {
        Need::Changes => LookupKey::Changes,
        Need::Record(id) => LookupKey::Record(id.clone()),
        Need::Lease(shard) => LookupKey::Lease(*shard),
    };
    if !start_or_wait(isolate, platform, &lookup).await {
        return Ok(());
    }
    let found = match &need {
        Need::Changes => {
            changes::find(isolate, config, platform).await;
            Ok(())
        }
        Need::Record(id) => record::find(isolate, config, platform, id, request_id).await,
        Need::Lease(shard) => {
            leases::ask(context, *shard).await;
            Ok(())
        }
    };
    isolate.finish(&lookup);
    match (found, need) {
        (Err(Unknown), Need::Record(id)) => {
            Err(Refusal::new(Code::AuthorityUnavailable, Reason::RecordUnknown).about(id))
        }
        _ => Ok(()),
    }
}

/// Starts a lookup and returns `true`; the caller ends it with [`Isolate::finish`]. If another request is doing the same lookup, waits for
/// it and returns `false`.
pub async fn start_or_wait(isolate: &Isolate, platform: &impl Platform, lookup: &LookupKey) -> bool {
    let started = isolate.try_start(lookup, platform.now());
    if !started {
        wait_for(isolate, platform, lookup).await;
    }
    started
}

/// Waits until another request has finished a lookup.
async fn wait_for(isolate: &Isolate, platform: &impl Platform, lookup: &LookupKey) {
    let mut polls = Polls::default();
    while isolate.is_in_flight(lookup, platform.now()) && polls.pause(platform).await {}
}
