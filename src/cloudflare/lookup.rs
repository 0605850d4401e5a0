//! Telling the gate what it needs to know of a key.

use wasm_bindgen::JsValue;

use super::edge::Edge;
use super::log::{Level, event};
use super::{ask, clock, glue};
use crate::config::Config;
use crate::gate::{CopyVerdict, Need};
use crate::key::sealed::storage_name;
use crate::registry::command::{Answer, Call};

/// How long KV may take. Past that the registry is the faster way.
const KV_MILLIS: u32 = 1_000;

/// How soon a request first looks whether another one's asking has ended; the pauses double up to the longest. Eighty looks
/// take longer than any asking.
const FIRST_LOOK_MILLIS: u32 = 5;
const LONGEST_LOOK_MILLIS: u32 = 100;
const LOOKS: u32 = 80;

/// Sees to it that the gate learns about a key: asks, or waits while another request of this isolate asks. A promise belongs
/// to the request that made it, so the others can't await it: they look again, with growing pauses.
pub async fn satisfy(edge: &Edge, config: &Config, env: &JsValue, need: Need, request_id: &str) {
    if edge.begin_asking(&need.id, clock::now()) {
        let id = need.id.clone();
        ask_for(edge, config, env, need, request_id).await;
        edge.end_asking(&id);
        return;
    }
    let mut wait = FIRST_LOOK_MILLIS;
    for _ in 0..LOOKS {
        if !edge.is_asking(&need.id) || glue::pause(wait).await.is_err() {
            return;
        }
        wait = wait.saturating_mul(2).min(LONGEST_LOOK_MILLIS);
    }
}

/// Asks KV (on first use) and the registry, and tells the gate. It always learns something: a record, that there is none, or
/// that the authority is silent.
async fn ask_for(edge: &Edge, config: &Config, env: &JsValue, need: Need, request_id: &str) {
    if need.first_use && copy_settles(edge, config, env, &need, request_id).await {
        return;
    }
    // Read before asking: what is learned counts from the question, not from the answer.
    let asked_at = clock::now();
    let id = need.id.clone();
    match ask::registry(env, &Call::Lookup { id: need.id }).await {
        Ok(Answer::Record(record)) if record.as_ref().is_none_or(|record| record.id == id) => {
            if let Ok(mut gate) = edge.gate.try_borrow_mut() {
                gate.learn_record(id, record.map(|record| *record), asked_at);
            }
        }
        Ok(_) => silent(edge, "the registry answered another question", request_id),
        Err(ask::Silent(cause)) => silent(edge, &cause, request_id),
    }
}

fn silent(edge: &Edge, cause: &str, request_id: &str) {
    event(Level::Warn, "authority_silent", &[("cause", cause), ("request_id", request_id)]);
    if let Ok(mut gate) = edge.gate.try_borrow_mut() {
        gate.authority_silent(clock::now());
    }
}

/// Whether the copy in KV already decides. A store that fails, or a copy that is not authentic, only means that the authority
/// is asked.
async fn copy_settles(edge: &Edge, config: &Config, env: &JsValue, need: &Need, request_id: &str) -> bool {
    let asked_at = clock::now();
    let stored = match glue::kv_get(env, &storage_name(&need.id), KV_MILLIS).await {
        Ok(value) => value.as_string(),
        Err(thrown) => {
            event(Level::Warn, "kv_failed", &[("cause", &glue::cause(&thrown)), ("request_id", request_id)]);
            None
        }
    };
    let Some(stored) = stored else { return false };
    let Ok(mut gate) = edge.gate.try_borrow_mut() else { return false };
    let verdict = gate.learn_copy(config, &need.id, &stored, asked_at);
    drop(gate);
    if let CopyVerdict::Broken(why) = verdict {
        let fields = [("key_id", need.id.as_str()), ("why", why.as_str()), ("request_id", request_id)];
        event(Level::Warn, "kv_record_broken", &fields);
    }
    verdict == CopyVerdict::Settled
}
