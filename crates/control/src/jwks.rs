//! `GET /_keyward/jwks.json`: what assertions are verified with (RFC 7517).

use serde::Serialize;

use keyward_config::Config;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::assertion::Jwk;

#[derive(Serialize)]
struct Jwks<'a> {
    keys: Vec<&'a Jwk>,
}

/// The public keys: of the current secret first and, while it is kept, of the previous one, under which another isolate may
/// still sign. They are known by then.
#[must_use]
pub fn jwks(config: &Config, request_id: &str) -> Reply {
    match config.keyring.generations().map(|derived| Some(derived.assertion_key()?.jwk())).collect() {
        Some(keys) => Reply::published("application/jwk-set+json", &Jwks { keys }, request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}
