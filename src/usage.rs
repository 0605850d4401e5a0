//! Reports of usage: the origin of a new network, and background messages to the shards.

use std::rc::Rc;

use wasm_bindgen::JsValue;

use super::events::later;
use super::glue;
use super::isolate_state::IsolateState;
use super::platform::Platform;
use keyward_edge::Platform as _;
use keyward_edge::usage::{Origin, UsageDue, report_shard, set_origin, shards_due};

/// Does what a counted request makes due. `request.cf` is read for a new network only, because reading it takes microseconds.
pub fn counted(state: &Rc<IsolateState>, env: &JsValue, request: &JsValue, context: &JsValue, due: &UsageDue) {
    if due.new_network.is_some() {
        let origin = glue::origin(request).unwrap_or_default();
        let mut texts = origin.split('\n');
        let mut next = || texts.next().unwrap_or_default();
        let (country, asn, location) = (next(), next(), next());
        set_origin(&state.isolate, due, Origin::parse(country, asn), location);
    }
    report(state, env, context, due);
}

/// Starts the report that is due, in the background.
pub fn report(state: &Rc<IsolateState>, env: &JsValue, context: &JsValue, due: &UsageDue) {
    let Some(report) = due.report else { return };
    let pause_ms = report.pause_ms();
    if pause_ms == 0 {
        return send(state, env, context, &shards_due(&state.isolate, report, Platform::of(env).now()));
    }
    let (state, env, held) = (Rc::clone(state), env.clone(), context.clone());
    later(Some(context), async move {
        let platform = Platform::new(&env, &held);
        platform.pause(pause_ms).await;
        send(&state, &env, &held, &shards_due(&state.isolate, report, platform.now()));
        JsValue::UNDEFINED
    });
}

/// Sends to all these shards at the same time.
fn send(state: &Rc<IsolateState>, env: &JsValue, context: &JsValue, shards: &[u32]) {
    for shard in shards.iter().copied() {
        let (state, env, held) = (Rc::clone(state), env.clone(), context.clone());
        later(Some(context), async move {
            report_shard(&state.isolate, &Platform::new(&env, &held), shard).await;
            JsValue::UNDEFINED
        });
    }
}
