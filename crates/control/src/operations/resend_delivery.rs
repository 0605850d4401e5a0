//! `POST /_keyward/v1/deliveries/{id}/resend`: sends one delivery again, with the same `webhook-id` and a new schedule.

use serde::{Deserialize, Serialize};

use crate::body::Fields;
use crate::endpoint_body::delivery_number;
use crate::events_query::EventsQuestion;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use crate::sight::check_unlimited;
use keyward_key::mint::Minted;
use keyward_protocol::Role;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request. The registry only authorises it; the events object does it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ResendDelivery {
    /// Number of the delivery.
    pub number: i64,
}

/// The caller may do it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {}

impl ControlOperation for ResendDelivery {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/deliveries/{id}/resend",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&[Role::Owner]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let number = delivery_number(input)?;
        Fields::none(input.body)?;
        Ok(Self { number })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, by: &Context<'_>) -> Result<(), OperationError> {
        check_unlimited(by)
    }

    fn handle(&self, _: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {})
    }

    fn respond(self, _: &Input<'_>, outcome: Result<Outcome, Failure>, _: Option<&Minted>) -> Result<Answer, Failure> {
        outcome?;
        Ok(Answer::Events(EventsQuestion::Resend(self.number)))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "resendDelivery",
  "tags": ["Events"],
  "summary": "Sends a delivery again",
  "description": "Owner, without a limit to environments. With the same `webhook-id` and a new schedule. Tests are not sent again.",
  "security": [{"member": []}, {"access": []}],
  "parameters": [{"$ref": "#/components/parameters/DeliveryId"}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "202": {
      "description": "The delivery, which is pending",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DeliveryResent"}}}
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
