//! The OpenAPI document (`GET /_keyward/openapi.json`) and the table of roles, made from the rows of the routes.
//!
//! Tests write both into the repository and compare: `KEYWARD_UPDATE=1 cargo test -p keyward-control generated` updates them.
//! The document is served by the platform and is no part of the wasm.

use serde_json::{Map, Value};

use super::operation::{Access, ServedOn};
use super::operations::Operation;
use super::route::routes;
use keyward_protocol::Role;

/// Operation object of this document.
pub(super) const OPEN_API: &str = r##"{
  "operationId": "openApi",
  "tags": ["Documents"],
  "summary": "This document",
  "security": [],
  "responses": {
    "200": {
      "description": "OpenAPI 3.1",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Cache-Control": {"$ref": "#/components/headers/FiveMinutes"}
      },
      "content": {
        "application/json": {
          "schema": {
            "type": "object",
            "required": [
              "openapi",
              "info",
              "paths",
              "components"
            ]
          }
        }
      }
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

/// Makes the document from `base`, which has everything but the paths.
///
/// # Errors
/// The cause, with the route, if a piece is no JSON object.
pub fn document(base: &str) -> Result<Value, String> {
    let mut paths = Map::new();
    for route in routes() {
        let path = route.path.replace("*}", "}");
        let path = if path.starts_with('/') { path } else { format!("/_keyward/{path}") };
        // Every method means the same to forward auth, so the document has one.
        let method = if route.method == "ANY" { "get".to_owned() } else { route.method.to_lowercase() };
        let piece: Map<String, Value> =
            serde_json::from_str(route.open_api).map_err(|error| format!("{method} {path}: {error}"))?;
        let item = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(item) = item {
            item.insert(method, Value::Object(piece));
        }
    }
    let mut document: Map<String, Value> = serde_json::from_str(base).map_err(|error| error.to_string())?;
    document.insert("paths".to_owned(), Value::Object(paths));
    Ok(Value::Object(document))
}

/// Makes the table of endpoints and the hosts that serve them, in Markdown.
#[must_use]
pub fn hosts_table() -> String {
    let mut table = "| endpoint | hosts of the gate | `CONTROL_HOST` |\n|---|---|---|\n".to_owned();
    for route in routes() {
        let (method, any) = if route.method == "ANY" { ("", ", any method") } else { (route.method, "") };
        let below = if route.path.starts_with('/') { "" } else { "/_keyward/" };
        let path = route.path.replace("*}", "}");
        let open = if route.served_on == ServedOn::EveryHost { "yes" } else { "404" };
        let line = format!("{method} {below}{path}");
        table.push_str(&format!("| `{}`{any} | {open} | yes |\n", line.trim_start()));
    }
    table
}

/// Makes the table of roles in Markdown.
#[must_use]
pub fn roles_table() -> String {
    let names: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let mut table = format!("| operation | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for operation in Operation::ALL {
        let access: Access = operation.spec().access;
        let cells: Vec<&str> = Role::ALL.iter().map(|role| if access.admits(*role) { "yes" } else { "–" }).collect();
        table.push_str(&format!("| `{}` | {} |\n", operation.route(), cells.join(" | ")));
    }
    table
}
