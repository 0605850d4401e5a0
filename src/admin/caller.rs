//! Who signs in to the control plane, as far as the edge can tell. Whether they are a member is the registry's to say.

use crate::config::Config;
use crate::http::credential::bearer;
use crate::http::head::Head;
use crate::http::problem::Code;
use crate::key::format::Presented;
use crate::key::id::{Class, KeyId};
use crate::registry::command::{Caller, Operation};

/// Reads `Authorization: Bearer`, the only way to sign in. What has not the form and tag of a member's credential is refused
/// here and costs no call.
///
/// # Errors
/// `missing_key` or `invalid_key`.
pub fn sign_in(config: &Config, head: &Head<'_>, operation: Operation) -> Result<Caller, Code> {
    let value = head.authorization().ok_or(Code::MissingKey)?;
    let token = bearer(value).ok_or(Code::InvalidKey)?;
    if operation == Operation::Bootstrap {
        return if config.bootstrap_token.matches(token) { Ok(Caller::Bootstrap) } else { Err(Code::InvalidKey) };
    }
    let presented = Presented::parse(token, &config.prefix).map_err(|_| Code::InvalidKey)?;
    if presented.class() != Class::Member {
        return Err(Code::InvalidKey);
    }
    let recognised = config.keyring.recognise(&presented).ok_or(Code::InvalidKey)?;
    let id = KeyId::parse(presented.id()).ok_or(Code::InvalidKey)?;
    Ok(Caller::Credential { id, key_hash: recognised.hash().clone() })
}
