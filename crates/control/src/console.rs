//! The console's files, on `CONTROL_HOST`: an HTML page for the paths of the application, and assets whose names contain their hash.
//!
//! The build embeds a manifest of the files in the worker's script, and the platform stores their bytes (`ASSETS`). A build without a
//! console has an empty manifest: then every path is answered as an unknown one.

use serde::Deserialize;

use super::platform::ControlPlatform;
use super::serve::{ControlContext, ControlReply};
use keyward_edge::{Platform, RequestContext};
use keyward_gate::{Reason, Refusal, refuse_on_control_host};
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;

/// Content security policy of every file. Scripts, styles and requests come from this host alone, no script is inline, and no text
/// becomes HTML (Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Path of the page of the application.
const INDEX: &str = "/";

/// An entry of the manifest.
#[derive(Debug, Deserialize)]
struct ConsoleFile {
    /// Name in the platform's store.
    file: String,
    #[serde(rename = "type")]
    content_type: String,
    /// Whether the content at this path never changes.
    immutable: bool,
    /// Digest of the content.
    digest: String,
    bytes: u64,
}

/// A file to send, with the complete head of its response.
pub struct ConsoleReply {
    /// Name in the platform's store.
    pub file: String,
    /// Status and headers.
    pub head: Reply,
}

/// Serves a path that is not one of Keyward's own. The refusals of unknown paths are those of the gate.
pub(super) fn serve<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> ControlReply {
    let RequestContext { config, head, request_id, .. } = context.request;
    let path = head.target().path();
    let is_read = matches!(head.method(), "GET" | "HEAD");
    let problem = match find(context.event, path) {
        Some(_) if config.require_https && !head.https() => Code::InsecureTransport.into(),
        Some(file) if is_read => return send(file, 200, head, request_id),
        found => match (refuse_on_control_host(config, head), found) {
            (Refusal { reason: Reason::NoRoute, .. }, Some(_)) => Problem::method_not_allowed("GET, HEAD"),
            (refusal, _) => refusal.problem,
        },
    };
    // The application has a page for unknown paths. Other clients get the problem.
    let wants_page = problem.code == Code::NoRoute && is_read && accepts_html(head);
    match find(context.event, INDEX).filter(|_| wants_page && (head.https() || !config.require_https)) {
        Some(index) => send(index, 404, head, request_id),
        None => Reply::problem(&problem, request_id).into(),
    }
}

/// Serves one of Keyward's own paths that has a page of the console.
pub(super) fn serve_page<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> ControlReply {
    let RequestContext { config, head, request_id, .. } = context.request;
    let problem = match find(context.event, head.target().path()) {
        Some(_) if config.require_https && !head.https() => Code::InsecureTransport,
        Some(page) => return send(page, 200, head, request_id),
        None => Code::NoRoute,
    };
    Reply::problem(&problem.into(), request_id).into()
}

fn find(platform: &impl ControlPlatform, path: &str) -> Option<ConsoleFile> {
    serde_json::from_str(&platform.console_file(path)?).ok()
}

fn accepts_html(head: &Head<'_>) -> bool {
    head.header("accept").is_some_and(|value| value.split(',').any(|range| range.trim().starts_with("text/html")))
}

/// Returns the response with a file: its bytes for GET, its head for HEAD, 304 if the client has it.
fn send(file: ConsoleFile, status: u16, head: &Head<'_>, request_id: &str) -> ControlReply {
    let tag = format!("\"{}\"", file.digest);
    let cached = file.immutable && head.header("if-none-match").is_some_and(|value| names(value, &tag));
    let mut reply = Reply::console(request_id, if cached { 304 } else { status });
    if file.immutable {
        reply.headers.push(("cache-control", "public, max-age=31536000, immutable".to_owned()));
        reply.headers.push(("etag", tag));
    } else {
        reply.headers.push(("cache-control", "no-store".to_owned()));
    }
    if cached {
        return ControlReply::Reply(reply);
    }
    reply.headers.push(("content-type", file.content_type));
    reply.headers.push(("content-security-policy", POLICY.to_owned()));
    if head.method() == "HEAD" {
        reply.headers.push(("content-length", file.bytes.to_string()));
        return ControlReply::Reply(reply);
    }
    ControlReply::Console(ConsoleReply { file: file.file, head: reply })
}

/// Returns whether an `If-None-Match` names the tag (RFC 9110, section 13.1.2). Our tags have no comma and no quote inside.
fn names(value: &str, tag: &str) -> bool {
    value.split(',').map(str::trim).any(|named| named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag)
}

/// Operation object of the OpenAPI document.
pub(super) const CLAIM_PAGE_OPEN_API: &str = r##"{
  "operationId": "claimPage",
  "tags": ["Documents"],
  "summary": "The page on which a claim is opened",
  "description": "Static: whatever fetches it changes nothing. A build without a console has none: `no_route`.",
  "security": [],
  "responses": {
    "200": {
      "description": "The page",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"text/html; charset=utf-8": {"schema": {"type": "string"}}}
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
