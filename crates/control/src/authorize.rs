//! Forward auth: another gateway submits its client's request, and the gate decides about it as about a direct request.
//! `http::forwarded_request` reconstructs the request from the gateway's headers.

use serde::Deserialize;

use super::callers::{CallerName, Confirmation, Standing};
use super::guard::NoAnswer;
use super::operations::{Operation, me, no_arguments};
use super::platform::ControlPlatform;
use super::serve::{ControlContext, control_request};
use super::sign_in::member;
use keyward_config::Config;
use keyward_edge::entry::refuse_gateway;
use keyward_edge::leases::take_renewal_due;
use keyward_edge::usage::RecordFrom;
use keyward_edge::{
    Level, LookupKey, Platform, RequestContext, decide, is_refresh_due, reports, signing, start_or_wait, usage,
};
use keyward_gate::{Grant, Reason, Refusal};
use keyward_http::forwarded_request::{ForwardedRequest, VERIFIER, trusted_client_ip};
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::id::{Class, Environment};
use keyward_key::version;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Raw, Rejection, Response};

/// Answers 200 with the identity headers, or the gate's own refusal. The body of the gateway's request is never read.
pub(super) async fn serve<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Reply {
    let RequestContext { config, platform, head, request_id, .. } = context.request;
    authorize(context).await.unwrap_or_else(|refusal| {
        refuse_gateway(platform, refusal.with_pages_at(&config.public_base(head)), request_id)
    })
}

/// 1. Check the gateway's credential by form and tag.
/// 2. Reconstruct the client's request from the gateway's headers. The client address is used only from a gateway with a credential;
///    otherwise it is unknown, because the edge saw only the gateway.
/// 3. Combine the gate's decision with the authority's confirmation of the gateway. Both must be valid at the same time.
async fn authorize<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Result<Reply, Refusal> {
    let RequestContext { config, platform, head, request_id, .. } = context.request;
    let verifier = verifier(config, head)?;
    let address = if verifier.is_some() { trusted_client_ip(head)? } else { None };
    let forwarded = ForwardedRequest::of(head, address)?;
    let forwarded = forwarded.head()?;
    let judged = RequestContext { head: &forwarded, ..context.request };
    let decided = match verifier {
        Some(gateway) => Vouching { context, judged, gateway }.decide().await,
        None => decide(&judged).await,
    };
    let usage_due = match &decided {
        Ok(grant) => usage::count_grant(judged.isolate, &forwarded, grant, RecordFrom::Lookup),
        Err(refusal) => usage::count_refusal(&judged, refusal, RecordFrom::Lookup),
    };
    if let Some(due) = usage_due {
        context.event.report_usage_in_background(due);
    }
    if take_renewal_due(judged.isolate) {
        context.event.renew_in_background();
    }
    let grant = decided.inspect_err(|refusal| {
        let report = reports::about(judged.isolate, config, &forwarded, refusal, request_id);
        report.into_iter().for_each(|report| context.event.report_in_background(report));
    })?;
    if is_refresh_due(&judged, &grant) {
        context.event.refresh_in_background();
    }
    let own = match grant.own_assertion() {
        Some(signed) => Some(signed.to_owned()),
        None if grant.is_keyed() => {
            // The platform has imported the key, because it signed the gate's own assertion.
            let key = config.keyring.current().assertion_key();
            let text = key.and_then(|key| grant.own_text(key, &forwarded, request_id));
            Some(signing::assertion(config, platform, text, request_id).await?)
        }
        None => None,
    };
    Ok(grant.tell_gateway(own, request_id))
}

/// Maximum number of confirmations that one request queries or waits for.
const MAX_CONFIRMATIONS: u8 = 2;

/// The decision about a request from a gateway that presents a credential.
struct Vouching<'a, P, C> {
    context: &'a ControlContext<'a, P, C>,
    /// The client's request.
    judged: RequestContext<'a, P>,
    gateway: Caller,
}

