//! `GET /_keyward/v1/endpoints/key`: the public key that verifies events.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndpointKey {}

/// Empty, because the isolate has the keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for EndpointKey {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/endpoints/key",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, _: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {})
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        outcome.map(|Outcome {}| Answer::EventKeys)
    }
}

const OPEN_API: &str = r##"{
  "operationId": "endpointKey",
  "tags": ["Events"],
  "summary": "The public key that verifies events",
  "description": "Owner, without a limit to environments. The key set at `/_keyward/jwks.json` has it too, for everyone.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "The key as a JSON Web Key and in the form of Standard Webhooks; during a rotation of the server's secret also the previous one",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointKey"}}}
    }
  }
}"##;
