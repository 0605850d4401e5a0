//! Long-lived responses: the glue holds both ends of the connection, and calls this module for each check.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::isolate_state::IsolateState;
use super::platform::Platform;
use super::{events, glue, send};
use keyward_edge::connections::{Check, Closed, Connection, Verdict, check, log_closed, look_up, open};
use keyward_edge::{LookupContext, RequestContext};
use keyward_http::head::Head;
use keyward_http::problem::Code;

/// Registers two callbacks with the glue, which keeps them for the lifetime of the isolate.
pub fn listen() {
    let judge = Closure::<dyn Fn(u32, JsValue, String, String, bool) -> JsValue>::new(judge);
    let closed = Closure::<dyn Fn(String, String, String, String)>::new(closed);
    glue::on_connections(&judge, &closed);
    judge.forget();
    closed.forget();
}

/// Returns the verdict about a connection, or a promise of it: its text, or the reply to send if the response must not begin. `text` is
/// a request's head when the response begins, and the connection's own text afterwards.
fn judge(environment: u32, context: JsValue, request_id: String, text: String, begins: bool) -> JsValue {
    let Some(state) = IsolateState::numbered(environment) else {
        return if begins { send::problem(&Code::InternalError.into(), &request_id) } else { unknown() };
    };
    // Each promise runs to completion even if the client disconnects, because other requests may wait for its lookups.
    let held = context.clone();
    if begins {
        return events::later(Some(&held), async move { begin(&state, &context, &text, &request_id).await });
    }
    let Some(config) = &state.config else { return unknown() };
    let platform = Platform::new(&state.env, &context);
    let lookups = LookupContext { isolate: &state.isolate, config, platform: &platform, request_id: &request_id };
    match check(&lookups, &text) {
        Check::Done(verdict) => JsValue::from_str(&verdict.text()),
        Check::LookUp(connection) => {
            let state = Rc::clone(&state);
            events::later(Some(&held), async move { again(&state, &context, connection, &request_id).await })
        }
    }
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

async fn again(state: &Rc<IsolateState>, context: &JsValue, connection: Connection, request_id: &str) -> JsValue {
    let Some(config) = &state.config else { return unknown() };
    let platform = Platform::new(&state.env, context);
    let lookups = LookupContext { isolate: &state.isolate, config, platform: &platform, request_id };
    JsValue::from_str(&look_up(&lookups, connection).await.text())
}

/// Returns the verdict for a connection that cannot be checked.
fn unknown() -> JsValue {
    JsValue::from_str(&Verdict::Close(Code::InternalError.as_str()).text())
}

fn closed(request_id: String, kind: String, reason: String, text: String) {
    let closed = Closed { kind: &kind, reason: &reason, connection: &text, request_id: &request_id };
    log_closed(&Platform::of(&JsValue::UNDEFINED), &closed);
}
