//! Checks of a key that was submitted in a body: for introspection, for other workers, and for revocation by the holder. The checks
//! are the gate's own; only the sources of the key, the request and the record differ.

use super::{Reason, Refusal, check_alive, find_route, recognise_text, refuse_key_in_url};
use keyward_config::Config;
use keyward_http::address::parse_address;
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_http::route::Access;
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, KeyId};
use keyward_key::keyring::Recognised;
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;

/// Detail for an unknown client address. The code's default detail would suggest another network, which would not help.
const UNKNOWN_ADDRESS: &str =
    "This API key may be used from certain networks only, and the client's address is not known here.";

/// A submitted data key with a valid form, check digits and tag. Whether it is active is not known yet.
pub struct SubmittedKey {
    id: KeyId,
    recognised: Recognised,
}

impl SubmittedKey {
    /// Parses a text and verifies its form, check digits and tag. Reads no store.
    ///
    /// # Errors
    /// `invalid_key`, also for a member's credential.
    pub fn recognise(config: &Config, text: &str) -> Result<Self, Refusal> {
        let (presented, recognised) = recognise_text(config, text)?;
        match (presented.class(), KeyId::parse(presented.id())) {
            (Class::Data(_), Some(id)) => Ok(Self { id, recognised }),
            _ => Err(Refusal::invalid_key(Reason::MemberCredential)),
        }
    }

    /// Returns the id of the key.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the hash of the key, for the registry to compare.
    #[must_use]
    pub const fn hash(&self) -> &KeyHash {
        self.recognised.hash()
    }

    /// Checks that `record`, the authority's answer for this id, has this key's hash, and that the key is neither revoked nor expired
    /// nor quarantined at `now`.
    ///
    /// # Errors
    /// `invalid_key` (no record, or the record of another key), `revoked_key`, `expired_key`, `quarantined_key`.
    pub fn check_alive(&self, record: Option<&Record>, now: Millis) -> Result<(), Refusal> {
        let record = record.filter(|record| record.id == self.id);
        let record = record.ok_or_else(|| Refusal::invalid_key(Reason::UnknownId).about(self.id.clone()))?;
        check_alive(record, &self.recognised, now).map_err(|refusal| refusal.about(self.id.clone()))
    }
}

/// Returns the scope that the route table requires for a request. `None` on a public route, which needs no key.
///
/// # Errors
/// `key_in_url`, `no_route`, `method_not_allowed`, as the gate would refuse that request.
pub fn scope_asked<'c>(config: &'c Config, head: &Head<'_>) -> Result<Option<&'c Scope>, Refusal> {
    refuse_key_in_url(config, head)?;
    Ok(match &find_route(config, head)?.access {
        Access::Scope(scope) => Some(scope),
        Access::Public => None,
    })
}

/// Checks that a key has all of these scopes and may be used from `address`. A key that is limited to networks may not be used from
/// an unknown address.
///
/// # Errors
/// `address_not_allowed`, `insufficient_scope`.
pub fn check_rights<'a>(
    record: &Record,
    scopes: impl IntoIterator<Item = &'a Scope>,
    address: Option<&str>,
) -> Result<(), Refusal> {
    if !record.allowed_cidrs.is_empty() {
        let address = address.and_then(parse_address);
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return Err(Refusal::with(Problem::detailed(Code::AddressNotAllowed, UNKNOWN_ADDRESS), Reason::NoAddress));
        };
        if !record.allowed_cidrs.iter().any(|network| network.contains(&address)) {
            return Err(Refusal::new(Code::AddressNotAllowed, Reason::Address));
        }
    }
    match scopes.into_iter().find(|scope| !record.scopes.contains(scope)) {
        Some(missing) => Err(Refusal::with(Problem::insufficient_scope(missing.as_str()), Reason::Scope)),
        None => Ok(()),
    }
}
