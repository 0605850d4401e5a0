//! Entry point of a request: parses the text of its head and returns a reply, a forward, the control plane or a pending decision.
//!
//! ```text
//! handle(head text) ─► Reply         answer with this
//!                   ├► Forward       send the request to its origin
//!                   ├► ControlPlane  one of Keyward's own paths
//!                   └► Later         resume(…) in a promise ─► Reply or Forward
//! ```
//!
//! [`handle`] is synchronous, so a request that the gate can decide at once creates no future. The worker and the simulator call the
//! same functions and carry out the returned actions.

use super::context::RequestContext;
use super::decide::{decide, finish, step};
use super::isolate::Isolate;
use super::leases::take_renewal_due;
use super::platform::{Level, Platform};
use super::reports::{self, BackgroundReport};
use super::usage::{self, RecordFrom, UsageDue};
use keyward_config::{Config, HostRole};
use keyward_gate::{Plan, Reason, Refusal, Step, Unsigned, refuse_key_in_url};
use keyward_http::forwarded_request::{ForwardAuthError, asks_to_authorize, is_gateways};
use keyward_http::head::{BadHead, Head, arrived_at, came_over_https};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_http::route::is_own_path;

/// The only path that is answered without a configuration.
const HEALTH: &str = "/_keyward/health";

/// A request as received from the platform.
pub struct RawRequest {
    /// Text of the head, in the form that [`Head`] documents.
    pub head_text: String,
    /// `Keyward-Request-Id`.
    pub request_id: String,
}

/// Result of [`handle`].
pub struct Entry {
    /// Action to take for the request.
    pub action: Action,
    /// Work to start in the background.
    pub due: Due,
}

/// Work that a request makes due. The caller must start it in the background.
#[derive(Debug, Default)]
pub struct Due {
    /// Whether to start [`refresh`](super::refresh).
    pub refresh: bool,
    /// Work that the counts of usage make due.
    pub usage: Option<UsageDue>,
    /// Whether to start [`renew`](super::renew).
    pub renewal: bool,
    /// Report about a refused request, for [`reports::send`].
    pub report: Option<BackgroundReport>,
}

/// Action to take for a request.
pub enum Action {
    /// Answer with this reply.
    Reply(Reply),
    /// Send the request to its origin as this plan says. Only the gate can create a plan.
    Forward(Plan),
    /// Pass the request to the control plane: its path is one of Keyward's own, or its host is `CONTROL_HOST`. `keyward_control` decides
    /// whether the path is served on this host.
    ControlPlane,
    /// Call [`resume`] in a promise.
    Later(Pending),
}

impl From<Action> for Entry {
    fn from(action: Action) -> Self {
        Self { action, due: Due::default() }
    }
}

/// A decision that needs a lookup or a signature.
pub struct Pending(
    /// The accepted request if only its signature is missing. `None`: the gate needs a lookup first.
    Option<Unsigned>,
);

impl Pending {
    /// Returns whether the promise must run to completion even if the client disconnects. That is the case for lookups, since other
    /// requests may wait for them, but not for signatures.
    #[must_use]
    pub const fn outlives_client(&self) -> bool {
        self.0.is_none()
    }
}

/// Result of [`resume`].
pub struct Resumed {
    /// Action to take for the request.
    pub decided: Decided,
    /// Work to start in the background.
    pub due: Due,
}

/// Decision about a request that had to wait.
pub enum Decided {
    /// Answer with this reply.
    Reply(Reply),
    /// Send the request to its origin as this plan says.
    Forward(Plan),
}

/// Handles a request as far as possible without waiting. `config` is `None` while the configuration is invalid.
pub fn handle(isolate: &Isolate, config: Option<&Config>, platform: &impl Platform, request: &RawRequest) -> Entry {
    let entry = route(isolate, config, platform, request);
    match entry.action {
        Action::Reply(reply) => Entry { action: Action::Reply(over_transport(reply, request)), ..entry },
        action => Entry { action, ..entry },
    }
}

