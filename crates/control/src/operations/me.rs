//! `GET /_keyward/v1/me`: shows the caller.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Me {}

/// The caller.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub me: Raw,
}

impl ControlOperation for Me {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/me",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&Role::ALL),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, _: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome { me: raw(&by.member()?.view(by.now))? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let me = outcome?.me;
        Ok(input.ok(&me).tagged(&me))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "me",
  "tags": ["Members"],
  "summary": "Shows the caller",
  "description": "Any role.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "The caller",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Member"}}}
    }
  }
}"##;
