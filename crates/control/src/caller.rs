//! Who signs in to the control plane, as far as the edge can tell. Whether they are a member is the registry's to say.

use super::access::{Assertion, BadAssertion};
use keyward_config::Config;
use keyward_http::credential::bearer;
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::format::Presented;
use keyward_key::id::{Class, KeyId};
use keyward_protocol::{Caller, Operation};

/// The header that Cloudflare Access adds to what it lets through.
const ACCESS_HEADER: &str = "cf-access-jwt-assertion";

/// How somebody signs in.
pub enum SignIn {
    /// With a credential of ours: form and tag are right.
    Caller(Caller),
    /// Through Cloudflare Access: the signature is yet to be verified.
    Access(Assertion),
}

/// Why nobody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// There was no credential: 401 `missing_key`.
    Missing,
    /// It is none of ours: 401 `invalid_key`.
    Invalid,
    /// The JWT is not in order: 401 `invalid_key`.
    Access(BadAssertion),
}

impl NotSignedIn {
    /// What the caller learns.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Missing => Code::MissingKey,
            Self::Invalid | Self::Access(_) => Code::InvalidKey,
        }
    }
}

/// Reads `Authorization: Bearer`, or the JWT of Cloudflare Access where that is set up. What has not the form and tag of a
/// member's credential is refused here and costs no call.
///
/// `Authorization` decides alone where it is there. Access adds its header to whatever passes it, a script's calls and the
/// bootstrap too, so to take both for a contradiction would lock every credential out behind Access. And a bad credential
/// is not made good by a JWT beside it.
///
/// # Errors
/// [`NotSignedIn`].
pub fn sign_in(config: &Config, head: &Head<'_>, operation: Operation) -> Result<SignIn, NotSignedIn> {
    let Some(value) = head.authorization() else {
        let settings = config.access.as_ref().filter(|_| operation != Operation::Bootstrap);
        let (Some(settings), Some(token)) = (settings, head.header(ACCESS_HEADER).filter(|token| !token.is_empty()))
        else {
            return Err(NotSignedIn::Missing);
        };
        return Assertion::parse(token, settings, head.now()).map(SignIn::Access).map_err(NotSignedIn::Access);
    };
    with_credential(config, value, operation).map(SignIn::Caller).ok_or(NotSignedIn::Invalid)
}

fn with_credential(config: &Config, value: &str, operation: Operation) -> Option<Caller> {
    let token = bearer(value)?;
    if operation == Operation::Bootstrap {
        return config.bootstrap_token.matches(token).then_some(Caller::Bootstrap);
    }
    member(config, token)
}

/// Whose credential this says it is: `None` unless form, check and tag are those of a member's.
pub(super) fn member(config: &Config, text: &str) -> Option<Caller> {
    let presented = Presented::parse(text, &config.prefix).ok()?;
    if presented.class() != Class::Member {
        return None;
    }
    let recognised = config.keyring.recognise(&presented)?;
    let id = KeyId::parse(presented.id())?;
    Some(Caller::Credential { id, key_hash: recognised.hash().clone() })
}
