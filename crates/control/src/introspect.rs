//! `POST /_keyward/oauth/introspect`: whether a token is active, and whose it is (RFC 7662).
//!
//! 1. The caller is an owner or a verifier; the registry says so in the same call that gives the record.
//! 2. `token` stands in a form body, once.
//! 3. What is no key of ours, by form, check or tag, is inactive: the registry is asked only about the caller.
//! 4. The gate's own checks of the record decide. Why a token is inactive is not said.
//! 5. Active: scope, client_id, sub, exp, iat, iss, token_type, env.

use serde::Serialize;

use keyward_config::Config;
use keyward_gate::SubmittedKey;
use keyward_http::head::Head;
use keyward_http::reply::Reply;
use keyward_key::id::{Class, Environment};
use keyward_key::time::Millis;
use keyward_protocol::{Inspected, Raw};

/// RFC 7662, section 2.2. Times are in whole seconds since 1970.
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    sub: &'a str,
    exp: i64,
    iat: i64,
    iss: String,
    token_type: &'static str,
    env: Environment,
}

#[derive(Serialize)]
struct Inactive {
    active: bool,
}

/// The one answer for everything that is not active: not ours, unknown, of a member, revoked, expired, elsewhere.
pub(super) fn inactive(request_id: &str) -> Reply {
    Reply::json(200, &Inactive { active: false }, request_id)
}

/// What is told of an active key; `None` while it is not.
pub(super) fn answer(
    config: &Config,
    head: &Head<'_>,
    handed: &SubmittedKey,
    at: Millis,
    found: Option<&Inspected<Raw>>,
    request_id: &str,
) -> Option<Reply> {
    let Inspected { record, created_at, .. } = found?;
    handed.check_alive(Some(record), at).ok()?;
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let Class::Data(env) = record.id.class() else { return None };
    let active = Active {
        active: true,
        scope: scopes.join(" "),
        client_id: &record.integration,
        sub: record.id.as_str(),
        exp: seconds(record.expires_at),
        iat: seconds(*created_at),
        iss: config.issuer(head).into_owned(),
        token_type: "Bearer",
        env,
    };
    Some(Reply::json(200, &active, request_id))
}

const fn seconds(instant: Millis) -> i64 {
    instant.0.div_euclid(1000)
}
