//! `POST /_keyward/v1/members/{id}/revoke`: revokes a member, for good. Their credential is refused from the next request on.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::changed::Changed;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_member_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role, Status};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::members;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokeMember {
    /// Id of the member.
    pub id: KeyId,
}

/// The revoked member.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub member: Raw,
}

impl ControlOperation for RevokeMember {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/members/{id}/revoke",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
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
        request.map_or(Ok(()), |request| check_member_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let member = members::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        // A revoked member is unchanged, and nothing is written.
        if member.status(by.now) == Status::Revoked {
            return Ok(Outcome { member: raw(&member.view(by.now))? });
        }
        members::check_not_last_owner(store, &member, by.now)?;
        let revoked = members::revoke(store, by, &self.id, None)?;
        Ok(Outcome { member: raw(&revoked.view(by.now))? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let member = outcome?.member;
        Ok(input.ok(&Changed::member(&member)).tagged(&member))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "revokeMember",
  "tags": ["Members"],
  "summary": "Revokes a member permanently",
  "description": "Owner.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/MemberId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "The member",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberChanged"}}}
    },
    "409": {
      "description": "`last_owner`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "last_owner"
                ]
              }
            }
          }
        }
      }
    }
  }
}"##;
