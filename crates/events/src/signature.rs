//! The headers of an attempt: Standard Webhooks 1.0.0.

use keyward_key::keyring::Keyring;
use keyward_key::time::Millis;
use keyward_key::webhook::WebhookSecret;
use keyward_protocol::events::Endpoint;

/// Value of `User-Agent`.
pub const USER_AGENT: &str = concat!("Keyward/", env!("CARGO_PKG_VERSION"), " (events)");

/// Returns the `v1` signatures of a text with the secrets of an endpoint that hold at `now`. A secret of a server's secret that is gone
/// signs nothing.
#[must_use]
pub fn hmac_signatures(keyring: &Keyring, endpoint: &Endpoint, text: &str, now: Millis) -> Vec<String> {
    let holds = endpoint.secrets.iter().filter(|secret| secret.until.is_none_or(|until| now < until));
    holds
        .filter_map(|secret| {
            let derived = keyring.of_generation(&secret.minted_under)?;
            Some(WebhookSecret::derive(derived, &endpoint.id, secret.number).sign(text.as_bytes()))
        })
        .collect()
}

/// Returns the headers of an attempt, each with its value.
#[must_use]
pub fn headers(event_id: &str, at_seconds: i64, signatures: &[String]) -> Vec<(&'static str, String)> {
    vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("webhook-id", event_id.to_owned()),
        ("webhook-timestamp", at_seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}
