//! Asking the registry.

use wasm_bindgen::JsValue;

use super::entropy::System;
use super::glue;
use crate::json;
use crate::key::entropy::Entropy;
use crate::registry::command::{Answer, Call, Command, Told};

/// How long a read may take. Two of them and the pause between are shorter than the default bound, so that a hanging object
/// is noticed within it.
const READ_MILLIS: u32 = 2_000;
/// How long a change may take before its caller is told that the outcome is unknown.
const CHANGE_MILLIS: u32 = 15_000;

/// The registry didn't answer. For a change that means unknown, not undone. The text is for the log.
pub struct Silent(pub String);

/// Asks once more after a pause of 20 to 147 ms when a read fails; a change is asked for once: it may have been made although
/// its answer was lost.
///
/// # Errors
/// [`Silent`].
pub async fn registry(env: &JsValue, call: &Call) -> Result<Answer<Told>, Silent> {
    let message = serde_json::to_string(call).map_err(|error| Silent(error.to_string()))?;
    if !reads(call) {
        return ask(env, &message, CHANGE_MILLIS).await;
    }
    match ask(env, &message, READ_MILLIS).await {
        Err(_) => {
            let mut jitter = [0_u8];
            let _ = System.fill(&mut jitter);
            let [jitter] = jitter;
            let _ = glue::pause(20_u32.saturating_add(u32::from(jitter >> 1))).await;
            ask(env, &message, READ_MILLIS).await
        }
        answered => answered,
    }
}

const fn reads(call: &Call) -> bool {
    match call {
        Call::Lookup { .. } => true,
        Call::Control(control) => matches!(
            control.command,
            Command::Me
                | Command::Authorise { .. }
                | Command::ListKeys { .. }
                | Command::ShowKey { .. }
                | Command::ListMembers { .. }
                | Command::ShowMember { .. }
                | Command::ReadAudit { .. }
                | Command::AuditHead
        ),
    }
}

async fn ask(env: &JsValue, message: &str, milliseconds: u32) -> Result<Answer<Told>, Silent> {
    let text = glue::ask_registry(env, message, milliseconds).await.map_err(|thrown| Silent(glue::cause(&thrown)))?;
    let text = text.as_string().ok_or_else(|| Silent("the registry answered no text".to_owned()))?;
    json::read(&text).map_err(|error| Silent(error.to_string()))
}
