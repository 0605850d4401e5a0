//! Callers who hold a claim's secret. They are no members: the secret in the body authenticates them, for one claim.

use super::body::{Fields, Json, invalid};
use super::operation::{Input, raw};
use keyward_http::problem::{Code, Problem};
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_protocol::{Caller, KeyView, Raw};
use keyward_registry::store::StoreError;

/// Returns the view of a key for whoever holds its claim's secret. It does not tell where the key is used from, nor why it
/// was revoked, which may be the note of an incident: a link may have been read by others than the key's user, and works for days.
pub(super) fn view_for_claimant(key: KeyView) -> Result<Raw, StoreError> {
    raw(&KeyView { last_used_from: None, revoke_reason: None, ..key })
}

/// A claim as presented. Holds no secret, only its hash.
#[derive(Default)]
pub struct SubmittedClaim {
    /// `None` if the id is malformed or the secret's tag is wrong.
    recognised: Option<(KeyId, KeyHash)>,
}

impl SubmittedClaim {
    /// Takes the secret from the fields of a body, and checks its tag for the claim in the path. Reads nothing from any store.
    ///
    /// # Errors
    /// `invalid_request` if there is no secret, or it is no text. A wrong secret is no error here: its answer is that of an unknown claim.
    pub(super) fn parse(input: &Input<'_>, fields: &mut Fields) -> Result<Self, Problem> {
        let Json::Text(secret) = fields.require("secret")? else {
            return Err(invalid("secret", "This must be a string: the part of the link after the full stop."));
        };
        let id = KeyId::parse(input.id);
        let hash = id.as_ref().and_then(|id| input.config.keyring.recognise_claim(id, &secret));
        Ok(Self { recognised: id.zip(hash) })
    }

    /// Returns the caller; `None` if the secret is wrong for the claim in the path.
    #[must_use]
    pub fn caller(&self) -> Option<Caller> {
        let (id, secret_hash) = self.recognised.clone()?;
        Some(Caller::Claimant { id, secret_hash })
    }

    /// Returns the claim's id.
    ///
    /// # Errors
    /// `not_found` if the secret is wrong, as for a claim that does not exist.
    pub(super) fn id(&self) -> Result<&KeyId, Problem> {
        self.recognised.as_ref().map(|(id, _)| id).ok_or_else(|| Code::NotFound.into())
    }
}
