//! `POST /_keyward/v1/claims/{id}/revoke`: whoever holds a claim's secret revokes its key, for example because somebody else claimed it.

use serde::{Deserialize, Serialize};

use super::claim_key::held;
use super::revoke_key::{Revoked, revoke};
use crate::body::Fields;
use crate::changed::Changed;
use crate::claimant::{SubmittedClaim, view_for_claimant};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use keyward_key::mint::Minted;
use keyward_protocol::Caller;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::store::Store;

/// Reason that the key's view and the log show.
const REASON: &str = "Revoked by whoever has the link of its claim";

/// The request.
#[derive(Default, Serialize, Deserialize)]
pub struct RevokeByClaimant {
    #[serde(skip)]
    claim: SubmittedClaim,
}

/// The revoked key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the revocation.
    pub key_revoked: Revoked,
}

impl ControlOperation for RevokeByClaimant {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/claims/{id}/revoke",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Claimant,
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut fields = Fields::parse(input.body, &["secret"])?;
        Ok(Self { claim: SubmittedClaim::parse(input, &mut fields)? })
    }

    fn claimant(&self) -> Option<Caller> {
        self.claim.caller()
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let id = held(by)?;
        let changed_at = revoke(store, by, id, REASON)?.key_revoked.changed_at;
        let key = view_for_claimant(keys::view(&keys::get_written(store, id)?, by.now)?)?;
        Ok(Outcome { key_revoked: Revoked { key, changed_at } })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Revoked { key, changed_at } = outcome?.key_revoked;
        Ok(input.ok(&Changed::key(&key).since(input.config, changed_at)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "revokeByClaimant",
  "tags": ["Claims"],
  "summary": "Revokes the key of a claim",
  "description": "Whoever has the link, before and after the claim was used. Idempotent until the claim would have ended.",
  "security": [],
  "parameters": [{"$ref": "#/components/parameters/ClaimId"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClaimSecret"}}}
  },
  "responses": {
    "200": {
      "description": "The revoked key, and the times by which the revocation takes effect",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/KeyChanged"}}}
    },
    "400": {"$ref": "#/components/responses/ClaimInvalid"},
    "403": {"$ref": "#/components/responses/ClaimForbidden"},
    "404": {"$ref": "#/components/responses/NotFound"},
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "429": {"$ref": "#/components/responses/ClaimLimited"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
