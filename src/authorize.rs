//! Forward auth's way: another gateway asks about a request, and the gate decides about it as about its own.

use std::rc::Rc;

use wasm_bindgen::JsValue;

use super::isolate_state::IsolateState;
use super::log::{Level, event};
use super::platform::Platform;
use super::{events, send};
use keyward_config::Config;
use keyward_control::authorize::{check_vouching, untrusted_gateway, verifier};
use keyward_edge::RequestContext;
use keyward_edge::entry::refuse_gateway;
use keyward_edge::registry::{Unreachable, ask};
use keyward_edge::signing;
use keyward_gate::{Reason, Refusal};
use keyward_http::forwarded_request::{ForwardedRequest, trusted_client_ip};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::id::Environment;
use keyward_protocol::{Caller, Command, ControlRequest, Outcome, Request, RequestMeta, Response};

/// Answers 200 with the identity headers, or the gate's own refusal. The asking's body is never read.
pub async fn serve(
    edge: Rc<IsolateState>,
    config: &Config,
    env: &JsValue,
    context: &JsValue,
    head: &Head<'_>,
    id: &str,
) -> JsValue {
    match authorize(&edge, config, env, context, head, id).await {
        Ok(reply) => send::reply(&reply),
        Err(refusal) => refuse(refusal, id),
    }
}

/// Answers a refusal in the way that gateways understand.
pub fn refuse(refusal: Refusal, id: &str) -> JsValue {
    send::reply(&refuse_gateway(&Platform::of(&JsValue::UNDEFINED), refusal, id))
}

/// 1. The gateway's credential, as far as form and tag tell.
/// 2. The original request, from what the gateway says of it; its client's address only from one that shows a credential, and
///    otherwise none: the edge saw the gateway.
/// 3. The gate's decision.
/// 4. The authority's word on the gateway's credential, asked for only where the request would pass: garbage costs no call.
async fn authorize(
    edge: &Rc<IsolateState>,
    config: &Config,
    env: &JsValue,
    context: &JsValue,
    head: &Head<'_>,
    id: &str,
) -> Result<Reply, Refusal> {
    let verifier = verifier(config, head)?;
    let address = if verifier.is_some() { trusted_client_ip(head)? } else { None };
    let original = ForwardedRequest::of(head, address)?;
    let original = original.head()?;
    let platform = &Platform::new(env, context);
    let asked = RequestContext { isolate: &edge.isolate, config, platform, head: &original, request_id: id };
    let grant = keyward_edge::decide(&asked).await?;
    if keyward_edge::is_refresh_due(&asked, &grant) {
        events::refresh(Rc::clone(edge), env.clone(), context);
    }
    match (verifier, grant.environment()) {
        (Some(caller), Some(environment)) => confirm(env, caller, environment, head, id).await?,
        (Some(_), None) if grant.is_keyed() => return Err(untrusted_gateway()),
        _ => {}
    }
    let own = match grant.own_assertion() {
        Some(signed) => Some(signed.to_owned()),
        None if grant.is_keyed() => {
            // Held since the gate's own assertion was signed with it.
            let key = config.keyring.current().assertion_key();
            let text = key.and_then(|key| grant.own_text(key, &original, id));
            Some(signing::assertion(config, &Platform::of(env), text, id).await?)
        }
        None => None,
    };
    Ok(grant.tell_gateway(own, id))
}

async fn confirm(
    env: &JsValue,
    caller: Caller,
    environment: Environment,
    head: &Head<'_>,
    id: &str,
) -> Result<(), Refusal> {
    let origin = RequestMeta {
        request_id: id.to_owned(),
        client_address: head.client_address().map(|address| address.chars().take(64).collect()),
    };
    let control = ControlRequest { caller, origin, command: Command::Me, idempotency: None };
    match ask(&Platform::of(env), &Request::Control(Box::new(control))).await {
        Ok(Response::Done(Outcome::Me(member))) => check_vouching(&member, environment),
        Ok(_) => Err(untrusted_gateway()),
        Err(Unreachable(cause)) => {
            event(Level::Error, "authority_query_failed", &[("cause", &cause), ("request_id", id)]);
            Err(Refusal::new(Code::AuthorityUnavailable, Reason::AuthorityUnreachable))
        }
    }
}
