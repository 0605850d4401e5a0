//! Long-lived responses: WebSockets and event streams that were opened with a key.
//!
//! ```text
//! open(head) ─► Open    send the response to the client; check again in `check_in_ms`
//!            └► Err     the key is no longer accepted: send this reply instead
//! check(text) ─► Open   it stays open
//!             ├► Close  close it, with this reason
//!             └► LookUp look_up(…) in a promise ─► Open or Close
//! ```
//!
//! A connection's only state is the text in [`Open`]. The platform stores it beside the connection and passes it to the next check, so
//! nothing remains of a client that disconnects. A check also refreshes the feed if a refresh is due, because an isolate that has only
//! connections receives no requests. That is one refresh per bound for all connections of the isolate together.

use std::mem;

use super::context::{LookupContext, RequestContext};
use super::decide::satisfy;
use super::entry::refuse;
use super::isolate::LookupKey;
use super::platform::{Level, Platform};
pub use keyward_gate::Connection;
use keyward_gate::{Checked, Need, Reason, Refusal};
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::time::Millis;

/// Maximum number of lookups of one check: the changes, the record, and the record again if a change overtook the answer.
const MAX_LOOKUPS: u8 = 3;

/// Pause before a check that waits for another connection's or request's lookup.
const WAITING_CHECK_MS: i64 = 250;

/// Pause before the next check after the authority did not answer, roughly its backoff.
const RETRY_CHECK_MS: i64 = 1_000;

/// Verdict about a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The connection may stay open.
    Open(Open),
    /// The connection must be closed, with this reason in the close frame.
    Close(&'static str),
}

/// Permission to keep a connection open, with its time limits.
#[derive(Debug, PartialEq, Eq)]
pub struct Open {
    /// Time until the next check, in milliseconds.
    pub check_in_ms: i64,
    /// Time until the connection must be closed, in milliseconds, unless a later check extends it. At least 1.
    pub close_in_ms: i64,
    /// Reason to send when the connection is closed at that time.
    pub reason: &'static str,
    /// State of the connection, as text, to pass to the next check.
    pub connection: String,
}

impl Verdict {
    /// Returns the verdict in the form that `src/connections.js` reads.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Open(Open { check_in_ms, close_in_ms, reason, connection }) => {
                format!("open\n{check_in_ms}\n{close_in_ms}\n{reason}\n{connection}")
            }
            Self::Close(reason) => format!("close\n{reason}"),
        }
    }
}

/// Decides whether a long-lived response may begin. The key was accepted before the origin answered, possibly minutes ago, so it is
/// checked again. Waits for the lookups that this needs.
///
/// # Errors
/// The reply to send to the client instead of the response.
pub async fn open(context: &RequestContext<'_, impl Platform>) -> Result<Open, Reply> {
    let RequestContext { config, platform, head, request_id, .. } = *context;
    let refused = |refusal: &Refusal| refuse(platform, refusal, request_id);
    let Some(mut connection) = Connection::of(config, head, platform.now()) else {
        return Err(refused(&Refusal::new(Code::InternalError, Reason::GateBusy)));
    };
    let settled = settle(&context.lookups(), &mut connection).await;
    match settled.map(|pause| verdict(&context.lookups(), &connection, pause)) {
        Ok(Verdict::Open(open)) => Ok(open),
        Ok(Verdict::Close(_)) => {
            let why = Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable);
            Err(refused(&why.about(connection.key_id().clone())))
        }
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// Result of [`check`].
pub enum Check {
    /// Decided from the isolate's state, without a lookup.
    Done(Verdict),
    /// A lookup is needed: call [`look_up`].
    LookUp(Connection),
}

/// Checks a connection without a future, since with many connections nearly every check ends here. `text` comes from its last verdict.
pub fn check(context: &LookupContext<'_, impl Platform>, text: &str) -> Check {
    let Ok(mut connection) = serde_json::from_str::<Connection>(text) else {
        return Check::Done(Verdict::Close(Code::InternalError.as_str()));
    };
    match step(context, &mut connection) {
        Step::Settled => Check::Done(verdict(context, &connection, None)),
        Step::Refused(refusal) => Check::Done(Verdict::Close(refusal.problem.code.as_str())),
        Step::Need(need) if context.isolate.is_in_flight(&lookup_key(&need), context.platform.now()) => {
            Check::Done(verdict(context, &connection, Some(WAITING_CHECK_MS)))
        }
        Step::Need(_) => Check::LookUp(connection),
    }
}

/// Runs the lookups that a check needs and returns the verdict.
pub async fn look_up(context: &LookupContext<'_, impl Platform>, mut connection: Connection) -> Verdict {
    match settle(context, &mut connection).await {
        Ok(pause) => verdict(context, &connection, pause),
        Err(refusal) => Verdict::Close(refusal.problem.code.as_str()),
    }
}

/// Log fields of a connection that the gate closed.
pub struct Closed<'a> {
    /// `websocket` or `stream`.
    pub kind: &'a str,
    /// Reason of the verdict.
    pub reason: &'a str,
    /// Text of its last verdict.
    pub connection: &'a str,
    /// `Keyward-Request-Id` of the request that opened it.
    pub request_id: &'a str,
}

