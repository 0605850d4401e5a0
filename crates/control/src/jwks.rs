//! `GET /_keyward/jwks.json`: the public keys that verify assertions (RFC 7517).

use serde::Serialize;

use keyward_config::Config;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::assertion::Jwk;

#[derive(Serialize)]
struct Jwks<'a> {
    keys: Vec<&'a Jwk>,
}

/// Returns the public keys, which must be known: the current secret's first and, during a rotation of the secret, the previous one's,
/// because another isolate may still sign with it.
pub(super) fn jwks(config: &Config, request_id: &str) -> Reply {
    match config.keyring.generations().map(|derived| Some(derived.assertion_key()?.jwk())).collect() {
        Some(keys) => Reply::published("application/jwk-set+json", &Jwks { keys }, request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API: &str = r##"{
  "operationId": "jwks",
  "tags": ["Gateways"],
  "summary": "The public keys of `Keyward-Assertion` (RFC 7517)",
  "security": [],
  "responses": {
    "200": {
      "description": "The current key and, during a rotation of the secret, the previous one",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Cache-Control": {"$ref": "#/components/headers/FiveMinutes"}
      },
      "content": {"application/jwk-set+json": {"schema": {"$ref": "#/components/schemas/KeySet"}}}
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
