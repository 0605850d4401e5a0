//! The way of a key that is handed over in a body: asked about, introspected, or surrendered by its holder. What is decided
//! stands in `keyward_gate` and `keyward_control::KeyEndpointRequest`; here it is only asked for.

use wasm_bindgen::JsValue;

use super::control::{ControlContext, read_body};
use super::log::{Level, event};
use super::{clock, send};
use keyward_control::KeyEndpointRequest;
use keyward_control::oauth::{self, Challenge, OAuthRefusal};
use keyward_http::problem::Problem;
use keyward_http::reply::Reply;
use keyward_key::id::KeyId;
use keyward_protocol::{Caller, Operation, Outcome, Rejection, Response};

/// `POST /_keyward/v1/verify`, `POST /_keyward/oauth/introspect`, `POST /_keyward/oauth/revoke`.
pub async fn serve(way: &ControlContext<'_>, request: &JsValue) -> JsValue {
    let answered = answer(way, request).await;
    send::reply(&answered.unwrap_or_else(|refusal| refusal.reply(way.request_id)))
}

/// 1. Transport.
/// 2. Who asks, as far as form and tag tell: strangers cost nothing more. A holder is nobody; of an address only so much is
///    taken.
/// 3. The body, and what the key in it is by form and tag.
/// 4. The registry: who asks, whether they may, and the key, in one call. Its silence is never an answer about a key.
async fn answer(way: &ControlContext<'_>, request: &JsValue) -> Result<Reply, OAuthRefusal> {
    way.check_transport()?;
    let signed_in = match way.operation {
        Operation::Verify => Some((way.sign_in().await?, Challenge::Any)),
        Operation::Introspect => Some(client(way)?),
        _ => {
            limit(way)?;
            None
        }
    };
    let body = read_body(request).await?;
    let handover = KeyEndpointRequest::parse(way.operation, way.config, way.head, &body);
    let (caller, challenge) = match (signed_in, &handover) {
        (Some(signed_in), _) => signed_in,
        (None, KeyEndpointRequest::RevokeByHolder(Some(handed))) => {
            (Caller::Holder { id: handed.id().clone(), key_hash: handed.hash().clone() }, Challenge::Any)
        }
        // No key of ours, or no form: there is nothing to ask.
        (None, _) => return handover.answer(way.config, way.head, clock::now(), None, way.request_id),
    };
    let (at, found) = match way.command(caller, handover.command(way.operation)).await? {
        Response::Done(Outcome::Inspected { at, found }) => (at, found),
        Response::Done(Outcome::Authorised) => (clock::now(), None),
        Response::Done(Outcome::KeyRevoked { changed_at, .. }) => {
            let id = handover.id().map_or("", KeyId::as_str);
            event(Level::Info, "key_surrendered", &[("key_id", id), ("request_id", way.request_id)]);
            (changed_at, None)
        }
        Response::Refused(refused) => {
            let problem = way.refused(&refused);
            let stranger = matches!(refused, Rejection::Unauthenticated { .. });
            match way.operation {
                // The holder of nothing gets the answer of one who has revoked.
                Operation::RevokeByHolder => (clock::now(), None),
                Operation::Introspect if stranger => return Err(OAuthRefusal::Client(challenge)),
                _ => return Err(problem.into()),
            }
        }
        _ => return Err(way.fault("registry_confused").into()),
    };
    handover.answer(way.config, way.head, at, found.as_deref(), way.request_id)
}

fn client(way: &ControlContext<'_>) -> Result<(Caller, Challenge), OAuthRefusal> {
    oauth::client(way.config, way.head).map_err(|challenge| {
        way.note(Level::Info, "sign_in_refused", ("reason", "OAuth client"));
        OAuthRefusal::Client(challenge)
    })
}

fn limit(way: &ControlContext<'_>) -> Result<(), Problem> {
    const DETAIL: &str = "Too many revocations came from this address. Retry after the time in `Retry-After`.";
    let Ok(mut revocation_limiter) = way.edge.revocation_limiter.try_borrow_mut() else { return Ok(()) };
    let taken = revocation_limiter.take(way.head.client_address(), way.head.now());
    taken.map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
}