/// Logs that a connection was closed by the gate.
pub fn log_closed(platform: &impl Platform, closed: &Closed<'_>) {
    let Closed { kind, reason, connection: text, request_id } = *closed;
    let connection = serde_json::from_str::<Connection>(text).ok();
    let key_id = connection.as_ref().map_or("", |connection| connection.key_id().as_str());
    let is_alarm = [Code::AuthorityUnavailable, Code::InternalError].iter().any(|code| code.as_str() == reason);
    let level = if is_alarm { Level::Warn } else { Level::Info };
    let fields = [("kind", kind), ("reason", reason), ("key_id", key_id), ("request_id", request_id)];
    platform.log(level, "connection_closed", &fields);
}

/// Result of one step of a check.
enum Step {
    Settled,
    Need(Need),
    Refused(Refusal),
}

fn step(context: &LookupContext<'_, impl Platform>, connection: &mut Connection) -> Step {
    let LookupContext { isolate, config, platform, .. } = *context;
    // Without the gate nothing can be confirmed, so the connection's own deadline applies.
    let Some(mut gate) = isolate.gate() else { return Step::Settled };
    match gate.check_connection(config, connection, platform.now()) {
        Checked::Confirmed => Step::Settled,
        Checked::Need(need) => Step::Need(need),
        Checked::Refused(refusal) => Step::Refused(refusal),
    }
}

/// Runs the lookup that the check of a connection needs. Returns the pause until the next check if the lookup did not finish.
async fn settle(
    context: &LookupContext<'_, impl Platform>,
    connection: &mut Connection,
) -> Result<Option<i64>, Refusal> {
    let mut is_refreshed = false;
    for _ in 0..=MAX_LOOKUPS {
        let need = match step(context, connection) {
            Step::Settled => return Ok(None),
            Step::Refused(refusal) => return Err(refusal),
            Step::Need(need) => need,
        };
        // If a refresh changed nothing, as in an outage, the next check tries again.
        if need == Need::Changes && mem::replace(&mut is_refreshed, true) {
            break;
        }
        if satisfy(context, need).await.is_err() {
            break;
        }
    }
    Ok(Some(RETRY_CHECK_MS))
}

fn lookup_key(need: &Need) -> LookupKey {
    match need {
        Need::Changes => LookupKey::Changes,
        Need::Record(id) => LookupKey::Record(id.clone()),
        Need::Lease(shard) => LookupKey::Lease(*shard),
    }
}

/// Returns the verdict from the gate's current state.
fn verdict(context: &LookupContext<'_, impl Platform>, connection: &Connection, pause: Option<i64>) -> Verdict {
    let LookupContext { isolate, config, platform, .. } = *context;
    let now: Millis = platform.now();
    let closing = connection.closing(config);
    let close_in_ms = closing.at.since(now);
    let (true, Ok(text)) = (close_in_ms > 0, serde_json::to_string(connection)) else {
        return Verdict::Close(closing.reason);
    };
    let refresh_in_ms = isolate.gate().map_or(0, |gate| gate.connection_refresh_in_ms(config, now));
    let check_in_ms = pause.unwrap_or_else(|| refresh_in_ms.max(WAITING_CHECK_MS)).min(close_in_ms);
    Verdict::Open(Open { check_in_ms, close_in_ms, reason: closing.reason, connection: text })
}
