//! `GET /_keyward/v1/endpoints/{id}`: shows one endpoint of events.

use serde::{Deserialize, Serialize};

use crate::endpoint_body::{endpoint_id, find};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec, raw};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::{Raw, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowEndpoint {
    /// Id of the endpoint.
    pub id: String,
}

/// The endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View.
    pub endpoint: Raw,
}

impl ControlOperation for ShowEndpoint {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/endpoints/{id}",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self { id: endpoint_id(input)? })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome { endpoint: raw(&find(store, &self.id)?.view(by.now))? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let outcome = outcome?;
        Ok(input.ok(&outcome).tagged(&outcome.endpoint))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showEndpoint",
  "tags": ["Events"],
  "summary": "Shows an endpoint of events",
  "description": "Owner, without a limit to environments.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/EndpointId"}],
  "responses": {
    "200": {
      "description": "The endpoint",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "ETag": {"$ref": "#/components/headers/ETag"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointShown"}}}
    }
  }
}"##;
