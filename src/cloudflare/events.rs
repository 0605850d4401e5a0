//! Where the runtime hands over a request.

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::edge::Edge;
use super::log::{Level, event};
use super::outside::Outside;
use super::{authorize, control, glue, send};
use crate::gate::{Refusal, Step, refuse_key_in_url};
use crate::http::head::Head;
use crate::http::original::{BadOriginal, asks_to_authorize, is_gateways};
use crate::http::problem::Code;
use crate::http::route::is_own_path;
use crate::{admin, edge as finding};

/// The worker's `fetch`. Gives a response, or a promise of one; a request that the gate can decide at once makes no promise of
/// our own.
#[wasm_bindgen]
pub fn fetch(request: JsValue, env: JsValue, context: JsValue) -> JsValue {
    let edge = Edge::of(&env);
    let id = edge.request_id();
    let text = match glue::head(&request) {
        Ok(text) if !id.is_empty() => text,
        _ => {
            event(Level::Error, "head_failed", &[("request_id", &id)]);
            return send::problem(&Code::InternalError.into(), &id);
        }
    };
    let head = Head::parse(&text);
    let Some(config) = &edge.config else {
        return unconfigured(head.as_ref().ok(), &id);
    };
    let head = match head {
        Ok(head) => head,
        Err(why) => return refuse(Refusal::from(why), &text, &id),
    };
    if is_own_path(head.target().path()) {
        return match refuse_key_in_url(config, &head) {
            Ok(()) => later(edge, request, env, &context, text, id, Way::Control),
            Err(refusal) => refuse(refusal, &text, &id),
        };
    }
    // A gateway that asks at the wrong address would take the origin's 200 for a yes, and its own address for its client's.
    if is_gateways(&head) {
        return authorize::refuse(BadOriginal::Place.into(), &id);
    }
    let (step, refresh_due) = finding::step(&edge.isolate, config, &Outside::new(&env, &context), &head, head.now());
    if refresh_due {
        refresh(Rc::clone(&edge), env.clone(), &context);
    }
    match step {
        Step::Forward(grant) => send::forward(&request, grant, &head, &id),
        Step::Refuse(refusal) => send::refuse(&refusal, &id),
        Step::Need(_) => later(edge, request, env, &context, text, id, Way::Gate),
    }
}

/// Forward auth tells its refusals in its own way, and a request that has no form may be one of its.
fn refuse(refusal: Refusal, text: &str, id: &str) -> JsValue {
    if asks_to_authorize(text) { authorize::refuse(refusal, id) } else { send::refuse(&refusal, id) }
}

fn unconfigured(head: Option<&Head<'_>>, id: &str) -> JsValue {
    if head.is_some_and(|head| head.target().path() == "/_keyward/health") {
        send::reply(&admin::health(false, id))
    } else {
        send::problem(&Code::Misconfigured.into(), id)
    }
}

/// Asks, beside the request, what the authority has changed: no request waits for it.
pub(super) fn refresh(edge: Rc<Edge>, env: JsValue, context: &JsValue) {
    let held = context.clone();
    let refreshed = async move {
        if let Some(config) = &edge.config {
            finding::refresh(&edge.isolate, config, &Outside::new(&env, &held)).await;
        }
        Ok(JsValue::UNDEFINED)
    };
    keep_alive(context, &future_to_promise(std::panic::AssertUnwindSafe(refreshed)).into());
}

fn keep_alive(context: &JsValue, promise: &JsValue) {
    // Refused by the runtime, it would only mean that the client's leaving ends it.
    let _ = glue::keep_alive(context, promise);
}

enum Way {
    Control,
    Gate,
}

/// The ways that need to wait. The head is parsed again: it borrows its text, which moves into the future. They are carried
/// to their end although the client may leave: other requests wait for what this one learns.
fn later(
    edge: Rc<Edge>,
    request: JsValue,
    env: JsValue,
    context: &JsValue,
    text: String,
    id: String,
    way: Way,
) -> JsValue {
    let held = context.clone();
    let answer = async move {
        let (Some(config), Ok(head)) = (&edge.config, Head::parse(&text)) else {
            return Ok(send::problem(&Code::InternalError.into(), &id));
        };
        Ok(match way {
            Way::Control => control::serve(Rc::clone(&edge), config, request, env, &held, &head, &id).await,
            Way::Gate => match finding::decide(&edge.isolate, config, &Outside::new(&env, &held), &head, &id).await {
                Ok(grant) => send::forward(&request, grant, &head, &id),
                Err(refusal) => send::refuse(&refusal, &id),
            },
        })
    };
    let promise = future_to_promise(std::panic::AssertUnwindSafe(answer)).into();
    keep_alive(context, &promise);
    promise
}
