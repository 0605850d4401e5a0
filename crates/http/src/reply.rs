//! Response that Keyward itself creates.

use serde::Serialize;

use super::problem::{Code, Problem};

/// A complete response, not yet sent.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header lines, with names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Creates a JSON response that must not be stored.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize, request_id: &str) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::with(status, "application/json", "no-store", body, request_id),
            Err(_) => Self::problem(&Code::InternalError.into(), request_id),
        }
    }

    /// Creates an error response (RFC 9457).
    #[must_use]
    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        let body = problem.body(request_id);
        let mut reply = Self::with(problem.status(), "application/problem+json", "no-store", body, request_id);
        reply.headers.extend_from_slice(problem.headers());
        reply
    }

    /// Creates an HTML page that any cache may store for five minutes. Its content security policy allows inline styles only.
    #[must_use]
    pub fn page(body: String, request_id: &str) -> Self {
        let mut reply = Self::with(200, "text/html; charset=utf-8", "public, max-age=300", body, request_id);
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        reply.headers.push(("content-security-policy", policy.to_owned()));
        reply
    }

    /// Creates a public JSON document with its own content type, which any cache may store for five minutes.
    #[must_use]
    pub fn published(content_type: &str, body: &impl Serialize, request_id: &str) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::with(200, content_type, "public, max-age=300", body, request_id),
            Err(_) => Self::problem(&Code::InternalError.into(), request_id),
        }
    }

    /// Creates a 200 without a body, which must not be stored.
    #[must_use]
    pub fn empty(request_id: &str) -> Self {
        let mut reply = Self::with(200, "", "no-store", String::new(), request_id);
        reply.headers.retain(|(name, _)| *name != "content-type");
        reply
    }

    /// Creates a 204, which must not be stored.
    #[must_use]
    pub fn no_content(request_id: &str) -> Self {
        Self { status: 204, ..Self::empty(request_id) }
    }

    /// Creates the head of a response with a file of the console, which no page of another origin may embed, open or read. The caller
    /// adds the headers that depend on the file.
    #[must_use]
    pub fn console(request_id: &str, status: u16) -> Self {
        let headers = vec![
            ("keyward-request-id", request_id.to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            ("cross-origin-opener-policy", "same-origin".to_owned()),
            ("cross-origin-resource-policy", "same-origin".to_owned()),
            ("referrer-policy", "no-referrer".to_owned()),
            ("x-robots-tag", "noindex".to_owned()),
        ];
        Self { status, headers, body: String::new() }
    }

    /// Creates a plain-text response that must not be stored.
    #[must_use]
    pub fn text(body: String, request_id: &str) -> Self {
        Self::with(200, "text/plain; charset=utf-8", "no-store", body, request_id)
    }

    /// Creates a text response of some content type that must not be stored.
    #[must_use]
    pub fn table(content_type: &str, body: String, request_id: &str) -> Self {
        Self::with(200, content_type, "no-store", body, request_id)
    }

    /// Creates the head of a response with a streamed body: JSON, one object per line.
    #[must_use]
    pub fn lines(request_id: &str) -> Self {
        Self::with(200, "application/x-ndjson", "no-store", String::new(), request_id)
    }

    /// Creates the head of a JSON document whose body the caller adds. Caches may store it as long as [`Self::published`].
    #[must_use]
    pub fn document_head(request_id: &str) -> Self {
        Self::with(200, "application/json", "public, max-age=300", String::new(), request_id)
    }

    /// Adds `Strict-Transport-Security` to the reply to a request that came over HTTPS (RFC 6797, section 7.1). For one year browsers then
    /// send nothing to this host over plain HTTP.
    #[must_use]
    pub fn over(mut self, https: bool) -> Self {
        if https {
            self.headers.push(("strict-transport-security", "max-age=31536000".to_owned()));
        }
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reply_over_https_asks_for_https_from_then_on() {
        let hsts = |https| {
            let reply = Reply::problem(&Code::NoRoute.into(), "r").over(https);
            reply.headers.into_iter().find(|(name, _)| *name == "strict-transport-security").map(|(_, value)| value)
        };
        assert_eq!(hsts(true).as_deref(), Some("max-age=31536000"));
        assert_eq!(hsts(false), None, "RFC 6797, section 7.2");
    }
}
