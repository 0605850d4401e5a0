//! `GET /_keyward/health`: reports whether this worker runs and is configured.

use serde::Serialize;

use keyward_http::problem::Problem;
use keyward_http::reply::Reply;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// Returns 200, or 503 while the configuration is invalid.
#[must_use]
pub fn health(configured: bool, request_id: &str) -> Reply {
    if configured {
        Reply::json(200, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") }, request_id)
    } else {
        Reply::problem(&Problem::unhealthy(), request_id)
    }
}

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API: &str = r##"{
  "operationId": "health",
  "tags": ["Documents"],
  "summary": "Checks whether the gate runs and is configured",
  "security": [],
  "responses": {
    "200": {
      "description": "The gate runs and is configured",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
    },
    "503": {
      "description": "The configuration is invalid; the log lists the problems",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "misconfigured"
                ]
              }
            }
          }
        }
      }
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
