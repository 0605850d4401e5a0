//! The part of the control-plane sign-in that the isolate can check. The registry decides whether the caller is a member.

use super::operation::Access;
use keyward_config::{AccessSettings, Config};
use keyward_http::credential::bearer;
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::format::Presented;
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, KeyId};
use keyward_protocol::Caller;

/// Header that Cloudflare Access adds to the requests that it admits.
const ACCESS_HEADER: &str = "cf-access-jwt-assertion";

/// Credential that a request signs in with.
pub enum SignIn<'a> {
    /// A credential of ours with valid form and tag.
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
}

impl NotSignedIn {
    /// Returns the public code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing => Code::MissingKey,
            Self::Invalid | Self::DataKey(_) => Code::InvalidKey,
        }
    }
}

/// Reads `Authorization: Bearer`, or the JWT of Cloudflare Access if that is configured. A credential without a member's form and tag
/// is refused here, without a query to the registry.
///
/// If `Authorization` is present, it alone decides. Access adds its header to every request that it admits, including calls of scripts
/// and the bootstrap, so refusing a request with both would make every credential unusable behind Access. A valid JWT does not
/// compensate for an invalid credential.
///
/// # Errors
/// [`NotSignedIn`].
pub fn sign_in<'a>(config: &'a Config, head: &'a Head<'_>, access: Access) -> Result<SignIn<'a>, NotSignedIn> {
    let by_token = access == Access::BootstrapToken;
    let Some(value) = head.authorization() else {
        let settings = config.access.as_ref().filter(|_| !by_token);
        let token = head.header(ACCESS_HEADER).filter(|token| !token.is_empty());
        let (Some(settings), Some(token)) = (settings, token) else { return Err(NotSignedIn::Missing) };
        return Ok(SignIn::Access(token, settings));
    };
    let token = bearer(value).ok_or(NotSignedIn::Invalid)?;
    if by_token {
        let caller = config.bootstrap_token.matches(token).then_some(Caller::Bootstrap);
        return caller.map(SignIn::Caller).ok_or(NotSignedIn::Invalid);
    }
    match recognised(config, token) {
        Some((id, key_hash)) if id.class() == Class::Member => Ok(SignIn::Caller(Caller::Credential { id, key_hash })),
        Some((id, _)) => Err(NotSignedIn::DataKey(id)),
        None => Err(NotSignedIn::Invalid),
    }
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
