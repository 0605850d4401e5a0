//! Asking the registry.

use super::platform::Platform;
use keyward_key::version;
use keyward_protocol::{Command, RawOutcome, Request, Response};

/// The registry didn't answer. For a change that means unknown, not undone. The text is for the log.
#[derive(Debug)]
pub struct Unreachable(pub String);

/// Asks once more after a pause of 20 to 147 ms when a read fails; a change is asked for once: it may have been made although
/// its answer was lost.
///
/// # Errors
/// [`Unreachable`].
pub async fn ask(platform: &impl Platform, call: &Request) -> Result<Response<RawOutcome>, Unreachable> {
    let message = serde_json::to_string(call).map_err(|error| Unreachable(error.to_string()))?;
    let changes = !reads(call);
    match once(platform, &message, changes).await {
        Err(_) if !changes => {
            platform.pause(20_u32.saturating_add(u32::from(platform.jitter() >> 1))).await;
            once(platform, &message, changes).await
        }
        answered => answered,
    }
}

const fn reads(call: &Request) -> bool {
    match call {
        Request::Lookup { .. } | Request::Changes(_) => true,
        Request::Control(control) => matches!(
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

async fn once(platform: &impl Platform, message: &str, may_change: bool) -> Result<Response<RawOutcome>, Unreachable> {
    let text = platform.ask_registry(message, may_change).await.map_err(Unreachable)?;
    version::read(&text).map_err(|error| Unreachable(error.to_string()))
}
