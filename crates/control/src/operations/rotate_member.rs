//! `POST /_keyward/v1/members/{id}/rotate`: replaces a member's credential under the same id. Another member's old credential is
//! refused at the next request. The caller's own works until the first use of the new one, at most ten minutes.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::changed::Changed;
use crate::credential::Subject;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_member_in_sight;
use keyward_http::problem::Code;
use keyward_key::id::{Class, KeyId};
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role, Status};
use keyward_registry::audit::shown;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::members;
use keyward_registry::store::{Store, StoreError};

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotateMember {
    /// Id of the member.
    pub id: KeyId,
}

/// The member with their new credential.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub member_rotated: Raw,
}

impl ControlOperation for RotateMember {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/members/{id}/rotate",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: true,
    };
    const NEEDS_CONFIRMATION: bool = true;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = input.key_id()?;
        if id.class() != Class::Member {
            return Err(Code::NotFound.into());
        }
        Fields::none(input.body)?;
        Ok(Self { id })
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject::Existing(self.id.clone()))
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_member_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let member = members::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        // An expired credential can be replaced. A revoked member's cannot.
        if member.status(by.now) == Status::Revoked {
            return Err(Rejection::NotActive { status: Status::Revoked }.into());
        }
        let credential = by.credential()?;
        if credential.id != self.id {
            return Err(StoreError::new("a member's new credential does not name that member").into());
        }
        let days = member.life_days.min(by.policy.max_member_days);
        let old_until = members::replace_credential(store, by, &member, days)?;
        let view = members::get_written(store, &self.id)?.view(by.now);
        let mut detail = vec![("member", shown(&view)?)];
        detail.extend(old_until.map(|until| ("old_credential_until", until.rfc3339().into())));
        by.record(store, "member.rotate", &self.id, detail)?;
        Ok(Outcome { member_rotated: raw(&view)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.created(&Changed::new_credential(&outcome?.member_rotated, minted)?))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "rotateMember",
  "tags": ["Members"],
  "summary": "Replaces a member's credential",
  "description": "Owner. Another member's old credential is refused at once. The caller's own works until the first use of the new one, at most ten minutes.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/MemberId"}, {"$ref": "#/components/parameters/IfMatch"}, {"$ref": "#/components/parameters/IdempotencyKey"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "201": {
      "description": "The member and the new credential, which only this response shows",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberMade"}}}
    },
    "409": {
      "description": "`not_active`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "not_active"
                ]
              }
            }
          }
        }
      }
    }
  }
}"##;
