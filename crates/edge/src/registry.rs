//! Queries to the registry.

use super::platform::{Platform, RegistryFailure};
use keyward_key::version;
use keyward_protocol::{Request, Response};

/// The registry did not answer. A change may have been committed. The text is for the log.
#[derive(Debug)]
pub struct Unreachable(pub String);

/// Sends a query to the registry. A failed read is retried once after 20 to 147 ms, except while the registry is overloaded. A change is
/// sent only once, because it may have been committed even if the answer was lost.
///
/// # Errors
/// [`Unreachable`].
pub async fn ask(platform: &impl Platform, call: &Request) -> Result<Response, Unreachable> {
    let message = serde_json::to_string(call).map_err(|error| Unreachable(error.to_string()))?;
    let changes = writes(call);
    let answered = match once(platform, &message, changes).await {
        Err(failure) if !changes && !failure.is_overload => {
            platform.pause(20_u32.saturating_add(u32::from(platform.jitter() >> 1))).await;
            once(platform, &message, changes).await
        }
        answered => answered,
    };
    answered.map_err(|failure| Unreachable(failure.cause))
}

/// Returns whether a request may write. A control-plane message carries this as a field.
fn writes(request: &Request) -> bool {
    match request {
        Request::Control(control) => control.writes,
        Request::Expose(_)
        | Request::Leak(_)
        | Request::KeepReport(_)
        | Request::EndpointReport(_)
        | Request::EndpointTested(_) => true,
        Request::UsageTimes(_) | Request::UsageMissing { .. } => true,
        Request::Lookup { .. } | Request::Changes(_) => false,
    }
}

async fn once(platform: &impl Platform, message: &str, may_change: bool) -> Result<Response, RegistryFailure> {
    let text = platform.ask_registry(message, may_change).await?;
    version::read(&text).map_err(|error| RegistryFailure::from(error.to_string()))
}
