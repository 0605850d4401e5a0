//! Signing with the keys of the house, which the platform takes over at their first use.

use super::outside::{Level, Outside};
use crate::config::Config;
use crate::gate::{Reason, Refusal};
use crate::http::problem::Code;
use crate::key::assertion::signed;
use crate::key::signing::{Signature, SigningKey};

/// Sees to it that the platform holds these keys, and that their public halves are known. What fails is logged: such a key signs
/// nothing and shows nothing.
pub async fn hold(outside: &impl Outside, keys: &[&SigningKey], request_id: &str) {
    for key in keys {
        if key.public().is_none() {
            match outside.hold_key(key).await {
                Ok(public) => key.learn_public(public),
                Err(cause) => {
                    outside.log(Level::Error, "key_not_held", &[("cause", &cause), ("request_id", request_id)])
                }
            }
        }
    }
}

/// A held key's signature over a text.
///
/// # Errors
/// `internal_error`; the cause is logged.
pub async fn sign(
    outside: &impl Outside,
    key: &SigningKey,
    text: &str,
    request_id: &str,
) -> Result<Signature, Refusal> {
    outside.sign(key, text.as_bytes()).await.map_err(|cause| {
        outside.log(Level::Error, "signing_failed", &[("cause", &cause), ("request_id", request_id)]);
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
    outside: &impl Outside,
    text: Option<String>,
    request_id: &str,
) -> Result<String, Refusal> {
    let text = text.ok_or_else(unsigned)?;
    let signature = sign(outside, config.keyring.current().assertion(), &text, request_id).await?;
    Ok(signed(text, &signature))
}

fn unsigned() -> Refusal {
    Refusal::new(Code::InternalError, Reason::Unsigned)
}
