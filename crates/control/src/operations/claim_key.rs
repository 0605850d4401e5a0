//! `POST /_keyward/v1/claims/{id}`: whoever holds a claim's secret mints its key, which the answer shows once.
//!
//! No secret of the key exists before. The same nonce gets the same answer for ten minutes: the key is derived again, as for a retry with
//! an `Idempotency-Key`, and never stored.

use serde::{Deserialize, Serialize};

use super::rotate_key::shown_without_lists;
use crate::body::{Fields, Json, invalid};
use crate::changed::Changed;
use crate::claimant::{SubmittedClaim, view_for_claimant};
use crate::credential::Subject;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use keyward_http::limits::{CLAIM_NONCE_CHARS, CLAIM_NONCE_LEAST_CHARS};
use keyward_http::problem::Problem;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, KeyView, Raw, Rejection, Status};
use keyward_registry::audit::{AuditDetail, shown};
use keyward_registry::claims::{self, Claim, ClaimState};
use keyward_registry::context::{Actor, Context, OperationError};
use keyward_registry::keys::{self, Retirement};
use keyward_registry::meta;
use keyward_registry::store::Store;

/// The request.
#[derive(Default, Serialize, Deserialize)]
pub struct ClaimKey {
    #[serde(skip)]
    claim: SubmittedClaim,
    #[serde(skip)]
    nonce: String,
}

/// The claimed key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Keys and time.
    pub key_claimed: Claimed,
}

/// A claimed key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claimed {
    /// View.
    pub key: Raw,
    /// View of the key that it replaces, if that is retiring now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring: Option<Raw>,
    /// Time of the claim, at which the overlap and the bound start.
    pub changed_at: Millis,
}

impl ControlOperation for ClaimKey {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/claims/{id}",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Claimant,
        writes: true,
        idempotent: true,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut fields = Fields::parse(input.body, &["secret", "nonce"])?;
        let nonce = parse_nonce(fields.require("nonce")?)?;
        Ok(Self { claim: SubmittedClaim::parse(input, &mut fields)?, nonce })
    }

    fn subject(&self) -> Option<Subject> {
        self.claim.id().ok().map(|id| Subject::Existing(id.clone()))
    }

    fn claimant(&self) -> Option<Caller> {
        self.claim.caller()
    }

    fn nonce(&self) -> Option<&str> {
        Some(&self.nonce)
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let id = held(by)?;
        let claim = claims::find(store, id)?.ok_or(Rejection::NotFound)?;
        if claim.state == ClaimState::Claimed {
            return Err(Rejection::AlreadyClaimed.into());
        }
        let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
        let pending = keys::view(&row, by.now)?;
        if !claim.is_open(by.now) || pending.status != Status::Pending {
            return Err(Rejection::NotFound.into());
        }
        let revision = meta::next_revision(store)?;
        keys::activate(store, by.credential()?, revision)?;
        claims::end(store, id, ClaimState::Claimed, by.now)?;
        let retiring = retire_predecessor(store, by, &claim, &pending, revision)?;
        let key = keys::view(&keys::get_written(store, id)?, by.now)?;
        let mut detail: AuditDetail = vec![("key", shown(&key)?)];
        if let Some(retiring) = &retiring {
            detail.push(("retiring", shown_without_lists(retiring)?));
        }
        by.record(store, "key.claim", id, detail)?;
        let retiring = retiring.map(view_for_claimant).transpose()?;
        Ok(Outcome { key_claimed: Claimed { key: raw(&key)?, retiring, changed_at: by.now } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Claimed { key, retiring, changed_at } = outcome?.key_claimed;
        let body = Changed::new_key(&key, minted)?;
        Ok(match &retiring {
            Some(retiring) => input.created(&body.retiring(retiring).since(input.config, changed_at)),
            None => input.created(&body),
        })
    }
}

/// Retires the key that the claimed one replaces, as a rotation does. A predecessor that is neither active nor quarantined stays as it is.
fn retire_predecessor(
    store: &mut dyn Store,
    by: &Context<'_>,
    claim: &Claim,
    key: &KeyView,
    revision: u64,
) -> Result<Option<KeyView>, OperationError> {
    let (Some(old), Some(overlap_seconds)) = (&key.rotated_from, claim.overlap_seconds) else { return Ok(None) };
    let Some(row) = keys::find(store, old)? else { return Ok(None) };
    let status = keys::status(&row, by.now)?;
    if !matches!(status, Status::Active | Status::Quarantined) {
        return Ok(None);
    }
    let own_end = row.millis("expires_at")?;
    let retirement = Retirement { id: old, status, successor: &key.id, at: by.now, overlap_seconds, own_end, revision };
    keys::retire(store, &retirement)?;
    Ok(Some(keys::view(&keys::get_written(store, old)?, by.now)?))
}

/// Parses the nonce: the caller's own random text, which makes a repeated request the same request.
fn parse_nonce(value: Json) -> Result<String, Problem> {
    match value {
        Json::Text(nonce)
            if (CLAIM_NONCE_LEAST_CHARS..=CLAIM_NONCE_CHARS).contains(&nonce.len())
                && nonce.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(nonce)
        }
        _ => {
            let detail = format!(
                "This must be a string of {CLAIM_NONCE_LEAST_CHARS} to {CLAIM_NONCE_CHARS} visible ASCII characters."
            );
            Err(invalid("nonce", detail))
        }
    }
}

/// Returns the id of the claim that the caller holds.
///
/// # Errors
/// [`Rejection::Forbidden`] for any other caller.
pub(super) fn held<'a>(by: &'a Context<'_>) -> Result<&'a KeyId, OperationError> {
    match by.actor {
        Actor::Claimant(id) => Ok(id),
        _ => Err(Rejection::Forbidden.into()),
    }
}

const OPEN_API: &str = r##"{
  "operationId": "claimKey",
  "tags": ["Claims"],
  "summary": "Mints the key of a claim and shows it once",
  "description": "Whoever has the link. For 10 minutes the same `nonce` gets the same answer. If the key replaces another one, the overlap begins now. Unknown claims, wrong secrets, and claims that were withdrawn or ended get the same 404.",
  "security": [],
  "parameters": [{"$ref": "#/components/parameters/ClaimId"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClaimKey"}}}
  },
  "responses": {
    "201": {
      "description": "The key with its text, which only this response shows",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyClaimed"}}}
    },
    "400": {"$ref": "#/components/responses/ClaimInvalid"},
    "403": {"$ref": "#/components/responses/ClaimForbidden"},
    "404": {"$ref": "#/components/responses/NotFound"},
    "409": {"$ref": "#/components/responses/AlreadyClaimed"},
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "429": {"$ref": "#/components/responses/ClaimLimited"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_16_to_64_visible_characters() {
        for nonce in ["0123456789abcdef", &"~".repeat(64), "0e8c6f0a-5f0a-4b0c-9d0e-111111111111"] {
            assert_eq!(parse_nonce(Json::Text(nonce.to_owned())).ok().as_deref(), Some(nonce));
        }
        for nonce in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdé0", &"~".repeat(65)] {
            assert!(parse_nonce(Json::Text(nonce.to_owned())).is_err(), "{nonce}");
        }
        assert!(parse_nonce(Json::Number(7)).is_err());
    }
}
