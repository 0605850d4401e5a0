//! From a request to a decision.

use super::changes;
use super::context::RequestContext;
use super::isolate::{Isolate, Subject};
use super::platform::{Level, Platform};
use super::record::{self, Unknown};
use super::signing;
use keyward_config::Config;
use keyward_gate::{Grant, Need, Reason, Refusal, Step, Unsigned};
use keyward_http::problem::Code;
use keyward_key::time::Millis;

/// How often the gate may need something before one request is given up: what has changed, the record, and each twice more where
/// that was overtaken.
const NEEDS: u8 = 6;

/// How soon a request first looks whether another one's asking has ended; the pauses double up to the longest. Eighty looks
/// take longer than any asking.
const FIRST_LOOK_MILLIS: u32 = 5;
const LONGEST_LOOK_MILLIS: u32 = 100;
const LOOKS: u32 = 80;

/// One step of the gate, and whether it is time to [`refresh`] beside the requests.
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
    (step, due && !isolate.is_asking(&Subject::Changes, now))
}

/// Asks the gate, finds out what it needs, asks again. The clock is read anew each time: waiting takes time.
///
/// # Errors
/// The refusal to be answered.
pub async fn decide(context: &RequestContext<'_, impl Platform>) -> Result<Grant, Refusal> {
    let mut found = Ok(());
    for left in (0..=NEEDS).rev() {
        match step(context, context.platform.now()).0 {
            Step::Forward(grant) => return Ok(grant),
            Step::Sign(unsigned) => return finish(context, unsigned).await,
            Step::Refuse(refusal) => return Err(refusal),
            // After a failure it was asked once more: another request may have found it out meanwhile.
            Step::Need(_) if found.is_err() || left == 0 => break,
            Step::Need(need) => found = satisfy(context, need).await,
        }
    }
    found.and_then(|()| Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable)))
}

/// Has the assertion signed that a request still lacks. What was decided about it stands: signing waits for nobody.
///
/// # Errors
/// `internal_error`: it could not be signed.
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

/// Whether [`refresh`] is due in the background after a request was granted. [`step`] says the same of its own request.
pub fn is_refresh_due(context: &RequestContext<'_, impl Platform>, grant: &Grant) -> bool {
    let RequestContext { isolate, config, platform, .. } = *context;
    let now = platform.now();
    grant.is_keyed()
        && isolate.gate().is_some_and(|gate| gate.is_refresh_due(config, now))
        && !isolate.is_asking(&Subject::Changes, now)
}

/// Finds out what the authority has changed, unless somebody is about to.
pub async fn refresh(isolate: &Isolate, config: &Config, platform: &impl Platform) {
    if isolate.begin(&Subject::Changes, platform.now()) {
        changes::find(isolate, config, platform).await;
        isolate.end(&Subject::Changes);
    }
}

/// Sees to it that the gate learns what it needs: asks, or waits while another request of this isolate asks. A promise belongs to
/// the request that made it, so the others can't await it: they look again, with growing pauses.
async fn satisfy(context: &RequestContext<'_, impl Platform>, need: Need) -> Result<(), Refusal> {
    let RequestContext { isolate, config, platform, request_id, .. } = *context;
    let subject = match &need {
        Need::Changes => Subject::Changes,
        Need::Record(id) => Subject::Key(id.clone()),
    };
    if !isolate.begin(&subject, platform.now()) {
        wait_for(isolate, platform, &subject).await;
        return Ok(());
    }
    let found = match &need {
        Need::Changes => {
            changes::find(isolate, config, platform).await;
            Ok(())
        }
        Need::Record(id) => record::find(isolate, config, platform, id, request_id).await,
    };
    isolate.end(&subject);
    match (found, need) {
        (Err(Unknown), Need::Record(id)) => {
            Err(Refusal::new(Code::AuthorityUnavailable, Reason::RecordUnknown).about(id))
        }
        _ => Ok(()),
    }
}

async fn wait_for(isolate: &Isolate, platform: &impl Platform, subject: &Subject) {
    let mut wait = FIRST_LOOK_MILLIS;
    for _ in 0..LOOKS {
        if !isolate.is_asking(subject, platform.now()) {
            return;
        }
        platform.pause(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_LOOK_MILLIS);
    }
}
