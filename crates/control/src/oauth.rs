//! What the two OAuth operations have in common: their form bodies, who asks, and their errors.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::caller;
use keyward_config::Config;
use keyward_http::credential::bearer;
use keyward_http::head::Head;
use keyward_http::problem::Problem;
use keyward_http::reply::Reply;
use keyward_protocol::Caller;

/// Why an OAuth operation was not done. What OAuth has a word for is said in its form (RFC 6749, section 5.2); the rest is a
/// problem as everywhere.
pub enum OAuthRefusal {
    /// 400 `invalid_request`, and what is wrong.
    Request(&'static str),
    /// 401 `invalid_client`.
    Client(Challenge),
    /// Anything else.
    Problem(Problem),
}

/// How the caller tried to authenticate: the answer's challenge is of the same scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Not at all, or by a scheme that isn't taken.
    Any,
    /// HTTP Basic (RFC 7617).
    Basic,
    /// A bearer token (RFC 6750).
    Bearer,
}

impl From<Problem> for OAuthRefusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl OAuthRefusal {
    /// The response.
    #[must_use]
    pub fn reply(&self, request_id: &str) -> Reply {
        match self {
            Self::Problem(problem) => Reply::problem(problem, request_id),
            Self::Request(detail) => {
                let body = Body { error: "invalid_request", error_description: detail };
                Reply::json(400, &body, request_id)
            }
            Self::Client(challenge) => {
                let detail = "Authenticate as an owner or a verifier, with the member's id and credential or with the credential alone.";
                let body = Body { error: "invalid_client", error_description: detail };
                let mut reply = Reply::json(401, &body, request_id);
                let value = match challenge {
                    Challenge::Any => r#"Basic realm="keyward", Bearer realm="keyward""#,
                    Challenge::Basic => r#"Basic realm="keyward""#,
                    Challenge::Bearer => r#"Bearer realm="keyward", error="invalid_token""#,
                };
                reply.headers.push(("www-authenticate", value.to_owned()));
                reply
            }
        }
    }
}

/// The member who asks, as far as form and tag tell: `Authorization: Bearer` with their credential, or HTTP Basic with their
/// id and credential, both form-encoded (RFC 6749, section 2.3.1).
///
/// # Errors
/// How they tried.
pub fn client(config: &Config, head: &Head<'_>) -> Result<(Caller, Challenge), Challenge> {
    let Some(value) = head.authorization() else { return Err(Challenge::Any) };
    if let Some(token) = bearer(value) {
        let caller = caller::member(config, token).ok_or(Challenge::Bearer)?;
        return Ok((caller, Challenge::Bearer));
    }
    let (scheme, encoded) = value.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Challenge::Any);
    }
    let caller = with_basic(config, encoded.trim_matches(' ')).ok_or(Challenge::Basic)?;
    Ok((caller, Challenge::Basic))
}

fn with_basic(config: &Config, encoded: &str) -> Option<Caller> {
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, credential) = pair.split_once(':')?;
    let (named, credential) = (form_decoded(id)?, form_decoded(credential)?);
    let caller = caller::member(config, &credential)?;
    // A credential names its member: an id that says otherwise contradicts it.
    let right = matches!(&caller, Caller::Credential { id, .. } if id.as_str() == named);
    right.then_some(caller)
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// The `token` of a form body (RFC 7662, section 2.1; RFC 7009, section 2.1). `token_type_hint` changes nothing, and
/// parameters that are not known are ignored, as RFC 6749 (section 3.2) asks; the known ones may stand once.
///
/// # Errors
/// [`OAuthRefusal::Request`].
pub fn token<'a>(head: &Head<'_>, body: &'a [u8]) -> Result<Cow<'a, str>, OAuthRefusal> {
    if head.target().query().is_some_and(|query| !query.is_empty()) {
        return Err(OAuthRefusal::Request("Parameters stand in the body, never in the URL."));
    }
    if !head.content_type().is_some_and(is_form) {
        return Err(OAuthRefusal::Request("Send the body as application/x-www-form-urlencoded."));
    }
    let mut token = None;
    let mut hinted = false;
    for (name, value) in form_urlencoded::parse(body) {
        let twice = match name.as_ref() {
            "token" => token.replace(value).is_some(),
            "token_type_hint" => std::mem::replace(&mut hinted, true),
            _ => false,
        };
        if twice {
            return Err(OAuthRefusal::Request("A parameter stands twice. Send each once."));
        }
    }
    // One without a value counts as not sent (RFC 6749, section 3.2).
    token.filter(|token| !token.is_empty()).ok_or(OAuthRefusal::Request("The parameter `token` is missing."))
}

fn is_form(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
