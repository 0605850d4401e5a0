//! Forward auth: another gateway asks about a request of its client, and the gate decides about it as about its own.
//! `http::forwarded_request` says how the request is put together from the gateway's.

use serde::Deserialize;

use super::operations::{Operation, me, no_arguments};
use super::platform::ControlPlatform;
use super::serve::{ControlContext, control_request};
use super::sign_in::member;
use keyward_config::Config;
use keyward_edge::entry::refuse_gateway;
use keyward_edge::registry::{Unreachable, ask};
use keyward_edge::{Level, Platform, RequestContext, decide, is_refresh_due, signing};
use keyward_gate::{Reason, Refusal};
use keyward_http::forwarded_request::{ForwardedRequest, VERIFIER, trusted_client_ip};
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::id::Environment;
use keyward_key::version;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Raw, Request, Response};

/// Answers 200 with the identity headers, or the gate's own refusal. The body of the gateway's request is never read.
pub(super) async fn serve<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Reply {
    let RequestContext { platform, request_id, .. } = context.request;
    authorize(context).await.unwrap_or_else(|refusal| refuse_gateway(platform, refusal, request_id))
}

/// 1. The gateway's credential, by form and tag.
/// 2. The client's request, put together from the gateway's headers. Its client address counts only from a gateway with a
///    credential; otherwise there is none, since the edge saw the gateway.
/// 3. The gate's decision.
/// 4. The authority's check of the gateway's credential, only where the request would pass: garbage costs no call.
async fn authorize<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Result<Reply, Refusal> {
    let RequestContext { config, platform, head, request_id, .. } = context.request;
    let verifier = verifier(config, head)?;
    let address = if verifier.is_some() { trusted_client_ip(head)? } else { None };
    let forwarded = ForwardedRequest::of(head, address)?;
    let forwarded = forwarded.head()?;
    let judged = RequestContext { head: &forwarded, ..context.request };
    let grant = match (decide(&judged).await, &verifier) {
        (Ok(grant), _) => grant,
        (Err(refusal), Some(caller)) if depends_on_address(refusal.problem.code) => {
            // Which addresses a key may come from is for a gateway that vouches, and not for one whose credential was revoked.
            confirm(context, caller.clone(), None).await?;
            return Err(refusal);
        }
        (Err(refusal), _) => return Err(refusal),
    };
    if is_refresh_due(&judged, &grant) {
        context.event.refresh_in_background();
    }
    match (verifier, grant.environment()) {
        (Some(caller), Some(environment)) => confirm(context, caller, Some(environment)).await?,
        (Some(_), None) if grant.is_keyed() => return Err(untrusted_gateway()),
        _ => {}
    }
    let own = match grant.own_assertion() {
        Some(signed) => Some(signed.to_owned()),
        None if grant.is_keyed() => {
            // The platform holds the key since it signed the gate's own assertion.
            let key = config.keyring.current().assertion_key();
            let text = key.and_then(|key| grant.own_text(key, &forwarded, request_id));
            Some(signing::assertion(config, platform, text, request_id).await?)
        }
        None => None,
    };
    Ok(grant.tell_gateway(own, request_id))
}

/// Whether a refusal tells if the client's address is one of the key's: it is that check's, or of a check after it.
const fn depends_on_address(code: Code) -> bool {
    matches!(code, Code::AddressNotAllowed | Code::InsufficientScope | Code::RateLimited | Code::NoOrigin)
}

/// Asks the authority whether the gateway's credential vouches for clients, of that environment if there is one.
async fn confirm<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
    caller: Caller,
    environment: Option<Environment>,
) -> Result<(), Refusal> {
    let control = control_request(Operation::Me, caller, context.meta(), no_arguments());
    match ask(context.request.platform, &Request::Control(Box::new(control))).await {
        Ok(Response::Done(outcome)) => match version::read::<me::Outcome>(outcome.get()) {
            Ok(outcome) => check_vouching(&outcome.me, environment),
            Err(_) => Err(untrusted_gateway()),
        },
        Ok(_) => Err(untrusted_gateway()),
        Err(Unreachable(cause)) => {
            let fields = [("cause", cause.as_str()), ("request_id", context.request.request_id)];
            context.request.platform.log(Level::Error, "authority_query_failed", &fields);
            Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable))
        }
    }
}

