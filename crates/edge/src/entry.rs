//! The entry of a request: from the text of its head to a reply, a forward, the control plane, or a decision that has to wait.
//!
//! ```text
//! handle(head text) ─► Reply         answer with this
//!                   ├► Forward       send the request to its origin
//!                   ├► ControlPlane  one of Keyward's own paths
//!                   └► Later         resume(…) in a promise ─► Reply or Forward
//! ```
//!
//! [`handle`] is synchronous: a request that the gate can decide at once makes no future. The worker and the simulator call the
//! same functions and carry out what these return.

use super::context::RequestContext;
use super::decide::{decide, finish, step};
use super::isolate::Isolate;
use super::platform::{Level, Platform};
use keyward_config::{Config, HostRole};
use keyward_gate::{Plan, Reason, Refusal, Step, Unsigned, refuse_key_in_url, refuse_on_control_host};
use keyward_http::forwarded_request::{ForwardAuthError, asks_to_authorize, is_gateways};
use keyward_http::head::{BadHead, Head};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_http::route::is_own_path;

/// The one path that answers without a configuration.
const HEALTH: &str = "/_keyward/health";

/// A request as the platform handed it over.
pub struct RawRequest {
    /// Text of the head; [`Head`] documents its form.
    pub head_text: String,
    /// `Keyward-Request-Id`.
    pub request_id: String,
}

/// Result of [`handle`].
pub struct Entry {
    /// What happens to the request.
    pub action: Action,
    /// Whether the caller must start [`refresh`](super::refresh) in the background.
    pub refresh_due: bool,
}

/// What happens to a request.
pub enum Action {
    /// Answer with this reply.
    Reply(Reply),
    /// Send the request to its origin by this plan, which only the gate can have made.
    Forward(Plan),
    /// Pass the request to the control plane: its path is one of Keyward's own. `keyward_control` decides whether that path is
    /// served on this host.
    ControlPlane,
    /// Call [`resume`] in a promise.
    Later(Pending),
}

impl From<Action> for Entry {
    fn from(action: Action) -> Self {
        Self { action, refresh_due: false }
    }
}

/// A decision that has to wait.
pub struct Pending(
    /// The request is accepted and only lacks its signature. `None`: the gate needs a lookup first.
    Option<Unsigned>,
);

impl Pending {
    /// Whether the promise must run to its end although the client may leave: other requests wait for its lookup. Nobody waits
    /// for another request's signature.
    #[must_use]
    pub const fn outlives_client(&self) -> bool {
        self.0.is_none()
    }
}

/// Result of [`resume`].
pub enum Decided {
    /// Answer with this reply.
    Reply(Reply),
    /// Send the request to its origin by this plan.
    Forward(Plan),
}

/// Handles a request as far as that is possible without waiting. `config` is `None` while the configuration is bad.
pub fn handle(isolate: &Isolate, config: Option<&Config>, platform: &impl Platform, request: &RawRequest) -> Entry {
    let request_id = request.request_id.as_str();
    let head = Head::parse(&request.head_text);
    let Some(config) = config else {
        return Action::Reply(unconfigured(head, request_id)).into();
    };
    let head = match head {
        Ok(head) => head,
        Err(why) => return Action::Reply(refuse_raw(config, platform, why.into(), request)).into(),
    };
    let role = config.host_role(&head);
    if is_own_path(head.target().path()) {
        let action = match refuse_key_in_url(config, &head).and_then(|()| refuse_ambiguous(role)) {
            Ok(()) => Action::ControlPlane,
            Err(refusal) => Action::Reply(refuse_raw(config, platform, refusal, request)),
        };
        return action.into();
    }
    // A gateway that asks at another path would take the origin's 200 for a permission, and its own address for its client's.
    if is_gateways(&head) {
        return Action::Reply(refuse_gateway(platform, ForwardAuthError::WrongPath.into(), request_id)).into();
    }
    if let Err(refusal) = refuse_control_host(config, role, &head) {
        return Action::Reply(refuse(platform, &refusal, request_id)).into();
    }
    let context = RequestContext { isolate, config, platform, head: &head, request_id };
    let (step, refresh_due) = step(&context, head.now());
    let action = match step {
        Step::Forward(grant) => Action::Forward(grant.plan(&head, request_id)),
        Step::Refuse(refusal) => Action::Reply(refuse(platform, &refusal, request_id)),
        Step::Sign(unsigned) => Action::Later(Pending(Some(unsigned))),
        Step::Need(_) => Action::Later(Pending(None)),
    };
    Entry { action, refresh_due }
}

/// Finishes a request that [`handle`] returned as [`Action::Later`], with the same arguments. The head is parsed again: it borrows
/// its text, which has moved into the promise meanwhile.
pub async fn resume(
    isolate: &Isolate,
    config: Option<&Config>,
    platform: &impl Platform,
    request: &RawRequest,
    pending: Pending,
) -> Decided {
    let request_id = request.request_id.as_str();
    let (Some(config), Ok(head)) = (config, Head::parse(&request.head_text)) else {
        return Decided::Reply(Reply::problem(&Code::InternalError.into(), request_id));
    };
    let context = RequestContext { isolate, config, platform, head: &head, request_id };
    let decided = match pending {
        Pending(Some(unsigned)) => finish(&context, unsigned).await,
        Pending(None) => decide(&context).await,
    };
    match decided {
        Ok(grant) => Decided::Forward(grant.plan(&head, request_id)),
        Err(refusal) => Decided::Reply(refuse(platform, &refusal, request_id)),
    }
}

/// Returns the reply to a request whose head could not be read, or for which there is no random id.
pub fn unreadable(platform: &impl Platform, request_id: &str) -> Reply {
    platform.log(Level::Error, "head_failed", &[("request_id", request_id)]);
    Reply::problem(&Code::InternalError.into(), request_id)
}

/// Returns the reply to a refused request, and logs the refusal if it concerns a key of ours or is not the caller's fault.
pub fn refuse(platform: &impl Platform, refusal: &Refusal, request_id: &str) -> Reply {
    log_refusal(platform, refusal, request_id);
    Reply::problem(&refusal.problem, request_id)
}

/// Returns the reply to a gateway that asked by forward auth, with the statuses that gateways understand, and logs the refusal.
pub fn refuse_gateway(platform: &impl Platform, refusal: Refusal, request_id: &str) -> Reply {
    log_refusal(platform, &refusal, request_id);
    if refusal.reason == Reason::Verifier {
        platform.log(Level::Warn, "verifier_refused", &[("request_id", request_id)]);
    }
    Reply::problem(&refusal.problem.for_gateway(), request_id)
}

/// Refuses a request whose host may be `CONTROL_HOST` in another spelling: neither the gate nor the control plane takes it.
fn refuse_ambiguous(role: HostRole) -> Result<(), Refusal> {
    if role == HostRole::Ambiguous { Err(Refusal::new(Code::MisdirectedRequest, Reason::Host)) } else { Ok(()) }
}

/// Refuses a request for the API on `CONTROL_HOST`, and on what may be that host.
fn refuse_control_host(config: &Config, role: HostRole, head: &Head<'_>) -> Result<(), Refusal> {
    if matches!(role, HostRole::GateAndControl | HostRole::Gate) {
        return Ok(());
    }
    refuse_key_in_url(config, head)?;
    refuse_ambiguous(role)?;
    Err(refuse_on_control_host(config, head))
}

/// A request at forward auth's path gets forward auth's statuses even if the rest of its head is malformed.
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
