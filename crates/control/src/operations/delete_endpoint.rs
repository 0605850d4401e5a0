//! `DELETE /_keyward/v1/endpoints/{id}`: removes an endpoint of events. Nothing is sent to it any more; its deliveries stay in the list.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::endpoint_body::{check_revision, endpoint_id, find};
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::precondition;
use crate::sight::check_unlimited;
use keyward_http::reply::Reply;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::endpoints;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteEndpoint {
    /// Id of the endpoint.
    pub id: String,
    /// Revisions, one of which it must have (`If-Match`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<Vec<u64>>,
}

/// It is deleted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for DeleteEndpoint {
    const SPEC: Spec = Spec {
        method: "DELETE",
        path: "v1/endpoints/{id}",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: true,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = endpoint_id(input)?;
        Fields::none(input.body)?;
        Ok(Self { id, if_match: precondition::revisions(input.head) })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let mut endpoint = find(store, &self.id)?;
        check_revision(&endpoint, self.if_match.as_deref())?;
        endpoints::delete(store, by, &mut endpoint)?;
        Ok(Outcome {})
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        outcome?;
        Ok(Answer::Reply(Reply::no_content(input.request_id)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "deleteEndpoint",
  "tags": ["Events"],
  "summary": "Removes an endpoint of events",
  "description": "Owner, without a limit to environments. No attempt begins after the answer while the events object answers. Deliveries stay in the list for 30 days.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/EndpointId"}, {"$ref": "#/components/parameters/IfMatch"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "204": {
      "description": "The endpoint is removed",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    }
  }
}"##;
