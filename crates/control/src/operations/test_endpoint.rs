//! `POST /_keyward/v1/endpoints/{id}/test`: sends `endpoint.test` once. A success enables a pending endpoint.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::endpoint_body::{endpoint_id, find};
use crate::events_query::EventsQuestion;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_protocol::events::TestOrder;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request. The registry authorises it, and the events object sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestEndpoint {
    /// Id of the endpoint.
    pub id: String,
}

/// The caller may test it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Message to the events object.
    pub endpoint_test: Box<TestOrder>,
}

impl ControlOperation for TestEndpoint {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/endpoints/{id}/test",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = endpoint_id(input)?;
        Fields::none(input.body)?;
        Ok(Self { id })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let endpoint = find(store, &self.id)?.for_delivery();
        let order = TestOrder { endpoint, by: by.actor_name().to_owned(), request: by.request.clone() };
        Ok(Outcome { endpoint_test: Box::new(order) })
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        Ok(Answer::Events(EventsQuestion::Test(outcome?.endpoint_test)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "testEndpoint",
  "tags": ["Events"],
  "summary": "Sends a test event to an endpoint",
  "description": "Owner, without a limit to environments. One attempt, of at most 15 seconds. A status from 200 to 299 enables a pending endpoint.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/EndpointId"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "The attempt, whether it succeeded or not",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointTested"}}}
    }
  }
}"##;
