//! `GET /_keyward/jwks.json`: the public keys that verify assertions and events (RFC 7517).

use serde::Serialize;

use keyward_config::Config;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::assertion::Jwk;
use keyward_key::keyring::DerivedKeys;

#[derive(Serialize)]
struct Jwks<'a> {
    keys: Vec<&'a Jwk>,
}

/// Returns the public keys, which must be known: those of assertions, the current secret's first and, during a rotation of the secret,
/// the previous one's, because another isolate may still sign with it; then those of events. The text that an event's key signs has braces,
/// so it is never a JWT.
pub(super) fn jwks(config: &Config, request_id: &str) -> Reply {
    let assertions = config.keyring.generations().map(DerivedKeys::assertion_key);
    let events = config.keyring.generations().map(DerivedKeys::events_key);
    match assertions.chain(events).map(|key| Some(key?.jwk())).collect() {
        Some(keys) => Reply::published("application/jwk-set+json", &Jwks { keys }, request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API: &str = r##"{
  "operationId": "jwks",
  "tags": ["Gateways"],
  "summary": "The public keys of `Keyward-Assertion` and of events (RFC 7517)",
  "security": [],
  "responses": {
    "200": {
      "description": "The current key of assertions and, during a rotation of the secret, the previous one; then the keys of events",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Cache-Control": {"$ref": "#/components/headers/FiveMinutes"}
      },
      "content": {"application/jwk-set+json": {"schema": {"$ref": "#/components/schemas/KeySet"}}}
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
