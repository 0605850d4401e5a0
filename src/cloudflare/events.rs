//! Where the runtime hands over a request.

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::edge::Edge;
use super::log::{Level, event};
use super::{clock, control, glue, lookup, send};
use crate::admin;
use crate::config::Config;
use crate::gate::{Reason, Refusal, Step, is_own_path, refuse_key_in_url};
use crate::http::head::Head;
use crate::http::problem::Code;
use crate::time::Millis;

/// How often the gate may need to know something before one request is given up: KV's copy, the authority's word, and once
/// more when that came too late.
const NEEDS: u8 = 3;

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
        Err(why) => return send::refuse(&Refusal::from(why), &id),
    };
    if is_own_path(head.target().path()) {
        return match refuse_key_in_url(config, &head) {
            Ok(()) => later(edge, request, env, &context, text, id, Way::Control),
            Err(refusal) => send::refuse(&refusal, &id),
        };
    }
    match step(&edge, config, &head, head.now()) {
        Step::Forward(grant) => send::forward(&request, grant, &head, &id),
        Step::Refuse(refusal) => send::refuse(&refusal, &id),
        Step::Need(_) => later(edge, request, env, &context, text, id, Way::Gate),
    }
}

fn unconfigured(head: Option<&Head<'_>>, id: &str) -> JsValue {
    if head.is_some_and(|head| head.target().path() == "/_keyward/health") {
        send::reply(&admin::health(false, id))
    } else {
        send::problem(&Code::Misconfigured.into(), id)
    }
}

fn step(edge: &Edge, config: &Config, head: &Head<'_>, now: Millis) -> Step {
    match edge.gate.try_borrow_mut() {
        Ok(mut gate) => gate.admit(config, head, now),
        Err(_) => Step::Refuse(Refusal::new(Code::InternalError, Reason::GateBusy)),
    }
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
    let answer = async move {
        let (Some(config), Ok(head)) = (&edge.config, Head::parse(&text)) else {
            return Ok(send::problem(&Code::InternalError.into(), &id));
        };
        Ok(match way {
            Way::Control => control::serve(Rc::clone(&edge), config, request, env, &head, &id).await,
            Way::Gate => admit(&edge, config, &request, &env, &head, &id).await,
        })
    };
    let promise = future_to_promise(std::panic::AssertUnwindSafe(answer)).into();
    // Refused by the runtime, it would only mean that the client's leaving ends it.
    let _ = glue::keep_alive(context, &promise);
    promise
}

/// Asks the gate, tells it what it needs, asks again. The clock is read anew each time: waiting takes time.
async fn admit(edge: &Edge, config: &Config, request: &JsValue, env: &JsValue, head: &Head<'_>, id: &str) -> JsValue {
    for _ in 0..NEEDS {
        match step(edge, config, head, clock::now()) {
            Step::Forward(grant) => return send::forward(request, grant, head, id),
            Step::Refuse(refusal) => return send::refuse(&refusal, id),
            Step::Need(need) => lookup::satisfy(edge, config, env, need, id).await,
        }
    }
    match step(edge, config, head, clock::now()) {
        Step::Forward(grant) => send::forward(request, grant, head, id),
        Step::Refuse(refusal) => send::refuse(&refusal, id),
        Step::Need(_) => send::refuse(&Refusal::new(Code::AuthorityUnavailable, Reason::AuthoritySilent), id),
    }
}