impl<P: Platform, C: ControlPlatform> Vouching<'_, P, C> {
    /// Decides about the request. An answer about a key needs a fresh confirmation of the gateway. That includes refusals, because a
    /// refusal reveals the addresses that the key allows. The gate decides again after each confirmation, so that a change in between
    /// takes effect. Malformed credentials and public routes cause no query.
    async fn decide(&self) -> Result<Grant, Refusal> {
        let name = CallerName::of(&self.gateway);
        for left in (0..=MAX_CONFIRMATIONS).rev() {
            let decided = decide(&self.judged).await;
            let Some(environment) = environment_of(&decided) else { return decided };
            match self.vouches(&name, environment) {
                Some(true) => return decided,
                Some(false) => {
                    self.discard(decided);
                    return Err(self.untrusted());
                }
                None => self.discard(decided),
            }
            if left == 0 {
                break;
            }
            self.confirm(&name).await?;
        }
        Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable))
    }

    /// Drops a decision that is not the answer. Puts back the units of a grant, because the next decision counts the request again. Reports
    /// the limits of a refusal, because their object asks for one report in an hour, and the next refusal carries none.
    fn discard(&self, decided: Result<Grant, Refusal>) {
        let RequestContext { isolate, request_id, .. } = self.judged;
        match decided {
            Ok(grant) => {
                if let Some(mut gate) = isolate.gate() {
                    gate.refund(&grant);
                }
            }
            Err(refusal) => {
                let id = refusal.key_id.as_deref();
                let report = id.and_then(|id| reports::limited(&refusal, id, request_id));
                report.into_iter().for_each(|report| self.context.event.report_in_background(report));
            }
        }
    }

    /// Returns whether the gateway is trusted for keys of that environment. `None` if the authority must be queried.
    fn vouches(&self, name: &CallerName, environment: Environment) -> Option<bool> {
        let RequestContext { config, platform, .. } = self.context.request;
        let now = platform.now();
        let mut callers = self.context.callers.try_borrow_mut().ok()?;
        if matches!(callers.standing(name, now), Standing::Refused(_)) {
            return Some(false);
        }
        let confirmation = callers.confirmation(name)?;
        confirmation.is_fresh(config.bound_seconds, now).then(|| confirmation.vouches_for(environment))
    }

    /// Queries the authority for the gateway's member, or waits while another request does.
    async fn confirm(&self, name: &CallerName) -> Result<(), Refusal> {
        let RequestContext { isolate, platform, request_id, .. } = self.context.request;
        let lookup = LookupKey::Caller(name.as_str().to_owned());
        if !start_or_wait(isolate, platform, &lookup).await {
            return Ok(());
        }
        let asked_at = platform.now();
        let control = control_request(Operation::Me, self.gateway.clone(), self.context.meta(), no_arguments());
        let answered = match self.context.take(|callers, now| callers.take_confirmation(name, now)) {
            Ok(()) => self.context.ask_authority(name, control).await,
            Err(busy) => Err(busy),
        };
        isolate.finish(&lookup);
        let cause = match answered {
            Ok(Response::Done(outcome)) => {
                let gateway = read_gateway(&outcome).ok_or_else(|| self.untrusted())?;
                if let Ok(mut callers) = self.context.callers.try_borrow_mut() {
                    let Gateway { role, environments } = gateway;
                    callers.confirmed(name, Confirmation { asked_at, role, environments });
                }
                return Ok(());
            }
            // The refusal is cached, so the next check finds it.
            Ok(Response::Refused(Rejection::Unauthenticated { .. })) => return Ok(()),
            Ok(_) => return Err(self.untrusted()),
            Err(NoAnswer::Busy(_)) => "too many queries of this isolate".to_owned(),
            Err(NoAnswer::Unreachable(cause)) => cause,
        };
        platform.log(Level::Error, "authority_query_failed", &[("cause", &cause), ("request_id", request_id)]);
        Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable))
    }

    fn untrusted(&self) -> Refusal {
        match &self.gateway {
            Caller::Credential { id, .. } => untrusted_gateway().about(id.clone()),
            _ => untrusted_gateway(),
        }
    }
}

/// Returns the environment of the key that was decided about. `None` on a public route, and for a credential that is not our key.
fn environment_of(decided: &Result<Grant, Refusal>) -> Option<Environment> {
    match decided {
        Ok(grant) => grant.environment(),
        Err(refusal) => match refusal.key_id.as_ref()?.class() {
            Class::Data(environment) => Some(environment),
            Class::Member => None,
        },
    }
}

/// Reads the gateway's credential and checks its form and tag. `None` if the gateway presents none; its statements about the client
/// are then ignored.
fn verifier(config: &Config, head: &Head<'_>) -> Result<Option<Caller>, Refusal> {
    match head.header(VERIFIER).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => member(config, text).map(Some).ok_or_else(untrusted_gateway),
    }
}

/// The fields of a member's view that forward auth needs.
#[derive(Deserialize)]
struct Gateway {
    role: Role,
    environments: Option<Vec<Environment>>,
}

/// Reads the member from the authority's answer.
fn read_gateway(outcome: &Raw) -> Option<Gateway> {
    let outcome = version::read::<me::Outcome>(outcome.get()).ok()?;
    version::read(outcome.me.get()).ok()
}

/// Returns the refusal of a gateway's credential. 403 and not 401, because the client's own credential is not at fault.
fn untrusted_gateway() -> Refusal {
    let detail = "The gateway's `Keyward-Verifier` credential is not accepted. Its operator must replace it.";
    Refusal::with(Problem::detailed(Code::Forbidden, detail), Reason::Verifier)
}

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API_BY_HEADERS: &str = r##"{
  "operationId": "authorize",
  "tags": ["Gateways"],
  "summary": "Forward auth: decides whether the original request is permitted",
  "description": "For nginx `auth_request`, Traefik and Caddy, which send the original method and path in headers. Every method is accepted and has the same meaning, so only one is described.",
  "security": [{"key": []}, {"keyHeader": []}],
  "parameters": [
    {"$ref": "#/components/parameters/OriginalMethod"},
    {"$ref": "#/components/parameters/OriginalUri"},
    {"$ref": "#/components/parameters/OriginalUrl"},
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
  "summary": "Forward auth: decides whether the original request is permitted",
  "description": "For Envoy `ext_authz`, which appends the original path, including slashes, and uses the original method. Every method is accepted; only one is described.",
  "security": [{"key": []}, {"keyHeader": []}],
  "parameters": [
    {
      "name": "path",
      "in": "path",
      "required": true,
      "description": "The original path without its first slash; may contain slashes",
      "schema": {"type": "string"}
    },
    {"$ref": "#/components/parameters/OriginalMethod"},
    {"$ref": "#/components/parameters/OriginalUri"},
    {"$ref": "#/components/parameters/OriginalUrl"},
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