/// Adds the transport security headers to our own reply. A reply to a gateway concerns another host and gets none.
fn over_transport(reply: Reply, request: &RawRequest) -> Reply {
    reply.over(came_over_https(&request.head_text) && !asks_to_authorize(&request.head_text))
}

fn route(isolate: &Isolate, config: Option<&Config>, platform: &impl Platform, request: &RawRequest) -> Entry {
    let request_id = request.request_id.as_str();
    let head = Head::parse(&request.head_text);
    let Some(config) = config else {
        return Action::Reply(unconfigured(head, request_id)).into();
    };
    let head = match head {
        Ok(head) => head,
        Err(why) => {
            let refusal: Refusal = why.into();
            // The glue has read the clock already. A crossing for garbage would be one too many.
            let now = arrived_at(&request.head_text).unwrap_or_else(|| platform.now());
            let due = Due { usage: usage::count_code(isolate, refusal.problem.code, now), ..Due::default() };
            return Entry { action: Action::Reply(refuse_raw(config, platform, refusal, request)), due };
        }
    };
    let role = config.host_role(&head);
    if is_own_path(head.target().path()) {
        return match refuse_key_in_url(config, &head).and_then(|()| refuse_ambiguous(role)) {
            Ok(()) => Action::ControlPlane.into(),
            Err(refusal) => {
                let report = reports::about(isolate, config, &head, &refusal, request_id);
                let usage = usage::count_code(isolate, refusal.problem.code, head.now());
                let action = Action::Reply(refuse_raw(config, platform, refusal, request));
                Entry { action, due: Due { report, usage, ..Due::default() } }
            }
        };
    }
    // A gateway that uses another path would read the origin's 200 as permission, and its own address as its client's.
    if is_gateways(&head) {
        return Action::Reply(refuse_gateway(platform, ForwardAuthError::WrongPath.into(), request_id)).into();
    }
    let refused = |refusal: Refusal, due: Due| {
        let report = reports::about(isolate, config, &head, &refusal, request_id);
        Entry { action: Action::Reply(refuse(platform, &refusal, request_id)), due: Due { report, ..due } }
    };
    if matches!(role, HostRole::Control | HostRole::Ambiguous) {
        return match refuse_key_in_url(config, &head).and_then(|()| refuse_ambiguous(role)) {
            Ok(()) => Action::ControlPlane.into(),
            Err(refusal) => {
                let usage = usage::count_code(isolate, refusal.problem.code, head.now());
                refused(refusal, Due { usage, ..Due::default() })
            }
        };
    }
    let context = RequestContext { isolate, config, platform, head: &head, request_id };
    let (step, refresh) = step(&context, head.now());
    // A refusal can make a renewal due, too: it is then the query that finds an unreachable object reachable again.
    let due = Due { refresh, renewal: take_renewal_due(isolate), ..Due::default() };
    match step {
        Step::Forward(grant) => {
            let usage = usage::count_grant(isolate, &head, &grant, RecordFrom::Memory);
            Entry { action: Action::Forward(grant.plan(&head, request_id)), due: Due { usage, ..due } }
        }
        Step::Refuse(refusal) => {
            let usage = usage::count_refusal(&context, &refusal, RecordFrom::Memory);
            refused(refusal, Due { usage, ..due })
        }
        Step::Sign(unsigned) => Entry { action: Action::Later(Pending(Some(unsigned))), due },
        Step::Need(_) => Entry { action: Action::Later(Pending(None)), due },
    }
}

