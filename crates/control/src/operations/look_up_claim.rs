//! `POST /_keyward/v1/claims/{id}/lookup`: shows whoever holds a claim's secret what they would claim. Uses nothing up.

use serde::{Deserialize, Serialize};

use super::claim_key::held;
use crate::body::Fields;
use crate::claimant::{SubmittedClaim, view_for_claimant};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::{Caller, Raw, Rejection};
use keyward_registry::claims::{self, ClaimState};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;
use keyward_registry::{keys, members};

/// The request.
#[derive(Default, Serialize, Deserialize)]
pub struct LookUpClaim {
    #[serde(skip)]
    claim: SubmittedClaim,
}

/// The claim.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View, with the key's.
    pub claim_shown: Raw,
}

/// A claim and its key, as whoever holds the link sees them.
#[derive(Serialize)]
struct Shown {
    claim: ClaimView,
    key: Raw,
}

#[derive(Serialize)]
struct ClaimView {
    id: KeyId,
    status: &'static str,
    issued_by: String,
    expires_at: String,
    claimed_at: Option<String>,
}

impl ControlOperation for LookUpClaim {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/claims/{id}/lookup",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Claimant,
        writes: false,
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
        let claim = claims::find(store, id)?.ok_or(Rejection::NotFound)?;
        if !claim.is_open(by.now) && claim.state != ClaimState::Claimed {
            return Err(Rejection::NotFound.into());
        }
        let row = keys::find(store, id)?.ok_or(Rejection::NotFound)?;
        let issuer = match KeyId::parse(&claim.created_by) {
            Some(member) => members::find(store, &member)?.map(|member| member.name),
            None => None,
        };
        let shown = Shown {
            claim: ClaimView {
                id: id.clone(),
                status: claim.state.as_str(),
                issued_by: issuer.unwrap_or(claim.created_by),
                expires_at: claim.expires_at.rfc3339(),
                claimed_at: claim.ended_at.map(Millis::rfc3339),
            },
            key: view_for_claimant(keys::view(&row, by.now)?)?,
        };
        Ok(Outcome { claim_shown: raw(&shown)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.claim_shown))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "lookUpClaim",
  "tags": ["Claims"],
  "summary": "Shows what a claim would mint, without using it",
  "description": "Whoever has the link. Unknown claims, wrong secrets, and claims that were withdrawn or ended get the same 404.",
  "security": [],
  "parameters": [{"$ref": "#/components/parameters/ClaimId"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClaimSecret"}}}
  },
  "responses": {
    "200": {
      "description": "The claim and its key",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClaimShown"}}}
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
