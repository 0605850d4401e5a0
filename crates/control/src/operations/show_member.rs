//! `GET /_keyward/v1/members/{id}`: shows one member.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_member_in_sight;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Rejection, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::members;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowMember {
    /// Id of the member.
    pub id: KeyId,
}

/// The member.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub member: Raw,
}

impl ControlOperation for ShowMember {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/members/{id}",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { id: input.key_id()? })
    }

    fn authorise(request: Option<&Self>, store: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        request.map_or(Ok(()), |request| check_member_in_sight(store, by, &request.id))
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let member = members::find(store, &self.id)?.ok_or(Rejection::NotFound)?;
        Ok(Outcome { member: raw(&member.view(by.now))? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let member = outcome?.member;
        Ok(input.ok(&member).tagged(&member))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showMember",
  "tags": ["Members"],
  "summary": "Shows a member",
  "description": "Owner.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/MemberId"}],
  "responses": {
    "200": {
      "description": "The member",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Member"}}}
    }
  }
}"##;
