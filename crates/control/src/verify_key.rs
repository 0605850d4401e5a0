//! `POST /_keyward/v1/verify`: whether a key is good, for a worker or server that took the request itself.
//!
//! The gate's own checks decide, in the gate's order; only where the key goes is not judged, since the asker has the request.

use std::net::IpAddr;

use serde::Serialize;

use super::body::{Fields, Json, invalid};
use keyward_config::Config;
use keyward_gate::{Refusal, SubmittedKey, check_rights, scope_asked};
use keyward_http::head::{BadHead, Head};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::{Inspected, Raw};

/// What is asked: a key of ours and what it shall be good for, or why it is none whatever the authority says.
pub struct VerifyRequest {
    judged: Result<(SubmittedKey, Vec<Scope>), Code>,
    ip: Option<String>,
}

#[derive(Serialize)]
struct Verdict<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl VerifyRequest {
    /// Parses `{"api_key", "method"?, "path"?, "scope"?, "ip"?}`.
    ///
    /// # Errors
    /// `invalid_request` with the field named: a field of another type, one of `method` and `path` without the other, a scope
    /// that has not its form, an `ip` that is no address.
    pub(super) fn parse(config: &Config, head: &Head<'_>, body: &[u8]) -> Result<Self, Problem> {
        super::refuse_query(head)?;
        let mut fields = Fields::parse(body, &["api_key", "method", "path", "scope", "ip"])?;
        let Json::Text(api_key) = fields.require("api_key")? else {
            return Err(invalid("api_key", "This must be a string."));
        };
        let [method, path, scope, ip] = ["method", "path", "scope", "ip"].map(|name| string(&mut fields, name));
        let (method, path, ip) = (method?, path?, ip?);
        let mut scopes = Vec::new();
        if let Some(text) = scope? {
            let known = "This must be a scope: 1 to 64 of a-z, 0-9, `:`, `.`, `_`, `-`, beginning with a letter.";
            scopes.push(Scope::parse(&text).ok_or_else(|| invalid("scope", known))?);
        }
        if ip.as_ref().is_some_and(|text| text.parse::<IpAddr>().is_err()) {
            return Err(invalid("ip", "This must be an IPv4 or IPv6 address."));
        }
        let asked = match (&method, &path) {
            (Some(method), Some(path)) => scope_of(config, head, method, path),
            (None, None) => Ok(None),
            (Some(_), None) => return Err(invalid("path", "This is required beside `method`.")),
            (None, Some(_)) => return Err(invalid("method", "This is required beside `path`.")),
        };
        let judged = asked.and_then(|asked| {
            scopes.extend(asked);
            Ok((SubmittedKey::recognise(config, &api_key).map_err(code)?, scopes))
        });
        Ok(Self { judged, ip })
    }

    /// The key, unless it is known already that the answer is no.
    pub(super) fn handed(&self) -> Option<&SubmittedKey> {
        self.judged.as_ref().ok().map(|(handed, _)| handed)
    }

    /// The answer. `found` is the authority's word at `at`; where it was asked only about the caller it is `None`.
    pub(super) fn answer(&self, at: Millis, found: Option<&Inspected<Raw>>, request_id: &str) -> Reply {
        let verdict = match self.decide(at, found) {
            Ok(key) => Verdict { valid: true, key: Some(key), code: None },
            Err(code) => Verdict { valid: false, key: None, code: Some(code.as_str()) },
        };
        Reply::json(200, &verdict, request_id)
    }

    fn decide<'f>(&self, at: Millis, found: Option<&'f Inspected<Raw>>) -> Result<&'f Raw, Code> {
        let (handed, scopes) = self.judged.as_ref().map_err(|code| *code)?;
        handed.check_alive(found.map(|found| &found.record), at).map_err(code)?;
        let found = found.ok_or(Code::InvalidKey)?;
        check_rights(&found.record, scopes, self.ip.as_deref()).map_err(code)?;
        Ok(&found.key)
    }
}

fn code(refusal: Refusal) -> Code {
    refusal.problem.code
}

/// A text that may be absent.
fn string(fields: &mut Fields, name: &str) -> Result<Option<String>, Problem> {
    match fields.take(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(name, "This must be a string.")),
    }
}

/// The scope that the route table asks of a request with this method and path, on the host that was asked.
fn scope_of(config: &Config, head: &Head<'_>, method: &str, path: &str) -> Result<Option<Scope>, Code> {
    // A head is lines: neither may bring one of its own.
    if method.contains(char::is_control) {
        return Err(Code::MethodNotAllowed);
    }
    if !path.starts_with('/') || path.contains(char::is_control) {
        return Err(Code::BadPath);
    }
    let text = format!("{}\n{method}\n{}{path}\n", head.now().0, head.base());
    let asked = Head::parse(&text).map_err(BadHead::code)?;
    scope_asked(config, &asked).map(Option::<&Scope>::cloned).map_err(code)
}
