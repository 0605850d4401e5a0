//! Every error that a caller can see (RFC 9457), without internal details.
//!
//! A [`Code`] is the public description of a refusal: it fixes the title, and the default status and detail. All other findings
//! go to the log only. The advice on a code's page is in `crates/control/src/advice.json`.

use std::borrow::Cow;

use serde::Serialize;

/// Path prefix of the pages that explain the codes. A problem's `type` is this prefix followed by the code.
pub const PAGES: &str = "/_keyward/problems/";

/// Header with the expiry of a retiring key (RFC 3339).
pub const KEY_EXPIRES: &str = "keyward-key-expires";

/// Header of every answer that was decided while the authority was unreachable.
pub const AUTHORITY: &str = "keyward-authority";

/// Returns the value of [`AUTHORITY`] for state of the given age in milliseconds. The value is in seconds: `unreachable; age=12`.
#[must_use]
pub fn unreachable(age: i64) -> String {
    format!("unreachable; age={}", age / 1000)
}

macro_rules! codes {
    ($($name:ident $code:literal $status:literal $title:literal $detail:literal)*) => {
        /// The public codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, for the problem pages and the tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the identifier used in `code` and in the page's path.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// Returns the default HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// Returns the title.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// Returns the default detail, for problems without a more specific one.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail),* }
            }
        }
    };
}

codes! {
    MissingKey "missing_key" 401 "No API key"
        "This address needs an API key. Send it as `Authorization: Bearer <key>` or as `X-API-Key: <key>`."
    InvalidKey "invalid_key" 401 "Invalid API key"
        "This is not a valid API key here. Check that it was copied whole and belongs to this API."
    ExpiredKey "expired_key" 401 "Expired API key"
        "This API key is past its expiry. Ask for a new one."
    RevokedKey "revoked_key" 401 "Revoked API key"
        "This API key was revoked and will not work again. Ask for a new one."
    AmbiguousCredentials "ambiguous_credentials" 400 "More than one credential"
        "Send exactly one credential, once: either `Authorization: Bearer <key>` or `X-API-Key: <key>`."
    KeyInUrl "key_in_url" 400 "API key in the URL"
        "An API key stood in the URL, where logs and histories keep it. Treat it as leaked: have it revoked, and send the new one in a header."
    InsufficientScope "insufficient_scope" 403 "The key may not do this"
        "This API key lacks the scope that this address needs."
    AddressNotAllowed "address_not_allowed" 403 "Not from this address"
        "This API key may not be used from this client address."
    BrowserExposed "browser_exposed" 403 "Not from a browser"
        "An API key must not be used from a browser page, where anyone can read it. Call from a server."
    InsecureTransport "insecure_transport" 403 "Not over plain HTTP"
        "This address is served over HTTPS only. A key that was sent without it may have been read on the way."
    NoRoute "no_route" 404 "No such address"
        "No route of this API has this address."
    RateLimited "rate_limited" 429 "Too many requests"
        "More requests came than the limit allows. Retry after the time in `Retry-After`."
    AuthorityUnavailable "authority_unavailable" 503 "Keys can't be checked right now"
        "The authority over keys can't be reached, so nothing was judged. Retry after the time in `Retry-After`; before you retry a change, look whether it was made."
    NoOrigin "no_origin" 503 "No origin for this environment"
        "No origin is set for the environment of this API key."
    OriginUnreachable "origin_unreachable" 502 "The origin can't be reached"
        "The API behind this gate did not answer. Retry later."
    OriginTimeout "origin_timeout" 504 "The origin takes too long"
        "The API behind this gate did not answer in time. The key was accepted; what the request did there is not known."
    Misconfigured "misconfigured" 500 "This gate is misconfigured"
        "This gate's configuration is incomplete. Its operator finds every problem in the log."
    InternalError "internal_error" 500 "Internal error"
        "Something failed inside this gate. Its operator finds the cause in the log by the request id."
    BadPath "bad_path" 400 "Ambiguous path"
        "This path or query could be read in more than one way. Send it in its plain form."
    WrongHost "wrong_host" 421 "Wrong host"
        "The Host of this request is not one plain host name."
    MethodNotAllowed "method_not_allowed" 405 "Method not allowed"
        "This address does not take this method. `Allow` lists those it takes."
    TargetTooLong "target_too_long" 414 "URL too long"
        "Path and query may have 8,192 bytes together."
    HeadersTooLarge "headers_too_large" 431 "Headers too large"
        "A request may have 100 headers, 32,768 bytes of them, and 32 names in `Connection`."
    UnexpectedBody "unexpected_body" 400 "Unexpected body"
        "A GET or HEAD request can't have a body here. Send its content in the query, or use another method."
    BodyTooLarge "body_too_large" 413 "Body too large"
        "A control-plane body may have 65,536 bytes."
    UnsupportedMediaType "unsupported_media_type" 415 "JSON only"
        "Send the body as `Content-Type: application/json`."
    InvalidRequest "invalid_request" 400 "Invalid request"
        "The request's body or query is not as it should be."
    UnknownScope "unknown_scope" 400 "Unknown scope"
        "No route of this API uses this scope."
    Forbidden "forbidden" 403 "Not allowed"
        "Your role does not allow this."
    NotFound "not_found" 404 "Not found"
        "There is no such thing here."
    AlreadyBootstrapped "already_bootstrapped" 409 "There is an owner already"
        "The first owner was made before. Ask an owner to add you."
    IntegrationHasKey "integration_has_key" 409 "The integration has a key"
        "This integration already has an active key in this environment. Rotate that one."
    NameTaken "name_taken" 409 "The name is taken"
        "An active key of this environment has this name. Choose another."
    NotActive "not_active" 409 "The key is not active"
        "This key's state does not allow it. Revoked and expired keys stay as they are."
    EmailTaken "email_taken" 409 "The e-mail address is taken"
        "Another member has this e-mail address."
    LastOwner "last_owner" 409 "The last owner stays"
        "This would leave nobody who can manage members. Make another owner first."
    IdempotencyMismatch "idempotency_mismatch" 422 "Another request with this Idempotency-Key"
        "This `Idempotency-Key` came with another body within the last 10 minutes. Nothing was done."
    CrossSite "cross_site" 403 "Cross-site request"
        "The control plane takes no requests from pages of other sites."
}

