//! `POST /_keyward/v1/bootstrap`: creates the first owner, or another one if no active owner without a limit is left.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::changed::Changed;
use crate::credential::Subject;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use keyward_http::limits::NAME_CHARS;
use keyward_key::id::Class;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::audit::shown;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::members::{self, NewMember};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Name of the owner.
    pub name: String,
    /// E-mail address of the owner.
    pub email: String,
}

/// The new owner's view.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub member_created: Raw,
}

impl ControlOperation for Bootstrap {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/bootstrap",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::BootstrapToken,
        writes: true,
        idempotent: true,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let mut fields = Fields::parse(input.body, &["name", "email"])?;
        Ok(Self {
            name: input.text.parse("name", fields.require("name")?, NAME_CHARS)?,
            email: input.text.email("email", fields.require("email")?)?,
        })
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject::New(Class::Member))
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        // A retry is handled before this check, so it gets the first answer although an owner exists now.
        if request.is_some() { Ok(()) } else { check_no_owner(store, by) }
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        check_no_owner(store, by)?;
        members::free_email(store, by, &self.email, None)?;
        let owner = NewMember {
            credential: by.credential()?,
            name: &self.name,
            email: &self.email,
            role: Role::Owner,
            environments: None,
            life_days: by.policy.max_member_days,
        };
        let owner = members::insert(store, by, &owner)?;
        let view = owner.view(by.now);
        by.record(store, "bootstrap", &owner.id, vec![("member", shown(&view)?)])?;
        Ok(Outcome { member_created: raw(&view)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        minted: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.created(&Changed::new_credential(&outcome?.member_created, minted)?))
    }
}

fn check_no_owner(store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
    if members::has_full_owner(store, by.now)? { Err(Rejection::AlreadyBootstrapped.into()) } else { Ok(()) }
}

const OPEN_API: &str = r##"{
  "operationId": "bootstrap",
  "tags": ["Members"],
  "summary": "Creates an owner while no owner without a limit is active",
  "description": "Works while no owner without a limit is active. A member with the same e-mail address whose credential has expired is revoked.",
  "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}],
  "security": [{"bootstrapToken": []}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Bootstrap"}}}
  },
  "responses": {
    "201": {
      "description": "The owner and their credential, which only this response shows",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberMade"}}}
    },
    "400": {
      "description": "The body, query or path is invalid; `field` names the part: `invalid_request`",
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
    "409": {
      "description": "`already_bootstrapped`, `email_taken`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "already_bootstrapped",
                  "email_taken"
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
