//! Signatures with the derived keys. The platform imports each key at first use.

use super::platform::{Level, Platform};
use keyward_config::Config;
use keyward_gate::{Reason, Refusal};
use keyward_http::problem::Code;
use keyward_key::assertion::signed;
use keyward_key::signing::{Signature, SigningKey};

/// Imports keys into the platform to learn their public halves. A failure is logged; that key is then neither used for signing nor
/// published.
pub async fn hold(platform: &impl Platform, keys: &[&SigningKey], request_id: &str) {
    for key in keys {
        if key.public().is_none() {
            match platform.hold_key(key).await {
                Ok(public) => key.set_public(public),
                Err(cause) => platform.log(
                    Level::Error,
                    "signing_key_import_failed",
                    &[("cause", &cause), ("request_id", request_id)],
                ),
            }
        }
    }
}

/// Signs a text with an imported key.
///
/// # Errors
/// `internal_error`; the cause is logged.
pub async fn sign(
    platform: &impl Platform,
    key: &SigningKey,
    text: &str,
    request_id: &str,
) -> Result<Signature, Refusal> {
    platform.sign(key, text.as_bytes()).await.map_err(|cause| {
        platform.log(Level::Error, "signing_failed", &[("cause", &cause), ("request_id", request_id)]);
        unsigned()
    })
}

/// Signs `text` with the current secret's assertion key, which must have been imported, and returns the JWT.
///
/// # Errors
/// `internal_error`: `text` is missing because the key was not imported, or signing failed. No request is forwarded without an
/// assertion.
pub async fn assertion(
    config: &Config,
    platform: &impl Platform,
    text: Option<String>,
    request_id: &str,
) -> Result<String, Refusal> {
    let text = text.ok_or_else(unsigned)?;
    let signature = sign(platform, config.keyring.current().assertion(), &text, request_id).await?;
    Ok(signed(text, &signature))
}

fn unsigned() -> Refusal {
    Refusal::new(Code::InternalError, Reason::Unsigned)
}
