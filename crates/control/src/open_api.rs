//! The OpenAPI document (`GET /_keyward/openapi.json`) and the table of roles, generated from the rows of the routes.
//!
//! A test compares both with the files in the repository; `KEYWARD_UPDATE=1 cargo test -p keyward-control generated` updates them.
//! The platform serves the document, so the wasm does not contain it.

use serde_json::{Map, Value, json};

use super::operation::{Access, BodyKind, ServedOn, Spec};
use super::operations::Operation;
use super::route::{Endpoint, Route, routes};
use super::{authorize, console, health, jwks, leaks, metadata, problem_page};
use keyward_http::problem::Code;
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

/// Returns the operation object of a route, as JSON text. It is no field of the routes: the router would bring all of these texts
/// into the wasm.
fn piece_of(route: &Route) -> &'static str {
    match route.endpoint {
        Endpoint::Health => health::OPEN_API,
        Endpoint::ProblemPage => problem_page::OPEN_API,
        Endpoint::OpenApi => OPEN_API,
        Endpoint::Metadata => metadata::OPEN_API,
        Endpoint::Jwks => jwks::OPEN_API,
        Endpoint::ClaimPage => console::CLAIM_PAGE_OPEN_API,
        Endpoint::Authorize if route.path.ends_with("*}") => authorize::OPEN_API_BY_PATH,
        Endpoint::Authorize => authorize::OPEN_API_BY_HEADERS,
        Endpoint::Leak(receiver) => leaks::open_api(receiver),
        Endpoint::Operation(operation) => operation.open_api(),
    }
}

/// Adds the responses that the row of an operation of members implies, unless the operation describes them itself.
fn add_responses(piece: &mut Map<String, Value>, spec: &Spec) {
    if !matches!(spec.access, Access::Roles(_) | Access::RolesOrScraper(_)) {
        return;
    }
    let names_one = spec.path.contains("{id}");
    let is_condition = |parameter: &Value| parameter["$ref"] == "#/components/parameters/IfMatch";
    let takes_condition =
        piece.get("parameters").and_then(Value::as_array).is_some_and(|list| list.iter().any(is_condition));
    let takes_json = matches!(spec.body, BodyKind::Json | BodyKind::OptionalJson);
    let implied = [
        (true, "401", "Unauthorized"),
        (true, "403", "Forbidden"),
        (names_one, "404", "NotFound"),
        (takes_condition, "412", "PreconditionFailed"),
        (takes_json, "413", "TooLarge"),
        (takes_json, "415", "UnsupportedMediaType"),
        (spec.idempotent, "422", "Mismatch"),
        (true, "503", "Unavailable"),
        (true, "default", "General"),
    ];
    let responses = piece.entry("responses").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(responses) = responses else { return };
    for (_, status, name) in implied.into_iter().filter(|(applies, ..)| *applies) {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        responses.entry(status).or_insert(reference);
    }
    responses.entry("400").or_insert_with(|| {
        let codes = [Code::InvalidRequest, Code::BadPath, Code::KeyInUrl, Code::UnexpectedBody].map(Code::as_str);
        json!({
            "description": "The body, query or path is invalid; `field` names the part: `invalid_request`",
            "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
            "content": {"application/problem+json": {"schema": {
                "$ref": "#/components/schemas/Problem",
                "properties": {"code": {"enum": codes}},
            }}},
        })
    });
}

/// Adds to an operation of members what holds for every one of them: a session signs in too, a write by session has its headers, and two
/// credentials are refused.
fn add_session(piece: &mut Map<String, Value>, operation: Operation) {
    let Some(Value::Array(security)) = piece.get_mut("security") else { return };
    let by_session = operation != Operation::StartSession;
    if !by_session || !security.iter().any(|scheme| scheme.get("access").is_some()) {
        return;
    }
    security.push(json!({"session": []}));
    let codes = piece
        .get_mut("responses")
        .and_then(|responses| {
            responses.pointer_mut("/400/content/application~1problem+json/schema/properties/code/enum")
        })
        .and_then(Value::as_array_mut);
    if let Some(codes) = codes {
        codes.push(Code::AmbiguousCredentials.as_str().into());
    }
    let mut headers = vec![json!({"$ref": "#/components/parameters/Console"})];
    if operation.takes_confirmation() {
        headers.push(json!({"$ref": "#/components/parameters/Confirm"}));
    }
    let parameters = piece.entry("parameters").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(parameters) = parameters {
        parameters.extend(headers);
    }
}

/// Generates the document from `base`, which has everything except the paths and the list of problem codes.
///
/// # Errors
/// The cause, with the route, if a piece is not a JSON object or `base` has no schema of problems.
pub fn document(base: &str) -> Result<Value, String> {
    let mut paths = Map::new();
    for route in routes() {
        let path = route.path.replace("*}", "}");
        let path = if path.starts_with('/') { path } else { format!("/_keyward/{path}") };
        // Forward auth treats every method alike, so the document describes one.
        let method = if route.method == "ANY" { "get".to_owned() } else { route.method.to_lowercase() };
        let mut piece: Map<String, Value> =
            serde_json::from_str(piece_of(&route)).map_err(|error| format!("{method} {path}: {error}"))?;
        if let Endpoint::Operation(operation) = route.endpoint {
            add_responses(&mut piece, operation.spec());
            add_session(&mut piece, operation);
        }
        let item = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(item) = item {
            item.insert(method, Value::Object(piece));
        }
    }
    let mut document: Map<String, Value> = serde_json::from_str(base).map_err(|error| error.to_string())?;
    document.insert("paths".to_owned(), Value::Object(paths));
    let mut document = Value::Object(document);
    let code = document
        .pointer_mut("/components/schemas/Problem/properties/code")
        .and_then(Value::as_object_mut)
        .ok_or("the schema Problem has no property code")?;
    code.insert("enum".to_owned(), Code::ALL.iter().map(|code| code.as_str()).collect());
    Ok(document)
}

/// Generates the table of endpoints and the hosts that serve them, in Markdown.
#[must_use]
pub fn hosts_table() -> String {
    let mut table = "| endpoint | hosts of the gate | `CONTROL_HOST` |\n|---|---|---|\n".to_owned();
    for route in routes() {
        let (method, any) = if route.method == "ANY" { ("", ", any method") } else { (route.method, "") };
        let below = if route.path.starts_with('/') { "" } else { "/_keyward/" };
        let path = route.path.replace("*}", "}");
        let (open, control) = match route.served_on {
            ServedOn::EveryHost => ("yes", "yes"),
            ServedOn::ControlHost => ("404", "yes"),
            ServedOn::Console => ("404", "yes, if it is set"),
        };
        let line = format!("{method} {below}{path}");
        table.push_str(&format!("| `{}`{any} | {open} | {control} |\n", line.trim_start()));
    }
    table
}

/// Generates the table of roles in Markdown.
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