/// Reads the gateway's credential, by form and tag. `None` if it presents none; what it says of its client then counts for
/// nothing.
fn verifier(config: &Config, head: &Head<'_>) -> Result<Option<Caller>, Refusal> {
    match head.header(VERIFIER).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => member(config, text).map(Some).ok_or_else(untrusted_gateway),
    }
}

/// The fields of a member's view that matter here.
#[derive(Deserialize)]
struct Gateway {
    role: Role,
    environments: Option<Vec<Environment>>,
}

/// Checks that a member, by their view, vouches for clients with a key of that environment.
fn check_vouching(member: &Raw, environment: Option<Environment>) -> Result<(), Refusal> {
    let vouches = |gateway: &Gateway| {
        let limit = gateway.environments.as_ref();
        let covers = |environment| limit.is_none_or(|environments| environments.contains(&environment));
        gateway.role.vouches() && environment.is_none_or(covers)
    };
    version::read(member.get()).ok().filter(vouches).map(|_| ()).ok_or_else(untrusted_gateway)
}

/// Returns the refusal of a gateway's credential: 403, and not 401, since the client's own credential is not wrong.
fn untrusted_gateway() -> Refusal {
    let detail = "The gateway's `Keyward-Verifier` credential is not accepted. Its operator must replace it.";
    Refusal::with(Problem::detailed(Code::Forbidden, detail), Reason::Verifier)
}

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API_BY_HEADERS: &str = r##"{
  "operationId": "authorize",
  "tags": ["Gateways"],
  "summary": "Forward auth: whether the original request may pass",
  "description": "nginx `auth_request`, Traefik and Caddy: the original request's method and path stand in headers. Any method is taken and means the same; it is described once.",
  "security": [{"key": []}, {"keyHeader": []}],
  "parameters": [
    {"$ref": "#/components/parameters/OriginalMethod"},
    {"$ref": "#/components/parameters/OriginalUri"},
    {"$ref": "#/components/parameters/ForwardedMethod"},
    {"$ref": "#/components/parameters/ForwardedUri"},
    {"$ref": "#/components/parameters/Verifier"},
    {"$ref": "#/components/parameters/ClientAddress"}
  ],
  "responses": {
    "200": {"$ref": "#/components/responses/Authorized"},
    "401": {"$ref": "#/components/responses/NotAuthorized"},
    "403": {"$ref": "#/components/responses/Refused"},
    "503": {"$ref": "#/components/responses/NotNow"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API_BY_PATH: &str = r##"{
  "operationId": "authorizePath",
  "tags": ["Gateways"],
  "summary": "Forward auth: whether the original request may pass",
  "description": "Envoy `ext_authz`: the original request's path follows, slashes included, and its method is this one's. Any method is taken; it is described once.",
  "security": [{"key": []}, {"keyHeader": []}],
  "parameters": [
    {
      "name": "path",
      "in": "path",
      "required": true,
      "description": "The original path without its first slash; it may hold slashes",
      "schema": {"type": "string"}
    },
    {"$ref": "#/components/parameters/OriginalMethod"},
    {"$ref": "#/components/parameters/OriginalUri"},
    {"$ref": "#/components/parameters/Verifier"},
    {"$ref": "#/components/parameters/ClientAddress"}
  ],
  "responses": {
    "200": {"$ref": "#/components/responses/Authorized"},
    "401": {"$ref": "#/components/responses/NotAuthorized"},
    "403": {"$ref": "#/components/responses/Refused"},
    "503": {"$ref": "#/components/responses/NotNow"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