/// Finishes a request for which [`handle`] returned [`Action::Later`], with the same arguments. Parses the head again, because it borrows
/// its text and the text has moved into the promise.
pub async fn resume(
    isolate: &Isolate,
    config: Option<&Config>,
    platform: &impl Platform,
    request: &RawRequest,
    pending: Pending,
) -> Resumed {
    let request_id = request.request_id.as_str();
    let (Some(config), Ok(head)) = (config, Head::parse(&request.head_text)) else {
        let reply = Reply::problem(&Code::InternalError.into(), request_id);
        return Resumed { decided: Decided::Reply(reply), due: Due::default() };
    };
    let context = RequestContext { isolate, config, platform, head: &head, request_id };
    let (decided, record) = match pending {
        Pending(Some(unsigned)) => (finish(&context, unsigned).await, RecordFrom::Memory),
        Pending(None) => (decide(&context).await, RecordFrom::Lookup),
    };
    let due = Due { renewal: take_renewal_due(isolate), ..Due::default() };
    match decided {
        Ok(grant) => {
            let usage = usage::count_grant(isolate, &head, &grant, record);
            Resumed { decided: Decided::Forward(grant.plan(&head, request_id)), due: Due { usage, ..due } }
        }
        Err(refusal) => {
            let usage = usage::count_refusal(&context, &refusal, record);
            let report = reports::about(isolate, config, &head, &refusal, request_id);
            let decided = Decided::Reply(over_transport(refuse(platform, &refusal, request_id), request));
            Resumed { decided, due: Due { usage, report, ..due } }
        }
    }
}

/// Returns the reply to a request whose head could not be read or that could not get a random id.
pub fn unreadable(platform: &impl Platform, request_id: &str) -> Reply {
    platform.log(Level::Error, "head_failed", &[("request_id", request_id)]);
    Reply::problem(&Code::InternalError.into(), request_id)
}

/// Returns the reply to a refused request. Logs the refusal if it concerns an issued key or is not the caller's fault.
pub fn refuse(platform: &impl Platform, refusal: &Refusal, request_id: &str) -> Reply {
    log_refusal(platform, refusal, request_id);
    Reply::problem(&refusal.problem, request_id)
}

/// Returns the reply to a gateway that uses forward auth, with a status that gateways understand. Logs the refusal likewise.
pub fn refuse_gateway(platform: &impl Platform, refusal: Refusal, request_id: &str) -> Reply {
    log_refusal(platform, &refusal, request_id);
    if refusal.reason == Reason::Verifier {
        platform.log(Level::Warn, "verifier_refused", &[("request_id", request_id)]);
    }
    Reply::problem(&refusal.problem.for_gateway(), request_id)
}

/// Refuses a request whose host may be another spelling of `CONTROL_HOST`: neither the gate nor the control plane handles it.
fn refuse_ambiguous(role: HostRole) -> Result<(), Refusal> {
    if role == HostRole::Ambiguous { Err(Refusal::new(Code::MisdirectedRequest, Reason::Host)) } else { Ok(()) }
}

/// Refuses a request whose head is malformed. On the forward auth path the reply has a forward auth status even then.
fn refuse_raw(config: &Config, platform: &impl Platform, refusal: Refusal, request: &RawRequest) -> Reply {
    if !asks_to_authorize(&request.head_text) {
        return refuse(platform, &refusal, &request.request_id);
    }
    let refusal = match Head::parse(&request.head_text) {
        Ok(head) => refusal.with_pages_at(&config.public_base(&head)),
        Err(_) => refusal,
    };
    refuse_gateway(platform, refusal, &request.request_id)
}

fn log_refusal(platform: &impl Platform, refusal: &Refusal, request_id: &str) {
    let code = refusal.problem.code;
    if refusal.key_id.is_some() || code.status() >= 500 {
        let reason = format!("{:?}", refusal.reason);
        let key_id = refusal.key_id.as_ref().map_or("", |id| id.as_str());
        let fields = [("code", code.as_str()), ("reason", &reason), ("key_id", key_id), ("request_id", request_id)];
        platform.log(Level::Info, "refused", &fields);
    }
}

fn unconfigured(head: Result<Head<'_>, BadHead>, request_id: &str) -> Reply {
    let health = head.is_ok_and(|head| head.target().path() == HEALTH);
    let problem = if health { Problem::unhealthy() } else { Code::Misconfigured.into() };
    Reply::problem(&problem, request_id)
}
