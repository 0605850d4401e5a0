//! The worker's `fetch`: from the runtime's request to the entry in `keyward_edge`, and back.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::control::ControlEvent;
use super::isolate_state::IsolateState;
use super::platform::Platform;
use super::{control, glue, send, usage};
use keyward_edge::BackgroundReport;
use keyward_edge::entry::{self, Action, Decided, Due, Entry, Pending, RawRequest, Resumed};
use keyward_http::head::Head;
use keyward_http::problem::Code;

/// The worker's `fetch` handler. Returns a response or a promise of one. A request that the gate can decide at once creates no promise
/// of our own.
#[wasm_bindgen]
pub fn fetch(request: JsValue, env: JsValue, context: JsValue) -> JsValue {
    let head = glue::head(&request, &env);
    let state = IsolateState::of(&env, head.as_ref().map_or(0, |head| head.environment));
    let request_id = state.request_id();
    let platform = Platform::new(&env, &context);
    let raw = match head {
        Ok(head) if !request_id.is_empty() => RawRequest { head_text: head.text, request_id },
        _ => return send::reply(&entry::unreadable(&platform, &request_id)),
    };
    let Entry { action, due } = entry::handle(&state.isolate, state.config.as_ref(), &platform, &raw);
    start(due, &state, &env, &request, &context);
    match action {
        Action::Reply(reply) => send::reply(&reply),
        Action::Forward(plan) => send::forward(&request, &context, state.number, plan, &raw.request_id),
        Action::ControlPlane => control_plane(Event { state, request, env, context, raw }),
        Action::Later(pending) => resume(Event { state, request, env, context, raw }, pending),
    }
}

/// A pending request, and all data that its promise needs.
struct Event {
    state: Rc<IsolateState>,
    request: JsValue,
    env: JsValue,
    context: JsValue,
    raw: RawRequest,
}

/// Starts what a request makes due, in the background.
fn start(due: Due, state: &Rc<IsolateState>, env: &JsValue, request: &JsValue, context: &JsValue) {
    if due.refresh {
        refresh(Rc::clone(state), env.clone(), context);
    }
    if let Some(due) = due.usage {
        usage::counted(state, env, request, context, &due);
    }
    if due.renewal {
        renew(Rc::clone(state), env.clone(), context);
    }
    if let Some(due) = due.report {
        report(Rc::clone(state), env.clone(), context, due);
    }
}

/// Refreshes the feed in the background. No request waits for it.
pub(super) fn refresh(state: Rc<IsolateState>, env: JsValue, context: &JsValue) {
    let held = context.clone();
    later(Some(context), async move {
        if let Some(config) = &state.config {
            keyward_edge::refresh(&state.isolate, config, &Platform::new(&env, &held)).await;
        }
        JsValue::UNDEFINED
    });
}

/// Renews leases of limited keys in the background. No request waits for it.
pub(super) fn renew(state: Rc<IsolateState>, env: JsValue, context: &JsValue) {
    let held = context.clone();
    later(Some(context), async move {
        if let Some(config) = &state.config {
            keyward_edge::renew(&state.isolate, config, &Platform::new(&env, &held)).await;
        }
        JsValue::UNDEFINED
    });
}

/// Sends a report to the authority in the background. No request waits for it.
pub(super) fn report(state: Rc<IsolateState>, env: JsValue, context: &JsValue, report: BackgroundReport) {
    let held = context.clone();
    later(Some(context), async move {
        keyward_edge::reports::send(&state.isolate, &Platform::new(&env, &held), report).await;
        JsValue::UNDEFINED
    });
}

fn resume(event: Event, pending: Pending) -> JsValue {
    let context = event.context.clone();
    let keep_alive = pending.outlives_client().then_some(&context);
    later(keep_alive, async move {
        let Event { state, request, env, context, raw } = event;
        let platform = Platform::new(&env, &context);
        let Resumed { decided, due } =
            entry::resume(&state.isolate, state.config.as_ref(), &platform, &raw, pending).await;
        start(due, &state, &env, &request, &context);
        match decided {
            Decided::Forward(plan) => send::forward(&request, &context, state.number, plan, &raw.request_id),
            Decided::Reply(reply) => send::reply(&reply),
        }
    })
}

fn control_plane(event: Event) -> JsValue {
    let context = event.context.clone();
    later(Some(&context), async move {
        let Event { state, request, env, context, raw } = event;
        let (Some(config), Ok(head)) = (&state.config, Head::parse(&raw.head_text)) else {
            return send::problem(&Code::InternalError.into(), &raw.request_id);
        };
        let control_event = ControlEvent { state: Rc::clone(&state), request, env, context };
        control::serve(&control_event, config, &head, &raw.request_id).await
    })
}

/// Returns a promise of a future's result. With a context the promise runs to completion even if the client disconnects, because other
/// requests may wait for its lookups. The future is boxed, so that V8 compiles each flow at its first use, and the gate's flow does
/// not compile the control plane.
pub(super) fn later(context: Option<&JsValue>, future: impl Future<Output = JsValue> + 'static) -> JsValue {
    let future: Pin<Box<dyn Future<Output = JsValue>>> = Box::pin(future);
    let promise = future_to_promise(AssertUnwindSafe(async move { Ok(future.await) })).into();
    if let Some(context) = context {
        // If the runtime refuses, the promise merely ends when the client disconnects.
        let _ = glue::keep_alive(context, &promise);
    }
    promise
}
