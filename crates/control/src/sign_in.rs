//! The part of the control-plane sign-in that the isolate can check. The registry decides whether the caller is a member.

use super::operation::{Access, session_cookie};
use super::operations::Operation;
use super::transport::CONSOLE_HEADER;
use keyward_config::{AccessSettings, Config};
use keyward_http::cookies::SessionCookie;
use keyward_http::credential::bearer;
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::format::Presented;
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, KeyId};
use keyward_key::session::recognise_session;
use keyward_protocol::{Caller, Confirmation};

/// Header that Cloudflare Access adds to the requests that it admits.
const ACCESS_HEADER: &str = "cf-access-jwt-assertion";

/// Header with which a request of a session shows the member's credential again.
const CONFIRM_HEADER: &str = "keyward-confirm";

/// Credential that a request signs in with.
pub enum SignIn<'a> {
    /// A credential or session of ours with valid form and tag.
    Caller(Caller),
    /// Cloudflare Access: the unverified JWT, and the settings to verify it with.
    Access(&'a str, &'a AccessSettings),
}

/// Reason why a sign-in failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// The request has no credential: 401 `missing_key`.
    Missing,
    /// The credential is not one of ours: 401 `invalid_key`.
    Invalid,
    /// The credential is a data key of ours: 401 `invalid_key`. Its id goes to the log.
    DataKey(KeyId),
    /// The session cookie has no tag of ours: 401 `session_ended`.
    Session,
    /// The request has a credential and a session, or two sessions: 400 `ambiguous_credentials`.
    Ambiguous,
}

impl NotSignedIn {
    /// Returns the public code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing => Code::MissingKey,
            Self::Invalid | Self::DataKey(_) => Code::InvalidKey,
            Self::Session => Code::SessionEnded,
            Self::Ambiguous => Code::AmbiguousCredentials,
        }
    }
}

/// Reads `Authorization: Bearer`, the session cookie on `CONTROL_HOST`, or the JWT of Cloudflare Access if that is configured. A
/// credential or session without form and tag of ours is refused here, without a query to the registry.
///
/// If `Authorization` or a session is present, it alone decides, and both together are ambiguous. Access adds its header to every request
/// that it admits, including calls of scripts and the bootstrap, so refusing a request with both would make every credential unusable
/// behind Access. A valid JWT does not compensate for an invalid credential.
///
/// The bootstrap and the start of a session ignore a session: the browser may still have the cookie of an ended one, or of another local
/// deployment.
///
/// # Errors
/// [`NotSignedIn`].
pub fn sign_in<'a>(config: &'a Config, head: &'a Head<'_>, operation: Operation) -> Result<SignIn<'a>, NotSignedIn> {
    let by_token = operation.spec().access == Access::BootstrapToken;
    let by_session = !by_token && operation != Operation::StartSession;
    let cookie = if by_session { session_cookie(config, head) } else { SessionCookie::Absent };
    let Some(value) = head.authorization() else {
        match cookie {
            SessionCookie::Absent => {}
            SessionCookie::Several => return Err(NotSignedIn::Ambiguous),
            SessionCookie::One(text) => {
                let token_hash = recognise_session(&config.keyring, text).ok_or(NotSignedIn::Session)?;
                // A page that refreshes itself is no activity of a person.
                let background = head.header(CONSOLE_HEADER) == Some("background");
                return Ok(SignIn::Caller(Caller::Session { token_hash, background }));
            }
        }
        let settings = config.access.as_ref().filter(|_| !by_token);
        let token = head.header(ACCESS_HEADER).filter(|token| !token.is_empty());
        let (Some(settings), Some(token)) = (settings, token) else { return Err(NotSignedIn::Missing) };
        return Ok(SignIn::Access(token, settings));
    };
    if cookie != SessionCookie::Absent {
        return Err(NotSignedIn::Ambiguous);
    }
    let token = bearer(value).ok_or(NotSignedIn::Invalid)?;
    if by_token {
        let caller = config.bootstrap_token.matches(token).then_some(Caller::Bootstrap);
        return caller.map(SignIn::Caller).ok_or(NotSignedIn::Invalid);
    }
    let for_scrapers = matches!(operation.spec().access, Access::RolesOrScraper(_));
    if for_scrapers && config.metrics_token.as_ref().is_some_and(|expected| expected.matches(token)) {
        return Ok(SignIn::Caller(Caller::Scraper));
    }
    match recognised(config, token) {
        Some((id, key_hash)) if id.class() == Class::Member => Ok(SignIn::Caller(Caller::Credential { id, key_hash })),
        Some((id, _)) => Err(NotSignedIn::DataKey(id)),
        None => Err(NotSignedIn::Invalid),
    }
}

/// Reads the credential in `Keyward-Confirm`. `None` if there is none, or its form or tag is wrong.
pub(super) fn confirmation(config: &Config, head: &Head<'_>) -> Option<Confirmation> {
    let (id, key_hash) = recognised(config, head.header(CONFIRM_HEADER)?)?;
    Some(Confirmation { id, key_hash })
}

/// Parses a member's credential and verifies its form, check digits and tag.
pub(super) fn member(config: &Config, text: &str) -> Option<Caller> {
    let (id, key_hash) = recognised(config, text)?;
    (id.class() == Class::Member).then_some(Caller::Credential { id, key_hash })
}

/// Parses a credential of ours and verifies its form, check digits and tag.
fn recognised(config: &Config, text: &str) -> Option<(KeyId, KeyHash)> {
    let presented = Presented::parse(text, &config.prefix).ok()?;
    let recognised = config.keyring.recognise(&presented)?;
    Some((KeyId::parse(presented.id())?, recognised.hash().clone()))
}
