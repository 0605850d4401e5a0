//! Every error that a caller can see (RFC 9457), without internal details.
//!
//! A [`Code`] is the public description of a refusal: its row defines status, title, default detail, and the advice on its page. More
//! specific findings go to the log only. The worker serves the advice from `crates/control/src/advice.json`, which is generated from
//! the rows, so that the wasm does not contain it.

use std::borrow::Cow;

use serde::Serialize;

use super::cookies::forget_session;

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
    ($($name:ident $code:literal $status:literal $title:literal $detail:literal $advice:literal)*) => {
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

            /// Returns the advice on the code's page. Only the generator of `advice.json` calls this.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),* }
            }
        }
    };
}

// A row: variant, code, status, title, default detail (the problem, then the fix), advice.
codes! {
    MissingKey "missing_key" 401 "No API key"
        "This request has no API key. Send one as `Authorization: Bearer <key>` or as `X-API-Key: <key>`."
        "Send your integration's key in one of these two headers. If your integration has no key, ask the team that runs this API to issue one."
    InvalidKey "invalid_key" 401 "Invalid API key"
        "This is not a valid key of this API. Check that you copied the whole key, and that this API issued it."
        "A key begins with its prefix and environment and contains no spaces. Check for missing or extra characters, and send the key as a Bearer token or in `X-API-Key`. If the text is exact, this API does not know the key: ask for a new one."
    ExpiredKey "expired_key" 401 "Expired API key"
        "This API key has expired. Ask its owner for a new one."
        "Keys have a limited lifetime. Ask the key's owner to issue a new key for this integration, and to rotate the new one before it expires."
    RevokedKey "revoked_key" 401 "Revoked API key"
        "This API key was revoked and will not work again. Ask its owner for a new one."
        "The key may have been revoked because it leaked. Ask its owner for the reason before you ask for a new key."
    QuarantinedKey "quarantined_key" 401 "Quarantined API key"
        "This API key was exposed and is quarantined. Ask its owner to release it, or for a new key."
        "A request with this key showed it to others, in a URL, from a browser page or over plain HTTP. Fix the client that sent it. An owner or responder can release the key within 72 hours; otherwise it is revoked."
    InvalidSignature "invalid_signature" 401 "Invalid signature"
        "The signature of this report is missing or wrong, or its key is unknown. Sign the exact body with a published key."
        "Only GitHub can send reports here. It signs the body with a key of the list at `LEAK_GITHUB_KEYS_URL`, and names the key and the signature in two headers."
    AmbiguousCredentials "ambiguous_credentials" 400 "More than one credential"
        "This request has more than one credential. Send exactly one: either `Authorization: Bearer <key>` or `X-API-Key: <key>`."
        "The request has two credentials, or one header twice. Remove all but one. A proxy or a client library may add a credential of its own."
    KeyInUrl "key_in_url" 400 "API key in the URL"
        "The URL contains an API key, and logs record URLs. Treat the key as leaked: have it revoked, and send the new one in a header."
        "Logs, browser histories and `Referer` headers record URLs. Have this key revoked and a new one issued, and send the new one in the `Authorization` or `X-API-Key` header."
    InsufficientScope "insufficient_scope" 403 "Missing scope"
        "This API key lacks the scope that this request needs. Ask its owner to add the scope."
        "The `WWW-Authenticate` header names the required scope. Ask the key's owner to add it, or use a key that has it."
    AddressNotAllowed "address_not_allowed" 403 "Client address not allowed"
        "This API key may not be used from this client address. Call from a network that the key allows."
        "The key is limited to certain networks. Call from one of them, or ask the key's owner to allow this network."
    BrowserExposed "browser_exposed" 403 "API key in a browser"
        "A browser page sent this request, and any visitor of a page can read its API key. Call this API from a server."
        "Move the call from the page to your server. If the page is public, treat the key as leaked and have it revoked."
    InsecureTransport "insecure_transport" 403 "HTTPS required"
        "This API requires HTTPS. Use an `https://` URL, and consider a key that was sent over plain HTTP as possibly intercepted."
        "Change the URL to `https://`. If the request crossed a network that you do not trust, have the key rotated."
    NoRoute "no_route" 404 "Unknown path"
        "No route of this API matches this path. Check the path and its letter case."
        "Check the path and its letter case. The operator of this API defines its routes in `ROUTES`."
    RateLimited "rate_limited" 429 "Too many requests"
        "There were more requests than the limit allows. Retry after the time in `Retry-After`."
        "Wait for the number of seconds in `Retry-After`, and spread your requests over time. `RateLimit-Policy` and `violated-policies` name the limit; `RateLimit` says what is left. If your integration regularly needs more, ask the owner of the key to raise its limits, and tell them the name of the limit and the number of requests that you need."
    AuthorityUnavailable "authority_unavailable" 503 "Key check unavailable"
        "The service that knows the state of API keys is unreachable, so this request was neither accepted nor refused. Retry after the time in `Retry-After`. Before you repeat a change, check whether it was made."
        "Retry after the number of seconds in `Retry-After`. This error says nothing about your key. A change on the control plane may have been made although its response was lost, so list the objects before you repeat it."
    NoOrigin "no_origin" 503 "No origin for this environment"
        "This API has no origin for the environment of this API key. Ask its operator to set one."
        "The operator sets the origin for test keys in `ORIGIN_TEST`. Use a live key only for production data."
    OriginUnreachable "origin_unreachable" 502 "Origin unreachable"
        "The server behind this API did not respond. Retry later."
        "The server is down or refuses connections. Retry with increasing delays."
    OriginTimeout "origin_timeout" 504 "Origin timeout"
        "The server behind this API did not respond in time. The request was forwarded, and its outcome is unknown."
        "The server is slow or stuck. Retry only requests that are safe to repeat, with increasing delays. The operator sets the timeout in `ORIGIN_TIMEOUT_SECONDS`."
    Misconfigured "misconfigured" 500 "Invalid configuration"
        "The configuration of this gate is invalid. Its operator finds every problem in the log."
        "If you operate this gate, read its log: it names each setting that is missing or invalid. Otherwise, inform the operator."
    InternalError "internal_error" 500 "Internal error"
        "The gate failed to process this request. Report the request id to its operator."
        "Retry later. If the error persists, report the request id to the operator, who finds the cause in the log."
    BadPath "bad_path" 400 "Ambiguous path"
        "The path or query can be read in more than one way. Send it in its plain form."
        "Remove dot segments, double slashes, backslashes, and unnecessary or invalid percent-escapes. Escape characters outside ASCII as UTF-8."
    WrongHost "wrong_host" 421 "Invalid host"
        "The `Host` of this request is not one plain host name. Send one host name."
        "Send one `Host` header with a host name and, if needed, a port."
    MisdirectedRequest "misdirected_request" 421 "Misdirected request"
        "This path is not served on this host. Send the request to the host that serves it."
        "Call the API on its own host, in the exact spelling. The operator sets the host of the control plane in `CONTROL_HOST` and, with `ORIGIN_LIVE = \"route\"`, the hosts of the API in `ROUTE_HOSTS`."
    MethodNotAllowed "method_not_allowed" 405 "Method not allowed"
        "This path does not support this method. Use a method that `Allow` lists."
        "Use one of the methods in the `Allow` header."
    TargetTooLong "target_too_long" 414 "URL too long"
        "Path and query have more than 8,192 bytes together. Shorten them, or send long input in the body."
        "Move long parameters from the query to the body of the request."
    HeadersTooLarge "headers_too_large" 431 "Headers too large"
        "The headers are too many or too large. Send at most 100 headers, 32,768 bytes of them, and 32 names in `Connection`."
        "Remove headers that your client does not need. Cookies and tracing headers often accumulate."
    UnexpectedBody "unexpected_body" 400 "Body not allowed"
        "A GET or HEAD request must not have a body here. Send its content in the query, or use another method."
        "RFC 9110 defines no meaning for a body in GET, and the gate does not forward one. Use the query, or a method that takes a body."
    InvalidBody "invalid_body" 400 "Invalid body"
        "The body of this request was malformed or broke off. Send the request again."
        "The framing of the body was wrong, or the connection broke before its end. The API behind the gate received an incomplete request, if any. Send a change again only if it is safe to repeat."
    BodyTooLarge "body_too_large" 413 "Body too large"
        "The body has more than 65,536 bytes, the maximum on the control plane. Send a smaller body."
        "No valid control-plane request is this large. Check the body that your client sends."
    UnsupportedMediaType "unsupported_media_type" 415 "JSON required"
        "The body is not JSON. Send JSON with `Content-Type: application/json`."
        "Set the `Content-Type` header to `application/json`."
    InvalidRequest "invalid_request" 400 "Invalid request"
        "The body or query of this request is invalid. Correct it and send it again."
        "`field` names the invalid field, and `detail` states the valid form."
    UnknownScope "unknown_scope" 400 "Unknown scope"
        "No route of this API uses this scope. Use a scope that a route requires."
        "`detail` lists the known scopes. To add one, let a route in `ROUTES` require it."
    Forbidden "forbidden" 403 "Not allowed"
        "Your role does not allow this operation. Ask an owner to do it."
        "Ask an owner to do it, or to give you a role that allows it."
    NotFound "not_found" 404 "Not found"
        "The object does not exist, or you may not see it. Check the id."
       "Check the id. Objects outside your environments are also reported as not found."
    AlreadyBootstrapped "already_bootstrapped" 409 "Already bootstrapped"
        "This deployment already has an owner. Ask an owner to add you as a member."
        "`BOOTSTRAP_TOKEN` creates an owner only while no owner without a limit is active. Sign in with an owner's credential."
    IntegrationHasKey "integration_has_key" 409 "Integration has an active key"
        "This integration already has an active key in this environment. Rotate that key instead."
        "An integration has at most one active key in each environment. Rotate the key named in `detail`, or revoke it first."
    NameTaken "name_taken" 409 "Name in use"
        "An active key of this environment already has this name. Choose another name."
        "The names of active keys are unique in an environment. Choose a name that distinguishes the two keys."
    NotActive "not_active" 409 "Key not active"
        "The state of this key does not allow the operation. Use an active key, or issue a new one."
        "Revoked and expired keys cannot be changed: issue a new key for the integration. A retiring key already has a successor: rotate the successor instead."
    NotQuarantined "not_quarantined" 409 "Key not quarantined"
        "This key is not quarantined, so it cannot be released. Read its status."
        "Only a quarantined key can be released, within 72 hours of its quarantine. A key that was revoked or has expired stays so: issue a new one."
    EmailTaken "email_taken" 409 "E-mail address in use"
        "Another member already has this e-mail address. Use another address."
        "Each e-mail address belongs to at most one member who is not revoked, because members can sign in by it. Use another address, or change or revoke the other member."
    LastOwner "last_owner" 409 "Last owner"
        "This change would leave no owner to manage the members. Make another member an owner first."
        "Make another member an owner without limits before you revoke, demote or limit this one."
    IdempotencyMismatch "idempotency_mismatch" 422 "Idempotency-Key reused"
        "This `Idempotency-Key` was used with another body within the last 10 minutes, so nothing was changed. Use a new value for a new request."
        "Use a new `Idempotency-Key` for each new write. Repeat a value only with exactly the same request."
    PreconditionFailed "precondition_failed" 412 "Changed since it was read"
        "This is not the version that `If-Match` names. Nothing was done. Read it again and decide anew."
        "Someone changed it between your read and your change. Read it again, look at what changed, and send the change with the new `ETag`."
    AlreadyClaimed "already_claimed" 409 "Already claimed"
        "This claim was used: its key was minted and shown. If that was not you, revoke the key."
        "A claim shows its key once. If you have the key, use it. If somebody else opened the link, revoke the key with the same link and ask its issuer for another."
    NotReviewed "not_reviewed" 409 "Not reviewed"
        "This incident was not reviewed yet. Review it, then close it."
        "Look at what the keys did, and send what you found to the incident's `review`."
    EndpointNotTested "endpoint_not_tested" 409 "Endpoint not tested"
        "No test of this endpoint has succeeded since its address was set. Test it, which enables it."
        "Send `POST …/endpoints/{id}/test`. The receiver must answer with a status from 200 to 299. That shows that it wants the events, and enables the endpoint."
    EndpointNotEnabled "endpoint_not_enabled" 409 "Endpoint not enabled"
        "This endpoint does not receive events now. Enable it first."
        "Events are sent to enabled endpoints only. Test or enable the endpoint, then send the events again. A test itself is never sent again: make another one."
    CrossSite "cross_site" 403 "Cross-site request"
        "The control plane refuses requests from pages of other sites. Call it from a script or from a page on its own host."
        "Call the control plane from a script or from a page on its own host."
    SessionEnded "session_ended" 401 "Session ended"
        "This session has ended, or it is none of this deployment. Sign in again."
        "A session ends after 15 minutes without a request, after 8 hours, at sign-out, and when the member is revoked or their credential replaced. Sign in with your credential again."
    ConfirmationRequired "confirmation_required" 403 "Confirmation required"
        "This operation needs more than a session. Send your own credential again in `Keyward-Confirm`."
        "Creating or rotating a member's credential, and giving a member another e-mail address, the role `owner` or more environments, needs the credential of whoever is signed in, so that an open browser window alone cannot do it. Send it in the header `Keyward-Confirm`. An incident of more than 20 keys needs it too, and its number of keys in `confirm`: without that the status is 409."
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
    field: Option<Box<str>>,
    /// Names of the limits that are reached (`violated-policies`).
    violated: Option<Box<Violated>>,
    /// Headers of this problem, with names in lower case.
    headers: Vec<(&'static str, String)>,
    /// Scheme and host of the page that explains the code. `None`: those of the caller's request.
    pages_at: Option<Box<str>>,
}

/// Names of limits. Behind one pointer, because every refusal has room for them and few have any.
#[derive(Debug, Serialize)]
struct Violated(Vec<String>);

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let mut problem = Self {
            code,
            status: code.status(),
            detail: None,
            field: None,
            violated: None,
            headers: Vec::new(),
            pages_at: None,
        };
        match code {
            Code::MissingKey => problem.header("www-authenticate", r#"Bearer realm="keyward""#.into()),
            _ if code.status() == 401 => {
                problem.header("www-authenticate", r#"Bearer realm="keyward", error="invalid_token""#.into());
            }
            Code::AuthorityUnavailable => problem.header("retry-after", "5".into()),
            _ => {}
        }
        if code == Code::SessionEnded {
            // The browser forgets the cookie, so that another kind of sign-in works again.
            problem.header("set-cookie", forget_session());
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
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated: Option<&'a Violated>,
}

impl Problem {
    /// Creates a problem about an invalid field. `detail` states the valid form.
    #[must_use]
    pub fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into().into_boxed_str()), ..Self::detailed(code, detail) }
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

    /// Creates a 429 for reached limits, with the headers that describe them.
    #[must_use]
    pub fn limit_reached(
        detail: String,
        seconds: i64,
        violated: Vec<String>,
        fields: Vec<(&'static str, String)>,
    ) -> Self {
        let violated = Some(Box::new(Violated(violated)));
        let mut problem = Self { violated, ..Self::detailed(Code::RateLimited, detail) };
        problem.header("retry-after", seconds.to_string());
        problem.headers.extend(fields);
        problem
    }

    /// Returns the names of the limits that are reached.
    pub fn limits_reached(&self) -> impl Iterator<Item = &str> {
        self.violated.iter().flat_map(|violated| violated.0.iter().map(String::as_str))
    }

    /// Creates a 409 for a change of many objects whose number was not confirmed. The credential of a session is confirmed with 403.
    #[must_use]
    pub fn count_not_confirmed(detail: String) -> Self {
        Self { status: 409, ..Self::detailed(Code::ConfirmationRequired, detail) }
    }

    /// Creates the health endpoint's answer for an invalid configuration. Only this endpoint answers 503, so that monitoring reports the
    /// gate as down.
    #[must_use]
    pub fn unhealthy() -> Self {
        Self { status: 503, ..Self::from(Code::Misconfigured) }
    }

    /// Converts the refusal for a gateway that uses forward auth. nginx turns every status except 2xx, 401 and 403 into 500, so 400, 404,
    /// 405, 414, 421, 429 and 431 become 403. The body and `Keyward-Refusal` contain the code.
    #[must_use]
    pub fn for_gateway(mut self) -> Self {
        if matches!(self.status, 400 | 404 | 405 | 414 | 421 | 429 | 431) {
            self.status = 403;
        }
        self.header("keyward-refusal", self.code.as_str().to_owned());
        self
    }

    /// Makes `type` an absolute URL at this scheme and host. Behind a gateway a relative path would lead to the API, which has no such page.
    #[must_use]
    pub fn with_pages_at(self, base: &str) -> Self {
        Self { pages_at: Some(base.into()), ..self }
    }

    /// Returns the HTTP status.
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
            r#type: format!("{}{PAGES}{}", self.pages_at.as_deref().unwrap_or_default(), code.as_str()).into(),
            title: code.title(),
            status: self.status,
            detail: detail.unwrap_or(code.detail()),
            code: code.as_str(),
            request_id,
            field: self.field.as_deref(),
            violated: self.violated.as_deref(),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_a_code_ends_with_a_full_stop() {
        for code in Code::ALL {
            for text in [code.detail(), code.advice()] {
                assert!(text.len() > 20 && text.ends_with('.'), "{}: {text}", code.as_str());
            }
        }
    }

    #[test]
    fn a_5xx_body_is_constant_and_a_4xx_body_has_the_given_detail() {
        for code in Code::ALL {
            let shown = Problem::detailed(*code, "a cause").body("r");
            assert_eq!(shown.contains("a cause"), code.status() < 500, "{}", code.as_str());
        }
    }
}
