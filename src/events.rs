//! Where the runtime hands over a request.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::isolate_state::IsolateState;
use super::log::{Level, event};
use super::platform::Platform;
use super::{authorize, control, glue, send};
use keyward_gate::{Refusal, Step, Unsigned, refuse_key_in_url};
use keyward_http::forwarded_request::{ForwardAuthError, asks_to_authorize, is_gateways};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_http::route::is_own_path;

/// The worker's `fetch`. Gives a response, or a promise of one; a request that the gate can decide at once makes no promise of
/// our own.
#[wasm_bindgen]
pub fn fetch(request: JsValue, env: JsValue, context: JsValue) -> JsValue {
    let head = glue::head(&request, &env);
    let edge = IsolateState::of(&env, head.as_ref().map_or(0, |(number, _)| *number));
    let id = edge.request_id();
    let text = match head {
        Ok((_, text)) if !id.is_empty() => text,
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
            Ok(()) => served_later(edge, request, env, context, text, id),
            Err(refusal) => refuse(refusal, &text, &id),
        };
    }
    // A gateway that asks at the wrong address would take the origin's 200 for a yes, and its own address for its client's.
    if is_gateways(&head) {
        return authorize::refuse(ForwardAuthError::WrongPath.into(), &id);
    }
    let (step, refresh_due) = keyward_edge::step(&edge.isolate, config, &Platform::new(&env, &context), &head, head.now());
    if refresh_due {
        refresh(Rc::clone(&edge), env.clone(), &context);
    }
    match step {
        Step::Forward(grant) => send::forward(&request, grant, &head, &id),
        Step::Refuse(refusal) => send::refuse(&refusal, &id),
        Step::Sign(unsigned) => decided_later(Some(unsigned), edge, request, env, context, text, id),
        Step::Need(_) => decided_later(None, edge, request, env, context, text, id),
    }
}

/// Forward auth tells its refusals in its own way, and a request that has no form may be one of its.
fn refuse(refusal: Refusal, text: &str, id: &str) -> JsValue {
    if asks_to_authorize(text) { authorize::refuse(refusal, id) } else { send::refuse(&refusal, id) }
}

fn unconfigured(head: Option<&Head<'_>>, id: &str) -> JsValue {
    if head.is_some_and(|head| head.target().path() == "/_keyward/health") {
        send::reply(&keyward_control::health(false, id))
    } else {
        send::problem(&Code::Misconfigured.into(), id)
    }
}

/// Asks, beside the request, what the authority has changed: no request waits for it.
pub(super) fn refresh(edge: Rc<IsolateState>, env: JsValue, context: &JsValue) {
    let held = context.clone();
    later(Some(context), async move {
        if let Some(config) = &edge.config {
            keyward_edge::refresh(&edge.isolate, config, &Platform::new(&env, &held)).await;
        }
        JsValue::UNDEFINED
    });
}

/// The gate's way when it has to wait: for what it needs to know, or only for a signature. The head is parsed again: it borrows
/// its text, which moves into the future.
fn decided_later(
    unsigned: Option<Unsigned>,
    edge: Rc<IsolateState>,
    request: JsValue,
    env: JsValue,
    context: JsValue,
    text: String,
    id: String,
) -> JsValue {
    let held = context.clone();
    // Nobody else waits for a signature: a client that leaves takes its request with it, as where there is nothing to sign.
    let alive = unsigned.is_none().then_some(&context);
    later(alive, async move {
        let (Some(config), Ok(head)) = (&edge.config, Head::parse(&text)) else {
            return send::problem(&Code::InternalError.into(), &id);
        };
        let platform = Platform::new(&env, &held);
        let decided = match unsigned {
            Some(unsigned) => keyward_edge::finish(&edge.isolate, config, &platform, unsigned, &head, &id).await,
            None => keyward_edge::decide(&edge.isolate, config, &platform, &head, &id).await,
        };
        match decided {
            Ok(grant) => send::forward(&request, grant, &head, &id),
            Err(refusal) => send::refuse(&refusal, &id),
        }
    })
}

/// The control plane's way.
fn served_later(
    edge: Rc<IsolateState>,
    request: JsValue,
    env: JsValue,
    context: JsValue,
    text: String,
    id: String,
) -> JsValue {
    let held = context.clone();
    later(Some(&context), async move {
        let (Some(config), Ok(head)) = (&edge.config, Head::parse(&text)) else {
            return send::problem(&Code::InternalError.into(), &id);
        };
        control::serve(Rc::clone(&edge), config, request, env, &held, &head, &id).await
    })
}

/// A promise of what a future gives. With a context it is carried to its end although the client may leave: other requests wait for
/// what this one learns. In a box, so that V8 compiles each way when it is first taken, and the gate's doesn't bring the control plane with
/// it.
fn later(context: Option<&JsValue>, future: impl Future<Output = JsValue> + 'static) -> JsValue {
    let future: Pin<Box<dyn Future<Output = JsValue>>> = Box::pin(future);
    let promise = future_to_promise(AssertUnwindSafe(async move { Ok(future.await) })).into();
    if let Some(context) = context {
        // Refused by the runtime, it would only mean that the client's leaving ends it.
        let _ = glue::keep_alive(context, &promise);
    }
    promise
}
