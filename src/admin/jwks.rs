//! `GET /_keyward/jwks.json`: what assertions are verified with (RFC 7517).

use serde::Serialize;

use crate::config::Config;
use crate::http::reply::Reply;
use crate::key::assertion::Jwk;

#[derive(Serialize)]
struct Jwks<'a> {
    keys: Vec<&'a Jwk>,
}

/// The public keys: of the current secret first and, while it is kept, of the previous one, under which another isolate may
/// still sign.
#[must_use]
pub fn jwks(config: &Config, request_id: &str) -> Reply {
    let keys = config.keyring.houses().map(|house| house.assertion_key().jwk()).collect();
    Reply::published("application/jwk-set+json", &Jwks { keys }, request_id)
}
