//! `POST /_keyward/v1/claims/{id}/withdraw`: a member withdraws an unused claim, which revokes its key.

use serde::{Deserialize, Serialize};

use super::list_claims::ClaimItem;
use crate::body::Fields;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_key_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::claims::{self, ClaimState};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::keys;
use keyward_registry::store::Store;

/// Reason that the key's view and the log show.
const REASON: &str = "Its claim was withdrawn";

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct WithdrawClaim {
    /// Id of the claim, which is its key's.
    pub id: KeyId,
}

/// The withdrawn claim.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View of the claim.
    pub claim_withdrawn: Raw,
}

/// Response body.
#[derive(Serialize)]
struct Body<'a> {
    claim: &'a Raw,
}

impl ControlOperation for WithdrawClaim {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/claims/{id}/withdraw",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Manager]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        Fields::none(input.body)?;
        Ok(Self { id })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_key_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let claim = claims::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        if claim.state == ClaimState::Claimed {
            return Err(Rejection::AlreadyClaimed.into());
        }
        // A claim that has ended is unchanged, and nothing is written.
        if claim.state == ClaimState::Open {
            claims::end(store, &self.id, ClaimState::Withdrawn, by.now)?;
            keys::mark_revoked(store, &self.id, by.actor_name(), REASON, by.now)?;
            by.record(store, "claim.withdraw", &self.id, vec![("reason", REASON.into())])?;
        }
        let claim = claims::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        let key = keys::view(&keys::get_written(store, &self.id)?, by.now)?;
        Ok(Outcome { claim_withdrawn: raw(&ClaimItem::new(claim, key, by.now))? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&Body { claim: &outcome?.claim_withdrawn }))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "withdrawClaim",
  "tags": ["Claims"],
  "summary": "Withdraws an unused claim, and revokes its key",
  "description": "Owner, manager. Idempotent: a claim that has ended stays as it is.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/ClaimId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "The claim",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClaimChanged"}}}
    },
    "409": {"$ref": "#/components/responses/AlreadyClaimed"}
  }
}"##;
