//! Signing with the keys of the house, which the platform takes over at their first use.

use super::platform::{Level, Platform};
use keyward_config::Config;
use keyward_gate::{Reason, Refusal};
use keyward_http::problem::Code;
use keyward_key::assertion::signed;
use keyward_key::signing::{Signature, SigningKey};

/// Sees to it that the platform holds these keys, and that their public halves are known. What fails is logged: such a key signs
/// nothing and shows nothing.
pub async fn hold(platform: &impl Platform, keys: &[&SigningKey], request_id: &str) {
    for key in keys {
        if key.public().is_none() {
            match platform.hold_key(key).await {
                Ok(public) => key.learn_public(public),
                Err(cause) => platform.log(
                    Level::Error,
                    "signing_key_import_failed",
                    &[("cause", &cause), ("request_id", request_id)],
                ),
            }
        }
    }
}

/// A held key's signature over a text.
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

/// The JWT of an assertion; `text` is what is to be signed, by the current secret's key, which is held.
///
/// # Errors
/// `internal_error`: there is no text, because the key is not held, or it could not be signed. Nothing is forwarded without its
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
