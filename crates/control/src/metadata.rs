//! `GET /.well-known/oauth-authorization-server/_keyward`: the addresses of introspection, revocation and keys (RFC 8414).

use serde::Serialize;

use keyward_config::Config;
use keyward_http::head::Head;
use keyward_http::reply::Reply;

/// Metadata (RFC 8414, section 2). There is no authorization or token endpoint, since members issue keys. The two empty lists state
/// this: the first is required, and without the second a default would announce grants that do not exist
/// (docs/decisions/0020-metadata-without-grants.md).
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

/// Returns the metadata, with addresses on the host of the request.
pub(super) fn metadata(config: &Config, head: &Head<'_>, request_id: &str) -> Reply {
    let at = |path: &str| format!("{}/_keyward/{path}", head.base());
    let metadata = Metadata {
        issuer: config.issuer(head).into_owned(),
        response_types_supported: [],
        grant_types_supported: [],
        jwks_uri: at("jwks.json"),
        introspection_endpoint: at("oauth/introspect"),
        // The second value is an access token type: RFC 8414 allows both kinds of names here.
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "Bearer"],
        revocation_endpoint: at("oauth/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
    };
    Reply::published("application/json", &metadata, request_id)
}

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API: &str = r##"{
  "operationId": "metadata",
  "tags": ["OAuth"],
  "summary": "Returns the addresses of introspection, revocation and keys (RFC 8414)",
  "security": [],
  "responses": {
    "200": {
      "description": "The metadata",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Cache-Control": {"$ref": "#/components/headers/FiveMinutes"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Metadata"}}}
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
