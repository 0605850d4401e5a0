//! OAuth: form bodies, client authentication and errors.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::sign_in;
use keyward_config::Config;
use keyward_http::credential::bearer;
use keyward_http::head::Head;
use keyward_http::media_type;
use keyward_http::reply::Reply;
use keyward_protocol::Caller;

/// An error in the form of OAuth (RFC 6749, section 5.2).
#[derive(Debug)]
pub enum OAuthError {
    /// 400 `invalid_request`, with its description.
    Request(&'static str),
    /// 401 `invalid_client`, with the challenge.
    Client(Challenge),
}

/// Scheme by which a client tried to authenticate. The challenge of the 401 uses the same scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// None, or one that is not supported.
    Any,
    /// HTTP Basic (RFC 7617).
    Basic,
    /// A bearer token (RFC 6750).
    Bearer,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl OAuthError {
    /// Returns the response.
    #[must_use]
    pub fn reply(&self, request_id: &str) -> Reply {
        match self {
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

/// Authenticates a client by form and tag: `Authorization: Bearer` with a member's credential, or HTTP Basic with the
/// member's id and credential, both form-encoded (RFC 6749, section 2.3.1).
///
/// # Errors
/// The scheme that the client tried.
pub fn client(config: &Config, head: &Head<'_>) -> Result<(Caller, Challenge), Challenge> {
    let Some(value) = head.authorization() else { return Err(Challenge::Any) };
    if let Some(token) = bearer(value) {
        let caller = sign_in::member(config, token).ok_or(Challenge::Bearer)?;
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
    let caller = sign_in::member(config, &credential)?;
    // A credential contains its member's id, so another id contradicts it.
    let right = matches!(&caller, Caller::Credential { id, .. } if id.as_str() == named);
    right.then_some(caller)
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// Returns the `token` of a form body (RFC 7662, section 2.1; RFC 7009, section 2.1). Ignores `token_type_hint` and unknown parameters,
/// as RFC 6749 (section 3.2) requires. Refuses a repeated known parameter.
///
/// # Errors
/// [`OAuthError::Request`].
pub fn token<'a>(head: &Head<'_>, body: &'a [u8]) -> Result<Cow<'a, str>, OAuthError> {
    if head.target().query().is_some_and(|query| !query.is_empty()) {
        return Err(OAuthError::Request("Parameters in the URL. Send them in the body."));
    }
    if !head.content_type().is_some_and(|value| media_type::is(value, "application/x-www-form-urlencoded")) {
        return Err(OAuthError::Request("Send the body as application/x-www-form-urlencoded."));
    }
    let mut token = None;
    let mut hinted = false;
    for (name, value) in form_urlencoded::parse(body) {
        let duplicate = match name.as_ref() {
            "token" => token.replace(value).is_some(),
            "token_type_hint" => std::mem::replace(&mut hinted, true),
            _ => false,
        };
        if duplicate {
            return Err(OAuthError::Request("Duplicate parameter. Send each once."));
        }
    }
    // A parameter without a value counts as absent (RFC 6749, section 3.2).
    token.filter(|token| !token.is_empty()).ok_or(OAuthError::Request("The parameter `token` is missing."))
}
