//! A response that Keyward itself makes.

use serde::Serialize;

use super::problem::{Code, Problem};

/// A whole response, not yet sent.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A JSON answer that nobody may store.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize, request_id: &str) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::with(status, "application/json", "no-store", body, request_id),
            Err(_) => Self::problem(&Code::InternalError.into(), request_id),
        }
    }

    /// An error (RFC 9457).
    #[must_use]
    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        let body = problem.body(request_id);
        let mut reply = Self::with(problem.status(), "application/problem+json", "no-store", body, request_id);
        reply.headers.extend_from_slice(problem.headers());
        reply
    }

    /// A page that anyone may store for five minutes. It may load nothing and run nothing.
    #[must_use]
    pub fn page(body: String, request_id: &str) -> Self {
        let mut reply = Self::with(200, "text/html; charset=utf-8", "public, max-age=300", body, request_id);
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        reply.headers.push(("content-security-policy", policy.to_owned()));
        reply
    }

    /// JSON of another type that anyone may store for five minutes: what is published for everybody's programs.
    #[must_use]
    pub fn published(content_type: &str, body: &impl Serialize, request_id: &str) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::with(200, content_type, "public, max-age=300", body, request_id),
            Err(_) => Self::problem(&Code::InternalError.into(), request_id),
        }
    }

    /// 200 with headers alone, that nobody may store.
    #[must_use]
    pub fn empty(request_id: &str) -> Self {
        let mut reply = Self::with(200, "", "no-store", String::new(), request_id);
        reply.headers.retain(|(name, _)| *name != "content-type");
        reply
    }

    /// A plain text that nobody may store.
    #[must_use]
    pub fn text(body: String, request_id: &str) -> Self {
        Self::with(200, "text/plain; charset=utf-8", "no-store", body, request_id)
    }

    /// The head of an answer whose body is streamed: JSON, one object on each line.
    #[must_use]
    pub fn lines(request_id: &str) -> Self {
        Self::with(200, "application/x-ndjson", "no-store", String::new(), request_id)
    }

    /// The head of a JSON document that the caller adds; storable as [`Self::published`].
    #[must_use]
    pub fn document_head(request_id: &str) -> Self {
        Self::with(200, "application/json", "public, max-age=300", String::new(), request_id)
    }

    fn with(status: u16, content_type: &str, cache: &str, body: String, request_id: &str) -> Self {
        let headers = vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", cache.to_owned()),
            ("keyward-request-id", request_id.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        Self { status, headers, body }
    }
}
