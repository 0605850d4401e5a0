//! Asking the registry.

use super::outside::Outside;
use crate::json;
use crate::registry::command::{Answer, Call, Command, Told};

/// The registry didn't answer. For a change that means unknown, not undone. The text is for the log.
#[derive(Debug)]
pub struct Silent(pub String);

/// Asks once more after a pause of 20 to 147 ms when a read fails; a change is asked for once: it may have been made although
/// its answer was lost.
///
/// # Errors
/// [`Silent`].
pub async fn ask(outside: &impl Outside, call: &Call) -> Result<Answer<Told>, Silent> {
    let message = serde_json::to_string(call).map_err(|error| Silent(error.to_string()))?;
    let changes = !reads(call);
    match once(outside, &message, changes).await {
        Err(_) if !changes => {
            outside.pause(20_u32.saturating_add(u32::from(outside.jitter() >> 1))).await;
            once(outside, &message, changes).await
        }
        answered => answered,
    }
}

const fn reads(call: &Call) -> bool {
    match call {
        Call::Lookup { .. } | Call::Changes(_) => true,
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
                | Command::Introspect(_)
                | Command::Verify(_)
        ),
    }
}

async fn once(outside: &impl Outside, message: &str, may_change: bool) -> Result<Answer<Told>, Silent> {
    let text = outside.ask_registry(message, may_change).await.map_err(Silent)?;
    json::read(&text).map_err(|error| Silent(error.to_string()))
}
