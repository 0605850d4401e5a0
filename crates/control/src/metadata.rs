//! `GET /.well-known/oauth-authorization-server/_keyward`: where introspection, revocation and keys are (RFC 8414).

use serde::Serialize;

use keyward_config::Config;
use keyward_http::head::Head;
use keyward_http::reply::Reply;

/// RFC 8414, section 2. There is no authorization and no token endpoint, since keys are issued to people by people. The two
/// lists that say so are empty and stand there all the same: the first is required, and without the second a default would
/// claim grants that don't exist (docs/decisions/0608-metadata-of-a-server-without-grants.md).
#[derive(Serialize)]
struct Metadata {
    issuer: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
    jwks_uri: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
}

/// The metadata. The addresses are on the host that was asked.
#[must_use]
pub fn metadata(config: &Config, head: &Head<'_>, request_id: &str) -> Reply {
    let at = |path: &str| format!("{}/_keyward/{path}", head.base());
    let metadata = Metadata {
        issuer: config.issuer(head).into_owned(),
        response_types_supported: [],
        grant_types_supported: [],
        jwks_uri: at("jwks.json"),
        introspection_endpoint: at("oauth/introspect"),
        // The second is an access token type: RFC 8414 takes both kinds of names here.
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "Bearer"],
        revocation_endpoint: at("oauth/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
    };
    Reply::published("application/json", &metadata, request_id)
}