/// An error to send to a caller.
#[derive(Debug)]
pub struct Problem {
    /// Public code.
    pub code: Code,
    status: u16,
    /// Detail that is more specific than the code's own. Not shown in a 5xx.
    detail: Option<String>,
    /// Invalid body field or parameter.
    field: Option<String>,
    /// Headers of this problem, with names in lower case.
    headers: Vec<(&'static str, String)>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let mut problem = Self { code, status: code.status(), detail: None, field: None, headers: Vec::new() };
        match code {
            Code::MissingKey => problem.header("www-authenticate", r#"Bearer realm="keyward""#.into()),
            _ if code.status() == 401 => {
                problem.header("www-authenticate", r#"Bearer realm="keyward", error="invalid_token""#.into());
            }
            Code::AuthorityUnavailable => problem.header("retry-after", "5".into()),
            _ => {}
        }
        problem
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: Cow<'a, str>,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    /// Creates a problem about an invalid field. `detail` states the valid form.
    #[must_use]
    pub fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::detailed(code, detail) }
    }

    /// Creates a problem with a more specific detail than the code's own.
    #[must_use]
    pub fn detailed(code: Code, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::from(code) }
    }

    /// Creates a 405 with the allowed methods in `Allow`.
    #[must_use]
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        let mut problem = Self::from(Code::MethodNotAllowed);
        problem.header("allow", allow.into());
        problem
    }

    /// Creates a 403 that names the scope required by the route (RFC 6750, section 3.1).
    #[must_use]
    pub fn insufficient_scope(scope: &str) -> Self {
        let mut problem = Self::from(Code::InsufficientScope);
        let challenge = format!(r#"Bearer realm="keyward", error="insufficient_scope", scope="{scope}""#);
        problem.header("www-authenticate", challenge);
        problem
    }

    /// Creates a 429 with the time to wait in whole seconds (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn rate_limited(detail: &'static str, seconds: i64) -> Self {
        let mut problem = Self::detailed(Code::RateLimited, detail);
        problem.header("retry-after", seconds.to_string());
        problem
    }

    /// Creates the health endpoint's answer for an invalid configuration. Only this endpoint answers 503, so that a monitor
    /// counts the gate as down.
    #[must_use]
    pub fn unhealthy() -> Self {
        Self { status: 503, ..Self::from(Code::Misconfigured) }
    }

    /// Returns the same refusal for a gateway that asks before it forwards. nginx turns every status except 2xx, 401 and 403 into
    /// 500, so 400, 404, 405, 414, 421 and 431 become 403. The body and `Keyward-Refusal` contain the code.
    #[must_use]
    pub fn for_gateway(mut self) -> Self {
        if matches!(self.status, 400 | 404 | 405 | 414 | 421 | 431) {
            self.status = 403;
        }
        self.header("keyward-refusal", self.code.as_str().to_owned());
        self
    }

    /// HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Adds a header with the expiry of the presented key.
    pub fn key_expires(&mut self, expires: &str) {
        self.header(KEY_EXPIRES, expires.to_owned());
    }

    /// Adds a header that marks the authority as unreachable, with the age in milliseconds of the state that was used.
    pub fn authority_unreachable(&mut self, age: i64) {
        self.header(AUTHORITY, unreachable(age));
    }

    fn header(&mut self, name: &'static str, value: String) {
        self.headers.push((name, value));
    }

    /// Returns the headers of this problem, with names in lower case, without the headers that every reply has.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// Returns the body. A 5xx body is constant except for the request id.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        let code = self.code;
        let detail = self.detail.as_deref().filter(|_| code.status() < 500);
        let body = Body {
            r#type: format!("{PAGES}{}", code.as_str()).into(),
            title: code.title(),
            status: self.status,
            detail: detail.unwrap_or(code.detail()),
            code: code.as_str(),
            request_id,
            field: self.field.as_deref(),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_5xx_body_is_constant_and_a_4xx_body_says_what_was_given() {
        for code in Code::ALL {
            let shown = Problem::detailed(*code, "a cause").body("r");
            assert_eq!(shown.contains("a cause"), code.status() < 500, "{}", code.as_str());
        }
    }
}
