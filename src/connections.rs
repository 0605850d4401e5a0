//! Long-lived answers: the glue holds their two ends, and asks here at each check.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::isolate_state::IsolateState;
use super::platform::Platform;
use super::{events, glue, send};
use keyward_edge::connections::{Closed, Verdict, check, log_closed, open};
use keyward_edge::{LookupContext, RequestContext};
use keyward_http::head::Head;
use keyward_http::problem::Code;

/// Hands the glue its two callbacks, which it keeps for the life of the isolate.
pub fn listen() {
    let judge = Closure::<dyn Fn(u32, JsValue, String, String, bool) -> JsValue>::new(judge);
    let closed = Closure::<dyn Fn(String, String, String, String)>::new(closed);
    glue::on_connections(&judge, &closed);
    judge.forget();
    closed.forget();
}

/// Returns a promise of the verdict about a connection: its text, or a response in place of an answer that must not begin. `text` is a
/// request's head when the answer begins, and the connection's own text afterwards.
fn judge(environment: u32, context: JsValue, request_id: String, text: String, begins: bool) -> JsValue {
    let held = context.clone();
    // It runs to its end although the client may leave: others wait for what it looks up.
    events::later(Some(&held), async move {
        let state = IsolateState::numbered(environment);
        match state {
            Some(state) if begins => begin(&state, &context, &text, &request_id).await,
            Some(state) => again(&state, &context, &text, &request_id).await,
            None if begins => send::problem(&Code::InternalError.into(), &request_id),
            None => JsValue::from_str(&unknown().text()),
        }
    })
}

async fn begin(state: &Rc<IsolateState>, context: &JsValue, text: &str, request_id: &str) -> JsValue {
    let (Some(config), Ok(head)) = (&state.config, Head::parse(text)) else {
        return send::problem(&Code::InternalError.into(), request_id);
    };
    let platform = Platform::new(&state.env, context);
    let request = RequestContext { isolate: &state.isolate, config, platform: &platform, head: &head, request_id };
    match open(&request).await {
        Ok(open) => JsValue::from_str(&Verdict::Open(open).text()),
        Err(reply) => send::reply(&reply),
    }
}

async fn again(state: &Rc<IsolateState>, context: &JsValue, text: &str, request_id: &str) -> JsValue {
    let Some(config) = &state.config else { return JsValue::from_str(&unknown().text()) };
    let platform = Platform::new(&state.env, context);
    let lookups = LookupContext { isolate: &state.isolate, config, platform: &platform, request_id };
    JsValue::from_str(&check(&lookups, text).await.text())
}

/// The verdict where nothing can be checked.
const fn unknown() -> Verdict {
    Verdict::Close(Code::InternalError.as_str())
}

fn closed(request_id: String, kind: String, reason: String, text: String) {
    let closed = Closed { kind: &kind, reason: &reason, connection: &text, request_id: &request_id };
    log_closed(&Platform::of(&JsValue::UNDEFINED), &closed);
}
