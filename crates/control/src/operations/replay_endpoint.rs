//! `POST /_keyward/v1/endpoints/{id}/replay`: sends the events of a range of time to an endpoint again.

use serde::{Deserialize, Serialize};

use super::issue_key::instant;
use crate::body::{Fields, Json, invalid};
use crate::endpoint_body::{endpoint_id, find};
use crate::events_query::EventsQuestion;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_http::problem::Problem;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request. The registry authorises it; the events object does it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReplayEndpoint {
    /// Id of the endpoint.
    pub id: String,
    /// Start of the range.
    pub from: Millis,
    /// End of the range, not included.
    pub to: Millis,
}

/// The caller may do it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for ReplayEndpoint {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/endpoints/{id}/replay",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let id = endpoint_id(input)?;
        let mut fields = Fields::parse(input.body, &["from", "to"])?;
        let from = time("from", fields.require("from")?)?;
        let to = time("to", fields.require("to")?)?;
        if from >= to {
            return Err(invalid("from", "This must be before `to`.").into());
        }
        Ok(Self { id, from, to })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, store: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        find(store, &self.id).map(|_| Outcome {})
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        outcome?;
        Ok(Answer::Events(EventsQuestion::Replay { endpoint: self.id, from: self.from, to: self.to }))
    }
}

fn time(name: &str, value: Json) -> Result<Millis, Problem> {
    match value {
        Json::Text(text) => instant(name, &text),
        _ => Err(invalid(name, "This must be a string.")),
    }
}

const OPEN_API: &str = r##"{
  "operationId": "replayEndpoint",
  "tags": ["Events"],
  "summary": "Sends the events of a range of time to an endpoint again",
  "description": "Owner, without a limit to environments. The events of the last 30 days that the endpoint subscribes to, with their `webhook-id`, those from before it existed included. At most 10,000 events.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/EndpointId"}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReplayEndpoint"}}}
  },
  "responses": {
    "202": {
      "description": "The number of events that will be sent",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointReplayed"}}}
    },
    "409": {
      "description": "The endpoint receives no events now: `endpoint_not_enabled`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {"code": {"enum": ["endpoint_not_enabled"]}}
          }
        }
      }
    }
  }
}"##;
