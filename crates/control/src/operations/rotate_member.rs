//! `POST /_keyward/v1/members/{id}/rotate`: replaces a member's credential under the same id. The old one is refused from the
//! next request on.

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
use keyward_registry::context::{Context, OperationError, days_after};
use keyward_registry::store::{Store, StoreError, Value};
use keyward_registry::{members, meta};

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
        // An expired credential can be replaced, that of a revoked member cannot.
        if member.status(by.now) == Status::Revoked {
            return Err(Rejection::NotActive { status: Status::Revoked }.into());
        }
        let credential = by.credential()?;
        if credential.id != self.id {
            return Err(StoreError::new("a member's new credential does not name that member").into());
        }
        let days = member.life_days.min(by.policy.max_member_days);
        let revision = meta::next_revision(store)?;
        store.execute(
            "UPDATE members SET key_hash = ?, minted_under = ?, expires_at = ?, life_days = ?, revision = ? WHERE id = ?",
            &[
                credential.key_hash.to_hex().into(),
                credential.minted_under.as_str().into(),
                days_after(by.now, days).into(),
                Value::Integer(i64::from(days)),
                Value::count(revision)?,
                self.id.as_str().into(),
            ],
        )?;
        let view = members::get_written(store, &self.id)?.view(by.now);
        by.record(store, "member.rotate", &self.id, vec![("member", shown(&view)?)])?;
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
  "summary": "Replaces a member's credential; the old one is dead at once",
  "description": "Owner.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/MemberId"}, {"$ref": "#/components/parameters/IdempotencyKey"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "201": {
      "description": "The member and, this once, the new credential",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberMade"}}}
    },
    "400": {
      "description": "The body, the query or the path is wrong; `field` names what: `invalid_request`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "invalid_request",
                  "bad_path",
                  "key_in_url",
                  "unexpected_body"
                ]
              }
            }
          }
        }
      }
    },
    "401": {"$ref": "#/components/responses/Unauthorized"},
    "403": {"$ref": "#/components/responses/Forbidden"},
    "404": {"$ref": "#/components/responses/NotFound"},
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
    },
    "413": {"$ref": "#/components/responses/TooLarge"},
    "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
    "422": {"$ref": "#/components/responses/Mismatch"},
    "503": {"$ref": "#/components/responses/Unavailable"},
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;
